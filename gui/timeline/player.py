"""Plays the video at its own speed: the clock decides which frame is due, and frames that would
come too late are left out rather than shown late."""

import time
from collections.abc import Callable
from typing import Final, Literal

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from gui.timeline.scale import frame_at
from gui.work.document import Document

__all__ = ["Player"]

_FASTEST: Final = 8.0
_SHUTTLE: Final = {"J": -1, "K": 0, "L": 1}
_SHORTEST_WAIT_MS: Final = 4
_LONGEST_WAIT_MS: Final = 50


class Player(QObject):
    """Moves the document's frame while it plays, and follows other changes of it.

    With a range it plays inside it. At the end it starts again, unless `is_looping` is off.
    """

    playing_changed = Signal(bool)
    speed_changed = Signal(float)
    looping_changed = Signal(bool)
    held_changed = Signal(bool)

    def __init__(
        self,
        document: Document,
        parent: QObject | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """clock: seconds that never go back."""
        super().__init__(parent)
        self._document = document
        self._times_s = document.video.timestamps_s
        self._clock = clock
        self._speed = 0.0  # 0: stopped
        self._is_looping = True
        self._is_held = False
        self._started_s = 0.0  # by the clock
        self._from_s = 0.0  # in the video
        self._is_moving = False  # the frame, ourselves
        self._timer = QTimer(self, singleShot=True, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.show_due)
        document.frame_changed.connect(self._follow)
        document.tool_changed.connect(lambda _: self._set_held(False))
        document.travelled.connect(self.stop)

    @property
    def is_playing(self) -> bool:
        return self._speed != 0

    @property
    def speed(self) -> float:
        """Times the video's own; negative backwards, 0 when stopped."""
        return self._speed

    @property
    def is_held(self) -> bool:
        """Whether the shuttle's K has stopped it, and nothing else was done since."""
        return self._is_held

    @property
    def is_looping(self) -> bool:
        return self._is_looping

    def set_looping(self, is_looping: bool) -> None:
        if is_looping != self._is_looping:
            self._is_looping = is_looping
            self.looping_changed.emit(is_looping)

    def play(self, speed: float = 1.0) -> None:
        """speed: times the video's own, negative backwards; 0 stops."""
        self._set_held(False)
        first, last = self._document.whole_range
        if first == last:
            speed = 0.0
        speed = max(-_FASTEST, min(speed, _FASTEST))
        was_playing = self.is_playing
        is_changed = speed != self._speed
        self._speed = speed
        if speed:
            frame = self._document.frame
            if not first <= frame <= last or (not was_playing and frame == self._end(speed)):
                self._move(self._start(speed))
            self._set_clock()
            self._wait()
        else:
            self._timer.stop()
        if is_changed:
            self.speed_changed.emit(speed)
        if self.is_playing is not was_playing:
            self.playing_changed.emit(self.is_playing)

    def stop(self) -> None:
        self.play(0.0)

    def stop_at(self, frame: int) -> None:
        """Stop, if it plays, at the frame that is in sight, though the next one was due."""
        was_playing = self.is_playing
        self.stop()
        if was_playing:
            self._document.set_frame(frame)

    def toggle(self) -> None:
        self.play(0.0 if self.is_playing else 1.0)

    def shuttle(self, key: Literal["J", "K", "L"]) -> None:
        """J backwards, L forwards, when it goes that way already twice as fast; K stops."""
        direction = _SHUTTLE[key]
        was_playing = self.is_playing
        if self._speed * direction > 0:
            self.play(max(-_FASTEST, min(self._speed * 2, _FASTEST)))
        else:
            self.play(float(direction))
        self._set_held(was_playing and not direction)

    def _set_held(self, is_held: bool) -> None:
        if is_held != self._is_held:
            self._is_held = is_held
            self.held_changed.emit(is_held)

    def _start(self, speed: float) -> int:
        return self._document.whole_range[0 if speed > 0 else 1]

    def _end(self, speed: float) -> int:
        return self._document.whole_range[1 if speed > 0 else 0]

    def _set_clock(self) -> None:
        self._started_s = self._clock()
        self._from_s = float(self._times_s[self._document.frame])

    def _due_s(self) -> float:
        return self._from_s + (self._clock() - self._started_s) * self._speed

    def show_due(self) -> None:
        """Goes to the frame that is due now; while it plays, a timer calls it in time."""
        if not self.is_playing:
            return
        first, last = self._document.whole_range
        frame = frame_at(self._times_s, self._due_s())
        if self._speed < 0 and self._times_s[frame] < self._due_s() and frame < last:
            frame += 1  # backwards, a frame is left when its beginning is passed
        is_over = self._due_s() >= self._end_s() if self._speed > 0 else frame <= first
        if not is_over:
            self._move(max(first, min(frame, last)))
        elif self._is_looping:
            self._move(self._start(self._speed))
            self._set_clock()
        else:
            self._move(self._end(self._speed))
            self.stop()
            return
        self._wait()

    def _end_s(self) -> float:
        """When the last frame has been seen as long as the others."""
        first, last = self._document.whole_range
        if last + 1 < len(self._times_s):
            return float(self._times_s[last + 1])
        span = float(self._times_s[last] - self._times_s[first])
        return float(self._times_s[last]) + span / max(1, last - first)

    def _wait(self) -> None:
        """Until the next frame is due."""
        frame = self._document.frame
        if self._speed > 0:
            after = self._times_s[frame + 1] if frame + 1 < len(self._times_s) else self._end_s()
        else:
            after = self._times_s[max(0, frame - 1)]
        wait_ms = (float(after) - self._due_s()) / self._speed * 1000
        self._timer.start(round(max(_SHORTEST_WAIT_MS, min(wait_ms, _LONGEST_WAIT_MS))))

    def _move(self, frame: int) -> None:
        self._is_moving = True
        try:
            self._document.set_frame(frame)
        finally:
            self._is_moving = False

    def _follow(self) -> None:
        """Scrubbing during playback moves the start of playback."""
        if self._is_moving:
            return
        self._set_held(False)
        if self.is_playing:
            self._set_clock()
