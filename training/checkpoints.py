"""A run on disk: checkpoints that resume exactly, curves as CSV, and the export of weights.

RUN/checkpoint.pt is replaced whole and atomically, RUN/curve.csv grows by a row an evaluation.
Random numbers need no saving: every one follows from the seed and the step.
"""

from __future__ import annotations

import csv
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, optim

from interaction.files import write_bytes
from training.config import DataName, TrackerTraining, config_from
from xmem_core.learning.average import MovingAverage
from xmem_core.learning.folding import unfolded
from xmem_core.network.xmem import XMem
from xmem_core.weights import load_xmem, network_bytes

log = logging.getLogger(__name__)

_FILE = "checkpoint.pt"
_CURVE = "curve.csv"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One row of the curve."""

    step: int
    loss: float  # mean since the last row
    iou: float  # of the averaged weights, on held-out composed clips
    learning_rate: float
    seconds: float  # of training so far, over all starts


def save_checkpoint(
    run: Path,
    config: TrackerTraining,
    network: XMem,
    average: MovingAverage,
    optimizer: optim.Optimizer,
    *,
    step: int,
    seconds: float,
) -> None:
    """step: how many were done."""
    run.mkdir(parents=True, exist_ok=True)
    content = {
        "config": config.as_dict(),
        "network": network.state_dict(),
        "average": average.state,
        "optimizer": optimizer.state_dict(),
        "step": step,
        "seconds": seconds,
    }
    partial = run / (_FILE + ".partial")
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(run / _FILE)


def read_checkpoint(run: Path) -> dict[str, Any] | None:
    """What `save_checkpoint` wrote, on the CPU; None where nothing was yet."""
    return _read(run / _FILE)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def append_to_curve(run: Path, point: CurvePoint) -> None:
    run.mkdir(parents=True, exist_ok=True)
    path = run / _CURVE
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(point)))
        if is_new:
            writer.writeheader()
        writer.writerow({name: round(value, 6) for name, value in asdict(point).items()})


def averaged_network(content: dict[str, Any]) -> XMem:
    """The plain network with a checkpoint's averaged weights, in evaluation mode."""
    config = config_from(content["config"])
    average: dict[str, Tensor] = content["average"]
    return unfolded(XMem(config.network), average)


def begin_with(network: XMem, path: Path) -> None:
    """Puts the weights in `path` into a plain `network` that is not trained yet.

    path: exported or published weights, or a run's folder or checkpoint, of which the averaged
    weights are taken. Entries that the network has and the file has not stay as they are, with a
    line in the log. Raises ValueError for an entry that the network has not or that has another
    shape, and UnusableWeightsError for a file that holds no weights.
    """
    state = _weights_in(path)
    wanted = network.state_dict()
    for name, tensor in state.items():
        if name not in wanted:
            raise ValueError(f"{path.name} holds {name}, which the network has not")
        if tensor.shape != wanted[name].shape:
            raise ValueError(
                f"{path.name} holds {name} of shape {tuple(tensor.shape)}, but the network's has "
                f"{tuple(wanted[name].shape)}"
            )
    for name in wanted:
        if name not in state:
            log.info("%s is not in %s and stays as initialised", name, path.name)
    network.load_state_dict(state, strict=False)


def _weights_in(path: Path) -> dict[str, Tensor]:
    checkpoint = path / _FILE if path.is_dir() else path
    if checkpoint.suffix != Path(_FILE).suffix:
        return load_xmem(path).state_dict()
    content = _read(checkpoint)
    if content is None:
        raise ValueError(f"there is no {checkpoint} to start from")
    return averaged_network(content).state_dict()


def without_folders(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without where this machine keeps its files, which is nobody's business."""
    paths = {"pack", "trunk_weights", "start_from"}
    return {
        name: Path(v).name if name in paths or name.endswith("_root") else v
        for name, v in config.items()
    }


_DATA: dict[DataName, str] = {
    "composed": "clips composed of cut-outs, clip art and photographs",
    "static": "pictures with masks of one object",
    "photographs": "photographs with instance masks",
    "davis": "DAVIS 2017",
    "youtube": "YouTube-VOS",
    "davis+youtube": "DAVIS 2017 and YouTube-VOS",
    "bl30k": "BL30K",
}
_REAL_VIDEO = {"davis", "youtube", "davis+youtube"}


def described_data(names: Iterable[DataName]) -> str:
    """What a network was trained on, in words, for those who get its weights."""
    names = list(dict.fromkeys(names))
    text = ", ".join(_DATA[name] for name in names)
    return text if _REAL_VIDEO & set(names) else f"{text}; no real video"


def export(run: Path, output: Path) -> None:
    """Averaged weights of the newest checkpoint in half precision, with where they come from."""
    content = read_checkpoint(run)
    if content is None:
        raise ValueError(f"{run} holds no {_FILE}")
    config = config_from(content["config"])
    metadata = {
        "step": str(content["step"]),
        "seed": str(config.seed),
        "training_seconds": str(round(content["seconds"])),
        "data": described_data(stage.data for stage in config.stages),
        "training": json.dumps(without_folders(content["config"])),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(output, network_bytes(averaged_network(content), metadata))
