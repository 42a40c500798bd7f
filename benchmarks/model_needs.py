"""What each model needs on a CPU: memory while it works, and processor time of one core.

    python -m benchmarks.model_needs [--models small XMem …] [--frames 16] [--json]

The first picture of the sample (1280x720), one object, in a fresh process for each model, with one
thread. A tracker follows the sample for so many frames at an internal size of 480; a click network
with its default refinement gets four clicks, the scribble network four strokes. A published model
that is not here is measured with random weights of its layout: memory and a tracker's time do not
depend on what the weights are; the search that refines a click does, so such a time is no more than
an order of magnitude. Processor time grows where other programs share the core.
"""

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import torch

from interaction.annotation.types import Click, Stroke
from interaction.clicks.fbrs import ClickNetwork
from interaction.clicks.published import (
    DeepLabClickNetwork,
    ScribbleNetwork,
    ScribbleSegmenter,
    load_click_network,
    load_scribble_network,
)
from interaction.clicks.segmenter import ClickSegmenter, suited_click_config
from interaction.engines import EngineSettings, Segmenter
from interaction.errors import ModelError
from interaction.models import Model, find_model, read_model_list
from interaction.tracking.benchmark import boxes
from interaction.video.video import open_video
from resources import sample_folder
from xmem_core import MemoryConfig, Tracker, XMem, best_device, load_xmem, prepare
from xmem_core.arrays import Frame
from xmem_core.device import keep_freed_memory, peak_memory_bytes
from xmem_core.network.config import NetworkConfig

_INTERNAL_SIZE = 480
_PUBLISHED = {"fbrs": (50, 128), "fbrs-resnet34": (34, 128), "fbrs-resnet101": (101, 256)}
# The published configurations, as far as they differ from the first.
_SAM2: dict[str, dict[str, Any]] = {
    "sam2.1-tiny": {},
    "sam2.1-small": {"blocks_per_stage": [1, 2, 11, 2], "global_attention_blocks": [7, 10, 13]},
    "sam2.1-base-plus": {
        "hidden_size": 112,
        "num_attention_heads": 2,
        "embed_dim_per_stage": [112, 224, 448, 896],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "blocks_per_stage": [2, 3, 16, 3],
        "global_attention_blocks": [12, 16, 20],
        "window_positional_embedding_background_size": [14, 14],
    },
    "sam2.1-large": {
        "hidden_size": 144,
        "num_attention_heads": 2,
        "embed_dim_per_stage": [144, 288, 576, 1152],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "blocks_per_stage": [2, 6, 36, 4],
        "window_size_per_stage": [8, 4, 16, 8],
        "global_attention_blocks": [23, 33, 43],
    },
}


@dataclass(frozen=True, slots=True)
class Needs:
    """Of one model; seconds of processor time for a frame, a click or a stroke."""

    model: str
    has_own_weights: bool
    memory_bytes: int
    seconds: float  # median
    first_seconds: float
    longest_seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_needs", description=__doc__)
    models = {model.name: model for model in read_model_list()}
    parser.add_argument("--models", nargs="+", default=list(models), choices=list(models))
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.models:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            needs = pool.submit(_measure, models[name], arguments.frames).result()
        if arguments.json:
            print(json.dumps(asdict(needs)), flush=True)
        else:
            print(
                f"{name}: {needs.memory_bytes / 1e9:.2f} GB, {needs.seconds:.2f} s, the first "
                f"{needs.first_seconds:.2f} s, at most {needs.longest_seconds:.2f} s"
                + ("" if needs.has_own_weights else " (random weights)"),
                flush=True,
            )


def _measure(model: Model, frames: int) -> Needs:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_freed_memory()
    path = _path_of(model)
    with open_video(sample_folder() / "big-buck-bunny.mp4") as video:
        pictures = [np.array(video[index]) for index in range(frames)]
    if model.kind == "tracker":
        seconds = _track(model.name, path, pictures)
    elif model.kind == "click":
        seconds = _click(_segmenter(model.name, path), pictures[0])
    else:
        seconds = _scribble(path, pictures[0])
    peak_bytes = peak_memory_bytes(best_device("cpu"))
    return Needs(
        model.name, path is not None, peak_bytes, median(seconds), seconds[0], max(seconds)
    )


