"""The source's sound, copied packet by packet beside a new video: nothing is encoded again."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from av.error import FFmpegError

from interaction.errors import UnreadableVideoError
from interaction.project.exporters.video_writer import VideoKind, VideoWriter
from interaction.project.frame_stream import TagSource
from interaction.project.video import VideoIndex
from interaction.project.video_container import open_container
from interaction.project.video_index import VideoFileIndex

__all__ = ["SoundCopy"]


class SoundCopy:
    """The part of the sound that belongs to a range of frames; nothing where there is none.

    notice: why the new video is silent although the source is not, or None. Close it.
    """

    def __init__(self, index: VideoIndex, kind: VideoKind, start_s: float, length_s: float) -> None:
        """start_s: the range's beginning, in seconds from the video's first frame."""
        self.notice: str | None = None
        self._container: Any = None
        self._track: Any = None
        self._packets: Iterator[Any] = iter(())
        self._waiting: Any = None  # read, not due yet
        self._is_from_start = start_s == 0
        self._length_s = length_s
        if not isinstance(index, VideoFileIndex):
            return
        try:
            self._container, video = open_container(index.path)
        except UnreadableVideoError:
            self.notice = "The source could not be opened for its sound, so there is none."
            return
        self._stream: Any = self._container.streams.best("audio")
        if self._stream is None:
            return
        context = self._stream.codec_context
        codec = context.name if context is not None else "unknown codec"
        if codec not in kind.sound_codecs:
            self._silence(
                f"The sound ({codec}) does not fit into a file of this kind, so there is none."
            )
            return
        first = video.start_time or 0
        if index.tag_source is TagSource.TIMESTAMP:
            first = index.frame_tags[0]
        self._origin_s = float(first * (video.time_base or 0)) + start_s
        if start_s > 0:
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
        try:
            self._track = writer.container.add_stream_from_template(self._stream)
        except (FFmpegError, ValueError):
            self._silence("The sound does not fit into a file of this kind, so there is none.")

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
                self._silence("Part of the sound could not be copied.")
                return
            self._waiting = self._read()

    def close(self) -> None:
        if self._container is not None:
            self._container.close()

    def _read(self) -> Any:
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
            time_s = self._time_s(packet)
            if time_s >= self._length_s:
                return None
            duration_s = float((packet.duration or 0) * packet.time_base)
            # Before the first frame a codec may have packets that it needs to get going.
            if self._is_from_start or time_s + duration_s > 0:
                return packet

    def _time_s(self, packet: Any) -> float:
        return float(packet.pts * packet.time_base) - self._origin_s

    def _silence(self, reason: str) -> None:
        self.notice = reason
        self._waiting = None
