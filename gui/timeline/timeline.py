"""The timeline widget: thumbnails, ruler, doubt, lanes and playhead."""

from functools import partial
from math import isnan, log
from typing import Final

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QMenu, QSizePolicy, QToolTip, QWidget

from gui.language import tr
from gui.theme import ACCENT, icon
from gui.timeline.cuts import Cuts
from gui.timeline.drag import Drag, Dragged, PresenceEdge, edges_of
from gui.timeline.frame_table import FrameTable
from gui.timeline.painting import (
    FILM_PX,
    HEADER_PX,
    LANE_PX,
    LANES_TOP_PX,
    RULER_PX,
    TimelinePicture,
    draw_again,
    draw_cuts,
    draw_head,
    draw_playhead,
    draw_stretch,
    slots,
)
from gui.timeline.scale import LARGEST_FRAME_PX, TimeScale, format_timecode
from gui.timeline.thumbnails import Thumbnails
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.annotation.types import FrameStatus, MemoryRule, PresenceState
from xmem_core.messages import Message

__all__ = ["Timeline", "describe_frame"]


_MOST_LISTED: Final = 6  # objects, the worst first


def describe_frame(document: Document, frame: int) -> str:
    """Number and time, status, objects, doubt: a line each."""
    record = document.annotation.record(frame)
    status = {
        FrameStatus.EMPTY: tr("no mask yet"),
        FrameStatus.TRACKED: tr("tracked"),
        FrameStatus.CORRECTED: tr("made by hand"),
        FrameStatus.CONFIRMED: tr("confirmed"),
    }[record.status]
    time = format_timecode(float(document.video.timestamps_s[frame]))
    final = document.frame_count - 1
    lines = [tr("Frame {frame} of {final}, {time}", frame=frame, final=final, time=time), status]
    if record.mask is not None:
        names = [info.name for info in document.objects if info.id in record.present]
        lines.append(", ".join(names) if names else tr("no object"))
    if frame in Cuts.of(document).frames:
        lines.append(tr("Another shot begins"))
    rule = document.annotation.memory.at(frame)
    if rule is MemoryRule.PINNED:
        lines.append(tr("Pinned to memory"))
    elif rule is MemoryRule.EXCLUDED:
        lines.append(tr("Kept out of memory"))
    for info in document.objects:
        state = info.state_at(frame)
        if state is not PresenceState.NOT_LOOKED_AT:
            lines.append(tr("“{name}”: {state}", name=info.name, state=tr(_STATES[state])))
    if record.status is FrameStatus.TRACKED:
        table = FrameTable.of(document)
        known = ((float(table.trust(info.id)[frame]), info.name) for info in document.objects)
        trust = sorted(one for one in known if not isnan(one[0]))
        for iou, name in trust[:_MOST_LISTED]:
            lines.append(tr("Expected IoU of {name}: {iou:.2f}", name=name, iou=iou))
        if not trust:
            lines.append(tr("Doubt: {doubt} %", doubt=round(record.doubt * 100)))
    return "\n".join(lines)


_STATES: Final = {
    PresenceState.PRESENT: Message("present"),
    PresenceState.OCCLUDED: Message("occluded"),
    PresenceState.ABSENT: Message("absent"),
    PresenceState.NOT_LOOKED_AT: Message("not looked at"),
}
_ICONS: Final = {  # as of the commands that say the same of the current frame
    PresenceState.PRESENT: "eye",
    PresenceState.OCCLUDED: "contrast",
    PresenceState.ABSENT: "ghost",
    PresenceState.NOT_LOOKED_AT: "circle-help",
}
_PAGE: Final = 10  # frames
_GOING_KEYS: Final = {
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
}


def _frame_for_key(document: Document, key: int, modifiers: Qt.KeyboardModifier) -> int | None:
    """Arrows: a frame, with Shift ten, with Ctrl to the next keyframe; None: there is none."""
    is_back = key in (Qt.Key.Key_Left, Qt.Key.Key_PageUp)
    if key == Qt.Key.Key_Home:
        return 0
    if key == Qt.Key.Key_End:
        return document.frame_count - 1
    if key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
        return document.frame + (-_PAGE if is_back else _PAGE)
    if modifiers & Qt.KeyboardModifier.ControlModifier:
        table = FrameTable.of(document)
        return table.previous_given(document.frame) if is_back else table.next_given(document.frame)
    step = _PAGE if modifiers & Qt.KeyboardModifier.ShiftModifier else 1
    return document.frame + (-step if is_back else step)


