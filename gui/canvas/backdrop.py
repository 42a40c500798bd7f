"""Paint and cache the frame with its masks."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Final, cast

import cv2
import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPixmap, QRegion, QTransform
from PySide6.QtWidgets import QWidget

from gui.canvas.mask_painter import Look, MaskPainter
from gui.canvas.view_modes import compose, pixels_of
from interaction.annotation.strokes import Rectangle
from interaction.formats import looks
from interaction.formats.looks import ViewMode, covers_picture
from xmem_core.arrays import Labels

__all__ = [
    "SIDE_GAP_PX",
    "SURROUND",
    "Backdrop",
    "Look",
    "PaintedPicture",
    "around",
]

_MARGIN_PX: Final = 8.0  # lines reach so far beyond what has changed, in window pixels
_WHOLE_PX: Final = 1e-6  # so far from a whole pixel is rounding


class PaintedPicture:
    """Paints what is out of date, and no more. What is only pushed about is moved as it is."""

    def __init__(self, backdrop: Backdrop) -> None:
        self._backdrop = backdrop
        self._pixmap: QPixmap | None = None
        self._to_window = QTransform()
        self._stale = QRegion()  # in the screen's pixels, of the pixmap as it is

    def spoil(self) -> None:
        """All of it is out of date."""
        if self._pixmap is not None:
            self._stale = QRegion(self._pixmap.rect())

    def spoil_part(self, part: Rectangle) -> None:
        """part: in source pixels; lines may reach a little beyond."""
        if self._pixmap is not None:
            ratio = self._pixmap.devicePixelRatio()
            area = around(part, self._to_window)
            self._stale += QRectF(area.topLeft() * ratio, area.size() * ratio).toAlignedRect()

    def draw(self, painter: QPainter, window: QWidget, to_window: QTransform) -> None:
        """On all of the window, in its coordinates. to_window: from source pixels."""
        size, ratio = window.size(), window.devicePixelRatioF()
        size_px = QSize(ceil(size.width() * ratio), ceil(size.height() * ratio))
        pixmap = self._pixmap
        if pixmap is None or pixmap.size() != size_px or pixmap.devicePixelRatio() != ratio:
            pixmap = QPixmap(size_px)
            pixmap.setDevicePixelRatio(ratio)
            self._pixmap = pixmap
            self._stale = QRegion(pixmap.rect())
        elif to_window != self._to_window and not self._push(pixmap, to_window, ratio):
            self._stale = QRegion(pixmap.rect())
        self._to_window = QTransform(to_window)
        self._freshen(pixmap, ratio)
        painter.drawPixmap(QPointF(), pixmap)

    def _push(self, pixmap: QPixmap, to_window: QTransform, ratio: float) -> bool:
        """False if the picture has to be painted again: zoomed, or not by whole pixels."""
        before = self._to_window
        if (before.m11(), before.m22()) != (to_window.m11(), to_window.m22()):
            return False
        x = (to_window.dx() - before.dx()) * ratio
        y = (to_window.dy() - before.dy()) * ratio
        dx, dy = round(x), round(y)
        if abs(x - dx) > _WHOLE_PX or abs(y - dy) > _WHOLE_PX:
            return False
        if abs(dx) >= pixmap.width() or abs(dy) >= pixmap.height():
            return False
        whole = pixmap.rect()
        pixmap.scroll(dx, dy, whole)
        self._stale.translate(dx, dy)
        self._stale += QRegion(whole) - QRegion(whole.translated(dx, dy))
        return True

    def _freshen(self, pixmap: QPixmap, ratio: float) -> None:
        # Qt's types do not say that a region can be gone through.
        region = cast(Iterable[QRect], self._stale.intersected(pixmap.rect()))
        parts = list(region)
        self._stale = QRegion()
        if not parts:
            return
        painter = QPainter(pixmap)
        for part in parts:
            exposed = QRectF(QPointF(part.topLeft()) / ratio, QSizeF(part.size()) / ratio)
            self._backdrop.paint(painter, self._to_window, exposed, ratio)
        painter.end()


def around(part: Rectangle, to_window: QTransform) -> QRectF:
    """What a change of a part of the source changes in the window."""
    source = QRectF(part.left, part.top, part.right - part.left, part.bottom - part.top)
    return to_window.mapRect(source).adjusted(-_MARGIN_PX, -_MARGIN_PX, _MARGIN_PX, _MARGIN_PX)


SURROUND: Final = QColor(*looks.SURROUND)  # in light schemes, too
SIDE_GAP_PX: Final = float(looks.SIDE_GAP_PX)
_CRISP_FROM: Final = 3.0  # zoom at which a pixel is better seen than smoothed
_GRID_FROM: Final = 8.0
_GRID: Final = QColor(128, 128, 128, 90)


class Backdrop:
    """Holds what is shown and paints any part of it at any zoom.

    Rest is cheap: nothing is computed before it is painted, and only for the part painted.
    """

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._picture: QImage | None = None
        self.masks = MaskPainter(np.zeros((height, width), np.uint8))
        self.look = Look()
        self._layer: QImage | None = None
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
        return self.masks.labels

    def set_labels(self, labels: Labels) -> None:
        """(H, W). May be changed in place afterwards, see `labels_changed`."""
        self.masks.set_labels(labels)
        self._composed = None

    def labels_changed(self, part: Rectangle | None = None) -> None:
        """After a change in place; only inside `part`, if given."""
        self.masks.labels_changed(part)
        self._composed = None

    def set_look(self, look: Look) -> None:
        before, self.look = self.look, look
        if before.mode is not look.mode or before.colors != look.colors:
            self._composed = None

    def set_layer(self, layer: QImage | None) -> None:
        self._layer, self._composed = layer, None

    @property
    def extent(self) -> QRectF:
        """All that there is to see, in source pixels."""
        is_double = self.look.mode is ViewMode.SIDE_BY_SIDE
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
        look = self.look
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
            self.masks.paint(painter, self.look, to_window, exposed, pixel_ratio)
        if zoom >= _GRID_FROM:
            _paint_grid(painter, to_window, exposed.intersected(to_window.mapRect(frame)))
        painter.restore()

    def _ground(self) -> QImage | None:
        """What the masks are laid over, at source size."""
        look = self.look
        if self._picture is None or look.is_bare or not covers_picture(look.mode):
            return self._picture
        if self._composed is None:
            self._composed = compose(
                look.mode,
                self._picture,
                self.masks.labels,
                look.colors,
                self._layer,
                self.masks.bounds(),
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
