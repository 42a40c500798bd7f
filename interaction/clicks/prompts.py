"""Click settings, simulated clicks, and clicks made from boxes and scribbles. Needs no torch."""

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.types import Click, Stroke

__all__ = [
    "MODES",
    "ClickConfig",
    "Mode",
    "clicks_of_box",
    "clicks_of_strokes",
    "next_click_of_box",
]

Mode = Literal["NoBRS", "RGB-BRS", "DistMap-BRS", "f-BRS-A", "f-BRS-B", "f-BRS-C"]
MODES: Final[tuple[Mode, ...]] = (
    "NoBRS",
    "RGB-BRS",
    "DistMap-BRS",
    "f-BRS-A",
    "f-BRS-B",
    "f-BRS-C",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickConfig:
    """How clicks are answered; the published program's names in brackets."""

    mode: Mode = "f-BRS-B"  # [brs_mode]
    threshold: float = 0.5  # a probability above it is the object [prob_thresh]
    zoom_from_click: int = 2  # the first click on an empty frame sees all of it [skip_clicks + 1]
    zoom_px: int = 480  # the crop's longer side as the network sees it [target_size]
    zoom_expansion: float = 1.4  # [expansion_ratio]
    first_expansion: float = 2.0  # of what a first look at the whole frame found
    most_reach: float = 0.15  # of the mask's extent; a click farther from it tells of itself only
    least_crop_px: int = 200
    least_correction_px: int = 100  # the same of a correction: fine outlines show only from near
    # On a new object, clicks up to this one may change all of its mask. Later ones, and all of
    # those that correct a mask that was there, change only what hangs together with them.
    free_clicks: int = 8
    most_spread: float = 3.0  # how far that may be, by the click's depth in what is wrong
    longest_px: int = 800  # of the whole frame as the network sees it [max_size]
    # Clicks after these only refine [net_clicks_limit, published: 8]. A network that learned to
    # correct its own mask gets better with every click; one that did not gets confused.
    most_network_clicks: int = 20
    is_flipped_too: bool = True  # the mirrored picture is asked about as well [with_flip]
    most_evaluations: int = 20  # of the objective, a click [maxfun]
    least_mask_change: float = 1e-3  # [min_iou_diff]

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be between 0 and 1, got {self.threshold}")
        for name in ("zoom_px", "least_crop_px", "least_correction_px", "longest_px"):
            if getattr(self, name) < 16:
                raise ValueError(f"{name} must be at least 16, got {getattr(self, name)}")
        if self.zoom_expansion < 1:
            raise ValueError(f"zoom_expansion must be at least 1, got {self.zoom_expansion}")


Region = NDArray[np.bool_]


def depth_inside(region: Region) -> NDArray[np.float32]:
    """(H, W) each pixel's distance to the outside of `region`; the picture's border is outside."""
    padded = np.pad(region.astype(np.uint8), 1)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 0), np.float32)[1:-1, 1:-1]
    # OpenCV's last digit depends on where an array lies in memory; equal depths must be equal.
    return depth.round(4)


def next_click(predicted: Region, truth: Region, previous: Collection[Click] = ()) -> Click | None:
    """Where to click next: predicted and truth are (H, W). None if nothing is left to correct.

    The first of the pixels farthest inside the missed or the superfluous part, whichever goes
    deeper; never a pixel that was clicked before.
    """
    missed, superfluous = depth_inside(truth & ~predicted), depth_inside(predicted & ~truth)
    for click in previous:
        row, column = int(click.y), int(click.x)
        missed[row, column] = superfluous[row, column] = 0
    is_positive = bool(missed.max() > superfluous.max())
    depth = missed if is_positive else superfluous
    if depth.max() <= 0:
        return None
    row, column = divmod(int(depth.argmax()), depth.shape[1])
    return Click(float(column), float(row), is_positive)


_LEAST_MARGIN_PX: Final = 3.0  # how far outside a side of a box the object is surely over
_MARGIN: Final = 0.06  # and as a share of the box's extent
_MOST_STROKE_CLICKS: Final = 8  # of one sign; more than these a network may not take
_SHORT: Final = 0.1  # a mask this share of the box short of a side does not touch it
_SPILLED: Final = 0.02  # a mask over the box by this share of its area is over it
_INSET: Final = 0.03  # of the box's extent: a side may be drawn a little outside the object
_LEAST_SPACING_PX: Final = 12.0  # between the clicks along a stroke


