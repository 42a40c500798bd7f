"""Work on the current object: what is refused, what is shown before it changes."""

import pytest
from pytestqt.qtbot import QtBot

from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.annotation.types import EMPTY_RECORD, FrameStatus, Stroke
from tests.gui.recording_annotator import record_of, set_records

RING = [(10.0, 10.0), (40.0, 10.0), (40.0, 40.0), (10.0, 40.0)]
HOLE = [(20.0, 20.0), (30.0, 20.0), (30.0, 30.0), (20.0, 30.0)]


@pytest.fixture
def notices(annotator: Annotator) -> list[str]:
    notices: list[str] = []
    annotator.document.noticed.connect(notices.append)
    return notices


def wait_until_idle(annotator: Annotator, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE)


def with_ring(annotator: Annotator) -> None:
    annotator.hand.fill(RING)
    annotator.hand.fill(HOLE, is_positive=False)


def test_a_hole_is_filled_and_the_background_is_not(
    annotator: Annotator, document: Document, notices: list[str]
) -> None:
    with_ring(annotator)
    before = document.annotation.record(0)
    annotator.hand.fill_at(55, 45)  # off the object
    assert document.annotation.record(0) == before
    assert "no hole" in notices[0]
    annotator.hand.fill_at(25, 25)
    assert document.annotation.labels(0)[25, 25] == 1
    assert document.annotation.labels(0)[45, 55] == 0
    assert len(notices) == 1


def test_another_object_at_the_edge_can_still_be_taken_over(
    annotator: Annotator, document: Document
) -> None:
    offers: list[str] = []
    document.offered.connect(lambda text, button, do: offers.append(f"{text} {button}"))
    annotator.hand.fill([(0, 0), (20, 0), (20, 20), (0, 20)])
    document.add_object("other")
    annotator.hand.fill_at(5, 5)
    assert document.annotation.labels(0)[5, 5] == document.current_object
    assert offers == ["“other” took all pixels of “Object 1” here. Keep both"]


def test_without_an_object_nothing_of_the_background_becomes_one(
    annotator: Annotator, document: Document
) -> None:
    annotator.hand.fill_at(5, 5)
    assert document.objects == ()
    assert document.annotation.record(0) == EMPTY_RECORD


def test_a_hidden_object_is_shown_when_it_is_worked_on_and_that_is_announced(
    annotator: Annotator, document: Document, notices: list[str]
) -> None:
    one = document.add_object("dog")
    document.set_visible(one, False)
    annotator.hand.stroke(Stroke(((20.0, 20.0),), 6))
    assert document.is_shown(one)
    assert "dog" in notices[0]
    annotator.hand.stroke(Stroke(((40.0, 20.0),), 6))
    assert len(notices) == 1


def test_a_hidden_object_that_is_locked_stays_hidden(
    annotator: Annotator, document: Document, notices: list[str]
) -> None:
    one = document.add_object("dog")
    document.set_visible(one, False)
    document.set_locked(one, True)
    annotator.hand.stroke(Stroke(((20.0, 20.0),), 6))
    assert not document.is_shown(one)
    assert "locked" in notices[0]


def test_work_on_an_object_beside_the_only_one_shown_brings_it_into_sight(
    annotator: Annotator, document: Document, notices: list[str]
) -> None:
    dog, cat = document.add_object("dog"), document.add_object("cat")
    document.set_solo(dog)
    annotator.hand.stroke(Stroke(((20.0, 20.0),), 6))
    assert document.solo == cat
    assert "cat" in notices[0]


