"""The gesture in progress: a box being drawn, a lasso, scribbles, the line Shift would draw."""

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

__all__ = ["Sketch"]

_DARK: Final = QColor(0, 0, 0, 170)
_BRIGHT: Final = QColor("white")
_SKETCH_Z: Final = 30
_MARGIN_PX: Final = 4.0  # of the window


class Sketch(QGraphicsItem):
    """Lines over the picture, in source pixels; nothing of it is ever part of a mask."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[tuple[QPainterPath, QColor, float]] = []  # width in source px; 0: thin
        self._is_filled = False
        self._is_dashed = False
        self._scale = 1.0
        self._bounds = QRectF()
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self.setZValue(_SKETCH_Z)

    @property
    def is_empty(self) -> bool:
        return not self._lines

    def set_scale(self, scale: float) -> None:
        if scale != self._scale:
            self.prepareGeometryChange()
            self._scale = scale

    def clear(self) -> None:
        if self._lines:
            self.prepareGeometryChange()
            self._lines, self._bounds = [], QRectF()
            self.update()

    def show_box(self, start: QPointF, end: QPointF, color: QColor) -> None:
        path = QPainterPath()
        path.addRect(QRectF(start, end).normalized())
        self._show([(path, color, 0.0)], is_filled=True)

    def show_lasso(self, points: Sequence[tuple[float, float]], color: QColor) -> None:
        path = _line(points)
        path.closeSubpath()
        self._show([(path, color, 0.0)], is_filled=True, is_dashed=True)

    def show_strokes(
        self, strokes: Sequence[tuple[Sequence[tuple[float, float]], QColor, float]]
    ) -> None:
        """strokes: points, colour and width in source pixels of each."""
        self._show([(_line(points), color, width) for points, color, width in strokes])

    def show_line(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """What a straight stroke would follow."""
        self._show([(_line((start, end)), QColor("white"), 0.0)], is_dashed=True)

    def _show(
        self,
        lines: list[tuple[QPainterPath, QColor, float]],
        *,
        is_filled: bool = False,
        is_dashed: bool = False,
    ) -> None:
        self.prepareGeometryChange()
        self._lines, self._is_filled, self._is_dashed = lines, is_filled, is_dashed
        self._bounds = QRectF()
        for path, _, width in lines:
            grown = path.boundingRect().adjusted(-width, -width, width, width)
            self._bounds = grown if self._bounds.isNull() else self._bounds.united(grown)
        self.update()

    def boundingRect(self) -> QRectF:
        if not self._lines:
            return QRectF()
        margin = _MARGIN_PX / self._scale
        return self._bounds.adjusted(-margin, -margin, margin, margin)

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for path, color, width in self._lines:
            if self._is_filled:
                tint = QColor(color)
                tint.setAlphaF(0.25)
                painter.fillPath(path, tint)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            if width > 0:
                soft = QColor(color)
                soft.setAlphaF(0.75)
                painter.setPen(_pen(_DARK, width + 2 / self._scale, is_cosmetic=False))
                painter.drawPath(path)
                painter.setPen(_pen(soft, width, is_cosmetic=False))
                painter.drawPath(path)
                continue
            painter.setPen(_pen(_DARK, 3.0))
            painter.drawPath(path)
            pen = _pen(_BRIGHT, 1.5)
            if self._is_dashed:
                pen.setDashPattern([4, 3])
            painter.setPen(pen)
            painter.drawPath(path)


def _pen(color: QColor, width: float, *, is_cosmetic: bool = True) -> QPen:
    pen = QPen(color, width)
    pen.setCosmetic(is_cosmetic)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    return pen


def _line(points: Sequence[tuple[float, float]]) -> QPainterPath:
    path = QPainterPath(QPointF(*points[0]))
    for point in points[1:]:
        path.lineTo(QPointF(*point))
    if len(points) == 1:
        path.lineTo(QPointF(*points[0]) + QPointF(0.01, 0))
    return path
