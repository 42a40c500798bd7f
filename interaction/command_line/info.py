"""`xmem-annotate info`: what is in a project and what is missing from it."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from interaction.command_line.sources import project_folder
from interaction.files import JsonObject

if TYPE_CHECKING:
    from interaction.annotation.annotation import Annotation
    from interaction.project.project import Project

__all__ = ["info"]

_MOST_LISTED = 10


def info(
    project: Annotated[str, typer.Argument(help="Folder of a project.", metavar="PROJECT")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what a project holds. Changes nothing, also while it is open elsewhere."""
    from interaction.project.project import Project

    with Project.open(project_folder(project), read_only=True) as opened:
        report = _report(opened, opened.load_annotation())
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        _print(report)


def _report(project: "Project", annotation: "Annotation") -> JsonObject:
    from interaction.annotation.effort import Effort
    from interaction.annotation.types import FrameStatus
    from interaction.errors import UserError
    from interaction.project.records import presence_to_json
    from interaction.tracking.trust import next_frames

    try:
        found: str | None = str(project.view.find_source())
    except UserError:
        found = None
    history = project.view.load_history()
    effort = project.view.effort.measure()
    statuses = {status.value: 0 for status in FrameStatus}
    for record in annotation.records.values():
        statuses[record.status.value] += 1
    statuses[FrameStatus.EMPTY.value] = annotation.frame_count - len(annotation.records)
    return {
        "project": str(project.folder),
        "name": project.name,
        "created": project.view.created,
        "app_version": project.view.app_version,
        "source": str(project.source.path),
        "source_found": found,
        "frames": annotation.frame_count,
        "width": annotation.width,
        "height": annotation.height,
        "frames_by_status": statuses,
        "objects": [
            {
                "id": one.id,
                "name": one.name,
                "color": list(one.color),
                "is_locked": one.is_locked,
                "is_visible": one.is_visible,
                "frames": sum(one.id in r.present for r in annotation.records.values()),
                "presence": presence_to_json(one.presence),
                "effort": effort.by_object.get(one.id, Effort()).to_json(),
            }
            for one in annotation.objects
        ],
        "keeps_probabilities": project.view.keeps_probabilities,
        "frames_with_probabilities": sum(bool(r.mattes) for r in annotation.records.values()),
        "next_frames": [one.frame for one in next_frames(annotation, most=_MOST_LISTED)],
        "steps": len(history.entries),
        "steps_in_effect": history.position,
        "effort": effort.to_json(),
        "damages": list(project.damages),
        "notices": list(project.notices),
    }


def _print(report: JsonObject) -> None:
    console = Console(highlight=False)
    where = report["source_found"] or f"{report['source']} (not found)"
    console.print(f"{report['name']}: {where}", markup=False, soft_wrap=True)
    console.print(
        f"{report['frames']} frames, {report['width']}x{report['height']}; "
        + ", ".join(f"{count} {name}" for name, count in report["frames_by_status"].items())
    )
    table = Table("id", "object", "frames", "clicks", "strokes", "work", "waiting", "")
    for one in report["objects"]:
        marks = ["locked"] if one["is_locked"] else []
        marks += [] if one["is_visible"] else ["hidden"]
        effort = one["effort"]
        table.add_row(
            str(one["id"]),
            one["name"],
            str(one["frames"]),
            str(effort["clicks"]),
            str(effort["strokes"]),
            _seconds(effort["work_seconds"]),
            _seconds(effort["waiting_seconds"]),
            ", ".join(marks),
        )
    if report["objects"]:
        console.print(table)
    if report["next_frames"]:
        listed = ", ".join(map(str, report["next_frames"]))
        console.print(f"to annotate next, best first: {listed}")
    console.print(f"{report['steps_in_effect']} of {report['steps']} steps of history in effect")
    effort = report["effort"]
    console.print(
        f"effort: {effort['clicks']} clicks, {effort['strokes']} strokes, "
        f"{effort['frames_touched']} frames touched, "
        f"{_seconds(effort['work_seconds'])} of work, "
        f"{_seconds(effort['waiting_seconds'])} of waiting"
    )
    for notice in report["notices"]:
        console.print(notice, markup=False, soft_wrap=True)
    for damage in report["damages"]:
        console.print(f"damaged: {damage}", markup=False, style="red", soft_wrap=True)


def _seconds(seconds: float) -> str:
    """Minutes and seconds, as 3:07."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
