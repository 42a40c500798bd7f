"""Frame N of a video file is the same picture, however it is reached."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from interaction.steps import finish
from interaction.video.container import FrameStream, TagSource
from interaction.video.index import VideoFileIndex
from interaction.video.video import Video, index_video, open_video
from tests.unit.video_samples import (
    HEIGHT,
    WIDTH,
    numbered_picture,
    read_number,
    write_numbered,
    write_video,
    x264,
    x265,
)

LONG = 10_000


@pytest.fixture(scope="module")
def long_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    pictures = (numbered_picture(number, height=16) for number in range(LONG))
    return write_video(path, pictures, options=x264(keyint=100))


@pytest.fixture(scope="module")
def long_video(long_path: Path) -> Iterator[Video]:
    with open_video(long_path, cache_bytes=2**20) as video:
        yield video


def file_index(video: Video) -> VideoFileIndex:
    index = video._index
    assert isinstance(index, VideoFileIndex)
    return index


def assert_exact(video: Video, numbers: list[int]) -> None:
    """Frames in order, at random, and backward are those numbered `numbers`."""
    assert len(video) == len(numbers)
    assert [read_number(picture) for picture in video] == numbers
    shuffled = list(range(len(numbers)))
    random.Random(7).shuffle(shuffled)
    for index in shuffled[:60]:
        assert read_number(video[index]) == numbers[index]
    for index in reversed(range(len(numbers))):
        assert read_number(video[index]) == numbers[index]


def test_a_long_file_has_all_its_frames(long_video: Video) -> None:
    assert len(long_video) == LONG
    assert (long_video.width, long_video.height) == (WIDTH, 16)
    assert long_video.frame_rate == 25
    assert long_video.timestamps_s[-1] == pytest.approx((LONG - 1) / 25)


def test_random_frames_of_a_long_file_are_exact(long_video: Video) -> None:
    for index in random.Random(1).choices(range(LONG), k=150):
        assert read_number(long_video[index]) == index


def test_frames_around_the_ends_and_the_keyframes_are_exact(long_video: Video) -> None:
    places = [0, 1, LONG - 1, LONG - 2]
    places += [key + step for key in (100, 5000, 9900) for step in (1, 0, -1, -2, -3, 2)]
    for index in places:
        assert read_number(long_video[index]) == index


def test_playing_backward_over_keyframes_is_exact(long_video: Video) -> None:
    for index in range(5150, 4900, -1):
        assert read_number(long_video[index]) == index


@pytest.fixture
def jumps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every jump of a decoder."""
    made: list[str] = []
    seek, rewind = FrameStream.seek, FrameStream.rewind

    def counted_seek(stream: FrameStream, timestamp: int) -> int | None:
        made.append("seek")
        return seek(stream, timestamp)

    def counted_rewind(stream: FrameStream) -> None:
        made.append("rewind")
        rewind(stream)

    monkeypatch.setattr(FrameStream, "seek", counted_seek)
    monkeypatch.setattr(FrameStream, "rewind", counted_rewind)
    return made


def test_reading_in_order_hardly_ever_jumps(long_path: Path, jumps: list[str]) -> None:
    with open_video(long_path) as video:
        for index in range(1000):
            assert read_number(video[index]) == index
    # One to the first keyframe; and on a busy machine a caller may overtake the background thread
    # while that has a frame in its hands.
    assert len(jumps) <= 10


def test_playing_backward_decodes_each_group_once(long_path: Path, jumps: list[str]) -> None:
    with open_video(long_path) as video:
        for index in range(1099, 99, -1):
            assert read_number(video[index]) == index
    assert len(jumps) <= 15  # ten groups of a hundred frames; a seek may need a second try


