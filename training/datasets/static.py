"""Stage 0: a picture with one object, seen several times as if it moved."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.composer import Clip
from training.config import TrackerStage
from training.datasets.augmentation import (
    Colour,
    Labels,
    bent,
    moved,
    random_affine,
    resized,
)
from training.datasets.clips import (
    FRAME_COLOUR,
    GREY_SHARE,
    OTHER_ENTRIES,
    SEQUENCE_COLOUR,
    TRIES,
    chosen_objects,
)
from training.datasets.layouts import (
    Pair,
    Part,
    find_pairs,
    part_of,
    read_pair,
)
from training.pack import Picture

_STATIC_REPEATS = {"big": 5, "hrsod": 5}  # small but finely cut sets count so often an epoch
_BEND_SHARE = 0.33


class StaticClips:
    """One picture seen through moves of its own in every frame: the whole of stage 0."""

    def __init__(self, root: Path, part: Part) -> None:
        self._pairs: list[Pair] = []
        for folder in sorted(root.iterdir()) if root.is_dir() else []:
            if not folder.is_dir():
                continue
            pairs = find_pairs(folder)
            kept = [pairs[index] for index in part_of(len(pairs), part)]
            start = folder.name.lower().replace("-", "_").split("_")[0]
            self._pairs += kept * _STATIC_REPEATS.get(start, 1)
        if not self._pairs:
            raise ValueError(f"no pictures with masks were found for static_root under {root}")

    def __len__(self) -> int:
        return len(self._pairs)

    def clip(self, entry: int, rng: np.random.Generator, stage: TrackerStage) -> Clip:
        for _ in range(OTHER_ENTRIES):
            pair = self._pairs[entry]
            picture, labels = read_pair(pair, is_grey=True)
            for _ in range(TRIES):
                frames, masks = self._views(picture, labels, rng, stage)
                if masks[0].any():
                    return chosen_objects(frames, masks, [1], rng)
            entry = int(rng.integers(len(self._pairs)))
        raise ValueError(f"no object is to be seen in {pair.picture} and many like it")

    def _views(
        self, picture: Picture, labels: Labels, rng: np.random.Generator, stage: TrackerStage
    ) -> tuple[Picture, Labels]:
        scale = stage.size / min(labels.shape)
        width, height = (max(stage.size, round(side * scale)) for side in labels.shape[::-1])
        picture, labels = resized(picture, labels, width, height)
        if rng.random() < 0.5:
            picture, labels = np.ascontiguousarray(picture[:, ::-1]), labels[:, ::-1].copy()
        colour = Colour.random(rng, *SEQUENCE_COLOUR, grey_share=GREY_SHARE)
        frames, masks = [], []
        for _ in range(stage.frames):
            matrix = random_affine(rng, width, height, degrees=20, shear_degrees=10, scale=0.1)
            # Each frame shows another part: that is how the thing gets about.
            matrix[0, 2] -= rng.integers(width - stage.size + 1)
            matrix[1, 2] -= rng.integers(height - stage.size + 1)
            seen, mask = moved(picture, labels, matrix, stage.size)
            if rng.random() < _BEND_SHARE:
                seen, mask = bent(rng, seen, mask)
            frames.append(Colour.random(rng, *FRAME_COLOUR).of(colour.of(seen)))
            masks.append(mask)
        return np.stack(frames), np.stack(masks)
