"""The cause of an edit, a request, as JSON in the journal, and back: the one place that knows it.

Every value that is read is checked. A cause that is damaged, or of a kind that a later program
writes, becomes an `UnknownRequest`: the masks are what a project is about, and they stay readable.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

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
        case RemoveClickRequest(frame, index):
            return {"kind": "remove_click", "frame": frame, "index": index}
        case BoxRequest(frame, of, corner, opposite):
            return _on("box", frame, of, corner=list(corner), opposite=list(opposite))
        case ScribbleRequest(frame, of, strokes):
            return _on("scribble", frame, of, strokes=[_stroke_to_json(one) for one in strokes])
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
            }
        case StrokeRequest(frame, of, stroke):
            return _on("stroke", frame, of, **_stroke_to_json(stroke))
        case FillRequest(frame, of, polygon, is_positive):
            points = [list(point) for point in polygon]
            return _on("fill", frame, of, points=points, is_positive=is_positive)
        case SurgeryRequest(operation, frame, of, size_px, point, last):
            value = _on(_SURGERY + operation, frame, of) | _up_to(last)
            if size_px is not None:
                value[_SIZE_KEYS[operation]] = size_px
            if point is not None:
                value["x"], value["y"] = point
            return value
        case ConfirmRequest(frame):
            return {"kind": "confirm", "frame": frame}
        case UnconfirmRequest(frame):
            return {"kind": "unconfirm", "frame": frame}
        case MaskRequest(frame):
            return {"kind": "mask", "frame": frame}
        case ClearRequest(frame, of, last):
            return _on("clear", frame, of) | _up_to(last)
        case CopyRequest(from_frame, frame, of):
            return {**_on("copy", frame, of), "from": from_frame}
        case ObjectsRequest(objects):
            return {"kind": "objects", "objects": objects_to_json(objects)}
        case PresenceRequest(of, first, last, state):
            return {
                "kind": "presence",
                "object": of,
                "first": first,
                "last": last,
                "state": state.value,
            }
        case OverlapRequest(of, keeps_covered):
            return {"kind": "overlap", "object": of, "keeps_covered": keeps_covered}
        case MemoryRequest(first, last, rule):
            return {"kind": "memory", "first": first, "last": last, "rule": rule.value}
        case DeleteRequest(of):
            return {"kind": "surgery:delete", "object": of}
        case MergeRequest(of, into):
            return {"kind": "surgery:merge", "object": of, "into": into}
        case SwapRequest(first, second, frame):
            return {"kind": "surgery:swap", "first": first, "second": second, "frame": frame}
        case SplitRequest(frame, of):
            return _on("surgery:split", frame, of)
        case ImportRequest(path, format_name):
            return {"kind": "import", "path": path, "format": format_name}
        case VersionRequest(name):
            return {"kind": "version", "name": name}
        case UnknownRequest(plain):
            return dict(mapping(parse_json(plain.encode()), Message("the cause")))
    raise TypeError(f"{type(cause).__name__} has no place in a journal")


def _on(kind: str, frame: int, of: int | None, **others: object) -> dict[str, object]:
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
    )


_READERS: Final[Mapping[str, Callable[[Json], Request]]] = {
    "click": lambda value: ClickRequest(
        _frame(value),
        _object(value),
        Click(_pixels(value.get("x")), _pixels(value.get("y")), _sign(value)),
    ),
    "remove_click": lambda value: RemoveClickRequest(_frame(value), _frame(value, "index")),
    "box": lambda value: BoxRequest(
        _frame(value), _object(value), _point(value.get("corner")), _point(value.get("opposite"))
    ),
    "scribble": lambda value: ScribbleRequest(
        _frame(value),
        _object(value),
        tuple(
            _stroke(mapping(one, "a stroke")) for one in listing(value.get("strokes"), "strokes")
        ),
    ),
    "propagate": _propagation,
    "stroke": lambda value: StrokeRequest(_frame(value), _object(value), _stroke(value)),
    "fill": lambda value: FillRequest(
        _frame(value), _object(value), _points(value.get("points")), _sign(value)
    ),
    "confirm": lambda value: ConfirmRequest(_frame(value)),
    "unconfirm": lambda value: UnconfirmRequest(_frame(value)),
    "mask": lambda value: MaskRequest(_frame(value)),
    "clear": lambda value: ClearRequest(
        _frame(value), _optional_object(value), _optional_frame(value, "last")
    ),
    "copy": lambda value: CopyRequest(
        _frame(value, "from"), _frame(value), _optional_object(value)
    ),
    "objects": lambda value: ObjectsRequest(objects_from_json(value.get("objects"))),
    "presence": lambda value: PresenceRequest(
        _object(value),
        _frame(value, "first"),
        _frame(value, "last"),
        PresenceState(text(value.get("state"), Message("the state"))),
    ),
    "overlap": lambda value: OverlapRequest(
        _object(value), truth(value.get("keeps_covered"), "keeps_covered")
    ),
    "memory": lambda value: MemoryRequest(
        _frame(value, "first"),
        _frame(value, "last"),
        MemoryRule(text(value.get("rule"), Message("the rule"))),
    ),
    "surgery:delete": lambda value: DeleteRequest(_object(value)),
    "surgery:merge": lambda value: MergeRequest(_object(value), _object(value, "into")),
    "surgery:swap": lambda value: SwapRequest(
        _object(value, "first"), _object(value, "second"), _frame(value)
    ),
    "surgery:split": lambda value: SplitRequest(_frame(value), _object(value)),
    "import": lambda value: ImportRequest(
        text(value.get("path"), Message("the path")),
        text(value.get("format"), Message("the format")),
    ),
    "version": lambda value: VersionRequest(text(value.get("name"), Message("the name"))),
    # Earlier programs:
    "workspace": lambda value: ImportRequest(
        text(value.get("file"), Message("the file")), "workspace"
    ),
    "outside": lambda _: ImportRequest("", "outside"),
}


def _up_to(last: int | None) -> dict[str, object]:
    return {} if last is None else {"last": last}


def _frame(value: Json, key: str = "frame") -> int:
    return integer(value.get(key), key, 0, _MOST_FRAMES)


def _optional_frame(value: Json, key: str) -> int | None:
    return None if value.get(key) is None else _frame(value, key)


def _object(value: Json, key: str = "object") -> int:
    return object_id(value.get(key))


def _optional_object(value: Json) -> int | None:
    return None if value.get("object") is None else _object(value)


def _pixels(value: object) -> float:
    return number(value, "a coordinate", -MOST_PX, MOST_PX)


def _sign(value: Json) -> bool:
    return truth(value.get("is_positive"), "is_positive")


def _point(value: object) -> Point:
    parts = listing(value, "a point")
    if len(parts) != 2:
        raise DamagedValueError(Message("a point is not two numbers"))
    return _pixels(parts[0]), _pixels(parts[1])


def _points(value: object) -> tuple[Point, ...]:
    return tuple(map(_point, listing(value, "points")))


def _stroke(value: Json) -> Stroke:
    radius_px = number(value.get("radius_px"), Message("the radius"), 0, MOST_PX)
    return Stroke(_points(value.get("points")), radius_px, _sign(value))


def _one_of(known: tuple[T, ...], value: object) -> T:
    for one in known:
        if one == value:
            return one
    raise DamagedValueError(
        Message("{value!r:.40} is none of {known}", value=value, known=", ".join(map(str, known)))
    )
