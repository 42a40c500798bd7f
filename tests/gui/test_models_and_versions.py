"""The dialogs of models and of versions: all that one has to know, in words people use."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from PySide6.QtCore import QDate, QDateTime, QLocale, Qt, QTime
from PySide6.QtWidgets import QApplication, QMainWindow, QTreeWidgetItem
from pytestqt.qtbot import QtBot

from gui.dialogs.models import ModelsDialog
from gui.dialogs.versions import VersionsDialog
from gui.preferences import Preferences
from gui.theme import remark
from gui.work.annotator import Annotator
from gui.work.document import Document
from interaction.models import BrokenPlugin, ModelStore, read_model_list
from interaction.project.versions import Version
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines
from tests.gui.test_dialogs import a_model
from tests.gui.windows import shown


def row_of(dialog: ModelsDialog, row: int) -> QTreeWidgetItem:
    item = dialog.table.topLevelItem(row)
    assert item is not None
    return item


def test_what_a_model_does_and_needs_is_shown_in_full(
    preferences: Preferences, owner: QMainWindow, qtbot: QtBot
) -> None:
    dialog = ModelsDialog(preferences, owner)
    shown(dialog, qtbot)
    table = dialog.table
    items = [row_of(dialog, row) for row in range(table.topLevelItemCount())]
    names = [item.text(0) for item in items]
    assert {"small", "XMem", "fbrs", "s2m"} <= set(names)
    by_name = {model.name: model for model in read_model_list()}
    for item, name in zip(items, names, strict=True):
        dialog.choose(name)
        QApplication.processEvents()
        about, needs = dialog.about, by_name[name].needs
        assert needs is not None
        for column in range(table.columnCount()):
            text_px = table.fontMetrics().horizontalAdvance(item.text(column))
            assert text_px <= table.columnWidth(column)
        number, unit = item.text(4).split()[-2:]
        shown_bytes = float(number) * {"MB": 1e6, "GB": 1e9}[unit]
        assert shown_bytes == pytest.approx(needs.cpu_memory_bytes, rel=0.06)
        assert f"{needs.cpu_seconds:.2g} s" in item.text(5)
        assert by_name[name].description in about.text()
        for word in ("easured", "CPU", "CUDA", "GPU"):
            assert word in about.text()
        assert about.height() >= about.heightForWidth(about.width())
    dialog.choose("XMem")
    assert "Published, on a GPU: 29.6 frames/s" in dialog.about.text()
    assert table.visualItemRect(items[0]).right() <= table.viewport().width()
    dialog.close()


def test_a_model_in_use_that_is_not_here_does_not_look_as_if_it_were(
    preferences: Preferences, owner: QMainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    preferences.tracker_model = "far"
    store = ModelStore((a_model("far", "http://127.0.0.1:9/far"),), tmp_path, tmp_path)
    dialog = ModelsDialog(preferences, owner, store=store)
    shown(dialog, qtbot)
    here = row_of(dialog, 0).text(2)
    assert here.startswith("no")
    assert "in use" in here
    dialog.close()


def test_what_a_model_lacks_and_which_plug_ins_are_broken_is_shown(
    preferences: Preferences, owner: QMainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    lacking = replace(
        a_model("far", "https://example.org/far"),
        packages=("no_such_package",),
        install="pip install no-such-package",
    )
    broken = BrokenPlugin("clever", "clever-models 2.1", "clever:X cannot be loaded")
    store = ModelStore((lacking,), tmp_path, tmp_path, (broken,))
    dialog = ModelsDialog(preferences, owner, store=store)
    shown(dialog, qtbot)
    assert row_of(dialog, 0).text(2) == "needs a package"
    assert "pip install no-such-package" in dialog.about.text()
    assert "https://example.org/far (3 bytes)" in dialog.about.text()
    assert not dialog.download_button.isEnabled()
    dialog.table.setCurrentItem(row_of(dialog, 1))
    for part in ("clever", "clever-models 2.1", "cannot be loaded"):
        assert part in dialog.about.text()
    assert not dialog.use_button.isEnabled()
    assert not dialog.download_button.isEnabled()
    assert not dialog.file_button.isEnabled()
    dialog.close()


@pytest.fixture
def versions(
    annotator: Annotator, owner: QMainWindow, tmp_path: Path, qtbot: QtBot
) -> Iterator[tuple[VersionsDialog, Version]]:
    """The dialog over a project with one version, called “first try”."""
    tiny.write_clip(tmp_path / "kept", 3)
    with Session.open(tmp_path / "kept", tmp_path / "kept.vos", engines=FakeEngines()) as session:
        assert session.project is not None
        version = session.project.save_version("first try")
        dialog = VersionsDialog(Document(session), annotator, owner)
        shown(dialog, qtbot)
        yield dialog, version
        dialog.close()


def test_versions_are_dated_as_people_here_write_it(
    versions: tuple[VersionsDialog, Version],
) -> None:
    dialog, version = versions
    text = dialog.list.item(0).text()
    local = datetime.fromisoformat(version.created).astimezone()
    assert version.created not in text
    assert "+00:00" not in text
    moment = QDateTime(QDate(local.year, local.month, local.day), QTime(local.hour, local.minute))
    assert QLocale().toString(moment, QLocale.FormatType.ShortFormat) in text


def test_a_version_that_cannot_be_read_any_more_is_named_in_the_dialog(
    versions: tuple[VersionsDialog, Version],
) -> None:
    dialog, version = versions
    dialog.list.setCurrentRow(0)
    (version.folder / "project.json").write_text("{")
    dialog.restore_button.click()
    assert dialog.isVisible()
    assert "first try" in dialog.status.text()


def test_a_name_that_looks_like_html_is_shown_as_it_is(
    versions: tuple[VersionsDialog, Version],
) -> None:
    dialog, _ = versions
    dialog.name.setText("<b>rough</b>")
    dialog.save()
    assert "<b>rough</b>" in dialog.status.text()
    assert dialog.status.textFormat() == Qt.TextFormat.PlainText
    assert remark("<b>rough</b>", dialog).textFormat() == Qt.TextFormat.PlainText
