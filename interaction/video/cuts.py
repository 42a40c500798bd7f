"""Find the cuts of a video: frames that begin another shot."""

from collections.abc import Generator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.types import Frames
from interaction.errors import DamagedFrameError

Grey = NDArray[np.uint8]
GRID: Final = 192  # positions along the longer side
_LEAST_SIDE: Final = 32  # of what OpenCV's flow is given: it crashes on lower ones that are wide
_BLOCKS: Final = (24, 14)
# Of 379 pairs of neighbours in 20 clips the highest residual was 0.23, of pairs from two clips the
# lowest 0.41; `docs/effort.md` has the figures.
_RESIDUAL: Final = 0.4
_HISTOGRAM: Final = 0.13
_ALIKE: Final = 0.92  # a flash changes the brightness, not where things are


def small_grey(picture: NDArray[np.uint8]) -> Grey:
    """(H, W, 3) RGB -> (h, w), the longer side `GRID`."""
    scale = GRID / max(picture.shape[:2])
    size = max(8, round(picture.shape[1] * scale)), max(8, round(picture.shape[0] * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def motion(before: Grey, now: Grey) -> NDArray[np.float32]:
    """(h, w, 2) x and y in `before` of each position of `now`, by optical flow (DIS, Kroeger et
    al., ECCV 2016)."""
    height, width = now.shape
    down, right = max(0, _LEAST_SIDE - height), max(0, _LEAST_SIDE - width)
    if down or right:
        beyond = (0, down), (0, right)
        now, before = np.pad(now, beyond, "edge"), np.pad(before, beyond, "edge")
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    moved = dis.calc(now, before, np.zeros((*now.shape, 2), np.float32))[:height, :width]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return (moved + np.stack([x, y], axis=2)).astype(np.float32)


def is_cut(before: Grey, now: Grey, flow: NDArray[np.float32] | None = None) -> bool:
    """Whether `now` belongs to another shot than `before`, the frame beside it.

    By content: no motion explains the picture, and nothing is where it was; and by histogram.
    flow: `motion(before, now)` where it is known already.
    """
    flow = motion(before, now) if flow is None else flow
    border = cv2.BORDER_REPLICATE
    moved = cv2.remap(before, flow[..., 0], flow[..., 1], cv2.INTER_LINEAR, borderMode=border)
    difference = np.abs(moved.astype(np.float32) - now)
    if float(difference.mean()) <= _RESIDUAL * (float(now.std()) + 8):
        return False
    levels = [np.histogram(one, 32, (0, 256))[0] / one.size for one in (before, now)]
    if 1 - float(np.minimum(*levels).sum()) <= _HISTOGRAM:
        return False
    blocks = [cv2.resize(one, _BLOCKS, interpolation=cv2.INTER_AREA) for one in (moved, now)]
    first, second = (one.astype(np.float64).ravel() - one.mean() for one in blocks)
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return lengths == 0 or float(first @ second) / lengths < _ALIKE


def find_cuts(video: Frames) -> Generator[int, None, list[int]]:
    """Yields how many frames were looked at; returns the first frame of each shot but the first.
    Frames that cannot be decoded are passed over."""
    cuts: list[int] = []
    before: Grey | None = None
    for frame in range(len(video)):
        try:
            now = small_grey(video[frame])
        except DamagedFrameError:
            yield frame + 1
            continue
        # Flow costs; most neighbours differ far too little.
        if before is not None and _may_be_cut(before, now) and is_cut(before, now):
            cuts.append(frame)
        before = now
        yield frame + 1
    return cuts


def _may_be_cut(before: Grey, now: Grey) -> bool:
    """False where even without motion the pictures are alike."""
    return float(cv2.absdiff(before, now).mean()) > _RESIDUAL / 2 * (float(now.std()) + 8)
