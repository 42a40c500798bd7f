"""Replay: the same steps give the same masks; what cannot be done again is taken over."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from interaction.annotation import surgery as mask_surgery
from interaction.annotation.history import Entry
from interaction.annotation.types import EMPTY_RECORD, Edit, FrameStatus, Stroke
from interaction.replay import compare, replay
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines, open_session

DAB = Stroke(((30.0, 12.0), (40.0, 14.0)), 5)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with open_session(tmp_path) as opened:
        yield opened


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Session]:
    with open_session(tmp_path) as opened:
        yield opened


def work(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.rename_object(cub, "kid")
    session.click(0, bear, 20, 20)
    session.click(0, bear, 33, 20)
    session.click(0, bear, 24, 20, is_positive=False)
    session.remove_click(0, 1)
    session.box(1, cub, (30, 10), (50, 40))
    session.scribble(2, bear, [DAB])
    session.stroke(0, cub, DAB)
    session.fill(0, cub, [(5, 30), (25, 30), (15, 45)])
    session.set_locked(cub, True)
    list(session.propagate(0, most_frames=5))
    session.set_locked(cub, False)
    session.change_mask(
        3,
        "Grow",
        lambda own: mask_surgery.grow(own, bear, 2),
        {"kind": "surgery:grow", "object": bear, "px": 2},
    )
    session.confirm(4)
    session.unconfirm(4)
    session.copy_mask(0, 6)
    session.clear_frame(2, bear)
    session.swap_objects(bear, cub, from_frame=4)
    session.stroke(7, bear, Stroke(((5.0, 5.0),), 4))
    session.stroke(7, bear, Stroke(((45.0, 5.0),), 4))
    session.split_object(7, bear)
    session.merge_objects(3, into=cub)
    session.delete_object(bear)


def test_a_replay_makes_the_same_masks_in_the_same_steps(session: Session, other: Session) -> None:
    work(session)
    steps = list(replay(other, session.history.entries))
    assert [step.remark for step in steps if step.remark] == []
    assert dict(other.annotation.records) == dict(session.annotation.records)
    assert other.annotation.objects == session.annotation.objects
    assert [e.label for e in other.history.entries] == [e.label for e in session.history.entries]
    assert steps[-1].done == steps[-1].total == len(session.history.entries)
    comparison = compare(other, session.annotation.records)
    assert comparison.equal_frames == comparison.frames > 0
    assert comparison.mean_iou == 1


def test_every_cause_survives_the_journal(tmp_path: Path, other: Session) -> None:
    clip = tmp_path / "clip"
    engines = FakeEngines()
    with Session.open(clip, tmp_path / "p.vos", engines=engines) as session:
        work(session)
        records = dict(session.annotation.records)
    with Session.open_project(tmp_path / "p.vos", engines=engines, read_only=True) as session:
        steps = list(replay(other, session.history.entries))
    assert not any(step.remark for step in steps)
    assert dict(other.annotation.records) == records


def test_an_import_is_taken_over_as_it_was_recorded(session: Session, other: Session) -> None:
    session.add_object()
    session.change_mask(2, "Import", lambda _: tiny.labels(2, 1, 0), {"kind": "import"})
    steps = list(replay(other, session.history.entries))
    assert steps[-1].remark is not None
    assert dict(other.annotation.records) == dict(session.annotation.records)


def test_a_step_that_no_longer_fits_is_taken_over_with_the_reason(other: Session) -> None:
    with_mask = replace(EMPTY_RECORD, mask=None, status=FrameStatus.TRACKED)
    broken = [
        Edit("Split", {0: EMPTY_RECORD}, {0: with_mask}, cause={"kind": "surgery:split"}),
        Edit("Odd", {1: EMPTY_RECORD}, {1: with_mask}, cause={"kind": "click", "frame": "x"}),
        Edit("New", {2: EMPTY_RECORD}, {2: with_mask}, cause={"kind": "from the future"}),
        Edit(
            "Grow",
            {3: EMPTY_RECORD},
            {3: with_mask},
            cause={"kind": "surgery:grow", "object": 1, "frame": 3, "colour": 2},
        ),
    ]
    entries = [Entry(edit.label, edit.frames, edit=edit) for edit in broken]
    steps = list(replay(other, entries))
    assert all(step.remark for step in steps)
    assert set(other.annotation.records) == {0, 1, 2, 3}


def test_a_cancelled_run_is_replayed_up_to_the_frame_it_came_to(
    session: Session, other: Session
) -> None:
    bear = session.add_object("bear")
    session.stroke(0, bear, DAB)
    for frame in session.propagate(0):
        if frame == 3:
            break
    assert sorted(session.annotation.records) == [0, 1, 2, 3]
    steps = list(replay(other, session.history.entries))
    assert [step.remark for step in steps if step.remark] == []
    assert dict(other.annotation.records) == dict(session.annotation.records)


def test_a_stroke_ahead_of_a_run_is_replayed_on_what_it_was_drawn_on(
    session: Session, other: Session
) -> None:
    bear = session.add_object("bear")
    session.stroke(0, bear, DAB)
    for frame in session.propagate(0):
        if frame == 2:
            session.stroke(5, bear, Stroke(((30.0, 40.0),), 3))
    assert session.annotation.record(5).status is FrameStatus.CORRECTED
    assert session.annotation.record(7).status is FrameStatus.TRACKED
    list(replay(other, session.history.entries))
    assert dict(other.annotation.records) == dict(session.annotation.records)


def test_a_part_that_was_taken_away_is_taken_away_again(session: Session, other: Session) -> None:
    bear = session.add_object("bear")
    session.stroke(0, bear, DAB)
    session.stroke(0, bear, Stroke(((10.0, 40.0),), 4))
    session.change_mask(
        0,
        "Remove a part",
        lambda own: mask_surgery.remove_part(own, bear, 10, 40),
        {"kind": "surgery:remove_part", "object": bear, "x": 10, "y": 40},
    )
    steps = list(replay(other, session.history.entries))
    assert [step.remark for step in steps if step.remark] == []
    assert dict(other.annotation.records) == dict(session.annotation.records)


def test_masks_that_differ_are_counted(session: Session, other: Session) -> None:
    for one in (session, other):
        one.add_object()
        one.stroke(0, 1, DAB)
        one.stroke(1, 1, DAB)
    other.stroke(1, 1, Stroke(((10.0, 40.0),), 4))
    comparison = compare(other, session.annotation.records)
    assert (comparison.frames, comparison.equal_frames) == (2, 1)
    assert 0 < comparison.mean_iou < 1
