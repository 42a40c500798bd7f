"""The frames in the tracker's memory, and those that are kept out of it, as small pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QIcon, QKeyEvent, QKeySequence, QPainter, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QListView,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from gui.language import tr
from gui.theme import ACCENT, lay_out, remark
from gui.timeline.frame_table import FrameTable
from gui.timeline.thumbnails import Thumbnails
from gui.work.document import Document
from interaction.annotation.requests import Remembered
from interaction.annotation.types import FrameStatus, MemoryRule
from xmem_core.config import RememberedFrame
from xmem_core.messages import Message

__all__ = ["Entry", "FrameGroup", "entries"]

_THUMBNAIL_PX: Final = 36
_BAR_PX: Final = 3
_DELETE: Final = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
_WAYS: Final = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End)
_SHARE: Final = Qt.ItemDataRole.UserRole

Index = QModelIndex | QPersistentModelIndex
_ROOT: Final = QModelIndex()


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture of a group. last: of the frames that it stands for."""

    frame: int
    last: int
    status: FrameStatus
    rule: MemoryRule
    gives: RememberedFrame | None = None  # None: no run reports it

    def text(self) -> str:
        """In words: what it is, and what it gives."""
        if self.rule is MemoryRule.EXCLUDED:
            if self.last > self.frame:
                return tr(
                    "Frames {first} to {last}, kept out of memory", first=self.frame, last=self.last
                )
            return tr("Frame {frame}, kept out of memory", frame=self.frame)
        kinds = {
            FrameStatus.CONFIRMED: Message("Frame {frame}, confirmed"),
            FrameStatus.CORRECTED: Message("Frame {frame}, made by hand"),
        }
        tracked = Message("Frame {frame}, tracked")
        lines = [tr(kinds.get(self.status, tracked), frame=self.frame)]
        if self.rule is MemoryRule.PINNED:
            lines.append(tr("Pinned: no run replaces its mask"))
        if self.gives is not None:
            lines.append(
                tr(
                    "Gives {recent:.1f} % of what the last frames read, {average:.1f} % on average",
                    recent=100 * self.gives.recent,
                    average=100 * self.gives.average,
                )
            )
            lines.append(tr("{count} element", "{count} elements", count=self.gives.elements))
        return "\n".join(lines)


def entries(document: Document, remembered: Remembered | None) -> dict[str, list[Entry]]:
    """By group, in order of frames. remembered: by the run that goes on or was last; what is
    permanent is what the next run will find."""
    annotation, rules = document.annotation, document.annotation.memory
    frames = () if remembered is None else remembered.frames
    gives: dict[tuple[str, int], RememberedFrame] = {(one.part, one.frame): one for one in frames}

    def entry(frame: int, part: str) -> Entry:
        status = annotation.record(frame).status
        return Entry(frame, frame, status, rules.at(frame), gives.get((part, frame)))

    given = FrameTable.of(document).given_frames.tolist()
    pinned = [frame for frame in rules.pinned if annotation.record(frame).present]
    kept = sorted({*(f for f in given if not rules.is_excluded(f)), *pinned})
    groups = {"permanent": [entry(frame, "permanent") for frame in kept]}
    for part in ("working", "long_term"):
        held = [one.frame for one in frames if one.part == part]
        groups[part] = [entry(f, part) for f in held if 0 <= f < document.frame_count]
    groups["excluded"] = [
        Entry(one.start, one.stop - 1, annotation.record(one.start).status, MemoryRule.EXCLUDED)
        for one in rules.excluded
    ]
    return groups


class _Frames(QAbstractListModel):
    """The pictures of one group."""

    def __init__(self, who: str, thumbnails: Thumbnails, parent: QObject) -> None:
        super().__init__(parent)
        self._who, self._thumbnails = who, thumbnails
        self.rows: list[Entry] = []
        thumbnails.arrived.connect(self._show_picture)

    def show_rows(self, rows: Sequence[Entry]) -> None:
        """What stays keeps its selection."""
        if [(one.frame, one.last) for one in rows] == [(one.frame, one.last) for one in self.rows]:
            self.rows = list(rows)
            if rows:
                self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self.rows = list(rows)
        self._thumbnails.want(f"memory {self._who}", [one.frame for one in rows])
        self.endResetModel()

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not 0 <= index.row() < len(self.rows):
            return None
        one = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return str(one.frame) if one.last == one.frame else f"{one.frame}–{one.last}"
        if role == Qt.ItemDataRole.DecorationRole:
            # As an icon: a view shows a pixmap at its own size, whatever room there is.
            return QIcon(self._thumbnails.pixmap(one.frame) or _blank(self._thumbnails))
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return one.text()
        if role == _SHARE:
            most = max((row.gives.recent for row in self.rows if row.gives), default=0.0)
            share = 0.0 if one.gives is None else one.gives.recent
            return (share / most if most else 0.0, one.rule is MemoryRule.PINNED)
        return None

    def _show_picture(self, frame: int) -> None:
        for row, one in enumerate(self.rows):
            if one.frame == frame:
                self.dataChanged.emit(self.index(row), self.index(row))


