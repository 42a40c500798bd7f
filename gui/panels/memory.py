"""What the tracker remembers: how full its memories are, and the frames it never forgets."""

from typing import Final

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QIcon, QKeyEvent, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import (
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListView,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.language import tr
from gui.theme import ACCENT, guard_wheel, icon
from gui.timeline.frame_table import FrameTable
from gui.timeline.thumbnails import Thumbnails
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Progress
from interaction.annotation.requests import MemoryUse
from interaction.annotation.types import FrameStatus
from interaction.engines import MEMORY_LIMITS
from xmem_core.messages import Message

__all__ = ["MemoryPanel"]

_THUMBNAIL_PX: Final = 36
_GIB: Final = 2**30
_DELETE: Final = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
_WAYS: Final = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End)

Index = QModelIndex | QPersistentModelIndex
_ROOT: Final = QModelIndex()


def _is_modified(event: QKeyEvent) -> bool:
    """Whether a key is held with it; the keypad's flag does not count."""
    return bool(event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier)


class MemoryPanel(QWidget):
    """Gauges of the last propagation, the limits of the tracker's memory, and the given frames to
    look at and take out."""

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._thumbnails = Thumbnails.of(document)
        self.setAccessibleName(tr("Memory"))
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 10, 6)
        column.setSpacing(4)
        self.use = MemoryGauges(document, self)
        column.addWidget(self.use)
        self.limits = MemoryLimits(document, annotator, self)
        column.addWidget(self.limits)
        column.addLayout(self._title_row())
        self.frames = GivenFrames(document, self)
        self.view = self._make_view()
        column.addWidget(self.view, 1)
        self.empty = QLabel(tr("Frames that you correct or confirm are remembered for ever."), self)
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.empty.setForegroundRole(self.palette().ColorRole.PlaceholderText)
        column.addWidget(self.empty, 1)

        annotator.operations.progressed.connect(self._show_progress)
        self.frames.modelReset.connect(self._show_frames)
        document.frame_changed.connect(self._show_current)
        self._show_frames()

    def shutdown(self) -> None:
        """Ends the thread that makes thumbnails."""
        self._thumbnails.close()

    def _title_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        self.title = QLabel(self)
        self.title.setForegroundRole(self.palette().ColorRole.PlaceholderText)
        row.addWidget(self.title, 1)
        self.remove = QToolButton(self)
        self.remove.setIcon(icon("x"))
        self.remove.setIconSize(QSize(16, 16))
        self.remove.setAutoRaise(True)
        self.remove.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.remove.setToolTip(tr("Forget this frame (Delete): its mask stays, as tracked"))
        self.remove.setAccessibleName(tr("Forget the selected frame"))
        self.remove.clicked.connect(self._remove)
        row.addWidget(self.remove)
        return row

    def _make_view(self) -> QListView:
        view = QListView(self)
        view.setModel(self.frames)
        view.setAccessibleName(tr("Frames that are remembered for ever"))
        view.setViewMode(QListView.ViewMode.IconMode)
        view.setMovement(QListView.Movement.Static)
        view.setResizeMode(QListView.ResizeMode.Adjust)
        view.setUniformItemSizes(True)
        view.setMinimumHeight(32)  # the picture needs the room more
        view.setFrameShape(QListView.Shape.NoFrame)
        width = min(
            96, max(32, self._thumbnails.width_px * _THUMBNAIL_PX // self._thumbnails.height_px)
        )
        view.setIconSize(QSize(width, _THUMBNAIL_PX))
        view.setGridSize(QSize(width + 10, _THUMBNAIL_PX + 22))
        view.setSelectionMode(QListView.SelectionMode.SingleSelection)
        view.clicked.connect(self._go)
        view.activated.connect(self._go)
        view.selectionModel().selectionChanged.connect(self._show_button)
        view.installEventFilter(self)
        return view

    def _go(self, index: QModelIndex) -> None:
        self._document.set_frame(self.frames.frame_at(index.row()))

    def _remove(self) -> None:
        rows = self.view.selectionModel().selectedIndexes()
        if rows:
            self._annotator.hand.unconfirm(self.frames.frame_at(rows[0].row()))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Delete and the arrows are this list's while it has the focus, and not the window's."""
        if watched is self.view and isinstance(event, QKeyEvent) and not _is_modified(event):
            key = Qt.Key(event.key())
            if event.type() == QEvent.Type.ShortcutOverride and key in (*_DELETE, *_WAYS):
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress and key in _DELETE:
                self._remove()
                return True
        return super().eventFilter(watched, event)

    # What is shown

    def _show_frames(self) -> None:
        count = self.frames.rowCount()
        self.view.setVisible(count > 0)
        self.empty.setVisible(count == 0)
        self.title.setText(
            tr("One frame kept for ever", "{count} frames kept for ever", count=count)
        )
        self.title.setVisible(count > 0)
        self.remove.setVisible(count > 0)
        self._show_current(self._document.frame)

    def _show_current(self, frame: int) -> None:
        """The current frame is the selected one, if it is among them."""
        row = self.frames.row_of(frame)
        if row is None:
            self.view.clearSelection()
        else:
            self.view.setCurrentIndex(self.frames.index(row))
        self._show_button()

    def _show_button(self, *_: object) -> None:
        has_one = bool(self.view.selectionModel().selectedIndexes())
        self.remove.setEnabled(has_one and not self._document.session.ledger.is_read_only)

    def _show_progress(self, progress: Progress) -> None:
        if isinstance(progress.memory, MemoryUse):
            self.use.show_use(progress.memory)


class MemoryGauges(QWidget):
    """How full the memories are."""

    def __init__(self, document: Document, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document = document
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(3)
        self.gauges: dict[str, _Gauge] = {}
        self.figures: dict[str, QLabel] = {}
        for row, (name, text, tip) in enumerate(
            (
                ("working", tr("Working"), tr("The last frames, in full")),
                (
                    "long_term",
                    tr("Long-term"),
                    tr("What was distilled from them, the most used kept"),
                ),
                ("permanent", tr("Permanent"), tr("Frames you corrected or confirmed")),
                ("device", tr("Device"), tr("Memory this program uses on the device")),
            )
        ):
            label = QLabel(text, self)
            gauge = _Gauge(self)
            figure = QLabel(self)
            figure.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for widget in (label, gauge, figure):
                widget.setToolTip(tip)
            gauge.setAccessibleName(text)
            figure.setAccessibleName(text)
            self.gauges[name], self.figures[name] = gauge, figure
            grid.addWidget(label, row, 0)
            grid.addWidget(gauge, row, 1)
            grid.addWidget(figure, row, 2)
        grid.setColumnStretch(1, 1)
        self.show_use(None)

    def show_use(self, use: MemoryUse | None) -> None:
        """use: None before anything was tracked."""
        if use is None:
            for name, figure in self.figures.items():
                figure.setText("–")
                self.gauges[name].show_share(None)
            return
        settings = self._document.session.engines.settings
        elements = max(1, use.permanent + use.working + use.long_term)
        for name, count in (("working", use.working), ("permanent", use.permanent)):
            self.figures[name].setText(QLocale().toString(count))
            self.gauges[name].show_share(count / elements)
        most = settings.memory.max_long_term
        self.figures["long_term"].setText(QLocale().toString(use.long_term))
        self.gauges["long_term"].show_share(use.long_term / most)
        self.gauges["long_term"].setToolTip(tr("At most {size}", size=most))
        self.figures["device"].setText(_gibibytes(use.device_bytes))
        self.gauges["device"].show_share(None)


_STEPS: Final = {"max_long_term": 1_000, "prototypes": 32}


class MemoryLimits(QWidget):
    """The limits of the tracker's memory, folded away until they are asked for.

    A change holds from the next frame on, also of a propagation that runs, and for this project.
    """

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document = document
        self.fold = QToolButton(self)
        self.fold.setText(tr("Limits"))
        self.fold.setToolTip(
            tr("What the tracker may remember, for this project, from the next frame on")
        )
        self.fold.setAccessibleName(tr("Limits of the tracker's memory"))
        self.fold.setCheckable(True)
        self.fold.setAutoRaise(True)
        self.fold.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.toggled.connect(self._unfold)
        self.rows = QWidget(self)
        self.boxes: dict[str, QSpinBox] = {}
        form = QFormLayout(self.rows)
        form.setContentsMargins(18, 0, 0, 4)
        form.setVerticalSpacing(2)
        for name, title, tip in self._texts():
            form.addRow(title, self._box(name, title, tip))
        self.reset = QPushButton(tr("Reset to default"), self.rows)
        self.reset.setToolTip(tr("The limits that the preferences and the program say"))
        self.reset.clicked.connect(lambda: document.set_memory_limits({}))
        form.addRow(self.reset)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.fold, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.rows)
        document.memory_limits_changed.connect(self._show)
        annotator.operations.changed.connect(self._show)  # the preferences may have changed
        self._unfold(False)

    def _texts(self) -> tuple[tuple[str, str, str], ...]:
        """Name, title and what it does, in the order of the rows."""
        return (
            (
                "memorize_every",
                tr("Memorise every"),
                tr(
                    "Frames between two that working memory takes in. Fewer: follows changes "
                    "better, takes more time. Other projects: see the preferences."
                ),
            ),
            (
                "top_k",
                tr("Top k"),
                tr(
                    "Memory elements that each place of the picture looks at. More: smoother, "
                    "and look-alikes are mixed up more easily."
                ),
            ),
            (
                "min_working_frames",
                tr("Working, least"),
                tr("Frames that stay in working memory when the rest is distilled"),
            ),
            (
                "max_working_frames",
                tr("Working, most"),
                tr(
                    "Working memory is distilled on reaching so many frames. More: more exact, "
                    "slower, needs more memory."
                ),
            ),
            (
                "prototypes",
                tr("Prototypes"),
                tr("Elements that long-term memory gets each time working memory is full"),
            ),
            (
                "max_long_term",
                tr("Long-term, most"),
                tr("Elements of long-term memory; the least used make room for new ones"),
            ),
        )

    def _box(self, name: str, title: str, tip: str) -> QSpinBox:
        allowed = MEMORY_LIMITS[name]
        box = QSpinBox(self.rows)
        box.setRange(allowed[0], allowed[-1])
        box.setSingleStep(_STEPS.get(name, 1))
        box.setKeyboardTracking(False)  # a number that is being typed is none yet
        if name in ("memorize_every", "min_working_frames", "max_working_frames"):
            box.setSuffix(tr(" frames"))
        box.setToolTip(f"{tip} ({allowed[0]}–{allowed[-1]})")
        box.setAccessibleName(title)
        box.setAccessibleDescription(tip)
        box.valueChanged.connect(lambda value: self._set(name, value))
        guard_wheel(box)
        self.boxes[name] = box
        return box

    def _unfold(self, is_open: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow
        self.fold.setArrowType(arrow)
        self.rows.setVisible(is_open)
        self._show()

    def _set(self, name: str, value: int) -> None:
        """What the new value leaves no room for gives way to it."""
        limits = self._document.memory_limits
        if limits[name] == value:
            return
        for other, allowed in MEMORY_LIMITS.items():  # the command line allows more
            limits[other] = min(max(limits[other], allowed[0]), allowed[-1])
        limits[name] = value
        least, most = limits["min_working_frames"], limits["max_working_frames"]
        if least >= most and name == "min_working_frames":
            most = least + 1
        elif least >= most:
            least = most - 1
        ceiling = MEMORY_LIMITS["max_working_frames"][-1]
        limits["max_working_frames"] = min(most, ceiling)
        limits["min_working_frames"] = min(least, ceiling - 1)
        if name == "prototypes":
            limits["max_long_term"] = max(limits["max_long_term"], value)
        else:
            limits["prototypes"] = min(limits["prototypes"], limits["max_long_term"])
        self._document.set_memory_limits(limits)
        self._show()

    def _show(self) -> None:
        for name, value in self._document.memory_limits.items():
            box = self.boxes[name]
            if box.value() != value:
                box.blockSignals(True)
                box.setValue(value)
                box.blockSignals(False)
        self.reset.setEnabled(bool(self._document.session.engines.limits))


class GivenFrames(QAbstractListModel):
    """The keyframes, in order, with their pictures."""

    def __init__(self, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._document = document
        self._table = FrameTable.of(document)
        self._thumbnails = Thumbnails.of(document)
        self._frames: list[int] = []
        self._table.changed.connect(self._show_changed)
        self._thumbnails.arrived.connect(self._show_picture)
        self._show_changed(set())

    def frame_at(self, row: int) -> int:
        return self._frames[row]

    def row_of(self, frame: int) -> int | None:
        return self._frames.index(frame) if frame in self._frames else None

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._frames)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not 0 <= index.row() < len(self._frames):
            return None
        frame = self._frames[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return str(frame)
        if role == Qt.ItemDataRole.DecorationRole:
            # As an icon: a view shows a pixmap at its own size, whatever room there is.
            return QIcon(self._thumbnails.pixmap(frame) or _blank(self._thumbnails))
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            status = self._document.annotation.record(frame).status
            text = (
                Message("Frame {frame}, confirmed")
                if status is FrameStatus.CONFIRMED
                else Message("Frame {frame}, made by hand")
            )
            return tr(text, frame=frame)
        return None

    def _show_changed(self, frames: set[int]) -> None:
        given = self._table.given_frames.tolist()
        if given != self._frames:
            self.beginResetModel()
            self._frames = given
            self._thumbnails.want("memory", given)
            self.endResetModel()

    def _show_picture(self, frame: int) -> None:
        row = self.row_of(frame)
        if row is not None:
            self.dataChanged.emit(self.index(row), self.index(row))


class _Gauge(QWidget):
    """A thin bar."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._share: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(16)
        self.setMinimumWidth(40)

    def show_share(self, share: float | None) -> None:
        """0 to 1; None where there is nothing to compare with."""
        self._share = share
        self.setAccessibleDescription("" if share is None else f"{round(100 * share)} %")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._share is None:
            return
        painter = QPainter(self)
        area = self.rect().adjusted(0, 5, 0, -5)
        painter.fillRect(area, self.palette().color(self.palette().ColorRole.Midlight))
        area.setWidth(round(area.width() * max(0.0, min(self._share, 1.0))))
        painter.fillRect(area, ACCENT)
        painter.end()


def _blank(thumbnails: Thumbnails) -> QPixmap:
    pixmap = QPixmap(thumbnails.width_px, thumbnails.height_px)
    pixmap.fill(QColor(128, 128, 128, 60))
    return pixmap


def _gibibytes(size_bytes: int) -> str:
    if size_bytes < _GIB // 10:
        return f"{size_bytes / 2**20:.0f} MiB"
    return tr("{size:.2f} GiB", size=size_bytes / _GIB)
