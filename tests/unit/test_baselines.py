"""The baselines on a tiny made-up clip, with a trunk whose features are the colours."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.baselines import Clip, copies, mean_j, nearest_neighbours, score, within_reach

SIDE, CELL = 160, 16


class Colours(nn.Module):
    def forward(self, pictures: Tensor) -> SimpleNamespace:
        return SimpleNamespace(stride16=F.avg_pool2d(pictures, CELL))


def clip(step: int, frames: int = 4) -> Clip:
    """A red square of three elements a side that moves right by `step` elements a frame."""
    pictures, truths = [], []
    for index in range(frames):
        truth = np.zeros((SIDE, SIDE), np.uint8)
        left = CELL * step * index
        truth[CELL : 4 * CELL, left : left + 3 * CELL] = 7
        picture = np.full((SIDE, SIDE, 3), (20, 90, 60), np.uint8)
        picture[truth > 0] = (230, 30, 40)
        pictures.append(picture)
        truths.append(truth)
    return Clip("made up", pictures, truths)


def test_a_still_object_is_copied_without_loss() -> None:
    still = clip(step=0)

    assert mean_j(copies(still), still.truths) == 1.0


def test_copying_loses_what_moves_and_nearest_neighbours_keep_it() -> None:
    scores = score(clip(step=1), Colours(), SIDE)

    # After one and two elements of three: 2/4 and 1/5 of the union.
    assert scores.copy == pytest.approx((2 / 4 + 1 / 5) / 2)
    assert scores.nearest > 0.85


def test_what_jumps_beyond_the_reach_is_lost_to_nearest_neighbours() -> None:
    wide = np.full((SIDE, 2 * SIDE, 3), (20, 90, 60), np.uint8)
    truth = np.zeros((SIDE, 2 * SIDE), np.uint8)
    truth[CELL : 4 * CELL, : 3 * CELL] = 7
    frames = []
    for elements in (0, 5, 16):
        picture = wide.copy()
        picture[np.roll(truth, elements * CELL, axis=1) > 0] = (230, 30, 40)
        frames.append(picture)

    labels = list(nearest_neighbours(Clip("jumps", frames, [truth] * 3), Colours(), SIDE))

    assert (labels[1] == 7).sum() > 0.8 * (truth == 7).sum()
    assert not labels[2].any()


@pytest.mark.parametrize("reach", [0, 1, 2])
def test_reach_counts_elements_in_both_directions(reach: int) -> None:
    near = within_reach(5, 6, reach)

    middle = near[2 * 6 + 3].view(5, 6)
    rows, columns = torch.where(middle)
    assert rows.min() == 2 - reach
    assert rows.max() == min(2 + reach, 4)
    assert columns.min() == 3 - reach
    assert columns.max() == min(3 + reach, 5)
