"""Random access to the frames of a video file or a folder of pictures, by number.

`open_video` gives a `Video`; `video[n]` is the same picture for ever, upright, with square pixels,
8-bit RGB. Frames are decoded when asked for, nothing is written to disk. Frames around the place
last looked at stay in memory, and playback in either direction decodes ahead in the background.

`index_video` is the slow part of opening, as a generator that reports and can be closed.
"""

import operator
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from interaction.errors import UnreadableVideoError
from interaction.project.frame_cache import FrameCache
from interaction.project.frame_source import VideoIndex, open_source
from interaction.project.picture_folder import (
    PICTURE_SUFFIXES,
    PictureFolderIndex,
    index_picture_folder,
)
from interaction.project.prefetch import Prefetcher
from interaction.project.video_index import index_video_file

__all__ = ["Video", "VideoIndex", "index_video", "open_video"]

_AHEAD = 8  # frames decoded in advance


def index_video(path: Path) -> Generator[int, None, VideoIndex]:
    """Find the frames of the video file or picture folder `path`.

    Yields the number of frames found so far and returns the index; closing the generator cancels.
    Raises UnreadableVideoError, naming the file, with a remedy.
    """
    path = Path(path)
    if path.is_dir():
        return (yield from index_picture_folder(path))
    if not path.is_file():
        raise UnreadableVideoError(
            path,
            "it does not exist" if not path.exists() else "it is not a file",
            "Choose a video file or a folder of pictures.",
        )
    if path.stat().st_size == 0:
        raise UnreadableVideoError(
            path, "the file is empty", "Copy it again from where it came from."
        )
    if path.suffix.lower() in PICTURE_SUFFIXES:
        raise UnreadableVideoError(
            path, "it is a single picture", "Choose the folder that holds the pictures instead."
        )
    return (yield from index_video_file(path))


def open_video(
    path: Path,
    *,
    cache_bytes: int = 512 * 2**20,
    on_progress: Callable[[int], object] | None = None,
    index: VideoIndex | None = None,
) -> "Video":
    """Open a video file or a folder of pictures.

    cache_bytes: upper limit for decoded frames kept in memory. on_progress: called with the number
    of frames found so far; an exception it raises cancels. index: what `index_video` returned for
    this path, where that was run before. Raises UnreadableVideoError.
    """
    if index is None:
        index = _run(index_video(path), on_progress)
    return Video(index, cache_bytes=cache_bytes)


def _run(
    steps: Generator[int, None, VideoIndex], on_progress: Callable[[int], object] | None
) -> VideoIndex:
    with closing(steps):
        while True:
            try:
                count = next(steps)
            except StopIteration as finished:
                index: VideoIndex = finished.value
                return index
            if on_progress is not None:
                on_progress(count)


class Video:
    """The frames of one video. Any thread may ask for frames; close it when done.

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
        return self._source.width

    @property
    def height(self) -> int:
        """Pixels, upright and square."""
        return self._source.height

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

    @property
    def cached_bytes(self) -> int:
        """Memory held by decoded frames, never more than `cache_bytes`."""
        return self._cache.size_bytes

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
                    return  # whoever asks for that frame is told

    def _is_wanted_elsewhere(self, group: range) -> bool:
        """Whether to drop the decoding of `group`: nobody wants it, or others wait for more."""
        return self._is_closed or any(frame not in group for frame in tuple(self._wanted))
