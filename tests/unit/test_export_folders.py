"""What every export promises about places on disk, about choice, and about what is missing."""

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interaction.annotation.annotation import Annotation
from interaction.annotation.mask_files import decode_labels, read_size
from interaction.annotation.types import FrameRecord, FrameStatus, ObjectInfo
from interaction.errors import DiskFullError, UserError
from interaction.formats.export import FORMATS, ExportSettings, check_export, export
from interaction.formats.format import ExportSource
from interaction.formats.options import ExportOptions, describe_options, options_from_texts
from interaction.video.video import Video
from tests.unit.mask_scenes import annotate, open_frames, run_export, run_import, scene

WIDTH, HEIGHT, COUNT = 64, 48, 6
DOG = ObjectInfo(1, "dog", (230, 159, 0))
CAT = ObjectInfo(2, "cat: the/second", (86, 180, 233))


@pytest.fixture
def video(tmp_path: Path) -> Any:
    with open_frames(tmp_path / "bear", COUNT, WIDTH, HEIGHT) as video:
        yield video


@pytest.fixture
def annotation(video: Video) -> Annotation:
    masks = {frame: scene(WIDTH, HEIGHT, frame) for frame in range(COUNT)}
    return annotate(masks, video, (DOG, CAT))


def settings(target: Path, name: str = "palette-png", **more: Any) -> ExportSettings:
    return ExportSettings(format=name, target=target, **more)


