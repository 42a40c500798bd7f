"""Paint the timeline: filmstrip, ruler, lanes, doubt, cuts and playhead.

Strips have a colour for each column of device pixels, looked up by a small number, so that a strip
costs no arithmetic on colours.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetricsF,
    QImage,
    QPainter,
    QPalette,
    QPen,
    QPixmap,
    QPolygonF,
)

from gui.language import tr
from gui.theme import ACCENT
from gui.timeline.frame_table import FrameTable, Presence
from gui.timeline.scale import TimeScale, short_timecode
from gui.timeline.thumbnails import Thumbnails
from gui.work.document import Document
from interaction.annotation.types import MemoryRule, ObjectInfo, PresenceState
from interaction.video.video import Video

__all__ = [
    "FILM_PX",
    "HEADER_PX",
    "LANES_TOP_PX",
    "LANE_PX",
    "RULER_PX",
    "Slot",
    "TimelinePicture",
    "draw_again",
    "draw_cuts",
    "draw_head",
    "draw_playhead",
    "draw_stretch",
    "label_step",
    "slots",
]

# From the left: names, a line, frames. From the top: numbers, pictures, doubt, lanes.
HEADER_PX: Final = 112
RULER_PX: Final = 20
FILM_PX: Final = 36
_DOUBT_PX: Final = 5
LANES_TOP_PX: Final = RULER_PX + FILM_PX + _DOUBT_PX + 6
LANE_PX: Final = 20
_LEFT_PX: Final = HEADER_PX + 1
_SMALL_TEXT_PX: Final = 11

# Frames a picture stands for. Few different ones, so that pictures serve again at another zoom.
_STEPS: Final = (1, 2, 3, 4, 6, 8, 12)
_CHEAP_FROM: Final = 12  # frames a slot; then any of them will do, and some are quicker to get


@dataclass(frozen=True, slots=True)
class Slot:
    """A place of the strip, from pixel `left` to `left + width`, and the frame it shows."""

    frame: int
    left: float
    width: float


def slots(scale: TimeScale, picture_px: float, video: Video) -> list[Slot]:
    """Those that are seen, from left to right. picture_px: the width of a whole picture.

    A slot is at most as wide as a picture and at least two thirds of it, unless a single frame is
    wider. It shows its first frame; in long videos one of its frames that is quickly decoded.
    """
    step = _step(picture_px / scale.frame_px)
    width = step * scale.frame_px
    found = []
    for first in range(scale.first // step * step, scale.last + 1, step):
        last = min(first + step, scale.frame_count) - 1
        frame = video.cheapest_frame(first, last) if step >= _CHEAP_FROM else first
        found.append(Slot(frame, scale.x(first), min(width, (last + 1 - first) * scale.frame_px)))
    return found


def _step(frames: float) -> int:
    """The largest step whose slot is no wider than `frames` frames."""
    power, best = 1, 1
    while power <= frames:
        for step in _STEPS:
            if step * power <= frames:
                best = max(best, step * power)
        power *= 2
    return best


_LABEL_STEPS: Final = (1, 2, 5)
_GAP_PX: Final = 14.0
_TICK_PX: Final = 5.0  # at least this far apart


def label_step(frame_px: float, label_px: float) -> int:
    """Frames from one label to the next: 1, 2, 5, 10, …, so far apart that labels fit."""
    power = 1
    while True:
        for step in _LABEL_STEPS:
            if step * power * frame_px >= label_px:
                return step * power
        power *= 10


_BAR_PX: Final = 8
_MARK_PX: Final = 10  # a keyframe's diamond
_MARK_STEP_PX: Final = 5.0  # marks nearer than this are drawn as one
_DOT_PX: Final = 3

# Which kinds of `Presence` a column of a lane shows.
_BITS: Final = np.array([1 << kind for kind in Presence], np.uint8)
_IS_DOT: Final = 1 << len(Presence)  # the dotted line has a dot there
_SHARES: Final = 64  # steps of how much of a column has the object


@lru_cache(maxsize=512)
def _lane_colors(rgb: int, grey_rgb: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Of the line, by the kinds that a column shows, and of the bar, by the share that has it."""
    color, grey = QColor(rgb), QColor(grey_rgb)
    line = np.zeros(2 * _IS_DOT, np.uint32)
    for kinds in range(len(line)):
        if kinds & _BITS[Presence.ABSENT]:
            line[kinds] = _argb(grey, 0.8)
        elif kinds & _BITS[Presence.NOT_FOUND]:
            line[kinds] = _argb(color, 0.45)
        elif kinds & _BITS[Presence.MISSING] and kinds & _IS_DOT:
            line[kinds] = _argb(grey, 0.55)
    # Where only some of a column's frames have it, it is fainter, but never unseen.
    shares = [_argb(color, 0.85 * (0.35 + 0.65 * step / _SHARES)) for step in range(_SHARES + 1)]
    return line, np.array([0, *shares[1:]], np.uint32)


