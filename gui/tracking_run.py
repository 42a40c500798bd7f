"""One propagation as the window follows it: its speed, what is left, what was changed behind it."""

from dataclasses import replace

from gui.long_work import LongWork
from gui.pace import Pace
from interaction.annotation import Annotation, given_objects
from interaction.propagation_request import Direction
from interaction.session import Propagated, PropagationRequest, Session
from interaction.types import FrameRecord

__all__ = ["TrackingRun"]


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
