"""Opens a video file with FFmpeg, safely, and turns its failures into words.

A video may come from anywhere, so only demuxers for real files are allowed: a playlist dressed up
as an MP4 must not make the program fetch other files or addresses. Which stream is *the* video is
decided here as well. What the packets mean is decided in `video_index.py`.
"""

from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from interaction.errors import UnreadableVideoError

__all__ = ["MAX_FRAME_PIXELS", "describe_size_limit", "open_container"]

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


def describe_size_limit(width: int, height: int) -> tuple[str, str]:
    """Reason and remedy for a frame of more than MAX_FRAME_PIXELS."""
    limit = MAX_FRAME_PIXELS // 1_000_000
    return (
        f"its pictures are {width} x {height} pixels, and at most {limit} million pixels fit",
        "Scale it down, for instance to 3840 pixels wide, and open that copy instead.",
    )


def _choose_stream(container: InputContainer, path: Path) -> VideoStream:
    disposition = av.stream.Disposition
    still = disposition.attached_pic | disposition.timed_thumbnails
    candidates = [stream for stream in container.streams.video if not stream.disposition & still]
    if not candidates:
        raise UnreadableVideoError(
            path, "there is no video in it", "Choose a file with moving pictures, not only sound."
        )
    # A stream FFmpeg has no decoder for carries no codec context, and so no size.
    readable = [stream for stream in candidates if stream.codec_context is not None]
    if not readable:
        raise UnreadableVideoError(path, "it is compressed in a way that cannot be read here")

    def preference(stream: VideoStream) -> tuple[bool, int]:
        context = stream.codec_context
        return bool(stream.disposition & disposition.default), context.width * context.height

    chosen = max(readable, key=preference)
    context = chosen.codec_context
    if context.width * context.height > MAX_FRAME_PIXELS:
        raise UnreadableVideoError(path, *describe_size_limit(context.width, context.height))
    # The size in the stream itself can be larger than the one in the container's header.
    context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
    # Frame threads are what makes decoding in order fast; "SLICE", the default, helps few files.
    context.thread_type = "AUTO"
    return chosen


def _describe(error: Exception) -> str:
    if isinstance(error, FFmpegError) and error.strerror:
        if isinstance(error, ValueError):
            return "it is damaged or not a video"
        return error.strerror.rstrip(".").lower()
    return "it is damaged or not a video"
