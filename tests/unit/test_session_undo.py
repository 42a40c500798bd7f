"""Undo and redo over everything, exact to the byte, whatever was done in whatever order."""

import uuid
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interaction.annotation.requests import (
    ClearRequest,
    ConfirmRequest,
    CopyRequest,
    DeleteRequest,
    FillRequest,
    MergeRequest,
    PropagationRequest,
    SplitRequest,
    StrokeRequest,
    SwapRequest,
    UnconfirmRequest,
)
from interaction.annotation.types import (
    EMPTY_RECORD,
    Edit,
    FrameRecord,
    FrameStatus,
    ObjectInfo,
    Stroke,
)
from interaction.answers import answer, propagation
from interaction.errors import UserError
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines, open_session

State = tuple[dict[int, FrameRecord], tuple[ObjectInfo, ...]]
FRAMES = 5


def state(session: Session) -> State:
    return dict(session.annotation.records), session.annotation.objects


def do(session: Session, data: st.DataObject, among: Collection[str] = ()) -> None:
    """One thing an annotator may do, or one of a few. What is refused must change nothing."""
    frames, ids = st.integers(0, FRAMES - 1), st.integers(1, 3)
    frame, object_id, other = data.draw(frames), data.draw(ids), data.draw(ids)
    point = data.draw(st.tuples(st.integers(0, 59), st.integers(0, 47)))
    is_positive = data.draw(st.booleans())
    actions = {
        "add": lambda: session.add_object(),
        "rename": lambda: session.objects.rename(object_id, f"name {point}"),
        "lock": lambda: session.objects.set_locked(object_id, is_positive),
        "hide": lambda: session.objects.set_visible(object_id, is_positive),
        "move": lambda: session.objects.move(object_id, other),
        "stroke": lambda: session.do(
            StrokeRequest(frame, object_id, Stroke((point,), 6, is_positive))
        ),
        "fill": lambda: session.do(
            FillRequest(frame, object_id, ((2, 2), (40, 2), point), is_positive)
        ),
        "click": lambda: session.click(frame, object_id, *point, is_positive),
        "remove click": lambda: session.remove_click(frame, 0),
        "box": lambda: session.box(frame, object_id, (5, 5), (point[0] + 6, point[1] + 6)),
        "confirm": lambda: session.do(ConfirmRequest(frame)),
        "unconfirm": lambda: session.do(UnconfirmRequest(frame)),
        "clear": lambda: session.do(ClearRequest(frame, object_id if is_positive else None)),
        "copy": lambda: session.do(CopyRequest(frame, other, object_id if is_positive else None)),
        "roll": lambda: session.set_mask(frame, np.roll(session.masks[frame], 7)),
        "delete": lambda: session.do(DeleteRequest(object_id)),
        "merge": lambda: session.do(MergeRequest(object_id, other)),
        "swap": lambda: session.do(SwapRequest(object_id, other, frame)),
        "split": lambda: session.do(SplitRequest(frame, object_id)),
        "propagate": lambda: session.propagate(frame, "both" if is_positive else "forward"),
        "undo": session.undo,
        "redo": session.redo,
    }
    before = state(session)
    try:
        actions[data.draw(st.sampled_from(list(among or actions)))]()
    except (KeyError, IndexError, UserError, ValueError):
        assert state(session) == before


@settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_work_is_undone_and_redone_to_the_byte(tmp_path: Path, data: st.DataObject) -> None:
    with open_session(tmp_path, FRAMES) as session:
        session.add_object()
        states = {session.history.position: state(session)}
        for _ in range(data.draw(st.integers(1, 12))):
            do(session, data)
            position = session.history.position
            states = {at: one for at, one in states.items() if at < position}
            states[position] = state(session)
        final = state(session)
        session.ledger.go_to(len(session.history.entries))
        last = state(session)
        for position in range(session.history.position, -1, -1):
            session.ledger.go_to(position)
            if position in states and position <= len(session.history.entries):
                assert state(session) == states[position]
        assert state(session) == ({}, ())
        session.ledger.go_to(len(session.history.entries))
        assert state(session) == last
        for at, one in states.items():
            session.ledger.go_to(at)
            assert state(session) == one
        assert final in states.values()


@settings(
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_what_is_done_in_the_midst_of_long_work_is_undone_to_the_byte_also_when_reopened(
    tmp_path: Path, data: st.DataObject
) -> None:
    if not (tmp_path / "clip").exists():
        tiny.write_clip(tmp_path / "clip", FRAMES)
    project = tmp_path / f"{uuid.uuid4()}.vos"
    with Session.open(tmp_path / "clip", project, engines=FakeEngines()) as session:
        for object_id in (1, 2):
            session.add_object()
            session.do(StrokeRequest(object_id, object_id, Stroke(((20.0, 20.0),), 6)))
        for edit in _long_work(session, data.draw(st.sampled_from(["run", "delete", "swap"]))):
            session.apply(edit)
            do(session, data, among=("stroke", "stroke", "undo", "redo", "rename", "lock"))
        known = {one.id for one in session.annotation.objects}
        assert all(record.present <= known for record in session.annotation.records.values())
        position, now = session.history.position, state(session)
        last = _walk(session)
        session.ledger.go_to(position)
        assert state(session) == now
    with Session.open_project(project, engines=FakeEngines()) as session:
        assert (session.history.position, state(session)) == (position, now)
        assert _walk(session) == last


def _long_work(session: Session, kind: str) -> Iterator[Edit]:
    if kind == "delete":
        return answer(session.context(), DeleteRequest(1))
    if kind == "swap":
        return answer(session.context(), SwapRequest(1, 2))
    steps = propagation(session.context(), PropagationRequest(1, "both"))
    return (step.edit for step in steps if step.edit is not None)


def _walk(session: Session) -> State:
    """To the end, to the beginning and back; the state at the end."""
    end = len(session.history.entries)
    session.ledger.go_to(end)
    last = state(session)
    session.ledger.go_to(0)
    assert state(session) == ({}, ())
    session.ledger.go_to(end)
    assert state(session) == last
    return last


@pytest.mark.parametrize("frames", [3000])
def test_a_long_run_is_one_step_that_is_undone_at_once(tmp_path: Path, frames: int) -> None:
    with open_session(tmp_path, FRAMES) as session:
        session.add_object()
        session.do(StrokeRequest(0, 1, Stroke(((20.0, 20.0),), 6)))
        record = session.annotation.record(0)
        # A longer video than the clip: only the records matter here.
        session.annotation.frame_count = frames
        for edit in _long_run(record, frames):
            assert session.apply(edit)
        assert len(session.history.entries) == 3
        undone = session.undo()
        assert undone is not None
        assert len(undone.frames) == frames - 1
        assert set(session.annotation.records) == {0}


def _long_run(record: FrameRecord, frames: int) -> Iterator[Edit]:
    tracked = replace(record, status=FrameStatus.TRACKED)
    for frame in range(1, frames):
        yield Edit("Track", {frame: EMPTY_RECORD}, {frame: tracked}, group="run")
