"""Files in the form of other annotation programs: what is read of them, and what is refused."""

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from interaction.errors import UserError
from interaction.formats.export import FORMATS
from interaction.video.video import Video
from tests.unit.mask_scenes import annotate, open_frames, run_export, run_import
from training.datasets.layouts import davis_videos

WIDTH, HEIGHT, COUNT = 40, 30, 3
BOX = np.zeros((HEIGHT, WIDTH), bool)
BOX[5:15, 10:20] = True
OTHER = np.roll(BOX, 12, axis=0)
CORNERS = [[10, 5], [20, 5], [20, 15], [10, 15]]


@pytest.fixture
def video(tmp_path: Path) -> Any:
    with open_frames(tmp_path / "bear", COUNT, WIDTH, HEIGHT) as video:
        yield video


def is_box(mask: Any, box: Any = BOX) -> bool:
    """But for the pixels on a polygon's edge, which programs draw differently."""
    return bool((mask & box).sum() > 0.75 * (mask | box).sum())


def runs(mask: Any) -> Any:
    code: Any = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(code["size"]), "counts": code["counts"].decode()}


def coco(**changes: Any) -> dict[str, Any]:
    """Two cars on frame 1, as CVAT writes a video's tracks."""
    annotations = [
        {
            "id": number + 1,
            "image_id": 2,
            "category_id": 1,
            "segmentation": runs(mask),
            "attributes": {"track_id": number, "keyframe": True},
        }
        for number, mask in enumerate((BOX, OTHER))
    ]
    images = [{"id": 2, "width": WIDTH, "height": HEIGHT, "file_name": "00001.PNG"}]
    categories = [{"id": 1, "name": "car"}]
    return {"images": images, "categories": categories, "annotations": annotations, **changes}


