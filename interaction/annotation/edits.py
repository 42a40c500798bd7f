"""Build edits of frames and of the list of objects. Nothing is applied here."""

import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Final

import cv2
import numpy as np

from interaction.annotation import surgery as mask_surgery
from interaction.annotation.annotation import Annotation, make_record, restacked
from interaction.annotation.labels import Label
from interaction.annotation.mask_files import davis_palette
from interaction.annotation.overlaps import (
    Stack,
    add_beneath,
    among,
    cover,
    covered_pixels,
    in_front,
    is_same,
    keeping,
    only_keepers,
    region,
    renamed,
    reshaped,
    stack_of,
    touched,
    with_labels_of,
    without,
)
from interaction.annotation.requests import (
    ClearRequest,
    ConfirmRequest,
    CopyRequest,
    DeleteRequest,
    FillRequest,
    ImportRequest,
    MemoryRequest,
    MergeRequest,
    ObjectsRequest,
    Operation,
    OverlapRequest,
    PresenceRequest,
    PropagationRequest,
    SplitRequest,
    StrokeRequest,
    SurgeryRequest,
    SwapRequest,
    UnconfirmRequest,
)
from interaction.annotation.strokes import fill_polygon, paint
from interaction.annotation.types import (
    EMPTY_RECORD,
    Edit,
    FrameRecord,
    FrameStatus,
    MemoryRule,
    ObjectInfo,
    PresenceState,
    Prompts,
    Request,
    with_presence,
)
from interaction.errors import UserError
from xmem_core.arrays import Frame, Labels


def by_hand(annotation: Annotation, request: Request) -> Generator[Edit, None, None]:
    """The edits that a request leads to which no network answers; none if nothing changes.

    What they depend on is read here and now: the generator may be pulled on another thread.
    UserError if an object is locked, or what is asked for cannot be done; KeyError for an unknown
    object, IndexError for a frame outside the video, TypeError for any other request.
    """
    match request:
        case DeleteRequest():
            return _deleting(annotation, request)
        case MergeRequest():
            return _merging(annotation, request)
        case SwapRequest():
            return _swapping(annotation, request)
        case PresenceRequest():
            return _presence_edits(annotation, request)
        case OverlapRequest():
            return _overlap_edits(annotation, request)
        case MemoryRequest():
            edit = _memory_edit(annotation, request)
        case StrokeRequest():
            edit = _stroke_edit(annotation, request)
        case FillRequest():
            edit = _fill_edit(annotation, request)
        case SurgeryRequest(last=int()):
            return _shape_edits(annotation, request)
        case SurgeryRequest():
            edit = _shape_edit(annotation, request)
        case ConfirmRequest() | UnconfirmRequest():
            edit = _status_edit(annotation, request)
        case ClearRequest(last=int()):
            return _clear_edits(annotation, request)
        case ClearRequest():
            edit = _clear_edit(annotation, request)
        case CopyRequest():
            edit = _copy_edit(annotation, request)
        case ObjectsRequest():
            edit = list_edit(annotation, Label("change_objects"), request.objects)
        case SplitRequest():
            edit = _split_edit(annotation, request)
        case _:
            raise TypeError(f"{type(request).__name__} is not done by hand")
    return one_edit(edit)


def one_edit(edit: Edit | None) -> Generator[Edit, None, None]:
    """An edit, if there is one, in the form of many."""
    return _chained([] if edit is None else [edit])


def _chained(*parts: Iterable[Edit]) -> Generator[Edit, None, None]:
    for part in parts:
        yield from part


def object_label(annotation: Annotation, key: str, object_id: int) -> Label:
    """Of an edit of one object. KeyError if there is no such object, or no such key."""
    return Label(key, name=annotation.object(object_id).name)


def new_group() -> str:
    """A name for the edits of one step of the history."""
    return uuid.uuid4().hex


