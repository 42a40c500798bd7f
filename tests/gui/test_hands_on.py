"""What new users stumbled over, in the whole window, with real mouse and keys."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QInputDialog, QLineEdit, QMenu, QWidget
from pytestqt.qtbot import QtBot

from gui.dialogs.commands import CheatSheet, CommandSearch, ShortcutsDialog
from gui.dialogs.export import ExportDialog
from gui.dialogs.preferences import PreferencesDialog
from gui.preferences import RecentProject
from gui.timeline.painting import HEADER_PX
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.document import ViewMode
from gui.work.operations import Busy
from interaction.annotation.annotation import make_record
from interaction.annotation.edits import OKABE_ITO, next_color
from interaction.annotation.types import Edit, FrameStatus, Stroke
from interaction.formats.format import read_layer_picture
from interaction.formats.looks import color_table, draw_view
from interaction.video.video import open_video
from tests import tiny
from tests.gui.windows import click, is_idle, once_at, press

ALT, CTRL = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.ControlModifier
SHIFT, NO_KEY = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.NoModifier
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
DAB = Stroke(((20.0, 20.0),), 6)
OTHER = Stroke(((45.0, 35.0),), 4)


def put_tracked(workspace: Workspace, frames: range) -> int:
    """Masks as a workspace of another program has them: tracked, none given."""
    document = workspace.document
    object_id = document.add_object("bear")
    labels = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    labels[10:30, 10:30] = object_id
    record = make_record(labels, FrameStatus.TRACKED)
    before = {frame: document.annotation.record(frame) for frame in frames}
    assert document.apply(Edit("Import", before, dict.fromkeys(frames, record)))
    return object_id


def test_masks_without_a_given_frame_are_a_start(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    put_tracked(workspace, range(3))
    panel = workspace.propagation_panel
    assert panel.forward.isEnabled()
    assert panel.both.isEnabled()
    workspace.document.set_frame(5)
    assert not panel.forward.isEnabled()
    assert "go to a frame that has one" in panel.reason.text()
    workspace.document.set_frame(2)
    assert panel.back.isEnabled()
    qtbot.mouseClick(panel.forward, LEFT)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    assert set(workspace.document.annotation.records) == set(range(8))


def test_masks_are_a_start_again_once_the_last_confirmation_is_taken_back(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    put_tracked(workspace, range(3))
    panel = workspace.propagation_panel
    press(window, Qt.Key.Key_Return)
    assert workspace.document.annotation.record(0).status is FrameStatus.CONFIRMED
    press(window, Qt.Key.Key_C, SHIFT)
    assert not any(one.status.is_given for one in workspace.document.annotation.records.values())
    workspace.document.set_frame(2)
    assert panel.forward.isEnabled()
    assert panel.back.isEnabled()
    qtbot.mouseClick(panel.forward, LEFT)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    assert set(workspace.document.annotation.records) == set(range(8))


def test_the_only_object_that_is_removed_from_a_frame_stays_away(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    workspace.annotator.hand.stroke(DAB)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    document = workspace.document
    document.set_frame(4)
    press(window, Qt.Key.Key_Delete)
    record = document.annotation.record(4)
    assert record.status is FrameStatus.CORRECTED
    assert not record.present
    assert record.given == {1}
    document.set_frame(0)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    assert document.annotation.record(4) == record


# What the offscreen platform says of menus.
@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_alt_h_opens_help_and_fill_holes_says_what_it_did(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    workspace.annotator.hand.fill([(10, 10), (40, 10), (40, 40), (10, 40)])
    workspace.annotator.hand.fill([(20, 20), (30, 20), (30, 30), (20, 30)], is_positive=False)
    before = workspace.document.annotation.record(0)
    press(window, Qt.Key.Key_H, ALT)
    menu = QApplication.activePopupWidget()
    assert menu is window.menus["help"]
    menu.close()
    assert workspace.document.annotation.record(0) == before
    press(window, Qt.Key.Key_L, ALT)
    assert "100 pixels of “Object 1” were filled" in workspace.banner.text
    press(window, Qt.Key.Key_L, ALT)
    assert "no hole" in workspace.banner.text


def test_removing_specks_says_how_many_and_offers_what_is_larger(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    hand = workspace.annotator.hand
    hand.fill([(5, 5), (30, 5), (30, 30), (5, 30)])
    hand.fill([(40, 5), (45, 5), (45, 10), (40, 10)])
    hand.fill([(40, 20), (50, 20), (50, 30), (40, 30)])
    press(window, Qt.Key.Key_S, ALT)
    assert "removed a piece of 25 pixels of “Object 1”" in workspace.banner.text
    press(window, Qt.Key.Key_S, ALT)
    assert "smaller than 64 pixels; the smallest has 100" in workspace.banner.text
    qtbot.mouseClick(workspace.banner.button, LEFT)
    assert "removed a piece of 100 pixels" in workspace.banner.text
    press(window, Qt.Key.Key_S, ALT)
    assert "in one piece" in workspace.banner.text


def test_a_file_that_cannot_be_opened_leaves_the_project_open(
    window: MainWindow, workspace: Workspace, tmp_path: Path, qtbot: QtBot
) -> None:
    workspace.annotator.hand.stroke(DAB)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    window.open_path(broken)
    qtbot.waitUntil(lambda: workspace.banner.isVisible(), timeout=20_000)
    assert window.workspace is workspace
    assert window.pages.currentWidget() is workspace
    assert "broken.mp4" in workspace.banner.text
    workspace.annotator.hand.stroke(OTHER)
    assert workspace.document.annotation.labels(0)[35, 45] == 1


def test_what_is_open_is_not_opened_twice(
    window: MainWindow, workspace: Workspace, tmp_path: Path, qtbot: QtBot
) -> None:
    window.open_path(tmp_path / "clip")
    qtbot.waitUntil(lambda: "open already" in workspace.banner.text)
    assert window.workspace is workspace
    assert window.pages.currentWidget() is workspace


def test_another_project_takes_the_place_of_the_open_one_once_it_is_ready(
    window: MainWindow, workspace: Workspace, tmp_path: Path, qtbot: QtBot
) -> None:
    tiny.write_clip(tmp_path / "other", 4)
    window.open_path(tmp_path / "other")
    assert window.workspace is workspace
    qtbot.waitUntil(lambda: window.workspace not in (workspace, None), timeout=20_000)
    assert window.workspace is not None
    assert window.workspace.document.frame_count == 4


def test_enter_after_a_new_object_names_it_and_confirms_nothing(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    workspace.annotator.hand.stroke(DAB)
    before = workspace.document.annotation.record(0)
    press(window, Qt.Key.Key_N, CTRL)
    press(window, Qt.Key.Key_Return)
    editor = QApplication.focusWidget()
    assert isinstance(editor, QLineEdit)
    QTest.keyClicks(editor, "cub")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: workspace.document.objects[1].name == "cub")
    assert workspace.document.annotation.record(0) == before
    workspace.canvas.setFocus()
    press(window, Qt.Key.Key_Return)
    assert workspace.document.annotation.record(0).status is FrameStatus.CONFIRMED


def test_an_object_that_takes_all_pixels_of_another_says_so(
    window: MainWindow, workspace: Workspace
) -> None:
    workspace.annotator.hand.stroke(DAB)
    press(window, Qt.Key.Key_N, CTRL)
    workspace.annotator.hand.stroke(Stroke(((20.0, 20.0),), 9))
    assert "“Object 2” took all pixels of “Object 1”" in workspace.banner.text


def test_a_second_pass_says_why_and_over_which_frames(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    annotator, document = workspace.annotator, workspace.document
    annotator.hand.stroke(DAB)
    texts: set[str] = set()
    ranges: set[range | None] = set()

    def correct() -> None:
        document.set_frame(2)
        annotator.hand.stroke(OTHER)

    def look(_: int) -> None:
        texts.add(workspace.propagation_panel.run.reason.text())
        ranges.add(workspace.timeline.tracked_again)

    once_at(annotator, 5, correct)
    annotator.tracking.tracked.connect(look)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    assert texts == {"", "Frame 2 was corrected: tracking again over frames 2–7."}
    assert ranges == {None, range(2, 8)}
    assert workspace.timeline.tracked_again is None


def test_the_head_is_followed_while_that_is_on(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    workspace.annotator.hand.stroke(DAB)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    assert workspace.document.frame == 0
    workspace.annotator.undo()
    press(window, Qt.Key.Key_F, SHIFT)
    assert window.actions_table["track.follow"].isChecked()
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    assert workspace.document.frame == 7


def test_esc_says_at_once_that_the_run_stops(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    annotator, run = workspace.annotator, workspace.propagation_panel.run
    annotator.hand.stroke(DAB)
    shown: list[tuple[str, bool, str]] = []

    def cancel() -> None:
        QTest.keyClick(workspace.canvas, Qt.Key.Key_Escape)
        window.update_state()
        shown.append((run.figures.text(), run.cancel.isEnabled(), window.status_line.hint.text()))

    once_at(annotator, 2, cancel)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: bool(shown) and is_idle(workspace), timeout=20_000)
    [(figures, can_cancel, hint)] = shown
    assert figures == "Stopping…"
    assert not can_cancel
    assert "Stopping" in hint


def test_paused_goes_away_on_resume(window: MainWindow, workspace: Workspace, qtbot: QtBot) -> None:
    annotator, run = workspace.annotator, workspace.propagation_panel.run
    annotator.hand.stroke(DAB)
    once_at(annotator, 2, annotator.operations.pause)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.PAUSED, timeout=20_000)
    assert run.figures.text() == "Paused"
    qtbot.mouseClick(run.pause, LEFT)
    assert run.figures.text() != "Paused"
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)


def test_esc_names_the_click_that_it_removes(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    click(workspace, 20, 20)
    click(workspace, 30, 30, RIGHT)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    press(window, Qt.Key.Key_Escape)
    assert "Click 2, which takes away from “Object 1”" in workspace.banner.text
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    press(window, Qt.Key.Key_Escape)
    assert "Click 1, which adds to “Object 1”" in workspace.banner.text
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)


def test_an_object_is_cleared_from_a_frame_on_and_stays_away(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    document = workspace.document
    workspace.annotator.hand.stroke(DAB)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    steps = len(workspace.session.history.entries)
    document.set_frame(5)
    window.actions_table["edit.clear_from"].trigger()
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    present = [bool(document.annotation.record(frame).present) for frame in range(8)]
    assert present == [True] * 5 + [False] * 3
    assert len(workspace.session.history.entries) == steps + 1
    document.set_frame(0)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    assert [bool(document.annotation.record(frame).present) for frame in range(8)] == present


def test_an_object_is_cleared_in_a_range(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    document = workspace.document
    put_tracked(workspace, range(8))
    window.update_state()
    window.actions_table["edit.clear_range"].trigger()
    assert "no range" in workspace.banner.text
    document.set_range(2, 4)
    window.actions_table["edit.clear_range"].trigger()
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    gone = [frame for frame in range(8) if not document.annotation.record(frame).present]
    assert gone == [2, 3, 4]
    press(window, Qt.Key.Key_Z, CTRL)
    assert all(document.annotation.record(frame).present for frame in range(8))


def test_the_brush_has_a_slider_while_a_tool_with_a_brush_is_chosen(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    slider = window.status_line.brush_slider
    window.update_state()
    assert not slider.isVisible()
    press(window, Qt.Key.Key_P)
    qtbot.waitUntil(slider.isVisible)
    before = slider.value()
    press(window, Qt.Key.Key_BracketRight)
    assert slider.value() > before
    slider.setFocus()
    press(window, Qt.Key.Key_End)
    assert workspace.document.brush_radius_px == pytest.approx(500)
    press(window, Qt.Key.Key_Home)
    assert workspace.document.brush_radius_px < 1


def test_a_new_object_has_a_colour_that_stands_out_on_the_frame() -> None:
    orange = np.full((40, 60, 3), OKABE_ITO[0], np.uint8)
    assert next_color((), np.zeros_like(orange)) == OKABE_ITO[0]
    assert next_color((), orange) not in (OKABE_ITO[0], OKABE_ITO[5])


def menu_texts() -> list[str]:
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    texts = [action.text() for action in menu.actions() if not action.isSeparator()]
    menu.close()
    return texts


def ask_for_menu(
    widget: QWidget, at: QPoint, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, widget.mapToGlobal(at), modifiers)
    QApplication.sendEvent(widget, event)


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_the_timeline_has_a_menu_for_the_frame_under_the_pointer(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    put_tracked(workspace, range(8))
    timeline = workspace.timeline
    x = HEADER_PX + 1 + round(timeline.scale.center(5))
    ask_for_menu(timeline.viewport(), QPoint(x, 40))
    assert workspace.document.frame == 5
    texts = menu_texts()
    assert {"Range begins here", "Confirm this frame", "Clear the object from here on"} <= set(
        texts
    )
    assert {"Clear the object in the range", "Next frame to annotate"} <= set(texts)
    window.actions_table["go.copy_frame"].trigger()
    assert QApplication.clipboard().text() == "5"


def test_the_key_to_the_next_frame_says_when_there_is_none(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    workspace.annotator.hand.stroke(DAB)
    with qtbot.waitSignal(workspace.document.noticed, timeout=20_000) as noticed:
        press(window, Qt.Key.Key_N)
    [text] = noticed.args
    assert text.startswith("Nothing is tracked yet.")
    assert workspace.document.frame == 0


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_the_picture_has_a_menu_for_the_object_under_the_pointer(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    put_tracked(workspace, range(8))
    workspace.document.add_object("other")
    at = workspace.canvas.to_viewport(QPointF(20, 20)).toPoint()
    ask_for_menu(workspace.canvas.viewport(), at)
    assert QApplication.activePopupWidget() is None  # with the click tool the right button clicks
    ask_for_menu(workspace.canvas.viewport(), at, CTRL)
    assert "Clear the object on this frame" in menu_texts()
    assert workspace.document.current_object == 1
    workspace.document.set_current_object(2)
    workspace.document.set_tool("select")
    ask_for_menu(workspace.canvas.viewport(), at)
    assert "Lock or unlock" in menu_texts()
    assert workspace.document.current_object == 1


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("overlay-video", ViewMode.LAYER),
        ("overlay-pictures", ViewMode.LAYER),
        ("overlay-pictures", ViewMode.SIDE_BY_SIDE),
        ("overlay-pictures", ViewMode.MASK),
    ],
)
def test_a_view_is_exported_as_it_is_seen_also_with_a_layer(
    name: str,
    mode: ViewMode,
    window: MainWindow,
    workspace: Workspace,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    document = workspace.document
    put_tracked(workspace, range(8))
    Image.new("RGB", (tiny.WIDTH, tiny.HEIGHT), (200, 30, 40)).save(tmp_path / "beach.png")
    document.set_layer(str(tmp_path / "beach.png"))
    document.set_view_mode(mode)
    window.preferences.last_folder = str(tmp_path)
    press(window, Qt.Key.Key_E, CTRL)
    [dialog] = [w for w in QApplication.topLevelWidgets() if isinstance(w, ExportDialog)]
    item = dialog.item_of(name)
    dialog.formats.scrollToItem(item)
    at = dialog.formats.visualItemRect(item).center()
    qtbot.mouseClick(dialog.formats.viewport(), LEFT, pos=at)
    qtbot.waitUntil(dialog.export_button.isEnabled, timeout=20_000)
    target = Path(dialog.target.text())
    qtbot.mouseClick(dialog.export_button, LEFT)
    qtbot.waitUntil(dialog.show_button.isVisible, timeout=20_000)
    dialog.close()
    with open_video(target) as made:
        assert len(made) == document.frame_count
        found = _coarse(made[3])
    seen = draw_view(
        document.video[3],
        document.annotation.labels(3),
        color_table(document.objects),
        mode,
        opacity=document.opacity,
        outline_px=document.outline_px,
        layer=read_layer_picture(tmp_path / "beach.png") if mode is ViewMode.LAYER else None,
    )
    assert np.abs(found - _coarse(seen)).mean() < (8 if target.suffix else 0.1)
    if mode is ViewMode.LAYER:
        assert np.abs(found[-1, -1] - (200, 30, 40)).max() < 25  # the beach, not the video


def _coarse(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Blocks of 4 x 4 pixels: a codec keeps colours in coarser blocks than brightness."""
    small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.int64)


