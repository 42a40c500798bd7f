"""Clips of real data: a picture seen several times, or some frames of a video.

Every clip follows from the generator that is passed in and the entry's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

from training.composer import Clip
from training.config import DataName, Stage
from training.datasets.augmentation import (
    Colour,
    Labels,
    bent,
    moved,
    random_affine,
    random_box,
    resized,
)
from training.datasets.layouts import (
    Pair,
    Part,
    Video,
    davis_videos,
    find_pairs,
    part_of,
    plain_videos,
)
from training.pack import Picture

MOST_OBJECTS = 3  # labelled in a clip
_TRIES = 8  # draws of an entry before another is taken
_OTHER_ENTRIES = 20  # before the data is said to be useless
_STATIC_REPEATS = {"big": 5, "hrsod": 5}  # small but finely cut sets count so often an epoch
_DAVIS_REPEATS = 5
_YOUTUBE_STRIDE = 5  # its masks are on every fifth frame
_VOID = 255  # a label that means "not said"
_SEQUENCE_COLOUR, _FRAME_COLOUR = (0.1, 0.03, 0.03), (0.01, 0.01, 0.01)
_GREY_SHARE = 0.05
_BEND_SHARE = 0.33


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
    def davis_root(self) -> str: ...
    @property
    def youtube_root(self) -> str: ...
    @property
    def bl30k_root(self) -> str: ...


def open_data(roots: DataRoots, data: DataName, part: Part) -> ClipData:
    """Any data but composed clips. ValueError names the folder in which none was found."""
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

    def clip(self, entry: int, rng: np.random.Generator, stage: Stage) -> Clip:
        for _ in range(_OTHER_ENTRIES):
            pair = self._pairs[entry]
            picture, labels = read_pair(pair, is_grey=True)
            for _ in range(_TRIES):
                frames, masks = self._views(picture, labels, rng, stage)
                if masks[0].any():
                    return chosen_objects(frames, masks, [1], rng)
            entry = int(rng.integers(len(self._pairs)))
        raise ValueError(f"no object is to be seen in {pair.picture} and many like it")

    def _views(
        self, picture: Picture, labels: Labels, rng: np.random.Generator, stage: Stage
    ) -> tuple[Picture, Labels]:
        scale = stage.size / min(labels.shape)
        width, height = (max(stage.size, round(side * scale)) for side in labels.shape[::-1])
        picture, labels = resized(picture, labels, width, height)
        if rng.random() < 0.5:
            picture, labels = np.ascontiguousarray(picture[:, ::-1]), labels[:, ::-1].copy()
        colour = Colour.random(rng, *_SEQUENCE_COLOUR, grey_share=_GREY_SHARE)
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

    def clip(self, entry: int, rng: np.random.Generator, stage: Stage) -> Clip:
        for _ in range(_OTHER_ENTRIES):
            chosen = self._entries[entry]
            if len(chosen.video.frames) >= stage.frames:
                for _ in range(_TRIES):
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
        self, entry: VideoEntry, rng: np.random.Generator, stage: Stage
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
        colour = Colour.random(rng, *_SEQUENCE_COLOUR, grey_share=_GREY_SHARE)
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
            frames.append(Colour.random(rng, *_FRAME_COLOUR).of(colour.of(seen)))
            masks.append(mask)
        return np.stack(frames), np.stack(masks)

    def _merge_another(
        self, frames: Picture, masks: Labels, rng: np.random.Generator, stage: Stage
    ) -> None:
        """Pastes another clip's objects over this one, as Cutie's training does."""
        other = self._entries[int(rng.integers(len(self._entries)))]
        if len(other.video.frames) < stage.frames:
            return
        their_frames, their_masks = self._frames_of(other, rng, stage)
        covered = (their_masks > 0) & (their_masks != _VOID)
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
    ids = [int(label) for label in np.unique(masks[0]) if label not in (0, _VOID)]
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
