"""MOTS PNG: 16-bit pictures whose pixel values are class · 1000 + instance.

https://www.vision.rwth-aachen.de/page/mots: instances/<sequence>/<frame in six digits>.png.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from interaction.project.exporters.format import ExportFormat, FormatGroup, TargetKind
from interaction.project.exporters.job import ExportJob, encode_png
from interaction.project.exporters.options import ExportOptions, option
from interaction.project.exporters.target import safe_name

__all__ = ["INSTANCES_A_CLASS", "MOTS_PNG"]

INSTANCES_A_CLASS: Final = 1000
_DIGITS: Final = 6


@dataclass(frozen=True, kw_only=True)
class MotsOptions(ExportOptions):
    class_id: int = option(
        1,
        "Class",
        "The class of every object; in KITTI MOTS 1 is a car, 2 a pedestrian.",
        minimum=1,
        maximum=64,
    )


def _write_mots(job: ExportJob) -> Iterator[int]:
    options = job.options_as(MotsOptions)
    sequence = safe_name(job.source.name, "sequence")
    values = np.zeros(256, np.uint16)
    for one in job.objects:
        values[one.id] = options.class_id * INSTANCES_A_CLASS + one.id
    for frame in job.frames:
        name = f"instances/{sequence}/{job.source.frame_name(frame, _DIGITS)}.png"
        job.write(name, encode_png(values[job.labels(frame)]), frame)
        yield frame


MOTS_PNG: Final = ExportFormat(
    name="mots",
    title="MOTS PNG",
    description="16-bit PNGs whose pixel values are class · 1000 + object id.",
    group=FormatGroup.DATASETS,
    target=TargetKind.FOLDER,
    suffix="",
    options=MotsOptions,
    write=_write_mots,
    is_importable=True,
)
