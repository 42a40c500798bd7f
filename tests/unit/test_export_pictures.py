"""What is shown of a format before an export is what the export then writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from interaction.errors import UserError
from interaction.formats.export import FORMATS, ExportSettings, export, export_pictures
from interaction.formats.format import ExportSource
from interaction.video.video import Video
from tests.unit.mask_scenes import annotate, finish, open_frames, scene

WIDTH, HEIGHT, COUNT = 64, 47, 3
NUMBERS = {"coco", "cvat-xml", "label-studio", "mots", "yolo", "youtube-vis"}


@pytest.fixture
def video(tmp_path: Path) -> Iterator[Video]:
    with open_frames(tmp_path / "bear", COUNT, WIDTH, HEIGHT) as video:
        yield video


@pytest.fixture
def source(video: Video) -> ExportSource:
    masks = {frame: scene(WIDTH, HEIGHT, frame) for frame in range(COUNT)}
    return ExportSource.of(annotate(masks, video), video)


def settings(name: str, target: Path, **options: Any) -> ExportSettings:
    return ExportSettings(format=name, target=target, options=FORMATS[name].options(**options))


@pytest.mark.parametrize("name", FORMATS)
def test_every_picture_that_is_shown_is_one_that_is_written(
    video: Video, source: ExportSource, tmp_path: Path, name: str
) -> None:
    chosen = settings(name, tmp_path / "out")
    shown = export_pictures(source, chosen, 1, video, 1000)
    assert bool(shown) == (name not in NUMBERS)
    report = finish(export(source, chosen))
    for one in shown:
        assert one.name in report.files
        path = report.target.parent / one.name if FORMATS[name].suffix else report.target / one.name
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.size == (WIDTH, HEIGHT)
                if picture.mode in ("P", "L"):
                    assert np.array_equal(np.asarray(picture.convert("RGB")), one.picture)
    if FORMATS[name].suffix and shown:  # video has even sides
        assert shown[0].picture.shape == (HEIGHT + 1, WIDTH, 3)


def test_settings_and_chosen_objects_are_seen(
    video: Video, source: ExportSource, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    black = settings("overlay-video", target, view="mask", odd_size="crop")
    (one,) = export_pictures(source, black, 1, video, 1000)
    expected = np.zeros((HEIGHT - 1, WIDTH, 3), np.uint8)
    for info in source.objects:
        expected[scene(WIDTH, HEIGHT, 1)[: HEIGHT - 1] == info.id] = info.color
    assert np.array_equal(one.picture, expected)
    only = ExportSettings(format="binary", target=target, objects=frozenset({2}))
    assert [one.name for one in export_pictures(source, only, 1, video, 1000)] == [
        "002-thing 2/00001.png"
    ]


def test_what_is_transparent_shows_squares_and_what_is_not_the_video(
    video: Video, source: ExportSource, tmp_path: Path
) -> None:
    chosen = settings("png-sequence", tmp_path / "out", edge_px=0.0)
    (one,) = export_pictures(source, chosen, 2, video, 1000)
    inside = scene(WIDTH, HEIGHT, 2) > 0
    assert np.array_equal(one.picture[inside], video[2][inside])
    assert set(np.unique(one.picture[~inside]).tolist()) == {110, 160}


def test_a_large_picture_is_made_small(video: Video, source: ExportSource, tmp_path: Path) -> None:
    for name in ("matte", "cut-outs", "palette-png"):
        for one in export_pictures(source, settings(name, tmp_path / "out"), 0, video, 32):
            assert one.picture.shape == (24, 32, 3)


def test_a_frame_or_an_object_that_is_not_exported_is_refused(
    video: Video, source: ExportSource, tmp_path: Path
) -> None:
    late = ExportSettings(format="binary", target=tmp_path / "out", first=1)
    with pytest.raises(ValueError, match="frame"):
        export_pictures(source, late, 0, video, 1000)
    unknown = ExportSettings(format="binary", target=tmp_path / "out", objects=frozenset({9}))
    with pytest.raises(UserError, match="no object 9"):
        export_pictures(source, unknown, 0, video, 1000)
