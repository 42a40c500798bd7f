"""The panels beside the picture, one above the other; where there is no room they scroll."""

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QScrollArea, QSplitter, QStyle, QWidget

__all__ = ["PanelColumn"]


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
        self.verticalScrollBar().setAccessibleName(self.tr("Scroll through the panels"))

    def sizeHint(self) -> QSize:
        return self.splitter.sizeHint()

    def minimumSizeHint(self) -> QSize:
        bar_px = self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent, None, self)
        return QSize(self.splitter.minimumSizeHint().width() + bar_px, 120)
