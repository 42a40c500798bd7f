"""Which device to compute on, how much memory it has, and the precision that suits it."""

import sys
from contextlib import AbstractContextManager, nullcontext

import psutil
import torch

from xmem_core.errors import UserError

if sys.platform != "win32":
    import resource


def best_device(name: str = "auto") -> torch.device:
    """auto: CUDA if there is one, else Apple's GPU, else the CPU. UserError if `name` asks for a
    device that is not there."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, is_there in available.items() if is_there))
    kind = name.split(":")[0]
    if not available.get(kind, False):
        there = ", ".join(kind for kind, is_there in available.items() if is_there)
        raise UserError(
            f"The device “{name}” is not available on this machine.\n\nAvailable: {there}."
        )
    return torch.device(name)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """Half precision where the hardware is made for it; a plain context elsewhere.

    Entered around each call of the network: the mode is per thread, so setting it once for the
    program would leave a worker thread without it.
    """
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.float16)
    return nullcontext()


def free_memory_bytes(device: torch.device) -> int:
    """What can still be allocated on `device`; on a CPU, what the system has left."""
    if device.type == "cuda":
        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reusable
    return psutil.virtual_memory().available


def peak_memory_bytes(device: torch.device) -> int:
    """The most this process has held so far: of tensors on a GPU, resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def used_memory_bytes(device: torch.device) -> int:
    """What this process holds on `device`: tensors on a GPU, resident memory on a CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return psutil.Process().memory_info().rss
