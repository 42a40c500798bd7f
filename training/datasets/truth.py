"""What clips of all data sets have in common: masks as they lie on disk, the objects chosen."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from training.composer import Clip
from training.datasets.augmentation import (
    Labels,
)
from training.datasets.layouts import (
    Pair,
)
from training.pack import Picture

MOST_OBJECTS = 3  # labelled in a clip
VOID = 255  # a label that means "not said"
TRIES = 8  # draws of an entry before another is taken
OTHER_ENTRIES = 20  # before the data is said to be useless
SEQUENCE_COLOUR, FRAME_COLOUR = (0.1, 0.03, 0.03), (0.01, 0.01, 0.01)
GREY_SHARE = 0.05


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


def read_pair(pair: Pair, *, is_grey: bool = False) -> tuple[Picture, Labels]:
    """(H, W, 3) RGB and (H, W) ids; of a grey mask, what is brighter than half is object 1.

    Raises ValueError for what cannot be read, for masks in colour and for sizes that differ.
    """
    decoded = cv2.imread(str(pair.picture), cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError(f"{pair.picture} cannot be read as a picture")
    picture = np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
    try:
        with Image.open(pair.mask) as image:
            if is_grey:
                values = np.asarray(image.convert("L")) > 127
            elif image.mode in ("P", "L", "1"):
                values = np.asarray(image)
            else:
                raise ValueError(f"{pair.mask} is not a mask of ids: its mode is {image.mode}")
    except OSError as error:
        raise ValueError(f"{pair.mask} cannot be read as a mask: {error}") from None
    if values.shape != picture.shape[:2]:
        raise ValueError(
            f"{pair.mask} is {values.shape[1]}x{values.shape[0]}, but its picture is "
            f"{picture.shape[1]}x{picture.shape[0]}"
        )
    return picture, values.astype(np.int16)
