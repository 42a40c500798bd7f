"""A click on a mask that is there changes only what hangs together with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from interaction.annotation.types import Click
from interaction.clicks.prompts import ClickConfig, Mode, next_click
from interaction.clicks.segmenter import ClickSegmenter, local_change
from interaction.clicks.small_network import SmallClickNetwork
from interaction.clicks.zoom import around, whole_frame
from tests.unit.test_local_changes import RedIsTheObject

HEIGHT, WIDTH = 48, 64
EIGHT_NEIGHBOURS = np.ones((3, 3), int)
Mask = NDArray[np.bool_]


def box(top: int, bottom: int, left: int, right: int) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def changed(old: Mask, new: Mask, *clicks: Click) -> Mask:
    """The mask after the last click, for a network that is sure of `new`."""
    is_positive = clicks[-1].is_positive
    agreement = np.where(new == is_positive, 0.9, 0.1).astype(np.float32)
    where = local_change(old, agreement, clicks)
    return np.where(where, is_positive, old)


def test_of_two_missing_parts_the_one_that_is_clicked_on_comes_whole() -> None:
    old = box(16, 32, 20, 44)
    left, right = box(20, 28, 2, 20), box(20, 28, 44, 52)
    result = changed(old, old | left | right, Click(18, 24, True))
    np.testing.assert_array_equal(result, old | left)


def test_what_the_network_would_take_away_elsewhere_stays() -> None:
    old = box(16, 32, 20, 44)
    new = box(16, 32, 12, 30)  # a part more on the left, half of the object gone on the right
    result = changed(old, new, Click(16, 24, True))
    np.testing.assert_array_equal(result, box(16, 32, 12, 44))


def test_a_leak_goes_up_to_the_edge_that_the_network_sees() -> None:
    new = box(10, 30, 10, 30)
    old = new | box(14, 26, 30, 62)
    np.testing.assert_array_equal(changed(old, new, Click(50, 20, False)), new)


def test_a_separate_piece_goes_whole_even_where_the_network_would_keep_it() -> None:
    own, stray = box(10, 38, 8, 36), box(20, 26, 44, 60)
    np.testing.assert_array_equal(changed(own | stray, own | stray, Click(58, 25, False)), own)


def test_a_piece_that_was_clicked_on_before_is_the_networks_to_judge() -> None:
    own, piece = box(10, 38, 8, 36), box(20, 26, 44, 60)
    half = box(20, 26, 44, 52)
    kept = Click(46, 22, True), Click(58, 22, False)
    np.testing.assert_array_equal(changed(own | piece, own | half, *kept), own | half)


def test_a_band_along_the_outline_does_not_come_with_the_part_it_leads_to() -> None:
    old, arm = box(12, 36, 12, 36), box(16, 32, 36, 56)
    band = box(11, 37, 11, 37) | box(11, 37, 36, 37)
    result = changed(old, old | band | arm, Click(46, 24, True))
    assert result[arm].all()
    assert not result[:, 11].any()  # the far side's band


def test_where_the_network_sees_nothing_a_click_still_changes_a_spot() -> None:
    old = box(16, 40, 16, 48)
    result = changed(old, old, Click(30, 28, False))
    lost = old & ~result
    assert lost[28, 30]
    assert 4 <= lost.sum() <= 30
    rows, columns = np.nonzero(lost)
    assert np.hypot(rows - 28, columns - 30).max() <= 3


def test_what_the_network_half_agrees_on_comes_in_its_own_shape() -> None:
    old, part = box(16, 32, 20, 44), box(20, 28, 44, 58)
    agreement = np.where(part, 0.4, 0.02).astype(np.float32)
    where = local_change(old, agreement, [Click(52, 24, True)])
    np.testing.assert_array_equal(where, part)


def test_a_click_where_the_mask_is_on_its_side_asks_for_what_lies_at_its_edge() -> None:
    old = box(16, 32, 20, 44)
    left, far = box(20, 28, 12, 20), box(2, 8, 50, 60)
    result = changed(old, old | left | far, Click(23, 24, True))
    np.testing.assert_array_equal(result, old | left)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**16), is_positive=st.booleans())
def test_every_change_is_of_the_clicks_sign_and_hangs_together_with_it(
    seed: int, is_positive: bool
) -> None:
    rng = np.random.default_rng(seed)
    old = ndimage.gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)), 3) > 0
    agreement = ndimage.gaussian_filter(rng.random((HEIGHT, WIDTH)), 3).astype(np.float32)
    agreement = (agreement - agreement.min()) / np.ptp(agreement)
    click = Click(float(rng.integers(WIDTH)), float(rng.integers(HEIGHT)), is_positive)
    where = local_change(old, agreement, [click])
    assert not (where & (old == is_positive)).any()
    row, column = int(click.y), int(click.x)
    if old[row, column] != is_positive:  # it lies in what changes, and that is one part
        assert where[row, column]
        assert ndimage.label(where, EIGHT_NEIGHBOURS)[1] == 1
    elif where.any():  # every part touches what the click lies in
        own = ndimage.label(old == is_positive, EIGHT_NEIGHBOURS)[0]
        near = ndimage.binary_dilation(own == own[row, column], EIGHT_NEIGHBOURS)
        parts, count = ndimage.label(where, EIGHT_NEIGHBOURS)
        assert set(np.unique(parts[near & where])) >= set(range(1, count + 1))


@pytest.mark.parametrize("mode", ["f-BRS-B", "NoBRS"])
def test_every_click_is_obeyed_whatever_the_network_says(mode: Mode) -> None:
    """This one has learned nothing."""
    torch.manual_seed(5)
    network = SmallClickNetwork().eval().requires_grad_(False)
    config = ClickConfig(mode=mode, zoom_px=64, least_crop_px=24, longest_px=96)
    segmenter = ClickSegmenter(network, config)
    frame = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    truth = box(10, 38, 16, 48)
    for start in (box(14, 42, 20, 52), np.zeros_like(truth)):
        clicks: list[Click] = []
        mask = start
        for _ in range(8):
            click = next_click(mask, truth, clicks)
            assert click is not None
            clicks.append(click)
            labels = segmenter.segment(frame, start.astype(np.uint8), 1, clicks, frame_key="f")
            mask = labels.labels == 1
            assert mask[int(click.y), int(click.x)] == click.is_positive


def test_a_new_object_is_free_until_its_mask_is_worth_keeping() -> None:
    torch.manual_seed(9)
    network = SmallClickNetwork().eval().requires_grad_(False)
    network.head.weight.mul_(30)
    frame = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    start = np.zeros((HEIGHT, WIDTH), np.uint8)
    clicks = [Click(20, 20, True), Click(50, 10, False), Click(30, 30, True)]
    masks = []
    for free in (2, 3):
        config = ClickConfig(zoom_px=64, least_crop_px=24, longest_px=96, free_clicks=free)
        segmenter = ClickSegmenter(network, config)
        before = segmenter.segment(frame, start, 1, clicks[:2]).labels > 0
        masks.append((before, segmenter.segment(frame, start, 1, clicks).labels > 0))
    np.testing.assert_array_equal(masks[0][0], masks[1][0])
    lost = [int((before & ~after).sum()) for before, after in masks]
    assert lost[0] == 0  # a positive click takes nothing away any more
    assert lost[1] > 0


def test_a_preview_is_what_the_click_then_gives_and_is_not_refined() -> None:
    torch.manual_seed(5)
    network = SmallClickNetwork().eval().requires_grad_(False)
    frame = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    start = box(14, 42, 20, 52).astype(np.uint8)
    clicks = [Click(18, 12, True), Click(50, 40, False)]
    for mode in ("NoBRS", "f-BRS-B"):
        config = ClickConfig(mode=mode, zoom_px=64, least_crop_px=24, longest_px=96)
        segmenter = ClickSegmenter(network, config)
        seen = segmenter.segment(frame, start, 1, clicks, frame_key="f", is_preview=True)
        given = segmenter.segment(frame, start, 1, clicks, frame_key="f")
        again = segmenter.segment(frame, start, 1, clicks)
        np.testing.assert_array_equal(given.probability, again.probability)
        if mode == "NoBRS":
            np.testing.assert_array_equal(seen.labels, given.labels)
        empty = np.zeros_like(start)
        segmenter.segment(frame, empty, 1, clicks[:1], frame_key="f", is_preview=True)
        first = segmenter.segment(frame, empty, 1, clicks[:1], frame_key="f")
        fresh = ClickSegmenter(network, config).segment(frame, empty, 1, clicks[:1])
        np.testing.assert_array_equal(first.probability, fresh.probability)


class RedBar(RedIsTheObject):
    """Corrects its own mask: as the bundled network it is asked from near."""

    takes_previous_mask = True


def test_a_part_that_goes_on_past_the_crop_comes_whole() -> None:
    frame = np.zeros((60, 240, 3), np.uint8)
    bar = np.s_[24:36, 20:220]
    frame[bar] = (255, 0, 0)
    start = np.zeros((60, 240), np.uint8)
    start[24:36, 20:40] = 1
    config = ClickConfig(zoom_px=240, longest_px=240, zoom_expansion=1.2, least_correction_px=24)
    result = ClickSegmenter(RedBar(), config).segment(frame, start, 1, [Click(44, 30, True)])
    found = result.labels == 1
    assert found[bar].mean() > 0.97  # the crop is seen at another size: an edge may be a pixel off
    assert found.sum() < 1.05 * 12 * 200


def test_a_crop_grows_only_where_it_cuts_a_mask_off() -> None:
    crop = around(box(16, 32, 20, 44), (), expansion=1.4, least_px=8, target_px=32, multiple=1)
    assert crop is not None
    inside = box(16, 32, 20, 44)
    assert crop.wider(inside, 32, 1) is None
    assert crop.wider(inside | box(20, 21, 44, WIDTH), 32, 1) is None  # a line of one pixel
    leak = crop.wider(inside | box(16, 32, 44, WIDTH), 32, 1)
    assert leak is not None
    assert (leak.top, leak.bottom, leak.left) == (crop.top, crop.bottom, crop.left)
    assert crop.right < leak.right <= WIDTH
    assert max(leak.height, leak.width) == 32
    everything = np.ones((HEIGHT, WIDTH), bool)
    assert whole_frame(HEIGHT, WIDTH, 64, 1).wider(everything, 64, 1) is None
