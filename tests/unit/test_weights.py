"""Published checkpoints load as they are, ours survive the disk, the rest is refused in words."""

import contextlib
import dataclasses
import json
import pickle
import re
import socket
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests import tiny
from xmem_core.messages import UserError
from xmem_core.network.config import NetworkConfig
from xmem_core.network.xmem import XMem
from xmem_core.weights import (
    FORMAT,
    UnusableWeightsError,
    file_sha256,
    load_xmem,
    network_bytes,
    read_header,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "published_names.json"
NARROW = NetworkConfig(  # the published trunks, and little else
    key_channels=8,
    value_channels=16,
    hidden_channels=4,
    decoder16_channels=16,
    decoder8_channels=8,
    decoder4_channels=8,
    sensory_channels=8,
)

# Our names back to the published ones: the inverse of the table under test, written by itself.
_FUSION = {
    "conv1": "block1.conv1",
    "conv2": "block1.conv2",
    "skip": "block1.downsample",
    "refine.conv1": "block2.conv1",
    "refine.conv2": "block2.conv2",
    "attention.squeeze": "attention.ChannelGate.mlp.1",
    "attention.excite": "attention.ChannelGate.mlp.3",
    "attention.spatial": "attention.SpatialGate.spatial.conv",
}
_MODULES = {
    "key_encoder.key": "key_proj.key_proj",
    "key_encoder.shrinkage": "key_proj.d_proj",
    "key_encoder.selection": "key_proj.e_proj",
    "value_encoder.deep_update.transform": "value_encoder.hidden_reinforce.transform",
    "decoder.sensory_update.from16": "decoder.hidden_update.g16_conv",
    "decoder.sensory_update.from8": "decoder.hidden_update.g8_conv",
    "decoder.sensory_update.from4": "decoder.hidden_update.g4_conv",
    "decoder.sensory_update.transform": "decoder.hidden_update.transform",
    "decoder.upsample8.skip": "decoder.up_16_8.skip_conv",
    "decoder.upsample8.refine.skip": "decoder.up_16_8.out_conv.downsample",
    "decoder.upsample8.refine.conv1": "decoder.up_16_8.out_conv.conv1",
    "decoder.upsample8.refine.conv2": "decoder.up_16_8.out_conv.conv2",
    "decoder.upsample4.skip": "decoder.up_8_4.skip_conv",
    "decoder.upsample4.refine.conv1": "decoder.up_8_4.out_conv.conv1",
    "decoder.upsample4.refine.conv2": "decoder.up_8_4.out_conv.conv2",
    "decoder.prediction": "decoder.pred",
}
for _part in ("value_encoder", "decoder"):
    _MODULES |= {f"{_part}.fusion.{ours}": f"{_part}.fuser.{pub}" for ours, pub in _FUSION.items()}


def published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's weights under the published names and in the published layout."""
    result: dict[str, Tensor] = {}
    for name, tensor in state.items():
        module, _, entry = name.rpartition(".")
        if module.endswith(".object"):
            continue  # joined with its frame's half
        if module.endswith(".frame"):
            module = module.removesuffix(".frame")
            if entry == "weight":
                tensor = torch.cat([tensor, state[f"{module}.object.weight"]], dim=1)
        if match := re.match(r"(key|value)_encoder\.trunk\.(.*)", module):
            module = f"{match[1]}_encoder.{match[2]}"
            module = module.replace("key_encoder.layer1", "key_encoder.res2")
        else:
            module = _MODULES[module]
        result[f"{module}.{entry}"] = tensor
    return result


def shapes(state: Mapping[str, Tensor]) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in state.items()}


def sparing(state: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """The same names and shapes, each filled with its entry's first number, which takes no room in
    a file and no time to write; zeros for tensors without content. Fractions become `dtype`."""
    result = {}
    for name, tensor in state.items():
        first = torch.zeros(()) if tensor.is_meta else tensor[(0,) * tensor.ndim].clone()
        if tensor.is_floating_point():
            first = first.to(dtype)
        result[name] = first.expand(tensor.shape)
    return result


def empty(config: NetworkConfig) -> XMem:
    with torch.device("meta"):
        return XMem(config)


def golden(variant: str) -> dict[str, list[int]]:
    everything = json.loads(GOLDEN.read_text("utf-8"))
    names: dict[str, list[int]] = everything["xmem"]
    if variant == "xmem":
        return names
    names |= everything[variant]["changed"]
    return {
        name: shape for name, shape in names.items() if name not in everything[variant]["absent"]
    }


@pytest.fixture(scope="module")
def narrow() -> XMem:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = XMem(NARROW).eval().requires_grad_(False)
    with torch.no_grad():
        for name, buffer in network.named_buffers():  # or a mixed-up statistic would not show
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5)
            else:
                buffer.fill_(len(name))
    return network


