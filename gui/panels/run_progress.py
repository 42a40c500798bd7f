"""How tracking or learning is getting on, with the buttons that pause and cancel it."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from gui.annotator import Annotator
from gui.progress import Busy, Progress
from gui.theme import icon
from gui.timeline.timecode import short_timecode

__all__ = ["RUNNING", "RunProgress"]

RUNNING = (Busy.PROPAGATING, Busy.LEARNING, Busy.PAUSED)


class RunProgress(QWidget):
    """Of use only while the annotator is at one of `RUNNING`."""

    def __init__(self, annotator: Annotator, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotator = annotator
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        above, below = QHBoxLayout(), QHBoxLayout()
        above.setSpacing(8)
        below.setSpacing(4)
        self.bar = QProgressBar(self)
        self.bar.setFixedHeight(16)
        above.addWidget(self.bar, 1)
        self.figures = QLabel(self)
        self.figures.setAccessibleName(self.tr("Speed and time left"))
        above.addWidget(self.figures)
        self.pause = QPushButton(self)
        self.pause.clicked.connect(self._toggle_pause)
        self.cancel = QPushButton(icon("x"), self.tr("Cancel"), self)
        self.cancel.clicked.connect(lambda: self._annotator.cancel())
        for button in (self.pause, self.cancel):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setAutoDefault(False)
            below.addWidget(button, 1)
        column.addLayout(above)
        column.addLayout(below)
        annotator.busy_changed.connect(self._show_busy)
        annotator.progressed.connect(self._show_progress)
        self._show_busy(annotator.busy)

    def _toggle_pause(self) -> None:
        if self._annotator.busy is Busy.PAUSED:
            self._annotator.resume()
        else:
            self._annotator.pause()

    def _show_busy(self, busy: Busy) -> None:
        is_paused = busy is Busy.PAUSED
        self.pause.setText(self.tr("Resume") if is_paused else self.tr("Pause"))
        self.pause.setIcon(icon("play" if is_paused else "pause"))
        self.pause.setToolTip(
            self.tr("Go on (Space)") if is_paused else self.tr("Stand still (Space)")
        )
        if self._annotator.is_learning:
            self.bar.setAccessibleName(self.tr("Progress of learning"))
            self.cancel.setToolTip(
                self.tr("Cancel (Esc): the tracker stays as it is, unless its part is finished")
            )
        else:
            self.bar.setAccessibleName(self.tr("Progress of tracking"))
            self.cancel.setToolTip(self.tr("Cancel (Esc): every finished frame is kept"))
        if is_paused:
            self.figures.setText(self.tr("Paused"))
        elif busy not in RUNNING:
            self.bar.setRange(0, 1)
            self.bar.setValue(0)
            self.figures.clear()
        elif not self.bar.value():
            self.bar.setRange(0, 0)
            self.figures.setText(self.tr("Getting ready…"))

    def _show_progress(self, progress: Progress) -> None:
        if self._annotator.busy not in RUNNING:
            return
        self.bar.setFormat(f"{progress.label} %p%")
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.done)
        if self._annotator.busy is Busy.PAUSED:
            return
        parts = []
        if progress.frames_per_second is not None:
            parts.append(self.tr("{:.1f} fps").format(progress.frames_per_second))
        if progress.seconds_left is not None:
            parts.append(short_timecode(progress.seconds_left + 0.5))
        self.figures.setText("  ".join(parts) or self.tr("Getting ready…"))
        tip = (
            self.tr("{0} of {1} steps; time left")
            if self._annotator.is_learning
            else self.tr("{0} of {1} frames; speed, and time left")
        )
        self.figures.setToolTip(tip.format(progress.done, progress.total))
