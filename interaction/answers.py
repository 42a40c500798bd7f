"""Answers to requests, as edits that are still to be applied: what the window runs step by step.

`answer` and `propagation` read what they depend on when they are called. The generators that they
return may be pulled on another thread while the annotation is edited.

The clicks that one object gets on a frame belong together until anything else changes the frame:
their mask follows from what was there before the first of them and from the clicks alone. So each
can be taken out again, and the last one taken out brings everything back. So does the last that
points at an object which was not there before: those that are left say only what it is not.
"""

import time
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.edits import (
    by_hand,
    check_unlocked,
    corrected_record,
    corrected_status,
    keeping_locked,
    object_label,
    one_edit,
)
from interaction.annotation.history import History
from interaction.annotation.labels import Label
from interaction.annotation.mask_files import decode_labels
from interaction.annotation.mattes import click_matte, kept_probabilities, mattes_with
from interaction.annotation.overlaps import Stack, blank, cover, is_same, keeping, region, stack_of
from interaction.annotation.requests import (
    BoxRequest,
    ClickRequest,
    Propagated,
    PropagationRequest,
    RemoveClickRequest,
    ScribbleRequest,
)
from interaction.annotation.types import (
    EMPTY_RECORD,
    Click,
    Edit,
    FrameRecord,
    Frames,
    Prompts,
    Request,
)
from interaction.clicks.prompts import Box, check_inside, clicks_of_strokes
from interaction.engines import Networks
from interaction.errors import UserError
from xmem_core.arrays import Frame, Labels

if TYPE_CHECKING:
    from interaction.clicks.segmenter import ClickResult
    from interaction.tracking.governor import Forecast
    from interaction.tracking.unfinished import UnfinishedRun

Answer = Generator[Edit, None, None]
Steps = Generator[Propagated, None, None]
Prompt = ClickRequest | ScribbleRequest


@dataclass(frozen=True, slots=True)
class EditContext:
    """What every answer needs."""

    annotation: Annotation
    video: Frames
    engines: Networks
    session_key: Hashable  # with a frame's index, what the networks keep of the frame goes by
    stop: Callable[[], bool] = lambda: False  # asked often; once true, nothing is yielded any more
    reports_memory: Callable[[], bool] = lambda: False  # whether a run says what it remembers
    unfinished: Path | None = None  # the file for what an interrupted run goes on from
    history: History | None = None  # where an interrupted run finds what it replaced
    keeps_probabilities: bool = False  # beside the masks, see `interaction.annotation.mattes`


def answer(context: EditContext, request: Request) -> Answer:
    """The edits that a request leads to; none if nothing changes.

    UserError if an object is locked, a model is missing or what is asked for cannot be done;
    KeyError for an unknown object, IndexError for an unknown frame or click, ValueError for a
    prompt outside the frame, TypeError for a request whose masks came from elsewhere.
    """
    annotation = context.annotation
    width, height = annotation.width, annotation.height
    match request:
        case ClickRequest(click=click):
            edits = _prompted(context, request, (click,), "click")
        case RemoveClickRequest():
            edits = _without_click(context, request)
        case BoxRequest(corner=corner, opposite=opposite):
            edits = _boxed(context, request, Box.between(corner, opposite, width, height))
        case ScribbleRequest(strokes=strokes):
            clicks = clicks_of_strokes(strokes, width, height)
            if context.engines.settings.scribble_model is not None:
                edits = _scribbled(context, request)
            else:
                edits = _prompted(context, request, clicks, "scribble")
        case PropagationRequest():
            steps = propagation(context, request)
            return (step.edit for step in steps if step.edit is not None)
        case _:
            edits = by_hand(annotation, request)
    return _timed(edits)


def _timed(edits: Answer) -> Answer:
    """The same, each edit with the seconds that it took to compute."""
    with closing(edits):
        began_s = time.perf_counter()
        for edit in edits:
            yield replace(edit, seconds=time.perf_counter() - began_s)
            began_s = time.perf_counter()


def propagation(context: EditContext, request: PropagationRequest) -> Steps:
    """Tracks frame after frame, and then once more what others cover, see
    `interaction.tracking.covered`. UserError, with the reason, if there is nothing to start from or
    nowhere to go; EngineMemoryError if a device is full and no smaller step is left."""
    if request.covered_only:
        return covered_passes(context, request)
    return _run(context, request)


def covered_passes(context: EditContext, so_far: PropagationRequest) -> Steps:
    """What others cover, tracked over the frames that a propagation had reached when it was
    stopped, see `Propagated.so_far`; a step of the history of its own. No steps where nothing
    covered was given. Raises as `propagation`."""
    from interaction.tracking.covered import covered_alone
    from interaction.tracking.propagation_job import PropagationJob  # imports torch

    so_far = replace(so_far, covered_only=False)
    cause = replace(so_far, covered_only=True)
    job = PropagationJob(context.annotation, context.video, context.engines, cause)
    start = partial(_steps, context)
    return _timed_steps(covered_alone(job, context.annotation, so_far, start))


