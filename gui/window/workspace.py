"""One open session on the screen: canvas, panels, timeline and their threads."""

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QByteArray, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QDialog,
    QScrollArea,
    QSplitter,
    QStyle,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from gui.canvas.view import CanvasView
from gui.errors import FloatingBanner, Offer
from gui.language import tr
from gui.panels.history import HistoryPanel
from gui.panels.memory import MemoryPanel
from gui.panels.next_frames import NextFramesPanel
from gui.panels.objects import ObjectsPanel
from gui.panels.propagation import PropagationPanel
from gui.theme import UNLIMITED_PX, lay_out
from gui.timeline.cuts import Cuts
from gui.timeline.player import Player
from gui.timeline.timeline import Timeline
from gui.timeline.transport import Transport
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.learning import learned_from
from gui.work.operations import Busy, EngineThread
from interaction.session import Session

__all__ = ["PanelColumn", "Workspace"]


class PanelColumn(QScrollArea):
    """Lines between the panels can be dragged; no panel is ever smaller than it can be."""

    def __init__(
        self, panels: Sequence[QWidget], stretches: Sequence[int], parent: QWidget | None = None
    ) -> None:
        """stretches: what share of further room each panel takes."""
        super().__init__(parent)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.splitter = QSplitter(Qt.Orientation.Vertical, self)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(1)
        for index, (panel, stretch) in enumerate(zip(panels, stretches, strict=True)):
            self.splitter.addWidget(panel)
            self.splitter.setStretchFactor(index, stretch)
        self.setWidget(self.splitter)
        self.verticalScrollBar().setAccessibleName(tr("Scroll through the panels"))

    def sizeHint(self) -> QSize:
        return self.splitter.sizeHint()

    def minimumSizeHint(self) -> QSize:
        bar_px = self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent, None, self)
        return QSize(self.splitter.minimumSizeHint().width() + bar_px, 120)


_LEAST_PANELS_PX: Final = 284
_MOST_PANELS_PX: Final = 420
_PANELS_SHARE: Final = 1 / 6  # of a window in which that lies between them


