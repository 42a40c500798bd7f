"""What is there at the moment, for the table of actions to compare with what each one needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gui.action_spec import Needs
from gui.progress import Busy
from gui.timeline.frame_table import FrameTable

if TYPE_CHECKING:
    from gui.workspace import Workspace

__all__ = ["state_of"]


def state_of(workspace: Workspace | None) -> Needs:
    """All flags that are true now."""
    if workspace is None:
        return Needs.NOTHING
    document, annotator, session = workspace.document, workspace.annotator, workspace.session
    record = document.annotation.record(document.frame)
    prompts = record.prompts
    flags = {
        Needs.PROJECT: True,
        Needs.WRITABLE: not session.is_read_only,
        Needs.OBJECT: document.current_object != 0,
        Needs.MASK: record.mask is not None,
        Needs.IDLE: annotator.busy in (Busy.IDLE, Busy.CLICKING, Busy.EXPORTING),
        Needs.RUN: annotator.is_running,
        Needs.BUSY: annotator.busy is not Busy.IDLE
        or (prompts is not None and prompts.object_id == document.current_object)
        or workspace.player.is_playing,
        Needs.UNDO: session.history.can_undo and not session.is_read_only,
        Needs.REDO: session.history.can_redo and not session.is_read_only,
        Needs.GIVEN: FrameTable.of(document).frames_to_learn_from > 0,
        Needs.LEARNED: not session.engines.models.is_empty,
    }
    state = Needs.NOTHING
    for flag, is_set in flags.items():
        if is_set:
            state |= flag
    return state
