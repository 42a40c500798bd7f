"""What an import would do to the annotation: which frames, which objects, and what stays as it is.

Worked out once, from what the masks hold and what there is; the dialog and the command line show
it, and the edits follow it.

A mask says of its objects where they are and that they are nowhere else. Of other objects it says
nothing, unless it is meant to be the whole frame. So a frame becomes confirmed only if everything
in the annotation is spoken for; otherwise it is corrected, for the objects that are.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from interaction.object_colors import next_color
from interaction.project.exporters.gaps import count_frames, describe_frames
from interaction.project.importers.preview import ImportPreview, ImportTarget
from interaction.types import EMPTY_RECORD, FrameRecord, FrameStatus, ObjectInfo

__all__ = ["ImportChoices", "ImportPlan", "Outcome", "new_objects", "plan_import"]

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


@dataclass(frozen=True, slots=True, eq=False)
class ImportPlan:
    """Made by `plan_import`. Nothing has been changed."""

    preview: ImportPreview
    choices: ImportChoices
    ids: Mapping[int, int]  # key -> object id, of what is taken
    records: Mapping[int, FrameRecord]  # what there is
    objects: tuple[ObjectInfo, ...]
    new_objects: tuple[ObjectInfo, ...]
    outcomes: Mapping[int, Outcome]  # by frame, ascending: the frames that are imported
    locked: tuple[ObjectInfo, ...]  # chosen, but nothing of them is imported
    unspoken: tuple[ObjectInfo, ...]  # others, which keep frames from being whole
    removed: tuple[ObjectInfo, ...]  # that are not in the masks and lose their pixels
    left_given: tuple[int, ...]  # frames left alone: their mask was made or confirmed by hand
    left_empty: tuple[int, ...]  # frames left alone: nothing of the objects is in the mask
    left_outside: tuple[int, ...]  # frames outside the range

    @property
    def frames(self) -> tuple[int, ...]:
        return tuple(self.outcomes)

    @property
    def problem(self) -> str | None:
        """Why nothing would be imported, in words; None if something will be."""
        if self.outcomes:
            return None
        if not self.preview.objects:
            why, remedy = "there is no object in any of them", "Choose other masks."
        elif not self.ids and self.locked:
            why, remedy = "all its objects are locked", "Unlock them, or choose other objects."
        elif not self.ids:
            why, remedy = "every object is left out", "Choose an object."
        elif self.left_given and not self.left_empty:
            why = (
                "every frame of them has a mask that was made or confirmed by hand, or lies "
                "outside the range"
            )
            remedy = "Allow those frames to be replaced, or choose another range."
        elif self.left_given:
            why = (
                "every frame of them has a mask that was made or confirmed by hand, or holds "
                "nothing of the objects"
            )
            remedy = "Allow those frames to be replaced, or allow empty masks."
        elif self.left_empty:
            why = "there is no pixel of the objects in any of them"
            remedy = "Choose other objects, or allow empty masks."
        else:
            why, remedy = "every frame of them lies outside the range", "Choose another range."
        return f"None of these masks would be imported: {why}. Nothing was changed.\n\n{remedy}"

    def lines(self) -> list[str]:
        """All of it for people, a sentence a line; the problem is not among them."""
        lines: list[str] = []
        if self.outcomes:
            lines.append(f"{_frames(self.frames)} will be imported: {_spans(self.frames)}")
        lines += self._status_lines()
        if self.left_given:
            lines.append(
                f"{_frames(self.left_given)} left alone, made or confirmed by hand: "
                f"{_spans(self.left_given)}"
            )
        if self.left_empty:
            lines.append(
                f"{_frames(self.left_empty)} left alone, nothing of the objects is in the mask: "
                f"{_spans(self.left_empty)}"
            )
        if self.left_outside:
            lines.append(f"{_frames(self.left_outside)} outside the range left alone")
        replaced = [f for f in self.outcomes if self._record(f).status.is_given]
        if replaced:
            lines.append(
                f"{_frames(replaced)} made or confirmed by hand will be replaced: "
                f"{_spans(replaced)}"
            )
        emptied = [f for f in self.outcomes if not self.preview.present[f] & self.ids.keys()]
        if emptied:
            lines.append(f"none of the objects will be on {_frames(emptied)}: {_spans(emptied)}")
        for one in self.locked:
            lines.append(f"‘{one.name}’ is locked: nothing of it is imported")
        for one in self.removed:
            lines.append(f"‘{one.name}’ is not imported and loses its pixels on these frames")
        if self.lost_frames:
            lines.append(
                "an object is so small that resizing leaves nothing of it on "
                f"{_frames(self.lost_frames)}: {_spans(self.lost_frames)}"
            )
        return lines

    def _status_lines(self) -> list[str]:
        lines: list[str] = []
        for status, words in (
            (FrameStatus.CONFIRMED, "count as right and whole"),
            (FrameStatus.CORRECTED, "count as right, but not whole: other objects can be tracked"),
            (FrameStatus.TRACKED, "count as tracked"),
        ):
            frames = [f for f, one in self.outcomes.items() if one.status is status]
            if frames:
                where = f" ({_spans(frames)})" if len(frames) < len(self.outcomes) else ""
                lines.append(f"{_frames(frames)}{where} will {words}")
        if self.unspoken:
            names = ", ".join(f"‘{one.name}’" for one in self.unspoken)
            lines.append(f"nothing is said about {names}")
        return lines

    def to_json(self) -> dict[str, object]:
        return {
            "frames": list(self.frames),
            "frames_by_status": {
                status.value: sum(one.status is status for one in self.outcomes.values())
                for status in (*_STATUSES, FrameStatus.CORRECTED)
            },
            "objects": {str(key): object_id for key, object_id in self.ids.items()},
            "new_objects": [one.id for one in self.new_objects],
            "locked": [one.id for one in self.locked],
            "removed": [one.id for one in self.removed],
            "left_given": list(self.left_given),
            "left_empty": list(self.left_empty),
            "left_outside": list(self.left_outside),
            "lost_by_resizing": self.lost_frames,
            "problem": self.problem,
        }

    def lost_on(self, frame: int) -> set[int]:
        """Ids of objects that are in the frame's mask, but no longer once it is resized."""
        return _lost(self.preview, self.ids, frame)

    @property
    def lost_frames(self) -> list[int]:
        """Ascending, those where that is so, also where it leaves nothing to import."""
        return [f for f in sorted((*self.outcomes, *self.left_empty)) if self.lost_on(f)]

    def _record(self, frame: int) -> FrameRecord:
        return self.records.get(frame, EMPTY_RECORD)


