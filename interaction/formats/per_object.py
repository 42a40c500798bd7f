"""One folder an object: binary masks, soft mattes, and cut-outs of the picture itself."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.mattes import kept_probabilities
from interaction.annotation.types import FrameRecord, ObjectInfo
from interaction.formats.format import (
    ExportFormat,
    ExportJob,
    FormatGroup,
    Overlaps,
    safe_name,
    write_pictures,
)
from interaction.formats.looks import cut_out, refined_edge, soft_edge
from interaction.formats.options import ExportOptions, option
from xmem_core.arrays import Pixels
from xmem_core.messages import Message

__all__ = [
    "BINARY",
    "CUT_OUTS",
    "MATTE",
    "PNG_SEQUENCE",
    "EdgeOptions",
    "edge_from_option",
    "edge_option",
    "soft_mask",
]


_LEAST_INSIDE: Final = 128 / 255  # what is read again at half is the mask, in 8 bits too
_MOST_OUTSIDE: Final = 127 / 255


def edge_option() -> float:
    """The field that says how wide an antialiased edge is, the same for every format."""
    return option(
        3.0,
        Message("Edge width"),
        Message(
            "Stored masks are hard. Their edge is made soft over this many pixels, on either side "
            "where it comes from the picture. 1 or less leaves it hard."
        ),
        minimum=0,
        maximum=64,
        unit="px",
    )


def edge_from_option() -> str:
    """The field that says what a soft edge comes from, the same for every format."""
    return option(
        "both",
        Message("Edge from"),
        Message(
            "Picture and network: as transparent as the colours say, beginning with the network's "
            "probabilities where the project keeps them. Picture: the colours alone, which may "
            "move the outline; 8 px where masks are coarse. Network: its probabilities, else "
            "distance. Distance: a straight ramp over the edge."
        ),
        choices={
            "both": Message("The picture and the network"),
            "picture": Message("The picture"),
            "network": Message("The network"),
            "distance": Message("Distance"),
        },
    )


def soft_mask(
    job: ExportJob, frame: int, one: ObjectInfo | None, edge_px: float, edge_from: str
) -> NDArray[np.float32]:
    """(H, W) 0 to 1: an object, or all of the job's as one (None), with the edge that the options
    ask for. At least half in the mask, and less beside it, unless the picture alone is asked."""
    inside = job.labels(frame) > 0 if one is None else job.region(frame, one)
    if edge_from == "picture":
        return refined_edge(inside, job.picture(frame), edge_px)
    if edge_from == "distance" or edge_px <= 1:
        return soft_edge(inside, edge_px)
    if edge_from == "network":
        return _kept_alpha(job, frame, one, inside, partial(soft_edge, width_px=edge_px))
    soft = _kept_alpha(job, frame, one, inside, lambda mask: mask.astype(np.float32))
    return _holding(refined_edge(inside, job.picture(frame), edge_px, soft), inside)


def _kept_alpha(
    job: ExportJob,
    frame: int,
    one: ObjectInfo | None,
    inside: NDArray[np.bool_],
    otherwise: Callable[[NDArray[np.bool_]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """(H, W): the probabilities that are kept, and where none are or hold what `otherwise` makes of
    the mask."""
    record = job.source.records.get(frame)
    if record is None or not record.mattes:
        return otherwise(inside)
    if one is not None:
        return _with_kept(record, one.id, inside, otherwise(inside))
    alpha = np.zeros(inside.shape, np.float32)
    for each in job.objects:
        region = job.region(frame, each)
        if region.any():
            alpha += _with_kept(record, each.id, region, otherwise(region))
    return _holding(alpha, inside)


def _with_kept(
    record: FrameRecord, object_id: int, inside: NDArray[np.bool_], otherwise: NDArray[np.float32]
) -> NDArray[np.float32]:
    """One object's probability where it is kept and holds, `otherwise` elsewhere, (H, W) all."""
    kept = kept_probabilities(record, object_id, inside)
    return otherwise if kept is None else np.where(kept.is_known, kept.alpha, otherwise)


