"""What an import will bring, found before anything is changed."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from interaction.project.exporters.gaps import count_frames, describe_frames
from interaction.project.importers.mask_set import MaskSet, Surroundings
from interaction.project.importers.recognise import recognise_masks
from interaction.project.video import Video
from interaction.types import FrameRecord, FrameStatus, ObjectInfo
from xmem_core.pictures import Labels

__all__ = ["ImportPreview", "ImportTarget", "ImportedObject", "preview_import"]


class ImportTarget(Protocol):
    """What masks are imported into; an `Annotation` is one."""

    @property
    def records(self) -> Mapping[int, FrameRecord]: ...

    @property
    def objects(self) -> tuple[ObjectInfo, ...]: ...

    frame_count: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ImportedObject:
    """An object of the masks, and which object of the annotation it is taken for."""

    key: int  # what `object_ids` of `import_masks` calls it
    name: str | None  # None where the masks tell none
    color: tuple[int, int, int] | None
    frame_count: int
    object_id: int  # suggested: an id in use means that very object, a free one a new object


@dataclass(frozen=True, slots=True, eq=False)
class ImportPreview:
    """Masks that were recognised, and what they would meet. Nothing has been changed."""

    path: Path
    format: str  # a name in FORMATS, or "pictures"
    title: str  # for people
    objects: tuple[ImportedObject, ...]
    frames: tuple[int, ...]  # with a mask, ascending
    width: int  # of the video; masks of other sizes are brought to it, each pixel by its nearest
    height: int
    resized: Mapping[tuple[int, int], int]  # (width, height) of such masks -> how many
    # Frame -> keys of the objects in its mask, as it is once it has the video's size.
    present: Mapping[int, frozenset[int]]
    lost: Mapping[int, frozenset[int]]  # frame -> keys whose few pixels are gone by then
    conflicts: tuple[int, ...]  # frames that have a mask already
    given_conflicts: tuple[int, ...]  # those of them that were made or confirmed by hand
    unmatched: tuple[str, ...]  # files that belong to no frame
    remarks: tuple[str, ...]
    masks: MaskSet

    def keys(self, frame: int) -> Labels:
        """(height, width) keys of a frame's mask, at the video's size. UserError."""
        return _at_size(self.masks.read(frame), self.width, self.height)

    def lines(self) -> list[str]:
        """All of it for people, a sentence a line."""
        lines = [f"{self.title}; {count_frames(len(self.frames))}: {describe_frames(self.frames)}"]
        for (width, height), count in self.resized.items():
            lines.append(
                f"{count} masks are {width} × {height} pixels and will be resized to "
                f"{self.width} × {self.height}, each pixel taking the nearest one's value"
            )
        if self.conflicts:
            lines.append(
                f"of {count_frames(len(self.conflicts))} there is a mask already: "
                f"{describe_frames(self.conflicts)}"
            )
        if self.unmatched:
            more = "" if len(self.unmatched) == 1 else f" and {len(self.unmatched) - 1} more"
            lines.append(f"belongs to no frame: {self.unmatched[0]}{more}")
        return [*lines, *self.remarks]

    def to_json(self) -> dict[str, object]:
        return {
            "path": str(self.path),
            "format": self.format,
            "title": self.title,
            "objects": [
                {
                    "key": one.key,
                    "name": one.name,
                    "color": one.color and "#{:02x}{:02x}{:02x}".format(*one.color),
                    "frames": one.frame_count,
                    "object": one.object_id,
                }
                for one in self.objects
            ],
            "frames": list(self.frames),
            "resized": [
                {"width": width, "height": height, "frames": count}
                for (width, height), count in self.resized.items()
            ],
            "conflicts": list(self.conflicts),
            "given_conflicts": list(self.given_conflicts),
            "unmatched": list(self.unmatched),
            "remarks": list(self.remarks),
        }


def preview_import(
    path: Path,
    video: Video,
    annotation: ImportTarget,
    *,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> ImportPreview:
    """Recognises the masks in `path`, a folder or a file, and reads each as it would be imported.

    on_progress: called with (done, total) steps; an exception it raises cancels. Raises UserError:
    nothing recognised, damaged, hostile, for another video.
    """
    path = Path(path)
    progress = _Progress(on_progress)
    around = Surroundings(
        names=[video.name(frame) for frame in range(len(video))],
        width=annotation.width,
        height=annotation.height,
        sequence=video.path.name if video.path.is_dir() else video.path.stem,
        on_progress=progress.recognising,
    )
    # Records never change: what is looked at here may go on being edited.
    records, objects = dict(annotation.records), annotation.objects
    masks = recognise_masks(path, around)
    frames = tuple(masks.sizes)
    other_sizes = Counter(
        size for size in masks.sizes.values() if size != (around.width, around.height)
    )
    present, lost = _read_all(masks, around, progress)
    conflicts = tuple(
        frame
        for frame in frames
        if frame in records and records[frame].status is not FrameStatus.EMPTY
    )
    return ImportPreview(
        path=path,
        format=masks.format,
        title=masks.title,
        objects=_suggest(masks, present, objects),
        frames=frames,
        width=around.width,
        height=around.height,
        resized=dict(other_sizes),
        present=present,
        lost=lost,
        conflicts=conflicts,
        given_conflicts=tuple(f for f in conflicts if records[f].status.is_given),
        unmatched=masks.unmatched,
        remarks=masks.remarks,
        masks=masks,
    )


class _Progress:
    """Of two passes that take about as long: over the files, and over the frames."""

    def __init__(self, on_progress: Callable[[int, int], object]) -> None:
        self._tell = on_progress
        self._files = 0

    def recognising(self, done: int, total: int) -> None:
        self._files = total
        self._tell(done, 2 * total)

    def reading(self, done: int, total: int) -> None:
        files = self._files or total
        self._tell(files + done * files // total, 2 * files)


def _read_all(
    masks: MaskSet, around: Surroundings, progress: _Progress
) -> tuple[dict[int, frozenset[int]], dict[int, frozenset[int]]]:
    """Frame -> keys that its mask has at the video's size, and those that it had before."""
    present: dict[int, frozenset[int]] = {}
    lost: dict[int, frozenset[int]] = {}
    for done, frame in enumerate(masks.sizes, start=1):
        read = masks.read(frame)
        keys = _at_size(read, around.width, around.height)
        present[frame] = _keys_in(keys)
        if keys is not read and (gone := _keys_in(read) - present[frame]):
            lost[frame] = gone
        progress.reading(done, len(masks.sizes))
    return present, lost


