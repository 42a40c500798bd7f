"""What the pixel values of mask pictures mean, found from all pictures of a set together.

A value that fills a 3 × 3 square anywhere is real: it stands for an object or the background. In
antialiased masks all other values are mixtures on edges, and go to the nearest real value around.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.errors import UnreadableMaskError
from interaction.project.importers.mask_set import MOST_OBJECTS, check_pixels
from interaction.project.importers.picture_traits import (
    MOST_MIXED,
    PictureTraits,
    Values,
    look_at,
    values_of,
)
from interaction.project.importers.snapping import snap_to_real
from interaction.project.mask_colors import (
    PALETTE_IDS,
    davis_palette,
)
from interaction.project.mask_pictures import COLOR_MODES, opened_mask
from xmem_core.pictures import Labels

__all__ = ["PictureReading", "ValueKind", "learn_pictures", "read_picture_mask"]

_MOTS_CLASS: Final = 1000  # values of MOTS are class · 1000 + instance
_MOTS_IGNORE: Final = 10  # its class for regions that are nobody's
_DEEP_WHITE: Final = 65_000  # a 16-bit matte reaches nearly up to 65535
_MOST_GREY_IDS: Final = 100


class ValueKind(StrEnum):
    """How a set of pictures holds objects; the values are titles for people."""

    IDS = "pixel values are object ids"
    MOTS = "pixel values are class · 1000 + object"
    MATTE = "white is the object"
    COLORS = "every colour is an object"
    CUT_OUT = "what is not transparent is the object"


@dataclass(frozen=True, slots=True)
class PictureReading:
    """How every picture of one set is read."""

    kind: ValueKind
    keys: Mapping[int, int]  # pixel value or 0xRRGGBB -> key
    colors: Mapping[int, tuple[int, int, int]]  # key -> RGB, where the pictures have colours
    is_antialiased: bool = False  # values that are not in `keys` are mixtures
    has_ids: bool = False
    half: int = 128  # of white, for kind MATTE


def learn_pictures(
    paths: Sequence[Path],
    *,
    is_single: bool = False,
    on_each: Callable[[Path, tuple[int, int]], None] = lambda path, size: None,
) -> PictureReading:
    """Looks at every picture once. is_single: they are of one object, whatever its grey or colour.

    on_each: called with each picture's path and (width, height). Raises UnreadableMaskError.
    """
    traits = PictureTraits()
    for path in paths:
        with opened_mask(path) as image:
            check_pixels(path, *image.size)
            size = image.size
            look_at(image, traits, is_single=is_single)
        on_each(path, size)
    return _conclude(traits, paths[0], is_single=is_single)


def read_picture_mask(path: Path, reading: PictureReading) -> Labels:
    """(H, W) keys at the picture's own size. Raises UnreadableMaskError."""
    with opened_mask(path) as image:
        check_pixels(path, *image.size)
        if reading.kind is ValueKind.CUT_OUT:
            alpha = np.asarray(image.convert("RGBA"))[:, :, 3]
            return (alpha >= 128).astype(np.uint8)
        values = values_of(image)
        if reading.kind is ValueKind.MATTE:
            if image.mode in COLOR_MODES:  # the brightest of the three: a red mask is one too
                values = np.maximum(np.maximum(values >> 16, values >> 8 & 255), values & 255)
            is_palette = image.mode in ("P", "PA")
            return (values >= (1 if is_palette else reading.half)).astype(np.uint8)
        if (image.mode in COLOR_MODES) != (reading.kind is ValueKind.COLORS):
            raise UnreadableMaskError(
                path,
                "it is coloured and others are not, or the other way round",
                "Import masks of one kind together.",
            )
    labels = _looked_up(values, reading.keys)
    if reading.is_antialiased:
        return snap_to_real(values, labels, reading.keys)
    return labels


def _conclude(traits: PictureTraits, path: Path, *, is_single: bool) -> PictureReading:
    values = traits.values - {0}
    if traits.is_color:
        return _conclude_colors(traits, path, is_single=is_single)
    highest = max(values, default=0)
    # Half of what the pixels can hold; a mask of 0 and 1 is taken as such.
    half = 1 if highest <= 1 else 128 if highest <= 255 else 32_768
    is_matte = PictureReading(ValueKind.MATTE, {}, {}, half=half)
    if is_single:
        return is_matte
    if highest > MOST_OBJECTS:
        if min(values) >= _MOTS_CLASS and highest < _DEEP_WHITE and len(values) <= MOST_OBJECTS:
            return _conclude_mots(values)
        return is_matte
    real = traits.real - {0}
    is_ids = traits.is_palette or values <= real or _is_dense(values)
    if values == {255}:
        return is_matte
    if is_ids:
        return PictureReading(
            ValueKind.IDS,
            {value: value for value in sorted(values)},
            _palette_colors(traits.palette, values),
            has_ids=True,
        )
    if not real or min(real) >= 250:
        return is_matte
    keys = {0: 0, **{value: value for value in sorted(real)}}
    return PictureReading(ValueKind.IDS, keys, {}, is_antialiased=True, has_ids=True)


