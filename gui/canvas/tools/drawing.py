"""Tools that draw: scribble, brush, eraser, lasso."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor

from gui.canvas.tools import REMOVING, CanvasTool, Point, Pointer, Stage
from interaction.annotation.strokes import LEAST_RADIUS_PX
from interaction.annotation.types import Stroke
from xmem_core.messages import Message

__all__ = [
    "BrushTool",
    "EraserTool",
    "LassoTool",
    "ScribbleTool",
]

_ALT = Qt.KeyboardModifier.AltModifier
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_CLOSING_PX = 10.0  # of the window: so near to the first corner, a polygon is closed


class ScribbleTool(CanvasTool):
    """A rough line along the object; with the right button, along what is not the object."""

    name = "scribble"
    hint = Message(
        "Draw roughly along the object; with the right button, along what does not belong."
    )
    is_pointing = False

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._points: list[Point] = []

    @property
    def radius_px(self) -> float:
        """Of the line, in source pixels."""
        video = self.stage.document.video
        return max(1.5, min(video.width, video.height) / 240)

    def begin(self, at: Pointer) -> None:
        self._points = [at.point]
        self._show(at.is_right)

    def go_on(self, start: Pointer, at: Pointer) -> None:
        point = self.stage.clamped(*at.point)
        if point != self._points[-1]:
            self._points.append(point)
            self._show(start.is_right)

    def finish(self, start: Pointer, at: Pointer) -> None:
        stroke = Stroke(tuple(self._points), self.radius_px, not start.is_right)
        self._points = []
        self.stage.expect_answer(at.point)
        self.stage.annotator.prompts.scribble((stroke,))

    def _show(self, is_removing: bool) -> None:
        color = REMOVING if is_removing else self.color
        self.stage.sketch.show_strokes([(self._points, color, 2 * self.radius_px)])


class BrushTool(CanvasTool):
    """Paints exactly the pixels under the ring."""

    name = "brush"
    hint = Message(
        "Paint; right button or Alt erases, Shift draws straight on, [ ] changes the size."
    )
    cursor = Qt.CursorShape.BlankCursor
    has_ring = True
    is_pointing = False
    snatches = True  # strokes may begin outside: the edge of the frame is where they are hard
    paints = True

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._last_end: tuple[int, Point] | None = None  # frame, where the last stroke ended

    def is_removing(self, modifiers: Qt.KeyboardModifier) -> bool:
        return bool(modifiers & _ALT) == self.paints

    def begin(self, at: Pointer) -> None:
        document = self.stage.document
        is_positive = self.is_removing(at.modifiers) == at.is_right
        object_id = document.current_object or self.stage.next_object_id()
        locked = document.annotation.locked
        if document.session.ledger.is_read_only:
            locked |= {object_id}  # nothing is painted that will not be there afterwards
        radius_px = max(document.brush_radius_px, LEAST_RADIUS_PX)
        self.stage.preview.begin(self.stage.labels(), object_id, radius_px, is_positive, locked)
        last = self._straight_from(at)
        self.stage.sketch.clear()
        if last is not None:
            self.stage.preview.extend(last)
        self.stage.preview.extend(at.point)

    def go_on(self, start: Pointer, at: Pointer) -> None:
        drawn = self.stage.preview.stroke()
        if drawn is None or drawn.points[-1] != at.point:
            self.stage.preview.extend(at.point)

    def finish(self, start: Pointer, at: Pointer) -> None:
        self.go_on(start, at)
        stroke = self.stage.preview.stroke()
        if stroke is None:
            return
        self._last_end = (self.stage.document.frame, stroke.points[-1])
        self.stage.preview.finish()
        self.stage.expect_masks()
        self.stage.annotator.hand.stroke(stroke)

    def hover(self, at: Pointer) -> None:
        last = self._straight_from(at)
        if last is None:
            self.stage.sketch.clear()
        else:
            self.stage.sketch.show_line(last, at.point)

    def _straight_from(self, at: Pointer) -> Point | None:
        if self._last_end is None or not at.holds(_SHIFT):
            return None
        frame, point = self._last_end
        return point if frame == self.stage.document.frame else None


class EraserTool(BrushTool):
    """The brush that takes away; with Alt or the right button it paints."""

    name = "eraser"
    hint = Message(
        "Erase; right button or Alt paints, Shift draws straight on, [ ] changes the size."
    )
    paints = False


class LassoTool(CanvasTool):
    """What is drawn around is painted; single clicks instead of a drag set corners."""

    name = "lasso"
    hint = Message(
        "Draw around it, or click corners: Enter closes, Backspace takes one back; Alt takes away."
    )
    is_pointing = False
    snatches = True

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._points: list[Point] = []
        self._hovered: Point | None = None
        self._is_positive = True
        self._is_polygon = False

    @property
    def is_active(self) -> bool:
        return super().is_active or self._is_polygon

    def begin(self, at: Pointer) -> None:
        if self._is_polygon:
            return
        self._points = [at.point]
        self._is_positive = not (at.is_right or at.holds(_ALT))

    def go_on(self, start: Pointer, at: Pointer) -> None:
        if self._is_polygon:
            self.hover(at)
        elif at.point != self._points[-1]:
            self._points.append(at.point)
            self._show(self._points)

    def finish(self, start: Pointer, at: Pointer) -> None:
        if self._is_polygon:
            if self._is_at_first(at):
                self._close()
            else:
                self._points.append(at.point)
                self._show(self._points)
        elif self.is_drag_of(self._points) or self.is_drag(start, at):
            self.go_on(start, at)
            self._close()
        else:
            self._points = [start.point]
            self._is_polygon = True
            self._show(self._points)

    def hover(self, at: Pointer) -> None:
        self._hovered = at.point
        if self._is_polygon:
            self._show([*self._points, at.point])

    def double_click(self, at: Pointer) -> None:
        """The first press of the two has set the last corner."""
        if self._is_polygon:
            self._close()
        else:
            self.press(at)

    @property
    def has_corners(self) -> bool:
        return self._is_polygon

    def drop_corner(self) -> None:
        if not self._is_polygon:
            return
        self._points.pop()
        if self._points:
            self._show(self._points if self._hovered is None else [*self._points, self._hovered])
        else:
            self.cancel()

    def close(self) -> None:
        if self._is_polygon and len(self._points) >= 3:
            self.let_go()
            self._close()

    def abandon(self) -> None:
        """Of a polygon, the corner that is being set."""
        if self._is_polygon:
            self.let_go()
        else:
            self.cancel()

    def cancel(self) -> None:
        self._points, self._is_polygon = [], False
        super().cancel()

    def is_drag_of(self, points: list[Point]) -> bool:
        """Whether it went anywhere, though it may have come back."""
        x, y = points[0]
        reach = 6.0 / self.stage.scale()
        return any(abs(other[0] - x) > reach or abs(other[1] - y) > reach for other in points)

    def _is_at_first(self, at: Pointer) -> bool:
        x, y = self._points[0]
        reach = _CLOSING_PX / self.stage.scale()
        return len(self._points) > 2 and abs(at.x - x) <= reach and abs(at.y - y) <= reach

    def _show(self, points: list[Point]) -> None:
        color = self.color if self._is_positive else QColor(REMOVING)
        self.stage.sketch.show_lasso(points, color)

    def _close(self) -> None:
        points, self._points, self._is_polygon = self._points, [], False
        if len(points) < 3:
            self.stage.sketch.clear()
            return
        self.stage.expect_masks()
        self.stage.annotator.hand.fill(tuple(points), self._is_positive)
