"""The nouns of an annotation: small, immutable, no behaviour beyond their own arithmetic."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from xmem_core.arrays import Frame

Point = tuple[float, float]  # (x, y) in pixels of the source frame


class Frames(Protocol):
    """The pictures of a video by index, as `interaction.video.video.Video` gives them."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Frame: ...


@dataclass(frozen=True, slots=True)
class Request:
    """Base of what can be asked of a session, see `interaction.annotation.requests`."""


@dataclass(frozen=True, slots=True)
class Click:
    """One click on one object, as the annotator made it.

    x, y: pixels of the source frame, origin top left, x to the right; fractions are allowed.
    Row/column order exists only inside `interaction.clicks`.
    """

    x: float
    y: float
    is_positive: bool  # adds to the object; False takes away


@dataclass(frozen=True, slots=True)
class Stroke:
    """One movement of a round brush, from press to release.

    points: (x, y) in pixels of the source frame, in order; one point is a dab.
    """

    points: tuple[Point, ...]
    radius_px: float
    is_positive: bool = True  # adds to the object; False takes away


class PresenceState(StrEnum):
    """What the annotator says of one object on one frame, beside its mask."""

    PRESENT = "present"
    OCCLUDED = "occluded"  # there, but covered in part or whole
    ABSENT = "absent"  # not in the picture: its mask is empty, and no tracker fills it
    NOT_LOOKED_AT = "not looked at"  # the default


class MemoryRule(StrEnum):
    """What the annotator says of a frame's place in the tracker's memory."""

    PINNED = "pinned"  # in permanent memory, as it is: no run replaces its mask
    EXCLUDED = "excluded"  # in no memory, whatever its mask
    FREE = "free"  # no rule


T = TypeVar("T")
State = TypeVar("State", PresenceState, MemoryRule)


@dataclass(frozen=True)  # an alias of it cannot make one with slots
class FrameRange(Generic[State]):
    """Frames `first` to `last`, both in it, have one state."""

    first: int
    last: int
    state: State

    def __post_init__(self) -> None:
        check_range(self.first, self.last)


PresenceRange = FrameRange[PresenceState]
MemoryRange = FrameRange[MemoryRule]


def check_range(first: int, last: int) -> None:
    """ValueError unless there are frames from `first` to `last`."""
    if not 0 <= first <= last:
        raise ValueError(f"frames {first} to {last} are no range")


def _state_at(ranges: tuple[FrameRange[State], ...], frame: int, default: State) -> State:
    index = bisect_right(ranges, frame, key=lambda one: one.first) - 1
    return ranges[index].state if index >= 0 and frame <= ranges[index].last else default


def _with_range(
    ranges: tuple[FrameRange[State], ...], new: FrameRange[State], default: State
) -> tuple[FrameRange[State], ...]:
    """`ranges`, ascending and apart, with `new` in place of what was on its frames; frames of the
    default state are in no range."""
    result = [] if new.state is default else [new]
    for one in ranges:
        if one.first < new.first:
            result.append(replace(one, last=min(one.last, new.first - 1)))
        if one.last > new.last:
            result.append(replace(one, first=max(one.first, new.last + 1)))
    joined: list[FrameRange[State]] = []
    for one in sorted(result, key=lambda one: one.first):
        if joined and joined[-1].last + 1 == one.first and joined[-1].state is one.state:
            joined[-1] = replace(joined[-1], last=one.last)
        else:
            joined.append(one)
    return tuple(joined)


def with_presence(
    ranges: tuple[PresenceRange, ...], first: int, last: int, state: PresenceState
) -> tuple[PresenceRange, ...]:
    """`ranges`, ascending and apart, with frames `first` to `last` in another state."""
    return _with_range(ranges, PresenceRange(first, last, state), PresenceState.NOT_LOOKED_AT)


