"""The description of a frame in memory. Needs no torch."""

from dataclasses import dataclass
from typing import Literal

MemoryPart = Literal["permanent", "working", "long_term"]


@dataclass(frozen=True, slots=True)
class RememberedFrame:
    """What memory holds of one frame, and what it gives: shares, 0 to 1, of what is read out."""

    frame: int  # -1: a frame without an index
    part: MemoryPart
    elements: int  # of long-term memory, prototypes that were made round this frame's elements
    recent: float  # share of the last ten reads or so; of all frames together it is 1
    average: float  # share of a read, over all since it is in this part of memory
