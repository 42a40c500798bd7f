"""How masks look in a picture: drawn over it, by themselves, or as the edge of a cut-out.

Everything works on the rectangle that holds objects, with table look-ups and OpenCV's own blending,
so that a 1080p frame takes a few milliseconds.
"""

from collections.abc import Collection, Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.strokes import Rectangle
from interaction.annotation.types import ObjectInfo
from xmem_core.arrays import Frame, Labels

__all__ = [
    "COVERED_ALPHA",
    "HALO_ALPHA",
    "SIDE_GAP_PX",
    "STRIPE_PX",
    "SURROUND",
    "ViewMode",
    "color_table",
    "compose",
    "covers_picture",
    "cut_out",
    "dashes",
    "draw_view",
    "edge_lines",
    "fill_opacity",
    "has_outlines",
    "no_larger",
    "refined_edge",
    "replace_background",
    "shows_covered",
    "soft_edge",
]

_Alpha = NDArray[np.float32]
_NOISE: Final = 0.05  # of alpha, at either end
_REGULARITY: Final = 1e-4  # of colours between 0 and 1, squared
_FAR: Final = 3  # pixels beyond the ramp that the rectangle takes in, for exact distances


def color_table(objects: Iterable[ObjectInfo]) -> NDArray[np.uint8]:
    """(256, 3) RGB by object id; black for ids that are none of `objects`."""
    table = np.zeros((256, 3), np.uint8)
    for one in objects:
        table[one.id] = one.color
    return table


def _paint_masks(labels: Labels, table: NDArray[np.uint8]) -> Frame:
    """(H, W, 3): every object in its colour from `table` (256, 3)."""
    return np.asarray(cv2.applyColorMap(labels, table.reshape(256, 1, 3)), np.uint8)


class ViewMode(Enum):
    """How frame and masks are put together, in the window and in an export."""

    OVERLAY = "overlay"  # the object's colour over the frame, with its outline
    OUTLINE = "outline"
    MASK = "mask"  # colours alone
    FADE = "fade"  # what is not an object is darker
    LIGHT = "light"  # only a hint of the colour
    POPUP = "popup"  # objects in colour, the rest grey
    LAYER = "layer"  # a picture between background and objects
    CHECKERBOARD = "checkerboard"  # the objects cut out
    GREEN = "green"  # the objects before a green screen
    SIDE_BY_SIDE = "side by side"  # the source beside the overlay


SURROUND: Final = (0x1A, 0x1A, 0x1A)  # neutral and dark
SIDE_GAP_PX: Final = 8  # source pixels between overlay and source
HALO_ALPHA: Final = 0x8C  # of the black beside an outline
COVERED_ALPHA: Final = 0xE0  # of what lies beneath
STRIPE_PX: Final = 3  # of it, at an outline of 1 pixel
_GREEN: Final = (0, 177, 64)  # chroma-key green
_SQUARES: Final = (0x99, 0x66)
_LEAST_SQUARE_PX: Final = 4
_DIMMED: Final = 0.38  # brightness of what is not an object, in ViewMode.FADE
_LIGHT_SHARE: Final = 0.3  # of the opacity, in ViewMode.LIGHT
_CROSS: Final = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))

# The objects are cut out of the frame and laid over something else.
_CUTS: Final = {
    ViewMode.FADE,
    ViewMode.POPUP,
    ViewMode.LAYER,
    ViewMode.CHECKERBOARD,
    ViewMode.GREEN,
}
_OUTLINED: Final = {
    ViewMode.OVERLAY,
    ViewMode.OUTLINE,
    ViewMode.FADE,
    ViewMode.LIGHT,
    ViewMode.SIDE_BY_SIDE,
}


def fill_opacity(mode: ViewMode, opacity: float) -> float:
    """How much of an object's colour lies over it, 0 to 1."""
    if mode is ViewMode.MASK:
        return 1.0
    if mode is ViewMode.LIGHT:
        return opacity * _LIGHT_SHARE
    if mode in (ViewMode.OVERLAY, ViewMode.SIDE_BY_SIDE):
        return opacity
    return 0.0


