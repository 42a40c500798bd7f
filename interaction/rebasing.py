"""What is left of an edit that was asked for before something else happened.

Whatever computes reads the annotation when it is asked for and answers later. If a frame changed
meanwhile, its answer is void. If an object was locked or deleted, the rest of the answer still
holds; and a change of the list of objects is one of single objects, whatever others were added or
renamed. So an edit is fitted to what there is now before it is applied.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from interaction.annotation import Annotation, make_record
from interaction.frame_edits import changed_record, keeping_locked
from interaction.project.mask_files import decode_labels
from interaction.types import FrameRecord, FrameStatus, MaskEdit, ObjectInfo
from xmem_core.arrays import Labels

__all__ = ["Rebased", "is_in_use", "rebase"]

NewIds = Mapping[int, int]
_ALL_IDS: Final = frozenset(range(1, 256))
_PROPERTIES: Final = tuple(one.name for one in fields(ObjectInfo) if one.name != "id")


@dataclass(frozen=True, slots=True)
class Rebased:
    """An edit as it can be applied now."""

    edit: MaskEdit
    # Objects that it adds under another id than it was made with: theirs was taken meanwhile.
    new_ids: NewIds


def rebase(edit: MaskEdit, annotation: Annotation, new_ids: NewIds) -> Rebased | None:
    """None if it no longer fits: a frame changed since, what it is about was deleted or locked, an
    object that it takes from the list is still spoken of, or it changes nothing.

    new_ids: what an earlier edit of its group was rebased to.
    """
    if any(annotation.record(frame) != record for frame, record in edit.before.items()):
        return None
    objects = annotation.objects
    if edit.objects_after is not None:
        merged = _merged_list(edit, annotation)
        if merged is None:
            return None
        objects, new_ids = merged
    after = _rebased_frames(edit, annotation, {one.id for one in objects}, new_ids)
    gone = {one.id for one in annotation.objects} - {one.id for one in objects}
    if after is None or is_in_use(gone, annotation, after):
        return None
    before = {frame: edit.before[frame] for frame in after}
    is_same_list = objects == annotation.objects
    if is_same_list and before == after:
        return None
    if edit.objects_after is None or is_same_list:
        changed = replace(edit, before=before, after=after, objects_before=None, objects_after=None)
    else:
        changed = replace(
            edit,
            before=before,
            after=after,
            objects_before=annotation.objects,
            objects_after=objects,
        )
    return Rebased(edit if changed == edit else changed, new_ids)


def is_in_use(
    gone: Collection[int], annotation: Annotation, after: Mapping[int, FrameRecord]
) -> bool:
    """Whether a frame beside those of `after` still shows, speaks for or has clicks of an object
    that leaves the list: they would be taken for those of whoever got its id next."""
    return bool(gone) and any(
        not _named(record).isdisjoint(gone)
        for frame, record in annotation.records.items()
        if frame not in after
    )


def _named(record: FrameRecord) -> frozenset[int]:
    clicked = () if record.prompts is None else (record.prompts.object_id,)
    return record.present.union(record.given, clicked)


# The list of objects


def _merged_list(
    edit: MaskEdit, annotation: Annotation
) -> tuple[tuple[ObjectInfo, ...], NewIds] | None:
    """What the edit did to each object, done to the list there is now; None if one that it takes
    away was locked meanwhile, or if there are too many."""
    old = {one.id: one for one in edit.objects_before or ()}
    new = {one.id: one for one in edit.objects_after or ()}
    now = annotation.objects
    if edit.objects_before == now:
        return edit.objects_after or (), {}
    result: list[ObjectInfo] = []
    for one in now:
        if one.id not in old:
            result.append(one)
        elif one.id in new:
            result.append(_changed(one, old[one.id], new[one.id]))
        elif one.is_locked and not old[one.id].is_locked:
            return None
    new_ids: dict[int, int] = {}
    for one in new.values():
        if one.id in old:
            continue
        added = _added(one, result, {*old, *new})
        if added is None:
            return None
        if added.id != one.id:
            new_ids[one.id] = added.id
        result.append(added)
    return tuple(result), new_ids


def _changed(now: ObjectInfo, old: ObjectInfo, new: ObjectInfo) -> ObjectInfo:
    changes = {
        name: getattr(new, name) for name in _PROPERTIES if getattr(new, name) != getattr(old, name)
    }
    return replace(now, **changes)


def _added(one: ObjectInfo, objects: Collection[ObjectInfo], taken: set[int]) -> ObjectInfo | None:
    """Under another id and name if its own have been taken. None if no id is free."""
    used = {other.id for other in objects}
    object_id = one.id if one.id not in used else min(_ALL_IDS - used - taken, default=None)
    if object_id is None:
        return None
    is_named = any(other.name == one.name for other in objects)
    name = f"{one.name} {object_id}" if is_named else one.name
    return replace(one, id=object_id, name=name)


# Masks


def _rebased_frames(
    edit: MaskEdit, annotation: Annotation, known: set[int], new_ids: NewIds
) -> dict[int, FrameRecord] | None:
    """The records after it. None if its clicks are for an object that is gone or locked, or if
    nothing of it is left."""
    # An edit knows what was locked when it was asked for; since then more may have been.
    newly_locked = annotation.locked - frozenset(edit.cause.get("locked", ()))
    result: dict[int, FrameRecord] = {}
    for frame, record in edit.after.items():
        old = edit.before[frame]
        if new_ids:
            record = _renumbered(record, new_ids)
        prompts = None if record.prompts == old.prompts else record.prompts
        if prompts is not None and prompts.object_id not in known - newly_locked:
            return None
        unknown = record.present - known
        if unknown or newly_locked & (old.present | record.present):
            kept = _keeping(annotation.labels(frame), old, record, newly_locked, unknown)
            if kept is None:
                continue
            record = kept
        result[frame] = record
    return result if result or not edit.after or edit.objects_after is not None else None


def _keeping(
    before: Labels,
    old: FrameRecord,
    record: FrameRecord,
    locked: frozenset[int],
    unknown: frozenset[int],
) -> FrameRecord | None:
    """The record with the pixels of `locked` objects as they were, and none of `unknown` ones.

    None if that leaves the mask as it was. before: (H, W) labels of `old`.
    """
    wanted = np.zeros_like(before) if record.mask is None else decode_labels(record.mask)
    labels = keeping_locked(before, wanted, locked | unknown)
    if unknown:
        labels[np.isin(labels, sorted(unknown))] = 0
    if np.array_equal(labels, wanted):
        return record
    if np.array_equal(labels, before):
        return None
    if record.mask is None:
        return changed_record(old, labels, old.given - unknown, keeps_empty=True)
    # It does not speak for what it was not allowed to touch.
    spoken = old.given if old.status.is_given else old.present
    given = record.given - (locked - spoken) - unknown
    return make_record(
        labels, record.status, doubt=record.doubt, prompts=record.prompts, given=given
    )


def _renumbered(record: FrameRecord, new_ids: NewIds) -> FrameRecord:
    if record.mask is None:
        return record
    table = np.arange(256, dtype=np.uint8)
    for object_id, new_id in new_ids.items():
        table[object_id] = new_id
    labels = table[decode_labels(record.mask)]
    given = {new_ids.get(object_id, object_id) for object_id in record.given}
    is_corrected = record.status is FrameStatus.CORRECTED
    return make_record(
        labels, record.status, doubt=record.doubt, given=given if is_corrected else None
    )
