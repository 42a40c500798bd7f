"""Notices where the tracker has trouble with an object, from corrections and from doubt."""

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, Signal

from gui.language import tr
from gui.work.document import Document
from gui.work.tracking import Tracking
from interaction.annotation.types import Edit, FrameStatus

__all__ = ["Struggle", "Trouble"]

CORRECTIONS: Final = 3
WITHIN_FRAMES: Final = 10
DOUBT_LINE: Final = 0.25  # an expected IoU below 0.75
DOUBTFUL_SHARE: Final = 1 / 3
LEAST_FRAMES: Final = 6  # of a run: less is no ground for an opinion


@dataclass(frozen=True, slots=True)
class Trouble:
    """text: what was noticed, for people."""

    objects: frozenset[int]
    text: str


class Struggle(QObject):
    """Three frames within ten on which a tracked object was corrected, or a run of which a third
    is in doubt. Each object is noticed once in a session."""

    noticed = Signal(object)  # Trouble

    def __init__(
        self, document: Document, tracking: Tracking, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._document = document
        self._corrected: dict[int, set[int]] = {}  # by object, tracked frames corrected since
        self._known: set[int] = set()  # objects that were noticed
        document.edited.connect(self._note)
        tracking.ended.connect(self._judge)

    def _note(self, edit: Edit) -> None:
        """A frame counts once, however many clicks its correction took, and no more once the
        correction is taken back."""
        for frame, before in edit.before.items():
            after = edit.after[frame]
            if before.status is FrameStatus.TRACKED and after.status is FrameStatus.CORRECTED:
                for object_id in after.given:
                    self._corrected.setdefault(object_id, set()).add(frame)
                    self._look_at(object_id, frame)

    def _look_at(self, object_id: int, frame: int) -> None:
        annotation = self._document.annotation
        near = [
            other
            for other in self._corrected[object_id]
            if abs(other - frame) < WITHIN_FRAMES and object_id in annotation.record(other).given
        ]
        stretches = (
            [other for other in near if 0 <= other - first < WITHIN_FRAMES] for first in near
        )
        count = max(map(len, stretches), default=0)
        info = self._document.object(object_id)
        if count >= CORRECTIONS and info is not None:
            self._say(
                frozenset({object_id}),
                tr(
                    "“{name}” was corrected on {count} frames within {frames}: it is hard to "
                    "follow.",
                    name=info.name,
                    count=count,
                    frames=WITHIN_FRAMES,
                ),
            )

    def _judge(self, frames: frozenset[int]) -> None:
        """frames: of a run that has ended."""
        records = [self._document.annotation.record(frame) for frame in frames]
        tracked = [record for record in records if record.status is FrameStatus.TRACKED]
        doubtful = [record for record in tracked if record.doubt > DOUBT_LINE]
        if len(tracked) >= LEAST_FRAMES and len(doubtful) >= DOUBTFUL_SHARE * len(tracked):
            self._say(
                frozenset().union(*(record.present for record in tracked)),
                tr(
                    "The tracker was in doubt on {count} of {total} frames.",
                    count=len(doubtful),
                    total=len(tracked),
                ),
            )

    def _say(self, objects: frozenset[int], text: str) -> None:
        if not objects <= self._known:
            self._known |= objects
            self.noticed.emit(Trouble(objects, text))
