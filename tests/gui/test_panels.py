"""The panels: they show the document, change it through it, and ask the annotator for the rest."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QModelIndex, QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from gui.panels.history import HistoryPanel
from gui.panels.memory import MemoryPanel
from gui.panels.next_frames import NextFramesPanel
from gui.panels.object_table import Column
from gui.panels.objects import ObjectsPanel
from gui.panels.propagation import PropagationPanel
from gui.timeline.frame_table import FrameTable
from gui.timeline.player import Player
from gui.timeline.thumbnails import Thumbnails
from gui.timeline.timeline import Timeline
from gui.timeline.transport import Transport
from gui.work.document import Document
from gui.work.operations import Busy, Progress
from interaction.annotation.requests import MemoryUse
from interaction.annotation.types import FrameStatus
from interaction.engines import EngineSettings
from interaction.tracking.governor import Workload, forecast
from tests.gui.recording_annotator import (
    RecordingAnnotator,
    clear_records,
    open_document,
    record_of,
    set_records,
)
from xmem_core.messages import Message

FRAMES = 12
LEFT = Qt.MouseButton.LeftButton
NO_KEY = Qt.KeyboardModifier.NoModifier


@pytest.fixture
def document(tmp_path: Path, qapp: QApplication) -> Iterator[Document]:
    document = open_document(tmp_path, FRAMES)
    yield document
    Thumbnails.of(document).close()
    document.session.close()


@pytest.fixture
def annotator(document: Document) -> RecordingAnnotator:
    return RecordingAnnotator(document)


def shown(qtbot: QtBot, widget: QWidget, height: int = 400) -> None:
    qtbot.addWidget(widget)
    widget.resize(300, height)
    widget.show()
    qtbot.waitExposed(widget)


def texts(menu: QMenu) -> list[str]:
    return [action.text() for action in menu.actions() if action.text()]


# Objects


@pytest.fixture
def objects(document: Document, annotator: RecordingAnnotator, qtbot: QtBot) -> ObjectsPanel:
    panel = ObjectsPanel(document, annotator)  # type: ignore[arg-type]
    shown(qtbot, panel)
    return panel


def cell(panel: ObjectsPanel, row: int, column: Column) -> QModelIndex:
    return panel.view.model().index(row, column)


def click_cell(panel: ObjectsPanel, row: int, column: Column) -> None:
    at = panel.view.visualRect(cell(panel, row, column)).center()
    QTest.mouseClick(panel.view.viewport(), LEFT, NO_KEY, at)


def test_without_objects_it_says_how_to_begin(objects: ObjectsPanel, document: Document) -> None:
    assert objects.empty.isVisible()
    assert "click in the picture" in objects.empty.text()
    QTest.mouseClick(objects.add, LEFT)
    assert [one.name for one in document.objects] == ["Object 1"]
    assert not objects.empty.isVisible()
    assert document.current_object == 1


def test_a_row_is_the_current_object_both_ways(objects: ObjectsPanel, document: Document) -> None:
    document.add_object("bear")
    document.add_object("cub")
    click_cell(objects, 0, Column.NAME)
    assert document.current_object == 1
    document.set_current_object(2)
    assert objects.view.currentIndex().row() == 1
    QTest.keyClick(objects.view, Qt.Key.Key_Up)
    assert document.current_object == 1


def test_clicks_hide_lock_and_show_only_one(objects: ObjectsPanel, document: Document) -> None:
    document.add_object("bear")
    document.add_object("cub")
    click_cell(objects, 0, Column.VISIBLE)
    assert not document.objects[0].is_visible
    click_cell(objects, 0, Column.VISIBLE)
    assert document.objects[0].is_visible
    click_cell(objects, 1, Column.LOCKED)
    assert document.objects[1].is_locked
    click_cell(objects, 1, Column.SOLO)
    assert document.solo == 2
    click_cell(objects, 1, Column.SOLO)
    assert document.solo == 0


def test_a_name_is_edited_in_its_row_and_an_empty_one_is_refused(
    objects: ObjectsPanel, document: Document
) -> None:
    document.add_object("bear")
    at = objects.view.visualRect(cell(objects, 0, Column.NAME)).center()
    QTest.mouseClick(objects.view.viewport(), LEFT, NO_KEY, at)
    for typed, name in (("panda", "panda"), (" ", "panda")):
        QTest.mouseDClick(objects.view.viewport(), LEFT, NO_KEY, at)
        editor = objects.view.findChild(QLineEdit)
        assert isinstance(editor, QLineEdit)
        editor.selectAll()
        QTest.keyClicks(editor, typed)
        QTest.keyClick(editor, Qt.Key.Key_Return)
        QApplication.processEvents()  # views take what was typed a moment later
        assert document.objects[0].name == name


def test_frames_covered_follow_the_masks(objects: ObjectsPanel, document: Document) -> None:
    document.add_object("bear")
    index = cell(objects, 0, Column.FRAMES)
    assert index.data() == f"0/{FRAMES}"
    set_records(document, {f: record_of([1], FrameStatus.TRACKED) for f in range(5)})
    assert index.data() == f"5/{FRAMES}"
    assert f"5 of {FRAMES}" in index.data(Qt.ItemDataRole.AccessibleTextRole)
    clear_records(document, [0, 1])
    assert index.data() == f"3/{FRAMES}"


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # popups, offscreen
def test_the_colour_is_chosen_from_those_everybody_can_tell_apart(
    objects: ObjectsPanel, document: Document, qtbot: QtBot
) -> None:
    document.add_object("bear")
    click_cell(objects, 0, Column.COLOR)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    action = next(action for action in menu.actions() if action.text() == "Blue")
    QTest.mouseClick(menu, LEFT, NO_KEY, menu.actionGeometry(action).center())
    assert document.objects[0].color == (0, 114, 178)


def test_merge_and_swap_ask_for_the_other_object(
    objects: ObjectsPanel, document: Document, annotator: RecordingAnnotator
) -> None:
    for name in ("bear", "cub", "tree"):
        document.add_object(name)
    document.set_current_object(2)
    document.set_frame(4)
    for button in (objects.merge, objects.swap):
        menu = button.menu()
        menu.aboutToShow.emit()
        assert texts(menu) == ["bear", "tree"]
        menu.actions()[1].trigger()
    assert annotator.asked == [("merge_objects", 2, 3), ("swap_objects", 2, 3, 4)]


def test_split_and_delete_are_asked_for(
    objects: ObjectsPanel, document: Document, annotator: RecordingAnnotator
) -> None:
    document.add_object("bear")
    QTest.mouseClick(objects.split, LEFT)
    QTest.mouseClick(objects.delete, LEFT)
    assert annotator.asked == [("split_object", 1), ("delete_object", 1)]


def test_what_changes_many_frames_waits_for_a_run(
    objects: ObjectsPanel, document: Document, annotator: RecordingAnnotator
) -> None:
    document.add_object("bear")
    document.add_object("cub")
    many = (objects.merge, objects.swap, objects.split, objects.delete)
    assert all(button.isEnabled() for button in many)
    annotator.set_busy(Busy.PROPAGATING)
    assert not any(button.isEnabled() for button in many)
    assert objects.add.isEnabled()
    annotator.set_busy(Busy.IDLE)
    assert all(button.isEnabled() for button in many)


def test_the_menu_of_an_object_does_what_it_says(
    objects: ObjectsPanel, document: Document, annotator: RecordingAnnotator, qtbot: QtBot
) -> None:
    document.add_object("bear")
    document.add_object("cub")
    one = document.objects[1]
    menu = objects.menus.everything(one, lambda: None, lambda: annotator.bulk.delete_object(one.id))
    by_text = {action.text(): action for action in menu.actions()}
    by_text["Lock"].trigger()
    assert document.objects[1].is_locked
    by_text["Hide"].trigger()
    assert not document.objects[1].is_visible
    by_text["Show only this one"].trigger()
    assert document.solo == 2
    merge = by_text["Merge into"].menu()
    assert isinstance(merge, QMenu)
    assert texts(merge) == ["bear"]
    by_text["Delete"].trigger()
    assert annotator.asked == [("delete_object", 2)]
    menu.deleteLater()


def test_rows_are_moved_by_dragging_and_by_keys(objects: ObjectsPanel, document: Document) -> None:
    for name in "abc":
        document.add_object(name)
    table = objects.table

    def drop(row: int, before: int) -> None:
        data = table.mimeData([table.index(row, Column.NAME)])
        assert isinstance(data, QMimeData)
        table.dropMimeData(data, Qt.DropAction.MoveAction, before, 0, QModelIndex())

    drop(0, 3)
    assert [one.name for one in document.objects] == ["b", "c", "a"]
    drop(2, 1)
    assert [one.name for one in document.objects] == ["b", "a", "c"]
    document.set_current_object(3)
    QTest.keyClick(objects.view, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert [one.name for one in document.objects] == ["b", "c", "a"]
    assert document.current_object == 3
    assert objects.view.currentIndex().row() == 1


def test_a_search_among_few_objects_takes_no_room_from_them(
    objects: ObjectsPanel, document: Document
) -> None:
    for name in ("bear", "tree"):
        document.add_object(name)
    least_px = objects.minimumSizeHint().height()
    objects.focus_search()
    assert objects.search.isVisible()
    assert objects.minimumSizeHint().height() == least_px + objects.search.sizeHint().height()
    QTest.keyClick(objects.search, Qt.Key.Key_Escape)
    assert not objects.search.isVisible()
    assert objects.minimumSizeHint().height() == least_px
    objects.focus_search()
    QTest.keyClicks(objects.search, "tr")
    QTest.keyClick(objects.search, Qt.Key.Key_Return)
    assert not objects.search.isVisible()
    assert objects.view.hasFocus()


def test_more_than_nine_objects_are_searched(objects: ObjectsPanel, document: Document) -> None:
    for number in range(1, 10):
        document.add_object(f"leaf {number}")
    assert not objects.search.isVisible()
    document.add_object("trunk")
    assert objects.search.isVisible()
    document.set_current_object(1)
    objects.focus_search()
    QTest.keyClicks(objects.search, "TRU")
    assert objects.view.model().rowCount() == 1
    QTest.keyClick(objects.search, Qt.Key.Key_Return)
    assert document.current_object == 10
    assert objects.view.model().rowCount() == 10
    assert objects.view.currentIndex().row() == 9


def test_every_object_shows_its_number_and_is_found_by_it(
    objects: ObjectsPanel, document: Document
) -> None:
    for name in ("bear", "cub", *(f"leaf {letter}" for letter in "abcdefghij")):
        document.add_object(name)
    numbers = [cell(objects, row, Column.NUMBER).data() for row in range(12)]
    assert numbers == [str(number) for number in range(1, 13)]
    column_px = objects.view.columnWidth(Column.NUMBER)
    assert objects.view.fontMetrics().horizontalAdvance("255") <= column_px
    document.set_current_object(1)
    objects.focus_search()
    QTest.keyClicks(objects.search, "12")
    assert [cell(objects, 0, Column.NAME).data()] == ["leaf j"]
    assert objects.view.model().rowCount() == 1
    QTest.keyClick(objects.search, Qt.Key.Key_Return)
    assert document.current_object == 12
    # The object of that number goes before one whose number only holds it.
    objects.focus_search()
    QTest.keyClicks(objects.search, "2")
    assert objects.view.model().rowCount() == 2
    QTest.keyClick(objects.search, Qt.Key.Key_Return)
    assert document.current_object == 2


def test_undo_is_seen(objects: ObjectsPanel, document: Document) -> None:
    document.add_object("bear")
    document.rename_object(1, "panda")
    document.undo()
    assert cell(objects, 0, Column.NAME).data() == "bear"
    document.undo()
    assert objects.empty.isVisible()


# Tracking


@pytest.fixture
def tracking(document: Document, annotator: RecordingAnnotator, qtbot: QtBot) -> PropagationPanel:
    document.add_object("bear")
    panel = PropagationPanel(document, annotator)  # type: ignore[arg-type]
    shown(qtbot, panel)
    return panel


def test_tracking_needs_a_mask_and_says_so(tracking: PropagationPanel, document: Document) -> None:
    assert not tracking.both.isEnabled()
    assert "click an object first" in tracking.reason.text()
    set_records(document, {0: record_of([1], FrameStatus.CORRECTED)})
    assert tracking.forward.isEnabled()
    assert tracking.forward.isDefault()
    assert "click" not in tracking.reason.text()
    document.undo()
    assert not tracking.forward.isEnabled()


def test_where_the_range_is_this_frame_alone_nothing_can_be_tracked(
    tracking: PropagationPanel, document: Document
) -> None:
    set_records(document, {0: record_of([1], FrameStatus.CORRECTED)})
    document.set_range(0, 0)
    buttons = (tracking.back, tracking.both, tracking.forward)
    assert not any(button.isEnabled() for button in buttons)
    assert "this frame alone" in tracking.reason.text()
    assert tracking.forecast.isHidden()
    document.set_frame(3)  # from beside it its one frame can be tracked
    assert [button.isEnabled() for button in buttons] == [True, True, False]


def test_the_choices_are_what_is_asked_for(
    tracking: PropagationPanel, document: Document, annotator: RecordingAnnotator
) -> None:
    document.set_frame(5)
    set_records(document, {5: record_of([1], FrameStatus.CONFIRMED)})
    QTest.mouseClick(tracking.forward, LEFT)
    tracking.until.setCurrentIndex(tracking.until.findData("settled"))
    QTest.mouseClick(tracking.back, LEFT)
    tracking.range.setCurrentIndex(tracking.range.findData("count"))
    tracking.range.activated.emit(tracking.range.currentIndex())
    assert tracking.count.isVisible()
    tracking.count.setValue(3)
    tracking.only_current.setChecked(True)
    QTest.mouseClick(tracking.both, LEFT)
    tracking.closer.setChecked(True)
    QTest.mouseClick(tracking.both, LEFT)
    assert annotator.asked == [
        ("propagate", "forward", "end", None, None),
        ("propagate", "backward", "settled", None, None),
        ("propagate", "both", "settled", 3, frozenset({1})),
        ("propagate", "both", "settled", 3, frozenset({1}), "closer"),
    ]


def test_what_a_run_needs_is_shown_where_one_may_start(
    tracking: PropagationPanel, document: Document, annotator: RecordingAnnotator
) -> None:
    tracking.ask_forecast(measures=True)
    assert annotator.asked == []  # nothing to track yet
    assert not tracking.forecast.isVisible()
    set_records(document, {0: record_of([1], FrameStatus.CORRECTED)})
    tracking.ask_forecast(measures=True)
    assert annotator.asked == [("measure", "forward", "end")]
    load = Workload(frames=11, objects=1, height=720, width=1280)
    expected = replace(forecast(load, EngineSettings(device="cpu")), seconds=90.0)
    annotator.tracking.forecast_made.emit(expected)
    assert tracking.forecast.isVisible()
    assert tracking.forecast.text().startswith("Roughly 2 min, ")
    assert "Ctrl+T" in tracking.forecast.toolTip()
    annotator.tracking.forecast_made.emit(
        replace(expected, changes=(Message("at internal size 360"),))
    )
    assert "To fit into memory: at internal size 360." in tracking.forecast.text()
    annotator.tracking.forecast_made.emit(None)
    assert not tracking.forecast.isVisible()


def test_there_is_no_way_past_the_ends(tracking: PropagationPanel, document: Document) -> None:
    set_records(document, {0: record_of([1], FrameStatus.CONFIRMED)})
    assert not tracking.back.isEnabled()
    document.set_frame(FRAMES - 1)
    assert not tracking.forward.isEnabled()
    assert tracking.back.isEnabled()


def test_the_range_is_offered_while_there_is_one(
    tracking: PropagationPanel, document: Document
) -> None:
    assert tracking.range.findData("range") < 0
    document.set_range(2, 7)
    assert tracking.range.currentData() == "range"
    assert "2–7" in tracking.range.currentText()
    tracking.range.setCurrentIndex(0)
    tracking.range.activated.emit(0)
    assert (document.range_in, document.range_out) == (None, None)
    assert tracking.range.currentData() == "whole"


def test_a_run_shows_how_it_gets_on_and_can_be_paused_and_cancelled(
    tracking: PropagationPanel, document: Document, annotator: RecordingAnnotator
) -> None:
    set_records(document, {0: record_of([1], FrameStatus.CONFIRMED)})
    annotator.set_busy(Busy.PROPAGATING)
    assert not tracking.forward.isEnabled()
    annotator.operations.progressed.emit(Progress("Tracking", 30, 120, 8.44, 71.0))
    assert (tracking.run.bar.value(), tracking.run.bar.maximum()) == (30, 120)
    assert "8.4 fps" in tracking.run.figures.text()
    assert "1:11" in tracking.run.figures.text()
    QTest.mouseClick(tracking.run.pause, LEFT)
    annotator.set_busy(Busy.PAUSED)
    assert tracking.run.pause.text() == "Resume"
    QTest.mouseClick(tracking.run.pause, LEFT)
    QTest.mouseClick(tracking.run.cancel, LEFT)
    assert annotator.asked == [("pause",), ("resume",), ("cancel",)]
    annotator.set_busy(Busy.IDLE)
    assert not tracking.run.cancel.isVisible()
    assert tracking.forward.isEnabled()


# Memory


@pytest.fixture
def memory(document: Document, annotator: RecordingAnnotator, qtbot: QtBot) -> MemoryPanel:
    document.add_object("bear")
    panel = MemoryPanel(document, annotator)  # type: ignore[arg-type]
    shown(qtbot, panel)
    return panel


def test_gauges_show_what_the_tracker_remembers(
    memory: MemoryPanel, annotator: RecordingAnnotator
) -> None:
    assert memory.use.figures["working"].text() == "–"
    use = MemoryUse(permanent=100, working=250, long_term=5000, device_bytes=3 * 2**30)
    annotator.operations.progressed.emit(Progress("Tracking", 1, 2, memory=use))
    assert memory.use.figures["working"].text() == "250"
    assert memory.use.figures["device"].text() == "3.00 GiB"
    assert "%" in memory.use.gauges["long_term"].accessibleDescription()


# History


@pytest.fixture
def history(document: Document, annotator: RecordingAnnotator, qtbot: QtBot) -> HistoryPanel:
    panel = HistoryPanel(document, annotator)  # type: ignore[arg-type]
    shown(qtbot, panel)
    return panel


def rows(panel: HistoryPanel) -> list[str]:
    return [panel.steps.index(row).data() for row in range(panel.steps.rowCount())]


def test_every_step_is_a_row_and_the_one_in_effect_is_marked(
    history: HistoryPanel, document: Document
) -> None:
    document.add_object("bear")
    document.rename_object(1, "panda")
    assert rows(history) == ["Beginning", "Add ‘bear’", "Rename ‘bear’"]
    assert history.view.currentIndex().row() == 2
    document.undo()
    assert history.view.currentIndex().row() == 1
    assert len(rows(history)) == 3
    grey = history.steps.index(2).data(Qt.ItemDataRole.ForegroundRole)
    assert grey is not None
    document.add_object("cub")
    assert rows(history) == ["Beginning", "Add ‘bear’", "Add ‘cub’"]


def test_a_step_with_a_long_name_is_shortened_and_whole_in_its_tip(
    history: HistoryPanel, document: Document
) -> None:
    history.resize(284, 300)
    document.add_object("moss-overgrown sandstone by the brook behind the mill")
    QApplication.processEvents()
    step, view = history.steps.index(1), history.view
    assert view.visualRect(step).width() <= view.viewport().width()
    assert view.horizontalScrollBar().maximum() == 0
    assert view.textElideMode() is Qt.TextElideMode.ElideMiddle
    assert step.data(Qt.ItemDataRole.ToolTipRole) == rows(history)[1]


def test_a_click_asks_to_go_there(
    history: HistoryPanel, document: Document, annotator: RecordingAnnotator
) -> None:
    document.add_object("bear")
    document.add_object("cub")
    at = history.view.visualRect(history.steps.index(0)).center()
    QTest.mouseClick(history.view.viewport(), LEFT, NO_KEY, at)
    assert annotator.asked == [("go_to", 0)]
    document.go_to(0)
    assert history.view.currentIndex().row() == 0


def test_history_stays_where_it_is_during_a_run(
    history: HistoryPanel, annotator: RecordingAnnotator
) -> None:
    annotator.set_busy(Busy.PROPAGATING)
    assert not history.view.isEnabled()
    assert history.notice.isVisible()
    annotator.set_busy(Busy.IDLE)
    assert history.view.isEnabled()


def test_a_long_history_is_followed_step_by_step(
    history: HistoryPanel, document: Document, qtbot: QtBot
) -> None:
    document.add_object("bear")
    resets: list[int] = []
    history.steps.modelReset.connect(lambda: resets.append(1))
    for number in range(300):
        document.rename_object(1, f"bear {number}")
    assert len(rows(history)) == 302
    document.go_to(10)
    document.add_object("cub")
    assert len(rows(history)) == 12
    assert rows(history)[-1] == "Add ‘cub’"
    assert len(resets) <= 1  # at most where the greater part is dropped


# The row of buttons


@pytest.fixture
def transport(document: Document, annotator: RecordingAnnotator, qtbot: QtBot) -> Transport:
    document.add_object("bear")
    timeline = Timeline(document, annotator)  # type: ignore[arg-type]
    qtbot.addWidget(timeline)
    transport = Transport(document, annotator, Player(document, document), timeline)  # type: ignore[arg-type]
    qtbot.addWidget(transport)
    transport.resize(1000, 40)
    transport.show()
    qtbot.waitExposed(transport)
    return transport


def test_buttons_move_and_are_off_where_there_is_nowhere_to_go(
    transport: Transport, document: Document
) -> None:
    assert not transport.back.isEnabled()
    assert not transport.next_key.isEnabled()
    QTest.mouseClick(transport.forward, LEFT)
    assert document.frame == 1
    QTest.mouseClick(transport.last, LEFT)
    assert document.frame == FRAMES - 1
    assert not transport.forward.isEnabled()
    set_records(document, {4: record_of([1], FrameStatus.CONFIRMED)})
    QTest.mouseClick(transport.previous_key, LEFT)
    assert document.frame == 4
    QTest.mouseClick(transport.first, LEFT)
    QTest.mouseClick(transport.next_key, LEFT)
    assert document.frame == 4


def test_a_frame_number_or_a_time_can_be_typed(transport: Transport, document: Document) -> None:
    transport.focus_frame_box()
    QTest.keyClicks(transport.frame_box, "7")
    assert document.frame == 0  # not before it is whole
    QTest.keyClick(transport.frame_box, Qt.Key.Key_Return)
    assert document.frame == 7
    time_s = document.video.timestamps_s[3]
    transport.time_box.selectAll()
    QTest.keyClicks(transport.time_box, f"{time_s:.3f}")
    QTest.keyClick(transport.time_box, Qt.Key.Key_Return)
    assert document.frame == 3
    transport.time_box.selectAll()
    QTest.keyClicks(transport.time_box, "nonsense")
    QTest.keyClick(transport.time_box, Qt.Key.Key_Return)
    assert document.frame == 3
    assert transport.time_box.text().startswith("00:00:0")


def test_confirming_is_asked_for_and_taken_back(
    transport: Transport, document: Document, annotator: RecordingAnnotator
) -> None:
    QTest.mouseClick(transport.confirm, LEFT)
    set_records(document, {0: record_of([1], FrameStatus.CONFIRMED)})
    assert transport.confirm.text() == "Confirmed"
    QTest.mouseClick(transport.confirm, LEFT)
    assert annotator.asked == [("confirm",), ("unconfirm",)]
    document.set_frame(1)
    assert transport.confirm.text() == "Confirm"


@pytest.fixture
def next_frames(document: Document, annotator: RecordingAnnotator, qtbot: QtBot) -> NextFramesPanel:
    panel = NextFramesPanel(document, annotator)  # type: ignore[arg-type]
    shown(qtbot, panel)
    return panel


def test_the_next_frame_to_annotate_repairs_most(transport: Transport, document: Document) -> None:
    document.add_object("rabbit")
    assert not transport.doubtful.isEnabled()
    last = document.frame_count - 1
    rows = {0: 0.8, last - 1: 0.5, last: 0.5}
    given = {last // 2: record_of([1], FrameStatus.CONFIRMED)}
    set_records(
        document, given | {f: record_of([1], FrameStatus.TRACKED, d) for f, d in rows.items()}
    )
    QTest.mouseClick(transport.doubtful, LEFT)
    assert document.frame >= last - 1
    QTest.mouseClick(transport.doubtful, LEFT)
    assert document.frame == 0
    document.set_goal(0.5)
    QTest.mouseClick(transport.doubtful, LEFT)
    assert FrameTable.of(document).next_to_annotate(0) == 0


def test_the_list_of_next_frames_leads_there_and_ends_at_the_goal(
    next_frames: NextFramesPanel, document: Document, annotator: RecordingAnnotator, qtbot: QtBot
) -> None:
    document.add_object("rabbit")
    assert "Nothing is tracked" in next_frames.state.text()
    doubts = {2: 0.3, 3: 0.4, 4: 0.3}
    set_records(document, {f: record_of([1], FrameStatus.TRACKED, d) for f, d in doubts.items()})
    qtbot.waitUntil(lambda: next_frames.view.count() > 0)
    item = next_frames.view.item(0)
    assert "≈ 3 frames" in item.text()
    assert "rabbit" in item.text()
    center = next_frames.view.visualItemRect(item).center()
    QTest.mouseClick(next_frames.view.viewport(), LEFT, pos=center)
    assert document.frame == 3
    assert item.isSelected()
    qtbot.waitUntil(lambda: not next_frames.view.item(0).icon().isNull())
    next_frames.goal.setValue(55)
    assert document.goal == 0.55
    assert next_frames.view.count() == 0
    assert "Nothing below the goal" not in next_frames.state.text()
    assert f"{document.frame_count - 3} frames have no mask" in next_frames.state.text()
    document.set_range(1, 4)
    qtbot.waitUntil(lambda: "1 frame has no mask" in next_frames.state.text())
    document.set_range(2, 4)
    qtbot.waitUntil(lambda: next_frames.state.text() == "Nothing below the goal remains.")
    document.set_goal(0.9)
    assert next_frames.goal.value() == 90
    annotator.set_busy(Busy.PROPAGATING)
    set_records(document, {f: record_of([1], FrameStatus.CONFIRMED) for f in doubts})
    assert next_frames.view.count() == 1  # as it was before the run
    annotator.set_busy(Busy.IDLE)
    qtbot.waitUntil(lambda: next_frames.view.count() == 0)


def test_the_list_of_next_frames_is_made_when_it_comes_into_sight(
    next_frames: NextFramesPanel, document: Document
) -> None:
    document.add_object("rabbit")
    next_frames.hide()
    set_records(document, {2: record_of([1], FrameStatus.TRACKED, 0.4)})
    assert next_frames.view.count() == 0
    next_frames.show()
    assert next_frames.view.count() == 1


def test_the_range_and_the_zoom_are_set(transport: Transport, document: Document) -> None:
    document.set_frame(3)
    QTest.mouseClick(transport.range_in, LEFT)
    document.set_frame(8)
    QTest.mouseClick(transport.range_out, LEFT)
    assert (document.range_in, document.range_out) == (3, 8)
    QTest.mouseClick(transport.no_range, LEFT)
    assert (document.range_in, document.range_out) == (None, None)
    assert not transport.no_range.isEnabled()


def test_play_and_stop(transport: Transport, qtbot: QtBot) -> None:
    QTest.mouseClick(transport.play, LEFT)
    assert transport.play.accessibleName() == "Stop"
    QTest.mouseClick(transport.play, LEFT)
    assert transport.play.accessibleName() == "Play"


@pytest.mark.parametrize(
    "name", ["objects", "tracking", "memory", "history", "next_frames", "transport"]
)
def test_every_button_has_a_name_a_tip_and_can_be_reached_by_keys(
    name: str, request: pytest.FixtureRequest
) -> None:
    panel: QWidget = request.getfixturevalue(name)
    assert panel.accessibleName()
    for button in panel.findChildren(QToolButton):
        if button.parent() is panel:
            assert button.accessibleName()
            assert button.toolTip()
            assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert panel.grab().rect().contains(QPoint(0, 0))
