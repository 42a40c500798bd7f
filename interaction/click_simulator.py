"""An annotator that never tires: clicks where the mask is most wrong.

For measuring (benchmarks) and for training. The rule is the one that published click networks
are compared by: the pixel farthest inside the larger error region.
"""

from collections.abc import Collection

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.types import Click

Region = NDArray[np.bool_]


def depth_inside(region: Region) -> NDArray[np.float32]:
    """(H, W) each pixel's distance to the outside of `region`; the picture's border is outside."""
    padded = np.pad(region.astype(np.uint8), 1)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 0), np.float32)[1:-1, 1:-1]
    # OpenCV's last digit depends on where an array lies in memory; equal depths must be equal.
    return depth.round(4)


def next_click(predicted: Region, truth: Region, previous: Collection[Click] = ()) -> Click | None:
    """Where to click next: predicted and truth are (H, W). None if nothing is left to correct.

    The first of the pixels farthest inside the missed or the superfluous part, whichever goes
    deeper; never a pixel that was clicked before.
    """
    missed, superfluous = depth_inside(truth & ~predicted), depth_inside(predicted & ~truth)
    for click in previous:
        row, column = int(click.y), int(click.x)
        missed[row, column] = superfluous[row, column] = 0
    is_positive = bool(missed.max() > superfluous.max())
    depth = missed if is_positive else superfluous
    if depth.max() <= 0:
        return None
    row, column = divmod(int(depth.argmax()), depth.shape[1])
    return Click(float(column), float(row), is_positive)
