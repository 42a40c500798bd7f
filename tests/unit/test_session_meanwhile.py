"""Edits that were asked for before something else happened: what still holds of them is done."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interaction.annotation.edits import free_id, surgery
from interaction.annotation.requests import (
    ClickRequest,
    DeleteRequest,
    PropagationRequest,
    StrokeRequest,
)
from interaction.annotation.types import Click, FrameStatus, Stroke
from interaction.answers import answer, propagation
from interaction.errors import UserError
from interaction.formats.import_masks import import_masks
from interaction.formats.import_plan import preview_import
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines, open_session, project_of

LEFT = Stroke(((15.0, 20.0),), 6)
RIGHT = Stroke(((45.0, 20.0),), 6)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with open_session(tmp_path) as opened:
        yield opened


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A disc and a box on every frame."""
    folder = tmp_path / "masks"
    for frame in range(8):
        tiny.write_mask(folder, frame, tiny.labels(frame))
    return folder


def give(session: Session, frame: int) -> None:
    """A disc, object 1, and a box, object 2."""
    while len(session.annotation.objects) < 2:
        session.add_object()
    session.set_mask(frame, tiny.labels(frame))


def names(session: Session) -> list[str]:
    return [one.name for one in session.annotation.objects]


# Locked


def test_a_lock_keeps_its_pixels_and_lets_the_rest_of_an_edit_through(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, bear, LEFT))
    session.do(StrokeRequest(1, cub, RIGHT))
    own = session.annotation.labels(0) == bear
    edits = surgery(
        session.annotation, "", [0, 1], lambda stack: (np.full_like(stack[0], cub),), None
    )
    session.objects.set_locked(bear, True)
    assert [session.apply(edit) for edit in edits] == [True, True]
    labels = session.annotation.labels(0)
    assert np.array_equal(labels == bear, own)
    assert np.array_equal(labels == cub, ~own)
    assert (session.annotation.labels(1) == cub).all()


def test_an_answer_asked_for_before_a_lock_does_not_get_past_it(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, cub, RIGHT))
    own = session.annotation.labels(0) == cub
    steps = answer(session.context(), ClickRequest(0, bear, Click(40, 20, True)))
    session.objects.set_locked(cub, True)
    assert [session.apply(edit) for edit in steps] == [True]
    labels = session.annotation.labels(0)
    assert np.array_equal(labels == cub, own)
    assert labels[20, 34] == bear
    session.remove_click(0, 0)
    assert not (session.annotation.labels(0) == bear).any()


def test_an_answer_for_an_object_that_was_locked_or_deleted_changes_nothing(
    session: Session,
) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    for_bear = answer(session.context(), ClickRequest(0, bear, Click(40, 20, True)))
    for_cub = answer(session.context(), ClickRequest(0, cub, Click(20, 20, False)))
    session.objects.set_locked(bear, True)
    session.do(DeleteRequest(cub))
    assert not any(session.apply(edit) for edit in (*for_bear, *for_cub))
    assert not session.annotation.records


def test_an_object_locked_in_mid_run_stays_as_it_is_and_the_others_are_tracked_on(
    session: Session,
) -> None:
    give(session, 0)
    applied = []
    for step in propagation(session.context(), PropagationRequest(0)):
        if step.edit is not None:
            applied.append(session.apply(step.edit))
        if step.frame == 3:
            session.objects.set_locked(1, True)
    assert all(applied)
    present = [sorted(session.annotation.record(frame).present) for frame in range(8)]
    assert all(1 in ids for ids in present[:4])
    assert all(ids == [2] for ids in present[4:])
    statuses = {session.annotation.record(frame).status for frame in range(1, 8)}
    assert statuses == {FrameStatus.TRACKED}


