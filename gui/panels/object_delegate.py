"""How a row of the list of objects is drawn."""

from typing import Any, Final

from PySide6.QtCore import (
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QIcon, QPainter, QPalette
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from gui.panels.object_table import ICON_COLUMNS, Column, ObjectTable, swatch

__all__ = ["ROW_PX", "ObjectDelegate"]

ROW_PX: Final = 24
_ICON_PX: Final = 16
_OFF, _HOVERED = 0.25, 0.6  # opacity of what is not so, but could be

_SELECTED: Final = QStyle.StateFlag.State_Selected

Index = QModelIndex | QPersistentModelIndex


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
        one = self._table.object_at(source.row())
        column = Column(index.column())
        if column is Column.NAME or one is None:
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
            swatch(one.color).paint(painter, _square(rect, 14))
        elif column in ICON_COLUMNS:
            is_on = self._table.is_on(column, one)
            painter.setOpacity(1.0 if is_on else _HOVERED if is_hovered else _OFF)
            picture = self._table.data(source, Qt.ItemDataRole.DecorationRole)
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
