"""What is shown while nothing is open: recent projects, where to begin, and what is on its way."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QDateTime,
    QEvent,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import (
    QContextMenuEvent,
    QImage,
    QImageReader,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPalette,
)
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QProgressBar,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.actions.actions import Actions
from gui.canvas.shown_frame import to_image
from gui.errors import Banner
from gui.language import tr
from gui.preferences import THUMBNAIL, Preferences, RecentProject
from gui.theme import UNLIMITED_PX, draw_inside, heading, lay_out, named, remark
from interaction.files import is_file, is_plain_file

__all__ = ["OpeningPage", "RecentList", "WelcomePage"]


_CARD_PX: Final = 72
_PICTURE: Final = QSize(96, 54)
_ProjectRole: Final = Qt.ItemDataRole.UserRole
_PictureRole: Final = Qt.ItemDataRole.UserRole + 1

Index = QModelIndex | QPersistentModelIndex


class _CardDelegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(320, _CARD_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        project: RecentProject = index.data(_ProjectRole)
        style = option.widget.style()
        style.drawPrimitive(
            QStyle.PrimitiveElement.PE_PanelItemViewItem, option, painter, option.widget
        )
        area = option.rect.adjusted(9, 9, -9, -9)
        place = QRect(area.topLeft(), _PICTURE)
        picture: QImage = index.data(_PictureRole)
        painter.fillRect(place, option.palette.color(QPalette.ColorRole.Mid))
        if not picture.isNull():
            draw_inside(painter, picture, place)
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        is_enabled = bool(option.state & QStyle.StateFlag.State_Enabled)
        group = QPalette.ColorGroup.Active if is_enabled else QPalette.ColorGroup.Disabled
        role = QPalette.ColorRole.HighlightedText if is_selected else QPalette.ColorRole.Text
        painter.setPen(option.palette.color(group, role))
        text = area.adjusted(_PICTURE.width() + 14, 0, 0, 0)
        name = QRect(text.left(), text.top() + 4, text.width(), 22)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        elided = painter.fontMetrics().elidedText(
            project.name, Qt.TextElideMode.ElideMiddle, name.width()
        )
        painter.drawText(name, left, elided)
        if not is_selected:
            painter.setPen(option.palette.color(group, QPalette.ColorRole.PlaceholderText))
        below = name.translated(0, 24)
        painter.drawText(below, left, f"{_progress(project)} · {_ago(project.opened_s)}")


class RecentList(QWidget):
    """Searchable; Enter or a double click opens, Delete takes one off the list."""

    chosen = Signal(str)  # folder of the project

    def __init__(self, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self.title = title = heading(tr("Recent projects"), self)
        self.search = named(QLineEdit(self), tr("Search recent projects"))
        self.search.setPlaceholderText(tr("Search"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self.refresh)
        self.search.returnPressed.connect(self._choose_first)
        self.search.installEventFilter(self)
        self.empty = remark("", self, wraps=False)
        self.view = named(QListWidget(self), tr("Recent projects"))
        self.view.setItemDelegate(_CardDelegate(self.view))
        self.view.setFrameShape(QListWidget.Shape.NoFrame)
        self.view.setMouseTracking(True)
        self.view.setUniformItemSizes(True)
        self.view.itemActivated.connect(self._choose)
        self.view.itemClicked.connect(self._choose)
        remove = self.view.addAction(tr("Remove from this list"))
        remove.setShortcut("Del")
        remove.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        remove.triggered.connect(self._remove)
        self._remove_action = remove
        # The words stay below the title where there is no list.
        lay_out(QVBoxLayout(self), title, self.search, self.empty, (self.view, 1), 0)
        self.refresh()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has ever been opened."""
        return not self._preferences.recent()

    def refresh(self) -> None:
        wanted = self.search.text().casefold()
        everything = self._preferences.recent()
        projects = [one for one in everything if wanted in f"{one.name} {one.folder}".casefold()]
        self.view.clear()
        for one in projects:
            self.view.addItem(_card(one))
        self.search.setVisible(len(everything) > 4)
        self.empty.setVisible(not projects)
        self.empty.setText(
            tr("No project of that name.")
            if everything
            else tr("Nothing yet. What you open will be listed here.")
        )
        self.view.setVisible(bool(projects))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self.view.currentIndex().isValid():
            menu = QMenu(self)
            menu.addAction(self._remove_action)
            menu.exec(event.globalPos())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Down goes from the search to the list."""
        is_down = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Down
        if watched is self.search and event.type() == QEvent.Type.KeyPress and is_down:
            self.view.setFocus(Qt.FocusReason.TabFocusReason)
            self.view.setCurrentRow(0)
            return True
        return super().eventFilter(watched, event)

    def _choose_first(self) -> None:
        if self.view.count():
            self._choose(self.view.item(0))

    def _choose(self, item: QListWidgetItem) -> None:
        self.chosen.emit(item.data(_ProjectRole).folder)

    def _remove(self) -> None:
        item = self.view.currentItem()
        if item is not None:
            self._preferences.remove_recent(item.data(_ProjectRole).folder)
            self.refresh()


def _card(project: RecentProject) -> QListWidgetItem:
    folder = Path(project.folder)
    item = QListWidgetItem(project.name)
    item.setData(_ProjectRole, project)
    item.setData(_PictureRole, _thumbnail(folder))
    what = f"{_progress(project)}, {_ago(project.opened_s)}"
    item.setData(Qt.ItemDataRole.AccessibleDescriptionRole, what)
    item.setToolTip(project.folder)
    if not is_file(folder / "project.json"):
        item.setToolTip(project.folder + "\n" + tr("It is no longer there."))
        item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
    return item


def _thumbnail(folder: Path) -> QImage:
    if not is_plain_file(folder / THUMBNAIL):  # opening a pipe waits for ever
        return QImage()
    reader = QImageReader(str(folder / THUMBNAIL))
    size = reader.size()
    if size.isValid():
        reader.setScaledSize(size.scaled(_PICTURE * 2, Qt.AspectRatioMode.KeepAspectRatio))
    return reader.read() if reader.canRead() else QImage()


def _progress(project: RecentProject) -> str:
    done, total = project.frames_done, project.frame_count
    return tr("{done:,} of {total:,} frames", done=done, total=total)


def _ago(opened_s: float) -> str:
    opened = QDateTime.fromSecsSinceEpoch(round(opened_s)).date()
    days = opened.daysTo(QDateTime.currentDateTime().date())
    if days < 1:
        return tr("today")
    if days == 1:
        return tr("yesterday")
    return QLocale().toString(opened, QLocale.FormatType.ShortFormat)


# A bar that flashes up for a tenth of a second is noise.
_BAR_AFTER_MS = 400


class OpeningPage(QWidget):
    """Follows an opening from `start` on."""

    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = _Picture(self)
        self._text = QLabel(self)
        self._text.setTextFormat(Qt.TextFormat.PlainText)  # names may look like HTML
        self._bar = named(QProgressBar(self), tr("Opening"))
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(200)
        self._cancel = QPushButton(tr("Cancel"), self)
        self._cancel.setShortcut("Esc")
        self._cancel.clicked.connect(self.cancelled)
        self._row = QWidget(self)
        row = QHBoxLayout(self._row)
        row.addStretch(1)
        for part in (self._text, self._bar, self._cancel):
            row.addWidget(part)
        row.addStretch(1)
        lay_out(QVBoxLayout(self), (self._picture, 1), self._row)
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
        self.image = None if frame is None else to_image(frame)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.image is not None:
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            draw_inside(painter, self.image, self.rect())


_BUTTON_PX, _RECENT_PX = 260, 520


class WelcomePage(QWidget):
    """The actions that open something, and recent projects."""

    path_wanted = Signal(str)

    def __init__(
        self, preferences: Preferences, actions: Actions, parent: QWidget | None = None
    ) -> None:
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
        for name in ("file.open_video", "file.open_folder", "file.open_project", "file.sample"):
            action = actions[name]
            button = QToolButton(self)
            button.setIcon(action.icon())
            button.setText(action.text())
            button.setAccessibleName(action.text())
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            button.setIconSize(QSize(40, 20))  # with room on either side
            button.setFixedSize(_BUTTON_PX, 36)
            button.clicked.connect(action.trigger)
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
        lay_out(self._right, 1, self.recent, 1)

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
