"""Zoom and pan, exact to a fraction of a pixel."""

from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QInputDevice,
    QNativeGestureEvent,
    QResizeEvent,
    QShowEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QFrame,
    QGestureEvent,
    QGraphicsScene,
    QGraphicsView,
    QPinchGesture,
    QWidget,
)

__all__ = ["LARGEST_ZOOM", "SMALLEST_ZOOM", "ZoomableView"]

SMALLEST_ZOOM: Final = 0.02
LARGEST_ZOOM: Final = 64.0
_STEP: Final = 1.25  # a notch of the wheel, or one press of a key
_KEPT_PX: Final = 48.0  # of the picture always stay in the window
_FIT_MARGIN_PX: Final = 8.0
# Scene coordinates the view could scroll to. It never scrolls: with far more room than any window
# the scroll bars stay at 0, and the transform alone, which knows fractions, says what is where.
_ROOM: Final = 1e6


class ZoomableView(QGraphicsView):
    """A scene that is zoomed about the cursor and pushed about. One scene unit is a source pixel.

    `scale` is in window pixels, `zoom` in the screen's own: at 1.0 one pixel of the picture is one
    of the screen, whatever its density.
    """

    zoom_changed = Signal(float)

    def __init__(self, content: QRectF, parent: QWidget | None = None) -> None:
        """content: what "fit" fits, in scene coordinates."""
        super().__init__(parent)
        self.setScene(QGraphicsScene(self))
        self.setSceneRect(-_ROOM, -_ROOM, 2 * _ROOM, 2 * _ROOM)
        self.scene().setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setResizeAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.viewport().grabGesture(Qt.GestureType.PinchGesture)
        self._content = QRectF(content)
        self._scale, self._offset = 1.0, QPointF()
        self._is_fitted = True
        self._old_size = self.viewport().size()

    # Where things are

    @property
    def scale_factor(self) -> float:
        """Window pixels for a source pixel."""
        return self._scale

    @property
    def zoom(self) -> float:
        """Pixels of the screen for a source pixel; 1.0 is 100 %."""
        return self._scale * self.devicePixelRatioF()

    def to_scene(self, at: QPointF) -> QPointF:
        """From the viewport's coordinates. Unlike `mapToScene`, exact between pixels."""
        return (at - self._offset) / self._scale

    def to_viewport(self, at: QPointF) -> QPointF:
        return at * self._scale + self._offset

    # Zoom

    @property
    def content(self) -> QRectF:
        """What "fit" fits, in scene coordinates."""
        return QRectF(self._content)

    def set_content(self, content: QRectF) -> None:
        if content != self._content:
            self._content = QRectF(content)
            if self._is_fitted:
                self.zoom_to_fit()

    def zoom_to_fit(self) -> None:
        """All of the picture, as large as the window lets it be, from now on."""
        self._is_fitted = True
        size = self.viewport().size()
        content = self._content
        scale = min(
            (size.width() - 2 * _FIT_MARGIN_PX) / content.width(),
            (size.height() - 2 * _FIT_MARGIN_PX) / content.height(),
        )
        scale = self._allowed(scale)
        center = QPointF(size.width() / 2, size.height() / 2)
        self._place(scale, center - content.center() * scale)

    def zoom_to_actual_size(self) -> None:
        """One pixel of the picture is one of the screen; the middle stays where it is."""
        self.zoom_to(1.0)

    def zoom_to(self, zoom: float, anchor: QPointF | None = None) -> None:
        """anchor: the point of the viewport that stays where it is; by default the middle."""
        if anchor is None:
            anchor = QRectF(self.viewport().rect()).center()
        scale = self._allowed(zoom / self.devicePixelRatioF())
        self._is_fitted = False
        fixed = self.to_scene(anchor)
        self._place(scale, anchor - fixed * scale)

    def zoom_in(self) -> None:
        self.zoom_to(self.zoom * _STEP)

    def zoom_out(self) -> None:
        self.zoom_to(self.zoom / _STEP)

    # Pan

    def pan_by(self, movement: QPointF) -> None:
        """In viewport pixels. Some of the picture always stays in sight."""
        shown = QRectF(
            self._offset + movement + self._content.topLeft() * self._scale,
            self._content.size() * self._scale,
        )
        size = self.viewport().size()
        kept_x = min(_KEPT_PX, shown.width(), size.width())
        kept_y = min(_KEPT_PX, shown.height(), size.height())
        x = min(max(shown.left(), kept_x - shown.width()), size.width() - kept_x)
        y = min(max(shown.top(), kept_y - shown.height()), size.height() - kept_y)
        self._is_fitted = False
        self._place(self._scale, QPointF(x, y) - self._content.topLeft() * self._scale)

    # Parts

    def _allowed(self, scale: float) -> float:
        ratio = self.devicePixelRatioF()
        return min(max(scale, SMALLEST_ZOOM / ratio), LARGEST_ZOOM / ratio)

    def _place(self, scale: float, offset: QPointF) -> None:
        is_zoomed = scale != self._scale
        if not is_zoomed and offset == self._offset:
            return
        self._scale, self._offset = scale, offset
        self.setTransform(QTransform(scale, 0, 0, scale, offset.x(), offset.y()))
        self.horizontalScrollBar().setValue(0)
        self.verticalScrollBar().setValue(0)
        self.placed()
        if is_zoomed:
            self.zoom_changed.emit(self.zoom)

    def placed(self) -> None:
        """For those that have to follow every change of zoom and place."""

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QNativeGestureEvent):
            if event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture:
                self.zoom_to(self.zoom * (1 + event.value()), event.position())
            event.accept()
            return True
        if isinstance(event, QGestureEvent):
            pinch = event.gesture(Qt.GestureType.PinchGesture)
            if isinstance(pinch, QPinchGesture):
                center = self.viewport().mapFromGlobal(pinch.centerPoint())
                last = self.viewport().mapFromGlobal(pinch.lastCenterPoint())
                self.zoom_to(self.zoom * pinch.scaleFactor(), center)
                if pinch.state() == Qt.GestureState.GestureUpdated:
                    self.pan_by(center - last)
                return True
        return super().viewportEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """The wheel zooms about the cursor; two fingers on a touch pad push, Ctrl zooms."""
        is_pad = event.device().type() == QInputDevice.DeviceType.TouchPad
        is_zooming = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if is_pad and not is_zooming and not event.pixelDelta().isNull():
            self.pan_by(QPointF(event.pixelDelta()))
        else:
            notches = event.angleDelta().y() / 120
            if notches:
                self.zoom_to(self.zoom * _STEP**notches, event.position())
        event.accept()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._is_fitted:
            self.zoom_to_fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """What is in the middle stays there."""
        super().resizeEvent(event)
        size, old = self.viewport().size(), self._old_size
        self._old_size = size
        if self._is_fitted:
            self.zoom_to_fit()
        else:
            moved = QPointF(size.width() - old.width(), size.height() - old.height()) / 2
            self._place(self._scale, self._offset + moved)
