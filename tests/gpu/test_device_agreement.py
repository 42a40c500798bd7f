"""Every path of the engine gives on a device what the plain networks give on the CPU in float32.

The same tests run on the CPU, where folding, Winograd convolutions and bfloat16 are what is
compared, and on a CUDA device where there is one. Convolutions in TF32 are off: they round to ten
bits, which is no fault of ours.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from interaction.annotation.types import Click, Stroke
from interaction.clicks.prompts import ClickConfig
from interaction.clicks.published import ScribbleNetwork, ScribbleSegmenter, load_click_network
from interaction.clicks.segmenter import ClickSegmenter
from interaction.clicks.small_network import SmallClickNetwork, read_click_network
from interaction.learning.examples import Example
from interaction.learning.networks import Plan, learn_clicks, learn_tracker
from interaction.models import find_model
from interaction.video.video import open_video
from resources import sample_folder
from tests import tiny
from xmem_core import MemoryConfig, Tracker, XMem, load_xmem, prepare
from xmem_core.arrays import Frame, Labels
from xmem_core.device import half_precision, peak_memory_bytes, used_memory_bytes
from xmem_core.pictures import soft_aggregate

# Working memory is distilled every fourth frame, long-term memory is full after three times.
SHORT = MemoryConfig(
    memorize_every=2, min_working_frames=2, max_working_frames=4, prototypes=8, max_long_term=20
)
CPU = torch.device("cpu")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield torch.device(request.param)
    torch.backends.cudnn.allow_tf32 = allowed


@pytest.fixture(scope="module")
def plain() -> XMem:
    return tiny.network()


def exact(network: XMem, device: torch.device) -> XMem:
    return prepare(network, device, allows_half_precision=False)


def assert_near(ours: Tensor, expected: Tensor) -> None:
    assert ours.shape == expected.shape
    error = (ours.cpu().float() - expected).abs().max() / expected.abs().max().clamp(min=1)
    assert error < 1e-3


def iou(ours: Labels, expected: Labels) -> float:
    """Of all objects together."""
    both = (ours == expected) & (expected > 0)
    return float(both.sum() / max(1, ((ours > 0) | (expected > 0)).sum()))


# Tracking


def step_by_step(network: XMem) -> dict[str, Tensor]:
    """One step of two objects, by the engine's own calls."""
    tracker = Tracker(network, SHORT, internal_size=None)
    tracker.memorize(0, tiny.frame(0), tiny.labels(0))
    [encoded] = tracker.encode([tiny.frame(1)])
    features = encoded.features
    with torch.inference_mode():
        key, selection = (part[0].flatten(1).T for part in (features.key, features.selection))
        readout = tracker.bank.read(key, selection, (1, 2), network.config.value_channels)
        readout = readout.unflatten(2, features.key.shape[-2:])
        hidden = network.initial_hidden(2, features.key.float())
        logits, refreshed = tracker.engine.decode(encoded, readout, hidden, updates_hidden=True)
        masks = soft_aggregate(logits.sigmoid())[1:]
        value, deep = tracker.engine.encode_value(encoded, masks, refreshed)
    assert refreshed is not None
    assert deep is not None
    parts = {"readout": readout, "logits": logits, "hidden": refreshed, "value": value}
    return {**features._asdict(), **parts, "deep": deep}


def test_each_part_of_a_step_agrees(plain: XMem, device: torch.device) -> None:
    expected = step_by_step(plain)
    for name, ours in step_by_step(exact(plain, device)).items():
        assert ours.device.type == device.type, name
        assert_near(ours, expected[name])


def long_run(network: XMem, tracker: Tracker | None = None) -> tuple[Tracker, list[Tensor]]:
    """Every memory takes part: distilled and evicted long-term, two confirmed frames, a late
    object, one that is deleted, a frame that is forgotten."""
    tracker = tracker or Tracker(network, SHORT, internal_size=None)
    tracker.memorize(0, tiny.frame(0), tiny.labels(0, 1, 0))
    tracker.memorize(9, tiny.frame(9), tiny.labels(9, 1, 2))
    tracker.memorize(5, tiny.frame(5), tiny.labels(5, 1, 2))
    tracker.begin()
    results = [tracker.revisit(0, tiny.frame(0), [1]).probabilities()]
    for index in range(1, 20):
        if index == 8:
            tracker.forget(5)
        if index == 17:
            tracker.delete_object(1)
        confirmed = index in tracker.confirmed_frames
        here = tracker.revisit(index, tiny.frame(index)) if confirmed else None
        results.append((here or tracker.track(tiny.frame(index))).probabilities())
    return tracker, results


