"""Something is being opened: its first picture, how many frames were found, and a way out."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, Qt, QTimer, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

__all__ = ["OpeningPage"]

# A bar that flashes up for a tenth of a second is noise.
_BAR_AFTER_MS = 400


class OpeningPage(QWidget):
    """Follows an opening from `start` on."""

    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = _Picture(self)
        self._text = QLabel(self)
        self._bar = QProgressBar(self)
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(200)
        self._bar.setAccessibleName(self.tr("Opening"))
        self._cancel = QPushButton(self.tr("Cancel"), self)
        self._cancel.setShortcut("Esc")
        self._cancel.clicked.connect(self.cancelled)
        self._row = QWidget(self)
        row = QHBoxLayout(self._row)
        row.addStretch(1)
        for part in (self._text, self._bar, self._cancel):
            row.addWidget(part)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._picture, 1)
        column.addWidget(self._row)
        self._name = ""
        self._late = QTimer(self, singleShot=True, interval=_BAR_AFTER_MS)
        self._late.timeout.connect(self._row.show)

    def start(self, name: str) -> None:
        """name: of what is being opened."""
        self._name = name
        self._picture.show_picture(None)
        self._text.setText(self.tr("Opening “{}”…").format(name))
        self._row.hide()
        self._late.start()

    def show_picture(self, frame: NDArray[np.uint8]) -> None:
        """frame: (H, W, 3) RGB, the first of the video."""
        self._picture.show_picture(frame)

    def show_count(self, frames: int) -> None:
        self._text.setText(
            self.tr("Opening “{}”: {} frames so far").format(self._name, f"{frames:,}")
        )

    @property
    def has_picture(self) -> bool:
        return self._picture.image is not None


class _Picture(QWidget):
    """One picture, as large as it fits."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.image: QImage | None = None

    def show_picture(self, frame: NDArray[np.uint8] | None) -> None:
        self.image = None
        if frame is not None:
            height, width, _ = frame.shape
            pixels = np.ascontiguousarray(frame)
            image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
            self.image = image.convertToFormat(QImage.Format.Format_RGB32)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.image is None:
            return
        size = self.image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(0, 0, size.width(), size.height())
        place.moveCenter(self.rect().center())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, self.image)