def _at_size(keys: Labels, width: int, height: int) -> Labels:
    if keys.shape == (height, width):
        return keys
    return np.asarray(
        cv2.resize(keys, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8
    )


def _keys_in(labels: Labels) -> frozenset[int]:
    counts = cv2.calcHist([np.ascontiguousarray(labels)], [0], None, [256], [0, 256])
    return frozenset(np.flatnonzero(counts).tolist()) - {0}


def _suggest(
    masks: MaskSet, present: Mapping[int, frozenset[int]], existing: tuple[ObjectInfo, ...]
) -> tuple[ImportedObject, ...]:
    """Masks with ids keep them; other objects are taken for one of the same name, or are new."""
    chosen: dict[int, int] = {}
    if masks.has_ids:
        chosen = {one.key: one.key for one in masks.objects}
    else:
        by_name = {one.name: one.id for one in reversed(existing)}
        for one in masks.objects:
            known = by_name.pop(one.name, None) if one.name else None
            if known is not None:
                chosen[one.key] = known
        taken = {one.id for one in existing}
        free = (number for number in range(1, 256) if number not in taken)
        for one in masks.objects:
            if one.key not in chosen:
                chosen[one.key] = next(free, 0)  # 0: there is no room for it
    counts = Counter(key for keys in present.values() for key in keys)
    return tuple(
        ImportedObject(one.key, one.name, one.color, counts[one.key], chosen[one.key])
        for one in masks.objects
    )
