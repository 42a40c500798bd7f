"""The table of actions as QActions: menus, keys that the annotator may change, what is enabled."""

from collections.abc import Callable, Mapping

from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from gui.action_spec import ActionSpec, Needs
from gui.action_table import ACTIONS, MENUS
from gui.preferences import Preferences
from gui.theme import icon

__all__ = ["Actions"]


class Actions(QObject):
    """One QAction for every entry of the table; keys as the preferences say."""

    keys_changed = Signal()

    def __init__(
        self,
        handlers: Mapping[str, Callable[[], object]],
        preferences: Preferences,
        owner: QWidget,
    ) -> None:
        """handlers: by id, called when the action is triggered. ValueError if one is missing."""
        super().__init__(owner)
        missing = {spec.id for spec in ACTIONS} ^ set(handlers)
        if missing:
            raise ValueError(f"actions and handlers do not agree: {sorted(missing)}")
        self.specs = {spec.id: spec for spec in ACTIONS}
        self._preferences = preferences
        self._actions: dict[str, QAction] = {}
        groups: dict[str, QActionGroup] = {}
        for spec in ACTIONS:
            action = QAction(_translated(spec.text), owner)
            action.setObjectName(spec.id)
            action.setCheckable(spec.is_checkable)
            if spec.icon:
                action.setIcon(icon(spec.icon))
            if spec.group:
                group = groups.setdefault(spec.group, QActionGroup(owner))
                group.addAction(action)
            # `triggered` only comes from people, so that showing a state is no request.
            action.triggered.connect(_called(handlers[spec.id]))
            self._actions[spec.id] = action
            owner.addAction(action)
        self._set_keys()

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def title(self, name: str) -> str:
        """What the action is called, without the menu's mnemonic and dots."""
        return _translated(self.specs[name].text).replace("&", "").rstrip("…")

    def keys(self, name: str) -> list[str]:
        """The keys in effect, as QKeySequence writes them portably."""
        return self._preferences.shortcuts().get(name, list(self.specs[name].keys))

    def change_keys(self, changed: Mapping[str, list[str]]) -> None:
        """Keeps what differs from the table; everything not named gets the table's keys."""
        self._preferences.set_shortcuts(
            {
                name: keys
                for name, keys in changed.items()
                if name in self.specs and keys != list(self.specs[name].keys)
            }
        )
        self._set_keys()
        self.keys_changed.emit()

    def conflicts(self, keys: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """By key, the actions that share it, where there are several."""
        users: dict[str, list[str]] = {}
        for name, own in keys.items():
            for key in own:
                users.setdefault(_portable(key), []).append(name)
        return {key: names for key, names in users.items() if len(names) > 1}

    def fill_menu_bar(self, bar: QMenuBar) -> dict[str, QMenu]:
        menus = {}
        for name, title in MENUS.items():
            menu = bar.addMenu(_translated(title))
            menu.setToolTipsVisible(True)
            for spec in (spec for spec in ACTIONS if spec.menu == name):
                if spec.begins_section:
                    menu.addSeparator()
                menu.addAction(self._actions[spec.id])
            menus[name] = menu
        return menus

    def enable(self, state: Needs) -> None:
        """state: all that is there now."""
        for name, spec in self.specs.items():
            self._actions[name].setEnabled(spec.needs in state)

    def _set_keys(self) -> None:
        for name, action in self._actions.items():
            keys = [
                QKeySequence(key, QKeySequence.SequenceFormat.PortableText)
                for key in self.keys(name)
            ]
            action.setShortcuts(keys)
            action.setToolTip(_tip(action, self.specs[name], keys))
            action.setStatusTip(_translated(self.specs[name].tip))


def _tip(action: QAction, spec: ActionSpec, keys: list[QKeySequence]) -> str:
    """Name, key and what it is for."""
    title = action.text().replace("&", "").rstrip("…")
    if keys:
        shown = keys[0].toString(QKeySequence.SequenceFormat.NativeText)
        title = f"{title} ({shown})"
    return f"{title}\n{_translated(spec.tip)}" if spec.tip else title


def _called(handler: Callable[[], object]) -> Callable[[], None]:
    def call() -> None:
        handler()

    return call


def _portable(key: str) -> str:
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText)


def _translated(text: str) -> str:
    return QCoreApplication.translate("Actions", text) if text else ""
