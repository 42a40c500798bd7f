"""The masks that the annotator answers for, as a propagation uses them.

A run remembers all of them for ever while they are few. Where there are many (a video whose masks
were imported), it remembers those around it and lets go of those far behind, since each one makes
every frame a little slower; the first mask of every object stays.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from interaction.project.mask_files import decode_labels
from interaction.propagation import Run
from interaction.types import FrameRecord, FrameStatus
from xmem_core.arrays import Labels

__all__ = ["MOST_REMEMBERED", "GivenMasks"]

MOST_REMEMBERED: Final = 32  # beside the first mask of each object
_DECODED_KEPT: Final = 8


class GivenMasks(Mapping[int, Labels]):
    """By frame, (H, W) object ids, decoded when they are asked for."""

    def __init__(self, records: Mapping[int, FrameRecord], *, most: int = MOST_REMEMBERED) -> None:
        """records: of given frames; those without a mask are left out."""
        self._records = {f: r for f, r in sorted(records.items()) if r.mask is not None}
        self._decoded: OrderedDict[int, Labels] = OrderedDict()
        self._most = most
        # Objects that each mask holds, but for what a tracker has put into a corrected frame.
        self.present = {f: record.present & record.given for f, record in self._records.items()}
        self._known = frozenset().union(*self.present.values())

    def __getitem__(self, frame: int) -> Labels:
        if frame not in self._decoded:
            mask = self._records[frame].mask
            assert mask is not None
            labels = decode_labels(mask)
            others = self._records[frame].present - self.present[frame]
            if others:
                labels[np.isin(labels, sorted(others))] = 0
            self._decoded[frame] = labels
            if len(self._decoded) > _DECODED_KEPT:
                self._decoded.popitem(last=False)
        self._decoded.move_to_end(frame)
        return self._decoded[frame]

    def __contains__(self, frame: object) -> bool:
        return frame in self._records

    def __iter__(self) -> Iterator[int]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def speaks_for(self, frame: int) -> frozenset[int]:
        """A confirmed frame for every object ever given, a corrected one for its own."""
        record = self._records[frame]
        return self._known if record.status is FrameStatus.CONFIRMED else record.given

    def first_of_each(self, runs: Sequence[Run]) -> frozenset[int]:
        """The frame of each object's first mask, in each run's direction of travel."""
        found: set[int] = set()
        for step in {run.frames.step for run in runs}:
            seen: set[int] = set()
            for frame in sorted(self._records, reverse=step < 0):
                if not self.present[frame] <= seen:
                    found.add(frame)
                    seen |= self.present[frame]
        return frozenset(found)

    def around(self, frame: int, step: int) -> list[int]:
        """The frames worth remembering at `frame`: half of them ahead, the others behind; where
        one side has few, the other gets more. Frames that teach nothing are left out."""
        teaching = [other for other in self._records if self.speaks_for(other)]
        by_distance = sorted(teaching, key=lambda other: abs(other - frame))
        ahead = [other for other in by_distance if (other - frame) * step > 0]
        behind = [other for other in by_distance if (other - frame) * step <= 0]
        half = self._most // 2
        count = max(half, self._most - len(behind))
        chosen = ahead[:count]
        return sorted(chosen + behind[: self._most - len(chosen)])
