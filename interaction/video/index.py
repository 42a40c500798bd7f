"""Index a video: the timestamp and position of every frame."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from interaction.errors import UnreadableVideoError
from interaction.video.container import (
    LARGEST_GAP_S,
    FrameStream,
    TagSource,
    check_frame_size,
    may_restart,
    open_container,
)
from interaction.video.pixels import FrameLayout
from xmem_core.messages import Message

_REPORT_EVERY = 64  # packets

# Containers that stamp every packet. In the others (program streams, bare codec data) FFmpeg works
# timestamps and positions out from where it began to read, so that they differ after a jump.
_STAMPING_FORMATS = {"mov", "matroska", "avi", "mpegts", "flv", "asf", "mxf", "ogg", "nut", "ivf"}


@dataclass(slots=True)
class PacketTable:
    """One entry per packet; timestamps in units of `time_base` (seconds)."""

    time_base: Fraction
    average_rate: Fraction | None  # frames per second, as the file states it
    pixel_aspect: Fraction | None  # width of a stored pixel over its height
    codec_name: str
    is_stamped: bool  # whether a packet looks the same wherever reading began
    may_restart: bool = False  # whether the clock may start again in the middle
    order: "StoredOrder" = field(default_factory=lambda: StoredOrder())
    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    positions: list[int | None] = field(default_factory=list)  # bytes from the start of the file
    is_keyframe: list[bool] = field(default_factory=list)
    is_hidden: list[bool] = field(default_factory=list)  # needed for others, not shown itself

    def pieces(self) -> NDArray[np.int64]:
        """(N,) by packet, how often the clock has started again before it."""
        times = [pts if dts is None else dts for pts, dts in zip(self.pts, self.dts, strict=True)]
        clock = np.array([np.nan if time is None else time for time in times], np.float64)
        if not self.may_restart or np.isnan(clock).all():
            return np.zeros(len(times), np.int64)
        known = np.flatnonzero(~np.isnan(clock))
        steps = np.diff(clock[known])
        restarts = (steps < 0) | (steps > LARGEST_GAP_S / float(self.time_base))
        result = np.zeros(len(times), np.int64)
        result[known[1:][restarts]] = 1
        return np.cumsum(result)

    def tags(self, *, with_timestamps: bool = True) -> tuple[TagSource, list[int]]:
        """The first source that gives every packet a tag of its own, and those tags."""
        sources = []
        if self.is_stamped and with_timestamps:
            sources.append((TagSource.TIMESTAMP, self.pts))
        if self.is_stamped:
            sources.append((TagSource.POSITION, self.positions))
        for source, values in sources:
            known = [value for value in values if value is not None]
            if len(set(known)) == len(values):
                return source, known
        return TagSource.COUNT, list(range(len(self.pts)))


def read_packets(path: Path) -> Generator[int, None, PacketTable]:
    """Yields how many packets so far. A damaged or cut file gives those before the damage.

    Raises UnreadableVideoError where the file cannot be opened.
    """
    container, stream = open_container(path)
    with closing(container):
        table = PacketTable(
            time_base=_fraction(stream.time_base) or Fraction(1, 1000),
            average_rate=_fraction(stream.average_rate),
            pixel_aspect=_fraction(stream.sample_aspect_ratio),
            codec_name=stream.codec_context.name,
            is_stamped=not _STAMPING_FORMATS.isdisjoint(container.format.name.split(",")),
            may_restart=may_restart(container),
        )
        is_avi = container.format.name == "avi"
        is_damaged: list[bool] = []
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except (FFmpegError, ValueError):
                break
            if packet is None:
                break
            if packet.size == 0:
                continue  # the same that FrameStream passes over
            table.pts.append(packet.pts)
            table.dts.append(packet.dts)
            table.positions.append(packet.pos)
            table.is_keyframe.append(packet.is_keyframe)
            table.is_hidden.append(packet.is_discard)
            is_damaged.append(packet.is_corrupt)
            if is_avi and table.codec_name in _EARLY_PICTURE:
                table.order.look_at(bytes(packet), table.codec_name)
            if len(is_damaged) % _REPORT_EVERY == 0:
                yield len(is_damaged)
    # The packet that the end of a cut file runs through would decode to half a picture.
    while is_damaged and is_damaged.pop():
        for column in (table.pts, table.dts, table.positions, table.is_keyframe, table.is_hidden):
            column.pop()
    yield len(table.pts)
    return table


# By codec, the code of a picture that is shown before one that is stored before it (a B-picture).
_EARLY_PICTURE = {
    "h264": re.compile(rb"\x00\x00\x01[\x01\x21\x41\x61][\x9c-\x9f\xa0-\xaf]"),
    "mpeg4": re.compile(rb"\x00\x00\x01\xb6[\x80-\xbf]"),
}
_PICTURE_CODE = b"\0\0\1\xb6"
_PACKING_NOTE = re.compile(rb"DivX\d+(?:Build|b)\d+(p?)", re.IGNORECASE)


@dataclass(slots=True)
class StoredOrder:
    """What the packets of an AVI show of the order of presentation, for which AVI has no place.

    MPEG-4 may have two pictures in one packet and a dummy later, all through the file or in parts
    of it; decoders take them apart where a note in the stream says so.
    """

    has_early: bool = False  # pictures that are shown before one that is stored before them
    is_packed: bool = False
    can_enter: bool = True  # whether the note is the same all through, so that a jump misses none
    _is_noted: bool | None = None  # in the first packet

    def look_at(self, packet: bytes, codec_name: str) -> None:
        if not self.has_early:
            self.has_early = _EARLY_PICTURE[codec_name].search(packet) is not None
        if codec_name == "mpeg4":
            notes = [note == b"p" for note in _PACKING_NOTE.findall(packet)]
            self._is_noted = any(notes) if self._is_noted is None else self._is_noted
            self.can_enter = self.can_enter and all(note == self._is_noted for note in notes)
            self.is_packed = self.is_packed or packet.count(_PICTURE_CODE) > 1


def _fraction(value: Fraction | None) -> Fraction | None:
    """A plain Fraction of what PyAV gives, which has its own kind in some versions."""
    return Fraction(value.numerator, value.denominator) if value else None


_CHECKED_FRAMES = 12  # more than any codec reorders

_CODECS_WITH_HIDDEN_FRAMES = {"vp8"}  # packets that show nothing, which only decoding tells
_FALLBACK_RATE = Fraction(25)  # frames per second, for a file that names none


@dataclass(frozen=True, slots=True)
class RunStart:
    """A place where decoding can begin: a keyframe."""

    packet: int  # number in order of decoding
    tag: int  # of that packet
    first_frame: int  # frames before it may come out, from an open GOP, but broken
    seek_timestamps: tuple[int, ...]  # ways to ask for it, in the stream's time base


@dataclass(frozen=True, slots=True, eq=False)
class VideoFileIndex:
    """What has to be known of a video file to find any of its frames."""

    path: Path
    layout: FrameLayout
    tag_source: TagSource
    packet_of_tag: dict[int, int]  # number in order of decoding
    # Of each frame, in order of presentation; twice for one that is shown twice.
    frame_tags: tuple[int, ...]
    frame_of_tag: dict[int, int]  # the first frame that has it
    runs: list[RunStart]  # ascending, in both packet and first_frame
    timestamps_s: NDArray[np.float64]  # (N,) from the first frame on
    frame_rate: Fraction | None  # average, frames per second

    @property
    def width(self) -> int:
        return self.layout.width

    @property
    def height(self) -> int:
        return self.layout.height

    def run_of(self, frame: int) -> int:
        """Number of the last run from which `frame` decodes without fault; -1: only the start.

        That is a keyframe not after it in order of decoding *and* not after it in order of
        presentation: a picture shown before "its" keyframe needs the group before as well.
        """
        packet = self.packet_of_tag[self.frame_tags[frame]]
        run = bisect_right(self.runs, frame, key=lambda run: run.first_frame) - 1
        while run >= 0 and self.runs[run].packet > packet:
            run -= 1
        return run


def index_video_file(path: Path) -> Generator[int, None, VideoFileIndex]:
    """Read `path` once; yields the number of frames found so far, returns the index.

    The count starts anew where the file has to be decoded after all. Closing the generator cancels.
    Raises UnreadableVideoError.
    """
    table = yield from read_packets(path)
    if not table.pts:
        raise UnreadableVideoError(path, Message("there is not a single frame in it"))
    pieces = table.pieces()
    # Sorted by timestamps, a piece whose clock is behind would come before what it follows.
    tag_source, packet_tags = table.tags(with_timestamps=not pieces.any())

    first_frame, checked = _decode_first(path, tag_source)
    layout = FrameLayout.from_frame(first_frame, table.pixel_aspect)
    check_frame_size(path, layout.width, layout.height)

    frame_tags = _shown_tags(table, packet_tags, checked[0])
    # AVI has no place for the order of presentation: its timestamps only count packets.
    is_counting = table.order.is_packed or (
        (checked != sorted(checked) or table.order.has_early) and packet_tags == sorted(packet_tags)
    )
    is_plain = (
        tag_source is TagSource.TIMESTAMP
        and not is_counting
        and table.codec_name not in _CODECS_WITH_HIDDEN_FRAMES
        and frame_tags[:_CHECKED_FRAMES] == checked
    )
    if not is_plain:
        if is_counting:
            tag_source, packet_tags = table.tags(with_timestamps=False)
        frame_tags = yield from _decode_tags(
            path, tag_source, frozenset(packet_tags), keeps_repeated=is_counting
        )
    if tag_source is TagSource.TIMESTAMP:
        frame_tags.sort()

    packet_of_tag = {tag: packet for packet, tag in enumerate(packet_tags)}
    shown_packets = np.array([packet_of_tag[tag] for tag in frame_tags])
    repeats = np.cumsum(np.diff(shown_packets, prepend=-1) == 0)  # time goes on there as well
    timestamps_s, frame_rate = _timing(table, shown_packets, pieces[shown_packets] + repeats)
    frame_of_tag = first_frames(frame_tags)
    return VideoFileIndex(
        path=path,
        layout=layout,
        tag_source=tag_source,
        packet_of_tag=packet_of_tag,
        frame_tags=tuple(frame_tags),
        frame_of_tag=frame_of_tag,
        runs=_find_runs(table, tag_source, packet_tags, frame_tags, frame_of_tag),
        timestamps_s=timestamps_s,
        frame_rate=frame_rate,
    )


def first_frames(frame_tags: Sequence[int]) -> dict[int, int]:
    """Tag -> the first frame that has it."""
    return {tag: frame for frame, tag in reversed(list(enumerate(frame_tags)))}


def _decode_first(path: Path, tag_source: TagSource) -> tuple[VideoFrame, list[int]]:
    """The first frame that decodes, and the tags of the first few."""
    first_frame: VideoFrame | None = None
    tags: list[int] = []
    with closing(FrameStream(path, tag_source)) as stream:
        while len(tags) < _CHECKED_FRAMES and (frame := stream.next_frame()) is not None:
            if frame.pts is not None:
                first_frame = frame if first_frame is None else first_frame
                tags.append(frame.pts)
    if first_frame is None:
        raise UnreadableVideoError(path, Message("not a single frame of it can be decoded"))
    return first_frame, tags


def _shown_tags(table: PacketTable, packet_tags: list[int], first: int) -> list[int]:
    """Tags in order of presentation, from the first frame that decodes on.

    What comes before it belongs to a group of pictures whose beginning was cut away.
    """
    shown = [
        tag
        for tag, is_hidden in zip(packet_tags, table.is_hidden, strict=True)
        if not is_hidden and tag >= first
    ]
    return sorted(shown)


def _decode_tags(
    path: Path, tag_source: TagSource, packet_tags: frozenset[int], *, keeps_repeated: bool
) -> Generator[int, None, list[int]]:
    """The tags of all frames, in order of presentation, found by decoding everything once.

    keeps_repeated: a frame that comes twice running is two. Decoders of MPEG-4 give the last frame
    before the first B-pictures so, and every program that counts frames with FFmpeg does.
    """
    tags: list[int] = []
    known: set[int] = set()
    with closing(FrameStream(path, tag_source)) as stream:
        while (frame := stream.next_frame()) is not None:
            tag = frame.pts
            is_repeated = keeps_repeated and bool(tags) and tag == tags[-1]
            if tag is not None and tag in packet_tags and (tag not in known or is_repeated):
                known.add(tag)
                tags.append(tag)
                if len(tags) % _REPORT_EVERY == 0:
                    yield len(tags)
    yield len(tags)
    return tags


def _find_runs(
    table: PacketTable,
    tag_source: TagSource,
    packet_tags: list[int],
    frame_tags: list[int],
    frame_of_tag: dict[int, int],
) -> list[RunStart]:
    if tag_source is TagSource.COUNT or not table.order.can_enter:
        return []  # nothing to recognise a packet by after a jump, or to know how it is packed
    runs: list[RunStart] = []
    for packet, tag in enumerate(packet_tags):
        if not table.is_keyframe[packet]:
            continue
        if tag_source is TagSource.TIMESTAMP:
            first_frame = bisect_left(frame_tags, tag)
        else:
            first_frame = frame_of_tag.get(tag, -1)
        if not 0 <= first_frame < len(frame_tags):
            continue
        if runs and runs[-1].first_frame > first_frame:
            continue
        if runs and runs[-1].first_frame == first_frame:
            runs.pop()  # keyframes an edit list hides: the nearest one will do
        timestamps = (table.pts[packet], table.dts[packet])
        seek_timestamps = dict.fromkeys(value for value in timestamps if value is not None)
        runs.append(RunStart(packet, tag, first_frame, tuple(seek_timestamps)))
    return runs


def _timing(
    table: PacketTable, shown_packets: NDArray[np.int64], pieces: NDArray[np.int64]
) -> tuple[NDArray[np.float64], Fraction | None]:
    """(N,) seconds from the first frame to each frame, and frames per second on average.

    shown_packets: (N,) in order of presentation; pieces: (N,) the piece of each.
    """
    rate = table.average_rate
    known = [pts for packet in shown_packets if (pts := table.pts[packet]) is not None]
    if len(known) == len(shown_packets):
        ticks = _follow(np.array(known, dtype=np.int64), pieces)
        timestamps_s = (ticks * float(table.time_base)).astype(np.float64)
        if ticks[-1] > 0:
            measured = (len(known) - 1) / (int(ticks[-1]) * table.time_base)
            # Containers round timestamps; a stated rate that agrees is the exact one.
            if rate is None or abs(rate - measured) > measured / 100:
                rate = measured.limit_denominator(1001)
    else:
        frame_s = float(1 / (rate or _FALLBACK_RATE))
        timestamps_s = np.arange(len(shown_packets), dtype=np.float64) * frame_s
    timestamps_s.flags.writeable = False
    return timestamps_s, rate


def _follow(ticks: NDArray[np.int64], pieces: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) ascending from 0: each piece begins one typical step after the piece before it."""
    ordered = [np.sort(ticks[pieces == piece]) for piece in np.unique(pieces)]
    steps = np.concatenate([np.diff(piece) for piece in ordered])
    step = int(np.median(steps[steps > 0])) if (steps > 0).any() else 1
    end = -step
    for piece in ordered:
        piece += end + step - piece[0]
        end = int(piece[-1])
    return np.concatenate(ordered)
