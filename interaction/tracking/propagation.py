"""Track frames one after another from the given masks."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch

from interaction.annotation.mask_files import decode_labels
from interaction.annotation.overlaps import among, ids_in
from interaction.annotation.requests import Direction
from interaction.annotation.types import FrameRecord, Frames, FrameStatus
from interaction.errors import DamagedFrameError, EngineMemoryError, UserError
from interaction.tracking.stepping import SteppingTrackers
from xmem_core.arrays import Frame, Labels
from xmem_core.closeup import Closeup
from xmem_core.device import is_out_of_memory
from xmem_core.pictures import EncodedFrame, Prediction, one_hot
from xmem_core.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Run:
    """One way through the video: frames in the order of travel."""

    frames: range
    # The first frame only sets the run going; its mask was given in another run.
    is_first_silent: bool = False

    @property
    def results(self) -> range:
        """The frames that get a mask from this run."""
        return self.frames[1:] if self.is_first_silent else self.frames


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """The result for one frame."""

    frame: int
    prediction: Prediction
    is_given: bool  # the annotator's own mask, at least for some of the objects
    is_damaged: bool = False  # it cannot be decoded: the mask of the frame before it, or given
    picture: EncodedFrame | None = None  # None of a damaged frame


@dataclass(frozen=True, slots=True)
class Position:
    """How far a propagation has come: enough, with the tracker's state, to go on."""

    run: int = 0  # index into the plan
    step: int = 0  # frames of that run already visited


def plan(
    frame_count: int,
    annotated: Sequence[int],
    direction: Direction = "forward",
    start: int | None = None,
    end: int | None = None,
) -> tuple[Run, ...]:
    """The runs that give every frame from `start` to `end`, both included, a mask.

    Without `start`, a forward propagation begins at the first annotated frame; without `end`, a
    backward one begins at the last. `both` goes forward from the first annotated frame of the
    range, then backward from it. UserError for a range outside the video or without frames.
    """
    for name, frame in (("start", start), ("end", end)):
        if frame is not None and not 0 <= frame < frame_count:
            raise UserError(
                "--{name} {frame} lies outside the video.\n\nIts frames are numbered 0 to {last}.",
                name=name,
                frame=frame,
                last=frame_count - 1,
            )
    if not annotated:
        raise UserError("No frame has a mask to start from.\n\nGive a mask for at least one frame.")
    first = (min(annotated) if direction == "forward" else 0) if start is None else start
    last = (max(annotated) if direction == "backward" else frame_count - 1) if end is None else end
    if first > last:
        raise UserError(
            "There is no frame to track from {first} to {last}.\n\n"
            "Check --start and --end, or choose another --direction.",
            first=first,
            last=last,
        )
    anchor = min((frame for frame in annotated if first <= frame <= last), default=first)
    begin = {"forward": first, "backward": last, "both": anchor}[direction]
    ends = {"forward": (last,), "backward": (first,), "both": (last, first)}[direction]
    return runs_to(begin, ends) or (Run(range(begin, begin + 1)),)


def runs_to(start: int, ends: Iterable[int]) -> tuple[Run, ...]:
    """A run from `start` to each of `ends` but `start` itself. Only the first of them gives
    `start` a mask."""
    runs: list[Run] = []
    for end in ends:
        way = 1 if end > start else -1
        if end != start:
            runs.append(Run(range(start, end + way, way), is_first_silent=bool(runs)))
    return tuple(runs)


def memorize_all(
    tracker: Tracker,
    video: Frames,
    masks: Mapping[int, Labels],
    *,
    labelled_objects: Mapping[int, Collection[int]] | None = None,
) -> Generator[int, None, None]:
    """Puts every annotated frame into the tracker's permanent memory; yields each frame's index.

    labelled_objects: those that each mask states the presence or absence of, by default
    `stated_objects`; what is in a mask always counts. Frames whose mask is empty before any object
    has appeared teach nothing and are left out, and so are frames that cannot be decoded, unless
    there are no others: then DamagedFrameError. EngineMemoryError if the device is full.
    """
    if labelled_objects is None:
        labelled_objects = stated_objects(masks)
    damaged: DamagedFrameError | None = None
    for frame in sorted(masks):
        stated = ids_in(masks[frame]) | set(labelled_objects[frame])
        if stated:
            try:
                with _naming_a_full_device(tracker, frame):
                    tracker.memorize(frame, video[frame], masks[frame], sorted(stated))
            except DamagedFrameError as error:
                damaged = error
        yield frame
    if damaged is not None and not tracker.confirmed_frames:
        raise damaged


