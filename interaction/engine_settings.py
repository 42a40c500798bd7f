"""Which networks answer, and what is asked of whoever runs them. Needs no torch."""

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from interaction.click_config import ClickConfig
from interaction.types import Click, Stroke
from xmem_core.arrays import Frame, Labels
from xmem_core.config import MemoryConfig

if TYPE_CHECKING:
    from interaction.clicks import ClickResult
    from xmem_core.tracker import Tracker

__all__ = ["EngineSettings", "EnginesLike", "Scribbler", "Segmenter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which networks answer, where, and how they are set up."""

    tracker_model: str = "small"  # a name or a path, see `ModelStore.find`
    click_model: str = "small-clicks"
    scribble_model: str | None = None  # None: strokes are answered by the click network
    device: str = "auto"  # "auto", "cpu", "cuda", "cuda:1", "mps"
    # Shorter side at which the tracker works, in pixels; None: the source's own.
    internal_size: int | None = 480
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    clicks: ClickConfig = field(default_factory=ClickConfig)

    def __post_init__(self) -> None:
        if self.internal_size is not None and self.internal_size < 16:
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
    ) -> "ClickResult": ...


class Scribbler(Protocol):
    """The part of `ScribbleSegmenter` that a session uses."""

    def segment(
        self, frame: Frame, start: Labels, object_id: int, strokes: Sequence[Stroke], /
    ) -> NDArray[np.float32]: ...


class EnginesLike(Protocol):
    """What a session asks of its engines; tests put their own in."""

    @property
    def settings(self) -> EngineSettings: ...
    def configure(self, settings: EngineSettings) -> None: ...
    def segmenter(self) -> Segmenter: ...
    def scribbler(self) -> Scribbler: ...
    def start_tracker(self, settings: EngineSettings | None = None) -> "Tracker": ...
