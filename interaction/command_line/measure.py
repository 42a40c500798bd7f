"""`xmem-annotate evaluate`, `evaluate-dataset`, `benchmark`: how good masks are, and how fast.

A table or JSON goes to standard output; progress and remarks go to standard error.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from interaction.command_line.options import (
    Affinity,
    Device,
    Model,
    NoAmp,
    NoLongTerm,
    NoSensory,
    Tracker,
    taking,
)
from interaction.command_line.sources import frame_progress, print_json, remark
from interaction.evaluation.datasets import Kind, find_dataset
from interaction.evaluation.scores import Evaluation, Statistics, find_clips, score_clip
from interaction.models import find_model
from interaction.steps import finish

if TYPE_CHECKING:
    from interaction.evaluation.runs import ClipOutcome, DatasetRun
    from interaction.tracking.benchmark import BenchmarkFigures

__all__ = ["benchmark", "evaluate", "evaluate_dataset"]


_MOST_NAMES = 5  # of missing frames or clips, in a remark


def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="Folder of predicted masks: one clip, or a folder for each clip.")
    ],
    ground_truth: Annotated[
        Path, typer.Argument(help="Folder of true masks, laid out in the same way.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of a table; scores from 0 to 1.")
    ] = False,
) -> None:
    """Score masks against ground truth: J, F and J&F as in the DAVIS 2017 benchmark.

    The first and the last annotated frame of a clip are left out. A frame, an object or a clip
    without a prediction counts as empty.
    """
    clips = find_clips(predictions, ground_truth)
    results = []
    with frame_progress("clips") as show:
        for number, clip in enumerate(clips):
            show(number, len(clips), clip.name)
            results.append(score_clip(clip))
    evaluation = Evaluation.of(results)
    if as_json:
        print_json(evaluation.to_json())
    else:
        Console().print(_score_table(evaluation))
    for line in _remarks(evaluation):
        remark(line)


def _score_table(evaluation: Evaluation) -> Table:
    table = Table(
        caption="in percent; decay: first quarter less last, lower is better",
        box=SIMPLE_HEAD,  # with full borders the ten columns leave no room for a clip's name
        padding=(0, 1, 0, 0),
    )
    table.add_column("clip", overflow="fold")
    for heading in ("object", "frames", "J&F", "J", "recall", "decay", "F", "recall", "decay"):
        table.add_column(heading, justify="right", no_wrap=True)
    for clip in evaluation.clips:
        for score in clip.objects:
            table.add_row(
                clip.name,
                str(score.object_id),
                str(clip.frame_count),
                _percent(score.mean),
                *_cells(score.region),
                *_cells(score.boundary),
            )
        table.add_section()
    object_count = sum(len(clip.objects) for clip in evaluation.clips)
    frame_count = sum(clip.frame_count for clip in evaluation.clips)
    table.add_row(
        "mean",
        str(object_count),
        str(frame_count),
        _percent(evaluation.mean),
        *_cells(evaluation.region),
        *_cells(evaluation.boundary),
        style="bold",
    )
    return table


def _cells(statistics: Statistics) -> tuple[str, str, str]:
    return _percent(statistics.mean), _percent(statistics.recall), _percent(statistics.decay)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _remarks(evaluation: Evaluation) -> Iterable[str]:
    for skipped in evaluation.skipped:
        yield f"{skipped.name}: not scored, {skipped.reason}."
    for clip in evaluation.clips:
        if clip.is_missing:
            yield f"{clip.name}: no predictions; every frame counts as empty."
        elif clip.missing_frames:
            yield (
                f"{clip.name}: {len(clip.missing_frames)} of {clip.frame_count} frames have no "
                f"prediction and count as empty: {_some(clip.missing_frames)}."
            )
        if clip.missing_objects and not clip.is_missing:
            yield f"{clip.name}: never predicted: {_objects(clip.missing_objects)}."
        if clip.unknown_objects:
            yield (
                f"{clip.name}: predicted but not in the first true mask, so not scored: "
                f"{_objects(clip.unknown_objects)}."
            )
        if clip.late_objects:
            yield (
                f"{clip.name}: not in the first true mask, so not scored: "
                f"{_objects(clip.late_objects)}."
            )


def _objects(object_ids: tuple[int, ...]) -> str:
    word = "object" if len(object_ids) == 1 else "objects"
    return f"{word} {_some(tuple(map(str, object_ids)))}"


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


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
    model: Tracker = "small"
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
        typer.Option(help="Sizes to track at and merge, with commas between: 480,600,720."),
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
    done, total = 0, len(run.dataset.clips)
    with frame_progress("clips") as show:
        show(0, total)

        def on_step(outcome: "ClipOutcome") -> None:
            nonlocal done
            done += 1
            show(done, total)
            if outcome.error:
                remark(f"{outcome.name}: {outcome.error}", wraps=False)

        outcomes = finish(run_dataset(run), on_step)
    summary = write_report(run, outcomes)
    failed = sum(outcome.error is not None for outcome in outcomes)
    if options.as_json:
        print_json({"output": str(run.output), **summary.to_json()})
    else:
        if failed:
            remark(f"{failed} of {total} clips failed; the same command tries again.")
        if summary.overall is None:
            remark(f"Masks in “{run.output}”; there is no ground truth to score.")
        else:
            remark(f"{100 * summary.overall:.1f} overall; see {run.output / 'index.html'}")
    if failed:
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
        numbers = _numbers(options.multi_scale)
        sizes = tuple(numbers)
        if min(numbers, default=0) < 16:
            raise typer.BadParameter(
                f"numbers from 16 with commas between, got “{options.multi_scale}”",
                param_hint="--multi-scale",
            )
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


def _numbers(text: str) -> list[int]:
    """With commas between; nothing if it is something else."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        return []


