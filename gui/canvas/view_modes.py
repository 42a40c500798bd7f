"""How frame and masks are put together: one way of looking for each purpose."""

from collections.abc import Collection, Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSizeF, Qt
from PySide6.QtGui import QBrush, QColor, QImage, QPainter, QPixmap

from gui.work.document import ViewMode
from interaction.annotation.strokes import Rectangle
from xmem_core.arrays import Labels

__all__ = [
    "GREEN",
    "checkerboard",
    "compose",
    "covers_picture",
    "fill_opacity",
    "has_outlines",
    "indexed",
    "pixels_of",
]

GREEN: Final = QColor(0, 177, 64)  # chroma-key green
_DIMMED: Final = 0.38  # brightness of what is not an object, in ViewMode.FADE
_LIGHT_SHARE: Final = 0.3  # of the opacity, in ViewMode.LIGHT
_LEAST_SQUARE_PX: Final = 4

# The objects are cut out of the frame and laid over something else.
_CUTS: Final = {
    ViewMode.FADE,
    ViewMode.POPUP,
    ViewMode.LAYER,
    ViewMode.CHECKERBOARD,
    ViewMode.GREEN,
}
_OUTLINED: Final = {
    ViewMode.OVERLAY,
    ViewMode.OUTLINE,
    ViewMode.FADE,
    ViewMode.LIGHT,
    ViewMode.SIDE_BY_SIDE,
}


def fill_opacity(mode: ViewMode, opacity: float) -> float:
    """How much of an object's colour lies over it, 0 to 1."""
    if mode is ViewMode.MASK:
        return 1.0
    if mode is ViewMode.LIGHT:
        return opacity * _LIGHT_SHARE
    if mode in (ViewMode.OVERLAY, ViewMode.SIDE_BY_SIDE):
        return opacity
    return 0.0


def has_outlines(mode: ViewMode) -> bool:
    return mode in _OUTLINED


def covers_picture(mode: ViewMode) -> bool:
    """Whether `compose` makes a picture of its own for this mode."""
    return mode in _CUTS


def indexed(labels: Labels, colors: Mapping[int, int]) -> QImage:
    """Labels (h, w), C-contiguous, as a picture that shares their memory.

    colors: 0xAARRGGBB by object id; an id without one, as the background, is transparent.
    """
    height, width = labels.shape
    image = QImage(labels.data, width, height, labels.strides[0], QImage.Format.Format_Indexed8)
    image.setColorTable([colors.get(index, 0) for index in range(256)])
    return image


def pixels_of(image: QImage, *, are_written: bool = False) -> NDArray[np.uint8]:
    """A 32-bit picture's own memory, (H, W, 4), blue first: keep the picture as long as this."""
    memory = np.frombuffer(image.bits() if are_written else image.constBits(), np.uint8)
    return memory.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width()]


def _covering(layer: QImage, width: int, height: int) -> QRectF:
    """The middle part of `layer` that fills a frame of this shape without being distorted."""
    scale = min(layer.width() / width, layer.height() / height)
    part = QRectF(0, 0, width * scale, height * scale)
    part.moveCenter(QRectF(layer.rect()).center())
    return part


def compose(
    mode: ViewMode,
    picture: QImage,
    labels: Labels,
    seen: Collection[int],
    layer: QImage | None = None,
    part: Rectangle | None = None,
) -> QImage:
    """The frame (RGB32) with what is not an object made grey, dark, green or something else.

    seen: the objects that are shown; the others are background. layer: what lies between
    background and objects in ViewMode.LAYER, stretched to the frame; its alpha counts. part: the
    rest of the picture holds no object and stays background. ValueError for a mode that needs no
    such picture.
    """
    if mode is ViewMode.FADE:
        result = QImage(picture.size(), QImage.Format.Format_RGB32)
        dimmed = pixels_of(result, are_written=True)
        cv2.convertScaleAbs(pixels_of(picture), dst=dimmed, alpha=_DIMMED)
    elif mode is ViewMode.POPUP:
        grey = cv2.cvtColor(pixels_of(picture), cv2.COLOR_BGRA2GRAY)
        result = QImage(picture.size(), QImage.Format.Format_RGB32)
        cv2.cvtColor(grey, cv2.COLOR_GRAY2BGRA, dst=pixels_of(result, are_written=True))
    elif mode is ViewMode.LAYER:
        result = picture.copy()
        if layer is not None and not layer.isNull():
            painter = QPainter(result)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(
                QRectF(result.rect()), layer, _covering(layer, result.width(), result.height())
            )
            painter.end()
    elif mode in (ViewMode.CHECKERBOARD, ViewMode.GREEN):
        result = QImage(picture.size(), QImage.Format.Format_RGB32)
        _fill(result, checkerboard(picture.height()) if mode is ViewMode.CHECKERBOARD else GREEN)
    else:
        raise ValueError(f"{mode} does not cut objects out")
    height, width = labels.shape
    part = part or Rectangle(0, 0, width, height)
    if part.right > part.left and part.bottom > part.top:
        _lay_objects(result, picture, labels, seen, part)
    return result


def _lay_objects(
    result: QImage, picture: QImage, labels: Labels, seen: Collection[int], part: Rectangle
) -> None:
    cut = indexed(np.ascontiguousarray(labels[part.slices]), dict.fromkeys(seen, 0xFFFFFFFF))
    cut = cut.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
    painter = QPainter(cut)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
    painter.drawImage(-part.left, -part.top, picture)
    painter.end()
    painter = QPainter(result)
    painter.drawImage(part.left, part.top, cut)
    painter.end()


def _fill(image: QImage, brush: QBrush | QColor) -> None:
    painter = QPainter(image)
    painter.fillRect(image.rect(), brush)
    painter.end()


def checkerboard(height_px: int) -> QBrush:
    """What stands for transparent, its squares in keeping with the picture's height."""
    square = max(_LEAST_SQUARE_PX, height_px // 60)
    tile = QPixmap(2 * square, 2 * square)
    tile.fill(QColor(0x66, 0x66, 0x66))
    painter = QPainter(tile)
    size = QSizeF(square, square)
    for x, y in ((0, 0), (square, square)):
        painter.fillRect(QRectF(x, y, size.width(), size.height()), QColor(0x99, 0x99, 0x99))
    painter.end()
    return QBrush(tile) if not tile.isNull() else QBrush(Qt.GlobalColor.darkGray)