def _steps(context: EditContext, annotation: Annotation, request: PropagationRequest) -> Steps:
    """Of a propagation that starts from other masks than there are."""
    from interaction.tracking.propagation_job import PropagationJob

    return PropagationJob(annotation, context.video, context.engines, request).steps()


def _run(
    context: EditContext, request: PropagationRequest, resumed: "UnfinishedRun | None" = None
) -> Steps:
    from interaction.tracking.covered import with_covered
    from interaction.tracking.propagation_job import PropagationJob  # imports torch

    job = PropagationJob(
        context.annotation,
        context.video,
        context.engines,
        request,
        reports_memory=context.reports_memory,
        place=context.unfinished,
        resumed=resumed,
        replaced={} if resumed is None else _replaced_by(context, request),
        keeps_probabilities=context.keeps_probabilities,
    )
    return _timed_steps(with_covered(job, context.annotation, request, partial(_steps, context)))


def resumption(context: EditContext) -> Steps:
    """Goes on with the run that was interrupted last, to the masks that it would have made; a step
    of the history of its own. UserError, with the reason, if there is none or it does not fit what
    is annotated now; and what `propagation` raises."""
    from interaction.tracking.unfinished import no_unfinished_run, read_run  # imports torch

    if context.unfinished is None:
        raise no_unfinished_run()
    run = read_run(context.unfinished)
    return _run(context, run.request, run)


def _replaced_by(context: EditContext, request: PropagationRequest) -> dict[int, FrameRecord]:
    """What the masks of a run that was interrupted took the place of: its steps of the history are
    the newest. Only one that compares its masks with earlier ones asks."""
    found: dict[int, FrameRecord] = {}
    history = context.history
    if history is None or request.until != "settled":
        return found
    for entry in reversed(history.entries[: history.position]):
        edit = entry.loaded()
        if isinstance(edit.cause, PropagationRequest) and edit.cause.covered_only:
            continue  # it has left the run's masks as they were
        if edit.cause != request:
            break
        found |= edit.before
    return found


def _timed_steps(steps: Steps) -> Steps:
    """As `_timed`; frames that keep their masks count for the next that changes."""
    seconds = 0.0
    with closing(steps):
        began_s = time.perf_counter()
        for step in steps:
            seconds += time.perf_counter() - began_s
            if step.edit is not None:
                step = replace(step, edit=replace(step.edit, seconds=seconds))
                seconds = 0.0
            yield step
            began_s = time.perf_counter()


def propagation_forecast(
    context: EditContext,
    request: PropagationRequest,
    folder: Path | None = None,
    *,
    measures: bool = False,
) -> Generator[None, None, "Forecast"]:
    """Returns what a propagation will need on this machine. folder: of the project. measures:
    track the first frames for it; no mask is kept. Raises as `propagation`."""
    from interaction.tracking.propagation_job import PropagationJob  # imports torch

    job = PropagationJob(
        context.annotation,
        context.video,
        context.engines,
        request,
        keeps_probabilities=context.keeps_probabilities,
    )
    trial = PropagationJob(context.annotation, context.video, context.engines, request)

    def steps() -> Generator[None, None, "Forecast"]:
        if measures:
            yield from trial.rehearsal()
        yield
        return job.forecast(folder)

    return steps()


def _prompted(context: EditContext, request: Prompt, clicks: Sequence[Click], key: str) -> Answer:
    """The frame's mask after these clicks too."""
    annotation, frame, object_id = context.annotation, request.frame, request.object_id
    check_unlocked(annotation, object_id)
    old = annotation.record(frame)
    check_inside(clicks, annotation.width, annotation.height)
    prompts = old.prompts
    if prompts is None or not _goes_on(annotation, frame, prompts, object_id):
        prompts = Prompts(object_id, old.mask, old.status, (), old.given, old.beneath)
    prompts = replace(prompts, clicks=(*prompts.clicks, *clicks))
    label = object_label(annotation, key, object_id)
    now = _Requested(old, annotation.locked, annotation.keepers)
    return _answered(context, request, now, label, object_id, prompts)


def _scribbled(context: EditContext, request: ScribbleRequest) -> Answer:
    """The frame's mask after the strokes, as the scribble network answers them."""
    object_id, locked = request.object_id, context.annotation.locked

    def scribbled(picture: Frame, start: Labels) -> "ClickResult":
        from interaction.clicks.segmenter import ClickResult, merged

        scribbler = context.engines.scribbler()
        probability = scribbler.segment(picture, start, object_id, request.strokes)
        return ClickResult(probability, merged(start, object_id, probability > 0.5, locked))

    return _replaced(context, request, scribbled, "scribble")


