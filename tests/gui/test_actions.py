"""The table of actions: every entry does something, no two share a key, keys can be changed."""

from collections import Counter

import pytest
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QMainWindow

from gui.actions.actions import Actions
from gui.actions.table import ACTIONS, MENUS, Needs
from gui.canvas.tools import tool_classes
from gui.preferences import Preferences
from resources import icons_folder


def test_no_two_actions_share_a_key_out_of_the_box() -> None:
    counts = Counter(QKeySequence(key).toString() for spec in ACTIONS for key in spec.keys.split())
    assert [key for key, count in counts.items() if count > 1] == []


def test_no_key_is_one_that_desktops_keep_for_themselves() -> None:
    """There they change the workspace, and never come to the window."""
    arrows = {f"Ctrl+Alt+{arrow}" for arrow in ("Left", "Right", "Up", "Down")}
    assert not arrows & {key for spec in ACTIONS for key in spec.keys.split()}


def test_every_key_of_the_table_is_one_that_qt_knows() -> None:
    assert [
        (spec.id, key)
        for spec in ACTIONS
        for key in spec.keys.split()
        if not QKeySequence(key).toString()
    ] == []


def test_ids_are_unique_and_every_menu_and_icon_exists() -> None:
    assert len({spec.id for spec in ACTIONS}) == len(ACTIONS)
    assert {spec.menu for spec in ACTIONS} == set(MENUS)
    icons = {spec.icon for spec in ACTIONS if spec.icon}
    assert [name for name in icons if not (icons_folder() / f"{name}.svg").is_file()] == []


def test_a_missing_handler_is_noticed_at_once(owner: QMainWindow, preferences: Preferences) -> None:
    with pytest.raises(ValueError, match=r"edit\.undo"):
        Actions({s.id: lambda: None for s in ACTIONS if s.id != "edit.undo"}, preferences, owner)


def test_an_action_calls_its_handler(actions: Actions, called: list[str]) -> None:
    actions["view.fit"].trigger()
    assert called == ["view.fit"]


def test_only_what_makes_sense_is_enabled(actions: Actions) -> None:
    actions.enable(Needs.NOTHING)
    assert actions["file.open_video"].isEnabled()
    assert not actions["edit.fill_holes"].isEnabled()
    actions.enable(Needs.PROJECT | Needs.WRITABLE | Needs.OBJECT)
    assert not actions["edit.fill_holes"].isEnabled()
    actions.enable(Needs.PROJECT | Needs.WRITABLE | Needs.OBJECT | Needs.MASK)
    assert actions["edit.fill_holes"].isEnabled()


def test_changed_keys_hold_and_are_remembered(
    actions: Actions, preferences: Preferences, owner: QMainWindow
) -> None:
    keys = {spec.id: spec.keys.split() for spec in ACTIONS} | {"view.fit": ["Ctrl+9"]}
    actions.change_keys(keys)
    assert actions["view.fit"].shortcut().toString() == "Ctrl+9"
    assert preferences.shortcuts() == {"view.fit": ["Ctrl+9"]}
    again = Actions({spec.id: lambda: None for spec in ACTIONS}, preferences, owner)
    assert again["view.fit"].shortcut().toString() == "Ctrl+9"
    assert "Ctrl+9" in again["view.fit"].toolTip()


def test_two_actions_with_one_key_are_found(actions: Actions) -> None:
    keys = {spec.id: spec.keys.split() for spec in ACTIONS} | {"view.fit": ["f"]}
    assert actions.conflicts(keys) == {"F": ["track.forward", "view.fit"]}


def test_no_action_has_a_key_that_means_something_by_itself_out_of_the_box(
    actions: Actions,
) -> None:
    assert actions.fixed({spec.id: spec.keys.split() for spec in ACTIONS}) == []


def test_keys_of_objects_menus_and_masks_are_kept_for_them(actions: Actions) -> None:
    keys = {"tool.brush": ["1", "h", "Alt+F", "Shift+Tab", "Space"], "go.play": ["Space"]}
    assert [(key, name) for key, name, _ in actions.fixed(keys)] == [
        ("1", "tool.brush"),
        ("H", "tool.brush"),
        ("Alt+F", "tool.brush"),
        ("Shift+Tab", "tool.brush"),
        ("Space", "tool.brush"),
    ]
    assert [one.title for _, _, one in actions.fixed(keys)][2] == "Open the menu “File”"


def test_a_key_that_was_given_away_is_no_default_any_more(
    preferences: Preferences, owner: QMainWindow
) -> None:
    preferences.set_shortcuts({"view.fit": ["J"]})
    actions = Actions({spec.id: lambda: None for spec in ACTIONS}, preferences, owner)
    assert actions.keys("go.reverse") == []
    assert actions.conflicts({spec.id: actions.keys(spec.id) for spec in ACTIONS}) == {}


def test_keys_that_are_withheld_come_back(actions: Actions) -> None:
    actions.withhold({"L"})
    assert actions["tool.lasso"].shortcut().toString() == ""
    assert "(L)" in actions["tool.lasso"].toolTip()
    assert actions["tool.click"].shortcut().toString() == "K"
    actions.withhold({"K"})
    assert actions["tool.lasso"].shortcut().toString() == "L"
    assert actions["tool.click"].shortcut().toString() == ""
    actions.withhold(())
    assert actions["tool.click"].shortcut().toString() == "K"


def test_what_an_action_waits_for_is_known(actions: Actions) -> None:
    actions.enable(Needs.PROJECT | Needs.WRITABLE)
    assert actions.missing("edit.fill_holes") == Needs.OBJECT | Needs.MASK
    assert actions.missing("view.fit") == Needs.NOTHING


def test_every_tool_of_the_canvas_has_a_row_and_every_row_a_tool() -> None:
    rows = [spec.name for spec in ACTIONS if spec.group == "tool"]
    assert sorted(rows) == sorted(tool_classes())
