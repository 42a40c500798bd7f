"""The memories hold what they should, no more than they may, and pair it with the right keys."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xmem_core.config import MemoryConfig
from xmem_core.memory import bank as bank_module
from xmem_core.memory.bank import MemoryBank
from xmem_core.memory.store import Elements, GrowingRows, MemoryStore, distil

C_KEY, C_VALUE, PER_FRAME = 4, 3, 6


def config(prototypes: int = 8, max_long_term: int = 20, top_k: int = 5) -> MemoryConfig:
    return MemoryConfig(
        min_working_frames=2,
        max_working_frames=4,
        prototypes=prototypes,
        max_long_term=max_long_term,
        top_k=top_k,
    )


def made(objects: Iterable[int], seed: int, count: int = PER_FRAME) -> Elements:
    """One frame's elements, with random values of `objects`."""
    generator = torch.Generator().manual_seed(seed)

    def random(width: int) -> Tensor:
        return torch.randn(count, width, generator=generator)

    return Elements(
        key=random(C_KEY),
        shrinkage=random(1).square() + 1,
        selection=random(C_KEY).sigmoid(),
        values={object_id: random(C_VALUE) for object_id in objects},
        frames=torch.full((count,), -1, dtype=torch.int32),
    )


def constant(levels: dict[int, float], seed: int) -> Elements:
    """One frame's elements whose values are one number for each object."""
    elements = made((), seed)
    values = {i: torch.full((PER_FRAME, C_VALUE), level) for i, level in levels.items()}
    return replace(elements, values=values)


def queries(seed: int, count: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1000 + seed)
    key = torch.randn(count, C_KEY, generator=generator)
    return key, torch.randn(count, C_KEY, generator=generator).sigmoid()


def looked_up(bank: MemoryBank, objects: Sequence[int], seed: int = 0) -> Tensor:
    return bank.read(*queries(seed), objects, C_VALUE)


def by_hand(
    key: Tensor, shrinkage: Tensor, values: Tensor, query: tuple[Tensor, Tensor], k: int
) -> Tensor:
    """What elements that all have a value say, by the paper's formula: (C_value, Q)."""
    difference = (key[None] - query[0][:, None]).square()
    scores = -(query[1][:, None] * difference).sum(dim=2) * shrinkage[:, 0] / math.sqrt(C_KEY)
    best = scores.topk(min(k, len(key)), dim=1)
    weights = torch.zeros_like(scores).scatter_(1, best.indices, best.values.softmax(dim=1))
    return (weights @ values).T


def from_elements(
    parts: Sequence[Elements], object_id: int, query: tuple[Tensor, Tensor], k: int
) -> Tensor:
    parts = [part for part in parts if object_id in part.values]
    return by_hand(
        torch.cat([part.key for part in parts]),
        torch.cat([part.shrinkage for part in parts]),
        torch.cat([part.values[object_id] for part in parts]),
        query,
        k,
    )


def from_stores(bank: MemoryBank, object_id: int, query: tuple[Tensor, Tensor], k: int) -> Tensor:
    """The same over what the bank says it holds, only where it says that the object has a value."""
    stores = [s for s in (bank.long_term, bank.permanent, bank.working) if object_id in s.objects]
    rows = torch.cat([store.has_value(object_id) for store in stores])
    return by_hand(
        torch.cat([store["key"] for store in stores])[rows],
        torch.cat([store["shrinkage"] for store in stores])[rows],
        torch.cat([store.values(object_id) for store in stores])[rows],
        query,
        k,
    )


def set_usage(store: MemoryStore, usage: Iterable[float]) -> None:
    store["use"].copy_(torch.tensor(list(usage)))
    store["life"].fill_(1.0)


def same_state(one: MemoryStore, other: MemoryStore) -> bool:
    ours, theirs = one.state(), other.state()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


