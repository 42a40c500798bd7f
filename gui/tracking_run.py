"""One propagation as the window follows it: its speed, what is left, what was changed behind it."""

import time
from collections import deque
from dataclasses import replace
from typing import Final

from gui.engine_thread import Job
from interaction.annotation import Annotation
from interaction.session import Propagated, PropagationRequest
from interaction.types import FrameRecord

__all__ = ["TrackingRun"]

_FRAMES_TIMED: Final = 20  # speed is of the last few frames: it changes with the memory's size


class TrackingRun:
    """`job` is set by whoever starts it."""

    job: Job

    def __init__(self, request: PropagationRequest, *, follows: bool = False) -> None:
        self.request = request
        self.follows = follows  # the current frame goes with it
        self.group: str | None = None
        self._times: deque[float] = deque(maxlen=_FRAMES_TIMED)
        self._left = 0
        self._made: dict[int, FrameRecord] = {}

    def note(self, step: Propagated) -> None:
        self._times.append(time.monotonic())
        self._left = step.total - step.done
        if step.edit is not None:
            self.group = step.edit.group
            self._made.update(step.edit.after)

    def stop_clock(self) -> None:
        """A pause does not count as slowness."""
        self._times.clear()

    @property
    def frames_per_second(self) -> float | None:
        if len(self._times) < 2 or self._times[-1] <= self._times[0]:
            return None
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])

    @property
    def seconds_left(self) -> float | None:
        speed = self.frames_per_second
        return None if not speed else self._left / speed

    def corrected_behind(self, annotation: Annotation) -> PropagationRequest | None:
        """A run from the first frame that the annotator corrected after this one had passed."""
        corrected = [
            frame
            for frame, record in self._made.items()
            if annotation.record(frame) != record and annotation.record(frame).status.is_given
        ]
        if not corrected:
            return None
        is_backward = self.request.direction == "backward"
        start = max(corrected) if is_backward else min(corrected)
        return replace(self.request, start=start, until="settled", most_frames=None)
