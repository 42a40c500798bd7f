"""What can be asked of a session: a command, the cause of its edits, and a step of a replay.

A request says all that its answer depends on, but for what is annotated already and the networks.
Needs no torch.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from interaction.annotation.types import (
    Click,
    Edit,
    MemoryRule,
    ObjectInfo,
    Point,
    PresenceState,
    Request,
    Stroke,
    check_range,
)
from xmem_core.arrays import Window
from xmem_core.config import RememberedFrame

# Answered by the networks


@dataclass(frozen=True, slots=True)
class ClickRequest(Request):
    frame: int
    object_id: int
    click: Click


@dataclass(frozen=True, slots=True)
class RemoveClickRequest(Request):
    """Takes one of the frame's clicks out; the others are answered again."""

    frame: int
    index: int


@dataclass(frozen=True, slots=True)
class BoxRequest(Request):
    """Cuts out what a box holds; corner and opposite are any two opposite corners of it."""

    frame: int
    object_id: int
    corner: Point
    opposite: Point


@dataclass(frozen=True, slots=True)
class ScribbleRequest(Request):
    frame: int
    object_id: int
    strokes: tuple[Stroke, ...]


Direction = Literal["forward", "backward", "both"]
Until = Literal["end", "next_confirmed", "halfway", "settled"]
DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
UNTIL: Final[tuple[Until, ...]] = get_args(Until)


@dataclass(frozen=True, slots=True)
class PropagationRequest(Request):
    """From where to where, and for which objects.

    until: "next_confirmed" stops before the next frame that the annotator answers for; "halfway"
    in the middle between the two, so that each given frame rules its own surroundings; "settled"
    as soon as the new masks have agreed with the old ones for five frames, and in any case before
    the next frame on which the annotator answers for all that is tracked.
    most_frames: beyond `start`, each way. first, last: the range that is worked on, both in it;
    a start before it moves to its edge. objects: None for all; the others keep their masks.
    looks_closer: inside a box that follows the objects, for those that are small in the picture.
    blends: what lies between two given frames is also tracked from the farther one, and both passes
    become one; takes twice the time there. Not with "halfway", which cuts, or "settled".
    covered_only: only what others cover, on frames that were tracked before; masks stay.
    """

    start: int
    direction: Direction = "forward"
    until: Until = "end"
    most_frames: int | None = None
    first: int | None = None
    last: int | None = None
    objects: frozenset[int] | None = None
    looks_closer: bool = False
    blends: bool = False
    covered_only: bool = False

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
    """One step. edit: None where the frame keeps its mask, or nothing was tracked yet. box: the
    part of the frame that was looked at, None for all of it."""

    edit: Edit | None
    frame: int
    done: int
    total: int
    memory: MemoryUse | None
    remark: str | None = None  # for people: something to know that is no error
    box: Window | None = None
    brake: str | None = None  # for people: why the run had better stand still at this frame
    is_cut: bool = False  # and that is because another shot begins: the frame has no mask yet
    wrong_object: int = 0  # or because this object's mask goes wrong
    absences: tuple["AbsenceProposal", ...] = ()  # as far as they go by now
    remembered: "Remembered | None" = None  # if it was asked for
    so_far: PropagationRequest | None = None  # the same over the frames that were reached by now
    can_resume: bool = False  # cut short now, the run is kept, to go on from here
    is_memorizing: bool = False  # a given mask was put into memory, and nothing tracked


@dataclass(frozen=True, slots=True)
class Remembered:
    """The frames in the tracker's memory, and what each gives. is_known: False of a model that
    does not tell."""

    frames: tuple[RememberedFrame, ...]
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class AbsenceProposal:
    """The object's mask has shrunk to specks, or to nothing, on frames `first` to `last`: it may
    be absent. `PresenceRequest` says so."""

    object_id: int
    first: int
    last: int


# By hand, on one frame


@dataclass(frozen=True, slots=True)
class StrokeRequest(Request):
    """Brush, or eraser if the stroke is not positive."""

    frame: int
    object_id: int
    stroke: Stroke


@dataclass(frozen=True, slots=True)
class FillRequest(Request):
    """The inside of a polygon becomes the object, or is taken from it."""

    frame: int
    object_id: int
    polygon: tuple[Point, ...]
    is_positive: bool = True


Operation = Literal[
    "fill_holes",
    "flood_fill",
    "grow",
    "keep_largest",
    "remove_part",
    "remove_specks",
    "shrink",
    "smooth",
    "to_back",
    "to_front",
]
OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)
_WITH_SIZE: Final = ("grow", "remove_specks", "shrink", "smooth")
_WITH_POINT: Final = ("flood_fill", "remove_part")


