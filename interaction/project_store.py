"""What a session asks of whatever keeps its work; `interaction.project.project.Project` does."""

from collections.abc import Callable
from typing import Protocol

from interaction.annotation import Annotation
from interaction.history import History
from interaction.types import MaskEdit

__all__ = ["ProjectStore"]


class ProjectStore(Protocol):
    """Nothing here waits for the disk but `flush` and `close`."""

    @property
    def is_read_only(self) -> bool: ...
    @property
    def damages(self) -> tuple[str, ...]: ...
    def load_annotation(self) -> Annotation: ...
    def load_history(self) -> History: ...
    def record(
        self, edit: MaskEdit, position: int, dropped_redo: bool
    ) -> Callable[[], MaskEdit]: ...
    def move_to(self, position: int, edit: MaskEdit) -> None: ...
    def flush(self, timeout_s: float | None = None) -> None: ...
    def close(self) -> None: ...