def _is_abandoning(event: QKeyEvent) -> bool:
    """Escape, or Undo."""
    return event.key() == Qt.Key.Key_Escape or event.matches(QKeySequence.StandardKey.Undo)


_MOST_LANES: Final = 5
_HANDLE_PX: Final = 6  # how near the pointer must be
_EDGE_PX: Final = 4  # in a lane, where one clicks to go to a frame
_WHEEL_ZOOM: Final = 1.25  # a notch


class Timeline(QAbstractScrollArea):
    """Follows the document and moves its frame, range and current object.

    Everything but the playhead is painted once and kept until it changes, so that playing and
    scrubbing cost next to nothing. Call `shutdown` before the session is closed.
    """

    zoom_changed = Signal(float)  # 0 to 1
    went = Signal()  # a key or the menu goes to another frame
    menu_requested = Signal(QPoint)  # on the screen, for the current frame and object

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._table = FrameTable.of(document)
        self._thumbnails = Thumbnails.of(document)
        self._cuts = Cuts.of(document)
        self._scale = TimeScale(document.frame_count, 600)
        self._content: QPixmap | None = None
        self._drag = Drag(document)
        self._head: int | None = None  # the frame a propagation has come to
        self.tracked_again: range | None = None  # frames, after a correction, while they are
        self._is_syncing = False

        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Timeline"))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.horizontalScrollBar().setAccessibleName(tr("Scroll through time"))
        self.verticalScrollBar().setAccessibleName(tr("Scroll through objects"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.viewport().setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

        self.horizontalScrollBar().valueChanged.connect(self._scroll)
        self.verticalScrollBar().valueChanged.connect(self._repaint)
        document.frame_changed.connect(self._show_frame)
        document.range_changed.connect(self._repaint)
        document.current_object_changed.connect(self._show_object)
        document.objects_changed.connect(self._fit_height)
        document.solo_changed.connect(self._repaint)
        document.memory_rules_changed.connect(self._repaint)
        self._table.changed.connect(self._show_masks)
        self._thumbnails.arrived.connect(self._repaint)
        self._cuts.changed.connect(self._repaint)
        annotator.operations.busy_changed.connect(self._show_busy)
        annotator.operations.changed.connect(self._show_again)
        annotator.tracking.tracked.connect(self._show_head)
        self._fit_height()
        self._describe()

    def shutdown(self) -> None:
        """Ends the threads that make thumbnails and look for cuts."""
        self._thumbnails.close()
        self._cuts.close()

    # Size, zoom and scrolling

    def sizeHint(self) -> QSize:
        lanes = max(1, min(len(self._document.objects), _MOST_LANES))
        return QSize(640, LANES_TOP_PX + lanes * LANE_PX + self._bar_px)

    def minimumSizeHint(self) -> QSize:
        return QSize(320, LANES_TOP_PX + LANE_PX + self._bar_px)

    @property
    def _bar_px(self) -> int:
        return self.horizontalScrollBar().sizeHint().height()

    @property
    def zoom(self) -> float:
        """0: all frames are seen; 1: a frame is 40 pixels wide. Steps are equal factors."""
        fit_px = self._scale.fit_px
        if fit_px >= LARGEST_FRAME_PX:
            return 0.0
        return log(self._scale.frame_px / fit_px) / log(LARGEST_FRAME_PX / fit_px)

    def set_zoom(self, zoom: float) -> None:
        """About the playhead if it is seen, else about the middle."""
        fit_px = self._scale.fit_px
        frame_px = fit_px * (LARGEST_FRAME_PX / fit_px) ** max(0.0, min(zoom, 1.0))
        frame, scale = self._document.frame, self._scale
        x = scale.center(frame)
        if 0 <= x <= scale.width_px:
            self._set_scale(scale.zoomed(frame_px, x).showing(frame))
        else:
            self._set_scale(scale.zoomed(frame_px, scale.width_px / 2))

    @property
    def scale(self) -> TimeScale:
        """How frames are laid out now; its left edge is `HEADER_PX` into the viewport."""
        return self._scale

    def resizeEvent(self, event: QResizeEvent) -> None:
        width = max(1, self.viewport().width() - HEADER_PX - 1)
        self._set_scale(self._scale.resized(width))
        self._set_vertical_range()

    def wheelEvent(self, event: QWheelEvent) -> None:
        delta = event.angleDelta()
        modifiers = event.modifiers()
        x = event.position().x() - HEADER_PX
        if modifiers & Qt.KeyboardModifier.ControlModifier:
            factor = _WHEEL_ZOOM ** (delta.y() / 120)
            self._set_scale(self._scale.zoomed(self._scale.frame_px * factor, x))
        elif delta.x() or modifiers & Qt.KeyboardModifier.ShiftModifier:
            self._scroll_by(-(delta.x() or delta.y()))
        elif self._can_scroll_lanes and event.position().y() >= LANES_TOP_PX:
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() - round(delta.y() / 120) * LANE_PX)
        else:
            self._scroll_by(-delta.y())
        event.accept()

    def _scroll_by(self, pixels: float) -> None:
        self._set_scale(self._scale.scrolled(self._scale.scroll_px + pixels))

    def _scroll(self, value: int) -> None:
        if not self._is_syncing:
            self._set_scale(self._scale.scrolled(value))

    def _set_scale(self, scale: TimeScale) -> None:
        if scale == self._scale:
            return
        is_zoomed = (scale.frame_px, scale.width_px) != (self._scale.frame_px, self._scale.width_px)
        self._scale = scale
        self._thumbnails.give_way()
        self._is_syncing = True
        bar = self.horizontalScrollBar()
        bar.setPageStep(scale.width_px)
        bar.setSingleStep(max(1, round(scale.frame_px)))
        bar.setRange(0, max(0, round(scale.content_px - scale.width_px)))
        bar.setValue(round(scale.scroll_px))
        self._is_syncing = False
        self._repaint()
        if is_zoomed:
            self.zoom_changed.emit(self.zoom)

    @property
    def _can_scroll_lanes(self) -> bool:
        return self.verticalScrollBar().maximum() > 0

    def _set_vertical_range(self) -> None:
        seen = self.viewport().height() - LANES_TOP_PX
        needed = len(self._document.objects) * LANE_PX
        bar = self.verticalScrollBar()
        bar.setPageStep(max(1, seen))
        bar.setSingleStep(LANE_PX)
        bar.setRange(0, max(0, needed - seen))

    def _fit_height(self) -> None:
        self.updateGeometry()
        self._set_vertical_range()
        self._repaint()

    # What changed

    def _repaint(self, *_: object) -> None:
        self._content = None
        self.viewport().update()

    def _show_frame(self, frame: int) -> None:
        self._thumbnails.give_way()
        self._set_scale(self._scale.showing(frame))
        self._describe()
        self.viewport().update()

    def _show_object(self, object_id: int) -> None:
        row = self._row_of(object_id)
        if row is not None:
            bar = self.verticalScrollBar()
            top = row * LANE_PX
            bar.setValue(min(top, max(bar.value(), top + LANE_PX - bar.pageStep())))
        self._repaint()

    def _show_masks(self, frames: set[int]) -> None:
        if self._document.frame in frames:
            self._describe()
        self._repaint()

    def _show_busy(self, busy: Busy) -> None:
        self._thumbnails.set_paused(busy is Busy.PROPAGATING)
        self._cuts.set_paused(busy is Busy.PROPAGATING)
        if busy not in (Busy.PROPAGATING, Busy.PAUSED):
            self._head = None
        self.viewport().update()

    def _show_again(self) -> None:
        operation = self._annotator.operations.running
        again = None if operation is None else operation.frames
        if again != self.tracked_again:
            self.tracked_again = again
            self.viewport().update()

    def _show_head(self, frame: int) -> None:
        self._head = frame
        self.viewport().update()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._repaint()

    def _describe(self) -> None:
        self.setAccessibleDescription(describe_frame(self._document, self._document.frame))

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        viewport = self.viewport()
        ratio = viewport.devicePixelRatioF()
        if self._content is None or self._content.devicePixelRatioF() != ratio:
            self._content = self._paint_content(ratio)
        painter = QPainter(viewport)
        painter.drawPixmap(0, 0, self._content)
        painter.setClipRect(HEADER_PX + 1, 0, viewport.width(), viewport.height())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        strip = QRectF(viewport.rect()).adjusted(HEADER_PX + 1, 0, 0, 0)
        draw_cuts(painter, strip, self._scale, self._cuts.frames, self.palette())
        if self.tracked_again is not None:
            draw_again(painter, strip, self._scale, self.tracked_again)
        if self._head is not None:
            draw_head(painter, strip, self._scale, self._head, self.palette())
        draw_playhead(painter, strip, self._scale, self._document.frame)
        self._draw_stretch(painter, strip)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(ACCENT, 1))
            painter.drawRect(strip.adjusted(0.5, 0.5, -0.5, -0.5))
        painter.end()

    def _draw_stretch(self, painter: QPainter, strip: QRectF) -> None:
        stretch = self._drag.stretch or self._drag.change
        row = None if stretch is None else self._row_of(stretch[0])
        if stretch is not None and row is not None:
            top = LANES_TOP_PX + row * LANE_PX - self.verticalScrollBar().value()
            lane = QRectF(strip.left(), top, strip.width(), LANE_PX)
            draw_stretch(painter, lane, self._scale, stretch[1], stretch[2])

    def _paint_content(self, ratio: float) -> QPixmap:
        scale, document = self._scale, self._document
        picture_px = FILM_PX * self._thumbnails.width_px / self._thumbnails.height_px
        film = slots(scale, picture_px, document.video)
        self._thumbnails.want("filmstrip", [slot.frame for slot in film])
        picture = TimelinePicture(document, scale, self.palette(), self.font(), ratio)
        return picture.paint(
            self.viewport().size(), film, self._thumbnails, self.verticalScrollBar().value()
        )

    # Mouse and keys

    def frame_at(self, x: float) -> int:
        """The frame under a pixel of the viewport."""
        return self._scale.frame(x - HEADER_PX - 1)

    def _row_of(self, object_id: int) -> int | None:
        ids = [info.id for info in self._document.objects]
        return ids.index(object_id) if object_id in ids else None

    def _object_at(self, y: float) -> int:
        """The object whose lane is there; 0: none."""
        if y < LANES_TOP_PX:
            return 0
        row = int(y - LANES_TOP_PX + self.verticalScrollBar().value()) // LANE_PX
        objects = self._document.objects
        return objects[row].id if row < len(objects) else 0

    def _edge_at(self, position: QPointF) -> PresenceEdge | None:
        """The edge of an object's presence that can be dragged from there, the nearest."""
        info = self._document.object(self._object_at(position.y()))
        is_read_only = self._document.session.ledger.is_read_only
        x = position.x() - HEADER_PX - 1
        if info is None or info.is_locked or is_read_only or x < 0:
            return None
        edges = edges_of(info, self._document.frame_count)
        near = min(edges, key=lambda one: abs(self._scale.x(one.at) - x), default=None)
        if near is None or abs(self._scale.x(near.at) - x) > _EDGE_PX:
            return None
        return near

    def _handle_at(self, position: QPointF) -> Dragged | None:
        document, scale = self._document, self._scale
        if position.y() > RULER_PX:
            return None
        x = position.x() - HEADER_PX - 1
        ends = (
            (document.range_in, 0, Dragged.RANGE_IN),
            (document.range_out, 1, Dragged.RANGE_OUT),
        )
        for frame, after, end in ends:
            if frame is not None and abs(scale.x(frame + after) - x) <= _HANDLE_PX:
                return end
        return None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        position = event.position()
        object_id = self._object_at(position.y())
        if position.x() <= HEADER_PX:
            if object_id:
                self._document.set_current_object(object_id)
            return
        is_presence = event.modifiers() & Qt.KeyboardModifier.ControlModifier
        if object_id and is_presence and not self._document.session.ledger.is_read_only:
            self._document.set_current_object(object_id)
            self._drag.begin(Dragged.PRESENCE, self.frame_at(position.x()), object_id)
            self.viewport().update()
            return
        edge = None if event.modifiers() else self._edge_at(position)
        if edge is not None:
            self._document.set_current_object(edge.object_id)
            self._drag.begin_edge(edge)
            return
        is_range = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        otherwise = Dragged.RANGE if is_range else Dragged.PLAYHEAD
        self._drag.begin(self._handle_at(position) or otherwise, self.frame_at(position.x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        position = event.position()
        if self._drag.is_held:
            if self._drag.is_of_edge:  # snaps to the nearest boundary of two frames
                self._drag.move(self._scale.boundary(position.x() - HEADER_PX - 1))
            else:
                self._drag.move(self.frame_at(position.x()))
            if self._drag.stretch is not None or self._drag.is_of_edge:
                self.viewport().update()
            return
        handle = self._handle_at(position) or self._edge_at(position)
        shape = Qt.CursorShape.SizeHorCursor if handle is not None else Qt.CursorShape.ArrowCursor
        self.viewport().setCursor(shape)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        stretch, change = self._drag.stretch, self._drag.change
        is_click = self._drag.is_of_edge and change is None
        self._drag.end()
        if change is not None:
            self.viewport().update()
            self._annotator.bulk.set_presence(*change)
        elif is_click:  # what was not dragged was meant to go there
            self._document.set_frame(self.frame_at(event.position().x()))
        if stretch is not None:
            self.viewport().update()
            self.presence_menu(*stretch).popup(event.globalPosition().toPoint())

    def presence_menu(self, object_id: int, first: int, last: int) -> QMenu:
        """What the object may be on these frames; deletes itself when closed."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("Frames {first} to {last}", first=first, last=last)).setEnabled(False)
        menu.addSeparator()
        for state, text in _STATES.items():
            do = partial(self._annotator.bulk.set_presence, object_id, first, last, state)
            menu.addAction(icon(_ICONS[state]), tr(text).capitalize(), do)
        return menu

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """What is under the pointer becomes current first, so that the menu is about it."""
        if event.reason() is not QContextMenuEvent.Reason.Keyboard:
            object_id = self._object_at(event.pos().y())
            if object_id:
                self._document.set_current_object(object_id)
            if event.pos().x() > HEADER_PX:
                self.went.emit()
                self._document.set_frame(self.frame_at(event.pos().x()))
        self.menu_requested.emit(event.globalPos())
        event.accept()

    def abandon_drag(self) -> bool:
        """What the mouse is moving is as it was before. False if its button is not down."""
        self.viewport().update()
        return self._drag.abandon()

    def event(self, event: QEvent) -> bool:
        """Keys that abandon a drag come before the window's shortcuts."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and self._drag.is_held
            and _is_abandoning(event)
        ):
            event.accept()
            return True
        return super().event(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """To the keyframe near the pointer; off one, a double click is a click."""
        x = event.position().x()
        given = self._table.given_frames
        if x > HEADER_PX and len(given):
            frame = self.frame_at(x)
            nearest = int(given[abs(given - frame).argmin()])
            if abs(self._scale.center(nearest) + HEADER_PX + 1 - x) <= 2 * _HANDLE_PX:
                self._document.set_frame(nearest)
                return
        self.mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if _is_abandoning(event) and self.abandon_drag():
            pass
        elif event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self._step_object(-1 if event.key() == Qt.Key.Key_Up else 1)
        elif event.key() in _GOING_KEYS:
            frame = _frame_for_key(self._document, event.key(), event.modifiers())
            if frame is not None:
                self.went.emit()
                self._document.set_frame(frame)
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def _step_object(self, way: int) -> None:
        objects = self._document.objects
        row = self._row_of(self._document.current_object)
        if objects and row is not None:
            self._document.set_current_object(objects[max(0, min(row + way, len(objects) - 1))].id)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            self._show_tip(event.pos(), event.globalPos())
            return True
        return super().viewportEvent(event)

    def _describe_edge(self, edge: PresenceEdge) -> str:
        info = self._document.object(edge.object_id)
        name = "" if info is None else info.name
        state, frame = edge.after, edge.at
        text = Message("“{name}”: {state} from frame {frame} on. Drag to move this edge.")
        if state is PresenceState.NOT_LOOKED_AT:
            state, frame = edge.before, edge.at - 1
            text = Message("“{name}”: {state} up to frame {frame}. Drag to move this edge.")
        return tr(text, name=name, state=tr(_STATES[state]), frame=frame)

    def _show_tip(self, position: QPoint, on_screen: QPoint) -> None:
        if position.x() > HEADER_PX:
            edge = self._edge_at(QPointF(position))
            text = describe_frame(self._document, self.frame_at(position.x()))
            if edge is not None:
                text = self._describe_edge(edge)
        else:
            info = self._document.object(self._object_at(position.y()))
            text = "" if info is None else info.name
        QToolTip.showText(on_screen, text, self.viewport())
