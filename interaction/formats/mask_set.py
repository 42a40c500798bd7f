"""Imported masks: which frames and which objects they are about, and what they say of presence."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.mask_folders import FoundMasks, place_masks, place_single_mask
from interaction.annotation.overlaps import Stack
from interaction.annotation.types import ObjectInfo, PresenceRange, PresenceState
from interaction.errors import UserError
from interaction.files import parse_json, read_regular
from interaction.formats.format import FRAMES_CSV, OBJECTS_JSON
from interaction.formats.options import parse_color
from interaction.video.container import MAX_FRAME_PIXELS
from xmem_core.arrays import Frame
from xmem_core.messages import Message

__all__ = [
    "MOST_OBJECTS",
    "FoundObject",
    "MaskSet",
    "NamedObject",
    "Surroundings",
    "check_pixels",
    "clean_name",
    "damaged",
    "listed_presence",
    "merged_presence",
    "names_in_meta",
    "names_in_objects_json",
    "only_boxes",
    "place_files",
    "place_listed",
    "presence_in_objects_json",
    "read_json",
    "read_text",
    "readable",
    "with_listed_presence",
    "with_states",
]

MOST_OBJECTS: Final = 255


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object of the masks that are to be read."""

    key: (
        int  # its pixel value in what `MaskSet.read` gives, 1..255; its id where the format has ids
    )
    name: str | None = None
    color: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The video that masks are read for."""

    names: Sequence[str]  # of its frames, without suffix
    width: int
    height: int
    sequence: str  # what data sets with several sequences would call it
    shown: int = 0  # the frame of a single mask whose name tells none
    first_number: int | None = None  # the number of the first frame in file names, where known
    # (H, W, 3) RGB of a frame, to tell copies of the video's pictures from masks.
    picture: Callable[[int], Frame] | None = None
    # Called with (done, total) while files are examined; what it raises cancels.
    on_progress: Callable[[int, int], object] = lambda done, total: None


@dataclass(frozen=True, slots=True, eq=False)
class MaskSet:
    """Masks that were recognised and not yet read. Each is held only while it is read."""

    format: str  # a name in FORMATS, or "pictures" for masks of no format of ours
    title: str  # for people
    objects: tuple[FoundObject, ...]  # by key
    sizes: Mapping[int, tuple[int, int]]  # frame -> (width, height), ascending by frame
    read: Callable[[int], Stack]  # frame -> keys, (H, W) of the size in `sizes`
    has_ids: bool  # keys are the ids the masks were made with
    unmatched: tuple[str, ...] = ()  # files that belong to no frame
    remarks: tuple[str, ...] = field(default=())
    # By key, what the files say of the objects' presence.
    presence: Mapping[int, tuple[PresenceRange, ...]] = field(default_factory=dict)


def check_pixels(path: Path, width: int, height: int) -> None:
    """UserError for a size that nothing here can hold. Before anything is decoded."""
    if not (width > 0 and height > 0 and width * height <= MAX_FRAME_PIXELS):
        raise damaged(
            path,
            Message("it says that masks are {width} × {height} pixels", width=width, height=height),
        )


def damaged(path: Path, reason: str) -> UserError:
    return UserError(
        "The masks in “{name}” could not be read: {reason}. Nothing was changed.\n\n"
        "Export them again from the program that made them.",
        name=path.name,
        reason=reason,
    )


def only_boxes(path: Path, count: int) -> UserError:
    """For a file or folder of boxes alone."""
    return UserError(
        "“{name}” holds boxes alone ({count}), and a box is no mask. Nothing was changed.\n\n"
        "Choose the export of masks or polygons of the program that made it (in YOLO and COCO: "
        "segmentation), or draw the boxes here with the box tool.",
        name=path.name,
        count=count,
    )


_LAST_NUMBER: Final = re.compile(r"\d+(?=\D*$)", re.ASCII)
_MOST_BYTES: Final = 256 * 2**20
_LEVELS: Final = 4  # folders above the files in which the list may lie


_FEWEST_PLACED: Final = 0.9  # share of files with a frame; with fewer they are another video's


def place_files(
    files: Sequence[Path], around: Surroundings, originals: Mapping[Path, str] | None = None
) -> FoundMasks:
    """Every file with its frame. originals: by file, the name it had before it was renamed.

    UserError if fewer than nine in ten have a frame, or two share one.
    """
    listed = _listed(files, len(around.names))
    if listed is not None:
        return listed
    if len(files) == 1 and not originals and around.first_number is None:
        return place_single_mask(files[0], around.names, around.shown)
    found = _placed(files, around, originals)
    _check_share(found, len(files), around)
    return found


def place_listed(
    files: Sequence[Path], around: Surroundings, originals: Mapping[Path, str] | None = None
) -> FoundMasks:
    """`place_files` for the names in a list such as a COCO file, which may hold several videos:
    only files named in the same way as those of this video count as missing a frame."""
    own = [path for path in files if around.sequence in path.parts[:-1]]
    files = own or files
    found = _placed(files, around, originals)
    patterns = {_pattern(path) for path in found.by_frame.values()}
    alike = [path for path in found.unmatched if not patterns or _pattern(path) in patterns]
    _check_share(replace(found, unmatched=tuple(alike)), len(found.by_frame) + len(alike), around)
    return found


def _placed(
    files: Sequence[Path], around: Surroundings, originals: Mapping[Path, str] | None
) -> FoundMasks:
    return place_masks(
        files,
        around.names,
        first_number=around.first_number,
        originals=originals,
        sequence=around.sequence,
    )


def _pattern(path: Path) -> str:
    """A name without its last number and without what other programs hang on it."""
    return _LAST_NUMBER.sub("0", path.stem.partition(".rf.")[0])


def _check_share(found: FoundMasks, count: int, around: Surroundings) -> None:
    if len(found.by_frame) >= _FEWEST_PLACED * count:
        return
    first, last = around.names[0], around.names[-1]
    odd = found.unmatched[0]
    raise UserError(
        "Only {count} of {total} masks belong to a frame of this video; "
        "“{name}” does not. Nothing was changed.\n\n"
        "Choose the masks of this video, take what is no mask away, or rename the masks as the "
        "frames are called: {first} to {last}.",
        count=len(found.by_frame),
        total=count,
        name=odd.name,
        first=first,
        last=last,
    )


def _listed(files: Sequence[Path], frame_count: int) -> FoundMasks | None:
    """By frames.csv, if one lies above the files and knows every one of them."""
    for folder in list(files[0].parents)[:_LEVELS]:
        path = folder / FRAMES_CSV
        if path.is_file():
            frames = _read_table(path, frame_count)
            try:
                found = {frames[file.relative_to(folder).as_posix()]: file for file in files}
            except (KeyError, ValueError):
                return None  # files have come or gone since
            return FoundMasks(dict(sorted(found.items())), ()) if len(found) == len(files) else None
    return None


def _read_table(path: Path, frame_count: int) -> dict[str, int]:
    """File -> frame. Nothing for a list that makes no sense: then names decide."""
    frames: dict[str, int] = {}
    try:
        text = read_regular(path, _MOST_BYTES).decode("utf-8")
        for row in csv.DictReader(io.StringIO(text, newline="")):
            frame = int(row["index"])
            if not 0 <= frame < frame_count:
                return {}
            frames[row["file"]] = frame
    except (OSError, UnicodeError, csv.Error, KeyError, TypeError, ValueError):
        return {}
    return frames


_MOST_JSON_BYTES: Final = 2**28
_LONGEST_NAME: Final = 200
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f]")


class NamedObject(NamedTuple):
    name: str | None
    color: tuple[int, int, int] | None = None


def read_json(path: Path) -> Any:
    """What a JSON file holds; None if it is none, or enormous."""
    try:
        return parse_json(read_regular(path, _MOST_JSON_BYTES).removeprefix(codecs.BOM_UTF8))
    except (OSError, ValueError):
        return None


def read_text(path: Path) -> str:
    """Raises UserError."""
    try:
        return read_regular(path, _MOST_JSON_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise damaged(path, Message("it is not a text file that can be read")) from error


def clean_name(value: object) -> str | None:
    """A name fit to be shown; None if there is none."""
    if not isinstance(value, str):
        return None
    return _UNSEEN.sub(" ", readable(value)).strip()[:_LONGEST_NAME] or None


def readable(name: str) -> str:
    """With a question mark for every byte of a file's name that is no UTF-8."""
    return name.encode("utf-8", "replace").decode()


