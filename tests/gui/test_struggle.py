"""Where the tracker has trouble with an object, one banner offers what would help."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.dialogs.models import ModelsDialog, needs_text, stronger_tracker
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.operations import Busy
from interaction.annotation.annotation import make_record
from interaction.annotation.types import Edit, FrameStatus, Stroke
from interaction.models import default_store
from tests import tiny
from tests.gui.windows import click, is_idle, once_at, press

LEFT = Qt.MouseButton.LeftButton


def put_tracked(workspace: Workspace, doubts: Sequence[float]) -> None:
    """A mask of object 1 on the first frames, as a run leaves it."""
    document = workspace.document
    labels = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    labels[10:30, 10:30] = 1
    before = {frame: document.annotation.record(frame) for frame in range(len(doubts))}
    after = {
        frame: make_record(labels, FrameStatus.TRACKED, doubt=doubt)
        for frame, doubt in enumerate(doubts)
    }
    assert document.apply(Edit("Track", before, after))


@pytest.fixture
def tracked(workspace: Workspace) -> Workspace:
    workspace.document.add_object("bear")
    put_tracked(workspace, [0.0] * 8)
    return workspace


def correct(workspace: Workspace, frame: int, qtbot: QtBot) -> None:
    workspace.document.set_frame(frame)
    qtbot.waitUntil(lambda: workspace.canvas.shown_frame == frame, timeout=20_000)
    click(workspace, 45, 30)
    record = workspace.document.annotation.record
    qtbot.waitUntil(lambda: record(frame).status is FrameStatus.CORRECTED, timeout=20_000)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)


def test_three_corrections_of_one_object_offer_learning_and_stronger_weights(
    window: MainWindow, tracked: Workspace, qtbot: QtBot
) -> None:
    banner = tracked.banner
    correct(tracked, 1, qtbot)
    click(tracked, 50, 8)  # a second click on the frame is the same correction
    qtbot.waitUntil(lambda: is_idle(tracked), timeout=20_000)
    correct(tracked, 3, qtbot)
    assert banner.isHidden()
    correct(tracked, 6, qtbot)
    assert "“bear” was corrected on 3 frames within 10" in banner.text
    # Size, licence, what it needs and whether this machine has it.
    for part in ("XMem: about 249", "licence MIT", "2.5 GB of memory", "This machine has"):
        assert part in banner.text
    assert banner.button.text() == "Learn from these frames"
    assert banner.second_button.text() == "Get XMem"

    tracked.document.noticed.emit("Something else")  # another notice does not end it
    assert banner.text == "Something else"
    QTest.mouseClick(banner.close_button, LEFT)
    assert "bear" in banner.text

    QTest.mouseClick(banner.close_button, LEFT)
    assert banner.isHidden()
    correct(tracked, 7, qtbot)  # not again for the same object
    assert banner.isHidden()


def test_what_is_undone_is_no_correction(tracked: Workspace, qtbot: QtBot) -> None:
    correct(tracked, 1, qtbot)
    tracked.annotator.undo()
    correct(tracked, 3, qtbot)
    correct(tracked, 6, qtbot)
    assert tracked.banner.isHidden()
    correct(tracked, 5, qtbot)
    assert not tracked.banner.isHidden()


def test_one_click_learns(
    tracked: Workspace, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(tracked.annotator.learning, "start", lambda: begun.append("learning"))
    for frame in (1, 3, 6):
        correct(tracked, frame, qtbot)
    QTest.mouseClick(tracked.banner.button, LEFT)
    assert begun == ["learning"]
    assert tracked.banner.isHidden()


def test_learning_from_elsewhere_ends_the_offer(tracked: Workspace, qtbot: QtBot) -> None:
    for frame in (1, 3, 6):
        correct(tracked, frame, qtbot)
    assert not tracked.banner.isHidden()
    tracked.annotator.operations.busy_changed.emit(Busy.LEARNING)
    assert tracked.banner.isHidden()


def test_one_click_fetches_stronger_weights_and_uses_them(
    window: MainWindow, tracked: Workspace, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(ModelsDialog, "download", lambda self: fetched.append(self.current_name()))
    for frame in (1, 3, 6):
        correct(tracked, frame, qtbot)
    QTest.mouseClick(tracked.banner.second_button, LEFT)
    [dialog] = [w for w in QApplication.topLevelWidgets() if isinstance(w, ModelsDialog)]
    assert fetched == ["XMem"]
    dialog.close()


def test_a_run_in_doubt_on_a_third_of_its_frames_is_noticed_once(
    window: MainWindow, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    from interaction.tracking import propagation_job

    doubts = iter([0.0, 0.2, 0.9, 0.2, 0.3, 0.0, 0.9])
    monkeypatch.setattr(propagation_job, "doubt_of", lambda _: next(doubts))
    workspace.annotator.hand.stroke(Stroke(((20.0, 20.0),), 6))
    shown: list[bool] = []
    once_at(workspace.annotator, 6, lambda: shown.append(workspace.banner.isVisible()))
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    assert shown == [False]  # not before the end
    assert "in doubt on 3 of 7 frames" in workspace.banner.text
    QTest.mouseClick(workspace.banner.close_button, LEFT)
    workspace.annotator.tracking.ended.emit(frozenset(range(8)))
    assert workspace.banner.isHidden()


def test_stronger_weights_are_offered_in_place_of_bundled_ones_only() -> None:
    store = default_store()
    found = stronger_tracker(store, "small")
    assert found is not None
    assert found.name == "XMem"
    assert stronger_tracker(store, "XMem") is None
    assert stronger_tracker(store, "weights of my own.pth") is None
    assert found.needs is not None
    huge = replace(found, needs=replace(found.needs, cpu_memory_bytes=10**15))
    assert "only" in needs_text(huge)
