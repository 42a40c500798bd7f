"""Everything that was done, in order; a click goes back to it, or forward again."""

from typing import Final

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QFont, QGuiApplication, QPalette, QShowEvent
from PySide6.QtWidgets import QListView, QToolButton, QVBoxLayout, QWidget

from gui.language import tr
from gui.theme import lay_out, named, remark
from gui.timeline.scale import short_timecode
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.annotation.effort import Effort
from interaction.annotation.history import Entry

__all__ = ["HistoryPanel"]

_ROW_PX: Final = 24
_MEASURE_MS: Final = 500

Index = QModelIndex | QPersistentModelIndex
_ROOT: Final = QModelIndex()


class HistoryPanel(QWidget):
    """The first row is the beginning; the row in effect last is marked. Below: what it cost."""

    effort_wanted = Signal()  # the table of it

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self.setAccessibleName(tr("History"))
        self.steps = HistorySteps(document, self)
        self.view = named(QListView(self), tr("History"), tr("Click a step to go back to it"))
        self.view.setModel(self.steps)
        self.view.setUniformItemSizes(True)
        # After a long name the end says what was done to the object.
        self.view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.view.setMinimumHeight(3 * _ROW_PX)
        self.view.setFrameShape(QListView.Shape.NoFrame)
        self.view.setIconSize(QSize(12, 12))
        self.view.clicked.connect(self._go)
        self.view.activated.connect(self._go)
        self.notice = remark(tr("Wait for the run to end to go back."), self)
        self.notice.setContentsMargins(10, 4, 10, 4)
        self.effort = named(QToolButton(self), tr("Effort"))
        self.effort.setAutoRaise(True)
        self.effort.setToolTip(tr("What the work has cost so far; click for each object"))
        self.effort.clicked.connect(self.effort_wanted)
        lay_out(QVBoxLayout(self), (self.view, 1), self.notice, self.effort, spacing=0)
        # While tracking, numbers that change more often than they can be read only cost time.
        self._measuring = QTimer(self, singleShot=True, interval=_MEASURE_MS)
        self._measuring.timeout.connect(self._show_effort)
        document.history_changed.connect(self._measure_soon)
        self.steps.position_changed.connect(self._show_position)
        annotator.operations.busy_changed.connect(self._show_busy)
        self._show_position(self.steps.position)
        self._show_busy(annotator.operations.busy)

    def _go(self, index: QModelIndex) -> None:
        if index.row() != self.steps.position:
            self._annotator.go_to(index.row())

    def _show_position(self, position: int) -> None:
        index = self.steps.index(position)
        self.view.setCurrentIndex(index)
        self.view.scrollTo(index)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show_effort()

    def _measure_soon(self) -> None:
        """Not while the panel is hidden: `showEvent` measures then."""
        if self.isVisible() and not self._measuring.isActive():
            self._measuring.start()

    def _show_effort(self) -> None:
        effort = self._document.session.ledger.effort.measure()
        self.effort.setText(
            tr(
                "Clicks: {clicks} · strokes: {strokes} · work: {work}",
                clicks=effort.clicks,
                strokes=effort.strokes,
                work=short_timecode(effort.work_s),
            )
            if effort != Effort()
            else tr("Nothing was done yet")
        )

    def _show_busy(self, busy: Busy) -> None:
        may_go = (
            busy in (Busy.IDLE, Busy.EXPORTING) and not self._document.session.ledger.is_read_only
        )
        self.view.setEnabled(may_go)
        self.notice.setVisible(busy in (Busy.PROPAGATING, Busy.LEARNING, Busy.PAUSED, Busy.WORKING))


class HistorySteps(QAbstractListModel):
    """Row n: n steps are in effect. Only what changed is announced, whatever the length."""

    position_changed = Signal(int)

    def __init__(self, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._document = document
        history = document.session.history
        self._entries: tuple[Entry, ...] = history.entries
        self._position = history.position
        document.history_changed.connect(self._follow)

    @property
    def position(self) -> int:
        return self._position

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._entries) + 1

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row = index.row()
        if not 0 <= row <= len(self._entries):
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self._text(row)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            if row == self._position:
                return tr("{text}, in effect", text=self._text(row))
            return (
                self._text(row)
                if row < self._position
                else tr("{text}, undone", text=self._text(row))
            )
        if role == Qt.ItemDataRole.SizeHintRole:
            return QSize(0, _ROW_PX)  # as wide as the list, in which a long name is shortened
        if role == Qt.ItemDataRole.FontRole and row == self._position:
            font = QFont(QGuiApplication.font())
            font.setBold(True)
            return font
        if role == Qt.ItemDataRole.ForegroundRole and row > self._position:
            return QGuiApplication.palette().color(QPalette.ColorRole.PlaceholderText)
        return None

    def _text(self, row: int) -> str:
        if row == 0:
            return tr("Beginning")
        entry = self._entries[row - 1]
        if not entry.frames:
            return tr(entry.label)
        return tr(
            "{label} · frame {frame}",
            "{label} · {count} frames",
            label=entry.label,
            frame=min(entry.frames),
            count=len(entry.frames),
        )

    def _follow(self) -> None:
        history = self._document.session.history
        new, position = history.entries, history.position
        old = self._entries
        kept = _common(old, new)
        if kept is None:
            self.beginResetModel()
            self._entries = new
            self.endResetModel()
        else:
            if kept < len(old):
                self.beginRemoveRows(QModelIndex(), kept + 1, len(old))
                self._entries = new[:kept]
                self.endRemoveRows()
            if kept < len(new):
                self.beginInsertRows(QModelIndex(), kept + 1, len(new))
                self._entries = new
                self.endInsertRows()
        if position == self._position and kept == len(old) == len(new):
            self.dataChanged.emit(self.index(position), self.index(position))  # a run goes on
            return
        first, last = sorted((self._position, position))
        self._position = position
        self.dataChanged.emit(self.index(min(first, len(new))), self.index(min(last, len(new))))
        self.position_changed.emit(position)


def _common(old: tuple[Entry, ...], new: tuple[Entry, ...]) -> int | None:
    """How many entries both begin with, where one changed only at its end; None elsewhere."""
    length = min(len(old), len(new))
    while length and old[length - 1] is not new[length - 1]:
        length -= 1
        if min(len(old), len(new)) - length > 64:
            return None
    if length and old[0] is not new[0]:
        return None  # the oldest were forgotten
    return length
