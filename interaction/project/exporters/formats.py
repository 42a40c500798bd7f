"""The table of export formats, in the order a dialog shows them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from interaction.project.exporters.alpha_videos import GREEN_SCREEN, PRORES_ALPHA, VP9_ALPHA
from interaction.project.exporters.coco import COCO, YOUTUBE_VIS
from interaction.project.exporters.format import ExportFormat
from interaction.project.exporters.mots import MOTS_PNG
from interaction.project.exporters.palette import DAVIS, PALETTE_PNG, YOUTUBE_VOS
from interaction.project.exporters.per_object import BINARY, CUT_OUTS, MATTE, PNG_SEQUENCE
from interaction.project.exporters.videos import OVERLAY_VIDEO
from interaction.project.exporters.yolo import YOLO

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
