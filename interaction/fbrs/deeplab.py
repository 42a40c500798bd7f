"""The published click network of f-BRS: DeepLabv3+ on a picture with two maps of click distances.

It does not know the previous mask. Sofiiuk et al., CVPR 2020, https://arxiv.org/abs/2001.10331.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interaction.fbrs.network import ClickNetwork, InsertionPoint
from interaction.fbrs.resnet_dilated import (
    AtrousPyramid,
    Depth,
    DilatedResNet,
    conv_norm,
    separable,
)
from xmem_core.probabilities import normalise

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

    def picture_features(self, pictures: Tensor) -> tuple[Tensor, ...]:
        # Clicks are mixed in before everything else: nothing more can be known without them.
        return (normalise(pictures * 255),)

    def features(
        self,
        picture: tuple[Tensor, ...],
        click_maps: Tensor,
        previous: Tensor,
        point: InsertionPoint,
    ) -> tuple[Tensor, ...]:
        fine, coarse = self.trunk(self.mix(torch.cat([picture[0], click_maps], dim=1)))
        fine = self.skip(fine)
        if point is InsertionPoint.BEFORE_CONTEXT:
            return coarse, fine
        joined = self._joined(coarse, fine)
        return (joined if point is InsertionPoint.AFTER_CONTEXT else self.decoder(joined),)

    def logits(
        self, features: tuple[Tensor, ...], point: InsertionPoint, height: int, width: int
    ) -> Tensor:
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
