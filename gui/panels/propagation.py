"""The tracking panel: direction, range, learning, progress."""

from typing import TYPE_CHECKING, Final, cast

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.language import tr
from gui.theme import combo, guard_wheel, heading, icon, lay_out, named, remark
from gui.timeline.frame_table import FrameTable
from gui.timeline.scale import short_timecode
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.learning import learned_from
from gui.work.operations import Busy, Progress
from interaction.annotation.requests import Direction, Until
from xmem_core.messages import Message

if TYPE_CHECKING:
    from interaction.tracking.governor import Forecast

__all__ = ["RUNNING", "LearningRow", "PropagationPanel", "RunProgress"]

RUNNING = (Busy.PROPAGATING, Busy.LEARNING, Busy.PAUSED)


class RunProgress(QWidget):
    """Of use only while the annotator is at one of `RUNNING`."""

    def __init__(self, annotator: Annotator, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotator = annotator
        self.bar = QProgressBar(self)
        self.bar.setFixedHeight(16)
        self.figures = named(QLabel(self), tr("Speed and time left"))
        self.pause = QPushButton(self)
        self.pause.clicked.connect(self.toggle_pause)
        self.cancel = QPushButton(icon("x"), tr("Cancel"), self)
        self.cancel.clicked.connect(lambda: self._annotator.cancel())
        for button in (self.pause, self.cancel):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setAutoDefault(False)
        self.reason = remark("", self)
        above, below = QHBoxLayout(), QHBoxLayout()
        lay_out(above, (self.bar, 1), self.figures, spacing=8)
        lay_out(below, (self.pause, 1), (self.cancel, 1), spacing=4)
        lay_out(QVBoxLayout(self), self.reason, above, below, spacing=4)
        annotator.operations.busy_changed.connect(self._show_busy)
        annotator.operations.changed.connect(self._show_operation)
        annotator.operations.progressed.connect(self._show_progress)
        self._show_busy(annotator.operations.busy)

    def toggle_pause(self) -> None:
        if self._annotator.operations.busy is Busy.PAUSED:
            self._annotator.operations.resume()
        else:
            self._annotator.operations.pause()

    def _show_operation(self) -> None:
        """Why it runs, and that it stops as soon as the step in progress is made."""
        operation = self._annotator.operations.running
        self.reason.setText("" if operation is None else operation.reason)
        self.reason.setVisible(bool(self.reason.text()))
        is_stopping = operation is not None and operation.is_cancelled
        self.cancel.setEnabled(not is_stopping)
        self.pause.setEnabled(not is_stopping)
        if is_stopping:
            self.figures.setText(tr("Stopping…"))

    def _show_busy(self, busy: Busy) -> None:
        is_paused = busy is Busy.PAUSED
        self.pause.setText(tr("Resume") if is_paused else tr("Pause"))
        self.pause.setIcon(icon("play" if is_paused else "pause"))
        self.pause.setToolTip(tr("Resume (Space)") if is_paused else tr("Pause (Space)"))
        if self._annotator.learning.is_running:
            self.bar.setAccessibleName(tr("Progress of learning"))
            self.cancel.setToolTip(
                tr("Cancel (Esc): the tracker stays as it is, unless its part is finished")
            )
        else:
            self.bar.setAccessibleName(tr("Progress of tracking"))
            self.cancel.setToolTip(tr("Cancel (Esc): every finished frame is kept"))
        if is_paused:
            self.figures.setText(tr("Paused"))
        elif busy not in RUNNING:
            self.bar.setRange(0, 1)
            self.bar.setValue(0)
            self.figures.clear()
        elif not self.bar.value():
            self.bar.setRange(0, 0)
            self.figures.setText(tr("Getting ready…"))
        else:  # resumed
            self.figures.setText(tr("Resuming…"))

    def _show_progress(self, progress: Progress) -> None:
        if self._annotator.operations.busy not in RUNNING:
            return
        self.bar.setFormat(f"{progress.label} %p%")
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.done)
        operations = self._annotator.operations
        if operations.busy is Busy.PAUSED or operations.is_stopping:
            return
        parts = []
        if progress.frames_per_second is not None:
            parts.append(tr("{rate:.1f} fps", rate=progress.frames_per_second))
        if progress.seconds_left is not None:
            parts.append(short_timecode(progress.seconds_left + 0.5))
        self.figures.setText("  ".join(parts) or tr("Getting ready…"))
        tip = (
            Message("{done} of {total} steps; time left")
            if self._annotator.learning.is_running
            else Message("{done} of {total} frames; speed, and time left")
        )
        self.figures.setToolTip(tr(tip, done=progress.done, total=progress.total))


