"""Engine settings, and both networks of a session, loaded when they are first needed."""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.types import Click, Stroke
from interaction.clicks.prompts import Box, ClickConfig
from interaction.errors import ModelError, UserError
from interaction.models import default_store
from interaction.plugins import CLICK_MODELS, TRACKERS, Group, Plugin, plugins
from xmem_core.arrays import Frame, Labels
from xmem_core.config import MemoryConfig
from xmem_core.messages import Message

if TYPE_CHECKING:
    import torch

    from interaction.clicks.segmenter import ClickResult
    from xmem_core.tracker import Tracker

# The limits of the tracker's memory that a project may set for itself, with the values that the
# published window offers.
MEMORY_LIMITS: Final[Mapping[str, range]] = {
    "memorize_every": range(1, 101),
    "top_k": range(1, 201),
    "min_working_frames": range(1, 101),
    "max_working_frames": range(2, 101),
    "max_long_term": range(1_000, 100_001),
    "prototypes": range(32, 1_281),
}


_JUDGE: Final = "small-clicks"


def with_limits(memory: MemoryConfig, limits: Mapping[str, int]) -> MemoryConfig:
    """`memory` with all of MEMORY_LIMITS as in `limits`. ValueError if they contradict each
    other."""
    changes: dict[str, Any] = {name: limits[name] for name in MEMORY_LIMITS}
    return replace(memory, **changes)


def limits_of(memory: MemoryConfig) -> dict[str, int]:
    """The values of MEMORY_LIMITS in `memory`."""
    return {name: getattr(memory, name) for name in MEMORY_LIMITS}


