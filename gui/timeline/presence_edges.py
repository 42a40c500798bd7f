"""The edges of an object's ranges of presence, to be dragged along its lane."""

from dataclasses import dataclass
from itertools import pairwise

from interaction.annotation.types import ObjectInfo, PresenceState

__all__ = ["PresenceEdge", "edges_of"]


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
