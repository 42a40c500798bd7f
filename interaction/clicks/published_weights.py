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
from xmem_core.weights import (
    CheckpointFileError,
    check_entries,
    is_safetensors,
    read_named_tensors,
    renamed,
)

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


def load_click_network(path: Path) -> ClickNetwork:
    """The network in `path`, on the CPU and ready for use; ModelError for anything else.

    Takes this program's safetensors files and the published f-BRS checkpoints. No code in the
    file is ever run.
    """
    try:
        if not is_safetensors(path):
            return _click_network(read_named_tensors(path))
    except CheckpointFileError as error:
        raise ModelError(
            Message(
                "“{name}” cannot be used as a click model: {reason}. Nothing was changed.",
                name=path.name,
                reason=error,
            ),
            Message("Choose another click model (fbrs.pth as published), or download it again."),
        ) from None
    return load_small_click_network(path)


def load_scribble_network(path: Path) -> ScribbleNetwork:
    """The network of an S2M checkpoint, on the CPU and ready for use.

    ModelError for anything else; no code in the file is ever run.
    """
    try:
        state = read_named_tensors(path)
        if not any(name.startswith("classifier.aspp.") for name in state):
            raise CheckpointFileError(Message("it holds {kind}", kind=_kind_of(state)))
        with torch.device("meta"):
            network = ScribbleNetwork()
        return _filled(network, renamed(state, _SCRIBBLE_NAMES))
    except CheckpointFileError as error:
        raise ModelError(
            Message(
                "“{name}” cannot be used as a scribble model: {reason}. Nothing was changed.",
                name=path.name,
                reason=error,
            ),
            Message("Choose another scribble model (s2m.pth as published), or download it again."),
        ) from None


def _click_network(state: Mapping[str, Tensor]) -> DeepLabClickNetwork:
    if not any(name.startswith("feature_extractor.aspp.") for name in state):
        raise CheckpointFileError(Message("it holds {kind}", kind=_kind_of(state)))
    pattern = re.compile(r"feature_extractor\.backbone\.layer3\.(\d+)\.conv([123])\.weight$")
    found = [match for name in state if (match := pattern.match(name))]
    blocks = len({match[1] for match in found})
    depth = _DEPTHS.get((any(match[2] == "3" for match in found), blocks))
    project = state.get("feature_extractor.aspp.project.0.weight")
    width = project.shape[0] if project is not None and project.ndim == 4 else 0
    if depth is None or width not in _WIDTHS:
        raise CheckpointFileError(Message("its ResNet has a size that was never published"))
    with torch.device("meta"):  # no memory or random numbers for weights about to be replaced
        network = DeepLabClickNetwork(depth, width)
    return _filled(network, renamed(state, _CLICK_NAMES))


def _filled(network: _Network, state: dict[str, Tensor]) -> _Network:
    """The network with these weights, checked one by one, and its batch norms folded."""
    check_entries(network.state_dict(), state)
    for name, tensor in state.items():
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise CheckpointFileError(Message("{name} holds a negative variance", name=name))
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
