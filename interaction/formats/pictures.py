"""Import masks from pictures: read their values and turn them into objects."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interaction.annotation.mask_files import (
    COLOR_MODES,
    PALETTE_IDS,
    davis_palette,
    distinct_colors,
    hide_transparent,
    opened_mask,
    pack_colors,
)
from interaction.annotation.mask_folders import (
    LOSSY_SUFFIXES,
    FoundMasks,
    find_masks,
    list_pictures,
    natural_key,
)
from interaction.annotation.overlaps import Stack, pile
from interaction.errors import UnreadableMaskError, UserError
from interaction.formats.mask_set import (
    MOST_OBJECTS,
    FoundObject,
    MaskSet,
    NamedObject,
    Surroundings,
    check_pixels,
    clean_name,
    place_files,
)
from xmem_core.arrays import Labels, Pixels
from xmem_core.messages import Message

__all__ = ["FolderKind", "folder_kind", "object_folders", "read_object_folders", "read_pictures"]

_MOST_MIXED: Final = 0.3  # share of pixels of no real value; photographs have nothing else
_MOST_COLORS: Final = 4096  # kept while learning; only a photograph has more
_BINS: Final = 256
_FEW_VALUES: Final = 16  # a photograph has more
_LEAST_TEXTURE_PX: Final = 4096  # of a picture; in smaller ones many objects look like a texture
# Measured on photographs of 4 to 64 colours, 160 to 1280 pixels wide: at least 14 pieces a colour,
# 57 in 100 of them tiny. Classes, cells and crowds have fewer pieces or larger ones.
_FEWEST_LEVELS: Final = 4
_FEWEST_BANDS: Final = 6  # fewer are next to each other by chance
_MOST_LEVELS: Final = 16  # of the most common values, that are looked at
_MOST_PIECES: Final = 12  # of a value on average
_MOST_PIECES_OF_BANDS: Final = 5
_TINY_PX: Final = 8  # or this share of the picture:
_TINY_SHARE: Final = 1 / 50_000
# The specks that networks leave in their masks are as many and as tiny, but little of the picture:
# 0.05 to 0.6 % of 640 × 480 in 100 to 1000 specks. Small pieces are more of a photograph, except of
# one that is nearly of one colour, and of some of 8 colours (0.4 to 1.4 %).
_SMALL_SHARE: Final = 1 / 300  # of the picture, for a piece
_LEAST_SMALL: Final = 0.015  # of the picture, in small pieces
_MOST_SAMPLED: Final = 8  # pictures
_Values = Pixels  # (H, W) ids, greys or 0xRRGGBB


@dataclass(frozen=True, slots=True)
class _PictureFile:
    """A picture, or one page of a TIFF with several."""

    path: Path
    page: int | None = None


@dataclass(slots=True)
class _PictureTraits:
    """What was seen in the pictures so far."""

    values: set[int] = field(default_factory=set)
    real: set[int] = field(default_factory=set)  # that fill a 3 × 3 square somewhere
    is_color: bool = False
    is_palette: bool = False
    has_alpha: bool = False
    is_translucent: bool = False  # somewhere between transparent and opaque
    mixed: int = 0  # pixels of no real value
    between: int = 0  # those of them with both a lower and a higher value around them (greys)
    solid: int = 0
    greys: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    # (2, 3), downwards and to the right: pairs of neighbours that are not 0, those of them that
    # differ, and those that differ by a small step.
    steps: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 3), np.int64))
    palette: NDArray[np.uint8] | None = None
    sampled: int = 0  # pictures whose pieces were counted; of them, those
    scattered: int = 0  # whose values lie in many tiny pieces
    banded: int = 0  # whose values lie in several pieces, each beside the next lighter or darker

    @property
    def is_scattered(self) -> bool:
        """As the few colours of a posterised photograph; an object or a class lies in regions."""
        return 2 * self.scattered > self.sampled

    @property
    def highest(self) -> int:
        return max(self.values, default=0)

    @property
    def is_textured(self) -> bool:
        """Whether many values pass into one another, as in photographs and wide soft edges, or
        change with every other pixel. Regions of ids lie beside any other id."""
        pairs, differing, small = self.steps.T
        if len(self.values) <= _FEW_VALUES or not pairs.all():
            return False
        is_smooth = not self.is_palette and bool((small > 0.7 * differing).all())
        return is_smooth or bool((differing > 0.25 * pairs).all())

    @property
    def is_banded_photograph(self) -> bool:
        """As a soft photograph of few colours; grey mattes are mostly black and white."""
        return 2 * self.banded > self.sampled and (self.is_palette or self.has_middle_greys)

    @property
    def is_grey_photograph(self) -> bool:
        return len(self.values) > _FEW_VALUES and self.has_middle_greys

    @property
    def has_middle_greys(self) -> bool:
        """Whether most pixels lie between black and white, or nearly none is white."""
        seen = np.flatnonzero(self.greys)
        low, high = seen.min() + 0.03 * np.ptp(seen), seen.max() - 0.03 * np.ptp(seen)
        middle = self.greys[int(low) + 1 : int(np.ceil(high))].sum() / self.greys.sum()
        whites = self.greys[int(np.ceil(high)) :].sum() / max(1, self.solid)
        return bool(middle > 0.5 or (middle > 0.2 and whites < 0.05))


def _look_at(image: Image.Image, traits: _PictureTraits, *, is_single: bool) -> None:
    """Adds what is in a picture to what was seen in those before it."""
    values = _values_of(image)
    highest = int(values.max())
    if image.mode in COLOR_MODES:
        traits.is_color = True
        highest = max(highest >> 16, highest >> 8 & 255, int((values & 255).max()))
        if image.mode == "RGBA":
            pixels = np.asarray(image)
            alpha = pixels[:, :, 3]
            # An object that fills every frame leaves nothing transparent; a matte is grey.
            is_filled = is_single and bool((pixels[:, :, :1] != pixels[:, :, 1:3]).any())
            traits.has_alpha = traits.has_alpha or bool(alpha.min() < 255) or is_filled
            traits.is_translucent |= bool(((alpha > 0) & (alpha < 255)).any())
            highest = int(alpha.max())
    elif image.mode in ("P", "PA"):
        traits.is_palette = True
        table = image.getpalette("RGB")
        if table and traits.palette is None:
            traits.palette = np.resize(np.array(table, np.uint8), (len(table) // 3, 3))
    if is_single:
        traits.values.add(highest)  # nothing else matters then, and photographs hold many colours
        return
    is_mostly_mixed = traits.mixed > _MOST_MIXED * traits.solid
    if traits.is_color and is_mostly_mixed and len(traits.values) > _MOST_COLORS:
        return  # a photograph, as is settled already
    distinct = distinct_colors(values.astype(np.int32))
    real = _real_values(values)
    if len(traits.values) <= _MOST_COLORS:
        traits.values.update(distinct[: _MOST_COLORS + 1].tolist())
    if len(traits.real) <= _MOST_COLORS:
        traits.real.update(real[: _MOST_COLORS + 1].tolist())
    if traits.sampled < _MOST_SAMPLED and values.size >= _LEAST_TEXTURE_PX:
        _count_pieces(values, real, traits)
    solid = values != 0
    traits.solid += int(solid.sum())
    if len(distinct) > len(real):
        mixed = solid & ~np.isin(values, real)
        traits.mixed += int(mixed.sum())
        if not traits.is_color:
            around = values.astype(np.float32)
            square = np.ones((3, 3), np.uint8)
            is_between = (cv2.erode(around, square) < around) & (
                cv2.dilate(around, square) > around
            )
            traits.between += int((mixed & is_between).sum())
    if not traits.is_color and len(distinct) > _FEW_VALUES and values.size >= _LEAST_TEXTURE_PX:
        traits.steps += _steps(values, distinct)
    if not traits.is_color and values.dtype.itemsize <= 2:
        shift = 8 * (values.dtype.itemsize - 1)
        traits.greys += np.bincount((values >> shift).ravel(), minlength=_BINS)[:_BINS]


def _values_of(image: Image.Image) -> _Values:
    """(H, W): ids and greys as they are, colours as 0xRRGGBB; 0 where it is transparent.

    ValueError for values that no mask has: negative, or not whole.
    """
    if image.mode in COLOR_MODES:
        return pack_colors(np.asarray(image))
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8) * 255
    values = np.asarray(image)
    if values.ndim == 3:  # the second channel is alpha
        values = hide_transparent(values[:, :, 0], values[:, :, 1])
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = values.astype(np.int64)
        if not (whole == values).all():
            raise ValueError("pixel values must be whole numbers")
        values = whole
    if values.dtype.itemsize > 2:
        if not 0 <= values.min() <= values.max() < 2**31:
            raise ValueError("pixel values must be 0 to 2147483647")
        if values.max() < 2**16:
            values = values.astype(np.uint16)
    return values


def _real_values(values: _Values) -> _Values:
    """Values that fill a 3 × 3 square somewhere, sorted."""
    if min(values.shape) < 3:
        return _levels(values)[0]
    level = (values[:, 1:-1] == values[:, :-2]) & (values[:, 1:-1] == values[:, 2:])
    middle = values[1:-1, 1:-1]
    is_filled = level[:-2] & level[1:-1] & level[2:]
    is_filled &= (middle == values[:-2, 1:-1]) & (middle == values[2:, 1:-1])
    return _levels(middle[is_filled])[0]


def _levels(values: _Values) -> tuple[_Values, NDArray[np.int64]]:
    """Each of the values once, ascending, and how often it occurs."""
    if values.dtype not in (np.uint8, np.uint16):
        return np.unique(values, return_counts=True)
    counts = np.bincount(values.ravel())  # NumPy would sort all pixels
    levels = np.flatnonzero(counts)
    return levels.astype(values.dtype), counts[levels]


def _count_pieces(values: _Values, real: _Values, traits: _PictureTraits) -> None:
    """Notes in `traits` whether a picture's common values lie in many pieces."""
    if not (traits.is_color or traits.is_palette):  # what compression leaves near black and white
        top = int(values.max())
        values = np.where(values < 0.05 * top, 0, np.where(values > 0.95 * top, top, values))
    levels, sizes = _levels(values)
    is_real = np.isin(levels, real)
    levels, sizes = levels[is_real], sizes[is_real]
    levels = levels[np.argsort(-sizes)[:_MOST_LEVELS]]
    if len(levels) < _FEWEST_LEVELS:
        return
    traits.sampled += 1
    tiny_px = max(_TINY_PX, values.size * _TINY_SHARE)
    found = [
        cv2.connectedComponentsWithStats((values == level).astype(np.uint8))[2][1:]
        for level in levels
    ]
    areas_px = np.concatenate(found)[:, cv2.CC_STAT_AREA]
    pieces, tiny = len(areas_px), int((areas_px <= tiny_px).sum())
    small_px = int(areas_px[areas_px <= values.size * _SMALL_SHARE].sum())
    is_grainy = pieces > _MOST_PIECES * len(levels) and tiny > 0.55 * pieces
    if is_grainy and small_px > _LEAST_SMALL * values.size:
        traits.scattered += 1
    elif pieces > _MOST_PIECES_OF_BANDS * len(levels) and len(levels) >= _FEWEST_BANDS:
        traits.banded += _is_banded(values, traits)


