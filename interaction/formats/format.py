"""What an export format declares, what it works from, and where it writes."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from pathlib import Path
from typing import Final, Self, TextIO, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from interaction.annotation.annotation import Annotation
from interaction.annotation.mask_files import decode_labels
from interaction.annotation.overlaps import Stack, covering, packed, region, stack_of
from interaction.annotation.types import (
    EMPTY_RECORD,
    FrameRecord,
    FrameStatus,
    ObjectInfo,
    PresenceState,
)
from interaction.errors import UnreadableVideoError, UserError
from interaction.files import (
    hidden_folder,
    open_regular,
    plain_folder,
    remove_leftovers,
    replace_file,
    writing_problem,
)
from interaction.formats.options import ExportOptions, OptionInfo, describe_options
from interaction.video.decoder import VideoIndex
from interaction.video.fingerprints import Fingerprint
from interaction.video.pictures import PICTURE_SUFFIXES, PictureFolderIndex
from interaction.video.video import Video, open_video
from xmem_core.arrays import Frame, Labels, Pixels
from xmem_core.messages import Message

__all__ = [
    "FRAMES_CSV",
    "OBJECTS_JSON",
    "ExportFormat",
    "ExportJob",
    "ExportSource",
    "ExportTarget",
    "FormatGroup",
    "ObjectGap",
    "Overlaps",
    "Pictures",
    "count_frames",
    "describe_frames",
    "encode_jpeg",
    "encode_png",
    "find_gaps",
    "on_frames",
    "read_layer_picture",
    "safe_name",
    "write_pictures",
]

_MOST_SPANS: Final = 6


@dataclass(frozen=True, slots=True)
class ObjectGap:
    """An object that is on some of the frames only."""

    object: ObjectInfo
    frames: tuple[int, ...]  # those without a mask of it, ascending
    is_everywhere: bool  # it has no mask on any of the frames

    def __str__(self) -> str:
        if self.is_everywhere:
            return Message(
                "object ‘{name}’ has no mask on any of the frames", name=self.object.name
            )
        return Message(
            "object ‘{name}’ has no mask on {frames}: {spans}",
            name=self.object.name,
            frames=count_frames(len(self.frames)),
            spans=describe_frames(self.frames),
        )


def find_gaps(
    records: Mapping[int, FrameRecord], objects: Sequence[ObjectInfo], frames: Sequence[int]
) -> tuple[ObjectGap, ...]:
    """In the objects' order. A confirmed frame says that an object not in it is absent, and so may
    the object itself: that is no gap. Any other frame without the object is."""
    missing: dict[int, list[int]] = {one.id: [] for one in objects}
    found: set[int] = set()
    for frame in frames:
        record = records.get(frame, EMPTY_RECORD)
        present = record.objects
        found |= present
        if record.status is FrameStatus.CONFIRMED:
            continue
        for one in objects:
            if one.id not in present and one.state_at(frame) is not PresenceState.ABSENT:
                missing[one.id].append(frame)
    return tuple(
        ObjectGap(one, tuple(missing[one.id]), one.id not in found)
        for one in objects
        if missing[one.id] or one.id not in found
    )


def count_frames(count: int) -> str:
    return Message("{count} frame", "{count} frames", count=count)


def describe_frames(frames: Iterable[int]) -> str:
    """Ascending frame numbers as spans: "3-9, 40-44, 60"."""
    spans: list[list[int]] = []
    for frame in frames:
        if spans and frame == spans[-1][1] + 1:
            spans[-1][1] = frame
        else:
            spans.append([frame, frame])
    texts = [f"{first}-{last}" if last > first else str(first) for first, last in spans]
    more = len(texts) - _MOST_SPANS
    spans_text = ", ".join(texts[:_MOST_SPANS])
    if more <= 0:
        return spans_text
    return Message(
        "{spans} and {count} more span",
        "{spans} and {count} more spans",
        spans=spans_text,
        count=more,
    )


def on_frames(words: Message, frames: Collection[int], **values: object) -> list[Message]:
    """`words` with {frames}, how many, and {spans}, which; nothing where there are none."""
    if not frames:
        return []
    count, spans = count_frames(len(frames)), describe_frames(frames)
    return [Message(words.template, frames=count, spans=spans, **values)]


_MOST_NAMED: Final = 3
_RESERVED: Final = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)
}  # no file on Windows can be called so
_LONGEST_NAME: Final = 80


def safe_name(text: str, otherwise: str) -> str:
    """`text` as the name of a file on every system; `otherwise` if nothing is left of it."""
    kept = "".join(
        one if one.isprintable() and one not in '<>:"/\\|?*' else "_" for one in text.strip()
    )
    kept = kept.strip(" .")[:_LONGEST_NAME].strip(" .")
    return otherwise if not kept or kept.lower().split(".")[0] in _RESERVED else kept


class ExportTarget:
    """One export's place on disk.

    path: the folder, or for exports that are one file the file; its side files lie beside it.
    protects: files and folders that nothing is written to, whatever `overwrites` says.
    """

    def __init__(
        self, path: Path, *, is_folder: bool, overwrites: bool, protects: tuple[Path, ...] = ()
    ) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links)
        self.is_folder = is_folder
        self.overwrites = overwrites
        self._protects = protects
        self._made: list[Path] = []  # parents that were created, outermost first
        self._hidden = contextlib.ExitStack()
        self.folder = self.path  # where to write until `finish`; set by `prepare`

    def check(self, side_files: tuple[str, ...] = ()) -> None:
        """UserError if something is in the way, before anything is written."""
        problem = self.problem(side_files)
        if problem is not None:
            raise UserError(problem)

    def problem(self, side_files: tuple[str, ...] = ()) -> str | None:
        """What keeps the export from being written here, in words; None if nothing does."""
        try:
            self.path.exists()  # raises for a name that is too long; `resolve`, for a circle
            real = self.path.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            return Message(
                "“{name}” cannot be written: {reason}. Nothing was changed.\n\n"
                "Choose another name or place.",
                name=self.path.name,
                reason=reason,
            )
        problem = self._harm(real)
        if problem is not None:
            return problem
        if self.is_folder and self.path.exists() and not self.path.is_dir():
            return Message(
                "“{name}” is a file, and this format is a folder of files. Nothing was "
                "changed.\n\nChoose another name.",
                name=self.path.name,
            )
        if not self.is_folder and self.path.is_dir():
            return Message(
                "“{name}” is a folder, and this format is one file. Nothing was "
                "changed.\n\nChoose another name.",
                name=self.path.name,
            )
        if self.overwrites:
            return None
        if self.is_folder:
            present = _first_files(self.path)
        else:
            beside = (self.path, *(self.path.parent / name for name in side_files))
            present = [path.name for path in beside if path.exists() or path.is_symlink()]
        if not present:
            return None
        names = ", ".join(present[:_MOST_NAMED]) + (", …" if len(present) > _MOST_NAMED else "")
        if not self.is_folder:
            return Message(
                "There is something already there: {names}. Nothing was changed.\n\n"
                "Choose another name, or allow files to be replaced.",
                names=names,
            )
        return Message(
            "There is something in “{name}” already: {names}. Nothing was changed.\n\n"
            "Choose another name, or allow files to be replaced.",
            name=self.path.name,
            names=names,
        )

    def _harm(self, place: Path) -> str | None:
        """What writing `place`, with its links resolved, would damage, in words."""
        for kept in self._protects:
            kept_real = _resolved(kept)
            if kept_real is None:  # it cannot be read either, which its reader reports
                continue
            if place == kept_real or _is_same_file(place, kept_real):
                return Message(
                    "“{name}” is what this export is made from and would be lost. Nothing was "
                    "changed.\n\nChoose another name or place.",
                    name=place.name,
                )
            if kept_real.is_dir() and kept_real in place.parents:
                return Message(
                    "“{name}” lies in “{folder}”, which this project is made from; "
                    "an export there could damage it. Nothing was changed.\n\nChoose "
                    "another place.",
                    name=place.name,
                    folder=kept.name,
                )
        return None

    def prepare(self) -> None:
        """Creates the hidden folder. UserError."""
        try:
            missing = [one for one in self.path.parents if not one.exists()]
            for parent in reversed(missing):
                parent.mkdir(exist_ok=True)
                self._made.append(parent)
            remove_leftovers(self.path.parent)
            self.folder = self._hidden.enter_context(
                hidden_folder(self.path.parent.resolve() / self.path.name)
            )
        except OSError as error:
            self.discard()
            raise writing_problem(self.path, error) from error

    def finish(self) -> int:
        """Gives everything its own name; how many foreign files were left lying in a folder.

        UserError; then what was there is still there, except files that were already replaced.
        """
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        # Something may have come since: what the export brings beside its main file is known now.
        beside = () if self.is_folder else tuple(file.name for file in files)
        self.check(beside)
        root = self.path if self.is_folder else self.path.parent
        for file in files:
            problem = self._harm(root.resolve() / file.relative_to(self.folder))
            if problem is not None:
                raise UserError(problem)
        try:
            for file in files:
                _force_to_disk(file)
            if self.is_folder and not _first_files(self.path):
                if self.path.is_dir() and not self.path.is_symlink():
                    self.path.rmdir()
                if not self.path.exists():
                    replace_file(self.folder, self.path)
                    self._hidden.close()
                    return 0
            names = {file.relative_to(self.folder) for file in files}
            for name in sorted(names):
                replace_file(self.folder / name, plain_folder(root, *name.parts[:-1]) / name.name)
        except OSError as error:
            raise writing_problem(self.path, error) from error
        self._hidden.close()
        if not self.is_folder:
            return 0
        present = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        return sum(1 for path in present if path not in names)

    def discard(self) -> None:
        """Leaves no trace of an export that was not finished."""
        self._hidden.close()
        for parent in reversed(self._made):
            with contextlib.suppress(OSError):  # someone else has put something there
                parent.rmdir()


def _resolved(path: Path) -> Path | None:
    """None for links in a circle, and for what is no name."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return None


