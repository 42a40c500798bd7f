"""Plan, check and run an export; find gaps; preview one frame of it."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

import interaction.formats
from interaction.annotation.types import EMPTY_RECORD, FrameStatus
from interaction.errors import UserError
from interaction.formats.format import (
    FRAMES_CSV,
    OBJECTS_JSON,
    ExportFormat,
    ExportJob,
    ExportSource,
    ExportTarget,
    FormatGroup,
    ObjectGap,
    Overlaps,
    describe_frames,
    find_gaps,
    on_frames,
)
from interaction.formats.looks import no_larger
from interaction.formats.options import ExportOptions, describe_options
from interaction.video.fingerprints import FingerprintReader
from interaction.video.video import Video
from xmem_core.arrays import Frame, Pixels
from xmem_core.messages import Message

__all__ = [
    "FORMATS",
    "ExportPreview",
    "ExportProgress",
    "ExportReport",
    "ExportSettings",
    "ExportedPicture",
    "check_export",
    "export",
    "export_pictures",
    "find_format",
]


_FIRST: Final = "palette-png"  # what a dialog offers
_GROUPS: Final = list(FormatGroup)


def _formats() -> Iterator[ExportFormat]:
    """Every module of this folder that defines an `ExportFormat` adds it; there is nothing to edit
    here."""
    for module in iter_modules(interaction.formats.__path__, "interaction.formats."):
        if module.name != __name__:
            for value in vars(import_module(module.name)).values():
                if isinstance(value, ExportFormat):
                    yield value


# In the order a dialog shows them.
_ORDERED: Final = sorted(
    _formats(), key=lambda one: (one.name != _FIRST, _GROUPS.index(one.group), one.title)
)
FORMATS: Final[Mapping[str, ExportFormat]] = MappingProxyType({one.name: one for one in _ORDERED})


def find_format(name: str) -> ExportFormat:
    """UserError, with what there is, for an unknown name."""
    if name not in FORMATS:
        raise UserError(
            "There is no export format “{format}”.\n\nThe formats are: {formats}.",
            format=name,
            formats=", ".join(FORMATS),
        )
    return FORMATS[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportSettings:
    """What to export, how, and where to."""

    format: str  # a name in FORMATS
    target: Path  # a file gets the format's suffix if it has none
    options: ExportOptions | None = None  # None: the format's defaults
    objects: frozenset[int] | None = None  # None: all of them
    first: int = 0  # frame indices, both included
    last: int | None = None  # None: the video's last
    step: int = 1
    only_annotated: bool = False  # frames that were never annotated nor tracked are left out
    overwrites: bool = False  # files of the same names are replaced; others never
    # Also pixels of objects that other objects cover, in formats that hold them.
    has_covered: bool = True
    has_hashes: bool = True  # frames.csv says how each picture of the video looks, see `verify`


@dataclass(frozen=True, slots=True)
class ExportProgress:
    done: int  # frames
    total: int
    frame: int  # the frame that was just written


@dataclass(frozen=True, slots=True)
class ExportPreview:
    """What an export would do, found without writing anything."""

    frames: Sequence[int]
    gaps: tuple[ObjectGap, ...]
    untouched: tuple[int, ...]  # frames that were never annotated nor tracked
    notices: tuple[str, ...]
    problem: str | None  # why it cannot be written as it is; None if it can

    def to_json(self) -> dict[str, object]:
        return {
            "frames": len(self.frames),
            "gaps": [
                {"object": gap.object.id, "name": gap.object.name, "frames": list(gap.frames)}
                for gap in self.gaps
            ],
            "untouched": list(self.untouched),
            "notices": list(self.notices),
            "problem": self.problem,
        }

    def lines(self) -> list[str]:
        """All of it for people, a sentence a line; the problem is not among them."""
        lines = [str(gap) for gap in self.gaps]
        if self.untouched:
            count = len(self.untouched)
            lines.append(
                Message(
                    "{count} frame was never annotated or tracked: {spans}",
                    "{count} frames were never annotated or tracked: {spans}",
                    count=count,
                    spans=describe_frames(self.untouched),
                )
            )
        return [*lines, *self.notices]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did."""

    target: Path
    frame_count: int
    files: tuple[str, ...]  # relative to the target folder, or beside the target file
    gaps: tuple[ObjectGap, ...]
    notices: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, object]:
        return {
            "target": str(self.target),
            "frames": self.frame_count,
            "files": len(self.files),
            "gaps": [str(gap) for gap in self.gaps],
            "notices": list(self.notices),
        }