@lru_cache(maxsize=512)
def _mark(kind: Presence, rgb: int, outline_rgb: int, ratio: float) -> QPixmap:
    """Filled: confirmed. Hollow: corrected. A cross: confirmed, and not there."""
    size = round(_MARK_PX * ratio)
    pixmap = QPixmap(size, size)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(outline_rgb), 1.25))
    half, reach = _MARK_PX / 2, _MARK_PX / 2 - 0.75
    if kind is Presence.ABSENT:
        reach -= 1.5
        painter.drawLine(QPointF(half - reach, half - reach), QPointF(half + reach, half + reach))
        painter.drawLine(QPointF(half - reach, half + reach), QPointF(half + reach, half - reach))
    else:
        corners = ((half, half - reach), (half + reach, half), (half, half + reach))
        fill = QColor(rgb) if kind is Presence.CONFIRMED else QColor(outline_rgb).darker(100)
        if kind is Presence.CORRECTED:  # hollow, but the bar must not show through
            is_light_text = fill.lightness() > 127
            fill = QColor(0x22, 0x22, 0x22) if is_light_text else QColor("white")
        painter.setBrush(fill)
        points = [QPointF(x, y) for x, y in (*corners, (half - reach, half))]
        painter.drawPolygon(QPolygonF(points))
    painter.end()
    return pixmap


_TRUST_PX: Final = 5  # at the foot of a lane
_SURE: Final = 0.08  # of an error up to it, no heat is drawn
_WORST: Final = 0.6  # an error from here on is drawn full
_AMBER: Final = (250, 176, 30)
_RED: Final = (222, 56, 20)
_HEATS: Final = 128  # of heat
_UNKNOWN, _FINE, _HEAT = 0, 1, 2  # where they are in the table of colours


@lru_cache(maxsize=4)
def _heat_colors(grey_rgb: int) -> NDArray[np.uint32]:
    """Of nothing known, of no heat, and of heat from amber to red."""
    colors = [0, _argb(QColor(grey_rgb), 0.25)]
    for strength in np.linspace(0, 1, _HEATS).tolist():
        mixed = (round(a + (b - a) * strength) for a, b in zip(_AMBER, _RED, strict=True))
        colors.append(_argb(QColor(*mixed), 0.55 + 0.45 * strength))
    return np.array(colors, np.uint32)


def _argb(color: QColor, alpha: float) -> int:
    """0xAARRGGBB, premultiplied. alpha: 0 to 1."""
    red, green, blue = (round(part * alpha) for part in (color.red(), color.green(), color.blue()))
    return round(255 * alpha) << 24 | red << 16 | green << 8 | blue


