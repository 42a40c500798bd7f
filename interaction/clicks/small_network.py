"""The bundled click network: small, and refining the mask that is there.

What depends on the picture alone, the pretrained trunk, comes first and is kept for all clicks of
a frame and crop. Clicks and the previous mask join after it, so another click costs a few
milliseconds. Two insertion points for f-BRS: B after the decoder's stride 8, C before the head.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from interaction.clicks.fbrs import ClickNetwork, Features, InsertionPoint
from interaction.clicks.prompts import Box
from interaction.errors import ModelError
from xmem_core.messages import Message
from xmem_core.network.backbones import LiteTrunk
from xmem_core.network.blocks import conv3x3
from xmem_core.network.inference import fold_batch_norms
from xmem_core.pictures import normalise
from xmem_core.weights import CheckpointFileError, check_entries, read_own_tensors

FORMAT: Final = "xmem-annotate click network 2"

# A click's map falls to a half at this many pixels from it, with a long tail.
_HALF_PX = 6.0
_WIDTH32, _WIDTH16, _WIDTH8, _WIDTH4 = 128, 96, 64, 32
_PROMPT16, _PROMPT8, _PROMPT4 = 64, 48, 32
_PROMPTS = 4  # maps: positive clicks, negative clicks, the inside of a box, the previous mask
_HINTS = 8  # see `_resemblance` and `_closest`
# A click's own stride-16 element: its map is above this there and in few others.
_CLICKED = 0.85


class DilatedBlock(nn.Module):
    """Two 3x3 convolutions around a skip connection, the first one dilated."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.conv2 = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, h, w) -> the same
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class PromptEncoder(nn.Module):
    """Maps of the prompts -> features at strides 4, 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        # 4x4 pixels become channels: nothing of a click's place or a mask's edge is averaged away.
        self.to4 = nn.Conv2d(_PROMPTS * 16, _PROMPT4, 1)
        self.mix4 = conv3x3(_PROMPT4, _PROMPT4)
        self.to8 = nn.Conv2d(_PROMPT4, _PROMPT8, 3, stride=2, padding=1)
        self.to16 = nn.Conv2d(_PROMPT8, _PROMPT16, 3, stride=2, padding=1)

    def forward(self, prompt: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (B, 4, H, W)
        # `to4` after `F.pixel_unshuffle(prompt, 4)`, in one pass over the maps.
        to4 = self.to4.weight.reshape(-1, _PROMPTS, 4, 4)
        at4 = F.relu(self.mix4(F.relu(F.conv2d(prompt, to4, self.to4.bias, stride=4))))
        at8 = F.relu(self.to8(at4))
        return at4, at8, F.relu(self.to16(at8))


class SmallClickNetwork(ClickNetwork):
    """EfficientNet-Lite0 trunk to stride 32, late prompts, a light decoder."""

    takes_previous_mask = True
    takes_boxes = True
    insertion_channels = {  # noqa: RUF012  # a constant of the class, as the base declares it
        InsertionPoint.AFTER_CONTEXT: _WIDTH8,
        InsertionPoint.BEFORE_HEAD: _WIDTH4,
    }
    size_multiple = 32

    def __init__(self) -> None:
        super().__init__()
        self.trunk = LiteTrunk(has_stride32=True)
        channels = self.trunk.channels
        self.prompt = PromptEncoder()
        self.from_picture16 = conv3x3(channels.stride16, _WIDTH16)
        self.from_prompt16 = conv3x3(_PROMPT16 + _HINTS, _WIDTH16)
        # All of the picture at a glance: what is clicked on is understood here.
        self.from_picture32 = nn.Conv2d(self.trunk.channels32, _WIDTH32, 1)
        self.to32 = nn.Conv2d(_WIDTH16, _WIDTH32, 3, stride=2, padding=1)
        self.context32 = nn.Sequential(*(DilatedBlock(_WIDTH32, rate) for rate in (1, 2, 4)))
        self.from32 = nn.Conv2d(_WIDTH32, _WIDTH16, 1)
        self.context = nn.Sequential(*(DilatedBlock(_WIDTH16, rate) for rate in (1, 2, 4, 8)))
        self.summary = nn.Linear(_WIDTH16, _WIDTH16)
        self.to8 = nn.Conv2d(_WIDTH16, _WIDTH8, 1)
        self.picture8 = conv3x3(channels.stride8, _WIDTH8)
        self.prompt8 = nn.Conv2d(_PROMPT8, _WIDTH8, 1)
        self.refine8 = nn.Sequential(DilatedBlock(_WIDTH8, 1), DilatedBlock(_WIDTH8, 2))
        self.to4 = nn.Conv2d(_WIDTH8, _WIDTH4, 1)
        self.picture4 = conv3x3(channels.stride4, _WIDTH4)
        self.prompt4 = nn.Conv2d(_PROMPT4, _WIDTH4, 1)
        self.refine4 = nn.Sequential(DilatedBlock(_WIDTH4, 1), DilatedBlock(_WIDTH4, 2))
        self.head = nn.Conv2d(_WIDTH4, 1, 1)

    def train(self, mode: bool = True) -> "SmallClickNetwork":
        """As usual, but the trunk's batch norms keep their stored statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def click_maps(self, clicks: Tensor, height: int, width: int) -> Tensor:
        rows = torch.arange(height, device=clicks.device).view(1, 1, -1, 1)
        columns = torch.arange(width, device=clicks.device).view(1, 1, 1, -1)
        maps = clicks.new_zeros(clicks.shape[0], 3, height, width)
        if clicks.shape[1] == 0:
            return maps
        row, column, sign = (part[:, :, None, None] for part in clicks.unbind(dim=2))
        distance = ((rows - row).square() + (columns - column).square()).sqrt()  # (B, N, H, W)
        closeness = 1 / (1 + distance / _HALF_PX)
        for channel, wanted in enumerate((1.0, 0.0)):
            maps[:, channel] = torch.where(sign == wanted, closeness, 0.0).amax(dim=1)
        return maps

    def picture_features(self, pictures: Tensor) -> Features:
        features = self.trunk(normalise(pictures * 255))
        stride16, stride32 = features.stride16, features.stride32
        assert stride32 is not None  # as the trunk was made
        return (
            F.normalize(stride16, dim=1),
            F.normalize(stride32, dim=1),
            self.from_picture32(stride32),
            self.from_picture16(stride16),
            self.picture8(features.stride8),
            self.picture4(features.stride4),
        )

    def features(
        self, picture: Features, click_maps: Tensor, previous: Tensor, point: InsertionPoint
    ) -> Features:
        look16, look32, picture32, picture16, picture8, picture4 = picture
        at4, at8, at16 = self.prompt(torch.cat([click_maps, previous], dim=1))
        clicks = click_maps[:, :2]
        hints = torch.cat(
            [
                at16,
                _resemblance(look16, clicks, previous),
                _closest(look16, clicks),
                _doubled(_resemblance(look32, clicks, previous)),
            ],
            dim=1,
        )
        joined = picture16 + self.from_prompt16(hints)
        glance = self.context32(picture32 + self.to32(F.relu(joined)))
        joined = self.context(joined + _doubled(self.from32(F.relu(glance))))
        whole = self.summary(joined.mean(dim=(2, 3)))[:, :, None, None]
        joined8 = _doubled(self.to8(F.relu(joined + whole)))
        joined8 = self.refine8(joined8 + picture8 + self.prompt8(at8))
        beside4 = picture4 + self.prompt4(at4)
        if point is InsertionPoint.AFTER_CONTEXT:
            return joined8, beside4
        if point is InsertionPoint.BEFORE_HEAD:
            return (self._at4(joined8, beside4),)
        raise ValueError(f"this network has no insertion point {point}")

    def logits(self, features: Features, point: InsertionPoint, height: int, width: int) -> Tensor:
        at4 = features[0] if point is InsertionPoint.BEFORE_HEAD else self._at4(*features)
        return F.interpolate(
            self.head(F.relu(at4)), size=(height, width), mode="bilinear", align_corners=False
        )

    def forward(self, pictures: Tensor, click_maps: Tensor, previous: Tensor) -> Tensor:
        """All of it at once: (B, 1, H, W) logits."""
        point = InsertionPoint.BEFORE_HEAD
        features = self.features(self.picture_features(pictures), click_maps, previous, point)
        return self.logits(features, point, *pictures.shape[2:])

    def _at4(self, joined8: Tensor, beside4: Tensor) -> Tensor:
        return self.refine4(_doubled(self.to4(F.relu(joined8))) + beside4)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _resemblance(look: Tensor, click_maps: Tensor, previous: Tensor) -> Tensor:
    """How much each place looks like the positive clicks, the negative clicks and the previous
    mask: cosines (B, 3, h, w) with the mean of `look` (B, C, h, w) there; 0 without any."""
    height, width = look.shape[2:]
    # Sharpened, so that the mean is of what lies under the clicks and not of everything.
    weights = torch.cat([click_maps.square().square(), previous], dim=1)
    weights = F.adaptive_avg_pool2d(weights, (height, width)).flatten(2)  # (B, 3, h*w)
    total = weights.sum(dim=2, keepdim=True)
    mean = torch.bmm(weights / (total + 1e-4), look.flatten(2).transpose(1, 2))  # (B, 3, C)
    cosine = torch.bmm(F.normalize(mean, dim=2, eps=1e-4), look.flatten(2))
    return (cosine * (total > 1e-4)).unflatten(2, (height, width))


