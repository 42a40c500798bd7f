"""One folder an object: binary masks, soft mattes, and cut-outs of the picture itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from interaction.project.exporters.format import ExportFormat, FormatGroup, TargetKind
from interaction.project.exporters.job import ExportJob, encode_png
from interaction.project.exporters.looks import cut_out, soft_edge
from interaction.project.exporters.options import ExportOptions, option
from interaction.project.exporters.target import safe_name
from xmem_core.pictures import Labels

__all__ = ["BINARY", "CUT_OUTS", "MATTE", "PNG_SEQUENCE", "edge_option"]


def edge_option(default: float) -> Any:
    """The field that says how wide an antialiased edge is, the same for every format."""
    return option(
        default,
        "Edge width",
        "Stored masks are hard. Their edge is made to rise over this many pixels by its distance "
        "alone: it is geometry, not the tracker's probability. 1 or less leaves it hard.",
        minimum=0,
        maximum=64,
        unit="px",
    )


@dataclass(frozen=True, kw_only=True)
class MatteOptions(ExportOptions):
    bits: str = option("8", "Depth", choices={"8": "8 bits", "16": "16 bits"})
    edge_px: float = edge_option(3.0)


@dataclass(frozen=True, kw_only=True)
class CutOutOptions(ExportOptions):
    edge_px: float = edge_option(2.0)


@dataclass(frozen=True, kw_only=True)
class SequenceOptions(ExportOptions):
    has_layers: bool = option(
        False, "A layer for each object", "A folder for each object instead of all in one picture."
    )
    first_number: int = option(
        -1,
        "First file number",
        "Files are numbered on from it without gaps. −1: by the frame's index in the video.",
        minimum=-1,
        maximum=9_999_999,
    )
    is_premultiplied: bool = option(
        False, "Premultiplied", "Colours are multiplied by alpha. Most programs want them straight."
    )
    edge_px: float = edge_option(2.0)


def _write_per_object(
    job: ExportJob, picture: Callable[[int, NDArray[np.bool_]], NDArray[Any]]
) -> Iterator[int]:
    """picture: frame, one object's mask (H, W) -> what its PNG holds."""
    for frame in job.frames:
        labels = job.labels(frame)
        name = f"{job.source.frame_name(frame)}.png"
        for one in job.objects:
            pixels = picture(frame, labels == one.id)
            job.write(f"{job.object_folder(one)}/{name}", encode_png(pixels), frame)
        yield frame


def _write_binary(job: ExportJob) -> Iterator[int]:
    return _write_per_object(job, lambda frame, mask: mask.astype(np.uint8) * 255)


def _write_mattes(job: ExportJob) -> Iterator[int]:
    options = job.options_as(MatteOptions)
    depth: Any = np.uint16 if options.bits == "16" else np.uint8

    def matte(frame: int, mask: NDArray[np.bool_]) -> NDArray[Any]:
        alpha = soft_edge(mask, options.edge_px)
        return np.round(alpha * np.iinfo(depth).max).astype(depth)

    return _write_per_object(job, matte)


def _write_cut_outs(job: ExportJob) -> Iterator[int]:
    options = job.options_as(CutOutOptions)
    return _write_per_object(
        job, lambda frame, mask: cut_out(job.picture(frame), soft_edge(mask, options.edge_px))
    )


def _write_sequence(job: ExportJob) -> Iterator[int]:
    options = job.options_as(SequenceOptions)

    def layer(frame: int, mask: NDArray[np.bool_]) -> bytes:
        alpha = soft_edge(mask, options.edge_px)
        pixels = cut_out(job.picture(frame), alpha)
        if options.is_premultiplied:
            pixels[:, :, :3] = np.round(pixels[:, :, :3] * alpha[:, :, None])
        return encode_png(pixels)

    for position, frame in enumerate(job.frames):
        number = frame if options.first_number < 0 else options.first_number + position
        labels: Labels = job.labels(frame)
        if options.has_layers:
            for one in job.objects:
                stem = safe_name(one.name, "object")
                name = f"{job.object_folder(one)}/{stem}.{number:07d}.png"
                job.write(name, layer(frame, labels == one.id), frame)
        else:
            stem = safe_name(job.source.name, "frames")
            job.write(f"{stem}.{number:07d}.png", layer(frame, labels > 0), frame)
        yield frame


BINARY: Final = ExportFormat(
    name="binary",
    title="Binary masks",
    description="A folder for each object with one black and white PNG a frame.",
    group=FormatGroup.MASKS,
    target=TargetKind.FOLDER,
    suffix="",
    options=ExportOptions,
    write=_write_binary,
    is_importable=True,
)
MATTE: Final = ExportFormat(
    name="matte",
    title="Soft mattes",
    description="A folder for each object with one grey PNG a frame, its edges antialiased.",
    group=FormatGroup.COMPOSITING,
    target=TargetKind.FOLDER,
    suffix="",
    options=MatteOptions,
    write=_write_mattes,
    is_importable=True,
)
CUT_OUTS: Final = ExportFormat(
    name="cut-outs",
    title="Cut-outs",
    description="A folder for each object with the picture inside it, transparent elsewhere (PNG).",
    group=FormatGroup.COMPOSITING,
    target=TargetKind.FOLDER,
    suffix="",
    options=CutOutOptions,
    write=_write_cut_outs,
    is_importable=True,
)
PNG_SEQUENCE: Final = ExportFormat(
    name="png-sequence",
    title="PNG sequence with alpha",
    description="Numbered RGBA pictures for compositing programs, all objects in one or a layer "
    "for each.",
    group=FormatGroup.COMPOSITING,
    target=TargetKind.FOLDER,
    suffix="",
    options=SequenceOptions,
    write=_write_sequence,
    is_importable=True,
)
