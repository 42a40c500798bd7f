"""A session with a project: what was done is still there, history included, when it is reopened."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from interaction.annotation.mask_files import decode_labels, encode_labels
from interaction.annotation.requests import (
    ConfirmRequest,
    DeleteRequest,
    StrokeRequest,
    SwapRequest,
)
from interaction.annotation.types import FrameRecord, FrameStatus, ObjectInfo, Stroke
from interaction.errors import (
    ProjectInUseError,
    ReadOnlyProjectError,
    SourceChangedError,
    SourceMovedError,
    UnreadableMaskError,
    UserError,
)
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines, project_of, tracking

LEFT = Stroke(((10.0, 20.0), (20.0, 20.0)), 4)
RIGHT = Stroke(((40.0, 20.0), (50.0, 20.0)), 4)
State = tuple[dict[int, FrameRecord], tuple[ObjectInfo, ...]]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    tiny.write_clip(tmp_path / "clip", 8)
    return tmp_path / "clip"


def state(session: Session) -> State:
    return dict(session.annotation.records), session.annotation.objects


def work(session: Session) -> list[State]:
    """Some of everything; the state before each step and at the end."""
    states: list[State] = []
    bear = 1
    for step in (
        lambda: session.add_object("bear"),
        lambda: session.add_object("cub"),
        lambda: session.click(0, bear, 20, 20),
        lambda: session.click(0, bear, 30.5, 22, is_positive=False),
        lambda: session.do(StrokeRequest(0, 2, RIGHT)),
        lambda: session.propagate(0),
        lambda: session.do(ConfirmRequest(4)),
        lambda: session.do(SwapRequest(1, 2, from_frame=5)),
        lambda: session.do(DeleteRequest(bear)),
    ):
        states.append(state(session))
        step()
    states.append(state(session))
    return states


def test_a_project_is_as_it_was_when_it_is_opened_again(
    clip: Path, tmp_path: Path, engines: FakeEngines
) -> None:
    with Session.open(clip, tmp_path / "bear.vos", engines=engines) as session:
        work(session)
        before = state(session)
    with Session.open_project(tmp_path / "bear.vos", engines=engines) as session:
        assert state(session) == before
        assert not session.ledger.is_read_only


def test_undo_and_redo_go_on_after_reopening_exact_to_the_byte(
    clip: Path, tmp_path: Path, engines: FakeEngines
) -> None:
    with Session.open(clip, tmp_path / "bear.vos", engines=engines) as session:
        states = work(session)
        session.undo()
    assert len(states) == 10
    with Session.open(clip, tmp_path / "bear.vos", engines=engines) as session:
        assert session.history.position == 8
        for position in [9, *range(8, -1, -1), 9]:
            session.ledger.go_to(position)
            assert state(session) == states[position]
        session.ledger.go_to(5)
    with Session.open_project(tmp_path / "bear.vos", engines=engines) as session:
        assert state(session) == states[5]
        session.do(StrokeRequest(3, 1, LEFT))
        assert len(session.history.entries) == 6


def test_each_frames_mask_is_an_ordinary_picture_in_the_project(
    clip: Path, tmp_path: Path, engines: FakeEngines
) -> None:
    with Session.open(clip, tmp_path / "bear.vos", engines=engines) as session:
        work(session)
        session.flush()
        for frame, record in session.annotation.records.items():
            if record.mask is not None:
                data = (tmp_path / "bear.vos" / "masks" / f"{frame:07d}.png").read_bytes()
                assert np.array_equal(decode_labels(data), session.annotation.labels(frame))


def test_a_run_that_is_broken_off_is_on_disk_up_to_the_last_frame(
    clip: Path, tmp_path: Path, engines: FakeEngines
) -> None:
    with Session.open(clip, tmp_path / "bear.vos", engines=engines) as session:
        bear = session.add_object("bear")
        session.do(StrokeRequest(0, bear, LEFT))
        for frame in tracking(session, 0):
            if frame == 3:
                break
    with Session.open_project(tmp_path / "bear.vos", engines=engines) as session:
        tracked = [
            frame
            for frame, record in session.annotation.records.items()
            if record.status is FrameStatus.TRACKED
        ]
        assert tracked == [1, 2, 3]
        session.undo()
        assert set(session.annotation.records) == {0}


def test_a_project_is_open_once_and_can_be_looked_at_meanwhile(
    clip: Path, tmp_path: Path, engines: FakeEngines
) -> None:
    folder = tmp_path / "bear.vos"
    with Session.open(clip, folder, engines=engines) as session:
        session.add_object("bear")
        session.flush()
        with pytest.raises(ProjectInUseError):
            Session.open_project(folder, engines=engines)
        with Session.open_project(folder, engines=engines, read_only=True) as other:
            assert other.ledger.is_read_only
            assert [one.name for one in other.annotation.objects] == ["bear"]
            for change in (lambda: other.add_object("cub"), other.undo):
                with pytest.raises(ReadOnlyProjectError):
                    change()
            assert [one.name for one in other.annotation.objects] == ["bear"]


def test_a_video_that_moved_is_asked_about_and_another_one_refused(
    clip: Path, tmp_path: Path, engines: FakeEngines
) -> None:
    folder = tmp_path / "work" / "bear.vos"
    with Session.open(clip, folder, engines=engines) as session:
        session.add_object("bear")
    moved = tmp_path / "work" / "clip"
    shutil.move(clip, moved)
    with pytest.raises(SourceMovedError):
        Session.open_project(folder, engines=engines)
    with Session.open(moved, folder, engines=engines) as session:
        assert [one.name for one in session.annotation.objects] == ["bear"]
    with Session.open_project(folder, engines=engines) as session:
        assert session.video.path == moved
    tiny.write_clip(tmp_path / "other", 6)
    with pytest.raises(SourceChangedError):
        Session.open(tmp_path / "other", folder, engines=engines)
    with Session.open_project(folder, engines=engines):
        pass  # the refusal has let go of it


def test_a_mask_put_into_the_folder_by_another_program_is_an_edit(
    clip: Path, tmp_path: Path, engines: FakeEngines
) -> None:
    folder = tmp_path / "bear.vos"
    with Session.open(clip, folder, engines=engines) as session:
        session.add_object("disc")
        session.do(StrokeRequest(0, 1, LEFT))
    tiny.write_mask(tmp_path, 0, tiny.labels(0, 1, 0))
    (tmp_path / "00000.png").replace(folder / "masks" / "0000000.png")
    with Session.open_project(folder, engines=engines) as session:
        assert np.array_equal(session.annotation.labels(0), tiny.labels(0, 1, 0))
        session.undo()
        assert session.annotation.labels(0)[20, 15] == 1


def test_what_another_program_took_off_a_frame_stays_off(clip: Path, tmp_path: Path) -> None:
    project = tmp_path / "p.vos"
    with Session.open(clip, project, engines=FakeEngines()) as session:
        bear, cub = session.add_object("bear"), session.add_object("cub")
        session.do(StrokeRequest(0, bear, LEFT))
        session.do(StrokeRequest(0, cub, RIGHT))
        session.propagate(0)
        labels = session.annotation.labels(4).copy()
        assert (labels == cub).any()
    labels[labels == cub] = 0
    (project / "masks" / "0000004.png").write_bytes(encode_labels(labels))
    with Session.open_project(project, engines=FakeEngines()) as session:
        assert session.annotation.record(4).given == {bear, cub}
        session.propagate(0)
        assert np.array_equal(session.annotation.labels(4), labels)


def test_a_workspace_of_another_program_opens_with_its_masks(
    tmp_path: Path, engines: FakeEngines
) -> None:
    workspace = tmp_path / "bear"
    tiny.write_clip(workspace / "images", 6)
    for frame in (0, 3, 4):
        tiny.write_mask(workspace / "masks", frame, tiny.labels(frame))
    with Session.open_project(workspace, engines=engines) as session:
        assert set(session.annotation.records) == {0, 3, 4}
        assert np.array_equal(session.annotation.labels(3), tiny.labels(3))
        assert [one.id for one in session.annotation.objects] == [1, 2]
        assert len(session.history.entries) == 1
        assert session.annotation.record(0).status is FrameStatus.CORRECTED
        session.propagate(0)
        before = state(session)
    with Session.open_project(workspace, engines=engines) as session:
        assert state(session) == before
    assert sorted(path.name for path in workspace.iterdir()) == ["bear.vos", "images", "masks"]


def test_a_workspace_with_a_damaged_mask_is_refused_and_left_as_it_was(
    tmp_path: Path, engines: FakeEngines
) -> None:
    workspace = tmp_path / "bear"
    tiny.write_clip(workspace / "images", 3)
    tiny.write_mask(workspace / "masks", 0, tiny.labels(0))
    (workspace / "masks" / "00001.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableMaskError):
        Session.open_project(workspace, engines=engines)
    assert sorted(path.name for path in workspace.iterdir()) == ["images", "masks"]


def put_mask(folder: Path, frame: int, disc: int, box: int) -> bytes:
    """As another program does; returns the file's bytes."""
    data = encode_labels(tiny.labels(frame, disc, box))
    (folder / "masks" / f"{frame:07d}.png").write_bytes(data)
    return data


