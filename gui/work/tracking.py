"""Tracking: one run at a time, and again from what was corrected behind its head."""

from collections.abc import Callable, Generator
from concurrent.futures import CancelledError
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypedDict, Unpack, get_args

from PySide6.QtCore import QObject, Signal

from gui.language import tr
from gui.work.bulk import frames_text
from gui.work.document import Document
from gui.work.operations import AppliedEdits, Kind, Operation, Operations, Progress
from interaction.annotation.annotation import Annotation, given_objects
from interaction.annotation.requests import (
    AbsenceProposal,
    Direction,
    Propagated,
    PropagationRequest,
    Until,
)
from interaction.annotation.types import FrameRecord, PresenceState
from interaction.answers import (
    EditContext,
    covered_passes,
    propagation,
    propagation_forecast,
    resumption,
)
from interaction.session import Session
from interaction.tracking.covered import tracked_objects

if TYPE_CHECKING:
    from interaction.tracking.governor import Forecast
    from interaction.tracking.unfinished import UnfinishedRun

__all__ = ["AT_CUT", "AtCut", "Tracking"]

AtCut = Literal["pause", "stop", "go_on"]  # what a run does at a cut; to pause is to ask
AT_CUT: Final[tuple[AtCut, ...]] = get_args(AtCut)


class _Options(TypedDict, total=False):
    """Of a run, as `PropagationRequest` has them."""

    most_frames: int | None
    objects: frozenset[int] | None
    looks_closer: bool


