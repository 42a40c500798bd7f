"""Turns what the annotator asks for into jobs, and their results into undoable edits."""

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from gui.work.document import Document
from gui.work.engine_thread import EngineThread, Job
from gui.work.learning import LearningWork
from gui.work.tracking import Busy, LongWork, Progress, TrackingRun, frames_text
from interaction.annotation.requests import (
    DeleteRequest,
    Direction,
    MergeRequest,
    Propagated,
    PropagationRequest,
    SwapRequest,
    Until,
)
from interaction.annotation.types import Edit, Request
from interaction.answers import answer, propagation
from interaction.engines import EngineSettings

__all__ = ["Annotator", "Busy", "Progress"]


class Annotator(LearningWork):
    """The one place that knows the session, the document and the threads."""

    busy_changed = Signal(Busy)
    tracked = Signal(int)  # the head of the propagation has come to this frame

    def __init__(
        self,
        document: Document,
        engine: EngineThread,
        files: EngineThread,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(document, engine, parent)
        self._files = files
        self._run: TrackingRun | None = None
        self._work: LongWork | None = None
        self._file_work: Job | None = None
        self._busy = Busy.IDLE
        self.awaited_changed.connect(self._update_busy)
        self.learning_changed.connect(self._update_busy)
        self.learned.connect(self.warm_up)

    def warm_up(self) -> None:
        """Loads the networks while nobody waits for them."""
        engines = self._session.engines

        def steps() -> Generator[None, None, None]:
            from xmem_core.device import keep_freed_memory

            keep_freed_memory()
            engines.segmenter()
            yield
            engines.start_tracker()

        # What is wrong with a model is told when somebody needs it.
        self._engine.start(steps(), Job(lambda _: None, lambda _: None))

    def configure_engines(self, settings: EngineSettings) -> None:
        """From the next click and the next propagation on."""
        engines = self._session.engines

        def steps() -> Generator[None, None, None]:
            engines.configure(settings)
            yield

        # What was learned belongs to the models it began with.
        self._engine.start(steps(), Job(lambda _: None, lambda _: self.learned_changed.emit()))

    # What is going on

    @property
    def busy(self) -> Busy:
        return self._busy

    @property
    def is_tracking(self) -> bool:
        return self._run is not None

    @property
    def is_running(self) -> bool:
        """Something is under way, or paused, that can be paused: tracking, or learning."""
        return self.is_tracking or self.is_learning

    @property
    def is_paused(self) -> bool:
        run = self._run or self._learning
        return run is not None and run.job.is_paused

    def _update_busy(self) -> None:
        busy = Busy.IDLE
        if self.is_paused:
            busy = Busy.PAUSED
        elif self._run is not None:
            busy = Busy.PROPAGATING
        elif self._learning is not None:
            busy = Busy.LEARNING
        elif self._work is not None:
            busy = Busy.WORKING
        elif self._prompts.is_busy:
            busy = Busy.CLICKING
        elif self._file_work is not None:
            busy = Busy.EXPORTING
        if busy is not self._busy:
            self._busy = busy
            self.busy_changed.emit(busy)

    # The history

    def undo(self) -> None:
        """Takes back the newest: a prompt that is not answered yet, else what runs, if nothing was
        done since, as far as it has come; else the last step. Of what is taken back nothing is
        applied any more."""
        if self._prompts.is_awaited:
            self._prompts.take_back()
            return
        work = self._run or self._work
        if work is not None and work.is_newest(self._session.history):
            self._run = self._work = None
            work.job.cancel()
            self._update_busy()
            if not work.has_begun:
                return
        self.document.undo()

    def redo(self) -> None:
        self.document.redo()

    def go_to(self, position: int) -> None:
        """Prompts that are not answered yet are given up."""
        if self._may_start():
            self.give_up_answers()
            self.document.go_to(position)

    # Changes of many frames

    def delete_object(self, object_id: int) -> None:
        self._change(DeleteRequest(object_id))

    def merge_objects(self, object_id: int, into: int) -> None:
        self._change(MergeRequest(object_id, into))

    def swap_objects(self, first: int, second: int, from_frame: int) -> None:
        self._change(SwapRequest(first, second, from_frame))

    def _change(self, request: Request) -> None:
        self._do_work(lambda: answer(self._session.context(), request))

    def import_edits(self, edits: Generator[Edit, None, Any]) -> bool:
        """Masks that `interaction.project.importers` reads. False, and told, while many frames are
        being changed."""
        return self._do_work(lambda: edits)

    # Propagation

    def propagate(
        self,
        direction: Direction = "forward",
        until: Until = "end",
        *,
        most_frames: int | None = None,
        objects: frozenset[int] | None = None,
        follows: bool = False,
    ) -> None:
        """From the current frame, inside the document's range. Only one runs at a time.

        follows: the current frame goes with it. Prompts that are not answered yet come first.
        """
        document = self.document
        request = PropagationRequest(
            start=document.frame,
            direction=direction,
            until=until,
            most_frames=most_frames,
            first=document.range_in,
            last=document.range_out,
            objects=objects,
        )
        self._prompts.do_after(lambda: self._propagate(request, follows=follows))

    def _propagate(
        self,
        request: PropagationRequest,
        *,
        follows: bool = False,
        goes_on_from: TrackingRun | None = None,
    ) -> None:
        if not self._may_start():
            return
        run = TrackingRun(request, self._session, follows=follows, goes_on_from=goes_on_from)
        job = self._start(
            self._engine,
            lambda: propagation(self._session.context(), request),
            partial(self._show_tracked, run),
            partial(self._end_run, run),
        )
        if job is not None:
            run.job = job
            self._run = run
            self.progressed.emit(Progress(self.tr("Tracking"), 0, 0))
        self._update_busy()

    def _show_tracked(self, run: TrackingRun, step: Propagated) -> None:
        if run is not self._run:  # taken back
            return
        if step.remark:
            self.noticed.emit(step.remark)
        # Also after a cancel: what is finished is kept.
        is_applied = step.edit is not None and self.document.apply(step.edit)
        run.note(step, self._session.annotation, is_applied=is_applied)
        if run.follows:
            self.document.set_frame(step.frame)
        self.tracked.emit(step.frame)
        self.progressed.emit(
            Progress(
                self.tr("Tracking"),
                step.done,
                step.total,
                run.pace.steps_per_second,
                run.pace.seconds_left,
                step.memory,
            )
        )

    def _end_run(self, run: TrackingRun, error: Exception | None) -> None:
        if run is not self._run:
            return
        self._run = None
        annotation = self._session.annotation
        if error is not None:
            self._update_busy()
            corrected = run.corrected(annotation)
            if corrected:
                self.noticed.emit(
                    self.tr("Corrected meanwhile, but not tracked from again: frames {}.").format(
                        frames_text(corrected)
                    )
                )
            return
        again = run.again(annotation)
        if again is not None:
            self.noticed.emit(
                self.tr("Frame {} was corrected meanwhile: tracking again from there.").format(
                    again.start
                )
            )
            self._propagate(again, goes_on_from=run)
        self._update_busy()

    # Learning

    def learn(self) -> None:
        """From what is given then. Prompts that are not answered yet come first. Clicks, strokes
        and Undo go on meanwhile; what was learned is used by what is asked for after it."""
        self._prompts.do_after(self._learn)

    def _learn(self) -> None:
        if self._may_start():
            self._start_learning()

    def forget_learned(self) -> None:
        """The networks answer as they came again."""
        if self._may_start():
            self._start_forgetting()

    # What can be paused and cancelled

    def pause(self) -> None:
        """Tracking or learning, after the step in progress."""
        run = self._run or self._learning
        if run is not None:
            run.job.pause()
            run.pace.stop()
            self._update_busy()

    def resume(self) -> None:
        run = self._run or self._learning
        if run is not None:
            run.job.resume()
            self._update_busy()

    def cancel(self) -> bool:
        """Stops whatever runs, the nearest to the annotator first. False if nothing did."""
        if self._prompts.is_awaited:
            self.give_up_answers()
            return True
        work = self._run or self._learning or self._work
        job = work.job if work is not None else self._file_work
        if job is not None:
            job.cancel()
        return job is not None

    # Files

    def do_file_work(
        self,
        steps: Callable[[], Generator[Any, None, Any]],
        on_step: Callable[[Any], None],
        on_done: Callable[[Exception | None], None],
        *,
        tells_errors: bool = True,
    ) -> bool:
        """Runs an export or the like on the file thread, one at a time. False if one runs.

        tells_errors: they are announced as `failed` too; otherwise only `on_done` gets them.
        """
        if self._file_work is not None:
            return False

        def end(error: Exception | None) -> None:
            self._file_work = None
            self._update_busy()
            on_done(error)

        if tells_errors:
            self._file_work = self._start(self._files, steps, on_step, end)
        else:
            self._file_work = self._files.start(steps(), Job(on_step, end))
        self._update_busy()
        return self._file_work is not None

    def cancel_file_work(self) -> None:
        if self._file_work is not None:
            self._file_work.cancel()

    # Parts

    def _may_start(self) -> bool:
        """False, and told, while many frames are being changed or learned from: one such work at
        a time."""
        if self._run is not None:
            what = self.tr("tracking is done")
        elif self._learning is not None:
            what = self.tr("learning is done")
        elif self._work is not None:
            what = self.tr("what is in work is done")
        else:
            return True
        self.noticed.emit(self.tr("Wait until {}, or cancel it.").format(what))
        return False

    def _do_work(self, edits: Callable[[], Generator[Edit, None, Any]]) -> bool:
        """Prompts that are not answered yet come first. False as from `_may_start`."""
        if not self._may_start():
            return False
        self._prompts.do_after(lambda: self._start_work(edits))
        return True

    def _start_work(self, edits: Callable[[], Generator[Edit, None, Any]]) -> None:
        work = LongWork(self._session.history)
        job = self._start(
            self._engine, edits, partial(self._show_work, work), partial(self._end_work, work)
        )
        if job is not None:
            work.job = job
            self._work = work
        self._update_busy()

    def _show_work(self, work: LongWork, edit: Edit) -> None:
        if work is self._work:  # not taken back
            work.note_edit(edit, is_applied=self.document.apply(edit))

    def _end_work(self, work: LongWork, error: Exception | None) -> None:
        if work is not self._work:
            return
        self._work = None
        self._update_busy()
        told = work.outcome(error, self.document.objects)
        if told:
            self.noticed.emit(told)
