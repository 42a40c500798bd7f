"""The published click network of f-BRS: DeepLabv3+ on dilated ResNets."""

from collections.abc import Sequence
from typing import Final, Literal

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from interaction.clicks.fbrs import ClickNetwork, Features, InsertionPoint
from xmem_core.pictures import normalise

Depth = Literal[34, 50, 101]

_MAKERS: Final = {
    34: torchvision.models.resnet34,
    50: torchvision.models.resnet50,
    101: torchvision.models.resnet101,
}


class DilatedResNet(nn.Module):
    """torchvision's ResNet with chosen dilations of its last two stages, without a classifier.

    dilations: of stages 3 and 4; 1 leaves the stage's stride of 2, anything else replaces it, and
    the stage's first 3x3 convolution has half of it. has_deep_stem: three 3x3 convolutions in
    front instead of one of 7x7 ("v1s").
    """

    def __init__(
        self,
        depth: Depth,
        dilations: tuple[int, int],
        *,
        in_channels: int = 3,
        has_deep_stem: bool = False,
    ) -> None:
        super().__init__()
        resnet = _MAKERS[depth](weights=None)
        self.conv1: nn.Module
        if has_deep_stem:
            self.conv1 = _deep_stem(in_channels)
            self.bn1 = nn.BatchNorm2d(128)
            # The first stage's first block takes the wider stem.
            first = resnet.layer1[0]
            first.conv1 = nn.Conv2d(128, 64, 1, bias=False)
            first.downsample[0] = nn.Conv2d(128, 256, 1, bias=False)
        else:
            self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
            self.bn1 = resnet.bn1
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4
        for stage, dilation in zip((self.layer3, self.layer4), dilations, strict=True):
            if dilation != 1:
                _dilate(stage, dilation)
        self.fine_channels = 64 if depth == 34 else 256
        self.coarse_channels = 512 if depth == 34 else 2048

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C_in, H, W) -> features at stride 4, (B, fine_channels, H/4, W/4), and of the last
        stage."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), kernel_size=3, stride=2, padding=1)
        fine = self.layer1(x)
        return fine, self.layer4(self.layer3(self.layer2(fine)))


class AtrousPyramid(nn.Module):
    """Context at several distances at once: convolutions of several dilations beside the mean of
    the whole picture, brought together."""

    def __init__(self, in_channels: int, out_channels: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [conv_norm(in_channels, out_channels, 1)]
            + [conv_norm(in_channels, out_channels, 3, rate) for rate in rates]
        )
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_norm(in_channels, out_channels, 1))
        self.project = conv_norm((len(rates) + 2) * out_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, C_in, h, w) -> (B, C_out, h, w)
        whole = self.pool(x).expand(-1, -1, *x.shape[2:])
        result: Tensor = self.project(torch.cat([*(b(x) for b in self.branches), whole], dim=1))
        return result


def conv_norm(in_channels: int, out_channels: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """A convolution that keeps the size, batch norm, ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def separable(in_channels: int, out_channels: int) -> nn.Sequential:
    """A 3x3 convolution in each channel, a 1x1 across them, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def _deep_stem(in_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, 64, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 128, 3, padding=1, bias=False),
    )


def _dilate(stage: nn.Module, dilation: int) -> None:
    """Turns a stage's stride into dilation: it sees as far, at twice the resolution."""
    is_first = True
    for module in stage.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        module.stride = (1, 1)
        if module.kernel_size == (3, 3):
            own = dilation // 2 if is_first else dilation
            module.dilation = module.padding = (own, own)
            is_first = False


_NORM_RADIUS_PX: Final = 260.0  # a click's map is tanh(2 * distance / this)
_SKIP_CHANNELS: Final = 32
_RATES: Final = (12, 24, 36)


class DeepLabClickNetwork(ClickNetwork):
    """Output stride 8; takes pictures of any size.

    width: channels of context and decoder; the head has half as many.
    """

    takes_previous_mask = False
    size_multiple = 1

    def __init__(self, depth: Depth = 50, width: int = 128) -> None:
        super().__init__()
        # Three channels of picture and two of clicks become three that look like a picture.
        self.mix = nn.Sequential(
            nn.Conv2d(5, 8, 1), nn.LeakyReLU(0.2), nn.BatchNorm2d(8), nn.Conv2d(8, 3, 1)
        )
        self.trunk = DilatedResNet(depth, (2, 4), has_deep_stem=depth != 34)
        self.skip = conv_norm(self.trunk.fine_channels, _SKIP_CHANNELS, 1)
        self.context = AtrousPyramid(self.trunk.coarse_channels, width, _RATES)
        self.decoder = nn.Sequential(
            separable(width + _SKIP_CHANNELS, width),
            separable(width, width),
            nn.Conv2d(width, width, 1),
        )
        self.head = nn.Sequential(
            separable(width, width // 2),
            separable(width // 2, width // 2),
            nn.Conv2d(width // 2, 1, 1),
        )
        self.insertion_channels = {
            InsertionPoint.BEFORE_CONTEXT: self.trunk.coarse_channels,
            InsertionPoint.AFTER_CONTEXT: width + _SKIP_CHANNELS,
            InsertionPoint.BEFORE_HEAD: width,
        }

    def click_maps(self, clicks: Tensor, height: int, width: int) -> Tensor:
        rows = torch.arange(height, device=clicks.device).view(1, 1, -1, 1)
        columns = torch.arange(width, device=clicks.device).view(1, 1, 1, -1)
        maps = clicks.new_ones(clicks.shape[0], 2, height, width)
        for channel, wanted in enumerate((1.0, 0.0)):
            is_wanted = clicks[:, :, 2] == wanted
            if not is_wanted.any():
                continue
            # The published program measures from the middle of the pixel.
            places = torch.floor(clicks[:, :, :2] + 0.5)
            row, column = (part[:, :, None, None] for part in places.unbind(dim=2))
            squared = (rows - row).square() + (columns - column).square()  # (B, N, H, W)
            squared.masked_fill_(~is_wanted[:, :, None, None], float("inf"))
            maps[:, channel] = torch.tanh(squared.amin(dim=1).sqrt() * (2 / _NORM_RADIUS_PX))
        return maps

    def picture_features(self, pictures: Tensor) -> Features:
        # Clicks are mixed in before everything else: nothing more can be known without them.
        return (normalise(pictures * 255),)

    def features(
        self, picture: Features, click_maps: Tensor, previous: Tensor, point: InsertionPoint
    ) -> Features:
        fine, coarse = self.trunk(self.mix(torch.cat([picture[0], click_maps], dim=1)))
        fine = self.skip(fine)
        if point is InsertionPoint.BEFORE_CONTEXT:
            return coarse, fine
        joined = self._joined(coarse, fine)
        return (joined if point is InsertionPoint.AFTER_CONTEXT else self.decoder(joined),)

    def logits(self, features: Features, point: InsertionPoint, height: int, width: int) -> Tensor:
        x = features[0]
        if point is InsertionPoint.BEFORE_CONTEXT:
            x = self._joined(*features)
        if point is not InsertionPoint.BEFORE_HEAD:
            x = self.decoder(x)
        return F.interpolate(self.head(x), (height, width), mode="bilinear", align_corners=True)

    def _joined(self, coarse: Tensor, fine: Tensor) -> Tensor:
        context = F.interpolate(
            self.context(coarse), fine.shape[2:], mode="bilinear", align_corners=True
        )
        return torch.cat([context, fine], dim=1)
