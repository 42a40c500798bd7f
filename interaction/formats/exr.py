"""OpenEXR pictures with half floats, a layer for each object: for compositing programs.

The writer is our own: what it needs of the file format (scan lines, half floats, zip) is a page,
and the library is a native package of its own. https://openexr.com/en/latest/OpenEXRFileLayout.html
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interaction.formats.format import ExportFormat, ExportJob, FormatGroup, Overlaps, safe_name
from interaction.formats.looks import cut_out
from interaction.formats.options import ExportOptions, option
from interaction.formats.per_object import edge_from_option, edge_option, soft_mask
from xmem_core.arrays import Frame, Pixels
from xmem_core.messages import Message

__all__ = ["EXR", "encode_exr"]

_Half = NDArray[np.float16]
_LINES: Final = 16  # that are compressed together
_HALF: Final = 1
_ZIP: Final = 3
_LONGEST_NAME: Final = 31  # of a channel, without a flag that old programs do not know


@dataclass(frozen=True, kw_only=True)
class ExrOptions(ExportOptions):
    has_picture: bool = option(
        True,
        Message("The picture too"),
        Message("Its colours in R, G and B, not multiplied by alpha, beside the mattes."),
    )
    is_linear: bool = option(
        True,
        Message("Linear light"),
        Message("Colours as compositing programs expect them in EXR; otherwise as in the video."),
    )
    edge_px: float = edge_option()
    edge_from: str = edge_from_option()


def encode_exr(channels: Mapping[str, _Half]) -> bytes:
    """One part of scan lines, compressed with zip. channels: (H, W) by name, such as "R" or
    "dog.A"; all of one size, names of at most 31 ASCII letters. ValueError otherwise."""
    names = sorted(channels)
    height, width = channels[names[0]].shape
    for name in names:
        if not name.isascii() or not 0 < len(name) <= _LONGEST_NAME or "\0" in name:
            raise ValueError(f"a channel cannot be called {name!r}")
        if channels[name].shape != (height, width) or channels[name].dtype != np.float16:
            raise ValueError(f"channel {name} must be float16 of shape {(height, width)}")
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    # An entry: kind of number, whether it is perceived linearly, nothing, and sampling steps.
    listed = b"".join(name.encode() + b"\0" + struct.pack("<i4x2i", _HALF, 1, 1) for name in names)
    attributes = (
        ("channels", "chlist", listed + b"\0"),
        ("compression", "compression", bytes([_ZIP])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),  # downwards
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    )
    header = b"\x76\x2f\x31\x01" + struct.pack("<i", 2)
    for name, kind, value in attributes:
        header += name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value))
        header += value
    header += b"\0"
    # (H, channels, W): every line holds one channel after the other.
    lines = np.stack([channels[name] for name in names], axis=1).astype("<f2")
    blocks = []
    for top in range(0, height, _LINES):
        raw = lines[top : top + _LINES].tobytes()
        packed = _zipped(raw)
        data = packed if len(packed) < len(raw) else raw
        blocks.append(struct.pack("<2i", top, len(data)) + data)
    position, offsets = len(header) + 8 * len(blocks), b""
    for block in blocks:
        offsets += struct.pack("<Q", position)
        position += len(block)
    return header + offsets + b"".join(blocks)


def _zipped(raw: bytes) -> bytes:
    """Low bytes before high bytes, each as the difference from the one before, deflated."""
    values = np.frombuffer(raw, np.uint8)
    apart = np.concatenate([values[::2], values[1::2]])
    steps = apart.copy()
    steps[1:] = apart[1:] - apart[:-1] + np.uint8(128)
    return zlib.compress(steps.tobytes(), 4)


def _channels(job: ExportJob, frame: int) -> dict[str, _Half]:
    options = job.options_as(ExrOptions)
    edges = options.edge_px, options.edge_from
    found = {"A": soft_mask(job, frame, None, *edges)}
    taken: set[str] = set()
    for one in job.objects:
        layer = _layer_name(one.id, one.name, taken)
        taken.add(layer)
        found[f"{layer}.A"] = soft_mask(job, frame, one, *edges)
    channels = {name: alpha.astype(np.float16) for name, alpha in found.items()}
    if options.has_picture:
        colors = _light(job.picture(frame), is_linear=options.is_linear)
        channels |= {name: colors[:, :, index] for index, name in enumerate("RGB")}
    return channels


def _layer_name(object_id: int, name: str, taken: set[str]) -> str:
    """ASCII, without the dot that separates a layer from its channel; its own for every object."""
    kept = safe_name(name, "object").encode("ascii", "ignore").decode().replace(".", "_")
    kept = kept.replace(" ", "_")[: _LONGEST_NAME - 6]
    if not kept or kept in taken or kept in ("A", "R", "G", "B"):
        return f"{object_id:03d}_{kept}"[: _LONGEST_NAME - 2]
    return kept


def _light(picture: Frame, *, is_linear: bool) -> _Half:
    """(H, W, 3): sRGB's curve undone, IEC 61966-2-1, if `is_linear`."""
    values = np.arange(256) / 255
    if is_linear:
        values = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    table: _Half = values.astype(np.float16)
    return table[picture]


def _write(job: ExportJob) -> Iterator[int]:
    for frame in job.frames:
        job.write(_file_name(job, frame), encode_exr(_channels(job, frame)), frame)
        yield frame


def _file_name(job: ExportJob, frame: int) -> str:
    return f"{safe_name(job.source.name, 'frames')}.{frame:07d}.exr"


def _preview(job: ExportJob, frame: int) -> Iterator[tuple[str, Pixels]]:
    """What is in it, as far as a screen can show it: the picture with the alpha of all objects."""
    options = job.options_as(ExrOptions)
    alpha = soft_mask(job, frame, None, options.edge_px, options.edge_from)
    yield _file_name(job, frame), cut_out(job.picture(frame), alpha)


EXR: Final = ExportFormat(
    name="exr",
    title=Message("OpenEXR with layers"),
    description=Message(
        "Numbered pictures in half floats: the video, all objects in A, and a layer for each."
    ),
    group=FormatGroup.COMPOSITING,
    options=ExrOptions,
    write=_write,
    overlaps=Overlaps.WHOLE,
    pictures=_preview,
)
