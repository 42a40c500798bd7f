"""COCO instances and YouTube-VIS: export and import."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from interaction.errors import UserError
from interaction.formats.format import (
    ExportFormat,
    ExportJob,
    FormatGroup,
    TargetKind,
    encode_jpeg,
    safe_name,
)
from interaction.formats.mask_set import (
    MOST_OBJECTS,
    FoundObject,
    MaskSet,
    Surroundings,
    check_pixels,
    clean_name,
    damaged,
    place_listed,
)
from interaction.formats.options import ExportOptions, option
from interaction.video.picture_folder import PictureFolderIndex
from xmem_core.arrays import Labels

__all__ = [
    "COCO",
    "YOUTUBE_VIS",
    "InvalidMaskError",
    "decode_segmentation",
    "is_coco",
    "is_youtube_vis",
    "read_coco",
    "read_youtube_vis",
]

_MOST_POINTS: Final = 1_000_000
_LONGEST_RUN_BITS: Final = 40


class InvalidMaskError(ValueError):
    """A code or polygon that stands for no mask of the size it is said to have."""


def decode_segmentation(segmentation: Any, width: int, height: int) -> NDArray[np.bool_]:
    """(height, width), from a run-length code, plain or compressed, or a list of polygons.

    Raises InvalidMaskError.
    """
    if isinstance(segmentation, dict):
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if size is not None and size != [height, width]:
            raise InvalidMaskError(f"a code for {size} and not for [{height}, {width}]")
        runs = _parse(counts) if isinstance(counts, str) else counts
        return _of_runs(runs, width, height)
    if isinstance(segmentation, list):
        return _of_polygons(segmentation, width, height)
    raise InvalidMaskError("a mask that is neither a run-length code nor a list of polygons")


def _parse(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or shift > _LONGEST_RUN_BITS:
            raise InvalidMaskError("a run-length code with characters that do not belong in it")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise InvalidMaskError("a run-length code that is cut off")
    return runs


def _of_runs(runs: Any, width: int, height: int) -> NDArray[np.bool_]:
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise InvalidMaskError("a run-length code that is no list of lengths")
    if sum(runs) != width * height:
        raise InvalidMaskError(f"a run-length code for another size than {width} × {height}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape((height, width), order="F")


def _of_polygons(polygons: list[Any], width: int, height: int) -> NDArray[np.bool_]:
    if not polygons:
        return np.zeros((height, width), np.bool_)
    checked: list[list[float]] = []
    points = 0
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise InvalidMaskError("a polygon of fewer than three points")
        points += len(polygon) // 2
        if points > _MOST_POINTS or not all(
            isinstance(value, int | float) and math.isfinite(value) for value in polygon
        ):
            raise InvalidMaskError("a polygon whose points are no numbers, or too many")
        # Far outside the picture an edge would take pycocotools forever.
        flat = np.array(polygon, np.float64).reshape(-1, 2)
        checked.append(flat.clip((0, 0), (width, height)).ravel().tolist())
    codes: Any = coco_mask.frPyObjects(cast("Any", checked), height, width)
    merged: Any = coco_mask.merge(codes)
    return _of_runs(_parse(merged["counts"].decode("ascii")), width, height)


_DIGITS: Final = 5  # in YouTube-VIS file names


@dataclass(frozen=True, kw_only=True)
class CocoOptions(ExportOptions):
    categories: str = option(
        "names",
        "Categories",
        choices={"names": "One for each object name", "one": "A single one, “object”"},
    )
    includes_pictures: bool = option(
        False,
        "Include the pictures",
        "Also writes the frames as JPEG, under the names in the file.",
    )
    jpeg_quality: int = option(95, "JPEG quality", minimum=1, maximum=100)


def _write_coco(job: ExportJob) -> Iterator[int]:
    options = job.options_as(CocoOptions)
    category_of = _category_ids(job, options)
    images: list[dict[str, Any]] = []
    count = 0
    with (
        job.writing("annotations/instances.json") as path,
        path.open("w", encoding="utf-8", newline="\n") as file,
    ):
        # Annotations come first because they are written as they are made, none is kept.
        file.write('{"annotations": [')
        for frame in job.frames:
            labels = job.labels(frame)
            file_name = _file_name(job, frame, options)
            image_id = frame + 1
            images.append(
                {
                    "id": image_id,
                    "file_name": file_name,
                    "width": job.source.width,
                    "height": job.source.height,
                    "frame_index": frame,
                }
            )
            for one in job.objects:
                code = _run_lengths(labels == one.id)
                if code is None:
                    continue
                count += 1
                annotation = {
                    "id": count,
                    "image_id": image_id,
                    "category_id": category_of[one.id],
                    "track_id": one.id,
                    "segmentation": code,
                    "area": _area(code),
                    "bbox": _box(code),
                    "iscrowd": 0,
                }
                file.write((",\n" if count > 1 else "\n") + json.dumps(annotation))
            if options.includes_pictures:
                picture = encode_jpeg(job.picture(frame), options.jpeg_quality)
                job.write(f"images/{file_name}", picture)
            job.rows.append((frame, file_name))
            yield frame
        rest = {
            "images": images,
            "categories": _categories(category_of, job, options),
            "info": {"description": job.source.name},
        }
        file.write("\n], " + json.dumps(rest, ensure_ascii=False)[1:])


def _write_youtube_vis(job: ExportJob) -> Iterator[int]:
    options = job.options_as(CocoOptions)
    category_of = _category_ids(job, options)
    sequence = safe_name(job.source.name, "sequence")
    names: list[str] = []
    codes: dict[int, list[Any]] = {one.id: [] for one in job.objects}
    for frame in job.frames:
        labels = job.labels(frame)
        names.append(f"{sequence}/{job.source.frame_name(frame, _DIGITS)}.jpg")
        for object_id, of_object in codes.items():
            of_object.append(_run_lengths(labels == object_id))
        if options.includes_pictures:
            picture = encode_jpeg(job.picture(frame), options.jpeg_quality)
            job.write(f"JPEGImages/{names[-1]}", picture)
        job.rows.append((frame, names[-1]))
        yield frame
    size = {"width": job.source.width, "height": job.source.height}
    annotations = [
        {
            "id": object_id,
            "video_id": 1,
            "category_id": category_of[object_id],
            "segmentations": of_object,
            "areas": [code and _area(code) for code in of_object],
            "bboxes": [code and _box(code) for code in of_object],
            "iscrowd": 0,
            "length": len(names),
            **size,
        }
        for object_id, of_object in sorted(codes.items())
        if any(of_object)
    ]
    data = {
        "info": {"description": job.source.name},
        "videos": [{"id": 1, "length": len(names), "file_names": names, **size}],
        "annotations": annotations,
        "categories": _categories(category_of, job, options),
    }
    job.write("instances.json", json.dumps(data, ensure_ascii=False).encode())


def _run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any] | None:
    """COCO's compressed run-length code of (H, W); None for an empty mask."""
    if not mask.any():
        return None
    code: Any = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(code["size"]), "counts": code["counts"].decode("ascii")}


