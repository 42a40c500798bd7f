"""From clicks to masks: everything that the window, the command line and scripts share.

`from interaction import Session` is what a script begins with.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interaction.session import Session

__all__ = ["Session"]


def __getattr__(name: str) -> object:
    """`Session` is imported when it is asked for: the rooms below it need not wait for it."""
    if name == "Session":
        from interaction.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
