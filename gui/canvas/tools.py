"""What the mouse does on the picture: one small class a tool.

A tool turns press, move and release into what is asked of the annotator, once, on release. Until
then everything it shows is a sketch that Escape wipes away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from PySide6.QtCore import QCoreApplication, QPointF, Qt
from PySide6.QtGui import QColor

from gui.canvas.sketch import Sketch, StrokePreview
from gui.work.annotator import Annotator
from gui.work.document import Document
from xmem_core.arrays import Labels

__all__ = [
    "REMOVING",
    "BoxTool",
    "CanvasTool",
    "ClickTool",
    "FillTool",
    "Pointer",
    "SelectTool",
    "Stage",
]

Point = tuple[float, float]

REMOVING: Final = QColor(0xE0, 0x3C, 0x3C)  # the colour of what takes away
_DRAG_PX: Final = 6.0  # of the window: less is a hand that is not quite still
_SMALLEST_BOX_PX: Final = 3.0


def _tr(text: str) -> str:
    return QCoreApplication.translate("CanvasTool", text)


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where the mouse is and what is held with it."""

    x: float  # source pixels; outside the frame too
    y: float
    window: QPointF  # the viewport's pixels
    button: Qt.MouseButton = Qt.MouseButton.NoButton  # the one that was pressed or released
    modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier

    @property
    def point(self) -> Point:
        return self.x, self.y

    @property
    def is_right(self) -> bool:
        return self.button == Qt.MouseButton.RightButton

    def holds(self, modifier: Qt.KeyboardModifier) -> bool:
        return bool(self.modifiers & modifier)


@dataclass(frozen=True, slots=True)
class Stage:
    """What a tool may know and touch of the canvas."""

    document: Document
    annotator: Annotator
    sketch: Sketch
    preview: StrokePreview
    labels: Callable[[], Labels]  # of the frame that is shown
    object_at: Callable[[float, float], int]  # 0: none
    color_of: Callable[[int], QColor]
    scale: Callable[[], float]  # window pixels for a source pixel
    pan_by: Callable[[QPointF], None]
    expect_masks: Callable[[], None]  # what is sketched stays until the masks have changed

    def next_object_id(self) -> int:
        """What a new object will be."""
        taken = {one.id for one in self.document.objects}
        return next((one for one in range(1, 256) if one not in taken), 255)

    def is_inside(self, x: float, y: float) -> bool:
        video = self.document.video
        return 0 <= x < video.width and 0 <= y < video.height

    def clamped(self, x: float, y: float) -> Point:
        """The nearest place on the frame."""
        video = self.document.video
        return min(max(x, 0.0), float(video.width)), min(max(y, 0.0), float(video.height))


class CanvasTool:
    """Takes left and right button; the base does nothing with them."""

    cursor: ClassVar[Qt.CursorShape] = Qt.CursorShape.CrossCursor
    has_ring: ClassVar[bool] = False  # shows the brush
    is_pointing: ClassVar[bool] = True  # the object under the cursor is marked
    snatches: ClassVar[bool] = False  # may begin outside the frame
    changes_object: ClassVar[bool] = True  # the current one, on the frame that is shown

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._pressed: Pointer | None = None

    @property
    def hint(self) -> str:
        """One line for the status bar, if there is anything to say."""
        return ""

    @property
    def is_active(self) -> bool:
        """Whether a gesture is in progress."""
        return self._pressed is not None

    @property
    def active_cursor(self) -> Qt.CursorShape:
        return self.cursor

    def is_removing(self, modifiers: Qt.KeyboardModifier) -> bool:
        """Whether a stroke begun now would take away."""
        return False

    def press(self, at: Pointer) -> None:
        if self.snatches or self.stage.is_inside(at.x, at.y):
            self._pressed = at
            self.begin(at)

    def move(self, at: Pointer) -> None:
        """During a gesture."""
        if self._pressed is not None:
            self.go_on(self._pressed, at)

    def release(self, at: Pointer) -> None:
        """Ends the gesture if it was begun with this button."""
        start = self._pressed
        if start is not None and at.button == start.button:
            self._pressed = None
            self.finish(start, at)

    def hover(self, at: Pointer) -> None:
        """The mouse has moved, or a key was pressed, without a gesture."""

    def double_click(self, at: Pointer) -> None:
        """The second press of a double click: as any other."""
        self.press(at)

    @property
    def has_corners(self) -> bool:
        """Whether a polygon is open, whose corners are set one by one."""
        return False

    def drop_corner(self) -> None:
        """The corner that was set last is taken back."""

    def close(self) -> None:
        """The polygon is whole, if it has an inside."""

    @property
    def is_held(self) -> bool:
        """Whether a gesture is in progress whose button is down."""
        return self._pressed is not None

    def abandon(self) -> None:
        """What the button that is down has begun comes to nothing."""
        self.cancel()

    def cancel(self) -> None:
        """As if the gesture had never begun."""
        self._pressed = None
        self.stage.sketch.clear()
        self.stage.preview.end()

    def begin(self, at: Pointer) -> None: ...

    def go_on(self, start: Pointer, at: Pointer) -> None: ...

    def finish(self, start: Pointer, at: Pointer) -> None: ...

    @staticmethod
    def is_drag(start: Pointer, at: Pointer) -> bool:
        away = at.window - start.window
        return max(abs(away.x()), abs(away.y())) > _DRAG_PX

    @property
    def color(self) -> QColor:
        return self.stage.color_of(self.stage.document.current_object)


