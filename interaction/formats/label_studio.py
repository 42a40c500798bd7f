"""Label Studio's JSON with brush masks: export and import."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeGuard
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray

from interaction.files import JsonObject
from interaction.formats.format import ExportFormat, ExportJob, FormatGroup, Overlaps
from interaction.formats.shapes import (
    InvalidMaskError,
    ListedPicture,
    Shape,
    ShapeList,
    decode_segmentation,
    ellipse,
    listed_file,
)
from xmem_core.messages import Message

__all__ = ["LABEL_STUDIO", "from_label_studio", "is_label_studio"]

_CHANNELS: Final = 4  # the code is of RGBA pixels; alpha is the mask
_WORD_BITS: Final = 8
_SIZE_BITS: Final = (3, 4, 8, 16)  # that a run's length may take


def encode_brush(mask: NDArray[np.bool_]) -> list[int]:
    """Label Studio's run-length code of a mask (H, W), as bytes.

    32 bits for the number of values, 5 for the bits of one, four times 4 for the sizes of lengths;
    then for each run a bit that says that it repeats one value, two for the size, length and value.
    """
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], changes])
    lengths = np.diff(np.concatenate([starts, [flat.size]])) * _CHANNELS
    bits = [f"{flat.size * _CHANNELS:032b}{_WORD_BITS - 1:05b}"]
    bits += [f"{size - 1:04b}" for size in _SIZE_BITS]
    longest = 2 ** _SIZE_BITS[-1]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        value = 255 * int(flat[start])
        while length:
            run = min(length, longest)
            index = next(i for i, size in enumerate(_SIZE_BITS) if run <= 2**size)
            bits.append(f"1{index:02b}{run - 1:0{_SIZE_BITS[index]}b}{value:08b}")
            length -= run
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def decode_brush(code: Sequence[int], width: int, height: int) -> NDArray[np.bool_]:
    """(height, width). Raises InvalidMaskError."""
    try:
        data = bytes(code)
    except (TypeError, ValueError) as error:
        raise InvalidMaskError(Message("a brush code that is no list of bytes")) from error
    bits = int.from_bytes(data, "big")
    total, place = 8 * len(data), 0
    text = f"{bits:0{total}b}" if total else ""

    def take(count: int) -> int:
        nonlocal place
        if place + count > total:
            raise InvalidMaskError(Message("a brush code that is cut off"))
        place += count
        return int(text[place - count : place], 2)

    count, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    if count != width * height * _CHANNELS:
        raise InvalidMaskError(
            Message(
                "a brush code for another size than {width} × {height}", width=width, height=height
            )
        )
    values = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        is_run, length = take(1), take(sizes[take(2)]) + 1
        end = min(count, done + length)
        if is_run:
            values[done:end] = take(word) & 255
        else:
            values[done:end] = [take(word) & 255 for _ in range(done, end)]
        done = end
    return values.reshape(height, width, _CHANNELS)[:, :, 3] > 0


def _write_label_studio(job: ExportJob) -> Iterator[int]:
    with job.writing_text("label-studio.json") as file:
        for position, frame in enumerate(job.frames):
            picture = job.source.picture_name(frame)
            results = [
                {
                    "id": f"{frame}-{one.id}",
                    "type": "brushlabels",
                    "from_name": "tag",
                    "to_name": "image",
                    "original_width": job.source.width,
                    "original_height": job.source.height,
                    "image_rotation": 0,
                    "value": {
                        "format": "rle",
                        "rle": encode_brush(job.region(frame, one)),
                        "brushlabels": [one.name],
                    },
                    "meta": {
                        "text": [
                            f"object {one.id}",
                            *(["occluded"] if job.is_occluded(one, frame) else []),
                        ]
                    },
                }
                for one in job.back_to_front(frame)
                if job.region(frame, one).any()
            ]
            task = {
                "id": frame + 1,
                "data": {"image": picture},
                "annotations": [{"result": results}],
            }
            file.write("[\n" if position == 0 else ",\n")
            file.write(json.dumps(task, ensure_ascii=False))
            job.rows.append((frame, picture))
            yield frame
        file.write("\n]\n")


LABEL_STUDIO: Final = ExportFormat(
    name="label-studio",
    title=Message("Label Studio JSON"),
    description=Message("label-studio.json with a brush mask of each object on each picture."),
    group=FormatGroup.DATASETS,
    write=_write_label_studio,
    overlaps=Overlaps.WHOLE,
    writers="Label Studio (JSON and JSON-MIN export)",
    limits="Brushes, polygons and ellipses; of several annotations of a picture the first is read.",
)

_OBJECT: Final = re.compile(r"object (\d{1,3})")


def is_label_studio(data: object) -> TypeGuard[list[JsonObject]]:
    """JSON, or JSON-MIN, where a task has its picture and the lists of its shapes side by side."""
    return (
        isinstance(data, list)
        and bool(data)
        and all(
            isinstance(task, dict)
            and (
                {"data", "annotations"} <= task.keys()
                or {"annotator", "annotation_id"} & task.keys()
            )
            for task in data
        )
    )


def _results(task: JsonObject) -> Iterator[JsonObject]:
    if "annotations" not in task:
        lists = [value for value in task.values() if isinstance(value, list)]
        yield from ({"value": one, **one} for shapes in lists for one in shapes)
        return
    for annotation in task["annotations"]:
        if not annotation.get("was_cancelled"):
            yield from annotation["result"]
            return


def _picture_file(task: JsonObject, number: int) -> Path:
    texts = task.get("data", task).values()
    source = next((text for text in texts if isinstance(text, str)), str(number))
    # A file on the server's own disk is named in the address's query.
    local = parse_qs(urlsplit(source).query).get("d")
    return listed_file(local[0] if local else source.partition("?")[0])


def from_label_studio(data: Sequence[JsonObject]) -> ShapeList:
    listing = ShapeList("label-studio", "Label Studio", has_ids=True)
    for number, task in enumerate(data):
        # The name that a file was uploaded under follows an identifier and a dash.
        listing.pictures[number] = ListedPicture(_picture_file(task, number))
        for result in _results(task):
            value = result.get("value", {})
            code = _code(value)
            if code is None:
                listing.boxes += bool({"rectanglelabels", "sequence"} & value.keys())
                listing.lines += bool({"keypointlabels", "vectorlabels"} & value.keys())
                continue
            size = result["original_width"], result["original_height"]
            listing.pictures[number] = ListedPicture(listing.pictures[number].file, *size)
            kind = next((key for key in value if key.endswith("labels")), "")
            label = str((value.get(kind) or ["object"])[0])
            notes = result.get("meta", {}).get("text") or [""]
            note = _OBJECT.fullmatch(str(notes[0]))
            listing.has_ids = listing.has_ids and note is not None
            identity = int(note[1]) if note else label
            is_occluded = "occluded" in notes[1:]
            listing.shapes.append(Shape(number, identity, label, code, is_occluded))
    return listing


def _code(value: JsonObject) -> object:
    if value.get("format") == "rle" and value.get("rle"):
        return lambda width, height: decode_brush(value["rle"], width, height)
    if "radiusX" in value:
        center, radii = (value["x"], value["y"]), (value["radiusX"], value["radiusY"])

        def turned(width: int, height: int) -> NDArray[np.bool_]:
            x, y, across, down = np.array([*center, *radii]) * (width, height, width, height) / 100
            turn = math.radians(value.get("rotation", 0))
            return decode_segmentation([ellipse((x, y), across, down, turn)], width, height)

        return turned
    if value.get("points") and "vectorlabels" not in value:
        points = np.array(value["points"], np.float64)

        def fill(width: int, height: int) -> NDArray[np.bool_]:
            scaled = points * (width / 100, height / 100)  # points are in per cent
            return decode_segmentation([scaled.ravel().tolist()], width, height)

        return fill
    return None
