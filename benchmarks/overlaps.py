"""What tracking finds of covered pixels, on made clips whose truth is known.

    python -m benchmarks.overlaps [--size 240] [--frames 30]

An ellipse and a box cross each other over a picture of the sample. Both are given on the first
frame and on two on which they overlap. Printed, over the other frames: the mean IoU of whole
regions, and how many of the ellipse's covered pixels are found, with covered pixels kept and
without.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interaction.annotation.requests import OverlapRequest
from interaction.engines import EngineSettings
from interaction.session import Session
from interaction.video.video import open_video
from resources import sample_folder
from xmem_core.arrays import Frame

Mask = NDArray[np.bool_]
WIDTH, HEIGHT = 320, 240
ELLIPSE, BOX = 1, 2
OPACITIES: Final = {
    "both half transparent": (0.6, 0.5),
    "opaque": (1.0, 1.0),
    "glass before a solid thing": (1.0, 0.5),
}


def shapes(share: float) -> tuple[Mask, Mask]:
    """(HEIGHT, WIDTH) each. share: of the way, 0 to 1."""
    ellipse, box = (np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(2))
    center = int(70 + 180 * share), int(110 + 10 * np.sin(6 * share))
    cv2.ellipse(ellipse, center, (42, 55), 10, 0, 360, 1, -1)
    left = int(205 - 170 * share)
    cv2.rectangle(box, (left, 70), (left + 70, 190), 1, -1)
    return ellipse > 0, box > 0


def texture(seed: int, color: tuple[int, int, int]) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    large = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(0.35 * large + 0.65 * np.array(color), np.float32)


def write_clip(folder: Path, frames: int, opacity: tuple[float, float]) -> None:
    with open_video(sample_folder() / "big-buck-bunny.mp4") as video:
        ground = cv2.resize(video[40], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    skins = texture(1, (200, 60, 40)), texture(2, (40, 90, 210))
    random = np.random.default_rng(0)
    folder.mkdir()
    for index in range(frames):
        share = index / (frames - 1)
        picture = ground.astype(np.float32)
        moves = int(180 * share), -int(170 * share)
        for mask, skin, move, alpha in zip(shapes(share), skins, moves, opacity, strict=True):
            moved = np.roll(skin, move, axis=1)
            picture[mask] = (1 - alpha) * picture[mask] + alpha * moved[mask]
        noisy: Frame = np.clip(picture + random.normal(0, 2, picture.shape), 0, 255).astype(
            np.uint8
        )
        Image.fromarray(noisy).save(folder / f"{index:05d}.png")


def measure(clip: Path, frames: int, size_px: int, *, keeps: bool) -> tuple[float, float]:
    """Mean IoU of whole regions, and the share of the ellipse's covered pixels that is found."""
    given = (0, round(0.4 * frames), round(0.6 * frames))
    ious: list[float] = []
    found = covered = 0
    with Session.open(clip, settings=EngineSettings(internal_size=size_px)) as session:
        for name in ("ellipse", "box"):
            session.add_object(name)
        session.do(OverlapRequest(ELLIPSE, keeps))
        for frame in given:
            ellipse, box = shapes(frame / (frames - 1))
            session.set_mask(frame, np.where(ellipse, ELLIPSE, 0).astype(np.uint8))
            both = np.where(box, BOX, session.masks[frame]).astype(np.uint8)
            session.set_mask(frame, both)
        session.propagate(0, blends=False)
        for frame in set(range(frames)) - set(given):
            truth = shapes(frame / (frames - 1))
            ours = [session.masks.region(frame, one) for one in (ELLIPSE, BOX)]
            ious += [float((a & b).sum() / (a | b).sum()) for a, b in zip(truth, ours, strict=True)]
            hidden = truth[0] & truth[1]
            covered += int(hidden.sum())
            found += int((hidden & ours[0]).sum())
    return float(np.mean(ious)), found / covered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=240, help="internal size in pixels")
    parser.add_argument("--frames", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for number, (name, opacity) in enumerate(OPACITIES.items()):
            clip = Path(temporary) / str(number)
            write_clip(clip, options.frames, opacity)
            for keeps in (False, True):
                iou, share = measure(clip, options.frames, options.size, keeps=keeps)
                words = "kept" if keeps else "front only"
                print(f"{name}, {words}: IoU {iou:.3f}, covered {share:.3f}", flush=True)


if __name__ == "__main__":
    main()
