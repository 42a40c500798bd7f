"""Replay: the same steps give the same masks; what cannot be done again is taken over."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from interaction.annotation.history import Entry
from interaction.annotation.requests import (
    BoxRequest,
    ClearRequest,
    ClickRequest,
    ConfirmRequest,
    CopyRequest,
    DeleteRequest,
    FillRequest,
    ImportRequest,
    MaskRequest,
    MergeRequest,
    ObjectsRequest,
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
from interaction.annotation.types import EMPTY_RECORD, Click, Edit, FrameStatus, ObjectInfo, Stroke
from interaction.answers import answer
from interaction.project.causes import cause_from_json, cause_to_json
from interaction.project.manifest import encode_json, parse_json
from interaction.project.project import Project
from interaction.replay import compare, replay
from interaction.session import Session
from interaction.tracking.trust import is_of_two_passes
from tests import tiny
from tests.fake_engines import FakeEngines, open_session, tracking

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
    session.objects.rename(cub, "kid")
    session.click(0, bear, 20, 20)
    session.click(0, bear, 33, 20)
    session.click(0, bear, 24, 20, is_positive=False)
    session.remove_click(0, 1)
    session.box(1, cub, (30, 10), (50, 40))
    session.scribble(2, bear, [DAB])
    session.do(StrokeRequest(0, cub, DAB))
    session.do(FillRequest(0, cub, ((5, 30), (25, 30), (15, 45))))
    session.objects.set_locked(cub, True)
    session.propagate(0, most_frames=5)
    session.objects.set_locked(cub, False)
    session.do(SurgeryRequest("grow", 3, bear, size_px=2))
    session.do(ConfirmRequest(4))
    session.do(UnconfirmRequest(4))
    session.do(CopyRequest(0, 6))
    session.do(ClearRequest(2, bear))
    session.do(SurgeryRequest("shrink", 3, bear, size_px=1, last=5))
    session.do(ClearRequest(4, bear, last=5))
    session.do(SwapRequest(bear, cub, from_frame=4))
    session.do(StrokeRequest(7, bear, Stroke(((5.0, 5.0),), 4)))
    session.do(StrokeRequest(7, bear, Stroke(((45.0, 5.0),), 4)))
    session.do(SplitRequest(7, bear))
    session.do(MergeRequest(3, into=cub))
    session.do(DeleteRequest(bear))


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


def test_a_mask_from_a_script_is_taken_over(session: Session, other: Session) -> None:
    session.add_object()
    session.set_mask(2, tiny.labels(2, 1, 0))
    steps = list(replay(other, session.history.entries))
    assert steps[-1].remark is not None
    assert dict(other.annotation.records) == dict(session.annotation.records)


def test_a_step_that_no_longer_fits_is_taken_over_with_the_reason(other: Session) -> None:
    with_mask = replace(EMPTY_RECORD, mask=None, status=FrameStatus.TRACKED)
    causes = [
        {"kind": "surgery:split", "frame": 0, "object": 7},
        {"kind": "click", "frame": "x"},
        {"kind": "from the future"},
        {"kind": "surgery:grow", "object": 1, "frame": 3, "colour": 2},
    ]
    broken = [
        Edit("Odd", {frame: EMPTY_RECORD}, {frame: with_mask}, cause=cause_from_json(cause)[0])
        for frame, cause in enumerate(causes)
    ]
    entries = [Entry(edit.label, edit=edit) for edit in broken]
    remarks = [step.remark or "" for step in replay(other, entries)]
    for remark, reason in zip(
        remarks, ("no object 7", "frame is not", "from the future", "grow needs"), strict=True
    ):
        assert reason in remark
    assert set(other.annotation.records) == {0, 1, 2, 3}


def test_a_cancelled_run_is_replayed_up_to_the_frame_it_came_to(
    session: Session, other: Session
) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, DAB))
    for frame in tracking(session, 0):
        if frame == 3:
            break
    assert sorted(session.annotation.records) == [0, 1, 2, 3]
    steps = list(replay(other, session.history.entries))
    assert [step.remark for step in steps if step.remark] == []
    assert dict(other.annotation.records) == dict(session.annotation.records)


def test_a_run_of_two_passes_is_replayed_to_its_end(session: Session, other: Session) -> None:
    bear = session.add_object("bear")
    session.click(0, bear, 20, 20)
    session.click(6, bear, 40, 20)
    session.propagate(0, blends=True)
    assert any(is_of_two_passes(record) for record in session.annotation.records.values())
    assert not any(step.remark for step in replay(other, session.history.entries))
    assert dict(other.annotation.records) == dict(session.annotation.records)


def test_a_stroke_ahead_of_a_run_is_replayed_on_what_it_was_drawn_on(
    session: Session, other: Session
) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, DAB))
    for frame in tracking(session, 0):
        if frame == 2:
            session.do(StrokeRequest(5, bear, Stroke(((30.0, 40.0),), 3)))
    assert session.annotation.record(5).status is FrameStatus.CORRECTED
    assert session.annotation.record(7).status is FrameStatus.TRACKED
    list(replay(other, session.history.entries))
    assert dict(other.annotation.records) == dict(session.annotation.records)


def test_a_part_that_was_taken_away_is_taken_away_again(session: Session, other: Session) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, DAB))
    session.do(StrokeRequest(0, bear, Stroke(((10.0, 40.0),), 4)))
    session.do(SurgeryRequest("remove_part", 0, bear, point=(10, 40)))
    steps = list(replay(other, session.history.entries))
    assert [step.remark for step in steps if step.remark] == []
    assert dict(other.annotation.records) == dict(session.annotation.records)


def test_masks_that_differ_are_counted(session: Session, other: Session) -> None:
    for one in (session, other):
        one.add_object()
        one.do(StrokeRequest(0, 1, DAB))
        one.do(StrokeRequest(1, 1, DAB))
    other.do(StrokeRequest(1, 1, Stroke(((10.0, 40.0),), 4)))
    comparison = compare(other, session.annotation.records)
    assert (comparison.frames, comparison.equal_frames) == (2, 1)
    assert 0 < comparison.mean_iou < 1


# Journals of the program before requests had types


@pytest.fixture
def old_project(tmp_path: Path) -> Iterator[Project]:
    """Recorded with causes as dictionaries: every kind that the program knew then."""
    folder = tmp_path / "old.vos"
    shutil.copytree(Path(__file__).parents[1] / "golden" / "old_journal", folder)
    with Project.open(folder, read_only=True) as project:
        yield project


def test_an_old_journal_is_done_again_to_the_very_same_masks(
    old_project: Project, other: Session
) -> None:
    history, records = old_project.view.history, old_project.load_annotation().records
    assert old_project.damages == ()
    causes = [entry.loaded().cause for entry in history.entries]
    assert not any(isinstance(cause, UnknownRequest) for cause in causes)
    kinds = {type(cause).__name__.removesuffix("Request") for cause in causes}
    assert kinds == {
        *("Box", "Clear", "Click", "Confirm", "Copy", "Delete", "Fill", "Import", "Merge"),
        *("Objects", "Propagation", "RemoveClick", "Scribble", "Split", "Stroke", "Surgery"),
        *("Swap", "Unconfirm"),
    }
    steps = list(replay(other, history.entries[: history.position]))
    assert {step.label for step in steps if step.remark} <= {"Import"}
    # Boxes and clicks are answered by other rules since, so masks that come from them may differ.
    assert {f: (r.status, r.present, r.given) for f, r in other.annotation.records.items()} == {
        f: (r.status, r.present, r.given) for f, r in records.items()
    }
    differ = {f for f, r in records.items() if other.annotation.record(f).mask != r.mask}
    prompted = {c.frame for c in causes if isinstance(c, BoxRequest | ClickRequest)}
    assert differ <= prompted | {f for f, r in records.items() if not r.status.is_given}


def test_causes_are_read_as_they_were_written() -> None:
    stroke = Stroke(((1.5, 2.0), (3.0, 4.25)), 5.0, False)
    for cause in (
        ClickRequest(3, 2, Click(1.25, 7.0, False)),
        RemoveClickRequest(3, 1),
        BoxRequest(0, 1, (1.0, 2.0), (3.5, 4.0)),
        ScribbleRequest(0, 1, (stroke, stroke)),
        StrokeRequest(9, 255, stroke),
        FillRequest(0, 1, ((1.0, 2.0), (3.0, 4.0), (5.0, 0.5)), False),
        *(SurgeryRequest(one, 1, 2, 3.0) for one in ("grow", "shrink", "smooth", "remove_specks")),
        *(SurgeryRequest(one, 1, 2) for one in ("keep_largest", "fill_holes")),
        *(SurgeryRequest(one, 1, 2, point=(4.0, 5.0)) for one in ("flood_fill", "remove_part")),
        ConfirmRequest(1),
        UnconfirmRequest(1),
        ClearRequest(1),
        ClearRequest(1, 2),
        ClearRequest(1, 2, last=9),
        SurgeryRequest("remove_specks", 1, 2, size_px=64, last=9),
        CopyRequest(1, 2, 3),
        MaskRequest(4),
        ObjectsRequest((ObjectInfo(1, "bär", (1, 2, 3), is_locked=True),)),
        DeleteRequest(1),
        MergeRequest(1, 2),
        SwapRequest(1, 2, 3),
        SplitRequest(1, 2),
        PropagationRequest(1, "both", "settled", 3, 0, 9, frozenset({1, 2})),
        PropagationRequest(1),
        PropagationRequest(1, first=1, last=4, covered_only=True),
        ImportRequest("masks", "coco"),
        VersionRequest("good"),
        UnknownRequest('{"kind":"later","x":[1]}', "this program knows no step “later”"),
    ):
        plain = parse_json(encode_json(cause_to_json(cause, frozenset({3}))).encode())
        read, locked = cause_from_json(plain)
        assert read == cause
        assert locked == (frozenset() if isinstance(cause, UnknownRequest) else {3})


@pytest.mark.parametrize(
    "plain",
    [
        {"kind": "click", "frame": 0, "object": 1, "x": 1e300, "y": 0, "is_positive": True},
        {"kind": "click", "frame": True, "object": 1, "x": 1, "y": 0, "is_positive": True},
        {"kind": "click", "frame": 0, "object": 256, "x": 1, "y": 0, "is_positive": True},
        {"kind": "click", "frame": 0, "object": 1, "x": "1", "y": 0, "is_positive": True},
        {"kind": "stroke", "frame": 0, "object": 1, "points": [[1]], "radius_px": 1},
        {"kind": "propagate", "start": 0, "direction": "sideways", "until": "end"},
        {"kind": "propagate", "start": 0, "direction": "both", "until": "end", "most_frames": 0},
        {"kind": "surgery:__class__", "frame": 0, "object": 1},
        {"kind": ["click"]},
        {"kind": "objects", "objects": {"id": 1}},
        {"no": "kind"},
    ],
)
def test_a_hostile_cause_is_kept_and_never_done(plain: dict[str, object], other: Session) -> None:
    cause, _ = cause_from_json(plain)
    assert isinstance(cause, UnknownRequest)
    assert cause.problem
    assert cause_to_json(cause, frozenset()) == plain
    with pytest.raises(TypeError):
        answer(other.context(), cause)
