"""QActions made from the table of actions, enabled by what there is, and their keys."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent, QKeySequence, QShortcut
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
    QMenu,
    QMenuBar,
    QPlainTextEdit,
    QTabBar,
    QWidget,
)

from gui.actions.table import ACTIONS, MENUS, ActionSpec, Needs
from gui.language import tr
from gui.preferences import Preferences
from gui.theme import icon
from gui.timeline.player import Player
from xmem_core.messages import Message

__all__ = ["Actions", "ShuttleKeys", "TypingGuard", "fixed_key"]


# Keys that mean something by themselves, whatever the table says: never given to an action.


@dataclass(frozen=True, slots=True)
class FixedKey:
    """text: what the keys do, in English, with a place for the menu's title if they open one.
    action: the one action that may have them, if any."""

    keys: tuple[str, ...]
    text: str
    action: str = ""
    menu: str = ""

    @property
    def title(self) -> str:
        """Translated."""
        return tr(self.text, menu=tr(self.menu).replace("&", "")) if self.menu else tr(self.text)


FIXED_KEYS: Final[tuple[FixedKey, ...]] = (
    FixedKey(tuple("123456789"), Message("The objects in order")),
    FixedKey(("H",), Message("Hide the masks, while it is held")),
    FixedKey(("Space",), Message("Play, or move the picture while it is held"), "go.play"),
    FixedKey(("Esc",), Message("Cancel the current gesture"), "edit.stop"),
    FixedKey(("Tab", "Shift+Tab"), Message("To the next part of the window")),
)


def _menu_keys() -> dict[str, FixedKey]:
    """Of the menu bar, in the window's language."""
    found = {}
    for title in MENUS.values():
        _, _, after = tr(title).partition("&")
        if after:
            key = f"Alt+{after[0].upper()}"
            found[key] = FixedKey((key,), Message("Open the menu “{menu}”"), menu=title)
    return found


_BY_KEY: Final = {key: one for one in FIXED_KEYS for key in one.keys}


def fixed_key(key: str, action: str) -> FixedKey | None:
    """What a key means already, so that the action cannot have it. key: as QKeySequence writes it
    portably."""
    key = "Shift+Tab" if key == "Shift+Backtab" else key
    found = _BY_KEY.get(key) or _menu_keys().get(key)
    return None if found is None or found.action == action else found


