"""YOLO segmentation labels and mask polygons: export and import."""

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.mask_folders import natural_key
from interaction.annotation.overlaps import pile
from interaction.files import read_regular
from interaction.formats.format import ExportFormat, ExportJob, FormatGroup, Overlaps
from interaction.formats.mask_set import (
    MOST_OBJECTS,
    FoundObject,
    MaskSet,
    Surroundings,
    clean_name,
    damaged,
    only_boxes,
    place_files,
    read_text,
)
from interaction.formats.options import ExportOptions, option
from xmem_core.arrays import Labels
from xmem_core.messages import Message

__all__ = ["YOLO", "fill_polygons", "find_polygons", "label_files", "read_yolo"]

_Points = NDArray[np.int32]  # (N, 2) x, y in pixels


def find_polygons(mask: Labels, simplify_px: float = 0.0) -> list[_Points]:
    """mask: (H, W), 0 or not. One polygon of at least three points for each connected part.

    simplify_px: how far the outline may stray from the mask's, in pixels; 0: not at all.
    """
    contours, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if tree is None:
        return []
    rings = [np.asarray(contour, np.int32).reshape(-1, 2) for contour in contours]
    holes_of: dict[int, list[_Points]] = {}
    for index, (_, _, _, parent) in enumerate(tree[0].tolist()):
        if parent < 0:
            holes_of.setdefault(index, [])
        else:
            holes_of.setdefault(parent, []).append(rings[index])
    polygons: list[_Points] = []
    for index, holes in holes_of.items():
        polygon = _joined([rings[index], *holes])
        if simplify_px > 0:
            simple = cv2.approxPolyDP(polygon, simplify_px, closed=True)
            polygon = np.asarray(simple, np.int32).reshape(-1, 2)
        else:
            polygon = _without_straights(polygon)
        if len(polygon) < 3:  # a dot or a line; three points are the least a polygon can have
            polygon = np.resize(polygon, (3, 2))
        polygons.append(polygon)
    return polygons


def fill_polygons(polygons: Iterable[_Points], width: int, height: int) -> NDArray[np.bool_]:
    """(height, width): the pixels on or inside any of the polygons."""
    canvas = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        # One at a time: together, OpenCV would leave out what two of them share.
        cv2.fillPoly(canvas, [polygon], 1)
    return canvas > 0


def _joined(rings: list[_Points]) -> _Points:
    """The first ring, the outline, with the others, its holes, spliced in by seams.

    Always the nearest ring is joined to what is joined already (Prim's algorithm), so no seam
    crosses another ring: that one would be nearer.
    """
    if len(rings) == 1:
        return rings[0]
    from scipy.spatial import cKDTree  # half a second, which most commands can do without

    points = np.concatenate(rings)
    ring_of = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    first_of = np.searchsorted(ring_of, np.arange(len(rings)))
    nearest = np.full(len(points), np.inf)  # distance of a point to what is joined
    partner = np.zeros(len(points), np.int64)  # the joined point it is nearest to
    is_open = ring_of > 0
    order: list[tuple[int, int]] = []  # (ring, where on it its seam ends)
    seams: dict[int, list[tuple[int, int]]] = {}  # ring -> [(where on it, ring joined there)]
    newest = 0
    while is_open.any():
        waiting = np.flatnonzero(is_open)
        found: Any = cKDTree(rings[newest]).query(points[waiting])
        distance, index = found
        closer = distance < nearest[waiting]
        nearest[waiting[closer]] = distance[closer]
        partner[waiting[closer]] = first_of[newest] + index[closer]
        chosen = waiting[nearest[waiting].argmin()]
        newest, joined = int(ring_of[chosen]), int(ring_of[partner[chosen]])
        order.append((newest, int(chosen - first_of[newest])))
        seams.setdefault(joined, []).append((int(partner[chosen] - first_of[joined]), newest))
        is_open &= ring_of != newest
    # A ring is joined after the one that it hangs on, so from the last to the first every ring
    # finds its own holes' walks finished.
    walks: dict[int, _Points] = {}
    for ring, start in [*reversed(order), (0, 0)]:
        length = len(rings[ring])
        pieces: list[_Points] = []
        here = 0
        for away, child in sorted(
            ((at - start) % length, at_ring) for at, at_ring in seams.get(ring, [])
        ):
            pieces += [_arc(rings[ring], start + here, start + away), walks.pop(child)]
            here = away
        pieces.append(_arc(rings[ring], start + here, start + length))
        walks[ring] = np.concatenate(pieces)
    return walks[0][:-1]  # its last point is its first


def _arc(ring: _Points, first: int, last: int) -> _Points:
    """From `first` to `last`, both included, going round as often as it takes."""
    return ring[np.arange(first, last + 1) % len(ring)]


def _without_straights(polygon: _Points) -> _Points:
    """Without the points in the middle of a straight piece."""
    before = polygon - np.roll(polygon, 1, axis=0)
    after = np.roll(polygon, -1, axis=0) - polygon
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    goes_back = (before * after).sum(axis=1) <= 0  # a spike, or a point that stands still
    return polygon[turns | goes_back]


