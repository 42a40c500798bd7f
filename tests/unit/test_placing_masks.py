"""Which frame a mask file belongs to: names, numbers in names, and where each guess ends."""

import random
import shutil
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from interaction.annotation.annotation import Annotation
from interaction.annotation.mask_files import davis_palette
from interaction.annotation.mask_folders import place_masks
from interaction.errors import UserError
from interaction.formats.import_plan import preview_import
from interaction.formats.mask_set import Surroundings, place_files, place_listed
from interaction.video.video import open_video
from resources import sample_folder
from tests.unit.mask_scenes import open_frames, run_import, scene
from tests.unit.video_samples import write_numbered

COUNT = 40
VIDEO = [f"{frame:07d}" for frame in range(COUNT)]
PICTURES = [f"shot_{frame:04d}" for frame in range(COUNT)]
PLATES = [f"plate.{frame + 1001}" for frame in range(COUNT)]  # no number of masks is like these
PATTERNS = [
    "{:d}",
    "{:05d}",
    "frame_{:06d}",
    "frame{:d}",
    "mask-{:03d}",
    "{:04d}_mask",
    "bear 2 ({:d})",
    "clip_1080p_{:05d}",
    "GX010042_{:06d}",
    "shot_{:04d}",
    "shot_{:04d}_mask",
    "aachen_000000_{:06d}_gtFine",
    "shot010_v2_{:04d}",
    "frame_{:04d}_F5FG45aDg5",
    "{:05d}_obj1",
    "2024-05-01_{:04d}",
    "frame {:d} of 90",
]
# Numbers that are no count of the video: in each part of it anew, or of sixteen digits.
SPLIT = ["seq{:d}_{:d}", "part{:d}_{:04d}", "pt-{:02d}-{:03d}", "chunk {:d} frame {:d}"]
UNNAMED_SPLIT = ["{:d}_{:d}", "s{:02d}e{:02d}", "take{:d}_{:04d}", "{:d}-{:03d}_mask"]
HEXADECIMAL = ["{:x}", "{:04x}", "frame_{:06x}", "f{:04x}", "0x{:x}", "m-{:03x}_mask"]
TAILS = ["", "hash", "rf", "uuid", "short", "decimal"]


def tail(kind: str, rng: random.Random) -> str:
    """What upload services hang on names; it may end in digits that look like a frame's."""
    digits = "".join(rng.choice("0123456789abcdef") for _ in range(31)) + str(rng.randrange(10))
    identifier = (
        f"{rng.getrandbits(32) | 10:08x}-{'-'.join(['4a1b'] * 3)}-{rng.getrandbits(44):012x}"
    )
    return {
        "": "",
        "hash": f"_{digits}",
        "rf": f"_png.rf.{digits}",
        "uuid": f"-{identifier}",
        "short": f"-{rng.getrandbits(24):06x}",
        "decimal": f"-{rng.randrange(10 ** rng.randrange(1, 7)):0{rng.randrange(1, 7)}d}",
    }[kind]


def placed(files: dict[Path, int], names: list[str]) -> tuple[set[int], str | None] | None:
    """How far from the right frames `files` are put, and what is said; None for a question."""
    try:
        found = place_files(list(files), Surroundings(names, 8, 8, "clip"))
    except UserError:
        return None
    return {frame - files[path] for frame, path in found.by_frame.items()}, found.remark


SUBSETS = st.sets(st.integers(0, COUNT - 1), min_size=1)


@settings(max_examples=300, deadline=None)
@given(
    pattern=st.sampled_from(PATTERNS),
    kind=st.sampled_from(TAILS),
    subset=SUBSETS,
    first=st.integers(0, 1),
    names=st.sampled_from((VIDEO, PICTURES, PLATES)),
    seed=st.integers(0, 2**16),
)
def test_a_mask_is_put_on_its_frame_or_the_numbering_is_shown_or_asked(
    pattern: str, kind: str, subset: set[int], first: int, names: list[str], seed: int
) -> None:
    rng = random.Random(seed)
    files = {
        Path("m") / f"{pattern.format(frame + first)}{tail(kind, rng)}.png": frame
        for frame in sorted(subset)
    }
    if (found := placed(files, names)) is None:
        assert kind != ""  # names without a tail are never a question here
        return
    shifts, remark = found
    if any(name in path.stem for path in files for name in names):
        assert shifts <= {0, first}  # called as a frame is
    elif shifts != {0}:
        assert remark is not None
        assert len(files) == 1 or (first == 1 and shifts == {1} and COUNT - 1 not in subset)
    elif first == 1:
        assert remark is not None


