"""Wishes become jobs, and results edits: in turn, undoable, nothing of the annotator's lost."""

from collections.abc import Callable

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.annotation.types import EMPTY_RECORD, FrameStatus, Stroke
from interaction.errors import UserError
from interaction.session import Session
from tests.fake_engines import FakeEngines

DAB = Stroke(((20.0, 20.0),), 6)


def is_idle(annotator: Annotator) -> Callable[[], bool]:
    return lambda: annotator.operations.busy is Busy.IDLE


def click_and_wait(annotator: Annotator, qtbot: QtBot, x: float, y: float) -> None:
    annotator.prompts.click(x, y)
    qtbot.waitUntil(is_idle(annotator))


def test_the_first_click_makes_the_object(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    click_and_wait(annotator, qtbot, 20, 20)
    assert [one.id for one in document.objects] == [1]
    assert document.current_object == 1
    assert document.annotation.labels(0)[20, 20] == 1


def test_quick_clicks_are_answered_in_turn(
    annotator: Annotator, document: Document, engines: FakeEngines, qtbot: QtBot
) -> None:
    for x in (10, 20, 30):
        annotator.prompts.click(x, 20)
    qtbot.waitUntil(is_idle(annotator))
    assert [len(clicks) for _, _, clicks in engines.discs.asked] == [1, 2, 3]
    prompts = document.annotation.record(0).prompts
    assert prompts is not None
    assert [click.x for click in prompts.clicks] == [10, 20, 30]


def test_the_last_click_can_be_taken_back_again_and_again(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    click_and_wait(annotator, qtbot, 10, 20)
    click_and_wait(annotator, qtbot, 40, 20)
    assert annotator.prompts.remove_last_click()
    qtbot.waitUntil(is_idle(annotator))
    assert document.annotation.labels(0)[20, 40] == 0
    assert annotator.prompts.remove_last_click()
    qtbot.waitUntil(is_idle(annotator))
    assert document.annotation.record(0) == EMPTY_RECORD
    assert not annotator.prompts.remove_last_click()


def test_a_locked_object_is_not_clicked_on_with_a_reason(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    bear = document.add_object("bear")
    document.set_locked(bear, True)
    with qtbot.waitSignal(annotator.document.noticed) as noticed:
        annotator.prompts.click(20, 20)
    assert "bear" in noticed.args[0]
    assert annotator.operations.busy is Busy.IDLE


def test_work_by_hand_is_at_once_and_undone_exactly(
    annotator: Annotator, document: Document
) -> None:
    annotator.hand.stroke(DAB)
    painted = document.annotation.record(0)
    assert painted.status is FrameStatus.CORRECTED
    annotator.undo()
    assert document.annotation.record(0) == EMPTY_RECORD
    annotator.redo()
    assert document.annotation.record(0) == painted


def test_a_propagation_is_one_step_of_the_history(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    before = dict(document.annotation.records)
    heads: list[int] = []
    annotator.tracking.tracked.connect(heads.append)
    annotator.tracking.start("forward")
    assert annotator.operations.busy is Busy.PROPAGATING
    qtbot.waitUntil(is_idle(annotator))
    assert set(document.annotation.records) == set(range(document.frame_count))
    assert heads[-1] == document.frame_count - 1
    annotator.undo()
    assert dict(document.annotation.records) == before


def test_nothing_annotated_is_refused_with_the_reason(annotator: Annotator, qtbot: QtBot) -> None:
    with qtbot.waitSignal(annotator.document.failed) as failed:
        annotator.tracking.start("forward")
    assert isinstance(failed.args[0], UserError)
    assert annotator.operations.busy is Busy.IDLE


def test_a_cancelled_propagation_keeps_every_finished_frame(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    heads: list[int] = []
    annotator.tracking.tracked.connect(heads.append)
    annotator.tracking.tracked.connect(lambda frame: annotator.cancel() if frame == 2 else None)
    annotator.tracking.start("forward")
    qtbot.waitUntil(is_idle(annotator))
    assert set(heads) <= set(document.annotation.records)  # also what came after the cancel
    tracked = [f for f, r in document.annotation.records.items() if r.status.value == "tracked"]
    assert {1, 2} <= set(tracked)
    assert len(tracked) < document.frame_count - 1


def test_paused_and_resumed_gives_the_masks_of_a_run_that_was_not(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    annotator.tracking.start("forward")
    qtbot.waitUntil(is_idle(annotator))
    plain = {frame: record.mask for frame, record in document.annotation.records.items()}
    annotator.undo()
    annotator.tracking.tracked.connect(
        lambda frame: annotator.operations.pause() if frame == 3 else None
    )
    annotator.tracking.start("forward")
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.PAUSED)
    annotator.operations.resume()
    qtbot.waitUntil(is_idle(annotator))
    assert {f: r.mask for f, r in document.annotation.records.items()} == plain


def test_undo_while_it_runs_ends_the_run_and_takes_it_back(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    before = dict(document.annotation.records)
    annotator.tracking.tracked.connect(lambda frame: annotator.undo() if frame == 3 else None)
    annotator.tracking.start("forward")
    qtbot.waitUntil(is_idle(annotator))
    assert dict(document.annotation.records) == before


def test_a_correction_behind_the_head_survives_and_is_tracked_from_again(
    annotator: Annotator, document: Document, session: Session, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    corrected: list[np.ndarray] = []

    def correct(frame: int) -> None:
        if frame == 4 and not corrected:
            document.set_frame(2)
            annotator.hand.stroke(Stroke(((45.0, 30.0),), 8))
            corrected.append(document.annotation.labels(2).copy())

    annotator.tracking.tracked.connect(correct)
    notices: list[str] = []
    annotator.document.noticed.connect(notices.append)
    annotator.tracking.start("forward")
    qtbot.waitUntil(is_idle(annotator))
    assert np.array_equal(document.annotation.labels(2), corrected[0])
    assert any("2" in notice for notice in notices)
    assert len(session.history.entries) == 5  # object, dab, run, correction, second run


def test_a_click_is_answered_while_a_propagation_runs(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    order: list[str] = []
    annotator.tracking.tracked.connect(lambda frame: order.append(f"frame {frame}"))
    annotator.tracking.start("forward", most_frames=6)
    qtbot.waitUntil(lambda: len(order) >= 2)
    annotator.prompts.click(40, 30)
    qtbot.waitUntil(is_idle(annotator))
    record = document.annotation.record(0)
    assert record.prompts is not None
    assert document.annotation.labels(0)[30, 40] == document.current_object


def test_deleting_an_object_takes_it_off_every_frame_in_one_step(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    annotator.hand.stroke(DAB)
    annotator.tracking.start("forward")
    qtbot.waitUntil(is_idle(annotator))
    before, objects = dict(document.annotation.records), document.objects
    annotator.bulk.delete_object(1)
    qtbot.waitUntil(is_idle(annotator))
    assert document.objects == ()
    assert document.current_object == 0
    assert not any(record.present for record in document.annotation.records.values())
    annotator.undo()
    assert dict(document.annotation.records) == before
    assert document.objects == objects


@pytest.mark.parametrize("way", ["cleared", "unconfirmed"])
def test_a_frame_that_was_reset_leaves_the_next_one_alone(
    annotator: Annotator, document: Document, qtbot: QtBot, way: str
) -> None:
    """A data-loss bug of the published program."""
    annotator.hand.stroke(DAB)
    annotator.tracking.start("forward")
    qtbot.waitUntil(is_idle(annotator))
    document.set_frame(1)
    second = document.annotation.record(2)
    if way == "cleared":
        annotator.hand.clear_frame()
    else:
        annotator.hand.confirm()
        annotator.hand.unconfirm()
    document.set_frame(2)
    assert document.annotation.record(2) == second
