"""Open a media container with PyAV and iterate over its decoded frames."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

import av
from av.container import InputContainer
from av.error import EOFError as EndOfStreamError
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from interaction.errors import UnreadableVideoError
from interaction.files import is_file
from xmem_core.messages import Message

MAX_FRAME_PIXELS = 2**26  # 8192 x 8192: twice 8K, and 192 MiB as RGB

# No playlists (hls, dash, concat, sdp): they name other files and network addresses.
_DEMUXERS = (
    "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,mxf,dv,gif,ivf,obu,av1,nut,"
    "h264,hevc,mjpeg,mpegvideo,m4v,yuv4mpegpipe"
)


def open_container(path: Path) -> tuple[InputContainer, VideoStream]:
    """Open `path` for reading and choose its video stream; the caller closes the container.

    Cover art and timed thumbnails are not the video. Of several streams the one marked as default
    wins, then the largest, then the first. Raises UnreadableVideoError.
    """
    if not is_file(path):  # opening a pipe waits for ever
        reason = (
            Message("it is not a file") if os.path.lexists(path) else Message("it does not exist")
        )
        raise UnreadableVideoError(path, reason, Message("Choose a video file."))
    try:
        # "file:" keeps FFmpeg from reading a colon in the name as a protocol.
        container = av.open(
            f"file:{path.absolute()}",
            mode="r",
            container_options={"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (FFmpegError, OSError, ValueError) as error:
        raise UnreadableVideoError(path, _describe(error)) from None
    try:
        return container, _choose_stream(container, path)
    except BaseException:
        container.close()
        raise


# Transport and program streams are joined by writing one behind the other, and the clock of the
# second starts where it did when it was recorded.
_RESTARTING_FORMATS = {"mpegts", "mpeg"}
LARGEST_GAP_S = 10  # a longer step forward is another clock; the ffmpeg command sees it so, too


def may_restart(container: InputContainer) -> bool:
    """Whether the clock of such a file may start again in the middle."""
    return not _RESTARTING_FORMATS.isdisjoint(container.format.name.split(","))


def check_frame_size(path: Path, width: int, height: int) -> None:
    """UnreadableVideoError for a frame of more than MAX_FRAME_PIXELS."""
    if width * height > MAX_FRAME_PIXELS:
        raise UnreadableVideoError(
            path,
            Message(
                "its pictures are {width} x {height} pixels, and at most {limit} million pixels "
                "fit",
                width=width,
                height=height,
                limit=MAX_FRAME_PIXELS // 1_000_000,
            ),
            Message("Scale it down, for instance to 3840 pixels wide, and open that copy instead."),
        )


def _choose_stream(container: InputContainer, path: Path) -> VideoStream:
    disposition = av.stream.Disposition
    still = disposition.attached_pic | disposition.timed_thumbnails
    candidates = [stream for stream in container.streams.video if not stream.disposition & still]
    if not candidates:
        raise UnreadableVideoError(
            path,
            Message("there is no video in it"),
            Message("Choose a file with moving pictures, not only sound."),
        )
    # A stream FFmpeg has no decoder for carries no codec context, and so no size.
    readable = [stream for stream in candidates if stream.codec_context is not None]
    if not readable:
        raise UnreadableVideoError(
            path, Message("it is compressed in a way that cannot be read here")
        )

    def preference(stream: VideoStream) -> tuple[bool, int]:
        context = stream.codec_context
        return bool(stream.disposition & disposition.default), context.width * context.height

    chosen = max(readable, key=preference)
    context = chosen.codec_context
    check_frame_size(path, context.width, context.height)
    # The size in the stream itself can be larger than the one in the container's header.
    context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
    # Frame threads are what makes decoding in order fast; "SLICE", the default, helps few files.
    context.thread_type = "AUTO"
    return chosen


def _describe(error: Exception) -> str:
    if isinstance(error, FFmpegError) and error.strerror:
        if isinstance(error, ValueError):
            return Message("it is damaged or not a video")
        return error.strerror.rstrip(".").lower()
    return Message("it is damaged or not a video")


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
        if self.last_tag is None and self._stream.codec_context.name == "mpeg4":
            self.next_frame()  # the first packet alone may say how pictures are packed
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