def write(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def test_cvats_tracks_in_coco_are_objects(video: Video, tmp_path: Path) -> None:
    back, _ = run_import(write(tmp_path / "c.json", coco()), video)
    assert [one.name for one in back.objects] == ["car", "car 2"]
    np.testing.assert_array_equal(back.labels(1) == 1, BOX)
    np.testing.assert_array_equal(back.labels(1) == 2, OTHER)


def test_ids_as_text_sizes_with_a_point_and_windows_paths_are_read(
    video: Video, tmp_path: Path
) -> None:
    image = {"id": "2", "width": 40.0, "height": 30.0, "file_name": "D:\\data\\bear\\00001.png"}
    back, _ = run_import(write(tmp_path / "c.json", coco(images=[image])), video)
    np.testing.assert_array_equal(back.labels(1) == 2, OTHER)


def test_a_track_id_that_is_null_is_none(video: Video, tmp_path: Path) -> None:
    data = coco()
    for one in data["annotations"]:
        one["attributes"] = {}
        one["track_id"] = None
    back, preview = run_import(write(tmp_path / "c.json", data), video)
    assert [one.name for one in back.objects] == ["car"]
    assert any("each category is read as one" in line for line in preview.lines())


def test_a_degenerate_polygon_among_good_ones_is_left_out_and_counted(
    video: Video, tmp_path: Path
) -> None:
    data = coco()
    flat = [value for corner in CORNERS for value in corner]
    data["annotations"][0]["segmentation"] = [flat, [3, 3, 4, 4], []]
    back, preview = run_import(write(tmp_path / "c.json", data), video)
    assert is_box(back.labels(1) == 1)
    np.testing.assert_array_equal(back.labels(1) == 2, OTHER)
    assert any("2 polygons of fewer than three points" in line for line in preview.lines())


def labelme(*shapes: dict[str, Any]) -> dict[str, Any]:
    return {"version": "5", "imagePath": "x.png", "imageWidth": WIDTH, "shapes": list(shapes)}


def test_labelme_files_lie_beside_the_pictures(video: Video, tmp_path: Path) -> None:
    png = io.BytesIO()
    Image.fromarray(np.full((10, 10), 255, np.uint8)).save(png, "PNG")
    bitmap = base64.b64encode(png.getvalue()).decode()
    folder = tmp_path / "m"
    car: dict[str, Any] = {"label": "car", "points": CORNERS, "shape_type": "polygon"}
    mask = {"label": "dog", "points": [[10, 17], [19, 26]], "shape_type": "mask", "mask": bitmap}
    line = {"label": "road", "points": [[0, 0], [9, 9]], "shape_type": "line"}
    write(folder / "00000.json", labelme({**car, "group_id": 1}, mask, line))
    write(folder / "00002.json", labelme({**car, "group_id": 1}, {**car, "group_id": 2}))
    back, preview = run_import(folder, video)
    assert preview.masks.format == "labelme"
    names = {one.name: one.id for one in back.objects}
    assert set(names) == {"car 1", "car 2", "dog"}
    assert is_box(back.labels(0) == names["car 1"])
    np.testing.assert_array_equal(back.labels(0) == names["dog"], OTHER)
    assert (back.labels(2) == names["car 2"]).any()


def test_cvat_tracks_are_objects_and_absent_where_they_are_outside(tmp_path: Path) -> None:
    """`outside` lasts until the track's next shape, at most to the last annotated frame."""
    points = ";".join(f"{x}.0,{y}.0" for x, y in CORNERS)

    def track(number: int, outside: dict[int, int]) -> str:
        polygons = "".join(
            f'<polygon frame="{frame}" keyframe="1" outside="{one}" points="{points}"/>'
            for frame, one in outside.items()
        )
        return f'<track id="{number}" label="car &amp; van">{polygons}</track>'

    tracks = track(0, {0: 0, 1: 0, 2: 1, 5: 0, 6: 1}) + track(1, {1: 1, 2: 0, 7: 0})
    with open_frames(tmp_path / "v", 12, WIDTH, HEIGHT) as video:
        for meta, last in (("", 11), ("<meta><stop_frame>9</stop_frame></meta>", 9)):
            text = f"<annotations>{meta}{tracks}</annotations>"
            back, _ = run_import(write(tmp_path / "annotations.xml", text), video)
            assert [one.name for one in back.objects] == ["car & van", "car & van 2"]
            assert is_box(back.labels(1) == 1)
            absent = [[(part.first, part.last) for part in one.presence] for one in back.objects]
            assert absent == [[(2, 4), (6, last)], [(1, 1)]]
            assert {part.state for one in back.objects for part in one.presence} == {"absent"}
            assert not (back.labels(2) == 1).any()
            assert is_box(back.labels(2) == 2)


@pytest.mark.parametrize(
    "text",
    [
        "<annotations><image",
        '<!DOCTYPE a [<!ENTITY x "y">]><annotations>&x;</annotations>',
        '<annotations><image id="0" name="00000.png"/></annotations>',
        '<annotations><image id="0" name="00000.png" width="40" height="30"><mask label="a" '
        'rle="5" left="0" top="0" width="9" height="9"/></image></annotations>',
        "<html></html>",
    ],
)
def test_xml_that_holds_no_masks_is_refused(video: Video, tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError):
        run_import(write(tmp_path / "a.xml", text), video)


def test_mots_text_holds_a_run_length_code_a_line(video: Video, tmp_path: Path) -> None:
    lines = [
        f"{frame} {track} {kind} {HEIGHT} {WIDTH} {runs(mask)['counts']}"
        for frame in range(COUNT)
        for track, kind, mask in ((1001, 1, BOX), (10_000, 10, OTHER))
    ]
    back, preview = run_import(write(tmp_path / "gt" / "gt.txt", "\n".join(lines)).parent, video)
    assert preview.masks.format == "mots-text"
    assert [one.id for one in back.objects] == [1]
    np.testing.assert_array_equal(back.labels(2) == 1, BOX)


def test_mots_objects_of_two_classes_stay_two(video: Video, tmp_path: Path) -> None:
    """Car 1 and pedestrian 1; KITTI has a text for each sequence."""
    text = "\n".join(
        f"1 {kind * 1000 + 1} {kind} {HEIGHT} {WIDTH} {runs(mask)['counts']}"
        for kind, mask in ((1, BOX), (2, OTHER))
    )
    for name in ("bear.txt", "0002.txt"):
        folder = write(tmp_path / name.partition(".")[0] / name, text).parent
        back, preview = run_import(folder, video)
        assert preview.masks.format == "mots-text"
        np.testing.assert_array_equal(back.labels(1), BOX + 2 * OTHER)


def test_a_note_beside_masks_is_no_list_of_them(video: Video, tmp_path: Path) -> None:
    Image.fromarray(BOX.astype(np.uint8)).save(tmp_path / "00001.png")
    (tmp_path / "Hinweise.txt").write_bytes("Für jede Maske…".encode("utf-16"))
    np.testing.assert_array_equal(run_import(tmp_path, video)[0].labels(1) > 0, BOX)


def bitmap(mask: Any) -> str:
    """A PNG, compressed once more."""
    png = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).convert("1").save(png, "PNG")
    return base64.b64encode(zlib.compress(png.getvalue())).decode()


