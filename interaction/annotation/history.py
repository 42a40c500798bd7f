"""Undo and redo: every edit that was made, in order, and how many of them are in effect.

The history of a project goes on after it was closed: earlier edits stay where they are
stored and are fetched when it is undone. Nothing here knows about files.
"""

from collections.abc import Callable, Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from interaction.annotation.types import Edit, FrameRecord

DEFAULT_BUDGET_BYTES: Final = 256 * 2**20


@dataclass(slots=True, eq=False)
class Entry:
    """One step of the history; `edit` is None while its masks are only on disk."""

    label: str
    frames: frozenset[int]
    group: str | None = None
    edit: Edit | None = None
    # Brings the edit back after it was dropped from memory. None: it lives in memory only.
    load: Callable[[], Edit] | None = None
    size_bytes: int = field(default=0)

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

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        position: int | None = None,
        *,
        budget_bytes: int = DEFAULT_BUDGET_BYTES,
    ) -> None:
        self._entries = list(entries)
        self._position = len(self._entries) if position is None else position
        if not 0 <= self._position <= len(self._entries):
            raise ValueError(f"position {position} of a history of {len(self._entries)}")
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

    def push(self, edit: Edit, load: Callable[[], Edit] | None = None) -> Entry:
        """Notes an edit that was just applied.

        An edit of a group joins the group's entry, also below newer entries, unless one of those
        has touched the same frames since; what could be redone still can be, up to the first entry
        that touches these frames. Another edit is a new entry, and what could be redone is gone.
        One that changes the list of objects brings its entry to the top, if nothing can be redone.
        """
        joined = self._joinable(edit)
        if joined is not None and joined.edit is not None:
            rises = edit.objects_after is not None
            join(self._entries, self._position, joined, edit.frames, rises=rises)
            joined.edit = joined.edit.then(edit)
            joined.frames |= edit.frames
            joined.size_bytes += size_bytes(edit)
            entry = joined
        else:
            del self._entries[self._position :]
            entry = Entry(edit.label, edit.frames, edit.group, edit, load, size_bytes(edit))
            self._entries.append(entry)
            self._position += 1
        self._keep_budget()
        return entry

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

    def _joinable(self, edit: Edit) -> Entry | None:
        if edit.group is None:
            return None
        changes_list = edit.objects_after is not None
        if changes_list and self.can_redo:
            return None
        above: set[int] = set()  # frames that newer entries have touched
        for entry in reversed(self._entries[: self._position]):
            if entry.group == edit.group:
                may_move = not changes_list or entry is self.newest or _may_rise(entry, above)
                return entry if may_move else None
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


class Touching(Protocol):
    """A step of a history, by the frames that it changed."""

    @property
    def frames(self) -> AbstractSet[int]: ...


Touched = TypeVar("Touched", bound=Touching)


def join(
    steps: list[Touched], position: int, one: Touched, frames: AbstractSet[int], *, rises: bool
) -> None:
    """What an edit of `frames` that belongs to the step `one` does to the others: those from
    `position` on stay redoable up to the first that shares a frame. rises: `one` becomes the newest
    of those before `position`."""
    later = enumerate(steps[position:], start=position)
    del steps[next((at for at, step in later if not frames.isdisjoint(step.frames)), len(steps)) :]
    if rises and one is not steps[position - 1]:
        steps.remove(one)
        steps.insert(position - 1, one)


def _may_rise(entry: Entry, above: Collection[int]) -> bool:
    """Whether it might as well have been made after entries that touched the frames `above`."""
    has_list = entry.edit is None or entry.edit.objects_after is not None
    return not has_list and entry.frames.isdisjoint(above)


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
