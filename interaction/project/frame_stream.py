"""Packets in, decoded frames out, each frame carrying the tag of the packet it came from.

A tag names a packet for ever, wherever reading started, so that a frame found after a jump can be
recognised. Presentation timestamps are the natural tag; files that lack them, or repeat one, are
tagged with the packet's place in the file, or, failing that, with its number from the start.
"""

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

from av.error import EOFError as EndOfStreamError
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from interaction.project.video_container import open_container

__all__ = ["FrameStream", "TagSource"]


class TagSource(Enum):
    """Where the tags of a video's packets are taken from."""

    TIMESTAMP = "timestamp"  # presentation timestamp, in the stream's time base
    POSITION = "position"  # offset in the file, in bytes
    COUNT = "count"  # number from the start: such a file cannot be entered in the middle


class FrameStream:
    """Reads one video stream forward. Damaged packets are passed over. Not thread-safe.

    Raises UnreadableVideoError only where the file is opened: by the constructor and `rewind`.
    """

    last_tag: int | None  # of the packet decoded last
    _packets: "Iterator[Packet[VideoStream]]"
    _pending: "Packet[VideoStream] | None"  # read, not decoded yet
    _following: "Packet[VideoStream] | None"  # read early, to see whether there is one
    _decoded: deque[VideoFrame]

    def __init__(self, path: Path, tag_source: TagSource) -> None:
        self._path = path
        self._tag_source = tag_source
        self._open()

    def close(self) -> None:
        self._decoded.clear()
        self._container.close()

    def rewind(self) -> None:
        """Start again from the first packet, by opening the file anew: seeks may miss it."""
        self.close()
        self._open()

    def seek(self, timestamp: int) -> int | None:
        """Jump to about `timestamp`, in the stream's time base.

        Returns the tag of the next packet, None if the jump failed.
        """
        self._decoded.clear()
        self._following = None
        self._is_drained = False
        try:
            self._container.seek(timestamp, stream=self._stream)
        except FFmpegError:
            return None
        self._packets = self._container.demux(self._stream)
        self._pending = self._read_packet()
        return None if self._pending is None else self._pending.pts

    def skip_to(self, tag: int, is_cancelled: Callable[[], bool]) -> bool:
        """Drop packets, undecoded, up to the one tagged `tag`; whether it was found."""
        while not is_cancelled():
            if self._pending is None:
                self._pending = self._read_packet()
            if self._pending is None:
                return False
            if self._pending.pts == tag:
                return True
            self._pending = None
        return False

    def next_frame(self) -> VideoFrame | None:
        """The next frame in order of presentation, its tag as `pts`; None at the end."""
        while not self._decoded:
            if self._is_drained:
                return None
            packet = self._read_packet() if self._pending is None else self._pending
            self._pending = None
            if packet is not None:
                self.last_tag = packet.pts
            self._is_drained = packet is None
            try:
                self._decoded.extend(self._stream.decode(packet))
            except EndOfStreamError:
                self._is_drained = True
            except (FFmpegError, ValueError):
                continue  # a damaged packet: its frame will be missed where it is asked for
        return self._decoded.popleft()

    def _open(self) -> None:
        self._container, self._stream = open_container(self._path)
        self._packets = self._container.demux(self._stream)
        self._pending = None
        self._following = None
        self._decoded = deque()
        self._packet_count = 0
        self._is_drained = False
        self.last_tag = None

    def _read_packet(self) -> "Packet[VideoStream] | None":
        """The next packet worth decoding; None at the end or at damage.

        A damaged packet may still show something, but not the last one, which a cut file ends in:
        PyAV can lose the frames before it over the error it makes.
        """
        packet = self._read_tagged() if self._following is None else self._following
        self._following = None
        if packet is not None and packet.is_corrupt:
            self._following = self._read_tagged()
            if self._following is None:
                return None
        return packet

    def _read_tagged(self) -> "Packet[VideoStream] | None":
        """The next packet with something in it, its tag as `pts`."""
        while True:
            try:
                packet = next(self._packets, None)
            except (FFmpegError, ValueError):
                return None
            if packet is None:
                return None
            if packet.size == 0:
                continue  # AVI's "show the last one again"; to a decoder it would mean the end
            if self._tag_source is TagSource.POSITION:
                packet.pts = packet.pos
            elif self._tag_source is TagSource.COUNT:
                packet.pts = self._packet_count
            self._packet_count += 1
            return packet
