"""The cause of an edit, a request, as JSON in the journal, and back: the one place that knows it.

Every value that is read is checked. A cause that is damaged, or of a kind that a later program
writes, becomes an `UnknownRequest`: the masks are what a project is about, and they stay readable.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Final, TypeVar

from interaction.annotation.requests import (
    DIRECTIONS,
    OPERATIONS,
    UNTIL,
    BoxRequest,
    ClearRequest,
    ClickRequest,
    ConfirmRequest,
    CopyRequest,
    DeleteRequest,
    FillRequest,
    ImportRequest,
    MaskRequest,
    MemoryRequest,
    MergeRequest,
    ObjectsRequest,
    OverlapRequest,
    PresenceRequest,
    PropagationRequest,
    RemoveClickRequest,
    ScribbleRequest,
    SplitRequest,
    StrokeRequest,
    SurgeryRequest,
    SwapRequest,
    UnconfirmRequest,
    UnknownRequest,
    VersionRequest,
)
from interaction.annotation.types import Click, MemoryRule, Point, PresenceState, Request, Stroke
from interaction.project.manifest import encode_json, parse_json
from interaction.project.records import (
    MOST_PX,
    DamagedValueError,
    integer,
    listing,
    mapping,
    number,
    object_id,
    objects_from_json,
    objects_to_json,
    text,
    truth,
)
from xmem_core.messages import Message

__all__ = ["cause_from_json", "cause_to_json"]

Json = Mapping[str, object]
T = TypeVar("T")

_MOST_FRAMES: Final = 2**31
_SURGERY: Final = "surgery:"
# The key of `SurgeryRequest.size_px`, by operation.
_SIZE_KEYS: Final = {
    "fill_holes": "largest_px",
    "grow": "px",
    "remove_specks": "smallest_px",
    "shrink": "px",
    "smooth": "px",
}


def cause_to_json(cause: Request | None, locked: frozenset[int]) -> dict[str, object]:
    """locked: the objects that were locked then."""
    value = {} if cause is None else _to_json(cause)
    if locked and not isinstance(cause, UnknownRequest):
        value["locked"] = sorted(locked)
    return value


def cause_from_json(value: object) -> tuple[Request | None, frozenset[int]]:
    """The cause and the objects that were locked then. DamagedValueError if `value` is no JSON
    object, or what was locked cannot be read: edits are rebased by it."""
    value = mapping(value, Message("the cause"))
    locked = frozenset(map(object_id, listing(value.get("locked", []), "locked")))
    if not value.keys() - {"locked"}:
        return None, locked
    try:
        kind = text(value.get("kind"), Message("the kind"))
        return _reader(kind, value)(value), locked
    except ValueError as error:
        return UnknownRequest(encode_json(value), str(error)), locked


def _to_json(cause: Request) -> dict[str, object]:
    match cause:
        case ClickRequest(frame, of, click):
            x, y, is_positive = click.x, click.y, click.is_positive
            return _on("click", frame, of, x=x, y=y, is_positive=is_positive)
        case StrokeRequest(frame, of, stroke):
            return _on("stroke", frame, of, **_stroke_to_json(stroke))
        case PropagationRequest():
            return {
                "kind": "propagate",
                "start": cause.start,
                "direction": cause.direction,
                "until": cause.until,
                "most_frames": cause.most_frames,
                "first": cause.first,
                "last": cause.last,
                "objects": None if cause.objects is None else sorted(cause.objects),
                **({"looks_closer": True} if cause.looks_closer else {}),
                "blends": cause.blends,
                **({"covered_only": True} if cause.covered_only else {}),
            }
        case SurgeryRequest(operation, frame, of, size_px, point, last):
            value = _on(_SURGERY + operation, frame, of)
            if last is not None:
                value["last"] = last
            if size_px is not None:
                value[_SIZE_KEYS[operation]] = size_px
            if point is not None:
                value["x"], value["y"] = point
            return value
        case UnknownRequest(plain):
            return dict(mapping(parse_json(plain.encode()), Message("the cause")))
    for kind, row in _ROWS.items():
        if type(cause) is row.request:
            return {"kind": kind, **row.write(cause)}
    raise TypeError(f"{type(cause).__name__} has no place in a journal")


def _on(kind: str, frame: int, of: int, **others: object) -> dict[str, object]:
    return {"kind": kind, "frame": frame, "object": of, **others}


def _stroke_to_json(stroke: Stroke) -> dict[str, object]:
    return {
        "points": [list(point) for point in stroke.points],
        "radius_px": stroke.radius_px,
        "is_positive": stroke.is_positive,
    }


def _reader(kind: str, value: Json) -> Callable[[Json], Request]:
    """DamagedValueError for a kind that is not known."""
    name = kind.removeprefix(_SURGERY)
    if kind.startswith(_SURGERY) and name in OPERATIONS:
        return _surgery
    if kind == "copy" and "of" in value:  # a copy of a project, in journals of earlier programs
        return lambda value: ImportRequest(text(value["of"], "of"), "project")
    if kind in _ROWS:
        return _ROWS[kind].read
    if kind not in _READERS:
        raise DamagedValueError(Message("this program knows no step “{kind}”", kind=kind[:40]))
    return _READERS[kind]


def _surgery(value: Json) -> Request:
    operation = _one_of(OPERATIONS, text(value.get("kind"), "kind").removeprefix(_SURGERY))
    size, point = value.get(_SIZE_KEYS.get(operation, "")), None
    if "x" in value or "y" in value:
        point = _pixels(value.get("x")), _pixels(value.get("y"))
    size_px = None if size is None else number(size, Message("the size"), 0, MOST_PX)
    last = _optional_frame(value, "last")
    return SurgeryRequest(operation, _frame(value), _object(value), size_px, point, last)


def _propagation(value: Json) -> Request:
    objects = value.get("objects")
    return PropagationRequest(
        start=_frame(value, "start"),
        direction=_one_of(DIRECTIONS, value.get("direction")),
        until=_one_of(UNTIL, value.get("until")),
        most_frames=_optional_frame(value, "most_frames"),
        first=_optional_frame(value, "first"),
        last=_optional_frame(value, "last"),
        objects=None if objects is None else frozenset(map(object_id, listing(objects, "objects"))),
        looks_closer=truth(value.get("looks_closer", False), "looks_closer"),
        blends=truth(value.get("blends", False), "blends"),
        covered_only=truth(value.get("covered_only", False), "covered_only"),
    )


_READERS: Final[Mapping[str, Callable[[Json], Request]]] = {
    "click": lambda value: ClickRequest(
        _frame(value),
        _object(value),
        Click(_pixels(value.get("x")), _pixels(value.get("y")), _sign(value)),
    ),
    "stroke": lambda value: StrokeRequest(_frame(value), _object(value), _stroke(value)),
    "propagate": _propagation,
    # Earlier programs:
    "workspace": lambda value: ImportRequest(
        text(value.get("file"), Message("the file")), "workspace"
    ),
    "outside": lambda _: ImportRequest("", "outside"),
}


def _frame(value: Json, key: str = "frame") -> int:
    return integer(value.get(key), key, 0, _MOST_FRAMES)


def _optional_frame(value: Json, key: str) -> int | None:
    return None if value.get(key) is None else _frame(value, key)


def _object(value: Json, key: str = "object") -> int:
    return object_id(value.get(key))


def _optional_object(value: Json, key: str) -> int | None:
    return None if value.get(key) is None else _object(value, key)


def _pixels(value: object) -> float:
    return number(value, "a coordinate", -MOST_PX, MOST_PX)


def _sign(value: Json) -> bool:
    return truth(value.get("is_positive"), "is_positive")


def _point(value: object) -> Point:
    parts = listing(value, "a point")
    if len(parts) != 2:
        raise DamagedValueError(Message("a point is not two numbers"))
    return _pixels(parts[0]), _pixels(parts[1])


def _points(value: Json, key: str) -> tuple[Point, ...]:
    return tuple(map(_point, listing(value.get(key), key)))


def _stroke(value: Json) -> Stroke:
    radius_px = number(value.get("radius_px"), Message("the radius"), 0, MOST_PX)
    return Stroke(_points(value, "points"), radius_px, _sign(value))


def _strokes(value: Json, key: str) -> tuple[Stroke, ...]:
    return tuple(_stroke(mapping(one, "a stroke")) for one in listing(value.get(key), key))


def _one_of(known: tuple[T, ...], value: object) -> T:
    for one in known:
        if one == value:
            return one
    raise DamagedValueError(
        Message("{value!r:.40} is none of {known}", value=value, known=", ".join(map(str, known)))
    )


@dataclass(frozen=True, slots=True)
class _Value:
    """A field of a request under a key of its JSON object."""

    read: Callable[[Json, str], object]  # of the object, by key
    write: Callable[[Any], object] = lambda value: value
    is_left_out: bool = False  # where it is None


@dataclass(frozen=True, slots=True)
class _Row:
    """A request as JSON. values: by key, in the order of the request's fields."""

    request: type[Request]
    values: Mapping[str, _Value]

    def write(self, cause: Request) -> dict[str, object]:
        own = zip(fields(self.request), self.values.items(), strict=True)
        found = ((key, value, getattr(cause, field.name)) for field, (key, value) in own)
        return {
            key: value.write(one)
            for key, value, one in found
            if one is not None or not value.is_left_out
        }

    def read(self, value: Json) -> Request:
        return self.request(*(one.read(value, key) for key, one in self.values.items()))


