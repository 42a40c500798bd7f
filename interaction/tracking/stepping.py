"""Trackers that become smaller when their device is full: the one place that steps down."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from interaction.annotation.types import Frames
from interaction.engines import EngineSettings, Networks, limits_of, with_limits
from interaction.errors import EngineMemoryError, UserError
from interaction.tracking.governor import next_step, note_pace
from xmem_core.arrays import Labels
from xmem_core.closeup import Closeup, suited_side
from xmem_core.device import best_device, free_memory_bytes, is_out_of_memory, release_freed_memory
from xmem_core.messages import Message
from xmem_core.tracker import Tracker

_KEYS_AT_A_TIME: Final = {"cuda": 4}  # a CPU gains nothing by more than one
_LEAST_FREE_BYTES: Final = 200 * 2**20


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
        self._closeup: Closeup | None = None  # where the next tracker begins to look

    def look_closer(
        self, labels: Labels, focus: Collection[int] | None = None, side: int | None = None
    ) -> None:
        """From the next tracker on, track in a box that follows the objects `focus`, None for all,
        and begins round those of a mask (H, W). side: of a run to go on with; 0: the whole
        picture."""
        size = self.settings.internal_size
        if side is None:
            side = suited_side(labels, focus, size)
        self._closeup = Closeup(side or None, size, focus)

    def side_for(self, labels: Labels | None, focus: Collection[int] | None) -> int | None:
        """Of the box that `look_closer` would begin with; None for the whole picture."""
        return None if labels is None else suited_side(labels, focus, self.settings.internal_size)

    @property
    def closeup_side(self) -> int | None:
        """Of the box now, in pixels; 0 while it is the whole picture, None without a box."""
        return None if self._closeup is None else self._closeup.side or 0

    @property
    def settings(self) -> EngineSettings:
        """Of the next tracker."""
        return self._settings or self._engines.settings

    @property
    def keys_at_a_time(self) -> int:
        """How many frames' keys the tracker is to encode at once."""
        if self._closeup is not None:
            return 1  # where the box goes next depends on the frame before
        device = "cpu" if self.tracker is None else self.tracker.device.type
        return self._keys_at_a_time or _KEYS_AT_A_TIME.get(device, 1)

    def current(self) -> Tracker:
        """The tracker, started where there is none. Callers keep no reference to it: it is freed
        before a smaller one is started. Raises what `Engines.start_tracker` raises."""
        if self.tracker is not None:
            return self.tracker
        other = () if self._settings is None else (self._settings,)
        self.tracker = self._engines.start_tracker(*other)
        if self._closeup is not None:
            if not isinstance(self.tracker, Tracker):  # a plug-in's
                raise UserError(
                    "This model tracks in the whole picture only. Nothing was changed.\n\n"
                    "Track without looking closer, or choose another model."
                )
            self.tracker.closeup = self._closeup
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
        EngineMemoryError if no smaller settings are left. A box that has become too small or too
        large for what is in it is exchanged, and there is nothing to tell.
        """
        if isinstance(error, _BoxOutgrownError):
            assert self._closeup is not None
            wanted = self._closeup.wanted_side
            self._closeup = self._closeup.with_side(wanted, self.settings.internal_size)
            self.tracker = None
            return ""
        if not isinstance(error, EngineMemoryError) and not is_out_of_memory(error):
            raise error
        # The failed frames of the stack hold tensors as long as the error lives.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        device = self.tracker.device if self.tracker else best_device(self.settings.device)
        self.tracker = None
        remark = self.take_step(str(device), frame)
        release_freed_memory(device)
        return remark

    def take_step(self, device: str, frame: int) -> str:
        """The next smaller settings. EngineMemoryError if there are none."""
        shorter = min(self._video[0].shape[:2])
        step = next_step(self.settings, self._keys_at_a_time, shorter, device)
        if step is None:
            raise EngineMemoryError(device, frame)
        self._settings, self._keys_at_a_time = step.settings, step.keys_at_a_time
        self.steps_down += 1
        return Message(
            "“{device}” is out of memory: going on {change}.", device=device, change=step.change
        )

    def check(self, frame: int) -> None:
        """To be called before each frame: EngineMemoryError if so little is left that the system
        would end the program rather than refuse memory, as it does on a CPU, and there is a
        smaller step to take. Where there is none, other programs may still give some back. And
        an error for `step_down` where a box of another size would suit the objects better."""
        closeup = self._closeup
        if closeup is not None and closeup.wanted_side != closeup.side:
            tracker = self.current()
            # Memory begins anew with the box: with nothing in sight, from given masks alone.
            if closeup.is_holding or tracker.confirmed_frames:
                raise _BoxOutgrownError(str(tracker.device), frame)
        if self.tracker is None or self.tracker.device.type == "cuda":
            return  # that refuses
        device = self.tracker.device
        if free_memory_bytes(device) >= _LEAST_FREE_BYTES:
            return
        shorter = min(self._video[0].shape[:2])
        if next_step(self.settings, self._keys_at_a_time, shorter, str(device)) is not None:
            raise EngineMemoryError(str(device), frame)

    def note_pace(self) -> None:
        """Keeps how fast the tracker was, for later forecasts."""
        if self.tracker is not None:
            note_pace(self.settings.tracker_model, self.tracker.device, self.tracker.times)

    def take_steps(self, count: int) -> None:
        """As many smaller settings as a forecast needs, before the first tracker."""
        for _ in range(count):
            self.take_step(self.settings.device, 0)


class _BoxOutgrownError(EngineMemoryError):
    """The objects have become too large or too small for the box that is followed."""
