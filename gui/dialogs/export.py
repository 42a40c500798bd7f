"""The export dialog: format, options, gaps, preview and progress."""

from collections.abc import Generator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QSplitter,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui.dialogs.dialog import Dialog
from gui.dialogs.frame_preview import LONGEST_PX, FramePreview
from gui.dialogs.option_form import OptionForm, align_labels, as_text
from gui.language import tr
from gui.preferences import Preferences
from gui.theme import guard_wheel, lay_out, named, remark
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Kind, Operation
from interaction.errors import UserError
from interaction.files import is_folder
from interaction.formats.export import (
    FORMATS,
    ExportProgress,
    ExportReport,
    ExportSettings,
    check_export,
    export,
    export_pictures,
)
from interaction.formats.format import ExportFormat, ExportSource, FormatGroup
from interaction.video.video import Video
from xmem_core.messages import Message

__all__ = ["ExportDialog", "ExportPicture"]


class ExportPicture(QWidget):
    """A frame may become several files: one of them is shown."""

    def __init__(self, video: Video, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._video = video
        # Read on the preview's thread as they are then.
        self._source: ExportSource | None = None
        self._settings: ExportSettings | None = None
        self._chosen = 0  # of the frame's files
        self._names: tuple[str, ...] = ()  # of the files of the newest picture
        self.preview = FramePreview(self._make_picture, tr("What a frame will look like"), self)
        self.preview.shown.connect(self._show_names)
        self.files = named(QComboBox(self), tr("File of the preview"))
        self.files.setToolTip(tr("Which of a frame’s files is shown"))
        self.files.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.files.setMinimumContentsLength(20)
        guard_wheel(self.files)
        self.files.currentIndexChanged.connect(self._choose_file)
        files = QHBoxLayout()
        lay_out(files, self.files, margins=(8, 0, 0, 0))
        lay_out(QVBoxLayout(self), files, (self.preview, 1))
        self.show_nothing()

    def show_export(
        self, source: ExportSource, settings: ExportSettings, frames: Sequence[int], first: int
    ) -> None:
        """What would be written. frames: of the export; first: which is to be seen first."""
        if FORMATS[settings.format].pictures is None:
            self.show_nothing(tr("This format holds numbers: there is nothing to look at."))
            return
        old = self._settings
        if old is None or old.format != settings.format:
            self.files.setCurrentIndex(0)
        self._source, self._settings = source, settings
        self.preview.set_frames(frames, first)
        self.preview.refresh()

    def show_nothing(self, why: str = "") -> None:
        self._set_names(())
        self.preview.show_message(why)

    def close_loader(self) -> None:
        self.preview.close_loader()

    def _show_names(self, frame: int) -> None:
        self._set_names(self._names)
        self.preview.caption.setText(tr("Frame {frame}", frame=frame))

    def _set_names(self, names: tuple[str, ...]) -> None:
        if names != tuple(self.files.itemText(row) for row in range(self.files.count())):
            chosen = max(0, min(self.files.currentIndex(), len(names) - 1))
            with QSignalBlocker(self.files):
                self.files.clear()
                self.files.addItems(names)
                self.files.setCurrentIndex(chosen)
            self._chosen = chosen
        self.files.setToolTip(self.files.currentText())
        self.files.setEnabled(len(names) > 1)

    def _choose_file(self, row: int) -> None:
        self._chosen = max(0, row)
        self.preview.refresh()

    def _make_picture(self, frame: int) -> NDArray[np.uint8]:
        source, settings = self._source, self._settings
        if source is None or settings is None:
            raise LookupError("nothing is chosen yet")
        pictures = export_pictures(source, settings, frame, self._video, LONGEST_PX)
        self._names = tuple(one.name for one in pictures)
        return pictures[min(self._chosen, len(pictures) - 1)].picture


_NameRole: Final = Qt.ItemDataRole.UserRole
_CHECK_AFTER_MS: Final = 150
_OBJECTS_SEEN: Final = 6


class ExportDialog(Dialog):
    """Stays open while it exports; closing it then cancels, and nothing half done is left."""

    def __init__(
        self,
        document: Document,
        annotator: Annotator,
        preferences: Preferences,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(tr("Export"), parent, QSize(1120, 660))
        self._document, self._annotator, self._preferences = document, annotator, preferences
        self._form: OptionForm | None = None
        self._is_running = False
        self._report: ExportReport | None = None
        self._checking = QTimer(self, singleShot=True, interval=_CHECK_AFTER_MS)
        self._checking.timeout.connect(self.check)
        self._build()
        self.choose(next(iter(FORMATS)))

    # What is chosen

    def choose(self, name: str) -> None:
        """A format, by its name in the table."""
        self.formats.setCurrentItem(self.item_of(name))

    def item_of(self, name: str) -> QTreeWidgetItem:
        """The line of a format in the list."""
        return self._items[name]

    @property
    def format(self) -> ExportFormat:
        item = self.formats.currentItem()
        assert item is not None  # groups cannot be chosen
        return FORMATS[item.data(0, _NameRole)]

    def settings(self) -> ExportSettings:
        """As chosen. ValueError where a setting makes no sense."""
        assert self._form is not None  # a format is always chosen
        items = [self.objects.item(row) for row in range(self.objects.count())]
        chosen = [i for i in items if i.checkState() == Qt.CheckState.Checked]
        every = len(chosen) == len(items)
        return ExportSettings(
            format=self.format.name,
            target=Path(self.target.text()).expanduser(),
            options=self._form.options(),
            objects=None if every else frozenset(item.data(_NameRole) for item in chosen),
            first=self.first.value(),
            last=self.last.value(),
            step=self.step.value(),
            overwrites=self.overwrites.isChecked(),
            has_covered=self.covered.isChecked(),
            has_hashes=self.hashes.isChecked(),
        )

    def check(self) -> None:
        """The dry run, in words."""
        if self._is_running:
            return
        problem, lines, count = None, [], 0
        try:
            source, settings = self._source(), self.settings()
            preview = check_export(source, settings)
            problem, lines, count = preview.problem, preview.lines(), len(preview.frames)
            self.picture.show_export(source, settings, preview.frames, self._document.frame)
        except (UserError, ValueError) as error:
            problem = tr(str(error))
            self.picture.show_nothing()
        if not self.target.text().strip():
            problem = tr("Choose where to export to.")
        will = Message(
            "{count} frame will be exported.", "{count} frames will be exported.", count=count
        )
        self.preview.setPlainText(as_text([problem or will, *lines]))
        self.export_button.setEnabled(problem is None)

    def _source(self) -> ExportSource:
        session = self._document.session
        protects = () if session.project is None else (session.project.folder,)
        return ExportSource.of(session.annotation, session.video, protects=protects)

    # Doing it

    def start(self) -> None:
        settings = self.settings()
        source = self._source()
        self._report = None

        def steps() -> Generator[ExportProgress, None, None]:
            self._report = yield from export(source, settings)

        self._show_running(True)
        self.bar.setRange(0, 0)
        operation = Operation(
            Kind.FILE, steps, self._show_progress, self._end, reports_errors=False
        )
        if not self._annotator.operations.start(operation):
            self._show_running(False)
            self.status.setText(tr("Something else is being written. Wait until it is done."))

    def _show_progress(self, step: ExportProgress) -> None:
        self.bar.setRange(0, step.total)
        self.bar.setValue(step.done)
        self.status.setText(tr("{done} of {total} frames", done=step.done, total=step.total))

    def _end(self, error: Exception | None) -> None:
        self._show_running(False)
        if isinstance(error, CancelledError):
            self.status.setText(tr("Cancelled. Nothing was left behind."))
        elif error is not None:
            self.status.setText(tr(str(error)))
            if not isinstance(error, UserError):
                self._document.failed.emit(error)
        elif self._report is not None:
            lines = [
                tr(
                    "Done: {count} frame in {target}.",
                    "Done: {count} frames in {target}.",
                    count=self._report.frame_count,
                    target=self._report.target,
                ),
                *map(tr, self._report.notices),
            ]
            self.status.setText("\n".join(lines))
            self.show_button.setVisible(True)
            self.check()  # what is there now is in the way of exporting it again

    def _show_running(self, is_running: bool) -> None:
        self._is_running = is_running
        self.bar.setVisible(is_running)
        self.show_button.setVisible(False)
        self.choices.setEnabled(not is_running)
        self.export_button.setEnabled(not is_running)
        self.close_button.setText(tr("Cancel") if is_running else tr("Close"))

    def reject(self) -> None:
        if self._is_running:
            self._annotator.operations.cancel(Kind.FILE)
            return
        super().reject()

    def done(self, result: int) -> None:
        self.picture.close_loader()
        super().done(result)

    # Looks

    def _build(self) -> None:
        self._make_formats()
        self._make_objects()
        self._make_fields()
        self.choices = QSplitter(Qt.Orientation.Horizontal, self)
        self.picture = ExportPicture(self._document.video, self)
        for part in (self.formats, self._settings_column(), self.picture):
            self.choices.addWidget(part)
        self.choices.setStretchFactor(1, 1)
        self.choices.setStretchFactor(2, 1)
        self.choices.setChildrenCollapsible(False)
        self.choices.setSizes([210, 450, 440])
        self.bar = named(QProgressBar(self), tr("Progress of the export"))
        self.bar.hide()
        self.status = QLabel(self)
        self.status.setTextFormat(Qt.TextFormat.PlainText)  # names may look like HTML
        self.status.setWordWrap(True)
        self.show_button = QPushButton(tr("Show in folder"), self)
        self.show_button.clicked.connect(self._show_result)
        self.show_button.hide()
        self.export_button = self.add_button(tr("Export"), self.start)
        self.export_button.setDefault(True)
        self.close_button = self.buttons.button(QDialogButtonBox.StandardButton.Close)
        last_row = QHBoxLayout()
        lay_out(last_row, (self.status, 1), self.show_button)
        self.lay_out((self.choices, 1), self.bar, last_row)

    def _make_formats(self) -> None:
        self.formats = named(QTreeWidget(self), tr("Format"))
        self.formats.setHeaderHidden(True)
        self.formats.setIndentation(12)
        self._items: dict[str, QTreeWidgetItem] = {}
        for group in FormatGroup:
            top = QTreeWidgetItem([tr(group.value)])
            top.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.formats.addTopLevelItem(top)
            for kind in (kind for kind in FORMATS.values() if kind.group is group):
                leaf = QTreeWidgetItem([tr(kind.title)])
                leaf.setToolTip(0, tr(kind.description))
                leaf.setData(0, _NameRole, kind.name)
                top.addChild(leaf)
                self._items[kind.name] = leaf
            top.setExpanded(True)
            top.setHidden(top.childCount() == 0)
        self.formats.currentItemChanged.connect(self._show_format)

    def _make_objects(self) -> None:
        self.objects = named(QListWidget(self), tr("Objects"))
        for one in self._document.objects:
            item = QListWidgetItem(f"{one.id}  {one.name}")
            item.setData(_NameRole, one.id)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked)
            self.objects.addItem(item)
        rows = max(2, min(len(self._document.objects), _OBJECTS_SEEN))
        frame_px = 2 * self.objects.frameWidth()
        row_px = max(self.objects.sizeHintForRow(0), self.fontMetrics().height())
        self.objects.setFixedHeight(rows * row_px + frame_px)
        self.objects.itemChanged.connect(self._check_soon)

    def _make_fields(self) -> None:
        final = self._document.frame_count - 1
        self.first = self._number(tr("First frame"), 0, final, self._document.range_in or 0)
        out = self._document.range_out
        self.last = self._number(tr("Last frame"), 0, final, final if out is None else out)
        self.step = self._number(tr("Frame step"), 1, max(1, final), 1)
        self.target = named(QLineEdit(self), tr("Where to"))
        self.target.textChanged.connect(self.target.setToolTip)  # a long one is cut off
        self.target.textChanged.connect(self._check_soon)
        self.overwrites = QCheckBox(tr("Replace files of the same names"), self)
        self.overwrites.toggled.connect(self._check_soon)
        self.hashes = QCheckBox(tr("Hash of each picture in frames.csv"), self)
        self.hashes.setChecked(True)
        self.hashes.setToolTip(
            tr("Whether the export belongs to a video can be verified later; takes longer")
        )
        self.covered = QCheckBox(tr("Also covered pixels"), self)
        self.covered.setChecked(True)
        self.covered.setToolTip(
            tr("What others cover of an object, in formats that hold objects one by one")
        )
        self.covered.toggled.connect(self._check_soon)
        annotation = self._document.annotation
        self.covered.setVisible(any(record.covered for record in annotation.records.values()))

    def _settings_column(self) -> QWidget:
        """Everything about the chosen format."""
        frames = QHBoxLayout()
        to, every = QLabel(tr("to"), self), QLabel(tr("every"), self)
        lay_out(frames, self.first, to, self.last, every, self.step, 1)
        browse = QPushButton(tr("Choose…"), self)
        browse.clicked.connect(self._ask_target)
        where = QHBoxLayout()
        lay_out(where, (self.target, 1), browse)
        form = self._common = QFormLayout()
        form.addRow(tr("Objects"), self.objects)
        form.addRow(tr("Frames"), frames)
        form.addRow(tr("Where to"), where)
        form.addRow("", self.overwrites)
        form.addRow("", self.covered)
        form.addRow("", self.hashes)
        self.description = remark("", self)
        self._form_place = QVBoxLayout()
        self.preview = named(QPlainTextEdit(self), tr("What will be exported"))
        self.preview.setReadOnly(True)
        self.preview.setMinimumHeight(70)
        page = QWidget(self)
        parts = (self.description, self._form_place, form, (self.preview, 1))
        lay_out(QVBoxLayout(page), *parts, margins=(8, 0, 0, 0))
        return page

    def _number(self, name: str, least: int, most: int, value: int) -> QSpinBox:
        box = QSpinBox(self)
        box.setRange(least, most)
        box.setValue(value)
        box.setAccessibleName(name)
        box.setToolTip(name)
        guard_wheel(box)
        box.valueChanged.connect(self._check_soon)
        return box

    def _show_format(self) -> None:
        kind = self.format
        self.description.setText(tr(kind.description))
        if self._form is not None:
            self._form_place.removeWidget(self._form)
            self._form.hide()  # until it is really gone it would lie over the new one
            self._form.deleteLater()
        document = self._document
        shown = {  # what is in sight is what an export of it begins with
            "view": document.view_mode.value.replace(" ", "-"),
            "opacity": document.opacity,
            "outline_px": document.outline_px,
            "layer": document.layer,
        }
        self._form = OptionForm(kind.options, self, values=shown)
        self._form.changed.connect(self._check_soon)
        self._form_place.addWidget(self._form)
        align_labels(self._form.rows, self._common)
        name = self._document.video.path.stem
        self.target.setText(
            str(Path(self._preferences.last_folder) / f"{name}-{kind.name}{kind.suffix}")
        )
        self.check()

    def _check_soon(self, *_: object) -> None:
        self._checking.start()

    def _ask_target(self) -> None:
        if self.format.is_folder:
            path = QFileDialog.getExistingDirectory(self, tr("Export to"), self.target.text())
        else:
            path, _ = QFileDialog.getSaveFileName(self, tr("Export to"), self.target.text())
        if path:
            self.target.setText(path)
            self._preferences.last_folder = str(Path(path).parent)

    def _show_result(self) -> None:
        if self._report is not None:
            folder = self._report.target
            folder = folder if is_folder(folder) else folder.parent
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
