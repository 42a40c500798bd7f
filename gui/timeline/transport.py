"""The transport row: playback, frame number, range and zoom."""

import re
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QKeyEvent, QValidator
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QToolButton,
    QWidget,
)

from gui.language import tr
from gui.theme import guard_wheel, icon
from gui.timeline.frame_table import FrameTable
from gui.timeline.player import Player
from gui.timeline.scale import format_timecode, frame_of_timecode
from gui.timeline.timeline import Timeline
from gui.work.annotator import Annotator
from gui.work.document import Document
from interaction.annotation.types import FrameStatus

__all__ = [
    "FrameBox",
    "Transport",
]

_NUMBER: Final = re.compile(r"\s*(\d{1,12})\s*")


class FrameBox(QSpinBox):
    """Takes any number that is typed: one behind the last frame means the last frame."""

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        typed = self._typed(text)
        state = QValidator.State.Invalid
        if _NUMBER.fullmatch(typed):
            state = QValidator.State.Acceptable
        elif not typed.strip():
            state = QValidator.State.Intermediate
        return state, text, position

    def valueFromText(self, text: str) -> int:
        match = _NUMBER.fullmatch(self._typed(text))
        if match is None:
            return self.value()
        return max(self.minimum(), min(int(match[1]), self.maximum()))

    def _typed(self, text: str) -> str:
        return text.removesuffix(self.suffix())


_ICON_PX: Final = 18
_ROW_PX: Final = 26
_ZOOM_STEPS: Final = 1000


