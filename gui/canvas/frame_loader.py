"""Brings the pictures of frames to the canvas without ever making the window wait."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

__all__ = ["FrameLoader", "FrameSource", "to_image"]


class FrameSource(Protocol):
    """What is needed of `interaction.project.video.Video`."""

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        """(H, W, 3) RGB. May take long; any error means that there is no picture."""

    def cached(self, index: int, /) -> NDArray[np.uint8] | None:
        """The same if it is in memory. Quick."""


def to_image(frame: NDArray[np.uint8]) -> QImage:
    """(H, W, 3) RGB -> the format that Qt paints fastest. Shares no memory with `frame`."""
    height, width, _ = frame.shape
    frame = np.ascontiguousarray(frame)
    image = QImage(frame.data, width, height, width * 3, QImage.Format.Format_RGB888)
    return image.convertToFormat(QImage.Format.Format_RGB32)


class FrameLoader(QObject):
    """Decodes on one thread of its own. The newest request is served next, others are forgotten.

    A picture that arrives after one that was asked for later is dropped, so what is shown never
    steps back; one that is overtaken but newer than what is shown is given: scrubbing stays alive.
    """

    loaded = Signal(int, QImage)  # frame
    failed = Signal(int, object)  # frame, the Exception

    _answered = Signal(int, int, object)  # request, frame, QImage or Exception

    def __init__(self, source: FrameSource, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source = source
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="frames")
        self._lock = threading.Lock()
        self._wanted: tuple[int, int] | None = None  # request, frame
        self._is_working = False
        self._is_closed = False
        self._request = 0
        self._given = 0  # the newest request that was answered
        self._answered.connect(self._give)
        executor = self._executor
        self.destroyed.connect(lambda: executor.shutdown(wait=True, cancel_futures=True))

    def request(self, frame: int) -> None:
        """`loaded` or `failed` follows: at once for a frame in memory, else later."""
        if self._is_closed:
            return
        self._request += 1
        picture = self._source.cached(frame)
        if picture is not None:
            with self._lock:
                self._wanted = None
            self._give(self._request, frame, to_image(picture))
            return
        with self._lock:
            self._wanted = (self._request, frame)
            if self._is_working:
                return
            self._is_working = True
        self._executor.submit(self._work)

    def close(self) -> None:
        """Ends the thread after the frame in hand. Nothing is given any more."""
        self._is_closed = True
        with self._lock:
            self._wanted = None
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._wanted is None:
                    self._is_working = False
                    return
                (request, frame), self._wanted = self._wanted, None
            answer: QImage | Exception
            try:
                answer = to_image(self._source[frame])
            except Exception as error:  # noqa: BLE001  # whatever it is, it is shown
                answer = error
            try:
                self._answered.emit(request, frame, answer)
            except RuntimeError:  # the window is gone
                return

    def _give(self, request: int, frame: int, answer: QImage | Exception) -> None:
        if self._is_closed or request <= self._given:
            return
        self._given = request
        if isinstance(answer, QImage):
            self.loaded.emit(frame, answer)
        else:
            self.failed.emit(frame, answer)
