"""Where the things in a composed clip come from, before they move.

A sprite is (H, W, 4) uint8 RGBA with premultiplied alpha, already about as large as it will
be seen, so that drawing it never has to shrink it much. A figure is one thing: a single
sprite, or several jointed ones that swing against each other.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.motion import Floats, rotation, smooth_walk, translation
from training.pack import Pack, Picture

_SHAPE_POINTS = 48  # corners of a random smooth outline
_SHARE_OF_PHOTOS = 0.65  # among cut-outs; there are four times as many drawings


@dataclass(frozen=True, slots=True)
class Part:
    """One rigid sprite of a figure, hung on a joint."""

    sprite: Picture  # (H, W, 4) premultiplied
    pivot: Floats  # (2,) the joint, in the sprite's pixels
    socket: Floats  # (2,) the joint, in the figure's pixels; the figure's origin is its middle
    angles: Floats  # (T,) radians

    def matrix(self, frame: int) -> Floats:
        """(3, 3): sprite pixels -> the figure's."""
        turn = rotation(float(self.angles[frame]))
        return translation(self.socket) @ turn @ translation(-self.pivot)


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing: its parts, from back to front."""

    parts: tuple[Part, ...]


def random_figure(
    rng: np.random.Generator, pack: Pack, scene: Picture, frames: int, extent: float, pace: float
) -> Figure:
    """A thing about `extent` pixels large. `scene` (H, W, 3) may lend it pieces of itself."""
    body = _random_sprite(rng, pack, scene, extent)
    middle = np.array([body.shape[1], body.shape[0]]) / 2.0
    still = np.zeros(frames)
    parts = [Part(body, middle, np.zeros(2), still)]
    if rng.random() < 0.45:
        for _ in range(int(rng.integers(1, 5))):
            limb = _limb(rng, pack, scene, frames, body, pace)
            # Limbs grow in front of the body or from behind it.
            parts.insert(int(rng.integers(len(parts) + 1)), limb)
    return Figure(tuple(parts))


def _limb(
    rng: np.random.Generator, pack: Pack, scene: Picture, frames: int, body: Picture, pace: float
) -> Part:
    extent = float(max(body.shape[:2])) * rng.uniform(0.3, 0.8)
    if rng.random() < 0.6:
        sprite = _stick(rng, _texture(rng, pack, scene, extent), extent)
    else:
        sprite = _random_sprite(rng, pack, scene, extent)
    height, width = sprite.shape[:2]
    pivot = np.array([width * rng.uniform(0.3, 0.7), height * rng.uniform(0.05, 0.25)])
    angle = rng.uniform(0.0, 2 * np.pi)
    swing = smooth_walk(rng, frames, 0.18 * pace, 1)[:, 0].clip(-1.5, 1.5)
    return Part(sprite, pivot, _point_on(rng, body), angle + swing)


def _point_on(rng: np.random.Generator, sprite: Picture) -> Floats:
    """(2,) a solid pixel of `sprite`, relative to its middle, so that limbs touch the body."""
    rows, columns = np.nonzero(sprite[..., 3] > 128)
    if len(rows) == 0:
        return np.zeros(2)
    chosen = int(rng.integers(len(rows)))
    height, width = sprite.shape[:2]
    return np.array([columns[chosen] - width / 2.0, rows[chosen] - height / 2.0])


def _random_sprite(rng: np.random.Generator, pack: Pack, scene: Picture, extent: float) -> Picture:
    if rng.random() < 0.58:
        cutout = pack.cutout(rng, _SHARE_OF_PHOTOS)
        if rng.random() < 0.5:
            cutout = cutout[:, ::-1]
        return premultiplied(_fitted(recoloured(rng, cutout), extent))
    return _shaped(rng, _texture(rng, pack, scene, extent), extent)


def _texture(rng: np.random.Generator, pack: Pack, scene: Picture, extent: float) -> Picture:
    """(N, N, 3) with N about `extent`: a piece of a photograph, or a plain colour with shading."""
    side = max(8, round(extent))
    if rng.random() < 0.25:
        corners = rng.uniform(0, 255, (1, 1, 3)) + rng.normal(0, 18, (3, 3, 3))
        plain = cv2.resize(corners.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        grainy = plain + rng.normal(0, 3, plain.shape)
        return np.asarray(grainy.clip(0, 255), dtype=np.uint8)
    # A piece of the very scene it lies in is the hardest thing to tell from it.
    source = scene if rng.random() < 0.35 else pack.background(rng, half_size=True)
    height, width = source.shape[:2]
    crop = min(int(side * rng.uniform(0.8, 3.0)), height, width)
    top = int(rng.integers(height - crop + 1))
    left = int(rng.integers(width - crop + 1))
    piece = source[top : top + crop, left : left + crop]
    shrunk = cv2.resize(piece, (side, side), interpolation=cv2.INTER_AREA)
    return recoloured(rng, np.asarray(shrunk, dtype=np.uint8))


def _shaped(rng: np.random.Generator, texture: Picture, extent: float) -> Picture:
    """`texture` cut along a random smooth outline, stretched at random."""
    side = texture.shape[0]
    turns = np.linspace(0.0, 2 * np.pi, _SHAPE_POINTS, endpoint=False)
    radius = np.ones(_SHAPE_POINTS)
    for wave in range(2, 7):
        radius += rng.normal(0.0, 0.45 / wave) * np.cos(wave * turns + rng.uniform(0, 2 * np.pi))
    radius = radius.clip(0.25, None)
    stretch = np.exp(rng.normal(0.0, 0.35, 2))
    outline = np.stack([radius * np.cos(turns), radius * np.sin(turns)], axis=1) * stretch
    outline *= 0.48 * side / np.abs(outline).max()
    return _cut(texture, [outline + side / 2.0])


def _stick(rng: np.random.Generator, texture: Picture, extent: float) -> Picture:
    """Something thin: a tapered rod, sometimes bent, sometimes with a ring at its end."""
    side = texture.shape[0]
    thickness = max(1.6, extent * rng.uniform(0.04, 0.22))
    knee = np.array([rng.normal(0.0, 0.12) * side, 0.0])
    top, middle, end = np.array([0.5, 0.04]), np.array([0.5, 0.5]), np.array([0.5, 0.96])
    spine = [top * side, middle * side + knee, end * side]
    widths = thickness * rng.uniform(0.5, 1.0, 3)
    sideways = np.stack([widths / 2, np.zeros(3)], axis=1)
    rod = np.concatenate([np.array(spine) - sideways, (np.array(spine) + sideways)[::-1]])
    sprite = _cut(texture, [rod])
    if rng.random() < 0.3:
        hoop = np.zeros((side, side), np.uint8)
        axes = (max(2, int(0.16 * side)), max(2, int(0.22 * side)))
        line = max(1, round(0.4 * thickness))
        centre = (side // 2, int(0.74 * side))
        cv2.ellipse(hoop, centre, axes, 0, 0, 360, 255, line, cv2.LINE_AA)
        alpha = np.maximum(sprite[..., 3], hoop)
        return premultiplied(np.dstack([texture, alpha]))
    return sprite


def _cut(texture: Picture, outlines: list[NDArray[np.float64]]) -> Picture:
    alpha = np.zeros(texture.shape[:2], np.uint8)
    # Corners in sixteenths of a pixel, so that thin things keep their width.
    corners = [np.round(outline * 16).astype(np.int32) for outline in outlines]
    cv2.fillPoly(alpha, corners, 255, cv2.LINE_AA, shift=4)
    return premultiplied(np.dstack([texture, alpha]))


def _fitted(cutout: Picture, extent: float) -> Picture:
    """`cutout` resized so that the square root of its area is about `extent` pixels."""
    height, width = cutout.shape[:2]
    scale = extent / np.sqrt(height * width)
    size = (max(4, round(width * scale)), max(4, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cutout, size, interpolation=how), dtype=np.uint8)


def recoloured(rng: np.random.Generator, picture: Picture) -> Picture:
    """Colours changed for good: gain and offset by channel, now and then channels swapped."""
    changed = picture.copy()
    if rng.random() < 0.2:
        changed[..., :3] = changed[..., rng.permutation(3)]
    gain = rng.uniform(0.7, 1.2) * rng.uniform(0.9, 1.1, 3)
    offset = rng.normal(0.0, 12.0)
    levels = np.arange(256.0)
    for channel in range(3):
        table = (levels * gain[channel] + offset).clip(0, 255).astype(np.uint8)
        changed[..., channel] = table[changed[..., channel]]
    return changed


def premultiplied(picture: Picture) -> Picture:
    """(H, W, 4) straight alpha -> premultiplied, which survives interpolation at the edges."""
    alpha = picture[..., 3:].astype(np.uint16)
    colour = (picture[..., :3] * alpha + 127) // 255
    return np.concatenate([colour.astype(np.uint8), picture[..., 3:]], axis=2)
