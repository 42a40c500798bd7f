"""Frame numbers and times above the timeline."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRectF
from PySide6.QtGui import QFontMetricsF, QPainter, QPalette

from gui.timeline.scale import TimeScale
from gui.timeline.timecode import short_timecode

__all__ = ["draw_ruler", "label_step"]

_STEPS: Final = (1, 2, 5)
_GAP_PX: Final = 14.0
_TICK_PX: Final = 5.0  # at least this far apart


def label_step(frame_px: float, label_px: float) -> int:
    """Frames from one label to the next: 1, 2, 5, 10, …, so far apart that labels fit."""
    power = 1
    while True:
        for step in _STEPS:
            if step * power * frame_px >= label_px:
                return step * power
        power *= 10


def draw_ruler(
    painter: QPainter,
    rect: QRectF,
    scale: TimeScale,
    timestamps_s: NDArray[np.float64],
    palette: QPalette,
) -> None:
    """Numbers, with the time beside them, and ticks between."""
    metrics = QFontMetricsF(painter.font())
    number_px = metrics.horizontalAdvance(str(scale.frame_count))
    has_fraction = scale.frame_px > 4
    time_px = metrics.horizontalAdvance(
        short_timecode(float(timestamps_s[-1]), has_fraction=has_fraction)
    )
    step = label_step(scale.frame_px, number_px + time_px + 6 + _GAP_PX)
    tick = label_step(scale.frame_px, _TICK_PX)
    if step % tick:
        tick = step
    strong = palette.color(QPalette.ColorRole.WindowText)
    faint = palette.color(QPalette.ColorRole.PlaceholderText)
    first, last = scale.first, scale.last
    bottom = rect.bottom()

    painter.setPen(faint)
    ticks = np.arange(first // tick * tick, last + 1, tick)
    xs = rect.left() + scale.frame_px * ticks - scale.scroll_px
    painter.drawLines([QLineF(x, bottom - 3, x, bottom) for x in xs.tolist()])
    baseline = rect.top() + (rect.height() - 3 + metrics.ascent() - metrics.descent()) / 2
    for frame in range(first // step * step, last + 1, step):
        x = rect.left() + scale.x(frame)
        painter.setPen(faint)
        painter.drawLine(QLineF(x, rect.top() + 4, x, bottom))
        text = str(frame)
        if x + 4 + metrics.horizontalAdvance(text) > rect.right():
            continue  # half a number is a wrong one
        painter.setPen(strong)
        painter.drawText(QPointF(x + 4, baseline), text)
        painter.setPen(faint)
        time = short_timecode(float(timestamps_s[frame]), has_fraction=has_fraction)
        painter.drawText(QPointF(x + 10 + metrics.horizontalAdvance(text), baseline), time)
