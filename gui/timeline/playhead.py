"""The lines that move over the timeline: where we are, and how far a propagation has come."""

from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPalette, QPen, QPolygonF

from gui.theme import ACCENT
from gui.timeline.scale import TimeScale
from gui.timeline.timeline_picture import RULER_PX

__all__ = ["draw_head", "draw_playhead"]

_TIP: Final = ((-6, -9), (6, -9), (6, -4), (0, 2), (-6, -4))
_TINTED_FROM_PX: Final = 3.0  # a frame; narrower ones are hidden by the line itself


def draw_playhead(painter: QPainter, strip: QRectF, scale: TimeScale, frame: int) -> None:
    """strip: where frames are, from the left edge of the window on."""
    x, bottom = strip.left() + scale.center(frame), strip.bottom()
    if scale.frame_px >= _TINTED_FROM_PX:
        tint = QColor(ACCENT)
        tint.setAlpha(60)
        left = strip.left() + scale.x(frame)
        painter.fillRect(QRectF(left, RULER_PX, scale.frame_px, bottom - RULER_PX), tint)
    painter.setPen(QPen(ACCENT, 1.5))
    painter.drawLine(QPointF(x, RULER_PX - 4), QPointF(x, bottom))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ACCENT)
    painter.drawPolygon(QPolygonF([QPointF(x + dx, RULER_PX - 3 + dy) for dx, dy in _TIP]))


def draw_head(
    painter: QPainter, strip: QRectF, scale: TimeScale, frame: int, palette: QPalette
) -> None:
    """The frame that a propagation has just tracked."""
    x = strip.left() + scale.center(frame)
    color = palette.color(QPalette.ColorRole.WindowText)
    painter.setPen(QPen(color, 1, Qt.PenStyle.DotLine))
    painter.drawLine(QPointF(x, RULER_PX), QPointF(x, strip.bottom()))
