"""YOLO segmentation files as masks: polygons in fractions of the picture's size."""

import json
import math
import re
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interaction.project.exporters.polygons import fill_polygons
from interaction.project.importers.frame_places import place_files
from interaction.project.importers.mask_set import (
    MOST_OBJECTS,
    FoundObject,
    MaskSet,
    Surroundings,
    damaged,
)
from interaction.project.importers.object_names import clean_name
from interaction.project.mask_folders import natural_key
from xmem_core.pictures import Labels

__all__ = ["label_files", "read_yolo"]

_MOST_BYTES: Final = 64 * 2**20  # a file
_NAME_LINE: Final = re.compile(r"\s+(\d{1,6})\s*:\s*(.+)|\s*-\s+(.+)")


def label_files(folder: Path) -> list[Path]:
    """Text files of labels in `folder` or in its folder “labels”, in natural order."""
    root = folder / "labels" if (folder / "labels").is_dir() else folder
    found = [*root.glob("*.txt"), *root.glob("*/*.txt")] if root != folder else root.glob("*.txt")
    files = [path for path in found if not path.name.startswith(".") and path.is_file()]
    return sorted(files, key=lambda path: natural_key(path.name))


def read_yolo(folder: Path, around: Surroundings) -> MaskSet:
    """Every class is one object; its key is the class + 1. UserError."""
    found = place_files(label_files(folder), around)
    numbers: set[int] = set()
    boxes = 0
    for done, path in enumerate(found.by_frame.values(), start=1):
        polygons, boxes_here = _read_file(path)
        boxes += boxes_here
        numbers |= {number for number, _ in polygons}
        around.on_progress(done, len(found.by_frame))
    if max(numbers, default=0) >= MOST_OBJECTS:
        raise damaged(folder, f"it has the class {max(numbers)}; at most {MOST_OBJECTS} fit")
    names = _class_names(folder)
    size = np.array([around.width, around.height])

    def read(frame: int) -> Labels:
        labels: Labels = np.zeros((around.height, around.width), np.uint8)
        for number, shares in _read_file(found.by_frame[frame])[0]:
            # Rounded down, as the format's own programs do; 1.0 is the last pixel's far side.
            points = np.floor(shares * size).clip(0, size - 1).astype(np.int32)
            labels[fill_polygons([points], around.width, around.height)] = number + 1
        return labels

    remarks = [f"{boxes} boxes without an outline are left out."] if boxes else []
    return MaskSet(
        format="yolo",
        title="YOLO segmentation",
        objects=tuple(FoundObject(number + 1, names.get(number)) for number in sorted(numbers)),
        sizes=dict.fromkeys(found.by_frame, (around.width, around.height)),
        read=read,
        has_ids=False,
        unmatched=tuple(path.name for path in found.unmatched),
        remarks=(*remarks, "Every class is read as one object."),
    )


def _read_file(path: Path) -> tuple[list[tuple[int, NDArray[np.float64]]], int]:
    """(class, (N, 2) shares of width and height) a line; and how many lines are only boxes."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise damaged(path, "it is enormous")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise damaged(path, "it is not a text file that can be read") from error
    polygons: list[tuple[int, NDArray[np.float64]]] = []
    boxes = 0
    for line_number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            number = int(fields[0])
            values = [float(field) for field in fields[1:]]
        except ValueError:
            raise damaged(path, f"line {line_number} holds something that is no number") from None
        if len(values) == 4:
            boxes += 1
            continue
        is_sound = len(values) >= 6 and len(values) % 2 == 0 and number >= 0
        if not is_sound or not all(math.isfinite(value) for value in values):
            raise damaged(path, f"line {line_number} is not a class and the points of a polygon")
        polygons.append((number, np.array(values).clip(0, 1).reshape(-1, 2)))
    return polygons, boxes


def _class_names(folder: Path) -> dict[int, str | None]:
    """The names in data.yaml, in the two ways in which they are written."""
    path = folder / "data.yaml"
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size < _MOST_BYTES else ""
    except (OSError, UnicodeError):
        return {}
    _, found, rest = ("\n" + text).partition("\nnames:")
    if not found:
        return {}
    first, _, lines = rest.partition("\n")
    if first.strip().startswith("["):
        inside = rest[rest.index("[") + 1 :].partition("]")[0]
        return {number: _name(name) for number, name in enumerate(inside.split(","))}
    names: dict[int, str | None] = {}
    for line in lines.splitlines():
        match = _NAME_LINE.fullmatch(line)
        if match is None:
            break
        number = int(match[1]) if match[1] else len(names)
        names[number] = _name(match[2] or match[3])
    return names


def _name(text: str) -> str | None:
    text = text.strip()
    if text.startswith('"'):
        try:
            return clean_name(json.loads(text))
        except ValueError:
            pass
    return clean_name(text.strip("'\""))
