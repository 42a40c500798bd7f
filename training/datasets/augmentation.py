"""What the published recipe does to pictures and masks: crops, affine and bending moves, colour.

The figures are XMem's (Cheng and Schwing, ECCV 2022, supplementary material).
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from training.motion import Floats
from training.pack import Picture

Labels = NDArray[np.int16]
_FILL = (124, 116, 104)  # ImageNet's mean colour, where a picture has ended
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_BEND_POINTS, _BEND_DEVIATION = 12, 0.02  # the latter as a share of the picture


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def of(self, picture: NDArray[np.generic]) -> NDArray[np.generic]:
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


def random_box(rng: np.random.Generator, height: int, width: int, smallest_share: float) -> Box:
    """A random part of `smallest_share` to all of the area, sides 3:4 to 4:3 where it fits."""
    for _ in range(10):
        area = height * width * rng.uniform(smallest_share, 1.0)
        ratio = float(np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3))))
        w, h = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
            return Box(int(left), int(top), w, h)
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    return Box((width - w) // 2, (height - h) // 2, w, h)


def resized(picture: Picture, labels: Labels, width: int, height: int) -> tuple[Picture, Labels]:
    """Both at another size; labels by nearest neighbour."""
    shrinks = width * height < picture.shape[0] * picture.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return (
        np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8),
        np.asarray(cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST), np.int16),
    )


def random_affine(
    rng: np.random.Generator,
    width: int,
    height: int,
    *,
    degrees: float,
    shear_degrees: float,
    scale: float = 0.0,
) -> Floats:
    """(3, 3) a turn, a shear and a scaling by 1 - scale to 1 + scale, about the middle."""
    angle = np.deg2rad(rng.uniform(-degrees, degrees))
    shear = np.tan(np.deg2rad(rng.uniform(-shear_degrees, shear_degrees)))
    factor = rng.uniform(1 - scale, 1 + scale)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = factor * turn @ np.array([[1.0, shear], [0.0, 1.0]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = middle - linear @ middle
    return matrix


def moved(picture: Picture, labels: Labels, matrix: Floats, size: int) -> tuple[Picture, Labels]:
    """(size, size) of what `matrix` (3, 3), from old to new pixels, makes of both."""
    across = (size, size)
    return (
        np.asarray(
            cv2.warpAffine(picture, matrix[:2], across, flags=cv2.INTER_LINEAR, borderValue=_FILL),
            np.uint8,
        ),
        np.asarray(cv2.warpAffine(labels, matrix[:2], across, flags=cv2.INTER_NEAREST), np.int16),
    )


def bent(rng: np.random.Generator, picture: Picture, labels: Labels) -> tuple[Picture, Labels]:
    """Both bent by a thin-plate spline through a dozen points that moved a little (Bookstein,
    PAMI 1989)."""
    height, width = labels.shape
    points = rng.uniform(0, 1, (_BEND_POINTS, 2))
    shifts = rng.normal(0, _BEND_DEVIATION, (_BEND_POINTS, 2))
    rows, columns = np.mgrid[0:1:33j, 0:1:33j]
    spline = RBFInterpolator(points, shifts, kernel="thin_plate_spline")
    coarse = spline(np.stack([columns.ravel(), rows.ravel()], axis=1))
    coarse = coarse.reshape(33, 33, 2).astype(np.float32)
    shift = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    from_x = np.asarray(x + shift[..., 0] * width, np.float32)
    from_y = np.asarray(y + shift[..., 1] * height, np.float32)
    return (
        np.asarray(
            cv2.remap(picture, from_x, from_y, cv2.INTER_LINEAR, borderValue=_FILL), np.uint8
        ),
        np.asarray(cv2.remap(labels, from_x, from_y, cv2.INTER_NEAREST), np.int16),
    )


@dataclass(frozen=True, slots=True)
class Colour:
    """One change of brightness, contrast and saturation, and perhaps of all colour to grey."""

    brightness: float
    contrast: float
    saturation: float

    @classmethod
    def random(
        cls,
        rng: np.random.Generator,
        brightness: float,
        contrast: float,
        saturation: float,
        grey_share: float = 0.0,
    ) -> Self:
        """Each factor from 1 - x to 1 + x."""
        drawn = [rng.uniform(1 - x, 1 + x) for x in (brightness, contrast, saturation)]
        if rng.random() < grey_share:
            drawn[2] = 0.0
        return cls(*drawn)

    def of(self, picture: Picture) -> Picture:
        """picture (H, W, 3) RGB."""
        floats = picture.astype(np.float32) * self.brightness
        mean = float((floats @ _GREY).mean())
        floats = mean + (floats - mean) * self.contrast
        grey = (floats @ _GREY)[..., None]
        floats = grey + (floats - grey) * self.saturation
        return np.asarray(floats.round().clip(0, 255), np.uint8)
