"""The effort meter in the window: the line below the history, the tooltip and the dialog."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMainWindow
from pytestqt.qtbot import QtBot

from gui.dialogs.effort import EffortDialog
from gui.panels.history import HistoryPanel
from gui.panels.object_table import Column, ObjectTable
from gui.work.annotator import Annotator
from gui.work.document import Document
from tests.gui.windows import shown


def test_nothing_done_is_shown_as_such_and_cannot_be_copied(
    document: Document, owner: QMainWindow, qtbot: QtBot
) -> None:
    dialog = EffortDialog(document, owner)
    shown(dialog, qtbot)
    assert dialog.empty.isVisible()
    assert not dialog.table.isVisible()
    assert not dialog.copy_button.isEnabled()
    dialog.close()


def test_it_follows_the_work_by_object_and_is_copied_as_a_table(
    document: Document, owner: QMainWindow, qtbot: QtBot
) -> None:
    dialog = EffortDialog(document, owner)
    shown(dialog, qtbot)
    bear = document.add_object("bear")
    document.session.click(0, bear, 20, 20)
    document.session.click(0, bear, 30, 20)
    document.history_changed.emit()
    qtbot.waitUntil(dialog.table.isVisible)
    dialog.copy_button.click()
    lines = [line.split("\t") for line in QApplication.clipboard().text().splitlines()]
    assert lines[0][:3] == ["Object", "Clicks", "Strokes"]
    assert [line[:3] for line in lines[1:]] == [["bear", "2", "0"], ["Everything", "2", "0"]]
    dialog.close()


def test_the_history_shows_what_the_work_has_cost_and_opens_the_table(
    document: Document, annotator: Annotator, qtbot: QtBot
) -> None:
    panel = HistoryPanel(document, annotator)
    qtbot.addWidget(panel)
    panel.show()  # hidden, it measures nothing
    assert "Nothing" in panel.effort.text()
    document.session.click(0, document.add_object("bear"), 20, 20)
    document.history_changed.emit()
    qtbot.waitUntil(lambda: panel.effort.text().startswith("Clicks: 1"))
    with qtbot.waitSignal(panel.effort_wanted):
        qtbot.mouseClick(panel.effort, Qt.MouseButton.LeftButton)


def test_the_tooltip_of_an_objects_frames_has_its_effort(document: Document, qtbot: QtBot) -> None:
    table = ObjectTable(document)
    bear = document.add_object("bear")
    index = table.index(0, Column.FRAMES)
    document.session.click(0, bear, 20, 20)
    assert "Clicks: 1, strokes: 0" in str(table.data(index, Qt.ItemDataRole.ToolTipRole))


def test_the_history_measures_what_was_done_while_it_was_hidden(
    document: Document, annotator: Annotator, qtbot: QtBot
) -> None:
    panel = HistoryPanel(document, annotator)
    qtbot.addWidget(panel)
    document.session.click(0, document.add_object("bear"), 20, 20)
    document.history_changed.emit()
    panel.show()
    assert panel.effort.text().startswith("Clicks: 1")
