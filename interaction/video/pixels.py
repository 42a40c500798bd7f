"""Convert decoded frames and picture files to RGB arrays."""

import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self, TypeVar

import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from interaction.errors import DamagedFrameError, UnreadableVideoError
from interaction.files import is_file
from interaction.video.container import MAX_FRAME_PIXELS, check_frame_size
from xmem_core.arrays import Pixels
from xmem_core.messages import Message

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
        is_rgb = frame.format.is_rgb or frame.format.has_palette
        matrix: Any = None if is_rgb else _matrix_of(frame)
        another: Any = "ITU601" if matrix == "ITU709" else "ITU709"
        try:
            rgb = self._reformatter.reformat(
                frame,
                width=self._layout.scaled_width,
                height=self._layout.scaled_height,
                format="rgb24",
                src_colorspace=matrix,
                # RGB has no matrix, but PyAV 14 ignores the ranges where the two names agree.
                dst_colorspace=None if matrix is None else another,
                src_color_range=None if matrix is None else _range_of(frame),
                dst_color_range=None if matrix is None else "JPEG",
            )
        except (FFmpegError, ValueError):
            return None
        picture = self._layout.orientation.apply(np.asarray(rgb.to_ndarray(), dtype=np.uint8))
        picture.flags.writeable = False
        return picture


def _matrix_of(frame: VideoFrame) -> str:
    is_small = frame.width <= _LARGEST_SD[0] and frame.height <= _LARGEST_SD[1]
    return _MATRIX_NAMES.get(int(frame.colorspace), "ITU601" if is_small else "ITU709")


def _range_of(frame: VideoFrame) -> str:
    if int(frame.color_range) in (1, 2):
        return "MPEG" if int(frame.color_range) == 1 else "JPEG"
    return "JPEG" if frame.format.name.startswith(("yuvj", "gray", "ya", "mono")) else "MPEG"


_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_REMEDY = Message("Replace this picture, or take it out of the folder.")

