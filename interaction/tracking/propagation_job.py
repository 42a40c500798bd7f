"""Run a session's propagation request step by step."""

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from interaction.annotation.annotation import Annotation, given_objects, make_record
from interaction.annotation.edits import new_group
from interaction.annotation.labels import Label
from interaction.annotation.mask_files import decode_labels
from interaction.annotation.mattes import make_matte, mattes_with
from interaction.annotation.overlaps import Stack, among, areas_px, cover, stack_of, without
from interaction.annotation.requests import MemoryUse, Propagated, PropagationRequest, Remembered
from interaction.annotation.types import (
    EMPTY_RECORD,
    Edit,
    FrameRecord,
    Frames,
    FrameStatus,
    MemoryRule,
    MemoryRules,
    PresenceState,
    Signs,
)
from interaction.engines import Networks
from interaction.errors import UserError
from interaction.files import JsonObject, remove_plain
from interaction.tracking.blending import PassStore, blend, joined_signs
from interaction.tracking.brakes import WrongMask
from interaction.tracking.covered import tracked_objects
from interaction.tracking.governor import REHEARSED_FRAMES, Forecast, Workload, forecast
from interaction.tracking.opinion import SecondOpinion
from interaction.tracking.propagation import (
    MOST_REMEMBERED,
    GivenMasks,
    Run,
    RunStep,
    TrackedFrame,
    knows_frames,
    memorize_all,
    nearest_mask,
    propagation_steps,
    runs_to,
)
from interaction.tracking.signs import Watch
from interaction.tracking.stepping import SteppingTrackers
from interaction.tracking.trust import doubt_of
from interaction.tracking.unfinished import (
    Progress,
    RunState,
    SaveTimes,
    UnfinishedRun,
    reading,
    rules_of,
)
from xmem_core.arrays import Labels
from xmem_core.device import used_memory_bytes
from xmem_core.messages import Message
from xmem_core.tracker import Tracker

MEMORY_UNKNOWN: Final = Message(
    "This model does not say which frames it remembers: pinned and excluded ones count only where "
    "you gave their masks."
)

_SETTLED_IOU: Final = 0.98
_MATTE_SHARE: Final = 2  # bytes of kept probabilities for each of a mask: 1.4 to 2.6
# On disk, beside the masks: a frame's entry in the journal and in the state, and in both the signs
# of each of its objects.
_ENTRY_BYTES: Final = 600
_SIGNS_BYTES: Final = 440
_SETTLED_FRAMES: Final = 5  # in a row
_LABELS: Final = {
    "forward": Label("track_forward"),
    "backward": Label("track_backward"),
    "both": Label("track_both"),
}


@dataclass(frozen=True, slots=True)
class ToFiles:
    """Of a run from files to files: its masks change no record, and are written as they are."""

    runs: tuple[Run, ...]  # in place of those that the request leads to
    write: Callable[[TrackedFrame, Labels], None]  # labels (H, W); what it raises ends the run
    made_with: JsonObject  # what must be the same for it to go on, beside what any run is made with
    tally: Callable[[], JsonObject]  # kept with it
    more_bytes: int = 0  # on disk, of each frame, beside its mask