class LearningRow(QWidget):
    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._table = FrameTable.of(document)
        self.button = QPushButton(icon("wand-sparkles"), tr("Learn"), self)
        self.button.setAccessibleName(tr("Learn from the given frames"))
        self.button.setToolTip(
            tr(
                "Learn from the given frames (Shift+L)\n"
                "Tracker and clicks get better at this video, from the frames you corrected or\n"
                "confirmed. It takes a minute or two, and you can go on working meanwhile."
            )
        )
        self.button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.button.setAutoDefault(False)
        self.button.clicked.connect(lambda: annotator.learning.start())
        self.state = _MutedLabel(self)
        lay_out(QHBoxLayout(self), self.button, (self.state, 1), spacing=8)
        for signal in (
            annotator.operations.busy_changed,
            annotator.learning.changed,
            document.objects_changed,
            self._table.changed,
        ):
            signal.connect(self._show)
        self._show()

    def _show(self, *_: object) -> None:
        given = self._table.frames_to_learn_from
        is_read_only = self._document.session.ledger.is_read_only
        is_free = self._annotator.operations.is_free
        self.button.setEnabled(given > 0 and not is_read_only and is_free)
        text, tip = self._words(given)
        self.state.setText(text)
        self.state.setToolTip(tip)

    def _words(self, given: int) -> tuple[str, str]:
        """Text and tool tip."""
        engines = self._document.session.engines
        models, settings = engines.models, engines.settings
        if models.is_empty:
            tip = tr("Useful from the first correct mask on; best with several far apart")
            if given:
                text = tr(
                    "{count} frame to learn from", "{count} frames to learn from", count=given
                )
                return text, tip
            return tr("Not learned yet"), tip
        tracker = models.weights_of("tracker", settings.tracker_model)
        clicks = models.weights_of("clicks", settings.click_model)
        if tracker is None and clicks is None:
            return tr("Learned for other models"), tr(
                "What was learned is about models that are not chosen now. Learning begins anew."
            )
        tip = tr(
            "Tracking and clicks use what was learned; masks that are there stay as they are.\n"
            "In the menu Track it can be forgotten."
        )
        if given > models.frames:
            more = tr("More frames have been given since: learning again continues from there.\n")
            text = tr("Learned from {frames} of {given}", frames=models.frames, given=given)
            return text, more + tip
        return learned_from(models.frames), tip


