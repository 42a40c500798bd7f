"""How an edit came about, in plain JSON values: what the journal keeps so that it can be done
again, with other weights if need be (`replay.py`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from interaction.propagation_request import PropagationRequest
from interaction.types import Click, ObjectInfo, Stroke

__all__ = [
    "Cause",
    "box_cause",
    "click_cause",
    "fill_cause",
    "objects_cause",
    "propagation_cause",
    "scribble_cause",
    "stroke_cause",
]

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
