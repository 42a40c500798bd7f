"""The bundled click network: small, and refining the mask that is there.

What depends on the picture alone, the pretrained trunk, comes first and is kept for all clicks of
a frame and crop. Clicks and the previous mask join after it, so another click costs a few
milliseconds. Two insertion points for f-BRS: B after the decoder's stride 8, C before the head.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from interaction.errors import ModelError
from interaction.fbrs.network import ClickNetwork, InsertionPoint
from xmem_core.network.backbones import InvertedBottleneck, LiteTrunk
from xmem_core.network.blocks import conv3x3
from xmem_core.network.inference import fold_batch_norms
from xmem_core.probabilities import normalise

FORMAT: Final = "xmem-annotate click network 3"

# A click's map falls to a half at this many pixels from it, with a long tail.
_HALF_PX = 6.0
_DISC_POWER = 6  # of the map: a disc of about two pixels, so that a click's very place stands out
_WIDTH16, _WIDTH8, _WIDTH4 = 128, 80, 40
_PROMPT16, _PROMPT8, _PROMPT4 = 64, 48, 40
_WIDTH2 = 16
_STEM = 32  # channels of the trunk's stride 2
_DEEP = 192  # channels of the trunk's stride 32
_MOST_CELLS = 16  # the places of at most so many clicks of a sign are compared with the picture
_COLOUR_SIGMA = 0.08  # of colours in 0..1: nearer than that is the same colour


class ClickTrunk(LiteTrunk):
    """EfficientNet-Lite0 one stage deeper: stride 32 tells things apart, not only materials."""

    def __init__(self) -> None:
        super().__init__()
        self.stage32 = nn.Sequential(
            InvertedBottleneck(self.channels.stride16, _DEEP, 5, 2, 6),
            *(InvertedBottleneck(_DEEP, _DEEP, 5, 1, 6) for _ in range(3)),
        )
        self.norm32 = nn.BatchNorm2d(_DEEP, affine=False)

    def pyramid(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """(B, 3, H, W) -> features at strides 32, 16, 8, 4, of about unit variance, and at 2."""
        stride2 = self.stem(x)
        stride4 = self.stage4(stride2)
        stride8 = self.stage8(stride4)
        stride16 = self.stage16(stride8)
        stride32 = self.stage32(stride16)
        return (
            self.norm32(stride32),
            self.norm16(stride16),
            self.norm8(stride8),
            self.norm4(stride4),
            stride2,
        )


class DilatedBlock(nn.Module):
    """Two 3x3 convolutions around a skip connection, the first one dilated."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.conv2 = conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, h, w) -> the same
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class PromptEncoder(nn.Module):
    """Click maps and the previous mask -> features at strides 4, 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        # 4x4 pixels become channels: nothing of a click's place or a mask's edge is averaged away.
        self.to4 = nn.Conv2d(5 * 16, _PROMPT4, 1)
        self.mix4 = conv3x3(_PROMPT4, _PROMPT4)
        self.to8 = nn.Conv2d(_PROMPT4, _PROMPT8, 3, stride=2, padding=1)
        self.to16 = nn.Conv2d(_PROMPT8, _PROMPT16, 3, stride=2, padding=1)

    def forward(self, prompt: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (B, 5, H, W)
        at4 = F.relu(self.mix4(F.relu(self.to4(F.pixel_unshuffle(prompt, 4)))))
        at8 = F.relu(self.to8(at4))
        return at4, at8, F.relu(self.to16(at8))


class SmallClickNetwork(ClickNetwork):
    """EfficientNet-Lite0 trunk, late prompts, a light decoder: about four million parameters."""

    takes_previous_mask = True
    insertion_channels = {  # noqa: RUF012  # a constant of the class, as the base declares it
        InsertionPoint.AFTER_CONTEXT: _WIDTH8,
        InsertionPoint.BEFORE_HEAD: _WIDTH4,
    }
    size_multiple = 32

    def __init__(self) -> None:
        super().__init__()
        self.trunk = ClickTrunk()
        channels = self.trunk.channels
        self.prompt = PromptEncoder()
        self.from_picture32 = nn.Conv2d(_DEEP, _WIDTH16, 1)
        self.from_picture16 = conv3x3(channels.stride16, _WIDTH16)
        self.from_prompt16 = conv3x3(_PROMPT16 + 11, _WIDTH16)
        self.context = nn.Sequential(*(DilatedBlock(_WIDTH16, rate) for rate in (1, 2, 4, 8)))
        self.summary = nn.Linear(_WIDTH16, _WIDTH16)
        self.to8 = nn.Conv2d(_WIDTH16, _WIDTH8, 1)
        self.picture8 = conv3x3(channels.stride8, _WIDTH8)
        self.prompt8 = nn.Conv2d(_PROMPT8 + 6, _WIDTH8, 1)
        self.refine8 = DilatedBlock(_WIDTH8, 1)
        self.to4 = nn.Conv2d(_WIDTH8, _WIDTH4, 1)
        self.picture4 = conv3x3(channels.stride4, _WIDTH4)
        self.prompt4 = nn.Conv2d(_PROMPT4 + 4, _WIDTH4, 1)
        self.refine4 = DilatedBlock(_WIDTH4, 1)
        self.head = nn.Conv2d(_WIDTH4, 4, 1)  # 2x2 pixels of stride 2
        self.to2 = nn.Conv2d(_WIDTH4, _WIDTH2, 1)
        self.picture2 = nn.Conv2d(_STEM, _WIDTH2, 1)
        self.prompt2 = nn.Conv2d(5 * 4, _WIDTH2, 1)
        self.refine2 = conv3x3(_WIDTH2, _WIDTH2)
        self.edge = nn.Conv2d(_WIDTH2, 1, 1)  # what is to be added at stride 2

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
        maps = clicks.new_zeros(clicks.shape[0], 2, height, width)
        if clicks.shape[1] == 0:
            return maps
        row, column, sign = (part[:, :, None, None] for part in clicks.unbind(dim=2))
        for channel, wanted in enumerate((1.0, 0.0)):
            elsewhere = torch.where(sign == wanted, 0.0, torch.inf)  # (B, N, 1, 1)
            square = (rows - row).square() + elsewhere + (columns - column).square()
            distance = square.amin(dim=1).sqrt()  # (B, H, W) to the nearest click of this sign
            maps[:, channel] = 1 / (1 + distance / _HALF_PX)
        return maps

    def picture_features(self, pictures: Tensor) -> tuple[Tensor, ...]:
        stride32, stride16, stride8, stride4, stride2 = self.trunk.pyramid(
            normalise(pictures * 255)
        )
        deep = self.from_picture16(stride16) + _doubled(self.from_picture32(stride32))
        return (
            F.normalize(_doubled(stride32), dim=1),
            F.normalize(stride16, dim=1),
            F.normalize(stride8, dim=1),
            F.normalize(stride4, dim=1),
            F.avg_pool2d(pictures, 4),
            deep,
            self.picture8(stride8),
            self.picture4(stride4),
            self.picture2(stride2),
        )

    def features(
        self,
        picture: tuple[Tensor, ...],
        click_maps: Tensor,
        previous: Tensor,
        point: InsertionPoint,
    ) -> tuple[Tensor, ...]:
        look32, look16, look8, look4, colour4, picture16, picture8, picture4, picture2 = picture
        prompt = torch.cat([click_maps, click_maps.pow(_DISC_POWER), previous], dim=1)
        at4, at8, at16 = self.prompt(prompt)
        clicked4 = F.max_pool2d(click_maps, 4).pow(_DISC_POWER)
        clicked8 = F.max_pool2d(clicked4, 2)
        clicked16 = F.max_pool2d(clicked8, 2)
        like16 = torch.cat([_resemblance(look, clicked16) for look in (look32, look16)], dim=1)
        like8 = _resemblance(look8, clicked8)
        like4 = torch.cat(
            [_resemblance(look4, clicked4), _resemblance(colour4, clicked4, _same_colour)],
            dim=1,
        )
        like84 = torch.cat([like8, F.avg_pool2d(like4, 2)], dim=1)
        hints = [at16, like16, F.avg_pool2d(like84, 2), _resemblance_to_mask(look16, previous)]
        joined = self.context(picture16 + self.from_prompt16(torch.cat(hints, dim=1)))
        whole = self.summary(joined.mean(dim=(2, 3)))[:, :, None, None]
        joined8 = _doubled(self.to8(F.relu(joined + whole)))
        joined8 = joined8 + picture8 + self.prompt8(torch.cat([at8, like84], dim=1))
        joined8 = self.refine8(joined8)
        beside4 = picture4 + self.prompt4(torch.cat([at4, like4], dim=1))
        beside2 = picture2 + self.prompt2(F.pixel_unshuffle(prompt, 2))
        if point is InsertionPoint.AFTER_CONTEXT:
            return joined8, beside4, beside2
        if point is InsertionPoint.BEFORE_HEAD:
            return self._at4(joined8, beside4), beside2
        raise ValueError(f"this network has no insertion point {point}")

    def logits(
        self, features: tuple[Tensor, ...], point: InsertionPoint, height: int, width: int
    ) -> Tensor:
        *deeper, beside2 = features
        at4 = F.relu(deeper[0] if point is InsertionPoint.BEFORE_HEAD else self._at4(*deeper))
        at2 = F.relu(_doubled(self.to2(at4)) + beside2)
        at2 = F.pixel_shuffle(self.head(at4), 2) + self.edge(F.relu(self.refine2(at2)))
        return F.interpolate(at2, size=(height, width), mode="bilinear", align_corners=False)

    def forward(self, pictures: Tensor, click_maps: Tensor, previous: Tensor) -> Tensor:
        """All of it at once: (B, 1, H, W) logits."""
        point = InsertionPoint.BEFORE_HEAD
        features = self.features(self.picture_features(pictures), click_maps, previous, point)
        return self.logits(features, point, *pictures.shape[2:])

    def _at4(self, joined8: Tensor, beside4: Tensor) -> Tensor:
        return self.refine4(_doubled(self.to4(F.relu(joined8))) + beside4)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _cosine(there: Tensor, weight: Tensor, everywhere: Tensor) -> Tensor:
    """(B, K, C) and (B, C, N), both of length 1, weight (B, K, 1) -> (B, K, N) in 0..weight."""
    return torch.bmm(there * weight, everywhere).clamp_min(0)


def _same_colour(there: Tensor, weight: Tensor, everywhere: Tensor) -> Tensor:
    """(B, K, 3) and (B, 3, N) colours -> (B, K, N): `weight` for the same colour, falling to 0."""
    apart = there.square().sum(2, keepdim=True) + everywhere.square().sum(1, keepdim=True)
    apart = apart - 2 * torch.bmm(there, everywhere)
    return weight * (apart.clamp_min(0) * (-0.5 / _COLOUR_SIGMA**2)).exp()


def _resemblance(
    look: Tensor,
    clicked: Tensor,
    alike: Callable[[Tensor, Tensor, Tensor], Tensor] = _cosine,
) -> Tensor:
    """How much each place of `look` (B, C, h, w) looks like the positive click and the negative
    click that it looks most like: (B, 2, h, w) in 0..1; 0 without any click.

    clicked: (B, 2, h, w), 1 where a click is, falling to 0 around it."""
    height, width = look.shape[2:]
    count = min(_MOST_CELLS, height * width)
    weight, cell = clicked.flatten(2).topk(count, dim=2)  # (B, 2, K)
    everywhere = look.flatten(2)
    index = cell.flatten(1).unsqueeze(1).expand(-1, look.shape[1], -1)
    there = everywhere.gather(2, index).transpose(1, 2)  # (B, 2K, C)
    likeness = alike(there, weight.flatten(1).unsqueeze(2), everywhere)
    return likeness.unflatten(1, (2, count)).amax(dim=2).unflatten(2, (height, width))


def _resemblance_to_mask(look: Tensor, previous: Tensor) -> Tensor:
    """How much each place of `look` (B, C, h, w) is like the mean of the previous mask: cosines
    (B, 1, h, w), 0 without a mask."""
    height, width = look.shape[2:]
    weights = F.adaptive_avg_pool2d(previous, (height, width)).flatten(2)  # (B, 1, h*w)
    total = weights.sum(dim=2, keepdim=True)
    mean = torch.bmm(weights / (total + 1e-4), look.flatten(2).transpose(1, 2))
    cosine = torch.bmm(F.normalize(mean, dim=2, eps=1e-4), look.flatten(2))
    return (cosine * (total > 1e-4)).unflatten(2, (height, width))


def load_small_click_network(path: Path) -> SmallClickNetwork:
    """The network in `path`, on the CPU and ready for use; ModelError for anything else."""
    remedy = "Install the program again, or choose another click model."
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"The click model “{path.name}” is damaged or cut short ({error}).", remedy
        ) from None
    if metadata.get("format") != FORMAT:
        raise ModelError(f"“{path.name}” is not a click model of this program.", remedy)
    network = SmallClickNetwork()
    wanted = network.state_dict()
    for name, tensor in wanted.items():
        if name.endswith("num_batches_tracked"):
            state.setdefault(name, tensor)
    wrong = [n for n in wanted.keys() | state.keys() if not _fits(wanted.get(n), state.get(n))]
    if wrong:
        raise ModelError(
            f"The click model “{path.name}” does not fit this program: {len(wrong)} entries are "
            f"missing, foreign or wrong (for example {min(wrong)}).",
            remedy,
        )
    network.load_state_dict(state)
    network.eval().requires_grad_(False)
    fold_batch_norms(network)
    return network.to(memory_format=torch.channels_last)


def _fits(wanted: Tensor | None, found: Tensor | None) -> bool:
    if wanted is None or found is None:
        return False
    return wanted.shape == found.shape and bool(torch.isfinite(found).all())


def click_network_header(metadata: dict[str, str]) -> dict[str, str]:
    """What a file of ours says of itself, beside `metadata`."""
    return {**metadata, "format": FORMAT, "parts": json.dumps([_WIDTH16, _WIDTH8, _WIDTH4])}
