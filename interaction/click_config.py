"""How clicks are answered. Needs no torch, so that settings can be read before it is there."""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["MODES", "ClickConfig", "Mode"]

Mode = Literal["NoBRS", "RGB-BRS", "DistMap-BRS", "f-BRS-A", "f-BRS-B", "f-BRS-C"]
MODES: Final[tuple[Mode, ...]] = (
    "NoBRS",
    "RGB-BRS",
    "DistMap-BRS",
    "f-BRS-A",
    "f-BRS-B",
    "f-BRS-C",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickConfig:
    """How clicks are answered; the published program's names in brackets."""

    mode: Mode = "f-BRS-B"  # [brs_mode]
    threshold: float = 0.5  # a probability above it is the object [prob_thresh]
    zoom_from_click: int = 2  # the first click on an empty frame sees all of it [skip_clicks + 1]
    zoom_px: int = 480  # the crop's longer side as the network sees it [target_size]
    zoom_expansion: float = 1.4  # [expansion_ratio]
    first_expansion: float = 2.0  # of what a first look at the whole frame found
    most_reach: float = 0.15  # of the mask's extent; a click farther from it tells of itself only
    least_crop_px: int = 200
    least_correction_px: int = 100  # the same of a correction: fine outlines show only from near
    # On a new object, clicks up to this one may change all of its mask. Later ones, and all of
    # those that correct a mask that was there, change only what hangs together with them.
    free_clicks: int = 8
    most_spread: float = 3.0  # how far that may be, by the click's depth in what is wrong
    longest_px: int = 800  # of the whole frame as the network sees it [max_size]
    # Clicks after these only refine [net_clicks_limit, published: 8]. A network that learned to
    # correct its own mask gets better with every click; one that did not gets confused.
    most_network_clicks: int = 20
    is_flipped_too: bool = True  # the mirrored picture is asked about as well [with_flip]
    most_evaluations: int = 20  # of the objective, a click [maxfun]
    least_mask_change: float = 1e-3  # [min_iou_diff]

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be between 0 and 1, got {self.threshold}")
        for name in ("zoom_px", "least_crop_px", "least_correction_px", "longest_px"):
            if getattr(self, name) < 16:
                raise ValueError(f"{name} must be at least 16, got {getattr(self, name)}")
        if self.zoom_expansion < 1:
            raise ValueError(f"zoom_expansion must be at least 1, got {self.zoom_expansion}")
