"""An import's plan is shown before it, and it claims nothing that the masks do not say."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from interaction.annotation.requests import ConfirmRequest
from interaction.annotation.types import EMPTY_RECORD, FrameStatus
from interaction.errors import UserError
from interaction.formats.import_masks import planned_edits, planned_picture
from interaction.formats.import_plan import ImportChoices, ImportPlan, plan_import, preview_import
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines, open_session, project_of

FRAMES = 6
DOG, CAT = 1, 2


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with open_session(tmp_path, FRAMES) as opened:
        opened.add_object("dog")
        opened.add_object("cat")
        yield opened


def give(session: Session, frame: int, dog: int = DOG, cat: int = CAT) -> None:
    session.set_mask(frame, tiny.labels(frame, dog, cat))


def masks(folder: Path, dog: int = DOG, cat: int = CAT, frames: Any = range(FRAMES)) -> Path:
    for frame in frames:
        tiny.write_mask(folder, frame, tiny.labels(frame, dog, cat))
    return folder


def plan(session: Session, path: Path, **choices: Any) -> ImportPlan:
    preview = preview_import(path, session.video, session.annotation)
    return plan_import(preview, session.annotation, ImportChoices(**choices))


def do(session: Session, path: Path, **choices: Any) -> ImportPlan:
    """Imports, and sees to it that the plan is true."""
    made = plan(session, path, **choices)
    before = dict(session.annotation.records)
    for edit in planned_edits(made):
        assert session.apply(edit)
    for frame in range(FRAMES):
        record = session.annotation.record(frame)
        if frame in made.outcomes:
            assert record.status is made.outcomes[frame].status
            if record.status is FrameStatus.CORRECTED:
                assert record.given == made.outcomes[frame].given
        else:
            assert record == before.get(frame, EMPTY_RECORD)
    return made


def statuses(session: Session) -> set[FrameStatus]:
    return {session.annotation.record(frame).status for frame in range(FRAMES)}


def lines_of(made: ImportPlan) -> str:
    return "\n".join(made.lines())


def test_masks_of_one_object_leave_the_others_to_be_tracked(
    session: Session, tmp_path: Path
) -> None:
    made = do(session, masks(tmp_path / "m", cat=0), keeps_others=True)
    assert statuses(session) == {FrameStatus.CORRECTED}
    assert "‘cat’" in lines_of(made)
    session.set_mask(0, tiny.labels(0))
    session.propagate(0)
    assert all(CAT in session.annotation.record(frame).present for frame in range(FRAMES))
    for frame in range(1, FRAMES):
        own = session.annotation.labels(frame) == DOG
        assert np.array_equal(own, tiny.labels(frame, 1, 0) == 1)


def test_masks_of_all_objects_confirm_their_frames(session: Session, tmp_path: Path) -> None:
    made = do(session, masks(tmp_path / "m"), keeps_others=True)
    assert statuses(session) == {FrameStatus.CONFIRMED}
    assert not made.unspoken


def test_an_object_that_was_left_out_is_not_declared_absent(
    session: Session, tmp_path: Path
) -> None:
    do(session, masks(tmp_path / "m"), object_ids={DOG: DOG, CAT: 0})
    assert statuses(session) == {FrameStatus.CORRECTED}
    assert session.annotation.record(3).given == {DOG}


def test_a_mask_that_is_the_whole_frame_takes_other_objects_off_it_and_says_so(
    session: Session, tmp_path: Path
) -> None:
    give(session, 0)
    session.propagate(0)
    made = do(session, masks(tmp_path / "m", cat=0), replaces_given=True)
    assert [one.name for one in made.removed] == ["cat"]
    assert "‘cat’" in lines_of(made)
    assert statuses(session) == {FrameStatus.CONFIRMED}
    assert {session.annotation.record(f).present for f in range(FRAMES)} == {frozenset({DOG})}


def test_what_was_confirmed_of_other_objects_stays_so(session: Session, tmp_path: Path) -> None:
    give(session, 1)
    session.do(ConfirmRequest(1))
    give(session, 2, dog=0)
    folder = masks(tmp_path / "m", cat=0)
    do(session, folder, keeps_others=True, replaces_given=True)
    assert session.annotation.record(1).status is FrameStatus.CONFIRMED
    assert session.annotation.record(2).status is FrameStatus.CONFIRMED  # dog and cat are given
    assert session.annotation.record(3).status is FrameStatus.CORRECTED
    do(session, folder, keeps_others=True, replaces_given=True, status=FrameStatus.TRACKED)
    assert session.annotation.record(1).given == {CAT}
    assert session.annotation.record(3).status is FrameStatus.TRACKED


def test_our_own_export_brings_nothing_to_frames_without_annotation(
    session: Session, tmp_path: Path
) -> None:
    give(session, 0)
    session.propagate(0, most_frames=2)
    session.export("davis", tmp_path / "out")
    session.propagate(2)
    tracked = dict(session.annotation.records)
    made = do(session, tmp_path / "out", replaces_given=True)
    assert made.left_empty == (3, 4, 5)
    assert "nothing of the objects" in lines_of(made)
    assert {f: session.annotation.record(f) for f in (3, 4, 5)} == {
        f: tracked[f] for f in (3, 4, 5)
    }
    with open_session(tmp_path, FRAMES) as other:
        do(other, tmp_path / "out")
        assert [other.annotation.record(f).status for f in (2, 3)] == [
            FrameStatus.CONFIRMED,
            FrameStatus.EMPTY,
        ]
        other.propagate(2)
        assert other.annotation.record(5).status is FrameStatus.TRACKED


def test_empty_masks_say_that_objects_are_absent_only_where_that_is_wished(
    session: Session, tmp_path: Path
) -> None:
    masks(tmp_path / "m", frames=(0, 1))
    masks(tmp_path / "m", 0, 0, frames=(2, 3))
    assert plan(session, tmp_path / "m").left_empty == (2, 3)
    made = do(session, tmp_path / "m", takes_empty=True)
    assert "none of the objects will be on 2 frames: 2-3" in lines_of(made)
    assert session.annotation.record(3).status is FrameStatus.CONFIRMED
    assert session.annotation.record(3).present == frozenset()


def test_a_locked_object_is_reported_before_and_no_frame_is_declared_empty(
    session: Session, tmp_path: Path
) -> None:
    session.objects.set_locked(DOG, True)
    folder = masks(tmp_path / "dog", cat=0)
    made = plan(session, folder)
    assert "‘dog’ is locked: nothing of it is imported" in lines_of(made)
    assert made.problem is not None
    with pytest.raises(UserError, match="locked"):
        planned_edits(made)
    both = do(session, masks(tmp_path / "both"))
    assert "‘dog’ is locked" in lines_of(both)
    assert statuses(session) == {FrameStatus.CORRECTED}
    assert session.annotation.record(2).given == {CAT}


def test_frames_made_by_hand_and_outside_the_range_are_listed_as_left_alone(
    session: Session, tmp_path: Path
) -> None:
    give(session, 2)
    made = do(session, masks(tmp_path / "m"), first=1, last=4)
    assert made.frames == (1, 3, 4)
    assert made.left_given == (2,)
    assert made.left_outside == (0, 5)
    assert "1 frame left alone, made or confirmed by hand: 2" in lines_of(made)
    assert json.loads(json.dumps(made.to_json()))["left_given"] == [2]
    replaced = plan(session, tmp_path / "m", replaces_given=True)
    assert "will be replaced: 1-4" in lines_of(replaced)


def test_an_object_lost_by_resizing_is_not_counted_nor_declared_absent(
    session: Session, tmp_path: Path
) -> None:
    give(session, 4)
    cat = session.annotation.labels(4) == CAT
    for frame in range(FRAMES):
        large = tiny.labels(frame, DOG, 0, 480, 600)
        large[7, 7] = CAT
        large[8, 8] = 9
        tiny.write_mask(tmp_path / "m", frame, large)
    made = do(session, tmp_path / "m", keeps_others=True, replaces_given=True)
    assert [(one.key, one.frame_count) for one in made.preview.objects] == [(1, 6), (2, 0), (9, 0)]
    assert "resizing leaves nothing of it on 6 frames" in lines_of(made)
    assert [one.id for one in session.annotation.objects] == [DOG, CAT]
    assert session.annotation.record(0).status is FrameStatus.CORRECTED
    assert session.annotation.record(0).given == {DOG}
    assert (session.annotation.labels(4) == CAT)[cat].mean() > 0.9  # as far as no dog is there


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"object_ids": {DOG: 0}}, "every object is left out"),
        ({"first": 4}, "outside the range"),
        ({"first": 2, "last": 2}, "by hand"),
        ({"first": 1, "last": 1}, "no pixel of the objects"),
        ({"first": 1, "last": 2}, "holds nothing of the objects"),
    ],
)
def test_why_nothing_would_be_imported_is_reported(
    session: Session, tmp_path: Path, choices: dict[str, Any], words: str
) -> None:
    give(session, 2)
    masks(tmp_path / "m", frames=(0, 2))
    masks(tmp_path / "m", 0, 0, frames=(1,))
    problem = plan(session, tmp_path / "m", **choices).problem
    assert problem is not None
    assert words in problem


def test_masks_without_a_single_object_are_reported(session: Session, tmp_path: Path) -> None:
    problem = plan(session, masks(tmp_path / "m", 0, 0)).problem
    assert problem is not None
    assert "no object in any" in problem


def test_nothing_is_read_or_changed_by_a_plan(session: Session, tmp_path: Path) -> None:
    folder = masks(tmp_path / "m")
    preview = preview_import(folder, session.video, session.annotation)
    before = dict(session.annotation.records), session.annotation.objects
    for path in folder.iterdir():
        path.unlink()
    plan_import(preview, session.annotation)
    assert (dict(session.annotation.records), session.annotation.objects) == before


def test_the_picture_of_a_frame_shows_what_it_will_be(session: Session, tmp_path: Path) -> None:
    session.objects.recolor(CAT, (0, 0, 255))
    give(session, 1, dog=0)
    folder = masks(tmp_path / "m", cat=0)
    made = plan(session, folder, keeps_others=True, replaces_given=True)
    picture = planned_picture(made, 1, session.video, 1000)
    plain = session.video[1]
    for edit in planned_edits(made):
        session.apply(edit)
    labels = session.annotation.labels(1)
    # An outline and its halo lie on either side of an edge, up to 4 times its width.
    is_far = cv2.dilate((labels > 0).astype(np.uint8), np.ones((17, 17), np.uint8)) == 0
    assert is_far.any()
    assert np.array_equal(picture[is_far], plain[is_far])
    assert set(np.unique(labels)) == {0, DOG, CAT}
    for one in (DOG, CAT):
        color = session.annotation.object(one).color
        assert (picture[labels == one] == color).all(axis=1).any()  # its outline
    small = planned_picture(made, 0, session.video, 30)  # left alone or not: what the mask holds
    assert small.shape == (24, 30, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are UTF-8 or UTF-16 here")
@pytest.mark.parametrize("layout", ["pictures", "folders"])
def test_a_folder_whose_name_is_no_utf8_is_imported_and_saved(tmp_path: Path, layout: str) -> None:
    tiny.write_clip(tmp_path / "clip", FRAMES)
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    masks(odd if layout == "pictures" else odd / os.fsdecode(b"th\xe9"), dog=0)
    masks(odd if layout == "pictures" else odd / "milk", dog=0)
    project = tmp_path / "p.vos"
    with Session.open(tmp_path / "clip", project, engines=FakeEngines()) as session:
        do(session, odd)
        records = dict(session.annotation.records)
    with Session.open_project(project, engines=FakeEngines()) as session:
        assert project_of(session).damages == ()
        assert dict(session.annotation.records) == records
        assert "caf?" in session.history.entries[-1].label