def test_superviselys_shapes_of_other_kinds_are_counted_and_named(
    video: Video, tmp_path: Path
) -> None:
    others = [
        {"geometryType": "alpha_mask", "classTitle": "hair", "bitmap": {}},
        {"geometryType": "cuboid", "classTitle": "car", "vertices": []},
        {"geometryType": "cuboid", "classTitle": "van", "vertices": []},
    ]
    polygon = {"geometryType": "polygon", "classTitle": "car", "points": {"exterior": CORNERS}}
    data = {"size": {"height": HEIGHT, "width": WIDTH}, "objects": [polygon, *others]}
    path = write(tmp_path / "ann" / "00001.png.json", data)
    back, preview = run_import(path, video)
    assert [one.name for one in back.objects] == ["car"]
    left_out = "Left out: 3 shapes of kinds that are not read (alpha_mask, cuboid)."
    assert left_out in preview.remarks
    write(path, {**data, "objects": others})
    with pytest.raises(UserError, match=r"only shapes of kinds .*\(alpha_mask, cuboid; 3 in all\)"):
        run_import(path, video)


def test_superviselys_file_of_a_video_is_no_damaged_one_of_a_picture(
    video: Video, tmp_path: Path
) -> None:
    data = {
        "size": {"height": HEIGHT, "width": WIDTH},
        "framesCount": 1,
        "objects": [{"key": "4f0c", "classTitle": "car", "tags": []}],
        "frames": [{"index": 0, "figures": [{"objectKey": "4f0c", "geometryType": "bitmap"}]}],
    }
    path = write(tmp_path / "p" / "ann" / "clip.mp4.json", data)
    for place in (path, tmp_path / "p"):
        with pytest.raises(UserError, match=r"Supervisely \(of pictures, not of videos\)"):
            run_import(place, video)


def test_superviselys_json_has_bitmaps_and_polygons_with_holes(
    video: Video, tmp_path: Path
) -> None:
    hole = [[13, 8], [17, 8], [17, 12], [13, 12]]
    shapes = [
        {
            "geometryType": "polygon",
            "classTitle": "car",
            "points": {"exterior": CORNERS, "interior": [hole]},
        },
        {
            "geometryType": "bitmap",
            "classTitle": "dog",
            "bitmap": {"origin": [10, 17], "data": bitmap(BOX[5:15, 10:20])},
        },
        {"geometryType": "rectangle", "classTitle": "car", "points": {"exterior": CORNERS[::2]}},
    ]
    data = {"size": {"height": HEIGHT, "width": WIDTH}, "objects": shapes}
    path = write(tmp_path / "p" / "ds0" / "ann" / "00001.png.json", data)
    write(tmp_path / "p" / "meta.json", {"classes": []})
    for place in (tmp_path / "p", path.parent.parent, path.parent, path):
        back, preview = run_import(place, video)
        assert preview.frames == (1,)
        assert [one.name for one in back.objects] == ["car", "dog"]
        np.testing.assert_array_equal(back.labels(1) == 2, OTHER)
        assert back.labels(1)[6, 11] == 1
        assert back.labels(1)[10, 15] == 0
        assert "1 boxes without an outline are left out." in preview.remarks


