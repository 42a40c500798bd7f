"""Trackers that become smaller when their device is full: the one place that steps down."""

import gc
from dataclasses import replace
from typing import Final

from interaction.annotation.types import Frames
from interaction.engines import EngineSettings, Networks, limits_of, with_limits
from interaction.errors import EngineMemoryError
from xmem_core.device import best_device, is_out_of_memory, release_freed_memory
from xmem_core.tracker import Tracker

__all__ = ["SteppingTrackers"]

_KEYS_AT_A_TIME: Final = {"cuda": 4}  # a CPU gains nothing by more than one
_SMALLER_SIZES: Final = (480, 360, 240)


class SteppingTrackers:
    """Starts one tracker after another, each with smaller settings than the one before.

    Belongs to one propagation. tracker: the one that was started last, None until then and after
    its device was full.
    """

    def __init__(
        self, engines: Networks, video: Frames, settings: EngineSettings | None = None
    ) -> None:
        """settings: other ones than the engines' own."""
        self.tracker: Tracker | None = None
        self.steps_down = 0
        self._engines, self._video = engines, video
        self._settings = settings
        self._keys_at_a_time: int | None = None  # None: as many as the device gains by

    @property
    def settings(self) -> EngineSettings:
        """Of the next tracker."""
        return self._settings or self._engines.settings

    @property
    def keys_at_a_time(self) -> int:
        """How many frames' keys the tracker is to encode at once."""
        device = "cpu" if self.tracker is None else self.tracker.device.type
        return self._keys_at_a_time or _KEYS_AT_A_TIME.get(device, 1)

    def current(self) -> Tracker:
        """The tracker, started where there is none. Callers keep no reference to it: it is freed
        before a smaller one is started. Raises what `Engines.start_tracker` raises."""
        if self.tracker is not None:
            return self.tracker
        other = () if self._settings is None else (self._settings,)
        self.tracker = self._engines.start_tracker(*other)
        return self.tracker

    def follow_limits(self) -> None:
        """Give the tracker the memory limits that the engines are set to now, for its next frame;
        what was stepped down stays so."""
        if self.tracker is None:
            return
        limits = limits_of(self._engines.settings.memory)
        memory = with_limits(self.tracker.config, limits)
        if memory == self.tracker.config:
            return
        self.tracker.configure(memory)
        if self._settings is not None:
            memory = with_limits(self._settings.memory, limits)
            self._settings = replace(self._settings, memory=memory)

    def step_down(self, error: Exception, frame: int) -> str:
        """Frees the tracker and takes smaller settings for the next; what to tell people.

        error: what was raised at `frame`. Raised again if it is about something else than memory;
        EngineMemoryError if no smaller settings are left.
        """
        if not isinstance(error, EngineMemoryError) and not is_out_of_memory(error):
            raise error
        # The failed frames of the stack hold tensors as long as the error lives.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        device = self.tracker.device if self.tracker else best_device(self.settings.device)
        self.tracker = None
        remark = self.take_step(str(device), frame)
        gc.collect()
        release_freed_memory(device)
        return remark

    def take_step(self, device: str, frame: int) -> str:
        """The next smaller settings. EngineMemoryError if there are none."""
        settings = self.settings
        size_now = settings.internal_size or min(self._video[0].shape[:2])
        smaller = [size for size in _SMALLER_SIZES if size < size_now]
        full = f"“{device}” is out of memory: "
        if settings.memory.objects_per_chunk != 1 or (self._keys_at_a_time or 0) != 1:
            self._keys_at_a_time = 1
            self._settings = replace(settings, memory=replace(settings.memory, objects_per_chunk=1))
            remark = full + "going on with one frame and one object at a time."
        elif smaller:
            self._settings = replace(settings, internal_size=smaller[0])
            remark = full + f"going on at internal size {smaller[0]}."
        elif not device.startswith("cpu"):
            self._settings = replace(settings, device="cpu")
            remark = full + "going on without it, on the CPU, which is slower."
        else:
            raise EngineMemoryError(device, frame)
        self.steps_down += 1
        return remark
