"""What one running export knows and writes: the frames asked for, the objects, and the files."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.errors import UnreadableVideoError
from interaction.project.atomic_files import writing_problem
from interaction.project.exporters.gaps import count_frames, describe_frames
from interaction.project.exporters.options import ExportOptions
from interaction.project.exporters.source import ExportSource
from interaction.project.exporters.target import safe_name
from interaction.project.video import Video
from interaction.types import ObjectInfo
from xmem_core.pictures import Frame, Labels

__all__ = ["FRAMES_CSV", "OBJECTS_JSON", "ExportJob", "encode_jpeg", "encode_png"]

FRAMES_CSV: Final = "frames.csv"
OBJECTS_JSON: Final = "objects.json"  # names and colours, which most formats cannot hold

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
    video: Video | None = None  # to take pictures from; None: a reader of its own, see `picture`
    notices: list[str] = field(default_factory=list)
    rows: list[tuple[int, str]] = field(default_factory=list)  # (frame, file) for frames.csv

    def __post_init__(self) -> None:
        self._own_video: Video | None = None
        self._last_picture: Frame | None = None
        self._unreadable: list[int] = []
        self._kept = np.zeros(256, np.uint8)
        for one in self.objects:
            self._kept[one.id] = one.id

    def options_as(self, kind: type[_Options]) -> _Options:
        if not isinstance(self.options, kind):
            raise TypeError(f"options must be {kind.__name__}, got {type(self.options).__name__}")
        return self.options

    def labels(self, frame: int) -> Labels:
        """(H, W) ids of the chosen objects; every other pixel is 0."""
        labels = self.source.labels(frame)
        return np.asarray(cv2.LUT(labels, self._kept), np.uint8)

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

    def object_folder(self, one: ObjectInfo) -> str:
        """A folder name that tells an object from the others and sorts by id: "001-dog"."""
        return f"{one.id:03d}-{safe_name(one.name, 'object')}"

    def write(self, name: str, data: bytes, frame: int | None = None) -> None:
        """One file; with `frame` it is listed in frames.csv."""
        path = self.folder / name
        with self.writing(name, frame):
            path.write_bytes(data)

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
        table.writerow(["index", "timestamp_s", "file"])
        timestamps = self.source.timestamps_s
        table.writerows((frame, f"{timestamps[frame]:.6f}", name) for frame, name in self.rows)
        self.write(frames_csv, text.getvalue().encode())
        if objects_json is not None:
            objects = [
                {"id": one.id, "name": one.name, "color": "#{:02x}{:02x}{:02x}".format(*one.color)}
                for one in self.objects
            ]
            self.write(objects_json, json.dumps({"objects": objects}, indent=1).encode())

    def close(self) -> None:
        if self._own_video is not None:
            self._own_video.close()
        if self._unreadable:
            self.notices.append(
                f"{count_frames(len(self._unreadable))} of the video cannot be read and shows the "
                f"one before it: {describe_frames(self._unreadable)}."
            )


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
