"""What a run should not pass over: a cut, or a mask that collapses, explodes or jumps."""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from interaction.annotation.requests import AbsenceProposal
from interaction.files import JsonObject
from interaction.project.records import mapping
from interaction.tracking.signs import View, Watch
from interaction.video.cuts import is_cut
from xmem_core.messages import Message

_LOOKED_BACK: Final = 5  # frames
_SMALLEST: Final = 30  # positions of a view's grid; what is smaller comes and goes
# Measured on tracked runs by `python -m benchmarks.brakes`; `docs/effort.md` has the figures.
_COLLAPSED: Final = 0.2  # of the area of before
_EXPLODED: Final = 4.0
_AT_ONCE: Final = 2.0  # times the last area; what comes nearer frame by frame does not explode
_UNSEEN: Final = 1.2  # times the largest area so far; below it an object returns
_KEPT: Final = 0.05  # IoU with the mask of before, moved with the picture
_ALIKE: Final = 0.05  # distance of keys; below it the same thing has moved fast
_COLLAPSE: Final = 0.02  # of the usual area: less are specks
_SPECK_PX: Final = 16
_LEAST_USUAL_PX: Final = 400  # an object that always was small does not collapse
_PAST_FRAMES: Final = 15  # whose median area is the usual one
_COLLAPSED_FRAMES: Final = 3  # in a row, before it is proposed


@dataclass(frozen=True, slots=True)
class WrongMask:
    object_id: int
    reason: Message


@dataclass(slots=True)
class _Past:
    """Of an object's mask, in positions of a view's grid."""

    largest: int = 0
    areas: deque[int] = field(default_factory=lambda: deque(maxlen=_LOOKED_BACK))

    def note(self, area: int) -> None:
        self.areas.append(area)
        self.largest = max(self.largest, area)


class Brakes:
    """Looks at what a `Watch` has just seen. After a reason was given, it is not given again."""

    def __init__(self) -> None:
        self._past: dict[int, _Past] = {}

    def state(self) -> JsonObject:
        """As JSON; `restore` is its inverse."""
        return {str(one): [past.largest, *past.areas] for one, past in self._past.items()}

    def restore(self, state: JsonObject) -> None:
        """ValueError and the like for what no `state` gave."""
        self._past = {}
        mapping(state, "the brakes")
        for one, (largest, *areas) in state.items():
            past = _Past(int(largest))
            past.areas.extend(map(int, areas))
            self._past[int(one)] = past

    def cut(self, watch: Watch) -> Message | None:
        """The frame begins another shot."""
        now, before = watch.view, watch.before
        if now is None or before is None or now.grey is None or before.grey is None:
            return None
        if not is_cut(before.grey, now.grey, watch.flow):
            return None
        self._past.clear()  # what happens to masks at a cut is the cut's doing
        return Message("A cut: this frame begins another shot.")

    def mask(self, watch: Watch, names: dict[int, str]) -> WrongMask | None:
        """What happened to the first of the objects whose mask went wrong. names: by object."""
        now, before = watch.view, watch.before
        if now is None:
            return None
        found: WrongMask | None = None
        for object_id in now.objects:
            mask = now.mask(object_id)
            area = int(np.count_nonzero(mask))
            past = self._past.setdefault(object_id, _Past())
            usual = int(np.median(past.areas)) if past.areas else 0
            name = names.get(object_id, str(object_id))
            reason = None
            if usual >= _SMALLEST and area < _COLLAPSED * usual:
                reason = Message("The mask of “{name}” collapses here.", name=name)
            elif usual >= _SMALLEST and area > max(
                _EXPLODED * usual, _AT_ONCE * past.areas[-1], _UNSEEN * past.largest
            ):
                reason = Message("The mask of “{name}” explodes here.", name=name)
            elif before is not None and _has_jumped(before, now, mask, object_id, watch.flow):
                reason = Message("The mask of “{name}” jumps to another thing here.", name=name)
            if reason is not None:
                past.areas.clear()
                found = found or WrongMask(object_id, reason)
            past.note(area)
        return found


def _has_jumped(
    before: View,
    now: View,
    mask: NDArray[np.bool_],
    object_id: int,
    flow: NDArray[np.float32] | None,
) -> bool:
    old = before.mask(object_id)
    if min(np.count_nonzero(old), np.count_nonzero(mask)) < _SMALLEST:
        return False
    if flow is not None:
        stamp = old.astype(np.float32)
        moved = cv2.remap(stamp, flow[..., 0], flow[..., 1], cv2.INTER_LINEAR)
        old = old | (moved > 0.5)  # flow errs where much moves: either will do
    both = np.count_nonzero(mask & old)
    if both >= _KEPT * np.count_nonzero(mask | old):
        return False
    distance = now.key_distance(before, object_id)
    return distance is None or distance > _ALIKE


class CollapseWatch:
    """Notices objects whose masks shrink to specks on a way through the video.

    proposals: of all ways so far, as far as each goes by now.
    """

    def __init__(self) -> None:
        self._proposals: list[AbsenceProposal] = []
        self._open: dict[int, list[int]] = {}  # frames in a row with specks, by object
        self._areas_px: dict[int, deque[int]] = {}  # of the frames before that

    @property
    def proposals(self) -> tuple[AbsenceProposal, ...]:
        current = (
            AbsenceProposal(one, min(frames), max(frames))
            for one, frames in self._open.items()
            if len(frames) >= _COLLAPSED_FRAMES
        )
        return (*self._proposals, *current)

    def state(self) -> JsonObject:
        """`restore` is its inverse."""
        return {
            "proposals": [list(astuple(one)) for one in self._proposals],
            "open": [[one, frames] for one, frames in self._open.items()],
            "areas_px": [[one, list(areas)] for one, areas in self._areas_px.items()],
        }

    def restore(self, state: JsonObject) -> None:
        self._proposals = [AbsenceProposal(*map(int, one)) for one in state["proposals"]]
        self._open = {int(one): list(map(int, frames)) for one, frames in state["open"]}
        self._areas_px = {
            int(one): deque(map(int, areas), maxlen=_PAST_FRAMES)
            for one, areas in state["areas_px"]
        }

    def begin(self) -> None:
        """Another way through the video."""
        self._proposals = list(self.proposals)
        self._open.clear()
        self._areas_px.clear()

    def note(
        self, frame: int, areas_px: Mapping[int, int], given: Collection[int] = ()
    ) -> frozenset[int]:
        """The objects that are specks on this frame. areas_px: of each object that is tracked.
        given: those whose masks are the annotator's, however small."""
        for one, area_px in areas_px.items():
            past = self._areas_px.setdefault(one, deque(maxlen=_PAST_FRAMES))
            usual_px = float(np.median(past)) if past else 0.0
            limit_px = max(_SPECK_PX, _COLLAPSE * usual_px)
            if one not in given and usual_px >= _LEAST_USUAL_PX and area_px < limit_px:
                self._open.setdefault(one, []).append(frame)
                continue
            frames = self._open.pop(one, [])
            if len(frames) >= _COLLAPSED_FRAMES:
                self._proposals.append(AbsenceProposal(one, min(frames), max(frames)))
            past.append(area_px)
        return frozenset(self._open)
