"""What an export would lack: which object has no mask on which of the frames asked for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from interaction.types import EMPTY_RECORD, FrameRecord, FrameStatus, ObjectInfo

__all__ = ["ObjectGap", "count_frames", "describe_frames", "find_gaps"]

_MOST_SPANS: Final = 6


@dataclass(frozen=True, slots=True)
class ObjectGap:
    """An object that is on some of the frames only."""

    object: ObjectInfo
    frames: tuple[int, ...]  # those without a mask of it, ascending
    is_everywhere: bool  # it has no mask on any of the frames

    def __str__(self) -> str:
        if self.is_everywhere:
            return f"object ‘{self.object.name}’ has no mask on any of the frames"
        return (
            f"object ‘{self.object.name}’ has no mask on {count_frames(len(self.frames))}: "
            f"{describe_frames(self.frames)}"
        )


def find_gaps(
    records: Mapping[int, FrameRecord], objects: Sequence[ObjectInfo], frames: Sequence[int]
) -> tuple[ObjectGap, ...]:
    """In the objects' order. A confirmed frame says that an object not in it is absent, so it is
    no gap; any other frame without the object is."""
    missing: dict[int, list[int]] = {one.id: [] for one in objects}
    found: set[int] = set()
    for frame in frames:
        record = records.get(frame, EMPTY_RECORD)
        found |= record.present
        if record.status is FrameStatus.CONFIRMED:
            continue
        for object_id, gap in missing.items():
            if object_id not in record.present:
                gap.append(frame)
    return tuple(
        ObjectGap(one, tuple(missing[one.id]), one.id not in found)
        for one in objects
        if missing[one.id] or one.id not in found
    )


def count_frames(count: int) -> str:
    return f"{count} frame" if count == 1 else f"{count} frames"


def describe_frames(frames: Iterable[int]) -> str:
    """Ascending frame numbers as spans: "3-9, 40-44, 60"."""
    spans: list[list[int]] = []
    for frame in frames:
        if spans and frame == spans[-1][1] + 1:
            spans[-1][1] = frame
        else:
            spans.append([frame, frame])
    texts = [f"{first}-{last}" if last > first else str(first) for first, last in spans]
    more = len(texts) - _MOST_SPANS
    return ", ".join(texts[:_MOST_SPANS]) + (f" and {more} more spans" if more > 0 else "")