def _closest(look: Tensor, clicks: Tensor) -> Tensor:
    """How much each place looks like the most alike of the positive clicks, and of the negative
    ones: cosines (B, 2, h, w), 0 without any. Clicks on unlike parts are so each remembered.

    look (B, C, h, w) of unit length, clicks (B, 2, H, W) maps.
    """
    height, width = look.shape[2:]
    clicked = F.adaptive_max_pool2d(clicks, (height, width)).flatten(2) > _CLICKED  # (B, 2, h*w)
    flat = look.flatten(2)
    found = flat.new_zeros(len(flat), 2, height * width)
    for sign in range(2):
        places = clicked[:, sign].any(dim=0).nonzero()[:, 0]  # few: not all pairs are compared
        if len(places):
            alike = torch.bmm(flat[:, :, places].transpose(1, 2), flat)  # (B, few, h*w)
            alike = alike.masked_fill(~clicked[:, sign, places, None], -1.0)
            found[:, sign] = alike.amax(dim=1) * clicked[:, sign].any(dim=1, keepdim=True)
    return found.unflatten(2, (height, width))


def box_map(box: Box | None, height: int, width: int) -> Tensor:
    """(1, 1, H, W): 1 inside the box; zeros for None."""
    inside = torch.zeros(1, 1, height, width)
    if box is not None:
        rows, columns = box.pixels
        inside[:, :, rows, columns] = 1
    return inside