class _Bars(QStyledItemDelegate):
    """Under each picture, how much it gives compared with the group's best; a dot: pinned."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        super().paint(painter, option, index)
        share, is_pinned = index.data(_SHARE)
        rect: QRect = option.rect
        area = QRect(rect.left() + 5, rect.top() + _THUMBNAIL_PX + 3, rect.width() - 10, _BAR_PX)
        if share > 0:
            ground = option.palette.color(option.palette.ColorRole.Mid)
            painter.fillRect(area, ground)
            area.setWidth(max(1, round(area.width() * share)))
            painter.fillRect(area, ACCENT)
        if is_pinned:
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QColor("white"))
            painter.setBrush(ACCENT)
            painter.drawEllipse(QPoint(rect.right() - 8, rect.top() + 8), 4, 4)
            painter.restore()


class _View(QListView):
    """As high as what it shows; keys that are its own come before the window's."""

    own_keys: tuple[Qt.Key, ...] = (*_DELETE, *_WAYS, Qt.Key.Key_P)

    def fit(self) -> None:
        model = self.model()
        count = 0 if model is None else model.rowCount()
        grid = self.gridSize()
        columns = max(1, self.viewport().width() // max(1, grid.width()))
        self.setFixedHeight(-(-count // columns) * grid.height() + 2)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.fit()

    def event(self, event: QEvent) -> bool:
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and not _is_modified(event)
            and Qt.Key(event.key()) in self.own_keys
        ):
            event.accept()
            return True
        return bool(super().event(event))


def _is_modified(event: QKeyEvent) -> bool:
    """Whether a key is held with it; the keypad's flag does not count."""
    return bool(event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier)


class FrameGroup(QWidget):
    """One part of memory: its title, and its frames to look at, pin and take out."""

    chosen = Signal()  # another frame is selected, or none
    gone_to = Signal(int)  # frame
    pinned = Signal(object)  # Entry: to be pinned, or no longer
    evicted = Signal(object)  # Entry: to be taken out of memory, or let in again

    def __init__(self, name: str, thumbnails: Thumbnails, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self.title = remark("", self)
        self.title.setToolTip(
            tr("How much of what the last frames read from memory came from this part")
        )
        self.frames = _Frames(name, thumbnails, self)
        self.view = _View(self)
        self.view.setModel(self.frames)
        self.view.setItemDelegate(_Bars(self.view))
        self.view.setViewMode(QListView.ViewMode.IconMode)
        self.view.setMovement(QListView.Movement.Static)
        self.view.setResizeMode(QListView.ResizeMode.Adjust)
        self.view.setUniformItemSizes(True)
        self.view.setFrameShape(QListView.Shape.NoFrame)
        self.view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        width = min(96, max(32, thumbnails.width_px * _THUMBNAIL_PX // thumbnails.height_px))
        self.view.setIconSize(QSize(width, _THUMBNAIL_PX))
        self.view.setGridSize(QSize(width + 10, _THUMBNAIL_PX + 24))
        self.view.setSelectionMode(QListView.SelectionMode.SingleSelection)
        self.view.clicked.connect(self._go)
        self.view.activated.connect(self._go)
        self.view.selectionModel().selectionChanged.connect(lambda *_: self.chosen.emit())
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.installEventFilter(self)
        lay_out(QVBoxLayout(self), self.title, self.view, spacing=2, margins=(0, 0, 0, 4))

    def show_entries(self, rows: Sequence[Entry], title: str) -> None:
        self.frames.show_rows(rows)
        self.title.setText(title)
        self.view.setAccessibleName(title)
        self.view.setVisible(bool(rows))
        self.view.fit()

    @property
    def selected(self) -> Entry | None:
        rows = self.view.selectionModel().selectedIndexes()
        return self.frames.rows[rows[0].row()] if rows else None

    def select(self, frame: int) -> bool:
        """The frame, if it is among them; else nothing."""
        for row, one in enumerate(self.frames.rows):
            if one.frame <= frame <= one.last:
                self.view.setCurrentIndex(self.frames.index(row))
                return True
        self.view.clearSelection()
        return False

    def entry_at(self, place: QPoint) -> Entry | None:
        index = self.view.indexAt(place)
        return self.frames.rows[index.row()] if index.isValid() else None

    def menu(self, one: Entry, in_range: tuple[int, int] | None) -> QMenu:
        """What can be done with a frame; deletes itself when closed. in_range: the frames that the
        document's range holds, if there is one."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(
            tr("Go to frame {frame}", frame=one.frame), lambda: self.gone_to.emit(one.frame)
        )
        menu.addSeparator()
        if one.rule is MemoryRule.EXCLUDED:
            menu.addAction(tr("Let into memory again"), lambda: self.evicted.emit(one))
            return menu
        pin = tr("Unpin") if one.rule is MemoryRule.PINNED else tr("Pin to memory")
        menu.addAction(f"{pin}\tP", lambda: self.pinned.emit(one))
        out = tr("Take out of memory")
        key = QKeySequence(Qt.Key.Key_Delete).toString(QKeySequence.SequenceFormat.NativeText)
        menu.addAction(f"{out}\t{key}", lambda: self.evicted.emit(one))
        if in_range is not None:
            first, last = in_range
            whole = Entry(first, last, one.status, MemoryRule.FREE)
            text = tr("Keep frames {first} to {last} out of memory", first=first, last=last)
            menu.addAction(text, lambda: self.evicted.emit(whole))
        return menu

    def _go(self, index: QModelIndex) -> None:
        self.gone_to.emit(self.frames.rows[index.row()].frame)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        one = self.selected
        if (
            watched is self.view
            and isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyPress
            and not _is_modified(event)
            and one is not None
        ):
            key = Qt.Key(event.key())
            if key in _DELETE:
                self.evicted.emit(one)
                return True
            if key == Qt.Key.Key_P and one.rule is not MemoryRule.EXCLUDED:
                self.pinned.emit(one)
                return True
        return super().eventFilter(watched, event)


def _blank(thumbnails: Thumbnails) -> QPixmap:
    pixmap = QPixmap(thumbnails.width_px, thumbnails.height_px)
    pixmap.fill(QColor(128, 128, 128, 60))
    return pixmap
