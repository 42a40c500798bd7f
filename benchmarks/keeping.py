"""What it costs a run to be kept, so that a power cut or a kill loses no more than half a minute.

    python -m benchmarks.keeping [--frames 60] [--internal-size 480] [--objects 1 3]

The sample is tracked in a project, discs given on its first frame, and the run is kept at every
tenth frame. Printed, of the last time, when memory is fullest: bytes, seconds, how many tracked
frames that is, and its share of the time at the interval that the program has.
"""

import argparse
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np

from interaction.annotation.requests import Propagated
from interaction.engines import EngineSettings
from interaction.session import Session
from interaction.tracking.unfinished import SaveTimes
from resources import sample_folder

_EVERY: int = 10  # frames


class _Timed(SaveTimes):
    """Due at every tenth frame; `times_s` of all."""

    times_s: list[float]
    frame = 0

    @property
    def is_now(self) -> bool:
        return _Timed.frame % _EVERY == 0 and _Timed.frame > 0

    @contextmanager
    def timed(self) -> Generator[None, None, None]:
        began_s = time.perf_counter()
        with super().timed():
            yield
        _Timed.times_s.append(time.perf_counter() - began_s)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keeping", description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--internal-size", type=int, default=480)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 3])
    chosen = parser.parse_args()
    for count in chosen.objects:
        with tempfile.TemporaryDirectory() as folder:
            _measure(Path(folder) / "run.vos", chosen.frames, chosen.internal_size, count)


def _measure(project: Path, frames: int, internal_size: int, count: int) -> None:
    _Timed.times_s, sizes = [], []
    settings = EngineSettings(internal_size=internal_size)
    source = sample_folder() / "big-buck-bunny.mp4"
    with Session.open(source, project, settings=settings) as session:
        height, width = session.video[0].shape[:2]
        y, x = np.mgrid[:height, :width]
        labels = np.zeros((height, width), np.uint8)
        for index in range(count):
            one = session.add_object()
            center = width * (index + 1) // (count + 1)
            labels[(x - center) ** 2 + (y - height // 2) ** 2 < (height // 8) ** 2] = one
        session.set_mask(0, labels)
        place = project / "unfinished.safetensors"

        def on_step(step: Propagated) -> None:
            if place.exists():
                sizes.append(place.stat().st_size)
            _Timed.frame = step.frame

        began_s = time.perf_counter()
        with patch("interaction.tracking.propagation_job.SaveTimes", _Timed):
            session.propagate(0, most_frames=frames, on_step=on_step)
        frame_s = (time.perf_counter() - began_s - sum(_Timed.times_s)) / frames
    kept_s = _Timed.times_s[-1]
    every_s = max(30.0, 50 * kept_s)
    print(
        f"{count} objects, {frames} frames: {sizes[-1] / 1e6:.1f} MB in {1000 * kept_s:.0f} ms, "
        f"{kept_s / frame_s:.2f} of a frame of {1000 * frame_s:.0f} ms; every {every_s:.0f} s that "
        f"is {kept_s / every_s:.2%} of the time",
        flush=True,
    )


if __name__ == "__main__":
    main()
