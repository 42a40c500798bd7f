"""What people choose in the window may be anything: the window says so and goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot

from benchmarks.durability.inputs import hostile_files
from gui.dialogs.export import ExportDialog
from gui.dialogs.import_masks import ImportDialog
from gui.preferences import Preferences
from gui.window.main_window import MainWindow
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.errors import UserError
from tests import tiny
from tests.gui.windows import shown

LONG_MS = 60_000


@pytest.fixture
def choices(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "hostile"
    folder.mkdir()
    found = hostile_files(folder)
    del found["a path with a null"]  # no dialog of Qt gives one
    return found


def test_an_import_of_anything_is_refused_in_words(
    choices: dict[str, Path],
    annotator: Annotator,
    document: Document,
    preferences: Preferences,
    owner: QMainWindow,
    qtbot: QtBot,
) -> None:
    failures: list[Exception] = []
    document.failed.connect(failures.append)
    dialog = ImportDialog(document, annotator, preferences, owner)
    shown(dialog, qtbot)
    for what, path in choices.items():
        dialog.report.setPlainText("Reading…")
        dialog.look(path)
        qtbot.waitUntil(
            lambda: not dialog.report.toPlainText().startswith("Looking"), timeout=LONG_MS
        )
        assert "\n\n" in dialog.report.toPlainText(), what  # what happened, and what to do
        assert not dialog.import_button.isEnabled(), what
    assert failures == []
    dialog.close()


def test_whatever_cannot_be_opened_is_refused_in_words_and_what_is_open_stays(
    choices: dict[str, Path],
    window: MainWindow,
    open_path: Callable[[Path], object],
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    workspace = open_path(clip)
    failures: list[Exception] = []
    monkeypatch.setattr(window, "show_failure", lambda *_: None)  # a dialog for each
    window.opener.failed.connect(failures.append)
    for what, path in choices.items():
        with qtbot.waitSignal(window.opener.failed, timeout=LONG_MS):
            window.open_path(path)
        assert isinstance(failures[-1], UserError), (what, failures[-1])
    assert window.workspace is workspace


def test_an_export_to_anywhere_is_refused_in_words_or_done(
    choices: dict[str, Path],
    annotator: Annotator,
    document: Document,
    preferences: Preferences,
    owner: QMainWindow,
    qtbot: QtBot,
) -> None:
    document.add_object("dog")
    document.session.set_mask(0, tiny.labels(0, 1, 0))
    document.masks_changed.emit({0})
    failures: list[Exception] = []
    document.failed.connect(failures.append)
    dialog = ExportDialog(document, annotator, preferences, owner)
    shown(dialog, qtbot)
    for what, path in choices.items():
        dialog.target.setText(str(path))
        dialog.check()
        if dialog.export_button.isEnabled():
            dialog.start()
            qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE, timeout=LONG_MS)
        assert dialog.preview.toPlainText(), what
    assert [one for one in failures if not isinstance(one, UserError)] == []
    dialog.close()
