"""The cuts of the video: found in the background once it is open, kept with the project, shown."""

from collections.abc import Generator
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from gui.work.document import Document
from gui.work.operations import EngineThread, Kind, Operation
from interaction.video.cuts import find_cuts
from interaction.video.video import Video

__all__ = ["Cuts"]

_QUIET_MS: Final = 1500  # opening comes first


class Cuts(QObject):
    """One for each document: get it from `of`. Call `close` before the video is closed."""

    changed = Signal()

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self._document = document
        self._frames: tuple[int, ...] = ()
        self._is_done = False
        self._thread = EngineThread("thumbnails: cuts", self)
        self._search: Operation | None = None
        self._later = QTimer(self, singleShot=True, interval=_QUIET_MS)
        self._later.timeout.connect(self.find)
        project = document.session.project
        known = None if project is None else project.view.load_cuts()
        if known is not None:
            self._frames, self._is_done = known, True

    @classmethod
    def of(cls, document: Document) -> "Cuts":
        """The document's, made when it is first asked for."""
        found = document.findChild(cls)
        return found if isinstance(found, cls) else cls(document)

    @property
    def frames(self) -> tuple[int, ...]:
        """The first frame of each shot but the first, as far as the video was looked through."""
        return self._frames

    @property
    def is_done(self) -> bool:
        """Whether the whole video was looked through."""
        return self._is_done

    def beside(self, frame: int, way: int) -> int | None:
        """The next cut behind (+1) or before (-1) a frame."""
        found = [cut for cut in self._frames if (cut - frame) * way > 0]
        return None if not found else min(found) if way > 0 else max(found)

    def find_soon(self) -> None:
        """`find`, once opening is over."""
        self._later.start()

    def find(self) -> None:
        """Looks through the video now, unless that is done or under way."""
        self._later.stop()
        if self._is_done or self._search is not None:
            return
        self._search = Operation(Kind.BACKGROUND, self._steps, self._keep, self._end)
        self._thread.start(self._search)

    def set_paused(self, is_paused: bool) -> None:
        """While the processor is needed for something else."""
        if self._search is not None:
            if is_paused:
                self._search.pause()
            else:
                self._search.resume()

    def close(self) -> None:
        """Ends the thread."""
        self._later.stop()
        self._thread.shutdown()

    def _steps(self) -> Generator[tuple[int, ...] | None, None, None]:
        """On the thread. Yields the cuts at the end, None before."""
        decoder = Video(self._document.video.index, cache_bytes=0)
        search = find_cuts(decoder)
        try:
            while True:
                try:
                    next(search)
                except StopIteration as end:
                    yield tuple(end.value)
                    return
                yield None
        finally:
            decoder.close()

    def _keep(self, cuts: tuple[int, ...] | None) -> None:
        if cuts is None:
            return
        self._frames, self._is_done = cuts, True
        project = self._document.session.project
        if project is not None:
            project.save_cuts(cuts)
        self.changed.emit()

    def _end(self, error: Exception | None) -> None:
        """The canvas reports a video that cannot be read."""
        self._search = None
