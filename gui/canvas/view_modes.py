"""Masks and pictures as Qt's pictures; what is put together is `interaction.formats.looks`'."""

from collections.abc import Collection, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

from interaction.annotation.strokes import Rectangle
from interaction.formats import looks
from interaction.formats.looks import ViewMode
from xmem_core.arrays import Labels

__all__ = ["compose", "indexed", "pixels_of"]


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


def compose(
    mode: ViewMode,
    picture: QImage,
    labels: Labels,
    seen: Collection[int],
    layer: QImage | None = None,
    part: Rectangle | None = None,
) -> QImage:
    """See `interaction.formats.looks.compose`. picture: RGB32, as the result."""
    laid = None
    if layer is not None and not layer.isNull():
        whole = layer.convertToFormat(QImage.Format.Format_ARGB32)
        laid = np.asarray(cv2.cvtColor(pixels_of(whole), cv2.COLOR_BGRA2RGBA), np.uint8)
    pixels = np.asarray(cv2.cvtColor(pixels_of(picture), cv2.COLOR_BGRA2RGB), np.uint8)
    composed = looks.compose(mode, pixels, labels, seen, laid, part)
    result = QImage(picture.size(), QImage.Format.Format_RGB32)
    cv2.cvtColor(composed, cv2.COLOR_RGB2BGRA, dst=pixels_of(result, are_written=True))
    return result
