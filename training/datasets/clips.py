"""Clips of real data: each follows from an entry's number and the generator that is passed in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from training.composer import Clip
from training.config import DataName, Stage
from training.datasets.layouts import (
    Part,
    davis_videos,
    plain_videos,
)
from training.datasets.photographs import PhotographClips, find_photographs
from training.datasets.static import StaticClips
from training.datasets.videos import VideoClips, VideoEntry

_DAVIS_REPEATS = 5  # an epoch
_YOUTUBE_STRIDE = 5  # its masks are on every fifth frame


class ClipData(Protocol):
    """Clips by entry."""

    def __len__(self) -> int:
        """Entries an epoch."""

    def clip(self, entry: int, rng: np.random.Generator, stage: Stage) -> Clip:
        """`stage.frames` frames of `stage.size`; 1 to `MOST_OBJECTS` objects in the first."""


class DataRoots(Protocol):
    """Where the data sets are: a configuration."""

    @property
    def static_root(self) -> str: ...
    @property
    def stills_root(self) -> str: ...
    @property
    def stills_held_out(self) -> tuple[str, ...]: ...
    @property
    def davis_root(self) -> str: ...
    @property
    def youtube_root(self) -> str: ...
    @property
    def bl30k_root(self) -> str: ...


def open_data(roots: DataRoots, data: DataName, part: Part) -> ClipData:
    """Any data but composed clips. ValueError names the folder in which none was found."""
    if data == "photographs":
        held_out = roots.stills_held_out
        return PhotographClips(
            find_photographs(Path(roots.stills_root), held_out, part == "held out")
        )
    if data == "static":
        return StaticClips(Path(roots.static_root), part)
    sets = {
        "davis": ["davis"],
        "youtube": ["youtube"],
        "davis+youtube": ["davis", "youtube"],
        "bl30k": ["bl30k"],
    }[data]
    entries: list[VideoEntry] = []
    for name in sets:
        folders = {"davis": roots.davis_root, "youtube": roots.youtube_root}
        root = Path(folders.get(name, roots.bl30k_root))
        found = davis_videos(root, part) if name == "davis" else plain_videos(root, part)
        if not found:
            raise ValueError(f"no videos with masks were found for {name}_root under {root}")
        stride = _YOUTUBE_STRIDE if name == "youtube" else 1
        repeats = _DAVIS_REPEATS if name == "davis" else 1
        entries += [
            VideoEntry(video, stride, has_tiny_objects=name == "bl30k") for video in found
        ] * repeats
    return VideoClips(entries)


def entry_at(seed: Sequence[int], position: int, count: int) -> int:
    """The entry at a position in an endless row of epochs, each in an order of its own."""
    epoch, index = divmod(position, count)
    return int(np.random.default_rng((*seed, epoch)).permutation(count)[index])
