"""Progress, pace and state of long work: propagation and edits of many frames."""

import time
from collections import deque
from collections.abc import Collection
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from PySide6.QtCore import QCoreApplication

from gui.work.engine_thread import Job
from interaction.annotation.annotation import Annotation, given_objects
from interaction.annotation.history import Entry, History
from interaction.annotation.requests import (
    Direction,
    MemoryUse,
    Propagated,
    PropagationRequest,
)
from interaction.annotation.types import Edit, FrameRecord, ObjectInfo
from interaction.session import Session

__all__ = [
    "Busy",
    "LongWork",
    "Pace",
    "Progress",
    "TrackingRun",
    "frames_text",
]


class Busy(Enum):
    """What the program is at, as far as it matters to what can be asked of it."""

    IDLE = "idle"
    CLICKING = "clicking"
    PROPAGATING = "propagating"
    LEARNING = "learning"  # from the given frames
    PAUSED = "paused"  # of tracking or learning
    WORKING = "working"  # changing masks on many frames
    EXPORTING = "exporting"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long job is. Unknown figures are None."""

    label: str
    done: int
    total: int
    frames_per_second: float | None = None
    seconds_left: float | None = None
    memory: MemoryUse | None = None  # while propagating


_STEPS_TIMED: Final = 20  # of the last few: what a step costs changes on the way


class Pace:
    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_STEPS_TIMED)
        self._steps_left = 0

    def note(self, steps_left: int) -> None:
        """Another step was made."""
        self._times.append(time.monotonic())
        self._steps_left = steps_left

    def stop(self) -> None:
        """A pause does not count as slowness."""
        self._times.clear()

    @property
    def steps_per_second(self) -> float | None:
        """None: not known yet."""
        if len(self._times) < 2 or self._times[-1] <= self._times[0]:
            return None
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])

    @property
    def seconds_left(self) -> float | None:
        speed = self.steps_per_second
        return None if not speed else self._steps_left / speed


_MOST_STRETCHES = 4


def _tr(text: str) -> str:
    return QCoreApplication.translate("LongWork", text)


class LongWork:
    """`job` is set by whoever starts it."""

    job: Job

    def __init__(self, history: History) -> None:
        """history: as it is when the work is asked for."""
        self._before: Entry | None = history.newest
        self._group: str | None = None
        self.label = ""
        self.done: set[int] = set()  # frames
        self.left: set[int] = set()  # frames that were changed meanwhile, and stay as they are
        self._leaving: frozenset[int] = frozenset()  # objects that it was to take from the list

    @property
    def has_begun(self) -> bool:
        """Whether it has a step in the history."""
        return self._group is not None

    def is_newest(self, history: History) -> bool:
        """Whether nothing was done after it, so that Undo is about it."""
        newest = history.newest
        if self._group is None:
            return newest is self._before
        return newest is not None and newest.group == self._group

    def note_edit(self, edit: Edit, *, is_applied: bool) -> None:
        self.label = edit.label
        if is_applied:
            self._group = edit.group
            self.done |= edit.frames
        elif edit.before != edit.after:
            self.left |= edit.frames
        if edit.objects_before is not None and edit.objects_after is not None:
            rest = {one.id for one in edit.objects_after}
            self._leaving = frozenset(one.id for one in edit.objects_before) - rest

    def outcome(self, error: Exception | None, objects: Collection[ObjectInfo]) -> str:
        """What is worth telling after its end; empty if all was done. error: what ended it.
        objects: that are there now."""
        told = []
        if isinstance(error, CancelledError) and self.has_begun:
            told.append(
                _tr("“{0}” was stopped: {1} frames are changed, which Undo takes back.").format(
                    self.label, len(self.done)
                )
            )
        if self.left:
            told.append(
                _tr("“{0}” left frames as they are that were changed meanwhile: {1}.").format(
                    self.label, frames_text(self.left)
                )
            )
        if self.left or error is None:
            staying = [one.name for one in objects if one.id in self._leaving]
            told += [_tr("“{}” stays in the list of objects.").format(name) for name in staying]
        return " ".join(told)


def frames_text(frames: Collection[int]) -> str:
    """For people, in order: “3”, “4–11, 13”; of very many, the first."""
    stretches: list[list[int]] = []
    for frame in sorted(frames):
        if stretches and frame == stretches[-1][1] + 1:
            stretches[-1][1] = frame
        else:
            stretches.append([frame, frame])
    parts = [str(first) if first == last else f"{first}–{last}" for first, last in stretches]
    if len(parts) > _MOST_STRETCHES:
        parts = [*parts[:_MOST_STRETCHES], "…"]
    return ", ".join(parts)


class TrackingRun(LongWork):
    """Knows the record with which tracking has gone over each frame, in this run and in those that
    it goes on from. A frame that the annotator has given another mask since was corrected behind
    the head: what was tracked from it has to be tracked again.
    """

    def __init__(
        self,
        request: PropagationRequest,
        session: Session,
        *,
        follows: bool = False,
        goes_on_from: "TrackingRun | None" = None,
    ) -> None:
        """To be made when the run is asked for: it reads what the run will read.

        follows: the current frame goes with it. goes_on_from: a run that has ended, after which
        something is tracked again.
        """
        super().__init__(session.history)
        self.request = request
        self.follows = follows
        self.pace = Pace()  # in frames
        self._records = dict(session.annotation.records)
        self._used: dict[int, FrameRecord | None] = {}
        self._whole: PropagationRequest = request  # of the first run
        self._start: int | None = None  # where that began, once it has
        if goes_on_from is not None:
            self._used = dict(goes_on_from._used)
            self._whole, self._start = goes_on_from._whole, goes_on_from._start

    def note(self, step: Propagated, annotation: Annotation, *, is_applied: bool) -> None:
        """A step that was shown; `annotation` after it."""
        self.pace.note(step.total - step.done)
        if self._start is None:
            self._start = step.frame
        if step.edit is None:
            self._used.setdefault(step.frame, self._records.get(step.frame))
        else:
            self.note_edit(step.edit, is_applied=is_applied)
            made = step.edit.after[step.frame]
            self._used[step.frame] = annotation.record(step.frame) if is_applied else made

    # What was corrected behind it

    def corrected(self, annotation: Annotation) -> list[int]:
        """Frames from which something has to be tracked again, in the order of travel."""
        start = self._start or 0
        frames = sorted(self._used, key=lambda frame: (abs(frame - start), frame))
        tracked = self._tracked(annotation)
        return [f for f in frames if self._direction_again(f, annotation, tracked) is not None]

    def again(self, annotation: Annotation) -> PropagationRequest | None:
        """A run from the first frame that was corrected, over no more than was tracked. To be
        asked for until there is none: the others come after it."""
        known = {one.id for one in annotation.objects}
        objects = self._whole.objects
        if objects is not None:
            objects &= known
        frame = next(iter(self.corrected(annotation)), None)
        if frame is None or objects == frozenset():
            return None
        direction = self._direction_again(frame, annotation, self._tracked(annotation))
        assert direction is not None  # it is one of the corrected
        self._used[frame] = annotation.record(frame)
        return replace(
            self._whole,
            start=frame,
            direction=direction,
            until="settled",
            most_frames=None,
            first=min(self._used),
            last=max(self._used),
            objects=objects,
        )

    def _tracked(self, annotation: Annotation) -> frozenset[int]:
        """The objects that a further run would follow."""
        found = given_objects(annotation.records.values()) - annotation.locked
        return found if self._whole.objects is None else found & self._whole.objects

    def _direction_again(
        self, frame: int, annotation: Annotation, tracked: frozenset[int]
    ) -> Direction | None:
        """Away from where the run began. None if the frame has the mask that was tracked from, or
        what comes next does not depend on it: the annotator answers for that too."""
        record, used = annotation.record(frame), self._used[frame]
        if not record.status.is_given or (used is not None and record.mask == used.mask):
            return None
        start = frame if self._start is None else self._start
        is_both = self._whole.direction == "both"
        ways = {
            1: frame >= start if is_both else self._whole.direction == "forward",
            -1: frame <= start if is_both else self._whole.direction == "backward",
        }
        forward, backward = (
            ways[way]
            and frame + way in self._used
            and not annotation.record(frame + way).answers_for(tracked)
            for way in (1, -1)
        )
        if forward and backward:
            return "both"
        if forward:
            return "forward"
        return "backward" if backward else None
