"""Undo is about the newest thing, whatever runs: a prompt, a run, a deletion, a step."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy, EngineThread
from interaction.annotation.requests import StrokeRequest
from interaction.annotation.types import EMPTY_RECORD, FrameStatus, Stroke
from tests.fake_engines import FakeEngines
from tests.gui.windows import once_at

DAB = Stroke(((20.0, 20.0),), 6)
OTHER = Stroke(((45.0, 35.0),), 6)


@pytest.fixture
def gate(engines: FakeEngines, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Keeps the click network and the tracker waiting until it is set."""
    is_open = threading.Event()
    segment, start_tracker = engines.discs.segment, engines.start_tracker

    def waiting(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **settings: Any) -> Any:
            is_open.wait()
            return call(*args, **settings)

        return called

    monkeypatch.setattr(engines.discs, "segment", waiting(segment))
    monkeypatch.setattr(engines, "start_tracker", waiting(start_tracker))
    yield is_open
    is_open.set()


def wait_until_idle(annotator: Annotator, engine: EngineThread, qtbot: QtBot) -> None:
    """Also for what was taken back to come to its end."""
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE and not engine.is_busy)


def labels(document: Document) -> list[str]:
    return [entry.label for entry in document.session.history.entries]


# A prompt that is not answered yet


def test_undo_takes_back_a_click_that_is_not_answered_and_nothing_else(
    annotator: Annotator,
    document: Document,
    engine: EngineThread,
    gate: threading.Event,
    qtbot: QtBot,
) -> None:
    annotator.hand.stroke(DAB)
    painted = document.annotation.record(0)
    annotator.prompts.click(45, 20)
    annotator.undo()
    gate.set()
    wait_until_idle(annotator, engine, qtbot)
    assert document.annotation.record(0) == painted
    annotator.prompts.click(45, 20)
    annotator.undo()
    annotator.undo()  # the click is gone already: this one is about the stroke
    wait_until_idle(annotator, engine, qtbot)
    assert document.annotation.record(0) == EMPTY_RECORD
    annotator.redo()
    assert document.annotation.record(0) == painted


