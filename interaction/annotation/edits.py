"""Build edits of frames and of the list of objects. Nothing is applied here."""

import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Final

import cv2
import numpy as np

from interaction.annotation import surgery as mask_surgery
from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.labels import Label
from interaction.annotation.mask_files import davis_palette, decode_labels
from interaction.annotation.requests import (
    ClearRequest,
    ConfirmRequest,
    CopyRequest,
    DeleteRequest,
    FillRequest,
    MergeRequest,
    ObjectsRequest,
    Operation,
    PresenceRequest,
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
    ObjectInfo,
    PresenceState,
    Prompts,
    Request,
    with_presence,
)
from interaction.errors import UserError
from xmem_core.arrays import Frame, Labels

__all__ = [
    "MOST_OBJECTS",
    "OKABE_ITO",
    "by_hand",
    "changed_record",
    "check_unlocked",
    "corrected_status",
    "free_id",
    "given_after",
    "hand_edit",
    "keeping_locked",
    "list_edit",
    "new_group",
    "next_color",
    "object_label",
    "one_edit",
    "surgery",
]


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
    if edit is not None:
        yield edit


def object_label(annotation: Annotation, key: str, object_id: int) -> Label:
    """Of an edit of one object. KeyError if there is no such object, or no such key."""
    return Label(key, name=annotation.object(object_id).name)


def new_group() -> str:
    """A name for the edits of one step of the history."""
    return uuid.uuid4().hex


def corrected_status(status: FrameStatus) -> FrameStatus:
    """A frame's status once its mask was changed by hand."""
    return FrameStatus.CONFIRMED if status is FrameStatus.CONFIRMED else FrameStatus.CORRECTED


def touched_objects(before: Labels, after: Labels) -> frozenset[int]:
    """The ids of all objects that gained or lost a pixel."""
    is_changed = before != after
    both = np.concatenate([before[is_changed], after[is_changed]])
    return frozenset(np.unique(both).tolist()) - {0}


def given_after(old: FrameRecord, before: Labels, after: Labels) -> frozenset[int]:
    """What a corrected frame speaks for once its mask was changed by hand: all that was on it when
    it was first corrected, and all that has been touched."""
    started = old.given if old.status.is_given else old.present
    return started | touched_objects(before, after)


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
    after: Labels,
    cause: Request,
    *,
    prompts: Prompts | None = None,
) -> Edit | None:
    """The frame's mask becomes `after`, (H, W) uint8, but for locked objects. None: no change.

    ValueError if it has another size or type, or holds an object that is not in the list.
    """
    before = annotation.labels(frame)
    if after.shape != before.shape or after.dtype != np.uint8:
        raise ValueError(f"a mask must be uint8 {before.shape}, got {after.dtype} {after.shape}")
    after = keeping_locked(before, after, annotation.locked)
    old = annotation.record(frame)
    if np.array_equal(before, after) and prompts == old.prompts:
        return None
    given = given_after(old, before, after)
    record = make_record(after, corrected_status(old.status), prompts=prompts, given=given)
    unknown = record.present - {one.id for one in annotation.objects}
    if unknown:
        raise ValueError(f"the mask holds objects {sorted(unknown)}, which do not exist")
    return Edit(label, {frame: old}, {frame: record}, cause=cause, locked=annotation.locked)


def _stroke_edit(annotation: Annotation, request: StrokeRequest) -> Edit | None:
    check_unlocked(annotation, request.object_id)
    stroke, before = request.stroke, annotation.labels(request.frame)
    after = paint(before, request.object_id, stroke, annotation.locked)
    key = "paint" if stroke.is_positive else "erase"
    label = object_label(annotation, key, request.object_id)
    return hand_edit(annotation, request.frame, label, after, request)


