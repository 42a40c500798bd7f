"""Random access to the frames of a video, with a cache and prefetching."""

import operator
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Self, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from interaction.errors import UnreadableVideoError
from interaction.files import is_file, is_folder
from interaction.steps import finish
from interaction.video.container import open_container
from interaction.video.decoder import VideoIndex, open_source
from interaction.video.index import VideoFileIndex, index_video_file
from interaction.video.pictures import (
    ANIMATION_SUFFIXES,
    PICTURE_SUFFIXES,
    AnimationIndex,
    PictureFolderIndex,
    index_animation,
    index_picture_folder,
)
from interaction.video.pixels import Orientation, read_orientation
from xmem_core.messages import Message


class FrameCache:
    """Frames by number; the least recently used make room. Safe from all threads."""

    def __init__(self, capacity_bytes: int) -> None:
        if capacity_bytes < 0:
            raise ValueError(f"capacity_bytes must not be negative, got {capacity_bytes}")
        self.capacity_bytes = capacity_bytes
        self._pictures: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def limit(self, capacity_bytes: int) -> None:
        """Another capacity, from now on; what is too much is dropped."""
        with self._lock:
            self.capacity_bytes = capacity_bytes
            self._make_room(0)

    def _make_room(self, new_bytes: int) -> None:
        while self._size_bytes + new_bytes > self.capacity_bytes:
            _, oldest = self._pictures.popitem(last=False)
            self._size_bytes -= oldest.nbytes

    @property
    def size_bytes(self) -> int:
        """Bytes of pixels held, never more than `capacity_bytes`."""
        return self._size_bytes

    def __contains__(self, frame: int) -> bool:
        """Whether `frame` is held. Does not count as a use."""
        return frame in self._pictures

    def get(self, frame: int) -> NDArray[np.uint8] | None:
        with self._lock:
            picture = self._pictures.get(frame)
            if picture is not None:
                self._pictures.move_to_end(frame)
            return picture

    def put(self, frame: int, picture: NDArray[np.uint8]) -> None:
        """Keep `picture`, unless it alone is larger than the capacity."""
        with self._lock:
            if frame in self._pictures or picture.nbytes > self.capacity_bytes:
                return
            self._make_room(picture.nbytes)
            self._pictures[frame] = picture
            self._size_bytes += picture.nbytes

    def clear(self) -> None:
        with self._lock:
            self._pictures.clear()
            self._size_bytes = 0


