"""Turns what the annotator asks for into jobs, and their results into undoable edits."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from gui.document import Document
from gui.engine_thread import EngineThread, Job
from gui.hand_work import HandWork, Point
from gui.progress import Busy, Progress
from gui.prompt_queue import PromptQueue
from gui.tracking_run import TrackingRun
from interaction.engines import EngineSettings
from interaction.propagation_request import Direction, Until
from interaction.session import Propagated, PropagationRequest
from interaction.types import Click, MaskEdit, Stroke

__all__ = ["Annotator", "Busy", "Progress"]


class Annotator(HandWork):
    """The one place that knows the session, the document and the threads."""

    busy_changed = Signal(Busy)
    progressed = Signal(object)  # Progress
    clicked = Signal(object)  # (frame, Click) as soon as it is asked for, before it is answered
    tracked = Signal(int)  # the head of the propagation has come to this frame

    def __init__(
        self,
        document: Document,
        engine: EngineThread,
        files: EngineThread,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(document, parent)
        self._engine, self._files = engine, files
        self._prompts = PromptQueue(self._start_prompt, self._update_busy)
        self._run: TrackingRun | None = None
        self._work: Job | None = None
        self._file_work: Job | None = None
        self._undoes_after_run = False
        self._busy = Busy.IDLE

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

        self._engine.start(steps(), Job(lambda _: None, lambda _: None))

    # What is going on

    @property
    def busy(self) -> Busy:
        return self._busy

    @property
    def is_tracking(self) -> bool:
        return self._run is not None

    @property
    def is_paused(self) -> bool:
        return self._run is not None and self._run.job.is_paused

    def _update_busy(self) -> None:
        busy = Busy.IDLE
        if self._run is not None:
            busy = Busy.PAUSED if self._run.job.is_paused else Busy.PROPAGATING
        elif self._work is not None:
            busy = Busy.WORKING
        elif self._prompts.is_busy:
            busy = Busy.CLICKING
        elif self._file_work is not None:
            busy = Busy.EXPORTING
        if busy is not self._busy:
            self._busy = busy
            self.busy_changed.emit(busy)

    # Clicks, boxes and scribbles: the click network answers

    def click(self, x: float, y: float, is_positive: bool = True) -> None:
        """On the current frame, for the current object; the first click makes an object."""
        object_id = self._object_for_work()
        if not object_id:
            return
        frame, click = self.document.frame, Click(x, y, is_positive)
        self.clicked.emit((frame, click))
        self._prompts.ask(
            lambda stop: self._session.segment_click(frame, object_id, click, stop=stop)
        )

    def remove_click(self, index: int) -> None:
        """Takes one click of the current frame out again; the others are answered anew."""
        frame = self.document.frame
        self._prompts.ask(lambda stop: self._session.segment_without_click(frame, index, stop=stop))

    def remove_last_click(self) -> bool:
        """False if the current frame has none."""
        prompts = self._session.annotation.record(self.document.frame).prompts
        if prompts is None:
            return False
        self.remove_click(len(prompts.clicks) - 1)
        return True

    def box(self, corner: Point, opposite: Point) -> None:
        object_id = self._object_for_work()
        if object_id:
            frame = self.document.frame
            self._prompts.ask(
                lambda stop: self._session.segment_box(
                    frame, object_id, corner, opposite, stop=stop
                )
            )

    def scribble(self, strokes: Sequence[Stroke]) -> None:
        object_id = self._object_for_work()
        if object_id and strokes:
            frame, given = self.document.frame, tuple(strokes)
            self._prompts.ask(
                lambda stop: self._session.segment_scribble(frame, object_id, given, stop=stop)
            )

    def undo(self) -> None:
        if self._prompts.is_busy:
            self._prompts.cancel()
        history = self._session.history
        top = history.entries[history.position - 1] if history.can_undo else None
        if self._run is not None and top is not None and top.group == self._run.group:
            self._undoes_after_run = True
            self._run.job.cancel()
        else:
            self.document.undo()

    def redo(self) -> None:
        if not self._prompts.is_busy and self._run is None:
            self.document.redo()

    def go_to(self, position: int) -> None:
        if not self._prompts.is_busy and self._run is None:
            self.document.go_to(position)

    # Changes of many frames

    def delete_object(self, object_id: int) -> None:
        self._do_work(lambda: self._session.deleting_object(object_id))

    def merge_objects(self, object_id: int, into: int) -> None:
        self._do_work(lambda: self._session.merging_objects(object_id, into))

    def swap_objects(self, first: int, second: int, from_frame: int) -> None:
        self._do_work(lambda: self._session.swapping_objects(first, second, from_frame))

    def import_edits(self, edits: Generator[MaskEdit, None, Any]) -> None:
        """Masks that `interaction.project.importers` reads."""
        self._do_work(lambda: edits)

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

        follows: the current frame goes with it.
        """
        document = self.document
        self._propagate(
            PropagationRequest(
                start=document.frame,
                direction=direction,
                until=until,
                most_frames=most_frames,
                first=document.range_in,
                last=document.range_out,
                objects=objects,
            ),
            follows=follows,
        )

    def _propagate(self, request: PropagationRequest, *, follows: bool = False) -> None:
        if self._run is not None or self._work is not None:
            return
        run = TrackingRun(request, follows=follows)

        def steps() -> Generator[Propagated, None, None]:
            return self._session.propagation(request)

        job = self._start(self._engine, steps, partial(self._show_tracked, run), self._end_run)
        if job is not None:
            run.job = job
            self._run = run
            self.progressed.emit(Progress(self.tr("Tracking"), 0, 0))
        self._update_busy()

    def _show_tracked(self, run: TrackingRun, step: Propagated) -> None:
        run.note(step)
        if step.remark:
            self.noticed.emit(step.remark)
        if step.edit is not None:  # also after a cancel: what is finished is kept
            self.document.apply(step.edit)
        if run.follows:
            self.document.set_frame(step.frame)
        self.tracked.emit(step.frame)
        self.progressed.emit(
            Progress(
                self.tr("Tracking"),
                step.done,
                step.total,
                run.frames_per_second,
                run.seconds_left,
                step.memory,
            )
        )

    def _end_run(self, error: Exception | None) -> None:
        run, self._run = self._run, None
        self._update_busy()
        if self._undoes_after_run:
            self._undoes_after_run = False
            self.document.undo()
            return
        if run is None or error is not None:
            return
        again = run.corrected_behind(self._session.annotation)
        if again is not None:
            self.noticed.emit(
                self.tr("Frame {} was corrected meanwhile: tracking again from there.").format(
                    again.start
                )
            )
            self._propagate(again)

    def pause(self) -> None:
        if self._run is not None:
            self._run.job.pause()
            self._run.stop_clock()
            self._update_busy()

    def resume(self) -> None:
        if self._run is not None:
            self._run.job.resume()
            self._update_busy()

    def cancel(self) -> bool:
        """Stops whatever runs, the nearest to the annotator first. False if nothing did."""
        if self._prompts.is_busy:
            self._prompts.cancel()
            return True
        for job in (self._run.job if self._run else None, self._work, self._file_work):
            if job is not None:
                job.cancel()
                return True
        return False

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

    def _start_prompt(
        self, prompt: Callable[[], Generator[MaskEdit, None, None]], on_end: Callable[[], None]
    ) -> Job | None:
        return self._start(self._engine, prompt, self._apply, lambda _: on_end())

    def _apply(self, edit: MaskEdit) -> None:
        if not self.document.apply(edit):
            self.document.masks_changed.emit(set(edit.frames))  # previews give way to what is

    def _do_work(self, edits: Callable[[], Generator[MaskEdit, None, Any]]) -> None:
        if self._work is not None or self._run is not None:
            self.noticed.emit(self.tr("Wait until tracking is done, or cancel it."))
            return

        def end(error: Exception | None) -> None:
            self._work = None
            self._update_busy()

        self._work = self._start(self._engine, edits, self._apply, end)
        self._update_busy()

    def _start(
        self,
        thread: EngineThread,
        steps: Callable[[], Generator[Any, None, Any]],
        on_step: Callable[[Any], None],
        on_end: Callable[[Exception | None], None],
    ) -> Job | None:
        """None if the work was refused, which is told."""

        def end(error: Exception | None) -> None:
            on_end(error)
            if error is not None and not _is_stop(error):
                self.failed.emit(error)

        try:
            generator = steps()
        except Exception as error:  # noqa: BLE001  # shown or reported by whoever listens
            self.failed.emit(error)
            return None
        return thread.start(generator, Job(on_step, end))


def _is_stop(error: Exception) -> bool:
    from interaction.fbrs.optimizer import StoppedError

    return isinstance(error, CancelledError | StoppedError)