def test_another_program_s_change_of_a_locked_object_is_left_out_and_reported(
    clip: Path, tmp_path: Path, engines: FakeEngines
) -> None:
    folder = tmp_path / "bear.vos"
    with Session.open(clip, folder, engines=engines) as session:
        session.add_object("disc")
        locked = session.add_object("box")
        for frame in (2, 3):
            session.do(StrokeRequest(frame, locked, RIGHT))
        session.objects.set_locked(locked, True)
        before = state(session)
    data = put_mask(folder, 3, 1, locked)
    put_mask(folder, 5, 1, 0)
    for opening in range(2):
        with Session.open_project(folder, engines=engines) as session:
            assert project_of(session).damages == ()
            assert len(project_of(session).notices) == 1
            assert "Frame 3" in project_of(session).notices[0]
            assert "‘box’" in project_of(session).notices[0]
            assert session.annotation.record(3) == before[0][3]
            assert np.array_equal(session.annotation.labels(5), tiny.labels(5, 1, 0))
            assert (folder / "masks" / "0000003.png").read_bytes() == data
            if opening == 1:
                session.objects.set_locked(locked, False)
    with Session.open_project(folder, engines=engines) as session:
        assert project_of(session).notices == ()
        assert np.array_equal(session.annotation.labels(3), tiny.labels(3, 1, locked))
        session.undo()
        assert session.annotation.record(3) == before[0][3]


