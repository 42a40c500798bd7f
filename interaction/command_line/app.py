"""The commands, put together; and how a problem is told."""

import sys

import typer
from rich.console import Console

from interaction.command_line.benchmark import benchmark
from interaction.command_line.click import click
from interaction.command_line.evaluate import evaluate
from interaction.command_line.export import export
from interaction.command_line.import_masks import import_masks
from interaction.command_line.info import info
from interaction.command_line.learn import learn
from interaction.command_line.models import models_app
from interaction.command_line.new import new
from interaction.command_line.propagate import propagate
from interaction.command_line.replay import replay
from interaction.errors import UserError

__all__ = ["app", "command_names", "main"]

app = typer.Typer(
    name="xmem-annotate",
    help="Cut masks out of video. Without a command, or with a video, a folder or a project in its "
    "place, the window opens.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(new)
app.command()(click)
app.command()(info)
app.command()(export)
app.command("import")(import_masks)
app.command()(replay)
app.command()(learn)
app.command()(propagate)
app.command()(evaluate)
app.command()(benchmark)
app.add_typer(models_app, name="models")


@app.callback(invoke_without_command=True)
def start(context: typer.Context) -> None:
    """Cut masks out of video. Without a command, or with a video, a folder or a project in its
    place, the window opens."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def command_names() -> frozenset[str]:
    """What can stand first on the command line without meaning a file."""
    return frozenset(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def main(arguments: list[str] | None = None) -> None:
    """Runs a command line and exits. A problem that a person can mend is told in plain words on
    standard error, with exit code 1."""
    try:
        app(args=arguments)
    except UserError as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False, soft_wrap=True)
        sys.exit(1)
