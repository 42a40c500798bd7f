"""How wide the network is. Published weights and the bundled small model differ only here."""

from dataclasses import dataclass
from typing import Literal

TrunkName = Literal["resnet", "efficientnet_lite0"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Channel counts of every part; the defaults are those of the published XMem."""

    trunk: TrunkName = "resnet"  # ResNet-50 for keys and ResNet-18 for values, or Lite0 for both
    key_channels: int = 64  # [C^k]
    value_channels: int = 512  # what memory holds per element and object [C^v]
    hidden_channels: int = 64  # sensory state per object [C^h]; 0 leaves sensory memory out
    decoder16_channels: int = 512
    decoder8_channels: int = 256
    decoder4_channels: int = 256
    sensory_channels: int = 256  # width at which the decoder's scales meet the sensory state
    # The value's last mask_cells² channels are the object's mask itself, averaged to that many
    # cells a side of a 16-pixel element. A small network then need not learn to carry it.
    mask_cells: int = 0
    # Two more key channels that say where an element is, so that of two things that look alike
    # the one nearer to where the object was is preferred.
    has_position: bool = False
    # The mask that the value carries also goes straight to the decoder's finest stage.
    has_mask_skip: bool = False
    # Added to the similarity of elements of confirmed frames, in nats: what a person gave counts
    # for more than what the network remembers of itself.
    confirmed_bonus: float = 0.0
    # Frame step, between two memory frames, at which the newest frame is memory until the next
    # such frame; 0: never.
    recent_every: int = 0
    # These weights were measured to track as well in bfloat16, so a CPU that multiplies it in
    # hardware may use it.
    tolerates_bfloat16: bool = False

    def __post_init__(self) -> None:
        if self.mask_cells not in (0, 1, 2, 4, 8, 16):
            raise ValueError(f"mask_cells must be 0 or a divisor of 16, got {self.mask_cells}")
        if self.recent_every < 0:
            raise ValueError(f"recent_every must not be negative, got {self.recent_every}")
        if self.has_mask_skip and self.mask_cells != 4:
            raise ValueError(
                f"has_mask_skip needs mask_cells of 4, one a pixel at stride 4, got "
                f"{self.mask_cells}"
            )
        if self.learned_value_channels < 1:
            raise ValueError(
                f"value_channels ({self.value_channels}) must exceed mask_cells² "
                f"({self.mask_cells**2})"
            )

    @property
    def all_key_channels(self) -> int:
        """Channels of a key, its position included."""
        return self.key_channels + 2 * self.has_position

    @property
    def learned_value_channels(self) -> int:
        return self.value_channels - self.mask_cells**2

    @classmethod
    def published(cls) -> "NetworkConfig":
        return cls()

    @classmethod
    def small(cls) -> "NetworkConfig":
        """The bundled model: about four million parameters."""
        return cls(
            trunk="efficientnet_lite0",
            value_channels=144,
            hidden_channels=32,
            decoder16_channels=128,
            decoder8_channels=64,
            decoder4_channels=48,
            sensory_channels=64,
            mask_cells=4,
            has_position=True,
            has_mask_skip=True,
            confirmed_bonus=1.0,
            recent_every=1,
            tolerates_bfloat16=True,
        )
