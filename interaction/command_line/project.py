"""`xmem-annotate new`, `info`, `click`, `learn`, `replay`: a project from its first mask on."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from interaction.annotation.requests import ClickRequest
from interaction.annotation.types import Click
from interaction.command_line.options import AsJson, ClickModel, Device, ProjectFolder, Tracker
from interaction.command_line.sources import (
    SAMPLE,
    frame_progress,
    open_project,
    open_session,
    print_json,
    project_folder,
    remark,
    source_path,
)
from interaction.errors import UserError
from interaction.files import JsonObject

if TYPE_CHECKING:
    from interaction.engines import EngineSettings
    from interaction.project.project import Project
    from interaction.session import Session

__all__ = ["click", "info", "learn", "new", "replay"]


def new(
    source: Annotated[
        str, typer.Argument(help=f"A video, a folder of pictures, or “{SAMPLE}”.", metavar="SOURCE")
    ],
    project: Annotated[Path, typer.Option(help="Folder of the project; made if it is missing.")],
    objects: Annotated[
        list[str] | None, typer.Option("--object", help="Name of an object; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a project, or add objects to one."""
    from interaction.session import Session

    with Session.open(source_path(source), project) as session:
        names = {one.name for one in session.annotation.objects}
        for name in dict.fromkeys(objects or []):
            if name not in names:
                session.add_object(name)
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
        print_json(report)
        return
    remark(f"“{project}”: {report['frames']} frames, {report['width']}x{report['height']}.")
    if notice is not None:
        remark(notice)


_MOST_LISTED: Final = 10


def info(project: ProjectFolder, as_json: AsJson = False) -> None:
    """Tell what a project holds. Changes nothing, also while it is open elsewhere."""
    from interaction.project.project import Project

    with Project.open(project_folder(project), read_only=True) as opened:
        report = _contents(opened)
    if as_json:
        print_json(report)
    else:
        _print_contents(report)


def _contents(project: "Project") -> JsonObject:
    from interaction.annotation.effort import Effort
    from interaction.annotation.types import FrameStatus
    from interaction.project.records import ranges_to_json
    from interaction.tracking.trust import next_frames

    annotation = project.load_annotation()
    try:
        found: str | None = str(project.view.find_source())
    except UserError:
        found = None
    history = project.view.history
    effort = project.view.effort.measure()
    statuses = {status.value: 0 for status in FrameStatus}
    for record in annotation.records.values():
        statuses[record.status.value] += 1
    statuses[FrameStatus.EMPTY.value] = annotation.frame_count - len(annotation.records)
    return {
        "project": str(project.folder),
        "name": project.name,
        "created": project.view.manifest.created,
        "app_version": project.view.manifest.app_version,
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
                "presence": ranges_to_json(one.presence),
                "effort": effort.by_object.get(one.id, Effort()).to_json(),
            }
            for one in annotation.objects
        ],
        "keeps_probabilities": project.view.manifest.keeps_probabilities,
        "frames_with_probabilities": sum(bool(r.mattes) for r in annotation.records.values()),
        "next_frames": [one.frame for one in next_frames(annotation, most=_MOST_LISTED)],
        "steps": len(history.entries),
        "steps_in_effect": history.position,
        "effort": effort.to_json(),
        "damages": list(project.damages),
        "notices": list(project.notices),
    }


def _print_contents(report: JsonObject) -> None:
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
        numbers = (one["id"], one["name"], one["frames"], effort["clicks"], effort["strokes"])
        spent = _minutes(effort["work_seconds"]), _minutes(effort["waiting_seconds"])
        table.add_row(*map(str, numbers), *spent, ", ".join(marks))
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
        f"{_minutes(effort['work_seconds'])} of work, "
        f"{_minutes(effort['waiting_seconds'])} of waiting"
    )
    for notice in report["notices"]:
        console.print(notice, markup=False, soft_wrap=True)
    for damage in report["damages"]:
        console.print(f"damaged: {damage}", markup=False, style="red", soft_wrap=True)


def _minutes(seconds: float) -> str:
    """And seconds, as 3:07."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


_MOST_DIGITS: Final = 3


def click(
    source: Annotated[
        str,
        typer.Argument(
            help=f"A video, a folder of pictures, a project, or “{SAMPLE}”.", metavar="SOURCE"
        ),
    ],
    clicks: Annotated[
        list[str],
        typer.Option(
            "--click",
            help="X,Y,+ adds what is there to the object, X,Y,- takes it away; may be repeated.",
        ),
    ],
    frame: Annotated[int, typer.Option(min=0, help="The frame, from 0.")] = 0,
    object_name: Annotated[
        str, typer.Option("--object", help="Id or name; made if it is missing.")
    ] = "1",
    project: Annotated[
        Path | None, typer.Option(help="Project that keeps the mask; made if it is missing.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File for the frame's mask, a palette PNG.")
    ] = None,
    model: ClickModel = "small-clicks",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Cut an object out of one frame by clicks."""
    given = [_parse_click(text) for text in clicks]
    from interaction.engines import EngineSettings
    from interaction.project.layout import is_project

    if project is None and output is None and not is_project(Path(source)):
        raise UserError(
            "There is nowhere to keep the mask.\n\nUse --output for a picture, or --project."
        )
    settings = EngineSettings(click_model=model, device=device)
    with open_session(source, project, settings) as session:
        report = _click(session, frame, object_name, given)
        session.flush()
        if output is not None:
            _write_mask(output, session, frame)
    if as_json:
        print_json(report)
    else:
        remark(f"“{report['name']}” covers {report['pixels']} pixels of frame {frame}.")


