"""One background thread that does the newest errand it was given, and forgets the others."""

import threading
from collections.abc import Callable

__all__ = ["Prefetcher"]


class Prefetcher:
    """Runs `work(errand)` off the caller's thread, one errand at a time.

    An errand is a range of frames, in the order they are wanted. `work` should return soon when
    `is_overtaken()` turns true, and must not raise. The thread starts with the first errand and is
    gone when `close` returns.
    """

    def __init__(self, work: Callable[[range], None]) -> None:
        self._work = work
        self._condition = threading.Condition()
        self._errand: range | None = None
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def ask(self, errand: range) -> None:
        """Do this next, instead of whatever else still waits."""
        with self._condition:
            if self._is_closed:
                return
            self._errand = errand
            if self._thread is None:
                # A daemon, so that a program that forgets to close can still end.
                self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
                self._thread.start()
            self._condition.notify()

    def is_overtaken(self) -> bool:
        """Whether a newer errand waits, or `close`."""
        return self._is_closed or self._errand is not None

    def close(self) -> None:
        """Stop, and wait for the thread to end. May be called twice."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(self.is_overtaken)
                if self._is_closed:
                    return
                errand, self._errand = self._errand, None
            if errand is not None:
                self._work(errand)
