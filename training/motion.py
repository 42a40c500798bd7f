"""How things move in a composed clip: smooth walks, excursions, 2-D transforms, elastic fields.

Positions and lengths are in pixels of the composed frame, angles in radians, time in frames.
A transform is a 3x3 matrix on column vectors (x, y, 1).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_THINNEST = 0.3  # width of a thing that is seen from its side, as a share of its full width


@dataclass(frozen=True, slots=True)
class Path:
    """Where one thing is in every frame, in world coordinates."""

    centre: Floats  # (T, 2) pixels
    angle: Floats  # (T,) radians
    log_scale: Floats  # (T,)
    shear: Floats  # (T,)
    turn: Floats  # (T,) radians about the thing's upright axis; past a quarter it is mirrored

    def matrix(self, frame: int) -> Floats:
        """(3, 3): the thing's own coordinates -> the world's."""
        squeeze = np.eye(3)
        squeeze[0, 1] = self.shear[frame]
        width = float(np.cos(self.turn[frame]))
        # Seen edge-on a flat thing would be gone; real ones have some depth.
        squeeze[0, 0] = np.copysign(max(abs(width), _THINNEST), width)
        turn = rotation(float(self.angle[frame])) * np.exp(self.log_scale[frame])
        turn[2, 2] = 1.0
        return translation(self.centre[frame]) @ turn @ squeeze


def smooth_walk(rng: np.random.Generator, frames: int, size: float, channels: int) -> Floats:
    """(T, channels) smooth curves that start at 0 and move about `size` a frame."""
    time = np.arange(frames)[:, None]
    drift = rng.normal(0.0, size, channels)
    period = rng.uniform(3.0, 14.0, channels)
    phase = rng.uniform(0.0, 2 * np.pi, channels)
    swing = rng.normal(0.0, size, channels) * period / (2 * np.pi)
    turns = 2 * np.pi * time / period + phase
    return np.asarray(drift * time + swing * (np.sin(turns) - np.sin(phase)))


def excursion(rng: np.random.Generator, frames: int, reach: float) -> Floats:
    """(T, 2) a way out to about `reach` pixels and, if there is time, back again."""
    start = rng.uniform(0.5, max(0.6, frames - 2.0))
    length = rng.uniform(1.5, max(2.0, 0.8 * frames))
    progress = np.clip((np.arange(frames) - start) / length, 0.0, 1.0)
    # Half of the excursions come back; the others are departures.
    shape = np.sin(np.pi * progress) if rng.random() < 0.5 else np.sin(0.5 * np.pi * progress)
    heading = rng.uniform(0.0, 2 * np.pi)
    return np.asarray(reach * shape[:, None] * np.array([np.cos(heading), np.sin(heading)]))


def random_path(rng: np.random.Generator, frames: int, size: int, pace: float) -> Path:
    """A path that starts inside a `size` x `size` frame; `pace` 1 is about 4 % of it a frame."""
    centre = rng.uniform(0.15, 0.85, 2) * size + smooth_walk(rng, frames, 0.04 * size * pace, 2)
    return Path(
        centre=np.asarray(centre),
        angle=smooth_walk(rng, frames, 0.06 * pace, 1)[:, 0],
        log_scale=smooth_walk(rng, frames, 0.03 * pace, 1)[:, 0].clip(-0.7, 0.7),
        shear=smooth_walk(rng, frames, 0.02 * pace, 1)[:, 0],
        turn=turning(rng, frames, pace),
    )


def turning(rng: np.random.Generator, frames: int, pace: float) -> Floats:
    """(T,) radians about the upright axis; half of all things do not turn."""
    start = rng.uniform(-0.9, 0.9)
    swing = smooth_walk(rng, frames, 0.3 * min(1.0, pace), 1)[:, 0]
    return np.asarray(start + swing) if rng.random() < 0.5 else np.zeros(frames)


def crossing_path(
    rng: np.random.Generator, frames: int, size: int, pace: float, target: Path
) -> Path:
    """A path that is away from `target` in the first frame and over it some frames later."""
    own = random_path(rng, frames, size, 0.5 * pace)
    meeting = int(rng.integers(1, frames)) if frames > 1 else 0
    heading = rng.uniform(0.0, 2 * np.pi)
    start = 0.55 * size * np.array([np.cos(heading), np.sin(heading)])
    share = 1.0 - np.arange(frames)[:, None] / max(meeting, 1)
    return Path(
        centre=np.asarray(target.centre[meeting] + share * start),
        angle=own.angle,
        log_scale=own.log_scale,
        shear=own.shear,
        turn=own.turn,
    )


def camera_matrices(rng: np.random.Generator, frames: int, size: int, pace: float) -> Floats:
    """(T, 3, 3): world -> screen. Pans, turns a little, zooms; the identity in the first frame."""
    centre = size / 2.0
    pan = smooth_walk(rng, frames, 0.025 * size * pace, 2)
    turn = smooth_walk(rng, frames, 0.012 * pace, 1)[:, 0]
    zoom = smooth_walk(rng, frames, 0.02 * pace, 1)[:, 0].clip(-0.5, 0.5)
    matrices = np.empty((frames, 3, 3))
    for frame in range(frames):
        scaled = rotation(float(turn[frame])) * np.exp(zoom[frame])
        scaled[2, 2] = 1.0
        back = translation(np.array([centre, centre]) + pan[frame])
        matrices[frame] = back @ scaled @ translation(np.array([-centre, -centre]))
    return matrices


def translation(offset: Floats) -> Floats:
    """(3, 3) shift by `offset` (2,)."""
    matrix = np.eye(3)
    matrix[:2, 2] = offset
    return matrix


def rotation(angle: float) -> Floats:
    """(3, 3) turn by `angle` radians about the origin."""
    matrix = np.eye(3)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


def elastic_grids(
    rng: np.random.Generator, frames: int, amplitude: float, pace: float
) -> NDArray[np.float32]:
    """(T, 4, 4, 2) displacements on a coarse grid, as shares of the thing's size."""
    walks = smooth_walk(rng, frames, amplitude * min(1.0, 0.5 * pace + 0.2), 32)
    limit = 3.0 * amplitude
    bounded = limit * np.tanh(walks / limit)
    return bounded.reshape(frames, 4, 4, 2).astype(np.float32)


def bend(layer: NDArray[np.uint8], grid: NDArray[np.float32]) -> NDArray[np.uint8]:
    """`layer` (H, W, C) displaced by a coarse `grid` (4, 4, 2) of shares of its size."""
    height, width = layer.shape[:2]
    field = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    across, down = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    scale = float(max(height, width))
    bent = cv2.remap(
        layer,
        across + scale * field[..., 0],
        down + scale * field[..., 1],
        interpolation=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return np.asarray(bent, dtype=np.uint8)
