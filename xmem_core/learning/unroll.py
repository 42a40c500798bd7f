"""One clip through the network, as tracking would go: truth in the first frame, then on its own.

Later frames are read from memory, and what was predicted there, not the truth, goes back into
memory, so that the network learns to live with its own mistakes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xmem_core.learning.losses import VOID, bootstrapped_cross_entropy, dice
from xmem_core.memory.readout import memory_rows, query_rows, similarity
from xmem_core.network.xmem import KeyFeatures, XMem
from xmem_core.pictures import normalise, soft_aggregate


def track_clip(
    network: XMem,
    frames: Tensor,
    first_labels: Tensor,
    objects: int,
    memorized: Sequence[int],
    *,
    references: Sequence[Sequence[int]] = (),
    deep: Collection[int] | None = None,
    present: Tensor | None = None,
) -> Tensor:
    """frames (B, T, 3, H, W) in 0..255, first_labels (B, H, W) int64 in 0..objects.

    memorized: the frames after the first whose predictions go into memory. references: for each
    frame after the first, the memory frames that it reads; all for none. deep: the memory frames
    after the first that refresh sensory memory; all for None. present (B, K) bool: which clips
    have which objects; all for None. Returns probabilities (B, T - 1, 1 + K, H, W) of the frames
    after the first.
    """
    batch, length = frames.shape[:2]
    pictures = normalise(frames.flatten(0, 1).float())
    if frames.device.type == "cpu":
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    every = network.encode_key(pictures)
    pictures = pictures.unflatten(0, (batch, length))

    def features_of(frame: int) -> KeyFeatures:
        return KeyFeatures(*(part.unflatten(0, (batch, length))[:, frame] for part in every))

    first = (
        F.one_hot(first_labels * (first_labels != VOID), objects + 1)
        .movedim(3, 1)[:, 1:]
        .to(pictures.dtype)
    )
    features = features_of(0)
    hidden = network.initial_hidden(objects, features.key)
    value, hidden = network.encode_value(pictures[:, 0], features.feature16, hidden, first)
    memory = {0: (_rows_of(features), value.flatten(3))}
    predictions = []
    for frame in range(1, length):
        features = features_of(frame)
        query = query_rows(_positions(features.key), _positions(features.selection))
        read = [memory[at] for at in (references[frame - 1] if references else memory)]
        keys, values = torch.cat([key for key, _ in read], 1), torch.cat([v for _, v in read], 3)
        readout = read_memory(keys, values, query)
        readout = readout.unflatten(3, features.key.shape[2:])
        logits, hidden = network.decode(features, readout, hidden)
        alone = logits.float().sigmoid()
        if present is not None:
            alone = alone * present[:, :, None, None]
        probabilities = soft_aggregate(alone)
        predictions.append(probabilities)
        if frame in memorized and frame < length - 1:
            masks = probabilities[:, 1:]
            is_deep = deep is None or frame in deep
            value, hidden = network.encode_value(
                pictures[:, frame], features.feature16, hidden, masks, is_deep=is_deep
            )
            memory[frame] = (_rows_of(features), value.flatten(3))
    return torch.stack(predictions, dim=1)


def read_memory(memory: Tensor, values: Tensor, query: Tensor) -> Tensor:
    """memory (B, N, R) and query (B, Q, R) rows, values (B, K, C, N) -> (B, K, C, Q).

    A full softmax: with top-k, elements outside it would never learn.
    """
    affinity = similarity(memory, query).softmax(dim=2).to(values.dtype)  # (B, Q, N)
    read = torch.bmm(values.flatten(1, 2), affinity.transpose(1, 2))
    return read.unflatten(1, values.shape[1:3])


def _positions(channels: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h*w, C)."""
    return channels.flatten(2).transpose(1, 2)


def _rows_of(features: KeyFeatures) -> Tensor:
    return memory_rows(_positions(features.key), _positions(features.shrinkage))


class ClipLoss(nn.Module):
    """The loss of a batch of clips, as a module, so that DistributedDataParallel can wrap it."""

    def __init__(self, network: XMem) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        frames: Tensor,
        labels: Tensor,
        objects: int,
        memorized: Sequence[int],
        share: float,
        references: Sequence[Sequence[int]] = (),
        deep: Collection[int] | None = None,
        present: Tensor | None = None,
    ) -> Tensor:
        """frames (B, T, 3, H, W) in 0..255, labels (B, T, H, W) int64, and `track_clip`'s choices;
        a scalar."""
        probabilities = track_clip(
            self.network,
            frames,
            labels[:, 0],
            objects,
            memorized,
            references=references,
            deep=deep,
            present=present,
        )
        flat, truth = probabilities.flatten(0, 1), labels[:, 1:].flatten(0, 1)
        if present is not None:
            present = present.repeat_interleave(probabilities.shape[1], dim=0)
        return bootstrapped_cross_entropy(flat, truth, share) + dice(flat, truth, present)
