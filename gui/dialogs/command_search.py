"""Every command by typing part of its name."""

from typing import Final

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QPainter, QPalette
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from gui.actions.actions import Actions
from gui.actions.table import ACTIONS, ActionSpec, Needs
from gui.dialogs.dialog import Dialog
from gui.language import tr

__all__ = ["CommandSearch"]

_IdRole: Final = Qt.ItemDataRole.UserRole
_KeysRole: Final = _IdRole + 1
_NATIVE: Final = QKeySequence.SequenceFormat.NativeText
_STEM: Final = 4  # letters that identify a word
_PASSED_ON: Final = {Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown}


class CommandSearch(Dialog):
    """Type, choose with the arrows, Enter. What cannot be done now is grey and says why."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        no_buttons = QDialogButtonBox.StandardButton.NoButton
        super().__init__(tr("Find a command"), parent, QSize(520, 420), no_buttons)
        self._actions = actions
        self.search = QLineEdit(self)
        self.search.setPlaceholderText(tr("Search commands"))
        self.search.setAccessibleName(self.search.placeholderText())
        self.search.textChanged.connect(self._filter)
        self.search.returnPressed.connect(self._run)
        self.search.installEventFilter(self)
        self.list = QListWidget(self)
        self.list.setAccessibleName(tr("Commands"))
        self.list.setUniformItemSizes(True)
        self.list.setIconSize(QSize(18, 18))
        self.list.setItemDelegate(_WithKeys(self.list))
        self.list.itemActivated.connect(self._run)
        self.lay_out(self.search, self.list)
        self._filter("")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.key() in _PASSED_ON:
            self.list.event(event)
            return True
        return super().eventFilter(watched, event)

    def _filter(self, text: str) -> None:
        words = text.casefold().split()
        found: list[tuple[bool, bool, int, ActionSpec, str]] = []
        for spec in ACTIONS:
            title = self._actions.title(spec.id)
            words_of = self._actions.words(spec.id)
            hay = f"{title} {spec.tip} {spec.menu} {words_of}".casefold()
            if all(_is_in(word, hay) for word in words):
                begins = bool(words) and title.casefold().startswith(words[0])
                is_enabled = self._actions[spec.id].isEnabled()
                found.append((not is_enabled, not begins, len(found), spec, title))
        self.list.clear()
        for is_off, _, _, spec, title in sorted(found, key=lambda one: one[:3]):
            keys = self._actions[spec.id].shortcut().toString(_NATIVE)
            item = QListWidgetItem(title)
            item.setData(Qt.ItemDataRole.AccessibleDescriptionRole, keys)
            item.setIcon(self._actions[spec.id].icon())
            item.setData(_IdRole, spec.id)
            if is_off:
                reason = self._reason(self._actions.missing(spec.id))
                item.setText(f"{item.text()}    – {reason}" if reason else item.text())
                item.setFlags(Qt.ItemFlag.NoItemFlags)
            else:
                item.setData(_KeysRole, keys)
            self.list.addItem(item)
        if not found:
            nothing = QListWidgetItem(tr("No command fits “{text}”.", text=text.strip()))
            nothing.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(nothing)
        self.list.setCurrentRow(0)

    def _reason(self, missing: Needs) -> str:
        """Why it cannot be done now; the one thing to do about it first."""
        reasons = (
            (Needs.PROJECT, tr("open a video first")),
            (Needs.WRITABLE, tr("this project can only be read")),
            (Needs.RUN, tr("only while it tracks or learns")),
            (Needs.IDLE, tr("not while it tracks or learns")),
            (Needs.OBJECT, tr("choose an object first")),
            (Needs.MASK, tr("this frame has no mask")),
            (Needs.GIVEN, tr("correct or confirm a few frames first")),
            (Needs.LEARNED, tr("nothing was learned yet")),
            (Needs.UNDO, tr("nothing to undo")),
            (Needs.REDO, tr("nothing to redo")),
            (Needs.BUSY, tr("nothing to cancel or to take back")),
        )
        if self._actions.missing("file.close"):  # nothing is open: that comes first
            return tr("open a video first")
        return next((text for need, text in reasons if need in missing), "")

    def _run(self) -> None:
        item = self.list.currentItem()
        if item is None or not item.flags() & Qt.ItemFlag.ItemIsEnabled:
            return
        action = self._actions[item.data(_IdRole)]
        self.accept()
        action.trigger()


class _WithKeys(QStyledItemDelegate):
    """The keys of a command stand at the right, where they are no part of its name."""

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        super().paint(painter, option, index)
        keys = index.data(_KeysRole)
        if not keys:
            return
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        role = QPalette.ColorRole.HighlightedText if is_chosen else QPalette.ColorRole.Text
        painter.save()
        painter.setPen(option.palette.color(role))
        place = option.rect.adjusted(0, 0, -8, 0)
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(place, int(flags), keys)
        painter.restore()


def _is_in(word: str, text: str) -> bool:
    """Whether the text has the word, or another form of it: “tracking” finds “track”."""
    return word in text or any(
        len(other) >= _STEM and word.startswith(other) for other in text.split()
    )
