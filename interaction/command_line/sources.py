"""Sources that can be named on the command line, and progress on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from interaction.errors import UserError
from interaction.files import is_file
from resources import sample_folder

if TYPE_CHECKING:
    from interaction.annotation.types import ObjectInfo
    from interaction.engines import EngineSettings
    from interaction.session import Session

__all__ = [
    "SAMPLE",
    "frame_progress",
    "object_ids",
    "open_session",
    "project_folder",
    "source_path",
]


@contextmanager
def frame_progress(label: str = "") -> Iterator[Callable[[int, int], None]]:
    """Gives a function to call with how many are done, and of how many."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


SAMPLE = "sample"


def source_path(text: str) -> Path:
    """The sample stands for itself, unless something of that name lies here."""
    if text == SAMPLE and not Path(SAMPLE).exists():
        return sample_folder() / "big-buck-bunny.mp4"
    return Path(text)


def object_ids(
    objects: tuple["ObjectInfo", ...], wanted: list[str] | None
) -> frozenset[int] | None:
    """By id or by name; None for all. UserError, with what there is, for an unknown one."""
    if not wanted:
        return None
    ids = set()
    for text in wanted:
        found = {one.id for one in objects if one.name == text or str(one.id) == text}
        if not found:
            known = ", ".join(f"{one.id} ({one.name})" for one in objects) or "none"
            raise UserError(
                "There is no object “{text}”.\n\nThe objects are: {known}.", text=text, known=known
            )
        ids |= found
    return frozenset(ids)


def project_folder(text: str) -> Path:
    """A project by its folder, or by a file in it such as its journal."""
    path = Path(text)
    return path.parent if is_file(path) else path


def open_session(source: str, project: Path | None, settings: "EngineSettings") -> "Session":
    """A project if `source` is one, else a video with the project it is to have, if any."""
    from interaction.project.layout import is_project
    from interaction.session import Session

    path = source_path(source)
    if project is None and is_project(path):
        return Session.open_project(path, settings=settings)
    return Session.open(path, project, settings=settings)
