"""Tracking in a box that follows the objects: where it goes, what it gives, when it changes."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from interaction.annotation.requests import (
    PresenceRequest,
    Propagated,
    PropagationRequest,
    UnconfirmRequest,
)
from interaction.annotation.types import PresenceState, Stroke
from interaction.clicks.published import ScribbleNetwork, ScribbleSegmenter
from interaction.command_line.app import app
from interaction.engines import EngineSettings
from interaction.project.causes import cause_from_json, cause_to_json
from interaction.session import Session
from tests import tiny
from tests.fake_engines import SHORT, FakeEngines, open_session, tiny_network
from xmem_core import Tracker
from xmem_core.arrays import Labels, Window
from xmem_core.closeup import Closeup, suited_side
from xmem_core.pictures import PictureSize, Prediction
from xmem_core.weights import network_bytes

HEIGHT, WIDTH = 400, 600


def box(left: int, top: int, width: int, height: int, object_id: int = 1) -> Labels:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[top : top + height, left : left + width] = object_id
    return labels


def seen(labels: Labels, window: Window | None = None) -> Prediction:
    """As a tracker would say it that is certain, looking at `window`."""
    size = PictureSize.of(HEIGHT, WIDTH, None, window)
    mask = torch.from_numpy((labels > 0).astype(np.float32))[None]
    small = size.to_internal(mask)
    return Prediction((1,), torch.cat([1 - small, small]), (HEIGHT, WIDTH), None, window)


@pytest.mark.parametrize(
    ("shown", "side"),
    [(box(0, 0, 20, 10), 64), (box(0, 0, 30, 10), 91), (box(0, 0, 10, 160), None)],
)
def test_the_side_suits_the_longer_side_of_what_is_in_it(shown: Labels, side: int | None) -> None:
    assert suited_side(shown, None, 100) == side


def test_only_what_is_to_be_followed_counts() -> None:
    labels = np.maximum(box(0, 0, 20, 10), box(500, 300, 20, 20, 2))
    assert suited_side(labels, None, 100) is None
    assert suited_side(labels, {1}, 100) == 64
    assert suited_side(labels, {3}, 100) is None


def test_the_box_stays_in_the_picture_and_holds_what_moves() -> None:
    closeup = Closeup(100, 100)
    closeup.look_at(box(0, 0, 20, 20))
    assert closeup.window(HEIGHT, WIDTH) == Window(0, 0, 100, 100)
    for left in range(0, 580, 25):  # faster than half of the way
        shown = box(left, 200, 20, 20)
        closeup.look_at(shown) if left == 0 else closeup.follow(seen(shown))
        now = closeup.window(HEIGHT, WIDTH)
        assert now.left <= left
        assert left + 20 <= now.left + now.width
        assert (now.width, now.height) == (100, 100)
        assert closeup.wanted_side == 100


def test_a_thing_that_outgrows_the_box_wants_another_one_and_then_is_content() -> None:
    closeup = Closeup(100, 100)
    closeup.follow(seen(box(100, 100, 74, 20)))
    assert closeup.wanted_side == 100
    closeup.follow(seen(box(100, 100, 80, 20)))
    wanted = closeup.wanted_side
    assert wanted is not None
    assert wanted >= 200
    larger = closeup.with_side(wanted, 100)
    larger.follow(seen(box(100, 100, 80, 20)))
    assert larger.wanted_side == wanted
    closeup.follow(seen(box(100, 50, 80, 300)))
    assert closeup.wanted_side is None  # the whole picture
    whole = closeup.with_side(None, 100)
    assert whole.window(HEIGHT, WIDTH) == Window(0, 0, WIDTH, HEIGHT)
    whole.follow(seen(box(100, 100, 10, 10)))
    assert whole.wanted_side == 64


def test_what_is_lost_is_looked_for_further_out() -> None:
    closeup = Closeup(100, 100)
    closeup.look_at(box(300, 200, 20, 20))
    where = closeup.window(HEIGHT, WIDTH)
    for _ in range(4):
        closeup.follow(seen(box(0, 0, 0, 0)))
    assert closeup.wanted_side == 100
    closeup.follow(seen(box(0, 0, 0, 0)))
    assert closeup.window(HEIGHT, WIDTH) == where
    wanted = closeup.wanted_side
    assert wanted is not None
    assert wanted >= 200


def test_a_prediction_of_a_window_is_background_outside_of_it() -> None:
    shown, window = box(320, 210, 30, 20), Window(300, 200, 100, 80)
    prediction = seen(shown, window)
    assert np.array_equal(prediction.labels(), shown)
    probabilities = prediction.probabilities()
    assert probabilities.shape == (2, HEIGHT, WIDTH)
    assert torch.equal(probabilities.sum(dim=0), torch.ones(HEIGHT, WIDTH))
    assert torch.equal(probabilities.argmax(dim=0), torch.from_numpy(shown.astype(np.int64)))
    assert prediction.share == pytest.approx(100 * 80 / (HEIGHT * WIDTH))


# In the tracker


def moved(index: int, left: int) -> np.ndarray:
    """The tiny clip's frame somewhere in a larger, plain picture."""
    picture = np.full((200, 300, 3), 90, np.uint8)
    picture[70 : 70 + tiny.HEIGHT, left : left + tiny.WIDTH] = tiny.frame(index)
    return picture


