"""Recent projects as cards: a picture, the name, how far it is, when it was last open."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PySide6.QtCore import (
    QAbstractListModel,
    QDateTime,
    QEvent,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QContextMenuEvent, QImage, QImageReader, QKeyEvent, QPainter, QPalette
from PySide6.QtWidgets import (
    QLineEdit,
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from gui.language import tr
from gui.preferences import THUMBNAIL, Preferences, RecentProject
from gui.theme import heading, remark
from interaction.files import is_file, is_plain_file

__all__ = ["RecentList"]

_CARD_PX: Final = 72
_PICTURE: Final = QSize(96, 54)
_ProjectRole: Final = Qt.ItemDataRole.UserRole
_PictureRole: Final = Qt.ItemDataRole.UserRole + 1

Index = QModelIndex | QPersistentModelIndex


@dataclass(slots=True)
class _Row:
    project: RecentProject
    picture: QImage
    is_there: bool


class _RecentModel(QAbstractListModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._rows: list[_Row] = []

    def set_projects(self, projects: list[RecentProject]) -> None:
        self.beginResetModel()
        self._rows = [
            _Row(one, _thumbnail(Path(one.folder)), is_file(Path(one.folder) / "project.json"))
            for one in projects
        ]
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's signature
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.project.name
        if role == Qt.ItemDataRole.ToolTipRole:
            missing = "" if row.is_there else "\n" + tr("It is no longer there.")
            return row.project.folder + missing
        if role == Qt.ItemDataRole.AccessibleDescriptionRole:
            return f"{_progress(row.project)}, {_ago(row.project.opened_s)}"
        if role == _ProjectRole:
            return row.project
        if role == _PictureRole:
            return row.picture
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        if index.isValid() and not self._rows[index.row()].is_there:
            flags &= ~Qt.ItemFlag.ItemIsEnabled
        return flags


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
            size = picture.size().scaled(_PICTURE, Qt.AspectRatioMode.KeepAspectRatio)
            inner = QRect(0, 0, size.width(), size.height())
            inner.moveCenter(place.center())
            painter.drawImage(inner, picture)
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
        self.search = QLineEdit(self)
        self.search.setPlaceholderText(tr("Search"))
        self.search.setAccessibleName(tr("Search recent projects"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self.refresh)
        self.search.returnPressed.connect(self._choose_first)
        self.search.installEventFilter(self)
        self.empty = remark("", self, wraps=False)
        self._model = _RecentModel(self)
        self.view = QListView(self)
        self.view.setModel(self._model)
        self.view.setItemDelegate(_CardDelegate(self.view))
        self.view.setAccessibleName(tr("Recent projects"))
        self.view.setFrameShape(QListView.Shape.NoFrame)
        self.view.setMouseTracking(True)
        self.view.setUniformItemSizes(True)
        self.view.activated.connect(self._choose)
        self.view.clicked.connect(self._choose)
        remove = self.view.addAction(tr("Remove from this list"))
        remove.setShortcut("Del")
        remove.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        remove.triggered.connect(self._remove)
        self._remove_action = remove
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (title, self.search, self.empty):
            column.addWidget(part)
        column.addWidget(self.view, 1)
        column.addStretch()  # the words stay below the title where there is no list
        self.refresh()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has ever been opened."""
        return not self._preferences.recent()

    def refresh(self) -> None:
        wanted = self.search.text().casefold()
        everything = self._preferences.recent()
        projects = [one for one in everything if wanted in f"{one.name} {one.folder}".casefold()]
        self._model.set_projects(projects)
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
            self.view.setCurrentIndex(self._model.index(0))
            return True
        return super().eventFilter(watched, event)

    def _choose_first(self) -> None:
        if self._model.rowCount():
            self._choose(self._model.index(0))

    def _choose(self, index: QModelIndex) -> None:
        self.chosen.emit(index.data(_ProjectRole).folder)

    def _remove(self) -> None:
        index = self.view.currentIndex()
        if index.isValid():
            self._preferences.remove_recent(index.data(_ProjectRole).folder)
            self.refresh()


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
