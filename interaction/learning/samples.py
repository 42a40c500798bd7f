"""One picture, one object to find in it, and the clicks of an annotator who errs a little.

What a click network learns from, be it composed pictures or the frames of a project.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.types import Click
from interaction.clicks.prompts import Box, Region, depth_inside, next_click
from xmem_core.arrays import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickHabits:
    """How the annotator of the samples clicks, and how often."""

    rounds: int = 3  # of clicking and predicting that are learned from, on each picture
    most_rounds: int = 9  # of clicking and predicting; the others only lead there
    first_share: float = 0.0  # of steps that learn from the first round whatever chance draws
    exact_share: float = 0.6  # of clicks in the very middle of the worst error; others miss it
    more_clicks: float = 0.2  # chance of each further click in the first round
    most_clicks: int = 4  # in the first round
    given_mask_share: float = 0.25  # of pictures that start from a damaged mask

    def __post_init__(self) -> None:
        if not 1 <= self.rounds <= self.most_rounds or self.most_clicks < 1:
            raise ValueError("1 <= rounds <= most_rounds and most_clicks >= 1 must hold")

    def learned_rounds(self, rng: np.random.Generator) -> set[int]:
        """`rounds` of up to `most_rounds` rounds, counted from 0: those that are learned from."""
        turns = int(rng.integers(self.rounds, self.most_rounds + 1))
        learned: list[int] = rng.choice(turns, self.rounds, replace=False).tolist()
        if self.first_share > 0 and 0 not in learned and rng.random() < self.first_share:
            learned[0] = 0
        return set(learned)


@dataclass(frozen=True, slots=True)
class Sample:
    picture: Frame  # (S, S, 3) RGB
    truth: Region  # (S, S)
    given: Region  # (S, S) the mask there is before the first click; empty for a new object
    clicks: tuple[Click, ...]  # of the first round; none where a box is drawn
    box: Box | None = None  # round the object, in place of the first clicks


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
            change = cv2.erode if rng.random() < 0.5 else cv2.dilate
            mask = np.asarray(change(mask.astype(np.uint8), disc(radius))) > 0
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


def disc(radius: float) -> NDArray[np.uint8]:
    extent = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (extent, extent)), np.uint8)


def first_clicks(
    truth: Region, given: Region, rng: np.random.Generator, habits: ClickHabits
) -> tuple[Click, ...]:
    """One click that a correction begins with, and now and then some more."""
    clicks = [annotator_click(given, truth, (), rng, habits) or _anywhere(truth, True, rng)]
    while len(clicks) < habits.most_clicks and rng.random() < habits.more_clicks:
        is_positive = rng.random() < 0.5
        region = truth if is_positive else _around(truth)
        if region.any():
            clicks.append(_anywhere(region, is_positive, rng))
    return tuple(clicks)


def annotator_click(
    predicted: Region,
    truth: Region,
    previous: tuple[Click, ...],
    rng: np.random.Generator,
    habits: ClickHabits,
) -> Click | None:
    """The next click on what is wrong: by the rule that networks are compared by, or less well
    aimed. From the rule a network learns that no error is deeper than the one it is shown."""
    if rng.random() < habits.exact_share:
        return next_click(predicted, truth, previous)
    return error_click(predicted, truth, previous, rng)


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
