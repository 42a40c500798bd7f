"""Which frames are visited in which order, and which objects are looked for where."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from interaction.annotation.requests import Direction
from interaction.errors import EngineMemoryError, UserError
from interaction.tracking.propagation import (
    Position,
    Run,
    TrackedFrame,
    memorize_all,
    plan,
    propagate,
    stated_objects,
)
from tests import tiny
from xmem_core import MemoryConfig, Tracker, XMem, prepare

Labels = NDArray[np.uint8]
SHORT = MemoryConfig(
    memorize_every=2, min_working_frames=2, max_working_frames=4, prototypes=8, max_long_term=20
)


@pytest.fixture(scope="module")
def network() -> XMem:
    return prepare(tiny.network())


def clip(frames: int) -> list[NDArray[np.uint8]]:
    return [tiny.frame(index) for index in range(frames)]


def make_tracker(
    network: XMem,
    masks: Mapping[int, Labels],
    *,
    is_backward: bool = False,
    are_partial: bool = False,
    frames: int = 12,
) -> Tracker:
    tracker = Tracker(network, SHORT, internal_size=None)
    stated = stated_objects(masks, is_backward=is_backward, are_partial=are_partial)
    done = list(memorize_all(tracker, clip(frames), masks, labelled_objects=stated))
    assert sorted(done) == sorted(masks)
    return tracker


def results(
    tracker: Tracker,
    masks: Mapping[int, Labels],
    runs: Sequence[Run],
    frames: int = 12,
) -> list[TrackedFrame]:
    steps = propagate(tracker, clip(frames), masks, runs)
    return [result for result, _ in steps if result is not None]


def objects_by_frame(found: Sequence[TrackedFrame]) -> dict[int, tuple[int, ...]]:
    return {result.frame: result.prediction.objects for result in found}


# The plan


@pytest.mark.parametrize(
    ("direction", "annotated", "start", "end", "expected"),
    [
        ("forward", [0], None, None, [range(10)]),
        ("forward", [3, 7], None, None, [range(3, 10)]),
        ("forward", [3, 7], 0, None, [range(10)]),
        ("forward", [3], 5, 8, [range(5, 9)]),
        ("forward", [9], None, None, [range(9, 10)]),
        ("backward", [9], None, None, [range(9, -1, -1)]),
        ("backward", [3, 7], None, None, [range(7, -1, -1)]),
        ("backward", [3, 7], 5, None, [range(7, 4, -1)]),
        ("backward", [3], 2, 9, [range(9, 1, -1)]),
        ("backward", [0], None, None, [range(0, -1, -1)]),
        ("both", [0], None, None, [range(10)]),
        ("both", [4], None, None, [range(4, 10), range(4, -1, -1)]),
        ("both", [4, 6], None, None, [range(4, 10), range(4, -1, -1)]),
        ("both", [4, 6], 5, 8, [range(6, 9), range(6, 4, -1)]),
        ("both", [9], None, None, [range(9, -1, -1)]),
        ("both", [1], 5, 8, [range(5, 9)]),
    ],
)
def test_the_plan_goes_from_the_masks_through_the_range(
    direction: Direction,
    annotated: list[int],
    start: int | None,
    end: int | None,
    expected: list[range],
) -> None:
    runs = plan(10, annotated, direction, start, end)
    assert [run.frames for run in runs] == expected
    assert [run.is_first_silent for run in runs] == [False, True][: len(runs)]


@settings(deadline=None)
@given(st.data())
def test_every_frame_of_the_range_gets_one_result(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    index = st.integers(0, count - 1)
    annotated = data.draw(st.lists(index, min_size=1, max_size=5, unique=True))
    start = data.draw(index)
    end = data.draw(st.integers(start, count - 1))
    direction: Direction = data.draw(st.sampled_from(["forward", "backward", "both"]))
    runs = plan(count, annotated, direction, start, end)
    frames = [frame for run in runs for frame in run.results]
    assert sorted(frames) == list(range(start, end + 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 10}, r"--start 10 lies outside.*0 to 9"),
        ({"end": 10}, r"--end 10 lies outside.*0 to 9"),
        ({"start": -1}, r"--start -1 lies outside"),
        ({"start": 6, "end": 5}, r"no frame to track from 6 to 5"),
        ({"end": 2}, r"no frame to track from 3 to 2"),
        ({"start": 4, "direction": "backward"}, r"no frame to track from 4 to 3"),
        ({"annotated": []}, r"No frame has a mask"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_in_words(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=f"(?s){message}"):
        plan(10, **({"annotated": [3]} | options))  # type: ignore[arg-type]


# Visiting


def test_frames_are_visited_in_order_and_given_masks_come_back_as_they_are(network: XMem) -> None:
    masks = {2: tiny.labels(2, 3, 200), 7: tiny.labels(7, 3, 200)}
    tracker = make_tracker(network, masks)
    found = results(tracker, masks, plan(12, [2, 7]))
    assert [result.frame for result in found] == list(range(2, 12))
    assert [result.frame for result in found if result.is_given] == [2, 7]
    for index in (2, 7):
        np.testing.assert_array_equal(found[index - 2].prediction.labels(), masks[index])


def test_nothing_is_computed_ahead_of_the_caller(network: XMem) -> None:
    seen: list[int] = []

    class Watched(list[NDArray[np.uint8]]):
        def __getitem__(self, index: int) -> NDArray[np.uint8]:  # type: ignore[override]
            seen.append(index)
            return super().__getitem__(index)

    video = Watched(clip(12))
    masks = {0: tiny.labels(0)}
    tracker = make_tracker(network, masks)
    steps = propagate(tracker, video, masks, plan(12, [0]))
    for index in range(4):
        result, after = next(steps)
        assert result is not None
        assert (result.frame, after) == (index, Position(0, index + 1))
        assert seen == list(range(index + 1))
    steps.close()


def test_both_ways_visit_the_first_mask_twice_and_give_it_once(network: XMem) -> None:
    masks = {4: tiny.labels(4)}
    tracker = make_tracker(network, masks, frames=8)
    steps = list(propagate(tracker, clip(8), masks, plan(8, [4], "both")))
    frames = [None if result is None else result.frame for result, _ in steps]
    assert frames == [4, 5, 6, 7, None, 3, 2, 1, 0]
    assert [after for _, after in steps][3:6] == [Position(0, 4), Position(1, 1), Position(1, 2)]


def test_the_way_back_starts_afresh(network: XMem) -> None:
    masks = {4: tiny.labels(4)}
    there_and_back = results(make_tracker(network, masks), masks, plan(12, [4], "both"))
    back = results(make_tracker(network, masks), masks, plan(12, [4], "backward"))
    ours = {r.frame: r.prediction.probabilities() for r in there_and_back if r.frame < 4}
    theirs = {r.frame: r.prediction.probabilities() for r in back if r.frame < 4}
    assert ours.keys() == theirs.keys() == {0, 1, 2, 3}
    for frame, probabilities in ours.items():
        assert torch.equal(probabilities, theirs[frame])


# Objects


def test_objects_of_later_masks_are_not_guessed_at_before(network: XMem) -> None:
    masks = {0: tiny.labels(0, 3, 0), 5: tiny.labels(5, 3, 200)}
    found = results(make_tracker(network, masks), masks, plan(8, [0, 5]), frames=8)
    expected = {frame: (3,) if frame < 5 else (3, 200) for frame in range(8)}
    assert objects_by_frame(found) == expected


def test_backward_an_object_appears_at_its_last_mask(network: XMem) -> None:
    masks = {0: tiny.labels(0, 3, 200), 5: tiny.labels(5, 3, 0)}
    tracker = make_tracker(network, masks, is_backward=True)
    found = results(tracker, masks, plan(8, [0, 5], "backward"), frames=8)
    expected = {frame: (3,) if frame > 0 else (3, 200) for frame in range(6)}
    assert objects_by_frame(found) == expected


def test_before_any_mask_the_objects_that_come_first_are_looked_for(network: XMem) -> None:
    masks = {3: tiny.labels(3, 3, 0), 5: tiny.labels(5, 0, 200)}
    found = results(make_tracker(network, masks), masks, plan(8, [3, 5], start=0), frames=8)
    expected = {frame: (3,) if frame < 5 else (3, 200) for frame in range(8)}
    assert objects_by_frame(found) == expected


def test_masks_before_the_range_are_remembered_in_it(network: XMem) -> None:
    masks = {0: tiny.labels(0, 3, 200)}
    found = results(make_tracker(network, masks), masks, plan(8, [0], start=4), frames=8)
    assert objects_by_frame(found) == dict.fromkeys(range(4, 8), (3, 200))
    assert not any(result.is_given for result in found)


def test_an_object_missing_from_a_later_mask_is_absent_there(network: XMem) -> None:
    masks = {0: tiny.labels(0, 3, 200), 4: tiny.labels(4, 3, 0)}
    found = results(make_tracker(network, masks), masks, plan(8, [0, 4]), frames=8)
    assert objects_by_frame(found) == dict.fromkeys(range(8), (3, 200))
    np.testing.assert_array_equal(found[4].prediction.labels(), masks[4])


def test_a_partial_mask_leaves_the_other_objects_to_be_tracked(network: XMem) -> None:
    masks = {0: tiny.labels(0, 3, 0), 4: tiny.labels(4, 0, 200)}
    tracker = make_tracker(network, masks, are_partial=True)
    found = results(tracker, masks, plan(8, [0, 4]), frames=8)
    assert objects_by_frame(found)[4] == (3, 200)
    labels = found[4].prediction.labels()
    np.testing.assert_array_equal(labels == 200, masks[4] == 200)
    assert (labels == 3).any()


def test_an_empty_mask_before_any_object_is_background(network: XMem) -> None:
    masks = {0: tiny.labels(0, 0, 0), 3: tiny.labels(3)}
    found = results(make_tracker(network, masks), masks, plan(6, [0, 3]), frames=6)
    assert not found[0].prediction.labels().any()
    assert found[0].is_given
    assert found[0].prediction.probabilities().shape == (1, tiny.HEIGHT, tiny.WIDTH)


def test_an_empty_mask_after_the_objects_says_they_are_absent(network: XMem) -> None:
    masks = {0: tiny.labels(0), 3: tiny.labels(3, 0, 0)}
    found = results(make_tracker(network, masks), masks, plan(6, [0, 3]), frames=6)
    assert not found[3].prediction.labels().any()
    assert found[3].is_given


def test_an_empty_partial_mask_says_nothing(network: XMem) -> None:
    masks = {0: tiny.labels(0), 3: tiny.labels(3, 0, 0)}
    tracker = make_tracker(network, masks, are_partial=True)
    found = results(tracker, masks, plan(6, [0, 3]), frames=6)
    without = {0: masks[0]}
    expected = results(make_tracker(network, without), without, plan(6, [0]), frames=6)
    for mine, other in zip(found, expected, strict=True):
        assert torch.equal(mine.prediction.probabilities(), other.prediction.probabilities())


# Stopping and going on


@pytest.mark.parametrize("stop_after", [1, 4, 7, 8, 9, 11])
@pytest.mark.parametrize("keys_at_a_time", [1, 3])
def test_a_propagation_goes_on_from_any_position(
    network: XMem, stop_after: int, keys_at_a_time: int
) -> None:
    masks = {4: tiny.labels(4, 3, 200)}
    runs, video = plan(11, [4], "both"), clip(11)

    def steps(tracker: Tracker, position: Position) -> list[TrackedFrame | None]:
        generator = propagate(tracker, video, masks, runs, position, keys_at_a_time=keys_at_a_time)
        return [result for result, _ in generator]

    whole = steps(make_tracker(network, masks), Position())
    first, second = make_tracker(network, masks), make_tracker(network, masks)
    generator = propagate(first, video, masks, runs, keys_at_a_time=keys_at_a_time)
    before = []
    for _ in range(stop_after):
        result, position = next(generator)
        before.append(result)
    generator.close()
    second.restore_run(first.run_state())
    joined = before + steps(second, position)
    assert len(joined) == len(whole) == 12
    for mine, other in zip(joined, whole, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None and other is not None:
            assert (mine.frame, mine.is_given) == (other.frame, other.is_given)
            assert torch.equal(mine.prediction.probabilities(), other.prediction.probabilities())


@pytest.mark.parametrize("method", ["encode", "track", "revisit", "memorize"])
def test_a_device_without_room_is_reported_with_the_frame(
    network: XMem, method: str, monkeypatch: pytest.MonkeyPatch, run_out: Callable[..., None]
) -> None:
    masks = {1: tiny.labels(1)}
    tracker = make_tracker(network, masks)
    monkeypatch.setattr(tracker, method, run_out)
    frame = 2 if method == "track" else 1
    steps: Iterator[object] = propagate(tracker, clip(3), masks, plan(3, [1]))
    if method == "memorize":
        steps = memorize_all(tracker, clip(3), masks)
    with pytest.raises(EngineMemoryError, match=f"“cpu” ran out of memory at frame {frame}"):
        list(steps)