def corrected_status(status: FrameStatus) -> FrameStatus:
    """A frame's status once its mask was changed by hand."""
    return FrameStatus.CONFIRMED if status is FrameStatus.CONFIRMED else FrameStatus.CORRECTED


def given_after(old: FrameRecord, before: Stack, after: Stack) -> frozenset[int]:
    """The given objects of a frame once its mask was changed by hand: all that were on it when
    it was first corrected, and all that were touched."""
    started = old.given if old.status.is_given else old.objects
    return started | touched(before, after)


def corrected_record(
    old: FrameRecord, before: Stack, after: Stack, prompts: Prompts | None = None
) -> FrameRecord:
    """`old`, whose stack is `before`, once its mask was changed by hand to `after`. Doubt,
    signs and mattes stay: removing the last click needs them again."""
    return make_record(
        after,
        corrected_status(old.status),
        doubt=old.doubt,
        prompts=prompts,
        given=given_after(old, before, after),
        signs=old.signs,
        mattes=old.mattes,
    )


def keeping_locked(before: Labels, after: Labels, locked: Collection[int]) -> Labels:
    """`after` with every pixel of a locked object as it was `before`; none is gained either."""
    if not locked:
        return after
    is_locked = np.zeros(256, bool)
    is_locked[sorted(locked)] = True
    return np.where(is_locked[before] | is_locked[after], before, after).astype(np.uint8)


def hand_edit(
    annotation: Annotation,
    frame: int,
    label: str,
    after: Labels | Stack,
    cause: Request,
    *,
    prompts: Prompts | None = None,
) -> Edit | None:
    """The frame's mask becomes `after`, (H, W) uint8, but for locked objects. None: no change.

    What it covers is kept as the objects say; a stack says itself what is covered.
    ValueError if it has another size or type, or holds an object that is not in the list.
    """
    before, locked = annotation.stack(frame), annotation.locked
    shape = before[0].shape
    for layer in after if isinstance(after, tuple) else (after,):
        if layer.shape != shape or layer.dtype != np.uint8:
            raise ValueError(f"a mask must be uint8 {shape}, got {layer.dtype} {layer.shape}")
    if isinstance(after, tuple):
        stack = keeping(before, after, locked)
    else:
        stack = cover(before, keeping_locked(before[0], after, locked), annotation.keepers)
    old = annotation.record(frame)
    if is_same(before, stack) and prompts == old.prompts:
        return None
    given = given_after(old, before, stack)
    record = make_record(
        stack, corrected_status(old.status), prompts=prompts, given=given, mattes=old.mattes
    )
    unknown = record.objects - {one.id for one in annotation.objects}
    if unknown:
        raise ValueError(f"the mask holds objects {sorted(unknown)}, which do not exist")
    return Edit(label, {frame: old}, {frame: record}, cause=cause, locked=annotation.locked)


def keeping_both(
    edit: Edit,
    objects: Collection[int],
    earlier: Callable[[int], Iterable[Edit]],
    height: int,
    width: int,
) -> Edit:
    """The edit with all of `objects` beneath its masks that those have lost to what took them, from
    where that was begun on the frame. earlier: the edits of a frame before this one, newest first.
    """
    after = dict(edit.after)
    for frame, record in edit.after.items():
        before = edit.before[frame]
        if record.prompts is not None:  # before the first of the clicks
            before = FrameRecord(record.prompts.start, beneath=record.prompts.start_beneath)
        was, stack = stack_of(before, height, width), stack_of(record, height, width)
        gone = {one: region(was, one) & ~region(stack, one) for one in objects}
        takers: set[int] = set()
        for pixels in gone.values():
            takers.update(np.unique(stack[0][pixels]).tolist())
        takers -= {0, *objects}
        for step in _steps_of(frame, takers, earlier(frame)):
            old, new = (stack_of(one[frame], height, width) for one in (step.before, step.after))
            is_taken = among(new[0], takers)
            for object_id in objects:
                gone[object_id] |= region(old, object_id) & ~region(new, object_id) & is_taken
        for object_id, pixels in gone.items():
            stack = add_beneath(stack, object_id, pixels)
        after[frame] = restacked(record, stack)
    return replace(edit, after=after)