def flat() -> list[int]:
    return [value for corner in CORNERS for value in corner]


@pytest.mark.parametrize("code", [flat(), [flat()], [CORNERS], [CORNERS, flat()]])
def test_polygons_alone_and_points_in_pairs_are_read(
    code: Any, video: Video, tmp_path: Path
) -> None:
    shape = {"image_id": 2, "category_id": 1, "segmentation": code}
    image = {"id": 2, "width": str(WIDTH), "height": str(HEIGHT), "file_name": "00001.png"}
    text = json.dumps(coco(images=[image], annotations=[shape]))
    path = write(tmp_path / "c.json", f"\ufeff{text}")  # with the mark that Windows begins texts by
    assert is_box(run_import(path, video)[0].labels(1) > 0)


def test_run_lengths_may_be_text(video: Video, tmp_path: Path) -> None:
    ones = np.flatnonzero(np.diff(np.pad(BOX.ravel(order="F").astype(int), 1))).tolist()
    counts = " ".join(map(str, np.diff([0, *ones, BOX.size])))
    code = {"size": [HEIGHT, WIDTH], "counts": counts}
    shape = {"image_id": 2, "category_id": 1, "segmentation": code}
    path = write(tmp_path / "c.json", coco(annotations=[shape]))
    np.testing.assert_array_equal(run_import(path, video)[0].labels(1) > 0, BOX)


def test_coco_panoptic_names_its_pictures(video: Video, tmp_path: Path) -> None:
    one = {"image_id": 2, "file_name": "00001.png", "segments_info": []}
    with pytest.raises(UserError, match="Choose the folder of those pictures"):
        run_import(write(tmp_path / "p.json", coco(annotations=[one])), video)


def test_label_studios_polygons_are_in_per_cent(video: Video, tmp_path: Path) -> None:
    points = [[x * 100 / WIDTH, y * 100 / HEIGHT] for x, y in CORNERS]
    result = {
        "type": "polygonlabels",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "value": {"points": points, "polygonlabels": ["car"]},
    }
    task = {
        "id": 7,
        "data": {"image": "/data/upload/1/3f2a91bc-00002.png"},
        "annotations": [{"result": [result]}],
    }
    back, preview = run_import(write(tmp_path / "ls.json", [task]), video)
    assert preview.frames == (2,)
    assert [one.name for one in back.objects] == ["car"]
    assert is_box(back.labels(2) > 0)


