"""`xmem-annotate replay`: a project's steps again, with other networks if asked."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from interaction.command_line.sources import project_folder, source_path
from xmem_core.messages import Message

__all__ = ["replay"]


def replay(
    journal: Annotated[
        str, typer.Argument(help="A project, or its journal.jsonl.", metavar="JOURNAL")
    ],
    project: Annotated[
        Path | None, typer.Option(help="New project for the result; without it, only compare.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The video, if it is no longer where the project says.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="Tracker: a name from `models list`, or a file.")
    ] = "small",
    click_model: Annotated[
        str, typer.Option(help="Click network: a name from `models list`, or a file.")
    ] = "small-clicks",
    internal_size: Annotated[
        int, typer.Option(min=16, help="Shorter side at which the tracker works, in pixels.")
    ] = 480,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Do every step of a project again, and tell how the masks compare with the recorded ones."""
    from interaction.engines import EngineSettings
    from interaction.errors import ProjectError
    from interaction.project.layout import is_project
    from interaction.project.project import Project
    from interaction.replay import compare
    from interaction.replay import replay as replay_steps
    from interaction.session import Session

    if project is not None and is_project(project):
        raise ProjectError(
            Message(
                "There is a project in “{project}” already. It was not changed.", project=project
            ),
            Message("Choose another folder for the result."),
        )
    settings = EngineSettings(
        tracker_model=model, click_model=click_model, internal_size=internal_size, device=device
    )
    console = Console(stderr=True, highlight=False)
    with Project.open(project_folder(journal), read_only=True) as old:
        history, records = old.view.load_history(), old.load_annotation().records
        video = old.view.find_source() if source is None else source_path(source)
        steps = history.entries[: history.position]
        remarks: list[str] = []
        with Session.open(video, project, settings=settings) as session:
            with console.status("replaying") as status:
                for step in replay_steps(session, steps):
                    status.update(f"{step.done} of {step.total}: {step.label}")
                    if step.remark:
                        remarks.append(f"{step.label}: {step.remark}")
            comparison = compare(session, records)
            session.flush()
    report = {
        "steps": len(steps),
        "taken_over": remarks,
        "frames": comparison.frames,
        "equal_frames": comparison.equal_frames,
        "mean_iou": round(comparison.mean_iou, 4),
        "project": None if project is None else str(project),
    }
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    for remark in remarks:
        console.print(remark, markup=False)
    console.print(
        f"{report['steps']} steps; {report['equal_frames']} of {report['frames']} masks are the "
        f"very same, mean IoU {report['mean_iou']:.3f}.",
        markup=False,
    )