@settings(max_examples=300, deadline=None)
@given(
    pattern=st.sampled_from([*SPLIT, *UNNAMED_SPLIT, *HEXADECIMAL]),
    kind=st.sampled_from(TAILS),
    size=st.integers(3, COUNT),
    subset=SUBSETS,
    first=st.integers(0, 1),
    names=st.sampled_from((VIDEO, PICTURES, PLATES)),
    seed=st.integers(0, 2**16),
)
def test_numbers_that_are_no_count_of_the_video_are_never_taken_for_one_in_silence(
    pattern: str, kind: str, size: int, subset: set[int], first: int, names: list[str], seed: int
) -> None:
    rng = random.Random(seed)
    files = {}
    for frame in sorted(subset):
        part, number = divmod(frame, size)
        counters = (frame,) if "x}" in pattern else (part + 1, number + first)
        files[Path("m") / f"{pattern.format(*counters)}{tail(kind, rng)}.png"] = frame
    if pattern in HEXADECIMAL:  # without a letter they are the very names of other frames
        assume(any(not f"{frame:x}".isdecimal() for frame in subset))
    if (found := placed(files, names)) is None:
        return
    shifts, remark = found
    has_digit = any(letter.isdigit() for path in files for letter in path.stem)
    assert shifts == {0} or remark is not None or (len(files) == 1 and not has_digit)
    if pattern in SPLIT and len(files) > 1:
        assert shifts == {0}


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(["hash", "uuid", "short"]),
    count=st.integers(2, 12),
    seed=st.integers(0, 2**16),
)
def test_hashes_alone_tell_no_frame(kind: str, count: int, seed: int) -> None:
    rng = random.Random(seed)
    files = {Path(f"name{tail(kind, rng)}.png"): 0 for _ in range(count)}
    assert placed(files, VIDEO) is None


@pytest.mark.parametrize(
    ("stems", "reason"),
    [
        (["part1_0005", "part2_0010"], "anew in each part"),
        (["seq2_3", "seq2_4"], "anew in each part"),
        (["partA_0005", "partB_0010"], "anew in each part"),
        ([f"{n:04x}" for n in range(0x10, 0x1B)], "hexadecimal"),
        (["12a", "13a"], "hexadecimal"),
        (["mask1_00012", "mask2_00013"], "two numbers"),
        (["00050_3", "00060_7"], "two numbers"),
        (["cam1_0005", "cam2_0006"], "two numbers"),
    ],
)
def test_numbers_without_evidence_are_a_question(stems: list[str], reason: str) -> None:
    around = Surroundings(VIDEO, 8, 8, "clip")
    with pytest.raises(UserError, match=reason):
        place_files([Path(f"{stem}.png") for stem in stems], around)


def test_a_part_that_is_the_video_or_leaves_no_frame_out_counts_its_frames() -> None:
    files = [Path(f"part2_{frame:04d}.png") for frame in (3, 9)]
    assert list(place_files(files, Surroundings(VIDEO, 8, 8, "walk part2")).by_frame) == [3, 9]
    files = [Path(f"part{frame // 9}_{frame:04d}.png") for frame in range(COUNT)]
    found = place_files(files, Surroundings(VIDEO, 8, 8, "clip"))
    assert list(found.by_frame.values()) == files
    assert found.remark is None


@pytest.mark.parametrize(
    ("stem", "frame"),
    [
        ("shot_0009_mask", 9),
        ("bear_0005", 5),
        ("mask-5", 5),
        ("00005", 5),
        ("frame 5 of 2", 5),
        ("mask (2)", 7),  # a file that was downloaded twice
        ("bear2", 7),
        ("name-8f3a21", 7),
        ("IMG_1234", 7),
        ("seq2_0003", 7),
        ("001a", 7),
        ("mask", 7),
    ],
)
def test_a_mask_alone_is_on_the_frame_that_it_names_else_on_the_shown_one(
    stem: str, frame: int
) -> None:
    around = Surroundings(PICTURES, 8, 8, "clip", shown=7)
    found = place_files([Path(f"{stem}.png")], around)
    assert list(found.by_frame) == [frame]
    assert (found.remark is None) == (stem in ("shot_0009_mask", "mask"))


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_known_first_number_settles_the_count(pattern: str, first: int) -> None:
    files = {Path(f"{pattern.format(frame + first)}.png"): frame for frame in (3, 9, 20)}
    found = place_masks(list(files), VIDEO, first_number=first)
    assert {path: frame for frame, path in found.by_frame.items()} == files
    assert found.remark is None


