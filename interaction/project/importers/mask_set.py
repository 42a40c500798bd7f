"""What a reader makes of a folder or file: which frames it has masks for, and how to read one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from interaction.errors import UserError
from interaction.project.video_container import MAX_FRAME_PIXELS
from xmem_core.pictures import Labels

__all__ = ["MOST_OBJECTS", "FoundObject", "MaskSet", "Surroundings", "check_pixels", "damaged"]

MOST_OBJECTS: Final = 255


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object of the masks that are to be read."""

    key: (
        int  # its pixel value in what `MaskSet.read` gives, 1..255; its id where the format has ids
    )
    name: str | None = None
    color: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The video that masks are read for."""

    names: Sequence[str]  # of its frames, without suffix
    width: int
    height: int
    sequence: str  # what data sets with several sequences would call it
    # Called with (done, total) while files are examined; what it raises cancels.
    on_progress: Callable[[int, int], object] = lambda done, total: None


@dataclass(frozen=True, slots=True, eq=False)
class MaskSet:
    """Masks that were recognised and not yet read. Each is held only while it is read."""

    format: str  # a name in `exporters.FORMATS`, or "pictures" for masks of no format of ours
    title: str  # for people
    objects: tuple[FoundObject, ...]  # by key
    sizes: Mapping[int, tuple[int, int]]  # frame -> (width, height), ascending by frame
    read: Callable[[int], Labels]  # frame -> (H, W) keys, at the size in `sizes`
    has_ids: bool  # keys are the ids the masks were made with
    unmatched: tuple[str, ...] = ()  # files that belong to no frame
    remarks: tuple[str, ...] = field(default=())


def check_pixels(path: Path, width: int, height: int) -> None:
    """UserError for a size that nothing here can hold. Before anything is decoded."""
    if not (width > 0 and height > 0 and width * height <= MAX_FRAME_PIXELS):
        raise damaged(path, f"it says that masks are {width} × {height} pixels")


def damaged(path: Path, reason: str) -> UserError:
    return UserError(
        f"The masks in “{path.name}” could not be read: {reason}. Nothing was changed.\n\n"
        "Export them again from the program that made them."
    )
