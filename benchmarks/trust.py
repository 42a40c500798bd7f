"""Fit and measure the expected IoU of tracked masks (`interaction/tracking/trust.py`).

    python -m benchmarks.trust --davis TRAINVAL [--clips FOLDER] [--tracker MODEL]

TRAINVAL is that of DAVIS 2017, of whose training list the model is fitted and whose held-out list
it is measured on; FOLDER has the DAVIS layout, only measured on. Each clip is tracked from its
first frame, from a first mask with an error, backward at every third frame, and both ways between
two given frames.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.mask_files import decode_labels
from interaction.annotation.types import FrameRecord, FrameStatus, ObjectInfo, Signs
from interaction.engines import Engines, EngineSettings
from interaction.evaluation.scores import region_similarity
from interaction.tracking.blending import blend
from interaction.tracking.opinion import SecondOpinion
from interaction.tracking.propagation import GivenMasks, Run, memorize_all, propagate
from interaction.tracking.signs import (
    View,
    beyond_least,
    disagreement,
    flow_between,
    look,
    read_signs,
)
from interaction.tracking.trust import (
    COEFFICIENTS,
    INPUTS,
    SIGNS,
    averaged,
    flicker,
    next_frames,
    spread_opinions,
)
from training.datasets.layouts import davis_videos
from xmem_core.arrays import Frame, Labels
from xmem_core.pictures import Prediction

_VOID = 255
_TRAINING = (
    "bmx-bumps", "breakdance-flare", "bus", "bear", "drift-turn", "hockey", "motocross-bumps",
    "paragliding", "scooter-gray", "stroller", "rollerblade",
)  # fmt: skip
_EXPECTED_EDGES = (0.0, 0.7, 0.8, 0.85, 0.9, 1.01)  # between which the calibration is measured
_MOST_FRAMES = {"training": 30, "held out": 50}
# Of the logit, where the clips say nothing: an IoU of 0.9 falls to about 0.5 with two such units.
_PRIOR = {
    "jump": -0.5, "shift": -0.5, "warp": -1.0, "pieces": -0.3, "is_gone": -1.0, "flicker": -2.0,
    "disagreement": -3.0,
}  # fmt: skip
# Not fitted: the click network has learned from the training clips, as the tracker has.
_OPINION = ("is_asked", "denied")
# Their sign is free: they may raise or lower the expected IoU.
_EITHER = ("own", "is_two", "small", "away", "outline")


@dataclass(frozen=True, slots=True)
class Seen:
    """One tracked frame, as its signs will be read."""

    frame: int
    away: int  # frames from the nearest given one
    view: View
    ious: Mapping[int, float]  # by object, the true ones
    small: NDArray[np.uint8] | None = None  # (1 + K, h, w) probabilities, of two-way runs
    denied: Mapping[int, float] = field(default_factory=dict)  # see `beyond_least`


def read_clip(pictures: Path, masks: Path, most: int) -> tuple[list[Frame], list[Labels]]:
    frames, truths = [], []
    for path in sorted(pictures.iterdir())[:most]:
        mask = masks / f"{path.stem}.png"
        labels = decode_labels(mask.read_bytes(), mask)
        with Image.open(path) as picture:
            frames.append(np.asarray(picture.convert("RGB")))
        truths.append(np.where(labels == _VOID, 0, labels).astype(np.uint8))
    return frames, truths


def with_error(labels: Labels, seed: int) -> Labels:
    """The mask with an error of careless annotation: eroded, dilated, or with a piece missing."""
    random = np.random.default_rng(seed)
    kind, result = seed % 3, labels.copy()
    size = max(3, round(np.sqrt(np.count_nonzero(labels)) / 6) | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    if kind == 0:
        return np.asarray(cv2.erode(labels, disc), np.uint8)
    if kind == 1:
        return np.asarray(np.where(labels > 0, labels, cv2.dilate(labels, disc)), np.uint8)
    for one in np.unique(labels[labels > 0]):
        rows, columns = np.nonzero(labels == one)
        place = random.integers(len(rows))
        cv2.circle(result, (int(columns[place]), int(rows[place])), 2 * size, 0, -1)
    return result


def follow(
    engines: Engines,
    frames: list[Frame],
    truths: list[Labels],
    given: Mapping[int, Labels],
    run: Run,
    *,
    keeps_all: bool = False,
) -> list[Seen]:
    tracker = engines.start_tracker()
    for _ in memorize_all(tracker, frames, given):
        pass
    records = {frame: make_record(one, FrameStatus.CONFIRMED) for frame, one in given.items()}
    opinion = SecondOpinion(engines, frames, GivenMasks(records))
    seen: list[Seen] = []
    least: dict[int, float] = {}
    for result, _ in propagate(tracker, frames, given, (run,)):
        assert result is not None
        labels, truth = result.prediction.labels(), truths[result.frame]
        ious = {
            one: float(region_similarity(labels == one, truth == one))
            for one in result.prediction.objects
        }
        away = min(abs(result.frame - one) for one in given)
        small = None
        if keeps_all:
            height, width = 180, round(180 * frames[0].shape[1] / frames[0].shape[0])
            resized = torch.nn.functional.interpolate(
                result.prediction.small.unsqueeze(0), (height, width), mode="bilinear"
            )[0]
            small = (resized * 255).round().to(torch.uint8).numpy()
        view = look(result.prediction, result.picture)
        opinions = opinion.on(result.frame, labels, ious) if away else {}
        denied = beyond_least(opinions, least)
        seen.append(Seen(result.frame, away, view, ious, small, denied))
    return seen


def collect(
    engines: Engines, frames: list[Frame], truths: list[Labels], seed: int, *, is_training: bool
) -> Iterator[tuple[str, list[Seen]]]:
    """Runs by name."""
    last = len(frames) - 1
    yield "first", follow(engines, frames, truths, {0: truths[0]}, Run(range(last + 1)))
    if is_training:
        wrong = {0: with_error(truths[0], seed)}
        yield "error", follow(engines, frames, truths, wrong, Run(range(last + 1)))
        thin, thin_truths = frames[::-3], truths[::-3]
        run = Run(range(len(thin)))
        yield "fast", follow(engines, thin, thin_truths, {0: thin_truths[0]}, run)
    ends = {0: truths[0], last: truths[last]}
    for name, run in (("there", Run(range(last))), ("back", Run(range(last, 0, -1)))):
        yield name, follow(engines, frames, truths, ends, run, keeps_all=True)


@dataclass(frozen=True, slots=True)
class Rows:
    """One run's objects, frame by frame, without the given frame."""

    clip: str
    run: str
    places: NDArray[np.intp]  # (n,) ascending, as `averaged` takes them
    inputs: NDArray[np.float64]  # (n, len(INPUTS))
    ious: NDArray[np.float64]  # (n,) true ones
    records: Mapping[int, FrameRecord]  # with the signs, as a project has them