@pytest.mark.parametrize("stem", ["20240115_{:06d}", "cam1_2024-01-15_{:06d}", "20240115T{:06d}_m"])
def test_six_digits_after_a_date_are_a_number_where_they_cannot_be_times(stem: str) -> None:
    video = [f"{frame:07d}" for frame in range(200)]
    for numbers in (range(100), range(50, 170), range(0, 200, 3)):
        files = {Path(f"{stem.format(number)}.png"): number for number in numbers}
        found = place_masks(list(files), video)
        assert {path: frame for frame, path in found.by_frame.items()} == files
    every = [Path(f"{stem.format(number)}.png") for number in range(COUNT)]
    assert list(place_masks(every, VIDEO).by_frame.values()) == every  # of each frame


def test_six_digits_after_a_date_that_may_be_times_are_a_question_that_a_first_number_settles() -> (
    None
):
    files = [Path(f"20240115_{number:06d}.png") for number in (3, 9, 20)]
    with pytest.raises(UserError, match="times of day"):
        place_masks(files, VIDEO)
    for first in (0, 1):
        found = place_masks(files, VIDEO, first_number=first)
        assert list(found.by_frame) == [3 - first, 9 - first, 20 - first]
    times = [f"20240115_1432{second:02d}" for second in (5, 7, 30)]
    assert not place_masks([Path(f"{time}.png") for time in times], VIDEO).by_frame
    for first_number in (None, 0):  # the number after a time decides
        files = [Path(f"{time}_{number:04d}.png") for number, time in enumerate(times)]
        found = place_masks(files, VIDEO, first_number=first_number)
        assert list(found.by_frame.values()) == files


@pytest.mark.parametrize(
    ("files", "names", "expected"),
    [
        (["frame_000002_png.rf.07c1e2a45.jpg"], ["frame_000002", "frame_000005"], [0]),
        (["a1b2c3d4-shot_0007.png", "ffffff00-shot_0009.png"], PICTURES, [7, 9]),
        (["shot_0007.png.json", "shot_0008.jpg.json"], PICTURES, [7, 8]),
        (["7.mp4_00003.png", "7.mp4_00004.png"], VIDEO, [3, 4]),
        (["cam1_0005.png", "cam1_0006.png"], VIDEO, [5, 6]),
        (["frame2_take000031.png"], VIDEO, [2]),
        (["frame_0012_F5FG4561aDg5.png"], VIDEO, [12]),
        (["mask_1_00012.png"], VIDEO, [12]),
        (["xAp9Z-12.png", "Q77kL-13.png"], VIDEO, [12, 13]),
        (["12-xAp9Z5.png", "13-Q77kL8.png"], VIDEO, [12, 13]),
    ],
)
def test_the_number_that_all_names_share_a_place_for_decides(
    files: list[str], names: list[str], expected: list[int]
) -> None:
    found = place_masks([Path(name) for name in files], names)
    assert {path.name: frame for frame, path in found.by_frame.items()} == dict(
        zip(files, expected, strict=True)
    )


@pytest.mark.parametrize(
    "stems",
    [
        [f"{n}_{n + 3}" for n in range(5)],
        ["shot010_v2_0002"],
        ["sh010_3_v003"],
    ],
)
def test_two_numbers_that_could_both_be_the_frame_are_a_question(stems: list[str]) -> None:
    with pytest.raises(UserError, match="two numbers"):
        place_masks([Path(f"{stem}.png") for stem in stems], VIDEO)


