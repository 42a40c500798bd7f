"""Antialiased masks made hard: a mixed colour becomes the nearest real colour around it."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from xmem_core.pictures import Labels

__all__ = ["snap_to_real"]

_REACH_PX: Final = 2  # how far from a mixed pixel the colours it is mixed of may lie
_CHUNK: Final = 1 << 16  # pixels compared with all colours at a time


def snap_to_real(values: NDArray[Any], labels: Labels, keys: Mapping[int, int]) -> Labels:
    """labels (H, W) with the pixels whose `values` are in no key settled.

    values: (H, W) greys or 0xRRGGBB; keys: real value -> key, background (0) included. Colours
    near by are preferred: between red and blue lies purple, which may be a third object's.
    """
    real = np.array(sorted(keys), np.int64)
    at = np.searchsorted(real, values).clip(max=len(real) - 1)
    ys, xs = np.nonzero(real[at] != values)
    if len(ys) == 0:
        return labels
    result = labels.copy()
    is_real = np.pad(real[at] == values, _REACH_PX)
    around = np.pad(np.asarray(values, np.int64), _REACH_PX)
    mixed = _channels(values[ys, xs])
    best = np.full(len(ys), np.inf)
    chosen = np.zeros(len(ys), np.int64)
    for dy in range(2 * _REACH_PX + 1):
        for dx in range(2 * _REACH_PX + 1):
            other = around[ys + dy, xs + dx]
            distance = ((_channels(other) - mixed) ** 2).sum(axis=1)
            distance[~is_real[ys + dy, xs + dx]] = np.inf
            is_better = distance < best
            best[is_better] = distance[is_better]
            chosen[is_better] = other[is_better]
    alone = np.flatnonzero(np.isinf(best))
    for start in range(0, len(alone), _CHUNK):
        part = alone[start : start + _CHUNK]
        gaps = mixed[part][:, None, :] - _channels(real)[None]
        chosen[part] = real[(gaps**2).sum(axis=2).argmin(axis=1)]
    ids = np.array([keys[int(value)] for value in real], np.uint8)
    result[ys, xs] = ids[np.searchsorted(real, chosen)]
    return result


def _channels(values: NDArray[Any]) -> NDArray[np.float32]:
    """(N, 3) red, green, blue."""
    packed = np.asarray(values, np.int64)
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.float32)
