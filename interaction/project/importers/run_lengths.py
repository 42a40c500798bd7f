"""COCO's run-length codes and polygons as masks, from files that may hold anything.

pycocotools decodes in C and trusts its input, so codes are taken apart and checked here. The
format: runs of 0 and 1 in turn, column by column; in the compressed form every run is written
relative to the one two before it, five bits a character from 48 on, the sixth saying that more
follows (the format's own description in `maskApi.c` of the COCO API).
"""

import math
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

__all__ = ["InvalidMaskError", "decode_segmentation"]

_MOST_POINTS: Final = 1_000_000
_LONGEST_RUN_BITS: Final = 40


class InvalidMaskError(ValueError):
    """A code or polygon that stands for no mask of the size it is said to have."""


def decode_segmentation(segmentation: Any, width: int, height: int) -> NDArray[np.bool_]:
    """(height, width), from a run-length code, plain or compressed, or a list of polygons.

    Raises InvalidMaskError.
    """
    if isinstance(segmentation, dict):
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if size is not None and size != [height, width]:
            raise InvalidMaskError(f"a code for {size} and not for [{height}, {width}]")
        runs = _parse(counts) if isinstance(counts, str) else counts
        return _of_runs(runs, width, height)
    if isinstance(segmentation, list):
        return _of_polygons(segmentation, width, height)
    raise InvalidMaskError("a mask that is neither a run-length code nor a list of polygons")


def _parse(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or shift > _LONGEST_RUN_BITS:
            raise InvalidMaskError("a run-length code with characters that do not belong in it")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise InvalidMaskError("a run-length code that is cut off")
    return runs


def _of_runs(runs: Any, width: int, height: int) -> NDArray[np.bool_]:
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise InvalidMaskError("a run-length code that is no list of lengths")
    if sum(runs) != width * height:
        raise InvalidMaskError(f"a run-length code for another size than {width} × {height}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape((height, width), order="F")


def _of_polygons(polygons: list[Any], width: int, height: int) -> NDArray[np.bool_]:
    if not polygons:
        return np.zeros((height, width), np.bool_)
    checked: list[list[float]] = []
    points = 0
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise InvalidMaskError("a polygon of fewer than three points")
        points += len(polygon) // 2
        if points > _MOST_POINTS or not all(
            isinstance(value, int | float) and math.isfinite(value) for value in polygon
        ):
            raise InvalidMaskError("a polygon whose points are no numbers, or too many")
        # Far outside the picture an edge would take pycocotools forever.
        flat = np.array(polygon, np.float64).reshape(-1, 2)
        checked.append(flat.clip((0, 0), (width, height)).ravel().tolist())
    codes: Any = coco_mask.frPyObjects(cast("Any", checked), height, width)
    merged: Any = coco_mask.merge(codes)
    return _of_runs(_parse(merged["counts"].decode("ascii")), width, height)