def benchmark(
    model: Model = "small",
    device: Device = "auto",
    objects: Annotated[
        str, typer.Option(help="Numbers of objects to measure, with commas between.")
    ] = "1,3,5",
    frames: Annotated[int, typer.Option(min=2, help="Frames to track in each run.")] = 60,
    internal_size: Annotated[
        int, typer.Option(min=16, help="Shorter side at which the network works, in pixels.")
    ] = 480,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure frames per second, milliseconds by stage and peak memory.

    Shares are of what a 4096-wide matrix product reaches on this machine in the same run, and
    count the arithmetic the network defines; fast convolutions do less, so a share can pass 100 %.
    """
    # Only now: this imports torch, and asking for help should not wait for that.
    from interaction.tracking.benchmark import run_benchmark

    counts = _numbers(objects)
    if not counts or not all(1 <= count <= 255 for count in counts):
        raise typer.BadParameter(
            f"numbers from 1 to 255 with commas between, got “{objects}”", param_hint="--objects"
        )
    path = find_model(model)
    measured: list[BenchmarkFigures] = []
    with Console(stderr=True).status("measuring") as status:
        steps = run_benchmark(path, device, counts, frames, internal_size)
        for count in counts:
            status.update(f"measuring {frames} frames with {count} objects")
            measured.append(next(steps))
    if as_json:
        print_json([figures.to_json() for figures in measured])
    else:
        Console().print(_benchmark_table(measured))


def _benchmark_table(measured: "list[BenchmarkFigures]") -> Table:
    table = Table("objects", "frames/s", "peak memory", "stage", "ms a call", "GFLOP", "of ceiling")
    for figures in measured:
        first = [
            str(figures.objects),
            f"{figures.frames_per_second:.2f}",
            decimal(figures.peak_memory_bytes),
        ]
        for name, stage in figures.stages.items():
            table.add_row(
                *first,
                name,
                f"{stage.milliseconds:.1f}",
                f"{stage.gigaflop:.1f}",
                f"{100 * stage.share_of_ceiling:.0f} %",
            )
            first = ["", "", ""]
        table.add_section()
    table.caption = f"ceiling: {measured[-1].ceiling_gigaflops:.0f} GFLOP/s, float32"
    return table