def moved_labels(index: int, left: int) -> Labels:
    labels = np.zeros((200, 300), np.uint8)
    labels[70 : 70 + tiny.HEIGHT, left : left + tiny.WIDTH] = tiny.labels(index)
    return labels


def close_tracker() -> Tracker:
    tracker = Tracker(tiny_network(), SHORT, internal_size=None)
    tracker.closeup = Closeup(96, None)
    return tracker


def test_where_the_box_is_makes_no_difference_to_what_is_seen_in_it() -> None:
    found = []
    for left in (30, 170):
        tracker = close_tracker()
        tracker.memorize(0, moved(0, left), moved_labels(0, left))
        tracker.begin()
        tracker.closeup.look_at(moved_labels(0, left))  # type: ignore[union-attr]
        [first] = tracker.encode([moved(0, left)], [0])
        tracker.revisit(0, first)
        labels = [tracker.track(moved(index, left)).labels() for index in (1, 2, 3)]
        assert all(one.any() for one in labels)
        found.append([one[:, left - 30 : left + 90] for one in labels])
    for here, there in zip(*found, strict=True):
        assert np.array_equal(here, there)


def test_a_saved_run_goes_on_exactly() -> None:
    def begun() -> Tracker:
        tracker = close_tracker()
        tracker.memorize(0, moved(0, 30), moved_labels(0, 30))
        return tracker

    one = begun()
    one.begin()
    [first] = one.encode([moved(0, 30)], [0])
    one.revisit(0, first)
    one.track(moved(1, 33))
    state = one.run_state()
    other = begun()
    other.restore_run(state)
    for index in (2, 3):
        ours = one.track(moved(index, 30 + 3 * index))
        theirs = other.track(moved(index, 30 + 3 * index))
        assert ours.window == theirs.window
        assert torch.equal(ours.small, theirs.small)


# In a session


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with open_session(tmp_path, 8) as opened:
        opened.add_object()
        labels = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
        labels[20:24, 20:24] = 1
        opened.set_mask(0, labels)
        yield opened


