"""The timeline as a picture: everything that stands still while frames are being shown."""

from typing import Final

from PySide6.QtCore import QCoreApplication, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPalette, QPixmap, QPolygonF

from gui.document import Document
from gui.theme import ACCENT
from gui.timeline.filmstrip import Slot, draw_filmstrip
from gui.timeline.frame_table import FrameTable
from gui.timeline.lanes import draw_doubt, draw_lane
from gui.timeline.ruler import draw_ruler
from gui.timeline.scale import TimeScale
from gui.timeline.thumbnails import Thumbnails
from interaction.types import ObjectInfo

__all__ = ["FILM_PX", "HEADER_PX", "LANES_TOP_PX", "LANE_PX", "RULER_PX", "TimelinePicture"]

# From the left: names, a line, frames. From the top: numbers, pictures, doubt, lanes.
HEADER_PX: Final = 112
RULER_PX: Final = 20
FILM_PX: Final = 36
_DOUBT_PX: Final = 5
LANES_TOP_PX: Final = RULER_PX + FILM_PX + _DOUBT_PX + 6
LANE_PX: Final = 20
_LEFT_PX: Final = HEADER_PX + 1
_SMALL_TEXT_PX: Final = 11


class TimelinePicture:
    """Paints one state of the timeline."""

    def __init__(
        self, document: Document, scale: TimeScale, palette: QPalette, font: QFont, ratio: float
    ) -> None:
        """ratio: device pixels a logical one."""
        self._document, self._scale = document, scale
        self._table = FrameTable.of(document)
        self._palette, self._font, self._ratio = palette, font, ratio
        self._columns = scale.columns(ratio)
        self._small = QFont(font)
        self._small.setPixelSize(_SMALL_TEXT_PX)

    def paint(
        self, size: QSize, film: list[Slot], thumbnails: Thumbnails, lanes_scroll_px: int
    ) -> QPixmap:
        """size: logical pixels."""
        pixmap = QPixmap(size * self._ratio)
        pixmap.setDevicePixelRatio(self._ratio)
        pixmap.fill(self._color(QPalette.ColorRole.Base))
        painter = QPainter(pixmap)
        width, height = size.width(), size.height()
        header = self._color(QPalette.ColorRole.Window)
        painter.fillRect(0, 0, width, RULER_PX, header)
        painter.fillRect(0, 0, HEADER_PX, height, header)
        self._draw_titles(painter)
        strips = QRectF(_LEFT_PX, 0, width - _LEFT_PX, height)
        painter.setClipRect(strips)
        self._draw_strips(painter, strips.width(), film, thumbnails)
        painter.setClipping(False)
        self._draw_lanes(painter, size, lanes_scroll_px)
        painter.setClipRect(strips)
        self._draw_range(painter, size)
        painter.setClipping(False)
        painter.setPen(self._color(QPalette.ColorRole.Mid))
        painter.drawLine(HEADER_PX, 0, HEADER_PX, height)
        painter.drawLine(0, 0, width, 0)
        painter.end()
        return pixmap

    def _color(self, role: QPalette.ColorRole) -> QColor:
        return self._palette.color(role)

    def _draw_titles(self, painter: QPainter) -> None:
        painter.setFont(self._small)
        painter.setPen(self._color(QPalette.ColorRole.PlaceholderText))
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRect(8, 0, HEADER_PX - 16, RULER_PX), flags, _tr("Frame"))
        top = LANES_TOP_PX - _DOUBT_PX - 8
        painter.drawText(QRect(8, top, HEADER_PX - 16, 12), flags, _tr("Doubt"))

    def _draw_strips(
        self, painter: QPainter, width: float, film: list[Slot], thumbnails: Thumbnails
    ) -> None:
        painter.setFont(self._small)
        times_s = self._document.video.timestamps_s
        ruler = QRectF(_LEFT_PX, 0, width, RULER_PX)
        draw_ruler(painter, ruler, self._scale, times_s, self._palette)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        pictures = QRectF(_LEFT_PX, RULER_PX + 1, width, FILM_PX)
        draw_filmstrip(painter, pictures, film, thumbnails, self._palette)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        doubt = QRectF(_LEFT_PX, LANES_TOP_PX - _DOUBT_PX - 2, width, _DOUBT_PX)
        draw_doubt(painter, doubt, self._columns, self._table, self._palette, self._ratio)

    def _draw_lanes(self, painter: QPainter, size: QSize, scroll_px: int) -> None:
        painter.setFont(self._font)
        lanes = QRect(0, LANES_TOP_PX, size.width(), size.height() - LANES_TOP_PX)
        painter.setClipRect(lanes)
        if not self._document.objects:
            painter.setPen(self._color(QPalette.ColorRole.PlaceholderText))
            hint = QRect(_LEFT_PX + 8, LANES_TOP_PX, lanes.width(), LANE_PX)
            flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(hint, flags, _tr("Click an object in the picture."))
        line = self._color(QPalette.ColorRole.Midlight)
        for row, one in enumerate(self._document.objects):
            lane = QRect(0, LANES_TOP_PX + row * LANE_PX - scroll_px, size.width(), LANE_PX)
            if not lane.intersects(lanes):
                continue
            if one.id == self._document.current_object:
                tint = QColor(ACCENT)
                tint.setAlpha(38)
                painter.fillRect(lane, tint)
            painter.setOpacity(1.0 if self._document.is_shown(one.id) else 0.45)
            self._draw_name(painter, lane, one)
            painter.setClipRect(lanes.adjusted(_LEFT_PX, 0, 0, 0))
            strip = QRectF(lane.adjusted(_LEFT_PX, 0, 0, 0))
            draw_lane(
                painter,
                strip,
                self._scale,
                self._columns,
                self._table,
                one,
                self._palette,
                self._ratio,
            )
            painter.setClipRect(lanes)
            painter.setOpacity(1.0)
            painter.fillRect(0, lane.bottom(), size.width(), 1, line)
        painter.setClipping(False)

    def _draw_name(self, painter: QPainter, lane: QRect, one: ObjectInfo) -> None:
        painter.fillRect(QRect(8, lane.top() + 5, 10, 10), QColor(*one.color))
        painter.setPen(self._color(QPalette.ColorRole.WindowText))
        room = QRect(24, lane.top(), HEADER_PX - 30, LANE_PX - 1)
        name = painter.fontMetrics().elidedText(one.name, Qt.TextElideMode.ElideRight, room.width())
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(room, flags, name)

    def _draw_range(self, painter: QPainter, size: QSize) -> None:
        document, scale = self._document, self._scale
        if document.range_in is None and document.range_out is None:
            return
        first = 0 if document.range_in is None else document.range_in
        last = document.frame_count - 1 if document.range_out is None else document.range_out
        left, right = _LEFT_PX + scale.x(first), _LEFT_PX + scale.x(last + 1)
        height = size.height()
        shade = self._color(QPalette.ColorRole.Window)
        shade.setAlpha(170)
        painter.fillRect(QRectF(_LEFT_PX, 0, max(0.0, left - _LEFT_PX), height), shade)
        painter.fillRect(QRectF(right, 0, max(0.0, size.width() - right), height), shade)
        painter.fillRect(QRectF(left, 0, right - left, 3), ACCENT)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ACCENT)
        for x, way in ((left, 1), (right, -1)):
            painter.fillRect(QRectF(x - (0 if way > 0 else 2), 0, 2, RULER_PX), ACCENT)
            corner = [QPointF(x, 0), QPointF(x + 7 * way, 0), QPointF(x, 9)]
            painter.drawPolygon(QPolygonF(corner))


def _tr(text: str) -> str:
    return QCoreApplication.translate("Timeline", text)
