"""Learning from the given frames: the networks go on learning while the annotator goes on working.
No mask changes, so Undo has nothing to do with it."""

from collections.abc import Generator
from concurrent.futures import CancelledError

from PySide6.QtCore import QCoreApplication, QObject, Signal

from gui.work.document import Document
from gui.work.engine_thread import EngineThread, Job
from gui.work.prompts import PromptWork
from gui.work.tracking import Pace, Progress
from interaction.learning.job import LearningStep, learning

__all__ = ["LearningRun", "LearningWork", "learned_from"]


class LearningRun:
    """`job` is set by whoever starts it."""

    job: Job

    def __init__(self) -> None:
        self.pace = Pace()
        self.has_tracker = False  # it has learned, which is kept however the rest ends

    def note(self, step: LearningStep) -> None:
        self.pace.note(step.total - step.done)
        self.has_tracker = step.part != "tracker"  # the click network comes after it


class LearningWork(PromptWork):
    """`Annotator` says when it may begin, pauses and cancels it."""

    progressed = Signal(object)  # Progress
    learning_changed = Signal()  # it has begun, or ended
    learned = Signal(int)  # from so many frames, to the end
    learned_changed = Signal()  # something was learned or forgotten, or is about other models

    def __init__(
        self, document: Document, engine: EngineThread, parent: QObject | None = None
    ) -> None:
        super().__init__(document, engine, parent)
        self._learning: LearningRun | None = None

    @property
    def is_learning(self) -> bool:
        """Also while that is paused."""
        return self._learning is not None

    # Parts

    def _start_learning(self) -> None:
        run, session = LearningRun(), self._session
        job = self._start(
            self._engine,
            lambda: learning(
                session.annotation,
                session.video,
                session.engines,
                seed=session.history.position,
            ),
            lambda step: self._show_learning(run, step),
            lambda error: self._end_learning(run, error),
        )
        if job is not None:
            run.job = job
            self._learning = run
            self.learning_changed.emit()
            self.progressed.emit(Progress(self.tr("Learning"), 0, 0))

    def _show_learning(self, run: LearningRun, step: LearningStep) -> None:
        had_tracker = run.has_tracker
        run.note(step)
        if run.has_tracker and not had_tracker:
            self.learned_changed.emit()
        self.progressed.emit(
            Progress(self.tr("Learning"), step.done, step.total, seconds_left=run.pace.seconds_left)
        )

    def _end_learning(self, run: LearningRun, error: Exception | None) -> None:
        self._learning = None
        self.learning_changed.emit()
        if error is None:
            self.learned_changed.emit()
            self.learned.emit(self._session.engines.models.frames)
        elif isinstance(error, CancelledError):
            self.noticed.emit(
                self.tr("Learning was stopped; the tracker has learned, clicks have not.")
                if run.has_tracker
                else self.tr("Learning was stopped; nothing was changed.")
            )

    def _start_forgetting(self) -> None:
        session = self._session

        def steps() -> Generator[None, None, None]:
            session.engines.forget()
            yield

        self._start(self._engine, steps, lambda _: None, self._end_forgetting)

    def _end_forgetting(self, error: Exception | None) -> None:
        if error is None:
            self.learned_changed.emit()
            self.noticed.emit(
                self.tr("What was learned is forgotten. Masks stay; you can learn again.")
            )


def learned_from(frames: int) -> str:
    """In words."""
    if frames == 1:
        return QCoreApplication.translate("Learning", "Learned from 1 frame")
    return QCoreApplication.translate("Learning", "Learned from {} frames").format(frames)
