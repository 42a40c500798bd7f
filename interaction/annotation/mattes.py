"""The networks' probabilities of an object on a frame, kept beside its mask in 8 bits.

Only a band around the outline is kept, at the size at which the network works: a grey PNG with a
head that says where it lies. The mask always has the last word. Where it has been changed since,
or differs from the network's answer, nothing of the probability counts any more; elsewhere over
half is the mask, exactly.
"""

import struct
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.mask_files import decode_labels
from interaction.annotation.types import FrameRecord, Matte
from interaction.errors import UnreadableMaskError
from xmem_core.arrays import Window

_BAND: Final = 5  # pixels of the grid, on either side of the outline
_MOST_SIDE: Final = 640  # of the grid of an answer to clicks, which are looked at that closely
_MOST_BYTES: Final = 2**26
# Kind, what is seen of the frame (left, top, width, height), the grid (height, width), and where
# in it the picture lies (top, left).
_HEAD: Final = struct.Struct("<B4I2I2I")
_KIND: Final = 1
_PNG_SIZE: Final = struct.Struct(">8x4x4sII")
_LEAST_INSIDE: Final = 128 / 255
_MOST_OUTSIDE: Final = 127 / 255
_OVERRULED: Final = 0.5 + 1 / 32  # of a pixel that the mask leaves out: it knows better
_LEAST_WINNER: Final = 1 / 3  # with which an object can still be the likeliest of several


@dataclass(frozen=True, slots=True, eq=False)
class Opacity:
    """Of one object on one frame. alpha: (H, W) float32, over half where the mask is; to be used
    where `is_known`, (H, W) bool: along the outline, where nothing has changed it."""

    alpha: NDArray[np.float32]
    is_known: NDArray[np.bool_]


