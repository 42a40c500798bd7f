"""Propagation in a session: what it starts from, where it ends, what it never touches."""

import gc
import weakref
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from interaction.annotation.annotation import make_record
from interaction.annotation.requests import (
    ClearRequest,
    ConfirmRequest,
    DeleteRequest,
    MergeRequest,
    PresenceRequest,
    Propagated,
    PropagationRequest,
    StrokeRequest,
    SwapRequest,
    UnconfirmRequest,
)
from interaction.annotation.strokes import paint
from interaction.annotation.types import Edit, FrameRecord, FrameStatus, PresenceState, Stroke
from interaction.answers import propagation
from interaction.engines import EngineSettings
from interaction.errors import EngineMemoryError, UserError
from interaction.session import Session
from interaction.tracking.propagation_job import agrees, composed
from interaction.tracking.trust import ASKED_EVERY, SIGNS
from tests import tiny
from tests.fake_engines import SHORT, BrightnessJudge, FakeEngines, open_session
from xmem_core import Tracker
from xmem_core.arrays import Labels
from xmem_core.pictures import EncodedFrame, soft_aggregate

COUNT = 12
DAB = Stroke(((30.0, 40.0),), 3)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with open_session(tmp_path, COUNT) as opened:
        yield opened


def give(session: Session, frame: int, disc: int = 1, box: int = 2) -> None:
    """The clip's own shapes as a mask made by hand; 0 leaves one out."""
    while len(session.annotation.objects) < max(disc, box):
        session.add_object()
    session.set_mask(frame, tiny.labels(frame, disc, box))


def statuses(session: Session) -> str:
    letters = {"empty": "-", "tracked": "t", "corrected": "C", "confirmed": "K"}
    records = (session.annotation.record(frame) for frame in range(session.annotation.frame_count))
    return "".join(letters[record.status] for record in records)


def records(session: Session) -> dict[int, FrameRecord]:
    return dict(session.annotation.records)


def run(session: Session, start: int, **others: object) -> list[Propagated]:
    """Every step, applied."""
    steps = list(propagation(session.context(), PropagationRequest(start, **others)))  # type: ignore[arg-type]
    for step in steps:
        if step.edit is not None:
            session.apply(step.edit)
    return steps


# Where it goes


@pytest.mark.parametrize(
    ("given", "start", "others", "expected"),
    [
        ([0], 0, {}, "Cttttttttttt"),
        ([11], 11, {"direction": "backward"}, "tttttttttttC"),
        ([4], 4, {"direction": "both"}, "ttttCttttttt"),
        ([4], 4, {"direction": "both", "most_frames": 2}, "--ttCtt-----"),
        ([0, 6], 0, {}, "CtttttCttttt"),
        ([0, 6], 0, {"until": "next_confirmed"}, "CtttttC-----"),
        ([0, 6], 6, {"direction": "backward", "until": "next_confirmed"}, "CtttttC-----"),
        ([0, 6], 0, {"until": "halfway"}, "Cttt--C-----"),
        ([0, 6], 6, {"direction": "both", "until": "halfway"}, "C--tttCttttt"),
        ([0, 3], 3, {"direction": "backward", "until": "halfway"}, "C-tC--------"),
        ([2], 2, {"most_frames": 3}, "--Cttt------"),
        ([2], 2, {"first": 1, "last": 4}, "--Ctt-------"),
        ([2], 2, {"first": 5, "last": 7}, "--C--ttt----"),
        ([6], 6, {"direction": "both", "first": 4, "last": 7}, "----ttCt----"),
        ([6], 2, {}, "--ttttCttttt"),
        ([2], 5, {"direction": "backward", "first": 3}, "--Cttt------"),
    ],
)
def test_where_a_propagation_goes(
    session: Session, given: list[int], start: int, others: dict[str, object], expected: str
) -> None:
    for frame in given:
        give(session, frame)
    steps = run(session, start, **others)
    assert statuses(session) == expected
    assert steps[-1].done == steps[-1].total > 0


