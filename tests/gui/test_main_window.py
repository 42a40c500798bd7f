"""The window: what is opened, closed, refused and asked; nothing is lost on the way."""

import errno
import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from gui.preferences import Preferences, RecentProject
from gui.window.bars import hint_for
from gui.window.main_window import MainWindow
from gui.window.remembering import keep_thumbnail
from gui.window.workspace import Workspace
from gui.work.operations import Busy
from interaction.annotation.types import Stroke
from interaction.errors import DiskFullError
from interaction.project import writer as saver
from interaction.project.project import Project
from tests.gui.windows import press, press_when_asked
from xmem_core import Tracker

DAB = Stroke(((20.0, 20.0),), 6)


def test_a_folder_that_is_dropped_is_opened(window: MainWindow, clip: Path, qtbot: QtBot) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(clip))])
    window.dropEvent(
        QDropEvent(
            QPointF(10, 10),
            Qt.DropAction.CopyAction,
            data,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )
    qtbot.waitUntil(lambda: window.workspace is not None, timeout=20_000)


def test_work_is_kept_beside_the_video_and_found_when_the_video_is_opened_again(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path, tmp_path: Path
) -> None:
    workspace = open_path(clip)
    workspace.annotator.hand.stroke(DAB)
    kept = workspace.document.annotation.record(0)
    assert window.close_session()
    assert (tmp_path / "clip.vos" / "project.json").is_file()
    assert open_path(clip).document.annotation.record(0) == kept


def test_a_project_is_on_the_list_of_recent_ones_with_a_picture(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    tmp_path: Path,
    preferences: Preferences,
    qtbot: QtBot,
) -> None:
    workspace = open_path(clip)
    workspace.document.add_object("bear")
    qtbot.waitUntil(lambda: workspace.canvas.shown_frame == 0)
    assert window.close_session()
    assert [one.folder for one in preferences.recent()] == [str(tmp_path / "clip.vos")]
    assert (tmp_path / "clip.vos" / "thumbnail.jpg").is_file()


def test_a_project_that_is_closed_before_its_first_picture_keeps_the_one_it_had(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path, tmp_path: Path
) -> None:
    document = open_path(clip).document
    document.add_object("bear")
    document.set_frame(5)
    assert window.close_session()
    picture = tmp_path / "clip.vos" / "thumbnail.jpg"
    picture.write_bytes(b"of the last time")
    kept = []

    def look(_: object) -> None:
        assert window.workspace is not None
        keep_thumbnail(window.workspace)
        kept.append((window.workspace.canvas.shown_frame, picture.read_bytes()))

    window.session_opened.connect(look)
    open_path(clip)
    assert kept == [(-1, b"of the last time")]


def test_recent_projects_can_be_chosen_from_the_menu_once_there_are_some(
    window: MainWindow, preferences: Preferences, tmp_path: Path
) -> None:
    """As it was opened in vain before."""
    file_menu = window.menus["file"]
    [recent] = [menu for menu in window.findChildren(QMenu) if menu.title() == "Open recent"]
    for folders in ([], [tmp_path / "Tom & Jerry.vos"]):
        for folder in folders:
            preferences.add_recent(RecentProject(str(folder), "Tom & Jerry", 0.0, 0, 1))
        file_menu.aboutToShow.emit()
        recent.aboutToShow.emit()
        assert recent.menuAction().isEnabled() == bool(folders)
    assert [action.text() for action in recent.actions()] == ["Tom && Jerry"]


def test_the_list_of_recent_projects_counts_masks_while_a_project_is_open(
    workspace: Workspace, qtbot: QtBot, tmp_path: Path
) -> None:
    """A program that is killed while it tracks does not come to close its project."""
    workspace.annotator.hand.stroke(DAB)
    qtbot.mouseClick(workspace.propagation_panel.forward, Qt.MouseButton.LeftButton)

    def is_counted() -> bool:
        kept = Preferences(tmp_path / "preferences.json").recent()
        return [(one.frames_done, one.frame_count) for one in kept] == [(8, 8)]

    qtbot.waitUntil(is_counted, timeout=20_000)


def test_nothing_holds_a_project_that_is_closed(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path, qtbot: QtBot
) -> None:
    session = weakref.ref(open_path(clip).session)
    assert window.close_session()

    def is_gone() -> bool:
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
        return session() is None

    qtbot.waitUntil(is_gone, timeout=20_000)


def test_a_project_that_is_open_elsewhere_can_be_looked_at(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    open_path(clip).annotator.hand.stroke(DAB)
    assert window.close_session()
    with Project.open(tmp_path / "clip.vos"):
        window.open_path(tmp_path / "clip.vos")
        banner = window.welcome.banner
        qtbot.waitUntil(banner.isVisible, timeout=20_000)
        qtbot.mouseClick(banner.button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: window.workspace is not None, timeout=20_000)
        workspace = window.workspace
        assert workspace is not None
        assert workspace.session.ledger.is_read_only
        assert not window.actions_table["track.forward"].isEnabled()
        assert window.close_session()


def test_a_video_that_was_renamed_is_asked_about_and_never_guessed(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    open_path(clip).annotator.hand.stroke(DAB)
    assert window.close_session()
    moved = clip.rename(tmp_path / "renamed")
    window.open_path(tmp_path / "clip.vos")
    banner = window.welcome.banner
    qtbot.waitUntil(banner.isVisible, timeout=20_000)
    assert window.workspace is None
    qtbot.mouseClick(banner.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.workspace is not None, timeout=20_000)
    assert window.workspace is not None
    assert window.workspace.document.video.path == moved
    assert window.workspace.document.annotation.record(0).mask is not None


def track_to_a_pause(workspace: Workspace, qtbot: QtBot) -> None:
    """A run that stands still after its third frame."""
    annotator = workspace.annotator
    annotator.hand.stroke(DAB)
    annotator.tracking.tracked.connect(
        lambda frame: annotator.operations.pause() if frame == 2 else None
    )
    annotator.tracking.start("forward")
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.PAUSED, timeout=20_000)


def test_closing_while_it_tracks_asks_and_keeps_what_is_finished(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = open_path(clip)
    track_to_a_pause(workspace, qtbot)
    asked = press_when_asked("Go on tracking")
    assert not window.close_session()
    assert window.workspace is workspace
    assert "this run can be resumed" in asked[0]
    press_when_asked("Stop tracking and close")
    assert window.close_session()
    again = open_path(tmp_path / "clip.vos")
    assert {0, 1, 2} <= set(again.document.annotation.records)
    with qtbot.waitSignal(again.document.offered, timeout=20_000) as offered:
        again.annotator.tracking.offer_resumption()
    assert "Tracking was interrupted" in offered.args[0]


def test_closing_does_not_promise_to_resume_what_is_not_kept(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(Tracker, "run_state")  # as a plug-in's model may be
    workspace = open_path(clip)
    track_to_a_pause(workspace, qtbot)
    asked = press_when_asked("Stop tracking and close")
    assert window.close_session()
    assert asked == ["Tracking is not finished. Every frame that is tracked is kept."]
    assert not (tmp_path / "clip.vos" / "unfinished.safetensors").exists()


def segmenter_of(window: MainWindow) -> Any:
    assert window.opener.engines is not None
    return window.opener.engines.segmenter()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, window: MainWindow) -> Iterator[threading.Event]:
    """Clicks are answered only once it is set."""
    is_open = threading.Event()
    discs = segmenter_of(window)
    segment = discs.segment

    def waiting(*args: Any, **settings: Any) -> Any:
        while not is_open.wait(0.01) and not settings["stop"]():
            pass
        return segment(*args, **settings)

    monkeypatch.setattr(discs, "segment", waiting)
    yield is_open
    is_open.set()


def when_asked(answer: Callable[[QMessageBox], object]) -> None:
    """As soon as a question is on the screen, which keeps everything else waiting."""

    def look() -> None:
        boxes = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox)]
        shown = [box for box in boxes if box.isVisible()]
        if shown:
            answer(shown[0])
        else:
            QTimer.singleShot(1, look)

    QTimer.singleShot(1, look)


def test_closing_waits_for_the_click_that_is_being_answered(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    tmp_path: Path,
    gate: threading.Event,
) -> None:
    workspace = open_path(clip)
    workspace.annotator.prompts.click(20, 20)
    workspace.annotator.prompts.click(30, 20)
    when_asked(lambda _: gate.set())
    assert window.close_session()
    prompts = open_path(tmp_path / "clip.vos").document.annotation.record(0).prompts
    assert prompts is not None
    assert [click.x for click in prompts.clicks] == [20, 30]


@pytest.mark.parametrize("goes_on", [True, False])
def test_the_click_that_is_being_answered_can_be_given_up(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    tmp_path: Path,
    gate: threading.Event,
    qtbot: QtBot,
    goes_on: bool,
) -> None:
    workspace = open_path(clip)
    workspace.annotator.prompts.click(20, 20)

    def answer(box: QMessageBox) -> None:
        [leave] = [one for one in box.buttons() if "without" in one.text()]
        button = box.button(QMessageBox.StandardButton.Cancel) if goes_on else leave
        button.click()

    when_asked(answer)
    assert window.close_session() is not goes_on
    if goes_on:
        gate.set()
        qtbot.waitUntil(lambda: workspace.annotator.operations.busy is Busy.IDLE)
        assert workspace.document.annotation.record(0).mask is not None
    else:
        assert open_path(tmp_path / "clip.vos").document.annotation.records == {}


def test_a_click_that_fails_while_closing_waits_for_it_is_seen(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    gate: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = open_path(clip)

    def fail(*_: Any, **__: Any) -> None:
        gate.wait()
        raise DiskFullError(clip)

    monkeypatch.setattr(segmenter_of(window), "segment", fail)
    workspace.annotator.prompts.click(20, 20)
    when_asked(lambda _: gate.set())
    assert not window.close_session()
    assert workspace.banner.isVisible()


def test_that_everything_is_saved_again_takes_the_place_of_the_message_that_it_is_not(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = open_path(clip)
    banner, fsync = workspace.banner, os.fsync
    workspace.document.add_object("bear")
    workspace.session.flush()
    monkeypatch.setattr(saver, "RETRY_S", 0.01)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    workspace.annotator.hand.stroke(DAB)
    qtbot.waitUntil(lambda: "full" in banner.text and banner.isVisible())
    banner.show_notice("Something else.")
    monkeypatch.setattr(os, "fsync", fsync)
    qtbot.waitUntil(lambda: "saved again" in banner.text, timeout=20_000)
    qtbot.mouseClick(banner.close_button, Qt.MouseButton.LeftButton)
    assert banner.isHidden()


def test_what_cannot_be_saved_is_not_thrown_away_without_asking(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = open_path(clip)
    workspace.annotator.hand.stroke(DAB)

    def full(*_: object) -> None:
        raise DiskFullError(clip)

    monkeypatch.setattr(workspace.session, "flush", full)
    press_when_asked("Stay open")
    assert not window.close_session()
    assert window.workspace is workspace
    monkeypatch.undo()
    assert window.close_session()


def test_digits_choose_the_object_at_that_place(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path, qtbot: QtBot
) -> None:
    document = open_path(clip).document
    first, second = document.add_object("first"), document.add_object("second")
    document.move_object(second, 0)
    qtbot.keyClick(window, "2")
    assert document.current_object == first


def test_keys_do_nothing_to_a_project_that_is_hidden_by_the_opening_of_another(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path, qtbot: QtBot
) -> None:
    workspace = open_path(clip)
    workspace.annotator.hand.stroke(DAB)
    workspace.player.play()
    window.update_state()
    position = workspace.session.history.position
    window.opener.started.emit("another")
    button = window.opening.findChild(QPushButton)
    assert button is not None
    qtbot.waitUntil(button.isVisible)
    press(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert workspace.session.history.position == position
    with qtbot.waitSignal(window.opening.cancelled):  # which the key of Cancel was taken for
        press(window, Qt.Key.Key_Escape)
    window.opener.cancelled.emit()
    press(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert workspace.session.history.position == position - 1
    workspace.player.stop()


def test_undo_names_what_it_undoes(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path
) -> None:
    workspace = open_path(clip)
    workspace.annotator.hand.stroke(DAB)
    window.update_state()
    assert "Paint" in window.actions_table["edit.undo"].text()
    assert window.actions_table["edit.undo"].isEnabled()
    assert not window.actions_table["edit.redo"].isEnabled()


def test_an_ampersand_in_a_name_is_seen_in_menus(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path
) -> None:
    """There a single one marks a key."""
    workspace = open_path(clip)
    pair = workspace.document.add_object("Tom & Jerry")
    window.update_state()
    assert "Tom && Jerry" in window.actions_table["edit.undo"].text()
    workspace.annotator.undo()
    window.update_state()
    assert "Tom && Jerry" in window.actions_table["edit.redo"].text()
    workspace.annotator.redo()
    workspace.document.set_current_object(workspace.document.add_object("cat"))
    menu = workspace.objects_panel.menus.others(lambda one: None)
    assert [action.text() for action in menu.actions()] == ["Tom && Jerry"], pair


def test_the_tip_of_undo_names_no_step_after_keys_were_changed(
    window: MainWindow, open_path: Callable[[Path], Workspace], clip: Path
) -> None:
    """It would still name it after the next."""
    open_path(clip).annotator.hand.stroke(DAB)
    window.update_state()
    window.actions_table.change_keys({"edit.undo": ["Ctrl+U"]})
    assert window.actions_table["edit.undo"].toolTip() == "Undo (Ctrl+U)"


@pytest.mark.parametrize(("first", "last", "key"), [(0, 7, "F"), (0, 3, "B"), (3, 3, None)])
def test_the_hint_names_the_direction_in_which_there_is_something_to_track(
    open_path: Callable[[Path], Workspace], clip: Path, first: int, last: int, key: str | None
) -> None:
    workspace = open_path(clip)
    workspace.document.set_range(first, last)
    workspace.document.set_frame(3)
    workspace.annotator.hand.stroke(DAB)
    hint = hint_for(workspace)
    assert [one for one in "FB" if f"Looks right? {one} follows it" in hint] == list(key or "")


def test_a_copy_is_a_project_of_its_own_with_the_same_masks(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = open_path(clip)
    first.annotator.hand.stroke(DAB)
    kept = first.document.annotation.record(0)
    target = tmp_path / "a copy.vos"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    window.update_state()
    window.actions_table["file.save_copy"].trigger()
    qtbot.waitUntil(
        lambda: window.workspace is not None and window.workspace is not first, timeout=20_000
    )
    workspace = window.workspace
    assert workspace is not None
    assert workspace.session.project is not None
    assert workspace.session.project.folder == target
    assert workspace.document.annotation.record(0) == kept
