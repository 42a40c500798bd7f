"""The timeline: where frames are, what lanes say, what mouse and keys do."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QHelpEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot

from gui.timeline.frame_table import FrameTable, Presence
from gui.timeline.painting import HEADER_PX, LANE_PX, LANES_TOP_PX, RULER_PX
from gui.timeline.thumbnails import Thumbnails
from gui.timeline.timeline import Timeline
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.annotation.types import FrameStatus, Signs
from interaction.tracking.trust import SIGNS
from tests.gui.recording_annotator import (
    RecordingAnnotator,
    clear_records,
    open_document,
    record_of,
    set_records,
)

FRAMES = 60
LANES_Y = LANES_TOP_PX + LANE_PX // 2
NO_KEY = Qt.KeyboardModifier.NoModifier
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def document(tmp_path: Path, qapp: QApplication) -> Iterator[Document]:
    document = open_document(tmp_path, FRAMES, ["rabbit", "rock"])
    yield document
    Thumbnails.of(document).close()
    document.session.close()


@pytest.fixture
def annotator(document: Document) -> RecordingAnnotator:
    return RecordingAnnotator(document)


@pytest.fixture
def timeline(document: Document, annotator: RecordingAnnotator, qtbot: QtBot) -> Timeline:
    timeline = Timeline(document, annotator)  # type: ignore[arg-type]
    qtbot.addWidget(timeline)
    timeline.resize(HEADER_PX + 1 + 300, 200)  # 5 pixels a frame when all are seen
    timeline.show()
    qtbot.waitExposed(timeline)
    return timeline


def point(timeline: Timeline, frame: int, y: int = LANES_Y) -> QPoint:
    return QPoint(round(HEADER_PX + 1 + timeline.scale.center(frame)), y)


def drag(timeline: Timeline, start: QPoint, end: QPoint, key: Qt.KeyboardModifier = NO_KEY) -> None:
    viewport = timeline.viewport()
    QTest.mousePress(viewport, LEFT, key, start)
    QTest.mouseMove(viewport, (start + end) / 2)
    QTest.mouseMove(viewport, end)
    QTest.mouseRelease(viewport, LEFT, key, end)


def wheel(timeline: Timeline, at: QPoint, notches: int, key: Qt.KeyboardModifier = NO_KEY) -> None:
    viewport = timeline.viewport()
    event = QWheelEvent(
        QPointF(at),
        QPointF(viewport.mapToGlobal(at)),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        key,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(viewport, event)


def colors(timeline: Timeline, frame: int, row: int) -> tuple[int, int, int]:
    image = timeline.viewport().grab().toImage()
    # In the bar, but off the thin line of frames where it was not found.
    at = point(timeline, frame, LANES_TOP_PX + row * LANE_PX + LANE_PX // 2 - 3)
    color = image.pixelColor(at)
    return color.red(), color.green(), color.blue()


# What the mouse does


def test_a_click_goes_to_the_frame_and_a_drag_scrubs(
    timeline: Timeline, document: Document
) -> None:
    QTest.mouseClick(timeline.viewport(), LEFT, NO_KEY, point(timeline, 17))
    assert document.frame == 17
    seen: list[int] = []
    document.frame_changed.connect(seen.append)
    drag(timeline, point(timeline, 20, 8), point(timeline, 40, 8))
    assert document.frame == 40
    assert seen[0] == 20
    assert len(seen) >= 3


def test_dragging_past_the_edges_stays_in_the_video(timeline: Timeline, document: Document) -> None:
    drag(timeline, point(timeline, 30), QPoint(timeline.width() + 500, LANES_Y))
    assert document.frame == FRAMES - 1
    drag(timeline, point(timeline, 30), QPoint(-500, LANES_Y))
    assert document.frame == 0


def test_shift_drag_sets_the_range_in_either_direction_and_leaves_the_frame(
    timeline: Timeline, document: Document
) -> None:
    shift = Qt.KeyboardModifier.ShiftModifier
    drag(timeline, point(timeline, 10), point(timeline, 30), shift)
    assert (document.range_in, document.range_out) == (10, 30)
    drag(timeline, point(timeline, 50), point(timeline, 40), shift)
    assert (document.range_in, document.range_out) == (40, 50)
    assert document.frame == 0


def test_the_ends_of_the_range_are_dragged_but_never_past_each_other(
    timeline: Timeline, document: Document
) -> None:
    document.set_range(10, 30)
    edge = QPoint(round(HEADER_PX + 1 + timeline.scale.x(10)), 5)
    drag(timeline, edge, point(timeline, 20, 5))
    assert (document.range_in, document.range_out) == (20, 30)
    edge = QPoint(round(HEADER_PX + 1 + timeline.scale.x(31)), 5)
    drag(timeline, edge, point(timeline, 5, 5))
    assert (document.range_in, document.range_out) == (20, 20)


def test_a_double_click_near_a_keyframe_goes_to_it(timeline: Timeline, document: Document) -> None:
    set_records(document, {25: record_of([1], FrameStatus.CONFIRMED)})
    QTest.mouseDClick(timeline.viewport(), LEFT, NO_KEY, point(timeline, 26))
    assert document.frame == 25
    QTest.mouseDClick(timeline.viewport(), LEFT, NO_KEY, point(timeline, 40))
    assert document.frame == 40


def test_a_click_on_a_name_makes_that_object_the_current_one(
    timeline: Timeline, document: Document
) -> None:
    document.set_current_object(2)
    QTest.mouseClick(timeline.viewport(), LEFT, NO_KEY, QPoint(40, LANES_Y))
    assert document.current_object == 1
    assert document.frame == 0


# Zoom and scrolling


def test_ctrl_and_the_wheel_zoom_about_the_pointer(timeline: Timeline) -> None:
    at = point(timeline, 30)
    for _ in range(8):
        wheel(timeline, at, 1, Qt.KeyboardModifier.ControlModifier)
        assert timeline.frame_at(at.x()) == 30
    assert timeline.scale.frame_px > 15
    wheel(timeline, at, -40, Qt.KeyboardModifier.ControlModifier)
    assert timeline.scale.is_fit
    assert timeline.zoom == pytest.approx(0)


def test_zoom_goes_from_all_frames_to_forty_pixels_a_frame(timeline: Timeline) -> None:
    seen: list[float] = []
    timeline.zoom_changed.connect(seen.append)
    timeline.set_zoom(1.0)
    assert timeline.scale.frame_px == pytest.approx(40)
    timeline.set_zoom(0.0)
    assert timeline.scale.frame_px == pytest.approx(timeline.scale.width_px / FRAMES)
    assert seen == pytest.approx([1.0, 0.0])


def test_the_wheel_scrolls_time_and_the_frame_that_is_gone_to_comes_into_sight(
    timeline: Timeline, document: Document
) -> None:
    timeline.set_zoom(1.0)
    wheel(timeline, point(timeline, 2), -2)
    assert timeline.scale.scroll_px == pytest.approx(240)
    document.set_frame(59)
    assert timeline.scale.last == 59
    document.set_frame(0)
    assert timeline.scale.scroll_px == 0


def test_the_scroll_bar_and_the_strip_agree(timeline: Timeline) -> None:
    timeline.set_zoom(1.0)
    bar = timeline.horizontalScrollBar()
    assert bar.maximum() == round(60 * 40 - timeline.scale.width_px)
    bar.setValue(bar.maximum())
    assert timeline.scale.last == FRAMES - 1


def test_it_stays_at_all_frames_when_the_window_grows(timeline: Timeline) -> None:
    timeline.resize(900, 200)
    assert timeline.scale.is_fit
    assert timeline.scale.last == FRAMES - 1


def test_it_grows_up_to_five_lanes_and_then_scrolls(timeline: Timeline, document: Document) -> None:
    two = timeline.sizeHint().height()
    for _ in range(3):
        document.add_object()
    five = timeline.sizeHint().height()
    assert five == two + 3 * LANE_PX
    for _ in range(5):
        document.add_object()
    assert timeline.sizeHint().height() == five
    timeline.resize(timeline.width(), five)
    document.set_current_object(1)
    document.set_current_object(10)  # is scrolled to
    bar = timeline.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    QTest.mouseClick(
        timeline.viewport(), LEFT, NO_KEY, QPoint(40, timeline.viewport().height() - 8)
    )
    assert document.current_object == 10
    wheel(timeline, QPoint(200, LANES_Y), 20)
    assert bar.value() == 0


# Keys


@pytest.mark.parametrize(
    ("key", "modifier", "frame"),
    [
        (Qt.Key.Key_Right, NO_KEY, 31),
        (Qt.Key.Key_Left, NO_KEY, 29),
        (Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier, 40),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier, 20),
        (Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier, 50),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier, 10),
        (Qt.Key.Key_PageDown, NO_KEY, 40),
        (Qt.Key.Key_Home, NO_KEY, 0),
        (Qt.Key.Key_End, NO_KEY, FRAMES - 1),
    ],
)
def test_keys_move_the_frame(
    key: Qt.Key,
    modifier: Qt.KeyboardModifier,
    frame: int,
    timeline: Timeline,
    document: Document,
) -> None:
    given = record_of([1], FrameStatus.CORRECTED)
    set_records(document, {10: given, 50: given})
    document.set_frame(30)
    QTest.keyClick(timeline, key, modifier)
    assert document.frame == frame


def test_up_and_down_choose_the_object(timeline: Timeline, document: Document) -> None:
    document.set_current_object(1)
    QTest.keyClick(timeline, Qt.Key.Key_Down)
    assert document.current_object == 2
    QTest.keyClick(timeline, Qt.Key.Key_Down)
    QTest.keyClick(timeline, Qt.Key.Key_Up)
    assert document.current_object == 1


# What is shown


def test_a_lane_shows_where_its_object_is(timeline: Timeline, document: Document) -> None:
    red, green = (200, 30, 30), (30, 200, 30)
    document.recolor_object(1, red)
    document.recolor_object(2, green)
    empty, empty_second = colors(timeline, 20, 0), colors(timeline, 20, 1)
    records = {f: record_of([1], FrameStatus.TRACKED) for f in range(10, 31)}
    set_records(document, records)
    here = colors(timeline, 20, 0)
    assert here[0] > here[1] + 80
    assert here != empty
    assert colors(timeline, 40, 0) != here
    assert colors(timeline, 20, 1) == empty_second
    set_records(document, {f: record_of([2], FrameStatus.TRACKED) for f in range(15, 31)})
    now = colors(timeline, 20, 1)
    assert now[1] > now[0] + 80
    document.undo()
    document.undo()
    assert colors(timeline, 20, 0) == empty


def test_the_head_of_a_propagation_is_shown_while_it_runs(
    timeline: Timeline, annotator: RecordingAnnotator
) -> None:
    before = timeline.viewport().grab().toImage()
    annotator.set_busy(Busy.PROPAGATING)
    annotator.tracking.tracked.emit(40)
    assert timeline.viewport().grab().toImage() != before
    annotator.set_busy(Busy.IDLE)
    assert timeline.viewport().grab().toImage() == before


def test_a_tip_says_what_a_frame_is(
    timeline: Timeline, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_records(document, {12: record_of([1], FrameStatus.TRACKED, doubt=0.37)})
    shown: list[str] = []
    monkeypatch.setattr(QToolTip, "showText", lambda at, text, *rest: shown.append(text))
    at = point(timeline, 12)
    tip = QHelpEvent(QEvent.Type.ToolTip, at, timeline.viewport().mapToGlobal(at))
    QApplication.sendEvent(timeline.viewport(), tip)
    assert "12 of 59" in shown[0]
    assert "tracked" in shown[0]
    assert "rabbit" in shown[0]
    assert "IoU of rabbit: 0.63" in shown[0]


def test_screen_readers_get_the_place_in_words(timeline: Timeline, document: Document) -> None:
    assert timeline.accessibleName()
    document.set_frame(3)
    assert "Frame 3 of 59" in timeline.accessibleDescription()
    assert "no mask yet" in timeline.accessibleDescription()
    set_records(document, {3: record_of([2], FrameStatus.CONFIRMED)})
    assert "confirmed" in timeline.accessibleDescription()
    assert "rock" in timeline.accessibleDescription()


def test_thumbnails_arrive_without_blocking(
    timeline: Timeline, document: Document, qtbot: QtBot
) -> None:
    thumbnails = Thumbnails.of(document)
    qtbot.waitUntil(lambda: thumbnails.pixmap(0) is not None, timeout=10_000)
    pixmap = thumbnails.pixmap(0)
    assert pixmap is not None
    assert (pixmap.width(), pixmap.height()) == (thumbnails.width_px, thumbnails.height_px)


def test_thumbnails_rest_while_a_propagation_runs(
    document: Document, annotator: RecordingAnnotator, qtbot: QtBot
) -> None:
    thumbnails = Thumbnails.of(document)
    thumbnails.set_paused(True)
    thumbnails.want("test", [5])
    with qtbot.assertNotEmitted(thumbnails.arrived, wait=100):
        pass
    with qtbot.waitSignal(thumbnails.arrived):
        thumbnails.set_paused(False)


def test_thumbnails_stay_within_their_bytes(document: Document, qtbot: QtBot) -> None:
    thumbnails = Thumbnails(document.video, 40, budget_bytes=5 * 40 * 50 * 4)
    try:
        thumbnails.want("test", range(4))
        qtbot.waitUntil(lambda: all(thumbnails.pixmap(f) is not None for f in range(4)))
        thumbnails.want("test", range(20, 24))
        qtbot.waitUntil(lambda: all(thumbnails.pixmap(f) is not None for f in range(20, 24)))
        assert thumbnails.pixmap(0) is None
        assert thumbnails.size_bytes <= 5 * 40 * 50 * 4
    finally:
        thumbnails.close()


# The table behind it


def test_presence_tells_known_absent_and_unknown_apart(document: Document) -> None:
    set_records(
        document,
        {
            1: record_of([1], FrameStatus.TRACKED),
            2: record_of([1, 2], FrameStatus.CORRECTED),
            3: record_of([1], FrameStatus.CONFIRMED),
        },
    )
    table = FrameTable.of(document)
    first, second = table.presence(1, slice(0, 4)), table.presence(2, slice(0, 4))
    assert first.tolist() == [
        Presence.MISSING,
        Presence.TRACKED,
        Presence.CORRECTED,
        Presence.CONFIRMED,
    ]
    assert second.tolist() == [
        Presence.MISSING,
        Presence.NOT_FOUND,
        Presence.CORRECTED,
        Presence.ABSENT,
    ]
    assert table.frames_covered(1) == 3
    beside = replace(record_of([1, 2], FrameStatus.CORRECTED), given=frozenset({1, 3}))
    set_records(document, {4: beside})
    found = [table.presence(number, slice(4, 5)).item() for number in (1, 2, 3)]
    assert found == [Presence.CORRECTED, Presence.TRACKED, Presence.ABSENT]
    assert (table.next_given(2), table.previous_given(2)) == (3, None)


def test_a_table_that_followed_every_change_equals_a_new_one(document: Document) -> None:
    followed = FrameTable.of(document)
    random = np.random.default_rng(4)
    statuses = (FrameStatus.TRACKED, FrameStatus.CORRECTED, FrameStatus.CONFIRMED)
    for _ in range(40):
        frames = sorted({int(f) for f in random.integers(0, FRAMES, 6)})
        choice = random.integers(0, 5)
        if choice == 0:
            document.undo()
        elif choice == 1:
            known = [f for f in frames if f in document.annotation.records]
            if known:
                clear_records(document, known)
        else:
            objects = [i for i in (1, 2) if random.random() < 0.6]
            status = statuses[int(random.integers(0, 3))]
            doubt = round(float(random.random()), 3)
            signs = tuple(Signs.of(i, random.random(len(SIGNS))) for i in objects)
            record = replace(record_of(objects, status, doubt), signs=signs)
            set_records(document, dict.fromkeys(frames, record))
    new = FrameTable(document)
    assert followed.statuses.tolist() == new.statuses.tolist()
    assert followed.doubts.tolist() == new.doubts.tolist()
    for object_id in (1, 2, 3):
        assert followed.has(object_id).tolist() == new.has(object_id).tolist()
        assert np.array_equal(followed.trust(object_id), new.trust(object_id), equal_nan=True)


def test_there_is_one_table_a_document(document: Document) -> None:
    assert FrameTable.of(document) is FrameTable.of(document)
    assert RULER_PX < LANES_TOP_PX
