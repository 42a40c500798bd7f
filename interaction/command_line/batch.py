"""`xmem-annotate batch`: a list of propagations, with one report for all."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from interaction.command_line.config import ConfigFile, click_command, default_map
from interaction.command_line.options import taking
from interaction.command_line.propagate import (
    PropagateOptions,
    batch_settings,
    propagate,
    stop_on_interrupt,
)
from interaction.command_line.sources import frame_progress, remark
from interaction.errors import UserError
from interaction.files import JsonObject, is_file, write_text
from interaction.steps import finish
from interaction.tracking.jobs import (
    Job,
    JobResult,
    finished,
    is_begun,
    is_finished,
    read_jobs,
    run_job,
    run_jobs,
)

__all__ = ["batch"]

_INCOMPLETE, _STOPPED = 3, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """Parameters of `batch`."""

    context: typer.Context
    jobs: Annotated[
        Path,
        typer.Argument(
            help="A CSV table or JSON lines: source, masks, output and other options of "
            "`propagate`. Or a folder: videos, each with NAME-masks beside it; or JPEGImages and "
            "Annotations."
        ),
    ]
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the jobs that name no output; by default JOBS-results."),
    ] = None
    report: Annotated[
        Path | None, typer.Option(help="File of the report; by default JOBS-report.json.")
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Do only what is missing; go on where it stopped.")
    ] = False
    cluster: Annotated[
        bool,
        typer.Option("--cluster", help="Several at a time, by a Ray of its own on this machine."),
    ] = False
    address: Annotated[
        str | None,
        typer.Option(
            help="The same on a Ray cluster, whose machines see the files under the same paths: "
            "HOST:PORT or auto."
        ),
    ] = None
    cpus: Annotated[int, typer.Option(min=1, help="Processors for each job on a cluster.")] = 1
    as_json: Annotated[bool, typer.Option("--json", help="Print the report.")] = False

    def place(self, ending: str) -> Path:
        """Beside the jobs, by their name."""
        base = self.jobs.stem if is_file(self.jobs) else self.jobs.name
        return self.jobs.with_name(f"{base}{ending}")


@taking(BatchOptions)
def batch(options: BatchOptions) -> None:
    """Propagate many videos, one after the other or on a cluster. One that fails does not stop the
    others.

    Exit code 3 if one failed.
    """
    from xmem_core.device import keep_freed_memory

    keep_freed_memory()
    report = options.report or options.place("-report.json")
    found = read_jobs(options.jobs, options.output or options.place("-results"))
    results: list[JobResult] = []
    try:
        with frame_progress("jobs") as show, _steps(options, found) as steps:
            for result in steps:
                results.append(result)
                show(len(results), len(found))
                if result.error:
                    remark(f"{result.name}: {result.error}", wraps=False)
    except KeyboardInterrupt:
        remark("Stopped. The same command with --resume goes on from there.")
        raise typer.Exit(_STOPPED) from None
    finally:
        text = json.dumps([result.to_json() for result in results], indent=2)
        write_text(report, text + "\n")
    if options.as_json:
        typer.echo(text)
    else:
        counts = Counter(result.status for result in results)
        summary = ", ".join(f"{count} {status}" for status, count in counts.items())
        remark(f"{summary}. Report: {report}")
    if any(result.error for result in results):
        raise typer.Exit(_INCOMPLETE)


@contextmanager
def _steps(options: BatchOptions, jobs: list[Job]) -> Iterator[Iterator[JobResult]]:
    """The results, as they come, here or from a cluster."""
    files: tuple[ConfigFile, ...] = options.context.obj
    path, resumes = options.jobs, options.resume
    if not options.cluster and options.address is None:
        with stop_on_interrupt() as stop:
            yield run_jobs(jobs, partial(_run, files, path, resumes, stop.is_set), resumes=resumes)
        return
    from interaction.tracking.jobs import run_on_cluster

    done = [job for job in jobs if resumes and is_finished(job)]
    rest = [job for job in jobs if job not in done]
    fresh = frozenset(job.name for job in rest if resumes or not is_begun(job))
    if not rest:
        yield map(finished, done)
        return
    defaults = _parsed(files, path, {**rest[0].values, "source": ""})
    steps = run_on_cluster(
        rest,
        _run_on_worker,
        (files, path.resolve(), fresh),
        address=options.address,
        cpus_per_job=options.cpus,
        model=defaults.model,
        uses_gpu=defaults.device != "cpu",
    )
    # Ray prints what happens to workers, and standard output is for the report.
    with redirect_stdout(sys.stderr), closing(steps):
        yield chain(map(finished, done), steps)


def _parsed(files: tuple[ConfigFile, ...], path: Path, values: JsonObject) -> PropagateOptions:
    """The parameters of `propagate`: a job's values, over those of config files. UserError for
    what makes no sense."""
    row = ConfigFile(path, {"propagate": {k: v for k, v in values.items() if k != "source"}})
    command = click_command(propagate, "propagate")
    try:
        defaults = default_map((*files, row), command)
        context = command.make_context("propagate", [values["source"]], default_map=defaults)
    except typer.BadParameter as error:
        raise UserError(error.format_message()) from None
    return PropagateOptions(**context.params)


def _run(
    files: tuple[ConfigFile, ...],
    path: Path,
    resumes: bool,
    should_stop: Callable[[], bool],
    job: Job,
) -> JsonObject:
    """KeyboardInterrupt once `should_stop` says so, with everything finished on disk."""
    from interaction.tracking.batch import run_batch

    options = replace(_parsed(files, path, job.values), resume=resumes)
    report = finish(run_batch(batch_settings(options), should_stop))
    if report is None:
        raise KeyboardInterrupt
    return report


def _never() -> bool:
    return False


def _run_on_worker(
    files: tuple[ConfigFile, ...], path: Path, fresh: frozenset[str], job: Job
) -> JobResult:
    """On a machine of the cluster. A fresh job that is begun again, because its worker died, goes
    on where that stopped."""
    return run_job(job, partial(_run, files, path, job.name in fresh, _never))
