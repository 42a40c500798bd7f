"""A session: objects, work by hand on one frame, locks, undo."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interaction.annotation.edits import surgery
from interaction.annotation.requests import (
    ClearRequest,
    ConfirmRequest,
    CopyRequest,
    DeleteRequest,
    FillRequest,
    MaskRequest,
    MergeRequest,
    ObjectsRequest,
    SplitRequest,
    StrokeRequest,
    SwapRequest,
    UnconfirmRequest,
)
from interaction.annotation.types import EMPTY_RECORD, Edit, FrameStatus, Stroke
from interaction.answers import answer
from interaction.errors import UserError
from interaction.session import Session
from tests import tiny
from tests.fake_engines import open_session

LEFT = Stroke(((10.0, 20.0), (20.0, 20.0)), 4)
RIGHT = Stroke(((40.0, 20.0), (50.0, 20.0)), 4)
ACROSS = Stroke(((5.0, 20.0), (55.0, 20.0)), 6)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with open_session(tmp_path) as opened:
        yield opened


def pixels(session: Session, frame: int, object_id: int) -> int:
    return int((session.annotation.labels(frame) == object_id).sum())


# Objects


def test_objects_get_the_lowest_free_id_and_a_colour_of_their_own(session: Session) -> None:
    ids = [session.add_object() for _ in range(12)]
    assert ids == list(range(1, 13))
    assert len({one.color for one in session.annotation.objects}) == 12
    session.do(DeleteRequest(4))
    assert session.add_object("new") == 4


def test_there_can_be_255_objects_and_no_more(session: Session) -> None:
    for _ in range(255):
        session.add_object()
    assert len({one.color for one in session.annotation.objects}) == 255
    with pytest.raises(UserError, match="255"):
        session.add_object()


def test_objects_are_renamed_recoloured_hidden_moved_and_all_of_it_undone(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    before = session.annotation.objects
    session.objects.rename(bear, " Bär ")
    session.objects.recolor(bear, (1, 2, 3))
    session.objects.set_visible(bear, False)
    session.objects.move(bear, 1)
    assert [one.id for one in session.annotation.objects] == [cub, bear]
    changed = session.annotation.object(bear)
    assert (changed.name, changed.color, changed.is_visible) == ("Bär", (1, 2, 3), False)
    session.ledger.go_to(2)
    assert session.annotation.objects == before
    assert session.objects.set_visible(bear, True) is None  # already so: no step of the history
    with pytest.raises(ValueError, match="name"):
        session.objects.rename(bear, "  ")


def test_deleting_an_object_touches_only_its_frames_and_is_one_step(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, bear, LEFT))
    session.do(StrokeRequest(1, bear, LEFT))
    session.do(StrokeRequest(1, cub, RIGHT))
    session.do(StrokeRequest(2, cub, RIGHT))
    before = dict(session.annotation.records)
    edits = list(answer(session.context(), DeleteRequest(bear)))
    assert {frame for edit in edits for frame in edit.frames} == {0, 1}
    assert all(session.apply(edit) for edit in edits)
    assert session.annotation.record(0) == EMPTY_RECORD
    assert session.annotation.record(1).present == {cub}
    assert [one.id for one in session.annotation.objects] == [cub]
    session.undo()
    assert dict(session.annotation.records) == before
    assert [one.id for one in session.annotation.objects] == [bear, cub]


def test_a_deletion_that_was_overtaken_by_an_edit_keeps_the_object(session: Session) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, LEFT))
    edits = answer(session.context(), DeleteRequest(bear))
    session.do(StrokeRequest(0, bear, RIGHT))
    assert [session.apply(edit) for edit in edits] == [False, False]
    assert [one.id for one in session.annotation.objects] == [bear]


def test_merging_and_swapping_objects(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    for frame in range(3):
        session.do(StrokeRequest(frame, bear, LEFT))
        session.do(StrokeRequest(frame, cub, RIGHT))
    left, right = pixels(session, 0, bear), pixels(session, 0, cub)
    assert session.do(SwapRequest(bear, cub, from_frame=1))
    labels = session.annotation.labels
    assert (labels(0)[20, 15], labels(1)[20, 15], labels(2)[20, 45]) == (bear, cub, bear)
    assert session.do(MergeRequest(cub, into=bear))
    assert pixels(session, 2, bear) == left + right
    assert [one.id for one in session.annotation.objects] == [bear]
    session.ledger.go_to(2)
    assert not session.annotation.records


def test_an_object_in_pieces_is_split_and_one_in_one_piece_is_not(session: Session) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, LEFT))
    with pytest.raises(UserError, match="one piece"):
        session.do(SplitRequest(0, bear))
    session.do(StrokeRequest(0, bear, RIGHT))
    session.do(SplitRequest(0, bear))
    assert session.annotation.record(0).present == {1, 2}
    assert session.annotation.object(2).name == "bear 2"
    session.undo()
    assert session.annotation.record(0).present == {1}
    assert len(session.annotation.objects) == 1


# Frames


def test_work_by_hand_makes_a_frame_corrected_and_keeps_a_confirmed_one(session: Session) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, LEFT))
    assert session.annotation.record(0).status is FrameStatus.CORRECTED
    session.do(ConfirmRequest(0))
    session.do(FillRequest(0, bear, ((2, 2), (20, 2), (20, 10), (2, 10))))
    assert session.annotation.record(0).status is FrameStatus.CONFIRMED
    session.do(UnconfirmRequest(0))
    assert session.annotation.record(0).status is FrameStatus.TRACKED
    assert not session.do(UnconfirmRequest(0))


def test_confirming_an_empty_frame_says_that_nothing_is_there(session: Session) -> None:
    session.add_object()
    session.do(ConfirmRequest(3))
    record = session.annotation.record(3)
    assert record.status is FrameStatus.CONFIRMED
    assert record.mask is not None
    assert not record.present


def test_a_stroke_that_changes_nothing_is_no_step(session: Session) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, LEFT))
    steps = len(session.history.entries)
    assert not session.do(StrokeRequest(0, bear, LEFT))
    assert len(session.history.entries) == steps


def test_clearing_a_frame_leaves_its_neighbours_alone(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    for frame in range(3):
        session.do(StrokeRequest(frame, bear, LEFT))
        session.do(StrokeRequest(frame, cub, RIGHT))
    neighbours = session.annotation.record(0), session.annotation.record(2)
    session.do(ClearRequest(1, bear))
    assert session.annotation.record(1).present == {cub}
    session.do(ClearRequest(1))
    assert session.annotation.record(1) == EMPTY_RECORD
    assert (session.annotation.record(0), session.annotation.record(2)) == neighbours
    assert not session.do(ClearRequest(1))


def test_an_object_cleared_from_a_confirmed_frame_is_declared_absent(session: Session) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, LEFT))
    session.do(ConfirmRequest(0))
    session.do(ClearRequest(0, bear))
    assert session.annotation.record(0).status is FrameStatus.CONFIRMED
    assert not session.annotation.record(0).present


def test_a_mask_is_copied_whole_or_for_one_object(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, bear, LEFT))
    session.do(StrokeRequest(0, cub, RIGHT))
    session.do(StrokeRequest(1, bear, RIGHT))
    session.do(CopyRequest(0, 2))
    assert np.array_equal(session.annotation.labels(2), session.annotation.labels(0))
    session.do(CopyRequest(0, 1, bear))
    assert session.annotation.record(1).present == {bear}
    assert np.array_equal(
        session.annotation.labels(1) == bear, session.annotation.labels(0) == bear
    )


def test_a_mask_of_the_wrong_kind_or_with_unknown_objects_is_refused(session: Session) -> None:
    session.add_object()
    with pytest.raises(ValueError, match="uint8"):
        session.set_mask(0, session.masks[0][:5])
    with pytest.raises(ValueError, match=r"objects \[9\]"):
        session.set_mask(0, session.masks[0] + np.uint8(9))


# Locks


def test_nothing_done_by_hand_changes_a_locked_object(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, bear, LEFT))
    session.do(StrokeRequest(1, cub, RIGHT))
    session.objects.set_locked(bear, True)
    own = session.annotation.labels(0) == bear
    session.do(StrokeRequest(0, cub, ACROSS))
    session.set_mask(0, np.full_like(session.masks[0], cub))
    session.do(CopyRequest(1, 0))
    session.do(ClearRequest(0))
    assert np.array_equal(session.annotation.labels(0) == bear, own)
    session.set_mask(0, np.full_like(session.masks[0], bear))
    assert np.array_equal(session.annotation.labels(0) == bear, own)
    for refused in (
        StrokeRequest(0, bear, RIGHT),
        FillRequest(0, bear, ((0, 0), (9, 0), (9, 9))),
        ClearRequest(0, bear),
        CopyRequest(1, 0, bear),
        DeleteRequest(bear),
        MergeRequest(cub, into=bear),
        SwapRequest(bear, cub),
        SplitRequest(0, bear),
    ):
        with pytest.raises(UserError, match="“bear” is locked"):
            session.do(refused)


# Many frames


def test_surgery_keeps_each_frames_status_and_is_one_step(session: Session) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, LEFT))
    session.do(StrokeRequest(1, bear, LEFT))
    session.do(UnconfirmRequest(1))
    edits = surgery(
        session.annotation, "Shift", [0, 1, 5], lambda stack: (np.roll(stack[0], 3),), None
    )
    assert [session.apply(edit) for edit in edits] == [True, True]
    statuses = [session.annotation.record(frame).status for frame in (0, 1, 5)]
    assert statuses == [FrameStatus.CORRECTED, FrameStatus.TRACKED, FrameStatus.EMPTY]
    assert session.history.entries[-1].frames == {0, 1}


# Applying and undo


@pytest.mark.parametrize("what", ["swap", "delete", "erase"])
def test_a_frame_that_surgery_leaves_empty_still_says_what_was_taken_off_by_hand(
    session: Session, what: str
) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(3, bear, LEFT))
    if what == "delete":
        session.do(StrokeRequest(3, cub, RIGHT))
    if what != "erase":
        session.do(StrokeRequest(3, bear, replace(LEFT, is_positive=False)))
    absent = bear
    if what == "swap":
        assert session.do(SwapRequest(bear, cub))
        absent = cub
    elif what == "delete":
        assert session.do(DeleteRequest(cub))
    else:
        edits = surgery(session.annotation, "", [3], lambda own: (np.zeros_like(own[0]),), None)
        assert [session.apply(edit) for edit in edits] == [True]
    record = session.annotation.record(3)
    assert record.status is FrameStatus.CORRECTED
    assert not record.present
    assert record.given == {absent}


def test_an_edit_made_from_an_older_state_is_dropped(session: Session) -> None:
    bear = session.add_object("bear")
    [first] = answer(session.context(), StrokeRequest(0, bear, LEFT))
    assert session.apply(first)
    steps = len(session.history.entries)
    assert not session.apply(first)
    assert not session.apply(Edit("nothing", {0: first.after[0]}, {0: first.after[0]}))
    assert len(session.history.entries) == steps


def test_going_through_the_history_tells_which_frames_changed(session: Session) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, LEFT))
    session.do(StrokeRequest(3, bear, LEFT))
    session.do(StrokeRequest(3, bear, RIGHT))
    assert session.ledger.go_to(2) == {3}
    assert session.history.position == 2
    assert session.ledger.go_to(4) == {3}
    with pytest.raises(ValueError, match="position"):
        session.ledger.go_to(9)


def test_every_edit_says_how_it_came_about(session: Session) -> None:
    bear = session.add_object("bear")
    requests = [
        StrokeRequest(0, bear, LEFT),
        FillRequest(0, bear, ((0, 0), (9, 0), (9, 9))),
        ConfirmRequest(0),
        CopyRequest(0, 1),
        ClearRequest(1),
    ]
    for request in requests:
        assert session.do(request)
    session.set_mask(0, np.roll(session.masks[0], 1))
    session.objects.set_visible(bear, False)
    causes = [entry.loaded().cause for entry in session.history.entries[1:]]
    assert causes == [*requests, MaskRequest(0), ObjectsRequest(session.annotation.objects)]


def test_a_session_reads_the_source_it_was_given(session: Session) -> None:
    assert session.frame_count == len(session.video) == 8
    assert np.array_equal(session.video[3], tiny.frame(3))
    assert not session.ledger.is_read_only
    assert session.project is None


def test_a_session_has_few_enough_names_to_be_guessed(session: Session) -> None:
    """Sixty would be a list to search; what belongs to a part is reached by the part's name."""
    assert len([name for name in dir(session) if not name.startswith("_")]) <= 30