def plan_import(
    preview: ImportPreview, annotation: ImportTarget, choices: ImportChoices | None = None
) -> ImportPlan:
    """Reads nothing from the disk. ValueError for keys that the masks do not hold.

    Call it on the thread that owns the annotation.
    """
    choices = choices or ImportChoices()
    records, objects = dict(annotation.records), annotation.objects
    chosen = _chosen(preview, choices)
    locked_ids = frozenset(one.id for one in objects if one.is_locked)
    ids = {key: one for key, one in chosen.items() if one not in locked_ids}
    left_given: list[int] = []
    left_empty: list[int] = []
    left_outside: list[int] = []
    frames: list[int] = []
    for frame in preview.frames:
        if frame < choices.first or (choices.last is not None and frame > choices.last):
            left_outside.append(frame)
        elif records.get(frame, EMPTY_RECORD).status.is_given and not choices.replaces_given:
            left_given.append(frame)
        elif not ids or (not choices.takes_empty and not preview.present[frame] & ids.keys()):
            left_empty.append(frame)
        else:
            frames.append(frame)
    seen = frozenset[int]().union(*(preview.present[frame] for frame in frames))
    added = new_objects(objects, preview, {k: i for k, i in ids.items() if k in seen})
    known = (*objects, *added)
    covers = _Covering(preview, choices, ids, objects, frozenset(one.id for one in known))
    outcomes = {f: covers.outcome(f, records.get(f, EMPTY_RECORD)) for f in frames}
    unspoken = frozenset[int]()
    if choices.status is FrameStatus.CONFIRMED:
        unspoken = unspoken.union(*(covers.all_ids - one.given for one in outcomes.values()))
    kept = covers.staying
    return ImportPlan(
        preview=preview,
        choices=choices,
        ids=ids,
        records=records,
        objects=objects,
        new_objects=added,
        outcomes=outcomes,
        locked=_those(objects, locked_ids & set(chosen.values())),
        unspoken=_those(known, unspoken - frozenset(chosen.values())),
        removed=tuple(
            one
            for one in objects
            if one.id not in kept
            and one.id not in covers.taken
            and any(one.id in records.get(f, EMPTY_RECORD).present for f in frames)
        ),
        left_given=tuple(left_given),
        left_empty=tuple(left_empty),
        left_outside=tuple(left_outside),
    )


