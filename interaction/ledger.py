"""The annotation with its history and the project that keeps both: the way every edit goes."""

from collections.abc import Callable, Mapping

from interaction.annotation import Annotation
from interaction.errors import ReadOnlyProjectError, UserError
from interaction.history import History
from interaction.project.project import Project, check_edit
from interaction.rebasing import is_in_use, rebase
from interaction.types import MaskEdit

__all__ = ["Ledger"]


class Ledger:
    """One thread at a time. project: None keeps everything in memory only."""

    def __init__(
        self, annotation: Annotation, history: History, project: Project | None = None
    ) -> None:
        self.annotation, self.history, self.project = annotation, history, project
        # By group: under which ids objects were added whose own had been taken.
        self._new_ids: dict[str, Mapping[int, int]] = {}
        # Groups whose objects could not be added: by now, others may have their ids.
        self._without_objects: set[str] = set()

    @property
    def is_read_only(self) -> bool:
        return self.project is not None and self.project.is_read_only

    def apply(self, edit: MaskEdit) -> bool:
        """Makes and records an edit. False, and nothing done, if its frames changed since it was
        made, or it changes nothing.

        What was locked, deleted, added or renamed since it was made is left as it is, and the
        rest of the edit is done: see `rebase`. ReadOnlyProjectError if the project can only be
        read.
        """
        if edit.group in self._without_objects:
            return False
        rebased = rebase(edit, self.annotation, self._new_ids.get(edit.group or "", {}))
        if rebased is None:
            if edit.group is not None and _adds_objects(edit):
                self._without_objects.add(edit.group)
            return False
        edit = rebased.edit
        project = self.project
        if project is not None and project.is_read_only:
            raise ReadOnlyProjectError(project.folder, project.read_only_reason)
        if project is not None:
            check_edit(edit)
        self.annotation.apply(edit)
        if edit.group is not None and rebased.new_ids:
            self._new_ids[edit.group] = rebased.new_ids
        entry = self.history.push(edit)
        if project is not None:
            load = project.record(edit, self.history.position)
            entry.load = entry.load or load
        return True

    def undo(self) -> MaskEdit | None:
        """The edit that was applied; None at the beginning. UserError if it cannot be read."""
        return self._travel(self.history.undo)

    def redo(self) -> MaskEdit | None:
        """The edit that was applied; None at the end. UserError if it cannot be read, or takes an
        object away that frames have come to show since."""
        step = self.history.next_redo
        edit = None if step is None else step.loaded()
        if edit is not None and is_in_use(_leaving(edit), self.annotation, edit.after):
            raise UserError(
                f"“{edit.label}” cannot be redone: more frames show the object by now. Nothing was "
                "changed.\n\nDo it anew instead."
            )
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


def _adds_objects(edit: MaskEdit) -> bool:
    return bool(_leaving(edit.inverse()))


def _leaving(edit: MaskEdit) -> frozenset[int]:
    """The objects that it takes from the list."""
    staying = frozenset(one.id for one in edit.objects_after or ())
    return frozenset(one.id for one in edit.objects_before or ()) - staying
