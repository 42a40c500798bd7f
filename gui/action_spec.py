"""What is said of everything that can be asked of the program, and what it needs."""

from dataclasses import dataclass, field
from enum import Flag, auto

__all__ = ["ActionSpec", "Needs"]


class Needs(Flag):
    """What must be there for an action to make sense."""

    NOTHING = 0
    PROJECT = auto()
    OBJECT = auto()  # a current object
    MASK = auto()  # a mask on the current frame
    IDLE = auto()  # no propagation, no learning, and nothing else that changes many frames
    RUN = auto()  # a propagation or learning, going or paused
    BUSY = auto()  # anything that can be cancelled, or a click to take back
    UNDO = auto()
    REDO = auto()
    WRITABLE = auto()  # the project may be changed
    GIVEN = auto()  # a frame to learn from
    LEARNED = auto()  # something was learned


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One entry. `id` is "menu.what"; texts are English, translated where they are shown."""

    id: str
    text: str
    keys: tuple[str, ...] = ()
    icon: str | None = None
    tip: str = ""
    needs: Needs = Needs.NOTHING
    is_checkable: bool = False
    group: str = ""  # checkable actions of one group exclude each other
    begins_section: bool = field(default=False, kw_only=True)  # a line above it in the menu

    @property
    def menu(self) -> str:
        return self.id.split(".")[0]
