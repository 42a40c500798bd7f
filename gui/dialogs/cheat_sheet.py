"""All keys at a glance, to look at and to print."""

from html import escape

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QKeySequence, QPageLayout, QTextDocument
from PySide6.QtPrintSupport import QPrintDialog, QPrinter
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from gui.action_table import ACTIONS, MENUS
from gui.actions import Actions

__all__ = ["CheatSheet", "cheat_sheet_html"]

_COLUMNS = 2


def _tr(text: str) -> str:
    return QCoreApplication.translate("CheatSheet", text)


def mouse_rows() -> list[tuple[str, str]]:
    """What the mouse does, which no action's shortcut tells."""
    return [
        (_tr("Left, right click"), _tr("Add to the object, take away (click tool)")),
        (_tr("Ctrl+click"), _tr("Make the object under the cursor current")),
        (_tr("Wheel, pinch"), _tr("Zoom about the cursor")),
        (_tr("Ctrl+wheel"), _tr("Size of the brush")),
        (_tr("Space or middle button, drag"), _tr("Move the picture")),
        (_tr("Shift, Alt while painting"), _tr("Straight line, erase")),
        (_tr("Enter, Backspace"), _tr("Close a polygon, take its last corner back")),
        (_tr("Hold H"), _tr("Hide the masks")),
        ("1 … 9", _tr("The objects in order")),
        ("K, L", _tr("While it plays: stop, go forward (also after K); again: faster")),
    ]


def cheat_sheet_html(actions: Actions) -> str:
    """The sheet as a page."""
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
            sections.append((QCoreApplication.translate("Actions", title).replace("&", ""), rows))
    sections.append((_tr("Mouse and more"), mouse_rows()))
    # Filled top to bottom, the shortest column first, so that it fits on one page.
    columns: list[list[str]] = [[] for _ in range(_COLUMNS)]
    heights = [0] * _COLUMNS
    for title, rows in sections:
        shortest = heights.index(min(heights))
        heights[shortest] += len(rows) + 2
        lines = "".join(
            f"<tr><td width='150'><b>{escape(keys)}</b></td><td>{escape(text)}</td></tr>"
            for keys, text in rows
        )
        columns[shortest].append(f"<h3>{escape(title)}</h3><table>{lines}</table>")
    cells = "".join(f"<td valign='top' width='50%'>{''.join(parts)}</td>" for parts in columns)
    return f"<table width='100%' cellpadding='6'><tr>{cells}</tr></table>"


class CheatSheet(QDialog):
    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Keys at a glance"))
        self.resize(880, 680)
        self._page = QTextBrowser(self)
        self._page.setAccessibleName(self.windowTitle())
        self._page.setHtml(cheat_sheet_html(actions))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        self._print = buttons.addButton(self.tr("Print…"), QDialogButtonBox.ButtonRole.ActionRole)
        buttons.button(QDialogButtonBox.StandardButton.Close).setDefault(True)
        self._print.clicked.connect(self._ask_for_printer)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self._page)
        column.addWidget(buttons)

    def print_to(self, printer: QPrinter) -> None:
        page = QTextDocument(self)
        page.setHtml(self._page.toHtml())
        page.print_(printer)

    def _ask_for_printer(self) -> None:
        printer = QPrinter(QPrinter.PrinterMode.HighResolution)
        printer.setPageOrientation(QPageLayout.Orientation.Landscape)
        if QPrintDialog(printer, self).exec() == QDialog.DialogCode.Accepted:
            self.print_to(printer)