def _is_banded(values: _Values, traits: _PictureTraits) -> bool:
    """Whether nine in ten values lie beside the next lighter or darker one."""
    levels, at = np.unique(values, return_inverse=True)
    lightness = levels.astype(np.float64)
    if traits.is_palette and traits.palette is not None:
        known = traits.palette[levels.clip(max=len(traits.palette) - 1)].astype(np.float64)
        lightness = known @ (0.299, 0.587, 0.114)
    rank = np.argsort(np.argsort(lightness))[at.reshape(values.shape)]
    nearest = max(1, round(0.13 * len(levels)))
    for axis in (0, 1):
        step = np.abs(np.diff(rank, axis=axis))
        if (step > nearest).sum() > 0.1 * (step > 0).sum():
            return False
    return not traits.is_color


def _steps(values: _Values, distinct: NDArray[np.int32]) -> NDArray[np.int64]:
    """As `_PictureTraits.steps`. values: (H, W); distinct: those that occur, sorted."""
    small = max(2 * int(np.diff(distinct).min()), 0.04 * float(np.ptp(distinct[distinct > 0])))
    greys, result = values.astype(np.int64), np.zeros((2, 3), np.int64)
    for axis, (one, other) in enumerate(((greys[1:], greys[:-1]), (greys[:, 1:], greys[:, :-1]))):
        step = np.abs(one - other)[(one > 0) & (other > 0)]
        result[axis] = len(step), (step > 0).sum(), ((step > 0) & (step <= small)).sum()
    return result


