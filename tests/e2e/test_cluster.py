"""`batch --cluster`: the masks of one process, from several, and from one that is killed."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests import tiny
from xmem_core.weights import network_bytes

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="needs the extra [cluster]: pip install ray"
    ),
]

PROGRAM = Path(__file__).parents[2] / "interactive_demo.py"
FRAMES = 60
LIMIT_S = 400


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jobs")
    for name in ("a", "b", "c"):
        tiny.write_clip(folder / "clips" / name, FRAMES)
        tiny.write_mask(folder / "clips" / f"{name}-masks", 0, tiny.labels(0) * (name != "c"))
    weights = folder / "tiny.safetensors"
    weights.write_bytes(network_bytes(tiny.network(), {}))
    (folder / "c.toml").write_text(
        f'[propagate]\nmodel = "{weights.as_posix()}"\ndevice = "cpu"\ninternal-size = 48\n',
        "utf-8",
    )
    return folder


def start(place: Path, output: str, *more: str) -> "subprocess.Popen[str]":
    line = [sys.executable, str(PROGRAM), "batch", str(place / "clips"), "--json"]
    line += ["--output", str(place / output), "--report", str(place / f"{output}.json")]
    return subprocess.Popen(
        [*line, "--config", str(place / "c.toml"), *more],
        cwd=place,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def ended(program: "subprocess.Popen[str]") -> dict[str, str]:
    """Status of each job by its name."""
    out, err = program.communicate(timeout=LIMIT_S)
    assert program.returncode == 3, err
    return {Path(one["output"]).name: one["status"] for one in json.loads(out)}


def masks(place: Path, output: str) -> dict[str, bytes]:
    folder = place / output
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def test_a_cluster_gives_the_masks_of_one_process_though_a_worker_is_killed(place: Path) -> None:
    expected = {"a": "done", "b": "done", "c": "failed"}
    assert ended(start(place, "alone")) == expected
    program = start(place, "cluster", "--cluster")
    killed = False
    end = time.monotonic() + LIMIT_S
    while not killed and program.poll() is None and time.monotonic() < end:
        begun = list((place / "cluster").glob("*/*.png"))
        workers = [
            one
            for one in psutil.Process(program.pid).children(recursive=True)
            if begun and any("_run_on_worker" in word for word in one.cmdline())
        ]
        if workers:
            workers[0].kill()
            killed = True
        time.sleep(0.05)
    assert killed
    assert ended(program) == expected
    assert masks(place, "cluster") == masks(place, "alone")
    again = ended(start(place, "cluster", "--cluster", "--resume"))
    assert again == {"a": "already done", "b": "already done", "c": "failed"}
