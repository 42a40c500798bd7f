"""Tracking: which way, how far, for which objects; and how a run is getting on."""

from typing import cast

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.annotator import Annotator
from gui.document import Document
from gui.panels.learning_row import LearningRow
from gui.panels.run_progress import RUNNING, RunProgress
from gui.progress import Busy
from gui.theme import icon
from gui.timeline.frame_table import FrameTable
from gui.wheel_guard import guard_wheel
from interaction.propagation_request import Direction, Until

__all__ = ["PropagationPanel"]

_WHOLE, _RANGE, _COUNT = "whole", "range", "count"


class PropagationPanel(QWidget):
    """Starts runs; says why there is nothing to start."""

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._table = FrameTable.of(document)
        self.setAccessibleName(self.tr("Track"))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 10, 8)
        column.setSpacing(6)
        title = QLabel(self.tr("Track"), self)
        font = title.font()
        font.setBold(True)
        title.setFont(font)
        column.addWidget(title)
        column.addLayout(self._direction_row())
        column.addLayout(self._choices())
        self.pages = QStackedWidget(self)
        self.pages.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.pages.addWidget(self._idle_page())
        self.run = RunProgress(annotator, self)
        self.pages.addWidget(self.run)
        column.addWidget(self.pages)

        annotator.busy_changed.connect(self._show_busy)
        self._table.changed.connect(self._show_state)
        document.frame_changed.connect(self._show_state)
        document.range_changed.connect(self._show_range)
        document.objects_changed.connect(self._show_state)
        document.current_object_changed.connect(self._show_state)
        self._show_range()
        self._show_busy(annotator.busy)

    # Parts

    def _direction_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        self.back = self._direction_button(
            "arrow-left", self.tr("Back"), "backward", self.tr("Track backward (B)")
        )
        self.both = self._direction_button(
            "move-horizontal", self.tr("Both"), "both", self.tr("Track both ways (Shift+F)")
        )
        self.forward = self._direction_button(
            "arrow-right", self.tr("Forward"), "forward", self.tr("Track forward (F)")
        )
        self.forward.setLayoutDirection(Qt.LayoutDirection.RightToLeft)  # the arrow behind it
        for button in (self.back, self.both, self.forward):
            row.addWidget(button, 1)
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
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(4)
        form.setHorizontalSpacing(8)
        self.until = QComboBox(self)
        for text, until in (
            (self.tr("the end"), "end"),
            (self.tr("the next confirmed frame"), "next_confirmed"),
            (self.tr("halfway to the next keyframe"), "halfway"),
            (self.tr("nothing changes any more"), "settled"),
        ):
            self.until.addItem(text, until)
        self.until.setAccessibleName(self.tr("Track until"))
        self.until.setToolTip(
            self.tr(
                "Where a run stops. Frames you corrected or confirmed are never overwritten, "
                "however far it goes."
            )
        )
        self.range = QComboBox(self)
        self.range.setAccessibleName(self.tr("Frames to track"))
        self.range.setToolTip(self.tr("Set the range with I and U, or Shift+drag in the timeline"))
        self.range.activated.connect(self._choose_range)
        self.count = QSpinBox(self)
        self.count.setRange(1, max(1, self._document.frame_count - 1))
        self.count.setValue(min(25, self.count.maximum()))
        self.count.setSuffix(self.tr(" frames"))
        self.count.setAccessibleName(self.tr("Number of frames"))
        self.count.setToolTip(self.tr("Most frames to track, each way"))
        self.only_current = QCheckBox(self.tr("only the current object"), self)
        self.only_current.setToolTip(self.tr("The other objects keep the masks they have"))
        self.only_current.toggled.connect(self._show_state)
        for box in (self.until, self.range, self.count, self.only_current):
            box.setFocusPolicy(Qt.FocusPolicy.TabFocus | Qt.FocusPolicy.ClickFocus)
            guard_wheel(box)
        for combo in (self.until, self.range):
            combo.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            combo.setMinimumContentsLength(8)
        form.addRow(self.tr("Until"), self.until)
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.range, 1)
        line.addWidget(self.count)
        form.addRow(self.tr("In"), line)
        form.addRow("", self.only_current)
        return form

    def _idle_page(self) -> QWidget:
        """As high as what is shown during a run, so that nothing moves."""
        self.idle = QWidget(self)
        column = QVBoxLayout(self.idle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.reason = QLabel(self.idle)
        self.reason.setWordWrap(True)
        self.reason.setForegroundRole(self.palette().ColorRole.PlaceholderText)
        column.addWidget(self.reason)
        self.learning = LearningRow(self._document, self._annotator, self.idle)
        column.addWidget(self.learning)
        return self.idle

    # What people ask for

    def start(self, direction: Direction) -> None:
        """As the choices say."""
        chosen = self.range.currentData()
        self._annotator.propagate(
            direction,
            cast(Until, self.until.currentData()),
            most_frames=self.count.value() if chosen == _COUNT else None,
            objects=self.objects,
        )

    @property
    def objects(self) -> frozenset[int] | None:
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
        has_range = document.range_in is not None or document.range_out is not None
        chosen = self.range.currentData() or _WHOLE
        if has_range and chosen == _WHOLE:
            chosen = _RANGE
        elif not has_range and chosen == _RANGE:
            chosen = _WHOLE
        self.range.clear()
        self.range.addItem(self.tr("the whole video"), _WHOLE)
        if has_range:
            first = document.range_in or 0
            last = document.frame_count - 1 if document.range_out is None else document.range_out
            self.range.addItem(self.tr("frames {0}–{1}").format(first, last), _RANGE)
        self.range.addItem(self.tr("at most"), _COUNT)
        self.range.setCurrentIndex(self.range.findData(chosen))
        self.count.setVisible(chosen == _COUNT)
        self._show_state()

    def _why_not(self) -> str:
        """What stands in the way of tracking; empty if nothing does."""
        document = self._document
        if document.session.is_read_only:
            return self.tr("This project is open for reading only.")
        if self._annotator.busy is Busy.WORKING:
            return self.tr("Masks are being changed.")
        if not self._table.has_given:
            return self.tr("Nothing yet: click an object first.")
        if self.only_current.isChecked():
            one = document.object(document.current_object)
            if one is not None and one.is_locked:
                return self.tr("“{}” is locked.").format(one.name)
        if document.frame_count == 1:
            return self.tr("The video has a single frame.")
        return ""

    def _show_state(self, *_: object) -> None:
        is_running = self._annotator.busy in RUNNING
        reason = "" if is_running else self._why_not()
        first = self._document.range_in or 0
        last = self._document.range_out
        last = self._document.frame_count - 1 if last is None else last
        may = not is_running and not reason
        self.back.setEnabled(may and self._document.frame > first)
        self.forward.setEnabled(may and self._document.frame < last)
        self.both.setEnabled(may)
        for box in (self.until, self.range, self.count, self.only_current):
            box.setEnabled(not is_running)
        self.reason.setText(reason or self.tr("Tracks from frame {}.").format(self._document.frame))
        self.forward.setDefault(may)

    def _show_busy(self, busy: Busy) -> None:
        self.pages.setCurrentWidget(self.run if busy in RUNNING else self.idle)
        self._show_state()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()

    def minimumSizeHint(self) -> QSize:
        return QSize(220, super().minimumSizeHint().height())
