"""Boxes and strokes as clicks."""

import itertools
import math
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from interaction.annotation.types import Click, Stroke
from interaction.clicks.prompts import Box, clicks_of_box, clicks_of_strokes, depth_inside
from interaction.clicks.published import load_click_network
from interaction.clicks.segmenter import ClickSegmenter
from resources import weights_folder

coordinate = st.floats(-30, 130)
point = st.tuples(coordinate, coordinate)


@settings(deadline=None)
@given(corner=point, opposite=point)
def test_a_box_lies_in_the_frame_and_its_clicks_are_inside_and_outside(
    corner: tuple[float, float], opposite: tuple[float, float]
) -> None:
    left, right = max(0, min(corner[0], opposite[0])), min(100, max(corner[0], opposite[0]))
    top, bottom = max(0, min(corner[1], opposite[1])), min(60, max(corner[1], opposite[1]))
    if left >= right or top >= bottom:
        with pytest.raises(ValueError, match="holds nothing"):
            Box.between(corner, opposite, 100, 60)
        return
    box = Box.between(corner, opposite, 100, 60)
    assert box == (left, top, right, bottom)
    rows, columns = box.pixels
    assert 0 <= rows.start <= top
    assert bottom <= rows.stop <= 60
    assert 0 <= columns.start <= left
    assert right <= columns.stop <= 100
    first, *others = clicks_of_box(box, 100, 60)
    assert first.is_positive
    assert left <= first.x <= right
    assert top <= first.y <= bottom
    for click in others:
        assert not click.is_positive
        assert 0 <= click.x < 100
        assert 0 <= click.y < 60
        assert not (left <= click.x <= right and top <= click.y <= bottom)


def test_sides_at_the_frame_get_no_click() -> None:
    assert len(clicks_of_box(Box(0, 0, 40, 60), 100, 60)) == 2


def two_objects() -> NDArray[np.uint8]:
    labels = np.zeros((60, 100), np.uint8)
    labels[10:30, 10:30], labels[10:50, 50:90] = 1, 2
    return labels


@settings(deadline=None)
@given(
    strokes=st.lists(
        st.builds(
            Stroke, st.lists(point, min_size=1, max_size=5).map(tuple), st.just(3.0), st.booleans()
        ),
        min_size=1,
        max_size=4,
    )
)
def test_strokes_become_few_clicks_on_them_in_the_frame(strokes: list[Stroke]) -> None:
    try:
        clicks = clicks_of_strokes(strokes, 100, 60)
    except ValueError:
        return
    signs = [click.is_positive for click in clicks]
    assert signs == sorted(signs, reverse=True)  # positive ones first
    for sign in (True, False):
        assert signs.count(sign) <= 8
    for click in clicks:
        assert 0 <= click.x < 100
        assert 0 <= click.y < 60
        own = [stroke for stroke in strokes if stroke.is_positive == click.is_positive]
        assert min(_distance(click, stroke) for stroke in own) < 1e-6


def test_clicks_of_a_long_stroke_are_spread_over_it_and_a_dab_is_one() -> None:
    line = Stroke(((5.0, 30.0), (95.0, 30.0)), 3.0)
    clicks = clicks_of_strokes([line], 100, 60)
    assert len(clicks) >= 5
    assert clicks[0].x == pytest.approx(50, abs=2)  # the first in the middle
    xs = sorted(click.x for click in clicks)
    assert xs[0] < 15
    assert xs[-1] > 85
    assert max(b - a for a, b in itertools.pairwise(xs)) < 35
    assert len(clicks_of_strokes([Stroke(((5.0, 5.0), (8.0, 5.0)), 3.0)], 100, 60)) == 1
    with pytest.raises(ValueError, match="touches"):
        clicks_of_strokes([Stroke(((-5.0, 5.0),), 3.0)], 100, 60)


@pytest.fixture(scope="module")
def segmenter() -> ClickSegmenter:
    return ClickSegmenter(load_click_network(weights_folder() / "small-clicks.safetensors"))


SQUARE = np.s_[30:90, 50:110]


def square() -> NDArray[np.uint8]:
    frame = np.full((120, 160, 3), (60, 90, 200), np.uint8)
    frame[SQUARE] = (220, 60, 40)
    return frame


def overlap(segmenter: ClickSegmenter, clicks: Sequence[Click]) -> float:
    truth = np.zeros((120, 160), bool)
    truth[SQUARE] = True
    labels = segmenter.segment(square(), np.zeros((120, 160), np.uint8), 1, clicks).labels
    return float(((labels == 1) & truth).sum() / ((labels == 1) | truth).sum())


def test_the_bundled_model_finds_what_a_box_is_drawn_round(segmenter: ClickSegmenter) -> None:
    truth = np.zeros((120, 160), bool)
    truth[SQUARE] = True
    start = np.zeros((120, 160), np.uint8)
    start[5:25, 5:25] = 2
    labels = segmenter.segment_box(square(), start, 1, Box(49, 31, 111, 89)).labels
    assert ((labels == 1) & truth).sum() / ((labels == 1) | truth).sum() > 0.9
    np.testing.assert_array_equal(labels == 2, start == 2)


def test_the_bundled_model_finds_what_is_scribbled_on(segmenter: ClickSegmenter) -> None:
    on = Stroke(((60.0, 40.0), (100.0, 80.0)), 3.0)
    off = Stroke(((10.0, 10.0), (150.0, 12.0)), 3.0, is_positive=False)
    assert overlap(segmenter, clicks_of_strokes([on, off], 160, 120)) > 0.9


def _distance(click: Click, stroke: Stroke) -> float:
    ends = stroke.points[1:] or stroke.points
    result = math.inf
    for (ax, ay), (bx, by) in zip(stroke.points, ends, strict=False):
        length = (bx - ax) ** 2 + (by - ay) ** 2
        along = ((click.x - ax) * (bx - ax) + (click.y - ay) * (by - ay)) / (length or 1.0)
        along = min(1.0, max(0.0, along))
        result = min(
            result, math.hypot(click.x - ax - along * (bx - ax), click.y - ay - along * (by - ay))
        )
    return result


def test_only_the_box_of_a_region_is_measured_and_the_border_is_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = []
    measure = cv2.distanceTransform

    def noting(picture: NDArray[np.uint8], kind: int, size: int) -> NDArray[np.float32]:
        measured.append(picture.shape)
        return np.asarray(measure(picture, kind, size), np.float32)

    monkeypatch.setattr(cv2, "distanceTransform", noting)
    region = np.zeros((40, 60), np.bool_)
    region[10:15, 50:] = region[2, 55] = True
    depth = depth_inside(region)
    assert measured == [(13 + 2, 10 + 2)]
    assert (depth > 0).tolist() == region.tolist()
    assert depth[12].tolist() == [0] * 50 + [1, 2, *[3] * 6, 2, 1]
    assert depth[2, 55] == 1
    assert not depth_inside(np.zeros((4, 6), np.bool_)).any()
