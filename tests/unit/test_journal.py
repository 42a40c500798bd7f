"""The journal: what a crash cut off is dropped, what was damaged is noticed."""

import json
import random
from pathlib import Path

import pytest

from interaction.annotation.types import Edit
from interaction.errors import DamagedProjectError, ReadOnlyProjectError, UserError
from interaction.project.journal import read_lines, seal, unseal
from interaction.project.project import Project
from interaction.project.records import DamagedValueError
from tests.unit.project_samples import Annotator, State, state, state_of, write_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a project with some work in it, which was closed."""
    folder = tmp_path / "bear.vos"
    with Project.create(folder, write_source(tmp_path)) as project:
        Annotator(project).work(1)
    return folder


def journal_lines(folder: Path) -> list[bytes]:
    return (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)


def write_lines(folder: Path, lines: list[bytes]) -> None:
    (folder / "journal.jsonl").write_bytes(b"".join(lines))


def read(folder: Path) -> State:
    with Project.open(folder) as project:
        assert project.damages == ()
        return state(project)


def test_every_line_is_json_by_itself(folder: Path) -> None:
    kinds = [json.loads(line)["kind"] for line in journal_lines(folder)]
    assert kinds[0] == "start"
    assert set(kinds[1:]) == {"edit", "move"}


def test_a_line_says_when_what_and_why(folder: Path) -> None:
    click = next(
        value
        for line in journal_lines(folder)
        if "Click" in (value := json.loads(line)).get("label", "")
    )
    assert click["cause"]["kind"] == "brush"
    assert click["at"].endswith("+00:00")
    (frame, (_, after)) = next(iter(click["frames"].items()))
    assert click["label"] == f"Click on frame {frame}"
    assert len(after["prompts"]["clicks"]) == 2


@pytest.mark.parametrize("cut", [1, 2, 30, -3])
def test_a_line_that_was_cut_off_is_as_if_it_had_never_been_begun(folder: Path, cut: int) -> None:
    expected = read(folder)
    lines = journal_lines(folder)
    next_line = seal({"kind": "move", "at": "now", "position": 0})
    write_lines(folder, [*lines, next_line[:cut]])
    assert read(folder) == expected
    with Project.open(folder) as project:
        annotator = Annotator(project)
        annotator.work(2)
        expected = state_of(annotator)
    assert read(folder) == expected
    assert all(json.loads(line) for line in journal_lines(folder))


def test_garbage_after_the_last_line_is_dropped(folder: Path) -> None:
    expected = read(folder)
    write_lines(folder, [*journal_lines(folder), bytes(5000), b"\n\xff\xfe\n", b"{}\n"])
    assert read(folder) == expected


def test_last_edits_can_be_lost_without_losing_more(folder: Path) -> None:
    """A power cut that took the end of the journal but not of what project.json knew."""
    (folder / "project.json").unlink()
    lines = journal_lines(folder)
    for keep in range(len(lines), 1, -3):
        write_lines(folder, lines[:keep])
        with Project.open(folder, read_only=True) as project:
            assert project.damages == ()
            history = project.view.history
            assert len(history.entries) <= keep


def test_a_damaged_line_in_the_middle_is_reported_and_the_masks_stay_readable(folder: Path) -> None:
    records = read(folder)[0]
    lines = journal_lines(folder)
    lines[5] = lines[5].replace(b"position", b"posltion")
    write_lines(folder, lines)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with Project.open(folder) as project:
        assert project.is_read_only
        assert "line 6" in project.damages[0]
        assert dict(project.load_annotation().records) == records
        assert project.view.history.entries == ()
        with pytest.raises(ReadOnlyProjectError, match="damaged"):
            project.record(Edit("x"))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_line_taken_out_is_noticed(folder: Path) -> None:
    lines = journal_lines(folder)
    write_lines(folder, lines[:4] + lines[5:])
    with Project.open(folder) as project:
        assert project.damages


def test_an_edit_that_does_not_begin_where_the_last_one_ended_is_damage(folder: Path) -> None:
    lines = journal_lines(folder)
    index, value = next(
        (index, value)
        for index, line in enumerate(lines)
        if "Click" in (value := json.loads(line)).get("label", "")
    )
    del value["check"]
    pair = next(iter(value["frames"].values()))
    pair[0] = pair[1]
    lines[index] = seal(value)
    write_lines(folder, lines)
    with Project.open(folder) as project:
        assert f"line {index + 1}: it does not begin where" in project.damages[0]


def test_a_journal_that_is_missing_or_short_is_damage_and_the_masks_are_there(folder: Path) -> None:
    records = read(folder)[0]
    lines = journal_lines(folder)
    for kept in (lines[:6], [], None):
        (folder / "journal.jsonl").unlink()
        if kept is not None:
            write_lines(folder, kept)
        with Project.open(folder) as project:
            assert project.damages
            assert dict(project.load_annotation().records) == records
        if kept is None:
            break


def test_a_damaged_mask_of_the_history_is_reported_when_it_is_needed(folder: Path) -> None:
    with Project.open(folder) as project:
        annotator = Annotator(project)
        for number in range(3):
            annotator.click(1, number, 11)
    store = folder / "history" / "masks.bin"
    data = bytearray(store.read_bytes())
    data[-5] ^= 1  # of the newest mask, which its file still has
    store.write_bytes(data)
    with Project.open(folder) as project:
        assert project.damages == ()
        history = project.view.history
        position = history.position
        with pytest.raises(DamagedProjectError, match="Click on frame 1"):
            history.undo()
        assert history.position == position


def test_a_mask_that_is_gone_from_both_places_is_named(folder: Path) -> None:
    with Project.open(folder) as project:
        annotator = Annotator(project)
        annotator.click(1, 1, 11)
        records = dict(annotator.annotation.records)
    store = folder / "history" / "masks.bin"
    data = bytearray(store.read_bytes())
    data[-5] ^= 1
    store.write_bytes(data)
    (folder / "masks" / "0000001.png").write_bytes(b"gone")
    with Project.open(folder) as project:
        assert project.is_read_only
        assert [one for one in project.damages if one.startswith("Frame 1:")]
        del records[1]
        assert dict(project.load_annotation().records) == records


def test_clicks_whose_first_mask_is_lost_do_not_take_the_mask_with_them(folder: Path) -> None:
    with Project.open(folder) as project:
        annotator = Annotator(project)
        annotator.click(1, 1, 11)
        annotator.click(1, 2, 12)
        mask = annotator.annotation.record(1).mask
    store = folder / "history" / "masks.bin"
    data = bytearray(store.read_bytes())
    data[-len(mask or b"") - 5] ^= 1
    store.write_bytes(data)
    with Project.open(folder) as project:
        assert any("clicks are lost" in one for one in project.damages)
        record = project.load_annotation().record(1)
        assert (record.mask, record.prompts) == (mask, None)


def test_a_store_that_was_cut_is_damage(folder: Path) -> None:
    records = read(folder)[0]
    store = folder / "history" / "masks.bin"
    store.write_bytes(store.read_bytes()[:-100])
    with Project.open(folder) as project:
        assert any("masks.bin" in one for one in project.damages)
        assert dict(project.load_annotation().records) == records


def test_one_changed_bit_anywhere_in_a_line_is_noticed() -> None:
    line = seal({"kind": "edit", "label": "bär", "frames": {"3": [None, {"doubt": 0.25}]}})
    assert unseal(line)["label"] == "bär"
    for bit in range(8 * len(line)):
        damaged = bytearray(line)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamagedValueError):
            unseal(bytes(damaged))


def test_nothing_in_a_mutated_journal_raises_anything_but_words(folder: Path) -> None:
    lines = journal_lines(folder)
    chance = random.Random(0)
    for _ in range(150):
        changed = list(lines)
        for _ in range(chance.randrange(1, 4)):
            where = chance.randrange(len(changed))
            value = json.loads(changed[where])
            value.pop("check")
            changed[where] = seal(mutated(value, chance))  # a liar knows how to make checksums
        write_lines(folder, changed)
        if chance.random() < 0.3:
            (folder / "project.json").unlink(missing_ok=True)
        try:
            with Project.open(folder, read_only=True) as project:
                project.load_annotation()
                history = project.view.history
                while history.can_undo:
                    history.undo()
        except UserError:
            pass


def mutated(value: dict[str, object], chance: random.Random) -> dict[str, object]:
    """With one value, somewhere, made another."""
    strange: list[object] = [None, -1, 2**70, 1.5, "x", "../../etc", [], {}, [[]], True, 300]
    key = chance.choice(sorted(value))
    inner = value[key]
    if isinstance(inner, dict) and inner and chance.random() < 0.8:
        return {**value, key: mutated(inner, chance)}
    if isinstance(inner, list) and inner and chance.random() < 0.8:
        where = chance.randrange(len(inner))
        part = inner[where]
        new = mutated(part, chance) if isinstance(part, dict) and part else chance.choice(strange)
        return {**value, key: [*inner[:where], new, *inner[where + 1 :]]}
    if chance.random() < 0.2:
        return {one: value[one] for one in value if one != key}
    return {**value, key: chance.choice(strange)}


def test_lines_are_read_with_their_places(folder: Path) -> None:
    lines = journal_lines(folder)
    with (folder / "journal.jsonl").open("rb") as file:
        found = list(read_lines(file))
    assert [one.size_bytes for one in found] == [len(line) for line in lines]
    assert found[3].offset == sum(map(len, lines[:3]))
