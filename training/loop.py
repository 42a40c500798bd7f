"""The training loop of the tracker, on one process or many (torchrun).

Each process composes its own clips; gradients are averaged by DistributedDataParallel. The
first process evaluates with the others, and alone writes checkpoints and curves.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn, optim
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset

from training.checkpoints import (
    CurvePoint,
    append_to_curve,
    begin_with,
    read_checkpoint,
    save_checkpoint,
)
from training.config import Stage, TrackerTraining
from training.data import Batch, TrainingBatches, evaluation_batches, starting_frames
from training.trunk_weights import (
    find_trunk_weights,
    start_from_pretrained,
    start_from_resnets,
)
from xmem_core.learning.average import MovingAverage
from xmem_core.learning.folding import fold_norms, unfolded
from xmem_core.learning.lean import freeze_costly, keep_strided_depthwise_exact
from xmem_core.learning.losses import falling_share, mean_iou
from xmem_core.learning.unroll import ClipLoss, track_clip
from xmem_core.network.xmem import XMem

log = logging.getLogger(__name__)


class TrackerRun:
    """One training run: `advance` it as far as wanted; it goes on from its last checkpoint."""

    def __init__(self, config: TrackerTraining, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._rank = dist.get_rank() if dist.is_initialized() else 0
        self._ranks = dist.get_world_size() if dist.is_initialized() else 1
        self._device = _device()
        torch.manual_seed(config.seed)
        self.network = XMem(config.network)
        content = read_checkpoint(folder)
        if content is None and config.start_from:
            begin_with(self.network, Path(config.start_from))
        elif content is None and config.network.trunk == "efficientnet_lite0":
            weights = Path(config.trunk_weights) if config.trunk_weights else find_trunk_weights()
            start_from_pretrained(self.network, weights, starting_frames(config))
        elif content is None:
            start_from_resnets(self.network, config.trunk_weights)
        fold_norms(self.network)
        if config.is_half_precision and self._device.type == "cpu":
            keep_strided_depthwise_exact(self.network)
        # Convolutions of frozen and thin layers are a third faster on a CPU in this layout.
        self.network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.train()
        self.optimizer = _optimizer(self.network, config)
        self.step, self._seconds = 0, 0.0
        if content is not None:
            self.network.load_state_dict(content["network"])
            self.optimizer.load_state_dict(content["optimizer"])
            self.step, self._seconds = content["step"], content["seconds"]
        self.average = MovingAverage(self.network, config.average_decay)
        if content is not None:
            for name, tensor in content["average"].items():
                self.average.state[name].copy_(tensor)
        self._evaluation: list[Batch] | None = None

    def advance(self, until: int | None = None) -> None:
        """Trains up to step `until`, or to the end; saves there and now and then between."""
        config = self._config
        until = config.total_steps if until is None else min(until, config.total_steps)
        losses: list[float] = []
        saved = started = time.monotonic()
        before = self._seconds
        while self.step < until:
            stage_index = config.stage_at(self.step)
            stage_end = sum(stage.steps for stage in config.stages[: stage_index + 1])
            stage = config.stages[stage_index]
            module = self._wrapped(stage)
            for batch in self._batches(self.step, min(stage_end, until)):
                losses.append(self._train_on(module, stage, batch))
                self._seconds = before + time.monotonic() - started
                if self.step % config.evaluate_every == 0 or self.step == until:
                    self._report(losses)
                    losses = []
                if time.monotonic() - saved > config.checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
        self.save()

    def save(self) -> None:
        if self._rank == 0:
            save_checkpoint(
                self._folder,
                self._config,
                self.network,
                self.average,
                self.optimizer,
                step=self.step,
                seconds=self._seconds,
            )

    def _wrapped(self, stage: Stage) -> nn.Module:
        """The loss module for a stage, with what the stage freezes frozen."""
        for parameter in self.network.key_encoder.trunk.parameters():
            parameter.requires_grad_(stage.key_trunk_rate > 0)
        for parameter in self.network.value_encoder.trunk.parameters():
            parameter.requires_grad_(stage.value_trunk_rate > 0)
        if self._config.is_lean:
            freeze_costly(self.network)
        module = ClipLoss(self.network)
        if not dist.is_initialized():
            return module
        # Clips of two frames use no sensory update.
        return DistributedDataParallel(module, find_unused_parameters=stage.frames == 2)

    def _batches(self, start: int, end: int) -> Iterator[Batch]:
        composed = Subset(TrainingBatches(self._config, self._rank, self._ranks), range(start, end))
        workers = self._config.workers
        loader: DataLoader[Batch] = DataLoader(composed, batch_size=None, num_workers=workers)
        yield from loader

    def _train_on(self, module: nn.Module, stage: Stage, batch: Batch) -> float:
        config = self._config
        rate = stage.learning_rate * rate_factor(self.step, config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * _group_rate(stage, group["name"])
        total = config.total_steps
        share = falling_share(
            self.step,
            int(config.bootstrap_start * total),
            int(config.bootstrap_end * total),
            config.bootstrap_share,
        )
        frames, labels = batch.frames.to(self._device), batch.labels.to(self._device).long()
        is_half = self._device.type == "cuda" or config.is_half_precision
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=is_half):
            loss: Tensor = module(
                frames,
                labels,
                batch.objects,
                batch.memorized,
                share,
                batch.references,
                batch.deep,
                batch.present if batch.present is None else batch.present.to(self._device),
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.gradient_limit)
        # One broken step must not spoil the weights for ever; gradients are the same everywhere.
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
        else:
            log.warning("step %d: gradients are not finite, skipped", self.step)
        self.average.update(self.network, self.step)
        self.step += 1
        return float(loss.detach())

    def _report(self, losses: Sequence[float]) -> None:
        point = CurvePoint(
            step=self.step,
            loss=sum(losses) / max(len(losses), 1),
            iou=self.evaluate(),
            learning_rate=self.optimizer.param_groups[0]["lr"],
            seconds=self._seconds,
        )
        if self._rank == 0:
            append_to_curve(self._folder, point)
            log.info(
                "step %d loss %.4f IoU %.4f rate %.2e %.0f s",
                *(point.step, point.loss, point.iou, point.learning_rate, point.seconds),
            )

    def evaluate(self) -> float:
        """Mean IoU of the averaged weights on held-out composed clips, over all processes."""
        if self._evaluation is None:
            self._evaluation = evaluation_batches(self._config, self._rank, self._ranks)
        network = unfolded(self.network, self.average.state).to(self._device)
        scores = torch.zeros(2, dtype=torch.float64, device=self._device)  # sum, count
        with torch.inference_mode():
            for batch in self._evaluation:
                frames, labels = batch.frames.to(self._device), batch.labels.to(self._device)
                tracked = track_clip(
                    network, frames, labels[:, 0].long(), batch.objects, batch.memorized
                )
                predicted = tracked.argmax(dim=2).flatten(0, 1)
                iou = mean_iou(predicted, labels[:, 1:].flatten(0, 1), batch.objects)
                scores += torch.stack([iou.double().mean(), scores.new_ones(())])
        if dist.is_initialized():
            dist.all_reduce(scores)
        return float(scores[0] / scores[1].clamp_min(1))


def rate_factor(step: int, config: TrackerTraining) -> float:
    """Warm-up, then a cosine over the whole run down to `final_rate`."""
    if step < config.warm_up_steps:
        return (step + 1) / config.warm_up_steps
    progress = min(1.0, step / max(1, config.total_steps))
    falling = 0.5 * (1 + math.cos(math.pi * progress))
    return config.final_rate + (1 - config.final_rate) * falling


def _group_rate(stage: Stage, name: str) -> float:
    return {"key trunk": stage.key_trunk_rate, "value trunk": stage.value_trunk_rate}.get(name, 1.0)


def _optimizer(network: XMem, config: TrackerTraining) -> optim.AdamW:
    """Three groups, so that the trunks can learn more slowly. Biases do not decay."""
    chosen: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        group = "rest"
        if name.startswith("key_encoder.trunk."):
            group = "key trunk"
        elif name.startswith("value_encoder.trunk."):
            group = "value trunk"
        chosen.setdefault((group, parameter.ndim > 1), []).append(parameter)
    # The rest first: its rate is the one that is reported.
    groups = [
        {"params": chosen[key], "name": key[0], "weight_decay": config.weight_decay * key[1]}
        for key in sorted(chosen, key=lambda key: (key[0] != "rest", key))
    ]
    return optim.AdamW(groups, lr=0.0)


def _device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
