"""Dialogs about commands and their keys: found by words, changed, never with two meanings."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialogButtonBox, QMainWindow
from pytestqt.qtbot import QtBot

from gui.actions.actions import Actions
from gui.actions.table import Needs
from gui.dialogs.commands import CommandSearch, ShortcutsDialog, cheat_sheet_html
from tests.gui.windows import shown


def test_a_key_that_is_taken_is_shown_before_it_is_too_late(
    actions: Actions, owner: QMainWindow, qtbot: QtBot
) -> None:
    dialog = ShortcutsDialog(actions, owner)
    shown(dialog, qtbot)
    dialog.choose("view.fit")
    qtbot.keyClick(dialog.edit, Qt.Key.Key_F)
    dialog.edit.editingFinished.emit()
    assert "Track forward" in dialog.warning.text()
    assert not dialog.buttons.button(QDialogButtonBox.StandardButton.Ok).isEnabled()
    dialog.accept()
    assert dialog.isVisible()
    assert actions["view.fit"].shortcut().toString() == "Z"
    dialog.choose("track.forward")
    qtbot.keyClick(dialog.edit, Qt.Key.Key_Y)
    dialog.edit.editingFinished.emit()
    assert not dialog.warning.text()
    qtbot.mouseClick(
        dialog.buttons.button(QDialogButtonBox.StandardButton.Ok), Qt.MouseButton.LeftButton
    )
    assert actions["view.fit"].shortcut().toString() == "F"
    assert actions["track.forward"].shortcut().toString() == "Y"


@pytest.mark.parametrize(
    ("key", "meaning"),
    [
        (Qt.Key.Key_1, "objects"),
        (Qt.Key.Key_H, "masks"),
        (Qt.Key.Key_Space, "Play"),
        (Qt.Key.Key_Escape, "Cancel the current gesture"),
    ],
)
def test_a_key_that_means_something_by_itself_is_given_to_no_action(
    actions: Actions, owner: QMainWindow, qtbot: QtBot, key: Qt.Key, meaning: str
) -> None:
    dialog = ShortcutsDialog(actions, owner)
    shown(dialog, qtbot)
    dialog.choose("tool.brush")
    dialog.edit.setKeySequence(QKeySequence(key))
    dialog.edit.editingFinished.emit()
    assert meaning in dialog.warning.text()
    assert "Brush" in dialog.warning.text()
    assert not dialog.buttons.button(QDialogButtonBox.StandardButton.Ok).isEnabled()
    dialog.accept()
    assert dialog.isVisible()
    dialog.reject()
    assert actions["tool.brush"].shortcut().toString() == "P"


def test_a_changed_key_holds_after_ok(actions: Actions, owner: QMainWindow, qtbot: QtBot) -> None:
    dialog = ShortcutsDialog(actions, owner)
    shown(dialog, qtbot)
    dialog.choose("view.fit")
    qtbot.keyClick(dialog.edit, Qt.Key.Key_Y)
    dialog.edit.editingFinished.emit()
    dialog.accept()
    assert actions["view.fit"].shortcut().toString() == "Y"


def test_a_command_is_found_by_part_of_its_name_and_run_with_enter(
    actions: Actions, owner: QMainWindow, called: list[str], qtbot: QtBot
) -> None:
    actions.enable(Needs.PROJECT)
    dialog = CommandSearch(actions, owner)
    shown(dialog, qtbot)
    qtbot.keyClicks(dialog.search, "onion")
    qtbot.keyClick(dialog.search, Qt.Key.Key_Return)
    assert called == ["view.onion_skin"]


def test_a_command_that_cannot_be_done_now_is_not(
    actions: Actions, owner: QMainWindow, called: list[str], qtbot: QtBot
) -> None:
    actions.enable(Needs.NOTHING)
    dialog = CommandSearch(actions, owner)
    shown(dialog, qtbot)
    qtbot.keyClicks(dialog.search, "onion")
    qtbot.keyClick(dialog.search, Qt.Key.Key_Return)
    assert called == []
    dialog.close()


def test_another_form_of_a_word_finds_the_commands(
    actions: Actions, owner: QMainWindow, called: list[str], qtbot: QtBot
) -> None:
    actions.enable(Needs.PROJECT | Needs.WRITABLE | Needs.IDLE)
    dialog = CommandSearch(actions, owner)
    shown(dialog, qtbot)
    qtbot.keyClicks(dialog.search, "tracking")
    found = [dialog.list.item(row).text() for row in range(dialog.list.count())]
    assert any(text.startswith("Track forward") for text in found)
    qtbot.keyClick(dialog.search, Qt.Key.Key_Return)
    assert len(called) == 1


def test_a_command_that_cannot_be_done_says_what_it_waits_for(
    actions: Actions, owner: QMainWindow, qtbot: QtBot
) -> None:
    def reasons(state: Needs, text: str) -> list[str]:
        actions.enable(state)
        dialog = CommandSearch(actions, owner)
        shown(dialog, qtbot)
        qtbot.keyClicks(dialog.search, text)
        found = [dialog.list.item(row).text() for row in range(dialog.list.count())]
        dialog.close()
        return found

    assert all("open a video first" in text for text in reasons(Needs.NOTHING, "tracking"))
    (cancel,) = reasons(Needs.PROJECT | Needs.WRITABLE, "cancel tracking")
    assert "only while it tracks" in cancel
    (smooth,) = reasons(Needs.PROJECT | Needs.WRITABLE | Needs.OBJECT, "smooth the edge")
    assert "no mask" in smooth
    (zoom,) = reasons(Needs.PROJECT, "actual size")
    assert "–" not in zoom


def test_the_cheat_sheet_tells_the_shuttles_keys(actions: Actions) -> None:
    page = cheat_sheet_html(actions)
    assert "<b>J</b></td><td>Play backwards" in page
    assert "<b>K, L</b></td><td>While it plays" in page


def test_all_of_the_line_to_search_commands_takes_a_click(
    actions: Actions, owner: QMainWindow, qtbot: QtBot
) -> None:
    dialog = CommandSearch(actions, owner)
    shown(dialog, qtbot)
    line = dialog.search.geometry()
    for x in range(line.left() + 2, line.right(), 20):
        assert dialog.childAt(x, line.top() + 4) is dialog.search
    dialog.close()
