"""Clicks agree with numbers recorded from the published f-BRS, to the recording's tolerances.

The recordings and the weights they were made with are not part of the repository. The recorded
network has random weights: two float32 runs of the published code itself part ways at the first
ReLU that is nearly zero, and a search that stops at a threshold then stops elsewhere. So every
recorded evaluation is checked by itself, and searches by what they reach.
"""

import hashlib
import json
import runpy
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from interaction.annotation.types import Click
from interaction.clicks.fbrs import ClickNetwork, Features, Inputs, InsertionPoint, Refiner
from interaction.clicks.published import load_click_network
from interaction.clicks.segmenter import ClickSegmenter, published_click_config
from interaction.clicks.zoom import Crop, whole_frame

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
CLICKS: Final = 10

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(
        not REFERENCE.is_dir(), reason="the published implementation's recordings are not here"
    ),
]


class Recording:
    def __init__(self) -> None:
        self.arrays = np.load(REFERENCE / "fbrs_small.npz")
        meta = json.loads(bytes(self.arrays["meta"]))
        self.rows = meta["rows"]
        self.clicks = [Click(x, y, bool(sign)) for x, y, sign in meta["clicks"]]
        self.frame = self.arrays["frame_u8"]
        self.height, self.width = self.frame.shape[:2]

    def __getitem__(self, name: str) -> NDArray[Any]:
        array = self.arrays[name]
        return array.astype(np.float32) if array.dtype == np.float16 else array

    def mask(self, click: int) -> NDArray[np.bool_]:
        bits = np.unpackbits(self.arrays[f"mask_{click}"])[: self.height * self.width]
        return bits.reshape(self.height, self.width).astype(bool)

    def places(self, click: int) -> Tensor:
        """(N, 3): the clicks the network was given, without padding, in no order."""
        points = self[f"points_{click}"][0]
        half = len(points) // 2
        signs = np.repeat([1.0, 0.0], half)[:, None]
        places = np.concatenate([points, signs], axis=1)
        return torch.from_numpy(places[points[:, 0] >= 0])


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> ClickNetwork:
    checkpoint = tmp_path_factory.mktemp("weights") / "fbrs.pth"
    torch.save(runpy.run_path(str(REFERENCE / "weights.py"))["build"]("fbrs"), checkpoint)
    loaded = load_click_network(checkpoint)
    checkpoint.unlink()
    remember_features(loaded)
    return loaded


def remember_features(network: ClickNetwork) -> None:
    """They take nearly all of a click's time, and several tests ask the same about the one picture
    there is: of each size and set of clicks they are computed once."""
    compute, known = network.features, dict[tuple[object, ...], Features]()

    def features(
        picture: Features, click_maps: Tensor, previous: Tensor, point: InsertionPoint
    ) -> Features:
        digest = hashlib.sha256(click_maps.contiguous().numpy().tobytes()).digest()
        asked = point, tuple(click_maps.shape), digest
        if asked not in known:
            known[asked] = compute(picture, click_maps, previous, point)
        return known[asked]

    network.features = features  # type: ignore[method-assign]


class Asked(Refiner):
    """What `ClickSegmenter` asks, click by click; it is answered as the published program was."""

    def __init__(self, network: ClickNetwork, recording: Recording) -> None:
        super().__init__(network)
        self.inputs: list[Inputs] = []
        self._recording = recording

    def plain(self, inputs: Inputs) -> Tensor:
        probability = torch.from_numpy(self._recording[f"prob_{len(self.inputs)}"])
        self.inputs.append(inputs)
        size = list(inputs.pictures.shape[2:])
        logits = F.interpolate(probability.logit(), size, mode="bilinear", align_corners=True)
        return torch.cat([logits, logits.flip(3)])

    def refined(self, inputs: Inputs, *_: Any) -> tuple[Tensor, None]:
        return self.plain(inputs), None


@pytest.fixture(scope="module")
def asked(network: ClickNetwork, recording: Recording) -> list[Inputs]:
    """The inputs of each click as the product makes them from frame and clicks."""
    segmenter = ClickSegmenter(network, published_click_config())
    segmenter._refiner = asked = Asked(network, recording)
    start = np.zeros((recording.height, recording.width), np.uint8)
    segmenter.segment(recording.frame, start, 1, recording.clicks)
    return asked.inputs


@torch.inference_mode()
def test_the_first_click_agrees(network: ClickNetwork, recording: Recording) -> None:
    segmenter = ClickSegmenter(network, published_click_config())
    start = np.zeros((recording.height, recording.width), np.uint8)
    result = segmenter.segment(recording.frame, start, 1, recording.clicks[:1])
    np.testing.assert_allclose(result.probability, recording["prob_0"][0, 0], rtol=0, atol=2e-3)
    assert ((result.labels == 1) == recording.mask(0)).mean() > 0.999


