"""Convert decoded frames and picture files to RGB arrays."""

import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import ExifTags, Image

from interaction.errors import DamagedFrameError, UnreadableVideoError
from interaction.video.container import MAX_FRAME_PIXELS, describe_size_limit

__all__ = [
    "FrameLayout",
    "Orientation",
    "RgbConverter",
    "read_orientation",
    "read_picture",
    "read_picture_size",
]

_MATRIX_NAMES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M", 9: "BT2020"}
_MATRIX_NAMES[10] = "BT2020"  # constant luminance; swscale has no exact form of it
_LARGEST_SD = (1024, 576)  # width, height
_LARGEST_STRETCH = 16  # a sample aspect ratio beyond it is a damaged header


@dataclass(frozen=True, slots=True)
class Orientation:
    """Turn and mirror: first swap rows and columns, then flip. The eight cases of a camera."""

    is_transposed: bool = False
    flips_x: bool = False
    flips_y: bool = False

    @classmethod
    def from_display_matrix(cls, matrix: bytes) -> Self:
        """matrix: nine native int32, row by row, as MP4 and FFmpeg keep it; others mean upright.

        An angle between the quarter turns is taken as the nearest one.
        """
        if len(matrix) != 36:
            return cls()
        a, b, _, c, d, *_ = struct.unpack("=9i", matrix)  # x' = ax + cy, y' = bx + dy
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(is_transposed=True, flips_x=c < 0, flips_y=b < 0)
        return cls(flips_x=a < 0, flips_y=d < 0)

    @classmethod
    def from_frame(cls, frame: VideoFrame) -> Self:
        for side_data in frame.side_data:
            kind = getattr(side_data, "type", None)
            if kind is not None and kind.name == "DISPLAYMATRIX":
                return cls.from_display_matrix(bytes(side_data))  # type: ignore[arg-type]
        return cls()

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, C) -> (H, W, C), or (W, H, C) when transposed; contiguous."""
        if self.is_transposed:
            picture = picture.swapaxes(0, 1)
        if self.flips_x:
            picture = picture[:, ::-1]
        if self.flips_y:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """How every frame of one video is scaled and turned, decided once, from its first frame."""

    scaled_width: int  # with square pixels, before turning
    scaled_height: int
    orientation: Orientation

    @property
    def width(self) -> int:
        return self.scaled_height if self.orientation.is_transposed else self.scaled_width

    @property
    def height(self) -> int:
        return self.scaled_width if self.orientation.is_transposed else self.scaled_height

    @classmethod
    def from_frame(cls, frame: VideoFrame, pixel_aspect: Fraction | None) -> Self:
        """pixel_aspect: width of a stored pixel over its height, None where it is not known.

        The side that is too short is enlarged: no stored pixel is thrown away.
        """
        width, height = frame.width, frame.height
        if pixel_aspect and Fraction(1, _LARGEST_STRETCH) < pixel_aspect < _LARGEST_STRETCH:
            if pixel_aspect > 1:
                width = round(width * pixel_aspect)
            else:
                height = round(height / pixel_aspect)
        return cls(width, height, Orientation.from_frame(frame))


class RgbConverter:
    """Decoded frames -> RGB arrays of one layout. Not thread-safe: it reuses one scaler."""

    def __init__(self, layout: FrameLayout) -> None:
        self._layout = layout
        self._reformatter = VideoReformatter()

    def convert(self, frame: VideoFrame) -> NDArray[np.uint8] | None:
        """Read-only (H, W, 3) RGB, or None for a frame FFmpeg cannot convert."""
        # Names, not enum members: PyAV 14 looks members up by their own name and fails.
        matrix: Any = None if _is_rgb(frame) else _matrix_of(frame)
        try:
            rgb = self._reformatter.reformat(
                frame,
                width=self._layout.scaled_width,
                height=self._layout.scaled_height,
                format="rgb24",
                src_colorspace=matrix,
                # RGB has no matrix, but PyAV 14 ignores the ranges where the two names agree.
                dst_colorspace=None if matrix is None else _another(matrix),
                src_color_range=None if matrix is None else _range_of(frame),
                dst_color_range=None if matrix is None else "JPEG",
            )
        except (FFmpegError, ValueError):
            return None
        picture = self._layout.orientation.apply(np.asarray(rgb.to_ndarray(), dtype=np.uint8))
        picture.flags.writeable = False
        return picture


def _is_rgb(frame: VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.has_palette


def _matrix_of(frame: VideoFrame) -> str:
    is_small = frame.width <= _LARGEST_SD[0] and frame.height <= _LARGEST_SD[1]
    return _MATRIX_NAMES.get(int(frame.colorspace), "ITU601" if is_small else "ITU709")


def _another(matrix: str) -> Any:
    return "ITU601" if matrix == "ITU709" else "ITU709"


def _range_of(frame: VideoFrame) -> str:
    if int(frame.color_range) in (1, 2):
        return "MPEG" if int(frame.color_range) == 1 else "JPEG"
    return "JPEG" if frame.format.name.startswith(("yuvj", "gray", "ya", "mono")) else "MPEG"


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


def read_orientation(path: Path) -> Orientation:
    """How the picture is turned and mirrored to be upright. Raises UnreadableVideoError."""
    value = _read(path, _orientation)
    return Orientation(value >= 5, flips_x=value in (2, 3, 6, 7), flips_y=value in (3, 4, 7, 8))


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
        raise DamagedFrameError(picture, "the picture is damaged", _REMEDY) from None


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