def test_a_negative_click_on_an_object_that_is_not_there_changes_nothing(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    annotator.prompts.click(20, 20, is_positive=False)
    assert document.objects == ()  # none is made either
    document.add_object("dog")
    annotator.prompts.click(20, 20, is_positive=False)
    annotator.prompts.scribble([Stroke(((20.0, 20.0), (40.0, 20.0)), 2, is_positive=False)])
    wait_until_idle(annotator, qtbot)
    assert document.annotation.record(0) == EMPTY_RECORD
    assert len(notices) == 3


def test_a_negative_click_is_refused_also_while_another_object_is_clicked_on(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    dog, cat = document.add_object("dog"), document.add_object("cat")
    document.set_current_object(dog)
    annotator.prompts.click(20, 20)
    document.set_current_object(cat)
    annotator.prompts.click(45, 30, is_positive=False)
    document.set_current_object(dog)
    document.set_frame(1)  # what is awaited is on another
    annotator.prompts.click(45, 30, is_positive=False)
    wait_until_idle(annotator, qtbot)
    assert document.annotation.record(0).present == {dog}
    assert document.annotation.record(1) == EMPTY_RECORD
    assert len(notices) == 2


def test_a_negative_click_whose_positive_one_is_gone_by_then_changes_nothing(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    failures: list[Exception] = []
    annotator.document.failed.connect(failures.append)
    annotator.prompts.click(20, 20)
    wait_until_idle(annotator, qtbot)
    annotator.prompts.remove_click(0)
    annotator.prompts.click(27, 20, is_positive=False)
    wait_until_idle(annotator, qtbot)
    assert document.annotation.record(0) == EMPTY_RECORD
    assert ["nothing to take away" in str(error) for error in failures] == [True]


@pytest.mark.parametrize("way", ["erase", "lasso", "specks"])
def test_taking_away_makes_no_object(
    annotator: Annotator, document: Document, notices: list[str], way: str
) -> None:
    if way == "erase":
        annotator.hand.stroke(Stroke(((20.0, 20.0),), 6, is_positive=False))
    elif way == "lasso":
        annotator.hand.fill(HOLE, is_positive=False)
    else:
        annotator.hand.remove_specks()
    assert document.objects == ()
    assert document.session.history.entries == ()
    assert ["no object yet" in text for text in notices] == [True]


def test_a_negative_click_after_a_positive_one_counts_also_before_the_answer(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    annotator.prompts.click(20, 20)
    annotator.prompts.click(27, 20, is_positive=False)
    wait_until_idle(annotator, qtbot)
    assert document.annotation.labels(0)[20, 15] == 1
    assert document.annotation.labels(0)[20, 27] == 0
    annotator.prompts.click(20, 20, is_positive=False)  # takes the mask away: still a correction
    annotator.prompts.click(40, 20, is_positive=False)
    wait_until_idle(annotator, qtbot)
    prompts = document.annotation.record(0).prompts
    assert prompts is not None
    assert len(prompts.clicks) == 4
    assert notices == []


def test_a_negative_click_corrects_a_mask_that_was_tracked(
    annotator: Annotator, document: Document, notices: list[str], qtbot: QtBot
) -> None:
    one = document.add_object("dog")
    set_records(document, {1: record_of([one], FrameStatus.TRACKED)})
    document.set_frame(1)
    annotator.prompts.click(20, 20, is_positive=False)
    wait_until_idle(annotator, qtbot)
    assert document.annotation.record(1).status is FrameStatus.CORRECTED
    assert notices == []


def test_only_the_current_objects_last_click_is_taken_back(
    annotator: Annotator, document: Document, qtbot: QtBot
) -> None:
    dog, cat = document.add_object("dog"), document.add_object("cat")
    document.set_current_object(dog)
    annotator.prompts.click(15, 15)
    wait_until_idle(annotator, qtbot)
    document.set_current_object(cat)
    annotator.prompts.click(45, 30)
    wait_until_idle(annotator, qtbot)
    document.set_current_object(dog)
    before = document.annotation.record(0)
    assert not annotator.prompts.remove_last_click()
    assert document.annotation.record(0) == before
    document.set_current_object(cat)
    assert annotator.prompts.remove_last_click()
    wait_until_idle(annotator, qtbot)
    assert document.annotation.labels(0)[30, 45] == 0
