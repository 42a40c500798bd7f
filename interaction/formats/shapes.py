"""Lists of shapes (JSON, XML, text): one reader for what annotation programs write.

A dialect turns its file into pictures and shapes; everything after that is the same for all.
"""

import base64
import io
import math
import re
import struct
import zlib
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from interaction.annotation.mask_folders import FoundMasks
from interaction.annotation.overlaps import Stack, pile
from interaction.annotation.types import PresenceState
from interaction.errors import UserError
from interaction.files import JsonObject
from interaction.formats.mask_set import (
    MOST_OBJECTS,
    FoundObject,
    MaskSet,
    Surroundings,
    check_pixels,
    clean_name,
    damaged,
    only_boxes,
    place_listed,
    read_text,
    readable,
    with_listed_presence,
    with_states,
)
from xmem_core.messages import Message

__all__ = [
    "Absence",
    "InvalidMaskError",
    "ListedPicture",
    "Shape",
    "ShapeList",
    "decode_segmentation",
    "ellipse",
    "from_coco",
    "from_labelme",
    "from_mots_text",
    "from_supervisely",
    "from_youtube_vis",
    "is_mots_text",
    "listed_file",
    "placed",
    "read_shapes",
    "whole",
]

_MOST_POINTS: Final = 1_000_000
_LONGEST_RUN_BITS: Final = 40
# What a dialect's own code may stumble over in a list that its makers did not write.
_ODD_CODE: Final = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError)
_PICTURE_DAMAGE: Final = (
    OSError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class InvalidMaskError(ValueError):
    """A code or polygon that is no mask of the stated size."""


def decode_segmentation(segmentation: object, width: int, height: int) -> NDArray[np.bool_]:
    """(height, width), from a run-length code, plain or compressed, or a list of polygons.

    Raises InvalidMaskError.
    """
    if isinstance(segmentation, dict):
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if size is not None and size != [height, width]:
            raise InvalidMaskError(
                Message(
                    "a code for {size} and not for [{height}, {width}]",
                    size=size,
                    height=height,
                    width=width,
                )
            )
        if isinstance(counts, str):  # compressed, or the lengths as text
            counts = [int(one) for one in counts.split()] if " " in counts else _parse(counts)
        return _of_runs(counts, width, height)
    if isinstance(segmentation, list):
        return _of_polygons(segmentation, width, height)
    raise InvalidMaskError(
        Message("a mask that is neither a run-length code nor a list of polygons")
    )


def _parse(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or shift > _LONGEST_RUN_BITS:
            raise InvalidMaskError(
                Message("a run-length code with characters that do not belong in it")
            )
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise InvalidMaskError(Message("a run-length code that is cut off"))
    return runs


def _of_runs(runs: object, width: int, height: int) -> NDArray[np.bool_]:
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise InvalidMaskError(Message("a run-length code that is no list of lengths"))
    if sum(runs) != width * height:
        raise InvalidMaskError(
            Message(
                "a run-length code for another size than {width} × {height}",
                width=width,
                height=height,
            )
        )
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape((height, width), order="F")


def _of_polygons(polygons: list[object], width: int, height: int) -> NDArray[np.bool_]:
    if not polygons:
        return np.zeros((height, width), np.bool_)
    checked: list[list[float]] = []
    points = 0
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise InvalidMaskError(Message("a polygon of fewer than three points"))
        points += len(polygon) // 2
        if points > _MOST_POINTS or not all(
            isinstance(value, int | float) and math.isfinite(value) for value in polygon
        ):
            raise InvalidMaskError(Message("a polygon whose points are no numbers, or too many"))
        # Far outside the picture an edge would take pycocotools forever.
        flat = np.array(polygon, np.float64).reshape(-1, 2)
        checked.append(flat.clip((0, 0), (width, height)).ravel().tolist())
    codes: Any = coco_mask.frPyObjects(cast("Any", checked), height, width)
    merged: Any = coco_mask.merge(codes)
    return _of_runs(_parse(merged["counts"].decode("ascii")), width, height)


@dataclass(frozen=True, slots=True)
class ListedPicture:
    """A picture that a list names, and its size in pixels where the list tells it."""

    file: Path
    width: int | None = None
    height: int | None = None
    original: str | None = None  # the picture's own name, where `file` may be called otherwise


@dataclass(frozen=True, slots=True)
class Shape:
    """A region of one object on one picture.

    segmentation: a run-length code or polygons, see `decode_segmentation`; or a function of
    (width, height) that gives the mask (height, width) and raises InvalidMaskError.
    """

    picture: Hashable  # key in `ShapeList.pictures`
    identity: Hashable  # the same for one object on all pictures
    name: str | None
    segmentation: object
    is_occluded: bool = False


@dataclass(frozen=True, slots=True)
class Absence:
    """An object is not on a picture, nor after it until its next shape."""

    picture: Hashable  # key in `ShapeList.pictures`
    identity: Hashable  # of shapes
    most_after: int | None = None  # frames, where the list says how far it reaches


@dataclass(slots=True)
class ShapeList:
    """What a dialect found in its file."""

    format: str
    title: str
    pictures: dict[Hashable, ListedPicture] = field(default_factory=dict)
    shapes: list[Shape] = field(default_factory=list)
    has_ids: bool = False  # identities that are whole numbers are object ids
    remarks: list[str] = field(default_factory=list)
    boxes: int = 0  # that have no outline, and are left out
    lines: int = 0  # and points: what has no inside, and is left out
    others: list[str] = field(default_factory=list)  # the kind of each shape not read
    presence: list[object] = field(default_factory=list)  # as exports of ours have it
    absences: list[Absence] = field(default_factory=list)


def listed_file(name: object) -> Path:
    """A file's name in a list, also one written on Windows."""
    return Path(str(name).replace("\\", "/"))


def whole(path: Path, value: object) -> int:
    """A size written as 160, 160.0 or text. Raises UserError."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise damaged(path, Message("sizes in it are no whole numbers"))
    return int(value)


def read_shapes(path: Path, listing: ShapeList, around: Surroundings) -> MaskSet:
    """Places the pictures, numbers the objects and decodes shapes when they are asked for.

    Raises UserError.
    """
    _check_holds_masks(path, listing)
    shapes, skipped = _sound_shapes(listing.shapes)
    remarks = [*listing.remarks, *_left_out(listing, skipped)]
    found = _placed_pictures(listing.pictures.values(), around)
    frame_of_file = {file: frame for frame, file in found.by_frame.items()}
    frame_of = {
        key: frame_of_file[one.file]
        for key, one in listing.pictures.items()
        if one.file in frame_of_file
    }
    if found.remark:
        remarks.append(found.remark)
    sizes: dict[int, tuple[int, int]] = {}
    for key, frame in frame_of.items():
        one = listing.pictures[key]
        width, height = one.width or around.width, one.height or around.height
        sizes[frame] = whole(path, width), whole(path, height)
        check_pixels(path, *sizes[frame])
    names: dict[Hashable, str | None] = {}
    for shape in shapes:
        names[shape.identity] = names.get(shape.identity) or shape.name
    has_ids, key_of = _keys_of(path, listing, names)
    masks: dict[int, list[Shape]] = {frame: [] for frame in sorted(sizes)}
    for shape in shapes:
        if shape.picture in frame_of:
            masks[frame_of[shape.picture]].append(shape)

    def regions(frame: int) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        for shape in masks[frame]:
            yield key_of[shape.identity], _region(path, frame, shape.segmentation, sizes[frame])

    def read(frame: int) -> Stack:
        """Where shapes overlap, the later lies on top."""
        width, height = sizes[frame]
        return pile(regions(frame), height, width)

    unplaced = [one.file.name for key, one in listing.pictures.items() if key not in frame_of]
    found_masks = MaskSet(
        format=listing.format,
        title=listing.title,
        objects=tuple(FoundObject(key, clean_name(names[one])) for one, key in key_of.items()),
        sizes=dict(sorted(sizes.items())),
        read=read,
        has_ids=has_ids,
        unmatched=tuple(unplaced),
        remarks=tuple(remarks),
    )
    states = _presence_on_frames(listing, frame_of, key_of, len(around.names))
    listed = with_listed_presence(found_masks, listing.presence, len(around.names)).presence
    presence = {
        key: with_states(listed.get(key, ()), states.get(key, {}), len(around.names))
        for key in sorted({*listed, *states})
    }
    return replace(found_masks, presence=presence)


def _check_holds_masks(path: Path, listing: ShapeList) -> None:
    """UserError if there is nothing in it that has an inside."""
    if listing.boxes and not any(shape.segmentation for shape in listing.shapes):
        raise only_boxes(path, listing.boxes)
    if listing.lines and not (listing.shapes or listing.boxes):
        raise UserError(
            "“{name}” holds points and lines alone ({count}), which have no inside. Nothing was "
            "changed.\n\nChoose the export of masks or polygons of the program that made it.",
            name=path.name,
            count=listing.lines,
        )
    if listing.others and not (listing.shapes or listing.boxes or listing.lines):
        raise UserError(
            "“{name}” holds only shapes of kinds that are not read ({kinds}; {count} in all). "
            "Nothing was changed.\n\nTurn them into bitmaps or polygons in the program that made "
            "it, and export it again.",
            name=path.name,
            kinds=", ".join(sorted(set(listing.others))),
            count=len(listing.others),
        )
    if not listing.pictures:
        raise damaged(path, Message("there is not a single picture in it"))


def _left_out(listing: ShapeList, skipped: int) -> Iterator[Message]:
    """Remarks. skipped: polygons that are none."""
    if listing.boxes:
        yield Message("{boxes} boxes without an outline are left out.", boxes=listing.boxes)
    if listing.lines:
        yield Message(
            "{count} points and lines have no inside and are left out.", count=listing.lines
        )
    if listing.others:
        yield Message(
            "Left out: {count} shapes of kinds that are not read ({kinds}).",
            count=len(listing.others),
            kinds=", ".join(sorted(set(listing.others))),
        )
    if skipped:
        yield Message("Left out: {count} polygons of fewer than three points.", count=skipped)


def _keys_of(
    path: Path, listing: ShapeList, identities: Collection[Hashable]
) -> tuple[bool, dict[Hashable, int]]:
    """Whether the objects keep their own ids, and each one's key, ascending. UserError if they are
    too many."""
    if len(identities) > MOST_OBJECTS:
        raise damaged(
            path,
            Message(
                "it holds {count} objects; at most {most} fit",
                count=len(identities),
                most=MOST_OBJECTS,
            ),
        )
    has_ids = listing.has_ids and all(
        isinstance(one, int) and 1 <= one <= MOST_OBJECTS for one in identities
    )
    order = sorted(identities, key=lambda one: (str(type(one)), one))
    return has_ids, {
        one: cast("int", one) if has_ids else key for key, one in enumerate(order, start=1)
    }


def _region(path: Path, frame: int, code: object, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) of a shape. UserError if its code is damaged."""
    width, height = size
    try:
        if callable(code):
            return np.asarray(code(width, height))
        return decode_segmentation(code, width, height)
    except InvalidMaskError as error:
        raise damaged(
            path, Message("it holds {reason} (frame {frame})", reason=error, frame=frame)
        ) from error
    except _ODD_CODE as error:
        reason = Message(
            "it holds a mask that is not built as such are (frame {frame}: {reason!r})",
            frame=frame,
            reason=error,
        )
        raise damaged(path, reason) from error


def _presence_on_frames(
    listing: ShapeList,
    frame_of: Mapping[Hashable, int],
    key_of: Mapping[Hashable, int],
    frame_count: int,
) -> dict[int, dict[int, PresenceState]]:
    """By key, the frames whose shapes are marked as occluded, and those without the object."""
    states: dict[int, dict[int, PresenceState]] = {}
    seen: dict[Hashable, set[int]] = {}
    for shape in listing.shapes:
        if shape.picture in frame_of and shape.identity in key_of:
            seen.setdefault(shape.identity, set()).add(frame := frame_of[shape.picture])
            if shape.is_occluded:
                of_key = states.setdefault(key_of[shape.identity], {})
                of_key[frame] = PresenceState.OCCLUDED
    absent: dict[Hashable, dict[int, int]] = {}
    for one in listing.absences:
        if one.picture in frame_of and one.identity in seen:
            first = frame_of[one.picture]
            after = frame_count if one.most_after is None else one.most_after
            absent.setdefault(one.identity, {})[first] = min(frame_count, first + after + 1)
    for identity, ends in absent.items():
        steps = sorted({*ends, *seen[identity], frame_count})
        for first, following in pairwise(steps):
            if first in ends:
                frames = range(first, min(ends[first], following))
                of_key = states.setdefault(key_of[identity], {})
                of_key.update(dict.fromkeys(frames, PresenceState.ABSENT))
    return states


def _placed_pictures(pictures: Collection[ListedPicture], around: Surroundings) -> FoundMasks:
    """By the pictures' own names, else by those of their files. Raises UserError."""
    files = [one.file for one in pictures]
    originals = {one.file: one.original for one in pictures if one.original}
    if originals:
        try:
            return place_listed(files, around, originals)
        except UserError:
            pass  # moved or renamed since they were written down
    return place_listed(files, around)


def _sound_shapes(shapes: Iterable[Shape]) -> tuple[list[Shape], int]:
    """Without polygons of fewer than three points, where there are others; and how many those are.

    A file of nothing else is damaged, which decoding says.
    """
    kept: list[Shape] = []
    skipped = 0
    given = [one for one in shapes if one.segmentation]
    for shape in given:
        code = shape.segmentation
        if isinstance(code, list):
            good = [one for one in code if not (isinstance(one, list) and len(one) < 6)]
            skipped += len(code) - len(good)
            if not good:
                continue
            shape = replace(shape, segmentation=good)
        kept.append(shape)
    return (kept, skipped) if kept else (given, 0)


# COCO and YouTube-VIS

_TRACK_KEYS: Final = ("track_id", "instance_id", "object_id")


def from_coco(files: Iterable[tuple[Path, JsonObject]]) -> ShapeList:
    """track_id identifies an object, also among CVAT's attributes; without one, every
    category is one object. files: the parts that a video's frames were shared out to."""
    listing = ShapeList("coco", Message("COCO instances"))
    tracks: list[Hashable | None] = []
    for part, (path, data) in enumerate(files):
        names = {str(one["id"]): one.get("name") for one in data.get("categories") or []}
        listing.presence += _listed(data)
        for image in data["images"]:
            extra = image.get("extra")
            listing.pictures[part, str(image["id"])] = ListedPicture(
                listed_file(image["file_name"]),
                whole(path, image["width"]) if image.get("width") is not None else None,
                whole(path, image["height"]) if image.get("height") is not None else None,
                str(extra["name"]) if isinstance(extra, dict) and extra.get("name") else None,
            )
        for one in data["annotations"]:
            tracks.append(track := _track_of(one))
            category = one["category_id"]
            identity = f"category {category}" if track is None else track
            key, name = (part, str(one["image_id"])), names.get(str(category))
            code = _polygons(one.get("segmentation"))
            attributes = one.get("attributes")
            is_occluded = isinstance(attributes, dict) and attributes.get("occluded") is True
            shape = Shape(key, identity, name, code, is_occluded)
            listing.shapes.append(shape)
            listing.boxes += bool(one.get("bbox")) and not shape.segmentation
    listing.has_ids = None not in tracks
    if None in tracks:
        listing.remarks.append(
            Message(
                "The file does not say which masks are the same object: each category is "
                "read as one."
            )
        )
    return listing


def _polygons(code: object) -> object:
    """A list of polygons x, y, x, y …, also where a file has one alone, or its points in pairs."""
    if not isinstance(code, list) or not code:
        return code
    polygons = [code] if isinstance(code[0], int | float) else code
    return [
        [value for point in one for value in point]
        if isinstance(one, list) and one and all(isinstance(point, list) for point in one)
        else one
        for one in polygons
    ]


def _listed(data: JsonObject) -> list[object]:
    listed = data.get("presence")
    return list(listed) if isinstance(listed, list) else []


def _track_of(annotation: JsonObject) -> Hashable | None:
    attributes = annotation.get("attributes")
    for holder in (annotation, attributes if isinstance(attributes, dict) else {}):
        for key in _TRACK_KEYS:
            if holder.get(key) is not None:
                value: Hashable = holder[key]
                return value
    return None


def from_youtube_vis(path: Path, data: JsonObject, around: Surroundings) -> ShapeList:
    """One video of the file: the one called as this video is, or the only one. UserError."""
    listing = ShapeList("youtube-vis", "YouTube-VIS", has_ids=True, presence=_listed(data))
    videos = {video["id"]: video for video in data["videos"]}
    sequences = {
        number: Path(str(video["file_names"][0])).parent.name for number, video in videos.items()
    }
    chosen = [number for number, name in sequences.items() if name == around.sequence]
    if len(videos) == 1:
        chosen = list(videos)
    if len(chosen) != 1:
        raise UserError(
            "“{name}” holds masks of {count} videos, and it is not clear which belong "
            "to “{sequence}”. Nothing was changed.\n\n"
            "Keep one video in the file. There are: {values}.",
            name=path.name,
            count=len(videos),
            sequence=around.sequence,
            values=", ".join(sorted(sequences.values())[:10]),
        )
    video = videos[chosen[0]]
    names = {one["id"]: one.get("name") for one in data.get("categories") or []}
    size = whole(path, video["width"]), whole(path, video["height"])
    for position, name in enumerate(video["file_names"]):
        listing.pictures[position] = ListedPicture(listed_file(name), *size)
    for one in data["annotations"]:
        if one["video_id"] == chosen[0]:
            for position, code in enumerate(one["segmentations"]):
                if position in listing.pictures:
                    name = names.get(one["category_id"])
                    listing.shapes.append(Shape(position, one["id"], name, code))
    return listing


# labelme


def from_labelme(files: Iterable[tuple[Path, JsonObject]]) -> ShapeList:
    """A file beside each picture. A label is an object, or each of its groups is one."""
    listing = ShapeList("labelme", "labelme")
    for path, data in files:
        width, height = (
            whole(path, data[name]) if data.get(name) else None
            for name in ("imageWidth", "imageHeight")
        )
        original = listed_file(data["imagePath"]).name if data.get("imagePath") else None
        listing.pictures[path.name] = ListedPicture(path, width, height, original)
        for one in data["shapes"]:
            group = one.get("group_id")
            label = str(one["label"])
            identity = label if group is None else f"{label} {group}"
            code = _labelme_code(path, one)
            listing.lines += code is None
            if code is not None:
                listing.shapes.append(Shape(path.name, identity, identity, code))
    return listing


# Supervisely


_WITHOUT_INSIDE: Final = ("line", "polyline", "point", "graph")


def from_supervisely(files: Iterable[tuple[Path, JsonObject]]) -> ShapeList:
    """A file for each picture, called as it is with “.json”. A class is an object."""
    listing = ShapeList("supervisely", "Supervisely")
    for path, data in files:
        size = whole(path, data["size"]["width"]), whole(path, data["size"]["height"])
        listing.pictures[path.name] = ListedPicture(Path(path.stem), *size)
        for one in data["objects"]:
            kind, label = str(one["geometryType"]), str(one["classTitle"])
            if kind == "bitmap":
                left, top = one["bitmap"]["origin"]
                code: object = _bitmap(
                    str(one["bitmap"]["data"]), whole(path, left), whole(path, top)
                )
            elif kind == "polygon":
                code = _with_holes(
                    _polygons([one["points"]["exterior"]]), one["points"].get("interior")
                )
            else:
                listing.boxes += kind == "rectangle"
                listing.lines += kind in _WITHOUT_INSIDE
                if kind not in ("rectangle", *_WITHOUT_INSIDE):
                    listing.others.append(readable(kind))
                continue
            listing.shapes.append(Shape(path.name, label, label, code))
    return listing


def _with_holes(outline: object, holes: list[object] | None) -> object:
    if not holes:
        return outline

    def mask(width: int, height: int) -> NDArray[np.bool_]:
        inside = decode_segmentation(_polygons(holes), width, height)
        return decode_segmentation(outline, width, height) & ~inside

    return mask


_OUTLINES: Final = ("polygon", "rectangle", "rotation", "quadrilateral")


def _labelme_code(path: Path, shape: JsonObject) -> object:
    """None for what has no inside."""
    kind = shape.get("shape_type") or "polygon"
    points = [[float(x), float(y)] for x, y in shape["points"]]
    if kind == "polygon" or (kind in _OUTLINES and len(points) > 2):
        return [[value for point in points for value in point]]
    if kind == "mask" and shape.get("mask") and points:
        return _bitmap(str(shape["mask"]), round(points[0][0]), round(points[0][1]))
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        return [[left, top, right, top, right, bottom, left, bottom]]
    if kind == "circle" and len(points) == 2:
        radius = math.dist(*points)
        return [ellipse(points[0], radius, radius)]
    return None


_PNG: Final = b"\x89PNG"
_MOST_BITMAP_BYTES: Final = 2**28


def ellipse(
    center: Sequence[float], across: float, down: float, turned_rad: float = 0
) -> list[float]:
    """A polygon x, y, x, y …; across, down: its radii before it is turned clockwise."""
    turn = np.linspace(0, 2 * np.pi, 65)[:-1]
    x, y = np.cos(turn) * across, np.sin(turn) * down
    cosine, sine = math.cos(turned_rad), math.sin(turned_rad)
    around = np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=1)
    flat: list[float] = (around + center).ravel().tolist()
    return flat


def _bitmap(text: str, left: int, top: int) -> Callable[[int, int], NDArray[np.bool_]]:
    """A PNG in base64 of the mask's rectangle, perhaps compressed once more (Supervisely)."""

    def mask(width: int, height: int) -> NDArray[np.bool_]:
        try:
            data = base64.b64decode(text, validate=True)
            if not data.startswith(_PNG):
                data = zlib.decompressobj().decompress(data, _MOST_BITMAP_BYTES)
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                if image.width > width or image.height > height:
                    raise InvalidMaskError(Message("a mask larger than its picture"))
                grey = image.getchannel("A") if image.mode == "RGBA" else image.convert("L")
                pixels = np.asarray(grey) > 0
        except (*_ODD_CODE, *_PICTURE_DAMAGE) as error:
            raise InvalidMaskError(Message("a mask that is no PNG picture")) from error
        return placed(pixels, left, top, width, height)

    return mask


def placed(
    pixels: NDArray[np.bool_], left: int, top: int, width: int, height: int
) -> NDArray[np.bool_]:
    """(height, width) with `pixels` at (left, top); what lies outside is cut off."""
    result = np.zeros((height, width), np.bool_)
    x, y = max(0, left), max(0, top)
    part = pixels[y - top : height - top, x - left : width - left]
    result[y : y + part.shape[0], x : x + part.shape[1]] = part
    return result


# MOTS

_MOTS_LINE: Final = re.compile(r"(\d+) (\d+) (\d+) (\d+) (\d+) (\S+)")
_MOTS_IGNORED: Final = 10  # class of regions without an object


def from_mots_text(path: Path, text: str) -> ShapeList | None:
    """Lines of frame, object, class, height, width and run-length code; None for another text.

    An object is class · 1000 + instance: the instance, where no two classes share one.
    """
    listing = ShapeList("mots-text", Message("MOTS text"), has_ids=True)
    for line in text.splitlines():
        if not line.strip():
            continue
        match = _MOTS_LINE.fullmatch(line.strip())
        if match is None:
            return None
        frame, track, kind, height, width = (int(value) for value in match.groups()[:5])
        listing.pictures[frame] = ListedPicture(path.parent / f"{frame}.png", width, height)
        if kind != _MOTS_IGNORED:
            code = {"size": [height, width], "counts": match[6]}
            listing.shapes.append(Shape(frame, track, None, code))
    instances = {one.identity: cast("int", one.identity) % 1000 for one in listing.shapes}
    if len(set(instances.values())) == len(instances):
        listing.shapes = [replace(one, identity=instances[one.identity]) for one in listing.shapes]
    return listing if listing.pictures else None


def is_mots_text(path: Path) -> bool:
    """By the first line; False for what is no text."""
    try:
        text = read_text(path)
    except UserError:
        return False
    return _MOTS_LINE.fullmatch(text.strip().partition("\n")[0].strip()) is not None
