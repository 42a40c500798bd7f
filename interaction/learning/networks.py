"""Optimise the tracker and the click network on a project's given frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn, optim

from interaction.clicks.small_network import SmallClickNetwork
from interaction.learning.click_rounds import ClickRounds
from interaction.learning.examples import Example, clip_of, sample_of
from interaction.learning.samples import ClickHabits
from xmem_core.device import autocast, half_precision
from xmem_core.learning.average import MovingAverage
from xmem_core.learning.folding import fold_norms, unfolded, unfolded_state
from xmem_core.learning.lean import freeze_costly
from xmem_core.learning.unroll import ClipLoss
from xmem_core.network.xmem import XMem
from xmem_core.pictures import PictureSize

_WARM_UP_STEPS: Final = 10
_WEIGHT_DECAY: Final = 1e-4
_GRADIENT_LIMIT: Final = 1.0
_AVERAGE_DECAY: Final = 0.97  # of weights over some thirty steps


@dataclass(slots=True)
class Plan:
    """How many steps a network takes. May be shortened while it learns."""

    steps: int


class Descent:
    """Changes a network's parameters that want gradients; `average` is what is to be kept."""

    def __init__(self, network: nn.Module, plan: Plan, rate: float) -> None:
        self.average = MovingAverage(network, _AVERAGE_DECAY)
        self._network, self._plan, self._rate_at_most, self._done = network, plan, rate, 0
        self._parameters = [one for one in network.parameters() if one.requires_grad]
        self._optimizer = optim.AdamW(self._parameters, lr=rate, weight_decay=_WEIGHT_DECAY)
        self._device = self._parameters[0].device

    def step(self, loss_of: Callable[[], Tensor]) -> float:
        """One step; the loss before it. A step whose gradients are not finite changes nothing."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        with torch.inference_mode(False), torch.enable_grad():
            with self._autocast():
                loss = loss_of()
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self._parameters, _GRADIENT_LIMIT)
        if bool(torch.isfinite(norm)):
            self._optimizer.step()
        self.average.update(self._network, self._done)
        self._done += 1
        return float(loss.detach())

    def _rate(self) -> float:
        """A short warm-up, then a cosine down to nothing."""
        warm_up = min(1.0, (self._done + 1) / _WARM_UP_STEPS)
        falling = 0.5 * (1 + math.cos(math.pi * self._done / self._plan.steps))
        return self._rate_at_most * warm_up * falling

    @property
    def is_done(self) -> bool:
        return self._done >= self._plan.steps

    def _autocast(self) -> AbstractContextManager[object]:
        """In bfloat16 where that is fast. Never in float16: small gradients would be lost."""
        half = half_precision(self._device, tolerates_bfloat16=True)
        return autocast(self._device, None if half is None else torch.bfloat16)


_SIZE_PX: Final = 352
_FRAMES: Final = 3
_RATE: Final = 5e-4  # at twice that, going on from what was learned does harm
_WORST_SHARE: Final = 0.35  # of the pixels count


def learn_tracker(
    network: XMem,
    examples: Sequence[Example],
    *,
    plan: Plan,
    seed: int,
    internal_size: int | None,
    device: torch.device,
) -> Generator[None, None, XMem]:
    """Yields after each step of `plan`; returns another network, on the CPU.

    network: as `load_xmem` gives it; it is used up. internal_size: what it will track at. The
    trunks stay as they are: they know more pictures than these few.
    """
    fold_norms(network)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train().requires_grad_(True)
    network.key_encoder.trunk.requires_grad_(False)
    network.value_encoder.trunk.requires_grad_(False)
    freeze_costly(network)
    height, width = examples[0].labels.shape
    size = PictureSize.of(height, width, internal_size)
    scale = size.internal[0] / height
    rng = np.random.default_rng(seed)
    loss_of, descent = ClipLoss(network), Descent(network, plan, _RATE)
    while not descent.is_done:
        pictures, labels, objects = clip_of(
            examples, rng, size=_SIZE_PX, frames=_FRAMES, scale=scale
        )
        frames = torch.from_numpy(pictures).movedim(3, 1)[None].to(device)
        truth = torch.from_numpy(labels)[None].to(device)
        memorized = range(1, _FRAMES)
        descent.step(partial(loss_of, frames, truth, objects, memorized, _WORST_SHARE))
        yield
    return unfolded(network, descent.average.state).cpu()


# Near the size at which clicks are answered: fine outlines show only there.
_CLICK_SIZE_PX: Final = 448
_CLICK_RATE: Final = 1e-3
_HABITS: Final = ClickHabits(rounds=2, most_rounds=5, given_mask_share=0.6)


def learn_clicks(
    network: SmallClickNetwork,
    examples: Sequence[Example],
    *,
    plan: Plan,
    seed: int,
    device: torch.device,
) -> Generator[None, None, SmallClickNetwork]:
    """Yields after each step of `plan`; returns another network, on the CPU.

    network: as `read_click_network` gives it; it is used up. The trunk stays as it is.
    """
    fold_norms(network)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train().requires_grad_(True)
    network.trunk.requires_grad_(False)
    rng = np.random.default_rng(seed)
    loss_of, descent = ClickRounds(network), Descent(network, plan, _CLICK_RATE)
    while not descent.is_done:
        sample = sample_of(examples, rng, _HABITS, _CLICK_SIZE_PX)
        descent.step(partial(loss_of, [sample], _HABITS, rng))
        yield
    return averaged_click_network(descent.average.state).cpu()


def averaged_click_network(state: Mapping[str, Tensor]) -> SmallClickNetwork:
    """The plain network with averaged weights, in evaluation mode."""
    plain = SmallClickNetwork()
    plain.load_state_dict(unfolded_state(plain, dict(state)))
    return plain.eval()
