"""Escape and Undo while the mouse is held: what it is doing is abandoned, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from gui.timeline.painting import HEADER_PX, RULER_PX
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.operations import Busy

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
NO_KEY = Qt.KeyboardModifier.NoModifier
LEFT = Qt.MouseButton.LeftButton
UNDO, ESCAPE = (Qt.Key.Key_Z, CTRL), (Qt.Key.Key_Escape, NO_KEY)
Keys = tuple[Qt.Key, Qt.KeyboardModifier]


@pytest.fixture
def workspace(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path, qtbot: QtBot
) -> Workspace:
    """With a click that Escape would take back and Undo would undo."""
    workspace = open_path(clip)
    qtbot.waitUntil(lambda: workspace.canvas.shown_frame == 0, timeout=20_000)
    workspace.annotator.prompts.click(20, 20)
    qtbot.waitUntil(lambda: workspace.annotator.operations.busy is Busy.IDLE, timeout=20_000)
    window.update_state()
    qtbot.waitUntil(window.isActiveWindow, timeout=20_000)
    return workspace


def press(window: MainWindow, keys: Keys) -> None:
    QTest.keyClick(window.focusWidget() or window, *keys)
    QApplication.processEvents()


def place(workspace: Workspace, x: float, y: float) -> QPoint:
    return workspace.canvas.to_viewport(QPointF(x, y)).toPoint()


@pytest.mark.parametrize("is_focused", [True, False])
@pytest.mark.parametrize("keys", [UNDO, ESCAPE], ids=["undo", "escape"])
@pytest.mark.parametrize(
    "tool",
    ["click", "box", "scribble", "brush", "eraser", "lasso", "select"],
)
def test_a_gesture_on_the_picture(
    window: MainWindow, workspace: Workspace, tool: str, keys: Keys, is_focused: bool, qtbot: QtBot
) -> None:
    document, canvas = workspace.document, workspace.canvas
    before, position = document.annotation.record(0), document.session.history.position
    document.set_tool(tool)
    path = [(14, 18), (30, 22), (30, 34), (16, 34)] if tool != "click" else [(30, 30)]
    start, *rest = (place(workspace, *point) for point in path)
    QTest.mousePress(canvas.viewport(), LEFT, NO_KEY, start)
    for at in rest:
        QTest.mouseMove(canvas.viewport(), at)
    (canvas if is_focused else workspace.timeline).setFocus()
    press(window, keys)
    press(window, keys)  # as a key that is held does
    assert (canvas.shown_labels == document.annotation.labels(0)).all()
    QTest.mouseRelease(canvas.viewport(), LEFT, NO_KEY, place(workspace, 14, 18))
    qtbot.waitUntil(lambda: workspace.annotator.operations.busy is Busy.IDLE)
    assert document.annotation.record(0) == before
    assert document.session.history.position == position
    canvas.setFocus()
    press(window, keys)  # and now it is about what was done before
    qtbot.waitUntil(lambda: workspace.annotator.operations.busy is Busy.IDLE)
    assert document.annotation.record(0) != before


def test_a_corner_that_is_being_set(window: MainWindow, workspace: Workspace) -> None:
    document, canvas = workspace.document, workspace.canvas
    document.set_tool("lasso")
    canvas.setFocus()
    for corner in ((40, 10), (55, 10), (55, 40)):
        QTest.mouseClick(canvas.viewport(), LEFT, pos=place(workspace, *corner), delay=600)
    QTest.mousePress(canvas.viewport(), LEFT, NO_KEY, place(workspace, 42, 45), delay=600)
    press(window, UNDO)
    QTest.mouseRelease(canvas.viewport(), LEFT, NO_KEY, place(workspace, 42, 45))
    press(window, (Qt.Key.Key_Return, NO_KEY))
    assert document.annotation.labels(0)[12, 50] == 1
    assert document.annotation.labels(0)[36, 54] == 1  # the third was not taken back
    assert document.annotation.labels(0)[38, 44] == 0  # the fourth corner was not set


@pytest.mark.parametrize("keys", [UNDO, ESCAPE], ids=["undo", "escape"])
@pytest.mark.parametrize("what", ["handle", "range", "playhead"])
@pytest.mark.parametrize("is_focused", [True, False])
def test_a_drag_on_the_timeline(
    window: MainWindow, workspace: Workspace, keys: Keys, what: str, is_focused: bool
) -> None:
    document, timeline = workspace.document, workspace.timeline
    document.set_range(2, 5)
    before, position = document.annotation.record(0), document.session.history.position
    viewport: QWidget = timeline.viewport()

    def at(frame: int) -> QPoint:
        return QPoint(round(HEADER_PX + 1 + timeline.scale.center(frame)), RULER_PX // 2)

    start = QPoint(round(HEADER_PX + 1 + timeline.scale.x(6)), RULER_PX // 2)
    start = start if what == "handle" else at(1)
    QTest.mousePress(viewport, LEFT, SHIFT if what == "range" else NO_KEY, start)
    QTest.mouseMove(viewport, at(4))
    moved = document.frame if what == "playhead" else (document.range_in, document.range_out)
    assert moved == {"handle": (2, 4), "range": (1, 4), "playhead": 4}[what]
    (timeline if is_focused else workspace.canvas).setFocus()
    press(window, keys)
    press(window, keys)
    QTest.mouseMove(viewport, at(3))
    QTest.mouseRelease(viewport, LEFT, NO_KEY, at(3))
    assert (document.range_in, document.range_out, document.frame) == (2, 5, 0)
    assert document.annotation.record(0) == before
    assert document.session.history.position == position