def clicks_of_box(
    corner: tuple[float, float], opposite: tuple[float, float], width: int, height: int
) -> tuple[Click, ...]:
    """A positive click at the box's centre and a negative one outside each side, if there is room.

    corner, opposite: (x, y) of any two opposite corners, in pixels of a width x height frame;
    what reaches over the frame is cut off. ValueError if nothing is left.
    """
    left, top, right, bottom = _within(corner, opposite, width, height)
    x, y = (left + right) / 2, (top + bottom) / 2
    beside, beyond = _margin(right - left), _margin(bottom - top)
    outside = ((left - beside, y), (right + beside, y), (x, top - beyond), (x, bottom + beyond))
    clicks = [Click(x, y, is_positive=True)]
    clicks += [
        Click(*point, is_positive=False)
        for point in outside
        if 0 <= point[0] < width and 0 <= point[1] < height
    ]
    return tuple(clicks)


def next_click_of_box(
    probability: NDArray[np.float32],
    corner: tuple[float, float],
    opposite: tuple[float, float],
    clicks: Sequence[Click],
) -> Click | None:
    """Where the answer to a box contradicts it most: a further click, None if it does not.

    probability: (H, W) of the object after `clicks`. A box is drawn tightly: its object touches
    all four sides and is inside. So what spills over is clicked away, and towards a side that is
    not reached the likeliest pixel is clicked. ValueError as `clicks_of_box`.
    """
    height, width = probability.shape
    left, top, right, bottom = _within(corner, opposite, width, height)
    mask = probability > 0.5
    spilled = mask.copy()
    beside, beyond = _margin(right - left), _margin(bottom - top)
    spilled[
        max(0, int(top - beyond)) : math.ceil(bottom + beyond),
        max(0, int(left - beside)) : math.ceil(right + beside),
    ] = False

    # Rows and columns of the box from here on.
    rows = slice(int(top), math.ceil(bottom))
    columns = slice(int(left), math.ceil(right))
    inside = mask[rows, columns]
    short, side = _farthest_side(inside)
    spilled_share = np.count_nonzero(spilled) / inside.size
    if spilled_share > max(_SPILLED, short / 2):
        row, column = divmod(int(depth_inside(spilled).argmax()), width)
        return Click(column + 0.5, row + 0.5, is_positive=False)
    if short < _SHORT:
        return None
    likely = cv2.blur(probability[rows, columns], (5, 5))
    for click in clicks:
        row, column = int(click.y) - rows.start, int(click.x) - columns.start
        if 0 <= row < inside.shape[0] and 0 <= column < inside.shape[1]:
            likely[row, column] = -1
    near = np.zeros(inside.shape, np.bool_)
    turned = np.rot90(near, side)  # a view, with the side in question on top
    depth = max(1, round(max(short / 2, 2 * _INSET) * len(turned)))
    turned[int(_INSET * len(turned)) : depth] = True
    likely[inside | ~near] = -1
    if likely.max() < 0:
        return None
    row, column = divmod(int(likely.argmax()), inside.shape[1])
    return Click(columns.start + column + 0.5, rows.start + row + 0.5, is_positive=True)


def _farthest_side(inside: NDArray[np.bool_]) -> tuple[float, int]:
    """How far a mask in a box stays from the side that it misses most, as a share of the extent,
    and which: as many quarter turns as bring it to the top."""
    if not inside.any():
        return 1.0, 0
    gaps = []
    for side in range(4):
        rows = np.flatnonzero(np.rot90(inside, side).any(axis=1))
        gaps.append((int(rows[0]) / np.rot90(inside, side).shape[0], side))
    return max(gaps)


def _margin(extent_px: float) -> float:
    return max(_LEAST_MARGIN_PX, _MARGIN * extent_px)


def _within(
    corner: tuple[float, float], opposite: tuple[float, float], width: int, height: int
) -> tuple[float, float, float, float]:
    left, right = sorted((float(corner[0]), float(opposite[0])))
    top, bottom = sorted((float(corner[1]), float(opposite[1])))
    left, top = max(left, 0.0), max(top, 0.0)
    right, bottom = min(right, float(width)), min(bottom, float(height))
    if not (right > left and bottom > top):
        raise ValueError(f"the box {corner}, {opposite} holds nothing of {width}x{height}")
    return left, top, right, bottom


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
        clicks += [Click(float(x), float(y), is_positive) for x, y in _spread(points)]
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
