"""Where the pictures that are clicked at come from: composed, or of a public data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from training.clicks.config import ClickTraining
from training.composer import Clip, compose_clip
from training.config import DataName, Stage
from training.datasets.clips import open_data
from training.datasets.layouts import Part
from training.pack import Pack
from training.scene import ClipSettings

ClipMaker = Callable[[np.random.Generator, int], Clip]  # of a size in pixels

_OBJECT_WEIGHTS = (0.4, 0.35, 0.25)  # of one, two, three labelled objects in composed clips


def clip_maker(config: ClickTraining, data: DataName, part: Part) -> ClipMaker:
    """Makes clips of two frames from a generator alone. ValueError where there are no pictures."""
    if data == "composed":
        return composed_from(Pack(Path(config.pack), part))
    clips = open_data(config, data, part)

    def recorded(rng: np.random.Generator, size: int) -> Clip:
        shape = Stage(steps=1, size=size, frames=2, batch=1, learning_rate=0.0, data=data)
        return clips.clip(int(rng.integers(len(clips))), rng, shape)

    return recorded


def composed_from(pack: Pack) -> ClipMaker:
    """Makes composed clips of one to three objects."""

    def composed(rng: np.random.Generator, size: int) -> Clip:
        objects = 1 + int(rng.choice(3, p=_OBJECT_WEIGHTS))
        settings = ClipSettings(size=size, frames=2, slowest=0.05, fastest=1.5)
        return compose_clip(pack, rng, settings, objects)

    return composed