def _steps_of(frame: int, takers: Collection[int], earlier: Iterable[Edit]) -> Iterator[Edit]:
    """Those of the edits of a frame that made what the takers have on it, newest first. What a run
    or an import has found of them is what they began with."""
    for step in earlier:
        is_found = isinstance(step.cause, PropagationRequest | ImportRequest)
        if is_found or step.after[frame].objects.isdisjoint(takers):
            return
        yield step
        if step.before[frame].objects.isdisjoint(takers):
            return


def _stroke_edit(annotation: Annotation, request: StrokeRequest) -> Edit | None:
    object_id, stroke = request.object_id, request.stroke
    key = "paint" if stroke.is_positive else "erase"
    draw = partial(paint, object_id=object_id, stroke=stroke)
    return _drawn(annotation, request, key, draw, is_positive=stroke.is_positive)


def _fill_edit(annotation: Annotation, request: FillRequest) -> Edit | None:
    object_id, is_positive = request.object_id, request.is_positive
    key = "lasso" if is_positive else "cut_out"
    polygon = request.polygon
    draw = partial(fill_polygon, object_id=object_id, polygon=polygon, is_positive=is_positive)
    return _drawn(annotation, request, key, draw, is_positive=is_positive)


def _drawn(
    annotation: Annotation,
    request: StrokeRequest | FillRequest,
    key: str,
    draw: Callable[..., Labels],
    *,
    is_positive: bool,
) -> Edit | None:
    """Drawing takes what is in front, or goes beneath a locked object; erasing takes the object's
    covered pixels, too. draw: (labels, locked=ids) -> labels."""
    object_id, locked, keepers = request.object_id, annotation.locked, annotation.keepers
    check_unlocked(annotation, object_id)
    before = annotation.stack(request.frame)
    if is_positive:
        after = cover(before, draw(before[0], locked=locked), keepers)
        if locked and object_id in keepers:
            alone = draw(np.where(region(before, object_id), object_id, 0).astype(np.uint8))
            after = add_beneath(after, object_id, (alone > 0) & among(after[0], locked))
    else:
        after = reshaped(before, object_id, draw, keepers)
    label = object_label(annotation, key, object_id)
    return hand_edit(annotation, request.frame, label, after, request)


def _status_edit(annotation: Annotation, request: ConfirmRequest | UnconfirmRequest) -> Edit | None:
    """The frame is declared whole, or no longer answered for; its mask stays. None: no change.

    A frame without a mask is confirmed with an empty one: nothing of any object is there.
    """
    frame, is_confirmed = request.frame, isinstance(request, ConfirmRequest)
    status = FrameStatus.CONFIRMED if is_confirmed else FrameStatus.TRACKED
    old = annotation.record(frame)
    if old.status is status or (status is FrameStatus.TRACKED and not old.status.is_given):
        return None
    given = old.present if status.is_given else frozenset()
    record = replace(old, status=status, prompts=None, given=given)
    if old.mask is None:
        record = make_record(annotation.labels(frame), status)
    label = Label("confirm" if is_confirmed else "unconfirm")
    return Edit(label, {frame: old}, {frame: record}, cause=request, locked=annotation.locked)


