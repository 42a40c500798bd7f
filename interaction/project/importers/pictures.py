"""Masks that are pictures: a folder of them, or a folder for each object."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from interaction.errors import UserError
from interaction.project.importers.frame_places import place_files
from interaction.project.importers.mask_set import MOST_OBJECTS, FoundObject, MaskSet, Surroundings
from interaction.project.importers.object_names import NamedObject, clean_name
from interaction.project.importers.picture_values import (
    PictureReading,
    ValueKind,
    learn_pictures,
    read_picture_mask,
)
from interaction.project.mask_folders import find_masks, list_pictures, natural_key
from xmem_core.pictures import Labels

__all__ = ["object_folders", "read_object_folders", "read_pictures"]

_FORMAT_OF: Final = {
    ValueKind.IDS: "palette-png",
    ValueKind.MOTS: "mots",
    ValueKind.MATTE: "matte",
    ValueKind.COLORS: "pictures",
    ValueKind.CUT_OUT: "cut-outs",
}


def read_pictures(
    source: Path, around: Surroundings, named: Mapping[int, NamedObject], title: str | None = None
) -> MaskSet:
    """source: a folder of pictures with all objects in each, or one such picture.

    named: what is known about objects by id. UserError.
    """
    if source.is_dir():
        files = list_pictures(source)
        found = place_files(files, around)
        by_frame, unmatched = found.by_frame, found.unmatched
    else:
        by_frame, unmatched = find_masks(source, around.names).by_frame, ()
    paths = list(by_frame.values())
    sizes: list[tuple[int, int]] = []

    def note(path: Path, size: tuple[int, int]) -> None:
        sizes.append(size)
        around.on_progress(len(sizes), len(paths))

    reading = learn_pictures(paths, on_each=note)
    objects = _objects_of(reading, named)
    remarks = []
    if reading.is_antialiased:
        remarks.append("Smoothed edges are made hard: each pixel goes to the nearest real colour.")
    elif reading.kind is ValueKind.MATTE:
        remarks.append("Pixels of at least half white are the object.")
    return MaskSet(
        format=_FORMAT_OF[reading.kind],
        title=title or f"Pictures: {reading.kind.value}",
        objects=objects,
        sizes=dict(zip(by_frame, sizes, strict=True)),
        read=lambda frame: read_picture_mask(by_frame[frame], reading),
        has_ids=reading.has_ids,
        unmatched=tuple(path.name for path in unmatched),
        remarks=tuple(remarks),
    )


def object_folders(folder: Path) -> list[Path]:
    """Its subfolders that hold pictures, in natural order."""
    subfolders = [
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    ]
    return sorted(
        (path for path in subfolders if list_pictures(path)),
        key=lambda path: natural_key(path.name),
    )


def read_object_folders(
    folders: list[Path], around: Surroundings, named: Mapping[int, NamedObject]
) -> MaskSet:
    """A folder for each object: binary masks, mattes or cut-outs. Where they overlap, the later
    object lies on top. UserError."""
    if len(folders) > MOST_OBJECTS:
        raise UserError(
            f"There are {len(folders)} folders, and a video has at most {MOST_OBJECTS} objects. "
            "Nothing was changed.\n\nChoose a folder with a subfolder for each object."
        )
    placed = [place_files(list_pictures(folder), around) for folder in folders]
    total = sum(len(found.by_frame) for found in placed)
    sizes: dict[int, tuple[int, int]] = {}
    readings: dict[int, PictureReading] = {}
    paths: dict[int, dict[int, Path]] = {}  # key -> frame -> file
    objects: list[FoundObject] = []
    unmatched: list[str] = []
    numbers = [_leading_number(folder.name) for folder in folders]
    has_ids = None not in numbers and len(set(numbers)) == len(numbers)
    done = 0
    for position, (folder, found) in enumerate(zip(folders, placed, strict=True)):
        key = numbers[position] if has_ids else position + 1
        assert key is not None
        frame_of = {path: frame for frame, path in found.by_frame.items()}

        def note(path: Path, size: tuple[int, int], frame_of: dict[Path, int] = frame_of) -> None:
            nonlocal done
            done += 1
            if sizes.setdefault(frame_of[path], size) != size:
                raise UserError(
                    f"“{path.parent.name}/{path.name}” is {size[0]} × {size[1]} pixels, and the "
                    "same frame of another object is not. Nothing was changed.\n\nExport the "
                    "masks again, all of one size."
                )
            around.on_progress(done, total)

        readings[key] = learn_pictures(list(found.by_frame.values()), is_single=True, on_each=note)
        paths[key] = dict(found.by_frame)
        known = named.get(key) if has_ids else None
        name = known.name if known else clean_name(_name_without_number(folder.name))
        color = known.color if known else None
        objects.append(FoundObject(key, name, color))
        unmatched += [f"{folder.name}/{path.name}" for path in found.unmatched]

    def read(frame: int) -> Labels:
        width, height = sizes[frame]
        labels: Labels = np.zeros((height, width), np.uint8)
        for key, by_frame in paths.items():
            if frame in by_frame:
                labels[read_picture_mask(by_frame[frame], readings[key]) > 0] = key
        return labels

    is_cut_out = any(one.kind is ValueKind.CUT_OUT for one in readings.values())
    return MaskSet(
        format="cut-outs" if is_cut_out else "matte",
        title="A folder for each object: cut-outs" if is_cut_out else "A folder for each object",
        objects=tuple(sorted(objects, key=lambda one: one.key)),
        sizes=dict(sorted(sizes.items())),
        read=read,
        has_ids=has_ids,
        unmatched=tuple(unmatched),
        remarks=("Pixels of at least half white, or half opaque, are the object.",),
    )


def _objects_of(
    reading: PictureReading, named: Mapping[int, NamedObject]
) -> tuple[FoundObject, ...]:
    if reading.kind in (ValueKind.MATTE, ValueKind.CUT_OUT):
        only = next(iter(named.values())) if len(named) == 1 else None
        name, color = only or (None, None)
        return (FoundObject(1, name, color),)
    objects = [FoundObject(key) for key in sorted(set(reading.keys.values()) - {0})]
    for position, one in enumerate(objects):
        color = reading.colors.get(one.key)
        known = named.get(one.key) if reading.has_ids else None
        objects[position] = replace(
            one, name=known and known.name, color=(known and known.color) or color
        )
    return tuple(objects)


def _leading_number(name: str) -> int | None:
    """The id in "003-dog" or "3"."""
    digits = name.partition("-")[0].strip()
    is_id = digits.isascii() and digits.isdigit() and len(digits) <= 3
    return int(digits) if is_id and 1 <= int(digits) <= MOST_OBJECTS else None


def _name_without_number(name: str) -> str | None:
    if _leading_number(name) is None:
        return name
    return name.partition("-")[2] or None
