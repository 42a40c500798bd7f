"""Picture -> key; picture and masks -> value."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xmem_core.network.backbones import key_trunk, value_trunk
from xmem_core.network.blocks import Fusion, conv3x3, update_hidden
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
        self.trunk = key_trunk(config.trunk)
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
        self.trunk = value_trunk(config.trunk)
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