@pytest.fixture(scope="module")
def checkpoint(narrow: XMem, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "XMem.pth"
    torch.save(published(narrow.state_dict()), path)
    return path


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    path.write_bytes(network_bytes(tiny.network(), {"made-by": "a test"}))
    return path


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was to be downloaded")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


# The published layout


@pytest.mark.parametrize("variant", ["xmem", "no_sensory"])
def test_the_full_size_network_has_the_published_names_and_shapes(variant: str) -> None:
    config = NetworkConfig.published() if variant == "xmem" else NetworkConfig(hidden_channels=0)
    names = shapes(published(empty(config).state_dict()))
    assert len(names) == {"xmem": 412, "no_sensory": 402}[variant]
    assert names == golden(variant)


@pytest.mark.parametrize("variant", ["xmem", "no_sensory", "single_object"])
def test_every_published_variant_loads_at_full_size(variant: str, tmp_path: Path) -> None:
    state = {
        name: torch.zeros(()).expand(shape)  # one number each: no 250 MB on the disk
        for name, shape in golden(variant).items()
    }
    torch.save(state, tmp_path / "model.pth")
    network = load_xmem(tmp_path / "model.pth")
    assert network.config == NetworkConfig(hidden_channels=0 if variant == "no_sensory" else 64)
    assert sum(p.numel() for p in network.parameters()) == (
        59_783_560 if variant == "no_sensory" else 62_185_224
    )


def test_a_published_checkpoint_loads_to_the_very_same_network(
    narrow: XMem, checkpoint: Path
) -> None:
    loaded = load_xmem(str(checkpoint))
    assert loaded.config == NARROW
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    state = narrow.state_dict()
    assert state.keys() == loaded.state_dict().keys()
    for name, tensor in loaded.state_dict().items():
        assert tensor.device.type == "cpu"
        assert torch.equal(tensor, state[name]), name


def test_single_object_weights_get_a_zero_channel_for_the_others(
    narrow: XMem, tmp_path: Path
) -> None:
    state, stem = published(narrow.state_dict()), "value_encoder.conv1.weight"
    state = {**sparing(state), stem: state[stem][:, :4].clone()}
    torch.save(state, tmp_path / "single.pth")
    name = "value_encoder.trunk.conv1.weight"
    loaded = load_xmem(tmp_path / "single.pth").state_dict()[name]
    assert loaded.shape == (64, 5, 7, 7)
    assert torch.equal(loaded[:, :4], state[stem])
    assert (loaded[:, 4] == 0).all()


def test_weights_without_sensory_memory_load(tmp_path: Path) -> None:
    config = dataclasses.replace(NARROW, hidden_channels=0, sensory_channels=256)
    state = published(sparing(empty(config).state_dict()))
    torch.save(state, tmp_path / "XMem-no-sensory.pth")
    loaded = load_xmem(tmp_path / "XMem-no-sensory.pth")
    assert loaded.config == config
    assert loaded.value_encoder.deep_update is None
    assert loaded.decoder.sensory_update is None


def test_step_counters_may_be_absent(narrow: XMem, tmp_path: Path) -> None:
    original = sparing(narrow.state_dict())
    state = published(original)
    slim = {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
    assert len(slim) == 354
    torch.save(slim, tmp_path / "slim.pth")
    loaded = load_xmem(tmp_path / "slim.pth").state_dict()
    for name, tensor in original.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_precision_become_float32(
    narrow: XMem, tmp_path: Path, dtype: torch.dtype
) -> None:
    torch.save(published(sparing(narrow.state_dict(), dtype)), tmp_path / "half.pth")
    loaded = load_xmem(tmp_path / "half.pth").state_dict()
    for name, tensor in sparing(narrow.state_dict(), dtype).items():
        expected = tensor.float() if tensor.is_floating_point() else tensor
        assert torch.equal(loaded[name], expected), name
        assert loaded[name].dtype is expected.dtype, name


# Our own layout


def test_our_own_files_give_back_network_and_metadata(ours: Path) -> None:
    original, loaded = tiny.network(), load_xmem(ours)
    assert loaded.config == original.config == tiny.TINY
    assert not loaded.training
    assert read_header(ours)["made-by"] == "a test"
    assert read_header(ours)["format"] == FORMAT
    for name, tensor in original.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name
    assert [path.name for path in ours.parent.iterdir()] == [ours.name]


def test_saving_again_what_was_loaded_loses_nothing_more(ours: Path, tmp_path: Path) -> None:
    once = load_xmem(ours)
    (tmp_path / "again.safetensors").write_bytes(network_bytes(once, read_header(ours)))
    assert read_header(tmp_path / "again.safetensors") == read_header(ours)
    twice = load_xmem(tmp_path / "again.safetensors").state_dict()
    assert all(torch.equal(tensor, twice[name]) for name, tensor in once.state_dict().items())


def test_a_file_s_checksum_is_the_sha256_that_everyone_computes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


def test_the_bundled_model_is_as_small_as_promised() -> None:
    assert sum(p.numel() for p in empty(NetworkConfig.small()).parameters()) <= 8_000_000


# Files that are something else


class _Code:
    """Creates a file when it is unpickled by a careless reader."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.marker,)


def _safetensors(path: Path, header: dict[str, str]) -> None:
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path, header)


def _config(path: Path, config: object) -> None:
    _safetensors(path, {"format": FORMAT, "config": json.dumps(config)})


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.txt", "sun")


def _save(value: Any, path: Path) -> None:
    torch.save(value, path)


_OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (Path.mkdir, "folder"),
    "empty": (Path.touch, "damaged, cut short"),
    "one byte": (lambda path: path.write_bytes(b"\x80"), "cut short|plain list"),
    "text": (
        lambda path: path.write_text("weights, honestly"),
        "not a plain list|not a checkpoint",
    ),
    "text like JSON": (lambda path: path.write_text('{"a": 1, {"b": 2}}'), "plain|checkpoint|cut"),
    "picture": (
        lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)),
        "plain|checkpoint",
    ),
    "zip": (_zip, "not a checkpoint"),
    "pickle of numbers": (
        lambda path: path.write_bytes(pickle.dumps({"a": [1, 2]})),
        "plain list|something other|not a checkpoint",
    ),
    "list": (partial(_save, [torch.zeros(2)]), "something other than named weights"),
    "tensor": (partial(_save, torch.zeros(2)), "something other than named weights"),
    "nested": (partial(_save, {"model": {"a": torch.zeros(2)}}), "something other"),
    "numbered": (partial(_save, {1: torch.zeros(2)}), "something other"),
    "nothing": (partial(_save, {}), "0 entries"),
    "f-BRS": (
        partial(_save, {"feature_extractor.backbone.conv1.0.weight": torch.zeros(2)}),
        "f-BRS",
    ),
    "S2M": (partial(_save, {"classifier.aspp.convs.0.0.weight": torch.zeros(2)}), "S2M"),
    "another network": (partial(_save, {"fc.weight": torch.zeros(2)}), "1 entries of another"),
    "scalars under our names": (
        partial(_save, {"key_proj.key_proj.weight": torch.zeros(())}),
        "another network",
    ),
    "other safetensors": (partial(_safetensors, header={}), "safetensors file of something else"),
    "no configuration": (partial(_safetensors, header={"format": FORMAT}), "configuration"),
    "configuration no JSON": (
        partial(_safetensors, header={"format": FORMAT, "config": "{"}),
        "configuration",
    ),
    "configuration a list": (partial(_config, config=[1]), "configuration"),
    "configuration unknown": (partial(_config, config={"layers": 3}), "configuration"),
    "configuration words": (partial(_config, config={"key_channels": "many"}), "configuration"),
    "configuration negative": (partial(_config, config={"key_channels": -3}), "configuration"),
    "configuration enormous": (partial(_config, config={"key_channels": 10**18}), "config|missing"),
    "configuration of another trunk": (partial(_config, config={"trunk": "vit"}), "config|missing"),
    "no weights": (partial(_config, config={}), "entries are missing"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch speaks of pickle protocols
@pytest.mark.parametrize("kind", _OTHERS)
def test_a_file_of_something_else_is_refused_in_words(kind: str, tmp_path: Path) -> None:
    write, message = _OTHERS[kind]
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(UnusableWeightsError, match=message) as caught:
        load_xmem(path)
    assert isinstance(caught.value, UserError)
    assert str(caught.value).startswith("“weights.pth” cannot be used as a tracking model: ")
    assert "\n\nChoose an XMem checkpoint" in str(caught.value)


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UnusableWeightsError, match="no such file"):
        load_xmem(tmp_path / "nowhere.pth")


def test_a_file_that_may_not_be_read_is_reported(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnusableWeightsError, match=r"[Pp]ermission denied"):
        load_xmem(ours)


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch speaks of pickle protocols
@pytest.mark.parametrize("is_plain_pickle", [True, False])
def test_code_in_a_file_is_never_run(tmp_path: Path, is_plain_pickle: bool) -> None:
    marker, path = tmp_path / "was-here", tmp_path / "evil.pth"
    evil = {"key_proj.key_proj.weight": _Code(marker)}
    if is_plain_pickle:
        path.write_bytes(pickle.dumps(evil))
    else:
        torch.save(evil, path)
    with pytest.raises(UnusableWeightsError, match="code, which is never run"):
        load_xmem(path)
    assert not marker.exists()
    torch.load(path, weights_only=False) if not is_plain_pickle else pickle.loads(path.read_bytes())
    assert marker.exists()  # so the file was dangerous


@pytest.mark.parametrize("share", [0.0001, 0.1, 0.5, 0.9, 0.9999])
def test_a_published_checkpoint_that_was_cut_short_is_reported(
    checkpoint: Path, tmp_path: Path, share: float
) -> None:
    whole = checkpoint.read_bytes()
    cut = tmp_path / "cut.pth"
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UnusableWeightsError, match="cut short"):
        load_xmem(cut)


@pytest.mark.parametrize("length", [9, 30, 0.5, -1])
def test_a_file_of_ours_that_was_cut_short_is_reported(
    ours: Path, tmp_path: Path, length: float
) -> None:
    whole = ours.read_bytes()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole[: int(length * len(whole)) if isinstance(length, float) else length])
    with pytest.raises(UnusableWeightsError, match="cut short"):
        load_xmem(cut)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_damaged_header_is_reported_or_does_no_harm(
    ours: Path, tmp_path: Path, data: st.DataObject
) -> None:
    whole = bytearray(ours.read_bytes())
    header = 8 + int.from_bytes(whole[:8], "little")
    position = data.draw(st.one_of(st.integers(0, 600), st.integers(0, header - 1)))
    whole[position] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged").write_bytes(whole)
    with contextlib.suppress(UnusableWeightsError):  # no other error may come through
        load_xmem(tmp_path / "damaged")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**16), st.integers(0, 255), st.booleans())
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch speaks of pickle protocols
def test_a_damaged_checkpoint_is_reported(
    tmp_path: Path, position: int, value: int, is_old_layout: bool
) -> None:
    path = tmp_path / "damaged.pth"
    torch.save(
        {"key_proj.key_proj.weight": torch.zeros(3)},
        path,
        _use_new_zipfile_serialization=not is_old_layout,
    )
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    with pytest.raises(UnusableWeightsError):
        load_xmem(path)


# Files that are nearly right

_KEY = "key_proj.key_proj.weight"


def _with(name: str, change: Callable[[Tensor], Tensor | None]) -> Callable[..., None]:
    def apply(state: dict[str, Tensor]) -> None:
        changed = change(state.pop(name, torch.zeros(1)).clone())
        if changed is not None:
            state[name] = changed

    return apply


def _nan(tensor: Tensor) -> Tensor:
    tensor.view(-1)[-1] = torch.nan
    return tensor


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch speaks of pickle protocols
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_with("decoder.pred.weight", _nan), "decoder.prediction.weight holds.*not finite"),
        (_with("key_encoder.bn1.running_var", lambda t: t / 0), "bn1.running_var.*not finite"),
        (_with("decoder.pred.bias", lambda _: None), "1 entries are missing and 0 are foreign"),
        (_with("decoder.extra.bias", lambda t: t), "0 are missing|0 entries.*1 are foreign"),
        (_with("decoder.pred.weight", lambda t: t[:, :-1]), r"shape \(1, 7, 3, 3\) where"),
        (_with("key_proj.e_proj.weight", lambda t: t[:4]), r"selection.*shape \(4, 1024"),
        (_with("value_encoder.conv1.weight", lambda t: t[:, :3]), r"shape \(64, 3, 7, 7\)"),
        (_with("decoder.fuser.block1.conv1.weight", lambda t: t[0, 0, 0]), "another network|shape"),
        (_with(_KEY, lambda _: None), "411 entries of another network"),
        (_with(_KEY, lambda t: t.long()), "key.weight holds int64"),
        (_with(_KEY, lambda t: t.to_sparse()), "key.weight holds float32, sparse_coo"),
        (_with(_KEY, lambda t: t.to(torch.complex64)), "key.weight holds complex64"),
        (
            _with("value_encoder.fuser.block2.conv2.weight", lambda t: t[:0]),
            "another network|shape",
        ),
    ],
)
def test_a_checkpoint_that_is_nearly_right_is_refused_with_the_entry(
    narrow: XMem,
    tmp_path: Path,
    change: Callable[[dict[str, Tensor]], None],
    message: str,
) -> None:
    state = published(sparing(narrow.state_dict()))
    change(state)
    torch.save(state, tmp_path / "nearly.pth")
    with pytest.raises(UnusableWeightsError, match=message):
        load_xmem(tmp_path / "nearly.pth")


def test_building_a_network_downloads_nothing() -> None:
    for config in (NARROW, tiny.TINY):
        empty(config)
