"""How much a tracked mask deserves a look: one number a frame, cheap enough for every frame.

For each object, four signs of trouble, each from 0 to 1, all from the network's probabilities on
a grid of at most 160 positions a side:

- soft edge: positions where the likeliest label leads the second by less than 0.6, one of the two
  being the object, in relation to the object's edge. A clean mask has about one of them for each
  position of its edge; 1 from four on.
- soft inside: the mean of 1 - lead over the object's positions away from its edge, doubled.
- jump: the change of area against the frame before, as |log ratio|; 1 from a factor of 2 on.
- pieces: how many more parts the mask has than the frame before, a third for each.

They are joined as independent warnings, 1 - product(1 - weight * sign), and the frame's doubt is
that of its worst object.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from xmem_core.pictures import Prediction

__all__ = ["FrameShape", "measure_doubt"]

_GRID: Final = 160
_LEAD: Final = 0.6
_SMALLEST_AREA: Final = 4  # grid positions; below it a mask is too small to judge its shape
_SMALLEST_PIECE: Final = 0.02  # of the object's area
_WEIGHTS: Final = {"edge": 0.6, "inside": 0.8, "jump": 0.5, "pieces": 0.3}


@dataclass(frozen=True, slots=True)
class FrameShape:
    """What the next frame is compared with: area and parts of each object."""

    areas: Mapping[int, float] = field(default_factory=dict)  # share of the picture, by object
    pieces: Mapping[int, int] = field(default_factory=dict)


def measure_doubt(prediction: Prediction, before: FrameShape | None) -> tuple[float, FrameShape]:
    """Doubt in [0, 1] and the frame's shape; before: that of the frame tracked just before, None
    if there was none."""
    step = max(1, math.ceil(max(prediction.small.shape[-2:]) / _GRID))
    with torch.inference_mode():
        grid = prediction.small[:, ::step, ::step].float().cpu()
        best, winner = grid.topk(min(2, len(grid)), dim=0)
    if len(grid) < 2:
        return 0.0, FrameShape()
    lead = (best[0] - best[1]).numpy()
    first, second = winner[0].numpy(), winner[1].numpy()
    areas: dict[int, float] = {}
    pieces: dict[int, int] = {}
    doubt = 0.0
    for channel, object_id in enumerate(prediction.objects, start=1):
        mask = first == channel
        area = int(np.count_nonzero(mask))
        areas[object_id] = area / mask.size
        pieces[object_id] = count = _count_pieces(mask, area)
        is_soft = (lead < _LEAD) & (mask | (second == channel))
        signs = {"edge": 0.0, "inside": 0.0, "jump": 0.0, "pieces": 0.0}
        if area >= _SMALLEST_AREA:
            inside = _inside(mask)
            edge = max(1, area - int(np.count_nonzero(inside)))
            signs["edge"] = _clip((np.count_nonzero(is_soft) / edge - 1) / 3)
            if inside.any():
                signs["inside"] = _clip(2 * float(np.mean(1 - lead[inside])))
        if before is not None and object_id in before.areas:
            old = before.areas[object_id] * mask.size  # a given mask's grid may be another
            if max(old, area) >= _SMALLEST_AREA:
                ratio = (area + 1) / (old + 1)
                signs["jump"] = _clip(abs(math.log(ratio)) / math.log(2))
                signs["pieces"] = _clip((count - before.pieces[object_id]) / 3)
        trust = math.prod(1 - _WEIGHTS[name] * sign for name, sign in signs.items())
        doubt = max(doubt, 1 - trust)
    return doubt, FrameShape(areas, pieces)


def _inside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Positions of the mask whose four neighbours are in it too; the border counts as in."""
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    eroded = cv2.erode(mask.astype(np.uint8), cross, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return eroded.astype(np.bool_)


def _count_pieces(mask: NDArray[np.bool_], area: int) -> int:
    if not area:
        return 0
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    return int(np.count_nonzero(sizes >= max(1.0, _SMALLEST_PIECE * area)))


def _clip(value: float) -> float:
    return float(min(1.0, max(0.0, value)))
