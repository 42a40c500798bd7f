"""What is done to a decoded picture: turned upright, made square, turned into RGB."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from interaction.video.pixels import Orientation
from interaction.video.video import open_video
from tests.unit.video_samples import set_display_matrix, write_video, x264

CORNERS = np.zeros((48, 96, 3), dtype=np.uint8)
CORNERS[:24, :48] = (255, 0, 0)  # red above left, green above right, blue below left
CORNERS[:24, 48:] = (0, 255, 0)
CORNERS[24:, :48] = (0, 0, 255)


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((1, 0, 0, 1), lambda picture: picture),
        ((0, 1, -1, 0), lambda picture: np.rot90(picture, -1)),  # a phone held upright
        ((-1, 0, 0, -1), lambda picture: np.rot90(picture, 2)),
        ((0, -1, 1, 0), lambda picture: np.rot90(picture, 1)),
        ((-1, 0, 0, 1), lambda picture: picture[:, ::-1]),  # a front camera
        ((0, 1, 1, 0), lambda picture: picture.swapaxes(0, 1)),
    ],
)
def test_the_display_matrix_is_followed(
    matrix: tuple[int, ...], turn: Callable[[Any], Any], tmp_path: Path
) -> None:
    path = write_video(tmp_path / "turned.mp4", [CORNERS] * 3, options=x264())
    set_display_matrix(path, matrix)
    expected = turn(CORNERS)
    with open_video(path) as video:
        assert (video.height, video.width) == expected.shape[:2]
        for index in (2, 0):
            picture = video[index]
            assert picture.shape == expected.shape
            for y in (0.25, 0.75):
                for x in (0.25, 0.75):
                    at = int(y * video.height), int(x * video.width)
                    assert np.abs(picture[at].astype(int) - expected[at]).max() < 40


@pytest.mark.parametrize(
    ("pixel_aspect", "size"),
    [(Fraction(2), (192, 48)), (Fraction(1, 2), (96, 96)), (Fraction(12, 11), (105, 48))],
)
def test_pixels_become_square(
    pixel_aspect: Fraction, size: tuple[int, int], tmp_path: Path
) -> None:
    path = write_video(
        tmp_path / "wide.mkv", [CORNERS] * 2, options=x264(), pixel_aspect=pixel_aspect
    )
    with open_video(path) as video:
        assert (video.width, video.height) == size
        assert video[1].shape == (size[1], size[0], 3)
        assert video[1][-4, 4, 2] > 200


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("is_full_range", [False, True])
@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv420p10le"])
def test_colours_are_right(
    is_wide: bool, is_full_range: bool, pixel_format: str, tmp_path: Path
) -> None:
    """An unnamed matrix is BT.601 in a small video and BT.709 in a large one."""
    width, height = (1280, 720) if is_wide else (64, 64)
    red_weight, blue_weight = (0.2126, 0.0722) if is_wide else (0.299, 0.114)
    luma, blue, red = 120, 90, 180
    with av.open(str(tmp_path / "colour.mkv"), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        if is_full_range:
            stream.codec_context.color_range = 2
        frame = av.VideoFrame(width, height, pixel_format)
        for plane, value in zip(frame.planes, (luma, blue, red), strict=True):
            is_deep = pixel_format.endswith("10le")
            kind = np.uint16 if is_deep else np.uint8
            samples = np.full(plane.buffer_size // np.dtype(kind).itemsize, value, kind)
            plane.update((samples * 4 if is_deep else samples).astype(kind).tobytes())
        frame.color_range = 2 if is_full_range else 0
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if is_full_range:
        y, u, v = luma / 255, (blue - 128) / 255, (red - 128) / 255
    else:
        y, u, v = (luma - 16) / 219, (blue - 128) / 224, (red - 128) / 224
    r, b = y + 2 * (1 - red_weight) * v, y + 2 * (1 - blue_weight) * u
    g = (y - red_weight * r - blue_weight * b) / (1 - red_weight - blue_weight)
    with open_video(tmp_path / "colour.mkv") as video:
        found = video[0][height // 2, width // 2].astype(float)
    assert found == pytest.approx(np.array([r, g, b]) * 255, abs=2.5)


def test_alpha_is_dropped_not_composited(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "alpha.mkv"), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "bgra"
        rgba = np.zeros((32, 64, 4), dtype=np.uint8)
        rgba[...] = (200, 100, 50, 0)
        frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format="bgra")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_video(tmp_path / "alpha.mkv") as video:
        assert video[0][5, 5].tolist() == [200, 100, 50]


def test_a_slanted_or_missing_display_matrix_is_the_nearest_turn() -> None:
    slanted = np.array([10, 100, 0, -100, 10, 0, 0, 0, 1], dtype=np.int32).tobytes()
    assert Orientation.from_display_matrix(slanted) == Orientation(
        is_transposed=True, flips_x=True, flips_y=False
    )
    assert Orientation.from_display_matrix(b"short") == Orientation()
