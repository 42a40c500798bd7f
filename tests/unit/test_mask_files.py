"""Masks survive being saved, and masks from elsewhere are read as meant or refused in words."""

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from interaction.annotation.mask_files import (
    davis_palette,
    decode_labels,
    encode_labels,
    learn_reading,
    read_mask,
    read_masks,
)
from interaction.annotation.mask_folders import find_masks
from interaction.errors import UnreadableMaskError, UserError

SIZE = (4, 3)  # width, height


def grey(
    values: Sequence[Sequence[int]] | NDArray[np.generic], dtype: str = "uint8"
) -> Image.Image:
    return Image.fromarray(np.asarray(values, dtype=dtype))


def flat(*colors: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    """A SIZE picture, its first pixels in `colors`, the rest black and solid."""
    rest = (0, 0, 0, 255)[: len(mode)]
    image = Image.new(mode, SIZE, rest)
    image.putdata([*colors, *[rest] * (SIZE[0] * SIZE[1] - len(colors))])
    return image


@given(
    hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
        elements=st.integers(0, 255),
    )
)
def test_encode_then_decode_gives_the_same_labels(labels: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(decode_labels(encode_labels(labels)), labels)


def test_an_encoded_mask_is_a_palette_png_in_davis_colours() -> None:
    labels = np.array([[0, 1, 2], [3, 20, 255]], dtype=np.uint8)
    with Image.open(io.BytesIO(encode_labels(labels))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "P", (3, 2))
        colors = np.asarray(image.convert("RGB"))
    published = [
        [[0, 0, 0], [128, 0, 0], [0, 128, 0]],
        [[128, 128, 0], [0, 64, 128], [224, 224, 192]],
    ]
    np.testing.assert_array_equal(colors, published)


def test_the_palette_has_no_colour_twice() -> None:
    assert len({tuple(color) for color in davis_palette().tolist()}) == 256


def test_decoded_labels_can_be_painted_on() -> None:
    labels = decode_labels(encode_labels(np.zeros((2, 2), dtype=np.uint8)))
    labels[0, 0] = 7
    assert labels[0, 0] == 7


@pytest.mark.parametrize(
    "labels",
    [np.zeros((2, 2), dtype=np.int64), np.zeros((2, 2, 3), dtype=np.uint8), np.zeros((0, 2), "u1")],
)
def test_labels_of_the_wrong_kind_are_refused(labels: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="labels must be uint8"):
        encode_labels(labels)


def test_a_255_of_our_own_is_not_taken_for_a_binary_mask() -> None:
    labels = np.array([[0, 255]], dtype=np.uint8)
    np.testing.assert_array_equal(decode_labels(encode_labels(labels)), labels)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(data=st.data())
def test_damaged_bytes_give_labels_or_an_error_that_names_the_file(data: st.DataObject) -> None:
    sound = encode_labels(np.arange(12, dtype=np.uint8).reshape(3, 4))
    damaged = bytearray(sound[: data.draw(st.integers(0, len(sound)))])
    for position in data.draw(st.lists(st.integers(0, len(sound) - 1), max_size=4)):
        if position < len(damaged):
            damaged[position] ^= data.draw(st.integers(1, 255))
    try:
        labels = decode_labels(bytes(damaged), Path("0000007.png"))
    except UnreadableMaskError as error:
        assert "0000007.png" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert labels.dtype == np.uint8
        assert labels.ndim == 2


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_palette_and_grey_values_are_ids(suffix: str, tmp_path: Path) -> None:
    values = np.array([[0, 1, 2, 3], [9, 200, 254, 255], [0, 0, 0, 0]], dtype=np.uint8)
    picture = grey(values)
    picture.save(tmp_path / f"grey{suffix}")
    picture.putpalette(bytes(range(256)) * 3)
    picture.save(tmp_path / f"palette{suffix}")
    for name in ("grey", "palette"):
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}{suffix}", *SIZE), values)