def test_an_answer_that_is_there_but_not_shown_is_taken_back_too(
    annotator: Annotator, document: Document, engine: EngineThread, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    document.set_frame(3)
    annotator.hand.stroke(OTHER)
    document.set_frame(5)
    before = dict(document.annotation.records)
    annotator.prompts.click(45, 20)
    engine._executor.submit(lambda: None).result()  # so the answer has been made
    annotator.undo()
    wait_until_idle(annotator, engine, qtbot)
    assert dict(document.annotation.records) == before
    annotator.undo()
    annotator.redo()
    assert dict(document.annotation.records) == before


def test_of_several_clicks_undo_takes_back_the_last(
    annotator: Annotator,
    document: Document,
    engine: EngineThread,
    gate: threading.Event,
    qtbot: QtBot,
) -> None:
    for x in (10, 20, 30):
        annotator.prompts.click(x, 20)
    annotator.undo()
    gate.set()
    wait_until_idle(annotator, engine, qtbot)
    prompts = document.annotation.record(0).prompts
    assert prompts is not None
    assert [click.x for click in prompts.clicks] == [10, 20]


def test_tracking_waits_for_the_click_before_it_and_undo_takes_only_that_back(
    annotator: Annotator,
    document: Document,
    engine: EngineThread,
    gate: threading.Event,
    qtbot: QtBot,
) -> None:
    annotator.prompts.click(20, 20)
    annotator.tracking.start("forward")
    annotator.undo()
    annotator.tracking.start("forward")
    gate.set()
    wait_until_idle(annotator, engine, qtbot)
    assert len(document.annotation.records) == document.frame_count
    assert labels(document)[-2:] == ["Click on ‘Object 1’", "Track forward"]


# A run


def test_undo_before_the_first_frame_ends_the_run_and_leaves_what_was_before_it(
    annotator: Annotator,
    document: Document,
    engine: EngineThread,
    gate: threading.Event,
    qtbot: QtBot,
) -> None:
    annotator.hand.stroke(DAB)
    before = dict(document.annotation.records)
    annotator.tracking.start("forward")
    annotator.undo()
    gate.set()
    wait_until_idle(annotator, engine, qtbot)
    assert dict(document.annotation.records) == before
    assert not document.session.history.can_redo


def test_a_stroke_after_the_undo_of_a_run_stays_and_the_run_does_not(
    annotator: Annotator, document: Document, engine: EngineThread, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)

    def act() -> None:
        annotator.undo()
        document.set_frame(6)
        annotator.hand.stroke(OTHER)

    once_at(annotator, 3, act)
    annotator.tracking.start("forward")
    wait_until_idle(annotator, engine, qtbot)
    statuses = {frame: record.status for frame, record in document.annotation.records.items()}
    assert statuses == {0: FrameStatus.CORRECTED, 6: FrameStatus.CORRECTED}
    assert labels(document)[-2:] == ["Paint ‘Object 1’", "Paint ‘Object 1’"]


def test_a_run_that_was_undone_can_be_redone_as_far_as_it_had_come(
    annotator: Annotator, document: Document, engine: EngineThread, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    annotator.tracking.tracked.connect(lambda frame: annotator.undo() if frame == 3 else None)
    annotator.tracking.start("forward")
    wait_until_idle(annotator, engine, qtbot)
    annotator.redo()
    assert set(document.annotation.records) == {0, 1, 2, 3}


@pytest.mark.parametrize("redone_at", [6, None])
def test_a_stroke_that_is_undone_during_a_run_can_be_redone(
    annotator: Annotator,
    document: Document,
    engine: EngineThread,
    qtbot: QtBot,
    redone_at: int | None,
) -> None:
    annotator.hand.stroke(DAB)
    runs: list[int] = []

    def interrupt(frame: int) -> None:
        runs.append(frame)
        if frame == 3 and runs.count(3) == 1:
            document.set_frame(2)
            annotator.hand.stroke(OTHER)
        elif frame == 5:
            annotator.undo()
        elif frame == redone_at:
            annotator.redo()

    annotator.tracking.tracked.connect(interrupt)
    annotator.tracking.start("forward")
    wait_until_idle(annotator, engine, qtbot)
    assert document.annotation.record(7).status is FrameStatus.TRACKED
    if redone_at is None:
        assert document.annotation.record(2).status is FrameStatus.TRACKED
        annotator.redo()
    assert document.annotation.labels(2)[35, 45] == 1
    assert document.annotation.record(2).status is FrameStatus.CORRECTED


# Work on many frames


def test_undo_in_the_midst_of_a_deletion_takes_all_of_it_back(
    annotator: Annotator, document: Document, engine: EngineThread, qtbot: QtBot
) -> None:
    bear = document.add_object("bear")
    for frame in range(document.frame_count):
        document.session.do(StrokeRequest(frame, bear, DAB))
    before = dict(document.annotation.records)
    undone: list[set[int]] = []

    def interrupt(frames: set[int]) -> None:
        if 4 in frames and not undone:
            undone.append(frames)
            annotator.undo()

    document.masks_changed.connect(interrupt)
    annotator.bulk.delete_object(bear)
    wait_until_idle(annotator, engine, qtbot)
    assert undone
    assert dict(document.annotation.records) == before
    assert document.object(bear) is not None
    annotator.undo()  # the last stroke: nothing is left of the deletion
    assert document.annotation.record(7) == EMPTY_RECORD


def test_going_back_in_the_history_is_refused_while_it_grows_with_a_reason(
    annotator: Annotator,
    document: Document,
    engine: EngineThread,
    gate: threading.Event,
    qtbot: QtBot,
) -> None:
    annotator.hand.stroke(DAB)
    annotator.tracking.start("forward")
    notices: list[str] = []
    annotator.document.noticed.connect(notices.append)
    annotator.go_to(0)
    annotator.tracking.start("backward")
    annotator.bulk.delete_object(1)
    assert len(notices) == 3
    assert all("tracking" in notice for notice in notices)
    gate.set()
    wait_until_idle(annotator, engine, qtbot)
    assert len(document.annotation.records) == document.frame_count


def test_undo_of_a_run_that_made_one_frame_stays_where_it_began(
    annotator: Annotator, document: Document, engine: EngineThread, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    annotator.tracking.start("forward", most_frames=1)
    wait_until_idle(annotator, engine, qtbot)
    assert set(document.annotation.records) == {0, 1}
    annotator.undo()
    assert (set(document.annotation.records), document.frame) == ({0}, 0)
    annotator.redo()
    assert (set(document.annotation.records), document.frame) == ({0, 1}, 0)


def test_undo_in_the_midst_of_a_run_after_its_first_frame_stays_where_it_began(
    annotator: Annotator, document: Document, engine: EngineThread, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)

    def act() -> None:
        annotator.undo()

    once_at(annotator, 1, act)
    annotator.tracking.start("forward")
    wait_until_idle(annotator, engine, qtbot)
    assert (set(document.annotation.records), document.frame) == ({0}, 0)
