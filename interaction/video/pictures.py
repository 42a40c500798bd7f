"""A folder of pictures, or an animated PNG or WebP, as a video.

Of a folder each picture is a frame, in natural order of names. Sizes are compared when the folder
is indexed, from the headers alone; pixels are decoded when asked for, and no file stays open. How a
picture becomes RGB is in `pixels.py`.

FFmpeg reads an animated PNG by its suffix only and an animated WebP not at all, so Pillow decodes
both. An animated GIF is a video file like any other.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interaction.annotation.mask_folders import natural_key
from interaction.errors import DamagedFrameError, UnreadableVideoError
from interaction.video.container import check_frame_size
from interaction.video.pixels import (
    PICTURE_ERRORS,
    VisibleRange,
    find_visible_range,
    read_picture,
    read_picture_size,
)
from xmem_core.messages import Message

PICTURE_SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)  # compared in lower case
_NOMINAL_RATE = Fraction(24)  # frames per second: pictures carry no time, players need one
_REPORT_EVERY = 16  # pictures or frames
_SAMPLES = 64  # pictures, spread over the folder, that the visible range is taken from


@dataclass(frozen=True, slots=True, eq=False)
class PictureFolderIndex:
    """The pictures of a folder in order, and the size they share (upright)."""

    path: Path
    pictures: tuple[Path, ...]
    width: int
    height: int
    visible: VisibleRange | None = None  # of pictures with more than 8 bits, one for all

    @property
    def frame_rate(self) -> Fraction:
        """Nominal, frames per second."""
        return _NOMINAL_RATE

    @property
    def timestamps_s(self) -> NDArray[np.float64]:
        """(N,) seconds at the nominal rate; read-only."""
        timestamps_s = np.arange(len(self.pictures)) / float(_NOMINAL_RATE)
        timestamps_s.flags.writeable = False
        return timestamps_s


def index_picture_folder(path: Path) -> Generator[int, None, PictureFolderIndex]:
    """Read the header of every picture; yields how many so far, returns the index.

    Raises UnreadableVideoError for an empty folder, a picture that cannot be read or is too large,
    sizes that differ, and two pictures whose names differ only in the suffix.
    """
    pictures = _list_pictures(path)
    size: tuple[int, int] | None = None
    for count, picture in enumerate(pictures, start=1):
        found = read_picture_size(picture)
        size = size or found
        if found != size:
            raise UnreadableVideoError(
                path,
                Message(
                    "“{name}” is {width} x {height} pixels, but “{other}” is {other_width} "
                    "x {other_height}",
                    name=picture.name,
                    width=found[0],
                    height=found[1],
                    other=pictures[0].name,
                    other_width=size[0],
                    other_height=size[1],
                ),
                Message(
                    "All pictures of a video have the same size. Take the odd ones out of "
                    "the folder."
                ),
            )
        if count % _REPORT_EVERY == 0:
            yield count
    if size is None:
        raise UnreadableVideoError(
            path,
            _nothing_in(path),
            Message(
                "Choose a folder that holds JPEG, PNG, TIFF, WebP or BMP pictures, or a video file."
            ),
        )
    yield len(pictures)
    samples = pictures[:: max(1, len(pictures) // _SAMPLES)]
    return PictureFolderIndex(path, tuple(pictures), *size, _visible_range(samples))


def _nothing_in(path: Path) -> str:
    others = sorted(one.name for one in path.iterdir() if not one.name.startswith("."))
    if not others:
        return Message("there is no picture in this folder")
    return Message(
        "no picture in this folder is of a kind that can be read; the first file is “{name}”",
        name=others[0].encode("utf-8", "replace").decode(),
    )


def _visible_range(pictures: Sequence[Path]) -> VisibleRange | None:
    try:
        return find_visible_range(pictures)
    except UnreadableVideoError:  # reported when the damaged picture is requested
        return None


class PictureReader:
    """Reads the pictures of an index by number, as a `FrameSource`."""

    def __init__(self, index: PictureFolderIndex) -> None:
        self._index = index

    def close(self) -> None:
        """Nothing is held open."""

    def group_start(self, frame: int) -> int:
        """Pictures stand alone: the way to a frame begins at itself."""
        return frame

    def decode(
        self, first: int, last: int, is_cancelled: Callable[[], bool]
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """See `FrameSource`. UnreadableVideoError also for a picture that is not as it was when the
        folder was indexed."""
        for frame in range(first, last + 1):
            if is_cancelled():
                return
            picture = self._index.pictures[frame]
            rgb = read_picture(picture, self._index.visible)
            if rgb.shape[:2] != (self._index.height, self._index.width):
                raise UnreadableVideoError(
                    picture,
                    Message(
                        "it is now {new_width} x {new_height} pixels, and was "
                        "{width} x {height} when the folder was opened",
                        new_width=rgb.shape[1],
                        new_height=rgb.shape[0],
                        width=self._index.width,
                        height=self._index.height,
                    ),
                    Message("Put the old picture back, or open the folder again."),
                )
            rgb.flags.writeable = False
            yield frame, rgb


def first_picture(path: Path) -> Path:
    """The picture of frame 0. Raises UnreadableVideoError as `index_picture_folder` does."""
    return _list_pictures(path)[0]


def _list_pictures(path: Path) -> list[Path]:
    try:
        found = [
            entry
            for entry in path.iterdir()
            if entry.suffix.lower() in PICTURE_SUFFIXES
            and not entry.name.startswith(".")
            and entry.is_file()
        ]
    except OSError as error:
        raise UnreadableVideoError(
            path,
            error.strerror.lower() if error.strerror else Message("it cannot be read"),
            Message("Check that the folder exists and that you may read it."),
        ) from None
    # Names that count as equal, such as frame9 and frame09, by their letters.
    found.sort(key=lambda picture: (natural_key(picture.name.casefold())[:-1], picture.name))
    by_stem: dict[str, Path] = {}
    for picture in found:
        # Masks are named after the stem, and some file systems do not tell A from a.
        other = by_stem.setdefault(picture.stem.casefold(), picture)
        if other is not picture:
            raise UnreadableVideoError(
                path,
                Message(
                    "“{name}” and “{other}” have the same name before the dot",
                    name=other.name,
                    other=picture.name,
                ),
                Message(
                    "Masks are saved under that name. Rename one, or take it out of the folder."
                ),
            )
    return found


ANIMATION_SUFFIXES: Final = frozenset({".apng", ".png", ".webp"})  # compared in lower case
_FORMATS: Final = ("PNG", "WEBP")
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
    with _problems_of(path), _open(path) as image:
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
    """Reads the frames of an index by number, as a `FrameSource`."""

    def __init__(self, index: AnimationIndex) -> None:
        self._index = index
        self._image: Image.Image | None = None  # opened when the first frame is asked for

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
        """See `FrameSource`."""
        for frame in range(first, last + 1):
            if is_cancelled():
                return
            with _problems_of(self._index.path, frame):
                if self._image is None:
                    self._image = _open(self._index.path)
                self._image.seek(frame)
                rgb = np.array(self._image.convert("RGB"), dtype=np.uint8)
                if rgb.shape[:2] != (self._index.height, self._index.width):
                    raise ValueError("it has another size than before")
            rgb.flags.writeable = False
            yield frame, rgb


def _open(path: Path) -> Image.Image:
    image = Image.open(path, formats=_FORMATS)
    try:
        check_frame_size(path, image.width, image.height)
    except UnreadableVideoError:
        image.close()
        raise
    return image


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
