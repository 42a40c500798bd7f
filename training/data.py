"""Batches of composed clips by step, the same for any number of worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from training.composer import Clip, compose_clip
from training.config import Stage, TrackerTraining
from training.pack import Pack
from training.scene import ClipSettings

# Streams of random numbers that must not meet.
_CLIPS, _CHOICES, _EVALUATION, _START = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Batch:
    """Clips of one step on one process; all have the same number of objects."""

    frames: Tensor  # (B, T, 3, H, W) uint8
    labels: Tensor  # (B, T, H, W) uint8
    objects: int
    memorized: tuple[int, ...]  # frames after the first whose predictions go into memory


class ComposedBatches(Dataset[Batch]):
    """Item `step` is the batch of that step, from (seed, step, rank) alone: resuming needs no
    state, and every process sees clips of its own but the same number of objects."""

    def __init__(self, config: TrackerTraining, rank: int) -> None:
        self._config = config
        self._rank = rank
        self._pack: Pack | None = None

    def __len__(self) -> int:
        return self._config.total_steps

    def __getitem__(self, step: int) -> Batch:
        config = self._config
        if self._pack is None:  # read in the process that uses it
            cv2.setNumThreads(1)
            self._pack = Pack(Path(config.pack), "training")
        stage = config.stages[config.stage_at(step)]
        objects, memorized = _choices(config, stage, step)
        clips = []
        for index in range(stage.batch):
            rng = np.random.default_rng((config.seed, _CLIPS, step, self._rank, index))
            clips.append(compose_clip(self._pack, rng, stage.clips, objects))
        return _stacked(clips, objects, memorized)


def evaluation_batches(config: TrackerTraining, rank: int, ranks: int) -> list[Batch]:
    """Fixed clips of held-out pictures, one a batch; each process gets its share of them."""
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
    pack = Pack(Path(config.pack), "training")
    settings = ClipSettings(size=config.stages[0].size, frames=2)
    composed = [
        compose_clip(pack, np.random.default_rng((config.seed, _START, index)), settings, 1)
        for index in range(clips)
    ]
    return _stacked(composed, 1, ()).frames


def _choices(config: TrackerTraining, stage: Stage, step: int) -> tuple[int, tuple[int, ...]]:
    rng = np.random.default_rng((config.seed, _CHOICES, step))
    weights = np.array(config.object_weights)
    objects = 1 + int(rng.choice(len(weights), p=weights / weights.sum()))
    drawn = rng.random(stage.frames)
    memorized = [f for f in range(1, stage.frames - 1) if drawn[f] < stage.memorized_share]
    return objects, tuple(memorized)


def _stacked(clips: list[Clip], objects: int, memorized: tuple[int, ...]) -> Batch:
    frames = torch.from_numpy(np.stack([clip.frames for clip in clips]))
    labels = torch.from_numpy(np.stack([clip.labels for clip in clips]))
    return Batch(frames.permute(0, 1, 4, 2, 3).contiguous(), labels, objects, memorized)