def _within(data: object, *keys: str) -> Any:
    """What lies below `keys`, each within the one before; None where one is not there."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def names_in_objects_json(folder: Path) -> Mapping[int, NamedObject]:
    """By id, from the list an export of ours leaves; empty without one."""
    listed = _within(read_json(folder / OBJECTS_JSON), "objects")
    named: dict[int, NamedObject] = {}
    for one in listed if isinstance(listed, list) else []:
        if not isinstance(one, dict) or not isinstance(one.get("id"), int):
            continue
        try:
            color = parse_color(one.get("color", ""))
        except (TypeError, ValueError):
            color = None
        if 1 <= one["id"] <= 255:
            named[one["id"]] = NamedObject(clean_name(one.get("name")), color)
    return named


def presence_in_objects_json(folder: Path, masks: MaskSet, frame_count: int) -> MaskSet:
    """`masks` with what the list beside them says of presence, if there is one."""
    listed = _within(read_json(folder / OBJECTS_JSON), "presence")
    return with_listed_presence(masks, listed, frame_count)


def with_listed_presence(masks: MaskSet, listed: object, frame_count: int) -> MaskSet:
    """By id where keys are ids, else by a name that only one object has."""
    found = listed_presence(listed, frame_count)
    names = Counter(one.name for one in masks.objects)
    presence = dict(masks.presence)
    for one in masks.objects:
        matching = [
            ranges
            for (of, name), ranges in found.items()
            if (of == one.key if masks.has_ids else one.name and name == one.name)
        ]
        if len(matching) == 1 and (masks.has_ids or names[one.name] == 1):
            presence[one.key] = matching[0]
    return replace(masks, presence=presence)


def names_in_meta(path: Path, sequence: str) -> Mapping[int, NamedObject]:
    """By id, from YouTube-VOS's meta.json; empty if it does not know the sequence."""
    objects = _within(read_json(path), "videos", sequence, "objects")
    named: dict[int, NamedObject] = {}
    for text, one in objects.items() if isinstance(objects, dict) else []:
        if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 255:
            named[int(text)] = NamedObject(clean_name(_within(one, "category")))
    return named