def stated_objects(
    masks: Mapping[int, Labels], *, is_backward: bool = False, are_partial: bool = False
) -> dict[int, frozenset[int]]:
    """By frame, the objects that a mask is the truth of: those known by then in the direction of
    travel; one that is missing from it is absent. are_partial: those in it, and the others are
    tracked on, as in YouTube-VOS."""
    known: frozenset[int] = frozenset()
    stated = {}
    for frame in sorted(masks, reverse=is_backward):
        present = ids_in(masks[frame])
        known |= present
        stated[frame] = present if are_partial else known
    return stated


def never(_frame: int) -> bool:
    """No frame is kept out of memory."""
    return False


def nowhere(_frame: int) -> Collection[int]:
    """No object is marked absent on the frame."""
    return ()


def propagate(
    tracker: Tracker,
    video: Frames,
    masks: Mapping[int, Labels],
    runs: Sequence[Run],
    position: Position = Position(),
    *,
    keys_at_a_time: int = 1,
    adopted: Labels | None = None,
    present: Mapping[int, Collection[int]] | None = None,
    before: Labels | None = None,
    absent: Callable[[int], Collection[int]] = nowhere,
    excluded: Callable[[int], bool] = never,
) -> Generator[tuple[TrackedFrame | None, Position], None, None]:
    """Visits the frames of `runs` in order, from `position` on.

    The annotated frames must be in the tracker's permanent memory. An object is looked for from
    the first frame, in the direction of travel, whose mask has it; objects of later masks are not
    guessed at before, unless no mask has come yet. adopted: (H, W) the mask of every run's first
    frame where that is not annotated, an earlier result to go on from. present: the objects in
    each mask, where that is known. before: (H, W) the mask of the frame visited before `position`.
    absent: the objects that have no pixel on a frame; the first such frame of a run is remembered.
    excluded: whether a frame is kept out of working and long-term memory.

    Yields each frame's result (None for a frame that only sets a run going) and the position after
    it. A frame that cannot be decoded is passed over: its result is its own mask where there is
    one, else the mask of the frame before it. EngineMemoryError if the device is full.
    """
    last = None if before is None else _prediction_of(before)
    for run_index in range(position.run, len(runs)):
        run, step = runs[run_index], position.step if run_index == position.run else 0
        if step == 0:
            tracker.begin()
            last = None
            _look_at_start(tracker, masks, run, adopted)
        appearances = _Appearances(tracker, masks, run, present, adopted)
        unadopted = adopted if step == 0 else None  # until a frame of it can be decoded
        for done, frame, picture in _encoded(tracker, video, run.frames, step, keys_at_a_time):
            is_first = frame == run.frames[0]
            if picture is None:
                own = masks.get(frame, adopted if is_first else None)
                result = _undecodable(frame, masks, last if own is None else _prediction_of(own))
            else:
                result = _visit(
                    tracker,
                    frame,
                    picture,
                    appearances.sought(frame, unadopted),
                    # An empty mask is never memorised, unless other objects are there already.
                    is_empty=frame in masks and not appearances.by(frame),
                    is_last=frame == run.frames[-1],
                    adopted=unadopted,
                    absent=frozenset(absent(frame)),
                    absent_before=frozenset() if is_first else absent(frame - run.frames.step),
                    is_excluded=excluded(frame),
                )
                unadopted = None
            last = result.prediction
            shown = None if run.is_first_silent and is_first else result
            yield shown, Position(run_index, done + 1)


def _undecodable(frame: int, masks: Mapping[int, Labels], mask: Prediction | None) -> TrackedFrame:
    """mask: in place of the frame's own; None before any mask."""
    if mask is None:
        mask = _prediction_of(np.zeros_like(next(iter(masks.values()))))
    return TrackedFrame(frame, mask, frame in masks, is_damaged=True)


