"""A box that follows objects: the network sees it enlarged, the rest of the picture costs nothing.

One box holds all objects that it is to follow. Its side stays the same for as long as memory does,
so that keys stay comparable; it changes in steps, with memory begun anew (`wanted_side`).
"""

import math
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import torch

from xmem_core.arrays import Labels, Window
from xmem_core.pictures import Prediction

_LEAST_PX: Final = 64
_STEP: Final = 2**0.5
_ROOM: Final = 2.5  # side of a new box over the longer side of what it holds
_FULL, _SPARE = 0.75, 0.2  # the same, inverted: beyond these another side is wanted
_LEAST_GAIN: Final = 1.25  # of scale; for less the whole picture is as good
_MARGIN: Final = 0.1  # of the side, between an object and the edge of the box
_PULL: Final = 0.5  # of the way to the objects' middle, each frame
_LOST_FRAMES: Final = 5  # with nothing to follow, until a larger box is wanted

Box = tuple[float, float, float, float]  # left, top, right, bottom in source pixels


def suited_side(
    labels: Labels, focus: Collection[int] | None, internal_size: int | None
) -> int | None:
    """Side in pixels of a box that suits the objects of a mask (H, W); None for the whole picture.

    focus: the objects to follow, None for all. Enlarged twofold at most, the smallest box fills
    the internal size.
    """
    box = _box_of(labels, focus)
    if box is None:
        return None
    return _side(_longer(box), labels.shape, internal_size)


def _side(longer: float, shape: tuple[int, ...], internal_size: int | None) -> int | None:
    height, width = shape
    least = max(_LEAST_PX, (internal_size or 480) // 2)
    side = float(least)
    while side < _ROOM * longer:
        side *= _STEP
    return None if side * _LEAST_GAIN > min(height, width) else round(side)


class Closeup:
    """Where the box of one run is."""

    def __init__(
        self, side: int | None, internal_size: int | None, focus: Collection[int] | None = None
    ) -> None:
        """side, internal_size, focus: see `suited_side`; without a side, the whole picture."""
        self.side, self.focus = side, focus
        self._internal_size = internal_size
        self._middle: tuple[float, float] | None = None  # (x, y)
        self._lost = 0
        self._wanted: int | None = side

    @property
    def wanted_side(self) -> int | None:
        """Of the box that would suit what was seen last; None for the whole picture."""
        return self._wanted

    @property
    def is_holding(self) -> bool:
        """Whether something to follow was in it when it was looked at last."""
        return self._lost == 0

    def state(self) -> list[float] | None:
        """To go on from in another process; None before anything was seen."""
        return self._middle and [*self._middle, float(self._lost), float(self._wanted or 0)]

    def restore(self, state: Sequence[float]) -> None:
        """The inverse of `state`. ValueError or OverflowError for what no `state` gave."""
        x, y, lost, wanted = state
        if not (math.isfinite(x) and math.isfinite(y)):
            raise ValueError("the box is nowhere")
        self._middle, self._lost, self._wanted = (x, y), int(lost), int(wanted) or None

    def with_side(self, side: int | None, internal_size: int | None) -> "Closeup":
        """Another one, where this one is."""
        other = Closeup(side, internal_size, self.focus)
        other._middle = self._middle
        return other

    def begin(self) -> None:
        """Another run, from where the box is."""
        self._lost, self._wanted = 0, self.side

    def look_at(self, labels: Labels) -> None:
        """Goes to the objects of a mask (H, W); stays where it is if there are none."""
        box = _box_of(labels, self.focus)
        if box is not None:
            self._middle = _middle(box)

    def window_of(self, labels: Labels) -> Window:
        """Round the objects of a mask (H, W), wherever the box is now."""
        box = _box_of(labels, self.focus)
        if box is None:
            return self.window(*labels.shape)
        return self._around(_middle(box), *labels.shape)

    def window(self, height: int, width: int) -> Window:
        """Where the box is now; before anything was seen, the middle of the picture."""
        return self._around(self._middle or (width / 2, height / 2), height, width)

    def follow(self, prediction: Prediction) -> None:
        """Moves after what was found: half of the way, and as far as it takes to hold it."""
        box, shape = _found(prediction, self.focus), prediction.source_size
        if box is None:
            self._lost += 1
            if self._lost >= _LOST_FRAMES and self.side is not None:
                self._wanted = _side(2 * self.side / _ROOM, shape, self._internal_size)
            return
        self._lost = 0
        longer, side = _longer(box), self.side or max(shape)
        if longer > _FULL * side or longer < _SPARE * side:
            self._wanted = _side(longer, shape, self._internal_size)
        x, y = _middle(box)
        old_x, old_y = self._middle or (x, y)
        reach = side / 2 - _MARGIN * side
        self._middle = (
            _within(old_x + _PULL * (x - old_x), box[2] - reach, box[0] + reach),
            _within(old_y + _PULL * (y - old_y), box[3] - reach, box[1] + reach),
        )

    def _around(self, middle: tuple[float, float], height: int, width: int) -> Window:
        side = self.side or max(height, width)
        across, down = min(side, width), min(side, height)
        left = int(_within(round(middle[0] - across / 2), 0, width - across))
        top = int(_within(round(middle[1] - down / 2), 0, height - down))
        return Window(left, top, across, down)


def _within(value: float, low: float, high: float) -> float:
    """The middle of both where there is no room between them."""
    return (low + high) / 2 if low > high else min(max(value, low), high)


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _longer(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def _box_of(labels: Labels, focus: Collection[int] | None) -> Box | None:
    shown = labels > 0 if focus is None else np.isin(labels, sorted(focus))
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


@torch.inference_mode()
def _found(prediction: Prediction, focus: Collection[int] | None) -> Box | None:
    winner = prediction.small.argmax(dim=0)
    channels = [
        channel
        for channel, object_id in enumerate(prediction.objects, start=1)
        if focus is None or object_id in focus
    ]
    is_theirs = torch.isin(winner, torch.tensor(channels, device=winner.device))
    box = _box_of(is_theirs.cpu().numpy().astype(np.uint8), None)
    if box is None:
        return None
    height, width = is_theirs.shape
    window = prediction.seen
    across, down = window.width / width, window.height / height
    return (
        window.left + box[0] * across,
        window.top + box[1] * down,
        window.left + box[2] * across,
        window.top + box[3] * down,
    )
