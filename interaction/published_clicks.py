"""Click settings that belong to the published networks, which know no previous mask."""

from dataclasses import replace
from typing import Final

from interaction.clicks import ClickConfig
from interaction.fbrs.network import ClickNetwork
from interaction.fbrs.optimizer import Mode

__all__ = ["published_click_config", "suited_click_config"]

# Clicks that the network itself is given; it gets confused by more [net_clicks_limit].
_FEATURE_CLICKS: Final = 8
_INPUT_CLICKS: Final = 5  # where the input is what is optimised


def published_click_config(mode: Mode = "f-BRS-B") -> ClickConfig:
    """As the published program answers clicks with its own network."""
    return ClickConfig(
        mode=mode,
        threshold=0.5,
        zoom_from_click=2,
        zoom_px=480,
        zoom_expansion=1.4,
        least_crop_px=200,
        longest_px=800,
        most_network_clicks=_most_network_clicks(mode),
        is_flipped_too=True,
        most_evaluations=20,
        least_mask_change=1e-3,
    )


def suited_click_config(config: ClickConfig, network: ClickNetwork) -> ClickConfig:
    """`config`, with no more clicks for the network than it was published to take."""
    if network.takes_previous_mask:
        return config
    most = min(config.most_network_clicks, _most_network_clicks(config.mode))
    return replace(config, most_network_clicks=most)


def _most_network_clicks(mode: Mode) -> int:
    return _INPUT_CLICKS if mode in ("RGB-BRS", "DistMap-BRS") else _FEATURE_CLICKS
