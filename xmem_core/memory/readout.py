"""Similarity, top-k softmax, readout, prototype values: pure functions over memory elements.

Elements and query positions come as rows: N elements, Q queries, C key channels. The anisotropic
L2 similarity (XMem, equation 2) of element n and query p,

    S(p, n) = -(s_n / sqrt(C)) * sum_c e_pc (k_nc - q_pc)^2,

expands to one matrix product of rows with 2C + 1 entries, which is how it is computed here.
"""

import math

import torch
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


# Two-stage selection only pays when there are far more elements than candidates.
_BLOCK = 64
_BLOCKWISE_FROM = 4096


def top_k(similarity: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` largest of each row and where they are: (Q, N) -> two (Q, min(k, N)).

    A row's k largest all lie in the k blocks with the largest maxima, since each such block
    holds at least one of them or ties; so only those blocks are searched.
    """
    elements = similarity.shape[1]
    k = min(k, elements)
    if elements < max(_BLOCKWISE_FROM, 4 * k * _BLOCK):
        best, index = similarity.topk(k, dim=1, sorted=False)
        return best, index
    whole = elements - elements % _BLOCK
    blocks = similarity[:, :whole].unflatten(1, (-1, _BLOCK))  # (Q, N / 64, 64)
    chosen = blocks.amax(dim=2).topk(k, dim=1, sorted=False).indices  # (Q, k)
    candidates = blocks.gather(1, chosen.unsqueeze(2).expand(-1, -1, _BLOCK)).flatten(1)
    tail = similarity[:, whole:]  # fewer than 64: searched whole
    best, position = torch.cat([candidates, tail], dim=1).topk(k, dim=1, sorted=False)
    block = chosen.gather(1, (position // _BLOCK).clamp(max=k - 1))
    index = torch.where(
        position < k * _BLOCK,
        block * _BLOCK + position % _BLOCK,
        whole + position - k * _BLOCK,
    )
    return best, index


def top_k_softmax(similarity: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Softmax over the `k` best elements of each query: weights and indices, (Q, min(k, N)).

    The library's softmax subtracts the maximum, so very negative similarities do not underflow
    to NaN as they do in the published code. Fewer than `k` elements: all of them are kept.
    """
    best, index = top_k(similarity, k)
    return best.softmax(dim=1), index
