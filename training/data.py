"""Batches of clips by step, composed or of data sets, the same for any number of workers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from training.composer import Clip, compose_clip
from training.config import DataName, Stage, TrackerTraining
from training.datasets.clips import ClipData, entry_at, open_data
from training.pack import Pack
from training.scene import ClipSettings

# Streams of random numbers that must not meet.
_CLIPS, _CHOICES, _EVALUATION, _START, _ORDER = 0, 1, 2, 3, 4


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


class TrainingBatches(Dataset[Batch]):
    """Item `step` is the batch of that step, from (seed, step, rank) alone: resuming needs no
    state, and every process sees clips of its own but the same number of objects."""

    def __init__(self, config: TrackerTraining, rank: int, ranks: int = 1) -> None:
        self._config = config
        self._rank, self._ranks = rank, ranks
        self._pack: Pack | None = None  # this and the data are read in the process that uses them
        self._data: dict[str, ClipData] = {}

    def __len__(self) -> int:
        return self._config.total_steps

    def __getitem__(self, step: int) -> Batch:
        config = self._config
        cv2.setNumThreads(1)
        stage = config.stages[config.stage_at(step)]
        objects, memorized, references, deep = _choices(config, stage, step)
        clips = []
        for index in range(stage.batch):
            rng = np.random.default_rng((config.seed, _CLIPS, step, self._rank, index))
            name = drawn_data(stage, rng)
            if name == "composed":
                if self._pack is None:
                    self._pack = Pack(Path(config.pack), "training")
                clips.append(compose_clip(self._pack, rng, stage.clips, objects))
            else:
                clips.append(self._recorded(name, step, index, rng))
        batch = _stacked(clips, max(clip.object_count for clip in clips), memorized)
        return replace(batch, references=references, deep=deep)

    def _recorded(self, name: DataName, step: int, index: int, rng: np.random.Generator) -> Clip:
        """A clip of the stage's data set, each entry of which comes once an epoch."""
        config = self._config
        if name not in self._data:
            self._data[name] = open_data(config, name, "training")
        data = self._data[name]
        number = config.stage_at(step)
        stage = config.stages[number]
        done = step - sum(earlier.steps for earlier in config.stages[:number])
        position = (done * self._ranks + self._rank) * stage.batch + index
        entry = entry_at((config.seed, _ORDER, number), position, len(data))
        return data.clip(entry, rng, stage)


def drawn_data(stage: Stage, rng: np.random.Generator) -> DataName:
    if not stage.mixture:
        return stage.data
    names = list(stage.mixture)
    weights = np.array([stage.mixture[name] for name in names])
    return cast(DataName, names[int(rng.choice(len(names), p=weights / weights.sum()))])


def evaluation_batches(config: TrackerTraining, rank: int, ranks: int) -> list[Batch]:
    """Fixed clips of held-out pictures, one a batch; each process gets its share of them.

    Of the last stage's data set where the run has no pack.
    """
    if not config.pack:
        return _recorded_evaluation(config, rank, ranks)
    pack = Pack(Path(config.pack), "held out")
    settings = ClipSettings(
        size=config.evaluation_size, frames=config.evaluation_frames, slowest=0.3, fastest=1.0
    )
    memorized = tuple(range(2, config.evaluation_frames, 2))
    batches = []
    for index in range(rank, config.evaluation_clips, ranks):
        objects = 1 + index % len(config.object_weights)
        rng = np.random.default_rng((_EVALUATION, index))  # the same clips whatever the seed
        clip = compose_clip(pack, rng, settings, objects)
        batches.append(_stacked([clip], objects, memorized))
    return batches


def starting_frames(config: TrackerTraining, clips: int = 24) -> Tensor:
    """(clips, 2, 3, H, W) uint8 frames on which the pretrained features are measured."""
    stage = config.stages[0]
    if stage.data != "composed":
        data = open_data(config, stage.data, "training")
        short = replace(stage, frames=2)
        recorded = []
        for index in range(clips):
            rng = np.random.default_rng((config.seed, _START, index))
            recorded.append(data.clip(int(rng.integers(len(data))), rng, short))
        return _stacked(recorded, 1, ()).frames
    pack = Pack(Path(config.pack), "training")
    settings = ClipSettings(size=config.stages[0].size, frames=2)
    composed = [
        compose_clip(pack, np.random.default_rng((config.seed, _START, index)), settings, 1)
        for index in range(clips)
    ]
    return _stacked(composed, 1, ()).frames


def _recorded_evaluation(config: TrackerTraining, rank: int, ranks: int) -> list[Batch]:
    stage = config.stages[-1]
    data = open_data(config, stage.data, "held out")
    settings = replace(
        stage,
        size=config.evaluation_size,
        frames=config.evaluation_frames,
        is_gentle=True,
        merge_share=0.0,
    )
    memorized = tuple(range(2, config.evaluation_frames, 2))
    batches = []
    for index in range(rank, config.evaluation_clips, ranks):
        rng = np.random.default_rng((_EVALUATION, index))
        clip = data.clip(index * len(data) // config.evaluation_clips, rng, settings)
        batches.append(_stacked([clip], clip.object_count, memorized))
    return batches


def _choices(
    config: TrackerTraining, stage: Stage, step: int
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
