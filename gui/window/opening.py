"""What is open: videos and projects open in the background, failures have remedies, and before
one closes the annotator is asked, so that nothing ends without a word."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from platformdirs import user_data_path
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from gui.errors import Offer, summary_and_advice
from gui.language import tr
from gui.preferences import Preferences
from gui.window.arguments import WindowArguments
from gui.work.annotator import Annotator
from gui.work.operations import EngineThread, Kind, Operation
from interaction.engines import Engines, EngineSettings
from interaction.errors import (
    MissingModelError,
    ModelError,
    ProjectInUseError,
    SourceChangedError,
    SourceMissingError,
    SourceMovedError,
    UserError,
)
from interaction.files import is_file, plain_folder
from interaction.project.layout import is_project
from interaction.project.workspace import is_workspace
from interaction.session import Session
from interaction.video.decoder import first_frame
from interaction.video.video import index_video
from resources import sample_folder

if TYPE_CHECKING:
    from gui.window.main_window import MainWindow

__all__ = [
    "PROJECT_SUFFIX",
    "Opener",
    "await_answers",
    "is_openable_project",
    "may_discard",
    "may_stop",
    "project_of",
    "remedy_for",
    "sample_video",
    "settings_of",
]


def remedy_for(window: MainWindow, error: Exception, project: Path | None = None) -> Offer | None:
    """None if no button can help. project: the folder of the project that does not open."""
    if isinstance(error, ModelError):
        return tr("Models…"), partial(_show_models, window, error)
    if project is None:
        return None
    if isinstance(error, ProjectInUseError):
        return tr("Open for reading only"), partial(window.opener.open_project, project, True)
    if isinstance(error, SourceMovedError) and error.candidates:
        place = error.candidates[0]
        return (
            tr("Yes, it is “{name}”", name=place.name),
            partial(window.opener.open_source_of, project, place),
        )
    if isinstance(error, SourceMissingError | SourceChangedError | SourceMovedError):
        return tr("Show where it is…"), partial(_ask_for_source, window, project)
    return None


def _show_models(window: MainWindow, error: ModelError) -> None:
    from gui.dialogs.models import ModelsDialog

    dialog = ModelsDialog(window.preferences, window)
    if isinstance(error, MissingModelError):
        dialog.choose(error.name)
    dialog.open()


def _ask_for_source(window: MainWindow, project: Path) -> None:
    path, _ = QFileDialog.getOpenFileName(
        window, tr("Where is the video?"), window.preferences.last_folder
    )
    if path:
        window.opener.open_source_of(project, Path(path))


PROJECT_SUFFIX: Final = ".vos"


def is_openable_project(path: Path) -> bool:
    """Whether the folder is a project of ours, or a workspace of XMem, Cutie or XMem++."""
    return is_project(path) or is_workspace(path)


def project_of(source: Path) -> Path:
    """Where the work on a video is kept: beside it, or among the user's own data if nothing may
    be written there."""
    source = source.resolve()
    beside = source.with_name(source.stem if is_file(source) else source.name)
    beside = beside.with_name(beside.name + PROJECT_SUFFIX)
    if is_project(beside) or (not os.path.lexists(beside) and os.access(source.parent, os.W_OK)):
        return beside
    own = user_data_path("xmem-annotate", appauthor=False) / "projects"
    plain_folder(own)
    return own / beside.name


def sample_video() -> Path:
    return sample_folder() / "big-buck-bunny.mp4"


def settings_of(preferences: Preferences) -> EngineSettings:
    """What the preferences say of the engines."""
    settings = EngineSettings(
        tracker_model=preferences.tracker_model,
        click_model=preferences.click_model,
        scribble_model=preferences.scribble_model or None,
        device=preferences.device,
        internal_size=preferences.internal_size_px,
    )
    return replace(
        settings, memory=replace(settings.memory, memorize_every=preferences.memorize_every)
    )


class Opener(QObject):
    """Opens one thing at a time; asking for another gives the first one up."""

    started = Signal(str)  # what is being opened
    previewed = Signal(object)  # Frame: the first picture
    progressed = Signal(int)  # frames found so far
    opened = Signal(object)  # Session
    failed = Signal(object)  # the Exception
    cancelled = Signal()
    is_open = Signal()  # what was to be opened is the project in use

    def __init__(self, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._thread = EngineThread("opening", self)
        self._previews = EngineThread("first picture", self)
        self._opening: Operation | None = None
        self.project: Path | None = None  # the folder that was opened last
        self.in_use: Path | None = None  # the folder of the project that the window shows
        self.given: WindowArguments | None = None  # on the command line, for this once
        self.engines: Engines | None = None  # kept from session to session: loading takes a while

    @property
    def is_busy(self) -> bool:
        return self._opening is not None

    def open_source(self, source: Path, project: Path | None = None) -> None:
        """A video file or a folder of pictures; its project is made, or gone on with."""
        try:
            folder = project or project_of(source)
        except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a null character
            self.failed.emit(
                UserError(
                    "There is no place to keep the work on “{name}”: {reason}.\n\n"
                    "Copy it to a folder that you may write to.",
                    name=source.name,
                    reason=str(error),
                )
            )
            return
        if is_project(folder):
            self.open_source_of(folder, source)
            return

        def steps() -> Generator[object, None, None]:
            index = yield from index_video(source)
            plain_folder(folder.parent)
            engines = self._engines()
            yield Session.open(source, folder, engines=engines, index=index, creates_late=True)

        self._start(source, folder, steps)
        if self.is_busy:
            self._preview(source)

    def open_project(self, folder: Path, read_only: bool = False) -> None:
        def steps() -> Generator[object, None, None]:
            yield Session.open_project(folder, engines=self._engines(), read_only=read_only)

        self._start(folder, folder, steps)

    def open_source_of(self, folder: Path, source: Path) -> None:
        """A project whose video was somewhere else; from now on it is known to be here."""

        def steps() -> Generator[object, None, None]:
            yield Session.open(source, folder, engines=self._engines())

        self._start(folder, folder, steps)

    def open_sample(self) -> None:
        """In the user's own folder, so that the installed program stays as it is."""
        own = user_data_path("xmem-annotate", appauthor=False) / "projects"
        try:
            plain_folder(own)
        except UserError as error:
            self.failed.emit(error)
            return
        self.open_source(sample_video(), own / f"sample{PROJECT_SUFFIX}")

    def cancel(self) -> None:
        if self._opening is not None:
            self._opening.cancel()

    def shutdown(self, patience_s: float | None = None) -> None:
        self._thread.shutdown(patience_s)
        self._previews.shutdown(patience_s)

    def settings(self) -> EngineSettings:
        """The preferences', changed by what was given on the command line."""
        settings = settings_of(self._preferences)
        return settings if self.given is None else self.given.changed(settings)

    def _engines(self) -> Engines:
        settings = self.settings()
        if self.engines is None:
            self.engines = Engines(settings)
        else:
            self.engines.configure(settings)
        return self.engines

    def _start(
        self, what: Path, project: Path, steps: Callable[[], Generator[object, None, None]]
    ) -> None:
        self.project = project
        self.cancel()
        if self.in_use is not None and os.path.realpath(project) == os.path.realpath(self.in_use):
            self.is_open.emit()
            return
        sessions: list[Session] = []

        def show(step: object) -> None:
            if isinstance(step, int):
                self.progressed.emit(step)
            elif isinstance(step, Session):
                sessions.append(step)

        def end(error: Exception | None) -> None:
            is_current = self._opening is operation
            if is_current:
                self._opening = None
            if error is None and is_current and sessions:
                self.opened.emit(sessions[0])
                return
            for session in sessions:  # it was given up a moment too late
                session.close()
            if not is_current or isinstance(error, CancelledError):
                self.cancelled.emit()
            elif error is not None:
                self.failed.emit(error)

        operation = Operation(Kind.BACKGROUND, steps, show, end)
        self._opening = operation
        self.started.emit(what.name)
        self._thread.start(operation)

    def _preview(self, source: Path) -> None:
        def steps() -> Generator[object, None, None]:
            # The opening itself reports what is wrong with the file.
            with suppress(UserError):
                yield first_frame(source)

        opening = self._opening

        def show(picture: object) -> None:
            if opening is self._opening and opening is not None:
                self.previewed.emit(picture)

        self._previews.start(Operation(Kind.BACKGROUND, steps, show))


