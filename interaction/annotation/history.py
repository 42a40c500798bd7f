"""Undo and redo: every edit that was made, in order, and how many of them are in effect.

The history of a project goes on after it was closed: earlier edits stay where they are
stored and are fetched when it is undone. Nothing here knows about files.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from interaction.annotation.types import Edit, FrameRecord

DEFAULT_BUDGET_BYTES: Final = 256 * 2**20


@dataclass(slots=True, eq=False)
class Part:
    """One edit of a stored step: in memory until it is in the file, and there ever after."""

    edit: Edit | None = None
    offset: int = -1
    size_bytes: int = 0

    def is_at(self, offset: int, size_bytes: int) -> None:
        """It is in the file now. In this order: another thread may be reading it."""
        self.offset, self.size_bytes = offset, size_bytes
        self.edit = None


@dataclass(slots=True, eq=False)
class Entry:
    """One step of the history: an edit, or all edits of a group as one. `edit` is None while its
    masks are only on disk."""

    label: str
    group: str | None = None
    frames: set[int] = field(default_factory=set)
    edit: Edit | None = None
    # Brings the edit back after it was dropped from memory. None: it lives in memory only.
    load: Callable[[], Edit] | None = None
    parts: list[Part] = field(default_factory=list)  # where `load` finds it
    size_bytes: int = 0

    def loaded(self) -> Edit:
        """Raises what `load` raises, UserError where the disk is at fault."""
        if self.edit is not None:
            return self.edit
        if self.load is None:
            raise RuntimeError(f"“{self.label}” is neither in memory nor stored")
        return self.load()


class History:
    """What Undo and Redo walk over. It changes no annotation: the caller applies what it returns.

    budget_bytes: of masks held in memory; beyond it the oldest entries are left to `load`, and
    those that cannot be loaded are forgotten.
    """

    def __init__(self, *, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self._entries: list[Entry] = []
        self._position = 0
        self._budget_bytes = budget_bytes

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Oldest first."""
        return tuple(self._entries)

    @property
    def position(self) -> int:
        """How many of the entries are in effect; the rest can be redone."""
        return self._position

    @property
    def can_undo(self) -> bool:
        return self._position > 0

    @property
    def can_redo(self) -> bool:
        return self._position < len(self._entries)

    @property
    def newest(self) -> Entry | None:
        """What Undo would take back."""
        return self._entries[self._position - 1] if self._position else None

    @property
    def next_redo(self) -> Entry | None:
        """What Redo would do again."""
        return self._entries[self._position] if self.can_redo else None

    def push(self, edit: Edit) -> Entry:
        """Notes an edit that was just applied.

        An edit of a group joins the group's entry, also below newer entries, unless one of those
        has touched the same frames since; what could be redone still can be, up to the first entry
        that touches these frames. Another edit is a new entry, and what could be redone is gone.
        One that changes the list of objects brings its entry to the top, if nothing can be redone.
        """
        entry = self._add(edit, self._joinable(edit))
        entry.edit = edit if entry.edit is None else entry.edit.then(edit)
        entry.size_bytes += size_bytes(edit)
        self._keep_budget()
        return entry

    def follow(self, edit: Edit, position: int) -> Entry:
        """Notes an edit that was pushed at another time. It is not kept: its entry is to load it.

        position: after it; where it stayed, the edit joined the newest entry of its group.
        ValueError if the history cannot have got there.
        """
        joined: Entry | None = None
        if edit.group is not None and position == self._position:
            past = reversed(self._entries[:position])
            joined = next((entry for entry in past if entry.group == edit.group), None)
        if joined is None and position != self._position + 1:
            raise ValueError(f"an edit cannot lead from step {self._position} to {position}")
        return self._add(edit, joined)

    def move(self, position: int) -> list[Entry]:
        """Undo or redo led to `position` at another time; the entries between, oldest first.
        ValueError if there is no such step."""
        if not 0 <= position <= len(self._entries):
            raise ValueError(f"there is no step {position} in a history of {len(self._entries)}")
        first, last = sorted((self._position, position))
        self._position = position
        return self._entries[first:last]

    def undo(self) -> Edit | None:
        """The edit to apply, already inverted; None at the beginning."""
        if not self.can_undo:
            return None
        edit = self._entries[self._position - 1].loaded()
        self._position -= 1
        return edit.inverse()

    def redo(self) -> Edit | None:
        """The edit to apply; None at the end."""
        if not self.can_redo:
            return None
        edit = self._entries[self._position].loaded()
        self._position += 1
        return edit

    def _add(self, edit: Edit, entry: Entry | None) -> Entry:
        """The entry with the edit. entry: that of its group, which it joins; None: a new one."""
        if entry is None:
            del self._entries[self._position :]
            entry = Entry(edit.label, edit.group)
            self._entries.append(entry)
            self._position += 1
        else:
            later = enumerate(self._entries[self._position :], start=self._position)
            shared = (at for at, one in later if not edit.frames.isdisjoint(one.frames))
            del self._entries[next(shared, len(self._entries)) :]
            if edit.objects_after is not None and entry is not self.newest:
                self._entries.remove(entry)
                self._entries.insert(self._position - 1, entry)
        entry.frames |= edit.frames
        return entry

    def _joinable(self, edit: Edit) -> Entry | None:
        if edit.group is None:
            return None
        changes_list = edit.objects_after is not None
        if changes_list and self.can_redo:
            return None
        above: set[int] = set()  # frames that newer entries have touched
        for entry in reversed(self._entries[: self._position]):
            if entry.group == edit.group:
                if entry.edit is None:
                    return None  # only on disk
                # Whether it might as well have been made after the newer entries.
                may_rise = entry.edit.objects_after is None and entry.frames.isdisjoint(above)
                return entry if not changes_list or entry is self.newest or may_rise else None
            if entry.frames & edit.frames:
                return None
            above |= entry.frames
        return None

    def _keep_budget(self) -> None:
        held = sum(entry.size_bytes for entry in self._entries if entry.edit is not None)
        for index, entry in enumerate(self._entries):
            # The newest is always kept: it is what people undo.
            if held <= self._budget_bytes or index >= self._position - 1:
                return
            if entry.edit is None:
                continue
            held -= entry.size_bytes
            if entry.load is not None:
                entry.edit = None
            else:
                del self._entries[: index + 1]
                self._position -= index + 1
                self._keep_budget()
                return


def size_bytes(edit: Edit) -> int:
    """What an edit's masks take in memory, shared ones counted once."""
    masks: dict[int, int] = {}
    for records in (edit.before, edit.after):
        for record in records.values():
            for mask in _masks(record):
                masks[id(mask)] = len(mask)
    return sum(masks.values())


def _masks(record: FrameRecord) -> Iterable[bytes]:
    if record.mask is not None:
        yield record.mask
    yield from record.beneath
    if record.prompts is not None and record.prompts.start is not None:
        yield record.prompts.start
        yield from record.prompts.start_beneath
