"""Every frame's status, doubt and objects as arrays, kept in step with the annotation.

The timeline and the panels ask about thousands of frames at a time; looping over records for that
would be felt. A change costs as much as the frames it touched.
"""

from collections.abc import Collection, Iterable, Sequence
from enum import IntEnum
from itertools import chain
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from gui.work.document import Document
from interaction.annotation.types import EMPTY_RECORD, FrameStatus
from interaction.tracking.trust import BESIDE, NextFrame, expected, next_frames

__all__ = ["FrameTable", "Presence"]

_STATUSES: Final = tuple(FrameStatus)  # in rising order of trust
_CODES: Final = {status: code for code, status in enumerate(_STATUSES)}
_TRACKED: Final = _CODES[FrameStatus.TRACKED]
_CORRECTED: Final = _CODES[FrameStatus.CORRECTED]
_CONFIRMED: Final = _CODES[FrameStatus.CONFIRMED]
_PRESENT: Final = attrgetter("objects")
_GIVEN: Final = attrgetter("given")


class Presence(IntEnum):
    """What is known of one object on one frame."""

    MISSING = 0  # no mask yet
    NOT_FOUND = 1  # the frame has a mask, without this object
    ABSENT = 2  # it is not there: the frame is confirmed, or it was taken off by hand
    TRACKED = 3
    CORRECTED = 4
    CONFIRMED = 5


