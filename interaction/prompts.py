"""Other ways to point at an object, a box and strokes, as clicks that a click network answers."""

import itertools
import math
from collections.abc import Sequence
from typing import Final

from interaction.types import Click, Stroke

__all__ = ["clicks_of_box", "clicks_of_strokes"]

_LEAST_MARGIN_PX: Final = 3.0  # how far outside a side of a box the object is surely over
_MARGIN: Final = 0.06  # and as a share of the box's extent
_MOST_STROKE_CLICKS: Final = 6  # of one sign
_LEAST_SPACING_PX: Final = 12.0  # between the clicks along a stroke


def clicks_of_box(
    corner: tuple[float, float], opposite: tuple[float, float], width: int, height: int
) -> tuple[Click, ...]:
    """A positive click at the box's centre and a negative one outside each side, if there is room.

    corner, opposite: (x, y) of any two opposite corners, in pixels of a width x height frame;
    what reaches over the frame is cut off. ValueError if nothing is left.
    """
    left, right = sorted((corner[0], opposite[0]))
    top, bottom = sorted((corner[1], opposite[1]))
    left, top = max(left, 0.0), max(top, 0.0)
    right, bottom = min(right, float(width)), min(bottom, float(height))
    if not (right > left and bottom > top):
        raise ValueError(f"the box {corner}, {opposite} holds nothing of {width}x{height}")
    x, y = (left + right) / 2, (top + bottom) / 2
    beside = max(_LEAST_MARGIN_PX, _MARGIN * (right - left))
    beyond = max(_LEAST_MARGIN_PX, _MARGIN * (bottom - top))
    outside = ((left - beside, y), (right + beside, y), (x, top - beyond), (x, bottom + beyond))
    clicks = [Click(x, y, is_positive=True)]
    clicks += [
        Click(*point, is_positive=False)
        for point in outside
        if 0 <= point[0] < width and 0 <= point[1] < height
    ]
    return tuple(clicks)


def clicks_of_strokes(strokes: Sequence[Stroke], width: int, height: int) -> tuple[Click, ...]:
    """Points along the strokes, evenly spread, positive and negative ones as the strokes are.

    Points outside the width x height frame are left out; a positive click comes first if there is
    one. ValueError if no stroke touches the frame.
    """
    clicks: list[Click] = []
    for is_positive in (True, False):
        points = [
            point
            for stroke in strokes
            if stroke.is_positive is is_positive
            for point in _along(stroke.points)
            if 0 <= point[0] < width and 0 <= point[1] < height
        ]
        clicks += [Click(x, y, is_positive) for x, y in _spread(points)]
    if not clicks:
        raise ValueError(f"no stroke touches the frame of {width}x{height}")
    return tuple(clicks)


def _along(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A point at least every two pixels, so that a fast stroke counts like a slow one."""
    result = list(points[:1])
    for (x, y), (next_x, next_y) in itertools.pairwise(points):
        steps = max(1, math.ceil(math.hypot(next_x - x, next_y - y) / 2))
        result += [
            (x + (next_x - x) * i / steps, y + (next_y - y) * i / steps)
            for i in range(1, steps + 1)
        ]
    return result


def _spread(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Some of the points: the one nearest the middle, then always the farthest from all chosen."""
    if not points:
        return []
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    chosen = [min(points, key=lambda p: math.hypot(p[0] - middle_x, p[1] - middle_y))]
    gaps = [math.dist(chosen[0], point) for point in points]
    while len(chosen) < _MOST_STROKE_CLICKS and max(gaps) >= _LEAST_SPACING_PX:
        chosen.append(points[gaps.index(max(gaps))])
        gaps = [min(g, math.dist(chosen[-1], p)) for g, p in zip(gaps, points, strict=True)]
    return chosen
