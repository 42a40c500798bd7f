"""Making a loaded network fast, without changing what it computes."""

import copy
import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from xmem_core.device import half_precision
from xmem_core.network.backbones import SamePadConv2d
from xmem_core.network.xmem import XMem

_TILE = 4  # output pixels a side; the input tile overlaps its neighbours by two
_WINDOW = _TILE + 2
# With tiles of about this number at a time, the transformed tiles stay near the cache.
_TILES_AT_ONCE = 160

# Interpolation points. Lavin and Gray's 0, ±1, ±2 lose five times as much to rounding; these are
# symmetric and reciprocal (Barabasz et al., ACM TOMS 2020, https://arxiv.org/abs/1803.10986).
_POINTS = (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)


def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Input (6, 6), kernel (6, 3) and output (4, 6) transforms for `_POINTS` and infinity.

    Toom-Cook: output and kernel rows are powers of the points, the kernel's divided by the
    Lagrange denominators; input rows are the coefficients of the Lagrange numerators.
    """
    points = np.array(_POINTS)
    others = [np.delete(points, j) for j in range(len(points))]
    denominators = np.array([(p - q).prod() for p, q in zip(points, others, strict=True)])
    output = np.zeros((_TILE, _WINDOW))
    output[:, :-1] = points ** np.arange(_TILE)[:, None]
    output[-1, -1] = 1
    kernel = np.zeros((_WINDOW, 3))
    kernel[:-1] = points[:, None] ** np.arange(3) / denominators[:, None]
    kernel[-1, -1] = 1
    window = np.zeros((_WINDOW, _WINDOW))
    for j, roots in enumerate(others):
        window[j, :-1] = np.poly(roots)[::-1]
    window[-1] = np.poly(points)[::-1]
    return torch.from_numpy(window), torch.from_numpy(kernel), torch.from_numpy(output)


class WinogradConv2d(nn.Module):
    """A 3x3 convolution of stride 1 and padding 1, as batched matrix products. Float32.

    Differs from the direct one by about 2e-6 of the largest output. Keeps four times the memory
    of the weights it replaces.
    """

    kernel: Tensor  # (36, C_in, C_out)
    bias: Tensor | None
    input_transform: Tensor  # (36, 36)
    output_transform: Tensor  # (16, 36)

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        if not self.replaces(conv):
            raise ValueError(f"only 3x3 convolutions of stride 1 and padding 1, got {conv}")
        window_transform, kernel_transform, output_transform = _transforms()
        weight = conv.weight.detach()  # (C_out, C_in, 3, 3)
        kernel = weight.new_empty(_WINDOW**2, conv.in_channels, conv.out_channels)
        # In double precision, but not all at once: that would need 600 MB for a moment.
        for start in range(0, conv.out_channels, 64):
            some = weight[start : start + 64].double()
            some = torch.einsum("ij,oqjk,lk->ilqo", kernel_transform, some, kernel_transform)
            kernel[:, :, start : start + 64] = some.flatten(0, 1)
        self.register_buffer("kernel", kernel)
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach())
        # Both passes of the separable transforms at once, as one matrix each.
        both = torch.kron(window_transform, window_transform)
        self.register_buffer("input_transform", both.float())
        both = torch.kron(output_transform, output_transform)
        self.register_buffer("output_transform", both.float())

    @staticmethod
    def replaces(conv: nn.Conv2d) -> bool:
        return (
            conv.kernel_size == (3, 3)
            and conv.stride == (1, 1)
            and conv.padding == (1, 1)
            and conv.dilation == (1, 1)
            and conv.groups == 1
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, C_in, H, W) -> (B, C_out, H, W)
        batch, channels_in, height, width = x.shape
        channels_out = self.kernel.shape[2]
        tiles_y, tiles_x = -(-height // _TILE), -(-width // _TILE)
        padded_height, padded_width = _TILE * tiles_y + 2, _TILE * tiles_x + 2
        edges = (0, 0, 1, padded_width - width - 1, 1, padded_height - height - 1)
        padded = F.pad(x.permute(0, 2, 3, 1), edges).contiguous()  # (B, H', W', C_in)
        row, image = padded_width * channels_in, padded_height * padded_width * channels_in
        window = (row, channels_in, _TILE * row, _TILE * channels_in, 1)
        result = x.new_empty(batch, tiles_y, _TILE, tiles_x, _TILE, channels_out)
        blocks = max(1, round(tiles_y * tiles_x / _TILES_AT_ONCE))
        rows_at_once = -(-tiles_y // blocks)
        for picture in range(batch):
            for start in range(0, tiles_y, rows_at_once):
                rows = min(rows_at_once, tiles_y - start)
                tiles = padded.as_strided(
                    (_WINDOW, _WINDOW, rows, tiles_x, channels_in),
                    window,
                    picture * image + start * _TILE * row,
                ).reshape(36, -1)
                transformed = self.input_transform @ tiles
                product = torch.bmm(transformed.view(36, rows * tiles_x, channels_in), self.kernel)
                pixels = self.output_transform @ product.view(36, -1)
                pixels = pixels.view(_TILE, _TILE, rows, tiles_x, channels_out)
                result[picture, start : start + rows] = pixels.permute(2, 0, 3, 1, 4)
        result = result.view(batch, _TILE * tiles_y, _TILE * tiles_x, channels_out)
        result = result[:, :height, :width]
        if self.bias is not None:
            result = result + self.bias
        return result.permute(0, 3, 1, 2)


# Below this many channels the tile transforms cost more than the multiplications they save.
_WINOGRAD_FROM_CHANNELS = 128


def prepare(
    network: XMem, device: torch.device | str = "cpu", *, allows_half_precision: bool = True
) -> XMem:
    """A second `network` on `device`, for inference: batch norm folded into convolutions, channels
    last, in half precision where that is faster (`half_precision`) and allowed. On a CPU the small
    trunk's layers pass over memory once each, and in float32 wide 3x3 convolutions use Winograd's
    algorithm.

    In float32, outputs agree with the network's to about 1e-5 of their largest magnitude. It
    cannot be trained or saved. The original is untouched; what did not have to change is shared
    with it.
    """
    device = torch.device(device)
    prepared = _with_shared_weights(network).eval()
    fold_batch_norms(prepared)
    prepared.half_precision = (
        half_precision(device, tolerates_bfloat16=network.config.tolerates_bfloat16)
        if allows_half_precision
        else None
    )
    if prepared.half_precision is not None:
        for child in prepared.modules():  # once what autocast would convert at every call
            if isinstance(child, nn.Conv2d | nn.Linear):
                child.to(prepared.half_precision)
    if device.type == "cpu":
        merge_passes(prepared)
        if prepared.half_precision is None:
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


class ReLU6Conv2d(nn.Module):
    """A convolution and the ReLU6 after it in one pass over memory, by oneDNN. CPU."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    @staticmethod
    def is_available() -> bool:
        return torch.backends.mkldnn.is_available() and hasattr(
            torch.ops.mkldnn, "_convolution_pointwise"
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, C_in, H, W) -> (B, C_out, H', W')
        conv = self.conv
        if x.requires_grad and torch.is_grad_enabled():  # oneDNN's has no gradient
            return F.relu6(conv(x))
        return torch.ops.mkldnn._convolution_pointwise(
            x.to(conv.weight.dtype),
            conv.weight,
            conv.bias,
            conv.padding,
            conv.stride,
            conv.dilation,
            conv.groups,
            "hardtanh",
            [0.0, 6.0],
            "",
        )


