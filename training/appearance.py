"""What the camera and the light do to a composed picture: shadow, blur, exposure, noise, JPEG."""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from training.motion import Floats, smooth_walk
from training.pack import Picture


def line_kernel(shift: Floats) -> NDArray[np.float32] | None:
    """A motion-blur kernel along `shift` (2,) pixels, or None where it would do nothing."""
    length = float(np.hypot(shift[0], shift[1]))
    if length < 1.5:
        return None
    radius = min(int(np.ceil(length / 2)), 12)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    half = shift / length * min(length / 2, radius)
    start = (round(float(16 * (radius - half[0]))), round(float(16 * (radius - half[1]))))
    end = (round(float(16 * (radius + half[0]))), round(float(16 * (radius + half[1]))))
    cv2.line(kernel, start, end, 1.0, 1, cv2.LINE_8, shift=4)
    total = float(kernel.sum())
    return kernel / total if total > 0 else None


def blurred(picture: Picture, shift: Floats) -> Picture:
    """`picture` smeared along `shift` pixels; beyond its border there is nothing."""
    kernel = line_kernel(shift)
    if kernel is None:
        return picture
    smeared = cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smeared, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Shadow:
    """A soft shadow that a thing casts on what lies behind it."""

    strength: float  # 0..1
    flatness: float  # height of the shadow as a share of the thing's
    slant: float  # sideways shift a pixel of height
    softness: float  # sigma of the blur, pixels

    @classmethod
    def random(cls, rng: np.random.Generator, size: int) -> Self:
        return cls(
            strength=rng.uniform(0.15, 0.65),
            flatness=rng.uniform(-0.5, 0.9),
            slant=rng.uniform(-1.0, 1.0),
            softness=rng.uniform(0.004, 0.03) * size,
        )

    def fall(
        self, canvas: NDArray[np.float32], alpha: Picture, left: int, top: int
    ) -> Picture | None:
        """Darkens `canvas` (H, W, 3) by the shadow of `alpha` (h, w), whose corner is given.

        Returns how deep the shadow is, (H, W) 0..255; None for a thing that casts none.
        """
        rows = np.flatnonzero(alpha.max(axis=1) > 127)
        if len(rows) == 0:
            return None
        foot = float(rows[-1])
        matrix = np.array(
            [
                [1.0, -self.slant, left + self.slant * foot],
                [0.0, self.flatness, top + foot * (1.0 - self.flatness)],
            ]
        )
        height, width = canvas.shape[:2]
        cast = cv2.warpAffine(alpha, matrix, (width, height), flags=cv2.INTER_LINEAR)
        cast = cv2.GaussianBlur(cast, (0, 0), max(self.softness, 0.5))
        canvas *= (1.0 - (self.strength / 255.0) * cast.astype(np.float32))[..., None]
        return np.asarray(cast, dtype=np.uint8)


class Camera:
    """Exposure, colour, sharpness, noise and compression of one clip, drifting over its frames."""

    def __init__(
        self, rng: np.random.Generator, frames: int, pace: float, cut_share: float = 0.0
    ) -> None:
        """cut_share: how often exposure and colour jump once, as at a cut or into the sun."""
        self._rng = rng
        drift = min(1.0, pace)
        base = rng.normal(0.0, 0.12)
        self._gains = np.exp(
            base
            + smooth_walk(rng, frames, 0.05 * drift, 1).clip(-0.4, 0.4)
            + smooth_walk(rng, frames, 0.015 * drift, 3).clip(-0.15, 0.15)
            + rng.normal(0.0, 0.04, 3)
        )  # (T, 3)
        if frames > 2 and cut_share and rng.random() < cut_share:
            jump = np.exp(rng.normal(0, 0.3) + rng.normal(0, 0.06, 3))
            self._gains[int(rng.integers(1, frames)) :] *= jump
        self._gamma = float(np.exp(rng.normal(0.0, 0.15)))
        self._softness = rng.uniform(0.3, 1.1) if rng.random() < 0.4 else 0.0
        self._noise = rng.uniform(1.0, 9.0) if rng.random() < 0.6 else 0.0
        self._quality = int(rng.integers(30, 95)) if rng.random() < 0.6 else None

    def take(self, canvas: NDArray[np.float32], frame: int) -> Picture:
        """`canvas` (H, W, 3), 0..255, as the camera sees it: (H, W, 3) uint8."""
        picture = np.asarray(canvas.clip(0.0, 255.0), dtype=np.uint8)
        levels = (np.arange(256.0) / 255.0) ** self._gamma * 255.0
        table = (levels[:, None] * self._gains[frame]).clip(0, 255).astype(np.uint8)
        picture = np.asarray(cv2.LUT(picture, table[None]), dtype=np.uint8)
        if self._softness > 0:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), self._softness), np.uint8)
        if self._noise > 0:
            grain = self._rng.standard_normal(picture.shape, dtype=np.float32) * self._noise
            picture = (picture + grain).clip(0, 255).astype(np.uint8)
        if self._quality is not None:
            written, encoded = cv2.imencode(
                ".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self._quality]
            )
            decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if written else None
            if decoded is not None:
                picture = np.asarray(decoded, dtype=np.uint8)
        return picture
