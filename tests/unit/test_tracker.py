"""The tracker's promises: exact memories, exact resumption, and no trace left in the process."""

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from interaction.tracking.propagation import memorize_all, plan, propagate, stated_objects
from tests import tiny
from xmem_core import EncodedFrame, MemoryConfig, NetworkConfig, Tracker, XMem, prepare
from xmem_core.network.backbones import SamePadConv2d
from xmem_core.network.inference import ReLU6Conv2d, WinogradConv2d, merge_passes
from xmem_core.pictures import PictureSize, Prediction

# Working memory is distilled every fourth frame, long-term memory is full after three times.
SHORT = MemoryConfig(
    memorize_every=2, min_working_frames=2, max_working_frames=4, prototypes=8, max_long_term=20
)
NO_SENSORY = NetworkConfig(
    trunk="efficientnet_lite0",
    key_channels=16,
    value_channels=24,
    hidden_channels=0,
    decoder16_channels=16,
    decoder8_channels=16,
    decoder4_channels=8,
    sensory_channels=8,
)


@pytest.fixture(scope="module")
def plain() -> XMem:
    return tiny.network()


@pytest.fixture(scope="module")
def network() -> XMem:
    return prepare(tiny.network(is_quick=True))


@pytest.fixture(scope="module")
def no_sensory() -> XMem:
    return prepare(tiny.network(NO_SENSORY, is_quick=True))


def make_tracker(network: XMem, config: MemoryConfig = SHORT) -> Tracker:
    return Tracker(network, config, internal_size=None)


def started(network: XMem, config: MemoryConfig = SHORT) -> Tracker:
    """A tracker that has seen frame 0 of the clip: the disc is object 3, the box 200."""
    tracker = make_tracker(network, config)
    tracker.memorize(0, tiny.frame(0), tiny.labels(0, 3, 200))
    tracker.begin()
    tracker.revisit(0, tiny.frame(0))
    return tracker


def tracked(tracker: Tracker, frames: Iterable[int]) -> list[Tensor]:
    return [tracker.track(tiny.frame(i)).probabilities().clone() for i in frames]


def assert_same(ours: list[Tensor], theirs: list[Tensor]) -> None:
    """Bit for bit."""
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine, other)


def test_the_clip_moves_every_memory_so_that_the_tests_below_mean_something(network: XMem) -> None:
    tracker = started(network)
    results = tracked(tracker, range(1, 16))
    assert len(tracker.bank.long_term) == SHORT.max_long_term
    for before, after in pairwise(results):
        assert (before - after).abs().max() > 0.1
    assert {0, 3, 200} == set(np.unique(tracker.track(tiny.frame(16)).labels()))


# Objects


@pytest.mark.parametrize("ids", [(1, 2), (200, 3), (255, 254)])
def test_an_object_s_id_is_only_a_name(network: XMem, ids: tuple[int, int]) -> None:
    results = []
    for disc, box in ((10, 20), ids):
        tracker = make_tracker(network)
        tracker.memorize(0, tiny.frame(0), tiny.labels(0, disc, box))
        tracker.begin()
        predictions = [tracker.track(tiny.frame(i)) for i in range(1, 8)]
        assert all(p.objects == tuple(sorted((disc, box))) for p in predictions)
        order = [0, 1, 2] if disc < box else [0, 2, 1]
        results.append([p.probabilities()[order] for p in predictions])
        assert set(np.unique(predictions[-1].labels())) <= {0, disc, box}
    for mine, other in zip(*results, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-3, rtol=0)


@pytest.mark.parametrize("bad", [0, 256, -1])
def test_ids_outside_1_to_255_are_refused(network: XMem, bad: int) -> None:
    with pytest.raises(ValueError, match="objects"):
        make_tracker(network).memorize(0, tiny.frame(0), tiny.labels(0), [1, 2, bad])


def test_a_mask_may_not_show_an_object_it_does_not_speak_for(network: XMem) -> None:
    with pytest.raises(ValueError, match=r"objects \[1, 2\].*\[1\]"):
        make_tracker(network).memorize(0, tiny.frame(0), tiny.labels(0), [1])


def test_an_object_that_appears_late_leaves_the_others_memory_alone(network: XMem) -> None:
    tracker = make_tracker(network)
    tracker.memorize(0, tiny.frame(0), tiny.labels(0, 3, 0))
    tracker.begin()
    tracked(tracker, range(1, 6))
    tracker.memorize(6, tiny.frame(6), tiny.labels(6, 0, 200), [200])
    seen = tracker.revisit(6, tiny.frame(6))
    assert seen.objects == (3, 200)
    later = [tracker.track(tiny.frame(i)) for i in range(7, 14)]
    assert all(prediction.objects == (3, 200) for prediction in later)
    assert all(torch.isfinite(prediction.probabilities()).all() for prediction in later)
    assert any((prediction.labels() == 200).any() for prediction in later)


def test_an_object_that_was_asked_for_alone_gets_the_only_channel(network: XMem) -> None:
    tracker = started(network)
    prediction = tracker.track(tiny.frame(1), [200])
    assert prediction.objects == (200,)
    assert prediction.probabilities().shape == (2, tiny.HEIGHT, tiny.WIDTH)


