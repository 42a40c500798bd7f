"""An animated PNG or WebP as a video. FFmpeg reads the one by its suffix only and the other not at
all, so Pillow decodes both. An animated GIF is a video file like any other.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interaction.errors import DamagedFrameError, UnreadableVideoError
from interaction.video.container import MAX_FRAME_PIXELS, describe_size_limit
from interaction.video.pixels import PICTURE_ERRORS
from xmem_core.messages import Message

ANIMATION_SUFFIXES: Final = frozenset({".apng", ".png", ".webp"})  # compared in lower case
_FORMATS: Final = ("PNG", "WEBP")
_REPORT_EVERY: Final = 16  # frames
_LEAST_MS: Final = 10  # what browsers make of frames that are to last no time at all
_REMEDY: Final = Message("Save it again with the program that made it, or as a video (MP4).")


@dataclass(frozen=True, slots=True, eq=False)
class AnimationIndex:
    """Size and times of the frames of an animated picture."""

    path: Path
    width: int
    height: int
    starts_ms: tuple[int, ...]  # of each frame, from the first on; ascending
    length_ms: int

    @property
    def frame_rate(self) -> Fraction:
        """Average frames per second."""
        return Fraction(1000 * len(self.starts_ms), self.length_ms)

    @property
    def timestamps_s(self) -> NDArray[np.float64]:
        """(N,) seconds from the first frame to each frame; read-only."""
        timestamps_s = np.array(self.starts_ms, np.float64) / 1000
        timestamps_s.flags.writeable = False
        return timestamps_s


def index_animation(path: Path) -> Generator[int, None, AnimationIndex | None]:
    """Yields how many frames were found so far, returns the index; None for a picture that does not
    move. Raises UnreadableVideoError."""
    with _problems_of(path), _opened(path) as image:
        count = getattr(image, "n_frames", 1)
        if count < 2:
            return None
        starts_ms: list[int] = []
        now_ms = 0
        for frame in range(count):
            image.seek(frame)
            image.load()  # a WebP knows a frame's time only then
            starts_ms.append(now_ms)
            now_ms += max(_LEAST_MS, round(image.info.get("duration", 0)))
            if frame % _REPORT_EVERY == 0:
                yield frame + 1
        return AnimationIndex(path, *image.size, tuple(starts_ms), now_ms)


class AnimationReader:
    """Reads the frames of an index by number. Not thread-safe: the owner holds a lock."""

    def __init__(self, index: AnimationIndex) -> None:
        self._index = index
        self._image: Image.Image | None = None  # opened when the first frame is asked for

    @property
    def width(self) -> int:
        return self._index.width

    @property
    def height(self) -> int:
        return self._index.height

    def close(self) -> None:
        if self._image is not None:
            self._image.close()
            self._image = None

    def group_start(self, frame: int) -> int:
        """Each frame changes what the one before it shows: all are decoded from the start."""
        return 0

    def decode(
        self, first: int, last: int, is_cancelled: Callable[[], bool]
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield (frame, read-only (H, W, 3) RGB) from `first` to `last`, both included.

        Ends early once `is_cancelled()` is true. Raises UnreadableVideoError.
        """
        for frame in range(first, last + 1):
            if is_cancelled():
                return
            with _problems_of(self._index.path, frame):
                if self._image is None:
                    self._image = _open(self._index.path)
                self._image.seek(frame)
                rgb = np.array(self._image.convert("RGB"), dtype=np.uint8)
                if rgb.shape[:2] != (self.height, self.width):
                    raise ValueError("it has another size than before")
            rgb.flags.writeable = False
            yield frame, rgb


def _open(path: Path) -> Image.Image:
    image = Image.open(path, formats=_FORMATS)
    if image.width * image.height > MAX_FRAME_PIXELS:
        image.close()
        raise UnreadableVideoError(path, *describe_size_limit(image.width, image.height))
    return image


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    with _open(path) as image:
        yield image


@contextmanager
def _problems_of(path: Path, frame: int | None = None) -> Iterator[None]:
    """Whatever Pillow raises about the file becomes UnreadableVideoError."""
    try:
        yield
    except UnreadableVideoError:
        raise
    except FileNotFoundError:
        raise UnreadableVideoError(
            path, Message("it is gone"), Message("Put it back, or open it again.")
        ) from None
    except PICTURE_ERRORS:
        if frame is None:
            raise UnreadableVideoError(path, Message("the picture is damaged"), _REMEDY) from None
        raise DamagedFrameError(
            path, Message("frame {frame} is damaged", frame=frame), _REMEDY
        ) from None
