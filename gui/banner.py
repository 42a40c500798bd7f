"""A line above the picture: what happened, what is safe, and one button that helps."""

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from gui.theme import ICON_PX, icon

__all__ = ["Banner"]

_NOTICE_MS = 8000


class Banner(QFrame):
    """Hidden until there is something to say. Errors stay until they are closed; notices go."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAutoFillBackground(True)
        self._picture = QLabel(self)
        self._text = QLabel(self)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._more = QToolButton(self)
        self._more.setText(self.tr("More"))
        self._more.setCheckable(True)
        self._more.toggled.connect(self._show_text)
        self.button = QPushButton(self)
        self.button.clicked.connect(self._help)
        self._close = QToolButton(self)
        self._close.setIcon(icon("x"))
        self._close.setAutoRaise(True)
        self._close.setAccessibleName(self.tr("Close this message"))
        self._close.setToolTip(self.tr("Close this message"))
        self._close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 8, 6)
        row.addWidget(self._picture)
        row.addWidget(self._text, 1)
        row.addWidget(self._more)
        row.addWidget(self.button)
        row.addWidget(self._close)
        self._summary = self._details = ""
        self._on_button: Callable[[], object] | None = None
        self._going = QTimer(self)
        self._going.setSingleShot(True)
        self._going.setInterval(_NOTICE_MS)
        self._going.timeout.connect(self.hide)
        self.hide()

    @property
    def text(self) -> str:
        return self._text.text()

    def show_notice(self, text: str) -> None:
        """Something to know. It goes by itself."""
        self._say("info", text, "", None, None)
        self._going.start()

    def show_error(
        self,
        summary: str,
        details: str = "",
        button: str | None = None,
        on_button: Callable[[], object] | None = None,
    ) -> None:
        self._going.stop()
        self._say("triangle-alert", summary, details, button, on_button)

    def _say(
        self,
        picture: str,
        summary: str,
        details: str,
        button: str | None,
        on_button: Callable[[], object] | None,
    ) -> None:
        self._picture.setPixmap(icon(picture).pixmap(ICON_PX, ICON_PX))
        self._summary, self._details, self._on_button = summary, details, on_button
        self._more.setVisible(bool(details))
        self._more.setChecked(False)
        self.button.setVisible(button is not None)
        self.button.setText(button or "")
        self._show_text(False)
        self.setAccessibleName(summary)
        self.show()

    def _show_text(self, is_whole: bool) -> None:
        self._text.setText(f"{self._summary}\n\n{self._details}" if is_whole else self._summary)

    def _help(self) -> None:
        self.hide()
        if self._on_button is not None:
            self._on_button()
