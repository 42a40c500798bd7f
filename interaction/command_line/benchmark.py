"""`xmem-annotate benchmark`: how fast a model is on this machine, stage by stage."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from interaction.models import find_model

if TYPE_CHECKING:
    from interaction.tracking.benchmark import BenchmarkFigures

__all__ = ["benchmark"]


def benchmark(
    model: Annotated[
        str, typer.Option(help="A name from `xmem-annotate models list`, or a file.")
    ] = "small",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
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

    counts = _counts(objects)
    path = find_model(model)
    measured: list[BenchmarkFigures] = []
    with Console(stderr=True).status("measuring") as status:
        steps = run_benchmark(path, device, counts, frames, internal_size)
        for count in counts:
            status.update(f"measuring {frames} frames with {count} objects")
            measured.append(next(steps))
    if as_json:
        typer.echo(json.dumps([figures.to_json() for figures in measured], indent=2))
    else:
        Console().print(_table(measured))


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or not all(1 <= count <= 255 for count in counts):
        raise typer.BadParameter(
            f"numbers from 1 to 255 with commas between, got “{text}”", param_hint="--objects"
        )
    return counts


def _table(measured: "list[BenchmarkFigures]") -> Table:
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
