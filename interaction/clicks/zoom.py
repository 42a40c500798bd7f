"""The crop a click network looks at, and the way back to the whole frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from interaction.annotation.types import Click

# A mask that lies along a crop's edge for more than this share of its longer side is cut off there,
# and the crop grows by this share of its side.
_CUT_SHARE: Final = 0.08
_CUT_GROWTH: Final = 0.6


@dataclass(frozen=True, slots=True)
class Crop:
    """Rows `top` to `bottom` and columns `left` to `right` of a frame, ends not included, seen at
    `height` x `width` pixels."""

    top: int
    bottom: int
    left: int
    right: int
    height: int
    width: int

    def cut(self, whole: Tensor) -> Tensor:
        """(B, C, H, W) of the whole frame -> (B, C, height, width)."""
        part = whole[:, :, self.top : self.bottom, self.left : self.right]
        if part.shape[2:] == (self.height, self.width):
            return part
        return F.interpolate(part, (self.height, self.width), mode="bilinear", align_corners=True)

    def back(self, part: Tensor, frame_height: int, frame_width: int) -> Tensor:
        """(B, C, height, width) -> (B, C, H, W); zero outside the crop."""
        size = (self.bottom - self.top, self.right - self.left)
        if part.shape[2:] != size:
            part = F.interpolate(part, size, mode="bilinear", align_corners=True)
        if size == (frame_height, frame_width):
            return part
        whole = part.new_zeros(*part.shape[:2], frame_height, frame_width)
        whole[:, :, self.top : self.bottom, self.left : self.right] = part
        return whole

    def rows_of(self, clicks: Sequence[Click]) -> Tensor:
        """(1, N, 3) row, column in the crop's own pixels, and 1 or 0 for the sign."""
        rows = self.height / (self.bottom - self.top)
        columns = self.width / (self.right - self.left)
        return torch.tensor(
            [
                [(c.y - self.top) * rows, (c.x - self.left) * columns, float(c.is_positive)]
                for c in clicks
            ],
            dtype=torch.float32,  # also where a click's numbers are numpy's own
        ).reshape(1, len(clicks), 3)

    def holds(self, click: Click) -> bool:
        return self.top <= click.y < self.bottom and self.left <= click.x < self.right

    def overlap(self, other: Crop) -> float:
        """Intersection over union of the two rectangles."""
        rows = min(self.bottom, other.bottom) - max(self.top, other.top)
        columns = min(self.right, other.right) - max(self.left, other.left)
        shared = max(0, rows) * max(0, columns)
        return shared / (self._area + other._area - shared)

    def is_whole(self, frame_height: int, frame_width: int) -> bool:
        return (self.bottom - self.top, self.right - self.left) == (frame_height, frame_width)

    def wider(self, mask: NDArray[np.bool_], target_px: int, multiple: int) -> Crop | None:
        """A crop that goes on past the edges at which `mask` (H, W) of the whole frame is cut off.

        Its longer side is seen at `target_px`. None where `mask` ends inside this crop.
        """
        height, width = mask.shape
        part = mask[self.top : self.bottom, self.left : self.right]
        rows, columns = part.shape
        least = _CUT_SHARE * max(rows, columns)
        down, across = round(_CUT_GROWTH * rows), round(_CUT_GROWTH * columns)
        top, bottom, left, right = self.top, self.bottom, self.left, self.right
        if part[0].sum() > least:
            top = max(0, top - down)
        if part[-1].sum() > least:
            bottom = min(height, bottom + down)
        if part[:, 0].sum() > least:
            left = max(0, left - across)
        if part[:, -1].sum() > least:
            right = min(width, right + across)
        if (top, bottom, left, right) == (self.top, self.bottom, self.left, self.right):
            return None
        scale = target_px / max(bottom - top, right - left)
        return _seen(top, bottom, left, right, scale, multiple)

    @property
    def _area(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)


def whole_frame(height: int, width: int, longest_px: int, multiple: int) -> Crop:
    """Everything, shrunk so that the longer side has at most `longest_px`."""
    return _seen(0, height, 0, width, min(1.0, longest_px / max(height, width)), multiple)


def around(
    mask: NDArray[np.bool_],
    clicks: Sequence[Click],
    *,
    expansion: float,
    least_px: int,
    target_px: int,
    multiple: int,
) -> Crop | None:
    """The box of `mask` (H, W) and of the positive clicks, widened; its longer side is seen at
    `target_px`. None if there is nothing to zoom on."""
    rows = np.flatnonzero(mask.any(axis=1)).tolist()
    columns = np.flatnonzero(mask.any(axis=0)).tolist()
    rows += [int(c.y) for c in clicks if c.is_positive]
    columns += [int(c.x) for c in clicks if c.is_positive]
    if not rows or not columns:
        return None
    height, width = mask.shape
    top, bottom = _widened(min(rows), max(rows) + 1, height, expansion, least_px)
    left, right = _widened(min(columns), max(columns) + 1, width, expansion, least_px)
    scale = target_px / max(bottom - top, right - left)
    return _seen(top, bottom, left, right, scale, multiple)


def _widened(low: int, high: int, limit: int, expansion: float, least_px: int) -> tuple[int, int]:
    half = max((high - low) * expansion, least_px) / 2
    middle = (low + high) / 2
    return max(0, round(middle - half)), min(limit, round(middle + half))


def _seen(top: int, bottom: int, left: int, right: int, scale: float, multiple: int) -> Crop:
    def size(extent: int) -> int:
        return max(multiple, round(extent * scale / multiple) * multiple)

    return Crop(top, bottom, left, right, size(bottom - top), size(right - left))
