"""Encode a video frame by frame with the source's timing and sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Self

import av
import cv2
import numpy as np
from av.codec import codecs_available
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from interaction.errors import UnreadableVideoError, UserError
from interaction.files import writing_problem
from interaction.video.container import LARGEST_GAP_S, TagSource, may_restart, open_container
from interaction.video.decoder import VideoIndex
from interaction.video.index import VideoFileIndex
from xmem_core.messages import Message

__all__ = ["Encoder", "SoundCopy", "Timing", "VideoKind", "VideoWriter", "even_size"]

# Its stubs know neither streams made from templates nor what a container may lack.
OfPyAV = Any


_USUAL_LAYOUTS: Final = {1: "mono", 2: "stereo", 4: "4.0", 6: "5.1", 8: "7.1"}  # by channels


class SoundCopy:
    """The part of the sound that belongs to a range of frames; nothing where there is none.

    notice: why the new video is silent although the source is not, or None. Close it.
    """

    def __init__(self, index: VideoIndex, kind: VideoKind, start_s: float, length_s: float) -> None:
        """start_s: the range's beginning, in seconds from the video's first frame."""
        self.notice: str | None = None
        self._container: OfPyAV = None
        self._track: OfPyAV = None
        self._packets: Iterator[OfPyAV] = iter(())
        self._waiting: OfPyAV | None = None  # read, not due yet
        self._is_from_start = start_s == 0
        self._shift = 0  # what is added to timestamps since the clock started again
        self._end: int | None = None  # of the packet read last, in the stream's time base
        self._length_s = length_s
        if not isinstance(index, VideoFileIndex):
            return
        try:
            self._container, video = open_container(index.path)
        except UnreadableVideoError:
            self.notice = Message("The source could not be opened for its sound, so there is none.")
            return
        self._stream: OfPyAV = self._container.streams.best("audio")
        if self._stream is None:
            return
        first = video.start_time or 0
        if index.tag_source is TagSource.TIMESTAMP:
            first = index.frame_tags[0]
        self._origin_s = float(first * (video.time_base or 0)) + start_s
        self._may_restart = may_restart(self._container)
        if start_s > 0 and not self._may_restart:
            with suppress(FFmpegError):  # then it is read from the start
                self._container.seek(
                    int(max(0.0, self._origin_s - 1) / self._stream.time_base), stream=self._stream
                )
        self._packets = self._container.demux(self._stream)
        self._waiting = self._read()

    def add_to(self, writer: VideoWriter) -> None:
        """Before the first frame: a track for the sound, if there is any to copy."""
        if self._waiting is None:
            return
        # The codec, not one of its decoders: FFmpeg decodes "mp3" with "mp3float".
        context = self._stream.codec_context
        names = {"unknown codec"} if context is None else {context.codec.canonical_name}
        supported = writer.container.supported_codecs
        if names.isdisjoint(supported) and (context is None or context.name not in supported):
            self._silence(
                Message(
                    "The sound ({names}) does not fit into a file of this kind, so there is none.",
                    names=", ".join(names),
                )
            )
            return
        try:
            self._track = writer.container.add_stream_from_template(self._stream)
            # Matroska does not say which channel is which; MP4 wants it of plain samples.
            if context is not None and context.layout.name.endswith(" channels"):
                usual = _USUAL_LAYOUTS.get(context.channels)
                if usual is not None:
                    self._track.codec_context.layout = usual
        except (FFmpegError, ValueError):
            self._silence(
                Message("The sound does not fit into a file of this kind, so there is none.")
            )

    def copy_until(self, writer: VideoWriter, time_s: float) -> None:
        """Copies what is heard before `time_s`, in seconds from the new video's first frame."""
        while self._waiting is not None and self._time_s(self._waiting) < time_s:
            packet = self._waiting
            offset = round(self._origin_s / packet.time_base)
            packet.pts -= offset
            packet.dts = packet.pts
            packet.stream = self._track
            try:
                writer.container.mux(packet)
            except (FFmpegError, ValueError):
                self._silence(Message("Part of the sound could not be copied."))
                return
            self._waiting = self._read()

    def close(self) -> None:
        if self._container is not None:
            self._container.close()

    def _read(self) -> OfPyAV | None:
        """The next packet of the range; None at its end or at damage."""
        while True:
            try:
                packet = next(self._packets, None)
            except (FFmpegError, ValueError):
                return None
            if packet is None:
                return None
            if packet.size == 0 or packet.pts is None:
                continue
            if self._may_restart:
                self._follow(packet)
            time_s = self._time_s(packet)
            if time_s >= self._length_s:
                return None
            duration_s = float((packet.duration or 0) * packet.time_base)
            # Before the first frame a codec may have packets that it needs to get going.
            if self._is_from_start or time_s + duration_s > 0:
                return packet

    def _follow(self, packet: OfPyAV) -> None:
        """Sets a packet behind the one before it where the clock has started again."""
        time = packet.pts + self._shift
        gap = LARGEST_GAP_S / packet.time_base
        if self._end is not None and not -gap / 100 <= time - self._end <= gap:
            self._shift += self._end - time
            time = self._end
        packet.pts = time
        self._end = time + (packet.duration or 0)

    def _time_s(self, packet: OfPyAV) -> float:
        return float(packet.pts * packet.time_base) - self._origin_s

    def _silence(self, reason: str) -> None:
        self.notice = reason
        self._waiting = None


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
    has_alpha: bool = False

    @property
    def is_rgb(self) -> bool:
        """Without a matrix, in full range."""
        return self.pixel_format in ("bgra", "bgr0")


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
        with _writing(path):
            # "file:" keeps FFmpeg from reading a colon in the name as a protocol.
            self.container: OfPyAV = av.open(
                f"file:{path}",
                "w",
                format=kind.container,
                # No random identifiers: the same project gives the same bytes.
                container_options={"fflags": "+bitexact"},
            )
        try:
            self._stream: OfPyAV = self.container.add_stream(
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
        frame = self._converted(frame)
        frame.pts = self._timing.ticks[self._written]
        frame.time_base = self._timing.time_base
        self._written += 1
        self._mux(frame)

    def _converted(self, frame: VideoFrame) -> VideoFrame:
        """As the encoder takes it."""
        if self._kind.is_rgb:
            return self._reformatter.reformat(frame, format=self._kind.pixel_format)
        matrix: OfPyAV = "ITU709"  # names, not enum members: PyAV 14 fails on those
        # RGB has no matrix, but PyAV 14 heeds ranges only if the two differ.
        source: OfPyAV = "ITU601"
        return self._reformatter.reformat(
            frame,
            format=self._kind.pixel_format,
            src_colorspace=source,
            dst_colorspace=matrix,
            src_color_range="JPEG",
            dst_color_range="MPEG",
        )

    def finish(self) -> None:
        """Writes what the encoder still holds; the file is whole once it is closed."""
        self._mux(None)
        with _writing(self._path):
            self.container.close()

    def close(self) -> None:
        self.container.close()

    def _mux(self, frame: VideoFrame | None) -> None:
        with _writing(self._path):
            self.container.mux(self._stream.encode(frame))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What the disk or FFmpeg refuses, in words."""
    try:
        yield
    except (FFmpegError, OSError) as error:
        raise writing_problem(path, OSError(error.errno, error.strerror)) from error


def _working_encoder(kind: VideoKind, width: int, height: int, timing: Timing) -> Encoder:
    """The first encoder that takes such a video: being listed does not mean that it starts."""
    tried: list[str] = []
    for encoder in kind.encoders:
        tried.append(encoder.name)
        if encoder.name not in codecs_available:
            continue
        try:
            context: OfPyAV = av.CodecContext.create(encoder.name, "w")
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
        "{title} cannot be written here: none of the encoders {tried} works with "
        "{width} × {height} pixels. Nothing was written.\n\nChoose another video format, or "
        "export pictures instead.",
        title=kind.title,
        tried=", ".join(tried),
        width=width,
        height=height,
    )


def _configure(stream: OfPyAV, kind: VideoKind, width: int, height: int, timing: Timing) -> None:
    stream.width, stream.height = width, height
    stream.pix_fmt = kind.pixel_format
    context = stream.codec_context
    context.time_base = timing.time_base
    if kind.is_rgb:
        return
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED_RANGE
