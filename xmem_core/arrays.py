"""The arrays that everything passes around. Needs no torch, which takes seconds to import."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frame", "Labels", "Pixels"]

Frame = NDArray[np.uint8]  # (H, W, 3) RGB
Labels = NDArray[np.uint8]  # (H, W) object ids, 0 background
Pixels = NDArray[Any]  # (H, W) or (H, W, C), of any number type
