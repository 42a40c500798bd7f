"""The GPU benchmark: its plain loop is XMem, and it runs on any device."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import PlainLoop, main
from tests import tiny
from xmem_core import MemoryConfig, Tracker

CONFIG = MemoryConfig(
    memorize_every=2, min_working_frames=2, max_working_frames=4, prototypes=8, max_long_term=1000
)


def test_the_plain_loop_is_what_the_tracker_computes() -> None:
    network = tiny.network()
    tracker = Tracker(network, CONFIG, internal_size=40)
    tracker.memorize(0, tiny.frame(0), tiny.labels(0))
    tracker.begin()
    tracker.revisit(0, tiny.frame(0))
    plain = PlainLoop(network, CONFIG, None, 40)
    plain.start(tiny.frame(0), tiny.labels(0), (1, 2))
    for index in range(1, 14):
        ours = tracker.track(tiny.frame(index)).probabilities()
        torch.testing.assert_close(plain.step(tiny.frame(index)), ours, atol=1e-3, rtol=0)
    assert plain.long_term["key"].shape[1] == len(tracker.bank.long_term) >= 16


def test_the_rehearsal_measures_every_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "gpu.json"
    main(["--tiny", "--device", "cpu", "--objects", "1", "2", "--output", str(output)])
    report = json.loads(output.read_text("utf-8"))
    assert report["device"] == "CPU"
    figures = report["figures"]
    assert [one["objects"] for one in figures if one["precision"] == "float32"] == [1, 2]
    for one in figures:
        assert set(one["stages"]) == {"key", "value", "readout", "decode"}
        assert all(stage["milliseconds"] > 0 for stage in one["stages"].values())
        assert min(one["frames_per_second"], one["plain_frames_per_second"]) > 0
    assert "plain loop" in capsys.readouterr().out
