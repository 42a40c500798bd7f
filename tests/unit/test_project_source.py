"""The video of a project is found again by its contents, asked about when moved, never guessed."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interaction.errors import (
    SourceChangedError,
    SourceMissingError,
    SourceMovedError,
    UnreadableVideoError,
)
from interaction.project.manifest import SourceInfo, describe_source, find_source
from interaction.project.project import Project
from tests.unit.project_samples import Annotator, write_source


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a video and a project about it."""
    home = tmp_path / "home"
    home.mkdir()
    Project.create(home / "bear.vos", write_source(home)).close()
    return home


def find(home: Path) -> Path:
    with Project.open(home / "bear.vos") as project:
        return project.view.find_source()


def test_it_is_where_it_was(home: Path) -> None:
    assert find(home) == home / "зебра 1.mp4"


def test_a_project_moved_together_with_its_video_finds_it(home: Path) -> None:
    moved = home.rename(home.parent / "archive 2026")
    assert find(moved) == moved / "зебра 1.mp4"


def test_a_project_that_moved_alone_finds_the_video_where_it_was(home: Path) -> None:
    elsewhere = home.parent / "elsewhere"
    elsewhere.mkdir()
    (home / "bear.vos").rename(elsewhere / "bear.vos")
    assert find(elsewhere) == home / "зебра 1.mp4"


def test_a_renamed_video_is_offered_and_taken_only_when_confirmed(home: Path) -> None:
    renamed = (home / "зебра 1.mp4").rename(home / "zebra.mp4")
    with Project.open(home / "bear.vos") as project:
        with pytest.raises(SourceMovedError, match=r"zebra\.mp4") as caught:
            project.view.find_source()
        assert caught.value.candidates == (renamed,)
        project.relocate(renamed)
        assert project.view.find_source() == renamed
    assert find(home) == renamed


def test_a_video_of_the_same_name_beside_the_project_is_offered_first(home: Path) -> None:
    elsewhere = home.parent / "elsewhere"
    elsewhere.mkdir()
    (home / "bear.vos").rename(elsewhere / "bear.vos")
    (home / "зебра 1.mp4").rename(elsewhere / "bear.vos" / "another name.mp4")
    shutil.copy(elsewhere / "bear.vos" / "another name.mp4", elsewhere / "зебра 1.mp4")
    with Project.open(elsewhere / "bear.vos") as project:
        # Here it also is as far from the project as it was.
        assert project.view.find_source() == elsewhere / "зебра 1.mp4"
        (elsewhere / "зебра 1.mp4").rename(elsewhere / "bear.vos" / "зебра 1.mp4")
        with pytest.raises(SourceMovedError) as caught:
            project.view.find_source()
        inside = elsewhere / "bear.vos"
        assert caught.value.candidates == (inside / "зебра 1.mp4", inside / "another name.mp4")


def test_another_video_of_the_same_name_is_never_taken(home: Path) -> None:
    video = home / "зебра 1.mp4"
    data = bytearray(video.read_bytes())
    status = video.stat()
    data[-1] ^= 1
    video.write_bytes(data)
    os.utime(video, ns=(status.st_atime_ns, status.st_mtime_ns))
    with Project.open(home / "bear.vos") as project:
        with pytest.raises(SourceChangedError):
            project.view.find_source()
        with pytest.raises(SourceChangedError):
            project.relocate(video)
        with pytest.raises(SourceMissingError):
            project.relocate(home / "nowhere.mp4")


def test_a_video_that_is_gone_is_named_and_the_masks_are_there(home: Path) -> None:
    with Project.open(home / "bear.vos") as project:
        annotator = Annotator(project)
        annotator.work(1)
        records = dict(annotator.annotation.records)
    (home / "зебра 1.mp4").unlink()
    with Project.open(home / "bear.vos") as project:
        with pytest.raises(SourceMissingError, match=r"зебра 1\.mp4"):
            project.view.find_source()
        assert dict(project.load_annotation().records) == records


def test_a_new_place_is_used_but_not_written_when_only_reading(home: Path) -> None:
    renamed = (home / "зебра 1.mp4").rename(home / "zebra.mp4")
    before = (home / "bear.vos" / "project.json").read_bytes()
    with Project.open(home / "bear.vos", read_only=True) as project:
        project.relocate(renamed)
        assert project.view.find_source() == renamed
    assert (home / "bear.vos" / "project.json").read_bytes() == before


def picture_folder(folder: Path, numbers: tuple[int, ...]) -> Path:
    folder.mkdir()
    for number in numbers:
        Image.fromarray(np.full((16, 24, 3), number, np.uint8)).save(folder / f"{number}.png")
    return folder


def test_a_folder_of_pictures_is_a_source_and_may_hold_the_project(tmp_path: Path) -> None:
    pictures = picture_folder(tmp_path / "my pictures", (1, 2, 3))
    project = Project.create(pictures / "work.vos", describe_source(pictures, 3, 24, 16))
    assert project.source.relative == ".."
    project.close()
    moved = pictures.rename(tmp_path / "moved")
    with Project.open(moved / "work.vos") as project:
        assert project.view.find_source() == moved
    shutil.move(moved / "work.vos", tmp_path / "work.vos")
    with Project.open(tmp_path / "work.vos") as project, pytest.raises(SourceMovedError) as caught:
        project.view.find_source()
    assert caught.value.candidates == (moved,)
    shutil.move(tmp_path / "work.vos", moved / "work.vos")
    (moved / "2.png").unlink()
    with Project.open(moved / "work.vos") as project, pytest.raises(SourceChangedError):
        project.view.find_source()


def test_the_whole_of_a_short_file_counts_and_both_ends_of_a_long_one(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    for size in (1, 1000, 2**20, 2**20 + 1, 3 * 2**20):
        path.write_bytes(bytes(size))
        info = describe_source(path, 1, 8, 8)
        for where in {0, min(size - 1, 2**20 - 1), max(0, size - 2**20), size - 1}:
            data = bytearray(size)
            data[where] = 1
            path.write_bytes(data)
            with pytest.raises(SourceChangedError):
                find_source(info, tmp_path)


def test_what_is_no_video_cannot_be_described(tmp_path: Path) -> None:
    with pytest.raises(UnreadableVideoError, match="does not exist"):
        describe_source(tmp_path / "nothing.mp4", 1, 8, 8)


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../etc/passwd", "/dev/zero", "C:\\x", "~"])
def test_a_project_that_names_another_file_gets_nothing_of_it(tmp_path: Path, path: str) -> None:
    info = describe_source(write_source(tmp_path).path, 20, 24, 16)
    hostile = SourceInfo.from_json(replace(info, path=Path(path), relative=path).to_json())
    (tmp_path / "зебра 1.mp4").unlink()
    with pytest.raises((SourceMissingError, SourceChangedError)):
        find_source(hostile, tmp_path / "p.vos")
