"""What others cover of an object, tracked: a pass of its own after a propagation.

All objects of a frame are found together, and each pixel goes to one of them; what the network says
of an object by itself is no better (measured: of covered pixels it gives a tenth). So each object
that keeps covered pixels, and whose covered pixels were given on some frame, is tracked once more
with the given masks as if it were in front. Where it is found then, and another object is in front,
it lies beneath. Masks stay as the propagation left them.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.mask_files import encode_labels
from interaction.annotation.overlaps import (
    Stack,
    add_beneath,
    ids_beneath,
    is_same,
    region,
    stack_of,
    without,
)
from interaction.annotation.requests import Propagated, PropagationRequest
from interaction.annotation.types import EMPTY_RECORD, Edit, FrameRecord, FrameStatus
from interaction.errors import UserError
from xmem_core.arrays import Labels

__all__ = ["beneath_others", "tracked_objects", "with_covered"]

Steps = Generator[Propagated, None, None]


def tracked_objects(annotation: Annotation, request: PropagationRequest) -> tuple[int, ...]:
    """The objects that are tracked once more: each takes the time of a pass."""
    wanted = annotation.keepers - annotation.locked
    if request.objects is not None:
        wanted &= request.objects
    given: set[int] = set()
    for record in annotation.records.values():
        if record.status.is_given:
            given |= record.covered & record.given
    return tuple(sorted(wanted & given))


def with_covered(
    steps: Steps,
    annotation: Annotation,
    request: PropagationRequest,
    start: Callable[[Annotation, PropagationRequest], Steps],
) -> Steps:
    """`steps` of a propagation, and then those of the passes; all edits are one step of the
    history. start: begins a propagation. What is annotated is read now and not later."""
    objects = tracked_objects(annotation, request)
    if not objects:
        return steps
    fronts = [_in_front(annotation, request, object_id) for object_id in objects]
    return _all_steps(steps, dict(annotation.records), objects, fronts, request, start)


def _all_steps(
    steps: Steps,
    records: dict[int, FrameRecord],
    objects: tuple[int, ...],
    fronts: list[Annotation],
    request: PropagationRequest,
    start: Callable[[Annotation, PropagationRequest], Steps],
) -> Steps:
    passes = 1 + len(objects)
    edit: Edit | None = None
    visited: set[int] = set()
    total = done = 0
    with closing(steps):
        for step in steps:
            visited.add(step.frame)
            if step.edit is not None:
                edit = step.edit
                records.update(edit.after)
            total, done = step.total, step.done
            yield replace(step, total=passes * total)
    if edit is None:
        return
    again = replace(
        request, until="end", first=min(visited), last=max(visited), most_frames=None, blends=False
    )
    for object_id, front in zip(objects, fronts, strict=True):
        base = done
        try:
            more = start(front, again)
        except UserError:  # a single frame: there is nowhere to go
            continue
        with closing(more):
            for step in more:
                done = base + min(step.done, total)
                yield replace(
                    step,
                    edit=_edit(edit, records, step.edit, object_id, front),
                    done=done,
                    total=passes * total,
                    brake=None,
                    is_cut=False,
                    absences=(),
                )


def _edit(
    of_run: Edit,
    records: dict[int, FrameRecord],
    found: Edit | None,
    object_id: int,
    front: Annotation,
) -> Edit | None:
    """What a step of a pass found, beneath the frame's mask; noted in `records`."""
    if found is None:
        return None
    [(frame, record)] = found.after.items()
    old = records.get(frame, EMPTY_RECORD)
    if old.status is not FrameStatus.TRACKED:
        return None
    size = front.height, front.width
    before = stack_of(old, *size)
    after = beneath_others(before, object_id, stack_of(record, *size)[0])
    if is_same(before, after):
        return None
    beneath = tuple(map(encode_labels, after[1:]))
    new = replace(old, beneath=beneath, covered=ids_beneath(after))
    records[frame] = new
    return replace(of_run, before={frame: old}, after={frame: new}, seconds=0.0)


def beneath_others(stack: Stack, object_id: int, found: Labels) -> Stack:
    """The stack with the object beneath others where it was `found`, (H, W), as if in front.

    Only what is joined to the object's visible pixels counts, where it has any: the network takes
    other things for it far off.
    """
    seen = stack[0] == object_id
    hidden = (found == object_id) & (stack[0] > 0) & ~seen
    if seen.any() and hidden.any():
        _, parts = cv2.connectedComponents((hidden | seen).view(np.uint8), connectivity=8)
        hidden &= np.isin(parts, np.unique(np.asarray(parts)[seen]))
    return add_beneath(without(stack, {object_id}, ~seen), object_id, hidden)


def _in_front(annotation: Annotation, request: PropagationRequest, object_id: int) -> Annotation:
    """What a pass starts from: the given masks, and the start's, with the object in front; nothing
    of what was tracked."""

    def front(record: FrameRecord) -> FrameRecord:
        if object_id not in record.covered:
            return replace(record, beneath=(), covered=frozenset())
        stack = stack_of(record, annotation.height, annotation.width)
        labels = np.where(region(stack, object_id), object_id, stack[0]).astype(np.uint8)
        return make_record(labels, record.status, doubt=record.doubt, given=record.given)

    records: Mapping[int, FrameRecord] = {
        frame: front(record)
        for frame, record in annotation.records.items()
        if record.status.is_given or frame == request.start
    }
    objects = [replace(one, keeps_covered=False) for one in annotation.objects]
    return Annotation(
        annotation.frame_count,
        annotation.width,
        annotation.height,
        records=records,
        objects=objects,
        memory=annotation.memory,
    )
