"""Making a loaded network fast, without changing what it computes."""

import copy
import itertools

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from xmem_core.device import half_precision
from xmem_core.network.winograd import WinogradConv2d
from xmem_core.network.xmem import XMem

# Below this many channels the tile transforms cost more than the multiplications they save.
_WINOGRAD_FROM_CHANNELS = 128


def prepare(network: XMem, device: torch.device | str = "cpu") -> XMem:
    """A second `network` on `device`, for inference: batch norm folded into convolutions, channels
    last, in half precision where that is faster (`half_precision`), and else on a CPU wide 3x3
    convolutions by Winograd's algorithm.

    In float32, outputs agree with the network's to about 1e-5 of their largest magnitude. It
    cannot be trained or saved. The original is untouched; what did not have to change is shared
    with it.
    """
    device = torch.device(device)
    prepared = _with_shared_weights(network).eval()
    fold_batch_norms(prepared)
    prepared.half_precision = half_precision(
        device, tolerates_bfloat16=network.config.tolerates_bfloat16
    )
    if device.type == "cpu" and prepared.half_precision is None:
        _replace_wide_convolutions(prepared.value_encoder)
        _replace_wide_convolutions(prepared.decoder)
    prepared.to(device)
    return prepared.to(memory_format=torch.channels_last)


def _with_shared_weights(network: XMem) -> XMem:
    """A copy whose weights are the original's own, as parameters that can be replaced without it
    noticing: a real copy would need the memory twice for what is about to be transformed."""
    shared: dict[int, object] = {}
    for parameter in network.parameters():
        shared[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False)
    for buffer in network.buffers():
        shared[id(buffer)] = buffer
    return copy.deepcopy(network, shared)


def fold_batch_norms(module: nn.Module) -> None:
    """Folds each batch norm into the convolution registered right before it."""
    children = list(module.named_children())
    for (conv_name, conv), (norm_name, norm) in itertools.pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(module, norm_name, nn.Identity())
    for _, child in children:
        fold_batch_norms(child)


def _replace_wide_convolutions(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            is_wide = min(child.in_channels, child.out_channels) >= _WINOGRAD_FROM_CHANNELS
            if is_wide and WinogradConv2d.replaces(child):
                setattr(module, name, WinogradConv2d(child))
        else:
            _replace_wide_convolutions(child)
