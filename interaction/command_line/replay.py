"""`xmem-annotate replay`: a project's steps again, with other networks if asked."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from interaction.command_line.sources import project_folder, source_path
from interaction.files import JsonObject
from xmem_core.messages import Message

if TYPE_CHECKING:
    from interaction.engines import EngineSettings

__all__ = ["replay"]

_console: Final = Console(stderr=True, highlight=False)


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
    report = _replayed(project_folder(journal), project, source, settings)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    for remark in report["taken_over"]:
        _console.print(remark, markup=False)
    _console.print(
        f"{report['steps']} steps; {report['equal_frames']} of {report['frames']} masks are the "
        f"very same, mean IoU {report['mean_iou']:.3f}.",
        markup=False,
    )


def _replayed(
    journal: Path, project: Path | None, source: str | None, settings: "EngineSettings"
) -> JsonObject:
    """The report. project: of the result, None to throw it away."""
    from interaction.project.project import Project
    from interaction.replay import compare, replay
    from interaction.session import Session

    with Project.open(journal, read_only=True) as old:
        history, records = old.view.load_history(), old.load_annotation().records
        video = old.view.find_source() if source is None else source_path(source)
        steps = history.entries[: history.position]
        remarks: list[str] = []
        with Session.open(video, project, settings=settings) as session:
            with _console.status("replaying") as status:
                for step in replay(session, steps):
                    status.update(f"{step.done} of {step.total}: {step.label}")
                    if step.remark:
                        remarks.append(f"{step.label}: {step.remark}")
            comparison = compare(session, records)
            session.flush()
    return {
        "steps": len(steps),
        "taken_over": remarks,
        "frames": comparison.frames,
        "equal_frames": comparison.equal_frames,
        "mean_iou": round(comparison.mean_iou, 4),
        "project": None if project is None else str(project),
    }
