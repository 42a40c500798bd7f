"""One lane an object: where its mask is known, by whom, and where not; and the strip of doubt.

A lane is worked out for each pixel column with arrays, so that its cost depends on the width of
the window and neither on the length of the video nor on how often the status changes.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPalette, QPen, QPixmap, QPolygonF

from gui.timeline.frame_table import FrameTable, Presence
from gui.timeline.scale import TimeScale
from interaction.types import FrameStatus, ObjectInfo

__all__ = ["draw_doubt", "draw_lane"]

_BAR_PX: Final = 8
_MARK_PX: Final = 10  # a keyframe's diamond
_MARK_STEP_PX: Final = 5.0  # marks nearer than this are drawn as one
_DOT_PX: Final = 3
_SURE: Final = 0.08  # doubt below it is not worth a colour
_TRACKED_CODE: Final = tuple(FrameStatus).index(FrameStatus.TRACKED)

Columns = tuple[NDArray[np.intp], NDArray[np.intp]]


def draw_lane(
    painter: QPainter,
    rect: QRectF,
    scale: TimeScale,
    columns: Columns,
    table: FrameTable,
    one: ObjectInfo,
    palette: QPalette,
    ratio: float,
) -> None:
    """columns: `scale.columns(ratio)`. rect: the lane's, its left edge is the window's."""
    starts, stops = columns
    first = int(starts[0])
    presence = table.presence(one.id, slice(first, int(stops[-1])))
    starts, stops = starts - first, stops - first
    color = QColor(*one.color)
    grey = palette.color(QPalette.ColorRole.PlaceholderText)
    middle = rect.center().y()

    has = _share(presence >= Presence.TRACKED, starts, stops)
    line = np.zeros((len(starts), 4), np.float64)
    x = np.arange(len(starts)) + round(scale.scroll_px * ratio)
    is_dot = x % round(2 * _DOT_PX * ratio) < _DOT_PX * ratio
    _put(line, (_share(presence == Presence.MISSING, starts, stops) > 0) & is_dot, grey, 0.55)
    _put(line, _share(presence == Presence.NOT_FOUND, starts, stops) > 0, color, 0.45)
    _put(line, _share(presence == Presence.ABSENT, starts, stops) > 0, grey, 0.8)
    line[has == 1] = 0
    width = len(starts) / ratio
    painter.drawImage(QRectF(rect.left(), middle - 0.75, width, 1.5), _strip(line))

    bar = np.zeros((len(starts), 4), np.float64)
    # Where only some of a column's frames have it, it is fainter, but never unseen.
    _put(bar, has > 0, color, (0.35 + 0.65 * has[has > 0]) * 0.85)
    top = middle - _BAR_PX / 2
    painter.drawImage(QRectF(rect.left(), top, width, _BAR_PX), _strip(bar))
    _draw_marks(painter, rect, scale, presence, first, color, palette, ratio)


def draw_doubt(
    painter: QPainter,
    rect: QRectF,
    columns: Columns,
    table: FrameTable,
    palette: QPalette,
    ratio: float,
) -> None:
    """The worst of each column's tracked frames, as heat."""
    starts, stops = columns
    first = int(starts[0])
    frames = slice(first, int(stops[-1]))
    is_tracked = table.statuses[frames] == _TRACKED_CODE
    doubt = np.where(is_tracked, table.doubts[frames], 0)
    worst = np.maximum.reduceat(doubt, starts - first) if len(doubt) else doubt
    known = _share(is_tracked, starts - first, stops - first) > 0
    pixels = np.zeros((len(starts), 4), np.float64)
    _put(pixels, known, palette.color(QPalette.ColorRole.PlaceholderText), 0.25)
    heat = worst > _SURE
    strength = np.clip((worst[heat] - _SURE) / 0.6, 0, 1)[:, None]
    amber, red = np.array([250.0, 176.0, 30.0]), np.array([222.0, 56.0, 20.0])
    pixels[heat, :3] = amber + (red - amber) * strength
    pixels[heat, 3] = 0.55 + 0.45 * strength[:, 0]
    painter.drawImage(
        QRectF(rect.left(), rect.top(), len(starts) / ratio, rect.height()), _strip(pixels)
    )


def _draw_marks(
    painter: QPainter,
    rect: QRectF,
    scale: TimeScale,
    presence: NDArray[np.uint8],
    first: int,
    color: QColor,
    palette: QPalette,
    ratio: float,
) -> None:
    outline = palette.color(QPalette.ColorRole.WindowText)
    for kind in (Presence.ABSENT, Presence.CORRECTED, Presence.CONFIRMED):
        frames = np.flatnonzero(presence == kind) + first
        if not len(frames):
            continue
        x = (frames + 0.5) * scale.frame_px - scale.scroll_px
        _, kept = np.unique(np.floor((x + scale.scroll_px) / _MARK_STEP_PX), return_index=True)
        mark = _mark(kind, color.rgb(), outline.rgb(), ratio)
        top = rect.center().y() - _MARK_PX / 2
        for left in (x[kept] - _MARK_PX / 2 + rect.left()).tolist():
            painter.drawPixmap(QPointF(left, top), mark)


@lru_cache(maxsize=512)
def _mark(kind: Presence, rgb: int, outline_rgb: int, ratio: float) -> QPixmap:
    """Filled: confirmed. Hollow: corrected. A cross: confirmed, and not there."""
    size = round(_MARK_PX * ratio)
    pixmap = QPixmap(size, size)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(outline_rgb), 1.25))
    half, reach = _MARK_PX / 2, _MARK_PX / 2 - 0.75
    if kind is Presence.ABSENT:
        reach -= 1.5
        painter.drawLine(QPointF(half - reach, half - reach), QPointF(half + reach, half + reach))
        painter.drawLine(QPointF(half - reach, half + reach), QPointF(half + reach, half - reach))
    else:
        corners = ((half, half - reach), (half + reach, half), (half, half + reach))
        fill = QColor(rgb) if kind is Presence.CONFIRMED else QColor(outline_rgb).darker(100)
        if kind is Presence.CORRECTED:  # hollow, but the bar must not show through
            is_light_text = fill.lightness() > 127
            fill = QColor(0x22, 0x22, 0x22) if is_light_text else QColor("white")
        painter.setBrush(fill)
        points = [QPointF(x, y) for x, y in (*corners, (half - reach, half))]
        painter.drawPolygon(QPolygonF(points))
    painter.end()
    return pixmap


def _share(
    is_so: NDArray[np.bool_], starts: NDArray[np.intp], stops: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Of each column's frames, the share of those that are so, 0 to 1."""
    count = np.concatenate(([0], np.cumsum(is_so)))
    share: NDArray[np.float64] = (count[stops] - count[starts]) / (stops - starts)
    return share


def _put(
    pixels: NDArray[np.float64],
    where: NDArray[np.bool_],
    color: QColor,
    alpha: float | NDArray[np.float64],
) -> None:
    pixels[where, :3] = color.red(), color.green(), color.blue()
    pixels[where, 3] = alpha


def _strip(pixels: NDArray[np.float64]) -> QImage:
    """(W, 4) red, green, blue to 255 and alpha to 1, as a picture one pixel high."""
    alpha = pixels[:, 3:]
    bgra = np.concatenate((pixels[:, 2::-1] * alpha, alpha * 255), axis=1)
    data = np.ascontiguousarray(np.rint(bgra).astype(np.uint8))
    width = len(data)
    image = QImage(data.data, width, 1, 4 * width, QImage.Format.Format_ARGB32_Premultiplied)
    return image.copy()  # the array goes away
