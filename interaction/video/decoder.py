"""Decode any frame of a video file or a folder of pictures by its index."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from interaction.errors import DamagedFrameError, UnreadableVideoError
from interaction.files import is_folder
from interaction.video.container import FrameStream, TagSource
from interaction.video.index import VideoFileIndex
from interaction.video.pictures import (
    ANIMATION_SUFFIXES,
    AnimationIndex,
    AnimationReader,
    PictureFolderIndex,
    PictureReader,
    first_picture,
)
from interaction.video.pixels import FrameLayout, RgbConverter, read_picture
from xmem_core.arrays import Frame
from xmem_core.messages import Message

_WORTH_A_JUMP = 24  # packets: decoding fewer is quicker than emptying the decoder and refilling it
_PATIENCE = 16  # frames that may overtake the wanted one before it counts as missing


class _CancelledError(Exception):
    """The request for this frame was withdrawn."""


class FrameDecoder:
    """Decodes the frames of a video file by number, as a `FrameSource`."""

    def __init__(self, index: VideoFileIndex) -> None:
        self._index = index
        self._stream: FrameStream | None = None  # opened when the first frame is asked for
        self._converter = RgbConverter(index.layout)
        self._run: int | None = None  # the run being decoded; -1: from the very start
        self._newest = -1  # the highest frame that came out of this run
        self._overtaking: dict[int, VideoFrame] = {}  # came out before they were asked for
        self._passed: set[int] = set()  # frames of this run that others overtook
        self._missing: set[int] = set()  # frames that do not come even from the very start
        self._size_bytes = -1  # of the file when it was first opened; -1: not yet
        self._modified_ns = 0

    def close(self) -> None:
        self._overtaking.clear()
        self._run = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def group_start(self, frame: int) -> int:
        run = self._index.run_of(frame)
        return self._index.runs[run].first_frame if run >= 0 else 0

    def decode(
        self, first: int, last: int, is_cancelled: Callable[[], bool]
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """See `FrameSource`; `is_cancelled` is asked between packets."""
        for frame in range(first, last + 1):
            try:
                picture = self._converter.convert(self._find(frame, is_cancelled))
            except _CancelledError:
                return
            if picture is None:
                raise self._damaged(frame)
            yield frame, picture

    def stored(self, frame: int) -> VideoFrame:
        """The frame as it comes out of the file, neither converted, scaled nor turned. Raises
        UnreadableVideoError."""
        return self._find(frame, lambda: False)

    def _find(self, frame: int, is_cancelled: Callable[[], bool]) -> VideoFrame:
        self._check_file()
        frame = self._index.frame_of_tag[self._index.frame_tags[frame]]  # the first of two alike
        if frame in self._missing:
            raise self._damaged(frame)
        if frame in self._overtaking:
            return self._overtaking.pop(frame)
        run = self._index.run_of(frame)
        attempts = [attempt for attempt in (run, run - 1, -1) if attempt >= -1]
        if self._is_ahead(frame, run):
            found = self._advance_to(frame, is_cancelled)
            if found is not None:
                return found
            attempts = [attempt for attempt in attempts if attempt != self._run]
        for attempt in dict.fromkeys(attempts):
            self._start(attempt, is_cancelled)
            found = self._advance_to(frame, is_cancelled)
            if found is not None:
                return found
        # What the run from the very start passed over for good is missing as well: without this,
        # each frame of a damaged stretch would cost another pass over the file.
        self._missing.update(passed for passed in self._passed if passed < self._newest - _PATIENCE)
        self._missing.add(frame)
        raise self._damaged(frame)

    def _check_file(self) -> None:
        """Begins anew with a file that was written to since it was opened; UnreadableVideoError
        while it is shorter than it was."""
        try:
            status = self._index.path.stat()
        except OSError:
            return  # it was removed; what is open can still be read
        if self._size_bytes < 0:
            self._size_bytes, self._modified_ns = status.st_size, status.st_mtime_ns
        if status.st_mtime_ns == self._modified_ns and status.st_size >= self._size_bytes:
            return
        self.close()
        self._missing.clear()
        if status.st_size < self._size_bytes:
            raise UnreadableVideoError(
                self._index.path,
                Message("it was cut or overwritten while it was open"),
                Message("Put the original file back, then go on. The masks are safe."),
            )
        self._modified_ns = status.st_mtime_ns

    def _is_ahead(self, frame: int, run: int) -> bool:
        """Whether going on from here reaches `frame`, and no later than a jump would."""
        if self._stream is None or self._run is None or frame <= self._newest:
            return False
        if run <= self._run:
            return self._run < 0 or frame >= self._index.runs[self._run].first_frame
        last_tag = self._stream.last_tag
        here = -1 if last_tag is None else self._index.packet_of_tag.get(last_tag, -1)
        return self._index.runs[run].packet - here <= _WORTH_A_JUMP

    def _start(self, run: int, is_cancelled: Callable[[], bool]) -> None:
        """Put the stream before the first packet of `run`."""
        self._overtaking.clear()
        self._passed.clear()
        self._run = None  # nowhere in particular, should this be cancelled half-way
        self._newest = self._index.runs[run].first_frame - 1 if run >= 0 else -1
        if self._stream is None:
            self._stream = FrameStream(self._index.path, self._index.tag_source)
        elif run < 0:
            self._rewind(self._stream)
        if run >= 0 and not self._jump(self._stream, run):
            self._rewind(self._stream)
        if run >= 0 and not self._stream.skip_to(self._index.runs[run].tag, is_cancelled):
            if is_cancelled():
                raise _CancelledError
            return  # the file has changed under our feet; no frame will come
        self._run = run

    def _rewind(self, stream: FrameStream) -> None:
        try:
            stream.rewind()
        except UnreadableVideoError:
            self.close()  # or the next frame would be asked of a stream that is not open
            raise

    def _jump(self, stream: FrameStream, run: int) -> bool:
        """Seek to the first packet of `run` or a little before; whether that worked.

        Some containers keep their own index in presentation time, some in decoding time, and some
        are off by one keyframe: the packet that comes first tells.
        """
        for near in reversed(self._index.runs[max(run - 1, 0) : run + 1]):
            for timestamp in near.seek_timestamps:
                tag = stream.seek(timestamp)
                landed = None if tag is None else self._index.packet_of_tag.get(tag)
                if landed is not None and landed <= self._index.runs[run].packet:
                    return True
        return False

    def _advance_to(self, frame: int, is_cancelled: Callable[[], bool]) -> VideoFrame | None:
        """Decode on until `frame` comes out; None if it does not."""
        if self._stream is None or self._run is None:
            return None
        # Nowhere, should an interrupt strike half-way: a packet may be lost between two statements,
        # and what is decoded after it would be wrong.
        run, self._run = self._run, None
        self._overtaking = {
            ahead: held for ahead, held in self._overtaking.items() if ahead > frame
        }
        found = None
        while found is None and len(self._overtaking) < _PATIENCE:
            if is_cancelled():
                self._run = run
                raise _CancelledError
            decoded = self._stream.next_frame()
            if decoded is None:
                break
            number = self._index.frame_of_tag.get(decoded.pts) if decoded.pts is not None else None
            if number is None:
                continue  # hidden, or not a frame of this index
            self._passed.update(range(self._newest + 1, number))
            self._passed.discard(number)
            self._newest = max(self._newest, number)
            if number == frame:
                found = decoded
            elif number > frame:
                self._overtaking[number] = decoded
        self._run = run
        return found

    def _damaged(self, frame: int) -> DamagedFrameError:
        return DamagedFrameError(
            self._index.path,
            Message("frame {frame} is damaged", frame=frame),
            Message(
                "Work on the frames before and after it, or convert the file to MP4 (H.264) "
                "with a program that repairs damaged videos, and open that copy instead."
            ),
        )


VideoIndex = VideoFileIndex | PictureFolderIndex | AnimationIndex


class FrameSource(Protocol):
    """Frames by number, decoded on demand. Not thread-safe: the owner holds a lock."""

    def close(self) -> None: ...

    def group_start(self, frame: int) -> int:
        """The first of the frames that are decoded on the way to `frame`."""

    def decode(
        self, first: int, last: int, is_cancelled: Callable[[], bool]
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield (frame, read-only (H, W, 3) RGB) from `first` to `last`, both included.

        Ends early once `is_cancelled()` is true. Raises UnreadableVideoError for a frame that
        cannot be decoded.
        """


def open_source(index: VideoIndex) -> FrameSource:
    if isinstance(index, PictureFolderIndex):
        return PictureReader(index)
    return AnimationReader(index) if isinstance(index, AnimationIndex) else FrameDecoder(index)


def first_frame(path: Path) -> Frame:
    """(H, W, 3) uint8 RGB, upright. path: a video file or a folder of pictures.

    Where an edit list hides the beginning of a file, or pixels are not square, it can differ from
    what `Video` gives for frame 0. Raises UnreadableVideoError.
    """
    if is_folder(path):
        return read_picture(first_picture(path))
    if path.suffix.lower() in ANIMATION_SUFFIXES:
        return read_picture(path)
    with closing(FrameStream(path, TagSource.COUNT)) as stream:
        frame = stream.next_frame()
    if frame is None:
        raise UnreadableVideoError(path, Message("not a single frame of it can be decoded"))
    picture = RgbConverter(FrameLayout.from_frame(frame, None)).convert(frame)
    if picture is None:
        raise UnreadableVideoError(path, Message("its first frame cannot be shown"))
    return picture
