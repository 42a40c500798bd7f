"""How a failure or a notice reaches the annotator: banner, report, log, crash hook."""

import logging
import sys
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Final

from platformdirs import user_log_path
from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QToolButton,
    QWidget,
)

from gui.language import tr
from gui.theme import ICON_PX, icon, lay_out, named
from interaction.doctor import as_text, examine, package_versions
from interaction.errors import UserError

__all__ = [
    "Banner",
    "CrashHook",
    "FloatingBanner",
    "Offer",
    "ReportDialog",
    "last_lines",
    "log_file",
    "report_of",
    "start_log",
    "summary_and_advice",
]

_LOG_BYTES: Final = 1_000_000


def start_log() -> None:
    """From now on everything of weight is written down."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    with suppress(OSError):  # a full or read-only disk is no reason not to start
        log_file().parent.mkdir(parents=True, exist_ok=True)
        handlers.append(
            RotatingFileHandler(log_file(), maxBytes=_LOG_BYTES, backupCount=2, encoding="utf-8")
        )
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=handlers,
    )


def log_file() -> Path:
    return user_log_path("xmem-annotate", appauthor=False) / "xmem-annotate.log"


def last_lines(count: int) -> list[str]:
    """The end of the log; empty if there is none."""
    try:
        with log_file().open(encoding="utf-8", errors="replace") as file:
            return list(deque(file, maxlen=count))
    except OSError:
        return []


log = logging.getLogger(__name__)


def summary_and_advice(error: Exception) -> tuple[str, str]:
    """What happened and what to do, of an error that the annotator can do something about, in the
    window's language."""
    summary, _, advice = tr(str(error)).partition("\n\n")
    return summary, advice


def report_of(error: BaseException) -> str:
    """What a developer needs: the examination of the computer, and the traceback. No file's
    contents."""
    try:
        examination = as_text(examine(imports_torch=False, speed_test_s=0))
    except Exception as failure:  # noqa: BLE001  # a report must come about on a broken system too
        examination = "\n".join([*package_versions(), f"The examination failed: {failure!r}"])
    return f"{examination}\n\n" + "".join(traceback.format_exception(error))


class ReportDialog(QMessageBox):
    """A bug: the work is saved; a report to copy; start again (the default) or go on."""

    def __init__(self, error: BaseException, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.report = report_of(error)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setIcon(QMessageBox.Icon.Critical)
        self.setWindowTitle(tr("Something went wrong"))
        self.setText(tr("Something went wrong inside the program. Your work is saved."))
        self.setInformativeText(
            tr(
                "It is safest to restart the program: it will open where you were. "
                "Please send the report to the developers."
            )
        )
        self.setDetailedText(self.report)
        self.restart_button = self.addButton(tr("Restart"), QMessageBox.ButtonRole.AcceptRole)
        self.continue_button = self.addButton(tr("Continue"), QMessageBox.ButtonRole.RejectRole)
        self.copy_button = self.addButton(tr("Copy report"), QMessageBox.ButtonRole.ActionRole)
        self.copy_button.clicked.disconnect()  # it must not close the dialog
        self.copy_button.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.report))
        self.setDefaultButton(self.restart_button)
        self.setEscapeButton(self.continue_button)


