"""Frames in memory: what each gives, what is pinned and what is kept out, in runs and on disk."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interaction.annotation.requests import (
    ConfirmRequest,
    MemoryRequest,
    Propagated,
    PropagationRequest,
    Remembered,
)
from interaction.annotation.types import (
    FrameStatus,
    MemoryRange,
    MemoryRule,
    MemoryRules,
)
from interaction.answers import propagation
from interaction.command_line.app import main
from interaction.errors import UserError
from interaction.project.causes import cause_from_json, cause_to_json
from interaction.project.records import DamagedValueError, memory_from_json, ranges_to_json
from interaction.session import Session
from interaction.tracking.propagation import GivenMasks
from interaction.tracking.propagation_job import MEMORY_UNKNOWN
from tests import tiny
from tests.fake_engines import SHORT, FakeEngines, project_of, tiny_network
from xmem_core import Tracker
from xmem_core.config import RememberedFrame

PINNED, EXCLUDED, FREE = MemoryRule.PINNED, MemoryRule.EXCLUDED, MemoryRule.FREE
COUNT = 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.write_clip(tmp_path / "clip", COUNT)
    return tmp_path / "bear.vos"


@pytest.fixture
def session(folder: Path) -> Iterator[Session]:
    """A bear and a cub, given on frame 0."""
    with Session.open(folder.parent / "clip", folder, engines=FakeEngines()) as session:
        bear, cub = session.add_object("bear"), session.add_object("cub")
        session.set_mask(0, tiny.labels(0, bear, cub))
        yield session


def say(session: Session, first: int, last: int, rule: MemoryRule) -> bool:
    return session.do(MemoryRequest(first, last, rule))


def bank_of(session: Session) -> dict[str, set[int]]:
    """The frames in each part of the last tracker's memory."""
    engines = session.engines.plain
    assert isinstance(engines, FakeEngines)
    found: dict[str, set[int]] = {"permanent": set(), "working": set(), "long_term": set()}
    for one in engines.trackers[-1].remembered():
        found[one.part].add(one.frame)
    return found


def masks_of(session: Session) -> list[bytes | None]:
    return [session.annotation.record(frame).mask for frame in range(COUNT)]


# The engine


def started() -> Tracker:
    tracker = Tracker(tiny_network(), SHORT, internal_size=None)
    tracker.memorize(0, tiny.frame(0), tiny.labels(0, 1, 2))
    tracker.begin()
    tracker.revisit(0, tiny.frame(0))
    return tracker


def test_memory_says_which_frames_it_holds_and_what_each_gives() -> None:
    tracker = started()
    for index in range(1, 16):
        tracker.track(tiny.frame(index), index=index)
    remembered = tracker.remembered()
    parts = {
        part: [one.frame for one in remembered if one.part == part] for part in parts_of(remembered)
    }
    assert parts["permanent"] == [0]
    assert set(parts["working"]) <= set(range(10, 16))
    assert set(parts["long_term"]) <= set(range(1, 14))
    assert parts["long_term"]
    assert parts["working"]
    assert sum(one.recent for one in remembered) == pytest.approx(1)
    assert all(0 <= one.average <= 1 for one in remembered)
    assert sum(one.elements for one in remembered) == tracker.bank.element_count


def parts_of(remembered: Iterable[RememberedFrame]) -> set[str]:
    return {one.part for one in remembered}


def test_an_evicted_frame_is_in_no_part_and_the_others_are_as_they_were() -> None:
    tracker = started()
    for index in range(1, 16):
        tracker.track(tiny.frame(index), index=index)
    before = {(one.part, one.frame): one.elements for one in tracker.remembered()}
    gone = {frame for part, frame in before if part != "permanent"}
    some = {min(gone), max(gone)}
    tracker.evict(some)
    after = {(one.part, one.frame): one.elements for one in tracker.remembered()}
    assert after == {key: count for key, count in before.items() if key[1] not in some}
    tracker.track(tiny.frame(16), index=16)


def test_a_frame_that_is_not_memorised_leaves_no_trace_and_the_next_takes_its_turn() -> None:
    tracker = started()
    for index in range(1, 5):
        tracker.track(tiny.frame(index), index=index, memorizes=index < 2 or index > 3)
    assert {one.frame for one in tracker.remembered() if one.part == "working"} == {4}


def test_what_is_kept_of_use_outlives_another_permanent_frame() -> None:
    tracker = started()
    tracker.track(tiny.frame(1), index=1)
    [before] = [one for one in tracker.remembered() if one.frame == 0]
    tracker.memorize(9, tiny.frame(9), tiny.labels(9, 1, 2))
    first, second = (one for one in tracker.remembered() if one.part == "permanent")
    assert first.average == pytest.approx(before.average)
    assert first.average > 0
    assert second.average == 0


def test_a_run_does_not_go_on_over_other_permanent_frames() -> None:
    tracker = started()
    tracker.track(tiny.frame(1), index=1)
    state = tracker.run_state()
    other = Tracker(tiny_network(), SHORT, internal_size=None)
    other.memorize(3, tiny.frame(3), tiny.labels(3, 1, 2))
    with pytest.raises(ValueError, match="what is memorised"):
        other.restore_run(state)


