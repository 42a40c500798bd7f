"""The commands: their keys at a glance, the editor of keys, and the search."""

from html import escape
from typing import Final

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QKeySequence,
    QPageLayout,
    QPainter,
    QPalette,
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
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTextBrowser,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from gui.actions.actions import Actions
from gui.actions.table import ACTIONS, MENUS, ActionSpec, Needs
from gui.dialogs.dialog import Dialog
from gui.language import tr
from gui.theme import icon, lay_out, named

__all__ = ["CheatSheet", "CommandSearch", "ShortcutsDialog", "cheat_sheet_html"]


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
        self.tree = named(QTreeWidget(self), tr("Actions and their keys"))
        self.tree.setHeaderLabels([tr("Action"), tr("Keys")])
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.tree.header().setStretchLastSection(False)
        self.tree.header().resizeSection(1, 200)
        self.tree.currentItemChanged.connect(self._show_current)
        self._items: dict[str, QTreeWidgetItem] = {}
        self._fill()

        self.edit = named(QKeySequenceEdit(self), tr("New key"))
        self.edit.setMaximumSequenceLength(1)
        self.edit.editingFinished.connect(self._assign)
        self._clear = QPushButton(tr("None"), self)
        self._clear.setToolTip(tr("This action gets no key"))
        self._clear.clicked.connect(lambda: self._set_keys([]))
        self._default = QPushButton(tr("Default"), self)
        self._default.clicked.connect(self._restore_one)
        row = QHBoxLayout()
        ask = QLabel(tr("Press the new key:"), self)
        lay_out(row, ask, (self.edit, 1), self._clear, self._default)
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


_KeysRole: Final = _IdRole + 1
_NATIVE: Final = QKeySequence.SequenceFormat.NativeText
_STEM: Final = 4  # letters that identify a word
_PASSED_ON: Final = {Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown}


class CommandSearch(Dialog):
    """Type, choose with the arrows, Enter. What cannot be done now is grey and says why."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(tr("Find a command"), parent, QSize(520, 420), None)
        self._actions = actions
        self.search = QLineEdit(self)
        self.search.setPlaceholderText(tr("Search commands"))
        self.search.setAccessibleName(self.search.placeholderText())
        self.search.textChanged.connect(self._filter)
        self.search.returnPressed.connect(self._run)
        self.search.installEventFilter(self)
        self.list = named(QListWidget(self), tr("Commands"))
        self.list.setUniformItemSizes(True)
        self.list.setIconSize(QSize(18, 18))
        self.list.setItemDelegate(_WithKeys(self.list))
        self.list.itemActivated.connect(self._run)
        self.lay_out(self.search, self.list)
        self._filter("")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.key() in _PASSED_ON:
            self.list.event(event)
            return True
        return super().eventFilter(watched, event)

    def _filter(self, text: str) -> None:
        words = text.casefold().split()
        found: list[tuple[bool, bool, int, ActionSpec, str]] = []
        for spec in ACTIONS:
            title = self._actions.title(spec.id)
            words_of = self._actions.words(spec.id)
            hay = f"{title} {spec.tip} {spec.menu} {words_of}".casefold()
            if all(_is_in(word, hay) for word in words):
                begins = bool(words) and title.casefold().startswith(words[0])
                is_enabled = self._actions[spec.id].isEnabled()
                found.append((not is_enabled, not begins, len(found), spec, title))
        self.list.clear()
        for is_off, _, _, spec, title in sorted(found, key=lambda one: one[:3]):
            keys = self._actions[spec.id].shortcut().toString(_NATIVE)
            item = QListWidgetItem(title)
            item.setData(Qt.ItemDataRole.AccessibleDescriptionRole, keys)
            item.setIcon(self._actions[spec.id].icon())
            item.setData(_IdRole, spec.id)
            if is_off:
                reason = self._reason(self._actions.missing(spec.id))
                item.setText(f"{item.text()}    – {reason}" if reason else item.text())
                item.setFlags(Qt.ItemFlag.NoItemFlags)
            else:
                item.setData(_KeysRole, keys)
            self.list.addItem(item)
        if not found:
            nothing = QListWidgetItem(tr("No command fits “{text}”.", text=text.strip()))
            nothing.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(nothing)
        self.list.setCurrentRow(0)

    def _reason(self, missing: Needs) -> str:
        """Why it cannot be done now; the one thing to do about it first."""
        reasons = (
            (Needs.PROJECT, tr("open a video first")),
            (Needs.WRITABLE, tr("this project can only be read")),
            (Needs.RUN, tr("only while it tracks or learns")),
            (Needs.IDLE, tr("not while it tracks or learns")),
            (Needs.OBJECT, tr("choose an object first")),
            (Needs.MASK, tr("this frame has no mask")),
            (Needs.GIVEN, tr("correct or confirm a few frames first")),
            (Needs.LEARNED, tr("nothing was learned yet")),
            (Needs.UNDO, tr("nothing to undo")),
            (Needs.REDO, tr("nothing to redo")),
            (Needs.BUSY, tr("nothing to cancel or to take back")),
        )
        if self._actions.missing("file.close"):  # nothing is open: that comes first
            return tr("open a video first")
        return next((text for need, text in reasons if need in missing), "")

    def _run(self) -> None:
        item = self.list.currentItem()
        if item is None or not item.flags() & Qt.ItemFlag.ItemIsEnabled:
            return
        action = self._actions[item.data(_IdRole)]
        self.accept()
        action.trigger()


class _WithKeys(QStyledItemDelegate):
    """The keys of a command stand at the right, where they are no part of its name."""

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        super().paint(painter, option, index)
        keys = index.data(_KeysRole)
        if not keys:
            return
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        role = QPalette.ColorRole.HighlightedText if is_chosen else QPalette.ColorRole.Text
        painter.save()
        painter.setPen(option.palette.color(role))
        place = option.rect.adjusted(0, 0, -8, 0)
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(place, int(flags), keys)
        painter.restore()


def _is_in(word: str, text: str) -> bool:
    """Whether the text has the word, or another form of it: “tracking” finds “track”."""
    return word in text or any(
        len(other) >= _STEM and word.startswith(other) for other in text.split()
    )
