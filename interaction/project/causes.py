"""The cause of an edit, a request, as JSON in the journal, and back: the one place that knows it.

Every value that is read is checked. A cause that is damaged, or of a kind that a later program
writes, becomes an `UnknownRequest`: the masks are what a project is about, and they stay readable.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Final, TypeVar

from interaction.annotation import requests
from interaction.annotation.requests import ImportRequest, SurgeryRequest, UnknownRequest
from interaction.annotation.types import Click, MemoryRule, Point, PresenceState, Request, Stroke
from interaction.project import records
from interaction.project.manifest import encode_json, parse_json
from interaction.project.records import (
    MOST_PX,
    DamagedValueError,
    listing,
    mapping,
    number,
    object_id,
    text,
    truth,
)
from xmem_core.messages import Message

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
    locked = records.object_ids(value.get("locked", []), "locked")
    if not value.keys() - {"locked"}:
        return None, locked
    try:
        return _from_json(text(value.get("kind"), Message("the kind")), value), locked
    except ValueError as error:
        return UnknownRequest(encode_json(value), str(error)), locked


def _to_json(cause: Request) -> dict[str, object]:
    if isinstance(cause, UnknownRequest):
        return dict(mapping(parse_json(cause.text.encode()), Message("the cause")))
    if isinstance(cause, SurgeryRequest):
        kind = _SURGERY + cause.operation
        value = {"kind": kind, "frame": cause.frame, "object": cause.object_id}
        if cause.last is not None:
            value["last"] = cause.last
        if cause.size_px is not None:
            value[_SIZE_KEYS[cause.operation]] = cause.size_px
        if cause.point is not None:
            value["x"], value["y"] = cause.point
        return value
    for kind, row in _ROWS.items():
        if type(cause) is row.request:
            return {"kind": kind, **row.write(cause)}
    raise TypeError(f"{type(cause).__name__} has no place in a journal")


def _from_json(kind: str, value: Json) -> Request:
    """DamagedValueError for a kind that is not known."""
    operation = kind.removeprefix(_SURGERY)
    if kind.startswith(_SURGERY) and operation in requests.OPERATIONS:
        return _surgery(_one_of(requests.OPERATIONS, operation), value)
    if kind == "copy" and "of" in value:  # these three are in journals of earlier programs
        return ImportRequest(text(value["of"], "of"), "project")
    if kind == "workspace":
        return ImportRequest(text(value.get("file"), Message("the file")), "workspace")
    if kind == "outside":
        return ImportRequest("", "outside")
    if kind not in _ROWS:
        raise DamagedValueError(Message("this program knows no step “{kind}”", kind=kind[:40]))
    return _ROWS[kind].read(value)


def _surgery(operation: requests.Operation, value: Json) -> Request:
    size, point = value.get(_SIZE_KEYS.get(operation, "")), None
    if "x" in value or "y" in value:
        point = _pixels(value.get("x")), _pixels(value.get("y"))
    size_px = None if size is None else number(size, Message("the size"), 0, MOST_PX)
    frame, of, last = _frame(value), _object(value), _optional_frame(value, "last")
    return SurgeryRequest(operation, frame, of, size_px, point, last)


def _frame(value: Json, key: str = "frame") -> int:
    return records.integer(value.get(key), key, 0, _MOST_FRAMES)


def _optional_frame(value: Json, key: str) -> int | None:
    return None if value.get(key) is None else _frame(value, key)


def _object(value: Json, key: str = "object") -> int:
    return object_id(value.get(key))


def _optional_object(value: Json, key: str) -> int | None:
    return None if value.get(key) is None else _object(value, key)


def _optional_objects(value: Json, key: str) -> frozenset[int] | None:
    return None if value.get(key) is None else records.object_ids(value[key], key)


def _pixels(value: object) -> float:
    return number(value, "a coordinate", -MOST_PX, MOST_PX)


def _sign(value: Json) -> bool:
    return truth(value.get("is_positive"), "is_positive")


def _point(value: object) -> Point:
    x, y = records.parts(value, "a point", 2, Message("a point is not two numbers"))
    return _pixels(x), _pixels(y)


def _points(value: Json, key: str) -> tuple[Point, ...]:
    return tuple(map(_point, listing(value.get(key), key)))


def _click(value: Json) -> Click:
    return Click(_pixels(value.get("x")), _pixels(value.get("y")), _sign(value))


def _click_to_json(click: Click) -> Json:
    return {"x": click.x, "y": click.y, "is_positive": click.is_positive}


def _stroke(value: Json) -> Stroke:
    radius_px = number(value.get("radius_px"), Message("the radius"), 0, MOST_PX)
    return Stroke(_points(value, "points"), radius_px, _sign(value))


def _stroke_to_json(stroke: Stroke) -> Json:
    return {
        "points": [list(point) for point in stroke.points],
        "radius_px": stroke.radius_px,
        "is_positive": stroke.is_positive,
    }


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
    write: Callable[[Any], Any] = lambda value: value
    is_left_out: bool = False  # where it is None or False
    is_spread: bool = False  # `write` gives several keys and values, in place of its own


@dataclass(frozen=True, slots=True)
class _Row:
    """A request as JSON. values: by key, in the order of the request's fields."""

    request: type[Request]
    values: Mapping[str, _Value]

    def write(self, cause: Request) -> dict[str, object]:
        result: dict[str, object] = {}
        for field, (key, value) in zip(fields(self.request), self.values.items(), strict=True):
            one = getattr(cause, field.name)
            if value.is_spread:
                result |= value.write(one)
            elif not value.is_left_out or not (one is None or one is False):
                result[key] = value.write(one)
        return result

    def read(self, value: Json) -> Request:
        return self.request(*(one.read(value, key) for key, one in self.values.items()))


