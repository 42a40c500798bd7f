"""The gesture in progress and a preview of its stroke."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from interaction.annotation.strokes import Rectangle, paint_segment
from interaction.annotation.types import Stroke
from xmem_core.arrays import Labels

__all__ = [
    "Sketch",
    "StrokePreview",
]

Point = tuple[float, float]


@dataclass
class _Drawing:
    object_id: int
    radius_px: float
    is_positive: bool
    locked: Collection[int]
    labels: Labels
    points: list[Point] = field(default_factory=list)
    is_done: bool = False


class StrokePreview:
    """A copy of the frame's labels that a stroke is painted into, piece by piece.

    It is made by the same rule as the edit that follows, so that nothing changes when the edit
    takes its place.
    """

    def __init__(self, on_change: Callable[[Rectangle | None], None]) -> None:
        """on_change: called with what has to be painted again; None: everything."""
        self._on_change = on_change
        self._drawing: _Drawing | None = None

    @property
    def labels(self) -> Labels | None:
        """None while no stroke is shown."""
        return self._drawing.labels if self._drawing else None

    @property
    def is_active(self) -> bool:
        return self._drawing is not None

    @property
    def is_drawing(self) -> bool:
        """Whether the button is still down; afterwards the stroke waits for its edit."""
        return self._drawing is not None and not self._drawing.is_done

    @property
    def object_id(self) -> int:
        """0 while no stroke is shown."""
        return self._drawing.object_id if self._drawing else 0

    def begin(
        self,
        labels: Labels,
        object_id: int,
        radius_px: float,
        is_positive: bool,
        locked: Collection[int],
    ) -> None:
        self._drawing = _Drawing(
            object_id, radius_px, is_positive, locked, np.array(labels, order="C")
        )
        self._on_change(None)

    def extend(self, point: Point) -> None:
        """On to the next point."""
        drawing = self._drawing
        if drawing is None:
            return
        start = drawing.points[-1] if drawing.points else point
        drawing.points.append(point)
        part = self._paint(drawing, start, point)
        if part is not None:
            self._on_change(part)

    def rebase(self, labels: Labels) -> None:
        """The mask below has changed meanwhile: the same stroke over the new one."""
        drawing = self._drawing
        if drawing is None:
            return
        drawing.labels = np.array(labels, order="C")
        for start, end in zip([drawing.points[0], *drawing.points], drawing.points, strict=False):
            self._paint(drawing, start, end)
        self._on_change(None)

    def finish(self) -> None:
        """The button is up: it stays in sight until the mask has changed."""
        if self._drawing is not None:
            self._drawing.is_done = True

    def stroke(self) -> Stroke | None:
        """What has been drawn so far; None if nothing was."""
        drawing = self._drawing
        if drawing is None or not drawing.points:
            return None
        return Stroke(tuple(drawing.points), drawing.radius_px, drawing.is_positive)

    def end(self) -> None:
        """The frame's own mask is shown again."""
        if self._drawing is not None:
            self._drawing = None
            self._on_change(None)

    @staticmethod
    def _paint(drawing: _Drawing, start: Point, end: Point) -> Rectangle | None:
        return paint_segment(
            drawing.labels,
            drawing.object_id,
            start,
            end,
            drawing.radius_px,
            is_positive=drawing.is_positive,
            locked=drawing.locked,
        )


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
