"""The panels beside the picture, one above the other; where there is no room they scroll."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QScrollArea,
    QScrollBar,
    QSplitter,
    QStyle,
    QWidget,
)

__all__ = ["PanelColumn"]

_CHANGED_BY_WHEEL = (QComboBox, QAbstractSpinBox, QAbstractSlider)


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
        for field in self.splitter.findChildren(QWidget):
            if isinstance(field, _CHANGED_BY_WHEEL) and not isinstance(field, QScrollBar):
                field.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The wheel scrolls; a value that it passes over is not changed unless it is in use."""
        if (
            event.type() == QEvent.Type.Wheel
            and isinstance(watched, QWidget)
            and not watched.hasFocus()
        ):
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    def sizeHint(self) -> QSize:
        return self.splitter.sizeHint()

    def minimumSizeHint(self) -> QSize:
        bar_px = self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent, None, self)
        return QSize(self.splitter.minimumSizeHint().width() + bar_px, 120)
