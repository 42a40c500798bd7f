"""The one command line: a table of commands, imported when they are asked for.

Exit codes: 0 done; 1 something a person can mend, explained on standard error; 2 arguments that
make no sense; 3 done, but not for every item (`batch`, `evaluate-dataset`); 130 stopped by Ctrl-C,
with everything finished on disk.
"""

import sys
from importlib import import_module
from typing import Final

import typer
from typer.core import TyperGroup

from interaction.command_line.config import (
    OfClick,
    click_command,
    default_map,
    read_files,
    taken_out,
    unknown_names,
)
from interaction.errors import UserError

__all__ = ["COMMANDS", "app", "main"]

# Command -> module and its function or sub-app. `interactive_demo` adds the window, which lies in
# a room above this one.
COMMANDS: Final = {
    "new": "interaction.command_line.project:new",
    "click": "interaction.command_line.project:click",
    "confirm": "interaction.command_line.steps:confirm",
    "presence": "interaction.command_line.steps:presence",
    "overlap": "interaction.command_line.steps:overlap",
    "memory": "interaction.command_line.steps:memory",
    "undo": "interaction.command_line.steps:undo",
    "suggest": "interaction.command_line.steps:suggest",
    "cuts": "interaction.command_line.steps:cuts",
    "info": "interaction.command_line.project:info",
    "export": "interaction.command_line.import_export:export",
    "verify": "interaction.command_line.import_export:verify",
    "import": "interaction.command_line.import_export:import_masks",
    "replay": "interaction.command_line.project:replay",
    "learn": "interaction.command_line.project:learn",
    "propagate": "interaction.command_line.propagate:propagate",
    "batch": "interaction.command_line.batch:batch",
    "evaluate": "interaction.command_line.measure:evaluate",
    "evaluate-dataset": "interaction.command_line.measure:evaluate_dataset",
    "benchmark": "interaction.command_line.measure:benchmark",
    "config": "interaction.command_line.config:config",
    "models": "interaction.command_line.models:models_app",
}
_WINDOW: Final = "window"
_NOT_A_SOURCE: Final = ("-h", "--help", "--install-completion", "--show-completion")


class _CommandTable(TyperGroup):
    """Looks commands up in COMMANDS. The window, which needs to start quickly, imports no other
    command; what names no command is its source or one of its flags."""

    def list_commands(self, ctx: OfClick) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: OfClick, cmd_name: str) -> OfClick:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        return click_command(getattr(import_module(module), attribute), cmd_name)

    def parse_args(self, ctx: OfClick, args: list[str]) -> list[str]:
        args, path = taken_out(args)
        ctx.obj = read_files(path)
        is_command = bool(args) and (args[0] in COMMANDS or args[0] in _NOT_A_SOURCE)
        if _WINDOW in COMMANDS and not is_command:
            args = [_WINDOW, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: OfClick, args: list[str]) -> OfClick:
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and ctx.obj:
            every = [self.get_command(ctx, one) for one in COMMANDS]
            unknown = unknown_names(ctx.obj, every)
            if unknown:
                raise UserError("No command has an option {unknown}.", unknown=", ".join(unknown))
            ctx.default_map = {name: default_map(ctx.obj, command)}
        return name, command, rest


app = typer.Typer(
    name="xmem-annotate",
    cls=_CommandTable,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        # The published program writes --num_objects where this one writes --num-objects.
        "token_normalize_func": lambda token: token.replace("_", "-"),
    },
)


@app.callback(invoke_without_command=True)
def start(context: typer.Context) -> None:
    """Cut masks out of video. Without a command, or with a video, a folder or a project in its
    place, the window opens.

    Every command takes --config FILE, a TOML file with defaults for its options; `config` shows
    what is in force. Exit codes: 0 done, 1 something to mend, 2 wrong arguments, 3 done but not for
    every item, 130 stopped by Ctrl-C.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Runs a command line and exits. A UserError becomes words on standard error and exit code 1,
    and so does what the system refuses about a named file: a name that is too long, a folder that
    may not be entered."""
    try:
        app(args=arguments)
    except UserError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        typer.echo(
            f"“{error.filename}” could not be used: {error.strerror or error}. What was saved "
            "before is untouched.\n\nCheck the name, and that you may open it.",
            err=True,
        )
        sys.exit(1)
