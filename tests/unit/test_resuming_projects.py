"""A project's run that was interrupted goes on after closing as if it had not been."""

import json
import multiprocessing
import shutil
import signal
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interaction.annotation.requests import (
    MemoryRequest,
    OverlapRequest,
    Propagated,
    PropagationRequest,
)
from interaction.annotation.types import FrameRecord, MemoryRule
from interaction.answers import covered_passes, propagation
from interaction.command_line.app import main
from interaction.errors import UserError
from interaction.session import Session
from interaction.tracking import unfinished
from interaction.tracking.unfinished import Progress, read_unfinished, write_unfinished
from tests import tiny
from tests.fake_engines import FakeEngines
from xmem_core import Tracker

PINNED, EXCLUDED, FREE = MemoryRule.PINNED, MemoryRule.EXCLUDED, MemoryRule.FREE
COUNT = 24
OnStep = Callable[[Session, Propagated], None]


class StoppedError(Exception):
    pass


def make(folder: Path) -> Session:
    """A bear and a cub, given on frames 0 and 14, some frames excluded and one pinned."""
    if not (folder / "clip").exists():
        tiny.write_clip(folder / "clip", COUNT)
    session = Session.open(folder / "clip", folder / "bear.vos", engines=FakeEngines())
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.set_mask(14, tiny.labels(14, bear, 0))
    session.set_mask(0, tiny.labels(0, bear, cub))
    session.do(MemoryRequest(5, 7, EXCLUDED))
    session.do(MemoryRequest(0, 0, PINNED))
    return session


def nothing(session: Session, step: Propagated) -> None:
    pass


def run(session: Session, stop_at: int | None, on_step: OnStep, **options: Any) -> None:
    """Track both ways from frame 3, or resume; stop at step `stop_at`."""
    count = 0

    def step_made(step: Propagated) -> None:
        nonlocal count
        count += 1
        on_step(session, step)
        if count == stop_at:
            raise StoppedError

    with pytest.raises(StoppedError) if stop_at else nullcontext():
        session.propagate(**{"start": 0, **options}, on_step=step_made)


def records(session: Session) -> dict[int, FrameRecord]:
    return dict(session.annotation.records)


def resumed(folder: Path) -> Session:
    return Session.open_project(folder / "bear.vos", engines=FakeEngines())


Uninterrupted = Callable[..., dict[int, FrameRecord]]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    """The records after a whole run of a scene, made once for all tests that compare with it."""
    known: dict[Hashable, dict[int, FrameRecord]] = {}

    def made(
        scene: str = "plain", on_step: OnStep = nothing, **options: Any
    ) -> dict[int, FrameRecord]:
        which = scene, on_step, *sorted(options.items())
        if which not in known:
            folder = tmp_path_factory.mktemp("whole")
            with SCENES[scene](folder) as session:
                run(session, None, on_step, **{**OPTIONS[scene], **options})
                assert not (folder / "bear.vos" / "unfinished.safetensors").exists()
                known[which] = records(session)
        return dict(known[which])

    return made


@pytest.mark.parametrize("stop_at", [3, 9, 17, 30, 37])
def test_a_run_goes_on_exactly_after_closing(
    tmp_path: Path, stop_at: int, uninterrupted: Uninterrupted
) -> None:
    """Forwards, back from the given frame, and blended: records, signs of trust included."""
    expected = uninterrupted()
    (tmp_path / "parts").mkdir()
    with make(tmp_path / "parts") as session:
        run(session, stop_at, nothing)
        steps, before = session.history.position, records(session)
    with resumed(tmp_path / "parts") as session:
        run(session, None, nothing, resumes=True)
        assert records(session) == expected
        assert session.history.position == steps + 1
        session.undo()
        assert records(session) == before
    assert not (tmp_path / "parts" / "bear.vos" / "unfinished.safetensors").exists()


def make_settling(folder: Path) -> Session:
    """Tracked once from the first frame; then a box was given that was not there before."""
    session = make(folder)
    session.propagate(0, last=13, blends=False)
    session.set_mask(2, tiny.labels(12, 1, 2))
    return session


