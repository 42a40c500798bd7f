"""Tools that point: select, click, box, fill."""

from typing import Final

from PySide6.QtCore import QPointF, Qt

from gui.canvas.tools import CanvasTool, Pointer, Stage
from xmem_core.messages import Message

__all__ = ["BoxTool", "ClickTool", "FillTool", "SelectTool"]

_SMALLEST_BOX_PX: Final = 3.0  # of the window


class SelectTool(CanvasTool):
    """A click makes the object under the cursor the current one; a drag moves the picture."""

    name = "select"
    hint = Message("Click an object to make it current. Drag to move the picture.")
    uses_right_button = False
    cursor = Qt.CursorShape.ArrowCursor
    snatches = True
    changes_object = False

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._last = QPointF()
        self._is_panning = False

    @property
    def active_cursor(self) -> Qt.CursorShape:
        return Qt.CursorShape.ClosedHandCursor if self._is_panning else self.cursor

    def begin(self, at: Pointer) -> None:
        self._last, self._is_panning = at.window, False

    def go_on(self, start: Pointer, at: Pointer) -> None:
        self._is_panning = self._is_panning or self.is_drag(start, at)
        if self._is_panning:
            self.stage.pan_by(at.window - self._last)
            self._last = at.window

    def finish(self, start: Pointer, at: Pointer) -> None:
        if not self._is_panning and not start.is_right:
            found = self.stage.object_at(start.x, start.y)
            if found:
                self.stage.document.set_current_object(found)
        self._is_panning = False


class ClickTool(CanvasTool):
    """Left adds what is under the cursor to the object, right takes it away. With Shift, left does
    what is shown under a pointer that rests, also before that is shown."""

    name = "click"
    hint = Message(
        "Click the object; right-click what does not belong. Esc takes the last click back."
    )
    has_preview = True

    def finish(self, start: Pointer, at: Pointer) -> None:
        if self.is_drag(start, at):
            return
        x, y = self.stage.place_of(start.window, start.point)
        is_positive = not start.is_right
        if is_positive and start.holds(Qt.KeyboardModifier.ShiftModifier):
            is_positive = self.stage.annotator.previews.adds(x, y)
        self.stage.annotator.prompts.click(x, y, is_positive)

    def double_click(self, at: Pointer) -> None:
        """The first press of the two was the click; a second at the same place says nothing."""


class BoxTool(CanvasTool):
    """A box around the object, corner to corner."""

    name = "box"
    hint = Message("Draw a box around the object. Esc abandons it.")
    uses_right_button = False
    is_pointing = False
    snatches = True  # an object at the edge is easier to go round from outside

    def begin(self, at: Pointer) -> None:
        if at.is_right:
            self.let_go()

    def go_on(self, start: Pointer, at: Pointer) -> None:
        corner, opposite = (QPointF(*self.stage.clamped(*end.point)) for end in (start, at))
        self.stage.sketch.show_box(corner, opposite, self.color)

    def finish(self, start: Pointer, at: Pointer) -> None:
        corner, opposite = (self.stage.clamped(*end.point) for end in (start, at))
        scale = self.stage.scale()
        sides = (abs(corner[0] - opposite[0]) * scale, abs(corner[1] - opposite[1]) * scale)
        if min(sides) < _SMALLEST_BOX_PX:
            self.stage.sketch.clear()
            return
        self.stage.expect_answer(((corner[0] + opposite[0]) / 2, (corner[1] + opposite[1]) / 2))
        self.stage.annotator.prompts.box(corner, opposite)


class FillTool(CanvasTool):
    """Fills the hole or takes away the part of the object's mask that is pointed at."""

    name = "fill"
    hint = Message(
        "Click a hole to fill it, a speck to remove it. "
        "Shift-click: all holes; Shift-right-click: all specks."
    )
    cursor = Qt.CursorShape.PointingHandCursor

    def finish(self, start: Pointer, at: Pointer) -> None:
        if self.is_drag(start, at):
            return
        if not start.holds(Qt.KeyboardModifier.ShiftModifier):
            if not start.is_right:
                self.stage.annotator.hand.fill_at(start.x, start.y)
        elif start.is_right:
            self.stage.annotator.hand.remove_specks()
        else:
            self.stage.annotator.hand.fill_holes()

    def double_click(self, at: Pointer) -> None:
        """The first press of the two has filled; a second would take away what is now there."""
