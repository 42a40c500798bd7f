"""What is at the back of the canvas: the frame with its masks, painted in one go."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Final

import cv2
import numpy as np
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QTransform

from gui.canvas.recent_lines import RecentLines, ScreenMask, seen
from gui.canvas.screen_masks import dashes, edge_lines, hatch, sample
from gui.canvas.view_modes import (
    compose,
    covers_picture,
    fill_opacity,
    has_outlines,
    indexed,
    pixels_of,
)
from gui.view_state import ViewMode
from interaction.strokes import Rectangle
from xmem_core.arrays import Labels

__all__ = ["SIDE_GAP_PX", "SURROUND", "Backdrop", "Look"]

SURROUND: Final = QColor(0x1A, 0x1A, 0x1A)  # neutral and dark in light schemes, too
SIDE_GAP_PX: Final = 8.0  # source pixels between overlay and source
_CRISP_FROM: Final = 3.0  # zoom at which a pixel is better seen than smoothed
_GRID_FROM: Final = 8.0
_GRID: Final = QColor(128, 128, 128, 90)
_INKS: Final = dict.fromkeys(range(1, 256), 0x8C000000)  # of hatching
_HALO: Final = 0x8C000000
_HOVERED: Final = 0xFFFFFFFF
_OTHERS_ALPHA: Final = 0xB4  # of outlines of objects that are not the current one
_ONION_ALPHA: Final = 0xD0
_NOTHING: Final = Rectangle(0, 0, 0, 0)


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


class Backdrop:
    """Holds what is shown and paints any part of it at any zoom.

    Rest is cheap: nothing is computed before it is painted, and only for the part painted.
    """

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._picture: QImage | None = None
        self._labels: Labels = np.zeros((height, width), np.uint8)
        self._filled: Rectangle | None = _NOTHING  # where labels are not 0; None: look again
        self._boxes: dict[int, Rectangle | None] = {}  # of objects, as far as they are known
        self._lines = RecentLines()
        self._look = Look()
        self._layer: QImage | None = None
        self._neighbours: tuple[Labels | None, Labels | None] = (None, None)
        self._composed: QImage | None = None
        self._small: tuple[int, int, QImage] | None = None  # key of the large one, divisor, picture

    # What is shown

    @property
    def picture(self) -> QImage | None:
        return self._picture

    def set_picture(self, picture: QImage | None) -> None:
        self._picture, self._composed, self._small = picture, None, None

    @property
    def labels(self) -> Labels:
        return self._labels

    def set_labels(self, labels: Labels) -> None:
        """(H, W). May be changed in place afterwards, see `labels_changed`."""
        self._labels = labels
        self._filled = self._composed = None
        self._boxes.clear()

    def labels_changed(self, part: Rectangle | None = None) -> None:
        """After a change in place; only inside `part`, if given."""
        if part is not None and self._filled is not None:
            is_empty = self._filled.right <= self._filled.left
            self._filled = part if is_empty else self._filled.united(part)
        else:
            self._filled = None
        self._composed = None
        self._boxes.clear()
        self._lines.forget(self._labels)

    def bounds_of(self, object_id: int) -> Rectangle | None:
        """The smallest part that holds an object; None if there is nothing of it."""
        if object_id not in self._boxes:
            filled = self._bounds()
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

    @property
    def look(self) -> Look:
        return self._look

    def set_look(self, look: Look) -> None:
        before, self._look = self._look, look
        if before.mode is not look.mode or before.colors != look.colors:
            self._composed = None

    def set_layer(self, layer: QImage | None) -> None:
        self._layer, self._composed = layer, None

    def set_neighbours(self, previous: Labels | None, following: Labels | None) -> None:
        """Masks of the frames before and after, for onion skin; None for none."""
        self._neighbours = (previous, following)

    @property
    def has_neighbours(self) -> bool:
        return any(one is not None for one in self._neighbours)

    @property
    def extent(self) -> QRectF:
        """All that there is to see, in source pixels."""
        is_double = self._look.mode is ViewMode.SIDE_BY_SIDE
        width = 2 * self._width + SIDE_GAP_PX if is_double else self._width
        return QRectF(0, 0, width, self._height)

    @property
    def source_offset(self) -> float:
        """How far right the source lies beside the overlay, in source pixels."""
        return self._width + SIDE_GAP_PX

    # Painting

    def paint(
        self, painter: QPainter, to_window: QTransform, exposed: QRectF, pixel_ratio: float
    ) -> None:
        """exposed: in window coordinates, which the painter must be in. to_window: from source
        pixels. pixel_ratio: the screen's pixels for one of the window's."""
        painter.fillRect(exposed, SURROUND)
        look = self._look
        frame = QRectF(0, 0, self._width, self._height)
        zoom = to_window.m11() * pixel_ratio
        painter.save()
        painter.setClipRect(exposed, Qt.ClipOperation.IntersectClip)
        is_masked = look.mode is ViewMode.MASK and not look.is_bare
        if is_masked:
            painter.fillRect(to_window.mapRect(frame), QColor(0, 0, 0))
        else:
            self._draw(painter, self._ground(), to_window, zoom)
        if look.mode is ViewMode.SIDE_BY_SIDE and self._picture is not None:
            beside = QTransform(to_window).translate(self.source_offset, 0)
            self._draw(painter, self._picture, beside, zoom)
        if not look.is_bare:
            self._paint_masks(painter, to_window, exposed, pixel_ratio)
        if zoom >= _GRID_FROM:
            _paint_grid(painter, to_window, exposed.intersected(to_window.mapRect(frame)))
        painter.restore()

    def _ground(self) -> QImage | None:
        """What the masks are laid over, at source size."""
        look = self._look
        if self._picture is None or look.is_bare or not covers_picture(look.mode):
            return self._picture
        if self._composed is None:
            self._composed = compose(
                look.mode, self._picture, self._labels, look.colors, self._layer, self._bounds()
            )
        return self._composed

    def _draw(
        self, painter: QPainter, image: QImage | None, to_window: QTransform, zoom: float
    ) -> None:
        if image is None:
            return
        target = to_window.mapRect(QRectF(0, 0, self._width, self._height))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, zoom < _CRISP_FROM)
        painter.drawImage(target, self._reduced(image, int(1 / max(zoom, 0.02) + 0.01)))

    def _reduced(self, image: QImage, divisor: int) -> QImage:
        """Much smaller on the screen: averaged first, or fine detail would flicker."""
        if divisor < 2:
            return image
        key = image.cacheKey()
        if self._small is None or self._small[:2] != (key, divisor):
            small = QImage(
                max(1, image.width() // divisor),
                max(1, image.height() // divisor),
                QImage.Format.Format_RGB32,
            )
            size = (small.width(), small.height())
            target = pixels_of(small, are_written=True)
            cv2.resize(pixels_of(image), size, dst=target, interpolation=cv2.INTER_AREA)
            self._small = (key, divisor, small)
        return self._small[2]

    def _bounds(self) -> Rectangle:
        if self._filled is None:
            self._filled = _filled(self._labels)
        return self._filled

    def _paint_masks(
        self, painter: QPainter, to_window: QTransform, exposed: QRectF, ratio: float
    ) -> None:
        look = self._look
        to_screen = to_window * QTransform.fromScale(ratio, ratio)
        line_px = max(1, round(ratio))
        exposed_px = QRectF(exposed.topLeft() * ratio, exposed.size() * ratio).toAlignedRect()
        # Patterns lie on the picture and move with it.
        pinned = QPoint(floor(to_screen.dx() + 0.5), floor(to_screen.dy() + 0.5))
        for labels, is_next in zip(self._neighbours, (False, True), strict=True):
            if labels is not None:
                area = _mapped(_filled(labels), to_screen, exposed_px, 4 * line_px)
                if not area.isEmpty():
                    mask = self._screen_mask(labels, to_screen, area, line_px)
                    self._paint_onion(painter, mask, area, pinned, ratio, is_next)
        area = _mapped(self._bounds(), to_screen, exposed_px, 4 * line_px)
        if area.isEmpty():
            return
        opacity = fill_opacity(look.mode, look.opacity)
        mask = None
        if has_outlines(look.mode):
            mask = self._screen_mask(self._labels, to_screen, area, line_px)
        elif not (opacity > 0 or look.hovered):
            return
        sampled = mask.sampled if mask else seen(sample(self._labels, to_screen, area), look.colors)
        if opacity > 0:
            _draw_at(painter, indexed(sampled, _tinted(look.colors, opacity)), area, ratio)
        if look.has_hatching and opacity > 0:
            ink = hatch(sampled, area.topLeft() - pinned)
            _draw_at(painter, indexed(ink, _INKS), area, ratio)
        if mask is not None:
            colors = {
                one: ((0xFF if one == look.current else _OTHERS_ALPHA) << 24) | color
                for one, color in look.colors.items()
            }
            _draw_at(painter, indexed(mask.lines, _haloed(colors, mask.halo)), area, ratio)
        box = self.bounds_of(look.hovered) if look.hovered else None
        if box is not None:
            self._paint_hovered(painter, sampled, area, box, to_screen, ratio)

    def _paint_hovered(
        self,
        painter: QPainter,
        sampled: Labels,
        area: QRect,
        box: Rectangle,
        to_screen: QTransform,
        ratio: float,
    ) -> None:
        line_px = max(1, round(ratio))
        part = _mapped(box, to_screen, area, 4 * line_px).intersected(area)
        if part.isEmpty():
            return
        x, y = part.left() - area.left(), part.top() - area.top()
        near = np.ascontiguousarray(sampled[y : y + part.height(), x : x + part.width()])
        only = cv2.compare(near, self._look.hovered, cv2.CMP_EQ)  # type: ignore[call-overload]
        ids, halo = edge_lines(only.astype(np.uint8, copy=False), line_px)
        _draw_at(painter, indexed(halo, {1: _HALO}), part, ratio)
        _draw_at(painter, indexed(ids, {255: _HOVERED}), part, ratio)

    def _screen_mask(
        self, labels: Labels, to_screen: QTransform, area: QRect, line_px: int
    ) -> ScreenMask:
        return self._lines.of(
            labels, to_screen, area, line_px, self._look.colors, is_kept=self.has_neighbours
        )

    def _paint_onion(
        self,
        painter: QPainter,
        mask: ScreenMask,
        area: QRect,
        pinned: QPoint,
        ratio: float,
        is_next: bool,
    ) -> None:
        """Outlines in the objects' colours: long dashes for the frame before, dots for the next."""
        line_px = max(1, round(ratio))
        length, gap = (3, 3) if is_next else (9, 5)
        broken = dashes(mask.lines, area.topLeft() - pinned, length * line_px, gap * line_px)
        colors = {one: (_ONION_ALPHA << 24) | color for one, color in self._look.colors.items()}
        _draw_at(painter, indexed(broken, _haloed(colors, mask.halo)), area, ratio)


def _haloed(colors: Mapping[int, int], halo: int) -> Mapping[int, int]:
    return {**colors, halo: _HALO} if halo else colors


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


def _paint_grid(painter: QPainter, to_window: QTransform, shown: QRectF) -> None:
    """A line between every two source pixels."""
    if shown.isEmpty():
        return
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setPen(QPen(_GRID, 0))
    inverse, _ = to_window.inverted()
    source = inverse.mapRect(shown).toAlignedRect()
    lines = []
    for x in range(source.left(), source.right() + 2):
        at = to_window.map(QPointF(x, 0)).x()
        lines.append((QPointF(at, shown.top()), QPointF(at, shown.bottom())))
    for y in range(source.top(), source.bottom() + 2):
        at = to_window.map(QPointF(0, y)).y()
        lines.append((QPointF(shown.left(), at), QPointF(shown.right(), at)))
    for start, end in lines:
        painter.drawLine(start, end)
