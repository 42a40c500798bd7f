"""The table of export formats, in the order a dialog shows them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from interaction.formats.coco import COCO, YOUTUBE_VIS
from interaction.formats.format import ExportFormat
from interaction.formats.palette import DAVIS, MOTS_PNG, PALETTE_PNG, YOUTUBE_VOS
from interaction.formats.per_object import BINARY, CUT_OUTS, MATTE, PNG_SEQUENCE
from interaction.formats.videos import GREEN_SCREEN, OVERLAY_VIDEO, PRORES_ALPHA, VP9_ALPHA
from interaction.formats.yolo import YOLO

__all__ = ["FORMATS"]

_ALL: Final = (
    PALETTE_PNG,
    BINARY,
    DAVIS,
    YOUTUBE_VOS,
    COCO,
    YOUTUBE_VIS,
    MOTS_PNG,
    YOLO,
    MATTE,
    CUT_OUTS,
    PNG_SEQUENCE,
    OVERLAY_VIDEO,
    GREEN_SCREEN,
    PRORES_ALPHA,
    VP9_ALPHA,
)

FORMATS: Final[Mapping[str, ExportFormat]] = MappingProxyType({one.name: one for one in _ALL})