def test_a_deleted_object_is_not_looked_for_and_its_id_can_be_used_again(network: XMem) -> None:
    tracker = started(network)
    tracked(tracker, range(1, 8))
    tracker.delete_object(3)
    assert list(tracker.objects) == [200]
    assert tracker.track(tiny.frame(8)).objects == (200,)
    assert not (tracker.revisit(0, tiny.frame(0)).labels() == 3).any()

    tracker.memorize(9, tiny.frame(9), tiny.labels(9, 0, 3), [3])
    assert list(tracker.objects) == [3, 200]
    again = tracker.track(tiny.frame(10))
    assert again.objects == (3, 200)
    assert torch.isfinite(again.probabilities()).all()


def test_a_frame_with_nothing_but_a_deleted_object_is_forgotten(network: XMem) -> None:
    tracker = started(network)
    tracker.memorize(5, tiny.frame(5), tiny.labels(5, 9, 0), [9])
    assert list(tracker.confirmed_frames) == [0, 5]
    tracker.delete_object(9)
    assert list(tracker.confirmed_frames) == [0]
    assert tracker.bank.permanent_frames == (0,)


def test_tracking_without_any_object_is_refused(network: XMem) -> None:
    with pytest.raises(ValueError, match="memorise"):
        make_tracker(network).track(tiny.frame(0))
    with pytest.raises(ValueError, match="nothing to memorise"):
        make_tracker(network).memorize(0, tiny.frame(0), tiny.labels(0, 0, 0))


# Permanent memory


def test_forgetting_a_frame_is_as_if_it_had_never_been_memorised(network: XMem) -> None:
    tracker, never = started(network), started(network)
    first, expected_first = tracked(tracker, range(1, 4)), tracked(never, range(1, 4))
    tracker.memorize(9, tiny.frame(9), tiny.labels(9, 200, 3))
    with_it = tracker.bank.permanent["key"].shape[0]
    tracker.forget(9)
    assert tracker.bank.permanent["key"].shape[0] < with_it
    assert_same(
        first + tracked(tracker, range(4, 12)), expected_first + tracked(never, range(4, 12))
    )


def test_forgetting_a_frame_that_was_not_memorised_is_an_error(network: XMem) -> None:
    with pytest.raises(KeyError):
        started(network).forget(1)


def test_replacing_a_mask_is_as_if_the_first_had_never_been(network: XMem) -> None:
    wrong = make_tracker(network)
    wrong.memorize(0, tiny.frame(0), tiny.labels(0, 200, 3))
    wrong.memorize(0, tiny.frame(0), tiny.labels(0, 3, 200))
    wrong.begin()
    wrong.revisit(0, tiny.frame(0))
    assert_same(tracked(wrong, range(1, 9)), tracked(started(network), range(1, 9)))


def test_confirmed_frames_may_come_in_any_order(network: XMem) -> None:
    results = []
    for order in ((0, 9, 5), (5, 0, 9), (9, 5, 0)):
        tracker = make_tracker(network)
        for index in order:
            tracker.memorize(index, tiny.frame(index), tiny.labels(index), [1, 2])
        tracker.begin()
        results.append(tracked(tracker, range(1, 9)))
    assert_same(results[0], results[1])
    assert_same(results[0], results[2])


def test_confirmed_frames_are_never_distilled_or_evicted(network: XMem) -> None:
    tracker = started(network)
    tracker.memorize(30, tiny.frame(30), tiny.labels(30, 3, 200))
    before = {name: tracker.bank.permanent[name].clone() for name in ("key", "shrinkage")}
    values = tracker.bank.permanent.values(3).clone()
    tracked(tracker, range(1, 30))
    assert torch.equal(tracker.bank.permanent.values(3), values)
    for name, column in before.items():
        assert torch.equal(tracker.bank.permanent[name], column)


def test_the_mask_that_was_memorised_is_a_copy(network: XMem) -> None:
    tracker = make_tracker(network)
    mask = tiny.labels(0)
    tracker.memorize(0, tiny.frame(0), mask)
    mask[:] = 0
    tracker.begin()
    np.testing.assert_array_equal(tracker.revisit(0, tiny.frame(0)).labels(), tiny.labels(0))


# Revisiting


def test_a_revisited_frame_gives_the_confirmed_mask_exactly(network: XMem) -> None:
    tracker = Tracker(network, SHORT, internal_size=32)  # smaller than the frame
    mask = tiny.labels(4, 7, 255)
    tracker.memorize(4, tiny.frame(4), mask)
    tracker.begin()
    tracked(tracker, range(3))
    prediction = tracker.revisit(4, tiny.frame(4))
    np.testing.assert_array_equal(prediction.labels(), mask)
    assert set(prediction.probabilities().unique().tolist()) == {0.0, 1.0}


def test_a_revisited_frame_keeps_its_mask_where_other_objects_are_tracked(network: XMem) -> None:
    tracker = started(network)
    tracked(tracker, range(1, 5))
    mask = tiny.labels(5, 3, 0)
    tracker.memorize(5, tiny.frame(5), mask, [3])
    prediction = tracker.revisit(5, tiny.frame(5))
    found = prediction.labels()
    assert prediction.objects == (3, 200)
    np.testing.assert_array_equal(found == 3, mask == 3)
    assert (found == 200).any()
    probabilities = prediction.probabilities()
    total = probabilities.sum(dim=0)
    torch.testing.assert_close(total, torch.ones_like(total))
    assert (probabilities >= 0).all()
    assert (probabilities[2][torch.from_numpy(mask == 3)] == 0).all()


