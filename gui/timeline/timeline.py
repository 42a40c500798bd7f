"""The strip under the picture: thumbnails, numbers, doubt, a lane an object, and the playhead."""

from enum import Enum
from math import log
from typing import Final

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QSizePolicy, QToolTip, QWidget

from gui.annotator import Annotator, Busy
from gui.document import Document
from gui.going import keyframe_after, keyframe_before
from gui.theme import ACCENT
from gui.timeline.filmstrip import draw_filmstrip, slots
from gui.timeline.frame_table import FrameTable
from gui.timeline.lanes import draw_doubt, draw_lane
from gui.timeline.ruler import draw_ruler
from gui.timeline.scale import LARGEST_FRAME_PX, TimeScale
from gui.timeline.thumbnails import Thumbnails
from gui.timeline.timecode import format_timecode
from interaction.types import FrameStatus

__all__ = ["Timeline"]

HEADER_PX: Final = 112
RULER_PX: Final = 20
FILM_PX: Final = 36
DOUBT_PX: Final = 8
LANE_PX: Final = 20
MOST_LANES: Final = 5
_HANDLE_PX: Final = 6  # how near the pointer must be
_WHEEL_ZOOM: Final = 1.25  # a notch
_PAGE: Final = 10  # frames


class _Drag(Enum):
    NOTHING = 0
    SCRUB = 1
    RANGE = 2
    RANGE_IN = 3
    RANGE_OUT = 4


