"""What is dragged on the timeline, among it the edges of an object's ranges of presence."""

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from gui.work.document import Document
from interaction.annotation.types import ObjectInfo, PresenceState

__all__ = ["Drag", "Dragged", "PresenceEdge", "edges_of"]


@dataclass(frozen=True, slots=True)
class PresenceEdge:
    """Between frame `at` - 1, where the object is `before`, and frame `at`, where it is `after`.

    lowest, highest: how far it can be dragged; something of what it divides is left, and
    neighbours stay as they are.
    """

    object_id: int
    at: int
    before: PresenceState
    after: PresenceState
    lowest: int
    highest: int

    def change(self, to: int) -> tuple[int, int, PresenceState] | None:
        """First and last frame that get another state when it is dragged to lie before frame `to`,
        and the state; None: nothing changes."""
        to = max(self.lowest, min(to, self.highest))
        if to == self.at:
            return None
        if to > self.at:
            return self.at, to - 1, self.before
        return to, self.at - 1, self.after


def edges_of(info: ObjectInfo, frame_count: int) -> list[PresenceEdge]:
    """Ascending. Those of the video itself are none."""
    unseen = PresenceState.NOT_LOOKED_AT
    # All stretches from the first frame to the last, those without a state included.
    stretches: list[tuple[int, int, PresenceState]] = []
    end = 0
    for part in info.presence:
        if part.first > end:
            stretches.append((end, part.first, unseen))
        end = min(part.last + 1, frame_count)
        stretches.append((part.first, end, part.state))
    if end < frame_count:
        stretches.append((end, frame_count, unseen))
    edges = []
    for left, right in pairwise(stretches):
        # A stretch without a state may vanish; one with a state keeps a frame.
        lowest = left[0] if left[2] is unseen else left[0] + 1
        highest = right[1] if right[2] is unseen else right[1] - 1
        edges.append(PresenceEdge(info.id, right[0], left[2], right[2], lowest, highest))
    return edges


class Dragged(Enum):
    PLAYHEAD = 1
    RANGE = 2
    RANGE_IN = 3
    RANGE_OUT = 4
    PRESENCE = 5  # a stretch of an object's lane
    PRESENCE_EDGE = 6  # where a range of presence begins or ends


class Drag:
    """From press to release. What is abandoned in between is as if it had never begun."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._what: Dragged | None = None
        self._from = 0  # frame
        self._frame_before = 0
        self._range_before: tuple[int | None, int | None] = (None, None)
        self._is_held = False
        self._object_id, self._to = 0, 0
        self._edge: PresenceEdge | None = None

    @property
    def is_held(self) -> bool:
        """Whether the button is down, though what it moved may have been abandoned."""
        return self._is_held

    @property
    def is_of_edge(self) -> bool:
        return self._what is Dragged.PRESENCE_EDGE

    @property
    def stretch(self) -> tuple[int, int, int] | None:
        """The object, and the first and last frame of its lane that are being dragged over."""
        if self._what is not Dragged.PRESENCE:
            return None
        return self._object_id, min(self._from, self._to), max(self._from, self._to)

    @property
    def change(self) -> tuple[int, int, int, PresenceState] | None:
        """The object whose edge of presence is dragged, the frames that get another state by it,
        and which; None: nothing changes."""
        if self._what is not Dragged.PRESENCE_EDGE or self._edge is None:
            return None
        change = self._edge.change(self._to)
        return None if change is None else (self._edge.object_id, *change)

    def begin_edge(self, edge: PresenceEdge) -> None:
        self.begin(Dragged.PRESENCE_EDGE, edge.at)
        self._edge = edge

    def begin(self, what: Dragged, frame: int, object_id: int = 0) -> None:
        """object_id: whose lane a stretch of is dragged over."""
        document = self._document
        self._object_id, self._to = object_id, frame
        self._what, self._from, self._is_held = what, frame, True
        self._frame_before = document.frame
        self._range_before = document.range_in, document.range_out
        if what is Dragged.PLAYHEAD:
            document.set_frame(frame)

    def move(self, frame: int) -> None:
        """frame: the one under the pointer; of an edge, the one it is to lie before."""
        document = self._document
        if self._what is Dragged.PLAYHEAD:
            document.set_frame(frame)
        elif self._what is Dragged.PRESENCE:
            self._to = max(0, min(frame, document.frame_count - 1))
        elif self._what is Dragged.PRESENCE_EDGE:
            self._to = frame
        elif self._what is Dragged.RANGE:
            document.set_range(*sorted((self._from, frame)))
        elif self._what is Dragged.RANGE_IN:
            document.set_range(min(frame, document.whole_range[1]), document.range_out)
        elif self._what is Dragged.RANGE_OUT:
            document.set_range(document.range_in, max(frame, document.range_in or 0))

    def end(self) -> None:
        self._what, self._is_held = None, False

    def abandon(self) -> bool:
        """False if the button is not down."""
        if self._what is Dragged.PLAYHEAD:
            self._document.set_frame(self._frame_before)
        elif self._what not in (None, Dragged.PRESENCE, Dragged.PRESENCE_EDGE):
            self._document.set_range(*self._range_before)
        self._what = None
        return self._is_held
