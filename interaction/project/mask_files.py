"""Masks at rest: labels <-> palette PNG, and every other kind of mask picture -> labels.

Our own masks are palette PNGs whose pixel values are object ids; `encode_labels` and
`decode_labels` are exact inverses. Masks from elsewhere go through `read_masks` (all masks of a
video) or `read_mask` (one file), which also take grey and coloured pictures. Which colour is which
object can only be said for all masks together; that is what a `MaskReading` holds.

`mask_folders.py` finds the files, `mask_pictures.py` opens them, `mask_colors.py` counts their
colours. Nothing here knows about videos.
"""

import io
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interaction.errors import UnreadableMaskError
from interaction.project.mask_colors import (
    PALETTE_IDS,
    davis_palette,
    distinct_colors,
    hide_transparent,
    pack_colors,
)
from interaction.project.mask_folders import FoundMasks, find_masks
from interaction.project.mask_pictures import COLOR_MODES, check_size, opened_mask

__all__ = [
    "FoundMasks",
    "MaskReading",
    "davis_palette",
    "decode_labels",
    "encode_indexed",
    "encode_labels",
    "find_masks",
    "learn_reading",
    "read_mask",
    "read_masks",
]

_MOST_OBJECTS: Final = 255

# A third of the time of Pillow's default for files half as large again.
_COMPRESS_LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class MaskReading:
    """How the pictures of one set of masks are to be read, the same for every file of the set."""

    color_ids: Mapping[int, int]  # 0xRRGGBB -> object id; black is always background
    is_binary: bool  # no value but 0 and 255 anywhere: then 255 is object 1


def encode_labels(labels: NDArray[np.uint8]) -> bytes:
    """labels: (H, W) object ids. Returns a PNG file with the DAVIS palette.

    Raises ValueError unless labels is a two-dimensional uint8 array that holds pixels.
    """
    return encode_indexed(labels, davis_palette())


def encode_indexed(labels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """`encode_labels` with another palette: (256, 3) RGB, by object id."""
    if labels.dtype != np.uint8 or labels.ndim != 2 or labels.size == 0:
        raise ValueError(
            f"labels must be uint8 of shape (H, W), got {labels.dtype} of shape {labels.shape}"
        )
    image = Image.fromarray(np.ascontiguousarray(labels))
    image.putpalette(palette.tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=_COMPRESS_LEVEL)
    return file.getvalue()


def decode_labels(data: bytes, source: Path = Path("mask.png")) -> NDArray[np.uint8]:
    """The labels (H, W) that `encode_labels` made `data` from, value for value.

    `source` names the file in an error. Raises UnreadableMaskError.
    """
    with opened_mask(source, io.BytesIO(data)) as image:
        if image.mode in COLOR_MODES:
            raise UnreadableMaskError(
                source,
                "it is a coloured picture, not a mask of this program",
                "Import it as a mask from elsewhere instead.",
            )
        return _ids(image, source)


def read_masks(
    masks: Mapping[int, Path], width: int, height: int
) -> Generator[tuple[int, NDArray[np.uint8]], None, None]:
    """All masks of a video of `width` x `height` pixels, as (frame index, labels (H, W)).

    One is held at a time. Colours mean the same object in every file. Raises UnreadableMaskError
    for the first file that cannot be used.
    """
    reading = learn_reading(masks.values(), width, height)
    for frame, path in masks.items():
        yield frame, read_mask(path, width, height, reading)


def read_mask(
    path: Path, width: int, height: int, reading: MaskReading | None = None
) -> NDArray[np.uint8]:
    """One mask picture as labels (height, width); without `reading` it is a set of its own.

    Palette and grey values are object ids, except in a set that is binary. Colours become
    objects as `learn_reading` says; black and transparent pixels are background.
    Raises UnreadableMaskError: not a lossless picture, damaged, of another size, or with values
    that are no object ids.
    """
    reading = reading or learn_reading([path], width, height)
    with opened_mask(path) as image:
        check_size(image, path, width, height)
        if image.mode in COLOR_MODES:
            return _labels_of_colors(pack_colors(np.asarray(image)), reading, path)
        labels = _ids(image, path)
    return (labels == 255).astype(np.uint8) if reading.is_binary else labels


def learn_reading(paths: Iterable[Path], width: int, height: int) -> MaskReading:
    """What colours and the value 255 mean in this set of masks, in the order given.

    A colour of the DAVIS palette keeps its id. Every other colour gets the lowest id still free
    in the whole set, in order of first appearance; within one file by red, green and blue.
    If no palette or grey mask of the set holds a value other than 0 and 255, 255 is object 1:
    a binary mask. Otherwise it stays 255.

    Raises UnreadableMaskError: see `read_mask`; and for more than 255 colours.
    """
    colors: dict[int, None] = {}  # a set that keeps its order
    has_255 = has_other = False
    for path in paths:
        with opened_mask(path) as image:
            check_size(image, path, width, height)
            if image.mode in COLOR_MODES:
                colors.update(
                    dict.fromkeys(distinct_colors(pack_colors(np.asarray(image))).tolist())
                )
                colors.pop(0, None)
                _check_color_count(len(colors), path)
            elif not has_other:  # once it is settled, the header is enough
                labels = _ids(image, path)
                has_255 = has_255 or bool((labels == 255).any())
                has_other = bool(((labels != 0) & (labels != 255)).any())

    color_ids = {color: PALETTE_IDS[color] for color in colors if color in PALETTE_IDS}
    taken = set(color_ids.values())
    free = (object_id for object_id in range(1, 256) if object_id not in taken)
    color_ids.update((color, next(free)) for color in colors if color not in PALETTE_IDS)
    return MaskReading(color_ids, is_binary=has_255 and not has_other)


def _ids(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    """(H, W) object ids of a palette or grey picture."""
    values = np.asarray(image)
    if values.ndim == 3:  # the second channel is alpha
        values = hide_transparent(values[:, :, 0], values[:, :, 1])
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest > _MOST_OBJECTS:
        raise UnreadableMaskError(
            path,
            f"it holds the value {lowest if lowest < 0 else highest}, and objects are numbered "
            f"from 1 to {_MOST_OBJECTS}",
            "Save the mask with pixel values that are object numbers; 0 is background.",
        )
    return np.array(values, dtype=np.uint8)  # a copy: Pillow's own buffer is read-only


def _labels_of_colors(
    packed: NDArray[np.int32], reading: MaskReading, path: Path
) -> NDArray[np.uint8]:
    colors = distinct_colors(packed)
    unknown = [color for color in colors.tolist() if color and color not in reading.color_ids]
    if unknown:
        raise UnreadableMaskError(
            path,
            f"its colour #{unknown[0]:06x} is in none of the masks it was read with",
            "Import all masks of the video together.",
        )
    ids = np.array([reading.color_ids.get(color, 0) for color in colors.tolist()], dtype=np.uint8)
    return ids[np.searchsorted(colors, packed)]


def _check_color_count(count: int, path: Path) -> None:
    if count > _MOST_OBJECTS:
        raise UnreadableMaskError(
            path,
            f"with it the masks hold {count} colours, and a video has at most "
            f"{_MOST_OBJECTS} objects",
            "Check that this is a mask and not a photograph, and that its edges are not smoothed: "
            "every object needs one colour.",
        )
