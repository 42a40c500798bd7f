"""Where a key goes from the current frame, while the timeline has the focus."""

from typing import Final

from PySide6.QtCore import Qt

from gui.document import Document
from gui.going import keyframe_after, keyframe_before

__all__ = ["frame_for_key", "is_going_key"]

_PAGE: Final = 10  # frames
_KEYS: Final = {
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
}


def is_going_key(key: int) -> bool:
    return key in _KEYS


def frame_for_key(document: Document, key: int, modifiers: Qt.KeyboardModifier) -> int | None:
    """Arrows: a frame, with Shift ten, with Ctrl to the next keyframe; None: there is none."""
    is_back = key in (Qt.Key.Key_Left, Qt.Key.Key_PageUp)
    if key == Qt.Key.Key_Home:
        return 0
    if key == Qt.Key.Key_End:
        return document.frame_count - 1
    if key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
        return document.frame + (-_PAGE if is_back else _PAGE)
    if modifiers & Qt.KeyboardModifier.ControlModifier:
        return keyframe_before(document) if is_back else keyframe_after(document)
    step = _PAGE if modifiers & Qt.KeyboardModifier.ShiftModifier else 1
    return document.frame + (-step if is_back else step)
