"""The arrays that everything passes around. Needs no torch, which takes seconds to import."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]  # (H, W, 3) RGB
Labels = NDArray[np.uint8]  # (H, W) object ids, 0 background
Pixels = NDArray[Any]  # (H, W) or (H, W, C), of any number type


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a source picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Of rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)
