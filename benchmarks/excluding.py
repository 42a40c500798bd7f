"""What it gains to keep bad frames out of memory, and what it costs to know what memory holds.

    python -m benchmarks.excluding --clips FOLDER [--frames 50] [--internal-size 240]

Each clip of FOLDER (JPEGImages and Annotations, as DAVIS) is tracked from its first true mask as it
is, and with a stretch of eight frames in which a bar covers half of the picture; in each case with
all frames in memory, and without the frames that are bad: those under the bar, or the tenth whose
mask was worst. Compared is mean J of the other frames. The cost is that of `Tracker.remembered`, as
a share of the processor time that the frames of the same run took.
"""

import argparse
import json
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.trust import read_clip
from interaction.engines import Engines, EngineSettings
from interaction.evaluation.scores import region_similarity
from interaction.tracking.propagation import Run, memorize_all, propagate
from xmem_core.arrays import Frame, Labels

_BAR_FROM, _BAR_FRAMES = 12, 8


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.excluding", description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--names", nargs="+", default=["chair", "schoolgirls", "tennis"])
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--internal-size", type=int, default=240)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    settings = EngineSettings(device="cpu", internal_size=chosen.internal_size)
    engines = Engines(settings)
    results = []
    for name in chosen.names:
        folders = chosen.clips / "JPEGImages" / name, chosen.clips / "Annotations" / name
        frames, truths = read_clip(*folders, chosen.frames)
        masks = [(truth > 0).astype(np.uint8) for truth in truths]
        for is_covered in (False, True):
            bar = range(_BAR_FROM, _BAR_FROM + _BAR_FRAMES) if is_covered else range(0)
            shown = [_covered(one) if i in bar else one for i, one in enumerate(frames)]
            plain, cost = _track(engines, shown, masks, ())
            worst = sorted(range(1, len(plain)), key=lambda i: plain[i])
            bad = set(bar or worst[: len(plain) // 10])
            kept, _ = _track(engines, shown, masks, bad)
            others = [i for i in range(1, len(plain) - 1) if i not in bad]
            results.append(
                {
                    "clip": name,
                    "bad frames": "under the bar" if is_covered else "the worst tenth",
                    "J, all in memory": round(mean(plain[i] for i in others), 4),
                    "J, bad ones out": round(mean(kept[i] for i in others), 4),
                    "telling, share of a frame": round(cost, 5),
                }
            )
            if not chosen.json:
                print(results[-1], flush=True)
    if chosen.json:
        print(json.dumps(results, indent=2))


def _covered(frame: Frame) -> Frame:
    """With a grey bar over the middle half of the picture."""
    width = frame.shape[1]
    result = frame.copy()
    result[:, width // 4 : 3 * width // 4] = 128
    return result


def _track(
    engines: Engines, frames: Sequence[Frame], truth: Sequence[Labels], excluded: Collection[int]
) -> tuple[list[float], float]:
    """J by frame, and the share of the time that it took to say what memory holds."""
    tracker = engines.start_tracker()
    given = {0: truth[0]}
    for _ in memorize_all(tracker, frames, given):
        pass
    scores, telling_s, started_s = [], 0.0, time.process_time()
    run = Run(range(len(frames)))
    steps = propagate(tracker, frames, given, (run,), excluded=lambda frame: frame in excluded)
    for result, _ in steps:
        assert result is not None
        labels = result.prediction.labels()
        scores.append(float(region_similarity(labels > 0, truth[result.frame] > 0)))
        before_s = time.process_time()
        tracker.remembered()
        telling_s += time.process_time() - before_s
    whole_s = time.process_time() - started_s
    return scores, telling_s / (whole_s - telling_s)


if __name__ == "__main__":
    main()
