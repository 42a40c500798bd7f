"""Encoding a video frame by frame, with the source's own timing and its sound.

Timestamps are the source's, also where they are irregular: a frame is shown as long as it was.
Colours are converted and tagged as BT.709, so that every player shows what was written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import av
import cv2
import numpy as np
from av.codec import codecs_available
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from interaction.errors import UserError
from interaction.project.atomic_files import writing_problem

__all__ = ["Encoder", "Timing", "VideoKind", "VideoWriter", "even_size"]

_VARIABLE_TIME_BASE: Final = Fraction(1, 60_000)  # finer than any shutter; MPEG-4 takes no finer
_ROUNDING_S: Final = 0.0011  # containers store milliseconds at worst
_FALLBACK_RATE: Final = Fraction(24)
_BT709: Final = 1  # in FFmpeg's tables of matrices, primaries and transfer curves alike
_LIMITED_RANGE: Final = 1


@dataclass(frozen=True, slots=True)
class Encoder:
    """One of FFmpeg's encoders; which are there depends on how FFmpeg was built."""

    name: str
    options: Mapping[str, str]
    is_substitute: bool = False  # of another codec than was asked for: worth a notice


@dataclass(frozen=True, slots=True)
class VideoKind:
    """A codec in a container."""

    title: str
    container: str  # FFmpeg's name of the muxer
    pixel_format: str
    encoders: tuple[Encoder, ...]  # the first that works is used
    sound_codecs: frozenset[str]  # that the container can hold
    has_alpha: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """When each written frame is shown, in units of `time_base`, from the first one on."""

    time_base: Fraction
    ticks: tuple[int, ...]
    rate: Fraction  # frames per second on average

    @classmethod
    def of(cls, timestamps_s: Sequence[float], source_rate: Fraction | None, step: int) -> Self:
        """timestamps_s: of the frames to write, ascending. An even rate stays exact."""
        times = np.asarray(timestamps_s, np.float64) - timestamps_s[0]
        rate = (source_rate or _FALLBACK_RATE) / step
        even = np.arange(len(times)) / float(rate)
        if np.abs(times - even).max() <= _ROUNDING_S:
            return cls(1 / rate, tuple(range(len(times))), rate)
        ticks = np.round(times / float(_VARIABLE_TIME_BASE)).astype(np.int64)
        # Two frames with one timestamp would make the muxer refuse the second.
        ticks = np.maximum.accumulate(ticks - np.arange(len(ticks))) + np.arange(len(ticks))
        return cls(_VARIABLE_TIME_BASE, tuple(ticks.tolist()), rate.limit_denominator(1001))

    def seconds(self, position: int) -> float:
        return float(self.ticks[position] * self.time_base)


def even_size(picture: NDArray[np.uint8], *, crops: bool) -> NDArray[np.uint8]:
    """(H, W, C) with even sides, which video codecs need: a last row or column is repeated, or
    dropped if `crops`."""
    height, width = picture.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return picture
    if crops and height > 1 and width > 1:
        return np.ascontiguousarray(picture[: height - height % 2, : width - width % 2])
    border = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(border, np.uint8)


class VideoWriter:
    """One video file being written. Close it; until then the file is not whole.

    Raises UserError: no encoder works, or the disk is full.
    """

    def __init__(
        self, path: Path, kind: VideoKind, width: int, height: int, timing: Timing
    ) -> None:
        self.encoder = _working_encoder(kind, width, height, timing)
        self._path = path
        self._kind = kind
        self._timing = timing
        self._size = width, height
        self._written = 0
        self._reformatter = VideoReformatter()
        try:
            # "file:" keeps FFmpeg from reading a colon in the name as a protocol.
            self.container: Any = av.open(f"file:{path}", "w", format=kind.container)
        except (FFmpegError, OSError) as error:
            raise writing_problem(path, OSError(error.errno, error.strerror)) from error
        try:
            self._stream: Any = self.container.add_stream(
                self.encoder.name, rate=timing.rate, options=dict(self.encoder.options)
            )
            _configure(self._stream, kind, width, height, timing)
            if kind.has_alpha:
                self._stream.metadata["alpha_mode"] = "1"  # how Matroska says that it has alpha
        except BaseException:
            self.container.close()
            raise

    def write(self, picture: NDArray[np.uint8]) -> None:
        """picture: (H, W, 3) RGB, or (H, W, 4) RGBA with straight alpha where the kind has it."""
        expected = (self._size[1], self._size[0], 4 if self._kind.has_alpha else 3)
        if picture.shape != expected:
            raise ValueError(f"picture must be {expected}, got {picture.shape}")
        frame = VideoFrame.from_ndarray(picture, format="rgba" if self._kind.has_alpha else "rgb24")
        matrix: Any = "ITU709"  # names, not enum members: PyAV 14 fails on those
        source: Any = "ITU601"  # RGB has no matrix, but PyAV 14 heeds ranges only if the two differ
        frame = self._reformatter.reformat(
            frame,
            format=self._kind.pixel_format,
            src_colorspace=source,
            dst_colorspace=matrix,
            src_color_range="JPEG",
            dst_color_range="MPEG",
        )
        frame.pts = self._timing.ticks[self._written]
        frame.time_base = self._timing.time_base
        self._written += 1
        self._mux(frame)

    def finish(self) -> None:
        """Writes what the encoder still holds; the file is whole once it is closed."""
        self._mux(None)
        try:
            self.container.close()
        except (FFmpegError, OSError) as error:
            raise writing_problem(self._path, OSError(error.errno, error.strerror)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.container.close()

    def _mux(self, frame: VideoFrame | None) -> None:
        try:
            self.container.mux(self._stream.encode(frame))
        except (FFmpegError, OSError) as error:
            raise writing_problem(self._path, OSError(error.errno, error.strerror)) from error


def _working_encoder(kind: VideoKind, width: int, height: int, timing: Timing) -> Encoder:
    """The first encoder that takes such a video: being listed does not mean that it starts."""
    tried: list[str] = []
    for encoder in kind.encoders:
        tried.append(encoder.name)
        if encoder.name not in codecs_available:
            continue
        try:
            context: Any = av.CodecContext.create(encoder.name, "w")
            context.options = dict(encoder.options)
            context.width, context.height = width, height
            context.pix_fmt = kind.pixel_format
            context.time_base = timing.time_base
            context.framerate = timing.rate
            context.open()
        except (FFmpegError, ValueError):
            continue
        return encoder
    raise UserError(
        f"{kind.title} cannot be written here: none of the encoders {', '.join(tried)} works with "
        f"{width} × {height} pixels. Nothing was written.\n\nChoose another video format, or "
        "export pictures instead."
    )


def _configure(stream: Any, kind: VideoKind, width: int, height: int, timing: Timing) -> None:
    stream.width, stream.height = width, height
    stream.pix_fmt = kind.pixel_format
    context = stream.codec_context
    context.time_base = timing.time_base
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED_RANGE
