"""Which pictures go into the pack, and how they are brought to size.

Left out: what cannot be decoded, what is flat, what has no useful alpha, and what looks like a
picture that is already there (wallpapers come in many sizes, stamps in many colours).
"""

import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.pack import Picture

CUTOUT_LONG_SIDE_PX = 288
BACKGROUND_SHORT_SIDE_PX = 768
_LARGEST_PIXELS = 40_000_000
_SMALLEST_CUTOUT_PX = 24
_SMALLEST_BACKGROUND_PX = 240
_LEAST_FILLED, _MOST_FILLED = 0.12, 0.97  # of its box that a cut-out covers
_FEWEST_COLOURS = 6  # of a drawing, among 512
_LEAST_CONTRAST = 14.0  # standard deviation of a background's brightness, 0..255
_LEAST_COLOUR = 2.0  # mean difference of a background's strongest and weakest primary colour
_LEAST_DETAIL = 1.2  # mean difference of neighbouring pixels of its thumbnail
_THUMBNAIL_PX = 96
_HASH_CELLS = 12  # a side
# Of 2 * 144, pictures that differ in no more are the same: among the packages' wallpapers those in
# a dark and a light variant differ in 15 to 30, others in 47 and more; two apples in 39.
_ALIKE_BITS = 32


def read_cutout(path: Path, fewest_colours: int = 0) -> Picture | None:
    """(H, W, 4) BGRA cropped to what is not transparent; None where it is of no use."""
    decoded = _decoded(path, cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.ndim != 3 or decoded.shape[2] != 4:
        return None
    if decoded.dtype == np.uint16:
        decoded = decoded // 257
    picture = np.asarray(decoded, dtype=np.uint8)
    seen = picture[..., 3] > 8
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        return None
    picture = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    solid = picture[..., 3] > 127
    if min(solid.shape) < _SMALLEST_CUTOUT_PX:
        return None
    if not _LEAST_FILLED <= solid.mean() <= _MOST_FILLED:
        return None
    if fewest_colours and _colours(picture[solid]) < fewest_colours:
        return None
    return _shrunk(picture, CUTOUT_LONG_SIDE_PX / max(picture.shape[:2]))


def read_drawing(path: Path) -> Picture | None:
    """As `read_cutout`, without drawings in hardly any colours."""
    return read_cutout(path, _FEWEST_COLOURS)


def read_background(path: Path) -> Picture | None:
    """(H, W, 3) BGR; None for what is small, flat, without colour (masks and test charts) or cannot
    be decoded."""
    decoded = _decoded(path, cv2.IMREAD_COLOR)
    if decoded is None or min(decoded.shape[:2]) < _SMALLEST_BACKGROUND_PX:
        return None
    picture = np.asarray(decoded, dtype=np.uint8)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    thumbnail = cv2.resize(grey, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    small = np.asarray(thumbnail, dtype=np.float32)
    detail = (np.abs(np.diff(small, axis=0)).mean() + np.abs(np.diff(small, axis=1)).mean()) / 2
    if small.std() < _LEAST_CONTRAST or detail < _LEAST_DETAIL:
        return None
    if (picture.max(axis=2) - picture.min(axis=2)).mean() < _LEAST_COLOUR:
        return None
    return _shrunk(picture, BACKGROUND_SHORT_SIDE_PX / min(picture.shape[:2]))


def _decoded(path: Path, flags: int) -> NDArray[np.uint8 | np.uint16] | None:
    """The pixels; None for what is not a picture, and for one so large that only memory is spent:
    among the drawings is one of 623 million pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as header:
                if header.width * header.height > _LARGEST_PIXELS:
                    return None
    except (OSError, Image.DecompressionBombError):
        return None
    return cv2.imread(str(path), flags)  # type: ignore[return-value]


class Seen:
    """Remembers pictures by a hash of their brightness gradients, to know them again."""

    def __init__(self) -> None:
        self._hashes: list[NDArray[np.bool_]] = []

    def is_new(self, picture: Picture) -> bool:
        """Whether no picture like this one, (H, W, 3 or 4), was asked about before."""
        signature = gradient_hash(picture)
        if self._hashes:
            differing = (np.stack(self._hashes) != signature).sum(axis=1)
            if int(differing.min()) <= _ALIKE_BITS:
                return False
        self._hashes.append(signature)
        return True


def gradient_hash(picture: Picture) -> NDArray[np.bool_]:
    """Whether it gets brighter rightwards and downwards, for each cell; size does not matter.

    Transparent pixels count as mid grey.
    """
    grey = np.asarray(cv2.cvtColor(picture[..., :3], cv2.COLOR_BGR2GRAY), dtype=np.float32)
    if picture.shape[2] == 4:
        alpha = picture[..., 3].astype(np.float32) / 255
        grey = np.asarray(grey * alpha + 128 * (1 - alpha), dtype=np.float32)
    side = _HASH_CELLS + 1
    cells = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    return np.concatenate(
        [
            (np.diff(cells, axis=1)[:-1] > 0.5).ravel(),
            (np.diff(cells, axis=0)[:, :-1] > 0.5).ravel(),
        ]
    )


def _colours(pixels: Picture) -> int:
    """How many of 512 coarse colours each cover at least a two-hundredth of pixels (N, 4)."""
    coarse = (pixels[:, :3] >> 5).astype(np.int64) @ np.array([1, 8, 64])
    counts = np.bincount(coarse, minlength=512)
    return int((counts * 200 >= len(pixels)).sum())


def _shrunk(picture: Picture, scale: float) -> Picture:
    """Smaller by `scale`, never larger. Colours are weighed by alpha, so edges do not darken."""
    if scale >= 1:
        return picture
    height, width = picture.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if picture.shape[2] == 3:
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    floats = picture.astype(np.float32)
    floats[..., :3] *= floats[..., 3:] / 255
    small = np.asarray(cv2.resize(floats, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    small[..., :3] *= 255 / np.maximum(small[..., 3:], 1e-3)
    return np.asarray(small.round().clip(0, 255), dtype=np.uint8)