class Timeline(QAbstractScrollArea):
    """Follows the document and moves its frame, range and current object.

    Everything but the playhead is painted once and kept until it changes, so that playing and
    scrubbing cost next to nothing. Call `shutdown` before the session is closed.
    """

    zoom_changed = Signal(float)  # 0 to 1

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._table = FrameTable.of(document)
        self._thumbnails = Thumbnails.of(document)
        self._scale = TimeScale(document.frame_count, 600)
        self._content: QPixmap | None = None
        self._drag, self._drag_from = _Drag.NOTHING, 0
        self._head: int | None = None  # the frame a propagation has come to
        self._is_syncing = False

        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Timeline"))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.horizontalScrollBar().setAccessibleName(self.tr("Scroll through time"))
        self.verticalScrollBar().setAccessibleName(self.tr("Scroll through objects"))
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
        self._table.changed.connect(self._show_masks)
        self._thumbnails.arrived.connect(self._repaint)
        annotator.busy_changed.connect(self._show_busy)
        annotator.tracked.connect(self._show_head)
        self._fit_height()
        self._describe()

    def shutdown(self) -> None:
        """Ends the thread that makes thumbnails."""
        self._thumbnails.close()

    # Size, zoom and scrolling

    def sizeHint(self) -> QSize:
        lanes = max(1, min(len(self._document.objects), MOST_LANES))
        return QSize(640, self._lanes_top + lanes * LANE_PX + self._bar_px)

    def minimumSizeHint(self) -> QSize:
        return QSize(320, self._lanes_top + LANE_PX + self._bar_px)

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
        x = self._scale.center(self._document.frame)
        if not 0 <= x <= self._scale.width_px:
            x = self._scale.width_px / 2
        self._set_scale(self._scale.zoomed(frame_px, x))

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
        elif self._can_scroll_lanes and event.position().y() >= self._lanes_top:
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
    def _lanes_top(self) -> int:
        return RULER_PX + FILM_PX + DOUBT_PX + 3

    @property
    def _can_scroll_lanes(self) -> bool:
        return self.verticalScrollBar().maximum() > 0

    def _set_vertical_range(self) -> None:
        seen = self.viewport().height() - self._lanes_top
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
        if busy not in (Busy.PROPAGATING, Busy.PAUSED):
            self._head = None
        self.viewport().update()

    def _show_head(self, frame: int) -> None:
        self._head = frame
        self.viewport().update()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._repaint()

    def _describe(self) -> None:
        self.setAccessibleDescription(self.describe(self._document.frame))

    def describe(self, frame: int) -> str:
        """A frame in words, a line a fact."""
        document = self._document
        record = document.annotation.record(frame)
        lines = [
            self.tr("Frame {0} of {1}, {2}").format(
                frame,
                document.frame_count - 1,
                format_timecode(float(document.video.timestamps_s[frame])),
            ),
            self._status_text(record.status),
        ]
        if record.mask is not None:
            names = [one.name for one in document.objects if one.id in record.present]
            lines.append(", ".join(names) if names else self.tr("no object"))
        if record.status is FrameStatus.TRACKED:
            lines.append(self.tr("Doubt: {} %").format(round(record.doubt * 100)))
        return "\n".join(lines)

    def _status_text(self, status: FrameStatus) -> str:
        return {
            FrameStatus.EMPTY: self.tr("no mask yet"),
            FrameStatus.TRACKED: self.tr("tracked"),
            FrameStatus.CORRECTED: self.tr("made by hand"),
            FrameStatus.CONFIRMED: self.tr("confirmed"),
        }[status]

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        viewport = self.viewport()
        ratio = viewport.devicePixelRatioF()
        if self._content is None or self._content.devicePixelRatioF() != ratio:
            self._content = self._paint_content(viewport.size(), ratio)
        painter = QPainter(viewport)
        painter.drawPixmap(0, 0, self._content)
        painter.setClipRect(HEADER_PX + 1, 0, viewport.width(), viewport.height())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_head(painter)
        self._draw_playhead(painter)
        painter.end()

    def _paint_content(self, size: QSize, ratio: float) -> QPixmap:
        pixmap = QPixmap(size * ratio)
        pixmap.setDevicePixelRatio(ratio)
        palette, scale = self.palette(), self._scale
        pixmap.fill(palette.color(QPalette.ColorRole.Base))
        painter = QPainter(pixmap)
        painter.setFont(self.font())
        width, height = size.width(), size.height()
        left, strip_px = float(HEADER_PX + 1), float(width - HEADER_PX - 1)
        header = palette.color(QPalette.ColorRole.Window)
        painter.fillRect(0, 0, width, RULER_PX, header)
        painter.fillRect(0, 0, HEADER_PX, height, header)
        columns = scale.columns(ratio)

        painter.setClipRect(QRectF(left, 0, strip_px, height))
        small = self.font()
        small.setPixelSize(11)
        painter.setFont(small)
        draw_ruler(
            painter,
            QRectF(left, 0, strip_px, RULER_PX),
            scale,
            self._document.video.timestamps_s,
            palette,
        )
        painter.setFont(self.font())
        film = QRectF(left, RULER_PX + 1, strip_px, FILM_PX)
        picture_px = FILM_PX * self._thumbnails.width_px / self._thumbnails.height_px
        found = slots(scale, picture_px, self._document.video)
        self._thumbnails.want("filmstrip", [slot.frame for slot in found])
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        draw_filmstrip(painter, film, found, self._thumbnails, palette)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        doubt = QRectF(left, RULER_PX + FILM_PX + 3, strip_px, DOUBT_PX - 3)
        draw_doubt(painter, doubt, columns, self._table, palette, ratio)
        painter.setClipping(False)
        self._draw_header_texts(painter)
        self._draw_lanes(painter, size, ratio)
        painter.setClipRect(QRectF(left, 0, strip_px, height))
        self._draw_range(painter, height)
        painter.setClipping(False)
        painter.setPen(palette.color(QPalette.ColorRole.Mid))
        painter.drawLine(HEADER_PX, 0, HEADER_PX, height)
        painter.drawLine(0, 0, width, 0)
        painter.end()
        return pixmap

    def _draw_header_texts(self, painter: QPainter) -> None:
        faint = self.palette().color(QPalette.ColorRole.PlaceholderText)
        small = self.font()
        small.setPixelSize(11)
        painter.setFont(small)
        painter.setPen(faint)
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRect(8, 0, HEADER_PX - 16, RULER_PX), flags, self.tr("Frame"))
        top = RULER_PX + FILM_PX - 4
        painter.drawText(QRect(8, top, HEADER_PX - 16, 16), flags, self.tr("Doubt"))
        painter.setFont(self.font())

    def _draw_lanes(self, painter: QPainter, size: QSize, ratio: float) -> None:
        palette, document = self.palette(), self._document
        top, scroll = self._lanes_top, self.verticalScrollBar().value()
        lanes = QRect(0, top, size.width(), size.height() - top)
        painter.setClipRect(lanes)
        if not document.objects:
            painter.setPen(palette.color(QPalette.ColorRole.PlaceholderText))
            area = lanes.adjusted(HEADER_PX + 8, 0, -8, 0)
            area.setHeight(LANE_PX)
            painter.drawText(
                area, Qt.AlignmentFlag.AlignVCenter, self.tr("Click an object in the picture.")
            )
        columns = self._scale.columns(ratio)
        line = palette.color(QPalette.ColorRole.Midlight)
        for row, one in enumerate(document.objects):
            y = top + row * LANE_PX - scroll
            if y + LANE_PX <= top or y >= size.height():
                continue
            is_current = one.id == document.current_object
            if is_current:
                tint = QColor(ACCENT)
                tint.setAlpha(38)
                painter.fillRect(0, y, size.width(), LANE_PX, tint)
            painter.setOpacity(1.0 if document.is_shown(one.id) else 0.45)
            painter.fillRect(QRect(8, y + 5, 10, 10), QColor(*one.color))
            painter.setPen(palette.color(QPalette.ColorRole.WindowText))
            room = QRect(24, y, HEADER_PX - 30, LANE_PX)
            name = painter.fontMetrics().elidedText(
                one.name, Qt.TextElideMode.ElideRight, room.width()
            )
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, name)
            painter.setClipRect(lanes.adjusted(HEADER_PX + 1, 0, 0, 0))
            lane = QRectF(HEADER_PX + 1, y, size.width(), LANE_PX)
            draw_lane(painter, lane, self._scale, columns, self._table, one, palette, ratio)
            painter.setClipRect(lanes)
            painter.setOpacity(1.0)
            painter.fillRect(0, y + LANE_PX - 1, size.width(), 1, line)
        painter.setClipping(False)

    def _draw_range(self, painter: QPainter, height: int) -> None:
        document, scale = self._document, self._scale
        if document.range_in is None and document.range_out is None:
            return
        first = 0 if document.range_in is None else document.range_in
        last = document.frame_count - 1 if document.range_out is None else document.range_out
        left, right = HEADER_PX + 1 + scale.x(first), HEADER_PX + 1 + scale.x(last + 1)
        shade = self.palette().color(QPalette.ColorRole.Window)
        shade.setAlpha(170)
        painter.fillRect(QRectF(HEADER_PX, 0, left - HEADER_PX, height), shade)
        painter.fillRect(QRectF(right, 0, max(0.0, self.viewport().width() - right), height), shade)
        painter.fillRect(QRectF(left, 0, right - left, 3), ACCENT)
        for x, way in ((left, 1), (right, -1)):
            painter.fillRect(QRectF(x - (0 if way > 0 else 2), 0, 2, RULER_PX), ACCENT)
            corner = QPolygonF([QPointF(x, 0), QPointF(x + 7 * way, 0), QPointF(x, 9)])
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ACCENT)
            painter.drawPolygon(corner)

    def _draw_head(self, painter: QPainter) -> None:
        if self._head is None:
            return
        x = HEADER_PX + 1 + self._scale.center(self._head)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.WindowText), 1, Qt.PenStyle.DotLine))
        painter.drawLine(QPointF(x, RULER_PX), QPointF(x, self.viewport().height()))

    def _draw_playhead(self, painter: QPainter) -> None:
        scale, height = self._scale, self.viewport().height()
        frame = self._document.frame
        left = HEADER_PX + 1 + scale.x(frame)
        x = HEADER_PX + 1 + scale.center(frame)
        if scale.frame_px >= 3:
            tint = QColor(ACCENT)
            tint.setAlpha(60)
            painter.fillRect(QRectF(left, RULER_PX, scale.frame_px, height - RULER_PX), tint)
        painter.setPen(QPen(ACCENT, 1.5))
        painter.drawLine(QPointF(x, RULER_PX - 4), QPointF(x, height))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ACCENT)
        tip = [(-6, -9), (6, -9), (6, -4), (0, 2), (-6, -4)]
        painter.drawPolygon(QPolygonF([QPointF(x + dx, RULER_PX - 3 + dy) for dx, dy in tip]))
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(ACCENT, 1))
            area = self.viewport().rect().adjusted(HEADER_PX + 1, 0, -1, -1)
            painter.drawRect(QRectF(area).adjusted(0.5, 0.5, -0.5, -0.5))

    # Mouse and keys

    def frame_at(self, x: float) -> int:
        """The frame under a pixel of the viewport."""
        return self._scale.frame(x - HEADER_PX - 1)

    def _row_of(self, object_id: int) -> int | None:
        ids = [one.id for one in self._document.objects]
        return ids.index(object_id) if object_id in ids else None

    def _object_at(self, y: float) -> int:
        """The object whose lane is there; 0: none."""
        if y < self._lanes_top:
            return 0
        row = int(y - self._lanes_top + self.verticalScrollBar().value()) // LANE_PX
        objects = self._document.objects
        return objects[row].id if row < len(objects) else 0

    def _handle_at(self, position: QPointF) -> _Drag:
        document, scale = self._document, self._scale
        if position.y() > RULER_PX:
            return _Drag.NOTHING
        x = position.x() - HEADER_PX - 1
        ends = (
            (document.range_in, 0, _Drag.RANGE_IN),
            (document.range_out, 1, _Drag.RANGE_OUT),
        )
        for frame, after, drag in ends:
            if frame is not None and abs(scale.x(frame + after) - x) <= _HANDLE_PX:
                return drag
        return _Drag.NOTHING

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        position = event.position()
        object_id = self._object_at(position.y())
        if position.x() <= HEADER_PX:
            if object_id:
                self._document.set_current_object(object_id)
            return
        frame = self.frame_at(position.x())
        self._drag_from = frame
        self._drag = self._handle_at(position)
        if self._drag is _Drag.NOTHING:
            is_range = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            self._drag = _Drag.RANGE if is_range else _Drag.SCRUB
        if self._drag is _Drag.SCRUB:
            self._document.set_frame(frame)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        position, document = event.position(), self._document
        if self._drag is _Drag.NOTHING:
            is_handle = self._handle_at(position) is not _Drag.NOTHING
            shape = Qt.CursorShape.SizeHorCursor if is_handle else Qt.CursorShape.ArrowCursor
            self.viewport().setCursor(shape)
            return
        frame = self.frame_at(position.x())
        last = document.frame_count - 1
        if self._drag is _Drag.SCRUB:
            document.set_frame(frame)
        elif self._drag is _Drag.RANGE:
            first, final = sorted((self._drag_from, frame))
            document.set_range(first, final)
        elif self._drag is _Drag.RANGE_IN:
            end = last if document.range_out is None else document.range_out
            document.set_range(min(frame, end), document.range_out)
        else:
            start = document.range_in or 0
            document.set_range(document.range_in, max(frame, start))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag = _Drag.NOTHING

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
        document = self._document
        is_far = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        is_key = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        step = _PAGE if is_far else 1
        frame: int | None = None
        key = event.key()
        if key == Qt.Key.Key_Left:
            frame = keyframe_before(document) if is_key else document.frame - step
        elif key == Qt.Key.Key_Right:
            frame = keyframe_after(document) if is_key else document.frame + step
        elif key == Qt.Key.Key_PageUp:
            frame = document.frame - _PAGE
        elif key == Qt.Key.Key_PageDown:
            frame = document.frame + _PAGE
        elif key == Qt.Key.Key_Home:
            frame = 0
        elif key == Qt.Key.Key_End:
            frame = document.frame_count - 1
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self._step_object(-1 if key == Qt.Key.Key_Up else 1)
        else:
            super().keyPressEvent(event)
            return
        if frame is not None:
            document.set_frame(frame)
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

    def _show_tip(self, position: QPoint, on_screen: QPoint) -> None:
        if position.x() > HEADER_PX:
            text = self.describe(self.frame_at(position.x()))
        else:
            one = self._document.object(self._object_at(position.y()))
            text = "" if one is None else one.name
        QToolTip.showText(on_screen, text, self.viewport())
