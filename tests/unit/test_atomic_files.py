"""Writing a file leaves the old one or the new one, and nothing else."""

import errno
import os
import stat
from pathlib import Path

import pytest

from interaction import files as atomic_files
from interaction.errors import DiskFullError, UnwritableFileError
from interaction.files import replace_file, write_bytes, write_text


def test_a_new_file_holds_exactly_the_bytes(tmp_path: Path) -> None:
    write_bytes(tmp_path / "mask.png", b"\x00\r\n\xff")
    assert (tmp_path / "mask.png").read_bytes() == b"\x00\r\n\xff"
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]


def test_an_old_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "project.json"
    path.write_bytes(b"a much longer old text")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_text_is_utf_8_with_its_own_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "notes.txt", "“bear”\nзебра\r\n")
    assert (tmp_path / "notes.txt").read_bytes() == "“bear”\nзебра\r\n".encode()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_at_any_step_keeps_the_old_file_and_leaves_no_other(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UnwritableFileError, match="Input/output error"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]


def test_stopping_midway_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "mask.png", b"new")
    assert list(tmp_path.iterdir()) == []


def test_the_bytes_are_forced_to_the_disk_before_the_file_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mask.png"
    seen: list[tuple[bool, bool, list[bytes]]] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        fsync(descriptor)
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        contents = [part.read_bytes() for part in tmp_path.iterdir()]
        seen.append((is_folder, path.exists(), contents))

    monkeypatch.setattr(os, "fsync", spy)
    write_bytes(path, b"new")
    assert seen == [(False, False, [b"new"]), (True, True, [b"new"])]  # then the name


def test_a_full_disk_is_reported_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskFullError, match=r"disk is full: “mask\.png”"):
        write_bytes(tmp_path / "mask.png", b"new")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnwritableFileError) as caught:
        write_bytes(tmp_path / "gone" / "mask.png", b"new")
    assert str(tmp_path / "gone") in str(caught.value)


def test_the_longest_name_the_disk_allows_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("m" * 251 + ".png")
    try:
        path.touch()
    except OSError:
        pytest.skip("this disk does not allow names of 255 characters")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_link_is_followed_and_not_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_bytes(b"old")
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("this system does not allow links here")
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_file_held_open_for_a_moment_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mask.png"
    (tmp_path / "new.png").write_bytes(b"new")
    refusals = [PermissionError(errno.EACCES, "held open")] * 2
    replace = Path.replace

    def held(source: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", held)
    monkeypatch.setattr(atomic_files, "_REPLACE_ATTEMPTS", 3)
    monkeypatch.setattr(atomic_files, "_REPLACE_PAUSE_S", 0)
    replace_file(tmp_path / "new.png", path)
    assert path.read_bytes() == b"new"
    assert not refusals
