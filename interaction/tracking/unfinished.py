"""An interrupted run on disk: a header, and what the tracker held. Read as if it were hostile."""

import hashlib
import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import safetensors.torch
import torch
from torch import Tensor

from interaction.annotation.requests import PropagationRequest, Remembered
from interaction.errors import UserError
from interaction.files import JsonObject, is_plain_file, parse_json, write_plain
from interaction.project.causes import cause_from_json
from xmem_core.memory.remembered import RememberedFrame
from xmem_core.weights import CheckpointFileError, read_header, read_tensors

_MOST_BYTES: Final = 2**35  # memories of many objects over a long video
_CHECKSUM: Final = "checksum"
_SAVE_EVERY_S: Final = 30.0  # of work that a power cut or a kill may cost
_SAVE_SHARE: Final = 0.02  # how long a save took, of the time to the next, at most


def write_unfinished(path: Path, header: Mapping[str, str], state: Mapping[str, Tensor]) -> None:
    """Raises DiskFullError or UnwritableFileError."""
    on_cpu = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
    sealed = {**header, _CHECKSUM: _checksum(header, on_cpu)}
    write_plain(path, safetensors.torch.save(on_cpu, sealed))


def read_unfinished(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors, on the CPU. CheckpointFileError; KeyError or ValueError if the contents
    are not what was written: a damaged number would be tracked on with, or fail in the middle."""
    header, state = read_tensors(path, _MOST_BYTES)
    if header.pop(_CHECKSUM) != _checksum(header, state):
        raise ValueError("the contents have changed")
    return header, state


class SaveTimes:
    """When a run is due to be kept: every half minute, and less often where that takes so long
    that it would slow the run down."""

    def __init__(self) -> None:
        self._next_s = time.monotonic() + _SAVE_EVERY_S

    @property
    def is_now(self) -> bool:
        return time.monotonic() >= self._next_s

    @contextmanager
    def timed(self) -> Generator[None, None, None]:
        """Round what keeps the run."""
        began_s = time.monotonic()
        yield
        ended_s = time.monotonic()
        self._next_s = ended_s + max(_SAVE_EVERY_S, (ended_s - began_s) / _SAVE_SHARE)


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A project's run that was interrupted. about: what its job wrote of it, as JSON."""

    request: PropagationRequest
    about: JsonObject
    state: dict[str, Tensor]

    @property
    def frame(self) -> int:
        """The newest one that was tracked. ValueError and the like for what no job wrote."""
        return int(self.about["at"][4])

    @property
    def remembered(self) -> Remembered:
        """What was in memory. Raises as `frame`."""
        rows = self.about["remembered"]
        return Remembered(
            tuple(
                RememberedFrame(int(frame), part, int(count), float(recent), float(average))
                for frame, part, count, recent, average in rows
            )
        )

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors under a name."""
        start = f"{name}."
        return {k.removeprefix(start): v for k, v in self.state.items() if k.startswith(start)}


def write_run(path: Path, about: JsonObject, state: Mapping[str, Tensor]) -> None:
    """Raises DiskFullError or UnwritableFileError."""
    write_unfinished(path, {"run": json.dumps(about)}, state)


def read_run(path: Path, *, is_whole: bool = True) -> UnfinishedRun:
    """UserError if there is none, or it cannot be read. is_whole: False only tells of it, without
    reading what the tracker held."""
    if not is_plain_file(path):
        raise no_unfinished_run()
    try:
        header, state = read_unfinished(path) if is_whole else (read_header(path), {})
        about = parse_json(header["run"].encode())
        request, _ = cause_from_json(about["request"])
        if isinstance(request, PropagationRequest):
            run = UnfinishedRun(request, dict(about), state)
            if run.frame >= 0 and run.remembered:
                return run
    except (CheckpointFileError, ArithmeticError, LookupError, TypeError, ValueError):
        raise unreadable_run() from None
    raise unreadable_run()


def no_unfinished_run() -> UserError:
    return UserError(
        "No interrupted run is kept with this project.\n\nTrack from the frame to go on from."
    )


def unreadable_run() -> UserError:
    return UserError(
        "The interrupted run cannot be gone on with. Every mask it made is safe.\n\n"
        "Track from its last frame instead."
    )


def _checksum(header: Mapping[str, str], state: Mapping[str, Tensor]) -> str:
    """SHA-256 of everything in an unfinished state."""
    digest = hashlib.sha256(json.dumps(sorted(header.items())).encode())
    for name in sorted(state):
        tensor = state[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
