"""Keys that mean something by themselves, whatever the table of actions says: never to be given
to an action."""

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication

from gui.actions.table import MENUS

__all__ = ["FIXED_KEYS", "FixedKey", "fixed_key"]

_C: Final = "FixedKeys"


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
        menu = QCoreApplication.translate("Actions", self.menu).replace("&", "")
        return QCoreApplication.translate(_C, self.text).format(menu)


def _T(context: str, text: str) -> str:  # as Qt's own macro of this kind
    """Marks a text for translation, which happens where it is shown."""
    return str(QT_TRANSLATE_NOOP(context, text))


FIXED_KEYS: Final[tuple[FixedKey, ...]] = (
    FixedKey(tuple("123456789"), _T(_C, "The objects in order")),
    FixedKey(("H",), _T(_C, "Hide the masks, while it is held")),
    FixedKey(("Space",), _T(_C, "Play, or move the picture while it is held"), "go.play"),
    FixedKey(("Esc",), _T(_C, "Abandon what is being done"), "edit.stop"),
    FixedKey(("Tab", "Shift+Tab"), _T(_C, "To the next part of the window")),
)


def _menu_keys() -> dict[str, FixedKey]:
    found = {}
    for title in MENUS.values():
        _, _, after = title.partition("&")
        if after:
            key = f"Alt+{after[0].upper()}"
            found[key] = FixedKey((key,), _T(_C, "Open the menu {}"), menu=title)
    return found


_BY_KEY: Final = {key: one for one in FIXED_KEYS for key in one.keys} | _menu_keys()


def fixed_key(key: str, action: str) -> FixedKey | None:
    """What a key means already, so that the action cannot have it. key: as QKeySequence writes it
    portably."""
    found = _BY_KEY.get("Shift+Tab" if key == "Shift+Backtab" else key)
    return None if found is None or found.action == action else found