def test_an_object_absent_from_the_whole_truth_is_absent(network: XMem) -> None:
    tracker = started(network)
    tracked(tracker, range(1, 5))
    tracker.memorize(5, tiny.frame(5), tiny.labels(5, 3, 0), [3, 200])
    assert set(np.unique(tracker.revisit(5, tiny.frame(5)).labels())) == {0, 3}


def test_only_confirmed_frames_can_be_revisited(network: XMem) -> None:
    with pytest.raises(KeyError):
        started(network).revisit(1, tiny.frame(1))


def test_revisiting_refreshes_the_sensory_state(network: XMem) -> None:
    tracker = started(network)
    tracked(tracker, range(1, 3))
    before = tracker.run_state()["hidden.3"].clone()
    tracker.revisit(0, tiny.frame(0))
    assert not torch.equal(tracker.run_state()["hidden.3"], before)


def test_a_revisited_frame_counts_as_the_newest_memory_frame(network: XMem) -> None:
    tracker = started(network)
    tracked(tracker, [1])
    tracker.revisit(0, tiny.frame(0))
    tracked(tracker, [2])
    assert len(tracker.bank.working) == 0
    tracked(tracker, [3])
    assert len(tracker.bank.working) > 0


# Runs


@pytest.mark.parametrize(
    ("pause", "is_prepared"), [(0, True), (3, True), (6, True), (7, True), (5, False)]
)
def test_a_run_that_was_paused_gives_the_masks_of_one_that_was_not(
    plain: XMem, network: XMem, pause: int, is_prepared: bool
) -> None:
    model = network if is_prepared else plain
    whole = tracked(started(model), range(1, 11))

    first = started(model)
    before = tracked(first, range(1, 1 + pause))
    packed = safetensors.torch.save(
        {name: tensor.contiguous() for name, tensor in first.run_state().items()}
    )
    second = make_tracker(model)
    second.memorize(0, tiny.frame(0), tiny.labels(0, 3, 200))
    second.restore_run(safetensors.torch.load(packed))
    assert_same(before + tracked(second, range(1 + pause, 11)), whole)


@pytest.mark.parametrize(
    ("every", "deep_at"), [(None, [2, 4, 6, 8]), (0, [2, 4, 6, 8]), (3, [4, 8]), (100, [])]
)
def test_deep_updates_happen_on_memory_frames_and_no_more_often_than_asked(
    network: XMem, every: int | None, deep_at: list[int]
) -> None:
    config = replace(SHORT, deep_update_every=every)
    tracker = started(network, config)
    seen: list[int] = []
    frame = 0
    deep_update = network.value_encoder.deep_update
    assert deep_update is not None
    hook = deep_update.register_forward_hook(lambda *_: seen.append(frame))
    masks = []
    for frame in range(1, 9):
        if frame == 4:  # goes on in another process
            state = tracker.run_state()
            tracker = started(network, config)
            tracker.restore_run(state)
            seen = [one for one in seen if one < 4]
        masks += tracked(tracker, [frame])
    hook.remove()
    assert seen == deep_at
    # In their place each memory frame gets the update of an ordinary frame, and keeps it.
    published = tracked(started(network), range(1, 9))
    is_same = all(torch.equal(a, b) for a, b in zip(masks, published, strict=True))
    assert is_same == (every is None)


def test_a_run_state_stays_what_it_was_while_the_run_goes_on(network: XMem) -> None:
    tracker = started(network)
    tracked(tracker, range(1, 6))
    state = tracker.run_state()
    expected = tracked(tracker, range(6, 14))
    tracker.restore_run(state)
    assert_same(tracked(tracker, range(6, 14)), expected)


def test_a_run_without_sensory_memory_resumes_as_well(no_sensory: XMem) -> None:
    tracker, other = started(no_sensory), make_tracker(no_sensory)
    tracked(tracker, range(1, 6))
    other.memorize(0, tiny.frame(0), tiny.labels(0, 3, 200))
    other.restore_run(tracker.run_state())
    assert_same(tracked(other, range(6, 12)), tracked(tracker, range(6, 12)))


def test_a_second_run_equals_the_first(network: XMem) -> None:
    tracker = started(network)
    first = tracked(tracker, range(1, 10))
    tracker.begin()
    tracker.revisit(0, tiny.frame(0))
    assert_same(tracked(tracker, range(1, 10)), first)


def test_backward_is_forward_on_the_reversed_video(network: XMem) -> None:
    frames = [tiny.frame(i) for i in range(12)]
    masks = {8: tiny.labels(8, 3, 0), 4: tiny.labels(4, 3, 200)}
    mirrored = {11 - i: mask for i, mask in masks.items()}
    backward, forward = make_tracker(network), make_tracker(network)
    stated = stated_objects(masks, is_backward=True)
    list(memorize_all(backward, frames, masks, labelled_objects=stated))
    list(memorize_all(forward, frames[::-1], mirrored))
    ours = [
        result
        for result, _ in propagate(backward, frames, masks, plan(12, [4, 8], "backward"))
        if result is not None
    ]
    theirs = [
        result
        for result, _ in propagate(forward, frames[::-1], mirrored, plan(12, [3, 7], "forward"))
        if result is not None
    ]
    assert [r.frame for r in ours] == [11 - r.frame for r in theirs] == list(range(8, -1, -1))
    assert [r.prediction.objects for r in ours] == [r.prediction.objects for r in theirs]
    # The permanent frames lie in memory in the order of their index, so sums may round otherwise.
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(
            mine.prediction.probabilities(), other.prediction.probabilities(), atol=1e-4, rtol=0
        )


