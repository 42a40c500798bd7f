"""The row below the menus: tools, undo, how it is shown, and what tracks."""

from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QComboBox, QSizePolicy, QToolBar, QToolButton, QWidget

from gui.actions import Actions
from gui.document import Document
from gui.theme import ICON_PX
from gui.view_state import Tool, ViewMode
from interaction.engines import EngineSettings

__all__ = ["ToolBar"]


class ToolBar(QToolBar):
    """Made of the table's actions; the view is chosen in a list."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Tools"))
        self.setObjectName("tools")
        self.setMovable(False)
        self.setIconSize(QSize(ICON_PX, ICON_PX))
        self._document: Document | None = None
        for tool in Tool:
            self.addAction(actions[f"tool.{tool.value}"])
        self.addSeparator()
        for name in ("edit.undo", "edit.redo"):
            self.addAction(actions[name])
        self.addSeparator()
        self.modes = QComboBox(self)
        self.modes.setAccessibleName(self.tr("View"))
        self.modes.setToolTip(self.tr("How frame and masks are put together"))
        for mode in ViewMode:
            self.modes.addItem(actions.title(f"view.{mode.value.replace(' ', '_')}"), mode)
        self.modes.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.modes.activated.connect(self._choose_mode)
        self.addWidget(self.modes)
        space = QWidget(self)
        space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.addWidget(space)
        self._model = QToolButton(self)
        self._model.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self._model.setToolTip(self.tr("What tracks, at which size. Click to choose another."))
        self._model.setAccessibleName(self.tr("Model"))
        self._model.clicked.connect(actions["file.models"].trigger)
        self.addWidget(self._model)
        for name in ("file.export", "file.preferences", "help.cheat_sheet"):
            self.addAction(actions[name])

    def follow(self, document: Document) -> None:
        """Whose view is chosen here."""
        self._document = document

    def show_mode(self, mode: ViewMode) -> None:
        self.modes.setCurrentIndex(self.modes.findData(mode))

    def show_model(self, settings: EngineSettings) -> None:
        device = "" if settings.device == "auto" else f" · {settings.device}"
        size = self.tr("source size")
        if settings.internal_size is not None:
            size = self.tr("{} px").format(settings.internal_size)
        self._model.setText(f"{Path(settings.tracker_model).name} · {size}{device}")

    def _choose_mode(self, index: int) -> None:
        if self._document is not None:
            self._document.set_view_mode(self.modes.itemData(index))
            self.show_mode(self._document.view_mode)
