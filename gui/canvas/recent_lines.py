"""Masks at the screen's pixels and the lines along their edges, kept for the frames beside."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PySide6.QtCore import QRect
from PySide6.QtGui import QTransform

from gui.canvas.screen_masks import edge_lines, sample
from xmem_core.arrays import Labels

__all__ = ["RecentLines", "ScreenMask", "seen"]

_KEPT: Final = 3  # a frame and its two neighbours


@dataclass(frozen=True, slots=True)
class ScreenMask:
    """Both (h, w), one of its pixels for one of the screen's."""

    sampled: Labels  # object ids
    lines: Labels  # object ids along the edges, and `halo` beside them
    halo: int  # an id that no object here has; 0: all are taken, there is no halo


@dataclass(frozen=True, slots=True)
class _Entry:
    labels: Labels
    place: tuple[object, ...]
    mask: ScreenMask


class RecentLines:
    """Scrubbing with onion skin needs every mask three times: as next, as current, as previous."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def of(
        self,
        labels: Labels,
        to_screen: QTransform,
        area: QRect,
        line_px: int,
        shown: Collection[int],
        *,
        is_kept: bool,
    ) -> ScreenMask:
        """labels: (H, W), of the source. shown: other objects are background. is_kept: whether it
        will be wanted again; until `forget` it must not be changed in place."""
        corner = area.left(), area.top(), area.width(), area.height()
        place = (
            to_screen.m11(), to_screen.m22(), to_screen.dx(), to_screen.dy(),
            corner, line_px, frozenset(shown) if len(shown) < 255 else None,
        )  # fmt: skip
        for entry in self._entries:
            if entry.labels is labels and entry.place == place:
                return entry.mask
        mask = _screen_mask(seen(sample(labels, to_screen, area), shown), line_px)
        if is_kept:
            self._entries = [*self._entries[1 - _KEPT :], _Entry(labels, place, mask)]
        elif self._entries:
            self._entries = []
        return mask

    def forget(self, labels: Labels) -> None:
        """They were changed in place."""
        self._entries = [entry for entry in self._entries if entry.labels is not labels]


def _screen_mask(sampled: Labels, line_px: int) -> ScreenMask:
    ids, halo = edge_lines(sampled, line_px)
    own = _free_id(sampled)
    _, marked = cv2.threshold(halo, 0, own, cv2.THRESH_BINARY, dst=halo)
    return ScreenMask(sampled, np.asarray(cv2.bitwise_or(ids, marked, dst=ids), np.uint8), own)


def _free_id(sampled: Labels) -> int:
    """One that does not occur; 0 if all do."""
    highest = int(cv2.minMaxLoc(sampled)[1])
    if highest < 255:
        return highest + 1
    counts = cv2.calcHist([sampled], [0], None, [256], [0, 256]).ravel()
    free = np.flatnonzero(counts[1:] == 0)
    return int(free[0]) + 1 if len(free) else 0


def seen(sampled: Labels, shown: Collection[int]) -> Labels:
    """Without the objects that are hidden."""
    if len(shown) == 255:
        return sampled
    table = np.array([one if one in shown else 0 for one in range(256)], np.uint8)
    return np.asarray(cv2.LUT(sampled, table), np.uint8)