# Growing rows


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), max_size=20), st.data())
def test_rows_that_grow_are_those_that_were_appended(
    counts: list[int], data: st.DataObject
) -> None:
    rows, expected = GrowingRows(torch.zeros(0, 2)), torch.zeros(0, 2)
    for position, count in enumerate(counts):
        block = torch.full((count, 2), float(position))
        rows.append(block)
        expected = torch.cat([expected, block])
        if data.draw(st.booleans()):
            index = torch.tensor(
                data.draw(st.permutations(range(len(expected)))), dtype=torch.long
            )[: data.draw(st.integers(0, len(expected)))]
            rows.keep(index)
            expected = expected[index]
        if data.draw(st.booleans()):
            rows.append_zeros(2)
            expected = torch.cat([expected, torch.zeros(2, 2)])
        assert torch.equal(rows.rows, expected)


# One store


def test_an_object_has_values_only_where_it_was_given_some() -> None:
    store = MemoryStore()
    parts = [made([1], 0), made([1, 2], 1), made([2], 2), made([], 3)]
    for part in parts:
        store.append(part)
    assert len(store) == 4 * PER_FRAME
    assert torch.equal(store["key"], torch.cat([part.key for part in parts]))
    for object_id in (1, 2):
        present = torch.cat([torch.full((PER_FRAME,), object_id in part.values) for part in parts])
        assert torch.equal(store.has_value(object_id), present)
        values = torch.cat([p.values.get(object_id, torch.zeros(6, C_VALUE)) for p in parts])
        assert torch.equal(store.values(object_id), values)
    assert not store.has_value(9).any()
    assert store.has_value(9).shape == (4 * PER_FRAME,)


def test_keeping_elements_keeps_all_that_belongs_to_them() -> None:
    store, index = MemoryStore(), torch.tensor([11, 0, 7])
    store.append(made([1], 0))
    store.append(made([1, 2], 1))
    before = {name: tensor.clone() for name, tensor in store.state().items()}
    store.keep(index)
    assert len(store) == 3
    for name, tensor in store.state().items():
        assert torch.equal(tensor, before[name][index]), name


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.0, 0.25, 0.5, 3.0]), min_size=1, max_size=40),
    st.integers(0, 45),
)
def test_eviction_keeps_exactly_as_many_as_asked_and_the_most_used(
    usage: list[float], count: int
) -> None:
    store = MemoryStore()
    store.append(made([1], 0, count=len(usage)))
    set_usage(store, usage)
    names = {tuple(row): position for position, row in enumerate(store["key"].tolist())}
    store.keep_most_used(count)
    kept = [names[tuple(row)] for row in store["key"].tolist()]
    assert len(kept) == len(store) == min(count, len(usage))
    assert kept == sorted(kept)
    dropped = [u for position, u in enumerate(usage) if position not in kept]
    assert max(dropped, default=0.0) <= min((usage[p] for p in kept), default=3.0)


def test_usage_is_attention_a_query_and_never_not_a_number() -> None:
    store = MemoryStore()
    store.append(made([1], 0, count=3))
    assert torch.equal(store.usage(), torch.zeros(3))
    eligible = torch.tensor([True, True, False])
    store.count_use(torch.tensor([0.5, 0.0, 0.0]), eligible)
    store.count_use(torch.tensor([0.1, 0.0, 0.0]), eligible)
    torch.testing.assert_close(store.usage(), torch.tensor([0.3, 0.0, 0.0]))


def test_a_store_s_state_is_a_copy_that_makes_the_same_store() -> None:
    store = MemoryStore()
    store.append(made([1], 0))
    store.append(made([7], 1))
    set_usage(store, range(12))
    state = store.state()
    twin = MemoryStore.from_state(state)
    assert same_state(store, twin)
    store.keep(torch.tensor([3]))
    twin.append(made([1, 7], 2))
    again = MemoryStore.from_state(state)
    again.append(made([1, 7], 2))
    assert same_state(twin, again)
    store.keep(torch.tensor([], dtype=torch.long))
    assert len(MemoryStore.from_state(store.state())) == 0
    assert len(MemoryStore.from_state(MemoryStore().state())) == 0


# Distilling


