"""Labels to one channel an object and back, aggregation of objects, padding to stride 16."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

STRIDE = 16  # the network's coarsest
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def soft_aggregate(probabilities: Tensor) -> Tensor:
    """Objects that were predicted one by one -> one distribution over background and objects.

    probabilities: (..., K, H, W) in [0, 1]. Returns (..., 1 + K, H, W), channel 0 background,
    summing to 1 (XMem's soft aggregation, from STM, Oh et al., ICCV 2019, section 3.4).
    """
    background = (1 - probabilities).prod(dim=-3, keepdim=True)
    stacked = torch.cat([background, probabilities], dim=-3).clamp(1e-7, 1 - 1e-7)
    return torch.logit(stacked).softmax(dim=-3)


def normalise(frames: Tensor) -> Tensor:
    """frames (B, 3, H, W) in [0, 255] -> the same with ImageNet's mean and deviation taken out."""
    mean = frames.new_tensor(IMAGENET_MEAN).view(3, 1, 1)
    std = frames.new_tensor(IMAGENET_STD).view(3, 1, 1)
    return (frames / 255 - mean) / std


def one_hot(labels: NDArray[np.uint8], ids: tuple[int, ...]) -> Tensor:
    """labels (H, W) of object ids -> (K, H, W) float32, one channel for each of `ids`."""
    wanted = np.asarray(ids, dtype=np.uint8).reshape(-1, 1, 1)
    return torch.from_numpy((labels[None] == wanted).astype(np.float32))


def padding_to_stride(height: int, width: int) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) pixels that bring both sides to a multiple of 16."""
    extra_w, extra_h = -width % STRIDE, -height % STRIDE
    return (
        extra_w // 2,
        extra_w - extra_w // 2,
        extra_h // 2,
        extra_h - extra_h // 2,
    )


def pad(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """Zeros around the last two dimensions, by `padding_to_stride`."""
    return F.pad(x, padding) if any(padding) else x


def unpad(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """The exact inverse of `pad`."""
    left, right, top, bottom = padding
    height, width = x.shape[-2:]
    return x[..., top : height - bottom, left : width - right]