class PropagationJob:
    """`steps()` may be pulled on another thread while the annotation is edited.

    UserError, with the reason, if there is nothing to start from or nowhere to go.
    """

    def __init__(
        self,
        annotation: Annotation,
        video: Frames,
        engines: Networks,
        request: PropagationRequest,
        *,
        reports_memory: Callable[[], bool] = lambda: False,
        place: Path | None = None,
        resumed: UnfinishedRun | None = None,
        replaced: Mapping[int, FrameRecord] = {},
        keeps_probabilities: bool = False,
        files: ToFiles | None = None,
    ) -> None:
        """reports_memory: asked at each step, whether it is to say which frames are remembered.
        place: of the file that an interrupted run is kept in. resumed: such a run, to go on with;
        UserError if what it was made from is not as it was. replaced: what that run's masks took
        the place of. keeps_probabilities: beside the masks, see `interaction.annotation.mattes`."""
        annotation.record(request.start)  # IndexError outside the video
        self._video, self._request = video, request
        self._keeps_probabilities = keeps_probabilities
        # Memory rules are read at every step, so that they also apply to a run in progress.
        self._annotation, self._reports_memory = annotation, reports_memory
        self._place, self._resumed, self._replaced = place, resumed, replaced
        self._rules = annotation.memory if resumed is None else rules_of(resumed, annotation)
        self._obeyed: MemoryRules | None = None if self._rules else self._rules
        self._records = dict(annotation.records)
        self._shape = annotation.height, annotation.width
        self._given = {f: r for f, r in self._records.items() if r.status.is_given}
        self._writable = self._choose_objects(annotation)
        self._files = files
        if files is None:
            self._runs = _runs(request, annotation.frame_count, self._stops())
        else:
            self._runs = files.runs
        self._check_start()
        # A clip's masks are few, and there to be learned from as a whole.
        most = MOST_REMEMBERED if files is None else len(self._given)
        self._masks = GivenMasks(self._shown(), most=most, pinned=self._rules.pinned)
        self._seen = given_objects(self._given.values())
        self._locked, self._keepers = annotation.locked, annotation.keepers
        self._names = {one.id: one.name for one in annotation.objects}
        self._objects = annotation.objects
        self._group = new_group()
        self._trackers = SteppingTrackers(engines, video)
        self._opinion = SecondOpinion(engines, video, self._masks)
        start = self._records.get(self._runs[0].frames[0], EMPTY_RECORD)
        self._seconds = tuple(self._second_passes(run) for run in self._runs)
        self._passes = [
            [run.frames, *(one.frames for one in seconds)]
            for run, seconds in zip(self._runs, self._seconds, strict=True)
        ]
        writes_first = start.mask is None or files is not None
        total = sum(len(one) - 1 for run in self._passes for one in run) + writes_first
        first = self._runs[0].frames[0]
        is_adopted = first not in self._masks and not self._rules.is_excluded(first)
        adopted = decode_labels(start.mask) if start.mask and is_adopted else None
        self._at = Progress(total, adopted, writes_first=writes_first)
        settings = self._trackers.settings
        made_with = {} if files is None else files.made_with
        self._state = RunState(
            annotation, request, self._writable, settings, self._passes, made_with
        )
        self._covered_passes = len(tracked_objects(annotation, request))
        self._unapplied: list[Edit] = []
        self._confirmed: frozenset[int] = frozenset()  # to be remembered before a run is restored
        if resumed is not None:
            self._resume(resumed)

    def workload(self, folder: Path | None = None) -> Workload:
        """folder: of the project that the masks go to."""
        height, width = self._shape
        start = self._records.get(self._runs[0].frames[0], EMPTY_RECORD)
        shown = [r for r in (*self._given.values(), start) if r.mask is not None and r.present]
        objects = {i for record in shown for i in record.present} & self._writable
        remembered = len(self._masks.first_of_each(self._runs)) + self._masks.most
        sizes = [len(record.mask or b"") for record in shown]
        mask_bytes = sum(sizes) // max(1, len(sizes))
        if self._files is not None:
            bytes_per_frame = mask_bytes + self._files.more_bytes
        else:  # each mask is a file and an entry of the history
            bytes_per_frame = (2 + _MATTE_SHARE * self._keeps_probabilities) * mask_bytes
            bytes_per_frame += _ENTRY_BYTES + _SIGNS_BYTES * max(1, len(objects))
        return Workload(
            frames=self._at.total,
            objects=max(1, len(objects)),
            height=height,
            width=width,
            given_frames=min(len(self._given), remembered) or 1,
            bytes_per_frame=bytes_per_frame,
            folder=folder,
            side_px=self._trackers.side_for(self._closeup_mask(), self._writable),
            passes=1 + self._covered_passes,
            has_judge=self._files is None,
        )

    def _closeup_mask(self) -> Labels | None:
        """(H, W) that the box begins round; None if it is not asked for."""
        start = self._runs[0].frames[0]
        mask = self._records.get(start, EMPTY_RECORD).mask
        if not self._request.looks_closer:
            return None
        if mask is not None:
            return decode_labels(mask)
        return nearest_mask(self._masks, start)

    def forecast(self, folder: Path | None = None) -> Forecast:
        """What it will need on this machine. UserError for a device that is not there."""
        return forecast(self.workload(folder), self._trackers.settings)

    def rehearsal(self) -> Generator[None, None, None]:
        """Tracks the first frames, so that later forecasts are from this machine; no mask is
        kept, and this job is of no further use."""
        with closing(self.steps()) as steps:
            for step in steps:
                yield
                if step.done >= REHEARSED_FRAMES:
                    break
        self._trackers.tracker = None  # the forecast that follows has its memory

    @property
    def tracker(self) -> Tracker:
        """That it tracks with. Callers keep no reference to it."""
        return self._trackers.current()

    @property
    def done(self) -> tuple[int, int]:
        """How many frames are tracked, and of how many."""
        return self._at.finished, self._at.total

    @property
    def begins_empty(self) -> bool:
        """Whether the frame that it starts from had no mask before."""
        return self._at.writes_first

    @property
    def so_far(self) -> PropagationRequest | None:
        """The same run over the frames alone that it has come to, before it was interrupted, too;
        None before the first."""
        if self._at.reached is None:
            return None
        first, last = self._at.reached
        return replace(
            self._request, until="end", first=first, last=last, most_frames=None, blends=False
        )

    def edit(self, frame: int, old: FrameRecord, new: FrameRecord) -> Edit:
        """A part of the run's step of the history."""
        return self._make_edit({frame: old}, {frame: new})

    def finish(self) -> None:
        """The run is over: nothing is kept to go on from."""
        if self._place is not None:
            remove_plain(self._place)

    def steps(self, *, is_followed: bool = False) -> Generator[Propagated, None, None]:
        """Now and then, and when it is closed before its end, it keeps in `place` what the run can
        go on from. is_followed: at its end, too, until `finish`. From files to files, what was
        kept last stays until then."""
        start = self._runs[0].frames[0]
        if self._trackers.settings.fits_memory and self._resumed is None:
            expected = self.forecast()
            self._trackers.take_steps(expected.steps_down)
            if expected.changes:
                remark = " ".join(expected.warnings)
                yield Propagated(None, start, 0, self._at.total, None, remark)
        due = SaveTimes()
        try:
            with closing(self._steps()) as steps:
                for step in steps:
                    yield step
                    if due.is_now:  # a power cut or a kill gives no other chance
                        with due.timed():
                            self._keep()
            if is_followed:
                self._keep()
        except GeneratorExit:
            self._keep()
            raise
        finally:
            self._trackers.note_pace()
        if not is_followed and self._files is None:
            self.finish()

    @property
    def _can_resume(self) -> bool:
        """Whether `_keep` has something to keep, and where."""
        tracker = self._trackers.tracker
        if self._place is None or tracker is None:
            return False
        return self._state.is_kept(self._at, tracker)

    def _keep(self) -> None:
        if self._place is not None:
            is_obeyed = self._obeyed == self._rules
            tally = dict if self._files is None else self._files.tally
            self._state.write(
                self._place, self._at, self._trackers, self._rules, tally, are_followed=is_obeyed
            )

    def _steps(self) -> Generator[Propagated, None, None]:
        at = self._at
        if self._resumed is None:
            closeup_mask = self._closeup_mask()
            if closeup_mask is not None:
                self._trackers.look_closer(closeup_mask, self._writable)
            if self._files is None:
                self.finish()  # another run's
        else:
            for edit in self._unapplied:
                [frame] = edit.frames
                yield self._step(edit, frame, None)
        for index in range(at.run, len(self._runs)):
            if at.second is None:
                yield from self._first_pass(index)
            seconds = self._seconds[index]
            for number in range(at.second or 0, len(seconds)):
                yield from self._blend(index, number)
            at.end_run()

    def _first_pass(self, index: int) -> Generator[Propagated, None, None]:
        run, at, start = self._runs[index], self._at, self._runs[0].frames[0]
        writes_first = index == 0 and at.writes_first
        if not at.done:
            at.begin(index, None, Watch([*self._masks, start]))
            at.adopted, at.passed = at.start_labels, PassStore()
        watch, brakes, passed = at.watch, at.brakes, at.passed
        with closing(self._steps_of(run)) as steps:
            for step in steps:
                if step.result is None:
                    yield self._without_result(step)
                    continue
                labels = step.result.prediction.labels()
                if self._files is not None:
                    if step.frame != start or writes_first:
                        self._write(self._files, step.result, labels)
                    at.note(step, None, labels)
                    yield self._step(None, step.frame, None)
                    continue
                if at.start_labels is None:
                    at.start_labels = labels  # for the other way
                edit, remark = None, None
                signs = watch.signs(step.result, self._opinions(step.result, labels))
                cut = None if step.result.is_damaged else brakes.cut(watch)
                wrong = None if step.result.is_damaged else brakes.mask(watch, self._names)
                if step.result.is_given:
                    wrong = None
                if step.result.is_damaged:
                    remark = Message(
                        "Frame {frame} cannot be decoded. It keeps the mask of the frame "
                        "before it, marked as doubtful.",
                        frame=step.frame,
                    )
                else:
                    labels = self._without_specks(step.result, labels)
                if step.frame != start or writes_first:
                    edit, is_settled = self._edit(step.result, labels, signs)
                    at.settled = at.settled + 1 if is_settled else 0
                    at.finished += 1
                is_over = self._request.until == "settled" and at.settled >= _SETTLED_FRAMES
                if is_over:
                    remark = Message("The masks agree with the earlier ones again.")
                if any(step.frame in second.frames for second in self._seconds[index]):
                    passed.put(step.frame, step.result.prediction, signs)
                    if edit is not None:  # what the second pass starts from
                        self._records[step.frame] = edit.after[step.frame]
                at.note(step, edit, labels)
                if cut is not None:
                    yield self._step(None, step.frame, None, cut=cut)
                yield self._step(edit, step.frame, remark, step.result, wrong=wrong)
                if is_over:
                    break
                self._trackers.follow_limits()
                yield from self._follow_rules(step.frame, run.frames.step)
        at.end(second=0)

    def _write(self, files: ToFiles, result: TrackedFrame, labels: Labels) -> None:
        if self._at.reached is None:  # from here on it can go on, also if the power goes
            self._at.arrive(result.frame)
            if self._can_resume:
                self._keep()
            else:
                self.finish()  # another run's, whose masks are replaced from here on
        files.write(result, labels)
        self._at.finished += 1

    def _without_result(self, step: RunStep) -> Propagated:
        if step.remark is not None:
            self._at.is_new = False  # the next tracker knows of it only from the next frame on
        return self._step(None, step.frame, step.remark, is_memorizing=step.is_memorizing)

    def _steps_of(self, run: Run) -> Generator[RunStep, None, None]:
        """From the pass's beginning, or from where it was left."""
        at = self._at
        return propagation_steps(
            self._trackers,
            self._video,
            self._masks,
            run.frames,
            self._memorize,
            at.done,
            adopted=at.adopted,
            present=self._masks.present,
            before=at.labels if at.done else None,
            absent=self._absent,
            excluded=lambda frame: self._rules.is_excluded(frame),
            restore=self._restore if at.done else None,
        )

    def _blend(self, index: int, number: int) -> Generator[Propagated, None, None]:
        """The pass back from a given frame; each mask is that of both passes."""
        second, at = self._seconds[index][number], self._at
        given, length = second.frames[0], len(second.frames)
        if not at.done:
            at.begin(index, number, Watch(list(self._masks)))
        watch, passed = at.watch, at.passed
        with closing(self._steps_of(second)) as steps:
            for step in steps:
                if step.result is None:
                    yield self._without_result(step)
                    continue
                edit = None
                labels = step.result.prediction.labels()
                signs = watch.signs(step.result, self._opinions(step.result, labels))
                found = passed.take(step.frame)
                if step.frame != given:
                    at.finished += 1
                if found is not None and not step.result.is_damaged and step.frame != given:
                    share = 1 - abs(step.frame - given) / length
                    first, its_signs = found
                    both, apart = blend(first, step.result.prediction, share)
                    signs = joined_signs(its_signs, signs, share, apart)
                    result = replace(step.result, prediction=both)
                    labels = self._without_specks(result, both.labels())
                    edit, _ = self._edit(result, labels, signs)
                at.note(step, edit, labels)
                yield self._step(edit, step.frame, None)
                self._trackers.follow_limits()
                yield from self._follow_rules(step.frame, second.frames.step)
        at.end(second=number + 1)

    def _step(
        self,
        edit: Edit | None,
        frame: int,
        remark: str | None,
        result: TrackedFrame | None = None,
        *,
        cut: Message | None = None,
        wrong: WrongMask | None = None,
        is_memorizing: bool = False,
    ) -> Propagated:
        tracker = self._trackers.tracker
        memory, remembered = None, None
        if tracker is not None:
            memory = MemoryUse(*tracker.memory_elements, used_memory_bytes(tracker.device))
            if self._reports_memory():
                remembered = remembered_by(tracker)
        box = None if result is None or result.prediction.share == 1 else result.prediction.seen
        gone = self._at.collapse.proposals
        return Propagated(
            edit,
            frame,
            self._at.finished,
            self._at.total,
            memory,
            remark,
            box,
            brake=cut if wrong is None else wrong.reason,
            is_cut=cut is not None,
            wrong_object=0 if wrong is None else wrong.object_id,
            absences=gone,
            remembered=remembered,
            so_far=self.so_far,
            can_resume=self._can_resume,
            is_memorizing=is_memorizing,
        )

    def _absent(self, frame: int) -> frozenset[int]:
        """The objects that the annotator marked absent from the frame."""
        return frozenset(
            one.id for one in self._objects if one.state_at(frame) is PresenceState.ABSENT
        )

    def _opinions(self, result: TrackedFrame, labels: Labels) -> dict[int, tuple[float, float]]:
        """labels: (H, W) what was tracked."""
        if result.is_given or result.is_damaged:
            return {}
        return self._opinion.on(
            result.frame, labels, self._writable & set(result.prediction.objects)
        )

    def _without_specks(self, result: TrackedFrame, labels: Labels) -> Labels:
        """labels (H, W), without what is left of objects that have shrunk to specks."""
        frame = result.frame
        watched = (self._writable & set(result.prediction.objects)) - self._absent(frame)
        record = self._records.get(frame, EMPTY_RECORD)
        given = watched if record.answers_for(watched) else record.given
        areas = areas_px(labels)
        gone = self._at.collapse.note(frame, {i: int(areas[i]) for i in watched}, given)
        if not gone:
            return labels
        return np.where(among(labels, gone), 0, labels).astype(np.uint8)

    # Before the run

    def _choose_objects(self, annotation: Annotation) -> frozenset[int]:
        known = frozenset(one.id for one in annotation.objects)
        wanted = self._request.objects
        if wanted is not None and not wanted <= known:
            raise ValueError(f"objects {sorted(wanted - known)} are not in the annotation")
        chosen = known if wanted is None else wanted
        if chosen and chosen <= annotation.locked:
            raise UserError(
                "Every object that would be tracked is locked.\n\nUnlock one, then track again."
            )
        return chosen - annotation.locked

    def _stops(self) -> list[int]:
        """The frames that a run which does not go on to the end ends before. To settle, it goes
        through one that holds another object's correction alone."""
        if self._request.until != "settled":
            return list(self._given)
        tracked = self._writable & given_objects(self._given.values())
        return [frame for frame, record in self._given.items() if record.answers_for(tracked)]

    def _second_passes(self, run: Run) -> tuple[Run, ...]:
        """Back from each remembered frame in, or just behind, the run to the one before it."""
        is_cut = self._request.until in ("halfway", "settled")
        # Close-ups of two passes are of different parts of the picture.
        if not self._request.blends or is_cut or self._request.looks_closer:
            return ()
        first, way = run.frames[0], run.frames.step
        reached = range(first + way, run.frames.stop + way, way)
        stops = [frame for frame in reached if frame in self._masks]
        gaps = zip([first, *stops], stops, strict=False)
        return tuple(Run(range(far, near, -way)) for near, far in gaps if abs(far - near) > 1)

    def _check_start(self) -> None:
        first = self._runs[0].frames[0]
        record = self._records.get(first, EMPTY_RECORD)
        if not record.present and not any(one.present for one in self._given.values()):
            raise UserError(
                "There is no mask to start from.\n\n"
                "Click or paint an object on this frame first, then track it."
            )
        is_seen = record.present and not self._rules.is_excluded(first)
        if not is_seen and not any(one.present for one in self._shown().values()):
            raise UserError(
                "Every mask to start from is on a frame that is kept out of memory.\n\n"
                "Let one of them into memory again, or start from another frame."
            )

    # An interrupted run

    def _resume(self, resumed: UnfinishedRun) -> None:
        """UserError if the masks or the settings are others by now, or for what no job wrote."""
        at, about = self._at, resumed.about
        known = [*self._masks]
        with reading():
            edits, self._unapplied = self._state.edits_of(resumed, self._make_edit)
            if about["at"][1] is None:
                known.append(self._runs[0].frames[0])
            at.restore(resumed, self._passes, self._shape, known)
            steps_down, closeup_side = int(about["steps_down"]), about["closeup_side"]
            side = None if closeup_side is None else int(closeup_side)
            self._obeyed = self._rules if about["is_obeyed"] else None
            if at.done:
                self._confirmed = frozenset(map(int, about["confirmed"]))
            if not self._confirmed <= self._masks.keys():
                raise ValueError("it remembers frames that were not given")
        at.newest.extend(edits)
        for edit in self._unapplied:
            self._records |= edit.after
        self._trackers.take_steps(steps_down)
        mask = self._closeup_mask()
        if mask is not None and side is not None:
            self._trackers.look_closer(mask, self._writable, side=side)

    def _restore(self, tracker: Tracker) -> None:
        """Once the frames are memorised that were so then."""
        assert self._resumed is not None
        with reading():
            tracker.restore_run(self._resumed.part("tracker"))
        at = self._at
        way = self._passes[at.run][0 if at.second is None else 1 + at.second].step
        for _ in self._follow_rules(at.frame, way):
            pass
        if at.frame in self._masks:
            for _ in self._memorize(tracker, at.frame, way):
                pass

    # Rules of memory

    def _shown(self) -> dict[int, FrameRecord]:
        """What goes into permanent memory: given frames, and pinned ones as if they were given for
        what is on them, without those that are excluded."""
        shown = {f: r for f, r in self._given.items() if not self._rules.is_excluded(f)}
        for frame in self._rules.pinned:
            record = self._annotation.record(frame)
            if frame not in shown and record.present:
                shown[frame] = replace(
                    record, status=FrameStatus.CORRECTED, given=record.present, prompts=None
                )
        return shown

    def _follow_rules(self, frame: int, way: int) -> Generator[Propagated, None, None]:
        """Does to memory, before the next frame, the rules that changed since the last; once
        something else is left to track from."""
        tracker, rules = self._trackers.tracker, self._annotation.memory
        if rules == self._obeyed or tracker is None:
            return
        is_new, self._rules = rules != self._rules or self._obeyed is None, rules
        if is_new:
            self._masks.change(self._shown(), rules.pinned)
        knows = knows_frames(tracker)
        parts = tracker.remembered() if knows else []
        tracked = {one.frame for one in parts if one.part != "permanent"}
        gone = {one for one in tracked if one >= 0 and rules.is_excluded(one)}
        if gone == tracked and not any(self._masks.present.values()):
            if is_new:
                remark = Message("Memory keeps what is excluded until it has something else.")
                yield self._step(None, frame, remark)
            return
        self._obeyed = rules
        for _ in self._memorize(tracker, frame, way, anew=True):
            pass
        if knows:
            tracker.evict(gone)
        elif rules:
            yield self._step(None, frame, MEMORY_UNKNOWN)

    # The run

    def _memorized_objects(self, frame: int) -> frozenset[int]:
        """The objects that a given frame puts into memory: those that it labels, and those
        that are marked absent there, of which it remembers that they have no pixel."""
        return self._masks.labelled_objects(frame) | (self._absent(frame) & self._seen)

    def _memorize(
        self, tracker: Tracker, frame: int, way: int, *, anew: bool = False
    ) -> Generator[int, None, None]:
        """Puts the given frames that matter at `frame` into permanent memory, and takes those out
        that no longer do. anew: also where all of them were there before."""
        masks = self._masks
        confirmed = set(tracker.confirmed_frames)
        if self._confirmed:
            # Where the device is too full for them, the run is not restored, but begins again.
            wanted, self._confirmed = confirmed | self._confirmed, frozenset()
        elif confirmed and len(masks) <= masks.most and not anew:
            return  # all of them are there
        else:
            wanted = set(masks.around(frame, way)) | masks.first_of_each(self._runs)
        for other in confirmed - wanted:
            tracker.forget(other)
        missing = sorted(wanted - confirmed)
        labelled_objects = {other: self._memorized_objects(other) for other in missing}
        given = {other: masks[other] for other in missing}
        yield from memorize_all(tracker, self._video, given, labelled_objects=labelled_objects)

    def _edit(
        self, result: TrackedFrame, labels: Labels, signs: tuple[Signs, ...]
    ) -> tuple[Edit | None, bool]:
        """The edit, None if nothing changes, and whether the masks of before are the same."""
        old = self._records.get(result.frame, EMPTY_RECORD)
        earlier = self._replaced.get(result.frame, old)  # if the run has been here before
        tracked = self._writable & set(result.prediction.objects)
        is_pinned = old.present and self._rules.at(result.frame) is MemoryRule.PINNED
        if old.answers_for(tracked) or is_pinned:
            return None, False
        tracked -= old.given
        stack = stack_of(old, *self._shape)
        before, after = stack[0], composed(stack, labels, tracked, self._keepers)
        compared = before if earlier is old else stack_of(earlier, *self._shape)[0]
        is_same = earlier.status is not FrameStatus.EMPTY and agrees(compared, after[0], tracked)
        others = tuple(one for one in old.signs if one.object_id not in tracked)
        signs = tuple(one for one in signs if one.object_id in tracked) + others
        if old.status.is_given:  # beside what was corrected by hand
            if np.array_equal(before, after[0]):
                return None, is_same
            record = make_record(after, old.status, given=old.given, signs=signs)
        else:
            # People are led to what could not be decoded.
            doubt = 1.0 if result.is_damaged else doubt_of(signs)
            record = make_record(after, FrameStatus.TRACKED, doubt=doubt, signs=signs)
        record = self._with_mattes(record, old, result, tracked)
        keeps_more = self._keeps_probabilities and record.mattes != old.mattes
        if record == old and not keeps_more:
            return None, is_same
        return self._make_edit({result.frame: old}, {result.frame: record}), is_same

    def _make_edit(
        self, before: Mapping[int, FrameRecord], after: Mapping[int, FrameRecord]
    ) -> Edit:
        return Edit(
            _LABELS[self._request.direction],
            before,
            after,
            group=self._group,
            cause=self._request,
            locked=self._locked,
        )

    def _with_mattes(
        self, record: FrameRecord, old: FrameRecord, result: TrackedFrame, tracked: frozenset[int]
    ) -> FrameRecord:
        """With what is kept of objects that are not tracked and, on request, of those that are."""
        new = []
        if self._keeps_probabilities and not result.is_damaged:
            assert record.mask is not None  # it was made of labels
            prediction = result.prediction
            own = prediction.small.argmax(dim=0).cpu().numpy()
            for channel, one in enumerate(prediction.objects, start=1):
                if one in tracked & record.present:
                    small = prediction.small[channel].float().cpu().numpy()
                    seen = prediction.seen
                    new.append(make_matte(one, small, own == channel, record.mask, seen))
        mattes = mattes_with(old, tuple(new), tracked)
        return replace(record, mattes=tuple(m for m in mattes if m.object_id in record.present))


