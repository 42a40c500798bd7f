"""A project is open in one program at a time, and a program that died does not keep it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from interaction.errors import ProjectInUseError, UnwritableFileError, UserError
from interaction.project import lock as project_lock
from interaction.project import writer as saver
from interaction.project.layout import ProjectLayout
from interaction.project.lock import Holder, ProjectLock
from interaction.project.project import Project
from tests.unit.project_samples import Annotator, state, state_of, write_source

_HOLD = """
import sys
from pathlib import Path
from interaction.project.project import Project
project = Project.open(Path(sys.argv[1]))
sys.stdout.write("open\\n")
sys.stdout.flush()
sys.stdin.readline()
project.close()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bear.vos"
    Project.create(folder, write_source(tmp_path)).close()
    return folder


@contextmanager
def held_elsewhere(folder: Path) -> Generator["subprocess.Popen[str]", None, None]:
    command = [sys.executable, "-c", _HOLD, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process


def note(folder: Path, holder: Holder, age_s: float = 0.0) -> None:
    """As if `holder` had the project open, heard of last `age_s` ago."""
    path = folder / "project.lock"
    path.write_text(json.dumps(asdict(holder)))
    os.utime(path, (time.time() - age_s, time.time() - age_s))


def test_nobody_else_gets_in_and_is_told_who_is_there(folder: Path) -> None:
    with held_elsewhere(folder) as process:
        with pytest.raises(ProjectInUseError, match=f"process {process.pid}"):
            Project.open(folder)
        with Project.open(folder, read_only=True) as project:
            assert project.is_read_only
        process.communicate("\n")
    Project.open(folder).close()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_process_that_was_killed_does_not_keep_it(folder: Path) -> None:
    with held_elsewhere(folder) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (folder / "project.lock").exists()
        Project.open(folder).close()
    assert not (folder / "project.lock").exists()


def test_a_note_of_a_dead_process_of_this_computer_counts_for_nothing(folder: Path) -> None:
    gone = replace(Holder.this_process(), started_s=1000.0)  # its number is another's by now
    note(folder, gone)
    Project.open(folder).close()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        note(folder, replace(gone, pid=process.pid))
    Project.open(folder).close()


def test_a_dead_process_counts_for_nothing_even_if_the_system_still_holds_its_lock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of it may live on with the lock, or the disk may know no locks."""

    @contextmanager
    def no_lock(_: Path) -> Generator[bool, None, None]:
        yield False

    monkeypatch.setattr(project_lock, "file_lock", no_lock)
    with pytest.raises(ProjectInUseError, match="in another program"):
        Project.open(folder)  # nothing says that its holder is dead
    note(folder, replace(Holder.this_process(), started_s=1000.0))
    Project.open(folder).close()


def test_another_computer_counts_while_it_is_heard_of(folder: Path) -> None:
    other = Holder("studio-2", 77, 1.7e9)
    note(folder, other)
    with pytest.raises(ProjectInUseError, match="on the computer “studio-2”"):
        Project.open(folder)
    note(folder, other, age_s=600)
    Project.open(folder).close()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"host": 1, "pid": -5, "started_s": "x"}', "[" * 9000]
)
def test_a_note_that_says_nothing_is_no_hindrance(folder: Path, text: str) -> None:
    (folder / "project.lock").write_text(text)
    Project.open(folder).close()


def test_the_holder_is_heard_of_while_it_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_lock, "RENEW_S", 0.0)
    with Project.open(folder) as project:
        os.utime(folder / "project.lock", (0, 0))
        Annotator(project).work(1)
        project.flush()
        assert (folder / "project.lock").stat().st_mtime > 1e9


def test_who_lost_the_lock_while_asleep_writes_nothing_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_lock, "RENEW_S", 0.0)
    monkeypatch.setattr(saver, "RETRY_S", 0.01)
    told: list[UserError] = []
    with Project.open(folder) as project:
        project.on_problem = told.append
        annotator = Annotator(project)
        annotator.work(1)
        project.flush()
        expected = state_of(annotator)
        note(folder, Holder("studio-2", 77, 1.7e9))
        annotator.click(1, 1, 1)
        with pytest.raises(ProjectInUseError, match="studio-2"):
            project.flush()
        (folder / "project.lock").unlink()  # the other is done, but may have written
        with pytest.raises(ProjectInUseError, match="studio-2"):
            project.flush()
        assert [type(problem) for problem in told] == [ProjectInUseError]
        project.close(discards=True)
    with Project.open(folder) as project:
        assert state(project) == expected


def test_a_journal_that_others_wrote_to_is_not_written_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver, "RETRY_S", 0.01)
    with Project.open(folder) as project:
        annotator = Annotator(project)
        annotator.work(1)
        project.flush()
        with (folder / "journal.jsonl").open("ab") as file:
            file.write(b"a line of somebody else\n")
        before = (folder / "journal.jsonl").read_bytes()
        annotator.click(1, 1, 1)
        with pytest.raises(UnwritableFileError, match="another program"):
            project.flush()
        project.close(discards=True)
    assert (folder / "journal.jsonl").read_bytes() == before


def _hostile(action: Callable[[Path, Path], None], name: str) -> object:
    return pytest.param(action, name, id=f"{action.__name__} {name}")


def link_file(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target / "secret")


def link_folder(path: Path, target: Path) -> None:
    if path.is_dir():
        for one in path.iterdir():
            one.unlink()
        path.rmdir()
    path.symlink_to(target, target_is_directory=True)


def pipe(path: Path, _: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize(
    ("action", "name"),
    [
        _hostile(link_file, "project.json"),
        _hostile(link_file, "journal.jsonl"),
        _hostile(link_file, "history/masks.bin"),
        _hostile(link_file, "frames.idx"),
        _hostile(link_file, "project.lock"),
        _hostile(link_file, ".lock"),
        _hostile(link_file, "masks/0000001.png"),
        _hostile(link_folder, "masks"),
        _hostile(link_folder, "history"),
        _hostile(link_folder, "versions"),
        _hostile(pipe, "project.json"),
        _hostile(pipe, "journal.jsonl"),
        _hostile(pipe, "history/masks.bin"),
        _hostile(pipe, "frames.idx"),
        _hostile(pipe, "project.lock"),
        _hostile(pipe, ".lock"),
        _hostile(pipe, "masks/0000001.png"),
    ],
)
def test_nothing_outside_the_folder_is_read_or_written(
    folder: Path, action: Callable[[Path, Path], None], name: str
) -> None:
    with Project.open(folder) as project:
        annotator = Annotator(project)
        annotator.add_object("bear")
        annotator.click(1, 1, 1)
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_bytes(b"keep out")
    (elsewhere / "0000001.png").write_bytes(b"keep out")
    action(folder / name, elsewhere)
    try:
        with Project.open(folder) as project:
            annotator = Annotator(project)
            if not project.is_read_only:
                annotator.click(1, 2, 2)
                project.save_version("v")
    except UserError:
        pass
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == {
        "secret": b"keep out",
        "0000001.png": b"keep out",
    }


def test_a_lock_is_given_back_once_and_for_all(folder: Path) -> None:
    lock = ProjectLock(ProjectLayout(folder))
    lock.release()
    lock.acquire()
    with pytest.raises(ProjectInUseError):
        ProjectLock(ProjectLayout(folder)).acquire()
    lock.release()
    lock.release()
    lock.acquire()
    lock.release()
    assert not (folder / "project.lock").exists()
