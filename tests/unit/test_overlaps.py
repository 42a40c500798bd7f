"""Pixels with several objects: each function against lists of ids, pixel by pixel."""

from collections.abc import Callable, Collection

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from interaction.annotation.overlaps import (
    Stack,
    add_beneath,
    cover,
    covered_pixels,
    ids_beneath,
    in_front,
    is_same,
    keeping,
    only_keepers,
    pile,
    region,
    renamed,
    reshaped,
    touched,
    with_labels_of,
    without,
)

Pixel = list[int]  # ids from front to back

_SHAPE = (3, 4)
_IDS = st.integers(1, 5)
_PIXELS = st.lists(
    st.lists(_IDS, unique=True, max_size=4), min_size=12, max_size=12
)  # of a frame of 3 x 4
_LABELS = st.lists(st.integers(0, 5), min_size=12, max_size=12)
_SETS = st.sets(_IDS)
_WHERE = st.lists(st.booleans(), min_size=12, max_size=12)


def stack_from(pixels: list[Pixel]) -> Stack:
    depth = max(1, *(len(pixel) for pixel in pixels))
    layers = np.zeros((depth, 12), np.uint8)
    for at, pixel in enumerate(pixels):
        layers[: len(pixel), at] = pixel
    return tuple(layer.reshape(_SHAPE) for layer in layers)


def pixels_of(stack: Stack) -> list[Pixel]:
    columns = np.stack([layer.ravel() for layer in stack], axis=1)
    assert len(stack) == 1 or stack[-1].any()
    for column in columns.tolist():
        ids = [one for one in column if one]
        assert column[: len(ids)] == ids  # none is missing in between
        assert len(set(ids)) == len(ids)
    return [[one for one in column if one] for column in columns.tolist()]


def labels_from(values: list[int]) -> np.ndarray:
    return np.array(values, np.uint8).reshape(_SHAPE)


def mask_from(values: list[bool]) -> np.ndarray:
    return np.array(values).reshape(_SHAPE)


def covered(pixel: Pixel, new: int, keepers: Collection[int]) -> Pixel:
    if new == (pixel[0] if pixel else 0):
        return pixel
    if new == 0:
        return pixel[1:]
    return [new, *(one for one in pixel if one != new and one in keepers)]


@settings(deadline=None)
@given(pixels=_PIXELS, after=_LABELS, keepers=_SETS)
def test_what_comes_to_the_front_covers_what_keeps_its_pixels(
    pixels: list[Pixel], after: list[int], keepers: set[int]
) -> None:
    before = stack_from(pixels)
    result = cover(before, labels_from(after), keepers)
    expected = [covered(pixel, new, keepers) for pixel, new in zip(pixels, after, strict=True)]
    assert pixels_of(result) == expected
    assert is_same(before, stack_from(pixels))  # untouched


@settings(deadline=None)
@given(pixels=_PIXELS, ids=_SETS, where=_WHERE)
def test_taken_off_shows_what_lay_beneath(
    pixels: list[Pixel], ids: set[int], where: list[bool]
) -> None:
    result = without(stack_from(pixels), ids, mask_from(where))
    assert pixels_of(result) == [
        [one for one in pixel if not (is_there and one in ids)]
        for pixel, is_there in zip(pixels, where, strict=True)
    ]


@settings(deadline=None)
@given(pixels=_PIXELS, object_id=_IDS, where=_WHERE)
def test_added_beneath_covers_nothing(
    pixels: list[Pixel], object_id: int, where: list[bool]
) -> None:
    result = add_beneath(stack_from(pixels), object_id, mask_from(where))
    assert pixels_of(result) == [
        [*pixel, object_id] if is_there and object_id not in pixel else pixel
        for pixel, is_there in zip(pixels, where, strict=True)
    ]


@settings(deadline=None)
@given(pixels=_PIXELS, keepers=_SETS, object_id=_IDS)
def test_in_front_no_object_loses_a_pixel(
    pixels: list[Pixel], keepers: set[int], object_id: int
) -> None:
    before = only_keepers(stack_from(pixels), keepers)
    result = in_front(before, object_id, keepers)
    for one in range(1, 6):
        assert np.array_equal(region(result, one), region(before, one))
    rises = region(before, object_id) & np.isin(before[0], sorted(keepers))
    assert (result[0][rises] == object_id).all()


@settings(deadline=None)
@given(pixels=_PIXELS, keepers=_SETS)
def test_only_keepers_are_beneath(pixels: list[Pixel], keepers: set[int]) -> None:
    result = only_keepers(stack_from(pixels), keepers)
    assert pixels_of(result) == [
        pixel[:1] + [one for one in pixel[1:] if one in keepers] for pixel in pixels
    ]
    assert ids_beneath(result) == {one for pixel in pixels_of(result) for one in pixel[1:]}


