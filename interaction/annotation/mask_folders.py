"""Place mask files on frames by name, by a number in the name, or by position.

One rule serves the whole set, never one per file, so that masks numbered from 0 beside frames
numbered from 1 are not shifted by one. Nothing here opens a picture.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

from interaction.errors import UserError
from interaction.files import is_file, is_folder
from xmem_core.messages import Message

_LOSSLESS_SUFFIXES: Final = {".png", ".bmp", ".tif", ".tiff"}
LOSSY_SUFFIXES: Final = {".jpg", ".jpeg", ".webp"}  # found so that reading can say what is wrong

_NUMBER: Final = re.compile(r"(\d+)", re.ASCII)
# Digits that count nothing: identifiers and hashes, sizes, rates, names of codecs, dates, times.
_OPAQUE: Final = re.compile(
    r"""\.rf\.[0-9a-z]+
    | (?<![0-9a-z]) (?: [0-9a-f]{8} (?:-[0-9a-f]{4}){3} -[0-9a-f]{12}
    | (?=[0-9]*[a-f]) (?=[a-f]*[0-9]) (?![a-f]+[0-9]+(?![0-9a-z])) [0-9a-f]{6,}
    | (?:19|20)\d\d(?P<in_date>[-_.]?)\d\d(?P=in_date)\d\d [-_T] (?: (?P<clock>\d{6})
    | (?:[01]\d|2[0-3])(?P<in_clock>[-:.])[0-5]\d(?P=in_clock)[0-5]\d )
    | (?:19|20)\d\d(?P<between>[-_.])\d\d(?P=between)\d\d
    | (?:[01]\d|2[0-3])(?P<in_time>[-:.])[0-5]\d(?P=in_time)[0-5]\d
    | \d+x\d+ | \d+p | \d+fps | mp4 | m4v | h26[45] ) (?![0-9a-z])""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_TIME: Final = re.compile(r"(?:[01]\d|2[0-3])[0-5]\d[0-5]\d", re.ASCII)
_LETTERS_BEFORE: Final = re.compile(r"[^\W\d_]*$")
_LETTERS_AFTER: Final = re.compile(r"[^\W\d_]*")
_FRAME_BEFORE: Final = re.compile(r"(?<![^\W\d_])(?:f|fr|frame)[ _.-]*$", re.IGNORECASE)
# A piece of a video whose frames are perhaps counted anew in each.
_PART: Final = re.compile(
    r"(?<![^\W\d_])(?:part|pt|seq|sequence|split|chunk|segment|seg|batch|piece|section|block|volume"
    r"|vol|reel)[ _.-]*(\d+|[a-z])(?![^\W_])",
    re.IGNORECASE,
)
_BY_ITSELF: Final = re.compile(r"(?:^|[_.-])\d+(?:[_.-]|$)", re.ASCII)
_FEWEST_FOR_SHIFT: Final = 2  # files; the number of a single one shows nothing
_FEWEST_OF_PATTERN: Final = 0.9  # share of the files that have a number at the same place

_Frames = list[int | None]  # by file, the frame's position in `names`


@dataclass(frozen=True, slots=True)
class FoundMasks:
    """The mask files of a video, and the pictures beside them that belong to no frame."""

    by_frame: Mapping[int, Path]  # by frame index, in increasing order
    unmatched: tuple[Path, ...]  # sorted by name
    remark: str | None = None  # how numbers were counted, where that had to be inferred


