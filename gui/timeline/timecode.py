"""Moments of a video as people write them: 00:01:02.480."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
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
    """As short as it can be said: 0:07, 1:02:03, 0:07.48"""
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