def make_overlapping(folder: Path) -> Session:
    """The bear keeps what the cub covers of it on frame 0."""
    session = make(folder)
    session.do(OverlapRequest(1, True))
    disc = tiny.labels(0, 1, 0) > 0
    right = np.arange(disc.shape[1]) > np.nonzero(disc)[1].mean()
    session.set_mask(0, np.where(disc & right, 2, session.masks[0]).astype(np.uint8))
    assert session.annotation.record(0).covered == {1}
    return session


def make_overlapping_and_settling(folder: Path) -> Session:
    session = make_overlapping(folder)
    for step in propagation(session.context(), PropagationRequest(0)):
        if step.edit is not None:
            session.apply(step.edit)
    session.set_mask(2, tiny.labels(12, 1, 2))
    return session


SCENES = {"plain": make, "settling": make_settling, "overlapping": make_overlapping}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"start": 0},
    "settling": {"start": 2, "until": "settled", "last": 13, "blends": False},
    "overlapping": {"start": 0, "last": 13},
}


def test_only_steps_of_a_run_that_is_kept_say_that_it_can_be_resumed(tmp_path: Path) -> None:
    with make_overlapping(tmp_path) as session:
        steps = list(propagation(session.context(), PropagationRequest(0, last=3, blends=False)))
        assert any(step.can_resume for step in steps)
        so_far = steps[-1].so_far
        assert so_far is not None
        alone = list(covered_passes(session.context(), so_far))
        assert alone
        assert not any(step.can_resume for step in alone)


def child(
    there: Connection, folder: Path, scene: str, saves_at: int, waits_at: int, resumes: bool
) -> None:
    """In a process of its own: keeps the run at one step, and waits for its end at another."""
    steps = 0

    def on_step(step: Propagated) -> None:
        nonlocal steps
        steps += 1
        if steps == waits_at:
            session.project.flush()  # type: ignore[union-attr]  # what is put is safe at once
            there.send("there")
            there.recv()

    unfinished.SaveTimes.is_now = property(  # type: ignore[assignment]
        lambda times: steps == saves_at
    )
    session = resumed(folder) if resumes else SCENES[scene](folder)
    options = {"resumes": True} if resumes else OPTIONS[scene]
    session.propagate(**options, on_step=on_step)


def kill_a_run(
    folder: Path, scene: str, saves_at: int, waits_at: int, *, resumes: bool = False
) -> None:
    """SIGKILL, as a power cut: nothing is closed, nothing says that it is over."""
    # Forked from a process that has imported everything and has neither windows nor threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.unit.test_resuming_projects"])
    here, there = context.Pipe()
    arguments = (there, folder, scene, saves_at, waits_at, resumes)
    process = context.Process(target=child, args=arguments)
    process.start()
    there.close()
    with here:
        try:
            assert here.recv() == "there"  # EOFError if it ended by itself
        finally:
            process.kill()
            process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("scene", "saves_at", "waits_at"),
    [
        ("plain", 4, 9),  # in the first pass
        ("plain", 9, 35),  # kept in the first pass, killed in the one that blends
        ("plain", 32, 36),
        ("settling", 6, 12),
        ("overlapping", 6, 12),
        ("overlapping", 12, 30),  # killed in the pass for what is covered
    ],
)
def test_a_run_that_was_killed_goes_on_exactly(
    tmp_path: Path, scene: str, saves_at: int, waits_at: int, uninterrupted: Uninterrupted
) -> None:
    """From where it was kept last: what it made after that is made again, to the same bytes."""
    expected = uninterrupted(scene)
    (tmp_path / "killed").mkdir()
    kill_a_run(tmp_path / "killed", scene, saves_at, waits_at)
    with resumed(tmp_path / "killed") as session:
        assert records(session) != expected
        session.propagate(resumes=True)
        assert records(session) == expected
    assert not (tmp_path / "killed" / "bear.vos" / "unfinished.safetensors").exists()


def test_a_run_may_be_killed_again_and_again(tmp_path: Path, uninterrupted: Uninterrupted) -> None:
    expected = uninterrupted()
    (tmp_path / "killed").mkdir()
    kill_a_run(tmp_path / "killed", "plain", 4, 9)
    kill_a_run(tmp_path / "killed", "plain", 2, 4, resumes=True)  # before it has come further
    kill_a_run(tmp_path / "killed", "plain", 12, 14, resumes=True)
    with resumed(tmp_path / "killed") as session:
        session.propagate(resumes=True)
        assert records(session) == expected


