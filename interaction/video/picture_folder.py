"""A folder of pictures as a video: one picture a frame, in natural order of names.

Sizes are compared when the folder is indexed, from the headers alone; pixels are decoded when
asked for, and no file stays open. How a picture becomes RGB is in `picture_pixels.py`.
"""

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from interaction.errors import UnreadableVideoError
from interaction.video.pixels import (
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
_REPORT_EVERY = 16  # pictures
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
    """Reads the pictures of an index by number. Not thread-safe: the owner holds a lock."""

    def __init__(self, index: PictureFolderIndex) -> None:
        self._index = index

    @property
    def width(self) -> int:
        return self._index.width

    @property
    def height(self) -> int:
        return self._index.height

    def close(self) -> None:
        """Nothing is held open."""

    def group_start(self, frame: int) -> int:
        """Pictures stand alone: the way to a frame begins at itself."""
        return frame

    def decode(
        self, first: int, last: int, is_cancelled: Callable[[], bool]
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield (frame, read-only (H, W, 3) RGB) from `first` to `last`, both included.

        Ends early once `is_cancelled()` is true. Raises UnreadableVideoError for a damaged picture,
        or one that is not as it was when the folder was indexed.
        """
        for frame in range(first, last + 1):
            if is_cancelled():
                return
            picture = self._index.pictures[frame]
            rgb = read_picture(picture, self._index.visible)
            if rgb.shape[:2] != (self.height, self.width):
                raise UnreadableVideoError(
                    picture,
                    Message(
                        "it is now {new_width} x {new_height} pixels, and was "
                        "{width} x {height} when the folder was opened",
                        new_width=rgb.shape[1],
                        new_height=rgb.shape[0],
                        width=self.width,
                        height=self.height,
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
    found.sort(key=_natural_order)
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


def _natural_order(picture: Path) -> tuple[list[str | int], str]:
    """Sorts frame9 before frame10; names that then count as equal, by their letters."""
    parts: list[str | int] = list(re.split(r"([0-9]+)", picture.name.casefold()))
    parts[1::2] = [int(digits) for digits in parts[1::2]]
    return parts, picture.name
