"""Files that are not what they seem: each ends in one clear message, none in a raw FFmpeg error."""

import os
import random
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from interaction.errors import UnreadableVideoError
from interaction.video import container as video_container
from interaction.video.video import open_video
from tests.unit.video_samples import read_number, write_numbered, x264

FAST_START = {"movflags": "faststart"}


def refusal(path: Path) -> str:
    """The message a path is refused with; it names the file and has a remedy."""
    with pytest.raises(UnreadableVideoError) as caught:
        open_video(path)
    message = str(caught.value)
    assert path.name in message
    what, remedy = message.split("\n\n")
    assert what
    assert remedy
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nothing.mp4")


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    assert "empty" in refusal(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "not a file" in refusal(tmp_path / "pipe.mp4")


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt"])
def test_text(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("These are notes.\n" * 100, encoding="utf-8")
    assert "not a video" in refusal(path)


def test_noise(tmp_path: Path) -> None:
    for seed in range(8):
        path = tmp_path / f"noise{seed}.mp4"
        path.write_bytes(random.Random(seed).randbytes(20_000))
        refusal(path)


def test_a_playlist_is_not_followed(tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.ts", 30, options=x264())
    path = tmp_path / "list.mp4"
    path.write_text("ffconcat version 1.0\nfile a.ts\n", encoding="utf-8")
    with av.open(str(path)) as container:
        assert container.streams.video, "the sample is no playlist"
    assert "not a video" in refusal(path)


def test_sound_alone(tmp_path: Path) -> None:
    path = tmp_path / "sound.mka"
    samples: Any = np.zeros((1, 4800), dtype=np.int16)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=48000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "no video" in refusal(path)
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 48000, 0, "NONE", ""))
        sound.writeframes(bytes(9600))
    refusal(tmp_path / "sound.wav")


def test_a_single_picture_points_to_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "one.PNG"
    Image.new("RGB", (8, 8)).save(path)
    assert "folder" in refusal(path)


def test_colons_and_percent_signs_in_a_name_are_only_letters(tmp_path: Path) -> None:
    name = "pipe%03d ü.mp4" if os.name == "nt" else "concat:50%03d ü.mp4"
    plain = write_numbered(tmp_path / "a.mp4", 10, options=x264())
    with open_video(plain.rename(tmp_path / name)) as video:
        assert read_number(video[7]) == 7


def test_too_large_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_numbered(tmp_path / "large.mp4", 5, options=x264())
    monkeypatch.setattr(video_container, "MAX_FRAME_PIXELS", 128 * 64 - 1)
    assert "128 x 64" in refusal(path)


def test_an_mp4_without_its_table_of_contents(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "cut.mp4", 60, options=x264())
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4])
    refusal(path)


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi", "cut.ts", "cut.webm"])
def test_a_cut_video_keeps_the_frames_that_are_there(name: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"options": x264(bframes=0, keyint=15)}
    if name.endswith("webm"):
        settings = {"codec": "libvpx-vp9", "options": {"g": "15", "cpu-used": "8"}}
    elif name.endswith("mp4"):
        settings["container_options"] = FAST_START
    path = write_numbered(tmp_path / name, 100, **settings)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with open_video(path) as video:
        assert 20 < len(video) < 95
        for index in reversed(range(len(video))):
            assert read_number(video[index]) == index


def test_cutting_a_video_anywhere_opens_it_or_says_why(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "cut.mp4", 40, options=x264(), container_options=FAST_START)
    data = path.read_bytes()
    opened = 0
    for size in range(0, len(data), len(data) // 40):
        path.write_bytes(data[:size])
        try:
            with open_video(path) as video:
                numbers = [read_number(video[index]) for index in range(len(video))]
        except UnreadableVideoError:
            continue
        opened += 1
        assert numbers == sorted(set(numbers))
        assert numbers[0] == 0
    assert opened > 3


def packet_span(path: Path, number: int) -> tuple[int, int]:
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        packet = packets[number]
        assert packet.pos is not None
        return packet.pos, packet.size


def test_a_damaged_frame_is_named_and_the_others_are_whole(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "hurt.mov", 40, codec="prores_ks", pixel_format="yuv422p10le")
    position, size = packet_span(path, 20)
    data = bytearray(path.read_bytes())
    data[position : position + size] = bytes(size)
    path.write_bytes(bytes(data))
    with open_video(path) as video:
        assert len(video) == 40
        for _ in range(2):
            with pytest.raises(UnreadableVideoError, match=r"hurt\.mov.*frame 20 is damaged"):
                video[20]
        for index in (19, 21, 39, 0, 22):
            assert read_number(video[index]) == index
        for index in range(40):  # with decoding ahead over the damage
            if index != 20:
                assert read_number(video[index]) == index


def test_damage_in_the_middle_never_shows_a_wrong_frame(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "hurt.mkv", 90, options=x264(keyint=30))
    start, _ = packet_span(path, 35)
    end, _ = packet_span(path, 50)
    data = bytearray(path.read_bytes())
    data[start:end] = random.Random(3).randbytes(end - start)
    path.write_bytes(bytes(data))
    with open_video(path) as video:
        times = [round(second * 25) for second in video.timestamps_s]
        for index in (*range(30), *range(len(video) - 30, len(video))):
            assert read_number(video[index]) == times[index]
        messages: dict[int, str] = {}
        for index in range(len(video)):
            try:
                assert video[index].shape == (64, 128, 3)
            except UnreadableVideoError as error:
                messages[index] = str(error)
        assert all(f"frame {index} " in message for index, message in messages.items())


def test_a_video_whose_beginning_was_cut_away_starts_with_its_first_whole_frame(
    tmp_path: Path,
) -> None:
    path = write_numbered(tmp_path / "late.ts", 90, options=x264(keyint=30))
    data = path.read_bytes()
    cut = packet_span(path, 8)[0] // 188 * 188
    path.write_bytes(data[: 188 * 2] + data[cut:])  # the two tables, then the ninth packet
    with open_video(path) as video:
        numbers = [read_number(video[index]) for index in range(len(video))]
        assert numbers == list(range(numbers[0], 90))
        assert 1 <= numbers[0] <= 30


def test_a_file_that_vanishes_is_reported_when_a_frame_is_asked_for(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "gone.mp4", 40, options=x264())
    with open_video(path) as video:
        path.unlink()
        with pytest.raises(UnreadableVideoError, match=r"gone\.mp4"):
            video[0]


def test_nothing_is_printed_about_damage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_numbered(tmp_path / "hurt.mkv", 30, codec="mpeg4")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 500] = bytes(500)
    path.write_bytes(bytes(data))
    capfd.readouterr()
    with open_video(path) as video:
        for index in range(len(video)):
            try:
                video[index]
            except UnreadableVideoError:
                continue
    assert capfd.readouterr() == ("", "")
