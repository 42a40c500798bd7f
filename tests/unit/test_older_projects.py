"""A project of an earlier program: it opens, is worked on and opens again, history included."""

import json
from pathlib import Path
from typing import Any

import pytest

from interaction.annotation.requests import ConfirmRequest, StrokeRequest
from interaction.annotation.types import FrameStatus, Stroke
from interaction.files import append_plain
from interaction.project import mask_store
from interaction.project.journal import decode_edit, seal
from interaction.project.manifest import FIRST_FORMAT, KEYS_FORMAT
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines, project_of

DAB = Stroke(((10.0, 20.0), (20.0, 20.0)), 4)
OTHER = Stroke(((40.0, 20.0), (50.0, 20.0)), 4)


def _as_before(value: Any) -> Any:
    """Without what records did not say until a frame could hold given and tracked objects."""
    if isinstance(value, list):
        return [_as_before(one) for one in value]
    if isinstance(value, dict):
        new = ("given", "start_given")
        return {key: _as_before(one) for key, one in value.items() if key not in new}
    return value


def _write_as_before(folder: Path) -> None:
    journal, manifest = folder / "journal.jsonl", folder / "project.json"
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    for line in lines:
        del line["check"]
        if "label" in line:  # a text then, and not a key
            line["label"] = str(decode_edit(line, 6, lambda place: b"").label)
    journal.write_bytes(b"".join(seal(_as_before(line)) for line in lines))
    state = _as_before(json.loads(manifest.read_bytes()))
    state["journal_bytes"] = journal.stat().st_size
    state["format"] = FIRST_FORMAT
    manifest.write_text(json.dumps(state))
    assert b"given" not in journal.read_bytes()
    assert b"given" not in manifest.read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a project with strokes, clicks and a run, as the earlier program left it."""
    tiny.write_clip(tmp_path / "clip", 6)
    folder = tmp_path / "bear.vos"
    with Session.open(tmp_path / "clip", folder, engines=FakeEngines()) as session:
        bear, cub = session.add_object("bear"), session.add_object("cub")
        session.do(StrokeRequest(0, bear, DAB))
        session.click(0, cub, 45, 20)
        session.do(StrokeRequest(4, bear, DAB))
        session.propagate(0)
        session.do(ConfirmRequest(5))
    _write_as_before(folder)
    return folder


def open_project(folder: Path) -> Session:
    return Session.open_project(folder, engines=FakeEngines())


def test_a_project_of_an_earlier_program_is_whole_after_it_was_edited(folder: Path) -> None:
    with open_project(folder) as session:
        assert project_of(session).damages == ()
        steps = len(session.history.entries)
        session.do(StrokeRequest(0, 2, OTHER))
        session.do(StrokeRequest(4, 2, OTHER))
        session.click(5, 1, 20, 30)
        records = dict(session.annotation.records)
    with open_project(folder) as session:
        assert project_of(session).damages == ()
        assert not session.ledger.is_read_only
        assert dict(session.annotation.records) == records
        assert len(session.history.entries) == steps + 3
        assert session.project is not None
        assert session.project.view.outside_changes() is None


def test_an_earlier_program_s_steps_are_undone_and_redone_over_many_openings(folder: Path) -> None:
    with open_project(folder) as session:
        session.do(StrokeRequest(0, 2, OTHER))
        end = session.history.position
        records = dict(session.annotation.records)
        session.ledger.go_to(0)
    with open_project(folder) as session:
        assert (project_of(session).damages, session.history.position) == ((), 0)
        assert not session.annotation.records
        session.ledger.go_to(end)
        assert dict(session.annotation.records) == records
    with open_project(folder) as session:
        assert (project_of(session).damages, session.history.position) == ((), end)
        assert dict(session.annotation.records) == records
        session.undo()
        session.do(StrokeRequest(3, 1, OTHER))
    with open_project(folder) as session:
        assert project_of(session).damages == ()


def test_an_earlier_program_s_click_taken_out_leaves_what_was_given_before_it(folder: Path) -> None:
    with open_project(folder) as session:
        session.remove_click(0, 0)
        record = session.annotation.record(0)
        assert record.status is FrameStatus.CORRECTED
        assert record.given == record.present == {1}
    with open_project(folder) as session:
        assert project_of(session).damages == ()
        assert session.annotation.record(0) == record


def test_it_is_of_the_newer_format_before_the_first_line_that_an_earlier_program_cannot_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That program then says that the project is newer, and not that it is damaged."""
    seen: list[tuple[int, bool]] = []

    def append(path: Path, data: bytes, end: int, *, may_have_rest: bool) -> None:
        if path.name == "journal.jsonl":
            manifest = json.loads((folder / "project.json").read_bytes())
            seen.append((manifest["format"], b'"label":{"key"' in data))
        append_plain(path, data, end, may_have_rest=may_have_rest)

    monkeypatch.setattr(mask_store, "append_plain", append)
    with open_project(folder) as session:
        session.undo()
        session.flush()
        session.do(StrokeRequest(3, 1, OTHER))
        session.flush()
    assert seen == [(FIRST_FORMAT, False), (KEYS_FORMAT, True)]
    with open_project(folder) as session:
        assert project_of(session).damages == ()
        session.undo()
    assert json.loads((folder / "project.json").read_bytes())["format"] == KEYS_FORMAT
