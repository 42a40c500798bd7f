"""Every mask format brings back the very masks it was given."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from interaction.formats.export import FORMATS
from interaction.formats.yolo import fill_polygons, find_polygons
from interaction.video.video import Video
from tests.unit.mask_scenes import annotate, open_frames, run_export, run_import, scene
from xmem_core.arrays import Labels

EXACT: list[tuple[str, dict[str, Any]]] = [
    ("palette-png", {}),
    ("palette-png", {"palette": "objects"}),
    ("davis", {"includes_pictures": False}),
    ("youtube-vos", {"includes_pictures": False}),
    ("coco", {}),
    ("coco", {"categories": "one"}),
    ("youtube-vis", {}),
    ("cvat-xml", {}),
    ("label-studio", {}),
    ("mots", {"class_id": 2}),
    ("binary", {}),
    ("matte", {"bits": "8", "edge_px": 5.0}),
    ("matte", {"bits": "16", "edge_px": 9.5}),
    ("cut-outs", {"edge_px": 4.0}),
    ("png-sequence", {"has_layers": True, "first_number": 1001}),
]


@st.composite
def masks_of_a_video(draw: st.DrawFn) -> tuple[int, int, dict[int, Labels]]:
    """Width, height and masks of up to three frames with 1 to 40 objects, some frames empty."""
    width, height = draw(st.integers(1, 47)), draw(st.integers(1, 41))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 40))
    ids = random.choice(np.arange(1, 255), count, replace=False).astype(np.uint8)
    masks = {}
    for frame in range(draw(st.integers(1, 3))):
        labels: Labels = np.zeros((height, width), np.uint8)
        if draw(st.booleans()) or frame == 0:
            for one in ids:
                x, y = random.integers(0, width), random.integers(0, height)
                side = random.integers(1, 12, 2)
                labels[y : y + side[0], x : x + side[1]] = one
        masks[frame] = labels
    return width, height, masks


def assert_comes_back(
    name: str, options: dict[str, Any], video: Video, masks: dict[int, Labels], folder: Path
) -> None:
    annotation = annotate(masks, video)
    run_export(annotation, video, name, folder / "out", options=options)
    back, preview = run_import(folder / "out", video)
    assert len(preview.frames) == len(video)
    objects = {one.name: one.id for one in annotation.objects}
    for one in back.objects:  # where a format has no ids, the names say which object it is
        assert one.name in objects, (one, objects)
    table = np.zeros(256, np.uint8)
    for one in back.objects:
        table[one.id] = objects[one.name]
    for frame, labels in masks.items():
        np.testing.assert_array_equal(table[back.labels(frame)], labels)


@pytest.mark.parametrize(("name", "options"), EXACT)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(given_masks=masks_of_a_video())
@example((3, 3, {0: np.array([[0, 224, 224], [0, 224, 239], [0, 224, 239]], np.uint8)}))
def test_masks_come_back_exactly(
    name: str, options: dict[str, Any], given_masks: tuple[int, int, dict[int, Labels]]
) -> None:
    width, height, masks = given_masks
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with open_frames(folder / "bear", len(masks), width, height) as video:
            assert_comes_back(name, options, video, masks, folder)


def test_an_object_that_fills_every_frame_comes_back(tmp_path: Path) -> None:
    masks = {frame: np.full((2, 1), 213, np.uint8) for frame in range(2)}
    with open_frames(tmp_path / "bear", 2, 1, 2) as video:
        assert_comes_back("png-sequence", {"has_layers": True}, video, masks, tmp_path)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 60),
    height=st.integers(1, 50),
    threshold=st.floats(0.1, 0.9),
    cell=st.integers(1, 6),
)
def test_a_polygon_comes_back_but_for_pixels_under_its_seams(
    seed: int, width: int, height: int, threshold: float, cell: int
) -> None:
    coarse = np.random.default_rng(seed).random((height // cell + 1, width // cell + 1))
    rough = np.kron(coarse < threshold, np.ones((cell, cell)))
    mask = np.ascontiguousarray(rough[:height, :width]).astype(np.uint8)
    polygons = find_polygons(mask)
    assert all(len(polygon) >= 3 for polygon in polygons)
    back = fill_polygons(polygons, width, height)
    assert back[mask > 0].all(), "a pixel of the object was lost"
    spilled = int((back & (mask == 0)).sum())
    holes_and_corners = sum(len(polygon) for polygon in polygons)
    assert spilled <= 0.02 * holes_and_corners + 1


def test_yolo_labels_bring_back_discs_with_holes_to_the_pixel(tmp_path: Path) -> None:
    masks = {0: scene(93, 71), 1: np.zeros((71, 93), np.uint8), 2: scene(93, 71, 4)}
    with open_frames(tmp_path / "bear", 3, 93, 71) as video:
        assert_comes_back("yolo", {"includes_pictures": False}, video, masks, tmp_path)


def test_simplified_outlines_stray_no_further_than_they_were_allowed_to() -> None:
    mask = (scene(200, 150) == 1).astype(np.uint8)
    exact, simple = find_polygons(mask), find_polygons(mask, simplify_px=1.5)
    assert len(simple[0]) < len(exact[0]) / 2
    back = fill_polygons(simple, 200, 150)
    overlap = (back & (mask > 0)).sum() / (back | (mask > 0)).sum()
    assert overlap > 0.95


def test_a_sequence_of_a_speck_brings_it_back(tmp_path: Path) -> None:
    """Few colours do not make it a mask of as many objects."""
    labels = np.zeros((48, 64), np.uint8)
    labels[20, 30] = labels[21, 30:32] = 1
    with open_frames(tmp_path / "bear", 2, 64, 48) as video:
        run_export(annotate({0: labels, 1: labels}, video), video, "png-sequence", tmp_path / "out")
        back, _ = run_import(tmp_path / "out", video)
    for frame in range(2):
        np.testing.assert_array_equal(back.labels(frame) > 0, labels > 0)


def test_a_sequence_of_all_objects_brings_back_their_union(tmp_path: Path) -> None:
    masks = {0: scene(64, 48), 1: scene(64, 48, 3)}
    with open_frames(tmp_path / "bear", 2, 64, 48) as video:
        run_export(annotate(masks, video), video, "png-sequence", tmp_path / "out")
        back, preview = run_import(tmp_path / "out", video)
    assert preview.masks.format == "cut-outs"
    for frame, labels in masks.items():
        np.testing.assert_array_equal(back.labels(frame) > 0, labels > 0)


def test_every_importable_format_is_tested_here() -> None:
    importable = {name for name, one in FORMATS.items() if one.is_importable}
    assert importable == {name for name, _ in EXACT} | {"yolo"}
