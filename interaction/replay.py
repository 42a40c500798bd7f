"""Doing again what a project's history says, step by step: the same clicks and strokes, answered
by whatever networks the new session has.

Steps that came from elsewhere (imports) or that no longer fit what the new networks made of the
steps before are taken over as they were recorded, and said so.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from interaction.annotation import surgery as mask_surgery
from interaction.annotation.edits import list_edit
from interaction.annotation.history import Entry
from interaction.annotation.mask_files import decode_labels
from interaction.annotation.requests import PropagationRequest
from interaction.annotation.types import Edit, FrameRecord, ObjectInfo, Stroke
from interaction.errors import UserError
from interaction.evaluation.scores import region_similarity
from interaction.session import Session
from xmem_core.arrays import Labels

__all__ = ["Comparison", "ReplayedStep", "compare", "replay"]

# Those that need no more than an object and numbers.
_SURGERIES: Final[Mapping[str, Callable[..., Labels]]] = {
    "fill_holes": mask_surgery.fill_holes,
    "flood_fill": mask_surgery.flood_fill,
    "grow": mask_surgery.grow,
    "keep_largest": mask_surgery.keep_largest,
    "remove_part": mask_surgery.remove_part,
    "remove_specks": mask_surgery.remove_specks,
    "shrink": mask_surgery.shrink,
    "smooth": mask_surgery.smooth,
}
_NO_SETTINGS: Final = {"kind", "frame", "object", "locked"}


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
        remark = None
        try:
            is_done = _do(session, edit)
            if not is_done:
                remark = "it cannot be done again; its masks were taken over"
        except (KeyError, IndexError, TypeError, ValueError, UserError) as problem:
            is_done = False
            reason = str(problem).partition("\n")[0].strip("'\"")
            remark = f"it does not fit any more ({reason}); its masks were taken over"
        if not is_done:
            _take_over(session, edit)
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


def _do(session: Session, edit: Edit) -> bool:
    """False, and nothing done, for a cause that nothing is known of."""
    cause = edit.cause
    kind = str(cause.get("kind", ""))
    if kind == "objects":
        _set_objects(session, edit.label, [_object(one) for one in cause["objects"]])
    elif kind == "propagate":
        _track(session, edit)
    elif kind in ("click", "box", "scribble", "remove_click"):
        _prompt(session, kind, cause)
    elif kind in ("stroke", "fill", "confirm", "unconfirm", "clear", "copy"):
        _by_hand(session, kind, cause)
    elif kind.startswith("surgery:"):
        return _surgery(session, kind.removeprefix("surgery:"), edit)
    else:
        return False
    return True


def _track(session: Session, edit: Edit) -> None:
    """The frames that the run has written, and no others: it may have been cancelled, and what was
    drawn ahead of it meanwhile is a step of its own, still to come."""
    cause = edit.cause
    request = PropagationRequest(
        start=int(cause["start"]),
        direction=cause["direction"],
        until=cause["until"],
        most_frames=_whole(cause["most_frames"]),
        first=_whole(cause["first"]),
        last=_whole(cause["last"]),
        objects=None if cause["objects"] is None else frozenset(map(int, cause["objects"])),
    )
    to_come = set(edit.after)
    with closing(session.propagation(request)) as steps:
        for step in steps:
            if step.edit is not None and step.edit.frames <= edit.frames:
                session.apply(step.edit)
            to_come.discard(step.frame)
            if not to_come:
                return


def _prompt(session: Session, kind: str, cause: Mapping[str, Any]) -> None:
    frame = int(cause["frame"])
    if kind == "remove_click":
        session.remove_click(frame, int(cause["index"]))
        return
    object_id = int(cause["object"])
    if kind == "click":
        session.click(
            frame, object_id, float(cause["x"]), float(cause["y"]), bool(cause["is_positive"])
        )
    elif kind == "box":
        session.box(frame, object_id, _point(cause["corner"]), _point(cause["opposite"]))
    else:
        session.scribble(frame, object_id, [_stroke(one) for one in cause["strokes"]])


def _by_hand(session: Session, kind: str, cause: Mapping[str, Any]) -> None:
    frame = int(cause["frame"])
    if kind == "stroke":
        session.stroke(frame, int(cause["object"]), _stroke(cause))
    elif kind == "fill":
        points = [_point(point) for point in cause["points"]]
        session.fill(frame, int(cause["object"]), points, bool(cause["is_positive"]))
    elif kind == "confirm":
        session.confirm(frame)
    elif kind == "unconfirm":
        session.unconfirm(frame)
    elif kind == "clear":
        session.clear_frame(frame, _whole(cause["object"]))
    else:
        session.copy_mask(int(cause["from"]), frame, _whole(cause["object"]))


def _surgery(session: Session, name: str, edit: Edit) -> bool:
    cause = edit.cause
    if name == "delete":
        session.delete_object(int(cause["object"]))
    elif name == "merge":
        session.merge_objects(int(cause["object"]), into=int(cause["into"]))
    elif name == "swap":
        session.swap_objects(int(cause["first"]), int(cause["second"]), int(cause["frame"]))
    elif name == "split":
        session.split_object(int(cause["frame"]), int(cause["object"]))
    elif name in _SURGERIES:
        change = partial(
            _SURGERIES[name],
            object_id=int(cause["object"]),
            locked=session.annotation.locked,
            **{key: value for key, value in cause.items() if key not in _NO_SETTINGS},
        )
        if "frame" in cause:
            session.change_mask(int(cause["frame"]), edit.label, change, cause)
        else:
            frames = sorted(edit.frames)
            for one in session.surgery(edit.label, frames, lambda _, own: change(own), cause):
                session.apply(one)
    else:
        return False
    return True


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
        )
    )


def _set_objects(session: Session, label: str, objects: Sequence[ObjectInfo]) -> None:
    edit = list_edit(session.annotation, label, tuple(objects))
    if edit is not None and not session.apply(edit):
        raise ValueError("an object that leaves the list still has pixels")


def _object(plain: Mapping[str, Any]) -> ObjectInfo:
    red, green, blue = (int(part) for part in plain["color"])
    return ObjectInfo(
        int(plain["id"]),
        str(plain["name"]),
        (red, green, blue),
        bool(plain["is_locked"]),
        bool(plain["is_visible"]),
    )


def _stroke(plain: Mapping[str, Any]) -> Stroke:
    points = tuple(_point(point) for point in plain["points"])
    return Stroke(points, float(plain["radius_px"]), bool(plain["is_positive"]))


def _point(plain: Sequence[float]) -> tuple[float, float]:
    x, y = plain
    return float(x), float(y)


def _whole(plain: Any) -> int | None:
    return None if plain is None else int(plain)
