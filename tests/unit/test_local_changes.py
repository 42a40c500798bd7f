"""A network that does not know the previous mask changes only what a click is about."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from interaction.annotation.types import Click
from interaction.clicks.fbrs import ClickNetwork, InsertionPoint
from interaction.clicks.prompts import ClickConfig
from interaction.clicks.segmenter import ClickSegmenter, explained_change, merged

HEIGHT, WIDTH = 40, 60
EIGHT_NEIGHBOURS = np.ones((3, 3), int)


class RedIsTheObject(ClickNetwork):
    """Answers with what is red in the picture, wherever the clicks are."""

    takes_previous_mask = False
    size_multiple = 1

    def __init__(self) -> None:
        super().__init__()
        self.insertion_channels = {InsertionPoint.BEFORE_HEAD: 1}
        self.gain = torch.nn.Parameter(torch.tensor(40.0), requires_grad=False)

    def click_maps(self, clicks: Tensor, height: int, width: int) -> Tensor:
        return torch.zeros(clicks.shape[0], 2, height, width)

    def picture_features(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return (pictures[:, :1],)

    def features(
        self,
        picture: tuple[Tensor, ...],
        click_maps: Tensor,
        previous: Tensor,
        point: InsertionPoint,
    ) -> tuple[Tensor, ...]:
        return picture

    def logits(
        self, features: tuple[Tensor, ...], point: InsertionPoint, height: int, width: int
    ) -> Tensor:
        return (features[0] - 0.5) * self.gain


def segmenter(zoom_expansion: float = 100) -> ClickSegmenter:
    """Zooms on the whole frame, at its own size, so that answers are exact; or on the object."""
    config = ClickConfig(
        mode="NoBRS", zoom_px=60, least_crop_px=24, longest_px=60, zoom_expansion=zoom_expansion
    )
    return ClickSegmenter(RedIsTheObject(), config)


def red(*parts: tuple[slice, slice]) -> NDArray[np.uint8]:
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for part in parts:
        frame[part] = (255, 0, 0)
    return frame


ARM = np.s_[10:20, 18:26]
FAR = np.s_[30:38, 50:58]


@pytest.fixture
def start() -> NDArray[np.uint8]:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[10:20, 8:18] = 1
    labels[30:34, 2:6] = 1  # a part the network sees nothing of
    labels[14:18, 22:24] = 2
    labels[12:14, 24:26] = 3
    labels[0:3, 40:50] = 4
    return labels


def test_a_positive_click_adds_the_part_it_lies_in_and_nothing_else(
    start: NDArray[np.uint8],
) -> None:
    frame = red(np.s_[10:20, 8:18], ARM, FAR)
    result = segmenter().segment(frame, start, 1, [Click(20.5, 15.5, True)], locked={3})
    expected = start.copy()
    expected[ARM] = 1
    expected[12:14, 24:26] = 3  # locked
    np.testing.assert_array_equal(result.labels, expected)


def test_a_negative_click_takes_the_part_it_lies_in_and_nothing_else(
    start: NDArray[np.uint8],
) -> None:
    frame = red(np.s_[10:20, 8:14])  # less than there was, and neither of the other parts
    result = segmenter().segment(frame, start, 1, [Click(16.5, 15.5, False)])
    expected = start.copy()
    expected[10:20, 14:18] = 0
    np.testing.assert_array_equal(result.labels, expected)


def test_what_lies_outside_the_crop_stays(start: NDArray[np.uint8]) -> None:
    """Outside the crop the answer is zero, which is no news about it."""
    frame = red(np.s_[10:20, 8:18], ARM, FAR)
    start[30:34, 2:6] = 0
    start[FAR] = 5
    clicks = [Click(20.5, 15.5, True), Click(21.5, 12.5, True)]
    result = segmenter(1.0).segment(frame, start, 1, clicks)
    assert not result.probability[FAR].any()
    np.testing.assert_array_equal(result.labels[FAR], start[FAR])
    assert (result.labels[11:19, 19:25] == 1).all()
    changed = result.labels != start
    assert not changed[:, :17].any()
    assert not changed[:, 28:].any()


def test_a_click_on_an_empty_frame_starts_fresh(start: NDArray[np.uint8]) -> None:
    frame = red(ARM, FAR)
    result = segmenter().segment(frame, start, 9, [Click(20.5, 15.5, True)], locked={2})
    expected = start.copy()
    expected[ARM] = expected[FAR] = 9
    expected[14:18, 22:24] = 2
    np.testing.assert_array_equal(result.labels, expected)


masks = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).random((12, 15)) < 0.45
)
clicks = st.lists(
    st.builds(Click, st.floats(0, 14.9), st.floats(0, 11.9), st.booleans()), max_size=5
)


@settings(deadline=None, max_examples=150)
@given(old=masks, new=masks, given_clicks=clicks, others=st.integers(0, 2**32 - 1))
def test_every_changed_pixel_is_connected_to_a_click_of_its_sign(
    old: NDArray[np.bool_],
    new: NDArray[np.bool_],
    given_clicks: list[Click],
    others: int,
) -> None:
    labels = np.random.default_rng(others).integers(2, 5, old.shape, dtype=np.uint8)
    labels[np.random.default_rng(others + 1).random(old.shape) < 0.5] = 0
    labels[old] = 1
    result = merged(labels, 1, explained_change(old, new, given_clicks), locked={3})
    for change, sign in ((new & ~old, True), (old & ~new, False)):
        parts, _ = ndimage.label(change, EIGHT_NEIGHBOURS)
        at = {int(parts[int(c.y), int(c.x)]) for c in given_clicks if c.is_positive == sign}
        explained = np.isin(parts, list(at - {0})) & ((labels != 3) | (not sign))
        now = result == 1
        if sign:
            np.testing.assert_array_equal(now & ~old, explained)
        else:
            np.testing.assert_array_equal(old & ~now, explained)
    untouched = (result == 1) == old
    untouched &= ~(old & (result != 1))
    np.testing.assert_array_equal(result[untouched], labels[untouched])
    np.testing.assert_array_equal(result == 3, labels == 3)
