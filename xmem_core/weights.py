"""Checkpoint file -> network: key renames, sizes read off the tensors, nothing executed.

Two layouts are read. The published system's `.pth` files keep their own names; the tables below
turn them into ours. Our own files are safetensors with the network's configuration in the header.
"""

import dataclasses
import hashlib
import json
import mmap
import pickle
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from xmem_core.messages import Message, UserError
from xmem_core.network.config import NetworkConfig
from xmem_core.network.xmem import XMem

# What torch.load raises for a damaged file, found by damaging files.
_DAMAGE: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # RecursionError too
    TypeError,
    ValueError,
    SafetensorError,  # from torch.load as well
    struct.error,
)


class CheckpointFileError(Exception):
    """Why a file holds no named tensors, as the end of a sentence about it."""


# Published networks have 250 MB in 720 entries; these limits leave room and refuse a small file
# that inflates to gigabytes.
MOST_WEIGHTS_BYTES: Final = 2**30
_MOST_ENTRIES: Final = 20_000
_MOST_PICKLE_BYTES: Final = 2**22  # names and shapes, without the numbers
_MOST_WIDTH: Final = 2**16  # of a layer, in a configuration


def check_weights_file(path: Path, most_bytes: int = MOST_WEIGHTS_BYTES) -> None:
    """Raises CheckpointFileError for what must not even be opened as weights: a pipe or a device,
    a file of more than `most_bytes`, and one that inflates to more than `MOST_WEIGHTS_BYTES`."""
    try:
        if not path.is_file():
            raise CheckpointFileError(
                Message("it is a folder")
                if path.is_dir()
                else Message("it is not a file")
                if path.exists()
                else Message("there is no such file")
            )
        if path.stat().st_size > most_bytes:
            raise CheckpointFileError(
                Message("it is larger than any network that this program knows")
            )
        with path.open("rb") as file:
            is_archive = file.read(4) == b"PK\3\4"
        if is_archive:
            _check_archive(path)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise CheckpointFileError(Message("it cannot be read ({reason})", reason=reason)) from None


def _check_archive(path: Path) -> None:
    too_large = Message("it inflates to more than any network that this program knows")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        # Before the table of contents is read: each of its entries takes half a kilobyte.
        position = count = 0
        while (position := data.find(b"PK\1\2", position) + 1) > 0:
            count += 1
            if count > _MOST_ENTRIES:
                raise CheckpointFileError(too_large)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (*_DAMAGE, zipfile.BadZipFile, NotImplementedError):
        raise CheckpointFileError(Message("it is damaged, cut short or not a checkpoint")) from None
    pickled = sum(entry.file_size for entry in entries if entry.filename.endswith(".pkl"))
    total = sum(entry.file_size for entry in entries)
    if total > MOST_WEIGHTS_BYTES or pickled > _MOST_PICKLE_BYTES:
        raise CheckpointFileError(too_large)


