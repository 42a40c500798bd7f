"""`xmem-annotate batch`: a list of propagations, with one report for all."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from interaction.command_line.config import ConfigFile, default_map
from interaction.command_line.propagate import batch_settings, stop_on_interrupt
from interaction.command_line.sources import frame_progress
from interaction.errors import UserError
from interaction.files import is_file, write_text
from interaction.tracking.jobs import Job, JobResult, read_jobs, run_jobs

__all__ = ["batch"]

_INCOMPLETE, _STOPPED = 3, 130


def batch(
    context: typer.Context,
    jobs: Annotated[
        Path,
        typer.Argument(
            help="A CSV table or JSON lines: source, masks, output and other options of "
            "`propagate`. Or a folder: videos, each with NAME-masks beside it; or JPEGImages and "
            "Annotations."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the jobs that name no output; by default JOBS-results."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="File of the report; by default JOBS-report.json.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Do only what is missing; go on where it stopped.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report.")] = False,
) -> None:
    """Propagate many videos, one after the other. One that fails does not stop the others.

    Exit code 3 if one failed.
    """
    from xmem_core.device import keep_freed_memory

    keep_freed_memory()
    base = jobs.with_name(jobs.stem if is_file(jobs) else jobs.name)
    output = output or base.with_name(f"{base.name}-results")
    report = report or base.with_name(f"{base.name}-report.json")
    found = read_jobs(jobs, output)
    command = _propagate(context)
    results: list[JobResult] = []
    console = Console(stderr=True, highlight=False)

    def run(job: Job) -> Mapping[str, Any]:
        return _run(context, command, jobs, job, resume, stop.is_set)

    try:
        with stop_on_interrupt() as stop, frame_progress("jobs") as show:
            for result in run_jobs(found, run, resumes=resume):
                results.append(result)
                show(len(results), len(found))
                if result.error:
                    console.print(f"{result.name}: {result.error}", markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        console.print("Stopped. The same command with --resume goes on from there.")
        raise typer.Exit(_STOPPED) from None
    finally:
        text = json.dumps([result.to_json() for result in results], indent=2)
        write_text(report, text + "\n")
    if as_json:
        typer.echo(text)
    else:
        counts = Counter(result.status for result in results)
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        console.print(f"{told}. Report: {report}", markup=False)
    if any(result.error for result in results):
        raise typer.Exit(_INCOMPLETE)


def _propagate(context: typer.Context) -> Any:
    group: Any = context.parent.command if context.parent else None
    return group.get_command(context, "propagate")


def _run(
    context: typer.Context,
    command: Any,
    path: Path,
    job: Job,
    resumes: bool,
    should_stop: Callable[[], bool],
) -> Mapping[str, Any]:
    """The job's values go through the options of `propagate`, over the values of config files.
    KeyboardInterrupt once `should_stop` says so, with everything finished on disk."""
    from interaction.tracking.batch import run_batch

    values = dict(job.values)
    source = values.pop("source")
    row = ConfigFile(path, {command.name: values})
    try:
        parsed = command.make_context(
            command.name,
            [source, *(["--resume"] if resumes else [])],
            parent=context.parent,
            default_map=default_map((*context.obj, row), command),
        )
    except typer.BadParameter as error:
        raise UserError(error.format_message()) from None
    with parsed:
        steps = run_batch(batch_settings(parsed.params), should_stop)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            if end.value is None:
                raise KeyboardInterrupt from None
            return end.value