_REACH_PX: Final = 2  # how far from a mixed pixel the colours it is mixed of may lie
_CHUNK: Final = 1 << 16  # pixels compared with all colours at a time


def _snap_to_real(values: Pixels, labels: Labels, keys: Mapping[int, int]) -> Labels:
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


def _channels(values: Pixels) -> NDArray[np.float32]:
    """(N, 3) red, green, blue."""
    packed = np.asarray(values, np.int64)
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.float32)


_MOTS_CLASS: Final = 1000  # values of MOTS are class · 1000 + instance
_MOTS_IGNORE: Final = 10_000  # its value for regions without an object
_DEEPEST_MOTS: Final = 65_000
_MOST_GREY_IDS: Final = 100
_MOST_TINY: Final = 64  # values that fill no 3 × 3 square, or pixels of one; soft edges have more
_MOST_THIN: Final = 8  # objects that may be lines all through a video
_WHITES: Final = (1, 255, 1023, 4095, 16_383, 65_535)  # by bits of a pixel
_VOID: Final = 255
_NEARLY_WHITE: Final = 250


class _ValueKind(StrEnum):
    """How a set of pictures holds objects; the values are titles for people."""

    IDS = Message("pixel values are object ids")
    MOTS = Message("pixel values are class · 1000 + object")
    MATTE = Message("white is the object")
    COLORS = Message("every colour is an object")
    CUT_OUT = Message("what is not transparent is the object")


