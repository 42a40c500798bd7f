"""Weights averaged over the steps that were taken: steadier than those of the last one."""

from __future__ import annotations

import torch
from torch import nn


class MovingAverage:
    """Exponential moving average of a module's parameters; buffers are frozen and just copied."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self.state = {name: t.detach().clone() for name, t in module.state_dict().items()}

    def update(self, module: nn.Module, step: int) -> None:
        """Young averages follow quickly, so that they forget the random start."""
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                if tensor.is_floating_point():
                    self.state[name].lerp_(tensor, 1 - decay)
                else:
                    self.state[name].copy_(tensor)