def _look_at_start(
    tracker: Tracker, masks: Mapping[int, Labels], run: Run, adopted: Labels | None
) -> None:
    """Where a close-up begins: at the mask that the run goes on from, or at the nearest one."""
    closeup = _closeup_of(tracker)
    if closeup is not None and (adopted is not None or masks):
        closeup.look_at(nearest_mask(masks, run.frames[0]) if adopted is None else adopted)


def nearest_mask(masks: Mapping[int, Labels], frame: int) -> Labels:
    """(H, W) of the frame nearest to `frame` that has one."""
    return masks[min(masks, key=lambda other: abs(other - frame))]


def _encoded(
    tracker: Tracker, video: Frames, frames: range, step: int, keys_at_a_time: int
) -> Iterator[tuple[int, int, EncodedFrame | None]]:
    """Position in `frames`, frame and what `_encode` made of it, from `step` on.

    Batches begin at multiples of their size also after a resumption: the numbers a GPU gives for
    one frame can depend on the frames beside it.
    """
    for index in range(step - step % keys_at_a_time, len(frames), keys_at_a_time):
        batch = frames[index : index + keys_at_a_time]
        encoded = _encode(tracker, video, batch)
        for done, (frame, picture) in enumerate(zip(batch, encoded, strict=True), start=index):
            if done >= step:
                yield done, frame, picture


@dataclass(frozen=True, slots=True)
class RunStep:
    """One of `propagation_steps`: a visited frame; or a given mask that was put into memory; or
    smaller settings from here on."""

    frame: int  # reached, or about to be
    done: int  # frames of the run that are visited
    result: TrackedFrame | None = None
    is_memorizing: bool = False
    remark: str | None = None  # which settings are smaller


def propagation_steps(
    trackers: SteppingTrackers,
    video: Frames,
    masks: Mapping[int, Labels],
    frames: range,
    memorize: Callable[[Tracker, int, int], Iterable[int]],
    done: int = 0,
    *,
    adopted: Labels | None = None,
    present: Mapping[int, Collection[int]] | None = None,
    before: Labels | None = None,
    absent: Callable[[int], Collection[int]] = nowhere,
    excluded: Callable[[int], bool] = never,
    restore: Callable[[Tracker], None] | None = None,
) -> Generator[RunStep, None, None]:
    """`propagate` through the frames of one run, from `done` on, with the given masks put into
    memory first; on a full device it goes on with smaller settings from the last finished frame.

    memorize: puts the masks that matter at a frame, on the way +1 or -1, into the tracker's
    permanent memory where they are missing, and yields their frames. restore: puts into a tracker,
    which remembers the given masks, what it held at `done`, to go on from there exactly. The
    others: see `propagate`. EngineMemoryError if no smaller settings are left.
    """
    rest, offset, start = Run(frames), 0, adopted
    last: Prediction | None = None
    while True:
        try:
            yield from _memorized(memorize, trackers, frames, done)
            if restore is not None:
                restore(trackers.current())
            # The generator alone keeps the tracker, which is freed when its device is full.
            results = propagate(
                trackers.current(),
                video,
                masks,
                (rest,),
                Position(0, 0 if rest.is_first_silent else done),
                keys_at_a_time=trackers.keys_at_a_time,
                adopted=start,
                present=present,
                before=before,
                absent=absent,
                excluded=excluded,
            )
            with closing(results):
                for result, after in results:
                    done = after.step + offset
                    last = last if result is None else result.prediction
                    yield RunStep(frames[done - 1], done, result)
                    if frames[done - 1] in masks:
                        yield from _memorized(memorize, trackers, frames, done)
                    if done < len(frames):
                        trackers.check(frames[done])
            return
        except (EngineMemoryError, RuntimeError, MemoryError) as error:
            remark = trackers.step_down(error, frames[min(done, len(frames) - 1)])
        if done:  # begin again with the last finished frame, whose mask is there
            offset, restore = done - 1, None
            rest = Run(frames[offset:], is_first_silent=True)
            start = last.labels() if last is not None else before if offset else start
        yield RunStep(frames[offset], done, remark=remark)