def _is_same_file(one: Path, other: Path) -> bool:
    """Also where two names differ, on a disk that ignores upper and lower case."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def _first_files(folder: Path) -> list[str]:
    """Names in `folder`, a few; nothing if it does not exist."""
    names: list[str] = []
    if folder.is_dir():
        try:
            for path in folder.iterdir():
                names.append(path.name)
                if len(names) > _MOST_NAMED:
                    break
        except OSError as error:
            raise writing_problem(folder, error) from error
    return sorted(names)


def _force_to_disk(file: Path) -> None:
    # Without this the new name can reach the disk before the bytes do.
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, eq=False)
class ExportSource:
    """The masks, the objects and the video as they were when it was made. All threads may read."""

    frame_count: int
    width: int
    height: int
    objects: tuple[ObjectInfo, ...]
    records: Mapping[int, FrameRecord]
    index: VideoIndex
    name: str  # of the sequence, for layouts that have one
    protects: tuple[Path, ...] = field(default=())  # an export writes to none of these

    @classmethod
    def of(
        cls,
        masks: Annotation,
        video: Video,
        *,
        name: str | None = None,
        protects: tuple[Path, ...] = (),
    ) -> Self:
        """A snapshot. name: what datasets call the sequence, by default the video's own name.
        protects: files and folders that no export may write to, such as the project's."""
        path = video.path
        return cls(
            frame_count=masks.frame_count,
            width=masks.width,
            height=masks.height,
            objects=masks.objects,
            records=dict(masks.records),
            index=video.index,
            name=name or (path.name if path.is_dir() else path.stem) or "video",
            protects=(path, *protects),
        )

    def labels(self, frame: int) -> Labels:
        """(H, W) uint8 object ids; zeros where nothing was annotated. UnreadableMaskError."""
        mask = self.records.get(frame, EMPTY_RECORD).mask
        if mask is None:
            return np.zeros((self.height, self.width), np.uint8)
        return decode_labels(mask)

    def stack(self, frame: int) -> Stack:
        """The labels and what lies beneath them. UnreadableMaskError."""
        return stack_of(self.records.get(frame, EMPTY_RECORD), self.height, self.width)

    def frame_name(self, frame: int, digits: int = 7) -> str:
        """What the frame's files are called: the picture's own name, or its number."""
        if isinstance(self.index, PictureFolderIndex):
            return self.index.pictures[frame].stem
        return f"{frame:0{digits}d}"

    def picture_name(self, frame: int) -> str:
        """What lists call the frame's picture: its own file name, or its number as a JPEG."""
        if isinstance(self.index, PictureFolderIndex):
            return self.index.pictures[frame].name
        return f"{self.frame_name(frame)}.jpg"

    @property
    def timestamps_s(self) -> NDArray[np.float64]:
        """(N,) seconds from the first frame to each frame."""
        return self.index.timestamps_s


