"""What kind of masks a folder or file holds: the layouts of data sets, and plain pictures."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeGuard

from interaction.annotation.mask_folders import list_pictures
from interaction.errors import UserError
from interaction.files import JsonObject, is_file, is_folder, read_regular
from interaction.formats.cvat import from_cvat
from interaction.formats.format import OBJECTS_JSON
from interaction.formats.label_studio import from_label_studio, is_label_studio
from interaction.formats.mask_set import (
    MaskSet,
    NamedObject,
    Surroundings,
    clean_name,
    damaged,
    names_in_meta,
    names_in_objects_json,
    only_boxes,
    presence_in_objects_json,
    read_json,
    read_text,
    readable,
)
from interaction.formats.pictures import (
    FolderKind,
    folder_kind,
    object_folders,
    read_object_folders,
    read_pictures,
)
from interaction.formats.shapes import (
    ShapeList,
    from_coco,
    from_labelme,
    from_mots_text,
    from_supervisely,
    from_youtube_vis,
    is_mots_text,
    read_shapes,
)
from interaction.formats.yolo import label_files, read_yolo
from xmem_core.messages import Message

__all__ = ["recognise_masks"]

# Files of ours and of others that hold no masks.
_OTHER_JSON: Final = {OBJECTS_JSON, "meta.json", "project.json", "report.json"}
_META: Final = "meta.json"
_NO_PICTURES: Final = {
    *(".zip", ".rar", ".7z", ".tar", ".gz", ".npy", ".npz", ".mat", ".h5", ".hdf5", ".nii", ".pkl"),
    *(".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".gif"),
}
_MOST_MAP_BYTES: Final = 2**20
_LEVEL: Final = re.compile(r"[0-9]{1,3}")


def recognise_masks(path: Path, around: Surroundings) -> MaskSet:
    """Finds out what `path` is and looks through it, without keeping a mask. Raises UserError."""
    if is_file(path):
        if path.suffix.lower() == ".json":
            return _of_json(path, read_json(path), around)
        if path.suffix.lower() in (".xml", ".txt"):
            return _of_text(path, around)
        if path.suffix.lower() in _NO_PICTURES:
            raise UserError(
                "“{name}” is no picture and no list of masks. Nothing was changed.\n\n"
                "Unpack an archive; save the masks of a video, of an animation or of an array as "
                "PNG pictures whose names tell the frame.",
                name=path.name,
            )
        return read_pictures(path, around, {})
    if not is_folder(path):
        raise UserError("There is no file or folder “{path}”.\n\nCheck its name.", path=path)
    try:
        masks = _of_folder(path, around)
        return presence_in_objects_json(path, masks, len(around.names))
    except OSError as error:
        raise UserError(
            "The folder “{name}” could not be read: {reason}. Nothing was "
            "changed.\n\nCheck that you may open it and everything in it.",
            name=path.name,
            reason=error.strerror or error,
        ) from error


def _of_folder(folder: Path, around: Surroundings) -> MaskSet:
    named = names_in_objects_json(folder)
    if parts := sorted(folder.glob("*/_annotations.coco.json")):
        # Roboflow shares the frames of a video out to train, valid and test.
        with _as_damage(folder):
            data = [(path, read_json(path)) for path in parts]
            listing = from_coco((path, one) for path, one in data if _has_lists(one, "images"))
            return read_shapes(folder, listing, around)
    for candidate in _json_files(folder):
        data = read_json(candidate)
        for is_one, reader in ((_is_labelme, from_labelme), (_is_supervisely, from_supervisely)):
            if is_one(data):
                return _of_many(candidate.parent, is_one, reader, around)
        if _has_lists(data, "images") or _has_lists(data, "videos") or is_label_studio(data):
            return _named(_of_json(candidate, data, around), named)
    if (folder / "annotations.xml").is_file():
        return _named(_of_text(folder / "annotations.xml", around), named)
    if (text := _mots_text(folder, around)) is not None:
        return _of_text(text, around)
    is_yolo = (folder / "labels").is_dir() or (folder / "data.yaml").is_file()
    if is_yolo and label_files(folder):
        return read_yolo(folder, around)
    for name, title in _MASK_FOLDERS.items():
        if (root := folder / name).is_dir() and (sequence := _sequence(root, around)) is not None:
            if name == "Annotations":
                meta = folder / _META
                named = named or names_in_meta(meta, sequence.name)
                title = "YouTube-VOS" if meta.is_file() else title
            colors = _label_map(folder / "labelmap.txt") if name == "SegmentationClass" else {}
            return read_pictures(sequence, around, named, title, color_names=colors)
    if pictures := list_pictures(folder):
        if all(_BRUSH_NAME.match(path.name) for path in pictures):
            raise UserError(
                "The pictures in “{name}” are Label Studio's brush masks, whose "
                "names tell the task and not the frame. Nothing was changed.\n\n"
                "Export JSON from Label Studio and import that file instead.",
                name=readable(folder.name),
            )
        return read_pictures(folder, around, named)
    if label_files(folder):
        return read_yolo(folder, around)
    if (folder / "masks").is_dir() and list_pictures(folder / "masks"):
        return read_pictures(folder / "masks", around, named)
    if (data_set := _data_set_below(folder, around)) is not None:
        return _of_folder(data_set, around)
    folders = object_folders(folder)
    of_sequence = [one for one in folders if one.name == around.sequence]
    if of_sequence and not named:
        return read_pictures(of_sequence[0], around, named)
    if not named:
        folders = _mask_folders(folder, folders, around)
    if len(folders) == 1 and not named:
        return read_pictures(folders[0], around, named)
    if folders:
        return read_object_folders(folders, around, named)
    raise _no_masks(folder)


def _mots_text(folder: Path, around: Surroundings) -> Path | None:
    for path in (folder / "gt" / "gt.txt", folder / "gt.txt"):
        if path.is_file():
            return path
    texts = list(folder.glob("*.txt"))
    own = [path for path in texts if len(texts) == 1 or path.stem == around.sequence]
    return next(filter(is_mots_text, own), None)


def _no_masks(folder: Path) -> UserError:
    for place in (folder, folder / "Annotations"):
        described = sorted(place.glob("*.xml")) if place.is_dir() else []
        if boxes := sum(_voc_boxes(read_text(path)) for path in described):
            return only_boxes(folder, boxes)
    return UserError(
        "There are no masks in “{name}”: no pictures, no file of COCO, YouTube-VIS, "
        "labelme, CVAT, Label Studio, MOTS or Supervisely (of pictures, not of videos) and no YOLO "
        "labels. Nothing was changed.\n\n"
        "Choose the folder that holds the masks.",
        name=folder.name,
    )


_BRUSH_NAME: Final = re.compile(r"task-\d+-annotation-\d+", re.ASCII)
# The folders of data sets that hold the masks, best first: of each object before of each class.
_MASK_FOLDERS: Final = {
    "SegmentationObject": Message("Pascal VOC: objects"),
    "SegmentationClass": Message("Pascal VOC: classes"),
    "masks_instances": "Supervisely: objects",
    "masks_machine": "Supervisely",
    "ann": "Supervisely",
    "Annotations": "DAVIS",
    "instances": Message("MOTS PNG"),
}


def _data_set_below(folder: Path, around: Surroundings) -> Path | None:
    """The only subfolder, or the one called as the video, that has a data set's mask folder."""
    found = [
        one
        for one in sorted(folder.iterdir())
        if one.is_dir() and any((one / name).is_dir() for name in _MASK_FOLDERS)
    ]
    called = [one for one in found if one.name == around.sequence]
    return next(iter(called), found[0] if len(found) == 1 else None)


