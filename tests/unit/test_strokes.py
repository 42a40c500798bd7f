"""Brush, eraser and lasso: exact pixels, one object, never a locked one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from interaction.annotation.strokes import (
    LEAST_RADIUS_PX,
    Rectangle,
    fill_polygon,
    paint,
    paint_segment,
    stroke_mask,
)
from interaction.annotation.types import Stroke
from xmem_core.arrays import Labels

coordinate = st.one_of(
    st.floats(-15, 40, allow_nan=False, allow_infinity=False),
    st.integers(-10, 40).map(float),
    st.integers(-10, 40).map(lambda n: n + 0.5),
)
points = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=6).map(tuple)
strokes = st.builds(Stroke, points, st.floats(0.2, 12), st.booleans())
masks = arrays(
    np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 30)), elements=st.integers(0, 3)
)
lockings = st.sets(st.integers(1, 3))


def distance_to_stroke(height: int, width: int, stroke: Stroke) -> np.ndarray:
    """From each pixel's centre to the line, by the textbook."""
    y, x = np.mgrid[:height, :width] + 0.5
    nearest = np.full((height, width), np.inf)
    ends = stroke.points[1:] or stroke.points
    for (ax, ay), (bx, by) in zip(stroke.points, ends, strict=False):
        length = (bx - ax) ** 2 + (by - ay) ** 2
        along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / (length or 1.0)
        along = np.clip(along, 0, 1)
        distance = np.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay))
        nearest = np.minimum(nearest, distance)
    return nearest


def bounds_of_change(before: Labels, after: Labels) -> Rectangle | None:
    rows, columns = np.nonzero(before != after)
    if not rows.size:
        return None
    bounds = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return Rectangle(*map(int, bounds))


def polygon_mask(height: int, width: int, polygon: list[tuple[float, float]]) -> np.ndarray:
    return fill_polygon(np.zeros((height, width), np.uint8), 1, polygon) == 1


@settings(deadline=None)
@given(stroke=strokes, height=st.integers(1, 24), width=st.integers(1, 30))
def test_a_stroke_covers_the_pixels_whose_centres_lie_within_its_radius(
    stroke: Stroke, height: int, width: int
) -> None:
    distance = distance_to_stroke(height, width, stroke)
    mask = stroke_mask(height, width, stroke)
    assert mask[distance < stroke.radius_px - 1e-6].all()
    assert not mask[distance > stroke.radius_px + 1e-6].any()


@settings(deadline=None)
@given(labels=masks, object_id=st.integers(1, 3), stroke=strokes, locked=lockings)
def test_a_stroke_changes_its_own_pixels_only_and_no_locked_object(
    labels: np.ndarray, object_id: int, stroke: Stroke, locked: set[int]
) -> None:
    before = labels.copy()
    after = paint(labels, object_id, stroke, locked)
    inside = stroke_mask(labels.shape[0], labels.shape[1], stroke)
    assert np.array_equal(labels, before)
    assert np.array_equal(after[~inside], labels[~inside])
    if object_id in locked:
        assert np.array_equal(after, labels)
    elif stroke.is_positive:
        free = inside & ~np.isin(labels, list(locked))
        assert (after[free] == object_id).all()
        assert np.array_equal(after[~free], labels[~free])
    else:
        assert not (after[inside] == object_id).any()
        kept = labels != object_id
        assert np.array_equal(after[kept], labels[kept])


@settings(deadline=None)
@given(labels=masks, object_id=st.integers(1, 3), stroke=strokes, locked=lockings)
def test_drawn_piece_by_piece_it_is_the_same_and_the_rectangle_holds_every_change(
    labels: np.ndarray, object_id: int, stroke: Stroke, locked: set[int]
) -> None:
    live = labels.copy()
    whole = None
    ends = stroke.points[1:] or stroke.points
    for start, end in zip(stroke.points, ends, strict=False):
        before = live.copy()
        changed = paint_segment(
            live,
            object_id,
            start,
            end,
            stroke.radius_px,
            is_positive=stroke.is_positive,
            locked=locked,
        )
        assert changed == bounds_of_change(before, live)
        if changed is not None:
            whole = changed if whole is None else whole.united(changed)
    assert np.array_equal(live, paint(labels, object_id, stroke, locked))
    assert whole == bounds_of_change(labels, live)


@settings(deadline=None, max_examples=20)
@given(
    start=st.tuples(st.floats(-50, 650), st.floats(-50, 450)),
    end=st.tuples(st.floats(-50, 650), st.floats(-50, 450)),
    radius=st.floats(0.5, 60),
)
def test_a_long_stroke_is_as_exact_as_a_short_one(
    start: tuple[float, float], end: tuple[float, float], radius: float
) -> None:
    stroke = Stroke((start, end), radius)
    distance = distance_to_stroke(400, 600, stroke)
    mask = stroke_mask(400, 600, stroke)
    assert mask[distance < radius - 1e-6].all()
    assert not mask[distance > radius + 1e-6].any()


