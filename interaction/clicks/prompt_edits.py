"""Clicks, boxes and scribbles, answered by the click network, as edits of one frame.

The clicks that one object gets on a frame belong together until anything else changes the frame:
their mask follows from what was there before the first of them and from the clicks alone. So each
can be taken out again, and the last one taken out brings everything back. So does the last that
points at an object which was not there before: those that are left say only what it is not.
"""

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.edits import (
    check_unlocked,
    corrected_status,
    given_after,
    keeping_locked,
)
from interaction.annotation.mask_files import decode_labels
from interaction.annotation.requests import Cause
from interaction.annotation.types import EMPTY_RECORD, Click, Edit, Prompts, Stroke
from interaction.engines import EnginesLike
from interaction.errors import UserError
from xmem_core.arrays import Frame, Labels

__all__ = ["FurtherClick", "answering", "scribbling", "without_click"]

_MOST_FURTHER_CLICKS: Final = 2  # each costs as much as one by hand

# The object's probability (H, W) and the clicks so far -> a click that ought to follow, if any.
FurtherClick = Callable[[NDArray[np.float32], Sequence[Click]], Click | None]


class Frames(Protocol):
    """Frames by index, as `interaction.video.video.Video` gives them."""

    def __getitem__(self, index: int, /) -> Frame: ...


def answering(
    annotation: Annotation,
    video: Frames,
    engines: EnginesLike,
    frame: int,
    object_id: int,
    clicks: Sequence[Click],
    *,
    label: str,
    cause: Cause,
    frame_key: Hashable,
    stop: Callable[[], bool],
    is_fresh: bool = False,
    further: FurtherClick | None = None,
) -> Generator[Edit, None, None]:
    """One edit: the frame's mask after these clicks too. None is yielded if `stop` says so.

    is_fresh: the clicks do not go on from earlier ones. further: asked for clicks that follow from
    the answer. UserError if the object is locked, ValueError for a click outside the frame,
    KeyError for an unknown object.
    """
    check_unlocked(annotation, object_id)
    old = annotation.record(frame)
    for click in clicks:
        if not (0 <= click.x < annotation.width and 0 <= click.y < annotation.height):
            raise ValueError(
                f"the click ({click.x}, {click.y}) lies outside "
                f"{annotation.width}x{annotation.height}"
            )
    prompts = old.prompts
    if is_fresh or prompts is None or not _goes_on(annotation, frame, prompts, object_id):
        prompts = Prompts(object_id, old.mask, old.status, (), old.given)
    prompts = replace(prompts, clicks=(*prompts.clicks, *clicks))
    return _answer(
        annotation, video, engines, frame, prompts, label, cause, frame_key, stop, further
    )


def scribbling(
    annotation: Annotation,
    video: Frames,
    engines: EnginesLike,
    frame: int,
    object_id: int,
    strokes: Sequence[Stroke],
    *,
    label: str,
    cause: Cause,
    stop: Callable[[], bool],
) -> Generator[Edit, None, None]:
    """One edit: the frame's mask after the strokes, as the scribble network answers them.

    None is yielded if `stop` says so. UserError if the object is locked or the network is not
    there, KeyError for an unknown object.
    """
    check_unlocked(annotation, object_id)
    old, locked = annotation.record(frame), annotation.locked
    start, strokes = annotation.labels(frame), tuple(strokes)

    def steps() -> Generator[Edit, None, None]:
        from interaction.clicks.segmenter import merged
        from xmem_core.device import is_out_of_memory

        if stop():
            return
        picture, scribbler = video[frame], engines.scribbler()
        try:
            probability = scribbler.segment(picture, start, object_id, strokes)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise _no_memory_problem() from None
        if stop():
            return
        labels = merged(start, object_id, probability > 0.5, locked)
        record = make_record(
            labels,
            corrected_status(old.status),
            doubt=old.doubt,
            given=given_after(old, start, labels),
        )
        yield Edit(label, {frame: old}, {frame: record}, cause=cause)

    return steps()


