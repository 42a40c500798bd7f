"""What this computer offers the program, and what is wrong with it, one line a finding."""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
from platformdirs import user_cache_path, user_config_path, user_log_path

if TYPE_CHECKING:
    import torch

_PACKAGES: Final = ("xmem-annotate", "torch", "PySide6-Essentials", "av", "numpy", "safetensors")
_DECODERS: Final = ("h264", "hevc", "vp9", "av1", "mpeg4", "prores", "mjpeg")
_ENCODERS: Final = ("libx264", "prores_ks", "libvpx-vp9", "png", "ffv1")
_SPEED_TEST_S: Final = 1.0
_LOW_MEMORY_BYTES: Final = 2 * 2**30
_LOW_DISK_BYTES: Final = 2**30
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    topic: str
    text: str
    is_fine: bool = True

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def examine(*, imports_torch: bool = True, speed_test_s: float = _SPEED_TEST_S) -> list[Finding]:
    """Versions, device, memory, codecs, models, write access. imports_torch: without it nothing
    is loaded that is not loaded yet, for a report on a crash. speed_test_s: 0 for none."""
    findings = [
        Finding("versions", ", ".join(package_versions())),
        Finding("system", f"{platform.platform()}, Python {platform.python_version()}"),
        _memory(),
    ]
    if imports_torch or "torch" in sys.modules:
        findings += _devices(speed_test_s)
    findings += _codecs()
    findings += _models()
    cache = user_cache_path("xmem-annotate", appauthor=False)
    places = {
        "cache": cache,
        "settings": user_config_path("xmem-annotate", appauthor=False),
        "log": user_log_path("xmem-annotate", appauthor=False),
        "this folder": Path.cwd(),
    }
    findings += [writable(name, folder) for name, folder in places.items()]
    return findings


def machine() -> tuple[str, int]:
    """The name of the GPU that the networks would run on, "" for none; and free memory in bytes."""
    from xmem_core.device import best_device

    device = best_device()
    name = "" if device.type == "cpu" else device.type
    if device.type == "cuda":
        import torch

        name = torch.cuda.get_device_name(device)
    return name, int(psutil.virtual_memory().available)


def as_text(findings: list[Finding]) -> str:
    """Plain lines to copy."""
    width = max(len(one.topic) for one in findings)
    return "\n".join(
        f"{'ok  ' if one.is_fine else 'BAD '} {one.topic:<{width}}  {one.text}" for one in findings
    )


def package_versions() -> list[str]:
    """Of this program and what it stands on."""
    return [f"{name} {_version(name)}" for name in _PACKAGES]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    return Finding(
        "memory",
        f"{memory.available / _GIB:.1f} of {memory.total / _GIB:.1f} GiB free, "
        f"{os.cpu_count()} processors",
        memory.available > _LOW_MEMORY_BYTES,
    )


def _devices(speed_test_s: float) -> Iterator[Finding]:
    try:
        import torch

        from xmem_core.device import best_device, half_precision
    except (ImportError, OSError) as error:  # a library that torch needs is missing
        yield Finding("device", f"torch cannot be loaded: {error}", False)
        return
    device = best_device()
    name = f"{device}, {torch.get_num_threads()} threads"
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        name = f"{torch.cuda.get_device_name()}, {free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
    half = half_precision(device, tolerates_bfloat16=True)
    yield Finding("device", f"{name}, half precision: {'none' if half is None else str(half)[6:]}")
    if speed_test_s:
        try:
            yield Finding("speed", _speed(device, speed_test_s))
        except RuntimeError as error:  # a driver that does not fit, a full device
            yield Finding("speed", f"a matrix product fails: {str(error).splitlines()[0]}", False)


def _speed(device: "torch.device", seconds: float) -> str:
    """Float32 products of 1024-wide matrices for about so many seconds."""
    import torch

    side = 1024
    with torch.inference_mode():
        left = torch.randn(side, side, device=device)
        float((left @ left)[0, 0])  # warm up
        count, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            product = left @ left
            float(product[0, 0])  # waits for a device that works in the background
            count += 1
    return f"{2e-9 * side**3 * count / elapsed:.0f} GFLOP/s in float32, in {elapsed:.1f} s"


def _codecs() -> list[Finding]:
    from av.codec import Codec, codecs_available
    from av.codec.codec import UnknownCodecError

    def is_there(name: str, mode: Any) -> bool:
        try:
            return name in codecs_available and bool(Codec(name, mode))
        except UnknownCodecError:
            return False

    findings = []
    for topic, names, mode in (("decoders", _DECODERS, "r"), ("encoders", _ENCODERS, "w")):
        missing = [name for name in names if not is_there(name, mode)]
        text = ", ".join(name for name in names if name not in missing)
        findings.append(
            Finding(topic, text + (f"; missing: {', '.join(missing)}" if missing else ""))
        )
    return findings


def _models() -> Iterator[Finding]:
    from interaction.errors import UserError
    from interaction.models import default_store

    store = default_store()
    here = [model.name for model in store.models if store.locate(model)]
    bad = []
    for model in store.models:
        if model.is_bundled and model.sha256:
            try:
                is_damaged = store.verify(model.name).is_damaged
            except UserError:
                is_damaged = True
            bad += [model.name] if is_damaged else []
    text = f"here: {', '.join(here) or 'none'}"
    yield Finding(
        "models", text + (f"; missing or damaged: {', '.join(bad)}" if bad else ""), not bad
    )
    for plugin in store.broken:
        yield Finding("plug-in", f"{plugin.name} of {plugin.package}: {plugin.problem}", False)


def writable(topic: str, folder: Path) -> Finding:
    """Whether a file can be made in `folder`, or in the nearest folder above it that exists."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"x")
        free = psutil.disk_usage(str(existing)).free
    except OSError as error:
        return Finding(topic, f"cannot write to {folder}: {error.strerror or error}", False)
    return Finding(topic, f"{folder}, {free / _GIB:.0f} GiB free", free > _LOW_DISK_BYTES)
