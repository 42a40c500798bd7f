"""What keeping everything on disk costs: a propagation through many frames, recorded as it goes.

    python -m benchmarks.project [--frames 5000] [--objects 10] [--width 1920] [--height 1080]
                                 [--pace-ms 0] [--folder FOLDER] [--json]

Masks of moving discs, each frame's another. Reported: how long `Project.record` keeps its caller,
flushing what is left at the end, opening, loading annotation and history, an undo of the whole
propagation from the disk, and the bytes of the folder. The disk is that of FOLDER, the temporary
folder by default.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from interaction.annotation.annotation import make_record
from interaction.annotation.types import (
    EMPTY_RECORD,
    Edit,
    FrameRecord,
    FrameStatus,
    ObjectInfo,
)
from interaction.project.manifest import describe_source
from interaction.project.project import Project
from xmem_core.arrays import Labels

T = TypeVar("T")


def discs(count: int, objects: int, width: int, height: int) -> Iterator[Labels]:
    """(height, width) ids; the discs go round, so that no two frames are alike for a while."""
    radius = min(width, height) / (2 + objects)
    for frame in range(count):
        labels = np.zeros((height, width), np.uint8)
        for number in range(objects):
            angle = frame / 97 + number * 2 * np.pi / objects
            center = (
                int(width / 2 * (1 + 0.7 * np.cos(angle))),
                int(height / 2 * (1 + 0.7 * np.sin(angle))),
            )
            around = np.linspace(0, 2 * np.pi, 200)
            edge = radius * (1 + 0.1 * np.sin(7 * around + frame))
            outline = np.stack([np.cos(around), np.sin(around)], 1) * edge[:, None] + center
            cv2.fillPoly(labels, [outline.astype(np.int32)], number + 1)
        yield labels


def timed(work: Callable[[], T]) -> tuple[T, float]:
    start_s = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start_s


def measure(folder: Path, settings: argparse.Namespace) -> dict[str, float]:
    video = folder / "video.mp4"
    video.write_bytes(b"only to be recognised")
    width, height = settings.width, settings.height
    source = describe_source(video, settings.frames, width, height)
    project = Project.create(folder / "project.vos", source)
    objects = tuple(ObjectInfo(n + 1, f"disc {n}", (n, 0, 0)) for n in range(settings.objects))
    project.record(Edit("Objects", {}, {}, (), objects))

    # A hundred pictures are drawn; each frame's file is made another by a few bytes at its end.
    pictures = discs(100, settings.objects, width, height)
    drawn = [make_record(labels, FrameStatus.TRACKED) for labels in pictures]
    delays_s: list[float] = []
    for frame in range(settings.frames):
        one = drawn[frame % len(drawn)]
        assert one.mask is not None
        record = FrameRecord(one.mask + frame.to_bytes(4), one.status, one.present, 0.25)
        edit = Edit("Propagate", {frame: EMPTY_RECORD}, {frame: record}, group="run")
        delays_s.append(timed(partial(project.record, edit))[1])
        time.sleep(settings.pace_ms / 1000)
    flush_s = timed(project.flush)[1]
    close_s = timed(project.close)[1]

    project, open_s = timed(lambda: Project.open(folder / "project.vos"))
    annotation, annotation_s = timed(project.load_annotation)
    undone, undo_s = timed(project.view.history.undo)
    assert undone is not None
    annotation.apply(undone)
    project.record_move(undone)
    undo_flush_s = timed(project.flush)[1]
    project.close()
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "mask_bytes": statistics.mean(len(one.mask or b"") for one in drawn),
        "record_mean_ms": 1000 * statistics.mean(delays_s),
        "record_p99_ms": 1000 * sorted(delays_s)[int(0.99 * len(delays_s))],
        "record_worst_ms": 1000 * max(delays_s),
        "flush_s": flush_s,
        "close_s": close_s,
        "open_s": open_s,
        "load_annotation_s": annotation_s,
        "undo_from_disk_s": undo_s,
        "undo_flush_s": undo_flush_s,
        "folder_after_undo_mb": size_bytes / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--pace-ms", type=float, default=0.0, help="between two frames")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--json", action="store_true")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=settings.folder) as folder:
        results = measure(Path(folder), settings)
    if settings.json:
        text = json.dumps(results, indent=2)
    else:
        text = "\n".join(f"{name:22} {value:10.3f}" for name, value in results.items())
    print(text)


if __name__ == "__main__":
    main()
