"""Memory readout -> masks, and the sensory state's update."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xmem_core.network.backbones import TrunkChannels
from xmem_core.network.blocks import Fusion, ResidualBlock, add_shared, conv3x3, update_hidden
from xmem_core.network.config import NetworkConfig
from xmem_core.network.encoders import KeyFeatures


class Upsample(nn.Module):
    """Doubles an object's features and adds the frame's at the finer stride."""

    def __init__(self, frame_channels: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.skip = conv3x3(frame_channels, in_channels)
        self.refine = ResidualBlock(in_channels, out_channels)

    def forward(self, frame: Tensor, objects: Tensor, extra: Tensor | None = None) -> Tensor:
        """frame (B, C_f, 2h, 2w), objects (B*K, C_in, h, w) -> (B*K, C_out, 2h, 2w).

        extra (B*K, C_in, 2h, 2w): added before the last block.
        """
        # The frame's convolution sees no mask: once a frame, not once an object.
        doubled = F.interpolate(objects, scale_factor=2, mode="bilinear")
        joined = add_shared(doubled, self.skip(frame))
        return self.refine(joined if extra is None else joined + extra)


class MaskSkip(nn.Module):
    """The mask that memory reads for each pixel at stride 4, past the fusion at stride 16, which
    fine outlines hardly survive: as features for the last upsampling, and as an answer of its own
    that a gate mixes with the decoder's.

    Not in the paper: docs/decisions/0016-mask-past-the-fusion.md.
    """

    _LEAST = 0.02  # a mask's probability before its logit is taken
    _FIRST_GATE = -1.0  # a quarter of the answer

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.cells = config.mask_cells
        # A network that is trained on begins nearly as it was.
        self.features = conv3x3(1, config.decoder8_channels)
        self.gate = conv3x3(config.decoder4_channels, 1)
        for convolution, bias in ((self.features, 0.0), (self.gate, self._FIRST_GATE)):
            nn.init.zeros_(convolution.weight)
            assert convolution.bias is not None
            nn.init.constant_(convolution.bias, bias)

    def masks(self, readout: Tensor) -> Tensor:
        """(B, K, C_value, h, w) -> (B*K, 1, 4h, 4w) in about 0..1."""
        return F.pixel_shuffle(readout[:, :, -(self.cells**2) :].flatten(0, 1), self.cells)

    def mixed(self, logits: Tensor, decoded4: Tensor, masks: Tensor) -> Tensor:
        """The decoder's logits and the masks' own, (B*K, 1, 4h, 4w) each, as the gate, made from
        decoded4 (B*K, C, 4h, 4w), wants them."""
        gate = self.gate(F.relu(decoded4)).sigmoid()
        own = masks.clamp(self._LEAST, 1 - self._LEAST).logit()
        return logits + gate * (own - logits)


class SensoryUpdate(nn.Module):
    """Refreshes the sensory state from the decoder's features, on every frame."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width, hidden = config.sensory_channels, config.hidden_channels
        self.from16 = nn.Conv2d(config.decoder16_channels, width, kernel_size=1)
        self.from8 = nn.Conv2d(config.decoder8_channels, width, kernel_size=1)
        self.from4 = nn.Conv2d(config.decoder4_channels + 1, width, kernel_size=1)
        self.transform = conv3x3(width + hidden, 3 * hidden)

    def forward(
        self, decoded16: Tensor, decoded8: Tensor, decoded4: Tensor, logits4: Tensor, hidden: Tensor
    ) -> Tensor:
        """All (B*K, C, ., .) at their stride, hidden (B*K, C_hidden, h, w) -> new hidden."""
        pooled4 = torch.cat([F.avg_pool2d(decoded4, 4), F.avg_pool2d(logits4, 4)], dim=1)
        meeting = self.from16(decoded16) + self.from8(F.avg_pool2d(decoded8, 2))
        meeting = meeting + self.from4(pooled4)
        return update_hidden(self.transform(torch.cat([meeting, hidden], dim=1)), hidden)


class Decoder(nn.Module):
    def __init__(self, config: NetworkConfig, frame: TrunkChannels) -> None:
        super().__init__()
        self.fusion = Fusion(
            frame.stride16,
            config.value_channels + config.hidden_channels,
            config.decoder16_channels,
        )
        self.upsample8 = Upsample(
            frame.stride8, config.decoder16_channels, config.decoder8_channels
        )
        self.upsample4 = Upsample(frame.stride4, config.decoder8_channels, config.decoder4_channels)
        self.mask_skip: MaskSkip | None = None
        if config.has_mask_skip:
            self.mask_skip = MaskSkip(config)
        self.prediction = conv3x3(config.decoder4_channels, 1)
        self.sensory_update = SensoryUpdate(config) if config.hidden_channels else None

    def forward(
        self, features: KeyFeatures, readout: Tensor, hidden: Tensor | None, updates_hidden: bool
    ) -> tuple[Tensor, Tensor | None]:
        """readout (B, K, C_value, h, w), hidden (B, K, C_hidden, h, w) or None without sensory
        memory -> logits (B, K, H, W) of each object by itself, and the new or same hidden."""
        objects = readout if hidden is None else torch.cat([readout, hidden], dim=2)
        flat = objects.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        decoded16 = self.fusion(features.feature16, flat)
        decoded8 = self.upsample8(features.feature8, decoded16)
        if self.mask_skip is None:
            decoded4 = self.upsample4(features.feature4, decoded8)
            logits4 = self.prediction(F.relu(decoded4))  # (B*K, 1, 4h, 4w)
        else:
            masks = self.mask_skip.masks(readout)
            extra = self.mask_skip.features(masks)
            decoded4 = self.upsample4(features.feature4, decoded8, extra)
            logits4 = self.prediction(F.relu(decoded4))
            logits4 = self.mask_skip.mixed(logits4, decoded4, masks)
        if self.sensory_update is not None and hidden is not None and updates_hidden:
            hidden = self.sensory_update(
                decoded16, decoded8, decoded4, logits4, hidden.flatten(0, 1)
            ).unflatten(0, hidden.shape[:2])
        logits = F.interpolate(logits4, scale_factor=4, mode="bilinear")
        return logits.squeeze(1).unflatten(0, readout.shape[:2]), hidden