class TimelinePicture:
    """Paints one state of the timeline. A strip begins at the left edge of the frames."""

    def __init__(
        self, document: Document, scale: TimeScale, palette: QPalette, font: QFont, ratio: float
    ) -> None:
        """ratio: device pixels a logical one."""
        self._document, self._scale = document, scale
        self._table = FrameTable.of(document)
        self._palette, self._font, self._ratio = palette, font, ratio
        self._starts, self._stops = scale.columns(ratio)
        self._frames = slice(int(self._starts[0]), int(self._stops[-1]))
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
        painter.drawText(QRect(8, 0, HEADER_PX - 16, RULER_PX), flags, tr("Frame"))
        top = LANES_TOP_PX - _DOUBT_PX - 8
        painter.drawText(QRect(8, top, HEADER_PX - 16, 12), flags, tr("Doubt"))

    # Above the lanes

    def _draw_strips(
        self, painter: QPainter, width: float, film: list[Slot], thumbnails: Thumbnails
    ) -> None:
        painter.setFont(self._small)
        self._draw_ruler(painter, QRectF(_LEFT_PX, 0, width, RULER_PX))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        pictures = QRectF(_LEFT_PX, RULER_PX + 1, width, FILM_PX)
        self._draw_filmstrip(painter, pictures, film, thumbnails)
        self._draw_memory(painter, pictures)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        doubt = QRectF(_LEFT_PX, LANES_TOP_PX - _DOUBT_PX - 2, width, _DOUBT_PX)
        self.draw_doubt(painter, doubt)

    def _draw_ruler(self, painter: QPainter, rect: QRectF) -> None:
        """Numbers, with the time beside them, and ticks between."""
        scale, timestamps_s = self._scale, self._document.video.timestamps_s
        metrics = QFontMetricsF(painter.font())
        number_px = metrics.horizontalAdvance(str(scale.frame_count))
        has_fraction = scale.frame_px > 4
        time_px = metrics.horizontalAdvance(
            short_timecode(float(timestamps_s[-1]), has_fraction=has_fraction)
        )
        step = label_step(scale.frame_px, number_px + time_px + 6 + _GAP_PX)
        tick = label_step(scale.frame_px, _TICK_PX)
        if step % tick:
            tick = step
        strong = self._color(QPalette.ColorRole.WindowText)
        faint = self._color(QPalette.ColorRole.PlaceholderText)
        first, last = scale.first, scale.last
        bottom = rect.bottom()

        painter.setPen(faint)
        ticks = np.arange(first // tick * tick, last + 1, tick)
        xs = rect.left() + scale.frame_px * ticks - scale.scroll_px
        painter.drawLines([QLineF(x, bottom - 3, x, bottom) for x in xs.tolist()])
        baseline = rect.top() + (rect.height() - 3 + metrics.ascent() - metrics.descent()) / 2
        for frame in range(first // step * step, last + 1, step):
            x = rect.left() + scale.x(frame)
            painter.setPen(faint)
            painter.drawLine(QLineF(x, rect.top() + 4, x, bottom))
            text = str(frame)
            if x + 4 + metrics.horizontalAdvance(text) > rect.right():
                continue  # half a number is a wrong one
            painter.setPen(strong)
            painter.drawText(QPointF(x + 4, baseline), text)
            painter.setPen(faint)
            time = short_timecode(float(timestamps_s[frame]), has_fraction=has_fraction)
            painter.drawText(QPointF(x + 10 + metrics.horizontalAdvance(text), baseline), time)

    def _draw_filmstrip(
        self, painter: QPainter, rect: QRectF, film: list[Slot], thumbnails: Thumbnails
    ) -> None:
        """Pictures fill their slots, cut at the sides. Where there is none yet, a frame for it."""
        empty = self._color(QPalette.ColorRole.Midlight)
        height = rect.height()
        for slot in film:
            target = QRectF(rect.left() + slot.left, rect.top(), slot.width - 1, height)
            pixmap = thumbnails.pixmap(slot.frame)
            if pixmap is None:
                painter.fillRect(target, empty)
                continue
            seen = min(pixmap.width(), pixmap.height() * target.width() / height)
            source = QRectF((pixmap.width() - seen) / 2, 0, seen, pixmap.height())
            if seen == pixmap.width():  # a frame wider than its picture: portrait video
                target.setWidth(height * pixmap.width() / pixmap.height())
            painter.drawPixmap(target, pixmap, source)

    def _draw_memory(self, painter: QPainter, rect: QRectF) -> None:
        """Over the pictures: frames that are kept out of memory are hatched, pinned ones have a bar
        with a head. rect: the pictures'."""
        color = self._color(QPalette.ColorRole.WindowText)
        shade = self._color(QPalette.ColorRole.Window)
        shade.setAlpha(120)
        for one in self._document.annotation.memory.ranges:
            seen = self._seen(rect, one.first, one.last)
            if seen.isEmpty():
                continue
            left, width = seen.left(), max(seen.width(), 2.0)
            if one.state is MemoryRule.EXCLUDED:
                band = QRectF(left, rect.center().y(), width, rect.height() / 2)
                painter.fillRect(band, shade)
                painter.fillRect(band, QBrush(color, Qt.BrushStyle.FDiagPattern))
                painter.fillRect(QRectF(left, rect.bottom() - 2, width, 2), color)
            else:
                painter.fillRect(QRectF(left, rect.top(), width, 3), ACCENT)
                painter.setPen(QPen(QColor("white"), 1))
                painter.setBrush(ACCENT)
                painter.drawEllipse(QPointF(left + width / 2, rect.top() + 5), 4, 4)

    def draw_doubt(self, painter: QPainter, rect: QRectF) -> None:
        """The worst of each column's tracked frames, whatever the object, as heat."""
        table, frames = self._table, self._frames
        error = np.where(table.is_tracked[frames], table.doubts[frames], np.nan)
        self._draw_columns(painter, rect, self._heat_colors()[self._heat(error)])

    # Lanes

    def _draw_lanes(self, painter: QPainter, size: QSize, scroll_px: int) -> None:
        painter.setFont(self._font)
        lanes = QRect(0, LANES_TOP_PX, size.width(), size.height() - LANES_TOP_PX)
        painter.setClipRect(lanes)
        if not self._document.objects:
            painter.setPen(self._color(QPalette.ColorRole.PlaceholderText))
            hint = QRect(_LEFT_PX + 8, LANES_TOP_PX, lanes.width(), LANE_PX)
            flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(hint, flags, tr("Click an object in the picture."))
        line = self._color(QPalette.ColorRole.Midlight)
        for row, info in enumerate(self._document.objects):
            lane = QRect(0, LANES_TOP_PX + row * LANE_PX - scroll_px, size.width(), LANE_PX)
            if not lane.intersects(lanes):
                continue
            if info.id == self._document.current_object:
                painter.fillRect(lane, _accent(38))
            painter.setOpacity(1.0 if self._document.is_shown(info.id) else 0.45)
            self._draw_name(painter, lane, info)
            painter.setClipRect(lanes.adjusted(_LEFT_PX, 0, 0, 0))
            strip = QRectF(lane.adjusted(_LEFT_PX, 0, 0, 0))
            self._draw_lane(painter, strip, info)
            self.draw_trust(painter, strip, info.id)
            self._draw_presence(painter, strip, info)
            painter.setClipRect(lanes)
            painter.setOpacity(1.0)
            painter.fillRect(0, lane.bottom(), size.width(), 1, line)
        painter.setClipping(False)

    def _draw_name(self, painter: QPainter, lane: QRect, info: ObjectInfo) -> None:
        painter.fillRect(QRect(8, lane.top() + 5, 10, 10), QColor(*info.color))
        painter.setPen(self._color(QPalette.ColorRole.WindowText))
        room = QRect(24, lane.top(), HEADER_PX - 30, LANE_PX - 1)
        name = painter.fontMetrics().elidedText(
            info.name, Qt.TextElideMode.ElideRight, room.width()
        )
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(room, flags, name)

    def _draw_lane(self, painter: QPainter, rect: QRectF, info: ObjectInfo) -> None:
        """A bar where the object is, a line where it is not, marks on keyframes."""
        presence = self._table.presence(info.id, self._frames)
        counts, starts = self._stops - self._starts, self._starts - self._frames.start
        color = QColor(*info.color)
        line_colors, bar_colors = _lane_colors(color.rgb(), self._grey_rgb())
        middle, ratio = rect.center().y(), self._ratio

        kinds = np.bitwise_or.reduceat(_BITS[presence], starts)
        x = np.arange(len(starts)) + round(self._scale.scroll_px * ratio)
        is_dot = x % round(2 * _DOT_PX * ratio) < _DOT_PX * ratio
        line = line_colors[kinds | is_dot * np.uint8(_IS_DOT)]
        self._draw_columns(painter, QRectF(rect.left(), middle - 0.75, rect.width(), 1.5), line)

        has = np.add.reduceat(presence >= Presence.TRACKED, starts, dtype=np.intp)
        bar = bar_colors[-(-has * _SHARES // counts)]
        band = QRectF(rect.left(), middle - _BAR_PX / 2, rect.width(), _BAR_PX)
        self._draw_columns(painter, band, bar)
        self._draw_marks(painter, rect, presence, color)

    def _draw_marks(
        self, painter: QPainter, rect: QRectF, presence: NDArray[np.uint8], color: QColor
    ) -> None:
        """presence: of the frames in sight."""
        scale = self._scale
        outline = self._color(QPalette.ColorRole.WindowText)
        for kind in (Presence.ABSENT, Presence.CORRECTED, Presence.CONFIRMED):
            frames = np.flatnonzero(presence == kind) + self._frames.start
            if not len(frames):
                continue
            x = (frames + 0.5) * scale.frame_px - scale.scroll_px
            place = np.floor((x + scale.scroll_px) / _MARK_STEP_PX)  # ascending
            kept = np.diff(place, prepend=-1.0) > 0
            mark = _mark(kind, color.rgb(), outline.rgb(), self._ratio)
            top = rect.center().y() - _MARK_PX / 2
            for left in (x[kept] - _MARK_PX / 2 + rect.left()).tolist():
                painter.drawPixmap(QPointF(left, top), mark)

    def draw_trust(self, painter: QPainter, rect: QRectF, object_id: int) -> None:
        """One object's expected error at the foot of its lane: the worse, the higher and the
        redder. rect: the lane's."""
        error = 1 - self._table.trust(object_id)[self._frames]
        if np.isnan(error).all():
            return
        heat = self._heat(error)
        height = max(1, round(_TRUST_PX * self._ratio))
        empty = (height - 1) * (_HEAT + _HEATS - 1 - np.maximum(heat, _HEAT)) / (_HEATS - 1)
        is_filled = np.arange(height)[:, None] >= np.rint(empty)[None]
        pixels = np.where(is_filled, self._heat_colors()[heat], np.uint32(0))
        foot = QRectF(rect.left(), rect.bottom() - _TRUST_PX - 1, rect.width(), _TRUST_PX)
        self._draw_columns(painter, foot, pixels)

    def _draw_presence(self, painter: QPainter, rect: QRectF, info: ObjectInfo) -> None:
        """The stated presence of an object: crossed out where absent, hatched where occluded, a
        line above where present. rect: the lane's."""
        grey = self._color(QPalette.ColorRole.WindowText)
        for part in info.presence:
            seen = self._seen(rect, part.first, part.last)
            if seen.isEmpty():
                continue
            left, width = seen.left(), seen.width()
            if part.state is PresenceState.PRESENT:
                painter.fillRect(QRectF(left, rect.top() + 2, width, 2), QColor(*info.color))
                continue
            is_absent = part.state is PresenceState.ABSENT
            pattern = Qt.BrushStyle.DiagCrossPattern if is_absent else Qt.BrushStyle.BDiagPattern
            band = QRectF(left, rect.center().y() - _BAR_PX / 2, width, _BAR_PX)
            painter.fillRect(band, QBrush(grey, pattern))
            painter.setPen(QPen(grey, 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(band.adjusted(0.5, 0.5, -0.5, -0.5))

    # Parts

    def _seen(self, rect: QRectF, first: int, last: int) -> QRectF:
        """The part of `rect` over these frames; empty where they are out of sight."""
        left = max(rect.left(), rect.left() + self._scale.x(first))
        right = min(rect.right(), rect.left() + self._scale.x(last + 1))
        return QRectF(left, rect.top(), right - left, rect.height())

    def _draw_columns(self, painter: QPainter, rect: QRectF, pixels: NDArray[np.uint32]) -> None:
        """pixels: (W,) or (H, W), a column each, as `_argb` makes them; as high as `rect`."""
        rows = np.ascontiguousarray(np.atleast_2d(pixels))
        height, width = rows.shape
        kind = QImage.Format.Format_ARGB32_Premultiplied
        image = QImage(rows.data, width, height, 4 * width, kind).copy()  # the array goes away
        across = QRectF(rect.left(), rect.top(), width / self._ratio, rect.height())
        painter.drawImage(across, image)

    def _grey_rgb(self) -> int:
        return self._color(QPalette.ColorRole.PlaceholderText).rgb()

    def _heat_colors(self) -> NDArray[np.uint32]:
        return _heat_colors(self._grey_rgb())

    def _heat(self, error: NDArray[np.float32]) -> NDArray[np.intp]:
        """(W,) the place of each column's colour in `_heat_colors`, by its worst frame.

        error: of the frames in sight, NaN where there is none.
        """
        worst = np.fmax.reduceat(error, self._starts - self._starts[0])
        strength = np.clip((worst - _SURE) / (_WORST - _SURE), 0, 1)
        place = np.where(worst > _SURE, _HEAT + np.rint(strength * (_HEATS - 1)), _FINE)
        return np.where(np.isnan(worst), _UNKNOWN, place).astype(np.intp)

    def _draw_range(self, painter: QPainter, size: QSize) -> None:
        document, scale = self._document, self._scale
        if not document.has_range:
            return
        first, last = document.whole_range
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


_NOTCH_PX: Final = 4.0  # of a cut
_TIP: Final = ((-6, -9), (6, -9), (6, -4), (0, 2), (-6, -4))
_TINTED_FROM_PX: Final = 3.0  # a frame; narrower ones are hidden by the line itself


def draw_playhead(painter: QPainter, strip: QRectF, scale: TimeScale, frame: int) -> None:
    """strip: where frames are, from the left edge of the window on."""
    x, bottom = strip.left() + scale.center(frame), strip.bottom()
    if scale.frame_px >= _TINTED_FROM_PX:
        left = strip.left() + scale.x(frame)
        painter.fillRect(QRectF(left, RULER_PX, scale.frame_px, bottom - RULER_PX), _accent(60))
    painter.setPen(QPen(ACCENT, 1.5))
    painter.drawLine(QPointF(x, RULER_PX - 4), QPointF(x, bottom))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ACCENT)
    painter.drawPolygon(QPolygonF([QPointF(x + dx, RULER_PX - 3 + dy) for dx, dy in _TIP]))


def draw_again(painter: QPainter, strip: QRectF, scale: TimeScale, frames: range) -> None:
    """A band under the ruler over the frames that are tracked again."""
    left, right = scale.x(frames.start), scale.x(frames.stop)
    band = QRectF(strip.left() + left, strip.top() + RULER_PX - 4, right - left, 4)
    painter.fillRect(band.intersected(strip), ACCENT)


def draw_head(
    painter: QPainter, strip: QRectF, scale: TimeScale, frame: int, palette: QPalette
) -> None:
    """The frame that a propagation has just tracked."""
    x = strip.left() + scale.center(frame)
    color = palette.color(QPalette.ColorRole.WindowText)
    painter.setPen(QPen(color, 1, Qt.PenStyle.DotLine))
    painter.drawLine(QPointF(x, RULER_PX), QPointF(x, strip.bottom()))


def draw_stretch(painter: QPainter, rect: QRectF, scale: TimeScale, first: int, last: int) -> None:
    """The frames of a lane that are being dragged over. rect: the lane's."""
    left, right = rect.left() + scale.x(first), rect.left() + scale.x(last + 1)
    painter.fillRect(QRectF(left, rect.top(), right - left, rect.height()), _accent(110))


def _accent(alpha: int) -> QColor:
    """alpha: 0 to 255."""
    color = QColor(ACCENT)
    color.setAlpha(alpha)
    return color


def draw_cuts(
    painter: QPainter, strip: QRectF, scale: TimeScale, frames: tuple[int, ...], palette: QPalette
) -> None:
    """A line before the first frame of each shot, with a notch on either side at the top."""
    color: QColor = palette.color(QPalette.ColorRole.WindowText)
    for frame in frames:
        x = strip.left() + scale.x(frame)
        if not strip.left() <= x <= strip.right():
            continue
        color.setAlpha(150)
        painter.setPen(QPen(color, 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(x, strip.top()), QPointF(x, strip.bottom()))
        painter.setPen(Qt.PenStyle.NoPen)
        color.setAlpha(255)
        painter.setBrush(color)
        corners = ((x - _NOTCH_PX, 0), (x + _NOTCH_PX, 0), (x, _NOTCH_PX + 1))
        painter.drawPolygon(QPolygonF([QPointF(left, strip.top() + y) for left, y in corners]))
