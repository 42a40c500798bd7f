"""Colours of masks: the palette that masks are saved with, and colours as single numbers.

A packed colour is 0xRRGGBB in an int32. Which colour is which object is decided in `mask_files`.
"""

from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "PALETTE_IDS",
    "davis_palette",
    "distinct_colors",
    "hide_transparent",
    "pack_colors",
]

_Integer = TypeVar("_Integer", bound=np.integer[Any])

_SOLID_ALPHA: Final = 128  # below it a pixel is more hole than mask


def davis_palette() -> NDArray[np.uint8]:
    """The colours of DAVIS and Pascal VOC masks: (256, 3), RGB by object id; 0 is black.

    The bits of the id are dealt out to red, green and blue in turn, most significant first.
    """
    ids = np.arange(256)
    colors = np.zeros((256, 3), dtype=np.uint8)
    for step in range(8):
        for channel in range(3):
            bit = (ids >> (3 * step + channel)) & 1
            colors[:, channel] |= (bit << (7 - step)).astype(np.uint8)
    return colors


def hide_transparent(values: NDArray[_Integer], alpha: NDArray[_Integer]) -> NDArray[_Integer]:
    """`values` with 0 where `alpha` (0-255) says that there is more hole than mask."""
    return np.where(alpha >= _SOLID_ALPHA, values, np.zeros_like(values))


def pack_colors(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """pixels: (H, W, 3) RGB or (H, W, 4) RGBA. Returns packed colours (H, W).

    Pixels that are more transparent than solid are 0.
    """
    channels = pixels.astype(np.int32)
    packed = (channels[:, :, 0] << 16) | (channels[:, :, 1] << 8) | channels[:, :, 2]
    return hide_transparent(packed, channels[:, :, 3]) if channels.shape[2] == 4 else packed


def distinct_colors(packed: NDArray[np.int32]) -> NDArray[np.int32]:
    """The different values in an array that is not empty, sorted."""
    flat = packed.ravel()
    # Masks are flat areas: sorting only where the value changes is ten times quicker.
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.unique(np.concatenate([flat[:1], flat[changes]]))


# Packed colour -> object id. Black, which is background, is not in it.
PALETTE_IDS: Final = {
    color: index for index, color in enumerate(pack_colors(davis_palette()[None])[0].tolist())
}
del PALETTE_IDS[0]
