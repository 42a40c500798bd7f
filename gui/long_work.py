"""Work that makes edits of one group for a while: one step of the history, taken back as one."""

from collections.abc import Collection
from concurrent.futures import CancelledError

from PySide6.QtCore import QCoreApplication

from gui.engine_thread import Job
from interaction.history import Entry, History
from interaction.types import MaskEdit, ObjectInfo

__all__ = ["LongWork", "frames_text"]

_MOST_STRETCHES = 4


def _tr(text: str) -> str:
    return QCoreApplication.translate("LongWork", text)


class LongWork:
    """`job` is set by whoever starts it."""

    job: Job

    def __init__(self, history: History) -> None:
        """history: as it is when the work is asked for."""
        self._before: Entry | None = history.newest
        self._group: str | None = None
        self.label = ""
        self.done: set[int] = set()  # frames
        self.left: set[int] = set()  # frames that were changed meanwhile, and stay as they are
        self._leaving: frozenset[int] = frozenset()  # objects that it was to take from the list

    @property
    def has_begun(self) -> bool:
        """Whether it has a step in the history."""
        return self._group is not None

    def is_newest(self, history: History) -> bool:
        """Whether nothing was done after it, so that Undo is about it."""
        newest = history.newest
        if self._group is None:
            return newest is self._before
        return newest is not None and newest.group == self._group

    def note_edit(self, edit: MaskEdit, *, is_applied: bool) -> None:
        self.label = edit.label
        if is_applied:
            self._group = edit.group
            self.done |= edit.frames
        elif edit.before != edit.after:
            self.left |= edit.frames
        if edit.objects_before is not None and edit.objects_after is not None:
            rest = {one.id for one in edit.objects_after}
            self._leaving = frozenset(one.id for one in edit.objects_before) - rest

    def outcome(self, error: Exception | None, objects: Collection[ObjectInfo]) -> str:
        """What is worth telling after its end; empty if all was done. error: what ended it.
        objects: that are there now."""
        told = []
        if isinstance(error, CancelledError) and self.has_begun:
            told.append(
                _tr("“{0}” was stopped: {1} frames are changed, which Undo takes back.").format(
                    self.label, len(self.done)
                )
            )
        if self.left:
            told.append(
                _tr("“{0}” left frames as they are that were changed meanwhile: {1}.").format(
                    self.label, frames_text(self.left)
                )
            )
        if self.left or error is None:
            staying = [one.name for one in objects if one.id in self._leaving]
            told += [_tr("“{}” stays in the list of objects.").format(name) for name in staying]
        return " ".join(told)


def frames_text(frames: Collection[int]) -> str:
    """For people, in order: “3”, “4–11, 13”; of very many, the first."""
    stretches: list[list[int]] = []
    for frame in sorted(frames):
        if stretches and frame == stretches[-1][1] + 1:
            stretches[-1][1] = frame
        else:
            stretches.append([frame, frame])
    parts = [str(first) if first == last else f"{first}–{last}" for first, last in stretches]
    if len(parts) > _MOST_STRETCHES:
        parts = [*parts[:_MOST_STRETCHES], "…"]
    return ", ".join(parts)