def _clear_edit(annotation: Annotation, request: ClearRequest) -> Edit | None:
    """One object, or all that are not locked, off the frame. None: there was nothing.

    One object that is removed is given as absent, like any other correction: no tracker puts it
    back. A frame from which everything is removed is as if it had never been annotated.
    """
    frame, object_id = request.frame, request.object_id
    label = Label("clear_frame")
    if object_id is not None:
        check_unlocked(annotation, object_id)
        label = object_label(annotation, "clear_object", object_id)
    old = annotation.record(frame)
    if old == EMPTY_RECORD:
        return None
    before = annotation.stack(frame)
    cleared = old.objects if object_id is None else {object_id}
    after = without(before, cleared - annotation.locked)
    if is_same(before, after) and (object_id is not None or bool(before[0].any())):
        return None
    record = EMPTY_RECORD
    if after[0].any() or object_id is not None:
        given = given_after(old, before, after)
        record = make_record(after, corrected_status(old.status), given=given, mattes=old.mattes)
    return Edit(label, {frame: old}, {frame: record}, cause=request, locked=annotation.locked)


def _clear_edits(annotation: Annotation, request: ClearRequest) -> Generator[Edit, None, None]:
    """One object off each frame of a range that has pixels of it, given as absent there."""
    object_id, locked = request.object_id, annotation.locked
    assert object_id is not None  # as the request says
    check_unlocked(annotation, object_id)
    label = object_label(annotation, "clear_object", object_id)
    found = {frame: annotation.record(frame) for frame in _range(request.frame, request.last)}
    records = {f: record for f, record in found.items() if object_id in record.objects}
    group, shape = new_group(), (annotation.height, annotation.width)

    def steps() -> Generator[Edit, None, None]:
        for frame, old in records.items():
            before = stack_of(old, *shape)
            record = corrected_record(old, before, without(before, {object_id}))
            yield Edit(
                label, {frame: old}, {frame: record}, group=group, cause=request, locked=locked
            )

    return steps()


def _range(first: int, last: int | None) -> range:
    return range(first, (first if last is None else last) + 1)


def _copy_edit(annotation: Annotation, request: CopyRequest) -> Edit | None:
    """The mask of another frame, or one object's, in place of this frame's. None: no change."""
    object_id = request.object_id
    if object_id is not None:
        check_unlocked(annotation, object_id)
    source, before = annotation.stack(request.from_frame), annotation.stack(request.frame)
    after = source
    if object_id is not None:
        rest = without(before, {object_id})
        seen = source[0] == object_id
        labels = np.where(seen, object_id, rest[0]).astype(np.uint8)
        labels = keeping_locked(before[0], labels, annotation.locked)
        after = cover(rest, labels, annotation.keepers)
        after = add_beneath(after, object_id, covered_pixels(source, object_id))
    return hand_edit(annotation, request.frame, Label("copy"), after, request)


_OPERATIONS: Final[Mapping[Operation, Callable[..., Labels]]] = {
    "fill_holes": mask_surgery.fill_holes,
    "flood_fill": mask_surgery.flood_fill,
    "grow": mask_surgery.grow,
    "keep_largest": mask_surgery.keep_largest,
    "remove_part": mask_surgery.remove_part,
    "remove_specks": mask_surgery.remove_specks,
    "shrink": mask_surgery.shrink,
    "smooth": mask_surgery.smooth,
}


def _shape_edit(annotation: Annotation, request: SurgeryRequest) -> Edit | None:
    """UserError if an object that is to come to the front would cost others their pixels."""
    before = annotation.stack(request.frame)
    after = _shape_change(annotation, request)(before)
    if request.operation == "to_front":
        _check_in_front(annotation, after, request.object_id)
    return hand_edit(annotation, request.frame, Label(request.operation), after, request)


def _shape_edits(annotation: Annotation, request: SurgeryRequest) -> Generator[Edit, None, None]:
    """On each frame of a range that has a mask; frames keep their status."""
    check_unlocked(annotation, request.object_id)
    change = _shape_change(annotation, request)
    frames = _range(request.frame, request.last)
    return surgery(annotation, Label(request.operation), frames, change, request)


