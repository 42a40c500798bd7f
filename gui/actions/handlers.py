"""The base of action handlers, and the next frame to go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QCoreApplication

from gui.work.annotator import Annotator
from gui.work.document import Document
from interaction.annotation.types import FrameStatus

if TYPE_CHECKING:
    from gui.window.main_window import MainWindow
    from gui.window.workspace import Workspace

__all__ = [
    "ActionHandlers",
    "doubtful_after",
    "keyframe_after",
    "keyframe_before",
    "tr",
]

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
    for frame in document.annotation.doubtful_frames():
        if all(abs(frame - other) > _NEIGHBOURS for other in worst):
            worst.append(frame)
    if not worst:
        return None
    here = document.frame
    return worst[(worst.index(here) + 1) % len(worst)] if here in worst else worst[0]


def _given(document: Document) -> list[int]:
    kinds = (FrameStatus.CORRECTED, FrameStatus.CONFIRMED)
    return [frame for frame, one in document.annotation.records.items() if one.status in kinds]


def tr(text: str) -> str:
    """Translated, in the handlers' one context."""
    return QCoreApplication.translate("Commands", text)


class ActionHandlers:
    """An action that needs a project is off while there is none."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    @property
    def _workspace(self) -> Workspace:
        workspace = self._window.workspace
        assert workspace is not None  # the action would be off
        return workspace

    @property
    def _document(self) -> Document:
        return self._workspace.document

    @property
    def _annotator(self) -> Annotator:
        return self._workspace.annotator
