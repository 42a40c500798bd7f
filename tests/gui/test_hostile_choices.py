"""What people choose in the window may be anything: the window says so and goes on."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray
from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot

from benchmarks.durability.inputs import hostile_files
from gui.canvas.shown_frame import Layer
from gui.dialogs.commands import ShortcutsDialog
from gui.dialogs.export import ExportDialog
from gui.dialogs.import_masks import ImportDialog
from gui.dialogs.models import ModelsDialog
from gui.dialogs.versions import VersionsDialog
from gui.preferences import THUMBNAIL, Place, Preferences
from gui.welcome import RecentList
from gui.window.main_window import MainWindow
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.errors import UserError
from interaction.files import is_file
from interaction.models import ModelStore, read_model_list
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines
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
            lambda: not dialog.report.toPlainText().startswith("Reading"), timeout=LONG_MS
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
    monkeypatch.setattr(window, "show_failure", lambda *_, **__: None)  # a dialog for each
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


def test_weights_of_any_kind_are_refused_in_the_dialog_and_what_was_used_stays(
    choices: dict[str, Path], preferences: Preferences, owner: QMainWindow, qtbot: QtBot
) -> None:
    dialog = ModelsDialog(preferences, owner)
    shown(dialog, qtbot)
    kinds = {model.kind: model.name for model in read_model_list()}
    used = preferences.tracker_model, preferences.click_model, preferences.scribble_model
    for name in kinds.values():
        dialog.choose(name)
        for what, path in choices.items():
            dialog.status.clear()
            dialog.use_file(path)
            assert "Nothing was changed.\n\n" in dialog.status.text(), what
    assert used == (
        preferences.tracker_model,
        preferences.click_model,
        preferences.scribble_model,
    )
    dialog.close()


def test_a_folder_of_models_may_hold_anything(
    choices: dict[str, Path], preferences: Preferences, owner: QMainWindow, tmp_path: Path
) -> None:
    models = read_model_list()
    store = ModelStore(models, tmp_path / "models", tmp_path / "bundled")
    for path in choices.values():
        shutil.rmtree(tmp_path / "models", ignore_errors=True)
        (tmp_path / "models").mkdir()
        for model in models:
            (tmp_path / "models" / model.file).symlink_to(path)
            (tmp_path / "models" / f"{model.file}.json").symlink_to(path)
        dialog = ModelsDialog(preferences, owner, store=store)
        for model in models:
            dialog.choose(model.name)
            assert dialog.about.text()
        dialog.close()


def test_a_folder_of_versions_may_hold_anything(
    choices: dict[str, Path], annotator: Annotator, owner: QMainWindow, tmp_path: Path
) -> None:
    tiny.write_clip(tmp_path / "kept", 3)
    with Session.open(tmp_path / "kept", tmp_path / "kept.vos", engines=FakeEngines()) as session:
        assert session.project is not None
        session.add_object("dog")
        session.set_mask(0, tiny.labels(0, 1, 0))
        session.flush()
        sound = session.project.save_version("sound")
        manifest = (sound.folder / "project.json").read_bytes()
        document = Document(session)
        for what, path in choices.items():
            for name in ("version.json", "project.json"):
                folder = sound.folder.with_name("odd")
                shutil.copytree(sound.folder, folder)
                (folder / name).unlink()
                if is_file(path):
                    (folder / name).write_bytes(path.read_bytes())
                elif what == "a pipe":
                    os.mkfifo(folder / name)
                else:
                    (folder / name).symlink_to(path)
                dialog = VersionsDialog(document, annotator, owner)
                before = session.annotation.records
                for row in range(dialog.list.count()):
                    dialog.list.setCurrentRow(row)
                    version = dialog.chosen()
                    if version is not None and version.folder == folder:
                        dialog.restore_button.click()
                        assert "\n\n" in dialog.status.text(), what
                assert session.annotation.records == before, what
                dialog.close()
                shutil.rmtree(folder)
        assert (sound.folder / "project.json").read_bytes() == manifest
        for name in ("n" * 300, "../../out", "a\0b", "CON", "/", "."):
            dialog = VersionsDialog(document, annotator, owner)
            dialog.name.setText(name)
            dialog.save_button.click()
            assert dialog.status.text(), name
            dialog.close()
        assert {path.parent for path in tmp_path.rglob("version.json")} == {
            one.folder for one in session.project.view.versions()
        }


def test_a_layer_of_anything_is_refused_in_words(
    choices: dict[str, Path], owner: QMainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    links = {what: tmp_path / f"{number}.png" for number, what in enumerate(choices)}
    for what, path in choices.items():
        links[what].symlink_to(path)
    layer = Layer(owner)
    for what, path in (*choices.items(), *links.items()):
        with qtbot.waitSignal(layer.failed, timeout=LONG_MS) as failed:
            layer.set_path(str(path), 0)
        assert isinstance(failed.args[0], UserError), what
    layer.close()


_KEPT = {
    "keys": ['{"file.open": ["Ctrl+Ü+", 5, {}], "x": [], "tool.brush": 3}', "[" * 100_000, "{}"],
    "recent": [
        '[{"folder": "%s", "name": "a", "opened_s": 1e308, "frames_done": 1e308}]' % ("n" * 300),
        '[{"folder": 5, "name": [], "opened_s": -1e308}, 7, null, [], "x"]',
        "[" * 100_000,
    ],
    "places": ['{"p": [1e308, -1e308, {}]}', '{"p": {"0": 1}}', "9" * 400],
    "engine/internal_size": ["9" * 400, "nan", "-1", "inf", "x"],
    "look/scheme": ["black", ""],
    "window/geometry": ["!", "AAAA", "QUFB" * 1000],
    "last_folder": ["/dev/zero", "n" * 300, ""],
}


@pytest.mark.parametrize("name", list(_KEPT))
def test_preferences_that_make_no_sense_are_as_if_they_had_never_been_set(
    name: str, tmp_path: Path, qtbot: QtBot
) -> None:
    for value in _KEPT[name]:
        path = tmp_path / "odd.json"
        path.write_text(json.dumps({name: value}), "utf-8")
        kept = Preferences(path)
        window = MainWindow(kept)
        qtbot.addWidget(window)
        window.show()
        names = RecentList(kept)
        qtbot.addWidget(names)
        names.refresh()
        shown(names, qtbot)
        names.grab()
        ShortcutsDialog(window.actions_table, window).close()
        assert 96 <= kept.internal_size_px <= 4320
        assert kept.scheme == "system"
        assert kept.place("p") in (None, Place(1, 0, ""))
        state = kept.window_state("geometry")
        assert state is None or isinstance(state, QByteArray)
        window.close()


def test_a_file_of_preferences_may_be_anything(choices: dict[str, Path], tmp_path: Path) -> None:
    for what, path in choices.items():
        kept = Preferences(path)
        assert kept.recent() == [], what
        kept.scheme = "dark"  # where it cannot be written, it is kept in memory
        assert kept.scheme == "dark", what
    assert not is_file(Path("/dev/zero"))


def test_a_value_in_the_form_of_qt_runs_nothing(tmp_path: Path) -> None:
    """QSettings unpickles what stands in such a value."""
    path, trace = tmp_path / "p.json", tmp_path / "trace"
    pickled = f"cposix\nsystem\n(S'touch {trace}'\ntR."
    value = "@Variant(\\0\\0\\0\\x7f\\0\\0\\0\\x18PySide::PyObjectWrapper\\0" + pickled
    path.write_text(json.dumps({"last_folder": value}))
    assert Preferences(path).last_folder == value
    assert not trace.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_recent_project_whose_picture_is_a_pipe_is_listed_without(
    tmp_path: Path, qtbot: QtBot
) -> None:
    os.mkfifo(tmp_path / THUMBNAIL)
    path = tmp_path / "p.json"
    recent = [{"folder": str(tmp_path), "name": "a", "opened_s": 1}]
    path.write_text(json.dumps({"recent": json.dumps(recent)}))
    names = RecentList(Preferences(path))
    qtbot.addWidget(names)
    names.refresh()
    shown(names, qtbot)
    names.grab()
