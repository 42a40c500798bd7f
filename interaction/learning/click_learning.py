"""The click network learns how the objects of one video are outlined."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from interaction.fbrs.small_network import SmallClickNetwork
from interaction.learning.click_rounds import ClickRounds
from interaction.learning.click_samples import ClickHabits
from interaction.learning.descent import Descent
from interaction.learning.examples import Example, sample_of
from xmem_core.learning.folding import fold_norms, unfolded_state

__all__ = ["averaged_click_network", "learn_clicks"]

_SIZE_PX: Final = 448  # near the size at which clicks are answered: fine outlines show only there
_RATE: Final = 1e-3
_HABITS: Final = ClickHabits(rounds=2, most_rounds=5, given_mask_share=0.6)


def learn_clicks(
    network: SmallClickNetwork,
    examples: Sequence[Example],
    *,
    steps: int,
    seed: int,
    device: torch.device,
) -> Generator[None, None, SmallClickNetwork]:
    """Yields after each of `steps` steps; returns another network, on the CPU.

    network: as `read_click_network` gives it; it is used up. The trunk stays as it is.
    """
    fold_norms(network)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train().requires_grad_(True)
    network.trunk.requires_grad_(False)
    rng = np.random.default_rng(seed)
    loss_of, descent = ClickRounds(network), Descent(network, steps, _RATE)
    for _ in range(steps):
        sample = sample_of(examples, rng, _HABITS, _SIZE_PX)
        descent.step(partial(loss_of, [sample], _HABITS, rng))
        yield
    return averaged_click_network(descent.average.state).cpu()


def averaged_click_network(state: Mapping[str, Tensor]) -> SmallClickNetwork:
    """The plain network with averaged weights, in evaluation mode."""
    plain = SmallClickNetwork()
    plain.load_state_dict(unfolded_state(plain, dict(state)))
    return plain.eval()
