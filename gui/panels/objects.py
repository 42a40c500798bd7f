"""The panel of objects and its menus."""

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
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from PySide6.QtGui import QColor, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QToolButton,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from gui.language import tr
from gui.panels.object_table import (
    FIND_ROLE,
    ICON_COLUMNS,
    ROW_PX,
    Column,
    ObjectDelegate,
    ObjectTable,
    swatch,
)
from gui.theme import flat_button, heading, icon, lay_out, menu_text, named, remark
from gui.work.annotator import Annotator
from gui.work.document import Document
from interaction.annotation.edits import OKABE_ITO
from interaction.annotation.types import ObjectInfo

__all__ = ["ObjectMenus", "ObjectsPanel"]


class ObjectMenus(QObject):
    """Makes menus for the list of objects, `owner`."""

    def __init__(self, document: Document, annotator: Annotator, owner: QWidget) -> None:
        super().__init__(owner)
        self._document, self._annotator, self._owner = document, annotator, owner

    @property
    def may_change(self) -> bool:
        return not self._document.session.ledger.is_read_only

    @property
    def is_free(self) -> bool:
        """Nothing runs that changes many frames, so something else may."""
        return self.may_change and self._annotator.operations.is_free

    def merge_current(self, into: int) -> None:
        self._annotator.bulk.merge_objects(self._document.current_object, into)

    def swap_current(self, other: int) -> None:
        document = self._document
        self._annotator.bulk.swap_objects(document.current_object, other, document.frame)

    def split_current(self) -> None:
        self._annotator.hand.split_object(self._document.current_object)

    def toggle(self, column: Column, info: ObjectInfo) -> None:
        """Shown, locked, keeping covered pixels or alone: the other way round."""
        document = self._document
        if column is Column.SOLO:
            document.set_solo(0 if document.solo == info.id else info.id)
        elif self.may_change and column is Column.VISIBLE:
            document.set_visible(info.id, not info.is_visible)
        elif self.may_change and column is Column.LOCKED:
            document.set_locked(info.id, not info.is_locked)
        elif self.may_change and column is Column.COVERED:
            self._annotator.bulk.keep_covered(info.id, not info.keeps_covered)

    def others(self, do: Callable[[int], object], title: str = "", name: str = "") -> QMenu:
        """All objects but the current one; filled anew whenever it opens. name: of an icon."""
        menu = QMenu(title, self._owner)
        if name:
            menu.setIcon(icon(name))

        def fill() -> None:
            menu.clear()
            for info in self._document.objects:
                if info.id != self._document.current_object:
                    menu.addAction(swatch(info.color), menu_text(info.name), partial(do, info.id))

        menu.aboutToShow.connect(fill)
        fill()
        return menu

    def colors(self, info: ObjectInfo) -> QMenu:
        """Colours that tell objects apart for every kind of vision, and any other."""
        menu = QMenu(tr("Colour"), self._owner)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setIcon(icon("palette"))
        names = (
            tr("Orange"),
            tr("Sky blue"),
            tr("Green"),
            tr("Yellow"),
            tr("Blue"),
            tr("Vermilion"),
            tr("Purple"),
        )
        for name, color in zip(names, OKABE_ITO, strict=True):
            recolor = partial(self._document.recolor_object, info.id, color)
            menu.addAction(swatch(color), name, recolor)
        menu.addSeparator()
        menu.addAction(icon("palette"), tr("Other…"), partial(self.choose_color, info))
        menu.setEnabled(self.may_change)
        return menu

    def everything(
        self, info: ObjectInfo, rename: Callable[[], object], delete: Callable[[], object]
    ) -> QMenu:
        """For the current object, `one`; deletes itself when closed."""
        menu = QMenu(self._owner)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        has_others = len(self._document.objects) > 1
        menu.addAction(icon("pen-line"), tr("Rename"), rename).setEnabled(self.may_change)
        self._add_submenu(menu, self.colors(info), self.may_change)
        menu.addSeparator()
        hide = tr("Hide") if info.is_visible else tr("Show")
        lock = tr("Unlock") if info.is_locked else tr("Lock")
        for column, name, text in ((Column.VISIBLE, "eye", hide), (Column.LOCKED, "lock", lock)):
            action = menu.addAction(icon(name), text, partial(self.toggle, column, info))
            action.setEnabled(self.may_change)
        covered = menu.addAction(icon("layers"), tr("Keep covered pixels"))
        covered.setCheckable(True)
        covered.setChecked(info.keeps_covered)
        covered.setEnabled(self.is_free)
        covered.triggered.connect(partial(self.toggle, Column.COVERED, info))
        solo = menu.addAction(icon("focus"), tr("Show only this one"))
        solo.setCheckable(True)
        solo.setChecked(self._document.solo == info.id)
        solo.triggered.connect(partial(self.toggle, Column.SOLO, info))
        menu.addSeparator()
        merge = self.others(self.merge_current, tr("Merge into"), "merge")
        swap = self.others(self.swap_current, tr("Swap from here on with"), "arrow-left-right")
        for others in (merge, swap):
            self._add_submenu(menu, others, self.is_free and has_others)
        for name, text, do in (
            ("split", tr("Split into its parts"), self.split_current),
            ("trash-2", tr("Delete"), delete),
        ):
            menu.addAction(icon(name), text, do).setEnabled(self.is_free)
        return menu

    def _add_submenu(self, menu: QMenu, submenu: QMenu, is_enabled: bool) -> None:
        submenu.setParent(menu, submenu.windowFlags())  # goes with it
        submenu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        submenu.setEnabled(is_enabled)
        menu.addMenu(submenu)

    def choose_color(self, info: ObjectInfo) -> None:
        color = QColorDialog.getColor(QColor(*info.color), self._owner, tr("Colour"))
        if color.isValid():
            self._document.recolor_object(info.id, (color.red(), color.green(), color.blue()))


