"""Clicks: refinement, merging, keeping results, the crop, the simulated annotator."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from interaction.annotation.types import Click
from interaction.clicks.fbrs import (
    ClickNetwork,
    Inputs,
    InsertionPoint,
    Refiner,
    StoppedError,
    click_squares,
)
from interaction.clicks.prompts import MODES, ClickConfig, Mode, next_click
from interaction.clicks.segmenter import ClickSegmenter, explained_change, merged
from interaction.clicks.small_network import (
    SmallClickNetwork,
    _closest,
    click_network_header,
    load_small_click_network,
)
from interaction.clicks.zoom import around, whole_frame
from interaction.errors import ModelError
from xmem_core.network.inference import fold_batch_norms, merge_passes

SIZE = 64, 96


@pytest.fixture(scope="module")
def network() -> SmallClickNetwork:
    torch.manual_seed(5)
    network = SmallClickNetwork().eval().requires_grad_(False)
    network.head.weight.mul_(30)  # as decided as a trained one; else the penalty outweighs clicks
    return network


@pytest.fixture(scope="module")
def frame() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def segmenter(network: SmallClickNetwork, mode: Mode = "f-BRS-B") -> ClickSegmenter:
    return ClickSegmenter(
        network, ClickConfig(mode=mode, zoom_px=64, least_crop_px=24, longest_px=96)
    )


CLICKS = [Click(20, 20, True), Click(50, 10, False), Click(30, 30, True)]


def test_a_list_of_clicks_gives_the_same_mask_however_it_came_about(
    network: SmallClickNetwork, frame: NDArray[np.uint8]
) -> None:
    start = np.zeros(SIZE, np.uint8)
    one_by_one = segmenter(network)
    for count in (1, 2, 3):
        grown = one_by_one.segment(frame, start, 2, CLICKS[:count], frame_key="f")
    whole = segmenter(network).segment(frame, start, 2, CLICKS)
    np.testing.assert_array_equal(grown.probability, whole.probability)
    np.testing.assert_array_equal(grown.labels, whole.labels)

    # Taking the middle click back is a shorter list.
    shorter = one_by_one.segment(frame, start, 2, [CLICKS[0], CLICKS[2]], frame_key="f")
    fresh = segmenter(network).segment(frame, start, 2, [CLICKS[0], CLICKS[2]])
    np.testing.assert_array_equal(shorter.probability, fresh.probability)


@pytest.mark.parametrize("mode", MODES)
def test_refinement_brings_the_answer_nearer_to_the_clicks(
    network: SmallClickNetwork, mode: Mode
) -> None:
    rows = torch.tensor([[[20.0, 20.0, 1.0], [10.0, 50.0, 0.0], [30.0, 30.0, 1.0]]])
    pictures = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    inputs = Inputs(
        picture=network.picture_features(pictures),
        pictures=pictures,
        click_maps=network.click_maps(rows, *SIZE),
        previous=torch.zeros(1, 1, *SIZE),
        positive=click_squares(rows, 1.0, *SIZE),
        negative=click_squares(rows, 0.0, *SIZE),
    )
    assert inputs.positive.sum() == 18
    assert inputs.negative.sum() == 9
    refiner = Refiner(network, mode, least_mask_change=0.0)  # never satisfied with little
    before, _ = refiner.loss_of(refiner.plain(inputs), inputs)
    logits, numbers = refiner.refined(inputs, None, lambda: False)
    after, _ = refiner.loss_of(logits, inputs)
    if mode == "NoBRS":
        assert after == before
        assert numbers is None
    else:
        assert after < before
        assert numbers is not None
        assert np.abs(numbers).max() > 0


def test_clicks_work_inside_inference_mode_too(
    network: SmallClickNetwork, frame: NDArray[np.uint8]
) -> None:
    start = np.zeros(SIZE, np.uint8)
    outside = segmenter(network).segment(frame, start, 1, CLICKS)
    with torch.inference_mode():
        inside = segmenter(network).segment(frame, start, 1, CLICKS)
    np.testing.assert_array_equal(inside.probability, outside.probability)


def test_the_stop_flag_ends_a_click_at_once(
    network: SmallClickNetwork, frame: NDArray[np.uint8]
) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked >= 2

    with pytest.raises(StoppedError):
        segmenter(network).segment(frame, np.zeros(SIZE, np.uint8), 1, CLICKS, stop=stop)
    assert asked == 2


def test_the_mask_that_is_there_matters(
    network: SmallClickNetwork, frame: NDArray[np.uint8]
) -> None:
    start = np.zeros(SIZE, np.uint8)
    start[10:30, 10:40] = 1
    with_mask = segmenter(network).segment(frame, start, 1, CLICKS[:1])
    without = segmenter(network).segment(frame, start, 2, CLICKS[:1])
    assert not np.array_equal(with_mask.probability, without.probability)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_frame_that_was_looked_at_needs_no_features_any_more_and_gets_the_same_mask(
    network: SmallClickNetwork,
    frame: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
    is_there: bool,
) -> None:
    start = np.zeros(SIZE, np.uint8)
    if is_there:
        start[10:30, 10:40] = 2
    plain = segmenter(network, "NoBRS")
    expected = plain.segment(frame, start, 2, CLICKS[:1], frame_key="f")
    seen: list[tuple[int, ...]] = []
    compute = network.picture_features

    def counted(pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen.append(tuple(pictures.shape[2:]))
        return compute(pictures)

    monkeypatch.setattr(network, "picture_features", counted)
    looking = segmenter(network, "NoBRS")
    looking.look(frame, start, 2, frame_key="f")
    looking.look(frame, start, 2, frame_key="f")
    assert len(seen) == 1
    seen.clear()
    rough = looking.segment(frame, start, 2, CLICKS[:1], frame_key="f", is_preview=True)
    assert seen == []
    exact = looking.segment(frame, start, 2, CLICKS[:1], frame_key="f")
    np.testing.assert_array_equal(exact.labels, expected.labels)
    np.testing.assert_array_equal(exact.probability, expected.probability)
    assert np.array_equal(rough.probability, exact.probability) is is_there


def test_clicks_outside_or_missing_are_refused(
    network: SmallClickNetwork, frame: NDArray[np.uint8]
) -> None:
    start = np.zeros(SIZE, np.uint8)
    with pytest.raises(ValueError, match="at least one click"):
        segmenter(network).segment(frame, start, 1, [])
    with pytest.raises(ValueError, match="outside"):
        segmenter(network).segment(frame, start, 1, [Click(96, 3, True)])
    with pytest.raises(ValueError, match="the mask"):
        segmenter(network).segment(frame[:-1], start, 1, CLICKS)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sets(st.integers(1, 4)))
def test_a_locked_object_keeps_and_gets_every_pixel_it_has(seed: int, locked: set[int]) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, (9, 11), dtype=np.uint8)
    mask = rng.random((9, 11)) < 0.5
    result = merged(labels, 3, mask, locked)
    for object_id in locked:
        np.testing.assert_array_equal(result == object_id, labels == object_id)
    if 3 not in locked:
        expected = mask & ~np.isin(labels, list(locked))
        np.testing.assert_array_equal(result == 3, expected)
    untouched = ~mask & (labels != 3)
    np.testing.assert_array_equal(result[untouched], labels[untouched])


def test_only_what_a_click_explains_changes() -> None:
    old = np.zeros((20, 30), bool)
    old[5:10, 5:10] = True
    new = old.copy()
    new[5:10, 10:14] = True  # grown, clicked on
    new[15:18, 20:25] = True  # grown elsewhere
    new[5, 5] = False  # lost without a click
    result = explained_change(old, new, [Click(12, 7, True)])
    expected = old.copy()
    expected[5:10, 10:14] = True
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(explained_change(np.zeros_like(old), new, []), new)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(20, 70), st.integers(20, 70))
def test_a_crop_holds_the_object_and_its_way_back_is_zero_outside(
    seed: int, height: int, width: int
) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), bool)
    top, left = int(rng.integers(height - 4)), int(rng.integers(width - 4))
    mask[top : top + 4, left : left + 4] = True
    crop = around(mask, [], expansion=1.4, least_px=10, target_px=32, multiple=16)
    assert crop is not None
    assert mask[crop.top : crop.bottom, crop.left : crop.right].sum() == 16
    assert crop.height % 16 == crop.width % 16 == 0
    whole = crop.back(torch.ones(1, 1, crop.height, crop.width), height, width)[0, 0]
    inside = torch.zeros(height, width)
    inside[crop.top : crop.bottom, crop.left : crop.right] = 1
    torch.testing.assert_close(whole, inside)


def test_a_crop_at_its_own_size_is_exact() -> None:
    crop = whole_frame(32, 48, 100, 16)
    picture = torch.rand(1, 3, 32, 48)
    assert torch.equal(crop.back(crop.cut(picture), 32, 48), picture)
    [[row, column, sign]] = crop.rows_of([Click(7, 5, True)])[0].tolist()
    assert (row, column, sign) == (5, 7, 1)


class Brightness(ClickNetwork):
    """Finds what is bright and remembers the sizes it was shown."""

    takes_previous_mask = True
    insertion_channels = {InsertionPoint.BEFORE_HEAD: 1}  # noqa: RUF012
    size_multiple = 1

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.seen: list[tuple[int, ...]] = []

    def click_maps(self, clicks: torch.Tensor, height: int, width: int) -> torch.Tensor:
        return torch.zeros(1, 2, height, width)

    def picture_features(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.seen.append(tuple(pictures.shape[2:]))
        return (pictures[:, :1],)

    def features(self, picture: tuple[torch.Tensor, ...], *_: object) -> tuple[torch.Tensor, ...]:
        return picture

    def logits(self, features: tuple[torch.Tensor, ...], *_: object) -> torch.Tensor:
        return 20 * (features[0] - 0.5)


def test_a_small_object_is_looked_at_again_from_nearby() -> None:
    network = Brightness()
    frame = np.zeros((200, 300, 3), np.uint8)
    frame[50:70, 100:130] = 255
    near = ClickSegmenter(network, ClickConfig(first_zoom_px=64, least_crop_px=40))
    found = near.segment(frame, np.zeros((200, 300), np.uint8), 1, [Click(110, 60, True)])
    assert network.seen[0] == (200, 300)
    assert max(network.seen[1]) == 64
    np.testing.assert_array_equal(found.labels > 0, frame[..., 0] > 0)


def test_the_simulated_annotator_clicks_in_the_middle_of_the_larger_error() -> None:
    truth = np.zeros((21, 31), bool)
    truth[2:13, 2:13] = True
    predicted = np.zeros_like(truth)
    predicted[15:18, 25:28] = True
    assert next_click(predicted, truth) == Click(7, 7, True)
    assert next_click(truth | predicted, truth) == Click(26, 16, False)
    assert next_click(truth, truth) is None
    again = next_click(predicted, truth, [Click(7, 7, True)])
    assert again is not None
    assert (again.x, again.y) != (7, 7)


def test_saved_weights_load_with_norms_folded_and_answer_the_same(
    network: SmallClickNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "clicks.safetensors"
    state = {n: t.contiguous() for n, t in network.state_dict().items() if "num_batches" not in n}
    save_file(state, path, click_network_header({"step": "1"}))
    loaded = load_small_click_network(path)
    picture, maps = torch.rand(1, 3, 32, 64), torch.zeros(1, 3, 32, 64)
    previous = torch.zeros(1, 1, 32, 64)
    torch.testing.assert_close(
        loaded(picture, maps, previous), network(picture, maps, previous), rtol=1e-3, atol=1e-3
    )
    assert InsertionPoint.AFTER_CONTEXT in loaded.insertion_channels


def test_the_trunk_in_few_passes_answers_the_same_and_still_has_gradients(
    network: SmallClickNetwork,
) -> None:
    quick = copy.deepcopy(network)
    fold_batch_norms(quick)
    merge_passes(quick)
    picture, maps = torch.rand(2, 3, 64, 96), torch.zeros(2, 3, 64, 96)
    maps[0, 0, 20, 30], maps[0, 1, 50, 70], maps[1, 0, 40, 10] = 1, 1, 1
    previous = torch.zeros(2, 1, 64, 96)
    torch.testing.assert_close(
        quick(picture, maps, previous), network(picture, maps, previous), rtol=1e-3, atol=1e-3
    )
    gradients = []
    for one in (quick, network):
        wanted = picture.clone().requires_grad_()
        gradients.append(torch.autograd.grad(one(wanted, maps, previous).sum(), wanted)[0])
    assert gradients[1].abs().max() > 0
    torch.testing.assert_close(*gradients, rtol=1e-2, atol=1e-3 * float(gradients[1].abs().max()))


def test_likeness_to_clicks_is_of_the_closest_of_them_and_zero_without_any() -> None:
    torch.manual_seed(0)
    look = torch.nn.functional.normalize(torch.randn(2, 5, 4, 6), dim=1)
    clicks = torch.zeros(2, 2, 64, 96)
    clicks[0, 0, 3, 3] = clicks[0, 0, 40, 90] = clicks[1, 1, 20, 50] = 1
    found = _closest(look, clicks)
    for batch, sign, places in ((0, 0, [(0, 0), (2, 5)]), (1, 1, [(1, 3)])):
        alike = [(look[batch] * look[batch, :, y, x, None, None]).sum(dim=0) for y, x in places]
        torch.testing.assert_close(found[batch, sign], torch.stack(alike).amax(dim=0))
    assert not found[0, 1].any()
    assert not found[1, 0].any()


@pytest.mark.parametrize("damage", ["cut", "foreign", "missing", "not finite"])
def test_files_that_are_no_click_model_are_named(
    network: SmallClickNetwork, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "clicks.safetensors"
    state = {n: t.contiguous() for n, t in network.state_dict().items() if "num_batches" not in n}
    header = click_network_header({})
    if damage == "foreign":
        header["format"] = "something else"
    elif damage == "missing":
        del state["head.bias"]
    elif damage == "not finite":
        state["head.bias"] = torch.tensor([float("nan")])
    save_file(state, path, header)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"clicks\.safetensors"):
        load_small_click_network(path)


def test_the_bundled_click_model_is_small_and_finds_a_plain_square() -> None:
    from resources import weights_folder

    path = weights_folder() / "small-clicks.safetensors"
    assert path.stat().st_size <= 16_000_000
    assert load_file(path)
    frame = np.full((120, 160, 3), (60, 90, 200), np.uint8)
    frame[30:90, 50:110] = (220, 60, 40)
    truth = np.zeros((120, 160), bool)
    truth[30:90, 50:110] = True
    clicker = ClickSegmenter(load_small_click_network(path))
    clicks = [Click(80, 60, True), Click(10, 10, False), Click(60, 40, True)]
    mask = clicker.segment(frame, np.zeros((120, 160), np.uint8), 1, clicks).labels == 1
    assert (mask & truth).sum() / (mask | truth).sum() > 0.8
    assert all(bool(mask[int(c.y), int(c.x)]) == c.is_positive for c in clicks)