def check_export(source: ExportSource, settings: ExportSettings) -> ExportPreview:
    """The dry run: what would be missing, and what is in the way. Nothing is read or written.

    UserError for objects, frames or a format that are not there.
    """
    kind, job, target = _plan_export(source, settings)
    untouched = tuple(
        frame
        for frame in job.frames
        if source.records.get(frame, EMPTY_RECORD).status is FrameStatus.EMPTY
    )
    return ExportPreview(
        frames=job.frames,
        gaps=find_gaps(source.records, job.objects, job.frames),
        untouched=untouched,
        notices=(*kind.foresee(job), *_covered_notices(kind, job)),
        problem=target.problem(_side_files(kind, target)),
    )


def export(
    source: ExportSource, settings: ExportSettings
) -> Generator[ExportProgress, None, ExportReport]:
    """Writes the frames one at a time; closing the generator cancels and leaves no trace.

    Raises UserError at once if it cannot be written at all, and while running for a full disk, a
    damaged mask or an encoder that is not there; then nothing is left under the target's name.
    """
    kind, job, target = _plan_export(source, settings)
    target.check(_side_files(kind, target))
    return _run(kind, job, target, has_hashes=settings.has_hashes)


def _run(
    kind: ExportFormat, job: ExportJob, target: ExportTarget, *, has_hashes: bool
) -> Generator[ExportProgress, None, ExportReport]:
    target.prepare()
    job.folder = target.folder
    try:
        with closing(job), closing(FingerprintReader(job.source.index)) as reader:
            for done, frame in enumerate(kind.write(job), start=1):
                if has_hashes:
                    job.fingerprints[frame] = reader.read(frame)
                yield ExportProgress(done, len(job.frames), frame)
        if target.is_folder:
            job.write_tables(FRAMES_CSV, OBJECTS_JSON)
        else:
            job.write_tables(_side_files(kind, target)[0], None)
        written = sorted(
            path.relative_to(job.folder).as_posix()
            for path in job.folder.rglob("*")
            if path.is_file()
        )
        foreign = target.finish()
    finally:
        target.discard()
    if foreign:
        job.notices.append(
            Message(
                "The folder held 1 other file already, left untouched.",
                "The folder held {count} other files already, left untouched.",
                count=foreign,
            )
        )
    job.notices.extend(_covered_notices(kind, job))
    gaps = find_gaps(job.source.records, job.objects, job.frames)
    return ExportReport(target.path, len(job.frames), tuple(written), gaps, tuple(job.notices))


def _covered_notices(kind: ExportFormat, job: ExportJob) -> list[Message]:
    """What becomes of covered pixels, where there are any and they do not go out whole."""
    frames = () if kind.overlaps is Overlaps.UNION else job.overlapping()
    is_shown = kind.overlaps in (Overlaps.WHOLE, Overlaps.STRIPES)
    if not frames or (is_shown and job.has_covered):
        return []
    words = Message(
        "This format holds one object a pixel: where objects overlap, the one in front. "
        "Covered pixels are left out on {frames}: {spans}."
    )
    if not job.has_covered:
        words = Message("Covered pixels are left out, as asked for, on {frames}: {spans}.")
    return on_frames(words, frames)


def _plan_export(
    source: ExportSource, settings: ExportSettings
) -> tuple[ExportFormat, ExportJob, ExportTarget]:
    """UserError for objects, frames or a format that are not there. Nothing is read or written."""
    kind = find_format(settings.format)
    options = kind.options() if settings.options is None else settings.options
    if type(options) is not kind.options:
        raise TypeError(f"options must be {kind.options.__name__}, got {type(options).__name__}")
    path = settings.target
    if not kind.is_folder and path.suffix.lower() != kind.suffix:
        path = path.with_name(path.name + kind.suffix)
    target = ExportTarget(
        path,
        is_folder=kind.is_folder,
        overwrites=settings.overwrites,
        protects=(*source.protects, *_files_read(options)),
    )
    frames = _frames(source, settings)
    objects = tuple(
        one for one in source.objects if settings.objects is None or one.id in settings.objects
    )
    unknown = (settings.objects or frozenset()) - {one.id for one in objects}
    if unknown:
        known = ", ".join(f"{one.id} ({one.name})" for one in source.objects) or "none"
        raise UserError(
            "There is no object {object_id} in this project.\n\nIts objects are: {known}.",
            object_id=min(unknown),
            known=known,
        )
    job = ExportJob(
        source,
        frames,
        objects,
        options,
        target.folder,
        target.path,
        has_covered=settings.has_covered,
    )
    return kind, job, target


