"""Click markers, the brush ring, and markers of unanswered clicks."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from PySide6.QtCore import QObject, QPointF, QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPen, QPolygonF
from PySide6.QtWidgets import (
    QGraphicsItem,
    QGraphicsRectItem,
    QGraphicsScene,
    QStyleOptionGraphicsItem,
    QWidget,
)

from gui.canvas.shown_frame import ShownFrame
from gui.canvas.sketch import Sketch
from gui.canvas.view_modes import indexed
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from gui.work.prompts import HoverPreview
from interaction.annotation.types import Click
from xmem_core.arrays import Labels, Window

__all__ = [
    "BrushRing",
    "BusyMark",
    "ClickMarker",
    "ClickMarkers",
    "CloseupBox",
    "PendingMarks",
    "PreviewMark",
]

_RADIUS_PX: Final = 7.0
_HOVERED_RADIUS_PX: Final = 9.0
_REACH_PX: Final = 10.0  # how near the cursor must be
_DARK: Final = QColor(0, 0, 0, 190)
_PREVIEW_Z, _MARKER_Z, _RING_Z = 10, 20, 40


class ClickMarker(QGraphicsItem):
    """One click: a disc in the object's colour with a plus or a minus."""

    def __init__(self, click: Click, index: int, color: QColor, offset_x: float = 0.0) -> None:
        """index: its place among the frame's clicks; -1 while the answer is being computed."""
        super().__init__()
        self.click, self.index = click, index
        self._color = color
        self._is_hovered = False
        self.setPos(click.x + offset_x, click.y)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIgnoresTransformations)
        self.setCacheMode(QGraphicsItem.CacheMode.DeviceCoordinateCache)  # a pan draws none again
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self.setZValue(_MARKER_Z)

    @property
    def is_pending(self) -> bool:
        return self.index < 0

    def set_hovered(self, is_hovered: bool) -> None:
        if is_hovered != self._is_hovered:
            self._is_hovered = is_hovered
            self.update()

    def boundingRect(self) -> QRectF:
        reach = _HOVERED_RADIUS_PX + 2
        return QRectF(-reach, -reach, 2 * reach, 2 * reach)

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        radius = _HOVERED_RADIUS_PX if self._is_hovered else _RADIUS_PX
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setOpacity(0.6 if self.is_pending else 1.0)
        painter.setPen(QPen(_DARK, 1.5))
        painter.setBrush(QColor("white"))
        painter.drawEllipse(QPointF(), radius + 1, radius + 1)
        fill = self._color if self.click.is_positive else QColor(0xD0, 0x20, 0x20)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        painter.drawEllipse(QPointF(), radius - 1, radius - 1)
        is_bright = fill.lightnessF() > 0.5 and fill.green() > 120
        painter.setPen(QPen(QColor("black") if is_bright else QColor("white"), 2))
        arm = radius - 3.5
        painter.drawLine(QPointF(-arm, 0), QPointF(arm, 0))
        if self.click.is_positive:
            painter.drawLine(QPointF(0, -arm), QPointF(0, arm))


class ClickMarkers:
    """The clicks of the frame that is shown, and those that wait for their answer."""

    def __init__(self, scene: QGraphicsScene) -> None:
        self._scene = scene
        self._items: list[ClickMarker] = []
        self._expected: list[tuple[int, int, Click]] = []  # frame, object and click
        self._hovered: ClickMarker | None = None
        self._are_visible = True

    @property
    def items(self) -> tuple[ClickMarker, ...]:
        return tuple(self._items)

    @property
    def hovered(self) -> ClickMarker | None:
        return self._hovered

    def expect(self, frame: int, object_id: int, click: Click) -> None:
        """It was made; until the frame's clicks include it, it is shown as waiting."""
        self._expected.append((frame, object_id, click))

    def forget_expected(self) -> bool:
        """Nothing is waited for any more. False if nothing was."""
        had_any = bool(self._expected)
        self._expected.clear()
        return had_any

    def show(self, frame: int, object_id: int, clicks: tuple[Click, ...], color: QColor) -> None:
        """The clicks of an object on a frame, instead of those shown before."""
        self.set_hovered(None)
        for item in self._items:
            self._scene.removeItem(item)
        here = (frame, object_id)
        self._expected = [one for one in self._expected if one[:2] != here or one[2] not in clicks]
        self._items = [ClickMarker(click, index, color) for index, click in enumerate(clicks)]
        self._items += [
            ClickMarker(click, -1, color) for *at, click in self._expected if tuple(at) == here
        ]
        for item in self._items:
            item.setVisible(self._are_visible)
            self._scene.addItem(item)

    def set_visible(self, are_visible: bool) -> None:
        self._are_visible = are_visible
        for item in self._items:
            item.setVisible(are_visible)

    def at(self, position: QPointF, scale: float) -> ClickMarker | None:
        """The nearest under the cursor. position: source pixels; scale: window's for one."""
        nearest, least = None, _REACH_PX
        for item in self._items:
            away = (item.pos() - position) * scale
            distance = (away.x() ** 2 + away.y() ** 2) ** 0.5
            if self._are_visible and not item.is_pending and distance <= least:
                nearest, least = item, distance
        return nearest

    def set_hovered(self, marker: ClickMarker | None) -> None:
        if marker is not self._hovered:
            if self._hovered is not None:
                self._hovered.set_hovered(False)
            self._hovered = marker
            if marker is not None:
                marker.set_hovered(True)


