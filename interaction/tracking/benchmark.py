"""How fast a model is on this machine, and how much of the machine it uses.

Speed is given beside what the same machine reaches in a large matrix product in the same
process, because machines differ and one machine differs from hour to hour.
"""

import time
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from interaction.video.video import open_video
from resources import sample_folder
from xmem_core import MemoryConfig, Tracker, XMem, best_device, load_xmem, prepare
from xmem_core.arrays import Frame, Labels
from xmem_core.device import keep_freed_memory, peak_memory_bytes

_PRODUCT_SIDE = 4096


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage of the tracker's step, per call: once a frame, `value` once a memory frame."""

    calls: int
    milliseconds: float
    gigaflop: float  # arithmetic the network defines, as direct convolutions
    share_of_ceiling: float  # that arithmetic per second, over the matrix product's


@dataclass(frozen=True, slots=True)
class BenchmarkFigures:
    """One run of the tracker over the sample clip."""

    objects: int
    frames: int
    frames_per_second: float
    peak_memory_bytes: int
    ceiling_gigaflops: float  # what a 4096-wide float32 matrix product reaches, in this run
    stages: dict[str, StageFigures]

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def run_benchmark(
    model: Path, device: str, objects: list[int], frames: int, internal_size: int
) -> Generator[BenchmarkFigures, None, None]:
    """Measures each number of objects in a process of its own, so that memory peaks are theirs."""
    for count in objects:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            yield pool.submit(_measure, model, device, count, frames, internal_size).result()


def _measure(
    model: Path, device_name: str, objects: int, frames: int, internal_size: int
) -> BenchmarkFigures:
    keep_freed_memory()
    device = best_device(device_name)
    network = load_xmem(model)
    pictures = _sample_frames(frames)
    mask = boxes(pictures[0].shape[0], pictures[0].shape[1], objects)
    # Every memory frame runs the value encoder, so that stage is measured in the rhythm of use.
    tracker = Tracker(prepare(network, device), MemoryConfig(), internal_size=internal_size)
    tracker.memorize(0, pictures[0], mask)
    _track(tracker, pictures[: min(frames, 1 + MemoryConfig().memorize_every)])  # warm up
    tracker.times.forget()
    ceiling = matrix_product_gigaflops(device)
    start = time.perf_counter()
    _track(tracker, pictures)
    seconds = time.perf_counter() - start
    ceiling = max(ceiling, matrix_product_gigaflops(device))
    peak_bytes = peak_memory_bytes(device)
    stage_seconds, stage_calls = tracker.times.seconds(), tracker.times.calls()
    arithmetic = stage_gigaflop(network, tracker, pictures[0], mask, objects)
    return BenchmarkFigures(
        objects=objects,
        frames=frames,
        frames_per_second=frames / seconds,
        peak_memory_bytes=peak_bytes,
        ceiling_gigaflops=ceiling,
        stages={
            name: StageFigures(
                calls=stage_calls[name],
                milliseconds=1000 * total / stage_calls[name],
                gigaflop=arithmetic[name],
                share_of_ceiling=arithmetic[name] * stage_calls[name] / total / ceiling,
            )
            for name, total in stage_seconds.items()
        },
    )


def _sample_frames(count: int) -> list[Frame]:
    """The sample clip, forwards and backwards in turn for as long as it takes."""
    with open_video(sample_folder() / "big-buck-bunny.mp4") as video:
        there_and_back = [*range(len(video)), *range(len(video) - 2, 0, -1)]
        return [video[there_and_back[i % len(there_and_back)]] for i in range(count)]


def boxes(height: int, width: int, objects: int) -> Labels:
    """A mask (height, width) with `objects` upright boxes side by side."""
    labels = np.zeros((height, width), dtype=np.uint8)
    for position in range(objects):
        left = position * width // objects
        right = left + max(1, 2 * width // (3 * objects))
        labels[height // 4 : 3 * height // 4, left:right] = position + 1
    return labels


def _track(tracker: Tracker, pictures: list[Frame]) -> None:
    tracker.begin()
    tracker.revisit(0, pictures[0]).labels()
    for picture in pictures[1:]:
        tracker.track(picture).labels()


@torch.inference_mode()
def matrix_product_gigaflops(
    device: torch.device, dtype: torch.dtype = torch.float32, side: int = _PRODUCT_SIDE
) -> float:
    """The best of three products of square matrices, `side` wide."""
    left = torch.randn(side, side, device=device, dtype=dtype)
    best_seconds = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        product = left @ left
        float(product[0, 0])  # waits for a device that works behind the program's back
        best_seconds = min(best_seconds, time.perf_counter() - start)
    return 2e-9 * side**3 / best_seconds


@torch.inference_mode()
def stage_gigaflop(
    network: XMem, tracker: Tracker, frame: Frame, mask: Labels, objects: int
) -> dict[str, float]:
    """Multiplications and additions of one call of each stage, in 10^9, counted on the network as
    it was loaded: folding and fast convolutions do less for the same result."""
    plain = Tracker(network, tracker.config, internal_size=tracker.internal_size)

    def counted(work: Callable[[], object]) -> float:
        with FlopCounterMode(display=False) as counter:
            work()
        return counter.get_total_flops() / 1e9

    [encoded] = plain.encode([frame])
    features, hidden = encoded.features, network.initial_hidden(objects, encoded.features.key)
    grid = features.key.shape[-2:]
    readout = features.key.new_zeros(1, objects, network.config.value_channels, *grid)
    masks = features.key.new_zeros(1, objects, *encoded.picture.shape[-2:])
    positions = grid[0] * grid[1]
    elements = sum(tracker.memory_elements)
    lookups = min(tracker.config.top_k, elements) * network.config.value_channels * objects
    return {
        "key": counted(lambda: plain.encode([frame])),
        "decode": counted(lambda: network.decode(features, readout, hidden)),
        "value": counted(
            lambda: network.encode_value(encoded.picture, features.feature16, hidden, masks)
        ),
        # The similarity to every element, then the chosen elements' values.
        "readout": 2e-9
        * positions
        * (elements * (2 * network.config.all_key_channels + 1) + lookups),
    }
