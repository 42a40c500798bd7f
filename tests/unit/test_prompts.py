"""Boxes and strokes as clicks."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from interaction.annotation.types import Click, Stroke
from interaction.clicks.prompts import clicks_of_box, clicks_of_strokes, next_click_of_box
from interaction.clicks.published_weights import load_click_network
from interaction.clicks.segmenter import ClickSegmenter
from resources import weights_folder

coordinate = st.floats(-30, 130)
point = st.tuples(coordinate, coordinate)


@settings(deadline=None)
@given(corner=point, opposite=point)
def test_a_box_is_a_click_inside_and_clicks_outside_all_in_the_frame(
    corner: tuple[float, float], opposite: tuple[float, float]
) -> None:
    left, right = max(0, min(corner[0], opposite[0])), min(100, max(corner[0], opposite[0]))
    top, bottom = max(0, min(corner[1], opposite[1])), min(60, max(corner[1], opposite[1]))
    if left >= right or top >= bottom:
        with pytest.raises(ValueError, match="box"):
            clicks_of_box(corner, opposite, 100, 60)
        return
    first, *others = clicks_of_box(corner, opposite, 100, 60)
    assert first.is_positive
    assert left <= first.x <= right
    assert top <= first.y <= bottom
    for click in others:
        assert not click.is_positive
        assert 0 <= click.x < 100
        assert 0 <= click.y < 60
        assert not (left <= click.x <= right and top <= click.y <= bottom)


def test_a_box_may_be_drawn_from_any_corner_and_sides_at_the_frame_get_no_click() -> None:
    corners = [(20, 10), (80, 10), (20, 50), (80, 50)]
    drawn = [clicks_of_box(c, (100 - c[0], 60 - c[1]), 100, 60) for c in corners]
    assert drawn[0] == drawn[1] == drawn[2] == drawn[3]
    assert len(drawn[0]) == 5
    assert len(clicks_of_box((0, 0), (40, 60), 100, 60)) == 2


BOX = (20.0, 10.0), (80.0, 50.0)


def answer(*parts: tuple[slice, slice], level: float = 0.9) -> NDArray[np.float32]:
    probability = np.full((60, 100), 0.1, np.float32)
    for part in parts:
        probability[part] = level
    return probability


def test_a_mask_that_fills_its_box_needs_no_further_click() -> None:
    assert next_click_of_box(answer(np.s_[11:49, 21:79]), *BOX, ()) is None
    cross = answer(np.s_[28:32, 20:80], np.s_[10:50, 48:52])
    assert next_click_of_box(cross, *BOX, ()) is None


def test_what_spills_over_is_clicked_away() -> None:
    spilled = answer(np.s_[10:50, 20:80], np.s_[5:55, 90:100])
    click = next_click_of_box(spilled, *BOX, ())
    assert click is not None
    assert not click.is_positive
    assert 92 <= click.x <= 98
    assert 5 <= click.y < 55


@pytest.mark.parametrize(
    ("reached", "likely", "place"),
    [
        (np.s_[30:50, 20:80], np.s_[14:17, 40:44], (42, 15.5)),  # the top is missing
        (np.s_[10:30, 20:80], np.s_[43:46, 60:64], (62, 44.5)),  # the bottom
        (np.s_[10:50, 50:80], np.s_[20:24, 25:29], (27, 22)),  # the left
        (np.s_[10:50, 20:50], np.s_[20:24, 70:74], (72, 22)),  # the right
    ],
)
def test_towards_a_side_that_is_not_reached_the_likeliest_place_is_clicked(
    reached: tuple[slice, slice], likely: tuple[slice, slice], place: tuple[float, float]
) -> None:
    probability = answer(reached)
    probability[likely] = 0.4
    probability[0:8, 0:8] = 0.45  # outside the box it does not count
    click = next_click_of_box(probability, *BOX, ())
    assert click is not None
    assert click.is_positive
    assert math.dist((click.x, click.y), place) <= 3


def test_the_same_place_is_not_clicked_twice() -> None:
    probability = answer(np.s_[30:50, 20:80])
    probability[14:17, 40:44] = 0.4
    clicks: list[Click] = []
    for _ in range(6):
        click = next_click_of_box(probability, *BOX, clicks)
        assert click is not None
        clicks.append(click)
    assert len({(int(c.x), int(c.y)) for c in clicks}) == 6


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), corner=point, opposite=point)
@example(seed=0, corner=(0.0, 0.0), opposite=(1e-310, 5.0))
def test_whatever_the_answer_the_next_click_lies_in_the_frame_where_it_says_something(
    seed: int, corner: tuple[float, float], opposite: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.random((60, 100), dtype=np.float32) * rng.choice([0.4, 1.0])
    try:
        click = next_click_of_box(probability.astype(np.float32), corner, opposite, ())
    except ValueError:
        return
    if click is not None:
        assert 0 <= click.x < 100
        assert 0 <= click.y < 60
        assert (probability[int(click.y), int(click.x)] > 0.5) != click.is_positive


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
    assert overlap(segmenter, clicks_of_box((49, 31), (111, 89), 160, 120)) > 0.9


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
