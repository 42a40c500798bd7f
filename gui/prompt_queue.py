"""Clicks, boxes and scribbles, answered one after another."""

from collections import deque
from collections.abc import Callable, Generator, Hashable
from functools import partial
from typing import NamedTuple

from gui.engine_thread import Job
from interaction.types import MaskEdit

__all__ = ["Answer", "Prompt", "PromptQueue"]

Answer = Generator[MaskEdit, None, None]
Prompt = Callable[[Callable[[], bool]], Answer]  # given whether to stop -> the answer


class PromptQueue:
    """Every answer starts from what the one before left, so each waits for its turn.

    A prompt that is taken back leaves nothing behind, even if its answer is already there; one
    whose answer no longer fits what it is about is asked again.
    """

    def __init__(
        self,
        start: Callable[
            [Callable[[], Answer], Callable[[MaskEdit], None], Callable[[], None]], Job | None
        ],
        take: Callable[[MaskEdit], bool],
        on_change: Callable[[], None],
    ) -> None:
        """start: runs one prompt's answer and calls back with each step and at its end; None if it
        was refused. take: applies an answer; False if that was made from an older state."""
        self._start, self._take, self._on_change = start, take, on_change
        self._waiting: deque[_Asked | _Action] = deque()
        self._job: Job | None = None
        self._in_work: _Asked | None = None
        self._is_outdated = False  # what it was about has changed since it was asked

    @property
    def is_busy(self) -> bool:
        return self._job is not None

    @property
    def is_awaited(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._waiting) or (self._job is not None and not self._job.is_cancelled)

    def awaits(self, subject: Hashable) -> bool:
        """Whether something was asked for that may bring this about, see `ask`."""
        asked = [one for one in self._waiting if isinstance(one, _Asked)]
        if self._in_work is not None and self._job is not None and not self._job.is_cancelled:
            asked.append(self._in_work)
        return any(one.subject == subject for one in asked)

    def ask(self, prompt: Prompt, subject: Hashable = None) -> None:
        """subject: what there may be after the answer."""
        self._add(_Asked(prompt, subject))

    def do_after(self, action: Callable[[], None]) -> None:
        """What needs the answers that are awaited: at once if there are none."""
        self._add(_Action(action))

    def take_back(self) -> None:
        """What was asked for last."""
        if self._waiting:
            self._waiting.pop()
        elif self._job is not None:
            self._job.cancel()

    def cancel(self) -> None:
        """Gives up those that wait, and stops the one in work."""
        self._waiting.clear()
        self.take_back()

    def _add(self, item: "_Asked | _Action") -> None:
        self._waiting.append(item)
        if self._job is None:
            self._next()

    def _next(self) -> None:
        self._job = None
        while self._waiting and self._job is None:
            item = self._waiting.popleft()
            if isinstance(item, _Action):
                item.act()
                continue
            jobs: list[Job] = []
            answer = partial(item.prompt, partial(_is_stopped, jobs))
            self._in_work, self._is_outdated = item, False
            self._job = self._start(answer, self._show, self._end)
            if self._job is not None:
                jobs.append(self._job)
        self._on_change()

    def _show(self, edit: MaskEdit) -> None:
        if self._job is not None and not self._job.is_cancelled:
            self._is_outdated = not self._take(edit)

    def _end(self) -> None:
        job, prompt = self._job, self._in_work
        if self._is_outdated and job is not None and not job.is_cancelled and prompt is not None:
            self._waiting.appendleft(prompt)
        self._next()


class _Asked(NamedTuple):
    prompt: Prompt
    subject: Hashable


class _Action(NamedTuple):
    """No prompt, but in its turn among them."""

    act: Callable[[], None]


def _is_stopped(jobs: list[Job]) -> bool:
    return bool(jobs) and jobs[0].is_cancelled