def test_the_last_frame_is_not_remembered(network: XMem) -> None:
    tracker = started(network)
    tracked(tracker, [1])
    elements = len(tracker.bank.working)
    tracker.track(tiny.frame(2), is_last=True)
    assert len(tracker.bank.working) == elements
    tracker.track(tiny.frame(2))
    assert len(tracker.bank.working) > elements


@pytest.mark.parametrize("per_chunk", [1, 2, 3, None])
def test_results_do_not_depend_on_the_chunk_size(network: XMem, per_chunk: int | None) -> None:
    results = []
    for chunk in (5, per_chunk):
        config = MemoryConfig(
            memorize_every=2, min_working_frames=2, max_working_frames=4, objects_per_chunk=chunk
        )
        tracker = make_tracker(network, config)
        mask = tiny.labels(0, 1, 2)
        mask[:10, :10], mask[-8:, -20:], mask[-8:, :20] = 3, 4, 5
        tracker.memorize(0, tiny.frame(0), mask)
        tracker.begin()
        tracker.revisit(0, tiny.frame(0))
        results.append(tracked(tracker, range(1, 7)))
    for mine, other in zip(*results, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=0)


def test_memory_that_runs_out_makes_chunks_smaller_and_loses_nothing(
    network: XMem, monkeypatch: pytest.MonkeyPatch, run_out: Callable[..., None]
) -> None:
    expected = tracked(started(network), range(1, 6))
    decode, refused = network.decode, []

    def full(features: object, readout: Tensor, *rest: object, **more: object) -> object:
        if readout.shape[1] > 1:
            refused.append(readout.shape[1])
            run_out()
        return decode(features, readout, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(network, "decode", full)
    results = tracked(started(network), range(1, 6))
    assert refused
    for mine, other in zip(results, expected, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=0)


def test_the_ablation_with_the_affinity_of_stcn_and_working_memory_alone(
    network: XMem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each position reads by (2 q·k - |k|²) / sqrt(C), and the sensory state stays zero."""
    tracker = make_tracker(
        network,
        MemoryConfig(
            memorize_every=1,
            min_working_frames=1,
            max_working_frames=2,
            has_long_term=False,
            has_sensory=False,
            affinity="stcn",
        ),
    )
    tracker.memorize(0, tiny.frame(0), tiny.labels(0))
    tracker.begin()
    tracker.revisit(0, tiny.frame(0))
    decode, given = tracker.engine.decode, []

    def noted(encoded: EncodedFrame, readout: Tensor, hidden: Tensor, **more: bool) -> object:
        given.append((readout, hidden))
        return decode(encoded, readout, hidden, **more)

    monkeypatch.setattr(tracker.engine, "decode", noted)
    for index in range(1, 6):
        stores = [store for store in (tracker.bank.permanent, tracker.bank.working) if len(store)]
        key = torch.cat([store["key"] for store in stores])
        values = torch.cat([store.values(2) for store in stores])
        tracker.track(tiny.frame(index))
        [encoded] = tracker.encode([tiny.frame(index)])
        query = encoded.features.key[0].flatten(1).T
        scores = (2 * query @ key.T - key.square().sum(dim=1)) / key.shape[1] ** 0.5
        best, chosen = scores.topk(min(30, len(key)), dim=1)
        expected = (best.softmax(dim=1).unsqueeze(2) * values[chosen]).sum(dim=1).T
        readout, hidden = given[-1]
        torch.testing.assert_close(readout[1].flatten(1), expected, atol=1e-4, rtol=1e-4)
        assert (hidden == 0).all()
    assert len(tracker.bank.long_term) == 0
    assert len(tracker.bank.working) == 5 * len(tracker.bank.permanent)


def test_the_affinity_of_stcn_distils_too(network: XMem) -> None:
    tracker = started(network, replace(SHORT, affinity="stcn"))
    results = tracked(tracker, range(1, 12))
    assert len(tracker.bank.long_term) == 2 * SHORT.prototypes
    assert all(torch.isfinite(one).all() for one in results)


def test_keys_of_several_frames_at_a_time_are_the_same_keys(network: XMem) -> None:
    one_by_one = tracked(started(network), range(1, 7))
    tracker = started(network)
    encoded = tracker.encode([tiny.frame(i) for i in range(1, 7)])
    together = [tracker.track(frame).probabilities() for frame in encoded]
    for mine, other in zip(together, one_by_one, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-3, rtol=0)


def test_adopted_masks_are_remembered_like_tracked_ones(network: XMem) -> None:
    tracker = started(network)
    before = len(tracker.bank.working)
    masks = torch.stack([torch.from_numpy(tiny.labels(1, 1, 0)), torch.zeros(48, 60)]).float()
    prediction = tracker.adopt(tiny.frame(1), masks, [3, 200])
    assert prediction.objects == (3, 200)
    np.testing.assert_array_equal(prediction.labels(), tiny.labels(1, 3, 0))
    assert len(tracker.bank.working) > before
    assert list(tracker.confirmed_frames) == [0]
    with pytest.raises(ValueError, match="shape"):
        tracker.adopt(tiny.frame(2), masks[:, :-1], [3, 200])


def test_an_adopted_object_is_known_also_without_sensory_memory(no_sensory: XMem) -> None:
    tracker = make_tracker(no_sensory)
    tracker.begin()
    tracker.adopt(tiny.frame(0), torch.from_numpy(tiny.labels(0, 1, 0)).float()[None], [7])
    assert tracker.objects == (7,)
    assert tracker.track(tiny.frame(1)).objects == (7,)


# Sizes


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.one_of(st.none(), st.sampled_from([16, 480])))
def test_pictures_are_made_smaller_the_published_way_and_at_most_twice_as_large(
    height: int, width: int, shorter_side: int | None
) -> None:
    size = PictureSize.of(height, width, shorter_side)
    assert size.source == (height, width)
    if shorter_side is None:
        assert size.internal == (height, width)
    else:
        shorter_side = min(shorter_side, 2 * min(height, width))
        longer = max(height, width) * shorter_side // min(height, width)
        assert sorted(size.internal) == [shorter_side, longer]
        assert size.internal[0] == shorter_side or height > width
        assert size.internal[1] == shorter_side or width > height
    left, right, top, bottom = size.padding
    assert (size.internal[0] + top + bottom) % 16 == (size.internal[1] + left + right) % 16 == 0
    assert 0 <= right - left <= 1
    assert 0 <= bottom - top <= 1
    assert left + right < 16
    assert top + bottom < 16


@pytest.mark.parametrize("internal_size", [None, 480, 48, 32, 17])
def test_probabilities_are_at_source_size_and_sum_to_one(
    network: XMem, internal_size: int | None
) -> None:
    tracker = Tracker(network, SHORT, internal_size=internal_size)
    tracker.memorize(0, tiny.frame(0), tiny.labels(0, 3, 200))
    tracker.begin()
    for index in range(1, 5):
        prediction = tracker.track(tiny.frame(index))
        probabilities = prediction.probabilities()
        assert probabilities.shape == (3, tiny.HEIGHT, tiny.WIDTH)
        assert probabilities.dtype == torch.float32
        total = probabilities.sum(dim=0)
        torch.testing.assert_close(total, torch.ones_like(total), atol=1e-5, rtol=0)
        ids = np.array([0, 3, 200], dtype=np.uint8)
        labels = prediction.labels()
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, ids[probabilities.argmax(dim=0).numpy()])


def test_of_equally_likely_objects_the_first_wins() -> None:
    small = torch.tensor([0.2, 0.4, 0.4]).view(3, 1, 1).expand(3, 4, 4)
    assert (Prediction((5, 9), small, (4, 4)).labels() == 5).all()
    assert (Prediction((5, 9), torch.full((3, 4, 4), 1 / 3), (8, 8)).labels() == 0).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 90), (16, 16), (90, 17)])
def test_frames_smaller_than_top_k_elements_are_tracked(
    network: XMem, height: int, width: int
) -> None:
    tracker = make_tracker(network)
    tracker.memorize(
        0, tiny.frame(0, height, width), np.ones((height, width), dtype=np.uint8), [1, 2]
    )
    tracker.begin()
    for index in range(1, 7):
        prediction = tracker.track(tiny.frame(index, height, width))
        assert prediction.labels().shape == (height, width)
        assert torch.isfinite(prediction.probabilities()).all()


def test_read_only_frames_and_masks_need_no_copy_and_no_warning(network: XMem) -> None:
    frame, mask = tiny.frame(0), tiny.labels(0)
    mask.flags.writeable = False
    assert not frame.flags.writeable
    tracker = make_tracker(network)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracker.memorize(0, frame, mask)
        tracker.begin()
        tracker.revisit(0, frame)
        tracker.track(frame)


def test_frames_and_masks_may_be_views_of_other_arrays(network: XMem) -> None:
    frame, mask = tiny.frame(0), tiny.labels(0)
    flipped, flipped_mask = frame[:, ::-1, ::-1], mask[:, ::-1]  # as OpenCV's BGR is turned round
    expected, tracker = make_tracker(network), make_tracker(network)
    expected.memorize(0, np.ascontiguousarray(flipped), np.ascontiguousarray(flipped_mask))
    tracker.memorize(0, flipped, flipped_mask)
    for each in (expected, tracker):
        each.begin()
    ours, theirs = tracker.track(flipped), expected.track(np.ascontiguousarray(flipped))
    assert torch.equal(ours.probabilities(), theirs.probabilities())


@pytest.mark.parametrize(
    "frame",
    [
        tiny.frame(1)[:, :-1],
        tiny.frame(1)[:-1],
        tiny.frame(1)[..., 0],
        tiny.frame(1)[..., :2],
        tiny.frame(1).astype(np.float32),
        tiny.frame(1).astype(np.int64),
        tiny.frame(1).transpose(2, 0, 1),
    ],
)
def test_frames_of_another_size_or_type_are_refused(network: XMem, frame: np.ndarray) -> None:
    tracker = started(network)
    with pytest.raises(ValueError, match="frame"):
        tracker.track(frame)
    tracker.track(tiny.frame(1))  # and no harm was done


def test_frames_of_one_batch_must_have_one_size(network: XMem) -> None:
    tracker = Tracker(network, internal_size=32)
    with pytest.raises(ValueError, match="frame"):
        tracker.encode([tiny.frame(0, 64, 96), tiny.frame(0, 64, 100)])


@pytest.mark.parametrize(
    "mask",
    [
        tiny.labels(0)[:-1],
        tiny.labels(0).astype(np.int64),
        tiny.labels(0)[None],
        tiny.labels(0, 1, 2, tiny.WIDTH, tiny.HEIGHT),
    ],
)
def test_masks_of_another_size_or_type_are_refused(network: XMem, mask: np.ndarray) -> None:
    tracker = make_tracker(network)
    with pytest.raises(ValueError, match="labels"):
        tracker.memorize(0, tiny.frame(0), mask)
    assert tracker.confirmed_frames == ()


def test_an_internal_size_below_one_stride_is_refused(network: XMem) -> None:
    with pytest.raises(ValueError, match="16"):
        Tracker(network, internal_size=15)


# The process


def modes() -> Mapping[str, object]:
    return {
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "benchmark": torch.backends.cudnn.benchmark,
        "tf32": torch.backends.cudnn.allow_tf32,
        "random": torch.get_rng_state().sum().item(),
        "numpy": tuple(np.geterr().items()),
    }


@pytest.mark.parametrize("has_grad", [True, False])
def test_no_global_mode_of_torch_is_changed(plain: XMem, has_grad: bool) -> None:
    frames = [tiny.frame(i) for i in range(6)]
    masks = {0: tiny.labels(0)}
    with torch.set_grad_enabled(has_grad):
        before = modes()
        network = prepare(plain)
        tracker = make_tracker(network)
        assert modes() == before
        for _ in memorize_all(tracker, frames, masks):
            assert modes() == before  # also while the generator is suspended
        for result, _ in propagate(tracker, frames, masks, plan(6, [0]), keys_at_a_time=2):
            assert modes() == before
            assert result is not None
            result.prediction.labels()
            result.prediction.probabilities()
            assert modes() == before
        with pytest.raises(ValueError, match="frame"):
            tracker.track(frames[0][:-1])
        tracker.delete_object(1)
        tracker.forget(0)
        assert modes() == before


def test_training_can_go_on_while_a_propagation_is_suspended(network: XMem) -> None:
    frames, masks = [tiny.frame(i) for i in range(4)], {0: tiny.labels(0)}
    tracker = make_tracker(network)
    list(memorize_all(tracker, frames, masks))
    steps = propagate(tracker, frames, masks, plan(4, [0]))
    next(steps)
    weight = torch.ones(3, requires_grad=True)
    (weight * 2).sum().backward()
    assert weight.grad is not None
    next(steps)
    steps.close()


# Making the network fast


@pytest.fixture(scope="module", params=["small", "resnet"])
def wide(request: pytest.FixtureRequest) -> XMem:
    """Wide enough for Winograd convolutions in encoder and decoder."""
    narrow_resnet = NetworkConfig(
        value_channels=128,
        decoder16_channels=128,
        decoder8_channels=16,
        decoder4_channels=8,
        sensory_channels=8,
        hidden_channels=8,
    )
    exact_small = replace(NetworkConfig.small(), tolerates_bfloat16=False)
    network = tiny.network(exact_small if request.param == "small" else narrow_resnet)
    # Trained weights keep activations in range; gates of large numbers would magnify rounding.
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d) and module.weight is not None:
            module.weight *= 0.5
    return network


def outputs(network: XMem) -> Iterator[tuple[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    picture = torch.randn(2, 3, 48, 80, generator=generator)
    masks = torch.rand(2, 3, 48, 80, generator=generator)
    config = network.config
    readout = torch.randn(2, 3, config.value_channels, 3, 5, generator=generator)
    hidden = torch.randn(2, 3, config.hidden_channels, 3, 5, generator=generator)
    features = network.encode_key(picture)
    yield from features._asdict().items()
    value, deep = network.encode_value(picture, features.feature16, hidden, masks)
    logits, normal = network.decode(features, readout, hidden)
    assert deep is not None
    assert normal is not None
    yield from (("value", value), ("deep", deep), ("logits", logits), ("normal", normal))


def test_a_prepared_network_computes_the_same(wide: XMem) -> None:
    prepared = prepare(wide)
    assert any(isinstance(module, WinogradConv2d) for module in prepared.decoder.modules())
    assert any(isinstance(module, WinogradConv2d) for module in prepared.value_encoder.modules())
    for (name, ours), (_, theirs) in zip(outputs(prepared), outputs(wide), strict=True):
        assert ours.shape == theirs.shape
        error = (ours - theirs).abs().max() / theirs.abs().max()
        assert error < 1e-4, f"{name} differs by {error:.1e} of its largest"


@pytest.mark.parametrize(
    ("tolerates", "capabilities", "expected"),
    [
        (True, {"amx_bf16": True}, torch.bfloat16),
        (True, {"avx512_bf16": True}, torch.bfloat16),
        (True, {"avx512_bf16": False, "avx2": True}, None),
        (False, {"amx_bf16": True, "avx512_bf16": True}, None),
    ],
)
def test_bfloat16_is_for_networks_that_bear_it_on_cpus_that_multiply_it(
    monkeypatch: pytest.MonkeyPatch,
    tolerates: bool,
    capabilities: dict[str, bool],
    expected: torch.dtype | None,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    original = tiny.network(replace(tiny.TINY, tolerates_bfloat16=tolerates))

    assert prepare(original).half_precision == expected
    assert prepare(original, allows_half_precision=False).half_precision is None
    assert original.half_precision is None


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this CPU has no bfloat16"
)
def test_in_bfloat16_a_run_gives_nearly_the_same_masks(
    monkeypatch: pytest.MonkeyPatch, plain: XMem
) -> None:
    exact = tracked(started(prepare(plain)), range(1, 4))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    rough = tiny.network(replace(tiny.TINY, tolerates_bfloat16=True))

    for ours, theirs in zip(tracked(started(prepare(rough)), range(1, 4)), exact, strict=True):
        assert not torch.equal(ours, theirs)
        assert (ours.argmax(dim=0) == theirs.argmax(dim=0)).float().mean() > 0.9


# Memory that XMem has not


HABITS = replace(
    tiny.TINY,
    value_channels=36,
    mask_cells=4,
    has_mask_skip=True,
    confirmed_bonus=1.5,
    recent_every=1,
)


def test_a_run_with_recent_memory_goes_on_exactly_from_its_state() -> None:
    network = prepare(tiny.network(HABITS))
    whole = started(network)
    expected = tracked(whole, range(1, 10))
    first = started(network)
    tracked(first, range(1, 6))
    assert len(first.bank.recent)
    state = {name: tensor.clone() for name, tensor in first.run_state().items()}
    second = make_tracker(network)
    second.memorize(0, tiny.frame(0), tiny.labels(0, 3, 200))
    second.restore_run(state)

    assert_same(tracked(second, range(6, 10)), expected[5:])


def test_the_newest_frame_is_memory_until_the_next(plain: XMem) -> None:
    config = replace(tiny.TINY, recent_every=2)
    patient = MemoryConfig(memorize_every=5)
    tracker = started(prepare(tiny.network(config)), patient)
    lengths = []
    for index in range(1, 7):
        tracker.track(tiny.frame(index))
        lengths.append(len(tracker.bank.recent) // len(tracker.bank.permanent))

    # Every second frame; the fifth is a memory frame and makes it superfluous.
    assert lengths == [0, 1, 1, 1, 0, 0]
    tracker.revisit(0, tiny.frame(0))
    assert not len(tracker.bank.recent)
    ours = tracked(started(prepare(tiny.network(config)), patient), range(1, 4))
    without = tracked(started(prepare(plain), patient), range(1, 4))
    assert_same(ours[:2], without[:2])
    assert not torch.equal(ours[2], without[2])


def test_the_gate_chooses_between_the_decoder_and_the_mask_in_memory() -> None:
    network = tiny.network(HABITS)
    skip = network.decoder.mask_skip
    assert skip is not None
    assert skip.gate.bias is not None
    skip.gate.weight.zero_()
    features = network.encode_key(torch.randn(1, 3, 48, 64))
    readout = torch.rand(1, 2, HABITS.value_channels, 3, 4)
    masks = F.pixel_shuffle(readout[0, :, -16:], 4)

    skip.gate.bias.fill_(50.0)
    logits, _ = network.decode(features, readout, network.initial_hidden(2, features.key))

    shown = F.interpolate(masks.clamp(0.02, 0.98).logit(), scale_factor=4, mode="bilinear")
    torch.testing.assert_close(logits[0], shown[:, 0])
    skip.gate.bias.fill_(-50.0)
    logits, _ = network.decode(features, readout, network.initial_hidden(2, features.key))
    assert (logits[0] - shown[:, 0]).abs().max() > 0.1


def test_preparing_leaves_the_original_as_it_was() -> None:
    original = tiny.network()
    original.train()
    weights = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    kinds = [type(module) for module in original.modules()]
    strides = [p.stride() for p in original.parameters()]
    grads = [p.requires_grad_(True).requires_grad for p in original.parameters()]
    prepared = prepare(original)
    prepared.decoder.prediction.weight.zero_()
    assert original.training
    assert not prepared.training
    assert [type(module) for module in original.modules()] == kinds
    assert [p.stride() for p in original.parameters()] == strides
    assert [p.requires_grad for p in original.parameters()] == grads
    assert not any(p.requires_grad for p in prepared.parameters())
    for name, tensor in original.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


@settings(deadline=None, max_examples=40)
@given(
    batch=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    size=st.tuples(st.integers(1, 13), st.integers(1, 13)),
    has_bias=st.booleans(),
    is_channels_last=st.booleans(),
    seed=st.integers(0, 10),
)
def test_winograd_is_a_convolution(
    batch: int,
    channels: tuple[int, int],
    size: tuple[int, int],
    has_bias: bool,
    is_channels_last: bool,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    conv = nn.Conv2d(*channels, 3, padding=1, bias=has_bias).requires_grad_(False)
    conv.weight.normal_(generator=generator)
    x = torch.randn(batch, channels[0], *size, generator=generator)
    if is_channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    bias = None if conv.bias is None else conv.bias.double()
    expected = F.conv2d(x.double(), conv.weight.double(), bias, padding=1)
    ours = WinogradConv2d(conv)(x)
    assert ours.dtype == torch.float32
    assert ours.shape == expected.shape
    assert (ours - expected).abs().max() <= 1e-5 * expected.abs().max().clamp(min=1)


def test_winograd_works_in_several_strips() -> None:
    """More tiles than are transformed at a time, and strips of unequal height."""
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, padding=1).requires_grad_(False)
    x = torch.randn(2, 4, 93, 70, generator=generator)
    expected = F.conv2d(x, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(WinogradConv2d(conv)(x), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("groups", [1, 6])
def test_layers_of_the_small_trunk_are_the_same_in_one_pass(kernel: int, groups: int) -> None:
    generator = torch.Generator().manual_seed(kernel)
    strided = SamePadConv2d(6, 6, kernel, stride=2, groups=groups, bias=False)
    plain = nn.Conv2d(6, 5, 1)
    layers = nn.Sequential(strided, nn.Identity(), nn.ReLU6(), plain, nn.ReLU6(), nn.Identity())
    x = 4 * torch.randn(2, 6, 22, 38, generator=generator)
    with torch.no_grad():
        expected = layers(x)
        merged = copy.deepcopy(layers)
        merge_passes(merged)
        assert sum(isinstance(layer, ReLU6Conv2d) for layer in merged) == 2
        assert not any(isinstance(layer, SamePadConv2d | nn.ReLU6) for layer in merged)
        torch.testing.assert_close(merged(x), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("objects", [1, 2])
def test_feature_maps_stay_channels_last_through_the_decoder(objects: int) -> None:
    prepared = prepare(tiny.network())
    strides = {}

    def note(name: str, module: nn.Module) -> None:
        def hook(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            strides[name] = given[0].stride(1)

        module.register_forward_pre_hook(hook)

    for stage in ("upsample8", "upsample4"):
        note(stage, prepared.decoder.get_submodule(f"{stage}.refine"))
    note("prediction", prepared.decoder.prediction)
    picture = torch.rand(1, 3, 48, 80).contiguous(memory_format=torch.channels_last)
    readout = torch.rand(1, objects, tiny.TINY.value_channels, 3, 5)
    features = prepared.encode_key(picture)
    prepared.decode(features, readout, prepared.initial_hidden(objects, features.key))
    assert strides == {"upsample8": 1, "upsample4": 1, "prediction": 1}


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, padding=1, stride=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding=1, dilation=2),
    ],
)
def test_winograd_refuses_other_convolutions(conv: nn.Conv2d) -> None:
    with pytest.raises(ValueError, match="3x3"):
        WinogradConv2d(conv)


def test_an_encoded_frame_of_another_size_is_refused(network: XMem) -> None:
    tracker = started(network)
    [encoded] = Tracker(network, internal_size=32).encode([tiny.frame(1)])
    assert isinstance(encoded, EncodedFrame)
    with pytest.raises(ValueError, match="frame"):
        tracker.track(encoded)


def test_a_refused_frame_settles_no_size(network: XMem) -> None:
    tracker = Tracker(network, SHORT, internal_size=None)
    with pytest.raises(ValueError, match="labels must be"):
        tracker.memorize(0, tiny.frame(0, 32, 32), tiny.labels(0))
    tracker.memorize(0, tiny.frame(0), tiny.labels(0))
    tracker.forget(0)
    tracker.memorize(0, tiny.frame(0, 32, 32), tiny.labels(0, height=32, width=32))
    with pytest.raises(ValueError, match="every frame must be"):
        tracker.track(tiny.frame(1))


@pytest.mark.parametrize("objects", [(1, 1), (0,), (256,)])
def test_only_different_ids_from_1_to_255_can_be_asked_for(
    network: XMem, objects: tuple[int, ...]
) -> None:
    tracker = Tracker(network, SHORT, internal_size=None)
    tracker.memorize(0, tiny.frame(0), tiny.labels(0))
    tracker.begin()
    with pytest.raises(ValueError, match="different ids from 1 to 255"):
        tracker.track(tiny.frame(1), objects)


def test_limits_that_change_within_a_run_hold_from_the_next_frame(network: XMem) -> None:
    tracker = started(network)
    before = tracked(tracker, range(1, 12))
    elements = len(tracker.bank.long_term)
    assert elements > 3
    tracker.configure(replace(SHORT, prototypes=2, max_long_term=3, top_k=2))
    assert len(tracker.bank.long_term) == 3  # the least used are gone at once
    after = tracked(tracker, range(12, 20))
    assert len(tracker.bank.long_term) <= 3
    assert len(before) + len(after) == 19

    same = started(network)
    tracked(same, range(1, 12))
    unchanged = tracked(same, range(12, 20))
    assert any(not torch.equal(one, two) for one, two in zip(after, unchanged, strict=True))
    with pytest.raises(ValueError, match="affinity"):
        tracker.configure(replace(SHORT, affinity="stcn"))
