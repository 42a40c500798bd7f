"""What can be done about what does not work as it is: one button that helps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QFileDialog

from interaction.errors import (
    MissingModelError,
    ModelError,
    ProjectInUseError,
    SourceChangedError,
    SourceMissingError,
    SourceMovedError,
)

if TYPE_CHECKING:
    from gui.main_window import MainWindow

__all__ = ["opening_remedy_for", "remedy_for"]

Remedy = tuple[str, Callable[[], object]]  # what the button says, and does


def _tr(text: str) -> str:
    return QCoreApplication.translate("OpeningProblems", text)


def remedy_for(window: MainWindow, error: Exception) -> Remedy | None:
    """For whatever fails while something is open; None if no button can help."""
    if isinstance(error, ModelError):
        return _tr("Models…"), partial(_show_models, window, error)
    return None


def opening_remedy_for(window: MainWindow, error: Exception, project: Path | None) -> Remedy | None:
    """For a project that does not open; None if no button can help. project: its folder."""
    if project is None:
        return None
    if isinstance(error, ProjectInUseError):
        return _tr("Open for reading only"), partial(window.opener.open_project, project, True)
    if isinstance(error, SourceMovedError) and error.candidates:
        place = error.candidates[0]
        return (
            _tr("Yes, it is “{}”").format(place.name),
            partial(window.opener.open_source_of, project, place),
        )
    if isinstance(error, SourceMissingError | SourceChangedError | SourceMovedError):
        return _tr("Show where it is…"), partial(_ask_for_source, window, project)
    return None


def _show_models(window: MainWindow, error: ModelError) -> None:
    from gui.dialogs.models import ModelsDialog

    dialog = ModelsDialog(window.preferences, window)
    if isinstance(error, MissingModelError):
        dialog.choose(error.name)
    dialog.open()


def _ask_for_source(window: MainWindow, project: Path) -> None:
    path, _ = QFileDialog.getOpenFileName(
        window, _tr("Where is the video?"), window.preferences.last_folder
    )
    if path:
        window.opener.open_source_of(project, Path(path))
