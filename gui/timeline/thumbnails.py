"""Small pictures of frames, made off the GUI thread when nothing more urgent is going on.

They have a decoder of their own: the one that shows frames must never wait for a thumbnail.
"""

from collections import OrderedDict
from collections.abc import Generator, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QImage, QPixmap

from gui.work.document import Document
from gui.work.operations import EngineThread, Kind, Operation
from interaction.errors import UserError
from interaction.video.video import Video

__all__ = ["THUMBNAIL_PX", "Thumbnails"]

THUMBNAIL_PX: Final = 72  # high; twice what the filmstrip shows on a plain screen
_AT_A_TIME: Final = 4  # then it looks again at what is wanted most
_QUIET_MS: Final = 150  # after the last thing that had to be quick


class Thumbnails(QObject):
    """What several widgets want to see, the newest wish first. Only the GUI thread calls it.

    Call `close` before the video is closed: it ends the thread.
    """

    arrived = Signal(int)  # frame

    @classmethod
    def of(cls, document: Document) -> "Thumbnails":
        """The document's, made when they are first asked for."""
        found = document.findChild(cls)
        return found if isinstance(found, cls) else cls(document.video, THUMBNAIL_PX, document)

    def __init__(
        self,
        video: Video,
        height_px: int,
        parent: QObject | None = None,
        *,
        budget_bytes: int = 32 * 2**20,
    ) -> None:
        """height_px: of the pictures, in device pixels."""
        super().__init__(parent)
        self._video = video
        self._budget_bytes = budget_bytes
        self.height_px = height_px
        self.width_px = max(1, round(height_px * video.width / video.height))
        self._pixmaps: OrderedDict[int, QPixmap] = OrderedDict()
        self._wishes: OrderedDict[str, tuple[int, ...]] = OrderedDict()  # by who wants them
        self._unreadable: set[int] = set()
        self._thread = EngineThread("thumbnails", self)
        self._making: Operation | None = None
        self._decoder: Video | None = None  # only the thread uses it
        self._is_paused = self._is_closed = False
        self._quiet = QTimer(self, singleShot=True, interval=_QUIET_MS)
        self._quiet.timeout.connect(self._go_on)

    @property
    def size_bytes(self) -> int:
        """Held in memory."""
        return len(self._pixmaps) * self.width_px * self.height_px * 4

    def pixmap(self, frame: int) -> QPixmap | None:
        """At once: the picture, or None while there is none."""
        found = self._pixmaps.get(frame)
        if found is not None:
            self._pixmaps.move_to_end(frame)
        return found

    def want(self, who: str, frames: Sequence[int]) -> None:
        """Instead of what `who` wanted before, in this order. `arrived` is emitted for each."""
        if self._wishes.get(who) == tuple(frames):
            return
        self._wishes[who] = tuple(frames)
        self._wishes.move_to_end(who, last=False)
        self._go_on()

    def set_paused(self, is_paused: bool) -> None:
        """While the processor is needed for something else."""
        self._is_paused = is_paused
        if is_paused and self._making is not None:
            self._making.cancel()
        self._go_on()

    def give_way(self) -> None:
        """Frames are being shown: not now, but soon."""
        if self._making is not None:
            self._making.cancel()
        if not self._is_closed:
            self._quiet.start()

    def close(self) -> None:
        """Ends the thread. What is there can still be asked for."""
        if self._is_closed:
            return
        self._is_closed = True
        self._quiet.stop()
        self._thread.shutdown()
        if self._decoder is not None:
            self._decoder.close()

    def _go_on(self) -> None:
        if self._is_closed or self._is_paused or self._making is not None or self._quiet.isActive():
            return
        frames = self._missing()
        if frames:
            self._making = Operation(
                Kind.BACKGROUND, lambda: self._make(frames), self._keep, self._end
            )
            self._thread.start(self._making)

    def _missing(self) -> list[int]:
        room = max(1, self._budget_bytes // (self.width_px * self.height_px * 4))
        wanted = list(dict.fromkeys(f for frames in self._wishes.values() for f in frames))
        missing = (
            frame
            for frame in wanted[:room]
            if frame not in self._pixmaps and frame not in self._unreadable
        )
        return [frame for frame, _ in zip(missing, range(_AT_A_TIME), strict=False)]

    def _make(self, frames: Sequence[int]) -> Generator[tuple[int, QImage | None], None, None]:
        """On the thread."""
        for frame in frames:
            try:
                picture = self._video.cached(frame)
                if picture is None:
                    if self._decoder is None:
                        self._decoder = Video(self._video.index, cache_bytes=0)
                    picture = self._decoder[frame]
                image = _small_image(picture, self.width_px, self.height_px)
            except UserError:
                image = None  # the canvas says what is wrong with it
            yield frame, image

    def _keep(self, step: tuple[int, QImage | None]) -> None:
        frame, image = step
        if image is None:
            self._unreadable.add(frame)
            return
        self._pixmaps[frame] = QPixmap.fromImage(image)
        while len(self._pixmaps) > 1 and self.size_bytes > self._budget_bytes:
            self._pixmaps.popitem(last=False)
        self.arrived.emit(frame)

    def _end(self, error: Exception | None) -> None:
        self._making = None
        self._go_on()


def _small_image(picture: NDArray[np.uint8], width: int, height: int) -> QImage:
    """picture: (H, W, 3) RGB."""
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return QImage(
        small.data, width, height, 3 * width, QImage.Format.Format_RGB888
    ).convertToFormat(QImage.Format.Format_RGB32)