def await_answers(annotator: Annotator, parent: QWidget) -> bool:
    """Wait until clicks, boxes and scribbles are answered, or given up. False if the annotator
    goes on working, or if an answer failed: its message has to be seen."""
    if not annotator.prompts.are_waiting:
        return True
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Information)
    box.setWindowTitle(tr("Still working"))
    box.setText(tr("Your last click is still being answered. Closing as soon as it is."))
    give_up = box.addButton(tr("Close without it"), QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    failures: list[Exception] = []

    def follow() -> None:
        if not annotator.prompts.are_waiting:
            box.accept()

    annotator.operations.changed.connect(follow)
    annotator.document.failed.connect(failures.append)
    box.exec()
    annotator.operations.changed.disconnect(follow)
    annotator.document.failed.disconnect(failures.append)
    is_given_up = box.clickedButton() is give_up
    box.deleteLater()
    if is_given_up:
        annotator.prompts.give_up()
    return not annotator.prompts.are_waiting and not failures


def may_stop(annotator: Annotator, parent: QWidget) -> bool:
    """Whether what runs may be cut short; what is finished is kept in any case."""
    if annotator.tracking.is_running:
        text = tr("Tracking is not finished. Every frame that is tracked is kept.")
        if annotator.tracking.can_resume_later:
            text += "\n\n" + tr("When the project is opened again, this run can be resumed.")
        stop, go_on = tr("Stop tracking and close"), tr("Go on tracking")
    elif annotator.learning.is_running:
        text = tr("Learning is not finished. What is not learned by now is lost; masks are kept.")
        stop, go_on = tr("Stop learning and close"), tr("Go on learning")
    else:
        text = tr("An operation is still running. Everything that is finished is kept.")
        stop, go_on = tr("Stop and close"), tr("Go on working")
    return _choice(parent, tr("Still working"), text, stop, go_on)


def may_discard(problem: UserError, parent: QWidget) -> bool:
    """Whether to close although the last changes cannot be saved."""
    summary, advice = summary_and_advice(problem)
    text = f"{summary}\n\n{advice}\n\n" + tr("If you close now, what has not been saved is lost.")
    title = tr("Not everything is saved")
    return _choice(parent, title, text, tr("Close and lose it"), tr("Stay open"))


def _choice(parent: QWidget, title: str, text: str, do: str, stay: str) -> bool:
    """Two buttons that say what they do; the one that loses nothing is the default."""
    box = QMessageBox(QMessageBox.Icon.Question, title, text, parent=parent)
    chosen = box.addButton(do, QMessageBox.ButtonRole.DestructiveRole)
    keep = box.addButton(stay, QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(keep)
    box.setEscapeButton(keep)
    box.exec()
    is_chosen = box.clickedButton() is chosen
    box.deleteLater()
    return is_chosen
