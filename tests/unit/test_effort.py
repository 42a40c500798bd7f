"""The effort meter: what counts, what does not, and that it survives restarts."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.effort import DavisRound, area_under, davis_rounds, stroke_through
from interaction.annotation.effort import Act, EffortLog, measure
from interaction.annotation.requests import (
    BoxRequest,
    ClickRequest,
    ConfirmRequest,
    PropagationRequest,
    ScribbleRequest,
    StrokeRequest,
)
from interaction.annotation.types import Click, Stroke
from interaction.project.journal import seal, unseal
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines

CLICK = ClickRequest(0, 1, Click(5, 5, True))
DAB = Stroke(((10.0, 20.0), (20.0, 20.0)), 4)


def act(began_s: float, computed_s: float = 0.0, cause: object = CLICK, object_id: int = 1) -> Act:
    return Act(began_s, computed_s, cause, objects={object_id}, frames={0})  # type: ignore[arg-type]


def test_time_between_requests_is_work_and_a_long_pause_is_not() -> None:
    effort = measure([act(0), act(10), act(30), act(30 + 3600), act(30 + 3605)])
    assert effort.work_s == 10 + 20 + 5
    assert effort.waiting_s == 0
    assert effort.clicks == 5


def test_time_that_the_program_computes_is_waiting_however_long() -> None:
    run = PropagationRequest(0)
    effort = measure([act(0), act(4, 600, run), act(610)])
    assert effort.waiting_s == 600
    assert effort.work_s == 4 + 6
    assert effort.runs == 1


def test_waiting_after_the_last_request_counts_too() -> None:
    assert measure([act(0, 2.5)]).waiting_s == 2.5


def test_strokes_made_while_it_tracks_are_work() -> None:
    run = PropagationRequest(0)
    strokes = [act(at, cause=StrokeRequest(0, 1, DAB)) for at in (10, 20, 30)]
    effort = measure([act(0, 100, run), *strokes])
    assert effort.work_s == 30
    assert effort.waiting_s == 70


def test_objects_have_their_own_numbers_and_the_shares_add_up() -> None:
    both = Act(20, 8.0, PropagationRequest(0), objects={1, 2}, frames={1, 2, 3})
    effort = measure([act(0), act(10, object_id=2), both])
    one, two = effort.by_object[1], effort.by_object[2]
    assert (one.clicks, two.clicks) == (1, 1)
    assert two.work_s == 10 + 5
    assert one.waiting_s == two.waiting_s == 4
    assert (len(one.frames), len(one.tracked)) == (1, 3)
    assert one.work_s + two.work_s == effort.work_s


def test_drags_are_strokes() -> None:
    requests = (
        StrokeRequest(0, 1, DAB),
        ScribbleRequest(0, 1, (DAB, DAB)),
        BoxRequest(0, 1, (0, 0), (9, 9)),
        ConfirmRequest(0),
    )
    effort = measure(act(at, cause=cause) for at, cause in enumerate(requests))
    assert (effort.clicks, effort.strokes, effort.steps) == (0, 4, 1)


def test_nothing_done_is_no_effort() -> None:
    assert EffortLog().measure() == measure([])
    assert measure([]).by_object == {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.write_clip(tmp_path / "clip", 5)
    folder = tmp_path / "bear.vos"
    with Session.open(tmp_path / "clip", folder, engines=FakeEngines()) as session:
        bear = session.add_object("bear")
        session.click(0, bear, 20, 20)
        session.do(StrokeRequest(0, bear, DAB))
        session.undo()
        session.do(StrokeRequest(1, bear, DAB))
        session.propagate(0)
    return folder


def test_it_survives_a_restart_with_what_was_undone(folder: Path) -> None:
    with Session.open_project(folder, engines=FakeEngines()) as session:
        before = session.ledger.effort.measure()
        assert (before.clicks, before.strokes, before.undos, before.runs) == (1, 2, 1, 1)
        assert len(before.frames) == 2
        assert len(before.tracked) == 3
        assert before.waiting_s > 0
        session.click(2, 1, 20, 20)
        assert session.ledger.effort.measure().clicks == 2
    with Session.open_project(folder, engines=FakeEngines()) as session:
        after = session.ledger.effort.measure()
    assert after.clicks == 2
    assert after.waiting_s >= before.waiting_s


def test_what_is_measured_while_it_is_open_is_what_is_read_later(tmp_path: Path) -> None:
    tiny.write_clip(tmp_path / "clip", 5)
    with Session.open(tmp_path / "clip", tmp_path / "p.vos", engines=FakeEngines()) as session:
        session.click(0, session.add_object("bear"), 20, 20)
        session.propagate(0)
        now = session.ledger.effort.measure()
    with Session.open_project(tmp_path / "p.vos", engines=FakeEngines()) as session:
        later = session.ledger.effort.measure()
    assert later.by_object.keys() == now.by_object.keys()
    assert later.waiting_s == pytest.approx(now.waiting_s, abs=0.05)
    assert later.work_s == pytest.approx(now.work_s, abs=0.5)


def test_a_line_of_the_journal_without_times_is_left_out(folder: Path) -> None:
    """Earlier programs wrote no seconds; what is no date counts for nothing."""
    journal = folder / "journal.jsonl"
    lines = [unseal(line) for line in journal.read_bytes().splitlines(keepends=True)]
    for line in lines:
        line.pop("check", None)
        line.pop("seconds", None)
        if line.get("cause", {}).get("kind") == "click":
            line["at"] = "yesterday"
    journal.write_bytes(b"".join(map(seal, lines)))
    (folder / "project.json").unlink()
    with Session.open_project(folder, engines=FakeEngines(), read_only=True) as session:
        effort = session.ledger.effort.measure()
        assert not session.project or not session.project.damages
    assert (effort.clicks, effort.strokes) == (0, 2)


# The protocol of the interactive DAVIS challenge


def test_the_robots_stroke_runs_along_the_middle_of_the_largest_part() -> None:
    region = np.zeros((60, 200), np.bool_)
    region[20:31, 10:180] = True
    region[50:54, 0:4] = True  # a speck
    stroke = stroke_through(region, is_positive=False)
    assert stroke is not None
    assert not stroke.is_positive
    xs = [x for x, _ in stroke.points]
    assert max(xs) - min(xs) > 150
    assert all(region[int(y), int(x)] for x, y in stroke.points)
    middle = [y for x, y in stroke.points if 20 < x < 170]
    assert np.abs(np.array(middle) - 25).max() <= 4
    assert stroke_through(np.zeros((60, 200), np.bool_), is_positive=True) is None


def test_the_area_is_level_after_the_last_round_and_cut_at_the_time_allowed() -> None:
    rounds = [DavisRound(0, 1, 10.0, 0.5, 0.5), DavisRound(3, 1, 20.0, 0.8, 0.8)]
    # Triangle, trapezium, and 80 seconds at 0.8.
    assert area_under(rounds, 100.0) == pytest.approx((2.5 + 6.5 + 64) / 100)
    assert area_under(rounds, 15.0) == pytest.approx((2.5 + 5 * (0.5 + 0.65) / 2) / 15)


def test_the_protocol_goes_to_the_worst_frame_of_all(tmp_path: Path) -> None:
    tiny.write_clip(tmp_path / "clip", 6)
    truth = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    truth[8:40, 10:30] = 1
    with Session.open(tmp_path / "clip", engines=FakeEngines()) as session:
        rounds = davis_rounds(session, dict.fromkeys(range(6), truth), 3)
        worst = [one.frame for one in rounds]
        strokes = session.ledger.effort.measure().strokes
    assert worst[0] == 0
    assert len(rounds) == 3
    assert strokes == sum(one.strokes for one in rounds)
    assert [one.seconds for one in rounds] == sorted(one.seconds for one in rounds)
