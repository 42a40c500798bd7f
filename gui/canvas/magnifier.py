"""A round glass beside the cursor that shows what is under it much larger."""

from typing import Final

from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen, QTransform
from PySide6.QtWidgets import QWidget

from gui.canvas.backdrop import Backdrop

__all__ = ["Magnifier"]

_SIZE_PX: Final = 192
_AWAY_PX: Final = 28  # from the cursor, so that it hides nothing that matters
_TIMES: Final = 4.0
_LEAST_SCALE: Final = 6.0


class Magnifier(QWidget):
    """Lies over the canvas; the mouse goes through it."""

    def __init__(self, backdrop: Backdrop, parent: QWidget) -> None:
        super().__init__(parent)
        self._canvas = parent
        self._backdrop = backdrop
        self._center = QPointF()  # source pixels
        self._scale = _LEAST_SCALE
        self._brush_radius_px = 0.0
        self.setFixedSize(_SIZE_PX, _SIZE_PX)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName(self.tr("Magnifier"))
        self.hide()

    def follow(
        self, cursor: QPointF, source: QPointF, scale: float, brush_radius_px: float
    ) -> None:
        """cursor: in the parent; source: the same in source pixels; scale: the canvas's own;
        brush_radius_px: 0 where no brush is in use."""
        self._center, self._scale = source, max(_LEAST_SCALE, scale * _TIMES)
        self._brush_radius_px = brush_radius_px
        parent = self._canvas.rect()
        x = cursor.x() + _AWAY_PX
        y = cursor.y() - _AWAY_PX - _SIZE_PX
        if x + _SIZE_PX > parent.width():
            x = cursor.x() - _AWAY_PX - _SIZE_PX
        if y < 0:
            y = cursor.y() + _AWAY_PX
        self.move(QPoint(round(x), round(y)))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        circle = QRectF(self.rect()).adjusted(2, 2, -2, -2)
        shape = QPainterPath()
        shape.addEllipse(circle)
        middle = circle.center()
        painter.save()
        painter.setClipPath(shape)
        offset = middle - self._center * self._scale
        to_glass = QTransform(self._scale, 0, 0, self._scale, offset.x(), offset.y())
        self._backdrop.paint(painter, to_glass, circle, self.devicePixelRatioF())
        if self._brush_radius_px > 0:
            radius = self._brush_radius_px * self._scale
            painter.setPen(QPen(QColor(0, 0, 0, 190), 3))
            painter.drawEllipse(middle, radius, radius)
            painter.setPen(QPen(QColor("white"), 1.5))
            painter.drawEllipse(middle, radius, radius)
        painter.restore()
        for width, color in ((3.0, QColor(0, 0, 0, 150)), (1.0, QColor("white"))):
            painter.setPen(QPen(color, width))
            for x, y in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                way = QPointF(x, y)
                painter.drawLine(middle + way * 5, middle + way * 12)
        painter.setPen(QPen(QColor(0, 0, 0, 160), 4))
        painter.drawEllipse(circle)
        painter.setPen(QPen(QColor(0xE0, 0xE0, 0xE0), 2))
        painter.drawEllipse(circle)
        painter.end()