def test_prototypes_are_the_most_used_candidates_potentiated_by_their_likes() -> None:
    candidates = made([1], 0, count=20)
    usage = torch.rand(20, generator=torch.Generator().manual_seed(3))
    has_value = {1: torch.ones(20, dtype=torch.bool)}
    prototypes, kept = distil(candidates, has_value, usage, 5)
    chosen = usage.topk(5).indices
    assert torch.equal(prototypes.key, candidates.key[chosen])
    assert prototypes.selection is None
    assert kept[1].all()
    assert candidates.selection is not None
    query = (candidates.key[chosen], candidates.selection[chosen])
    # A full softmax: k is all of them.
    expected = by_hand(candidates.key, candidates.shrinkage, candidates.values[1], query, 20)
    torch.testing.assert_close(prototypes.values[1], expected.T)
    expected = by_hand(candidates.key, candidates.shrinkage, candidates.shrinkage, query, 20)
    torch.testing.assert_close(prototypes.shrinkage, expected.T)


def test_a_late_object_s_prototypes_come_from_its_own_elements_only() -> None:
    candidates, present = made([1, 2], 0, count=20), torch.arange(20) >= 12
    usage = torch.rand(20, generator=torch.Generator().manual_seed(3))
    has_value = {1: torch.ones(20, dtype=torch.bool), 2: present}
    prototypes, kept = distil(candidates, has_value, usage, 8)
    chosen = usage.topk(8).indices
    assert torch.equal(kept[2], present[chosen])
    assert kept[2].any()
    assert not kept[2].all()
    assert candidates.selection is not None
    query = (candidates.key[chosen], candidates.selection[chosen])
    own = by_hand(
        candidates.key[present],
        candidates.shrinkage[present],
        candidates.values[2][present],
        query,
        8,
    )
    torch.testing.assert_close(prototypes.values[2][kept[2]], own.T[kept[2]])
    assert (prototypes.values[2][~kept[2]] == 0).all()


def test_fewer_candidates_than_prototypes_are_all_kept() -> None:
    candidates = made([1], 0, count=3)
    has_value = {1: torch.ones(3, dtype=torch.bool)}
    prototypes, _ = distil(candidates, has_value, torch.zeros(3), 128)
    assert len(prototypes) == 3


@pytest.mark.parametrize("has_permanent", [True, False])
def test_a_full_working_memory_keeps_the_newest_frames_and_distils_the_rest(
    has_permanent: bool,
) -> None:
    bank = MemoryBank(config())
    if has_permanent:
        bank.keep_for_ever(0, made([1], 99))
    kept = 2 - has_permanent  # the annotator's own frames count as one
    parts = [made([1], seed) for seed in range(4 - has_permanent)]
    for position, part in enumerate(parts[:-1], start=1):
        bank.append(part)
        looked_up(bank, [1])
        assert len(bank.working) == position * PER_FRAME
        assert len(bank.long_term) == 0
    usage = torch.cat([bank.working.usage(), torch.zeros(PER_FRAME)])
    bank.append(parts[-1])
    assert torch.equal(bank.working["key"], torch.cat([part.key for part in parts[-kept:]]))
    assert torch.equal(bank.working.values(1), torch.cat([p.values[1] for p in parts[-kept:]]))
    candidates = torch.cat([part.key for part in parts[:-kept]])
    chosen = usage[: len(candidates)].topk(8).indices
    assert torch.equal(bank.long_term["key"], candidates[chosen])
    assert len(bank.permanent) == PER_FRAME * has_permanent


@pytest.mark.parametrize(
    ("prototypes", "max_long_term"), [(8, 8), (8, 20), (8, 24), (1, 1), (50, 70), (12, 60)]
)
@pytest.mark.parametrize("permanent", [0, 1, 3])
def test_every_limit_holds_over_hundreds_of_frames(
    prototypes: int, max_long_term: int, permanent: int
) -> None:
    bank = MemoryBank(config(prototypes, max_long_term))
    for frame in range(permanent):
        bank.keep_for_ever(1000 + frame, made([1, 2, 3], 5000 + frame))
    for step in range(300 if (prototypes, permanent) == (12, 1) else 50):
        # Object 2 comes late, object 3 comes and goes.
        present = [i for i, is_there in ((1, 1), (2, step > 20), (3, step % 40 > 20)) if is_there]
        assert torch.isfinite(looked_up(bank, present, seed=step)).all()
        bank.append(made(present, step))
        assert len(bank.working) <= (3 - bool(permanent)) * PER_FRAME
        assert len(bank.long_term) <= max_long_term
        assert len(bank.permanent) == permanent * PER_FRAME
    assert len(bank.long_term) > max_long_term - prototypes
    for store in (bank.long_term, bank.working):
        assert torch.isfinite(store.usage()).all()


