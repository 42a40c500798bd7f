"""The row below the menus: tools, undo, how it is shown, and what tracks."""

from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QToolBar,
    QToolButton,
    QWidget,
)

from gui.actions.actions import Actions
from gui.actions.table import ACTIONS
from gui.language import tr
from gui.theme import ICON_PX, guard_wheel
from gui.work.document import Document, ViewMode
from interaction.engines import EngineSettings
from interaction.formats.looks import fill_opacity

__all__ = ["ToolBar"]


class ToolBar(QToolBar):
    """Made of the table's actions; the view is chosen in a list, opacity with a slider."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Tools"))
        self.setObjectName("tools")
        self.setMovable(False)
        self.setIconSize(QSize(ICON_PX, ICON_PX))
        self._document: Document | None = None
        self._actions = actions
        for spec in ACTIONS:
            if spec.group == "tool":
                self.addAction(actions[spec.id])
        self.addSeparator()
        for name in ("edit.undo", "edit.redo"):
            self.addAction(actions[name])
        self.addSeparator()
        self.modes = QComboBox(self)
        self.modes.setAccessibleName(tr("View"))
        for mode in ViewMode:
            self.modes.addItem(actions.title(_action_of(mode)), mode)
        # As wide as its longest name, but in a small window the buttons need the room more.
        self.modes.setMaximumWidth(self.modes.sizeHint().width())
        self.modes.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.modes.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.modes.setMinimumContentsLength(11)
        self.modes.view().setMinimumWidth(self.modes.view().sizeHintForColumn(0) + 24)
        guard_wheel(self.modes)
        self.modes.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.modes.activated.connect(self._choose_mode)
        self.addWidget(self.modes)
        self.addWidget(self._opacity_group())
        space = QWidget(self)
        space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.addWidget(space)
        self._model = QToolButton(self)
        self._model.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self._model.setToolTip(tr("What tracks, at which size. Click to choose another."))
        self._model.setAccessibleName(tr("Model"))
        self._model.clicked.connect(actions["file.models"].trigger)
        self.addWidget(self._model)
        for name in ("file.export", "file.preferences", "help.cheat_sheet"):
            self.addAction(actions[name])

    def _opacity_group(self) -> QWidget:
        group = QWidget(self)
        group.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(group)
        row.setContentsMargins(8, 0, 4, 0)
        row.setSpacing(4)
        self.opacity = QSlider(Qt.Orientation.Horizontal, group)
        self.opacity.setRange(0, 100)
        self.opacity.setSingleStep(5)
        self.opacity.setPageStep(10)
        self.opacity.setFixedWidth(72)
        self.opacity.setAccessibleName(tr("Opacity of the masks"))
        self.opacity.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.opacity.valueChanged.connect(self._choose_opacity)
        self.opacity_value = QLabel(group)
        self.opacity_value.setFixedWidth(self.fontMetrics().horizontalAdvance("100 %") + 4)
        for widget in (self.opacity, self.opacity_value):
            widget.setToolTip(tr("Opacity of the masks ({keys})", keys="{ }"))
            row.addWidget(widget)
        return group

    def follow(self, document: Document) -> None:
        """Whose view is chosen here."""
        self._document = document
        document.opacity_changed.connect(self.show_opacity)
        self.show_opacity(document.opacity)

    def show_mode(self, mode: ViewMode) -> None:
        self.modes.setCurrentIndex(self.modes.findData(mode))
        self.modes.setToolTip(
            tr("View: {mode}. How frame and masks are put together", mode=self.modes.currentText())
        )
        self.opacity.setEnabled(fill_opacity(mode, 0.25) != fill_opacity(mode, 0.75))
        self.opacity_value.setEnabled(self.opacity.isEnabled())

    def show_opacity(self, opacity: float) -> None:
        self.opacity.blockSignals(True)
        self.opacity.setValue(round(100 * opacity))
        self.opacity.blockSignals(False)
        self.opacity_value.setText(tr("{opacity} %", opacity=round(100 * opacity)))

    def show_model(self, settings: EngineSettings) -> None:
        device = "" if settings.device == "auto" else f" · {settings.device}"
        size = tr("source size")
        if settings.internal_size is not None:
            size = tr("{size} px", size=settings.internal_size)
        self._model.setText(f"{Path(settings.tracker_model).name} · {size}{device}")

    def _choose_mode(self, index: int) -> None:
        # As from the menu: a layer, for one, is asked for where there is none yet.
        self._actions[_action_of(self.modes.itemData(index))].trigger()
        if self._document is not None:
            self.show_mode(self._document.view_mode)

    def _choose_opacity(self, percent: int) -> None:
        if self._document is not None:
            self._document.set_opacity(percent / 100)


def _action_of(mode: ViewMode) -> str:
    return f"view.{mode.value.replace(' ', '_')}"
