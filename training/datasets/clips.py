"""What clips of all data sets have in common: they follow from an entry's number and the generator
that is passed in, and show at most three objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np

from training.composer import Clip, disc
from training.config import TrackerStage
from training.datasets.augmentation import Labels
from training.pack import Picture

MOST_OBJECTS = 3  # labelled in a clip
TRIES = 8  # draws of an entry before another is taken
OTHER_ENTRIES = 20  # before the data is rejected
SEQUENCE_COLOUR, FRAME_COLOUR = (0.1, 0.03, 0.03), (0.01, 0.01, 0.01)
GREY_SHARE = 0.05
_LEAST_WIDENED, _MOST_WIDENED = 0.004, 0.026  # of the frame


class ClipData(Protocol):
    """Clips by entry."""

    def __len__(self) -> int:
        """Entries an epoch."""

    def clip(self, entry: int, rng: np.random.Generator, stage: TrackerStage) -> Clip:
        """`stage.frames` frames of `stage.size`; 1 to `MOST_OBJECTS` objects in the first."""


def chosen_objects(
    frames: Picture, masks: Labels, ids: Sequence[int], rng: np.random.Generator
) -> Clip:
    """At most three of `ids` as objects 1, 2, 3; the rest is background."""
    if len(ids) > MOST_OBJECTS:
        ids = sorted(int(label) for label in rng.choice(ids, MOST_OBJECTS, replace=False))
    labels = np.zeros(masks.shape, np.uint8)
    for number, label in enumerate(ids, start=1):
        labels[masks == label] = number
    return Clip(np.ascontiguousarray(frames), labels, len(ids))


def drawn_wide(clip: Clip, rng: np.random.Generator) -> Clip:
    """The clip with every mask wider by the same few pixels: a tracker should draw as wide as the
    first mask is."""
    width = np.exp(rng.uniform(np.log(_LEAST_WIDENED), np.log(_MOST_WIDENED)))
    element = disc(max(1, round(float(width) * clip.labels.shape[1])))
    labels = clip.labels.copy()
    for mask in labels:
        for label in range(1, clip.object_count + 1):
            wide = cv2.dilate((mask == label).astype(np.uint8), element)
            mask[(np.asarray(wide) > 0) & (mask == 0)] = label
    return replace(clip, labels=labels)
