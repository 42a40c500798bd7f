"""frames.idx: where the frames of the video are, so that reopening does not read it all again.

A line of JSON, then columns of 64-bit numbers, then a checksum of both. It is only a shortcut: one
that is missing, damaged, or made for a file of other contents is ignored, and the video is indexed
anew.
"""

import json
import sys
import zlib
from collections.abc import Collection, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interaction.files import read_plain, write_plain
from interaction.project.manifest import parse_json
from interaction.project.records import (
    DamagedValueError,
    integer,
    listing,
    mapping,
    number,
    text,
    truth,
)
from interaction.video.container import MAX_FRAME_PIXELS, TagSource
from interaction.video.decoder import VideoIndex
from interaction.video.index import RunStart, VideoFileIndex, first_frames
from interaction.video.pictures import PICTURE_SUFFIXES, AnimationIndex, PictureFolderIndex
from interaction.video.pixels import FrameLayout, Orientation, VisibleRange
from xmem_core.messages import Message

_MOST_BYTES: Final = 2**30
_NONE: Final = -(2**63)  # in the place of a second way to ask for a run's start
_MOST: Final = sys.float_info.max
_Numbers = NDArray[np.int64]


def write_index(path: Path, index: VideoIndex, digest: str) -> None:
    """digest: of the source, as in `SourceInfo`. Raises DiskFullError, UnwritableFileError."""
    write_plain(path, index_bytes(index, digest))


def read_index(path: Path, source: Path, digest: str) -> VideoIndex | None:
    """The index of `source`; None if it has to be made anew."""
    try:
        data = read_plain(path, _MOST_BYTES)
        if len(data) < 4 or data[-4:] != zlib.crc32(data[:-4]).to_bytes(4, "little"):
            return None
        head, _, body = data[:-4].partition(b"\n")
        value = mapping(parse_json(head), Message("the index"))
        if value.get("digest") != digest:
            return None
        if value.get("kind") == "pictures":
            return _pictures(value, source)
        if value.get("kind") == "animation":
            return _animation(value, np.frombuffer(body, "<i8").astype(np.int64), source)
        return _video_file(value, np.frombuffer(body, "<i8").astype(np.int64), source)
    except (OSError, ValueError):  # DamagedValueError is one
        return None


def write_cuts(path: Path, cuts: Collection[int], digest: str) -> None:
    """The first frame of each shot but the first. digest: of the source, as in `SourceInfo`. Raises
    DiskFullError, UnwritableFileError."""
    write_plain(path, json.dumps({"digest": digest, "cuts": sorted(cuts)}).encode())


def read_cuts(path: Path, digest: str, frame_count: int) -> tuple[int, ...] | None:
    """None if they have to be found anew."""
    try:
        value = mapping(parse_json(read_plain(path, _MOST_BYTES)), "the cuts")
        found = [
            integer(one, "a cut", 1, frame_count - 1) for one in listing(value.get("cuts"), "")
        ]
    except (OSError, ValueError):
        return None
    return tuple(sorted(set(found))) if value.get("digest") == digest else None


def index_bytes(index: VideoIndex, digest: str) -> bytes:
    if isinstance(index, PictureFolderIndex):
        value: dict[str, object] = {
            "kind": "pictures",
            "digest": digest,
            "width": index.width,
            "height": index.height,
            "visible": index.visible and [index.visible.black, index.visible.white],
            "names": [picture.name for picture in index.pictures],
        }
        columns: list[_Numbers] = []
    elif isinstance(index, AnimationIndex):
        value = {
            "kind": "animation",
            "digest": digest,
            "width": index.width,
            "height": index.height,
            "length_ms": index.length_ms,
        }
        columns = [np.array(index.starts_ms, np.int64)]
    else:
        rate, layout = index.frame_rate, index.layout
        orientation = layout.orientation
        value = {
            "kind": "video",
            "digest": digest,
            "width": layout.scaled_width,
            "height": layout.scaled_height,
            "orientation": [orientation.is_transposed, orientation.flips_x, orientation.flips_y],
            "tags": index.tag_source.value,
            "rate": None if rate is None else [rate.numerator, rate.denominator],
            "packets": len(index.packet_of_tag),
            "frames": len(index.frame_tags),
            "runs": len(index.runs),
        }
        columns = [
            np.array(sorted(index.packet_of_tag, key=index.packet_of_tag.__getitem__), np.int64),
            np.array(index.frame_tags, np.int64),
            index.timestamps_s.astype(np.float64).view(np.int64),
            np.array([_run_numbers(run) for run in index.runs], np.int64).reshape(-1),
        ]
    data = json.dumps(value).encode() + b"\n"
    data += b"".join(column.astype("<i8").tobytes() for column in columns)
    return data + zlib.crc32(data).to_bytes(4, "little")


def _run_numbers(run: RunStart) -> list[int]:
    seeks = (*run.seek_timestamps, _NONE, _NONE)[:2]
    return [run.packet, run.tag, run.first_frame, *seeks]


