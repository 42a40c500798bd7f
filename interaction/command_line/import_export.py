"""`xmem-annotate export`, `import`, `verify`: masks for other programs and from them."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from rich.console import Console
from rich.table import Table

from interaction.command_line.options import AsJson, First, Frame, Last, ProjectFolder, taking
from interaction.command_line.sources import (
    frame_progress,
    object_ids,
    open_project,
    print_json,
    print_result,
    project_folder,
    project_video,
    remark,
    source_path,
)
from interaction.errors import UserError
from interaction.steps import finish

if TYPE_CHECKING:
    from interaction.formats.import_plan import ImportPlan, ImportPreview
    from interaction.formats.verify import VerifyReport

__all__ = ["export", "import_masks", "verify"]


def _list_formats(is_wanted: bool) -> None:
    if not is_wanted:
        return
    from interaction.formats.export import FORMATS

    table = Table("format", "", "settings", show_lines=True)
    for one in FORMATS.values():
        lines = []
        for info in one.settings:
            values = "|".join(value for value, _ in info.choices) or info.kind
            lines.append(f"{info.name}={info.default} ({values}) {info.title}")
        table.add_row(one.name, f"{one.title}. {one.description}", "\n".join(lines))
    Console().print(table)
    raise typer.Exit


@dataclass(frozen=True, slots=True)
class ExportingOptions:
    """Of `export`, by name."""

    project: ProjectFolder
    format_name: Annotated[
        str, typer.Option("--format", help="What to write; --formats lists what there is.")
    ]
    output: Annotated[
        Path | None,
        typer.Option(
            help="The folder or file to write; by default PROJECT-FORMAT beside the project."
        ),
    ] = None
    objects: Annotated[
        list[str] | None,
        typer.Option("--object", help="Only this object, by id or name; may be repeated."),
    ] = None
    first: First = 0
    last: Last = None
    step: Annotated[int, typer.Option(min=1, help="Every how many frames.")] = 1
    only_annotated: Annotated[
        bool,
        typer.Option(
            "--only-annotated", help="Leave out frames that were never annotated nor tracked."
        ),
    ] = False
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the format, as NAME=VALUE; may be repeated."),
    ] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of the same names.")
    ] = False
    visible_only: Annotated[
        bool,
        typer.Option(
            "--visible-only", help="Leave out pixels of objects that other objects cover."
        ),
    ] = False
    no_hashes: Annotated[
        bool,
        typer.Option(
            "--no-hashes",
            help="Leave the hash of each picture out of frames.csv: quicker, but the export cannot "
            "be verified.",
        ),
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be missing or in the way.")
    ] = False
    as_json: AsJson = False
    formats: Annotated[
        bool,
        typer.Option(
            "--formats",
            help="List the formats and their settings.",
            is_eager=True,
            callback=_list_formats,
        ),
    ] = False


@taking(ExportingOptions)
def export(options: ExportingOptions) -> None:
    """Write a project's masks for another program. Changes nothing in the project, and works while
    it is open elsewhere."""
    from interaction.formats.export import ExportSettings, check_export, find_format
    from interaction.formats.export import export as write
    from interaction.formats.format import ExportSource, count_frames
    from interaction.formats.options import options_from_texts
    from interaction.project.project import Project

    kind = find_format(options.format_name)
    of_format = options_from_texts(kind.options, _pairs(options.settings or []))
    folder = project_folder(options.project).resolve()
    target = options.output or folder.with_name(f"{folder.stem}-{options.format_name}{kind.suffix}")
    with Project.open(folder, read_only=True) as opened, project_video(opened) as video:
        source = ExportSource.of(opened.load_annotation(), video, protects=(opened.folder,))
        chosen = ExportSettings(
            format=options.format_name,
            target=target,
            options=of_format,
            objects=object_ids(source.objects, options.objects),
            first=options.first,
            last=options.last,
            step=options.step,
            only_annotated=options.only_annotated,
            overwrites=options.overwrite,
            has_covered=not options.visible_only,
            has_hashes=not options.no_hashes,
        )
        if options.dry_run:
            preview = check_export(source, chosen)
            lines = [f"{count_frames(len(preview.frames))} would be written.", *preview.lines()]
            lines += [] if preview.problem is None else [preview.problem]
            print_result(preview.to_json(), "\n".join(lines), options.as_json)
            return
        with frame_progress() as show:
            report = finish(write(source, chosen), lambda step: show(step.done, step.total))
    if options.as_json:
        print_json(report.to_json())
        return
    remark(f"{count_frames(report.frame_count)} in “{report.target}”.")
    for line in (*map(str, report.gaps), *report.notices):
        remark(line, wraps=False)


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, is_pair, value = text.partition("=")
        if not is_pair:
            raise typer.BadParameter(f"NAME=VALUE, got “{text}”", param_hint="--set")
        pairs[name.strip()] = value.strip()
    return pairs


_PAIR: Final = re.compile(r"\s*(\d{1,9})\s*=\s*(\d{1,3})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Of `import`, by name."""

    project: ProjectFolder
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
    frame: Frame = 0
    first_number: Annotated[
        int | None,
        typer.Option(
            min=0, help="The number that files of the first frame have; by default inferred."
        ),
    ] = None
    first: First = 0
    last: Last = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be imported.")
    ] = False
    as_json: AsJson = False


