"""What others cover of an object, tracked: a pass of its own after a propagation.

All objects of a frame are found together, and each pixel goes to one of them; what the network says
of an object by itself is no better (measured: of covered pixels it gives a tenth). So each object
that keeps covered pixels, and whose covered pixels were given on some frame, is tracked once more
with the given masks as if it were in front. Where it is found then, and another object is in front,
it lies beneath. Behind something opaque the picture shows nothing to be found; there the object's
region of the nearest given frame counts too, moved to where its visible pixels fit it, if they do.
Masks stay as the propagation left them.
"""

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

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
from interaction.annotation.requests import AbsenceProposal, Propagated, PropagationRequest
from interaction.annotation.types import EMPTY_RECORD, Edit, FrameRecord, FrameStatus
from interaction.errors import UserError
from xmem_core.arrays import Labels

if TYPE_CHECKING:  # it imports torch
    from interaction.tracking.propagation_job import PropagationJob

_FIT: Final = 0.9  # IoU of a moved region with what is visible, where nothing lies before it
_LEAST_VISIBLE: Final = 0.1  # of a region, to say where it is
_SIDE_PX: Final = 480  # a place is found at this size, as the tracker's masks are

Mask = NDArray[np.bool_]
Steps = Generator[Propagated, None, None]
Start = Callable[[Annotation, PropagationRequest], Steps]  # begins a propagation


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
    job: "PropagationJob", annotation: Annotation, request: PropagationRequest, start: Start
) -> Steps:
    """The steps of a propagation, and then those of the passes over what it has reached; all edits
    are one step of the history. A run that was interrupted has them when it goes on, from their
    beginning. start: begins a propagation. What is annotated is read now and not later."""
    objects, adopts = tracked_objects(annotation, request), not job.begins_empty
    still = _still(annotation)

    def steps() -> Steps:
        passes, records = 1 + len(objects), dict(still.records)
        fronts = _fronts(still, request, adopts=adopts)  # decodes: not on the window's thread
        absences: tuple[AbsenceProposal, ...] = ()
        with closing(job.steps(is_followed=True)) as steps:
            for step in steps:
                absences = step.absences
                if step.edit is not None:
                    records.update(step.edit.after)
                yield replace(step, total=passes * step.total)
        (done, total), so_far = job.done, job.so_far
        if so_far is not None:
            more = _passes(job, records, fronts, so_far, start)
            with closing(more):
                for number, step in more:
                    ours = done + number * total + min(step.done, total)
                    step = replace(step, so_far=so_far, absences=absences)
                    yield replace(step, done=ours, total=passes * total)
        job.finish()

    return steps() if objects else job.steps()


def covered_alone(
    job: "PropagationJob", annotation: Annotation, so_far: PropagationRequest, start: Start
) -> Steps:
    """The passes alone, over the frames that a propagation had reached when it was stopped. job:
    the one that `so_far` asks for; it is not run."""
    still = _still(annotation)

    def steps() -> Steps:
        fronts, records = _fronts(still, so_far, adopts=True), dict(still.records)
        more = _passes(job, records, fronts, so_far, start)
        with closing(more):
            for number, step in more:
                ours = number * step.total + step.done
                yield replace(step, done=ours, total=len(fronts) * step.total, so_far=so_far)

    return steps()


def _still(annotation: Annotation) -> Annotation:
    """What is annotated now, while the annotation goes on."""
    return Annotation(
        annotation.frame_count,
        annotation.width,
        annotation.height,
        records=dict(annotation.records),
        objects=annotation.objects,
        memory=annotation.memory,
    )


def _fronts(
    annotation: Annotation, request: PropagationRequest, *, adopts: bool
) -> dict[int, Annotation]:
    """What each pass starts from, by object. adopts: the start's mask counts, given or not."""
    objects = tracked_objects(annotation, request)
    return {one: _in_front(annotation, request, one, adopts=adopts) for one in objects}


