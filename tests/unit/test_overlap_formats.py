"""Overlapping objects leave in every format as it can hold them, and come back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.mask_files import decode_labels
from interaction.annotation.overlaps import Stack, pile, region
from interaction.annotation.types import FrameStatus, ObjectInfo
from interaction.formats.export import FORMATS, ExportSettings, check_export, export_pictures
from interaction.formats.exr import EXR
from interaction.formats.format import ExportJob, ExportSource, Overlaps
from interaction.formats.import_masks import planned_picture
from interaction.formats.import_plan import ImportChoices, plan_import, preview_import
from interaction.video.video import Video
from tests.unit.mask_scenes import COLORS, disc, open_frames, run_export, run_import

WIDTH, HEIGHT = 64, 48
DOG, CAT, BIRD = 1, 2, 3
NAMES = {DOG: "dog", CAT: "cat", BIRD: "bird"}

# (name, options, whether it says which object is in front)
WHOLE: list[tuple[str, dict[str, Any], bool]] = [
    ("binary", {}, False),
    ("matte", {"edge_px": 4.0}, False),
    ("cut-outs", {"edge_px": 3.0}, False),
    ("png-sequence", {"has_layers": True}, False),
    ("coco", {}, True),
    ("youtube-vis", {}, False),
    ("cvat-xml", {}, True),
    ("label-studio", {}, True),
    ("yolo", {"includes_pictures": False}, True),
]
FRONT = [name for name, one in FORMATS.items() if one.overlaps is Overlaps.FRONT]


def discs() -> dict[int, NDArray[np.bool_]]:
    return {
        DOG: disc(WIDTH, HEIGHT, 22, 24, 15),
        CAT: disc(WIDTH, HEIGHT, 36, 24, 13),
        BIRD: disc(WIDTH, HEIGHT, 30, 18, 6),
    }


def piled(order: tuple[int, ...]) -> Stack:
    """From back to front."""
    masks = discs()
    return pile(((one, masks[one]) for one in order), HEIGHT, WIDTH)


STACKS: dict[int, Stack] = {
    0: piled((DOG, CAT, BIRD)),
    1: piled((BIRD, CAT, DOG)),
    2: piled((DOG,)),
}


@pytest.fixture
def video(tmp_path: Path) -> Iterator[Video]:
    with open_frames(tmp_path / "bear", len(STACKS), WIDTH, HEIGHT) as opened:
        yield opened


@pytest.fixture
def annotation() -> Annotation:
    return Annotation(
        len(STACKS),
        WIDTH,
        HEIGHT,
        records={f: make_record(stack, FrameStatus.TRACKED) for f, stack in STACKS.items()},
        objects=[
            ObjectInfo(one, name, COLORS[one - 1], keeps_covered=True)
            for one, name in NAMES.items()
        ],
    )


def by_name(annotation: Annotation, frame: int) -> dict[str, NDArray[np.bool_]]:
    stack = annotation.stack(frame)
    return {one.name: region(stack, one.id) for one in annotation.objects}


@pytest.mark.parametrize(("name", "options", "has_order"), WHOLE)
def test_whole_objects_come_back(
    name: str,
    options: dict[str, Any],
    has_order: bool,
    annotation: Annotation,
    video: Video,
    tmp_path: Path,
) -> None:
    assert FORMATS[name].overlaps is Overlaps.WHOLE
    report = run_export(annotation, video, name, tmp_path / "out", options=options)
    assert not report.notices
    assert not report.gaps or all(gap.frames == (2,) for gap in report.gaps)
    back, preview = run_import(tmp_path / "out", video, keeps_covered=True)
    assert set(preview.covered) == {0, 1}
    assert any("overlap on 2 frames" in line for line in preview.lines())
    for frame in STACKS:
        found = by_name(back, frame)
        for one, mask in by_name(annotation, frame).items():
            np.testing.assert_array_equal(found[one], mask)
    assert {one.name for one in back.objects if one.keeps_covered} >= {"dog", "cat"}
    if has_order:
        names = {one.id: one.name for one in back.objects}
        for frame, stack in STACKS.items():
            front = np.vectorize(lambda one: names.get(one, ""))(back.labels(frame))
            wanted = np.vectorize(lambda one: NAMES.get(one, ""))(stack[0])
            np.testing.assert_array_equal(front, wanted)


@pytest.mark.parametrize(("name", "options", "has_order"), WHOLE)
def test_without_being_asked_for_the_front_object_comes_back_alone(
    name: str,
    options: dict[str, Any],
    has_order: bool,
    annotation: Annotation,
    video: Video,
    tmp_path: Path,
) -> None:
    run_export(annotation, video, name, tmp_path / "out", options=options)
    back, _ = run_import(tmp_path / "out", video)
    assert not any(record.beneath for record in back.records.values())
    assert not any(one.keeps_covered for one in back.objects)


@pytest.mark.parametrize(("name", "options", "has_order"), WHOLE)
def test_visible_pixels_alone_go_out_if_asked_for(
    name: str,
    options: dict[str, Any],
    has_order: bool,
    annotation: Annotation,
    video: Video,
    tmp_path: Path,
) -> None:
    report = run_export(
        annotation, video, name, tmp_path / "out", options=options, has_covered=False
    )
    assert any("left out, as asked for, on 2 frames: 0-1" in one for one in report.notices)
    back, preview = run_import(tmp_path / "out", video, keeps_covered=True)
    ids = {one.name: one.id for one in back.objects}
    for frame, stack in STACKS.items():
        if name != "yolo":  # its polygons go round a part, seams at holes are filled
            assert not preview.covered
            for one, of_name in NAMES.items():
                np.testing.assert_array_equal(
                    back.labels(frame) == ids.get(of_name, 255), stack[0] == one
                )


@pytest.mark.parametrize("name", FRONT)
def test_one_object_a_pixel_is_the_one_in_front_and_the_report_says_so(
    name: str, annotation: Annotation, video: Video, tmp_path: Path
) -> None:
    source = ExportSource.of(annotation, video)
    planned = check_export(source, ExportSettings(format=name, target=tmp_path / "planned"))
    report = run_export(annotation, video, name, tmp_path / "out")
    for notices in (planned.notices, report.notices):
        assert sum("on 2 frames: 0-1" in one for one in notices) == 1
    if FORMATS[name].is_importable:
        back, _ = run_import(tmp_path / "out", video)
        for frame, stack in STACKS.items():
            np.testing.assert_array_equal(back.labels(frame), stack[0])


def test_of_the_objects_that_are_chosen_the_front_one(
    annotation: Annotation, video: Video, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = run_export(annotation, video, "palette-png", out, objects=frozenset({DOG}))
    assert not report.notices  # nothing that is exported lies before it
    labels = decode_labels((out / "00000.png").read_bytes())
    np.testing.assert_array_equal(labels == DOG, discs()[DOG])


@pytest.mark.parametrize(
    "name", [name for name, one in FORMATS.items() if one.overlaps is Overlaps.UNION]
)
def test_where_one_mask_is_for_all_objects_nothing_is_lost(
    name: str, annotation: Annotation, video: Video, tmp_path: Path
) -> None:
    planned = check_export(
        ExportSource.of(annotation, video), ExportSettings(format=name, target=tmp_path / "out")
    )
    assert not any("overed" in one for one in planned.notices)


@pytest.mark.parametrize(
    "name", [name for name, one in FORMATS.items() if one.overlaps is Overlaps.STRIPES]
)
def test_views_have_stripes_where_the_window_has_them(
    name: str, annotation: Annotation, video: Video, tmp_path: Path
) -> None:
    source = ExportSource.of(annotation, video)
    hidden = discs()[DOG] & (STACKS[0][0] != DOG)
    view: dict[str, Any] = {"view": "mask"}
    pictures = []
    for has_covered in (True, False):
        settings = ExportSettings(
            format=name, target=tmp_path / "out", has_covered=has_covered,
            options=FORMATS[name].options(**view),
        )  # fmt: skip
        notices = check_export(source, settings).notices
        assert any("overed" in one for one in notices) is not has_covered
        [shown] = export_pictures(source, settings, 0, video, 1000)
        pictures.append(shown.picture)
    differs = (pictures[0] != pictures[1]).any(axis=2)
    assert differs[hidden].mean() > 0.3
    assert not differs[cv2.dilate(hidden.view(np.uint8), np.ones((9, 9), np.uint8)) == 0].any()


def test_a_preview_of_an_import_has_stripes_where_what_is_covered_is_kept(
    video: Video, tmp_path: Path
) -> None:
    path = labelme(tmp_path / "shapes", [("bus", square(5, 5, 30)), ("man", square(10, 10, 14))])
    nothing = Annotation(len(STACKS), WIDTH, HEIGHT)
    preview = preview_import(path, video, nothing)
    plain, kept = (
        planned_picture(
            plan_import(preview, nothing, ImportChoices(keeps_covered=keeps)), 0, video, 1000
        )
        for keeps in (False, True)
    )
    differs = (plain != kept).any(axis=2)
    assert differs[12:22, 12:22].any()
    assert not differs[30:].any()


def test_layers_of_exr_are_whole(annotation: Annotation, video: Video, tmp_path: Path) -> None:
    source = ExportSource.of(annotation, video)
    job = ExportJob(source, [0], source.objects, EXR.options(), tmp_path, tmp_path, video=video)
    hidden = discs()[DOG] & (STACKS[0][0] != DOG)
    assert hidden.any()
    np.testing.assert_array_equal(job.region(0, source.objects[0]), discs()[DOG])
    assert [one.id for one in job.back_to_front(0)] == [DOG, CAT, BIRD]
    assert [one.id for one in job.back_to_front(1)] == [BIRD, CAT, DOG]
    files = []
    for has_covered in (True, False):
        out = tmp_path / str(has_covered)
        run_export(annotation, video, "exr", out, has_covered=has_covered)
        files.append((out / "bear.0000000.exr").read_bytes())
    assert files[0] != files[1]
    assert EXR.overlaps is Overlaps.WHOLE


def test_an_object_that_is_only_covered_is_no_gap(video: Video, tmp_path: Path) -> None:
    masks = discs()
    stack = pile([(BIRD, masks[BIRD]), (DOG, masks[DOG] | masks[BIRD])], HEIGHT, WIDTH)
    annotation = Annotation(
        len(STACKS),
        WIDTH,
        HEIGHT,
        records={frame: make_record(stack, FrameStatus.TRACKED) for frame in STACKS},
        objects=[ObjectInfo(one, NAMES[one], COLORS[0], keeps_covered=True) for one in (DOG, BIRD)],
    )
    source = ExportSource.of(annotation, video)
    assert not check_export(source, ExportSettings(format="coco", target=tmp_path / "out")).gaps


# Coming in


def labelme(folder: Path, shapes: list[tuple[str, list[list[int]]]]) -> Path:
    folder.mkdir()
    listed = [
        {"label": label, "points": points, "shape_type": "polygon", "group_id": None}
        for label, points in shapes
    ]
    data = {"shapes": listed, "imagePath": "00000.png", "imageWidth": WIDTH, "imageHeight": HEIGHT}
    (folder / "00000.json").write_text(json.dumps(data))
    return folder


def square(left: int, top: int, side: int) -> list[list[int]]:
    right, bottom = left + side, top + side
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def test_overlapping_shapes_of_labelme_are_kept_both(video: Video, tmp_path: Path) -> None:
    path = labelme(tmp_path / "shapes", [("bus", square(5, 5, 30)), ("man", square(10, 10, 10))])
    back, _ = run_import(path, video, keeps_covered=True)
    regions = by_name(back, 0)
    assert (regions["bus"] & regions["man"]).sum() == regions["man"].sum() > 90
    assert (back.labels(0)[regions["man"]] == 2).all()


def test_imported_over_an_object_that_keeps_covered_pixels(
    annotation: Annotation, video: Video, tmp_path: Path
) -> None:
    path = labelme(tmp_path / "shapes", [("man", square(20, 14, 16))])
    before = by_name(annotation, 0)
    back, _ = run_import(path, video, annotation, keeps_others=True)
    after = by_name(back, 0)
    for name in NAMES.values():
        np.testing.assert_array_equal(after[name], before[name])
    assert (back.labels(0)[after["man"]] == 4).all()


def test_imported_again_an_object_is_nowhere_else(
    annotation: Annotation, video: Video, tmp_path: Path
) -> None:
    path = labelme(tmp_path / "shapes", [("dog", square(2, 2, 5)), ("cat", square(4, 4, 5))])
    back, _ = run_import(path, video, annotation, keeps_others=True)
    regions = by_name(back, 0)
    assert regions["dog"].sum() <= 36
    assert (regions["dog"] & regions["cat"]).any()  # both keep covered pixels already
    np.testing.assert_array_equal(regions["bird"], discs()[BIRD])


def test_a_locked_object_keeps_its_covered_pixels(video: Video, tmp_path: Path) -> None:
    masks = discs()
    stack = pile([(DOG, masks[DOG]), (CAT, masks[CAT])], HEIGHT, WIDTH)
    annotation = Annotation(
        len(STACKS),
        WIDTH,
        HEIGHT,
        records={0: make_record(stack, FrameStatus.TRACKED)},
        objects=[
            ObjectInfo(DOG, "dog", COLORS[0], is_locked=True, keeps_covered=True),
            ObjectInfo(CAT, "cat", COLORS[1]),
        ],
    )
    path = labelme(tmp_path / "shapes", [("cat", square(30, 20, 20))])
    back, _ = run_import(path, video, annotation)
    np.testing.assert_array_equal(by_name(back, 0)["dog"], masks[DOG])


def test_the_plan_names_what_is_kept_from_now_on(video: Video, tmp_path: Path) -> None:
    path = labelme(tmp_path / "shapes", [("bus", square(5, 5, 30)), ("man", square(10, 10, 10))])
    nothing = Annotation(len(STACKS), WIDTH, HEIGHT)
    preview = preview_import(path, video, nothing)
    assert preview.to_json()["overlaps"] == [0]
    plan = plan_import(preview, nothing, ImportChoices(keeps_covered=True))
    assert plan.to_json()["new_keepers"] == [1]
    assert any("kept, from now on, of ‘bus’" in line for line in plan.lines())
    assert not plan_import(preview, nothing, ImportChoices()).new_keepers
