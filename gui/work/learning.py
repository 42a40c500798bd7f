"""Learning: the networks train on the given frames while the annotator goes on working.

No mask changes, so Undo does not concern it.
"""

from collections.abc import Generator
from concurrent.futures import CancelledError

from PySide6.QtCore import QObject, Signal

from gui.language import tr
from gui.work.document import Document
from gui.work.operations import Kind, Operation, Operations, Progress
from interaction.learning.learned import LearningStep, learning

__all__ = ["Learning", "learned_from"]


class Learning(QObject):
    """Begins with the frames that are given then, after the prompts that have no answer yet. What
    was learned is used by requests after it."""

    learned = Signal(int)  # from this number of frames, to the end
    changed = Signal()  # something was learned or forgotten, or belongs to other models

    def __init__(
        self, document: Document, operations: Operations, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._session = document, document.session
        self._operations = operations

    @property
    def is_running(self) -> bool:
        """Also while it is paused."""
        return self._operations.has(Kind.LEARNING)

    def start(self) -> None:
        has_tracker = False  # it has learned, which is kept however the rest ends

        def steps() -> Generator[LearningStep, None, None]:
            session = self._session
            seed = session.history.position
            return learning(session.annotation, session.video, session.engines, seed=seed)

        def show(step: LearningStep) -> None:
            nonlocal has_tracker
            is_timed = step.seconds_left is not None  # before, both networks take a step or two
            had_tracker, has_tracker = has_tracker, is_timed and step.part != "tracker"
            if is_timed:
                operation.pace.note(step.total - step.done)
            if has_tracker and not had_tracker:  # the click network comes after it
                self.changed.emit()
            seconds_left = operation.pace.seconds_left
            if seconds_left is None:
                seconds_left = step.seconds_left
            self._operations.progressed.emit(
                Progress(tr("Learning"), step.done, step.total, seconds_left=seconds_left)
            )

        def end(error: Exception | None) -> None:
            if error is None:
                self.changed.emit()
                self.learned.emit(self._session.engines.models.frames)
            elif isinstance(error, CancelledError):
                self._document.noticed.emit(
                    tr("Learning was stopped; the tracker has learned, clicks have not.")
                    if has_tracker
                    else tr("Learning was stopped; nothing was changed.")
                )

        operation = Operation(Kind.LEARNING, steps, show, end, is_pausable=True)
        self._operations.start(operation)

    def forget(self) -> None:
        """Discard learned weights and use the base models."""
        if not self._operations.may_start(Kind.LEARNING):
            return

        def end(error: Exception | None) -> None:
            if error is None:
                self.changed.emit()
                self._document.noticed.emit(
                    tr("What was learned is forgotten. Masks stay; you can learn again.")
                )

        self._operations.in_background(self._session.engines.forget, end, reports_errors=True)


def learned_from(frames: int) -> str:
    """In words."""
    return tr("Learned from 1 frame", "Learned from {count} frames", count=frames)
