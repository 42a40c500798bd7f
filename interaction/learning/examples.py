"""What can be learned from: the frames that the annotator has given, seen in many ways.

Nothing is composed here, as in training: each view shows a given frame turned, scaled, shifted and
lit a little differently, so that a few frames teach what the next ones will look like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.types import FrameRecord, Frames
from interaction.learning.samples import ClickHabits, Sample, damaged, first_clicks
from interaction.tracking.propagation import GivenMasks
from xmem_core.arrays import Frame, Labels, Pixels

MOST_EXAMPLES: Final = 32
_MOST_PIXELS: Final = 80_000_000  # of all examples together: they are held in memory
_MOST_OBJECTS: Final = 3  # that one clip follows: each costs a step as much as the first
_TURN_DEG, _SCALE, _LIGHT, _TINT = 8.0, 0.2, 0.1, 0.03  # how far views differ (sigma)
_LOOSEST, _TIGHTEST = 2.0, 1.2  # of a sample's side, by the object's extent
_LEAST_SIDE_PX: Final = 48


@dataclass(frozen=True, slots=True)
class Example:
    """One given frame."""

    frame: int
    picture: Frame  # (H, W, 3)
    labels: Labels  # (H, W)
    given: frozenset[int]  # objects, absent ones among them

    @property
    def present(self) -> frozenset[int]:
        return frozenset(np.unique(self.labels).tolist()) - {0}


def examples_of(given: Mapping[int, FrameRecord], video: Frames) -> list[Example]:
    """given: the records of given frames. In order of time; of very many, some that are spread
    over the video."""
    masks = GivenMasks(given)
    frames = [frame for frame in masks if masks.present[frame]]
    pixels = masks[frames[0]].size if frames else 1
    most = max(1, min(MOST_EXAMPLES, _MOST_PIXELS // pixels))
    if len(frames) > most:
        places = np.linspace(0, len(frames) - 1, most).round().astype(int)
        frames = [frames[place] for place in places]
    return [Example(f, video[f], masks[f], frozenset(masks.labelled_objects(f))) for f in frames]


def clip_of(
    examples: Sequence[Example], rng: np.random.Generator, *, size: int, frames: int, scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.int64], int]:
    """Views of neighbouring examples, or of one, as a clip to be tracked.

    scale: from source pixels to the tracker's. Returns pictures (T, S, S, 3), labels (T, S, S) in
    0..K with every object in the first of them, and K.
    """
    anchor = examples[int(rng.integers(len(examples)))]
    present = sorted(anchor.present)
    objects = rng.permutation(present)[:_MOST_OBJECTS].tolist()
    telling = [one for one in examples if one.given >= set(objects)]
    at = next(i for i, one in enumerate(telling) if one is anchor)
    chosen = [anchor] * frames
    if rng.random() < 0.6:
        last = len(telling) - 1
        way = 1 if rng.random() < 0.5 else -1
        chosen = [telling[min(max(at + way * step, 0), last)] for step in range(frames)]
    table = np.zeros(256, np.int64)
    table[objects] = np.arange(1, len(objects) + 1)
    rows, columns = np.nonzero(np.isin(anchor.labels, objects))
    middle = np.array([columns.mean(), rows.mean()]) + rng.normal(0, 0.15 * size / scale, 2)
    zoom = scale * float(np.exp(rng.normal(0, _SCALE)))
    turn, is_mirrored = float(rng.normal(0, _TURN_DEG)), bool(rng.random() < 0.5)
    light = np.exp(rng.normal(0, _LIGHT, 3))
    pictures, labels = [], []
    for one in chosen:
        view = _view(
            middle + rng.normal(0, 0.02 * size / scale, 2),
            zoom * float(np.exp(rng.normal(0, _TINT))),
            turn + float(rng.normal(0, 0.3 * _TURN_DEG)),
            size,
            is_mirrored=is_mirrored,
        )
        tint = light * np.exp(rng.normal(0, _TINT, 3))
        pictures.append(_lit(_seen(one.picture, view, size, cv2.INTER_LINEAR), tint))
        labels.append(table[_seen(one.labels, view, size, cv2.INTER_NEAREST)])
    return np.stack(pictures), np.stack(labels), len(objects)


def sample_of(
    examples: Sequence[Example], rng: np.random.Generator, habits: ClickHabits, size: int
) -> Sample:
    """One object of one example, as closely as clicks look at it."""
    one = examples[int(rng.integers(len(examples)))]
    truth = one.labels == int(rng.choice(sorted(one.present)))
    rows, columns = np.nonzero(truth)
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    side = max(float(extent) * rng.uniform(_TIGHTEST, _LOOSEST), _LEAST_SIDE_PX)
    middle = np.array([np.ptp(columns) / 2 + columns.min(), np.ptp(rows) / 2 + rows.min()])
    middle = middle + rng.normal(0, 0.06 * side, 2)
    turn, is_mirrored = float(rng.normal(0, _TURN_DEG)), bool(rng.random() < 0.5)
    view = _view(middle, size / side, turn, size, is_mirrored=is_mirrored)
    mask = _seen(truth.astype(np.float32), view, size, cv2.INTER_LINEAR) > 0.5
    if not mask.any():  # so thin that it is gone when it is made smaller: a part of it, as it is
        at = int(rng.integers(len(rows)))
        view = _view(np.array([columns[at], rows[at]], float), 1, 0, size, is_mirrored=is_mirrored)
        mask = _seen(truth.astype(np.uint8), view, size, cv2.INTER_NEAREST) > 0
    light = np.exp(rng.normal(0, _LIGHT, 3))
    picture = _lit(_seen(one.picture, view, size, cv2.INTER_LINEAR), light)
    given = np.zeros_like(mask)
    if rng.random() < habits.given_mask_share:
        given = damaged(mask, rng)
    return Sample(picture, mask, given, first_clicks(mask, given, rng, habits))


def _view(
    middle: NDArray[np.float64], zoom: float, turn_deg: float, size: int, *, is_mirrored: bool
) -> NDArray[np.float64]:
    """(2, 3) source pixels -> a `size` x `size` picture with `middle` (x, y) in its centre."""
    centre = float(middle[0]), float(middle[1])
    matrix = np.array(cv2.getRotationMatrix2D(centre, turn_deg, zoom), np.float64)
    matrix[:, 2] += size / 2 - middle
    if is_mirrored:
        matrix[0] *= -1
        matrix[0, 2] += size - 1
    return matrix


def _seen(pixels: Pixels, view: NDArray[np.float64], size: int, how: int) -> Pixels:
    border = cv2.BORDER_REFLECT_101
    return np.asarray(cv2.warpAffine(pixels, view, (size, size), flags=how, borderMode=border))


def _lit(picture: NDArray[np.uint8], gains: NDArray[np.float64]) -> NDArray[np.uint8]:
    return (picture * gains).clip(0, 255).astype(np.uint8)
