"""The training loop of both networks, on one process or many (torchrun).

A run is as long as its stages say, or as long as it may take: then the stages and the learning rate
are stretched over that time. It goes on from its last checkpoint: random numbers follow from the
seed and the step, so nothing else has to be kept.
"""

import csv
import logging
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn, optim
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, Subset

from training.checkpoints import Checkpoint, read_checkpoint, save_checkpoint, write_weights
from training.config import Training
from xmem_core.learning.lean import MovingAverage, fold_norms, keep_strided_depthwise_exact

log = logging.getLogger(__name__)

B = TypeVar("B")

_CURVE = "curve.csv"
_MOST_WORKERS = 16
_CLOSING_MARGIN = 1.3  # times what evaluation and saving took at the start of a timed run


class Task(Protocol[B]):
    """What is particular to a network. B is a batch; indices of data are steps."""

    @property
    def network(self) -> nn.Module:
        """With plain layers until the run folds its norms."""

    @property
    def scores(self) -> Sequence[str]:
        """Names of what `evaluate` measures."""

    def start(self) -> None:
        """Puts the weights into `network` that a run begins with."""

    def loss_module(self) -> nn.Module:
        """The loss around `network`, so that DistributedDataParallel can wrap it."""

    def rate_group(self, parameter: str) -> str:
        """The group of a parameter, by its name in `network`: each learns at a rate of its own."""

    def enter(self, stage: int) -> dict[str, float]:
        """Freezes what a stage freezes; rates of the groups as shares of the learning rate."""

    def data(self, stage: int, batch: int, rank: int, ranks: int) -> Dataset[B]:
        """Batches by step for one process."""

    def loss(self, module: nn.Module, batch: B, step: int, progress: float) -> Tensor:
        """A scalar; progress in 0..1 of the run."""

    def evaluate(self, average: dict[str, Tensor], rank: int, ranks: int) -> Tensor:
        """(len(scores) + 1,) float64: sums over this process' share of what is held out, and their
        count."""


AnyTask = Task[Any]


