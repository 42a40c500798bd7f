"""Edits of one frame, made from what the annotation holds now. Nothing here is applied yet."""

import uuid
from collections.abc import Collection
from dataclasses import replace
from typing import Final

import numpy as np

from interaction.annotation import Annotation, make_record
from interaction.causes import Cause, objects_cause
from interaction.types import (
    EMPTY_RECORD,
    FrameRecord,
    FrameStatus,
    MaskEdit,
    ObjectInfo,
    Prompts,
)
from xmem_core.arrays import Labels

__all__ = [
    "changed_record",
    "clear_edit",
    "copy_edit",
    "corrected_status",
    "given_after",
    "hand_edit",
    "keeping_locked",
    "list_edit",
    "new_group",
    "status_edit",
]

_STATUS_LABELS: Final = {
    FrameStatus.CONFIRMED: "Confirm frame",
    FrameStatus.TRACKED: "Take back frame",
}


def new_group() -> str:
    """A name for the edits of one step of the history."""
    return uuid.uuid4().hex


def corrected_status(status: FrameStatus) -> FrameStatus:
    """A frame's status once its mask was changed by hand."""
    return FrameStatus.CONFIRMED if status is FrameStatus.CONFIRMED else FrameStatus.CORRECTED


def touched_objects(before: Labels, after: Labels) -> frozenset[int]:
    """The ids of all objects that gained or lost a pixel."""
    is_changed = before != after
    both = np.concatenate([before[is_changed], after[is_changed]])
    return frozenset(np.unique(both).tolist()) - {0}


def given_after(old: FrameRecord, before: Labels, after: Labels) -> frozenset[int]:
    """What a corrected frame speaks for once its mask was changed by hand: all that was on it when
    it was first corrected, and all that has been touched."""
    started = old.given if old.status.is_given else old.present
    return started | touched_objects(before, after)


def keeping_locked(before: Labels, after: Labels, locked: Collection[int]) -> Labels:
    """`after` with every pixel of a locked object as it was `before`; none is gained either."""
    if not locked:
        return after
    is_locked = np.zeros(256, bool)
    is_locked[sorted(locked)] = True
    return np.where(is_locked[before] | is_locked[after], before, after).astype(np.uint8)


def hand_edit(
    annotation: Annotation,
    frame: int,
    label: str,
    after: Labels,
    cause: Cause,
    *,
    prompts: Prompts | None = None,
) -> MaskEdit | None:
    """The frame's mask becomes `after`, (H, W) uint8, but for locked objects. None: no change.

    ValueError if it has another size or type, or holds an object that is not in the list.
    """
    before = annotation.labels(frame)
    if after.shape != before.shape or after.dtype != np.uint8:
        raise ValueError(f"a mask must be uint8 {before.shape}, got {after.dtype} {after.shape}")
    after = keeping_locked(before, after, annotation.locked)
    old = annotation.record(frame)
    if np.array_equal(before, after) and prompts == old.prompts:
        return None
    given = given_after(old, before, after)
    record = make_record(after, corrected_status(old.status), prompts=prompts, given=given)
    unknown = record.present - {one.id for one in annotation.objects}
    if unknown:
        raise ValueError(f"the mask holds objects {sorted(unknown)}, which do not exist")
    return MaskEdit(label, {frame: old}, {frame: record}, cause=cause)


def status_edit(annotation: Annotation, frame: int, status: FrameStatus) -> MaskEdit | None:
    """The frame is declared whole, or no longer answered for; its mask stays. None: no change.

    A frame without a mask is confirmed with an empty one: nothing of any object is there.
    """
    old = annotation.record(frame)
    if old.status is status or (status is FrameStatus.TRACKED and not old.status.is_given):
        return None
    given = old.present if status.is_given else frozenset()
    record = replace(old, status=status, prompts=None, given=given)
    if old.mask is None:
        record = make_record(annotation.labels(frame), status)
    kind = "confirm" if status is FrameStatus.CONFIRMED else "unconfirm"
    return MaskEdit(
        _STATUS_LABELS[status], {frame: old}, {frame: record}, cause={"kind": kind, "frame": frame}
    )


def clear_edit(
    annotation: Annotation, frame: int, object_id: int | None, label: str
) -> MaskEdit | None:
    """One object, or all that are not locked, off the frame. None: there was nothing.

    A frame that nothing is left on is as if it had never been annotated, unless only one object
    was taken off a confirmed frame: then it says that the object is absent.
    """
    old = annotation.record(frame)
    if old == EMPTY_RECORD:
        return None
    before = annotation.labels(frame)
    cleared = before != 0 if object_id is None else before == object_id
    after = np.where(cleared, 0, before).astype(np.uint8)
    after = keeping_locked(before, after, annotation.locked)
    is_unchanged = np.array_equal(before, after)
    if is_unchanged and (object_id is not None or bool(before.any())):
        return None
    record = EMPTY_RECORD
    if after.any() or (object_id is not None and old.status is FrameStatus.CONFIRMED):
        given = given_after(old, before, after)
        record = make_record(after, corrected_status(old.status), given=given)
    cause = {"kind": "clear", "frame": frame, "object": object_id}
    return MaskEdit(label, {frame: old}, {frame: record}, cause=cause)


def copy_edit(
    annotation: Annotation, from_frame: int, to_frame: int, object_id: int | None
) -> MaskEdit | None:
    """The mask of another frame, or one object's, in place of this frame's. None: no change."""
    source, before = annotation.labels(from_frame), annotation.labels(to_frame)
    after = source
    if object_id is not None:
        after = np.where(before == object_id, 0, before).astype(np.uint8)
        after[source == object_id] = object_id
    cause = {"kind": "copy", "from": from_frame, "frame": to_frame, "object": object_id}
    return hand_edit(annotation, to_frame, "Copy mask", after, cause)


def list_edit(
    annotation: Annotation, label: str, objects: tuple[ObjectInfo, ...], group: str | None = None
) -> MaskEdit | None:
    """Another list of objects. None: it is the same."""
    if objects == annotation.objects:
        return None
    return MaskEdit(
        label,
        objects_before=annotation.objects,
        objects_after=objects,
        group=group,
        cause=objects_cause(objects),
    )


def changed_record(
    record: FrameRecord, after: Labels, given: Collection[int], *, keeps_empty: bool
) -> FrameRecord:
    """A record after a change of many frames, which leaves trust where it was.

    given: what it speaks for now; a corrected frame on which nothing of that is left still says
    so. keeps_empty: and so does a confirmed one.
    """
    status = record.status
    says_absent = bool(given) if status is FrameStatus.CORRECTED else keeps_empty
    if not after.any() and not (status.is_given and says_absent):
        return EMPTY_RECORD
    if status is FrameStatus.CORRECTED and not given:  # only what a tracker put there is left
        status = FrameStatus.TRACKED
    return make_record(after, status, doubt=record.doubt, given=given)
