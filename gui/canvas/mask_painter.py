"""The masks over the frame: fills, hatching, outlines, onion skin, what is pointed at.

They are painted at the screen's resolution, and outlines that will be wanted again are kept.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, floor
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF
from PySide6.QtGui import QImage, QPainter, QTransform

from gui.canvas.view_modes import indexed
from interaction.annotation.strokes import Rectangle
from interaction.formats.looks import (
    COVERED_ALPHA,
    HALO_ALPHA,
    STRIPE_PX,
    ViewMode,
    dashes,
    edge_lines,
    fill_opacity,
    has_outlines,
    shows_covered,
)
from xmem_core.arrays import Labels

__all__ = ["PATTERNS", "Look", "MaskPainter", "hatch", "sample"]

_INKS: Final = dict.fromkeys(range(1, 256), 0x8C000000)  # of hatching
_HALO: Final = HALO_ALPHA << 24
_HOVERED: Final = 0xFFFFFFFF
_OTHERS_ALPHA: Final = 0xB4  # of outlines of objects that are not the current one
_ONION_ALPHA: Final = 0xD0


@dataclass(frozen=True, slots=True)
class Look:
    """How the masks are shown."""

    mode: ViewMode = ViewMode.OVERLAY
    opacity: float = 0.5
    colors: Mapping[int, int] = field(default_factory=dict)  # 0xRRGGBB of every id that is shown
    current: int = 0
    hovered: int = 0
    is_bare: bool = False  # the frame alone
    has_hatching: bool = False
    outline_px: int = 1  # of the window, on either side of an edge
    outline_opacity: float = 1.0
    shows_covered: bool = True


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
    """All patterns as one bit mask, tiled to the given number of 256-pixel blocks."""
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


class _RecentLines:
    """Scrubbing with onion skin needs every mask three times: as next, as current, as previous."""

    def __init__(self) -> None:
        # Of these labels at this place, this mask.
        self._entries: list[tuple[Labels, tuple[object, ...], ScreenMask]] = []

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
        for kept_labels, kept_place, mask in self._entries:
            if kept_labels is labels and kept_place == place:
                return mask
        mask = _screen_mask(_seen(sample(labels, to_screen, area), shown), line_px)
        if is_kept:
            self._entries = [*self._entries[1 - _KEPT :], (labels, place, mask)]
        elif self._entries:
            self._entries = []
        return mask

    def forget(self, labels: Labels) -> None:
        """They were changed in place."""
        self._entries = [entry for entry in self._entries if entry[0] is not labels]


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


def _seen(sampled: Labels, shown: Collection[int]) -> Labels:
    """Without the objects that are hidden."""
    if len(shown) == 255:
        return sampled
    table = np.array([one if one in shown else 0 for one in range(256)], np.uint8)
    return np.asarray(cv2.LUT(sampled, table), np.uint8)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What is painted on, and how."""

    painter: QPainter
    look: Look
    to_screen: QTransform  # from source pixels to the screen's, as `exposed`
    exposed: QRect
    ratio: float  # the screen's pixels for one of the window's

    @property
    def line_px(self) -> int:
        return max(1, round(self.ratio * self.look.outline_px))

    @property
    def pinned(self) -> QPoint:
        """Where patterns begin: they lie on the picture and move with it."""
        return QPoint(floor(self.to_screen.dx() + 0.5), floor(self.to_screen.dy() + 0.5))

    def stripes_at(self, area: QRect) -> int:
        """Where stripes that lie on the picture begin in an area."""
        place = area.topLeft() - self.pinned
        return place.x() + place.y()

    def area_of(self, part: Rectangle) -> QRect:
        """Where a part of the source is on the screen, as far as it is to be painted; with a margin
        round it, for what lines beside it need to know."""
        if part.right <= part.left:
            return QRect()
        source = QRectF(part.left, part.top, part.right - part.left, part.bottom - part.top)
        margin_px = 4 * self.line_px
        around = (-margin_px, -margin_px, margin_px, margin_px)
        area = self.to_screen.mapRect(source).toAlignedRect().adjusted(*around)
        return area.intersected(self.exposed.adjusted(*around))

    def draw(self, image: QImage, area: QRect) -> None:
        """One of its pixels on one of the screen's."""
        # Quicker than to let the painter look every pixel up.
        image = image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
        image.setDevicePixelRatio(self.ratio)
        self.painter.drawImage(QPointF(area.left() / self.ratio, area.top() / self.ratio), image)


