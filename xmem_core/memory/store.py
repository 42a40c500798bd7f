"""Distilling working memory into a few prototypes (XMem, section 3.3)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from xmem_core.memory.readout import memory_rows, query_rows, similarity

_INTEGER_COLUMNS: Final = {"frame": torch.int32}  # the others are float32


@dataclass(frozen=True, slots=True)
class Elements:
    """N elements on their way into a memory, as rows.

    `values` holds the objects that were known when these elements were made; an object that is
    absent from it has nothing to read here.
    """

    key: Tensor  # (N, C_key) float32
    shrinkage: Tensor  # (N, 1) float32
    selection: Tensor | None  # (N, C_key) float32; prototypes and STCN's elements have none
    values: Mapping[int, Tensor]  # by object id, (N, C_value)
    frames: Tensor  # (N,) int32, of which frame each is; -1: not known

    def __len__(self) -> int:
        return self.key.shape[0]


class GrowingRows:
    """Rows that are appended in place. Capacity doubles, so each row is copied once on average."""

    def __init__(self, rows: Tensor) -> None:
        """rows: (N, C), copied; they give the width, type and device."""
        self._buffer = rows.clone(memory_format=torch.contiguous_format)
        self._length = len(rows)

    @property
    def rows(self) -> Tensor:
        return self._buffer[: self._length]

    def append(self, rows: Tensor) -> None:
        end = self._length + rows.shape[0]
        if end > self._buffer.shape[0]:
            grown = self._buffer.new_empty(
                max(end, 2 * self._buffer.shape[0]), *self._buffer.shape[1:]
            )
            grown[: self._length] = self.rows
            self._buffer = grown
        self._buffer[self._length : end] = rows
        self._length = end

    def append_zeros(self, count: int) -> None:
        self.append(self._buffer.new_zeros(count, *self._buffer.shape[1:]))

    def keep(self, index: Tensor) -> None:
        """Keeps only the rows of `index` (M,), in its order."""
        kept = self.rows[index]
        self._buffer[: kept.shape[0]] = kept
        self._length = kept.shape[0]


class MemoryStore:
    """Elements with values per object and with usage counts.

    Objects come and go: one that is first seen late has no value in the elements before it, and
    `has_value` says which. Its readout must leave those out, or it is paired with keys of frames
    it was never in.
    """

    def __init__(self) -> None:
        self._shared: dict[str, GrowingRows] = {}
        self._values: dict[int, GrowingRows] = {}
        self._has_value: dict[int, GrowingRows] = {}

    def __len__(self) -> int:
        return self._shared["key"].rows.shape[0] if self._shared else 0

    def __getitem__(self, name: str) -> Tensor:
        """Shared columns, (N, ...): key, shrinkage, selection, rows, use, life, recent, frame."""
        return self._shared[name].rows

    @property
    def objects(self) -> tuple[int, ...]:
        return tuple(self._values)

    def values(self, object_id: int) -> Tensor:
        """(N, C_value); zeros where the object has no value."""
        return self._values[object_id].rows

    def has_value(self, object_id: int) -> Tensor:
        """(N,) bool."""
        if object_id in self._has_value:
            return self._has_value[object_id].rows
        device = self["key"].device if self._shared else None
        return torch.zeros(len(self), dtype=torch.bool, device=device)

    def append(self, elements: Elements) -> None:
        count, before = len(elements), len(self)
        columns = {
            "key": elements.key,
            "shrinkage": elements.shrinkage,
            "rows": memory_rows(elements.key, elements.shrinkage),
            "use": torch.zeros_like(elements.shrinkage[:, 0]),
            # Not zero: usage is use / life, also before the first query.
            "life": torch.full_like(elements.shrinkage[:, 0], 1e-7),
            "recent": torch.zeros_like(elements.shrinkage[:, 0]),
            "frame": elements.frames,
        }
        if elements.selection is not None:
            columns["selection"] = elements.selection
        for name, column in columns.items():
            if name in self._shared:
                self._shared[name].append(column)
            else:
                self._shared[name] = GrowingRows(column)
        for object_id, values in elements.values.items():
            if object_id not in self._values:
                self._values[object_id] = GrowingRows(values.new_zeros(before, values.shape[1]))
                absent = torch.zeros(before, dtype=torch.bool, device=values.device)
                self._has_value[object_id] = GrowingRows(absent)
            self._values[object_id].append(values)
            self._has_value[object_id].append(
                torch.ones(count, dtype=torch.bool, device=values.device)
            )
        for object_id in set(self._values) - set(elements.values):
            self._values[object_id].append_zeros(count)
            self._has_value[object_id].append_zeros(count)

    def mark_values(self, object_id: int, has_value: Tensor) -> None:
        """Says which elements really hold a value of the object: (N,) bool."""
        self._has_value[object_id].rows.copy_(has_value)

    def count_use(self, weights: Tensor, eligible: Tensor) -> None:
        """Adds one query's attention: weights (N,) summed over its positions; eligible (N,) bool,
        the elements that could have been chosen."""
        self["use"].add_(weights)
        self["life"].add_(eligible)
        self["recent"].add_(weights)

    def fade(self, share: float) -> None:
        """What was used before counts so much less among what was used recently."""
        self["recent"].mul_(share)

    def usage(self) -> Tensor:
        """(N,) attention received per query since the element was made (XMem, section 3.3)."""
        return self["use"] / self["life"]

    def elements(self, start: int, stop: int) -> Elements:
        """Copies of elements `start` up to `stop`."""
        selection = self._shared.get("selection")
        return Elements(
            key=self["key"][start:stop].clone(),
            shrinkage=self["shrinkage"][start:stop].clone(),
            selection=None if selection is None else selection.rows[start:stop].clone(),
            values={
                object_id: rows.rows[start:stop].clone()
                for object_id, rows in self._values.items()
                if bool(self._has_value[object_id].rows[start:stop].any())
            },
            frames=self["frame"][start:stop].clone(),
        )

    def keep(self, index: Tensor) -> None:
        """Keeps only the elements of `index` (M,), in its order."""
        for column in (*self._shared.values(), *self._values.values(), *self._has_value.values()):
            column.keep(index)

    def drop_range(self, start: int, stop: int) -> None:
        index = torch.arange(len(self), device=self["key"].device)
        self.keep(torch.cat([index[:start], index[stop:]]))

    def take_use(self, other: "MemoryStore") -> None:
        """Of the frames that another store holds as well, its counts of use."""
        if not len(self) or not len(other):
            return
        for frame in set(other["frame"].unique().tolist()) & set(self["frame"].unique().tolist()):
            here, there = self["frame"] == frame, other["frame"] == frame
            if int(here.sum()) == int(there.sum()):
                for name in ("use", "life", "recent"):
                    self[name][here] = other[name][there]

    def drop_frames(self, frames: Collection[int]) -> None:
        """Takes out the elements of these frames."""
        if len(self):
            gone = torch.tensor(sorted(frames), dtype=torch.int32, device=self["frame"].device)
            self.keep((~torch.isin(self["frame"], gone)).nonzero()[:, 0])

    def keep_most_used(self, count: int) -> None:
        """Keeps exactly `count` elements (or all, if there are fewer), in their order.

        Ties are broken, not dropped: many prototypes have never been used.
        """
        if count < len(self):
            self.keep(self.usage().topk(count).indices.sort().values)

    def delete_object(self, object_id: int) -> None:
        self._values.pop(object_id, None)
        self._has_value.pop(object_id, None)

    def state(self) -> dict[str, Tensor]:
        """Copies of everything, by name, for saving; `from_state` is its inverse."""
        state = {f"shared.{name}": column.rows.clone() for name, column in self._shared.items()}
        for object_id in self._values:
            state[f"value.{object_id}"] = self.values(object_id).clone()
            state[f"has_value.{object_id}"] = self.has_value(object_id).clone()
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> "MemoryStore":
        """ValueError for what no `state` gave."""
        store = cls()
        for full_name, tensor in state.items():
            kind, name = full_name.split(".", 1)
            rows = GrowingRows(tensor)
            if kind == "shared" and tensor.dtype == _INTEGER_COLUMNS.get(name, torch.float32):
                store._shared[name] = rows
            elif kind == "value" and tensor.is_floating_point():
                store._values[int(name)] = rows
            elif kind == "has_value" and tensor.dtype is torch.bool:
                store._has_value[int(name)] = rows
            else:
                raise ValueError(f"a memory has no {full_name} of {tensor.dtype}")
        if store._shared and "frame" not in store._shared:  # saved by an earlier program
            unused = torch.zeros_like(store["use"])
            for name, column in (("recent", unused), ("frame", unused.to(torch.int32) - 1)):
                store._shared[name] = GrowingRows(column)
        columns = (*store._shared.values(), *store._values.values(), *store._has_value.values())
        if len({len(column.rows) for column in columns}) > 1:
            raise ValueError("a memory's columns differ in length")
        if store._values.keys() != store._has_value.keys():
            raise ValueError("a memory has values of other objects than it says")
        return store


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
    selection = candidates.selection
    scores = similarity(
        memory_rows(candidates.key, candidates.shrinkage),
        query_rows(candidates.key[chosen], None if selection is None else selection[chosen]),
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
        frames=candidates.frames[chosen],
    )
    return prototypes, prototype_has_value
