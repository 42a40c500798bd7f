"""What the annotation has cost so far, by object."""

from typing import Final

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QFont, QGuiApplication
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from gui.dialogs.dialog import Dialog
from gui.language import tr
from gui.panels.object_table import swatch
from gui.theme import named, remark
from gui.timeline.scale import short_timecode
from gui.work.document import Document
from interaction.annotation.effort import IDLE_S, Effort

__all__ = ["EffortDialog"]

_FOLLOW_MS: Final = 500


class EffortDialog(Dialog):
    """Follows the work while it is open; the numbers can be copied into a spreadsheet."""

    def __init__(self, document: Document, parent: QWidget | None = None) -> None:
        super().__init__(tr("Effort"), parent, QSize(760, 320))
        self._document = document
        note = remark(
            tr(
                "Since the project began, undone work included. Pauses of more than {seconds} s "
                "are not work; while the program computes and you do nothing else, you wait.",
                seconds=round(IDLE_S),
            ),
            self,
        )
        self.table = named(QTableWidget(self), tr("Effort by object"))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        self._titles = {
            tr("Object"): "",
            tr("Clicks"): "",
            tr("Strokes"): tr("Drags of the brush, the scribble, the lasso and the box"),
            tr("Other steps"): tr("Confirming, clearing, cleaning up, objects, imports"),
            tr("Work"): tr("Minutes and seconds, between one step and the next"),
            tr("Waiting"): tr("Minutes and seconds, for answers and tracking"),
            tr("Frames"): tr("Frames that were changed by hand"),
            tr("Tracked"): tr("Frames that were given a mask by tracking"),
        }
        self.table.setColumnCount(len(self._titles))
        for column, (title, tip) in enumerate(self._titles.items()):
            item = QTableWidgetItem(title)
            item.setToolTip(tip)
            self.table.setHorizontalHeaderItem(column, item)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        nothing = tr("Nothing was done yet. Click on an object to begin.")
        self.empty = remark(nothing, self.table, wraps=False)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.copy_button = self.add_button(tr("Copy"), self.copy)
        self.copy_button.setToolTip(tr("Copy the table, to paste it into a spreadsheet"))
        self.lay_out(note, (self.table, 1), (self.empty, 1))
        self._following = QTimer(self, singleShot=True, interval=_FOLLOW_MS)
        self._following.timeout.connect(self.refresh)
        document.history_changed.connect(self._follow)
        self.refresh()

    def refresh(self) -> None:
        effort = self._document.session.ledger.effort.measure()
        names = {info.id: info for info in self._document.objects}
        rows = [(one, each) for one, each in effort.by_object.items() if one in names]
        is_empty = effort == Effort()
        self.table.setVisible(not is_empty)
        self.empty.setVisible(is_empty)
        self.copy_button.setEnabled(not is_empty)
        self.table.setRowCount(len(rows) + 1)
        for row, (one, each) in enumerate(rows):
            self._fill(row, names[one].name, each)
            name = self.table.item(row, 0)
            assert name is not None
            name.setIcon(swatch(names[one].color))
        self._fill(len(rows), tr("Everything"), effort)
        for column in range(self.table.columnCount()):
            item = self.table.item(len(rows), column)
            assert item is not None
            font = QFont(item.font())
            font.setBold(True)
            item.setFont(font)

    def copy(self) -> None:
        """The table as lines with tabs between."""
        lines = ["\t".join(self._titles)]
        for row in range(self.table.rowCount()):
            items = [self.table.item(row, column) for column in range(self.table.columnCount())]
            lines.append("\t".join("" if item is None else item.text() for item in items))
        QGuiApplication.clipboard().setText("\n".join(lines))

    def _fill(self, row: int, name: str, effort: Effort) -> None:
        texts = (
            name,
            str(effort.clicks),
            str(effort.strokes),
            str(effort.steps),
            short_timecode(effort.work_s),
            short_timecode(effort.waiting_s),
            str(len(effort.frames)),
            str(len(effort.tracked)),
        )
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            if column:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(row, column, item)

    def _follow(self) -> None:
        if not self._following.isActive():
            self._following.start()
