"""Preview an import and plan it: frames, objects, conflicts."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from interaction.annotation.annotation import Annotation
from interaction.annotation.edits import next_color
from interaction.annotation.overlaps import Stack, ids_beneath
from interaction.annotation.types import (
    EMPTY_RECORD,
    FrameRecord,
    FrameStatus,
    ObjectInfo,
    PresenceRange,
)
from interaction.errors import UserError
from interaction.formats.format import count_frames, describe_frames, on_frames
from interaction.formats.mask_set import MaskSet, Surroundings, merged_presence
from interaction.formats.recognise import recognise_masks
from interaction.video.pixels import Orientation
from interaction.video.video import Video
from xmem_core.arrays import Labels
from xmem_core.messages import Message

__all__ = [
    "ImportChoices",
    "ImportPlan",
    "ImportPreview",
    "ImportedObject",
    "Outcome",
    "plan_import",
    "preview_import",
]


@dataclass(frozen=True, slots=True)
class ImportedObject:
    """An object of the masks, and which object of the annotation it is taken for."""

    key: int  # what `object_ids` of `import_masks` calls it
    name: str | None  # None where the masks tell none
    color: tuple[int, int, int] | None
    frame_count: int
    object_id: int  # suggested: an id in use means that very object, a free one a new object


@dataclass(frozen=True, slots=True, eq=False)
class ImportPreview:
    """Masks that were recognised, and what they would meet. Nothing has been changed."""

    path: Path
    objects: tuple[ImportedObject, ...]
    frames: tuple[int, ...]  # with a mask, ascending
    width: int  # of the video; masks of other sizes are brought to it, each pixel by its nearest
    height: int
    resized: Mapping[tuple[int, int], int]  # (width, height) of such masks -> how many
    # Frame -> keys of the objects in its mask, as it is once it has the video's size.
    present: Mapping[int, frozenset[int]]
    covered: Mapping[
        int, frozenset[int]
    ]  # frame -> keys with pixels under others, if there are any
    lost: Mapping[int, frozenset[int]]  # frame -> keys whose few pixels are gone by then
    conflicts: tuple[int, ...]  # frames that have a mask already
    given_conflicts: tuple[int, ...]  # those of them that were made or confirmed by hand
    remarks: tuple[str, ...]
    masks: MaskSet
    turns: Mapping[int, Orientation]  # of masks made without the video's own rotation

    def keys(self, frame: int) -> Labels:
        """(height, width) keys of what is visible in a frame's mask, as the video. UserError."""
        return self.stack(frame)[0]

    def stack(self, frame: int) -> Stack:
        """As `keys`, with what lies beneath. UserError."""
        return _at_size(_upright(self.masks.read(frame), self.turns.get(frame)), self)

    def on(self, frame: int, *, keeps_covered: bool) -> frozenset[int]:
        """Keys with pixels in the frame's mask, visible ones or any."""
        covered = self.covered.get(frame, frozenset()) if keeps_covered else frozenset()
        return self.present[frame] | covered

    def lines(self) -> list[str]:
        """All of it for people, a sentence a line."""
        lines: list[str] = [
            Message(
                "{title}; {frames}: {spans}",
                title=self.masks.title,
                frames=count_frames(len(self.frames)),
                spans=describe_frames(self.frames),
            )
        ]
        lines += on_frames(
            Message(
                "{frames}: the mask lacks the rotation of the video and is turned with it: {spans}"
            ),
            self.turns,
        )
        for (width, height), count in self.resized.items():
            lines.append(
                Message(
                    "{count} mask is {width} × {height} pixels and will be resized to "
                    "{new_width} × {new_height}, each pixel taking the nearest one's value",
                    "{count} masks are {width} × {height} pixels and will be resized to "
                    "{new_width} × {new_height}, each pixel taking the nearest one's value",
                    count=count,
                    width=width,
                    height=height,
                    new_width=self.width,
                    new_height=self.height,
                )
            )
        lines += on_frames(Message("of {frames} there is a mask already: {spans}"), self.conflicts)
        lines += on_frames(
            Message("objects overlap on {frames}, the later ones in front: {spans}"), self.covered
        )
        if unmatched := self.masks.unmatched:
            lines.append(
                Message(
                    "belongs to no frame: {name}",
                    "belong to no frame: {name} and {more} more",
                    name=unmatched[0],
                    more=len(unmatched) - 1,
                    count=len(unmatched),
                )
            )
        return [*lines, *self.remarks]

    def to_json(self) -> dict[str, object]:
        return {
            "path": str(self.path),
            "format": self.masks.format,
            "title": self.masks.title,
            "objects": [
                {
                    "key": one.key,
                    "name": one.name,
                    "color": one.color and "#{:02x}{:02x}{:02x}".format(*one.color),
                    "frames": one.frame_count,
                    "object": one.object_id,
                }
                for one in self.objects
            ],
            "frames": list(self.frames),
            "resized": [
                {"width": width, "height": height, "frames": count}
                for (width, height), count in self.resized.items()
            ],
            "turned": list(self.turns),
            "conflicts": list(self.conflicts),
            "given_conflicts": list(self.given_conflicts),
            "overlaps": list(self.covered),
            "unmatched": list(self.masks.unmatched),
            "remarks": list(self.remarks),
        }


