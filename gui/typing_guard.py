"""Keys belong to what has the focus first: text that is typed, a button that is pressed.

The window's shortcuts are single keys, so without this they would take Space from a check box and
the letters from a name.
"""

from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QKeySequenceEdit,
    QLineEdit,
    QListView,
    QMainWindow,
    QPlainTextEdit,
    QTabBar,
    QWidget,
)

__all__ = ["TypingGuard", "is_modified"]

_MODIFIERS: Final = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
_RETURN: Final = {Qt.Key.Key_Return, Qt.Key.Key_Enter}
_ARROWS: Final = {Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down}
_ENDS: Final = {Qt.Key.Key_Home, Qt.Key.Key_End}
_OWN_KEYS: Final = {
    QCheckBox: {Qt.Key.Key_Space},
    QAbstractButton: {Qt.Key.Key_Space} | _RETURN,
    QComboBox: {Qt.Key.Key_Space} | _ENDS,
    QAbstractSlider: _ARROWS | _ENDS,
    QTabBar: _ARROWS | _ENDS,
    QListView: _RETURN,
}


class TypingGuard(QObject):
    """Install it on the application. Keys with Ctrl or Alt are still shortcuts."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind not in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            return False
        if not isinstance(event, QKeyEvent) or event.modifiers() & _MODIFIERS:
            return False
        focused = QApplication.focusWidget()
        if kind == QEvent.Type.ShortcutOverride:
            if is_typing() or _is_operated_with(focused, event):
                event.accept()
            return False
        # In a dialog Return is for its default button.
        if (
            watched is focused
            and isinstance(watched, QAbstractButton)
            and isinstance(watched.window(), QMainWindow)
            and event.key() in _RETURN
            and _is_operated_with(watched, event)
        ):
            if not event.isAutoRepeat():
                watched.click()
            return True
        return False


def is_modified(event: QKeyEvent) -> bool:
    """Whether anything is held with the key; that it is the keypad's does not count."""
    return bool(event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier)


def is_typing() -> bool:
    """Whether the focus is where text goes."""
    widget = QApplication.focusWidget()
    if isinstance(widget, QComboBox):
        return widget.isEditable()
    return isinstance(widget, QLineEdit | QAbstractSpinBox | QPlainTextEdit | QKeySequenceEdit)


def _is_operated_with(widget: QWidget | None, event: QKeyEvent) -> bool:
    """Whether the key presses, opens or moves what has the focus."""
    for kind, keys in _OWN_KEYS.items():
        if isinstance(widget, kind):
            return event.key() in keys
    return False
