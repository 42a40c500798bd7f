"""Brush, eraser and lasso on a frame's mask: exact, per object, never on a locked object.

Pixel (column, row) covers the square from (column, row) to (column + 1, row + 1); its centre lies
half a pixel in. A pixel belongs to a stroke, or to a polygon, if its centre does.
"""

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.types import Stroke
from xmem_core.arrays import Labels

# A smaller dab can fall between four centres and paint nothing.
LEAST_RADIUS_PX: Final = 0.71
_FARTHEST_PX: Final = 1e6  # beyond it, squares of distances lose whole pixels
_LONG_PX: Final = 128.0  # longer ways are drawn in pieces
_LEVEL_PX: Final = 1e-9  # a segment that rises less is level


class Rectangle(NamedTuple):
    """Columns left to right, rows top to bottom; the second of each is the first one outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """To index a (H, W) array with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def united(self, other: "Rectangle") -> "Rectangle":
        """The smallest one that holds both."""
        return Rectangle(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


def paint(labels: Labels, object_id: int, stroke: Stroke, locked: Collection[int] = ()) -> Labels:
    """`labels` (H, W) with a stroke of the brush, or of the eraser if it is not positive.

    The brush takes pixels from the background and from other objects; the eraser gives only this
    object's pixels to the background. ValueError for an id outside 1..255, a radius that is not
    above 0, a stroke without points or with one that is no number.
    """
    result = labels.copy()
    for start, end in _segments(stroke):
        paint_segment(
            result,
            object_id,
            start,
            end,
            stroke.radius_px,
            is_positive=stroke.is_positive,
            locked=locked,
        )
    return result


def paint_segment(
    labels: Labels,
    object_id: int,
    start: tuple[float, float],
    end: tuple[float, float],
    radius_px: float,
    *,
    is_positive: bool = True,
    locked: Collection[int] = (),
) -> Rectangle | None:
    """One straight piece of a stroke, from start to end (x, y), in place.

    Piece by piece this gives the same pixels as `paint` of the whole. The result holds every pixel
    that changed; None if none did. Errors as `paint`.
    """
    check_object_id(object_id)
    _check_points((start, end), radius_px)
    if object_id in locked:
        return None
    whole = None
    for box, inside in _capsules(labels.shape, start, end, radius_px):
        changed = _put(labels, object_id, box, inside, is_positive, locked)
        if changed is not None:
            whole = changed if whole is None else whole.united(changed)
    return whole


def fill_polygon(
    labels: Labels,
    object_id: int,
    polygon: Sequence[tuple[float, float]],
    is_positive: bool = True,
    locked: Collection[int] = (),
) -> Labels:
    """`labels` with all that a lasso went round, painted or, if not positive, erased.

    polygon: corners (x, y) in order; the last is joined to the first. Where the line crosses
    itself, whatever it went round at least once counts. Fewer than three corners hold nothing.
    Errors as `paint`.
    """
    check_object_id(object_id)
    result = labels.copy()
    piece = _polygon(labels.shape, polygon)
    if piece is not None and object_id not in locked:
        _put(result, object_id, *piece, is_positive, locked)
    return result


def stroke_mask(height: int, width: int, stroke: Stroke) -> NDArray[np.bool_]:
    """(height, width): the pixels a stroke covers."""
    mask = np.zeros((height, width), np.bool_)
    _check_points(stroke.points, stroke.radius_px)
    for start, end in _segments(stroke):
        for box, inside in _capsules(mask.shape, start, end, stroke.radius_px):
            mask[box.slices] |= inside
    return mask


def check_object_id(object_id: int) -> None:
    """ValueError unless it can be a pixel's value and is not the background's."""
    if not 1 <= object_id <= 255:
        raise ValueError(f"object_id must be 1 to 255, got {object_id}")


def _put(
    labels: Labels,
    object_id: int,
    box: Rectangle,
    inside: NDArray[np.bool_],
    is_positive: bool,
    locked: Collection[int],
) -> Rectangle | None:
    part = labels[box.slices]
    own = part == object_id
    if is_positive:
        inside = inside & ~own
        for other in locked:
            inside &= part != other
        value = object_id
    else:
        inside = inside & own
        value = 0
    changed = _bounds(inside, box.left, box.top)
    if changed is not None:
        np.copyto(part, np.uint8(value), where=inside)
    return changed


def _bounds(mask: NDArray[np.bool_], left: int, top: int) -> Rectangle | None:
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    first, last = int(rows[0]), int(rows[-1])
    columns = np.flatnonzero(mask[first : last + 1].any(axis=0))
    return Rectangle(
        left + int(columns[0]), top + first, left + int(columns[-1]) + 1, top + last + 1
    )


def _segments(stroke: Stroke) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    points = stroke.points
    if not points:
        raise ValueError("a stroke has at least one point, got none")
    if len(points) == 1:
        return [(points[0], points[0])]
    return list(itertools.pairwise(points))


def _check_points(points: Sequence[tuple[float, float]], radius_px: float | None = None) -> None:
    if radius_px is not None and not 0 < radius_px <= _FARTHEST_PX:
        raise ValueError(f"radius_px must be above 0 and at most {_FARTHEST_PX:g}, got {radius_px}")
    for x, y in points:
        if not (abs(x) <= _FARTHEST_PX and abs(y) <= _FARTHEST_PX):
            raise ValueError(f"points lie within {_FARTHEST_PX:g} px of the frame, got ({x}, {y})")


def _capsules(
    shape: tuple[int, ...], start: tuple[float, float], end: tuple[float, float], radius_px: float
) -> Iterator[tuple[Rectangle, NDArray[np.bool_]]]:
    """What a disc covers on its way, in pieces: a long slanting way has a box full of nothing."""
    (start_x, start_y), (end_x, end_y) = start, end
    along_x, along_y = end_x - start_x, end_y - start_y
    count = 1
    if min(abs(along_x), abs(along_y)) > _LONG_PX:
        count = min(64, math.ceil(math.hypot(along_x, along_y) / (2 * radius_px + _LONG_PX)))
    points = [(start_x + along_x * i / count, start_y + along_y * i / count) for i in range(count)]
    for one, other in itertools.pairwise([*points, end]):
        piece = _capsule(shape, one, other, radius_px)
        if piece is not None:
            yield piece


def _capsule(
    shape: tuple[int, ...], start: tuple[float, float], end: tuple[float, float], radius_px: float
) -> tuple[Rectangle, NDArray[np.bool_]] | None:
    """What a disc covers on its way from start to end: a box, and which of its pixels.

    The figure is convex, so every row of it is one run of pixels, from where the leftmost disc
    begins to where the rightmost ends. A row's leftmost disc is the one the straight side
    touches, unless the way ends before.
    """
    height, width = shape
    (start_x, start_y), (end_x, end_y) = start, end
    top = max(0, math.ceil(min(start_y, end_y) - radius_px - 0.5))
    bottom = min(height, math.floor(max(start_y, end_y) + radius_px - 0.5) + 1)
    if top >= bottom:
        return None
    along_x, along_y = end_x - start_x, end_y - start_y
    rows = np.arange(top, bottom) + 0.5
    edges = []
    for side in (-1.0, 1.0):
        if abs(along_y) <= _LEVEL_PX:
            part = np.full(rows.shape, float(side * along_x > 0))
        else:
            # The disc touches the side where its radius is at right angles to the way.
            touch = -side * math.copysign(radius_px, along_y) * along_x
            touch /= math.hypot(along_x, along_y)
            part = np.clip((rows - start_y - touch) / along_y, 0.0, 1.0)
        above = rows - start_y - part * along_y
        half_squared = radius_px**2 - above**2
        reach = side * np.sqrt(np.maximum(half_squared, 0))
        edge = start_x + part * along_x + reach
        # Rows that the disc does not reach: an empty run.
        edges.append(np.where(half_squared < 0, -side * np.inf, edge))
    firsts = np.clip(np.ceil(edges[0] - 0.5), 0, width).astype(np.int32)
    ends = np.clip(np.floor(edges[1] - 0.5) + 1, 0, width).astype(np.int32)
    left, right = int(firsts.min()), int(ends.max())
    if left >= right:
        return None
    columns = np.arange(left, right, dtype=np.int32)
    inside = (columns >= firsts[:, None]) & (columns < ends[:, None])
    return Rectangle(left, top, right, bottom), inside


def _polygon(
    shape: tuple[int, ...], polygon: Sequence[tuple[float, float]]
) -> tuple[Rectangle, NDArray[np.bool_]] | None:
    """A box, and which of its pixels the polygon goes round, by the rule of non-zero winding.

    Every edge adds its direction to all that lies right of it, in the rows whose centres it
    passes; a centre on an edge lies right of it.
    """
    _check_points(polygon)
    if len(polygon) < 3:
        return None
    height, width = shape
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    x, y = corners[:, 0], corners[:, 1]
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    left = int(np.clip(np.floor(x.min()), 0, width))
    right = int(np.clip(np.ceil(x.max()), 0, width))
    # An edge passes the centres from its upper end on, its lower end excluded.
    firsts = np.clip(np.ceil(np.minimum(y, next_y) - 0.5), 0, height).astype(np.int64)
    ends = np.clip(np.ceil(np.maximum(y, next_y) - 0.5), 0, height).astype(np.int64)
    counts = np.maximum(ends - firsts, 0)
    top, bottom = int(firsts.min()), int(ends.max())
    total = int(counts.sum())
    if left >= right or total == 0:
        return None
    edge = np.repeat(np.arange(len(corners)), counts)
    row = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts) + firsts[edge]
    slope = (next_x - x)[edge] / (next_y - y)[edge]
    crossing = x[edge] + (row + 0.5 - y[edge]) * slope
    column = np.clip(np.ceil(crossing - 0.5), left, right).astype(np.int64)
    turns = np.zeros((bottom - top, right - left + 1), np.int32)
    np.add.at(turns, (row - top, column - left), np.sign(next_y - y)[edge].astype(np.int32))
    inside = np.cumsum(turns[:, :-1], axis=1, dtype=np.int32) != 0
    return Rectangle(left, top, right, bottom), inside