@settings(deadline=None)
@given(pixels=_PIXELS, object_id=_IDS, wanted=_WHERE, keepers=_SETS)
def test_reshaped_an_object_takes_nothing_from_others(
    pixels: list[Pixel], object_id: int, wanted: list[bool], keepers: set[int]
) -> None:
    before = stack_from(pixels)
    seen: list[np.ndarray] = []

    def change(labels: np.ndarray) -> np.ndarray:
        seen.append(labels)
        return np.where(mask_from(wanted), object_id, 0).astype(np.uint8)

    result = reshaped(before, object_id, change, keepers)
    assert np.array_equal(seen[0], np.where(region(before, object_id), object_id, 0))
    for at, (old, new) in enumerate(zip(pixels, pixels_of(result), strict=True)):
        rest = [one for one in old if one != object_id]
        assert [one for one in new if one != object_id] == rest
        if object_id in old:
            assert new == (old if wanted[at] else rest)
        elif wanted[at] and (object_id in keepers or not rest):
            assert new == [*rest, object_id]
        else:
            assert new == rest


@settings(deadline=None)
@given(pixels=_PIXELS, ids=st.lists(_IDS, min_size=5, max_size=5), keepers=_SETS)
def test_renamed_the_front_one_of_two_stays(
    pixels: list[Pixel], ids: list[int], keepers: set[int]
) -> None:
    table = np.arange(256, dtype=np.uint8)
    table[1:6] = ids
    result = renamed(stack_from(pixels), table, keepers | set(range(6, 256)))
    expected = []
    for pixel in pixels:
        new = list(dict.fromkeys(ids[one - 1] for one in pixel))
        expected.append(new[:1] + [one for one in new[1:] if one in keepers])
    assert pixels_of(result) == expected


@settings(deadline=None)
@given(before=_PIXELS, after=_PIXELS, ids=_SETS)
def test_kept_objects_gain_and_lose_nothing(
    before: list[Pixel], after: list[Pixel], ids: set[int]
) -> None:
    result = keeping(stack_from(before), stack_from(after), ids)
    expected = [
        old if any((one in old) != (one in new) for one in ids) else new
        for old, new in zip(before, after, strict=True)
    ]
    assert pixels_of(result) == expected


@settings(deadline=None)
@given(before=_PIXELS, after=_PIXELS)
def test_touched_are_those_that_came_went_or_moved(before: list[Pixel], after: list[Pixel]) -> None:
    expected: set[int] = set()
    for old, new in zip(before, after, strict=True):
        depth = max(len(old), len(new))
        pairs = zip(old + [0] * (depth - len(old)), new + [0] * (depth - len(new)), strict=True)
        expected.update(one for pair in pairs if pair[0] != pair[1] for one in pair)
    assert touched(stack_from(before), stack_from(after)) == expected - {0}


@settings(deadline=None)
@given(masks=st.lists(st.tuples(_IDS, _WHERE), max_size=6))
def test_a_pile_has_the_later_in_front(masks: list[tuple[int, list[bool]]]) -> None:
    result = pile(((one, mask_from(where)) for one, where in masks), *_SHAPE)
    expected: list[Pixel] = [[] for _ in range(12)]
    for one, where in masks:
        for at, is_there in enumerate(where):
            if is_there:
                expected[at] = [one, *(other for other in expected[at] if other != one)]
    assert pixels_of(result) == expected


@settings(deadline=None)
@given(pixels=_PIXELS, object_id=_IDS, labels=st.lists(st.integers(6, 8), min_size=12, max_size=12))
def test_parts_of_an_object_stay_as_deep_as_they_were(
    pixels: list[Pixel], object_id: int, labels: list[int]
) -> None:
    result = with_labels_of(stack_from(pixels), object_id, labels_from(labels))
    assert pixels_of(result) == [
        [labels[at] if one == object_id else one for one in pixel]
        for at, pixel in enumerate(pixels)
    ]


def test_nothing_new_is_made_of_a_stack_that_does_not_change() -> None:
    stack = stack_from([[1, 2]] * 6 + [[]] * 6)
    changes: list[Callable[[Stack], Stack]] = [
        lambda one: cover(one, one[0], {1, 2}),
        lambda one: without(one, {7}),
        lambda one: add_beneath(one, 2, region(one, 2)),
        lambda one: only_keepers(one, {1, 2}),
        lambda one: in_front(one, 1, {1, 2}),
    ]
    assert all(change(stack) is stack for change in changes)
    assert covered_pixels(stack, 2).sum() == 6
    assert not covered_pixels(stack, 1).any()
