"""Doubt: sure masks get little of it, soft, jumping and crumbling ones get more."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from interaction.tracking.propagation_job import FrameShape, measure_doubt
from xmem_core.pictures import Prediction

SIZE = 240, 320


def disc(
    x: float = 160, y: float = 120, radius: float = 50, softness: float = 2
) -> NDArray[np.float64]:
    """The probability of a disc whose edge goes from 0 to 1 over about `softness` pixels."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    inside = radius - np.hypot(columns - x, rows - y)
    return np.asarray(1 / (1 + np.exp(-4 * inside / softness)))


def prediction(*objects: NDArray[np.float64]) -> Prediction:
    stacked = np.stack([np.prod([1 - one for one in objects], axis=0), *objects])
    stacked /= stacked.sum(axis=0)
    return Prediction(
        tuple(range(1, len(objects) + 1)), torch.from_numpy(stacked.astype(np.float32)), SIZE
    )


def doubt(shown: Prediction, before: Prediction | None = None) -> float:
    shape = None if before is None else measure_doubt(before, None)[1]
    return measure_doubt(shown, shape)[0]


def test_a_clear_mask_that_stays_where_it_was_is_hardly_doubted() -> None:
    assert doubt(prediction(disc()), prediction(disc(x=164))) < 0.05


@pytest.mark.parametrize(
    "shown",
    [
        prediction(disc(softness=40)),  # nobody knows where it ends
        prediction(0.6 * disc()),  # it is hardly likelier than the background
        prediction(disc(radius=30)),  # much of it is gone
        prediction(0 * disc()),  # all of it is gone
        prediction(np.maximum(disc(x=80, radius=36), disc(x=240, radius=36))),  # it fell apart
    ],
    ids=["soft", "unsure", "shrunk", "gone", "in pieces"],
)
def test_signs_of_trouble_raise_it(shown: Prediction) -> None:
    before = prediction(disc())
    sure = doubt(prediction(disc()), before)
    assert doubt(shown, before) > sure + 0.05
    assert doubt(shown, before) <= 1


def test_more_trouble_is_more_doubt() -> None:
    before = prediction(disc())
    values = [doubt(prediction(disc(radius=radius)), before) for radius in (50, 45, 40, 35)]
    assert values == sorted(values)
    values = [doubt(prediction(share * disc())) for share in (1, 0.9, 0.8, 0.7, 0.6)]
    assert values == sorted(values)


def test_the_worst_object_counts() -> None:
    clear, unsure = disc(x=80, radius=30), 0.6 * disc(x=240, radius=30)
    assert doubt(prediction(clear, unsure)) == pytest.approx(doubt(prediction(unsure)), abs=0.05)


def test_an_object_that_comes_in_is_no_jump() -> None:
    before = measure_doubt(prediction(disc(x=80, radius=30)), None)[1]
    both = prediction(disc(x=80, radius=30), disc(x=240, radius=30))
    assert measure_doubt(both, before)[0] < 0.05


def test_frames_of_different_internal_size_are_compared_by_share_of_the_picture() -> None:
    large = prediction(disc())
    small = Prediction((1,), large.small[:, ::2, ::2], SIZE)
    assert doubt(small, large) < 0.1


def test_background_alone_is_not_doubted() -> None:
    nothing = Prediction((), torch.ones(1, *SIZE), SIZE)
    assert measure_doubt(nothing, None) == (0.0, FrameShape())
