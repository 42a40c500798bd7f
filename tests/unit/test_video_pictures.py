"""A folder of pictures is a video: order, kinds of pictures, and everything that may be wrong."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from interaction.errors import UnreadableVideoError
from interaction.video.video import index_video, open_video
from tests.unit.video_samples import numbered_picture, read_number


def save(path: Path, number: int, **options: Any) -> None:
    Image.fromarray(numbered_picture(number)).save(path, **options)


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableVideoError) as caught:
        open_video(path)
    what, remedy = str(caught.value).split("\n\n")
    assert what
    assert remedy
    return str(caught.value)


def test_every_kind_of_picture_in_natural_order(tmp_path: Path) -> None:
    names = ["a2.JPG", "a10.png", "a11.TIFF", "a12.webp", "a100.bmp", "b1.jpeg", "c.tif"]
    for number in (3, 0, 6, 2, 5, 1, 4):
        save(tmp_path / names[number], number)
    save(tmp_path / ".hidden.png", 99)
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "folder.png").mkdir()
    with open_video(tmp_path) as video:
        assert [read_number(picture) for picture in video] == list(range(7))
        assert [video.name(index) for index in range(7)] == [Path(name).stem for name in names]
        assert [read_number(video[index]) for index in (6, 5, 4, 0, 3)] == [6, 5, 4, 0, 3]
        assert (video.width, video.height) == (128, 64)
        assert video.frame_rate is not None
        assert video.timestamps_s[6] == pytest.approx(6 / float(video.frame_rate))
        with pytest.raises(ValueError, match="read-only"):
            video[0][0, 0] = 1
        with pytest.raises(IndexError):
            video[7]


def test_numbers_of_many_digits_and_of_one_count_alike(tmp_path: Path) -> None:
    names = ["1.png", "02.png", "3.png", "010.png"]
    for number, name in enumerate(names):
        save(tmp_path / name, number)
    with open_video(tmp_path) as video:
        assert [read_number(picture) for picture in video] == [0, 1, 2, 3]


def test_indexing_reports_and_keeps_no_file_open(tmp_path: Path) -> None:
    for number in range(40):
        save(tmp_path / f"{number}.bmp", number)
    counts = list(index_video(tmp_path))
    assert counts == sorted(counts)
    assert counts[-1] == 40
    with open_video(tmp_path) as video:
        assert read_number(video[39]) == 39
        opened = [file.path for file in psutil.Process().open_files()]
        assert not [path for path in opened if Path(path).parent == tmp_path]


GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
RGB = np.stack([GREY, GREY[::-1], GREY.T], axis=2)


def only_frame(folder: Path) -> np.ndarray:
    with open_video(folder) as video:
        return video[0]


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bit_grey_keeps_its_upper_byte(suffix: str, tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) << 8 | 7
    Image.fromarray(deep).save(tmp_path / f"deep{suffix}")
    assert (only_frame(tmp_path) == GREY[:, :, None]).all()


def test_floating_point_grey_counts_from_zero_to_one(tmp_path: Path) -> None:
    values = (GREY / 255).astype(np.float32)
    values[0, 0], values[0, 1], values[0, 2] = np.nan, -5, 7
    Image.fromarray(values).save(tmp_path / "float.tiff")
    expected = GREY.copy()
    expected[0, :3] = (0, 0, 255)
    assert (only_frame(tmp_path) == expected[:, :, None]).all()


def test_grey_and_two_levels_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    assert (only_frame(tmp_path) == GREY[:, :, None]).all()
    (tmp_path / "grey.png").unlink()
    Image.fromarray(GREY > 100).save(tmp_path / "two.png")
    assert (only_frame(tmp_path) == np.where(GREY > 100, 255, 0)[:, :, None]).all()


@pytest.mark.parametrize("transparent", [None, 3, bytes(range(256))])
def test_a_palette_is_looked_up(transparent: int | bytes | None, tmp_path: Path) -> None:
    image = Image.fromarray(GREY, mode=None).convert("P")
    palette = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    image.putpalette(palette.tobytes())
    options: Any = {} if transparent is None else {"transparency": transparent}
    image.save(tmp_path / "palette.png", **options)
    assert (only_frame(tmp_path) == palette[GREY]).all()


def test_alpha_is_dropped_not_composited(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, np.zeros((16, 16), np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    assert (only_frame(tmp_path) == RGB).all()


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tiff", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_s_orientation_is_followed(
    suffix: str, orientation: int, tmp_path: Path
) -> None:
    upright = np.zeros((40, 80, 3), dtype=np.uint8)
    upright[:20, :40] = (255, 0, 0)
    upright[:20, 40:] = (0, 255, 0)
    upright[20:, :40] = (0, 0, 255)
    as_stored = {  # how the sensor's rows and columns lie, for each value of the note
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(as_stored)).save(tmp_path / f"a{suffix}", exif=exif)
    with open_video(tmp_path) as video:
        assert (video.width, video.height) == (80, 40)
        for y, x in ((10, 20), (10, 60), (30, 20), (30, 60)):
            assert np.abs(video[0][y, x].astype(int) - upright[y, x]).max() < 40


def test_no_such_folder_and_an_empty_one(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nothing")
    (tmp_path / "read me.txt").write_text("x", encoding="utf-8")
    assert "no picture" in refusal(tmp_path)


def test_mixed_sizes_name_both_pictures_and_both_sizes(tmp_path: Path) -> None:
    save(tmp_path / "1.png", 1)
    save(tmp_path / "2.png", 2)
    Image.new("RGB", (130, 70)).save(tmp_path / "odd.png")
    message = refusal(tmp_path)
    for part in ("odd.png", "130 x 70", "1.png", "128 x 64"):
        assert part in message


def test_names_that_would_share_a_mask_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "Frame1.jpg", 1)
    save(tmp_path / "frame1.png", 2)
    message = refusal(tmp_path)
    assert "Frame1.jpg" in message
    assert "frame1.png" in message


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n", b"BM"])
def test_a_file_that_is_no_picture_is_named(content: bytes, tmp_path: Path) -> None:
    save(tmp_path / "1.png", 1)
    (tmp_path / "2.png").write_bytes(content)
    assert "2.png" in refusal(tmp_path)


def look_at_all(folder: Path) -> None:
    with open_video(folder) as video:
        for index in (2, 0, 1):
            assert video[index].shape == (64, 128, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff", ".bmp"])
def test_a_cut_picture_is_reported_when_it_is_asked_for(suffix: str, tmp_path: Path) -> None:
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (64, 128, 3), dtype=np.uint8)
        options: Any = {"lossless": True} if suffix == ".webp" else {}
        Image.fromarray(noise).save(tmp_path / f"{number}{suffix}", **options)
    data = (tmp_path / f"1{suffix}").read_bytes()
    if suffix == ".tiff":  # its header lies behind the pixels: damage those instead
        with Image.open(tmp_path / "1.tiff") as image:
            image.save(tmp_path / "1.tiff", compression="tiff_deflate")
        data = (tmp_path / "1.tiff").read_bytes()
        (tmp_path / "1.tiff").write_bytes(data[:20] + bytes(4000) + data[4020:])
    else:
        (tmp_path / f"1{suffix}").write_bytes(data[: len(data) // 2])
    # WebP's header holds its whole length: it is refused on opening, the others when read.
    with pytest.raises(UnreadableVideoError, match=f"1{suffix}.*damaged"):
        look_at_all(tmp_path)


def png_of_size(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(9000, 9000), (10_000, 10_000), (60_000, 60_000)])
def test_a_picture_bomb_is_refused_from_its_header(size: tuple[int, int], tmp_path: Path) -> None:
    # Below Pillow's own limit, between its warning and its error, and beyond.
    (tmp_path / "bomb.png").write_bytes(png_of_size(*size))
    message = refusal(tmp_path)
    assert "bomb.png" in message
    assert "million pixels" in message


def test_pictures_that_change_or_go_after_opening_are_reported(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png", number)
    with open_video(tmp_path) as video:
        Image.new("RGB", (10, 10)).save(tmp_path / "1.png")
        (tmp_path / "2.png").unlink()
        with pytest.raises(UnreadableVideoError, match=r"1\.png.*10 x 10"):
            video[1]
        with pytest.raises(UnreadableVideoError, match=r"2\.png.*gone"):
            video[2]
        assert read_number(video[0]) == 0


def test_a_broken_exif_note_does_not_spoil_the_picture(tmp_path: Path) -> None:
    broken = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(range(40))
    save(tmp_path / "1.jpg", 5, exif=broken, quality=95)
    assert read_number(only_frame(tmp_path)) == 5


def test_a_stack_is_refused_and_a_smaller_copy_passed_over(tmp_path: Path) -> None:
    pages = [Image.fromarray(GREY), Image.fromarray(GREY[::-1])]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(UnreadableVideoError, match="it holds several pictures"):
        open_video(tmp_path)
    copy = pages[0].resize((8, 8))
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=[copy])
    assert (only_frame(tmp_path) == GREY[:, :, None]).all()


def test_pictures_of_another_kind_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableVideoError, match="there is no picture"):
        open_video(tmp_path)
    (tmp_path / "0001.exr").write_bytes(b"v/1")
    with pytest.raises(UnreadableVideoError, match=r"a kind that can be read.*“0001.exr”"):
        open_video(tmp_path)
