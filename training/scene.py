"""What is in a composed clip before anything is drawn: its actors, their ways, the background.

One to three of the things are labelled; the rest are distractors, some of them twins of a
labelled one. Everything follows from the generator that is passed in.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.appearance import Shadow
from training.cutouts import Figure, random_figure
from training.motion import (
    Floats,
    Path,
    crossing_path,
    elastic_grids,
    excursion,
    random_path,
    smooth_walk,
)
from training.pack import Pack, Picture

_WIDENED_SHARE = 0.45
_LEAST_WIDENED, _MOST_WIDENED = 0.004, 0.026  # of the frame
_CARRIED_SHARE = 0.15
_OWNED_SHADOW_SHARE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """How large and how long composed clips are, and how much happens in them."""

    size: int = 192  # pixels, width and height
    frames: int = 5
    slowest: float = 0.15  # pace is drawn between these two; 1 is about 4 % of the frame a frame
    fastest: float = 1.6
    most_distractors: int = 3  # unlabelled things, besides one that may pass in front
    twin_share: float = 0.35  # of the distractors that look just like a labelled thing

    def __post_init__(self) -> None:
        if self.size < 32 or self.size % 16:
            raise ValueError(f"size must be a multiple of 16 and at least 32, got {self.size}")
        if self.frames < 1:
            raise ValueError(f"frames must be at least 1, got {self.frames}")
        if not 0 < self.slowest <= self.fastest:
            raise ValueError(
                f"paces must satisfy 0 < slowest <= fastest, got {self.slowest}, {self.fastest}"
            )
        if self.most_distractors < 0 or not 0 <= self.twin_share <= 1:
            raise ValueError(
                "most_distractors must not be negative and twin_share must be in 0..1, got "
                f"{self.most_distractors} and {self.twin_share}"
            )


@dataclass(frozen=True, slots=True)
class Actor:
    """A figure on its way through the clip."""

    figure: Figure
    path: Path
    label: int  # 0 for a distractor
    elastic: NDArray[np.float32] | None  # (T, 4, 4, 2)
    shadow: Shadow | None
    light: Floats  # (T, 3) gain
    extent_px: float  # about how large it is
    # Annotators differ, and a tracker should do as the first mask does: whether the shadow counts
    # as part of the thing, and by how much the outline is drawn too wide.
    owns_shadow: bool = False
    widened_px: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a clip will show."""

    actors: tuple[Actor, ...]  # from back to front
    background: Picture  # (H, W, 3)
    pace: float


def widening_px(rng: np.random.Generator, size: int) -> int:
    """By how much a mask is drawn too wide, of a frame of `size` pixels."""
    width = np.exp(rng.uniform(np.log(_LEAST_WIDENED), np.log(_MOST_WIDENED)))
    return max(1, round(size * float(width)))


def draw_scene(
    pack: Pack, rng: np.random.Generator, settings: ClipSettings, object_count: int
) -> Scene:
    """A scene with `object_count` labels, each of one thing or of several that go together."""
    pace = float(np.exp(rng.uniform(np.log(settings.slowest), np.log(settings.fastest))))
    casting = _Casting(pack, rng, settings, pack.background(rng), pace)
    labelled: list[Actor] = []
    for label in range(1, object_count + 1):
        actor = casting.actor(label)
        labelled.append(actor)
        # Some labels are several things that go together: a rider and a horse, a group.
        if rng.random() < 0.15:
            labelled.append(casting.companion(actor))
    distractors: list[Actor] = []
    for _ in range(int(rng.integers(0, settings.most_distractors + 1))):
        model = labelled[int(rng.integers(len(labelled)))]
        distractor = casting.actor(0)
        if rng.random() < settings.twin_share:
            distractor = replace(distractor, figure=model.figure, light=model.light)
        distractors.append(distractor)
    # Some carry what is not meant: a bag on a back, a ball at a foot.
    for actor in list(labelled):
        if rng.random() < _CARRIED_SHARE:
            distractors.append(casting.carried(actor))
    actors = labelled + distractors
    order = rng.permutation(len(actors))
    actors = [actors[index] for index in order]
    if settings.frames > 2 and rng.random() < 0.4:
        target = labelled[int(rng.integers(len(labelled)))]
        occluder = casting.actor(0)
        path = crossing_path(rng, settings.frames, settings.size, pace, target.path)
        actors.append(replace(occluder, path=path))
    return Scene(tuple(actors), casting.background, pace)


@dataclass(frozen=True, slots=True)
class _Casting:
    """Draws actors for one scene."""

    pack: Pack
    rng: np.random.Generator
    settings: ClipSettings
    background: Picture  # (H, W, 3)
    pace: float

    def actor(self, label: int) -> Actor:
        rng, frames, size = self.rng, self.settings.frames, self.settings.size
        extent = float(np.exp(rng.uniform(np.log(0.08), np.log(0.62)))) * size
        path = random_path(rng, frames, size, self.pace * float(np.exp(rng.normal(0.0, 0.4))))
        if frames > 2 and rng.random() < 0.15:
            away = excursion(rng, frames, size * rng.uniform(0.5, 1.1))
            path = replace(path, centre=path.centre + away)
        elastic = None
        if rng.random() < 0.55:
            elastic = elastic_grids(rng, frames, rng.uniform(0.01, 0.04), self.pace)
        light = np.exp(smooth_walk(rng, frames, 0.03 * min(1.0, self.pace), 3).clip(-0.3, 0.3))
        shadow = Shadow.random(rng, size) if rng.random() < 0.4 else None
        widened = widening_px(rng, size) if rng.random() < _WIDENED_SHARE else 0
        return Actor(
            figure=self._figure(extent),
            path=path,
            label=label,
            elastic=elastic,
            shadow=shadow,
            light=np.asarray(light),
            extent_px=extent,
            owns_shadow=rng.random() < _OWNED_SHADOW_SHARE,
            widened_px=widened,
        )

    def carried(self, carrier: Actor) -> Actor:
        """A smaller, unlabelled thing that goes wherever the carrier goes."""
        load, reach = self.actor(0), carrier.extent_px
        figure = self._figure(max(4.0, reach * self.rng.uniform(0.25, 0.6)))
        beside = np.array([*self.rng.normal(0.0, 0.25 * reach, 2), 1.0])
        # The carrier's own coordinates turn and grow with it.
        frames = range(self.settings.frames)
        moved = np.array([(carrier.path.matrix(frame) @ beside)[:2] for frame in frames])
        return replace(load, figure=figure, path=replace(carrier.path, centre=moved))

    def companion(self, leader: Actor) -> Actor:
        """Another thing under the leader's label that keeps near to it."""
        size = self.settings.size
        follower = self.actor(leader.label)
        beside = self.rng.normal(0.0, 0.15 * size, 2)
        wander = smooth_walk(self.rng, self.settings.frames, 0.01 * size * self.pace, 2)
        centre = leader.path.centre + beside + wander
        return replace(follower, path=replace(follower.path, centre=centre))

    def _figure(self, extent: float) -> Figure:
        frames = self.settings.frames
        return random_figure(self.rng, self.pack, self.background, frames, extent, self.pace)
