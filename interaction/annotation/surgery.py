"""Changes of one object's shape or id in a frame's mask: pure functions from labels to labels.

All take labels (H, W) uint8 and return a new array. They change the pixels of the objects they
name and of the background, never those of another object; a locked object gains and loses
nothing. ValueError for an id outside 1..255.
"""

import math
from collections.abc import Collection, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.strokes import Rectangle, check_object_id
from xmem_core.arrays import Labels

_LEAST_SMOOTHING_PX: Final = 0.2  # less reaches no neighbour


def part_sizes(labels: Labels, object_id: int) -> tuple[int, ...]:
    """Pixels in each connected part of the object, largest first. Corners connect."""
    check_object_id(object_id)
    return tuple(size for size, _ in _parts(labels == object_id)[1])


def split(
    labels: Labels, object_id: int, new_ids: Sequence[int], locked: Collection[int] = ()
) -> Labels:
    """The largest connected part keeps its id, the next ones get `new_ids`, largest first.

    Parts that are left over keep the old id. ValueError for an id named twice.
    """
    check_object_id(object_id)
    for new_id in new_ids:
        check_object_id(new_id)
    if len({object_id, *new_ids}) != len(new_ids) + 1:
        raise ValueError(f"new_ids must differ from {object_id} and each other, got {new_ids}")
    result = labels.copy()
    if {object_id, *new_ids} & set(locked):
        return result
    parts, sizes = _parts(labels == object_id)
    for (_, part), new_id in zip(sizes[1:], new_ids, strict=False):
        result[parts == part] = new_id
    return result


def keep_largest(labels: Labels, object_id: int, locked: Collection[int] = ()) -> Labels:
    """All of the object but its largest connected part becomes background."""
    check_object_id(object_id)
    result = labels.copy()
    parts, sizes = _parts(labels == object_id)
    if object_id not in locked and sizes:
        result[(parts != sizes[0][1]) & (parts != 0)] = 0
    return result


def remove_specks(
    labels: Labels, object_id: int, smallest_px: float, locked: Collection[int] = ()
) -> Labels:
    """Connected parts with fewer than `smallest_px` pixels become background."""
    check_object_id(object_id)
    result = labels.copy()
    if object_id in locked:
        return result
    parts, sizes = _parts(labels == object_id)
    specks = [part for size, part in sizes if size < smallest_px]
    if specks:
        is_speck = np.zeros(len(sizes) + 1, np.bool_)
        is_speck[specks] = True
        result[is_speck[parts]] = 0
    return result


def fill_holes(
    labels: Labels, object_id: int, largest_px: float | None = None, locked: Collection[int] = ()
) -> Labels:
    """Background that the object encloses becomes the object.

    A hole is a connected region, by edges, without this object's pixels that does not reach the
    frame's edge. Other objects inside it stay. largest_px: holes with more pixels stay too.
    """
    check_object_id(object_id)
    result = labels.copy()
    if object_id in locked:
        return result
    # One pixel around the frame joins all that reaches its edge into region 1.
    outside = np.pad((labels != object_id).view(np.uint8), 1, constant_values=1)
    count, regions, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    is_hole = np.ones(count, np.bool_)
    is_hole[[0, int(regions[0, 0])]] = False
    if largest_px is not None:
        is_hole &= stats[:, cv2.CC_STAT_AREA] <= largest_px
    if is_hole.any():
        result[is_hole[regions[1:-1, 1:-1]] & (labels == 0)] = object_id
    return result


def flood_fill(
    labels: Labels, object_id: int, x: float, y: float, locked: Collection[int] = ()
) -> Labels:
    """All that has the pixel's label and is connected with it, by edges, becomes the object.

    x, y: in pixels of the frame; ValueError outside. Unlike the other functions here, this takes
    pixels from whichever object is pointed at.
    """
    check_object_id(object_id)
    column, row = _pixel_at(labels, x, y)
    result = labels.copy()
    old = int(labels[row, column])
    if object_id in locked or old in locked or old == object_id:
        return result
    cv2.floodFill(result, None, (column, row), object_id, flags=4)
    return result