def _memorized(
    memorize: Callable[[Tracker, int, int], Iterable[int]],
    trackers: SteppingTrackers,
    frames: range,
    done: int,
) -> Generator[RunStep, None, None]:
    """A step for each mask that `memorize` puts into memory before the frame after `done`."""
    ahead = frames[max(0, done - 1)]
    for _ in memorize(trackers.current(), ahead, frames.step):
        yield RunStep(ahead, done, is_memorizing=True)


def _closeup_of(tracker: Tracker) -> Closeup | None:
    """Trackers of plug-ins have none."""
    return getattr(tracker, "closeup", None)


def knows_frames(tracker: Tracker) -> bool:
    """Whether it says which frames it remembers and can leave them out; those of plug-ins need
    not."""
    return bool(getattr(tracker, "knows_frames", False))


def _encode(tracker: Tracker, video: Frames, batch: Sequence[int]) -> list[EncodedFrame | None]:
    """None for a frame that cannot be decoded."""
    frames: dict[int, Frame] = {}
    with tracker.times.measure("video"):
        for frame in batch:
            with suppress(DamagedFrameError):
                frames[frame] = video[frame]
    tracker.times.note_work("video", sum(picture[..., 0].size for picture in frames.values()))
    if not frames:
        return [None] * len(batch)
    with _naming_a_full_device(tracker, batch[0]):
        if _closeup_of(tracker) is None:
            pictures = tracker.encode(list(frames.values()))
        else:
            pictures = tracker.encode(list(frames.values()), list(frames))
        encoded = dict(zip(frames, pictures, strict=True))
    return [encoded.get(frame) for frame in batch]


def _prediction_of(labels: Labels) -> Prediction:
    """Of a mask (H, W) that no tracker made: certain of every pixel."""
    objects = tuple(sorted(ids_in(labels)))
    masks = one_hot(labels, objects)
    background = 1 - masks.sum(dim=0, keepdim=True)
    height, width = labels.shape
    return Prediction(objects, torch.cat([background, masks]), (height, width))


def _visit(
    tracker: Tracker,
    frame: int,
    picture: EncodedFrame,
    objects: tuple[int, ...],
    *,
    is_empty: bool,
    is_last: bool,
    adopted: Labels | None,
    absent: frozenset[int],
    absent_before: Collection[int],
    is_excluded: bool,
) -> TrackedFrame:
    track, adopt = tracker.track, tracker.adopt
    if knows_frames(tracker):
        track = partial(track, index=frame, memorizes=not is_excluded)
        adopt = partial(adopt, index=frame)
    # Excluded or not, there must be something to track from.
    has_start = bool(tracker.confirmed_frames)
    with _naming_a_full_device(tracker, frame):
        is_confirmed = frame in tracker.confirmed_frames
        if is_confirmed:
            prediction = tracker.revisit(frame, picture, objects)
        elif is_empty or not objects:
            prediction = _prediction_of(np.zeros(picture.size.source, np.uint8))
        elif adopted is not None and not (is_excluded and has_start):
            prediction = adopt(picture, one_hot(adopted, objects), objects)
        else:
            remembers = bool(absent - set(absent_before))
            prediction = track(
                picture, objects, is_last=is_last, absent=absent, remembers=remembers
            )
        return TrackedFrame(frame, prediction, is_confirmed or is_empty, picture=picture)


@contextmanager
def _naming_a_full_device(tracker: Tracker, frame: int) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise EngineMemoryError(str(tracker.device), frame) from None


class _Appearances:
    """Where each object is first seen in a run's direction of travel, on or off its own frames."""

    def __init__(
        self,
        tracker: Tracker,
        masks: Mapping[int, Labels],
        run: Run,
        present: Mapping[int, Collection[int]] | None,
        adopted: Labels | None,
    ) -> None:
        self._tracker, self._way = tracker, run.frames.step
        self._first: dict[int, int] = {}
        known, start = set(tracker.objects), run.frames[0]
        for frame in sorted(masks, reverse=self._way < 0):
            for one in ids_in(masks[frame]) if present is None else present[frame]:
                if one in known:
                    self._first.setdefault(one, frame)
        for one in () if adopted is None else ids_in(adopted):
            if (self._first.get(one, start) - start) * self._way >= 0:  # it would come later
                self._first[one] = start

    def by(self, frame: int) -> list[int]:
        """The objects whose first mask has come by `frame`."""
        return [i for i, first in self._first.items() if (frame - first) * self._way >= 0]

    def sought(self, frame: int, unadopted: Labels | None) -> tuple[int, ...]:
        """The objects to look for on a frame. One may have been deleted meanwhile."""
        seen = self.by(frame)
        if not seen:  # the range was asked to begin before any mask: look for what comes first
            firsts = self._first.values()
            if not firsts:  # begun again on a full device, while what was tracked was out of sight
                return ()
            first = min(firsts) if self._way > 0 else max(firsts)
            seen = [i for i, appearance in self._first.items() if appearance == first]
        known = {*self._tracker.objects, *(() if unadopted is None else ids_in(unadopted))}
        return tuple(sorted(known.intersection(seen)))


