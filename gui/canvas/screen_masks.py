"""Masks and their outlines at screen resolution, with a cache."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QTransform

from interaction.formats.looks import edge_lines
from xmem_core.arrays import Labels

__all__ = [
    "PATTERNS",
    "RecentLines",
    "ScreenMask",
    "hatch",
    "sample",
    "seen",
]

_TILE_PX: Final = 8
# Each object has one of these; ids that are neighbours look as different as can be.
PATTERNS: Final = 6
_PATTERN_BITS: Final = np.array([0, *(1 << (one % PATTERNS) for one in range(255))], np.uint8)


def sample(labels: Labels, to_screen: QTransform, area: QRect) -> Labels:
    """The label under the centre of each of the screen's pixels in `area`; 0 beside the picture.

    to_screen: from source pixels to the screen's, only scaled and moved.
    """
    height, width = labels.shape
    columns = _sources(area.left(), area.width(), to_screen.m11(), to_screen.dx())
    rows = _sources(area.top(), area.height(), to_screen.m22(), to_screen.dy())
    result = np.zeros((area.height(), area.width()), np.uint8)
    x = slice(*np.searchsorted(columns, (0, width)).tolist())
    y = slice(*np.searchsorted(rows, (0, height)).tolist())
    columns, rows = columns[x], rows[y]
    if len(columns) and len(rows):
        if to_screen.m11() == 1 and to_screen.m22() == 1:
            left, top = int(columns[0]), int(rows[0])
            result[y, x] = labels[top : top + len(rows), left : left + len(columns)]
        elif to_screen.m11() < 1:
            result[y, x] = np.take(np.take(labels, rows, axis=0), columns, axis=1)
        else:  # few rows of the source, each many times
            first = int(rows[0])
            part = np.take(labels[first : int(rows[-1]) + 1], columns, axis=1)
            result[y, x] = np.take(part, rows - first, axis=0)
    return result


def _sources(first: int, count: int, scale: float, offset: float) -> NDArray[np.intp]:
    """The source pixel under each of `count` screen pixels."""
    centers = np.arange(first, first + count) + 0.5
    return np.floor((centers - offset) / scale).astype(np.intp)


def hatch(sampled: Labels, origin: QPoint) -> Labels:
    """Not 0 where ink has to go, so that objects differ without colours: a pattern by id."""
    height, width = sampled.shape
    pattern = _patterns(ceil((height + _TILE_PX) / 256), ceil((width + _TILE_PX) / 256))
    x, y = origin.x() % _TILE_PX, origin.y() % _TILE_PX
    wanted = cv2.LUT(sampled, _PATTERN_BITS)
    ink = cv2.bitwise_and(wanted, pattern[y : y + height, x : x + width])
    return np.asarray(ink, np.uint8)


@lru_cache(maxsize=2)
def _patterns(rows: int, columns: int) -> Labels:
    """All patterns, a bit for each, as large as so many blocks of 256 pixels."""
    tile = np.zeros((_TILE_PX, _TILE_PX), np.uint8)
    for pattern in range(PATTERNS):
        tile |= _tile(pattern) << pattern
    times = 256 // _TILE_PX
    return np.tile(tile, (rows * times, columns * times))


def _tile(pattern: int) -> Labels:
    y, x = np.mgrid[0:_TILE_PX, 0:_TILE_PX]
    is_ink = [
        (x + y) % _TILE_PX < 2,
        (x - y) % _TILE_PX < 2,
        (x % _TILE_PX < 2) & (y % _TILE_PX < 2),
        y % _TILE_PX < 2,
        ((x + y) % _TILE_PX < 2) | ((x - y) % _TILE_PX < 2),
        x % _TILE_PX < 2,
    ][pattern]
    return np.asarray(is_ink, np.uint8)


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
