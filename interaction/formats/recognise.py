"""What kind of masks a folder or file holds: the layouts of data sets, and plain pictures."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from interaction.annotation.mask_folders import list_pictures
from interaction.errors import UserError
from interaction.formats.coco import is_coco, is_youtube_vis, read_coco, read_youtube_vis
from interaction.formats.format import OBJECTS_JSON
from interaction.formats.mask_set import (
    MaskSet,
    NamedObject,
    Surroundings,
    names_in_meta,
    names_in_objects_json,
    read_json,
)
from interaction.formats.pictures import object_folders, read_object_folders, read_pictures
from interaction.formats.yolo import label_files, read_yolo

__all__ = ["recognise_masks"]

# Files of ours and of others that hold no masks.
_OTHER_JSON: Final = {OBJECTS_JSON, "meta.json", "project.json", "report.json"}
_META: Final = "meta.json"


def recognise_masks(path: Path, around: Surroundings) -> MaskSet:
    """Finds out what `path` is and looks through it, without keeping a mask. Raises UserError."""
    if path.is_file():
        if path.suffix.lower() == ".json":
            return _of_json(path, read_json(path), around)
        return read_pictures(path, around, {})
    if not path.is_dir():
        raise UserError(f"There is no file or folder “{path}”.\n\nCheck its name.")
    try:
        return _of_folder(path, around)
    except OSError as error:
        raise UserError(
            f"The folder “{path.name}” could not be read: {error.strerror or error}. Nothing was "
            "changed.\n\nCheck that you may open it and everything in it."
        ) from error


def _of_folder(folder: Path, around: Surroundings) -> MaskSet:
    named = names_in_objects_json(folder)
    for candidate in _json_files(folder):
        data = read_json(candidate)
        if is_coco(data) or is_youtube_vis(data):
            return _named(_of_json(candidate, data, around), named)
    is_yolo = (folder / "labels").is_dir() or (folder / "data.yaml").is_file()
    if is_yolo and label_files(folder):
        return read_yolo(folder, around)
    if (folder / "Annotations").is_dir():
        sequence = _sequence(folder / "Annotations", around)
        meta = folder / _META
        named = named or names_in_meta(meta, sequence.name)
        title = "YouTube-VOS" if meta.is_file() else "DAVIS"
        return read_pictures(sequence, around, named, title)
    if (folder / "instances").is_dir():
        return read_pictures(_sequence(folder / "instances", around), around, named, "MOTS PNG")
    if list_pictures(folder):
        return read_pictures(folder, around, named)
    if label_files(folder):
        return read_yolo(folder, around)
    if (folder / "masks").is_dir() and list_pictures(folder / "masks"):
        return read_pictures(folder / "masks", around, named)
    folders = object_folders(folder)
    of_sequence = [one for one in folders if one.name == around.sequence]
    if of_sequence and not named:
        return read_pictures(of_sequence[0], around, named)
    if len(folders) == 1 and not named:
        return read_pictures(folders[0], around, named)
    if folders:
        return read_object_folders(folders, around, named)
    raise UserError(
        f"There are no masks in “{folder.name}”: no pictures, no COCO or YouTube-VIS file and no "
        "YOLO labels. Nothing was changed.\n\nChoose the folder that holds the masks."
    )


def _of_json(path: Path, data: Any, around: Surroundings) -> MaskSet:
    if is_youtube_vis(data):
        return read_youtube_vis(path, data, around)
    if is_coco(data):
        return read_coco(path, data, around)
    raise UserError(
        f"“{path.name}” holds no masks that can be read: it is damaged, or neither a COCO nor a "
        "YouTube-VIS file. Nothing was changed.\n\nExport it again from the program that made it."
    )


def _named(masks: MaskSet, named: Mapping[int, NamedObject]) -> MaskSet:
    """With the names and colours an export of ours left beside the file."""
    if not masks.has_ids:
        return masks
    objects = tuple(
        replace(one, name=known.name or one.name, color=known.color)
        if (known := named.get(one.key)) is not None
        else one
        for one in masks.objects
    )
    return replace(masks, objects=objects)


def _json_files(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / "annotations"):
        if place.is_dir():
            yield from sorted(
                path
                for path in place.glob("*.json")
                if path.name not in _OTHER_JSON and not path.name.startswith(".")
            )


def _sequence(root: Path, around: Surroundings) -> Path:
    """The folder of this video's masks below `root`, which may sort sequences by resolution."""
    found = [root] if list_pictures(root) else []
    below = [path for path in sorted(root.iterdir()) if path.is_dir()]
    deeper = [one for path in below for one in sorted(path.iterdir()) if one.is_dir()]
    found += [path for path in (*below, *deeper) if list_pictures(path)]
    called = [path for path in found if path.name == around.sequence]
    if len(found) == 1 or len(called) == 1:
        return (called or found)[0]
    names = ", ".join(path.name for path in found[:10])
    raise UserError(
        f"“{root.name}” holds masks of {len(found)} videos, and it is not clear which belong to "
        f"“{around.sequence}”. Nothing was changed.\n\nChoose one folder of masks: {names}."
        if found
        else f"There is no mask below “{root.name}”. Nothing was changed.\n\n"
        "Choose the folder that holds the masks."
    )