def rows_of(clip: str, run: str, seen: list[Seen], other: list[Seen] | None = None) -> Rows:
    """other: the pass in the other direction over the same frames."""
    signs: dict[int, dict[int, list[float]]] = {}
    start = next((one.view for one in seen if one.away == 0), None)
    for index, one in enumerate(seen):
        before = seen[index - 1].view if index else None
        earlier = seen[index - 2].view if index > 1 else None
        flow = flow_between(before, one.view)
        values = read_signs(one.view, before, earlier, start, one.away, flow, one.denied)
        signs[one.frame] = {object_id: list(row) for object_id, row in values.items()}
    for one in other or ():
        for object_id, row in signs.get(one.frame, {}).items():
            mine = next(two.view for two in seen if two.frame == one.frame)
            row[SIGNS.index("is_two")] = 1.0
            row[SIGNS.index("disagreement")] = disagreement(mine, one.view, object_id)
    places, inputs, ious = [], [], []
    records = {}
    for one in sorted(seen, key=lambda one: one.frame):
        if one.away == 0:
            continue
        kept = []
        for object_id, row in sorted(signs[one.frame].items()):
            beside = [signs.get(one.frame + way, {}).get(object_id) for way in (-1, 1)]
            places.append(one.frame * 256 + object_id)
            inputs.append([*row, flicker(row, *beside)])
            ious.append(one.ious[object_id])
            kept.append(Signs.of(object_id, row, one.view.key_bytes(object_id)))
        records[one.frame] = FrameRecord(status=FrameStatus.TRACKED, signs=tuple(kept))
    rows = Rows(clip, run, np.array(places), np.array(inputs), np.array(ious), records)
    spread_opinions(rows.places, rows.inputs)
    return rows