@given(x=st.floats(0, 10), y=st.floats(0, 10))
def test_the_smallest_dab_always_paints(x: float, y: float) -> None:
    assert stroke_mask(11, 11, Stroke(((x, y),), LEAST_RADIUS_PX)).any()


def test_a_long_fast_stroke_across_a_large_frame_has_no_gap() -> None:
    stroke = Stroke(((10.0, 20.0), (1900.0, 1060.0)), 3.0)
    mask = stroke_mask(1080, 1920, stroke)
    rows = np.flatnonzero(mask.any(axis=1))
    assert set(range(20, 1060)) <= set(rows.tolist())
    assert abs(int(mask.sum()) - (np.hypot(1890, 1040) * 6 + np.pi * 9)) < 60


@settings(deadline=None)
@given(
    polygon=st.lists(st.tuples(coordinate, coordinate), max_size=8),
    height=st.integers(1, 24),
    width=st.integers(1, 30),
)
def test_a_polygon_holds_the_centres_it_goes_round(
    polygon: list[tuple[float, float]], height: int, width: int
) -> None:
    mask = polygon_mask(height, width, polygon)
    if len(polygon) < 3:
        assert not mask.any()
        return
    y, x = np.mgrid[:height, :width] + 0.5
    turned = np.zeros((height, width))
    on_edge = np.zeros((height, width), bool)
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        to_a, to_b = np.arctan2(ay - y, ax - x), np.arctan2(by - y, bx - x)
        step = (to_b - to_a + np.pi) % (2 * np.pi) - np.pi
        turned += step
        # An angle is not to be trusted near the edge itself.
        on_edge |= np.abs(np.abs(step) - np.pi) < 1e-5
        on_edge |= (np.hypot(ax - x, ay - y) < 1e-5) | (np.hypot(bx - x, by - y) < 1e-5)
    wound = np.round(turned / (2 * np.pi)) != 0
    assert np.array_equal(mask[~on_edge], wound[~on_edge])


def test_polygons_that_share_an_edge_share_no_pixel() -> None:
    left = polygon_mask(20, 20, [(0, 0), (10.5, 0), (7.5, 20), (0, 20)])
    right = polygon_mask(20, 20, [(10.5, 0), (20, 0), (20, 20), (7.5, 20)])
    assert not (left & right).any()
    assert (left | right).all()


@settings(deadline=None)
@given(
    labels=masks,
    object_id=st.integers(1, 3),
    polygon=st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=8),
    is_positive=st.booleans(),
    locked=lockings,
)
def test_a_lasso_changes_what_it_holds_and_no_locked_object(
    labels: np.ndarray,
    object_id: int,
    polygon: list[tuple[float, float]],
    is_positive: bool,
    locked: set[int],
) -> None:
    after = fill_polygon(labels, object_id, polygon, is_positive, locked)
    inside = polygon_mask(labels.shape[0], labels.shape[1], polygon)
    may_change = inside & ~np.isin(labels, list(locked)) & (object_id not in locked)
    assert np.array_equal(after[~may_change], labels[~may_change])
    if is_positive:
        assert (after[may_change] == object_id).all()
    else:
        assert not (after[may_change] == object_id).any()


@pytest.mark.parametrize("object_id", [0, -1, 256])
def test_only_ids_of_objects_are_painted(object_id: int) -> None:
    labels = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="object_id"):
        paint(labels, object_id, Stroke(((1.0, 1.0),), 2.0))
    with pytest.raises(ValueError, match="object_id"):
        fill_polygon(labels, object_id, [(0, 0), (2, 0), (2, 2)])


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf")])
def test_a_radius_is_above_zero(radius: float) -> None:
    with pytest.raises(ValueError, match="radius_px"):
        paint(np.zeros((4, 4), np.uint8), 1, Stroke(((1.0, 1.0),), radius))


@pytest.mark.parametrize("point", [(float("nan"), 1.0), (1.0, float("inf")), (1e9, 1.0)])
def test_points_are_numbers_near_the_frame(point: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="points"):
        paint(np.zeros((4, 4), np.uint8), 1, Stroke((point,), 2.0))
    with pytest.raises(ValueError, match="points"):
        fill_polygon(np.zeros((4, 4), np.uint8), 1, [(0, 0), point, (1, 1)])


def test_a_stroke_without_points_is_refused() -> None:
    with pytest.raises(ValueError, match="point"):
        paint(np.zeros((4, 4), np.uint8), 1, Stroke((), 2.0))
