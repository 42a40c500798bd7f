"""What others cover, tracked: a pass of its own, and what a propagation leaves as it is."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from interaction.annotation.annotation import make_record
from interaction.annotation.overlaps import pile, region
from interaction.annotation.requests import (
    AbsenceProposal,
    OverlapRequest,
    Propagated,
    PropagationRequest,
    StrokeRequest,
    UnconfirmRequest,
)
from interaction.annotation.types import FrameStatus, Stroke
from interaction.answers import covered_passes, propagation
from interaction.replay import replay
from interaction.session import Session
from interaction.tracking.covered import beneath_others, placed, tracked_objects
from tests import tiny
from tests.fake_engines import FakeEngines, open_session

COUNT = 8
BEAR, CUB = 1, 2


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with open_session(tmp_path, COUNT) as opened:
        yield opened


def shape(frame: int, disc: int, box: int) -> NDArray[np.bool_]:
    return tiny.labels(frame, disc, box) > 0


def give(session: Session, frame: int, *, keeps: bool = True) -> None:
    """The clip's disc, and its box over half of it."""
    if not session.annotation.objects:
        session.add_object("bear")
        session.add_object("cub")
        session.do(OverlapRequest(BEAR, keeps))
    disc = shape(frame, 1, 0)
    box = shape(frame, 0, 1) | (disc & (np.arange(disc.shape[1]) > np.nonzero(disc)[1].mean()))
    session.set_mask(frame, np.where(disc, BEAR, 0).astype(np.uint8))
    session.set_mask(frame, np.where(box, CUB, session.masks[frame]).astype(np.uint8))


def run(session: Session, start: int = 0, **others: object) -> list[Propagated]:
    steps = []
    request = PropagationRequest(start, **others)  # type: ignore[arg-type]
    for step in propagation(session.context(), request):
        if step.edit is not None:
            session.apply(step.edit)
        steps.append(step)
    return steps


def test_an_object_whose_covered_pixels_were_given_is_tracked_once_more(session: Session) -> None:
    give(session, 0)
    assert session.annotation.record(0).covered == {BEAR}
    given = session.annotation.record(0)
    steps = run(session)
    assert steps[-1].done == steps[-1].total == 2 * (COUNT - 1)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert session.annotation.record(0) == given
    for frame in range(1, COUNT):
        record = session.annotation.record(frame)
        assert record.status is FrameStatus.TRACKED
        assert record.covered <= {BEAR}
        stack = session.annotation.stack(frame)
        assert not (region(stack, BEAR) & (stack[0] == 0)).any()


def test_what_is_in_front_is_what_it_would_have_been(session: Session, tmp_path: Path) -> None:
    give(session, 0)
    run(session)
    with open_session(tmp_path / "plain", COUNT) as plain:
        give(plain, 0, keeps=False)
        steps = run(plain)
        assert steps[-1].total == COUNT - 1
        for frame in range(1, COUNT):
            assert np.array_equal(session.masks[frame], plain.masks[frame])


def test_both_passes_are_one_step_of_the_history(session: Session) -> None:
    give(session, 0)
    before = dict(session.annotation.records)
    run(session)
    after = dict(session.annotation.records)
    session.undo()
    assert dict(session.annotation.records) == before
    session.redo()
    assert dict(session.annotation.records) == after


def test_without_given_covered_pixels_there_is_no_second_pass(session: Session) -> None:
    give(session, 0)
    everything = PropagationRequest(0)
    assert tracked_objects(session.annotation, everything) == (BEAR,)
    assert (
        tracked_objects(session.annotation, PropagationRequest(0, objects=frozenset({CUB}))) == ()
    )
    session.objects.set_locked(BEAR, True)
    assert tracked_objects(session.annotation, everything) == ()
    session.objects.set_locked(BEAR, False)
    session.do(UnconfirmRequest(0))
    assert tracked_objects(session.annotation, everything) == ()


def test_covered_pixels_given_by_hand_are_not_tracked_away(session: Session) -> None:
    give(session, 0)
    give(session, 3)
    bird = session.add_object("bird")
    session.do(StrokeRequest(0, bird, Stroke(((4.0, 4.0),), 3)))
    covered = session.masks.region(3, BEAR)
    assert session.annotation.record(3).covered == {BEAR}
    run(session)  # the bird is tracked onto frame 3, which does not label it
    assert np.array_equal(session.masks.region(3, BEAR), covered)