def sizes(tracker: Tracker) -> tuple[int, ...]:
    bank = tracker.bank
    return tuple(len(one) for one in (bank.long_term, bank.permanent, bank.working, bank.recent))


def test_a_run_with_every_memory_agrees(plain: XMem, device: torch.device) -> None:
    reference, expected = long_run(plain)
    tracker, results = long_run(exact(plain, device))
    assert sizes(tracker) == sizes(reference)
    assert sizes(tracker)[0] == SHORT.max_long_term
    for ours, theirs in zip(results, expected, strict=True):
        assert_near(ours, theirs)


def test_a_run_goes_on_elsewhere_from_its_saved_state(plain: XMem, device: torch.device) -> None:
    tracker, other = (
        Tracker(exact(plain, where), SHORT, internal_size=None) for where in (device, CPU)
    )
    for one in (tracker, other):
        one.memorize(0, tiny.frame(0), tiny.labels(0))
    tracker.begin()
    for index in range(1, 12):
        tracker.track(tiny.frame(index))
    other.restore_run({name: tensor.cpu() for name, tensor in tracker.run_state().items()})
    ours, expected = (one.track(tiny.frame(12)).probabilities() for one in (tracker, other))
    assert_near(ours, expected)


def sample(count: int) -> tuple[list[Frame], Labels]:
    """Frames of the bundled clip and a mask with an ellipse in the first."""
    with open_video(sample_folder() / "big-buck-bunny.mp4") as video:
        frames = [video[index] for index in range(count)]
    y, x = np.mgrid[: frames[0].shape[0], : frames[0].shape[1]]
    height, width = y.shape
    inside = ((x / width - 0.5) / 0.2) ** 2 + ((y / height - 0.5) / 0.35) ** 2 < 1
    return frames, inside.astype(np.uint8)


def test_masks_in_half_precision_agree(device: torch.device) -> None:
    network = load_xmem(find_model("small"))
    half = half_precision(device, tolerates_bfloat16=True)
    if half is None:
        pytest.skip(f"“{device}” has no half precision that is faster")
    frames, mask = sample(9)
    runs = []
    for prepared in (exact(network, CPU), prepare(network, device)):
        tracker = Tracker(prepared, internal_size=240)
        tracker.memorize(0, frames[0], mask)
        tracker.begin()
        tracker.revisit(0, frames[0])
        runs.append([tracker.track(frame).labels() for frame in frames[1:]])
    assert prepared.half_precision is half
    assert all(iou(ours, theirs) > 0.99 for ours, theirs in zip(runs[1], runs[0], strict=True))


@contextmanager
def little_memory(network: XMem, device: torch.device) -> Iterator[list[int]]:
    """Room for the decoder of two objects and not of six; notes how many were refused."""
    decode: Callable[..., tuple[Tensor, Tensor | None]] = network.decode
    refused: list[int] = []

    def decode_little(features: object, readout: Tensor, *rest: object, **more: object) -> object:
        objects = readout.shape[1]
        if objects > 2:
            refused.append(objects)
            if device.type == "cuda":  # more than there is, in one block
                torch.empty(2 * torch.cuda.mem_get_info(device)[1], dtype=torch.uint8).to(device)
            torch.empty(2**60, dtype=torch.uint8, device=device)
        return decode(features, readout, *rest, **more)

    network.decode = decode_little  # type: ignore[method-assign, assignment]
    yield refused
    network.decode = decode  # type: ignore[method-assign]


