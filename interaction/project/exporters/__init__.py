"""Masks leave the project: one table of formats, one way to run them.

`FORMATS` says what there is; `check_export` is the dry run; `export` writes, one frame at a time.
"""

from interaction.project.exporters.format import ExportFormat, FormatGroup, TargetKind
from interaction.project.exporters.formats import FORMATS
from interaction.project.exporters.gaps import ObjectGap, describe_frames
from interaction.project.exporters.options import (
    ExportOptions,
    OptionInfo,
    describe_options,
    options_from_texts,
)
from interaction.project.exporters.pictures import ExportedPicture, export_pictures
from interaction.project.exporters.run import (
    ExportPreview,
    ExportProgress,
    ExportReport,
    ExportSettings,
    check_export,
    export,
)
from interaction.project.exporters.source import ExportSource, MaskSource

__all__ = [
    "FORMATS",
    "ExportFormat",
    "ExportOptions",
    "ExportPreview",
    "ExportProgress",
    "ExportReport",
    "ExportSettings",
    "ExportSource",
    "ExportedPicture",
    "FormatGroup",
    "MaskSource",
    "ObjectGap",
    "OptionInfo",
    "TargetKind",
    "check_export",
    "describe_frames",
    "describe_options",
    "export",
    "export_pictures",
    "options_from_texts",
]
