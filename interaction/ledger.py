"""The annotation with its history and the project that keeps both: the way every edit goes."""

from collections.abc import Callable

import numpy as np

from interaction.annotation import Annotation
from interaction.errors import ReadOnlyProjectError
from interaction.history import History
from interaction.project.mask_files import decode_labels
from interaction.project.project import Project, check_edit
from interaction.types import MaskEdit

__all__ = ["Ledger"]


class Ledger:
    """One thread at a time. project: None keeps everything in memory only."""

    def __init__(
        self, annotation: Annotation, history: History, project: Project | None = None
    ) -> None:
        self.annotation, self.history, self.project = annotation, history, project

    @property
    def is_read_only(self) -> bool:
        return self.project is not None and self.project.is_read_only

    def apply(self, edit: MaskEdit) -> bool:
        """Makes and records an edit. False, and nothing done, if its frames changed since it was
        made, an object in it was deleted or locked since, or it changes nothing.

        ReadOnlyProjectError if the project can only be read.
        """
        if not self._is_current(edit):
            return False
        project = self.project
        if project is not None and project.is_read_only:
            raise ReadOnlyProjectError(project.folder, project.read_only_reason)
        dropped_redo = self.history.can_redo
        if project is not None:
            check_edit(edit)
        self.annotation.apply(edit)
        entry = self.history.push(edit)
        if project is not None:
            load = project.record(edit, self.history.position, dropped_redo)
            entry.load = entry.load or load
        return True

    def undo(self) -> MaskEdit | None:
        """The edit that was applied; None at the beginning. UserError if it cannot be read."""
        return self._travel(self.history.undo)

    def redo(self) -> MaskEdit | None:
        """The edit that was applied; None at the end. UserError if it cannot be read."""
        return self._travel(self.history.redo)

    def go_to(self, position: int) -> frozenset[int]:
        """Undoes or redoes until `position` steps are in effect; returns the frames touched."""
        if not 0 <= position <= len(self.history.entries):
            raise ValueError(f"position must be 0 to {len(self.history.entries)}, got {position}")
        frames: set[int] = set()
        while self.history.position != position:
            edit = self.undo() if position < self.history.position else self.redo()
            if edit is not None:
                frames |= edit.frames
        return frozenset(frames)

    def _travel(self, step: Callable[[], MaskEdit | None]) -> MaskEdit | None:
        project = self.project
        if project is not None and project.is_read_only:
            raise ReadOnlyProjectError(project.folder, project.read_only_reason)
        edit = step()
        if edit is not None:
            self.annotation.apply(edit)
            if project is not None:
                project.move_to(self.history.position, edit)
        return edit

    def _is_current(self, edit: MaskEdit) -> bool:
        annotation = self.annotation
        if any(annotation.record(f) != record for f, record in edit.before.items()):
            return False
        objects = annotation.objects
        if edit.objects_after is not None:
            if edit.objects_before != objects:
                return False
            gone = {one.id for one in objects} - {one.id for one in edit.objects_after}
            objects = edit.objects_after
            if gone and any(
                record.present & gone
                for frame, record in annotation.records.items()
                if frame not in edit.after
            ):
                return False
        elif edit.before == edit.after:
            return False
        known = {one.id for one in objects}
        if not all(record.present <= known for record in edit.after.values()):
            return False
        return self._leaves_locked(edit)

    def _leaves_locked(self, edit: MaskEdit) -> bool:
        """Edits know what was locked when they were asked for; since then more may have been."""
        newly = self.annotation.locked - frozenset(edit.cause.get("locked", ()))
        for frame, record in edit.after.items() if newly else ():
            if not newly & (edit.before[frame].present | record.present):
                continue
            labels = self.annotation.labels(frame)
            after = np.zeros_like(labels) if record.mask is None else decode_labels(record.mask)
            if any(not np.array_equal(labels == i, after == i) for i in newly):
                return False
        return True