def find_masks(source: Path, names: Sequence[str], shown: int = 0) -> FoundMasks:
    """The masks in `source`, a folder or one file, for frames called `names` (no suffixes).

    In a folder `place_masks` decides, for one file `place_single_mask`.

    Raises UserError: nothing there, nothing that fits (the message gives the names expected),
    or two files for one frame.
    """
    if not names:
        raise ValueError("names must hold at least one frame's name, got none")
    if is_file(source):
        return place_single_mask(source, names, shown)
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
    sequence: str = "",
) -> FoundMasks:
    """Give each picture the frame it belongs to.

    A picture belongs to the frame whose name is its stem, or is a part of its stem between
    punctuation ("frame_02_png.rf.a1b2" to "frame_02"). Otherwise a number decides that stands at
    the same place in nine of ten names: compared with the number in the frames' names, else taken
    as a position from 0, or from 1 where only that gives every file a frame. The first of these
    rules that places the most files is used for all.

    by_index: without it a number is only compared with the numbers in `names`, never with their
    positions: for names that are not the whole video. first_number: the number of the first frame,
    where it is known; then only numbers decide, also six digits after a date. originals: by
    picture, the name it had before another program renamed it. sequence: what the video is called.
    Raises UserError for two files of one frame, and where a number is no evidence: another one
    could be the frame's as well, it is hexadecimal, counts within a part of the video, or is
    perhaps the time after a date.
    """
    stems = [_composed(Path((originals or {}).get(path, path.name)).stem) for path in pictures]
    by_name = [] if first_number is not None else [_by_name(stems, names), _by_part(stems, names)]
    placement, remark = max(by_name, key=_score, default=[]), None
    if _score(placement)[1] < len(stems):
        placed_by = partial(
            _by_number,
            stems,
            names,
            by_index=by_index,
            first_number=first_number,
            sequence=sequence,
        )
        numbers = placed_by()
        if numbers is not None and _score(numbers[0])[0] > _score(placement)[0]:
            placement, remark = numbers
        if _score(placement)[0] < len(stems) and any(map(_clocks, stems)):
            numbers = placed_by(shows_times=True)
            if numbers is not None and _score(numbers[0])[0] > _score(placement)[0]:
                if first_number is None and _score(numbers[0]) != (len(names), len(stems)):
                    raise _no_evidence(stems[0], names, Message("they could be times of day"))
                placement, remark = numbers
    frames = placement or [None] * len(pictures)
    return _one_a_frame(pictures, frames, names, remark)


def _one_a_frame(
    pictures: Sequence[Path], frames: _Frames, names: Sequence[str], remark: str | None
) -> FoundMasks:
    """Raises UserError for two files of one frame."""
    by_frame: dict[int, Path] = {}
    unmatched: list[Path] = []
    for path, frame in zip(pictures, frames, strict=True):
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


def place_single_mask(file: Path, names: Sequence[str], shown: int) -> FoundMasks:
    """A mask alone belongs to the frame it names: by the whole name, by a number after "frame" or
    filled up with zeros, or by its only number where that stands by itself. Any other belongs to
    the frame `shown`.

    Raises UserError for the number of another video's frame.
    """
    stem = _composed(file.stem)
    named = [*_by_name([stem], names), *_by_part([stem], names)]
    if (frame := next((one for one in named if one is not None), None)) is not None:
        return FoundMasks({frame: file}, ())
    columns = _columns([stem])
    clear = [one for one in columns if one.is_named] or [
        one for one in columns if one.is_padded or (len(columns) == 1 and _BY_ITSELF.search(stem))
    ]
    if len(clear) == 1 and not (_PART.search(stem) or _is_hexadecimal([stem], clear[0])):
        found = place_masks([file], names)
        if found.by_frame:
            return found
        if clear[0].is_named or stem.isdecimal():
            raise UserError(
                "The mask “{name}” belongs to no frame of this video. Nothing was changed.\n\n"
                "Rename it: {expected} are expected.",
                name=file.name,
                expected=_expected(names),
            )
    remark = Message(
        "Which frame “{stem}” belongs to is not clear from its name; it is taken for the mask of "
        "frame {frame}.",
        stem=stem,
        frame=shown,
    )
    return FoundMasks({shown: file}, (), remark if _NUMBER.search(stem) else None)


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
            found = {
                frames.get(stem[start : start + length])
                for start in range(len(stem) - length + 1)
                if is_edge[start] and is_edge[start + length]
            } - {None}
            if found:  # of two frames none has the evidence
                return found.pop() if len(found) == 1 else None
        return None

    return [find(stem) for stem in stems]