def composed(
    before: Stack, tracked: Labels, objects: Collection[int], keepers: Collection[int]
) -> Stack:
    """`before` with `objects` as in `tracked`, (H, W); everything else keeps its pixels, and what
    is covered of it if it is one of `keepers`."""
    rest = without(before, objects)
    is_kept = ~among(before[0], objects) & (before[0] > 0)
    mask = rest[0].copy()
    np.copyto(mask, tracked, where=~is_kept & among(tracked, objects))
    return cover(rest, mask, keepers)


def agrees(before: Labels, after: Labels, objects: Collection[int]) -> bool:
    """Whether each of `objects` is the same in both, up to an IoU of 0.98; absent from both is."""
    if np.array_equal(before, after):
        return True
    ours = sorted(objects)
    both = areas_px(before, before == after)[ours]
    union = areas_px(before)[ours] + areas_px(after)[ours] - both
    return bool((both >= _SETTLED_IOU * union).all())


def remembered_by(tracker: Tracker) -> Remembered:
    """What a tracker tells of its memory."""
    if not knows_frames(tracker):
        return Remembered((), is_known=False)
    return Remembered(tuple(tracker.remembered()))


def _runs(request: PropagationRequest, frame_count: int, stops: Collection[int]) -> tuple[Run, ...]:
    """One run each way, both beginning with the frame to start from, which keeps its mask. stops:
    the frames that one which does not go on to the end ends before."""
    first = 0 if request.first is None else max(0, request.first)
    last = frame_count - 1 if request.last is None else min(request.last, frame_count - 1)
    if first > last:
        raise UserError("The range holds no frame.\n\nMove its in and out points.")
    start = request.start
    ways = {"forward": (1,), "backward": (-1,), "both": (1, -1)}[request.direction]
    # A start outside the range moves to its near edge, unless it is travelling away from it.
    is_away = {"forward": start > last, "backward": start < first, "both": False}
    if is_away[request.direction]:
        raise UserError(
            "The range is behind this frame.\n\nGo to a frame in the range, or clear the range."
        )
    start = min(max(start, first), last)
    ends, reasons = [], []
    for way in ways:
        end = last if way > 0 else first
        reason = Message("This is the last frame to be tracked.")
        if way < 0:
            reason = Message("This is the first frame to be tracked.")
        if request.most_frames is not None:
            end = _nearer(start, end, start + way * request.most_frames)
        if request.until != "end":
            ahead = [frame for frame in stops if (frame - start) * way > 0]
            if ahead:
                met = min(ahead) if way > 0 else max(ahead)
                stop = met - way
                if request.until == "halfway":
                    stop = start + way * (abs(met - start) // 2)
                if stop == start and end != start:
                    reason = Message("The next frame has a mask that you made or confirmed.")
                end = _nearer(start, end, stop)
        ends.append(end)
        reasons.append(reason)
    runs = runs_to(start, ends)
    if not runs:
        raise UserError(
            "There is nothing to track. {reason}\n\n"
            "Go to another frame, or choose another direction or range.",
            reason=reasons[0],
        )
    return runs


def _nearer(start: int, first: int, second: int) -> int:
    """Of two frames on the same side of `start`, the one met first."""
    return min(first, second, key=lambda frame: abs(frame - start))
