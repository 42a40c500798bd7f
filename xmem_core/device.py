"""Devices: choice, precision, memory, and timing that does not slow them down."""

import ctypes
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final

import psutil
import torch

from xmem_core.messages import UserError

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
            "The device “{name}” is not available on this machine.\n\nAvailable: {there}.",
            name=name,
            there=there,
        )
    return torch.device(name)


def half_precision(device: torch.device, *, tolerates_bfloat16: bool) -> torch.dtype | None:
    """The half precision that `device` is made for and a network can bear; None for neither.

    Without matrix units or dot products for it, bfloat16 is slower than float32.
    """
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu" and tolerates_bfloat16:
        capabilities = torch.cpu.get_capabilities()
        if capabilities.get("amx_bf16", False) or capabilities.get("avx512_bf16", False):
            return torch.bfloat16
    return None


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """Half precision `dtype`; a plain context for None.

    Entered around each call of the network: the mode is per thread, so setting it once for the
    program would leave a worker thread without it.
    """
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def keep_freed_memory() -> bool:
    """Lets this process keep the memory it frees, for its next use. True if that took effect.

    A step on a CPU makes and frees hundreds of megabytes, and glibc returns them to the system
    each time, which then has to clear every page again: a third of the decoder's time. Call it
    once, early, before threads start. It does nothing outside Linux with glibc.
    """
    if sys.platform != "linux":
        return False
    trim_threshold, top_pad, mmap_threshold, arena_max = -1, -2, -3, -8  # from malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    settings = (
        (trim_threshold, 2**31 - 1),
        (top_pad, 256 * 2**20),
        (mmap_threshold, 2**30),
        # Other arenas than the first cannot hold large blocks; the engine has its own thread.
        (arena_max, 1),
    )
    results = [mallopt(option, value) for option, value in settings]
    return all(result == 1 for result in results)


# What torch's CPU and MPS allocators, CUDA's libraries and C++ say in a plain RuntimeError.
_FULL_DEVICE_MESSAGES = (
    "out of memory",
    "defaultcpuallocator",
    "invalid buffer size",  # MPS: one tensor larger than its largest buffer
    "alloc_failed",  # cuBLAS and cuDNN
    "std::bad_alloc",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that a device, the CPU included, is full: CUDA's and MPS's own errors,
    the RuntimeError of torch's CPU allocator, MemoryError of Python and numpy.

    A step that asks for less memory may then succeed. Use it as

        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        part in message for part in _FULL_DEVICE_MESSAGES
    )


def release_freed_memory(device: torch.device) -> None:
    """Returns what torch's allocator of `device` keeps for later use, so that larger blocks fit."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def free_memory_bytes(device: torch.device) -> int:
    """What can still be allocated on `device`: on a CPU, what the system and the control group
    that this process runs in, such as a container, have left; on Apple's GPU, which shares the
    system's memory, no more than Metal recommends."""
    if device.type == "cuda":
        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reusable
    free = min(psutil.virtual_memory().available, _free_in_control_group())
    if device.type == "mps":
        recommended = torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
        return max(0, min(free, recommended))
    return free


_CONTROL_GROUP: Final = Path("/sys/fs/cgroup")


def _free_in_control_group() -> int:
    """What the limit of Linux' control groups, version 2, leaves; without a limit, very much."""
    unlimited = 2**63
    try:
        limit = (_CONTROL_GROUP / "memory.max").read_text().strip()
        if limit == "max":
            return unlimited
        used = int((_CONTROL_GROUP / "memory.current").read_text())
        statistics = (_CONTROL_GROUP / "memory.stat").read_text().splitlines()
        # The file cache counts as used, but is given back when memory is asked for.
        cached = sum(
            int(line.split()[1]) for line in statistics if line.startswith("inactive_file")
        )
        return max(0, int(limit) - used + cached)
    except (OSError, ValueError, IndexError):
        return unlimited


def peak_memory_bytes(device: torch.device) -> int:
    """The most this process has held so far: of tensors on a GPU, resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_bytes = peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB
    # Linux notes the peak later than the pages, so what is held now may be a little more.
    return max(peak_bytes, used_memory_bytes(device))


def used_memory_bytes(device: torch.device) -> int:
    """What this process holds on `device`: tensors on a GPU, resident memory on a CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return psutil.Process().memory_info().rss


class StageTimes:
    """Seconds by stage. On a GPU, which works behind the program's back, marks are put into its
    queue and read at the end, so that measuring never waits."""

    def __init__(self, device: torch.device) -> None:
        self._is_cuda = device.type == "cuda"
        self._seconds: dict[str, float] = defaultdict(float)
        self._calls: dict[str, int] = defaultdict(int)
        self._work: dict[str, float] = defaultdict(float)
        self._marks: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        self._calls[stage] += 1
        if self._is_cuda:
            before = torch.cuda.Event(enable_timing=True)
            after = torch.cuda.Event(enable_timing=True)
            before.record()
            yield
            after.record()
            self._marks.append((stage, before, after))
            if len(self._marks) > 1000:
                self._collect()
        else:
            start = time.perf_counter()
            yield
            self._seconds[stage] += time.perf_counter() - start

    def seconds(self) -> dict[str, float]:
        """By stage, in the order in which they first came."""
        self._collect()
        return dict(self._seconds)

    def calls(self) -> dict[str, int]:
        return dict(self._calls)

    def note_work(self, stage: str, work: float) -> None:
        """So much of what time is proportional to was done, such as pixels."""
        self._work[stage] += work

    def work(self) -> dict[str, float]:
        """By stage, the sum of what was noted."""
        return dict(self._work)

    def forget(self) -> None:
        """Starts measuring anew."""
        self._collect()
        self._seconds.clear()
        self._calls.clear()
        self._work.clear()

    def _collect(self) -> None:
        for stage, before, after in self._marks:
            after.synchronize()
            self._seconds[stage] += before.elapsed_time(after) / 1000
        self._marks.clear()
