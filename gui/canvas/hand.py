"""Moving the picture: with the middle button, or with the left one while Space is held."""

from collections.abc import Callable

from PySide6.QtCore import QPointF, Qt

__all__ = ["Hand"]


class Hand:
    """Open while Space is held, closed while the picture is being moved."""

    def __init__(self, pan_by: Callable[[QPointF], None]) -> None:
        """pan_by: gets a movement in viewport pixels."""
        self._pan_by = pan_by
        self._from: QPointF | None = None
        self._is_open = self._has_moved = False

    @property
    def is_open(self) -> bool:
        """Whether the left button would move the picture."""
        return self._is_open

    @property
    def is_moving(self) -> bool:
        return self._from is not None

    def open(self) -> None:
        """Space is pressed."""
        self._is_open, self._has_moved = True, False

    def close(self) -> bool:
        """Space is let go. True if nothing was moved meanwhile: it was a tap."""
        self._is_open = False
        return not self._has_moved

    def wants(self, button: Qt.MouseButton) -> bool:
        """Whether pressing this button takes hold of the picture."""
        is_left = button == Qt.MouseButton.LeftButton
        return button == Qt.MouseButton.MiddleButton or (is_left and self._is_open)

    def take(self, at: QPointF) -> None:
        """at: viewport pixels, as everywhere here."""
        self._from = at

    def move(self, at: QPointF) -> None:
        if self._from is not None:
            self._has_moved = True
            self._pan_by(at - self._from)
            self._from = at

    def drop(self) -> bool:
        """The picture stays where it is. False if it was not being moved."""
        was_moving, self._from = self._from is not None, None
        return was_moving
