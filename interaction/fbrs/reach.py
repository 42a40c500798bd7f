"""What a click says of its surroundings, by where it was put.

An annotator clicks in the middle of what is wrong. So what is wrong reaches from the click at least
as far as to the nearest pixel that is already right: a click in a band along the outline tells
how wide the band is. Of something far away from the rest of the mask it tells nothing, and neither
does it of what is right elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interaction.types import Click

_SURE: Final = 2.0  # the least logit, on its side, of what is known


def reach_of(mask: NDArray[np.bool_], click: Click, most_share: float) -> float:
    """How far around `click` everything is on its side, in pixels; 0 if only the click itself is.

    mask: (H, W), what there was before the click. most_share: of the mask's extent, the square
    root of its area, that a click may be away from what is right to tell anything.
    """
    row, column = int(click.y), int(click.x)
    wrong = mask != click.is_positive
    if not wrong[row, column] or not mask.any() or wrong.all():
        return 0.0
    extent = float(np.sqrt(mask.sum()))
    distance = cv2.distanceTransform(wrong.astype(np.uint8), cv2.DIST_L2, 5)[row, column]
    return float(distance) - 1 if distance < most_share * extent else 0.0


def local_change(
    old: NDArray[np.bool_],
    new: NDArray[np.bool_],
    click: Click,
    *,
    reach_px: float,
    most_times: float,
) -> NDArray[np.bool_]:
    """Where `new` counts, if `click` corrects a mask `old` that is mostly right; all (H, W).

    What changes is of the click's sign, hangs together with the click, and lies no farther from it
    than `most_times` the way to the nearest edge of `old`. Everything within `reach_px` (from
    `reach_of`), and the clicked pixel itself, counts in any case.
    """
    row, column = int(click.y), int(click.x)
    alike = old == old[row, column]
    depth = float("inf")
    if not alike.all():
        depth = float(cv2.distanceTransform(alike.astype(np.uint8), cv2.DIST_L2, 5)[row, column])
    down, across = np.ogrid[: old.shape[0], : old.shape[1]]
    away = (down - row) ** 2 + (across - column) ** 2
    right = old == click.is_positive
    change = ~right & (new == click.is_positive)
    if right[row, column]:
        change |= right  # it asks for more than its own place: what it changes begins at the edge
    counts = (change & (away <= (most_times * depth) ** 2)) | (away <= reach_px**2)
    parts = cv2.connectedComponents(counts.astype(np.uint8), connectivity=8)[1]
    return np.asarray(parts == parts[row, column])


def obeyed(logits: Tensor, rows: Tensor, reaches_px: Sequence[float]) -> Tensor:
    """`logits` (1, 1, H, W), but on a click's side wherever it reaches.

    rows (1, N, 3) row, column, sign; reaches_px (N,) radii, at least one pixel each. A click
    reaches no farther than half the way to the nearest click of the other sign. So no click is
    without effect, whatever the network makes of it.
    """
    result = logits.clone()
    down = torch.arange(logits.shape[2], device=logits.device).view(-1, 1)
    across = torch.arange(logits.shape[3], device=logits.device).view(1, -1)
    places, signs = rows[0, :, :2], rows[0, :, 2]
    for (row, column), sign, reach in zip(places.tolist(), signs.tolist(), reaches_px, strict=True):
        others = places[signs != sign]
        radius = max(reach, 1.0)
        if len(others):
            apart = (others - torch.tensor([row, column])).norm(dim=1).min()
            radius = min(radius, float(apart) / 2)
        inside = (down - row).square() + (across - column).square() <= radius**2
        sure = result.clamp_min(_SURE) if sign > 0 else result.clamp_max(-_SURE)
        result = torch.where(inside, sure, result)
    return result
