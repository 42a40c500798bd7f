"""The masks over the frame: fills, hatching, outlines, onion skin, what is pointed at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Final

import cv2
import numpy as np
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF
from PySide6.QtGui import QImage, QPainter, QTransform

from gui.canvas.screen_masks import RecentLines, ScreenMask, hatch, sample, seen
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

__all__ = ["Look", "MaskPainter"]

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


class MaskPainter:
    """Holds the labels that are shown and those of the frames beside, and paints them."""

    def __init__(self, labels: Labels) -> None:
        """labels: (H, W)."""
        self._labels = labels
        self._filled: Rectangle | None = None  # where labels are not 0; None: look again
        self._boxes: dict[int, Rectangle | None] = {}  # of objects, as far as they are known
        self._lines = RecentLines()
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
        self,
        painter: QPainter,
        look: Look,
        to_window: QTransform,
        exposed: QRectF,
        ratio: float,
    ) -> None:
        """As `Backdrop.paint`, over what is painted there."""
        to_screen = to_window * QTransform.fromScale(ratio, ratio)
        line_px = max(1, round(ratio * look.outline_px))
        exposed_px = QRectF(exposed.topLeft() * ratio, exposed.size() * ratio).toAlignedRect()
        # Patterns lie on the picture and move with it.
        pinned = QPoint(floor(to_screen.dx() + 0.5), floor(to_screen.dy() + 0.5))
        for labels, is_next in zip(self._neighbours, (False, True), strict=True):
            if labels is not None:
                area = _mapped(_filled(labels), to_screen, exposed_px, 4 * line_px)
                if not area.isEmpty():
                    mask = self._screen_mask(labels, look, to_screen, area, line_px)
                    self._paint_onion(painter, look, mask, area, pinned, ratio, is_next)
        area = _mapped(self.bounds(), to_screen, exposed_px, 4 * line_px)
        if not area.isEmpty():
            self._paint_labels(painter, look, to_screen, area, pinned, ratio)
        if look.shows_covered and shows_covered(look.mode):
            for layer in self._beneath:
                area = _mapped(_filled(layer), to_screen, exposed_px, 4 * line_px)
                if not area.isEmpty():
                    self._paint_covered(painter, look, layer, to_screen, area, pinned, ratio)

    def _paint_labels(
        self,
        painter: QPainter,
        look: Look,
        to_screen: QTransform,
        area: QRect,
        pinned: QPoint,
        ratio: float,
    ) -> None:
        line_px = max(1, round(ratio * look.outline_px))
        opacity = fill_opacity(look.mode, look.opacity)
        outlined: ScreenMask | None = None
        if has_outlines(look.mode):
            outlined = self._screen_mask(self._labels, look, to_screen, area, line_px)
        elif not (opacity > 0 or look.hovered):
            return
        sampled = (
            outlined.sampled
            if outlined
            else seen(sample(self._labels, to_screen, area), look.colors)
        )
        if opacity > 0:
            _draw_at(painter, indexed(sampled, _tinted(look.colors, opacity)), area, ratio)
        if look.has_hatching and opacity > 0:
            ink = hatch(sampled, area.topLeft() - pinned)
            _draw_at(painter, indexed(ink, _INKS), area, ratio)
        if outlined is not None:
            own, others = (round(a * look.outline_opacity) for a in (0xFF, _OTHERS_ALPHA))
            colors = {
                one: ((own if one == look.current else others) << 24) | color
                for one, color in look.colors.items()
            }
            halo = _haloed(colors, outlined.halo, look.outline_opacity)
            _draw_at(painter, indexed(outlined.lines, halo), area, ratio)
        box = self.bounds_of(look.hovered) if look.hovered else None
        if box is not None:
            self._paint_hovered(painter, look, sampled, area, box, to_screen, ratio)

    def _paint_hovered(
        self,
        painter: QPainter,
        look: Look,
        sampled: Labels,
        area: QRect,
        box: Rectangle,
        to_screen: QTransform,
        ratio: float,
    ) -> None:
        line_px = max(1, round(ratio * look.outline_px))
        part = _mapped(box, to_screen, area, 4 * line_px).intersected(area)
        if part.isEmpty():
            return
        x, y = part.left() - area.left(), part.top() - area.top()
        near = np.ascontiguousarray(sampled[y : y + part.height(), x : x + part.width()])
        only = cv2.compare(near, look.hovered, cv2.CMP_EQ)  # type: ignore[call-overload]
        ids, halo = edge_lines(only.astype(np.uint8, copy=False), line_px)
        _draw_at(painter, indexed(halo, {1: _HALO}), part, ratio)
        _draw_at(painter, indexed(ids, {255: _HOVERED}), part, ratio)

    def _paint_covered(
        self,
        painter: QPainter,
        look: Look,
        layer: Labels,
        to_screen: QTransform,
        area: QRect,
        pinned: QPoint,
        ratio: float,
    ) -> None:
        """Stripes in the objects' colours, and a line round them."""
        line_px = max(1, round(ratio * look.outline_px))
        stripe_px = max(2, round(ratio * STRIPE_PX))
        mask = self._screen_mask(layer, look, to_screen, area, line_px)
        colors = {one: (COVERED_ALPHA << 24) | color for one, color in look.colors.items()}
        stripes = dashes(mask.sampled, _start(area, pinned), stripe_px, 2 * stripe_px)
        _draw_at(painter, indexed(stripes, colors), area, ratio)
        _draw_at(painter, indexed(mask.lines, _haloed(colors, mask.halo)), area, ratio)

    def _screen_mask(
        self, labels: Labels, look: Look, to_screen: QTransform, area: QRect, line_px: int
    ) -> ScreenMask:
        return self._lines.of(
            labels, to_screen, area, line_px, look.colors, is_kept=self.has_neighbours
        )

    def _paint_onion(
        self,
        painter: QPainter,
        look: Look,
        mask: ScreenMask,
        area: QRect,
        pinned: QPoint,
        ratio: float,
        is_next: bool,
    ) -> None:
        """Outlines in the objects' colours: long dashes for the frame before, dots for the next."""
        line_px = max(1, round(ratio * look.outline_px))
        length, gap = (3, 3) if is_next else (9, 5)
        broken = dashes(mask.lines, _start(area, pinned), length * line_px, gap * line_px)
        colors = {one: (_ONION_ALPHA << 24) | color for one, color in look.colors.items()}
        _draw_at(painter, indexed(broken, _haloed(colors, mask.halo)), area, ratio)


