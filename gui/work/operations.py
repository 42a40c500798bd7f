"""Long-running operations, and the threads that pull them.

An operation is a generator, pulled a step at a time off the GUI thread. Operations on one thread
take turns, a step each, so a click is answered while a propagation goes on. What runs or waits to
run is a list: busy, cancel, pause and undo are loops over it. An operation is a plain Python object
with callbacks; one long-lived QObject per thread hops between the threads. (Operations that are
QObjects lose signals when they are quick, or when they delete themselves.)
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final

from PySide6.QtCore import QObject, Signal

from gui.language import tr
from gui.work.document import Document
from interaction.annotation.history import Entry, History
from interaction.annotation.requests import MemoryUse
from interaction.annotation.types import Edit
from xmem_core.messages import Message

__all__ = [
    "AppliedEdits",
    "Busy",
    "EngineThread",
    "Kind",
    "Operation",
    "Operations",
    "Pace",
    "Progress",
    "is_left_behind",
]


class Kind(Enum):
    """What an operation does. The value names it in a sentence, in English."""

    PROMPT = Message("the click")  # a click, box or scribble on its way to a mask
    TRACKING = Message("tracking")
    LEARNING = Message("learning")
    BULK_EDIT = Message("the change of many frames")  # delete, merge, swap, import
    FILE = Message("writing")  # export and the like
    BACKGROUND = Message("loading")  # nothing waits for it


class Busy(Enum):
    """What the program does, in the one word that decides what can be requested."""

    IDLE = "idle"
    CLICKING = "clicking"
    PROPAGATING = "propagating"
    LEARNING = "learning"
    PAUSED = "paused"  # tracking or learning
    WORKING = "working"  # changing masks on many frames
    EXPORTING = "exporting"


# The first kind that exists decides.
_BUSY: Final = {
    Kind.TRACKING: Busy.PROPAGATING,
    Kind.LEARNING: Busy.LEARNING,
    Kind.BULK_EDIT: Busy.WORKING,
    Kind.PROMPT: Busy.CLICKING,
    Kind.FILE: Busy.EXPORTING,
}
_LONG: Final = frozenset({Kind.TRACKING, Kind.LEARNING, Kind.BULK_EDIT})
_BLOCKS: Final = {
    Kind.PROMPT: _LONG | {Kind.PROMPT},  # each answer starts from what the one before left
    Kind.TRACKING: _LONG,
    Kind.LEARNING: _LONG,
    Kind.BULK_EDIT: _LONG,
    Kind.FILE: frozenset({Kind.FILE}),
    Kind.BACKGROUND: frozenset(),
}
_STEPS_TIMED: Final = 20  # the latest only: the cost of a step changes on the way
# Steps that may wait to be shown: a fast engine must not flood the window.
_STEPS_WAITING: Final = 2


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation is. Unknown figures are None."""

    label: str
    done: int
    total: int
    frames_per_second: float | None = None
    seconds_left: float | None = None
    memory: MemoryUse | None = None  # while tracking


class Pace:
    """Speed, from the times of the latest steps."""

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


