"""The network at work on one device: precision, timing, and as many objects at a time as fit."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor

from xmem_core.arrays import Frame, Window
from xmem_core.device import StageTimes, autocast, free_memory_bytes, is_out_of_memory
from xmem_core.network.xmem import XMem, others_of
from xmem_core.pictures import EncodedFrame, PictureSize, check_frame, normalise, pad, resized

# More at a time is no faster without a GPU: 43 objects in one go took the time of eleven goes of
# four, and 8 GB.
_MOST_OBJECTS_ON_CPU = 4


class Engine:
    """Calls a network for one frame and any number of objects. It remembers nothing.

    Objects are positions here, K of them; their sensory state comes and goes as a tensor
    (1, K, C_hidden, h, w), None for a network without one. Results do not depend on
    `objects_per_chunk`; None works it out from the memory that is free.
    """

    def __init__(self, network: XMem) -> None:
        self.network = network
        self.device = network.device
        self.times = StageTimes(self.device)
        self.objects_per_chunk: int | None = None

    def encode(
        self,
        frames: Sequence[Frame],
        shorter_side: int | None,
        windows: Sequence[Window] | None = None,
    ) -> list[EncodedFrame]:
        """Keys and features of frames of one size, in one batch.

        windows: the part of each that is seen, all of one size; None: everything. Pictures are made
        smaller on the CPU as bytes, so that little has to travel to a GPU. ValueError if a frame is
        not (H, W, 3) uint8 or has not the size of the first.
        """
        for frame in frames:
            check_frame(frame)
            if frame.shape != frames[0].shape:
                raise ValueError(
                    f"every frame must be {frames[0].shape} as the first, got {frame.shape}"
                )
        height, width, _ = frames[0].shape
        seen: Sequence[Window | None] = windows or [None] * len(frames)
        small, sizes = [], []
        with self.times.measure("key"), self._autocast():
            for frame, window in zip(frames, seen, strict=True):
                size = PictureSize.of(height, width, shorter_side, window)
                part = frame if window is None else frame[window.slices]
                # Not `from_numpy`: it warns about the read-only arrays that a frame cache hands
                # out. And torch takes no negative strides, which `bgr[..., ::-1]` has.
                picture = torch.tensor(np.ascontiguousarray(part)).permute(2, 0, 1)
                small.append(resized(picture, size.internal).to(self.device, non_blocking=True))
                sizes.append(size)
            pictures = pad(normalise(torch.stack(small).float()), sizes[0].padding)
            pictures = pictures.contiguous(memory_format=torch.channels_last)
            features = self.network.encode_key(pictures)
        self.times.note_work("key", pictures[:, 0].numel())
        return [
            EncodedFrame(size, pictures[i : i + 1], features.of_picture(i))
            for i, size in enumerate(sizes)
        ]

    def decode(
        self, encoded: EncodedFrame, readout: Tensor, hidden: Tensor | None, *, updates_hidden: bool
    ) -> tuple[Tensor, Tensor | None]:
        """readout (K, C_value, h, w) -> logits (K, H, W) of each object by itself, hidden."""

        def decode(start: int, stop: int) -> tuple[Tensor, Tensor | None]:
            with self.times.measure("decode"), self._autocast():
                logits, new_hidden = self.network.decode(
                    encoded.features,
                    readout[start:stop].unsqueeze(0),
                    None if hidden is None else hidden[:, start:stop],
                    updates_hidden=updates_hidden,
                )
            self.times.note_work("decode", (stop - start) * encoded.picture[0, 0].numel())
            return logits[0].float(), new_hidden

        return self._in_chunks(len(readout), encoded, decode)

    def encode_value(
        self, encoded: EncodedFrame, masks: Tensor, hidden: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """masks (K, H, W) at padded internal size -> value (K, C_value, h, w), hidden."""
        batched = masks.unsqueeze(0)
        others = others_of(batched)  # of all objects, before they are taken apart

        def encode(start: int, stop: int) -> tuple[Tensor, Tensor | None]:
            with self.times.measure("value"), self._autocast():
                value, new_hidden = self.network.encode_value(
                    encoded.picture,
                    encoded.features.feature16,
                    None if hidden is None else hidden[:, start:stop],
                    batched[:, start:stop],
                    others=others[:, start:stop],
                )
            self.times.note_work("value", (stop - start) * encoded.picture[0, 0].numel())
            return value[0], new_hidden

        return self._in_chunks(len(masks), encoded, encode)

    def refresh_hidden(self, value: Tensor, hidden: Tensor | None) -> Tensor | None:
        """value (K, C_value, h, w) -> the sensory state after seeing it."""
        with self._autocast():
            return self.network.refresh_hidden(value.unsqueeze(0), hidden)

    def _autocast(self) -> AbstractContextManager[object]:
        return autocast(self.device, self.network.half_precision)

    def _in_chunks(
        self,
        objects: int,
        encoded: EncodedFrame,
        run: Callable[[int, int], tuple[Tensor, Tensor | None]],
    ) -> tuple[Tensor, Tensor | None]:
        """Joins what `run(start, stop)` gives over all objects."""
        chunk = self.objects_per_chunk or self._objects_that_fit(encoded)
        results: list[Tensor] = []
        hiddens: list[Tensor] = []
        start = 0
        while start < objects:
            try:
                result, hidden = run(start, min(start + chunk, objects))
            except (RuntimeError, MemoryError) as error:
                if chunk == 1 or not is_out_of_memory(error):
                    raise
                # Other programs may have taken memory since it was measured.
                chunk = max(1, chunk // 2)
                continue
            results.append(result)
            if hidden is not None:
                hiddens.append(hidden)
            start += chunk
        return torch.cat(results), torch.cat(hiddens, dim=1) if hiddens else None

    def _objects_that_fit(self, encoded: EncodedFrame) -> int:
        config = self.network.config
        width = max(config.decoder8_channels, config.decoder4_channels)
        pixels4 = encoded.features.feature4[0, 0].numel()
        bytes_per_object = 4 * pixels4 * 10 * width  # ten maps of the widest layer at stride 4
        fitting = max(1, free_memory_bytes(self.device) // 2 // bytes_per_object)
        return fitting if self.device.type == "cuda" else min(fitting, _MOST_OBJECTS_ON_CPU)