def has_outlines(mode: ViewMode) -> bool:
    return mode in _OUTLINED


def shows_covered(mode: ViewMode) -> bool:
    """Whether objects are drawn that lie beneath others."""
    return has_outlines(mode) or fill_opacity(mode, 1) > 0


def covers_picture(mode: ViewMode) -> bool:
    """Whether `compose` makes a picture of its own for this mode."""
    return mode in _CUTS


def compose(
    mode: ViewMode,
    picture: Frame,
    labels: Labels,
    seen: Collection[int],
    layer: NDArray[np.uint8] | None = None,
    part: Rectangle | None = None,
) -> Frame:
    """The frame (H, W, 3) RGB with what is not an object made grey, dark, green or something else.

    seen: the objects that are shown; the others are background. layer: (h, w, 4) RGBA, what lies
    between background and objects in ViewMode.LAYER: its middle part of the frame's shape,
    stretched to the frame. part: the rest of the picture holds no object and stays background.
    ValueError for a mode that needs no such picture.
    """
    if mode is ViewMode.FADE:
        result = np.asarray(cv2.convertScaleAbs(picture, alpha=_DIMMED), np.uint8)
    elif mode is ViewMode.POPUP:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        result = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    elif mode is ViewMode.LAYER:
        result = picture.copy() if layer is None else _over(picture, layer)
    elif mode in (ViewMode.CHECKERBOARD, ViewMode.GREEN):
        result = _ground(mode, *picture.shape[:2]).copy()
    else:
        raise ValueError(f"{mode} does not cut objects out")
    table = np.zeros(256, np.uint8)
    table[list(seen)] = 1
    place = (slice(None), slice(None)) if part is None else part.slices
    mask = cv2.LUT(np.ascontiguousarray(labels[place]), table)
    cv2.copyTo(np.ascontiguousarray(picture[place]), mask, result[place])
    return result


