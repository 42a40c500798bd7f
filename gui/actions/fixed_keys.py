"""Keys that mean something by themselves, whatever the table of actions says: never to be given
to an action."""

from dataclasses import dataclass
from typing import Final

from gui.actions.table import MENUS
from gui.language import tr
from xmem_core.messages import Message

__all__ = ["FIXED_KEYS", "FixedKey", "fixed_key"]


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
