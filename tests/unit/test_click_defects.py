"""What a new user met, with the bundled click model on the bundled sample: each is gone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from interaction.annotation.mask_files import decode_labels
from interaction.annotation.types import Click
from interaction.clicks.prompts import Box
from interaction.clicks.published import load_click_network
from interaction.clicks.segmenter import ClickSegmenter
from interaction.video.video import open_video
from resources import sample_folder, weights_folder

Mask = NDArray[np.bool_]


@pytest.fixture(scope="module")
def segmenter() -> ClickSegmenter:
    return ClickSegmenter(load_click_network(weights_folder() / "small-clicks.safetensors"))


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    """(720, 1280, 3): a grey rabbit in a hole, grey stones beside it and on the meadow."""
    with open_video(sample_folder() / "big-buck-bunny.mp4") as video:
        return video[0]


@pytest.fixture(scope="module")
def rabbit() -> Mask:
    path = next((sample_folder() / "masks").glob("*.png"))
    return decode_labels(path.read_bytes(), path) == 1


def ellipse(x: int, y: int, across: int, down: int) -> Mask:
    canvas = np.zeros((720, 1280), np.uint8)
    cv2.ellipse(canvas, (x, y), (across, down), 0, 0, 360, 1, -1)
    return canvas > 0


def after(
    segmenter: ClickSegmenter, picture: NDArray[np.uint8], start: Mask, *clicks: Click
) -> Mask:
    return segmenter.segment(picture, start.astype(np.uint8), 1, clicks).labels == 1


STONE = ellipse(626, 424, 30, 22)  # on the meadow, like the rabbit in colour


@pytest.mark.parametrize("at", [(626, 424), (604, 420), (650, 430)])
def test_a_negative_click_takes_a_stray_piece_away_whole(
    segmenter: ClickSegmenter, picture: NDArray[np.uint8], rabbit: Mask, at: tuple[int, int]
) -> None:
    mended = after(segmenter, picture, rabbit | STONE, Click(*at, is_positive=False))
    np.testing.assert_array_equal(mended, rabbit)


@pytest.mark.parametrize(
    ("leak", "at"),
    [
        (ellipse(520, 575, 70, 32), (528, 575)),  # onto the meadow
        (ellipse(520, 575, 70, 32), (550, 567)),
        (ellipse(350, 560, 60, 40), (370, 560)),
        (ellipse(430, 330, 45, 60), (436, 352)),  # into the hole
    ],
)
def test_a_negative_click_takes_a_leak_away_up_to_the_object(
    segmenter: ClickSegmenter,
    picture: NDArray[np.uint8],
    rabbit: Mask,
    leak: Mask,
    at: tuple[int, int],
) -> None:
    leak = leak & ~rabbit
    mended = after(segmenter, picture, rabbit | leak, Click(*at, is_positive=False))
    assert (mended & leak).sum() < 0.25 * leak.sum()  # far more than a disc
    assert (rabbit & ~mended).sum() < 0.01 * rabbit.sum()
    assert not (mended & ~rabbit & ~leak).any()


@pytest.mark.parametrize(
    ("part", "at"),
    [
        (ellipse(470, 535, 60, 45), (470, 530)),  # a paw
        (ellipse(408, 300, 40, 60), (408, 300)),  # an ear
        (ellipse(275, 360, 45, 65), (275, 350)),  # an arm
        (ellipse(365, 410, 50, 60), (360, 400)),  # the face
    ],
)
def test_a_positive_click_brings_the_missing_part(
    segmenter: ClickSegmenter,
    picture: NDArray[np.uint8],
    rabbit: Mask,
    part: Mask,
    at: tuple[int, int],
) -> None:
    missing = rabbit & part
    mended = after(segmenter, picture, rabbit & ~part, Click(*at, is_positive=True))
    assert (mended & missing).sum() > 0.75 * missing.sum()
    assert (mended & ~rabbit).sum() < 0.1 * rabbit.sum()
    assert not (rabbit & ~part & ~mended).any()


def test_a_box_finds_its_object_and_touches_no_other(
    segmenter: ClickSegmenter, picture: NDArray[np.uint8], rabbit: Mask
) -> None:
    stones = ellipse(960, 350, 160, 80).astype(np.uint8) * 2
    rows, columns = np.nonzero(rabbit)
    box = Box(columns.min() - 4, rows.min() - 4, columns.max() + 5, rows.max() + 5)
    labels = segmenter.segment_box(picture, stones, 1, box).labels
    found = labels == 1
    assert (found & rabbit).sum() > 0.8 * (found | rabbit).sum()
    np.testing.assert_array_equal(labels == 2, stones == 2)
