"""The canvas: one frame with its masks, and the tools that work on it."""

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QEnterEvent,
    QFocusEvent,
    QKeyEvent,
    QPainter,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QGraphicsView,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from gui.canvas.backdrop import SURROUND, Backdrop, PaintedPicture, around
from gui.canvas.input import CanvasKeys, CanvasMouse
from gui.canvas.markers import (
    BusyMark,
    ClickMarkers,
    CloseupBox,
    PendingMarks,
    PreviewMark,
)
from gui.canvas.pointer import Magnifier, PointerLook, RestingFrame, RestingPointer
from gui.canvas.shown_frame import ShownFrame
from gui.canvas.sketch import Sketch
from gui.canvas.tools import Stage, make_tools
from gui.canvas.viewport import ZoomableView
from gui.language import tr
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from gui.work.prompts import HoverPreview
from interaction.annotation.strokes import Rectangle
from xmem_core.arrays import Labels, Window

__all__ = ["CanvasView"]

_TEXT_FIELDS = (QLineEdit, QTextEdit, QPlainTextEdit, QAbstractSpinBox)


class CanvasView(ZoomableView):
    """Shows the document's frame and asks the annotator for what the mouse does on it.

    Call `shutdown` before it goes: it ends the decoding thread.
    """

    cursor_moved = Signal(float, float, int)  # source pixels, object there or 0; -1, -1, 0: left
    frame_shown = Signal(int)
    frame_failed = Signal(int, object)  # a frame that could not be decoded, the Exception
    hint_changed = Signal(str)
    magnifier_changed = Signal(bool)
    work_begun = Signal(int)  # something is about to be done to this frame, the one in sight
    menu_requested = Signal(QPoint)  # on the screen, for the current object
    space_tapped = Signal()  # pressed and released without moving the picture

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        self._backdrop = Backdrop(document.video.width, document.video.height)
        super().__init__(self._backdrop.extent, parent)
        self._document, self._annotator = document, annotator
        self._set_up()
        self._sketch = Sketch()
        self.markers = ClickMarkers(self.scene())
        self.magnifier = Magnifier(self._backdrop, self.viewport())
        self._painted = PaintedPicture(self._backdrop)
        self._shown = ShownFrame(document, self._backdrop, self)
        preview = PreviewMark()
        self._resting = RestingPointer(document, annotator, self._shown, preview, self)
        self._look = PointerLook(
            self.viewport(), self._shown, self.markers, self.magnifier, self._resting
        )
        self._busy = BusyMark()
        self._pending = PendingMarks(
            document,
            annotator,
            self._shown,
            self.markers,
            self._sketch,
            self._busy,
            lambda: self._mouse.tool.is_active,
            self,
        )
        self._tools = make_tools(self._stage())
        self._mouse = CanvasMouse(
            self,
            document,
            annotator,
            self._shown,
            self.markers,
            self._look,
            self._tools[document.tool],
            lambda: self.work_begun.emit(self._shown.frame),
        )
        self._resting_frame = RestingFrame(
            document, annotator, self._shown, lambda: self._mouse.tool.has_preview, self
        )
        self._keys = CanvasKeys(
            self._mouse,
            self.markers,
            self.set_masks_hidden,
            annotator.prompts.remove_click,
            self.space_tapped.emit,
        )
        self.closeup = CloseupBox()
        for item in (self._sketch, preview, self._look.ring, self._busy, self.closeup):
            self.scene().addItem(item)
        self._follow()
        if self._shown.frame >= 0:
            self._follow_arrival(self._shown.frame)
        self._update_pointer()

    def _set_up(self) -> None:
        self.setAccessibleName(tr("Picture"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setBackgroundBrush(SURROUND)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.MinimalViewportUpdate)
        self.setOptimizationFlag(QGraphicsView.OptimizationFlag.DontSavePainterState)

    def _stage(self) -> Stage:
        """What the tools may use."""
        return Stage(
            document=self._document,
            annotator=self._annotator,
            sketch=self._sketch,
            preview=self._shown.preview,
            labels=self._shown.labels,
            object_at=self._shown.object_at,
            color_of=self._shown.color_of,
            scale=lambda: self.scale_factor,
            pan_by=self.pan_by,
            expect_masks=self._pending.expect_masks,
            expect_answer=self._pending.expect_answer,
            place_of=self._resting.place_of,
        )

    def _follow(self) -> None:
        """Connects what the picture shows."""
        document, annotator = self._document, self._annotator
        self._mouse.moved.connect(self._tell_cursor)
        self._resting.hint_changed.connect(lambda: self.hint_changed.emit(self.hint))
        annotator.tracking.looked.connect(self._show_closeup)
        annotator.operations.busy_changed.connect(self._follow_busy)
        self._shown.changed.connect(self._repaint)
        self._shown.arrived.connect(self._follow_arrival)
        self._shown.failed.connect(self.frame_failed)
        document.frame_changed.connect(self._leave_frame)
        document.masks_changed.connect(self._follow_masks)
        document.objects_changed.connect(self._update_pointer)
        document.current_object_changed.connect(self._update_pointer)
        document.tool_changed.connect(self._change_tool)
        document.brush_changed.connect(self._update_pointer)
        document.view_mode_changed.connect(self._change_content)

    def _show_closeup(self, frame: int, window: Window | None) -> None:
        """Where tracking looked."""
        self.closeup.set_window(frame, window)
        self.closeup.show_on(self._shown.frame)

    def _follow_busy(self, busy: Busy) -> None:
        if busy not in (Busy.PROPAGATING, Busy.PAUSED):
            self.closeup.hide()

    # For the window

    @property
    def hint(self) -> str:
        """What the tool does, in one line; or what takes the preview in sight."""
        return self._resting.hint or tr(self._mouse.tool.hint)

    @property
    def has_brush(self) -> bool:
        """Whether the size of the brush matters to the tool."""
        return self._mouse.tool.has_ring

    @property
    def tool_names(self) -> frozenset[str]:
        return frozenset(self._tools)

    @property
    def shown_frame(self) -> int:
        """The frame that is in sight; -1 before the first. The document's may be on its way."""
        return self._shown.frame

    @property
    def shown_labels(self) -> Labels:
        """(H, W) object ids in sight, a stroke in progress included."""
        return self._backdrop.labels

    @property
    def hover_preview(self) -> HoverPreview | None:
        """What a click where the pointer rests would do, as far as it is in sight."""
        return self._resting.preview

    @property
    def is_answering(self) -> bool:
        """Whether a sign shows where a box or a scribble is being answered."""
        return self._busy.isVisible()

    @property
    def has_magnifier(self) -> bool:
        return self._look.has_glass

    def set_magnifier(self, is_on: bool) -> None:
        if is_on != self._look.has_glass:
            self._look.has_glass = is_on
            self._update_pointer()
            self.magnifier_changed.emit(is_on)

    def set_masks_hidden(self, are_hidden: bool) -> None:
        """Only the frame, as long as a key is held."""
        self._shown.set_bare(are_hidden)
        self.markers.set_visible(not are_hidden)

    def cancel_gesture(self) -> bool:
        """Abandons what the mouse is doing. False if it did nothing."""
        return self._mouse.cancel()

    def take_back_gesture(self) -> bool:
        """As `cancel_gesture`, but of an open polygon only the last corner: what Undo means while
        something is being drawn."""
        return self._mouse.take_back()

    def shutdown(self) -> None:
        """Ends the decoding thread. Nothing more is shown."""
        self._resting.leave()
        self._resting_frame.leave()
        self._shown.close()

    # What the document says

    def _leave_frame(self, _: int) -> None:
        self._mouse.leave_frame()
        self._sketch.clear()
        self._shown.set_hovered(0)

    def _follow_arrival(self, frame: int) -> None:
        self._pending.show_clicks()
        self.closeup.show_on(frame)
        self._update_pointer()
        self.frame_shown.emit(frame)

    def _follow_masks(self, frames: set[int]) -> None:
        if self._shown.frame in frames:
            self._pending.masks_arrived()
            self._update_pointer()

    def _change_content(self, _: object) -> None:
        self.set_content(self._backdrop.extent)

    def _change_tool(self, name: str) -> None:
        self.cancel_gesture()
        self._sketch.clear()
        self._mouse.tool = self._tools[name]
        self._update_pointer()
        self.hint_changed.emit(self.hint)

    # Painting

    def repaint_all(self) -> None:
        """Nothing that was painted before is used again."""
        self._painted.spoil()
        self.viewport().update()

    def _repaint(self, part: Rectangle | None) -> None:
        if part is None:
            self.repaint_all()
        else:
            self._painted.spoil_part(part)
            self.viewport().update(around(part, self.viewportTransform()).toAlignedRect())
        if self.magnifier.isVisible():
            self.magnifier.update()

    def drawBackground(self, painter: QPainter, rect: QRectF | object) -> None:
        to_window = self.viewportTransform()
        painter.save()
        painter.resetTransform()
        self._painted.draw(painter, self.viewport(), to_window)
        if self._shown.problem:
            self._draw_problem(painter, to_window.mapRect(self._backdrop.extent))
        painter.restore()

    def _draw_problem(self, painter: QPainter, frame: QRectF) -> None:
        area = frame.intersected(QRectF(self.viewport().rect())).adjusted(16, 16, -16, -16)
        text = tr("Frame {frame} cannot be shown.", frame=self._shown.frame)
        painter.setPen(QColor(0xDD, 0xDD, 0xDD))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(area, int(flags), f"{text}\n\n{self._shown.problem}")

    def placed(self) -> None:
        self._look.ring.set_scale(self.scale_factor)
        self._sketch.set_scale(self.scale_factor)
        self._update_pointer()

    # The mouse

    def _tell_cursor(self, x: float, y: float) -> None:
        self.cursor_moved.emit(x, y, self._shown.object_at(x, y))

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self._mouse.turn_wheel(event):
            event.accept()
        else:
            super().wheelEvent(event)

    def enterEvent(self, event: QEnterEvent) -> None:
        """Keys that are held, as H, go to the picture when the mouse is on it."""
        super().enterEvent(event)
        focused = QApplication.focusWidget()
        if self.isActiveWindow() and not isinstance(focused, _TEXT_FIELDS):
            self.setFocus(Qt.FocusReason.MouseFocusReason)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._mouse.leave()
        self.cursor_moved.emit(-1.0, -1.0, 0)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """With the mouse only where the right button has no other use: the tool has none for it, or
        Ctrl is held. What is under the pointer becomes current first."""
        event.accept()
        if event.reason() is not QContextMenuEvent.Reason.Keyboard:
            is_asked = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            if self._mouse.tool.uses_right_button and not is_asked:
                return
            self.cancel_gesture()
            at = self.to_scene(QPointF(event.pos()))
            object_id = self._shown.object_at(at.x(), at.y())
            if object_id:
                self._document.set_current_object(object_id)
        self.menu_requested.emit(event.globalPos())

    def _update_pointer(self, *_: object) -> None:
        self._mouse.look()

    # Keys

    def event(self, event: QEvent) -> bool:
        """Keys that mean something here and now come before the window's shortcuts."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and self._keys.claims(event)
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.setAccepted(self._keys.press(event))

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        event.setAccepted(self._keys.release(event))

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._keys.forget()
