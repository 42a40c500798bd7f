"""Import and export show before what they will do, in words and in a picture."""

import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QMainWindow,
    QWidget,
)
from pytestqt.qtbot import QtBot

from gui.dialogs import export as export_picture
from gui.dialogs import import_masks
from gui.dialogs.export import ExportDialog
from gui.dialogs.frame_preview import FramePreview
from gui.dialogs.import_masks import ImportDialog
from gui.preferences import Preferences
from gui.window.handlers import verify_export
from gui.window.workspace import Workspace
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.annotation.requests import StrokeRequest
from interaction.annotation.types import FrameStatus, Stroke
from interaction.formats.import_plan import preview_import
from tests import tiny
from tests.frames import write_video
from tests.gui.windows import shown
from xmem_core.arrays import Labels

DAB = Stroke(((20.0, 20.0),), 6)
DOG, CAT = 1, 2
Open = Callable[[], Any]


@pytest.fixture
def open_import(
    annotator: Annotator,
    document: Document,
    preferences: Preferences,
    owner: QMainWindow,
    qtbot: QtBot,
) -> Open:
    document.add_object("dog")
    document.add_object("cat")

    def open_import() -> ImportDialog:
        dialog = ImportDialog(document, annotator, preferences, owner)
        shown(dialog, qtbot)
        return dialog

    return open_import


@pytest.fixture
def open_export(
    annotator: Annotator,
    document: Document,
    preferences: Preferences,
    owner: QMainWindow,
    qtbot: QtBot,
) -> Open:
    document.add_object("dog")
    document.add_object("cat")
    document.session.set_mask(2, tiny.labels(2))
    document.masks_changed.emit({2})
    document.set_frame(2)

    def open_export() -> ExportDialog:
        dialog = ExportDialog(document, annotator, preferences, owner)
        shown(dialog, qtbot)
        # The first picture is no answer to what is changed next.
        qtbot.waitUntil(lambda: dialog.picture.preview.picture.image is not None, timeout=20_000)
        return dialog

    return open_export


def masks(folder: Path, dog: int = DOG, cat: int = CAT, frames: Any = range(6)) -> Path:
    for frame in frames:
        tiny.write_mask(folder, frame, tiny.labels(frame, dog, cat))
    return folder


def pixels(preview: FramePreview) -> NDArray[np.uint8]:
    """(H, W, 3) of what is shown."""
    assert preview.picture.image is not None
    image = preview.picture.image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def next_picture(preview: FramePreview, change: Callable[[], object], qtbot: QtBot) -> None:
    """Makes a change and waits for the picture that follows from it."""
    with qtbot.waitSignal(preview.shown, timeout=20_000):
        change()


def looked(dialog: ImportDialog, path: Path, qtbot: QtBot) -> None:
    next_picture(dialog.picture, lambda: dialog.look(path), qtbot)


def test_an_import_says_beforehand_what_it_will_leave_alone(
    open_import: Open, document: Document, tmp_path: Path, qtbot: QtBot
) -> None:
    document.session.do(StrokeRequest(2, CAT, DAB))
    document.set_locked(CAT, True)
    masks(tmp_path / "m", frames=(0, 1, 2))
    masks(tmp_path / "m", 0, 0, frames=(3, 4))
    dialog = open_import()
    looked(dialog, tmp_path / "m", qtbot)
    text = dialog.report.toPlainText()
    assert "2 frames will be imported: 0-1" in text
    assert "1 frame left alone, made or confirmed by hand: 2" in text
    assert "2 frames left alone, nothing of the objects is in the mask: 3-4" in text
    assert "‘cat’ is locked: nothing of it is imported" in text
    dialog.takes_empty.setChecked(True)
    dialog.replaces_given.setChecked(True)
    text = dialog.report.toPlainText()
    assert "5 frames will be imported: 0-4" in text
    assert "None of the objects will be on 2 frames: 3-4" in text
    dialog.start()
    qtbot.waitUntil(lambda: 4 in document.annotation.records, timeout=20_000)
    assert document.annotation.record(0).status is FrameStatus.CORRECTED
    assert document.annotation.record(0).given == {DOG}


def test_nothing_to_import_is_shown_before_the_import(
    open_import: Open, document: Document, tmp_path: Path, qtbot: QtBot
) -> None:
    dialog = open_import()
    looked(dialog, masks(tmp_path / "m", cat=0), qtbot)
    assert dialog.import_button.isEnabled()
    box = dialog.table.cellWidget(0, 2)
    assert isinstance(box, QComboBox)
    box.setCurrentIndex(box.findData(0))  # left out
    assert not dialog.import_button.isEnabled()
    assert "every object is left out" in dialog.report.toPlainText()
    box.setCurrentIndex(box.findData(CAT))
    assert dialog.import_button.isEnabled()
    dialog.close()


