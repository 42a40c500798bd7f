"""Requests and their plain JSON form in the journal. Needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from interaction.annotation.types import Click, Edit, ObjectInfo, Stroke

__all__ = [
    "DIRECTIONS",
    "UNTIL",
    "Cause",
    "Direction",
    "MemoryUse",
    "Propagated",
    "PropagationRequest",
    "Until",
    "box_cause",
    "click_cause",
    "fill_cause",
    "objects_cause",
    "propagation_cause",
    "scribble_cause",
    "stroke_cause",
]

Direction = Literal["forward", "backward", "both"]
Until = Literal["end", "next_confirmed", "halfway", "settled"]
DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
UNTIL: Final[tuple[Until, ...]] = get_args(Until)


@dataclass(frozen=True, slots=True)
class PropagationRequest:
    """From where to where, and for which objects.

    until: "next_confirmed" stops before the next frame that the annotator answers for; "halfway"
    in the middle between the two, so that each given frame rules its own surroundings; "settled"
    as soon as the new masks have agreed with the old ones for five frames, and in any case before
    the next frame on which the annotator answers for all that is tracked.
    most_frames: beyond `start`, each way. first, last: the range that is worked on, both in it;
    a start before it moves to its edge. objects: None for all; the others keep their masks.
    """

    start: int
    direction: Direction = "forward"
    until: Until = "end"
    most_frames: int | None = None
    first: int | None = None
    last: int | None = None
    objects: frozenset[int] | None = None

    def __post_init__(self) -> None:
        if self.most_frames is not None and self.most_frames < 1:
            raise ValueError(f"most_frames must be at least 1, got {self.most_frames}")
        if self.direction not in DIRECTIONS:
            raise ValueError(f"direction must be one of {list(DIRECTIONS)}, got {self.direction!r}")
        if self.until not in UNTIL:
            raise ValueError(f"until must be one of {list(UNTIL)}, got {self.until!r}")


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What the tracker remembers, in elements, and the bytes this process holds on its device."""

    permanent: int
    working: int
    long_term: int
    device_bytes: int


@dataclass(frozen=True, slots=True)
class Propagated:
    """One step. edit: None where the frame keeps its mask, or nothing was tracked yet."""

    edit: Edit | None
    frame: int
    done: int
    total: int
    memory: MemoryUse | None
    remark: str | None = None  # for people: something to know that is no error


Cause = Mapping[str, Any]
Point = tuple[float, float]


def click_cause(frame: int, object_id: int, click: Click) -> Cause:
    return {
        "kind": "click",
        "frame": frame,
        "object": object_id,
        "x": click.x,
        "y": click.y,
        "is_positive": click.is_positive,
    }


def box_cause(frame: int, object_id: int, corner: Point, opposite: Point) -> Cause:
    return {
        "kind": "box",
        "frame": frame,
        "object": object_id,
        "corner": list(corner),
        "opposite": list(opposite),
    }


def scribble_cause(frame: int, object_id: int, strokes: Sequence[Stroke]) -> Cause:
    plain = [_plain_stroke(one) for one in strokes]
    return {"kind": "scribble", "frame": frame, "object": object_id, "strokes": plain}


def stroke_cause(frame: int, object_id: int, stroke: Stroke) -> Cause:
    return {"kind": "stroke", "frame": frame, "object": object_id, **_plain_stroke(stroke)}


def fill_cause(frame: int, object_id: int, polygon: Sequence[Point], is_positive: bool) -> Cause:
    return {
        "kind": "fill",
        "frame": frame,
        "object": object_id,
        "points": [list(point) for point in polygon],
        "is_positive": is_positive,
    }


def objects_cause(objects: Sequence[ObjectInfo]) -> Cause:
    plain = [
        {
            "id": one.id,
            "name": one.name,
            "color": list(one.color),
            "is_locked": one.is_locked,
            "is_visible": one.is_visible,
        }
        for one in objects
    ]
    return {"kind": "objects", "objects": plain}


def propagation_cause(request: PropagationRequest) -> Cause:
    return {
        "kind": "propagate",
        "start": request.start,
        "direction": request.direction,
        "until": request.until,
        "most_frames": request.most_frames,
        "first": request.first,
        "last": request.last,
        "objects": None if request.objects is None else sorted(request.objects),
    }


def _plain_stroke(stroke: Stroke) -> dict[str, Any]:
    return {
        "points": [list(point) for point in stroke.points],
        "radius_px": stroke.radius_px,
        "is_positive": stroke.is_positive,
    }