def _passes(
    job: "PropagationJob",
    records: dict[int, FrameRecord],
    fronts: Mapping[int, Annotation],
    request: PropagationRequest,
    start: Start,
) -> Generator[tuple[int, Propagated], None, None]:
    """The steps, each with the number of its pass."""
    for number, (object_id, front) in enumerate(fronts.items()):
        try:
            steps = start(front, request)
        except UserError:  # a single frame: there is nowhere to go
            continue
        given = [f for f, one in records.items() if one.status.is_given and object_id in one.given]
        with closing(steps):
            for step in steps:
                edit = _edit(job, records, step.edit, object_id, front, given)
                yield number, replace(step, edit=edit, brake=None, is_cut=False, absences=())


def _edit(
    job: "PropagationJob",
    records: dict[int, FrameRecord],
    found: Edit | None,
    object_id: int,
    front: Annotation,
    given: Collection[int],
) -> Edit | None:
    """What a step of a pass found, beneath the frame's mask; noted in `records`. given: frames with
    the object's own region."""
    if found is None:
        return None
    [(frame, record)] = found.after.items()
    old = records.get(frame, EMPTY_RECORD)
    if old.status is not FrameStatus.TRACKED:
        return None
    size = front.height, front.width
    before = stack_of(old, *size)
    labels = stack_of(record, *size)[0]
    nearest = min(given, key=lambda one: abs(one - frame), default=None)
    if nearest is not None:
        whole = placed(region(stack_of(records[nearest], *size), object_id), before, object_id)
        labels = labels if whole is None else np.where(whole, object_id, labels).astype(np.uint8)
    after = beneath_others(before, object_id, labels)
    if is_same(before, after):
        return None
    beneath = tuple(map(encode_labels, after[1:]))
    new = replace(old, beneath=beneath, covered=ids_beneath(after))
    records[frame] = new
    return job.edit(frame, old, new)


def placed(whole: Mask, stack: Stack, object_id: int) -> Mask | None:
    """(H, W): an object's region of another frame, `whole`, moved to where it covers what is
    visible of the object and, of the rest, only what others hide. None where it does not fit: the
    object has turned or changed its shape, or too little of it is visible."""
    seen, is_free = stack[0] == object_id, stack[0] == 0
    if seen.sum() < _LEAST_VISIBLE * max(1, whole.sum()):
        return None
    scale = min(1.0, _SIDE_PX / max(seen.shape))
    small = max(1, round(seen.shape[1] * scale)), max(1, round(seen.shape[0] * scale))
    worth, shape = (
        cv2.resize(one.astype(np.float32), small, interpolation=cv2.INTER_AREA)
        for one in (seen.astype(np.int8) - is_free.astype(np.int8), whole)
    )
    columns, rows = small
    padded = 2 * rows, 2 * columns  # what moves past an edge does not come in at the opposite one
    overlap = np.fft.rfft2(worth, padded) * np.conj(np.fft.rfft2(shape, padded))
    score = np.fft.irfft2(overlap, padded)
    row, column = divmod(int(score.argmax()), 2 * columns)
    down = round((row - 2 * rows * (row >= rows)) * seen.shape[0] / rows)
    right = round((column - 2 * columns * (column >= columns)) * seen.shape[1] / columns)
    move = np.array([[1, 0, right], [0, 1, down]], np.float32)
    size = seen.shape[1], seen.shape[0]
    moved = cv2.warpAffine(whole.view(np.uint8), move, size, flags=cv2.INTER_NEAREST) > 0
    is_known = seen | is_free
    fit = (moved & seen).sum() / max(1, ((moved & is_known) | seen).sum())
    return moved if fit >= _FIT else None


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


def _in_front(
    annotation: Annotation, request: PropagationRequest, object_id: int, *, adopts: bool
) -> Annotation:
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
        if record.status.is_given or (adopts and frame == request.start)
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
