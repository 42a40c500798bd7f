"""Apply, rebase, undo and redo edits: the one way by which an annotation changes. The list of
objects as it is added to, renamed and moved in."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.annotation import Annotation, make_record, restacked
from interaction.annotation.edits import (
    by_hand,
    changed_record,
    check_unlocked,
    free_id,
    hand_edit,
    keeping_both,
    list_edit,
    next_color,
    with_object,
)
from interaction.annotation.effort import EffortLog
from interaction.annotation.history import History
from interaction.annotation.labels import Label
from interaction.annotation.mask_files import encode_labels
from interaction.annotation.overlaps import (
    Stack,
    ids_beneath,
    is_same,
    keeping,
    only_keepers,
    renamed,
    reshaped,
    stack_of,
    without,
)
from interaction.annotation.requests import MaskRequest, OverlapRequest, PropagationRequest
from interaction.annotation.types import (
    Edit,
    FrameRecord,
    FrameStatus,
    MemoryRule,
    ObjectInfo,
    PresenceState,
    with_presence,
)
from interaction.errors import ReadOnlyProjectError, UserError
from interaction.project.project import Project, check_edit

NewIds = Mapping[int, int]
_ALL_IDS: Final = frozenset(range(1, 256))
_PROPERTIES: Final = tuple(one.name for one in fields(ObjectInfo) if one.name != "id")


@dataclass(frozen=True, slots=True)
class Rebased:
    """An edit as it can be applied now."""

    edit: Edit
    # Objects that it adds under another id than it was made with: theirs was taken meanwhile.
    new_ids: NewIds


def rebase(edit: Edit, annotation: Annotation, new_ids: NewIds) -> Rebased | None:
    """None if it no longer fits: a frame or a memory rule changed since, what it is about
    was deleted or locked, an object that it takes from the list is still spoken of, or it changes
    nothing.

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
    if edit.memory_before is not None and edit.memory_before != annotation.memory:
        return None
    after = _rebased_frames(edit, annotation, objects, new_ids)
    gone = {one.id for one in annotation.objects} - {one.id for one in objects}
    if after is None or is_in_use(gone, annotation, after):
        return None
    before = {frame: edit.before[frame] for frame in after}
    is_same_list = objects == annotation.objects
    keeps_more = any(before[frame].mattes != after[frame].mattes for frame in after)
    is_same_memory = edit.memory_after in (None, annotation.memory)
    if is_same_list and before == after and is_same_memory and not keeps_more:
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
    """Whether a frame beside those of `after` still shows an object that leaves the list, has
    clicks of it or has it given: they would belong to the next object with this id."""
    return bool(gone) and any(
        not _named(record).isdisjoint(gone)
        for frame, record in annotation.records.items()
        if frame not in after
    )


def _named(record: FrameRecord) -> frozenset[int]:
    clicked = () if record.prompts is None else (record.prompts.object_id,)
    return record.objects.union(record.given, clicked)


# The list of objects


def _merged_list(
    edit: Edit, annotation: Annotation
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
    edit: Edit, annotation: Annotation, objects: Collection[ObjectInfo], new_ids: NewIds
) -> dict[int, FrameRecord] | None:
    """The records after it. None if its clicks are for an object that is gone or locked, or if
    nothing of it is left. objects: the list after it."""
    known = {one.id for one in objects}
    keepers = {one.id for one in objects if one.keeps_covered}
    # An edit knows what was locked when it was asked for; since then more may have been.
    newly_locked = annotation.locked - edit.locked
    result: dict[int, FrameRecord] = {}
    for frame, record in edit.after.items():
        old = edit.before[frame]
        if new_ids:
            record = _renumbered(record, new_ids, annotation)
        if not record.covered <= keepers:  # they kept what is covered when it was asked for
            stack = only_keepers(stack_of(record, annotation.height, annotation.width), keepers)
            beneath = tuple(map(encode_labels, stack[1:]))
            record = replace(record, beneath=beneath, covered=ids_beneath(stack))
        prompts = None if record.prompts == old.prompts else record.prompts
        if prompts is not None and prompts.object_id not in known - newly_locked:
            return None
        unknown = record.objects - known
        shown = old.objects | record.objects
        if unknown or newly_locked & shown:
            before = annotation.stack(frame)
            kept = _keeping(before, old, record, newly_locked, unknown)
            if kept is None:
                continue
            record = kept
        result[frame] = record
    return result if result or not edit.after or edit.objects_after is not None else None


