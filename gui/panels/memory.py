"""What the tracker remembers: how full its memories are, and which frames are in them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from PySide6.QtCore import QLocale, QPoint, QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import (
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.language import tr
from gui.panels.memory_frames import Entry, FrameGroup, entries
from gui.theme import ACCENT, flat_button, guard_wheel, lay_out, named
from gui.timeline.frame_table import FrameTable
from gui.timeline.thumbnails import Thumbnails
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Progress
from interaction.annotation.requests import MemoryUse, Remembered
from interaction.annotation.types import MemoryRule
from interaction.engines import MEMORY_LIMITS
from xmem_core.messages import Message

__all__ = ["MemoryPanel"]

_SETTLE_MS: Final = 100  # changes in a row are shown at once
_GIB: Final = 2**30
_EMPTY: Final = {  # titles of groups without frames
    "permanent": Message("Permanent: frames that you correct, confirm or pin are kept for ever."),
    "working": Message("Working: filled while a run goes on."),
    "long_term": Message("Long-term: distilled from working memory when that is full."),
    "excluded": "",
}


class MemoryPanel(QWidget):
    """Gauges of the last propagation, the limits of the tracker's memory, and the frames in it, to
    look at, pin and take out.

    A run is asked which frames it remembers only while the panel is seen.
    """

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document, self._annotator = document, annotator
        self._thumbnails = Thumbnails.of(document)
        self._remembered: Remembered | None = None
        self.setAccessibleName(tr("Memory"))
        self.use = MemoryGauges(document, self)
        self.limits = MemoryLimits(document, annotator, self)
        middle = self._middle_row()
        self.unknown = QLabel(tr("This model does not say which frames it remembers."), self)
        self.unknown.setWordWrap(True)
        self.unknown.hide()
        self.groups = {
            name: FrameGroup(name, self._thumbnails, self)
            for name in ("permanent", "working", "long_term", "excluded")
        }
        parts = (self.use, middle, self.unknown, (self._scrolled(), 1))
        lay_out(QVBoxLayout(self), *parts, spacing=4, margins=(10, 6, 10, 6))
        self._later = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._later.timeout.connect(self._show_frames)

        annotator.operations.progressed.connect(self._show_progress)
        annotator.tracking.remembered.connect(self.show_remembered)
        FrameTable.of(document).changed.connect(self._show_soon)
        document.memory_rules_changed.connect(self._show_soon)
        document.frame_changed.connect(self._show_current)
        self._show_frames()

    def shutdown(self) -> None:
        """Ends the thread that makes thumbnails."""
        self._thumbnails.close()

    def _middle_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.limits, 1)
        self.pin = named(flat_button("bookmark", 16, self), tr("Pin the selected frame"))
        self.pin.setToolTip(
            tr("Pin (P): this frame stays in memory, and no run replaces its mask; or unpin it")
        )
        self.pin.clicked.connect(lambda: self._on_selected(self._pin))
        row.addWidget(self.pin, 0, Qt.AlignmentFlag.AlignTop)
        self.remove = named(flat_button("x", 16, self), tr("Take the selected frame out of memory"))
        self.remove.setToolTip(
            tr("Take out of memory and keep out (Delete), also of a run that goes on; masks stay")
        )
        self.remove.clicked.connect(lambda: self._on_selected(self._evict))
        row.addWidget(self.remove, 0, Qt.AlignmentFlag.AlignTop)
        return row

    def _scrolled(self) -> QScrollArea:
        inner = QWidget(self)
        for group in self.groups.values():
            group.chosen.connect(partial(self._follow_choice, group))
            group.gone_to.connect(self._document.set_frame)
            group.pinned.connect(self._pin)
            group.evicted.connect(self._evict)
            group.view.customContextMenuRequested.connect(partial(self._open_menu, group))
        lay_out(QVBoxLayout(inner), *self.groups.values(), 1, spacing=2)
        area = QScrollArea(self)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setMinimumHeight(64)  # the picture needs the room more
        area.setWidget(inner)
        area.verticalScrollBar().setAccessibleName(tr("Scroll through memory"))
        return area

    # What can be done

    def _on_selected(self, do: Callable[[Entry], None]) -> None:
        one = self.selected
        if one is not None:
            do(one)

    @property
    def selected(self) -> Entry | None:
        return next((g.selected for g in self.groups.values() if g.selected is not None), None)

    def _pin(self, one: Entry) -> None:
        rule = MemoryRule.FREE if one.rule is MemoryRule.PINNED else MemoryRule.PINNED
        self._annotator.hand.tell_memory(one.frame, one.last, rule)

    def _evict(self, one: Entry) -> None:
        is_out = one.rule is MemoryRule.EXCLUDED
        rule = MemoryRule.FREE if is_out else MemoryRule.EXCLUDED
        self._annotator.hand.tell_memory(one.frame, one.last, rule)

    def _open_menu(self, group: FrameGroup, place: QPoint) -> None:
        one = group.entry_at(place)
        if one is None or self._document.session.ledger.is_read_only:
            return
        in_range = self._document.whole_range if self._document.has_range else None
        group.menu(one, in_range).popup(group.view.viewport().mapToGlobal(place))

    # What is shown

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._annotator.tracking.reports_memory = True
        self._show_frames()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._annotator.tracking.reports_memory = False

    def show_remembered(self, remembered: Remembered) -> None:
        """What a run remembers."""
        self._remembered = remembered
        self._show_soon()

    def _show_soon(self, *_: object) -> None:
        """Once for many changes in a row; when it is hidden, as it is shown again."""
        if self.isVisible() and not self._later.isActive():
            self._later.start()

    def _show_frames(self) -> None:
        groups = entries(self._document, self._remembered)
        self.unknown.setVisible(self._remembered is not None and not self._remembered.is_known)
        for name, rows in groups.items():
            self.groups[name].show_entries(rows, _title(name, rows))
        self.groups["excluded"].setVisible(bool(groups["excluded"]))
        self._show_current(self._document.frame)

    def _show_current(self, frame: int) -> None:
        """The current frame is the selected one, in the first group that has it."""
        is_found = False
        for group in self.groups.values():
            if is_found:
                group.view.clearSelection()
            else:
                is_found = group.select(frame)
        self._show_buttons()

    def _follow_choice(self, group: FrameGroup) -> None:
        if group.selected is not None:
            for other in self.groups.values():
                if other is not group:
                    other.view.clearSelection()
        self._show_buttons()

    def _show_buttons(self) -> None:
        one = self.selected
        may_change = one is not None and not self._document.session.ledger.is_read_only
        self.remove.setEnabled(may_change)
        is_out = one is not None and one.rule is MemoryRule.EXCLUDED
        self.pin.setEnabled(may_change and not is_out)

    def _show_progress(self, progress: Progress) -> None:
        if isinstance(progress.memory, MemoryUse):
            self.use.show_use(progress.memory)


def _title(name: str, rows: Sequence[Entry]) -> str:
    """Of a group: how many frames, and what they give together."""
    recent = sum(one.gives.recent for one in rows if one.gives is not None)
    count = sum(one.last - one.frame + 1 for one in rows)
    if not rows:
        return tr(_EMPTY[name])
    text = {
        "permanent": tr("Permanent: one frame", "Permanent: {count} frames", count=count),
        "working": tr("Working: one frame", "Working: {count} frames", count=count),
        "long_term": tr("Long-term: one frame", "Long-term: {count} frames", count=count),
        "excluded": tr("Kept out: one frame", "Kept out: {count} frames", count=count),
    }[name]
    if not any(one.gives is not None for one in rows):
        return text
    return tr("{group}, {share:.0f} %", group=text, share=100 * recent)


class MemoryGauges(QWidget):
    """How full the memories are."""

    def __init__(self, document: Document, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document = document
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(3)
        self.gauges: dict[str, _Gauge] = {}
        self.figures: dict[str, QLabel] = {}
        for row, (name, text, tip) in enumerate(
            (
                ("working", tr("Working"), tr("The last frames, in full")),
                (
                    "long_term",
                    tr("Long-term"),
                    tr("What was distilled from them, the most used kept"),
                ),
                ("permanent", tr("Permanent"), tr("Frames you corrected or confirmed")),
                ("device", tr("Device"), tr("Memory this program uses on the device")),
            )
        ):
            label = QLabel(text, self)
            gauge = _Gauge(self)
            figure = QLabel(self)
            figure.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for widget in (label, gauge, figure):
                widget.setToolTip(tip)
            gauge.setAccessibleName(text)
            figure.setAccessibleName(text)
            self.gauges[name], self.figures[name] = gauge, figure
            grid.addWidget(label, row, 0)
            grid.addWidget(gauge, row, 1)
            grid.addWidget(figure, row, 2)
        grid.setColumnStretch(1, 1)
        self.show_use(None)

    def show_use(self, use: MemoryUse | None) -> None:
        """use: None before anything was tracked."""
        if use is None:
            for name, figure in self.figures.items():
                figure.setText("–")
                self.gauges[name].show_share(None)
            return
        settings = self._document.session.engines.settings
        elements = max(1, use.permanent + use.working + use.long_term)
        for name, count in (("working", use.working), ("permanent", use.permanent)):
            self.figures[name].setText(QLocale().toString(count))
            self.gauges[name].show_share(count / elements)
        most = settings.memory.max_long_term
        self.figures["long_term"].setText(QLocale().toString(use.long_term))
        self.gauges["long_term"].show_share(use.long_term / most)
        self.gauges["long_term"].setToolTip(tr("At most {size}", size=most))
        self.figures["device"].setText(_gibibytes(use.device_bytes))
        self.gauges["device"].show_share(None)


_STEPS: Final = {"max_long_term": 1_000, "prototypes": 32}


class MemoryLimits(QWidget):
    """The limits of the tracker's memory, folded away until they are asked for.

    A change holds from the next frame on, also of a propagation that runs, and for this project.
    """

    def __init__(
        self, document: Document, annotator: Annotator, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._document = document
        self.fold = named(QToolButton(self), tr("Limits of the tracker's memory"))
        self.fold.setText(tr("Limits"))
        self.fold.setToolTip(
            tr("What the tracker may remember, for this project, from the next frame on")
        )
        self.fold.setCheckable(True)
        self.fold.setAutoRaise(True)
        self.fold.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.toggled.connect(self._unfold)
        self.rows = QWidget(self)
        self.boxes: dict[str, QSpinBox] = {}
        form = QFormLayout(self.rows)
        form.setContentsMargins(18, 0, 0, 4)
        form.setVerticalSpacing(2)
        for name, title, tip in self._texts():
            form.addRow(title, self._box(name, title, tip))
        self.reset = QPushButton(tr("Reset to default"), self.rows)
        self.reset.setToolTip(tr("The limits that the preferences and the program say"))
        self.reset.clicked.connect(lambda: document.set_memory_limits({}))
        form.addRow(self.reset)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.fold, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.rows)
        document.memory_limits_changed.connect(self._show)
        annotator.operations.changed.connect(self._show)  # the preferences may have changed
        self._unfold(False)

    def _texts(self) -> tuple[tuple[str, str, str], ...]:
        """Name, title and what it does, in the order of the rows."""
        return (
            (
                "memorize_every",
                tr("Memorise every"),
                tr(
                    "Frames between two that working memory takes in. Fewer: follows changes "
                    "better, takes more time. Other projects: see the preferences."
                ),
            ),
            (
                "top_k",
                tr("Top k"),
                tr(
                    "Memory elements that each place of the picture looks at. More: smoother, "
                    "and look-alikes are mixed up more easily."
                ),
            ),
            (
                "min_working_frames",
                tr("Working, least"),
                tr("Frames that stay in working memory when the rest is distilled"),
            ),
            (
                "max_working_frames",
                tr("Working, most"),
                tr(
                    "Working memory is distilled on reaching so many frames. More: more exact, "
                    "slower, needs more memory."
                ),
            ),
            (
                "prototypes",
                tr("Prototypes"),
                tr("Elements that long-term memory gets each time working memory is full"),
            ),
            (
                "max_long_term",
                tr("Long-term, most"),
                tr("Elements of long-term memory; the least used make room for new ones"),
            ),
        )

    def _box(self, name: str, title: str, tip: str) -> QSpinBox:
        allowed = MEMORY_LIMITS[name]
        box = QSpinBox(self.rows)
        box.setRange(allowed[0], allowed[-1])
        box.setSingleStep(_STEPS.get(name, 1))
        box.setKeyboardTracking(False)  # a number that is being typed is none yet
        if name in ("memorize_every", "min_working_frames", "max_working_frames"):
            box.setSuffix(tr(" frames"))
        box.setToolTip(f"{tip} ({allowed[0]}–{allowed[-1]})")
        box.setAccessibleName(title)
        box.setAccessibleDescription(tip)
        box.valueChanged.connect(lambda value: self._set(name, value))
        guard_wheel(box)
        self.boxes[name] = box
        return box

    def _unfold(self, is_open: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow
        self.fold.setArrowType(arrow)
        self.rows.setVisible(is_open)
        self._show()

    def _set(self, name: str, value: int) -> None:
        """What the new value leaves no room for gives way to it."""
        limits = self._document.memory_limits
        if limits[name] == value:
            return
        for other, allowed in MEMORY_LIMITS.items():  # the command line allows more
            limits[other] = min(max(limits[other], allowed[0]), allowed[-1])
        limits[name] = value
        least, most = limits["min_working_frames"], limits["max_working_frames"]
        if least >= most and name == "min_working_frames":
            most = least + 1
        elif least >= most:
            least = most - 1
        ceiling = MEMORY_LIMITS["max_working_frames"][-1]
        limits["max_working_frames"] = min(most, ceiling)
        limits["min_working_frames"] = min(least, ceiling - 1)
        if name == "prototypes":
            limits["max_long_term"] = max(limits["max_long_term"], value)
        else:
            limits["prototypes"] = min(limits["prototypes"], limits["max_long_term"])
        self._document.set_memory_limits(limits)
        self._show()

    def _show(self) -> None:
        for name, value in self._document.memory_limits.items():
            box = self.boxes[name]
            if box.value() != value:
                with QSignalBlocker(box):
                    box.setValue(value)
        self.reset.setEnabled(bool(self._document.session.engines.limits))


class _Gauge(QWidget):
    """A thin bar."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._share: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(16)
        self.setMinimumWidth(40)

    def show_share(self, share: float | None) -> None:
        """0 to 1; None where there is nothing to compare with."""
        self._share = share
        self.setAccessibleDescription("" if share is None else f"{round(100 * share)} %")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._share is None:
            return
        painter = QPainter(self)
        area = self.rect().adjusted(0, 5, 0, -5)
        painter.fillRect(area, self.palette().color(self.palette().ColorRole.Midlight))
        area.setWidth(round(area.width() * max(0.0, min(self._share, 1.0))))
        painter.fillRect(area, ACCENT)
        painter.end()


def _gibibytes(size_bytes: int) -> str:
    if size_bytes < _GIB // 10:
        return f"{size_bytes / 2**20:.0f} MiB"
    return tr("{size:.2f} GiB", size=size_bytes / _GIB)
