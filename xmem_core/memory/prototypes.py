"""Distilling working memory into a few prototypes (XMem, section 3.3)."""

import torch
from torch import Tensor

from xmem_core.memory.readout import memory_rows, query_rows, similarity
from xmem_core.memory.store import Elements


def distil(
    candidates: Elements, has_value: dict[int, Tensor], usage: Tensor, count: int
) -> tuple[Elements, dict[int, Tensor]]:
    """The `count` most used candidates, each with the values of all that resemble it.

    A prototype keeps its candidate's key. Its value and shrinkage are potentiated: averaged over
    all candidates, weighted by a full softmax of their similarity to it, so that what is thrown
    away still leaves a trace. has_value: by object id, (N,) bool; an object's average runs over
    the candidates that have a value of it, and only prototypes among those get one.
    usage: (N,). Returns the prototypes and, by object id, which of them have a value.
    """
    chosen = usage.topk(min(count, len(candidates))).indices
    assert candidates.selection is not None  # candidates come from working memory
    scores = similarity(
        memory_rows(candidates.key, candidates.shrinkage),
        query_rows(candidates.key[chosen], candidates.selection[chosen]),
    )  # (P, N)
    values: dict[int, Tensor] = {}
    prototype_has_value: dict[int, Tensor] = {}
    for object_id, rows in candidates.values.items():
        present = has_value[object_id]
        kept = present[chosen]
        weights = scores.masked_fill(~present, -torch.inf).softmax(dim=1)
        # Rows that may not be used are set to zero, so that they are the same on every machine.
        potentiated = torch.where(kept.unsqueeze(1), weights @ rows.float(), 0.0)
        values[object_id] = potentiated.to(rows.dtype)
        prototype_has_value[object_id] = kept
    prototypes = Elements(
        key=candidates.key[chosen],
        shrinkage=scores.softmax(dim=1) @ candidates.shrinkage,
        selection=None,
        values=values,
    )
    return prototypes, prototype_has_value
