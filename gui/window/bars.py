"""The bars of the window: the tools below the menus, and at the foot hint, brush and zoom."""

from math import exp, log
from pathlib import Path
from typing import Final

from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QStatusBar,
    QToolBar,
    QToolButton,
    QWidget,
)

from gui.actions.actions import Actions
from gui.actions.table import ACTIONS, view_action
from gui.language import tr
from gui.theme import ICON_PX, guard_wheel, lay_out, named
from gui.window.workspace import Workspace
from gui.work.document import LARGEST_BRUSH_PX, Document, ViewMode
from gui.work.operations import Busy
from interaction.annotation.strokes import LEAST_RADIUS_PX
from interaction.annotation.types import FrameStatus
from interaction.engines import EngineSettings
from interaction.formats.looks import fill_opacity
from interaction.session import Session

__all__ = ["StatusLine", "ToolBar", "hint_for"]


def hint_for(workspace: Workspace | None) -> str:
    """For the status line."""
    if workspace is None:
        return tr("Open a video or a folder of pictures, or drop one here.")
    annotator = workspace.annotator
    if annotator.operations.is_stopping:
        return tr("Stopping after the step in progress…")
    if workspace.session.ledger.is_read_only:
        return tr("Open for reading only: look, play and export.")
    if annotator.operations.busy is Busy.PROPAGATING:
        return tr("Tracking. Look around, correct what is done; Space pauses, Esc cancels.")
    if annotator.operations.busy is Busy.LEARNING:
        return tr("Learning. Go on correcting meanwhile; Space pauses, Esc cancels.")
    if annotator.operations.busy is Busy.PAUSED and annotator.learning.is_running:
        return tr("Paused. Space goes on, Esc ends it; no mask changes.")
    if annotator.operations.busy is Busy.PAUSED:
        return tr("Paused. Space goes on, Esc ends it; what is tracked stays.")
    if annotator.operations.busy in (Busy.WORKING, Busy.EXPORTING):
        return tr("Working. Esc cancels.")
    return workspace.canvas.hint + _next_step(workspace)


def _next_step(workspace: Workspace) -> str:
    document = workspace.document
    records = document.annotation.records
    if not records:
        return ""
    record = document.annotation.record(document.frame)
    if record.mask is None:
        return " " + tr("No mask on this frame: track here, or click.")
    if record.status is FrameStatus.CORRECTED and len(records) < document.frame_count:
        first, last = document.whole_range
        if document.frame < last:
            return " " + tr("Looks right? F follows it on.")
        return " " + tr("Looks right? B follows it back.") if document.frame > first else ""
    if record.status is FrameStatus.TRACKED:
        return " " + tr("N goes to the next frame to annotate, Enter confirms this one.")
    return ""


def _beneath(document: Document, x: float, y: float) -> list[int]:
    """The objects with covered pixels at (x, y), from front to back."""
    layers = document.annotation.stack(document.frame)[1:]
    height, width = document.annotation.height, document.annotation.width
    if not (0 <= x < width and 0 <= y < height):
        return []
    return [int(layer[int(y), int(x)]) for layer in layers if layer[int(y), int(x)]]


_BRUSH_STEPS: Final = 100  # equal factors
_BRUSH_SPAN: Final = log(LARGEST_BRUSH_PX / LEAST_RADIUS_PX)
_LOOK_AGAIN_MS = 250  # while something is still on its way to the disk


class _Hint(QLabel):
    """Ends in dots where the line is too long."""

    def paintEvent(self, event: QPaintEvent) -> None:
        place = self.contentsRect()
        text = self.fontMetrics().elidedText(
            self.text(), Qt.TextElideMode.ElideRight, place.width()
        )
        QPainter(self).drawText(place, Qt.AlignmentFlag.AlignVCenter, text)


