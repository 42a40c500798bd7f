"""The objects: which one is worked on, what they are called, what is shown and what may change."""

from collections.abc import Callable
from functools import partial
from typing import Final

from PySide6.QtCore import (
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QColor, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from gui.annotator import Annotator, Busy
from gui.document import Document
from gui.panels.object_table import Column, ObjectTable, swatch
from gui.theme import icon
from interaction.object_colors import OKABE_ITO
from interaction.types import ObjectInfo

__all__ = ["ObjectsPanel"]

_ROW_PX: Final = 24
_SEARCH_FROM: Final = 10  # objects
_ICONS: Final = (Column.VISIBLE, Column.LOCKED, Column.SOLO)

Index = QModelIndex | QPersistentModelIndex


class ObjectsPanel(QWidget):
    """Rows are clicked and renamed in place; what needs another object is in menus."""

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self.setAccessibleName(self.tr("Objects"))
        self.table = ObjectTable(document, self)
        self._found = QSortFilterProxyModel(self)
        self._found.setSourceModel(self.table)
        self._found.setFilterKeyColumn(Column.NAME)
        self._found.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._is_syncing = False

        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self._tool_row())
        self.search = QLineEdit(self)
        self.search.setPlaceholderText(self.tr("Find an object"))
        self.search.setAccessibleName(self.tr("Find an object"))
        self.search.setToolTip(self.tr("Find an object by its name (Ctrl+F)"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._search)
        self.search.returnPressed.connect(self._take_found)
        self.search.installEventFilter(self)
        column.addWidget(self.search)
        self.view = self._make_view()
        column.addWidget(self.view, 1)
        self.empty = QLabel(
            self.tr("No objects yet.\nPress + or just click in the picture."), self
        )
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self.empty.setForegroundRole(self.empty.palette().ColorRole.PlaceholderText)
        self.empty.setContentsMargins(12, 12, 12, 12)
        column.addWidget(self.empty, 1)

        document.current_object_changed.connect(self._show_current)
        self.table.modelReset.connect(self._show_objects)
        self.table.dataChanged.connect(self._show_buttons)
        annotator.busy_changed.connect(self._show_buttons)
        self._show_objects()

    def find(self) -> None:
        """Puts the cursor into the search field."""
        self.search.show()
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def sizeHint(self) -> QSize:
        rows = max(3, min(8, len(self._document.objects)))
        return QSize(280, 34 + rows * _ROW_PX)

    def minimumSizeHint(self) -> QSize:
        return QSize(220, 34 + 2 * _ROW_PX)

    # Parts

    def _tool_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(10, 3, 4, 3)
        row.setSpacing(0)
        title = QLabel(self.tr("Objects"), self)
        font = title.font()
        font.setBold(True)
        title.setFont(font)
        row.addWidget(title)
        row.addStretch(1)
        self.add = self._button("plus", self.tr("New object (Ctrl+N)"), self._add)
        self.merge = self._button("merge", self.tr("Merge this object into another…"))
        self.merge.setMenu(self._others_menu(self._merge))
        self.split = self._button(
            "split",
            self.tr("Split: each further part on this frame becomes an object of its own"),
            lambda: self._annotator.split_object(self._document.current_object),
        )
        self.swap = self._button(
            "arrow-left-right", self.tr("Swap with another object from this frame on…")
        )
        self.swap.setMenu(self._others_menu(self._swap))
        self.delete = self._button(
            "trash-2", self.tr("Delete from every frame (Ctrl+Del)"), self._delete
        )
        for button in (self.add, self.merge, self.split, self.swap, self.delete):
            row.addWidget(button)
        return row

    def _button(self, name: str, tip: str, do: Callable[[], object] | None = None) -> QToolButton:
        button = QToolButton(self)
        button.setIcon(icon(name))
        button.setIconSize(QSize(16, 16))
        button.setFixedSize(26, 26)
        button.setAutoRaise(True)
        button.setToolTip(tip)
        button.setAccessibleName(tip.split(":")[0].split(" (")[0])
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        if do is not None:
            button.clicked.connect(lambda: do())
        return button

    def _make_view(self) -> QTreeView:
        view = QTreeView(self)
        view.setModel(self._found)
        view.setItemDelegate(_Delegate(self.table, view))
        view.setAccessibleName(self.tr("Objects"))
        view.setRootIsDecorated(False)
        view.setHeaderHidden(True)
        view.setUniformRowHeights(True)
        view.setFrameShape(QTreeView.Shape.NoFrame)
        view.setIconSize(QSize(14, 14))
        view.setIndentation(0)
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        view.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        view.setDragDropOverwriteMode(False)
        view.setDropIndicatorShown(True)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setMouseTracking(True)
        header = view.header()
        header.setMinimumSectionSize(16)
        header.setStretchLastSection(False)
        for name in Column:
            header.setSectionResizeMode(name, QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(Column.NAME, QHeaderView.ResizeMode.Stretch)
        count = self._document.frame_count
        frames_px = view.fontMetrics().horizontalAdvance(f"{count} of {count}") + 12
        widths = {Column.COLOR: 30, Column.KEY: 16, Column.FRAMES: frames_px}
        for name in (Column.COLOR, Column.KEY, Column.FRAMES, *_ICONS):
            header.resizeSection(name, widths.get(name, 24))
        view.selectionModel().currentRowChanged.connect(self._choose)
        view.clicked.connect(self._click)
        view.customContextMenuRequested.connect(self._open_menu)
        view.installEventFilter(self)
        return view

    def _others_menu(self, do: Callable[[int], object]) -> QMenu:
        """All objects but the current one, filled when it opens."""
        menu = QMenu(self)

        def fill() -> None:
            menu.clear()
            for one in self._document.objects:
                if one.id != self._document.current_object:
                    menu.addAction(swatch(one.color), one.name, partial(do, one.id))

        menu.aboutToShow.connect(fill)
        fill()
        return menu

    # What people ask for

    @property
    def _current(self) -> ObjectInfo | None:
        return self._document.object(self._document.current_object)

    def _object_of(self, index: Index) -> ObjectInfo | None:
        return self.table.object_at(self._found.mapToSource(index).row())

    def _add(self) -> None:
        self.search.clear()
        self._document.add_object()

    def _merge(self, into: int) -> None:
        self._annotator.merge_objects(self._document.current_object, into)

    def _swap(self, other: int) -> None:
        document = self._document
        self._annotator.swap_objects(document.current_object, other, document.frame)

    def _delete(self) -> None:
        for object_id in self.selected():
            self._annotator.delete_object(object_id)

    def selected(self) -> list[int]:
        """The ids of the selected objects."""
        rows = self.view.selectionModel().selectedRows()
        found = [one.id for one in map(self._object_of, rows) if one is not None]
        return found or ([self._document.current_object] if self._current else [])

    def _choose(self, index: QModelIndex) -> None:
        one = self._object_of(index)
        if one is not None and not self._is_syncing:
            self._document.set_current_object(one.id)

    def _click(self, index: QModelIndex) -> None:
        one = self._object_of(index)
        if one is None:
            return
        if index.column() == Column.COLOR:
            below = self.view.visualRect(index).bottomLeft()
            self._color_menu(one).popup(self.view.viewport().mapToGlobal(below))
        elif index.column() in _ICONS:
            self._toggle(Column(index.column()), one)

    def _toggle(self, column: Column, one: ObjectInfo) -> None:
        document = self._document
        if column is Column.SOLO:
            document.set_solo(0 if document.solo == one.id else one.id)
        elif self._may_change:
            if column is Column.VISIBLE:
                document.set_visible(one.id, not one.is_visible)
            else:
                document.set_locked(one.id, not one.is_locked)

    def _color_menu(self, one: ObjectInfo) -> QMenu:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        names = (
            self.tr("Orange"),
            self.tr("Sky blue"),
            self.tr("Green"),
            self.tr("Yellow"),
            self.tr("Blue"),
            self.tr("Vermilion"),
            self.tr("Purple"),
        )
        for name, color in zip(names, OKABE_ITO, strict=True):
            menu.addAction(
                swatch(color), name, partial(self._document.recolor_object, one.id, color)
            )
        menu.addSeparator()
        menu.addAction(icon("palette"), self.tr("Other…"), partial(self._choose_color, one))
        menu.setEnabled(self._may_change)
        return menu

    def _choose_color(self, one: ObjectInfo) -> None:
        color = QColorDialog.getColor(QColor(*one.color), self, self.tr("Colour"))
        if color.isValid():
            self._document.recolor_object(one.id, (color.red(), color.green(), color.blue()))

    def _move(self, way: int) -> None:
        row = self.table.row_of(self._document.current_object)
        if row is not None and 0 <= row + way < self.table.rowCount():
            self._document.move_object(self._document.current_object, row + way)

    def _rename(self) -> None:
        index = self.view.currentIndex()
        self.view.edit(index.siblingAtColumn(Column.NAME))

    def _open_menu(self, position: QPoint) -> None:
        one = self._current
        if one is not None:
            self.make_menu(one).popup(self.view.viewport().mapToGlobal(position))

    def make_menu(self, one: ObjectInfo) -> QMenu:
        """What can be done with the object; deletes itself when closed."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        may, has_others = self._may_change, self.table.rowCount() > 1
        menu.addAction(icon("pen-line"), self.tr("Rename"), self._rename).setEnabled(may)
        colors = self._color_menu(one)
        colors.setParent(menu, colors.windowFlags())
        colors.setTitle(self.tr("Colour"))
        colors.setIcon(icon("palette"))
        menu.addMenu(colors)
        menu.addSeparator()
        for column, name, text in (
            (Column.VISIBLE, "eye", self.tr("Hide") if one.is_visible else self.tr("Show")),
            (Column.LOCKED, "lock", self.tr("Unlock") if one.is_locked else self.tr("Lock")),
            (Column.SOLO, "focus", self.tr("Show only this one")),
        ):
            action = menu.addAction(icon(name), text, partial(self._toggle, column, one))
            action.setEnabled(may or column is Column.SOLO)
            if column is Column.SOLO:
                action.setCheckable(True)
                action.setChecked(self._document.solo == one.id)
        menu.addSeparator()
        for name, text, do in (
            ("merge", self.tr("Merge into"), self._merge),
            ("arrow-left-right", self.tr("Swap from here on with"), self._swap),
        ):
            others = self._others_menu(do)
            others.setParent(menu, others.windowFlags())
            others.setTitle(text)
            others.setIcon(icon(name))
            others.setEnabled(self._is_free and has_others)
            menu.addMenu(others)
        split = menu.addAction(icon("split"), self.tr("Split into its parts"), self.split.click)
        split.setEnabled(self.split.isEnabled())
        menu.addSeparator()
        delete = menu.addAction(icon("trash-2"), self.tr("Delete"), self._delete)
        delete.setEnabled(self._is_free)
        return menu

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if watched is self.view:
                return self._press_in_view(event)
            if watched is self.search and event.key() == Qt.Key.Key_Escape:
                self.search.clear()
                self.view.setFocus()
                return True
        return super().eventFilter(watched, event)

    def _press_in_view(self, event: QKeyEvent) -> bool:
        one = self._current
        if one is None or self.view.state() == QAbstractItemView.State.EditingState:
            return False
        key = event.key()
        if event.modifiers() & Qt.KeyboardModifier.AltModifier:
            if key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and self._may_change:
                self._move(-1 if key == Qt.Key.Key_Up else 1)
                return True
        elif key == Qt.Key.Key_Delete and self._is_free:
            self._delete()
            return True
        return False

    def _search(self, text: str) -> None:
        self._found.setFilterFixedString(text)
        # Where rows are left out, "between these two" says nothing.
        self.view.setDragEnabled(not text)
        self._show_current(self._document.current_object)

    def _take_found(self) -> None:
        one = self._object_of(self._found.index(0, Column.NAME))
        if one is not None:
            self._document.set_current_object(one.id)
        self.search.clear()
        self.view.setFocus()

    # What is shown

    @property
    def _may_change(self) -> bool:
        return not self._document.session.is_read_only

    @property
    def _is_free(self) -> bool:
        """Nothing runs that changes many frames."""
        return self._may_change and self._annotator.busy in (
            Busy.IDLE,
            Busy.CLICKING,
            Busy.EXPORTING,
        )

    def _show_objects(self) -> None:
        count = self.table.rowCount()
        self.view.setVisible(count > 0)
        self.empty.setVisible(count == 0)
        self.search.setVisible(count >= _SEARCH_FROM or bool(self.search.text()))
        self._show_current(self._document.current_object)
        self.updateGeometry()

    def _show_current(self, object_id: int) -> None:
        row = self.table.row_of(object_id)
        index = QModelIndex()
        if row is not None:
            index = self._found.mapFromSource(self.table.index(row, Column.NAME))
        self._is_syncing = True
        if index.isValid():
            if self.view.currentIndex().row() != index.row() or not self.view.selectedIndexes():
                self.view.selectionModel().setCurrentIndex(
                    index,
                    QItemSelectionModel.SelectionFlag.ClearAndSelect
                    | QItemSelectionModel.SelectionFlag.Rows,
                )
            self.view.scrollTo(index)
        else:
            self.view.selectionModel().clear()
        self._is_syncing = False
        self._show_buttons()

    def _show_buttons(self, *_: object) -> None:
        one, is_free = self._current, self._is_free
        has_others = self.table.rowCount() > 1
        self.add.setEnabled(self._may_change)
        self.merge.setEnabled(one is not None and is_free and has_others)
        self.swap.setEnabled(one is not None and is_free and has_others)
        self.split.setEnabled(one is not None and is_free)
        self.delete.setEnabled(one is not None and is_free)


class _Delegate(QStyledItemDelegate):
    """24-pixel rows; what is off is faint."""

    def __init__(self, table: ObjectTable, parent: QObject) -> None:
        super().__init__(parent)
        self._table = table

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        size = super().sizeHint(option, index)
        size.setHeight(_ROW_PX)
        return size

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        column = Column(index.column())
        model = index.model()
        assert isinstance(model, QSortFilterProxyModel)
        one = self._table.object_at(model.mapToSource(index).row())
        if column is Column.NAME or one is None:
            super().paint(painter, option, index)
            return
        whole = QStyleOptionViewItem(option)
        self.initStyleOption(whole, index)
        whole.icon = whole.icon.__class__()  # type: ignore[attr-defined]
        text = whole.text  # type: ignore[attr-defined]
        whole.text = ""  # type: ignore[attr-defined]
        style = option.widget.style()  # type: ignore[attr-defined]
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, whole, painter, option.widget)  # type: ignore[attr-defined]
        rect = option.rect  # type: ignore[attr-defined]
        painter.save()
        if column is Column.COLOR:
            square = QRect(0, 0, 14, 14)
            square.moveCenter(rect.center())
            swatch(one.color).paint(painter, square)
        elif column in _ICONS:
            is_hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)  # type: ignore[attr-defined]
            is_on = self._table.is_on(column, one)
            painter.setOpacity(1.0 if is_on else (0.6 if is_hovered else 0.25))
            square = QRect(0, 0, 16, 16)
            square.moveCenter(rect.center())
            is_selected = bool(option.state & QStyle.StateFlag.State_Selected)  # type: ignore[attr-defined]
            picture = self._table.data(
                self._table.index(model.mapToSource(index).row(), column),
                Qt.ItemDataRole.DecorationRole,
            )
            mode = picture.Mode.Selected if is_selected else picture.Mode.Normal
            picture.paint(painter, square, Qt.AlignmentFlag.AlignCenter, mode)
        else:
            palette = option.palette  # type: ignore[attr-defined]
            is_selected = bool(option.state & QStyle.StateFlag.State_Selected)  # type: ignore[attr-defined]
            role = palette.ColorRole.HighlightedText if is_selected else palette.ColorRole.Text
            painter.setPen(palette.color(role))
            painter.setOpacity(0.7)
            flags = Qt.AlignmentFlag.AlignCenter
            if column is Column.FRAMES:
                flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                rect = rect.adjusted(0, 0, -6, 0)
            painter.drawText(rect, flags, text)
        painter.restore()
