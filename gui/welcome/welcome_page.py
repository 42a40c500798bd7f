"""Where to begin: open something, go on with something, or try the sample."""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from gui.banner import Banner
from gui.preferences import Preferences
from gui.theme import UNLIMITED_PX, icon
from gui.welcome.recent_list import RecentList

__all__ = ["WelcomePage"]

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
        subtitle = QLabel(self.tr("Click an object, and follow it through the video."), self)
        subtitle.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        left = QVBoxLayout()
        left.setSpacing(8)
        left.addStretch(1)
        left.addWidget(title)
        left.addWidget(subtitle)
        left.addSpacing(16)
        for text, picture, signal in (
            (self.tr("Open video…"), "file-video", self.video_wanted),
            (self.tr("Open folder of pictures…"), "images", self.folder_wanted),
            (self.tr("Open project…"), "folder-open", self.project_wanted),
            (self.tr("Try the sample"), "sparkles", self.sample_wanted),
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
        drop = QLabel(self.tr("…or drop a video, a folder or a project here."), self)
        drop.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        left.addWidget(drop)
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

    def show_error(self, summary: str, advice: str) -> None:
        self.banner.show_error(summary, advice)
