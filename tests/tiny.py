"""A tiny made-up network and a made-up clip, for tests of everything round the network.

The network segments nothing sensible, but its masks differ from frame to frame and depend on
every memory, so a test that compares them notices what is lost or mixed up.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from interaction.annotation.mask_files import encode_labels
from xmem_core.network.backbones import TrunkChannels, TrunkFeatures
from xmem_core.network.config import NetworkConfig
from xmem_core.network.xmem import XMem
from xmem_core.pictures import normalise, one_hot

HEIGHT, WIDTH = 48, 60  # the width is no multiple of 16
TINY = NetworkConfig(
    trunk="efficientnet_lite0",
    key_channels=16,
    value_channels=24,
    hidden_channels=8,
    decoder16_channels=16,
    decoder8_channels=16,
    decoder4_channels=8,
    sensory_channels=8,
    mask_cells=2,
)


@cache
def frame(index: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """(height, width, 3), read-only: noise, a disc that goes right and a box that goes left."""
    picture = np.random.default_rng(5).integers(60, 120, (height, width, 3))
    disc, box = _shapes(index, height, width)
    picture[disc] += np.array([120, 0, 20])
    picture[box] += np.array([-40, 90, 110])
    result = picture.clip(0, 255).astype(np.uint8)
    result.flags.writeable = False
    return result


def labels(
    index: int, disc: int = 1, box: int = 2, height: int = HEIGHT, width: int = WIDTH
) -> NDArray[np.uint8]:
    """(height, width): the disc and the box of a frame under the ids that are asked for."""
    is_disc, is_box = _shapes(index, height, width)
    return np.where(is_disc, disc, np.where(is_box, box, 0)).astype(np.uint8)


def _shapes(index: int, height: int, width: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    y, x = np.mgrid[:height, :width]
    disc = (x - 0.3 * width - index) ** 2 + (y - 0.4 * height) ** 2 < (0.2 * height) ** 2
    box = (abs(x - 0.8 * width + index) < 0.12 * width) & (abs(y - 0.6 * height) < 0.2 * height)
    return disc, box & ~disc


class QuickTrunk(nn.Module):
    """As many channels as the bundled model's trunk from three convolutions instead of fifty."""

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        self.channels = TrunkChannels(112, 40, 24)
        self.stage4 = _strided(in_channels, 24, 7, 4)
        self.stage8 = _strided(24, 40, 3, 2)
        self.stage16 = _strided(40, 112, 3, 2)

    def forward(self, x: torch.Tensor) -> TrunkFeatures:  # (B, C_in, H, W)
        stride4 = self.stage4(x)
        stride8 = self.stage8(stride4.relu())
        return TrunkFeatures(self.stage16(stride8.relu()), stride8, stride4)


def _strided(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )


@contextmanager
def quick_files() -> Iterator[None]:
    """Meanwhile this process writes and reads networks with that trunk as if it were the small one.

    For tests of what is round a network that comes from a file; other processes cannot read it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xmem_core.network.xmem.LiteTrunk", QuickTrunk)
        yield


@torch.no_grad()
def network(config: NetworkConfig = TINY, seed: int = 0, *, is_quick: bool = False) -> XMem:
    """Random weights, with batch norms measured on the clip, so that no activation dies out.

    is_quick: with another trunk, which no file can hold but within `quick_files`: for tests of
        what is round the network.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = XMem(config)
        if is_quick:
            model.key_encoder.add_module("trunk", QuickTrunk(3))
            model.value_encoder.add_module("trunk", QuickTrunk(5))
        model.requires_grad_(False)
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if is_quick:  # masks count for more than pictures
            first = model.value_encoder.get_submodule("trunk.stage4.0")
            assert isinstance(first, nn.Conv2d)
            first.weight[:, 3:] *= 3
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # plain averages
        norm.train()
    pictures = torch.stack([torch.tensor(frame(i, 48, 64)).permute(2, 0, 1) for i in (0, 9)])
    masks = torch.stack([one_hot(labels(i, 1, 2, 48, 64), (1, 2)) for i in (0, 9)])
    pictures = normalise(pictures.float())
    features = model.encode_key(pictures)
    model.encode_value(pictures, features.feature16, None, masks)
    for norm in norms:
        norm.momentum = 0.1
    model.key_encoder.key.weight *= 0.5
    prediction = model.decoder.prediction
    prediction.weight *= 0.3
    assert prediction.bias is not None
    if is_quick:  # else what is seen counts for more than what is remembered
        model.decoder.upsample8.skip.weight *= 0.5
        model.decoder.upsample4.skip.weight *= 0.5
    else:
        prediction.bias += 2.0  # else nearly all is background
    return model.eval()


def write_clip(folder: Path, frames: int) -> None:
    """A folder of numbered pictures."""
    folder.mkdir(parents=True)
    for index in range(frames):
        (folder / f"{index:05d}.png").write_bytes(_png(index))


@cache
def _png(index: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(frame(index)).save(data, "png")
    return data.getvalue()


def write_mask(folder: Path, index: int, mask: NDArray[np.uint8]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{index:05d}.png").write_bytes(encode_labels(mask))
