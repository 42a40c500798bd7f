"""Changes of objects over all frames they are in: delete, merge, swap, split.

Long ones are generators of edits in one group, a frame each, so that they can be cancelled and the
window can show how far they are. What they depend on is read when they are asked for.
"""

from collections.abc import Callable, Collection, Generator
from dataclasses import replace
from functools import partial
from operator import attrgetter

import numpy as np

from interaction import mask_surgery
from interaction.annotation import Annotation
from interaction.causes import Cause
from interaction.errors import UserError
from interaction.frame_edits import (
    changed_record,
    hand_edit,
    keeping_locked,
    list_edit,
    new_group,
)
from interaction.object_colors import next_color
from interaction.project.mask_files import decode_labels
from interaction.types import EMPTY_RECORD, FrameRecord, MaskEdit, ObjectInfo
from xmem_core.arrays import Labels

__all__ = [
    "check_unlocked",
    "deleting",
    "free_id",
    "merging",
    "split_edit",
    "surgery",
    "swapping",
]

_MOST_OBJECTS = 255
_SMALLEST_PART_PX, _SMALLEST_PART = 16, 0.02  # of the object's pixels; less is no object


def free_id(objects: Collection[ObjectInfo]) -> int:
    """The lowest id that no object has. UserError if there is none left."""
    used = {one.id for one in objects}
    for object_id in range(1, _MOST_OBJECTS + 1):
        if object_id not in used:
            return object_id
    raise UserError(
        f"There are {_MOST_OBJECTS} objects already, which is as many as a mask can hold.\n\n"
        "Delete or merge some of them."
    )


def check_unlocked(annotation: Annotation, *object_ids: int) -> None:
    """UserError for the first that is locked, KeyError for one that does not exist."""
    for object_id in object_ids:
        one = annotation.object(object_id)
        if one.is_locked:
            raise UserError(
                f"“{one.name}” is locked.\n\nUnlock it in the list of objects to change it."
            )


def surgery(
    annotation: Annotation,
    label: str,
    frames: Collection[int],
    change: Callable[[int, Labels], Labels],
    cause: Cause,
    *,
    group: str | None = None,
    keeps_empty: bool = True,
    given_after: Callable[[FrameRecord], frozenset[int]] = attrgetter("given"),
) -> Generator[MaskEdit, None, None]:
    """`change(frame, labels)` on each of the frames that has a mask; locked objects keep theirs.

    Frames keep their status: a thousand tracked frames that are cleaned up stay tracked.
    given_after: the objects that a frame speaks for afterwards.
    """
    records: dict[int, FrameRecord] = {}
    for frame in sorted(set(frames)):
        record = annotation.record(frame)
        if record.mask is not None:
            records[frame] = record
    locked = annotation.locked
    group = group or new_group()

    def steps() -> Generator[MaskEdit, None, None]:
        for frame, record in records.items():
            assert record.mask is not None
            before = decode_labels(record.mask)
            after = keeping_locked(before, change(frame, before.copy()), locked)
            given = given_after(record)
            if np.array_equal(before, after) and given == record.given:
                continue
            changed = changed_record(record, after, given, keeps_empty=keeps_empty)
            yield MaskEdit(label, {frame: record}, {frame: changed}, group=group, cause=cause)

    return steps()


def deleting(annotation: Annotation, object_id: int) -> Generator[MaskEdit, None, None]:
    """The object off every frame, then out of the list."""
    check_unlocked(annotation, object_id)
    name = annotation.object(object_id).name
    cause = {"kind": "surgery:delete", "object": object_id}
    return _removing(
        annotation,
        f"Delete ‘{name}’",
        object_id,
        partial(_on_labels, partial(mask_surgery.erase, object_id=object_id)),
        cause,
        lambda record: record.given - {object_id},
    )


def merging(annotation: Annotation, object_id: int, into: int) -> Generator[MaskEdit, None, None]:
    """The object's pixels become those of `into`, and it leaves the list."""
    if object_id == into:
        raise ValueError(f"object {object_id} cannot be merged into itself")
    check_unlocked(annotation, object_id, into)
    names = annotation.object(object_id).name, annotation.object(into).name
    cause = {"kind": "surgery:merge", "object": object_id, "into": into}
    return _removing(
        annotation,
        f"Merge ‘{names[0]}’ into ‘{names[1]}’",
        object_id,
        partial(_on_labels, partial(mask_surgery.move_object, from_id=object_id, to_id=into)),
        cause,
        partial(_merged_given, object_id, into),
    )