def load_small_click_network(path: Path) -> SmallClickNetwork:
    """The network in `path`, on the CPU and ready for use; ModelError for anything else."""
    network = read_click_network(path).eval().requires_grad_(False)
    fold_batch_norms(network)
    return network.to(memory_format=torch.channels_last)


def read_click_network(path: Path) -> SmallClickNetwork:
    """The network in `path`, on the CPU and as it was trained; ModelError for anything else."""
    network = SmallClickNetwork()
    try:
        header, state = read_own_tensors(path)
        if header.get("format") != FORMAT:
            raise CheckpointFileError(Message("it is a safetensors file of something else"))
        check_entries(network.state_dict(), state)
    except CheckpointFileError as error:
        raise ModelError(
            "The click model “{name}” cannot be used: {reason}.\n\n"
            "Install the program again, or choose another click model.",
            name=path.name,
            reason=error,
        ) from None
    network.load_state_dict(state)
    return network


def click_network_bytes(network: SmallClickNetwork, metadata: Mapping[str, str]) -> bytes:
    """A file of weights in half precision, with `metadata` in the header. network: not folded."""
    state = {
        name: tensor.detach().cpu().half().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    return save(state, click_network_header(metadata))


def click_network_header(metadata: Mapping[str, str]) -> dict[str, str]:
    """What a file of ours says of itself, beside `metadata`."""
    return {**metadata, "format": FORMAT, "parts": json.dumps([_WIDTH16, _WIDTH8, _WIDTH4])}