@pytest.mark.parametrize("name", FORMATS)
def test_a_cancelled_export_leaves_no_trace(
    name: str, video: Video, annotation: Annotation, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    target = tmp_path / "new" / "out"
    steps = export(ExportSource.of(annotation, video), settings(target, name))
    next(steps)
    next(steps)
    steps.close()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("name", FORMATS)
def test_no_link_in_the_folder_of_an_export_is_followed(
    name: str, video: Video, annotation: Annotation, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "file").write_text("kept")
    source = ExportSource.of(annotation, video)
    first = tmp_path / "first"
    report = run_export(annotation, video, name, first / "out")
    (first / "chosen").symlink_to(report.target.parent)  # this one is followed
    written = [report.target.parent / one for one in report.files]
    if report.target.is_dir():
        written = [report.target / one for one in report.files]
    folders = {path.parent for path in written} - {report.target, report.target.parent}
    for path in written:
        path.unlink()
        path.symlink_to(outside / "file")
    again = settings(first / "chosen" / "out", name, overwrites=True)
    list(export(source, again))
    assert (outside / "file").read_text() == "kept"
    assert not [path for path in written if path.is_symlink()]
    for folder in folders:
        shutil.rmtree(folder)
        folder.symlink_to(outside / "folder")
        with pytest.raises(UserError, match="link"):
            list(export(source, again))
        folder.unlink()
    assert list((outside / "folder").iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
def test_every_export_tells_its_progress_and_lists_its_frames(
    name: str, video: Video, annotation: Annotation, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    steps = export(ExportSource.of(annotation, video), settings(target, name, first=1, step=2))
    seen = []
    try:
        while True:
            assert not target.exists(), "it has its name before it is whole"
            seen.append(next(steps))
    except StopIteration as end:
        report = end.value
    assert [(step.done, step.total, step.frame) for step in seen] == [
        (1, 3, 1),
        (2, 3, 3),
        (3, 3, 5),
    ]
    root = report.target if report.target.is_dir() else report.target.parent
    table = "frames.csv" if report.target.is_dir() else f"{report.target.name}.frames.csv"
    with (root / table).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted({int(row["index"]) for row in rows}) == [1, 3, 5]
    assert float(rows[0]["timestamp_s"]) == pytest.approx(1 / 24, abs=1e-5)
    if name not in (
        "coco",
        "youtube-vis",
        "cvat-xml",
        "label-studio",
    ):  # those name pictures, not files of the export
        assert all((root / row["file"]).is_file() for row in rows)
    assert not list(tmp_path.glob(".*"))


def test_a_folder_that_holds_something_is_left_alone_unless_replacing_is_allowed(
    video: Video, annotation: Annotation, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "00000.png").write_text("mine")
    (target / "notes.txt").write_text("mine too")
    with pytest.raises(UserError, match=r"notes\.txt"):
        run_export(annotation, video, "palette-png", target)
    assert (target / "00000.png").read_text() == "mine"
    preview = check_export(ExportSource.of(annotation, video), settings(target))
    assert preview.problem is not None
    report = run_export(annotation, video, "palette-png", target, overwrites=True)
    assert (target / "notes.txt").read_text() == "mine too"
    assert read_size(target / "00000.png") == (WIDTH, HEIGHT)
    assert any("1 other file" in notice for notice in report.notices)


def test_files_that_appear_while_it_runs_are_not_replaced(
    video: Video, annotation: Annotation, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    steps = export(ExportSource.of(annotation, video), settings(target))
    next(steps)
    target.mkdir()
    (target / "00000.png").write_text("someone else's")
    with pytest.raises(UserError, match="already"):
        list(steps)
    assert (target / "00000.png").read_text() == "someone else's"
    assert not list(tmp_path.glob(".*"))


def test_an_export_never_goes_into_its_own_source(
    video: Video, annotation: Annotation, tmp_path: Path
) -> None:
    pictures = {path: path.read_bytes() for path in video.path.iterdir()}
    for target in (video.path, video.path / "masks"):
        with pytest.raises(UserError, match="made from"):
            run_export(annotation, video, "palette-png", target, overwrites=True)
    project = tmp_path / "bear.project"
    source = ExportSource.of(annotation, video, protects=(project,))
    project.mkdir()
    with pytest.raises(UserError, match="made from"):
        export(source, settings(project / "masks"))
    assert {path: path.read_bytes() for path in video.path.iterdir()} == pictures


def test_a_full_disk_is_reported_in_words_and_leaves_nothing(
    video: Video, annotation: Annotation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskFullError):
        run_export(annotation, video, "palette-png", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


def test_an_edit_made_while_it_runs_does_not_change_what_is_exported(
    video: Video, annotation: Annotation, tmp_path: Path
) -> None:
    from interaction.annotation.types import Edit

    source = ExportSource.of(annotation, video)
    steps = export(source, settings(tmp_path / "out"))
    next(steps)
    expected = annotation.labels(5).copy()
    annotation.apply(Edit("Clear", {5: annotation.record(5)}, {5: FrameRecord()}))
    list(steps)
    back, _ = run_import(tmp_path / "out", video)
    np.testing.assert_array_equal(back.labels(5), expected)


def test_only_the_chosen_objects_leave(
    video: Video, annotation: Annotation, tmp_path: Path
) -> None:
    run_export(annotation, video, "palette-png", tmp_path / "out", objects=frozenset({2}))
    back, _ = run_import(tmp_path / "out", video)
    assert [(one.id, one.name, one.color) for one in back.objects] == [(2, CAT.name, CAT.color)]
    np.testing.assert_array_equal(
        back.labels(0), annotation.labels(0) * (annotation.labels(0) == 2)
    )
    with pytest.raises(UserError, match="no object 9"):
        run_export(annotation, video, "palette-png", tmp_path / "b", objects=frozenset({9}))


def test_names_that_no_file_can_have_become_folders_all_the_same(
    video: Video, tmp_path: Path
) -> None:
    names = ["../../up", "con", "a/b\\c", "  . ", "ångström 犬"]
    objects = tuple(ObjectInfo(i, name, (i, i, i)) for i, name in enumerate(names, start=1))
    masks = {0: np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8) % 6}
    annotation = annotate(masks, video, objects)
    report = run_export(annotation, video, "binary", tmp_path / "out")
    assert not (tmp_path / "up").exists()
    assert all(
        (tmp_path / "out" / name).resolve().is_relative_to(tmp_path / "out")
        for name in report.files
    )
    back, _ = run_import(tmp_path / "out", video)
    assert [one.name for one in back.objects] == [name.strip() or None for name in names]


def test_the_dry_run_says_which_object_is_missing_where(video: Video, tmp_path: Path) -> None:
    masks = {frame: scene(WIDTH, HEIGHT) for frame in (0, 1, 4)}
    masks[1] = np.where(masks[1] == 1, 1, 0).astype(np.uint8)
    bird = ObjectInfo(3, "bird", (1, 2, 3))
    annotation = annotate(masks, video, (DOG, CAT, bird))
    preview = check_export(ExportSource.of(annotation, video), settings(tmp_path / "out"))
    assert preview.problem is None
    assert preview.lines() == [
        "object ‘dog’ has no mask on 3 frames: 2-3, 5",
        f"object ‘{CAT.name}’ has no mask on 4 frames: 1-3, 5",
        "object ‘bird’ has no mask on any of the frames",
        "3 frames were never annotated or tracked: 2-3, 5",
    ]
    assert json.dumps(preview.to_json())
    assert list(tmp_path.iterdir()) == [video.path], "a dry run writes nothing"


def test_an_object_that_a_confirmed_frame_leaves_out_is_absent_and_not_missing(
    video: Video, tmp_path: Path
) -> None:
    only_dog = np.where(scene(WIDTH, HEIGHT) == 1, 1, 0).astype(np.uint8)
    masks = {frame: only_dog if frame == 2 else scene(WIDTH, HEIGHT) for frame in range(COUNT)}
    annotation = annotate(masks, video, (DOG, CAT), FrameStatus.CONFIRMED)
    assert check_export(ExportSource.of(annotation, video), settings(tmp_path / "o")).gaps == ()


def test_frames_that_were_never_touched_can_be_left_out(video: Video, tmp_path: Path) -> None:
    annotation = annotate({2: scene(WIDTH, HEIGHT)}, video)
    report = run_export(annotation, video, "palette-png", tmp_path / "out", only_annotated=True)
    assert report.files == ("00002.png", "frames.csv", "objects.json")
    with pytest.raises(UserError, match="nothing to export"):
        run_export(annotation, video, "binary", tmp_path / "b", only_annotated=True, first=3)


@pytest.mark.parametrize(("first", "last", "step"), [(4, 2, 1), (0, COUNT, 1), (0, None, 0)])
def test_a_range_outside_the_video_is_refused(
    video: Video, annotation: Annotation, tmp_path: Path, first: int, last: int | None, step: int
) -> None:
    with pytest.raises(UserError):
        run_export(
            annotation, video, "palette-png", tmp_path / "out", first=first, last=last, step=step
        )


def test_an_annotation_without_objects_exports_empty_masks(video: Video, tmp_path: Path) -> None:
    annotation = annotate({}, video)
    for name in FORMATS:
        run_export(annotation, video, name, tmp_path / name)
    mask = decode_labels((tmp_path / "palette-png" / "00003.png").read_bytes())
    assert not mask.any()


@pytest.mark.parametrize("kind", [one.options for one in FORMATS.values()])
def test_every_setting_describes_itself(kind: type[ExportOptions]) -> None:
    for info in describe_options(kind):
        assert info.title
        info.check(info.default)
        for value, title in info.choices:
            assert value
            assert title


def test_settings_are_read_from_words_and_refused_with_the_reason() -> None:
    kind = FORMATS["overlay-video"].options
    made = options_from_texts(kind, {"opacity": "0.25", "has-sound": "no", "outline_px": "3"})
    assert made == kind(opacity=0.25, has_sound=False, outline_px=3)  # type: ignore[call-arg]
    for texts in (
        {"opacity": "2"},
        {"opacity": "nan"},
        {"opacity": "much"},
        {"view": "pink"},
        {"has_sound": "perhaps"},
        {"speed": "1"},
    ):
        with pytest.raises(UserError):
            options_from_texts(kind, texts)
    with pytest.raises(UserError, match="colour"):
        options_from_texts(FORMATS["green-screen"].options, {"color": "green"})
    with pytest.raises(ValueError, match="outline_px"):
        kind(outline_px=True)  # type: ignore[call-arg]
