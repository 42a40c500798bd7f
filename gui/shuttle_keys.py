"""K and L choose tools; while the video plays they are the shuttle's, with J, as in editors."""

from PySide6.QtCore import QObject
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from gui.actions import Actions
from gui.timeline.player import Player

__all__ = ["ShuttleKeys"]

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
