"""Which frames the filmstrip shows at a zoom, and how they are drawn."""

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPalette

from gui.timeline.scale import TimeScale
from gui.timeline.thumbnails import Thumbnails
from interaction.project.video import Video

__all__ = ["Slot", "draw_filmstrip", "slots"]

# Frames a picture stands for. Few different ones, so that pictures serve again at another zoom.
_STEPS: Final = (1, 2, 3, 4, 6, 8, 12)
_CHEAP_FROM: Final = 12  # frames a slot; then any of them will do, and some are quicker to get


@dataclass(frozen=True, slots=True)
class Slot:
    """A place of the strip, from pixel `left` to `left + width`, and the frame it shows."""

    frame: int
    left: float
    width: float


def slots(scale: TimeScale, picture_px: float, video: Video) -> list[Slot]:
    """Those that are seen, from left to right. picture_px: the width of a whole picture.

    A slot is at most as wide as a picture and at least two thirds of it, unless a single frame is
    wider. It shows its first frame; in long videos one of its frames that is quickly decoded.
    """
    step = _step(picture_px / scale.frame_px)
    width = step * scale.frame_px
    found = []
    for first in range(scale.first // step * step, scale.last + 1, step):
        last = min(first + step, scale.frame_count) - 1
        frame = video.cheapest_frame(first, last) if step >= _CHEAP_FROM else first
        found.append(Slot(frame, scale.x(first), min(width, (last + 1 - first) * scale.frame_px)))
    return found


def draw_filmstrip(
    painter: QPainter,
    rect: QRectF,
    found: list[Slot],
    thumbnails: Thumbnails,
    palette: QPalette,
) -> None:
    """Pictures fill their slots, cut at the sides. Where there is none yet, a frame for it."""
    empty = palette.color(QPalette.ColorRole.Midlight)
    height = rect.height()
    for slot in found:
        target = QRectF(rect.left() + slot.left, rect.top(), slot.width - 1, height)
        pixmap = thumbnails.pixmap(slot.frame)
        if pixmap is None:
            painter.fillRect(target, empty)
            continue
        seen = min(pixmap.width(), pixmap.height() * target.width() / height)
        source = QRectF((pixmap.width() - seen) / 2, 0, seen, pixmap.height())
        if seen == pixmap.width():  # a frame wider than its picture: portrait video
            target.setWidth(height * pixmap.width() / pixmap.height())
        painter.drawPixmap(target, pixmap, source)


def _step(frames: float) -> int:
    """The largest step whose slot is no wider than `frames` frames."""
    power, best = 1, 1
    while power <= frames:
        for step in _STEPS:
            if step * power <= frames:
                best = max(best, step * power)
        power *= 2
    return best