def _boxed(context: EditContext, request: BoxRequest, box: Box) -> Answer:
    """The frame's mask with what the box is drawn round; no clicks are left behind."""
    locked, key = context.annotation.locked, (context.session_key, request.frame)

    def boxed(picture: Frame, start: Labels) -> "ClickResult":
        segmenter = context.engines.segmenter()
        return segmenter.segment_box(
            picture, start, request.object_id, box, locked=locked, frame_key=key
        )

    return _replaced(context, request, boxed, "box")


def _replaced(
    context: EditContext,
    request: BoxRequest | ScribbleRequest,
    made: Callable[[Frame, Labels], "ClickResult"],
    key: str,
) -> Answer:
    """The frame's mask as `made` makes it of the mask of now."""
    annotation, object_id = context.annotation, request.object_id
    check_unlocked(annotation, object_id)
    label = object_label(annotation, key, object_id)
    old = annotation.record(request.frame)
    now = _Requested(old, annotation.locked, annotation.keepers)
    return _answered(context, request, now, label, object_id, made=made)


@dataclass(frozen=True, slots=True)
class _Requested:
    """What is annotated when something is requested; the answer comes later."""

    record: FrameRecord  # of the frame
    locked: frozenset[int]
    keepers: frozenset[int]


def _answered(
    context: EditContext,
    request: Prompt | BoxRequest | RemoveClickRequest,
    now: _Requested,
    label: Label,
    object_id: int,
    prompts: Prompts | None = None,
    made: Callable[[Frame, Labels], "ClickResult"] | None = None,
) -> Answer:
    """The frame's mask as the click network answers all clicks of `prompts`, from the labels before
    the first of them; or, without prompts, as `made` makes it of the picture and the labels."""
    # Only here, on the engine's thread: it takes seconds the first time.
    from interaction.clicks.fbrs import StoppedError
    from xmem_core.device import is_out_of_memory

    frame, old, locked = request.frame, now.record, now.locked
    size = context.annotation.height, context.annotation.width
    if context.stop():
        return
    before = stack_of(old, *size)
    start = before if prompts is None else _started(prompts, size)
    try:
        picture = context.video[frame]
        if prompts is None:
            assert made is not None
            result = made(picture, start[0])
        else:
            # No function of ours between this one and the network: the way of a click stays short.
            result = context.engines.segmenter().segment(
                picture,
                start[0],
                object_id,
                prompts.clicks,
                locked=locked,
                frame_key=(context.session_key, frame),
                stop=context.stop,
            )
    except StoppedError:
        return
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            "The device has no memory left to answer. Nothing was changed.\n\n"
            "Close other programs that use it, or choose another device in the preferences."
        ) from None
    if context.stop():
        return
    # What the clicks cover is what lay there before the first of them.
    after = keeping(before, cover(start, result.labels, now.keepers), locked)
    record = corrected_record(old, before, after, prompts)
    if context.keeps_probabilities:
        record = _with_matte(record, object_id, result, after, old, before)
    yield Edit(label, {frame: old}, {frame: record}, cause=request, locked=locked)


@dataclass(frozen=True, slots=True, eq=False)
class ClickPreview:
    """What one more click would make of a frame."""

    labels: Labels  # (H, W) all objects
    is_exact: bool  # False: a new object, seen from afar; its outlines are still to come


def previews(context: EditContext, request: ClickRequest) -> Generator[ClickPreview, None, None]:
    """The frame as one more click would make it; of a new object roughly first, since its outlines
    take a second look from near. The last one is what the click gives, which is at hand then.

    Nothing is changed, and the object may be one that is not there yet. Nothing more is yielded
    once `context.stop` says so, and nothing at all where the click model searches for its answer:
    that takes seconds. For the engines' thread, like everything that asks a network.
    """
    annotation, frame = context.annotation, request.frame
    now, locked = annotation.labels(frame), annotation.locked
    prompts, start = annotation.record(frame).prompts, now
    clicks: tuple[Click, ...] = (request.click,)
    if prompts is not None and _goes_on(annotation, frame, prompts, request.object_id):
        start = _decoded(prompts.start, (annotation.height, annotation.width))
        clicks = (*prompts.clicks, request.click)
    is_new = len(clicks) == 1 and not bool((start == request.object_id).any())

    def steps() -> Generator[ClickPreview, None, None]:
        from interaction.clicks.fbrs import StoppedError

        segmenter = context.engines.segmenter()
        if not segmenter.is_quick:
            return
        for is_rough in (True, False) if is_new else (False,):
            try:
                result = segmenter.segment(
                    context.video[frame],
                    start,
                    request.object_id,
                    clicks,
                    locked=locked,
                    frame_key=(context.session_key, frame),
                    stop=context.stop,
                    is_preview=is_rough,
                )
            except StoppedError:
                return
            yield ClickPreview(keeping_locked(now, result.labels, locked), not is_rough)

    return steps()


