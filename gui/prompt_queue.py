"""Clicks, boxes and scribbles, answered one after another."""

from collections import deque
from collections.abc import Callable, Generator
from functools import partial

from gui.engine_thread import Job
from interaction.types import MaskEdit

__all__ = ["Prompt", "PromptQueue"]

Answer = Generator[MaskEdit, None, None]
Prompt = Callable[[Callable[[], bool]], Answer]  # given whether to stop -> the answer


class PromptQueue:
    """Every answer starts from what the one before left, so each waits for its turn."""

    def __init__(
        self,
        start: Callable[[Callable[[], Answer], Callable[[], None]], Job | None],
        on_change: Callable[[], None],
    ) -> None:
        """start: runs one prompt's answer and calls back at its end; None if it was refused."""
        self._start, self._on_change = start, on_change
        self._waiting: deque[Prompt] = deque()
        self._job: Job | None = None

    @property
    def is_busy(self) -> bool:
        return self._job is not None

    def ask(self, prompt: Prompt) -> None:
        self._waiting.append(prompt)
        if self._job is None:
            self._next()

    def cancel(self) -> None:
        """Gives up those that wait, and stops the one in work."""
        self._waiting.clear()
        if self._job is not None:
            self._job.cancel()

    def _next(self) -> None:
        self._job = None
        while self._waiting and self._job is None:
            jobs: list[Job] = []
            prompt = partial(self._waiting.popleft(), partial(_is_stopped, jobs))
            self._job = self._start(prompt, self._next)
            if self._job is not None:
                jobs.append(self._job)
        self._on_change()


def _is_stopped(jobs: list[Job]) -> bool:
    return bool(jobs) and jobs[0].is_cancelled
