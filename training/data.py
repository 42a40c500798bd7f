"""Batches of clips by step, composed or of data sets, the same for any number of workers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from training.composer import Clip, compose_clip
from training.config import DataName, Stage, TrackerStage, TrackerTraining, Training
from training.datasets.clips import ClipData, StaticClips, VideoClips, VideoEntry, drawn_wide
from training.datasets.layouts import davis_videos, find_photographs, plain_videos
from training.datasets.photographs import PhotographClips
from training.pack import Pack, Part
from training.scene import ClipSettings

# Streams of random numbers that must not meet.
_CLIPS, _CHOICES, _EVALUATION, _START, _ORDER = 0, 1, 2, 3, 4
_DAVIS_REPEATS = 5  # an epoch
_YOUTUBE_STRIDE = 5  # its masks are on every fifth frame


def open_data(config: Training, data: DataName, part: Part) -> ClipData:
    """All data but composed clips. ValueError names the folder in which none was found."""
    if data == "static":
        return StaticClips(Path(config.static_root), part)
    if data == "photographs":
        is_held_out = part == "held out"
        root = Path(config.photographs_root) / "stills"
        return PhotographClips(find_photographs(root, config.held_out_sets, is_held_out))
    entries: list[VideoEntry] = []
    for name in data.split("+"):
        roots = {"davis": config.davis_root, "youtube": config.youtube_root}
        root = Path(roots.get(name, config.bl30k_root))
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


def drawn_data(stage: Stage, rng: np.random.Generator) -> DataName:
    """One of the stage's kinds of data, by their shares."""
    if not stage.mixture:
        return stage.data
    weights = np.array(list(stage.mixture.values()))
    return stage.kinds[int(rng.choice(len(weights), p=weights / weights.sum()))]


@dataclass(frozen=True, slots=True)
class Batch:
    """Clips of one step on one process; composed ones all have the same number of objects."""

    frames: Tensor  # (B, T, 3, H, W) uint8
    labels: Tensor  # (B, T, H, W) uint8
    objects: int
    memorized: tuple[int, ...]  # frames after the first whose predictions go into memory
    references: tuple[tuple[int, ...], ...] = ()  # that frames after the first read; () for all
    deep: tuple[int, ...] | None = None  # of memorized, that refresh sensory memory; None for all
    present: Tensor | None = None  # (B, K) bool, which clips have which objects; None for all


class TrackerBatches(Dataset[Batch]):
    """Item `step` is the batch of that step, from (seed, step, rank) alone: resuming needs no
    state, and every process sees clips of its own but the same number of objects."""

    def __init__(
        self, config: TrackerTraining, stage: int, batch: int, rank: int = 0, ranks: int = 1
    ) -> None:
        self._config, self._number, self._batch = config, stage, batch
        self._rank, self._ranks = rank, ranks
        # Read in the process that uses them.
        self._pack: Pack | None = None
        self._data: dict[DataName, ClipData] = {}

    def __getitem__(self, step: int) -> Batch:
        config, stage = self._config, self._config.stages[self._number]
        cv2.setNumThreads(1)
        objects, memorized, references, deep = _choices(config, stage, step)
        clips = []
        for index in range(self._batch):
            rng = np.random.default_rng((config.seed, _CLIPS, step, self._rank, index))
            name = drawn_data(stage, rng)
            if name == "composed":
                if self._pack is None:
                    self._pack = Pack(Path(config.pack), "training")
                clips.append(compose_clip(self._pack, rng, stage.clips, objects))
                continue
            if name not in self._data:
                self._data[name] = open_data(config, name, "training")
            data = self._data[name]
            position = (step * self._ranks + self._rank) * self._batch + index
            entry = entry_at((config.seed, _ORDER, self._number), position, len(data))
            clip = data.clip(entry, rng, stage)
            if stage.widened_share and rng.random() < stage.widened_share:
                clip = drawn_wide(clip, rng)
            clips.append(clip)
        batch = _stacked(clips, max(clip.object_count for clip in clips), memorized)
        return replace(batch, references=references, deep=deep)


