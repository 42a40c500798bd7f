"""The window in another language, and the catalogues of translations."""

import gettext
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from babel.messages import Catalog
from PySide6.QtCore import QLocale, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.actions.actions import Actions, fixed_key
from gui.actions.table import ACTIONS, MENUS
from gui.dialogs.commands import CheatSheet, CommandSearch
from gui.dialogs.preferences import PreferencesDialog
from gui.errors import summary_and_advice
from gui.language import language_in_use, languages, set_language, tr, use_catalogue
from gui.panels.history import HistoryPanel
from gui.preferences import Preferences
from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.annotation.labels import Label, label_from_json, label_to_json
from interaction.annotation.requests import StrokeRequest
from interaction.annotation.types import Stroke
from interaction.errors import DiskFullError, UnreadableVideoError
from interaction.session import Session
from resources import languages_folder
from tests import catalogues
from tests.fake_engines import FakeEngines
from tests.gui.windows import once_at
from xmem_core.messages import Message, UserError

CODES = sorted(path.stem for path in languages_folder().glob("*.po"))


@pytest.fixture
def german() -> Iterator[None]:
    before = QLocale()
    set_language("de")
    yield
    set_language("en")
    QLocale.setDefault(before)
    use_catalogue(gettext.NullTranslations())


# The catalogues


@pytest.mark.parametrize("code", CODES)
def test_a_catalogue_translates_every_text_and_no_other(code: str) -> None:
    found = list(catalogues.problems(catalogues.read_catalogue(code), catalogues.texts_in_code()))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("code", CODES)
