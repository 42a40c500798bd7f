"""What commands share: sources that can be named, progress and results."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from interaction.errors import UserError
from interaction.files import is_file
from resources import sample_folder

if TYPE_CHECKING:
    from interaction.annotation.types import ObjectInfo
    from interaction.engines import EngineSettings
    from interaction.project.project import Project
    from interaction.session import Session
    from interaction.video.video import Video

__all__ = [
    "SAMPLE",
    "frame_progress",
    "object_ids",
    "open_project",
    "open_session",
    "print_json",
    "print_result",
    "project_folder",
    "project_video",
    "remark",
    "source_path",
]

SAMPLE: Final = "sample"


class Show(Protocol):
    def __call__(self, done: int, total: int, stage: str = ...) -> None: ...


_console: Final = Console(stderr=True, highlight=False)  # standard output is for results


def remark(text: str, *, wraps: bool = True) -> None:
    """A line for people, on standard error. wraps: at the width of the terminal."""
    _console.print(text, markup=False, soft_wrap=not wraps)


def print_json(report: object) -> None:
    typer.echo(json.dumps(report, indent=2))


def print_result(report: object, text: str, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        typer.echo(text)


class _FramesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed:.1f} frames/s")


@contextmanager
def frame_progress(label: str = "", *, has_speed: bool = False) -> Iterator[Show]:
    """Gives a function to call with how many are done, of how many, and the stage if it is not
    `label`: a new stage has a clock of its own, or the first one would spoil its speed."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *([_FramesPerSecond()] if has_speed else []),
        TimeRemainingColumn(),
        console=_console,  # so that remarks come above the bar
        transient=True,
    ) as progress:
        task = progress.add_task(label, total=None)

        def show(done: int, total: int, stage: str = label) -> None:
            nonlocal task, label
            if stage != label:
                label = stage
                progress.remove_task(task)
                task = progress.add_task(stage, total=total, completed=max(0, done - 1))
            progress.update(task, completed=done, total=total)

        yield show


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


# What follows imports the parts of a session only when it is called: asking for help is quicker.


def open_project(
    text: str, *, read_only: bool = False, settings: "EngineSettings | None" = None
) -> "Session":
    """text: as for `project_folder`."""
    from interaction.session import Session

    return Session.open_project(project_folder(text), read_only=read_only, settings=settings)


def open_session(source: str, project: Path | None, settings: "EngineSettings") -> "Session":
    """A project if `source` is one, else a video with the project it is to have, if any."""
    from interaction.project.layout import is_project
    from interaction.session import Session

    path = source_path(source)
    if project is None and is_project(path):
        return Session.open_project(path, settings=settings)
    return Session.open(path, project, settings=settings)


def project_video(project: "Project") -> "Video":
    """What an open project is about. SourceMissingError, SourceMovedError."""
    from interaction.video.video import open_video

    place = project.view.find_source()
    return open_video(place, index=project.view.load_index(place))