def _shape_change(annotation: Annotation, request: SurgeryRequest) -> Callable[[Stack], Stack]:
    """Of a frame. But for flooding it is of the object's whole region, and takes nothing from
    others; what comes to the object lies beneath them."""
    object_id, operation = request.object_id, request.operation
    locked, keepers = annotation.locked, annotation.keepers
    if operation == "to_front":
        return partial(in_front, object_id=object_id, keepers=keepers)
    if operation == "to_back":
        return partial(_to_back, object_id=object_id)
    change = _OPERATIONS[operation]
    numbers = request.point or (() if request.size_px is None else (request.size_px,))

    def changed(labels: Labels) -> Labels:
        return change(labels, object_id, *numbers, locked=locked)

    if operation == "flood_fill":
        return lambda stack: cover(stack, changed(stack[0]), keepers)
    return partial(reshaped, object_id=object_id, change=changed, keepers=keepers)


def _to_back(stack: Stack, object_id: int) -> Stack:
    return add_beneath(without(stack, {object_id}), object_id, region(stack, object_id))


def _check_in_front(annotation: Annotation, stack: Stack, object_id: int) -> None:
    """UserError if another object that keeps no covered pixels is still before it."""
    others = np.unique(stack[0][covered_pixels(stack, object_id)]).tolist()
    if others and not annotation.object(object_id).is_locked:
        raise UserError(
            "“{other}” would lose the pixels that “{name}” covers then. Nothing was changed.\n\n"
            "Let “{other}” keep covered pixels first.",
            other=annotation.object(others[0]).name,
            name=annotation.object(object_id).name,
        )


def _presence_edits(
    annotation: Annotation, request: PresenceRequest
) -> Generator[Edit, None, None]:
    """The object's list entry, and its pixels off the frames that it is absent from, which keep
    their status: the others on them are not answered for."""
    object_id, first, last = request.object_id, request.first, request.last
    check_unlocked(annotation, object_id)
    annotation.record(last)  # IndexError outside the video
    one = annotation.object(object_id)
    presence = with_presence(one.presence, first, last, request.state)
    label = object_label(annotation, request.state.name.lower(), object_id)
    group = new_group()
    frames = []
    if request.state is PresenceState.ABSENT:
        frames = [f for f in range(first, last + 1) if object_id in annotation.record(f).objects]
    off = partial(without, ids={object_id})
    cleared = surgery(annotation, label, frames, off, request, group=group)
    objects = with_object(annotation, replace(one, presence=presence))
    entry = list_edit(annotation, label, objects, request, group)
    return _chained(one_edit(entry), cleared)


def with_ids(objects: tuple[ObjectInfo, ...], ids: Iterable[int]) -> tuple[ObjectInfo, ...]:
    """The list of objects with those of `ids` that it lacks, ascending, named by their numbers."""
    for number in sorted(set(ids) - {one.id for one in objects}):
        color = next_color(one.color for one in objects)
        objects = (*objects, ObjectInfo(number, f"Object {number}", color))
    return objects


def with_object(annotation: Annotation, changed: ObjectInfo) -> tuple[ObjectInfo, ...]:
    """The list of objects with another entry for one of them."""
    return tuple(changed if one.id == changed.id else one for one in annotation.objects)


def _overlap_edits(annotation: Annotation, request: OverlapRequest) -> Generator[Edit, None, None]:
    """The object's list entry; one that keeps nothing any more first loses what it had."""
    object_id, keeps_covered = request.object_id, request.keeps_covered
    check_unlocked(annotation, object_id)
    one = annotation.object(object_id)
    label = object_label(annotation, "keep_covered" if keeps_covered else "lose_covered", object_id)
    group = new_group()
    frames = []
    if not keeps_covered:
        frames = [f for f, record in annotation.records.items() if object_id in record.covered]
    others = annotation.keepers - {object_id}
    rest = partial(only_keepers, keepers=others)
    lost = surgery(annotation, label, frames, rest, request, group=group)
    objects = with_object(annotation, replace(one, keeps_covered=keeps_covered))
    return _chained(lost, one_edit(list_edit(annotation, label, objects, request, group)))


