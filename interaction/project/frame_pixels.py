"""From a decoded picture to the pixels everyone else sees: upright, square, 8-bit RGB.

Colour. The matrix is the one the frame names; where it names none, BT.601 up to 1024 x 576 and
BT.709 above, as video players do. The range is the one the frame names; where it names none,
limited (16-235), except for pixel formats that are full range by definition. BT.2020 uses its own
matrix. Gamuts and transfer curves are left alone: HDR looks flat, but every frame alike.
More than 8 bits are rounded to 8, alpha is dropped, not composited.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

__all__ = ["FrameLayout", "Orientation", "RgbConverter"]

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
