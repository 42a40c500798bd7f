"""Mouse and keyboard input of the canvas."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication

from gui.canvas.markers import ClickMarkers
from gui.canvas.pointer import PointerLook, PointerState
from gui.canvas.shown_frame import ShownFrame
from gui.canvas.tools import CanvasTool, Pointer
from gui.canvas.viewport import ZoomableView
from gui.work.annotator import Annotator
from gui.work.document import Document, ViewMode

__all__ = [
    "CanvasKeys",
    "CanvasMouse",
    "Hand",
]


class Hand:
    """Open while Space is held, closed while the picture is being moved."""

    def __init__(self, pan_by: Callable[[QPointF], None]) -> None:
        """pan_by: gets a movement in viewport pixels."""
        self._pan_by = pan_by
        self._from: QPointF | None = None
        self._is_open = self._has_moved = False

    @property
    def is_open(self) -> bool:
        """Whether the left button would move the picture."""
        return self._is_open

    @property
    def is_moving(self) -> bool:
        return self._from is not None

    def open(self) -> None:
        """Space is pressed."""
        self._is_open, self._has_moved = True, False

    def close(self) -> bool:
        """Space is let go. True if nothing was moved meanwhile: it was a tap."""
        self._is_open = False
        return not self._has_moved

    def wants(self, button: Qt.MouseButton) -> bool:
        """Whether pressing this button takes hold of the picture."""
        is_left = button == Qt.MouseButton.LeftButton
        return button == Qt.MouseButton.MiddleButton or (is_left and self._is_open)

    def take(self, at: QPointF) -> None:
        """at: viewport pixels, as everywhere here."""
        self._from = at

    def move(self, at: QPointF) -> None:
        if self._from is not None:
            self._has_moved = True
            self._pan_by(at - self._from)
            self._from = at

    def drop(self) -> bool:
        """The picture stays where it is. False if it was not being moved."""
        was_moving, self._from = self._from is not None, None
        return was_moving


_BRUSH_STEP: Final = 1.15  # a notch of the wheel with Ctrl
_CTRL: Final = Qt.KeyboardModifier.ControlModifier
_ALT: Final = Qt.KeyboardModifier.AltModifier
_PRESSES: Final = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick)
_BUTTONS: Final = (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton)


class CanvasMouse(QObject):
    """Filters the viewport's mouse events: the tool or the hand gets them, nothing else does. Keeps
    the pointer's look up to date."""

    moved = Signal(float, float)  # source pixels

    def __init__(
        self,
        view: ZoomableView,
        document: Document,
        annotator: Annotator,
        shown: ShownFrame,
        markers: ClickMarkers,
        look: PointerLook,
        tool: CanvasTool,
        on_work: Callable[[], None],
    ) -> None:
        """on_work: called before something is done to the frame that is in sight."""
        super().__init__(view)
        view.viewport().installEventFilter(self)
        self._view, self._document, self._annotator = view, document, annotator
        self._shown, self._markers, self._look = shown, markers, look
        self.tool = tool
        self._on_work = on_work
        self.hand = Hand(view.pan_by)
        self._at: QPointF | None = None  # in the viewport
        self._is_cut_short = False  # a gesture was abandoned whose button is still down
        self._on_source = 0.0  # how far right the gesture is, beside the overlay

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if not isinstance(event, QMouseEvent):
            return False
        kind = event.type()
        if kind == QEvent.Type.MouseMove:
            self.move(event)
        elif kind == QEvent.Type.MouseButtonRelease:
            self.release(event)
        elif kind in _PRESSES:
            self.press(event)
        else:
            return False
        return True

    @property
    def is_busy(self) -> bool:
        """Whether there is something to abandon, or a button down with which something was."""
        return self.tool.is_active or self.hand.is_moving or self._is_cut_short

    @property
    def can_take_back(self) -> bool:
        """Whether Undo is about the gesture that is under way."""
        is_held = self.tool.is_held or self.hand.is_moving or self._is_cut_short
        return is_held or self.tool.has_corners

    def cancel(self) -> bool:
        """Abandons what the mouse is doing. False if it did nothing."""
        if not self.is_busy:
            return False
        self._note_cut()
        if not self.hand.drop() and self.tool.is_active:
            self.tool.cancel()
        self.look()
        return True

    def take_back(self) -> bool:
        """The gesture whose button is down, else the last corner of a polygon. False if there is
        neither."""
        if not self.can_take_back:
            return False
        if self.tool.is_held or self.hand.is_moving:
            self._note_cut()
            if not self.hand.drop():
                self.tool.abandon()
        elif not self._is_cut_short:
            self.tool.drop_corner()
        self.look()
        return True

    def _note_cut(self) -> None:
        """Until the button is let go, keys that abandon are about nothing else."""
        is_held = self.tool.is_held or self.hand.is_moving
        self._is_cut_short = self._is_cut_short or is_held

    def leave_frame(self) -> None:
        """Another frame is about to be shown: what is drawn on this one is abandoned."""
        if self.tool.is_active and self.tool.changes_object:
            self._note_cut()
            self.tool.cancel()
            self.look()

    def _pointer(self, event: QMouseEvent) -> Pointer:
        at = self._source_at(event.position())
        return Pointer(at.x(), at.y(), event.position(), event.button(), event.modifiers())

    def _source_at(self, window: QPointF) -> QPointF:
        """Over the source beside the overlay, the same place of the overlay."""
        at = self._view.to_scene(window)
        is_beside = self._document.view_mode is ViewMode.SIDE_BY_SIDE
        if not self.tool.is_active:
            offset = self._shown.source_offset
            self._on_source = offset if is_beside and at.x() >= offset else 0.0
        return at - QPointF(self._on_source, 0)

    def press(self, event: QMouseEvent) -> None:
        """A double click's second press, too."""
        self._is_cut_short = False
        self._at = event.position()
        button = event.button()
        is_left = button == Qt.MouseButton.LeftButton
        if self.hand.wants(button):
            if not self.tool.is_active:
                self.hand.take(event.position())
                self.look()
            return
        if button not in _BUTTONS or self.hand.is_moving:
            return
        if self.tool.is_active and not self.tool.has_corners:
            return
        if not is_left and event.modifiers() & _CTRL:
            return  # that opens the menu
        at = self._pointer(event)
        marker = self._markers.at(QPointF(at.x, at.y), self._view.scale_factor)
        is_removing = marker is not None and is_left and at.holds(_ALT)
        if is_left and at.holds(_CTRL) and not is_removing:
            found = self._shown.object_at(at.x, at.y)
            if found:
                self._document.set_current_object(found)
            return
        if self.tool.changes_object or is_removing:
            self._on_work()
            if not self._shown.is_current:
                return  # it would change a frame that is not seen
        if marker is not None and is_removing:
            self._annotator.prompts.remove_click(marker.index)
        elif event.type() == QEvent.Type.MouseButtonDblClick:
            self.tool.double_click(at)
        else:
            if self.tool.changes_object:
                self._annotator.hand.show_current_object()
            self.tool.press(at)
        self.look(event.modifiers())

    def move(self, event: QMouseEvent) -> None:
        if event.buttons() == Qt.MouseButton.NoButton:
            self._is_cut_short = False
        self._at = event.position()
        if self.hand.is_moving:
            self.hand.move(event.position())
            return
        at = self._pointer(event)
        if self.tool.is_active and event.buttons() != Qt.MouseButton.NoButton:
            self.tool.move(at)
        else:
            self.tool.hover(at)
        self.look(event.modifiers())
        self.moved.emit(at.x, at.y)

    def release(self, event: QMouseEvent) -> None:
        self._at = event.position()
        self._is_cut_short = False
        if not self.hand.drop():
            self.tool.release(self._pointer(event))
        self.look(event.modifiers())

    def turn_wheel(self, event: QWheelEvent) -> bool:
        """The brush's size, with Ctrl. False if the wheel is not for the tool."""
        is_for_brush = self.tool.has_ring and bool(event.modifiers() & _CTRL)
        if not is_for_brush or self.hand.is_moving:
            return False
        if not self.tool.is_active:
            notches = event.angleDelta().y() / 120
            radius_px = self._document.brush_radius_px
            self._document.set_brush_radius_px(radius_px * _BRUSH_STEP**notches)
        return True

    def leave(self) -> None:
        """The mouse is elsewhere."""
        self._at = None
        self.look()

    def look(self, keys: object = None) -> None:
        """Something changed that the pointer shows. keys: the modifiers held, where the event
        knows better than the application; anything else, as a signal's value, is not looked at."""
        if self._at is None:
            self._look.leave()
            return
        if not isinstance(keys, Qt.KeyboardModifier):
            keys = QApplication.keyboardModifiers()
        document = self._document
        self._look.follow(
            PointerState(
                self._at,
                self._view.to_scene(self._at),
                self._source_at(self._at),
                self._view.scale_factor,
                self.tool,
                keys,
                document.brush_radius_px,
                self.hand.is_open,
                self.hand.is_moving,
                document.current_object not in document.annotation.locked,
            )
        )