class Actions(QObject):
    """One QAction for every entry of the table; keys as the preferences say."""

    keys_changed = Signal()

    def __init__(
        self, handlers: Mapping[str, Callable[[], object]], preferences: Preferences, owner: QWidget
    ) -> None:
        """handlers: by id, called when the action is triggered. ValueError if one is missing."""
        super().__init__(owner)
        missing = {spec.id for spec in ACTIONS} ^ set(handlers)
        if missing:
            raise ValueError(f"actions and handlers do not agree: {sorted(missing)}")
        self.specs = {spec.id: spec for spec in ACTIONS}
        self._preferences = preferences
        self._withheld: frozenset[str] = frozenset()
        self._state = Needs.NOTHING
        self._keys: dict[str, list[str]] = {}  # in effect
        self._actions: dict[str, QAction] = {}
        groups: dict[str, QActionGroup] = {}
        for spec in ACTIONS:
            action = QAction(tr(spec.text), owner)
            action.setObjectName(spec.id)
            action.setCheckable(spec.is_checkable)
            if spec.icon:
                action.setIcon(icon(spec.icon))
            if spec.group:
                group = groups.setdefault(spec.group, QActionGroup(owner))
                group.addAction(action)
            # `triggered` only comes from people, so that showing a state is no request.
            action.triggered.connect(lambda _=False, do=handlers[spec.id]: do())
            self._actions[spec.id] = action
            owner.addAction(action)
        self._set_keys()

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def title(self, name: str) -> str:
        """What the action is called, without the menu's mnemonic and dots."""
        return tr(self.specs[name].text).replace("&", "").rstrip("…")

    def words(self, name: str) -> str:
        """Further words by which the action is found."""
        return tr(self.specs[name].words)

    def keys(self, name: str) -> list[str]:
        """The keys in effect, as QKeySequence writes them portably."""
        return list(self._keys[name])

    def change_keys(self, changed: Mapping[str, list[str]]) -> None:
        """Keeps what differs from the table; everything not named gets the table's keys."""
        self._preferences.set_shortcuts(
            {
                name: keys
                for name, keys in changed.items()
                if name in self.specs and keys != self.specs[name].keys.split()
            }
        )
        self._set_keys()
        self.keys_changed.emit()

    def withhold(self, keys: Collection[str]) -> None:
        """Keys that mean something else for the moment: they trigger no action."""
        withheld = frozenset(_portable(key) for key in keys)
        if withheld != self._withheld:
            concerned = withheld ^ self._withheld
            self._withheld = withheld
            for name, action in self._actions.items():
                if any(_portable(key) in concerned for key in self.keys(name)):
                    action.setShortcuts(self._shortcuts(name))

    def conflicts(self, keys: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """By key, the actions that share it, where there are several."""
        users: dict[str, list[str]] = {}
        for name, own in keys.items():
            for key in own:
                users.setdefault(_portable(key), []).append(name)
        return {key: names for key, names in users.items() if len(names) > 1}

    def fixed(self, keys: Mapping[str, list[str]]) -> list[tuple[str, str, FixedKey]]:
        """Key, action and what the key means already, for those no action can have."""
        found = []
        for name, own in keys.items():
            for key in own:
                one = fixed_key(_portable(key), name)
                if one is not None:
                    found.append((_portable(key), name, one))
        return found

    def fill_menu_bar(self, bar: QMenuBar) -> dict[str, QMenu]:
        menus = {}
        for name, title in MENUS.items():
            menu = bar.addMenu(tr(title))
            menu.setToolTipsVisible(True)
            for spec in (spec for spec in ACTIONS if spec.menu == name):
                if spec.begins_section and not menu.isEmpty():
                    menu.addSeparator()
                menu.addAction(self._actions[spec.id])
            menus[name] = menu
        return menus

    def enable(self, state: Needs) -> None:
        """state: all that is there now."""
        self._state = state
        for name, spec in self.specs.items():
            self._actions[name].setEnabled(spec.needs in state)

    def missing(self, name: str) -> Needs:
        """What an action needs that is not there now."""
        return self.specs[name].needs & ~self._state

    def _shortcuts(self, name: str) -> list[QKeySequence]:
        """Of those in effect, the ones that are not withheld."""
        return [_sequence(key) for key in self.keys(name) if _portable(key) not in self._withheld]

    def _set_keys(self) -> None:
        changed = self._preferences.shortcuts()
        # A key that was assigned to another action is that action's alone.
        taken = {_portable(key) for own in changed.values() for key in own}
        for name, spec in self.specs.items():
            default = [key for key in spec.keys.split() if _portable(key) not in taken]
            self._keys[name] = changed.get(name, default)
        for name, action in self._actions.items():
            action.setShortcuts(self._shortcuts(name))
            keys = [_sequence(key) for key in self.keys(name)]
            action.setToolTip(_tip(self.specs[name], keys))
            action.setStatusTip(tr(self.specs[name].tip))


def _tip(spec: ActionSpec, keys: list[QKeySequence]) -> str:
    """Name, key and what it is for."""
    title = tr(spec.text).rstrip("…")
    if keys:
        shown = keys[0].toString(QKeySequence.SequenceFormat.NativeText)
        title = f"{title} ({shown})"
    return f"{title}\n{tr(spec.tip)}" if spec.tip else title


def _sequence(key: str) -> QKeySequence:
    return QKeySequence(key, QKeySequence.SequenceFormat.PortableText)


def _portable(key: str) -> str:
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText)


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
    """Keys that the focused widget uses are its own. With Ctrl or Alt they are still shortcuts.

    Watches the widget that has the focus alone: a filter of the whole application would make a
    Python object of every event there is.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        application = QApplication.instance()
        assert isinstance(application, QApplication)  # no widget can be made without
        application.focusChanged.connect(self._follow)
        self._follow(None, application.focusWidget())

    def _follow(self, before: QWidget | None, focused: QWidget | None) -> None:
        if before is not None:
            before.removeEventFilter(self)
        if focused is not None:
            focused.installEventFilter(self)

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
