"""Making the folder of a new project, and taking it back when that fails half-way."""

from contextlib import suppress

from interaction.errors import ProjectError
from interaction.project.atomic_files import writing_problem
from interaction.project.layout import ProjectLayout, is_project

__all__ = ["make_folder", "unmake_folder"]

_OTHER = "Choose another folder for the project."


def make_folder(layout: ProjectLayout) -> None:
    """The folder and those in it, empty; what else is in the folder stays.

    Raises ProjectError if there is a project or part of one, DiskFullError, UnwritableFileError.
    """
    folder = layout.folder
    if is_project(folder):
        raise ProjectError(
            f"There is a project in “{folder.name}” already. It was not changed.",
            "Open it, or choose another folder.",
        )
    try:
        _check_room(layout)
        for path in (layout.masks, layout.store.parent):
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        unmake_folder(layout)
        raise writing_problem(folder, error) from error


def _check_room(layout: ProjectLayout) -> None:
    """Raises ProjectError for a folder with things in the places of a project's, OSError."""
    name = layout.folder.name
    for oddity in layout.oddities():
        raise ProjectError(f"No project can be made in “{name}”: {oddity}.", _OTHER)
    if layout.store.exists() or (layout.masks.is_dir() and any(layout.masks.iterdir())):
        raise ProjectError(
            f"“{name}” holds masks that belong to no project. They were not changed.", _OTHER
        )


def unmake_folder(layout: ProjectLayout) -> None:
    """Takes away what `make_folder` and the first writing made; folders only if nothing is left."""
    with suppress(OSError):
        for path in (layout.manifest, layout.journal, layout.lock, layout.os_lock):
            path.unlink(missing_ok=True)
        for path in (layout.masks, layout.store.parent, layout.folder):
            path.rmdir()
