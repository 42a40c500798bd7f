"""Clips composed on the fly: things cut out of pictures, moving over a photograph.

`scene.py` decides what there is; this draws it, frame by frame. A clip follows from the
generator that is passed in, so it can be made again from (seed, index). Labels come from the
very alpha that coloured the pixels; some are drawn wide, or with the shadow, as people do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.appearance import Camera, blurred
from training.cutouts import Figure
from training.motion import Floats, bend, camera_matrices
from training.pack import Pack, Picture
from training.scene import Actor, ClipSettings, draw_scene
from xmem_core.learning.losses import VOID

_TRIES = 12  # scenes drawn before a clip is taken as it is
_SMALLEST_SHARE = 0.004  # of the frame that a labelled thing must cover in the first frame
_SOLID = 115  # alpha from which a pixel belongs to the thing; a little under half, for blur


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip and its truth."""

    frames: Picture  # (T, H, W, 3) RGB
    labels: Picture  # (T, H, W), 0 is background, objects are 1..object_count, or VOID
    object_count: int


@dataclass(frozen=True, slots=True)
class Ground:
    """What lies behind everything."""

    picture: Picture  # (H, W, 3)
    matrix: Floats  # (3, 3) its pixels -> the world's, which are the first frame's
    void: Picture | None = None  # (H, W), not 0 where what is seen is not labelled; None: nowhere


def compose_clip(
    pack: Pack, rng: np.random.Generator, settings: ClipSettings, object_count: int
) -> Clip:
    """A clip with `object_count` labelled objects, all of them to be seen in its first frame."""
    size, frames = settings.size, settings.frames
    for attempt in range(_TRIES):
        scene = draw_scene(pack, rng, settings, object_count)
        still = rng.random() < 0.25
        views = camera_matrices(rng, frames, size, 0.0 if still else scene.pace)
        ground = _placed(rng, scene.background, size)
        camera = Camera(rng, frames, scene.pace)
        shutter = rng.uniform(0.1, 0.7) if rng.random() < 0.45 else 0.0
        take = Take(scene.actors, ground, views, size, shutter)
        clip = Clip(*take.record(camera), object_count)
        seen = np.bincount(clip.labels[0].ravel(), minlength=object_count + 1)[1:]
        enough = seen >= _SMALLEST_SHARE * settings.size**2
        if bool(enough.all()) or attempt == _TRIES - 1:
            break
    return clip


