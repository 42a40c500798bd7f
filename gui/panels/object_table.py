"""The table model of objects and how its rows are drawn."""

from enum import IntEnum
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractTableModel,
    QByteArray,
    QDataStream,
    QIODevice,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
    QTimer,
)
from PySide6.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from gui.language import tr
from gui.theme import icon
from gui.timeline.frame_table import FrameTable
from gui.timeline.scale import short_timecode
from gui.work.document import Document
from interaction.annotation.types import ObjectInfo
from xmem_core.messages import Message

__all__ = [
    "FIND_ROLE",
    "ICON_COLUMNS",
    "ROW_PX",
    "Column",
    "ObjectDelegate",
    "ObjectTable",
    "swatch",
]

_MIME: Final = "application/x-xmem-annotate-object"
_NUMBERS_MS: Final = 100
FIND_ROLE: Final = Qt.ItemDataRole.UserRole  # number and name: what an object is found by
_DIGITS: Final = 9  # objects that have a key of their own

Index = QModelIndex | QPersistentModelIndex
_ROOT: Final = QModelIndex()


class Column(IntEnum):
    """From left to right."""

    COLOR = 0
    NUMBER = 1  # of the first nine it is also the key
    NAME = 2
    FRAMES = 3
    VISIBLE = 4
    LOCKED = 5
    COVERED = 6  # whether it keeps what others cover of it
    SOLO = 7


ICON_COLUMNS: Final = (
    Column.VISIBLE,
    Column.LOCKED,
    Column.COVERED,
    Column.SOLO,
)  # a click turns them over


_BY_DIGIT: Final = Message("Press {number} to work on “{name}”")
_BY_SEARCH: Final = Message("Ctrl+F and {number} finds “{name}”")
_COLOR: Final = Message("Colour of “{name}”: click to change it")
_NAME: Final = Message("{name}: double-click to rename")
_TIPS: Final = {  # where `is_on` is true, and where not
    Column.COLOR: (_COLOR, _COLOR),
    Column.NAME: (_NAME, _NAME),
    Column.VISIBLE: (
        Message("“{name}” is shown: click to hide it"),
        Message("“{name}” is hidden: click to show it"),
    ),
    Column.LOCKED: (
        Message("“{name}” is locked and does not change: click to unlock it"),
        Message("“{name}” may be changed: click to lock it"),
    ),
    Column.COVERED: (
        Message("“{name}” keeps what others cover of it: click to let it lose that"),
        Message("“{name}” loses what others cover of it: click to keep that beneath them"),
    ),
    Column.SOLO: (
        Message("Only “{name}” is shown: click to show the others again"),
        Message("Show only “{name}”"),
    ),
}


