"""What one frame will look like in a format, before anything is exported."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.project.exporters.looks import no_larger
from interaction.project.exporters.run import ExportSettings, plan_export
from interaction.project.exporters.source import ExportSource
from interaction.project.video import Video
from xmem_core.pictures import Frame

__all__ = ["ExportedPicture", "export_pictures"]

_LIGHT: Final = 160  # of the squares behind what is transparent
_DARK: Final = 110
_SQUARE_PX: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class ExportedPicture:
    """One of the files of a frame, or the frame of a video."""

    name: str  # of the file, below the target's folder
    picture: Frame  # (H, W, 3) RGB; what is transparent shows squares


def export_pictures(
    source: ExportSource, settings: ExportSettings, frame: int, video: Video, longest_px: int
) -> tuple[ExportedPicture, ...]:
    """What will be written of `frame`, made no larger than `longest_px`; nothing for a format that
    holds only numbers. Any thread may call it.

    UserError for what `check_export` would refuse, and for a damaged mask; ValueError for a frame
    that is not exported.
    """
    kind, job, _ = plan_export(source, settings)
    if frame not in job.frames:
        raise ValueError(f"frame must be one of those that are exported, got {frame}")
    if kind.pictures is None:
        return ()
    job.video = video
    return tuple(
        ExportedPicture(name, _seen(pixels, longest_px))
        for name, pixels in kind.pictures(job, frame)
    )


def _seen(pixels: NDArray[Any], longest_px: int) -> Frame:
    """As a picture viewer shows it."""
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 2:
        return np.repeat(no_larger(pixels, longest_px)[:, :, None], 3, axis=2)
    if pixels.shape[2] == 3:
        return no_larger(pixels, longest_px)
    # Multiplied by alpha first: else the colours of what is transparent would come into the edge.
    alpha = np.ascontiguousarray(pixels[:, :, 3])
    weights = cv2.merge([alpha, alpha, alpha])
    colors = cv2.multiply(np.ascontiguousarray(pixels[:, :, :3]), weights, scale=1 / 255)
    return _on_squares(no_larger(np.asarray(colors), longest_px), no_larger(alpha, longest_px))


def _on_squares(colors: Frame, alpha: NDArray[np.uint8]) -> Frame:
    """colors: (H, W, 3) RGB, multiplied by alpha (H, W)."""
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]] // _SQUARE_PX
    squares = np.where((x + y) % 2, _LIGHT, _DARK) * (1 - alpha.astype(np.float32) / 255)
    return np.round(np.minimum(colors + squares[:, :, None], 255)).astype(np.uint8)
