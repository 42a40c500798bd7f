"""Presence in imported masks: what files of ours, and of others, say of it."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.types import ObjectInfo, PresenceRange, PresenceState

__all__ = ["FoundPresence", "listed_presence", "merged_presence", "with_states"]

# Of each object of a file, by id and by name: its ranges.
FoundPresence = Mapping[tuple[int, str | None], tuple[PresenceRange, ...]]
_STATES: Final = tuple(PresenceState)
_MOST_LISTED: Final = 255  # objects
_UNSEEN: Final = _STATES.index(PresenceState.NOT_LOOKED_AT)


def listed_presence(listed: object, frame_count: int) -> FoundPresence:
    """From the list that exports of ours have; whatever in it makes no sense is left out."""
    painted: dict[tuple[int, str | None], NDArray[np.uint8]] = {}
    for one in listed if isinstance(listed, list) else []:
        if not isinstance(one, dict):
            continue
        of, first, last = (_whole(one.get(key)) for key in ("object", "first", "last"))
        state, name = one.get("state"), one.get("name")
        if not 1 <= of <= 255 or not 0 <= first <= last or state not in _STATES:
            continue
        key = of, name if isinstance(name, str) else None
        if key not in painted:
            if len(painted) == _MOST_LISTED:
                continue
            painted[key] = np.full(frame_count, _UNSEEN, np.uint8)
        states = painted[key]
        states[first : last + 1] = _STATES.index(PresenceState(state))
    return {key: _ranges(states) for key, states in painted.items()}


def _whole(value: object) -> int:
    """-1 for what is no whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def with_states(
    ranges: tuple[PresenceRange, ...], new: Mapping[int, PresenceState], frame_count: int
) -> tuple[PresenceRange, ...]:
    """`ranges`, and the `new` states on frames of which they say nothing."""
    states = _painted(ranges, frame_count)
    for frame, state in new.items():
        if states[frame] == _UNSEEN:
            states[frame] = _STATES.index(state)
    return _ranges(states)


def merged_presence(
    one: ObjectInfo,
    new: Iterable[PresenceRange],
    frame_count: int,
    leaves: Collection[int],
    shown: Collection[int],
) -> tuple[PresenceRange, ...]:
    """The object's ranges with the new ones. leaves: frames of which nothing is taken over; shown:
    those where the object stays in sight, whatever the new ones say of its absence."""
    states, found = _painted(one.presence, frame_count), _painted(new, frame_count)
    is_listed = found != _UNSEEN
    is_listed[sorted(leaves)] = False
    absent = _STATES.index(PresenceState.ABSENT)
    is_seen = np.zeros(frame_count, np.bool_)
    is_seen[sorted(shown)] = True
    is_listed &= ~(is_seen & (found == absent))
    return _ranges(np.where(is_listed, found, states).astype(np.uint8))


def _painted(ranges: Iterable[PresenceRange], frame_count: int) -> NDArray[np.uint8]:
    states = np.full(frame_count, _UNSEEN, np.uint8)
    for part in ranges:
        states[part.first : part.last + 1] = _STATES.index(part.state)
    return states


def _ranges(states: NDArray[np.uint8]) -> tuple[PresenceRange, ...]:
    starts = np.concatenate([[0], np.flatnonzero(np.diff(states)) + 1]).tolist()
    ends = [*(start - 1 for start in starts[1:]), len(states) - 1]
    return tuple(
        PresenceRange(first, last, _STATES[states[first]])
        for first, last in zip(starts, ends, strict=True)
        if states[first] != _UNSEEN
    )
