"""Pixels with several objects: pure functions from stacks to stacks.

A frame's stack is its labels from front to back: first the mask, which is what everybody sees, then
what lies beneath it, as label pictures of the same size. At each pixel the ids are different and
come before the zeros, so most stacks are the mask alone. An object's region is all of its pixels,
visible or covered. Only objects that keep covered pixels ("keepers") are beneath others.
"""

import itertools
from collections.abc import Callable, Collection, Iterable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.mask_files import decode_labels
from interaction.annotation.types import FrameRecord
from xmem_core.arrays import Labels

Stack = tuple[Labels, ...]
Mask = NDArray[np.bool_]

_IDS: Final = range(1, 256)
MOST_LAYERS: Final = 32  # of a stack; what would lie deeper is lost


def stack_of(record: FrameRecord, height: int, width: int) -> Stack:
    """A frame's stack; zeros where it has no mask. UnreadableMaskError."""
    if record.mask is None:
        return (blank(height, width),)
    return (decode_labels(record.mask), *map(decode_labels, record.beneath))


def blank(height: int, width: int) -> Labels:
    """(height, width) background."""
    return np.zeros((height, width), np.uint8)


def region(stack: Stack, object_id: int) -> Mask:
    """(H, W): all pixels of an object, also those under others."""
    result = stack[0] == object_id
    for layer in stack[1:]:
        result |= layer == object_id
    return result


def covered_pixels(stack: Stack, object_id: int) -> Mask:
    """(H, W): the object's pixels that lie under others."""
    return region((np.zeros_like(stack[0]), *stack[1:]), object_id)


def ids_beneath(stack: Stack) -> frozenset[int]:
    """The objects with covered pixels."""
    ids: set[int] = set()
    for layer in stack[1:]:
        ids |= ids_in(layer)
    return frozenset(ids)


def areas_px(labels: Labels, where: Mask | None = None) -> NDArray[np.int64]:
    """(256,): how many pixels each id has in (H, W), only at `where` if given. Five times as fast
    as `bincount`; from 16.8 million pixels of one id on they are rounded to 24 bits."""
    mask = None if where is None else where.view(np.uint8)
    found = cv2.calcHist([labels], [0], mask, [256], [0, 256])
    return np.asarray(found).ravel().astype(np.int64)


def ids_in(labels: Labels) -> frozenset[int]:
    """The objects with pixels in (H, W)."""
    return frozenset(np.flatnonzero(areas_px(labels)).tolist()) - {0}


def among(labels: Labels, ids: Collection[int]) -> Mask:
    """Of labels' shape: where the label is one of `ids`."""
    if labels.size == 0:
        return np.zeros(labels.shape, np.bool_)
    table = np.zeros(256, np.uint8)
    table[list(ids)] = 1
    # Six times as fast as NumPy's indexing.
    found = np.asarray(cv2.LUT(np.ascontiguousarray(labels).reshape(1, -1), table))
    return found.view(np.bool_).reshape(labels.shape)


def is_same(one: Stack, other: Stack) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def cover(stack: Stack, after: Labels, keepers: Collection[int]) -> Stack:
    """The mask becomes `after`, (H, W), where it differs from the one there is.

    An object that comes to the front covers what was there; what keeps no covered pixels is gone.
    Where the front object is taken off, what lies beneath is seen again.
    """
    differs = stack[0] != after
    if not differs.any():
        return stack
    stack, changed = _replaced(stack, differs, after, keepers)
    if changed.size == 0:
        return stack
    new = after.ravel()[changed]
    old = _columns(stack, changed)
    stays = among(old, keepers) & (old != new)
    stays[1:] |= new == 0  # beneath what is taken off
    stays[0] &= new > 0
    return _with_columns(stack, changed, np.concatenate([new[None], np.where(stays, old, 0)]))


