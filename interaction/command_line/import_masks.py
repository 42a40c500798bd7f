"""`xmem-annotate import`: masks from elsewhere into a project."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from rich.console import Console

from interaction.command_line.options import taking
from interaction.command_line.sources import frame_progress, project_folder
from interaction.errors import UserError

if TYPE_CHECKING:
    from interaction.formats.import_plan import ImportPlan, ImportPreview

__all__ = ["import_masks"]

_PAIR: Final = re.compile(r"\s*(\d{1,9})\s*=\s*(\d{1,3})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Of `import`, by name."""

    project: Annotated[str, typer.Argument(help="Folder of a project.", metavar="PROJECT")]
    masks: Annotated[
        Path,
        typer.Argument(
            help="A folder or file: pictures, a folder for each object, DAVIS, YouTube-VOS, MOTS, "
            "COCO, YouTube-VIS or YOLO.",
            metavar="MASKS",
        ),
    ]
    status: Annotated[
        Literal["confirmed", "tracked"],
        typer.Option(help="confirmed: never overwritten; tracked: a propagation may replace them."),
    ] = "confirmed"
    objects: Annotated[
        list[str] | None,
        typer.Option(
            "--object",
            help="KEY=ID: the masks' object KEY, as --dry-run lists it, becomes object ID; all "
            "that are not named are left out. May be repeated.",
        ),
    ] = None
    replace_given: Annotated[
        bool,
        typer.Option(
            "--replace-given", help="Also replace masks that were made or confirmed by hand."
        ),
    ] = False
    keep_others: Annotated[
        bool,
        typer.Option(
            "--keep-others", help="Other objects keep their pixels where nothing is imported."
        ),
    ] = False
    keep_covered: Annotated[
        bool,
        typer.Option(
            "--keep-covered",
            help="Where imported objects overlap, they keep what others cover of them.",
        ),
    ] = False
    take_empty: Annotated[
        bool,
        typer.Option(
            "--take-empty",
            help="Also take masks without a pixel of the objects: they are not on those frames.",
        ),
    ] = False
    frame: Annotated[
        int, typer.Option(min=0, help="The frame of a single mask whose name tells none.")
    ] = 0
    first_number: Annotated[
        int | None,
        typer.Option(
            min=0, help="The number that files of the first frame have; by default inferred."
        ),
    ] = None
    first: Annotated[int, typer.Option(min=0, help="First frame.")] = 0
    last: Annotated[int | None, typer.Option(min=0, help="Last frame; by default the end.")] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be imported.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


@taking(ImportOptions)
def import_masks(options: ImportOptions) -> None:
    """Read masks from elsewhere into a project. One step of its history, so it can be undone."""
    from interaction.annotation.types import FrameStatus
    from interaction.formats.import_masks import planned_edits
    from interaction.formats.import_plan import ImportChoices, plan_import, preview_import
    from interaction.session import Session

    object_ids = None if options.objects is None else _parse(options.objects)
    with Session.open_project(
        project_folder(options.project), read_only=options.dry_run
    ) as session:
        if session.project and session.ledger.is_read_only and not options.dry_run:
            damages = "; ".join(session.project.damages)
            raise UserError(
                "The project is damaged and was opened for reading only, so nothing can be "
                "imported: {damages}.\n\nMend it, or make a new project.",
                damages=damages,
            )
        with frame_progress("looking") as show:
            preview = preview_import(
                options.masks,
                session.video,
                session.annotation,
                shown=options.frame,
                first_number=options.first_number,
                on_progress=show,
            )
        _check_keys(preview, object_ids)
        choices = ImportChoices(
            object_ids=object_ids,
            status=FrameStatus(options.status),
            replaces_given=options.replace_given,
            keeps_others=options.keep_others,
            keeps_covered=options.keep_covered,
            takes_empty=options.take_empty,
            first=options.first,
            last=options.last,
        )
        plan = plan_import(preview, session.annotation, choices)
        report = {**preview.to_json(), "plan": plan.to_json()}
        if not options.dry_run:
            changed: set[int] = set()
            with frame_progress("importing") as show:
                for edit in planned_edits(plan):
                    if session.apply(edit):
                        changed |= edit.frames
                    show(len(changed), len(plan.frames))
            session.flush()
            report["changed"] = sorted(changed)
    if options.as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        _tell(plan, None if options.dry_run else len(changed))


def _check_keys(preview: "ImportPreview", object_ids: dict[int, int] | None) -> None:
    unknown = set(object_ids or {}) - {one.key for one in preview.objects}
    if unknown:
        known = ", ".join(str(one.key) for one in preview.objects) or "none"
        raise UserError(
            "The masks hold no object {key}. Nothing was changed.\n\nThey hold: {known}.",
            key=min(unknown),
            known=known,
        )


def _parse(texts: list[str]) -> dict[int, int]:
    pairs = {}
    for text in texts:
        found = _PAIR.fullmatch(text)
        if found is None or int(found[2]) > 255:
            raise typer.BadParameter(f"KEY=ID with numbers, got “{text}”", param_hint="--object")
        pairs[int(found[1])] = int(found[2])
    return pairs


def _tell(plan: "ImportPlan", changed: int | None) -> None:
    console = Console(stderr=changed is not None, highlight=False)
    for one in plan.preview.objects:
        name = one.name or "no name"
        object_id = plan.ids.get(one.key)
        becomes = "left out" if object_id is None else f"object {object_id} here"
        console.print(
            f"object {one.key} ({name}) on {one.frame_count} frames: {becomes}", markup=False
        )
    for line in (*plan.preview.lines(), *plan.lines()):
        console.print(line, markup=False, soft_wrap=True)
    if changed is not None:
        console.print(f"{changed} frames changed.")
    elif plan.problem is not None:
        console.print(plan.problem, markup=False, soft_wrap=True)
