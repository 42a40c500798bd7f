"""The annotation itself: a record a frame, and the list of objects. No engines, no disk, no Qt."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from interaction.annotation.mask_files import decode_labels, encode_labels
from interaction.annotation.overlaps import Stack, ids_beneath, ids_in
from interaction.annotation.types import (
    EMPTY_RECORD,
    Edit,
    FrameRecord,
    FrameStatus,
    Matte,
    MemoryRules,
    ObjectInfo,
    Prompts,
    Signs,
)
from xmem_core.arrays import Labels

_DECODED_KEPT: Final = 32  # masks; one of 1080p takes 2 MB


def make_record(
    labels: Labels | Stack,
    status: FrameStatus,
    *,
    doubt: float = 0.0,
    prompts: Prompts | None = None,
    given: Collection[int] | None = None,
    signs: tuple[Signs, ...] = (),
    mattes: tuple[Matte, ...] = (),
) -> FrameRecord:
    """The record of a frame whose mask is `labels` (H, W), uint8 object ids, or of a stack.

    given: the given objects of a corrected frame; by default those in it. mattes: those of
    objects that are not in it are left out.
    """
    stack = labels if isinstance(labels, tuple) else (labels,)
    present = ids_in(stack[0])
    if given is None or status is not FrameStatus.CORRECTED:
        given = present if status.is_given else ()
    mask, *beneath = map(encode_labels, stack)
    covered = ids_beneath(stack)
    return FrameRecord(
        mask,
        status,
        present,
        doubt,
        prompts,
        frozenset(given),
        signs,
        tuple(beneath),
        covered,
        tuple(one for one in mattes if one.object_id in present | covered),
    )


def restacked(record: FrameRecord, labels: Labels | Stack) -> FrameRecord:
    """`record` with another mask, see `make_record`; all that is noted beside it stays."""
    return make_record(
        labels,
        record.status,
        doubt=record.doubt,
        prompts=record.prompts,
        given=record.given,
        signs=record.signs,
        mattes=record.mattes,
    )


def given_objects(records: Iterable[FrameRecord]) -> frozenset[int]:
    """The objects that the annotator has given a mask of on any frame."""
    return frozenset().union(*(record.present & record.given for record in records))


class Annotation:
    """What has been annotated. Changes only by `apply`; one thread at a time."""

    def __init__(
        self,
        frame_count: int,
        width: int,
        height: int,
        *,
        records: Mapping[int, FrameRecord] | None = None,
        objects: Iterable[ObjectInfo] = (),
        memory: MemoryRules | None = None,
    ) -> None:
        if frame_count < 1 or width < 1 or height < 1:
            raise ValueError(
                f"an annotation needs frames and pixels, got {frame_count} of {width}x{height}"
            )
        self.frame_count, self.width, self.height = frame_count, width, height
        self._records = {f: r for f, r in (records or {}).items() if r != EMPTY_RECORD}
        self._objects = tuple(objects)
        # By frame and depth: 0 is the mask, 1 the first layer beneath it.
        self._decoded: OrderedDict[tuple[int, int], tuple[bytes, Labels]] = OrderedDict()
        self._memory = memory or MemoryRules()

    @property
    def records(self) -> Mapping[int, FrameRecord]:
        """By frame, those that are not empty. A view: copy it before giving it to a thread."""
        return MappingProxyType(self._records)

    @property
    def objects(self) -> tuple[ObjectInfo, ...]:
        """In the annotator's order."""
        return self._objects

    @property
    def memory(self) -> MemoryRules:
        """The memory rules: pinned and excluded frames. Safe to call from any thread."""
        return self._memory

    @property
    def locked(self) -> frozenset[int]:
        return frozenset(one.id for one in self._objects if one.is_locked)

    @property
    def keepers(self) -> frozenset[int]:
        """The objects that keep what others cover of them."""
        return frozenset(one.id for one in self._objects if one.keeps_covered)

    def record(self, frame: int) -> FrameRecord:
        """IndexError outside the video."""
        if not 0 <= frame < self.frame_count:
            raise IndexError(f"frame {frame} of a video with frames 0 to {self.frame_count - 1}")
        return self._records.get(frame, EMPTY_RECORD)

    def object(self, object_id: int) -> ObjectInfo:
        """KeyError if there is none."""
        for one in self._objects:
            if one.id == object_id:
                return one
        raise KeyError(f"no object {object_id}; there are {[one.id for one in self._objects]}")

    def labels(self, frame: int) -> Labels:
        """(H, W) uint8 object ids, read-only; zeros where nothing was annotated."""
        mask = self.record(frame).mask
        if mask is None:
            empty: Labels = np.zeros((self.height, self.width), np.uint8)
            empty.flags.writeable = False
            return empty
        return self._layer(frame, 0, mask)

    def stack(self, frame: int) -> Stack:
        """The labels, and what lies beneath them: see `interaction.annotation.overlaps`."""
        beneath = self.record(frame).beneath
        layers = (self._layer(frame, depth, one) for depth, one in enumerate(beneath, start=1))
        return (self.labels(frame), *layers)

    def _layer(self, frame: int, depth: int, mask: bytes) -> Labels:
        place = frame, depth
        kept = self._decoded.get(place)
        if kept is not None and kept[0] is mask:
            self._decoded.move_to_end(place)
            return kept[1]
        labels = decode_labels(mask)
        labels.flags.writeable = False
        self._decoded[place] = mask, labels
        if len(self._decoded) > _DECODED_KEPT:
            self._decoded.popitem(last=False)
        return labels

    def apply(self, edit: Edit) -> None:
        """ValueError, and nothing changed, if the edit was not made from this state."""
        # Undoing a run goes over thousands of records.
        for frame in (min(edit.before), max(edit.before)) if edit.before else ():
            self.record(frame)
        for frame, record in edit.before.items():
            now = self._records.get(frame, EMPTY_RECORD)
            if now is not record and now != record:
                raise ValueError(f"“{edit.label}” was made from another state of frame {frame}")
        if edit.objects_before is not None and edit.objects_before != self._objects:
            raise ValueError(f"“{edit.label}” was made from another list of objects")
        if edit.memory_before is not None and edit.memory_before != self._memory:
            raise ValueError(f"“{edit.label}” was made from other rules of memory")
        for frame, record in edit.after.items():
            if record is EMPTY_RECORD or (record.mask is None and record == EMPTY_RECORD):
                self._records.pop(frame, None)
            else:
                self._records[frame] = record
        if edit.objects_after is not None:
            self._objects = edit.objects_after
        if edit.memory_after is not None:
            self._memory = edit.memory_after