class _Covering:
    """Which objects a frame answers for, once its mask is imported."""

    def __init__(
        self,
        preview: ImportPreview,
        choices: ImportChoices,
        ids: Mapping[int, int],
        objects: tuple[ObjectInfo, ...],
        all_ids: frozenset[int],
    ) -> None:
        self._preview, self._choices, self._ids = preview, choices, ids
        self._before = frozenset(one.id for one in objects)
        self.all_ids = all_ids
        self.taken = frozenset(ids.values()) & all_ids
        locked = frozenset(one.id for one in objects if one.is_locked)
        others = self._before - self.taken if choices.keeps_others else frozenset()
        self.staying = locked | others  # keep their pixels
        # What is not in a mask that is the whole frame is absent, unless it was left out of it.
        holds_more = any(one.frame_count and one.key not in ids for one in preview.objects)
        is_whole = not choices.keeps_others and not holds_more
        self._told = (self.taken | all_ids if is_whole else self.taken) - locked

    def outcome(self, frame: int, before: FrameRecord) -> Outcome:
        given = self._before if before.status is FrameStatus.CONFIRMED else before.given
        spoken = given & self.staying
        if self._choices.status is FrameStatus.CONFIRMED:
            spoken |= self._told - _lost(self._preview, self._ids, frame)
        if spoken >= self.all_ids and (spoken or self._choices.status is FrameStatus.CONFIRMED):
            return Outcome(FrameStatus.CONFIRMED, spoken)
        status = FrameStatus.CORRECTED if spoken else FrameStatus.TRACKED
        return Outcome(status, spoken)


def _lost(preview: ImportPreview, ids: Mapping[int, int], frame: int) -> set[int]:
    lost = preview.lost.get(frame, frozenset()) & ids.keys()
    left = preview.present[frame] & ids.keys()
    return {ids[key] for key in lost} - {ids[key] for key in left}


def _chosen(preview: ImportPreview, choices: ImportChoices) -> dict[int, int]:
    """Key -> object id, without those that are left out."""
    known = {one.key for one in preview.objects}
    if choices.object_ids is None:
        chosen = {one.key: one.object_id for one in preview.objects}
    else:
        chosen = dict(choices.object_ids)
    if not chosen.keys() <= known:
        raise ValueError(f"object_ids must have keys of {sorted(known)}, got {sorted(chosen)}")
    return {key: object_id for key, object_id in chosen.items() if object_id}


def new_objects(
    objects: tuple[ObjectInfo, ...], preview: ImportPreview, ids: Mapping[int, int]
) -> tuple[ObjectInfo, ...]:
    """Those that keys of `ids` become and that are not among `objects`."""
    result: list[ObjectInfo] = []
    used_names = {one.name for one in objects}
    for one in preview.objects:
        object_id = ids.get(one.key, 0)
        if not object_id or any(other.id == object_id for other in (*objects, *result)):
            continue
        name = one.name or f"Object {object_id}"
        if name in used_names:  # two of one name could not be told apart
            name = f"{name} {object_id}"
        used_names.add(name)
        color = one.color or next_color(other.color for other in (*objects, *result))
        result.append(ObjectInfo(object_id, name, color))
    return tuple(result)


def _those(objects: Iterable[ObjectInfo], ids: Collection[int]) -> tuple[ObjectInfo, ...]:
    return tuple(one for one in objects if one.id in ids)


def _frames(frames: Collection[int]) -> str:
    return count_frames(len(frames))


def _spans(frames: Iterable[int]) -> str:
    return describe_frames(frames)