FRAMES_CSV: Final = "frames.csv"
_FRAME_COLUMNS: Final = ("index", "timestamp_s", "pts", "sha256", "look", "file")
OBJECTS_JSON: Final = "objects.json"  # names and colours, which most formats cannot hold

_MOST_LAYER_PIXELS: Final = 2**26
_LAYER_CACHE_BYTES: Final = 64 * 2**20
_CACHE_BYTES: Final = 256 * 2**20  # of decoded frames; an export goes through them once
_Options = TypeVar("_Options", bound=ExportOptions)


@dataclass(eq=False)
class ExportJob:
    """Handed to a format's writer, which yields each frame when its files are written.

    Everything written goes to `folder` under a relative name; it becomes visible at the end.
    """

    source: ExportSource
    frames: Sequence[int]  # ascending, at least one
    objects: tuple[ObjectInfo, ...]  # those chosen, in the annotator's order
    options: ExportOptions
    folder: Path
    target: Path  # what the export will be called in the end
    has_covered: bool = True  # also pixels of objects that other objects cover
    video: Video | None = None  # to take pictures from; None: a reader of its own, see `picture`
    notices: list[str] = field(default_factory=list)
    rows: list[tuple[int, str]] = field(default_factory=list)  # (frame, file) for frames.csv
    fingerprints: dict[int, Fingerprint | None] = field(default_factory=dict)  # for frames.csv

    def __post_init__(self) -> None:
        self._own_video: Video | None = None
        self._last_picture: Frame | None = None
        self._unreadable: list[int] = []
        self._layer_picture: NDArray[np.uint8] | None = None
        self._layer_video: Video | None = None
        self._last_stack: tuple[int, Stack] | None = None
        self._kept = np.zeros(256, np.uint8)
        for one in self.objects:
            self._kept[one.id] = one.id

    def options_as(self, kind: type[_Options]) -> _Options:
        if not isinstance(self.options, kind):
            raise TypeError(f"options must be {kind.__name__}, got {type(self.options).__name__}")
        return self.options

    def labels(self, frame: int) -> Labels:
        """(H, W) ids of the chosen objects, where they overlap of the one in front; every other
        pixel is 0."""
        return self._stack(frame)[0]

    def region(self, frame: int, one: ObjectInfo) -> NDArray[np.bool_]:
        """(H, W): the object's pixels, also those that others cover, unless they are left out."""
        return region(self._stack(frame), one.id)

    def beneath(self, frame: int) -> Stack:
        """What lies under `labels`, unless that is left out."""
        return self._stack(frame)[1:]

    def back_to_front(self, frame: int) -> tuple[ObjectInfo, ...]:
        """The chosen objects, those that cover others after them. Of two that cover each
        other, the one that covers more comes later; otherwise in the annotator's order."""
        stack = self._stack(frame)
        if len(stack) == 1:
            return self.objects
        rest, ordered = list(self.objects), []
        covers = covering(stack)
        while rest:
            lowest = min(
                rest, key=lambda one: sum(covers.get((one.id, other.id), 0) for other in rest)
            )
            rest.remove(lowest)
            ordered.append(lowest)
        return tuple(ordered)

    def overlapping(self) -> tuple[int, ...]:
        """The frames on which one of the chosen objects covers another."""
        chosen = {one.id for one in self.objects}
        records = ((frame, self.source.records.get(frame, EMPTY_RECORD)) for frame in self.frames)
        return tuple(
            frame
            for frame, record in records
            if record.covered & chosen and len(record.objects & chosen) > 1
        )

    def _stack(self, frame: int) -> Stack:
        """Of the chosen objects."""
        if self._last_stack is None or self._last_stack[0] != frame:
            stack = self.source.stack(frame)[: None if self.has_covered else 1]
            kept = tuple(np.asarray(cv2.LUT(one, self._kept), np.uint8) for one in stack)
            self._last_stack = frame, packed(kept)
        return self._last_stack[1]

    def picture(self, frame: int) -> Frame:
        """(H, W, 3) RGB. A frame that cannot be decoded shows the one before it, with a notice."""
        video = self.video or self._own_video
        if video is None:
            # A reader of its own, so that what the annotator looks at stays in the other's cache.
            video = self._own_video = Video(self.source.index, cache_bytes=_CACHE_BYTES)
        try:
            self._last_picture = video[frame]
        except UnreadableVideoError:
            if frame not in self._unreadable:  # asked for once an object
                self._unreadable.append(frame)
            if self._last_picture is None:
                self._last_picture = np.zeros((self.source.height, self.source.width, 3), np.uint8)
        return self._last_picture

    def layer(self, path: Path, frame: int) -> NDArray[np.uint8]:
        """(h, w, 4) RGBA, what lies behind the objects on `frame`: a picture, or the frame of a
        video or a folder of pictures, which begins with the first frame and starts again at its
        end. UserError."""
        if path.suffix.lower() in PICTURE_SUFFIXES:
            if self._layer_picture is None:
                self._layer_picture = read_layer_picture(path)
            return self._layer_picture
        if self._layer_video is None:
            self._layer_video = open_video(path, cache_bytes=_LAYER_CACHE_BYTES)
        video = self._layer_video
        return np.asarray(cv2.cvtColor(video[frame % len(video)], cv2.COLOR_RGB2RGBA), np.uint8)

    def presence(self) -> dict[str, list[dict[str, object]]]:
        """A list called "presence", of what is stated of the chosen objects; empty without any.
        Frames as they are exported."""
        first, last = self.frames[0], self.frames[-1]
        listed: list[dict[str, object]] = [
            {
                "object": one.id,
                "name": one.name,
                "first": max(first, part.first),
                "last": min(last, part.last),
                "state": part.state.value,
            }
            for one in self.objects
            for part in one.presence
            if part.first <= last and part.last >= first
        ]
        return {"presence": listed} if listed else {}

    def is_occluded(self, one: ObjectInfo, frame: int) -> bool:
        return one.state_at(frame) is PresenceState.OCCLUDED

    def object_folder(self, one: ObjectInfo) -> str:
        """A folder name that tells an object from the others and sorts by id: "001-dog"."""
        return f"{one.id:03d}-{safe_name(one.name, 'object')}"

    def write(self, name: str, data: bytes, frame: int | None = None) -> None:
        """One file; with `frame` it is listed in frames.csv."""
        path = self.folder / name
        with self.writing(name, frame):
            path.write_bytes(data)

    def write_jpeg(self, name: str, frame: int, quality: int) -> None:
        """The frame's picture."""
        self.write(name, encode_jpeg(self.picture(frame), quality))

    @contextmanager
    def writing_text(self, name: str) -> Iterator[TextIO]:
        """A file in UTF-8 to write bit by bit."""
        with self.writing(name) as path, path.open("w", encoding="utf-8", newline="\n") as file:
            yield file

    @contextmanager
    def writing(self, name: str, frame: int | None = None) -> Iterator[Path]:
        """The path to write a file to; what the disk refuses is put into words."""
        path = self.folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield path
        except OSError as error:
            raise writing_problem(self.target, error) from error
        if frame is not None:
            self.rows.append((frame, name))

    def write_tables(self, frames_csv: str, objects_json: str | None) -> None:
        """The list of frames and, where wanted, the list of objects."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_FRAME_COLUMNS)
        timestamps = self.source.timestamps_s
        for frame, name in self.rows:
            found = self.fingerprints.get(frame)
            pts, sha256, look = "", "", ""
            if found is not None:
                pts = "" if found.pts is None else str(found.pts)
                sha256, look = found.sha256, f"{found.look:016x}"
            table.writerow((frame, f"{timestamps[frame]:.6f}", pts, sha256, look, name))
        self.write(frames_csv, text.getvalue().encode())
        if objects_json is not None:
            objects = [
                {"id": one.id, "name": one.name, "color": "#{:02x}{:02x}{:02x}".format(*one.color)}
                for one in self.objects
            ]
            lists = {"objects": objects, **self.presence()}
            self.write(objects_json, json.dumps(lists, indent=1).encode())

    def close(self) -> None:
        for video in (self._own_video, self._layer_video):
            if video is not None:
                video.close()
        words = Message(
            "{frames} of the video cannot be read and shows the one before it: {spans}."
        )
        self.notices += on_frames(words, self._unreadable)


def read_layer_picture(path: Path) -> NDArray[np.uint8]:
    """(h, w, 4) RGBA. UserError for what is no picture, or too large."""
    try:
        with open_regular(path) as file, Image.open(file) as image:
            if image.width * image.height > _MOST_LAYER_PIXELS:
                raise ValueError("it has too many pixels")
            return np.asarray(ImageOps.exif_transpose(image).convert("RGBA"), np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(
            "“{name}” cannot lie behind the objects: {reason}.\n\nChoose another picture or video.",
            name=path.name,
            reason=str(error) or type(error).__name__,
        ) from error


def encode_png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """pixels: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, 8 or 16 bits a channel."""
    if pixels.ndim == 3:
        order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        pixels = cv2.cvtColor(pixels, order)  # type: ignore[assignment]
    # A tenth of the time of the strongest compression for files a tenth larger.
    is_done, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 2])
    if not is_done:
        raise ValueError(f"no PNG can be made of {pixels.dtype} of shape {pixels.shape}")
    return bytes(data)


def encode_jpeg(picture: Frame, quality: int) -> bytes:
    """picture: (H, W, 3) RGB."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    is_done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not is_done:
        raise ValueError(f"no JPEG can be made of {picture.dtype} of shape {picture.shape}")
    return bytes(data)