def _conclude_colors(traits: PictureTraits, path: Path, *, is_single: bool) -> PictureReading:
    is_photograph = len(traits.values) > MOST_OBJECTS and (
        traits.mixed > MOST_MIXED * traits.solid or len(traits.real) > MOST_OBJECTS + 1
    )
    if traits.has_alpha and (is_photograph or is_single):
        return PictureReading(ValueKind.CUT_OUT, {}, {})
    if is_single:
        return PictureReading(ValueKind.MATTE, {}, {})
    if is_photograph:
        raise UnreadableMaskError(
            path,
            "it is a photograph, or holds more than 255 colours",
            "Choose the folder with the masks. In a mask every object has one colour.",
        )
    known = traits.values <= PALETTE_IDS.keys() | {0}
    is_antialiased = not known and not traits.values <= traits.real | {0} and bool(traits.real)
    colors = (traits.real if is_antialiased else traits.values) - {0}
    if len(colors) > MOST_OBJECTS:
        raise UnreadableMaskError(
            path,
            f"with the others it holds {len(colors)} colours, and a video has at most "
            f"{MOST_OBJECTS} objects",
            "Check that every object has one colour.",
        )
    keys = {color: PALETTE_IDS[color] for color in sorted(colors) if color in PALETTE_IDS}
    free = (key for key in range(1, 256) if key not in set(keys.values()))
    keys.update((color, next(free)) for color in sorted(colors) if color not in PALETTE_IDS)
    rgb = {key: (color >> 16, color >> 8 & 255, color & 255) for color, key in keys.items()}
    return PictureReading(ValueKind.COLORS, {0: 0, **keys}, rgb, is_antialiased, has_ids=known)


def _conclude_mots(values: set[int]) -> PictureReading:
    """The instance is the key where no two classes share one; else instances are numbered anew."""
    objects = sorted(value for value in values if value // _MOTS_CLASS != _MOTS_IGNORE)
    instances = [value % _MOTS_CLASS for value in objects]
    is_plain = len(set(instances)) == len(instances) and all(1 <= i <= 255 for i in instances)
    keys = {
        value: instance if is_plain else number
        for number, (value, instance) in enumerate(zip(objects, instances, strict=True), start=1)
    }
    ignored = dict.fromkeys(values - set(objects), 0)
    return PictureReading(ValueKind.MOTS, {**keys, **ignored}, {}, has_ids=is_plain)


def _is_dense(values: set[int]) -> bool:
    """Ids are counted up from 1; the greys of soft edges are scattered."""
    return len(values) <= _MOST_GREY_IDS and max(values, default=0) <= len(values) + 8


def _looked_up(values: Values, keys: Mapping[int, int]) -> Labels:
    """(H, W) keys; 0 for a value that has none."""
    if values.dtype == np.uint8:
        table = np.zeros(256, np.uint8)
        for value, key in keys.items():
            table[value] = key
        return np.asarray(cv2.LUT(np.ascontiguousarray(values), table), np.uint8)
    known = np.array(sorted({0: 0, **keys}), np.int64)
    ids = np.array([keys.get(int(value), 0) for value in known], np.uint8)
    at = np.searchsorted(known, values).clip(max=len(known) - 1)
    return np.where(known[at] == values, ids[at], 0).astype(np.uint8)


def _palette_colors(
    palette: NDArray[np.uint8] | None, values: set[int]
) -> dict[int, tuple[int, int, int]]:
    """The objects' colours in the pictures' own palette, unless that is only the DAVIS one."""
    if palette is None:
        return {}
    davis = davis_palette()
    colors = {
        value: (int(palette[value][0]), int(palette[value][1]), int(palette[value][2]))
        for value in values
        if value < len(palette)
    }
    is_davis = all(tuple(davis[value].tolist()) == color for value, color in colors.items())
    is_grey = all(red == green == blue for red, green, blue in colors.values())
    return {} if is_davis or is_grey else colors