def test_an_interrupted_decode_is_not_continued_half_way(
    long_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(stream: FrameStream) -> object:
        for _ in range(4):  # one of them at least is no B-frame
            stream._read_packet()  # read, and lost
        raise KeyboardInterrupt

    with open_video(long_path) as video:
        assert read_number(video[210]) == 210
        monkeypatch.setattr(FrameStream, "next_frame", interrupted)
        with pytest.raises(KeyboardInterrupt):
            video[230]
        monkeypatch.undo()
        for index in range(230, 260):
            assert read_number(video[index]) == index


def test_a_seek_that_lands_too_late_is_noticed(
    long_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seek = FrameStream.seek
    monkeypatch.setattr(FrameStream, "seek", lambda stream, time: seek(stream, time + 4_000_000))
    with open_video(long_path) as video:
        for index in (320, 40, 199):
            assert read_number(video[index]) == index


def has_encoder(name: str) -> bool:
    try:
        av.codec.Codec(name, "w")
    except ValueError:
        return False
    return True


OPEN_GOP = x264(open_gop=1, keyint=20)
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "H.264 in MP4": ("a.mp4", {"options": x264()}),
    "H.264 in MOV": ("a.mov", {"options": x264()}),
    "H.264 in Matroska": ("a.mkv", {"options": x264()}),
    "H.264 in a transport stream": ("a.ts", {"options": x264()}),
    "H.264 in AVI, without timestamps": ("a.avi", {"options": x264()}),
    "H.264 without a container": ("a.h264", {"options": x264()}),
    "H.264 in fragmented MP4": (
        "a.mp4",
        {"options": x264(), "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    ),
    "H.264 refreshed bit by bit": ("a.mp4", {"options": x264(intra_refresh=1)}),
    "H.264 open GOP in MP4": ("a.mp4", {"options": OPEN_GOP}),
    "H.264 open GOP in Matroska": ("a.mkv", {"options": OPEN_GOP}),
    "H.265 in MP4": ("a.mp4", {"codec": "libx265", "options": x265(open_gop=0)}),
    "H.265 open GOP in MP4": ("a.mp4", {"codec": "libx265", "options": x265(open_gop=1)}),
    "H.265 open GOP in Matroska": ("a.mkv", {"codec": "libx265", "options": x265(open_gop=1)}),
    "VP8 with hidden frames": (
        "a.webm",
        {"codec": "libvpx", "options": {"g": "30", "auto-alt-ref": "1", "lag-in-frames": "16"}},
    ),
    "VP9 in WebM": (
        "a.webm",
        {"codec": "libvpx-vp9", "options": {"g": "30", "cpu-used": "8", "deadline": "realtime"}},
    ),
    "AV1 in MP4": (
        "a.mp4",
        {"codec": "libsvtav1", "options": {"g": "30", "preset": "12", "svtav1-params": "lp=1"}},
    ),
    "MPEG-4 with B-frames in AVI": ("a.avi", {"codec": "mpeg4", "options": {"g": "15", "bf": "2"}}),
    "MPEG-4 with B-frames in MP4": ("a.mp4", {"codec": "mpeg4", "options": {"g": "15", "bf": "2"}}),
    "MPEG-2 in a program stream": (
        "a.mpg",
        {"codec": "mpeg2video", "options": {"g": "15", "bf": "2"}},
    ),
    "Motion JPEG in AVI": ("a.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
    "Motion JPEG without a container": ("a.mjpeg", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
    "ProRes in MOV": ("a.mov", {"codec": "prores_ks", "pixel_format": "yuv422p10le"}),
    "10-bit H.264": ("a.mkv", {"pixel_format": "yuv420p10le", "options": x264()}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_exact_in(kind: str, tmp_path: Path) -> None:
    name, settings = KINDS[kind]
    codec = settings.get("codec", "libx264")
    if not has_encoder(codec):
        pytest.skip(f"this build of FFmpeg cannot write {codec}")
    path = write_numbered(tmp_path / name, 130, **settings)
    with open_video(path, cache_bytes=40 * WIDTH * HEIGHT * 3) as video:
        assert_exact(video, list(range(130)))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_leading_pictures_are_decoded_from_the_group_before(codec: str, tmp_path: Path) -> None:
    options = OPEN_GOP if codec == "libx264" else x265(open_gop=1)
    path = write_numbered(tmp_path / "open.mkv", 100, codec=codec, options=options)
    with open_video(path, cache_bytes=0) as video:
        index = file_index(video)
        leading = [
            frame
            for frame in range(100)
            for run in [index.runs[index.run_of(frame)]]
            if any(
                run.packet < later.packet < index.packet_of_tag[int(index.frame_tags[frame])]
                for later in index.runs
            )
        ]
        assert leading, "the sample has no open GOP"
        for frame in leading:
            video[(frame + 50) % 100]
            assert read_number(video[frame]) == frame


def test_variable_frame_rate_keeps_every_frame_and_its_time(tmp_path: Path) -> None:
    times_ms = [0, 10, 50, 51, 400, 1000, 1001, 1002, 5000, 5040, 9000, 9999]
    path = write_numbered(tmp_path / "vfr.mkv", 12, timestamps_ms=times_ms, options=x264(keyint=5))
    with open_video(path) as video:
        assert_exact(video, list(range(12)))
        assert video.timestamps_s == pytest.approx(np.array(times_ms) / 1000)
        assert float(video.frame_rate or 0) == pytest.approx(11 / 9.999, rel=1e-3)


def test_repeated_timestamps_leave_every_frame_its_number(tmp_path: Path) -> None:
    # A millisecond clock at 4000 frames a second: four frames share a timestamp.
    path = write_numbered(tmp_path / "fast.mkv", 60, rate=4000, codec="mpeg4", options={"g": "10"})
    with open_video(path) as video:
        assert file_index(video).tag_source is TagSource.POSITION
        assert_exact(video, list(range(60)))


def test_frames_that_an_edit_list_hides_are_no_frames(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "cut.mp4", 60, options=x264(keyint=30))
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4 + 4 + 4 + 4  # name, version, count, duration
    ticks = int.from_bytes(data[at : at + 4], "big")
    per_frame = 12800 // 25
    data[at : at + 4] = (ticks + 35 * per_frame).to_bytes(4, "big")
    data[at - 4 : at] = (20 * 40).to_bytes(4, "big")  # milliseconds shown
    path.write_bytes(bytes(data))
    with open_video(path) as video:
        assert_exact(video, list(range(35, 55)))
        assert video.timestamps_s[0] == 0


def test_cover_art_is_not_the_video(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "cover.mp4", 20, options=x264())
    cover = tmp_path / "cover.mjpeg"
    write_video(cover, [numbered_picture(0, height=256)], codec="mjpeg", pixel_format="yuvj420p")

    def box(name: bytes, content: bytes) -> bytes:
        return (len(content) + 8).to_bytes(4, "big") + name + content

    picture = box(b"data", (13).to_bytes(4, "big") + bytes(4) + cover.read_bytes())
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    meta = box(b"meta", bytes(4) + handler + box(b"ilst", box(b"covr", picture)))
    data = path.read_bytes()
    track = data.index(b"tkhd") + 5
    data = data[:track] + bytes(3) + data[track + 3 :]  # no longer the default, either
    at = data.rindex(b"moov") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    assert at + size == len(data)
    data = data[:at] + box(b"moov", data[at + 8 :] + box(b"udta", meta))
    path.write_bytes(data)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2, "the sample has no cover"
    with open_video(path) as video:
        assert_exact(video, list(range(20)))


def test_progress_counts_up_and_the_index_can_be_used_again(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 200, options=x264())
    counts: list[int] = []
    index = finish(index_video(path), counts.append)
    assert counts == sorted(counts)
    assert counts[-1] == 200
    assert len(counts) > 2
    with open_video(path, index=index) as video:
        assert read_number(video[123]) == 123


def test_indexing_can_be_cancelled(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 200, options=x264())
    steps = index_video(path)
    next(steps)
    steps.close()
    path.rename(tmp_path / "b.mp4")  # fails on Windows while the file is open


def test_the_sequence_keeps_its_contract(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 12, options=x264())
    video = open_video(path)
    assert video.path == path
    assert video.name(7) == "0000007"
    picture = video[np.int64(3)]
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        picture[0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        video.timestamps_s[0] = 1
    for outside in (12, -1):
        with pytest.raises(IndexError, match="frames 0 to 11"):
            video[outside]
        with pytest.raises(IndexError):
            video.name(outside)
    video.close()
    video.close()
    with pytest.raises(ValueError, match="closed"):
        video[0]
    assert np.abs(picture.astype(int) - numbered_picture(3)).mean() < 20  # outlives the video
