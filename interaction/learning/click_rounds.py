"""Rounds of clicks on one picture: what is learned from, and what is measured.

The trunk sees a picture once; each round's answer, as the network gives it, decides where the next
click goes.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interaction.annotation.types import Click
from interaction.clicks.prompts import next_click
from interaction.clicks.small_network import SmallClickNetwork, box_map
from interaction.learning.samples import ClickHabits, Sample, annotator_click
from xmem_core.learning.losses import dice, normalised_focal_loss

_OBEDIENCE = 0.1  # weight of the loss at the clicked pixels themselves
_EVALUATION_CLICKS = 5


class ClickRounds(nn.Module):
    """The loss of some rounds of clicks, as a module, so that DistributedDataParallel can wrap
    it; the trunk runs once for all of them."""

    def __init__(self, network: SmallClickNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, samples: list[Sample], habits: ClickHabits, rng: np.random.Generator
    ) -> Tensor:  # a scalar
        network = self.network
        device = next(network.parameters()).device
        pictures = torch.from_numpy(np.stack([s.picture for s in samples])).to(device)
        pictures = pictures.movedim(3, 1).float() / 255
        truth = torch.from_numpy(np.stack([s.truth for s in samples])).to(device).float()
        truth = truth.unsqueeze(1)
        previous = torch.from_numpy(np.stack([s.given for s in samples])).to(device)
        previous = previous.unsqueeze(1).float()
        clicks = [list(sample.clicks) for sample in samples]
        boxes = torch.cat([box_map(sample.box, *sample.truth.shape) for sample in samples])
        boxes = boxes.to(device)
        picture = network.picture_features(pictures)
        learned = habits.learned_rounds(rng)
        losses = []
        for turn in range(max(learned) + 1):
            with torch.set_grad_enabled(turn in learned):
                box = boxes if turn == 0 else None
                logits = _answer(network, picture, clicks, previous, box).float()
            if turn in learned:
                losses.append(_loss(logits, truth, clicks))
            previous = logits.detach().sigmoid()
            if turn < max(learned):
                masks = previous[:, 0].cpu().numpy() > 0.5
                for own, sample, mask in zip(clicks, samples, masks, strict=True):
                    click = annotator_click(mask, sample.truth, tuple(own), rng, habits)
                    if click is not None:
                        own.append(click)
        return torch.stack(losses).mean()


def _loss(logits: Tensor, truth: Tensor, clicks: list[list[Click]]) -> Tensor:
    """Normalised focal loss and dice, and that every click is obeyed."""
    foreground = logits.sigmoid()
    both = torch.cat([1 - foreground, foreground], dim=1)
    loss = normalised_focal_loss(logits, truth) + dice(both, truth[:, 0].long())
    columns = []
    for index, own in enumerate(clicks):
        for click in own:
            sign = 1.0 if click.is_positive else -1.0
            columns.append(-sign * logits[index, 0, int(click.y), int(click.x)])
    if not columns:
        return loss
    return loss + _OBEDIENCE * F.softplus(torch.stack(columns)).mean()


def _answer(
    network: SmallClickNetwork,
    picture: tuple[Tensor, ...],
    clicks: list[list[Click]],
    previous: Tensor,
    boxes: Tensor | None = None,
) -> Tensor:
    height, width = previous.shape[2:]
    maps = network.click_maps(_as_rows(clicks).to(previous.device), height, width)
    if boxes is not None:
        maps[:, 2:] = boxes
    point = next(reversed(network.insertion_channels))
    return network.logits(network.features(picture, maps, previous, point), point, height, width)


def _as_rows(clicks: list[list[Click]]) -> Tensor:
    """(B, N, 3) row, column, sign; -1 where a picture has fewer than the most."""
    most = max(len(own) for own in clicks)
    rows = torch.full((len(clicks), most, 3), -1.0)
    for index, own in enumerate(clicks):
        for at, click in enumerate(own):
            rows[index, at] = torch.tensor([click.y, click.x, float(click.is_positive)])
    return rows


@torch.inference_mode()
def clicked_scores(network: SmallClickNetwork, sample: Sample) -> list[float]:
    """IoU after each of five clicks on a new object."""
    device = next(network.parameters()).device
    picture = torch.from_numpy(sample.picture).to(device).movedim(2, 0)[None].float() / 255
    features = network.picture_features(picture)
    previous = torch.zeros(1, 1, *sample.truth.shape, device=device)
    mask = np.zeros_like(sample.truth)
    clicks: list[Click] = []
    scores = []
    for _ in range(_EVALUATION_CLICKS):
        click = next_click(mask, sample.truth, clicks)
        if click is not None:
            clicks.append(click)
            previous = _answer(network, features, [clicks], previous).sigmoid()
            mask = previous[0, 0].cpu().numpy() > 0.5
        union = int((mask | sample.truth).sum())
        scores.append(float((mask & sample.truth).sum() / max(union, 1)))
    return scores
