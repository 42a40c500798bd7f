"""Both networks of a session: loaded when they are first needed, on the device that was chosen.

Nothing here may be used from two threads at a time; in the window it is the engine thread's. torch
is imported at the first use too: it takes seconds, and a window should not wait for it.
"""

from typing import TYPE_CHECKING

from interaction.engine_settings import EngineSettings, EnginesLike, Segmenter
from interaction.models import find_model

if TYPE_CHECKING:
    import torch

    from interaction.clicks import ClickSegmenter
    from xmem_core.network.xmem import XMem
    from xmem_core.tracker import Tracker

__all__ = ["EngineSettings", "Engines", "EnginesLike", "Segmenter"]


class Engines:
    """Owns the networks. Loading takes a second or so and happens at the first use."""

    def __init__(self, settings: EngineSettings | None = None) -> None:
        self._settings = settings or EngineSettings()
        self._segmenter: ClickSegmenter | None = None
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

    def segmenter(self) -> "ClickSegmenter":
        """ModelError if the weights are missing or damaged."""
        if self._segmenter is None:
            from interaction.clicks import ClickSegmenter
            from interaction.fbrs.weights import load_click_network
            from xmem_core.device import best_device

            path = find_model(self._settings.click_model)
            network = load_click_network(path).to(best_device(self._settings.device))
            self._segmenter = ClickSegmenter(network, self._settings.clicks)
        return self._segmenter

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