def _area(code: Any) -> int:
    return int(coco_mask.area(code))


def _box(code: Any) -> list[float]:
    return [float(value) for value in coco_mask.toBbox(code)]


def _file_name(job: ExportJob, frame: int, options: CocoOptions) -> str:
    index = job.source.index
    if isinstance(index, PictureFolderIndex) and not options.includes_pictures:
        return index.pictures[frame].name
    return f"{job.source.frame_name(frame)}.jpg"


def _category_ids(job: ExportJob, options: CocoOptions) -> dict[int, int]:
    """Object id -> category id, from 1; objects of one name share a category."""
    if options.categories == "one":
        return {one.id: 1 for one in job.objects}
    names = dict.fromkeys(one.name for one in job.objects)
    ids = {name: number for number, name in enumerate(names, start=1)}
    return {one.id: ids[one.name] for one in job.objects}


def _categories(
    category_of: dict[int, int], job: ExportJob, options: CocoOptions
) -> list[dict[str, Any]]:
    names = {
        category_of[one.id]: "object" if options.categories == "one" else one.name
        for one in job.objects
    }
    return [{"id": number, "name": name, "supercategory": ""} for number, name in names.items()]


COCO: Final = ExportFormat(
    name="coco",
    title="COCO instances",
    description="annotations/instances.json with run-length codes; track_id is the object.",
    group=FormatGroup.DATASETS,
    target=TargetKind.FOLDER,
    suffix="",
    options=CocoOptions,
    write=_write_coco,
    is_importable=True,
)
YOUTUBE_VIS: Final = ExportFormat(
    name="youtube-vis",
    title="YouTube-VIS",
    description="instances.json with a list of run-length codes for each object.",
    group=FormatGroup.DATASETS,
    target=TargetKind.FOLDER,
    suffix="",
    options=CocoOptions,
    write=_write_youtube_vis,
    is_importable=True,
)


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
    file_of = {number: _file(image["file_name"]) for number, image in images.items()}
    originals = {
        file_of[number]: str(extra["name"])
        for number, image in images.items()
        if isinstance(extra := image.get("extra"), dict) and extra.get("name")
    }
    placed = _place(path, list(file_of.values()), around, originals)
    place = {file: frame for frame, file in placed.items()}
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


def _file(name: Any) -> Path:
    return Path(str(name).replace("\\", "/"))  # written on Windows


def _place(
    path: Path, files: list[Path], around: Surroundings, originals: Mapping[Path, str] | None = None
) -> dict[int, Path]:
    if not files:
        raise damaged(path, "there is not a single picture in it")
    return dict(place_listed(files, around, originals).by_frame)


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
