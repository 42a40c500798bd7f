"""`xmem-annotate evaluate-dataset`: track and score a benchmark as it prescribes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from interaction.command_line.options import Affinity, Device, NoAmp, NoLongTerm, NoSensory, taking
from interaction.command_line.sources import frame_progress
from interaction.evaluation.datasets import Kind, find_dataset
from interaction.steps import finish

if TYPE_CHECKING:
    from interaction.evaluation.runs import ClipOutcome, DatasetRun

__all__ = ["evaluate_dataset"]

_INCOMPLETE = 3


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """Of `evaluate-dataset`, by name."""

    kind: Annotated[Kind, typer.Argument(help="The data set.", metavar="KIND")]
    root: Annotated[
        Path,
        typer.Argument(
            help="Its folder, as unpacked; for “folder”, one with JPEGImages and Annotations."
        ),
    ]
    split: Annotated[
        Literal["val", "test"],
        typer.Option(help="test: DAVIS test-dev, and the test sets of YouTube-VOS and LVOS."),
    ] = "val"
    truth: Annotated[
        Path | None, typer.Option(help="Ground truth that lies elsewhere, a folder for each clip.")
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the results; by default KIND-SPLIT-MODEL in this one."),
    ] = None
    model: Annotated[str, typer.Option(help="Tracker: a name from `models list`, or a file.")] = (
        "small"
    )
    device: Device = "auto"
    size: Annotated[
        int | None,
        typer.Option(
            help="Shorter side at which the network works, in pixels; -1: the source's. By default "
            "480, and the source's for longvideo."
        ),
    ] = None
    flip: Annotated[
        bool, typer.Option("--flip", help="Track mirrored pictures too, and merge.")
    ] = False
    multi_scale: Annotated[
        str | None,
        typer.Option(
            help="Sizes to track at and merge, with commas between: 480,600,720.",
        ),
    ] = None
    memory_every: Annotated[
        int | None,
        typer.Option("--memory-every", "--mem-every", min=1, help="Frames between memory frames."),
    ] = None
    no_long_term: NoLongTerm = False
    no_sensory: NoSensory = False
    affinity: Affinity = "anisotropic"
    no_amp: NoAmp = False
    jobs: Annotated[int, typer.Option(min=1, help="Clips tracked at the same time.")] = 1
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do finished clips again.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the totals as JSON.")] = False


@taking(DatasetOptions)
def evaluate_dataset(options: DatasetOptions) -> None:
    """Track every clip of a data set from its first masks, and score what was tracked.

    First masks, scored frames and averages are the benchmark's. Writes masks, scores.json,
    scores.csv and a page with plots, index.html; a zip for the server where there is no ground
    truth. The same command again does what is missing. Exit code 3 if a clip failed.
    """
    from interaction.evaluation.report import write_report
    from interaction.evaluation.runs import run_dataset

    run = _dataset_run(options)
    console = Console(stderr=True, highlight=False)
    outcomes: list[ClipOutcome] = []
    with frame_progress("clips") as show:
        total = len(run.dataset.clips)
        show(0, total)

        def on_step(outcome: "ClipOutcome") -> None:
            outcomes.append(outcome)
            show(len(outcomes), total)
            if outcome.error:
                console.print(f"{outcome.name}: {outcome.error}", markup=False, soft_wrap=True)

        every = finish(run_dataset(run), on_step)
    summary = write_report(run, every)
    if options.as_json:
        typer.echo(json.dumps({"output": str(run.output), **summary.to_json()}, indent=2))
    else:
        _tell(console, run, every, summary.overall)
    if any(outcome.error for outcome in every):
        raise typer.Exit(_INCOMPLETE)


def _dataset_run(options: DatasetOptions) -> "DatasetRun":
    from interaction.engines import EngineSettings
    from interaction.evaluation.runs import DatasetRun
    from xmem_core.config import MemoryConfig

    dataset = find_dataset(options.kind, options.root, options.split, options.truth)
    sizes: tuple[int | None, ...] = (dataset.internal_size,)
    if options.size is not None:
        sizes = (None if options.size == -1 else options.size,)
    if options.multi_scale is not None:
        sizes = _sizes(options.multi_scale)
    try:
        engine = EngineSettings(
            tracker_model=options.model,
            device=options.device,
            internal_size=sizes[0],
            allows_half_precision=not options.no_amp,
            memory=MemoryConfig(
                memorize_every=options.memory_every or MemoryConfig().memorize_every,
                has_long_term=not options.no_long_term,
                has_sensory=not options.no_sensory,
                affinity=options.affinity,
            ),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    name = f"{options.kind}-{options.split}-{Path(options.model).stem}"
    return DatasetRun(
        dataset=dataset,
        output=options.output or Path(name),
        engine=engine,
        sizes=sizes,
        is_flipped=options.flip,
        jobs=options.jobs,
        overwrites=options.overwrite,
    )


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 16:
        raise typer.BadParameter(
            f"numbers from 16 with commas between, got “{text}”", param_hint="--multi-scale"
        )
    return sizes


def _tell(
    console: Console, run: "DatasetRun", outcomes: "tuple[ClipOutcome, ...]", overall: float | None
) -> None:
    failed = sum(outcome.error is not None for outcome in outcomes)
    if failed:
        console.print(f"{failed} of {len(outcomes)} clips failed; the same command tries again.")
    if overall is None:
        console.print(f"Masks in “{run.output}”; there is no ground truth to score.", markup=False)
    else:
        console.print(f"{100 * overall:.1f} overall; see {run.output / 'index.html'}", markup=False)