def _holding(alpha: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W): over half is the mask, exactly, in 8 bits too."""
    return np.where(inside, alpha.clip(_LEAST_INSIDE, 1), alpha.clip(0, _MOST_OUTSIDE))


@dataclass(frozen=True, kw_only=True)
class EdgeOptions(ExportOptions):
    edge_px: float = edge_option()
    edge_from: str = edge_from_option()


@dataclass(frozen=True, kw_only=True)
class MatteOptions(ExportOptions):
    bits: str = option("8", Message("Depth"), choices={"8": "8 bits", "16": "16 bits"})
    edge_px: float = edge_option()
    edge_from: str = edge_from_option()


@dataclass(frozen=True, kw_only=True)
class SequenceOptions(ExportOptions):
    has_layers: bool = option(
        False,
        Message("A layer for each object"),
        Message("A folder for each object instead of all in one picture."),
    )
    first_number: int = option(
        -1,
        Message("First file number"),
        Message(
            "Files are numbered on from it without gaps. −1: by the frame's index in the video."
        ),
        minimum=-1,
        maximum=9_999_999,
    )
    is_premultiplied: bool = option(
        False,
        Message("Premultiplied"),
        Message("Colours are multiplied by alpha. Most programs want them straight."),
    )
    edge_px: float = edge_option()
    edge_from: str = edge_from_option()


def _file_name(job: ExportJob, frame: int, one: ObjectInfo) -> str:
    return f"{job.object_folder(one)}/{job.source.frame_name(frame)}.png"


def _binary(job: ExportJob, frame: int) -> Iterator[tuple[str, Pixels]]:
    for one in job.objects:
        white = np.where(job.region(frame, one), 255, 0).astype(np.uint8)
        yield _file_name(job, frame, one), white


def _mattes(job: ExportJob, frame: int) -> Iterator[tuple[str, Pixels]]:
    options = job.options_as(MatteOptions)
    depth: type[np.uint16] | type[np.uint8] = np.uint16 if options.bits == "16" else np.uint8
    for one in job.objects:
        alpha = soft_mask(job, frame, one, options.edge_px, options.edge_from)
        yield _file_name(job, frame, one), np.round(alpha * np.iinfo(depth).max).astype(depth)


def _cut_outs(job: ExportJob, frame: int) -> Iterator[tuple[str, Pixels]]:
    options = job.options_as(EdgeOptions)
    for one in job.objects:
        alpha = soft_mask(job, frame, one, options.edge_px, options.edge_from)
        yield _file_name(job, frame, one), cut_out(job.picture(frame), alpha)


def _sequence(job: ExportJob, frame: int) -> Iterator[tuple[str, Pixels]]:
    options = job.options_as(SequenceOptions)

    def layer(one: ObjectInfo | None) -> NDArray[np.uint8]:
        alpha = soft_mask(job, frame, one, options.edge_px, options.edge_from)
        pixels = cut_out(job.picture(frame), alpha)
        if options.is_premultiplied:
            pixels[:, :, :3] = np.round(pixels[:, :, :3] * alpha[:, :, None])
        return pixels

    number = frame
    if options.first_number >= 0:
        number = options.first_number + bisect_left(job.frames, frame)
    if options.has_layers:
        for one in job.objects:
            stem = safe_name(one.name, "object")
            yield f"{job.object_folder(one)}/{stem}.{number:07d}.png", layer(one)
    else:
        stem = safe_name(job.source.name, "frames")
        yield f"{stem}.{number:07d}.png", layer(None)


BINARY: Final = ExportFormat(
    name="binary",
    title=Message("Binary masks"),
    description=Message("A folder for each object with one black and white PNG a frame."),
    group=FormatGroup.MASKS,
    write=partial(write_pictures, pictures=_binary),
    overlaps=Overlaps.WHOLE,
    pictures=_binary,
    writers="any program",
    limits="A folder for each object; white is the object.",
)
MATTE: Final = ExportFormat(
    name="matte",
    title=Message("Soft mattes"),
    description=Message(
        "A folder for each object with one grey PNG a frame, its edges antialiased."
    ),
    group=FormatGroup.COMPOSITING,
    options=MatteOptions,
    write=partial(write_pictures, pictures=_mattes),
    overlaps=Overlaps.WHOLE,
    pictures=_mattes,
    writers="After Effects, Nuke, DaVinci Resolve",
    limits="From half white on a pixel is the object.",
)
CUT_OUTS: Final = ExportFormat(
    name="cut-outs",
    title=Message("Cut-outs"),
    description=Message(
        "A folder for each object with the picture inside it, transparent elsewhere (PNG)."
    ),
    group=FormatGroup.COMPOSITING,
    options=EdgeOptions,
    write=partial(write_pictures, pictures=_cut_outs),
    overlaps=Overlaps.WHOLE,
    pictures=_cut_outs,
    writers="any program",
    limits="What is at least half opaque is the object.",
)
PNG_SEQUENCE: Final = ExportFormat(
    name="png-sequence",
    title=Message("PNG sequence with alpha"),
    description=Message(
        "Numbered RGBA pictures for compositing programs, all objects in one or a layer for each."
    ),
    group=FormatGroup.COMPOSITING,
    options=SequenceOptions,
    write=partial(write_pictures, pictures=_sequence),
    overlaps=Overlaps.WHOLE,
    pictures=_sequence,
    writers="any program",
    limits="Without layers all objects come back as one.",
)