def _frames(source: ExportSource, settings: ExportSettings) -> Sequence[int]:
    end = source.frame_count - 1
    last = end if settings.last is None else settings.last
    if settings.step < 1:
        raise UserError(
            "Every {step}th frame cannot be exported.\n\nUse 1 or more.", step=settings.step
        )
    if not 0 <= settings.first <= last <= end:
        raise UserError(
            "Frames {first} to {last} cannot be exported: the video has frames 0 to "
            "{end}.\n\nChoose a range within it.",
            first=settings.first,
            last=last,
            end=end,
        )
    frames = range(settings.first, last + 1, settings.step)
    if not settings.only_annotated:
        return frames
    annotated = tuple(
        frame
        for frame in frames
        if source.records.get(frame, EMPTY_RECORD).status is not FrameStatus.EMPTY
    )
    if not annotated:
        raise UserError(
            "None of these frames was annotated or tracked, so there is nothing to export.\n\n"
            "Annotate one, or export all frames."
        )
    return annotated


def _files_read(options: ExportOptions) -> list[Path]:
    """What the options name: the layer behind the objects."""
    infos = describe_options(type(options))
    texts = [str(getattr(options, info.name)) for info in infos if info.kind == "path"]
    return [Path(text).expanduser() for text in texts if text]


def _side_files(kind: ExportFormat, target: ExportTarget) -> tuple[str, ...]:
    return () if kind.is_folder else (f"{target.path.name}.{FRAMES_CSV}",)


_LIGHT: Final = 160  # of the squares behind what is transparent
_DARK: Final = 110
_SQUARE_PX: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class ExportedPicture:
    """One of the files of a frame, or the frame of a video."""

    name: str  # of the file, below the target's folder
    picture: Frame  # (H, W, 3) RGB; what is transparent shows squares


def export_pictures(
    source: ExportSource, settings: ExportSettings, frame: int, video: Video, longest_px: int
) -> tuple[ExportedPicture, ...]:
    """What will be written of `frame`, made no larger than `longest_px`; nothing for a format that
    holds only numbers. All threads may call it.

    UserError for what `check_export` would refuse, and for a damaged mask; ValueError for a frame
    that is not exported.
    """
    kind, job, _ = _plan_export(source, settings)
    if frame not in job.frames:
        raise ValueError(f"frame must be one of those that are exported, got {frame}")
    if kind.pictures is None:
        return ()
    job.video = video
    with closing(job):
        return tuple(
            ExportedPicture(name, _seen(pixels, longest_px))
            for name, pixels in kind.pictures(job, frame)
        )


def _seen(pixels: Pixels, longest_px: int) -> Frame:
    """As a picture viewer shows it."""
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 2:
        return np.repeat(no_larger(pixels, longest_px)[:, :, None], 3, axis=2)
    if pixels.shape[2] == 3:
        return no_larger(pixels, longest_px)
    # Multiplied by alpha first: else the colours of what is transparent would come into the edge.
    alpha = np.ascontiguousarray(pixels[:, :, 3])
    weights = cv2.merge([alpha, alpha, alpha])
    colors = cv2.multiply(np.ascontiguousarray(pixels[:, :, :3]), weights, scale=1 / 255)
    return _on_squares(no_larger(np.asarray(colors), longest_px), no_larger(alpha, longest_px))


def _on_squares(colors: Frame, alpha: NDArray[np.uint8]) -> Frame:
    """colors: (H, W, 3) RGB, multiplied by alpha (H, W)."""
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]] // _SQUARE_PX
    squares = np.where((x + y) % 2, _LIGHT, _DARK) * (1 - alpha.astype(np.float32) / 255)
    return np.round(np.minimum(colors + squares[:, :, None], 255)).astype(np.uint8)
