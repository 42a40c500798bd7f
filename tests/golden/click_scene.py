"""Made-up checkpoints in the published layouts, and a made-up picture with clicks and strokes.

Their numbers are recorded in `click_networks.npz`.

Run as a program, this writes the recording anew: `python -m tests.golden.click_scene`. That is
only right when the networks are known to agree with the published implementation, which
`test_published_click_numbers.py` shows wherever the reference recordings are at hand.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from interaction.annotation.types import Stroke
from interaction.clicks.fbrs import InsertionPoint
from interaction.clicks.published import (
    ScribbleSegmenter,
    load_click_network,
    load_scribble_network,
)
from tests.golden.scene import frame, labels, thinned

RECORDING: Final = Path(__file__).parent / "click_networks.npz"
NAMES: Final[dict[str, dict[str, list[int]]]] = json.loads(
    (Path(__file__).parent / "published_click_names.json").read_text("utf-8")
)
# Row, column, sign, in fractions of pixels as zooming makes them.
CLICKS: Final = ((40.3, 37.6, 1.0), (60.5, 90.0, 0.0), (50.0, 30.2, 1.0), (-1.0, -1.0, -1.0))
STROKES: Final = (
    Stroke(((25.0, 30.0), (40.0, 50.0)), 4.0),
    Stroke(((80.0, 20.0), (100.0, 25.0)), 4.0, is_positive=False),
)


def checkpoint(kind: str, folder: Path) -> Path:
    """A file like the published one; every weight from a formula of its name."""
    path = folder / f"{kind}.pth"
    torch.save({name: _weight(name, shape) for name, shape in NAMES[kind].items()}, path)
    return path


def cheap_checkpoint(kind: str, folder: Path) -> Path:
    """The same names and shapes, every entry a single number repeated without taking room."""
    path = folder / f"{kind}.pth"
    state = {name: _weight(name, []).expand(shape) for name, shape in NAMES[kind].items()}
    torch.save(state, path)
    return path


def _weight(name: str, shape: list[int]) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    if len(shape) < 2:
        is_scale = name.endswith(("weight", "running_var"))
        last_of_block = ".bn3." in name or ("layer" in name and ".bn2." in name)
        is_small = name.endswith("weight") and last_of_block
        return torch.full(shape, (0.3 if is_small else 1.0) if is_scale else 0.05)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    noise = np.random.RandomState(seed).standard_normal(shape)
    return torch.from_numpy((noise * np.sqrt(1.5 / np.prod(shape[1:]))).astype(np.float32))


def click_numbers(path: Path) -> dict[str, NDArray[np.float32]]:
    """What a click network makes of the scene, at each place where refinement may act."""
    network = load_click_network(path)
    picture = torch.from_numpy(frame(0)).permute(2, 0, 1)[None].float() / 255
    maps = network.click_maps(torch.tensor([CLICKS]), *picture.shape[2:])
    numbers = {"maps": thinned(maps)}
    with torch.inference_mode():
        features = network.picture_features(picture)
        for point in InsertionPoint:
            found = network.features(features, maps, maps[:, :1], point)
            numbers[f"features{point.value}"] = thinned(found[0])
            logits = network.logits(found, point, *picture.shape[2:])
            if "logits" in numbers:  # wherever it is cut, the network is the same
                np.testing.assert_array_equal(thinned(logits), numbers["logits"])
            numbers["logits"] = thinned(logits)
    return numbers


def scribble_numbers(path: Path) -> dict[str, NDArray[np.float32]]:
    """What the scribble network makes of it."""
    segmenter = ScribbleSegmenter(load_scribble_network(path))
    probability = segmenter.segment(frame(0), labels(), 3, STROKES)
    return {"probability": thinned(torch.from_numpy(probability))}


def record() -> None:
    recording: dict[str, NDArray[np.float32]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("fbrs_resnet50", "fbrs_resnet34"):
            for name, array in click_numbers(checkpoint(kind, Path(folder))).items():
                recording[f"{kind}_{name}"] = array
        for name, array in scribble_numbers(checkpoint("s2m", Path(folder))).items():
            recording[f"s2m_{name}"] = array
    np.savez_compressed(RECORDING, **recording)  # type: ignore[arg-type]


if __name__ == "__main__":
    torch.set_num_threads(1)
    record()
