"""Masks from elsewhere: what is recognised, what is promised about the annotation they meet."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from interaction.annotation.annotation import Annotation
from interaction.annotation.history import History
from interaction.annotation.types import EMPTY_RECORD, FrameStatus, ObjectInfo
from interaction.errors import UnreadableMaskError, UserError
from interaction.formats.import_masks import import_masks
from interaction.formats.import_plan import preview_import
from interaction.video.video import Video
from tests.unit.mask_scenes import annotate, disc, open_frames, run_export, run_import, scene
from xmem_core.arrays import Labels

WIDTH, HEIGHT, COUNT = 96, 72, 4
DOG = ObjectInfo(1, "dog", (230, 159, 0))
CAT = ObjectInfo(2, "cat", (86, 180, 233))


@pytest.fixture
def video(tmp_path: Path) -> Any:
    with open_frames(tmp_path / "bear", COUNT, WIDTH, HEIGHT) as video:
        yield video


def save(folder: Path, name: str, pixels: Any, mode: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels))
    (image.convert(mode) if mode else image).save(folder / name)
    return folder


def colored(labels: Labels, *colors: tuple[int, int, int]) -> Any:
    return np.array([(0, 0, 0), *colors], np.uint8)[labels]


def smoothed(pixels: Any, times: int = 4) -> Any:
    """As a paint program draws it: made at four times the size and averaged."""
    large = pixels.repeat(times, axis=0).repeat(times, axis=1)
    blurred = cv2.GaussianBlur(large, (0, 0), times * 0.6)
    return cv2.resize(blurred, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)


# Recognising


def test_antialiased_colours_go_to_the_real_colours_around_them(
    video: Video, tmp_path: Path
) -> None:
    """The mixture of red and blue is the third object's very colour, and must not become it."""
    red, blue, purple = (200, 0, 0), (0, 0, 200), (100, 0, 100)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[10:60, 10:40] = 1
    labels[10:60, 40:70] = 2
    labels[5:20, 78:92] = 3
    picture = smoothed(colored(labels, red, blue, purple))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 8
    back, preview = run_import(save(tmp_path / "m", "00001.png", picture), video)
    assert len(preview.objects) == 3
    assert any("smoothed" in remark.lower() for remark in preview.remarks)
    id_of = {one.color: one.id for one in back.objects}
    expected = np.zeros_like(labels)
    for value, color in enumerate((red, blue, purple), start=1):
        expected[labels == value] = id_of[color]
    assert (back.labels(1) != expected).mean() < 0.004  # corners are rounded by the smoothing
    assert not (back.labels(1)[:, 30:50] == id_of[purple]).any()


def test_antialiased_grey_is_one_object_from_half_white_on(video: Video, tmp_path: Path) -> None:
    mask = disc(WIDTH, HEIGHT, 40, 30, 20)
    grey = smoothed(mask.astype(np.uint8) * 255)
    back, preview = run_import(save(tmp_path / "m", "00000.png", grey), video)
    assert [one.frame_count for one in preview.objects] == [1]
    np.testing.assert_array_equal(back.labels(0) > 0, grey >= 128)


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGB", "RGBA"])
def test_black_and_white_is_one_object_in_every_kind_of_picture(
    video: Video, tmp_path: Path, mode: str
) -> None:
    mask = disc(WIDTH, HEIGHT, 40, 30, 20)
    grey = mask.astype(np.uint8) * 255
    if mode == "P":
        image = Image.fromarray(mask.astype(np.uint8))
        image.putpalette([0, 0, 0, 255, 255, 255])
        (tmp_path / "m").mkdir()
        image.save(tmp_path / "m" / "00002.png")
    else:
        save(tmp_path / "m", "00002.png", grey, mode)
    back, preview = run_import(tmp_path / "m", video)
    assert len(preview.objects) == 1
    np.testing.assert_array_equal(back.labels(2), mask)


def test_grey_values_that_count_up_are_object_ids(video: Video, tmp_path: Path) -> None:
    back, _ = run_import(save(tmp_path / "m", "00000.png", scene(WIDTH, HEIGHT)), video)
    assert [one.id for one in back.objects] == [1, 2]
    np.testing.assert_array_equal(back.labels(0), scene(WIDTH, HEIGHT))


def test_cut_outs_are_read_by_their_alpha(video: Video, tmp_path: Path) -> None:
    alpha = smoothed(disc(WIDTH, HEIGHT, 40, 30, 20).astype(np.uint8) * 255)
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    back, preview = run_import(save(tmp_path / "m", "00003.png", np.dstack([noise, alpha])), video)
    assert preview.masks.format == "cut-outs"
    np.testing.assert_array_equal(back.labels(3) > 0, alpha >= 128)