def test_label_studios_pictures_name_what_to_choose_instead(video: Video, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    name = "task-1-annotation-2-by-1-tag-car-0.png"
    Image.fromarray(BOX.astype(np.uint8) * 255).save(tmp_path / "m" / name)
    with pytest.raises(UserError, match="Export JSON"):
        run_import(tmp_path / "m", video)


@pytest.mark.parametrize(
    ("tail", "expected", "column"),
    [
        ("", {1, 2}, None),
        (" 0.873", {1, 2}, "confidence"),
        (" {track}", {7, 8}, "track"),
        (" 0.873 {track}", {7, 8}, "confidence and track"),
    ],
)
def test_yolos_last_columns_are_no_corner(
    tail: str, expected: set[int], column: str | None, video: Video, tmp_path: Path
) -> None:
    corners = " ".join(
        f"{x / WIDTH} {y / HEIGHT}" for x, y in [[10, 5], [19, 5], [19, 14], [10, 14]]
    )
    text = "".join(f"{kind} {corners}{tail.format(track=kind + 7)}\n" for kind in (0, 1))
    write(tmp_path / "y" / "labels" / "train" / "00001.txt", text)
    back, preview = run_import(tmp_path / "y", video)
    assert {one.key for one in preview.objects} == expected
    np.testing.assert_array_equal(back.labels(1) > 0, BOX)  # the later lies on the first
    assert column is None or any(f"read as {column}," in line for line in preview.lines())


def test_our_davis_export_is_found_by_our_own_trainer(video: Video, tmp_path: Path) -> None:
    masks = {frame: BOX.astype(np.uint8) for frame in range(COUNT)}
    run_export(annotate(masks, video), video, "davis", tmp_path / "davis")
    for part in ("training", "held out"):
        found = davis_videos(tmp_path / "davis", cast("Any", part))
        assert [one.name for one in found] == ["bear"]


def test_the_page_of_formats_says_what_the_code_does() -> None:
    """docs/formats.md: a row for each format, read and written as the table of formats has it."""
    page = Path(__file__).parents[2] / "docs" / "formats.md"
    rows = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 6 and cells[0].startswith("`"):
            rows[cells[0].strip("`")] = cells[1:]
    for name, one in FORMATS.items():
        writer, reads, writes, overlaps, limits = rows.pop(name)
        assert one.writers in writer
        assert reads == ("yes" if one.is_importable else "no")
        assert writes == "yes"
        assert overlaps == one.overlaps.value
        assert one.limits in limits
    # Only read: each of them has a test by this name in this file or beside it.
    assert set(rows) == {"labelme", "mots-text", "pascal-voc", "supervisely", "label-stack"}
    assert all(cells[1] == "yes" and cells[2] == "no" for cells in rows.values())


VOC_BOXES = """<annotation><filename>00001.jpg</filename><object><name>car</name>
<bndbox><xmin>10</xmin><ymin>5</ymin><xmax>20</xmax><ymax>15</ymax></bndbox></object></annotation>
"""
CVAT_IMAGE = f"""<?xml version="1.0"?><annotations>
<image id="1" name="00001.png" width="{WIDTH}" height="{HEIGHT}">
<box label="car" xtl="10" ytl="5" xbr="20" ybr="15"/></image></annotations>"""
CVAT_TRACK = """<?xml version="1.0"?><annotations><track id="0" label="car">
<box frame="1" outside="0" xtl="10" ytl="5" xbr="20" ybr="15"/></track></annotations>"""
COCO_BOXES = coco(
    annotations=[{"image_id": 2, "category_id": 1, "segmentation": [], "bbox": [10, 5, 10, 10]}]
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels/00001.txt", "0 0.4 0.3 0.2 0.3\n1 0.5 0.5 0.1 0.1 0.87\n".replace(" 0.87", "")),
        ("labels/00001.txt", "0 0.4 0.3 0.2 0.3 0.91\n"),
        ("labels/00001.txt", "0 0.4 0.3 0.2 0.3 0.91 7\n"),
        ("00001.xml", VOC_BOXES),
        ("Annotations/00001.xml", VOC_BOXES),
        ("annotations.xml", CVAT_IMAGE),
        ("annotations.xml", CVAT_TRACK),
        ("annotations.json", json.dumps(COCO_BOXES)),
    ],
)
def test_boxes_alone_are_refused_with_what_to_choose_instead(
    name: str, content: str, video: Video, tmp_path: Path
) -> None:
    path = tmp_path / "boxes" / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    for place in {tmp_path / "boxes", path if path.suffix == ".xml" else tmp_path / "boxes"}:
        with pytest.raises(UserError, match=r"boxes alone \(\d\)") as refused:
            run_import(place, video)
        what, instead = str(refused.value).split("\n\n")
        assert "a box is no mask. Nothing was changed." in what
        assert "masks or polygons" in instead


def test_boxes_beside_outlines_are_left_out_and_counted(video: Video, tmp_path: Path) -> None:
    polygon = '<polygon label="car" points="10,5;20,5;20,15;10,15"/>'
    text = CVAT_IMAGE.replace("</image>", f"{polygon}</image>")
    (tmp_path / "annotations.xml").write_text(text)
    back, preview = run_import(tmp_path / "annotations.xml", video)
    assert is_box(back.labels(1) > 0)
    assert "1 boxes without an outline are left out." in preview.remarks


