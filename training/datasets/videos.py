"""The later stages: some frames of a video, near each other, in or against their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.composer import Clip
from training.config import TrackerStage
from training.datasets.augmentation import (
    Colour,
    Labels,
    moved,
    random_affine,
    random_box,
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
    Video,
    read_pair,
)
from training.pack import Picture
from xmem_core.learning.losses import VOID


@dataclass(frozen=True, slots=True)
class VideoEntry:
    """A video and what its data set is like."""

    video: Video
    stride: int = 1  # frames of the video from one mask to the next
    has_tiny_objects: bool = False  # BL30K: specks are not worth learning


class VideoClips:
    """Frames of videos, in or against their order."""

    def __init__(self, entries: Sequence[VideoEntry]) -> None:
        self._entries = list(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def clip(self, entry: int, rng: np.random.Generator, stage: TrackerStage) -> Clip:
        for _ in range(OTHER_ENTRIES):
            chosen = self._entries[entry]
            if len(chosen.video.frames) >= stage.frames:
                for _ in range(TRIES):
                    frames, masks = self._frames_of(chosen, rng, stage)
                    if stage.merge_share and rng.random() < stage.merge_share:
                        self._merge_another(frames, masks, rng, stage)
                    objects = objects_of(masks, chosen.has_tiny_objects)
                    if objects:
                        return chosen_objects(frames, masks, objects, rng)
            entry = int(rng.integers(len(self._entries)))
        raise ValueError(
            f"no clip of {stage.frames} frames with an object in the first was found in "
            f"{chosen.video.name} and many other videos"
        )

    def _frames_of(
        self, entry: VideoEntry, rng: np.random.Generator, stage: TrackerStage
    ) -> tuple[Picture, Labels]:
        """(T, S, S, 3) and (T, S, S)."""
        all_frames = entry.video.frames
        gap = max(1, stage.largest_gap // entry.stride)
        indices = frame_indices(rng, len(all_frames), stage.frames, gap)
        if rng.random() < 0.5:
            indices.reverse()
        pairs = [read_pair(all_frames[index]) for index in indices]
        height, width = pairs[0][1].shape
        box = random_box(rng, height, width, 0.25 if entry.has_tiny_objects else 0.36)
        is_mirrored = rng.random() < 0.5
        colour = Colour.random(rng, *SEQUENCE_COLOUR, grey_share=GREY_SHARE)
        shear = 0.0 if stage.is_gentle or entry.has_tiny_objects else 10.0
        frames, masks = [], []
        for pair, (picture, labels) in zip(
            (all_frames[index] for index in indices), pairs, strict=True
        ):
            if labels.shape != (height, width):
                raise ValueError(f"{pair.picture} is of another size than its video's first frame")
            seen, mask = resized(
                np.asarray(box.of(picture), np.uint8),
                np.asarray(box.of(labels), np.int16),
                stage.size,
                stage.size,
            )
            if is_mirrored:
                seen, mask = np.ascontiguousarray(seen[:, ::-1]), mask[:, ::-1].copy()
            matrix = random_affine(rng, stage.size, stage.size, degrees=15, shear_degrees=shear)
            seen, mask = moved(seen, mask, matrix, stage.size)
            frames.append(Colour.random(rng, *FRAME_COLOUR).of(colour.of(seen)))
            masks.append(mask)
        return np.stack(frames), np.stack(masks)

    def _merge_another(
        self, frames: Picture, masks: Labels, rng: np.random.Generator, stage: TrackerStage
    ) -> None:
        """Pastes another clip's objects over this one, as Cutie's training does."""
        other = self._entries[int(rng.integers(len(self._entries)))]
        if len(other.video.frames) < stage.frames:
            return
        their_frames, their_masks = self._frames_of(other, rng, stage)
        covered = (their_masks > 0) & (their_masks != VOID)
        frames[covered] = their_frames[covered]
        masks[covered] = their_masks[covered] + 256  # so that ids of the two cannot meet


def frame_indices(rng: np.random.Generator, count: int, wanted: int, gap: int) -> list[int]:
    """`wanted` of `count` frames in order, each at most `gap` from the next.

    Grown from a random one by any frame that is near enough to one of them.
    """
    gap = min(gap, count)
    chosen = {int(rng.integers(count))}
    while len(chosen) < wanted:
        near = {
            index
            for frame in chosen
            for index in range(max(0, frame - gap), min(count, frame + gap + 1))
        }
        chosen.add(int(rng.choice(sorted(near - chosen))))
    return sorted(chosen)


def objects_of(masks: Labels, skips_tiny: bool) -> list[int]:
    """Ids in the first of `masks` (T, H, W), as worth learning."""
    ids = [int(label) for label in np.unique(masks[0]) if label not in (0, VOID)]
    if not skips_tiny:
        return ids
    kept = []
    for label in ids:
        area = int((masks[0] == label).sum())
        largest_later = max((int((mask == label).sum()) for mask in masks[1:]), default=0)
        # What is small now and large later is seen only by its edge: nothing to go by.
        if area > 30**2 or (area > 10**2 and largest_later < 20**2):
            kept.append(label)
    return kept
