"""`xmem-annotate verify`: whether an export belongs to a video."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interaction.command_line.sources import frame_progress, source_path
from interaction.errors import UserError
from interaction.steps import finish

if TYPE_CHECKING:
    from interaction.formats.verify import VerifyReport
    from interaction.video.video import Video

__all__ = ["verify"]

_MOST_TRIED = 20
_VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in "mp4 mov mkv avi webm m4v mpg mpeg mts m2ts wmv flv gif mxf ogv".split()  # noqa: SIM905
)


def verify(
    export: Annotated[
        Path, typer.Argument(help="An export: its folder, its file or its frames.csv.")
    ],
    video: Annotated[
        str | None,
        typer.Argument(
            help="A video, a folder of pictures or a project; by default the video beside the "
            "export that it belongs to.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell whether an export belongs to a video, by the pictures themselves. Changes nothing.

    Exit codes: 0 every frame is equal; 3 it was made for another video, another encoding of it, or
    only a part is equal; 1 it is not known.
    """
    from interaction.formats.verify import list_of

    list_of(export)  # before anything is searched
    report = _of(export, source_path(video)) if video is not None else _best(export)
    typer.echo(json.dumps(report.to_json(), indent=2) if as_json else "\n".join(report.lines()))
    if not report.belongs:
        raise typer.Exit(3)


def _of(export: Path, place: Path) -> "VerifyReport":
    from interaction.project.layout import is_project
    from interaction.project.project import Project
    from interaction.video.video import open_video

    with ExitStack() as closing_all:
        index = None
        if is_project(place):
            project = closing_all.enter_context(Project.open(place, read_only=True))
            place = project.view.find_source()
            index = project.view.load_index(place)
        return _compared(export, closing_all.enter_context(open_video(place, index=index)))


def _compared(export: Path, video: "Video") -> "VerifyReport":
    from interaction.formats.verify import verify as run_verify

    with frame_progress() as show:
        return finish(run_verify(export, video), lambda done: show(done, len(video)))


def _best(export: Path) -> "VerifyReport":
    """Of the videos beside the export. UserError if there is none that could be it."""
    from interaction.project.layout import is_project

    parent = export.absolute().parent
    found = sorted(
        path
        for path in parent.iterdir()
        if path.is_file() and path.suffix.lower() in _VIDEO_SUFFIXES and not path.samefile(export)
    )
    found += sorted(path for path in parent.iterdir() if path.is_dir() and is_project(path))
    best: VerifyReport | None = None
    for place in found[:_MOST_TRIED]:
        try:
            report = _of(export, place)
        except UserError:
            continue  # no video, or not to be opened
        if report.belongs:
            return report
        if best is None or (report.equal, len(report.alike)) > (best.equal, len(best.alike)):
            best = report
    if best is None:
        raise UserError(
            "There is no video beside “{name}”. Nothing was changed.\n\n"
            "Name the video: xmem-annotate verify EXPORT VIDEO.",
            name=export.name,
        )
    return best