class Take:
    """Draws actors over their ground, frame by frame."""

    def __init__(
        self, actors: Sequence[Actor], ground: Ground, views: Floats, size: int, shutter: float
    ) -> None:
        """actors from back to front; views (T, 3, 3): world -> screen; shutter: share of a frame's
        time in which movement blurs."""
        self._actors, self._ground, self._views = actors, ground, views
        self._size, self._shutter = size, shutter

    def record(self, camera: Camera | None = None) -> tuple[Picture, Picture]:
        """Frames (T, size, size, 3) and labels (T, size, size); without a camera as they are."""
        size, frames = self._size, len(self._views)
        pictures = np.empty((frames, size, size, 3), np.uint8)
        labels = np.zeros((frames, size, size), np.uint8)
        for frame in range(frames):
            canvas = self._background(frame, labels[frame])
            for actor in self._actors:
                self._draw(canvas, labels[frame], actor, frame)
            pictures[frame] = canvas if camera is None else camera.take(canvas, frame)
        return pictures, labels

    def _background(self, frame: int, labels: Picture) -> NDArray[np.float32]:
        size, ground = self._size, self._ground
        matrix = (self._views[frame] @ ground.matrix)[:2]

        def seen(pixels: Picture, how: int) -> Picture:
            border = cv2.BORDER_REFLECT_101
            view = cv2.warpAffine(pixels, matrix, (size, size), flags=how, borderMode=border)
            return np.asarray(view, np.uint8)

        if ground.void is not None:
            labels[seen(ground.void, cv2.INTER_NEAREST) > 0] = VOID
        middle = np.array([size / 2.0, size / 2.0, 1.0])
        shift = self._shutter * self._moved(frame, lambda at: self._views[at] @ middle)
        return blurred(seen(ground.picture, cv2.INTER_LINEAR), shift).astype(np.float32)

    def _draw(self, canvas: NDArray[np.float32], labels: Picture, actor: Actor, frame: int) -> None:
        size = self._size
        pose = self._views[frame] @ actor.path.matrix(frame)
        matrices = [pose @ part.matrix(frame) for part in actor.figure.parts]
        left, top, right, bottom = _bounds(actor.figure, matrices)
        margin = 0.08 * max(right - left, bottom - top) + 3 + actor.widened_px
        x0, y0 = int(max(left - margin, 0)), int(max(top - margin, 0))
        x1, y1 = int(min(right + margin, size)), int(min(bottom + margin, size))
        if x1 - x0 < 2 or y1 - y0 < 2:
            return
        layer = _flattened(actor.figure, matrices, x0, y0, x1 - x0, y1 - y0)
        if actor.elastic is not None:
            layer = bend(layer, actor.elastic[frame])
        origin = np.array([0.0, 0.0, 1.0])
        shift = self._moved(frame, lambda at: self._views[at] @ actor.path.matrix(at) @ origin)
        layer = blurred(layer, self._shutter * shift)
        if actor.shadow is not None:
            cast = actor.shadow.fall(canvas, np.ascontiguousarray(layer[..., 3]), x0, y0)
            if cast is not None and actor.label and actor.owns_shadow:
                labels[cast >= _SOLID] = actor.label
        alpha = layer[..., 3:]
        lit = np.minimum(layer[..., :3] * actor.light[frame].astype(np.float32), alpha)
        region = canvas[y0:y1, x0:x1]
        region *= 1.0 - alpha.astype(np.float32) / 255.0
        region += lit
        solid = (alpha[..., 0] >= _SOLID).astype(np.uint8)
        if actor.label and actor.widened_px:
            solid = np.asarray(cv2.dilate(solid, disc(actor.widened_px)), np.uint8)
        labels[y0:y1, x0:x1][solid > 0] = actor.label

    def _moved(self, frame: int, where: Callable[[int], Floats]) -> Floats:
        """(2,) how far a point, given by frame, moves on the screen during this frame."""
        last = len(self._views) - 1
        before, after = max(frame - 1, 0), min(frame + 1, last)
        span = max(after - before, 1)
        return np.asarray((where(after) - where(before))[:2] / span)


def disc(radius_px: int) -> Picture:
    """A round structuring element."""
    size = 2 * radius_px + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def _placed(rng: np.random.Generator, scene: Picture, size: int) -> Ground:
    """The background shrunk to its share of the world."""
    short = min(scene.shape[:2])
    # At least the frame itself; up to 2.2 times as wide, so that panning shows new ground.
    target = size * rng.uniform(1.05, 2.2)
    scale = target / short
    width, height = round(scene.shape[1] * scale), round(scene.shape[0] * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shrunk = np.asarray(cv2.resize(scene, (width, height), interpolation=how), dtype=np.uint8)
    if rng.random() < 0.5:
        shrunk = np.ascontiguousarray(shrunk[:, ::-1])
    matrix = np.eye(3)
    matrix[0, 2] = -rng.uniform(0.0, max(width - size, 0))
    matrix[1, 2] = -rng.uniform(0.0, max(height - size, 0))
    return Ground(shrunk, matrix)


def _bounds(figure: Figure, matrices: list[Floats]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the figure on the screen."""
    corners = []
    for part, matrix in zip(figure.parts, matrices, strict=True):
        height, width = part.sprite.shape[:2]
        box = np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1]], float)
        corners.append((matrix @ box)[:2])
    points = np.concatenate(corners, axis=1)
    low, high = points.min(axis=1), points.max(axis=1)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _flattened(
    figure: Figure, matrices: list[Floats], left: int, top: int, width: int, height: int
) -> Picture:
    """(height, width, 4) premultiplied: the parts drawn over each other in one window."""
    layer: Picture | None = None
    for part, matrix in zip(figure.parts, matrices, strict=True):
        shifted = matrix[:2].copy()
        shifted[:, 2] -= (left, top)
        drawn = np.asarray(
            cv2.warpAffine(part.sprite, shifted, (width, height), flags=cv2.INTER_LINEAR),
            dtype=np.uint8,
        )
        if layer is None:
            layer = drawn
        else:
            kept = cv2.multiply(layer, cv2.merge([255 - drawn[..., 3]] * 4), scale=1.0 / 255.0)
            layer = np.asarray(cv2.add(drawn, kept), dtype=np.uint8)
    assert layer is not None  # a figure has at least one part
    return layer
