"""Batch norms folded into the convolutions before them, for the length of a training run.

Their statistics are frozen while training, so each is a scale and a shift that a convolution
with a bias can hold; without them a step on a CPU is a sixth faster. What is exported has
them again, as shifts, so that the network that loads it is the plain one.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from xmem_core.network.backbones import LiteTrunk
from xmem_core.network.xmem import XMem


def fold_norms(network: nn.Module) -> None:
    """Changes the small trunks in place; other trunks are left as they are."""
    for _, chain, position in list(_pairs(network)):
        convolution, norm = chain[position], chain[position + 1]
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        with torch.no_grad():
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            convolution.weight.mul_(scale[:, None, None, None])
            convolution.bias = nn.Parameter(norm.bias - norm.running_mean * scale)
        chain[position + 1] = nn.Identity()


def unfolded(network: XMem, state: dict[str, Tensor]) -> XMem:
    """A plain network with the weights in `state`, which came from `network`, folded or not."""
    plain = XMem(network.config)
    plain.load_state_dict(unfolded_state(plain, state))
    return plain.eval()


def unfolded_state(plain: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """`state`, folded or not, as a network that was never folded wants it."""
    wanted = plain.state_dict()
    restored = {name: tensor for name, tensor in state.items() if name in wanted}
    for name, chain, position in _pairs(plain):
        bias = f"{name}.{position}.bias"
        if bias not in state:
            continue
        norm = chain[position + 1]
        assert isinstance(norm, nn.BatchNorm2d)
        prefix = f"{name}.{position + 1}"
        restored[f"{prefix}.weight"] = torch.ones_like(state[bias])
        restored[f"{prefix}.bias"] = state[bias]
        restored[f"{prefix}.running_mean"] = torch.zeros_like(state[bias])
        # With its epsilon this variance is 1.
        restored[f"{prefix}.running_var"] = torch.full_like(state[bias], 1 - norm.eps)
        counter = f"{prefix}.num_batches_tracked"
        restored[counter] = wanted[counter]
    return restored


def _pairs(network: nn.Module) -> Iterator[tuple[str, nn.Sequential, int]]:
    """Chains of the small trunks, by name, with each position that a norm follows.

    Found in a plain network; in a folded one the norms are no longer there.
    """
    for trunk_name, trunk in network.named_modules():
        if not isinstance(trunk, LiteTrunk):
            continue
        for name, chain in trunk.named_modules(prefix=trunk_name):
            if not isinstance(chain, nn.Sequential):
                continue
            for position in range(len(chain) - 1):
                follows = isinstance(chain[position + 1], nn.BatchNorm2d)
                if follows and isinstance(chain[position], nn.Conv2d):
                    yield name, chain, position
