"""Pictures and masks as the engine takes and gives them: labels to one channel an object and back,
aggregation of objects, internal size, padding to stride 16."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from xmem_core.arrays import Frame, Labels, Window
from xmem_core.network.xmem import KeyFeatures

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
    return (extra_w // 2, extra_w - extra_w // 2, extra_h // 2, extra_h - extra_h // 2)


def pad(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """Zeros around the last two dimensions, by `padding_to_stride`."""
    return F.pad(x, padding) if any(padding) else x


def unpad(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """The exact inverse of `pad`."""
    left, right, top, bottom = padding
    height, width = x.shape[-2:]
    return x[..., top : height - bottom, left : width - right]


# A thing that is small in a small picture covers few 16-pixel elements; enlarged, it is followed
# better. Beyond twofold there is nothing left to see, only time to lose.
_MOST_ENLARGED = 2


@dataclass(frozen=True, slots=True)
class PictureSize:
    """How a source picture becomes the network's: (height, width) in pixels."""

    source: tuple[int, int]
    internal: tuple[int, int]  # before padding
    padding: tuple[int, int, int, int]  # (left, right, top, bottom) to a multiple of 16
    window: Window | None = None  # the part of the source that is seen; None: all of it

    @classmethod
    def of(
        cls, height: int, width: int, shorter_side: int | None, window: Window | None = None
    ) -> "PictureSize":
        """Brings the shorter side, of `window` if there is one, to `shorter_side`; the longer is
        cut to whole pixels, as the published code does. Enlarges at most twofold."""
        source = (height, width)
        if window is not None:
            height, width = window.height, window.width
        internal = (height, width)
        shorter = min(height, width)
        if shorter_side is not None:
            shorter_side = min(shorter_side, _MOST_ENLARGED * shorter)
        if shorter_side is not None and shorter != shorter_side:
            longer = int(shorter_side * max(height, width) / shorter)
            internal = (shorter_side, longer) if height <= width else (longer, shorter_side)
        return cls(source, internal, padding_to_stride(*internal), window)

    def suits(self, other: "PictureSize") -> bool:
        """Whether frames of both can be compared: they differ in where the window is, if at all."""
        return (self.source, self.internal) == (other.source, other.internal)

    def to_internal(self, x: Tensor) -> Tensor:
        """(C, H, W) at source size -> (C, h, w) at internal size, averaged where made smaller,
        interpolated where enlarged."""
        if self.window is not None:
            x = x[(slice(None), *self.window.slices)]
        return resized(x, self.internal)


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame's picture as the network saw it, and what it saw in it."""

    size: PictureSize
    picture: Tensor  # (1, 3, h, w), normalised, padded
    features: KeyFeatures


def check_frame(frame: Frame) -> None:
    """ValueError if a frame is not (H, W, 3) uint8."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(f"a frame must be uint8 (H, W, 3), got {frame.dtype} {frame.shape}")


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(C, H, W) -> (C, *size), averaged where made smaller, interpolated where enlarged."""
    if x.shape[1:] == size:
        return x
    return F.interpolate(x.unsqueeze(0), size, mode="bilinear", antialias=True)[0]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the tracker says of one frame. Reading it at source size costs; do it once."""

    objects: tuple[int, ...]
    small: Tensor  # (1 + K, h, w) probabilities at the network's size, channel 0 background
    source_size: tuple[int, int]  # (H, W)
    # (2, h / 16, w / 16), padded: how similar the nearest element of memory is, in nats, and the
    # share of the readout that comes from confirmed frames. None where memory was not asked.
    match: Tensor | None = None
    window: Window | None = None  # the part that `small` is about; None: the whole picture

    @property
    def seen(self) -> Window:
        """What `small` is about; outside of it all is background."""
        return self.window or Window(0, 0, self.source_size[1], self.source_size[0])

    @property
    def share(self) -> float:
        """Of the picture's area that is seen."""
        return self.seen.width * self.seen.height / (self.source_size[0] * self.source_size[1])

    @torch.inference_mode()
    def probabilities(self) -> Tensor:
        """(1 + K, H, W) float32 at source size, on the tracker's device, background first."""
        seen, size = self.small, (self.seen.height, self.seen.width)
        if seen.shape[-2:] != size:
            seen = F.interpolate(seen.unsqueeze(0), size, mode="bilinear")[0]
        if self.window is None:
            return seen
        whole = seen.new_zeros(len(seen), *self.source_size)
        whole[0] = 1
        whole[(slice(None), *self.window.slices)] = seen
        return whole

    @torch.inference_mode()
    def labels(self) -> Labels:
        """(H, W) uint8: the id of the likeliest object at each pixel, 0 background.

        Goes channel by channel, so that forty objects at 4K need no gigabytes.
        """
        size = (self.seen.height, self.seen.width)
        best: Tensor | None = None
        labels = torch.zeros(size, dtype=torch.uint8, device=self.small.device)
        for object_id, channel in zip((0, *self.objects), self.small, strict=True):
            full = channel
            if channel.shape != size:
                full = F.interpolate(channel[None, None], size, mode="bilinear")[0, 0]
            if best is None:
                best = full.clone()
                continue
            wins = full > best
            # In place, and on bytes: quicker than `masked_fill_`.
            won = wins.view(torch.uint8)
            labels.mul_(1 - won).add_(won * object_id)
            torch.maximum(best, full, out=best)
        found = labels.cpu().numpy()
        if self.window is None:
            return found
        whole = np.zeros(self.source_size, np.uint8)
        whole[self.window.slices] = found
        return whole


def memorised_objects(
    labels: Labels, shape: tuple[int, int], known: Iterable[int], objects: Iterable[int] | None
) -> tuple[int, ...]:
    """The ids that a mask (H, W) to be memorised states the presence or absence of: `objects`, or
    those in it and `known`. ValueError if it is not uint8 of that shape, holds others, or there are
    none."""
    if labels.shape != shape or labels.dtype != np.uint8:
        raise ValueError(
            f"labels must be uint8 of shape {shape}, got {labels.dtype} {labels.shape}"
        )
    present = {int(i) for i in np.unique(labels)} - {0}
    ids = tuple(sorted(present | set(known) if objects is None else set(objects)))
    if not present <= set(ids) or not all(1 <= i <= 255 for i in ids):
        raise ValueError(f"the mask holds objects {sorted(present)}, objects says {list(ids)}")
    if not ids:
        raise ValueError("the mask is empty and no object is known yet: nothing to memorise")
    return ids
