"""The tracker learns what the objects of one video look like."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Final

import numpy as np
import torch

from interaction.learning.descent import Descent
from interaction.learning.examples import Example, clip_of
from xmem_core.learning.folding import fold_norms, unfolded
from xmem_core.learning.lean import freeze_costly
from xmem_core.learning.unroll import ClipLoss
from xmem_core.network.xmem import XMem
from xmem_core.pictures import PictureSize

__all__ = ["learn_tracker"]

_SIZE_PX: Final = 352
_FRAMES: Final = 3
_RATE: Final = 5e-4  # at twice that, going on from what was learned does harm
_WORST_SHARE: Final = 0.35  # of the pixels count


def learn_tracker(
    network: XMem,
    examples: Sequence[Example],
    *,
    steps: int,
    seed: int,
    internal_size: int | None,
    device: torch.device,
) -> Generator[None, None, XMem]:
    """Yields after each of `steps` steps; returns another network, on the CPU.

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
    loss_of, descent = ClipLoss(network), Descent(network, steps, _RATE)
    for _ in range(steps):
        pictures, labels, objects = clip_of(
            examples, rng, size=_SIZE_PX, frames=_FRAMES, scale=scale
        )
        frames = torch.from_numpy(pictures).movedim(3, 1)[None].to(device)
        truth = torch.from_numpy(labels)[None].to(device)
        memorized = range(1, _FRAMES)
        descent.step(partial(loss_of, frames, truth, objects, memorized, _WORST_SHARE))
        yield
    return unfolded(network, descent.average.state).cpu()