class _MutedLabel(QLabel):
    """Muted, and cut rather than pushing the panel wider."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setForegroundRole(self.palette().ColorRole.PlaceholderText)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, super().minimumSizeHint().height())


_FORECAST_DELAY_MS: Final = 200
_WHOLE, _RANGE, _COUNT = "whole", "range", "count"


class PropagationPanel(QWidget):
    """Starts runs; says why there is nothing to start."""

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._table = FrameTable.of(document)
        self.setAccessibleName(tr("Track"))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        directions, choices = self._direction_row(), self._choices()
        self.pages = QStackedWidget(self)
        self.pages.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.pages.addWidget(self._idle_page())
        self.run = RunProgress(annotator, self)
        self.pages.addWidget(self.run)
        parts = (heading(tr("Track"), self), directions, choices, self.pages)
        lay_out(QVBoxLayout(self), *parts, spacing=4, margins=(10, 4, 10, 4))

        annotator.operations.busy_changed.connect(self._show_busy)
        self._table.changed.connect(self._show_state)
        document.frame_changed.connect(self._show_state)
        document.range_changed.connect(self._show_range)
        document.objects_changed.connect(self._show_state)
        document.current_object_changed.connect(self._show_state)
        # One forecast for many changes.
        self._asking = QTimer(self, singleShot=True, interval=_FORECAST_DELAY_MS)
        self._asking.timeout.connect(self.ask_forecast)
        annotator.tracking.forecast_made.connect(self._show_forecast)
        for signal in (self.until.currentIndexChanged, self.count.valueChanged):
            signal.connect(self._show_state)
        self._show_range()
        self._show_busy(annotator.operations.busy)

    # Parts

    def _direction_row(self) -> QHBoxLayout:
        self.back = self._direction_button(
            "arrow-left", tr("Back"), "backward", tr("Track backward (B)")
        )
        self.both = self._direction_button(
            "move-horizontal", tr("Both"), "both", tr("Track both ways (Shift+B)")
        )
        self.forward = self._direction_button(
            "arrow-right", tr("Forward"), "forward", tr("Track forward (F)")
        )
        self.forward.setLayoutDirection(Qt.LayoutDirection.RightToLeft)  # the arrow behind it
        row = QHBoxLayout()
        lay_out(row, (self.back, 1), (self.both, 1), (self.forward, 1), spacing=4)
        return row

    def _direction_button(
        self, name: str, text: str, direction: Direction, tip: str
    ) -> QPushButton:
        button = QPushButton(icon(name), text, self)
        button.setToolTip(tip)
        button.setAccessibleName(tip.split(" (")[0])
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setAutoDefault(False)
        button.clicked.connect(lambda: self.start(direction))
        return button

    def _choices(self) -> QFormLayout:
        self._make_extent()
        self._make_switches()
        for box in (self.until, self.range, self.count, self.only_current, self.closer, self.keeps):
            box.setFocusPolicy(Qt.FocusPolicy.TabFocus | Qt.FocusPolicy.ClickFocus)
            guard_wheel(box)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(2)  # in a window of 800 pixels all panels are seen whole
        form.setHorizontalSpacing(8)
        form.addRow(tr("Until"), self.until)
        line = QHBoxLayout()
        lay_out(line, (self.range, 1), self.count, spacing=4)
        form.addRow(tr("In"), line)
        for box in (self.only_current, self.closer, self.keeps):
            form.addRow("", box)
        return form

    def _make_extent(self) -> None:
        """Until where, and in which frames."""
        ends = {
            "end": tr("the end"),
            "next_confirmed": tr("the next confirmed frame"),
            "halfway": tr("halfway to the next keyframe"),
            "settled": tr("nothing changes any more"),
        }
        self.until = named(combo(ends, self), tr("Track until"))
        self.until.setToolTip(
            tr(
                "Where a run stops. Frames you corrected or confirmed are never overwritten, "
                "however far it goes."
            )
        )
        self.range = named(QComboBox(self), tr("Frames to track"))
        self.range.setToolTip(tr("Set the range with I and U, or Shift+drag in the timeline"))
        self.range.activated.connect(self._choose_range)
        for box in (self.until, self.range):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(8)
        self.count = named(QSpinBox(self), tr("Number of frames"))
        self.count.setRange(1, max(1, self._document.frame_count - 1))
        self.count.setValue(min(25, self.count.maximum()))
        self.count.setSuffix(tr(" frames"))
        self.count.setToolTip(tr("Most frames to track, each way"))

    def _make_switches(self) -> None:
        """What is tracked, how closely, and what is kept of it."""
        self.only_current = self._switch(
            tr("only the current object"), tr("The other objects keep the masks they have")
        )
        self.only_current.toggled.connect(self._show_state)
        self.closer = self._switch(
            tr("look closer"),
            tr(
                "For small things in a large picture: track in a box that follows them (Ctrl+B)\n"
                "The network sees the box enlarged, and the rest of the picture costs nothing.\n"
                "Things far apart are better tracked one at a time."
            ),
        )
        self.closer.toggled.connect(self._show_state)
        self.keeps = self._switch(
            tr("keep probabilities"),
            tr(
                "Keep what the network thinks of each pixel near the outlines, in 8 bits, beside\n"
                "the masks of this project: from now on, of tracked frames and of clicks. Exports\n"
                "with soft edges use it. The project takes about twice the room."
            ),
        )
        self.keeps.setChecked(self._document.keeps_probabilities)
        self.keeps.toggled.connect(self._document.set_keeps_probabilities)
        self._document.keeping_changed.connect(self.keeps.setChecked)
        self._document.keeping_changed.connect(self._show_state)

    def _switch(self, text: str, tip: str) -> QCheckBox:
        box = QCheckBox(text, self)
        box.setToolTip(tip)
        return box

    def _idle_page(self) -> QWidget:
        """As high as what is shown during a run, so that nothing moves."""
        self.idle = QWidget(self)
        self.reason = remark("", self.idle)
        self.forecast = remark("", self.idle)
        self.forecast.setAccessibleName(tr("What tracking will need"))
        self.forecast.hide()
        self.learning = LearningRow(self._document, self._annotator, self.idle)
        lay_out(QVBoxLayout(self.idle), self.reason, self.forecast, self.learning, spacing=2)
        return self.idle

    # What people ask for

    def start(self, direction: Direction) -> None:
        """As the choices say."""
        self._annotator.tracking.start(
            direction,
            self._until,
            most_frames=self._most_frames,
            objects=self._objects,
            looks_closer=self.closer.isChecked(),
        )

    def start_settling(self) -> None:
        """Both ways, until the new masks agree with the old ones."""
        self._annotator.tracking.start(
            "both", "settled", objects=self._objects, looks_closer=self.closer.isChecked()
        )

    def track_one(self) -> None:
        """Forward, and go there."""
        self._annotator.tracking.start(
            most_frames=1, objects=self._objects, looks_closer=self.closer.isChecked(), follows=True
        )

    def ask_forecast(self, *, measures: bool = False) -> None:
        """What a run as the choices say will need. measures: on its first frames."""
        if measures and (reason := self._why_not()):
            self._document.noticed.emit(reason)
            return
        if not (self.forward.isEnabled() or self.back.isEnabled()):
            return
        if measures:
            self._show_forecast(None)
            self.forecast.setText(tr("Measuring on the first frames…"))
            self.forecast.show()
        self._annotator.tracking.forecast(
            "forward" if self.forward.isEnabled() else "backward",
            self._until,
            most_frames=self._most_frames,
            objects=self._objects,
            looks_closer=self.closer.isChecked(),
            measures=measures,
        )

    @property
    def _until(self) -> Until:
        return cast(Until, self.until.currentData())

    @property
    def _most_frames(self) -> int | None:
        return self.count.value() if self.range.currentData() == _COUNT else None

    @property
    def _objects(self) -> frozenset[int] | None:
        """Which are to be tracked; None: all."""
        current = self._document.current_object
        return frozenset({current}) if self.only_current.isChecked() and current else None

    def _choose_range(self, index: int) -> None:
        if self.range.itemData(index) == _WHOLE:
            self._document.set_range(None, None)
        self.count.setVisible(self.range.itemData(index) == _COUNT)
        self._show_state()

    # What is shown

    def _show_range(self) -> None:
        document = self._document
        has_range = document.has_range
        chosen = self.range.currentData() or _WHOLE
        if has_range and chosen == _WHOLE:
            chosen = _RANGE
        elif not has_range and chosen == _RANGE:
            chosen = _WHOLE
        self.range.clear()
        self.range.addItem(tr("the whole video"), _WHOLE)
        if has_range:
            first, last = document.whole_range
            self.range.addItem(tr("frames {first}–{last}", first=first, last=last), _RANGE)
        self.range.addItem(tr("at most"), _COUNT)
        self.range.setCurrentIndex(self.range.findData(chosen))
        self.count.setVisible(chosen == _COUNT)
        self._show_state()

    def _why_not(self) -> str:
        """What stands in the way of tracking; empty if nothing does."""
        document = self._document
        if document.session.ledger.is_read_only:
            return tr("This project is open for reading only.")
        if self._annotator.operations.busy is Busy.WORKING:
            return tr("Masks are being changed.")
        is_here = bool(document.annotation.record(document.frame).present)
        if not is_here and not self._table.frames_to_learn_from:
            if document.annotation.records:
                return tr("No mask here: go to a frame that has one, or click an object.")
            return tr("Nothing yet: click an object first.")
        if self.only_current.isChecked():
            one = document.object(document.current_object)
            if one is not None and one.is_locked:
                return tr("“{name}” is locked.", name=one.name)
        if document.frame_count == 1:
            return tr("The video has a single frame.")
        if document.whole_range == (document.frame, document.frame):
            return tr("The range is this frame alone.")
        return ""

    def _show_state(self, *_: object) -> None:
        is_running = self._annotator.operations.busy in RUNNING
        reason = "" if is_running else self._why_not()
        first, last = self._document.whole_range
        may = not is_running and not reason
        self.back.setEnabled(may and self._document.frame > first)
        self.forward.setEnabled(may and self._document.frame < last)
        self.both.setEnabled(may)
        for box in (self.until, self.range, self.count, self.only_current, self.closer):
            box.setEnabled(not is_running)
        self.keeps.setEnabled(not (is_running or self._document.session.ledger.is_read_only))
        self.reason.setText(reason or tr("Tracks from frame {frame}.", frame=self._document.frame))
        self.forward.setDefault(may)
        if may and self.isVisible():
            self._asking.start()
        else:
            self._asking.stop()
            self.forecast.hide()

    def _show_forecast(self, expected: "Forecast | None") -> None:
        is_idle = self._annotator.operations.busy not in RUNNING and not self._why_not()
        self.forecast.setVisible(expected is not None and is_idle)
        if expected is None:
            return
        self.forecast.setText("\n".join(map(tr, (expected.line, *expected.warnings))))
        role = self.palette().ColorRole
        self.forecast.setForegroundRole(
            role.WindowText if expected.warnings else role.PlaceholderText
        )
        basis = tr("The time is what this machine took before.")
        if not expected.is_measured:
            basis = tr(
                "The time is from the list of models: Ctrl+T measures it here, on the first frames."
            )
        self.forecast.setToolTip(f"{tr(expected.room)}\n{basis}")

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show_state()

    def _show_busy(self, busy: Busy) -> None:
        self.pages.setCurrentWidget(self.run if busy in RUNNING else self.idle)
        self._show_state()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()

    def minimumSizeHint(self) -> QSize:
        return QSize(220, super().minimumSizeHint().height())
