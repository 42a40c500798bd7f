"""Clicks in a session: they belong together, can be taken out singly, and never touch a lock."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from interaction.annotation.requests import (
    BoxRequest,
    ClickRequest,
    ConfirmRequest,
    ScribbleRequest,
    StrokeRequest,
)
from interaction.annotation.strokes import stroke_mask
from interaction.annotation.types import EMPTY_RECORD, Click, FrameStatus, Stroke
from interaction.answers import answer, looks, previews
from interaction.errors import UserError
from interaction.session import Session
from tests.fake_engines import FakeEngines

ACROSS = Stroke(((5.0, 20.0), (55.0, 20.0)), 6)
RIGHT = Stroke(((40.0, 20.0), (50.0, 20.0)), 4)


def clicks(session: Session, frame: int) -> list[tuple[float, float]]:
    prompts = session.annotation.record(frame).prompts
    return [] if prompts is None else [(click.x, click.y) for click in prompts.clicks]


def test_clicks_of_an_object_add_up_and_ask_from_the_same_start(
    session: Session, engines: FakeEngines
) -> None:
    bear = session.add_object("bear")
    labels = session.click(0, bear, 20, 20)
    assert (labels.shape, str(labels.dtype), labels[20, 20]) == ((48, 60), "uint8", bear)
    session.click(0, bear, 30, 20)
    session.click(0, bear, 20, 20, is_positive=False)
    assert clicks(session, 0) == [(20, 20), (30, 20), (20, 20)]
    assert [len(given) for _, _, given in engines.discs.asked] == [1, 2, 3]
    assert len({key for key, _, _ in engines.discs.asked}) == 1
    assert session.annotation.labels(0)[20, 20] == 0
    assert session.annotation.labels(0)[20, 37] == bear


def test_a_click_on_a_full_device_changes_nothing(
    session: Session,
    engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
    run_out: Callable[..., None],
) -> None:
    bear = session.add_object("bear")
    session.click(0, bear, 20, 20)
    before = session.annotation.record(0)
    monkeypatch.setattr(engines.discs, "segment", run_out)
    with pytest.raises(UserError, match="no memory left"):
        session.click(0, bear, 40, 20)
    assert session.annotation.record(0) == before


@pytest.mark.parametrize("between", ["stroke", "other", "confirm", "redone"])
def test_after_anything_else_clicks_start_anew(session: Session, between: str) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.click(0, bear, 20, 20)
    if between == "stroke":
        session.do(StrokeRequest(0, cub, RIGHT))
    elif between == "other":
        session.click(0, cub, 45, 20)
    elif between == "confirm":
        session.do(ConfirmRequest(0))
    else:  # taking a click back is not anything else
        session.click(0, bear, 25, 20)
        session.undo()
        session.click(0, bear, 26, 20)
        assert clicks(session, 0) == [(20, 20), (26, 20)]
        return
    before = session.annotation.record(0)
    session.click(0, bear, 30, 20)
    prompts = session.annotation.record(0).prompts
    assert prompts is not None
    assert (prompts.start, prompts.start_status) == (before.mask, before.status)
    assert clicks(session, 0) == [(30, 20)]


def test_one_click_taken_out_leaves_the_answer_to_the_others(session: Session) -> None:
    bear = session.add_object("bear")
    session.click(0, bear, 20, 20)
    alone = session.annotation.labels(0)
    session.click(0, bear, 40, 20)
    session.click(0, bear, 22, 24)
    session.remove_click(0, 1)
    session.remove_click(0, 1)
    assert np.array_equal(session.annotation.labels(0), alone)
    session.remove_click(0, 0)
    assert session.annotation.record(0) == EMPTY_RECORD
    with pytest.raises(IndexError, match="click 0 of 0"):
        session.remove_click(0, 0)


@pytest.mark.parametrize("status", [FrameStatus.TRACKED, FrameStatus.CONFIRMED])
def test_the_last_click_taken_out_brings_back_what_was_there(
    session: Session, status: FrameStatus
) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, RIGHT))
    if status is FrameStatus.CONFIRMED:
        session.do(ConfirmRequest(0))
        before = session.annotation.record(0)
    else:
        session.propagate(0, most_frames=1)
        before = session.annotation.record(1)
    frame = int(status is FrameStatus.TRACKED)
    session.click(frame, bear, 10, 40)
    session.click(frame, bear, 50, 40)
    session.remove_click(frame, 1)
    session.remove_click(frame, 0)
    assert session.annotation.record(frame) == before


@pytest.mark.parametrize("order", [[0], [2, 0], [0, 0], [1, 1, 0]])
def test_an_object_with_negative_clicks_alone_is_not_there(
    session: Session, order: list[int]
) -> None:
    """Clicks are taken out in this order; the first of the three is the only positive one."""
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, cub, RIGHT))
    before = session.annotation.record(0)
    session.click(0, bear, 20, 20)
    session.click(0, bear, 27, 20, is_positive=False)
    session.click(0, bear, 12, 20, is_positive=False)
    for index in order:
        if clicks(session, 0):
            session.remove_click(0, index)
    assert session.annotation.record(0) == before
    session.undo()
    assert clicks(session, 0)[0] == (20, 20)


def test_a_mask_that_was_there_before_is_still_corrected_by_what_is_left(session: Session) -> None:
    bear = session.add_object("bear")
    session.do(StrokeRequest(0, bear, ACROSS))
    session.click(0, bear, 20, 35)
    session.click(0, bear, 50, 20, is_positive=False)
    session.remove_click(0, 0)
    assert clicks(session, 0) == [(50, 20)]
    assert session.annotation.labels(0)[20, 50] == 0
    assert session.annotation.labels(0)[20, 10] == bear


def test_a_click_never_changes_a_locked_object(session: Session) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.do(StrokeRequest(0, cub, RIGHT))
    own = session.annotation.labels(0) == cub
    session.click(0, bear, 40, 20)  # takes pixels of the cub, which is not locked yet
    left = session.annotation.labels(0) == cub
    assert left.sum() < own.sum()
    session.objects.set_locked(cub, True)
    session.click(0, bear, 52, 20)
    assert np.array_equal(session.annotation.labels(0) == cub, left)
    session.remove_click(0, 0)
    assert np.array_equal(session.annotation.labels(0) == cub, left)
    with pytest.raises(UserError, match="“cub” is locked"):
        answer(session.context(), ClickRequest(0, cub, Click(1, 1, True)))


def test_what_a_click_depends_on_is_read_when_it_is_asked_for(session: Session) -> None:
    bear = session.add_object("bear")
    steps = answer(session.context(), ClickRequest(0, bear, Click(20, 20, True)))
    session.do(StrokeRequest(0, bear, RIGHT))
    [edit] = steps
    assert edit.before == {0: EMPTY_RECORD}
    assert not session.apply(edit)


def test_a_stopped_click_gives_nothing(session: Session) -> None:
    bear = session.add_object("bear")
    assert (
        list(answer(session.context(lambda: True), ClickRequest(0, bear, Click(20, 20, True))))
        == []
    )
    assert not session.annotation.records


def test_a_box_makes_the_object_and_leaves_no_clicks(session: Session) -> None:
    bear, twin = session.add_object("bear"), session.add_object("twin")
    session.do(StrokeRequest(0, twin, Stroke(((5.0, 44.0),), 2.0)))
    other = session.annotation.labels(0) == twin
    session.click(0, bear, 50, 5)
    labels = session.box(0, bear, (20, 10), (40, 30))
    assert (labels == bear).sum() == 20 * 20
    assert np.array_equal(labels == twin, other)
    assert session.annotation.record(0).prompts is None
    session.click(0, bear, 45, 20)
    assert clicks(session, 0) == [(45, 20)]
    assert (session.annotation.labels(0) == bear)[15, 25]  # the box is what it starts from
    session.undo()
    session.undo()
    assert clicks(session, 0) == [(50, 5)]
    stopped = session.context(lambda: True)
    assert list(answer(stopped, BoxRequest(0, bear, (20, 10), (40, 30)))) == []


def test_a_preview_shows_what_a_click_would_do_and_changes_nothing(session: Session) -> None:
    bear = session.add_object("bear")
    session.click(0, bear, 20, 20)
    before = session.history.position
    hovered = ClickRequest(0, bear, Click(40, 20, True))
    [seen] = previews(session.context(), hovered)
    assert session.history.position == before
    assert clicks(session, 0) == [(20, 20)]
    session.do(hovered)
    assert seen.is_exact
    assert np.array_equal(seen.labels, session.annotation.labels(0))
    # One that is not there yet: roughly, then as the click gives it.
    rough, exact = previews(session.context(), ClickRequest(1, 7, Click(30, 20, True)))
    assert (rough.is_exact, exact.is_exact) == (False, True)
    assert set(np.unique(exact.labels)) == {0, 7}
    assert list(previews(session.context(lambda: True), hovered)) == []


def test_a_frame_is_looked_at_for_the_first_click_on_an_object(
    session: Session, engines: FakeEngines
) -> None:
    bear, cub = session.add_object("bear"), session.add_object("cub")
    session.click(0, bear, 20, 20)
    key = engines.discs.asked[0][0]
    for object_id in (bear, cub):  # what the bear's clicks need is known
        list(looks(session.context(), 0, object_id))
    assert engines.discs.looked_at == [(key, cub)]
    list(looks(session.context(lambda: True), 1, bear))
    engines.discs.is_quick = False
    list(looks(session.context(), 1, bear))
    assert engines.discs.looked_at == [(key, cub)]


def test_a_scribble_model_answers_if_there_is_one(session: Session) -> None:
    bear, twin = session.add_object("bear"), session.add_object("twin")
    session.do(StrokeRequest(0, twin, Stroke(((30.0, 20.0),), 3.0)))
    session.objects.set_locked(twin, True)
    session.engines.configure(replace(session.engines.settings, scribble_model="s2m"))
    session.scribble(0, bear, [ACROSS])
    labels, line = session.annotation.labels(0), stroke_mask(48, 60, ACROSS)
    is_twin = labels == twin
    assert is_twin.any()
    assert np.array_equal(labels == bear, line & ~is_twin)
    assert session.annotation.record(0).prompts is None
    assert session.undo() is not None
    assert not (session.annotation.labels(0) == bear).any()
    assert list(answer(session.context(lambda: True), ScribbleRequest(0, bear, (ACROSS,)))) == []


def test_a_scribble_is_answered_by_the_click_network(session: Session) -> None:
    bear = session.add_object("bear")
    session.scribble(0, bear, [ACROSS])
    assert len(clicks(session, 0)) > 1
    assert session.annotation.labels(0)[20, 30] == bear


def test_clicks_outside_the_frame_or_for_no_object_are_refused_at_once(session: Session) -> None:
    bear = session.add_object("bear")
    with pytest.raises(ValueError, match="outside 60x48"):
        answer(session.context(), ClickRequest(0, bear, Click(60, 3, True)))
    with pytest.raises(KeyError):
        answer(session.context(), ClickRequest(0, 9, Click(1, 1, True)))


def test_clicks_say_how_they_came_about(session: Session) -> None:
    bear = session.add_object("bear")
    [edit] = answer(session.context(), ClickRequest(0, bear, Click(20, 21.5, False)))
    assert edit.cause == ClickRequest(0, bear, Click(20, 21.5, False))
