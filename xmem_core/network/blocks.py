"""Building blocks: residual block, attention, fusion of a frame's features with an object's."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv3x3(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.Conv2d:
    """A 3x3 convolution that keeps height and width."""
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)


class ResidualBlock(nn.Module):
    """Two pre-activated 3x3 convolutions around a skip connection; keeps height and width."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        # The skip can only be an identity where the channel counts already agree.
        self.skip: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.skip = conv3x3(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:  # (B, C_in, H, W) -> (B, C_out, H, W)
        residual = self.conv2(F.relu(self.conv1(F.relu(x))))
        return self.skip(x) + residual


class Attention(nn.Module):
    """CBAM: a gate over channels, then one over positions (Woo et al., ECCV 2018,
    https://arxiv.org/abs/1807.06521)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // 16)
        self.excite = nn.Linear(channels // 16, channels)
        self.spatial = nn.Conv2d(2, 1, kernel_size=7, padding=3)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> the same
        pooled = torch.stack([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))])  # (2, B, C)
        channel_gate = self.excite(F.relu(self.squeeze(pooled))).sum(dim=0).sigmoid()  # (B, C)
        x = x * channel_gate[:, :, None, None]
        summary = torch.stack([x.amax(dim=1), x.mean(dim=1)], dim=1)  # (B, 2, H, W)
        return x * self.spatial(summary).sigmoid()


def add_shared(objects: Tensor, frame: Tensor) -> Tensor:
    """objects (B*K, C, h, w) + frame (B, C, h, w), the same for each frame's K objects.

    With one frame no view is made: views with a size of 1 lose the channels-last strides, and
    everything after them would run in the slower layout.
    """
    if frame.shape[0] == 1:
        return objects + frame
    return (objects.unflatten(0, (frame.shape[0], -1)) + frame.unsqueeze(1)).flatten(0, 1)


class SplitConv2d(nn.Module):
    """One 3x3 convolution over the channels [frame, object], kept as its two halves.

    The frame's half sees no mask, so it runs once a frame and not once an object: with five
    objects that is two fifths of the multiplications of the decoder's first layer.
    """

    def __init__(self, frame_channels: int, object_channels: int, out_channels: int) -> None:
        super().__init__()
        self.frame = conv3x3(frame_channels, out_channels)
        self.object = conv3x3(object_channels, out_channels, bias=False)

    def forward(self, frame: Tensor, objects: Tensor) -> Tensor:
        """frame (B, C_f, h, w), objects (B*K, C_o, h, w) -> (B*K, C_out, h, w)."""
        return add_shared(self.object(objects), self.frame(frame))


class Fusion(nn.Module):
    """Joins a frame's features with one object's: residual block, attention, residual block.

    The concatenation order of the published network is frame first, then object.
    """

    def __init__(self, frame_channels: int, object_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = SplitConv2d(frame_channels, object_channels, out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.skip = SplitConv2d(frame_channels, object_channels, out_channels)
        self.attention = Attention(out_channels)
        self.refine = ResidualBlock(out_channels, out_channels)

    def forward(self, frame: Tensor, objects: Tensor) -> Tensor:
        """frame (B, C_f, h, w), objects (B*K, C_o, h, w) -> (B*K, C_out, h, w)."""
        mixed = F.relu(self.conv1(F.relu(frame), F.relu(objects)))
        mixed = self.skip(frame, objects) + self.conv2(mixed)
        return self.refine(mixed + self.attention(mixed))


def update_hidden(gates: Tensor, hidden: Tensor) -> Tensor:
    """The sensory state's next value from its gates (XMem, section 3.4, and its published code).

    gates: (B, 3*C, h, w), forget, update and candidate in this order; hidden: (B, C, h, w).
    Not the textbook GRU: the candidate does not see a reset state, and forget and update are
    separate gates.
    """
    forget, update, candidate = gates.chunk(3, dim=1)
    forget, update = forget.sigmoid(), update.sigmoid()
    return forget * hidden * (1 - update) + update * candidate.tanh()
