"""Which frames to annotate next, how many others each repairs, and when nothing is left to do."""

from typing import Final

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QIcon, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from gui.language import tr
from gui.theme import guard_wheel, lay_out, named, remark
from gui.timeline.frame_table import FrameTable
from gui.timeline.thumbnails import Thumbnails
from gui.work.annotator import Annotator
from gui.work.document import LEAST_GOAL, MOST_GOAL, Document
from gui.work.operations import Busy
from interaction.tracking.trust import NextFrame

__all__ = ["NextFramesPanel"]

_ICON_PX: Final = 36
_SETTLE_MS: Final = 200  # changes in a row lead to one list
_FRAME: Final = Qt.ItemDataRole.UserRole


class NextFramesPanel(QWidget):
    """The list follows the annotation, but not during a run: it would change with every frame; nor
    while the panel is hidden."""

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._table = FrameTable.of(document)
        self._thumbnails = Thumbnails.of(document)
        self.setAccessibleName(tr("Next frames"))
        goal = self._goal_row()
        self.state = remark("", self)
        self.state.setContentsMargins(10, 4, 10, 6)
        self.view = named(QListWidget(self), tr("Frames whose correction would repair most"))
        self.view.setFrameShape(QListWidget.Shape.NoFrame)
        width = round(_ICON_PX * self._thumbnails.width_px / self._thumbnails.height_px)
        self.view.setIconSize(QSize(min(width, 2 * _ICON_PX), _ICON_PX))
        self.view.setUniformItemSizes(True)
        self.view.setMinimumHeight(2 * _ICON_PX)
        self.view.setToolTip(tr("Click a frame to go there; N walks through the list"))
        self.view.itemClicked.connect(self._go)
        self.view.itemActivated.connect(self._go)
        lay_out(QVBoxLayout(self), goal, self.state, (self.view, 1), 0, spacing=0)
        self._later = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._later.timeout.connect(self._show)
        self._table.changed.connect(self._show_later)
        document.objects_changed.connect(self._show_later)
        document.range_changed.connect(self._show_later)
        document.goal_changed.connect(self._show_goal)
        document.frame_changed.connect(self._show_frame)
        annotator.operations.busy_changed.connect(self._show_later)
        self._thumbnails.arrived.connect(self._show_thumbnail)

    def _goal_row(self) -> QHBoxLayout:
        self.goal = named(QSpinBox(self), tr("Goal"))
        self.goal.setRange(round(LEAST_GOAL * 100), round(MOST_GOAL * 100))
        self.goal.setSuffix(tr(" %"))
        self.goal.setValue(round(self._document.goal * 100))
        self.goal.setToolTip(
            tr(
                "The expected IoU from which on a tracked mask is good enough.\n"
                "IoU: what mask and truth share, of all that either covers."
            )
        )
        self.goal.setFocusPolicy(Qt.FocusPolicy.TabFocus | Qt.FocusPolicy.ClickFocus)
        guard_wheel(self.goal)
        self.goal.valueChanged.connect(lambda value: self._document.set_goal(value / 100))
        label = QLabel(tr("Goal"), self)
        label.setBuddy(self.goal)
        row = QHBoxLayout()
        lay_out(row, label, self.goal, 1, spacing=8, margins=(10, 6, 10, 0))
        return row

    # What is shown

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show()

    def _show_later(self, *_: object) -> None:
        if self.isVisible() and self._annotator.operations.busy is not Busy.PROPAGATING:
            self._later.start()

    def _show_goal(self, goal: float) -> None:
        self.goal.setValue(round(goal * 100))
        if self.isVisible():
            self._show()

    def _show(self) -> None:
        self._later.stop()
        listed = self._table.next_frames
        self.view.clear()
        for one in listed:
            item = QListWidgetItem(self._text(one))
            item.setData(_FRAME, one.frame)
            item.setSizeHint(QSize(0, _ICON_PX + 6))
            pixmap = self._thumbnails.pixmap(one.frame)
            if pixmap is not None:
                item.setIcon(QIcon(pixmap))
            self.view.addItem(item)
        self._thumbnails.want("next frames", [one.frame for one in listed])
        self.view.setVisible(bool(listed))
        self.state.setText(next_frames_state(self._table))
        self._show_frame(self._document.frame)

    def _text(self, one: NextFrame) -> str:
        info = self._document.object(one.object_id)
        name = "" if info is None else info.name
        repairs = tr("≈ {count} frame", "≈ {count} frames", count=one.mends)
        text = tr("Frame {frame}: {repairs}", frame=one.frame, repairs=repairs)
        iou = tr("expected IoU {iou:.2f}", iou=one.expected_iou)
        return f"{text}\n{iou} · {name}"  # a long name is cut at its end

    def _show_frame(self, frame: int) -> None:
        self.view.clearSelection()
        for item in self._items():
            if item.data(_FRAME) == frame:
                self.view.setCurrentItem(item)

    def _show_thumbnail(self, frame: int) -> None:
        for item in self._items():
            if item.data(_FRAME) == frame:
                item.setIcon(QIcon(self._thumbnails.pixmap(frame) or QIcon()))

    def _items(self) -> list[QListWidgetItem]:
        return [self.view.item(row) for row in range(self.view.count())]

    def _go(self, item: QListWidgetItem) -> None:
        self._document.set_frame(int(item.data(_FRAME)))


def next_frames_state(table: FrameTable) -> str:
    """What the list of next frames says of the video: what is in it, or why it is empty, and how
    many frames have no mask yet."""
    listed, missing = table.next_frames, table.frames_without_mask
    if not listed and not table.is_tracked.any():
        return tr(
            "Nothing is tracked yet. After a run, the frames whose correction repairs most are "
            "listed here."
        )
    lines = []
    if listed:
        lines.append(tr("Correct these first; each repairs others when you track again."))
    elif missing:
        lines.append(tr("Nothing that is tracked so far is below the goal."))
    else:
        lines.append(tr("Nothing below the goal remains."))
    if missing:
        lines.append(
            tr(
                "{count} frame has no mask yet: track on.",
                "{count} frames have no mask yet: track on.",
                count=missing,
            )
        )
    return "\n".join(lines)