def test_a_list_of_several_videos_is_read_for_the_one_that_is_open() -> None:
    files = [Path(f"{video}_{n:04d}.jpg") for video in ("shot", "other") for n in range(5)]
    around = Surroundings(PICTURES, 8, 8, "clip")
    assert list(place_listed(files, around).by_frame) == [0, 1, 2, 3, 4]
    below = [Path(video) / f"{n:04d}.jpg" for video in ("clip", "other") for n in range(5)]
    found = place_listed(below, Surroundings(VIDEO, 8, 8, "clip"))
    assert {path.parent.name for path in found.by_frame.values()} == {"clip"}
    longer = [Path(f"shot_{n:04d}.jpg") for n in range(2 * COUNT)]
    with pytest.raises(UserError, match="Only 40 of 80"):
        place_listed(longer, around)


def test_masks_made_without_the_rotation_of_a_picture_are_turned(tmp_path: Path) -> None:
    """As programs make them that do not look at the camera's note."""
    for orientation in range(1, 9):
        folder = tmp_path / f"turned{orientation}"
        folder.mkdir()
        stored = np.random.default_rng(0).integers(0, 256, (24, 40, 3)).astype(np.uint8)
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(stored).save(folder / "00000.png", exif=exif)
        labels = (stored[:, :, 0] > 128).astype(np.uint8)
        masks = tmp_path / f"masks{orientation}"
        masks.mkdir()
        Image.fromarray(labels).save(masks / "00000.png")
        with open_video(folder) as video:
            back, preview = run_import(masks, video)
            expected = (video[0][:, :, 0] > 128).astype(np.uint8)
        if orientation < 5:  # the same sides: nothing shows whether it was turned
            assert preview.turns == {}
            assert any("turned or mirrored" in line for line in preview.lines()) == (
                orientation > 1
            )
        else:
            np.testing.assert_array_equal(back.labels(0), expected)
            assert any("rotation" in line for line in preview.lines())


def test_masks_of_another_shape_are_refused_with_both_sizes(tmp_path: Path) -> None:
    with open_frames(tmp_path / "v", 2, 40, 24) as video:
        for name, (width, height) in {"turned": (24, 40), "square": (40, 40)}.items():
            (tmp_path / name).mkdir()
            Image.fromarray(scene(width, height)).save(tmp_path / name / "00000.png")
            with pytest.raises(UserError, match=f"{width} × {height}.*40 × 24"):
                preview_import(tmp_path / name, video, Annotation(2, 40, 24))
        (tmp_path / "rounded").mkdir()
        Image.fromarray(scene(53, 32)).save(tmp_path / "rounded" / "00000.png")
        assert preview_import(tmp_path / "rounded", video, Annotation(2, 40, 24)).frames == (0,)


def test_masks_of_the_stored_size_follow_pixels_that_are_not_square(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "wide.mp4", 3, pixel_aspect=Fraction(2))
    with open_video(path) as video:
        width, height = video.stored_size()
        assert (video.width, video.height) == (2 * width, height)
        (tmp_path / "m").mkdir()
        Image.fromarray(scene(width, height)).save(tmp_path / "m" / "0000000.png")
        back, _ = run_import(tmp_path / "m", video)
        assert (back.labels(0)[:, ::2] == scene(width, height)).mean() > 0.99


def labels_of(folder: Path, video: Any) -> tuple[Any, Any]:
    back, preview = run_import(folder, video)
    shutil.rmtree(folder)
    return back, preview


@pytest.mark.parametrize(
    ("ids", "kind", "suffix"),
    [
        ((300, 301), np.uint16, "png"),
        ((1, 300), np.uint16, "png"),
        ((5, 1005), np.uint16, "png"),
        ((65_000, 65_535), np.uint16, "png"),
        ((70_000, 1_000_000), np.int32, "tif"),
        ((2, 70_000), np.float32, "tif"),
    ],
)
def test_ids_beyond_255_are_numbered_anew_and_named(
    ids: tuple[int, int], kind: Any, suffix: str, tmp_path: Path
) -> None:
    with open_frames(tmp_path / "v", 2, 96, 72) as video:
        (tmp_path / "m").mkdir()
        labels = np.array([0, *ids])[scene(96, 72)].astype(kind)
        labels[5, 5] = ids[0]  # a single pixel is an object's too
        Image.fromarray(labels).save(tmp_path / "m" / f"00001.{suffix}")
        back, preview = run_import(tmp_path / "m", video)
        assert [(one.id, one.name) for one in back.objects] == [(1, str(ids[0])), (2, str(ids[1]))]
        np.testing.assert_array_equal(back.labels(1), np.searchsorted([0, *ids], labels))
        assert any("old number" in line for line in preview.lines())


