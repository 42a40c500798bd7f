"""The table of export formats, in the order a dialog shows them.

Every module of this folder that defines an `ExportFormat` adds it; there is nothing to edit here.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Final

import interaction.formats
from interaction.formats.format import ExportFormat, FormatGroup

__all__ = ["FORMATS"]


_OWN: Final = {__name__, "interaction.formats.export"}  # which reads this table


def _found() -> Iterator[ExportFormat]:
    for module in iter_modules(interaction.formats.__path__, "interaction.formats."):
        if module.name not in _OWN:
            for value in vars(import_module(module.name)).values():
                if isinstance(value, ExportFormat):
                    yield value


_FIRST: Final = "palette-png"  # what a dialog offers
_GROUPS: Final = list(FormatGroup)
_ALL: Final = sorted(
    _found(), key=lambda one: (one.name != _FIRST, _GROUPS.index(one.group), one.title)
)

FORMATS: Final[Mapping[str, ExportFormat]] = MappingProxyType({one.name: one for one in _ALL})
