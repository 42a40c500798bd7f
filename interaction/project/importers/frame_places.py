"""Which file belongs to which frame: by the list an export of ours left, or by the files' names."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from interaction.errors import UserError
from interaction.project.exporters.job import FRAMES_CSV
from interaction.project.importers.mask_set import Surroundings
from interaction.project.mask_folders import FoundMasks, place_masks

__all__ = ["place_files"]

_MOST_BYTES: Final = 256 * 2**20
_LEVELS: Final = 4  # folders above the files in which the list may lie


def place_files(files: Sequence[Path], around: Surroundings) -> FoundMasks:
    """Every file with its frame. UserError if none has one, or two share one."""
    listed = _listed(files, len(around.names))
    if listed is not None:
        return listed
    found = place_masks(files, around.names)
    if not found.by_frame:
        first, last = around.names[0], around.names[-1]
        raise UserError(
            f"None of the {len(files)} files in “{files[0].parent.name}” belongs to a frame of "
            f"this video; the first is called “{files[0].name}”. Nothing was changed.\n\n"
            f"Rename the masks as the frames are called: {first} to {last}."
        )
    return found


def _listed(files: Sequence[Path], frame_count: int) -> FoundMasks | None:
    """By frames.csv, if one lies above the files and knows every one of them."""
    for folder in list(files[0].parents)[:_LEVELS]:
        path = folder / FRAMES_CSV
        if path.is_file():
            frames = _read_table(path, frame_count)
            try:
                found = {frames[file.relative_to(folder).as_posix()]: file for file in files}
            except (KeyError, ValueError):
                return None  # files have come or gone since
            return FoundMasks(dict(sorted(found.items())), ()) if len(found) == len(files) else None
    return None


def _read_table(path: Path, frame_count: int) -> dict[str, int]:
    """File -> frame. Nothing for a list that makes no sense: then names decide."""
    frames: dict[str, int] = {}
    try:
        if path.stat().st_size > _MOST_BYTES:
            return {}
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                frame = int(row["index"])
                if not 0 <= frame < frame_count:
                    return {}
                frames[row["file"]] = frame
    except (OSError, UnicodeError, csv.Error, KeyError, TypeError, ValueError):
        return {}
    return frames
