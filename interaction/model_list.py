"""Which models there are: the entries of `resources/models.json`, typed."""

import json
from dataclasses import dataclass
from typing import Literal

from resources import models_file

__all__ = ["Model", "ModelNeeds", "read_model_list"]


@dataclass(frozen=True, slots=True)
class ModelNeeds:
    """What a model needs while it works: `python -m benchmarks.model_needs`, and its publisher."""

    cpu_memory_bytes: int  # the whole program's peak
    cpu_seconds: float  # of one core, for a frame, a click or a stroke
    published_gpu_per_second: float | None  # frames a second that its publisher reached on a GPU
    note: str  # how it was measured


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of `resources/models.json`. None: not published or, for `address`, bundled."""

    name: str
    file: str
    kind: Literal["tracker", "click", "scribble"]
    address: str | None
    size_bytes: int | None
    parameters: int | None  # numbers in it; four bytes each in a published checkpoint
    licence: str
    sha256: str | None
    md5: str | None
    entries: int | None  # tensors in the file
    description: str
    needs: ModelNeeds | None = None  # None: nobody has measured it

    @property
    def is_bundled(self) -> bool:
        return self.address is None


def read_model_list() -> tuple[Model, ...]:
    """Every model of `resources/models.json`, in the order of the file."""
    entries = json.loads(models_file().read_text("utf-8"))["models"]
    return tuple(
        Model(**{**entry, "needs": ModelNeeds(**entry["needs"]) if "needs" in entry else None})
        for entry in entries
    )