_RULES: Final = {
    MemoryRule.PINNED: "pin",
    MemoryRule.EXCLUDED: "exclude",
    MemoryRule.FREE: "release",
}


def _memory_edit(annotation: Annotation, request: MemoryRequest) -> Edit | None:
    """UserError for a frame that has no mask to be pinned with."""
    first, last, rule = request.first, request.last, request.rule
    annotation.record(last)  # IndexError outside the video
    if rule is MemoryRule.PINNED:
        for frame in range(first, last + 1):
            if not annotation.record(frame).present:
                raise UserError(
                    "Frame {frame} has no mask to remember. Nothing was changed.\n\n"
                    "Track over it or give it one first.",
                    frame=frame,
                )
    after = annotation.memory.changed(first, last, rule)
    if after == annotation.memory:
        return None
    return Edit(
        Label(_RULES[rule]),
        cause=request,
        locked=annotation.locked,
        memory_before=annotation.memory,
        memory_after=after,
    )


def list_edit(
    annotation: Annotation,
    label: str,
    objects: tuple[ObjectInfo, ...],
    cause: Request | None = None,
    group: str | None = None,
) -> Edit | None:
    """Another list of objects. None: it is the same. cause: by default the list itself."""
    if objects == annotation.objects:
        return None
    return Edit(
        label,
        objects_before=annotation.objects,
        objects_after=objects,
        group=group,
        cause=cause or ObjectsRequest(objects),
        locked=annotation.locked,
    )


def changed_record(
    record: FrameRecord, after: Stack, given: Collection[int], *, keeps_empty: bool
) -> FrameRecord:
    """A record after a change of many frames, which leaves trust where it was.

    given: its given objects; a corrected frame stays corrected when none of them is left on it.
    keeps_empty: a confirmed one stays confirmed then, too.
    """
    status = record.status
    says_absent = bool(given) if status is FrameStatus.CORRECTED else keeps_empty
    if not after[0].any() and not (status.is_given and says_absent):
        return EMPTY_RECORD
    if status is FrameStatus.CORRECTED and not given:  # only what a tracker put there is left
        status = FrameStatus.TRACKED
    return make_record(after, status, doubt=record.doubt, given=given, mattes=record.mattes)


Color = tuple[int, int, int]

# Okabe and Ito's set for every kind of colour vision (https://jfly.uni-koeln.de/color/), without
# black, the ones that stand out best on photographs first.
OKABE_ITO: Final[tuple[Color, ...]] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
    (204, 121, 167),  # reddish purple
)


_NEAR_LAB: Final = 32.0  # distance in CIELAB below which two colours are hard to tell apart
_MOST_NEAR: Final = 0.2  # share of a picture's pixels
_COLORS: Final = (*OKABE_ITO, *((int(r), int(g), int(b)) for r, g, b in davis_palette()[1:]))


def next_color(used: Iterable[Color], picture: Frame | None = None) -> Color:
    """The first colour that no object has yet: Okabe and Ito's seven, then the masks' palette.

    picture: (H, W, 3) RGB on which the colour has to stand out: one of the seven that is near the
    colour of many of its pixels gives way to the next. There are more colours than objects, so one
    is always left.
    """
    taken = set(used)
    if picture is not None:
        first = [color for color in OKABE_ITO if color not in taken]
        shares = [_share_near(color, picture) for color in first]
        if first:
            strong = (c for c, share in zip(first, shares, strict=True) if share <= _MOST_NEAR)
            return next(strong, first[shares.index(min(shares))])
    return next((color for color in _COLORS if color not in taken), _COLORS[-1])


def _share_near(color: Color, picture: Frame) -> float:
    """The share of the picture's pixels that resemble the colour."""
    step = max(1, min(picture.shape[:2]) // 64)
    small = np.ascontiguousarray(picture[::step, ::step]).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2Lab)
    own = cv2.cvtColor(np.array([[color]], np.float32) / 255, cv2.COLOR_RGB2Lab)
    return float((np.linalg.norm(lab - own, axis=2) < _NEAR_LAB).mean())