def _keeping(
    before: Stack,
    old: FrameRecord,
    record: FrameRecord,
    locked: frozenset[int],
    unknown: frozenset[int],
) -> FrameRecord | None:
    """The record with the pixels of `locked` objects as they were, and none of `unknown` ones.

    None if that leaves the mask as it was. before: of `old`.
    """
    wanted = stack_of(record, *before[0].shape)
    stack = without(keeping(before, wanted, locked | unknown), unknown)
    if is_same(stack, wanted):
        return record
    if is_same(stack, before):
        return None
    if record.mask is None:
        return changed_record(old, stack, old.given - unknown, keeps_empty=True)
    # Objects that it was not allowed to touch are not given.
    spoken = old.given if old.status.is_given else old.objects
    given = record.given - (locked - spoken) - unknown
    return restacked(replace(record, given=given), stack)


def _renumbered(record: FrameRecord, new_ids: NewIds, annotation: Annotation) -> FrameRecord:
    if record.mask is None:
        return record
    table = np.arange(256, dtype=np.uint8)
    for object_id, new_id in new_ids.items():
        table[object_id] = new_id
    stack = stack_of(record, annotation.height, annotation.width)
    stack = renamed(stack, table, set(range(1, 256)))
    given = {new_ids.get(object_id, object_id) for object_id in record.given}
    is_corrected = record.status is FrameStatus.CORRECTED
    return make_record(
        stack, record.status, doubt=record.doubt, given=given if is_corrected else None
    )


# Presence


def keeping_presence(edit: Edit, annotation: Annotation) -> Edit | None:
    """No tracker puts an object where it is absent; a person who does so says that it is present.

    None if that leaves nothing of the edit.
    """
    objects = annotation.objects if edit.objects_after is None else edit.objects_after
    absent = {
        one.id: one
        for one in objects
        if any(part.state is PresenceState.ABSENT for part in one.presence)
    }
    if not absent:
        return edit
    shown = {
        frame: ids
        for frame, record in edit.after.items()
        if (ids := frozenset(i for i in record.objects if _is_absent(absent.get(i), frame)))
    }
    if not shown:
        return edit
    if not isinstance(edit.cause, PropagationRequest):
        for frame, ids in shown.items():
            objects = tuple(
                replace(
                    one, presence=with_presence(one.presence, frame, frame, PresenceState.PRESENT)
                )
                if one.id in ids
                else one
                for one in objects
            )
        before = annotation.objects if edit.objects_before is None else edit.objects_before
        return replace(edit, objects_before=before, objects_after=objects)
    after = dict(edit.after)
    for frame, ids in shown.items():
        record = after[frame]
        stack = without(stack_of(record, annotation.height, annotation.width), ids)
        signs = tuple(one for one in record.signs if one.object_id not in ids)
        after[frame] = restacked(replace(record, signs=signs), stack)
        if after[frame] == edit.before[frame]:
            del after[frame]
    if not after:
        return None
    return replace(edit, before={frame: edit.before[frame] for frame in after}, after=after)


def _replaces_pinned(edit: Edit, annotation: Annotation) -> bool:
    """Whether it is a run's, over a mask that is pinned to memory as it is."""
    return isinstance(edit.cause, PropagationRequest) and any(
        annotation.memory.at(frame) is MemoryRule.PINNED and record.present
        for frame, record in edit.before.items()
    )


def _is_absent(one: ObjectInfo | None, frame: int) -> bool:
    return one is not None and one.state_at(frame) is PresenceState.ABSENT


