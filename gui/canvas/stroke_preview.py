"""What a stroke will have done, shown while it is drawn."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np

from interaction.strokes import Rectangle, paint_segment
from interaction.types import Stroke
from xmem_core.arrays import Labels

__all__ = ["StrokePreview"]

Point = tuple[float, float]


@dataclass
class _Drawing:
    object_id: int
    radius_px: float
    is_positive: bool
    locked: Collection[int]
    labels: Labels
    points: list[Point] = field(default_factory=list)
    is_done: bool = False


class StrokePreview:
    """A copy of the frame's labels that a stroke is painted into, piece by piece.

    It is made by the same rule as the edit that follows, so that nothing changes when the edit
    takes its place.
    """

    def __init__(self, on_change: Callable[[Rectangle | None], None]) -> None:
        """on_change: called with what has to be painted again; None: everything."""
        self._on_change = on_change
        self._drawing: _Drawing | None = None

    @property
    def labels(self) -> Labels | None:
        """None while no stroke is shown."""
        return self._drawing.labels if self._drawing else None

    @property
    def is_active(self) -> bool:
        return self._drawing is not None

    @property
    def is_drawing(self) -> bool:
        """Whether the button is still down; afterwards the stroke waits for its edit."""
        return self._drawing is not None and not self._drawing.is_done

    @property
    def object_id(self) -> int:
        """0 while no stroke is shown."""
        return self._drawing.object_id if self._drawing else 0

    def begin(
        self,
        labels: Labels,
        object_id: int,
        radius_px: float,
        is_positive: bool,
        locked: Collection[int],
    ) -> None:
        self._drawing = _Drawing(
            object_id, radius_px, is_positive, locked, np.array(labels, order="C")
        )
        self._on_change(None)

    def extend(self, point: Point) -> None:
        """On to the next point."""
        drawing = self._drawing
        if drawing is None:
            return
        start = drawing.points[-1] if drawing.points else point
        drawing.points.append(point)
        part = self._paint(drawing, start, point)
        if part is not None:
            self._on_change(part)

    def rebase(self, labels: Labels) -> None:
        """The mask below has changed meanwhile: the same stroke over the new one."""
        drawing = self._drawing
        if drawing is None:
            return
        drawing.labels = np.array(labels, order="C")
        for start, end in zip([drawing.points[0], *drawing.points], drawing.points, strict=False):
            self._paint(drawing, start, end)
        self._on_change(None)

    def finish(self) -> None:
        """The button is up: it stays in sight until the mask has changed."""
        if self._drawing is not None:
            self._drawing.is_done = True

    def stroke(self) -> Stroke | None:
        """What has been drawn so far; None if nothing was."""
        drawing = self._drawing
        if drawing is None or not drawing.points:
            return None
        return Stroke(tuple(drawing.points), drawing.radius_px, drawing.is_positive)

    def end(self) -> None:
        """The frame's own mask is shown again."""
        if self._drawing is not None:
            self._drawing = None
            self._on_change(None)

    @staticmethod
    def _paint(drawing: _Drawing, start: Point, end: Point) -> Rectangle | None:
        return paint_segment(
            drawing.labels,
            drawing.object_id,
            start,
            end,
            drawing.radius_px,
            is_positive=drawing.is_positive,
            locked=drawing.locked,
        )