class MaskPainter:
    """Holds the labels that are shown and those of the frames beside, and paints them."""

    def __init__(self, labels: Labels) -> None:
        """labels: (H, W)."""
        self._labels = labels
        self._filled: Rectangle | None = None  # where labels are not 0; None: look again
        self._boxes: dict[int, Rectangle | None] = {}  # of objects, as far as they are known
        self._lines = _RecentLines()
        self._neighbours: tuple[Labels | None, Labels | None] = (None, None)
        self._beneath: tuple[Labels, ...] = ()

    @property
    def labels(self) -> Labels:
        return self._labels

    def set_labels(self, labels: Labels) -> None:
        """(H, W). May be changed in place afterwards, see `labels_changed`."""
        self._labels = labels
        self._filled = None
        self._boxes.clear()

    def labels_changed(self, part: Rectangle | None = None) -> None:
        """After a change in place; only inside `part`, if given."""
        if part is not None and self._filled is not None:
            is_empty = self._filled.right <= self._filled.left
            self._filled = part if is_empty else self._filled.united(part)
        else:
            self._filled = None
        self._boxes.clear()
        self._lines.forget(self._labels)

    def set_beneath(self, layers: tuple[Labels, ...]) -> None:
        """(H, W) each: what lies beneath the labels, front to back."""
        self._beneath = layers

    def set_neighbours(self, previous: Labels | None, following: Labels | None) -> None:
        """Masks of the frames before and after, for onion skin; None for none."""
        self._neighbours = (previous, following)

    @property
    def has_neighbours(self) -> bool:
        return any(one is not None for one in self._neighbours)

    def bounds(self) -> Rectangle:
        """The smallest part that holds all objects."""
        if self._filled is None:
            self._filled = _filled(self._labels)
        return self._filled

    def bounds_of(self, object_id: int) -> Rectangle | None:
        """The smallest part that holds an object; None if there is nothing of it."""
        if object_id not in self._boxes:
            filled = self.bounds()
            part = np.ascontiguousarray(self._labels[filled.slices])
            box = None
            if part.size:
                only = cv2.compare(part, object_id, cv2.CMP_EQ)  # type: ignore[call-overload]
                box = _filled(only.astype(np.uint8, copy=False))
            is_there = box is not None and box.right > box.left
            if box is not None and is_there:
                x, y = filled.left, filled.top
                box = Rectangle(box.left + x, box.top + y, box.right + x, box.bottom + y)
            self._boxes[object_id] = box if is_there else None
        return self._boxes[object_id]

    def paint(
        self, painter: QPainter, look: Look, to_window: QTransform, exposed: QRectF, ratio: float
    ) -> None:
        """As `Backdrop.paint`, over what is painted there."""
        to_screen = to_window * QTransform.fromScale(ratio, ratio)
        exposed_px = QRectF(exposed.topLeft() * ratio, exposed.size() * ratio).toAlignedRect()
        sheet = _Sheet(painter, look, to_screen, exposed_px, ratio)
        for labels, is_next in zip(self._neighbours, (False, True), strict=True):
            if labels is not None:
                self._paint_onion(sheet, labels, is_next)
        self._paint_labels(sheet)
        if look.shows_covered and shows_covered(look.mode):
            for layer in self._beneath:
                self._paint_covered(sheet, layer)

    def _paint_labels(self, sheet: _Sheet) -> None:
        look, labels = sheet.look, self._labels
        area = sheet.area_of(self.bounds())
        opacity = fill_opacity(look.mode, look.opacity)
        outlined: ScreenMask | None = None
        if area.isEmpty():
            return
        if has_outlines(look.mode):
            outlined = self._screen_mask(sheet, labels, area)
            sampled = outlined.sampled
        elif opacity > 0 or look.hovered:
            sampled = _seen(sample(labels, sheet.to_screen, area), look.colors)
        else:
            return
        if opacity > 0:
            sheet.draw(indexed(sampled, _tinted(look.colors, round(255 * opacity))), area)
        if look.has_hatching and opacity > 0:
            ink = hatch(sampled, area.topLeft() - sheet.pinned)
            sheet.draw(indexed(ink, _INKS), area)
        if outlined is not None:
            own, others = (round(a * look.outline_opacity) for a in (0xFF, _OTHERS_ALPHA))
            colors = _tinted(look.colors, others)
            if look.current in colors:
                colors[look.current] = (own << 24) | look.colors[look.current]
            halo = _haloed(colors, outlined.halo, look.outline_opacity)
            sheet.draw(indexed(outlined.lines, halo), area)
        box = self.bounds_of(look.hovered) if look.hovered else None
        if box is not None:
            self._paint_hovered(sheet, sampled, area, box)

    def _paint_hovered(self, sheet: _Sheet, sampled: Labels, area: QRect, box: Rectangle) -> None:
        part = sheet.area_of(box).intersected(area)
        if part.isEmpty():
            return
        x, y = part.left() - area.left(), part.top() - area.top()
        near = np.ascontiguousarray(sampled[y : y + part.height(), x : x + part.width()])
        only = cv2.compare(near, sheet.look.hovered, cv2.CMP_EQ)  # type: ignore[call-overload]
        ids, halo = edge_lines(only.astype(np.uint8, copy=False), sheet.line_px)
        sheet.draw(indexed(halo, {1: _HALO}), part)
        sheet.draw(indexed(ids, {255: _HOVERED}), part)

    def _paint_covered(self, sheet: _Sheet, layer: Labels) -> None:
        """Stripes in the objects' colours, and a line round them."""
        area = sheet.area_of(_filled(layer))
        if area.isEmpty():
            return
        stripe_px = max(2, round(sheet.ratio * STRIPE_PX))
        mask = self._screen_mask(sheet, layer, area)
        colors = _tinted(sheet.look.colors, COVERED_ALPHA)
        stripes = dashes(mask.sampled, sheet.stripes_at(area), stripe_px, 2 * stripe_px)
        sheet.draw(indexed(stripes, colors), area)
        sheet.draw(indexed(mask.lines, _haloed(colors, mask.halo)), area)

    def _paint_onion(self, sheet: _Sheet, labels: Labels, is_next: bool) -> None:
        """Outlines in the objects' colours: long dashes for the frame before, dots for the next."""
        area = sheet.area_of(_filled(labels))
        if area.isEmpty():
            return
        mask = self._screen_mask(sheet, labels, area)
        length, gap = (3, 3) if is_next else (9, 5)
        line_px = sheet.line_px
        broken = dashes(mask.lines, sheet.stripes_at(area), length * line_px, gap * line_px)
        colors = _tinted(sheet.look.colors, _ONION_ALPHA)
        sheet.draw(indexed(broken, _haloed(colors, mask.halo)), area)

    def _screen_mask(self, sheet: _Sheet, labels: Labels, area: QRect) -> ScreenMask:
        return self._lines.of(
            labels,
            sheet.to_screen,
            area,
            sheet.line_px,
            sheet.look.colors,
            is_kept=self.has_neighbours,
        )


def _haloed(colors: Mapping[int, int], halo: int, opacity: float = 1.0) -> Mapping[int, int]:
    return {**colors, halo: round(HALO_ALPHA * opacity) << 24} if halo else colors


def _filled(labels: Labels) -> Rectangle:
    """The smallest part that holds all objects."""
    left, top, width, height = cv2.boundingRect(labels)
    return Rectangle(left, top, left + width, top + height)


def _tinted(colors: Mapping[int, int], alpha: int) -> dict[int, int]:
    """alpha: 0 to 255."""
    return {one: (alpha << 24) | color for one, color in colors.items()}