class Ledger:
    """One thread at a time. project: None keeps everything in memory only.

    effort: what everything has cost, as far back as the project goes.
    """

    def __init__(self, annotation: Annotation, project: Project | None = None) -> None:
        self.annotation, self.project = annotation, project
        self.history = History() if project is None else project.view.history
        self.effort = EffortLog() if project is None else project.view.effort
        # By group: under which ids objects were added whose own had been taken.
        self._new_ids: dict[str, Mapping[int, int]] = {}
        # Groups whose objects could not be added: by now, others may have their ids.
        self._without_objects: set[str] = set()

    @property
    def is_read_only(self) -> bool:
        return self.project is not None and self.project.is_read_only

    def apply(self, edit: Edit) -> bool:
        """Makes and records an edit. False, and nothing done, if its frames changed since it was
        made, or it changes nothing.

        What was locked, deleted, added or renamed since it was made is left as it is, and the
        rest of the edit is done: see `rebase`. ReadOnlyProjectError if the project can only be
        read.
        """
        if edit.group in self._without_objects:
            return False
        rebased = rebase(edit, self.annotation, self._new_ids.get(edit.group or "", {}))
        if rebased is None:
            if edit.group is not None and _adds_objects(edit):
                self._without_objects.add(edit.group)
            return False
        kept = keeping_presence(rebased.edit, self.annotation)
        if kept is None or _replaces_pinned(kept, self.annotation):
            return False
        edit = kept
        project = self.project
        if project is not None and project.is_read_only:
            raise ReadOnlyProjectError(project.folder, project.read_only_reason)
        if project is not None:
            check_edit(edit)
            project.make()  # with the first edit; what cannot be kept is not done
        self.annotation.apply(edit)
        self.effort.note(edit, time.time())
        if edit.group is not None and rebased.new_ids:
            self._new_ids[edit.group] = rebased.new_ids
        if project is None:
            self.history.push(edit)
        else:
            project.record(edit)
        return True

    def undo(self) -> Edit | None:
        """The edit that was applied; None at the beginning. UserError if it cannot be read."""
        return self._travel(self.history.undo)

    def redo(self) -> Edit | None:
        """The edit that was applied; None at the end. UserError if it cannot be read, or takes an
        object away that frames have come to show since."""
        step = self.history.next_redo
        edit = None if step is None else step.loaded()
        if edit is not None and is_in_use(_leaving(edit), self.annotation, edit.after):
            raise UserError(
                "“{label}” cannot be redone: more frames show the object by now. Nothing was "
                "changed.\n\nDo it anew instead.",
                label=edit.label,
            )
        return self._travel(self.history.redo)

    def keep_both(self, objects: Collection[int]) -> Edit | None:
        """Does the newest step again with `objects` keeping what others cover of them, from now on
        and on its frames since what took their pixels was begun there; returns it as it is then.
        None, and nothing done, if it changed no mask or is not in memory. UserError if one of
        `objects` is locked, or if an earlier step cannot be read."""
        newest = self.history.newest
        edit = None if newest is None else newest.edit
        if edit is None or not edit.after:
            return None
        requests = [OverlapRequest(object_id, True) for object_id in objects]
        switches = [one for request in requests for one in by_hand(self.annotation, request)]
        before = self.history.entries[: self.history.position - 1]

        def earlier(frame: int) -> Iterator[Edit]:
            steps = (one.loaded() for one in reversed(before) if frame in one.frames)
            return (step for step in steps if frame in step.after)

        again = keeping_both(edit, objects, earlier, self.annotation.height, self.annotation.width)
        self.undo()
        for switch in switches:
            self.apply(switch)
        return again if self.apply(again) else None

    def go_to(self, position: int) -> frozenset[int]:
        """Undoes or redoes until `position` steps are in effect; returns the frames touched."""
        if not 0 <= position <= len(self.history.entries):
            raise ValueError(f"position must be 0 to {len(self.history.entries)}, got {position}")
        frames: set[int] = set()
        while self.history.position != position:
            edit = self.undo() if position < self.history.position else self.redo()
            if edit is not None:
                frames |= edit.frames
        return frozenset(frames)

    def _travel(self, step: Callable[[], Edit | None]) -> Edit | None:
        project = self.project
        if project is not None and project.is_read_only:
            raise ReadOnlyProjectError(project.folder, project.read_only_reason)
        edit = step()
        if edit is not None:
            self.annotation.apply(edit)
            self.effort.note_move(time.time())
            if project is not None:
                project.record_move(edit)
        return edit


