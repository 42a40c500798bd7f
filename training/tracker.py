"""The tracker's side of a run: its data, loss and measure."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from training.checkpoints import start_tracker
from training.config import TrackerTraining
from training.data import Batch, TrackerBatches, evaluation_batches, starting_frames
from training.trunk_weights import find_trunk_weights, start_from_pretrained, start_from_resnets
from xmem_core.learning.lean import freeze_costly, unfolded
from xmem_core.learning.losses import falling_share, mean_iou
from xmem_core.learning.unroll import ClipLoss, track_clip
from xmem_core.network.xmem import XMem


class TrackerTask:
    """Clips in which the first frame's masks are given."""

    scores = ("iou",)

    def __init__(self, config: TrackerTraining) -> None:
        self._config = config
        torch.manual_seed(config.seed)
        self.network = XMem(config.network)
        self._evaluation: list[Batch] | None = None

    def start(self) -> None:
        config = self._config
        if config.start_from:
            start_tracker(self.network, Path(config.start_from))
        elif config.network.trunk == "efficientnet_lite0":
            weights = Path(config.trunk_weights) if config.trunk_weights else find_trunk_weights()
            start_from_pretrained(self.network, weights, starting_frames(config))
        else:
            start_from_resnets(self.network, config.trunk_weights)

    def loss_module(self) -> ClipLoss:
        return ClipLoss(self.network)

    def rate_group(self, parameter: str) -> str:
        for encoder in ("key", "value"):
            if parameter.startswith(f"{encoder}_encoder.trunk."):
                return f"{encoder} trunk"
        return "rest"

    def enter(self, stage: int) -> dict[str, float]:
        settings = self._config.stages[stage]
        rates = {
            "key trunk": settings.key_trunk_rate,
            "value trunk": settings.value_trunk_rate,
        }
        self.network.key_encoder.trunk.requires_grad_(rates["key trunk"] > 0)
        self.network.value_encoder.trunk.requires_grad_(rates["value trunk"] > 0)
        if self._config.is_lean:
            freeze_costly(self.network)
        return rates

    def data(self, stage: int, batch: int, rank: int, ranks: int) -> Dataset[Batch]:
        return TrackerBatches(self._config, stage, batch, rank, ranks)

    def loss(self, module: nn.Module, batch: Batch, step: int, progress: float) -> Tensor:
        config, device = self._config, next(self.network.parameters()).device
        share = falling_share(
            progress, config.bootstrap_start, config.bootstrap_end, config.bootstrap_share
        )
        loss: Tensor = module(
            batch.frames.to(device, non_blocking=True),
            batch.labels.to(device, non_blocking=True).long(),
            batch.objects,
            batch.memorized,
            share,
            batch.references,
            batch.deep,
            None if batch.present is None else batch.present.to(device),
        )
        return loss

    def evaluate(self, average: Mapping[str, Tensor], rank: int, ranks: int) -> Tensor:
        """The mean IoU of tracked objects, over frames and clips."""
        if self._evaluation is None:
            self._evaluation = evaluation_batches(self._config, rank, ranks)
        device = next(self.network.parameters()).device
        network = unfolded(self.network, dict(average)).to(device)
        sums = torch.zeros(2, dtype=torch.float64, device=device)
        with torch.inference_mode():
            for batch in self._evaluation:
                frames, labels = batch.frames.to(device), batch.labels.to(device)
                tracked = track_clip(
                    network, frames, labels[:, 0].long(), batch.objects, batch.memorized
                )
                predicted = tracked.argmax(dim=2).flatten(0, 1)
                iou = mean_iou(predicted, labels[:, 1:].flatten(0, 1), batch.objects)
                sums += torch.stack([iou.double().mean(), sums.new_ones(())])
        return sums