@dataclass(frozen=True, slots=True)
class _Column:
    """A number that stands at the same place in nine of ten names or more."""

    numbers: tuple[int | None, ...]
    starts: tuple[int | None, ...]  # where it begins in each name
    is_named: bool  # after "frame"
    is_padded: bool  # filled up with zeros

    @property
    def varies(self) -> bool:
        return len(set(self.numbers) - {None}) > 1


def _clocks(stem: str) -> list[str]:
    """Six digits after a date: a time of day, or a number."""
    return [one["clock"] for one in _OPAQUE.finditer(stem) if one["clock"]]


def _columns(stems: Sequence[str], *, shows_times: bool = False) -> list[_Column]:
    """Numbers counted from the left after the same text, and from the right before the same.

    shows_times: six digits after a date are a number. They always are where those of any name are
    no time, as a count has them after its 59.
    """
    clocks = [clock for stem in stems for clock in _clocks(stem)]
    shows_times = shows_times or not all(map(_TIME.fullmatch, clocks))

    def hide(one: re.Match[str]) -> str:
        kept = one["clock"] if shows_times else None
        return "#" * len(one[0].removesuffix(kept or "")) + (kept or "")

    hidden = [_OPAQUE.sub(hide, stem) for stem in stems]
    found = [list(_NUMBER.finditer(stem)) for stem in hidden]
    most = max(map(len, found), default=0)
    columns: dict[tuple[int | None, ...], _Column] = {}  # by where they begin
    for place in [*range(most), *range(-1, -1 - most, -1)]:
        matches = [m[place] if -len(m) <= place < len(m) else None for m in found]
        patterns = [None if m is None else _around(m, from_left=place >= 0) for m in matches]
        pattern, size = Counter(one for one in patterns if one is not None).most_common(1)[0]
        if size < _FEWEST_OF_PATTERN * len(stems):
            continue
        own = [m if one == pattern else None for m, one in zip(matches, patterns, strict=True)]
        numbers = tuple(m and int(m[0]) for m in own)
        is_padded = any(m is not None and len(m[0]) > 2 and m[0][0] == "0" for m in own)
        starts = tuple(m and m.start() for m in own)
        same = columns.get(starts)
        columns[starts] = _Column(
            numbers,
            starts,
            is_named=pattern[1] or (same is not None and same.is_named),
            is_padded=is_padded or (same is not None and same.is_padded),
        )
    return list(columns.values())


_RUN: Final = re.compile(r"\d+|#+", re.ASCII)


