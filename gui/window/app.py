"""The program with a window: from `main()` to the last thread that ends."""

import logging
import os
import signal
import sys
from typing import Final

from PySide6.QtCore import QCoreApplication, QProcess, Qt, QTimer
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication, QWidget

from gui.errors import CrashHook, ReportDialog, start_log
from gui.language import set_language
from gui.preferences import Preferences
from gui.theme import apply_theme, set_scheme
from gui.window.arguments import WindowArguments
from gui.window.garbage import GarbageCollection
from gui.window.main_window import MainWindow
from gui.work.operations import is_left_behind
from interaction.session import Session
from resources import application_icon

__all__ = ["begin_with_objects", "build", "end", "fit_to_screen", "main"]

_AWAKE_MS: Final = 300  # Python only sees Ctrl-C between two of its own steps
_FRAME_PX: Final = 40  # a title bar, which has no height before it is shown


def main(given: WindowArguments) -> int:
    """Opens the window and returns the exit status when it was closed."""
    start_log()
    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    preferences = Preferences()
    set_language(preferences.language)
    window = build(application, preferences, given)
    hook = CrashHook(lambda: _save(window), window)
    hook.crashed.connect(lambda error: _report(error, window))
    hook.install()
    signal.signal(signal.SIGINT, lambda *_: window.close())
    awake = QTimer(window, interval=_AWAKE_MS)
    awake.timeout.connect(lambda: None)
    awake.start()
    garbage = GarbageCollection(application)
    garbage.start()
    fit_to_screen(window)
    window.show()
    status = application.exec()
    garbage.stop()
    hook.uninstall()
    return end(status)


def end(status: int) -> int:
    """The status to exit with. Where a step of a network or a file is left behind, the process ends
    here: everything is on disk, and Python would wait for the step."""
    if is_left_behind():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def build(
    application: QApplication, preferences: Preferences, given: WindowArguments | None = None
) -> MainWindow:
    """The window, not shown yet, at work on what the arguments name."""
    application.setApplicationName("xmem-annotate")
    application.setApplicationDisplayName("xmem-annotate")
    application.setDesktopFileName("xmem-annotate")  # by which a desktop finds entry and icon
    application.setWindowIcon(QIcon(str(application_icon())))
    apply_theme(application)
    set_scheme(preferences.scheme)
    window = MainWindow(preferences)
    preferences.changed.connect(
        lambda name: set_scheme(preferences.scheme) if name == "look/scheme" else None
    )
    if given is not None:
        window.opener.given = given
        window.session_opened.connect(
            lambda session: begin_with_objects(window, session, given.objects)
        )
        if given.source is not None:
            source, project = given.source, given.project
            QTimer.singleShot(0, window, lambda: window.open_path(source, project))
    return window


def fit_to_screen(window: QWidget) -> None:
    """Maximise a window that would reach beyond its screen, where its status line is not seen."""
    size, room = window.size(), window.screen().availableSize()
    if size.width() > room.width() or size.height() + _FRAME_PX > room.height():
        window.setWindowState(window.windowState() | Qt.WindowState.WindowMaximized)


def begin_with_objects(window: MainWindow, session: Session, count: int) -> None:
    """Makes so many objects where a project has none yet; work begins with the first."""
    if window.workspace is not None and not session.annotation.objects:
        document = window.workspace.document
        for _ in range(count):
            document.add_object()
        if document.objects:
            document.set_current_object(document.objects[0].id)


def _save(window: MainWindow) -> None:
    if window.workspace is not None:
        window.workspace.session.flush()


def _report(error: BaseException, window: MainWindow) -> None:
    dialog = ReportDialog(error, window)
    dialog.restart_button.clicked.connect(lambda: _restart(window))
    dialog.open()


def _restart(window: MainWindow) -> None:
    # A built application is its own interpreter.
    arguments = [] if getattr(sys, "frozen", False) else [sys.argv[0]]
    workspace = window.workspace
    if workspace is not None and workspace.session.project is not None:
        project = workspace.session.project
        path = project.folder if project.is_made else workspace.document.video.path
        arguments.append(str(path))
    window.close()
    QProcess.startDetached(sys.executable, arguments)
    QCoreApplication.quit()
