"""The welcome page and the page shown while a source is opened."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.errors import Banner
from gui.language import tr
from gui.preferences import Preferences
from gui.theme import UNLIMITED_PX, icon, remark
from gui.welcome.recent_list import RecentList

__all__ = [
    "OpeningPage",
    "WelcomePage",
]

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
        self._bar.setAccessibleName(tr("Opening"))
        self._cancel = QPushButton(tr("Cancel"), self)
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
        self._text.setText(tr("Opening “{name}”…", name=name))
        self._row.hide()
        self._late.start()

    def show_picture(self, frame: NDArray[np.uint8]) -> None:
        """frame: (H, W, 3) RGB, the first of the video."""
        self._picture.show_picture(frame)

    def show_count(self, frames: int) -> None:
        self._text.setText(
            tr("Opening “{name}”: {count:,} frames so far", name=self._name, count=frames)
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


_BUTTON_PX, _RECENT_PX = 260, 520


class WelcomePage(QWidget):
    """Says what is wanted; opening is the window's business."""

    video_wanted = Signal()
    folder_wanted = Signal()
    project_wanted = Signal()
    sample_wanted = Signal()
    path_wanted = Signal(str)

    def __init__(self, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.banner = Banner(self)
        title = QLabel("xmem-annotate", self)
        font = title.font()
        font.setPixelSize(28)
        title.setFont(font)
        subtitle = remark(
            tr("Click an object, and follow it through the video."), self, wraps=False
        )
        left = QVBoxLayout()
        left.setSpacing(8)
        left.addStretch(1)
        left.addWidget(title)
        left.addWidget(subtitle)
        left.addSpacing(16)
        for text, picture, signal in (
            (tr("Open video…"), "file-video", self.video_wanted),
            (tr("Open folder of pictures…"), "images", self.folder_wanted),
            (tr("Open project…"), "folder-open", self.project_wanted),
            (tr("Try the sample"), "sparkles", self.sample_wanted),
        ):
            button = QToolButton(self)
            button.setIcon(icon(picture))
            button.setText(text)
            button.setAccessibleName(text)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            button.setIconSize(QSize(40, 20))  # with room on either side
            button.setFixedSize(_BUTTON_PX, 36)
            button.clicked.connect(signal)
            left.addWidget(button)
        left.addSpacing(8)
        left.addWidget(
            remark(tr("…or drop a video, a folder or a project here."), self, wraps=False)
        )
        left.addStretch(2)

        self.recent = RecentList(preferences, self)
        self.recent.setMaximumWidth(_RECENT_PX)
        self.recent.setMinimumWidth(320)
        self.recent.chosen.connect(self.path_wanted)
        self._left = left
        self._right = QVBoxLayout()
        self._right.addStretch(1)
        self._right.addWidget(self.recent)
        self._right.addStretch(1)

        halves = QHBoxLayout()
        halves.setContentsMargins(48, 24, 48, 24)
        halves.addStretch(1)
        halves.addLayout(left)
        halves.addSpacing(64)
        halves.addLayout(self._right, 4)
        halves.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.banner, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(halves, 1)
        self._place_recent()

    def refresh(self) -> None:
        """The list of recent projects may have changed."""
        self.recent.refresh()
        self._place_recent()

    def _place_recent(self) -> None:
        """The list fills the page; where there is none yet, its words begin beside the title."""
        is_empty = self.recent.is_empty
        height_px = self._left.sizeHint().height()
        self.recent.setMaximumHeight(height_px if is_empty else UNLIMITED_PX)
        self.recent.setMinimumHeight(height_px if is_empty else 0)
        for index, stretch in enumerate((1, 0, 2) if is_empty else (1, 12, 1)):
            self._right.setStretch(index, stretch)
