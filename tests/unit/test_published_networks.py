"""Published click and scribble checkpoints: loaded as they are, and nothing else is."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor

from interaction.annotation.types import Click, Stroke
from interaction.clicks.fbrs import Inputs, InsertionPoint, Refiner, click_squares
from interaction.clicks.prompts import MODES, ClickConfig, Mode
from interaction.clicks.published import (
    DeepLabClickNetwork,
    DilatedResNet,
    ScribbleSegmenter,
    load_click_network,
    load_scribble_network,
)
from interaction.clicks.segmenter import ClickSegmenter, published_click_config, suited_click_config
from interaction.clicks.small_network import SmallClickNetwork
from interaction.engines import Engines, EngineSettings
from interaction.errors import ModelError
from tests.golden.click_scene import cheap_checkpoint

SIZE = 48, 64


@pytest.fixture(scope="module")
def network() -> DeepLabClickNetwork:
    torch.manual_seed(3)
    network = DeepLabClickNetwork(34, 32).eval().requires_grad_(False)
    last = network.head[2]
    assert isinstance(last, torch.nn.Conv2d)
    last.weight.mul_(8)  # decided enough for clicks to outweigh the penalty
    return network


def state_of(path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(path, weights_only=True)
    return state


@pytest.mark.parametrize(
    ("kind", "coarse", "joined", "width"),
    [
        ("fbrs_resnet34", 512, 160, 128),
        ("fbrs_resnet50", 2048, 160, 128),
        ("fbrs_resnet101", 2048, 288, 256),
    ],
)
def test_every_published_size_loads_and_says_where_it_can_be_refined(
    kind: str, coarse: int, joined: int, width: int, tmp_path: Path
) -> None:
    network = load_click_network(cheap_checkpoint(kind, tmp_path))
    assert not network.takes_previous_mask
    assert network.insertion_channels == {
        InsertionPoint.BEFORE_CONTEXT: coarse,
        InsertionPoint.AFTER_CONTEXT: joined,
        InsertionPoint.BEFORE_HEAD: width,
    }
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("kind", ["fbrs_resnet34", "s2m"])
def test_step_counters_may_be_absent(kind: str, tmp_path: Path) -> None:
    path = cheap_checkpoint(kind, tmp_path)
    state = state_of(path)
    torch.save({n: t for n, t in state.items() if "num_batches" not in n}, path)
    load = load_scribble_network if kind == "s2m" else load_click_network
    assert load(path).training is False


@pytest.mark.filterwarnings("ignore:Validating sparse tensor:UserWarning")
@pytest.mark.parametrize("kind", ["fbrs_resnet34", "s2m"])
def test_step_counters_do_not_matter(kind: str, tmp_path: Path) -> None:
    path = cheap_checkpoint(kind, tmp_path)
    state = state_of(path)
    odd = [
        torch.tensor(7).to_sparse(),
        torch.zeros(1),
        torch.tensor(float("nan")),
        torch.tensor(1j),
    ]
    counters = [name for name in state if "num_batches" in name]
    assert len(counters) > len(odd)
    state |= dict(zip(counters, itertools.cycle(odd)))
    torch.save(state, path)
    load = load_scribble_network if kind == "s2m" else load_click_network
    assert load(path).training is False


def without(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {n: t for n, t in state.items() if n != name}


HEAD = "head.layers.2.weight"


@pytest.mark.filterwarnings("ignore:Validating sparse tensor:UserWarning")
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda s: without(s, HEAD), "missing"),
        (lambda s: s | {"extra.weight": torch.zeros(3)}, "foreign"),
        (lambda s: s | {HEAD: torch.zeros(1, 65, 1, 1)}, "shape"),
        (lambda s: s | {HEAD: torch.full((1, 64, 1, 1), float("nan"))}, "not finite"),
        (lambda s: s | {HEAD: torch.zeros(1, 64, 1, 1, dtype=torch.int64)}, "plain numbers"),
        (lambda s: s | {HEAD: torch.zeros(1, 64, 1, 1).to_sparse()}, "plain numbers"),
        (lambda s: s | {"rgb_conv.2.running_var": -torch.ones(8)}, "negative variance"),
        (lambda s: s | {"feature_extractor.aspp.project.0.weight": torch.zeros(())}, "size"),
        (lambda s: {n: t for n, t in s.items() if ".layer3.4." not in n}, "size"),
        (lambda s: {"network": s}, "something other"),
        (lambda s: list(s), "something other"),
        (lambda s: {"key_encoder.conv1.weight": torch.zeros(1)}, "tracker"),
        (lambda s: {"feature_extractor.stage2.0.branches.0": torch.zeros(1)}, "HRNet"),
        (lambda s: {}, "another network"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_with_the_reason(
    damage: Any, reason: str, tmp_path: Path
) -> None:
    path = cheap_checkpoint("fbrs_resnet34", tmp_path)
    torch.save(damage(state_of(path)), path)
    with pytest.raises(ModelError, match=reason) as refusal:
        load_click_network(path)
    assert path.name in str(refusal.value)
    assert "\n\n" in str(refusal.value)


class RunsCode:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_code_in_a_file_is_never_run(tmp_path: Path) -> None:
    path = cheap_checkpoint("fbrs_resnet34", tmp_path)
    torch.save(state_of(path) | {"trap": RunsCode(tmp_path / "ran")}, path)
    for load in (load_click_network, load_scribble_network):
        with pytest.raises(ModelError, match="never run"):
            load(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [None, b"", b"GIF89a", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_checkpoint_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "clicks.pth"
    if content is not None:
        path.write_bytes(content)
    for load in (load_click_network, load_scribble_network):
        with pytest.raises(ModelError, match=r"clicks\.pth"):
            load(path)
        with pytest.raises(ModelError, match="folder"):
            load(tmp_path)


def test_a_cut_checkpoint_is_refused(tmp_path: Path) -> None:
    path = cheap_checkpoint("s2m", tmp_path)
    data = path.read_bytes()
    for length in (1, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError, match=r"s2m\.pth"):
            load_scribble_network(path)


def test_the_two_kinds_are_distinguished(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="scribble network"):
        load_click_network(cheap_checkpoint("s2m", tmp_path))
    with pytest.raises(ModelError, match="click network"):
        load_scribble_network(cheap_checkpoint("fbrs_resnet34", tmp_path))


@pytest.mark.parametrize("dilations", [(2, 4), (1, 2)])
def test_dilated_stages_are_those_of_the_usual_resnet(dilations: tuple[int, int]) -> None:
    torch.manual_seed(0)
    usual = torchvision.models.resnet50(
        weights=None, replace_stride_with_dilation=[False, *(d > 1 for d in dilations)]
    ).eval()
    ours = DilatedResNet(50, dilations).eval()
    ours.load_state_dict({n: t for n, t in usual.state_dict().items() if not n.startswith("fc.")})
    picture = torch.rand(1, 3, 40, 56)
    with torch.inference_mode():
        fine, coarse = ours(picture)
        x = usual.layer1(usual.maxpool(usual.relu(usual.bn1(usual.conv1(picture)))))
        torch.testing.assert_close(fine, x)
        torch.testing.assert_close(coarse, usual.layer4(usual.layer3(usual.layer2(x))))


def test_click_maps_measure_the_distance_to_the_nearest_click(network: DeepLabClickNetwork) -> None:
    clicks = torch.tensor([[[3.2, 4.4, 1.0], [9.0, 9.0, 1.0], [-1.0, -1.0, -1.0]]])
    [positive, negative] = network.click_maps(clicks, 12, 14)[0]
    assert torch.equal(negative, torch.ones(12, 14))  # no click: as far as can be
    assert positive[3, 4] == positive[9, 9] == 0
    assert positive[0, 0] == pytest.approx(np.tanh(2 * 5 / 260))
    assert network.click_maps(clicks[:, :0], 5, 6).equal(torch.ones(1, 2, 5, 6))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_refines_the_published_network(network: DeepLabClickNetwork, mode: Mode) -> None:
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
    refiner = Refiner(network, mode, least_mask_change=0.0, most_evaluations=6)
    before, _ = refiner.loss_of(refiner.plain(inputs), inputs)
    logits, numbers = refiner.refined(inputs, None, lambda: False)
    after, _ = refiner.loss_of(logits, inputs)
    sizes = {
        "NoBRS": None,
        "RGB-BRS": 3 * 48 * 64,
        "DistMap-BRS": 2 * 48 * 64,
        "f-BRS-A": 1024,
        "f-BRS-B": 128,
        "f-BRS-C": 64,
    }
    if numbers is None:
        assert mode == "NoBRS"
        assert after == before
    else:
        assert numbers.size == sizes[mode]
        assert after < before - 1e-5  # rounding alone makes some 1e-7


def test_a_network_without_previous_mask_is_given_the_first_clicks_only(
    network: DeepLabClickNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    real = network.click_maps

    def counting(clicks: Tensor, height: int, width: int) -> Tensor:
        given.append(clicks.shape[1])
        return real(clicks, height, width)

    monkeypatch.setattr(network, "click_maps", counting)
    config = suited_click_config(
        ClickConfig(mode="NoBRS", zoom_px=48, least_crop_px=24, longest_px=64), network
    )
    frame = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    clicks = [Click(4.0 + 5 * i, 20.0, i % 2 == 0) for i in range(10)]
    ClickSegmenter(network, config).segment(frame, np.zeros(SIZE, np.uint8), 1, clicks)
    assert given == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]


def test_settings_suit_the_network(network: DeepLabClickNetwork) -> None:
    config = ClickConfig(most_network_clicks=20)
    assert suited_click_config(config, network).most_network_clicks == 8
    config = ClickConfig(mode="RGB-BRS", most_network_clicks=20)
    assert suited_click_config(config, network).most_network_clicks == 5
    assert suited_click_config(ClickConfig(most_network_clicks=3), network).most_network_clicks == 3
    assert suited_click_config(config, SmallClickNetwork()) is config
    assert suited_click_config(None, network) == published_click_config()
    assert suited_click_config(None, SmallClickNetwork()).mode == "NoBRS"


def test_a_session_uses_them_as_its_settings_say(tmp_path: Path) -> None:
    settings = EngineSettings(
        click_model=str(cheap_checkpoint("fbrs_resnet34", tmp_path)),
        scribble_model=str(cheap_checkpoint("s2m", tmp_path)),
        device="cpu",
    )
    engines = Engines(settings)
    segmenter = engines.segmenter()
    assert isinstance(segmenter, ClickSegmenter)
    assert segmenter.config.most_network_clicks == 8
    first = engines.scribbler()
    assert engines.scribbler() is first
    start, frame = np.zeros((30, 40), np.uint8), np.zeros((30, 40, 3), np.uint8)
    answer = first.segment(frame, start, 1, (Stroke(((10.0, 10.0), (30.0, 20.0)), 3.0),))
    assert answer.shape == (30, 40)
    assert answer.dtype == np.float32
    engines.configure(replace(settings, scribble_model=None))
    with pytest.raises(ModelError, match="No scribble model"):
        engines.scribbler()


class Records(torch.nn.Module):
    """Stands in for S2M: answers with one of its inputs."""

    def __init__(self, channel: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(20.0))
        self.channel = channel
        self.shape: torch.Size | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.shape = x.shape
        return (x[:, self.channel : self.channel + 1] - 0.5) * self.scale


@pytest.mark.parametrize("channel", [3, 4, 5])
def test_scribbles_reach_the_network_where_they_were_drawn(channel: int) -> None:
    start = np.zeros((45, 70), np.uint8)
    start[10:20, 30:40] = 2
    start[25:30, 30:40] = 1
    strokes = (
        Stroke(((10.5, 10.5), (30.5, 10.5)), 9.0),
        Stroke(((20.5, 5.5), (20.5, 40.5)), 9.0, is_positive=False),
    )
    network = Records(channel)
    frame = np.zeros((45, 70, 3), np.uint8)
    answer = ScribbleSegmenter(network).segment(frame, start, 2, strokes)  # type: ignore[arg-type]
    assert network.shape == (1, 6, 48, 80)
    expected = np.zeros((45, 70), bool)
    if channel == 3:
        expected = start == 2
    elif channel == 4:
        expected[9:12, 9:32] = True
        expected[:, 19:22] = False  # the later stroke lies over it
    else:
        expected[4:42, 19:22] = True
    np.testing.assert_array_equal(answer > 0.5, expected)


def test_scribbles_without_strokes_or_of_another_size_are_refused() -> None:
    segmenter = ScribbleSegmenter(Records(3))  # type: ignore[arg-type]
    frame, start = np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30), np.uint8)
    with pytest.raises(ValueError, match="stroke"):
        segmenter.segment(frame, start, 1, ())
    with pytest.raises(ValueError, match="the mask"):
        segmenter.segment(frame[:-1], start, 1, (Stroke(((1.0, 1.0),), 2.0),))
