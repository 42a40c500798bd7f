"""`xmem-annotate learn`: a project's networks get better at its video."""

import json
from typing import Annotated

import typer
from rich.console import Console

from interaction.command_line.sources import frame_progress, project_folder

__all__ = ["learn"]


def learn(
    project: Annotated[str, typer.Argument(help="Folder of a project.", metavar="PROJECT")],
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of each network; by default more with more frames."),
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget what was learned instead.")
    ] = False,
    model: Annotated[
        str, typer.Option(help="Tracker that learns: a name from `models list`, or a file.")
    ] = "small",
    internal_size: Annotated[
        int, typer.Option(min=16, help="Shorter side at which it will track, in pixels.")
    ] = 480,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Let the networks learn from the frames that were corrected or confirmed. Masks stay as they
    are: track again to see what it did."""
    from interaction.engines import EngineSettings
    from interaction.session import Session

    settings = EngineSettings(tracker_model=model, internal_size=internal_size, device=device)
    with Session.open_project(project_folder(project), settings=settings) as session:
        if forget:
            session.engines.forget()
        else:
            with frame_progress("learning") as show:
                session.learn(steps, on_step=lambda step: show(step.done, step.total))
        frames = session.engines.models.frames
    if as_json:
        typer.echo(json.dumps({"project": str(project), "learned_from_frames": frames}))
    else:
        count = "1 frame" if frames == 1 else f"{frames} frames"
        text = f"Learned from {count}." if frames else "Nothing is learned any more."
        Console(stderr=True, highlight=False).print(text)
