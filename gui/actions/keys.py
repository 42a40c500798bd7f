"""Keys while typing, and shuttle keys while playing."""

from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QShortcut
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

from gui.actions.actions import Actions
from gui.timeline.player import Player

__all__ = [
    "ShuttleKeys",
    "TypingGuard",
]

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


_STOP, _FORWARD = "K", "L"


class ShuttleKeys(QObject):
    """K stops while it plays; L goes forward while it plays, and after K until something else is
    done. Meanwhile no action has these keys. J is an action of its own."""

    def __init__(self, player: Player, actions: Actions, owner: QWidget) -> None:
        """owner: part of the window in which the keys count; they go with it."""
        super().__init__(owner)
        self._player, self._actions = player, actions
        self._stop = QShortcut(QKeySequence(_STOP), owner)
        self._stop.activated.connect(lambda: player.shuttle("K"))
        self._forward = QShortcut(QKeySequence(_FORWARD), owner)
        self._forward.activated.connect(lambda: player.shuttle("L"))
        player.playing_changed.connect(self._follow)
        player.held_changed.connect(self._follow)
        self._follow()

    def _follow(self, *_: object) -> None:
        player = self._player
        self._stop.setEnabled(player.is_playing)
        self._forward.setEnabled(player.is_playing or player.is_held)
        shortcuts = {_STOP: self._stop, _FORWARD: self._forward}
        self._actions.withhold({key for key, one in shortcuts.items() if one.isEnabled()})