# What Pillow raises on damaged files; it has no base class of its own.
PICTURE_ERRORS = (
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

_TURNS = {
    value: Orientation(value >= 5, flips_x=value in (2, 3, 6, 7), flips_y=value in (3, 4, 7, 8))
    for value in range(1, 9)
}

_Result = TypeVar("_Result")
_warnings_lock = threading.Lock()  # warning filters belong to the whole process


@dataclass(frozen=True, slots=True)
class VisibleRange:
    """The values of pictures with more than 8 bits that are shown as black and as white."""

    black: float
    white: float

    @property
    def is_nominal(self) -> bool:
        """Whether it is what such pixels stand for anyway."""
        return self.black == 0 and self.white in (1, 65_535)

    def apply(self, values: Pixels) -> NDArray[np.uint8]:
        """values: (H, W) or (H, W, 3) of any kind. Returns uint8 of the same shape."""
        share = (values.astype(np.float64) - self.black) / (self.white - self.black)
        if values.dtype.kind == "f":
            return np.rint(np.clip(np.nan_to_num(share), 0, 1) * 255).astype(np.uint8)
        # A whole value stands for the interval up to the next one: 65535 is 255.996 of 256.
        levels = self.white - self.black + 1
        scaled = np.floor(share * (levels - 1) * 256 / levels)
        return np.clip(scaled, 0, 255).astype(np.uint8)


_WHITES = (255, 1023, 4095, 16_383, 65_535)  # of 8, 10, 12, 14 and 16 bits
_FLOAT_WHITES = (1, 255)  # further up, floating-point values are measured and have no white
_LEAST_USED = 0.25  # share of a range; with less there is too little to see
_OUTLIERS = 0.5  # per cent at either end


def find_visible_range(pictures: Iterable[Path]) -> VisibleRange | None:
    """One range for all: what their bits stand for, or where their values lie if they use little
    of that. None where the first has 8 bits. Raises UnreadableVideoError.
    """
    found: list[_Spread] = []
    for path in pictures:
        spread = _read(path, _spread_of)
        if spread is not None:
            found.append(spread)
        elif not found:
            return None
    return _visible_in(found)


@dataclass(frozen=True, slots=True)
class _Spread:
    """Where the values of one picture lie."""

    low: float  # without outliers
    high: float
    largest: float
    is_whole: bool

    @classmethod
    def of(cls, values: Pixels) -> Self:
        is_whole = values.dtype.kind != "f"
        finite = values if is_whole else values[np.isfinite(values)]
        if not finite.size:
            return cls(0, 1, 1, is_whole)
        low, high = np.percentile(finite, (_OUTLIERS, 100 - _OUTLIERS))
        return cls(float(low), float(high), float(finite.max()), is_whole)


def _spread_of(image: Image.Image) -> _Spread | None:
    values = _deep_values(image)
    return None if values is None else _Spread.of(values)


def _visible_in(found: Sequence[_Spread]) -> VisibleRange:
    is_whole = all(one.is_whole for one in found)
    low, high = min(one.low for one in found), max(one.high for one in found)
    top = max(one.largest for one in found) if is_whole else high
    whites = _WHITES if is_whole else _FLOAT_WHITES
    white = next((one for one in whites if one >= top), None)
    if low >= 0 and white is not None and high - low >= _LEAST_USED * white:
        return VisibleRange(0, white)
    return VisibleRange(low, high if high > low else low + 1)


def read_picture(path: Path, visible: VisibleRange | None = None) -> NDArray[np.uint8]:
    """(H, W, 3) RGB. visible: of pictures with more than 8 bits; by default this one's own.

    Raises UnreadableVideoError.
    """
    pixels = _read(path, _pixels)
    if pixels.dtype != np.uint8:
        pixels = (visible or _visible_in([_Spread.of(pixels)])).apply(pixels)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def read_orientation(path: Path) -> Orientation:
    """How the picture is turned and mirrored to be upright. Raises UnreadableVideoError."""
    return _TURNS[_read(path, _orientation)]


def read_picture_size(path: Path) -> tuple[int, int]:
    """(width, height), upright, from the header alone. Raises UnreadableVideoError."""
    return _read(path, _upright_size)


def _read(picture: Path, read: Callable[[Image.Image], _Result]) -> _Result:
    """What `read` finds in the picture; whatever goes wrong becomes UnreadableVideoError."""
    try:
        with _warnings_lock, warnings.catch_warnings():
            # Pillow warns of odd metadata, which cannot be changed here, and of large pictures,
            # for which the limit below stands.
            warnings.simplefilter("ignore")
            with _open_picture(picture) as image:
                check_frame_size(picture, image.width, image.height)
                return read(image)
    except FileNotFoundError:
        raise UnreadableVideoError(
            picture,
            Message("the picture is gone"),
            Message("Put it back, or open the folder again."),
        ) from None
    except PermissionError:
        raise UnreadableVideoError(
            picture, Message("you may not read it"), Message("Change the permissions of the file.")
        ) from None
    except Image.DecompressionBombError:
        raise UnreadableVideoError(
            picture,
            Message("it has more than {count} million pixels", count=MAX_FRAME_PIXELS // 1_000_000),
            Message("Scale it down."),
        ) from None
    except PICTURE_ERRORS:
        raise DamagedFrameError(picture, Message("the picture is damaged"), _REMEDY) from None


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height), from the header alone. UnreadableVideoError for a stack of pictures."""
    width, height = image.size
    if image.format == "TIFF" and _is_stack(image):
        raise UnreadableVideoError(
            image.info[_PATH],
            Message("it holds several pictures"),
            Message("Save each of them as a file of its own, numbered, and open their folder."),
        )
    return (height, width) if _orientation(image) >= 5 else (width, height)


def _is_stack(image: Image.Image) -> bool:
    """Whether the next page of a TIFF is one more picture, and no smaller copy of the first."""
    size = image.size
    try:
        image.seek(1)
    except PICTURE_ERRORS:
        return False
    is_copy = bool(getattr(image, "tag_v2", {}).get(_TIFF_KIND, 0))
    is_stack = image.size == size and not is_copy
    image.seek(0)
    return is_stack


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none. Ask before the pixels are loaded."""
    if image.format == "TIFF":
        return 1  # Pillow turns these by itself, and gives their size turned
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except PICTURE_ERRORS:
        return 1  # a damaged note is no reason to refuse a good picture
    return value if value in _TURNS else 1


def _pixels(image: Image.Image) -> Pixels:
    """Upright: (H, W, 3) uint8, or the values of a deep picture, (H, W, 1) or (H, W, 3)."""
    turn = _TURNS[_orientation(image)]
    values = _deep_values(image)
    if values is None:
        values = np.array(image.convert("RGB"), dtype=np.uint8)
    return turn.apply(values if values.ndim == 3 else values[:, :, None])


def _deep_values(image: Image.Image) -> Pixels | None:
    """(H, W) or (H, W, 3) values of a picture with more than 8 bits, as stored; else None."""
    if image.mode.startswith("I") or image.mode == "F":
        return np.asarray(image)
    # Pillow would drop the lower byte of colours, and opens no floating-point colours at all.
    if not image.info[_IS_DEEP_COLOR]:
        return None
    decoded = cv2.imdecode(np.fromfile(image.info[_PATH], np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype == np.uint8:
        raise ValueError("it cannot be decoded")
    return decoded if decoded.ndim == 2 else np.ascontiguousarray(decoded[:, :, 2::-1])


# What is noted in a picture's `info`.
_PATH = "path"
_IS_DEEP_COLOR = "has colours of more than 8 bits"


def _open_picture(path: Path) -> Image.Image:
    """A colour TIFF of 32 bits comes as a black picture of its size, for `_deep_values`."""
    if not is_file(path):  # opening a pipe waits for ever
        raise FileNotFoundError(path)
    try:
        opened = Image.open(path, formats=_FORMATS)
        # Asked before anything is loaded, which forgets it.
        opened.info[_IS_DEEP_COLOR] = bool(opened.tile) and ";16" in str(opened.tile[0][3])
        image: Image.Image = opened
    except UnidentifiedImageError:
        if path.suffix.lower() not in (".tif", ".tiff"):
            raise
        with path.open("rb") as file:
            header = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
            file.seek(header.next)
            header.load(file)
        width, height = int(header[_TIFF_WIDTH]), int(header[_TIFF_HEIGHT])
        check_frame_size(path, width, height)
        image = Image.new("RGB", (width, height))
        image.info[_IS_DEEP_COLOR] = True
    image.info[_PATH] = path
    return image


_TIFF_KIND, _TIFF_WIDTH, _TIFF_HEIGHT = 254, 256, 257  # tags
