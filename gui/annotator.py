"""Turns what the annotator asks for into jobs, and their results into undoable edits."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Literal

from PySide6.QtCore import QObject, Signal

from gui.document import Document
from gui.engine_thread import EngineThread, Job
from gui.tracking_run import TrackingRun
from interaction import mask_surgery
from interaction.engines import EngineSettings
from interaction.session import Propagated, PropagationRequest
from interaction.types import Click, MaskEdit, Stroke
from xmem_core.arrays import Labels

__all__ = ["Annotator", "Busy", "Progress"]

Point = tuple[float, float]
Direction = Literal["forward", "backward", "both"]
Until = Literal["end", "next_confirmed", "settled"]


class Busy(Enum):
    """What the program is at, as far as it matters to what can be asked of it."""

    IDLE = "idle"
    CLICKING = "clicking"
    PROPAGATING = "propagating"
    PAUSED = "paused"
    WORKING = "working"  # changing masks on many frames
    EXPORTING = "exporting"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long job is. Unknown figures are None."""

    label: str
    done: int
    total: int
    frames_per_second: float | None = None
    seconds_left: float | None = None
    memory: Any = None  # interaction.session.MemoryUse, while propagating


class Annotator(QObject):
    """The one place that knows the session, the document and the threads."""

    busy_changed = Signal(Busy)
    progressed = Signal(object)  # Progress
    failed = Signal(object)  # the Exception; never for a cancelled job
    noticed = Signal(str)  # something to know that is no error
    clicked = Signal(object)  # (frame, Click) as soon as it is asked for, before it is answered
    tracked = Signal(int)  # the head of the propagation has come to this frame

    def __init__(
        self,
        document: Document,
        engine: EngineThread,
        files: EngineThread,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.document = document
        self._session = document.session
        self._engine, self._files = engine, files
        # Every answer starts from what the one before left, so they are asked for in turn.
        self._prompts: deque[Callable[[Callable[[], bool]], Generator[MaskEdit, None, None]]] = (
            deque()
        )
        self._prompt: Job | None = None
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
        elif self._prompt is not None:
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
        self._ask(lambda stop: self._session.segment_click(frame, object_id, click, stop=stop))

    def remove_click(self, index: int) -> None:
        """Takes one click of the current frame out again; the others are answered anew."""
        frame = self.document.frame
        self._ask(lambda stop: self._session.segment_without_click(frame, index, stop=stop))

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
            self._ask(
                lambda stop: self._session.segment_box(
                    frame, object_id, corner, opposite, stop=stop
                )
            )

    def scribble(self, strokes: Sequence[Stroke]) -> None:
        object_id = self._object_for_work()
        if object_id and strokes:
            frame, given = self.document.frame, tuple(strokes)
            self._ask(
                lambda stop: self._session.segment_scribble(frame, object_id, given, stop=stop)
            )

    # Work by hand: exact and at once

    def stroke(self, stroke: Stroke) -> None:
        object_id = self._object_for_work()
        if object_id:
            self._show(self._session.stroke(self.document.frame, object_id, stroke))

    def fill(self, points: Sequence[Point], is_positive: bool = True) -> None:
        """The inside of a polygon."""
        object_id = self._object_for_work()
        if object_id and len(points) >= 3:
            self._show(
                self._session.fill(self.document.frame, object_id, points, is_positive=is_positive)
            )

    def fill_at(self, x: float, y: float) -> None:
        """The hole that is pointed at is filled; a part of the object's mask is taken away."""
        labels = self._session.annotation.labels(self.document.frame)
        height, width = labels.shape
        if not (0 <= x < width and 0 <= y < height):
            return
        is_own = labels[int(y), int(x)] == self.document.current_object
        change = mask_surgery.remove_part if is_own else mask_surgery.flood_fill
        label = self.tr("Remove a part") if is_own else self.tr("Fill")
        name = "remove_part" if is_own else "flood_fill"
        self._operate(label, name, change, x=x, y=y)

    def fill_holes(self) -> None:
        self._operate(self.tr("Fill holes"), "fill_holes", mask_surgery.fill_holes)

    def remove_specks(self, smallest_px: int = 64) -> None:
        self._operate(
            self.tr("Remove specks"),
            "remove_specks",
            mask_surgery.remove_specks,
            smallest_px=smallest_px,
        )

    def grow(self, px: float) -> None:
        """Moves the object's edge outwards, inwards if negative."""
        if px > 0:
            self._operate(self.tr("Grow"), "grow", mask_surgery.grow, px=px)
        else:
            self._operate(self.tr("Shrink"), "shrink", mask_surgery.shrink, px=-px)

    def smooth(self, px: float = 3) -> None:
        self._operate(self.tr("Smooth edge"), "smooth", mask_surgery.smooth, px=px)

    def confirm(self, frame: int | None = None) -> None:
        self._show(self._session.confirm(self.document.frame if frame is None else frame))

    def unconfirm(self, frame: int | None = None) -> None:
        self._show(self._session.unconfirm(self.document.frame if frame is None else frame))

    def clear_frame(self, object_id: int | None = None) -> None:
        """Takes one object, or everything, off the current frame."""
        self._show(self._session.clear_frame(self.document.frame, object_id))

    def copy_mask(self, from_frame: int, object_id: int | None = None) -> None:
        """From another frame onto the current one."""
        self._show(self._session.copy_mask(from_frame, self.document.frame, object_id))

    def split_object(self, object_id: int) -> None:
        """On the current frame: each further part becomes an object of its own."""
        self._show(self._session.split_object(self.document.frame, object_id))

    def undo(self) -> None:
        if self._prompt is not None:
            self._cancel_prompts()
        history = self._session.history
        top = history.entries[history.position - 1] if history.can_undo else None
        if self._run is not None and top is not None and top.group == self._run.group:
            self._undoes_after_run = True
            self._run.job.cancel()
        else:
            self._guarded(self.document.undo)

    def redo(self) -> None:
        if self._prompt is None and self._run is None:
            self._guarded(self.document.redo)

    def go_to(self, position: int) -> None:
        if self._prompt is None and self._run is None:
            self._guarded(lambda: self.document.go_to(position))

    # Changes of many frames

    def delete_object(self, object_id: int) -> None:
        self._do_work(self._session.deleting_object(object_id))

    def merge_objects(self, object_id: int, into: int) -> None:
        self._do_work(self._session.merging_objects(object_id, into))

    def swap_objects(self, first: int, second: int, from_frame: int) -> None:
        self._do_work(self._session.swapping_objects(first, second, from_frame))

    def import_edits(self, edits: Generator[MaskEdit, None, Any]) -> None:
        """Masks that `interaction.project.importers` reads."""
        self._do_work(edits)

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
        if step.edit is not None and not run.job.is_cancelled:
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
            self._guarded(self.document.undo)
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
        if self._prompt is not None:
            self._cancel_prompts()
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
    ) -> bool:
        """Runs an export or the like on the file thread, one at a time. False if one runs."""
        if self._file_work is not None:
            return False

        def end(error: Exception | None) -> None:
            self._file_work = None
            self._update_busy()
            on_done(error)

        self._file_work = self._start(self._files, steps, on_step, end)
        self._update_busy()
        return self._file_work is not None

    def look_at_files(
        self,
        steps: Callable[[], Generator[Any, None, Any]],
        on_done: Callable[[Exception | None], None],
    ) -> bool:
        """As `do_file_work`, for whoever shows the error itself."""
        if self._file_work is not None:
            return False

        def end(error: Exception | None) -> None:
            self._file_work = None
            self._update_busy()
            on_done(error)

        self._file_work = self._files.start(steps(), Job(lambda _: None, end))
        self._update_busy()
        return True

    def cancel_file_work(self) -> None:
        if self._file_work is not None:
            self._file_work.cancel()

    # Parts

    def _object_for_work(self) -> int:
        """The current object, made if there is none; 0 if it must not change."""
        if self._session.is_read_only:
            self.noticed.emit(self.tr("This project is open for reading only."))
            return 0
        document = self.document
        object_id = document.current_object or document.add_object()
        one = document.object(object_id)
        if one is not None and one.is_locked:
            self.noticed.emit(self.tr("“{}” is locked: unlock it to change it.").format(one.name))
            return 0
        return object_id

    def _operate(
        self, label: str, name: str, change: Callable[..., Labels], **settings: float
    ) -> None:
        """A change of the current object's mask on the current frame."""
        object_id = self._object_for_work()
        if not object_id:
            return
        locked = self._session.annotation.locked
        cause = {"kind": f"surgery:{name}", "object": object_id, **settings}
        self._show(
            self._session.change_mask(
                self.document.frame,
                label,
                lambda labels: change(labels, object_id, **settings, locked=locked),
                cause,
            )
        )

    def _show(self, edit: MaskEdit | None) -> None:
        self.document.announce(edit)

    def _guarded(self, change: Callable[[], object]) -> None:
        try:
            change()
        except Exception as error:  # noqa: BLE001  # shown or reported by whoever listens
            self.failed.emit(error)

    def _ask(self, prompt: Callable[[Callable[[], bool]], Generator[MaskEdit, None, None]]) -> None:
        self._prompts.append(prompt)
        if self._prompt is None:
            self._ask_next()

    def _ask_next(self) -> None:
        self._prompt = None
        while self._prompts and self._prompt is None:
            prompt = self._prompts.popleft()
            holder: list[Job] = []

            def is_stopped(holder: list[Job] = holder) -> bool:
                return bool(holder) and holder[0].is_cancelled

            self._prompt = self._start(
                self._engine,
                partial(prompt, is_stopped),
                self._apply,
                lambda _: self._ask_next(),
            )
            if self._prompt is not None:
                holder.append(self._prompt)
        self._update_busy()

    def _cancel_prompts(self) -> None:
        self._prompts.clear()
        if self._prompt is not None:
            self._prompt.cancel()

    def _apply(self, edit: MaskEdit) -> None:
        if not self.document.apply(edit):
            self.document.masks_changed.emit(set(edit.frames))  # previews give way to what is

    def _do_work(self, edits: Generator[MaskEdit, None, Any]) -> None:
        if self._work is not None or self._run is not None:
            edits.close()
            self.noticed.emit(self.tr("Wait until tracking is done, or cancel it."))
            return

        def end(error: Exception | None) -> None:
            self._work = None
            self._update_busy()

        self._work = self._start(self._engine, lambda: edits, self._apply, end)
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
