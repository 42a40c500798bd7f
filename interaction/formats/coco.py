"""COCO instances and YouTube-VIS: export. `shapes.py` reads them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from interaction.files import JsonObject
from interaction.formats.format import ExportFormat, ExportJob, FormatGroup, Overlaps, safe_name
from interaction.formats.options import ExportOptions, option
from interaction.video.pictures import PictureFolderIndex
from xmem_core.messages import Message

__all__ = ["COCO", "YOUTUBE_VIS"]

_DIGITS: Final = 5  # in YouTube-VIS file names


@dataclass(frozen=True, kw_only=True)
class CocoOptions(ExportOptions):
    categories: str = option(
        "names",
        Message("Categories"),
        choices={
            "names": Message("One for each object name"),
            "one": Message("A single one, “object”"),
        },
    )
    includes_pictures: bool = option(
        False,
        Message("Include the pictures"),
        Message("Also writes the frames as JPEG, under the names in the file."),
    )
    jpeg_quality: int = option(95, Message("JPEG quality"), minimum=1, maximum=100)


def _write_coco(job: ExportJob) -> Iterator[int]:
    options = job.options_as(CocoOptions)
    category_of = _category_ids(job, options)
    images: list[dict[str, object]] = []
    count = 0
    with job.writing_text("annotations/instances.json") as file:
        # Annotations come first because they are written as they are made, none is kept.
        file.write('{"annotations": [')
        for frame in job.frames:
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
            for one in job.back_to_front(frame):
                code = _run_lengths(job.region(frame, one))
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
                if job.is_occluded(one, frame):
                    annotation["attributes"] = {"occluded": True}
                file.write((",\n" if count > 1 else "\n") + json.dumps(annotation))
            if options.includes_pictures:
                job.write_jpeg(f"images/{file_name}", frame, options.jpeg_quality)
            job.rows.append((frame, file_name))
            yield frame
        rest = {
            "images": images,
            "categories": _categories(category_of, job, options),
            "info": {"description": job.source.name},
            **job.presence(),
        }
        file.write("\n], " + json.dumps(rest, ensure_ascii=False)[1:])


def _write_youtube_vis(job: ExportJob) -> Iterator[int]:
    options = job.options_as(CocoOptions)
    category_of = _category_ids(job, options)
    sequence = safe_name(job.source.name, "sequence")
    names: list[str] = []
    codes: dict[int, list[object]] = {one.id: [] for one in job.objects}
    for frame in job.frames:
        names.append(f"{sequence}/{job.source.frame_name(frame, _DIGITS)}.jpg")
        for one in job.objects:
            codes[one.id].append(_run_lengths(job.region(frame, one)))
        if options.includes_pictures:
            job.write_jpeg(f"JPEGImages/{names[-1]}", frame, options.jpeg_quality)
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
        **job.presence(),
    }
    job.write("instances.json", json.dumps(data, ensure_ascii=False).encode())


def _run_lengths(mask: NDArray[np.bool_]) -> JsonObject | None:
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
) -> list[dict[str, object]]:
    names = {
        category_of[one.id]: "object" if options.categories == "one" else one.name
        for one in job.objects
    }
    return [{"id": number, "name": name, "supercategory": ""} for number, name in names.items()]


COCO: Final = ExportFormat(
    name="coco",
    title=Message("COCO instances"),
    description=Message(
        "annotations/instances.json with run-length codes; track_id is the object."
    ),
    group=FormatGroup.DATASETS,
    options=CocoOptions,
    write=_write_coco,
    overlaps=Overlaps.WHOLE,
    writers="CVAT, Roboflow, Label Studio, COCO Annotator",
    limits="track_id is the object, else the category; run lengths and polygons; pictures by name.",
)
YOUTUBE_VIS: Final = ExportFormat(
    name="youtube-vis",
    title="YouTube-VIS",
    description=Message("instances.json with a list of run-length codes for each object."),
    group=FormatGroup.DATASETS,
    options=CocoOptions,
    write=_write_youtube_vis,
    overlaps=Overlaps.WHOLE,
    writers="YouTube-VIS, OVIS",
    limits="One video of the file.",
)