def evaluation_batches(config: TrackerTraining, rank: int, ranks: int) -> list[Batch]:
    """Fixed clips of what is held out, one a batch; each process gets its share of them.

    Composed of held-out pictures or, where the run has no pack, of the last stage's kinds of data.
    """
    composed = ClipSettings(
        size=config.evaluation_size, frames=config.evaluation_frames, slowest=0.3, fastest=1.0
    )
    recorded = replace(
        config.stages[-1],
        size=config.evaluation_size,
        frames=config.evaluation_frames,
        is_gentle=True,
        merge_share=0.0,
    )
    pack = Pack(Path(config.pack), "held out") if config.pack else None
    kinds = recorded.kinds
    opened = {} if pack else {kind: open_data(config, kind, "held out") for kind in kinds}
    memorized = tuple(range(2, config.evaluation_frames, 2))
    batches = []
    for index in range(rank, config.evaluation_clips, ranks):
        rng = np.random.default_rng((_EVALUATION, index))  # the same clips whatever the seed
        if pack:
            clip = compose_clip(pack, rng, composed, 1 + index % len(config.object_weights))
        else:
            data = opened[kinds[index % len(kinds)]]
            clip = data.clip(index * len(data) // config.evaluation_clips, rng, recorded)
        batches.append(_stacked([clip], clip.object_count, memorized))
    return batches


def starting_frames(config: TrackerTraining, clips: int = 24) -> Tensor:
    """(clips, 2, 3, H, W) uint8 frames on which the pretrained features are measured."""
    stage = config.stages[0]
    kind = stage.kinds[0]
    drawn = []
    pack = Pack(Path(config.pack), "training") if kind == "composed" else None
    data = None if pack else open_data(config, kind, "training")
    for index in range(clips):
        rng = np.random.default_rng((config.seed, _START, index))
        if pack:
            drawn.append(compose_clip(pack, rng, ClipSettings(size=stage.size, frames=2), 1))
        elif data:
            drawn.append(data.clip(int(rng.integers(len(data))), rng, replace(stage, frames=2)))
    return _stacked(drawn, 1, ()).frames


def _choices(
    config: TrackerTraining, stage: TrackerStage, step: int
) -> tuple[int, tuple[int, ...], tuple[tuple[int, ...], ...], tuple[int, ...] | None]:
    """Objects, memorized, references and deep: see `Batch`; the same on every process."""
    rng = np.random.default_rng((config.seed, _CHOICES, step))
    weights = np.array(config.object_weights)
    objects = 1 + int(rng.choice(len(weights), p=weights / weights.sum()))
    drawn = rng.random(stage.frames)
    memorized = [f for f in range(1, stage.frames - 1) if drawn[f] < stage.memorized_share]
    references = []
    for frame in range(1, stage.frames) if stage.references else ():
        before = [earlier for earlier in memorized if earlier < frame]
        count = min(stage.references - 1, len(before))
        others = rng.choice(before, count, replace=False) if count else ()
        references.append((0, *sorted(int(earlier) for earlier in others)))
    deep = None
    if stage.deep_update_share < 1:
        deep = tuple(f for f in memorized if rng.random() < stage.deep_update_share)
    return objects, tuple(memorized), tuple(references), deep


def _stacked(clips: list[Clip], objects: int, memorized: tuple[int, ...]) -> Batch:
    frames = torch.from_numpy(np.stack([clip.frames for clip in clips]))
    labels = torch.from_numpy(np.stack([clip.labels for clip in clips]))
    counts = torch.tensor([clip.object_count for clip in clips])
    present = None
    if bool((counts < objects).any()):
        present = torch.arange(objects) < counts[:, None]
    return Batch(
        frames.permute(0, 1, 4, 2, 3).contiguous(), labels, objects, memorized, present=present
    )
