"""project.json: kept as it is, brought up to date, refused when newer, and never trusted."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from interaction.annotation.types import EMPTY_RECORD, Edit, FrameStatus
from interaction.errors import NewerProjectError, UserError
from interaction.project.manifest import (
    FORMAT,
    KEYS_FORMAT,
    manifest_text,
    migrate,
    parse_json,
    read_manifest,
)
from interaction.project.project import Project
from interaction.project.records import DamagedValueError, record_from_json
from tests.unit.project_samples import FRAMES, Annotator, state, state_of, write_source
from tests.unit.test_journal import mutated


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bear.vos"
    with Project.create(folder, write_source(tmp_path)) as project:
        annotator = Annotator(project)
        annotator.work(1)
        annotator.click(3, 1, 1)
    return folder


def data_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "project.json").read_text("utf-8")))


def write(folder: Path, data: Any) -> None:
    (folder / "project.json").write_text(json.dumps(data), "utf-8")


def test_reading_and_writing_again_changes_nothing(folder: Path) -> None:
    path = folder / "project.json"
    manifest, damages = read_manifest(path)
    assert damages == []
    assert manifest_text(manifest) == path.read_text("utf-8")


def test_it_is_one_line_a_frame(folder: Path) -> None:
    lines = (folder / "project.json").read_text("utf-8").splitlines()
    assert len([line for line in lines if line.startswith('    "3": {"mask":[')]) == 1


def test_it_says_what_the_design_promises(folder: Path) -> None:
    data = data_of(folder)
    assert data["format"] == KEYS_FORMAT
    source = data["source"]
    assert Path(source["path"]).is_absolute()
    assert source["relative"] == "../зебра 1.mp4"
    assert (source["frames"], source["width"], source["height"]) == (FRAMES, 24, 16)
    assert source["size"] == 3_000_000
    assert len(source["digest"]) == 64
    assert {"id", "name", "color", "is_locked", "is_visible"} == data["objects"][0].keys()
    assert data["frames"]["3"]["status"] == "corrected"
    assert data["app_version"]


def test_a_newer_project_is_refused_and_left_alone(folder: Path) -> None:
    write(folder, {"format": FORMAT + 1, "app_version": "9.1", "what": "ever"})
    before = (folder / "project.json").read_bytes()
    with pytest.raises(NewerProjectError, match=r"newer version of this program \(9.1\)"):
        Project.open(folder)
    assert (folder / "project.json").read_bytes() == before
    assert not (folder / "project.lock").exists()


def test_an_older_format_takes_one_step_after_another(tmp_path: Path) -> None:
    steps = {
        0: lambda data: {**data, "name": data["title"]},
        1: lambda data: {**data, "name": data["name"].upper()},
    }
    data = migrate({"format": 0, "title": "bear", "other": 1}, tmp_path, steps, to=2)
    assert data == {"format": 2, "title": "bear", "name": "BEAR", "other": 1}
    with pytest.raises(DamagedValueError, match="never was a format 0"):
        migrate({"format": 0}, tmp_path, {1: steps[1]}, to=2)
    with pytest.raises(NewerProjectError):
        migrate({"format": 3}, tmp_path, steps, to=2)


@pytest.mark.parametrize("number", [None, "1", 1.0, True, -1, [1]])
def test_a_format_that_is_no_number_is_damage(tmp_path: Path, number: Any) -> None:
    with pytest.raises(DamagedValueError):
        migrate({"format": number}, tmp_path)


@pytest.mark.parametrize(
    ("change", "damage"),
    [
        ({"objects": "none"}, "objects"),
        ({"objects": [{"id": 0, "name": "x", "color": [1, 2, 3]}]}, "from 1 to 255"),
        ({"objects": [{"id": 256, "name": "x", "color": [1, 2, 3]}]}, "from 1 to 255"),
        ({"objects": [{"id": 1, "name": "x", "color": [1, 2, 300]}]}, "color"),
        ({"objects": [{"id": 1, "name": 5, "color": [1, 2, 3]}]}, "name"),
        ({"objects": 2 * [{"id": 1, "name": "x", "color": [1, 2, 3]}]}, "two objects 1"),
        ({"frames": []}, "list of frames"),
        ({"engine": 7}, "engines"),
    ],
)
def test_what_is_damaged_is_reported_and_nothing_is_written(
    folder: Path, change: dict[str, Any], damage: str
) -> None:
    write(folder, {**data_of(folder), **change})
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with Project.open(folder) as project:
        assert project.is_read_only
        assert damage in "\n".join(project.damages)
        project.load_annotation()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "change",
    [
        {"doubt": float("nan")},
        {"doubt": 2},
        {"doubt": 10**400},
        {"status": "perfect"},
        {"present": [0]},
        {"present": [77]},
        {"given": [0]},
        {"given": "all"},
        {"mask": [0, 10]},
        {"mask": ["../../etc/passwd"]},
        {"mask": [0, 2**61, 5]},
        {"mask": [10**9, 100, 5]},
        {"prompts": {"object": 1}},
        {"prompts": {"object": 1, "start": None, "start_status": "empty", "clicks": [[1, 2]]}},
    ],
)
def test_one_damaged_frame_costs_only_itself(folder: Path, change: dict[str, Any]) -> None:
    with Project.open(folder, read_only=True) as project:
        records = state(project)[0]
    data = data_of(folder)
    data["frames"]["3"] |= change
    write(folder, data)
    with Project.open(folder) as project:
        if project.is_read_only:
            assert any("rame 3" in one or "JSON" in one for one in project.damages)
        found = dict(project.load_annotation().records)
        assert {**found, 3: records[3]} == records


def test_a_corrected_record_of_before_answers_for_all_that_is_in_its_mask() -> None:
    value = {"mask": None, "status": "corrected", "present": [2, 5], "doubt": 0.0}
    assert record_from_json(value, lambda _: b"").given == {2, 5}
    assert not record_from_json({**value, "status": "tracked"}, lambda _: b"").given


@pytest.mark.parametrize("frame", ["-1", "20", "99999999999999999999", "x", "1e0", "１"])
def test_a_frame_outside_the_video_is_damage(folder: Path, frame: str) -> None:
    data = data_of(folder)
    data["frames"][frame] = data["frames"]["3"]
    write(folder, data)
    with Project.open(folder) as project:
        assert f"Frame {frame}" in "\n".join(project.damages)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"x"', "\0" * 100, "[" * 100_000, '{"a":' * 50_000, "\ud800", "1e999"],
)
def test_without_a_readable_project_json_the_journal_gives_the_state(
    folder: Path, text: str
) -> None:
    with Project.open(folder, read_only=True) as project:
        expected = state(project)
    (folder / "project.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with Project.open(folder) as project:
        assert project.is_read_only
        assert "project.json" in project.damages[0]
        assert state(project) == expected


def test_without_both_there_is_nothing_to_go_by(folder: Path) -> None:
    (folder / "project.json").write_text("{")
    (folder / "journal.jsonl").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        Project.open(folder)


@pytest.mark.parametrize("name", ["a\udcff.mp4", "\N{SNOWMAN}", "a\nb", '"'])
def test_names_that_are_no_text_survive(tmp_path: Path, name: str) -> None:
    source = write_source(tmp_path)
    renamed = tmp_path / name
    source.path.rename(renamed)
    with Project.create(tmp_path / "p.vos", write_source(tmp_path)) as project:
        project.relocate(tmp_path / "зебра 1.mp4")
        source.path.rename(renamed)
        project.relocate(renamed)
    with Project.open(tmp_path / "p.vos") as project:
        assert project.view.find_source() == renamed


def test_what_is_changed_by_hand_comes_in_as_an_edit(folder: Path) -> None:
    data = data_of(folder)
    data["objects"][0]["name"] = "Bär"
    data["frames"]["3"] |= {"status": "confirmed", "prompts": None}
    gone = next(frame for frame in data["frames"] if frame != "3")
    del data["frames"][gone]
    write(folder, data)
    with Project.open(folder) as project:
        annotator = Annotator(project)
        before = dict(annotator.annotation.records), annotator.annotation.objects
        edit = project.view.outside_changes()
        assert edit is not None
        assert edit.frames == {3, int(gone)}
        annotator.apply(edit)
        assert annotator.annotation.objects[0].name == "Bär"
        assert annotator.annotation.record(3).status is FrameStatus.CONFIRMED
        assert annotator.annotation.record(int(gone)) == EMPTY_RECORD
        annotator.travel(is_undo=True)
        assert (dict(annotator.annotation.records), annotator.annotation.objects) == before
        annotator.travel(is_undo=False)
        while annotator.history.can_undo:
            annotator.travel(is_undo=True)
        expected = state_of(annotator)
    with Project.open(folder) as project:
        assert project.view.outside_changes() is None
        assert state(project) == expected


def test_numbers_that_json_does_not_know_are_refused() -> None:
    for text in (b"NaN", b"[Infinity]", b"-Infinity", b"1e999", b"[" * 10_000, b"1" * 5000):
        with pytest.raises(DamagedValueError):
            parse_json(text)


def test_nothing_in_a_mutated_manifest_raises_anything_but_words(folder: Path) -> None:
    data = data_of(folder)
    chance = random.Random(0)
    outside = {path: path.read_bytes() for path in folder.parent.glob("*.mp4")}
    for _ in range(200):
        changed: Any = data
        for _ in range(chance.randrange(1, 3)):
            changed = mutated(changed, chance)
        write(folder, changed)
        try:
            with Project.open(folder) as project:
                project.load_annotation()
                if not project.is_read_only:
                    project.record(Edit("x"))
        except UserError:
            pass
    assert outside == {path: path.read_bytes() for path in folder.parent.glob("*.mp4")}
    assert sorted(path.name for path in folder.parent.iterdir()) == ["bear.vos", "зебра 1.mp4"]