@pytest.mark.parametrize(("kind", "white"), [(np.uint8, 255), (np.uint16, 65_535)])
def test_a_soft_matte_stays_one_object_at_every_depth(
    kind: Any, white: int, tmp_path: Path
) -> None:
    rows, columns = np.mgrid[:72, :96]
    soft = np.clip(20 - np.hypot(columns - 48, rows - 36), 0, 6) / 6
    with open_frames(tmp_path / "v", 2, 96, 72) as video:
        (tmp_path / "m").mkdir()
        grey = (soft * white).astype(kind)
        Image.fromarray(grey).save(tmp_path / "m" / "00000.png")
        back, _ = run_import(tmp_path / "m", video)
        assert len(back.objects) == 1
        np.testing.assert_array_equal(back.labels(0) > 0, grey > white // 2)


def test_255_beside_other_ids_is_void_unless_it_is_an_object(tmp_path: Path) -> None:
    with open_frames(tmp_path / "v", 1, 96, 72) as video:
        for values, expected in {
            (1, 255): {1},
            (15, 255): {15},
            (128, 255): {128, 255},  # grey levels, one for each object
            (254, 255): {254, 255},
        }.items():
            folder = tmp_path / "m"
            folder.mkdir()
            labels = np.array([0, *values], np.uint8)[scene(96, 72)]
            Image.fromarray(labels).save(folder / "00000.png")
            back, preview = labels_of(folder, video)
            assert {one.id for one in back.objects} == expected
            assert any("void" in line for line in preview.lines()) == (255 not in expected)


def landscape() -> Any:
    """(96, 144) uint8 greys like a photograph's: smooth, with grain, and squares of one value."""
    random = np.random.default_rng(2)
    coarse = random.integers(20, 235, (6, 8)).astype(np.float32)
    smooth = cv2.resize(coarse, (144, 96), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    smooth[:, :72] += random.normal(0, 2, (96, 72))
    return smooth.clip(1, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(landscape()),
        Image.fromarray(landscape() // 8 + 120),
        Image.fromarray(landscape().astype(np.uint16) * 16),
        Image.fromarray(landscape().astype(np.int32) * 3 + 800),
        Image.fromarray(np.repeat(landscape()[:, :, None], 3, axis=2)).quantize(200),
    ],
    ids=["grey", "pale", "12 bits", "depth", "palette"],
)
def test_grey_photographs_are_no_objects(picture: Image.Image, tmp_path: Path) -> None:
    with open_frames(tmp_path / "v", 2, 144, 96) as video:
        (tmp_path / "m").mkdir()
        picture.save(tmp_path / "m" / f"00000.{'tif' if picture.mode[0] == 'I' else 'png'}")
        with pytest.raises(UserError, match="it is a photograph"):
            run_import(tmp_path / "m", video)


@cache
def photograph(width: int, frame: int = 20) -> Image.Image:
    """A frame of the bundled sample; not to be written to."""
    path = next(iter(sample_folder().glob("*.mp4")))
    with open_video(path) as video:
        picture = Image.fromarray(video[frame])
    return picture.resize((width, width * 9 // 16), Image.Resampling.LANCZOS)


def posterised(picture: Image.Image, bits: int) -> Image.Image:
    return ImageOps.posterize(picture, bits)


@pytest.mark.parametrize("width", [160, 480])
@pytest.mark.parametrize(
    "reduced",
    [
        lambda one: posterised(one.convert("L"), 2),
        lambda one: posterised(one.convert("L"), 3),
        lambda one: posterised(one.convert("L"), 4),
        lambda one: Image.fromarray(np.asarray(one.convert("L")) // 32 + 1),  # as ids 1 to 8
        lambda one: posterised(one, 1),
        lambda one: posterised(one, 2),
        lambda one: one.quantize(5),
        lambda one: one.quantize(8, dither=Image.Dither.NONE),
        lambda one: one.quantize(16),
        lambda one: one.convert("P", palette=Image.Palette.ADAPTIVE, colors=16),
        lambda one: one.convert("P"),  # dithered to the web's 216 colours
        lambda one: one.quantize(64),
        lambda one: posterised(
            one.filter(ImageFilter.GaussianBlur(one.width / 160)).convert("L"), 4
        ),
    ],
    ids=lambda one: None,
)
def test_photographs_of_few_colours_are_no_objects(
    reduced: Callable[[Image.Image], Image.Image], width: int, tmp_path: Path
) -> None:
    pictures = [reduced(photograph(width, frame)) for frame in (20, 60)]
    with open_frames(tmp_path / "v", 2, *pictures[0].size) as video:
        (tmp_path / "m").mkdir()
        for frame, picture in enumerate(pictures):
            picture.save(tmp_path / "m" / f"{frame:05d}.png")
        with pytest.raises(UserError, match="it is a photograph"):
            run_import(tmp_path / "m", video)


RANDOM = np.random.default_rng(5)


def dots(values: Any, count: int, radius: int, size: tuple[int, int] = (180, 320)) -> Any:
    """Discs anywhere, of these values in turn; later ones lie on earlier ones."""
    labels = np.zeros(size, np.int32)
    for number in range(count):
        place = (int(RANDOM.integers(size[1])), int(RANDOM.integers(size[0])))
        cv2.circle(labels, place, radius, int(values[number % len(values)]), -1)
    return labels


def cells(count: int, gap: float, size: tuple[int, int] = (180, 320)) -> Any:
    """What is nearest to one of `count` points; within `gap` of a border is background."""
    points = RANDOM.uniform(0, 1, (count, 2)) * size
    rows, columns = np.mgrid[: size[0], : size[1]]
    far = np.hypot(rows[..., None] - points[:, 0], columns[..., None] - points[:, 1])
    two = np.partition(far, 1, axis=2)
    return np.where(two[..., 1] - two[..., 0] < gap, 0, far.argmin(axis=2) + 1)


def classes(count: int, detail_px: float, size: tuple[int, int] = (180, 320)) -> Any:
    """Every pixel of one of `count` classes, in regions of about this detail."""
    fields = [cv2.GaussianBlur(RANDOM.normal(size=size), (0, 0), detail_px) for _ in range(count)]
    return np.argmax(fields, axis=0)


def with_specks(count: int, size: tuple[int, int]) -> Any:
    """Five large objects, and squares of one or two pixels anywhere of any of them."""
    labels = dots(range(1, 6), 5, size[0] // 5, size)
    for _ in range(count):
        row, column = RANDOM.integers(size[0]), RANDOM.integers(size[1])
        width = RANDOM.integers(1, 3)
        labels[row : row + width, column : column + width] = RANDOM.integers(6)
    return labels


@pytest.mark.parametrize(
    "labels",
    [
        cells(250, 0),
        cells(250, 1.5),
        cells(60, 3),
        cells(200, 1, (90, 160)),
        dots(range(1, 251), 250, 3),
        dots(range(1, 251), 250, 1),
        dots((1, 2, 3, 4, 5), 500, 3),  # kinds of cells
        dots((1, 2, 3, 4, 5), 500, 1),
        dots((1, 1, 1, 1, 2, 3, 4), 800, 2),
        with_specks(100, (180, 320)),  # as networks leave them
        with_specks(100, (480, 640)),
        with_specks(1000, (480, 640)),
        classes(5, 4),
        classes(19, 8),
        classes(19, 4),
        classes(150, 6),
        1 + np.add.outer(np.arange(180) // 12 * 16, np.arange(320) // 20),  # ids in rows
        np.repeat([np.arange(320) // 10], 180, axis=0),  # side by side, in order
    ],
    ids=lambda one: None,
)
@pytest.mark.parametrize("kind", ["grey", "palette", "colours"])
def test_pictures_of_many_small_regions_are_objects(labels: Any, kind: str, tmp_path: Path) -> None:
    grey = Image.fromarray(labels.astype(np.uint8))
    palette = np.random.default_rng(3).permutation(davis_palette()[1:])
    palette = np.concatenate([[(0, 0, 0)], palette]).astype(np.uint8)
    image = grey.copy()
    if kind != "grey":
        image.putpalette(palette.tobytes())
    if kind == "colours":
        image = image.convert("RGB")
    with open_frames(tmp_path / "v", 2, *image.size) as video:
        (tmp_path / "m").mkdir()
        image.save(tmp_path / "m" / "00001.png")
        back, _ = run_import(tmp_path / "m", video)
        found = back.labels(1)
        if kind == "colours":  # ids are given anew, and dots of five pixels taken for smooth edges
            one_each = np.unique(labels[found > 0] * 1000 + found[found > 0])
            assert len(one_each) >= len(back.objects) > 0
        else:
            np.testing.assert_array_equal(found, labels)


def test_a_wide_soft_edge_is_a_matte_and_crowded_ids_stay_ids(tmp_path: Path) -> None:
    with open_frames(tmp_path / "v", 2, 300, 200) as video:
        rows, columns = np.mgrid[:200, :300]
        soft = np.clip(600 - 6 * np.hypot(columns - 150, rows - 100), 0, 255).astype(np.uint8)
        ids = (1 + rows // 20 * 15 + columns // 20).astype(np.uint8)
        for name, pixels, count in (("matte", soft, 1), ("ids", ids, 150)):
            (tmp_path / name).mkdir()
            Image.fromarray(pixels).save(tmp_path / name / "00000.png")
            back, _ = run_import(tmp_path / name, video)
            assert len(back.objects) == count
            expected = soft >= 128 if name == "matte" else ids
            np.testing.assert_array_equal(back.labels(0), expected)


@pytest.mark.parametrize("pictures", ["images", "anything"])
def test_photographs_beside_masks_are_no_objects(pictures: str, tmp_path: Path) -> None:
    with open_frames(tmp_path / "v", 3, 96, 72) as video:
        data = tmp_path / "data"
        shutil.copytree(video.path, data / pictures)
        (data / "labels_png").mkdir()
        for frame in range(3):
            Image.fromarray(scene(96, 72)).save(data / "labels_png" / f"{frame:05d}.png")
        back, _ = run_import(data, video)
        assert [one.id for one in back.objects] == [1, 2]
        np.testing.assert_array_equal(back.labels(2), scene(96, 72))
        (data / "colours").mkdir()
        Image.fromarray((scene(96, 72) > 0).astype(np.uint8) * 255).save(
            data / "colours" / "00000.png"
        )
        with pytest.raises(UserError, match="Choose one of them"):
            run_import(data, video)


def test_objects_are_taken_before_classes_in_the_folders_of_data_sets(tmp_path: Path) -> None:
    with open_frames(tmp_path / "v", 1, 96, 72) as video:
        palette = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 0)], np.uint8)
        for objects, classes in (
            ("SegmentationObject", "SegmentationClass"),
            ("masks_machine", "masks_human"),
        ):
            data = tmp_path / objects
            for name in ("JPEGImages", objects, classes):
                (data / name).mkdir(parents=True)
            Image.fromarray(video[0]).save(data / "JPEGImages" / "00000.jpg")
            Image.fromarray(palette[scene(96, 72)]).save(data / objects / "00000.png")
            one = palette[(scene(96, 72) > 0).astype(np.uint8)]
            Image.fromarray(one).save(data / classes / "00000.png")
            back, _ = run_import(data, video)
            np.testing.assert_array_equal(back.labels(0), scene(96, 72))
            shutil.rmtree(data / objects)
            (data / "labelmap.txt").write_text("# label:color:parts:actions\ncar:128,0,0::\n")
            if objects == "SegmentationObject":
                assert [one.name for one in run_import(data, video)[0].objects] == ["car"]


def test_a_label_stack_has_a_page_for_each_frame(tmp_path: Path) -> None:
    with open_frames(tmp_path / "v", 3, 96, 72) as video:
        pages = [Image.fromarray(scene(96, 72, n).astype(np.uint16) * 400) for n in range(3)]
        pages[0].save(tmp_path / "labels.tif", save_all=True, append_images=pages[1:])
        back, _ = run_import(tmp_path / "labels.tif", video)
        assert [one.name for one in back.objects] == ["400", "800"]
        np.testing.assert_array_equal(back.labels(2), scene(96, 72, 2))
        pages[0].save(tmp_path / "short.tif", save_all=True, append_images=pages[1:2])
        with pytest.raises(UserError, match="holds 2 pictures, and the video has 3"):
            run_import(tmp_path / "short.tif", video)