@dataclass(frozen=True, slots=True)
class SurgeryRequest(Request):
    """One object's shape on one frame, changed by a function of `interaction.annotation.surgery`,
    or where it lies among those that it overlaps.

    size_px: how far to grow, shrink or smooth; the pixels of the largest hole to fill (None: any)
    or of the smallest speck to keep. point: where to flood, or a part to remove. last: also on the
    frames after `frame` up to this one that have a mask.
    """

    operation: Operation
    frame: int
    object_id: int
    size_px: float | None = None
    point: Point | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise ValueError(
                f"operation must be one of {', '.join(OPERATIONS)}, got {self.operation!r}"
            )
        takes_size, takes_point = self.operation in _WITH_SIZE, self.operation in _WITH_POINT
        if (self.size_px is not None) != takes_size and self.operation != "fill_holes":
            raise ValueError(f"{self.operation} {'needs' if takes_size else 'takes no'} size_px")
        if (self.point is not None) != takes_point:
            raise ValueError(f"{self.operation} {'needs' if takes_point else 'takes no'} point")


@dataclass(frozen=True, slots=True)
class ConfirmRequest(Request):
    """Declares the frame whole: what is not in its mask is not there."""

    frame: int


@dataclass(frozen=True, slots=True)
class UnconfirmRequest(Request):
    """The mask stays, but counts as tracked: a propagation may replace it."""

    frame: int


@dataclass(frozen=True, slots=True)
class ClearRequest(Request):
    """Takes one object, or all that are not locked, off the frame. last: one object, also off the
    frames after it up to this one."""

    frame: int
    object_id: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if self.last is not None and self.object_id is None:
            raise ValueError("a range of frames is cleared of one object, object_id is None")


@dataclass(frozen=True, slots=True)
class CopyRequest(Request):
    """All objects of another frame in place of this one's, or one object."""

    from_frame: int
    frame: int
    object_id: int | None = None


@dataclass(frozen=True, slots=True)
class MaskRequest(Request):
    """The frame gets a mask that a script has made; the mask itself is only in the edit."""

    frame: int


# Objects


@dataclass(frozen=True, slots=True)
class ObjectsRequest(Request):
    """Another list of objects: one is added, changed or moved."""

    objects: tuple[ObjectInfo, ...]


@dataclass(frozen=True, slots=True)
class PresenceRequest(Request):
    """Frames `first` to `last`, both in it, get a state of the object. Where it is absent its mask
    becomes empty, and tracking leaves it so."""

    object_id: int
    first: int
    last: int
    state: PresenceState

    def __post_init__(self) -> None:
        check_range(self.first, self.last)


@dataclass(frozen=True, slots=True)
class OverlapRequest(Request):
    """Whether the object keeps, from now on, what others cover of it. If not, it loses what is
    covered of it on every frame."""

    object_id: int
    keeps_covered: bool


@dataclass(frozen=True, slots=True)
class MemoryRequest(Request):
    """Frames `first` to `last`, both in it, get a place in memory, or are kept out of it, also in a
    run that goes on."""

    first: int
    last: int
    rule: MemoryRule

    def __post_init__(self) -> None:
        check_range(self.first, self.last)


@dataclass(frozen=True, slots=True)
class DeleteRequest(Request):
    object_id: int


@dataclass(frozen=True, slots=True)
class MergeRequest(Request):
    """The object's pixels become those of `into`, and it leaves the list."""

    object_id: int
    into: int


@dataclass(frozen=True, slots=True)
class SwapRequest(Request):
    """From a frame on, each of two objects is the other."""

    first: int
    second: int
    from_frame: int = 0


@dataclass(frozen=True, slots=True)
class SplitRequest(Request):
    """Each further part of the object on this frame becomes an object of its own."""

    frame: int
    object_id: int


# From elsewhere: their masks are only in the edit, and cannot be made again


@dataclass(frozen=True, slots=True)
class ImportRequest(Request):
    """path: where the masks came from. format: of the masks, or "workspace", "project" or
    "outside" (another program changed the project's own files)."""

    path: str
    format: str


@dataclass(frozen=True, slots=True)
class VersionRequest(Request):
    """Back to a version of the project."""

    name: str


@dataclass(frozen=True, slots=True)
class UnknownRequest(Request):
    """The cause of an edit in a journal, of a kind that this program does not know, or damaged.

    text: its JSON, kept as it was. problem: what is wrong with it, for people.
    """

    text: str
    problem: str = field(compare=False)
