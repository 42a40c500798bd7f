"""`xmem-annotate click`: clicks on one frame become a mask."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from interaction.annotation.requests import ClickRequest
from interaction.annotation.types import Click
from interaction.command_line.sources import SAMPLE, open_session
from interaction.errors import UserError

if TYPE_CHECKING:
    from interaction.session import Session

__all__ = ["click"]

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
    model: Annotated[
        str, typer.Option(help="Click network: a name from `models list`, or a file.")
    ] = "small-clicks",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Cut an object out of one frame by clicks."""
    given = [_parse(text) for text in clicks]
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
            _write(output, session, frame)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        Console(stderr=True, highlight=False).print(
            f"“{report['name']}” covers {report['pixels']} pixels of frame {frame}.", markup=False
        )


def _parse(text: str) -> Click:
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


def _write(output: Path, session: "Session", frame: int) -> None:
    from interaction.annotation.mask_files import encode_labels
    from interaction.files import write_bytes

    mask = session.annotation.record(frame).mask
    if mask is None:
        mask = encode_labels(session.masks[frame])
    write_bytes(output, mask)
