"""Work off the GUI thread: generators, pulled one step at a time on one thread of their own.

Jobs take turns, a step each, so a click is answered while a long propagation goes on. A job is a
plain Python object with callbacks; one long-lived QObject hops between the threads. (Jobs that are
QObjects lose signals when they are quick, or when they delete themselves.)
"""

import threading
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from PySide6.QtCore import QObject, Signal

__all__ = ["EngineThread", "Job"]

# Steps that may wait to be shown: a fast engine must not flood the window.
_STEPS_WAITING: Final = 2


class Job:
    """One run of a generator. Both callbacks run on the GUI thread; `on_end` is the last call:
    with None, with CancelledError, or with whatever the generator raised."""

    def __init__(
        self, on_step: Callable[[Any], None], on_end: Callable[[Exception | None], None]
    ) -> None:
        self.on_step, self.on_end = on_step, on_end
        self._lock = threading.Lock()
        self._is_cancelled = self._is_paused = False
        self._unshown = 0
        self._is_parked = False  # its generator waits; nobody will pull it until it is unparked
        self._pull: Callable[[], None] = lambda: None

    @property
    def is_cancelled(self) -> bool:
        """Whether it was asked to stop; may be asked from any thread, within a step too."""
        return self._is_cancelled

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    def cancel(self) -> None:
        """Asks it to stop after the step in progress; steps already made are still shown."""
        self._is_cancelled = True
        self._unpark()

    def pause(self) -> None:
        """Stands still after the step in progress, with all that it has in memory."""
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self._unpark()

    def _may_go_on(self) -> bool:
        return self._is_cancelled or (not self._is_paused and self._unshown < _STEPS_WAITING)

    def _park(self) -> bool:
        """On the engine thread: whether it must wait."""
        with self._lock:
            self._is_parked = not self._may_go_on()
            return self._is_parked

    def _unpark(self) -> None:
        with self._lock:
            if not self._is_parked or not self._may_go_on():
                return
            self._is_parked = False
        self._pull()

    def _count(self, change: int) -> None:
        with self._lock:
            self._unshown += change

    def _show(self, step: Any) -> None:
        try:
            self.on_step(step)
        finally:
            self._count(-1)
            self._unpark()


class EngineThread(QObject):
    """The one thread that may call what it is for, so that needs no locks."""

    _on_gui_thread = Signal(object)

    def __init__(self, name: str = "engine", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._jobs: set[Job] = set()
        self._is_shut_down = False
        self._on_gui_thread.connect(self._call)

    @property
    def is_busy(self) -> bool:
        return bool(self._jobs)

    def start(self, steps: Generator[Any, None, Any], job: Job) -> Job:
        """Pulls `steps` to its end and closes it, all on the thread, in turn with other jobs."""
        self._jobs.add(job)
        job._pull = partial(self._executor.submit, self._advance, steps, job)  # type: ignore[assignment]
        job._pull()
        return job

    def cancel_all(self) -> None:
        for job in list(self._jobs):
            job.cancel()

    def shutdown(self) -> None:
        """Cancels what runs and waits for the step in progress. No callback comes any more."""
        if self._is_shut_down:
            return
        self._is_shut_down = True
        self.cancel_all()
        self._executor.shutdown(wait=True)
        self._jobs.clear()

    def _advance(self, steps: Generator[Any, None, Any], job: Job) -> None:
        error: Exception | None = None
        try:
            if not job.is_cancelled:
                step = next(steps)
                job._count(1)
                self._on_gui_thread.emit(partial(job._show, step))
            if not job.is_cancelled:
                if not job._park():
                    job._pull()
                return
            steps.close()
            error = CancelledError()
        except StopIteration:
            pass
        except Exception as raised:  # noqa: BLE001  # whatever it is, the GUI thread must be told
            error = raised
        self._on_gui_thread.emit(partial(self._end, job, error))

    def _end(self, job: Job, error: Exception | None) -> None:
        self._jobs.discard(job)
        job.on_end(error)

    def _call(self, function: Callable[[], None]) -> None:
        if not self._is_shut_down:
            function()
