"""One picture, one object to find in it, and what the annotator may already have."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from interaction.click_simulator import Region, depth_inside
from interaction.types import Click
from training.clicks.config import ClickTraining
from training.clicks.pictures import ClipMaker
from training.composer import Clip
from training.pack import Picture

_SMALLEST_SHARE = 0.002  # of the picture that the object must cover


@dataclass(frozen=True, slots=True)
class Sample:
    picture: Picture  # (S, S, 3) RGB
    truth: Region  # (S, S)
    given: Region  # (S, S) the mask there is before the first click; empty for a new object
    clicks: tuple[Click, ...]  # of the first round


def draw_sample(
    make_clip: ClipMaker, rng: np.random.Generator, config: ClickTraining, size: int
) -> Sample:
    """A sample from `rng` alone; the object is always to be seen in it."""
    while True:
        picture, truth = _target(make_clip(rng, size), rng, config)
        if rng.random() < config.zoom_share and truth.any():
            picture, truth = _zoomed(picture, truth, rng)
        if truth.mean() > _SMALLEST_SHARE:
            break
    given = np.zeros_like(truth)
    if rng.random() < config.given_mask_share:
        given = damaged(truth, rng)
    return Sample(picture, truth, given, first_clicks(truth, given, rng, config))


def _target(clip: Clip, rng: np.random.Generator, config: ClickTraining) -> tuple[Picture, Region]:
    frame = int(rng.integers(len(clip.frames)))
    labels = clip.labels[frame]
    chosen = rng.permutation(np.arange(1, clip.object_count + 1))
    truth = labels == chosen[0]
    if len(chosen) > 1 and rng.random() < config.merged_share:
        truth |= labels == chosen[1]
    return clip.frames[frame], truth


def _zoomed(picture: Picture, truth: Region, rng: np.random.Generator) -> tuple[Picture, Region]:
    """A square around the object, enlarged to the picture's size."""
    size = truth.shape[0]
    rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    side = float(min(size, max(size * 0.3, extent * rng.uniform(1.15, 2.2))))
    middle = np.array([columns.mean(), rows.mean()]) + rng.normal(0, 0.08 * side, 2)
    left, top = (float(np.clip(c - side / 2, 0, size - side)) for c in middle)
    scale = size / side
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    enlarged = cv2.warpAffine(picture, matrix, (size, size), borderMode=cv2.BORDER_REFLECT)
    mask = cv2.warpAffine(truth.astype(np.float32), matrix, (size, size))
    return np.asarray(enlarged, np.uint8), np.asarray(mask) > 0.5


def damaged(truth: Region, rng: np.random.Generator) -> Region:
    """A mask such as a tracker leaves: part of it missing, something added, edges off, shifted."""
    size = truth.shape[0]
    mask = truth.copy()
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(5))
        if kind == 0:  # a bite
            mask &= ~_blob(truth, rng, on_edge=rng.random() < 0.5)
        elif kind == 1:  # a spill
            mask |= _blob(truth, rng, on_edge=rng.random() < 0.7)
        elif kind == 2:  # the edge is off
            radius = int(rng.integers(1, max(2, size // 40)))
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
            change = cv2.erode if rng.random() < 0.5 else cv2.dilate
            mask = np.asarray(change(mask.astype(np.uint8), disc)) > 0
        elif kind == 3:  # late by some pixels
            shift = rng.normal(0, 0.02 * size, 2)
            matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
            moved = cv2.warpAffine(mask.astype(np.float32), matrix, (size, size))
            mask = np.asarray(moved) > 0.5
        else:  # half of it, cut by a line
            normal = rng.normal(size=2)
            rows, columns = np.nonzero(truth)
            at = int(rng.integers(len(rows)))
            grid = np.mgrid[:size, :size]
            side = (grid[0] - rows[at]) * normal[0] + (grid[1] - columns[at]) * normal[1]
            mask &= side > 0
    return mask


def _blob(truth: Region, rng: np.random.Generator, *, on_edge: bool) -> Region:
    """A smooth ellipse somewhere on the object, or near it."""
    pool = truth
    if on_edge:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
        pool = np.asarray(cv2.morphologyEx(truth.astype(np.uint8), cv2.MORPH_GRADIENT, disc)) > 0
    if not pool.any():
        pool = np.ones_like(truth)
    rows, columns = np.nonzero(pool)
    at = int(rng.integers(len(rows)))
    extent = float(np.sqrt(max(int(truth.sum()), 16)))
    axes = tuple(max(1, int(extent * rng.uniform(0.08, 0.45))) for _ in range(2))
    canvas = np.zeros(truth.shape, np.uint8)
    centre = (int(columns[at]), int(rows[at]))
    cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return np.asarray(canvas) > 0


def first_clicks(
    truth: Region, given: Region, rng: np.random.Generator, config: ClickTraining
) -> tuple[Click, ...]:
    """One click that a correction begins with, and now and then some more."""
    clicks = [error_click(given, truth, (), rng) or _anywhere(truth, True, rng)]
    while len(clicks) < config.most_clicks and rng.random() < config.more_clicks:
        is_positive = rng.random() < 0.5
        region = truth if is_positive else _around(truth)
        if region.any():
            clicks.append(_anywhere(region, is_positive, rng))
    return tuple(clicks)


def error_click(
    predicted: Region, truth: Region, previous: tuple[Click, ...], rng: np.random.Generator
) -> Click | None:
    """As `next_click`, but people do not aim as well: anywhere deep enough in the error."""
    missed, superfluous = depth_inside(truth & ~predicted), depth_inside(predicted & ~truth)
    is_positive = bool(missed.max() > superfluous.max())
    depth = missed if is_positive else superfluous
    if depth.max() <= 0:
        return None
    aim = rng.choice([0.3, 0.7, 0.999])
    rows, columns = np.nonzero(depth >= aim * depth.max())
    at = int(rng.integers(len(rows)))
    return Click(float(columns[at]), float(rows[at]), is_positive)


def _anywhere(region: Region, is_positive: bool, rng: np.random.Generator) -> Click:
    rows, columns = np.nonzero(region)
    at = int(rng.integers(len(rows)))
    return Click(float(columns[at]), float(rows[at]), is_positive)


def _around(truth: Region) -> Region:
    """The background near the object, but not its very edge."""
    outside = np.asarray(cv2.distanceTransform((~truth).astype(np.uint8), cv2.DIST_L2, 3))
    reach = 0.6 * float(np.sqrt(max(int(truth.sum()), 16)))
    return (outside > 3) & (outside < max(reach, 8))
