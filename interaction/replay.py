"""Doing again what a project's history says, step by step: the same clicks and strokes, answered
by whatever networks the new session has.

Steps that came from elsewhere (imports) or that no longer fit what the new networks made of the
steps before are taken over as they were recorded, and reported as such.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from interaction.annotation.history import Entry
from interaction.annotation.mask_files import decode_labels
from interaction.annotation.requests import (
    ImportRequest,
    MaskRequest,
    ObjectsRequest,
    PropagationRequest,
    UnknownRequest,
    VersionRequest,
)
from interaction.annotation.types import Edit, FrameRecord, ObjectInfo
from interaction.answers import answer, propagation
from interaction.errors import UserError
from interaction.evaluation.scores import region_similarity
from interaction.session import Session
from interaction.tracking.trust import is_of_two_passes
from xmem_core.messages import Message


@dataclass(frozen=True, slots=True)
class ReplayedStep:
    """One step of the history was done again, or taken over as it was recorded."""

    label: str
    done: int
    total: int
    remark: str | None = None  # why it was taken over


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a session's masks compare with recorded ones."""

    frames: int  # with a mask in either
    equal_frames: int  # to the pixel
    mean_iou: float  # over the objects of those frames; 1 if there are none


def replay(session: Session, entries: Sequence[Entry]) -> Generator[ReplayedStep, None, None]:
    """Does the steps again in `session`, which should hold nothing yet.

    What an entry loads may raise UserError, if the project it is from is damaged.
    """
    for done, entry in enumerate(entries, start=1):
        edit = entry.loaded()
        try:
            problem = _repeat(session, edit)
        except (KeyError, IndexError, TypeError, ValueError, UserError) as error:
            problem = str(error).partition("\n")[0].strip("'\"")
        remark = None
        if problem is not None:
            _take_over(session, edit)
            remark = Message(
                "it cannot be done again ({problem}); its masks were taken over", problem=problem
            )
        yield ReplayedStep(entry.label, done, len(entries), remark)


def compare(session: Session, recorded: Mapping[int, FrameRecord]) -> Comparison:
    """recorded: by frame, of a video of the same size."""
    frames = sorted(recorded.keys() | session.annotation.records.keys())
    equal, ious = 0, []
    for frame in frames:
        ours = session.annotation.labels(frame)
        record = recorded.get(frame)
        theirs = np.zeros_like(ours)
        if record is not None and record.mask is not None:
            theirs = decode_labels(record.mask)
        equal += bool(np.array_equal(ours, theirs))
        ids = set(np.unique(ours).tolist()) | set(np.unique(theirs).tolist())
        ious += [region_similarity(ours == i, theirs == i) for i in ids - {0}]
    return Comparison(len(frames), equal, float(np.mean(ious)) if ious else 1.0)


def _repeat(session: Session, recorded: Edit) -> str | None:
    """Why it cannot be done again; None if it was."""
    cause = recorded.cause
    if isinstance(cause, UnknownRequest):
        return cause.problem
    if cause is None or isinstance(cause, MaskRequest | ImportRequest | VersionRequest):
        return Message("its masks came from elsewhere")
    if isinstance(cause, PropagationRequest):
        _track(session, cause, recorded)
        return None
    for edit in answer(session.context(), cause):
        is_applied = session.apply(replace(edit, label=recorded.label))
        if not is_applied and isinstance(cause, ObjectsRequest):
            return Message("an object that leaves the list still has pixels")
    return None


def _track(session: Session, request: PropagationRequest, recorded: Edit) -> None:
    """The frames that the run has written, and no others: it may have been cancelled, and what was
    drawn ahead of it meanwhile is a step of its own, still to come."""
    to_come = set(recorded.after)
    with closing(propagation(session.context(), request)) as steps:
        for step in steps:
            if step.edit is not None and step.edit.frames <= recorded.frames:
                session.apply(step.edit)
            own, then = session.annotation.record(step.frame), recorded.after.get(step.frame)
            # A frame comes again where its mask is of two passes, or covered pixels are found.
            if (
                then is not None
                and own.beneath == then.beneath
                and is_of_two_passes(own) >= is_of_two_passes(then)
            ):
                to_come.discard(step.frame)
            if not to_come:
                return


def _take_over(session: Session, edit: Edit) -> None:
    """The recorded masks in place of what is there, objects first."""
    own = session.annotation
    before = {frame: own.record(frame) for frame in edit.after}
    objects_after = edit.objects_after
    if objects_after is None:
        known = {one.id for one in own.objects}
        new = sorted({i for record in edit.after.values() for i in record.present} - known)
        names = [ObjectInfo(i, f"Object {i}", (128, 128, 128)) for i in new]
        objects_after = (*own.objects, *names)
    session.apply(
        Edit(
            edit.label,
            before,
            edit.after,
            objects_before=own.objects,
            objects_after=objects_after,
            cause=edit.cause,
            locked=edit.locked,
        )
    )
