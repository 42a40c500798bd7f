"""Runs and weights on disk: checkpoints, exported weights, their mean, two click networks as one.

RUN/checkpoint.pt is replaced whole and atomically.
"""

import io
import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from interaction.clicks.small_network import (
    SmallClickNetwork,
    click_network_bytes,
    read_click_network,
)
from interaction.errors import ModelError
from interaction.files import JsonObject, write_bytes
from interaction.learning.networks import averaged_click_network
from training.config import DataName, TrackerTraining, config_from
from xmem_core.learning.lean import fold_norms, unfolded
from xmem_core.network.xmem import XMem
from xmem_core.weights import is_safetensors, load_xmem, network_bytes, read_header

log = logging.getLogger(__name__)

_FILE = "checkpoint.pt"


class Checkpoint(TypedDict):
    config: JsonObject  # as `Training.as_dict` gives it
    network: dict[str, Tensor]
    average: dict[str, Tensor]  # of the weights, as `MovingAverage` has it
    optimizer: dict[str, Any]
    step: int
    position: float  # in steps of the configuration
    seconds: float


def save_checkpoint(run: Path, content: Checkpoint) -> None:
    run.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    write_bytes(run / _FILE, buffer.getvalue())


def read_checkpoint(run: Path) -> Checkpoint | None:
    """What `save_checkpoint` wrote, on the CPU; None where nothing was yet.

    run: the folder, or the file itself.
    """
    path = run / _FILE if run.is_dir() else run
    if path.suffix != Path(_FILE).suffix or not path.exists():
        return None
    content: Checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    return content


def averaged_network(content: Checkpoint) -> XMem | SmallClickNetwork:
    """The plain network with a checkpoint's averaged weights, in evaluation mode."""
    config = config_from(content["config"])
    average = content["average"]
    if isinstance(config, TrackerTraining):
        return unfolded(XMem(config.network), average)
    return averaged_click_network(average)


def write_weights(run: Path, output: Path) -> None:
    """Averaged weights of the newest checkpoint in half precision, with where they come from.
    ValueError where there is no checkpoint."""
    content = read_checkpoint(run)
    if content is None:
        raise ValueError(f"{run} holds no {_FILE}")
    config = config_from(content["config"])
    kinds = dict.fromkeys(kind for stage in config.stages for kind in stage.kinds)
    metadata = {
        "step": str(content["step"]),
        "seed": str(config.seed),
        "training_seconds": str(round(content["seconds"])),
        "data": described_data(kinds),
        "training": json.dumps(_without_folders(content["config"])),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    network = averaged_network(content)
    if isinstance(network, XMem):
        write_bytes(output, network_bytes(network, metadata))
    else:
        write_bytes(output, click_network_bytes(network, metadata))


def start_tracker(network: XMem, path: Path) -> None:
    """Puts the weights in `path` into a plain `network` that is not trained yet.

    path: exported or published weights, or a run's folder or checkpoint, of which the averaged
    weights are taken. Entries that the network has and the file has not stay as they are, with a
    line in the log. Raises ValueError for an entry that the network has not or that has another
    shape, and UnusableWeightsError for a file that holds no weights.
    """
    content = read_checkpoint(path)
    if content is None and path.is_dir():
        raise ValueError(f"there is no {path / _FILE} to start from")
    start = load_xmem(path) if content is None else averaged_network(content)
    state, wanted = start.state_dict(), network.state_dict()
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


def start_clicks(network: SmallClickNetwork, path: Path) -> None:
    """As `start_tracker`, for a click network, all of whose entries must be there."""
    content = read_checkpoint(path)
    try:
        start = read_click_network(path) if content is None else averaged_network(content)
        network.load_state_dict(start.state_dict())
    except (ModelError, RuntimeError) as error:
        raise ValueError(f"a run cannot begin with {path}: {error}") from None


def write_mean(files: Sequence[Path], shares: Sequence[float], output: Path) -> None:
    """Writes sum of share * weights of trackers, shares scaled to 1 for each entry.

    Often better on real video than any of them (Wortsman et al., "Robust fine-tuning of zero-shot
    models", CVPR 2022, https://arxiv.org/abs/2109.01903). They must descend from one another. The
    last file says what the network is and where it comes from; entries of the others that it has
    not are left out, of those that only some have it is the mean of those. ValueError if there is
    not one positive share for each file.
    """
    if len(files) != len(shares) or not files or min(shares) <= 0:
        raise ValueError(f"{len(files)} files need as many positive shares, got {list(shares)}")
    config = load_xmem(files[-1]).config
    states = [_folded(file) for file in files]
    mean: dict[str, Tensor] = {}
    for name, tensor in states[-1].items():
        having = [(s[name], share) for s, share in zip(states, shares, strict=True) if name in s]
        if tensor.is_floating_point():
            total = sum(share for _, share in having)
            stacked = torch.stack([other * (share / total) for other, share in having])
            tensor = stacked.sum(dim=0)
        mean[name] = tensor
    metadata = read_header(files[-1]) if is_safetensors(files[-1]) else {}  # published: has none
    metadata["mean_of_shares"] = " ".join(f"{share:g}" for share in shares)
    write_bytes(output, network_bytes(unfolded(XMem(config), mean), metadata))


def _folded(file: Path) -> dict[str, Tensor]:
    """Weights with norms folded in, so that a run's export and its beginning can be mixed."""
    network: nn.Module = load_xmem(file)
    fold_norms(network)
    return network.state_dict()


def _without_folders(config: JsonObject) -> JsonObject:
    """The settings without the paths of this machine."""
    paths = {"pack", "trunk_weights", "start_from", "tracker_errors"}
    return {
        name: Path(v).name if name in paths or name.endswith("_root") else v
        for name, v in config.items()
    }


_DATA: dict[DataName, str] = {
    "composed": "clips composed of cut-outs, clip art and photographs",
    "static": "pictures with masks of one object",
    "photographs": "photographs with instance masks",
    "davis": "DAVIS",
    "youtube": "YouTube-VOS",
    "davis+youtube": "DAVIS and YouTube-VOS",
    "bl30k": "BL30K",
}
_REAL_VIDEO = {"davis", "youtube", "davis+youtube"}


def described_data(kinds: Iterable[DataName]) -> str:
    """What a network was trained on, in words, for those who get its weights."""
    kinds = list(kinds)
    text = ", ".join(_DATA[kind] for kind in kinds)
    # A folder of photographs may hold frames of videos, for the click network.
    is_still = not (_REAL_VIDEO | {"photographs"}) & set(kinds)
    return f"{text}; no real video" if is_still else text