class Overlaps(StrEnum):
    """What a format makes of pixels with several objects; the values are those of
    docs/formats.md."""

    WHOLE = "whole"  # each object with what others cover of it
    STRIPES = "stripes"  # the object in front, and in stripes what lies beneath, as the window does
    FRONT = "front"  # the object in front
    UNION = "all in one"  # one mask for all objects


class FormatGroup(Enum):
    """How a dialog sorts formats; the values are titles."""

    MASKS = Message("Masks")
    DATASETS = Message("Data sets")
    COMPOSITING = Message("Compositing")
    VIDEO = Message("Video")


# (name of the file, (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, 8 or 16 bits a channel), each.
Pictures = Callable[[ExportJob, int], Iterator[tuple[str, Pixels]]]


def nothing_to_say(job: ExportJob) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFormat:
    """One way for masks to leave. Dialog and command line are made from it."""

    name: str  # "palette-png", for the command line
    title: str  # for people
    description: str
    group: FormatGroup
    suffix: str = ""  # of the one file, with its dot; "" for a folder of files
    options: type[ExportOptions] = ExportOptions
    # Writes the job's frames one after another and yields each when it is done.
    write: Callable[[ExportJob], Iterator[int]]
    # What one frame's files look like, for formats that can be looked at.
    pictures: Pictures | None = None
    overlaps: Overlaps = Overlaps.FRONT
    # What a dry run should say beyond gaps, such as "cropped to an even size".
    foresee: Callable[[ExportJob], Iterable[str]] = nothing_to_say
    writers: str = "this program"  # whose files of this form are read, for docs/formats.md
    limits: str = ""  # of what is read back, for docs/formats.md; "": it is not read

    @property
    def is_folder(self) -> bool:
        return not self.suffix

    @property
    def is_importable(self) -> bool:
        return bool(self.limits)

    @property
    def settings(self) -> tuple[OptionInfo, ...]:
        return describe_options(self.options)


def write_pictures(
    job: ExportJob, pictures: Pictures, encode: Callable[[Pixels], bytes] = encode_png
) -> Iterator[int]:
    """The `write` of a format whose frames are pictures, by default PNG, and nothing else."""
    for frame in job.frames:
        for name, pixels in pictures(job, frame):
            job.write(name, encode(pixels), frame)
        yield frame