class Transport(QWidget):
    """Moves the document, plays it, confirms frames. Every button has a key in the menus."""

    def __init__(
        self,
        document: Document,
        annotator: Annotator,
        player: Player,
        timeline: Timeline,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._player, self._timeline = player, timeline
        self._table = FrameTable.of(document)
        self._times_s = document.video.timestamps_s
        self.setAccessibleName(tr("Transport"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(8, 3, 8, 3)
        self._row.setSpacing(2)
        self._add_going()
        self._row.addSpacing(10)
        self._add_place()
        self._row.addSpacing(10)
        self._add_confirm()
        self._row.addStretch(1)
        self._add_range()
        self._row.addSpacing(10)
        self._add_zoom()

        document.frame_changed.connect(self._show_frame)
        document.range_changed.connect(self._show_range)
        self._table.changed.connect(self._show_status)
        player.playing_changed.connect(self._show_playing)
        player.speed_changed.connect(self._show_playing)
        self._show_frame(document.frame)
        self._show_range()
        self._show_playing()

    def focus_frame_box(self) -> None:
        """For "go to frame": a number can be typed at once."""
        self.frame_box.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.frame_box.selectAll()

    # Parts

    def _add_going(self) -> None:
        document, player = self._document, self._player
        final = document.frame_count - 1
        self.first = self._button("skip-back", tr("First frame"), "Home", lambda: self._go(0))
        self.previous_key = self._button(
            "keyframe-previous",
            tr("Previous keyframe"),
            "Ctrl+←",
            lambda: self._go(self._table.previous_given(document.frame)),
        )
        self.back = self._button(
            "step-back", tr("Previous frame"), "←", lambda: self._go(document.frame - 1)
        )
        self.play = self._button("play", tr("Play"), "Space", player.toggle)
        self.forward = self._button(
            "step-forward", tr("Next frame"), "→", lambda: self._go(document.frame + 1)
        )
        for button in (self.back, self.forward):
            button.setAutoRepeat(True)
        self.next_key = self._button(
            "keyframe-next",
            tr("Next keyframe"),
            "Ctrl+→",
            lambda: self._go(self._table.next_given(document.frame)),
        )
        self.last = self._button("skip-forward", tr("Last frame"), "End", lambda: self._go(final))
        self.loop = self._button("loop", tr("Start again at the end"), "", lambda: None)
        self.loop.setCheckable(True)
        self.loop.setChecked(player.is_looping)
        self.loop.toggled.connect(player.set_looping)
        player.looping_changed.connect(self.loop.setChecked)

    def _add_place(self) -> None:
        final = self._document.frame_count - 1
        self.frame_box = FrameBox(self)
        self.frame_box.setRange(0, final)
        self.frame_box.setSuffix(f" / {final}")
        self.frame_box.setKeyboardTracking(False)
        self.frame_box.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.frame_box.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.frame_box.setAccessibleName(tr("Frame"))
        self.frame_box.setToolTip(tr("Frame (Ctrl+G): type a number"))
        self.frame_box.valueChanged.connect(self._go)
        self.frame_box.setFocusPolicy(Qt.FocusPolicy.ClickFocus | Qt.FocusPolicy.TabFocus)
        wide = self.fontMetrics().horizontalAdvance(f"{final} / {final}") + 24
        self.frame_box.setFixedSize(wide, _ROW_PX)
        self._row.addWidget(self.frame_box)
        self._row.addSpacing(4)

        self.time_box = QLineEdit(self)
        self.time_box.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.time_box.setAccessibleName(tr("Time"))
        self.time_box.setToolTip(
            tr("Time: type 1:02.5, or 62.5, or 00:01:02:12 with frames, to go there")
        )
        wide = self.fontMetrics().horizontalAdvance("00:00:00.000") + 20
        self.time_box.setFixedSize(wide, _ROW_PX)
        self.time_box.editingFinished.connect(self._go_to_time)
        self._row.addWidget(self.time_box)
        for box in (self.frame_box, self.time_box):
            box.installEventFilter(self)
        guard_wheel(self.frame_box)

    def _add_confirm(self) -> None:
        self.confirm = QPushButton(tr("Confirm"), self)
        self.confirm.setIcon(icon("circle-check"))
        self.confirm.setAutoDefault(False)
        self.confirm.setFixedHeight(_ROW_PX)
        self.confirm.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.confirm.clicked.connect(self._toggle_confirmed)
        self._row.addWidget(self.confirm)
        self.doubtful = self._button(
            "flag",
            tr("Next frame to annotate"),
            "N",
            lambda: self._go(self._table.next_to_annotate(self._document.frame)),
        )

    def _add_range(self) -> None:
        document = self._document
        self.range_in = self._button(
            "arrow-left-to-line",
            tr("Range begins here"),
            "I",
            lambda: document.set_range(document.frame, document.range_out),
        )
        self.range_out = self._button(
            "arrow-right-to-line",
            tr("Range ends here"),
            "U",
            lambda: document.set_range(document.range_in, document.frame),
        )
        self.no_range = self._button(
            "x", tr("Whole video"), "Alt+I", lambda: document.set_range(None, None)
        )

    def _add_zoom(self) -> None:
        self.zoom = QSlider(Qt.Orientation.Horizontal, self)
        self.zoom.setRange(0, _ZOOM_STEPS)
        self.zoom.setPageStep(_ZOOM_STEPS // 10)
        self.zoom.setSingleStep(_ZOOM_STEPS // 50)
        self.zoom.setFixedWidth(96)
        self.zoom.setAccessibleName(tr("Zoom of the timeline"))
        self.zoom.setToolTip(tr("Zoom of the timeline (Ctrl+wheel)"))
        self.zoom.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.zoom.setValue(round(self._timeline.zoom * _ZOOM_STEPS))
        self.zoom.valueChanged.connect(self._zoom)
        self._timeline.zoom_changed.connect(self._show_zoom)
        self._row.addWidget(self.zoom)

    def _button(self, name: str, text: str, key: str, do: Callable[[], object]) -> QToolButton:
        button = QToolButton(self)
        button.setIcon(icon(name))
        button.setIconSize(QSize(_ICON_PX, _ICON_PX))
        button.setAutoRaise(True)
        button.setFixedSize(_ROW_PX, _ROW_PX)
        button.setAccessibleName(text)
        button.setToolTip(f"{text} ({key})" if key else text)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(lambda: do())
        self._row.addWidget(button)
        return button

    # What people ask for

    def _go(self, frame: int | None) -> None:
        if frame is not None and frame != self._document.frame:
            self._player.stop()
            self._document.set_frame(frame)

    def _go_to_time(self) -> None:
        text, is_asked = self.time_box.text().strip(), self.time_box.isModified()
        self.time_box.setModified(False)
        if is_asked and text:
            frame = frame_of_timecode(self._times_s, text)
            if frame is not None:
                self._go(frame)
            else:
                self._annotator.document.noticed.emit(
                    tr(
                        "“{text}” is no time. Type 1:02.5, or 62.5, or 00:01:02:12 with frames.",
                        text=text,
                    )
                )
        self._show_frame(self._document.frame)

    def _toggle_confirmed(self) -> None:
        if self._status is FrameStatus.CONFIRMED:
            self._annotator.hand.unconfirm()
        else:
            self._annotator.hand.confirm()

    def _zoom(self, value: int) -> None:
        self._timeline.set_zoom(value / _ZOOM_STEPS)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A box that is done with gives the keys back to the window."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() == Qt.Key.Key_Escape:
                self.time_box.setModified(False)
                self._show_frame(self._document.frame)
                self._timeline.setFocus()
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                if watched is self.frame_box:
                    self.frame_box.interpretText()
                else:
                    self._go_to_time()
                self._timeline.setFocus()
                return True
        return super().eventFilter(watched, event)

    # What is shown

    @property
    def _status(self) -> FrameStatus:
        return self._document.annotation.record(self._document.frame).status

    def _show_frame(self, frame: int) -> None:
        self.frame_box.blockSignals(True)
        self.frame_box.setValue(frame)
        self.frame_box.blockSignals(False)
        if not self.time_box.isModified():
            self.time_box.setText(format_timecode(float(self._times_s[frame])))
        self.first.setEnabled(frame > 0)
        self.back.setEnabled(frame > 0)
        self.last.setEnabled(frame < self._document.frame_count - 1)
        self.forward.setEnabled(frame < self._document.frame_count - 1)
        self._show_status()

    def _show_status(self, *_: object) -> None:
        frame = self._document.frame
        status = self._status
        is_confirmed = status is FrameStatus.CONFIRMED
        self.confirm.setText(tr("Confirmed") if is_confirmed else tr("Confirm"))
        tip = (
            tr("Take the confirmation back (Shift+C)")
            if is_confirmed
            else tr("The masks of this frame are right and whole (Return, C)")
        )
        self.confirm.setToolTip(tip)
        self.confirm.setAccessibleName(
            tr("Take the confirmation back") if is_confirmed else tr("Confirm this frame")
        )
        self.confirm.setEnabled(not self._document.session.ledger.is_read_only)
        self.previous_key.setEnabled(self._table.previous_given(frame) is not None)
        self.next_key.setEnabled(self._table.next_given(frame) is not None)
        self.doubtful.setEnabled(self._table.has_frames_below_goal)

    def _show_range(self) -> None:
        self.no_range.setEnabled(self._document.has_range)

    def _show_playing(self, *_: object) -> None:
        is_playing = self._player.is_playing
        self.play.setIcon(icon("pause" if is_playing else "play"))
        text = tr("Stop") if is_playing else tr("Play")
        self.play.setAccessibleName(text)
        self.play.setToolTip(
            tr(
                "{text} (Space). J plays backwards; while it plays, K stops and L goes forward, "
                "faster with each press",
                text=text,
            )
        )
        speed = self._player.speed
        fast = speed not in (0.0, 1.0)
        self.play.setText(f"{speed:g}×" if fast else "")
        style = Qt.ToolButtonStyle
        self.play.setToolButtonStyle(
            style.ToolButtonTextBesideIcon if fast else style.ToolButtonIconOnly
        )
        self.play.setFixedWidth(_ROW_PX + (28 if fast else 0))

    def _show_zoom(self, zoom: float) -> None:
        self.zoom.blockSignals(True)
        self.zoom.setValue(round(zoom * _ZOOM_STEPS))
        self.zoom.blockSignals(False)
