"""`xmem-annotate evaluate`: J, F and J&F of predicted masks, as a table or as JSON.

The table or the JSON goes to standard output; progress and remarks go to standard error.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from interaction.evaluation.clips import find_clips, score_clip
from interaction.evaluation.scores import ClipScore, Evaluation, SkippedClip, Statistics

__all__ = ["evaluate"]

_MOST_NAMES = 5  # of missing frames or clips, in a remark


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(help="Folder of predicted masks: one clip, or a folder for each clip."),
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
    evaluation = _evaluate(predictions, ground_truth)
    if as_json:
        typer.echo(json.dumps(evaluation.to_json(), indent=2))
    else:
        Console().print(_table(evaluation))
    remarks = Console(stderr=True, highlight=False)
    for remark in _remarks(evaluation):
        remarks.print(remark, markup=False)


def _evaluate(predictions: Path, ground_truth: Path) -> Evaluation:
    clips = find_clips(predictions, ground_truth)
    results: list[ClipScore | SkippedClip] = []
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("clips"),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task("", total=len(clips))
        for clip in clips:
            progress.update(task, description=clip.name)
            results.append(score_clip(clip))
            progress.advance(task)
    return Evaluation.of(results)


def _table(evaluation: Evaluation) -> Table:
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