# Of each object of a file, by id and by name: its ranges.
_FoundPresence = Mapping[tuple[int, str | None], tuple[PresenceRange, ...]]
_STATES: Final = tuple(PresenceState)
_NOT_LOOKED_AT: Final = _STATES.index(PresenceState.NOT_LOOKED_AT)


def listed_presence(listed: object, frame_count: int) -> _FoundPresence:
    """From the list that exports of ours have; whatever in it makes no sense is left out."""
    painted: dict[tuple[int, str | None], NDArray[np.uint8]] = {}
    for one in listed if isinstance(listed, list) else []:
        if not isinstance(one, dict):
            continue
        of, first, last = (_whole_number(one.get(key)) for key in ("object", "first", "last"))
        state, name = one.get("state"), one.get("name")
        if not 1 <= of <= 255 or not 0 <= first <= last or state not in _STATES:
            continue
        key = of, name if isinstance(name, str) else None
        if key not in painted:
            if len(painted) == MOST_OBJECTS:
                continue
            painted[key] = np.full(frame_count, _NOT_LOOKED_AT, np.uint8)
        states = painted[key]
        states[first : last + 1] = _STATES.index(PresenceState(state))
    return {key: _ranges(states) for key, states in painted.items()}


def _whole_number(value: object) -> int:
    """-1 for what is no whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def with_states(
    ranges: tuple[PresenceRange, ...], new: Mapping[int, PresenceState], frame_count: int
) -> tuple[PresenceRange, ...]:
    """`ranges`, and the `new` states on frames of which they say nothing."""
    states = _painted(ranges, frame_count)
    for frame, state in new.items():
        if states[frame] == _NOT_LOOKED_AT:
            states[frame] = _STATES.index(state)
    return _ranges(states)


def merged_presence(
    one: ObjectInfo,
    new: Iterable[PresenceRange],
    frame_count: int,
    leaves: Collection[int],
    shown: Collection[int],
) -> tuple[PresenceRange, ...]:
    """The object's ranges with the new ones. leaves: frames of which nothing is taken over; shown:
    those where the object stays in sight, whatever the new ones say of its absence."""
    states, found = _painted(one.presence, frame_count), _painted(new, frame_count)
    is_listed = found != _NOT_LOOKED_AT
    is_listed[sorted(leaves)] = False
    absent = _STATES.index(PresenceState.ABSENT)
    is_seen = np.zeros(frame_count, np.bool_)
    is_seen[sorted(shown)] = True
    is_listed &= ~(is_seen & (found == absent))
    return _ranges(np.where(is_listed, found, states).astype(np.uint8))


def _painted(ranges: Iterable[PresenceRange], frame_count: int) -> NDArray[np.uint8]:
    states = np.full(frame_count, _NOT_LOOKED_AT, np.uint8)
    for part in ranges:
        states[part.first : part.last + 1] = _STATES.index(part.state)
    return states


def _ranges(states: NDArray[np.uint8]) -> tuple[PresenceRange, ...]:
    starts = np.concatenate([[0], np.flatnonzero(np.diff(states)) + 1]).tolist()
    ends = [*(start - 1 for start in starts[1:]), len(states) - 1]
    return tuple(
        PresenceRange(first, last, _STATES[states[first]])
        for first, last in zip(starts, ends, strict=True)
        if states[first] != _NOT_LOOKED_AT
    )