_HIDE_KEY: Final = Qt.Key.Key_H
_DELETE_KEYS: Final = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
_CLOSING_KEYS: Final = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_NO_MODIFIER: Final = Qt.KeyboardModifier.NoModifier
_MODIFIER_KEYS: Final = {
    Qt.Key.Key_Alt: Qt.KeyboardModifier.AltModifier,
    Qt.Key.Key_Control: Qt.KeyboardModifier.ControlModifier,
    Qt.Key.Key_Shift: Qt.KeyboardModifier.ShiftModifier,
}


@dataclass(frozen=True, slots=True)
class CanvasKeys:
    """Space opens the hand, H hides the masks, Escape abandons, Delete takes a click out. While a
    gesture is under way Undo is about it. While a polygon is open, Enter closes it; Backspace and
    Undo take its last corner back."""

    mouse: CanvasMouse
    markers: ClickMarkers
    set_masks_hidden: Callable[[bool], None]
    remove_click: Callable[[int], None]
    tapped: Callable[[], None]  # Space, without moving the picture

    def claims(self, event: QKeyEvent) -> bool:
        """Whether a key means something here and now, and comes before the window's shortcuts."""
        key = Qt.Key(event.key())
        if key == Qt.Key.Key_Space or key == _HIDE_KEY:
            return not event.modifiers()
        if key == Qt.Key.Key_Escape:
            return self.mouse.is_busy
        if event.matches(QKeySequence.StandardKey.Undo):
            return self.mouse.can_take_back
        if self._is_for_corners(event):
            return True
        return key in _DELETE_KEYS and self.markers.hovered is not None

    def press(self, event: QKeyEvent) -> bool:
        """False if the key means nothing here."""
        key = Qt.Key(event.key())
        marker = self.markers.hovered
        if key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self.mouse.hand.open()
                self.mouse.look(None)
        elif key == _HIDE_KEY and not event.modifiers():
            self.set_masks_hidden(True)
        elif event.matches(QKeySequence.StandardKey.Undo) and self.mouse.take_back():
            pass
        elif self._is_for_corners(event):
            if key not in _CLOSING_KEYS:
                self.mouse.tool.drop_corner()
            elif not event.isAutoRepeat():
                self.mouse.tool.close()
        elif key == Qt.Key.Key_Escape and self.mouse.cancel():
            pass
        elif key in _DELETE_KEYS and marker is not None:
            self.remove_click(marker.index)
        else:
            self.mouse.look(event.modifiers() | _MODIFIER_KEYS.get(key, _NO_MODIFIER))
            return False
        return True

    def _is_for_corners(self, event: QKeyEvent) -> bool:
        is_theirs = event.key() in (*_DELETE_KEYS, *_CLOSING_KEYS) and not (
            event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        )
        return is_theirs and self.mouse.tool.has_corners

    def release(self, event: QKeyEvent) -> bool:
        """False if the key means nothing here."""
        key = Qt.Key(event.key())
        if event.isAutoRepeat():
            return True
        if key == Qt.Key.Key_Space and self.mouse.hand.is_open:
            is_tap = self.mouse.hand.close()
            self.mouse.look(None)
            if is_tap:
                self.tapped()
        elif key == _HIDE_KEY:
            self.set_masks_hidden(False)
        else:
            self.mouse.look(event.modifiers() & ~_MODIFIER_KEYS.get(key, _NO_MODIFIER))
            return False
        return True

    def forget(self) -> None:
        """The focus is elsewhere: a key that is let go there is not heard here."""
        self.mouse.hand.close()
        self.set_masks_hidden(False)
        self.mouse.look(None)
