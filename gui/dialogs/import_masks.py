"""Masks come in: what was recognised, which object is which, what will happen, and a picture."""

import threading
from collections.abc import Generator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLocale, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui.dialogs.dialog import Dialog
from gui.dialogs.frame_preview import LONGEST_PX, FramePreview
from gui.dialogs.option_form import as_text
from gui.language import tr
from gui.panels.object_table import swatch
from gui.preferences import Preferences
from gui.theme import combo, guard_wheel, lay_out, named
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Kind, Operation
from interaction.annotation.types import FrameStatus
from interaction.errors import UserError
from interaction.formats.import_masks import planned_edits, planned_picture
from interaction.formats.import_plan import (
    ImportChoices,
    ImportedObject,
    ImportPlan,
    ImportPreview,
    plan_import,
    preview_import,
)

__all__ = ["ImportDialog"]

_LEFT_OUT: Final = 0


class ImportDialog(Dialog):
    """Looks first, and says what will happen; importing is one step of the history."""

    _looked_at = Signal(int, int)  # done, total; from the thread that looks

    def __init__(
        self,
        document: Document,
        annotator: Annotator,
        preferences: Preferences,
        parent: QWidget | None = None,
    ) -> None:
        cancel = QDialogButtonBox.StandardButton.Cancel
        super().__init__(tr("Import masks"), parent, QSize(1040, 640), cancel)
        self._document, self._annotator, self._preferences = document, annotator, preferences
        self._preview: ImportPreview | None = None
        self._plan: ImportPlan | None = None
        self._stop: threading.Event | None = None  # of what is being looked at
        self._next: Path | None = None  # to look at after that
        self._is_closed = False
        self._looked_at.connect(self._show_progress)
        self._build()

    def look(self, path: Path) -> None:
        """Recognises what is there; nothing is changed. What was being looked at is left."""
        self.path.setText(str(path))
        self._preview = self._plan = None
        self.report.setPlainText(tr("Reading…"))
        self.picture.show_message("")
        self._show_objects()
        if self._stop is not None:
            self._next = path
            self._stop.set()
            return
        video, annotation = self._document.video, self._document.annotation
        shown, first_number = self._document.frame, self.first_number.currentData()
        stop = threading.Event()
        found: list[ImportPreview] = []

        def report(done: int, total: int) -> None:
            if stop.is_set():
                raise CancelledError
            if done == total or done % max(1, total // 50) == 0:
                self._looked_at.emit(done, total)

        def steps() -> Generator[None, None, None]:
            preview = preview_import(
                path, video, annotation, shown=shown, first_number=first_number, on_progress=report
            )
            found.append(preview)
            yield

        def end(error: Exception | None) -> None:
            if stop.is_set():  # something else is being looked for by now
                found.clear()
                error = None
            self._end_look(found[0] if found else None, error)

        operation = Operation(Kind.FILE, steps, on_end=end, reports_errors=False)
        if self._annotator.operations.start(operation):
            self._stop = stop
        else:
            self.report.setPlainText(tr("Something is being written. Wait until it is done."))

    def _look_again(self) -> None:
        if self.path.text():
            self.look(Path(self.path.text()).expanduser())

    def _forget(self) -> None:
        """Another path is being typed: what was found at the last one is not to be imported."""
        self._preview = self._plan = self._next = None
        if self._stop is not None:
            self._stop.set()
        self.picture.show_message("")
        self._show_objects()
        self.report.setPlainText(tr("Press Enter to read what is there."))

    def start(self) -> None:
        """Imports as chosen, and closes: the window shows how far it is. What is chosen stays where
        something else changes many frames."""
        self.update_plan()
        if self._plan is None or self._plan.problem is not None:
            return
        if self._annotator.bulk.apply(planned_edits(self._plan)):
            self.accept()
        else:
            self.report.setPlainText(
                tr("Many frames are being changed. Wait until that is done, then import.")
            )

    def object_ids(self) -> dict[int, int]:
        """By the masks' object, the object of the project; 0: left out."""
        assert self._preview is not None
        boxes = [self.table.cellWidget(row, 2) for row in range(self.table.rowCount())]
        return {
            one.key: box.currentData()
            for one, box in zip(self._preview.objects, boxes, strict=True)
            if isinstance(box, QComboBox)
        }

    def update_plan(self) -> None:
        """Works out and shows what would happen, as chosen."""
        if self._preview is None:
            return
        choices = ImportChoices(
            object_ids=self.object_ids(),
            status=FrameStatus(self.status.currentData()),  # Qt gives back a plain text
            replaces_given=self.replaces_given.isChecked(),
            keeps_others=self.keeps_others.isChecked(),
            keeps_covered=self.keeps_covered.isEnabled() and self.keeps_covered.isChecked(),
            takes_empty=self.takes_empty.isChecked(),
        )
        plan = self._plan = plan_import(self._preview, self._document.annotation, choices)
        lines = [*self._preview.lines(), "", *plan.lines()]
        if plan.problem is not None:
            lines = [plan.problem, "", *lines]
        self.report.setPlainText(as_text(lines))
        self.import_button.setEnabled(plan.problem is None)
        self.picture.set_frames(self._preview.frames, self._document.frame)
        self._show_caption()
        self.picture.refresh()

    def _planned_picture(self, frame: int) -> NDArray[np.uint8]:
        """On the preview's thread, of the plan as it is then."""
        plan = self._plan
        if plan is None:
            raise LookupError("there is no plan yet")
        return planned_picture(plan, frame, self._document.video, LONGEST_PX)

    def done(self, result: int) -> None:
        self._is_closed = True
        self._next = None
        if self._stop is not None:
            self._stop.set()
            self._annotator.operations.cancel(Kind.FILE)
        self.picture.close_loader()
        super().done(result)

    def _show_progress(self, done: int, total: int) -> None:
        if self._stop is not None and not self._stop.is_set():
            text = tr("Reading… {done} %", done=100 * done // max(1, total))
            self.report.setPlainText(text)

    def _end_look(self, preview: ImportPreview | None, error: Exception | None) -> None:
        self._stop = None
        if self._is_closed:
            return
        if self._next is not None:
            path, self._next = self._next, None
            self.look(path)
        elif isinstance(error, UserError):
            self.report.setPlainText(tr(str(error)))
        elif isinstance(error, CancelledError):
            self.report.setPlainText(tr("Cancelled."))
        elif preview is not None:
            self._preview = preview
            self._show_objects()
            self.update_plan()

    def _show_caption(self) -> None:
        """What will become of the frame whose picture is shown."""
        plan, frame = self._plan, self.picture.frame
        if plan is None or frame is None:
            return
        outcome = plan.outcomes.get(frame)
        if outcome is None:
            words = tr("left alone, nothing of the objects is in the mask")
            if frame in plan.left_given:
                words = tr("left alone, as it was made or confirmed by hand")
            words = tr("{words} (this is the mask that was found)", words=words)
        else:
            words = {
                FrameStatus.CONFIRMED: tr("will be right and whole"),
                FrameStatus.CORRECTED: tr("will be right for what is imported"),
            }.get(outcome.status, tr("will be tracked, and may be replaced"))
        self.picture.caption.setText(tr("Frame {frame}: {words}", frame=frame, words=words))

    def _build(self) -> None:
        self.path = named(QLineEdit(self), tr("Where the masks are"))
        self.path.setPlaceholderText(tr("A folder of masks, or a file"))
        self.path.returnPressed.connect(self._look_again)
        self.path.textEdited.connect(self._forget)
        folder = QPushButton(tr("Folder…"), self)
        folder.clicked.connect(self._ask_folder)
        file = QPushButton(tr("File…"), self)
        file.clicked.connect(self._ask_file)
        where = QHBoxLayout()
        lay_out(where, (self.path, 1), folder, file)

        left = QWidget(self)
        self._build_choices()
        counting = QFormLayout()
        counting.addRow(tr("Numbers in file names"), self.first_number)
        counting.addRow(tr("The frames count as"), self.status)
        parts = ((self.report, 1), (self.table, 1), counting, *self._boxes)
        lay_out(QVBoxLayout(left), *parts, margins=(0, 0, 8, 0))
        title = tr("What a frame will look like")
        self.picture = FramePreview(self._planned_picture, title, self)
        self.picture.frame_changed.connect(self._show_caption)
        halves = QSplitter(Qt.Orientation.Horizontal, self)
        halves.addWidget(left)
        halves.addWidget(self.picture)
        halves.setStretchFactor(0, 1)
        halves.setStretchFactor(1, 1)
        halves.setChildrenCollapsible(False)
        halves.setSizes([500, 520])

        self.import_button = self.add_button(tr("Import"), self.start)
        self.import_button.setDefault(True)
        self.import_button.setEnabled(False)
        self.lay_out(where, (halves, 1))

    def _build_choices(self) -> None:
        self.report = named(QPlainTextEdit(self), tr("What was found, and what will happen"))
        self.report.setReadOnly(True)
        self.report.setPlainText(
            tr("Choose a folder of masks or a file; its contents are shown here.")
        )
        self.table = named(QTableWidget(0, 3, self), tr("Objects"))
        self.table.setHorizontalHeaderLabels([tr("In the masks"), tr("Frames"), tr("Becomes")])
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        statuses = {
            FrameStatus.CONFIRMED: tr("The masks are right"),
            FrameStatus.TRACKED: tr("The masks are tracked: may be replaced"),
        }
        self.status = named(combo(statuses, self), tr("The frames count as"))
        self.status.currentIndexChanged.connect(self.update_plan)
        first_numbers = {
            None: tr("As they fit the video"),
            0: tr("The first frame is 0"),
            1: tr("The first frame is 1"),
        }
        self.first_number = named(combo(first_numbers, self), tr("Numbers in file names"))
        self.first_number.currentIndexChanged.connect(self._look_again)
        guard_wheel(self.status, self.first_number)
        self.keeps_others = QCheckBox(tr("Other objects keep their pixels"), self)
        self.keeps_others.setChecked(True)
        self.keeps_covered = QCheckBox(tr("Keep what is covered where objects overlap"), self)
        self.keeps_covered.setToolTip(
            tr("They keep what others cover of them, from now on; otherwise it is lost")
        )
        self.takes_empty = QCheckBox(
            tr("Also take empty masks: the objects are not on those frames"), self
        )
        self.replaces_given = QCheckBox(
            tr("Also replace masks that were made or confirmed by hand"), self
        )
        self._boxes = self.keeps_others, self.keeps_covered, self.takes_empty, self.replaces_given
        for box in self._boxes:
            box.toggled.connect(self.update_plan)

    def _ask_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(
            self, tr("Folder of masks"), self._preferences.last_folder
        )
        if path:
            self._choose(Path(path))

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self,
            tr("File of masks"),
            self._preferences.last_folder,
            tr("Masks") + " (*.png *.bmp *.tif *.tiff *.json *.xml *.txt);;" + tr("All files (*)"),
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
            name = QTableWidgetItem(one.name or tr("Object {key}", key=one.key))
            name.setFlags(Qt.ItemFlag.ItemIsEnabled)
            if one.color is not None:
                name.setIcon(swatch(one.color))
            frames = QTableWidgetItem(QLocale().toString(one.frame_count))
            frames.setFlags(Qt.ItemFlag.ItemIsEnabled)
            frames.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(row, 0, name)
            self.table.setItem(row, 1, frames)
            self.table.setCellWidget(row, 2, self._choice(one))
        self.import_button.setEnabled(False)
        given = () if preview is None else preview.given_conflicts
        self.replaces_given.setEnabled(bool(given))
        empty = () if preview is None else [f for f in preview.frames if not preview.present[f]]
        self.keeps_covered.setEnabled(preview is not None and bool(preview.covered))
        self.takes_empty.setEnabled(bool(empty) or len(objects) > 1)

    def _choice(self, one: ImportedObject) -> QComboBox:
        """Which object it becomes: one that is there, a new one, or none."""
        titles = {}
        for other in self._document.objects:
            text = f"{other.id}  {other.name}"
            titles[other.id] = tr("{text} (locked)", text=text) if other.is_locked else text
        if one.object_id:
            new = tr("{object_id}  a new object", object_id=one.object_id)
            titles.setdefault(one.object_id, new)
        titles[_LEFT_OUT] = tr("left out")
        box = named(combo(titles, self.table), tr("Becomes"))
        box.setCurrentIndex(box.findData(one.object_id))
        box.currentIndexChanged.connect(self.update_plan)
        guard_wheel(box)
        return box
