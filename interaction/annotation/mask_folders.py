"""Place mask files on frames by name, by a number in the name, or by position.

One rule serves the whole set, never one per file, so that masks numbered from 0 beside frames
numbered from 1 are not shifted by one. Nothing here opens a picture.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

from interaction.errors import UserError
from interaction.files import is_file, is_folder
from xmem_core.messages import Message

__all__ = [
    "LOSSY_SUFFIXES",
    "FoundMasks",
    "find_masks",
    "list_pictures",
    "natural_key",
    "place_masks",
]

_LOSSLESS_SUFFIXES: Final = {".png", ".bmp", ".tif", ".tiff"}
LOSSY_SUFFIXES: Final = {".jpg", ".jpeg", ".webp"}  # found so that reading can say what is wrong

_NUMBER: Final = re.compile(r"(\d+)", re.ASCII)
_NUMBER_OF_SINGLE_FILE: Final = re.compile(r"(?:frame[ _.-]*)?(\d+)$", re.ASCII | re.IGNORECASE)
# Digits that count nothing: identifiers and hashes, sizes, rates, names of codecs.
_OPAQUE: Final = re.compile(
    r"(?<![0-9a-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,}"
    r"|\d+x\d+|\d+p|\d+fps|mp4|m4v|h26[45])(?![0-9a-z])",
    re.ASCII | re.IGNORECASE,
)
_LETTERS_BEFORE: Final = re.compile(r"[^\W\d_]*$")
_FRAME_BEFORE: Final = re.compile(r"(?<![^\W\d_])(?:f|fr|frame)[ _.-]+$", re.IGNORECASE)
_LETTERS_AFTER: Final = re.compile(r"[^\W\d_]*")
_FRAME_WORDS: Final = {"f", "fr", "frame", "image", "im", "img", "mask", "picture"}
_FEWEST_FOR_SHIFT: Final = 2  # files; the number of a single one shows nothing

_Frames = list[int | None]  # by file, the frame's position in `names`


@dataclass(frozen=True, slots=True)
class FoundMasks:
    """The mask files of a video, and the pictures beside them that belong to no frame."""

    by_frame: Mapping[int, Path]  # by frame index, in increasing order
    unmatched: tuple[Path, ...]  # sorted by name
    remark: str | None = None  # how numbers were counted, where that had to be inferred


def find_masks(source: Path, names: Sequence[str], shown: int = 0) -> FoundMasks:
    """The masks in `source`, a folder or one file, for frames called `names` (no suffixes).

    In a folder `place_masks` decides. One file belongs to the frame it names: by the whole name,
    by a stem that is only a number, or by "frame" and a number. A file called anything else is
    the mask of the frame `shown`.

    Raises UserError: nothing there, nothing that fits (the message gives the names expected),
    or two files for one frame.
    """
    if not names:
        raise ValueError("names must hold at least one frame's name, got none")
    if is_file(source):
        return FoundMasks({_frame_of_single_file(source, names, shown): source}, ())
    if not is_folder(source):
        raise UserError(
            "There is no file or folder “{source}”.\n\n"
            "Check the name of the folder with the masks.",
            source=source,
        )
    pictures = list_pictures(source)
    if not pictures:
        raise UserError(
            "The folder “{name}” holds no mask: no PNG, BMP or TIFF picture is in it.\n\n"
            "Masks for this video are called {expected}.",
            name=source.name,
            expected=_expected(names),
        )
    found = place_masks(pictures, names)
    if not found.by_frame:
        raise UserError(
            "None of the {count} pictures in “{name}” belongs to a frame of this "
            "video; the first is called “{other}”.\n\n"
            "Rename the masks: {expected} are expected.",
            count=len(pictures),
            name=source.name,
            other=pictures[0].name,
            expected=_expected(names),
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
            "The folder “{folder}” could not be read: {reason}.\n\n"
            "Check that it is there and that you may open it.",
            folder=folder,
            reason=error.strerror or error,
        ) from error
    lossless = [path for path in files if path.suffix.lower() in _LOSSLESS_SUFFIXES]
    return lossless or [path for path in files if path.suffix.lower() in LOSSY_SUFFIXES]


def place_masks(
    pictures: Sequence[Path],
    names: Sequence[str],
    *,
    by_index: bool = True,
    first_number: int | None = None,
    originals: Mapping[Path, str] | None = None,
) -> FoundMasks:
    """Give each picture the frame it belongs to.

    A picture belongs to the frame whose name is its stem, or is a part of its stem between
    punctuation ("frame_02_png.rf.a1b2" to "frame_02"). Otherwise a number decides that stands at
    the same place in all names: compared with the number in the frames' names, else taken as a
    position from 0, or from 1 where only that gives every file a frame. The first of these rules
    that places the most files is used for all.

    by_index: without it a number is only compared with the numbers in `names`, never with their
    positions: for names that are not the whole video. first_number: the number of the first frame,
    where it is known; then only numbers decide. originals: by picture, the name it had before
    another program renamed it. Raises UserError for two files of one frame and where two numbers
    in the names could both be the frame's.
    """
    stems = [_composed(Path((originals or {}).get(path, path.name)).stem) for path in pictures]
    by_name = [] if first_number is not None else [_by_name(stems, names), _by_part(stems, names)]
    placement, remark = max(by_name, key=_score, default=[]), None
    numbers = _by_number(stems, names, by_index=by_index, first_number=first_number)
    if numbers is not None and _score(numbers[0])[0] > _score(placement)[0]:
        placement, remark = numbers

    by_frame: dict[int, Path] = {}
    unmatched: list[Path] = []
    for path, frame in zip(pictures, placement or [None] * len(pictures), strict=True):
        if frame is None:
            unmatched.append(path)
        elif frame in by_frame:
            raise UserError(
                "“{name}” and “{other}” are both masks of frame "
                "{frame}. Nothing was changed.\n\nMove one of them out of "
                "“{folder}”.",
                name=by_frame[frame].name,
                other=path.name,
                frame=names[frame],
                folder=path.parent.name,
            )
        else:
            by_frame[frame] = path
    return FoundMasks(dict(sorted(by_frame.items())), tuple(sorted(unmatched)), remark)


def natural_key(name: str) -> tuple[str | int, ...]:
    """Sorts names by the numbers in them, whether or not they are filled up with zeros."""
    parts = _NUMBER.split(name)  # text and digits in turn, so like is compared with like
    return (*(int(part) if index % 2 else part for index, part in enumerate(parts)), name)


def _frame_of_single_file(file: Path, names: Sequence[str], shown: int) -> int:
    stem = [_composed(file.stem)]
    frame = (_by_name(stem, names)[0], _by_part(stem, names)[0])
    number = _NUMBER_OF_SINGLE_FILE.match(file.stem)
    if number is None or frame != (None, None):
        return next((one for one in frame if one is not None), shown)
    found = place_masks([Path(number[1])], names)
    if not found.by_frame:
        raise UserError(
            "The mask “{name}” belongs to no frame of this video. Nothing was changed.\n\n"
            "Rename it: {expected} are expected.",
            name=file.name,
            expected=_expected(names),
        )
    return next(iter(found.by_frame))


def _score(frames: _Frames) -> tuple[int, int]:
    """Frames that get a file, and files that get a frame."""
    return len(set(frames) - {None}), len(frames) - frames.count(None)


def _by_name(stems: Sequence[str], names: Sequence[str]) -> _Frames:
    frames = {_composed(name): frame for frame, name in enumerate(names)}
    return [frames.get(stem) for stem in stems]


def _by_part(stems: Sequence[str], names: Sequence[str]) -> _Frames:
    """By the longest name inside a stem. Names of digits alone are left to `_by_number`."""
    frames = {_composed(name): frame for frame, name in enumerate(names)}
    frames = {name: frame for name, frame in frames.items() if not name.isdecimal()}
    lengths = sorted({len(name) for name in frames}, reverse=True)

    def find(stem: str) -> int | None:
        is_word = [False, *(letter.isalnum() for letter in stem), False]
        # Whether a name may begin or end before the letter at this place.
        is_edge = [not (before and after) for before, after in pairwise(is_word)]
        for length in lengths:
            for start in range(len(stem) - length + 1):
                if is_edge[start] and is_edge[start + length]:
                    frame = frames.get(stem[start : start + length])
                    if frame is not None:
                        return frame
        return None

    return [find(stem) for stem in stems]


@dataclass(frozen=True, slots=True)
class _Column:
    """A number that stands at the same place in most of some names."""

    numbers: tuple[int | None, ...]
    is_named: bool  # after "frame" or a word like it
    is_padded: bool  # filled up with zeros


def _columns(stems: Sequence[str]) -> list[_Column]:
    """Numbers counted from the left after the same text, and from the right before the same."""
    hidden = [_OPAQUE.sub("#", stem) for stem in stems]
    found = [list(_NUMBER.finditer(stem)) for stem in hidden]
    columns: dict[tuple[int | None, ...], _Column] = {}
    for place in [
        *range(max(map(len, found), default=0)),
        *range(-1, -1 - max(map(len, found), default=0), -1),
    ]:
        patterns: list[tuple[str, str, str] | None] = []
        for stem, matches in zip(hidden, found, strict=True):
            if not -len(matches) <= place < len(matches):
                patterns.append(None)
                continue
            match = matches[place]
            text = stem[: match.start()] if place >= 0 else stem[match.end() :]
            before = _LETTERS_BEFORE.search(stem[: match.start()])
            after = _LETTERS_AFTER.match(stem[match.end() :])
            word = "frame" if _FRAME_BEFORE.search(stem[: match.start()]) else before and before[0]
            near = (word or "", after[0] if after else "")
            patterns.append((_NUMBER.sub("0", text), *near))
        common = Counter(one for one in patterns if one is not None).most_common(1)
        if not common:
            continue
        pattern = common[0][0]
        numbers = tuple(
            int(matches[place][0]) if own == pattern else None
            for own, matches in zip(patterns, found, strict=True)
        )
        texts = [m[place][0] for own, m in zip(patterns, found, strict=True) if own == pattern]
        is_padded = any(len(text) > 2 and text.startswith("0") for text in texts)
        is_named = pattern[1].lower() in _FRAME_WORDS and not pattern[2]
        same = columns.get(numbers, _Column(numbers, is_named=False, is_padded=False))
        columns[numbers] = replace(
            same, is_named=same.is_named or is_named, is_padded=same.is_padded or is_padded
        )
    return list(columns.values())


def _by_number(
    stems: Sequence[str], names: Sequence[str], *, by_index: bool, first_number: int | None
) -> tuple[_Frames, str | None] | None:
    """The best placement and what to say about it; None if no number finds a frame."""
    count = len(names)
    frames_of = {} if first_number is not None else _numbers_of(names)
    rules: list[tuple[Callable[[int], int | None], int | None]] = [(frames_of.get, None)]
    if by_index or first_number is not None:
        firsts = (0, 1) if len(stems) >= _FEWEST_FOR_SHIFT else (0,)
        for one in firsts if first_number is None else (first_number,):
            rules.append((partial(_position, first=one, count=count), one))
    best: list[tuple[_Frames, int | None, _Column]] = []
    for column in _columns(stems):
        placements = [
            ([None if n is None else rule(n) for n in column.numbers], first)
            for rule, first in rules
        ]
        best.append((*max(placements, key=lambda one: _score(one[0])), column))  # first of equals
    score = max((_score(frames) for frames, _, _ in best), default=(0, 0))
    if score == (0, 0):
        return None
    rivals = [one for one in best if _score(one[0]) == score]
    likeliest = max((one[2].is_named, one[2].is_padded) for one in rivals)
    rivals = [one for one in rivals if (one[2].is_named, one[2].is_padded) == likeliest]
    if any(frames != rivals[0][0] for frames, _, _ in rivals):
        raise UserError(
            "Names like “{stem}” hold two numbers that could both be the frame's. Nothing was "
            "changed.\n\nRename the masks: {expected} are expected.",
            stem=stems[0],
            expected=_expected(names),
        )
    frames, first, column = rivals[0]
    return frames, _counting_remark(stems, names, frames, column, first, first_number)


def _position(number: int, *, first: int, count: int) -> int | None:
    return number - first if 0 <= number - first < count else None


def _counting_remark(
    stems: Sequence[str],
    names: Sequence[str],
    frames: _Frames,
    column: _Column,
    first: int | None,
    first_number: int | None,
) -> str | None:
    if first_number is not None or len(stems) < _FEWEST_FOR_SHIFT:
        return None
    placed = [(frame, stem) for frame, stem in zip(frames, stems, strict=True) if frame is not None]
    frame, stem = min(placed)
    if first == 1:
        return Message(
            "The files are numbered from 1: “{stem}” belongs to frame {frame}.",
            stem=stem,
            frame=frame,
        )
    is_position = all(f is None or f == n for f, n in zip(frames, column.numbers, strict=True))
    is_by_name = first is None and not (names[0].isdecimal() and int(names[0]) == 0)
    if is_position and frame > 0 and not is_by_name:
        return Message(
            "File numbers are taken as counted from 0: “{stem}” belongs to frame {frame}.",
            stem=stem,
            frame=frame,
        )
    return None


def _numbers_of(names: Sequence[str]) -> dict[int, int]:
    """Number in a frame's name -> frame; without numbers that two frames share."""
    columns = [column.numbers for column in _columns(names)]
    whole = [numbers for numbers in columns if len(set(numbers) - {None}) == len(names)]
    numbers = (whole or columns or [()])[-1]
    counts = Counter(numbers)
    return {n: frame for frame, n in enumerate(numbers) if n is not None and counts[n] == 1}


def _composed(name: str) -> str:
    # macOS gives accents in file names back taken apart; the frames' names may not come from it.
    return unicodedata.normalize("NFC", name)


def _expected(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"“{names[0]}.png”"
    return Message("“{first}.png” to “{last}.png”", first=names[0], last=names[-1])
