"""Paint how far tracked masks are to be trusted: a strip for all objects, and one on each lane."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter, QPalette

from gui.timeline.frame_table import FrameTable

__all__ = ["TRUST_PX", "draw_doubt", "draw_trust"]

TRUST_PX: Final = 5  # at the foot of a lane
_SURE: Final = 0.08  # of an error below it, nothing is drawn
_WORST: Final = 0.6  # an error from here on is drawn full
_AMBER: Final = np.array([250.0, 176.0, 30.0])
_RED: Final = np.array([222.0, 56.0, 20.0])

Columns = tuple[NDArray[np.intp], NDArray[np.intp]]


def draw_doubt(
    painter: QPainter,
    rect: QRectF,
    columns: Columns,
    table: FrameTable,
    palette: QPalette,
    ratio: float,
) -> None:
    """The worst of each column's tracked frames, whatever the object, as heat.

    columns: `TimeScale.columns(ratio)`. rect: the strip's, its left edge is the window's.
    """
    frames = _frames(columns)
    error = np.where(table.is_tracked[frames], table.doubts[frames], np.nan)
    _draw(painter, rect, columns, error, palette, ratio, is_tall=True)


def draw_trust(
    painter: QPainter,
    rect: QRectF,
    columns: Columns,
    table: FrameTable,
    object_id: int,
    palette: QPalette,
    ratio: float,
) -> None:
    """One object's expected error at the foot of its lane: the worse, the higher and the redder."""
    error = 1 - table.trust(object_id)[_frames(columns)]
    if np.isnan(error).all():
        return
    foot = QRectF(rect.left(), rect.bottom() - TRUST_PX - 1, rect.width(), TRUST_PX)
    _draw(painter, foot, columns, error, palette, ratio, is_tall=False)


def _frames(columns: Columns) -> slice:
    starts, stops = columns
    return slice(int(starts[0]), int(stops[-1]))


def _draw(
    painter: QPainter,
    rect: QRectF,
    columns: Columns,
    error: NDArray[np.float32],
    palette: QPalette,
    ratio: float,
    *,
    is_tall: bool,
) -> None:
    """error: of the frames of `columns`, NaN where there is none. is_tall: always the whole
    height."""
    starts = columns[0] - columns[0][0]
    worst = np.fmax.reduceat(error, starts)
    is_known = ~np.isnan(worst)
    worst = np.nan_to_num(worst)
    strength = np.clip((worst - _SURE) / (_WORST - _SURE), 0, 1)[:, None]
    is_heat = is_known & (worst > _SURE)
    colors = np.zeros((len(starts), 4))
    grey: QColor = palette.color(QPalette.ColorRole.PlaceholderText)
    colors[is_known] = grey.red(), grey.green(), grey.blue(), 0.25
    heat = np.concatenate([_AMBER + (_RED - _AMBER) * strength, 0.55 + 0.45 * strength], axis=1)
    colors[is_heat] = heat[is_heat]
    height = max(1, round(rect.height() * ratio))
    filled = np.where(is_heat, 1 + np.rint(strength[:, 0] * (height - 1)), 1)
    if is_tall:
        filled[:] = height
    is_filled = np.arange(height)[:, None] >= height - filled[None]
    pixels = colors[None] * is_filled[..., None]
    bgra = np.concatenate([pixels[..., 2::-1] * pixels[..., 3:], pixels[..., 3:] * 255], axis=2)
    data = np.ascontiguousarray(np.rint(bgra).astype(np.uint8))
    kind = QImage.Format.Format_ARGB32_Premultiplied
    image = QImage(data.data, len(starts), height, 4 * len(starts), kind).copy()
    painter.drawImage(QRectF(rect.left(), rect.top(), len(starts) / ratio, rect.height()), image)