def test_one_bit_and_sixteen_bit_masks_are_ids_too(tmp_path: Path) -> None:
    values = [[0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]]
    grey(values, "uint16").save(tmp_path / "deep.png")
    grey(np.array(values) * 255).convert("1").save(tmp_path / "flat.png")
    for name in ("deep.png", "flat.png"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, *SIZE), values)


def test_transparent_pixels_are_background(tmp_path: Path) -> None:
    flat((255, 255, 255, 255), (255, 255, 255, 0), (9, 9, 9, 127), mode="RGBA").save(
        tmp_path / "m.png"
    )
    labels = read_mask(tmp_path / "m.png", *SIZE)
    assert labels.ravel().tolist() == [1] + [0] * 11

    grey_alpha = Image.merge("LA", [grey(np.full((3, 4), 5)), grey(np.eye(3, 4) * 255)])
    grey_alpha.save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "la.png", *SIZE), np.eye(3, 4) * 5)


def test_a_mask_of_0_and_255_alone_is_object_1(tmp_path: Path) -> None:
    grey([[0, 255, 255, 0]] * 3).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", *SIZE), [[0, 1, 1, 0]] * 3)


def test_255_is_judged_over_the_whole_set(tmp_path: Path) -> None:
    grey([[0, 255, 0, 0]] * 3).save(tmp_path / "0.png")
    grey([[0, 255, 3, 0]] * 3).save(tmp_path / "1.png")
    paths = {0: tmp_path / "0.png", 1: tmp_path / "1.png"}
    labels = dict(read_masks(paths, *SIZE))
    assert labels[0][0].tolist() == [0, 255, 0, 0]
    assert labels[1][0].tolist() == [0, 255, 3, 0]


@pytest.mark.parametrize("filled", [0, 1])
def test_a_set_is_binary_whichever_mask_holds_the_255(filled: int, tmp_path: Path) -> None:
    grey([[0, 0, 0, 0]] * 3).save(tmp_path / f"{1 - filled}.png")
    grey([[0, 255, 0, 0]] * 3).save(tmp_path / f"{filled}.png")
    labels = dict(read_masks({0: tmp_path / "0.png", 1: tmp_path / "1.png"}, *SIZE))
    assert not labels[1 - filled].any()
    assert labels[filled][0].tolist() == [0, 1, 0, 0]


def test_davis_colours_are_their_ids(tmp_path: Path) -> None:
    flat((128, 128, 0), (128, 0, 0), (224, 224, 192)).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png", *SIZE).ravel().tolist()[:4] == [3, 1, 255, 0]


def test_colours_mean_the_same_object_in_every_file(tmp_path: Path) -> None:
    red, green, pink, davis_2 = (255, 0, 0), (0, 255, 0), (255, 0, 255), (0, 128, 0)
    flat(red, green).save(tmp_path / "0.png")
    flat(pink, davis_2, red).save(tmp_path / "1.png")
    paths = {0: tmp_path / "0.png", 1: tmp_path / "1.png"}
    labels = {frame: mask.ravel().tolist()[:4] for frame, mask in read_masks(paths, *SIZE)}
    # 2 belongs to the palette colour, although it comes last; green is below red when sorted.
    assert labels == {0: [3, 1, 0, 0], 1: [4, 2, 3, 0]}


def test_a_colour_that_was_not_learned_is_refused(tmp_path: Path) -> None:
    flat((255, 0, 0)).save(tmp_path / "0.png")
    flat((1, 2, 3)).save(tmp_path / "1.png")
    reading = learn_reading([tmp_path / "0.png"], *SIZE)
    with pytest.raises(UnreadableMaskError, match="#010203"):
        read_mask(tmp_path / "1.png", *SIZE, reading)


def test_255_colours_are_read_and_256_refused(tmp_path: Path) -> None:
    colors = np.zeros((1, 257, 3), dtype=np.uint8)
    colors[0, :, 0] = np.arange(257) % 256
    colors[0, :, 1] = 1
    Image.fromarray(colors[:, :255]).save(tmp_path / "most.png")
    assert sorted(read_mask(tmp_path / "most.png", 255, 1).ravel()) == list(range(1, 256))
    Image.fromarray(colors[:, :256]).save(tmp_path / "many.png")
    with pytest.raises(UnreadableMaskError, match="256 colours"):
        read_mask(tmp_path / "many.png", 256, 1)


