"""Edits of many frames: delete, merge, swap, import."""

from collections.abc import Callable, Collection, Generator
from concurrent.futures import CancelledError
from typing import Final

from gui.language import tr
from gui.work.document import Document
from gui.work.hand import SURGERY
from gui.work.operations import AppliedEdits, Kind, Operation, Operations
from interaction.annotation.requests import (
    ClearRequest,
    DeleteRequest,
    MergeRequest,
    OverlapRequest,
    PresenceRequest,
    SurgeryRequest,
    SwapRequest,
)
from interaction.annotation.requests import Operation as SurgeryName
from interaction.annotation.types import Edit, PresenceState, Request
from interaction.answers import answer

__all__ = ["BulkEdits", "frames_text"]

_MOST_STRETCHES: Final = 4


class BulkEdits:
    """One at a time, each one step of the history. Prompts without an answer come first. Every
    method is False, with a notice, while another operation changes many frames."""

    def __init__(self, document: Document, operations: Operations) -> None:
        self._document, self._session = document, document.session
        self._operations = operations

    def delete_object(self, object_id: int) -> bool:
        return self._request(DeleteRequest(object_id))

    def merge_objects(self, object_id: int, into: int) -> bool:
        return self._request(MergeRequest(object_id, into))

    def swap_objects(self, first: int, second: int, from_frame: int) -> bool:
        return self._request(SwapRequest(first, second, from_frame))

    def clear_object(self, object_id: int, first: int, last: int) -> bool:
        """Remove the object from these frames, and give it as absent where it was."""
        return self._request(ClearRequest(first, object_id, last))

    def set_presence(self, object_id: int, first: int, last: int, state: PresenceState) -> bool:
        """What the object is on these frames."""
        return self._request(PresenceRequest(object_id, first, last, state))

    def keep_covered(self, object_id: int, keeps: bool) -> bool:
        """Whether the object keeps what others cover of it; if not, it loses what it has of it."""
        return self._request(OverlapRequest(object_id, keeps))

    def move_covered(self, name: SurgeryName, object_id: int, first: int, last: int) -> bool:
        """Before or behind all that it overlaps on these frames: "to_front" or "to_back"."""
        return self._request(SurgeryRequest(name, first, object_id, last=last))

    def clean(self, name: SurgeryName, object_id: int, first: int, last: int) -> bool:
        """One operation of `SURGERY` on each of these frames that has a mask."""
        _, size_px = SURGERY[name]
        return self._request(SurgeryRequest(name, first, object_id, size_px, last=last))

    def _request(self, request: Request) -> bool:
        return self._start(lambda: answer(self._session.context(), request))

    def apply(self, edits: Generator[Edit, None, object]) -> bool:
        """Masks that an importer reads."""
        return self._start(lambda: edits)

    def _start(self, edits: Callable[[], Generator[Edit, None, object]]) -> bool:
        applied = AppliedEdits(self._session.history)

        def steps() -> Generator[Edit, None, object]:
            applied.begin()
            return edits()

        def show(edit: Edit) -> None:
            applied.note(edit, is_applied=self._document.apply(edit))

        def end(error: Exception | None) -> None:
            text = self._outcome(applied, error)
            if text:
                self._document.noticed.emit(text)

        return self._operations.start(Operation(Kind.BULK_EDIT, steps, show, end, edits=applied))

    def _outcome(self, applied: AppliedEdits, error: Exception | None) -> str:
        """What was not done; empty if all was. error: what ended it."""
        parts = []
        if isinstance(error, CancelledError) and applied.has_begun:
            parts.append(
                tr(
                    "“{label}” was stopped: {count} frame is changed, which Undo takes back.",
                    "“{label}” was stopped: {count} frames are changed, which Undo takes back.",
                    label=applied.label,
                    count=len(applied.done),
                )
            )
        if applied.left:
            parts.append(
                tr(
                    "“{label}” left frames as they are that were changed meanwhile: {frames}.",
                    label=applied.label,
                    frames=frames_text(applied.left),
                )
            )
        if applied.left or error is None:
            staying = [info.name for info in self._document.objects if info.id in applied.removes]
            parts += [tr("“{name}” stays in the list of objects.", name=name) for name in staying]
        return " ".join(parts)


def frames_text(frames: Collection[int]) -> str:
    """In order: “3”, “4–11, 13”; of very many, the first."""
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