def test_without_long_term_memory_working_memory_grows() -> None:
    bank = MemoryBank(MemoryConfig(min_working_frames=1, max_working_frames=2, has_long_term=False))
    for seed in range(30):
        bank.append(made([1], seed))
    assert len(bank.working) == 30 * PER_FRAME
    assert len(bank.long_term) == 0


def test_lower_limits_hold_from_the_next_time_working_memory_fills() -> None:
    bank = MemoryBank(config(8, 60))
    for seed in range(40):
        bank.append(made([1], seed))
    assert len(bank.long_term) > 16
    bank.config = config(4, 10)
    for seed in range(3):
        bank.append(made([1], seed))
    assert len(bank.long_term) <= 10


# Reading


def test_reading_is_a_top_k_softmax_over_all_memories() -> None:
    bank = MemoryBank(config(top_k=5))
    parts = [made([1], 2), made([1], 1), made([1], 0)]
    bank.keep_for_ever(7, parts[1])
    bank.keep_for_ever(3, parts[0])
    bank.append(parts[2])
    expected = from_elements(parts, 1, queries(0), 5)
    torch.testing.assert_close(looked_up(bank, [1])[0], expected)


def test_late_objects_are_paired_with_the_keys_of_their_own_frames() -> None:
    bank = MemoryBank(config(top_k=5))
    parts = [made([1], 0), made([1, 2], 1), made([2, 3], 2)]
    bank.keep_for_ever(0, parts[0])
    bank.append(parts[1])
    bank.append(parts[2])
    readout = looked_up(bank, [3, 1, 2])
    for object_id, row in zip([3, 1, 2], readout, strict=True):
        expected = from_elements(parts, object_id, queries(0), 5)
        torch.testing.assert_close(row, expected)


def test_late_objects_stay_paired_after_distilling_and_eviction() -> None:
    bank = MemoryBank(config(8, 20, top_k=5))
    bank.keep_for_ever(0, made([1], 900))
    for step in range(60):
        present = [1] + [2] * (step > 5) + [3] * (step > 17) + [4] * (10 < step < 30)
        bank.append(made(present, step))
        objects = [1, 2, 3, 4]
        readout = looked_up(bank, objects, seed=step)
        for object_id, row in zip(objects, readout, strict=True):
            if any(bank_store.has_value(object_id).any() for bank_store in stores(bank)):
                expected = from_stores(bank, object_id, queries(step), 5)
                torch.testing.assert_close(row, expected)
            else:
                assert (row == 0).all()
    assert bank.long_term.has_value(1).all()


def stores(bank: MemoryBank) -> tuple[MemoryStore, ...]:
    return bank.long_term, bank.permanent, bank.working


def test_no_element_without_a_value_ever_dilutes_a_readout() -> None:
    """Where every value of an object is one number, so is every readout."""
    bank = MemoryBank(config(8, 20, top_k=30))
    bank.keep_for_ever(0, constant({1: 10.0}, 900))
    for step in range(80):
        levels = {1: 10.0} | ({2: 20.0} if step >= 6 else {}) | ({3: 30.0} if step >= 31 else {})
        bank.append(constant(levels, step))
        readout = looked_up(bank, list(levels), seed=step)
        for row, level in zip(readout, levels.values(), strict=True):
            torch.testing.assert_close(row, torch.full_like(row, level))


def test_an_unknown_object_reads_zeros() -> None:
    bank = MemoryBank(config())
    assert (looked_up(bank, [1, 2]) == 0).all()
    bank.append(made([1], 0))
    readout = looked_up(bank, [2, 1])
    assert (readout[0] == 0).all()
    assert (readout[1] != 0).any()


