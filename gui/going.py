"""Which frame comes next: keyframes and doubtful frames."""

from typing import Final

from gui.document import Document
from interaction.types import FrameStatus

__all__ = ["doubtful_after", "keyframe_after", "keyframe_before"]

_NEIGHBOURS: Final = 5  # frames; doubt spreads, so one frame of a bad stretch stands for it


def keyframe_after(document: Document) -> int | None:
    """The next frame that the annotator answers for; None: there is none."""
    return min((frame for frame in _given(document) if frame > document.frame), default=None)


def keyframe_before(document: Document) -> int | None:
    return max((frame for frame in _given(document) if frame < document.frame), default=None)


def doubtful_after(document: Document) -> int | None:
    """The worst frame first, then the next worst elsewhere; from the last one to the first again.

    None if no tracked frame is in doubt.
    """
    worst: list[int] = []
    for frame in document.session.doubtful_frames():
        if all(abs(frame - other) > _NEIGHBOURS for other in worst):
            worst.append(frame)
    if not worst:
        return None
    here = document.frame
    return worst[(worst.index(here) + 1) % len(worst)] if here in worst else worst[0]


def _given(document: Document) -> list[int]:
    kinds = (FrameStatus.CORRECTED, FrameStatus.CONFIRMED)
    return [frame for frame, one in document.annotation.records.items() if one.status in kinds]
