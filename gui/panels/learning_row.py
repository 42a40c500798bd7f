"""Learning from the given frames: the button, and what was learned so far."""

from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from gui.annotator import Annotator
from gui.document import Document
from gui.learning_work import learned_from
from gui.progress import Busy
from gui.theme import icon
from gui.timeline.frame_table import FrameTable

__all__ = ["LearningRow"]

_IDLE: Final = (Busy.IDLE, Busy.CLICKING, Busy.EXPORTING)


class LearningRow(QWidget):
    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._table = FrameTable.of(document)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        self.button = QPushButton(icon("wand-sparkles"), self.tr("Learn"), self)
        self.button.setAccessibleName(self.tr("Learn from the given frames"))
        self.button.setToolTip(
            self.tr(
                "Learn from the given frames (Shift+L)\n"
                "Tracker and clicks get better at this video, from the frames you corrected or\n"
                "confirmed. It takes a minute or two, and you can go on working meanwhile."
            )
        )
        self.button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.button.setAutoDefault(False)
        self.button.clicked.connect(lambda: annotator.learn())
        row.addWidget(self.button)
        self.state = _MutedLabel(self)
        row.addWidget(self.state, 1)
        for signal in (
            annotator.busy_changed,
            annotator.learned_changed,
            document.objects_changed,
            self._table.changed,
        ):
            signal.connect(self._show)
        self._show()

    def _show(self, *_: object) -> None:
        given = self._table.frames_to_learn_from
        is_read_only = self._document.session.is_read_only
        self.button.setEnabled(given > 0 and not is_read_only and self._annotator.busy in _IDLE)
        text, tip = self._words(given)
        self.state.setText(text)
        self.state.setToolTip(tip)

    def _words(self, given: int) -> tuple[str, str]:
        """Text and tool tip."""
        engines = self._document.session.engines
        models, settings = engines.models, engines.settings
        if models.is_empty:
            tip = self.tr("Worth while from the first right mask on; best with some far apart")
            if given > 1:
                return self.tr("{} frames to learn from").format(given), tip
            if given == 1:
                return self.tr("1 frame to learn from"), tip
            return self.tr("Not learned yet"), tip
        tracker = models.weights_of("tracker", settings.tracker_model)
        clicks = models.weights_of("clicks", settings.click_model)
        if tracker is None and clicks is None:
            return self.tr("Learned for other models"), self.tr(
                "What was learned is about models that are not chosen now. Learning begins anew."
            )
        tip = self.tr(
            "Tracking and clicks use what was learned; masks that are there stay as they are.\n"
            "In the menu Track it can be forgotten."
        )
        if given > models.frames:
            more = self.tr("More frames are given by now: learning again goes on from there.\n")
            return self.tr("Learned from {0} of {1}").format(models.frames, given), more + tip
        return learned_from(models.frames), tip


class _MutedLabel(QLabel):
    """Muted, and cut rather than pushing the panel wider."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setForegroundRole(self.palette().ColorRole.PlaceholderText)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, super().minimumSizeHint().height())