def test_a_run_of_one_object_leaves_the_covered_pixels_of_others(session: Session) -> None:
    give(session, 0)
    give(session, 2)
    session.do(UnconfirmRequest(2))
    covered = session.masks.region(2, BEAR)
    assert session.annotation.record(2).covered == {BEAR}
    run(session, objects=frozenset({CUB}))
    assert np.array_equal(session.masks.region(2, BEAR), covered)


def test_what_is_far_from_the_object_is_not_it() -> None:
    bear, cub = np.zeros((10, 30), np.bool_), np.zeros((10, 30), np.bool_)
    bear[2:8, :8] = True
    cub[2:8, 5:28] = True
    stack = pile([(BEAR, bear & ~cub), (CUB, cub)], 10, 30)
    found = np.zeros((10, 30), np.uint8)
    found[2:8, :8] = BEAR
    found[2:8, 20:25] = BEAR  # the network took a part of the cub for it
    found[0, 0] = BEAR  # and a pixel where nothing is
    after = beneath_others(stack, BEAR, found)
    assert np.array_equal(region(after, BEAR), bear)
    assert np.array_equal(after[0], stack[0])
    # Found again elsewhere, what was covered before is forgotten.
    again = beneath_others(after, BEAR, np.zeros((10, 30), np.uint8))
    assert np.array_equal(region(again, BEAR), bear & ~cub)


