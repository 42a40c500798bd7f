"""`xmem-annotate evaluate-dataset`: track and score a benchmark as it prescribes."""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from interaction.command_line.sources import frame_progress
from interaction.evaluation.datasets import Kind, find_dataset

if TYPE_CHECKING:
    from interaction.evaluation.runs import ClipOutcome, DatasetRun

__all__ = ["evaluate_dataset"]

_INCOMPLETE = 3


def evaluate_dataset(
    kind: Annotated[Kind, typer.Argument(help="The data set.", metavar="KIND")],
    root: Annotated[
        Path,
        typer.Argument(
            help="Its folder, as unpacked; for “folder”, one with JPEGImages and Annotations."
        ),
    ],
    split: Annotated[
        Literal["val", "test"],
        typer.Option(help="test: DAVIS test-dev, and the test sets of YouTube-VOS and LVOS."),
    ] = "val",
    truth: Annotated[
        Path | None, typer.Option(help="Ground truth that lies elsewhere, a folder for each clip.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the results; by default KIND-SPLIT-MODEL in this one."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Tracker: a name from `models list`, or a file.")
    ] = "small",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    size: Annotated[
        int | None,
        typer.Option(
            help="Shorter side at which the network works, in pixels; -1: the source's. By default "
            "480, and the source's for longvideo."
        ),
    ] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="Track mirrored pictures too, and merge.")
    ] = False,
    multi_scale: Annotated[
        str | None,
        typer.Option(
            help="Sizes to track at and merge, with commas between: 480,600,720.",
        ),
    ] = None,
    memory_every: Annotated[
        int | None,
        typer.Option("--memory-every", "--mem-every", min=1, help="Frames between memory frames."),
    ] = None,
    no_long_term: Annotated[
        bool, typer.Option("--no-long-term", "--disable-long-term", help="Keep every memory frame.")
    ] = False,
    no_sensory: Annotated[
        bool, typer.Option("--no-sensory", help="Leave sensory memory out, as in the ablations.")
    ] = False,
    affinity: Annotated[
        Literal["anisotropic", "stcn"],
        typer.Option(help="How positions are compared; stcn: by plain L2 distance."),
    ] = "anisotropic",
    no_amp: Annotated[bool, typer.Option("--no-amp", help="Never work in half precision.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Clips tracked at the same time.")] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do finished clips again.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the totals as JSON.")] = False,
) -> None:
    """Track every clip of a data set from its first masks, and score what was tracked.

    First masks, scored frames and averages are the benchmark's. Writes masks, scores.json,
    scores.csv and a page with plots, index.html; a zip for the server where there is no ground
    truth. The same command again does what is missing. Exit code 3 if a clip failed.
    """
    from interaction.engines import EngineSettings
    from interaction.evaluation.report import write_report
    from interaction.evaluation.runs import DatasetRun, run_dataset
    from xmem_core.config import MemoryConfig

    dataset = find_dataset(kind, root, split, truth)
    sizes: tuple[int | None, ...] = (dataset.internal_size,)
    if size is not None:
        sizes = (None if size == -1 else size,)
    if multi_scale is not None:
        sizes = _sizes(multi_scale)
    defaults = MemoryConfig()
    try:
        engine = EngineSettings(
            tracker_model=model,
            device=device,
            internal_size=sizes[0],
            allows_half_precision=not no_amp,
            memory=MemoryConfig(
                memorize_every=memory_every or defaults.memorize_every,
                has_long_term=not no_long_term,
                has_sensory=not no_sensory,
                affinity=affinity,
            ),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    run = DatasetRun(
        dataset=dataset,
        output=output or Path(f"{kind}-{split}-{Path(model).stem}"),
        engine=engine,
        sizes=sizes,
        is_flipped=flip,
        jobs=jobs,
        overwrites=overwrite,
    )
    console = Console(stderr=True, highlight=False)
    outcomes: list[ClipOutcome] = []
    with frame_progress("clips") as show, closing(run_dataset(run)) as steps:
        while True:
            show(len(outcomes), len(dataset.clips))
            try:
                outcome = next(steps)
            except StopIteration as end:
                every: tuple[ClipOutcome, ...] = end.value
                break
            outcomes.append(outcome)
            if outcome.error:
                console.print(f"{outcome.name}: {outcome.error}", markup=False, soft_wrap=True)
    summary = write_report(run, every)
    if as_json:
        typer.echo(json.dumps({"output": str(run.output), **summary.to_json()}, indent=2))
    else:
        _tell(console, run, every, summary.overall)
    if any(outcome.error for outcome in every):
        raise typer.Exit(_INCOMPLETE)


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
