"""Both networks of a session: loaded when they are first needed, on the device that was chosen.

Nothing here may be used from two threads at a time; in the window it is the engine thread's.
"""

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from interaction.clicks import ClickConfig, ClickResult, ClickSegmenter
from interaction.fbrs.weights import load_click_network
from interaction.models import find_model
from interaction.types import Click
from xmem_core.config import MemoryConfig
from xmem_core.device import best_device
from xmem_core.network.inference import prepare
from xmem_core.network.xmem import XMem
from xmem_core.pictures import Frame, Labels
from xmem_core.tracker import Tracker
from xmem_core.weights import load_xmem

__all__ = ["EngineSettings", "Engines", "EnginesLike", "Segmenter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which networks answer, where, and how they are set up."""

    tracker_model: str = "small"  # a name or a path, see `ModelStore.find`
    click_model: str = "small-clicks"
    scribble_model: str | None = None  # None: strokes are answered by the click network
    device: str = "auto"  # "auto", "cpu", "cuda", "cuda:1", "mps"
    internal_size: int = 480  # shorter side at which the tracker works, in pixels
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    clicks: ClickConfig = field(default_factory=ClickConfig)

    def __post_init__(self) -> None:
        if self.internal_size < 16:
            raise ValueError(f"internal_size must be at least 16 pixels, got {self.internal_size}")


class Segmenter(Protocol):
    """The part of `ClickSegmenter` that a session uses."""

    def segment(
        self,
        frame: Frame,
        start: Labels,
        object_id: int,
        clicks: Sequence[Click],
        *,
        locked: Collection[int] = (),
        frame_key: Hashable = None,
        stop: Callable[[], bool] = ...,
    ) -> ClickResult: ...


class EnginesLike(Protocol):
    """What a session asks of its engines; tests put their own in."""

    @property
    def settings(self) -> EngineSettings: ...
    def configure(self, settings: EngineSettings) -> None: ...
    def segmenter(self) -> Segmenter: ...
    def start_tracker(self, settings: EngineSettings | None = None) -> Tracker: ...


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

    def segmenter(self) -> ClickSegmenter:
        """ModelError if the weights are missing or damaged."""
        if self._segmenter is None:
            path = find_model(self._settings.click_model)
            network = load_click_network(path).to(best_device(self._settings.device))
            self._segmenter = ClickSegmenter(network, self._settings.clicks)
        return self._segmenter

    def start_tracker(self, settings: EngineSettings | None = None) -> Tracker:
        """A tracker with empty memory. settings: other ones, for this tracker only.

        ModelError if the weights are missing or damaged, UserError if the device is not there.
        """
        settings = settings or self._settings
        device = best_device(settings.device)
        wanted = settings.tracker_model, device
        if self._network is None or self._network_of != wanted:
            self._network = None  # make room first
            self._network = prepare(load_xmem(find_model(settings.tracker_model)), device)
            self._network_of = wanted
        return Tracker(self._network, settings.memory, internal_size=settings.internal_size)
