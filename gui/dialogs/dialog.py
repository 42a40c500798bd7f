"""What all dialogs of the window have in common."""

from collections.abc import Callable
from functools import cached_property

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QVBoxLayout, QWidget

from gui.theme import Part, lay_out

__all__ = ["Dialog"]

_Buttons = QDialogButtonBox.StandardButton


class Dialog(QDialog):
    """Deletes itself when it is closed."""

    def __init__(
        self,
        title: str,
        parent: QWidget | None,
        size: QSize | None = None,
        buttons: QDialogButtonBox.StandardButton | None = _Buttons.Close,
    ) -> None:
        """size: to begin with; None: what the parts need. buttons: to begin with; None: there is
        no row of buttons."""
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        if size is not None:
            self.resize(size)
        self._standard = buttons

    @cached_property
    def buttons(self) -> QDialogButtonBox:
        """Made when it is first asked for, after the parts: the Tab key comes to it last."""
        buttons = QDialogButtonBox(self._standard or _Buttons.NoButton, self)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        return buttons

    def add_button(self, text: str, do: Callable[[], object]) -> QPushButton:
        button = self.buttons.addButton(text, QDialogButtonBox.ButtonRole.ActionRole)
        button.clicked.connect(lambda: do())
        return button

    def lay_out(self, *parts: Part) -> None:
        """One below the other, see `gui.theme.lay_out`; the buttons last."""
        buttons = () if self._standard is None else (self.buttons,)
        lay_out(QVBoxLayout(self), *parts, *buttons, margins=(-1, -1, -1, -1))