@pytest.mark.parametrize(
    ("given", "start", "others", "reason"),
    [
        ([], 3, {}, "no mask to start from"),
        ([11], 11, {}, "last frame"),
        ([0], 0, {"direction": "backward"}, "first frame"),
        ([0, 1], 0, {"until": "next_confirmed"}, "next frame has a mask"),
        ([0, 1], 0, {"until": "halfway"}, "next frame has a mask"),
        ([0], 8, {"last": 5}, "behind"),
        ([0], 2, {"direction": "backward", "first": 5}, "behind"),
        ([0], 2, {"first": 5, "last": 3}, "no frame"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason_and_changes_nothing(
    session: Session, given: list[int], start: int, others: dict[str, object], reason: str
) -> None:
    for frame in given:
        give(session, frame)
    before = records(session)
    with pytest.raises(UserError, match=reason):
        propagation(session.context(), PropagationRequest(start, **others))  # type: ignore[arg-type]
    assert records(session) == before


def test_a_request_that_makes_no_sense_is_refused(session: Session) -> None:
    give(session, 0)
    with pytest.raises(ValueError, match="most_frames"):
        PropagationRequest(0, most_frames=0)
    with pytest.raises(ValueError, match="direction"):
        PropagationRequest(0, "sideways")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="until"):
        PropagationRequest(0, until="later")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"objects \[7\]"):
        propagation(session.context(), PropagationRequest(0, objects=frozenset({7})))
    with pytest.raises(IndexError):
        propagation(session.context(), PropagationRequest(99))


# What it leaves alone


def test_given_frames_are_never_overwritten(session: Session) -> None:
    for frame in (0, 4, 7):
        give(session, frame)
    session.do(ConfirmRequest(7))
    before = {frame: session.annotation.record(frame) for frame in (0, 4, 7)}
    run(session, 0)
    run(session, 11, direction="backward")
    assert {frame: session.annotation.record(frame) for frame in before} == before


def test_locked_and_unchosen_objects_keep_every_pixel(session: Session) -> None:
    give(session, 0)
    run(session, 0)
    first = {frame: session.annotation.labels(frame) for frame in range(COUNT)}
    session.objects.set_locked(1, True)
    give(session, 1, 1, 2)
    session.set_mask(1, np.roll(session.masks[1], 9))
    run(session, 1)
    for frame in range(2, COUNT):
        assert np.array_equal(session.annotation.labels(frame) == 1, first[frame] == 1)
    session.objects.set_locked(1, False)
    second = {frame: session.annotation.labels(frame) for frame in range(COUNT)}
    run(session, 0, objects=frozenset({1}))
    for frame in range(1, COUNT):
        kept = session.annotation.labels(frame)[second[frame] == 2]
        assert (kept == 2).all()


def test_with_every_object_locked_there_is_nothing_to_do(session: Session) -> None:
    give(session, 0, 1, 0)
    session.objects.set_locked(1, True)
    with pytest.raises(UserError, match="locked"):
        propagation(session.context(), PropagationRequest(0))


def test_frames_changed_while_a_run_is_under_way_are_left_alone(session: Session) -> None:
    give(session, 0)
    results = []
    for step in propagation(session.context(), PropagationRequest(0)):
        if step.frame == 3:
            session.do(StrokeRequest(6, 1, DAB))
            session.do(StrokeRequest(2, 1, DAB))  # behind the head
        if step.edit is not None:
            results.append((step.frame, session.apply(step.edit)))
    assert [frame for frame, is_applied in results if not is_applied] == [6]
    assert statuses(session) == "CtCtttCttttt"


def test_an_object_deleted_while_a_run_is_under_way_does_not_come_back(session: Session) -> None:
    give(session, 0)
    for step in propagation(session.context(), PropagationRequest(0)):
        if step.frame == 3:
            session.do(DeleteRequest(2))
        if step.edit is not None:
            session.apply(step.edit)
    assert all(2 not in record.present for record in records(session).values())


def test_resetting_a_frame_and_going_on_blanks_no_other_frame(session: Session) -> None:
    give(session, 0)
    run(session, 0)
    before = records(session)
    session.do(ClearRequest(1))
    after = records(session)
    assert after.pop(1, None) is None
    del before[1]
    assert after == before


# What it remembers


def test_an_object_added_mid_video_is_not_guessed_at_before(session: Session) -> None:
    give(session, 0, 1, 0)
    give(session, 6, 1, 2)
    run(session, 0)
    present = [session.annotation.record(frame).present for frame in range(COUNT)]
    assert all(2 not in one for one in present[:6])
    assert 2 in present[6]


def test_a_corrected_frame_answers_for_what_is_in_it_a_confirmed_one_for_all(
    session: Session,
) -> None:
    give(session, 0, 1, 2)
    give(session, 5, 1, 0)
    engines = session.engines.plain
    assert isinstance(engines, FakeEngines)
    run(session, 0)
    bank = engines.trackers[-1].bank
    assert set(bank.permanent_elements(5).values) == {1}
    session.do(ConfirmRequest(5))
    run(session, 0)
    bank = engines.trackers[-1].bank
    assert set(bank.permanent_elements(5).values) == {1, 2}


@pytest.fixture
def sees_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker finds every object it looks for, as a square of its own at the upper edge."""

    def predict(
        tracker: Tracker,
        encoded: EncodedFrame,
        ids: tuple[int, ...],
        *,
        updates_hidden: bool,
        absent: Collection[int] = (),
    ) -> torch.Tensor:
        height, width = tracker._internal_masks(torch.zeros(1, *encoded.size.source), encoded.size)[
            0
        ].shape
        masks = torch.zeros(len(ids), height, width)
        for mask, object_id in zip(masks, ids, strict=True):
            mask[1:5, 6 * object_id : 6 * object_id + 4] = 0.99
        return soft_aggregate(masks)

    monkeypatch.setattr(Tracker, "_predict", predict)


def without(labels: Labels, object_id: int) -> Labels:
    return np.where(labels == object_id, 0, labels).astype(np.uint8)


@pytest.mark.usefixtures("sees_squares")
def test_an_object_added_later_is_tracked_through_corrected_frames(session: Session) -> None:
    give(session, 0, 1, 0)
    run(session, 0)
    give(session, 5, 1, 0)
    corrected = session.annotation.labels(5)
    give(session, 0, 1, 2)
    run(session, 0)
    record = session.annotation.record(5)
    assert (record.status, record.present, record.given) == (
        FrameStatus.CORRECTED,
        frozenset({1, 2}),
        frozenset({1}),
    )
    assert np.array_equal(without(session.annotation.labels(5), 2), corrected)


@pytest.mark.usefixtures("sees_squares")
def test_what_a_tracker_put_beside_a_correction_is_tracked_again(session: Session) -> None:
    give(session, 0, 1, 2)
    give(session, 5, 1, 0)
    session.do(ClearRequest(5))
    give(session, 5, 1, 0)  # of the disc alone
    run(session, 0)
    first = session.annotation.record(5)
    assert first.present == {1, 2}
    spread = Stroke(((12.0, 2.0), (40.0, 2.0)), 2)
    session.apply(
        Edit(
            "As another tracker would have it",
            {5: first},
            {
                5: make_record(
                    paint(session.annotation.labels(5), 2, spread, ()),
                    first.status,
                    given=first.given,
                )
            },
        )
    )
    run(session, 0)
    assert session.annotation.record(5) == first
    session.undo()
    assert session.annotation.record(5) != first


@pytest.mark.usefixtures("sees_squares")
def test_an_object_taken_off_by_hand_stays_off(session: Session) -> None:
    give(session, 0, 1, 2)
    run(session, 0)
    session.do(ClearRequest(5, 2))
    before = session.annotation.record(5)
    assert (before.present, before.given) == (frozenset({1}), frozenset({1, 2}))
    run(session, 0)
    assert session.annotation.record(5) == before
    assert 2 in session.annotation.record(6).present


@pytest.mark.usefixtures("sees_squares")
def test_a_correction_answers_for_what_was_there_and_what_is_touched_since(
    session: Session,
) -> None:
    give(session, 0, 1, 2)
    run(session, 0)
    session.do(StrokeRequest(5, 1, DAB))
    assert session.annotation.record(5).given == {1, 2}
    session.add_object()
    session.do(StrokeRequest(0, 3, Stroke(((60.0, 40.0),), 3)))
    run(session, 0)
    assert session.annotation.record(5).present == {1, 2, 3}
    session.do(StrokeRequest(5, 1, Stroke(((34.0, 40.0),), 3)))
    assert session.annotation.record(5).given == {1, 2}
    session.do(StrokeRequest(5, 3, Stroke(((60.0, 40.0),), 3)))
    assert session.annotation.record(5).given == {1, 2, 3}


@pytest.mark.usefixtures("sees_squares")
def test_clicks_on_a_frame_that_a_tracker_filled_keep_what_it_put_there(session: Session) -> None:
    give(session, 0, 1, 2)
    session.click(5, 1, 40, 30)
    session.click(5, 1, 44, 30)
    run(session, 0)
    filled = session.annotation.labels(5) == 2
    assert filled.any()
    session.click(5, 1, 48, 30)
    assert np.array_equal(session.annotation.labels(5) == 2, filled)
    session.remove_click(5, 0)
    record = session.annotation.record(5)
    assert (record.present, record.given) == (frozenset({1, 2}), frozenset({1}))


@pytest.mark.usefixtures("sees_squares")
def test_a_number_that_is_used_again_is_not_answered_for_by_its_last_bearer(
    session: Session,
) -> None:
    give(session, 0, 1, 2)
    run(session, 0)
    session.do(ClearRequest(5, 2))
    session.do(DeleteRequest(2))
    assert session.annotation.record(5).given == {1}
    assert session.add_object() == 2
    session.do(StrokeRequest(0, 2, DAB))
    run(session, 0)
    assert 2 in session.annotation.record(5).present


@pytest.mark.usefixtures("sees_squares")
def test_merging_and_swapping_take_along_what_is_answered_for(session: Session) -> None:
    give(session, 0, 1, 2)
    give(session, 5, 1, 0)
    run(session, 0)
    session.do(SwapRequest(1, 2))
    assert session.annotation.record(5).given == {2}
    session.do(MergeRequest(2, 1))
    assert session.annotation.record(5).given == {1}


def test_a_run_goes_on_from_a_tracked_frame(session: Session) -> None:
    give(session, 0)
    run(session, 0, most_frames=4)
    before = session.annotation.record(4)
    run(session, 4)
    assert session.annotation.record(4) == before
    assert statuses(session) == "Cttttttttttt"


def test_tracked_masks_alone_are_enough_to_go_on_from(session: Session) -> None:
    give(session, 0)
    session.do(UnconfirmRequest(0))
    run(session, 0)
    assert statuses(session) == "tttttttttttt"
    assert session.annotation.record(5).present


def test_a_paused_run_gives_the_very_masks_of_one_that_was_not(tmp_path: Path) -> None:
    with open_session(tmp_path, COUNT) as first, open_session(tmp_path, COUNT) as second:
        for session in (first, second):
            give(session, 0)
        run(first, 0)
        steps = propagation(second.context(), PropagationRequest(0))
        for step in steps:
            if step.edit is not None:
                second.apply(step.edit)
            if step.frame == 5:  # a long pause, in which the annotator works elsewhere
                second.do(StrokeRequest(0, 1, DAB))
                second.undo()
        assert records(first) == records(second)


def test_what_a_run_depends_on_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    with open_session(tmp_path, COUNT) as first, open_session(tmp_path, COUNT) as second:
        for session in (first, second):
            give(session, 0)
        run(first, 0)
        steps = propagation(second.context(), PropagationRequest(0))
        second.do(StrokeRequest(0, 1, DAB))
        for step in steps:
            if step.edit is not None:
                second.apply(step.edit)
        for frame in range(1, COUNT):
            assert first.annotation.record(frame) == second.annotation.record(frame)


# Settled


def test_a_run_that_changes_nothing_settles_after_five_frames(session: Session) -> None:
    give(session, 0)
    run(session, 0)
    before = records(session)
    steps = run(session, 0, until="settled")
    assert [step.frame for step in steps if step.done][-1] == 5
    assert steps[-1].remark is not None
    assert records(session) == before


def test_a_run_settles_only_where_there_are_old_tracked_masks(session: Session) -> None:
    give(session, 0)
    run(session, 0, most_frames=3)
    run(session, 0, until="settled")
    assert statuses(session) == "Cttttttttttt"


def test_a_correction_is_tracked_until_the_masks_agree_again_or_the_next_given_frame(
    session: Session,
) -> None:
    give(session, 0)
    give(session, 8)
    run(session, 0)
    session.set_mask(2, np.roll(session.masks[2], 12))
    behind = {frame: record for frame, record in records(session).items() if frame >= 8}
    run(session, 2, until="settled")
    assert {frame: session.annotation.record(frame) for frame in behind} == behind


def test_agreement_is_asked_of_each_object() -> None:
    before = np.zeros((50, 50), np.uint8)
    before[:40, :40] = 1
    before[45, 40:48] = 2
    after = before.copy()
    after[0, :10] = 0  # 10 of 1600 pixels
    assert agrees(before, after, {1, 2})
    after[45, 40] = 0  # one of 8
    assert not agrees(before, after, {1, 2})
    assert agrees(before, after, {1})
    assert agrees(before, before, {1, 2, 3})  # 3 is in neither


def test_composing_keeps_what_is_not_to_change() -> None:
    before = np.array([[1, 2, 3, 0, 0]], np.uint8)
    tracked = np.array([[2, 1, 1, 1, 3]], np.uint8)

    def rows(*stack: np.ndarray) -> list[object]:
        return [layer[0].tolist() for layer in stack]

    assert rows(*composed((before,), tracked, {1}, ())) == [[0, 2, 3, 1, 0]]
    assert rows(*composed((before,), tracked, {1, 2, 3}, ())) == tracked.tolist()
    covered = np.array([[2, 3, 1, 0, 0]], np.uint8)
    assert rows(*composed((before, covered), tracked, {1}, {2})) == [
        [2, 2, 3, 1, 0],
        [0, 3, 0, 0, 0],
    ]
    kept = composed((before, covered), tracked, {2}, {1})
    assert rows(*kept) == [[1, 3, 3, 0, 0], [0, 0, 1, 0, 0]]


# History


def test_a_propagation_is_one_step_and_is_undone_exactly(session: Session) -> None:
    give(session, 0)
    run(session, 0)
    before = records(session)
    steps = len(session.history.entries)
    session.set_mask(0, np.roll(session.masks[0], 5))
    middle = records(session)
    run(session, 0)
    after = records(session)
    assert len(session.history.entries) == steps + 2
    session.undo()
    assert records(session) == middle
    session.undo()
    assert records(session) == before
    session.redo()
    session.redo()
    assert records(session) == after


def test_a_run_that_is_broken_off_keeps_every_finished_frame(session: Session) -> None:
    give(session, 0)
    steps = propagation(session.context(), PropagationRequest(0))
    for step in steps:
        if step.edit is not None:
            session.apply(step.edit)
        if step.done == 4:
            steps.close()
    assert statuses(session) == "Ctttt-------"
    session.undo()
    assert statuses(session) == "C-----------"


def test_steps_tell_the_memory_in_use_and_tracked_frames_a_doubt(session: Session) -> None:
    give(session, 0)
    steps = run(session, 0)
    memory = steps[-1].memory
    assert memory is not None
    assert memory.permanent > 0
    assert memory.working + memory.long_term > 0
    assert memory.device_bytes > 0
    doubts = [session.annotation.record(frame).doubt for frame in range(1, COUNT)]
    assert all(0 <= doubt <= 1 for doubt in doubts)
    listed = session.next_frames(goal=0.99)
    assert {one.frame for one in listed} <= set(range(1, COUNT))
    assert all(one.expected_iou < 0.99 and one.mends >= 1 for one in listed)


def test_a_click_network_is_asked_about_a_tracked_mask_now_and_then(session: Session) -> None:
    give(session, 0)
    session.propagate(0)
    asked, denied = SIGNS.index("is_asked"), SIGNS.index("denied")
    for frame in range(1, COUNT):
        for one in session.annotation.record(frame).signs:
            is_asked = (frame + one.object_id) % ASKED_EVERY == 0
            assert bool(one.values[asked]) == is_asked
            assert is_asked or not one.values[denied]
    judge, shares = BrightnessJudge(), []
    for frame in (0, 7):
        shares.append(judge.denied(tiny.frame(frame), session.masks[frame], 1))
    [sign] = [one for one in session.annotation.record(7).signs if one.object_id == 1]
    assert sign.values[denied] == pytest.approx(shares[1] - min(shares), abs=0.001)


# Two passes between given frames


def test_two_passes_between_given_frames_become_one_and_are_one_step(session: Session) -> None:
    give(session, 0)
    give(session, 6)
    before, steps = records(session), len(session.history.entries)
    done: list[tuple[int, int]] = []
    session.propagate(0, on_step=lambda step: done.append((step.done, step.total)))
    assert statuses(session) == "CtttttCttttt"
    assert {0: session.annotation.record(0), 6: session.annotation.record(6)} == before
    assert done[-1] == (16, 16)  # frames 1 to 5 twice
    for frame in range(1, COUNT):
        two = {one.values[SIGNS.index("is_two")] for one in session.annotation.record(frame).signs}
        assert two == ({float(frame < 6)} if frame != 6 else set())
    assert len(session.history.entries) == steps + 1
    session.undo()
    assert records(session) == before


def test_a_single_pass_is_kept_when_it_is_asked_for_or_cut_halfway(session: Session) -> None:
    give(session, 0)
    give(session, 6)
    session.propagate(0, blends=False)
    single = records(session)
    session.undo()
    session.propagate(0)
    assert {f for f in range(COUNT) if records(session)[f] != single[f]} == set(range(1, 6))
    session.undo()
    steps = run(session, 0, until="halfway")
    assert statuses(session) == "CtttTT".replace("T", "-") + "C-----"
    assert steps[-1].done == 3


def test_what_is_changed_during_the_second_pass_stays(session: Session) -> None:
    give(session, 0)
    give(session, 6)
    corrected = tiny.labels(3, 0, 2)

    def correct(step: Propagated) -> None:
        if step.done == 12:  # the second pass has begun
            session.set_mask(3, corrected)

    session.propagate(0, on_step=correct)
    assert np.array_equal(session.masks[3], corrected)
    assert statuses(session) == "CttCttCttttt"


# When memory runs out


class ScarceTracker(Tracker):
    """Has no memory for a frame after some, once or more often."""

    def __init__(self, engines: "ScarceEngines", settings: EngineSettings, tracker: Tracker):
        super().__init__(
            tracker.engine.network, settings.memory, internal_size=tracker.internal_size
        )
        self._engines, self._settings = engines, settings

    def track(self, *arguments: object, **others: object) -> object:  # type: ignore[override]
        self._fail_at("track")
        return super().track(*arguments, **others)  # type: ignore[arg-type]

    def encode(self, *arguments: object, **others: object) -> object:  # type: ignore[override]
        self._fail_at("encode")
        return super().encode(*arguments, **others)  # type: ignore[arg-type]

    def memorize(self, *arguments: object, **others: object) -> object:  # type: ignore[override]
        self._fail_at("memorize")
        return super().memorize(*arguments, **others)  # type: ignore[arg-type]

    def _fail_at(self, method: str) -> None:
        if method == self._engines.method and self._engines.fails_for(self._settings):
            self._engines.run_out()


class ScarceEngines(FakeEngines):
    def __init__(
        self, run_out: Callable[..., None], failures: int, after: int = 3, method: str = "track"
    ) -> None:
        self.method = method
        self.run_out = run_out
        super().__init__(EngineSettings(memory=SHORT, device="cpu"))
        self.failures, self.after, self.frames = failures, after, 0
        self.used: list[EngineSettings] = []
        self.started: list[weakref.ref[Tracker]] = []

    def fails_for(self, settings: EngineSettings) -> bool:
        self.frames += 1
        if self.frames > self.after and self.failures:
            self.failures -= 1
            return True
        return False

    def start_tracker(self, settings: EngineSettings | None = None) -> Tracker:
        used = settings or self.settings
        self.used.append(used)
        tracker = ScarceTracker(self, used, super().start_tracker(settings))
        self.started.append(weakref.ref(tracker))
        return tracker


def test_a_full_device_is_answered_with_smaller_steps_from_the_frame_it_was_at(
    tmp_path: Path, run_out: Callable[..., None]
) -> None:
    engines = ScarceEngines(run_out, failures=2)
    with open_session(tmp_path, COUNT, engines) as session:
        give(session, 0)
        steps = run(session, 0)
        assert statuses(session) == "Cttttttttttt"
        remarks = [step.remark for step in steps if step.remark]
        assert "one object at a time" in remarks[0]
        assert "internal size 360" in remarks[1]
        assert [used.internal_size for used in engines.used] == [480, 480, 360]
        made = [step.frame for step in steps if step.edit is not None]
        assert made == list(range(1, COUNT))  # each once, in order
        assert len(session.history.entries) == 4  # two objects, a mask, one run


@pytest.mark.parametrize(("method", "after"), [("track", 3), ("encode", 3), ("memorize", 0)])
def test_a_tracker_is_freed_before_its_memory_is_given_back_to_the_device(
    tmp_path: Path, method: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the garbage collection, which is the window's and may be far away."""

    def run_out() -> None:
        raise MemoryError

    engines = ScarceEngines(run_out, 2, after, method)
    alive: list[int] = []
    monkeypatch.setattr(
        "interaction.tracking.stepping.release_freed_memory",
        lambda _device: alive.append(sum(one() is not None for one in engines.started)),
    )
    gc.disable()
    try:
        with open_session(tmp_path, COUNT, engines) as session:
            give(session, 0)
            run(session, 0)
    finally:
        gc.enable()
    assert alive == [0, 0]


def test_when_no_step_is_small_enough_the_run_ends_and_keeps_what_it_has(
    tmp_path: Path, run_out: Callable[..., None]
) -> None:
    engines = ScarceEngines(run_out, failures=1000)
    with open_session(tmp_path, COUNT, engines) as session:
        give(session, 0)
        with pytest.raises(EngineMemoryError):
            session.propagate(0)
        assert statuses(session) == "Cttt--------"
        assert [used.internal_size for used in engines.used] == [480, 480, 360, 240]


def test_a_device_may_be_full_while_all_that_was_tracked_is_out_of_sight(
    tmp_path: Path, run_out: Callable[..., None]
) -> None:
    """From a tracked mask: no given one is left to remember."""
    engines = ScarceEngines(run_out, failures=1)
    with open_session(tmp_path, COUNT, engines) as session:
        give(session, 0, 1, 0)
        session.do(UnconfirmRequest(0))
        session.do(PresenceRequest(1, 2, COUNT - 1, PresenceState.ABSENT))
        session.propagate(0)
        assert statuses(session) == "t" * COUNT
        assert not any(session.masks[frame].any() for frame in range(2, COUNT))
        assert len(engines.used) == 2


def test_with_very_many_given_frames_only_those_around_are_remembered(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interaction.tracking.propagation_job.MOST_REMEMBERED", 2)
    for frame in (0, 2, 4, 6, 8, 10):
        give(session, frame, 1, 2 if frame else 0)
    steps = run(session, 0)
    assert statuses(session) == "CtCtCtCtCtCt"
    engines = session.engines.plain
    assert isinstance(engines, FakeEngines)
    # The first masks of both objects, and the two around the end.
    assert list(engines.trackers[-1].confirmed_frames) == [0, 2, 8, 10]
    elements = [step.memory.permanent for step in steps if step.memory is not None]
    per_frame = elements[0]
    assert max(elements) <= 5 * per_frame
    run(session, 6, direction="both")
    assert statuses(session) == "CtCtCtCtCtCt"
    assert list(engines.trackers[-1].confirmed_frames) == [0, 2, 10]