@taking(ImportOptions)
def import_masks(options: ImportOptions) -> None:
    """Read masks from elsewhere into a project. One step of its history, so it can be undone."""
    from interaction.annotation.types import FrameStatus
    from interaction.formats.import_masks import planned_edits
    from interaction.formats.import_plan import ImportChoices, plan_import, preview_import

    object_ids = None if options.objects is None else _parse_keys(options.objects)
    with open_project(options.project, read_only=options.dry_run) as session:
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
        lines = [*_becomes(plan), *preview.lines(), *plan.lines()]
        if options.dry_run:
            lines += [] if plan.problem is None else [plan.problem]
            print_result(report, "\n".join(lines), options.as_json)
            return
        changed: set[int] = set()
        with frame_progress("importing") as show:
            for edit in planned_edits(plan):
                if session.apply(edit):
                    changed |= edit.frames
                show(len(changed), len(plan.frames))
        session.flush()
    if options.as_json:
        print_json({**report, "changed": sorted(changed)})
        return
    for line in (*lines, f"{len(changed)} frames changed."):
        remark(line, wraps=False)


def _becomes(plan: "ImportPlan") -> Iterator[str]:
    """What the masks' objects will be here, a line for each."""
    for one in plan.preview.objects:
        object_id = plan.ids.get(one.key)
        becomes = "left out" if object_id is None else f"object {object_id} here"
        name = one.name or "no name"
        yield f"object {one.key} ({name}) on {one.frame_count} frames: {becomes}"


def _check_keys(preview: "ImportPreview", object_ids: dict[int, int] | None) -> None:
    unknown = set(object_ids or {}) - {one.key for one in preview.objects}
    if unknown:
        known = ", ".join(str(one.key) for one in preview.objects) or "none"
        raise UserError(
            "The masks hold no object {key}. Nothing was changed.\n\nThey hold: {known}.",
            key=min(unknown),
            known=known,
        )


def _parse_keys(texts: list[str]) -> dict[int, int]:
    pairs = {}
    for text in texts:
        found = _PAIR.fullmatch(text)
        if found is None or int(found[2]) > 255:
            raise typer.BadParameter(f"KEY=ID with numbers, got “{text}”", param_hint="--object")
        pairs[int(found[1])] = int(found[2])
    return pairs


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
            "export that it belongs to."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether an export belongs to a video, by the pictures themselves. Changes nothing.

    Exit codes: 0 every frame is equal; 3 it was made for another video, another encoding of it, or
    only a part is equal; 1 it is not known.
    """
    from interaction.formats.verify import list_of

    list_of(export)  # before anything is searched
    report = _of(export, source_path(video)) if video is not None else _best(export)
    print_result(report.to_json(), "\n".join(report.lines()), as_json)
    if not report.belongs:
        raise typer.Exit(3)


def _of(export: Path, place: Path) -> "VerifyReport":
    from interaction.formats.verify import verify as compare
    from interaction.project.layout import is_project
    from interaction.project.project import Project
    from interaction.video.video import open_video

    with ExitStack() as closing_all, frame_progress() as show:
        if is_project(place):
            project = closing_all.enter_context(Project.open(place, read_only=True))
            video = closing_all.enter_context(project_video(project))
        else:
            video = closing_all.enter_context(open_video(place))
        return finish(compare(export, video), lambda done: show(done, len(video)))


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
