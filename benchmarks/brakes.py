"""How many failing masks the brakes of a run catch, and how often they stop where nothing is wrong.

    python -m benchmarks.brakes --davis TRAINVAL [--clips FOLDER] [--only CLIP ...]

TRAINVAL is that of DAVIS 2017, all of whose foreground counts as one object; FOLDER has the DAVIS
layout. Each clip is tracked from its first mask: as it is, and made harder.

A mask fails on a frame where its true IoU falls under 0.3 or under half of the best of the five
frames before, which was at least 0.5. It is caught by a stop from one frame before to five after.
A stop is false where the true IoU stays at 0.5 or more from the frame before it to five after, and
rightful where it does but the object itself has just lost 60 % of its area.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.trust import read_clip
from interaction.engines import Engines, EngineSettings
from interaction.evaluation.scores import region_similarity
from interaction.tracking.brakes import Brakes
from interaction.tracking.propagation import Run, memorize_all, propagate
from interaction.tracking.signs import Watch
from training.datasets.layouts import davis_videos
from xmem_core.arrays import Frame, Labels

_LEAST: Final = 30  # positions of a view's grid; smaller things come and go
_GOOD: Final = 0.5
_COUNTED: Final = ("runs", "frames", "failures", "caught", "stops", "false", "rightful")

Clip = tuple[list[Frame], list[Labels]]


def crossed_by_a_twin(clip: Clip, seed: int) -> Clip:
    """The mirrored object swings from one side of the object, before it, to the other."""
    del seed
    frames, truths = [], []
    for index, (frame, truth) in enumerate(zip(*clip, strict=True)):
        columns = np.flatnonzero(truth.any(axis=0))
        if len(columns):
            left, right = int(columns[0]), int(columns[-1])
            away = round(1.1 * (right + 1 - left) * np.cos(np.pi * index / 24))
            mirror = np.array([[-1, 0, left + right + away], [0, 1, 0]], np.float32)
            size = frame.shape[1], frame.shape[0]
            border = cv2.BORDER_REFLECT
            other = cv2.warpAffine(frame, mirror, size, flags=cv2.INTER_LINEAR, borderMode=border)
            its = cv2.warpAffine(truth, mirror, size, flags=cv2.INTER_NEAREST)
            share = cv2.GaussianBlur((its > 0).astype(np.float32), (0, 0), 0.8)[..., None]
            frame = (frame * (1 - share) + other * share).astype(np.uint8)
            truth = np.where(its > 0, 0, truth).astype(np.uint8)
        frames.append(frame)
        truths.append(truth)
    return frames, truths


def crossed_by_a_panel(clip: Clip, seed: int) -> Clip:
    """Every twenty frames a panel crosses the picture and covers the object for a moment."""
    random = np.random.default_rng(seed)
    height, width = clip[1][0].shape
    coarse = random.integers(0, 256, (6, 4, 3), np.uint8)
    panel = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    panel = np.clip(panel * 0.5 + random.integers(0, 128, 3), 0, 255).astype(np.uint8)
    frames, truths = [], []
    left, right = 0, width
    for index, (frame, truth) in enumerate(zip(*clip, strict=True)):
        columns = np.flatnonzero(truth.any(axis=0))
        if len(columns):
            left, right = int(columns[0]), int(columns[-1]) + 1
        its_width = int(1.3 * (right - left)) + 8
        centre = (left + right) / 2 + (index % 20 / 20 - 0.6) * 4.8 * its_width
        first, end = (int(np.clip(centre + way * its_width / 2, 0, width)) for way in (-1, 1))
        frame, truth = frame.copy(), truth.copy()
        frame[:, first:end], truth[:, first:end] = panel[:, : end - first], 0
        frames.append(frame)
        truths.append(truth)
    return frames, truths


def as_it_is(clip: Clip, seed: int) -> Clip:
    del seed
    return clip


@dataclass(frozen=True, slots=True)
class Variant:
    name: str
    made: Callable[[Clip, int], Clip] = as_it_is
    step: int = 1  # of frames
    smaller: int = 1  # internal size
    most: int = 90  # frames of the clip


VARIANTS: Final = (
    Variant("as it is", most=60),
    Variant("every third, backward", step=-3, most=60),
    Variant("half the size", smaller=2, most=60),
    Variant("half the size, every second", step=2, smaller=2),
    Variant("a third of the size, every third", step=3, smaller=3),
    Variant("every fifth", step=5),
    Variant("crossed by a panel", crossed_by_a_panel, most=30),
    Variant("crossed by a twin", crossed_by_a_twin, most=30),
)


@dataclass(frozen=True, slots=True)
class Tracked:
    """One run, by frame."""

    ious: NDArray[np.float64]
    true_areas: NDArray[np.intp]  # in positions of a view's grid
    areas: NDArray[np.intp]
    stops: tuple[int, ...]


def follow(engines: Engines, clip: Clip) -> Tracked:
    frames, truths = clip
    tracker = engines.start_tracker()
    given = {0: truths[0]}
    for _ in memorize_all(tracker, frames, given):
        pass
    watch, brakes = Watch([0]), Brakes()
    rows, stops = [], []
    for result, _ in propagate(tracker, frames, given, (Run(range(len(frames))),)):
        assert result is not None
        watch.signs(result)
        view = watch.view
        assert view is not None
        wrong = brakes.mask(watch, {})
        if wrong is not None and not result.is_given:
            stops.append(result.frame)
        truth = truths[result.frame]
        height, width = view.probabilities.shape[1:]
        small = cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST)
        iou = region_similarity(result.prediction.labels() == 1, truth == 1)
        rows.append((iou, np.count_nonzero(small), np.count_nonzero(view.mask(1))))
    ious, true_areas, areas = (np.array(column) for column in zip(*rows, strict=True))
    return Tracked(ious, true_areas, areas, tuple(stops))


def failures(run: Tracked) -> list[int]:
    """The first frame of each."""
    found, is_failing = [], False
    for frame in range(1, len(run.ious)):
        iou, best = run.ious[frame], run.ious[max(0, frame - 5) : frame].max()
        if is_failing:
            is_failing = iou < _GOOD
        elif (
            best >= _GOOD
            and iou < max(0.3, best / 2)
            and max(run.true_areas[frame], run.areas[frame]) >= _LEAST
        ):
            found.append(frame)
            is_failing = True
    return found


def judged(run: Tracked) -> NDArray[np.intp]:
    """As `_COUNTED`."""
    failed = failures(run)
    caught = sum(any(one - 1 <= stop <= one + 5 for stop in run.stops) for one in failed)
    false = rightful = 0
    for stop in run.stops:
        if run.ious[max(0, stop - 1) : stop + 6].min() < _GOOD:
            continue
        usual = float(np.median(run.true_areas[max(0, stop - 5) : stop]))
        is_going = run.true_areas[stop] < 0.4 * usual
        rightful, false = rightful + is_going, false + (not is_going)
    return np.array([1, len(run.ious), len(failed), caught, len(run.stops), false, rightful])


def clips(
    davis: Path, folder: Path | None, only: Sequence[str]
) -> Iterator[tuple[int, str, str, list[Frame], list[Labels]]]:
    """Number, kind, name, frames and masks of one object."""
    pictures, masks = davis / "JPEGImages" / "480p", davis / "Annotations" / "480p"
    held_out = [pictures / video.name for video in davis_videos(davis, "held out")]
    own = [] if folder is None else sorted((folder / "JPEGImages").iterdir())
    training = [pictures / video.name for video in davis_videos(davis, "training")]
    for number, place in enumerate((*held_out, *own, *training)):
        if only and place.name not in only:
            continue
        its_masks = masks if place.parent == pictures else place.parents[1] / "Annotations"
        if len(list((its_masks / place.name).iterdir())) < len(list(place.iterdir())):
            continue
        frames, truths = read_clip(place, its_masks / place.name, 90)
        one = [(truth > 0).astype(np.uint8) for truth in truths]
        yield number, "training" if place in training else "held out", place.name, frames, one


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.brakes", description=__doc__)
    parser.add_argument("--davis", type=Path, required=True)
    parser.add_argument("--clips", type=Path, default=None)
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--internal-size", type=int, default=360)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = EngineSettings(device="cpu")
    engines = {
        smaller: Engines(replace(settings, internal_size=arguments.internal_size // smaller))
        for smaller in {one.smaller for one in VARIANTS}
    }
    nothing = np.zeros(len(_COUNTED), np.intp)
    counts: dict[tuple[str, str], NDArray[np.intp]] = defaultdict(nothing.copy)
    for number, kind, name, frames, truths in clips(
        arguments.davis, arguments.clips, arguments.only
    ):
        for variant in VARIANTS:
            most = (
                min(variant.most, 50) if kind == "held out" and variant.step == 1 else variant.most
            )
            clip = frames[:most][:: variant.step], truths[:most][:: variant.step]
            clip = variant.made(clip, number)
            if not clip[1][0].any():
                continue
            run = follow(engines[variant.smaller], clip)
            counts[kind, variant.name] += judged(run)
            print(name, variant.name, "failures", failures(run), "stops", run.stops, flush=True)
    for (kind, name), row in sorted(counts.items()):
        print(kind, name, dict(zip(_COUNTED, row.tolist(), strict=True)))


if __name__ == "__main__":
    main()
