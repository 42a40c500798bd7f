"""XMem's network (Cheng and Schwing, ECCV 2022, https://arxiv.org/abs/2207.07115), whole."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xmem_core.network.backbones import LiteTrunk, ResNetTrunk, TrunkChannels
from xmem_core.network.blocks import Fusion, ResidualBlock, add_shared, conv3x3, update_hidden
from xmem_core.network.config import NetworkConfig


class KeyFeatures(NamedTuple):
    """What one picture gives before any mask is looked at; batches of B pictures."""

    key: Tensor  # (B, C_key, h, w)
    shrinkage: Tensor  # (B, 1, h, w), at least 1: how sharply an element answers [s]
    selection: Tensor  # (B, C_key, h, w) in (0, 1): which channels a query cares about [e]
    feature16: Tensor  # (B, C16, h, w)
    feature8: Tensor  # (B, C8, 2h, 2w)
    feature4: Tensor  # (B, C4, 4h, 4w)

    def of_picture(self, index: int) -> "KeyFeatures":
        """The features of one picture of the batch, still with a batch dimension."""
        return KeyFeatures(*(part[index : index + 1] for part in self))


class PositionKey(nn.Module):
    """Where each element of a frame is, as two key channels: the similarity then falls with the
    square of the distance between two elements, as much as the query's selection wants.

    Not in the paper; why it is here: docs/decisions/0013-position-in-keys.md.
    """

    # A quarter of the shorter side away costs about two nats with shrinkage and selection near 1.
    _FIRST_SCALE = 16.0

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([self._FIRST_SCALE]))
        self.weight = conv3x3(channels, 1)
        nn.init.zeros_(self.weight.weight)
        assert self.weight.bias is not None
        nn.init.constant_(self.weight.bias, 1.0)

    def forward(self, feature16: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) -> positions (B, 2, h, w) in shorter sides of the frame, scaled, and how
        much they count for a query, (B, 2, h, w) in (0, 1)."""
        batch, _, height, width = feature16.shape
        unit = self.scale / min(height, width)
        rows = torch.arange(height, device=feature16.device).view(-1, 1).expand(-1, width)
        columns = torch.arange(width, device=feature16.device).expand(height, -1)
        # In float32: half precision would round to a quarter of an element at a wide frame's end.
        where = torch.stack([columns, rows]) * unit.float()
        weight = self.weight(feature16).sigmoid()
        return where.expand(batch, -1, -1, -1), weight.expand(-1, 2, -1, -1)


class KeyEncoder(nn.Module):
    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.trunk: ResNetTrunk | LiteTrunk
        self.trunk = ResNetTrunk(50) if config.trunk == "resnet" else LiteTrunk()
        channels = self.trunk.channels.stride16
        self.key = conv3x3(channels, config.key_channels)
        self.shrinkage = conv3x3(channels, 1)
        self.selection = conv3x3(channels, config.key_channels)
        self.position = PositionKey(channels) if config.has_position else None

    def forward(self, pictures: Tensor) -> KeyFeatures:  # (B, 3, H, W), normalised
        features = self.trunk(pictures)
        feature16 = features.stride16
        key, selection = self.key(feature16), self.selection(feature16).sigmoid()
        if self.position is not None:
            where, weight = self.position(feature16)
            key, selection = torch.cat([key, where], 1), torch.cat([selection, weight], 1)
        return KeyFeatures(
            key=key,
            shrinkage=self.shrinkage(feature16).square() + 1,
            selection=selection,
            feature16=feature16,
            feature8=features.stride8,
            feature4=features.stride4,
        )