def _pictures(value: Mapping[str, object], source: Path) -> PictureFolderIndex:
    width, height = _size(value)
    names = [text(name, "a picture's name") for name in listing(value.get("names"), "names")]
    pictures = tuple(source / name for name in names)
    for picture in pictures:
        if picture.parent != source or picture.suffix.lower() not in PICTURE_SUFFIXES:
            raise DamagedValueError(Message("a picture is outside the folder"))
    if not pictures:
        raise DamagedValueError(Message("there are no pictures"))
    return PictureFolderIndex(source, pictures, width, height, _visible(value))


def _animation(value: Mapping[str, object], starts: _Numbers, source: Path) -> AnimationIndex:
    width, height = _size(value)
    length_ms = integer(value.get("length_ms"), Message("the length"), 1, 2**62)
    if not starts.size or starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > length_ms:
        raise DamagedValueError(Message("its times are invalid"))
    return AnimationIndex(source, width, height, tuple(starts.tolist()), length_ms)


def _visible(value: Mapping[str, object]) -> VisibleRange | None:
    if "visible" not in value:
        raise DamagedValueError(Message("it is older than the visible range"))
    if value["visible"] is None:
        return None
    black, white = (
        number(one, Message("the visible range"), -_MOST, _MOST)
        for one in listing(value["visible"], Message("the visible range"))
    )
    if black >= white:
        raise DamagedValueError(Message("the visible range is invalid"))
    return VisibleRange(black, white)


def _video_file(value: Mapping[str, object], numbers: _Numbers, source: Path) -> VideoFileIndex:
    width, height = _size(value)
    turns = [truth(turn, "a turn") for turn in listing(value.get("orientation"), "orientation")]
    if len(turns) != 3:
        raise DamagedValueError(Message("the orientation is invalid"))
    packets = integer(value.get("packets"), "packets", 1, 2**31)
    frames = integer(value.get("frames"), "frames", 1, 2 * packets)
    runs = integer(value.get("runs"), "runs", 0, packets)
    if numbers.size != packets + 2 * frames + 5 * runs:
        raise DamagedValueError(Message("it is cut off"))
    packet_tags, frame_tags, times, rest = np.split(numbers, np.cumsum([packets, frames, frames]))
    packet_of_tag = {tag: packet for packet, tag in enumerate(packet_tags.tolist())}
    frame_of_tag = first_frames(frame_tags.tolist())
    timestamps_s = times.view(np.float64).copy()
    timestamps_s.flags.writeable = False
    is_sound = (
        len(packet_of_tag) == packets
        and len(frame_of_tag) == 1 + np.count_nonzero(np.diff(frame_tags))
        and frame_of_tag.keys() <= packet_of_tag.keys()
        and bool(np.isfinite(timestamps_s).all())
        and bool((np.diff(timestamps_s) >= 0).all())
    )
    if not is_sound:
        raise DamagedValueError(Message("its columns do not fit each other"))
    return VideoFileIndex(
        path=source,
        layout=FrameLayout(width, height, Orientation(*turns)),
        tag_source=TagSource(value.get("tags")),
        packet_of_tag=packet_of_tag,
        frame_tags=tuple(frame_tags.tolist()),
        frame_of_tag=frame_of_tag,
        runs=_runs(rest.reshape(-1, 5), packet_tags, frames),
        timestamps_s=timestamps_s,
        frame_rate=_rate(value.get("rate")),
    )


def _runs(rows: _Numbers, packet_tags: _Numbers, frames: int) -> list[RunStart]:
    """Ascending, in both packet and first frame; each tag that of its packet."""
    runs: list[RunStart] = []
    for packet, tag, first_frame, *seeks in rows.tolist():
        if not 0 <= packet < len(packet_tags) or packet_tags[packet] != tag:
            raise DamagedValueError(Message("a run has no start"))
        if not 0 <= first_frame < frames:
            raise DamagedValueError(Message("a run has no frame"))
        if runs and (packet <= runs[-1].packet or first_frame <= runs[-1].first_frame):
            raise DamagedValueError(Message("the runs are out of order"))
        runs.append(RunStart(packet, tag, first_frame, tuple(s for s in seeks if s != _NONE)))
    return runs


def _size(value: Mapping[str, object]) -> tuple[int, int]:
    width = integer(value.get("width"), Message("the width"), 1, MAX_FRAME_PIXELS)
    height = integer(value.get("height"), Message("the height"), 1, MAX_FRAME_PIXELS)
    if width * height > MAX_FRAME_PIXELS:
        raise DamagedValueError(Message("the frames are impossibly large"))
    return width, height


def _rate(value: object) -> Fraction | None:
    if value is None:
        return None
    parts = [
        integer(part, Message("the rate"), 1, 2**62) for part in listing(value, Message("the rate"))
    ]
    if len(parts) != 2:
        raise DamagedValueError(Message("the rate is not a fraction"))
    return Fraction(*parts)