def test_points_and_lines_alone_are_refused_and_else_counted(video: Video, tmp_path: Path) -> None:
    line = {"label": "road", "points": [[0, 0], [9, 9]], "shape_type": "line"}
    folder = tmp_path / "m"
    write(folder / "00001.json", labelme(line))
    with pytest.raises(UserError, match=r"points and lines alone \(1\)"):
        run_import(folder, video)
    polyline = '<polyline label="car" points="1,2;3,4"/>'
    polygon = '<polygon label="car" points="10,5;20,5;20,15;10,15"/>'
    head = CVAT_IMAGE.partition("<box")[0]
    path = write(tmp_path / "a.xml", f"{head}{polyline}{polygon}</image></annotations>")
    assert any("1 points and lines" in line for line in run_import(path, video)[1].remarks)


def test_roboflow_shares_the_frames_of_a_video_out(video: Video, tmp_path: Path) -> None:
    """Each part counts its pictures and classes anew."""
    for number, part in enumerate(("test", "train", "valid")):
        name = f"{number:05d}_png.rf.{'07c1e2a4' * 4}.jpg"
        image = {"id": 0, "width": WIDTH, "height": HEIGHT, "file_name": name}
        shape = {"id": 0, "image_id": 0, "category_id": 1, "segmentation": runs(BOX)}
        data = coco(images=[image], annotations=[shape])
        write(tmp_path / "set" / part / "_annotations.coco.json", data)
    for place, frames in (("set", (0, 1, 2)), ("set/train", (1,))):
        back, preview = run_import(tmp_path / place, video)
        assert preview.frames == frames
        assert [one.name for one in back.objects] == ["car"]
        np.testing.assert_array_equal(back.labels(1) == 1, BOX)


@pytest.mark.parametrize("kind", ["rectangle", "rotation", "quadrilateral"])
def test_boxes_of_four_corners_are_outlines(kind: str, video: Video, tmp_path: Path) -> None:
    """As X-AnyLabeling writes them, also where the file is not called as its picture."""
    shape = {"label": "car", "points": CORNERS, "shape_type": kind}
    data = labelme(shape) | {"imagePath": "..\\pictures\\00002.png"}
    write(tmp_path / "m" / "a-annotation.json", data)
    back, preview = run_import(tmp_path / "m", video)
    assert preview.frames == (2,)
    assert is_box(back.labels(2) > 0)


def oval(x: float, y: float, across: float, down: float, turned_rad: float) -> Any:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    cosine, sine = np.cos(turned_rad), np.sin(turned_rad)
    along = (columns - x) * cosine + (rows - y) * sine
    aside = (rows - y) * cosine - (columns - x) * sine
    return (along / across) ** 2 + (aside / down) ** 2 <= 1


def test_ellipses_lie_as_their_programs_turn_them(video: Video, tmp_path: Path) -> None:
    attributes = 'label="car" cx="20" cy="15" rx="12" ry="5" rotation="30"'
    head = CVAT_IMAGE.partition("<box")[0]
    path = write(tmp_path / "a.xml", f"{head}<ellipse {attributes}/></image></annotations>")
    assert is_box(run_import(path, video)[0].labels(1) > 0, oval(20, 15, 12, 5, np.pi / 6))
    value = {"x": 50, "y": 50, "radiusX": 30, "radiusY": 50 / 3, "rotation": 30}
    task = label_studio_task({**value, "ellipselabels": ["car"]}, "/data/upload/a1b2-00001.png")
    path = write(tmp_path / "ls.json", [task])
    assert is_box(run_import(path, video)[0].labels(1) > 0, oval(20, 15, 12, 5, np.pi / 6))


def label_studio_task(value: dict[str, Any], picture: str) -> dict[str, Any]:
    result = {"original_width": WIDTH, "original_height": HEIGHT, "value": value}
    cancelled = {"was_cancelled": True, "result": []}
    return {"data": {"image": picture}, "annotations": [cancelled, {"result": [result]}]}


