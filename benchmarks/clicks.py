"""How many clicks a mask takes: a simulated annotator on real frames.

    python -m benchmarks.clicks (--clips FOLDER | --held-out FOLDER) [--model FILE] [--json]

FOLDER has the DAVIS layout. One frame in ten of every annotated object; a click is where the mask
is most wrong (`interaction/clicks/prompts.py`); the number of clicks to an IoU of 0.85 and 0.90,
counted as the limit where it is not reached. The same network with and without refinement.

`--held-out` takes the pictures that training keeps out of those it reads: five frames of each clip,
and of each set of photographs the four largest objects that cover less than 0.6 of their picture.

With masks beside them, `FOLDER/Given/CLIP/NAME.png`, clicks begin there: how they mend what a
tracker got wrong. `mended` is the share of the connected error that was clicked on, `collateral`
what became wrong elsewhere, as a share of the object. `--boxes` draws one box instead.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.mask_files import decode_labels
from interaction.annotation.types import Click
from interaction.clicks.prompts import Box, ClickConfig, next_click
from interaction.clicks.segmenter import ClickSegmenter
from interaction.clicks.small_network import load_small_click_network
from interaction.evaluation.scores import region_similarity
from resources import weights_folder
from training.config import HELD_OUT_SETS
from training.datasets.layouts import davis_videos, find_photographs, read_pair
from xmem_core.arrays import Frame
from xmem_core.learning.losses import VOID

_GOALS = (0.85, 0.90)
_FRAMES_PER_CLIP, _PHOTOGRAPHS_PER_SET = 5, 4
_LARGEST_SHARE = 0.6  # of its photograph that a held-out object covers at most


@dataclass(frozen=True, slots=True)
class Task:
    """One object on one frame."""

    clip: str
    name: str
    frame: Frame
    truth: NDArray[np.bool_]
    given: NDArray[np.bool_] | None = None  # the mask before the first click


@dataclass(frozen=True, slots=True)
class Answer:
    clip: str
    name: str
    ious: tuple[float, ...]  # after each click
    seconds: tuple[float, ...]
    mended: tuple[float, ...] = ()  # share of the error clicked on, by click
    collateral: tuple[float, ...] = ()  # made worse elsewhere, as a share of the object, by click
    start_iou: float = 0.0

    def clicks_to(self, goal: float, limit: int) -> int:
        reached = [count for count, iou in enumerate(self.ious, start=1) if iou >= goal]
        return reached[0] if reached else limit


def tasks_in(clips: Path, every: int) -> Iterator[Task]:
    for folder in sorted((clips / "Annotations").iterdir()):
        annotated = sorted(folder.glob("*.png"))
        if len(annotated) < 2:  # a clip that only says what to track has no score
            continue
        for path in annotated[::every]:
            labels = decode_labels(path.read_bytes(), path)
            picture = cv2.imread(str(clips / "JPEGImages" / folder.name / f"{path.stem}.jpg"))
            if picture is None:
                continue
            frame = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
            given = clips / "Given" / folder.name / path.name
            start = decode_labels(given.read_bytes(), given) if given.is_file() else None
            for object_id in sorted(set(np.unique(labels).tolist()) - {0, 255}):
                before = None if start is None else start == object_id
                yield Task(folder.name, path.stem, frame, labels == object_id, before)


def held_out_tasks(root: Path) -> Iterator[Task]:
    """Of pictures that no training has read; the foreground of a clip is one object."""
    for video in davis_videos(root / "DAVIS" / "2017" / "trainval", "held out"):
        for index in np.linspace(0, len(video.frames) - 1, _FRAMES_PER_CLIP).astype(int):
            frame, labels = read_pair(video.frames[index])
            name = video.frames[index].picture.stem
            yield Task(video.name, name, frame, (labels > 0) & (labels != VOID))
    largest: dict[str, list[tuple[int, Task]]] = {}
    for pair in find_photographs(root / "stills", HELD_OUT_SETS, True):
        frame, labels = read_pair(pair)
        counts = np.bincount(labels.ravel(), minlength=VOID + 1)
        counts[[0, VOID]] = 0
        share = counts.max() / labels.size
        if (labels == VOID).any() or not 0 < share < _LARGEST_SHARE:
            continue
        name = pair.mask.parents[1].name
        task = Task(name, pair.picture.stem, frame, labels == counts.argmax())
        own = [*largest.get(name, []), (int(counts.max()), task)]
        largest[name] = sorted(own, key=lambda one: -one[0])[:_PHOTOGRAPHS_PER_SET]
    for own in largest.values():
        yield from (task for _, task in own)


def answer(segmenter: ClickSegmenter, task: Task, limit: int) -> Answer:
    """Clicks until the last goal or the limit."""
    clicks: list[Click] = []
    start = np.zeros(task.truth.shape, np.uint8)
    if task.given is not None:
        start = task.given.astype(np.uint8)
    mask = start == 1
    start_iou = region_similarity(mask, task.truth)
    ious: list[float] = []
    seconds: list[float] = []
    mended: list[float] = []
    collateral: list[float] = []
    while len(clicks) < limit and (not ious or ious[-1] < _GOALS[-1]):
        click = next_click(mask, task.truth, clicks)
        if click is None:
            break
        clicks.append(click)
        wrong = mask ^ task.truth
        parts = cv2.connectedComponents(wrong.astype(np.uint8), connectivity=8)[1]
        meant = parts == parts[int(click.y), int(click.x)]
        began = time.perf_counter()
        result = segmenter.segment(task.frame, start, 1, clicks, frame_key=(task.clip, task.name))
        seconds.append(time.perf_counter() - began)
        mask = result.labels == 1
        still = mask ^ task.truth
        mended.append(1 - float((meant & still).sum() / meant.sum()))
        collateral.append(float((still & ~wrong).sum() / task.truth.sum()))
        ious.append(region_similarity(mask, task.truth))
    numbers = (tuple(ious), tuple(seconds), tuple(mended), tuple(collateral))
    return Answer(task.clip, task.name, *numbers, start_iou)


def boxed(segmenter: ClickSegmenter, task: Task) -> Answer:
    """One tight box."""
    rows, columns = np.nonzero(task.truth)
    box = Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    empty = np.zeros(task.truth.shape, np.uint8)
    began = time.perf_counter()
    result = segmenter.segment_box(task.frame, empty, 1, box)
    seconds = time.perf_counter() - began
    similarity = region_similarity(result.labels == 1, task.truth)
    return Answer(task.clip, task.name, (similarity,), (seconds,))


def summary(answers: list[Answer], limit: int) -> dict[str, float]:
    """The means that networks are compared by."""
    seconds = [second for one in answers for second in one.seconds]
    clicked = [one.ious for one in answers if one.ious]
    return {
        **{
            f"clicks_to_{goal:.2f}": float(np.mean([a.clicks_to(goal, limit) for a in answers]))
            for goal in _GOALS
        },
        "start_iou": float(np.mean([one.start_iou for one in answers])),
        "first_click_iou": float(np.mean([ious[0] for ious in clicked])),
        "third_click_iou": float(np.mean([ious[:3][-1] for ious in clicked])),
        "mended": float(np.mean([m for one in answers for m in one.mended[:3]] or [0])),
        "collateral": float(np.mean([c for one in answers for c in one.collateral[:3]] or [0])),
        "objects": len(answers),
        "median_click_s": float(np.median(seconds)),
        "p95_click_s": float(np.percentile(seconds, 95)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clicks", description=__doc__)
    pictures = parser.add_mutually_exclusive_group(required=True)
    pictures.add_argument("--clips", type=Path)
    pictures.add_argument("--held-out", type=Path, metavar="FOLDER")
    parser.add_argument("--model", type=Path, default=weights_folder() / "small-clicks.safetensors")
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--modes", nargs="+", default=["NoBRS", "f-BRS-B"])
    parser.add_argument("--zoom-px", type=int, default=ClickConfig().zoom_px)
    parser.add_argument("--first-zoom-px", type=int, default=ClickConfig().first_zoom_px)
    parser.add_argument("--longest-px", type=int, default=ClickConfig().longest_px)
    parser.add_argument("--flip", action="store_true", help="ask about the mirrored picture too")
    parser.add_argument("--boxes", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    network = load_small_click_network(arguments.model)
    base = ClickConfig(
        zoom_px=arguments.zoom_px,
        first_zoom_px=arguments.first_zoom_px,
        longest_px=arguments.longest_px,
        is_flipped_too=arguments.flip,
    )
    if arguments.held_out:
        tasks = list(held_out_tasks(arguments.held_out))
    else:
        tasks = list(tasks_in(arguments.clips, arguments.every))
    report = {}
    for mode in arguments.modes:
        segmenter = ClickSegmenter(network, replace(base, mode=mode))
        answers = [
            boxed(segmenter, task) if arguments.boxes else answer(segmenter, task, arguments.limit)
            for task in tasks
        ]
        numbers = summary(answers, arguments.limit)
        report[mode] = {**numbers, "answers": [asdict(one) for one in answers]}
        if arguments.json:
            continue
        print(mode, json.dumps(numbers))
        by_clip: dict[str, list[Answer]] = {}
        for one in answers:
            by_clip.setdefault(one.clip, []).append(one)
        for clip, own in by_clip.items():
            means = [np.mean([a.clicks_to(g, arguments.limit) for a in own]) for g in _GOALS]
            print(f"  {clip}: {means[0]:.2f} to 0.85, {means[1]:.2f} to 0.90")
    if arguments.json:
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