def lay(stack: Stack, over: Stack, keepers: Collection[int]) -> Stack:
    """All of `over` before the stack: where it has an object, of what was there only what keeps
    covered pixels stays."""
    at = np.flatnonzero(over[0])
    if at.size == 0:
        return stack
    new, old = _columns(over, at), _columns(stack, at)
    stays = among(old, keepers)
    for row in new:
        stays &= old != row
    return _with_columns(stack, at, np.concatenate([new, np.where(stays, old, 0)]))


def without(stack: Stack, ids: Collection[int], where: Mask | None = None) -> Stack:
    """Objects off the stack, only at `where` (H, W) if given; what lies beneath moves up."""
    gone = np.zeros(stack[0].shape, np.bool_)
    for layer in stack:
        gone |= among(layer, ids)
    if where is not None:
        gone &= where
    if not gone.any():
        return stack
    stack, at = _replaced(stack, gone, np.zeros_like(stack[0]))
    if at.size == 0:
        return stack
    columns = _columns(stack, at)
    return _with_columns(stack, at, np.where(among(columns, ids), 0, columns))


def only_keepers(stack: Stack, keepers: Collection[int]) -> Stack:
    """Without covered pixels of other objects."""
    stray = ids_beneath(stack) - frozenset(keepers)
    if not stray:
        return stack
    lower = tuple(np.where(among(one, stray), 0, one).astype(np.uint8) for one in stack[1:])
    return packed((stack[0], *lower))


def add_beneath(stack: Stack, object_id: int, where: Mask) -> Stack:
    """The object at `where` (H, W), behind all that is there; where it is already it stays."""
    at = np.flatnonzero(where & ~region(stack, object_id))
    if at.size == 0:
        return stack
    new = np.full((1, at.size), object_id, np.uint8)
    return _with_columns(stack, at, np.concatenate([_columns(stack, at), new]))


def in_front(stack: Stack, object_id: int, keepers: Collection[int]) -> Stack:
    """All pixels of the object before the others. Objects that keep none covered are not moved."""
    rises = region(stack, object_id) & among(stack[0], keepers)
    return cover(stack, np.where(rises, object_id, stack[0]).astype(np.uint8), keepers)


def reshaped(
    stack: Stack, object_id: int, change: Callable[[Labels], Labels], keepers: Collection[int]
) -> Stack:
    """The object's region becomes what `change` makes of it alone: labels (H, W) with no other
    object. What comes to it lies beneath others, or is left out if it keeps no covered pixels;
    what it loses shows what lay beneath."""
    before = region(stack, object_id)
    after = change(np.where(before, object_id, 0).astype(np.uint8)) == object_id
    result = without(stack, {object_id}, before & ~after)
    if object_id not in keepers:
        after = after & (result[0] == 0)
    return add_beneath(result, object_id, after)


def renamed(stack: Stack, ids: NDArray[np.uint8], keepers: Collection[int]) -> Stack:
    """ids: (256,) the new id by the old one. Of two that become one, the front one stays."""
    new = tuple(ids[layer] for layer in stack)
    if len(new) == 1:
        return new
    for index, layer in enumerate(new):
        for above in new[:index]:
            layer[layer == above] = 0
    return only_keepers(packed(new), keepers)


def with_labels_of(stack: Stack, object_id: int, labels: Labels) -> Stack:
    """Each pixel of the object, visible or covered, gets its id from `labels` (H, W)."""
    return packed(
        tuple(np.where(layer == object_id, labels, layer).astype(np.uint8) for layer in stack)
    )


def covering(stack: Stack) -> dict[tuple[int, int], int]:
    """By (front, back): at how many pixels the one object lies before the other."""
    counts: dict[tuple[int, int], int] = {}
    for depth, below in enumerate(stack[1:], start=1):
        at = np.flatnonzero(below)
        for above in stack[:depth]:
            pairs = above.ravel()[at].astype(np.int64) * 256 + below.ravel()[at]
            for pair, count in zip(*np.unique(pairs, return_counts=True), strict=True):
                key = divmod(int(pair), 256)
                counts[key] = counts.get(key, 0) + int(count)
    return counts