class StatusLine(QStatusBar):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session: Session | None = None
        self._document: Document | None = None
        self.hint = _Hint(self)
        self.cursor_place, self.saved = QLabel(self), QLabel(self)
        self.brush, self.zoom = QLabel(self), QLabel(self)
        self.cursor_place.setTextFormat(Qt.TextFormat.PlainText)  # names may look like HTML
        for label in (self.hint, self.brush, self.zoom, self.saved):
            label.setContentsMargins(8, 0, 8, 0)
        self.brush.setToolTip(tr("Width of the brush, in the video's pixels ([ and ])"))
        self.zoom.setToolTip(tr("Zoom of the picture (+, -; Z fits it in)"))
        self.zoom.setMinimumWidth(self.fontMetrics().horizontalAdvance("6400 %") + 16)
        self.hint.setMinimumWidth(40)  # the figures need the room more
        self.setSizeGripEnabled(False)
        self.addWidget(self.hint, 1)
        self.brush_slider = named(QSlider(Qt.Orientation.Horizontal, self), tr("Size of the brush"))
        self.brush_slider.setRange(0, _BRUSH_STEPS)
        self.brush_slider.setPageStep(10)
        self.brush_slider.setFixedWidth(120)
        self.brush_slider.setToolTip(self.brush.toolTip())
        self.brush_slider.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.brush_slider.valueChanged.connect(self._choose_brush)
        for widget in (self.cursor_place, self.brush_slider, self.brush, self.zoom, self.saved):
            self.addPermanentWidget(widget)
        self.brush_slider.hide()
        self._again = QTimer(self, singleShot=True, interval=_LOOK_AGAIN_MS)
        self._again.timeout.connect(self._show_saved)

    def show_state(self, workspace: Workspace | None) -> None:
        self.hint.setText(hint_for(workspace))
        self.hint.setToolTip(self.hint.text())  # in a small window the line is cut
        self._session = None if workspace is None else workspace.session
        self._document = None if workspace is None else workspace.document
        if workspace is None:
            for label in (self.cursor_place, self.brush, self.zoom):
                label.clear()
            self.brush_slider.hide()
        else:
            self.show_brush(workspace)
            self.show_zoom(workspace.canvas.zoom)
        self._show_saved()

    def show_brush(self, workspace: Workspace) -> None:
        """Only for tools that have one."""
        width_px = round(2 * workspace.document.brush_radius_px)
        has_brush = workspace.canvas.has_brush
        self.brush.setText(tr("brush {width_px} px", width_px=width_px) if has_brush else "")
        self.brush_slider.setVisible(has_brush)
        step = _BRUSH_STEPS * log(workspace.document.brush_radius_px / LEAST_RADIUS_PX)
        with QSignalBlocker(self.brush_slider):
            self.brush_slider.setValue(round(step / _BRUSH_SPAN))

    def _choose_brush(self, step: int) -> None:
        if self._document is not None:
            radius_px = LEAST_RADIUS_PX * exp(_BRUSH_SPAN * step / _BRUSH_STEPS)
            self._document.set_brush_radius_px(radius_px)

    def show_zoom(self, zoom: float) -> None:
        """zoom: 1.0 is a pixel of the screen for one of the video."""
        percent = 100 * zoom
        self.zoom.setText(
            tr("{percent} %", percent=f"{percent:.0f}" if percent >= 10 else f"{percent:.1f}")
        )

    def show_cursor(self, document: Document, x: float, y: float, object_id: int) -> None:
        """x, y: source pixels, negative outside the picture."""
        if x < 0 or y < 0:
            self.cursor_place.clear()
            return
        text = f"x {int(x)}  y {int(y)}"
        names = [info.name for info in (document.object(one) for one in (object_id,)) if info]
        names += [document.annotation.object(one).name for one in _beneath(document, x, y)]
        self.cursor_place.setText(f"{text} · {tr(' over ').join(names)}" if names else text)

    def _show_saved(self) -> None:
        session = self._session
        if session is None:
            self.saved.clear()
        elif session.ledger.is_read_only:
            self.saved.setText(tr("read only"))
        elif session.project is None:
            self.saved.setText(tr("not kept"))
        elif not session.project.is_made:
            self.saved.setText(tr("no changes"))
        elif session.project.is_saved:
            self.saved.setText(tr("saved"))
        else:
            self.saved.setText(tr("saving…"))
            self._again.start()


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
        self.modes = named(QComboBox(self), tr("View"))
        for mode in ViewMode:
            self.modes.addItem(actions.title(view_action(mode)), mode)
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
        self._model = named(QToolButton(self), tr("Model"))
        self._model.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self._model.setToolTip(tr("What tracks, at which size. Click to choose another."))
        self._model.clicked.connect(actions["file.models"].trigger)
        self.addWidget(self._model)
        for name in ("file.export", "file.preferences", "help.cheat_sheet"):
            self.addAction(actions[name])

    def _opacity_group(self) -> QWidget:
        group = QWidget(self)
        group.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self.opacity = named(QSlider(Qt.Orientation.Horizontal, group), tr("Opacity of the masks"))
        self.opacity.setRange(0, 100)
        self.opacity.setSingleStep(5)
        self.opacity.setPageStep(10)
        self.opacity.setFixedWidth(72)
        self.opacity.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.opacity.valueChanged.connect(self._choose_opacity)
        self.opacity_value = QLabel(group)
        self.opacity_value.setFixedWidth(self.fontMetrics().horizontalAdvance("100 %") + 4)
        for widget in (self.opacity, self.opacity_value):
            widget.setToolTip(tr("Opacity of the masks ({keys})", keys="{ }"))
        parts = (self.opacity, self.opacity_value)
        lay_out(QHBoxLayout(group), *parts, spacing=4, margins=(8, 0, 4, 0))
        return group

    def follow(self, document: Document | None) -> None:
        """Whose view is chosen here; None: nothing is open."""
        self._document = document
        if document is not None:
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
        with QSignalBlocker(self.opacity):
            self.opacity.setValue(round(100 * opacity))
        self.opacity_value.setText(tr("{opacity} %", opacity=round(100 * opacity)))

    def show_model(self, settings: EngineSettings) -> None:
        device = "" if settings.device == "auto" else f" · {settings.device}"
        size = tr("source size")
        if settings.internal_size is not None:
            size = tr("{size} px", size=settings.internal_size)
        self._model.setText(f"{Path(settings.tracker_model).name} · {size}{device}")

    def _choose_mode(self, index: int) -> None:
        # As from the menu: a layer, for one, is asked for where there is none yet.
        self._actions[view_action(self.modes.itemData(index))].trigger()
        if self._document is not None:
            self.show_mode(self._document.view_mode)

    def _choose_opacity(self, percent: int) -> None:
        if self._document is not None:
            self._document.set_opacity(percent / 100)