def _text(what: Message) -> _Value:
    return _Value(lambda value, key: text(value.get(key), what))


def _enum(kind: type[Enum], what: Message) -> _Value:
    return _Value(lambda value, key: kind(text(value.get(key), what)), lambda one: one.value)


def _choice(known: tuple[str, ...]) -> _Value:
    return _Value(lambda value, key: _one_of(known, value.get(key)))


def _flag(*, is_left_out: bool) -> _Value:
    """False where it is not there."""
    return _Value(lambda value, key: truth(value.get(key, False), key), is_left_out=is_left_out)


def _row(request: type[Request], **values: _Value) -> _Row:
    return _Row(request, values)


_FRAME: Final = _Value(_frame)
_ANY_FRAME: Final = _Value(_optional_frame)
_LAST: Final = _Value(_optional_frame, is_left_out=True)
_OBJECT: Final = _Value(_object)
_ANY_OBJECT: Final = _Value(_optional_object)
_POINT: Final = _Value(lambda value, key: _point(value.get(key)), list)
_TRUTH: Final = _Value(lambda value, key: truth(value.get(key), key))

# Requests whose JSON objects hold their fields, each under a key of its own.
_ROWS: Final[Mapping[str, _Row]] = {
    "click": _row(
        requests.ClickRequest,
        frame=_FRAME,
        object=_OBJECT,
        click=_Value(lambda value, _: _click(value), _click_to_json, is_spread=True),
    ),
    "remove_click": _row(requests.RemoveClickRequest, frame=_FRAME, index=_FRAME),
    "box": _row(requests.BoxRequest, frame=_FRAME, object=_OBJECT, corner=_POINT, opposite=_POINT),
    "scribble": _row(
        requests.ScribbleRequest,
        frame=_FRAME,
        object=_OBJECT,
        strokes=_Value(_strokes, lambda strokes: list(map(_stroke_to_json, strokes))),
    ),
    "stroke": _row(
        requests.StrokeRequest,
        frame=_FRAME,
        object=_OBJECT,
        stroke=_Value(lambda value, _: _stroke(value), _stroke_to_json, is_spread=True),
    ),
    "fill": _row(
        requests.FillRequest,
        frame=_FRAME,
        object=_OBJECT,
        points=_Value(_points, lambda points: list(map(list, points))),
        is_positive=_TRUTH,
    ),
    "propagate": _row(
        requests.PropagationRequest,
        start=_FRAME,
        direction=_choice(requests.DIRECTIONS),
        until=_choice(requests.UNTIL),
        most_frames=_ANY_FRAME,
        first=_ANY_FRAME,
        last=_ANY_FRAME,
        objects=_Value(_optional_objects, lambda ids: None if ids is None else sorted(ids)),
        looks_closer=_flag(is_left_out=True),
        blends=_flag(is_left_out=False),
        covered_only=_flag(is_left_out=True),
    ),
    "confirm": _row(requests.ConfirmRequest, frame=_FRAME),
    "unconfirm": _row(requests.UnconfirmRequest, frame=_FRAME),
    "mask": _row(requests.MaskRequest, frame=_FRAME),
    "clear": _row(requests.ClearRequest, frame=_FRAME, object=_ANY_OBJECT, last=_LAST),
    "copy": _Row(requests.CopyRequest, {"from": _FRAME, "frame": _FRAME, "object": _ANY_OBJECT}),
    "objects": _row(
        requests.ObjectsRequest,
        objects=_Value(
            lambda value, key: records.objects_from_json(value.get(key)), records.objects_to_json
        ),
    ),
    "presence": _row(
        requests.PresenceRequest,
        object=_OBJECT,
        first=_FRAME,
        last=_FRAME,
        state=_enum(PresenceState, Message("the state")),
    ),
    "overlap": _row(requests.OverlapRequest, object=_OBJECT, keeps_covered=_TRUTH),
    "memory": _row(
        requests.MemoryRequest,
        first=_FRAME,
        last=_FRAME,
        rule=_enum(MemoryRule, Message("the rule")),
    ),
    "surgery:delete": _row(requests.DeleteRequest, object=_OBJECT),
    "surgery:merge": _row(requests.MergeRequest, object=_OBJECT, into=_OBJECT),
    "surgery:swap": _row(requests.SwapRequest, first=_OBJECT, second=_OBJECT, frame=_FRAME),
    "surgery:split": _row(requests.SplitRequest, frame=_FRAME, object=_OBJECT),
    "import": _row(
        ImportRequest, path=_text(Message("the path")), format=_text(Message("the format"))
    ),
    "version": _row(requests.VersionRequest, name=_text(Message("the name"))),
}
