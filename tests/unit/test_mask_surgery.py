"""Surgery on one object: exact, others untouched, locked objects never changed."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from interaction.annotation.surgery import (
    fill_holes,
    flood_fill,
    grow,
    keep_largest,
    part_sizes,
    reaches_edge,
    remove_specks,
    shrink,
    smooth,
    split,
)

masks = arrays(
    np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.integers(0, 3)
)
ids = st.integers(1, 3)
lockings = st.sets(ids)
distances = st.floats(0, 6)

ON_ONE_OBJECT: list[Callable[..., np.ndarray]] = [
    lambda labels, one, px, locked: keep_largest(labels, one, locked),
    lambda labels, one, px, locked: remove_specks(labels, one, int(px) + 2, locked),
    lambda labels, one, px, locked: fill_holes(labels, one, None, locked),
    grow,
    shrink,
    smooth,
]


@pytest.mark.parametrize("change", ON_ONE_OBJECT)
@settings(deadline=None, max_examples=50)
@given(labels=masks, object_id=ids, px=distances, locked=lockings)
@example(labels=np.ones((1, 2), np.uint8), object_id=1, px=5e-324, locked=set())
def test_only_the_object_and_the_background_change(
    change: Callable[..., np.ndarray],
    labels: np.ndarray,
    object_id: int,
    px: float,
    locked: set[int],
) -> None:
    before = labels.copy()
    after = change(labels, object_id, px, locked)
    assert np.array_equal(labels, before)
    assert after.dtype == np.uint8
    assert after.shape == labels.shape
    others = ~np.isin(labels, [0, object_id])
    assert np.array_equal(after[others], labels[others])
    assert np.isin(after[~others], [0, object_id]).all()
    if object_id in locked:
        assert np.array_equal(after, labels)


@settings(deadline=None)
@given(labels=masks, object_id=ids, px=distances)
def test_shrinking_what_has_grown_leaves_all_that_was_there(
    labels: np.ndarray, object_id: int, px: float
) -> None:
    labels = np.where(labels == object_id, labels, 0).astype(np.uint8)
    closed = shrink(grow(labels, object_id, px), object_id, px)
    assert (closed[labels == object_id] == object_id).all()


@settings(deadline=None, max_examples=40)
@given(labels=masks, object_id=ids, px=distances)
def test_grown_and_shrunk_by_the_distance_of_centres(
    labels: np.ndarray, object_id: int, px: float
) -> None:
    own = labels == object_id
    grown = grow(labels, object_id, px) == object_id
    shrunk = shrink(labels, object_id, px) == object_id
    for y, x in np.ndindex(*labels.shape):
        rows, columns = np.nonzero(own)
        distance = np.hypot(rows - y, columns - x).min(initial=np.inf)
        if labels[y, x] == 0 and abs(distance - px) > 1e-4:
            assert grown[y, x] == (distance < px)
        rows, columns = np.nonzero(~own)
        distance = np.hypot(rows - y, columns - x).min(initial=np.inf)
        if own[y, x] and abs(distance - px) > 1e-4:
            assert shrunk[y, x] == (distance > px)


def test_an_object_at_the_frames_edge_does_not_shrink_from_it() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[:, :5] = 1
    assert (shrink(labels, 1, 2) == 1).sum() == 30
    assert (shrink(np.ones((4, 4), np.uint8), 1, 3) == 1).all()


def test_smoothing_takes_bumps_fills_notches_and_keeps_the_body() -> None:
    labels = np.zeros((60, 60), np.uint8)
    labels[20:40, 10:50] = 1
    labels[17:20, 30] = 1  # a bump one pixel wide
    labels[37:40, 20] = 0  # and a notch
    labels[19, 12] = 2  # another object stays
    after = smooth(labels, 1, 4)
    assert (after[17:19, 30] == 0).all()
    assert (after[38, 20] == 1).all()
    assert (after[22:37, 12:48] == 1).all()
    assert after[19, 12] == 2


@settings(deadline=None)
@given(labels=masks, object_id=ids, new_ids=st.lists(st.integers(4, 9), unique=True, max_size=4))
def test_split_gives_each_part_its_own_id_largest_first(
    labels: np.ndarray, object_id: int, new_ids: list[int]
) -> None:
    sizes = part_sizes(labels, object_id)
    after = split(labels, object_id, new_ids)
    assert sum(sizes) == (labels == object_id).sum()
    for new_id, size in zip(new_ids, sizes[1:], strict=False):
        assert part_sizes(after, new_id) == (size,)
    left = sizes[:1] + sizes[1 + len(new_ids) :]
    assert part_sizes(after, object_id) == left
    assert np.array_equal(np.where(np.isin(after, new_ids), object_id, after), labels)


def test_split_is_refused_when_an_id_is_named_twice_and_does_nothing_when_locked() -> None:
    labels = np.array([[1, 0, 1, 1]], np.uint8)
    with pytest.raises(ValueError, match="new_ids"):
        split(labels, 1, [1])
    with pytest.raises(ValueError, match="new_ids"):
        split(labels, 1, [4, 4])
    assert np.array_equal(split(labels, 1, [4], locked={4}), labels)
    assert split(labels, 1, [4]).tolist() == [[4, 0, 1, 1]]


def test_holes_are_filled_and_what_other_objects_have_in_them_stays() -> None:
    labels = np.zeros((12, 20), np.uint8)
    labels[1:9, 1:9] = 1
    labels[3:7, 3:7] = 0
    labels[4, 4] = 2
    labels[1:5, 12:17] = 1
    labels[2:4, 13:16] = 0
    labels[9:, :6] = 1
    labels[10:, 2:4] = 0  # a bay at the frame's edge is no hole
    after = fill_holes(labels, 1)
    assert (after[3:7, 3:7] == 1).sum() == 15
    assert after[4, 4] == 2
    assert (after[2:4, 13:16] == 1).all()
    assert (after[10:, 2:4] == 0).all()
    small_only = fill_holes(labels, 1, 6)
    assert (small_only[3:7, 3:7] == 1).sum() == 0
    assert (small_only[2:4, 13:16] == 1).all()


def test_filled_from_a_corner_pixel_counts_as_open_only_by_edges() -> None:
    labels = np.ones((5, 5), np.uint8)
    labels[0, 0] = 0
    labels[1, 1] = 0  # touches the open corner by a corner only: enclosed
    assert fill_holes(labels, 1).tolist()[0][0] == 0
    assert fill_holes(labels, 1)[1, 1] == 1


def test_specks_below_the_size_go_and_others_stay() -> None:
    labels = np.zeros((8, 8), np.uint8)
    labels[0, 0] = 1
    labels[2, 2] = labels[3, 3] = 1  # connected by a corner
    labels[5:8, 5:8] = 1
    labels[0, 7] = 2
    assert part_sizes(remove_specks(labels, 1, 2), 1) == (9, 2)
    assert part_sizes(remove_specks(labels, 1, 3), 1) == (9,)
    assert remove_specks(labels, 1, 3)[0, 7] == 2
    assert part_sizes(keep_largest(labels, 1), 1) == (9,)


def test_a_flood_takes_the_connected_region_of_one_label() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[:, 3] = 2
    after = flood_fill(labels, 1, 0.5, 5.9)
    assert (after[:, :3] == 1).all()
    assert (after[:, 3] == 2).all()
    assert (after[:, 4:] == 0).all()
    assert (flood_fill(labels, 1, 3, 0)[:, 3] == 1).all()
    assert np.array_equal(flood_fill(labels, 1, 3, 0, locked={2}), labels)
    assert np.array_equal(flood_fill(labels, 1, 0, 0, locked={1}), labels)
    with pytest.raises(ValueError, match="x, y"):
        flood_fill(labels, 1, 6, 0)


@pytest.mark.parametrize("change", [grow, shrink, smooth])
@pytest.mark.parametrize("px", [-1.0, float("nan"), float("inf")])
def test_distances_are_finite_and_not_negative(
    change: Callable[..., np.ndarray], px: float
) -> None:
    with pytest.raises(ValueError, match="px"):
        change(np.ones((3, 3), np.uint8), 1, px)


@pytest.mark.parametrize("object_id", [0, 256])
def test_only_ids_of_objects_are_taken(object_id: int) -> None:
    labels = np.ones((3, 3), np.uint8)
    for change in ON_ONE_OBJECT:
        with pytest.raises(ValueError, match="object_id"):
            change(labels, object_id, 1.0, ())


def test_a_region_reaches_the_edge_only_where_it_is_connected_with_it() -> None:
    labels = np.zeros((9, 9), np.uint8)
    labels[2:7, 2:7] = 1
    labels[3:6, 3:6] = 0
    assert reaches_edge(labels, 0, 0)
    assert reaches_edge(labels, 1.9, 4)
    assert not reaches_edge(labels, 4, 4)
    assert not reaches_edge(labels, 2, 2)
    labels[6, 6] = 0  # corners do not connect
    assert not reaches_edge(labels, 4, 4)
    labels[0:3, 4] = 0
    assert reaches_edge(labels, 4, 4)
    with pytest.raises(ValueError, match="x, y"):
        reaches_edge(labels, 9, 0)