def check_limits(limits: Mapping[str, object]) -> dict[str, int]:
    """`limits`, if all of MEMORY_LIMITS are there and the tracker can work with them. A value may
    be in it, as from a file; ValueError, with the reason."""
    if limits.keys() != MEMORY_LIMITS.keys():
        raise ValueError(f"they must be {', '.join(MEMORY_LIMITS)}")
    checked: dict[str, int] = {}
    for name, allowed in MEMORY_LIMITS.items():
        value = limits[name]
        if type(value) is not int or value not in allowed:
            raise ValueError(f"{name} must be {allowed[0]} to {allowed[-1]}")
        checked[name] = value
    with_limits(MemoryConfig(), checked)
    return checked


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Which networks answer, where, and how they are set up."""

    tracker_model: str = "small"  # a name or a path, see `ModelStore.find`
    click_model: str = "small-clicks"
    scribble_model: str | None = None  # None: strokes are answered by the click network
    device: str = "auto"  # "auto", "cpu", "cuda", "cuda:1", "mps"
    # Shorter side at which the tracker works, in pixels; None: the source's own.
    internal_size: int | None = 480
    allows_half_precision: bool = True  # of the tracker, where the device is faster with it
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    # Before a propagation, take smaller settings where the forecast says that memory will not do.
    fits_memory: bool = True
    clicks: ClickConfig | None = None  # None: what suits the click model

    def __post_init__(self) -> None:
        if self.internal_size is not None and self.internal_size < 16:
            raise ValueError(f"internal_size must be at least 16 pixels, got {self.internal_size}")


class Segmenter(Protocol):
    """A click model at work: the part of `ClickSegmenter` that a session uses."""

    @property
    def is_quick(self) -> bool: ...

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
        is_preview: bool = ...,
    ) -> "ClickResult": ...

    def look(self, frame: Frame, start: Labels, object_id: int, *, frame_key: Hashable) -> None: ...

    def segment_box(
        self,
        frame: Frame,
        start: Labels,
        object_id: int,
        box: Box,
        *,
        locked: Collection[int] = (),
        frame_key: Hashable = None,
    ) -> "ClickResult": ...


class Judge(Protocol):
    """A click model that is asked about masks: the part of `ClickSegmenter` that a run uses."""

    def denied(self, frame: Frame, labels: Labels, object_id: int, /) -> float: ...


class Scribbler(Protocol):
    """A scribble model at work: the part of `ScribbleSegmenter` that a session uses."""

    def segment(
        self, frame: Frame, start: Labels, object_id: int, strokes: Sequence[Stroke], /
    ) -> NDArray[np.float32]: ...


StartTracker = Callable[[EngineSettings], "Tracker"]  # with empty memory


class Networks(Protocol):
    """What a session asks of its `Engines`; tests put their own in."""

    @property
    def settings(self) -> EngineSettings: ...
    def configure(self, settings: EngineSettings) -> None: ...
    def segmenter(self) -> Segmenter: ...
    def scribbler(self) -> Scribbler: ...
    def start_tracker(self, settings: EngineSettings | None = None) -> "Tracker": ...
    def judge(self) -> Judge | None: ...


class Engines:
    """Owns the networks. Loading takes a second or so and happens at the first use."""

    def __init__(self, settings: EngineSettings | None = None) -> None:
        self._settings = settings or EngineSettings()
        self._segmenter: Segmenter | None = None
        self._scribbler: Scribbler | None = None
        self._judge: Judge | None = None
        self._start: StartTracker | None = None
        self._start_of: tuple[str, torch.device, bool] | None = None

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
        if old.device != settings.device:
            self._judge = None

    def segmenter(self) -> Segmenter:
        """ModelError if the weights are missing or damaged."""
        if self._segmenter is None:
            from xmem_core.device import best_device

            settings = self._settings
            plugin, path = _plugin(CLICK_MODELS, settings.click_model, "load_segmenter")
            device = best_device(settings.device)
            with _naming(plugin, path):
                self._segmenter = plugin.provider.load_segmenter(path, device, settings.clicks)
        return self._segmenter

    def scribbler(self) -> Scribbler:
        """ModelError if the settings name no scribble model or its weights cannot be used."""
        if self._scribbler is None:
            from xmem_core.device import best_device

            if self._settings.scribble_model is None:
                raise ModelError(
                    "No scribble model is chosen. Nothing was changed.\n\n"
                    "Choose one, or scribble without: the click model answers then.",
                )
            plugin, path = _plugin(CLICK_MODELS, self._settings.scribble_model, "load_scribbler")
            device = best_device(self._settings.device)
            with _naming(plugin, path):
                self._scribbler = plugin.provider.load_scribbler(path, device)
        return self._scribbler

    def judge(self) -> Judge | None:
        """The bundled click network, whatever clicks are answered by: what its answers say of a
        mask was measured with it. None if its weights are missing or damaged."""
        if self._judge is None:
            from xmem_core.device import best_device

            try:
                plugin, path = _plugin(CLICK_MODELS, _JUDGE, "load_segmenter")
                device = best_device(self._settings.device)
                self._judge = plugin.provider.load_segmenter(path, device, None)
            except ModelError:
                return None
        return self._judge

    def start_tracker(self, settings: EngineSettings | None = None) -> "Tracker":
        """A tracker with empty memory. settings: other ones, for this tracker only.

        ModelError if the weights are missing or damaged, UserError if the device is not there.
        """
        from xmem_core.device import best_device

        settings = settings or self._settings
        device = best_device(settings.device)
        wanted = settings.tracker_model, device, settings.allows_half_precision
        if self._start is None or self._start_of != wanted:
            self._start = None  # make room first
            plugin, path = _plugin(TRACKERS, settings.tracker_model, "load_tracker")
            with _naming(plugin, path):
                self._start = plugin.provider.load_tracker(
                    path, device, allows_half_precision=settings.allows_half_precision
                )
            self._start_of = wanted
        return self._start(settings)


def _plugin(group: Group, model: str, method: str) -> tuple[Plugin, Path]:
    """The plug-in that loads `model`, a name or a path, with `method`; and where its weights are.

    A file that no plug-in of another package recognises is for one of the program's own, the most
    particular of which come last. ModelError if the model is for something else.
    """
    known, path = default_store().resolve(model)
    able = [one for one in plugins() if one.group == group and hasattr(one.provider, method)]
    for plugin in reversed(able):
        with _naming(plugin, path):
            is_its = plugin.name == known.plugin if known else plugin.provider.recognises(path)
        if is_its:
            return plugin, path
    kinds = {
        "load_segmenter": Message("clicks"),
        "load_scribbler": Message("scribbles"),
        "load_tracker": Message("tracking"),
    }
    raise ModelError(
        "“{model}” is not a model for {purpose}. Nothing was changed.\n\n"
        "Choose another one: `xmem-annotate models list` says what each is for.",
        model=model,
        purpose=kinds[method],
    )


@contextmanager
def _naming(plugin: Plugin, path: Path) -> Iterator[None]:
    """Makes a ModelError that names the plug-in of whatever one of another package raises."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if plugin.is_own:
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ModelError(
            "The plug-in “{name}” of {package} failed with “{file}”: {reason}. Nothing was "
            "changed.\n\n"
            "Choose another model, or ask the makers of the plug-in.",
            name=plugin.name,
            package=plugin.package,
            file=path.name,
            reason=reason,
        ) from error