def test_commands_are_found_by_other_words_and_no_match_is_shown_as_such(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    press(window, Qt.Key.Key_P, CTRL | SHIFT)
    [dialog] = [w for w in QApplication.topLevelWidgets() if isinstance(w, CommandSearch)]

    def found(text: str) -> list[str]:
        dialog.search.clear()
        QTest.keyClicks(dialog.search, text)
        return [dialog.list.item(row).text() for row in range(dialog.list.count())]

    for words, title in {
        "propagate": "Track forward",
        "theme": "Preferences",
        "dark": "Preferences",
        "brush size": "Larger brush",
        "rubber": "Eraser",
    }.items():
        assert any(text.startswith(title) for text in found(words)), words
    assert found("zzz") == ["No command fits “zzz”."]
    QTest.keyClick(dialog.search, Qt.Key.Key_Return)
    assert dialog.isVisible()
    dialog.close()


def test_keys_are_changed_from_the_preferences_and_from_the_cheat_sheet(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    def editors() -> list[QWidget]:
        return [w for w in QApplication.topLevelWidgets() if isinstance(w, ShortcutsDialog)]

    press(window, Qt.Key.Key_Comma, CTRL)
    [preferences] = [w for w in QApplication.topLevelWidgets() if isinstance(w, PreferencesDialog)]
    qtbot.mouseClick(preferences.keys, LEFT)
    [editor] = editors()
    editor.close()
    preferences.close()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    press(window, Qt.Key.Key_F1)
    [sheet] = [w for w in QApplication.topLevelWidgets() if isinstance(w, CheatSheet)]
    assert sheet.width() <= 1280
    assert sheet.height() <= 760
    qtbot.waitUntil(lambda: sheet.is_whole)
    qtbot.mouseClick(sheet.change, LEFT)
    assert [w for w in editors() if w.isVisible()]
    for dialog in (*editors(), sheet):
        dialog.close()


def test_return_and_down_work_in_the_search_of_recent_projects(
    window: MainWindow, workspace: Workspace, tmp_path: Path, qtbot: QtBot
) -> None:
    for number in range(5):
        folder = tmp_path / f"other {number}.vos"
        folder.mkdir()
        (folder / "project.json").touch()
        window.preferences.add_recent(RecentProject(str(folder), f"other {number}", 1.0))
    assert window.close_session()
    wanted: list[str] = []
    window.welcome.path_wanted.disconnect()
    window.welcome.path_wanted.connect(wanted.append)
    recent = window.welcome.recent
    recent.search.setFocus()
    QTest.keyClicks(recent.search, "other 3")
    QTest.keyClick(recent.search, Qt.Key.Key_Return)
    assert [Path(path).name for path in wanted] == ["other 3.vos"]
    QTest.keyClick(recent.search, Qt.Key.Key_Down)
    assert recent.view.hasFocus()
    assert recent.view.currentIndex().row() == 0


def test_nothing_appears_beside_a_video_that_is_only_looked_at(
    window: MainWindow, workspace: Workspace, tmp_path: Path
) -> None:
    workspace.document.set_frame(3)
    assert window.status_line.saved.text() == "no changes"
    assert window.close_session()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["clip"]
    assert window.preferences.recent() == []


def test_the_project_is_made_with_the_first_edit(
    window: MainWindow, workspace: Workspace, tmp_path: Path, qtbot: QtBot
) -> None:
    press(window, Qt.Key.Key_P)
    click(workspace, 20, 20)
    kept = workspace.document.annotation.record(0)
    assert kept.mask is not None
    assert (tmp_path / "clip.vos").is_dir()
    assert [project.name for project in window.preferences.recent()] == ["clip"]
    assert window.close_session()
    assert (tmp_path / "clip.vos" / "thumbnail.jpg").is_file()
    window.open_path(tmp_path / "clip")
    qtbot.waitUntil(lambda: window.workspace is not None, timeout=20_000)
    assert window.workspace is not None
    assert window.workspace.document.annotation.record(0) == kept


def test_the_range_is_cleaned_up_in_one_step(
    window: MainWindow, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    document = workspace.document
    put_tracked(workspace, range(8))
    document.set_range(2, 4)
    before = document.annotation.labels(3).copy()
    monkeypatch.setattr(QInputDialog, "getItem", lambda *_, **__: ("Shrink", True))
    window.update_state()
    window.actions_table["edit.clean_range"].trigger()
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    areas_px = [int((document.annotation.labels(frame) == 1).sum()) for frame in range(8)]
    assert areas_px == [400] * 2 + [324] * 3 + [400] * 3
    assert document.annotation.record(3).status is FrameStatus.TRACKED
    press(window, Qt.Key.Key_Z, CTRL)
    assert np.array_equal(document.annotation.labels(3), before)