MOST_OBJECTS: Final = 255
_SMALLEST_PART_PX, _SMALLEST_PART = 16, 0.02  # of the object's pixels; less is no object


def free_id(objects: Collection[ObjectInfo]) -> int:
    """The lowest id that no object has. UserError if there is none left."""
    used = {one.id for one in objects}
    for object_id in range(1, MOST_OBJECTS + 1):
        if object_id not in used:
            return object_id
    raise UserError(
        "There are {most} objects already, which is as many as a mask can hold.\n\n"
        "Delete or merge some of them.",
        most=MOST_OBJECTS,
    )


def check_unlocked(annotation: Annotation, *object_ids: int) -> None:
    """UserError for the first that is locked, KeyError for one that does not exist."""
    for object_id in object_ids:
        one = annotation.object(object_id)
        if one.is_locked:
            raise UserError(
                "“{name}” is locked.\n\nUnlock it in the list of objects to change it.",
                name=one.name,
            )


def surgery(
    annotation: Annotation,
    label: str,
    frames: Collection[int],
    change: Callable[[Stack], Stack],
    cause: Request | None,
    *,
    group: str | None = None,
    keeps_empty: bool = True,
    given_after: Callable[[FrameRecord], frozenset[int]] = attrgetter("given"),
) -> Generator[Edit, None, None]:
    """`change(stack)` on each of the frames that has a mask; locked objects keep theirs.

    Frames keep their status: a thousand tracked frames that are cleaned up stay tracked.
    given_after: the given objects of each frame afterwards.
    """
    records: dict[int, FrameRecord] = {}
    for frame in sorted(set(frames)):
        record = annotation.record(frame)
        if record.mask is not None:
            records[frame] = record
    locked, shape = annotation.locked, (annotation.height, annotation.width)
    group = group or new_group()

    def steps() -> Generator[Edit, None, None]:
        for frame, record in records.items():
            before = stack_of(record, *shape)
            after = keeping(before, change(before), locked)
            given = given_after(record)
            if is_same(before, after) and given == record.given:
                continue
            changed = changed_record(record, after, given, keeps_empty=keeps_empty)
            yield Edit(
                label, {frame: record}, {frame: changed}, group=group, cause=cause, locked=locked
            )

    return steps()


def _deleting(annotation: Annotation, request: DeleteRequest) -> Generator[Edit, None, None]:
    """The object off every frame, then out of the list."""
    object_id = request.object_id
    check_unlocked(annotation, object_id)
    name = annotation.object(object_id).name
    return _removing(
        annotation,
        Label("delete", name=name),
        object_id,
        partial(without, ids={object_id}),
        request,
        lambda record: record.given - {object_id},
    )


def _merging(annotation: Annotation, request: MergeRequest) -> Generator[Edit, None, None]:
    object_id, into = request.object_id, request.into
    if object_id == into:
        raise ValueError(f"object {object_id} cannot be merged into itself")
    check_unlocked(annotation, object_id, into)
    names = annotation.object(object_id).name, annotation.object(into).name
    return _removing(
        annotation,
        Label("merge", name=names[0], into=names[1]),
        object_id,
        partial(renamed, ids=_new_ids({object_id: into}), keepers=annotation.keepers),
        request,
        partial(_merged_given, object_id, into),
    )