class DeepUpdate(nn.Module):
    """Refreshes the sensory state from a value, on memory frames."""

    def __init__(self, value_channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.transform = conv3x3(value_channels + hidden_channels, 3 * hidden_channels)

    def forward(self, value: Tensor, hidden: Tensor) -> Tensor:
        """value (B, K, C_value, h, w), hidden (B, K, C_hidden, h, w) -> new hidden."""
        flat = hidden.flatten(0, 1)
        gates = self.transform(torch.cat([value.flatten(0, 1), flat], dim=1))
        return update_hidden(gates, flat).unflatten(0, hidden.shape[:2])


class ValueEncoder(nn.Module):
    def __init__(self, config: NetworkConfig, frame_channels: int) -> None:
        super().__init__()
        # It also takes the object's mask and the sum of the others': five channels.
        self.trunk: ResNetTrunk | LiteTrunk
        self.trunk = ResNetTrunk(18, 5) if config.trunk == "resnet" else LiteTrunk(5)
        self.fusion = Fusion(
            frame_channels, self.trunk.channels.stride16, config.learned_value_channels
        )
        self.mask_cells = config.mask_cells
        self.deep_update: DeepUpdate | None = None
        if config.hidden_channels:
            self.deep_update = DeepUpdate(config.value_channels, config.hidden_channels)

    def forward(self, pictures: Tensor, feature16: Tensor, masks: Tensor, others: Tensor) -> Tensor:
        """pictures (B, 3, H, W), masks and others (B, K, H, W) -> value (B, K, C_value, h, w).

        others: for each object, the sum of all other objects' masks.
        """
        objects = masks.shape[1]
        repeated = pictures.unsqueeze(1).expand(-1, objects, -1, -1, -1)
        stacked = torch.cat([repeated, masks.unsqueeze(2), others.unsqueeze(2)], dim=2)
        feature = self.trunk(stacked.flatten(0, 1)).stride16
        value = self.fusion(feature16, feature).unflatten(0, masks.shape[:2])
        if not self.mask_cells:
            return value
        cells = F.avg_pool2d(masks, 16 // self.mask_cells).flatten(0, 1).unsqueeze(1)
        cells = F.pixel_unshuffle(cells, self.mask_cells).unflatten(0, masks.shape[:2])
        return torch.cat([value, cells.to(value.dtype)], dim=2)


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


class XMem(nn.Module):
    """Three verbs: `encode_key`, `encode_value`, `decode`. Stateless between calls.

    Pictures are float (B, 3, H, W), ImageNet-normalised, H and W multiples of 16.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.half_precision: torch.dtype | None = None  # set by `prepare`; used by the engine
        self.key_encoder = KeyEncoder(config)
        channels = self.key_encoder.trunk.channels
        self.value_encoder = ValueEncoder(config, channels.stride16)
        self.decoder = Decoder(config, channels)

    def train(self, mode: bool = True) -> "XMem":
        """As usual, but batch norms always use their stored statistics: a clip's frames are far
        too alike to measure new ones from."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def encode_key(self, pictures: Tensor) -> KeyFeatures:
        """pictures (B, 3, H, W) -> keys and features of B frames."""
        return self.key_encoder(pictures)

    def encode_value(
        self,
        pictures: Tensor,
        feature16: Tensor,
        hidden: Tensor | None,
        masks: Tensor,
        *,
        others: Tensor | None = None,
        is_deep: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """What to remember of each object, and the sensory state refreshed by it.

        masks (B, K, H, W) in [0, 1]; hidden (B, K, C_hidden, h, w), None without sensory memory.
        others: the sum of all other objects' masks, for each object; worked out from `masks`
        unless those are only some of the objects. is_deep: refresh hidden.
        Returns value (B, K, C_value, h, w) and hidden.
        """
        if others is None:
            others = others_of(masks)
        value = self.value_encoder(pictures, feature16, masks, others)
        return value, self.refresh_hidden(value, hidden) if is_deep else hidden

    def refresh_hidden(self, value: Tensor, hidden: Tensor | None) -> Tensor | None:
        """The deep update: value (B, K, C_value, h, w) and the sensory state -> its next one."""
        deep_update = self.value_encoder.deep_update
        if deep_update is None or hidden is None:
            return hidden
        return deep_update(value, hidden)

    def decode(
        self,
        features: KeyFeatures,
        readout: Tensor,
        hidden: Tensor | None,
        *,
        updates_hidden: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """readout (B, K, C_value, h, w) -> logits (B, K, H, W) of each object by itself (not yet
        aggregated), and hidden, refreshed if `updates_hidden`."""
        return self.decoder(features, readout, hidden, updates_hidden)

    def initial_hidden(self, objects: int, key: Tensor) -> Tensor | None:
        """A zero sensory state (B, K, C_hidden, h, w) for frames like `key`'s (B, C_key, h, w)."""
        if not self.config.hidden_channels:
            return None
        batch, _, height, width = key.shape
        return key.new_zeros(batch, objects, self.config.hidden_channels, height, width)


def others_of(masks: Tensor) -> Tensor:
    """masks (B, K, H, W) -> for each object the sum of the others'; zeros for a lone object."""
    if masks.shape[1] == 1:
        return torch.zeros_like(masks)
    return masks.sum(dim=1, keepdim=True) - masks
