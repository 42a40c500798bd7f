"""Two passes between given frames become one mask.

At each pixel a pass counts by how near its own given frame is and by how sure it is there, after
the difference-aware fusion of MiVOS (Cheng, Tai and Tang, CVPR 2021), but without a network. Where
both agree it changes nothing; `python -m benchmarks.trust` compares it with the cut in the middle.
"""

import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from interaction.annotation.types import FrameRecord, Signs
from interaction.files import JsonObject
from interaction.project.records import MaskPlace, object_id, record_from_json, record_to_json
from interaction.tracking.trust import IS_TWO, SIGNS
from xmem_core.pictures import Prediction

_SURENESS: Final = 0.25  # weight of a pass that is not sure at all, to 1 and this of one that is
_LONGEST_SIDE: Final = 2**13  # of what a pass found
_PIECE_BYTES: Final = 2**20  # unpacked at once, to see how much there is
_DISAGREEMENT: Final = SIGNS.index("disagreement")


class PassStore:
    """What the first pass found, packed: a frame and object takes some kilobytes."""

    def __init__(self) -> None:
        self._packed: dict[int, tuple[Prediction, tuple[int, ...], bytes, tuple[Signs, ...]]] = {}

    def put(self, frame: int, prediction: Prediction, signs: tuple[Signs, ...]) -> None:
        whole = (prediction.small * 255).round().to(torch.uint8).cpu().numpy()
        packed = zlib.compress(whole.tobytes(), 1)
        without = replace(prediction, small=torch.empty(0), match=None)
        self._packed[frame] = without, whole.shape, packed, signs

    def state(self) -> tuple[list[JsonObject], dict[str, Tensor]]:
        """What is in it, as JSON and by frame; `restore` is its inverse."""
        about: list[JsonObject] = []
        for frame, (prediction, shape, _, signs) in self._packed.items():
            kept = record_to_json(FrameRecord(signs=signs), _no_mask)
            about.append(
                {
                    "frame": frame,
                    "objects": list(prediction.objects),
                    "size": list(prediction.source_size),
                    "shape": list(shape),
                    "record": kept,
                }
            )
        packed = {str(f): np.frombuffer(one[2], np.uint8).copy() for f, one in self._packed.items()}
        return about, {name: torch.from_numpy(array) for name, array in packed.items()}

    def restore(
        self, about: list[JsonObject], packed: Mapping[str, Tensor], size: tuple[int, int]
    ) -> None:
        """size: (H, W) of the video. ValueError and the like for what no `state` gave."""
        for one in about:
            frame, (height, width) = int(one["frame"]), one["size"]
            shape = tuple(int(length) for length in one["shape"])
            objects = tuple(object_id(number) for number in one["objects"])
            data = packed[str(frame)].numpy().tobytes()
            is_sound = (height, width) == size and _is_packed(data, (1 + len(objects), *shape[1:]))
            if len(shape) != 3 or shape[0] != 1 + len(objects) or not is_sound:
                raise ValueError(f"the first pass of frame {frame} is damaged")
            prediction = Prediction(objects, torch.empty(0), size)
            signs = record_from_json(one["record"], _no_place).signs
            self._packed[frame] = prediction, shape, data, signs

    def take(self, frame: int) -> tuple[Prediction, tuple[Signs, ...]] | None:
        """On the CPU, and out of the store; None of a frame that is not in it."""
        found = self._packed.pop(frame, None)
        if found is None:
            return None
        without, shape, packed, signs = found
        whole = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape)
        return replace(without, small=torch.from_numpy(whole / np.float32(255))), signs


def _is_packed(data: bytes, shape: tuple[int, ...]) -> bool:
    """Whether `data` unpacks to as many bytes as `shape` has; no more of it is unpacked than that,
    and little at a time."""
    if min(shape) < 1 or max(shape) > _LONGEST_SIDE:
        return False
    unpacking, missing = zlib.decompressobj(), math.prod(shape)
    try:
        while missing >= 0 and not unpacking.eof:
            piece = unpacking.decompress(data, _PIECE_BYTES)
            data, missing = unpacking.unconsumed_tail, missing - len(piece)
            if not piece and not data:
                break
    except zlib.error:
        return False
    return unpacking.eof and missing == 0


