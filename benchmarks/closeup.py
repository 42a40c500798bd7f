"""Small things in large pictures: tracked in the whole picture, and in a box that follows them.

    python -m benchmarks.closeup --clips FOLDER --pictures FOLDER [--frames 40] [--width 432]

Each clip of FOLDER (JPEGImages and Annotations, as DAVIS) is made `width` pixels wide and travels
across a photograph of 3840x2160, two pixels a frame. The first true mask is given; J of
the others, the last left out, and the median processor time of a frame are compared.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import mean, median

import cv2
import numpy as np
from PIL import Image

from benchmarks.trust import read_clip
from interaction.engines import Engines, EngineSettings
from interaction.evaluation.scores import region_similarity
from interaction.tracking.propagation import Run, memorize_all, propagate
from xmem_core.arrays import Frame, Labels
from xmem_core.closeup import Closeup, suited_side

_HEIGHT, _WIDTH = 2160, 3840
_SPEED_PX = 2


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.closeup", description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--names", nargs="+", default=["chair", "schoolgirls", "tennis"])
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--width", type=int, default=432)
    parser.add_argument("--internal-size", type=int, default=480)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    photographs = sorted(chosen.pictures.iterdir())
    results = []
    for number, name in enumerate(chosen.names):
        frames, masks = _scene(chosen.clips, name, photographs[7 * number], chosen)
        for is_close in (False, True):
            results.append({"clip": name, **_measure(frames, masks, is_close, chosen)})
            if not chosen.json:
                print(results[-1], flush=True)
    if chosen.json:
        print(json.dumps(results, indent=2))


def _scene(
    clips: Path, name: str, photograph: Path, chosen: argparse.Namespace
) -> tuple[list[Frame], list[Labels]]:
    with Image.open(photograph) as opened:
        large = opened.convert("RGB").resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS)
    back = np.asarray(large)
    frames, masks = [], []
    folders = clips / "JPEGImages" / name, clips / "Annotations" / name
    for index, (picture, truth) in enumerate(zip(*read_clip(*folders, chosen.frames), strict=True)):
        size = chosen.width, round(chosen.width * picture.shape[0] / picture.shape[1])
        small = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
        mask = Image.fromarray(truth).resize(size, Image.Resampling.NEAREST)
        top, left = 700, 900 + _SPEED_PX * index
        place = (slice(top, top + size[1]), slice(left, left + size[0]))
        frame, labels = back.copy(), np.zeros((_HEIGHT, _WIDTH), np.uint8)
        frame[place], labels[place] = np.asarray(small), np.asarray(mask) > 0
        frames.append(frame)
        masks.append(labels)
    return frames, masks


def _measure(
    frames: list[Frame], masks: list[Labels], is_close: bool, chosen: argparse.Namespace
) -> dict[str, object]:
    tracker = Engines(EngineSettings(internal_size=chosen.internal_size)).start_tracker()
    side = suited_side(masks[0], None, chosen.internal_size) if is_close else None
    if side is not None:
        tracker.closeup = Closeup(side, chosen.internal_size)
    given = {0: masks[0]}
    for _ in memorize_all(tracker, frames, given):
        pass
    scores, seconds = [], []
    steps = propagate(tracker, frames, given, [Run(range(len(frames)))])
    while True:
        start = time.process_time()
        result, _ = next(steps)
        assert result is not None
        labels = result.prediction.labels()
        seconds.append(time.process_time() - start)
        if result.frame == len(frames) - 1:
            break
        if result.frame > 0:
            scores.append(float(region_similarity(labels > 0, masks[result.frame] > 0)))
    _, _, width, height = cv2.boundingRect(masks[0])
    return {
        "object_px": [width, height],
        "side_px": side,
        "mean_j": round(mean(scores), 3),
        "last_j": round(scores[-1], 3),
        "frame_s": round(median(seconds[1:]), 3),
        "wanted_side": tracker.closeup.wanted_side if tracker.closeup else None,
    }


if __name__ == "__main__":
    main()
