"""The click network's side of a run: its data, loss and measure."""

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from interaction.clicks.small_network import SmallClickNetwork
from interaction.learning.networks import ClickRounds, averaged_click_network, clicked_scores
from interaction.learning.samples import Sample
from training.checkpoints import start_clicks
from training.clicks.photographs import Photographs
from training.clicks.samples import ClipMaker, draw_samples
from training.composer import Clip, compose_clip
from training.config import ClickTraining, DataName, Stage, TrackerStage
from training.data import drawn_data, open_data
from training.pack import Pack, Part
from training.scene import ClipSettings
from training.trunk_weights import find_trunk_weights, load_trunk, measure_normalisation
from xmem_core.learning.lean import learn_trunk
from xmem_core.pictures import normalise

# Streams of random numbers that must not meet.
_SAMPLES, _AIM, _EVALUATION, _START = 10, 11, 12, 13
Sampler = Callable[[np.random.Generator, int, int], list[Sample]]  # of a size, so many

_OBJECT_WEIGHTS = (0.4, 0.35, 0.25)  # of one, two, three labelled objects in composed clips


class ClickTask:
    """Pictures in which an object is clicked at until its mask is right."""

    scores = ("iou_1", "iou_3", "iou_5")  # mean IoU after so many clicks

    def __init__(self, config: ClickTraining) -> None:
        self._config = config
        torch.manual_seed(config.seed)
        self.network = SmallClickNetwork()

    def start(self) -> None:
        config = self._config
        if config.start_from:
            start_clicks(self.network, Path(config.start_from))
            return
        weights = Path(config.trunk_weights) if config.trunk_weights else find_trunk_weights()
        load_trunk(self.network.trunk, torch.load(weights, map_location="cpu", weights_only=True))
        self.network.eval()
        stage = config.stages[0]
        draw = sampler(config, stage.kinds[0], "training")
        rngs = [np.random.default_rng((config.seed, _START, index)) for index in range(24)]
        pictures = [draw(rng, stage.size, 1)[0].picture for rng in rngs]
        with torch.no_grad():
            frames = torch.from_numpy(np.stack(pictures)).movedim(3, 1)
            measure_normalisation(self.network.trunk, normalise(frames.float()))

    def loss_module(self) -> ClickRounds:
        return ClickRounds(self.network)

    def rate_group(self, parameter: str) -> str:
        return "trunk" if parameter.startswith("trunk.") else "rest"

    def enter(self, stage: int) -> dict[str, float]:
        rate = self._config.stages[stage].trunk_rate
        learn_trunk(self.network.trunk, rate > 0)
        return {"trunk": rate}

    def data(self, stage: int, batch: int, rank: int, ranks: int) -> Dataset[list[Sample]]:
        return ClickBatches(self._config, self._config.stages[stage], batch, rank)

    def loss(self, module: nn.Module, batch: list[Sample], step: int, progress: float) -> Tensor:
        loss: Tensor = module(batch, self._config.habits, self._aim(step))
        return loss

    def _aim(self, step: int) -> np.random.Generator:
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        return np.random.default_rng((self._config.seed, _AIM, step, rank))

    def evaluate(self, average: Mapping[str, Tensor], rank: int, ranks: int) -> Tensor:
        config = self._config
        kind = "composed" if config.pack else config.stages[-1].kinds[0]
        draw = sampler(config, kind, "held out")
        network = averaged_click_network(average)
        network.to(next(self.network.parameters()).device)
        sums = torch.zeros(len(self.scores) + 1, dtype=torch.float64)
        for index in range(rank, config.evaluation_pictures, ranks):
            rng = np.random.default_rng((_EVALUATION, index))
            sample = draw(rng, config.evaluation_size, 1)[0]
            iou = clicked_scores(network, sample)
            sums += torch.tensor([iou[0], iou[2], iou[4], 1.0], dtype=torch.float64)
        return sums


class ClickBatches(Dataset[list[Sample]]):
    """Item `step` is the samples of that step, from (seed, step, rank) alone."""

    def __init__(self, config: ClickTraining, stage: Stage, batch: int, rank: int = 0) -> None:
        self._config, self._stage, self._batch, self._rank = config, stage, batch, rank
        self._samplers: dict[DataName, Sampler] = {}  # made in the process that uses them

    def __getitem__(self, step: int) -> list[Sample]:
        cv2.setNumThreads(1)
        config, stage = self._config, self._stage
        rng = np.random.default_rng((config.seed, _SAMPLES, step, self._rank))
        kind = drawn_data(stage, rng)
        if kind not in self._samplers:
            self._samplers[kind] = sampler(config, kind, "training")
        return self._samplers[kind](rng, stage.size, self._batch)


def sampler(config: ClickTraining, kind: DataName, part: Part) -> Sampler:
    """Draws samples from a generator alone. ValueError where there are no pictures."""
    if kind == "photographs":
        photographs = Photographs(config, held_out=part == "held out")
        return lambda rng, size, count: [photographs.sample(rng, size) for _ in range(count)]
    make_clip = clip_maker(config, kind, part)
    return lambda rng, size, count: draw_samples(make_clip, rng, config, size, count)


def clip_maker(config: ClickTraining, kind: DataName, part: Part) -> ClipMaker:
    """Makes clips of two frames from a generator alone. ValueError where there are no pictures."""
    if kind == "composed":
        return composed_from(Pack(Path(config.pack), part))
    clips = open_data(config, kind, part)

    def recorded(rng: np.random.Generator, size: int) -> Clip:
        shape = TrackerStage(steps=1, size=size, frames=2, batch=1, learning_rate=0.0)
        return clips.clip(int(rng.integers(len(clips))), rng, shape)

    return recorded


def composed_from(pack: Pack) -> ClipMaker:
    """Makes composed clips of one to three objects."""

    def composed(rng: np.random.Generator, size: int) -> Clip:
        objects = 1 + int(rng.choice(3, p=_OBJECT_WEIGHTS))
        settings = ClipSettings(size=size, frames=2, slowest=0.05, fastest=1.5)
        return compose_clip(pack, rng, settings, objects)

    return composed