@dataclass(frozen=True, kw_only=True)
class YoloOptions(ExportOptions):
    simplify_px: float = option(
        0.0,
        Message("Simplify outlines"),
        Message("How far a polygon may stray from the mask's edge. 0 keeps every corner."),
        minimum=0,
        maximum=20,
        unit="px",
    )
    includes_pictures: bool = option(
        True,
        Message("Include the pictures"),
        Message("Also writes the frames as JPEG, beside the label files."),
    )
    jpeg_quality: int = option(95, Message("JPEG quality"), minimum=1, maximum=100)


def _write_yolo(job: ExportJob) -> Iterator[int]:
    options = job.options_as(YoloOptions)
    names = "\n".join(
        # A JSON string is a YAML string, whatever the name holds.
        f"  {number}: {json.dumps(one.name, ensure_ascii=False)}"
        for number, one in enumerate(job.objects)
    )
    data = f"path: .\ntrain: images/train\nval: images/train\nnames:\n{names}\n"
    job.write("data.yaml", data.encode())
    size = np.array([job.source.width, job.source.height])
    for frame in job.frames:
        name = job.source.frame_name(frame)
        lines: list[str] = []
        for one in job.back_to_front(frame):
            number, mask = job.objects.index(one), job.region(frame, one).astype(np.uint8)
            for polygon in find_polygons(mask, options.simplify_px):
                # The centre of pixel x lies at x + 0.5; rounded down, it is x again.
                shares = ((polygon + 0.5) / size).ravel()
                lines.append(f"{number} " + " ".join(f"{share:.6f}" for share in shares))
        text = "".join(f"{line}\n" for line in lines)
        job.write(f"labels/train/{name}.txt", text.encode(), frame)
        if options.includes_pictures:
            job.write_jpeg(f"images/train/{name}.jpg", frame, options.jpeg_quality)
        yield frame


YOLO: Final = ExportFormat(
    name="yolo",
    title=Message("YOLO segmentation"),
    description=Message(
        "A text file of polygons for each frame and data.yaml; a class stands for an "
        "object. Seams at holes can differ by a pixel."
    ),
    group=FormatGroup.DATASETS,
    options=YoloOptions,
    write=_write_yolo,
    overlaps=Overlaps.WHOLE,
    writers="Ultralytics, CVAT, Roboflow",
    limits="A class is an object, or a track where the file has that column; boxes are left out.",
)


_MOST_BYTES: Final = 64 * 2**20  # a file
_LARGEST_SHARE: Final = 1.1  # of a side; outlines may stray a little beyond the picture
_NAME_LINE: Final = re.compile(r"\s+(\d{1,6})\s*:\s*(.+)|\s*-\s+(.+)")


_OTHER_TEXTS: Final = {"classes.txt", "labelmap.txt", "train.txt", "val.txt", "test.txt"}
_PARTS: Final = {"train", "val", "valid", "test"}  # that a data set is shared out to
_PLACES: Final = ("*.txt", "*/*.txt", "*/*/*.txt")


def label_files(folder: Path) -> list[Path]:
    """Text files of labels in `folder` or below its folder “labels”, in natural order."""
    roots = [folder / name for name in ("labels", "obj_train_data") if (folder / name).is_dir()]
    if roots:
        found = [path for place in _PLACES for path in roots[0].glob(place)]
    else:
        found = [*folder.glob("*.txt"), *folder.glob("*/labels/*.txt")]
        found += [path for path in folder.glob("*/*.txt") if path.parent.name in _PARTS]
    files = [
        path
        for path in found
        if not path.name.startswith(".") and path.name not in _OTHER_TEXTS and path.is_file()
    ]
    return sorted(files, key=lambda path: natural_key(path.name))


@dataclass(frozen=True, slots=True)
class _Line:
    """A class and the numbers after it; texts tell a track's whole number from a share."""

    number: int
    values: tuple[float, ...]
    ends_whole: bool  # the last is written without a decimal point


