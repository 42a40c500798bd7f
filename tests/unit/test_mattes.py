"""Soft edges from the picture, and the formats that carry them: EXR and FFV1."""

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from interaction.annotation.types import ObjectInfo
from interaction.formats.exr import encode_exr
from interaction.formats.looks import cut_out, refined_edge, soft_edge
from interaction.video.video import open_video
from tests.unit.mask_scenes import annotate, run_export, scene
from tests.unit.video_samples import write_numbered

DOG, CAT = ObjectInfo(1, "dog", (255, 0, 0)), ObjectInfo(2, "a very long náme. of a cat", (0, 0, 9))


def blurred_disc(softness_px: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A picture (H, W, 3) of an orange disc over blue noise, and its true alpha."""
    y, x = np.mgrid[:120, :160]
    alpha = np.clip(0.5 + (40 - np.hypot(x - 80, y - 60)) / softness_px, 0, 1).astype(np.float32)
    noise = np.random.default_rng(3).normal(0, 6, (120, 160, 3))
    colors = alpha[:, :, None] * (240, 150, 40) + (1 - alpha[:, :, None]) * (30, 50, 160) + noise
    return np.clip(np.round(colors), 0, 255).astype(np.uint8), alpha


def error(found: NDArray[np.float32], true: NDArray[np.float32]) -> float:
    return float(np.abs(found - true).sum())


@pytest.mark.parametrize("softness_px", [1.5, 4, 7])
def test_an_edge_is_as_soft_as_the_picture_says(softness_px: float) -> None:
    picture, alpha = blurred_disc(softness_px)
    mask = alpha > 0.5
    found = refined_edge(mask, picture, 5)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    assert error(found, alpha) < 0.85 * error(soft_edge(mask, 3), alpha)


def test_a_coarse_mask_moves_to_the_outline_of_the_picture() -> None:
    picture, alpha = blurred_disc(1.5)
    small = cv2.resize((alpha > 0.5).astype(np.float32), (20, 15), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(small, (160, 120)) > 0.5
    hard = (alpha > 0.5) != coarse
    refined = (alpha > 0.5) != (refined_edge(coarse, picture, 8) > 0.5)
    assert refined.sum() < 0.5 * hard.sum()


def test_far_from_the_edge_nothing_changes() -> None:
    picture, alpha = blurred_disc(4)
    mask = alpha > 0.5
    picture[60, 80] = picture[5, 5] = (255, 255, 255)
    found = refined_edge(mask, picture, 4)
    distance = np.abs(np.hypot(*np.mgrid[-60:60, -80:80]) - 40)
    assert np.array_equal(found[distance > 6], mask[distance > 6].astype(np.float32))
    assert np.array_equal(refined_edge(mask, picture, 1), mask.astype(np.float32))
    nothing = np.zeros_like(mask)
    assert not refined_edge(nothing, picture, 4).any()


def test_mattes_take_their_edge_from_the_picture_if_asked(tmp_path: Path) -> None:
    with open_video(write_numbered(tmp_path / "in.mp4", 2)) as video:
        masks = {0: scene(video.width, video.height)}
        annotation = annotate(masks, video, (DOG, CAT))
        for edge_from in ("distance", "picture"):
            options = {"edge_from": edge_from, "edge_px": 4.0}
            run_export(annotation, video, "matte", tmp_path / edge_from, options=options)
        picture = video[0]
    [path] = (tmp_path / "picture").glob("001-*/0000000.png")
    with Image.open(path) as opened:
        found = np.asarray(opened)
    expected = refined_edge(masks[0] == 1, picture, 4)
    assert np.array_equal(found, np.round(expected * 255).astype(np.uint8))
    [path] = (tmp_path / "distance").glob("001-*/0000000.png")
    with Image.open(path) as opened:
        assert not np.array_equal(found, np.asarray(opened))


# EXR


def exr_planes(path: Path, layer: str = "") -> NDArray[np.float32]:
    """(H, W, C) G, B, R and A or less, by FFmpeg's decoder; layer: of which the channels are."""
    with av.open(str(path), options={"layer": layer} if layer else {}) as container:
        frame: Any = next(container.decode(video=0))
    planes = []
    for plane in frame.planes:
        values = np.frombuffer(bytes(plane), np.float32 if "f32" in frame.format.name else "<f2")
        planes.append(values.reshape(frame.height, -1)[:, : frame.width].astype(np.float32))
    return np.stack(planes, axis=2)


@pytest.mark.parametrize("size", [(1, 1), (16, 5), (37, 61)])
def test_what_is_written_is_what_ffmpeg_reads(tmp_path: Path, size: tuple[int, int]) -> None:
    random = np.random.default_rng(7)
    channels = {
        "R": random.random(size).astype(np.float16),
        "G": np.zeros(size, np.float16),
        "B": np.linspace(0, 1, size[0] * size[1]).reshape(size).astype(np.float16),
        "A": (random.random(size) > 0.5).astype(np.float16),
    }
    path = tmp_path / "a.exr"
    path.write_bytes(encode_exr(channels))
    for index, name in enumerate("GBRA"):
        assert np.array_equal(exr_planes(path)[:, :, index], channels[name].astype(np.float32))


def test_the_library_reads_every_layer(tmp_path: Path) -> None:
    library = pytest.importorskip("OpenEXR")
    channels = {
        name: np.random.default_rng(index).random((40, 30)).astype(np.float16)
        for index, name in enumerate(("A", "dog.A", "cat.A"))
    }
    path = tmp_path / "a.exr"
    path.write_bytes(encode_exr(channels))
    with library.File(str(path), separate_channels=True) as file:
        found = file.channels()
        assert set(found) == set(channels)
        for name, values in channels.items():
            assert found[name].pixels.dtype == np.float16
            assert np.array_equal(found[name].pixels, values)


@pytest.mark.parametrize(
    "channels",
    [
        {"ä": np.zeros((2, 2), np.float16)},
        {"A" * 32: np.zeros((2, 2), np.float16)},
        {"A": np.zeros((2, 2), np.float32)},
        {"A": np.zeros((2, 2), np.float16), "B": np.zeros((2, 3), np.float16)},
    ],
)
def test_what_cannot_be_a_channel_is_refused(channels: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"channel|called"):
        encode_exr(channels)


def test_an_exported_exr_holds_the_picture_and_a_layer_for_each_object(tmp_path: Path) -> None:
    with open_video(write_numbered(tmp_path / "in.mp4", 2)) as video:
        masks = {0: scene(video.width, video.height)}
        options = {"edge_px": 3.0, "edge_from": "distance"}
        annotation = annotate(masks, video, (DOG, CAT))
        run_export(annotation, video, "exr", tmp_path / "out", options=options)
        picture = video[0]
    path, _ = sorted((tmp_path / "out").glob("in.*.exr"))
    planes = exr_planes(path)
    alpha = soft_edge(masks[0] > 0, 3)
    assert np.array_equal(planes[:, :, 3], alpha.astype(np.float16).astype(np.float32))
    red = picture[:, :, 0] / 255
    linear = np.where(red <= 0.04045, red / 12.92, ((red + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(planes[:, :, 2], linear, atol=1e-3)
    data = path.read_bytes()
    assert b"dog.A\0" in data
    assert b"a_very_long_nme__of_a_cat.A\0" in data


# FFV1


def test_ffv1_keeps_every_pixel(tmp_path: Path) -> None:
    with open_video(write_numbered(tmp_path / "in.mp4", 3)) as video:
        masks = {frame: scene(video.width, video.height, frame) for frame in range(3)}
        annotation = annotate(masks, video, (DOG, CAT))
        options = {"edge_px": 2.0, "edge_from": "distance"}
        run_export(annotation, video, "ffv1-alpha", tmp_path / "out", options=options)
        pictures = [video[frame] for frame in range(3)]
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.video[0].codec_context.name == "ffv1"
        frames = [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]
    assert len(frames) == 3
    for frame, found in enumerate(frames):
        expected = cut_out(pictures[frame], soft_edge(masks[frame] > 0, 2), 16)
        assert np.array_equal(found, expected)
