"""How well one mask agrees with another: region similarity J and boundary accuracy F.

Both as the DAVIS 2017 benchmark defines them. Pure functions of pixels; whole clips are scored in
`evaluation.py`.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, hypot
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Statistics",
    "boundary_accuracy",
    "boundary_map",
    "boundary_tolerance_px",
    "region_similarity",
    "summarize",
]

_TOLERANCE: Final = 0.008  # of the picture's diagonal
_RECALL_ABOVE: Final = 0.5
_DECAY_BINS: Final = 4


@dataclass(frozen=True, slots=True)
class Statistics:
    """One measure over the frames of one object, or averaged over several objects."""

    mean: float
    recall: float  # share of frames above 0.5
    decay: float  # mean of the first quarter of the frames less that of the last: lower is better


def region_similarity(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """J: intersection over union of two (H, W) masks; 1 if both are empty."""
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def boundary_accuracy(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """F: harmonic mean of the boundaries' precision and recall for two (H, W) masks.

    A boundary pixel counts as found if the other mask has one within `boundary_tolerance_px`.
    With no boundary in either mask F is 1, with one in only one of them it is 0. A mask that
    covers the whole picture has no boundary.
    """
    height, width = truth.shape
    rows, columns = _extent(prediction | truth)
    predicted = boundary_map(prediction[rows, columns])
    true = boundary_map(truth[rows, columns])

    predicted_count, true_count = np.count_nonzero(predicted), np.count_nonzero(true)
    if not predicted_count or not true_count:
        return float(predicted_count == true_count)
    disk = _disk(boundary_tolerance_px(height, width))
    precision = np.count_nonzero(predicted & _dilated(true, disk)) / predicted_count
    recall = np.count_nonzero(true & _dilated(predicted, disk)) / true_count
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def boundary_map(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W): where a pixel differs from its neighbour to the east, south or south-east.

    The last row looks only east, the last column only south, and the last pixel is never set.
    """
    boundary = np.zeros_like(mask)
    here = mask[:-1, :-1]
    boundary[:-1, :-1] = (here ^ mask[:-1, 1:]) | (here ^ mask[1:, :-1]) | (here ^ mask[1:, 1:])
    boundary[-1, :-1] = mask[-1, :-1] ^ mask[-1, 1:]
    boundary[:-1, -1] = mask[:-1, -1] ^ mask[1:, -1]
    return boundary


def boundary_tolerance_px(height: int, width: int) -> int:
    """How far apart two boundary pixels may lie and still be the same, in pixels."""
    return ceil(_TOLERANCE * hypot(height, width))


def summarize(values: NDArray[np.float64]) -> Statistics:
    """Mean, recall and decay of one measure; values: (frames,), at least one.

    Neighbouring quarters share a frame, as in the benchmark.
    """
    if values.size == 0:
        raise ValueError("values must hold at least one frame, got none")
    # The tiny push makes halves round up instead of to even, as in the benchmark.
    edges = np.round(np.linspace(1, values.size, _DECAY_BINS + 1) + 1e-10).astype(int) - 1
    first = values[: edges[1] + 1]
    last = values[edges[-2] :]
    return Statistics(
        mean=float(values.mean()),
        recall=float((values > _RECALL_ABOVE).mean()),
        decay=float(first.mean() - last.mean()),
    )


def _extent(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns that hold every set pixel and, inside the picture, one more all round.

    Boundaries lie within, so cutting them out changes no value and saves most of the work.
    """
    slices: list[slice] = []
    for axis in (1, 0):
        occupied = np.flatnonzero(mask.any(axis=axis))
        start, stop = (int(occupied[0]), int(occupied[-1])) if occupied.size else (0, 0)
        slices.append(slice(max(0, start - 1), stop + 2))
    return slices[0], slices[1]


@lru_cache(maxsize=8)
def _disk(radius_px: int) -> NDArray[np.uint8]:
    """(2r + 1, 2r + 1): 1 where the centre is at most `radius_px` away."""
    offsets = np.arange(-radius_px, radius_px + 1)
    return (offsets[:, None] ** 2 + offsets**2 <= radius_px**2).astype(np.uint8)


def _dilated(boundary: NDArray[np.bool_], disk: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return cv2.dilate(boundary.astype(np.uint8), disk).astype(np.bool_)