@dataclass(frozen=True, slots=True)
class _PictureReading:
    """How every picture of one set is read."""

    kind: _ValueKind
    keys: Mapping[int, int]  # pixel value or 0xRRGGBB -> key
    colors: Mapping[int, tuple[int, int, int]]  # key -> RGB, where the pictures have colours
    is_antialiased: bool = False  # values that are not in `keys` are mixtures
    has_ids: bool = False
    half: int = 128  # of white, for kind MATTE
    names: Mapping[int, str] = field(default_factory=dict)  # key -> old number, where renumbered
    remarks: tuple[str, ...] = ()


def _learn_pictures(
    files: Mapping[int, _PictureFile],
    sizes: dict[int, tuple[int, int]],
    on_each: Callable[[], object],
    *,
    is_single: bool = False,
    named: Collection[int] = (),
) -> _PictureReading:
    """Looks at every picture once. files: by frame. sizes: (width, height) by frame, of pictures
    of other objects; those of `files` are added. is_single: they are of one object, whatever its
    grey or colour.

    named: ids that are known to be objects. on_each: called after each picture. Raises UserError,
    for a size that is not another object's before any pixel is decoded.
    """
    traits = _PictureTraits()
    for frame, file in files.items():
        with opened_mask(file.path, page=file.page, is_deep=True) as image:
            check_pixels(file.path, *image.size)
            if sizes.setdefault(frame, image.size) != image.size:
                raise _unlike_another(file.path, *image.size)
            _look_at(image, traits, is_single=is_single)
        on_each()
    first = next(iter(files.values()))
    return _conclude(traits, first.path, is_single=is_single, named=named)


def _unlike_another(path: Path, width: int, height: int) -> UserError:
    return UserError(
        "“{folder}/{name}” is {width} × {height} pixels, and the "
        "same frame of another object is not. Nothing was changed.\n\nExport the "
        "masks again, all of one size.",
        folder=path.parent.name,
        name=path.name,
        width=width,
        height=height,
    )


def _counted(around: Surroundings, total: int) -> Callable[[], object]:
    """A function to call after each of `total` pictures."""
    steps = count(1)
    return lambda: around.on_progress(next(steps), total)


def _read_picture_mask(file: _PictureFile, reading: _PictureReading) -> Labels:
    """(H, W) keys at the picture's own size. Raises UnreadableMaskError."""
    with opened_mask(file.path, page=file.page, is_deep=True) as image:
        check_pixels(file.path, *image.size)
        if reading.kind is _ValueKind.CUT_OUT:
            alpha = np.asarray(image.convert("RGBA"))[:, :, 3]
            return (alpha >= 128).astype(np.uint8)
        values = _values_of(image)
        if reading.kind is _ValueKind.MATTE:
            if image.mode in COLOR_MODES:  # the brightest of the three: a red mask is one too
                values = np.maximum(np.maximum(values >> 16, values >> 8 & 255), values & 255)
            is_palette = image.mode in ("P", "PA")
            return (values >= (1 if is_palette else reading.half)).astype(np.uint8)
        if (image.mode in COLOR_MODES) != (reading.kind is _ValueKind.COLORS):
            raise UnreadableMaskError(
                file.path,
                Message("it is coloured and others are not, or the other way round"),
                Message("Import masks of one kind together."),
            )
    labels = _looked_up(values, reading.keys)
    if reading.is_antialiased:
        return _snap_to_real(values, labels, reading.keys)
    return labels