def test_a_late_object_may_have_fewer_elements_than_k() -> None:
    bank = MemoryBank(config(top_k=30))
    bank.keep_for_ever(0, made([1], 0, count=40))
    late = made([2], 1, count=2)
    bank.keep_for_ever(1, late)
    expected = from_elements([late], 2, queries(0), 30)
    torch.testing.assert_close(looked_up(bank, [1, 2])[1], expected)


def test_attention_is_counted_once_a_query_and_group() -> None:
    bank = MemoryBank(config())
    bank.append(made([1], 0))
    bank.append(made([1, 2], 1))
    looked_up(bank, [1, 2])
    # Seven query positions, two groups: object 1 sees both frames, object 2 only the second.
    torch.testing.assert_close(bank.working["use"].sum(), torch.tensor(14.0))
    life = torch.tensor([1.0] * PER_FRAME + [2.0] * PER_FRAME)
    torch.testing.assert_close(bank.working["life"], life)


@pytest.mark.parametrize("queries_at_once", [1, 2, 3])
def test_results_do_not_depend_on_how_many_queries_are_looked_up_at_once(
    queries_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    readouts, usages = [], []
    for at_once in (100, queries_at_once):
        bank = MemoryBank(config())
        bank.keep_for_ever(0, made([1], 0))
        bank.append(made([1, 2], 1))
        monkeypatch.setattr(bank_module, "_SIMILARITY_BYTES", 4 * 2 * PER_FRAME * at_once)
        readouts.append(looked_up(bank, [1, 2]))
        usages.append(bank.working.usage())
    torch.testing.assert_close(readouts[0], readouts[1])
    torch.testing.assert_close(usages[0], usages[1])


# Permanent memory


@settings(max_examples=30, deadline=None)
@given(st.permutations([(0, (1,)), (4, (1, 2)), (9, (2, 200)), (11, (200,))]), st.data())
def test_permanent_memory_depends_only_on_what_is_in_it(
    order: list[tuple[int, tuple[int, ...]]], data: st.DataObject
) -> None:
    bank, expected = MemoryBank(config()), MemoryBank(config())
    for frame, objects in order:
        if data.draw(st.booleans(), label="replaced"):
            bank.keep_for_ever(frame, made([5, 6], 77))
        bank.keep_for_ever(frame, made(objects, frame))
    gone = data.draw(st.sets(st.sampled_from([0, 4, 9, 11])))
    for frame in gone:
        bank.forget_frame(frame)
    for frame, objects in sorted(order):
        if frame not in gone:
            expected.keep_for_ever(frame, made(objects, frame))
    assert bank.permanent_frames == expected.permanent_frames
    assert same_state(bank.permanent, expected.permanent)
    ours, theirs = (looked_up(each, [1, 2, 200, 5]) for each in (bank, expected))
    assert torch.equal(ours, theirs)


def test_looking_things_up_leaves_no_trace_in_what_can_be_forgotten() -> None:
    bank, expected = MemoryBank(config()), MemoryBank(config())
    for each in (bank, expected):
        each.keep_for_ever(0, made([1], 0))
    bank.keep_for_ever(5, made([1], 5))
    looked_up(bank, [1])
    bank.forget_frame(5)
    assert torch.equal(looked_up(bank, [1]), looked_up(expected, [1]))


def test_a_new_run_keeps_permanent_memory_only() -> None:
    bank = MemoryBank(config())
    bank.keep_for_ever(0, made([1], 0))
    for seed in range(10):
        bank.append(made([1, 2], seed))
    bank.forget_run()
    assert [len(store) for store in stores(bank)] == [0, PER_FRAME, 0]
    assert (looked_up(bank, [2]) == 0).all()


def test_forgetting_a_frame_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        MemoryBank(config()).forget_frame(3)


# Deleting objects


def test_deleting_an_object_leaves_the_others_bit_for_bit() -> None:
    bank, untouched = MemoryBank(config()), MemoryBank(config())
    for each in (bank, untouched):
        each.keep_for_ever(0, made([1, 2], 99))
        for seed in range(12):
            each.append(made([1, 2], seed))
            looked_up(each, [1, 2], seed)
    bank.delete_object(2)
    assert torch.equal(looked_up(bank, [1]), looked_up(untouched, [1]))
    assert (looked_up(bank, [2]) == 0).all()
    assert all(2 not in store.objects for store in stores(bank))
    assert 2 not in bank.permanent_elements(0).values


def test_a_deleted_object_s_id_starts_anew() -> None:
    bank = MemoryBank(config(top_k=30))
    bank.keep_for_ever(0, constant({1: 10.0, 2: 20.0}, 99))
    for seed in range(12):
        bank.append(constant({1: 10.0, 2: 20.0}, seed))
    bank.delete_object(2)
    bank.append(constant({1: 10.0, 2: -5.0}, 50))
    readout = looked_up(bank, [1, 2])
    torch.testing.assert_close(readout[0], torch.full_like(readout[0], 10.0))
    torch.testing.assert_close(readout[1], torch.full_like(readout[1], -5.0))


def test_a_memory_without_any_object_goes_on() -> None:
    bank = MemoryBank(config())
    bank.keep_for_ever(0, made([1], 99))
    bank.append(made([1], 0))
    bank.delete_object(1)
    for seed in range(1, 12):
        assert (looked_up(bank, [1], seed) == 0).all()
        bank.append(made([], seed))
    assert len(bank.long_term) <= 20


# Saving


def test_a_restored_bank_goes_on_exactly() -> None:
    bank, other = MemoryBank(config()), MemoryBank(config())
    for each in (bank, other):
        each.keep_for_ever(0, made([1], 99))
    for seed in range(9):
        bank.append(made([1, 2], seed))
        looked_up(bank, [1, 2], seed)
    other.restore_run(bank.run_state())
    for seed in range(9, 30):
        ours, theirs = (looked_up(each, [2, 1], seed) for each in (bank, other))
        assert torch.equal(ours, theirs)
        for each in (bank, other):
            each.append(made([1, 2], seed))
    assert same_state(bank.long_term, other.long_term)
    assert same_state(bank.working, other.working)


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_working_frames": 0},
        {"min_working_frames": 10},
        {"memorize_every": 0},
        {"prototypes": 0},
        {"top_k": 0},
        {"max_long_term": 127},
        {"objects_per_chunk": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused_with_their_value(wrong: dict[str, int]) -> None:
    [(name, value)] = wrong.items()
    with pytest.raises(ValueError, match=rf"{name}.*{value}"):
        MemoryConfig(**wrong)  # type: ignore[arg-type]


# Memory that XMem has not


def test_a_bonus_makes_confirmed_frames_outweigh_what_is_remembered() -> None:
    shares = []
    for bonus in (0.0, 2.0, 60.0):
        bank = MemoryBank(config(top_k=12), confirmed_bonus=bonus)
        bank.keep_for_ever(0, constant({1: 1.0}, seed=1))
        bank.append(constant({1: 0.0}, seed=2))
        shares.append(looked_up(bank, [1]))

    assert (shares[0] < shares[1]).all()
    assert (shares[1] < shares[2]).all()
    torch.testing.assert_close(shares[2], torch.ones_like(shares[2]))


def test_recent_memory_is_read_replaced_and_gone_with_the_next_memory_frame() -> None:
    bank = MemoryBank(config())
    bank.replace_recent(constant({1: 5.0}, seed=1))
    assert torch.allclose(looked_up(bank, [1]), torch.tensor(5.0))
    bank.replace_recent(constant({1: 7.0, 2: 1.0}, seed=2))
    assert torch.allclose(looked_up(bank, [1]), torch.tensor(7.0))
    assert bank.run_objects == {1, 2}
    copy = MemoryBank(config())
    copy.restore_run(bank.run_state())
    assert torch.equal(looked_up(copy, [1, 2]), looked_up(bank, [1, 2]))

    bank.delete_object(2)
    assert bank.run_objects == {1}
    bank.append(constant({1: 2.0}, seed=3))

    assert not len(bank.recent)
    assert torch.allclose(looked_up(bank, [1]), torch.tensor(2.0))
    bank.replace_recent(constant({1: 5.0}, seed=1))
    bank.forget_run()
    assert not bank.run_objects