@pytest.fixture
def small_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny clip has no room for boxes of a sensible size."""
    monkeypatch.setattr("xmem_core.closeup._LEAST_PX", 16)
    monkeypatch.setattr(
        "interaction.tracking.stepping.suited_side", lambda *_: 32 if _[0].any() else None
    )


@pytest.mark.usefixtures("small_boxes")
def test_a_run_that_looks_closer_stays_in_its_box_and_is_undone_as_one_step(
    session: Session,
) -> None:
    steps: list[Propagated] = []
    entries = len(session.history.entries)
    session.propagate(0, looks_closer=True, on_step=steps.append)
    tracked = [step for step in steps if step.edit is not None]
    assert [step.frame for step in tracked] == list(range(1, 8))
    boxes = [step.box for step in tracked]
    assert boxes[0] is not None
    assert boxes[0].width == 32
    for step in tracked:
        if step.box is not None:
            outside = session.masks[step.frame].copy()
            outside[step.box.slices] = 0
            assert not outside.any()
    assert len(session.history.entries) == entries + 1
    session.undo()
    assert not session.masks[3].any()


@pytest.mark.usefixtures("small_boxes")
def test_a_box_that_is_outgrown_is_exchanged_without_losing_a_frame(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = []

    def wanted(closeup: Closeup) -> int | None:
        sides.append(closeup.side)
        return 40 if closeup.side == 32 and len(sides) > 4 else closeup.side

    monkeypatch.setattr(Closeup, "wanted_side", property(wanted))
    steps: list[Propagated] = []
    tracked = session.propagate(0, looks_closer=True, on_step=steps.append)
    assert list(tracked.frames) == list(range(1, 8))
    widths = [step.box.width for step in steps if step.edit is not None and step.box is not None]
    assert widths[0] == 32
    assert widths[-1] == 40
    assert not [step.remark for step in steps if step.remark]
    engines = session.engines.plain
    assert isinstance(engines, FakeEngines)
    assert len(engines.trackers) == 2


@pytest.mark.usefixtures("small_boxes")
@pytest.mark.parametrize("is_given", [True, False])
def test_a_thing_that_is_away_for_long_is_found_again(tmp_path: Path, is_given: bool) -> None:
    """Another box would begin memory anew, with nothing in it of a thing that was never given."""
    with open_session(tmp_path, 12) as session:
        session.add_object()
        labels = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
        labels[20:32, 20:32] = 1
        session.set_mask(0, labels)
        if not is_given:
            session.do(UnconfirmRequest(0))
        session.do(PresenceRequest(1, 1, 9, PresenceState.ABSENT))
        tracked = session.propagate(0, looks_closer=True)
        assert list(tracked.frames) == list(range(1, 12))
        assert not session.masks[9].any()
        assert session.masks[11].any()


def test_the_cause_says_it_and_old_causes_do_not() -> None:
    request = PropagationRequest(0, looks_closer=True)
    value = json.loads(json.dumps(cause_to_json(request, frozenset())))
    assert cause_from_json(value)[0] == request
    plain = cause_to_json(replace(request, looks_closer=False), frozenset())
    assert "looks_closer" not in plain
    assert cause_from_json(plain)[0] == replace(request, looks_closer=False)


# From a shell


def test_an_interrupted_run_goes_on_in_its_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from interaction.tracking.batch import BatchSettings, run_batch

    tiny.write_clip(tmp_path / "clip", 6)
    tiny.write_mask(tmp_path / "masks", 0, tiny.labels(0))
    weights = tmp_path / "tiny.safetensors"
    weights.write_bytes(network_bytes(tiny.network(), {}))
    monkeypatch.setattr("interaction.tracking.stepping.suited_side", lambda *_: 40)
    monkeypatch.setattr(Closeup, "wanted_side", property(lambda closeup: closeup.side))

    def run(name: str, stop: Callable[[int], bool], **others: bool) -> None:
        settings = BatchSettings(
            source=tmp_path / "clip",
            masks=tmp_path / "masks",
            output=tmp_path / name,
            engine=EngineSettings(tracker_model=str(weights), device="cpu", memory=SHORT),
            looks_closer=True,
            **others,  # type: ignore[arg-type]
        )
        done = [0]
        steps = run_batch(settings, lambda: stop(done[0]))
        for step in steps:
            done[0] = step.done if step.stage == "tracking" else 0

    run("whole", lambda done: False)
    run("parts", lambda done: done == 3)
    assert not (tmp_path / "parts" / "report.json").exists()
    monkeypatch.setattr("interaction.tracking.stepping.suited_side", lambda *_: 17)
    run("parts", lambda done: False, resumes=True)
    for path in sorted((tmp_path / "whole").glob("*.png")):
        assert path.read_bytes() == (tmp_path / "parts" / path.name).read_bytes(), path.name
    command = ["propagate", str(tmp_path / "clip"), "--masks", str(tmp_path / "masks")]
    command += ["--output", str(tmp_path / "out"), "--model", str(weights), "--look-closer"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 6


# Strokes


def test_in_a_large_picture_strokes_are_answered_from_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segmenter = ScribbleSegmenter(ScribbleNetwork().eval())
    asked: list[tuple[int, ...]] = []

    def forward(network: ScribbleNetwork, x: torch.Tensor) -> torch.Tensor:
        asked.append(tuple(x.shape[2:]))
        return 20 * x[:, 4:5] - 10  # certain of the positive strokes, and of nothing else

    monkeypatch.setattr(ScribbleNetwork, "forward", forward)
    frame = np.zeros((1200, 1600, 3), np.uint8)
    start = np.zeros((1200, 1600), np.uint8)
    stroke = Stroke(((1400.0, 1000.0), (1420.0, 1000.0)), 5)
    found = segmenter.segment(frame, start, 1, [stroke]) > 0.5
    assert asked[0][0] <= 480
    assert asked[0][1] <= 480
    assert found[1000, 1410]
    assert not found[:900].any()
    assert not found[1003:].any()
    small = segmenter.segment(frame[:300, :400], start[:300, :400], 1, [Stroke(((5.0, 5.0),), 5)])
    assert asked[-1] == (304, 400)
    assert small[5, 5] > 0.5