def test_a_run_is_kept_every_half_minute_and_less_often_where_that_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 0.0
    monkeypatch.setattr("interaction.tracking.unfinished.time.monotonic", lambda: now_s)
    due = unfinished.SaveTimes()
    assert not due.is_now
    now_s = 30.0
    assert due.is_now
    with due.timed():
        now_s = 30.1
    now_s = 60.0
    assert not due.is_now
    now_s = 60.2
    assert due.is_now
    with due.timed():
        now_s = 62.2  # two seconds
    now_s = 161.0
    assert not due.is_now
    now_s = 163.0
    assert due.is_now


@pytest.mark.parametrize("what", ["run_state", "state"])
def test_a_run_goes_on_where_memory_is_too_full_to_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, uninterrupted: Uninterrupted
) -> None:
    expected = uninterrupted()
    (tmp_path / "full").mkdir()
    asked = 0

    def fails(_self: object) -> None:
        nonlocal asked
        asked += 1
        torch.empty(2**60, dtype=torch.uint8)

    monkeypatch.setattr(Tracker if what == "run_state" else Progress, what, fails)
    monkeypatch.setattr(unfinished.SaveTimes, "is_now", True)
    with make(tmp_path / "full") as session:
        run(session, None, nothing)
        assert records(session) == expected
    assert asked


def test_another_error_while_a_run_is_kept_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_self: object) -> None:
        raise RuntimeError("a mistake in the program")

    monkeypatch.setattr(Tracker, "run_state", fails)
    monkeypatch.setattr(unfinished.SaveTimes, "is_now", True)
    with make(tmp_path) as session, pytest.raises(RuntimeError, match="a mistake"):
        session.propagate(0)


def test_it_may_be_interrupted_again_and_again_and_go_both_ways(
    tmp_path: Path, uninterrupted: Uninterrupted
) -> None:
    options: dict[str, Any] = {"direction": "both", "blends": False}
    expected = uninterrupted(**options)
    (tmp_path / "parts").mkdir()
    with make(tmp_path / "parts") as session:
        run(session, 5, nothing, **options)
    for _ in range(3):
        with resumed(tmp_path / "parts") as session:
            run(session, 6, nothing, resumes=True)
    with resumed(tmp_path / "parts") as session:
        run(session, None, nothing, resumes=True)
        assert records(session) == expected


def set_rules(session: Session, step: Propagated) -> None:
    """Excludes one frame and pins another at frame 9, and frees that at frame 12."""
    if step.edit is None or step.frame not in (9, 12):
        return
    if not session.annotation.memory.is_excluded(3):
        session.do(MemoryRequest(3, 3, EXCLUDED))
        session.do(MemoryRequest(8, 8, PINNED))
    elif step.frame == 12:
        session.do(MemoryRequest(8, 8, FREE))


@pytest.mark.parametrize("stop_at", [9, 13, 20])
def test_rules_made_on_the_way_count_as_they_did(
    tmp_path: Path, stop_at: int, uninterrupted: Uninterrupted
) -> None:
    options: dict[str, Any] = {"blends": False}
    expected = uninterrupted(on_step=set_rules, **options)
    (tmp_path / "parts").mkdir()
    with make(tmp_path / "parts") as session:
        run(session, stop_at, set_rules, **options)
    with resumed(tmp_path / "parts") as session:
        run(session, None, set_rules, resumes=True)
        assert records(session) == expected


def test_rules_made_in_between_hold_from_there_on(tmp_path: Path) -> None:
    with make(tmp_path) as session:
        run(session, 8, nothing, blends=False)
    with resumed(tmp_path) as session:
        session.do(MemoryRequest(10, 20, EXCLUDED))
        seen: set[int] = set()

        def look(session: Session, step: Propagated) -> None:
            engines = session.engines.plain
            assert isinstance(engines, FakeEngines)
            seen.update(one.frame for one in engines.trackers[-1].remembered())

        run(session, None, look, resumes=True)
        assert not seen & {*range(10, 14), *range(15, 21)}
        assert {21, 22, 23} & seen


