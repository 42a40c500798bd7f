"""Similarity, top-k softmax, readout, prototype values: pure functions over memory elements.

Elements and query positions come as rows: N elements, Q queries, C key channels. The anisotropic
L2 similarity (XMem, equation 2) of element n and query p,

    S(p, n) = -(s_n / sqrt(C)) * sum_c e_pc (k_nc - q_pc)^2,

expands to one matrix product of rows with 2C + 1 entries, which is how it is computed here.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def memory_rows(key: Tensor, shrinkage: Tensor | None) -> Tensor:
    """key (..., N, C), shrinkage (..., N, 1) or None for ones -> (..., N, 2C + 1), float32."""
    key = key.float()
    scale = 1 / math.sqrt(key.shape[-1])
    rows = torch.cat([key.square(), key, torch.ones_like(key[..., :1])], dim=-1)
    return rows * scale if shrinkage is None else rows * (shrinkage.float() * scale)


def query_rows(key: Tensor, selection: Tensor | None) -> Tensor:
    """key (..., Q, C), selection (..., Q, C) or None -> (..., Q, 2C + 1), float32.

    Without selection the query's own square is left out too, as in the published code.
    """
    key = key.float()
    if selection is None:
        return torch.cat([-torch.ones_like(key), 2 * key, torch.zeros_like(key[..., :1])], dim=-1)
    weighted = key * selection.float()
    constant = (weighted * key).sum(dim=-1, keepdim=True)
    return torch.cat([-selection.float(), 2 * weighted, -constant], dim=-1)


def similarity(memory: Tensor, query: Tensor) -> Tensor:
    """memory (..., N, R) from `memory_rows`, query (..., Q, R) from `query_rows` -> (..., Q, N).

    Always in float32: the three terms nearly cancel, and half precision loses the difference.
    """
    with torch.autocast(memory.device.type, enabled=False):
        return query.float() @ memory.float().transpose(-1, -2)


# Searching blocks only pays when there are far more elements than candidates.
BLOCK = 64
_BLOCKWISE_FROM = 4096


def top_k(scores: Tensor, k: int, *, largest: bool = True) -> Tensor:
    """Where the `k` largest (or smallest) of each row are: (Q, N) -> (Q, min(k, N)), any order.

    A row's k largest all lie in the k blocks with the largest maxima, since each such block
    holds at least one of them or ties; so only those blocks are searched. N is best a multiple of
    BLOCK (if the smallest are sought, it must be); otherwise the scores are copied.
    """
    queries, elements = scores.shape
    k = min(k, elements)
    if elements < max(_BLOCKWISE_FROM, 4 * k * BLOCK):
        return scores.topk(k, dim=1, largest=largest, sorted=False).indices
    if elements % BLOCK:
        scores = F.pad(scores, (0, -elements % BLOCK), value=-torch.inf)
    blocks = scores.view(queries, -1, BLOCK)
    best = blocks.amax(dim=2) if largest else blocks.amin(dim=2)
    chosen = best.topk(k, dim=1, largest=largest, sorted=False).indices
    # Whole rows by one index are copied several times faster than by `gather`.
    start = blocks.shape[1] * torch.arange(queries, device=scores.device).unsqueeze(1)
    candidates = blocks.view(-1, BLOCK).index_select(0, (start + chosen).flatten())
    position = candidates.view(queries, -1).topk(k, dim=1, largest=largest, sorted=False).indices
    return chosen.gather(1, position // BLOCK) * BLOCK + position % BLOCK


def top_k_softmax(similarity: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Softmax over the `k` best elements of each query: weights and indices, (Q, min(k, N)).

    The library's softmax subtracts the maximum, so very negative similarities do not underflow
    to NaN as they do in the published code. Fewer than `k` elements: all of them are kept.
    """
    index = top_k(similarity, k)
    return similarity.gather(1, index).softmax(dim=1), index