class CloseupBox(QGraphicsRectItem):
    """The part of the frame that tracking looked at, dashed; shown on its frame only."""

    def __init__(self) -> None:
        super().__init__()
        self._frame = -1
        pen = QPen(QColor("white"), 1.5, Qt.PenStyle.DashLine)
        pen.setCosmetic(True)
        self.setPen(pen)
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self.setZValue(_RING_Z)
        self.hide()

    def set_window(self, frame: int, window: Window | None) -> None:
        """window: in source pixels; None: nothing to show."""
        self._frame = -1 if window is None else frame
        if window is not None:
            self.setRect(window.left, window.top, window.width, window.height)

    def show_on(self, frame: int) -> None:
        self.setVisible(frame >= 0 and frame == self._frame)


class BrushRing(QGraphicsItem):
    """The brush at its true size, dark and light so that it shows on everything."""

    def __init__(self) -> None:
        super().__init__()
        self._radius_px = 1.0
        self._scale = 1.0
        self._color = QColor("white")
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self.setZValue(_RING_Z)
        self.hide()

    @property
    def radius_px(self) -> float:
        """Source pixels."""
        return self._radius_px

    def set_brush(self, radius_px: float, color: QColor) -> None:
        if radius_px != self._radius_px or color != self._color:
            self.prepareGeometryChange()
            self._radius_px, self._color = radius_px, color
            self.update()

    def set_scale(self, scale: float) -> None:
        if scale != self._scale:
            self.prepareGeometryChange()
            self._scale = scale

    def boundingRect(self) -> QRectF:
        reach = max(self._radius_px, 5 / self._scale) + 3 / self._scale
        return QRectF(-reach, -reach, 2 * reach, 2 * reach)

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        radius = self._radius_px
        for width, color in ((3.0, _DARK), (1.5, self._color)):
            pen = QPen(color, width)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.drawEllipse(QPointF(), radius, radius)
            if radius * self._scale < 4 or radius * self._scale > 24:  # where exactly is it?
                arm = 5 / self._scale if radius * self._scale < 4 else 3 / self._scale
                painter.drawLine(QPointF(-arm, 0), QPointF(arm, 0))
                painter.drawLine(QPointF(0, -arm), QPointF(0, arm))


_BUSY_Z: Final = 35
_BUSY_RADIUS_PX: Final = 11.0
_TURN_MS: Final = 60
_TURN_DEGREES: Final = 30