def keeping(before: Stack, after: Stack, ids: Collection[int]) -> Stack:
    """`after`, with the pixels that one of `ids` would gain or lose as they were `before`."""
    fixed = np.zeros(after[0].shape, np.bool_)
    for object_id in ids:
        fixed |= region(before, object_id) != region(after, object_id)
    if not fixed.any():
        return after
    depth = max(len(before), len(after))
    pairs = zip(_deep(before, depth), _deep(after, depth), strict=True)
    return packed(tuple(np.where(fixed, old, new).astype(np.uint8) for old, new in pairs))


def touched(before: Stack, after: Stack) -> frozenset[int]:
    """The ids of all objects that came, went or moved between front and back at some pixel."""
    ids: set[int] = set()
    depth = max(len(before), len(after))
    for old, new in zip(_deep(before, depth), _deep(after, depth), strict=True):
        is_changed = old != new
        ids.update(np.unique(np.concatenate([old[is_changed], new[is_changed]])).tolist())
    return frozenset(ids - {0})


def pile(regions: Iterable[tuple[int, Mask]], height: int, width: int) -> Stack:
    """A stack of regions (id, (height, width)), each before those that came earlier, all kept."""
    stack: Stack = (blank(height, width),)
    for object_id, mask in regions:
        there = stack[0][mask]
        if ((there == 0) | (there == object_id)).all():
            stack[0][mask] = object_id  # ours alone: much quicker
        else:
            stack = cover(stack, np.where(mask, object_id, stack[0]).astype(np.uint8), _IDS)
    return stack


def packed(stack: Stack) -> Stack:
    """With the ids before the zeros at every pixel."""
    gaps = np.zeros(stack[0].shape, np.bool_)
    for above, below in itertools.pairwise(stack):
        gaps |= (above == 0) & (below > 0)
    at = np.flatnonzero(gaps)
    return _with_columns(stack, at, _columns(stack, at)) if at.size else _trimmed(stack)


def _replaced(
    stack: Stack, where: Mask, labels: Labels, keepers: Collection[int] = ()
) -> tuple[Stack, NDArray[np.intp]]:
    """The mask as `labels`, (H, W), at those places of `where` that have nothing beneath and none
    of `keepers`, which are nearly all; and the flat places that are left to do."""
    is_deep = where & (stack[1] > 0) if len(stack) > 1 else np.zeros_like(where)
    if keepers:
        is_deep |= where & among(stack[0], keepers)
    mask = stack[0].copy()
    np.copyto(mask, labels, where=where & ~is_deep)
    return (mask, *stack[1:]), np.flatnonzero(is_deep)


def _columns(stack: Stack, at: NDArray[np.intp]) -> Labels:
    """(depth, N): from front to back, at N flat places."""
    return np.stack([layer.ravel()[at] for layer in stack])


def _with_columns(stack: Stack, at: NDArray[np.intp], columns: Labels) -> Stack:
    """The stack with `columns` (depth, N), which may hold zeros anywhere, at N flat places."""
    order = np.argsort(columns == 0, axis=0, kind="stable")
    columns = np.take_along_axis(columns, order, axis=0)[:MOST_LAYERS]
    result: list[Labels] = []
    for layer, column in zip(_deep(stack, len(columns)), columns, strict=True):
        new = layer.copy()
        new.ravel()[at] = column
        result.append(new)
    return _trimmed(result)


def _deep(stack: Stack, depth: int) -> Stack:
    return (*stack, *(np.zeros_like(stack[0]) for _ in range(depth - len(stack))))


def _trimmed(layers: Iterable[Labels]) -> Stack:
    """Without empty layers at the back."""
    stack = list(layers)
    while len(stack) > 1 and not stack[-1].any():
        stack.pop()
    return tuple(stack)
