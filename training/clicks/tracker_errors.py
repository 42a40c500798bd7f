"""Masks that a tracker really got wrong, for the click network to mend.

    FOLDER/SET/STEM-ID-NUMBER.png    what the tracker took for object ID of picture STEM

A photograph's object is tracked through two other views of the photograph, a clip's from a given
frame on in large steps.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.models import find_model
from training.config import HELD_OUT_SETS
from training.datasets.augmentation import Colour, bent, random_affine
from training.datasets.layouts import davis_videos, find_photographs, read_pair
from training.datasets.photographs import usable_instances
from xmem_core.arrays import Frame
from xmem_core.learning.losses import VOID
from xmem_core.network.inference import prepare
from xmem_core.network.xmem import XMem
from xmem_core.tracker import Tracker
from xmem_core.weights import load_xmem

_WORST_IOU, _BEST_IOU = 0.3, 0.93  # of what is worth mending
_CLIP_STARTS, _CLIP_GAP, _CLIP_STEPS = 14, 5, 6  # in frames
_CLIP_INTERNAL_SIZE = 224  # small, so that there is much to mend

Region = NDArray[np.bool_]


def write_tracker_errors(source: Path, output: Path, tracker: str) -> None:
    """source: as `training.clicks.photographs` reads it, all but what is held out."""
    cv2.setNumThreads(1)
    network = prepare(load_xmem(find_model(tracker)))
    davis = source / "DAVIS" / "2017" / "trainval"
    for video in davis_videos(davis, "training"):
        frames, truths = [], []
        for pair in video.frames:
            picture, labels = read_pair(pair)
            frames.append(picture)
            truths.append((labels > 0) & (labels != VOID))
        for number, (index, mask) in enumerate(clip_errors(network, frames, truths)):
            name = f"{video.frames[index].picture.stem}-1-{number}.png"
            _write(output / f"davis_{video.name}" / name, mask)
    rng = np.random.default_rng(9)
    for pair in find_photographs(source / "stills", HELD_OUT_SETS, False):
        picture, labels = read_pair(pair)
        usable = usable_instances(labels.astype(np.uint8))
        if not usable:
            continue
        chosen = int(rng.choice(usable))
        internal_size = int(rng.integers(176, 300))
        for mask in photograph_errors(network, picture, labels == chosen, rng, internal_size):
            folder = output / pair.mask.parents[1].name
            _write(folder / f"{pair.picture.stem}-{chosen}-0.png", mask)


def _write(path: Path, mask: Region) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), mask.astype(np.uint8) * 255)


def photograph_errors(
    network: XMem, picture: Frame, truth: Region, rng: np.random.Generator, internal_size: int
) -> Iterator[Region]:
    """picture (H, W, 3) and the object `truth` (H, W) in it: wrong masks of the same picture."""
    tracker = Tracker(network, internal_size=internal_size)
    labels = truth.astype(np.int16)
    for number in range(3):
        seen, mask = picture, labels
        if number < 2:
            seen, mask = _other_view(picture, labels, rng)
        if number == 0:
            if not (mask > 0).any():
                return
            tracker.memorize(0, seen, mask.astype(np.uint8))
            tracker.begin()
            continue
        found = tracker.track(seen).labels() == 1
        if number == 2 and _is_worth_mending(found, truth):
            yield found


def clip_errors(
    network: XMem, frames: Sequence[Frame], truths: Sequence[Region]
) -> Iterator[tuple[int, Region]]:
    """Frame indices and what was tracked there from each of every so many frames."""
    for start in range(0, len(frames), _CLIP_STARTS):
        if not truths[start].any():
            continue
        tracker = Tracker(network, internal_size=_CLIP_INTERNAL_SIZE)
        tracker.memorize(0, frames[start], truths[start].astype(np.uint8))
        tracker.begin()
        way = 1 if (start // _CLIP_STARTS) % 2 == 0 else -1
        for step in range(1, _CLIP_STEPS + 1):
            index = start + way * step * _CLIP_GAP
            if not 0 <= index < len(frames):
                break
            found = tracker.track(frames[index]).labels() == 1
            if _is_worth_mending(found, truths[index]):
                yield index, found


def _is_worth_mending(found: Region, truth: Region) -> bool:
    iou = float((found & truth).sum() / max(1, int((found | truth).sum())))
    return _WORST_IOU <= iou <= _BEST_IOU


def _other_view(
    picture: Frame, labels: NDArray[np.int16], rng: np.random.Generator
) -> tuple[Frame, NDArray[np.int16]]:
    height, width = labels.shape
    matrix = random_affine(rng, width, height, degrees=15, shear_degrees=12, scale=0.25)
    matrix[:2, 2] += rng.normal(0, 0.12, 2) * (width, height)
    across = width, height
    seen = cv2.warpAffine(picture, matrix[:2], across, borderMode=cv2.BORDER_REFLECT)
    mask = cv2.warpAffine(labels, matrix[:2], across, flags=cv2.INTER_NEAREST)
    seen, mask = bent(rng, np.asarray(seen, np.uint8), np.asarray(mask, np.int16))
    return Colour.random(rng, 0.25, 0.2, 0.3).of(seen), mask