class BusyMark(QGraphicsItem):
    """A ring that turns where an answer is being worked out."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = 0
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIgnoresTransformations)
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self.setZValue(_BUSY_Z)
        self.hide()

    def turn(self) -> None:
        self._turn = (self._turn - _TURN_DEGREES) % 360
        self.update()

    def boundingRect(self) -> QRectF:
        reach = _BUSY_RADIUS_PX + 4
        return QRectF(-reach, -reach, 2 * reach, 2 * reach)

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ring = QRectF(-_BUSY_RADIUS_PX, -_BUSY_RADIUS_PX, 2 * _BUSY_RADIUS_PX, 2 * _BUSY_RADIUS_PX)
        painter.setPen(QPen(_DARK, 5))
        painter.drawEllipse(ring)
        pen = QPen(QColor("white"), 3)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.drawArc(ring, 16 * self._turn, 16 * 270)  # Qt counts in sixteenths of a degree


_ADDED: Final = QColor(0x2E, 0xC4, 0x4E)
_REMOVED: Final = QColor(0xE0, 0x3C, 0x3C)
_FAINT: Final = 0.35  # opacity of what a click would give


class PreviewMark(QGraphicsItem):
    """What a click would change, faintly over the masks: a new object in its colour, else green for
    what is added and red for what is removed. Outlined, the removed dashed, once it is exact."""

    def __init__(self) -> None:
        super().__init__()
        self._layers: list[tuple[QImage, QPainterPath, QColor, bool]] = []
        self._corner = QPointF()
        self._bounds = QRectF()
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self.setZValue(_PREVIEW_Z)
        self.hide()

    def show_preview(self, preview: HoverPreview, color: QColor) -> None:
        """color: of the object."""
        part = preview.part
        self.prepareGeometryChange()
        self._corner = QPointF(part.left, part.top)
        self._bounds = QRectF(part.left, part.top, part.right - part.left, part.bottom - part.top)
        self._layers = []
        added = color if preview.is_new else _ADDED
        for mask, tint, is_dashed in (
            (preview.added, added, False),
            (preview.removed, _REMOVED, True),
        ):
            if mask.any():
                labels = np.ascontiguousarray(mask, np.uint8)
                outline = _outline(labels) if preview.is_exact else QPainterPath()
                fill = indexed(labels, {1: (round(255 * _FAINT) << 24) | (tint.rgb() & 0xFFFFFF)})
                image = fill.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
                self._layers.append((image, outline, tint, is_dashed))
        self.setVisible(bool(self._layers))
        self.update()

    def boundingRect(self) -> QRectF:
        return self._bounds.adjusted(-2, -2, 2, 2)

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for image, outline, color, is_dashed in self._layers:
            painter.drawImage(self._corner, image)
            pen = QPen(color, 1.5)
            pen.setCosmetic(True)
            if is_dashed:
                pen.setDashPattern([4, 3])
            painter.setPen(pen)
            painter.drawPath(outline.translated(self._corner))


def _outline(mask: Labels) -> QPainterPath:
    """Round every part of a mask (h, w), and round its holes."""
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    path = QPainterPath()
    for contour in contours:
        points = contour[:, 0] + 0.5
        path.addPolygon(QPolygonF([QPointF(x, y) for x, y in points.tolist()]))
        path.closeSubpath()
    return path


# An answer that changes nothing, or is refused, sends no word: what it was to replace is wiped.
_PATIENCE_MS: Final = 400


class PendingMarks(QObject):
    """Keeps clicks, sketch and stroke visible until the mask that they request arrives."""

    def __init__(
        self,
        document: Document,
        annotator: Annotator,
        shown: ShownFrame,
        markers: ClickMarkers,
        sketch: Sketch,
        busy: BusyMark,
        is_drawing: Callable[[], bool],
        parent: QObject,
    ) -> None:
        """is_drawing: whether the sketch belongs to a gesture that still goes on."""
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._shown, self._markers, self._sketch = shown, markers, sketch
        self._busy, self._is_drawing = busy, is_drawing
        self._turning = QTimer(self, interval=_TURN_MS)
        self._turning.timeout.connect(busy.turn)
        self._patience = QTimer(self, singleShot=True, interval=_PATIENCE_MS)
        self._patience.timeout.connect(self._settle)
        document.objects_changed.connect(self.show_clicks)
        document.current_object_changed.connect(self.show_clicks)
        annotator.prompts.clicked.connect(self._expect_click)
        annotator.document.failed.connect(self._settle)
        annotator.operations.busy_changed.connect(self._follow_busy)
        annotator.operations.changed.connect(self._settle)

    def expect_masks(self) -> None:
        """What is sketched stays until the masks have changed, but not for ever."""
        self._patience.start()

    def expect_answer(self, place: tuple[float, float]) -> None:
        """As `expect_masks`, of a network. place: source pixels; until then it is busy there."""
        self.expect_masks()
        self._busy.setPos(*place)
        self._busy.show()
        self._turning.start()

    def _end_busy(self) -> None:
        self._turning.stop()
        self._busy.hide()

    def masks_arrived(self) -> None:
        """The shown frame has other masks now."""
        if not self._is_drawing():
            self._sketch.clear()
            self._patience.stop()
        if not self._annotator.prompts.are_waiting:
            self._end_busy()
        self.show_clicks()

    def show_clicks(self, *_: object) -> None:
        """The current object's clicks on the shown frame, those that wait included."""
        frame = self._shown.frame
        if frame < 0:
            return
        prompts = self._document.annotation.record(frame).prompts
        object_id = self._document.current_object
        is_own = prompts is not None and prompts.object_id == object_id
        clicks = prompts.clicks if prompts is not None and is_own else ()
        self._markers.show(frame, object_id, clicks, self._shown.color_of(object_id))

    def _expect_click(self, asked: tuple[int, Click]) -> None:
        frame, click = asked
        self._markers.expect(frame, self._document.current_object, click)
        self.show_clicks()

    def _follow_busy(self, busy: Busy) -> None:
        if busy is Busy.IDLE:
            self._settle()

    def _settle(self, *_: object) -> None:
        """Nothing is awaited any more: what is shown is what is."""
        self._patience.stop()
        # Beside a longer run the answer is awaited although that is what the program is at.
        if self._annotator.operations.busy is Busy.CLICKING or self._annotator.prompts.are_waiting:
            return
        self._end_busy()
        if self._markers.forget_expected():
            self.show_clicks()
        if not self._is_drawing():
            self._sketch.clear()
            self._shown.preview.end()
