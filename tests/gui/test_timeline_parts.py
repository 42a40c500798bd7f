"""Parts of the timeline that need no window: scale, times, thumbnails' places, ruler."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QFont, QGuiApplication, QImage, QPainter, QPalette

from gui.timeline.painting import TimelinePicture, label_step, slots
from gui.timeline.scale import (
    LARGEST_FRAME_PX,
    TimeScale,
    format_timecode,
    frame_at,
    frame_of_timecode,
    parse_timecode,
    short_timecode,
)
from interaction.annotation.types import FrameStatus
from tests.gui.recording_annotator import open_document, record_of, set_records


@given(st.floats(0, 100 * 3600))
def test_a_timecode_that_was_written_is_read_again(seconds: float) -> None:
    assert parse_timecode(format_timecode(seconds)) == pytest.approx(seconds, abs=0.00051)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("62.5", 62.5),
        ("1:02.5", 62.5),
        ("1:00:02,25", 3602.25),
        (" 7 ", 7),
        ("", None),
        ("1:", None),
        ("x", None),
        ("-3", None),
        ("1:2:3:4", None),
    ],
)
def test_times_are_read_as_people_write_them(text: str, seconds: float | None) -> None:
    assert parse_timecode(text) == seconds


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("00:00:01:10", 40),  # at 29.97 frames a second, frame 30 is the first of second 1
        ("0:00:00:07", 7),
        ("00:00:01;00", 30),
        ("1.5", 44),
        ("00:01:00:00", 89),
        ("00:00:02:9999", 89),
        ("1:2:3:4:5", None),
        ("x", None),
    ],
)
def test_times_with_frames_count_from_the_first_frame_of_the_second(
    text: str, frame: int | None
) -> None:
    assert frame_of_timecode(np.arange(90) * 1001 / 30000, text) == frame


def test_times_are_written_as_short_as_they_can_be() -> None:
    assert short_timecode(7.9) == "0:07"
    assert short_timecode(3723) == "1:02:03"
    assert short_timecode(0.04, has_fraction=True) == "0:00.04"
    assert format_timecode(59.9996) == "00:01:00.000"


def test_a_frame_is_shown_until_the_next_one_begins() -> None:
    times_s = np.array([0.0, 0.040, 0.200, 0.240])
    assert [frame_at(times_s, s) for s in (-1, 0, 0.039, 0.040, 0.199, 0.2, 0.24, 9)] == [
        0,
        0,
        0,
        1,
        1,
        2,
        3,
        3,
    ]


SCALES = st.builds(
    TimeScale,
    st.integers(1, 100_000),
    st.integers(1, 4000),
    st.floats(0, 60),
    st.floats(-1e6, 1e7),
)


@given(SCALES)
def test_a_scale_never_leaves_the_video(scale: TimeScale) -> None:
    assert 0 <= scale.first <= scale.last < scale.frame_count
    assert scale.fit_px * 0.999 <= scale.frame_px <= LARGEST_FRAME_PX
    assert scale.scroll_px >= 0
    assert scale.frame(scale.center(scale.first)) == scale.first


@example(TimeScale(1671, 87, 0.06, 14.0), 1.0)
@given(SCALES, st.sampled_from([1.0, 1.25, 1.5, 2.0]))
def test_the_columns_hold_every_frame_that_is_seen_and_no_other(
    scale: TimeScale, ratio: float
) -> None:
    starts, stops = scale.columns(ratio)
    assert len(starts) == len(stops) >= 1
    assert (stops > starts).all()
    assert starts[0] >= 0
    assert stops[-1] <= scale.frame_count
    # No frame falls between two columns.
    assert (starts[1:] <= stops[:-1]).all()
    assert (np.diff(starts) >= 0).all()
    assert starts[0] == scale.first
    if scale.is_fit and scale.frame_px < LARGEST_FRAME_PX:
        assert stops[-1] == scale.frame_count


@given(SCALES, st.floats(0, 1), st.floats(0.01, 60))
def test_zooming_keeps_the_frame_under_the_pointer_unless_an_edge_is_in_the_way(
    scale: TimeScale, share: float, frame_px: float
) -> None:
    x = share * min(scale.width_px, scale.content_px) * 0.999
    position = (x + scale.scroll_px) / scale.frame_px
    zoomed = scale.zoomed(frame_px, x)
    after = (x + zoomed.scroll_px) / zoomed.frame_px
    is_at_edge = (
        zoomed.scroll_px <= 0 or zoomed.scroll_px >= zoomed.content_px - zoomed.width_px - 0.01
    )
    assert is_at_edge or after == pytest.approx(position, rel=1e-6, abs=1e-3)


@given(st.floats(0.001, 40), st.floats(1, 200))
def test_labels_of_the_ruler_have_room_and_are_round_numbers(
    frame_px: float, label_px: float
) -> None:
    step = label_step(frame_px, label_px)
    assert step * frame_px >= label_px
    assert str(step).rstrip("0") in ("1", "2", "5")


def test_slots_follow_each_other_without_gap_and_keep_their_frames_when_scrolled(
    tmp_path: Path, qapp: QGuiApplication
) -> None:
    document = open_document(tmp_path, 60)
    try:
        scale = TimeScale(60, 300, 10.0)
        found = slots(scale, 45, document.video)
        assert [slot.frame for slot in found] == list(range(0, 32, 4))
        for before, after in pairwise(found):
            assert before.left + before.width == pytest.approx(after.left)
        moved = slots(scale.scrolled(37), 45, document.video)
        assert {slot.frame for slot in moved} <= set(range(0, 60, 4))
        # A picture is cut by at most a third.
        for frame_px in np.linspace(0.5, 40, 50):
            some = slots(TimeScale(60, 30, float(frame_px)), 45, document.video)
            assert all(slot.width <= 45.01 for slot in some)
            full = [slot for slot in some if slot.frame + 12 < 60]
            assert all(slot.width >= 30 - 1e-6 or slot.width == frame_px for slot in full)
    finally:
        document.session.close()


def test_doubt_is_hotter_the_more_there_is_and_none_where_nothing_was_tracked(
    tmp_path: Path, qapp: QGuiApplication
) -> None:
    document = open_document(tmp_path, 4)
    try:
        document.add_object()
        set_records(
            document,
            {
                0: record_of([1], FrameStatus.TRACKED, 0.0),
                1: record_of([1], FrameStatus.TRACKED, 0.2),
                2: record_of([1], FrameStatus.TRACKED, 0.9),
            },
        )
        scale = TimeScale(4, 40)
        image = QImage(40, 4, QImage.Format.Format_RGB32)
        image.fill(QColor("black"))
        painter = QPainter(image)
        picture = TimelinePicture(document, scale, QPalette(), QFont(), 1.0)
        picture.draw_doubt(painter, QRectF(image.rect()))
        painter.end()
        sure, some, much, none = (image.pixelColor(5 + 10 * frame, 2) for frame in range(4))
        assert (none.red(), none.green(), none.blue()) == (0, 0, 0)
        assert sure.saturation() < 60
        assert some.green() > 80  # amber
        assert much.green() < 80  # red
        assert much.red() > some.red() > sure.red()
    finally:
        document.session.close()


def test_a_lane_shows_how_far_its_own_object_is_to_be_trusted(
    tmp_path: Path, qapp: QGuiApplication
) -> None:
    document = open_document(tmp_path, 4)
    try:
        document.add_object()
        document.add_object()
        doubts = (0.0, 0.3, 0.9)
        set_records(
            document,
            {f: record_of([1], FrameStatus.TRACKED, doubt) for f, doubt in enumerate(doubts)},
        )
        picture = TimelinePicture(document, TimeScale(4, 40), QPalette(), QFont(), 1.0)
        heights = {}
        for object_id in (1, 2):
            image = QImage(40, 20, QImage.Format.Format_RGB32)
            image.fill(QColor("black"))
            painter = QPainter(image)
            picture.draw_trust(painter, QRectF(image.rect()), object_id)
            painter.end()
            heights[object_id] = [
                sum(image.pixelColor(5 + 10 * frame, y).red() > 100 for y in range(20))
                for frame in range(4)
            ]
        sure, some, much, none = heights[1]
        assert sure == none == 0
        assert 0 < some < much
        assert heights[2] == [0, 0, 0, 0]
    finally:
        document.session.close()
