"""Time codes and the mapping from frames to pixels."""

import re
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LARGEST_FRAME_PX",
    "TimeScale",
    "format_timecode",
    "frame_at",
    "frame_of_timecode",
    "parse_timecode",
    "short_timecode",
]

_ROUNDED_S: Final = 0.0005  # what may be missing from a time that was written down
_WITH_FRAMES: Final = re.compile(r"(\d{1,5}:\d{1,5}:\d{1,7})[:;](\d{1,4})")
_PARTS: Final = re.compile(r"(?:(?:(\d+):)?(\d{1,5}):)?(\d{1,7}(?:[.,]\d{0,9})?)")


def format_timecode(seconds: float) -> str:
    """hh:mm:ss.mmm"""
    milliseconds = max(0, round(seconds * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def short_timecode(seconds: float, *, has_fraction: bool = False) -> str:
    """In the shortest form: 0:07, 1:02:03, 0:07.48"""
    hundredths = max(0, round(seconds * 100)) if has_fraction else max(0, int(seconds + 1e-6)) * 100
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    text = f"{text}:{rest // 100:02d}"
    return f"{text}.{rest % 100:02d}" if has_fraction else text


def parse_timecode(text: str) -> float | None:
    """Seconds, from h:mm:ss.mmm or its end; None where it is none."""
    match = _PARTS.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds.replace(",", "."))


def frame_at(timestamps_s: NDArray[np.float64], seconds: float) -> int:
    """The frame that is on the screen at that moment; the first or last one outside the video."""
    index = int(np.searchsorted(timestamps_s, seconds + _ROUNDED_S, side="right")) - 1
    return max(0, min(index, len(timestamps_s) - 1))


def frame_of_timecode(timestamps_s: NDArray[np.float64], text: str) -> int | None:
    """The frame of a moment as `parse_timecode` reads it, or of h:mm:ss:ff: so many frames after
    the first one of that second. The last frame for what is behind it; None where it is none."""
    with_frames = _WITH_FRAMES.fullmatch(text.strip())
    seconds = parse_timecode(text if with_frames is None else with_frames[1])
    if seconds is None:
        return None
    if with_frames is None:
        return frame_at(timestamps_s, seconds)
    first = int(np.searchsorted(timestamps_s, seconds - _ROUNDED_S, side="left"))
    return min(first + int(with_frames[2]), len(timestamps_s) - 1)


LARGEST_FRAME_PX: Final = 40.0
_ROUNDED: Final = 1e-9  # of a frame: what a division may be short of a whole one


@dataclass(frozen=True, slots=True)
class TimeScale:
    """A strip of `frame_count` frames, seen through a window of `width_px` pixels.

    Pixels are logical ones, counted from the left edge of the window.
    """

    frame_count: int
    width_px: int
    frame_px: float = 0.0  # 0 and everything below what fits: all frames fit exactly
    scroll_px: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame_px", min(max(self.frame_px, self.fit_px), LARGEST_FRAME_PX))
        most = max(0.0, self.content_px - self.width_px)
        object.__setattr__(self, "scroll_px", min(max(self.scroll_px, 0.0), most))

    @property
    def fit_px(self) -> float:
        """Pixels a frame when all are seen."""
        return min(max(self.width_px, 1) / self.frame_count, LARGEST_FRAME_PX)

    @property
    def content_px(self) -> float:
        return self.frame_count * self.frame_px

    @property
    def is_fit(self) -> bool:
        return self.frame_px <= self.fit_px * 1.0001

    def x(self, frame: float) -> float:
        """The left edge of a frame."""
        return frame * self.frame_px - self.scroll_px

    def center(self, frame: float) -> float:
        return (frame + 0.5) * self.frame_px - self.scroll_px

    def frame(self, x: float) -> int:
        """The frame under a pixel, the nearest one outside the strip."""
        frame = floor((x + self.scroll_px) / self.frame_px + _ROUNDED)
        return max(0, min(frame, self.frame_count - 1))

    def boundary(self, x: float) -> int:
        """The frame whose left edge is nearest to a pixel; `frame_count` at the right end."""
        frame = floor((x + self.scroll_px) / self.frame_px + 0.5)
        return max(0, min(frame, self.frame_count))

    @property
    def first(self) -> int:
        """The first frame that is seen, if only in part."""
        return self.frame(0)

    @property
    def last(self) -> int:
        return self.frame(self.width_px - 1e-6)

    def resized(self, width_px: int) -> "TimeScale":
        """Stays at "all of it" if it was."""
        frame_px = 0.0 if self.is_fit else self.frame_px
        return replace(self, width_px=width_px, frame_px=frame_px)

    def zoomed(self, frame_px: float, x: float) -> "TimeScale":
        """To another size, with what is under the pixel `x` staying there."""
        frame_px = min(max(frame_px, self.fit_px), LARGEST_FRAME_PX)
        position = (x + self.scroll_px) / self.frame_px
        return replace(self, frame_px=frame_px, scroll_px=position * frame_px - x)

    def scrolled(self, scroll_px: float) -> "TimeScale":
        return replace(self, scroll_px=scroll_px)

    def showing(self, frame: int, margin_px: float = 24.0) -> "TimeScale":
        """Scrolled as little as makes the frame seen."""
        left = frame * self.frame_px - margin_px
        right = (frame + 1) * self.frame_px + margin_px
        if left < self.scroll_px:
            return self.scrolled(left)
        if right > self.scroll_px + self.width_px:
            return self.scrolled(right - self.width_px)
        return self

    def columns(self, ratio: float = 1.0) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(W,) first frame and (W,) frame behind the last, for each device pixel of the window
        that shows frames. ratio: device pixels a logical one."""
        seen_px = min(self.width_px, self.content_px - self.scroll_px)
        edges = np.arange(max(1, ceil(seen_px * ratio - 1e-6)) + 1) / ratio
        frames = np.floor((edges + self.scroll_px) / self.frame_px + _ROUNDED).astype(np.intp)
        starts = np.minimum(frames[:-1], self.frame_count - 1)
        stops = np.minimum(np.maximum(frames[1:], starts + 1), self.frame_count)
        return starts, stops
