"""The trunks: ResNets for the published weights, EfficientNet-Lite0 for the bundled model.

Each turns a picture into features at strides 4, 8 and 16 and is never downloaded: weights come
from a checkpoint of ours or of the published system, or, for training, from `training`.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class TrunkFeatures(NamedTuple):
    """One picture's features, coarse to fine."""

    stride16: Tensor  # (B, C16, H/16, W/16)
    stride8: Tensor  # (B, C8, H/8, W/8)
    stride4: Tensor  # (B, C4, H/4, W/4)
    stride32: Tensor | None = None  # (B, C32, H/32, W/32), where the trunk goes as far


class TrunkChannels(NamedTuple):
    stride16: int
    stride8: int
    stride4: int


class ResNetTrunk(nn.Module):
    """torchvision's ResNet without its last stage and classifier (He et al., CVPR 2016)."""

    def __init__(self, depth: int, in_channels: int = 3) -> None:
        super().__init__()
        # Importing it takes as long as torch itself, and the bundled models do without.
        from torchvision.models import resnet18, resnet50

        resnet = {18: resnet18, 50: resnet50}[depth](weights=None)
        self.conv1 = resnet.conv1
        if in_channels != 3:
            self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = resnet.bn1
        self.layer1, self.layer2, self.layer3 = resnet.layer1, resnet.layer2, resnet.layer3
        width = 4 if depth == 50 else 1
        self.channels = TrunkChannels(256 * width, 128 * width, 64 * width)

    def forward(self, x: Tensor) -> TrunkFeatures:  # (B, C_in, H, W)
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), kernel_size=3, stride=2, padding=1)
        stride4 = self.layer1(x)
        stride8 = self.layer2(stride4)
        return TrunkFeatures(self.layer3(stride8), stride8, stride4)


class SamePadConv2d(nn.Conv2d):
    """A stride-2 convolution padded the way TensorFlow's "same" does: more at right and bottom.

    EfficientNet-Lite0's weights were trained so; symmetric padding shifts them by a pixel.
    Input height and width must be even.
    """

    def forward(self, x: Tensor) -> Tensor:
        total = self.kernel_size[0] - 2
        low, high = total // 2, total - total // 2
        return F.conv2d(
            F.pad(x, (low, high, low, high)), self.weight, self.bias, 2, groups=self.groups
        )


def _convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int, groups: int = 1
) -> nn.Conv2d:
    if stride == 2:
        return SamePadConv2d(in_channels, out_channels, kernel, stride=2, groups=groups, bias=False)
    return nn.Conv2d(
        in_channels, out_channels, kernel, padding=kernel // 2, groups=groups, bias=False
    )


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)  # TensorFlow's, as the weights were trained


class InvertedBottleneck(nn.Module):
    """Expand 1x1, depthwise, project 1x1; a skip where shape allows (MobileNetV2, CVPR 2018)."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [_convolution(in_channels, width, 1, 1), _batch_norm(width), nn.ReLU6()]
        layers += [_convolution(width, width, kernel, stride, width), _batch_norm(width)]
        layers += [nn.ReLU6(), _convolution(width, out_channels, 1, 1), _batch_norm(out_channels)]
        self.layers = nn.Sequential(*layers)
        self.has_skip = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.has_skip else self.layers(x)


class LiteTrunk(nn.Module):
    """EfficientNet-Lite0 up to stride 16 or 32, outputs brought to zero mean and unit variance.

    The pretrained features have standard deviations near 7; a similarity of raw features is a
    one-hot softmax from the first step, and training crawls. `norm4/8/16` hold statistics that
    are measured once (by `training`) and never learned.
    """

    def __init__(self, in_channels: int = 3, *, has_stride32: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(in_channels, 32, 3, 2), _batch_norm(32), nn.ReLU6())
        self.stage4 = nn.Sequential(
            InvertedBottleneck(32, 16, 3, 1, 1),
            InvertedBottleneck(16, 24, 3, 2, 6),
            InvertedBottleneck(24, 24, 3, 1, 6),
        )
        self.stage8 = nn.Sequential(
            InvertedBottleneck(24, 40, 5, 2, 6),
            InvertedBottleneck(40, 40, 5, 1, 6),
        )
        self.stage16 = nn.Sequential(
            InvertedBottleneck(40, 80, 3, 2, 6),
            InvertedBottleneck(80, 80, 3, 1, 6),
            InvertedBottleneck(80, 80, 3, 1, 6),
            InvertedBottleneck(80, 112, 5, 1, 6),
            InvertedBottleneck(112, 112, 5, 1, 6),
            InvertedBottleneck(112, 112, 5, 1, 6),
        )
        self.norm16 = nn.BatchNorm2d(112, affine=False)
        self.norm8 = nn.BatchNorm2d(40, affine=False)
        self.norm4 = nn.BatchNorm2d(24, affine=False)
        self.channels = TrunkChannels(112, 40, 24)
        self.channels32 = 0
        if has_stride32:
            self.stage32 = nn.Sequential(
                InvertedBottleneck(112, 192, 5, 2, 6),
                InvertedBottleneck(192, 192, 5, 1, 6),
                InvertedBottleneck(192, 192, 5, 1, 6),
                InvertedBottleneck(192, 192, 5, 1, 6),
                InvertedBottleneck(192, 320, 3, 1, 6),
            )
            self.norm32 = nn.BatchNorm2d(320, affine=False)
            self.channels32 = 320

    def forward(self, x: Tensor) -> TrunkFeatures:  # (B, C_in, H, W)
        stride4 = self.stage4(self.stem(x))
        stride8 = self.stage8(stride4)
        stride16 = self.stage16(stride8)
        stride32 = self.norm32(self.stage32(stride16)) if self.channels32 else None
        return TrunkFeatures(
            self.norm16(stride16), self.norm8(stride8), self.norm4(stride4), stride32
        )
