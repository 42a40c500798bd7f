"""Devices: the error that says one is full."""

import numpy as np
import pytest
import torch

from xmem_core.device import is_out_of_memory


def error_of_cpu_allocator() -> Exception:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    return caught.value


def error_of_numpy() -> Exception:
    with pytest.raises(MemoryError) as caught:
        np.empty(2**60, dtype=np.uint8)
    return caught.value


def test_errors_of_a_full_cpu_are_recognised_as_they_are_raised() -> None:
    assert is_out_of_memory(error_of_cpu_allocator())
    assert is_out_of_memory(error_of_numpy())
    assert is_out_of_memory(MemoryError())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError(
            "MPS backend out of memory (MPS allocated: 8.89 GB, other allocations: 172.98 MB, "
            "max allowed: 9.07 GB). Tried to allocate 6.25 MB on private pool."
        ),
        RuntimeError("Invalid buffer size: 14.08 GB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=str,
)
def test_errors_of_a_full_gpu_are_recognised(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
        ValueError("out of memory"),
        OSError(28, "No space left on device"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_other_errors_are_not(error: BaseException) -> None:
    assert not is_out_of_memory(error)