def reaches_edge(labels: Labels, x: float, y: float) -> bool:
    """Whether what `flood_fill` would fill there has a pixel at the edge of the frame.

    x, y: in pixels of the frame; ValueError outside.
    """
    height, width = labels.shape
    column, row = _pixel_at(labels, x, y)
    other = 255 - int(labels[row, column])  # any label but its own
    _, _, _, box = cv2.floodFill(labels.copy(), None, (column, row), other, flags=4)
    left, top, box_width, box_height = box
    return left == 0 or top == 0 or left + box_width == width or top + box_height == height


def remove_part(
    labels: Labels, object_id: int, x: float, y: float, locked: Collection[int] = ()
) -> Labels:
    """The connected part of the object that is pointed at becomes background.

    x, y: in pixels of the frame; ValueError outside. Nothing changes where the object is not.
    """
    check_object_id(object_id)
    column, row = _pixel_at(labels, x, y)
    result = labels.copy()
    if object_id not in locked:
        parts, _ = _parts(labels == object_id)
        part = parts[row, column]
        if part:
            result[parts == part] = 0
    return result


def grow(labels: Labels, object_id: int, px: float, locked: Collection[int] = ()) -> Labels:
    """Background whose centre lies within `px` of the centre of one of its pixels is added."""
    check_object_id(object_id)
    _check_distance("px", px)
    result = labels.copy()
    box = _box_around(labels == object_id, px)
    if object_id in locked or box is None:
        return result
    part = result[box.slices]
    near = _distance_to(part == object_id) <= px
    part[near & (part == 0)] = object_id
    return result


def shrink(labels: Labels, object_id: int, px: float, locked: Collection[int] = ()) -> Labels:
    """Its pixels within `px` of a pixel that is not its own become background.

    The frame's edge takes nothing away: the object is taken to go on beyond it.
    """
    check_object_id(object_id)
    _check_distance("px", px)
    result = labels.copy()
    box = _box_around(labels == object_id, 1)
    if object_id in locked or box is None:
        return result
    part = result[box.slices]
    own = part == object_id
    if not own.all():
        part[own & (_distance_to(~own) <= px)] = 0
    return result


def smooth(labels: Labels, object_id: int, px: float, locked: Collection[int] = ()) -> Labels:
    """Evens out the object's edge: bumps and notches narrower than about `px` go.

    The mask is blurred by a Gaussian of deviation px / 2 and cut at one half; what that adds is
    taken from the background only.
    """
    check_object_id(object_id)
    _check_distance("px", px)
    result = labels.copy()
    box = _box_around(labels == object_id, 2 * px + 1)
    if object_id in locked or box is None or px < _LEAST_SMOOTHING_PX:
        return result
    part = result[box.slices]
    own = part == object_id
    blurred = cv2.GaussianBlur(
        own.astype(np.float32), (0, 0), px / 2, borderType=cv2.BORDER_REPLICATE
    )
    inside = blurred > 0.5
    part[own & ~inside] = 0
    part[inside & (part == 0)] = object_id
    return result


def _pixel_at(labels: Labels, x: float, y: float) -> tuple[int, int]:
    """Column and row."""
    height, width = labels.shape
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(f"x, y must lie in {width}x{height}, got ({x}, {y})")
    return int(x), int(y)


def _parts(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], list[tuple[int, int]]]:
    """Each pixel's connected part, 0 outside; (pixels, part), largest first, then topmost."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    sizes = sorted(((int(areas[i]), i) for i in range(1, count)), key=lambda s: (-s[0], s[1]))
    return np.asarray(parts, np.int32), sizes


def _distance_to(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """From each pixel's centre to the nearest centre in `mask`, exactly."""
    distance = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance, np.float32)


def _box_around(mask: NDArray[np.bool_], margin_px: float) -> Rectangle | None:
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    margin = math.ceil(min(margin_px, height + width))
    return Rectangle(
        max(0, int(columns[0]) - margin),
        max(0, int(rows[0]) - margin),
        min(width, int(columns[-1]) + 1 + margin),
        min(height, int(rows[-1]) + 1 + margin),
    )


def _check_distance(name: str, px: float) -> None:
    if not 0 <= px < 1e4:
        raise ValueError(f"{name} must be 0 to 10000 pixels, got {px}")