def _parse_click(text: str) -> Click:
    parts = text.replace(" ", "").split(",")
    sign = parts.pop() if len(parts) == 3 else "+"
    try:
        x, y = (float(part) for part in parts)
    except ValueError:
        x = y = math.nan
    if sign not in ("+", "-") or not (math.isfinite(x) and math.isfinite(y)):
        raise typer.BadParameter(
            f"X,Y,+ or X,Y,- with X and Y in pixels, got “{text}”", param_hint="--click"
        )
    return Click(x, y, sign == "+")


def _click(session: "Session", frame: int, name: str, clicks: list[Click]) -> dict[str, object]:
    width, height = session.video.width, session.video.height
    if frame >= session.annotation.frame_count:
        raise UserError(
            "There is no frame {frame}.\n\nFrames are numbered 0 to {last}.",
            frame=frame,
            last=session.annotation.frame_count - 1,
        )
    for one in clicks:
        if not (0 <= one.x < width and 0 <= one.y < height):
            raise UserError(
                "The click {x:g},{y:g} lies outside the frame.\n\n"
                "It has {width} by {height} pixels, counted from the top left.",
                x=one.x,
                y=one.y,
                width=width,
                height=height,
            )
    object_id = _object(session, name)
    for one in clicks:
        session.do(ClickRequest(frame, object_id, one))
    labels = session.masks[frame]
    return {
        "frame": frame,
        "object": object_id,
        "name": session.annotation.object(object_id).name,
        "clicks": len(clicks),
        "pixels": int((labels == object_id).sum()),
        "width": width,
        "height": height,
    }


def _object(session: "Session", name: str) -> int:
    """By id or by name. A missing id is made with those below it, since ids have no gaps."""
    known = {one.id for one in session.annotation.objects}
    if name.isdecimal():
        wanted = int(name[-_MOST_DIGITS:])
        if not 1 <= wanted <= 255 or len(name) > _MOST_DIGITS:
            raise UserError(
                "There is no object {wanted}.\n\nObjects are numbered 1 to 255.", wanted=name
            )
        while wanted not in known:
            known.add(session.add_object())
        return wanted
    for one in session.annotation.objects:
        if one.name == name:
            return one.id
    return session.add_object(name)


def _write_mask(output: Path, session: "Session", frame: int) -> None:
    from interaction.annotation.mask_files import encode_labels
    from interaction.files import write_bytes

    mask = session.annotation.record(frame).mask
    if mask is None:
        mask = encode_labels(session.masks[frame])
    write_bytes(output, mask)


def learn(
    project: ProjectFolder,
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
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Let the networks learn from the frames that were corrected or confirmed. Masks stay as they
    are: track again to see what it did."""
    from interaction.engines import EngineSettings

    settings = EngineSettings(tracker_model=model, internal_size=internal_size, device=device)
    with open_project(project, settings=settings) as session:
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
        remark(f"Learned from {count}." if frames else "Nothing is learned any more.")


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
    model: Tracker = "small",
    click_model: ClickModel = "small-clicks",
    internal_size: Annotated[
        int, typer.Option(min=16, help="Shorter side at which the tracker works, in pixels.")
    ] = 480,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Do every step of a project again, and tell how the masks compare with the recorded ones."""
    from interaction.engines import EngineSettings
    from interaction.errors import ProjectError
    from interaction.project.layout import is_project

    if project is not None and is_project(project):
        raise ProjectError(
            "There is a project in “{project}” already. It was not changed.\n\n"
            "Choose another folder for the result.",
            project=project,
        )
    settings = EngineSettings(
        tracker_model=model, click_model=click_model, internal_size=internal_size, device=device
    )
    report = _replayed(project_folder(journal), project, source, settings)
    if as_json:
        print_json(report)
        return
    for line in report["taken_over"]:
        remark(line)
    remark(
        f"{report['steps']} steps; {report['equal_frames']} of {report['frames']} masks are the "
        f"very same, mean IoU {report['mean_iou']:.3f}."
    )


def _replayed(
    journal: Path, project: Path | None, source: str | None, settings: "EngineSettings"
) -> JsonObject:
    """The report. project: of the result, None to throw it away."""
    from interaction.project.project import Project
    from interaction.replay import compare, replay
    from interaction.session import Session

    with Project.open(journal, read_only=True) as old:
        history, records = old.view.history, old.load_annotation().records
        video = old.view.find_source() if source is None else source_path(source)
        steps = history.entries[: history.position]
        remarks: list[str] = []
        with Session.open(video, project, settings=settings) as session:
            with Console(stderr=True).status("replaying") as status:
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