def test_the_network_is_asked_what_the_published_program_asked(
    asked: list[Inputs], recording: Recording
) -> None:
    assert len(asked) == CLICKS
    for click, inputs in enumerate(asked):
        assert list(inputs.pictures.shape) == recording.rows[click]["in_shape"]
        height, width = inputs.pictures.shape[2:]
        crop = Crop(0, recording.height, 0, recording.width, height, width)
        ours = crop.rows_of(recording.clicks[: min(click + 1, 8)])[0].double()
        recorded = recording.places(click)
        assert len(ours) == len(recorded)
        distance = torch.cdist(ours, recorded.double())
        assert distance.amin(dim=0).max() < 1e-3
    maps = asked[0].click_maps.numpy()
    np.testing.assert_allclose(maps, recording["dist_maps_0"], rtol=0, atol=1e-3)


@torch.inference_mode()
def test_the_features_that_are_refined_agree(
    network: ClickNetwork, asked: list[Inputs], recording: Recording
) -> None:
    first = asked[0]
    [features] = network.features(
        first.picture, first.click_maps, first.previous, InsertionPoint.AFTER_CONTEXT
    )
    expected = recording["head_in_0"]
    np.testing.assert_allclose(
        features[:, ::8].numpy(), expected, rtol=0, atol=2e-3 * abs(expected).max()
    )


def test_every_evaluation_of_every_search_agrees(
    network: ClickNetwork, asked: list[Inputs], recording: Recording
) -> None:
    """Logits before and after, losses, gradients, and the decision to stop."""
    refiner = Refiner(network)
    checked = 0
    for click in range(1, CLICKS):
        inputs = asked[click]
        with torch.no_grad():
            features = network.features(
                inputs.picture, inputs.click_maps, inputs.previous, refiner.point
            )
        losses, gradients = recording[f"eval_f_{click}"], recording[f"eval_g_{click}"]
        for values, loss, gradient in zip(
            recording[f"eval_x_{click}"], losses, gradients, strict=True
        ):
            numbers = torch.from_numpy(values).requires_grad_(True)
            logits, penalty = refiner.changed_logits(numbers, inputs, features)
            disagreement, agrees = refiner.loss_of(logits, inputs)
            total = disagreement + penalty
            assert float(total.detach()) == pytest.approx(float(loss), abs=2e-3)
            is_last = not gradient.any()
            assert agrees == is_last
            if not is_last:
                (ours,) = torch.autograd.grad(total, numbers)
                direction = float(torch.cosine_similarity(ours, torch.from_numpy(gradient), dim=0))
                assert direction > 0.98, f"click {click}"
            checked += 1
        for name, at in (("before", "opt_x0"), ("after", "opt_x")):
            if f"{name}_{click}" in recording.arrays.files:
                numbers = torch.from_numpy(recording[f"{at}_{click}"].astype(np.float32))
                with torch.no_grad():
                    logits, _ = refiner.changed_logits(numbers, inputs, features)
                np.testing.assert_allclose(
                    logits.numpy(), recording[f"{name}_{click}"], rtol=0, atol=2e-2
                )
    assert checked == sum(len(recording[f"eval_f_{c}"]) for c in range(1, CLICKS)) > 40


def test_a_search_reaches_what_the_published_one_reached(
    network: ClickNetwork, asked: list[Inputs], recording: Recording
) -> None:
    """Every search ends with the clicks on their side or as near to it; most end alike."""
    refiner = Refiner(network)
    alike = 0
    for click in range(1, CLICKS):
        inputs = asked[click]
        begin = recording[f"opt_x0_{click}"].astype(np.float64)
        logits, _ = refiner.refined(inputs, begin, lambda: False)
        disagreement, agrees = refiner.loss_of(logits, inputs)
        best = recording[f"eval_f_{click}"].min()
        assert agrees or float(disagreement) <= 1.05 * best, f"click {click}"
        mask = _back(logits, recording) > published_click_config().threshold
        expected = recording.mask(click)
        alike += (mask & expected).sum() / (mask | expected).sum() >= 0.98
    assert alike >= 5


def test_an_answer_comes_back_to_the_frame_as_published(recording: Recording) -> None:
    for click in range(CLICKS):
        if f"after_{click}" not in recording.arrays.files:
            continue
        probability = _back(torch.from_numpy(recording[f"after_{click}"]), recording)
        np.testing.assert_allclose(
            probability, recording[f"prob_{click}"][0, 0], rtol=0, atol=2e-3, err_msg=str(click)
        )


def test_a_whole_frame_is_only_shrunk() -> None:
    assert whole_frame(160, 284, published_click_config().longest_px, 1).width == 284
    assert whole_frame(1080, 1920, published_click_config().longest_px, 1).width == 800


def _back(logits: Tensor, recording: Recording) -> NDArray[np.float32]:
    """Both flips' logits -> the frame's probability, by the product's own way back."""
    both = (logits[:1] + logits[1:].flip(3)) / 2
    crop = Crop(0, recording.height, 0, recording.width, *both.shape[2:])
    result = crop.back(both.sigmoid(), recording.height, recording.width)[0, 0].numpy()
    return np.asarray(result, np.float32)
