"""Training runs: start from a pretrained trunk, stop, resume exactly, export."""

from __future__ import annotations

import csv
import itertools
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.test_training_composer import make_pack
from training.checkpoints import read_checkpoint, start_tracker, write_weights
from training.config import TrackerStage, TrackerTraining, config_from, read_config
from training.data import Batch, TrackerBatches, starting_frames
from training.run import Clock, Run, rate_factor
from training.tracker import TrackerTask
from training.trunk_weights import load_trunk, start_from_pretrained
from xmem_core.learning.lean import fold_norms, unfolded
from xmem_core.learning.unroll import ClipLoss, track_clip
from xmem_core.memory.readout import memory_rows, query_rows, similarity
from xmem_core.network.backbones import LiteTrunk
from xmem_core.network.config import NetworkConfig
from xmem_core.network.xmem import XMem
from xmem_core.pictures import normalise
from xmem_core.weights import load_xmem, network_bytes, read_header

TINY = NetworkConfig(
    trunk="efficientnet_lite0",
    key_channels=16,
    value_channels=36,
    hidden_channels=8,
    decoder16_channels=16,
    decoder8_channels=16,
    decoder4_channels=16,
    sensory_channels=16,
    mask_cells=4,
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrackerTraining:
    folder = tmp_path_factory.mktemp("training")
    torch.manual_seed(3)
    torch.save(pretend_imagenet(), folder / "trunk.pth")
    return TrackerTraining(
        pack=str(make_pack(folder / "pack")),
        trunk_weights=str(folder / "trunk.pth"),
        network=TINY,
        stages=(
            TrackerStage(steps=2, size=32, frames=3, batch=2, learning_rate=1e-3),
            TrackerStage(
                steps=2, size=48, frames=3, batch=1, learning_rate=1e-3, key_trunk_rate=0.1
            ),
        ),
        warm_up_steps=1,
        evaluate_every=2,
        evaluation_clips=2,
        evaluation_size=32,
        evaluation_frames=4,
    )


@dataclass(frozen=True)
class StoppedRun:
    """A run in memory, and the folder that it is kept in; both are for looking at only."""

    run: Run
    folder: Path


def tracker_run(config: TrackerTraining, folder: Path) -> Run:
    return Run(config, TrackerTask(config), folder)


@pytest.fixture(scope="module")
def stopped(config: TrackerTraining, tmp_path_factory: pytest.TempPathFactory) -> StoppedRun:
    """Stopped after the first step of its second stage."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    run = tracker_run(config, folder)
    run.advance(until=3)
    return StoppedRun(run, folder)


def batch_of(config: TrackerTraining, step: int, rank: int = 0, ranks: int = 1) -> Batch:
    index = config.stage_at(step)
    return TrackerBatches(config, index, config.stages[index].batch, rank, ranks)[step]


def pretend_imagenet() -> dict[str, torch.Tensor]:
    """A trunk's entries under other names, in the same order, with a classifier after them."""
    trunk = LiteTrunk(has_stride32=True)
    state: dict[str, torch.Tensor] = {}
    for stage in ("stem", "stage4", "stage8", "stage16", "stage32"):
        for tensor in trunk.get_submodule(stage).state_dict().values():
            state[f"entry{len(state)}"] = tensor.clone()
    state["classifier"] = torch.zeros(10)
    return state


def test_a_stopped_run_resumes_to_the_very_same_weights(
    config: TrackerTraining, stopped: StoppedRun, tmp_path: Path
) -> None:
    tracker_run(config, tmp_path / "whole").advance()
    shutil.copytree(stopped.folder, tmp_path / "parts")
    tracker_run(config, tmp_path / "parts").advance()

    whole, parts = read_checkpoint(tmp_path / "whole"), read_checkpoint(tmp_path / "parts")
    assert whole is not None
    assert parts is not None
    assert whole["step"] == parts["step"] == 4
    for part in ("network", "average"):
        assert whole[part].keys() == parts[part].keys()
        for name, tensor in whole[part].items():
            torch.testing.assert_close(parts[part][name], tensor, rtol=0, atol=0)
    torch.testing.assert_close(parts["optimizer"]["state"], whole["optimizer"]["state"])
    with (tmp_path / "whole" / "curve.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert all(0 <= float(row["iou"]) <= 1 for row in rows)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_timed_run_ends_by_itself_at_the_end_of_its_schedule(
    config: TrackerTraining, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Far more steps than fit: only the deadline can end it. Every look at the clock takes a second.
    clock = itertools.count()
    monkeypatch.setattr("training.run.monotonic", lambda: float(next(clock)))
    stages = tuple(replace(stage, steps=10**6) for stage in config.stages)
    config = replace(config, stages=stages, evaluate_every=10**6, workers=workers)
    run = tracker_run(config, tmp_path / "run")
    run.advance(deadline=15.0)
    # A step looks at the clock three times, and what follows the last may take 1.3 seconds:
    # another step would have ended too late.
    assert 15 - 3 - 1.3 < next(clock) <= 15
    content = read_checkpoint(tmp_path / "run")
    assert content is not None
    assert content["position"] == config.total_steps
    assert content["step"] == 4
    with (tmp_path / "run" / "curve.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["0", str(content["step"])]
    write_weights(tmp_path / "run", tmp_path / "run.safetensors")
    assert load_xmem(tmp_path / "run.safetensors").config == TINY


def test_a_clock_spreads_the_rest_of_a_run_over_its_time() -> None:
    clock = Clock(position=20.0, total=100, start=50.0, end=90.0)
    assert clock.position(54.0) == pytest.approx(28.0)
    assert clock.position(70.0) == pytest.approx(60.0)
    # A step took 16 seconds; another would end too late.
    assert clock.position(75.0) == 100.0


def test_an_exported_run_loads_as_the_plain_network(
    config: TrackerTraining, stopped: StoppedRun, tmp_path: Path
) -> None:
    write_weights(stopped.folder, tmp_path / "tracker.safetensors")

    network = load_xmem(tmp_path / "tracker.safetensors")
    assert network.config == TINY
    metadata = read_header(tmp_path / "tracker.safetensors")
    assert (metadata["step"], metadata["seed"]) == ("3", "1")
    batch = batch_of(config, 3)
    first = batch.labels[:, 0].long()
    averaged = unfolded(XMem(TINY), stopped.run.average.state)
    with torch.inference_mode():
        ours = track_clip(averaged, batch.frames, first, batch.objects, ())
        theirs = track_clip(network, batch.frames, first, batch.objects, ())
    torch.testing.assert_close(theirs, ours, atol=0.02, rtol=0)  # half precision


def test_export_needs_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no"):
        write_weights(tmp_path, tmp_path / "x.safetensors")


def test_folding_norms_changes_nothing_and_can_be_taken_back(config: TrackerTraining) -> None:
    torch.manual_seed(5)
    network = XMem(TINY).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.affine:
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            assert module.running_mean is not None
            torch.nn.init.normal_(module.running_mean)
    picture = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        before = network.encode_key(picture)
        fold_norms(network)
        folded = network.encode_key(picture)
        restored = unfolded(network, network.state_dict()).encode_key(picture)
    for part in ("feature16", "feature4", "key"):
        torch.testing.assert_close(getattr(folded, part), getattr(before, part))
        torch.testing.assert_close(getattr(restored, part), getattr(before, part))


def test_a_run_starts_from_normalised_features_and_moderate_affinities(
    config: TrackerTraining,
) -> None:
    torch.manual_seed(1)
    network = XMem(TINY)
    frames = starting_frames(config, clips=6)
    start_from_pretrained(network, Path(config.trunk_weights), frames)
    pictures = normalise(frames.flatten(0, 1).float())
    with torch.no_grad():
        features = network.encode_key(pictures)
        first, second = (network.encode_key(normalise(frames[:, t].float())) for t in (0, 1))
        rows = [x.flatten(2).transpose(1, 2) for x in (first.key, second.key, second.selection)]
        affinity = similarity(memory_rows(rows[0], None), query_rows(rows[1], rows[2])).softmax(2)
        # The value trunk ignores masks at first and so sees what the key trunk sees.
        blind = network.value_encoder.trunk(torch.cat([pictures, torch.rand(12, 2, 32, 32)], 1))

    assert features.feature16.mean(dim=(0, 2, 3)).abs().max() < 0.05
    torch.testing.assert_close(blind.stride16, features.feature16)
    centre = network.key_encoder.key.weight[:, :, 1, 1]
    gram = centre @ centre.T
    assert (gram - gram.diagonal().mean() * torch.eye(16)).abs().max() < 1e-3 * gram.max()
    # 32-pixel frames have four elements, fewer than the six that are aimed at.
    perplexity = torch.special.entr(affinity).sum(2).mean().exp()
    assert 1 < perplexity <= 4


def test_trunk_weights_of_another_shape_are_refused() -> None:
    state = pretend_imagenet()
    state["entry0"] = torch.zeros(8, 3, 3, 3)
    with pytest.raises(ValueError, match=r"stem\.0\.weight"):
        load_trunk(LiteTrunk(), state)


def test_batches_differ_between_processes_but_not_in_their_objects(
    config: TrackerTraining,
) -> None:
    for step in range(3):
        ours, theirs = (batch_of(config, step, rank, 2) for rank in range(2))
        assert ours.objects == theirs.objects
        assert ours.memorized == theirs.memorized
        assert not torch.equal(ours.frames, theirs.frames)
        assert torch.equal(ours.frames, batch_of(config, step, 0, 2).frames)


def test_predictions_that_go_into_memory_are_learned_through(config: TrackerTraining) -> None:
    torch.manual_seed(2)
    network = XMem(TINY).train()
    batch = batch_of(config, 0)
    loss = ClipLoss(network)(batch.frames, batch.labels.long(), batch.objects, (1,), 0.5)
    loss.backward()
    assert torch.isfinite(loss)
    silent = [n for n, p in network.named_parameters() if p.grad is None]
    assert not silent


def test_the_rate_warms_up_and_falls(config: TrackerTraining) -> None:
    longer = TrackerTraining(
        pack="", stages=(TrackerStage(steps=100, size=32, frames=2, batch=1, learning_rate=1.0),)
    )
    assert rate_factor(0, longer) == pytest.approx(0.01)
    rates = [rate_factor(step, config) for step in range(1, 5)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(config.final_rate)


def test_a_configuration_survives_being_stored(config: TrackerTraining) -> None:
    assert config_from(config.as_dict()) == config


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"steps": 0}, "steps"),
        ({"size": 40}, "size"),
        ({"frames": 1}, "frames"),
        ({"memorized_share": 2.0}, "memorized_share"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_a_wrong_stage_is_refused_by_name(change: dict[str, Any], names: str) -> None:
    stage = {"steps": 1, "size": 32, "frames": 2, "batch": 1, "learning_rate": 1e-3, **change}
    with pytest.raises(ValueError, match=names):
        config_from({"pack": "", "stages": [stage]})


@pytest.mark.parametrize("name", ["", "_more", "_long", "_real"])
def test_the_configurations_of_the_bundled_weights_are_valid(name: str) -> None:
    path = Path(__file__).parents[2] / "training" / "configs" / f"small_tracker{name}.toml"
    shipped = read_config(path, {"pack": "elsewhere"})
    assert isinstance(shipped, TrackerTraining)
    assert shipped.network == NetworkConfig.small()
    assert shipped.pack == "elsewhere"
    assert shipped.stage_at(0) == 0
    assert shipped.stage_at(shipped.total_steps - 1) == len(shipped.stages) - 1


def test_a_run_begins_with_the_weights_of_another(
    config: TrackerTraining, stopped: StoppedRun, tmp_path: Path
) -> None:
    write_weights(stopped.folder, tmp_path / "first.safetensors")
    picture = torch.randn(1, 3, 32, 32)

    def key_of(state: dict[str, torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            return unfolded(XMem(TINY), state).encode_key(picture).key

    expected = key_of(stopped.run.average.state)
    assert not torch.allclose(key_of(stopped.run.task.network.state_dict()), expected, rtol=1e-3)
    for source, tolerance in (
        (tmp_path / "first.safetensors", 2e-3),
        (stopped.folder, 0),
        (stopped.folder / "checkpoint.pt", 0),
    ):
        following = replace(config, start_from=str(source), trunk_weights="none.pth")
        run = tracker_run(following, tmp_path / "second")
        assert run.step == 0
        ours = key_of(run.task.network.state_dict())
        torch.testing.assert_close(ours, expected, rtol=1e-3 + 20 * tolerance, atol=20 * tolerance)


def test_only_entries_that_are_new_in_the_network_stay_as_initialised(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(4)
    old = XMem(TINY)
    (tmp_path / "old.safetensors").write_bytes(network_bytes(old, {}))
    grown = XMem(replace(TINY, has_position=True))
    fresh = grown.key_encoder.position
    assert fresh is not None
    scale = fresh.scale.detach().clone()
    with caplog.at_level("INFO"):
        start_tracker(grown, tmp_path / "old.safetensors")

    torch.testing.assert_close(
        grown.decoder.prediction.weight, old.decoder.prediction.weight, rtol=1e-3, atol=1e-3
    )
    assert torch.equal(fresh.scale, scale)
    named = [record.getMessage() for record in caplog.records]
    assert named
    assert all("key_encoder.position." in message for message in named)
    (tmp_path / "grown.safetensors").write_bytes(network_bytes(grown, {}))
    with pytest.raises(ValueError, match=r"key_encoder\.position"):
        start_tracker(XMem(TINY), tmp_path / "grown.safetensors")
    with pytest.raises(ValueError, match="of shape"):
        start_tracker(XMem(replace(TINY, key_channels=8)), tmp_path / "old.safetensors")