def test_photographs_and_lossy_pictures_are_refused_in_words(video: Video, tmp_path: Path) -> None:
    with pytest.raises(UnreadableMaskError, match="photograph"):
        run_import(video.path, video)
    Image.fromarray(scene(WIDTH, HEIGHT)).save(save_folder(tmp_path / "j") / "00000.jpg")
    with pytest.raises(UnreadableMaskError, match="JPEG"):
        run_import(tmp_path / "j", video)


def save_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_masks_of_another_size_are_resized_by_the_nearest_pixel(
    video: Video, tmp_path: Path
) -> None:
    save(tmp_path / "m", "00000.png", scene(2 * WIDTH, 2 * HEIGHT))
    save(tmp_path / "m", "00001.png", scene(WIDTH // 2, HEIGHT // 2))
    save(tmp_path / "m", "00002.png", scene(WIDTH, HEIGHT))
    back, preview = run_import(tmp_path / "m", video)
    assert preview.resized == {(2 * WIDTH, 2 * HEIGHT): 1, (WIDTH // 2, HEIGHT // 2): 1}
    assert any("resized" in line for line in preview.lines())
    for frame in range(3):
        assert set(np.unique(back.labels(frame))) == {0, 1, 2}
        assert (back.labels(frame) != scene(WIDTH, HEIGHT)).mean() < 0.12


def test_a_size_that_is_not_that_of_another_object_is_refused_before_more_is_read(
    video: Video, tmp_path: Path
) -> None:
    large, small = disc(WIDTH, HEIGHT, 30, 30, 12), disc(WIDTH // 2, HEIGHT // 2, 15, 15, 6)
    for folder, name, mask in (
        ("1-dog", "00000.png", large),
        ("1-dog", "00001.png", large),
        ("2-cat", "00000.png", small),
        ("2-cat", "00001.png", large),
    ):
        save(tmp_path / "m" / folder, name, mask)
    read: list[int] = []
    with pytest.raises(UserError, match=r"“2-cat/00000\.png” is 48 × 36 .*another object is not"):
        preview_import(
            tmp_path / "m",
            video,
            Annotation(COUNT, WIDTH, HEIGHT),
            on_progress=lambda done, total: read.append(done),
        )
    assert read == [1, 2]  # the dog's


def test_fewer_than_nine_in_ten_files_with_a_frame_are_refused(
    video: Video, tmp_path: Path
) -> None:
    save(tmp_path / "m", "mask_2.png", scene(WIDTH, HEIGHT))
    assert run_import(tmp_path / "m", video)[1].frames == (2,)
    save(tmp_path / "m", "mask_99.png", scene(WIDTH, HEIGHT))
    with pytest.raises(UserError, match=r"Only 1 of 2 masks.*mask_99\.png"):
        run_import(tmp_path / "m", video)
    with pytest.raises(UserError, match="00000"):
        run_import(tmp_path / "m", video)


def test_a_single_mask_without_a_number_goes_to_the_shown_frame(
    video: Video, tmp_path: Path
) -> None:
    annotation = Annotation(COUNT, WIDTH, HEIGHT)
    for path in (save(tmp_path / "m", "dog.png", scene(WIDTH, HEIGHT)), tmp_path / "m" / "dog.png"):
        assert preview_import(path, video, annotation, shown=3).frames == (3,)
    with pytest.raises(UserError, match="frames 0 to 3"):
        preview_import(tmp_path / "m", video, annotation, shown=COUNT)


def test_renumbered_files_find_their_frames_by_the_list_beside_them(
    video: Video, tmp_path: Path
) -> None:
    masks = {frame: scene(WIDTH, HEIGHT, 4 * frame) for frame in range(COUNT)}
    options = {"has_layers": True, "first_number": 1}  # 1 would be taken for frame 1
    run_export(
        annotate(masks, video),
        video,
        "png-sequence",
        tmp_path / "out",
        options=options,
        first=1,
        step=2,
    )
    back, preview = run_import(tmp_path / "out", video)
    assert preview.frames == (1, 3)
    np.testing.assert_array_equal(back.labels(3), masks[3])


def test_coco_polygons_and_plain_run_lengths_are_read(video: Video, tmp_path: Path) -> None:
    plain = np.zeros((HEIGHT, WIDTH), np.uint8)
    plain[3:9, 80:90] = 1
    changes = np.flatnonzero(np.diff(np.concatenate([[0], plain.ravel(order="F"), [0]])))
    bounds = [0, *changes.tolist(), plain.size]
    data = {
        "images": [
            {"id": 7, "file_name": "some/where/00002.jpg", "width": WIDTH, "height": HEIGHT},
            {"id": 8, "file_name": "unknown.jpg", "width": WIDTH, "height": HEIGHT},
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 5,
                "segmentation": [[10, 20, 40, 20, 40, 50, 10, 50], [60, 5, 70, 5, 70, 15]],
            },
            {
                "id": 2,
                "image_id": 7,
                "category_id": 9,
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": np.diff(bounds).tolist()},
            },
        ],
        "categories": [{"id": 5, "name": "dog"}, {"id": 9, "name": "cat"}],
    }
    path = tmp_path / "anything.json"
    path.write_text(json.dumps(data))
    back, preview = run_import(path, video)
    assert preview.masks.format == "coco"
    assert preview.masks.unmatched == ("unknown.jpg",)
    ids = {one.name: one.id for one in back.objects}
    dog, cat = back.labels(2) == ids["dog"], back.labels(2) == ids["cat"]
    assert dog[21:49, 11:39].all()
    assert dog[7, 68]
    assert abs(int(dog.sum()) - 950) < 90
    np.testing.assert_array_equal(cat, plain > 0)
    assert any("category" in remark for remark in preview.remarks)


def test_yolo_files_of_other_programs_are_read(video: Video, tmp_path: Path) -> None:
    labels = tmp_path / "y" / "labels" / "val"
    labels.mkdir(parents=True)
    (labels / "00001.txt").write_text("1 0.25 0.25 0.75 0.25 0.75 1 0.25 1\n0 0.5 0.5 0.1 0.1\n\n")
    (tmp_path / "y" / "data.yaml").write_text("nc: 2\nnames: ['dog', \"cat\"]\n")
    back, preview = run_import(tmp_path / "y", video)
    assert [(one.key, one.name) for one in preview.objects] == [(2, "cat")]
    assert any("1 boxes" in remark or "1 box" in remark for remark in preview.remarks)
    mask = back.labels(1) > 0
    assert mask[HEIGHT // 2, WIDTH // 2]
    assert abs(mask.mean() - 0.375) < 0.02


def test_the_right_sequence_of_a_data_set_is_taken(video: Video, tmp_path: Path) -> None:
    root = tmp_path / "DAVIS"
    for name, value in (("bear", 1), ("camel", 2)):
        save(
            root / "Annotations" / "480p" / name,
            "00000.png",
            np.full((HEIGHT, WIDTH), value, np.uint8),
        )
    back, _ = run_import(root, video)
    assert (back.labels(0) == 1).all()
    (root / "Annotations" / "480p" / "bear").rename(root / "Annotations" / "480p" / "cow")
    with pytest.raises(UserError, match="camel"):
        run_import(root, video)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"images": [], "annotations": []}',
        '{"images": [{"id": 1}], "annotations": []}',
        '{"images": [{"id": 1, "file_name": "00000.jpg", "width": 99999999, "height": 99999999}],'
        ' "annotations": []}',
        '{"videos": [{"id": 1, "file_names": []}], "annotations": []}',
        '{"images": 3, "annotations": []}',
        "[" * 100_000,
    ],
)
def test_files_that_make_no_sense_are_refused(video: Video, tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UserError):
        run_import(path, video)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [HEIGHT, WIDTH], "counts": [1, 2, 3]},
        {"size": [HEIGHT, WIDTH], "counts": [-1, HEIGHT * WIDTH + 1]},
        {"size": [HEIGHT, WIDTH], "counts": "ooooooooooooooooooooooooooo"},
        {"size": [HEIGHT, WIDTH], "counts": "\x01\x02"},
        {"size": [1, 1], "counts": [0, 1]},
        {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH * 10**9]},
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, float("inf"), 5]],
        [["a"] * 6],
        "run lengths",
    ],
)
def test_codes_that_stand_for_no_mask_are_refused_before_they_are_decoded(
    video: Video, tmp_path: Path, segmentation: Any
) -> None:
    data = {
        "images": [{"id": 1, "file_name": "00000.jpg", "width": WIDTH, "height": HEIGHT}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation}],
        "categories": [],
    }
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=r"frame 0|it is damaged"):  # JSON knows no infinity
        run_import(path, video)


