"""Masks as the screen sees them: labels sampled at its pixels, and lines along their edges.

Lines are found among the screen's pixels, not the mask's, so that they are equally thin at every
zoom, and cost the same however ragged a mask is.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QBrush, QColor, QImage, QPainter, QTransform

from gui.canvas.view_modes import indexed
from xmem_core.arrays import Labels

__all__ = ["PATTERNS", "dashes", "edge_lines", "hatch", "sample"]

_CROSS: Final = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_TILE_PX: Final = 8
# Each object has one of these; ids that are neighbours look as different as can be.
PATTERNS: Final = 6


def sample(labels: Labels, to_screen: QTransform, area: QRect) -> Labels:
    """The label under the centre of each of the screen's pixels in `area`; 0 beside the picture.

    to_screen: from source pixels to the screen's, only scaled and moved.
    """
    height, width = labels.shape
    columns = _sources(area.left(), area.width(), to_screen.m11(), to_screen.dx())
    rows = _sources(area.top(), area.height(), to_screen.m22(), to_screen.dy())
    result = np.zeros((area.height(), area.width()), np.uint8)
    x = slice(*np.searchsorted(columns, (0, width)).tolist())
    y = slice(*np.searchsorted(rows, (0, height)).tolist())
    columns, rows = columns[x], rows[y]
    if len(columns) and len(rows):
        if to_screen.m11() < 1:
            seen = np.take(np.take(labels, rows, axis=0), columns, axis=1)
        else:  # few rows of the source, each many times
            first = int(rows[0])
            part = np.take(labels[first : int(rows[-1]) + 1], columns, axis=1)
            seen = np.take(part, rows - first, axis=0)
        result[y, x] = seen
    return result


def _sources(first: int, count: int, scale: float, offset: float) -> NDArray[np.intp]:
    """The source pixel under each of `count` screen pixels."""
    centers = np.arange(first, first + count) + 0.5
    return np.floor((centers - offset) / scale).astype(np.intp)


def edge_lines(sampled: Labels, width_px: int) -> tuple[Labels, Labels]:
    """Where labels meet: (ids, halo), both as large as `sampled`.

    ids: object ids along its edges, `width_px` wide on either side. A pixel between two objects
    has its own one's id, a pixel of the background its neighbour's. halo: 1 beside the lines.
    """
    highest, lowest = sampled, sampled
    for _ in range(width_px):
        highest = cv2.dilate(highest, _CROSS)
        lowest = cv2.erode(lowest, _CROSS)
    is_line = cv2.compare(highest, lowest, cv2.CMP_NE)
    background = cv2.compare(sampled, 0, cv2.CMP_EQ)  # type: ignore[call-overload]
    ids = cv2.bitwise_or(sampled, cv2.bitwise_and(highest, background))
    ids = cv2.bitwise_and(ids, is_line)
    halo = is_line
    for _ in range(width_px):
        halo = cv2.dilate(halo, _CROSS)
    halo = cv2.bitwise_and(cv2.subtract(halo, is_line), 1)  # type: ignore[call-overload]
    return ids.astype(np.uint8, copy=False), halo.astype(np.uint8, copy=False)


def dashes(ids: Labels, origin: QPoint, length_px: int, gap_px: int) -> Labels:
    """Lines with gaps that stay where they are on the screen, whichever part is painted."""
    height, width = ids.shape
    columns = np.arange(origin.x(), origin.x() + width)
    rows = np.arange(origin.y(), origin.y() + height)
    across = (columns % (length_px + gap_px)).astype(np.int16)
    down = (rows % (length_px + gap_px)).astype(np.int16)
    position = across[None, :] + down[:, None]
    position[position >= length_px + gap_px] -= length_px + gap_px
    return np.where(position < length_px, ids, 0).astype(np.uint8)


def hatch(sampled: Labels, origin: QPoint, strength: float) -> QImage:
    """A pattern over every object, by its id, so that they differ without their colours."""
    height, width = sampled.shape
    result = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
    result.fill(0)
    painter = QPainter(result)
    ink = (round(255 * strength) << 24) & 0xFF000000
    for pattern in range(PATTERNS):
        colors = dict.fromkeys(range(pattern + 1, 256, PATTERNS), 0xFFFFFFFF)
        mask = indexed(sampled, colors).convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
        inside = QPainter(mask)
        inside.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
        inside.setBrushOrigin(-origin.x() % _TILE_PX, -origin.y() % _TILE_PX)
        inside.fillRect(mask.rect(), QBrush(_tile(pattern, ink)))
        inside.end()
        painter.drawImage(0, 0, mask)
    painter.end()
    return result


def _tile(pattern: int, ink: int) -> QImage:
    y, x = np.mgrid[0:_TILE_PX, 0:_TILE_PX]
    is_ink = [
        (x + y) % _TILE_PX < 2,
        (x - y) % _TILE_PX < 2,
        (x % _TILE_PX < 2) & (y % _TILE_PX < 2),
        y % _TILE_PX < 2,
        ((x + y) % _TILE_PX < 2) | ((x - y) % _TILE_PX < 2),
        x % _TILE_PX < 2,
    ][pattern]
    tile = QImage(_TILE_PX, _TILE_PX, QImage.Format.Format_ARGB32_Premultiplied)
    tile.fill(0)
    for row, column in zip(*np.nonzero(is_ink), strict=True):
        tile.setPixelColor(int(column), int(row), QColor.fromRgba(ink))
    return tile
