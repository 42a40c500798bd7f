"""Palette PNGs (plain, DAVIS, YouTube-VOS) and MOTS PNGs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.mask_files import davis_palette, encode_indexed, encode_labels
from interaction.formats.format import ExportFormat, ExportJob, FormatGroup, encode_png, safe_name
from interaction.formats.options import ExportOptions, option
from xmem_core.arrays import Pixels
from xmem_core.messages import Message

__all__ = ["DAVIS", "MOTS_PNG", "PALETTE_PNG", "YOUTUBE_VOS"]

_DIGITS: Final = 5  # in both data sets' file names
_RESOLUTIONS: Final = {480: "480p", 1080: "1080p"}  # DAVIS's folders, by height


@dataclass(frozen=True, kw_only=True)
class PaletteOptions(ExportOptions):
    palette: str = option(
        "davis",
        Message("Colours"),
        Message(
            "What the files look like in a picture viewer. The pixel values are object ids "
            "either way."
        ),
        choices={"davis": Message("DAVIS palette"), "objects": Message("The objects' colours")},
    )


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(ExportOptions):
    includes_pictures: bool = option(
        True,
        Message("Include the pictures"),
        Message("Also writes the frames as JPEG, as the data set has them."),
    )
    jpeg_quality: int = option(95, Message("JPEG quality"), minimum=1, maximum=100)


def _palette_pictures(job: ExportJob, frame: int) -> Iterator[tuple[str, Pixels]]:
    yield f"{job.source.frame_name(frame)}.png", _palette(job)[job.labels(frame)]


def _palette(job: ExportJob) -> NDArray[np.uint8]:
    """(256, 3) RGB: that of DAVIS, the chosen objects' own colours in it if they are wanted."""
    palette = davis_palette()
    if job.options_as(PaletteOptions).palette == "objects":
        for one in job.objects:
            palette[one.id] = one.color
    return palette


def _write_palette(job: ExportJob) -> Iterator[int]:
    palette = _palette(job)
    for frame in job.frames:
        name = f"{job.source.frame_name(frame)}.png"
        job.write(name, encode_indexed(job.labels(frame), palette), frame)
        yield frame


def _sequence(job: ExportJob) -> str:
    return safe_name(job.source.name, "sequence")


def _write_davis(job: ExportJob) -> Iterator[int]:
    for name in ("train", "val"):  # training reads the one, evaluation the other
        job.write(f"ImageSets/2017/{name}.txt", f"{_sequence(job)}\n".encode())
    for frame in job.frames:
        _write_frame(job, frame, _davis_folder(job))
        yield frame


def _davis_folder(job: ExportJob) -> str:
    resolution = _RESOLUTIONS.get(job.source.height, "Full-Resolution")
    return f"{resolution}/{_sequence(job)}"


def _frame_pictures(job: ExportJob, frame: int, subfolder: str) -> Iterator[tuple[str, Pixels]]:
    name = job.source.frame_name(frame, _DIGITS)
    yield f"Annotations/{subfolder}/{name}.png", davis_palette()[job.labels(frame)]
    if job.options_as(DatasetOptions).includes_pictures:
        yield f"JPEGImages/{subfolder}/{name}.jpg", job.picture(frame)


def _write_youtube_vos(job: ExportJob) -> Iterator[int]:
    sequence = _sequence(job)
    frames_of: dict[int, list[str]] = {one.id: [] for one in job.objects}
    for frame in job.frames:
        counts = _write_frame(job, frame, sequence)
        for object_id, names in frames_of.items():
            if counts[object_id]:
                names.append(job.source.frame_name(frame, _DIGITS))
        yield frame
    objects = {
        str(one.id): {"category": one.name, "frames": frames_of[one.id]}
        for one in sorted(job.objects, key=lambda one: one.id)
        if frames_of[one.id]
    }
    meta = {"videos": {sequence: {"objects": objects}}}
    job.write("meta.json", json.dumps(meta, indent=1, ensure_ascii=False).encode())


def _write_frame(job: ExportJob, frame: int, subfolder: str) -> NDArray[np.int64]:
    """Mask and picture of one frame; the number of pixels of each id, (256,)."""
    options = job.options_as(DatasetOptions)
    name = job.source.frame_name(frame, _DIGITS)
    labels = job.labels(frame)
    job.write(f"Annotations/{subfolder}/{name}.png", encode_labels(labels), frame)
    if options.includes_pictures:
        job.write_jpeg(f"JPEGImages/{subfolder}/{name}.jpg", frame, options.jpeg_quality)
    return cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel().astype(np.int64)


PALETTE_PNG: Final = ExportFormat(
    name="palette-png",
    title=Message("Palette PNG"),
    description=Message(
        "One PNG a frame whose pixel values are object ids, as in DAVIS and Pascal VOC."
    ),
    group=FormatGroup.MASKS,
    options=PaletteOptions,
    write=_write_palette,
    pictures=_palette_pictures,
    writers="DAVIS, Pascal VOC, XMem, Cutie, Cellpose, napari",
    limits="Ids of 8 to 32 bits; above 255 they are numbered anew. 255 round objects is void.",
)
DAVIS: Final = ExportFormat(
    name="davis",
    title=Message("DAVIS 2017"),
    description=Message(
        "The folders JPEGImages, Annotations and ImageSets of the DAVIS benchmark."
    ),
    group=FormatGroup.DATASETS,
    options=DatasetOptions,
    write=_write_davis,
    pictures=lambda job, frame: _frame_pictures(job, frame, _davis_folder(job)),
    writers="DAVIS 2016 and 2017",
    limits="The video's own sequence of several.",
)
YOUTUBE_VOS: Final = ExportFormat(
    name="youtube-vos",
    title="YouTube-VOS",
    description=Message(
        "The folders JPEGImages and Annotations with meta.json, which names the objects."
    ),
    group=FormatGroup.DATASETS,
    options=DatasetOptions,
    write=_write_youtube_vos,
    pictures=lambda job, frame: _frame_pictures(job, frame, _sequence(job)),
    writers="YouTube-VOS, MOSE",
    limits="Names come from meta.json.",
)


_INSTANCES_A_CLASS: Final = 1000
_MOTS_DIGITS: Final = 6


@dataclass(frozen=True, kw_only=True)
class MotsOptions(ExportOptions):
    class_id: int = option(
        1,
        Message("Class"),
        Message("The class of every object; in KITTI MOTS 1 is a car, 2 a pedestrian."),
        minimum=1,
        maximum=64,
    )


def _write_mots(job: ExportJob) -> Iterator[int]:
    options = job.options_as(MotsOptions)
    sequence = _sequence(job)
    values = np.zeros(256, np.uint16)
    for one in job.objects:
        values[one.id] = options.class_id * _INSTANCES_A_CLASS + one.id
    for frame in job.frames:
        name = f"instances/{sequence}/{job.source.frame_name(frame, _MOTS_DIGITS)}.png"
        job.write(name, encode_png(values[job.labels(frame)]), frame)
        yield frame


MOTS_PNG: Final = ExportFormat(
    name="mots",
    title=Message("MOTS PNG"),
    description=Message("16-bit PNGs whose pixel values are class · 1000 + object id."),
    group=FormatGroup.DATASETS,
    options=MotsOptions,
    write=_write_mots,
    writers="KITTI MOTS, MOTSChallenge",
    limits="Value 10000 is left out; instances of two classes are numbered anew.",
)
