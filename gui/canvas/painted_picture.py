"""The backdrop as it is on the screen, kept until something of it changes."""

from collections.abc import Iterable
from math import ceil
from typing import Final, cast

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, QSizeF
from PySide6.QtGui import QPainter, QPixmap, QRegion, QTransform
from PySide6.QtWidgets import QWidget

from gui.canvas.backdrop import Backdrop
from interaction.strokes import Rectangle

__all__ = ["PaintedPicture", "around"]

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
