"""Opening a mask picture that may be anything: damaged, hostile, lossy or of the wrong size.

Every failure comes out as an `UnreadableMaskError` that names the file. What pixel values mean is
decided in `mask_files`.
"""

import io
import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

from interaction.errors import UnreadableMaskError

__all__ = ["COLOR_MODES", "check_size", "opened_mask", "read_size"]

_LOSSLESS_FORMATS: Final = ("PNG", "BMP", "TIFF")
_LOSSY_FORMATS: Final = ("JPEG", "WEBP")  # opened only to say why they are refused
_LOSSY_COMPRESSIONS: Final = {"jpeg", "tiff_jpeg", "webp"}  # inside a TIFF
COLOR_MODES: Final = {"RGB", "RGBA"}
_ID_MODES: Final = {"1", "L", "LA", "P", "PA", "I", "I;16", "I;16B", "I;16L", "I;16N"}

# What Pillow's decoders raise on damaged files, besides OSError.
_DAMAGE: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    SyntaxError,
    TypeError,
    UserWarning,  # on damaged TIFF headers, where warnings are made errors
    ValueError,
    struct.error,
    zlib.error,
)


@contextmanager
def opened_mask(path: Path, data: io.BytesIO | None = None) -> Generator[Image.Image, None, None]:
    """The picture with its header read; what goes wrong until it is closed is put into words."""
    remedy = "Save the mask again as a PNG picture, or leave it out."
    try:
        with Image.open(data or path, formats=_LOSSLESS_FORMATS + _LOSSY_FORMATS) as image:
            _check_kind(image, path)
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableMaskError(path, "it claims to be enormous", remedy) from error
    except UnidentifiedImageError as error:
        raise UnreadableMaskError(path, "it is not a PNG, BMP or TIFF picture", remedy) from error
    except OSError as error:
        # Pillow's own complaints are OSErrors without a number.
        reason = error.strerror if error.errno else "it is damaged or cut off"
        raise UnreadableMaskError(path, reason or str(error), remedy) from error
    except _DAMAGE as error:
        raise UnreadableMaskError(path, "it is damaged or cut off", remedy) from error


def _check_kind(image: Image.Image, path: Path) -> None:
    if (
        image.format not in _LOSSLESS_FORMATS
        or image.info.get("compression") in _LOSSY_COMPRESSIONS
    ):
        raise UnreadableMaskError(
            path,
            f"{image.format} does not keep pixel values exactly, so objects would bleed into "
            "each other",
            "Save the mask again as PNG in the program that made it. Converting this file does "
            "not bring the values back.",
        )
    if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
        raise UnreadableMaskError(
            path, "it holds several pictures", "Save each mask as a PNG picture of its own."
        )
    if image.mode not in _ID_MODES | COLOR_MODES:
        raise UnreadableMaskError(
            path,
            f"its pixels are of the kind “{image.mode}”",
            "Save the mask again as a PNG picture with a palette, in grey or in colour.",
        )


def check_size(image: Image.Image, path: Path, width: int, height: int) -> None:
    """Refuse a picture that is not `width` x `height` pixels.

    Called before any pixel is decoded, because a small file can claim to be of any size.
    """
    if image.size != (width, height):
        raise UnreadableMaskError(
            path,
            f"it is {image.width} × {image.height} pixels and the video is {width} × {height}",
            "Export the mask again at the video's size. It is not resized here, because that "
            "would move its edges.",
        )


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the header alone. Raises UnreadableMaskError."""
    with opened_mask(path) as image:
        return image.size
