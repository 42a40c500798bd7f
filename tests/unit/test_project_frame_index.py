"""A stored index finds the same frames; one that is damaged or of another file is not used."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from interaction.project.frame_index import read_index, write_index
from interaction.video.index import VideoFileIndex
from interaction.video.video import index_video, open_video
from tests.unit.video_samples import read_number, write_numbered, x264


def indexed(path: Path) -> Any:
    steps = index_video(path)
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("open gop.mp4", {"options": x264(open_gop=1, keyint=12)}),
        ("зебра.mkv", {"options": x264(keyint=20)}),
        ("plain.avi", {"codec": "mpeg4"}),
        ("uneven.mkv", {"timestamps_ms": [k * k * 3 for k in range(50)], "options": x264()}),
        ("raw.mpg", {"codec": "mpeg2video"}),
    ],
)
def test_every_frame_is_found_through_a_stored_index(
    tmp_path: Path, name: str, settings: dict[str, Any]
) -> None:
    source = write_numbered(tmp_path / name, 50, **settings)
    index = indexed(source)
    write_index(tmp_path / "frames.idx", index, "digest")
    found = read_index(tmp_path / "frames.idx", source, "digest")
    assert isinstance(found, VideoFileIndex)
    assert (found.layout, found.tag_source, found.runs) == (
        index.layout,
        index.tag_source,
        index.runs,
    )
    assert (found.packet_of_tag, found.frame_of_tag) == (index.packet_of_tag, index.frame_of_tag)
    assert (found.frame_tags, found.frame_rate) == (index.frame_tags, index.frame_rate)
    assert found.timestamps_s.tobytes() == index.timestamps_s.tobytes()
    with open_video(source, index=found) as video:
        for frame in (49, 0, 25, 26, 13):
            assert read_number(video[frame]) == frame


def test_a_folder_of_pictures_is_found_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "picture folder"
    folder.mkdir()
    for number in (2, 10, 1):
        Image.fromarray(np.full((8, 12, 3), number, np.uint8)).save(folder / f"frame{number}.png")
    write_index(tmp_path / "frames.idx", indexed(folder), "digest")
    found = read_index(tmp_path / "frames.idx", folder, "digest")
    assert found is not None
    with open_video(folder, index=found) as video:
        assert [int(picture[0, 0, 0]) for picture in video] == [1, 2, 10]


def test_the_index_of_another_file_is_not_used(tmp_path: Path) -> None:
    source = write_numbered(tmp_path / "a.mp4", 12, options=x264())
    write_index(tmp_path / "frames.idx", indexed(source), "digest")
    assert read_index(tmp_path / "frames.idx", source, "another") is None
    assert read_index(tmp_path / "missing.idx", source, "digest") is None


def test_a_damaged_index_is_not_used(tmp_path: Path) -> None:
    source = write_numbered(tmp_path / "a.mp4", 12, options=x264())
    path = tmp_path / "frames.idx"
    write_index(path, indexed(source), "digest")
    whole = path.read_bytes()
    chance = random.Random(0)
    for _ in range(200):
        data = bytearray(whole)
        if chance.random() < 0.5:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            del data[chance.randrange(len(data)) :]
        path.write_bytes(data)
        assert read_index(path, source, "digest") is None
