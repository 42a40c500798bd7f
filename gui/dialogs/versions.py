"""Named versions: a place to return to, beside the history."""

from typing import Final

from PySide6.QtCore import QDateTime, QLocale, QSize, Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QWidget,
)

from gui.dialogs.dialog import Dialog
from gui.language import tr
from gui.theme import lay_out, named, remark
from gui.work.annotator import Annotator
from gui.work.document import Document
from interaction.errors import UserError
from interaction.project.versions import Version

__all__ = ["VersionsDialog"]

_VersionRole: Final = Qt.ItemDataRole.UserRole


class VersionsDialog(Dialog):
    """Saves one and brings one back; bringing back is an edit that can be undone."""

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(tr("Named versions"), parent, QSize(540, 380))
        self._annotator = annotator
        self._session = document.session
        note = remark(
            tr("Everything is saved all the time. A named version is a place to return to."), self
        )
        self.name = QLineEdit(self)
        self.name.setPlaceholderText(tr("Name of the version"))
        self.name.setAccessibleName(self.name.placeholderText())
        self.save_button = QPushButton(tr("Save"), self)
        self.save_button.setDefault(True)
        self.save_button.clicked.connect(self.save)
        self.name.textChanged.connect(self._update)
        row = QHBoxLayout()
        lay_out(row, (self.name, 1), self.save_button)
        self.list = named(QListWidget(self), tr("Versions"))
        self.list.currentItemChanged.connect(self._update)
        self.status = QLabel(self)
        self.status.setTextFormat(Qt.TextFormat.PlainText)  # names may look like HTML
        self.status.setWordWrap(True)
        self.restore_button = self.add_button(tr("Bring back"), self.restore)
        self.restore_button.setToolTip(tr("Undo takes you back to what is there now"))
        self.lay_out(note, row, self.list, self.status)
        self.refresh()

    def refresh(self) -> None:
        self.list.clear()
        project = self._session.project
        for version in () if project is None else project.view.versions():
            item = QListWidgetItem(f"{version.name}    {_local_time(version.created)}")
            item.setData(_VersionRole, version)
            self.list.addItem(item)
        if not self.list.count():
            self.status.setText(tr("No version was saved yet."))
        self._update()

    def save(self) -> None:
        project = self._session.project
        if project is None:
            return
        try:
            version = project.save_version(self.name.text().strip())
        except UserError as error:
            self.status.setText(tr(str(error)))
            return
        self.name.clear()
        self.status.setText(tr("“{name}” is saved.", name=version.name))
        self.refresh()

    def chosen(self) -> Version | None:
        item = self.list.currentItem()
        return None if item is None else item.data(_VersionRole)

    def restore(self) -> None:
        project, version = self._session.project, self.chosen()
        if project is None or version is None:
            return
        try:
            edits = project.view.restoring(version, self._session.annotation)
        except UserError as error:
            self.status.setText(tr(str(error)))
            return
        if self._annotator.bulk.apply(edits):
            self.accept()
        else:
            self.status.setText(
                tr("Many frames are being changed. Wait until that is done, then go back.")
            )

    def _update(self) -> None:
        self.save_button.setEnabled(bool(self.name.text().strip()))
        self.restore_button.setEnabled(self.list.currentItem() is not None)


def _local_time(created: str) -> str:
    """created: ISO 8601, UTC. As people here write it; what is no date stays as it is."""
    moment = QDateTime.fromString(created, Qt.DateFormat.ISODateWithMs)
    if not moment.isValid():
        return created
    return QLocale().toString(moment.toLocalTime(), QLocale.FormatType.ShortFormat)
