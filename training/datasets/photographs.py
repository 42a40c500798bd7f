"""Clips made of photographs with instance masks: cut-outs move over the picture they are from.

Pixels that are not labelled stay out of every loss. Objects are lifted out of their picture, the
hole behind them is filled, and both move on their own; other instances of the picture and copies of
the object are distractors.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.appearance import Camera, Shadow
from training.composer import Clip, Ground, Take
from training.config import TrackerStage
from training.cutouts import Figure, Part, premultiplied
from training.datasets.augmentation import Colour, random_affine
from training.datasets.clips import GREY_SHARE, OTHER_ENTRIES, TRIES
from training.datasets.layouts import Pair, read_pair
from training.motion import (
    Floats,
    camera_matrices,
    crossing_path,
    elastic_grids,
    excursion,
    smooth_walk,
    translation,
)
from training.motion import Path as Way
from training.pack import Picture
from training.scene import Actor
from xmem_core.learning.losses import VOID

_SMALLEST_SHARE, _LARGEST_SHARE = 0.004, 0.75  # of the picture that an object may cover
_SMALLEST_SEEN = 0.004  # of the frame that each object must cover in the first frame
_FILL_PX = 72  # long side at which holes are filled: what lies behind is not known in detail
# Shares of clips in which things happen.
_SECOND, _THIRD = 0.4, 0.3  # further labelled objects
_TWIN, _CROSSING_TWIN, _NEIGHBOUR, _OCCLUDER = 0.35, 0.4, 0.4, 0.45
_OTHER_GROUND, _GLUED, _LEAVES = 0.25, 0.2, 0.2
_STEADY, _JUMPS, _CUT, _BLURRED = 0.2, 0.2, 0.15, 0.45
_SHADOWED, _OWNED_SHADOW = 0.3, 0.6
_COLOUR = 0.15, 0.15, 0.3


class PhotographClips:
    """One photograph a clip, its objects moving; entries are photographs with a usable object."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = list(pairs)
        if not pairs:
            raise ValueError("no photographs with masks were found for photographs_root")

    def __len__(self) -> int:
        return len(self._pairs)

    def clip(self, entry: int, rng: np.random.Generator, stage: TrackerStage) -> Clip:
        for _ in range(OTHER_ENTRIES):
            picture, labels = self._read(self._pairs[entry])
            picture = Colour.random(rng, *_COLOUR, grey_share=GREY_SHARE).of(picture)
            usable = usable_instances(labels)
            for _ in range(TRIES // 2 if usable else 0):
                clip = self._drawn(picture, labels, usable, rng, stage)
                if clip is None:
                    continue
                seen = np.bincount(clip.labels[0].ravel(), minlength=clip.object_count + 1)
                if (seen[1 : clip.object_count + 1] >= _SMALLEST_SEEN * stage.size**2).all():
                    return clip
            entry = int(rng.integers(len(self._pairs)))
        raise ValueError("no usable object was found in many photographs")

    def _read(self, pair: Pair) -> tuple[Picture, Picture]:
        """(H, W, 3) RGB and (H, W) ids."""
        picture, labels = read_pair(pair)
        return picture, labels.astype(np.uint8)

    def _other(self, rng: np.random.Generator) -> tuple[Picture, Picture]:
        return self._read(self._pairs[int(rng.integers(len(self._pairs)))])

    def _drawn(
        self,
        picture: Picture,
        labels: Picture,
        usable: list[int],
        rng: np.random.Generator,
        stage: TrackerStage,
    ) -> Clip | None:
        """None where the crop hides the chosen objects."""
        frames, size = stage.frames, stage.size
        order = [int(label) for label in rng.permutation(usable)]
        count = 1 + (rng.random() < _SECOND) * (1 + (rng.random() < _THIRD))
        chosen, rest = order[:count], order[count : count + 2]
        neighbours = rest if rng.random() < _NEIGHBOUR else []
        placed, ids, origin = _placed(rng, picture, labels, chosen[0], size)
        chosen = [label for label in chosen if _is_seen(ids == label, origin, size)]
        if not chosen:
            return None
        pace = float(np.exp(rng.uniform(np.log(stage.slowest), np.log(stage.fastest))))
        actors = []
        for label in (*neighbours, *reversed(chosen)):
            number = chosen.index(label) + 1 if label in chosen else 0
            cut = _cut_out(placed, ids == label, origin)
            if cut is not None:
                actors.append(_actor(rng, *cut, number, frames, size, pace))
        ground = filled(placed, np.isin(ids, chosen + neighbours))
        void = (ids == VOID).astype(np.uint8)
        if rng.random() < _OTHER_GROUND:
            ground, ids, origin = _placed(rng, *self._other(rng), 0, size)
            ground = filled(ground, ids > 0) if rng.random() < 0.5 else ground
            void = np.zeros_like(ids)
        models = [actor for actor in actors if actor.label]
        model = models[int(rng.integers(len(models)))]
        if rng.random() < _TWIN:
            # Behind the objects, so that the first frame shows them.
            actors.insert(0, _twin(rng, model, frames, size, pace))
        if rng.random() < _OCCLUDER:
            foreign = self._foreign(rng, size)
            if foreign is not None:
                way = crossing_path(rng, frames, size, pace, model.path)
                occluder = _actor(rng, foreign, np.zeros(2), 0, frames, size, pace)
                actors.append(replace(occluder, path=way))
        views = camera_matrices(rng, frames, size, 0.0 if rng.random() < _STEADY else pace)
        if rng.random() < _JUMPS:  # the moves of the published stage 0
            for frame in range(frames):
                jump = random_affine(rng, size, size, degrees=15, shear_degrees=8, scale=0.1)
                views[frame] = jump @ views[frame]
        camera = Camera(rng, frames, pace, cut_share=_CUT)
        shutter = rng.uniform(0.1, 0.7) if rng.random() < _BLURRED else 0.0
        behind = Ground(ground, translation(-origin), void if void.any() else None)
        take = Take(actors, behind, views, size, shutter)
        return Clip(*take.record(camera), len(chosen))

    def _foreign(self, rng: np.random.Generator, size: int) -> Picture | None:
        """The sprite of an object of another photograph."""
        picture, labels = self._other(rng)
        usable = usable_instances(labels)
        if not usable:
            return None
        label = usable[int(rng.integers(len(usable)))]
        placed, ids, origin = _placed(rng, picture, labels, label, size)
        cut = _cut_out(placed, ids == label, origin)
        if cut is None:
            return None
        height, width = cut[0].shape[:2]
        # Less than half of the frame, so that what it covers comes back.
        scale = min(1.0, size * rng.uniform(0.15, 0.6) / max(height, width))
        across = (max(4, round(width * scale)), max(4, round(height * scale)))
        return np.asarray(cv2.resize(cut[0], across, interpolation=cv2.INTER_AREA), np.uint8)


def _twin(rng: np.random.Generator, model: Actor, frames: int, size: int, pace: float) -> Actor:
    """A copy of an object elsewhere in the frame, that at times passes behind it."""
    sprite = (
        model.figure.parts[0].sprite[:, ::-1]
        if rng.random() < 0.5
        else model.figure.parts[0].sprite
    )
    start = rng.uniform(0.05, 0.95, 2) * size
    twin = _actor(rng, np.ascontiguousarray(sprite), start, 0, frames, size, pace)
    if rng.random() < _CROSSING_TWIN:
        return replace(twin, path=crossing_path(rng, frames, size, pace, model.path))
    return twin


def _is_seen(mask: NDArray[np.bool_], origin: Floats, size: int) -> bool:
    left, top = (int(value) for value in origin)
    return int(mask[top : top + size, left : left + size].sum()) >= _SMALLEST_SEEN * size**2


def usable_instances(labels: Picture) -> list[int]:
    """Instances of useful size in (H, W) ids, hardly any of whose outline touches void."""
    counts = np.bincount(labels.ravel(), minlength=256)
    share = counts / labels.size
    ids = [i for i in range(1, VOID) if _SMALLEST_SHARE <= share[i] <= _LARGEST_SHARE]
    if not counts[VOID]:
        return ids
    near = cv2.dilate((labels == VOID).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return [i for i in ids if (near & (labels == i)).sum() < 0.25 * counts[i] ** 0.5]


def filled(picture: Picture, hole: NDArray[np.bool_]) -> Picture:
    """`picture` with what `hole` (H, W) covers guessed from around it, coarsely."""
    if not hole.any():
        return picture
    height, width = hole.shape
    scale = min(1.0, _FILL_PX / max(height, width))
    across = (max(4, round(width * scale)), max(4, round(height * scale)))
    wide = cv2.dilate(hole.astype(np.uint8), np.ones((7, 7), np.uint8))
    small = cv2.resize(picture, across, interpolation=cv2.INTER_AREA)
    hidden = cv2.resize(wide.astype(np.float32), across, interpolation=cv2.INTER_AREA) > 0.02
    guessed = cv2.inpaint(small, hidden.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    large = cv2.resize(guessed, (width, height), interpolation=cv2.INTER_CUBIC)
    # Sharp detail from elsewhere in the picture: smoothness alone would show the hole.
    blurry = cv2.GaussianBlur(picture, (0, 0), 4)
    detail = picture.astype(np.int16) - blurry
    detail[wide > 0] = 0
    rolled = np.roll(detail, (height // 2, width // 3), axis=(0, 1))
    result = picture.copy()
    inside = wide > 0
    result[inside] = (large.astype(np.int16) + rolled).clip(0, 255).astype(np.uint8)[inside]
    return result


def _placed(
    rng: np.random.Generator, picture: Picture, labels: Picture, label: int, size: int
) -> tuple[Picture, Picture, Floats]:
    """Both scaled and cropped about `label`, wider than the frame where they reach; and where the
    frame's corner (2,) is in them."""
    height, width = labels.shape
    zoom = float(np.exp(rng.uniform(np.log(0.95), np.log(1.7))))
    if label:
        rows, columns = np.nonzero(labels == label)
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        # The object may reach from a tenth of the frame to all of it.
        whole = min(height, width) / extent
        zoom = max(0.8, float(np.clip(zoom, 0.1 * whole, whole)))
    scale = size / min(height, width) * zoom
    ratio = float(np.exp(rng.uniform(-0.15, 0.15)))
    across = (max(size, round(width * scale * ratio)), max(size, round(height * scale / ratio)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    seen = np.asarray(cv2.resize(picture, across, interpolation=how), np.uint8)
    ids = np.asarray(cv2.resize(labels, across, interpolation=cv2.INTER_NEAREST), np.uint8)
    if rng.random() < 0.5:
        seen, ids = np.ascontiguousarray(seen[:, ::-1]), np.ascontiguousarray(ids[:, ::-1])
    left, top = (int(rng.integers(side - size + 1)) for side in across)
    if label:
        rows, columns = np.nonzero(ids == label)
        if len(rows):
            at = np.array([columns.mean(), rows.mean()]) - rng.uniform(0.25, 0.75, 2) * size
            left = int(np.clip(at[0], 0, across[0] - size))
            top = int(np.clip(at[1], 0, across[1] - size))
    # Ground beyond the frame, so that a moving camera shows it.
    margin = int(0.3 * size)
    rows_kept = slice(max(0, top - margin), top + size + margin)
    columns_kept = slice(max(0, left - margin), left + size + margin)
    seen, ids = seen[rows_kept, columns_kept], ids[rows_kept, columns_kept]
    origin = np.array([left - columns_kept.start, top - rows_kept.start], float)
    return np.ascontiguousarray(seen), np.ascontiguousarray(ids), origin


def _cut_out(
    picture: Picture, mask: NDArray[np.bool_], origin: Floats
) -> tuple[Picture, Floats] | None:
    """A sprite of what `mask` covers, with its middle in the frame; None where there is nothing."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) < 4 or len(columns) < 4:
        return None
    top, left = max(0, rows[0] - 2), max(0, columns[0] - 2)
    window = (slice(top, rows[-1] + 3), slice(left, columns[-1] + 3))
    alpha = cv2.GaussianBlur(mask[window].astype(np.uint8) * 255, (0, 0), 0.7)
    sprite = premultiplied(np.dstack([picture[window], alpha]))
    height, width = sprite.shape[:2]
    return sprite, np.array([left + width / 2, top + height / 2]) - origin


def _actor(
    rng: np.random.Generator,
    sprite: Picture,
    centre: Floats,
    label: int,
    frames: int,
    size: int,
    pace: float,
) -> Actor:
    """At `centre` in the first frame; a fifth move with the ground."""
    own = 0.0 if rng.random() < _GLUED else pace * float(np.exp(rng.normal(0.0, 0.4)))
    turn = np.zeros(frames)
    if rng.random() < 0.3:
        turn = smooth_walk(rng, frames, 0.2 * min(1.0, own), 1)[:, 0]
    places = centre + smooth_walk(rng, frames, 0.04 * size * own, 2)
    if frames > 2 and rng.random() < _LEAVES:
        places = places + excursion(rng, frames, size * rng.uniform(0.4, 1.0))
    path = Way(
        centre=np.asarray(places),
        angle=smooth_walk(rng, frames, 0.06 * own, 1)[:, 0],
        log_scale=smooth_walk(rng, frames, 0.04 * own, 1)[:, 0].clip(-0.7, 0.7),
        shear=smooth_walk(rng, frames, 0.03 * own, 1)[:, 0],
        turn=turn,
    )
    elastic = None
    if rng.random() < 0.6:
        elastic = elastic_grids(rng, frames, rng.uniform(0.008, 0.03), pace)
        elastic = elastic - elastic[0] if rng.random() < 0.5 else elastic
    light = np.exp(smooth_walk(rng, frames, 0.03 * min(1.0, pace), 3).clip(-0.3, 0.3))
    shadow = _shadow(rng, size) if rng.random() < _SHADOWED else None
    owns = bool(rng.random() < _OWNED_SHADOW)
    middle = np.array([sprite.shape[1], sprite.shape[0]]) / 2.0
    return Actor(
        figure=Figure((Part(sprite, middle, np.zeros(2), np.zeros(frames)),)),
        path=path,
        label=label,
        elastic=elastic,
        shadow=shadow,
        light=np.asarray(light),
        extent_px=float(np.sqrt(sprite.shape[0] * sprite.shape[1])),
        owns_shadow=owns,
    )


def _shadow(rng: np.random.Generator, size: int) -> Shadow:
    """Near the thing, or long on the ground."""
    if rng.random() < 0.4:
        return Shadow.random(rng, size)
    return Shadow(
        strength=rng.uniform(0.2, 0.6),
        flatness=rng.uniform(0.04, 0.5) * rng.choice([-1, 1], p=[0.5, 0.5]),
        slant=rng.uniform(-4, 4),
        softness=rng.uniform(0.003, 0.012) * size,
    )
