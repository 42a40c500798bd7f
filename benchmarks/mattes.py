"""How well soft edges fit pictures whose true alpha is known.

    python -m benchmarks.mattes --cutouts FOLDER --backgrounds FOLDER [--count 60] [--scale 1]

Each cut-out (RGBA) is laid over a photograph; its mask is where alpha is over half, exactly or as a
network at a quarter of the size would give it. Errors are those of the matting literature, over the
whole picture: SAD in thousands of pixels, MSE in thousandths, and the processor time.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interaction.formats.looks import refined_edge, soft_edge
from xmem_core.arrays import Frame

_Alpha = NDArray[np.float32]
_Method = Callable[[NDArray[np.bool_], Frame], _Alpha]
_UNKNOWN_PX = 5  # of the band that closed-form matting may decide


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mattes", description=__doc__)
    parser.add_argument("--cutouts", type=Path, required=True)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--scale", type=int, default=1)
    chosen = parser.parse_args()
    methods: dict[str, _Method] = {"hard": lambda mask, _: mask.astype(np.float32)}
    for width in (2, 3, 5):
        methods[f"distance, {width} px"] = partial(_by_distance, width)
    for band in (2, 3, 5, 8):
        methods[f"picture, {band} px"] = partial(refined_edge, band_px=band)
    if _has_pymatting():
        methods["closed form"] = _closed_form
    cutouts, photographs = sorted(chosen.cutouts.iterdir()), sorted(chosen.backgrounds.iterdir())
    cutouts = cutouts[:: max(1, len(cutouts) // chosen.count)][: chosen.count]
    errors: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for number, path in enumerate(cutouts):
        picture, alpha = _scene(path, photographs[number % len(photographs)], chosen.scale)
        for kind, mask in (("exact", alpha > 0.5), ("coarse", _coarse(alpha) > 0.5)):
            for name, method in methods.items():
                start = time.process_time()
                difference = np.abs(method(mask, picture) - alpha)
                seconds = time.process_time() - start
                error = difference.sum() / 1000, 1000 * np.square(difference).mean(), seconds
                errors.setdefault((kind, name), []).append(error)
    for (kind, name), rows in errors.items():
        sad, mse, seconds = np.mean(rows, axis=0)
        print(f"{kind:7} {name:16} SAD {sad:.3f}  MSE {mse:.3f}  {1000 * seconds:.0f} ms")


def _by_distance(width_px: int, mask: NDArray[np.bool_], picture: Frame) -> _Alpha:
    return soft_edge(mask, width_px)


def _scene(path: Path, photograph: Path, scale: int) -> tuple[Frame, _Alpha]:
    """The picture (H, W, 3) and its true alpha (H, W)."""
    with Image.open(path) as opened:
        cut = opened.convert("RGBA")
        cut = cut.resize((scale * cut.width, scale * cut.height), Image.Resampling.BICUBIC)
        rgba = np.asarray(cut).astype(np.float32) / 255
    with Image.open(photograph) as opened:
        back = np.asarray(opened.convert("RGB").resize(cut.size)).astype(np.float32) / 255
    alpha = rgba[:, :, 3]
    mixed = rgba[:, :, :3] * alpha[:, :, None] + back * (1 - alpha[:, :, None])
    return np.round(mixed * 255).astype(np.uint8), alpha.astype(np.float32)


def _coarse(alpha: _Alpha) -> _Alpha:
    height, width = alpha.shape
    small = cv2.resize(
        alpha, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(
        cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )


def _has_pymatting() -> bool:
    try:
        import pymatting  # noqa: F401
    except ImportError:
        return False
    return True


def _closed_form(mask: NDArray[np.bool_], picture: Frame) -> _Alpha:
    from pymatting import estimate_alpha_cf

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _UNKNOWN_PX + 1,) * 2)
    stamp = mask.astype(np.uint8)
    trimap = np.full(mask.shape, 0.5)
    trimap[cv2.erode(stamp, kernel) > 0], trimap[cv2.dilate(stamp, kernel) == 0] = 1, 0
    if not (trimap == 1).any() or not (trimap == 0).any():
        return mask.astype(np.float32)
    return np.asarray(estimate_alpha_cf(picture / 255.0, trimap), np.float32)


if __name__ == "__main__":
    main()