class FrameTable(QObject):
    """One for each document, shared by all who look at many frames: get it from `of`."""

    changed = Signal(set)  # frame indices whose entries are new

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self._document = document
        count = document.frame_count
        self._status = np.zeros(count, np.uint8)
        self._doubt = np.zeros(count, np.float32)
        self._trust: dict[int, NDArray[np.float32]] = {}
        self._no_trust = np.full(count, np.nan, np.float32)
        self._next: tuple[float, tuple[NextFrame, ...]] | None = None
        self._has: dict[int, NDArray[np.bool_]] = {}
        self._given: dict[int, NDArray[np.bool_]] = {}
        self._read(document.annotation.records)
        document.masks_changed.connect(self._follow)

    @classmethod
    def of(cls, document: Document) -> "FrameTable":
        """The document's table, made when it is first asked for."""
        found = document.findChild(cls)
        return found if isinstance(found, cls) else cls(document)

    @property
    def statuses(self) -> NDArray[np.uint8]:
        """(N,) index into FrameStatus, in rising order of trust. Not to be written to."""
        return self._status

    @property
    def doubts(self) -> NDArray[np.float32]:
        """(N,) 0 to 1; 0 where no tracker was asked."""
        return self._doubt

    @property
    def is_tracked(self) -> NDArray[np.bool_]:
        """(N,)"""
        return np.asarray(self._status == _TRACKED)

    @property
    def frames_without_mask(self) -> int:
        """How many frames of the document's range have no mask yet."""
        first, last = self._document.whole_range
        return int(np.count_nonzero(self._status[first : last + 1] < _TRACKED))

    @property
    def has_frames_below_goal(self) -> bool:
        return bool((self._doubt > 1 - self._document.goal).any())

    @property
    def next_frames(self) -> Sequence[NextFrame]:
        """Those whose annotation would repair most, best first; empty once nothing is expected
        below the document's goal. Worked out when it is first asked for after a change."""
        goal = self._document.goal
        if self._next is None or self._next[0] != goal:
            listed = next_frames(self._document.annotation, goal=goal, trust=self._trust)
            self._next = goal, tuple(listed)
        return self._next[1]

    def next_to_annotate(self, frame: int) -> int | None:
        """The first of `next_frames`, or after `frame`, if that is one of them, the one after it;
        from the last to the first again. None if there is none."""
        listed = [one.frame for one in self.next_frames]
        if not listed:
            return None
        return listed[(listed.index(frame) + 1) % len(listed)] if frame in listed else listed[0]

    def trust(self, object_id: int) -> NDArray[np.float32]:
        """(N,) the object's expected IoU; NaN where no tracker has a say. Not to be written to."""
        return self._trust.get(object_id, self._no_trust)

    def has(self, object_id: int) -> NDArray[np.bool_]:
        """(N,) whether the frame has pixels of the object. Not to be written to."""
        return self._of(object_id, self._has)

    def frames_covered(self, object_id: int) -> int:
        found = self._has.get(object_id)
        return 0 if found is None else int(np.count_nonzero(found))

    def presence(self, object_id: int, frames: slice = slice(None)) -> NDArray[np.uint8]:
        """(n,) `Presence` of the object on those frames."""
        status = self._status[frames]
        has = self.has(object_id)[frames]
        is_given = self._of(object_id, self._given)[frames] | (status == _CONFIRMED)
        without = np.where(
            is_given,
            np.uint8(Presence.ABSENT),
            (status >= _TRACKED).astype(np.uint8) * np.uint8(Presence.NOT_FOUND),
        )
        # TRACKED, CORRECTED, CONFIRMED follow each other in both enumerations.
        shift = np.uint8(Presence.TRACKED - _TRACKED)
        trust = np.where(is_given, status, np.minimum(status, _TRACKED))
        return np.where(has, trust + shift, without).astype(np.uint8)

    def _of(self, object_id: int, flags: dict[int, NDArray[np.bool_]]) -> NDArray[np.bool_]:
        found = flags.get(object_id)
        return np.zeros(len(self._status), np.bool_) if found is None else found

    @property
    def given_frames(self) -> NDArray[np.intp]:
        """Ascending: the frames the annotator answers for, the keyframes."""
        return np.flatnonzero(self._status >= _CORRECTED)

    @property
    def frames_to_learn_from(self) -> int:
        """How many keyframes show an object that the annotator answers for there."""
        found = np.zeros(len(self._status), np.bool_)
        for object_id, given in self._given.items():
            found |= given & self.has(object_id)
        return int(np.count_nonzero(found & (self._status >= _CORRECTED)))

    def next_given(self, frame: int) -> int | None:
        """The first keyframe after `frame`."""
        later = self.given_frames
        later = later[later > frame]
        return int(later[0]) if len(later) else None

    def previous_given(self, frame: int) -> int | None:
        earlier = self.given_frames
        earlier = earlier[earlier < frame]
        return int(earlier[-1]) if len(earlier) else None

    def _follow(self, frames: Collection[int]) -> None:
        self._read(frames)
        self.changed.emit(set(frames))

    def _read(self, frames: Iterable[int]) -> None:
        indices = np.fromiter(frames, np.intp)
        self._next = None
        kept = self._document.annotation.records
        records = [kept.get(frame, EMPTY_RECORD) for frame in indices.tolist()]
        self._status[indices] = [_CODES[record.status] for record in records]
        self._read_trust(indices)
        for flags, objects_of in ((self._has, _PRESENT), (self._given, _GIVEN)):
            for flag in flags.values():
                flag[indices] = False
            sets = [objects_of(record) for record in records]
            objects = np.fromiter(chain.from_iterable(sets), np.intp)
            its_frames = np.repeat(indices, np.fromiter(map(len, sets), np.intp))
            for object_id in np.flatnonzero(np.bincount(objects)).tolist():
                if object_id not in flags:
                    flags[object_id] = np.zeros(len(self._status), np.bool_)
                flags[object_id][its_frames[objects == object_id]] = True

    def _read_trust(self, indices: NDArray[np.intp]) -> None:
        """Also of the frames beside, for which its signs count."""
        count = len(self._status)
        is_around = np.zeros(count + 2 * BESIDE, np.bool_)
        for step in range(2 * BESIDE + 1):
            is_around[indices + step] = True
        around = np.flatnonzero(is_around[BESIDE:-BESIDE])
        records = self._document.annotation.records
        near = [records.get(frame, EMPTY_RECORD) for frame in around.tolist()]
        self._doubt[around] = [record.doubt for record in near]
        for row in self._trust.values():
            row[around] = np.nan
        frames, objects, ious = expected(around.tolist(), records)
        self._doubt[frames] = 0
        np.maximum.at(self._doubt, frames, (1 - ious).astype(np.float32))
        for object_id in np.flatnonzero(np.bincount(objects)).tolist():
            if object_id not in self._trust:
                self._trust[object_id] = self._no_trust.copy()
            is_its = objects == object_id
            self._trust[object_id][frames[is_its]] = ious[is_its]
