"""What was done is there again after closing, a crash or a full disk."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interaction.annotation.types import (
    EMPTY_RECORD,
    Click,
    Edit,
    FrameRecord,
    FrameStatus,
    ObjectInfo,
    Prompts,
    Request,
)
from interaction.errors import (
    DiskFullError,
    ProjectError,
    ProjectInUseError,
    ReadOnlyProjectError,
    UnwritableFileError,
    UserError,
)
from interaction.project import writer as saver
from interaction.project.layout import ProjectLayout
from interaction.project.project import Project, copy_project
from tests.unit.project_samples import (
    FRAMES,
    HEIGHT,
    WIDTH,
    Annotator,
    blob,
    state,
    state_of,
    write_source,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mein bär の.vos"


def create(folder: Path, **engine: object) -> Project:
    return Project.create(folder, write_source(folder.parent), engine=engine)


@pytest.mark.parametrize("seed", range(8))
def test_a_reopened_project_is_equal_history_included(folder: Path, seed: int) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.work(seed)
        expected = state_of(annotator)
    with Project.open(folder) as project:
        assert project.damages == ()
        assert not project.is_read_only
        assert state(project) == expected


def test_work_goes_on_over_many_openings(folder: Path) -> None:
    create(folder).close()
    for seed in range(6):
        with Project.open(folder) as project:
            annotator = Annotator(project)
            annotator.work(seed, count=12)
            expected = state_of(annotator)
        with Project.open(folder, read_only=True) as project:
            assert state(project) == expected


def test_undo_and_redo_go_all_the_way_after_reopening(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.work(3)
        records = dict(annotator.annotation.records)
    with Project.open(folder) as project:
        annotator = Annotator(project)
        position = annotator.history.position
        while annotator.history.can_undo:
            annotator.travel(is_undo=True)
        assert not annotator.annotation.records
        assert not annotator.annotation.objects
        while annotator.history.position < position:
            annotator.travel(is_undo=False)
        assert annotator.annotation.records == records
        expected = state_of(annotator)
    with Project.open(folder) as project:
        assert state(project) == expected


def test_a_propagation_is_one_step_whose_masks_are_all_there(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.add_object("bear")
        annotator.propagate(range(FRAMES), "run", 3)
    with Project.open(folder) as project:
        history = project.view.history
        assert [entry.label for entry in history.entries] == ["Add ‘bear’", "Propagate"]
        assert history.entries[1].frames == frozenset(range(FRAMES))
        assert set(history.entries[1].loaded().after) == set(range(FRAMES))


def test_what_brings_an_edit_back_brings_its_whole_group(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.add_object("bear")
        annotator.propagate(range(5), "run", 3)
        step = annotator.history.entries[1]
        in_memory = step.edit
        assert step.load is not None
        assert step.load() == in_memory
        project.flush()
        assert step.load() == in_memory


def test_masks_are_palette_pictures_named_by_frame(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.add_object("bear")
        annotator.click(7, 2, 3)
        annotator.click(9, 2, 3)
        annotator.put(9, EMPTY_RECORD)
    assert [path.name for path in (folder / "masks").iterdir()] == ["0000007.png"]
    assert (folder / "masks" / "0000007.png").read_bytes() == blob(2, 3)


def test_each_mask_is_stored_once(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.add_object("bear")
        for number in range(8):
            annotator.click(0, number, 3)
        while annotator.history.can_undo:
            annotator.travel(is_undo=True)
        while annotator.history.can_redo:
            annotator.travel(is_undo=False)
    with Project.open(folder) as project:
        annotator = Annotator(project)
        annotator.travel(is_undo=True)
        annotator.put(3, FrameRecord(blob(6, 3), FrameStatus.CORRECTED, frozenset({1})))
    expected = sum(len(blob(number, 3)) for number in range(8))
    assert (folder / "history" / "masks.bin").stat().st_size == expected


_WORK_FOREVER = """
import sys
from pathlib import Path
from interaction.project.project import Project
from interaction.project.project import copy_project
from tests.unit.project_samples import Annotator
annotator = Annotator(Project.open(Path(sys.argv[1])))
for number in range(int(sys.argv[2]), 10**9):
    annotator.act(number)
    while not annotator.project.is_saved:
        pass
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_process_costs_nothing_that_was_finished(folder: Path) -> None:
    create(folder).close()
    twin, number = Annotator(), 0
    for lines in (4, 17, 60):
        command = [sys.executable, "-c", _WORK_FOREVER, str(folder), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            finished = [int(process.stdout.readline()) for _ in range(lines)]
            process.send_signal(signal.SIGKILL)  # somewhere in the middle of something
            finished += [int(line) for line in process.stdout.read().split()]
        with Project.open(folder) as project:
            assert project.damages == ()
            assert project.view.outside_changes() is None
            found = state(project)
            project.flush()
            left = [path.name for path in ProjectLayout(folder).masks.iterdir()]
            assert sorted(left) == [f"{frame:07d}.png" for frame in sorted(found[0])]
        while number <= finished[-1]:
            twin.act(number)
            number += 1
        # What was begun after the last report may be there as well.
        while found != state_of(twin) and number < finished[-1] + 5:
            twin.act(number)
            number += 1
        assert found == state_of(twin)
        twin.forget_groups()


def test_edits_that_project_json_does_not_know_yet_are_in_the_journal(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.work(1, count=10)
        project.flush()
        early = (folder / "project.json").read_bytes()
        annotator.work(2, count=30)
        expected = state_of(annotator)
    (folder / "project.json").write_bytes(early)
    with Project.open(folder) as project:
        assert project.damages == ()
        assert state(project) == expected


def test_without_project_json_the_journal_gives_everything(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.work(5)
        expected = state_of(annotator)
    (folder / "project.json").unlink()
    with Project.open(folder) as project:
        assert not project.is_read_only
        assert project.notices
        assert state(project) == expected
        assert project.name == "mein bär の"
    with Project.open(folder) as project:
        assert not project.notices


class FullDisk:
    """Lets every write fail while `is_full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, number: int) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._fsync(number)


def test_a_full_disk_is_reported_once_and_nothing_is_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver, "RETRY_S", 0.01)
    disk = FullDisk(monkeypatch)
    problems: list[UserError] = []
    with create(folder) as project:
        over: list[bool] = []
        project.on_problem = problems.append
        project.on_recovery = lambda: over.append(project.is_saved)
        annotator = Annotator(project)
        annotator.work(1, count=5)
        project.flush()
        disk.is_full = True
        annotator.work(2, count=30)
        with pytest.raises(DiskFullError):
            project.flush()
        with pytest.raises(DiskFullError):
            project.flush()
        assert [type(problem) for problem in problems] == [DiskFullError]
        assert not project.is_saved
        assert over == []
        assert [entry.loaded() for entry in annotator.history.entries]  # undo needs no disk
        with pytest.raises(DiskFullError):
            project.close()
        disk.is_full = False
        project.flush()
        assert project.is_saved
        annotator.work(3, count=2)
        project.flush()
        expected = state_of(annotator)
    assert over == [True]  # once, and not before all was
    with Project.open(folder) as project:
        assert project.damages == ()
        assert state(project) == expected


@pytest.mark.parametrize("seed", range(6))
def test_writes_that_fail_now_and_then_are_made_up_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(saver, "RETRY_S", 0.001)
    chance = random.Random(seed)
    fsync, replace = os.fsync, Path.replace

    def failing_fsync(number: int) -> None:
        if chance.random() < 0.4:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(number)

    def failing_replace(path: Path, target: Path) -> Path:
        if chance.random() < 0.2:
            raise OSError(errno.EIO, "Input/output error")
        return replace(path, target)

    with create(folder) as project:
        annotator = Annotator(project)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing_fsync)
            patch.setattr(Path, "replace", failing_replace)
            for number in range(30):
                annotator.work(100 * seed + number, count=2)
                with suppress(UserError):
                    project.flush()
        expected = state_of(annotator)
    with Project.open(folder) as project:
        assert project.damages == ()
        assert state(project) == expected


def test_a_project_can_be_left_on_a_full_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.work(1)
        project.flush()
        expected = state_of(annotator)
        disk.is_full = True
        annotator.click(3, 1, 1)
        project.close(discards=True)
        disk.is_full = False
    with Project.open(folder) as project:
        assert project.damages == ()
        assert state(project) == expected


def test_a_with_block_lets_go_of_the_folder_even_if_saving_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    project = create(folder)
    annotator = Annotator(project)
    annotator.work(1)
    disk.is_full = True
    annotator.click(1, 1, 1)
    with pytest.raises(DiskFullError):
        project.__exit__(None, None, None)
    disk.is_full = False
    Project.open(folder).close()


def test_a_project_that_cannot_be_made_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch)
    source = write_source(folder.parent)
    disk.is_full = True
    with pytest.raises(DiskFullError):
        Project.create(folder, source)
    disk.is_full = False
    Project.create(folder, source).close()


def test_there_is_one_project_in_a_folder(folder: Path) -> None:
    create(folder).close()
    before = (folder / "project.json").read_bytes()
    with pytest.raises(ProjectError, match="already"):
        create(folder)
    assert (folder / "project.json").read_bytes() == before


def test_no_project_is_made_among_the_masks_of_others(folder: Path) -> None:
    (folder / "masks").mkdir(parents=True)
    (folder / "masks" / "0000000.png").write_bytes(b"another's work")
    with pytest.raises(ProjectError, match="belong to no project"):
        create(folder)
    assert (folder / "masks" / "0000000.png").read_bytes() == b"another's work"


@pytest.mark.parametrize("name", ["a file/inside it", "n" * 300])
def test_a_place_where_nothing_can_be_made_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").write_bytes(b"")
    with pytest.raises(UnwritableFileError):
        Project.create(tmp_path / name, write_source(tmp_path))
    with pytest.raises(ProjectError, match="no project"):
        Project.open(tmp_path / name)


def test_a_folder_without_a_project_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no project"):
        Project.open(tmp_path / "nothing here")
    assert not (tmp_path / "nothing here").exists()


def test_a_project_is_open_once_and_can_be_read_meanwhile(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.work(1)
        project.flush()
        with pytest.raises(ProjectInUseError, match="already"):
            Project.open(folder)
        with Project.open(folder, read_only=True) as reader:
            assert state(reader) == state_of(annotator)
            with pytest.raises(ReadOnlyProjectError):
                Annotator(reader).click(1, 1, 1)
        annotator.click(4, 4, 4)
    Project.open(folder).close()


def test_a_folder_that_cannot_be_written_opens_for_reading(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.work(1)
        expected = state_of(annotator)
    if os.name == "nt" or os.geteuid() == 0:
        # Root writes everywhere: a folder in the lock's place is refused to everybody.
        (folder / ".lock").unlink()
        (folder / ".lock").mkdir()
    else:
        folder.chmod(0o555)
    try:
        with Project.open(folder) as project:
            assert project.is_read_only
            assert project.read_only_reason
            assert project.damages == ()
            assert state(project) == expected
    finally:
        folder.chmod(0o755)


def test_engine_settings_and_unknown_keys_are_kept(folder: Path) -> None:
    with create(folder, tracker_model="small", internal_size=480):
        pass
    path = folder / "project.json"
    data = json.loads(path.read_text("utf-8"))
    data["review"] = {"by": "Ольга", "done": [1, 2.5, None]}
    path.write_text(json.dumps(data), "utf-8")
    with Project.open(folder) as project:
        assert project.view.manifest.engine == {"tracker_model": "small", "internal_size": 480}
        Annotator(project).work(1)
    assert json.loads(path.read_text("utf-8"))["review"] == data["review"]


def test_an_edit_that_could_not_be_read_again_is_refused_at_once(folder: Path) -> None:
    with create(folder) as project:
        empty = {1: EMPTY_RECORD}
        doubtful = {1: FrameRecord(blob(1, 1), FrameStatus.TRACKED, frozenset({1}), float("nan"))}
        with pytest.raises(ValueError, match="doubt"):
            project.record(Edit("x", empty, doubtful))
        with pytest.raises(TypeError):
            project.record(Edit("x", empty, empty, cause=Request()))
        for x, y in ((float("nan"), 0), (0, float("nan")), (1e9, 0), (0, float("-inf"))):
            far = Prompts(1, None, FrameStatus.EMPTY, (Click(x, y, True),))
            with pytest.raises(ValueError, match="click"):
                project.record(Edit("x", empty, {1: FrameRecord(prompts=far)}))
        for objects in (ObjectInfo(0, "x", (0, 0, 0)), ObjectInfo(1, "\ud800", (0, 0, 0))):
            with pytest.raises(ValueError, match="object"):
                project.record(Edit("x", {}, {}, (), (objects,)))
        project.flush()
        assert project.view.history.entries == ()


def apply_all(annotator: Annotator, edits: Iterable[Edit]) -> None:
    for edit in edits:
        annotator.apply(edit)


@pytest.mark.parametrize("seed", range(4))
def test_a_version_is_gone_back_to_as_one_step_and_that_is_undone_as_one(
    folder: Path, seed: int
) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.work(seed)
        then = state_of(annotator)
        version = project.save_version("  Vor der Korrektur: <1>/2 ")
        assert version.name == "Vor der Korrektur: <1>/2"
        annotator.work(seed + 50)
        now = state_of(annotator)
        apply_all(annotator, project.view.restoring(version, annotator.annotation))
        assert (dict(annotator.annotation.records), annotator.annotation.objects) == then[:2]
        annotator.travel(is_undo=True)
        assert (dict(annotator.annotation.records), annotator.annotation.objects) == now[:2]
        expected = state_of(annotator)
    with Project.open(folder) as project:
        assert state(project) == expected
        assert [one.name for one in project.view.versions()] == [version.name]
        assert version.folder.parent == folder / "versions"


def test_a_version_is_whole_without_the_project_around_it(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.work(1)
        masks = {frame: one.mask for frame, one in annotator.annotation.records.items()}
        version = project.save_version("first")
        annotator.work(2)
    found = {path.name: path.read_bytes() for path in (version.folder / "masks").iterdir()}
    assert found == {f"{frame:07d}.png": mask for frame, mask in masks.items()}


@pytest.mark.parametrize(
    "name", ["../../elsewhere", "/etc", "CON", "a" * 200, "ß" * 200, "...", "."]
)
def test_a_version_stays_in_its_folder_whatever_its_name(folder: Path, name: str) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.work(1)
        version = project.save_version(name)
        assert version.folder.parent == folder / "versions"
        assert project.view.versions() == (version,)
        with pytest.raises(ProjectError, match="already"):
            project.save_version(name)


def test_a_version_is_whole_or_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk(monkeypatch)
    with create(folder) as project:
        Annotator(project).work(1)
        project.flush()
        disk.is_full = True
        with pytest.raises(DiskFullError):
            project.save_version("first")
        disk.is_full = False
        assert project.view.versions() == ()
        assert not list((folder / "versions").iterdir())
        with pytest.raises(ProjectError, match="name"):
            project.save_version("  ")


def test_masks_of_another_program_come_in_as_an_edit(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.add_object("bear")
        annotator.click(3, 2, 2)
        annotator.click(4, 2, 2)
        before = dict(annotator.annotation.records)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[2:5, 2:5] = 7
    for name in ("0000003.png", "0000009.png", "0000099.png", "preview.png"):
        Image.fromarray(labels).save(folder / "masks" / name)
    (folder / "masks" / "0000004.png").write_bytes(b"half a mas")
    (folder / "masks" / "0000005.png").write_bytes(blob(2, 2))  # a copy of a mask of ours
    with Project.open(folder) as project:
        annotator = Annotator(project)
        assert annotator.annotation.records == before
        edit = project.view.outside_changes()
        assert edit is not None
        assert edit.frames == {3, 5, 9}
        annotator.apply(edit)
        assert (annotator.annotation.labels(9) == labels).all()
        assert [one.id for one in annotator.annotation.objects] == [1, 7]
        annotator.travel(is_undo=True)
        assert annotator.annotation.records == before
        annotator.travel(is_undo=False)
        expected = state_of(annotator)
    with Project.open(folder) as project:
        assert project.view.outside_changes() is None
        assert state(project) == expected
    assert (folder / "masks" / "preview.png").exists()


def test_mask_files_that_were_lost_are_there_again(folder: Path) -> None:
    with create(folder) as project:
        annotator = Annotator(project)
        annotator.work(1)
        expected = state_of(annotator)
    masks = {path.name: path.read_bytes() for path in (folder / "masks").iterdir()}
    assert masks
    for path in (folder / "masks").iterdir():
        path.unlink()
    with Project.open(folder) as project:
        assert project.damages == ()
        assert state(project) == expected
    assert {path.name: path.read_bytes() for path in (folder / "masks").iterdir()} == masks


def test_a_damaged_project_goes_on_as_a_new_one(folder: Path) -> None:
    with create(folder, device="cpu") as project:
        annotator = Annotator(project)
        annotator.work(1)
        expected = state_of(annotator)
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join([*lines[:3], b"damage\n", *lines[4:]]))
    copy = folder.parent / "copy.vos"
    with Project.open(folder) as project:
        assert project.damages
        copy_project(project, project.load_annotation(), copy)
    with Project.open(copy) as project:
        assert project.damages == ()
        assert state(project)[:2] == expected[:2]
        assert project.view.manifest.engine == {"device": "cpu"}
        assert project.view.find_source() == folder.parent / "зебра 1.mp4"
        Annotator(project).work(2)
