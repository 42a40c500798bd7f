"""How fast long work goes, and how long it will take."""

import time
from collections import deque
from typing import Final

__all__ = ["Pace"]

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
