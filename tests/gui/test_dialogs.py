"""Dialogs: what they say before, what they do, and that they can be left at any time."""

from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QMainWindow,
    QSpinBox,
)
from pytestqt.qtbot import QtBot

from gui.actions.actions import Actions
from gui.dialogs.export import ExportDialog
from gui.dialogs.import_masks import ImportDialog
from gui.dialogs.models import ModelsDialog
from gui.dialogs.option_form import OptionForm
from gui.dialogs.preferences import PreferencesDialog
from gui.errors import ReportDialog
from gui.preferences import Preferences
from gui.work.annotator import Annotator
from gui.work.document import Document
from interaction.annotation.types import FrameStatus, Stroke
from interaction.formats.export import FORMATS
from interaction.models import Model, ModelStore
from tests import tiny
from tests.gui.wheel import turn_wheel
from tests.gui.windows import shown

DAB = Stroke(((20.0, 20.0),), 6)


def test_an_export_says_what_is_missing_and_then_does_it(
    annotator: Annotator,
    document: Document,
    preferences: Preferences,
    owner: QMainWindow,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    annotator.hand.stroke(DAB)
    dialog = ExportDialog(document, annotator, preferences, owner)
    shown(dialog, qtbot)
    target = tmp_path / "out"
    dialog.target.setText(str(target))
    dialog.check()
    assert "Object 1" in dialog.preview.toPlainText()
    qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(dialog.show_button.isVisible, timeout=20_000)
    assert len(list(target.rglob("*.png"))) == document.frame_count
    # What it has written is in the way of exporting again, and the dialog itself says so.
    assert not dialog.export_button.isEnabled()
    reason = dialog.preview.toPlainText().partition("\n")[0]
    failures: list[Exception] = []
    document.failed.connect(failures.append)
    dialog.start()
    qtbot.waitUntil(lambda: not dialog.bar.isVisible())
    assert dialog.status.text().startswith(reason[:30])
    assert "being written" not in dialog.status.text()
    assert failures == []
    dialog.overwrites.setChecked(True)
    qtbot.waitUntil(dialog.export_button.isEnabled)
    dialog.close()


def test_another_format_brings_its_own_settings_and_takes_the_old_ones_away(
    annotator: Annotator,
    document: Document,
    preferences: Preferences,
    owner: QMainWindow,
    qtbot: QtBot,
) -> None:
    dialog = ExportDialog(document, annotator, preferences, owner)
    shown(dialog, qtbot)
    for name in ("overlay-video", "palette-png", "coco"):
        dialog.choose(name)
        QApplication.processEvents()
        forms = [form for form in dialog.findChildren(OptionForm) if form.isVisible()]
        assert [type(form.options()) for form in forms] == [FORMATS[name].options]
    dialog.close()


def test_an_export_into_a_folder_with_other_files_is_refused_beforehand(
    annotator: Annotator,
    document: Document,
    preferences: Preferences,
    owner: QMainWindow,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    annotator.hand.stroke(DAB)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "0000000.png").write_bytes(b"mine")
    dialog = ExportDialog(document, annotator, preferences, owner)
    shown(dialog, qtbot)
    dialog.target.setText(str(tmp_path / "mine"))
    dialog.check()
    assert not dialog.export_button.isEnabled()
    assert (tmp_path / "mine" / "0000000.png").read_bytes() == b"mine"
    dialog.close()


def test_an_import_shows_what_it_found_and_is_one_step(
    annotator: Annotator,
    document: Document,
    preferences: Preferences,
    owner: QMainWindow,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    masks = tmp_path / "masks"
    tiny.write_mask(masks, 0, tiny.labels(0, 3, 200))
    tiny.write_mask(masks, 2, tiny.labels(2, 3, 200))
    dialog = ImportDialog(document, annotator, preferences, owner)
    shown(dialog, qtbot)
    dialog.look(masks)
    qtbot.waitUntil(dialog.import_button.isEnabled, timeout=20_000)
    assert dialog.table.rowCount() == 2
    qtbot.mouseClick(dialog.import_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: 2 in document.annotation.records, timeout=20_000)
    assert document.annotation.record(2).status is FrameStatus.CONFIRMED
    assert np.array_equal(document.annotation.labels(2), tiny.labels(2, 3, 200))
    qtbot.waitUntil(lambda: annotator.operations.busy.value == "idle", timeout=20_000)
    annotator.undo()
    assert not document.annotation.records


def test_a_folder_without_masks_is_explained(
    annotator: Annotator,
    document: Document,
    preferences: Preferences,
    owner: QMainWindow,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    (tmp_path / "nothing").mkdir()
    dialog = ImportDialog(document, annotator, preferences, owner)
    shown(dialog, qtbot)
    dialog.look(tmp_path / "nothing")
    qtbot.waitUntil(lambda: "nothing" in dialog.report.toPlainText(), timeout=20_000)
    assert not dialog.import_button.isEnabled()
    dialog.close()


def test_preferences_hold_at_once(
    preferences: Preferences, actions: Actions, owner: QMainWindow, qtbot: QtBot
) -> None:
    dialog = PreferencesDialog(preferences, actions, owner)
    shown(dialog, qtbot)
    dialog.internal_size.setCurrentIndex(dialog.internal_size.findData(360))
    dialog.device.setEditText("cuda:1")
    dialog.scheme.setCurrentIndex(dialog.scheme.findData("dark"))
    assert (preferences.internal_size_px, preferences.device) == (360, "cuda:1")
    assert preferences.scheme == "dark"
    dialog.close()


def test_in_larger_preferences_the_remark_stays_below_its_settings(
    preferences: Preferences, actions: Actions, owner: QMainWindow, qtbot: QtBot
) -> None:
    dialog = PreferencesDialog(preferences, actions, owner)
    shown(dialog, qtbot)
    [note] = [label for label in dialog.findChildren(QLabel) if label.wordWrap()]
    height_px = note.height()
    dialog.resize(dialog.width(), dialog.height() + 200)
    qtbot.waitUntil(lambda: dialog.buttons.y() > note.geometry().bottom() + 150)
    assert note.height() == height_px
    dialog.close()


def test_the_wheel_turns_no_preference_without_the_focus(
    preferences: Preferences, actions: Actions, owner: QMainWindow, qtbot: QtBot
) -> None:
    dialog = PreferencesDialog(preferences, actions, owner)
    shown(dialog, qtbot)
    changed: list[str] = []
    preferences.changed.connect(changed.append)
    buttons = dialog.findChild(QDialogButtonBox)
    assert buttons is not None
    buttons.setFocus()
    fields = [*dialog.findChildren(QComboBox), *dialog.findChildren(QSpinBox)]
    assert len(fields) == 10
    for field in fields:
        for widget in (field, *field.findChildren(QLineEdit)):
            turn_wheel(widget)
    assert changed == []
    dialog.opacity.setFocus()
    turn_wheel(dialog.opacity)
    assert changed == ["look/opacity"]
    dialog.close()


def a_model(name: str, address: str | None) -> Model:
    return Model(
        name=name,
        file=f"{name}.safetensors",
        kind="tracker",
        address=address,
        size_bytes=3,
        parameters=None,
        licence="MIT",
        sha256=None,
        md5=None,
        entries=None,
        description="for a test",
    )


def test_a_model_that_is_not_here_can_be_fetched_but_not_used(
    preferences: Preferences, owner: QMainWindow, tmp_path: Path, qtbot: QtBot
) -> None:
    (tmp_path / "here.safetensors").write_bytes(b"abc")
    models = (a_model("here", None), a_model("far", "http://127.0.0.1:9/far.safetensors"))
    store = ModelStore(models, tmp_path / "downloads", tmp_path)
    dialog = ModelsDialog(preferences, owner, store=store)
    shown(dialog, qtbot)
    dialog.choose("far")
    assert dialog.download_button.isEnabled()
    assert not dialog.use_button.isEnabled()
    dialog.choose("here")
    qtbot.mouseClick(dialog.use_button, Qt.MouseButton.LeftButton)
    assert preferences.tracker_model == "here"
    dialog.choose("far")
    dialog.download()
    qtbot.waitUntil(lambda: dialog.close_button.text() == "Close", timeout=60_000)
    assert "…" not in dialog.status.text()
    dialog.close()


def test_a_bug_is_reported_with_its_traceback_and_restarting_is_the_default(qtbot: QtBot) -> None:
    try:
        raise RuntimeError("a bug")
    except RuntimeError as error:
        dialog = ReportDialog(error)
    shown(dialog, qtbot)
    assert "RuntimeError: a bug" in dialog.report
    assert dialog.defaultButton() is dialog.restart_button
    dialog.close()
