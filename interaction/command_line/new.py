"""`xmem-annotate new`: a project about a video, without opening a window."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from interaction.command_line.sources import SAMPLE, source_path

__all__ = ["new"]


def new(
    source: Annotated[
        str, typer.Argument(help=f"A video, a folder of pictures, or “{SAMPLE}”.", metavar="SOURCE")
    ],
    project: Annotated[Path, typer.Option(help="Folder of the project; made if it is missing.")],
    objects: Annotated[
        list[str] | None, typer.Option("--object", help="Name of an object; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a project, or add objects to one."""
    from interaction.session import Session

    with Session.open(source_path(source), project) as session:
        names = {one.name for one in session.annotation.objects}
        for name in objects or []:
            if name not in names:
                session.add_object(name)
                names.add(name)
        session.flush()
        report = {
            "project": str(project),
            "source": str(session.video.path),
            "frames": session.annotation.frame_count,
            "width": session.video.width,
            "height": session.video.height,
            "objects": [{"id": one.id, "name": one.name} for one in session.annotation.objects],
        }
        notice = session.video.notice
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        Console(stderr=True, highlight=False).print(
            f"“{project}”: {report['frames']} frames, {report['width']}x{report['height']}.",
            markup=False,
        )
        if notice is not None:
            Console(stderr=True, highlight=False).print(notice, markup=False)