def refused(path: Path, match: str) -> None:
    with pytest.raises(UnreadableMaskError, match=match) as caught:
        read_mask(path, *SIZE)
    assert path.name in str(caught.value)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_pictures_are_refused_whatever_they_are_called(suffix: str, tmp_path: Path) -> None:
    grey(np.zeros((3, 4))).save(tmp_path / f"m{suffix}")
    refused(tmp_path / f"m{suffix}", "does not keep pixel values")
    (tmp_path / f"m{suffix}").rename(tmp_path / "m.png")
    refused(tmp_path / "m.png", "does not keep pixel values")


def test_a_mask_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    grey(np.zeros((5, 6))).save(tmp_path / "m.png")
    refused(tmp_path / "m.png", "6 × 5 pixels and the video is 4 × 3")


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    for side, match in ((9_000, "9000 × 9000"), (12_000, "enormous"), (60_000, "enormous")):
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        (tmp_path / "m.png").write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", b"")
            + chunk(b"IEND", b"")
        )
        refused(tmp_path / "m.png", match)


def test_values_that_are_no_ids_are_refused(tmp_path: Path) -> None:
    grey([[0, 1, 256, 0]] * 3, "uint16").save(tmp_path / "deep.png")
    refused(tmp_path / "deep.png", "value 256")
    grey([[0, -1, 2, 0]] * 3, "int32").save(tmp_path / "negative.tif")
    refused(tmp_path / "negative.tif", "value -1")
    grey(np.array([[0, 0.5, 2, 0]] * 3), "float32").save(tmp_path / "real.tif")
    refused(tmp_path / "real.tif", "of the kind “F”")


def test_what_is_no_single_sound_picture_is_refused(tmp_path: Path) -> None:
    sound = encode_labels(np.arange(12, dtype=np.uint8).reshape(3, 4))
    (tmp_path / "empty.png").write_bytes(b"")
    refused(tmp_path / "empty.png", "not a PNG")
    (tmp_path / "text.png").write_text("not a picture")
    refused(tmp_path / "text.png", "not a PNG")
    (tmp_path / "cut.png").write_bytes(sound[: sound.index(b"IDAT") + 6])
    refused(tmp_path / "cut.png", "damaged or cut off")
    refused(tmp_path / "absent.png", "No such file")
    (tmp_path / "folder.png").mkdir()
    refused(tmp_path / "folder.png", "could not be used")
    first, second = grey(np.zeros((3, 4))), grey(np.ones((3, 4)))
    first.save(tmp_path / "pages.tif", save_all=True, append_images=[second])
    refused(tmp_path / "pages.tif", "several pictures")


def folder_with(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).touch()
    return tmp_path


def placed(folder: Path, frames: Sequence[str]) -> dict[int, str]:
    return {frame: path.name for frame, path in find_masks(folder, frames).by_frame.items()}


VIDEO = [f"{frame:07}" for frame in range(60)]


@pytest.mark.parametrize(
    ("files", "frames", "expected"),
    [
        (["0000003.png", "0000000.PNG"], VIDEO, {0: "0000000.PNG", 3: "0000003.png"}),
        (["00000.png", "00059.png"], VIDEO, {0: "00000.png", 59: "00059.png"}),
        (["frame_12.png"], VIDEO, {12: "frame_12.png"}),
        (["walk.png"], ["run", "walk"], {1: "walk.png"}),
        (["mask_07.png"], ["img_06", "img_07"], {1: "mask_07.png"}),
        (["0.png", "1.png"], ["a", "b"], {0: "0.png", 1: "1.png"}),
        (["a.1.png"], ["a.0", "a.1"], {1: "a.1.png"}),
        (["cafe\u0301.png"], ["caf\u00e9"], {0: "cafe\u0301.png"}),
    ],
)
def test_masks_are_placed_by_name_number_or_index(
    files: list[str], frames: list[str], expected: dict[int, str], tmp_path: Path
) -> None:
    assert placed(folder_with(tmp_path, *files), frames) == expected


