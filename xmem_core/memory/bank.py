"""What is kept in permanent, working and long-term memory, what moves when, and the readout."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from xmem_core.config import MemoryConfig, MemoryPart, RememberedFrame
from xmem_core.memory.readout import Search
from xmem_core.memory.store import Elements, MemoryStore, distil

# Queries are looked up in blocks, so that the (queries, elements) similarity stays this small
# also at 1080p, where all at once it would be 3 GB.
_SIMILARITY_BYTES = 128 * 2**20
_FADE: Final = 0.9  # with every read: what was used ten reads ago counts a third


class MemoryBank:
    """Long-term, permanent and working memory of one tracker, read as one.

    Elements are ordered long-term, permanent, working, recent. The permanent part depends only on
    which frames are in it, not on the order in which they came. Recent memory is one frame that
    is gone when the next comes; without it and with a bonus of 0 this is XMem's memory.
    """

    def __init__(
        self, config: MemoryConfig, confirmed_bonus: float = 0.0, *, selects_in_half: bool = False
    ) -> None:
        """confirmed_bonus: nats added to the similarity of permanent elements. selects_in_half:
        see `Search`."""
        self.config = config
        self.confirmed_bonus = confirmed_bonus
        self.selects_in_half = selects_in_half
        self.long_term = MemoryStore()
        self.permanent = MemoryStore()
        self.working = MemoryStore()
        self.recent = MemoryStore()
        self._permanent_frames: dict[int, Elements] = {}
        # (2, Q) of the latest read: similarity of the nearest element, in nats, and the share of
        # the readout that comes from permanent memory. None before the first.
        self.match: Tensor | None = None
        self._positions = 1  # of the latest read

    # Permanent memory

    @property
    def permanent_frames(self) -> tuple[int, ...]:
        return tuple(sorted(self._permanent_frames))

    def permanent_elements(self, frame: int) -> Elements:
        return self._permanent_frames[frame]

    def keep_for_ever(self, frame: int, elements: Elements) -> None:
        """Adds the elements of `frame`, or replaces them."""
        self._permanent_frames[frame] = elements
        self._rebuild_permanent()

    def forget_frame(self, frame: int) -> None:
        """Takes `frame` out, exactly: the rest is as if it had never been there. KeyError if it
        is not in permanent memory."""
        del self._permanent_frames[frame]
        self._rebuild_permanent()

    def _rebuild_permanent(self) -> None:
        old, self.permanent = self.permanent, MemoryStore()
        for frame in self.permanent_frames:
            self.permanent.append(self._permanent_frames[frame])
        self.permanent.take_use(old)

    # Working and long-term memory

    def append(self, elements: Elements) -> None:
        """Adds one tracked frame to working memory, and distils if that makes it full. Recent
        memory, now older than that, is emptied."""
        self.recent = MemoryStore()
        self.working.append(elements)
        config, per_frame = self.config, len(elements)
        frames = len(self.working) // per_frame + bool(self._permanent_frames)
        if not config.has_long_term or frames < config.max_working_frames:
            return
        newest = config.min_working_frames - bool(self._permanent_frames)
        distilled = len(self.working) - newest * per_frame
        room = config.max_long_term - config.prototypes
        self.long_term.keep_most_used(room)
        candidates = self.working.elements(0, distilled)
        has_value = {i: self.working.has_value(i)[:distilled] for i in candidates.values}
        usage = self.working.usage()[:distilled]
        prototypes, kept = distil(candidates, has_value, usage, config.prototypes)
        self.long_term.append(prototypes)
        for object_id, present in kept.items():
            mask = self.long_term.has_value(object_id).clone()
            mask[len(mask) - len(prototypes) :] = present
            self.long_term.mark_values(object_id, mask)
        self.working.drop_range(0, distilled)

    def replace_recent(self, elements: Elements | None) -> None:
        """Makes one tracked frame the recent memory, in place of the one before; None for none."""
        self.recent = MemoryStore()
        if elements is not None:
            self.recent.append(elements)

    def evict(self, frames: Collection[int]) -> None:
        """Takes tracked frames out of working, recent and long-term memory. What others' prototypes
        have averaged of them stays."""
        for store in (self.working, self.recent, self.long_term):
            store.drop_frames(frames)

    def remembered(self) -> list[RememberedFrame]:
        """Every frame of every part, in order of frames within each; recent memory counts as
        working memory."""
        parts: tuple[tuple[MemoryPart, tuple[MemoryStore, ...]], ...] = (
            ("permanent", (self.permanent,)),
            ("working", (self.working, self.recent)),
            ("long_term", (self.long_term,)),
        )
        total = max(1e-9, sum(float(s["recent"].sum()) for s in self._stores() if len(s)))
        found = []
        for part, stores in parts:
            sums: dict[int, list[float]] = {}
            for store in stores:
                if not len(store):
                    continue
                columns = torch.stack(
                    [torch.ones_like(store["recent"]), store["recent"], store.usage()]
                )
                frames, place = store["frame"].unique(return_inverse=True)
                summed = columns.new_zeros(3, len(frames)).index_add_(1, place, columns)
                for frame, row in zip(frames.tolist(), summed.T.tolist(), strict=True):
                    before = sums.get(frame, [0.0, 0.0, 0.0])
                    sums[frame] = [a + b for a, b in zip(before, row, strict=True)]
            for frame, (count, recent, use) in sorted(sums.items()):
                average = min(1.0, use / self._positions)
                found.append(RememberedFrame(frame, part, round(count), recent / total, average))
        return found

    @property
    def element_count(self) -> int:
        """How many elements are read from."""
        return sum(len(store) for store in self._stores())

    @property
    def run_objects(self) -> set[int]:
        """Objects that working, long-term or recent memory knows."""
        return {*self.working.objects, *self.long_term.objects, *self.recent.objects}

    def forget_run(self) -> None:
        """Empties working, long-term and recent memory; permanent memory stays."""
        self.long_term, self.working, self.recent = MemoryStore(), MemoryStore(), MemoryStore()

    def delete_object(self, object_id: int) -> None:
        """Drops the object's values everywhere; keys and the other objects stay as they are."""
        for store in (self.long_term, self.working, self.recent):
            store.delete_object(object_id)
        for frame, one in self._permanent_frames.items():
            values = {i: v for i, v in one.values.items() if i != object_id}
            self._permanent_frames[frame] = replace(one, values=values)
        self._rebuild_permanent()

    # Readout

    def read(
        self, key: Tensor, selection: Tensor | None, objects: Sequence[int], channels: int
    ) -> Tensor:
        """What memory says of `objects` at each query position, and counts the use.

        key, selection: (Q, C_key); objects: K ids; channels: C_value.
        Returns (K, C_value, Q). An object without any value reads zeros.
        """
        stores = [store for store in self._stores() if len(store)]
        readout = key.new_zeros(len(objects), channels, key.shape[0])
        self.match = None
        if not stores:
            return readout
        self._positions = len(key)
        search = self._search(stores, key, selection)
        groups = _groups(stores, objects)
        elements = sum(len(store) for store in stores)
        use = [torch.zeros(elements, device=key.device) for _ in groups]
        blocks = max(1, math.ceil(len(key) * 4 * elements / _SIMILARITY_BYTES))
        block = max(1, math.ceil(len(key) / blocks))
        permanent = slice(len(self.long_term), len(self.long_term) + len(self.permanent))
        match = key.new_full((2, len(key)), -torch.inf, dtype=torch.float32)
        for start in range(0, len(key), block):
            some = slice(start, start + block)
            scores = search.scores(some)
            for (eligible, members), group_use in zip(groups, use, strict=True):
                count = self.config.top_k
                if eligible is not None:
                    count = min(count, int(eligible.sum()))
                weights, index = search.best(scores, some, count, eligible)
                group_use.index_add_(0, index.flatten(), weights.flatten())
                is_given = (index >= permanent.start) & (index < permanent.stop)
                own = search.nearest(weights, index, some), (weights * is_given).sum(dim=1)
                torch.maximum(match[:, some], torch.stack(own), out=match[:, some])
                for object_id in members:
                    rows = _weighted_rows(stores, object_id, weights, index, channels)
                    readout[objects.index(object_id), :, some] = rows.T
        self._count_use(stores, groups, use)
        self.match = match if groups else None
        return readout

    def _stores(self) -> tuple[MemoryStore, ...]:
        return self.long_term, self.permanent, self.working, self.recent

    def _search(self, stores: list[MemoryStore], key: Tensor, selection: Tensor | None) -> Search:
        def joined(name: str) -> Tensor:
            return torch.cat([store[name] for store in stores])

        start = len(self.long_term)
        return Search(
            (joined("key"), joined("shrinkage"), joined("rows")),
            (key, selection),
            slice(start, start + len(self.permanent)),
            self.confirmed_bonus,
            selects_in_half=self.selects_in_half,
        )

    @staticmethod
    def _count_use(
        stores: list[MemoryStore], groups: list[tuple[Tensor | None, list[int]]], use: list[Tensor]
    ) -> None:
        for store in stores:
            store.fade(_FADE)
        for (eligible, _), group_use in zip(groups, use, strict=True):
            start = 0
            for store in stores:
                stop = start + len(store)
                could = torch.ones_like(group_use) if eligible is None else eligible
                store.count_use(group_use[start:stop], could[start:stop])
                start = stop

    # Saving

    def run_state(self) -> dict[str, Tensor]:
        """Working, long-term and recent memory, by name, and what tells the permanent frames
        again."""
        parts = {"working": self.working, "long_term": self.long_term, "recent": self.recent}
        state = {"permanent": self._permanent_signature()}
        for part, store in parts.items():
            state |= {f"{part}.{name}": tensor for name, tensor in store.state().items()}
        return state

    def _permanent_signature(self) -> Tensor:
        """(frames, 3) float64 on the CPU: the frame, and means of its keys and values."""
        rows = []
        for frame in self.permanent_frames:
            one = self._permanent_frames[frame]
            value = [float(values.float().mean()) for values in one.values.values()]
            rows.append([float(frame), float(one.key.mean()), sum(value)])
        return torch.tensor(rows, dtype=torch.float64).reshape(-1, 3)

    def restore_run(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `run_state`, onto the same permanent frames. ValueError for others, or the
        same seen by another network."""
        if "permanent" in state:
            then, now = state["permanent"].cpu(), self._permanent_signature()
            is_alike = then.dtype == now.dtype and then.shape == now.shape
            if not is_alike or not torch.allclose(then, now, rtol=0.02, atol=1e-3):
                raise ValueError("what is memorised is not what the run was made with")

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}

        self.working = MemoryStore.from_state(part("working."))
        self.long_term = MemoryStore.from_state(part("long_term."))
        self.recent = MemoryStore.from_state(part("recent."))


def _groups(
    stores: list[MemoryStore], objects: Sequence[int]
) -> list[tuple[Tensor | None, list[int]]]:
    """Objects that have values in the same elements share one softmax.

    Returns (eligible elements (N,) bool or None for all, object ids); objects without any value
    are in no group.
    """
    groups: list[tuple[Tensor, list[int]]] = []
    for object_id in objects:
        present = torch.cat([store.has_value(object_id) for store in stores])
        for eligible, members in groups:
            if torch.equal(eligible, present):
                members.append(object_id)
                break
        else:
            if bool(present.any()):
                groups.append((present, [object_id]))
    return [(None if bool(e.all()) else e, members) for e, members in groups]


def _weighted_rows(
    stores: list[MemoryStore], object_id: int, weights: Tensor, index: Tensor, channels: int
) -> Tensor:
    """Sum of the chosen elements' values: weights and index (Q, k) -> (Q, C_value).

    Only k values a query are touched; the dense product over all elements is 40 times the work.
    """
    total = weights.new_zeros(index.shape[0], channels)
    start = 0
    for store in stores:
        stop = start + len(store)
        if object_id in store.objects:
            table = store.values(object_id)
            inside = (index >= start) & (index < stop)
            total += F.embedding_bag(
                (index - start).clamp(0, len(store) - 1),
                table,
                per_sample_weights=(weights * inside).to(table.dtype),
                mode="sum",
            )
        start = stop
    return total
