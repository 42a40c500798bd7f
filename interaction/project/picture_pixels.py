"""One picture file -> upright 8-bit RGB, whatever kind it is and whatever is wrong with it.

16-bit grey keeps its upper byte, floating-point grey counts from 0 to 1, palettes are looked up,
alpha is dropped (not composited), colour profiles are ignored. Of an animated picture or a TIFF
with pages, the first counts. The orientation a camera notes is followed.
"""

import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from interaction.errors import UnreadableVideoError
from interaction.project.video_container import MAX_FRAME_PIXELS, describe_size_limit

__all__ = ["read_picture", "read_picture_size"]

_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_REMEDY = "Replace this picture, or take it out of the folder."

# What Pillow raises on damaged files; it has no base class of its own.
_PICTURE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_Result = TypeVar("_Result")
_warnings_lock = threading.Lock()  # warning filters belong to the whole process


def read_picture(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB. Raises UnreadableVideoError."""
    return _read(path, _to_rgb)


def read_picture_size(path: Path) -> tuple[int, int]:
    """(width, height), upright, from the header alone. Raises UnreadableVideoError."""
    return _read(path, _upright_size)


def _read(picture: Path, read: Callable[[Image.Image], _Result]) -> _Result:
    """What `read` finds in the picture; whatever goes wrong becomes UnreadableVideoError."""
    try:
        with _warnings_lock, warnings.catch_warnings():
            # Pillow warns of odd metadata, which nobody here can change, and of large pictures,
            # for which the limit below stands.
            warnings.simplefilter("ignore")
            with Image.open(picture, formats=_FORMATS) as image:
                if image.width * image.height > MAX_FRAME_PIXELS:
                    raise UnreadableVideoError(
                        picture, *describe_size_limit(image.width, image.height)
                    )
                return read(image)
    except FileNotFoundError:
        raise UnreadableVideoError(
            picture, "the picture is gone", "Put it back, or open the folder again."
        ) from None
    except PermissionError:
        raise UnreadableVideoError(
            picture, "you may not read it", "Change the permissions of the file."
        ) from None
    except Image.DecompressionBombError:
        raise UnreadableVideoError(
            picture,
            f"it has more than {MAX_FRAME_PIXELS // 1_000_000} million pixels",
            "Scale it down.",
        ) from None
    except _PICTURE_ERRORS:
        raise UnreadableVideoError(picture, "the picture is damaged", _REMEDY) from None


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height), from the header alone."""
    width, height = image.size
    return (height, width) if _orientation(image) >= 5 else (width, height)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none. Ask before the pixels are loaded."""
    if image.format == "TIFF":
        return 1  # Pillow turns these by itself, and gives their size turned
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _PICTURE_ERRORS:
        return 1  # a damaged note is no reason to refuse a good picture
    return value if value in _TRANSPOSE else 1


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3), upright."""
    orientation = _orientation(image)
    if orientation in _TRANSPOSE:
        image = image.transpose(_TRANSPOSE[orientation])
    if image.mode.startswith("I"):
        # 16-bit grey; Pillow's own conversion would clip it at 255.
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8
    elif image.mode == "F":
        values = np.nan_to_num(np.asarray(image), nan=0.0)
        grey = np.rint(np.clip(values, 0.0, 1.0) * 255)
    else:
        return np.array(image.convert("RGB"), dtype=np.uint8)
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
