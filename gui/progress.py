"""What the program is at, and how far."""

from dataclasses import dataclass
from enum import Enum

from interaction.session import MemoryUse

__all__ = ["Busy", "Progress"]


class Busy(Enum):
    """What the program is at, as far as it matters to what can be asked of it."""

    IDLE = "idle"
    CLICKING = "clicking"
    PROPAGATING = "propagating"
    LEARNING = "learning"  # from the given frames
    PAUSED = "paused"  # of tracking or learning
    WORKING = "working"  # changing masks on many frames
    EXPORTING = "exporting"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long job is. Unknown figures are None."""

    label: str
    done: int
    total: int
    frames_per_second: float | None = None
    seconds_left: float | None = None
    memory: MemoryUse | None = None  # while propagating
