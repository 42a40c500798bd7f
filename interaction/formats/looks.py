"""How masks look in a picture: drawn over it, by themselves, or as the edge of a cut-out.

Everything works on the rectangle that holds objects, with table look-ups and OpenCV's own blending,
so that a 1080p frame takes a few milliseconds.
"""

from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.types import ObjectInfo
from xmem_core.arrays import Frame, Labels

__all__ = [
    "color_table",
    "cut_out",
    "draw_overlay",
    "no_larger",
    "paint_masks",
    "replace_background",
    "soft_edge",
]

_Alpha = NDArray[np.float32]
_FAR: Final = 3  # pixels beyond the ramp that the rectangle takes in, for exact distances


def color_table(objects: Iterable[ObjectInfo]) -> NDArray[np.uint8]:
    """(256, 3) RGB by object id; black for ids that are none of `objects`."""
    table = np.zeros((256, 3), np.uint8)
    for one in objects:
        table[one.id] = one.color
    return table


def paint_masks(labels: Labels, table: NDArray[np.uint8]) -> Frame:
    """(H, W, 3): every object in its colour from `table` (256, 3)."""
    return np.asarray(cv2.applyColorMap(labels, table.reshape(256, 1, 3)), np.uint8)


def draw_overlay(
    picture: Frame,
    labels: Labels,
    table: NDArray[np.uint8],
    *,
    opacity: float,
    outline_px: int,
) -> Frame:
    """A copy of `picture` (H, W, 3) with each object filled and outlined in its colour.

    labels: (H, W) ids; table: (256, 3) RGB. opacity: of the fill, 0 to 1. outline_px: width of the
    outline, drawn inside the object; 0 leaves it out.
    """
    result = picture.copy()
    rectangle = _objects_rectangle(labels)
    if rectangle is None:
        return result
    part, ids = result[rectangle], np.ascontiguousarray(labels[rectangle])
    colors = paint_masks(ids, table)
    if opacity > 0:
        filled = cv2.addWeighted(part, 1 - opacity, colors, opacity, 0)
        cv2.copyTo(filled, ids, part)
    if outline_px > 0:
        kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * outline_px + 1,) * 2)
        # Where the largest and the smallest id around a pixel differ, an edge is near.
        edge = cv2.morphologyEx(ids, cv2.MORPH_GRADIENT, kernel)
        cv2.copyTo(colors, cv2.min(edge, ids), part)
    return result


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
    part = np.ascontiguousarray(mask[rectangle]).astype(np.uint8)
    # Distances reach from pixel centre to pixel centre; the edge lies half a pixel before it.
    inside = cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_5) - 0.5
    outside = cv2.distanceTransform(1 - part, cv2.DIST_L2, cv2.DIST_MASK_5) - 0.5
    distance = np.where(part > 0, inside, -outside)
    alpha[rectangle] = np.clip(0.5 + distance / width_px, 0, 1)
    return alpha


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
