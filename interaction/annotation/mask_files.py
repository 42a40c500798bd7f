"""Read mask pictures, and encode and decode palette PNGs."""

import io
import struct
import zlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from interaction.errors import UnreadableMaskError
from xmem_core.messages import Message

_Integer = TypeVar("_Integer", bound=np.integer[Any])

_SOLID_ALPHA: Final = 128  # below it a pixel is more hole than mask


def davis_palette() -> NDArray[np.uint8]:
    """The colours of DAVIS and Pascal VOC masks: (256, 3), RGB by object id; 0 is black.

    The bits of the id are dealt out to red, green and blue in turn, most significant first.
    """
    return _davis_colors().copy()


@cache  # every mask that is written has it
def _davis_colors() -> NDArray[np.uint8]:
    ids = np.arange(256)
    colors = np.zeros((256, 3), dtype=np.uint8)
    for step in range(8):
        for channel in range(3):
            bit = (ids >> (3 * step + channel)) & 1
            colors[:, channel] |= (bit << (7 - step)).astype(np.uint8)
    return colors


def hide_transparent(values: NDArray[_Integer], alpha: NDArray[_Integer]) -> NDArray[_Integer]:
    """`values` with 0 where `alpha` (0-255) says that there is more hole than mask."""
    return np.where(alpha >= _SOLID_ALPHA, values, np.zeros_like(values))


def pack_colors(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """pixels: (H, W, 3) RGB or (H, W, 4) RGBA. Returns packed colours (H, W).

    Pixels that are more transparent than solid are 0.
    """
    channels = pixels.astype(np.int32)
    packed = (channels[:, :, 0] << 16) | (channels[:, :, 1] << 8) | channels[:, :, 2]
    return hide_transparent(packed, channels[:, :, 3]) if channels.shape[2] == 4 else packed


def distinct_colors(packed: NDArray[np.int32]) -> NDArray[np.int32]:
    """The different values in an array that is not empty, sorted."""
    flat = packed.ravel()
    # Masks are flat areas: sorting only where the value changes is ten times quicker.
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.unique(np.concatenate([flat[:1], flat[changes]]))


# Packed colour -> object id. Black, which is background, is not in it.
PALETTE_IDS: Final = {
    color: index for index, color in enumerate(pack_colors(davis_palette()[None])[0].tolist())
}
del PALETTE_IDS[0]


_LOSSLESS_FORMATS: Final = ("PNG", "BMP", "TIFF")
_LOSSY_FORMATS: Final = ("JPEG", "WEBP")  # opened only to say why they are refused
_LOSSY_COMPRESSIONS: Final = {"jpeg", "tiff_jpeg", "webp"}  # inside a TIFF
COLOR_MODES: Final = {"RGB", "RGBA"}
_ID_MODES: Final = {"1", "L", "LA", "P", "PA", "I", "I;16", "I;16B", "I;16L", "I;16N"}

# What Pillow's decoders raise on damaged files, besides OSError.
_DAMAGE: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    SyntaxError,
    TypeError,
    UserWarning,  # on damaged TIFF headers, where warnings are made errors
    ValueError,
    struct.error,
    zlib.error,
)


@contextmanager
def opened_mask(
    path: Path, data: io.BytesIO | None = None, *, page: int | None = None, is_deep: bool = False
) -> Generator[Image.Image, None, None]:
    """The picture with its header read; what goes wrong until it is closed is put into words.

    page: of a TIFF with several; by default such a file is refused. is_deep: also accepts 32-bit
    floating-point pixels. Raises UnreadableMaskError.
    """
    remedy = Message("Save the mask again as a PNG picture, or leave it out.")
    try:
        with Image.open(data or path, formats=_LOSSLESS_FORMATS + _LOSSY_FORMATS) as image:
            if page is not None:
                image.seek(page)
            _check_kind(image, path, is_stack=page is not None, is_deep=is_deep)
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableMaskError(path, Message("it claims to be enormous"), remedy) from error
    except UnidentifiedImageError as error:
        if path.suffix.lower() in (".tif", ".tiff"):
            remedy = Message("Save it again with 8, 16 or 32 bits a pixel, or as PNG.")
        raise UnreadableMaskError(
            path, Message("it is not a PNG, BMP or TIFF picture that can be read"), remedy
        ) from error
    except OSError as error:
        # Pillow's own complaints are OSErrors without a number.
        reason = error.strerror if error.errno else Message("it is damaged or cut off")
        raise UnreadableMaskError(path, reason or str(error), remedy) from error
    except _DAMAGE as error:
        raise UnreadableMaskError(path, Message("it is damaged or cut off"), remedy) from error


def _check_kind(image: Image.Image, path: Path, *, is_stack: bool, is_deep: bool) -> None:
    if (
        image.format not in _LOSSLESS_FORMATS
        or image.info.get("compression") in _LOSSY_COMPRESSIONS
    ):
        raise UnreadableMaskError(
            path,
            Message(
                "{format} does not keep pixel values exactly, so objects would bleed into "
                "each other",
                format=image.format,
            ),
            Message(
                "Save the mask again as PNG in the program that made it. Converting this file does "
                "not bring the values back."
            ),
        )
    if image.format == "TIFF" and not is_stack and getattr(image, "n_frames", 1) > 1:
        raise UnreadableMaskError(
            path,
            Message("it holds several pictures"),
            Message("Save each mask as a PNG picture of its own."),
        )
    if image.mode not in _ID_MODES | COLOR_MODES and not (is_deep and image.mode == "F"):
        raise UnreadableMaskError(
            path,
            Message("its pixels are of the kind “{mode}”", mode=image.mode),
            Message("Save the mask again as a PNG picture with a palette, in grey or in colour."),
        )


def check_size(image: Image.Image, path: Path, width: int, height: int) -> None:
    """Refuse a picture that is not `width` x `height` pixels.

    Called before any pixel is decoded, because a small file can claim to be of any size.
    """
    if image.size != (width, height):
        raise UnreadableMaskError(
            path,
            Message(
                "it is {width} × {height} pixels and the video is {video_width} × {video_height}",
                width=image.width,
                height=image.height,
                video_width=width,
                video_height=height,
            ),
            Message(
                "Export the mask again at the video's size. It is not resized here, because that "
                "would move its edges."
            ),
        )


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the header alone. Raises UnreadableMaskError."""
    with opened_mask(path) as image:
        return image.size


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
    return encode_indexed(labels, _davis_colors())


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
                Message("it is a coloured picture, not a mask of this program"),
                Message("Import it as a mask from elsewhere instead."),
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
            Message(
                "it holds the value {value}, and objects are numbered from 1 to {most}",
                value=lowest if lowest < 0 else highest,
                most=_MOST_OBJECTS,
            ),
            Message("Save the mask with pixel values that are object numbers; 0 is background."),
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
            Message(
                "its colour #{color:06x} is in none of the masks it was read with", color=unknown[0]
            ),
            Message("Import all masks of the video together."),
        )
    ids = np.array([reading.color_ids.get(color, 0) for color in colors.tolist()], dtype=np.uint8)
    return ids[np.searchsorted(colors, packed)]


def _check_color_count(count: int, path: Path) -> None:
    if count > _MOST_OBJECTS:
        raise UnreadableMaskError(
            path,
            Message(
                "with it the masks hold {count} colours, and a video has at most {most} objects",
                count=count,
                most=_MOST_OBJECTS,
            ),
            Message(
                "Check that this is a mask and not a photograph, and that its edges are "
                "not smoothed: "
                "every object needs one colour."
            ),
        )
