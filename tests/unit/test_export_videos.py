"""Videos that leave: their pictures, timing, sound, size and alpha."""

from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from interaction.annotation.annotation import Annotation
from interaction.annotation.types import ObjectInfo
from interaction.errors import UserError
from interaction.formats import looks, video_writer
from interaction.formats.format import ExportSource
from interaction.formats.video_writer import Timing
from interaction.formats.videos import h264
from interaction.video.video import Video, open_video
from tests.unit.mask_scenes import annotate, open_frames, run_export, scene
from tests.unit.video_samples import read_number, write_numbered, write_video

RED = (255, 0, 0)


def with_sound(path: Path, *, codec: str = "aac", frames: int = 30, rate: int = 25) -> Path:
    """A video whose frames are grey and whose sound rises in steps of a tenth of a second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream(codec, rate=48_000)
        for index in range(frames):
            grey = np.full((48, 64, 3), 8 * (index % 30), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode(None))
        samples = 48_000 * frames // rate
        for start in range(0, samples, 1024):
            level = 0.1 * (start // 4800)
            wave = np.sin(np.arange(start, start + 1024) * 0.2).astype(np.float32) * min(level, 1)
            block = av.AudioFrame.from_ndarray(
                np.stack([wave, wave]), format="fltp", layout="stereo"
            )
            block.sample_rate, block.pts = 48_000, start
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    return path


def annotation_of(video: Video, shift: bool = True) -> Annotation:
    masks = {
        frame: scene(video.width, video.height, frame if shift else 0)
        for frame in range(len(video))
    }
    return annotate(masks, video, (ObjectInfo(1, "dog", RED), ObjectInfo(2, "cat", (0, 0, 255))))


def decoded_alpha(path: Path, codec: str) -> list[NDArray[np.uint8]]:
    """The alpha of every frame, by a decoder that keeps it."""
    frames = []
    with av.open(str(path)) as container:
        decoder: Any = av.CodecContext.create(codec, "r")
        stream = container.streams.video[0]
        decoder.extradata = stream.codec_context.extradata
        for packet in container.demux(stream):
            frames += [frame.to_ndarray(format="rgba")[:, :, 3] for frame in decoder.decode(packet)]
    return frames


def test_an_overlay_shows_the_objects_in_their_colours_and_the_rest_as_it_was(
    tmp_path: Path,
) -> None:
    with open_video(write_numbered(tmp_path / "in.mp4", 12)) as video:
        annotation = annotate(
            {5: scene(video.width, video.height)}, video, (ObjectInfo(1, "dog", RED),)
        )
        options = {"opacity": 1.0, "outline_px": 0}
        run_export(annotation, video, "overlay-video", tmp_path / "out", options=options)
        with open_video(tmp_path / "out.mp4") as made:
            assert len(made) == 12
            assert made.frame_rate == Fraction(25)
            assert read_number(made[4]) == 4
            inside = scene(video.width, video.height) == 1
            is_deep = looks.soft_edge(inside, 12) == 1  # away from the edge, where colours blur
            assert is_deep.any()
            np.testing.assert_allclose(
                made[5][is_deep], np.broadcast_to(RED, (is_deep.sum(), 3)), atol=12
            )


def test_irregular_timestamps_are_kept(tmp_path: Path) -> None:
    times = [0, 40, 50, 200, 210, 500, 501, 1200]
    path = write_numbered(tmp_path / "in.mp4", len(times), timestamps_ms=times)
    with open_video(path) as video:
        np.testing.assert_allclose(video.timestamps_s * 1000, times, atol=0.6)
        run_export(annotation_of(video), video, "overlay-video", tmp_path / "all")
        run_export(annotation_of(video), video, "overlay-video", tmp_path / "part", first=2, step=2)
    with open_video(tmp_path / "all.mp4") as made:
        np.testing.assert_allclose(made.timestamps_s * 1000, times, atol=0.6)
        # numbered cells under the masks can still be distinguished: they are only tinted
    with open_video(tmp_path / "part.mp4") as made:
        np.testing.assert_allclose(made.timestamps_s * 1000, [0, 160, 451], atol=0.6)


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(25), Fraction(24000, 1001)])
def test_an_even_rate_stays_exact(rate: Fraction) -> None:
    times = np.arange(1000) / float(rate)
    timing = Timing.of(times.tolist(), rate, 1)
    assert timing.rate == rate
    assert timing.time_base == 1 / rate
    assert timing.ticks == tuple(range(1000))
    assert Timing.of(times[::3].tolist(), rate, 3).rate == rate / 3


def test_two_frames_at_one_time_are_both_written() -> None:
    timing = Timing.of([0.0, 0.1, 0.1, 0.1, 0.5], Fraction(25), 1)
    assert list(timing.ticks) == sorted(set(timing.ticks))


def test_the_sound_is_copied_bit_for_bit_and_stays_in_step(tmp_path: Path) -> None:
    source = with_sound(tmp_path / "in.mp4")
    with open_video(source) as video:
        annotation = annotation_of(video, shift=False)
        run_export(annotation, video, "overlay-video", tmp_path / "all")
        run_export(annotation, video, "overlay-video", tmp_path / "part", first=10, last=24)
        run_export(
            annotation, video, "overlay-video", tmp_path / "mute", options={"has_sound": False}
        )
    original = sound_packets(source)
    assert len(original) > 50
    assert [data for _, data in sound_packets(tmp_path / "all.mp4")] == [
        data for _, data in original
    ]
    part = sound_packets(tmp_path / "part.mp4")
    time_of = {data: time for time, data in original}
    assert 0.5 < part[-1][0] - part[0][0] < 0.65
    for time, data in part:
        assert time_of[data] - time == pytest.approx(10 / 25, abs=0.002)
    assert sound_packets(tmp_path / "mute.mp4") == []


def sound_packets(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        return [
            (float((packet.pts or 0) * packet.time_base), bytes(packet))
            for stream in container.streams.audio
            for packet in container.demux(stream)
            if packet.size
        ]


def test_sound_that_does_not_fit_the_file_is_left_out_with_a_notice(tmp_path: Path) -> None:
    with open_video(with_sound(tmp_path / "in.mp4", frames=5)) as video:
        report = run_export(annotation_of(video), video, "vp9-alpha", tmp_path / "out")
    assert any("aac" in notice for notice in report.notices)
    assert sound_packets(tmp_path / "out.webm") == []


@pytest.mark.parametrize(("odd_size", "size"), [("pad", (62, 46)), ("crop", (60, 44))])
def test_odd_sizes_are_made_even_with_a_notice(
    tmp_path: Path, odd_size: str, size: tuple[int, int]
) -> None:
    with open_frames(tmp_path / "in", 3, 61, 45) as video:
        report = run_export(
            annotation_of(video),
            video,
            "overlay-video",
            tmp_path / "out",
            options={"odd_size": odd_size},
        )
    assert any("61 × 45" in notice for notice in report.notices)
    with open_video(tmp_path / "out.mp4") as made:
        assert (made.width, made.height) == size


@pytest.mark.parametrize(
    ("name", "suffix", "decoder"),
    [("prores-4444", ".mov", "prores"), ("vp9-alpha", ".webm", "libvpx-vp9")],
)
def test_alpha_videos_carry_the_masks(tmp_path: Path, name: str, suffix: str, decoder: str) -> None:
    with open_video(write_numbered(tmp_path / "in.mp4", 4)) as video:
        annotation = annotation_of(video)
        run_export(annotation, video, name, tmp_path / "out")
        frames = decoded_alpha(tmp_path / f"out{suffix}", decoder)
        assert len(frames) == 4
        for index, alpha in enumerate(frames):
            wrong = (alpha >= 128) != (annotation.labels(index) > 0)
            assert wrong.mean() < 0.01
        with open_video(tmp_path / f"out{suffix}") as made:
            np.testing.assert_allclose(made.timestamps_s, np.arange(4) / 25, atol=0.0011)


def test_a_green_screen_is_green_and_the_objects_are_the_source(tmp_path: Path) -> None:
    grey = np.full((48, 64, 3), 120, np.uint8)
    with open_video(write_video(tmp_path / "in.mp4", [grey] * 3)) as video:
        annotation = annotation_of(video)
        run_export(
            annotation, video, "green-screen", tmp_path / "out", options={"color": "#00ff00"}
        )
        labels = annotation.labels(0) > 0
    with open_video(tmp_path / "out.mp4") as made:
        far_out = looks.soft_edge(labels, 16) == 0
        far_in = looks.soft_edge(labels, 8) == 1
        green = np.broadcast_to((0, 255, 0), (far_out.sum(), 3))
        np.testing.assert_allclose(made[0][far_out], green, atol=12)
        np.testing.assert_allclose(made[0][far_in], 120, atol=12)


def test_colours_survive_conversion_and_tags(tmp_path: Path) -> None:
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (90, 120, 200), (12, 12, 12)]
    wide = np.repeat(np.array(colors, np.uint8)[None], 48, axis=0).repeat(32, axis=1)
    kind = h264(10)
    timing = Timing.of([0.0], Fraction(25), 1)
    path = tmp_path / "out.mp4"
    with closing(video_writer.VideoWriter(path, kind, wide.shape[1], 48, timing)) as writer:
        writer.write(wide)
        writer.finish()
    with open_video(path) as made:
        for index, color in enumerate(colors):
            np.testing.assert_allclose(made[0][24, 32 * index + 16], color, atol=6)


def test_an_encoder_that_is_not_there_is_replaced_or_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_video(write_numbered(tmp_path / "in.mp4", 3)) as video:
        annotation = annotation_of(video)
        monkeypatch.setattr(video_writer, "codecs_available", {"mpeg4"})
        report = run_export(annotation, video, "overlay-video", tmp_path / "out")
        assert any("mpeg4" in notice for notice in report.notices)
        with open_video(tmp_path / "out.mp4") as made:
            assert len(made) == 3
        monkeypatch.setattr(video_writer, "codecs_available", set())
        with pytest.raises(UserError, match="libx264"):
            run_export(annotation, video, "green-screen", tmp_path / "green")
        assert not (tmp_path / "green.mp4").exists()


def test_a_damaged_frame_does_not_stop_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_frames(tmp_path / "in", 4, 64, 48) as video:
        annotation = annotation_of(video)
        (tmp_path / "in" / "00002.png").write_bytes(b"no longer a picture")
        source = ExportSource.of(annotation, video)
        assert source.frame_count == 4
        report = run_export(annotation, video, "cut-outs", tmp_path / "out")
    assert report.notices == (
        "1 frame of the video cannot be read and shows the one before it: 2.",
    )


def test_the_outline_is_solid_and_the_fill_lets_the_picture_through() -> None:
    picture = np.full((60, 80, 3), 100, np.uint8)
    labels = scene(80, 60)
    table = looks.color_table([ObjectInfo(1, "dog", RED), ObjectInfo(2, "cat", (0, 0, 255))])
    overlay = partial(looks.draw_view, table=table, mode=looks.ViewMode.OVERLAY)
    drawn = overlay(picture, labels, opacity=0.5, outline_px=2)
    is_outline = (drawn == RED).all(axis=2)
    assert is_outline.any()
    near = cv2.dilate((labels == 1).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert near[is_outline].all(), "an outline stays at its object's edge"
    deep = looks.soft_edge(labels == 1, 12) == 1
    np.testing.assert_allclose(drawn[deep], np.broadcast_to((178, 50, 50), (deep.sum(), 3)), atol=1)
    far = cv2.dilate((labels > 0).astype(np.uint8), np.ones((11, 11), np.uint8)) == 0
    np.testing.assert_array_equal(drawn[far], picture[far])
    nothing = overlay(picture, np.zeros_like(labels), opacity=1, outline_px=3)
    np.testing.assert_array_equal(nothing, picture)


@pytest.mark.parametrize("width_px", [0.0, 1.0, 2.0, 5.5, 31.0])
def test_a_soft_edge_is_the_hard_mask_above_one_half(width_px: float) -> None:
    mask = scene(90, 70) > 0
    alpha = looks.soft_edge(mask, width_px)
    np.testing.assert_array_equal(alpha > 0.5, mask)
    row = alpha[35]
    assert (np.abs(np.diff(row)) <= max(1.0, 1 / max(width_px, 1)) + 0.01).all()
    if width_px > 1:
        assert np.abs(np.diff(row)).max() <= 1.5 / width_px
    full = np.ones((5, 5), np.bool_)
    assert (looks.soft_edge(full, 4) == 1).all()


@pytest.mark.parametrize("codec", ["libmp3lame", "mp2", "ac3", "pcm_s16le"])
def test_sound_is_copied_by_its_codec_and_not_by_a_decoders_name(
    codec: str, tmp_path: Path
) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream(codec, rate=44_100)
        for _ in range(25):
            black = np.zeros((48, 64, 3), np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(black, format="rgb24")))
        container.mux(video.encode(None))
        samples = np.zeros((2, 44_100), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        resampler = av.AudioResampler(sound.format, sound.layout, 44_100, sound.frame_size or None)
        for part in resampler.resample(frame):
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))
    with open_video(path) as source:
        for suffix in ("a", "b"):
            report = run_export(
                annotate({}, source), source, "overlay-video", tmp_path / f"{suffix}.mp4"
            )
            assert report.notices == ()
    packets = []
    for file in (path, tmp_path / "a.mp4", tmp_path / "b.mp4"):
        with av.open(str(file)) as container:
            (stream,) = container.streams.audio
            packets.append([bytes(p) for p in container.demux(stream) if p.size])
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert packets[1]
    assert b"".join(packets[1]) in b"".join(packets[0])  # plain samples are packed anew


def test_two_videos_of_one_name_lie_beside_each_other_and_are_the_same_every_time(
    tmp_path: Path,
) -> None:
    source = write_numbered(tmp_path / "v.mp4", 5)
    names = {"overlay-video": "clip.mp4", "prores-4444": "clip.mov", "vp9-alpha": "clip.webm"}
    with open_video(source) as video:
        annotation = annotate({0: scene(video.width, video.height)}, video)
        for folder in ("first", "second"):
            for name, target in names.items():
                run_export(annotation, video, name, tmp_path / folder / target)
    for target in names.values():
        first, second = (tmp_path / folder / target for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        assert first.with_name(f"{target}.frames.csv").is_file()