def test_a_polygon_far_outside_the_frame_is_cut_off_at_its_edge(
    video: Video, tmp_path: Path
) -> None:
    data = {
        "images": [{"id": 1, "file_name": "00000.jpg", "width": WIDTH, "height": HEIGHT}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "segmentation": [[-1e15, -1e15, 1e15, -1e15, 1e15, 1e15, -1e15, 1e15]],
            }
        ],
    }
    path = tmp_path / "far.json"
    path.write_text(json.dumps(data))
    back, _ = run_import(path, video)
    assert (back.labels(0) > 0).all()


@pytest.mark.parametrize(
    "text",
    [
        "0 1 2",
        "dog 0.1 0.1 0.2 0.2 0.3 0.3",
        "0 a b c d e f",
        "0 nan 0 1 1 0 1",
        "-1 0 0 1 1 0 1",
    ],
)
def test_label_files_that_make_no_sense_are_refused(
    video: Video, tmp_path: Path, text: str
) -> None:
    (save_folder(tmp_path / "labels") / "00000.txt").write_text(text)
    with pytest.raises(UserError):
        run_import(tmp_path / "labels", video)


def test_a_folder_without_masks_says_what_is_looked_for(video: Video, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="COCO"):
        run_import(save_folder(tmp_path / "empty"), video)
    with pytest.raises(UserError, match="no file or folder"):
        run_import(tmp_path / "missing", video)