def _swapping(annotation: Annotation, request: SwapRequest) -> Generator[Edit, None, None]:
    first, second, from_frame = request.first, request.second, request.from_frame
    if first == second:
        raise ValueError(f"object {first} cannot be swapped with itself")
    check_unlocked(annotation, first, second)
    annotation.record(from_frame)  # IndexError outside the video
    names = annotation.object(first).name, annotation.object(second).name
    frames = [
        frame
        for frame, record in annotation.records.items()
        if frame >= from_frame and (record.objects | record.given) & {first, second}
    ]
    return surgery(
        annotation,
        Label("swap", name=names[0], other=names[1]),
        frames,
        partial(renamed, ids=_new_ids({first: second, second: first}), keepers=annotation.keepers),
        request,
        given_after=partial(_swapped_given, first, second),
    )


def _split_edit(annotation: Annotation, request: SplitRequest) -> Edit:
    """UserError if the object is in one piece; specks stay with the largest part."""
    frame, object_id = request.frame, request.object_id
    check_unlocked(annotation, object_id)
    one, stack = annotation.object(object_id), annotation.stack(frame)
    labels = np.where(region(stack, object_id), object_id, 0).astype(np.uint8)
    sizes = mask_surgery.part_sizes(labels, object_id)
    least = max(_SMALLEST_PART_PX, _SMALLEST_PART * sum(sizes))
    parts = [size for size in sizes[1:] if size >= least]
    if not parts:
        raise UserError(
            "“{name}” is in one piece on this frame.\n\n"
            "Go to a frame where its parts are apart, or erase what joins them.",
            name=one.name,
        )
    objects = list(annotation.objects)
    new_ids: list[int] = []
    for number, _ in enumerate(parts, start=2):
        new = ObjectInfo(
            free_id(objects),
            f"{one.name} {number}",
            next_color(o.color for o in objects),
            keeps_covered=one.keeps_covered,
        )
        objects.append(new)
        new_ids.append(new.id)
    after = with_labels_of(stack, object_id, mask_surgery.split(labels, object_id, new_ids))
    with_parts = Annotation(
        annotation.frame_count,
        annotation.width,
        annotation.height,
        records={frame: annotation.record(frame)},
        objects=objects,
    )
    edit = hand_edit(with_parts, frame, Label("split", name=one.name), after, request)
    assert edit is not None  # there are parts
    return replace(edit, objects_before=annotation.objects, objects_after=tuple(objects))


def _removing(
    annotation: Annotation,
    label: str,
    object_id: int,
    change: Callable[[Stack], Stack],
    cause: Request,
    given_after: Callable[[FrameRecord], frozenset[int]],
) -> Generator[Edit, None, None]:
    frames = [
        frame
        for frame, record in annotation.records.items()
        if object_id in record.objects | record.given
    ]
    rest = tuple(one for one in annotation.objects if one.id != object_id)
    group, locked = new_group(), annotation.locked
    on_frames = surgery(
        annotation,
        label,
        frames,
        change,
        cause,
        group=group,
        keeps_empty=bool(rest),
        given_after=given_after,
    )
    # Clicks of an object that left every pixel still name it.
    prompts_off = [
        Edit(
            label,
            {frame: record},
            {frame: replace(record, prompts=None) if record.mask else EMPTY_RECORD},
            group=group,
            cause=cause,
            locked=locked,
        )
        for frame, record in annotation.records.items()
        if frame not in frames and record.prompts and record.prompts.object_id == object_id
    ]
    return _chained(
        on_frames, prompts_off, one_edit(list_edit(annotation, label, rest, cause, group))
    )


def _merged_given(object_id: int, into: int, record: FrameRecord) -> frozenset[int]:
    """That an object was taken off says nothing of the one it becomes a part of."""
    is_there = object_id in record.given and object_id in record.objects
    return record.given - {object_id} | ({into} if is_there else set())


def _swapped_given(first: int, second: int, record: FrameRecord) -> frozenset[int]:
    names = {first: second, second: first}
    return frozenset(names.get(one, one) for one in record.given)


def _new_ids(ids: Mapping[int, int]) -> Labels:
    """(256,): each id's new one, by default itself."""
    table = np.arange(256, dtype=np.uint8)
    for old, new in ids.items():
        table[old] = new
    return table
