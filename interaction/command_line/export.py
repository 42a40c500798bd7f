"""`xmem-annotate export`: masks of a project in the format another program wants."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from interaction.command_line.options import taking
from interaction.command_line.sources import frame_progress, object_ids, project_folder
from interaction.errors import UserError
from interaction.steps import finish

if TYPE_CHECKING:
    from interaction.formats.export import ExportPreview, ExportReport, ExportSettings
    from interaction.formats.format import ExportSource

__all__ = ["export"]


def _list_formats(is_wanted: bool) -> None:
    if not is_wanted:
        return
    from interaction.formats.table import FORMATS

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

    project: Annotated[str, typer.Argument(help="Folder of a project.", metavar="PROJECT")]
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
    first: Annotated[int, typer.Option(min=0, help="First frame.")] = 0
    last: Annotated[int | None, typer.Option(min=0, help="Last frame; by default the end.")] = None
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
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
    from interaction.formats.export import ExportSettings, check_export
    from interaction.formats.format import ExportSource
    from interaction.formats.options import options_from_texts
    from interaction.formats.table import FORMATS
    from interaction.project.project import Project
    from interaction.video.video import open_video

    kind = FORMATS.get(options.format_name)
    if kind is None:
        raise UserError(
            "There is no export format “{format_name}”.\n\nThe formats are: {formats}.",
            format_name=options.format_name,
            formats=", ".join(FORMATS),
        )
    of_format = options_from_texts(kind.options, _pairs(options.settings or []))
    folder = project_folder(options.project).resolve()
    target = options.output or folder.with_name(f"{folder.stem}-{options.format_name}{kind.suffix}")
    with Project.open(folder, read_only=True) as opened:
        place = opened.view.find_source()
        with open_video(place, index=opened.view.load_index(place)) as video:
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
                _tell_preview(check_export(source, chosen), as_json=options.as_json)
                return
            report = _run(source, chosen)
    _tell_report(report, as_json=options.as_json)


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, is_pair, value = text.partition("=")
        if not is_pair:
            raise typer.BadParameter(f"NAME=VALUE, got “{text}”", param_hint="--set")
        pairs[name.strip()] = value.strip()
    return pairs


def _run(source: "ExportSource", settings: "ExportSettings") -> "ExportReport":
    from interaction.formats.export import export as run_export

    with frame_progress() as show:
        return finish(run_export(source, settings), lambda step: show(step.done, step.total))


def _tell_preview(preview: "ExportPreview", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(preview.to_json(), indent=2))
        return
    from interaction.formats.format import count_frames

    console = Console(highlight=False)
    console.print(f"{count_frames(len(preview.frames))} would be written.")
    for line in preview.lines():
        console.print(line, markup=False, soft_wrap=True)
    if preview.problem is not None:
        console.print(preview.problem, markup=False, soft_wrap=True)


def _tell_report(report: "ExportReport", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
        return
    from interaction.formats.format import count_frames

    console = Console(stderr=True, highlight=False)
    console.print(f"{count_frames(report.frame_count)} in “{report.target}”.", markup=False)
    for line in (*map(str, report.gaps), *report.notices):
        console.print(line, markup=False, soft_wrap=True)
