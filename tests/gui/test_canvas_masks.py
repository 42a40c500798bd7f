"""Masks on the screen: every one of its pixels has the label below its centre."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QColor, QImage, QPainter, QTransform

from gui.canvas.backdrop import Backdrop, Look
from gui.canvas.mask_painter import PATTERNS, hatch, sample
from gui.canvas.view_modes import compose, indexed, pixels_of
from gui.work.document import ViewMode
from interaction.annotation.strokes import Rectangle
from interaction.formats.looks import covers_picture, dashes, draw_view, edge_lines
from xmem_core.arrays import Labels


def random_labels(seed: int, height: int, width: int, most: int = 5) -> Labels:
    coarse = np.random.default_rng(seed).integers(0, most, (5, 7), dtype=np.uint8)
    return np.asarray(
        cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8
    )


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 99),
    scale=st.floats(0.05, 20),
    dx=st.floats(-200, 200),
    dy=st.floats(-200, 200),
)
def test_each_screen_pixel_has_the_label_under_its_centre(
    seed: int, scale: float, dx: float, dy: float
) -> None:
    labels = random_labels(seed, 37, 53)
    area = QRect(-4, -3, 41, 29)
    result = sample(labels, QTransform(scale, 0, 0, scale, dx, dy), area)
    expected = np.zeros_like(result)
    for row in range(area.height()):
        for column in range(area.width()):
            x = int(np.floor((area.left() + column + 0.5 - dx) / scale))
            y = int(np.floor((area.top() + row + 0.5 - dy) / scale))
            if 0 <= x < 53 and 0 <= y < 37:
                expected[row, column] = labels[y, x]
    np.testing.assert_array_equal(result, expected)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 999))
def test_lines_lie_on_both_sides_of_every_edge_in_the_objects_own_colour(seed: int) -> None:
    labels = random_labels(seed, 40, 60)
    ids, halo = edge_lines(labels, 1)
    padded = np.pad(labels, 1, mode="edge")
    neighbours = np.stack(
        [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
    )
    is_edge = (neighbours != labels).any(axis=0)
    expected = np.where(labels > 0, labels, neighbours.max(axis=0)) * is_edge
    np.testing.assert_array_equal(ids, expected)
    assert not halo[is_edge].any()
    assert set(np.unique(halo)) <= {0, 1}


def test_dashes_lie_the_same_whichever_part_is_painted() -> None:
    ids = np.full((40, 50), 3, np.uint8)
    whole = dashes(ids, -7 + 11, 9, 5)
    part = dashes(ids[10:30, 20:45], -7 + 20 + 11 + 10, 9, 5)
    np.testing.assert_array_equal(part, whole[10:30, 20:45])
    assert 0.5 < np.mean(whole > 0) < 0.8


def test_hatching_lies_the_same_whichever_part_is_painted_and_differs_by_object() -> None:
    labels = np.repeat(np.arange(1, PATTERNS + 1, dtype=np.uint8), 16)[None].repeat(48, axis=0)
    labels = np.ascontiguousarray(labels)
    whole = hatch(labels, QPoint(-5, 3))
    part = hatch(np.ascontiguousarray(labels[9:40, 10:70]), QPoint(-5 + 10, 3 + 9))
    np.testing.assert_array_equal(part, whole[9:40, 10:70])
    tiles = {whole[8:24, 16 * one : 16 * one + 16].tobytes() for one in range(PATTERNS)}
    assert len(tiles) == PATTERNS
    assert not hatch(np.zeros_like(labels), QPoint()).any()


@pytest.mark.parametrize("mode", [mode for mode in ViewMode if covers_picture(mode)])
@pytest.mark.parametrize("part", [None, Rectangle(3, 5, 31, 22)])
def test_what_is_cut_out_is_the_frame_bit_for_bit(mode: ViewMode, part: Rectangle | None) -> None:
    labels = random_labels(7, 30, 41)
    if part is not None:
        outside = np.ones_like(labels, bool)
        outside[part.slices] = False
        labels[outside] = 0
    pixels = np.random.default_rng(1).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    picture = QImage(pixels.data, 41, 30, 41 * 3, QImage.Format.Format_RGB888)
    picture = picture.convertToFormat(QImage.Format.Format_RGB32)
    layer = QImage(2, 2, QImage.Format.Format_RGB32)
    layer.fill(QColor(1, 2, 3))
    composed = compose(mode, picture, labels, {1, 3}, layer, part)
    result = pixels_of(composed)[..., :3]
    source = pixels_of(picture)[..., :3]
    is_seen = np.isin(labels, (1, 3))
    np.testing.assert_array_equal(result[is_seen], source[is_seen])
    assert (result[~is_seen] != source[~is_seen]).any(axis=1).mean() > 0.9


def test_a_mode_that_cuts_nothing_out_is_refused() -> None:
    picture = QImage(4, 4, QImage.Format.Format_RGB32)
    with pytest.raises(ValueError, match="cut"):
        compose(ViewMode.OVERLAY, picture, np.zeros((4, 4), np.uint8), ())


def test_an_indexed_picture_shares_the_labels_memory() -> None:
    labels = np.zeros((5, 6), np.uint8)
    image = indexed(labels, {2: 0xFF102030})
    assert image.pixelColor(3, 1).alpha() == 0
    labels[1, 3] = 2
    assert image.pixelColor(3, 1) == QColor(0x10, 0x20, 0x30)


@pytest.mark.parametrize("mode", list(ViewMode))
def test_an_export_looks_as_the_window_at_full_size(mode: ViewMode) -> None:
    height, width = 60, 84
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    labels = np.zeros((height, width), np.uint8)
    labels[10:40, 0:30] = 1  # touches the frame's border
    labels[20:50, 30:61] = 1
    picture = QImage(pixels.data, width, height, width * 3, QImage.Format.Format_RGB888)
    laid = np.zeros((30, 30, 4), np.uint8)
    laid[:, :15], laid[:, 15:] = (250, 10, 20, 255), (0, 200, 90, 128)
    layer = QImage(laid.data, 30, 30, 120, QImage.Format.Format_RGBA8888)
    backdrop = Backdrop(width, height)
    backdrop.set_picture(picture.convertToFormat(QImage.Format.Format_RGB32))
    backdrop.set_labels(labels)
    backdrop.set_layer(layer)
    beneath = np.zeros_like(labels)
    beneath[22:45, 24:50] = 1  # of what lies under another object and under itself
    beneath[0:12, 66:78] = 1
    backdrop.masks.set_beneath((beneath,))
    backdrop.set_look(Look(mode, 0.4, {1: 0xE69F00}, current=1, outline_px=1))
    area = backdrop.extent
    window = QImage(int(area.width()), int(area.height()), QImage.Format.Format_RGB32)
    painter = QPainter(window)
    backdrop.paint(painter, QTransform(), area, 1.0)
    painter.end()
    seen = pixels_of(window)[..., 2::-1].astype(int)
    table = np.zeros((256, 3), np.uint8)
    table[1] = (0xE6, 0x9F, 0x00)
    exported = draw_view(
        pixels, labels, table, mode, opacity=0.4, outline_px=1, layer=laid, beneath=(beneath,)
    )
    assert exported.shape == seen.shape
    np.testing.assert_allclose(exported.astype(int), seen, atol=2)