class Prefetcher:
    """Runs `work(errand)` off the caller's thread, one errand at a time.

    An errand is a range of frames, in the order they are wanted. `work` should return soon when
    `is_overtaken()` turns true, and must not raise. The thread starts with the first errand and is
    gone when `close` returns.
    """

    def __init__(self, work: Callable[[range], None]) -> None:
        self._work = work
        self._condition = threading.Condition()
        self._errand: range | None = None
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def ask(self, errand: range) -> None:
        """Do this next, instead of whatever else still waits."""
        with self._condition:
            if self._is_closed:
                return
            self._errand = errand
            if self._thread is None:
                # A daemon, so that a program that forgets to close can still end.
                self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
                self._thread.start()
            self._condition.notify()

    def is_overtaken(self) -> bool:
        """Whether a newer errand waits, or `close`."""
        return self._is_closed or self._errand is not None

    def close(self) -> None:
        """Stop, and wait for the thread to end. May be called twice."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(self.is_overtaken)
                if self._is_closed:
                    return
                errand, self._errand = self._errand, None
            if errand is not None:
                self._work(errand)


_AHEAD = 8  # frames decoded in advance


def index_video(path: Path) -> Generator[int, None, VideoIndex]:
    """Find the frames of the video file or picture folder `path`.

    Yields the number of frames found so far and returns the index; closing the generator cancels.
    Raises UnreadableVideoError, naming the file, with a remedy.
    """
    path = Path(path)
    if is_folder(path):
        return (yield from index_picture_folder(path))
    if not is_file(path):
        raise UnreadableVideoError(
            path,
            Message("it is not a file") if os.path.lexists(path) else Message("it does not exist"),
            Message("Choose a video file or a folder of pictures."),
        )
    if path.stat().st_size == 0:
        raise UnreadableVideoError(
            path, Message("the file is empty"), Message("Copy it again from where it came from.")
        )
    if path.suffix.lower() in ANIMATION_SUFFIXES:
        animation = yield from index_animation(path)
        if animation is not None:
            return animation
    if path.suffix.lower() in PICTURE_SUFFIXES:
        raise UnreadableVideoError(
            path,
            Message("it is a single picture"),
            Message("Choose the folder that holds the pictures instead."),
        )
    return (yield from index_video_file(path))


def open_video(
    path: Path, *, cache_bytes: int = 512 * 2**20, index: VideoIndex | None = None
) -> "Video":
    """Open a video file or a folder of pictures.

    cache_bytes: upper limit for decoded frames kept in memory. index: what `index_video` returned
    for this path, where that was run before. Raises UnreadableVideoError.
    """
    return Video(index or finish(index_video(path)), cache_bytes=cache_bytes)


class Video:
    """The frames of one video. All threads may ask for frames; close it when done.

    `video[n]` is a read-only (H, W, 3) uint8 RGB array. It raises IndexError outside
    0 <= n < len(video), UnreadableVideoError for a damaged frame, ValueError once closed.
    """

    def __init__(self, index: VideoIndex, *, cache_bytes: int = 512 * 2**20) -> None:
        self._index = index
        self._source = open_source(index)
        self._timestamps_s = index.timestamps_s
        self._cache = FrameCache(cache_bytes)
        self._decoding = threading.Lock()  # one decoder, one user at a time
        self._wanted: list[int] = []  # frames that callers of __getitem__ wait for
        self._is_closed = False
        self._own = threading.local()  # each thread travels in its own direction
        self._prefetcher = Prefetcher(self._prefetch)
        self._group_limit = self._groups_in(cache_bytes)

    @property
    def path(self) -> Path:
        return self._index.path

    @property
    def index(self) -> VideoIndex:
        """What `open_video` needs to open the same video again without looking for its frames."""
        return self._index

    @property
    def width(self) -> int:
        """Pixels, upright and square."""
        return self._index.width

    @property
    def height(self) -> int:
        """Pixels, upright and square."""
        return self._index.height

    @property
    def frame_rate(self) -> Fraction | None:
        """Average frames per second; nominal for a folder of pictures; None where unknown."""
        return self._index.frame_rate

    @property
    def timestamps_s(self) -> NDArray[np.float64]:
        """(N,) seconds from the first frame to each frame; read-only."""
        return self._timestamps_s

    def limit_cache(self, cache_bytes: int) -> None:
        """Another upper limit for decoded frames kept in memory, from now on."""
        if cache_bytes < 0:
            raise ValueError(f"cache_bytes must not be negative, got {cache_bytes}")
        self._cache.limit(cache_bytes)
        self._group_limit = self._groups_in(cache_bytes)

    def _groups_in(self, cache_bytes: int) -> int:
        """How many frames of a group are worth decoding at a time on the way back."""
        frame_bytes = self.width * self.height * 3
        # A third for the group being played backward, a third for the one before it, and the rest
        # for what was just seen: then making room never drops what is about to be shown.
        return cache_bytes // frame_bytes // 3

    def cheapest_frame(self, first: int, last: int) -> int:
        """Of the frames from `first` to `last`, one that takes the least decoding by itself."""
        return max(first, self._source.group_start(last))

    def name(self, index: SupportsIndex) -> str:
        """What the files of this frame are called, without suffix: the picture's own name, or the
        frame number in seven digits for a video file."""
        frame = self._check(index)
        if isinstance(self._index, PictureFolderIndex):
            return self._index.pictures[frame].stem
        return f"{frame:07d}"

    @property
    def notice(self) -> str | None:
        """How the values of deep pictures are shown, where that had to be chosen."""
        visible = self._index.visible if isinstance(self._index, PictureFolderIndex) else None
        if visible is None or visible.is_nominal:
            return None
        return Message(
            "The pictures have more than 8 bits: values from "
            "{black:.6g} to {white:.6g} are shown as black to white, the same in "
            "all of them. The networks see the same.",
            black=visible.black,
            white=visible.white,
        )

    def orientation(self, index: SupportsIndex) -> Orientation:
        """How the stored picture of a frame is turned and mirrored to be upright.

        Raises UnreadableVideoError for a picture that is gone.
        """
        frame = self._check(index)
        if isinstance(self._index, PictureFolderIndex):
            return read_orientation(self._index.pictures[frame])
        if isinstance(self._index, AnimationIndex):
            return Orientation()
        return self._index.layout.orientation

    def stored_size(self) -> tuple[int, int]:
        """(width, height) of a video file's frames before turning, with the pixels as they are
        stored; for pictures the size they have. Raises UnreadableVideoError."""
        if not isinstance(self._index, VideoFileIndex):
            return self.width, self.height
        container, stream = open_container(self.path)
        with closing(container):
            return stream.codec_context.width, stream.codec_context.height

    def __len__(self) -> int:
        return len(self._timestamps_s)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for index in range(len(self)):
            yield self[index]

    def __getitem__(self, index: SupportsIndex) -> NDArray[np.uint8]:
        frame = self._check(index)
        direction = self._turn_to(frame)
        picture = self._cache.get(frame)
        if picture is None:
            picture = self._decode(frame, is_backward=direction == -1)
        if direction in (1, -1):
            self._ask_ahead(frame, direction)
        return picture

    def cached(self, index: SupportsIndex) -> NDArray[np.uint8] | None:
        """`video[index]` if it is in memory, else None: never waits for decoding."""
        frame = self._check(index)
        direction = self._turn_to(frame)
        picture = self._cache.get(frame)
        if picture is not None and direction in (1, -1):
            self._ask_ahead(frame, direction)
        return picture

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop decoding and let go of the file. May be called twice."""
        self._is_closed = True
        self._prefetcher.close()
        with self._decoding:
            self._source.close()
            self._cache.clear()

    def _check(self, given: SupportsIndex) -> int:
        index = operator.index(given)
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of a video with frames 0 to {len(self) - 1}")
        if self._is_closed:
            raise ValueError(f"the video “{self.path.name}” is closed")
        return index

    def _turn_to(self, frame: int) -> int:
        """How far this thread has moved since it last asked."""
        direction: int = frame - getattr(self._own, "previous", -2)
        self._own.previous = frame
        return direction

    def _decode(self, index: int, *, is_backward: bool) -> NDArray[np.uint8]:
        self._wanted.append(index)
        try:
            with self._decoding:
                picture = self._cache.get(index)  # another thread may have been faster
                if picture is not None:
                    return picture
                self._check(index)  # or may have closed the video
                first = self._group(index) if is_backward else index
                for frame, decoded in self._source.decode(first, index, lambda: False):
                    self._cache.put(frame, decoded)
                    picture = decoded
        finally:
            self._wanted.remove(index)
        assert picture is not None  # decode() ends with `index`, or raises
        return picture

    def _group(self, index: int) -> int:
        """First of the frames worth keeping when decoding up to `index` on the way back."""
        return max(self._source.group_start(index), index - max(self._group_limit, 1) + 1)

    def _ask_ahead(self, index: int, direction: int) -> None:
        depth = min(_AHEAD, self._group_limit)
        stop = max(-1, min(len(self), index + direction * (depth + 1)))
        wanted = range(index + direction, stop, direction)
        if any(frame not in self._cache for frame in wanted):
            self._prefetcher.ask(wanted)

    def _prefetch(self, wanted: range) -> None:
        """On the background thread: decode what is missing of `wanted`, giving way to callers."""
        for frame in wanted:
            if self._prefetcher.is_overtaken():
                return
            if frame in self._cache:
                continue
            with self._decoding:
                group = range(frame if wanted.step > 0 else self._group(frame), frame + 1)
                is_cancelled = partial(self._is_wanted_elsewhere, group)
                if is_cancelled():
                    return
                if frame in self._cache:
                    continue  # a caller was faster; decoding it again would be a jump back
                try:
                    for decoded, picture in self._source.decode(group[0], frame, is_cancelled):
                        self._cache.put(decoded, picture)
                except (UnreadableVideoError, MemoryError):
                    return  # the next request for that frame raises it

    def _is_wanted_elsewhere(self, group: range) -> bool:
        """Whether to drop the decoding of `group`: other frames are requested, or none."""
        return self._is_closed or any(frame not in group for frame in tuple(self._wanted))