def test_masks_counted_from_0_beside_frames_counted_from_1_are_not_shifted(tmp_path: Path) -> None:
    frames = ["00001", "00002", "00003"]
    folder = folder_with(tmp_path, "00000.png", "00001.png", "00002.png")
    assert placed(folder, frames) == {0: "00000.png", 1: "00001.png", 2: "00002.png"}


def test_masks_counted_from_1_like_their_frames_are_not_shifted(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "m1.png", "m2.png", "m3.png")
    assert placed(folder, ["f1", "f2", "f3"]) == {0: "m1.png", 1: "m2.png", 2: "m3.png"}


def test_a_number_that_two_frames_share_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="belongs to a frame"):
        find_masks(folder_with(tmp_path, "m5.png"), ["left_5", "right_5"])


def test_pictures_of_no_frame_are_reported_and_other_files_ignored(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path, "0000000.png", "legend.png", "0000099.png", "._0000001.png", "notes.txt"
    )
    found = find_masks(folder, VIDEO)
    assert {frame: path.name for frame, path in found.by_frame.items()} == {0: "0000000.png"}
    assert [path.name for path in found.unmatched] == ["0000099.png", "legend.png"]


def test_a_preview_beside_exact_names_does_not_count_as_a_second_mask(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "0000000.png", "preview_0.png")
    assert [path.name for path in find_masks(folder, VIDEO).unmatched] == ["preview_0.png"]


def test_jpeg_frames_beside_the_masks_are_not_masks(tmp_path: Path) -> None:
    assert placed(folder_with(tmp_path, "0000000.png", "0000000.jpg"), VIDEO) == {0: "0000000.png"}


def test_jpegs_alone_are_found_so_that_reading_can_refuse_them(tmp_path: Path) -> None:
    assert placed(folder_with(tmp_path, "0000000.jpg"), VIDEO) == {0: "0000000.jpg"}


@pytest.mark.parametrize("files", [("0000001.png", "0000001.bmp"), ("a_1.png", "b_1.png")])
def test_two_masks_of_one_frame_are_an_error(files: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="both masks of frame 0000001"):
        find_masks(folder_with(tmp_path, *files), VIDEO)


def test_nothing_found_says_which_names_are_expected(tmp_path: Path) -> None:
    expected = r"“0000000\.png” to “0000059\.png”"
    with pytest.raises(UserError, match=expected):
        find_masks(tmp_path, VIDEO)
    with pytest.raises(UserError, match=expected):
        find_masks(folder_with(tmp_path, "legend.png", "0000099.png"), VIDEO)
    with pytest.raises(UserError, match="no file or folder"):
        find_masks(tmp_path / "absent", VIDEO)


@pytest.mark.parametrize(
    ("name", "frames", "expected"),
    [
        ("bear_480.png", VIDEO, 0),
        ("mask.png", VIDEO, 0),
        ("00012.png", VIDEO, 12),
        ("frame_12.png", VIDEO, 12),
        ("Frame 12.png", VIDEO, 12),
        ("img_02.png", ["img_01", "img_02"], 1),
        ("00000.png", ["00001", "00002"], 0),
    ],
)
def test_a_single_file_is_the_mask_of_the_frame_it_names_or_of_the_first(
    name: str, frames: list[str], expected: int, tmp_path: Path
) -> None:
    folder_with(tmp_path, name)
    assert placed(tmp_path / name, frames) == {expected: name}


def test_a_single_file_that_names_no_frame_of_the_video_is_an_error(tmp_path: Path) -> None:
    folder_with(tmp_path, "00099.png")
    with pytest.raises(UserError, match="belongs to no frame"):
        find_masks(tmp_path / "00099.png", VIDEO)