def _fill_edit(annotation: Annotation, request: FillRequest) -> Edit | None:
    check_unlocked(annotation, request.object_id)
    after = fill_polygon(
        annotation.labels(request.frame),
        request.object_id,
        request.polygon,
        request.is_positive,
        annotation.locked,
    )
    key = "lasso" if request.is_positive else "cut_out"
    label = object_label(annotation, key, request.object_id)
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
    before = annotation.labels(frame)
    cleared = before != 0 if object_id is None else before == object_id
    after = np.where(cleared, 0, before).astype(np.uint8)
    after = keeping_locked(before, after, annotation.locked)
    is_unchanged = np.array_equal(before, after)
    if is_unchanged and (object_id is not None or bool(before.any())):
        return None
    record = EMPTY_RECORD
    if after.any() or object_id is not None:
        given = given_after(old, before, after)
        record = make_record(after, corrected_status(old.status), given=given)
    return Edit(label, {frame: old}, {frame: record}, cause=request, locked=annotation.locked)


def _clear_edits(annotation: Annotation, request: ClearRequest) -> Generator[Edit, None, None]:
    """One object off each frame of a range that has pixels of it, given as absent there."""
    object_id, locked = request.object_id, annotation.locked
    assert object_id is not None  # as the request says
    check_unlocked(annotation, object_id)
    label = object_label(annotation, "clear_object", object_id)
    found = {frame: annotation.record(frame) for frame in _range(request.frame, request.last)}
    records = {frame: record for frame, record in found.items() if object_id in record.present}
    group = new_group()

    def steps() -> Generator[Edit, None, None]:
        for frame, old in records.items():
            assert old.mask is not None  # it has pixels
            before = decode_labels(old.mask)
            after = mask_surgery.erase(before, object_id)
            given = given_after(old, before, after)
            record = make_record(
                after, corrected_status(old.status), doubt=old.doubt, given=given, signs=old.signs
            )
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
    source, before = annotation.labels(request.from_frame), annotation.labels(request.frame)
    after = source
    if object_id is not None:
        after = np.where(before == object_id, 0, before).astype(np.uint8)
        after[source == object_id] = object_id
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
    label, change = Label(request.operation), _OPERATIONS[request.operation]
    numbers = request.point or (() if request.size_px is None else (request.size_px,))
    before = annotation.labels(request.frame)
    after = change(before, request.object_id, *numbers, locked=annotation.locked)
    return hand_edit(annotation, request.frame, label, after, request)


def _shape_edits(annotation: Annotation, request: SurgeryRequest) -> Generator[Edit, None, None]:
    """On each frame of a range that has a mask; frames keep their status."""
    check_unlocked(annotation, request.object_id)
    label, change = Label(request.operation), _OPERATIONS[request.operation]
    numbers = request.point or (() if request.size_px is None else (request.size_px,))
    locked = annotation.locked

    def changed(_: int, labels: Labels) -> Labels:
        return change(labels, request.object_id, *numbers, locked=locked)

    return surgery(annotation, label, _range(request.frame, request.last), changed, request)


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
    objects, group, locked = annotation.objects, new_group(), annotation.locked
    after = tuple(replace(o, presence=presence) if o is one else o for o in objects)
    frames = []
    if request.state is PresenceState.ABSENT:
        frames = [f for f in range(first, last + 1) if object_id in annotation.record(f).present]
    cleared = surgery(
        annotation,
        label,
        frames,
        partial(_on_labels, partial(mask_surgery.erase, object_id=object_id)),
        request,
        group=group,
        keeps_empty=True,
    )

    def steps() -> Generator[Edit, None, None]:
        if presence != one.presence:
            yield Edit(
                label,
                objects_before=objects,
                objects_after=after,
                group=group,
                cause=request,
                locked=locked,
            )
        yield from cleared

    return steps()


def list_edit(annotation: Annotation, label: str, objects: tuple[ObjectInfo, ...]) -> Edit | None:
    """Another list of objects. None: it is the same."""
    if objects == annotation.objects:
        return None
    return Edit(
        label,
        objects_before=annotation.objects,
        objects_after=objects,
        cause=ObjectsRequest(objects),
        locked=annotation.locked,
    )