def _mask_folders(folder: Path, folders: list[Path], around: Surroundings) -> list[Path]:
    """Without those that hold photographs. UserError where the rest is no folder for each object
    and it is not clear which holds the masks."""
    kinds = {one: folder_kind(one, around) for one in folders}
    kept = [one for one, kind in kinds.items() if kind is not FolderKind.PHOTOGRAPHS]
    if len(kept) > 1 and any(kinds[one] is FolderKind.OBJECTS for one in kept):
        names = ", ".join(f"“{readable(one.name)}”" for one in kept[:10])
        raise UserError(
            "“{name}” holds several folders of masks, and at least one of them "
            "has more than one object in a picture, so they are no folder for each object. Nothing "
            "was changed.\n\nChoose one of them: {names}.",
            name=readable(folder.name),
            names=names,
        )
    if folders and not kept:
        raise UserError(
            "The pictures in “{name}” are photographs. Nothing was changed.\n\n"
            "Choose the folder with the masks. In a mask every object has one colour.",
            name=folder.name,
        )
    return kept


def _label_map(path: Path) -> dict[tuple[int, int, int], str]:
    """Names of classes by RGB, from CVAT's labelmap.txt: `name:red,green,blue:parts:actions`."""
    names: dict[tuple[int, int, int], str] = {}
    try:
        lines = read_regular(path, _MOST_MAP_BYTES).decode().splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        name, _, rest = line.partition(":")
        color = rest.partition(":")[0].split(",")
        if len(color) == 3 and all(_LEVEL.fullmatch(one.strip()) for one in color):
            red, green, blue = (int(one) for one in color)
            names[red, green, blue] = clean_name(name) or ""
    return names