class Workspace(QWidget):
    """Owns everything that lives as long as the session is open. Call `shutdown` before it goes."""

    panels_toggled = Signal(bool)
    timeline_toggled = Signal(bool)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.document = Document(session, self)
        self.engine = EngineThread("engine", self)
        self.files = EngineThread("files", self)
        self.annotator = Annotator(self.document, self.engine, self.files, self)
        self.player = Player(self.document, self)
        self.canvas = CanvasView(self.document, self.annotator, self)
        self.objects_panel = ObjectsPanel(self.document, self.annotator, self)
        self.propagation_panel = PropagationPanel(self.document, self.annotator, self)
        self.memory_panel = MemoryPanel(self.document, self.annotator, self)
        self.history_panel = HistoryPanel(self.document, self.annotator, self)
        self.next_panel = NextFramesPanel(self.document, self.annotator, self)
        self.timeline = Timeline(self.document, self.annotator, self)
        self.transport = Transport(self.document, self.annotator, self.player, self.timeline, self)
        self.canvas.work_begun.connect(self.player.stop_at)
        self.timeline.went.connect(self.player.stop)
        self._lay_out()
        Cuts.of(self.document).find_soon()
        self.setAcceptDrops(False)  # the window takes them all

    def _lay_out(self) -> None:
        picture = QWidget(self)
        lay_out(QVBoxLayout(picture), self.canvas)
        self.banner = FloatingBanner(picture)

        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setAccessibleName(tr("Next frames, memory and history"))
        self.tabs.addTab(self.next_panel, tr("Next"))
        self.tabs.addTab(self.memory_panel, tr("Memory"))
        self.tabs.addTab(self.history_panel, tr("History"))
        self.panels = PanelColumn(
            (self.objects_panel, self.propagation_panel, self.tabs), (3, 0, 3), self
        )

        self.upper_half = self._split(Qt.Orientation.Horizontal, picture, self.panels)
        self.lower_half = QWidget(self)
        lay_out(QVBoxLayout(self.lower_half), self.transport, (self.timeline, 1), spacing=0)
        self.splitter = self._split(Qt.Orientation.Vertical, self.upper_half, self.lower_half)
        lay_out(QVBoxLayout(self), self.splitter)
        self.is_width_chosen = False  # by hand; until then the panels' follows the window's
        self._is_height_chosen = False
        self._heights: list[int] = []  # of both halves, while the timeline is hidden
        self.upper_half.splitterMoved.connect(self._keep_width)
        self.splitter.splitterMoved.connect(self._keep_height)
        self.document.objects_changed.connect(self._fit_timeline)
        self._is_error_beside_run = False
        self.annotator.operations.busy_changed.connect(self._follow_busy)
        self.document.history_changed.connect(self._clear_past)
        self.annotator.tracking.tracked.connect(self._clear_past)
        self.annotator.learning.learned.connect(self._offer_tracking)

    def _split(self, way: Qt.Orientation, first: QWidget, second: QWidget) -> QSplitter:
        """Further room goes to the first; the second can be dragged shut."""
        splitter = QSplitter(way, self)
        splitter.addWidget(first)
        splitter.addWidget(second)
        splitter.setStretchFactor(0, 1)
        splitter.setStretchFactor(1, 0)
        splitter.setCollapsible(0, False)
        splitter.setHandleWidth(1)
        return splitter

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fit_timeline()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_panels()

    def restore_sizes(self, upper: QByteArray | None, whole: QByteArray | None) -> None:
        """Restore saved splitter sizes."""
        if upper is not None and self.upper_half.restoreState(upper):
            self.is_width_chosen = True
        if whole is not None and self.splitter.restoreState(whole):
            self._is_height_chosen = True

    @property
    def is_height_chosen(self) -> bool:
        """Whether the timeline's height was set by hand; until then it fits its lanes."""
        return self._is_height_chosen and not self._heights

    def _keep_width(self) -> None:
        self.is_width_chosen = True

    def _keep_height(self) -> None:
        self._is_height_chosen = True

    def _fit_panels(self) -> None:
        if not self.is_width_chosen:
            share_px = round(self.width() * _PANELS_SHARE)
            panels_px = min(max(share_px, _LEAST_PANELS_PX), _MOST_PANELS_PX)
            self.upper_half.setSizes([max(1, self.width() - panels_px), panels_px])

    def _fit_timeline(self) -> None:
        if self._heights or not self._is_height_chosen:
            needed = self.lower_half.sizeHint().height()
            self.splitter.setSizes([max(1, self.height() - needed), needed])

    @property
    def are_panels_shown(self) -> bool:
        return self.panels.isVisibleTo(self.upper_half)

    @property
    def is_timeline_shown(self) -> bool:
        return self.timeline.isVisibleTo(self.lower_half)

    def show_panels(self, is_shown: bool) -> None:
        if is_shown != self.are_panels_shown:
            self.panels.setVisible(is_shown)
            self._fit_panels()
            self.panels_toggled.emit(is_shown)

    def show_timeline(self, is_shown: bool) -> None:
        """Its room is the picture's while it is hidden."""
        if is_shown == self.is_timeline_shown:
            return
        before = self.splitter.sizes()
        self.timeline.setVisible(is_shown)
        if is_shown:
            self.lower_half.setMaximumHeight(UNLIMITED_PX)
            self.splitter.setSizes(self._heights)
            self._heights = []
        else:
            self.lower_half.setMaximumHeight(self.transport.sizeHint().height())
            self._heights = before
        self._fit_timeline()
        self.timeline_toggled.emit(is_shown)

    # What went wrong

    def show_error(
        self, summary: str, details: str = "", *offers: Offer, lasts: bool = False
    ) -> None:
        """Over the picture, until the next thing works. lasts: or until it is closed."""
        # A run that continues does not mean that what failed beside it works now.
        self._is_error_beside_run = self.annotator.tracking.is_running
        self.banner.show_error(summary, details, *offers, lasts=lasts)

    def _follow_busy(self, busy: Busy) -> None:
        if busy is Busy.IDLE:
            self._is_error_beside_run = False
        elif busy is Busy.LEARNING:  # that is what the offers were about
            self.banner.end_offers()

    def _clear_past(self, *_: object) -> None:
        if not self._is_error_beside_run:
            self.banner.clear_past()

    def _offer_tracking(self, frames: int) -> None:
        self.banner.show_notice(
            tr("{learned}. Track again to use it.", learned=learned_from(frames)),
            (tr("Track both ways"), lambda: self.propagation_panel.start("both")),
        )

    @property
    def is_busy(self) -> bool:
        """Something runs that closing would cut short."""
        return self.engine.is_busy or self.files.is_busy

    def shutdown(self, *, discards: bool = False, patience_s: float | None = None) -> None:
        """Ends all work and closes the session; everything finished is on disk. discards: what
        cannot be written is given up. patience_s: for each thread; a step that takes longer is
        left behind, and the process has to end with it."""
        for question in self.findChildren(QDialog):  # what is asked about it is taken back
            question.done(QDialog.DialogCode.Rejected)
        self.player.play(0)
        is_over = all([self.engine.shutdown(patience_s), self.files.shutdown(patience_s)])
        self.canvas.shutdown()
        self.timeline.shutdown()
        self.memory_panel.shutdown()
        if is_over:
            self.session.close(discards=discards)
        elif self.session.project is not None:  # what is left behind may still read the video
            self.session.project.close(discards=discards)
