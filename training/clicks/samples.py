"""One picture, one object to find in it, and what the annotator may already have."""

from collections.abc import Callable

import cv2
import numpy as np

from interaction.clicks.prompts import Region
from interaction.learning.samples import Sample, damaged, disc, first_clicks
from training.appearance import Shadow
from training.composer import Clip
from training.config import ClickTraining
from training.pack import Picture

ClipMaker = Callable[[np.random.Generator, int], Clip]  # of two frames, of a size in pixels

_SMALLEST_SHARE = 0.002  # of the picture that the object must cover


def draw_samples(
    make_clip: ClipMaker, rng: np.random.Generator, config: ClickTraining, size: int, count: int
) -> list[Sample]:
    """`count` samples of different frames or objects of as few clips as will do: to make one takes
    longer than all else that is done to a sample."""
    samples: list[Sample] = []
    while len(samples) < count:
        # Somewhat larger at times, so that what is cropped is not always soft.
        clip = make_clip(rng, size if rng.random() < 0.5 else size * 3 // 2 // 16 * 16)
        for frame in rng.permutation(2)[: count - len(samples)].tolist():
            sample = _sample(clip, frame, rng, config, size)
            if sample is not None:
                samples.append(sample)
    return samples


def _sample(
    clip: Clip, frame: int, rng: np.random.Generator, config: ClickTraining, size: int
) -> Sample | None:
    """None where the object is not to be seen, or all but."""
    picture, truth = _target(clip, frame, rng, config)
    if not truth.any():
        return None
    if rng.random() < config.shadow_share:
        picture, truth = _shaded(picture, truth, rng)
    picture, truth = _framed(picture, truth, rng, config, size)
    if rng.random() < config.redrawn_share:
        truth = redrawn(truth, rng)
    if truth.mean() <= _SMALLEST_SHARE:
        return None
    given = np.zeros_like(truth)
    if rng.random() < config.given_mask_share:
        given = damaged(truth, rng)
    return Sample(picture, truth, given, first_clicks(truth, given, rng, config.habits))


def _target(
    clip: Clip, frame: int, rng: np.random.Generator, config: ClickTraining
) -> tuple[Picture, Region]:
    labels = clip.labels[frame]
    chosen = rng.permutation(np.arange(1, clip.object_count + 1))
    truth = labels == chosen[0]
    if len(chosen) > 1 and rng.random() < config.merged_share:
        truth |= labels == chosen[1]
    return clip.frames[frame], truth


def _shaded(picture: Picture, truth: Region, rng: np.random.Generator) -> tuple[Picture, Region]:
    """With a shadow that lies long on the ground or falls on a wall, mostly meant as well."""
    shadow = Shadow(
        strength=rng.uniform(0.15, 0.6),
        flatness=rng.uniform(0.04, 0.5) * rng.choice([-1, 1], p=[0.4, 0.6]),
        slant=rng.uniform(-4, 4),
        softness=rng.uniform(0.003, 0.012) * len(truth),
    )
    canvas = picture.astype(np.float32)
    cast = shadow.fall(canvas, np.where(truth, 255, 0).astype(np.uint8), 0, 0)
    if cast is None:
        return picture, truth
    canvas[truth] = picture[truth]  # it falls behind the object
    with_shadow = truth | (cast > 115) if rng.random() < 0.7 else truth
    return canvas.astype(np.uint8), with_shadow


def _framed(
    picture: Picture, truth: Region, rng: np.random.Generator, config: ClickTraining, size: int
) -> tuple[Picture, Region]:
    """A square around the object, or now and then all of the picture, at `size` pixels."""
    whole = truth.shape[0]
    rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    side = float(whole)
    if rng.random() < config.zoom_share:
        side = float(min(whole, max(whole * 0.16, extent * rng.uniform(1.15, 2.0))))
    middle = np.array([np.ptp(columns) / 2 + columns[0], np.ptp(rows) / 2 + rows[0]])
    middle = middle + rng.normal(0, 0.07 * side, 2)
    left, top = (float(np.clip(c - side / 2, 0, whole - side)) for c in middle)
    scale = size / side
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    how = cv2.INTER_LINEAR
    if scale < 0.75:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.4 / scale), np.uint8)
    seen = cv2.warpAffine(picture, matrix, (size, size), flags=how, borderMode=cv2.BORDER_REFLECT)
    mask = cv2.warpAffine(truth.astype(np.float32), matrix, (size, size))
    return np.asarray(seen, np.uint8), np.asarray(mask) > 0.5


def redrawn(truth: Region, rng: np.random.Generator) -> Region:
    """The same object as another hand would outline it: wider, loosely, a little tight."""
    size = truth.shape[0]
    mask = truth.astype(np.uint8)
    kind = rng.random()
    if kind < 0.5:
        mask = np.asarray(cv2.dilate(mask, disc(size * rng.uniform(0.005, 0.022))), np.uint8)
    if 0.35 < kind < 0.8:
        radius = size * rng.uniform(0.008, 0.04)
        edge = int(radius) + 2  # beyond the picture there is nothing to close with
        closed = cv2.morphologyEx(np.pad(mask, edge), cv2.MORPH_CLOSE, disc(radius))
        mask = np.asarray(closed, np.uint8)[edge:-edge, edge:-edge]
    if kind >= 0.8:
        tight = np.asarray(cv2.erode(mask, disc(size * rng.uniform(0.004, 0.012))), np.uint8)
        mask = tight if tight.sum() > 0.6 * mask.sum() else mask
    return mask > 0