# Rules


def test_rules_stay_ascending_apart_and_joined() -> None:
    rules = MemoryRules().changed(2, 8, EXCLUDED).changed(4, 4, PINNED)
    assert rules.ranges == (
        MemoryRange(2, 3, EXCLUDED),
        MemoryRange(4, 4, PINNED),
        MemoryRange(5, 8, EXCLUDED),
    )
    assert rules.pinned == (4,)
    assert rules.excluded == (range(2, 4), range(5, 9))
    assert [rules.at(i) for i in (1, 2, 4, 8, 9)] == [FREE, EXCLUDED, PINNED, EXCLUDED, FREE]
    assert rules.changed(4, 4, EXCLUDED).ranges == (MemoryRange(2, 8, EXCLUDED),)
    assert not rules.changed(0, 99, FREE)


def test_rules_are_undone_survive_closing_and_make_the_newer_format(
    session: Session, folder: Path
) -> None:
    session.flush()
    assert json.loads((folder / "project.json").read_text())["format"] == 2
    assert "memory_after" not in (folder / "journal.jsonl").read_text()
    assert say(session, 4, 6, EXCLUDED)
    assert not say(session, 4, 6, EXCLUDED)
    assert say(session, 0, 0, PINNED)
    rules = session.annotation.memory
    session.flush()
    manifest = json.loads((folder / "project.json").read_text())
    assert manifest["format"] == 4
    assert manifest["memory_rules"] == [[0, 0, "pinned"], [4, 6, "excluded"]]
    session.close()
    with Session.open_project(folder, engines=FakeEngines()) as again:
        assert again.annotation.memory == rules
        again.undo()
        assert again.annotation.memory.pinned == ()
        again.undo()
        assert not again.annotation.memory
        again.redo()
    with Session.open_project(folder, engines=FakeEngines()) as again:
        assert again.annotation.memory == MemoryRules((MemoryRange(4, 6, EXCLUDED),))
        again.undo()
        assert not again.annotation.memory
    request = MemoryRequest(4, 6, EXCLUDED)
    assert cause_from_json(cause_to_json(request, frozenset())) == (request, frozenset())


def test_a_project_without_its_manifest_still_knows_the_rules(
    session: Session, folder: Path
) -> None:
    say(session, 4, 6, EXCLUDED)
    session.close()
    (folder / "project.json").unlink()
    with Session.open_project(folder, engines=FakeEngines()) as again:
        assert again.annotation.memory.excluded == (range(4, 7),)


def test_a_version_brings_its_rules_back(session: Session) -> None:
    say(session, 4, 6, EXCLUDED)
    project = project_of(session)
    version = project.save_version("one")
    say(session, 4, 6, FREE)
    for edit in project.view.restoring(version, session.annotation):
        session.apply(edit)
    assert session.annotation.memory.excluded == (range(4, 7),)
    session.undo()
    assert not session.annotation.memory


@pytest.mark.parametrize(
    "value",
    [
        "all",
        [[1, 2]],
        [[3, 1, "pinned"]],
        [[-1, 2, "excluded"]],
        [[1, 5, "pinned"], [4, 6, "excluded"]],
        [[1, 2, "free"]],
        [[1, 2, "gone"]],
        [[1.5, 2, "pinned"]],
        [[1, 2**31 - 1, "pinned"]],
    ],
)
def test_damaged_rules_are_refused(value: object) -> None:
    assert memory_from_json(ranges_to_json(MemoryRules().ranges), COUNT) == MemoryRules()
    with pytest.raises(DamagedValueError):
        memory_from_json(value, COUNT)


def test_a_frame_without_a_mask_cannot_be_pinned(session: Session) -> None:
    with pytest.raises(UserError, match="no mask to remember"):
        say(session, 5, 5, PINNED)
    with pytest.raises(IndexError):
        say(session, 5, COUNT, EXCLUDED)
    assert not session.annotation.memory


# Runs


def test_excluded_frames_are_never_memorised_and_still_get_masks(session: Session) -> None:
    say(session, 3, 9, EXCLUDED)
    seen: set[int] = set()
    session.propagate(
        0, on_step=lambda step: seen.update(*bank_of(session).values()) if step.done else None
    )
    assert not seen & set(range(3, 10))
    assert {10, 11} & seen
    assert all(session.masks[frame].any() for frame in range(3, 10))


def test_an_excluded_given_frame_keeps_its_mask_and_teaches_nothing(session: Session) -> None:
    session.propagate(0)
    without = masks_of(session)
    session.set_mask(8, tiny.labels(8, 1, 0))
    given = session.annotation.record(8)
    say(session, 8, 8, EXCLUDED)
    session.propagate(0)
    assert session.annotation.record(8) == given
    assert bank_of(session)["permanent"] == {0}
    ours = masks_of(session)
    assert ours[:8] == without[:8]