def looks(context: EditContext, frame: int, object_id: int) -> Generator[None, None, None]:
    """Computes what previews and clicks on an object need of a frame's picture, before the first of
    them: it takes longer than the answer itself. Nothing is done where clicks on the object have
    needed it already, where the click model searches for its answers, or once `context.stop` says
    so. For the engines' thread.
    """
    annotation = context.annotation
    now, prompts = annotation.labels(frame), annotation.record(frame).prompts
    is_known = prompts is not None and _goes_on(annotation, frame, prompts, object_id)

    def steps() -> Generator[None, None, None]:
        segmenter = context.engines.segmenter()
        if segmenter.is_quick and not is_known and not context.stop():
            key = context.session_key, frame
            segmenter.look(context.video[frame], now, object_id, frame_key=key)
        yield

    return steps()


def _without_click(context: EditContext, request: RemoveClickRequest) -> Answer:
    """The mask as if the click had not been made."""
    annotation, frame = context.annotation, request.frame
    old, locked = annotation.record(frame), annotation.locked
    size = annotation.height, annotation.width
    prompts = old.prompts
    if prompts is None or not 0 <= request.index < len(prompts.clicks):
        count = 0 if prompts is None else len(prompts.clicks)
        raise IndexError(f"click {request.index} of {count} on frame {frame}")
    check_unlocked(annotation, prompts.object_id)
    label = object_label(annotation, "remove_click", prompts.object_id)
    rest = tuple(c for i, c in enumerate(prompts.clicks) if i != request.index)
    before = _started(prompts, size)
    if any(click.is_positive for click in rest) or (
        rest and bool((before[0] == prompts.object_id).any())
    ):
        now = _Requested(old, locked, annotation.keepers)
        prompts = replace(prompts, clicks=rest)
        return _answered(context, request, now, label, prompts.object_id, prompts)
    restored = keeping(annotation.stack(frame), before, locked)
    record = EMPTY_RECORD
    if prompts.start is not None:
        given = prompts.start_given or None  # projects of before it was noted: those in it
        record = make_record(
            restored,
            prompts.start_status,
            doubt=old.doubt,
            given=given,
            signs=old.signs,
            mattes=old.mattes,
        )
        if is_same(restored, before):  # the very bytes
            record = replace(record, mask=prompts.start, beneath=prompts.start_beneath)
    elif restored[0].any():  # an object that was locked since
        record = make_record(restored, corrected_status(prompts.start_status))
    return one_edit(Edit(label, {frame: old}, {frame: record}, cause=request, locked=locked))


def _goes_on(annotation: Annotation, frame: int, prompts: Prompts, object_id: int) -> bool:
    """Whether another click belongs to these: the same object, and no other has been locked in a
    state that the first mask does not have."""
    if prompts.object_id != object_id:
        return False
    if not annotation.locked:
        return True
    now = annotation.labels(frame)
    start = _decoded(prompts.start, (annotation.height, annotation.width))
    return bool(np.array_equal(keeping_locked(now, start, annotation.locked), start))


def _decoded(mask: bytes | None, size: tuple[int, int]) -> Labels:
    """size: height and width of a mask that is not there: all of it is background."""
    return blank(*size) if mask is None else decode_labels(mask)


def _started(prompts: Prompts, size: tuple[int, int]) -> Stack:
    """The frame's stack before the first of the clicks. size: height and width."""
    return stack_of(FrameRecord(prompts.start, beneath=prompts.start_beneath), *size)


def _with_matte(
    record: FrameRecord,
    object_id: int,
    result: "ClickResult",
    after: Stack,
    old: FrameRecord,
    before: Stack,
) -> FrameRecord:
    """`record` with the probability of an answer. after, before: the stacks of it and of `old`.
    Where the network has left the object as it was, what was kept of it stays."""
    if object_id not in record.present:
        return record
    assert record.mask is not None  # the object is in it
    probability = result.probability
    known = kept_probabilities(old, object_id, region(before, object_id))
    if known is not None:
        is_left = known.is_known & ((probability == 0) | (probability == 1))
        probability = np.where(is_left, known.alpha, probability)
    matte = click_matte(object_id, probability, region(after, object_id), record.mask)
    return replace(record, mattes=mattes_with(old, (matte,), frozenset({object_id})))