def _conclude(
    traits: _PictureTraits, path: Path, *, is_single: bool, named: Collection[int]
) -> _PictureReading:
    """Ids or a matte, by how many values there are and how they lie, not by the highest."""
    values = traits.values - {0}
    if traits.is_color:
        return _conclude_colors(traits, path, is_single=is_single, named=named)
    white = next((one for one in _WHITES if one >= traits.highest), traits.highest)
    is_matte = _PictureReading(
        _ValueKind.MATTE,
        {},
        {},
        half=(white + 1) // 2,
        remarks=(Message("Pixels of at least half white are the object."),),
    )
    if is_single or values in ({255}, {65_535}):
        return is_matte
    if traits.is_scattered or traits.is_banded_photograph:
        raise _photograph(path)
    real = traits.real - {0}
    if traits.is_textured:
        if traits.is_palette or traits.is_grey_photograph:
            raise _photograph(path)
        return is_matte
    is_hard = (
        traits.is_palette
        or len(values - real) <= 0.1 * len(values)  # parts of objects that others cover
        or _is_dense(values)
        or (traits.between < traits.mixed / 2 and len(values - real) <= _MOST_TINY)
        or traits.between < traits.mixed / 4  # dots, each of one value
        or _is_without_softness(traits, white)
    )
    if is_hard:
        return _conclude_ids(traits, path, named)
    is_white = not real or min(real) >= 0.98 * max(real)
    if traits.is_grey_photograph and (is_white or traits.mixed > _MOST_MIXED * traits.solid):
        raise _photograph(path)
    if is_white or traits.mixed > _MOST_MIXED * traits.solid:
        return is_matte
    keys = {0: 0, **_numbered(real)}
    return _PictureReading(
        _ValueKind.IDS,
        keys,
        {},
        is_antialiased=True,
        has_ids=max(real) <= MOST_OBJECTS,
        names=_old_numbers(keys),
        remarks=(_SNAPPED,),
    )


_SNAPPED: Final = Message(
    "Smoothed edges are made hard: each pixel goes to the nearest real colour."
)


def _photograph(path: Path) -> UnreadableMaskError:
    return UnreadableMaskError(
        path,
        Message(
            "it is a photograph, its values run into each other, or it has more than 255 colours"
        ),
        Message("Choose the folder with the masks. In a mask every object has one colour."),
    )


def _conclude_ids(traits: _PictureTraits, path: Path, named: Collection[int]) -> _PictureReading:
    values, remarks = traits.values - {0}, []
    void: set[int] = set()
    if _VOID not in named and _is_void(values, traits.palette):
        void.add(_VOID)
        remarks.append(
            Message("The value 255 marks what belongs to no object (void) and is left out.")
        )
    elif _MOTS_IGNORE in values and len(values) > 1 and not values & {9_999, 10_001}:
        void.add(_MOTS_IGNORE)
        remarks.append(
            Message("The value 10000 marks what belongs to no object in MOTS and is left out.")
        )
    objects = sorted(values - void)
    if len(objects) > MOST_OBJECTS:
        raise UnreadableMaskError(
            path,
            Message(
                "with the others it holds {count} different values, and a video has at most "
                "{most} objects",
                count=len(objects),
                most=MOST_OBJECTS,
            ),
            Message("Check that this is a mask and not a picture, or import fewer objects."),
        )
    is_mots = bool(objects) and _MOTS_CLASS <= objects[0] <= objects[-1] < _DEEPEST_MOTS
    keys = _numbered(objects)
    has_ids = all(value == key for value, key in keys.items())
    if is_mots:  # the instance is the id where no two classes share one
        instances = [value % _MOTS_CLASS for value in objects]
        if len(set(instances)) == len(instances) and all(1 <= i <= 255 for i in instances):
            keys, has_ids = dict(zip(objects, instances, strict=True)), True
    names = {} if has_ids else _old_numbers(keys)
    if names:
        remarks.append(
            Message("Object ids beyond 255 are numbered anew; the old number is the name.")
        )
    return _PictureReading(
        _ValueKind.MOTS if is_mots else _ValueKind.IDS,
        {**keys, **dict.fromkeys(void, 0)},
        _palette_colors(traits.palette, set(objects)),
        has_ids=has_ids,
        names=names,
        remarks=tuple(remarks),
    )


def _numbered(values: Collection[int]) -> dict[int, int]:
    """Value -> key: itself where all are object ids, else counted up from 1."""
    if max(values, default=0) <= MOST_OBJECTS:
        return {value: value for value in sorted(values)}
    return {value: key for key, value in enumerate(sorted(values), start=1)}