def _has_lists(data: object, name: str) -> TypeGuard[JsonObject]:
    return isinstance(data, dict) and all(
        isinstance(data.get(key), list) for key in (name, "annotations")
    )


def _is_labelme(data: object) -> TypeGuard[JsonObject]:
    return isinstance(data, dict) and isinstance(data.get("shapes"), list) and "imagePath" in data


def _is_supervisely(data: object) -> TypeGuard[JsonObject]:
    return (
        isinstance(data, dict)
        and isinstance(data.get("objects"), list)
        and isinstance(data.get("size"), dict)
        # A video's file names its objects only; their shapes are in a list of frames.
        and all(isinstance(one, dict) and "geometryType" in one for one in data["objects"])
    )


def _of_json(path: Path, data: object, around: Surroundings) -> MaskSet:
    with _as_damage(path):
        if _has_lists(data, "videos"):
            return read_shapes(path, from_youtube_vis(path, data, around), around)
        if _has_lists(data, "images"):
            if any("segments_info" in one for one in data["annotations"]):
                raise UserError(
                    "“{name}” is COCO panoptic, whose masks are in pictures beside it. Nothing was "
                    "changed.\n\nChoose the folder of those pictures.",
                    name=path.name,
                )
            return read_shapes(path, from_coco([(path, data)]), around)
        if is_label_studio(data):
            return read_shapes(path, from_label_studio(data), around)
        if _is_labelme(data):
            return read_shapes(path, from_labelme([(path, data)]), around)
        if _is_supervisely(data):
            return read_shapes(path, from_supervisely([(path, data)]), around)
    raise UserError(
        "“{name}” holds no masks that can be read: it is damaged, or not a file of COCO, "
        "YouTube-VIS, labelme, Label Studio or Supervisely (of pictures, not of videos). Nothing "
        "was changed.\n\n"
        "Export it again from the program that made it, best as COCO.",
        name=path.name,
    )


def _of_many(
    folder: Path,
    is_one: Callable[[object], TypeGuard[JsonObject]],
    reader: Callable[[list[tuple[Path, JsonObject]]], ShapeList],
    around: Surroundings,
) -> MaskSet:
    """Files beside pictures, one for each."""
    with _as_damage(folder):
        found = [(path, read_json(path)) for path in _json_files(folder)]
        files = [(path, data) for path, data in found if is_one(data)]
        return read_shapes(folder, reader(files), around)


def _of_text(path: Path, around: Surroundings) -> MaskSet:
    """CVAT's XML or MOTS text."""
    text = read_text(path)
    if boxes := _voc_boxes(text):
        raise only_boxes(path, boxes)
    reader = from_cvat if path.suffix.lower() == ".xml" else from_mots_text
    with _as_damage(path):
        listing = reader(path, text)
        if listing is not None:
            return read_shapes(path, listing, around)
    raise UserError(
        "“{name}” holds no masks that can be read: it is not CVAT's XML and not MOTS text. "
        "Nothing was changed.\n\nExport CVAT's “for images 1.1”, or choose the folder for YOLO "
        "labels and Pascal VOC.",
        name=path.name,
    )


def _voc_boxes(text: str) -> int:
    """How many boxes Pascal VOC's description of a picture holds; 0 if it is none."""
    return text.count("<bndbox>") if "<annotation>" in text[:4096] else 0


@contextmanager
def _as_damage(path: Path) -> Iterator[None]:
    """What a file of another build makes the readers stumble over is damage, in words."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise damaged(
            path, Message("it is not built as such files are ({reason!r})", reason=error)
        ) from error


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
    for place in (folder, folder / "annotations", folder / "ann"):
        if place.is_dir():
            yield from sorted(
                path
                for path in place.glob("*.json")
                if path.name not in _OTHER_JSON and not path.name.startswith(".")
            )


def _sequence(root: Path, around: Surroundings) -> Path | None:
    """The folder of this video's masks below `root`, which may sort sequences by resolution; None
    if there is no picture at all."""
    found = [root] if list_pictures(root) else []
    below = [path for path in sorted(root.iterdir()) if path.is_dir()]
    deeper = [one for path in below for one in sorted(path.iterdir()) if one.is_dir()]
    found += [path for path in (*below, *deeper) if list_pictures(path)]
    called = [path for path in found if path.name == around.sequence]
    if not found:
        return None
    if len(found) == 1 or len(called) == 1:
        return (called or found)[0]
    names = ", ".join(path.name for path in found[:10])
    raise UserError(
        "“{name}” holds masks of {count} videos, and it is not clear which belong to "
        "“{sequence}”. Nothing was changed.\n\nChoose one folder of masks: {names}.",
        name=root.name,
        count=len(found),
        sequence=around.sequence,
        names=names,
    )
