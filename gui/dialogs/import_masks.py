"""Masks come in: what was recognised, which object is which, what is in the way."""

from collections.abc import Generator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui.annotator import Annotator
from gui.document import Document
from gui.preferences import Preferences
from interaction.errors import UserError
from interaction.project.importers import (
    ImportedObject,
    ImportPreview,
    import_masks,
    preview_import,
)
from interaction.types import FrameStatus

__all__ = ["ImportDialog"]

_LEFT_OUT: Final = 0


class ImportDialog(QDialog):
    """Looks first; importing is one step of the history."""

    def __init__(
        self,
        document: Document,
        annotator: Annotator,
        preferences: Preferences,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Import masks"))
        self.resize(700, 560)
        self._document, self._annotator, self._preferences = document, annotator, preferences
        self._preview: ImportPreview | None = None
        self._is_looking = False
        self._build()

    def look(self, path: Path) -> None:
        """Recognises what is there; nothing is changed."""
        self.path.setText(str(path))
        self._preview = None
        self.report.setPlainText(self.tr("Looking…"))
        self._show_objects()
        video, annotation = self._document.video, self._document.annotation
        found: list[ImportPreview] = []

        def steps() -> Generator[None, None, None]:
            found.append(preview_import(path, video, annotation))
            yield

        def end(error: Exception | None) -> None:
            self._is_looking = False
            if isinstance(error, UserError):
                self.report.setPlainText(str(error))
            elif isinstance(error, CancelledError):
                self.report.setPlainText(self.tr("Cancelled."))
            elif found:
                self._preview = found[0]
                self.report.setPlainText("\n".join(found[0].lines()))
            self._show_objects()

        self._is_looking = self._annotator.do_file_work(
            steps, lambda _: None, end, tells_errors=False
        )
        if not self._is_looking:
            self.report.setPlainText(self.tr("Something is being written. Wait until it is done."))

    def start(self) -> None:
        """Imports as chosen, and closes: the window shows how far it is."""
        preview = self._preview
        if preview is None:
            return
        try:
            edits = import_masks(
                preview,
                self._document.annotation,
                object_ids=self.object_ids(),
                status=FrameStatus(self.status.currentData()),  # Qt gives back a plain text
                replaces_given=self.replaces_given.isChecked(),
                keeps_others=self.keeps_others.isChecked(),
            )
        except UserError as error:
            self.report.setPlainText(str(error))
            return
        self._annotator.import_edits(edits)
        self.accept()

    def object_ids(self) -> dict[int, int]:
        """By the masks' object, the object of the project; 0: left out."""
        assert self._preview is not None
        boxes = [self.table.cellWidget(row, 2) for row in range(self.table.rowCount())]
        return {
            one.key: box.currentData()
            for one, box in zip(self._preview.objects, boxes, strict=True)
            if isinstance(box, QComboBox)
        }

    def reject(self) -> None:
        if self._is_looking:
            self._annotator.cancel_file_work()
        super().reject()

    def _build(self) -> None:
        self.path = QLineEdit(self)
        self.path.setPlaceholderText(self.tr("A folder of masks, or a file"))
        self.path.setAccessibleName(self.tr("Where the masks are"))
        self.path.returnPressed.connect(lambda: self.look(Path(self.path.text())))
        folder = QPushButton(self.tr("Folder…"), self)
        folder.clicked.connect(self._ask_folder)
        file = QPushButton(self.tr("File…"), self)
        file.clicked.connect(self._ask_file)
        where = QHBoxLayout()
        where.addWidget(self.path, 1)
        where.addWidget(folder)
        where.addWidget(file)

        self.report = QPlainTextEdit(self)
        self.report.setReadOnly(True)
        self.report.setAccessibleName(self.tr("What was found"))
        self.report.setPlainText(
            self.tr("Choose a folder of masks or a file; you will see here what is in it.")
        )
        self.table = QTableWidget(0, 3, self)
        self.table.setAccessibleName(self.tr("Objects"))
        self.table.setHorizontalHeaderLabels(
            [self.tr("In the masks"), self.tr("Frames"), self.tr("Becomes")]
        )
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.status = QComboBox(self)
        self.status.setAccessibleName(self.tr("The frames count as"))
        self.status.addItem(self.tr("right and whole (confirmed)"), FrameStatus.CONFIRMED)
        self.status.addItem(self.tr("tracked: may be replaced"), FrameStatus.TRACKED)
        self.keeps_others = QCheckBox(self.tr("Other objects keep their pixels"), self)
        self.keeps_others.setChecked(True)
        self.replaces_given = QCheckBox(
            self.tr("Also replace masks that were made or confirmed by hand"), self
        )
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        self.import_button = buttons.addButton(
            self.tr("Import"), QDialogButtonBox.ButtonRole.ActionRole
        )
        self.import_button.setDefault(True)
        self.import_button.setEnabled(False)
        self.import_button.clicked.connect(self.start)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addLayout(where)
        column.addWidget(self.report, 1)
        column.addWidget(self.table, 1)
        for part in (self.status, self.keeps_others, self.replaces_given, buttons):
            column.addWidget(part)

    def _ask_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(
            self, self.tr("Folder of masks"), self._preferences.last_folder
        )
        if path:
            self._choose(Path(path))

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self,
            self.tr("File of masks"),
            self._preferences.last_folder,
            self.tr("Masks") + " (*.png *.bmp *.tif *.tiff *.json);;" + self.tr("All files (*)"),
        )
        if path:
            self._choose(Path(path))

    def _choose(self, path: Path) -> None:
        self._preferences.last_folder = str(path.parent)
        self.look(path)

    def _show_objects(self) -> None:
        preview = self._preview
        objects = () if preview is None else preview.objects
        self.table.setRowCount(len(objects))
        for row, one in enumerate(objects):
            name = QTableWidgetItem(one.name or self.tr("Object {}").format(one.key))
            name.setFlags(Qt.ItemFlag.ItemIsEnabled)
            if one.color is not None:
                name.setIcon(_swatch(one.color))
            frames = QTableWidgetItem(f"{one.frame_count:,}")
            frames.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.table.setItem(row, 0, name)
            self.table.setItem(row, 1, frames)
            self.table.setCellWidget(row, 2, self._choice(one))
        self.import_button.setEnabled(bool(objects))
        given = () if preview is None else preview.given_conflicts
        self.replaces_given.setEnabled(bool(given))

    def _choice(self, one: ImportedObject) -> QComboBox:
        """Which object it becomes: one that is there, a new one, or none."""
        box = QComboBox(self.table)
        box.setAccessibleName(self.tr("Becomes"))
        known: dict[int, Any] = {other.id: other.name for other in self._document.objects}
        for object_id, name in known.items():
            box.addItem(f"{object_id}  {name}", object_id)
        if one.object_id and one.object_id not in known:
            box.addItem(self.tr("{}  a new object").format(one.object_id), one.object_id)
        box.addItem(self.tr("left out"), _LEFT_OUT)
        box.setCurrentIndex(box.findData(one.object_id))
        return box


def _swatch(color: tuple[int, int, int]) -> QIcon:
    picture = QPixmap(14, 14)
    picture.fill(QColor(*color))
    return QIcon(picture)