def _old_numbers(keys: Mapping[int, int]) -> dict[int, str]:
    """Key -> the number it stands for, where any differs."""
    if all(value == key for value, key in keys.items()):
        return {}
    return {key: str(value) for value, key in keys.items() if key}


def _is_void(values: Collection[int], palette: NDArray[np.uint8] | None) -> bool:
    """Whether 255 is Pascal VOC's border and not an object: there are others, 254 is not one of
    them, and they are no grey levels spread evenly up to 255."""
    others = set(values) - {_VOID}
    if _VOID not in values or not others or max(values) > _VOID or 254 in others:
        return False
    if palette is not None and len(palette) > _VOID:
        return True
    steps = len(others) + 1
    even = [_VOID * step / steps for step in range(1, steps)]
    return not all(abs(v - e) <= 1 for v, e in zip(sorted(others), even, strict=True))


def _conclude_colors(
    traits: _PictureTraits, path: Path, *, is_single: bool, named: Collection[int]
) -> _PictureReading:
    is_photograph = traits.is_scattered or (
        len(traits.values) > MOST_OBJECTS
        and (traits.mixed > _MOST_MIXED * traits.solid or len(traits.real) > MOST_OBJECTS + 1)
    )
    # A cut-out so small that it has few colours: of objects with soft edges, one would be flat.
    is_speck = traits.is_translucent and not traits.real - {0}
    if traits.has_alpha and (is_photograph or is_single or is_speck):
        return _PictureReading(_ValueKind.CUT_OUT, {}, {})
    if is_single:
        return _PictureReading(_ValueKind.MATTE, {}, {})
    if is_photograph:
        raise _photograph(path)
    known = traits.values <= PALETTE_IDS.keys() | {0}
    is_antialiased = not known and not traits.values <= traits.real | {0} and bool(traits.real)
    colors = (traits.real if is_antialiased else traits.values) - {0}
    remarks = [_SNAPPED] if is_antialiased else []
    void: set[int] = set()
    if known and _VOID not in named and _is_void([PALETTE_IDS[color] for color in colors], None):
        void = {color for color in colors if PALETTE_IDS[color] == _VOID}
        remarks.append(Message("The colour of Pascal VOC's borders (void) is left out."))
    colors -= void
    if len(colors) > MOST_OBJECTS:
        raise UnreadableMaskError(
            path,
            Message(
                "with the others it holds {count} colours, and a video has at most {most} objects",
                count=len(colors),
                most=MOST_OBJECTS,
            ),
            Message("Check that every object has one colour."),
        )
    keys = {color: PALETTE_IDS[color] for color in sorted(colors) if color in PALETTE_IDS}
    free = (key for key in range(1, 256) if key not in set(keys.values()))
    keys.update((color, next(free)) for color in sorted(colors) if color not in PALETTE_IDS)
    rgb = {key: (color >> 16, color >> 8 & 255, color & 255) for color, key in keys.items()}
    return _PictureReading(
        _ValueKind.COLORS,
        {0: 0, **keys, **dict.fromkeys(void, 0)},
        rgb,
        is_antialiased,
        has_ids=known,
        remarks=tuple(remarks),
    )


def _is_dense(values: set[int]) -> bool:
    """Ids are counted up from 1; the greys of soft edges are scattered."""
    return len(values) <= _MOST_GREY_IDS and max(values, default=0) <= len(values) + 8


def _is_without_softness(traits: _PictureTraits, white: int) -> bool:
    """Whether these greys are no soft edge: none is dark beside the brightest; or, where nothing
    fills a square, as in tiny pictures, they are few and far from white."""
    values, real = traits.values - {0}, traits.real - {0}
    lowest, highest = min(values, default=0), max(values, default=0)
    if highest in (255, 65_535) and lowest >= _NEARLY_WHITE / 255 * highest:
        return False  # a white that was compressed
    if len(values) > _MOST_THIN and traits.mixed > _MOST_TINY * len(values - real):
        return False  # many pixels, and nowhere a square of one value: a photograph
    is_dark = len(values) <= _MOST_TINY and highest < 0.9 * white
    return lowest >= highest / 2 or (not real and is_dark)


def _looked_up(values: _Values, keys: Mapping[int, int]) -> Labels:
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


