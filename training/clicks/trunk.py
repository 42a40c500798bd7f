"""Where the click network's trunk starts from: ImageNet weights, outputs of unit variance."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import torch
from torch import Tensor, nn

from interaction.fbrs.small_network import ClickTrunk
from training.trunk_weights import load_trunk, measure_normalisation


def start_click_trunk(trunk: ClickTrunk, state: Mapping[str, Tensor], pictures: Tensor) -> None:
    """Copies ImageNet weights into `trunk`, the deepest stage too, and measures its features on
    `pictures` (B, 3, H, W), normalised as the network normalises them. ValueError where they
    do not fit."""
    load_trunk(trunk, state)
    shallower = (trunk.stem, trunk.stage4, trunk.stage8, trunk.stage16)
    used = sum(len(stage.state_dict()) for stage in shallower)
    source = islice(state.items(), used, None)
    with torch.no_grad():
        for (name, target), (origin, tensor) in zip(
            trunk.stage32.state_dict().items(), source, strict=False
        ):
            if target.shape != tensor.shape:
                raise ValueError(f"trunk entry {name} does not fit {origin}")
            target.copy_(tensor)
        measure_normalisation(trunk, pictures)
        norm = trunk.norm32
        norm.reset_running_stats()
        norm.momentum = None  # a plain average
        norm.train()
        trunk.pyramid(pictures)
        norm.eval()


def learn_trunk(trunk: ClickTrunk, is_learned: bool) -> None:
    """Lets `trunk` learn, or not. Its depthwise kernels never do: on a processor their gradients
    would take most of a step."""
    trunk.requires_grad_(is_learned)
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            module.requires_grad_(False)