def test_what_is_chosen_for_an_import_stays_while_many_frames_are_being_changed(
    open_import: Open, annotator: Annotator, document: Document, tmp_path: Path, qtbot: QtBot
) -> None:
    dialog = open_import()
    annotator.hand.stroke(DAB)
    annotator.tracking.start()
    annotator.operations.pause()
    dialog.look(masks(tmp_path / "masks"))
    qtbot.waitUntil(dialog.import_button.isEnabled)
    dialog.import_button.click()
    assert dialog.isVisible()
    assert "Wait" in dialog.report.toPlainText()
    annotator.cancel()
    qtbot.waitUntil(lambda: not annotator.tracking.is_running)
    dialog.import_button.click()
    qtbot.waitUntil(lambda: document.session.history.entries[-1].label.startswith("Import"))
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE)


def assert_drawn(preview: FramePreview, document: Document, frame: int, labels: Labels) -> None:
    """The objects are drawn over the video's frame, with outlines beside them, and nothing else."""
    is_drawn = (pixels(preview) != document.video[frame]).any(axis=2)
    assert is_drawn[labels > 0].all()
    near = cv2.dilate((labels > 0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert near[is_drawn].all()


def test_an_import_shows_its_masks_over_the_video_on_whichever_frame_is_chosen(
    open_import: Open, document: Document, tmp_path: Path, qtbot: QtBot
) -> None:
    document.session.do(StrokeRequest(4, CAT, DAB))
    dialog = open_import()
    looked(dialog, masks(tmp_path / "m", cat=0, frames=(1, 3, 4)), qtbot)
    preview = dialog.picture
    assert preview.frame == 1  # the first that there is from the current one on
    assert_drawn(preview, document, 1, tiny.labels(1, 1, 0))
    next_picture(preview, lambda: preview.choose(3), qtbot)
    assert_drawn(preview, document, 3, tiny.labels(3, 1, 0))
    assert "right" in preview.caption.text()
    next_picture(preview, lambda: preview.choose(4), qtbot)
    assert "left alone" in preview.caption.text()
    next_picture(preview, lambda: dialog.keeps_others.setChecked(False), qtbot)
    assert_drawn(preview, document, 4, tiny.labels(4, 1, 0))
    dialog.close()


def test_another_folder_is_looked_at_without_waiting_for_the_first(
    open_import: Open, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = _held_up(monkeypatch)
    masks(tmp_path / "first", cat=0)
    masks(tmp_path / "second", dog=0, frames=(1, 2))
    dialog = open_import()
    dialog.look(tmp_path / "first")
    looked(dialog, tmp_path / "second", qtbot)
    assert stopped == ["first"]
    assert dialog.path.text() == str(tmp_path / "second")
    assert "2 frames: 1-2" in dialog.report.toPlainText()
    dialog.close()


def test_what_was_found_elsewhere_is_not_imported_once_another_path_is_typed(
    open_import: Open, tmp_path: Path, qtbot: QtBot
) -> None:
    masks(tmp_path / "first", cat=0)
    masks(tmp_path / "firsts", dog=0, frames=(1, 2))
    dialog = open_import()
    looked(dialog, tmp_path / "first", qtbot)
    assert dialog.import_button.isEnabled()
    qtbot.keyClicks(dialog.path, "s")
    assert not dialog.import_button.isEnabled()
    assert "Press Enter" in dialog.report.toPlainText()
    next_picture(dialog.picture, lambda: qtbot.keyClick(dialog.path, Qt.Key.Key_Return), qtbot)
    assert dialog.import_button.isEnabled()
    assert "2 frames: 1-2" in dialog.report.toPlainText()
    dialog.close()


def test_what_is_being_looked_at_is_left_once_another_path_is_typed(
    open_import: Open,
    annotator: Annotator,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = _held_up(monkeypatch)
    masks(tmp_path / "first")
    dialog = open_import()
    dialog.look(tmp_path / "first")
    qtbot.keyClicks(dialog.path, "s")
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE)
    assert stopped == ["first"]
    assert "Press Enter" in dialog.report.toPlainText()
    assert not dialog.import_button.isEnabled()
    dialog.close()


def test_an_import_is_left_at_once_while_it_looks(
    open_import: Open,
    annotator: Annotator,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = _held_up(monkeypatch)
    masks(tmp_path / "first")
    dialog = open_import()
    dialog.look(tmp_path / "first")
    dialog.reject()
    qtbot.waitUntil(lambda: annotator.operations.busy.value == "idle", timeout=20_000)
    assert stopped == ["first"]


def _held_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Looking at the folder “first” takes for ever, unless it is stopped: then its name is here."""
    stopped: list[str] = []
    real = preview_import

    def slow(path: Path, video: Any, annotation: Any, *, on_progress: Any, **where: Any) -> Any:
        if path.name != "first":
            return real(path, video, annotation, on_progress=on_progress, **where)
        pause = threading.Event()
        try:
            while not pause.wait(0.005):
                on_progress(1, 100)
        finally:
            stopped.append(path.name)

    monkeypatch.setattr(import_masks, "preview_import", slow)
    return stopped


def test_pictures_are_never_made_on_the_windows_own_thread(
    open_import: Open,
    open_export: Open,
    tmp_path: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []
    for module, name in ((import_masks, "planned_picture"), (export_picture, "export_pictures")):
        real = getattr(module, name)

        def noted(*arguments: Any, real: Any = real) -> Any:
            threads.append(threading.current_thread())
            return real(*arguments)

        monkeypatch.setattr(module, name, noted)
    dialog = open_import()
    looked(dialog, masks(tmp_path / "m"), qtbot)
    dialog.close()
    assert len(threads) == 1
    export = open_export()
    next_picture(export.picture.preview, export.check, qtbot)
    export.close()
    assert len(threads) > 1
    assert threading.main_thread() not in threads


def test_an_export_shows_a_frame_as_the_format_will_have_it(
    open_export: Open, document: Document, qtbot: QtBot
) -> None:
    dialog = open_export()
    preview = dialog.picture.preview
    labels = tiny.labels(2)
    next_picture(preview, lambda: dialog.choose("palette-png"), qtbot)
    assert preview.frame == 2
    assert np.array_equal(pixels(preview).any(axis=2), labels > 0)
    next_picture(preview, lambda: dialog.choose("green-screen"), qtbot)
    assert (pixels(preview)[0, -1] == (0x00, 0xB1, 0x40)).all()
    next_picture(preview, lambda: dialog.choose("overlay-video"), qtbot)
    assert_drawn(preview, document, 2, labels)
    next_picture(preview, lambda: preview.choose(5), qtbot)
    assert np.array_equal(pixels(preview), document.video[5])
    dialog.choose("coco")
    assert preview.picture.image is None
    assert "nothing to look at" in preview.picture.text
    dialog.close()


def test_settings_and_objects_of_an_export_are_seen_at_once(
    open_export: Open, qtbot: QtBot
) -> None:
    dialog = open_export()
    preview = dialog.picture.preview
    next_picture(preview, lambda: dialog.choose("overlay-video"), qtbot)
    form = dialog._form
    view, opacity = form.widget("view"), form.widget("opacity")
    assert isinstance(view, QComboBox)
    assert isinstance(opacity, QDoubleSpinBox)
    index = view.findData("mask")
    next_picture(preview, lambda: view.setCurrentIndex(index), qtbot)
    assert np.array_equal(pixels(preview).any(axis=2), tiny.labels(2) > 0)
    cat = dialog.objects.item(1)
    next_picture(preview, lambda: cat.setCheckState(cat.checkState().Unchecked), qtbot)
    assert np.array_equal(pixels(preview).any(axis=2), tiny.labels(2, 1, 0) > 0)
    dialog.close()


def test_the_layer_of_an_export_and_the_video_are_no_targets(
    open_export: Open, document: Document, tmp_path: Path, qtbot: QtBot
) -> None:
    layer = write_video(tmp_path / "beach.mp4", 3, 48, 32)
    before = layer.read_bytes()
    dialog = open_export()
    dialog.choose("overlay-video")
    view, field = dialog._form.widget("view"), dialog._form.widget("layer")
    assert isinstance(view, QComboBox)
    view.setCurrentIndex(view.findData("layer"))
    [path_edit] = [field] if isinstance(field, QLineEdit) else field.findChildren(QLineEdit)
    QTest.keyClicks(path_edit, str(layer))
    left_edge = QPoint(8, dialog.overwrites.height() // 2)
    QTest.mouseClick(dialog.overwrites, Qt.MouseButton.LeftButton, pos=left_edge)
    assert dialog.overwrites.isChecked()
    qtbot.waitUntil(dialog.export_button.isEnabled, timeout=20_000)
    for target in (layer, document.video.path / "overlay.mp4"):
        dialog.target.setFocus()
        QTest.keyClick(dialog.target, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClicks(dialog.target, str(target))
        qtbot.waitUntil(lambda: not dialog.export_button.isEnabled(), timeout=20_000)
        assert "made from" in dialog.preview.toPlainText()
        QTest.keyClick(dialog.target, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClicks(dialog.target, str(tmp_path / "elsewhere.mp4"))
        qtbot.waitUntil(dialog.export_button.isEnabled, timeout=20_000)
    assert layer.read_bytes() == before
    dialog.close()


def test_each_file_that_a_frame_becomes_can_be_looked_at(open_export: Open, qtbot: QtBot) -> None:
    dialog = open_export()
    preview, files = dialog.picture.preview, dialog.picture.files
    next_picture(preview, lambda: dialog.choose("binary"), qtbot)
    assert [files.itemText(row) for row in range(files.count())] == [
        "001-dog/00002.png",
        "002-cat/00002.png",
    ]
    assert np.array_equal(pixels(preview)[:, :, 0] > 0, tiny.labels(2, 1, 0) > 0)
    files.setCurrentIndex(1)
    cat = tiny.labels(2, 0, 1) > 0
    qtbot.waitUntil(lambda: np.array_equal(pixels(preview)[:, :, 0] > 0, cat), timeout=20_000)
    preview.choose(4)
    qtbot.waitUntil(lambda: files.currentText() == "002-cat/00004.png", timeout=20_000)
    dialog.close()


def test_the_file_that_is_named_is_the_one_that_is_shown_once_a_mistake_is_mended(
    open_export: Open, qtbot: QtBot
) -> None:
    dialog = open_export()
    dialog.choose("binary")
    dialog.check()
    qtbot.waitUntil(lambda: dialog.picture.files.count() == 2)
    first = pixels(dialog.picture.preview)
    dialog.picture.files.setCurrentIndex(1)
    qtbot.waitUntil(lambda: bool((pixels(dialog.picture.preview) != first).any()), timeout=20_000)
    dialog.first.setValue(5)
    dialog.last.setValue(3)
    dialog.check()
    assert dialog.picture.files.count() == 0
    with qtbot.waitSignal(dialog.picture.preview.shown):
        dialog.last.setValue(5)
        dialog.first.setValue(0)
        dialog.check()
    assert dialog.picture.files.currentIndex() == 0
    assert (pixels(dialog.picture.preview) == first).all()


def test_a_mask_that_is_gone_since_it_was_looked_at_is_named_in_place_of_the_picture(
    open_import: Open, tmp_path: Path, qtbot: QtBot
) -> None:
    dialog = open_import()
    folder = masks(tmp_path / "m")
    looked(dialog, folder, qtbot)
    (folder / "00003.png").write_bytes(b"damaged")
    dialog.picture.choose(3)
    qtbot.waitUntil(lambda: "00003.png" in dialog.picture.picture.text, timeout=20_000)
    next_picture(dialog.picture, lambda: dialog.picture.choose(2), qtbot)
    dialog.close()


def test_a_long_name_is_whole_in_the_list_of_what_becomes_of_masks(
    open_import: Open, document: Document, tmp_path: Path, qtbot: QtBot
) -> None:
    document.rename_object(DOG, "moss-overgrown sandstone boulder")
    masks(tmp_path / "m")
    dialog = open_import()
    looked(dialog, tmp_path / "m", qtbot)
    for row in range(dialog.table.rowCount()):
        box = dialog.table.cellWidget(row, 2)
        assert box.width() >= box.sizeHint().width()
    dialog.close()


def test_what_a_format_asks_for_stands_in_line_with_the_rest(
    open_export: Open, qtbot: QtBot
) -> None:
    dialog = open_export()
    qtbot.waitUntil(lambda: dialog.objects.width() > 0)

    def left(widget: QWidget) -> int:
        return widget.mapTo(dialog, QPoint(0, 0)).x()

    def are_in_line(fields: list[QWidget]) -> bool:
        return {left(one) for one in fields} == {left(dialog.objects)}

    for name in ("palette-png", "overlay-video"):
        dialog.choose(name)
        rows = dialog._form.rows
        fields = [
            rows.itemAt(row, QFormLayout.ItemRole.FieldRole).widget()
            for row in range(rows.rowCount())
            if rows.itemAt(row, QFormLayout.ItemRole.LabelRole) is not None
        ]
        assert fields
        qtbot.waitUntil(partial(are_in_line, fields))
    dialog.close()


def test_an_export_is_verified_and_one_of_another_video_is_pointed_out(
    workspace: Workspace, tmp_path: Path, qtbot: QtBot
) -> None:
    workspace.document.add_object("bear")
    workspace.session.export("palette-png", tmp_path / "masks")
    heard: list[str] = []
    workspace.document.noticed.connect(heard.append)
    verify_export(workspace, tmp_path / "masks" / "frames.csv")
    qtbot.waitUntil(lambda: any("belongs to" in text for text in heard), timeout=20_000)
    table = tmp_path / "masks" / "frames.csv"
    other = re.sub(r"[0-9a-f]{64},[0-9a-f]{16}", f"{'0' * 64},{'f' * 16}", table.read_text())
    table.write_text(other)
    verify_export(workspace, table)
    qtbot.waitUntil(lambda: "does not belong" in workspace.banner.text, timeout=20_000)