def test_an_object_deleted_in_mid_run_is_left_out_and_the_others_are_tracked_on(
    session: Session,
) -> None:
    give(session, 0)
    for step in propagation(session.context(), PropagationRequest(0)):
        if step.frame == 3:
            session.do(DeleteRequest(2))
        if step.edit is not None:
            session.apply(step.edit)
    present = [sorted(session.annotation.record(frame).present) for frame in range(4, 8)]
    assert present == [[1]] * 4
    while session.undo():
        pass
    assert not session.annotation.records


def test_a_corrected_frame_does_not_speak_for_what_a_lock_kept_an_edit_from(
    session: Session,
) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, bear, LEFT))
    edits = list(answer(session.context(), ClickRequest(0, bear, Click(40, 20, True))))
    session.objects.set_locked(cub, True)
    assert all(session.apply(edit) for edit in edits)
    assert session.annotation.record(0).given == {bear}


# The list of objects


def test_an_object_renamed_in_the_midst_of_a_deletion_stops_no_deletion(
    session: Session,
) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    for frame in range(4):
        session.do(StrokeRequest(frame, bear, LEFT))
    before = dict(session.annotation.records)
    edits = answer(session.context(), DeleteRequest(bear))
    assert session.apply(next(edits))
    session.objects.rename(cub, "dog")
    session.objects.set_visible(cub, False)
    assert {session.apply(edit) for edit in edits} == {True}
    assert names(session) == ["dog"]
    assert not session.annotation.object(cub).is_visible
    assert not session.annotation.records
    session.undo()  # the deletion is one step, the newest
    assert dict(session.annotation.records) == before
    assert names(session) == ["bear", "dog"]


def test_an_object_that_was_clicked_for_meanwhile_stays_in_the_list(session: Session) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, LEFT))
    edits = answer(session.context(), DeleteRequest(bear))
    session.click(3, bear, 30, 20, is_positive=False)  # there is nothing to take away
    assert [session.apply(edit) for edit in edits] == [True, False]
    assert not session.remove_click(3, 0).any()
    assert session.do(DeleteRequest(bear))


def test_an_object_that_a_frame_has_come_to_speak_for_meanwhile_stays_in_the_list(
    session: Session,
) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    for frame in (0, 3):
        session.do(StrokeRequest(frame, bear, LEFT))
        session.do(StrokeRequest(frame, cub, RIGHT))
    edits = answer(session.context(), DeleteRequest(cub))
    session.do(StrokeRequest(3, cub, replace(RIGHT, is_positive=False)))  # taken off it by hand
    assert [session.apply(edit) for edit in edits] == [True, False, False]
    assert names(session) == ["bear", "cub"]
    assert session.do(DeleteRequest(cub))
    assert session.add_object("fox") == cub
    assert session.annotation.record(3).given == {bear}


def test_an_object_that_is_locked_in_the_midst_of_its_deletion_stays(session: Session) -> None:
    bear = session.add_object("bear")
    for frame in range(2):
        session.do(StrokeRequest(frame, bear, LEFT))
    edits = answer(session.context(), DeleteRequest(bear))
    assert session.apply(next(edits))
    session.objects.set_locked(bear, True)
    assert [session.apply(edit) for edit in edits] == [False, False]
    assert names(session) == ["bear"]
    assert session.annotation.record(1).present == {bear}


def test_objects_of_an_import_make_way_for_one_that_was_added_meanwhile(
    session: Session, masks: Path
) -> None:
    edits = import_masks(
        preview_import(masks, session.video, session.annotation), session.annotation
    )
    dog = session.add_object("dog")
    assert {session.apply(edit) for edit in edits} == {True}
    assert dog == 1
    assert len(names(session)) == 3
    new = [one.id for one in session.annotation.objects if one.id != dog]
    for frame in range(8):
        assert session.annotation.record(frame).present == set(new)
        labels, expected = session.annotation.labels(frame), tiny.labels(frame)
        assert np.array_equal(labels > 0, expected > 0)
        ours = {int(i) for i in np.unique(labels[expected == 1])}
        assert len(ours) == 1
    # one step of the history, and the list is what it was
    session.undo()
    assert names(session) == ["dog"]
    assert not session.annotation.records