def _adds_objects(edit: Edit) -> bool:
    return bool(_leaving(edit.inverse()))


def _leaving(edit: Edit) -> frozenset[int]:
    """The objects that it takes from the list."""
    staying = frozenset(one.id for one in edit.objects_after or ())
    return frozenset(one.id for one in edit.objects_before or ()) - staying


class ObjectList:
    """Each method returns the edit that it made, or None if nothing changed; KeyError for an
    object that is not in the list."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(self, name: str | None = None, color: tuple[int, int, int] | None = None) -> int:
        """Its id, the lowest that is free. UserError if there are 255 already."""
        objects = self._ledger.annotation.objects
        object_id = free_id(objects)
        name = name or f"Object {object_id}"
        color = color or next_color(one.color for one in objects)
        self._set(Label("add_object", name=name), (*objects, ObjectInfo(object_id, name, color)))
        return object_id

    def rename(self, object_id: int, name: str) -> Edit | None:
        """ValueError for a name of nothing but spaces."""
        if not name.strip():
            raise ValueError("an object's name must not be empty")
        return self._change(object_id, "rename", name=name.strip())

    def recolor(self, object_id: int, color: tuple[int, int, int]) -> Edit | None:
        """color: RGB, 0..255."""
        if not all(0 <= part <= 255 for part in color) or len(color) != 3:
            raise ValueError(f"a color is three numbers from 0 to 255, got {color}")
        return self._change(object_id, "recolor", color=color)

    def set_locked(self, object_id: int, is_locked: bool) -> Edit | None:
        key = "lock" if is_locked else "unlock"
        return self._change(object_id, key, is_locked=is_locked)

    def set_visible(self, object_id: int, is_visible: bool) -> Edit | None:
        key = "show" if is_visible else "hide"
        return self._change(object_id, key, is_visible=is_visible)

    def move(self, object_id: int, to_index: int) -> Edit | None:
        """To another place in the list."""
        one = self._ledger.annotation.object(object_id)
        objects = [other for other in self._ledger.annotation.objects if other.id != object_id]
        objects.insert(max(0, min(to_index, len(objects))), one)
        return self._set(Label("move", name=one.name), tuple(objects))

    def set_region(self, frame: int, object_id: int, pixels: NDArray[np.bool_]) -> Edit | None:
        """Gives the object these pixels, (H, W), and no others, and takes none from the others on
        the frame: beneath them they are kept if the object keeps covered pixels. UserError if the
        object is locked, IndexError for an unknown frame, ValueError for another size."""
        annotation = self._ledger.annotation
        check_unlocked(annotation, object_id)
        size = annotation.height, annotation.width
        if pixels.shape != size or pixels.dtype != np.bool_:
            raise ValueError(f"a region must be bool {size}, got {pixels.dtype} {pixels.shape}")
        labels = np.where(pixels, object_id, 0).astype(np.uint8)
        stack = annotation.stack(frame)
        after = reshaped(stack, object_id, lambda _: labels, annotation.keepers)
        edit = hand_edit(annotation, frame, Label("set_mask"), after, MaskRequest(frame))
        return edit if edit is not None and self._ledger.apply(edit) else None

    def _change(self, object_id: int, key: str, **changes: object) -> Edit | None:
        annotation = self._ledger.annotation
        one = annotation.object(object_id)
        new = replace(one, **changes)  # type: ignore[arg-type]
        return self._set(Label(key, name=one.name), with_object(annotation, new))

    def _set(self, label: str, objects: tuple[ObjectInfo, ...]) -> Edit | None:
        edit = list_edit(self._ledger.annotation, label, objects)
        return edit if edit is not None and self._ledger.apply(edit) else None
