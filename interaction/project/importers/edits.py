"""Recognised masks as edits of the annotation: one undo step, a frame at a time."""

import uuid
from collections.abc import Callable, Generator, Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation import make_record
from interaction.errors import UserError
from interaction.object_colors import next_color
from interaction.project.importers.preview import ImportPreview, ImportTarget
from interaction.project.mask_files import decode_labels
from interaction.types import EMPTY_RECORD, FrameRecord, FrameStatus, MaskEdit, ObjectInfo
from xmem_core.pictures import Labels

__all__ = ["import_masks"]

_STATUSES: Final = (FrameStatus.CONFIRMED, FrameStatus.TRACKED)


def import_masks(
    preview: ImportPreview,
    annotation: ImportTarget,
    *,
    object_ids: Mapping[int, int] | None = None,
    status: FrameStatus = FrameStatus.CONFIRMED,
    replaces_given: bool = False,
    keeps_others: bool = False,
    first: int = 0,
    last: int | None = None,
) -> Generator[MaskEdit, None, None]:
    """Edits to apply one after another; all have one group, so they are one step of the history.

    object_ids: key -> object id, 0 or absent: left out; None: as the preview suggests. Several
    keys may go to one object. An id that is not in use yet makes a new object.
    status: CONFIRMED, or TRACKED for masks that a propagation may replace.
    replaces_given: also frames whose mask was made or confirmed by hand. keeps_others: other
    objects keep their pixels where the imported ones have none; otherwise the imported mask is
    the whole frame. first, last: frames outside are left out. A locked object neither loses nor
    gains a pixel.

    Call it on the thread that owns the annotation: what is there now is what the edits start
    from. The generator may be pulled on any thread. Raises UserError when nothing can be
    imported, or while running for a damaged file; the frames before it then stay imported.
    """
    if status not in _STATUSES:
        raise ValueError(f"status must be confirmed or tracked, got {status}")
    chosen = dict(object_ids or {})
    if object_ids is None:
        chosen = {one.key: one.object_id for one in preview.objects}
    known = {one.key for one in preview.objects}
    if not set(chosen) <= known:
        raise ValueError(f"object_ids must have keys of {sorted(known)}, got {sorted(chosen)}")
    if not all(0 <= one <= 255 for one in chosen.values()):
        raise ValueError(f"object_ids must be 0 to 255, got {sorted(chosen.values())}")
    records = dict(annotation.records)
    objects = annotation.objects
    locked = frozenset(one.id for one in objects if one.is_locked)
    frames = [
        frame
        for frame in preview.frames
        if frame >= first
        and (last is None or frame <= last)
        and (replaces_given or not records.get(frame, EMPTY_RECORD).status.is_given)
    ]
    if not frames:
        raise UserError(
            "None of these masks would be imported: every frame of them has a mask that was made "
            "or confirmed by hand, or lies outside the range. Nothing was changed.\n\nAllow those "
            "frames to be replaced, or choose another range."
        )
    ids = np.zeros(256, np.uint8)
    for key, object_id in chosen.items():
        ids[key] = object_id
    all_objects = _with_new(objects, preview, chosen)
    merge = _merging(ids, locked, keeps_others=keeps_others)
    return _edits(preview, records, frames, objects, all_objects, merge, status)


_Merge = Callable[[Labels, Labels], Labels]


def _edits(
    preview: ImportPreview,
    records: Mapping[int, FrameRecord],
    frames: list[int],
    objects: tuple[ObjectInfo, ...],
    all_objects: tuple[ObjectInfo, ...],
    merge: _Merge,
    status: FrameStatus,
) -> Generator[MaskEdit, None, None]:
    label, group = f"Import “{preview.path.name}”", uuid.uuid4().hex
    cause = {"kind": "import", "path": str(preview.path), "format": preview.format}
    if all_objects != objects:
        yield MaskEdit(
            label,
            objects_before=objects,
            objects_after=all_objects,
            group=group,
            cause=cause,
        )
    size = preview.width, preview.height
    empty: Labels = np.zeros((preview.height, preview.width), np.uint8)
    for frame in frames:
        keys = preview.masks.read(frame)
        if keys.shape != empty.shape:
            keys = np.asarray(cv2.resize(keys, size, interpolation=cv2.INTER_NEAREST_EXACT))
        before = records.get(frame, EMPTY_RECORD)
        old = empty if before.mask is None else decode_labels(before.mask)
        after = make_record(merge(old, keys), status)
        if after != before:
            yield MaskEdit(label, {frame: before}, {frame: after}, group=group, cause=cause)


def _merging(ids: NDArray[np.uint8], locked: frozenset[int], *, keeps_others: bool) -> _Merge:
    is_locked = np.zeros(256, np.bool_)
    is_locked[list(locked)] = True
    is_imported = np.zeros(256, np.bool_)
    is_imported[ids[ids > 0]] = True
    open_ids = np.where(is_locked[ids], 0, ids).astype(np.uint8)

    def merge(old: Labels, keys: Labels) -> Labels:
        new = open_ids[keys]
        kept = is_locked[old]
        if keeps_others:
            kept |= (new == 0) & ~is_imported[old]
        return np.where(kept, old, new).astype(np.uint8)

    return merge


def _with_new(
    objects: tuple[ObjectInfo, ...], preview: ImportPreview, chosen: Mapping[int, int]
) -> tuple[ObjectInfo, ...]:
    """The list with the objects that the import adds at its end."""
    result = list(objects)
    used_names = {one.name for one in objects}
    for one in preview.objects:
        object_id = chosen.get(one.key, 0)
        if object_id == 0 or any(other.id == object_id for other in result):
            continue
        name = one.name or f"Object {object_id}"
        if name in used_names:  # two of one name could not be told apart
            name = f"{name} {object_id}"
        used_names.add(name)
        color = one.color or next_color(other.color for other in result)
        result.append(ObjectInfo(object_id, name, color))
    return tuple(result)
