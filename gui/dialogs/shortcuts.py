"""The cheat sheet and the editor of shortcuts."""

from html import escape
from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetrics,
    QKeySequence,
    QPageLayout,
    QShowEvent,
    QTextDocument,
)
from PySide6.QtPrintSupport import QPrintDialog, QPrinter
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QPushButton,
    QTextBrowser,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from gui.actions.actions import Actions
from gui.actions.table import ACTIONS, MENUS
from gui.dialogs.dialog import Dialog
from gui.language import tr
from gui.theme import icon

__all__ = [
    "CheatSheet",
    "ShortcutsDialog",
    "cheat_sheet_html",
]

_COLUMNS = 4
_SHEET_TEXTS_PX: Final = (12, 11, 10, 9)  # the largest at which all of it is seen
_SHEET_PX: Final = QSize(1240, 740)  # fits a screen of 1280x800


def mouse_rows() -> list[tuple[str, str]]:
    """Mouse gestures, which are no actions and have no shortcut."""
    return [
        (tr("Left, right click"), tr("Add to the object, take away (click tool)")),
        (tr("Ctrl+click"), tr("Make the object under the cursor current")),
        (tr("Wheel, pinch"), tr("Zoom about the cursor")),
        (tr("Ctrl+wheel"), tr("Size of the brush")),
        (tr("Space or middle button, drag"), tr("Move the picture")),
        (tr("Shift, Alt while painting"), tr("Straight line, erase")),
        (tr("Enter, Backspace"), tr("Close a polygon, take its last corner back")),
        (tr("Hold H"), tr("Hide the masks")),
        ("1 … 9", tr("The objects in order")),
        ("K, L", tr("While it plays: stop, go forward (also after K); again: faster")),
    ]


def cheat_sheet_html(actions: Actions, text_px: int = _SHEET_TEXTS_PX[0]) -> str:
    """The sheet as a page. text_px: the height of its font."""
    sections = []
    for menu, title in MENUS.items():
        rows = []
        for spec in (spec for spec in ACTIONS if spec.menu == menu):
            keys = [
                QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
                for key in actions.keys(spec.id)
            ]
            if keys:
                rows.append((", ".join(keys), actions.title(spec.id)))
        if rows:
            sections.append((tr(title).replace("&", ""), rows))
    sections.append((tr("Mouse and more"), mouse_rows()))
    font = QFont()
    font.setPixelSize(text_px)
    font.setBold(True)
    metrics = QFontMetrics(font)
    keys_px = 8 + max(
        metrics.horizontalAdvance(key)
        for name in actions.specs
        for key in map(_shown, actions.keys(name))
    )
    # Filled top to bottom, the shortest column first, so that it fits on one page.
    columns: list[list[str]] = [[] for _ in range(_COLUMNS)]
    heights = [0] * _COLUMNS
    for heading, rows in sections:
        shortest = heights.index(min(heights))
        heights[shortest] += len(rows) + 2
        lines = "".join(
            f"<tr><td width='{keys_px}'><b>{escape(keys)}</b></td><td>{escape(text)}</td></tr>"
            for keys, text in rows
        )
        columns[shortest].append(
            f"<h4 style='margin: 6px 0 2px'>{escape(heading)}</h4><table>{lines}</table>"
        )
    cells = "".join(
        f"<td valign='top' width='{100 // _COLUMNS}%'>{''.join(parts)}</td>" for parts in columns
    )
    style = f"font-size: {text_px}px"
    return f"<table style='{style}' width='100%' cellpadding='4'><tr>{cells}</tr></table>"


class CheatSheet(Dialog):
    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(tr("Keys at a glance"), parent, _SHEET_PX)
        self._page = QTextBrowser(self)
        self._page.setAccessibleName(self.windowTitle())
        self._actions = actions
        self._fill()
        change = tr("Change keys…")
        self.change = self.add_button(change, lambda: ShortcutsDialog(actions, self).open())
        actions.keys_changed.connect(self._fill)
        self.add_button(tr("Print…"), self._ask_for_printer)
        self.buttons.button(QDialogButtonBox.StandardButton.Close).setDefault(True)
        self.lay_out(self._page)

    @property
    def is_whole(self) -> bool:
        """Whether all of it is seen without scrolling."""
        return self._page.verticalScrollBar().maximum() == 0

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fill()  # its size is known from now on

    def _fill(self) -> None:
        for text_px in _SHEET_TEXTS_PX:
            self._page.setHtml(cheat_sheet_html(self._actions, text_px))
            if self.is_whole:
                return

    def print_to(self, printer: QPrinter) -> None:
        page = QTextDocument(self)
        page.setHtml(self._page.toHtml())
        page.print_(printer)

    def _ask_for_printer(self) -> None:
        printer = QPrinter(QPrinter.PrinterMode.HighResolution)
        printer.setPageOrientation(QPageLayout.Orientation.Landscape)
        if QPrintDialog(printer, self).exec() == QDialog.DialogCode.Accepted:
            self.print_to(printer)


_CONFLICT: Final = QColor(0xD9, 0x6B, 0x00)
_IdRole: Final = Qt.ItemDataRole.UserRole


