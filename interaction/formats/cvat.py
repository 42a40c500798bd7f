"""CVAT's XML (for images 1.1, and tracks of for video 1.1): export and import."""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from interaction.formats.format import ExportFormat, ExportJob, FormatGroup, Overlaps
from interaction.formats.mask_set import damaged
from interaction.formats.shapes import (
    Absence,
    InvalidMaskError,
    ListedPicture,
    Shape,
    ShapeList,
    ellipse,
    listed_file,
    placed,
)
from xmem_core.messages import Message

__all__ = ["CVAT_XML", "from_cvat"]


def _write_cvat(job: ExportJob) -> Iterator[int]:
    """Masks as run lengths; group_id is the object's id, which CVAT keeps."""
    with job.writing_text("annotations.xml") as file:
        labels = "".join(
            f"<label><name>{quoteattr(name)[1:-1]}</name></label>"
            for name in dict.fromkeys(one.name for one in job.objects)
        )
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
        file.write("<version>1.1</version>\n")
        file.write(f"<meta><task><labels>{labels}</labels></task></meta>\n")
        for frame in job.frames:
            picture = job.source.picture_name(frame)
            file.write(
                f'<image id="{frame}" name={quoteattr(picture)} width="{job.source.width}" '
                f'height="{job.source.height}">\n'
            )
            for depth, one in enumerate(job.back_to_front(frame)):
                region = job.region(frame, one)
                if region.any():
                    file.write(
                        f'<mask label={quoteattr(one.name)} source="manual" '
                        f'occluded="{job.is_occluded(one, frame):d}" '
                        f'{_run_lengths(region)} z_order="{depth}" group_id="{one.id}"></mask>\n'
                    )
            file.write("</image>\n")
            job.rows.append((frame, picture))
            yield frame
        file.write("</annotations>\n")


def _run_lengths(mask: NDArray[np.bool_]) -> str:
    """Attributes: the rectangle, and runs of it row by row, the first of them outside."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    flat = np.concatenate([[False], part.ravel()])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate([[0], changes, [part.size]]))
    text = ", ".join(map(str, runs.tolist()))
    height, width = part.shape
    return f'rle="{text}" left="{left}" top="{top}" width="{width}" height="{height}"'


CVAT_XML: Final = ExportFormat(
    name="cvat-xml",
    title=Message("CVAT for images 1.1"),
    description=Message("annotations.xml with a run-length mask of each object on each picture."),
    group=FormatGroup.DATASETS,
    write=_write_cvat,
    overlaps=Overlaps.WHOLE,
    writers="CVAT (for images 1.1, for video 1.1)",
    limits="A group, a track or else a label is one object; boxes, points and lines are left out.",
)


_MOST_MEMORY_BYTES: Final = 2**30
_ELEMENT_BYTES: Final = 100  # and as much for an attribute; each also takes its text


def from_cvat(path: Path, text: str) -> ShapeList | None:
    """None for another XML file. Raises UserError."""
    if "<annotations" not in text[:4096]:
        return None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise damaged(path, Message("it holds declarations that masks do not need"))
    if len(text) + _ELEMENT_BYTES * (text.count("<") + text.count("=")) > _MOST_MEMORY_BYTES:
        raise damaged(path, Message("it holds more elements than fit into memory"))
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise damaged(path, Message("it is no XML ({reason})", reason=error)) from error
    listing = ShapeList("cvat-xml", Message("CVAT XML"))
    try:
        groups = [_read_image(listing, image) for image in root.iter("image")]
        listing.has_ids = bool(groups) and all(groups)
        size = root.find(".//original_size")
        dimensions = (
            (None, None)
            if size is None
            else (int(size.findtext("width", "")), int(size.findtext("height", "")))
        )
        stop = root.findtext(".//stop_frame")
        for track in root.iter("track"):
            _read_track(listing, track, dimensions, None if stop is None else int(stop))
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(
            path, Message("it is not built as CVAT's XML is ({reason!r})", reason=error)
        ) from error
    return listing


def _read_image(listing: ShapeList, image: ElementTree.Element) -> bool:
    """Whether every shape on it belongs to a group."""
    key = image.attrib["id"]
    listing.pictures[key] = ListedPicture(
        listed_file(image.attrib["name"]), int(image.attrib["width"]), int(image.attrib["height"])
    )
    is_grouped = True
    for element in sorted(image, key=lambda one: int(one.get("z_order", 0))):
        listing.boxes += element.tag == "box"
        listing.lines += element.tag in _LINES
        code = _code(element)
        if code is not None:
            group, label = int(element.get("group_id", 0)), element.attrib["label"]
            is_grouped = is_grouped and group > 0
            listing.shapes.append(Shape(key, group or label, label, code, _is_occluded(element)))
    return is_grouped


def _read_track(
    listing: ShapeList,
    track: ElementTree.Element,
    size: tuple[int | None, int | None],
    stop: int | None,
) -> None:
    """stop: the last frame that was annotated, where the file says so."""
    identity, label = f"track {track.attrib['id']}", track.attrib["label"]
    for element in track:
        is_outside = element.get("outside") == "1"
        listing.boxes += element.tag == "box" and not is_outside
        listing.lines += element.tag in _LINES and not is_outside
        code = _code(element)
        if code is None:
            continue
        frame = int(element.attrib["frame"])
        key = f"frame {frame}"
        listing.pictures.setdefault(key, ListedPicture(Path(f"{frame}.png"), *size))
        if is_outside:
            listing.absences.append(Absence(key, identity, stop and max(0, stop - frame)))
        else:
            listing.shapes.append(Shape(key, identity, label, code, _is_occluded(element)))


def _is_occluded(element: ElementTree.Element) -> bool:
    return element.get("occluded") == "1"


_LINES: Final = ("points", "polyline", "skeleton", "cuboid")


def _code(element: ElementTree.Element) -> object:
    """None for what has no inside."""
    if element.tag == "mask":
        return _runs(element.attrib)
    if element.tag == "polygon":
        pairs = [pair.split(",") for pair in element.attrib["points"].split(";")]
        return [[float(value) for pair in pairs for value in pair]]
    if element.tag == "ellipse":
        x, y, across, down = (float(element.attrib[one]) for one in ("cx", "cy", "rx", "ry"))
        return [ellipse((x, y), across, down, math.radians(float(element.get("rotation", 0))))]
    return None


def _runs(attributes: Mapping[str, str]) -> Callable[[int, int], NDArray[np.bool_]]:
    """A mask's rectangle and runs, decoded when it is called with the picture's size."""
    runs = [int(run) for run in attributes["rle"].split(",")]
    left, top, across, down = (int(attributes[n]) for n in ("left", "top", "width", "height"))

    def mask(width: int, height: int) -> NDArray[np.bool_]:
        size = across * down
        is_empty = min(across, down) < 1
        if is_empty or min(runs) < 0 or sum(runs) != size or size > 4 * width * height:
            raise InvalidMaskError(Message("a run-length code for another size than its rectangle"))
        values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return placed(values.reshape(down, across), left, top, width, height)

    return mask