class Search:
    """Looks Q queries up among N elements: `scores` of some of the queries, then `best` of those.

    Elements of the slice `favoured` get `bonus` nats more. Exact in float32, or, `selects_in_half`,
    twice as fast on CPUs that multiply bfloat16: then similarities in bfloat16 choose the elements
    and float32 weighs the chosen ones, so that an error can only swap elements near the last place.
    """

    def __init__(
        self,
        memory: tuple[Tensor, Tensor, Tensor],
        query: tuple[Tensor, Tensor | None],
        favoured: slice = slice(0),
        bonus: float = 0.0,
        *,
        selects_in_half: bool = False,
    ) -> None:
        """memory: key (N, C), shrinkage (N, 1) and their `memory_rows`; query: key (Q, C) and
        selection (Q, C), None for STCN's affinity."""
        key, shrinkage, rows = memory
        self._elements = len(rows)
        self._rows = F.pad(rows, (0, 0, 0, -len(rows) % BLOCK))
        self._query = query_rows(*query)
        self._favoured, self._bonus = favoured, bonus
        self._half: tuple[Tensor, Tensor] | None = None
        # Without selection similarities lack a term, and may be above 0.
        has_selection = query[1] is not None
        if selects_in_half and has_selection and len(self._rows) >= _BLOCKWISE_FROM:
            # Keys move so that those of the queries lie round 0, which changes no similarity but
            # makes the terms small that nearly cancel. One more column brings all below 0.
            centre = query[0].float().mean(dim=0)
            extra = rows.new_full((len(rows), 1), -bonus)
            extra[favoured] = 0.0
            half_rows = torch.cat([memory_rows(key - centre, shrinkage), extra], dim=1)
            half_query = query_rows(query[0] - centre, query[1])
            self._half = (
                F.pad(half_rows, (0, 0, 0, -len(rows) % BLOCK)).bfloat16(),
                F.pad(half_query, (0, 1), value=1.0).bfloat16(),
            )

    def scores(self, queries: slice) -> Tensor:
        """(some of Q, N and a few more), for `best` only."""
        if self._half is None:
            scores = similarity(self._rows, self._query[queries])
            if self._bonus:
                scores[:, self._favoured] += self._bonus
            scores[:, self._elements :] = -torch.inf
            return scores
        memory, query = self._half
        scores = (query[queries] @ memory.T).clamp_(max=-1e-30)
        scores[:, self._elements :] = -torch.inf
        # The bits of negative numbers are ordered the other way round, as integers, which are
        # compared several times faster.
        return scores.view(torch.int16)

    def best(
        self, scores: Tensor, queries: slice, k: int, eligible: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Weights and indices, (some of Q, k), of the `k` most similar elements; eligible (N,)
        bool: those that may be chosen, at least k."""
        if eligible is not None:
            ineligible = F.pad(~eligible, (0, scores.shape[1] - self._elements), value=True)
            is_half = self._half is not None
            scores = scores.masked_fill(ineligible, _WORST_BITS if is_half else -torch.inf)
        k = min(k, self._elements)
        if self._half is None:
            return top_k_softmax(scores, k)
        index = top_k(scores, k, largest=False)
        rows = self._rows.index_select(0, index.flatten()).view(*index.shape, -1)
        exact = (rows * self._query[queries].unsqueeze(1)).sum(dim=2)
        if self._bonus:
            is_favoured = (index >= self._favoured.start) & (index < self._favoured.stop)
            exact += self._bonus * is_favoured
        return exact.softmax(dim=1), index

    def nearest(self, weights: Tensor, index: Tensor, queries: slice) -> Tensor:
        """(some of Q,) similarity, in nats and without the bonus, of the element that weighs most
        among those of `best`."""
        chosen = index.gather(1, weights.argmax(dim=1, keepdim=True))[:, 0]
        return (self._rows[chosen] * self._query[queries]).sum(dim=1)


_WORST_BITS = -128  # of minus infinity in bfloat16