def make_matte(
    object_id: int,
    probability: NDArray[np.float32],
    own: NDArray[np.bool_],
    mask: bytes,
    window: Window,
    most_side: int | None = None,
) -> Matte | None:
    """None where the object has no pixel.

    probability: (h, w), 0 to 1, of what `window` shows of the frame, at any size. own: (h, w) where
    the network gives the pixel to the object. mask: the frame's mask that is made of it.
    most_side: of what is kept, in pixels.
    """
    height, width = probability.shape
    longer = max(window.height, window.width)
    scale = min(longer, most_side or longer) / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        probability = _resized(probability, size)
        own = _resized(own.astype(np.float32), size) > 0.5
    height, width = own.shape
    inside = own.astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _BAND + 1,) * 2)
    band = (cv2.dilate(inside, kernel) > 0) & (cv2.erode(inside, kernel) == 0)
    grey = np.where(band, np.round(probability * 255), 255 * inside).astype(np.uint8)
    left, top, across, down = cv2.boundingRect(grey)
    if across == 0:
        return None
    part = grey[top : top + down, left : left + across]
    is_done, picture = cv2.imencode(".png", part, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not is_done:
        raise ValueError(f"no PNG can be made of {grey.shape}")
    seen = window.left, window.top, window.width, window.height
    head = _HEAD.pack(_KIND, *seen, height, width, top, left)
    return Matte(object_id, head + bytes(picture), mask)


def click_matte(
    object_id: int, probability: NDArray[np.float32], own: NDArray[np.bool_], mask: bytes
) -> Matte | None:
    """Of the answer to a prompt, (H, W) both: the part that holds the object, and no larger than
    the network looked at it."""
    left, top, width, height = cv2.boundingRect(own.astype(np.uint8))
    right, bottom = left + width + 2 * _BAND, top + height + 2 * _BAND
    left, top = max(0, left - 2 * _BAND), max(0, top - 2 * _BAND)
    part = (slice(top, bottom), slice(left, right))
    window = Window(left, top, own[part].shape[1], own[part].shape[0])
    return make_matte(object_id, probability[part], own[part], mask, window, _MOST_SIDE)


def mattes_with(
    record: FrameRecord, new: tuple[Matte | None, ...], replaced: frozenset[int]
) -> tuple[Matte, ...]:
    """Those of `record` but for the objects `replaced`, and the new ones, ascending by object."""
    kept = (one for one in record.mattes if one.object_id not in replaced)
    found = [*kept, *(one for one in new if one is not None)]
    return tuple(sorted(found, key=lambda one: one.object_id))


def kept_probabilities(
    record: FrameRecord, object_id: int, inside: NDArray[np.bool_]
) -> Opacity | None:
    """None where there are none, or they cannot be read. inside: (H, W) all pixels of the object,
    those that others cover included: there it is known for certain."""
    matte = next((one for one in record.mattes if one.object_id == object_id), None)
    if matte is None:
        return None
    unpacked = _unpacked(matte.packed, inside.shape)
    if unpacked is None:
        return None
    grey, window = unpacked
    wrong = np.zeros(inside.shape, np.bool_)
    if matte.mask != record.mask:
        try:
            before = decode_labels(matte.mask)
        except UnreadableMaskError:
            return None
        if before.shape != inside.shape:
            return None
        wrong = (before == object_id) != inside
    answer = np.asarray(grey / np.float32(255), np.float32)
    alpha = np.zeros(inside.shape, np.float32)
    alpha[window.slices] = _resized(answer, (window.width, window.height))
    wrong |= ((alpha >= _OVERRULED) & ~inside) | ((alpha < _LEAST_WINNER) & inside)
    is_soft = (alpha > 0) & (alpha < 1)
    reach = int(np.ceil(_BAND * window.height / grey.shape[0])) + 1
    is_void = _widened(wrong, reach)
    is_known = _widened(is_soft & ~is_void, reach) & ~is_void
    alpha = np.where(inside, alpha.clip(_LEAST_INSIDE, 1), alpha.clip(0, _MOST_OUTSIDE))
    return Opacity(alpha.astype(np.float32), is_known)


def _resized(x: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """size: width and height. As the tracker brings its own probabilities to the frame's size."""
    if (x.shape[1], x.shape[0]) == size:
        return x
    is_smaller = size[0] < x.shape[1]
    method = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(x, size, interpolation=method), np.float32)


def _widened(region: NDArray[np.bool_], by_px: int) -> NDArray[np.bool_]:
    left, top, width, height = cv2.boundingRect(region.astype(np.uint8))
    if width == 0:
        return region
    result = np.zeros_like(region)
    part = (
        slice(max(0, top - by_px), top + height + by_px),
        slice(max(0, left - by_px), left + width + by_px),
    )
    square = np.ones((2 * by_px + 1, 2 * by_px + 1), np.uint8)
    result[part] = cv2.dilate(np.ascontiguousarray(region[part]).astype(np.uint8), square) > 0
    return result


def _unpacked(packed: bytes, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], Window] | None:
    """The grid (h, w) and what it shows of a frame of `shape`; None if it is damaged."""
    if not _HEAD.size + _PNG_SIZE.size <= len(packed) <= _MOST_BYTES:
        return None
    kind, left, top, width, height, rows, columns, down, across = _HEAD.unpack_from(packed)
    is_in_frame = left + width <= shape[1] and top + height <= shape[0]
    if kind != _KIND or not is_in_frame or not 0 < rows <= height or not 0 < columns <= width:
        return None
    name, png_width, png_height = _PNG_SIZE.unpack_from(packed, _HEAD.size)
    if name != b"IHDR" or down + png_height > rows or across + png_width > columns:
        return None
    data = np.frombuffer(packed, np.uint8, offset=_HEAD.size)
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        return None
    if picture is None or picture.shape != (png_height, png_width):
        return None
    grid = np.zeros((rows, columns), np.uint8)
    grid[down : down + png_height, across : across + png_width] = picture
    return grid, Window(left, top, width, height)