def _path_of(model: Model) -> Path | None:
    """None if it is not here."""
    try:
        return find_model(model.name)
    except ModelError:
        return None


def _track(name: str, path: Path | None, pictures: list[Frame]) -> list[float]:
    tracker = _tracker(name, path)
    height, width, _ = pictures[0].shape
    tracker.memorize(0, pictures[0], boxes(height, width, 1))
    tracker.begin()
    tracker.revisit(0, pictures[0]).labels()
    seconds = []
    for picture in pictures[1:]:
        began = time.process_time()
        tracker.track(picture).labels()
        seconds.append(time.process_time() - began)
    return seconds


def _tracker(name: str, path: Path | None) -> Tracker:
    if name == "Cutie":
        from interaction.tracking.cutie import CutieTracker, cutie_network, load_cutie

        cutie = load_cutie(path, best_device("cpu")) if path else cutie_network("resnet50")
        return cast("Tracker", CutieTracker(cutie, MemoryConfig(), _INTERNAL_SIZE))
    if path is not None:
        network = load_xmem(path)
    else:
        config = NetworkConfig(hidden_channels=0 if name.endswith("no-sensory") else 64)
        network = XMem(config).eval().requires_grad_(False)
    prepared = prepare(network, best_device("cpu"))
    return Tracker(prepared, MemoryConfig(), internal_size=_INTERNAL_SIZE)


def _segmenter(name: str, path: Path | None) -> Segmenter:
    network: ClickNetwork
    if name in _SAM2:
        from transformers import Sam2Config, Sam2Model

        from interaction.clicks.sam2 import Sam2Segmenter, load_sam2

        if path is not None:
            return load_sam2(path, best_device("cpu"))
        backbone = {"model_type": "sam2_hiera_det_model", **_SAM2[name]}
        widths = backbone.get("embed_dim_per_stage", [96, 192, 384, 768])
        vision = {"backbone_config": backbone, "backbone_channel_list": widths[::-1]}
        return Sam2Segmenter(Sam2Model(Sam2Config(vision_config=vision)))
    if path is not None:
        network = load_click_network(path)
    else:
        depth, width = _PUBLISHED[name]
        network = DeepLabClickNetwork(depth, width).eval().requires_grad_(False)  # type: ignore[arg-type]
    return ClickSegmenter(network, suited_click_config(EngineSettings().clicks, network))


def _click(segmenter: Segmenter, picture: Frame) -> list[float]:
    height, width = picture.shape[:2]
    places = ((0.45, 0.5, True), (0.55, 0.5, True), (0.3, 0.3, False), (0.5, 0.6, True))
    clicks = [Click(width * x, height * y, is_positive) for x, y, is_positive in places]
    start = np.zeros((height, width), np.uint8)
    seconds = []
    for count in range(1, len(clicks) + 1):
        began = time.process_time()
        segmenter.segment(picture, start, 1, clicks[:count], frame_key=("sample", 0))
        seconds.append(time.process_time() - began)
    return seconds


def _scribble(path: Path | None, picture: Frame) -> list[float]:
    network = load_scribble_network(path) if path else ScribbleNetwork().eval()
    segmenter = ScribbleSegmenter(network.requires_grad_(False))
    height, width = picture.shape[:2]
    stroke = Stroke(((0.4 * width, 0.5 * height), (0.6 * width, 0.5 * height)), 3)
    seconds = []
    for _ in range(4):
        began = time.process_time()
        segmenter.segment(picture, np.zeros((height, width), np.uint8), 1, [stroke])
        seconds.append(time.process_time() - began)
    return seconds


if __name__ == "__main__":
    main()
