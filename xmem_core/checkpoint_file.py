"""Named tensors from a published `.pth` file, whatever else somebody may have put into it."""

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

__all__ = ["CheckpointFileError", "read_named_tensors"]

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
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


class CheckpointFileError(Exception):
    """Why a file holds no named tensors, as the end of a sentence about it."""


def read_named_tensors(path: Path) -> dict[str, Tensor]:
    """Every entry of the checkpoint, on the CPU. No code in the file is ever run.

    Raises CheckpointFileError.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointFileError(
            "it is not a plain list of weights, or it holds code, which is never run"
        ) from None
    except _DAMAGE:
        raise CheckpointFileError("it is damaged, cut short or not a checkpoint") from None
    if not isinstance(loaded, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in loaded.items()
    ):
        raise CheckpointFileError("it holds something other than named weights")
    return dict(loaded)
