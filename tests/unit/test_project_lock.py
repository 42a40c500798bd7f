"""A project is open in one program at a time, and a program that died does not keep it."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from interaction import files
from interaction.errors import ProjectInUseError, UnwritableFileError, UserError
from interaction.files import write_plain
from interaction.learning.learned import Learned, LearnedModels
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


STUDIO = Holder("a" * 32, "another machine", "studio-2", 77, "12:00 on 2026-01-01")


def note(folder: Path, holder: Holder, age_s: float = 0.0) -> None:
    """As if `holder` had the project open, heard of last `age_s` ago."""
    path = folder / "project.lock"
    path.write_text(json.dumps(asdict(holder)))
    os.utime(path, (time.time() - age_s, time.time() - age_s))


def test_a_second_program_is_refused_with_the_holders_name(folder: Path) -> None:
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


def test_without_the_lock_a_note_of_this_computer_counts_for_nothing(folder: Path) -> None:
    """Its process may be dead and its number another's by now, or the folder may be a copy."""
    note(folder, Holder.this_process())
    Project.open(folder).close()


def test_the_locks_holder_is_alive_whatever_a_note_says(folder: Path) -> None:
    with held_elsewhere(folder) as process:
        with subprocess.Popen([sys.executable, "-c", ""]) as dead:
            dead.wait()
        for holder in (replace(Holder.this_process(), pid=dead.pid), STUDIO):
            note(folder, holder, age_s=1000)
            with pytest.raises(ProjectInUseError):
                Project.open(folder)
        (folder / "project.lock").unlink()
        with pytest.raises(ProjectInUseError, match="in another program"):
            Project.open(folder)
        process.communicate("\n")


def test_a_copy_of_an_open_project_opens(folder: Path) -> None:
    with Project.open(folder) as project:
        annotator = Annotator(project)
        annotator.work(1)
        project.flush()
        copy = folder.with_name("copy.vos")
        shutil.copytree(folder, copy)
        with Project.open(copy) as other:
            assert state(other) == state_of(annotator)
        with pytest.raises(ProjectInUseError, match="in this program already"):
            Project.open(folder)


@pytest.mark.parametrize("step_s", [1.0, -3600.0, 3600.0])
def test_saving_goes_on_when_clock_and_host_name_change(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    monkeypatch.setattr(project_lock, "RENEW_S", 0.0)
    with Project.open(folder) as project:
        annotator = Annotator(project)
        clock, started = time.time, psutil.Process.create_time
        monkeypatch.setattr(time, "time", lambda: clock() + step_s)
        monkeypatch.setattr(psutil.Process, "create_time", lambda one: started(one) + step_s)
        monkeypatch.setattr(socket, "gethostname", lambda: "renamed")
        annotator.work(1)
        project.flush()
        with pytest.raises(ProjectInUseError):
            Project.open(folder)
        expected = state_of(annotator)
    with Project.open(folder) as project:
        assert state(project) == expected


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files, "_lock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_on_a_disk_without_locks_the_note_decides(folder: Path) -> None:
    with Project.open(folder), pytest.raises(ProjectInUseError, match="in this program already"):
        Project.open(folder)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        living = replace(Holder.this_process(), pid=other.pid)
        note(folder, living)
        with pytest.raises(ProjectInUseError, match=f"process {other.pid}"):
            Project.open(folder)
        note(folder, living, age_s=600)  # the number is another's by now: it is not renewed
        Project.open(folder).close()
        other.kill()
        other.wait()
        note(folder, living)
    Project.open(folder).close()


def test_a_note_that_a_backup_put_back_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_lock, "RENEW_S", 0.0)
    with Project.open(folder) as project:
        note(folder, Holder.this_process())
        Annotator(project).work(1)
        project.flush()


def test_a_lock_that_was_removed_is_taken_anew_or_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver, "RETRY_S", 0.01)
    with Project.open(folder) as project:
        annotator = Annotator(project)
        (folder / ".lock").unlink()
        with pytest.raises(ProjectInUseError, match="in this program already"):
            Project.open(folder)
        annotator.work(1)
        project.flush()
        before = state_of(annotator)
        (folder / ".lock").unlink()
        (folder / "project.lock").unlink()
        with held_elsewhere(folder) as process:
            annotator.click(1, 1, 1)
            with pytest.raises(ProjectInUseError, match=f"process {process.pid}"):
                project.flush()
            project.close(discards=True)
            process.communicate("\n")
    with Project.open(folder) as project:
        assert state(project) == before


def test_another_computer_counts_while_it_is_heard_of(folder: Path) -> None:
    note(folder, STUDIO)
    with pytest.raises(ProjectInUseError, match="on the computer “studio-2”"):
        Project.open(folder)
    note(folder, STUDIO, age_s=600)
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
    problems: list[UserError] = []
    with Project.open(folder) as project:
        project.on_problem = problems.append
        annotator = Annotator(project)
        annotator.work(1)
        project.flush()
        expected = state_of(annotator)
        note(folder, STUDIO)
        annotator.click(1, 1, 1)
        with pytest.raises(ProjectInUseError, match="studio-2"):
            project.flush()
        (folder / "project.lock").unlink()  # the other is done, but may have written
        with pytest.raises(ProjectInUseError, match="studio-2"):
            project.flush()
        assert [type(problem) for problem in problems] == [ProjectInUseError]
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
            file.write(b"a line of another program\n")
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
        _hostile(link_folder, "learned"),
        _hostile(link_file, "learned/tracker.safetensors"),
        _hostile(link_file, "learned/learned.json"),
        _hostile(link_file, "thumbnail.png"),
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
    (folder / name).parent.mkdir(exist_ok=True)
    action(folder / name, elsewhere)
    try:
        with Project.open(folder) as project:
            annotator = Annotator(project)
            if not project.is_read_only:
                annotator.click(1, 2, 2)
                project.save_version("v")
                models = LearnedModels(project.view.layout.learned)
                models.keep("tracker", Learned("small", 1), b"weights")
                write_plain(folder / "thumbnail.png", b"picture")
    except UserError:
        pass
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == {
        "secret": b"keep out",
        "0000001.png": b"keep out",
    }


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("name", ["masks", "history", "versions", "learned"])
def test_a_folder_swapped_for_a_link_while_open_is_not_written_through(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(saver, "RETRY_S", 0.01)
    elsewhere = folder.parent / "elsewhere"
    with Project.open(folder) as project:
        (folder / name).mkdir(exist_ok=True)
        (folder / name).rename(elsewhere)
        before = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}
        (folder / name).symlink_to(elsewhere, target_is_directory=True)
        annotator = Annotator(project)
        with suppress(UserError):
            annotator.add_object("bear")
            annotator.click(1, 1, 1)
            project.flush()
        with suppress(UserError):
            project.save_version("v")
        with suppress(UserError):
            LearnedModels(project.view.layout.learned).keep(
                "clicks", Learned("small", 1), b"weights"
            )
        after = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}
        assert after == before
        project.close(discards=True)


def test_a_project_that_was_chosen_by_a_link_opens(folder: Path) -> None:
    link = folder.with_name("current.vos")
    try:
        link.symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("this system does not allow links here")
    with Project.open(link) as project:
        Annotator(project).work(1)


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
