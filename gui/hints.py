"""One line that always says what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication

from gui.progress import Busy
from interaction.types import FrameStatus

if TYPE_CHECKING:
    from gui.workspace import Workspace

__all__ = ["hint_for"]


def _tr(text: str) -> str:
    return QCoreApplication.translate("Hints", text)


def hint_for(workspace: Workspace | None) -> str:
    """For the status line."""
    if workspace is None:
        return _tr("Open a video or a folder of pictures, or drop one here.")
    annotator = workspace.annotator
    if workspace.session.is_read_only:
        return _tr("Open for reading only: look, play and export.")
    if annotator.busy is Busy.PROPAGATING:
        return _tr("Tracking. Look around, correct what is done; Space pauses, Esc cancels.")
    if annotator.busy is Busy.LEARNING:
        return _tr("Learning. Go on correcting meanwhile; Space pauses, Esc cancels.")
    if annotator.busy is Busy.PAUSED and annotator.is_learning:
        return _tr("Paused. Space goes on, Esc ends it; no mask changes.")
    if annotator.busy is Busy.PAUSED:
        return _tr("Paused. Space goes on, Esc ends it; what is tracked stays.")
    if annotator.busy in (Busy.WORKING, Busy.EXPORTING):
        return _tr("Working. Esc cancels.")
    return workspace.canvas.hint + _next_step(workspace)


def _next_step(workspace: Workspace) -> str:
    document = workspace.document
    records = document.annotation.records
    if not records:
        return ""
    record = document.annotation.record(document.frame)
    if record.mask is None:
        return " " + _tr("No mask on this frame: track here, or click.")
    if record.status is FrameStatus.CORRECTED and len(records) < document.frame_count:
        return " " + _tr("Looks right? F follows it on.")
    if record.status is FrameStatus.TRACKED:
        return " " + _tr("N goes to the next doubtful frame, Enter confirms this one.")
    return ""
