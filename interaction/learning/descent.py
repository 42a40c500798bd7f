"""Some steps downhill from weights that are good already: the same for every network."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

import torch
from torch import Tensor, nn, optim

from xmem_core.device import autocast, half_precision
from xmem_core.learning.average import MovingAverage

__all__ = ["Descent"]

_WARM_UP_STEPS: Final = 10
_WEIGHT_DECAY: Final = 1e-4
_GRADIENT_LIMIT: Final = 1.0
_AVERAGE_DECAY: Final = 0.97  # of weights over some thirty steps


class Descent:
    """Changes a network's parameters that want gradients; `average` is what is to be kept."""

    def __init__(self, network: nn.Module, steps: int, rate: float) -> None:
        self.average = MovingAverage(network, _AVERAGE_DECAY)
        self._network, self._steps, self._rate_at_most, self._done = network, steps, rate, 0
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
        return (
            self._rate_at_most * warm_up * 0.5 * (1 + math.cos(math.pi * self._done / self._steps))
        )

    def _autocast(self) -> AbstractContextManager[object]:
        """In bfloat16 where that is fast. Never in float16: small gradients would be lost."""
        half = half_precision(self._device, tolerates_bfloat16=True)
        return autocast(self._device, None if half is None else torch.bfloat16)
