"""XMem's network (Cheng and Schwing, ECCV 2022, https://arxiv.org/abs/2207.07115), whole."""

import torch
from torch import Tensor, nn

from xmem_core.network.config import NetworkConfig
from xmem_core.network.decoder import Decoder
from xmem_core.network.encoders import KeyEncoder, KeyFeatures, ValueEncoder


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
