"""The mean of weights: between its parts, and whole where only one has something."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests import tiny
from tests.unit.test_weights import NARROW, empty, published, sparing
from training.checkpoints import write_mean
from xmem_core.weights import load_xmem, network_bytes, read_header

OLD = replace(tiny.TINY, value_channels=36, mask_cells=4)
NEW = replace(OLD, has_mask_skip=True, confirmed_bonus=1.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("networks")
    paths = [folder / "old.safetensors", folder / "new.safetensors"]
    for path, config, seed in zip(paths, (OLD, NEW), (1, 2), strict=True):
        path.write_bytes(network_bytes(tiny.network(config, seed), {"seed": str(seed)}))
    return paths


def test_a_mean_lies_between_its_parts_by_their_shares(files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "mean.safetensors"

    write_mean(files, [1.0, 3.0], output)

    old, new, mean = (load_xmem(path).decoder for path in (*files, output))
    expected = 0.25 * old.prediction.weight + 0.75 * new.prediction.weight
    torch.testing.assert_close(mean.prediction.weight, expected, atol=1e-3, rtol=1e-3)
    assert mean.mask_skip is not None
    assert new.mask_skip is not None
    assert torch.equal(mean.mask_skip.gate.weight, new.mask_skip.gate.weight)
    assert load_xmem(output).config == NEW
    assert read_header(output)["seed"] == "2"


def test_a_network_alone_computes_the_same_as_before(files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "mean.safetensors"
    write_mean(files[1:], [1.0], output)
    picture = torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))

    ours, theirs = (load_xmem(path).encode_key(picture).key for path in (output, files[1]))

    torch.testing.assert_close(ours, theirs, atol=0.02 * float(theirs.abs().max()), rtol=0)


def test_a_published_checkpoint_has_no_header_to_take_over(tmp_path: Path) -> None:
    path, output = tmp_path / "published.pth", tmp_path / "mean.safetensors"
    torch.save(published(sparing(empty(NARROW).state_dict())), path)

    write_mean([path], [1.0], output)

    assert load_xmem(output).config == NARROW
    assert read_header(output)["mean_of_shares"] == "1"


@pytest.mark.parametrize("shares", [[], [1.0], [1.0, 0.0]])
def test_shares_must_fit_the_files(files: list[Path], tmp_path: Path, shares: list[float]) -> None:
    with pytest.raises(ValueError, match="shares"):
        write_mean(files, shares, tmp_path / "mean.safetensors")