def read_named_tensors(path: Path) -> dict[str, Tensor]:
    """Every entry of the checkpoint, on the CPU. No code in the file is ever run.

    Raises CheckpointFileError.
    """
    check_weights_file(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointFileError(
            Message("it is not a plain list of weights, or it holds code, which is never run")
        ) from None
    except _DAMAGE:
        raise CheckpointFileError(Message("it is damaged, cut short or not a checkpoint")) from None
    if not isinstance(loaded, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in loaded.items()
    ):
        raise CheckpointFileError(Message("it holds something other than named weights"))
    # A single number can stand for any shape until it is converted.
    if sum(one.numel() * one.element_size() for one in loaded.values()) > MOST_WEIGHTS_BYTES:
        raise CheckpointFileError(
            Message("its weights are larger than those of any network known here")
        )
    return dict(loaded)


def read_own_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """`read_tensors`, as float32."""
    header, state = read_tensors(path)
    with _naming_damage(Message("it holds no plain numbers ({reason})")):
        return header, {name: tensor.float() for name, tensor in state.items()}


def read_header(path: Path) -> dict[str, str]:
    """Of a safetensors file of this program, whatever its size. CheckpointFileError."""
    with _naming_damage(_CUT_SHORT), safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def read_tensors(
    path: Path, most_bytes: int = MOST_WEIGHTS_BYTES
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and entries, on the CPU, of a safetensors file of this program.

    Raises CheckpointFileError.
    """
    check_weights_file(path, most_bytes)
    with _naming_damage(_CUT_SHORT), safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return dict(file.metadata() or {}), state


_CUT_SHORT: Final = Message("it is damaged or cut short ({reason})")


@contextmanager
def _naming_damage(text: Message) -> Iterator[None]:
    """Makes a CheckpointFileError with `text`, which has a field {reason}, of what a damaged file
    raises."""
    try:
        yield
    except _DAMAGE as error:
        raise CheckpointFileError(Message(text.template, reason=str(error)[:200])) from None


def check_weights(path: Path) -> None:
    """Reads a file of weights of any kind and drops them. Raises CheckpointFileError."""
    if is_safetensors(path):
        read_own_tensors(path)
    else:
        read_named_tensors(path)


def is_safetensors(path: Path) -> bool:
    """Whether a file is in this program's format. Raises CheckpointFileError."""
    check_weights_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise CheckpointFileError(
            Message("it cannot be read ({reason})", reason=error.strerror)
        ) from None
    return len(start) == 9 and start[8:9] == b"{"


def structure_of(path: Path) -> tuple[int, str]:
    """How many numbers a checkpoint holds, and the SHA-256 of its names and shapes.

    Hashed is a sorted line for each entry, "name 64,3,7,7". Raises CheckpointFileError.
    """
    state = read_named_tensors(path)
    lines = sorted(f"{name} {','.join(map(str, one.shape))}\n" for name, one in state.items())
    digest = hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass"))
    return sum(one.numel() for one in state.values()), digest.hexdigest()


FORMAT = "xmem-annotate network 1"

_FUSION = (
    (r"block1\.conv1\.", "conv1."),
    (r"block1\.downsample\.", "skip."),
    (r"block1\.conv2\.", "conv2."),
    (r"block2\.", "refine."),
    (r"attention\.ChannelGate\.mlp\.1\.", "attention.squeeze."),
    (r"attention\.ChannelGate\.mlp\.3\.", "attention.excite."),
    (r"attention\.SpatialGate\.spatial\.conv\.", "attention.spatial."),
)
# Published name -> ours, first match of a name's start.
_RENAMES = (
    (r"key_encoder\.res2\.", "key_encoder.trunk.layer1."),
    (r"key_encoder\.", "key_encoder.trunk."),
    (r"key_proj\.key_proj\.", "key_encoder.key."),
    (r"key_proj\.d_proj\.", "key_encoder.shrinkage."),
    (r"key_proj\.e_proj\.", "key_encoder.selection."),
    (r"value_encoder\.hidden_reinforce\.", "value_encoder.deep_update."),
    *((rf"value_encoder\.fuser\.{old}", f"value_encoder.fusion.{new}") for old, new in _FUSION),
    (r"value_encoder\.", "value_encoder.trunk."),
    *((rf"decoder\.fuser\.{old}", f"decoder.fusion.{new}") for old, new in _FUSION),
    (r"decoder\.hidden_update\.g(\d+)_conv\.", r"decoder.sensory_update.from\1."),
    (r"decoder\.hidden_update\.", "decoder.sensory_update."),
    (r"decoder\.up_16_8\.skip_conv\.", "decoder.upsample8.skip."),
    (r"decoder\.up_8_4\.skip_conv\.", "decoder.upsample4.skip."),
    (r"decoder\.up_16_8\.out_conv\.downsample\.", "decoder.upsample8.refine.skip."),
    (r"decoder\.up_16_8\.out_conv\.", "decoder.upsample8.refine."),
    (r"decoder\.up_8_4\.out_conv\.", "decoder.upsample4.refine."),
    (r"decoder\.pred\.", "decoder.prediction."),
)
# One published convolution over [frame, object] channels is two of ours (`SplitConv2d`).
_SPLIT = re.compile(r"(value_encoder|decoder)\.fusion\.(conv1|skip)\.(weight|bias)$")


class UnusableWeightsError(UserError):
    """A file that is not weights of an XMem network, or not whole."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            Message(
                "“{name}” cannot be used as a tracking model: {reason}.\n\n"
                "Choose an XMem checkpoint (XMem.pth or XMem-s012.pth as published, or a "
                ".safetensors file of this program), or download one again.",
                name=path.name,
                reason=reason,
            )
        )


def load_xmem(path: Path | str) -> XMem:
    """The network in `path`, in evaluation mode, float32, on the CPU.

    Takes the published checkpoints as they are (with or without sensory memory; single-object
    weights get a zero channel for the other objects) and this program's safetensors files.
    Raises UnusableWeightsError for anything else; no code in the file is ever run.
    """
    path = Path(path)
    try:
        config, state = _read_own(path) if is_safetensors(path) else _read_published(path)
        # No memory or random numbers for weights about to be replaced.
        with _naming_damage(_INVALID_CONFIGURATION), torch.device("meta"):
            network = XMem(config)
        check_entries(network.state_dict(), state)
    except CheckpointFileError as error:
        raise UnusableWeightsError(path, str(error)) from None
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def network_bytes(network: XMem, metadata: Mapping[str, str]) -> bytes:
    """A file of weights in half precision, with the configuration and `metadata` in the header."""
    state = {
        name: tensor.detach().cpu().half().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    config = json.dumps(dataclasses.asdict(network.config))
    return save(state, {**metadata, "format": FORMAT, "config": config})


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_INVALID_CONFIGURATION: Final = Message("its configuration is not valid ({reason})")


def _read_own(path: Path) -> tuple[NetworkConfig, dict[str, Tensor]]:
    header, state = read_own_tensors(path)
    if header.get("format") != FORMAT:
        raise CheckpointFileError(Message("it is a safetensors file of something else"))
    with _naming_damage(_INVALID_CONFIGURATION):
        values = json.loads(header["config"])
        if any(isinstance(one, int) and abs(one) > _MOST_WIDTH for one in values.values()):
            raise ValueError("a layer is impossibly wide")
        return NetworkConfig(**values), state


def _read_published(path: Path) -> tuple[NetworkConfig, dict[str, Tensor]]:
    published = read_named_tensors(path)
    try:
        return _published_config(published), _split(published)
    except (KeyError, IndexError, ValueError):
        raise CheckpointFileError(Message("it holds {kind}", kind=_kind_of(published))) from None


def _published_config(state: Mapping[str, Tensor]) -> NetworkConfig:
    def width(name: str) -> int:
        return state[f"{name}.weight"].shape[0]

    has_sensory = "decoder.hidden_update.transform.weight" in state
    return NetworkConfig(
        key_channels=width("key_proj.key_proj"),
        value_channels=width("value_encoder.fuser.block2.conv2"),
        hidden_channels=width("decoder.hidden_update.transform") // 3 if has_sensory else 0,
        decoder16_channels=width("decoder.fuser.block2.conv2"),
        decoder8_channels=width("decoder.up_16_8.out_conv.conv2"),
        decoder4_channels=width("decoder.up_8_4.out_conv.conv2"),
        sensory_channels=width("decoder.hidden_update.g16_conv") if has_sensory else 256,
    )


def renamed(published: Mapping[str, Tensor], names: Iterable[tuple[str, str]]) -> dict[str, Tensor]:
    """Published entries under our names, floats as float32. names: patterns of a name's start, of
    which the first that matches counts, and replacements; a name that matches none stays, and is
    foreign."""
    state: dict[str, Tensor] = {}
    for published_name, tensor in published.items():
        name = published_name
        for pattern, replacement in names:
            name, count = re.subn(rf"^{pattern}", replacement, published_name)
            if count:
                break
        state[name] = tensor.float() if tensor.is_floating_point() else tensor
    return state


def _split(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published names and layout -> ours."""
    frame_channels = published["key_proj.key_proj.weight"].shape[1]
    state: dict[str, Tensor] = {}
    for name, tensor in renamed(published, _RENAMES).items():
        if name == "value_encoder.trunk.conv1.weight" and tensor.shape[1] == 4:
            # Single-object weights know no other objects: a zero channel ignores them.
            tensor = torch.cat([tensor, torch.zeros_like(tensor[:, :1])], dim=1)
        split = _SPLIT.match(name)
        if split is None:
            state[name] = tensor
        elif split[3] == "bias":
            state[f"{split[1]}.fusion.{split[2]}.frame.bias"] = tensor
        else:
            stem = f"{split[1]}.fusion.{split[2]}"
            state[f"{stem}.frame.weight"] = tensor[:, :frame_channels].contiguous()
            state[f"{stem}.object.weight"] = tensor[:, frame_channels:].contiguous()
    return state


def _kind_of(state: Mapping[str, Tensor]) -> str:
    if any(name.startswith("feature_extractor.") for name in state):
        return Message("the weights of a click network (f-BRS), not of a tracker")
    if any(name.startswith("classifier.aspp.") for name in state):
        return Message("the weights of a scribble network (S2M), not of a tracker")
    return Message("{count} entries of another network", count=len(state))


def check_entries(wanted: Mapping[str, Tensor], state: dict[str, Tensor]) -> None:
    """Strict: every entry there, none foreign, every shape right, every number finite. Zero takes
    the place of step counters that are missing or no numbers: batch norm keeps them but never uses
    them in evaluation. CheckpointFileError."""
    for name in wanted:
        if name.endswith("num_batches_tracked") and not _is_counter(state.get(name)):
            state[name] = torch.zeros((), dtype=torch.int64)
    missing = [name for name in wanted if name not in state]
    foreign = [name for name in state if name not in wanted]
    if missing or foreign:
        raise CheckpointFileError(
            Message(
                "{missing} entries are missing and {foreign} are foreign (the first: {example})",
                missing=len(missing),
                foreign=len(foreign),
                example=(missing or foreign)[0],
            )
        )
    for name, tensor in state.items():
        if tensor.shape != wanted[name].shape:
            raise CheckpointFileError(
                Message(
                    "{name} has shape {shape} where {wanted} is expected",
                    name=name,
                    shape=tuple(tensor.shape),
                    wanted=tuple(wanted[name].shape),
                )
            )
        is_counter = name.endswith("num_batches_tracked")
        if not is_counter and not (tensor.is_floating_point() and tensor.layout == torch.strided):
            kind = f"{tensor.dtype}, {tensor.layout}".replace("torch.", "")
            raise CheckpointFileError(
                Message("{name} holds {kind} instead of plain numbers", name=name, kind=kind)
            )
        if not torch.isfinite(tensor).all():
            raise CheckpointFileError(
                Message("{name} holds numbers that are not finite", name=name)
            )


def _is_counter(tensor: Tensor | None) -> bool:
    if tensor is None or tensor.shape or tensor.layout != torch.strided:
        return False
    return tensor.dtype in (torch.int64, torch.float32) and bool(torch.isfinite(tensor))