def test_a_full_device_is_answered_with_fewer_objects_at_a_time(
    plain: XMem, device: torch.device
) -> None:
    labels = tiny.labels(0)
    labels[:8, :12], labels[:8, 24:36], labels[-8:, :12], labels[-8:, -12:] = 3, 4, 5, 6
    results = []
    for is_little in (False, True):
        network = exact(plain, device)
        tracker = Tracker(network, SHORT, internal_size=None)
        tracker.memorize(0, tiny.frame(0), labels)
        tracker.begin()
        if is_little:
            with little_memory(network, device) as refused:
                results.append(tracker.track(tiny.frame(1)).probabilities())
            assert refused
        else:
            results.append(tracker.track(tiny.frame(1)).probabilities())
    assert_near(results[1], results[0].cpu())


def test_stages_are_timed_and_memory_is_counted(plain: XMem, device: torch.device) -> None:
    tracker, _ = long_run(exact(plain, device))
    seconds, calls = tracker.times.seconds(), tracker.times.calls()
    assert set(seconds) == set(calls) == {"key", "value", "readout", "decode"}
    assert all(value > 0 for value in seconds.values())
    assert calls["key"] >= 20
    assert peak_memory_bytes(device) >= used_memory_bytes(device) > 0


# Clicks and strokes


CLICKS = (Click(30, 24, True), Click(44, 30, True), Click(8, 8, False))


def clicked(network: SmallClickNetwork, device: torch.device, config: ClickConfig) -> Tensor:
    segmenter = ClickSegmenter(deepcopy(network).to(device), config)
    picture = tiny.frame(0, 96, 120)
    start = np.zeros((96, 120), np.uint8)
    return torch.from_numpy(segmenter.segment(picture, start, 1, CLICKS).probability)


@pytest.mark.parametrize("mode", ["NoBRS", "f-BRS-B"])
def test_answers_to_clicks_agree(device: torch.device, mode: str) -> None:
    network = load_click_network(find_model("small-clicks"))
    config = ClickConfig(mode=mode)  # type: ignore[arg-type]
    expected = clicked(network, CPU, config)  # type: ignore[arg-type]
    ours = clicked(network, device, config)  # type: ignore[arg-type]
    if mode == "NoBRS":
        assert_near(ours, expected)
    # A search ends where rounding leads it: the mask is what must agree.
    assert iou((ours > 0.5).numpy().astype(np.uint8), (expected > 0.5).numpy().astype(np.uint8)) > (
        0.99
    )


def test_answers_to_strokes_agree(device: torch.device) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = ScribbleNetwork().eval()
    strokes = (Stroke(((20.0, 20.0), (40.0, 24.0)), 3), Stroke(((50.0, 4.0),), 3, False))
    answers: list[NDArray[np.float32]] = []
    for where in (CPU, device):
        segmenter = ScribbleSegmenter(deepcopy(network).to(where))
        answers.append(segmenter.segment(tiny.frame(0), tiny.labels(0, 1, 0), 1, strokes))
    assert_near(torch.from_numpy(answers[1]), torch.from_numpy(answers[0]))


# Learning


@pytest.fixture
def small_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 pixels, in float32: what is compared is the device, not the precision."""
    monkeypatch.setattr("interaction.learning.networks._SIZE_PX", 64)
    monkeypatch.setattr("interaction.learning.networks._CLICK_SIZE_PX", 64)
    monkeypatch.setattr("interaction.learning.networks.half_precision", lambda *_, **__: None)


def examples() -> list[Example]:
    return [
        Example(index, tiny.frame(index), tiny.labels(index), frozenset({1, 2})) for index in (0, 6)
    ]


@pytest.mark.usefixtures("small_views")
@pytest.mark.parametrize("kind", ["tracker", "clicks"])
def test_what_is_learned_agrees(device: torch.device, kind: str) -> None:
    states = []
    for where in (CPU, device):
        if kind == "tracker":
            work = learn_tracker(
                tiny.network(), examples(), plan=Plan(2), seed=1, internal_size=None, device=where
            )
        else:
            network = read_click_network(find_model("small-clicks"))
            work = learn_clicks(network, examples(), plan=Plan(2), seed=1, device=where)  # type: ignore[assignment]
        while True:
            try:
                next(work)
            except StopIteration as end:
                states.append(end.value.state_dict())
                break
    for name, expected in states[0].items():
        assert_near(states[1][name], expected.float())