class CrashHook(QObject):
    """Takes over `sys.excepthook`: an uncaught exception is logged and reported."""

    crashed = Signal(object)  # the exception

    def __init__(self, save: Callable[[], object], parent: QObject | None = None) -> None:
        """save: brings everything to disk that is not there yet."""
        super().__init__(parent)
        self._save = save
        self._before = sys.excepthook

    def install(self) -> None:
        sys.excepthook = self._handle

    def uninstall(self) -> None:
        sys.excepthook = self._before

    def _handle(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QCoreApplication.quit()
            return
        log.error("Uncaught exception", exc_info=(kind, error, trace))
        try:
            self._save()
        except UserError as problem:
            log.error("The work could not be saved: %s", problem)
        self.crashed.emit(error)


_NOTICE_MS = 8000
_NARROW_PX = 640


Offer = tuple[str, Callable[[], object]]  # what a button says, and does


@dataclass(frozen=True, slots=True)
class _Message:
    summary: str
    details: str = ""
    offers: tuple[Offer, ...] = ()  # two at most
    is_error: bool = False
    lasts: bool = False


class Banner(QFrame):
    """Hidden until there is something to say.

    Notices go by themselves, but not those with a button: like errors, when they are closed or
    something has worked since. What lasts stays until it is closed, and is there again after
    another message.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAutoFillBackground(True)
        self._picture = QLabel(self)
        self._text = QLabel(self)
        self._text.setTextFormat(Qt.TextFormat.PlainText)  # names may look like HTML
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.more = QToolButton(self)
        self.more.setText(tr("More"))
        self.more.setCheckable(True)
        self.more.toggled.connect(self._show_text)
        self.button, self.second_button = QPushButton(self), QPushButton(self)
        self.button.clicked.connect(lambda: self._help(0))
        self.second_button.clicked.connect(lambda: self._help(1))
        self.close_button = named(QToolButton(self), tr("Close this message"))
        self.close_button.setIcon(icon("x"))
        self.close_button.setAutoRaise(True)
        self.close_button.setToolTip(tr("Close this message"))
        self.close_button.clicked.connect(self._dismiss)
        self._buttons = QHBoxLayout()
        lay_out(self._buttons, self.more, self.button, self.second_button)
        parts = (self._picture, (self._text, 1), self._buttons, self.close_button)
        lay_out(QHBoxLayout(self), *parts, margins=(12, 6, 8, 6))
        self._shown = _Message("")
        self._lasting: _Message | None = None
        self._going = QTimer(self, singleShot=True, interval=_NOTICE_MS)
        self._going.timeout.connect(self._leave)
        self.hide()

    @property
    def text(self) -> str:
        return self._text.text()

    def use_width(self, width_px: int) -> None:
        """Where it is narrow, two offers stand one below the other and leave room to the words."""
        is_narrow = width_px < _NARROW_PX and bool(self._shown.offers[1:])
        directions = QBoxLayout.Direction
        self._buttons.setDirection(directions.TopToBottom if is_narrow else directions.LeftToRight)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._show_picture()

    def show_notice(self, text: str, *offers: Offer) -> None:
        """Something to know. offers: what there is to do about it, two at most."""
        self._say(_Message(text, offers=offers))
        if offers:
            self._going.stop()
        else:
            self._going.start()

    def show_error(
        self, summary: str, details: str = "", *offers: Offer, lasts: bool = False
    ) -> None:
        """lasts: it is still so when something else has worked."""
        self._going.stop()
        message = _Message(summary, details, offers, True, lasts)
        if lasts:
            self._lasting = message
        self._say(message)

    def show_offers(self, text: str, *offers: Offer) -> None:
        """Something to know, and one or two things to do about it. It stays until it is closed or
        one of them is chosen, and is there again after another message; an error that is in sight
        goes first."""
        self._lasting = _Message(text, offers=offers, lasts=True)
        if self.isHidden() or not self._shown.is_error:
            self._going.stop()
            self._say(self._lasting)

    def end_offers(self) -> None:
        """Hide what `show_offers` shows, if it still does."""
        lasting = self._lasting
        if lasting is not None and not lasting.is_error:
            self._lasting = None
            if self._shown is lasting:
                self._leave()

    def clear_past(self) -> None:
        """Something has worked since: what did not, and what was offered, is past, unless it
        lasts or goes by itself."""
        if not self._shown.lasts and not self._going.isActive() and not self.isHidden():
            self._leave()

    def end_lasting(self, notice: str) -> None:
        """Show `notice` in place of the lasting error, which is over."""
        if self._lasting is not None and self._lasting.is_error:
            self._lasting = None
        self.show_notice(notice)

    def _say(self, message: _Message) -> None:
        self._shown = message
        self._show_picture()
        self.more.setVisible(bool(message.details))
        self.more.setChecked(False)
        for index, button in enumerate((self.button, self.second_button)):
            has_offer = index < len(message.offers)
            button.setVisible(has_offer)
            button.setText(message.offers[index][0] if has_offer else "")
        self._show_text(False)
        self.setAccessibleName(message.summary)
        self.show()

    def _show_picture(self) -> None:
        picture = "triangle-alert" if self._shown.is_error else "info"
        self._picture.setPixmap(icon(picture).pixmap(ICON_PX, ICON_PX))

    def _show_text(self, is_whole: bool) -> None:
        shown = self._shown
        self._text.setText(f"{shown.summary}\n\n{shown.details}" if is_whole else shown.summary)

    def _leave(self) -> None:
        if self._lasting is not None and self._lasting is not self._shown:
            self._say(self._lasting)
        else:
            self.hide()

    def _dismiss(self) -> None:
        if self._shown is self._lasting:
            self._lasting = None
        self._going.stop()
        self._leave()

    def _help(self, index: int) -> None:
        _, do = self._shown.offers[index]
        self._dismiss()
        do()


class FloatingBanner(Banner):
    """Lies over the upper edge of its parent and moves nothing."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._below = parent
        self.setFrameShape(QFrame.Shape.StyledPanel)
        parent.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._below and event.type() == QEvent.Type.Resize:
            self._fit()
        return super().eventFilter(watched, event)

    def event(self, event: QEvent) -> bool:
        result = super().event(event)
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Show):
            self._fit()
        return result

    def _fit(self) -> None:
        width = self._below.width()
        self.use_width(width)
        height = self.heightForWidth(width) if self.hasHeightForWidth() else -1
        height = max(height, self.minimumSizeHint().height())
        self.setGeometry(0, 0, width, min(height, self._below.height()))
        self.raise_()
