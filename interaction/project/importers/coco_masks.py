"""COCO instances and YouTube-VIS files as masks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from interaction.errors import UserError
from interaction.project.importers.frame_places import place_files
from interaction.project.importers.mask_set import (
    MOST_OBJECTS,
    FoundObject,
    MaskSet,
    Surroundings,
    check_pixels,
    damaged,
)
from interaction.project.importers.object_names import clean_name
from interaction.project.importers.run_lengths import InvalidMaskError, decode_segmentation
from xmem_core.pictures import Labels

__all__ = ["is_coco", "is_youtube_vis", "read_coco", "read_youtube_vis"]

_TRACK_KEYS: Final = ("track_id", "instance_id", "object_id")
_Masks = dict[int, list[tuple[int, Any]]]  # frame -> [(key, segmentation)]


def is_coco(data: Any) -> bool:
    return isinstance(data, dict) and all(
        isinstance(data.get(name), list) for name in ("images", "annotations")
    )


def is_youtube_vis(data: Any) -> bool:
    return isinstance(data, dict) and all(
        isinstance(data.get(name), list) for name in ("videos", "annotations")
    )


def read_coco(path: Path, data: Mapping[str, Any], around: Surroundings) -> MaskSet:
    """Objects are told apart by track_id; without one, every category is one object. UserError."""
    try:
        return _read_coco(path, data, around)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise damaged(path, f"it is not built as COCO is ({error!r})") from error


def read_youtube_vis(path: Path, data: Mapping[str, Any], around: Surroundings) -> MaskSet:
    """One video of the file: the one called as this video is, or the only one. UserError."""
    try:
        return _read_youtube_vis(path, data, around)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise damaged(path, f"it is not built as YouTube-VIS is ({error!r})") from error


def _read_coco(path: Path, data: Mapping[str, Any], around: Surroundings) -> MaskSet:
    annotations = data["annotations"]
    has_tracks = all(any(key in one for key in _TRACK_KEYS) for one in annotations)
    identity_of: list[Any] = [
        next(one[key] for key in _TRACK_KEYS if key in one) if has_tracks else one["category_id"]
        for one in annotations
    ]
    category_of = dict(zip(identity_of, (one["category_id"] for one in annotations), strict=True))
    objects, key_of, has_ids = _objects(path, category_of, data)
    images = {image["id"]: image for image in data["images"]}
    file_of = {number: Path(str(image["file_name"])) for number, image in images.items()}
    place = {file: frame for frame, file in _place(path, list(file_of.values()), around).items()}
    frame_of = {number: place[file] for number, file in file_of.items() if file in place}
    masks: _Masks = {frame: [] for frame in sorted(frame_of.values())}
    for identity, one in zip(identity_of, annotations, strict=True):
        if one["image_id"] in frame_of and one.get("segmentation"):
            frame = frame_of[one["image_id"]]
            masks[frame].append((key_of[identity], one["segmentation"]))
    sizes = {frame_of[number]: _size(path, images[number]) for number in frame_of}
    remarks = (
        []
        if has_tracks or not annotations
        else [
            "The file does not say which masks are the same object: each category is read as one."
        ]
    )
    unmatched = tuple(file.name for number, file in file_of.items() if number not in frame_of)
    return _mask_set(
        path,
        "coco",
        "COCO instances",
        objects,
        masks,
        sizes,
        has_ids and has_tracks,
        unmatched,
        remarks,
    )


def _read_youtube_vis(path: Path, data: Mapping[str, Any], around: Surroundings) -> MaskSet:
    videos = {video["id"]: video for video in data["videos"]}
    names = {
        number: Path(str(video["file_names"][0])).parent.name for number, video in videos.items()
    }
    chosen = [number for number, name in names.items() if name == around.sequence]
    if len(videos) == 1:
        chosen = list(videos)
    if len(chosen) != 1:
        raise UserError(
            f"“{path.name}” holds masks of {len(videos)} videos, and it is not clear which belong "
            f"to “{around.sequence}”. Nothing was changed.\n\n"
            f"Keep one video in the file. There are: {', '.join(sorted(names.values())[:10])}."
        )
    video = videos[chosen[0]]
    annotations = [one for one in data["annotations"] if one["video_id"] == chosen[0]]
    category_of = {one["id"]: one["category_id"] for one in annotations}
    objects, key_of, has_ids = _objects(path, category_of, data)
    files = [Path(str(name)) for name in video["file_names"]]
    placed = _place(path, files, around)
    position_of = {file: position for position, file in enumerate(files)}
    masks: _Masks = {frame: [] for frame in placed}
    for one in annotations:
        for frame, file in placed.items():
            segmentation = one["segmentations"][position_of[file]]
            if segmentation:
                masks[frame].append((key_of[one["id"]], segmentation))
    size = _size(path, video)
    unmatched = tuple(file.name for file in files if file not in placed.values())
    return _mask_set(
        path,
        "youtube-vis",
        "YouTube-VIS",
        objects,
        masks,
        dict.fromkeys(placed, size),
        has_ids,
        unmatched,
        [],
    )


def _place(path: Path, files: list[Path], around: Surroundings) -> dict[int, Path]:
    if not files:
        raise damaged(path, "there is not a single picture in it")
    return dict(place_files(files, around).by_frame)


def _size(path: Path, holder: Mapping[str, Any]) -> tuple[int, int]:
    width, height = holder["width"], holder["height"]
    if type(width) is not int or type(height) is not int:
        raise damaged(path, "sizes in it are no whole numbers")
    check_pixels(path, width, height)
    return width, height


def _objects(
    path: Path, category_of: Mapping[Any, Any], data: Mapping[str, Any]
) -> tuple[list[FoundObject], dict[Any, int], bool]:
    """The objects, the key of each identity, and whether keys are the file's own ids."""
    if len(category_of) > MOST_OBJECTS:
        raise damaged(path, f"it holds {len(category_of)} objects; at most {MOST_OBJECTS} fit")
    has_ids = all(type(one) is int and 1 <= one <= MOST_OBJECTS for one in category_of)
    identities = sorted(category_of, key=lambda one: (str(type(one)), one))
    key_of = {one: one if has_ids else key for key, one in enumerate(identities, start=1)}
    names = {one["id"]: clean_name(one.get("name")) for one in data.get("categories") or []}
    objects = [FoundObject(key_of[one], names.get(category_of[one])) for one in identities]
    return objects, key_of, has_ids


def _mask_set(
    path: Path,
    name: str,
    title: str,
    objects: list[FoundObject],
    masks: _Masks,
    sizes: Mapping[int, tuple[int, int]],
    has_ids: bool,
    unmatched: tuple[str, ...],
    remarks: list[str],
) -> MaskSet:
    def read(frame: int) -> Labels:
        width, height = sizes[frame]
        labels: Labels = np.zeros((height, width), np.uint8)
        for key, segmentation in masks[frame]:  # where they overlap, the later lies on top
            try:
                labels[decode_segmentation(segmentation, width, height)] = key
            except InvalidMaskError as error:
                raise damaged(path, f"it holds {error} (frame {frame})") from error
        return labels

    return MaskSet(
        format=name,
        title=title,
        objects=tuple(objects),
        sizes=dict(sorted(sizes.items())),
        read=read,
        has_ids=has_ids,
        unmatched=unmatched,
        remarks=tuple(remarks),
    )
