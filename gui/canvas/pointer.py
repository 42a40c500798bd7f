"""Cursor shape, brush ring, magnifier and highlight under the pointer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, QPoint, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen, QTransform
from PySide6.QtWidgets import QWidget

from gui.canvas.backdrop import Backdrop
from gui.canvas.markers import BrushRing, ClickMarkers, PreviewMark
from gui.canvas.shown_frame import ShownFrame
from gui.canvas.tools import REMOVING, CanvasTool
from gui.language import tr
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.prompts import HoverPreview

__all__ = [
    "Magnifier",
    "PointerLook",
    "PointerState",
    "RestingFrame",
    "RestingPointer",
]

_SIZE_PX: Final = 192
_AWAY_PX: Final = 28  # from the cursor, so that it hides nothing that matters
_TIMES: Final = 4.0
_LEAST_SCALE: Final = 6.0


class Magnifier(QWidget):
    """Lies over the canvas; the mouse goes through it."""

    def __init__(self, backdrop: Backdrop, parent: QWidget) -> None:
        super().__init__(parent)
        self._canvas = parent
        self._backdrop = backdrop
        self._center = QPointF()  # source pixels
        self._scale = _LEAST_SCALE
        self._brush_radius_px = 0.0
        self.setFixedSize(_SIZE_PX, _SIZE_PX)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName(tr("Magnifier"))
        self.hide()

    def follow(
        self, cursor: QPointF, source: QPointF, scale: float, brush_radius_px: float
    ) -> None:
        """cursor: in the parent; source: the same in source pixels; scale: the canvas's own;
        brush_radius_px: 0 where no brush is in use."""
        self._center, self._scale = source, max(_LEAST_SCALE, scale * _TIMES)
        self._brush_radius_px = brush_radius_px
        parent = self._canvas.rect()
        x = cursor.x() + _AWAY_PX
        y = cursor.y() - _AWAY_PX - _SIZE_PX
        if x + _SIZE_PX > parent.width():
            x = cursor.x() - _AWAY_PX - _SIZE_PX
        if y < 0:
            y = cursor.y() + _AWAY_PX
        self.move(QPoint(round(x), round(y)))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        circle = QRectF(self.rect()).adjusted(2, 2, -2, -2)
        shape = QPainterPath()
        shape.addEllipse(circle)
        middle = circle.center()
        painter.save()
        painter.setClipPath(shape)
        offset = middle - self._center * self._scale
        to_glass = QTransform(self._scale, 0, 0, self._scale, offset.x(), offset.y())
        self._backdrop.paint(painter, to_glass, circle, self.devicePixelRatioF())
        if self._brush_radius_px > 0:
            radius = self._brush_radius_px * self._scale
            painter.setPen(QPen(QColor(0, 0, 0, 190), 3))
            painter.drawEllipse(middle, radius, radius)
            painter.setPen(QPen(QColor("white"), 1.5))
            painter.drawEllipse(middle, radius, radius)
        painter.restore()
        for width, color in ((3.0, QColor(0, 0, 0, 150)), (1.0, QColor("white"))):
            painter.setPen(QPen(color, width))
            for x, y in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                way = QPointF(x, y)
                painter.drawLine(middle + way * 5, middle + way * 12)
        painter.setPen(QPen(QColor(0, 0, 0, 160), 4))
        painter.drawEllipse(circle)
        painter.setPen(QPen(QColor(0xE0, 0xE0, 0xE0), 2))
        painter.drawEllipse(circle)
        painter.end()


@dataclass(frozen=True, slots=True)
class PointerState:
    """Where the mouse is and what it is about to do."""

    mouse: QPointF  # the viewport's pixels
    scene: QPointF  # the same in the scene
    source: QPointF  # and on the frame: the two differ over the source beside the overlay
    scale: float  # window pixels for a source pixel
    tool: CanvasTool
    keys: Qt.KeyboardModifier
    brush_radius_px: float
    may_pan: bool  # the picture is about to be moved
    is_panning: bool
    may_change: bool  # the current object: it is not locked


_REST_MS: Final = 20  # without an event; a hand that moves causes one every 8 ms
_ARRIVAL_MS: Final = 250  # after another frame has come: a video that plays is not looked at
_REACH_PX: Final = 2.0  # of the window: a hand that rests trembles


class RestingPointer(QObject):
    """Shows what a click would do where the pointer rests, and takes it with the click."""

    hint_changed = Signal()

    def __init__(
        self,
        document: Document,
        annotator: Annotator,
        shown: ShownFrame,
        mark: PreviewMark,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._document, self._previews = document, annotator.previews
        self._shown, self._mark = shown, mark
        self._at: QPointF | None = None  # in the viewport, where it came to rest
        self._point = QPointF()  # the same in source pixels
        self.preview: HoverPreview | None = None  # in sight
        self._rest = QTimer(self, singleShot=True)
        self._rest.timeout.connect(self._ask)
        self._previews.arrived.connect(self._show)
        # Methods, not lambdas: these connections end with this object.
        shown.arrived.connect(self._look_again_later)
        document.current_object_changed.connect(self._look_again)
        for changed in (document.masks_changed, document.frame_changed):
            changed.connect(self.clear)

    @property
    def hint(self) -> str:
        """What takes the change that is in sight; empty if none is."""
        if self.preview is None:
            return ""
        if self.preview.is_new:
            return tr("Click takes this mask.")
        if self.preview.click.is_positive:
            return tr("Click adds what is green.")
        return tr("Right-click or Shift-click removes what is red.")

    def follow(self, now: PointerState, *, is_free: bool) -> None:
        """is_free: the pointer is on the picture and means nothing else there."""
        # Zoomed or moved, the picture is another one under a pointer that has not moved.
        is_same_place = _is_near(now.source * now.scale, self._point * now.scale)
        is_near = self._at is not None and _is_near(now.mouse, self._at) and is_same_place
        if now.tool.is_active and is_near:  # a click is being made: it takes what is in sight
            self._rest.stop()
            self._previews.cancel()
        elif not is_free:
            self.leave()
        elif not is_near:
            self.clear()
            self._at, self._point = now.mouse, now.source
            self._rest.start(_REST_MS)

    def leave(self) -> None:
        """The pointer is elsewhere, or means something else."""
        self._at = None
        self.clear()

    def clear(self, *_: object) -> None:
        """Nothing is in sight, and nothing comes before the pointer has moved."""
        self._rest.stop()
        self._previews.cancel()
        if self.preview is not None:
            self.preview = None
            self._mark.hide()
            self.hint_changed.emit()

    def place_of(self, mouse: QPointF, point: tuple[float, float]) -> tuple[float, float]:
        """The source pixels that a click means: the place of the preview in sight, if the pointer
        has not left it."""
        if self.preview is None or self._at is None or not _is_near(mouse, self._at):
            return point
        return self.preview.click.x, self.preview.click.y

    def _look_again(self, *_: object) -> None:
        self._renew(_REST_MS)

    def _look_again_later(self, *_: object) -> None:
        self._renew(_ARRIVAL_MS)

    def _renew(self, delay_ms: int) -> None:
        self.clear()
        if self._at is not None:
            self._rest.start(delay_ms)

    def _ask(self) -> None:
        if self._shown.is_current:
            self._previews.ask(self._point.x(), self._point.y())

    def _show(self, preview: HoverPreview) -> None:
        self.preview = preview
        self._mark.show_preview(preview, self._shown.color_of(preview.object_id))
        self.hint_changed.emit()


class RestingFrame(QObject):
    """Has the frame looked at for previews once it rests, while the tool shows any."""

    def __init__(
        self,
        document: Document,
        annotator: Annotator,
        shown: ShownFrame,
        has_preview: Callable[[], bool],
        parent: QObject,
    ) -> None:
        """has_preview: whether the tool in use has."""
        super().__init__(parent)
        self._previews, self._shown, self._has_preview = annotator.previews, shown, has_preview
        self._rest = QTimer(self, singleShot=True, interval=_ARRIVAL_MS)
        self._rest.timeout.connect(self._look)
        for changed in (
            shown.arrived,
            document.tool_changed,
            document.current_object_changed,
            document.masks_changed,
            annotator.operations.busy_changed,
        ):
            changed.connect(self._wait)
        document.frame_changed.connect(self.leave)
        self._rest.start()  # the first may have arrived

    def leave(self, *_: object) -> None:
        """Another frame is on its way, or none any more."""
        self._rest.stop()

    def _wait(self, *_: object) -> None:
        self._rest.start()

    def _look(self) -> None:
        if self._has_preview() and self._shown.is_current:
            self._previews.look()


def _is_near(mouse: QPointF, other: QPointF) -> bool:
    away = mouse - other
    return max(abs(away.x()), abs(away.y())) <= _REACH_PX


class PointerLook:
    """Keeps cursor, ring, magnifier, highlight and preview up to date."""

    def __init__(
        self,
        viewport: QWidget,
        shown: ShownFrame,
        markers: ClickMarkers,
        glass: Magnifier,
        resting: RestingPointer,
    ) -> None:
        self._viewport, self._shown = viewport, shown
        self._markers, self._glass, self._resting = markers, glass, resting
        self.ring = BrushRing()
        self.has_glass = False

    def leave(self) -> None:
        """The mouse is elsewhere."""
        self.ring.hide()
        self._glass.hide()
        self._markers.set_hovered(None)
        self._shown.set_hovered(0)
        self._resting.leave()

    def follow(self, now: PointerState) -> None:
        tool = now.tool
        is_moving = now.may_pan or now.is_panning
        is_picking = bool(now.keys & Qt.KeyboardModifier.ControlModifier) and not tool.is_active
        marker = None
        if not is_moving and not tool.is_active:
            marker = self._markers.at(now.source, now.scale)
        self._markers.set_hovered(marker)
        tip = ""
        if marker is not None:
            tip = tr("Click {index}. Delete or Alt-click takes it out.", index=marker.index + 1)
        if self._viewport.toolTip() != tip:
            self._viewport.setToolTip(tip)

        is_pointing = (tool.is_pointing or is_picking) and not tool.is_active
        is_pointing = is_pointing and marker is None and not is_moving
        is_inside = self._shown.is_inside(now.source.x(), now.source.y())
        is_free = tool.has_preview and is_pointing and not is_picking and is_inside
        self._resting.follow(now, is_free=is_free)
        self._shown.set_hovered(
            self._shown.object_at(now.source.x(), now.source.y()) if is_pointing else 0
        )
        has_ring = tool.has_ring and not is_moving and marker is None and not is_picking
        if has_ring:
            color = REMOVING if tool.is_removing(now.keys) else QColor("white")
            self.ring.set_brush(now.brush_radius_px, color)
            self.ring.setPos(now.scene)
        self.ring.setVisible(has_ring)

        if now.is_panning:
            shape = Qt.CursorShape.ClosedHandCursor
        elif now.may_pan:
            shape = Qt.CursorShape.OpenHandCursor
        elif marker is not None or (is_picking and tool.has_ring):
            shape = Qt.CursorShape.PointingHandCursor
        elif tool.changes_object and not now.may_change:
            shape = Qt.CursorShape.ForbiddenCursor
        else:
            shape = tool.active_cursor if tool.is_active else tool.cursor
        if self._viewport.cursor().shape() != shape:
            self._viewport.setCursor(shape)

        if self.has_glass and not is_moving:
            radius_px = now.brush_radius_px if tool.has_ring else 0.0
            self._glass.follow(now.mouse, now.source, now.scale, radius_px)
        self._glass.setVisible(self.has_glass and not is_moving)