class ShortcutsDialog(Dialog):
    """Changes take effect with OK, once no key means two things."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        buttons = (
            QDialogButtonBox.StandardButton.Ok
            | QDialogButtonBox.StandardButton.Cancel
            | QDialogButtonBox.StandardButton.RestoreDefaults
        )
        super().__init__(tr("Change keys"), parent, QSize(620, 640), buttons)
        self._actions = actions
        self._keys = {spec.id: list(actions.keys(spec.id)) for spec in ACTIONS}
        self.search = QLineEdit(self)
        self.search.setPlaceholderText(tr("Search an action or a key"))
        self.search.setAccessibleName(self.search.placeholderText())
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.tree = QTreeWidget(self)
        self.tree.setHeaderLabels([tr("Action"), tr("Keys")])
        self.tree.setAccessibleName(tr("Actions and their keys"))
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.tree.header().setStretchLastSection(False)
        self.tree.header().resizeSection(1, 200)
        self.tree.currentItemChanged.connect(self._show_current)
        self._items: dict[str, QTreeWidgetItem] = {}
        self._fill()

        self.edit = QKeySequenceEdit(self)
        self.edit.setMaximumSequenceLength(1)
        self.edit.setAccessibleName(tr("New key"))
        self.edit.editingFinished.connect(self._assign)
        self._clear = QPushButton(tr("None"), self)
        self._clear.setToolTip(tr("This action gets no key"))
        self._clear.clicked.connect(lambda: self._set_keys([]))
        self._default = QPushButton(tr("Default"), self)
        self._default.clicked.connect(self._restore_one)
        row = QHBoxLayout()
        row.addWidget(QLabel(tr("Press the new key:"), self))
        row.addWidget(self.edit, 1)
        row.addWidget(self._clear)
        row.addWidget(self._default)
        self.warning = QLabel(self)
        self.warning.setWordWrap(True)

        defaults = self.buttons.button(QDialogButtonBox.StandardButton.RestoreDefaults)
        defaults.clicked.connect(self._restore_all)
        self.lay_out(self.search, self.tree, row, self.warning)
        self._show_conflicts()
        self._show_current()

    def accept(self) -> None:
        if self._problems():
            return  # with both meanings, Qt would give the key neither
        self._actions.change_keys(self._keys)
        super().accept()

    def choose(self, name: str) -> None:
        """Makes an action the one whose key is asked for."""
        self.tree.setCurrentItem(self._items[name])

    def _fill(self) -> None:
        for menu, title in MENUS.items():
            section = QTreeWidgetItem([tr(title).replace("&", "")])
            section.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.tree.addTopLevelItem(section)
            for spec in (spec for spec in ACTIONS if spec.menu == menu):
                item = QTreeWidgetItem([self._actions.title(spec.id), ""])
                item.setData(0, _IdRole, spec.id)
                if spec.icon:
                    item.setIcon(0, icon(spec.icon))
                section.addChild(item)
                self._items[spec.id] = item
            section.setExpanded(True)

    def _current(self) -> str | None:
        item = self.tree.currentItem()
        return None if item is None else item.data(0, _IdRole)

    def _show_current(self) -> None:
        name = self._current()
        for part in (self.edit, self._clear, self._default):
            part.setEnabled(name is not None)
        keys = self._keys[name] if name else []
        self.edit.setKeySequence(QKeySequence(keys[0]) if keys else QKeySequence())

    def _assign(self) -> None:
        key = self.edit.keySequence().toString(QKeySequence.SequenceFormat.PortableText)
        name = self._current()
        if name and key and key not in self._keys[name][:1]:
            self._set_keys([key, *(other for other in self._keys[name][1:] if other != key)])

    def _set_keys(self, keys: list[str]) -> None:
        name = self._current()
        if name is not None:
            self._keys[name] = keys
            self._show_conflicts()
            self._show_current()

    def _restore_one(self) -> None:
        name = self._current()
        if name is not None:
            self._set_keys(self._actions.specs[name].keys.split())

    def _restore_all(self) -> None:
        self._keys = {spec.id: spec.keys.split() for spec in ACTIONS}
        self._show_conflicts()
        self._show_current()

    def _show_conflicts(self) -> None:
        problems = self._problems()
        in_conflict = {name for _, names in problems for name in names}
        for name, item in self._items.items():
            item.setText(1, ", ".join(_shown(key) for key in self._keys[name]))
            brush = QBrush(_CONFLICT) if name in in_conflict else QBrush()
            item.setForeground(1, brush)
        lines = [line for line, _ in problems]
        if lines:
            lines.append(tr("A key can mean one thing only: choose others, then OK."))
        self.warning.setText("\n".join(lines))
        self.warning.setVisible(bool(lines))
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not lines)

    def _problems(self) -> list[tuple[str, list[str]]]:
        """In words, and the actions concerned: keys that would mean two things."""
        found = [
            (
                tr(
                    "{key} is the key of {names}.",
                    key=_shown(key),
                    names=tr(" and of ").join(f"“{self._actions.title(name)}”" for name in names),
                ),
                names,
            )
            for key, names in self._actions.conflicts(self._keys).items()
        ]
        found += [
            (
                tr(
                    "{key} cannot be the key of “{action}”. It is kept for: {purpose}.",
                    key=_shown(key),
                    action=self._actions.title(name),
                    purpose=fixed.title,
                ),
                [name],
            )
            for key, name, fixed in self._actions.fixed(self._keys)
        ]
        return found

    def _filter(self, wanted: str) -> None:
        wanted = wanted.casefold()
        for name, item in self._items.items():
            text = f"{item.text(0)} {item.text(1)} {name}".casefold()
            item.setHidden(wanted not in text)


def _shown(key: str) -> str:
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
