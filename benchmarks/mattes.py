"""How well soft edges fit pictures whose true alpha is known.

    python -m benchmarks.mattes --cutouts FOLDER --backgrounds FOLDER [--count 60] [--scale 1]
        [--tracked]

Each cut-out (RGBA) is laid over a photograph; its mask is where alpha is over half, exactly or as a
network at a quarter of the size would give it. Errors are those of the matting literature, over the
whole picture: SAD in thousands of pixels, MSE in thousandths, and the processor time.

--tracked: each moves over its photograph instead, its first mask is given, and the masks are what
the bundled tracker finds on the last of six frames; then its own probabilities, as a project keeps
them, are compared too, and how many bytes they and the mask take.
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

from interaction.annotation.mask_files import encode_labels
from interaction.annotation.mattes import kept_probabilities, make_matte
from interaction.annotation.types import FrameRecord, Matte
from interaction.formats.looks import refined_edge, soft_edge
from xmem_core.arrays import Frame

_Alpha = NDArray[np.float32]
_Method = Callable[[NDArray[np.bool_], Frame], _Alpha]
_FRAMES = 6
_UNKNOWN_PX = 5  # of the band that closed-form matting may decide


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mattes", description=__doc__)
    parser.add_argument("--cutouts", type=Path, required=True)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--tracked", action="store_true")
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
    sizes: list[tuple[int, int]] = []
    for number, path in enumerate(cutouts):
        photograph = photographs[number % len(photographs)]
        if chosen.tracked:
            picture, alpha, mask, keeping = _tracked(path, photograph, chosen.scale)
            masks = {"tracked": mask}
            sizes.append((len(keeping.packed), len(keeping.mask)))
            for width in (1, 2, 3):
                methods[f"network, else {width} px"] = partial(_by_network, keeping, width)
            for band in (3, 5):
                methods[f"picture and network, {band} px"] = partial(_by_both, keeping, band)
        else:
            picture, alpha = _scene(path, photograph, chosen.scale)
            masks = {"exact": alpha > 0.5, "coarse": _coarse(alpha) > 0.5}
        for kind, mask in masks.items():
            for name, method in methods.items():
                start = time.process_time()
                difference = np.abs(method(mask, picture) - alpha)
                seconds = time.process_time() - start
                error = difference.sum() / 1000, 1000 * np.square(difference).mean(), seconds
                errors.setdefault((kind, name), []).append(error)
    if sizes:
        kept, mask_bytes = np.mean(sizes, axis=0)
        print(f"probabilities {kept:.0f} bytes a frame, masks {mask_bytes:.0f}")
    for (kind, name), rows in errors.items():
        sad, mse, seconds = np.mean(rows, axis=0)
        print(f"{kind:7} {name:25} SAD {sad:.3f}  MSE {mse:.3f}  {1000 * seconds:.0f} ms")


def _by_distance(width_px: int, mask: NDArray[np.bool_], picture: Frame) -> _Alpha:
    return soft_edge(mask, width_px)


def _scene(path: Path, photograph: Path, scale: int, shift_px: int = 0) -> tuple[Frame, _Alpha]:
    """The picture (H, W, 3) and its true alpha (H, W). shift_px: of the cut-out to the right."""
    with Image.open(path) as opened:
        cut = opened.convert("RGBA")
        cut = cut.resize((scale * cut.width, scale * cut.height), Image.Resampling.BICUBIC)
        rgba = np.asarray(cut).astype(np.float32) / 255
    if shift_px:
        rgba = np.roll(rgba, shift_px, axis=1)
        rgba[:, :shift_px] = 0
    with Image.open(photograph) as opened:
        back = np.asarray(opened.convert("RGB").resize(cut.size)).astype(np.float32) / 255
    alpha = rgba[:, :, 3]
    mixed = rgba[:, :, :3] * alpha[:, :, None] + back * (1 - alpha[:, :, None])
    return np.round(mixed * 255).astype(np.uint8), alpha.astype(np.float32)


def _tracked(
    path: Path, photograph: Path, scale: int
) -> tuple[Frame, _Alpha, NDArray[np.bool_], Matte]:
    """The last frame (H, W, 3), its true alpha, the tracked mask and what is kept beside it."""
    from interaction.engines import Engines
    from interaction.tracking.propagation import memorize_all, plan, propagate

    scenes = [_scene(path, photograph, scale, shift_px=2 * scale * step) for step in range(_FRAMES)]
    frames, given = [picture for picture, _ in scenes], (scenes[0][1] > 0.5).astype(np.uint8)
    tracker = Engines().start_tracker()
    for _ in memorize_all(tracker, frames, {0: given}):
        pass
    for result, _ in propagate(tracker, frames, {0: given}, plan(_FRAMES, [0])):
        last = result
    assert last is not None
    picture, alpha = scenes[-1]
    labels = last.prediction.labels()
    small = last.prediction.small.float().cpu().numpy()
    own, seen = small.argmax(axis=0) == 1, last.prediction.seen
    matte = make_matte(1, small[1], own, encode_labels(labels), seen)
    return picture, alpha, labels == 1, matte or Matte(1, b"", encode_labels(labels))


def _by_network(matte: Matte, width_px: int, mask: NDArray[np.bool_], picture: Frame) -> _Alpha:
    record = FrameRecord(matte.mask, mattes=(matte,))
    kept, otherwise = kept_probabilities(record, 1, mask), soft_edge(mask, width_px)
    return otherwise if kept is None else np.where(kept.is_known, kept.alpha, otherwise)


def _by_both(matte: Matte, band_px: int, mask: NDArray[np.bool_], picture: Frame) -> _Alpha:
    soft = refined_edge(mask, picture, band_px, _by_network(matte, 1, mask, picture))
    return np.where(mask, soft.clip(128 / 255, 1), soft.clip(0, 127 / 255))


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
