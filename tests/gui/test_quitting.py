"""The program ends although a step of a network takes for ever, and nothing finished is lost."""

import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.operations import Busy, Kind, Operation, is_left_behind
from interaction.annotation.types import Stroke
from interaction.session import Session
from tests.fake_engines import FakeEngines
from tests.gui.windows import press, press_when_asked

DAB = Stroke(((20.0, 20.0),), 6)
BUTTONS = {
    Kind.TRACKING: "Stop tracking and close",
    Kind.LEARNING: "Stop learning and close",
    Kind.BULK_EDIT: "Stop and close",
    Kind.FILE: "Stop and close",
}


@pytest.fixture
def endless(workspace: Workspace, qtbot: QtBot) -> Generator[Callable[[Kind], None], None, None]:
    """Starts an operation whose first step ends with the test."""
    may_end, begun = threading.Event(), threading.Event()

    def start(kind: Kind) -> None:
        def steps() -> Generator[None, None, None]:
            begun.set()
            may_end.wait(120)
            yield

        assert workspace.annotator.operations.start(Operation(kind, steps, is_pausable=True))
        qtbot.waitUntil(begun.is_set, timeout=20_000)

    yield start
    may_end.set()
    qtbot.waitUntil(lambda: not is_left_behind(), timeout=20_000)


@pytest.mark.parametrize("kind", BUTTONS)
def test_quitting_waits_for_no_step_and_loses_nothing(
    kind: Kind,
    window: MainWindow,
    workspace: Workspace,
    endless: Callable[[Kind], None],
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    qtbot.waitUntil(lambda: not workspace.engine.is_busy, timeout=20_000)
    workspace.annotator.hand.stroke(DAB)
    kept = workspace.document.annotation.record(0)
    endless(kind)
    assert workspace.annotator.operations.busy is not Busy.IDLE
    press_when_asked(BUTTONS[kind])
    press(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert not window.isVisible()  # although the step goes on
    assert is_left_behind()
    with Session.open_project(tmp_path / "clip.vos", engines=FakeEngines()) as session:
        assert not session.ledger.is_read_only  # its lock is free
        assert session.annotation.record(0) == kept


PROGRAM = """
import sys, threading
from PySide6.QtWidgets import QApplication
from gui.window.app import end
from gui.work.operations import EngineThread, Kind, Operation

application = QApplication([])
thread, begun = EngineThread(), threading.Event()

def steps():
    begun.set()
    threading.Event().wait()
    yield

thread.start(Operation(Kind.LEARNING, steps))
begun.wait()
thread.shutdown(0.1)
print("closed")
sys.exit(end(3))
"""


def test_the_process_ends_with_a_step_that_never_does() -> None:
    done: subprocess.CompletedProcess[Any] = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.split()) == (3, ["closed"])
