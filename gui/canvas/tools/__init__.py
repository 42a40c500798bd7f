"""What the mouse does on the picture: one small class a tool.

A tool turns press, move and release into one request to the annotator, on release. Until then
everything it shows is a sketch that Escape wipes away.

Every module of this package may define tools. A tool is a subclass of `CanvasTool` whose `name` is
that of a row of the table of actions: "tool.<name>". Nothing else has to know it.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor

from gui.canvas.sketch import Sketch, StrokePreview
from gui.work.annotator import Annotator
from gui.work.document import Document
from xmem_core.arrays import Labels

__all__ = ["REMOVING", "CanvasTool", "Pointer", "Stage", "make_tools", "tool_classes"]

Point = tuple[float, float]

REMOVING: Final = QColor(0xE0, 0x3C, 0x3C)  # the colour of what takes away
_DRAG_PX: Final = 6.0  # of the window: less is a hand that is not quite still


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
    expect_answer: Callable[[Point], None]  # the same, of a network: busy at this place
    place_of: Callable[[QPointF, Point], Point]  # of a click; the place that a preview is about

    def next_object_id(self) -> int:
        """What a new object will be."""
        taken = {info.id for info in self.document.objects}
        return next((free for free in range(1, 256) if free not in taken), 255)

    def is_inside(self, x: float, y: float) -> bool:
        video = self.document.video
        return 0 <= x < video.width and 0 <= y < video.height

    def clamped(self, x: float, y: float) -> Point:
        """The nearest place on the frame."""
        video = self.document.video
        return min(max(x, 0.0), float(video.width)), min(max(y, 0.0), float(video.height))


class CanvasTool:
    """Takes left and right button; the base does nothing with them."""

    name: ClassVar[str] = ""  # of its action; without one it is only a base of others
    hint: ClassVar[str] = ""  # a line for the status bar, in English
    cursor: ClassVar[Qt.CursorShape] = Qt.CursorShape.CrossCursor
    has_ring: ClassVar[bool] = False  # shows the brush
    is_pointing: ClassVar[bool] = True  # the object under the cursor is marked
    snatches: ClassVar[bool] = False  # may begin outside the frame
    uses_right_button: ClassVar[bool] = True  # otherwise it opens a menu
    has_preview: ClassVar[bool] = False  # what a click would do is shown under a pointer that rests
    changes_object: ClassVar[bool] = True  # the current one, on the frame that is shown

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._pressed: Pointer | None = None

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

    def let_go(self) -> None:
        """Ends the gesture without finishing it."""
        self._pressed = None

    def cancel(self) -> None:
        """As if the gesture had never begun."""
        self.let_go()
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


def tool_classes() -> dict[str, type[CanvasTool]]:
    """By name, the tools that the modules of this package define."""
    found: dict[str, type[CanvasTool]] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, CanvasTool) and item.name:
                found[item.name] = item
    return found


def make_tools(stage: Stage) -> dict[str, CanvasTool]:
    return {name: make(stage) for name, make in tool_classes().items()}
