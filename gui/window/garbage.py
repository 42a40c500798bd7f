"""Python's garbage collection, on the thread of the window alone.

By itself it begins on whichever thread makes objects just then. One that drops a widget on another
thread waits for Python's lock while it holds one of Qt's; the window, which has them the other
way round, waits for it, and neither ever goes on.
"""

import gc
import time
from typing import Final

from PySide6.QtCore import QObject, QTimer

_EVERY_MS: Final = 300
# All generations: some tenths of a second, in which the window stands still.
_WHOLE_EVERY_S: Final = 300.0


class GarbageCollection(QObject):
    """Takes the place of the automatic collection from `start` to `stop`."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._timer = QTimer(self, interval=_EVERY_MS)
        self._timer.timeout.connect(self.collect)
        self._whole_s = time.monotonic()

    def start(self) -> None:
        gc.disable()
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()
        gc.enable()

    def collect(self) -> None:
        """What the automatic collection would have collected since the last time."""
        young, middle, _ = gc.get_count()
        young_limit, middle_limit, _ = gc.get_threshold()
        if time.monotonic() - self._whole_s > _WHOLE_EVERY_S:
            gc.collect()
            self._whole_s = time.monotonic()
        elif middle > middle_limit:
            gc.collect(1)
        elif young > young_limit:
            gc.collect(0)
