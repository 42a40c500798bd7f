"""What the mouse moves while it is held on the timeline: the playhead, the range, an end of it."""

from enum import Enum

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QKeySequence

from gui.document import Document

__all__ = ["Drag", "Dragged", "is_abandoning"]


class Dragged(Enum):
    PLAYHEAD = 1
    RANGE = 2
    RANGE_IN = 3
    RANGE_OUT = 4


class Drag:
    """From press to release. What is abandoned in between is as if it had never begun."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._what: Dragged | None = None
        self._from = 0  # frame
        self._frame_before = 0
        self._range_before: tuple[int | None, int | None] = (None, None)
        self._is_held = False

    @property
    def is_held(self) -> bool:
        """Whether the button is down, though what it moved may have been abandoned."""
        return self._is_held

    def begin(self, what: Dragged, frame: int) -> None:
        document = self._document
        self._what, self._from, self._is_held = what, frame, True
        self._frame_before = document.frame
        self._range_before = document.range_in, document.range_out
        if what is Dragged.PLAYHEAD:
            document.set_frame(frame)

    def move(self, frame: int) -> None:
        document = self._document
        if self._what is Dragged.PLAYHEAD:
            document.set_frame(frame)
        elif self._what is Dragged.RANGE:
            document.set_range(*sorted((self._from, frame)))
        elif self._what is Dragged.RANGE_IN:
            last = document.frame_count - 1
            end = last if document.range_out is None else document.range_out
            document.set_range(min(frame, end), document.range_out)
        elif self._what is Dragged.RANGE_OUT:
            document.set_range(document.range_in, max(frame, document.range_in or 0))

    def end(self) -> None:
        self._what, self._is_held = None, False

    def abandon(self) -> bool:
        """False if the button is not down."""
        if self._what is Dragged.PLAYHEAD:
            self._document.set_frame(self._frame_before)
        elif self._what is not None:
            self._document.set_range(*self._range_before)
        self._what = None
        return self._is_held


def is_abandoning(event: QKeyEvent) -> bool:
    """Escape, or Undo."""
    return event.key() == Qt.Key.Key_Escape or event.matches(QKeySequence.StandardKey.Undo)
