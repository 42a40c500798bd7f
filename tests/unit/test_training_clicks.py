"""Training of the click network: samples, exact resumption, export."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from interaction.clicks.prompts import next_click
from interaction.clicks.small_network import load_small_click_network
from interaction.learning.networks import averaged_click_network
from interaction.learning.samples import annotator_click, damaged, error_click
from tests.unit.test_training_composer import make_pack
from tests.unit.test_training_resume import pretend_imagenet
from training.checkpoints import read_checkpoint, write_weights
from training.clicks.samples import draw_samples, redrawn
from training.clicks.task import ClickTask, composed_from
from training.config import ClickStage, ClickTraining, config_from, read_config
from training.pack import Pack
from training.run import Run
from xmem_core.learning.losses import normalised_focal_loss

CONFIGS = Path(__file__).parents[2] / "training" / "configs"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ClickTraining:
    folder = tmp_path_factory.mktemp("clicks")
    torch.manual_seed(3)
    torch.save(pretend_imagenet(), folder / "trunk.pth")
    return ClickTraining(
        pack=str(make_pack(folder / "pack")),
        trunk_weights=str(folder / "trunk.pth"),
        stages=(
            ClickStage(steps=2, size=32, batch=2, learning_rate=1e-3),
            ClickStage(steps=1, size=64, batch=1, learning_rate=1e-3, trunk_rate=0.0),
        ),
        warm_up_steps=1,
        evaluate_every=2,
        evaluation_pictures=2,
        evaluation_size=32,
    )


def click_run(config: ClickTraining, folder: Path) -> Run:
    return Run(config, ClickTask(config), folder)


@dataclass(frozen=True)
class StoppedRun:
    """A run in memory, and the folder that it is kept in; both are for looking at only."""

    run: Run
    folder: Path


@pytest.fixture(scope="module")
def stopped(config: ClickTraining, tmp_path_factory: pytest.TempPathFactory) -> StoppedRun:
    """After the first of its steps."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    run = click_run(config, folder)
    run.advance(until=1)
    return StoppedRun(run, folder)


def test_a_stopped_run_resumes_to_the_very_same_weights(
    config: ClickTraining, stopped: StoppedRun, tmp_path: Path
) -> None:
    click_run(config, tmp_path / "whole").advance()
    shutil.copytree(stopped.folder, tmp_path / "parts")
    click_run(config, tmp_path / "parts").advance()
    whole, parts = (read_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    assert whole is not None
    assert parts is not None
    assert whole["step"] == parts["step"] == 3
    for part in ("network", "average"):
        for name, tensor in whole[part].items():
            torch.testing.assert_close(parts[part][name], tensor, rtol=0, atol=0)
    with (tmp_path / "whole" / "curve.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "3"]


def test_an_exported_run_loads_and_answers_as_it_did(stopped: StoppedRun, tmp_path: Path) -> None:
    write_weights(stopped.folder, tmp_path / "clicks.safetensors")
    loaded = load_small_click_network(tmp_path / "clicks.safetensors")
    inputs = torch.rand(1, 3, 64, 32), torch.rand(1, 3, 64, 32), torch.rand(1, 1, 64, 32)
    with torch.no_grad():
        expected = averaged_click_network(stopped.run.average.state)(*inputs)
        torch.testing.assert_close(loaded(*inputs), expected, rtol=0.02, atol=0.02)


def test_samples_follow_from_the_seed_and_begin_with_a_click_on_an_error(
    config: ClickTraining,
) -> None:
    make_clip = composed_from(Pack(Path(config.pack)))
    for seed in range(8):
        sample, again = (
            draw_samples(make_clip, np.random.default_rng(seed), config, 48, 1)[0] for _ in range(2)
        )
        np.testing.assert_array_equal(sample.picture, again.picture)
        assert sample.clicks == again.clicks
        assert sample.truth.any()
        first = sample.clicks[0]
        at = int(first.y), int(first.x)
        if (sample.given != sample.truth).any():
            assert sample.truth[at] == first.is_positive
            assert sample.given[at] != sample.truth[at]


def test_damage_changes_a_mask_and_clicks_on_it_are_errors() -> None:
    truth = np.zeros((64, 64), bool)
    truth[16:48, 20:44] = True
    changed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        mask = damaged(truth, rng)
        changed += bool((mask != truth).any())
        click = error_click(mask, truth, (), rng)
        if click is not None:
            at = int(click.y), int(click.x)
            assert mask[at] != truth[at]
            assert truth[at] == click.is_positive
    assert changed > 15


def test_an_outline_is_redrawn_somewhat_wider_or_tighter_but_stays_the_same_object() -> None:
    truth = np.zeros((128, 128), bool)
    truth[40:100, 30:60] = truth[40:60, 30:100] = True
    areas = []
    for seed in range(30):
        mask = redrawn(truth, np.random.default_rng(seed))
        overlap = (mask & truth).sum() / (mask | truth).sum()
        assert overlap > 0.5
        areas.append(int(mask.sum()))
    assert min(areas) < truth.sum() < max(areas)


def test_the_focal_loss_looks_at_what_is_wrong() -> None:
    truth = torch.zeros(1, 1, 8, 8)
    truth[..., :4] = 1
    logits = torch.where(truth > 0, 4.0, -4.0)
    right = normalised_focal_loss(logits, truth)
    logits[0, 0, 3, 3] = -4.0
    one_wrong = normalised_focal_loss(logits, truth)
    # One pixel of 64 is wrong by 4; of a mean over pixels it would be a sixteenth.
    assert one_wrong > 3.5
    assert right < 0.1


def test_a_run_can_begin_with_exported_weights_and_with_nothing_else(
    config: ClickTraining, stopped: StoppedRun, tmp_path: Path
) -> None:
    weights = tmp_path / "clicks.safetensors"
    write_weights(stopped.folder, weights)
    second = click_run(replace(config, start_from=str(weights)), tmp_path / "second")
    inputs = torch.rand(1, 3, 64, 32), torch.rand(1, 3, 64, 32), torch.rand(1, 1, 64, 32)
    with torch.no_grad():
        expected = load_small_click_network(weights)(*inputs)
        found = averaged_click_network(second.average.state)(*inputs)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
    second.advance(until=1)
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cannot begin"):
        click_run(replace(config, start_from=str(weights)), tmp_path / "third")


def test_clicks_by_the_rule_and_beside_it_are_errors(config: ClickTraining) -> None:
    truth = np.zeros((64, 64), bool)
    truth[16:48, 20:44] = True
    exact = next_click(np.zeros_like(truth), truth)
    found = [
        annotator_click(np.zeros_like(truth), truth, (), np.random.default_rng(seed), config.habits)
        for seed in range(40)
    ]
    assert 10 < found.count(exact) < 38
    assert all(c is not None and truth[int(c.y), int(c.x)] for c in found)


def test_the_shipped_configuration_is_valid_and_wrong_ones_are_named() -> None:
    assert read_config(CONFIGS / "small_clicks.toml", {}).total_steps == 2000
    more = read_config(CONFIGS / "small_clicks_more.toml", {})
    assert read_config(CONFIGS / "small_clicks_real.toml", {}).total_steps == 2100
    assert (CONFIGS.parents[1] / more.start_from).is_file()
    with pytest.raises(ValueError, match="not valid"):
        config_from({"task": "clicks", "pack": "p", "stages": [], "colour": 3})
    with pytest.raises(ValueError, match="multiple of 32"):
        ClickStage(steps=1, size=50, batch=1, learning_rate=1e-3)