@pytest.mark.parametrize(
    "picture",
    ["s3://bucket/a/00002.png", "/data/local-files/?d=my%20frames/00002.png", "00002.png?token=1"],
)
@pytest.mark.parametrize("is_min", [False, True])
def test_label_studio_names_pictures_in_many_ways(
    picture: str, is_min: bool, video: Video, tmp_path: Path
) -> None:
    points = [[x * 100 / WIDTH, y * 100 / HEIGHT] for x, y in CORNERS]
    value = {"points": points, "polygonlabels": ["car"]}
    task = label_studio_task(value, picture)
    if is_min:
        size = {"original_width": WIDTH, "original_height": HEIGHT}
        task = {"image": picture, "id": 3, "tag": [{**value, **size}], "annotation_id": 9}
    back, preview = run_import(write(tmp_path / "ls.json", [task]), video)
    assert preview.frames == (2,)
    assert [one.name for one in back.objects] == ["car"]
    assert is_box(back.labels(2) > 0)


@pytest.mark.parametrize(
    "value",
    [
        {"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": ["car"]},
        {"framesCount": 3, "sequence": [{"frame": 1, "x": 1, "y": 1}], "labels": ["car"]},
    ],
)
def test_label_studios_boxes_alone_are_refused(value: Any, video: Video, tmp_path: Path) -> None:
    path = write(tmp_path / "ls.json", [label_studio_task(value, "bear.mp4")])
    with pytest.raises(UserError, match=r"boxes alone \(1\)"):
        run_import(path, video)


@pytest.mark.parametrize("tail", ["", " 0.9", " 7"])
def test_yolos_points_in_pixels_are_refused(tail: str, video: Video, tmp_path: Path) -> None:
    corners = " ".join(f"{x} {y}" for x, y in CORNERS)
    write(tmp_path / "y" / "labels" / "00001.txt", f"0 {corners}{tail}\n")
    with pytest.raises(UserError, match="in pixels"):
        run_import(tmp_path / "y", video)


@pytest.mark.parametrize("name", ["masks.zip", "masks.npy", "matte.mp4"])
def test_what_is_no_picture_is_named(name: str, video: Video, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unpack an archive"):
        run_import(write(tmp_path / name, "masks"), video)


def test_yolos_parts_and_lists_of_names_are_found(video: Video, tmp_path: Path) -> None:
    corners = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in CORNERS)
    for place, list_of_names in (("obj_train_data", "obj.names"), ("labels/train", "classes.txt")):
        folder = tmp_path / list_of_names
        write(folder / place / "00001.txt", f"1 {corners}\n")
        write(folder / list_of_names, "dog\ncar\n")
        back, _ = run_import(folder, video)
        assert [one.name for one in back.objects] == ["car"]
    assert run_import(folder / "labels", video)[1].frames == (1,)


def test_a_folder_with_one_label_stack_is_that_stack(video: Video, tmp_path: Path) -> None:
    pages = [Image.fromarray(np.roll(BOX, n, axis=1).astype(np.uint8)) for n in range(COUNT)]
    (tmp_path / "m").mkdir()
    pages[0].save(tmp_path / "m" / "Labels.tif", save_all=True, append_images=pages[1:])
    back, _ = run_import(tmp_path / "m", video)
    np.testing.assert_array_equal(back.labels(2) > 0, np.roll(BOX, 2, axis=1))


def test_a_data_set_one_folder_down_is_found(video: Video, tmp_path: Path) -> None:
    """A Supervisely project keeps its data sets in folders, and VOCdevkit its years."""
    write(tmp_path / "p" / "meta.json", {"classes": []})
    for name in ("masks_machine", "masks_human"):
        (tmp_path / "p" / "ds0" / name).mkdir(parents=True)
        pixels = BOX.astype(np.uint8) * (1 if name == "masks_machine" else 77)
        Image.fromarray(pixels).save(tmp_path / "p" / "ds0" / name / "00001.png")
    back, preview = run_import(tmp_path / "p", video)
    assert preview.masks.title == "Supervisely"
    np.testing.assert_array_equal(back.labels(1) == 1, BOX)
