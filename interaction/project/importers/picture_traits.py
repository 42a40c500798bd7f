"""What is seen in mask pictures, before anything is said about what it means."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interaction.project.mask_colors import distinct_colors, hide_transparent, pack_colors
from interaction.project.mask_pictures import COLOR_MODES

__all__ = ["MOST_MIXED", "PictureTraits", "Values", "look_at", "values_of"]

MOST_MIXED: Final = 0.3  # share of pixels of no real value; photographs have nothing else
_MOST_COLORS: Final = 4096  # kept while learning; only a photograph has more
_HIGHEST_VALUE: Final = 65_535
Values = NDArray[Any]  # (H, W) ids, greys or 0xRRGGBB


@dataclass(slots=True)
class PictureTraits:
    """What was seen in the pictures so far."""

    values: set[int] = field(default_factory=set)
    real: set[int] = field(default_factory=set)  # that fill a 3 × 3 square somewhere
    is_color: bool = False
    is_palette: bool = False
    has_alpha: bool = False
    mixed: int = 0
    solid: int = 0
    palette: NDArray[np.uint8] | None = None


def look_at(image: Image.Image, traits: PictureTraits, *, is_single: bool) -> None:
    """Adds what is in a picture to what was seen in those before it."""
    values = values_of(image)
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
            highest = int(alpha.max())
    elif image.mode in ("P", "PA"):
        traits.is_palette = True
        table = image.getpalette("RGB")
        if table and traits.palette is None:
            traits.palette = np.resize(np.array(table, np.uint8), (len(table) // 3, 3))
    if is_single:
        traits.values.add(highest)  # nothing else matters then, and photographs hold many colours
        return
    is_mostly_mixed = traits.mixed > MOST_MIXED * traits.solid
    if traits.is_color and is_mostly_mixed and len(traits.values) > _MOST_COLORS:
        return  # a photograph, as is settled already
    distinct = distinct_colors(values.astype(np.int32))
    real = _real_values(values)
    if len(traits.values) <= _MOST_COLORS:
        traits.values.update(distinct[: _MOST_COLORS + 1].tolist())
    if len(traits.real) <= _MOST_COLORS:
        traits.real.update(real[: _MOST_COLORS + 1].tolist())
    solid = values != 0
    traits.solid += int(solid.sum())
    if len(distinct) > len(real):
        traits.mixed += int((solid & ~np.isin(values, real)).sum())


def values_of(image: Image.Image) -> Values:
    """(H, W): ids and greys as they are, colours as 0xRRGGBB; 0 where it is transparent.

    ValueError for values that no mask has.
    """
    if image.mode in COLOR_MODES:
        return pack_colors(np.asarray(image))
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8) * 255
    values = np.asarray(image)
    if values.ndim == 3:  # the second channel is alpha
        values = hide_transparent(values[:, :, 0], values[:, :, 1])
    if values.dtype.itemsize > 2 and not 0 <= values.min() <= values.max() <= _HIGHEST_VALUE:
        raise ValueError("pixel values must be 0 to 65535")
    return values


def _real_values(values: Values) -> Values:
    """Values that fill a 3 × 3 square somewhere, sorted."""
    if min(values.shape) < 3:
        return np.unique(values)
    level = (values[:, 1:-1] == values[:, :-2]) & (values[:, 1:-1] == values[:, 2:])
    middle = values[1:-1, 1:-1]
    is_filled = level[:-2] & level[1:-1] & level[2:]
    is_filled &= (middle == values[:-2, 1:-1]) & (middle == values[2:, 1:-1])
    return np.unique(middle[is_filled])