class Run:
    """One training run: `advance` it as far as wanted."""

    def __init__(self, config: Training, task: AnyTask, folder: Path) -> None:
        self._config = config
        self.task = task
        self._folder = folder
        self._rank = dist.get_rank() if dist.is_initialized() else 0
        self._ranks = dist.get_world_size() if dist.is_initialized() else 1
        self._device = training_device()
        network = task.network
        content = read_checkpoint(folder)
        if content is None:
            task.start()
        fold_norms(network)
        self._is_half = config.is_half_precision or self._device.type == "cuda"
        if self._is_half and self._device.type == "cpu":
            keep_strided_depthwise_exact(network)
        # Convolutions of frozen and thin layers are a third faster on a CPU in this layout.
        network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.train()
        self.optimizer = _optimizer(network, task, config.weight_decay)
        self.step, self._seconds = 0, 0.0
        # How far the run is, in steps of the configuration; in a timed run not whole steps.
        self._position = 0.0
        if content is not None:
            network.load_state_dict(content["network"])
            self.optimizer.load_state_dict(content["optimizer"])
            self.step, self._seconds = content["step"], content["seconds"]
            self._position = content["position"]
        self.average = MovingAverage(network, config.average_decay)
        if content is not None:
            for name, tensor in content["average"].items():
                self.average.state[name].copy_(tensor)
        self._rates: dict[str, float] = {}  # of groups, as shares of the learning rate

    def advance(self, until: int | None = None, deadline: float | None = None) -> None:
        """Trains up to step `until`, or to the end, and saves now and then. With a `deadline` (of
        `time.monotonic`) the rest of the run is stretched or shortened so as to end before it."""
        config = self._config
        started = saved = monotonic()
        before = self._seconds
        clock = None
        if deadline is not None:
            self._report([])
            self.save()
            now = monotonic()
            closing = _CLOSING_MARGIN * (now - started)
            clock = Clock(self._position, config.total_steps, now, deadline - closing)
        end = config.total_steps if until is None else min(until, config.total_steps)
        losses: list[float] = []
        while self._position < end:
            index = config.stage_at(self._position)
            module = self._wrapped(index)
            for batch in self._batches(index):
                losses.append(self._train_on(module, index, batch))
                self._seconds = before + monotonic() - started
                self._position = float(self.step) if clock is None else self._agreed(clock)
                is_over = self._position >= end
                if self.step % config.evaluate_every == 0 or is_over:
                    self._report(losses)
                    losses = []
                if is_over or config.stage_at(self._position) != index:
                    break
                if monotonic() - saved > config.checkpoint_seconds:
                    self.save()
                    saved = monotonic()
        self.save()

    def save(self) -> None:
        """Replaces the checkpoint, whole and at once."""
        if self._rank == 0:
            content: Checkpoint = {
                "config": self._config.as_dict(),
                "network": self.task.network.state_dict(),
                "average": self.average.state,
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "position": self._position,
                "seconds": self._seconds,
            }
            save_checkpoint(self._folder, content)

    def write_weights(self, output: Path) -> None:
        """Exports the averaged weights."""
        if self._rank == 0:
            write_weights(self._folder, output)

    def evaluate(self) -> list[float]:
        """The task's scores of the averaged weights on what is held out, over all processes."""
        sums = self.task.evaluate(self.average.state, self._rank, self._ranks).to(self._device)
        if dist.is_initialized():
            dist.all_reduce(sums)
        return (sums[:-1] / sums[-1].clamp_min(1)).tolist()

    def _batches(self, index: int) -> Iterator[object]:
        """Batches of a stage from the next step on, without end."""
        config, stage = self._config, self._config.stages[index]
        on_gpu = self._device.type == "cuda"
        batch = stage.batch_on_gpu if on_gpu and stage.batch_on_gpu else stage.batch
        workers = config.workers
        if workers < 0:
            workers = min(_MOST_WORKERS, os.cpu_count() or 1) if on_gpu else 0
        data = self.task.data(index, batch, self._rank, self._ranks)
        loader: DataLoader[Any] = DataLoader(
            Subset(data, range(self.step, sys.maxsize)),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
        )
        yield from loader

    def _wrapped(self, index: int) -> nn.Module:
        """The loss module for a stage, with what the stage freezes frozen."""
        self._rates = self.task.enter(index)
        module = self.task.loss_module()
        if not dist.is_initialized():
            return module
        return DistributedDataParallel(module, find_unused_parameters=True)

    def _train_on(self, module: nn.Module, index: int, batch: Any) -> float:
        config = self._config
        rate = config.stages[index].learning_rate * rate_factor(self._position, config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self._rates.get(group["name"], 1.0)
        progress = self._position / config.total_steps
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._is_half):
            loss = self.task.loss(module, batch, self.step, progress)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = self.task.network.parameters()
        norm = nn.utils.clip_grad_norm_(parameters, config.gradient_limit)
        # One broken step must not spoil the weights for ever; gradients are the same everywhere.
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
        else:
            log.warning("step %d: gradients are not finite, skipped", self.step)
        self.average.update(self.task.network, self.step)
        self.step += 1
        return float(loss.detach())

    def _agreed(self, clock: "Clock") -> float:
        """The position of the first process, so that all end and change stages together."""
        position = clock.position(monotonic())
        if not dist.is_initialized():
            return position
        shared = torch.tensor([position], dtype=torch.float64, device=self._device)
        dist.broadcast(shared, 0)
        return float(shared)

    def _report(self, losses: Sequence[float]) -> None:
        scores = self.evaluate()
        if self._rank != 0:
            return
        row = {
            "step": self.step,
            "loss": round(sum(losses) / max(len(losses), 1), 6),
            **{name: round(v, 6) for name, v in zip(self.task.scores, scores, strict=True)},
            "learning_rate": round(self.optimizer.param_groups[0]["lr"], 8),
            "seconds": round(self._seconds, 1),
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _CURVE
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        log.info(" ".join(f"{name} {value:g}" for name, value in row.items()))


class Clock:
    """Positions of a run that has until `end` (in seconds, as `start`) for its remaining steps."""

    def __init__(self, position: float, total: int, start: float, end: float) -> None:
        self._first, self._total = position, total
        self._start, self._end = start, end
        self._before, self._slowest = start, 0.0

    def position(self, now: float) -> float:
        """The end of the run where another step as slow as the slowest would end too late."""
        self._slowest = max(self._slowest, now - self._before)
        self._before = now
        if now + self._slowest >= self._end:
            return float(self._total)
        share = (now - self._start) / (self._end - self._start)
        return self._first + (self._total - self._first) * share


def training_device() -> torch.device:
    """The process' GPU where there is one. Apple's is left out: it has no bfloat16 autocast."""
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def rate_factor(position: float, config: Training) -> float:
    """Warm-up, then a cosine over the whole run down to `final_rate`."""
    if position < config.warm_up_steps:
        return (position + 1) / config.warm_up_steps
    progress = min(1.0, position / max(1, config.total_steps))
    falling = 0.5 * (1 + math.cos(math.pi * progress))
    return config.final_rate + (1 - config.final_rate) * falling


def _optimizer(network: nn.Module, task: AnyTask, weight_decay: float) -> optim.AdamW:
    """Groups that learn at rates of their own. Biases do not decay."""
    chosen: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        chosen.setdefault((task.rate_group(name), parameter.ndim > 1), []).append(parameter)
    # The rest first: its rate is the one that is reported.
    groups = [
        {"params": chosen[key], "name": key[0], "weight_decay": weight_decay * key[1]}
        for key in sorted(chosen, key=lambda key: (key[0] != "rest", key))
    ]
    return optim.AdamW(groups, lr=0.0)