_FORMAT_OF: Final = {
    _ValueKind.IDS: "palette-png",
    _ValueKind.MOTS: "mots",
    _ValueKind.MATTE: "matte",
    _ValueKind.COLORS: "pictures",
    _ValueKind.CUT_OUT: "cut-outs",
}


def read_pictures(
    source: Path,
    around: Surroundings,
    named: Mapping[int, NamedObject],
    title: str | None = None,
    *,
    color_names: Mapping[tuple[int, int, int], str] | None = None,
) -> MaskSet:
    """source: a folder of pictures with all objects in each, one such picture, or a TIFF with a
    page for each frame.

    named: what is known about objects by id. color_names: names of objects by RGB. UserError.
    """
    pictures = list_pictures(source) if source.is_dir() else [source]
    pages = _page_count(pictures[0]) if len(pictures) == 1 else 1
    if pages > 1:
        if pages != len(around.names):
            raise UserError(
                "“{name}” holds {pages} pictures, and the video has {count} "
                "frames. Nothing was changed.\n\nSave one mask for each frame, or pictures of "
                "their own whose names tell the frame.",
                name=pictures[0].name,
                pages=pages,
                count=len(around.names),
            )
        found = FoundMasks({}, ())
        by_frame = {frame: _PictureFile(pictures[0], frame) for frame in range(pages)}
    else:
        found = place_files(pictures, around)
        by_frame = {frame: _PictureFile(path) for frame, path in found.by_frame.items()}
    sizes: dict[int, tuple[int, int]] = {}
    reading = _learn_pictures(by_frame, sizes, _counted(around, len(by_frame)), named=named)
    return MaskSet(
        format=_FORMAT_OF[reading.kind],
        title=title or Message("Pictures: {kind}", kind=reading.kind.value),
        objects=_objects_of(reading, named, color_names or {}),
        sizes=sizes,
        read=lambda frame: (_read_picture_mask(by_frame[frame], reading),),
        has_ids=reading.has_ids,
        unmatched=tuple(path.name for path in found.unmatched),
        remarks=(*([found.remark] if found.remark else []), *reading.remarks),
    )


def _page_count(path: Path) -> int:
    if path.suffix.lower() not in (".tif", ".tiff"):
        return 1
    with opened_mask(path, page=0, is_deep=True) as image:
        return int(getattr(image, "n_frames", 1))


def object_folders(folder: Path) -> list[Path]:
    """Its subfolders that hold pictures, in natural order."""
    subfolders = [
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    ]
    return sorted(
        (path for path in subfolders if list_pictures(path)),
        key=lambda path: natural_key(path.name),
    )


class FolderKind(StrEnum):
    """What the pictures of a folder show."""

    PHOTOGRAPHS = "photographs"
    ONE_OBJECT = Message("one object")
    OBJECTS = Message("objects by id or colour")


_SAMPLES: Final = 8  # pictures of a folder, spread over it


