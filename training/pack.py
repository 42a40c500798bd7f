"""The training pictures on disk: cut-outs with alpha, and photographs to put behind them.

A pack is a folder with `cutouts/photo` and `cutouts/clipart` (WebP with alpha) and
`backgrounds` (JPEG). The files stay compressed in memory, about 35 MB, and are decoded when
they are wanted: decoded, they would fill half a gigabyte in every worker process.
"""

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

Part = Literal["all", "training", "held out"]
_HELD_OUT_ONE_IN = 20  # every twentieth picture of each kind is kept back for evaluation


class Pack:
    """Pictures by kind and index. File names are sorted, so an index means the same anywhere."""

    def __init__(self, folder: Path, part: Part = "all") -> None:
        self.photos = _read(folder / "cutouts" / "photo", "*.webp", part)
        self.cliparts = _read(folder / "cutouts" / "clipart", "*.webp", part)
        self.backgrounds = _read(folder / "backgrounds", "*.jpg", part)
        if not self.backgrounds:
            raise ValueError(f"the pack {folder} holds no backgrounds/*.jpg")
        if not self.photos and not self.cliparts:
            raise ValueError(f"the pack {folder} holds no cutouts/photo or cutouts/clipart")

    def cutout(self, rng: np.random.Generator, photo_share: float) -> Picture:
        """A random cut-out, (H, W, 4) RGBA with straight alpha; `photo_share` are photographs."""
        from_photos = bool(self.photos) and (not self.cliparts or rng.random() < photo_share)
        files = self.photos if from_photos else self.cliparts
        encoded = files[int(rng.integers(len(files)))]
        decoded = _decode(encoded, cv2.IMREAD_UNCHANGED)
        if decoded.ndim == 3 and decoded.shape[2] == 4:
            return _as_picture(cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGBA))
        return _as_picture(cv2.cvtColor(_decode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGBA))

    def background(self, rng: np.random.Generator, *, half_size: bool = False) -> Picture:
        """A random background, (H, W, 3) RGB; half the size decodes three times as fast."""
        encoded = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        how = cv2.IMREAD_REDUCED_COLOR_2 if half_size else cv2.IMREAD_COLOR
        return _as_picture(cv2.cvtColor(_decode(encoded, how), cv2.COLOR_BGR2RGB))


def _read(folder: Path, pattern: str, part: Part) -> list[Picture]:
    files = sorted(folder.glob(pattern))
    kept = part_of(len(files), part, _HELD_OUT_ONE_IN)
    return [np.fromfile(files[index], dtype=np.uint8) for index in kept]


def part_of(count: int, part: Part, one_in: int = 50) -> list[int]:
    """Indices of a part; every `one_in`-th index is held out. Fewer than `one_in` are not divided:
    each part gets all of them."""
    if part == "all" or count < one_in:
        return list(range(count))
    wanted = part == "held out"
    return [index for index in range(count) if (index % one_in == 0) == wanted]


def _decode(encoded: Picture, flags: int) -> Picture:
    decoded = cv2.imdecode(encoded, flags)
    if decoded is None:
        raise ValueError("the pack holds a picture that cannot be decoded")
    return _as_picture(decoded)


def _as_picture(array: object) -> Picture:
    return np.asarray(array, dtype=np.uint8)