def without_click(
    annotation: Annotation,
    video: Frames,
    engines: EnginesLike,
    frame: int,
    click_index: int,
    *,
    frame_key: Hashable,
    stop: Callable[[], bool],
) -> Generator[Edit, None, None]:
    """One edit: the mask as if the click had not been made. IndexError if there is none."""
    old = annotation.record(frame)
    prompts = old.prompts
    if prompts is None or not 0 <= click_index < len(prompts.clicks):
        count = 0 if prompts is None else len(prompts.clicks)
        raise IndexError(f"click {click_index} of {count} on frame {frame}")
    check_unlocked(annotation, prompts.object_id)
    label = f"Remove click on ‘{annotation.object(prompts.object_id).name}’"
    cause = {"kind": "remove_click", "frame": frame, "index": click_index}
    rest = tuple(c for i, c in enumerate(prompts.clicks) if i != click_index)
    before = _start_labels(annotation, prompts)
    if any(click.is_positive for click in rest) or (
        rest and bool((before == prompts.object_id).any())
    ):
        prompts = replace(prompts, clicks=rest)
        return _answer(annotation, video, engines, frame, prompts, label, cause, frame_key, stop)
    current = annotation.labels(frame)
    restored = keeping_locked(current, before, annotation.locked)
    record = EMPTY_RECORD
    if prompts.start is not None:
        given = prompts.start_given or None  # projects of before it was noted: those in it
        record = make_record(restored, prompts.start_status, doubt=old.doubt, given=given)
        if np.array_equal(restored, before):
            record = replace(record, mask=prompts.start)  # the very bytes
    elif restored.any():  # an object that was locked since
        record = make_record(restored, corrected_status(prompts.start_status))
    edit = Edit(label, {frame: old}, {frame: record}, cause=cause)
    return (one for one in (edit,))


def _goes_on(annotation: Annotation, frame: int, prompts: Prompts, object_id: int) -> bool:
    """Whether another click belongs to these: the same object, and no other has been locked in a
    state that the first mask does not have."""
    if prompts.object_id != object_id:
        return False
    if not annotation.locked:
        return True
    start, now = _start_labels(annotation, prompts), annotation.labels(frame)
    return bool(np.array_equal(keeping_locked(now, start, annotation.locked), start))


def _start_labels(annotation: Annotation, prompts: Prompts) -> Labels:
    if prompts.start is None:
        return np.zeros((annotation.height, annotation.width), np.uint8)
    return decode_labels(prompts.start)


def _answer(
    annotation: Annotation,
    video: Frames,
    engines: EnginesLike,
    frame: int,
    prompts: Prompts,
    label: str,
    cause: Cause,
    frame_key: Hashable,
    stop: Callable[[], bool],
    further: FurtherClick | None = None,
) -> Generator[Edit, None, None]:
    old, locked = annotation.record(frame), annotation.locked
    size = annotation.height, annotation.width

    def steps() -> Generator[Edit, None, None]:
        # Only here, on the engine's thread: it takes seconds the first time.
        from interaction.clicks.fbrs import StoppedError
        from xmem_core.device import is_out_of_memory

        start: Labels = np.zeros(size, np.uint8)
        if prompts.start is not None:
            start = decode_labels(prompts.start)
        picture, segmenter = video[frame], engines.segmenter()
        clicks, left = prompts.clicks, _MOST_FURTHER_CLICKS if further else 0
        try:
            while True:
                answer = segmenter.segment(
                    picture,
                    start,
                    prompts.object_id,
                    clicks,
                    locked=locked,
                    frame_key=frame_key,
                    stop=stop,
                )
                click = further(answer.probability, clicks) if further and left else None
                if click is None:
                    break
                clicks, left = (*clicks, click), left - 1
        except StoppedError:
            return
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise _no_memory_problem() from None
        if stop():
            return
        labels, before = answer.labels, np.zeros(size, np.uint8)
        if old.mask is not None:
            before = decode_labels(old.mask)
            labels = keeping_locked(before, labels, locked)
        # The doubt of the mask the clicks started from stays, for the day they are all taken out.
        record = make_record(
            labels,
            corrected_status(old.status),
            doubt=old.doubt,
            prompts=replace(prompts, clicks=clicks),
            given=given_after(old, before, labels),
        )
        yield Edit(label, {frame: old}, {frame: record}, cause=cause)

    return steps()


def _no_memory_problem() -> UserError:
    return UserError(
        "The device has no memory left to answer. Nothing was changed.\n\n"
        "Close other programs that use it, or choose another device in the preferences."
    )
