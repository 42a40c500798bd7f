"""What an annotation has cost: clicks, strokes, seconds of work and of waiting, from the edits and
when they were made. What was undone counts too."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from interaction.annotation.requests import (
    BoxRequest,
    ClickRequest,
    FillRequest,
    ImportRequest,
    PropagationRequest,
    ScribbleRequest,
    StrokeRequest,
)
from interaction.annotation.types import Edit, Request

IDLE_S: Final = 60.0  # a longer pause between two actions is not work


@dataclass(slots=True)
class Act:
    """One request and what it led to. A propagation of a thousand frames is one act."""

    began_s: float  # when it was requested, in seconds since 1970, UTC
    computed_s: float  # how long the program worked on it
    cause: Request | None
    is_undo: bool = False  # or redo
    objects: set[int] = field(default_factory=set)  # that it was for
    frames: set[int] = field(default_factory=set)  # that it changed
    group: str | None = None

    @property
    def clicks(self) -> int:
        return int(isinstance(self.cause, ClickRequest))

    @property
    def strokes(self) -> int:
        """Drags: of the brush, the scribble, the lasso and the box."""
        if isinstance(self.cause, ScribbleRequest):
            return len(self.cause.strokes)
        return int(isinstance(self.cause, StrokeRequest | FillRequest | BoxRequest))

    @property
    def is_by_hand(self) -> bool:
        """Whether the frames that it changed were touched by the annotator."""
        return not self.is_undo and not isinstance(self.cause, PropagationRequest | ImportRequest)


@dataclass(slots=True)
class Effort:
    """clicks, strokes: as made, undone ones included. steps: all other requests but propagations.

    work_s: between requests that are at most `IDLE_S` apart. waiting_s: while the program computed
    and nothing else was requested. frames: touched by hand. tracked: frames that a propagation
    gave a mask.
    """

    clicks: int = 0
    strokes: int = 0
    steps: int = 0
    undos: int = 0
    runs: int = 0
    work_s: float = 0.0
    waiting_s: float = 0.0
    frames: set[int] = field(default_factory=set)
    tracked: set[int] = field(default_factory=set)
    by_object: dict[int, "Effort"] = field(default_factory=dict)  # by id; seconds are shared out

    def count(self, act: Act) -> None:
        is_run = isinstance(act.cause, PropagationRequest)
        self.clicks += act.clicks
        self.strokes += act.strokes
        self.undos += act.is_undo
        self.runs += is_run
        self.steps += not (act.clicks or act.strokes or act.is_undo or is_run)
        if act.is_by_hand:
            self.frames |= act.frames
        elif is_run:
            self.tracked |= act.frames

    def to_json(self) -> dict[str, object]:
        """Plain values without `by_object`; seconds to a tenth."""
        return {
            "clicks": self.clicks,
            "strokes": self.strokes,
            "steps": self.steps,
            "undos": self.undos,
            "runs": self.runs,
            "work_seconds": round(self.work_s, 1),
            "waiting_seconds": round(self.waiting_s, 1),
            "frames_touched": len(self.frames),
            "frames_tracked": len(self.tracked),
        }


class EffortLog:
    """The acts in the order in which they were recorded. Grows with every edit, also undone."""

    def __init__(self) -> None:
        self._acts: list[Act] = []
        self._by_group: dict[str, Act] = {}
        self._measured: Effort | None = None  # until something is noted

    @property
    def acts(self) -> tuple[Act, ...]:
        return tuple(self._acts)

    def note(self, edit: Edit, at_s: float) -> None:
        """An edit that was applied at `at_s`, in seconds since 1970, UTC."""
        self._measured = None
        act = None if edit.group is None else self._by_group.get(edit.group)
        if act is None:
            act = Act(at_s - edit.seconds, 0.0, edit.cause, group=edit.group)
            self._acts.append(act)
            if edit.group is not None:
                self._by_group[edit.group] = act
        act.computed_s += edit.seconds
        act.frames |= edit.frames
        act.objects |= _objects_of(edit)

    def note_move(self, at_s: float) -> None:
        """An undo or redo."""
        self._measured = None
        self._acts.append(Act(at_s, 0.0, None, is_undo=True))

    def measure(self) -> Effort:
        """Everything so far; worked out when it is first asked for after a change."""
        if self._measured is None:
            self._measured = measure(self._acts)
        return self._measured


def _objects_of(edit: Edit) -> set[int]:
    named = getattr(edit.cause, "object_id", None)
    if isinstance(named, int):
        return {named}
    if isinstance(edit.cause, PropagationRequest) and edit.cause.objects is not None:
        return set(edit.cause.objects)
    if edit.objects_after is not None:
        before = {one.id: one for one in edit.objects_before or ()}
        return {one.id for one in edit.objects_after if before.get(one.id) != one}
    return {one for record in edit.after.values() for one in record.present}


def measure(acts: Iterable[Act], idle_s: float = IDLE_S) -> Effort:
    """Adds up acts.

    The seconds between two requests are waiting as far as the program computed, and otherwise work
    for the later one. A request made while the program still computes shows that the annotator
    worked beside it: unless it took longer than `idle_s`, that computing is work too. Seconds of an
    act for several objects are shared among them in equal parts.
    """
    ordered = sorted(acts, key=lambda act: act.began_s)
    total, parts = Effort(), dict[int, Effort]()

    def share(act: Act, *, work_s: float = 0.0, waiting_s: float = 0.0) -> None:
        total.work_s += work_s
        total.waiting_s += waiting_s
        for one in act.objects:
            part = parts.setdefault(one, Effort())
            part.work_s += work_s / len(act.objects)
            part.waiting_s += waiting_s / len(act.objects)

    computing: Act | None = None  # the one whose computing ends last
    ends_s = 0.0
    for index, act in enumerate(ordered):
        total.count(act)
        for one in act.objects:
            parts.setdefault(one, Effort()).count(act)
        if index:
            gap_s = act.began_s - ordered[index - 1].began_s
            waited_s = max(0.0, min(ends_s, act.began_s) - ordered[index - 1].began_s)
            if ends_s > act.began_s and waited_s <= idle_s:
                waited_s = 0.0
            free_s = gap_s - waited_s
            share(act, work_s=free_s if free_s <= idle_s else 0.0)
            if computing is not None:
                share(computing, waiting_s=waited_s)
        if act.began_s + act.computed_s >= ends_s:
            computing, ends_s = act, act.began_s + act.computed_s
    if ordered and computing is not None:
        share(computing, waiting_s=max(0.0, ends_s - ordered[-1].began_s))
    total.by_object = dict(sorted(parts.items()))
    return total
