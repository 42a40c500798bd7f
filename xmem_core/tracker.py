"""The tracker: remembers masks of some frames and finds the objects again in others.

A run goes over the frames of a video in order, forwards or backwards alike:

    tracker = Tracker(prepare(load_xmem("XMem.pth"), best_device()))
    tracker.memorize(0, frames[0], mask)
    tracker.begin()
    masks = [tracker.revisit(0, frames[0]).labels()]
    masks += [tracker.track(frame).labels() for frame in frames[1:]]
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xmem_core.arrays import Frame, Labels, Window
from xmem_core.closeup import Closeup
from xmem_core.config import MemoryConfig, RememberedFrame
from xmem_core.device import StageTimes
from xmem_core.engine import Engine
from xmem_core.memory.bank import MemoryBank
from xmem_core.memory.store import Elements
from xmem_core.network.xmem import XMem
from xmem_core.pictures import (
    EncodedFrame,
    PictureSize,
    Prediction,
    memorised_objects,
    one_hot,
    pad,
    soft_aggregate,
    unpad,
)


def readout_work(positions: float, elements: float) -> float:
    """How much a readout has to do: what is proportional to positions alone takes as long as this
    many elements."""
    return positions * (elements + 4000)


@dataclass(frozen=True, slots=True)
class _ConfirmedFrame:
    labels: Labels
    objects: tuple[int, ...]  # those whose presence or absence the mask states
    window: Window | None  # the part of the frame that was memorised


class Tracker:
    """XMem's loop (section 3.1 of the paper) over one video.

    Objects are known by their id, 1 to 255, on this side, and by position inside. Masks and
    probabilities are at source size; the network works at `internal_size`, the length in pixels
    of the shorter side, enlarged at most twofold. Every frame must have the size of the first.

    No method changes a global mode of torch, so trackers may live on any thread (one at a time
    for each tracker).
    """

    # It says which frames it remembers, and can leave them out; other models' trackers may not.
    knows_frames = True

    def __init__(
        self, network: XMem, config: MemoryConfig | None = None, *, internal_size: int | None = 480
    ) -> None:
        """network: on its device, made fast by `prepare`. internal_size: None for the source's."""
        if internal_size is not None and internal_size < 16:
            raise ValueError(f"internal_size must be at least 16 pixels, got {internal_size}")
        self.engine = Engine(network)
        self.internal_size = internal_size
        self.bank = MemoryBank(
            config or MemoryConfig(),
            network.config.confirmed_bonus,
            selects_in_half=network.half_precision is torch.bfloat16,
        )
        self.engine.objects_per_chunk = self.config.objects_per_chunk
        self._confirmed: dict[int, _ConfirmedFrame] = {}
        self._hidden: dict[int, Tensor] = {}  # (C_hidden, h, w) by object
        self._since_memory = 0  # frames tracked since the newest memory frame
        self._since_deep_update = 0  # and since the newest deep update of the sensory state
        self._size: PictureSize | None = None
        # The part of each frame that is looked at; to be set before anything is remembered.
        self.closeup: Closeup | None = None

    @property
    def device(self) -> torch.device:
        return self.engine.device

    @property
    def times(self) -> StageTimes:
        """Where the time has gone so far."""
        return self.engine.times

    # What is known

    @property
    def config(self) -> MemoryConfig:
        return self.bank.config

    @torch.inference_mode()
    def configure(self, config: MemoryConfig) -> None:
        """Use other limits from the next frame on, also within a run.

        What is remembered stays; long-term memory is cut down to its new limit at once, working
        memory by its next frame. ValueError for another `affinity` or `has_sensory`: what is
        remembered was made for those.
        """
        now = self.config
        if (config.affinity, config.has_sensory) != (now.affinity, now.has_sensory):
            raise ValueError("affinity and has_sensory cannot change while a tracker lives")
        self.bank.config = config
        self.bank.long_term.keep_most_used(config.max_long_term)
        self.engine.objects_per_chunk = config.objects_per_chunk

    @property
    def objects(self) -> tuple[int, ...]:
        """Every object that has been memorised or tracked, in order of id."""
        confirmed = (frame.objects for frame in self._confirmed.values())
        return tuple(sorted(set(self._hidden).union(self.bank.run_objects, *confirmed)))

    @property
    def memory_elements(self) -> tuple[int, int, int]:
        """How many there are in permanent, working and long-term memory."""
        return len(self.bank.permanent), len(self.bank.working), len(self.bank.long_term)

    def remembered(self) -> list[RememberedFrame]:
        """The frames in memory and what each gives; costs a fraction of a millisecond."""
        return self.bank.remembered()

    @property
    def confirmed_frames(self) -> tuple[int, ...]:
        return tuple(sorted(self._confirmed))

    # Permanent memory

    @torch.inference_mode()
    def memorize(
        self,
        index: int,
        frame: Frame | EncodedFrame,
        labels: Labels,
        objects: Sequence[int] | None = None,
    ) -> None:
        """Keeps frame `index` and its confirmed mask permanently, or replaces them.

        frame (H, W, 3) uint8 RGB; labels (H, W) uint8 object ids. objects: the ids whose
        presence or absence the mask states; by default those in it and those already known.
        As many frames as wanted, from anywhere in the video, in any order, before or during a run.
        ValueError if sizes differ or an object in the mask is not among `objects`.
        """
        if self.closeup is not None and not isinstance(frame, EncodedFrame):
            window = self.closeup.window_of(labels)
            [frame] = self.engine.encode([frame], self.internal_size, [window])
        encoded = self._encoded(frame)
        size = encoded.size
        ids = memorised_objects(labels, size.source, self.objects, objects)
        masks = self._internal_masks(one_hot(labels, ids).to(self.device), size)
        value, _ = self.engine.encode_value(encoded, soft_aggregate(masks)[1:], None)
        self._confirmed[index] = _ConfirmedFrame(labels.copy(), ids, size.window)
        self.bank.keep_for_ever(index, self._elements(encoded, value, ids, index))

    @torch.inference_mode()
    def forget(self, index: int) -> None:
        """Takes a confirmed frame out, exactly as if it had never been memorised. KeyError if it
        was not."""
        del self._confirmed[index]
        self.bank.forget_frame(index)
        if not self.objects:
            self._size = None

    @torch.inference_mode()
    def delete_object(self, object_id: int) -> None:
        """Forgets an object in every memory; its id may be used again."""
        self.bank.delete_object(object_id)
        self._hidden.pop(object_id, None)
        for index, frame in list(self._confirmed.items()):
            rest = tuple(i for i in frame.objects if i != object_id)
            if rest:
                labels = np.where(frame.labels == object_id, 0, frame.labels).astype(np.uint8)
                self._confirmed[index] = _ConfirmedFrame(labels, rest, frame.window)
            else:
                self.forget(index)

    # A run

    def begin(self) -> None:
        """Starts a run: sensory, working and long-term memory start afresh; the confirmed frames
        stay."""
        self.bank.forget_run()
        if self.closeup is not None:
            self.closeup.begin()
        self._hidden.clear()
        self._since_memory = self._since_deep_update = 0

    @torch.inference_mode()
    def encode(
        self, frames: Sequence[Frame], indices: Sequence[int] | None = None
    ) -> list[EncodedFrame]:
        """Keys and features of several frames in one batch, for `track` to use later. With a
        close-up, of what it is at now, and of confirmed ones among `indices` as memorised."""
        if self.closeup is None or not frames:
            return self.engine.encode(frames, self.internal_size)
        now = self.closeup.window(*frames[0].shape[:2])
        confirmed = [self._confirmed.get(index) for index in indices or [-1] * len(frames)]
        windows = [now if one is None else one.window or now for one in confirmed]
        return self.engine.encode(frames, self.internal_size, windows)

    @torch.inference_mode()
    def track(
        self,
        frame: Frame | EncodedFrame,
        objects: Sequence[int] | None = None,
        *,
        is_last: bool = False,
        absent: Collection[int] = (),
        remembers: bool = False,
        index: int = -1,
        memorizes: bool = True,
    ) -> Prediction:
        """The masks of the next frame of the run.

        objects: the ids to look for, by default all that are known. is_last: no frame follows,
        so nothing is remembered. absent: those of them that are known to have no pixel here: that
        is the answer, and what memory keeps of the frame. remembers: whether its turn has come or
        not. index: by which memory knows it. memorizes: False keeps it out of memory; the next that
        may be memorised is, if a turn came meanwhile. ValueError if nothing has been memorised.
        """
        encoded = self._encoded(frame)
        ids = self._wanted(objects)
        is_due = remembers or self._since_memory + 1 >= self.config.memorize_every
        is_memory = not is_last and is_due and memorizes
        every = self.config.deep_update_every
        self._since_deep_update += 1
        updates_hidden = not is_last and (every is not None or not is_memory)
        probabilities = self._predict(encoded, ids, updates_hidden=updates_hidden, absent=absent)
        if is_memory:
            is_deep = every is None or self._since_deep_update >= every
            self._remember(encoded, probabilities[1:], ids, index, is_deep=is_deep)
        else:
            self._since_memory += 1
            if not is_last and memorizes:
                self._refresh_recent(encoded, probabilities[1:], ids, index)
        prediction = self._prediction(encoded, probabilities, ids)
        if self.closeup is not None:
            self.closeup.follow(prediction)
        return prediction

    @torch.inference_mode()
    def revisit(
        self, index: int, frame: Frame | EncodedFrame, objects: Sequence[int] | None = None
    ) -> Prediction:
        """The run comes to a confirmed frame: its mask is the answer, and the sensory state is
        refreshed from it.

        Objects that are not given on the frame are tracked where its mask is empty. KeyError if the
        frame is not memorised.
        """
        confirmed = self._confirmed[index]
        encoded = self._encoded(frame)
        ids = self._wanted(objects)
        rest = tuple(i for i in ids if i not in confirmed.objects)
        height, width = encoded.size.source
        full = torch.zeros(1 + len(ids), height, width, device=self.device)
        truth = one_hot(confirmed.labels, tuple(i for i in ids if i not in rest)).to(self.device)
        if rest:
            predicted = self._predict(encoded, rest, updates_hidden=True)
            predicted = self._prediction(encoded, predicted, rest).probabilities()
            is_free = torch.from_numpy(confirmed.labels == 0).to(self.device)
            full[[1 + ids.index(i) for i in rest]] = predicted[1:] * is_free
        full[[1 + ids.index(i) for i in ids if i not in rest]] = truth
        full[0] = 1 - full[1:].sum(dim=0)
        values = self.bank.permanent_elements(index).values
        grid = encoded.features.key.shape[-2:]
        known = tuple(i for i in confirmed.objects if i in ids)
        if known:
            value = torch.stack([values[i].T.unflatten(1, grid) for i in known])
            hidden = self.engine.refresh_hidden(value, self._hidden_of(known, encoded))
            self._keep_hidden(known, hidden)
        self._since_memory = self._since_deep_update = 0
        self.bank.replace_recent(None)
        if self.closeup is not None:
            self.closeup.look_at(confirmed.labels)
        return Prediction(ids, full, encoded.size.source)

    @torch.inference_mode()
    def adopt(
        self, frame: Frame | EncodedFrame, masks: Tensor, objects: Sequence[int], *, index: int = -1
    ) -> Prediction:
        """The run goes on from masks made elsewhere, not confirmed by the annotator: they enter
        working memory as tracked ones do, and may be distilled later.

        masks: (K, H, W) in [0, 1] at source size, in the order of `objects`. index: by which memory
        knows the frame.
        """
        encoded = self._encoded(frame)
        ids = tuple(objects)
        if masks.shape != (len(ids), *encoded.size.source):
            raise ValueError(
                f"masks must have shape {(len(ids), *encoded.size.source)}, got "
                f"{tuple(masks.shape)}"
            )
        # Looking the frame up counts as use of what it resembles, as on any other frame.
        self._read(encoded, self._wanted(None) if self.objects else ids)
        probabilities = soft_aggregate(
            self._internal_masks(masks.to(self.device, torch.float32), encoded.size)
        )
        self._remember(encoded, probabilities[1:], ids, index)
        prediction = self._prediction(encoded, probabilities, ids)
        if self.closeup is not None:
            self.closeup.follow(prediction)
        return prediction

    @torch.inference_mode()
    def evict(self, frames: Collection[int]) -> None:
        """Takes tracked frames out of working and long-term memory, at once; what was averaged of
        them into other frames' prototypes stays. Confirmed ones are for `forget`."""
        self.bank.evict(frames)

    # Saving a run, so that it can go on in another process

    def run_state(self) -> dict[str, Tensor]:
        """All that the run has made, by name. Confirmed frames are not in it."""
        state = self.bank.run_state()
        state |= {f"hidden.{object_id}": hidden for object_id, hidden in self._hidden.items()}
        state["since_memory"] = torch.tensor(self._since_memory)
        state["since_deep_update"] = torch.tensor(self._since_deep_update)
        place = None if self.closeup is None else self.closeup.state()
        if place is not None:
            state["closeup"] = torch.tensor(place, dtype=torch.float64)
        return state

    @torch.inference_mode()
    def restore_run(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `run_state`, once the same frames have been memorised again. ValueError or
        LookupError, and the tracker is of no further use, if no tracker of this network gave it."""
        self._check_shapes(state)
        on_device = {name: tensor.to(self.device) for name, tensor in state.items()}
        self.bank.restore_run(on_device)
        self._hidden = {
            int(name.removeprefix("hidden.")): hidden
            for name, hidden in on_device.items()
            if name.startswith("hidden.")
        }
        [self._since_memory] = map(int, state["since_memory"].reshape(-1).tolist())
        since_deep_update = state.get("since_deep_update", state["since_memory"])
        [self._since_deep_update] = map(int, since_deep_update.reshape(-1).tolist())
        if self.closeup is not None and "closeup" in state:
            self.closeup.restore(state["closeup"].tolist())

    def _check_shapes(self, state: Mapping[str, Tensor]) -> None:
        """ValueError if a tensor of a run's state is not as wide as the network's are."""
        config = self.engine.network.config
        key, value = config.all_key_channels, config.value_channels
        widths = {"key": (key,), "selection": (key,), "shrinkage": (1,), "rows": (2 * key + 1,)}
        for name, tensor in state.items():
            _, kind, column = (*name.split(".", 2), "", "")[:3]
            rest = {"shared": widths.get(column, ()), "value": (value,), "has_value": ()}.get(kind)
            if rest is not None and tuple(tensor.shape[1:]) != rest:
                raise ValueError(f"{name} is {tuple(tensor.shape)}, not rows of {rest}")
        hidden = [one for name, one in state.items() if name.startswith("hidden.")]
        shapes = {tuple(one.shape) for one in hidden}
        if len(shapes) > 1 or any(
            len(shape) != 3 or shape[0] != config.hidden_channels for shape in shapes
        ):
            raise ValueError("the sensory states are not of the network's shape")
        if not all(bool(one.isfinite().all()) for one in hidden):
            raise ValueError("the sensory states are not finite")

    # Parts of a step

    def _wanted(self, objects: Sequence[int] | None) -> tuple[int, ...]:
        ids = self.objects if objects is None else tuple(objects)
        if not ids:
            raise ValueError("no object to track: memorise a frame with a mask first")
        if len(set(ids)) < len(ids) or not all(1 <= i <= 255 for i in ids):
            raise ValueError(f"objects must be different ids from 1 to 255, got {list(ids)}")
        return ids

    def _encoded(self, frame: Frame | EncodedFrame) -> EncodedFrame:
        if not isinstance(frame, EncodedFrame):
            [frame] = self.encode([frame])
        # A size is only settled once something of it is remembered: see `_elements`.
        if self._size is not None and not frame.size.suits(self._size):
            raise ValueError(
                f"every frame must be {self._size.source} as the first, got {frame.size.source}"
            )
        return frame

    def _internal_masks(self, masks: Tensor, size: PictureSize) -> Tensor:
        return pad(size.to_internal(masks), size.padding)

    def _prediction(
        self, encoded: EncodedFrame, padded: Tensor, ids: tuple[int, ...]
    ) -> Prediction:
        """padded: (1 + K, H, W) at padded internal size, of what memory was asked last."""
        size, match = encoded.size, self.bank.match
        if match is not None:
            match = match.unflatten(1, encoded.features.key.shape[-2:])
        small = unpad(padded, size.padding)
        return Prediction(ids, small, size.source, match, size.window)

    def _read(self, encoded: EncodedFrame, ids: tuple[int, ...]) -> Tensor:
        """-> readout (K, C_value, h, w)."""
        key = encoded.features.key[0].flatten(1).T
        selection: Tensor | None = encoded.features.selection[0].flatten(1).T
        if self.config.affinity == "stcn":
            selection = None
        channels = self.engine.network.config.value_channels
        with self.times.measure("readout"):
            readout = self.bank.read(key, selection, ids, channels)
        self.times.note_work("readout", readout_work(len(key), self.bank.element_count))
        return readout.unflatten(2, encoded.features.key.shape[-2:])

    def _predict(
        self,
        encoded: EncodedFrame,
        ids: tuple[int, ...],
        *,
        updates_hidden: bool,
        absent: Collection[int] = (),
    ) -> Tensor:
        """-> aggregated probabilities (1 + K, H, W) at padded internal size."""
        logits, hidden = self.engine.decode(
            encoded,
            self._read(encoded, ids),
            self._hidden_of(ids, encoded),
            updates_hidden=updates_hidden,
        )
        self._keep_hidden(ids, hidden)
        masks = logits.sigmoid()
        channels = [index for index, one in enumerate(ids) if one in absent]
        if not channels:
            return soft_aggregate(masks)
        masks[channels] = 0
        probabilities = soft_aggregate(masks)
        above = [1 + index for index in channels]
        probabilities[0] += probabilities[above].sum(dim=0)  # what rounding left of them
        probabilities[above] = 0
        return probabilities

    def _remember(
        self,
        encoded: EncodedFrame,
        masks: Tensor,
        ids: tuple[int, ...],
        index: int,
        *,
        is_deep: bool = True,
    ) -> None:
        """Puts the frame into working memory. masks: (K, H, W) at padded internal size. is_deep:
        refresh the sensory state from its value."""
        hidden = self._hidden_of(ids, encoded) if is_deep else None
        value, hidden = self.engine.encode_value(encoded, masks, hidden)
        self._keep_hidden(ids, hidden)
        self.bank.append(self._elements(encoded, value, ids, index))
        self._since_memory = 0
        if is_deep:
            self._since_deep_update = 0

    def _refresh_recent(
        self, encoded: EncodedFrame, masks: Tensor, ids: tuple[int, ...], index: int
    ) -> None:
        """Makes the frame recent memory if its turn has come. The sensory state stays."""
        every = self.engine.network.config.recent_every
        if every and self._since_memory % every == 0:
            value, _ = self.engine.encode_value(encoded, masks, None)
            self.bank.replace_recent(self._elements(encoded, value, ids, index))

    def _elements(
        self, encoded: EncodedFrame, value: Tensor, ids: tuple[int, ...], index: int
    ) -> Elements:
        """What memory keeps of frame `index`: value (K, C_value, h, w), in the order of `ids`."""
        self._size = encoded.size
        features = encoded.features
        key, shrinkage, own = (
            part[0].flatten(1).T.float().contiguous()
            for part in (features.key, features.shrinkage, features.selection)
        )
        selection: Tensor | None = own
        rows = value.flatten(2).transpose(1, 2).contiguous()  # (K, N, C_value)
        values = dict(zip(ids, rows, strict=True))
        if self.config.affinity == "stcn":
            shrinkage, selection = torch.ones_like(shrinkage), None
        frames = torch.full_like(shrinkage[:, 0], index, dtype=torch.int32)
        return Elements(key, shrinkage, selection, values, frames)

    def _hidden_of(self, ids: tuple[int, ...], encoded: EncodedFrame) -> Tensor | None:
        """The objects' sensory state (1, K, C_hidden, h, w), zero for those not yet seen."""
        initial = self.engine.network.initial_hidden(1, encoded.features.key.float())
        if initial is None:
            return None
        # Without sensory memory nothing is kept, and all states are zero.
        return torch.stack([self._hidden.get(i, initial[0, 0]) for i in ids]).unsqueeze(0)

    def _keep_hidden(self, ids: tuple[int, ...], hidden: Tensor | None) -> None:
        if hidden is not None and self.config.has_sensory:
            self._hidden.update(zip(ids, hidden[0].float(), strict=True))