# What they meet


def masks_on_disk(folder: Path) -> Path:
    for frame in range(COUNT):
        save(folder, f"{frame:05d}.png", scene(WIDTH, HEIGHT, frame))
    return folder


def test_an_import_is_one_step_of_the_history_and_undone_exactly(
    video: Video, tmp_path: Path
) -> None:
    annotation = annotate({1: scene(WIDTH, HEIGHT, 9)}, video, (DOG,))
    before = dict(annotation.records), annotation.objects
    history = History()
    preview = preview_import(masks_on_disk(tmp_path / "m"), video, annotation)
    for edit in import_masks(preview, annotation):
        annotation.apply(edit)
        history.push(edit)
    assert len(history.entries) == 1
    assert [one.id for one in annotation.objects] == [1, 2]
    assert {annotation.record(frame).status for frame in range(COUNT)} == {FrameStatus.CONFIRMED}
    undone = history.undo()
    assert undone is not None
    annotation.apply(undone)
    assert (dict(annotation.records), annotation.objects) == before


def test_given_frames_are_kept_unless_replacing_them_is_allowed(
    video: Video, tmp_path: Path
) -> None:
    mine = scene(WIDTH, HEIGHT, 11)
    annotation = annotate({2: mine}, video, (DOG, CAT), FrameStatus.CORRECTED)
    back, preview = run_import(masks_on_disk(tmp_path / "m"), video, annotation)
    assert preview.conflicts == preview.given_conflicts == (2,)
    np.testing.assert_array_equal(back.labels(2), mine)
    np.testing.assert_array_equal(back.labels(3), scene(WIDTH, HEIGHT, 3))
    back, _ = run_import(
        tmp_path / "m", video, annotation, replaces_given=True, status=FrameStatus.TRACKED
    )
    np.testing.assert_array_equal(back.labels(2), scene(WIDTH, HEIGHT, 2))
    assert back.record(2).status is FrameStatus.TRACKED


def test_nothing_to_import_is_reported_before_anything_changes(
    video: Video, tmp_path: Path
) -> None:
    masks = {frame: scene(WIDTH, HEIGHT) for frame in range(COUNT)}
    annotation = annotate(masks, video, (DOG, CAT), FrameStatus.CONFIRMED)
    preview = preview_import(masks_on_disk(tmp_path / "m"), video, annotation)
    with pytest.raises(UserError, match="by hand"):
        import_masks(preview, annotation)


def test_a_locked_object_neither_loses_nor_gains_a_pixel(video: Video, tmp_path: Path) -> None:
    locked = ObjectInfo(1, "dog", DOG.color, is_locked=True)
    old = np.zeros((HEIGHT, WIDTH), np.uint8)
    old[:, 60:] = 1  # where the import has object 2
    annotation = annotate({0: old}, video, (locked, CAT))
    back, _ = run_import(masks_on_disk(tmp_path / "m"), video, annotation)
    np.testing.assert_array_equal(back.labels(0) == 1, old == 1)
    assert (back.labels(0)[:, :60] == 2)[scene(WIDTH, HEIGHT)[:, :60] == 2].all()
    assert not (back.labels(1) == 1).any()


