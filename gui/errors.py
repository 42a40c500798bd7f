"""The log, error reports and the crash hook."""

import logging
import sys
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Final

from platformdirs import user_log_path
from PySide6.QtCore import QCoreApplication, QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMessageBox, QWidget

from interaction.doctor import as_text, examine, package_versions
from interaction.errors import UserError

__all__ = [
    "CrashHook",
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
    """What happened and what to do, of an error that the annotator can do something about."""
    summary, _, advice = str(error).partition("\n\n")
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
        self.setWindowTitle(self.tr("Something went wrong"))
        self.setText(self.tr("Something went wrong inside the program. Your work is saved."))
        self.setInformativeText(
            self.tr(
                "It is safest to restart the program: it will open where you were. "
                "Please send the report to the developers."
            )
        )
        self.setDetailedText(self.report)
        self.restart_button = self.addButton(self.tr("Restart"), QMessageBox.ButtonRole.AcceptRole)
        self.continue_button = self.addButton(
            self.tr("Continue"), QMessageBox.ButtonRole.RejectRole
        )
        self.copy_button = self.addButton(self.tr("Copy report"), QMessageBox.ButtonRole.ActionRole)
        self.copy_button.clicked.disconnect()  # it must not close the dialog
        self.copy_button.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.report))
        self.setDefaultButton(self.restart_button)
        self.setEscapeButton(self.continue_button)


class CrashHook(QObject):
    """Takes over `sys.excepthook`: an exception that nobody caught is logged and reported."""

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
        self,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType | None,
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QCoreApplication.quit()
            return
        log.error("Nobody caught this", exc_info=(kind, error, trace))
        try:
            self._save()
        except UserError as problem:
            log.error("The work could not be saved: %s", problem)
        self.crashed.emit(error)
