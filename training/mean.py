"""The mean of several networks' weights: often better on real video than any of them (Wortsman et
al., "Robust fine-tuning of zero-shot models", CVPR 2022, https://arxiv.org/abs/2109.01903).

They must descend from one another; parts that only some have are the mean of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from interaction.files import write_bytes
from xmem_core.learning.folding import fold_norms, unfolded
from xmem_core.network.xmem import XMem
from xmem_core.weights import load_xmem, network_bytes, read_metadata


def write_mean(files: Sequence[Path], shares: Sequence[float], output: Path) -> None:
    """Writes sum of share * weights, shares scaled to 1 for each entry.

    The last file says what the network is and where it comes from; entries of the others that it
    has not are left out. ValueError if there is not one positive share for each file.
    """
    if len(files) != len(shares) or not files or min(shares) <= 0:
        raise ValueError(f"{len(files)} files need as many positive shares, got {list(shares)}")
    config = load_xmem(files[-1]).config
    states = [_folded(file) for file in files]
    mean: dict[str, Tensor] = {}
    for name, tensor in states[-1].items():
        having = [(s[name], share) for s, share in zip(states, shares, strict=True) if name in s]
        if tensor.is_floating_point():
            total = sum(share for _, share in having)
            stacked = torch.stack([other * (share / total) for other, share in having])
            tensor = stacked.sum(dim=0)
        mean[name] = tensor
    metadata = read_metadata(files[-1]) | {"mean_of_shares": " ".join(f"{s:g}" for s in shares)}
    write_bytes(output, network_bytes(unfolded(XMem(config), mean), metadata))


def _folded(file: Path) -> dict[str, Tensor]:
    """Weights with norms folded in, so that a run's export and its beginning can be mixed."""
    network = load_xmem(file)
    fold_norms(network)
    return network.state_dict()
