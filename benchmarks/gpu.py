"""Speed of the published network on a device, beside a plain loop of the same network.

    python -m benchmarks.gpu [--objects 1 3 5] [--frames 60] [--size 480] [--output FILE.json]

The bundled clip with boxes as masks, random weights in the published layout (time does not depend
on the weights), in float32 and half precision. The plain loop follows the paper's text with whole
memories as tensors and a dense affinity, and stands in for the published program's loop; it runs
in the same process on the same frames. Stages are given with the share that they reach of a large
matrix product's rate: TF32 in float32 on CUDA, where the library's convolutions use it too.

--tiny rehearses everything on any device: a tiny network, 64 pixels, a few frames.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from interaction.tracking.benchmark import boxes, matrix_product_gigaflops, stage_gigaflop
from interaction.video.video import open_video
from resources import sample_folder
from xmem_core import MemoryConfig, NetworkConfig, Tracker, XMem, best_device, prepare
from xmem_core.arrays import Frame, Labels
from xmem_core.device import autocast, half_precision, peak_memory_bytes
from xmem_core.network.xmem import KeyFeatures
from xmem_core.pictures import PictureSize, normalise, one_hot, pad, soft_aggregate, unpad

_TINY = NetworkConfig(
    trunk="efficientnet_lite0",
    key_channels=16,
    value_channels=24,
    hidden_channels=8,
    decoder16_channels=16,
    decoder8_channels=16,
    decoder4_channels=8,
    sensory_channels=8,
    tolerates_bfloat16=True,
)
_WARM_UP_FRAMES = 7  # one memory frame among them


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the tracker's step, per call."""

    milliseconds: float
    share_of_matrix_product: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One number of objects in one precision."""

    precision: str
    objects: int
    frames_per_second: float
    plain_frames_per_second: float
    peak_memory_bytes: int
    plain_peak_memory_bytes: int
    matrix_product_gigaflops: float
    stages: dict[str, Stage]


class PlainLoop:
    """XMem for one video, written down as in the paper: https://arxiv.org/abs/2207.07115.

    Memories are (C, N) keys and (K, C, N) values that grow by concatenation; the affinity is
    dense; the first frame is never distilled. Long-term memory is not evicted: a benchmark is too
    short to fill it.
    """

    def __init__(
        self, network: XMem, config: MemoryConfig, dtype: torch.dtype | None, size: int | None
    ) -> None:
        self.network, self.config, self.dtype, self.size = network, config, dtype, size
        self.first: dict[str, Tensor] = {}
        self.working: dict[str, Tensor] = {}
        self.long_term: dict[str, Tensor] = {}
        self.hidden: Tensor | None = None
        self.done = 0

    @torch.inference_mode()
    def start(self, frame: Frame, labels: Labels, objects: Sequence[int]) -> None:
        """Remembers the first frame and its mask."""
        picture, features, size = self._encoded(frame)
        masks = one_hot(labels, tuple(objects)).to(picture.device)
        masks = soft_aggregate(pad(size.to_internal(masks), size.padding))[1:]
        self.hidden = self.network.initial_hidden(len(objects), features.key.float())
        self.first = self._element(picture, features, masks)

    @torch.inference_mode()
    def step(self, frame: Frame) -> Tensor:
        """-> probabilities (1 + K, H, W) at source size of the next frame."""
        self.done += 1
        is_memory = self.done % self.config.memorize_every == 0
        picture, features, size = self._encoded(frame)
        readout = self._readout(features)
        with autocast(self.network.device, self.dtype):
            logits, self.hidden = self.network.decode(
                features, readout[None], self.hidden, updates_hidden=not is_memory
            )
        probabilities = soft_aggregate(logits[0].float().sigmoid())
        if is_memory:
            self._remember(self._element(picture, features, probabilities[1:]))
        small = unpad(probabilities, size.padding)
        return F.interpolate(small[None], size.source, mode="bilinear")[0]

    def _encoded(self, frame: Frame) -> tuple[Tensor, KeyFeatures, PictureSize]:
        size = PictureSize.of(frame.shape[0], frame.shape[1], self.size)
        picture = size.to_internal(torch.tensor(frame).permute(2, 0, 1)).to(self.network.device)
        picture = pad(normalise(picture[None].float()), size.padding)
        with autocast(self.network.device, self.dtype):
            return picture, self.network.encode_key(picture), size

    def _element(self, picture: Tensor, features: KeyFeatures, masks: Tensor) -> dict[str, Tensor]:
        with autocast(self.network.device, self.dtype):
            value, self.hidden = self.network.encode_value(
                picture, features.feature16, self.hidden, masks[None]
            )
        key, shrinkage, selection = (
            part[0].flatten(1).float()
            for part in (features.key, features.shrinkage, features.selection)
        )
        use, life = torch.zeros_like(shrinkage[0]), torch.full_like(shrinkage[0], 1e-7)
        element = {"key": key, "shrinkage": shrinkage, "selection": selection}
        return {**element, "value": value[0].flatten(2), "use": use, "life": life}

    def _readout(self, features: KeyFeatures) -> Tensor:
        """-> (K, C_value, h, w); counts the use of working memory."""
        key, selection = (part[0].flatten(1).float() for part in (features.key, features.selection))
        stores = [one for one in (self.long_term, self.first, self.working) if one]
        memory_key = torch.cat([one["key"] for one in stores], dim=1)
        shrinkage = torch.cat([one["shrinkage"] for one in stores], dim=1)
        scores = similarity(memory_key, shrinkage, key, selection)
        best, index = scores.topk(min(self.config.top_k, len(scores)), dim=0)
        affinity = torch.zeros_like(scores).scatter_(0, index, best.softmax(dim=0))
        value = torch.cat([one["value"] for one in stores], dim=2)
        if self.working:
            count = self.working["use"].shape[0]
            self.working["use"] += affinity[-count:].sum(dim=1)
            self.working["life"] += 1
        return (value @ affinity.to(value.dtype)).unflatten(2, features.key.shape[-2:])

    def _remember(self, element: dict[str, Tensor]) -> None:
        self.working = joined(self.working, element)
        per_frame = element["key"].shape[1]
        frames = 1 + self.working["key"].shape[1] // per_frame
        if frames < self.config.max_working_frames:
            return
        kept = (self.config.min_working_frames - 1) * per_frame
        old = {name: part[..., :-kept] for name, part in self.working.items()}
        self.working = {name: part[..., -kept:] for name, part in self.working.items()}
        chosen = (old["use"] / old["life"]).topk(self.config.prototypes).indices
        key, selection = old["key"][:, chosen], old["selection"][:, chosen]
        weights = similarity(old["key"], old["shrinkage"], key, selection).softmax(dim=0)
        prototypes = {
            "key": key,
            "shrinkage": old["shrinkage"] @ weights,
            "value": (old["value"].float() @ weights).to(old["value"].dtype),
        }
        self.long_term = joined(self.long_term, prototypes)


def similarity(key: Tensor, shrinkage: Tensor, query: Tensor, selection: Tensor) -> Tensor:
    """Equation 2: keys (C, N), shrinkage (1, N), queries and selection (C, Q) -> (N, Q)."""
    squared = key.square().T @ selection
    mixed = 2 * key.T @ (query * selection)
    constant = (selection * query.square()).sum(dim=0, keepdim=True)
    return (mixed - squared - constant) * shrinkage.T / key.shape[0] ** 0.5


def joined(store: dict[str, Tensor], more: dict[str, Tensor]) -> dict[str, Tensor]:
    if not store:
        return more
    return {name: torch.cat([store[name], part], dim=-1) for name, part in more.items()}


def measure(
    network: XMem,
    device: torch.device,
    frames: Sequence[Frame],
    objects: int,
    *,
    is_half: bool,
    size: int,
    product_side: int,
) -> Figures:
    """Both loops over the same frames, one after the other."""
    mask = boxes(frames[0].shape[0], frames[0].shape[1], objects)
    prepared = prepare(network, device, allows_half_precision=is_half)
    dtype = prepared.half_precision
    tracker = Tracker(prepared, internal_size=size)
    tracker.memorize(0, frames[0], mask)
    product = _product(device, dtype, product_side)
    speed, peak = _timed(partial(_track, tracker), frames, device, tracker.times.forget)
    seconds, calls = tracker.times.seconds(), tracker.times.calls()
    arithmetic = stage_gigaflop(network, tracker, frames[0], mask, objects)
    product = max(product, _product(device, dtype, product_side))
    del tracker, prepared
    plain = copy.deepcopy(network).to(device)
    plain_speed, plain_peak = _timed(
        partial(_track_plainly, plain, dtype, size, mask), frames, device
    )
    return Figures(
        precision="float32" if dtype is None else str(dtype).removeprefix("torch."),
        objects=objects,
        frames_per_second=speed,
        plain_frames_per_second=plain_speed,
        peak_memory_bytes=peak,
        plain_peak_memory_bytes=plain_peak,
        matrix_product_gigaflops=product,
        stages={
            name: Stage(
                1000 * total / calls[name], arithmetic[name] * calls[name] / total / product
            )
            for name, total in seconds.items()
        },
    )


def _track(tracker: Tracker, frames: Sequence[Frame]) -> None:
    tracker.begin()
    tracker.revisit(0, frames[0]).labels()
    for frame in frames[1:]:
        tracker.track(frame).labels()


def _track_plainly(
    network: XMem, dtype: torch.dtype | None, size: int, mask: Labels, frames: Sequence[Frame]
) -> None:
    loop = PlainLoop(network, MemoryConfig(), dtype, size)
    loop.start(frames[0], mask, range(1, int(mask.max()) + 1))
    for frame in frames[1:]:
        loop.step(frame).argmax(dim=0).to(torch.uint8).cpu()


def _timed(
    run: Callable[[Sequence[Frame]], None],
    frames: Sequence[Frame],
    device: torch.device,
    begin: Callable[[], None] = lambda: None,
) -> tuple[float, int]:
    """Frames a second and the peak of memory, after a warm-up; `begin` is called between."""
    run(frames[:_WARM_UP_FRAMES])
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    begin()
    start = time.perf_counter()
    run(frames)  # every frame's labels come to the CPU, so nothing is still at work
    return len(frames) / (time.perf_counter() - start), peak_memory_bytes(device)


def _product(device: torch.device, dtype: torch.dtype | None, side: int) -> float:
    with _tf32_products():
        return matrix_product_gigaflops(device, dtype or torch.float32, side)


@contextmanager
def _tf32_products() -> Iterator[None]:
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    yield
    torch.backends.cuda.matmul.allow_tf32 = allowed


def sample_frames(count: int, height: int | None) -> list[Frame]:
    """The bundled clip, forwards and backwards in turn; height: every so many-th pixel of it."""
    with open_video(sample_folder() / "big-buck-bunny.mp4") as video:
        there_and_back = [*range(len(video)), *range(len(video) - 2, 0, -1)]
        step = 1 if height is None else max(1, video.height // height)
        return [
            video[there_and_back[i % len(there_and_back)]][::step, ::step].copy()
            for i in range(count)
        ]


def random_network(config: NetworkConfig) -> XMem:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return XMem(config).eval().requires_grad_(False)


def table(figures: Figures) -> str:
    stages = ", ".join(
        f"{name} {one.milliseconds:.2f} ms ({one.share_of_matrix_product:.0%})"
        for name, one in figures.stages.items()
    )
    ratio = figures.frames_per_second / figures.plain_frames_per_second
    return (
        f"{figures.precision}, {figures.objects} objects: "
        f"{figures.frames_per_second:.1f} frames/s, "
        f"plain loop {figures.plain_frames_per_second:.1f} ({ratio:.2f} times as fast)\n"
        f"    {stages}; matrix product {figures.matrix_product_gigaflops:.0f} GFLOP/s\n"
        f"    peak {figures.peak_memory_bytes / 1e9:.2f} GB, plain loop "
        f"{figures.plain_peak_memory_bytes / 1e9:.2f} GB"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--objects", nargs="+", type=int, default=[1, 3, 5])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", type=int, default=480, help="internal size in pixels")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, help="JSON, written anew after each measurement")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal; its figures say nothing")
    given = parser.parse_args(arguments)
    if given.tiny:
        given.frames, given.size, given.objects = min(given.frames, 8), 64, given.objects[:2]
    device = best_device(given.device)
    network = random_network(_TINY if given.tiny else NetworkConfig.published())
    frames = sample_frames(given.frames, 90 if given.tiny else None)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    measured: list[dict[str, object]] = []
    report = {"device": name, "torch": torch.__version__, "figures": measured}
    print(f"{name}, torch {torch.__version__}", flush=True)
    half = half_precision(device, tolerates_bfloat16=network.config.tolerates_bfloat16)
    for is_half in (False, True) if half is not None else (False,):
        for objects in given.objects:
            figures = measure(
                network,
                device,
                frames,
                objects,
                is_half=is_half,
                size=given.size,
                product_side=256 if given.tiny else 4096,
            )
            print(table(figures), flush=True)
            measured.append(asdict(figures))
            if given.output is not None:
                given.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