def test_a_project_whose_masks_folder_is_gone_says_so_and_makes_it_again(
    clip: Path, tmp_path: Path, engines: FakeEngines
) -> None:
    folder = tmp_path / "bear.vos"
    with Session.open(clip, folder, engines=engines) as session:
        bear = session.add_object("bear")
        session.do(StrokeRequest(0, bear, LEFT))
    mask = (folder / "masks" / "0000000.png").read_bytes()
    shutil.rmtree(folder / "masks")
    with Session.open_project(folder, engines=engines) as session:
        assert project_of(session).damages == ()
        assert any("masks" in notice for notice in project_of(session).notices)
        session.do(StrokeRequest(1, bear, RIGHT))
        session.flush()
        assert (folder / "masks" / "0000000.png").read_bytes() == mask
        shutil.rmtree(folder / "masks")  # while it is open
        session.do(StrokeRequest(2, bear, RIGHT))
        session.flush()
        assert (folder / "masks" / "0000002.png").exists()
    with Session.open_project(folder, engines=engines) as session:
        assert project_of(session).damages == project_of(session).notices == ()
        assert sorted(session.annotation.records) == [0, 1, 2]


def test_a_late_project_is_made_with_the_first_edit_and_is_like_any_other(
    clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "late.vos"
    with Session.open(clip, folder, engines=FakeEngines(), creates_late=True) as session:
        assert session.project is not None
        assert not session.ledger.is_read_only
        assert not folder.exists()
        bear = session.add_object("bear")
        assert session.project.is_made
        session.do(StrokeRequest(0, bear, Stroke(((20.0, 20.0),), 8)))
        kept = session.annotation.record(0)
    with Session.open_project(folder, engines=FakeEngines()) as again:
        assert again.annotation.record(0) == kept
        assert again.history.can_undo


def test_a_late_project_that_was_never_changed_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "late.vos"
    with Session.open(clip, folder, engines=FakeEngines(), creates_late=True) as session:
        session.flush()
    assert not folder.exists()


def test_an_edit_whose_late_project_cannot_be_made_is_not_done(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "late.vos"
    with Session.open(clip, folder, engines=FakeEngines(), creates_late=True) as session:
        folder.write_text("in the way")
        with pytest.raises(UserError):
            session.add_object("bear")
        assert session.annotation.objects == ()
        assert not session.history.can_undo
        folder.unlink()
        session.add_object("bear")
    assert (folder / "project.json").is_file()