MOST_REMEMBERED: Final = 32  # beside the first mask of each object
_DECODED_KEPT: Final = 8


class GivenMasks(Mapping[int, Labels]):
    """By frame, (H, W) object ids, decoded when they are asked for."""

    def __init__(
        self,
        records: Mapping[int, FrameRecord],
        *,
        most: int = MOST_REMEMBERED,
        pinned: Collection[int] = (),
    ) -> None:
        """records: of given frames; those without a mask are left out. pinned: those that are
        always worth remembering."""
        self._records: dict[int, FrameRecord] = {}
        self._decoded: OrderedDict[int, Labels] = OrderedDict()
        self.most = most  # of them are worth remembering at a time
        # Objects that each mask holds, but for what a tracker has put into a corrected frame.
        self.present: dict[int, frozenset[int]] = {}
        self.change(records, pinned)

    def change(self, records: Mapping[int, FrameRecord], pinned: Collection[int]) -> None:
        """Replaces the masks; all holders of this mapping see the new ones."""
        changed = {f for f, r in self._records.items() if records.get(f) != r}
        for frame in changed & set(self._decoded):
            del self._decoded[frame]
        self._records = {f: r for f, r in sorted(records.items()) if r.mask is not None}
        self._pinned = frozenset(pinned) & self._records.keys()
        self.present.clear()
        self.present |= {f: record.present & record.given for f, record in self._records.items()}
        self._known = frozenset().union(*self.present.values())

    def __getitem__(self, frame: int) -> Labels:
        if frame not in self._decoded:
            mask = self._records[frame].mask
            assert mask is not None
            labels = decode_labels(mask)
            others = self._records[frame].present - self.present[frame]
            if others:
                labels[among(labels, others)] = 0
            self._decoded[frame] = labels
            if len(self._decoded) > _DECODED_KEPT:
                self._decoded.popitem(last=False)
        self._decoded.move_to_end(frame)
        return self._decoded[frame]

    def __contains__(self, frame: object) -> bool:
        return frame in self._records

    def __iter__(self) -> Iterator[int]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def labelled_objects(self, frame: int) -> frozenset[int]:
        """A confirmed frame for every object ever given, a corrected one for its own."""
        record = self._records[frame]
        return self._known if record.status is FrameStatus.CONFIRMED else record.given

    def first_of_each(self, runs: Sequence[Run]) -> frozenset[int]:
        """The frame of each object's first mask, in each run's direction of travel."""
        found: set[int] = set()
        for step in {run.frames.step for run in runs}:
            seen: set[int] = set()
            for frame in sorted(self._records, reverse=step < 0):
                if not self.present[frame] <= seen:
                    found.add(frame)
                    seen |= self.present[frame]
        return frozenset(found)

    def around(self, frame: int, step: int) -> list[int]:
        """The frames worth remembering at `frame`: half of them ahead, the others behind; where
        one side has few, the other gets more; and all that are pinned. Frames that teach nothing
        are left out."""
        teaching = [other for other in self._records if self.labelled_objects(other)]
        by_distance = sorted(teaching, key=lambda other: abs(other - frame))
        ahead = [other for other in by_distance if (other - frame) * step > 0]
        behind = [other for other in by_distance if (other - frame) * step <= 0]
        half = self.most // 2
        count = max(half, self.most - len(behind))
        chosen = ahead[:count]
        pinned = [other for other in teaching if other in self._pinned]
        return sorted({*chosen, *behind[: self.most - len(chosen)], *pinned})
