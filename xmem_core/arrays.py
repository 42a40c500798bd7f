"""The two arrays that everybody passes around. Needs no torch, which takes seconds to import."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frame", "Labels"]

Frame = NDArray[np.uint8]  # (H, W, 3) RGB
Labels = NDArray[np.uint8]  # (H, W) object ids, 0 background