def merge_passes(module: nn.Module) -> None:
    """Strided convolutions of the small trunk pad for themselves, and ReLU6 is part of them."""
    for name, child in module.named_children():
        if isinstance(child, SamePadConv2d):
            setattr(module, name, _padding_itself(child))
        else:
            merge_passes(child)
    if not (isinstance(module, nn.Sequential) and ReLU6Conv2d.is_available()):
        return
    layers = [name for name, layer in module.named_children() if not isinstance(layer, nn.Identity)]
    for name, after in itertools.pairwise(layers):
        conv = module.get_submodule(name)
        if isinstance(conv, nn.Conv2d) and isinstance(module.get_submodule(after), nn.ReLU6):
            setattr(module, name, ReLU6Conv2d(conv))
            setattr(module, after, nn.Identity())


def _padding_itself(conv: SamePadConv2d) -> nn.Conv2d:
    """The same convolution with a first row and column of zeros in its kernel: then both sides
    are padded alike, which the library does without a copy of the input."""
    same = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size[0] + 1,
        stride=2,
        padding=conv.kernel_size[0] // 2,
        groups=conv.groups,
        device="meta",
    )
    same.weight = nn.Parameter(F.pad(conv.weight.detach(), (1, 0, 1, 0)), requires_grad=False)
    same.bias = conv.bias
    return same


def _replace_wide_convolutions(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            is_wide = min(child.in_channels, child.out_channels) >= _WINOGRAD_FROM_CHANNELS
            if is_wide and WinogradConv2d.replaces(child):
                setattr(module, name, WinogradConv2d(child))
        else:
            _replace_wide_convolutions(child)
