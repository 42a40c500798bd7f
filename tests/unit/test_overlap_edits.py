"""Objects that keep covered pixels, in a session: every kind of edit, undo, and the project."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from interaction.annotation.edits import by_hand, surgery
from interaction.annotation.overlaps import ids_beneath
from interaction.annotation.requests import (
    ClearRequest,
    CopyRequest,
    DeleteRequest,
    FillRequest,
    MergeRequest,
    Operation,
    OverlapRequest,
    PresenceRequest,
    PropagationRequest,
    SplitRequest,
    StrokeRequest,
    SurgeryRequest,
    SwapRequest,
)
from interaction.annotation.strokes import stroke_mask
from interaction.annotation.types import FrameStatus, PresenceState, Request, Stroke
from interaction.answers import answer
from interaction.command_line.app import main
from interaction.errors import NewerProjectError, UserError
from interaction.project import manifest
from interaction.replay import compare, replay
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines, open_session

LEFT = Stroke(((10.0, 20.0), (30.0, 20.0)), 8)
RIGHT = Stroke(((24.0, 20.0), (48.0, 20.0)), 8)
MIDDLE = Stroke(((27.0, 10.0), (27.0, 30.0)), 3)


def open_project(folder: Path) -> Session:
    if not (folder.parent / "clip").exists():
        tiny.write_clip(folder.parent / "clip", 8)
    return Session.open(folder.parent / "clip", folder, engines=FakeEngines())


def pixels(stroke: Stroke) -> NDArray[np.bool_]:
    return stroke_mask(48, 60, stroke)


def two(session: Session, frame: int = 0, *, both: bool = True) -> tuple[int, int]:
    """A bear that keeps covered pixels, and a cub that lies half before it; `both` keep theirs."""
    known = {one.name: one.id for one in session.annotation.objects}
    bear = known.get("bear") or session.add_object("bear")
    cub = known.get("cub") or session.add_object("cub")
    session.do(OverlapRequest(bear, True))
    if both:
        session.do(OverlapRequest(cub, True))
    session.do(StrokeRequest(frame, bear, LEFT))
    session.do(StrokeRequest(frame, cub, RIGHT))
    return bear, cub


def erased(stroke: Stroke) -> Stroke:
    return Stroke(stroke.points, stroke.radius_px, is_positive=False)


def state(session: Session) -> tuple[object, object]:
    return dict(session.annotation.records), session.annotation.objects


# What covers and what is covered


def test_without_the_switch_covered_pixels_are_lost_as_ever(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, bear, LEFT))
    session.do(StrokeRequest(0, cub, RIGHT))
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT) & ~pixels(RIGHT))
    assert session.annotation.record(0).beneath == ()


def test_painted_over_an_object_keeps_its_pixels_beneath(session: Session) -> None:
    bear, cub = two(session)
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT))
    assert np.array_equal(session.masks[0] == cub, pixels(RIGHT))
    record = session.annotation.record(0)
    assert record.covered == {bear}
    assert record.present == {bear, cub}


def test_what_is_taken_off_shows_what_lay_beneath(session: Session) -> None:
    bear, cub = two(session)
    session.do(StrokeRequest(0, cub, erased(MIDDLE)))
    assert not (session.masks.region(0, cub) & pixels(MIDDLE)).any()
    assert (session.masks[0][pixels(MIDDLE) & pixels(LEFT)] == bear).all()
    session.do(ClearRequest(0, cub))
    assert np.array_equal(session.masks[0] == bear, pixels(LEFT))
    assert session.annotation.record(0).beneath == ()


def test_the_eraser_takes_covered_pixels_too(session: Session) -> None:
    bear, cub = two(session)
    session.do(StrokeRequest(0, bear, erased(MIDDLE)))
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT) & ~pixels(MIDDLE))
    assert np.array_equal(session.masks.region(0, cub), pixels(RIGHT))
    assert bear in session.annotation.record(0).given


def test_a_lasso_cuts_covered_pixels_out(session: Session) -> None:
    bear, cub = two(session)
    everything = ((0.0, 0.0), (60.0, 0.0), (60.0, 48.0), (0.0, 48.0))
    session.do(FillRequest(0, bear, everything, is_positive=False))
    assert not session.masks.region(0, bear).any()
    assert np.array_equal(session.masks.region(0, cub), pixels(RIGHT))
    session.do(FillRequest(0, bear, everything))
    assert session.masks.region(0, bear).all()
    assert np.array_equal(session.masks.region(0, cub), pixels(RIGHT))


def test_painting_where_a_locked_object_is_goes_beneath_it(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, cub, RIGHT))
    session.objects.set_locked(cub, True)
    session.do(OverlapRequest(bear, True))
    session.do(StrokeRequest(0, bear, LEFT))
    assert np.array_equal(session.masks[0] == cub, pixels(RIGHT))
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT))


def test_a_locked_object_loses_no_covered_pixel(session: Session) -> None:
    bear, cub = two(session)
    session.objects.set_locked(bear, True)
    session.do(ClearRequest(0, cub))
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT))
    session.undo()
    session.do(CopyRequest(5, 0))
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT))
    for request in (StrokeRequest(0, bear, erased(LEFT)), OverlapRequest(bear, False)):
        with pytest.raises(UserError, match="locked"):
            session.do(request)


# Front and back


def test_an_object_comes_to_the_front_and_goes_back(session: Session) -> None:
    bear, cub = two(session)
    assert session.do(SurgeryRequest("to_front", 0, bear))
    assert np.array_equal(session.masks[0] == bear, pixels(LEFT))
    assert np.array_equal(session.masks.region(0, cub), pixels(RIGHT))
    assert not session.do(SurgeryRequest("to_front", 0, bear))
    assert session.do(SurgeryRequest("to_back", 0, bear))
    assert np.array_equal(session.masks[0] == cub, pixels(RIGHT))


def test_to_the_front_on_a_range_is_one_step(session: Session) -> None:
    two(session, 3)
    bear, _ = two(session, 0)
    assert session.do(SurgeryRequest("to_front", 0, bear, last=5))
    fronts = [session.masks[frame] == bear for frame in (0, 3)]
    assert all(np.array_equal(front, pixels(LEFT)) for front in fronts)
    session.undo()
    assert [session.annotation.record(frame).covered for frame in (0, 3)] == [{bear}, {bear}]


def test_nothing_comes_before_what_would_lose_its_pixels(session: Session) -> None:
    bear, _ = two(session, both=False)
    before = state(session)
    with pytest.raises(UserError, match="“cub” would lose"):
        session.do(SurgeryRequest("to_front", 0, bear))
    assert state(session) == before


# Shapes


def test_a_hole_is_filled_beneath_what_lies_in_it(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    box = ((5.0, 5.0), (50.0, 5.0), (50.0, 40.0), (5.0, 40.0))
    session.do(FillRequest(0, bear, box))
    session.do(StrokeRequest(0, cub, MIDDLE))
    session.do(OverlapRequest(bear, True))
    assert not (session.masks.region(0, bear) & pixels(MIDDLE)).any()
    session.do(SurgeryRequest("fill_holes", 0, bear))
    assert session.masks.region(0, bear).sum() == 45 * 35
    assert np.array_equal(session.masks[0] == cub, pixels(MIDDLE))


def test_an_object_that_keeps_nothing_gets_the_shape_it_always_got(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, cub, RIGHT))
    session.do(StrokeRequest(0, bear, MIDDLE))
    session.do(SurgeryRequest("grow", 0, bear, 4))
    assert np.array_equal(session.masks[0] == cub, pixels(RIGHT) & ~pixels(MIDDLE))


def test_grown_an_object_goes_beneath_its_neighbour(session: Session) -> None:
    bear, cub = two(session)
    session.do(SurgeryRequest("to_front", 0, cub))
    session.do(SurgeryRequest("grow", 0, bear, 5))
    assert session.masks.region(0, bear).sum() > pixels(LEFT).sum()
    assert np.array_equal(session.masks[0] == cub, pixels(RIGHT))


def test_specks_are_counted_with_what_is_covered(session: Session) -> None:
    bear, _ = two(session)
    thin = Stroke(((8.0, 36.0),), 2)
    session.do(StrokeRequest(0, bear, thin))
    session.do(SurgeryRequest("remove_specks", 0, bear, 64))
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT))


def test_split_gives_the_covered_pixels_of_a_part_to_it(session: Session) -> None:
    bear, cub = two(session)
    session.do(StrokeRequest(0, bear, Stroke(((50.0, 36.0),), 6)))
    session.do(StrokeRequest(0, cub, Stroke(((54.0, 36.0),), 4)))
    session.do(SplitRequest(0, bear))
    part = max(one.id for one in session.annotation.objects)
    assert session.annotation.object(part).keeps_covered
    assert np.array_equal(session.masks.region(0, part), pixels(Stroke(((50.0, 36.0),), 6)))
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT))


# Many frames


def test_a_deleted_object_uncovers_what_it_covered(session: Session) -> None:
    bear, cub = two(session)
    session.do(DeleteRequest(cub))
    assert np.array_equal(session.masks[0] == bear, pixels(LEFT))
    session.undo()
    session.do(DeleteRequest(bear))
    record = session.annotation.record(0)
    assert record.present == {cub}
    assert not record.covered
    assert not record.beneath


def test_an_object_that_is_only_covered_is_deleted_with_its_pixels(session: Session) -> None:
    bear, cub = two(session)
    session.do(StrokeRequest(0, cub, LEFT))
    assert session.annotation.record(0).present == {cub}
    session.do(DeleteRequest(bear))
    assert session.annotation.record(0).covered == frozenset()
    assert session.add_object("other") == bear


def test_merged_the_regions_are_one(session: Session) -> None:
    bear, cub = two(session)
    session.do(MergeRequest(bear, cub))
    assert np.array_equal(session.masks.region(0, cub), pixels(LEFT) | pixels(RIGHT))
    assert session.annotation.record(0).beneath == ()


def test_swapped_objects_swap_what_is_covered(session: Session) -> None:
    bear, cub = two(session)
    session.do(SwapRequest(bear, cub))
    assert np.array_equal(session.masks.region(0, cub), pixels(LEFT))
    assert np.array_equal(session.masks.region(0, bear), pixels(RIGHT))


def test_cleared_over_a_range_where_it_is_only_covered(session: Session) -> None:
    two(session, 2)
    bear, cub = two(session, 0)
    session.do(StrokeRequest(0, cub, LEFT))
    session.do(ClearRequest(0, bear, 5))
    assert all(not session.masks.region(frame, bear).any() for frame in (0, 2))
    assert np.array_equal(session.masks.region(2, cub), pixels(RIGHT))


def test_absent_objects_are_not_beneath_others_either(session: Session) -> None:
    bear, cub = two(session)
    session.do(PresenceRequest(bear, 0, 3, PresenceState.ABSENT))
    assert not session.masks.region(0, bear).any()
    assert np.array_equal(session.masks.region(0, cub), pixels(RIGHT))


def test_copied_masks_take_what_is_covered_along(session: Session) -> None:
    bear, cub = two(session)
    session.do(CopyRequest(0, 4))
    assert session.annotation.record(4).beneath == session.annotation.record(0).beneath
    session.do(ClearRequest(4))
    session.do(CopyRequest(0, 4, bear))
    assert np.array_equal(session.masks[4] == bear, pixels(LEFT))
    session.do(StrokeRequest(5, cub, RIGHT))
    session.do(CopyRequest(0, 5, bear))
    assert np.array_equal(session.masks.region(5, bear), pixels(LEFT))
    assert np.array_equal(session.masks.region(5, cub), pixels(RIGHT))


def test_switched_off_an_object_loses_what_is_covered_everywhere(session: Session) -> None:
    two(session, 3)
    bear, cub = two(session, 0)
    before = state(session)
    assert session.do(OverlapRequest(bear, False))
    assert not session.annotation.object(bear).keeps_covered
    assert all(not session.annotation.record(frame).beneath for frame in (0, 3))
    assert np.array_equal(session.masks[0] == cub, pixels(RIGHT))
    session.undo()
    assert state(session) == before
    session.redo()
    assert not session.annotation.record(3).covered


# Clicks


def test_clicks_cover_what_was_there_before_the_first_of_them(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    for one in (bear, cub):
        session.do(OverlapRequest(one, True))
    session.do(StrokeRequest(0, bear, LEFT))
    session.click(0, cub, 25, 20)
    session.click(0, cub, 35, 20)
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT))
    session.click(0, cub, 25, 20, is_positive=False)
    assert session.masks[0][20, 25] == bear
    assert not session.masks.region(0, cub)[20, 25]  # it is not beneath the bear either
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT))
    for _ in range(2):
        session.remove_click(0, 0)
    assert np.array_equal(session.masks[0] == bear, pixels(LEFT))
    assert session.annotation.record(0).beneath == ()


def test_the_last_click_taken_out_brings_back_what_lay_beneath(session: Session) -> None:
    bear, cub = two(session)
    before = session.annotation.record(0)
    bird = session.add_object("bird")
    session.click(0, bird, 27, 20)
    assert session.annotation.record(0).covered == {bear, cub}
    session.remove_click(0, 0)
    after = session.annotation.record(0)
    assert (after.mask, after.beneath, after.covered) == (
        before.mask,
        before.beneath,
        before.covered,
    )


def test_a_box_covers_too(session: Session) -> None:
    bear, _ = two(session)
    bird = session.add_object("bird")
    session.box(0, bird, (5, 5), (40, 35))
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT))


# Both


def test_both_are_kept_when_a_new_object_took_all(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, bear, MIDDLE))
    session.do(StrokeRequest(0, cub, Stroke(((10.0, 20.0), (40.0, 20.0)), 15)))
    assert session.annotation.record(0).present == {cub}
    steps = len(session.history.entries)
    assert session.ledger.keep_both([bear])
    assert np.array_equal(session.masks.region(0, bear), pixels(MIDDLE))
    assert session.annotation.record(0).present == {cub}
    assert session.annotation.object(bear).keeps_covered
    assert len(session.history.entries) == steps + 1
    session.undo()
    session.undo()
    assert np.array_equal(session.masks[0] == bear, pixels(MIDDLE))
    assert not session.annotation.object(bear).keeps_covered


def test_both_are_kept_of_several_clicks(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, bear, Stroke(((20.0, 20.0), (30.0, 20.0)), 4)))
    for x in (18, 26, 34):
        session.click(0, cub, x, 20)
    whole = pixels(Stroke(((20.0, 20.0), (30.0, 20.0)), 4))
    assert bear not in session.annotation.record(0).present
    assert session.ledger.keep_both([bear])
    assert np.array_equal(session.masks.region(0, bear), whole)


def test_both_are_kept_of_several_strokes(session: Session) -> None:
    """All that was lost since the new object was begun on the frame, not what the last one took."""
    bear = session.add_object("bear")
    whole = Stroke(((20.0, 20.0), (36.0, 20.0)), 4)
    session.do(StrokeRequest(0, bear, whole))
    session.do(StrokeRequest(0, bear, erased(Stroke(((38.0, 20.0),), 3))))
    left = session.masks[0] == bear
    cub = session.add_object("cub")
    session.do(StrokeRequest(1, cub, MIDDLE))  # elsewhere
    session.do(StrokeRequest(0, cub, Stroke(((20.0, 20.0),), 5)))
    session.do(StrokeRequest(0, cub, Stroke(((28.0, 20.0),), 6)))
    session.do(StrokeRequest(0, cub, erased(Stroke(((16.0, 20.0),), 3))))
    session.do(StrokeRequest(0, cub, Stroke(((36.0, 20.0),), 6)))
    assert session.annotation.record(0).present == {cub}
    before = state(session)
    front = session.masks[0].copy()
    assert session.ledger.keep_both([bear])
    assert np.array_equal(session.masks.region(0, bear), left)
    assert np.array_equal(session.masks[0] == cub, front == cub)
    # Where the cub was taken off again the bear is seen, as if it had kept them all the time.
    assert np.array_equal(session.masks[0] == bear, left & (front != cub))
    session.undo()
    session.undo()
    session.do(StrokeRequest(0, cub, Stroke(((36.0, 20.0),), 6)))
    assert state(session) == before


def test_what_a_run_has_found_before_is_not_taken_back(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, bear, LEFT))
    [taking] = by_hand(session.annotation, StrokeRequest(0, cub, RIGHT))
    session.apply(replace(taking, cause=PropagationRequest(0)))
    left = session.masks[0] == bear
    session.do(StrokeRequest(0, cub, Stroke(((20.0, 20.0),), 25)))
    assert session.annotation.record(0).present == {cub}
    assert session.ledger.keep_both([bear])
    assert np.array_equal(session.masks.region(0, bear), left)


def test_there_is_nothing_to_keep_of_a_step_without_masks(session: Session) -> None:
    assert not session.ledger.keep_both([])
    session.add_object("bear")
    assert not session.ledger.keep_both([1])
    assert len(session.annotation.objects) == 1


# Scripts


def test_a_region_is_set_whole(session: Session) -> None:
    bear, cub = two(session)
    assert session.objects.set_region(0, bear, pixels(MIDDLE))
    assert np.array_equal(session.masks.region(0, bear), pixels(MIDDLE))
    assert np.array_equal(session.masks[0] == cub, pixels(RIGHT))
    assert not session.objects.set_region(0, bear, pixels(MIDDLE))
    bird = session.add_object("bird")
    session.objects.set_region(0, bird, np.ones((48, 60), np.bool_))
    assert np.array_equal(session.masks.region(0, bird), ~pixels(MIDDLE) & ~pixels(RIGHT))
    with pytest.raises(ValueError, match="bool"):
        session.objects.set_region(0, bear, np.ones((4, 6), np.bool_))


# The project


def test_a_project_keeps_what_is_covered_with_its_history(tmp_path: Path) -> None:
    with open_project(tmp_path / "p.vos") as session:
        bear, cub = two(session)
        session.click(0, bear, 50, 40)
        expected, covered = state(session), session.masks.region(0, bear)
    with open_project(tmp_path / "p.vos") as again:
        assert state(again) == expected
        assert np.array_equal(again.masks.region(0, bear), covered)
        again.undo()
        again.undo()
        assert np.array_equal(again.masks.region(0, bear), pixels(LEFT))
        again.redo()
        assert np.array_equal(again.masks.region(0, cub), pixels(RIGHT))
        again.redo()
        assert state(again) == expected


def test_only_a_project_with_overlaps_has_the_new_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "p.vos"

    def saved_format() -> int:
        number = json.loads((folder / "project.json").read_text())["format"]
        assert isinstance(number, int)
        return number

    with open_project(folder) as session:
        bear = session.add_object("bear")
        session.do(StrokeRequest(0, bear, LEFT))
    assert saved_format() == manifest.KEYS_FORMAT
    text = (folder / "project.json").read_text() + (folder / "journal.jsonl").read_text()
    assert "covered" not in text
    assert "beneath" not in text
    with open_project(folder) as session:
        session.do(OverlapRequest(bear, True))
    assert saved_format() == manifest.OVERLAP_FORMAT
    monkeypatch.setattr(manifest, "migrate", _as_an_older_program(manifest.migrate))
    with pytest.raises(NewerProjectError):
        open_project(folder)


def _as_an_older_program(migrate: Callable[..., dict[str, object]]) -> object:
    return lambda data, folder: migrate(data, folder, to=manifest.OVERLAP_FORMAT - 1)


def test_a_version_brings_back_what_was_covered(tmp_path: Path) -> None:
    with open_project(tmp_path / "p.vos") as session:
        bear, _ = two(session)
        session.flush()
        assert session.project is not None
        version = session.project.save_version("both")
        before = state(session)
        session.do(OverlapRequest(bear, False))
        session.do(DeleteRequest(bear))
        for edit in session.project.view.restoring(version, session.annotation):
            assert session.apply(edit)
        assert state(session) == before


def test_what_is_replayed_covers_again(tmp_path: Path, engines: FakeEngines) -> None:
    with open_session(tmp_path, engines=engines) as session:
        bear, cub = two(session)
        session.click(0, bear, 50, 40)
        session.do(SurgeryRequest("to_front", 0, cub))
        entries, records = session.history.entries, session.annotation.records
        with open_session(tmp_path / "again", engines=engines) as again:
            assert [step.remark for step in replay(again, entries)] == [None] * len(entries)
            assert compare(again, records).equal_frames == 1
            assert again.annotation.record(0).beneath == records[0].beneath


def test_damage_beneath_a_mask_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "p.vos"
    with open_project(folder) as session:
        two(session)
        session.flush()
        beneath = session.annotation.record(0).beneath[0]
    store = folder / "history" / "masks.bin"
    store.write_bytes(store.read_bytes().replace(beneath, bytes(len(beneath))))
    with open_project(folder) as again:
        assert again.project is not None
        assert again.project.is_read_only
        assert any("Frame 0" in one for one in again.project.damages)


# Meanwhile


def test_an_answer_for_an_object_that_keeps_nothing_any_more(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(OverlapRequest(bear, True))
    session.do(StrokeRequest(0, bear, LEFT))
    [edit] = answer(session.context(), StrokeRequest(0, cub, RIGHT))
    session.do(OverlapRequest(bear, False))
    assert session.apply(edit)
    assert session.annotation.record(0).beneath == ()


def test_a_lock_that_came_meanwhile_keeps_covered_pixels(session: Session) -> None:
    bear, cub = two(session)
    edits = surgery(session.annotation, "", [0], lambda stack: (stack[0] * 0,), None)
    session.objects.set_locked(bear, True)
    assert [session.apply(edit) for edit in edits] == [True]
    assert np.array_equal(session.masks.region(0, bear), pixels(LEFT))
    assert cub in session.annotation.record(0).present  # where it lies before the bear


# Anything in any order

_STROKES = st.builds(
    lambda x, y, length, radius, adds: Stroke(((x, y), (x + length, y)), radius, adds),
    st.integers(0, 50),
    st.integers(0, 40),
    st.integers(0, 20),
    st.integers(2, 12),
    st.booleans(),
)
_OBJECTS = st.integers(1, 3)
_OPERATIONS: tuple[tuple[Operation, float | None], ...] = (
    ("fill_holes", None),
    ("grow", 2),
    ("shrink", 2),
    ("smooth", 3),
    ("keep_largest", None),
    ("to_front", None),
    ("to_back", None),
)
_FRAMES = st.integers(0, 1)
_REQUESTS = st.one_of(
    st.builds(StrokeRequest, _FRAMES, _OBJECTS, _STROKES),
    st.builds(StrokeRequest, _FRAMES, _OBJECTS, _STROKES),
    st.builds(OverlapRequest, _OBJECTS, st.booleans()),
    st.builds(
        lambda frame, one, what: SurgeryRequest(what[0], frame, one, what[1]),
        _FRAMES,
        _OBJECTS,
        st.sampled_from(_OPERATIONS),
    ),
    st.builds(ClearRequest, _FRAMES, _OBJECTS),
    st.builds(CopyRequest, _FRAMES, _FRAMES, st.one_of(st.none(), _OBJECTS)),
    st.builds(SwapRequest, st.just(1), st.just(2)),
)


@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(requests=st.lists(_REQUESTS, min_size=1, max_size=12))
def test_no_edit_costs_another_keeper_a_pixel_and_all_can_be_undone(
    tmp_path: Path, requests: list[Request]
) -> None:
    with open_session(tmp_path) as session:
        for name in "abc":
            session.add_object(name)
        session.do(OverlapRequest(1, True))
        session.do(OverlapRequest(2, True))
        states = [state(session)]
        for request in requests:
            before = [{one: session.masks.region(f, one) for one in (1, 2, 3)} for f in (0, 1)]
            keepers = session.annotation.keepers
            try:
                done = session.do(request)
            except UserError:
                assert state(session) == states[-1]
                continue
            if not done:
                continue
            states.append(state(session))
            named = _named(request)
            for frame in (0, 1):
                stack = session.annotation.stack(frame)
                assert ids_beneath(stack) <= session.annotation.keepers
                assert session.annotation.record(frame).covered == ids_beneath(stack)
                for one in keepers - named:
                    assert np.array_equal(session.masks.region(frame, one), before[frame][one])
        for expected in reversed(states[:-1]):
            session.undo()
            assert state(session) == expected
        for expected in states[1:]:
            session.redo()
            assert state(session) == expected


def _named(request: Request) -> set[int]:
    """The objects whose regions a request may change."""
    if isinstance(request, SwapRequest):
        return {1, 2}
    if isinstance(request, CopyRequest) and request.object_id is None:
        return {1, 2, 3}
    object_id = getattr(request, "object_id", None)
    assert isinstance(object_id, int)
    return {object_id}


def test_the_status_of_a_frame_is_as_after_any_correction(session: Session) -> None:
    bear, cub = two(session)
    record = session.annotation.record(0)
    assert record.status is FrameStatus.CORRECTED
    assert record.given == {bear, cub}


# The shell


def test_the_command_says_moves_and_prints_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "p.vos"
    with open_project(folder) as session:
        bear, cub = two(session)

    def output(*words: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["overlap", str(folder), *map(str, words)])
        out, err = capsys.readouterr()
        return out if not ended.value.code else f"{ended.value.code} {err}"

    assert "Covered on frames 0." in output("bear")
    text = output("bear", "--move", "front", "--json")
    assert json.loads(text) == {"object": bear, "keeps_covered": True, "covered_frames": []}
    assert "Covered on frames 0." in output("cub")
    assert "keeps nothing" in output("cub", "--covered", "lose")
    assert output("bear", "--move", "back", "--last", 50).startswith("1 ")
    with open_project(folder) as session:
        assert not session.annotation.object(cub).keeps_covered
        assert np.array_equal(session.masks[0] == bear, pixels(LEFT))
