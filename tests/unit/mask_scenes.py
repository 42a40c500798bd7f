"""Small annotations of made-up videos, for tests of what leaves a project and comes back."""

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.types import FrameStatus, ObjectInfo
from interaction.formats.export import FORMATS, ExportReport, ExportSettings, export
from interaction.formats.format import ExportSource
from interaction.formats.import_masks import import_masks
from interaction.formats.import_plan import ImportPreview, preview_import
from interaction.video.video import Video, open_video
from xmem_core.arrays import Labels

COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115))


def write_frames(folder: Path, count: int, width: int, height: int) -> Path:
    """A folder of noisy pictures: 00000.png and so on."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(3)
    for index in range(count):
        pixels = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:05d}.png")
    return folder


def annotate(
    masks: Mapping[int, Labels],
    video: Video,
    objects: tuple[ObjectInfo, ...] | None = None,
    status: FrameStatus = FrameStatus.TRACKED,
) -> Annotation:
    """The annotation of `video` with these masks; objects by default those that are in them."""
    if objects is None:
        ids = sorted({int(one) for labels in masks.values() for one in np.unique(labels)} - {0})
        objects = tuple(ObjectInfo(i, f"thing {i}", COLORS[i % 3]) for i in ids)
    records = {frame: make_record(labels, status) for frame, labels in masks.items()}
    return Annotation(len(video), video.width, video.height, records=records, objects=objects)


def run_export(
    annotation: Annotation, video: Video, name: str, target: Path, **settings: Any
) -> ExportReport:
    options = settings.pop("options", {})
    chosen = ExportSettings(
        format=name, target=target, options=FORMATS[name].options(**options), **settings
    )
    return finish(export(ExportSource.of(annotation, video), chosen))


def finish(steps: Generator[Any, None, Any]) -> Any:
    """What the generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def run_import(
    path: Path, video: Video, annotation: Annotation | None = None, **choices: Any
) -> tuple[Annotation, ImportPreview]:
    """Everything in `path`, by default into an annotation that has nothing yet."""
    if annotation is None:
        annotation = Annotation(len(video), video.width, video.height)
    preview = preview_import(path, video, annotation)
    for edit in import_masks(preview, annotation, **choices):
        annotation.apply(edit)
    return annotation, preview


def disc(width: int, height: int, x: float, y: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:height, :width]
    inside: NDArray[np.bool_] = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    return inside


def scene(width: int, height: int, shift: int = 0) -> Labels:
    """(height, width): two discs, 1 on the left and 2 on the right, the second with a hole."""
    labels = np.zeros((height, width), np.uint8)
    labels[disc(width, height, 0.3 * width + shift, 0.5 * height, 0.2 * height)] = 1
    labels[disc(width, height, 0.7 * width, 0.5 * height, 0.25 * height)] = 2
    labels[disc(width, height, 0.7 * width, 0.5 * height, 0.08 * height)] = 0
    return labels


def open_frames(folder: Path, count: int, width: int, height: int) -> Video:
    return open_video(write_frames(folder, count, width, height))