def test_rules_hold_where_the_device_is_too_full_to_restore_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(tmp_path) as session:
        run(session, 8, nothing, blends=False)
    memorize, failures = Tracker.memorize, 0

    def fails_once(tracker: Tracker, *args: Any, **options: Any) -> object:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return memorize(tracker, *args, **options)

    monkeypatch.setattr(Tracker, "memorize", fails_once)
    with resumed(tmp_path) as session:
        engines = session.engines.plain
        assert isinstance(engines, FakeEngines)

        def exclude(session: Session, step: Propagated) -> None:
            if step.frame == 10:
                assert 14 in engines.trackers[-1].confirmed_frames
                session.do(MemoryRequest(14, 14, EXCLUDED))

        run(session, None, exclude, resumes=True)
        assert len(engines.trackers) > 1  # it stepped down
        assert 14 not in engines.trackers[-1].confirmed_frames


def test_newest_masks_that_were_not_saved_are_made_again(
    tmp_path: Path, uninterrupted: Uninterrupted
) -> None:
    expected = uninterrupted()
    (tmp_path / "parts").mkdir()
    with make(tmp_path / "parts") as session:
        apply, left = session.ledger.apply, [6]

        def applies(edit: object) -> bool:
            left[0] -= 1
            return apply(edit) if left[0] > 0 else False  # type: ignore[arg-type]

        session.ledger.apply = applies  # type: ignore[method-assign]
        run(session, 7, nothing)
    with resumed(tmp_path / "parts") as session:
        run(session, None, nothing, resumes=True)
        assert records(session) == expected


