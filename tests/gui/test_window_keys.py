"""Keys and the mouse in the whole window, through real events: what they do, and what stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.preferences import Preferences
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from interaction.annotation.types import FrameStatus, Stroke
from tests import tiny
from tests.fake_engines import FakeEngines

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
DAB = Stroke(((20.0, 20.0),), 6)
LAST = 7


@pytest.fixture
def window(qtbot: QtBot, preferences: Preferences, tmp_path: Path) -> Iterator[MainWindow]:
    clip = tmp_path / "clip"
    tiny.write_clip(clip, LAST + 1)
    window = MainWindow(preferences)
    window.opener.engines = FakeEngines()  # type: ignore[assignment]  # keeps the contract
    window.show()
    window.activateWindow()
    window.open_path(clip)
    qtbot.waitUntil(lambda: window.workspace is not None, timeout=20_000)
    qtbot.waitUntil(lambda: window.workspace.canvas.shown_frame == 0, timeout=20_000)  # type: ignore[union-attr]
    qtbot.waitUntil(window.isActiveWindow, timeout=20_000)
    yield window
    window.close()
    window.deleteLater()


@pytest.fixture
def workspace(window: MainWindow) -> Workspace:
    assert window.workspace is not None
    window.workspace.player.set_looping(True)
    window.workspace.canvas.setFocus()
    return window.workspace


def press(
    window: MainWindow, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    QApplication.processEvents()
    QTest.keyClick(window.focusWidget() or window, key, modifiers)
    QApplication.processEvents()


def place(workspace: Workspace, x: float, y: float) -> QPoint:
    return workspace.canvas.to_viewport(QPointF(x, y)).toPoint()


def wait_until_idle(workspace: Workspace, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: workspace.annotator.operations.busy.value == "idle", timeout=20_000)


def test_a_stroke_while_it_plays_stops_there_and_is_kept(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    press(window, Qt.Key.Key_P)
    workspace.document.set_brush_radius_px(4)
    press(window, Qt.Key.Key_Space)
    assert workspace.player.is_playing
    qtbot.waitUntil(lambda: workspace.document.frame > 0, timeout=20_000)
    viewport = workspace.canvas.viewport()
    left = Qt.MouseButton.LeftButton
    QTest.mousePress(viewport, left, Qt.KeyboardModifier.NoModifier, place(workspace, 10, 20))
    assert not workspace.player.is_playing
    seen = workspace.canvas.shown_frame
    assert workspace.document.frame == seen
    QTest.mouseMove(viewport, place(workspace, 20, 20))
    QTest.qWait(200)  # longer than a frame: it would have gone on
    QTest.mouseMove(viewport, place(workspace, 40, 20))
    QTest.mouseRelease(viewport, left, Qt.KeyboardModifier.NoModifier, place(workspace, 40, 20))
    assert workspace.document.annotation.record(seen).status is FrameStatus.CORRECTED
    assert workspace.document.annotation.labels(seen)[20, 30] == 1


def test_the_keys_track_what_the_panel_says(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    document, panel = workspace.document, workspace.propagation_panel
    dog = document.add_object("dog")
    workspace.annotator.hand.stroke(DAB)
    cat = document.add_object("cat")
    workspace.annotator.hand.stroke(Stroke(((45.0, 35.0),), 6))
    panel.range.setCurrentIndex(panel.range.findData("count"))
    panel.count.setValue(3)
    panel.only_current.setChecked(True)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: 3 in document.annotation.records, timeout=20_000)
    wait_until_idle(workspace, qtbot)
    assert set(document.annotation.records) == {0, 1, 2, 3}
    assert all(dog not in document.annotation.record(frame).present for frame in (1, 2, 3))
    document.set_frame(5)
    workspace.annotator.hand.stroke(DAB)
    panel.until.setCurrentIndex(panel.until.findData("next_confirmed"))
    panel.count.setValue(1)
    press(window, Qt.Key.Key_B)
    qtbot.waitUntil(lambda: 4 in document.annotation.records, timeout=20_000)
    wait_until_idle(workspace, qtbot)
    press(window, Qt.Key.Key_B, SHIFT)
    qtbot.waitUntil(lambda: 6 in document.annotation.records, timeout=20_000)
    wait_until_idle(workspace, qtbot)
    assert 7 not in document.annotation.records
    assert cat == document.current_object


def test_tracking_a_single_frame_takes_the_objects_that_the_panel_says(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    document = workspace.document
    dog = document.add_object("dog")
    workspace.annotator.hand.stroke(DAB)
    document.add_object("cat")
    workspace.annotator.hand.stroke(Stroke(((45.0, 35.0),), 6))
    workspace.propagation_panel.only_current.setChecked(True)
    press(window, Qt.Key.Key_T)
    qtbot.waitUntil(lambda: document.frame == 1, timeout=20_000)
    wait_until_idle(workspace, qtbot)
    assert dog not in document.annotation.record(1).present


def test_the_shuttle_plays_back_stops_and_goes_forward(
    window: MainWindow, workspace: Workspace
) -> None:
    player, document = workspace.player, workspace.document
    press(window, Qt.Key.Key_J)
    assert player.speed == -1
    press(window, Qt.Key.Key_J)
    assert player.speed == -2
    press(window, Qt.Key.Key_L)
    assert player.speed == 1
    press(window, Qt.Key.Key_L)
    assert player.speed == 2
    press(window, Qt.Key.Key_K)
    assert not player.is_playing
    press(window, Qt.Key.Key_L)
    assert player.speed == 1
    assert document.tool == "click"


def test_the_shuttles_keys_choose_tools_while_nothing_plays(
    window: MainWindow, workspace: Workspace
) -> None:
    player = workspace.player
    press(window, Qt.Key.Key_L)
    assert window.actions_table["tool.lasso"].isChecked()
    press(window, Qt.Key.Key_K)
    assert window.actions_table["tool.click"].isChecked()
    assert not player.is_playing
    press(window, Qt.Key.Key_Space)  # Space stops for good
    press(window, Qt.Key.Key_Space)
    press(window, Qt.Key.Key_L)
    assert window.actions_table["tool.lasso"].isChecked()
    press(window, Qt.Key.Key_J)
    press(window, Qt.Key.Key_K)
    press(window, Qt.Key.Key_Right)  # something else was done
    press(window, Qt.Key.Key_K)
    press(window, Qt.Key.Key_L)
    assert window.actions_table["tool.lasso"].isChecked()
    assert not player.is_playing


def test_a_tool_is_chosen_with_the_mouse_while_it_plays(
    window: MainWindow, workspace: Workspace
) -> None:
    press(window, Qt.Key.Key_Space)
    window.actions_table["tool.lasso"].trigger()
    assert workspace.document.tool == "lasso"
    assert workspace.player.speed == 1


def test_a_project_that_is_closed_while_it_plays_leaves_the_keys_to_the_tools(
    window: MainWindow, workspace: Workspace
) -> None:
    press(window, Qt.Key.Key_J)
    press(window, Qt.Key.Key_K)
    assert not window.actions_table["tool.lasso"].shortcut().toString()
    assert window.close_session()
    assert window.actions_table["tool.lasso"].shortcut().toString() == "L"
    assert window.actions_table["tool.click"].shortcut().toString() == "K"


def test_undo_shows_what_it_undoes(window: MainWindow, workspace: Workspace) -> None:
    workspace.annotator.hand.stroke(DAB)
    press(window, Qt.Key.Key_End)
    assert workspace.document.frame == LAST
    press(window, Qt.Key.Key_Z, CTRL)
    assert workspace.document.frame == 0
    press(window, Qt.Key.Key_End)
    press(window, Qt.Key.Key_Space)
    press(window, Qt.Key.Key_Z, CTRL | SHIFT)
    assert workspace.document.frame == 0
    assert not workspace.player.is_playing


def test_a_step_in_the_list_of_what_was_done_is_shown(
    window: MainWindow, workspace: Workspace
) -> None:
    workspace.annotator.hand.stroke(DAB)
    workspace.document.set_frame(5)
    panel = workspace.history_panel
    texts = [panel.steps.index(row).data() for row in range(panel.steps.rowCount())]
    assert texts[-1].endswith("· frame 0")
    panel.view.clicked.emit(panel.steps.index(1))
    assert workspace.document.frame == 0


@pytest.mark.parametrize(
    ("key", "modifiers", "frame"),
    [
        (Qt.Key.Key_Left, CTRL, 0),
        (Qt.Key.Key_Right, CTRL, 6),
        (Qt.Key.Key_Home, Qt.KeyboardModifier.NoModifier, 0),
        (Qt.Key.Key_End, Qt.KeyboardModifier.NoModifier, LAST),
        (Qt.Key.Key_N, Qt.KeyboardModifier.NoModifier, 2),
    ],
)
def test_a_jump_stops_the_video_where_it_goes(
    window: MainWindow,
    workspace: Workspace,
    key: Qt.Key,
    modifiers: Qt.KeyboardModifier,
    frame: int,
) -> None:
    from tests.gui.recording_annotator import record_of, set_records

    document = workspace.document
    one = document.add_object("dog")
    set_records(
        document,
        {
            0: record_of([one], FrameStatus.CORRECTED),
            2: record_of([one], FrameStatus.TRACKED, doubt=0.9),
            6: record_of([one], FrameStatus.CORRECTED),
        },
    )
    document.set_frame(3)
    window.update_state()
    workspace.player.play(0.01)  # slow: however busy the machine, no later frame is due
    press(window, key, modifiers)
    assert not workspace.player.is_playing
    assert document.frame == frame


def test_paging_in_the_timeline_stops_the_video(window: MainWindow, workspace: Workspace) -> None:
    workspace.timeline.setFocus()
    press(window, Qt.Key.Key_Space)
    press(window, Qt.Key.Key_PageDown)
    assert not workspace.player.is_playing
    assert workspace.document.frame == LAST


def test_enter_and_undo_are_the_polygons_while_one_is_open(
    window: MainWindow, workspace: Workspace
) -> None:
    document, viewport = workspace.document, workspace.canvas.viewport()
    document.add_object("dog")
    steps = document.session.history.position
    press(window, Qt.Key.Key_L)
    for corner in ((10, 10), (40, 10), (40, 40), (55, 45), (10, 40)):
        at = place(workspace, *corner)
        QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=at, delay=600)
    press(window, Qt.Key.Key_Backspace)
    press(window, Qt.Key.Key_Z, CTRL)
    assert document.session.history.position == steps
    press(window, Qt.Key.Key_Return)
    record = document.annotation.record(0)
    assert record.status is FrameStatus.CORRECTED  # drawn, and not confirmed
    assert document.annotation.labels(0)[15, 35] == 1
    assert document.annotation.labels(0)[38, 12] == 0
    press(window, Qt.Key.Key_Return)
    assert document.annotation.record(0).status is FrameStatus.CONFIRMED


def test_escape_takes_no_other_objects_click_back(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    document, annotator = workspace.document, workspace.annotator
    annotator.prompts.click(15, 15)
    wait_until_idle(workspace, qtbot)
    document.add_object("cat")
    annotator.prompts.click(45, 35)
    wait_until_idle(workspace, qtbot)
    press(window, Qt.Key.Key_1)
    assert workspace.canvas.markers.items == ()
    before = document.annotation.record(0)
    press(window, Qt.Key.Key_Escape)
    wait_until_idle(workspace, qtbot)
    assert document.annotation.record(0) == before
    press(window, Qt.Key.Key_2)
    assert len(workspace.canvas.markers.items) == 1
    press(window, Qt.Key.Key_Escape)
    wait_until_idle(workspace, qtbot)
    assert document.annotation.labels(0)[35, 45] == 0


def test_a_stroke_on_a_hidden_object_is_seen_while_it_is_drawn(
    window: MainWindow, workspace: Workspace
) -> None:
    document, viewport = workspace.document, workspace.canvas.viewport()
    document.add_object("dog")
    press(window, Qt.Key.Key_H, CTRL)
    assert not document.is_shown(1)
    press(window, Qt.Key.Key_P)
    left = Qt.MouseButton.LeftButton
    QTest.mousePress(viewport, left, Qt.KeyboardModifier.NoModifier, place(workspace, 20, 20))
    assert document.is_shown(1)
    assert "dog" in workspace.banner.text
    QTest.mouseRelease(viewport, left, Qt.KeyboardModifier.NoModifier, place(workspace, 20, 20))
    assert document.annotation.labels(0)[20, 20] == 1
