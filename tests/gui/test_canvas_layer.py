"""The layer behind the objects: a picture, or a video that runs along with the frames."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from gui.canvas.shown_frame import Layer
from gui.canvas.view_modes import compose
from gui.work.document import ViewMode
from interaction.errors import UnreadableVideoError
from tests.frames import write_video


@pytest.fixture
def layer(qtbot: QtBot) -> Iterator[Layer]:
    layer = Layer()
    yield layer
    layer.close()


def test_a_video_runs_along_and_starts_again_at_its_end(
    layer: Layer, tmp_path: Path, qtbot: QtBot
) -> None:
    video = write_video(tmp_path / "layer.mp4", 3, 64, 48)
    seen: list[int] = []
    layer.changed.connect(lambda picture: seen.append(QColor(picture.pixel(20, 20)).red()))
    layer.set_path(str(video), 0)
    qtbot.waitUntil(lambda: len(seen) == 1)
    layer.show_frame(1)
    qtbot.waitUntil(lambda: len(seen) == 2)
    layer.show_frame(3)
    qtbot.waitUntil(lambda: len(seen) == 3)
    assert seen[1] > seen[0] + 10
    assert abs(seen[2] - seen[0]) < 5


def test_a_file_that_is_no_video_is_reported(layer: Layer, tmp_path: Path, qtbot: QtBot) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    with qtbot.waitSignal(layer.failed) as failed:
        layer.set_path(str(broken), 0)
    assert isinstance(failed.args[0], UnreadableVideoError)


def test_a_layer_of_another_shape_is_cut_and_not_distorted() -> None:
    wide = QImage(40, 10, QImage.Format.Format_RGB32)
    wide.fill(QColor(0, 0, 255))
    for x in range(16, 24):  # a square in the middle
        for y in range(1, 9):
            wide.setPixelColor(x, y, QColor(255, 0, 0))
    picture = QImage(20, 20, QImage.Format.Format_RGB32)
    picture.fill(QColor(0, 255, 0))
    labels = np.zeros((20, 20), np.uint8)
    composed = compose(ViewMode.LAYER, picture, labels, set(), wide)
    reds = [sum(QColor(composed.pixel(x, y)).red() > 128 for x in range(20)) for y in (10,)] + [
        sum(QColor(composed.pixel(10, y)).red() > 128 for y in range(20))
    ]
    assert reds[0] == reds[1] == 16
