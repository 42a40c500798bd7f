"""Two people's tasks, from opening to the end, cost no more clicks and keys than docs/hands-on.md
says. They cost the same however long a video is, so of the sample only the beginning is tracked."""

import re
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from benchmarks.hands_on import (
    Person,
    cut_out_the_rabbit,
    tell_two_people_apart,
    write_people,
)
from gui.window.main_window import MainWindow
from interaction.annotation.types import FrameStatus
from interaction.video.video import open_video
from resources import sample_folder
from tests.unit.video_samples import write_video

FRAMES = 24
DOCUMENT = Path(__file__).parents[2] / "docs" / "hands-on.md"


def promised(task: str) -> tuple[int, int]:
    """Clicks and keys that the document says."""
    row = re.search(rf"^\| {task} .*?\| (\d+) \| (\d+) \|", DOCUMENT.read_text("utf-8"), re.M)
    assert row is not None
    return int(row[1]), int(row[2])


@pytest.fixture
def person(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> Person:
    monkeypatch.setenv(
        "XDG_DATA_HOME", str(tmp_path / "data")
    )  # where the sample's project is made
    window.preferences.internal_size_px = 240  # which the tests' tracker makes very small
    window.preferences.has_previews = False
    qtbot.waitUntil(window.isActiveWindow, timeout=20_000)
    return Person(window)


@pytest.fixture
def beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the window takes for the sample is its first frames."""
    short = tmp_path / "big-buck-bunny.mp4"
    with open_video(sample_folder() / short.name) as video:
        write_video(short, [video[frame] for frame in range(FRAMES)])
    monkeypatch.setattr("gui.window.opening.sample_video", lambda: short)


@pytest.mark.usefixtures("beginning")
def test_the_rabbit_from_the_sample_to_the_overlay(person: Person, tmp_path: Path) -> None:
    cut_out_the_rabbit(person, tmp_path)
    assert (person.effort.clicks, person.effort.keys) == promised("rabbit")
    records = person.workspace.document.annotation.records
    assert len(records) == person.workspace.document.frame_count == FRAMES
    given = [frame for frame, one in records.items() if one.status is FrameStatus.CORRECTED]
    assert len(given) == 3  # the first frame and two corrections
    with open_video(tmp_path / "big-buck-bunny-overlay-video.mp4") as made:
        assert len(made) == FRAMES


def test_two_people_a_box_each(person: Person, tmp_path: Path) -> None:
    tell_two_people_apart(person, write_people(tmp_path / "people"))
    assert (person.effort.clicks, person.effort.keys) == promised("people")
    annotation = person.workspace.document.annotation
    assert len(annotation.objects) == 2
    assert len(annotation.records) == annotation.frame_count
    assert set(np.unique(annotation.labels(0))) == {0, 1, 2}
