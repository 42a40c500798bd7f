"""What tests of the window share: a person's own settings stay untouched, nothing is left."""

import gc
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QMainWindow
from pytestqt.qtbot import QtBot

from gui.actions.actions import Actions
from gui.actions.table import ACTIONS
from gui.preferences import Preferences
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import EngineThread
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines

_PATIENCE_MS = 60_000
OWN_THREADS = ("engine", "files", "frames", "opening", "first picture", "thumbnails", "download")


@pytest.fixture(autouse=True)
def _no_thread_drops_widgets() -> Iterator[None]:
    """See `gui.window.garbage`: what a test leaves is collected between tests, on this thread."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def _nothing_is_left_over(qapp: QApplication) -> Iterator[None]:
    """A widget or a thread that outlives its test would disturb another, or keep the program."""
    before = {id(widget) for widget in QApplication.topLevelWidgets()}
    yield
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()
    left = [
        widget
        for widget in QApplication.topLevelWidgets()
        if id(widget) not in before and widget.isVisible()
    ]
    assert not left, f"widgets left over: {left}"
    running = [
        thread.name for thread in threading.enumerate() if thread.name.startswith(OWN_THREADS)
    ]
    assert not running, f"threads left over: {running}"


@pytest.fixture
def qtbot(qtbot: QtBot) -> QtBot:
    """Waits long enough for networks on a crowded machine, where a test gives no limit."""
    for name in ("waitUntil", "waitSignal"):
        setattr(qtbot, name, partial(getattr(qtbot, name), timeout=_PATIENCE_MS))
    return qtbot


@pytest.fixture
def preferences(tmp_path: Path) -> Preferences:
    """Masks of the tiny network jump about: runs go on all the same."""
    preferences = Preferences(tmp_path / "preferences.json")
    preferences.at_cut, preferences.pauses_at_wrong_masks = "go_on", False
    return preferences


@pytest.fixture
def document(qapp: QApplication, session: Session) -> Document:
    return Document(session)


@pytest.fixture
def engine(qtbot: QtBot) -> Iterator[EngineThread]:
    thread = EngineThread("engine")
    yield thread
    thread.shutdown()


@pytest.fixture
def files(qtbot: QtBot) -> Iterator[EngineThread]:
    thread = EngineThread("files")
    yield thread
    thread.shutdown()


@pytest.fixture
def annotator(document: Document, engine: EngineThread, files: EngineThread) -> Annotator:
    return Annotator(document, engine, files)


@pytest.fixture
def owner(qtbot: QtBot) -> QMainWindow:
    window = QMainWindow()
    qtbot.addWidget(window)
    return window


@pytest.fixture
def called() -> list[str]:
    """The actions whose handlers were called."""
    return []


@pytest.fixture
def actions(owner: QMainWindow, preferences: Preferences, called: list[str]) -> Actions:
    handlers = {spec.id: lambda name=spec.id: called.append(name) for spec in ACTIONS}
    return Actions(handlers, preferences, owner)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "clip"
    tiny.write_clip(folder, 8)
    return folder


@pytest.fixture
def window(qtbot: QtBot, preferences: Preferences) -> Iterator[MainWindow]:
    window = MainWindow(preferences)
    window.opener.engines = FakeEngines()  # type: ignore[assignment]  # keeps the contract
    window.show()
    window.activateWindow()
    yield window
    window.close()
    window.deleteLater()


@pytest.fixture
def open_path(window: MainWindow, qtbot: QtBot) -> Callable[[Path], Workspace]:
    """Opens a clip or a project in the window."""

    def run(path: Path) -> Workspace:
        window.open_path(path)
        qtbot.waitUntil(lambda: window.workspace is not None, timeout=20_000)
        assert window.workspace is not None
        return window.workspace

    return run


@pytest.fixture
def workspace(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path, qtbot: QtBot
) -> Workspace:
    """Of the clip, its first frame in sight; the canvas has the focus."""
    workspace = open_path(clip)
    qtbot.waitUntil(window.isActiveWindow, timeout=20_000)
    workspace.canvas.setFocus()
    qtbot.waitUntil(lambda: workspace.canvas.shown_frame == 0, timeout=20_000)
    return workspace