@pytest.mark.parametrize("scale", [1, 12])
def test_a_region_of_another_frame_is_moved_to_where_it_fits_what_is_visible(scale: int) -> None:
    """Also where it is sought in a smaller picture."""

    def large(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.kron(mask, np.ones((scale, scale), np.bool_))

    whole, cub = np.zeros((40, 60), np.bool_), np.zeros((40, 60), np.bool_)
    whole[5:20, 4:24] = whole[20:30, 10:16] = True
    cub[:, 36:50] = True
    moved = np.roll(whole, (3, 20), axis=(0, 1))
    height, width = 40 * scale, 60 * scale
    stack = pile([(BEAR, large(moved & ~cub)), (CUB, large(cub))], height, width)
    found = placed(large(whole), stack, BEAR)
    assert found is not None
    assert (found == large(moved)).mean() > (0.999 if scale == 1 else 0.99)
    other = np.zeros_like(whole)
    other[4:34, 5:15] = True
    assert placed(large(other), stack, BEAR) is None
    hidden = pile([(BEAR, large(moved & ~cub)), (CUB, large(moved))], height, width)
    assert placed(large(whole), hidden, BEAR) is None


@pytest.mark.parametrize(
    ("top", "left", "down", "right"),
    [
        (2, 2, 0, 34),  # more than half the picture
        (2, 46, 0, -38),
        (2, 2, 24, 0),
        (26, 40, -22, -36),
        (2, 34, 0, 17),  # off the right edge
        (12, 10, 0, -15),
        (10, 20, 22, 0),
        (12, 20, -16, 3),
    ],
)
def test_a_region_may_move_far_and_run_off_an_edge(
    top: int, left: int, down: int, right: int
) -> None:
    height, width = 40, 60
    whole = np.zeros((height, width), np.bool_)
    whole[top : top + 12, left : left + 12] = whole[top : top + 5, left : left + 14] = True
    moved = np.zeros_like(whole)
    rows, columns = np.nonzero(whole)
    rows, columns = rows + down, columns + right
    is_inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    moved[rows[is_inside], columns[is_inside]] = True
    cub = np.zeros_like(whole)
    middle = tuple(int(np.nonzero(moved)[axis].mean()) for axis in (0, 1))
    cub[middle[0] : middle[0] + 2, middle[1] : middle[1] + 2] = True
    stack = pile([(BEAR, moved & ~cub), (CUB, cub)], height, width)
    found = placed(whole, stack, BEAR)
    assert found is not None
    assert np.array_equal(found, moved)


def test_an_object_that_is_covered_whole_is_kept_where_it_was_found() -> None:
    cub = np.ones((6, 6), np.bool_)
    found = np.zeros((6, 6), np.uint8)
    found[1:3, 1:3] = BEAR
    after = beneath_others(pile([(CUB, cub)], 6, 6), BEAR, found)
    assert np.array_equal(region(after, BEAR), found == BEAR)


def trackers(session: Session) -> int:
    engines = session.engines.plain
    assert isinstance(engines, FakeEngines)
    return len(engines.trackers)


def test_the_forecast_counts_every_pass(session: Session) -> None:
    give(session, 0)
    assert session.forecast().passes == 2
    twice = session.forecast(measures=True)
    session.do(OverlapRequest(BEAR, False))
    once = session.forecast()
    assert once.passes == 1
    assert twice.frames == once.frames == COUNT - 1
    assert once.seconds is not None
    assert twice.seconds is not None
    assert twice.seconds > once.seconds
    assert "in 2 passes" in twice.line
    assert "passes" not in once.line


def test_a_brake_ends_the_first_pass_alone(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is covered is tracked up to there; what an annotator stops is stopped."""
    give(session, 0)
    cuts: list[object] = []

    def cut(brakes: object, watch: object) -> str | None:
        cuts.append(brakes)
        return "Another shot begins here." if len(cuts) == 4 else None

    monkeypatch.setattr("interaction.tracking.brakes.Brakes.cut", cut)
    monkeypatch.setattr("interaction.tracking.brakes.Brakes.mask", lambda *_: None)
    steps: list[Propagated] = []
    session.propagate(0, brakes=True, on_step=steps.append)
    assert trackers(session) == 2
    braked = next(i for i, step in enumerate(steps) if step.brake)
    assert {step.frame for step in steps[braked + 1 :]} == {0, 1, 2, 3}

    def stop(step: Propagated) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        session.propagate(0, on_step=stop)
    assert trackers(session) == 3


def test_the_steps_of_a_pass_say_which_frames_the_propagation_has_reached(session: Session) -> None:
    """Stopped then, a run offers the passes over all of them."""
    give(session, 0)
    steps = run(session, last=5)
    so_far = PropagationRequest(0, first=0, last=5)
    passes = steps[len(steps) // 2 :]
    assert [step.frame for step in passes][-6:] == list(range(6))
    assert {step.so_far for step in passes} == {so_far}
    alone = list(covered_passes(session.context(), so_far))
    assert [step.frame for step in alone][-6:] == list(range(6))
    assert {step.so_far for step in alone} == {so_far}


def covered_frames(session: Session) -> set[int]:
    """Of those that were tracked."""
    records = session.annotation.records.items()
    return {f for f, r in records if r.covered and r.status is FrameStatus.TRACKED}


def replayed(session: Session, folder: Path) -> Session:
    """To the same masks: compared here."""
    with open_session(folder, COUNT) as other:
        list(replay(other, session.history.entries))
        assert dict(other.annotation.records) == dict(session.annotation.records)
    return other


def test_what_others_cover_is_replayed(session: Session, tmp_path: Path) -> None:
    give(session, 0)
    run(session, blends=False)
    assert covered_frames(session)
    assert trackers(replayed(session, tmp_path / "other")) == 2


def test_passes_after_a_run_that_was_stopped_are_replayed_alone(
    session: Session, tmp_path: Path
) -> None:
    give(session, 0)
    steps = propagation(session.context(), PropagationRequest(0))
    so_far = None
    for step in steps:
        if step.edit is not None:
            session.apply(step.edit)
        so_far = step.so_far
        if step.frame == 5:
            break
    steps.close()
    assert so_far is not None
    assert covered_frames(session) == set()
    tracked = {frame: session.masks[frame] for frame in range(6)}
    for step in covered_passes(session.context(), so_far):
        if step.edit is not None:
            session.apply(step.edit)
    assert covered_frames(session)
    cause = session.history.entries[-1].loaded().cause
    assert cause == PropagationRequest(0, first=0, last=5, covered_only=True)
    assert all(np.array_equal(session.masks[frame], mask) for frame, mask in tracked.items())
    assert trackers(replayed(session, tmp_path / "other")) == 2


def test_nothing_is_decoded_for_the_passes_before_the_first_step(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is annotated is read before it, on the window's thread."""
    give(session, 0)
    made: list[object] = []

    def counted(*args: object, **options: object) -> object:
        made.append(args)
        return make_record(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("interaction.tracking.covered.make_record", counted)
    request = PropagationRequest(0, last=3)
    for steps in (
        propagation(session.context(), request),
        covered_passes(session.context(), request),
    ):
        assert made == []
        next(steps)
        assert made
        made.clear()
        steps.close()


def test_proposals_of_absence_outlive_the_passes_that_follow(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(session, 0)
    proposal = AbsenceProposal(CUB, 3, 6)
    monkeypatch.setattr(
        "interaction.tracking.brakes.CollapseWatch.proposals", property(lambda watch: (proposal,))
    )
    assert session.propagate(0).absences == (proposal,)
