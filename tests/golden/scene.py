"""A made-up network and a made-up clip whose numbers are recorded in `tracking.npz`.

Run as a program, this writes the recording anew: `python -m tests.golden.scene`. That is only
right when the engine is known to agree with the published implementation, which
`test_published_numbers.py` shows wherever the reference recordings are at hand.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from xmem_core import MemoryConfig, NetworkConfig, Tracker, XMem
from xmem_core.pictures import normalise, one_hot, soft_aggregate

RECORDING = Path(__file__).parent / "tracking.npz"
FRAMES = 17  # long-term memory is over its limit from frame 14 on
HEIGHT, WIDTH = 96, 120  # the width is no multiple of 16
CONFIG = MemoryConfig(
    memorize_every=2, min_working_frames=2, max_working_frames=4, prototypes=24, max_long_term=60
)


def formula_network() -> XMem:
    """The full-size network; every weight from a formula of its name."""
    with torch.device("meta"):
        network = XMem(NetworkConfig.published())
    state = {
        name: _formula_weight(name, tuple(t.shape)) for name, t in network.state_dict().items()
    }
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _formula_weight(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    if name.endswith("running_mean"):
        return torch.zeros(shape)
    if name.endswith("running_var"):
        return torch.ones(shape)
    if len(shape) == 1:
        is_norm_weight = name.endswith("weight")
        last_of_block = ".bn3." in name or ("value_encoder" in name and ".bn2." in name)
        return torch.full(shape, (0.3 if last_of_block else 1.0) if is_norm_weight else 0.0)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    noise = np.random.RandomState(seed).standard_normal(shape)
    gain = {"decoder.prediction.weight": 3.0, "key_encoder.key.weight": 0.6}.get(name, 1.0)
    if name.startswith("decoder.upsample") and ".skip.weight" in name and "refine" not in name:
        gain = 0.3
    scale = gain * np.sqrt(1.5 / np.prod(shape[1:]))
    return torch.from_numpy((noise * scale).astype(np.float32))


def frame(index: int) -> NDArray[np.uint8]:
    """(96, 120, 3): a striped disc and a checked square that move over a slow gradient."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    picture = np.stack([60 + x / 2, 90 + y / 2, 120 + 0 * x], axis=2)
    disc, square = _shapes(index)
    picture[disc] = np.stack([180 + 60 * np.sin((x + y) / 3), 40 + x, 60 + y], axis=2)[disc]
    checks = np.where((x // 4 + y // 4) % 2 == 0, 230.0, 30.0)
    picture[square] = np.stack([checks, checks, 200 - checks / 2], axis=2)[square]
    return picture.clip(0, 255).astype(np.uint8)


def labels() -> NDArray[np.uint8]:
    """The objects of frame 0: 3 the disc, 7 the square."""
    disc, square = _shapes(0)
    return np.where(disc, 3, np.where(square, 7, 0)).astype(np.uint8)


def _shapes(index: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disc = (x - 35 - 2 * index) ** 2 + (y - 40 - index) ** 2 < 22**2
    square = (abs(x - 90 + index) < 16) & (abs(y - 60) < 18) & ~disc
    return disc, square


@torch.inference_mode()
def parts(network: XMem) -> dict[str, Tensor]:
    """One step by hand: what each part of the network gives."""
    pictures = torch.stack([torch.from_numpy(frame(i)).permute(2, 0, 1) for i in (0, 1)]).float()
    padded = F.pad(normalise(pictures), (4, 4))
    features = network.encode_key(padded)
    first, second = features.of_picture(0), features.of_picture(1)
    masks = soft_aggregate(F.pad(one_hot(labels(), (3, 7)), (4, 4)))[None, 1:]
    hidden = network.initial_hidden(2, first.key)
    value, deep = network.encode_value(padded[:1], first.feature16, hidden, masks)
    logits, normal = network.decode(second, value, deep)
    assert deep is not None
    assert normal is not None
    return {
        "key": second.key,
        "shrinkage": second.shrinkage,
        "selection": second.selection,
        "feature16": second.feature16,
        "feature8": second.feature8,
        "feature4": second.feature4,
        "value": value,
        "deep_hidden": deep,
        "logits": logits,
        "hidden": normal,
    }


def run(network: XMem) -> tuple[list[Tensor], list[tuple[int, int, int]]]:
    """The clip tracked: probabilities (3, 96, 120) and element counts, by frame."""
    tracker = Tracker(network, CONFIG, internal_size=None)
    tracker.memorize(0, frame(0), labels())
    tracker.begin()
    bank = tracker.bank
    probabilities, counts = [], []
    for index in range(FRAMES):
        prediction = tracker.revisit(0, frame(0)) if index == 0 else tracker.track(frame(index))
        probabilities.append(prediction.probabilities().clone())
        counts.append((len(bank.permanent), len(bank.working), len(bank.long_term)))
    return probabilities, counts


def thinned(tensor: Tensor) -> NDArray[np.float32]:
    """At most 3,000 entries, evenly spread."""
    flat = tensor.flatten()
    return flat[:: -(-len(flat) // 3000)].numpy().astype(np.float32)


def record() -> None:
    network = formula_network()
    recording: dict[str, NDArray[np.generic]] = {
        f"part_{name}": thinned(part) for name, part in parts(network).items()
    }
    probabilities, counts = run(network)
    for index, frame_probabilities in enumerate(probabilities):
        pooled = F.avg_pool2d(frame_probabilities[None], 4)[0]
        recording[f"low_{index:03d}"] = pooled.numpy().astype(np.float16)
    recording["counts"] = np.array(counts, dtype=np.int32)
    np.savez_compressed(RECORDING, **recording)  # type: ignore[arg-type]


if __name__ == "__main__":
    torch.set_num_threads(1)
    record()
