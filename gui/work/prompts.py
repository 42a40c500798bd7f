"""Clicks, boxes and scribbles: the click network answers them in order."""

import logging
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from gui.language import tr
from gui.work.document import Document
from gui.work.hand import HandEdits, offer_both
from gui.work.operations import Busy, EngineThread, Kind, Operation, Operations
from interaction.annotation.edits import MOST_OBJECTS, free_id
from interaction.annotation.requests import (
    BoxRequest,
    ClickRequest,
    RemoveClickRequest,
    ScribbleRequest,
)
from interaction.annotation.strokes import Rectangle
from interaction.annotation.types import Click, Edit, Point, Prompts, Stroke
from interaction.answers import ClickPreview, answer, looks, previews
from interaction.errors import UserError
from xmem_core.arrays import Labels

__all__ = ["ClickPreviews", "HoverPreview", "PromptEdits"]

Answer = Generator[Edit, None, None]

log = logging.getLogger(__name__)


class PromptEdits(QObject):
    """Each prompt waits for those before it, since its answer starts from theirs. An answer whose
    frame has changed before it arrived is requested again."""

    clicked = Signal(object)  # (frame, Click) at the request, before the answer

    def __init__(
        self,
        document: Document,
        operations: Operations,
        hand: HandEdits,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document, self._session = document, document.session
        self._operations, self._hand = operations, hand

    def click(self, x: float, y: float, is_positive: bool = True) -> None:
        """On the current frame, for the current object; the first click makes an object. Refused
        if it is negative and nothing of the object is there."""
        if not is_positive and not self._may_remove():
            return
        object_id = self._hand.object_to_edit()
        if not object_id:
            return
        frame, click = self._document.frame, Click(x, y, is_positive)
        self.clicked.emit((frame, click))
        request = ClickRequest(frame, object_id, click)
        self._operations.start(self._prompt(request, is_positive=is_positive))

    def box(self, corner: Point, opposite: Point) -> None:
        object_id = self._hand.object_to_edit()
        if object_id:
            request = BoxRequest(self._document.frame, object_id, corner, opposite)
            self._operations.start(self._prompt(request, is_positive=True))

    def scribble(self, strokes: Sequence[Stroke]) -> None:
        is_positive = any(stroke.is_positive for stroke in strokes)
        if not strokes or (not is_positive and not self._may_remove()):
            return
        object_id = self._hand.object_to_edit()
        if object_id:
            request = ScribbleRequest(self._document.frame, object_id, tuple(strokes))
            self._operations.start(self._prompt(request, is_positive=is_positive))

    def remove_click(self, index: int) -> None:
        """Remove one click of the current frame; the others are answered again."""
        frame = self._document.frame
        prompts = self._session.annotation.record(frame).prompts
        if prompts is None or not 0 <= index < len(prompts.clicks):
            return
        object_id, click = prompts.object_id, prompts.clicks[index]

        def steps() -> Answer:
            self._check_object(object_id)
            found = _index(self._session.annotation.record(frame).prompts, object_id, click)
            if found is None:
                raise UserError(
                    "The click has become part of the mask.\n\n"
                    "The frame was changed after it. Undo goes back to it."
                )
            context = self._session.context(lambda: operation.is_cancelled)
            return answer(context, RemoveClickRequest(frame, found))

        operation = self._operation(steps)
        self._operations.start(operation)

    def remove_last_click(self) -> bool:
        """False if the current object has none on the current frame."""
        prompts = self._session.annotation.record(self._document.frame).prompts
        if prompts is None or prompts.object_id != self._document.current_object:
            return False
        self.remove_click(len(prompts.clicks) - 1)
        return True

    @property
    def are_waiting(self) -> bool:
        """Whether a prompt has no answer yet."""
        return self._operations.has(Kind.PROMPT)

    def give_up(self) -> bool:
        """Discard the prompts that have no answer yet, and what waits for them. False if there
        are none."""
        if not self.are_waiting:
            return False
        waiting = [
            operation
            for operation in self._operations
            if operation.kind is Kind.PROMPT or not operation.is_started
        ]
        self._operations.discard(*waiting)
        return True

    # Parts

    def _may_remove(self) -> bool:
        """Whether the current object is on the current frame, or may be once the prompts before
        are answered. From negative clicks alone, the object would become all the rest."""
        place = self._document.frame, self._document.current_object
        if self._is_there(*place) or self._operations.will_give(place):
            return True
        self._document.noticed.emit(
            tr("There is nothing to take away yet: click on the object first.")
        )
        return False

    def _is_there(self, frame: int, object_id: int) -> bool:
        """Whether the object is on the frame, or has a positive click there."""
        record = self._session.annotation.record(frame)
        prompts = record.prompts
        is_clicked = (
            prompts is not None
            and prompts.object_id == object_id
            and any(click.is_positive for click in prompts.clicks)
        )
        return object_id in record.objects or is_clicked

    def _prompt(
        self, request: ClickRequest | BoxRequest | ScribbleRequest, *, is_positive: bool
    ) -> Operation:
        """is_positive: whether the object is on the frame afterwards."""
        place = request.frame, request.object_id

        def steps() -> Answer:
            # What was to come first may have been taken back, or have failed.
            self._check_object(request.object_id)
            if not is_positive and not self._is_there(*place):
                raise UserError(
                    "There is nothing to take away any more.\n\nClick on the object first."
                )
            return answer(self._session.context(lambda: operation.is_cancelled), request)

        operation = self._operation(steps, subject=place if is_positive else None)
        return operation

    def _operation(self, steps: Callable[[], Answer], subject: Hashable = None) -> Operation:
        def show(edit: Edit) -> None:
            is_applied = self._document.apply(edit)
            operation.repeats = not is_applied and edit.before != edit.after
            if not is_applied and not operation.repeats:
                self._document.masks_changed.emit(set(edit.frames))  # previews end
            if is_applied:
                offer_both(self._document, edit)

        operation = Operation(Kind.PROMPT, steps, show, subject=subject)
        return operation

    def _check_object(self, object_id: int) -> None:
        if self._document.object(object_id) is None:
            raise UserError(
                "The object was deleted before it could be worked on.\n\nUndo brings it back."
            )


def _index(prompts: Prompts | None, object_id: int, click: Click) -> int | None:
    """The click's place among those of the frame, None if it is no longer there."""
    if prompts is None or prompts.object_id != object_id or click not in prompts.clicks:
        return None
    return len(prompts.clicks) - 1 - prompts.clicks[::-1].index(click)


@dataclass(frozen=True, slots=True, eq=False)
class HoverPreview:
    """What a click would change of an object on a frame."""

    frame: int
    object_id: int  # it need not be there yet
    click: Click
    is_new: bool  # nothing of the object is on the frame yet
    is_exact: bool  # the click gives this very mask
    part: Rectangle  # that holds all that changes
    added: NDArray[np.bool_]  # (h, w) of `part`, as `removed`
    removed: NDArray[np.bool_]


def _hover_preview(request: ClickRequest, before: Labels, made: ClickPreview) -> HoverPreview:
    """before: (H, W) the frame's labels of now."""
    was, will = before == request.object_id, made.labels == request.object_id
    left, top, width, height = cv2.boundingRect((was != will).astype(np.uint8))
    part = Rectangle(left, top, left + width, top + height)
    return HoverPreview(
        request.frame,
        request.object_id,
        request.click,
        not bool(was.any()),
        made.is_exact,
        part,
        (will & ~was)[part.slices],
        (was & ~will)[part.slices],
    )


class ClickPreviews(QObject):
    """Works out what a click would give, before it is made.

    One at a time, and only while the engine has nothing else to do: whatever is requested stops it
    at the end of the network's pass in progress, and a click on the same place finds the answer
    ready. What goes wrong is logged, and the click itself reports it.
    """

    arrived = Signal(object)  # HoverPreview
    _QUIET = (Busy.IDLE, Busy.EXPORTING, Busy.PAUSED)

    def __init__(
        self,
        document: Document,
        operations: Operations,
        engine: EngineThread,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._document, self._session = document, document.session
        self._operations, self._engine = operations, engine
        self._running: Operation | None = None
        self._looking: Operation | None = None
        self.is_on = True  # as the preferences say
        for changed in (operations.busy_changed, document.frame_changed):
            changed.connect(self._stop)

    def adds(self, x: float, y: float) -> bool:
        """Whether a click there would add to the current object: outside it, or where nothing is;
        inside it a click is of use to take away."""
        object_id = self._document.current_object
        labels = self._session.annotation.labels(self._document.frame)
        return not object_id or int(labels[int(y), int(x)]) != object_id

    def ask(self, x: float, y: float) -> None:
        """What a click at (x, y), source pixels, would make of the current frame and object;
        `arrived` follows, or nothing does. The one before is given up."""
        self.cancel()
        annotation, object_id = self._session.annotation, self._object_to_change()
        if not object_id:
            return
        request = ClickRequest(self._document.frame, object_id, Click(x, y, self.adds(x, y)))

        def steps() -> Generator[HoverPreview, None, None]:
            before = annotation.labels(request.frame)
            made = previews(self._session.context(lambda: operation.is_cancelled), request)
            return (_hover_preview(request, before, one) for one in made)

        operation = Operation(
            Kind.BACKGROUND,
            steps,
            self.arrived.emit,
            lambda error: self._end(operation, error),
            reports_errors=False,
        )
        self._running = operation
        self._engine.start(operation)

    def look(self) -> None:
        """Has what previews on the current frame need of its picture computed before the first of
        them; another frame, and whatever is requested, stop that before it begins."""
        if self._looking is not None:
            self._looking.discard()
        frame, object_id = self._document.frame, self._object_to_change()
        if not object_id:
            return
        operation = Operation(
            Kind.BACKGROUND,
            lambda: looks(self._session.context(lambda: operation.is_cancelled), frame, object_id),
            on_end=lambda error: self._end(operation, error),
            reports_errors=False,
        )
        self._looking = operation
        self._engine.start(operation)

    def cancel(self) -> None:
        """Nothing more arrives of what was asked for."""
        if self._running is not None:
            self._running.discard()
            self._running = None

    def _stop(self, *_: object) -> None:
        self.cancel()
        if self._looking is not None:
            self._looking.discard()
            self._looking = None

    def _end(self, operation: Operation, error: Exception | None) -> None:
        if self._running is operation:
            self._running = None
        if self._looking is operation:
            self._looking = None
        if error is not None and not operation.is_cancelled:
            log.info("There is no preview of a click: %s", error)

    def _object_to_change(self) -> int:
        """The object that a click would change now; 0: there are no previews."""
        document, session = self._document, self._session
        if not self.is_on or self._operations.busy not in self._QUIET:
            return 0
        object_id = document.current_object
        if not object_id and len(document.objects) < MOST_OBJECTS:
            object_id = free_id(document.objects)
        is_fixed = session.ledger.is_read_only or object_id in session.annotation.locked
        return 0 if is_fixed else object_id
