"""Video as it comes: clocks that restart, deep pictures, damaged frames while tracking."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from interaction.errors import DamagedFrameError, UnreadableVideoError
from interaction.project.frame_index import read_index, write_index
from interaction.tracking.propagation import memorize_all, plan, propagate
from interaction.video.decoder import first_frame
from interaction.video.pixels import Orientation
from interaction.video.video import Video, open_video
from tests import tiny
from tests.unit.video_samples import (
    read_number,
    stored_pictures,
    write_avi,
    write_numbered,
    x264,
)
from xmem_core import MemoryConfig, Tracker
from xmem_core.arrays import Frame, Labels


def joined(folder: Path, suffix: str, *pieces: Path) -> Path:
    path = folder / f"joined.{suffix}"
    path.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    return path


@pytest.mark.parametrize(
    ("suffix", "offset_ms"), [("ts", 0), ("ts", -700), ("ts", 60_000), ("mpg", 0)]
)
def test_time_follows_frame_order_where_the_clock_restarts(
    suffix: str, offset_ms: int, tmp_path: Path
) -> None:
    """Pieces written one behind the other, the second with a clock that started elsewhere."""
    pieces = []
    for piece, start_ms in enumerate((2000, 2000 + offset_ms)):
        settings: dict[str, Any] = {"codec": "mpeg2video"}  # which takes no times in milliseconds
        if suffix == "ts":
            settings = {"timestamps_ms": [start_ms + 40 * n for n in range(20)], "options": x264()}
        pieces.append(write_numbered(tmp_path / f"{piece}.{suffix}", 20, **settings))
    with open_video(joined(tmp_path, suffix, *pieces)) as video:
        assert [read_number(picture) for picture in video] == [*range(20), *range(20)]
        np.testing.assert_allclose(np.diff(video.timestamps_s), 0.04, atol=0.002)
        assert video.frame_rate is not None
        assert abs(float(video.frame_rate) - 25) < 0.3
        assert read_number(video[25]) == 5
        assert read_number(video[3]) == 3


@pytest.mark.parametrize("b_frames", [1, 2])
@pytest.mark.parametrize(
    "is_packed",
    [
        lambda group: True,
        lambda group: group % 2 == 1,
        lambda group: group > 12,
        lambda group: group < 8,
        lambda group: False,
    ],
    ids=["all", "every second", "late", "early", "none"],
)
def test_partly_packed_mpeg4_keeps_the_order_that_decoding_gives(
    is_packed: Callable[[int], bool], b_frames: int, tmp_path: Path
) -> None:
    packets = stored_pictures("mpeg4", range(60), b_frames=b_frames, is_packed=is_packed)
    assert_in_order(write_avi(tmp_path / "v.avi", "mpeg4", packets), range(60))


@pytest.mark.parametrize("codec", ["mpeg4", "h264"])
def test_an_avi_whose_order_changes_late_keeps_it(codec: str, tmp_path: Path) -> None:
    """AVI has timestamps of storage alone, and the first frames show nothing of what follows.
    Of MPEG-4, the second half alone is packed and says so, which no jump may miss; as every program
    that decodes with FFmpeg, this one counts the last frame before it twice."""
    packets = stored_pictures(codec, range(30), b_frames=0, note=b"DivX503b1393")
    packets += stored_pictures(codec, range(30, 90), is_packed=lambda group: True)
    path = write_avi(tmp_path / "v.avi", codec, packets)
    repeated = [29] if codec == "mpeg4" else []
    assert_in_order(path, [*range(30), *repeated, *range(30, 90)])
    with open_video(path) as video:
        write_index(tmp_path / "frames.idx", video.index, "digest")
        index = read_index(tmp_path / "frames.idx", path, "digest")
        assert index is not None
        with open_video(path, index=index) as again:
            assert [read_number(again[n]) for n in (29, 30, 31)] == [29, *repeated, 30, 31][:3]


def assert_in_order(path: Path, expected: Sequence[int]) -> None:
    """Forwards, backwards and by jumps, with times that ascend."""
    numbers = list(expected)
    with open_video(path) as video:
        assert [read_number(picture) for picture in video] == numbers
        assert [read_number(video[n]) for n in reversed(range(len(video)))] == numbers[::-1]
        assert (np.diff(video.timestamps_s) > 0).all()
    with open_video(path) as video:
        for n in np.random.default_rng(0).permutation(len(numbers)).tolist():
            assert read_number(video[n]) == numbers[n]


def save_animation(path: Path, count: int = 12) -> None:
    """Frames with their numbers as grey, of 40 ms; the last half of 120 ms; transparent below."""
    frames = []
    for number in range(count):
        pixels = np.full((24, 40, 4), 255, np.uint8)
        pixels[:16, :, :3] = 20 * number
        frames.append(Image.fromarray(pixels))
    times = [40] * (count // 2) + [120] * (count - count // 2)
    kind: dict[str, Any] = {"format": "WEBP", "lossless": True} if path.suffix == ".webp" else {}
    if path.suffix == ".apng":
        kind = {"format": "PNG"}
    if path.suffix == ".gif":
        frames = [one.convert("RGB") for one in frames]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=times, **kind)


@pytest.mark.parametrize("suffix", ["png", "apng", "webp", "gif"])
def test_an_animated_picture_is_a_video(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"moving.{suffix}"
    save_animation(path)
    with open_video(path) as video:
        assert (len(video), video.width, video.height) == (12, 40, 24)
        for frame in (*range(12), 3, 11, 0):  # in order, and jumps both ways
            assert int(video[frame][4, 4, 0]) == 20 * frame
        expected = [0, 40, 80, 120, 160, 200, 240, 360, 480, 600, 720, 840]
        np.testing.assert_allclose(1000 * video.timestamps_s, expected, atol=0.1)
        assert video.stored_size() == (40, 24)
        assert video.orientation(0) == Orientation()
        assert np.array_equal(first_frame(path), video[0])
        write_index(tmp_path / "frames.idx", video.index, "digest")
        stored = read_index(tmp_path / "frames.idx", path, "digest")
    assert stored is not None
    with open_video(path, index=stored) as again:
        assert int(again[7][4, 4, 0]) == 140


def test_a_picture_that_does_not_move_is_still_no_video(tmp_path: Path) -> None:
    for name in ("still.png", "still.webp"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
        with pytest.raises(UnreadableVideoError, match="single picture"):
            open_video(tmp_path / name)


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_a_damaged_animation_is_reported_in_words(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"moving.{suffix}"
    save_animation(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableVideoError, match="damaged"):
        open_video(path)


RAMP = np.tile(np.linspace(0, 1, 160), (8, 1))


def save_deep(path: Path, values: NDArray[Any]) -> None:
    if values.ndim == 3:
        assert cv2.imwrite(str(path), values[:, :, ::-1])
    else:
        Image.fromarray(values).save(path)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ((RAMP * 4095).astype(np.uint16), "0.png"),
        ((RAMP * 1023).astype(np.uint16), "0.tif"),
        ((20_000 + RAMP * 800).astype(np.uint16), "0.png"),
        ((RAMP * 255).astype(np.float32), "0.tif"),
        ((RAMP * 0.01).astype(np.float32), "0.tif"),
        ((RAMP * 1800).astype(np.float32), "0.tif"),
        ((RAMP * 30_000).astype(np.float32), "0.tif"),
        (np.dstack([RAMP * 30_000] * 3).astype(np.float32), "0.tif"),
        ((RAMP * 9 - 4).astype(np.float32), "0.tif"),
        ((RAMP * 255).astype(np.int32), "0.tif"),
        ((RAMP * 1e6).astype(np.int32), "0.tif"),
        (np.dstack([RAMP * 4095] * 3).astype(np.uint16), "0.png"),
        (np.dstack([RAMP * 4095] * 3).astype(np.uint16), "0.tif"),
        (np.dstack([RAMP] * 3).astype(np.float32), "0.tif"),
        (np.dstack([RAMP * 255] * 3).astype(np.float32), "0.tif"),
    ],
)
def test_deep_pictures_show_what_is_in_them(
    values: NDArray[Any], name: str, tmp_path: Path
) -> None:
    save_deep(tmp_path / name, values)
    with open_video(tmp_path) as video:
        picture = video[0]
        assert picture.shape == (8, 160, 3)
        np.testing.assert_allclose(picture[0, :, 0], RAMP[0] * 255, atol=3)
        assert (picture == picture[:, :, :1]).all()
        is_nominal = values.dtype.kind == "f" and values.max() == 1
        assert (video.notice is None) == is_nominal


def test_one_range_serves_all_pictures_and_is_kept_with_the_project(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    for number, peak in enumerate((100, 4000, 900)):
        save_deep(folder / f"{number}.png", (RAMP * peak).astype(np.uint16))
    with open_video(folder) as video:
        assert [int(video[frame].max()) for frame in range(3)] == [6, 250, 56]
        assert video.notice is not None
        assert "0 to 4095" in video.notice
        write_index(tmp_path / "frames.idx", video.index, "digest")
        index = read_index(tmp_path / "frames.idx", folder, "digest")
        assert index is not None
        with open_video(folder, index=index) as again:
            assert again.notice == video.notice
            np.testing.assert_array_equal(again[2], video[2])


class DamagedFrames:
    """Frames of a video, some of which cannot be decoded."""

    def __init__(self, video: Video, damaged: set[int]) -> None:
        self._video, self._damaged = video, damaged

    def __len__(self) -> int:
        return len(self._video)

    def __getitem__(self, index: int, /) -> Frame:
        if index in self._damaged:
            raise DamagedFrameError(self._video.path, f"frame {index} is damaged")
        return self._video[index]


def tracked(
    video: Any, masks: dict[int, Labels], keys_at_a_time: int = 1
) -> tuple[dict[int, Labels], list[int]]:
    tracker = Tracker(tiny.network(), MemoryConfig(), internal_size=None)
    list(memorize_all(tracker, video, masks))
    runs = plan(len(video), sorted(masks))
    results = [
        r for r, _ in propagate(tracker, video, masks, runs, keys_at_a_time=keys_at_a_time) if r
    ]
    labels = {result.frame: result.prediction.labels() for result in results}
    return labels, [result.frame for result in results if result.is_damaged]


@pytest.mark.parametrize("keys_at_a_time", [1, 4])
def test_a_frame_that_cannot_be_decoded_keeps_the_mask_before_it(
    keys_at_a_time: int, tmp_path: Path
) -> None:
    tiny.write_clip(tmp_path / "clip", 8)
    with open_video(tmp_path / "clip") as video:
        masks = {0: tiny.labels(0), 5: tiny.labels(5)}
        labels, damaged = tracked(DamagedFrames(video, {2, 3, 5}), masks, keys_at_a_time)
        assert sorted(labels) == list(range(8))
        assert damaged == [2, 3, 5]
        np.testing.assert_array_equal(labels[2], labels[1])
        np.testing.assert_array_equal(labels[3], labels[1])
        np.testing.assert_array_equal(labels[5], masks[5])  # its own mask is known
        whole, _ = tracked(video, {0: masks[0]})
        np.testing.assert_array_equal(labels[1], whole[1])
        with pytest.raises(DamagedFrameError):  # there is nothing to follow at all
            tracked(DamagedFrames(video, {0}), {0: masks[0]})