def _start(area: QRect, pinned: QPoint) -> int:
    """Of stripes that lie on the picture."""
    place = area.topLeft() - pinned
    return place.x() + place.y()


def _haloed(colors: Mapping[int, int], halo: int, opacity: float = 1.0) -> Mapping[int, int]:
    return {**colors, halo: round((_HALO >> 24) * opacity) << 24} if halo else colors


def _filled(labels: Labels) -> Rectangle:
    """The smallest part that holds all objects."""
    left, top, width, height = cv2.boundingRect(labels)
    return Rectangle(left, top, left + width, top + height)


def _mapped(part: Rectangle, to_screen: QTransform, exposed: QRect, margin_px: int) -> QRect:
    """Where a part of the source is on the screen, as far as it is to be painted.

    With a margin round it, for what lines beside it need to know.
    """
    if part.right <= part.left:
        return QRect()
    source = QRectF(part.left, part.top, part.right - part.left, part.bottom - part.top)
    around = (-margin_px, -margin_px, margin_px, margin_px)
    area = to_screen.mapRect(source).toAlignedRect().adjusted(*around)
    return area.intersected(exposed.adjusted(*around))


def _draw_at(painter: QPainter, image: QImage, area: QRect, ratio: float) -> None:
    """One of its pixels on one of the screen's."""
    # Quicker than to let the painter look every pixel up.
    image = image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    painter.drawImage(QPointF(area.left() / ratio, area.top() / ratio), image)


def _tinted(colors: Mapping[int, int], opacity: float) -> dict[int, int]:
    alpha = round(255 * opacity) << 24
    return {one: alpha | color for one, color in colors.items()}