def test_the_compiled_catalogue_is_that_of_the_texts(code: str) -> None:
    with (languages_folder() / f"{code}.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in catalogues.read_catalogue(code):
        if isinstance(message.id, str) and message.id:
            assert compiled.gettext(message.id) == message.string, "python -m tests.catalogues"
        elif message.id:
            singular, plural = message.id
            forms = [compiled.ngettext(singular, plural, count) for count in (1, 2)]
            assert tuple(forms) == message.string, "python -m tests.catalogues"


def test_every_text_can_be_found_before_the_program_runs() -> None:
    found = [
        f"{path}:{line}: {text}"
        for room in ("gui", "interaction", "xmem_core")
        for path in sorted((catalogues.ROOT / room).rglob("*.py"))
        for line, text in catalogues.untranslatable(path.read_text(encoding="utf-8"))
    ]
    assert not found, "write a text with named fields and pass the values:\n" + "\n".join(found)


def test_what_is_missing_unused_or_filled_otherwise_is_found() -> None:
    catalogue = Catalog(locale="de")
    catalogue.add("Frame {frame}", "Bild")
    catalogue.add("Gone", "Weg")
    catalogue.add("Empty", "")
    catalogue.add(("{count} frame", "{count} frames"), ("ein Bild", "{count} Bilder"))
    texts: dict[catalogues.Text, str] = {
        ("Frame {frame}", None): "a:1",
        ("Empty", None): "a:2",
        ("New", None): "a:3",
        ("{count} frame", "{count} frames"): "a:4",
    }
    lines = "\n".join(catalogues.problems(catalogue, texts))
    assert re.findall("a:.|Gone", lines) == ["a:1", "a:2", "a:3", "Gone"]
    assert "other format fields" in lines


def test_an_updated_catalogue_keeps_what_is_translated(tmp_path: Path) -> None:
    old = Catalog(locale="de")
    old.add("Open", "Öffnen")
    old.add("Gone", "Weg")
    old.add("{count} frame", "{count} Bild")  # has got a plural since
    texts: dict[catalogues.Text, str] = {
        ("Open", None): "a:1",
        ("{count} frame", "{count} frames"): "a:2",
    }
    catalogues.write_catalogue(catalogues.updated(old, texts), tmp_path)
    lines = (tmp_path / "de.po").read_text(encoding="utf-8")
    assert 'msgstr "Öffnen"' in lines
    assert "Gone" not in lines
    assert 'msgstr[1] ""' in lines
    with (tmp_path / "de.mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Open") == "Öffnen"


# tr


@pytest.mark.usefixtures("german")
def test_a_count_has_the_form_of_its_language() -> None:
    texts = ("{count} frame", "{count} frames")
    assert [tr(*texts, count=count) for count in (0, 1, 2)] == ["0 Bilder", "1 Bild", "2 Bilder"]
    assert str(Message(*texts, count=1)) == "1 frame"
    assert str(Message(*texts, count=2)) == "2 frames"


@pytest.mark.usefixtures("german")
def test_numbers_have_the_signs_of_the_language() -> None:
    assert tr("{rate:.1f} fps", rate=12.5) == "12,5 B/s"
    assert tr("{done:,} of {total:,} frames", done=7, total=1234567) == "7 von 1.234.567 Bildern"


@pytest.mark.usefixtures("german")
def test_braces_in_a_text_or_a_value_are_kept() -> None:
    assert tr("“{name}” is saved.", name="{x}") == "„{x}“ ist gespeichert."
    assert tr("no text of this program {}") == "no text of this program {}"
    assert tr("") == ""


@pytest.mark.usefixtures("german")
def test_an_error_from_below_is_translated_with_its_reason_and_its_remedy() -> None:
    error = UnreadableVideoError(Path("a/clip.mp4"), Message("the file is empty"))
    summary, advice = summary_and_advice(error)
    assert summary == "„clip.mp4“ konnte nicht geöffnet werden: die Datei ist leer."
    assert advice.startswith("Prüfen Sie, ob ein Videoplayer")
    assert str(error).startswith("“clip.mp4” could not be opened: the file is empty.\n\nCheck that")
    summary, advice = summary_and_advice(DiskFullError(Path("/disk/mask.png")))
    assert "mask.png" in summary
    assert "/disk" in advice
    assert "Laufwerk" in advice or "Platz" in advice


@pytest.mark.usefixtures("german")
def test_an_error_made_of_another_keeps_its_message() -> None:
    try:
        raise ValueError(Message("it is too large"))
    except ValueError as error:
        outer = UserError("“{path}” cannot be read: {reason}.", path=Path("x"), reason=error)
    assert tr(str(outer)) == "„x“ kann nicht gelesen werden: zu groß."


# The window


@pytest.mark.usefixtures("german")
def test_menus_and_their_keys_in_german(preferences: Preferences, qtbot: QtBot) -> None:
    window = MainWindow(preferences)
    qtbot.addWidget(window)
    titles = [action.text().replace("&", "") for action in window.menuBar().actions()]
    assert titles[:3] == ["Datei", "Bearbeiten", "Werkzeuge"]
    assert window.actions_table["edit.undo"].text() == "Rückgängig"
    found = fixed_key("Alt+D", "tool.brush")
    assert found is not None
    assert found.title == "Das Menü „Datei“ öffnen"
    assert fixed_key("Alt+F", "tool.brush") is None


@pytest.mark.parametrize("code", languages())
def test_no_two_menus_and_no_key_share_a_letter(code: str) -> None:
    set_language(code)
    try:
        titles = [tr(title) for title in MENUS.values()]
        texts = {spec.id: tr(spec.text) for spec in ACTIONS}
    finally:
        set_language("en")
    letters = [f"Alt+{title.partition('&')[2][:1].upper()}" for title in titles]
    assert len({*letters}) == len(MENUS)
    assert not {*letters} & {key for spec in ACTIONS for key in spec.keys.split()}
    for menu in MENUS:
        own = [text for name, text in texts.items() if name.startswith(f"{menu}.")]
        assert len({*own}) == len(own), f"two entries of the menu {menu} have the same text"


def test_a_label_is_shown_in_the_language_of_now(german: None) -> None:
    label = Label("click", name="bear")
    assert tr(label) == "Klick auf ‚bear‘"
    set_language("en")
    assert tr(label) == label == "Click on ‘bear’"


def test_the_history_and_undo_follow_the_language_that_the_project_is_opened_in(
    window: MainWindow,
    open_path: Callable[[Path], Workspace],
    clip: Path,
    qtbot: QtBot,
    german: None,
) -> None:
    """What was done in one language is shown in another; the journal holds neither."""
    workspace = open_path(clip)
    workspace.document.add_object("bear")
    workspace.document.do(StrokeRequest(0, 1, Stroke(((8, 8), (12, 12)), 3, True)))
    project = workspace.session.project
    assert project is not None
    workspace.session.flush()
    lines = (project.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    labels = [json.loads(line).get("label") for line in lines]
    assert labels[1:] == [{"key": "add_object", "name": "bear"}, {"key": "paint", "name": "bear"}]
    undo = window.actions_table["edit.undo"]
    qtbot.waitUntil(lambda: undo.text() == "Rückgängig: ‚bear‘ malen")
    panel = workspace.findChild(HistoryPanel)
    assert panel is not None
    model = panel.view.model()
    assert model.index(1, 0).data() == "‚bear‘ hinzufügen"
    assert model.index(2, 0).data() == "‚bear‘ malen · Bild 0"
    set_language("en")
    assert model.index(2, 0).data() == "Paint ‘bear’ · frame 0"
    with Session.open_project(project.folder, engines=FakeEngines(), read_only=True) as session:
        assert [tr(entry.label) for entry in session.history.entries] == [
            "Add ‘bear’",
            "Paint ‘bear’",
        ]


@pytest.mark.usefixtures("german")
def test_a_new_object_is_named_in_the_language(document: Document) -> None:
    object_id = document.add_object()
    info = document.object(object_id)
    assert info is not None
    assert info.name == f"Objekt {object_id}"


@pytest.mark.usefixtures("german")
def test_what_ends_a_run_is_not_called_a_pause() -> None:
    """In the same window “Anhalten” is the button from which a run goes on."""
    for text in (
        "Stop",
        "Stop and close",
        "Stop learning and close",
        "Stop tracking and close",
        "Stopping…",
    ):
        assert tr("Pause").casefold() not in tr(text).casefold()
        assert tr("Paused").casefold() not in tr(text).casefold()


def test_a_label_is_a_key_with_values_in_json() -> None:
    value = label_to_json(Label("merge", name="bear", into="{cub}"))
    assert value == {"key": "merge", "name": "bear", "into": "{cub}"}
    back = label_from_json(json.loads(json.dumps(value)))
    assert back == "Merge ‘bear’ into ‘{cub}’"
    assert isinstance(back, Label)


@pytest.mark.parametrize(
    "value", [{"key": "of the future", "name": "bear"}, {"key": "click"}, {"name": "bear"}]
)
def test_a_label_of_a_later_program_is_shown_as_it_is(value: dict[str, object]) -> None:
    assert label_from_json(value) == " ".join(map(str, value.values()))


@pytest.mark.parametrize("value", [{"key": 1}, {"key": "click", "name": ["bear"]}])
def test_a_label_of_something_else_than_texts_is_damaged(value: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not texts"):
        label_from_json(value)


# The choice


def test_the_system_chooses_unless_a_person_does(monkeypatch: pytest.MonkeyPatch) -> None:
    class System:
        @staticmethod
        def uiLanguages() -> list[str]:
            return ["xx-XX", "de-AT", "de", "en-US"]

    monkeypatch.setattr("gui.language.QLocale.system", System)
    assert language_in_use("system") == "de"
    assert language_in_use("en") == "en"
    assert language_in_use("xx") == "de"
    System.uiLanguages = staticmethod(lambda: ["xx"])  # type: ignore[method-assign]
    assert language_in_use("system") == "en"


def test_the_preferences_offer_every_language_and_keep_the_choice(
    preferences: Preferences, actions: Actions, qtbot: QtBot
) -> None:
    dialog = PreferencesDialog(preferences, actions)
    qtbot.addWidget(dialog)
    box = dialog.language
    assert [box.itemText(index) for index in range(box.count())] == [
        "As the system",
        "English",
        "Deutsch",
    ]
    box.setCurrentIndex(box.findData("de"))
    assert preferences.language == "de"


@pytest.mark.usefixtures("german")
def test_no_panel_is_wider_than_its_column_at_rest_and_in_a_run(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    """German texts are the longer ones."""
    annotator, operations = workspace.annotator, workspace.annotator.operations
    window.resize(1280, 800)

    def is_cut() -> bool:
        QApplication.processEvents()
        return workspace.panels.splitter.width() > workspace.panels.viewport().width()

    assert not is_cut()
    workspace.document.add_object("jemand mit einem sehr langen Namen")
    annotator.hand.stroke(Stroke(((20.0, 20.0),), 6))
    assert not is_cut()
    once_at(annotator, 2, operations.pause)
    annotator.tracking.start("forward")
    qtbot.waitUntil(lambda: operations.busy is Busy.PAUSED, timeout=20_000)
    for tab in range(workspace.tabs.count()):
        workspace.tabs.setCurrentIndex(tab)
        assert not is_cut(), workspace.tabs.tabText(tab)
    annotator.cancel()
    qtbot.waitUntil(lambda: operations.busy is Busy.IDLE, timeout=20_000)


@pytest.mark.usefixtures("german")
def test_keys_are_seen_whole_and_in_the_words_of_the_language(
    actions: Actions, qtbot: QtBot
) -> None:
    sheet = CheatSheet(actions)
    qtbot.addWidget(sheet)
    with qtbot.waitExposed(sheet):
        sheet.show()
    qtbot.waitUntil(lambda: sheet.is_whole)
    search = CommandSearch(actions)
    qtbot.addWidget(search)
    with qtbot.waitExposed(search):
        search.show()
    QTest.keyClicks(search.search, "Video")
    item = search.list.item(0)
    assert item.data(Qt.ItemDataRole.AccessibleDescriptionRole) == "Strg+O"
