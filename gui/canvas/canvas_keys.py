"""Keys that mean something while the picture has the focus."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QKeySequence

from gui.canvas.hand import Hand
from gui.canvas.markers import ClickMarkers
from gui.canvas.tools import CanvasTool

__all__ = ["CanvasKeys"]

_HIDE_KEY: Final = Qt.Key.Key_H
_DELETE_KEYS: Final = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
_CLOSING_KEYS: Final = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_NO_MODIFIER: Final = Qt.KeyboardModifier.NoModifier
_MODIFIER_KEYS: Final = {
    Qt.Key.Key_Alt: Qt.KeyboardModifier.AltModifier,
    Qt.Key.Key_Control: Qt.KeyboardModifier.ControlModifier,
    Qt.Key.Key_Shift: Qt.KeyboardModifier.ShiftModifier,
}


@dataclass(frozen=True, slots=True)
class CanvasKeys:
    """Space opens the hand, H hides the masks, Escape abandons, Delete takes a click out. While a
    gesture is under way Undo is about it. While a polygon is open, Enter closes it; Backspace and
    Undo take its last corner back."""

    hand: Hand
    tool: Callable[[], CanvasTool]  # the one in the hand
    markers: ClickMarkers
    can_cancel: Callable[[], bool]
    cancel: Callable[[], bool]  # False if there was nothing to abandon
    can_take_back: Callable[[], bool]
    take_back: Callable[[], bool]  # as `cancel`, but of a polygon only the last corner
    set_masks_hidden: Callable[[bool], None]
    remove_click: Callable[[int], None]
    tapped: Callable[[], None]  # Space, without moving the picture
    modified: Callable[[Qt.KeyboardModifier | None], None]  # what is held now; None: ask Qt

    def claims(self, event: QKeyEvent) -> bool:
        """Whether a key means something here and now, and comes before the window's shortcuts."""
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_Space or key == _HIDE_KEY:
            return not event.modifiers()
        if key == Qt.Key.Key_Escape:
            return self.can_cancel()
        if event.matches(QKeySequence.StandardKey.Undo):
            return self.can_take_back()
        if self._is_for_corners(event):
            return True
        return key in _DELETE_KEYS and self.markers.hovered is not None

    def press(self, event: QKeyEvent) -> bool:
        """False if the key means nothing here."""
        key = Qt.Key(event.key())
        marker = self.markers.hovered
        if key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self.hand.open()
                self.modified(None)
        elif key == _HIDE_KEY and not event.modifiers():
            self.set_masks_hidden(True)
        elif event.matches(QKeySequence.StandardKey.Undo) and self.take_back():
            pass
        elif self._is_for_corners(event):
            if key not in _CLOSING_KEYS:
                self.tool().drop_corner()
            elif not event.isAutoRepeat():
                self.tool().close()
        elif key == Qt.Key.Key_Escape and self.cancel():
            pass
        elif key in _DELETE_KEYS and marker is not None:
            self.remove_click(marker.index)
        else:
            self.modified(event.modifiers() | _MODIFIER_KEYS.get(key, _NO_MODIFIER))
            return False
        return True

    def _is_for_corners(self, event: QKeyEvent) -> bool:
        is_theirs = event.key() in (*_DELETE_KEYS, *_CLOSING_KEYS) and not (
            event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        )
        return is_theirs and self.tool().has_corners

    def release(self, event: QKeyEvent) -> bool:
        """False if the key means nothing here."""
        key = Qt.Key(event.key())
        if event.isAutoRepeat():
            return True
        if key == Qt.Key.Key_Space and self.hand.is_open:
            is_tap = self.hand.close()
            self.modified(None)
            if is_tap:
                self.tapped()
        elif key == _HIDE_KEY:
            self.set_masks_hidden(False)
        else:
            self.modified(event.modifiers() & ~_MODIFIER_KEYS.get(key, _NO_MODIFIER))
            return False
        return True

    def forget(self) -> None:
        """The focus is elsewhere: a key that is let go there is not heard here."""
        self.hand.close()
        self.set_masks_hidden(False)
        self.modified(None)