def fit(rows: list[Rows], penalty: float) -> dict[str, float]:
    """A logistic model of the IoU as a share (fractional response), each run with equal weight, by
    Newton's method.

    A ridge on standardised inputs pulls towards `_PRIOR`: signs that the clips hardly show keep
    about that. Signs of trouble never raise the expected IoU, but for those of `_EITHER`, and those
    that the prior knows count for a quarter of it at least.
    """
    x = np.concatenate([one.inputs for one in rows])
    y = np.concatenate([one.ious for one in rows])
    weight = np.concatenate([np.full(len(one.ious), 1 / len(one.ious)) for one in rows])
    weight *= len(y) / weight.sum()
    scale = np.maximum(x.std(axis=0), 0.05)
    prior = np.array([0.0, *(_PRIOR.get(name, 0.0) for name in INPUTS)])
    ridge = np.diag([0.0, *(penalty * len(rows) * scale**2)])
    design = np.column_stack([np.ones(len(y)), x])
    free = np.ones(len(prior), np.bool_)
    for name in _OPINION:
        index = 1 + INPUTS.index(name)
        prior[index], free[index] = COEFFICIENTS.get(name, 0.0), False
    highest = np.array([np.inf if one == "bias" or one in _EITHER else _PRIOR.get(one, 0.0) / 4
                        for one in ("bias", *INPUTS)])  # fmt: skip
    beta = prior.copy()
    while True:
        for _ in range(50):
            p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
            gradient = design.T @ (weight * (y - p)) - ridge @ (beta - prior)
            hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + ridge
            inner = np.ix_(free, free)
            beta[free] += np.linalg.solve(hessian[inner], gradient[free])
        is_raising = free & (beta > highest)
        if not is_raising.any():
            names = ("bias", *INPUTS)
            return {one: round(float(b), 3) for one, b in zip(names, beta, strict=True) if b}
        free &= ~is_raising
        beta[is_raising] = highest[is_raising]


def predict(model: Mapping[str, float], rows: Rows) -> NDArray[np.float64]:
    """As `interaction.tracking.trust.expected`, which has the coefficients that are kept."""
    weights = np.array([model.get(name, 0.0) for name in INPUTS])
    logits = model["bias"] + averaged(rows.places, rows.inputs[:, :-1] @ weights[:-1])
    return np.asarray(1 / (1 + np.exp(-logits - rows.inputs[:, -1] * weights[-1])), np.float64)


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's, ties averaged."""

    def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        return np.asarray((ends - (counts - 1) / 2)[inverse], np.float64)

    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])


def share_found(expected: NDArray[np.float64], ious: NDArray[np.float64]) -> float:
    """Of the worst tenth by true IoU, the share in the first tenth of the list."""
    count = max(1, round(len(ious) / 10))
    worst, listed = np.argsort(ious)[:count], np.argsort(expected, kind="stable")[:count]
    return len(set(worst.tolist()) & set(listed.tolist())) / count


def share_listed(rows: Rows) -> float:
    """As `share_found`, in the first tenth of the list that people are shown, which is spread: a
    frame is found where one at most two frames away is listed."""
    count = max(1, round(len(rows.ious) / 10))
    frames = rows.places // 256
    objects = [ObjectInfo(1, "object", (255, 0, 0))]
    annotation = Annotation(int(frames[-1]) + 2, 8, 8, records=dict(rows.records), objects=objects)
    listed = [one.frame for one in next_frames(annotation, goal=1.0, most=count)]
    worst = frames[np.argsort(rows.ious)[:count]]
    return float(np.mean([min(abs(one - frame) for one in listed) <= 2 for frame in worst]))


def two_way_j(
    truths: list[Labels], there: list[Seen], back: list[Seen]
) -> tuple[list[float], list[float]]:
    """By frame between two given ones, mean J of the hard cut in the middle, and of the blend."""
    cut: list[float] = []
    blended: list[float] = []
    others = {one.frame: one for one in back}
    last = len(truths) - 1
    for first in there:
        second = others.get(first.frame)
        if first.away == 0 or second is None:
            continue
        assert first.small is not None
        assert second.small is not None
        size = first.small.shape[1:]
        passes = [
            Prediction(one.view.objects, torch.from_numpy(small / np.float32(255)), size)
            for one, small in ((first, first.small), (second, second.small))
        ]
        share = first.frame / last
        truth = cv2.resize(truths[first.frame], size[::-1], interpolation=cv2.INTER_NEAREST)
        answers = passes[round(share)].labels(), blend(passes[0], passes[1], share)[0].labels()
        for js, labels in zip((cut, blended), answers, strict=True):
            found = [region_similarity(labels == i, truth == i) for i in first.view.objects]
            js.append(float(np.mean(found)))
    return cut, blended


