"""From clicks to masks: everything that the window, the command line and scripts share.

`from interaction import Session` is what a script begins with.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from interaction.session import Session

__all__ = ["Session"]


def __getattr__(name: str) -> object:
    """`Session` is imported when it is asked for: the rooms below it need not wait for it."""
    if name == "Session":
        from interaction.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Modules that were moved, by the names that people's scripts still import -> where their names are.
_MOVED: Final = {
    "interaction.engine_settings": ("interaction.engines",),
    "interaction.project.importers": (
        "interaction.formats.import_masks",
        "interaction.formats.import_plan",
    ),
    "interaction.project.video": ("interaction.video.video",),
}


class _MovedModules(MetaPathFinder, Loader):
    """Imports a moved module by its old name, with a DeprecationWarning. Nothing here uses it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname in _MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        homes = _MOVED[module.__name__]
        moved = f"{module.__name__} has moved to {' and '.join(homes)}"
        warnings.warn(moved, DeprecationWarning, stacklevel=2)
        for home in map(import_module, homes):
            public = {name: one for name, one in vars(home).items() if not name.startswith("_")}
            vars(module).update(public)


sys.meta_path.append(_MovedModules())