def test_an_object_whose_name_was_given_away_meanwhile_gets_another(
    session: Session, masks: Path
) -> None:
    dog = session.add_object("dog")
    edits = import_masks(
        preview_import(masks, session.video, session.annotation), session.annotation
    )
    session.objects.rename(dog, "Object 2")
    assert {session.apply(edit) for edit in edits} == {True}
    assert names(session) == ["Object 2", "Object 2 2"]


def test_an_import_into_a_full_list_is_refused_whole(session: Session, masks: Path) -> None:
    for _ in range(254):
        session.add_object()
    session.do(DeleteRequest(1))
    assert free_id(session.annotation.objects) == 1
    edits = import_masks(
        preview_import(masks, session.video, session.annotation), session.annotation
    )
    session.add_object("first")
    session.add_object("last")
    assert {session.apply(edit) for edit in edits} == {False}
    assert not session.annotation.records


# What can be redone


@pytest.mark.parametrize("is_reopened", [False, True])
def test_what_was_undone_during_a_run_can_be_redone_after_it(
    tmp_path: Path, is_reopened: bool
) -> None:
    tiny.write_clip(tmp_path / "clip", 8)
    project = tmp_path / "p.vos"
    session = Session.open(tmp_path / "clip", project, engines=FakeEngines())
    session.do(StrokeRequest(0, session.add_object(), LEFT))
    painted = None
    for step in propagation(session.context(), PropagationRequest(0)):
        if step.edit is not None:
            session.apply(step.edit)
        if step.frame == 3:
            session.do(StrokeRequest(2, 1, RIGHT))
            painted = session.annotation.record(2)
        elif step.frame == 5:
            session.undo()
    if is_reopened:
        session.close()
        session = Session.open_project(project, engines=FakeEngines())
    with session:
        assert session.annotation.record(7).status is FrameStatus.TRACKED
        assert session.redo() is not None
        assert session.annotation.record(2) == painted
        assert not session.history.can_redo
        assert [len(entry.frames) for entry in session.history.entries] == [0, 1, 7, 1]
        tracked = dict(session.annotation.records)
        session.ledger.go_to(2)
        session.ledger.go_to(4)
        assert dict(session.annotation.records) == tracked


def test_what_a_run_has_gone_over_since_cannot_be_redone(session: Session) -> None:
    session.do(StrokeRequest(0, session.add_object(), LEFT))
    for step in propagation(session.context(), PropagationRequest(0)):
        if step.edit is not None:
            session.apply(step.edit)
        if step.frame == 3:
            session.do(StrokeRequest(2, 1, RIGHT))
            session.do(StrokeRequest(6, 1, RIGHT))
            session.undo()
            session.undo()
    assert [sorted(entry.frames) for entry in session.history.entries[2:]] == [
        [1, 2, 3, 4, 5, 6, 7],
        [2],
    ]
    assert session.redo() is not None


def test_a_deletion_is_not_redone_where_a_run_has_found_the_object_since(tmp_path: Path) -> None:
    tiny.write_clip(tmp_path / "clip", 8)
    project = tmp_path / "p.vos"
    with Session.open(tmp_path / "clip", project, engines=FakeEngines()) as session:
        give(session, 0)
        for step in propagation(session.context(), PropagationRequest(0)):
            if step.edit is not None:
                session.apply(step.edit)
            if step.frame == 3:
                assert session.do(DeleteRequest(2))
                session.undo()
        before = dict(session.annotation.records)
        with pytest.raises(UserError, match="cannot be redone"):
            session.redo()
        assert dict(session.annotation.records) == before
        assert session.history.can_redo
        assert session.do(DeleteRequest(2))
    with Session.open_project(project, engines=FakeEngines()) as session:
        assert not project_of(session).damages