def preview_import(
    path: Path,
    video: Video,
    annotation: Annotation,
    *,
    shown: int = 0,
    first_number: int | None = None,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> ImportPreview:
    """Recognises the masks in `path`, a folder or a file, and reads each as it would be imported.

    shown: the frame of a single mask whose name tells none. first_number: the number that the
    first frame has in the files' names; None: inferred. on_progress: called with (done, total)
    steps; an exception it raises cancels. Raises UserError:
    nothing recognised, damaged, hostile, for another video.
    """
    path = Path(path)
    progress = _Progress(on_progress)
    around = _surroundings(video, annotation, shown, first_number, progress)
    # Records never change: what is looked at here may go on being edited.
    records, objects = dict(annotation.records), annotation.objects
    masks = recognise_masks(path, around)
    frames = tuple(masks.sizes)
    fit = _Fit(path, video, around)
    turns = {frame: turn for frame, size in masks.sizes.items() if (turn := fit.turn(frame, size))}
    other_sizes = Counter(
        size
        for size in masks.sizes.values()
        if sorted(size) != sorted((around.width, around.height))
    )
    present, covered, lost = _read_all(masks, turns, around, progress)
    conflicts = tuple(
        frame
        for frame in frames
        if frame in records and records[frame].status is not FrameStatus.EMPTY
    )
    return ImportPreview(
        path=path,
        objects=_suggest(masks, present, covered, objects),
        frames=frames,
        width=around.width,
        height=around.height,
        resized=dict(other_sizes),
        present=present,
        covered=covered,
        lost=lost,
        conflicts=conflicts,
        given_conflicts=tuple(f for f in conflicts if records[f].status.is_given),
        remarks=(*masks.remarks, *fit.remarks(frames)),
        masks=masks,
        turns=turns,
    )


def _surroundings(
    video: Video,
    annotation: Annotation,
    shown: int,
    first_number: int | None,
    progress: "_Progress",
) -> Surroundings:
    """UserError where the video has no frame `shown`."""
    if not 0 <= shown < len(video):
        raise UserError(
            "There is no frame {shown} for the mask: the video has frames 0 to {last}. "
            "Nothing was changed.\n\nChoose one of them.",
            shown=shown,
            last=len(video) - 1,
        )
    return Surroundings(
        names=[video.name(frame) for frame in range(len(video))],
        width=annotation.width,
        height=annotation.height,
        sequence=video.path.name if video.path.is_dir() else video.path.stem,
        shown=shown,
        first_number=first_number,
        picture=video.__getitem__,
        on_progress=progress.recognising,
    )


class _Fit:
    """Whether masks of a size can be laid on the video, and turned how. They are never squeezed."""

    def __init__(self, path: Path, video: Video, around: Surroundings) -> None:
        self._path, self._video = path, video
        self._size = around.width, around.height
        self._stored: tuple[int, int] | None = None  # read when it is needed

    def turn(self, frame: int, size: tuple[int, int]) -> Orientation | None:
        """What makes a mask of `size` upright; None for one that is. UserError if none does."""
        if _is_alike(size, self._size):
            return None
        turn = self._video.orientation(frame)
        if turn.is_transposed and _is_alike((size[1], size[0]), self._size):
            return turn
        if self._stored is None:
            self._stored = self._video.stored_size()
        if _is_alike(size, self._stored):  # not of square pixels, stretched as the video's are
            return None if turn == Orientation() else turn
        width, height = self._size
        raise UserError(
            "A mask in “{name}” (frame {frame}) is {width} × {height} pixels, and "
            "the video is {video_width} × {video_height}: another shape, so the mask would "
            "not lie on its "
            "object. Nothing was changed.\n\nExport the masks again at the video's size, without "
            "borders and turned as the video is shown.",
            name=self._path.name,
            frame=frame,
            width=size[0],
            height=size[1],
            video_width=width,
            video_height=height,
        )

    def remarks(self, frames: Sequence[int]) -> list[str]:
        """Where a rotation leaves the sides as they are, nothing shows whether masks have it."""
        turn = self._video.orientation(frames[0]) if frames else Orientation()
        is_square = self._size[0] == self._size[1]
        if turn == Orientation() or (turn.is_transposed and not is_square):
            return []
        return [
            Message(
                "The video is shown turned or mirrored, as it says of itself; the masks are taken "
                "as made of what is shown."
            )
        ]


def _is_alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one is the other enlarged or made smaller, but for a rounded pixel."""
    small, large = sorted((size, other))
    by_height, by_width = large[1] / small[1], large[0] / small[0]
    return abs(small[0] - large[0] / by_height) <= 1 or abs(small[1] - large[1] / by_width) <= 1


def _upright(keys: Stack, turn: Orientation | None) -> Stack:
    return keys if turn is None else tuple(turn.apply(one[:, :, None])[:, :, 0] for one in keys)


class _Progress:
    """Of two passes that take about as long: over the files, and over the frames."""

    def __init__(self, on_progress: Callable[[int, int], object]) -> None:
        self._tell = on_progress
        self._files = 0

    def recognising(self, done: int, total: int) -> None:
        self._files = total
        self._tell(done, 2 * total)

    def reading(self, done: int, total: int) -> None:
        files = self._files or total
        self._tell(files + done * files // total, 2 * files)


def _read_all(
    masks: MaskSet, turns: Mapping[int, Orientation], around: Surroundings, progress: "_Progress"
) -> tuple[dict[int, frozenset[int]], dict[int, frozenset[int]], dict[int, frozenset[int]]]:
    """Frame -> keys that its mask has at the video's size, those that it has beneath others there,
    and those that it had before."""
    present: dict[int, frozenset[int]] = {}
    covered: dict[int, frozenset[int]] = {}
    lost: dict[int, frozenset[int]] = {}
    for done, frame in enumerate(masks.sizes, start=1):
        read = _upright(masks.read(frame), turns.get(frame))
        keys = _at_size(read, around)
        present[frame] = _keys_in(keys[0])
        if beneath := ids_beneath(keys):
            covered[frame] = beneath
        if keys is not read and (gone := _keys_in(read[0]) - present[frame]):
            lost[frame] = gone
        progress.reading(done, len(masks.sizes))
    return present, covered, lost


def _at_size(keys: Stack, target: ImportPreview | Surroundings) -> Stack:
    if keys[0].shape == (target.height, target.width):
        return keys
    size, nearest = (target.width, target.height), cv2.INTER_NEAREST_EXACT
    return tuple(np.asarray(cv2.resize(one, size, interpolation=nearest), np.uint8) for one in keys)


def _keys_in(labels: Labels) -> frozenset[int]:
    counts = cv2.calcHist([np.ascontiguousarray(labels)], [0], None, [256], [0, 256])
    return frozenset(np.flatnonzero(counts).tolist()) - {0}


def _suggest(
    masks: MaskSet,
    present: Mapping[int, frozenset[int]],
    covered: Mapping[int, frozenset[int]],
    existing: tuple[ObjectInfo, ...],
) -> tuple[ImportedObject, ...]:
    """Masks with ids keep them; other objects are taken for one of the same name, or are new."""
    chosen: dict[int, int] = {}
    if masks.has_ids:
        chosen = {one.key: one.key for one in masks.objects}
    else:
        by_name = {one.name: one.id for one in reversed(existing)}
        for one in masks.objects:
            known = by_name.pop(one.name, None) if one.name else None
            if known is not None:
                chosen[one.key] = known
        taken = {one.id for one in existing}
        free = (number for number in range(1, 256) if number not in taken)
        for one in masks.objects:
            if one.key not in chosen:
                chosen[one.key] = next(free, 0)  # 0: there is no room for it
    nothing: frozenset[int] = frozenset()
    counts = Counter(key for f, keys in present.items() for key in keys | covered.get(f, nothing))
    return tuple(
        ImportedObject(one.key, one.name, one.color, counts[one.key], chosen[one.key])
        for one in masks.objects
    )


_STATUSES: Final = (FrameStatus.CONFIRMED, FrameStatus.TRACKED)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportChoices:
    """What is to be taken of the masks, and how."""

    # Key -> object id; 0 or absent: left out. None: as the preview suggests. Several keys may go
    # to one object. An id that is not in use yet makes a new object.
    object_ids: Mapping[int, int] | None = None
    status: FrameStatus = FrameStatus.CONFIRMED  # or TRACKED: a propagation may replace them
    replaces_given: bool = False  # also frames whose mask was made or confirmed by hand
    # Other objects keep their pixels where the imported ones have none; otherwise the imported
    # mask is the whole frame.
    keeps_others: bool = False
    # Where imported objects overlap, they keep what others cover of them, now and from now on;
    # otherwise only those do that keep covered pixels already.
    keeps_covered: bool = False
    takes_empty: bool = False  # also masks without a pixel of the objects: they are not there
    first: int = 0
    last: int | None = None

    def __post_init__(self) -> None:
        if self.status not in _STATUSES:
            raise ValueError(f"status must be confirmed or tracked, got {self.status}")
        ids = (self.object_ids or {}).values()
        if not all(0 <= one <= 255 for one in ids):
            raise ValueError(f"object_ids must be 0 to 255, got {sorted(ids)}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a frame will be."""

    status: FrameStatus
    given: frozenset[int]  # the objects it answers for


class _Fate(Enum):
    """What becomes of a frame with a mask to import."""

    IMPORTED = auto()
    LEFT_GIVEN = auto()
    LEFT_EMPTY = auto()
    LEFT_OUTSIDE = auto()


@dataclass(frozen=True, eq=False)
class ImportPlan:
    """What an import would do. Nothing has been changed. Made by `plan_import`."""

    preview: ImportPreview
    choices: ImportChoices
    records: Mapping[int, FrameRecord]  # what there is
    objects: tuple[ObjectInfo, ...]
    frame_count: int  # of the video

    @cached_property
    def _chosen(self) -> Mapping[int, int]:
        """Key -> object id, without those that are left out."""
        chosen = self.choices.object_ids
        if chosen is None:
            chosen = {one.key: one.object_id for one in self.preview.objects}
        return {key: object_id for key, object_id in chosen.items() if object_id}

    @cached_property
    def locked_ids(self) -> frozenset[int]:
        return frozenset(one.id for one in self.objects if one.is_locked)

    @cached_property
    def ids(self) -> Mapping[int, int]:
        """Key -> object id, of what is taken."""
        return {key: one for key, one in self._chosen.items() if one not in self.locked_ids}

    @property
    def locked(self) -> tuple[ObjectInfo, ...]:
        """Those that are chosen, but nothing of them is imported."""
        chosen = self._chosen.values()
        return tuple(one for one in self.objects if one.is_locked and one.id in chosen)

    # Frames

    def _on(self, frame: int) -> frozenset[int]:
        """Keys that the frame's mask gives pixels."""
        return self.preview.on(frame, keeps_covered=self.choices.keeps_covered)

    def _fate(self, frame: int) -> _Fate:
        choices = self.choices
        if frame < choices.first or (choices.last is not None and frame > choices.last):
            return _Fate.LEFT_OUTSIDE
        if self._record(frame).status.is_given and not choices.replaces_given:
            return _Fate.LEFT_GIVEN
        if not self.ids or not (choices.takes_empty or self._on(frame) & self.ids.keys()):
            return _Fate.LEFT_EMPTY
        return _Fate.IMPORTED

    @cached_property
    def _fates(self) -> Mapping[int, _Fate]:
        return {frame: self._fate(frame) for frame in self.preview.frames}

    def _with_fate(self, fate: _Fate) -> tuple[int, ...]:
        return tuple(frame for frame, one in self._fates.items() if one is fate)

    @cached_property
    def frames(self) -> tuple[int, ...]:
        """Those that are imported, ascending."""
        return self._with_fate(_Fate.IMPORTED)

    @cached_property
    def left_given(self) -> tuple[int, ...]:
        """Frames left alone: their mask was made or confirmed by hand."""
        return self._with_fate(_Fate.LEFT_GIVEN)

    @cached_property
    def left_empty(self) -> tuple[int, ...]:
        """Frames left alone: nothing of the objects is in the mask."""
        return self._with_fate(_Fate.LEFT_EMPTY)

    @cached_property
    def left_outside(self) -> tuple[int, ...]:
        """Frames outside the range."""
        return self._with_fate(_Fate.LEFT_OUTSIDE)

    def _record(self, frame: int) -> FrameRecord:
        return self.records.get(frame, EMPTY_RECORD)

    def lost_on(self, frame: int) -> set[int]:
        """Ids of objects that are in the frame's mask, but no longer once it is resized."""
        lost = self.preview.lost.get(frame, frozenset()) & self.ids.keys()
        left = self.preview.present[frame] & self.ids.keys()
        return {self.ids[key] for key in lost} - {self.ids[key] for key in left}

    @property
    def lost_frames(self) -> list[int]:
        """Ascending, those where that is so, also where it leaves nothing to import."""
        return [f for f in sorted((*self.frames, *self.left_empty)) if self.lost_on(f)]

    # Objects

    def made_of(self, keys: Collection[int]) -> tuple[ObjectInfo, ...]:
        """New objects that keys of `ids` become."""
        result: list[ObjectInfo] = []
        used_names = {one.name for one in self.objects}
        for one in self.preview.objects:
            object_id = self.ids.get(one.key, 0) if one.key in keys else 0
            others = (*self.objects, *result)
            if not object_id or any(other.id == object_id for other in others):
                continue
            name = one.name or f"Object {object_id}"
            if name in used_names:  # two of one name could not be told apart
                name = f"{name} {object_id}"
            used_names.add(name)
            color = one.color or next_color(other.color for other in others)
            result.append(ObjectInfo(object_id, name, color))
        return tuple(result)

    @cached_property
    def new_objects(self) -> tuple[ObjectInfo, ...]:
        return self.made_of(frozenset[int]().union(*map(self._on, self.frames)))

    @property
    def _known(self) -> tuple[ObjectInfo, ...]:
        return (*self.objects, *self.new_objects)

    @cached_property
    def new_keepers(self) -> frozenset[int]:
        """Ids of objects that keep covered pixels from now on."""
        if not self.choices.keeps_covered:
            return frozenset()
        beneath = {key for frame in self.frames for key in self.preview.covered.get(frame, ())}
        kept = {one.id for one in self.objects if one.keeps_covered}
        return frozenset(self.ids[key] for key in beneath & self.ids.keys()) - kept

    @cached_property
    def objects_after(self) -> tuple[ObjectInfo, ...]:
        """All, with what the masks say of the presence of those that are taken, but for frames
        outside the range, frames whose masks were made by hand and stay, and frames that keep
        showing an object that is said to be absent."""
        end = self.frame_count
        first = min(self.choices.first, end)
        after = end if self.choices.last is None else self.choices.last + 1
        leaves = {*range(first), *range(after, end), *self.left_given}
        found: dict[int, list[PresenceRange]] = {}
        for key, object_id in self.ids.items():
            found.setdefault(object_id, []).extend(self.preview.masks.presence.get(key, ()))
        result = []
        for one in self._known:
            one = replace(one, keeps_covered=one.keeps_covered or one.id in self.new_keepers)
            if found.get(one.id):
                shown = [
                    frame
                    for frame, record in self.records.items()
                    if one.id in record.present and frame not in self.outcomes
                ]
                ranges = merged_presence(one, found[one.id], end, leaves, shown)
                one = replace(one, presence=ranges)
            result.append(one)
        return tuple(result)

    # Which objects a frame answers for, once its mask is imported

    @property
    def _taken(self) -> frozenset[int]:
        """Ids of objects that get pixels."""
        return frozenset(self.ids.values()) & {one.id for one in self._known}

    @property
    def _staying(self) -> frozenset[int]:
        """Ids of objects that keep their pixels."""
        if not self.choices.keeps_others:
            return self.locked_ids
        return self.locked_ids | ({one.id for one in self.objects} - self._taken)

    @cached_property
    def outcomes(self) -> Mapping[int, Outcome]:
        """By frame, ascending: the frames that are imported."""
        before, staying = frozenset(one.id for one in self.objects), self._staying
        all_ids = frozenset(one.id for one in self._known)
        is_confirmed = self.choices.status is FrameStatus.CONFIRMED
        # What is not in a mask that is the whole frame is absent, unless it was left out of it.
        holds_more = any(
            one.frame_count and one.key not in self.ids for one in self.preview.objects
        )
        is_whole = not self.choices.keeps_others and not holds_more
        answered = (all_ids if is_whole else self._taken) - self.locked_ids
        outcomes = {}
        for frame in self.frames:
            record = self._record(frame)
            given = before if record.status is FrameStatus.CONFIRMED else record.given
            spoken = given & staying
            if is_confirmed:
                spoken |= answered - self.lost_on(frame)
            status = FrameStatus.CORRECTED if spoken else FrameStatus.TRACKED
            if spoken >= all_ids and (spoken or is_confirmed):
                status = FrameStatus.CONFIRMED
            outcomes[frame] = Outcome(status, spoken)
        return outcomes

    @property
    def unspoken(self) -> tuple[ObjectInfo, ...]:
        """Those that are not chosen and keep frames from being whole."""
        if self.choices.status is not FrameStatus.CONFIRMED:
            return ()
        everywhere = {one.id for one in self._known}.intersection(
            *(one.given for one in self.outcomes.values())
        )
        chosen = set(self._chosen.values())
        return tuple(one for one in self._known if one.id not in everywhere | chosen)

    @property
    def removed(self) -> tuple[ObjectInfo, ...]:
        """Those that are not in the masks and lose their pixels."""
        kept = self._staying | self._taken
        seen = {one for frame in self.frames for one in self._record(frame).present}
        return tuple(one for one in self.objects if one.id in seen - kept)

    # In words

    @property
    def problem(self) -> str | None:
        """Why nothing would be imported, in words; None if something will be."""
        if self.frames:
            return None
        if not self.preview.objects:
            why, remedy = (
                Message("there is no object in any of them"),
                Message("Choose other masks."),
            )
        elif not self.ids and self.locked:
            why, remedy = (
                Message("all its objects are locked"),
                Message("Unlock them, or choose other objects."),
            )
        elif not self.ids:
            why, remedy = Message("every object is left out"), Message("Choose an object.")
        elif self.left_given and not self.left_empty:
            why = Message(
                "every frame of them has a mask that was made or confirmed by hand, or lies "
                "outside the range"
            )
            remedy = Message("Allow those frames to be replaced, or choose another range.")
        elif self.left_given:
            why = Message(
                "every frame of them has a mask that was made or confirmed by hand, or holds "
                "nothing of the objects"
            )
            remedy = Message("Allow those frames to be replaced, or allow empty masks.")
        elif self.left_empty:
            why = Message("there is no pixel of the objects in any of them")
            remedy = Message("Choose other objects, or allow empty masks.")
        else:
            why, remedy = (
                Message("every frame of them lies outside the range"),
                Message("Choose another range."),
            )
        return Message(
            "None of these masks would be imported: {why}. Nothing was changed.\n\n{remedy}",
            why=why,
            remedy=remedy,
        )

    def lines(self) -> list[str]:
        """All of it for people, a sentence a line; the problem is not among them."""
        emptied = [frame for frame in self.frames if not self._on(frame) & self.ids.keys()]
        lines: list[str] = []
        lines += on_frames(Message("{frames} will be imported: {spans}"), self.frames)
        lines += self._status_lines()
        for words, frames in (
            (Message("{frames} left alone, made or confirmed by hand: {spans}"), self.left_given),
            (
                Message("{frames} left alone, nothing of the objects is in the mask: {spans}"),
                self.left_empty,
            ),
            (Message("{frames} outside the range left alone"), self.left_outside),
            (
                Message("{frames} made or confirmed by hand will be replaced: {spans}"),
                [frame for frame in self.frames if self._record(frame).status.is_given],
            ),
            (Message("none of the objects will be on {frames}: {spans}"), emptied),
        ):
            lines += on_frames(words, frames)
        keepers = [one for one in self._known if one.id in self.new_keepers]
        lines += _of_objects(Message("what others cover is kept, from now on, of {names}"), keepers)
        presence = {one.id: one.presence for one in self.objects}
        changed = [one for one in self.objects_after if one.presence != presence.get(one.id, ())]
        lines += _of_objects(Message("presence is taken over too, of {names}"), changed)
        for one in self.locked:
            lines.append(Message("‘{name}’ is locked: nothing of it is imported", name=one.name))
        for one in self.removed:
            lines.append(
                Message(
                    "‘{name}’ is not imported and loses its pixels on these frames", name=one.name
                )
            )
        return lines + on_frames(
            Message(
                "an object is so small that resizing leaves nothing of it on {frames}: {spans}"
            ),
            self.lost_frames,
        )

    def _status_lines(self) -> list[str]:
        lines: list[str] = []
        for status, words in (
            (FrameStatus.CONFIRMED, Message("{frames}{where} will count as right and whole")),
            (
                FrameStatus.CORRECTED,
                Message(
                    "{frames}{where} will count as right, but not whole: other objects can be "
                    "tracked"
                ),
            ),
            (FrameStatus.TRACKED, Message("{frames}{where} will count as tracked")),
        ):
            frames = [f for f, one in self.outcomes.items() if one.status is status]
            is_part = len(frames) < len(self.outcomes)
            where = f" ({describe_frames(frames)})" if is_part else ""
            lines += on_frames(words, frames, where=where)
        words = Message("the masks hold no information about {names}")
        return lines + _of_objects(words, self.unspoken)

    def to_json(self) -> dict[str, object]:
        return {
            "frames": list(self.frames),
            "frames_by_status": {
                status.value: sum(one.status is status for one in self.outcomes.values())
                for status in (*_STATUSES, FrameStatus.CORRECTED)
            },
            "objects": {str(key): object_id for key, object_id in self.ids.items()},
            "new_objects": [one.id for one in self.new_objects],
            "new_keepers": sorted(self.new_keepers),
            "presence": {
                str(one.id): [[part.first, part.last, part.state] for part in one.presence]
                for one in self.objects_after
                if one.presence
            },
            "locked": [one.id for one in self.locked],
            "removed": [one.id for one in self.removed],
            "left_given": list(self.left_given),
            "left_empty": list(self.left_empty),
            "left_outside": list(self.left_outside),
            "lost_by_resizing": self.lost_frames,
            "problem": self.problem,
        }


def plan_import(
    preview: ImportPreview, annotation: Annotation, choices: ImportChoices | None = None
) -> ImportPlan:
    """Reads nothing from the disk. ValueError for keys that the masks do not hold.

    Call it on the thread that owns the annotation.
    """
    choices = choices or ImportChoices()
    known, keys = {one.key for one in preview.objects}, set(choices.object_ids or ())
    if not keys <= known:
        raise ValueError(f"object_ids must have keys of {sorted(known)}, got {sorted(keys)}")
    records = dict(annotation.records)
    return ImportPlan(preview, choices, records, annotation.objects, annotation.frame_count)


def _of_objects(words: Message, objects: Sequence[ObjectInfo]) -> list[Message]:
    """`words` with their {names}; nothing where there are none."""
    names = ", ".join(f"‘{one.name}’" for one in objects)
    return [Message(words.template, names=names)] if objects else []
