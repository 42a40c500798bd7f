"""Cutie as a tracker, with random weights: what a propagation asks of it is answered."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interaction.errors import ModelError, UserError
from interaction.tracking.propagation import memorize_all, plan, propagate
from tests import tiny
from xmem_core import MemoryConfig, Tracker

pytest.importorskip("cutie", reason='Cutie needs: python -m pip install "xmem-annotate[cutie]"')
from interaction.tracking.cutie import CutieTracker, cutie_network, load_cutie

# The package asks for automatic mixed precision by a name that torch renames.
pytestmark = pytest.mark.filterwarnings("ignore:.*autocast.*:FutureWarning")

MEMORY = MemoryConfig(
    memorize_every=1, min_working_frames=2, max_working_frames=3, prototypes=2, top_k=4
)


@pytest.fixture(scope="module")
def network() -> Any:
    """The small one, made without any connection; torch's random numbers go on as they were."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.hub.download_url_to_file", _no_download)
        before = torch.random.get_rng_state()
        made = cutie_network("resnet18")
        assert torch.equal(torch.random.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for parameter in made.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.02)
    return made


def _no_download(*_: object, **__: object) -> None:
    raise AssertionError("something is downloaded")


def tracker(network: Any) -> Any:
    return CutieTracker(network, MEMORY, 32)


def test_it_has_what_a_propagation_uses_of_a_tracker(network: Any) -> None:
    of_cutie = tracker(network)
    calls = "memorize forget delete_object begin encode track revisit adopt"
    values = "confirmed_frames objects device times config memory_elements internal_size"
    for name in (*calls.split(), *values.split(), "configure"):
        assert hasattr(of_cutie, name), name
        ours, theirs = getattr(Tracker, name, None), getattr(CutieTracker, name, None)
        if inspect.isfunction(ours) and inspect.isfunction(theirs):
            known = list(inspect.signature(ours).parameters)
            assert list(inspect.signature(theirs).parameters) == known, name


def test_a_clip_is_tracked_from_given_frames_both_ways(network: Any) -> None:
    frames = [tiny.frame(index) for index in range(7)]
    masks = {2: tiny.labels(2, 1), 4: tiny.labels(4, 1, 7)}
    cutie = tracker(network)
    list(memorize_all(cutie, frames, masks))
    runs = plan(7, sorted(masks), "both")
    results = [r for r, _ in propagate(cutie, frames, masks, runs) if r]
    assert sorted(result.frame for result in results) == list(range(7))
    labels = {result.frame: result.prediction.labels() for result in results}
    for frame, given in masks.items():
        stated = given > 0
        np.testing.assert_array_equal(labels[frame][stated], given[stated])
    for one in labels.values():
        assert one.shape == frames[0].shape[:2]
        assert set(np.unique(one)) <= {0, 1, 2, 7}
    permanent, working, _ = cutie.memory_elements
    assert permanent > 0
    assert working > 0


def test_frames_and_objects_are_forgotten(network: Any) -> None:
    cutie = tracker(network)
    with pytest.raises(ValueError, match="memorise"):
        cutie.track(tiny.frame(0))
    cutie.memorize(0, tiny.frame(0), tiny.labels(0, 1, 7))
    cutie.memorize(3, tiny.frame(3), tiny.labels(3, 1, 0), [1])
    cutie.begin()
    assert (cutie.objects, cutie.confirmed_frames) == ((1, 7), (0, 3))
    cutie.delete_object(7)
    assert cutie.track(tiny.frame(1)).objects == (1,)
    cutie.forget(3)
    cutie.begin()
    assert cutie.confirmed_frames == (0,)
    one = cutie.track(tiny.frame(1), [1, 9])
    assert one.objects == (1, 9)
    total = one.probabilities().sum(dim=0)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-4)
    assert not one.probabilities()[2].any()
    adopted = torch.zeros(1, *tiny.frame(0).shape[:2])
    adopted[0, 4:12, 4:12] = 1
    assert cutie.adopt(tiny.frame(2), adopted, [1]).objects == (1,)
    assert cutie.closeup is None
    with pytest.raises(UserError, match="look closer"):
        cutie.closeup = object()
    assert not hasattr(cutie, "run_state")  # the package's memory cannot be put back


def test_weights_are_read_and_other_files_refused(network: Any, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "cutie-small.pth")
    loaded: Any = load_cutie(tmp_path / "cutie-small.pth", torch.device("cpu"))
    frame = tiny.frame(0)
    [one], [other] = tracker(network).encode([frame]), tracker(loaded).encode([frame])
    assert torch.equal(one.features.key, other.features.key)
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="another network"):
        load_cutie(tmp_path / "other.pth", torch.device("cpu"))