_SEARCH_FROM: Final = 10  # objects

Index = QModelIndex | QPersistentModelIndex


class ObjectsPanel(QWidget):
    """Rows are clicked and renamed in place; what needs another object is in menus."""

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self.setAccessibleName(tr("Objects"))
        self.table = ObjectTable(document, self)
        self.menus = ObjectMenus(document, annotator, self)
        self._found = QSortFilterProxyModel(self)
        self._found.setSourceModel(self.table)
        self._found.setFilterKeyColumn(Column.NAME)
        self._found.setFilterRole(FIND_ROLE)
        self._found.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._is_syncing = False

        tools = self._tool_row()
        self.search = named(QLineEdit(self), tr("Find an object"))
        self.search.setPlaceholderText(tr("Find an object"))
        self.search.setToolTip(tr("Find an object by its name or number (Ctrl+F)"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._search)
        self.search.returnPressed.connect(self._take_found)
        self.search.installEventFilter(self)
        self.view = self._make_view()
        self.empty = remark(tr("No objects yet.\nPress + or just click in the picture."), self)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setContentsMargins(12, 12, 12, 12)
        parts = (tools, self.search, (self.view, 1), (self.empty, 1))
        lay_out(QVBoxLayout(self), *parts, spacing=0)

        document.current_object_changed.connect(self._show_current)
        self.table.modelReset.connect(self._show_objects)
        self.table.dataChanged.connect(self._show_buttons)
        annotator.operations.busy_changed.connect(self._show_buttons)
        self._show_objects()

    def focus_search(self) -> None:
        """Puts the cursor into the search field."""
        self.search.show()
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        rows = max(3, min(8, len(self._document.objects)))
        return QSize(280, self._above_px + rows * ROW_PX)

    def minimumSizeHint(self) -> QSize:
        count = len(self._document.objects)
        rows = max(2, min(5, count)) if count else 3  # what stands there instead needs two lines
        return QSize(220, self._above_px + rows * ROW_PX)

    @property
    def _above_px(self) -> int:
        """What stands above the list."""
        return 34 + (0 if self.search.isHidden() else self.search.sizeHint().height())

    # Parts

    def _tool_row(self) -> QHBoxLayout:
        title = heading(tr("Objects"), self)
        self.add = self._button("plus", tr("New object (Ctrl+N)"), self._add)
        self.merge = self._button("merge", tr("Merge this object into another…"))
        self.merge.setMenu(self.menus.others(self.menus.merge_current))
        self.split = self._button(
            "split",
            tr("Split: each further part on this frame becomes an object of its own"),
            self.menus.split_current,
        )
        self.swap = self._button(
            "arrow-left-right", tr("Swap with another object from this frame on…")
        )
        self.swap.setMenu(self.menus.others(self.menus.swap_current))
        self.delete = self._button(
            "trash-2", tr("Delete from every frame (Ctrl+Del)"), self._delete
        )
        row = QHBoxLayout()
        buttons = (self.add, self.merge, self.split, self.swap, self.delete)
        lay_out(row, title, 1, *buttons, spacing=0, margins=(10, 3, 4, 3))
        return row

    def _button(self, name: str, tip: str, do: Callable[[], object] | None = None) -> QToolButton:
        button = flat_button(name, 16, self)
        button.setFixedSize(26, 26)
        button.setToolTip(tip)
        button.setAccessibleName(tip.split(":")[0].split(" (")[0])
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        if do is not None:
            button.clicked.connect(lambda: do())
        return button

    def _make_view(self) -> QTreeView:
        view = named(QTreeView(self), tr("Objects"))
        view.setModel(self._found)
        view.setItemDelegate(ObjectDelegate(self.table, view))
        view.setRootIsDecorated(False)
        view.setHeaderHidden(True)
        view.setUniformRowHeights(True)
        view.setFrameShape(QTreeView.Shape.NoFrame)
        view.setIconSize(QSize(14, 14))
        view.setIndentation(0)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
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
        frames_px = view.fontMetrics().horizontalAdvance(f"{count}/{count}") + 12
        number_px = view.fontMetrics().horizontalAdvance("255") + 2
        widths = {Column.COLOR: 26, Column.NUMBER: number_px, Column.FRAMES: frames_px}
        for name in (Column.COLOR, Column.NUMBER, Column.FRAMES, *ICON_COLUMNS):
            header.resizeSection(name, widths.get(name, 22))
        view.selectionModel().currentRowChanged.connect(self._choose)
        view.clicked.connect(self._click)
        view.customContextMenuRequested.connect(self._open_menu)
        view.installEventFilter(self)
        return view

    # What people ask for

    @property
    def _current(self) -> ObjectInfo | None:
        return self._document.object(self._document.current_object)

    def _object_of(self, index: Index) -> ObjectInfo | None:
        return self.table.object_at(self._found.mapToSource(index).row())

    def _add(self) -> None:
        self.search.clear()
        self._document.add_object()

    def _delete(self) -> None:
        if self._current is not None:
            self._annotator.bulk.delete_object(self._document.current_object)

    def _choose(self, index: QModelIndex) -> None:
        info = self._object_of(index)
        if info is not None and not self._is_syncing:
            self._document.set_current_object(info.id)

    def _click(self, index: QModelIndex) -> None:
        info = self._object_of(index)
        if info is None:
            return
        if index.column() == Column.COLOR:
            below = self.view.visualRect(index).bottomLeft()
            self.menus.colors(info).popup(self.view.viewport().mapToGlobal(below))
        elif index.column() in ICON_COLUMNS:
            self.menus.toggle(Column(index.column()), info)

    def _move(self, way: int) -> None:
        row = self.table.row_of(self._document.current_object)
        if row is not None and 0 <= row + way < self.table.rowCount():
            self._document.move_object(self._document.current_object, row + way)

    def rename_current(self) -> None:
        """Edit the current object's name in its row."""
        index = self.view.currentIndex()
        self.view.edit(index.siblingAtColumn(Column.NAME))

    def _open_menu(self, position: QPoint) -> None:
        info = self._current
        if info is not None:
            menu = self.menus.everything(info, self.rename_current, self._delete)
            menu.popup(self.view.viewport().mapToGlobal(position))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if watched is self.view:
                return self._press_in_view(event)
            if watched is self.search and event.key() == Qt.Key.Key_Escape:
                self._end_search()
                return True
        return super().eventFilter(watched, event)

    def _press_in_view(self, event: QKeyEvent) -> bool:
        info = self._current
        if info is None or self.view.state() == QAbstractItemView.State.EditingState:
            return False
        key = event.key()
        is_moving = event.modifiers() & Qt.KeyboardModifier.AltModifier and self.menus.may_change
        if is_moving and key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self._move(-1 if key == Qt.Key.Key_Up else 1)
            return True
        return False

    def _search(self, text: str) -> None:
        self._found.setFilterFixedString(text)
        # Where rows are left out, "between these two" says nothing.
        self.view.setDragEnabled(not text)
        self._show_current(self._document.current_object)

    def _take_found(self) -> None:
        """The object of that number, or the first that is found."""
        text = self.search.text()
        is_number = text.isdecimal() and len(text) < 4
        info = self.table.object_at(int(text) - 1) if is_number else None
        info = info or self._object_of(self._found.index(0, Column.NAME))
        if info is not None:
            self._document.set_current_object(info.id)
        self._end_search()

    def _end_search(self) -> None:
        self.search.clear()
        self.view.setFocus()
        self._show_objects()

    # What is shown

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
        info, is_free = self._current, self.menus.is_free
        has_others = self.table.rowCount() > 1
        self.add.setEnabled(self.menus.may_change)
        self.merge.setEnabled(info is not None and is_free and has_others)
        self.swap.setEnabled(info is not None and is_free and has_others)
        self.split.setEnabled(info is not None and is_free)
        self.delete.setEnabled(info is not None and is_free)