class Tracking(QObject):
    """Starts runs from the current frame, inside the document's range."""

    tracked = Signal(int)  # the head of the run is at this frame
    looked = Signal(int, object)  # at a part of this frame: a Window, None for all of it
    ended = Signal(frozenset)  # the frames that got a mask; a pass after a correction is one more
    accepted = Signal()  # the first of the absences
    forecast_made = Signal(object)  # Forecast; None where it cannot be made
    remembered = Signal(object)  # Remembered, while `reports_memory`

    def __init__(
        self, document: Document, operations: Operations, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._session = document, document.session
        self._operations = operations
        self._forecasts = 0  # asked for so far
        self._absences: tuple[AbsenceProposal, ...] = ()  # of the run that is going or was last
        self._paused_for: set[int] = set()  # objects whose masks went wrong in that run
        self._is_stopped_by_cut = False  # that run
        self._run: _Run | None = None  # that run
        self.at_cut: AtCut = "go_on"  # until the window says what is preferred
        self.pauses_at_wrong_masks = False
        self.reports_memory = False  # whether the Memory tab is visible

    @property
    def absences(self) -> tuple[AbsenceProposal, ...]:
        """Where an object shrank to specks and was not marked absent since."""
        objects = {one.id: one for one in self._document.objects}
        return tuple(
            one
            for one in self._absences
            if one.object_id in objects
            and any(
                objects[one.object_id].state_at(frame) is not PresenceState.ABSENT
                for frame in range(one.first, one.last + 1)
            )
        )

    @property
    def is_running(self) -> bool:
        """Also while it is paused."""
        return self._operations.has(Kind.TRACKING)

    def start(
        self,
        direction: Direction = "forward",
        until: Until = "end",
        *,
        follows: bool = False,
        **options: Unpack[_Options],
    ) -> None:
        """Prompts that have no answer yet come first. follows: the current frame goes with it."""
        request = self._request(direction, until, **options)
        self._start(_Run(request, self._session), follows=follows)

    # A run that was interrupted

    def offer_resumption(self) -> None:
        """Says so if the project has a run that was interrupted, and how it goes on."""
        place = self._session.context().unfinished
        if place is None or not place.is_file():
            return
        found: list[UnfinishedRun] = []

        def read() -> None:
            from interaction.tracking.unfinished import read_run  # torch, off this thread

            found.append(read_run(place, is_whole=False))

        def offer(error: Exception | None) -> None:
            if not found or self.is_running:
                return
            run = found[0]
            self.remembered.emit(run.remembered)
            text = tr(
                "Tracking was interrupted at frame {frame}. It goes on as if it had not been.",
                frame=run.frame,
            )
            self._document.offered.emit(text, tr("Track on"), self.resume)

        self._operations.in_background(read, offer)

    @property
    def can_resume_later(self) -> bool:
        """Whether the run that is going, cut short now, is kept in the project, to be resumed."""
        return self._run is not None and self._run.is_resumable

    def resume(self) -> None:
        """Goes on with the run that was interrupted last; says so where there is none."""
        run = _Run(self._request(), self._session)
        run.is_resumable = True  # what it goes on from stays until it has come further
        self._start(run, begin=resumption)

    def forecast(
        self,
        direction: Direction = "forward",
        until: Until = "end",
        *,
        measures: bool = False,
        **options: Unpack[_Options],
    ) -> None:
        """Announces what such a run will need on this machine. measures: track its first frames
        for that; no mask is kept."""
        request = self._request(direction, until, **options)
        project = self._session.project
        folder = None if project is None else project.folder
        self._forecasts += 1
        number = self._forecasts
        made: list[Forecast] = []

        def load() -> None:
            import interaction.tracking.propagation_job  # noqa: F401  # torch, off this thread

        def steps() -> Generator[None, None, None]:
            context = self._session.context()
            forecasting = propagation_forecast(context, request, folder, measures=measures)

            def noted() -> Generator[None, None, None]:
                made.append((yield from forecasting))

            return noted()

        def end(error: Exception | None) -> None:
            if number == self._forecasts:  # else another was asked for since
                self.forecast_made.emit(made[0] if made else None)

        def begin(error: Exception | None) -> None:
            if error is None and number == self._forecasts:
                self._operations.start(
                    Operation(Kind.BACKGROUND, steps, on_end=end, reports_errors=measures)
                )

        self._operations.in_background(load, begin)

    def _request(
        self, direction: Direction = "forward", until: Until = "end", **options: Unpack[_Options]
    ) -> PropagationRequest:
        document = self._document
        return PropagationRequest(
            start=document.frame,
            direction=direction,
            until=until,
            first=document.range_in,
            last=document.range_out,
            blends=document.blends,
            **options,
        )

    def _start(
        self,
        run: "_Run",
        *,
        follows: bool = False,
        reason: str = "",
        begin: Callable[[EditContext], Generator[Propagated, None, None]] | None = None,
    ) -> None:
        """begin: something else than what the run asks for."""

        def show(step: Propagated) -> None:
            is_new = len(step.absences) > len(self._absences)
            self._absences = step.absences
            # A pause has announced the collapse already; the end of the run asks about it.
            if is_new and not {one.object_id for one in self.absences} <= self._paused_for:
                self.offer_absence()
            if step.remark:
                self._document.noticed.emit(tr(step.remark))
            # Also after a cancel: what is finished is kept.
            is_applied = step.edit is not None and self._document.apply(step.edit)
            run.note(step, is_applied=is_applied)
            if follows or self._document.follows_head:
                self._document.set_frame(step.frame)
            self.tracked.emit(step.frame)
            self.looked.emit(step.frame, step.box)
            if may_brake(step):
                self._brake(step)
            if step.remembered is not None:
                self.remembered.emit(step.remembered)
            self._show_progress(operation, step)

        def steps() -> Generator[Propagated, None, None]:
            self._absences = ()
            self._paused_for.clear()
            self._is_stopped_by_cut = False
            self._run = run
            run.begin()
            context = replace(self._session.context(), reports_memory=lambda: self.reports_memory)
            return begin(context) if begin is not None else propagation(context, run.request)

        def may_brake(step: Propagated) -> bool:
            if step.brake is None or (step.is_cut and self.at_cut == "go_on"):
                return False
            return step.is_cut or self.pauses_at_wrong_masks

        operation = Operation(
            Kind.TRACKING,
            steps,
            show,
            lambda error: self._end(run, error),
            is_pausable=True,
            edits=run.edits,
            reason=reason,
            frames=run.frames if reason else None,
            pauses_at=may_brake,
        )
        self._operations.start(operation)

    def _show_progress(self, operation: Operation, step: Propagated) -> None:
        pace = operation.pace
        pace.note(step.total - step.done)
        self._operations.progressed.emit(
            Progress(
                tr("Tracking"),
                step.done,
                step.total,
                pace.steps_per_second,
                pace.seconds_left,
                step.memory,
            )
        )

    def offer_absence(self) -> None:
        """Says where an object may be absent, if it is so anywhere, and how that is accepted."""
        proposal = next(iter(self.absences), None)
        if proposal is None:
            return
        self._document.offered.emit(
            tr(
                "“{name}” shrinks to specks on frames {first} to {last}: is it absent? A accepts.",
                name=self._session.annotation.object(proposal.object_id).name,
                first=proposal.first,
                last=proposal.last,
            ),
            tr("Absent"),
            self.accepted.emit,
        )

    def _brake(self, step: Propagated) -> None:
        """The run stands still at this frame: say why, and how it goes on."""
        text = tr("Frame {frame}. {reason}", frame=step.frame, reason=tr(step.brake or ""))
        if step.is_cut and self.at_cut == "stop":
            self._is_stopped_by_cut = True
            self._operations.cancel(Kind.TRACKING)
            self._document.noticed.emit(text)
            return
        self._document.set_frame(step.frame)
        self._paused_for.add(step.wrong_object)
        self._operations.pause()
        self._document.offered.emit(text, tr("Track on"), self._operations.resume)

    def _end(self, run: "_Run", error: Exception | None) -> None:
        self.ended.emit(frozenset(run.edits.done))
        self.offer_absence()
        if error is not None:
            corrected = run.corrected()
            if corrected:
                self._document.noticed.emit(
                    tr(
                        "Corrected meanwhile, but not tracked from again: frames {frames}.",
                        frames=frames_text(corrected),
                    )
                )
            if isinstance(error, CancelledError) and run.so_far is not None:
                self._catch_up(run.so_far)
            return
        again = run.again()
        if again is not None:
            reason = tr(
                "Frame {frame} was corrected: tracking again over frames {first}–{last}.",
                frame=again.request.start,
                first=again.frames.start,
                last=again.frames.stop - 1,
            )
            self._document.noticed.emit(reason)
            self._start(again, reason=reason)

    def _catch_up(self, so_far: PropagationRequest) -> None:
        """What others cover on the frames of a run that was stopped: tracked where a cut stopped
        it, else offered."""
        annotation = self._session.annotation
        objects = tracked_objects(annotation, so_far)
        if not objects:
            return
        frames = {"first": so_far.first, "last": so_far.last}
        names = ", ".join(f"“{annotation.object(one).name}”" for one in objects)

        def start() -> None:
            reason = tr(
                "Tracking what others cover of {names}: frames {first}–{last}.",
                names=names,
                **frames,
            )
            run = _Run(so_far, self._session)
            self._start(run, reason=reason, begin=partial(covered_passes, so_far=so_far))

        if self._is_stopped_by_cut:
            start()
            return
        text = tr(
            "What others cover of {names} is not tracked yet: frames {first}–{last}.",
            names=names,
            **frames,
        )
        self._document.offered.emit(text, tr("Track it"), start)


class _Run:
    """The record with which tracking has passed each frame, in this run and in those that it
    continues. A frame that got another mask by hand since was corrected behind the head: what was
    tracked from it has to be tracked again.
    """

    def __init__(
        self, request: PropagationRequest, session: Session, *, continues: "_Run | None" = None
    ) -> None:
        """continues: a run that has ended, after which part of it is tracked again."""
        self.request = request
        self.so_far: PropagationRequest | None = None  # over what was reached by now
        self.is_resumable = False  # if it is cut short now
        self.edits = AppliedEdits(session.history)
        self._session = session
        self._records: dict[int, FrameRecord] = {}
        self._used: dict[int, FrameRecord | None] = {}
        self._whole: PropagationRequest = request  # of the first run
        self._start: int | None = None  # where that began, once it has
        if continues is not None:
            self._used = dict(continues._used)
            self._whole, self._start = continues._whole, continues._start

    @property
    def _annotation(self) -> Annotation:
        return self._session.annotation

    @property
    def frames(self) -> range:
        """Those that it may reach."""
        request, last = self.request, self._annotation.frame_count - 1
        first = 0 if request.first is None else request.first
        last = last if request.last is None else request.last
        if request.direction == "forward":
            first = request.start
        elif request.direction == "backward":
            last = request.start
        return range(first, last + 1)

    def begin(self) -> None:
        """Read what the run reads."""
        self.edits.begin()
        self._records = dict(self._annotation.records)

    def note(self, step: Propagated, *, is_applied: bool) -> None:
        """A step that was shown."""
        if self._start is None:
            self._start = step.frame
        self.so_far = step.so_far or self.so_far
        # What was kept stays through passes that are not kept themselves.
        self.is_resumable |= step.can_resume
        if step.edit is None:
            self._used.setdefault(step.frame, self._records.get(step.frame))
        else:
            self.edits.note(step.edit, is_applied=is_applied)
            made = step.edit.after[step.frame]
            self._used[step.frame] = self._annotation.record(step.frame) if is_applied else made

    # What was corrected behind it

    def corrected(self) -> list[int]:
        """Frames from which something has to be tracked again, in the order of travel."""
        start = self._start or 0
        frames = sorted(self._used, key=lambda frame: (abs(frame - start), frame))
        tracked = self._tracked()
        return [f for f in frames if self._direction_again(f, tracked) is not None]

    def again(self) -> "_Run | None":
        """A run from the first frame that was corrected, over no more than was tracked. The others
        come after it."""
        annotation = self._annotation
        known = {info.id for info in annotation.objects}
        objects = self._whole.objects
        if objects is not None:
            objects &= known
        frame = next(iter(self.corrected()), None)
        if frame is None or objects == frozenset():
            return None
        direction = self._direction_again(frame, self._tracked())
        assert direction is not None  # it is one of the corrected
        self._used[frame] = annotation.record(frame)
        request = replace(
            self._whole,
            start=frame,
            direction=direction,
            until="settled",
            most_frames=None,
            first=min(self._used),
            last=max(self._used),
            objects=objects,
        )
        return _Run(request, self._session, continues=self)

    def _tracked(self) -> frozenset[int]:
        """The objects that a further run would follow."""
        annotation = self._annotation
        found = given_objects(annotation.records.values()) - annotation.locked
        return found if self._whole.objects is None else found & self._whole.objects

    def _direction_again(self, frame: int, tracked: frozenset[int]) -> Direction | None:
        """Away from where the run began. None if the frame has the mask that was tracked from, or
        the next frame does not depend on it, being given too."""
        annotation = self._annotation
        record, used = annotation.record(frame), self._used[frame]
        if not record.status.is_given or (used is not None and record.mask == used.mask):
            return None
        start = frame if self._start is None else self._start
        is_both = self._whole.direction == "both"
        ways = {
            1: frame >= start if is_both else self._whole.direction == "forward",
            -1: frame <= start if is_both else self._whole.direction == "backward",
        }
        forward, backward = (
            ways[way]
            and frame + way in self._used
            and not annotation.record(frame + way).answers_for(tracked)
            for way in (1, -1)
        )
        if forward and backward:
            return "both"
        if forward:
            return "forward"
        return "backward" if backward else None
