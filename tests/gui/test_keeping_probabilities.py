"""Keeping the networks' probabilities, from the window."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QStyle, QStyleOptionButton
from pytestqt.qtbot import QtBot

from gui.window.main_window import MainWindow
from gui.window.workspace import Workspace
from interaction.annotation.types import Stroke
from tests.gui.windows import is_idle, press

DAB = Stroke(((20.0, 20.0),), 6)


def test_the_box_in_the_panel_keeps_them_from_the_next_run_on(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    box = workspace.propagation_panel.keeps
    assert not box.isChecked()
    assert "8 bits" in box.toolTip()
    option = QStyleOptionButton()
    box.initStyleOption(option)
    place = box.style().subElementRect(QStyle.SubElement.SE_CheckBoxIndicator, option, box)
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(place.center()))
    assert workspace.session.masks.keeps_probabilities
    window.update_state()
    assert window.actions_table["track.keep_probabilities"].isChecked()
    workspace.annotator.hand.stroke(DAB)
    press(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: is_idle(workspace), timeout=20_000)
    records = workspace.session.annotation.records
    shown = [frame for frame, record in records.items() if frame and record.present]
    assert shown
    assert all(records[frame].mattes for frame in shown)


def test_the_menu_and_the_box_say_the_same(
    window: MainWindow, workspace: Workspace, qtbot: QtBot
) -> None:
    action, box = (
        window.actions_table["track.keep_probabilities"],
        workspace.propagation_panel.keeps,
    )
    window.update_state()
    action.trigger()
    assert box.isChecked()
    action.trigger()
    assert not box.isChecked()
    assert not workspace.session.masks.keeps_probabilities


def test_a_project_for_reading_only_keeps_its_setting(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = type(workspace.session.ledger)
    monkeypatch.setattr(ledger, "is_read_only", property(lambda _: True))
    workspace.document.objects_changed.emit()
    assert not workspace.propagation_panel.keeps.isEnabled()