@lru_cache(maxsize=2)
def _ground(mode: ViewMode, height_px: int, width_px: int) -> Frame:
    """(H, W, 3) what objects are laid on; read-only. Kept: copying it is much quicker."""
    result = np.empty((height_px, width_px, 3), np.uint8)
    if mode is ViewMode.GREEN:
        result[:] = _GREEN
    else:
        square = max(_LEAST_SQUARE_PX, height_px // 60)
        y, x = np.ogrid[:height_px, :width_px]
        result[:] = np.where((y // square + x // square) % 2 == 0, *_SQUARES)[..., None]
    result.flags.writeable = False
    return result


def _over(picture: Frame, layer: NDArray[np.uint8]) -> Frame:
    """`picture` (H, W, 3) under the middle part of `layer` (h, w, 4) that has its shape."""
    height, width = picture.shape[:2]
    scale = min(layer.shape[1] / width, layer.shape[0] / height)
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (layer.shape[1] - across) // 2, (layer.shape[0] - down) // 2
    part = np.ascontiguousarray(layer[top : top + down, left : left + across])
    way = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    fitted = np.asarray(cv2.resize(part, (width, height), interpolation=way), np.uint8)
    colors, alpha = np.ascontiguousarray(fitted[:, :, :3]), fitted[:, :, 3]
    if alpha.min() == 255:
        return colors
    weight = alpha.astype(np.float32) / 255
    return np.asarray(cv2.blendLinear(colors, picture, weight, 1 - weight), np.uint8)


def edge_lines(labels: Labels, width_px: int) -> tuple[Labels, Labels]:
    """Where labels meet: (ids, halo), both as large as `labels`.

    ids: object ids along its edges, `width_px` wide on either side. A pixel between two objects
    has its own one's id, a pixel of the background its neighbour's. halo: 1 beside the lines.
    """
    # In place wherever it can be, as new memory costs more than the arithmetic; thresholds, as
    # arithmetic with a single number is slow in OpenCV.
    ids = cv2.dilate(labels, _CROSS, iterations=width_px)
    is_line = cv2.erode(labels, _CROSS, iterations=width_px)
    is_line = cv2.compare(ids, is_line, cv2.CMP_NE, dst=is_line)
    _, other = cv2.threshold(labels, 0, 255, cv2.THRESH_BINARY_INV)  # the background
    ids = cv2.bitwise_and(ids, other, dst=ids)
    ids = cv2.bitwise_or(ids, labels, dst=ids)
    ids = cv2.bitwise_and(ids, is_line, dst=ids)
    halo = cv2.dilate(is_line, _CROSS, dst=other, iterations=width_px)
    halo = cv2.bitwise_xor(halo, is_line, dst=halo)
    _, halo = cv2.threshold(halo, 0, 1, cv2.THRESH_BINARY, dst=halo)
    return ids.astype(np.uint8, copy=False), halo.astype(np.uint8, copy=False)


def dashes(ids: Labels, start_px: int, length_px: int, gap_px: int) -> Labels:
    """(H, W): `ids` in slanting stripes, and gaps between them. start_px: x + y of the first pixel,
    so that the stripes stay where they are, whichever part is drawn."""
    height, width = ids.shape
    places = np.arange(start_px, start_px + width + height)
    is_drawn = np.where(places % (length_px + gap_px) < length_px, 255, 0).astype(np.uint8)
    # Row y of the pattern is the row above, one step on: all rows are windows of one line.
    pattern = np.lib.stride_tricks.sliding_window_view(is_drawn, width)[:height]
    return np.bitwise_and(ids, pattern)


def draw_view(
    picture: Frame,
    labels: Labels,
    table: NDArray[np.uint8],
    mode: ViewMode,
    *,
    opacity: float = 0.5,
    outline_px: int = 1,
    layer: NDArray[np.uint8] | None = None,
    beneath: Sequence[Labels] = (),
) -> Frame:
    """The frame as the window shows it in `mode`, at its own size: (H, W, 3) RGB, wider for
    ViewMode.SIDE_BY_SIDE.

    picture: (H, W, 3) RGB. labels: (H, W), ids of the objects that are shown. table: (256, 3) RGB
    by id. opacity: of the fill, 0 to 1. outline_px: on either side of an edge; 0 leaves it out.
    layer: see `compose`. beneath: (H, W) each, what lies under `labels`, drawn in stripes by the
    modes that show it.
    """
    margin = 4 * max(outline_px, 1)  # beyond an object, for its line and halo
    rectangle = _objects_rectangle(labels, margin)
    if mode is ViewMode.MASK:
        result = np.zeros_like(picture)
    elif covers_picture(mode):
        result = compose(mode, picture, labels, range(1, 256), layer)
    else:
        result = picture.copy()
    if rectangle is not None:
        part, ids = result[rectangle], np.ascontiguousarray(labels[rectangle])
        fill = fill_opacity(mode, opacity)
        if fill > 0:
            _lay_over(part, ids, table, fill)
        if has_outlines(mode):
            _draw_lines(part, ids, table, outline_px, 1.0)
    if shows_covered(mode):
        for one in beneath:
            _draw_covered(result, one, table, outline_px)
    if mode is not ViewMode.SIDE_BY_SIDE:
        return result
    gap = np.empty((picture.shape[0], SIDE_GAP_PX, 3), np.uint8)
    gap[:] = SURROUND
    return np.concatenate([result, gap, picture], axis=1)


def _draw_covered(picture: Frame, layer: Labels, table: NDArray[np.uint8], outline_px: int) -> None:
    """Stripes in the objects' colours onto `picture`, and a line round them."""
    rectangle = _objects_rectangle(layer, 4 * max(outline_px, 1))
    if rectangle is None:
        return
    part, ids = picture[rectangle], np.ascontiguousarray(layer[rectangle])
    stripe_px = STRIPE_PX * max(outline_px, 1)
    start_px = rectangle[0].start + rectangle[1].start
    opacity = COVERED_ALPHA / 255
    _lay_over(part, dashes(ids, start_px, stripe_px, 2 * stripe_px), table, opacity)
    _draw_lines(part, ids, table, outline_px, opacity)


def _draw_lines(
    part: Frame, ids: Labels, table: NDArray[np.uint8], width_px: int, opacity: float
) -> None:
    """Along the edges of `ids`, with a dark line beside them."""
    if width_px == 0:
        return
    # Beside the frame is no object: where one touches its border there is an edge.
    margin = 4 * width_px
    inner = (slice(margin, -margin), slice(margin, -margin))
    around = edge_lines(np.pad(ids, margin), width_px)
    lines, halo = (np.ascontiguousarray(one[inner]) for one in around)
    cv2.copyTo(cv2.convertScaleAbs(part, alpha=1 - HALO_ALPHA / 255), halo, part)
    _lay_over(part, lines, table, opacity)


def _lay_over(part: Frame, ids: Labels, table: NDArray[np.uint8], opacity: float) -> None:
    mixed = cv2.addWeighted(part, 1 - opacity, _paint_masks(ids, table), opacity, 0)
    cv2.copyTo(mixed, ids, part)


def soft_edge(mask: NDArray[np.bool_], width_px: float) -> _Alpha:
    """An antialiased edge for a hard mask: (H, W) float32, 0 outside to 1 inside.

    Stored masks are hard: this is geometry, not the tracker's probability. It rises in a straight
    line over `width_px` across the edge, by the distance of a pixel's centre from it, and is 0.5
    on the edge itself: over 0.5 is the hard mask again, exactly. At most 1 pixel wide it is hard.
    """
    alpha = mask.astype(np.float32)
    if width_px <= 1:
        return alpha
    margin = int(np.ceil(width_px / 2)) + _FAR
    rectangle = _objects_rectangle(mask.astype(np.uint8), margin)
    if rectangle is None:
        return alpha
    alpha[rectangle] = np.clip(0.5 + _depth(mask[rectangle]) / width_px, 0, 1)
    return alpha


def _depth(mask: NDArray[np.bool_]) -> _Alpha:
    """(H, W): pixels from a pixel's centre to the edge, negative outside."""
    part = np.ascontiguousarray(mask).astype(np.uint8)
    # Distances reach from pixel centre to pixel centre; the edge lies half a pixel before it.
    inside = cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_5) - 0.5
    outside = cv2.distanceTransform(1 - part, cv2.DIST_L2, cv2.DIST_MASK_5) - 0.5
    return np.where(part > 0, inside, -outside)


def refined_edge(
    mask: NDArray[np.bool_], picture: Frame, band_px: float, soft: _Alpha | None = None
) -> _Alpha:
    """The edge of a hard mask as the picture has it: (H, W) float32, 0 outside to 1 inside.

    The mask, or `soft` in its place, (H, W) 0 to 1, is explained by colours, locally and linearly,
    within `band_px` of the mask's edge; farther off it stays as it is (guided filter, He et al.,
    ECCV 2010, https://doi.org/10.1007/978-3-642-15549-9_1). picture: (H, W, 3). Where a colour is
    on both sides of the edge, the result is near that of `soft_edge`. At most 1 pixel wide it is
    the mask, or `soft`.
    """
    alpha = mask.astype(np.float32) if soft is None else soft.copy()
    if band_px <= 1:
        return alpha
    margin = int(np.ceil(4 * band_px)) + _FAR
    rectangle = _objects_rectangle(mask.astype(np.uint8), margin)
    if rectangle is None:
        return alpha
    distance = np.abs(_depth(mask[rectangle]))
    radius_px = round(band_px)
    guided = _guided_filter(
        np.ascontiguousarray(picture[rectangle]),
        np.ascontiguousarray(alpha[rectangle]),
        radius_px,
        np.flatnonzero(distance < band_px + 1.5 * radius_px),
    )
    # What is only a little transparent is noise; the ends of the band join what is farther off.
    guided = np.clip((guided - _NOISE) / (1 - 2 * _NOISE), 0, 1)
    weight = np.clip(2 * (1 - distance / band_px), 0, 1)
    alpha[rectangle] = weight * guided + (1 - weight) * alpha[rectangle]
    return alpha


def _guided_filter(
    picture: Frame, mask: NDArray[np.float32], radius_px: int, where: NDArray[np.intp]
) -> NDArray[np.float32]:
    """picture (H, W, 3), mask (H, W) -> (H, W): in each window mask = a · colour + b by least
    squares; every pixel takes the mean over the windows that it is in. where: the flat places of
    the windows that are looked at; the result means something where all of a pixel's are."""
    size = (2 * radius_px + 1, 2 * radius_px + 1)

    def mean(x: NDArray[np.floating]) -> _Alpha:
        return np.asarray(cv2.boxFilter(x, -1, size, borderType=cv2.BORDER_REFLECT), np.float32)

    guide = picture.astype(np.float32) / 255
    # A row for each window: means, and how colours and the mask vary together.
    colors, mask_mean = mean(guide).reshape(-1, 3)[where], mean(mask).ravel()[where]
    with_mask = mean(guide * mask[:, :, None]).reshape(-1, 3)[where]
    covariance = with_mask - colors * mask_mean[:, None]
    spread = np.empty((len(where), 3, 3), np.float32)
    for row in range(3):
        for column in range(row, 3):
            both = mean(guide[:, :, row] * guide[:, :, column]).ravel()[where]
            spread[:, row, column] = both - colors[:, row] * colors[:, column]
            spread[:, column, row] = spread[:, row, column]
    spread += _REGULARITY * np.eye(3, dtype=np.float32)
    found = np.linalg.solve(spread, covariance[:, :, None])[:, :, 0]
    slope, offset = np.zeros((mask.size, 3), np.float32), np.zeros(mask.size, np.float32)
    slope[where], offset[where] = found, mask_mean - (found * colors).sum(axis=1)
    shape = mask.shape
    return (mean(slope.reshape(*shape, 3)) * guide).sum(axis=2) + mean(offset.reshape(shape))


def cut_out(picture: Frame, alpha: _Alpha, bleed_px: int = 0) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA, straight: `picture` (H, W, 3) with `alpha` (H, W), 0 to 1.

    Colours are black where nothing is to be seen, but for `bleed_px` pixels around it: video
    codecs mix neighbouring colours, and a black surrounding would darken the edge.
    """
    result = np.zeros((*alpha.shape, 4), np.uint8)
    opaque = np.round(alpha * 255).astype(np.uint8)
    rectangle = _objects_rectangle(opaque, bleed_px)
    if rectangle is None:
        return result
    part = np.ascontiguousarray(opaque[rectangle])
    kept = part
    if bleed_px > 0:
        kernel = np.ones((2 * bleed_px + 1, 2 * bleed_px + 1), np.uint8)
        kept = np.asarray(cv2.dilate(part, kernel), np.uint8)
    colors = np.zeros((*part.shape, 3), np.uint8)
    cv2.copyTo(np.ascontiguousarray(picture[rectangle]), kept, colors)
    result[rectangle][:, :, :3] = colors
    result[rectangle][:, :, 3] = part
    return result


def replace_background(picture: Frame, alpha: _Alpha, color: tuple[int, int, int]) -> Frame:
    """(H, W, 3): `picture` where `alpha` is 1, `color` (RGB) where it is 0, mixed between."""
    result = np.empty_like(picture)
    result[:] = color
    rectangle = _objects_rectangle(np.round(alpha * 255).astype(np.uint8))
    if rectangle is not None:
        weight = np.ascontiguousarray(alpha[rectangle])
        result[rectangle] = cv2.blendLinear(
            np.ascontiguousarray(picture[rectangle]),
            np.ascontiguousarray(result[rectangle]),
            weight,
            1 - weight,
        )
    return result


def _objects_rectangle(labels: Labels, margin: int = 0) -> tuple[slice, slice] | None:
    """The smallest rectangle that holds every pixel but 0, `margin` pixels larger each way."""
    x, y, width, height = cv2.boundingRect(labels)
    if width == 0:
        return None
    top, left = max(0, y - margin), max(0, x - margin)
    return slice(top, y + height + margin), slice(left, x + width + margin)


def no_larger(
    pixels: NDArray[np.uint8], longest_px: int, interpolation: int = cv2.INTER_AREA
) -> NDArray[np.uint8]:
    """`pixels` (H, W) or (H, W, C), shrunk until neither side is longer than `longest_px`."""
    height, width = pixels.shape[:2]
    scale = longest_px / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), np.uint8)
