"""Both networks of a session: loaded when they are first needed, on the device that was chosen.

Nothing here may be used from two threads at a time; in the window it is the engine thread's. torch
is imported at the first use too: it takes seconds, and a window should not wait for it.
"""

from typing import TYPE_CHECKING

from interaction.engine_settings import EngineSettings, EnginesLike, Segmenter
from interaction.errors import ModelError
from interaction.models import find_model

if TYPE_CHECKING:
    import torch

    from interaction.clicks import ClickSegmenter
    from interaction.fbrs.s2m import ScribbleSegmenter
    from xmem_core.network.xmem import XMem
    from xmem_core.tracker import Tracker

__all__ = ["EngineSettings", "Engines", "EnginesLike", "Segmenter"]


class Engines:
    """Owns the networks. Loading takes a second or so and happens at the first use."""

    def __init__(self, settings: EngineSettings | None = None) -> None:
        self._settings = settings or EngineSettings()
        self._segmenter: ClickSegmenter | None = None
        self._scribbler: ScribbleSegmenter | None = None
        self._network: XMem | None = None
        self._network_of: tuple[str, torch.device] | None = None

    @property
    def settings(self) -> EngineSettings:
        return self._settings

    def configure(self, settings: EngineSettings) -> None:
        """For whatever is asked next; a tracker that was started keeps its settings."""
        old, self._settings = self._settings, settings
        if (old.click_model, old.clicks, old.device) != (
            settings.click_model,
            settings.clicks,
            settings.device,
        ):
            self._segmenter = None
        if (old.scribble_model, old.device) != (settings.scribble_model, settings.device):
            self._scribbler = None

    def segmenter(self) -> "ClickSegmenter":
        """ModelError if the weights are missing or damaged."""
        if self._segmenter is None:
            from interaction.clicks import ClickSegmenter
            from interaction.fbrs.weights import load_click_network
            from interaction.published_clicks import suited_click_config
            from xmem_core.device import best_device

            path = find_model(self._settings.click_model)
            network = load_click_network(path).to(best_device(self._settings.device))
            config = suited_click_config(self._settings.clicks, network)
            self._segmenter = ClickSegmenter(network, config)
        return self._segmenter

    def scribbler(self) -> "ScribbleSegmenter":
        """ModelError if the settings name no scribble model or its weights cannot be used."""
        if self._scribbler is None:
            from interaction.fbrs.published_weights import load_scribble_network
            from interaction.fbrs.s2m import ScribbleSegmenter
            from xmem_core.device import best_device

            if self._settings.scribble_model is None:
                raise ModelError(
                    "No scribble model is chosen. Nothing was changed.",
                    "Choose one, or scribble without: the click model answers then.",
                )
            path = find_model(self._settings.scribble_model)
            network = load_scribble_network(path).to(best_device(self._settings.device))
            self._scribbler = ScribbleSegmenter(network)
        return self._scribbler

    def start_tracker(self, settings: EngineSettings | None = None) -> "Tracker":
        """A tracker with empty memory. settings: other ones, for this tracker only.

        ModelError if the weights are missing or damaged, UserError if the device is not there.
        """
        from xmem_core.device import best_device
        from xmem_core.network.inference import prepare
        from xmem_core.tracker import Tracker
        from xmem_core.weights import load_xmem

        settings = settings or self._settings
        device = best_device(settings.device)
        wanted = settings.tracker_model, device
        if self._network is None or self._network_of != wanted:
            self._network = None  # make room first
            self._network = prepare(load_xmem(find_model(settings.tracker_model)), device)
            self._network_of = wanted
        return Tracker(self._network, settings.memory, internal_size=settings.internal_size)
