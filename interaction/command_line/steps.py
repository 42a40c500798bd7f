"""`xmem-annotate confirm`, `cuts`, `overlap`, `presence`, `memory`, `undo`, `suggest`: steps on a
project."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from interaction.annotation.requests import (
    ConfirmRequest,
    MemoryRequest,
    Operation,
    OverlapRequest,
    PresenceRequest,
    SurgeryRequest,
    UnconfirmRequest,
)
from interaction.annotation.types import FrameStatus, MemoryRule, PresenceState
from interaction.command_line.options import AsJson, First, Last, ProjectFolder
from interaction.command_line.sources import (
    frame_progress,
    object_ids,
    open_project,
    open_session,
    print_result,
)
from interaction.errors import UserError
from interaction.files import JsonObject
from interaction.steps import finish
from xmem_core.messages import Message

if TYPE_CHECKING:
    from interaction.session import Session

__all__ = ["confirm", "cuts", "memory", "overlap", "presence", "suggest", "undo"]

ObjectName = Annotated[str, typer.Argument(help="An object, by id or name.", metavar="OBJECT")]


def confirm(
    project: ProjectFolder,
    frames: Annotated[list[int], typer.Argument(help="Numbers of frames, from 0.", min=0)],
    unconfirm: Annotated[
        bool, typer.Option("--unconfirm", help="Let tracking replace them again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Confirm frames as right and whole: tracking never replaces them and always looks at them."""
    with open_project(project) as session:
        last = session.annotation.frame_count - 1
        if max(frames) > last:
            raise UserError(
                "There is no frame {frames}. Nothing was changed.\n\n"
                "Frames are numbered 0 to {last}.",
                frames=max(frames),
                last=last,
            )
        request = UnconfirmRequest if unconfirm else ConfirmRequest
        changed = [frame for frame in dict.fromkeys(frames) if session.do(request(frame))]
        session.flush()
    print_result({"changed": changed}, f"{len(changed)} frames changed.", as_json)


