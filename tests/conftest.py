"""One thread for every test and every process that a test starts.

Sums come out in another order with another number of threads, and exact tests compare processes.
"""

import os
import uuid

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported anywhere
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # a real window: QT_QPA_PLATFORM=xcb

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from interaction.session import Session
from tests.fake_engines import FakeEngines, open_session

torch.set_num_threads(1)


@pytest.fixture
def engines() -> FakeEngines:
    return FakeEngines()


@pytest.fixture
def session(tmp_path: Path, engines: FakeEngines) -> Iterator[Session]:
    with open_session(tmp_path, engines=engines) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _own_pace(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests, and processes that they start, neither read nor change what is known of this
    machine's speed."""
    folder = tmp_path_factory.getbasetemp()
    path = folder / f"pace-{uuid.uuid4().hex}.json"
    monkeypatch.setattr("interaction.tracking.governor.pace_file", lambda: path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


def _run_out_of_cuda(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


def _run_out_of_cpu(*_: object, **__: object) -> None:
    torch.empty(2**60, dtype=torch.uint8)


def _run_out_of_numpy(*_: object, **__: object) -> None:
    np.empty(2**60, dtype=np.uint8)


def _run_out_of_mps(*_: object, **__: object) -> None:
    raise RuntimeError("MPS backend out of memory (MPS allocated: 8.89 GB, max allowed: 9.07 GB).")


@pytest.fixture(
    params=[_run_out_of_cuda, _run_out_of_mps, _run_out_of_cpu, _run_out_of_numpy],
    ids=["cuda", "mps", "cpu", "numpy"],
)
def run_out(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Takes any arguments and raises as a full device does."""
    function: Callable[..., None] = request.param
    return function
