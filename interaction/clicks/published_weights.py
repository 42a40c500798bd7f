"""Load click networks and the scribble network from published checkpoints."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import torch
from torch import Tensor, nn

from interaction.clicks.deeplab import DeepLabClickNetwork, Depth
from interaction.clicks.fbrs import ClickNetwork
from interaction.clicks.s2m import ScribbleNetwork
from interaction.clicks.small_network import load_small_click_network
from interaction.errors import ModelError
from xmem_core.messages import Message
from xmem_core.network.inference import fold_batch_norms
from xmem_core.weights import CheckpointFileError, read_named_tensors

# Published name -> ours, first match of a name's start.
_CLICK_NAMES: Final = (
    (r"rgb_conv\.", "mix."),
    (r"feature_extractor\.backbone\.", "trunk."),
    (r"feature_extractor\.skip_project\.skip_project\.", "skip."),
    (r"feature_extractor\.aspp\.concurent\.4\.gap\.", "context.pool."),
    (r"feature_extractor\.aspp\.concurent\.", "context.branches."),
    (r"feature_extractor\.aspp\.project\.", "context.project."),
    (r"feature_extractor\.head\.block\.(\d)\.body\.", r"decoder.\1."),
    (r"feature_extractor\.head\.block\.", "decoder."),
    (r"head\.layers\.(\d)\.body\.", r"head.\1."),
    (r"head\.layers\.", "head."),
)
_SCRIBBLE_NAMES: Final = (
    (r"backbone\.", "trunk."),
    (r"classifier\.project\.", "skip."),
    (r"classifier\.aspp\.convs\.4\.", "context.pool."),
    (r"classifier\.aspp\.convs\.", "context.branches."),
    (r"classifier\.aspp\.project\.", "context.project."),
    (r"classifier\.classifier\.", "head."),
)
_DEPTHS: Final[Mapping[tuple[bool, int], Depth]] = {  # bottlenecks or not, blocks in stage 3
    (False, 6): 34,
    (True, 6): 50,
    (True, 23): 101,
}
_WIDTHS: Final = range(16, 1025)

_Network = TypeVar("_Network", bound=nn.Module)


def load_published_click_network(path: Path) -> DeepLabClickNetwork:
    """The network of an f-BRS checkpoint, on the CPU and ready for use.

    ModelError for anything else; no code in the file is ever run.
    """
    state = _read(path, "click")
    if not any(name.startswith("feature_extractor.aspp.") for name in state):
        raise _not_a("click", path, Message("it holds {kind}", kind=_kind_of(state)))
    pattern = re.compile(r"feature_extractor\.backbone\.layer3\.(\d+)\.conv([123])\.weight$")
    found = [match for name in state if (match := pattern.match(name))]
    blocks = len({match[1] for match in found})
    depth = _DEPTHS.get((any(match[2] == "3" for match in found), blocks))
    project = state.get("feature_extractor.aspp.project.0.weight")
    width = project.shape[0] if project is not None and project.ndim == 4 else 0
    if depth is None or width not in _WIDTHS:
        raise _not_a("click", path, Message("its ResNet has a size that was never published"))
    with torch.device("meta"):  # no memory or random numbers for weights about to be replaced
        network = DeepLabClickNetwork(depth, width)
    return _filled(network, _renamed(state, _CLICK_NAMES), "click", path)


def load_scribble_network(path: Path) -> ScribbleNetwork:
    """The network of an S2M checkpoint, on the CPU and ready for use.

    ModelError for anything else; no code in the file is ever run.
    """
    state = _read(path, "scribble")
    if not any(name.startswith("classifier.aspp.") for name in state):
        raise _not_a("scribble", path, Message("it holds {kind}", kind=_kind_of(state)))
    with torch.device("meta"):
        network = ScribbleNetwork()
    return _filled(network, _renamed(state, _SCRIBBLE_NAMES), "scribble", path)


def _read(path: Path, kind: str) -> dict[str, Tensor]:
    try:
        return read_named_tensors(path)
    except CheckpointFileError as error:
        raise _not_a(kind, path, str(error)) from None


def _renamed(state: Mapping[str, Tensor], names: tuple[tuple[str, str], ...]) -> dict[str, Tensor]:
    """A name that matches nothing stays, and is foreign."""
    result: dict[str, Tensor] = {}
    for published_name, tensor in state.items():
        name = published_name
        for pattern, replacement in names:
            name, count = re.subn(rf"^{pattern}", replacement, published_name)
            if count:
                break
        result[name] = tensor
    return result


def _filled(network: _Network, state: dict[str, Tensor], kind: str, path: Path) -> _Network:
    """The network with these weights, checked one by one, and its batch norms folded."""
    wanted = network.state_dict()
    for name in wanted:
        if name.endswith("num_batches_tracked"):  # never used, and absent from converted files
            state[name] = torch.zeros((), dtype=torch.int64)
    missing, foreign = wanted.keys() - state.keys(), state.keys() - wanted.keys()
    if missing or foreign:
        raise _not_a(
            kind,
            path,
            Message(
                "{missing} entries are missing and {foreign} are foreign (the first: {example})",
                missing=len(missing),
                foreign=len(foreign),
                example=min(missing or foreign),
            ),
        )
    for name, tensor in state.items():
        if tensor.shape != wanted[name].shape:
            raise _not_a(
                kind,
                path,
                Message(
                    "{name} has shape {shape} where {wanted_shape} is expected",
                    name=name,
                    shape=tuple(tensor.shape),
                    wanted_shape=tuple(wanted[name].shape),
                ),
            )
        if name.endswith("num_batches_tracked"):
            continue
        if not (tensor.is_floating_point() and tensor.layout == torch.strided):
            raise _not_a(kind, path, Message("{name} does not hold plain numbers", name=name))
        state[name] = tensor.float()
        if not bool(torch.isfinite(state[name]).all()):
            raise _not_a(kind, path, Message("{name} holds numbers that are not finite", name=name))
        if name.endswith("running_var") and bool((state[name] < 0).any()):
            raise _not_a(kind, path, Message("{name} holds a negative variance", name=name))
    network.load_state_dict(state, assign=True)
    network.eval().requires_grad_(False)
    fold_batch_norms(network)
    return network.to(memory_format=torch.channels_last)


def _kind_of(state: Mapping[str, Tensor]) -> str:
    if any(name.startswith("key_encoder.") for name in state):
        return Message("the weights of a tracker (XMem)")
    if any(name.startswith("classifier.aspp.") for name in state):
        return Message("the weights of a scribble network (S2M)")
    if any(name.startswith("feature_extractor.aspp.") for name in state):
        return Message("the weights of a click network (f-BRS)")
    if any(name.startswith("feature_extractor.stage2.") for name in state):
        return Message("the weights of an HRNet, which this program does not know")
    return Message("{count} entries of another network", count=len(state))


def _not_a(kind: str, path: Path, reason: str) -> ModelError:
    if kind == "click":
        return ModelError(
            Message(
                "“{name}” cannot be used as a click model: {reason}. Nothing was changed.",
                name=path.name,
                reason=reason,
            ),
            Message("Choose another click model (fbrs.pth as published), or download it again."),
        )
    return ModelError(
        Message(
            "“{name}” cannot be used as a scribble model: {reason}. Nothing was changed.",
            name=path.name,
            reason=reason,
        ),
        Message("Choose another scribble model (s2m.pth as published), or download it again."),
    )


def load_click_network(path: Path) -> ClickNetwork:
    """The network in `path`, on the CPU and ready for use; ModelError for anything else.

    Takes this program's safetensors files and the published f-BRS checkpoints. No code in the
    file is ever run.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError:
        start = b""  # the loader says what is wrong with it
    is_safetensors = len(start) == 9 and start[8:9] == b"{"
    return load_small_click_network(path) if is_safetensors else load_published_click_network(path)
