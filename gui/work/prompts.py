"""Clicks, boxes and scribbles: the click network answers them in order."""

from collections import deque
from collections.abc import Callable, Generator, Hashable, Sequence
from concurrent.futures import CancelledError
from functools import partial
from typing import Any, NamedTuple

from PySide6.QtCore import QObject, Signal

from gui.work.document import Document
from gui.work.engine_thread import EngineThread, Job
from gui.work.hand import HandWork
from interaction.annotation.requests import (
    BoxRequest,
    ClickRequest,
    RemoveClickRequest,
    ScribbleRequest,
)
from interaction.annotation.types import Click, Edit, Point, Prompts, Stroke
from interaction.answers import answer
from interaction.errors import UserError

__all__ = [
    "Answer",
    "Prompt",
    "PromptQueue",
    "PromptWork",
]

Answer = Generator[Edit, None, None]
Prompt = Callable[[Callable[[], bool]], Answer]  # given whether to stop -> the answer


class PromptQueue:
    """Every answer starts from what the one before left, so each waits for its turn.

    A prompt that is taken back leaves nothing behind, even if its answer is already there; one
    whose answer no longer fits what it is about is asked again.
    """

    def __init__(
        self,
        start: Callable[
            [Callable[[], Answer], Callable[[Edit], None], Callable[[], None]], Job | None
        ],
        take: Callable[[Edit], bool],
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

    def _show(self, edit: Edit) -> None:
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


class PromptWork(HandWork):
    """What the annotator points at; `Annotator` adds what goes over many frames."""

    clicked = Signal(object)  # (frame, Click) as soon as it is asked for, before it is answered
    awaited_changed = Signal()  # another prompt is in work, or none

    def __init__(
        self, document: Document, engine: EngineThread, parent: QObject | None = None
    ) -> None:
        super().__init__(document, parent)
        self._engine = engine
        self._prompts = PromptQueue(
            self._start_prompt, self._take_answer, self.awaited_changed.emit
        )

    def click(self, x: float, y: float, is_positive: bool = True) -> None:
        """On the current frame, for the current object; the first click makes an object. Where
        nothing of it is yet, a negative one is refused."""
        if not is_positive and not self._has_something_to_take_away():
            return
        object_id = self._object_for_work()
        if not object_id:
            return
        frame, click = self.document.frame, Click(x, y, is_positive)
        self.clicked.emit((frame, click))
        self._point(ClickRequest(frame, object_id, click), is_positive)

    def remove_click(self, index: int) -> None:
        """Takes one click of the current frame out again; the others are answered anew."""
        frame = self.document.frame
        prompts = self._session.annotation.record(frame).prompts
        if prompts is None or not 0 <= index < len(prompts.clicks):
            return
        object_id, click = prompts.object_id, prompts.clicks[index]

        def removing(stop: Callable[[], bool]) -> Answer:
            found = _index(self._session.annotation.record(frame).prompts, object_id, click)
            if found is None:
                raise UserError(
                    self.tr("The click is a part of the mask by now.")
                    + "\n\n"
                    + self.tr("The frame was changed after it. Undo goes back to it.")
                )
            return answer(self._session.context(stop), RemoveClickRequest(frame, found))

        self._ask(object_id, removing)

    def remove_last_click(self) -> bool:
        """False if the current object has none on the current frame."""
        prompts = self._session.annotation.record(self.document.frame).prompts
        if prompts is None or prompts.object_id != self.document.current_object:
            return False
        self.remove_click(len(prompts.clicks) - 1)
        return True

    def box(self, corner: Point, opposite: Point) -> None:
        object_id = self._object_for_work()
        if object_id:
            self._point(BoxRequest(self.document.frame, object_id, corner, opposite), True)

    def scribble(self, strokes: Sequence[Stroke]) -> None:
        is_positive = any(stroke.is_positive for stroke in strokes)
        if strokes and not is_positive and not self._has_something_to_take_away():
            return
        object_id = self._object_for_work()
        if object_id and strokes:
            request = ScribbleRequest(self.document.frame, object_id, tuple(strokes))
            self._point(request, is_positive)

    @property
    def awaits_answers(self) -> bool:
        """Whether something was asked for that is not answered yet, and not given up."""
        return self._prompts.is_awaited

    def give_up_answers(self) -> None:
        """What is not answered yet never will be."""
        self._prompts.cancel()

    # Parts

    def _has_something_to_take_away(self) -> bool:
        """Whether the current object is on the current frame, or may be once what was asked for is
        answered. What is only told what it is not would become all the rest, and be remembered."""
        frame, object_id = self.document.frame, self.document.current_object
        if self._is_there(frame, object_id) or self._prompts.awaits((frame, object_id)):
            return True
        self.noticed.emit(self.tr("There is nothing to take away yet: click on the object first."))
        return False

    def _is_there(self, frame: int, object_id: int) -> bool:
        """Whether the object is on the frame, or was pointed at there."""
        record = self._session.annotation.record(frame)
        prompts = record.prompts
        is_pointed_at = (
            prompts is not None
            and prompts.object_id == object_id
            and any(click.is_positive for click in prompts.clicks)
        )
        return object_id in record.present or is_pointed_at

    def _point(
        self, request: ClickRequest | BoxRequest | ScribbleRequest, is_positive: bool
    ) -> None:
        """is_positive: it says what the object is, so that something of it is there afterwards."""
        frame, object_id = request.frame, request.object_id

        def pointed(stop: Callable[[], bool]) -> Answer:
            # What was to come first may have been taken back, or have failed.
            if not is_positive and not self._is_there(frame, object_id):
                raise UserError(
                    self.tr("There is nothing to take away any more.")
                    + "\n\n"
                    + self.tr("Click on the object first.")
                )
            return answer(self._session.context(stop), request)

        self._ask(object_id, pointed, (frame, object_id) if is_positive else None)

    def _ask(self, object_id: int, prompt: Prompt, subject: tuple[int, int] | None = None) -> None:
        """In its turn, and again if the frame is changed before the answer is there. subject: the
        frame and object that are to be there afterwards."""

        def asked(stop: Callable[[], bool]) -> Answer:
            if self.document.object(object_id) is None:
                raise UserError(
                    self.tr("The object was deleted before it could be worked on.")
                    + "\n\n"
                    + self.tr("Undo brings it back.")
                )
            return prompt(stop)

        self._prompts.ask(asked, subject)

    def _take_answer(self, edit: Edit) -> bool:
        if self.document.apply(edit):
            return True
        if edit.before != edit.after:
            return False
        self.document.masks_changed.emit(set(edit.frames))  # previews give way to what is
        return True

    def _start_prompt(
        self,
        answer: Callable[[], Answer],
        on_step: Callable[[Edit], None],
        on_end: Callable[[], None],
    ) -> Job | None:
        return self._start(self._engine, answer, on_step, lambda _: on_end())

    def _start(
        self,
        thread: EngineThread,
        steps: Callable[[], Generator[Any, None, Any]],
        on_step: Callable[[Any], None],
        on_end: Callable[[Exception | None], None],
    ) -> Job | None:
        """None if the work was refused, which is told."""

        def end(error: Exception | None) -> None:
            on_end(error)
            if error is not None and not _is_stop(error):
                self.failed.emit(error)

        try:
            generator = steps()
        except Exception as error:  # noqa: BLE001  # shown or reported by whoever listens
            self.failed.emit(error)
            return None
        return thread.start(generator, Job(on_step, end))


def _index(prompts: Prompts | None, object_id: int, click: Click) -> int | None:
    """Where the click is among those of the frame, None if it no longer is."""
    if prompts is None or prompts.object_id != object_id or click not in prompts.clicks:
        return None
    return len(prompts.clicks) - 1 - prompts.clicks[::-1].index(click)


def _is_stop(error: Exception) -> bool:
    from interaction.clicks.fbrs import StoppedError

    return isinstance(error, CancelledError | StoppedError)
