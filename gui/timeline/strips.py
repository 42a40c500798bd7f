"""Strips of the timeline, a colour for each column of device pixels; among them those of trust.

A column's colour is looked up by a small number, so that a strip costs no arithmetic on colours.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter, QPalette

from gui.timeline.frame_table import FrameTable

__all__ = ["TRUST_PX", "Columns", "argb", "draw_doubt", "draw_strip", "draw_trust"]

TRUST_PX: Final = 5  # at the foot of a lane
_SURE: Final = 0.08  # of an error up to it, no heat is drawn
_WORST: Final = 0.6  # an error from here on is drawn full
_AMBER: Final = (250, 176, 30)
_RED: Final = (222, 56, 20)
_STEPS: Final = 128  # of heat
_UNKNOWN, _FINE, _HEAT = 0, 1, 2  # where they are in the table of colours

Columns = tuple[NDArray[np.intp], NDArray[np.intp]]  # as `TimeScale.columns` gives them


def argb(color: QColor, alpha: float) -> int:
    """0xAARRGGBB, premultiplied. alpha: 0 to 1."""
    red, green, blue = (round(part * alpha) for part in (color.red(), color.green(), color.blue()))
    return round(255 * alpha) << 24 | red << 16 | green << 8 | blue


def draw_strip(painter: QPainter, rect: QRectF, pixels: NDArray[np.uint32]) -> None:
    """pixels: (W,) or (H, W), as `argb` makes them; stretched over `rect`."""
    rows = np.ascontiguousarray(np.atleast_2d(pixels))
    height, width = rows.shape
    kind = QImage.Format.Format_ARGB32_Premultiplied
    image = QImage(rows.data, width, height, 4 * width, kind).copy()  # the array goes away
    painter.drawImage(rect, image)


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
    colors = _heat_colors(_grey(palette))[_heat(columns, error)]
    draw_strip(painter, _across(rect, columns, ratio), colors)


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
    heat = _heat(columns, error)
    height = max(1, round(TRUST_PX * ratio))
    empty = (height - 1) * (_HEAT + _STEPS - 1 - np.maximum(heat, _HEAT)) / (_STEPS - 1)
    is_filled = np.arange(height)[:, None] >= np.rint(empty)[None]
    pixels = np.where(is_filled, _heat_colors(_grey(palette))[heat], np.uint32(0))
    draw_strip(painter, _across(foot, columns, ratio), pixels)


def _frames(columns: Columns) -> slice:
    starts, stops = columns
    return slice(int(starts[0]), int(stops[-1]))


def _across(rect: QRectF, columns: Columns, ratio: float) -> QRectF:
    """As wide as the columns."""
    return QRectF(rect.left(), rect.top(), len(columns[0]) / ratio, rect.height())


def _grey(palette: QPalette) -> int:
    return palette.color(QPalette.ColorRole.PlaceholderText).rgb()


def _heat(columns: Columns, error: NDArray[np.float32]) -> NDArray[np.intp]:
    """(W,) the place of each column's colour in `_heat_colors`, by its worst frame.

    error: of the frames of `columns`, NaN where there is none.
    """
    worst = np.fmax.reduceat(error, columns[0] - columns[0][0])
    strength = np.clip((worst - _SURE) / (_WORST - _SURE), 0, 1)
    place = np.where(worst > _SURE, _HEAT + np.rint(strength * (_STEPS - 1)), _FINE)
    return np.where(np.isnan(worst), _UNKNOWN, place).astype(np.intp)


@lru_cache(maxsize=4)
def _heat_colors(grey_rgb: int) -> NDArray[np.uint32]:
    """Of nothing known, of no heat, and of heat from amber to red."""
    colors = [0, argb(QColor(grey_rgb), 0.25)]
    for strength in np.linspace(0, 1, _STEPS).tolist():
        mixed = (round(a + (b - a) * strength) for a, b in zip(_AMBER, _RED, strict=True))
        colors.append(argb(QColor(*mixed), 0.55 + 0.45 * strength))
    return np.array(colors, np.uint32)