class ObjectTable(QAbstractTableModel):
    """Follows the document; names are edited, and rows dragged, through it."""

    def __init__(self, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._document = document
        self._frames = FrameTable.of(document)
        self._objects = document.objects
        self._icons = {
            name: icon(name) for name in ("eye", "eye-off", "lock", "lock-open", "layers", "focus")
        }
        document.objects_changed.connect(self._show_objects)
        document.solo_changed.connect(lambda _: self._tell(Column.SOLO))
        # While tracking, numbers that change more often than they can be read only cost time.
        self._telling = QTimer(self, singleShot=True, interval=_NUMBERS_MS)
        self._telling.timeout.connect(lambda: self._tell(Column.FRAMES))
        self._frames.changed.connect(self._tell_soon)

    def object_at(self, row: int) -> ObjectInfo | None:
        return self._objects[row] if 0 <= row < len(self._objects) else None

    def row_of(self, object_id: int) -> int | None:
        rows = (row for row, info in enumerate(self._objects) if info.id == object_id)
        return next(rows, None)

    def _show_objects(self) -> None:
        new = self._document.objects
        if [info.id for info in new] == [info.id for info in self._objects]:
            self._objects = new
            if new:
                self.dataChanged.emit(self.index(0, 0), self.index(len(new) - 1, Column.SOLO))
            return
        self.beginResetModel()
        self._objects = new
        self.endResetModel()

    def _tell_soon(self) -> None:
        if not self._telling.isActive():
            self._telling.start()

    def _tell(self, column: Column) -> None:
        if self._objects:
            last = self.index(len(self._objects) - 1, column)
            self.dataChanged.emit(self.index(0, column), last)

    # What views ask

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._objects)

    def columnCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(Column)

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        flags |= Qt.ItemFlag.ItemIsDragEnabled
        if index.column() == Column.NAME and not self._document.session.ledger.is_read_only:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        info = self.object_at(index.row())
        if info is None:
            return None
        column = Column(index.column())
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return self._text(index.row(), column, info)
        if role == Qt.ItemDataRole.DecorationRole:
            return self._icon(column, info)
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._tip(index.row(), column, info)
        if role == FIND_ROLE:
            return f"{index.row() + 1} {info.name}"
        if role == Qt.ItemDataRole.TextAlignmentRole and column is Column.FRAMES:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.TextAlignmentRole and column is Column.NUMBER:
            return Qt.AlignmentFlag.AlignCenter
        return None

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        info = self.object_at(index.row())
        name = str(value).strip()
        if info is None or role != Qt.ItemDataRole.EditRole or index.column() != Column.NAME:
            return False
        if not name or name == info.name:
            return False
        self._document.rename_object(info.id, name)
        return True

    def _text(self, row: int, column: Column, info: ObjectInfo) -> str | None:
        if column is Column.NUMBER:
            return str(row + 1)
        if column is Column.NAME:
            return info.name
        if column is Column.FRAMES:
            return f"{self._frames.frames_covered(info.id)}/{self._document.frame_count}"
        return None

    def _icon(self, column: Column, info: ObjectInfo) -> QIcon | None:
        if column is Column.COLOR:
            return swatch(info.color)
        if column is Column.VISIBLE:
            return self._icons["eye" if info.is_visible else "eye-off"]
        if column is Column.LOCKED:
            return self._icons["lock" if info.is_locked else "lock-open"]
        if column is Column.COVERED:
            return self._icons["layers"]
        if column is Column.SOLO:
            return self._icons["focus"]
        return None

    def is_on(self, column: Column, info: ObjectInfo) -> bool:
        """Whether the column's icon is to be seen strongly: it says something out of the usual,
        or the usual and good."""
        if column is Column.LOCKED:
            return info.is_locked
        if column is Column.COVERED:
            return info.keeps_covered
        if column is Column.SOLO:
            return self._document.solo == info.id
        return column is not Column.VISIBLE or info.is_visible

    def _tip(self, row: int, column: Column, info: ObjectInfo) -> str:
        if column is Column.FRAMES:
            return self._frames_tip(info)
        if column is Column.NUMBER:
            text = _BY_DIGIT if row < _DIGITS else _BY_SEARCH
            return tr(text, number=row + 1, name=info.name)
        on, off = _TIPS[column]
        text = on if self.is_on(column, info) else off
        return tr(text, name=info.name)

    def _frames_tip(self, info: ObjectInfo) -> str:
        """How far it is, and what that cost."""
        where = tr(
            "“{name}” is on {covered} of {frame_count} frames",
            name=info.name,
            covered=self._frames.frames_covered(info.id),
            frame_count=self._document.frame_count,
        )
        effort = self._document.session.ledger.effort.measure().by_object.get(info.id)
        if effort is None:
            return where
        cost = tr(
            "Clicks: {clicks}, strokes: {strokes}, work: {work}, waiting: {waiting}",
            clicks=effort.clicks,
            strokes=effort.strokes,
            work=short_timecode(effort.work_s),
            waiting=short_timecode(effort.waiting_s),
        )
        return f"{where}\n{cost}"

    # Dragging rows

    def supportedDropActions(self) -> Qt.DropAction:
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        return [_MIME]

    def mimeData(self, indexes: list[QModelIndex]) -> QMimeData:  # type: ignore[override]
        data, content = QMimeData(), QByteArray()
        stream = QDataStream(content, QIODevice.OpenModeFlag.WriteOnly)
        info = self.object_at(indexes[0].row()) if indexes else None
        stream.writeInt32(0 if info is None else info.id)
        data.setData(_MIME, content)
        return data

    def dropMimeData(
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        if not data.hasFormat(_MIME) or self._document.session.ledger.is_read_only:
            return False
        object_id = QDataStream(data.data(_MIME)).readInt32()
        old = self.row_of(object_id)
        if old is None:
            return False
        if row < 0:
            row = parent.row() if parent.isValid() else len(self._objects)
        self._document.move_object(object_id, row - (1 if old < row else 0))
        return False  # the document moved it; the view must not take the row away


def swatch(color: tuple[int, int, int], size_px: int = 14) -> QIcon:
    """A square of the colour, with an edge that shows on any ground."""
    pixmap = QPixmap(size_px * 2, size_px * 2)
    pixmap.setDevicePixelRatio(2)
    pixmap.fill(QColor(*color))
    painter = QPainter(pixmap)
    painter.setPen(QColor(0, 0, 0, 110))
    painter.drawRect(0, 0, size_px - 1, size_px - 1)
    painter.end()
    return QIcon(pixmap)


ROW_PX: Final = 24
_ICON_PX: Final = 16
_OFF, _HOVERED = 0.25, 0.6  # opacity of what is not so, but could be

_SELECTED: Final = QStyle.StateFlag.State_Selected


class ObjectDelegate(QStyledItemDelegate):
    """24-pixel rows; what is off is faint."""

    def __init__(self, table: ObjectTable, parent: QObject) -> None:
        super().__init__(parent)
        self._table = table

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(super().sizeHint(option, index).width(), ROW_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        model = index.model()
        assert isinstance(model, QSortFilterProxyModel)
        source = model.mapToSource(index)
        info = self._table.object_at(source.row())
        column = Column(index.column())
        if column is Column.NAME or info is None:
            super().paint(painter, option, index)
            return
        # Any: the stubs do not know what an option inherits.
        whole: Any = QStyleOptionViewItem(option)
        self.initStyleOption(whole, index)
        text, rect, is_selected = whole.text, whole.rect, bool(whole.state & _SELECTED)
        is_hovered = bool(whole.state & QStyle.StateFlag.State_MouseOver)
        whole.text, whole.icon = "", QIcon()
        widget: QWidget = whole.widget
        widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, whole, painter, widget)
        painter.save()
        if column is Column.COLOR:
            swatch(info.color).paint(painter, _square(rect, 14))
        elif column in ICON_COLUMNS:
            is_on = self._table.is_on(column, info)
            painter.setOpacity(1.0 if is_on else _HOVERED if is_hovered else _OFF)
            picture = self._table.data(source, Qt.ItemDataRole.DecorationRole)
            assert isinstance(picture, QIcon)
            mode = QIcon.Mode.Selected if is_selected else QIcon.Mode.Normal
            picture.paint(painter, _square(rect, _ICON_PX), Qt.AlignmentFlag.AlignCenter, mode)
        else:
            role = QPalette.ColorRole.HighlightedText if is_selected else QPalette.ColorRole.Text
            painter.setPen(whole.palette.color(role))
            painter.setOpacity(0.7)
            flags = Qt.AlignmentFlag.AlignCenter
            if column is Column.FRAMES:
                flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                rect = rect.adjusted(0, 0, -6, 0)
            painter.drawText(rect, flags, text)
        painter.restore()


def _square(rect: QRect, size_px: int) -> QRect:
    """In the middle of the cell."""
    square = QRect(0, 0, size_px, size_px)
    square.moveCenter(rect.center())
    return square