def report(clips: list[tuple[str, str, list[Labels], dict[str, list[Seen]]]]) -> None:
    """Fits the model to the training clips, and measures the one that ships and the blend on what
    was held out.

    clips: kind, name, true masks and the runs.
    """
    rows, lines = [], []
    for kind, clip, truths, runs in clips:
        both = {"there": runs["back"], "back": runs["there"]}
        own = [rows_of(clip, name, seen) for name, seen in runs.items()]
        own += [rows_of(clip, f"{name}, two", runs[name], both[name]) for name in both]
        rows += [(kind, one) for one in own]
        cut, blended = two_way_j(truths, runs["there"], runs["back"])
        lines.append(f"{kind} {clip}: J cut {np.mean(cut):.4f}, blended {np.mean(blended):.4f}")
    print("\n".join(lines))
    print("fitted:", fit([one for kind, one in rows if kind == "training"], penalty=1.0))
    model = COEFFICIENTS
    held_out: dict[str, list[Rows]] = {}
    for kind, one in rows:
        if kind != "training":
            listed = f"in the list as shown {share_listed(one):.2f}"
            print(f"{one.clip}, {one.run}: {_figures(model, [one])}, {listed}")
            held_out.setdefault(one.run, []).append(one)
    for run, own in held_out.items():
        print(f"all clips, {run}: {_figures(model, own)}\n{_calibration(model, own)}")


def _figures(model: Mapping[str, float], rows: Sequence[Rows]) -> str:
    ious = np.concatenate([one.ious for one in rows])
    expected = np.concatenate([predict(model, one) for one in rows])
    return (
        f"J {ious.mean():.3f}, expected {expected.mean():.3f}, rank correlation "
        f"{rank_correlation(expected, ious):.2f}, "
        f"worst tenth found {share_found(expected, ious):.2f}"
    )


def _calibration(model: Mapping[str, float], rows: Sequence[Rows]) -> str:
    """By range of the expected IoU: masks, the mean that is expected, the true one."""
    ious = np.concatenate([one.ious for one in rows])
    expected = np.concatenate([predict(model, one) for one in rows])
    lines = []
    for low, high in pairwise(_EXPECTED_EDGES):
        is_in = (expected >= low) & (expected < high)
        if is_in.any():
            means = f"expected {expected[is_in].mean():.3f}, true {ious[is_in].mean():.3f}"
            lines.append(f"  {low} to {high}: {np.count_nonzero(is_in)} masks, {means}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust", description=__doc__)
    parser.add_argument("--davis", type=Path, required=True)
    parser.add_argument("--clips", type=Path, default=None)
    parser.add_argument("--tracker", default=EngineSettings().tracker_model)
    parser.add_argument("--internal-size", type=int, default=360)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = EngineSettings(tracker_model=arguments.tracker, device="cpu")
    engines = Engines(replace(settings, internal_size=arguments.internal_size))
    clips = []
    jpegs = arguments.davis / "JPEGImages" / "480p"
    held_out = [("held out", video.name) for video in davis_videos(arguments.davis, "held out")]
    names = [("training", name) for name in _TRAINING[:4]] + held_out
    names += [("training", name) for name in _TRAINING[4:]]
    places = [(kind, jpegs / n, arguments.davis / "Annotations" / "480p" / n) for kind, n in names]
    if arguments.clips:
        own = sorted((arguments.clips / "JPEGImages").iterdir())
        places += [("held out", one, arguments.clips / "Annotations" / one.name) for one in own]
    for seed, (kind, pictures, masks) in enumerate(places):
        most = _MOST_FRAMES[kind]
        if len(list(masks.iterdir())) < min(most, len(list(pictures.iterdir()))):
            continue
        frames, truths = read_clip(pictures, masks, most)
        runs = dict(collect(engines, frames, truths, seed, is_training=kind == "training"))
        clips.append((kind, pictures.name, truths, runs))
        means = {
            name: round(float(np.mean([j for one in run for j in one.ious.values()])), 3)
            for name, run in runs.items()
        }
        print(pictures.name, means, flush=True)
    report(clips)


if __name__ == "__main__":
    main()
