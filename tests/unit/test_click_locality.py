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
from interaction.clicks.prompts import next_click
from interaction.clicks.segmenter import ClickConfig, ClickSegmenter, local_change, reach_of
from interaction.clicks.small_network import (
    SmallClickNetwork,
    click_network_bytes,
    load_small_click_network,
)

HEIGHT, WIDTH = 48, 64
EIGHT_NEIGHBOURS = np.ones((3, 3), int)
Mask = NDArray[np.bool_]


def box(top: int, bottom: int, left: int, right: int) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def changed(old: Mask, new: Mask, click: Click, reach_px: float = 0, most_times: float = 3) -> Mask:
    where = local_change(old, new, click, reach_px=reach_px, most_times=most_times)
    return np.asarray(np.where(where, np.where(old == click.is_positive, old, new), old))


def test_of_two_missing_parts_the_one_that_is_clicked_on_comes() -> None:
    old = box(16, 32, 20, 44)
    left, right = box(20, 28, 12, 20), box(20, 28, 44, 52)
    result = changed(old, old | left | right, Click(16, 24, True))
    np.testing.assert_array_equal(result, old | left)


def test_what_the_network_would_take_away_elsewhere_stays() -> None:
    old = box(16, 32, 20, 44)
    new = box(16, 32, 12, 30)  # a part more on the left, half of the object gone on the right
    result = changed(old, new, Click(16, 24, True))
    np.testing.assert_array_equal(result, box(16, 32, 12, 44))


def test_a_change_reaches_as_far_as_the_click_is_deep_and_no_farther() -> None:
    old = box(0, 24, 0, WIDTH)
    new = np.ones_like(old)
    result = changed(old, new, Click(32, 26, True), most_times=3)
    rows, columns = np.nonzero(result & ~old)
    away = np.hypot(rows - 26, columns - 32)
    assert away.max() <= 3 * 3  # three pixels from the nearest that was right
    assert len(rows) > 50


def test_a_click_where_the_mask_is_on_its_side_asks_for_what_lies_at_the_edge_near_it() -> None:
    old = box(16, 32, 20, 44)
    left, right = box(20, 28, 12, 20), box(20, 28, 44, 52)
    result = changed(old, old | left | right, Click(23, 24, True))
    np.testing.assert_array_equal(result, old | left)


def test_the_first_click_of_an_object_may_find_all_of_it() -> None:
    new = box(4, 44, 4, 60)
    np.testing.assert_array_equal(changed(np.zeros_like(new), new, Click(30, 20, True)), new)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**16), is_positive=st.booleans())
def test_every_change_is_of_the_clicks_sign_and_hangs_together_with_it(
    seed: int, is_positive: bool
) -> None:
    rng = np.random.default_rng(seed)
    old = ndimage.gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)), 3) > 0
    new = ndimage.gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)), 3) > 0
    click = Click(float(rng.integers(WIDTH)), float(rng.integers(HEIGHT)), is_positive)
    where = local_change(old, new, click, reach_px=0, most_times=3)
    result = np.where(where & (old != is_positive), is_positive, old)
    difference = result != old
    assert not (difference & (result != is_positive)).any()
    parts, count = ndimage.label(where, EIGHT_NEIGHBOURS)
    assert count == 1
    assert parts[int(click.y), int(click.x)] == 1


@pytest.mark.parametrize("mode", ["f-BRS-B", "NoBRS"])
def test_clicks_in_the_middle_of_errors_never_make_a_mask_worse(mode: str) -> None:
    """Whatever the network says: this one has learned nothing. Only `most_spread` is a guess."""
    torch.manual_seed(5)
    network = SmallClickNetwork().eval().requires_grad_(False)
    config = ClickConfig(
        mode=mode,  # type: ignore[arg-type]
        zoom_px=64,
        least_crop_px=24,
        longest_px=96,
        most_spread=0.0,
    )
    segmenter = ClickSegmenter(network, config)
    frame = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    truth = box(10, 38, 16, 48)
    start = box(14, 42, 20, 52).astype(np.uint8)  # too far right and down
    clicks: list[Click] = []
    mask, wrong = start > 0, [int((truth ^ (start > 0)).sum())]
    for _ in range(8):
        click = next_click(mask, truth, clicks)
        assert click is not None
        reach = reach_of(mask, click, config.most_reach)
        clicks.append(click)
        mask = segmenter.segment(frame, start, 1, clicks, frame_key="f").labels == 1
        assert mask[int(click.y), int(click.x)] == click.is_positive
        wrong.append(int((truth ^ mask).sum()))
        assert wrong[-1] < wrong[-2]
        if reach >= 2:
            assert wrong[-2] - wrong[-1] > reach**2


def test_a_new_object_is_free_until_its_mask_is_worth_keeping() -> None:
    torch.manual_seed(5)
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


def test_a_network_of_its_own_answers_the_first_click_on_a_new_object() -> None:
    everywhere, nowhere = (SmallClickNetwork().eval().requires_grad_(False) for _ in range(2))
    for network, logit in ((everywhere, 50.0), (nowhere, -50.0)):
        torch.nn.init.zeros_(network.head.weight)
        assert network.head.bias is not None
        torch.nn.init.constant_(network.head.bias, logit)
    nowhere.first_look = everywhere
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    config = ClickConfig(mode="NoBRS", zoom_px=64, least_crop_px=64, longest_px=96)
    segmenter = ClickSegmenter(nowhere, config)
    new, old = np.zeros((HEIGHT, WIDTH), np.uint8), box(10, 20, 10, 20).astype(np.uint8)
    clicks = [Click(20, 20, True), Click(40, 30, False)]
    assert segmenter.segment(frame, new, 1, clicks[:1]).labels.all()
    assert not segmenter.segment(frame, new, 1, clicks).labels.any()
    corrected = segmenter.segment(frame, old, 1, [Click(22, 14, True)]).labels
    assert 0 < (corrected != old).sum() < 20  # only what the click itself is about


def test_both_networks_of_a_file_are_loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    torch.manual_seed(5)
    others = SmallClickNetwork().eval()
    others.first_look = SmallClickNetwork().eval()
    path = tmp_path_factory.mktemp("pair") / "pair.safetensors"
    path.write_bytes(click_network_bytes(others, {}))
    loaded = load_small_click_network(path)
    assert isinstance(loaded.first_look, SmallClickNetwork)
    torch.testing.assert_close(
        loaded.first_look.head.weight, others.first_look.head.weight, rtol=1e-3, atol=1e-3
    )
    assert not torch.equal(loaded.head.weight, loaded.first_look.head.weight)