def swapping(
    annotation: Annotation, first: int, second: int, from_frame: int
) -> Generator[MaskEdit, None, None]:
    """From a frame on, each of two objects is the other: mends a tracker that confused them."""
    if first == second:
        raise ValueError(f"object {first} cannot be swapped with itself")
    check_unlocked(annotation, first, second)
    annotation.record(from_frame)  # IndexError outside the video
    names = annotation.object(first).name, annotation.object(second).name
    frames = [
        frame
        for frame, record in annotation.records.items()
        if frame >= from_frame and (record.present | record.given) & {first, second}
    ]
    return surgery(
        annotation,
        f"Swap ‘{names[0]}’ and ‘{names[1]}’",
        frames,
        partial(_on_labels, partial(mask_surgery.swap, first_id=first, second_id=second)),
        {"kind": "surgery:swap", "first": first, "second": second, "frame": from_frame},
        given_after=partial(_swapped_given, first, second),
    )


def split_edit(annotation: Annotation, frame: int, object_id: int) -> MaskEdit | None:
    """On one frame, each further part of the object becomes an object of its own.

    UserError if it is in one piece; specks stay with the largest part.
    """
    check_unlocked(annotation, object_id)
    one, labels = annotation.object(object_id), annotation.labels(frame)
    sizes = mask_surgery.part_sizes(labels, object_id)
    least = max(_SMALLEST_PART_PX, _SMALLEST_PART * sum(sizes))
    parts = [size for size in sizes[1:] if size >= least]
    if not parts:
        raise UserError(
            f"“{one.name}” is in one piece on this frame.\n\n"
            "Go to a frame where its parts are apart, or erase what joins them."
        )
    objects = list(annotation.objects)
    new_ids: list[int] = []
    for number, _ in enumerate(parts, start=2):
        new = ObjectInfo(
            free_id(objects), f"{one.name} {number}", next_color(o.color for o in objects)
        )
        objects.append(new)
        new_ids.append(new.id)
    after = mask_surgery.split(labels, object_id, new_ids)
    with_parts = Annotation(
        annotation.frame_count,
        annotation.width,
        annotation.height,
        records={frame: annotation.record(frame)},
        objects=objects,
    )
    label = f"Split ‘{one.name}’"
    cause = {"kind": "surgery:split", "object": object_id, "frame": frame}
    edit = hand_edit(with_parts, frame, label, after, cause)
    assert edit is not None  # there are parts
    return replace(edit, objects_before=annotation.objects, objects_after=tuple(objects))


def _removing(
    annotation: Annotation,
    label: str,
    object_id: int,
    change: Callable[[int, Labels], Labels],
    cause: Cause,
    given_after: Callable[[FrameRecord], frozenset[int]],
) -> Generator[MaskEdit, None, None]:
    frames = [
        frame
        for frame, record in annotation.records.items()
        if object_id in record.present | record.given
    ]
    rest = tuple(one for one in annotation.objects if one.id != object_id)
    group = new_group()
    from_list = list_edit(annotation, label, rest, group)
    on_frames = surgery(
        annotation,
        label,
        frames,
        change,
        cause,
        group=group,
        keeps_empty=bool(rest),
        given_after=given_after,
    )
    # Clicks of an object that left every pixel still name it.
    prompted = {
        frame: record
        for frame, record in annotation.records.items()
        if frame not in frames and record.prompts and record.prompts.object_id == object_id
    }

    def steps() -> Generator[MaskEdit, None, None]:
        yield from on_frames
        for frame, record in prompted.items():
            yield MaskEdit(
                label,
                {frame: record},
                {frame: replace(record, prompts=None) if record.mask else EMPTY_RECORD},
                group=group,
                cause=cause,
            )
        assert from_list is not None
        yield replace(from_list, cause=cause)

    return steps()


def _merged_given(object_id: int, into: int, record: FrameRecord) -> frozenset[int]:
    """That an object was taken off says nothing of the one it becomes a part of."""
    is_there = object_id in record.given & record.present
    return record.given - {object_id} | ({into} if is_there else set())


def _swapped_given(first: int, second: int, record: FrameRecord) -> frozenset[int]:
    names = {first: second, second: first}
    return frozenset(names.get(one, one) for one in record.given)


def _on_labels(change: Callable[[Labels], Labels], _frame: int, labels: Labels) -> Labels:
    return change(labels)
