"""The arithmetic of looking something up in memory."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xmem_core.memory import readout
from xmem_core.memory.readout import (
    Search,
    memory_rows,
    query_rows,
    similarity,
    top_k,
    top_k_softmax,
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain_similarity(key: Tensor, shrinkage: Tensor, query: Tensor, selection: Tensor) -> Tensor:
    """Equation 2 of the paper, as it is printed: (Q, N)."""
    difference = key[None] - query[:, None]  # (Q, N, C)
    distance = (selection[:, None] * difference.square()).sum(dim=2)
    return -shrinkage[:, 0] * distance / math.sqrt(key.shape[1])


def test_similarity_is_the_formula_of_the_paper() -> None:
    key, query = random(50, 64, seed=1), random(7, 64, seed=2)
    shrinkage, selection = random(50, 1, seed=3).square() + 1, random(7, 64, seed=4).sigmoid()
    ours = similarity(memory_rows(key, shrinkage), query_rows(query, selection))
    expected = plain_similarity(*(x.double() for x in (key, shrinkage, query, selection)))
    torch.testing.assert_close(ours.double(), expected, atol=1e-4, rtol=1e-5)


def test_an_element_is_most_like_itself() -> None:
    key, selection = random(40, 16), random(40, 16, seed=1).sigmoid()
    scores = similarity(memory_rows(key, torch.ones(40, 1)), query_rows(key, selection))
    assert scores.argmax(dim=1).tolist() == list(range(40))
    torch.testing.assert_close(scores.diagonal(), torch.zeros(40), atol=1e-5, rtol=0)


def test_without_shrinkage_and_selection_similarity_is_the_published_short_form() -> None:
    key, query = random(50, 16, seed=1), random(7, 16, seed=2)
    ours = similarity(memory_rows(key, None), query_rows(query, None))
    expected = (2 * query @ key.T - key.square().sum(dim=1)) / 4
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


def test_leading_dimensions_are_batches() -> None:
    key, query = random(2, 3, 20, 8), random(2, 3, 5, 8, seed=1)
    shrinkage, selection = random(2, 3, 20, 1).square() + 1, random(2, 3, 5, 8, seed=2).sigmoid()
    ours = similarity(memory_rows(key, shrinkage), query_rows(query, selection))
    assert ours.shape == (2, 3, 5, 20)
    one = similarity(
        memory_rows(key[1, 2], shrinkage[1, 2]), query_rows(query[1, 2], selection[1, 2])
    )
    torch.testing.assert_close(ours[1, 2], one)


def test_similarity_stays_in_float32_under_autocast() -> None:
    key, query = random(50, 64) + 10, random(7, 64, seed=1) + 10  # large terms that nearly cancel
    shrinkage, selection = torch.ones(50, 1), torch.ones(7, 64)
    expected = similarity(memory_rows(key, shrinkage), query_rows(query, selection))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = similarity(memory_rows(key, shrinkage), query_rows(query, selection))
        assert torch.is_autocast_enabled("cpu")
    assert ours.dtype == torch.float32
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keys_are_compared_in_float32(dtype: torch.dtype) -> None:
    key, query = random(50, 16).to(dtype), random(7, 16, seed=1).to(dtype)
    shrinkage, selection = torch.ones(50, 1, dtype=dtype), torch.ones(7, 16, dtype=dtype)
    ours = similarity(memory_rows(key, shrinkage), query_rows(query, selection))
    assert ours.dtype == torch.float32
    expected = plain_similarity(*(x.double() for x in (key, shrinkage, query, selection)))
    torch.testing.assert_close(ours.double(), expected, atol=1e-4, rtol=1e-5)


def check_top_k(scores: Tensor, k: int) -> None:
    index = top_k(scores, k)
    best = scores.gather(1, index)
    expected = scores.topk(min(k, scores.shape[1]), dim=1).values
    assert best.shape == index.shape == expected.shape
    assert torch.equal(best.sort(dim=1, descending=True).values, expected)
    assert ((index >= 0) & (index < scores.shape[1])).all()
    for row in index.tolist():
        assert len(set(row)) == len(row)


@pytest.mark.parametrize("elements", [4095, 4096, 4097, 5000, 8191, 12345])
@pytest.mark.parametrize("k", [1, 30])
def test_the_blockwise_search_finds_the_k_largest(elements: int, k: int) -> None:
    check_top_k(random(5, elements), k)


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_the_blockwise_search_survives_ties(levels: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    check_top_k(torch.randint(levels, (4, 9001), generator=generator).float(), 30)


def test_the_blockwise_search_finds_what_lies_in_one_block_or_in_the_tail() -> None:
    for best_from in (0, 64 * 77, 9001 - 41, 9001 - 30):
        scores = random(3, 9001) - 100
        scores[:, best_from : best_from + 30] += 200
        assert (scores.gather(1, top_k(scores, 30)) > 50).all()
        check_top_k(scores, 30)


@settings(deadline=None, max_examples=150)
@given(
    elements=st.integers(1, 90),
    k=st.integers(1, 6),
    levels=st.integers(1, 40),
    seed=st.integers(0, 2**31 - 1),
)
def test_small_blocks_find_the_k_largest_too(elements: int, k: int, levels: int, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(levels, size=(3, elements))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readout, "BLOCK", 4)
        patch.setattr(readout, "_BLOCKWISE_FROM", 1)
        check_top_k(torch.from_numpy(scores).float(), k)


def test_elements_that_may_not_be_chosen_are_not_chosen() -> None:
    scores = random(6, 9000)
    allowed = torch.zeros(9000, dtype=torch.bool)
    allowed[[3, 700, 701, 4500, 8999]] = True
    weights, index = top_k_softmax(scores.masked_fill(~allowed, -torch.inf), 5)
    assert allowed[index].all()
    assert torch.isfinite(weights).all()


def test_the_smallest_are_found_as_well() -> None:
    scores = torch.randint(-(2**15), 0, (5, 4096 + 64 * 70), dtype=torch.int16)
    index = top_k(scores, 30, largest=False)
    expected = scores.topk(30, dim=1, largest=False).values.sort(dim=1).values
    assert torch.equal(scores.gather(1, index).sort(dim=1).values, expected)


def searched(half: bool, eligible: Tensor | None, bonus: float) -> tuple[Tensor, Tensor]:
    """Weights (7, 9000) and indices (7, 30) among keys that lie far from zero."""
    key, query = random(9000, 16, seed=1) + 3, random(7, 16, seed=2) + 3
    shrinkage, selection = random(9000, 1, seed=3).square() + 1, random(7, 16, seed=4).sigmoid()
    memory = key, shrinkage, memory_rows(key, shrinkage)
    search = Search(memory, (query, selection), slice(500, 900), bonus, selects_in_half=half)
    some = slice(2, 7)
    weights, index = search.best(search.scores(some), some, 30, eligible)
    return torch.zeros(5, 9000).scatter_(1, index, weights), index


@pytest.mark.parametrize("bonus", [0.0, 2.0])
@pytest.mark.parametrize("is_limited", [False, True])
def test_elements_selected_in_half_precision_weigh_as_in_float32(
    bonus: float, is_limited: bool
) -> None:
    eligible = torch.arange(9000) % 3 == 1 if is_limited else None
    exact, _ = searched(False, eligible, bonus)
    ours, index = searched(True, eligible, bonus)
    assert (index < 9000).all()
    if eligible is not None:
        assert eligible[index].all()
    # Only elements that come near the thirtieth place may be others.
    assert ((ours - exact).abs().sum(dim=1) < 0.12).all()
    assert torch.equal(ours.argmax(dim=1), exact.argmax(dim=1))


def test_a_bonus_counts_the_same_in_half_precision() -> None:
    for half in (False, True):
        _, index = searched(half, None, 100.0)
        assert ((index >= 500) & (index < 900)).all()


@pytest.mark.parametrize("elements", [1, 2, 29, 30, 31])
def test_fewer_elements_than_k_are_all_kept(elements: int) -> None:
    scores = random(4, elements)
    weights, index = top_k_softmax(scores, 30)
    assert weights.shape == (4, min(30, elements))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))
    if elements <= 30:
        dense = torch.zeros_like(scores).scatter_(1, index, weights)
        torch.testing.assert_close(dense, scores.softmax(dim=1))


@pytest.mark.parametrize("level", [-1e4, -1e30])
def test_very_negative_similarities_give_weights_and_not_nan(level: float) -> None:
    weights, _ = top_k_softmax(level + random(4, 100), 30)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))
    assert (weights >= 0).all()


def test_the_k_best_are_weighted_by_their_softmax_and_the_rest_by_nothing() -> None:
    scores = random(8, 200)
    weights, index = top_k_softmax(scores, 30)
    best = scores.topk(30, dim=1)
    expected = torch.zeros_like(scores).scatter_(1, best.indices, best.values.softmax(dim=1))
    ours = torch.zeros_like(scores).scatter_(1, index, weights)
    torch.testing.assert_close(ours, expected)
