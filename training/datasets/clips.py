"""Clips of data sets: a picture with one object seen as if it moved (stage 0 of the published
recipe), or some frames of a video. Each follows from an entry's number and the generator that is
passed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from training.composer import Clip, disc
from training.config import TrackerStage
from training.datasets.augmentation import (
    Colour,
    Labels,
    bent,
    moved,
    random_affine,
    random_box,
    resized,
)
from training.datasets.layouts import Pair, Video, find_pairs, read_pair
from training.pack import Part, Picture, part_of
from training.scene import widening_px
from xmem_core.learning.losses import VOID

_MOST_OBJECTS = 3  # labelled in a clip
TRIES = 8  # draws of an entry before another is taken
OTHER_ENTRIES = 20  # before the data is rejected
_SEQUENCE_COLOUR, _FRAME_COLOUR = (0.1, 0.03, 0.03), (0.01, 0.01, 0.01)
GREY_SHARE = 0.05


class ClipData(Protocol):
    """Clips by entry."""

    def __len__(self) -> int:
        """Entries an epoch."""

    def clip(self, entry: int, rng: np.random.Generator, stage: TrackerStage) -> Clip:
        """`stage.frames` frames of `stage.size`; 1 to `_MOST_OBJECTS` objects in the first."""


def _chosen_objects(
    frames: Picture, masks: Labels, ids: Sequence[int], rng: np.random.Generator
) -> Clip:
    """At most three of `ids` as objects 1, 2, 3; the rest is background."""
    if len(ids) > _MOST_OBJECTS:
        ids = sorted(int(label) for label in rng.choice(ids, _MOST_OBJECTS, replace=False))
    labels = np.zeros(masks.shape, np.uint8)
    for number, label in enumerate(ids, start=1):
        labels[masks == label] = number
    return Clip(np.ascontiguousarray(frames), labels, len(ids))


def drawn_wide(clip: Clip, rng: np.random.Generator) -> Clip:
    """The clip with every mask wider by the same few pixels: a tracker should draw as wide as the
    first mask is."""
    element = disc(widening_px(rng, clip.labels.shape[1]))
    labels = clip.labels.copy()
    for mask in labels:
        for label in range(1, clip.object_count + 1):
            wide = cv2.dilate((mask == label).astype(np.uint8), element)
            mask[(np.asarray(wide) > 0) & (mask == 0)] = label
    return replace(clip, labels=labels)


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
                    return _chosen_objects(frames, masks, [1], rng)
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
        colour = Colour.random(rng, *_SEQUENCE_COLOUR, grey_share=GREY_SHARE)
        frames, masks = [], []
        for _ in range(stage.frames):
            matrix = random_affine(rng, width, height, degrees=20, shear_degrees=10, scale=0.1)
            # Each frame shows another part: that is how the thing gets about.
            matrix[0, 2] -= rng.integers(width - stage.size + 1)
            matrix[1, 2] -= rng.integers(height - stage.size + 1)
            seen, mask = moved(picture, labels, matrix, stage.size)
            if rng.random() < _BEND_SHARE:
                seen, mask = bent(rng, seen, mask)
            frames.append(Colour.random(rng, *_FRAME_COLOUR).of(colour.of(seen)))
            masks.append(mask)
        return np.stack(frames), np.stack(masks)


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
                        return _chosen_objects(frames, masks, objects, rng)
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
        pairs = [all_frames[index] for index in indices]
        read = [read_pair(pair) for pair in pairs]
        height, width = read[0][1].shape
        box = random_box(rng, height, width, 0.25 if entry.has_tiny_objects else 0.36)
        is_mirrored = rng.random() < 0.5
        colour = Colour.random(rng, *_SEQUENCE_COLOUR, grey_share=GREY_SHARE)
        shear = 0.0 if stage.is_gentle or entry.has_tiny_objects else 10.0
        frames, masks = [], []
        for pair, (picture, labels) in zip(pairs, read, strict=True):
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
            frames.append(Colour.random(rng, *_FRAME_COLOUR).of(colour.of(seen)))
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