def folder_kind(folder: Path, around: Surroundings) -> FolderKind:
    """From a sample of its pictures. Raises UnreadableMaskError."""
    pictures = list_pictures(folder)
    samples = pictures[:: max(1, len(pictures) // _SAMPLES)]
    if pictures[0].suffix.lower() in LOSSY_SUFFIXES or _are_frames(samples[:2], around):
        return FolderKind.PHOTOGRAPHS
    traits = _PictureTraits()
    for path in samples:
        with opened_mask(path, is_deep=True) as image:
            check_pixels(path, *image.size)
            _look_at(image, traits, is_single=False)
    if traits.is_color and traits.has_alpha:
        return FolderKind.ONE_OBJECT  # a cut-out
    try:
        reading = _conclude(traits, pictures[0], is_single=False, named=())
    except UnreadableMaskError:
        return FolderKind.PHOTOGRAPHS
    is_one = reading.kind is _ValueKind.MATTE or len(set(reading.keys.values()) - {0}) <= 1
    is_soft = reading.is_antialiased and not traits.is_color  # a matte with flat greys
    is_white = not traits.is_color and min(traits.values - {0}, default=0) >= _NEARLY_WHITE
    return FolderKind.ONE_OBJECT if is_one or is_soft or is_white else FolderKind.OBJECTS


_MOST_DIFFERENT: Final = 12  # of 255 on average: a copy of a frame, made smaller or re-encoded


def _are_frames(pictures: list[Path], around: Surroundings) -> bool:
    """Whether they are copies of the video's own frames."""
    if around.picture is None:
        return False
    for path in pictures:
        try:
            place = find_masks(path, around.names, around.shown).by_frame
            frame = around.picture(next(iter(place)))
            with opened_mask(path) as image:
                check_pixels(path, *image.size)
                small = np.asarray(image.convert("RGB").resize((64, 64), Image.Resampling.BOX))
        except UserError:
            return False
        own = cv2.resize(np.asarray(frame), (64, 64), interpolation=cv2.INTER_AREA)
        spread = min(small.std(), own.std())  # a dark frame resembles any mask
        if np.abs(small.astype(np.float32) - own).mean() > min(_MOST_DIFFERENT, spread / 2):
            return False
    return bool(pictures)


def read_object_folders(
    folders: list[Path], around: Surroundings, named: Mapping[int, NamedObject]
) -> MaskSet:
    """A folder for each object: binary masks, mattes or cut-outs. Where they overlap, the later
    object lies on top. UserError."""
    if len(folders) > MOST_OBJECTS:
        raise UserError(
            "There are {count} folders, and a video has at most {most} objects. "
            "Nothing was changed.\n\nChoose a folder with a subfolder for each object.",
            count=len(folders),
            most=MOST_OBJECTS,
        )
    placed = [place_files(list_pictures(folder), around) for folder in folders]
    on_each = _counted(around, sum(len(found.by_frame) for found in placed))
    sizes: dict[int, tuple[int, int]] = {}
    readings: dict[int, _PictureReading] = {}
    paths: dict[int, Mapping[int, Path]] = {}  # key -> frame -> file
    objects: list[FoundObject] = []
    numbers = [_leading_number(folder.name) for folder in folders]
    has_ids = None not in numbers and len(set(numbers)) == len(numbers)
    keys = numbers if has_ids else range(1, len(folders) + 1)
    for key, folder, found in zip(keys, folders, placed, strict=True):
        assert key is not None
        files = {frame: _PictureFile(path) for frame, path in found.by_frame.items()}
        readings[key] = _learn_pictures(files, sizes, on_each, is_single=True)
        paths[key] = found.by_frame
        known = named.get(key) if has_ids else None
        known = known or NamedObject(clean_name(_name_without_number(folder.name)))
        objects.append(FoundObject(key, known.name, known.color))

    def read(frame: int) -> Stack:
        width, height = sizes[frame]
        masks = (
            (key, _read_picture_mask(_PictureFile(by_frame[frame]), readings[key]) > 0)
            for key, by_frame in paths.items()
            if frame in by_frame
        )
        return pile(masks, height, width)

    is_cut_out = any(one.kind is _ValueKind.CUT_OUT for one in readings.values())
    return MaskSet(
        format="cut-outs" if is_cut_out else "matte",
        title=Message("A folder for each object: cut-outs")
        if is_cut_out
        else Message("A folder for each object"),
        objects=tuple(sorted(objects, key=lambda one: one.key)),
        sizes=dict(sorted(sizes.items())),
        read=read,
        has_ids=has_ids,
        unmatched=tuple(
            f"{folder.name}/{path.name}"
            for folder, found in zip(folders, placed, strict=True)
            for path in found.unmatched
        ),
        remarks=(Message("Pixels of at least half white, or half opaque, are the object."),),
    )


def _objects_of(
    reading: _PictureReading,
    named: Mapping[int, NamedObject],
    color_names: Mapping[tuple[int, int, int], str],
) -> tuple[FoundObject, ...]:
    if reading.kind in (_ValueKind.MATTE, _ValueKind.CUT_OUT):
        only = next(iter(named.values())) if len(named) == 1 else None
        name, color = only or (None, None)
        return (FoundObject(1, name, color),)
    objects = [FoundObject(key) for key in sorted(set(reading.keys.values()) - {0})]
    for position, one in enumerate(objects):
        color = reading.colors.get(one.key)
        known = named.get(one.key) if reading.has_ids else None
        name = (known and known.name) or reading.names.get(one.key)
        if color is not None:
            name = name or color_names.get(color)
        objects[position] = replace(one, name=name, color=(known and known.color) or color)
    return tuple(objects)


def _leading_number(name: str) -> int | None:
    """The id in "003-dog" or "3"."""
    digits = name.partition("-")[0].strip()
    is_id = digits.isascii() and digits.isdigit() and len(digits) <= 3
    return int(digits) if is_id and 1 <= int(digits) <= MOST_OBJECTS else None


def _name_without_number(name: str) -> str | None:
    if _leading_number(name) is None:
        return name
    return name.partition("-")[2] or None