class AppliedEdits:
    """The edits that one operation has applied, all one step of the history."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._before: Entry | None = history.newest
        self._group: str | None = None
        self.label = ""
        self.done: set[int] = set()  # frames
        self.left: set[int] = set()  # frames that were changed meanwhile, and stay as they are
        self.removes: frozenset[int] = frozenset()  # objects that it takes from the list

    def begin(self) -> None:
        """The operation starts now: what is newest in the history came before it."""
        self._before = self._history.newest

    @property
    def has_begun(self) -> bool:
        """Whether the history has a step of it."""
        return self._group is not None

    @property
    def are_newest(self) -> bool:
        """Whether nothing was done after them, so that Undo means them."""
        newest = self._history.newest
        if self._group is None:
            return newest is self._before
        return newest is not None and newest.group == self._group

    def note(self, edit: Edit, *, is_applied: bool) -> None:
        self.label = edit.label
        if is_applied:
            self._group = edit.group
            self.done |= edit.frames
        elif edit.before != edit.after:
            self.left |= edit.frames
        if edit.objects_before is not None and edit.objects_after is not None:
            rest = {info.id for info in edit.objects_after}
            self.removes = frozenset(info.id for info in edit.objects_before) - rest


def _ignore(_: object) -> None: ...


class Operation:
    """One run of a generator.

    `on_step` and `on_end` run on the GUI thread; `on_end` is the last call: with None, with
    CancelledError, or with the exception that the generator raised. A discarded operation calls
    neither any more.
    """

    def __init__(
        self,
        kind: Kind,
        steps: Callable[[], Generator[object, None, object]],
        on_step: Callable[[Any], None] = _ignore,
        on_end: Callable[[Exception | None], None] = _ignore,
        *,
        is_pausable: bool = False,
        edits: AppliedEdits | None = None,
        subject: Hashable = None,
        reports_errors: bool = True,
        reason: str = "",
        frames: range | None = None,
        pauses_at: Callable[[Any], bool] = lambda step: False,
    ) -> None:
        """steps: called on the GUI thread when the operation starts, to read what it depends on.
        edits: what Undo takes back. subject: what exists once it has ended. reports_errors: they
        are announced; otherwise only `on_end` gets them. reason, frames: why it runs and over which
        frames, where the program started it and not the annotator. pauses_at: asked on the
        thread, of each step, whether to pause right after it, before another is made."""
        self.kind, self.steps, self.on_step, self.on_end = kind, steps, on_step, on_end
        self.blocks: frozenset[Kind] = _BLOCKS[kind]
        self.is_pausable, self.edits, self.subject = is_pausable, edits, subject
        self.reports_errors, self.reason, self.frames = reports_errors, reason, frames
        self.pauses_at = pauses_at
        self.pace = Pace()
        self.is_started = False
        self.repeats = False  # once it has ended it starts again: its input has changed
        self.pull: Callable[[], object] = lambda: None  # makes the thread take the next step
        self._lock = threading.Lock()
        self._is_cancelled = self._is_discarded = self._is_paused = False
        self._unshown = 0
        self._is_parked = False  # the thread does not pull it until it is unparked

    @property
    def is_cancelled(self) -> bool:
        """All threads may ask, within a step too."""
        return self._is_cancelled

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    def cancel(self) -> None:
        """Stop after the step in progress; steps already made are still shown."""
        self._is_cancelled = True
        self._unpark()

    def discard(self) -> None:
        """Stop, and show nothing any more."""
        self._is_discarded = True
        self.cancel()

    def pause(self) -> None:
        """Stand still after the step in progress, with all that is in memory."""
        self._is_paused = True
        self.pace.stop()

    def resume(self) -> None:
        self._is_paused = False
        self._unpark()

    # For the thread that pulls it

    def show(self, step: object) -> None:
        """On the GUI thread."""
        try:
            if not self._is_discarded:
                self.on_step(step)
        finally:
            self.note_unshown(-1)
            self._unpark()

    def note_unshown(self, change: int) -> None:
        with self._lock:
            self._unshown += change

    def park(self) -> bool:
        """On the engine thread: whether the operation has to wait."""
        with self._lock:
            self._is_parked = not self._may_go_on()
            return self._is_parked

    def _may_go_on(self) -> bool:
        return self._is_cancelled or (not self._is_paused and self._unshown < _STEPS_WAITING)

    def _unpark(self) -> None:
        with self._lock:
            if not self._is_parked or not self._may_go_on():
                return
            self._is_parked = False
        self.pull()


_left_behind: list[Future[None]] = []  # behind steps that a shutdown did not wait for


def is_left_behind() -> bool:
    """Whether an abandoned step still runs, and would keep the process alive."""
    return any(not last.done() for last in _left_behind)


class EngineThread(QObject):
    """The one thread that may call what it is for, so that needs no locks."""

    _on_gui_thread = Signal(object)

    def __init__(self, name: str = "engine", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._running: set[Operation] = set()
        self._is_shut_down = False
        self._last: Future[None] | None = None  # what the thread does at the very end
        self._on_gui_thread.connect(self._call)

    @property
    def is_busy(self) -> bool:
        return bool(self._running)

    def start(
        self, operation: Operation, on_end: Callable[[Exception | None], None] | None = None
    ) -> None:
        """Pulls the operation to its end and closes it, all on the thread, in turn with others.

        on_end: called in place of the operation's. Raises what `operation.steps` raises.
        """
        generator = operation.steps()
        operation.is_started = True
        self._running.add(operation)
        end = on_end or operation.on_end
        advance = partial(self._advance, generator, operation, end)
        operation.pull = partial(self._submit, advance)
        with suppress(RuntimeError):  # as there; here, so that the way of a click stays short
            self._executor.submit(advance)

    def _submit(self, advance: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the thread takes no more steps
            self._executor.submit(advance)

    def shutdown(self, patience_s: float | None = None) -> bool:
        """Cancels what runs and waits for the step in progress, for so long; None: to its end. No
        callback comes any more. False if the step goes on: then the process has to end with it,
        see `is_left_behind`."""
        if self._last is None:
            self._is_shut_down = True
            for operation in list(self._running):
                operation.cancel()
            self._running.clear()
            self._last = self._executor.submit(lambda: None)
            self._executor.shutdown(wait=False)
        wait((self._last,), patience_s)
        if not self._last.done():
            _left_behind.append(self._last)
            return False
        self._executor.shutdown()  # the thread has nothing left to do and ends at once
        return True

    def _advance(
        self,
        steps: Generator[object, None, object],
        operation: Operation,
        on_end: Callable[[Exception | None], None],
    ) -> None:
        error: Exception | None = None
        try:
            if not operation.is_cancelled:
                step = next(steps)
                if operation.pauses_at(step):
                    operation.pause()
                operation.note_unshown(1)
                self._on_gui_thread.emit(partial(operation.show, step))
            if not operation.is_cancelled:
                if not operation.park():
                    operation.pull()
                return
            steps.close()
            error = CancelledError()
        except StopIteration:
            pass
        except Exception as raised:  # noqa: BLE001  # reported on the GUI thread, whatever it is
            error = raised
        self._on_gui_thread.emit(partial(self._end, operation, on_end, error))

    def _end(
        self,
        operation: Operation,
        on_end: Callable[[Exception | None], None],
        error: Exception | None,
    ) -> None:
        self._running.discard(operation)
        on_end(error)

    def _call(self, function: Callable[[], None]) -> None:
        if not self._is_shut_down:
            function()


class Operations(QObject):
    """What runs or waits to run, in the order of the requests."""

    changed = Signal()  # an operation began, ended, was cancelled, paused or resumed
    busy_changed = Signal(Busy)
    progressed = Signal(object)  # Progress

    def __init__(
        self,
        document: Document,
        engine: EngineThread,
        files: EngineThread,
        parent: QObject | None = None,
    ) -> None:
        """engine, files: the threads for networks, and for reading and writing files."""
        super().__init__(parent)
        self._document, self._engine, self._files = document, engine, files
        self._list: list[Operation] = []
        self._announced = Busy.IDLE

    def __iter__(self) -> Iterator[Operation]:
        return iter(tuple(self._list))

    def start(self, *operations: Operation) -> bool:
        """Starts these once nothing before them makes them wait. False, and announced, if they are
        blocked by what has to end or be cancelled first."""
        for operation in operations:
            if not self.may_start(operation.kind):
                return False
            self._list.append(operation)
        for operation in self:
            if operation.is_started or operation not in self._list or self._waits(operation):
                continue
            thread = self._files if operation.kind is Kind.FILE else self._engine
            try:
                thread.start(operation, partial(self._end, operation))
            except Exception as error:  # noqa: BLE001  # shown or reported by the window
                self._end(operation, error)
        self._announce()
        return True

    def in_background(
        self,
        do: Callable[[], object],
        on_end: Callable[[Exception | None], None] = _ignore,
        *,
        reports_errors: bool = False,
    ) -> None:
        """Calls `do` on the thread for networks. on_end, reports_errors: as of an operation."""

        def steps() -> Generator[None, None, None]:
            do()
            yield

        self.start(Operation(Kind.BACKGROUND, steps, on_end=on_end, reports_errors=reports_errors))

    def may_start(self, kind: Kind) -> bool:
        """False, and announced, while another operation blocks this kind; a prompt only makes it
        wait."""
        blocker = self._blocker(kind)
        if blocker is not None and kind is not Kind.FILE:  # dialogs say it themselves
            self._document.noticed.emit(
                tr(
                    "Wait until {operation} is done, or cancel it.",
                    operation=tr(blocker.kind.value),
                )
            )
        return blocker is None

    def discard(self, *operations: Operation) -> None:
        """They are no more, at once: whatever they still make is dropped."""
        for operation in operations:
            self._list.remove(operation)
            operation.discard()
        self.start()

    def cancel(self, *kinds: Kind) -> bool:
        """Ends those that run, of these kinds, after the step in progress. False if none did."""
        found = [
            operation for operation in self if operation.is_started and operation.kind in kinds
        ]
        for operation in found:
            operation.cancel()
        self._announce()
        return bool(found)

    def pause(self) -> None:
        for operation in self:
            if operation.is_pausable and operation.is_started:
                operation.pause()
        self._announce()

    def resume(self) -> None:
        for operation in self:
            operation.resume()
        self._announce()

    # What is going on

    @property
    def busy(self) -> Busy:
        if self.is_paused:
            return Busy.PAUSED
        kinds = {operation.kind for operation in self._list if operation.is_started}
        return next((busy for kind, busy in _BUSY.items() if kind in kinds), Busy.IDLE)

    @property
    def is_running(self) -> bool:
        """Whether something that can be paused runs, or is paused."""
        return any(operation.is_pausable and operation.is_started for operation in self._list)

    @property
    def running(self) -> Operation | None:
        """What tracks, learns or changes many frames now, paused or not."""
        return next(
            (
                operation
                for operation in self._list
                if operation.is_started and operation.kind in _LONG
            ),
            None,
        )

    @property
    def is_paused(self) -> bool:
        return any(operation.is_paused for operation in self._list)

    @property
    def is_free(self) -> bool:
        """Whether something that changes many frames may start."""
        return self._blocker(Kind.BULK_EDIT) is None

    @property
    def is_stopping(self) -> bool:
        """Whether something was cancelled and makes its last step."""
        return any(operation.is_cancelled for operation in self._list)

    def has(self, kind: Kind) -> bool:
        """Whether one of the kind runs, paused or not."""
        return any(operation.kind is kind and operation.is_started for operation in self._list)

    def will_give(self, subject: Hashable) -> bool:
        """Whether something in the list is to bring this about."""
        return any(operation.subject == subject for operation in self._list)

    # Parts

    def _blocker(self, kind: Kind) -> Operation | None:
        others = (operation for operation in self._list if operation.kind is not Kind.PROMPT)
        return next((operation for operation in others if kind in operation.blocks), None)

    def _waits(self, operation: Operation) -> bool:
        before = self._list[: self._list.index(operation)]
        return any(operation.kind in other.blocks for other in before)

    def _end(self, operation: Operation, error: Exception | None) -> None:
        if operation in self._list:
            if operation.repeats and error is None:
                operation.repeats = operation.is_started = False
            else:
                self._list.remove(operation)
                operation.on_end(error)
        is_failure = error is not None and not isinstance(error, CancelledError)
        if is_failure and operation.reports_errors:
            self._document.failed.emit(error)
        self.start()

    def _announce(self) -> None:
        busy = self.busy
        if busy is not self._announced:
            self._announced = busy
            self.busy_changed.emit(busy)
        self.changed.emit()