def test_a_pinned_frame_is_remembered_for_ever_and_keeps_its_mask(session: Session) -> None:
    session.propagate(0)
    mask = session.annotation.record(6).mask
    say(session, 6, 6, PINNED)
    session.set_mask(0, tiny.labels(2, 1, 2))  # another start gives other masks
    session.propagate(0)
    assert bank_of(session)["permanent"] == {0, 6}
    record = session.annotation.record(6)
    assert record.mask == mask
    assert record.status is FrameStatus.TRACKED
    session.undo()  # the run
    say(session, 6, 6, FREE)
    session.propagate(0)
    assert session.annotation.record(6).mask != mask


def test_pinning_more_frames_than_are_remembered_keeps_them_all(session: Session) -> None:
    session.propagate(0)
    for frame in range(1, COUNT):
        session.do(ConfirmRequest(frame))
    masks = GivenMasks(session.annotation.records, most=4, pinned=[1, 20])
    assert {1, 20} <= set(masks.around(10, 1))
    assert len(masks.around(10, 1)) <= 6


def test_a_rule_set_while_a_run_goes_on_holds_from_the_next_frame(session: Session) -> None:
    held: dict[int, dict[str, set[int]]] = {}

    def on_step(step: Propagated) -> None:
        held[step.frame] = bank_of(session)
        if step.frame == 6:
            assert 4 in set().union(*held[6].values())
            say(session, 4, 4, EXCLUDED)
            say(session, 2, 2, PINNED)
        if step.frame == 12:
            say(session, 2, 2, FREE)

    session.propagate(0, on_step=on_step)
    assert all(4 not in set().union(*held[frame].values()) for frame in range(7, COUNT))
    assert 2 in held[7]["permanent"]
    assert 2 in held[12]["permanent"]
    assert 2 not in held[13]["permanent"]
    assert [frame in held for frame in range(COUNT)].count(False) <= 1


def test_memory_is_never_emptied(session: Session) -> None:
    remarks = []

    def on_step(step: Propagated) -> None:
        if step.remark:
            remarks.append(str(step.remark))
        if step.frame == 1 and not session.annotation.memory:
            say(session, 0, 12, EXCLUDED)

    session.propagate(0, on_step=on_step)
    assert any("keeps what is excluded" in one for one in remarks)
    assert 0 not in set().union(*bank_of(session).values())  # once there was something else
    with pytest.raises(UserError, match="kept out of memory"):
        session.propagate(0)


def test_a_run_says_what_it_remembers_only_if_asked(session: Session) -> None:
    asked: list[Remembered | None] = []
    session.propagate(0, reports_memory=True, on_step=lambda step: asked.append(step.remembered))
    assert all(asked)
    is_shown = False
    context = replace(session.context(), reports_memory=lambda: is_shown)
    reports: list[Remembered | None] = []
    for step in propagation(context, PropagationRequest(0)):
        reports.append(step.remembered)
        is_shown = len(reports) >= 3
    assert reports[0] is None
    assert reports[2] is None
    assert reports[-1] is not None
    assert reports[-1].is_known
    assert {one.part for one in reports[-1].frames} >= {"permanent", "working"}


def test_a_model_that_does_not_report_its_memory_is_named(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tracker, "knows_frames", False)
    say(session, 3, 9, EXCLUDED)
    remarks = []
    session.propagate(0, on_step=lambda step: remarks.append(step.remark))
    assert remarks.count(MEMORY_UNKNOWN) == 1
    assert all(session.masks[frame].any() for frame in range(COUNT))


def test_another_s_run_does_not_replace_what_was_pinned_meanwhile(session: Session) -> None:
    session.propagate(0)
    session.set_mask(0, tiny.labels(3, 1, 2))
    edits = [s.edit for s in propagation(session.context(), PropagationRequest(0)) if s.edit]
    say(session, 5, 5, PINNED)
    applied = {next(iter(edit.frames)) for edit in edits if session.apply(edit)}
    assert 5 not in applied
    assert applied


def test_the_command_says_and_prints_it(
    session: Session, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session.propagate(0)
    session.close()

    def output(*words: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["memory", str(folder), *map(str, words)])
        out, err = capsys.readouterr()
        return out if not ended.value.code else f"{ended.value.code} {err}"

    assert "No rule is set" in output()
    report = json.loads(output("--pin", 5, "--exclude", "8-9", "--exclude", 12, "--json"))
    assert report == {
        "rules": [[5, 5, "pinned"], [8, 9, "excluded"], [12, 12, "excluded"]],
        "given": [0],
        "interrupted_run": None,
    }
    assert output("--release", "0-10") == "12-12  excluded\n"
    assert output("--exclude", "20-50").startswith("1 ")
    assert output("--exclude", "9-8").startswith("2 ")
    assert output("--exclude", "-1").startswith("2 ")


def test_masks_are_the_same_without_memory_rules(session: Session) -> None:
    session.propagate(0)
    before = masks_of(session)
    say(session, 3, 3, EXCLUDED)
    say(session, 3, 3, FREE)
    session.propagate(0)
    assert masks_of(session) == before
    assert np.array_equal(session.masks[0], tiny.labels(0, 1, 2))