def _text(what: Message) -> _Value:
    return _Value(lambda value, key: text(value.get(key), what))


def _enum(kind: type[Enum], what: Message) -> _Value:
    return _Value(lambda value, key: kind(text(value.get(key), what)), lambda one: one.value)


def _row(request: type[Request], **values: _Value) -> _Row:
    return _Row(request, values)


_FRAME: Final = _Value(_frame)
_LAST: Final = _Value(_optional_frame, is_left_out=True)
_OBJECT: Final = _Value(_object)
_ANY_OBJECT: Final = _Value(_optional_object)
_POINT: Final = _Value(lambda value, key: _point(value.get(key)), list)
_TRUTH: Final = _Value(lambda value, key: truth(value.get(key), key))

# Requests whose JSON objects hold their fields, each under a key of its own.
_ROWS: Final[Mapping[str, _Row]] = {
    "remove_click": _row(RemoveClickRequest, frame=_FRAME, index=_FRAME),
    "box": _row(BoxRequest, frame=_FRAME, object=_OBJECT, corner=_POINT, opposite=_POINT),
    "scribble": _row(
        ScribbleRequest,
        frame=_FRAME,
        object=_OBJECT,
        strokes=_Value(_strokes, lambda strokes: list(map(_stroke_to_json, strokes))),
    ),
    "fill": _row(
        FillRequest,
        frame=_FRAME,
        object=_OBJECT,
        points=_Value(_points, lambda points: list(map(list, points))),
        is_positive=_TRUTH,
    ),
    "confirm": _row(ConfirmRequest, frame=_FRAME),
    "unconfirm": _row(UnconfirmRequest, frame=_FRAME),
    "mask": _row(MaskRequest, frame=_FRAME),
    "clear": _row(ClearRequest, frame=_FRAME, object=_ANY_OBJECT, last=_LAST),
    "copy": _Row(CopyRequest, {"from": _FRAME, "frame": _FRAME, "object": _ANY_OBJECT}),
    "objects": _row(
        ObjectsRequest,
        objects=_Value(lambda value, key: objects_from_json(value.get(key)), objects_to_json),
    ),
    "presence": _row(
        PresenceRequest,
        object=_OBJECT,
        first=_FRAME,
        last=_FRAME,
        state=_enum(PresenceState, Message("the state")),
    ),
    "overlap": _row(OverlapRequest, object=_OBJECT, keeps_covered=_TRUTH),
    "memory": _row(
        MemoryRequest, first=_FRAME, last=_FRAME, rule=_enum(MemoryRule, Message("the rule"))
    ),
    "surgery:delete": _row(DeleteRequest, object=_OBJECT),
    "surgery:merge": _row(MergeRequest, object=_OBJECT, into=_OBJECT),
    "surgery:swap": _row(SwapRequest, first=_OBJECT, second=_OBJECT, frame=_FRAME),
    "surgery:split": _row(SplitRequest, frame=_FRAME, object=_OBJECT),
    "import": _row(
        ImportRequest, path=_text(Message("the path")), format=_text(Message("the format"))
    ),
    "version": _row(VersionRequest, name=_text(Message("the name"))),
}
