"""The training loop of the click network, on one process or many (torchrun)."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn, optim
from torch.nn.parallel import DistributedDataParallel

from interaction.clicks.small_network import (
    SmallClickNetwork,
    click_network_bytes,
    read_click_network,
)
from interaction.errors import ModelError
from interaction.files import write_bytes
from interaction.learning.click_rounds import ClickRounds, clicked_scores
from interaction.learning.networks import averaged_click_network
from training.checkpoints import described_data, without_folders
from training.clicks.config import ClickTraining, click_config_from
from training.clicks.pictures import ClipMaker, clip_maker
from training.clicks.samples import draw_sample, draw_samples
from training.config import DataName
from training.trunk_weights import find_trunk_weights, load_trunk, measure_normalisation
from xmem_core.learning.average import MovingAverage
from xmem_core.learning.folding import fold_norms
from xmem_core.learning.lean import keep_strided_depthwise_exact, learn_trunk
from xmem_core.probabilities import normalise

log = logging.getLogger(__name__)

_FILE = "click-checkpoint.pt"
_CURVE = "click-curve.csv"
# Streams of random numbers that must not meet.
_SAMPLES, _AIM, _EVALUATION, _START = 10, 11, 12, 13


@dataclass(frozen=True, slots=True)
class ClickCurvePoint:
    """One row of the curve: mean IoU on held-out pictures after 1, 3 and 5 clicks."""

    step: int
    loss: float
    iou_1: float
    iou_3: float
    iou_5: float
    learning_rate: float
    seconds: float


class ClickRun:
    """One training run: `advance` it as far as wanted; it goes on from its last checkpoint."""

    def __init__(self, config: ClickTraining, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._rank = dist.get_rank() if dist.is_initialized() else 0
        self._makers: dict[DataName, ClipMaker] = {}
        cv2.setNumThreads(1)
        self._device = torch.device("cpu")
        if torch.cuda.is_available():
            self._device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.manual_seed(config.seed)
        self.network = SmallClickNetwork()
        content = read_click_checkpoint(folder)
        if content is None and config.start_from:
            begin_with(self.network, Path(config.start_from))
        elif content is None:
            self._start_from_pretrained()
        fold_norms(self.network)
        self._is_half = config.is_half_precision or self._device.type == "cuda"
        if self._is_half and self._device.type == "cpu":
            keep_strided_depthwise_exact(self.network)
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

    def advance(self, until: int | None = None) -> None:
        """Trains up to step `until`, or to the end; saves there and now and then between."""
        config = self._config
        until = config.total_steps if until is None else min(until, config.total_steps)
        rounds: nn.Module = ClickRounds(self.network)
        if dist.is_initialized():
            rounds = DistributedDataParallel(rounds, find_unused_parameters=True)
        losses: list[float] = []
        saved = started = time.monotonic()
        before = self._seconds
        while self.step < until:
            losses.append(self._train(rounds))
            self._seconds = before + time.monotonic() - started
            if self.step % config.evaluate_every == 0 or self.step == until:
                self._report(losses)
                losses = []
            if time.monotonic() - saved > config.checkpoint_seconds:
                self.save()
                saved = time.monotonic()
        self.save()

    def save(self) -> None:
        """Replaces the checkpoint, whole and at once."""
        if self._rank != 0:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        content = {
            "config": self._config.as_dict(),
            "network": self.network.state_dict(),
            "average": self.average.state,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self._seconds,
        }
        partial = self._folder / (_FILE + ".partial")
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._folder / _FILE)

    def evaluate(self) -> tuple[float, ...]:
        """Mean IoU of the averaged weights after each of five clicks on held-out pictures."""
        config = self._config
        data: DataName = "composed" if config.pack else config.stages[-1].data
        make_clip = clip_maker(config, data, "held out")
        network = averaged_click_network(self.average.state).to(self._device)
        scores = []
        for index in range(config.evaluation_pictures):
            rng = np.random.default_rng((_EVALUATION, index))
            sample = draw_sample(make_clip, rng, config, config.evaluation_size)
            scores.append(clicked_scores(network, sample))
        return tuple(np.mean(scores, axis=0).tolist())

    def _make_clip(self, data: DataName) -> ClipMaker:
        if data not in self._makers:
            self._makers[data] = clip_maker(self._config, data, "training")
        return self._makers[data]

    def _train(self, rounds: nn.Module) -> float:
        config, step = self._config, self.step
        stage = config.stage_at(step)
        rate = stage.learning_rate * _rate_factor(step, config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * (stage.trunk_rate if group["name"] == "trunk" else 1.0)
        scenes = np.random.default_rng((config.seed, _SAMPLES, step, self._rank))
        make_clip = self._make_clip(stage.data)
        samples = draw_samples(make_clip, scenes, config, stage.size, stage.batch)
        learn_trunk(self.network.trunk, stage.trunk_rate > 0)
        aim = np.random.default_rng((config.seed, _AIM, step, self._rank))
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._is_half):
            loss: Tensor = rounds(samples, config.habits, aim)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.gradient_limit)
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
        else:
            log.warning("step %d: gradients are not finite, skipped", step)
        self.average.update(self.network, step)
        self.step += 1
        return float(loss.detach())

    def _report(self, losses: list[float]) -> None:
        if self._rank != 0:
            return
        iou = self.evaluate()
        point = ClickCurvePoint(
            step=self.step,
            loss=sum(losses) / max(len(losses), 1),
            iou_1=iou[0],
            iou_3=iou[2],
            iou_5=iou[4],
            learning_rate=self.optimizer.param_groups[0]["lr"],
            seconds=self._seconds,
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _CURVE
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(asdict(point)))
            if is_new:
                writer.writeheader()
            writer.writerow({name: round(value, 6) for name, value in asdict(point).items()})
        log.info("step %d loss %.4f IoU %.3f %.3f %.3f rate %.2e %.0f s", *asdict(point).values())

    def _start_from_pretrained(self) -> None:
        config = self._config
        weights = Path(config.trunk_weights) if config.trunk_weights else find_trunk_weights()
        load_trunk(self.network.trunk, torch.load(weights, map_location="cpu", weights_only=True))
        self.network.eval()
        pictures = [
            draw_sample(
                self._make_clip(config.stages[0].data),
                np.random.default_rng((config.seed, _START, index)),
                config,
                config.stages[0].size,
            ).picture
            for index in range(24)
        ]
        with torch.no_grad():
            frames = torch.from_numpy(np.stack(pictures)).movedim(3, 1)
            measure_normalisation(self.network.trunk, normalise(frames.float()))


def _rate_factor(step: int, config: ClickTraining) -> float:
    """Warm-up, then a cosine over the whole run down to `final_rate`."""
    if step < config.warm_up_steps:
        return (step + 1) / config.warm_up_steps
    falling = 0.5 * (1 + math.cos(math.pi * min(1.0, step / config.total_steps)))
    return config.final_rate + (1 - config.final_rate) * falling


def _optimizer(network: SmallClickNetwork, config: ClickTraining) -> optim.AdamW:
    """The trunk apart, so that it can learn more slowly. Biases do not decay."""
    chosen: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        group = "trunk" if name.startswith("trunk.") else "rest"
        chosen.setdefault((group, parameter.ndim > 1), []).append(parameter)
    groups = [
        {"params": chosen[key], "name": key[0], "weight_decay": config.weight_decay * key[1]}
        for key in sorted(chosen, key=lambda key: (key[0] != "rest", key))
    ]
    return optim.AdamW(groups, lr=0.0)


def read_click_checkpoint(run: Path) -> dict[str, Any] | None:
    """What `ClickRun.save` wrote, on the CPU; None where nothing was yet."""
    path = run / _FILE
    if not path.exists():
        return None
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def begin_with(network: SmallClickNetwork, weights: Path) -> None:
    """Copies weights that `export_clicks` wrote. ValueError where they do not fit."""
    try:
        start = read_click_network(weights)
        start.first_look = None
        network.load_state_dict(start.state_dict())
    except ModelError as error:
        raise ValueError(f"a run cannot begin with {weights}: {error}") from None


def export_clicks(run: Path, output: Path) -> None:
    """Averaged weights of the newest checkpoint in half precision, with where they come from."""
    content = read_click_checkpoint(run)
    if content is None:
        raise ValueError(f"{run} holds no {_FILE}")
    config = click_config_from(content["config"])
    metadata = {
        "step": str(content["step"]),
        "seed": str(config.seed),
        "training_seconds": str(round(content["seconds"])),
        "data": described_data(stage.data for stage in config.stages),
        "training": json.dumps(without_folders(config.as_dict())),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    network = averaged_click_network(content["average"])
    write_bytes(output, click_network_bytes(network, metadata))
