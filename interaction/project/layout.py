"""Which file of a project folder is what, and whether the folder is what it seems to be."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from interaction.files import is_file, is_plain_file, is_plain_folder
from xmem_core.messages import Message

_MASK_NAME: Final = re.compile(r"([0-9]{7,10})\.png", re.ASCII)


class ProjectLayout:
    """The names inside a project `folder`. Masks are named by frame index, in seven digits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "project.json"
        self.journal = folder / "journal.jsonl"
        self.masks = folder / "masks"
        self.store = folder / "history" / "masks.bin"
        # Kept probabilities: a project is whole without them.
        self.mattes = folder / "history" / "mattes.bin"
        self.frame_index = folder / "frames.idx"
        self.cuts = folder / "cuts.json"
        # What a run that was interrupted goes on from.
        self.unfinished = folder / "unfinished.safetensors"
        self.versions = folder / "versions"
        self.learned = folder / "learned"  # see `interaction/learning/learned.py`
        self.lock = folder / "project.lock"
        self.os_lock = folder / ".lock"
        # Every folder that the program writes to, the project's own first.
        self.folders = (folder, self.masks, self.store.parent, self.versions, self.learned)

    def mask(self, frame: int) -> Path:
        return self.masks / f"{frame:07d}.png"

    def frame_of(self, name: str) -> int | None:
        """The frame whose mask has this file name; None for any other file."""
        match = _MASK_NAME.fullmatch(name)
        frame = None if match is None else int(match[1])
        return frame if frame is not None and self.mask(frame).name == name else None

    def oddities(self) -> Iterator[str]:
        """What is not a plain file or folder where one belongs: writing there could end up
        anywhere."""
        for folder in self.folders[1:]:
            if (folder.is_symlink() or folder.exists()) and not is_plain_folder(folder):
                yield Message("“{name}” is not a folder but a link or a file", name=folder.name)
        for file in (
            self.manifest,
            self.journal,
            self.store,
            self.mattes,
            self.frame_index,
            self.cuts,
            self.unfinished,
        ):
            if (file.is_symlink() or file.exists()) and not is_plain_file(file):
                yield Message("“{name}” is not a file but a link or a folder", name=file.name)


def is_project(folder: Path) -> bool:
    """Whether `folder` holds a project, whole or damaged."""
    layout = ProjectLayout(folder)
    if is_file(layout.manifest):
        return True
    try:
        return is_plain_file(layout.journal) and layout.journal.stat().st_size > 0
    except OSError:  # it was removed meanwhile
        return False
