"""Composed clips: the same from the same seed, with labels that fit their pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from training.appearance import Shadow, line_kernel
from training.composer import Ground, Take, compose_clip
from training.cutouts import Figure, Part, premultiplied
from training.motion import Path as Way
from training.motion import bend, camera_matrices, smooth_walk
from training.pack import Pack
from training.scene import Actor, ClipSettings


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return Pack(make_pack(tmp_path_factory.mktemp("pack")))


def make_pack(folder: Path) -> Path:
    """Three backgrounds and four cut-outs of noise."""
    rng = np.random.default_rng(0)
    for kind in ("photo", "clipart"):
        (folder / "cutouts" / kind).mkdir(parents=True)
        for index in range(2):
            picture = rng.integers(0, 255, (40, 60, 4), dtype=np.uint8)
            picture[..., 3] = 0
            cv2.ellipse(picture, (30, 20), (24, 15), 0, 0, 360, (200, 80, 40, 255), -1)
            cv2.imwrite(str(folder / "cutouts" / kind / f"{index}.webp"), picture)
    (folder / "backgrounds").mkdir()
    for index in range(3):
        noise = rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "backgrounds" / f"{index}.jpg"), noise)
    return folder


def test_a_clip_follows_from_seed_and_index(pack: Pack) -> None:
    settings = ClipSettings(size=64, frames=3)
    first, again = (compose_clip(pack, np.random.default_rng((5, 7)), settings, 2) for _ in "ab")
    other = compose_clip(pack, np.random.default_rng((5, 8)), settings, 2)

    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.frames, other.frames)


@pytest.mark.parametrize("objects", [1, 2, 3])
def test_every_labelled_object_is_seen_in_the_first_frame(pack: Pack, objects: int) -> None:
    settings = ClipSettings(size=64, frames=2)
    for index in range(8):
        clip = compose_clip(pack, np.random.default_rng(index), settings, objects)

        assert clip.frames.shape == (2, 64, 64, 3)
        assert clip.labels.shape == (2, 64, 64)
        assert clip.frames.dtype == clip.labels.dtype == np.uint8
        assert set(np.unique(clip.labels[0])) >= set(range(1, objects + 1))
        assert clip.labels.max() <= objects


def test_labels_are_where_the_thing_was_drawn() -> None:
    square = np.full((20, 20, 4), 255, np.uint8)
    still = np.zeros(2)
    figure = Figure((Part(square, np.array([10.0, 10.0]), np.zeros(2), still),))
    way = Way(np.array([[32.0, 32.0], [40.0, 28.0]]), still, still, still, still)
    actor = Actor(
        figure, way, label=1, elastic=None, shadow=None, light=np.ones((2, 3)), extent_px=20.0
    )
    ground = Ground(np.zeros((100, 100, 3), np.uint8), np.eye(3))
    frames, labels = Take([actor], ground, np.stack([np.eye(3)] * 2), 64, shutter=0.0).record()

    bright = frames.max(axis=3) > 60
    np.testing.assert_array_equal(bright, labels == 1)
    assert abs(int((labels[0] == 1).sum()) - 400) <= 40
    rows, columns = np.nonzero(labels[1])
    assert abs(columns.mean() - 39.5) < 1
    assert abs(rows.mean() - 27.5) < 1


def test_a_shadow_darkens_and_stays_inside() -> None:
    canvas = np.full((40, 40, 3), 100, np.float32)
    alpha = np.full((10, 10), 255, np.uint8)
    Shadow(strength=0.5, flatness=1.0, slant=0.0, softness=0.5).fall(canvas, alpha, 12, 8)

    assert canvas[13, 17, 0] == pytest.approx(50, abs=1)
    assert canvas[35, 35, 0] == 100


def test_premultiplied_scales_colour_by_alpha() -> None:
    picture = np.array([[[200, 100, 50, 51]]], np.uint8)  # alpha a fifth
    np.testing.assert_array_equal(premultiplied(picture), [[[40, 20, 10, 51]]])


def test_walks_start_at_zero_and_a_still_camera_stays() -> None:
    rng = np.random.default_rng(2)
    np.testing.assert_allclose(smooth_walk(rng, 6, 3.0, 4)[0], 0, atol=1e-12)
    views = camera_matrices(rng, 4, 64, 0.0)
    np.testing.assert_allclose(views, np.broadcast_to(np.eye(3), (4, 3, 3)), atol=1e-9)


def test_bending_by_nothing_changes_nothing() -> None:
    layer = np.random.default_rng(3).integers(0, 255, (17, 23, 4), dtype=np.uint8)
    np.testing.assert_array_equal(bend(layer, np.zeros((4, 4, 2), np.float32)), layer)


def test_blur_kernels_keep_brightness_and_lie_along_the_movement() -> None:
    assert line_kernel(np.array([0.5, 0.5])) is None
    kernel = line_kernel(np.array([8.0, 0.0]))
    assert kernel is not None
    assert kernel.sum() == pytest.approx(1)
    assert set(np.nonzero(kernel)[0]) == {kernel.shape[0] // 2}


def test_held_out_pictures_are_never_trained_on(tmp_path: Path) -> None:
    (tmp_path / "cutouts" / "photo").mkdir(parents=True)
    (tmp_path / "backgrounds").mkdir()
    for index in range(40):
        for file in (f"cutouts/photo/{index:02}.webp", f"backgrounds/{index:02}.jpg"):
            (tmp_path / file).write_bytes(bytes([index + 1]))
    training, held_out = Pack(tmp_path, "training"), Pack(tmp_path, "held out")

    assert sorted(int(file[0]) - 1 for file in held_out.photos) == [0, 20]
    assert sorted(int(file[0]) - 1 for file in held_out.backgrounds) == [0, 20]
    assert len(training.photos) == len(training.backgrounds) == 38


def test_an_empty_pack_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="backgrounds"):
        Pack(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 40},
        {"size": 16},
        {"frames": 0},
        {"slowest": 2.0, "fastest": 1.0},
        {"twin_share": 1.5},
        {"most_distractors": -1},
    ],
)
def test_impossible_clip_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        ClipSettings(**wrong)