def presence(
    project: ProjectFolder,
    name: ObjectName,
    first: First = 0,
    last: Last = None,
    state: Annotated[
        PresenceState | None,
        typer.Option(help="What it is there; without it the ranges are printed."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say where an object is present, occluded or absent, or was not looked at. Where it is absent
    its masks become empty, and tracking leaves them so."""
    from interaction.project.records import ranges_to_json

    with open_project(project, read_only=state is None) as session:
        objects = session.annotation.objects
        object_id = min(object_ids(objects, [name]) or ())
        if state is not None:
            session.do(PresenceRequest(object_id, first, _end(session, first, last), state))
            session.flush()
        ranges = ranges_to_json(session.annotation.object(object_id).presence)
    lines = "\n".join(f"{one[0]}-{one[1]}  {one[2]}" for one in ranges)
    print_result({"object": object_id, "presence": ranges}, lines or "No presence is set.", as_json)


def overlap(
    project: ProjectFolder,
    name: ObjectName,
    covered: Annotated[
        Literal["keep", "lose"] | None,
        typer.Option(help="keep: what others cover of it stays, beneath them. lose: no longer."),
    ] = None,
    move: Annotated[
        Literal["front", "back"] | None,
        typer.Option(help="Before or behind all objects that it overlaps, on the frames named."),
    ] = None,
    first: First = 0,
    last: Last = None,
    as_json: AsJson = False,
) -> None:
    """Say whether an object keeps what others cover of it, and which is in front. Without an option
    it is printed, with the frames on which it is covered."""
    from interaction.formats.format import describe_frames

    is_change = covered is not None or move is not None
    with open_project(project, read_only=not is_change) as session:
        object_id = min(object_ids(session.annotation.objects, [name]) or ())
        last = _end(session, first, last)
        if covered is not None:
            session.do(OverlapRequest(object_id, covered == "keep"))
        if move is not None:
            operation: Operation = "to_front" if move == "front" else "to_back"
            session.do(SurgeryRequest(operation, first, object_id, last=last))
        session.flush()
        keeps = session.annotation.object(object_id).keeps_covered
        records = sorted(session.annotation.records.items())
        frames = [frame for frame, record in records if object_id in record.covered]
    report = {"object": object_id, "keeps_covered": keeps, "covered_frames": frames}
    lines = "It keeps what others cover." if keeps else "It keeps nothing that others cover."
    if frames:
        lines += f"\nCovered on frames {describe_frames(frames)}."
    print_result(report, lines, as_json)


def _end(session: "Session", first: int, last: int | None) -> int:
    """`last`, by default the last frame. UserError if the video does not have all of the frames."""
    end = session.annotation.frame_count - 1
    last = end if last is None else last
    if not first <= last <= end:
        raise UserError(
            "Frames {first} to {last} are not in the video. Nothing was changed.\n\n"
            "Frames are numbered 0 to {end}.",
            first=first,
            last=last,
            end=end,
        )
    return last


Ranges = list[str] | None


def memory(
    project: ProjectFolder,
    pin: Annotated[
        Ranges,
        typer.Option(
            metavar="FRAMES",
            help="Keep a frame in memory with the mask it has, which no run replaces then. "
            "Like the others a number, or a range as 40-60; may be repeated.",
        ),
    ] = None,
    exclude: Annotated[
        Ranges, typer.Option(metavar="FRAMES", help="Keep frames out of memory.")
    ] = None,
    release: Annotated[
        Ranges, typer.Option(metavar="FRAMES", help="Remove the rules of frames.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which frames the tracker's memory must hold and which it must not; without options, print
    the rules."""
    from interaction.project.records import ranges_to_json

    wanted = [
        (rule, *_frames(text, option))
        for rule, option, texts in (
            (MemoryRule.FREE, "--release", release),
            (MemoryRule.EXCLUDED, "--exclude", exclude),
            (MemoryRule.PINNED, "--pin", pin),
        )
        for text in texts or ()
    ]
    with open_project(project, read_only=not wanted) as session:
        annotation = session.annotation
        for _, first, last in wanted:
            _end(session, first, last)
        for rule, first, last in wanted:
            session.do(MemoryRequest(first, last, rule))
        session.flush()
        ranges = ranges_to_json(annotation.memory.ranges)
        given = [f for f, record in sorted(annotation.records.items()) if record.status.is_given]
        remembered = _remembered(session)
    lines = "\n".join(f"{one[0]}-{one[1]}  {one[2]}" for one in ranges)
    report = {"rules": ranges, "given": given, "interrupted_run": remembered}
    lines = lines or "No rule is set."
    if remembered is not None:
        lines += "\nIn memory of the interrupted run:\n"
        lines += "\n".join(
            f"{one['frame']}  {one['part']}  {100 * one['recent']:.1f} % of what was read last"
            for one in remembered
        )
    print_result(report, lines, as_json)


def _remembered(session: "Session") -> list[JsonObject] | None:
    """What the tracker held when the project's last run was interrupted; None if none was."""
    from interaction.tracking.unfinished import read_run

    project = session.project
    if project is None or not project.view.layout.unfinished.exists():
        return None
    run = read_run(project.view.layout.unfinished, is_whole=False)
    return [asdict(one) for one in run.remembered.frames]


def _frames(text: str, option: str) -> tuple[int, int]:
    """First and last of `12` or `40-60`. typer.BadParameter."""
    first, _, last = text.partition("-")
    numbers = first, last or first
    if not all(one.isascii() and one.isdigit() and len(one) < 10 for one in numbers) or int(
        numbers[0]
    ) > int(numbers[1]):
        raise typer.BadParameter(
            f"“{text}” is neither a frame nor a range as 40-60", param_hint=option
        )
    return int(numbers[0]), int(numbers[1])


def undo(
    project: ProjectFolder,
    steps: Annotated[int, typer.Option(min=1, help="How many steps.")] = 1,
    redo: Annotated[bool, typer.Option("--redo", help="Do undone steps again instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Undo the last steps of a project, a whole propagation being one."""
    labels = []
    with open_project(project) as session:
        for _ in range(steps):
            edit = session.redo() if redo else session.undo()
            if edit is None:
                break
            labels.append(edit.label)
        session.flush()
        position = session.history.position
    report = {"steps": labels, "steps_in_effect": position}
    if not labels:
        raise UserError(
            Message("There is nothing to redo. Nothing was changed.")
            if redo
            else Message("There is nothing to undo. Nothing was changed.")
        )
    print_result(
        report, "\n".join(f"{'redone' if redo else 'undone'}: {one}" for one in labels), as_json
    )


def suggest(
    project: ProjectFolder,
    count: Annotated[int, typer.Option(min=1, help="At most so many frames.")] = 10,
    goal: Annotated[
        float, typer.Option(min=0.5, max=0.99, help="The expected IoU that is good enough.")
    ] = 0.9,
    as_json: AsJson = False,
) -> None:
    """List the frames whose correction would repair most, best first, with about how many frames
    each repairs and the expected IoU of its worst object. Changes nothing."""
    with open_project(project, read_only=True) as session:
        frames = [
            {
                "frame": one.frame,
                "mends": one.mends,
                "object": session.annotation.object(one.object_id).name,
                "expected_iou": round(one.expected_iou, 4),
            }
            for one in session.next_frames(goal=goal, most=count)
        ]
        counts = Counter(one.status for one in session.annotation.records.values())
        missing = session.annotation.frame_count - (counts.total() - counts[FrameStatus.EMPTY])
    lines = [
        f"{one['frame']}  repairs ≈ {one['mends']} frames  "
        f"{one['object']}, expected IoU {one['expected_iou']:.2f}"
        for one in frames
    ]
    if not frames and not counts[FrameStatus.TRACKED]:
        lines.append("Nothing is tracked yet.")
    elif not frames and missing:
        lines.append(f"Nothing that is tracked so far is below the goal of {goal:.2f}.")
    elif not frames:
        lines.append(f"Nothing below the goal of {goal:.2f} remains.")
    if missing:
        lines.append(f"Frames without a mask: {missing}.")
    print_result({"goal": goal, "frames": frames}, "\n".join(lines), as_json)


def cuts(
    source: Annotated[
        str, typer.Argument(help="A project, a video or a folder of pictures.", metavar="SOURCE")
    ],
    as_json: AsJson = False,
) -> None:
    """List the frames that begin another shot. A project keeps them for the timeline."""
    from interaction.engines import EngineSettings
    from interaction.video.cuts import find_cuts

    with (
        open_session(source, None, EngineSettings()) as session,
        frame_progress("looking for cuts") as show,
    ):
        found = finish(find_cuts(session.video), lambda done: show(done, len(session.video)))
        if session.project is not None:
            session.project.save_cuts(found)
    print_result({"cuts": found}, "\n".join(map(str, found)) or "No cut was found.", as_json)
