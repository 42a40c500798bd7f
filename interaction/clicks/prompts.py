"""Click settings, simulated clicks, and clicks made from boxes and scribbles. Needs no torch."""

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal, NamedTuple, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.types import Click, Stroke

Mode = Literal["NoBRS", "RGB-BRS", "DistMap-BRS", "f-BRS-A", "f-BRS-B", "f-BRS-C"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickConfig:
    """How clicks are answered; the published program's names in brackets.

    The defaults suit the bundled network; `published_click_config` suits the published ones.
    """

    mode: Mode = "NoBRS"  # [brs_mode]
    threshold: float = 0.5  # a probability above it is the object [prob_thresh]
    zoom_from_click: int = 2  # the first click on an empty frame sees all of it [skip_clicks + 1]
    zoom_px: int = 480  # the crop's longer side as the network sees it [target_size]
    first_zoom_px: int = 384  # the same for a second look at a new object
    box_zoom_px: int = 576  # and for a box
    zoom_expansion: float = 1.4  # [expansion_ratio]
    first_expansion: float = 2.0  # of what a first look at the whole frame found
    least_crop_px: int = 200
    least_correction_px: int = 100  # the same of a correction: fine outlines show only from near
    # On a new object, clicks up to this one may change all of its mask. Later ones, and all of
    # those that correct a mask that was there, change only what hangs together with them.
    free_clicks: int = 8
    longest_px: int = 480  # of the whole frame as the network sees it [max_size]
    # Clicks after these only refine [net_clicks_limit, published: 8]. A network that learned to
    # correct its own mask gets better with every click; one that did not gets confused.
    most_network_clicks: int = 20
    is_flipped_too: bool = False  # the mirrored picture is asked about as well [with_flip]
    most_evaluations: int = 20  # of the objective, a click [maxfun]
    least_mask_change: float = 1e-3  # [min_iou_diff]

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be between 0 and 1, got {self.threshold}")
        for name in (field.name for field in fields(self)):
            if name.endswith("_px") and getattr(self, name) < 16:
                raise ValueError(f"{name} must be at least 16, got {getattr(self, name)}")
        if self.zoom_expansion < 1:
            raise ValueError(f"zoom_expansion must be at least 1, got {self.zoom_expansion}")


Region = NDArray[np.bool_]


def depth_inside(region: Region) -> NDArray[np.float32]:
    """(H, W) each pixel's distance to the outside of `region`; the picture's border is outside."""
    inside = region.astype(np.uint8)
    left, top, width, height = cv2.boundingRect(inside)  # all of a 4K frame takes 0.2 s
    box = slice(top, top + height), slice(left, left + width)
    found = cv2.distanceTransform(np.pad(inside[box], 1), cv2.DIST_L2, 0)[1:-1, 1:-1]
    depth = np.zeros(region.shape, np.float32)
    # OpenCV's last digit depends on where an array lies in memory; equal depths must be equal.
    depth[box] = found.round(4)
    return depth


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
_LEAST_SPACING_PX: Final = 12.0  # between the clicks along a stroke


class Box(NamedTuple):
    """A box round an object, in pixels of the frame; `left < right` and `top < bottom`."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def between(
        cls, corner: tuple[float, float], opposite: tuple[float, float], width: int, height: int
    ) -> "Box":
        """corner, opposite: (x, y) of any two opposite corners; what reaches over the width x
        height frame is cut off. ValueError if nothing is left."""
        left, right = sorted((float(corner[0]), float(opposite[0])))
        top, bottom = sorted((float(corner[1]), float(opposite[1])))
        left, top = max(left, 0.0), max(top, 0.0)
        right, bottom = min(right, float(width)), min(bottom, float(height))
        if not (right > left and bottom > top):
            raise ValueError(f"the box {corner}, {opposite} holds nothing of {width}x{height}")
        return cls(left, top, right, bottom)

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns of every pixel that it covers, in part at least."""
        return (
            slice(int(self.top), math.ceil(self.bottom)),
            slice(int(self.left), math.ceil(self.right)),
        )

    def widened(self) -> "Box":
        """As far as an object may reach over a box that was drawn a little tight."""
        beside, beyond = _margin(self.right - self.left), _margin(self.bottom - self.top)
        return Box(
            max(0.0, self.left - beside),
            max(0.0, self.top - beyond),
            self.right + beside,
            self.bottom + beyond,
        )


def clicks_of_box(box: Box, width: int, height: int) -> tuple[Click, ...]:
    """A positive click at the box's centre and a negative one outside each side, if there is room:
    what a network without boxes is asked in place of one."""
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    beside, beyond = _margin(box.right - box.left), _margin(box.bottom - box.top)
    outside = (
        (box.left - beside, y),
        (box.right + beside, y),
        (x, box.top - beyond),
        (x, box.bottom + beyond),
    )
    clicks = [Click(x, y, is_positive=True)]
    clicks += [
        Click(*point, is_positive=False)
        for point in outside
        if 0 <= point[0] < width and 0 <= point[1] < height
    ]
    return tuple(clicks)


def _margin(extent_px: float) -> float:
    return max(_LEAST_MARGIN_PX, _MARGIN * extent_px)


def check_inside(clicks: Sequence[Click], width: int, height: int) -> None:
    """ValueError if one lies outside a frame of this size, in pixels."""
    for click in clicks:
        if not (0 <= click.x < width and 0 <= click.y < height):
            raise ValueError(f"the click ({click.x}, {click.y}) lies outside {width}x{height}")


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