def test_what_is_covered_was_tracked_before_a_run_that_settles_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That step is newer in the history than the run, which still compares with older masks."""
    options = {**OPTIONS["settling"], "last": 22}
    (tmp_path / "whole").mkdir()
    make_overlapping_and_settling(tmp_path / "whole").close()
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    with resumed(tmp_path / "whole") as session:
        session.propagate(**options)
        expected = records(session)
    path = tmp_path / "parts" / "bear.vos" / "unfinished.safetensors"
    newest: list[Propagated] = []
    kept: list[bytes] = []

    def on_step(step: Propagated) -> None:
        newest.append(step)
        if step.frame == 6 and path.exists():
            kept.append(path.read_bytes())
        if step.frame == 12:
            raise StoppedError

    monkeypatch.setattr(
        unfinished.SaveTimes,
        "is_now",
        property(lambda times: bool(newest) and newest[-1].frame == 4),
    )
    with resumed(tmp_path / "parts") as session:
        with pytest.raises(StoppedError):
            session.propagate(**options, on_step=on_step)
        so_far = newest[-1].so_far
        assert so_far is not None
        before = records(session)
        for step in covered_passes(session.context(), so_far):
            if step.edit is not None:
                session.apply(step.edit)
        assert records(session) != before
    path.write_bytes(kept[-1])  # as if it had been killed there
    with resumed(tmp_path / "parts") as session:
        session.propagate(resumes=True, on_step=newest.append)
        assert newest[-1].frame > 12
        assert records(session) == expected


def test_it_is_refused_where_more_masks_were_not_saved_than_are_made_again(tmp_path: Path) -> None:
    with make(tmp_path) as session:
        session.ledger.apply = lambda edit: False  # type: ignore[method-assign]
        run(session, 12, nothing)
    with resumed(tmp_path) as session:
        before = records(session)
        with pytest.raises(UserError, match="not those that it was kept with"):
            session.propagate(resumes=True)
        assert records(session) == before


def test_it_is_refused_once_masks_have_changed_and_nothing_is_lost(tmp_path: Path) -> None:
    with make(tmp_path) as session:
        run(session, 12, nothing)
    with resumed(tmp_path) as session:
        session.set_mask(4, tiny.labels(9, 1, 2))
        before = records(session)
        with pytest.raises(UserError, match="not those that it was kept with"):
            session.propagate(resumes=True)
        assert records(session) == before
        session.undo()
        session.undo()  # the run itself
        with pytest.raises(UserError, match="not those that it was kept with"):
            session.propagate(resumes=True)
        session.propagate(0)
        with pytest.raises(UserError, match="No interrupted run"):
            session.propagate(resumes=True)
    alone = Session.open(tmp_path / "clip", engines=FakeEngines())
    with alone, pytest.raises(UserError, match="No interrupted run"):
        alone.propagate(resumes=True)


def test_whatever_the_file_holds_it_is_refused_in_words(tmp_path: Path) -> None:
    with make(tmp_path) as session:
        run(session, 30, nothing)
    path = tmp_path / "bear.vos" / "unfinished.safetensors"
    sound = path.read_bytes()
    header, state = read_unfinished(path)
    about = json.loads(header["run"])
    some = next(name for name in state if name.startswith("tracker.working.value"))
    a_pass = next(name for name in state if name.startswith("pass."))
    hidden = next(name for name in state if name.startswith("tracker.hidden."))
    odd: list[tuple[object, dict[str, torch.Tensor]]] = [
        ([], state),
        ({**about, "at": [9, None, 3, 0, 3]}, state),
        ({**about, "at": [-1, None, 3, 0, 3]}, state),
        ({**about, "at": [0, None, 10**9, 0, 3]}, state),
        ({**about, "at": "there"}, state),
        ({**about, "request": {"kind": "confirm", "frame": 1}}, state),
        ({**about, "rules": [[0, 10**9, "pinned"]]}, state),
        ({**about, "edits": [{"frames": {"3": [None, {"mask": [0, 9, 1]}]}}]}, state),
        ({**about, "passes": [{"frame": 3}]}, state),
        ({**about, "made_with": {}}, state),
        ({**about, "confirmed": [0, 1, 2]}, state),
        ({**about, "brakes": {"x": 1}}, state),
        ({**about, "brakes": [1]}, state),
        (about, {}),
        (about, {**state, some: state[some][..., :1].clone()}),
        (about, {**state, "tracker.since_memory": torch.zeros(3)}),
        (about, {**state, "tracker.permanent": state["tracker.permanent"].float()}),
        (about, {**state, a_pass: torch.ones(9, dtype=torch.uint8)}),
        (about, {**state, "labels.newest": torch.zeros(3, 3)}),
        (about, {**state, "watch.view.probabilities": torch.zeros(2, 3, 3)}),
        (about, {**state, "watch.view.extent": torch.zeros(2, dtype=torch.int64)}),
        (about, {**state, "tracker.working.shared.use": torch.zeros(3)}),
        (about, {**state, "tracker.working.odd.use": torch.zeros(3)}),
        (about, {**state, "tracker.hidden.1": torch.zeros(3)}),
        (about, {**state, hidden: torch.full_like(state[hidden], torch.nan)}),
        (about, {**state, "watch.view.key.1": torch.zeros(3, 3)}),
        (about, {**state, "watch.view.key.1": torch.full((3,), torch.inf)}),
    ]
    for run_, tensors in odd:
        write_unfinished(path, {"run": json.dumps(run_)}, tensors)
        with resumed(tmp_path) as session:
            before = records(session)
            with pytest.raises(UserError):
                session.propagate(resumes=True)
            assert records(session) == before, run_
    path.write_bytes(b"no tensors")
    with resumed(tmp_path) as session, pytest.raises(UserError, match="cannot be gone on with"):
        session.propagate(resumes=True)
    path.write_bytes(sound)
    with resumed(tmp_path) as session:
        session.propagate(resumes=True)


def test_what_goes_wrong_in_a_resumed_run_is_not_blamed_on_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(tmp_path) as session:
        run(session, 8, nothing)

    def fails(_signs: object) -> float:
        raise ValueError("a mistake in the program")

    monkeypatch.setattr("interaction.tracking.propagation_job.doubt_of", fails)
    with resumed(tmp_path) as session, pytest.raises(ValueError, match="a mistake in the program"):
        session.propagate(resumes=True)


def test_the_command_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(tmp_path) as session:
        run(session, 8, nothing)
    monkeypatch.setattr("interaction.session.Engines", lambda settings=None: FakeEngines())
    with pytest.raises(SystemExit):
        main(["memory", str(tmp_path / "bear.vos")])
    assert "0  permanent  " in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["propagate", str(tmp_path / "bear.vos"), "--resume", "--json"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["frames"] > 0
    with resumed(tmp_path) as session:
        assert set(records(session)) == set(range(COUNT))
