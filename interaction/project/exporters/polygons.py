"""A mask as polygons through the centres of its outermost pixels, and back.

A polygon has no holes and no second part. A hole is joined to the outline by a seam, a cut without
width that is walked along twice; a separate part is a polygon of its own. Filled by OpenCV's rule
(edge pixels belong to the polygon) the mask comes back with at most a pixel's difference at seams.
"""

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from xmem_core.pictures import Labels

__all__ = ["fill_polygons", "find_polygons"]

_Points = NDArray[np.int32]  # (N, 2) x, y in pixels


def find_polygons(mask: Labels, simplify_px: float = 0.0) -> list[_Points]:
    """mask: (H, W), 0 or not. One polygon of at least three points for each connected part.

    simplify_px: how far the outline may stray from the mask's, in pixels; 0: not at all.
    """
    contours, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if tree is None:
        return []
    rings = [np.asarray(contour, np.int32).reshape(-1, 2) for contour in contours]
    holes_of: dict[int, list[_Points]] = {}
    for index, (_, _, _, parent) in enumerate(tree[0].tolist()):
        if parent < 0:
            holes_of.setdefault(index, [])
        else:
            holes_of.setdefault(parent, []).append(rings[index])
    polygons: list[_Points] = []
    for index, holes in holes_of.items():
        polygon = _joined([rings[index], *holes])
        if simplify_px > 0:
            simple = cv2.approxPolyDP(polygon, simplify_px, closed=True)
            polygon = np.asarray(simple, np.int32).reshape(-1, 2)
        else:
            polygon = _without_straights(polygon)
        if len(polygon) < 3:  # a dot or a line; three points are the least a polygon can have
            polygon = np.resize(polygon, (3, 2))
        polygons.append(polygon)
    return polygons


def fill_polygons(polygons: Iterable[_Points], width: int, height: int) -> NDArray[np.bool_]:
    """(height, width): the pixels on or inside any of the polygons."""
    canvas = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        # One at a time: together, OpenCV would leave out what two of them share.
        cv2.fillPoly(canvas, [polygon], 1)
    return canvas > 0


def _joined(rings: list[_Points]) -> _Points:
    """The first ring, the outline, with the others, its holes, spliced in by seams.

    Always the nearest ring is joined to what is joined already (Prim's algorithm), so no seam
    crosses another ring: that one would be nearer.
    """
    if len(rings) == 1:
        return rings[0]
    points = np.concatenate(rings)
    ring_of = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    first_of = np.searchsorted(ring_of, np.arange(len(rings)))
    nearest = np.full(len(points), np.inf)  # distance of a point to what is joined
    partner = np.zeros(len(points), np.int64)  # the joined point it is nearest to
    is_open = ring_of > 0
    order: list[tuple[int, int]] = []  # (ring, where on it its seam ends)
    seams: dict[int, list[tuple[int, int]]] = {}  # ring -> [(where on it, ring joined there)]
    newest = 0
    while is_open.any():
        waiting = np.flatnonzero(is_open)
        found: Any = cKDTree(rings[newest]).query(points[waiting])
        distance, index = found
        closer = distance < nearest[waiting]
        nearest[waiting[closer]] = distance[closer]
        partner[waiting[closer]] = first_of[newest] + index[closer]
        chosen = waiting[nearest[waiting].argmin()]
        newest, joined = int(ring_of[chosen]), int(ring_of[partner[chosen]])
        order.append((newest, int(chosen - first_of[newest])))
        seams.setdefault(joined, []).append((int(partner[chosen] - first_of[joined]), newest))
        is_open &= ring_of != newest
    # A ring is joined after the one that it hangs on, so from the last to the first every ring
    # finds its own holes' walks finished.
    walks: dict[int, _Points] = {}
    for ring, start in [*reversed(order), (0, 0)]:
        length = len(rings[ring])
        pieces: list[_Points] = []
        here = 0
        for away, child in sorted(
            ((at - start) % length, at_ring) for at, at_ring in seams.get(ring, [])
        ):
            pieces += [_arc(rings[ring], start + here, start + away), walks.pop(child)]
            here = away
        pieces.append(_arc(rings[ring], start + here, start + length))
        walks[ring] = np.concatenate(pieces)
    return walks[0][:-1]  # its last point is its first


def _arc(ring: _Points, first: int, last: int) -> _Points:
    """From `first` to `last`, both included, going round as often as it takes."""
    return ring[np.arange(first, last + 1) % len(ring)]


def _without_straights(polygon: _Points) -> _Points:
    """Without the points in the middle of a straight piece."""
    before = polygon - np.roll(polygon, 1, axis=0)
    after = np.roll(polygon, -1, axis=0) - polygon
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    goes_back = (before * after).sum(axis=1) <= 0  # a spike, or a point that stands still
    return polygon[turns | goes_back]