def _around(match: re.Match[str], *, from_left: bool) -> tuple[str, bool, str, str]:
    """The text on one side without its numbers, whether it is "frame", and the letters touching."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    glued = _LETTERS_AFTER.match(after)
    letters, following = _LETTERS_BEFORE.search(before), glued[0] if glued else ""
    is_named = _FRAME_BEFORE.search(before) is not None and not following
    side = _RUN.sub("0", before if from_left else after)
    return side, is_named, "" if letters is None or is_named else letters[0], following


def _by_number(
    stems: Sequence[str],
    names: Sequence[str],
    *,
    by_index: bool,
    first_number: int | None,
    sequence: str,
    shows_times: bool = False,
) -> tuple[_Frames, str | None] | None:
    """The best placement and what to say about it; None if no number finds a frame.

    shows_times: see `_columns`.

    Raises UserError where the numbers are no evidence.
    """
    count = len(names)
    frames_of = {} if first_number is not None else _numbers_of(names)
    rules: list[tuple[Callable[[int], int | None], int | None]] = [(frames_of.get, None)]
    if by_index or first_number is not None:
        firsts = (0, 1) if len(stems) >= _FEWEST_FOR_SHIFT else (0,)
        for one in firsts if first_number is None else (first_number,):
            rules.append((partial(_position, first=one, count=count), one))
    columns = _columns(stems, shows_times=shows_times)
    best: list[tuple[_Frames, int | None, _Column]] = []
    for column in [one for one in columns if one.is_named] or columns:
        placements = [
            ([None if n is None else rule(n) for n in column.numbers], first)
            for rule, first in rules
        ]
        best.append((*max(placements, key=lambda one: _score(one[0])), column))  # first of equals
    if not best:
        return None
    frames, first, column = max(best, key=lambda one: (_score(one[0]), one[2].is_padded))
    if _score(frames) == (0, 0):
        return None
    is_complete = _score(frames) == (count, len(stems))
    has_one_pattern = len({_RUN.sub("0", stem) for stem in stems}) == 1
    is_alone = column.is_named or (has_one_pattern and len(columns) == 1)
    if _is_hexadecimal(stems, column):
        raise _no_evidence(stems[0], names, Message("they are hexadecimal, or part of a hash"))
    if not is_complete and first_number is None:
        _check_parts(stems, names, column, is_alone=is_alone, sequence=sequence)
    for other, _, rival in best:
        is_likely = rival.varies or (len(stems) == 1 and rival.is_padded == column.is_padded)
        if other == frames or not is_likely or (is_complete and _score(other) < _score(frames)):
            continue
        raise _no_evidence(stems[0], names, Message("two numbers could both be the frame's"))
    if first_number is not None or (is_complete and first != 1):
        return frames, None
    return frames, _counting_remark(stems, names, frames, first, column, is_alone=is_alone)


def _check_parts(
    stems: Sequence[str], names: Sequence[str], column: _Column, *, is_alone: bool, sequence: str
) -> None:
    """UserError for numbers that perhaps count anew in each part of a video.

    is_alone: there is no other number.
    """
    for stem, start in zip(stems, column.starts, strict=True):
        for part in _PART.finditer(stem):
            is_itself = is_alone and start == part.start(1)
            if is_itself or part[0].lower() in sequence.lower():
                continue
            reason = Message("they perhaps count anew in each part of the video")
            raise _no_evidence(stem, names, reason)


def _no_evidence(stem: str, names: Sequence[str], reason: str) -> UserError:
    return UserError(
        "The numbers in names like “{stem}” do not tell the frame: {reason}. Nothing was changed."
        "\n\nRename the masks: {expected} are expected; or put a list frames.csv beside them, with "
        "the columns index and file. If the number counts the whole video's frames, say which one "
        "the first frame has.",
        stem=stem,
        reason=reason,
        expected=_expected(names),
    )


_HEXADECIMAL: Final = re.compile(r"(?=[0-9]*[a-f])[0-9a-f]+(?![^\W_])", re.ASCII | re.IGNORECASE)


def _is_hexadecimal(stems: Sequence[str], column: _Column) -> bool:
    """Whether, where other names have the number, any has letters from a to f in it."""
    starts = [(stem, start) for stem, start in zip(stems, column.starts, strict=True)]
    fronts = {stem[:start] for stem, start in starts if start is not None}
    front = next(iter(fronts)) if len(fronts) == 1 else None
    for stem, start in starts:
        if start is None and front is not None and stem.startswith(front):
            start = len(front)
        if start is not None and _HEXADECIMAL.match(stem, start):
            return True
    return False


def _position(number: int, *, first: int, count: int) -> int | None:
    return number - first if 0 <= number - first < count else None


def _counting_remark(
    stems: Sequence[str],
    names: Sequence[str],
    frames: _Frames,
    first: int | None,
    column: _Column,
    *,
    is_alone: bool,
) -> str | None:
    """How the numbers were read, where another way would give other frames."""
    placed = zip(frames, stems, column.numbers, strict=True)
    frame, stem, number = min((f, stem, n) for f, stem, n in placed if f is not None)
    if first == 1:
        return Message(
            "The files are numbered from 1: “{stem}” belongs to frame {frame}.",
            stem=stem,
            frame=frame,
        )
    if number == 0 and is_alone:
        return None
    if first == 0 or names[0].isdecimal():
        return Message(
            "File numbers are taken as counted from 0: “{stem}” belongs to frame {frame}.",
            stem=stem,
            frame=frame,
        )
    return Message(
        "The numbers in the names decide: “{stem}” belongs to frame {frame}, “{name}”.",
        stem=stem,
        frame=frame,
        name=names[frame],
    )


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
