"""Every packet of a video file, in order of decoding: what one pass without decoding can tell."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from av.error import FFmpegError

from interaction.project.frame_stream import TagSource
from interaction.project.video_container import open_container

__all__ = ["PacketTable", "read_packets"]

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
    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    positions: list[int | None] = field(default_factory=list)  # bytes from the start of the file
    is_keyframe: list[bool] = field(default_factory=list)
    is_hidden: list[bool] = field(default_factory=list)  # needed for others, not shown itself

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
        )
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
            if len(is_damaged) % _REPORT_EVERY == 0:
                yield len(is_damaged)
    # The packet that the end of a cut file runs through would decode to half a picture.
    while is_damaged and is_damaged.pop():
        for column in (table.pts, table.dts, table.positions, table.is_keyframe, table.is_hidden):
            column.pop()
    yield len(table.pts)
    return table


def _fraction(value: Fraction | None) -> Fraction | None:
    """A plain Fraction of what PyAV gives, which has its own kind in some versions."""
    return Fraction(value.numerator, value.denominator) if value else None
