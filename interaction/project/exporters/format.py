"""What every export format says about itself; `formats.FORMATS` is the table of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from numpy.typing import NDArray

from interaction.project.exporters.job import ExportJob, encode_png
from interaction.project.exporters.options import ExportOptions, OptionInfo, describe_options

__all__ = ["ExportFormat", "FormatGroup", "Pictures", "TargetKind", "write_pictures"]


class TargetKind(StrEnum):
    FOLDER = "folder"
    FILE = "file"


class FormatGroup(StrEnum):
    """How a dialog sorts formats; the values are titles."""

    MASKS = "Masks"
    DATASETS = "Data sets"
    COMPOSITING = "Compositing"
    VIDEO = "Video"


# (name of the file, (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, 8 or 16 bits a channel), each.
Pictures = Callable[[ExportJob, int], Iterator[tuple[str, NDArray[Any]]]]


def nothing_to_say(job: ExportJob) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One way for masks to leave. Dialog and command line are made from it."""

    name: str  # "palette-png", for the command line
    title: str  # for people
    description: str
    group: FormatGroup
    target: TargetKind
    suffix: str  # of a file, with its dot; "" for a folder
    options: type[ExportOptions]
    # Writes the job's frames one after another and yields each when it is done.
    write: Callable[[ExportJob], Iterator[int]]
    is_importable: bool  # `importers` reads it back
    # What one frame's files look like, for formats that can be looked at.
    pictures: Pictures | None = None
    # What a dry run should say beyond gaps, such as "cropped to an even size".
    foresee: Callable[[ExportJob], Iterable[str]] = nothing_to_say

    @property
    def settings(self) -> tuple[OptionInfo, ...]:
        return describe_options(self.options)


def write_pictures(job: ExportJob, pictures: Pictures) -> Iterator[int]:
    """The `write` of a format whose frames are PNG files and nothing else."""
    for frame in job.frames:
        for name, pixels in pictures(job, frame):
            job.write(name, encode_png(pixels), frame)
        yield frame