@dataclass(frozen=True, slots=True)
class MemoryRules:
    """Which frames the annotator has pinned to memory and which are kept out of it."""

    ranges: tuple[MemoryRange, ...] = ()  # ascending, apart

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def at(self, frame: int) -> MemoryRule:
        return _state_at(self.ranges, frame, MemoryRule.FREE)

    def is_excluded(self, frame: int) -> bool:
        return self.at(frame) is MemoryRule.EXCLUDED

    def changed(self, first: int, last: int, rule: MemoryRule) -> "MemoryRules":
        """The same, with frames `first` to `last` under another rule."""
        new = MemoryRange(first, last, rule)
        return MemoryRules(_with_range(self.ranges, new, MemoryRule.FREE))

    @property
    def pinned(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(
            frame
            for one in self.ranges
            if one.state is MemoryRule.PINNED
            for frame in range(one.first, one.last + 1)
        )

    @property
    def excluded(self) -> tuple[range, ...]:
        """Ascending."""
        return tuple(
            range(one.first, one.last + 1)
            for one in self.ranges
            if one.state is MemoryRule.EXCLUDED
        )


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Something to cut out: what the annotator calls it and how it is shown."""

    id: int  # 1 to 255, the pixel value in masks
    name: str
    color: tuple[int, int, int]  # RGB, 0..255
    is_locked: bool = False  # no edit, click or propagation changes its pixels
    is_visible: bool = True
    presence: tuple[PresenceRange, ...] = ()  # ascending, apart
    # What another object covers of it is kept, beneath that object, instead of lost.
    keeps_covered: bool = False

    def state_at(self, frame: int) -> PresenceState:
        return _state_at(self.presence, frame, PresenceState.NOT_LOOKED_AT)


class FrameStatus(StrEnum):
    """Where a frame's mask comes from, in rising order of trust."""

    EMPTY = "empty"  # nothing was annotated and nothing was tracked
    TRACKED = "tracked"  # by a propagation; another may replace it
    CORRECTED = "corrected"  # made or changed by hand: the truth of its `given` objects
    CONFIRMED = "confirmed"  # declared whole: an object that is not in it is absent

    @property
    def is_given(self) -> bool:
        """The annotator answers for it: it is remembered for ever and never overwritten."""
        return self in (FrameStatus.CORRECTED, FrameStatus.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Prompts:
    """The clicks that one object has been given on a frame since something else changed it.

    Their mask follows from `start` and `clicks` alone, so a click can be taken out singly.
    """

    object_id: int
    start: bytes | None  # the frame's mask, palette PNG, before the first of the clicks
    start_status: FrameStatus
    clicks: tuple[Click, ...]
    start_given: frozenset[int] = frozenset()  # what the frame answered for then
    start_beneath: tuple[bytes, ...] = ()  # what lay beneath the mask then


@dataclass(frozen=True, slots=True)
class Signs:
    """What was noted of one object while it was tracked, see `interaction.tracking.trust`."""

    object_id: int
    packed: bytes  # float64 each, in the order of `interaction.tracking.trust.SIGNS`
    key: bytes = b""  # what the object looks like: its mean key, scaled to signed bytes

    @classmethod
    def of(cls, object_id: int, values: Iterable[float], key: bytes = b"") -> "Signs":
        return cls(object_id, array("d", values).tobytes(), key)

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(array("d", self.packed))


@dataclass(frozen=True, slots=True)
class Matte:
    """How sure a network was of one object, pixel by pixel, when its mask was made."""

    object_id: int
    packed: bytes  # see `interaction.annotation.mattes`
    mask: bytes  # the frame's mask then: where the object has changed since, it does not count


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """All that is known about one frame. A mask at rest is its palette-PNG file, as bytes."""

    mask: bytes | None = None  # None: nothing was annotated, which is not an empty mask
    status: FrameStatus = FrameStatus.EMPTY
    present: frozenset[int] = frozenset()  # the objects that have pixels in the mask
    doubt: float = 0.0  # 0 (sure) to 1, how little the tracker trusts its mask
    prompts: Prompts | None = None
    # Of a corrected frame, the objects that the annotator answers for, those that were taken off
    # it included: what was on it when it was first corrected, and what was touched since. Others
    # come from a tracker, which may replace them. Of a confirmed frame it is all of them.
    given: frozenset[int] = frozenset()
    signs: tuple[Signs, ...] = ()  # of objects that a tracker has put here, or looked for
    # Under the mask, front to back: palette PNGs of the pixels that other objects cover, see
    # `interaction.annotation.overlaps`. Empty of nearly every frame.
    beneath: tuple[bytes, ...] = ()
    covered: frozenset[int] = frozenset()  # the objects that have pixels there
    # On request, ascending by object. A frame is the same without them: they can be lost.
    mattes: tuple[Matte, ...] = field(default=(), compare=False)

    @property
    def objects(self) -> frozenset[int]:
        """Those that have pixels on the frame, visible or covered."""
        return self.present | self.covered if self.covered else self.present

    def answers_for(self, objects: Set[int]) -> bool:
        """Whether the annotator answers for all of `objects` here: no tracker has a say."""
        is_corrected = self.status is FrameStatus.CORRECTED
        return self.status is FrameStatus.CONFIRMED or (is_corrected and objects <= self.given)


EMPTY_RECORD = FrameRecord()


@dataclass(frozen=True, slots=True)
class Edit:
    """One undoable change of masks, on one frame or on a thousand, of the list of objects, or of
    the memory rules.

    Records never change, so an edit holds references, not copies, and its inverse is exact.
    Edits with the same `group` are one step of the history: a propagation makes one a frame.
    """

    label: str  # what Undo calls it, e.g. "Click on ‘bear’"
    before: Mapping[int, FrameRecord] = field(default_factory=dict)  # by frame index
    after: Mapping[int, FrameRecord] = field(default_factory=dict)  # the same keys
    objects_before: tuple[ObjectInfo, ...] | None = None  # None: the list of objects is the same
    objects_after: tuple[ObjectInfo, ...] | None = None
    group: str | None = None
    cause: Request | None = None  # what was asked for: it can be done again with other weights
    locked: frozenset[int] = frozenset()  # the objects that were locked when it was asked for
    seconds: float = field(default=0.0, compare=False)  # how long the program computed it
    memory_before: MemoryRules | None = None  # None: the rules are the same
    memory_after: MemoryRules | None = None

    @property
    def frames(self) -> frozenset[int]:
        return frozenset(self.after)

    def inverse(self) -> "Edit":
        return replace(
            self,
            before=self.after,
            after=self.before,
            objects_before=self.objects_after,
            objects_after=self.objects_before,
            memory_before=self.memory_after,
            memory_after=self.memory_before,
        )

    def then(self, *later: "Edit") -> "Edit":
        """All of them, in this order, as one edit with this one's label, group and cause."""
        edits = (self, *later)
        before, after = dict(self.before), dict(self.after)
        for edit in later:
            for frame, record in edit.before.items():
                before.setdefault(frame, record)
            after.update(edit.after)
        return replace(
            self,
            before=before,
            after=after,
            objects_before=_first(edit.objects_before for edit in edits),
            objects_after=_first(edit.objects_after for edit in reversed(edits)),
            memory_before=_first(edit.memory_before for edit in edits),
            memory_after=_first(edit.memory_after for edit in reversed(edits)),
            seconds=sum(edit.seconds for edit in edits),
        )


def _first(values: Iterator[T | None]) -> T | None:
    """The first that is not None, if there is one."""
    return next((value for value in values if value is not None), None)
