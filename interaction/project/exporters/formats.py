"""The table of export formats, in the order a dialog shows them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from interaction.project.exporters.format import ExportFormat
from interaction.project.exporters.palette import DAVIS, PALETTE_PNG, YOUTUBE_VOS
from interaction.project.exporters.videos import OVERLAY_VIDEO

__all__ = ["FORMATS"]

_ALL: Final = (PALETTE_PNG, DAVIS, YOUTUBE_VOS, OVERLAY_VIDEO)

FORMATS: Final[Mapping[str, ExportFormat]] = MappingProxyType({one.name: one for one in _ALL})
