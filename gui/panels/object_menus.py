"""What can be done with an object, as menus; and when it may be done."""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QColorDialog, QMenu, QWidget

from gui.annotator import Annotator, Busy
from gui.document import Document
from gui.panels.object_table import Column, swatch
from gui.theme import icon
from interaction.object_colors import OKABE_ITO
from interaction.types import ObjectInfo

__all__ = ["ObjectMenus"]


class ObjectMenus(QObject):
    """Makes menus for the list of objects, `owner`."""

    def __init__(self, document: Document, annotator: Annotator, owner: QWidget) -> None:
        super().__init__(owner)
        self._document, self._annotator, self._owner = document, annotator, owner

    @property
    def may_change(self) -> bool:
        return not self._document.session.is_read_only

    @property
    def is_free(self) -> bool:
        """Nothing runs that changes many frames, so something else may."""
        idle = (Busy.IDLE, Busy.CLICKING, Busy.EXPORTING)
        return self.may_change and self._annotator.busy in idle

    def merge_current(self, into: int) -> None:
        self._annotator.merge_objects(self._document.current_object, into)

    def swap_current(self, other: int) -> None:
        document = self._document
        self._annotator.swap_objects(document.current_object, other, document.frame)

    def split_current(self) -> None:
        self._annotator.split_object(self._document.current_object)

    def toggle(self, column: Column, one: ObjectInfo) -> None:
        """Shown, locked or alone: the other way round."""
        document = self._document
        if column is Column.SOLO:
            document.set_solo(0 if document.solo == one.id else one.id)
        elif self.may_change and column is Column.VISIBLE:
            document.set_visible(one.id, not one.is_visible)
        elif self.may_change and column is Column.LOCKED:
            document.set_locked(one.id, not one.is_locked)

    def others(self, do: Callable[[int], object], title: str = "", name: str = "") -> QMenu:
        """All objects but the current one; filled anew whenever it opens. name: of an icon."""
        menu = QMenu(title, self._owner)
        if name:
            menu.setIcon(icon(name))

        def fill() -> None:
            menu.clear()
            for one in self._document.objects:
                if one.id != self._document.current_object:
                    menu.addAction(swatch(one.color), one.name, partial(do, one.id))

        menu.aboutToShow.connect(fill)
        fill()
        return menu

    def colors(self, one: ObjectInfo) -> QMenu:
        """Colours that tell objects apart for every kind of vision, and any other."""
        menu = QMenu(self.tr("Colour"), self._owner)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setIcon(icon("palette"))
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
            recolor = partial(self._document.recolor_object, one.id, color)
            menu.addAction(swatch(color), name, recolor)
        menu.addSeparator()
        menu.addAction(icon("palette"), self.tr("Other…"), partial(self._choose_color, one))
        menu.setEnabled(self.may_change)
        return menu

    def everything(
        self, one: ObjectInfo, rename: Callable[[], None], delete: Callable[[], None]
    ) -> QMenu:
        """For the current object, `one`; deletes itself when closed."""
        menu = QMenu(self._owner)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        has_others = len(self._document.objects) > 1
        menu.addAction(icon("pen-line"), self.tr("Rename"), rename).setEnabled(self.may_change)
        self._add_submenu(menu, self.colors(one), self.may_change)
        menu.addSeparator()
        hide = self.tr("Hide") if one.is_visible else self.tr("Show")
        lock = self.tr("Unlock") if one.is_locked else self.tr("Lock")
        for column, name, text in ((Column.VISIBLE, "eye", hide), (Column.LOCKED, "lock", lock)):
            action = menu.addAction(icon(name), text, partial(self.toggle, column, one))
            action.setEnabled(self.may_change)
        solo = menu.addAction(icon("focus"), self.tr("Show only this one"))
        solo.setCheckable(True)
        solo.setChecked(self._document.solo == one.id)
        solo.triggered.connect(partial(self.toggle, Column.SOLO, one))
        menu.addSeparator()
        merge = self.others(self.merge_current, self.tr("Merge into"), "merge")
        swap = self.others(self.swap_current, self.tr("Swap from here on with"), "arrow-left-right")
        for others in (merge, swap):
            self._add_submenu(menu, others, self.is_free and has_others)
        for name, text, do in (
            ("split", self.tr("Split into its parts"), self.split_current),
            ("trash-2", self.tr("Delete"), delete),
        ):
            menu.addAction(icon(name), text, do).setEnabled(self.is_free)
        return menu

    def _add_submenu(self, menu: QMenu, submenu: QMenu, is_enabled: bool) -> None:
        submenu.setParent(menu, submenu.windowFlags())  # goes with it
        submenu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        submenu.setEnabled(is_enabled)
        menu.addMenu(submenu)

    def _choose_color(self, one: ObjectInfo) -> None:
        color = QColorDialog.getColor(QColor(*one.color), self._owner, self.tr("Colour"))
        if color.isValid():
            self._document.recolor_object(one.id, (color.red(), color.green(), color.blue()))
