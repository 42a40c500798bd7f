"""YOLO segmentation: polygons in a text file a frame, classes in data.yaml.

https://docs.ultralytics.com/datasets/segment/: a line is a class and x, y in fractions of the
size. A class stands for an object here, because a line has no place for an identity.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from interaction.project.exporters.format import ExportFormat, FormatGroup, TargetKind
from interaction.project.exporters.job import ExportJob, encode_jpeg
from interaction.project.exporters.options import ExportOptions, option
from interaction.project.exporters.polygons import find_polygons

__all__ = ["YOLO"]


@dataclass(frozen=True, kw_only=True)
class YoloOptions(ExportOptions):
    simplify_px: float = option(
        0.0,
        "Simplify outlines",
        "How far a polygon may stray from the mask's edge. 0 keeps every corner.",
        minimum=0,
        maximum=20,
        unit="px",
    )
    includes_pictures: bool = option(
        True, "Include the pictures", "Also writes the frames as JPEG, beside the label files."
    )
    jpeg_quality: int = option(95, "JPEG quality", minimum=1, maximum=100)


def _write_yolo(job: ExportJob) -> Iterator[int]:
    options = job.options_as(YoloOptions)
    names = "\n".join(
        # A JSON string is a YAML string, whatever the name holds.
        f"  {number}: {json.dumps(one.name, ensure_ascii=False)}"
        for number, one in enumerate(job.objects)
    )
    data = f"path: .\ntrain: images/train\nval: images/train\nnames:\n{names}\n"
    job.write("data.yaml", data.encode())
    size = np.array([job.source.width, job.source.height])
    for frame in job.frames:
        name = job.source.frame_name(frame)
        labels = job.labels(frame)
        lines: list[str] = []
        for number, one in enumerate(job.objects):
            mask = (labels == one.id).astype(np.uint8)
            for polygon in find_polygons(mask, options.simplify_px):
                # The centre of pixel x lies at x + 0.5; rounded down, it is x again.
                shares = ((polygon + 0.5) / size).ravel()
                lines.append(f"{number} " + " ".join(f"{share:.6f}" for share in shares))
        text = "".join(f"{line}\n" for line in lines)
        job.write(f"labels/train/{name}.txt", text.encode(), frame)
        if options.includes_pictures:
            picture = encode_jpeg(job.picture(frame), options.jpeg_quality)
            job.write(f"images/train/{name}.jpg", picture)
        yield frame


YOLO: Final = ExportFormat(
    name="yolo",
    title="YOLO segmentation",
    description="A text file of polygons for each frame and data.yaml; a class stands for an "
    "object. Seams at holes can differ by a pixel.",
    group=FormatGroup.DATASETS,
    target=TargetKind.FOLDER,
    suffix="",
    options=YoloOptions,
    write=_write_yolo,
    is_importable=True,
)