def changed_record(
    record: FrameRecord, after: Labels, given: Collection[int], *, keeps_empty: bool
) -> FrameRecord:
    """A record after a change of many frames, which leaves trust where it was.

    given: what it speaks for now; a corrected frame on which nothing of that is left still says
    so. keeps_empty: and so does a confirmed one.
    """
    status = record.status
    says_absent = bool(given) if status is FrameStatus.CORRECTED else keeps_empty
    if not after.any() and not (status.is_given and says_absent):
        return EMPTY_RECORD
    if status is FrameStatus.CORRECTED and not given:  # only what a tracker put there is left
        status = FrameStatus.TRACKED
    return make_record(after, status, doubt=record.doubt, given=given)


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
    palette = [(int(r), int(g), int(b)) for r, g, b in davis_palette()[1:]]
    candidates = (*OKABE_ITO, *palette)
    return next((color for color in candidates if color not in taken), candidates[-1])


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
    change: Callable[[int, Labels], Labels],
    cause: Request | None,
    *,
    group: str | None = None,
    keeps_empty: bool = True,
    given_after: Callable[[FrameRecord], frozenset[int]] = attrgetter("given"),
) -> Generator[Edit, None, None]:
    """`change(frame, labels)` on each of the frames that has a mask; locked objects keep theirs.

    Frames keep their status: a thousand tracked frames that are cleaned up stay tracked.
    given_after: the objects that a frame speaks for afterwards.
    """
    records: dict[int, FrameRecord] = {}
    for frame in sorted(set(frames)):
        record = annotation.record(frame)
        if record.mask is not None:
            records[frame] = record
    locked = annotation.locked
    group = group or new_group()

    def steps() -> Generator[Edit, None, None]:
        for frame, record in records.items():
            assert record.mask is not None
            before = decode_labels(record.mask)
            after = keeping_locked(before, change(frame, before.copy()), locked)
            given = given_after(record)
            if np.array_equal(before, after) and given == record.given:
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
        partial(_on_labels, partial(mask_surgery.erase, object_id=object_id)),
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
        partial(_on_labels, partial(mask_surgery.move_object, from_id=object_id, to_id=into)),
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
        if frame >= from_frame and (record.present | record.given) & {first, second}
    ]
    return surgery(
        annotation,
        Label("swap", name=names[0], other=names[1]),
        frames,
        partial(_on_labels, partial(mask_surgery.swap, first_id=first, second_id=second)),
        request,
        given_after=partial(_swapped_given, first, second),
    )


def _split_edit(annotation: Annotation, request: SplitRequest) -> Edit:
    """UserError if the object is in one piece; specks stay with the largest part."""
    frame, object_id = request.frame, request.object_id
    check_unlocked(annotation, object_id)
    one, labels = annotation.object(object_id), annotation.labels(frame)
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
            free_id(objects), f"{one.name} {number}", next_color(o.color for o in objects)
        )
        objects.append(new)
        new_ids.append(new.id)
    after = mask_surgery.split(labels, object_id, new_ids)
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
    change: Callable[[int, Labels], Labels],
    cause: Request,
    given_after: Callable[[FrameRecord], frozenset[int]],
) -> Generator[Edit, None, None]:
    frames = [
        frame
        for frame, record in annotation.records.items()
        if object_id in record.present | record.given
    ]
    rest = tuple(one for one in annotation.objects if one.id != object_id)
    group = new_group()
    objects, locked = annotation.objects, annotation.locked
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
    prompted = {
        frame: record
        for frame, record in annotation.records.items()
        if frame not in frames and record.prompts and record.prompts.object_id == object_id
    }

    def steps() -> Generator[Edit, None, None]:
        yield from on_frames
        for frame, record in prompted.items():
            yield Edit(
                label,
                {frame: record},
                {frame: replace(record, prompts=None) if record.mask else EMPTY_RECORD},
                group=group,
                cause=cause,
                locked=locked,
            )
        yield Edit(
            label,
            objects_before=objects,
            objects_after=rest,
            group=group,
            cause=cause,
            locked=locked,
        )

    return steps()


def _merged_given(object_id: int, into: int, record: FrameRecord) -> frozenset[int]:
    """That an object was taken off says nothing of the one it becomes a part of."""
    is_there = object_id in record.given & record.present
    return record.given - {object_id} | ({into} if is_there else set())


def _swapped_given(first: int, second: int, record: FrameRecord) -> frozenset[int]:
    names = {first: second, second: first}
    return frozenset(names.get(one, one) for one in record.given)


def _on_labels(change: Callable[[Labels], Labels], _frame: int, labels: Labels) -> Labels:
    return change(labels)