def _no_mask(mask: bytes) -> MaskPlace:
    raise ValueError("a pass has no mask")


def _no_place(place: MaskPlace) -> bytes:
    raise ValueError("a pass has no mask")


@torch.inference_mode()
def blend(
    first: Prediction, second: Prediction, share: float
) -> tuple[Prediction, dict[int, float]]:
    """Both passes' answers for a frame as one, and by object how much they disagree (1 - IoU).

    share: 0 to 1, the way from the first pass's given frame to the second's. An object that one
    pass did not look for is the other's.
    """
    ids = tuple(sorted({*first.objects, *second.objects}))
    size = second.small.shape[-2:]
    stacks = [_stack(one, ids, size, second.small.device) for one in (first, second)]
    for this, other, its in ((0, 1, first.objects), (1, 0, second.objects)):
        missing = [1 + index for index, one in enumerate(ids) if one not in its]
        if missing:
            borrowed = stacks[other][missing]
            stacks[this] = stacks[this] * (1 - borrowed.sum(dim=0)).clamp(min=0)
            stacks[this][missing] = borrowed
    (ours, our_lead), (theirs, their_lead) = map(_likeliest, stacks)
    weights = ((1 - share) * (_SURENESS + our_lead), share * (_SURENESS + their_lead))
    total = (weights[0] + weights[1]).clamp(min=1e-6)
    mixed = (stacks[0] * weights[0] + stacks[1] * weights[1]) / total
    apart = _apart(ours, theirs, ids)
    return Prediction(ids, mixed, second.source_size), apart


def _likeliest(stack: Tensor) -> tuple[Tensor, Tensor]:
    """(1 + K, h, w) -> (h, w) uint8 the likeliest channel, and its lead over the second, which
    without another is all of it.

    Channel by channel: `argmax` and `topk` across channels are slow on a CPU.
    """
    best, second = stack[0], torch.zeros_like(stack[0])
    channel = torch.zeros(stack.shape[1:], dtype=torch.uint8, device=stack.device)
    for index, scores in enumerate(stack[1:], start=1):
        wins = (scores > best).view(torch.uint8)
        channel = channel * (1 - wins) + wins * index
        second = torch.maximum(second, torch.minimum(best, scores))
        best = torch.maximum(best, scores)
    return channel, best - second


def _stack(
    prediction: Prediction, ids: tuple[int, ...], size: torch.Size, device: torch.device
) -> Tensor:
    """(1 + K, h, w) with a channel, empty at first, for each of `ids`."""
    small = prediction.small.to(device, torch.float32)
    if small.shape[-2:] != size:  # the tracker has stepped down between the passes
        small = F.interpolate(small.unsqueeze(0), size, mode="bilinear")[0]
    whole = small.new_zeros(1 + len(ids), *size)
    whole[[0, *(1 + ids.index(one) for one in prediction.objects)]] = small
    return whole


def _apart(first: Tensor, second: Tensor, ids: tuple[int, ...]) -> dict[int, float]:
    result = {}
    for channel, one in enumerate(ids, start=1):
        here, there = first == channel, second == channel
        union = int(torch.count_nonzero(here | there))
        both = int(torch.count_nonzero(here & there))
        result[one] = 0.0 if union == 0 else 1 - both / union
    return result


def joined_signs(
    first: tuple[Signs, ...], second: tuple[Signs, ...], share: float, apart: Mapping[int, float]
) -> tuple[Signs, ...]:
    """Of each object those of the pass whose given frame is nearer, with the disagreement."""
    nearer, farther = (first, second) if share <= 0.5 else (second, first)
    found = {one.object_id: one for one in (*farther, *nearer)}
    result = []
    for one in found.values():
        values = list(one.values)
        values[IS_TWO], values[_DISAGREEMENT] = 1.0, round(apart.get(one.object_id, 0.0), 3)
        result.append(Signs.of(one.object_id, values, one.key))
    return tuple(sorted(result, key=lambda one: one.object_id))