class SelectTool(CanvasTool):
    """A click makes the object under the cursor the current one; a drag moves the picture."""

    cursor = Qt.CursorShape.ArrowCursor
    snatches = True
    changes_object = False

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._last = QPointF()
        self._is_panning = False

    @property
    def hint(self) -> str:
        return _tr("Click an object to make it current. Drag to move the picture.")

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
        if not self._is_panning:
            found = self.stage.object_at(start.x, start.y)
            if found:
                self.stage.document.set_current_object(found)
        self._is_panning = False


class ClickTool(CanvasTool):
    """Left adds what is under the cursor to the object, right takes it away."""

    @property
    def hint(self) -> str:
        return _tr(
            "Click the object; right-click what does not belong. Esc takes the last click back."
        )

    def finish(self, start: Pointer, at: Pointer) -> None:
        if not self.is_drag(start, at):
            self.stage.annotator.click(start.x, start.y, not start.is_right)

    def double_click(self, at: Pointer) -> None:
        """The first press of the two was the click; a second at the same place says nothing."""


class BoxTool(CanvasTool):
    """A box around the object, corner to corner."""

    is_pointing = False
    snatches = True  # an object at the edge is easier to go round from outside

    @property
    def hint(self) -> str:
        return _tr("Draw a box around the object. Esc abandons it.")

    def begin(self, at: Pointer) -> None:
        if at.is_right:
            self._pressed = None

    def go_on(self, start: Pointer, at: Pointer) -> None:
        corner, opposite = (QPointF(*self.stage.clamped(*one.point)) for one in (start, at))
        self.stage.sketch.show_box(corner, opposite, self.color)

    def finish(self, start: Pointer, at: Pointer) -> None:
        corner, opposite = (self.stage.clamped(*one.point) for one in (start, at))
        scale = self.stage.scale()
        sides = (abs(corner[0] - opposite[0]) * scale, abs(corner[1] - opposite[1]) * scale)
        if min(sides) < _SMALLEST_BOX_PX:
            self.stage.sketch.clear()
            return
        self.stage.expect_masks()
        self.stage.annotator.box(corner, opposite)


class FillTool(CanvasTool):
    """Fills the hole or takes away the part of the object's mask that is pointed at."""

    cursor = Qt.CursorShape.PointingHandCursor

    @property
    def hint(self) -> str:
        return _tr(
            "Click a hole to fill it, a speck to remove it. "
            "Shift-click: all holes; Shift-right-click: all specks."
        )

    def finish(self, start: Pointer, at: Pointer) -> None:
        if self.is_drag(start, at):
            return
        if not start.holds(Qt.KeyboardModifier.ShiftModifier):
            if not start.is_right:
                self.stage.annotator.fill_at(start.x, start.y)
        elif start.is_right:
            self.stage.annotator.remove_specks()
        else:
            self.stage.annotator.fill_holes()

    def double_click(self, at: Pointer) -> None:
        """The first press of the two has filled; a second would take away what is now there."""