def read_yolo(folder: Path, around: Surroundings) -> MaskSet:
    """Every track is one object, or without tracks every class; keys count up. UserError."""
    found = place_files(label_files(folder), around)
    lines_of: dict[int, list[_Line]] = {}
    for done, (frame, path) in enumerate(found.by_frame.items(), start=1):
        lines_of[frame] = _read_file(path)
        around.on_progress(done, len(found.by_frame))
    has_score, has_track = _extra_columns([one for lines in lines_of.values() for one in lines])
    names = _class_names(folder)
    shapes: dict[int, list[tuple[int, NDArray[np.float64]]]] = {}
    classes: dict[int, int] = {}  # identity -> class
    boxes = 0
    for frame, lines in lines_of.items():
        shapes[frame] = []
        for line in lines:
            values = line.values[: len(line.values) - has_score - has_track]
            if len(values) == 4:
                boxes += 1
                continue
            if len(values) < 6 or len(values) % 2:
                reason = Message("a line in it is not a class and the points of a polygon")
                raise damaged(found.by_frame[frame], reason)
            if max(values) > _LARGEST_SHARE:
                reason = Message("its points are in pixels, and not in shares of the picture")
                raise damaged(found.by_frame[frame], reason)
            identity = int(line.values[-1]) if has_track else line.number
            classes.setdefault(identity, line.number)
            shapes[frame].append((identity, np.array(values).clip(0, 1).reshape(-1, 2)))
    if boxes and not classes:
        raise only_boxes(folder, boxes)
    key_of = _keys_of(folder, classes, has_track=has_track)
    size = np.array([around.width, around.height])

    def masks(frame: int) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        for identity, shares in shapes[frame]:
            # Rounded down, as the format's own programs do; 1.0 is the last pixel's far side.
            points = np.floor(shares * size).clip(0, size - 1).astype(np.int32)
            yield key_of[identity], fill_polygons([points], around.width, around.height)

    remarks = [found.remark] if found.remark else []
    return MaskSet(
        format="yolo",
        title=Message("YOLO segmentation"),
        objects=tuple(
            FoundObject(key_of[one], names.get(kind)) for one, kind in sorted(classes.items())
        ),
        sizes=dict.fromkeys(found.by_frame, (around.width, around.height)),
        read=lambda frame: pile(masks(frame), around.height, around.width),
        has_ids=False,
        unmatched=tuple(path.name for path in found.unmatched),
        remarks=(*remarks, *_remarks(boxes, has_score, has_track)),
    )


def _keys_of(folder: Path, identities: Collection[int], *, has_track: bool) -> dict[int, int]:
    """Each identity's key, where possible a class or track itself. UserError if they are too
    many."""
    if len(identities) > MOST_OBJECTS or max(identities, default=0) >= 2**31:
        raise damaged(
            folder,
            Message(
                "it has {count} objects; at most {most} fit",
                count=len(identities),
                most=MOST_OBJECTS,
            ),
        )
    first = 0 if has_track and 0 not in identities else 1  # what makes a class or track a key
    is_plain = max(identities, default=0) + first <= MOST_OBJECTS
    return {
        one: one + first if is_plain else key for key, one in enumerate(sorted(identities), start=1)
    }


def _remarks(boxes: int, has_score: bool, has_track: bool) -> Iterator[Message]:
    """How the lines were read."""
    if boxes:
        yield Message("{boxes} boxes without an outline are left out.", boxes=boxes)
    if has_score or has_track:
        columns = Message("confidence and track") if has_score and has_track else "confidence"
        yield Message(
            "The last columns are read as {columns}, not as a point of the outline.",
            columns=columns if has_score else "track",
        )
    if has_track:
        yield Message("Every track is read as one object.")
    else:
        yield Message("Every class is read as one object.")


def _extra_columns(lines: Sequence[_Line]) -> tuple[bool, bool]:
    """Whether every line ends in a confidence, and in a track's number.

    An odd count has one column more than points; an even one two, or none. A track is a whole
    number; where it could be a coordinate of 1 as well, no other point may lie at the border.
    """
    if not lines:
        return False, False
    last = [line.values[-1] for line in lines if line.values]
    are_whole = len(last) == len(lines) and all(line.ends_whole for line in lines)
    if all(len(line.values) % 2 for line in lines):
        is_track = are_whole and (max(last) > 1 or len(lines) == 1)
        return not is_track, is_track
    if any(len(line.values) % 2 for line in lines) or not are_whole:
        return False, False
    is_track = max(last) > 1 or (
        set(last) == {1} and all(max(line.values[1:-2:2], default=1) < 0.999 for line in lines)
    )
    return is_track, is_track


def _read_file(path: Path) -> list[_Line]:
    lines: list[_Line] = []
    for line_number, text in enumerate(read_text(path).splitlines(), start=1):
        fields = text.split()
        if not fields:
            continue
        try:
            line = _Line(int(fields[0]), tuple(map(float, fields[1:])), fields[-1].isdecimal())
        except ValueError:
            raise damaged(
                path, Message("line {number} holds something that is no number", number=line_number)
            ) from None
        if not 0 <= line.number < 2**31 or not all(math.isfinite(one) for one in line.values):
            raise damaged(
                path,
                Message(
                    "line {number} is not a class and the points of a polygon", number=line_number
                ),
            )
        lines.append(line)
    return lines


def _class_names(folder: Path) -> dict[int, str | None]:
    """The names in data.yaml, in the two ways in which they are written, or a name a line."""
    _, found, rest = ("\n" + _text(folder / "data.yaml")).partition("\nnames:")
    if not found:
        listed = (_text(folder / name) for name in _NAME_LISTS)
        return dict(enumerate(map(_name, next(filter(None, listed), "").splitlines())))
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


_NAME_LISTS: Final = ("obj.names", "classes.txt", "labels/classes.txt")


def _text(path: Path) -> str:
    """Nothing for a file that is not there or no text."""
    try:
        return read_regular(path, _MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeError):
        return ""


def _name(text: str) -> str | None:
    text = text.strip()
    if text.startswith('"'):
        try:
            return clean_name(json.loads(text))
        except ValueError:
            pass
    return clean_name(text.strip("'\""))