def test_other_objects_keep_their_pixels_if_that_is_wished(video: Video, tmp_path: Path) -> None:
    old = np.full((HEIGHT, WIDTH), 7, np.uint8)
    old[:5] = 2  # imported anew, so its old pixels go
    other = ObjectInfo(7, "sky", (1, 2, 3))
    annotation = annotate({0: old}, video, (CAT, other))
    back, _ = run_import(masks_on_disk(tmp_path / "m"), video, annotation, keeps_others=True)
    new = scene(WIDTH, HEIGHT)
    expected = np.where(new > 0, new, np.where(old == 7, 7, 0))
    np.testing.assert_array_equal(back.labels(0), expected)


def test_objects_can_be_chosen_and_given_other_ids(video: Video, tmp_path: Path) -> None:
    annotation = annotate({}, video, (DOG,))
    back, _ = run_import(masks_on_disk(tmp_path / "m"), video, annotation, object_ids={2: 9})
    assert [one.id for one in back.objects] == [1, 9]
    np.testing.assert_array_equal(back.labels(0), (scene(WIDTH, HEIGHT) == 2) * 9)
    annotation = annotate({}, video, (DOG,))
    back, _ = run_import(tmp_path / "m", video, annotation, object_ids={1: 1, 2: 1})
    np.testing.assert_array_equal(back.labels(0), scene(WIDTH, HEIGHT) > 0)
    with pytest.raises(ValueError, match="keys"):
        run_import(tmp_path / "m", video, annotation, object_ids={3: 1})
    with pytest.raises(ValueError, match="0 to 255"):
        run_import(tmp_path / "m", video, annotation, object_ids={1: 256})


def test_masks_without_ids_go_to_objects_of_the_same_name_or_to_new_ones(
    video: Video, tmp_path: Path
) -> None:
    for name in ("cat", "bird"):
        save(tmp_path / "m" / name, "00000.png", scene(WIDTH, HEIGHT) * 255 * (name == "cat"))
    annotation = annotate({}, video, (DOG, CAT))
    _, preview = run_import(tmp_path / "m", video, annotation)
    assert {one.name: one.object_id for one in preview.objects} == {"cat": 2, "bird": 3}


def test_only_frames_in_the_range_are_imported(video: Video, tmp_path: Path) -> None:
    back, _ = run_import(masks_on_disk(tmp_path / "m"), video, first=1, last=2)
    assert sorted(back.records) == [1, 2]


def test_a_damaged_file_is_found_by_the_preview(video: Video, tmp_path: Path) -> None:
    masks_on_disk(tmp_path / "m")
    data = (tmp_path / "m" / "00002.png").read_bytes()
    (tmp_path / "m" / "00002.png").write_bytes(data[: len(data) // 2])
    annotation = Annotation(COUNT, WIDTH, HEIGHT)
    with pytest.raises(UnreadableMaskError, match=r"00002\.png"):
        run_import(tmp_path / "m", video, annotation)
    assert annotation.record(0) == EMPTY_RECORD


def test_looking_can_be_followed_and_stopped(video: Video, tmp_path: Path) -> None:
    annotation = Annotation(COUNT, WIDTH, HEIGHT)
    seen: list[tuple[int, int]] = []
    folder = masks_on_disk(tmp_path / "m")
    preview_import(folder, video, annotation, on_progress=lambda d, t: seen.append((d, t)))
    assert seen == [(done, 2 * COUNT) for done in range(1, 2 * COUNT + 1)]

    class Stopped(Exception):  # noqa: N818
        pass

    def stop(done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        preview_import(folder, video, annotation, on_progress=stop)


def test_a_preview_is_plain_json(video: Video, tmp_path: Path) -> None:
    _, preview = run_import(masks_on_disk(tmp_path / "m"), video)
    report = json.loads(json.dumps(preview.to_json()))
    assert report["frames"] == [0, 1, 2, 3]
    assert [one["frames"] for one in report["objects"]] == [COUNT, COUNT]


def test_values_that_no_mask_has_are_refused(video: Video, tmp_path: Path) -> None:
    for number, kind in ((-3, np.int32), (1.5, np.float32)):
        pixels = np.full((HEIGHT, WIDTH), number, kind)
        save(tmp_path / f"m{number}", "00000.tif", pixels)
        with pytest.raises(UnreadableMaskError):
            run_import(tmp_path / f"m{number}", video)
