"""Which picture in a folder is the mask of which frame: by name, by number or by index.

One rule is chosen for the whole folder, never one per file, so that masks numbered from 0 beside
frames numbered from 1 are not shifted by one. Nothing here opens a picture.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from interaction.errors import UserError

__all__ = ["FoundMasks", "find_masks", "list_pictures", "natural_key", "place_masks"]

_LOSSLESS_SUFFIXES: Final = {".png", ".bmp", ".tif", ".tiff"}
_LOSSY_SUFFIXES: Final = {".jpg", ".jpeg", ".webp"}  # found so that reading can say what is wrong

_NUMBER: Final = re.compile(r"(\d+)", re.ASCII)
_NUMBER_AT_END: Final = re.compile(r"(\d+)$", re.ASCII)
_NUMBER_OF_SINGLE_FILE: Final = re.compile(r"(?:frame[ _.-]*)?(\d+)$", re.ASCII | re.IGNORECASE)

_Rule = Callable[[str], int | None]  # a file's stem -> the frame's position in `names`


@dataclass(frozen=True, slots=True)
class FoundMasks:
    """The mask files of a video, and the pictures beside them that belong to no frame."""

    by_frame: Mapping[int, Path]  # by frame index, in increasing order
    unmatched: tuple[Path, ...]  # sorted by name


def find_masks(source: Path, names: Sequence[str]) -> FoundMasks:
    """The masks in `source`, a folder or one file, for frames called `names` (no suffixes).

    In a folder a picture belongs to the frame whose name is its stem, or to the frame whose name
    ends in the same number ("frame_12.png" to "0000012"), or to the frame with that number as
    index. The first of these rules that finds a place for the most frames is used for all.

    One file belongs to the frame it names: by the whole name, by a stem that is only a number,
    or by "frame" and a number. A file called anything else is the mask of frame 0.

    Raises UserError: nothing there, nothing that fits (the message gives the names expected),
    or two files for one frame.
    """
    if not names:
        raise ValueError("names must hold at least one frame's name, got none")
    if source.is_file():
        return FoundMasks({_frame_of_single_file(source, names): source}, ())
    if not source.is_dir():
        raise UserError(
            f"There is no file or folder “{source}”.\n\n"
            "Check the name of the folder with the masks."
        )
    pictures = list_pictures(source)
    if not pictures:
        raise UserError(
            f"The folder “{source.name}” holds no mask: no PNG, BMP or TIFF picture is in it.\n\n"
            f"Masks for this video are called {_expected(names)}."
        )
    found = place_masks(pictures, names)
    if not found.by_frame:
        raise UserError(
            f"None of the {len(pictures)} pictures in “{source.name}” belongs to a frame of this "
            f"video; the first is called “{pictures[0].name}”.\n\n"
            f"Rename the masks: {_expected(names)} are expected."
        )
    return found


def list_pictures(folder: Path) -> list[Path]:
    """Pictures that can be masks, in natural order ("2" before "10"); hidden files are left out.

    JPEG and WebP pictures are listed only if there is nothing better: beside lossless masks they
    are the frames themselves, and alone they are masks that reading refuses in clear words.
    Raises UserError when the folder cannot be read.
    """
    try:
        files = sorted(
            (path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()),
            key=lambda path: natural_key(path.name),
        )
    except OSError as error:
        raise UserError(
            f"The folder “{folder}” could not be read: {error.strerror or error}.\n\n"
            "Check that it is there and that you may open it."
        ) from error
    lossless = [path for path in files if path.suffix.lower() in _LOSSLESS_SUFFIXES]
    return lossless or [path for path in files if path.suffix.lower() in _LOSSY_SUFFIXES]


def place_masks(
    pictures: Sequence[Path], names: Sequence[str], *, by_index: bool = True
) -> FoundMasks:
    """Give each picture the frame it belongs to; `find_masks` says how.

    With `by_index` false a number is only compared with the numbers in `names`, never with their
    positions: for names that are not the whole video. Raises UserError for two files of a frame.
    """
    rules: list[_Rule] = [_by_name(names), _by_number(names)]
    if by_index:
        rules.append(_by_position(names))
    placements = [[rule(path.stem) for path in pictures] for rule in rules]
    # max() keeps the first of equals, so the rules' order is their precedence.
    placement = max(placements, key=lambda frames: len(set(frames) - {None}))

    by_frame: dict[int, Path] = {}
    unmatched: list[Path] = []
    for path, frame in zip(pictures, placement, strict=True):
        if frame is None:
            unmatched.append(path)
        elif frame in by_frame:
            raise UserError(
                f"“{by_frame[frame].name}” and “{path.name}” are both masks of frame "
                f"{names[frame]}.\n\nMove one of them out of “{path.parent.name}”."
            )
        else:
            by_frame[frame] = path
    return FoundMasks(dict(sorted(by_frame.items())), tuple(sorted(unmatched)))


def natural_key(name: str) -> tuple[str | int, ...]:
    """Sorts names by the numbers in them, whether or not they are filled up with zeros."""
    parts = _NUMBER.split(name)  # text and digits in turn, so like is compared with like
    return (*(int(part) if index % 2 else part for index, part in enumerate(parts)), name)


def _frame_of_single_file(file: Path, names: Sequence[str]) -> int:
    frame = _by_name(names)(file.stem)
    if frame is not None:
        return frame
    number = _NUMBER_OF_SINGLE_FILE.match(file.stem)
    if number is None:
        return 0
    found = place_masks([Path(number[1])], names)
    if not found.by_frame:
        raise UserError(
            f"The mask “{file.name}” belongs to no frame of this video.\n\n"
            f"Rename it: {_expected(names)} are expected."
        )
    return next(iter(found.by_frame))


def _by_name(names: Sequence[str]) -> _Rule:
    frames = {_composed(name): frame for frame, name in enumerate(names)}
    return lambda stem: frames.get(_composed(stem))


def _by_number(names: Sequence[str]) -> _Rule:
    frames: dict[int, int | None] = {}
    for frame, name in enumerate(names):
        number = _number_at_end(name)
        if number is not None:
            # A number that two frames share says nothing about either.
            frames[number] = None if number in frames else frame

    def place(stem: str) -> int | None:
        number = _number_at_end(stem)
        return None if number is None else frames.get(number)

    return place


def _by_position(names: Sequence[str]) -> _Rule:
    def place(stem: str) -> int | None:
        number = _number_at_end(stem)
        return number if number is not None and number < len(names) else None

    return place


def _number_at_end(name: str) -> int | None:
    match = _NUMBER_AT_END.search(name)
    return int(match[1]) if match else None


def _composed(name: str) -> str:
    # macOS gives accents in file names back taken apart; the frames' names may not come from it.
    return unicodedata.normalize("NFC", name)


def _expected(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"“{names[0]}.png”"
    return f"“{names[0]}.png” to “{names[-1]}.png”"
