"""What is asked of a propagation and what it tells of each step. Needs no torch."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from interaction.types import MaskEdit

__all__ = [
    "DIRECTIONS",
    "UNTIL",
    "Direction",
    "MemoryUse",
    "Propagated",
    "PropagationRequest",
    "Until",
]

Direction = Literal["forward", "backward", "both"]
Until = Literal["end", "next_confirmed", "halfway", "settled"]
DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
UNTIL: Final[tuple[Until, ...]] = get_args(Until)


@dataclass(frozen=True, slots=True)
class PropagationRequest:
    """From where to where, and for which objects.

    until: "next_confirmed" stops before the next frame that the annotator answers for; "halfway"
    in the middle between the two, so that each given frame rules its own surroundings; "settled"
    as soon as the new masks have agreed with the old ones for five frames, and in any case before
    the next frame on which the annotator answers for all that is tracked.
    most_frames: beyond `start`, each way. first, last: the range that is worked on, both in it;
    a start before it moves to its edge. objects: None for all; the others keep their masks.
    """

    start: int
    direction: Direction = "forward"
    until: Until = "end"
    most_frames: int | None = None
    first: int | None = None
    last: int | None = None
    objects: frozenset[int] | None = None

    def __post_init__(self) -> None:
        if self.most_frames is not None and self.most_frames < 1:
            raise ValueError(f"most_frames must be at least 1, got {self.most_frames}")
        if self.direction not in DIRECTIONS:
            raise ValueError(f"direction must be one of {list(DIRECTIONS)}, got {self.direction!r}")
        if self.until not in UNTIL:
            raise ValueError(f"until must be one of {list(UNTIL)}, got {self.until!r}")


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What the tracker remembers, in elements, and the bytes this process holds on its device."""

    permanent: int
    working: int
    long_term: int
    device_bytes: int


@dataclass(frozen=True, slots=True)
class Propagated:
    """One step. edit: None where the frame keeps its mask, or nothing was tracked yet."""

    edit: MaskEdit | None
    frame: int
    done: int
    total: int
    memory: MemoryUse | None
    remark: str | None = None  # for people: something to know that is no error
