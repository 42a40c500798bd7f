"""Defaults for options from TOML files, and `xmem-annotate config`, which shows them.

    device = "cuda"            # for every command that has --device
    [propagate]
    internal-size = 360        # for one command; [models.download] for one of its own commands

An option on the command line wins over the file of --config, that over the user's own file, and
that over what is built in (in the window, over its preferences).
"""

import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from platformdirs import user_config_path

from interaction.errors import UserError
from interaction.files import is_file, read_regular

__all__ = [
    "ConfigFile",
    "OfClick",
    "click_command",
    "config",
    "default_map",
    "read_files",
    "taken_out",
    "unknown_names",
]

OfClick = Any  # commands and contexts: typer comes with a click of its own, or uses another
_OPTION: Final = "--config"
_MOST_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class ConfigFile:
    path: Path
    values: dict[str, object]


def click_command(command: typer.Typer | Callable[..., None], name: str) -> OfClick:
    """What typer makes of a function, or of several commands under one name."""
    if not isinstance(command, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command()(command)
        command = single
    built: OfClick = typer.main.get_command(command)
    built.name = name
    return built


def taken_out(arguments: list[str]) -> tuple[list[str], Path | None]:
    """The arguments without --config FILE, wherever it stands, and the file."""
    rest: list[str] = []
    path: Path | None = None
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            return [*rest, argument, *remaining], path
        if argument == _OPTION:
            name = next(remaining, None)
            if name is None:
                raise UserError("{option} needs a file.", option=_OPTION)
            path = Path(name)
        elif argument.startswith(f"{_OPTION}="):
            path = Path(argument.removeprefix(f"{_OPTION}="))
        else:
            rest.append(argument)
    return rest, path


def read_files(given: Path | None) -> tuple[ConfigFile, ...]:
    """The user's own file, if there is one, and `given`, which wins. UserError if one cannot be
    read."""
    own = user_config_path("xmem-annotate", appauthor=False) / "config.toml"
    paths = [own] if is_file(own) else []
    paths += [given] if given is not None else []
    return tuple(ConfigFile(path, _read(path)) for path in paths)


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(read_regular(path, _MOST_BYTES).decode("utf-8"))
    except OSError as error:
        raise UserError(
            "“{path}” cannot be read: {reason}.", path=path, reason=error.strerror or error
        ) from None
    except RecursionError:
        raise UserError("“{path}” is no TOML file: it is nested too deeply.", path=path) from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise UserError("“{path}” is no TOML file: {reason}.", path=path, reason=error) from None


def default_map(files: tuple[ConfigFile, ...], command: OfClick) -> dict[str, object]:
    """Defaults for `command` by parameter, as click takes them. UserError for a name in its own
    table that is none of its options."""
    return {name: value for name, (value, _) in _found(files, command).items()}


def unknown_names(files: tuple[ConfigFile, ...], commands: list[OfClick]) -> list[str]:
    """Names for every command that no command has, and tables of no command."""
    options = {key for command in commands for key in _keys(command)}
    names = {command.name for command in commands}
    return [
        f"“{name}” in “{file.path}”"
        for file in files
        for name, value in file.values.items()
        if name not in names and (isinstance(value, dict) or _key(name) not in options)
    ]


def _found(files: tuple[ConfigFile, ...], command: OfClick) -> dict[str, tuple[object, str]]:
    """Value and origin by parameter."""
    found: dict[str, tuple[object, str]] = {}
    keys = _keys(command)
    for file in files:
        for name, value in file.values.items():
            if not isinstance(value, dict) and _key(name) in keys:
                found[keys[_key(name)]] = value, str(file.path)
        table = file.values.get(command.name, {})
        if not isinstance(table, dict):
            raise UserError(
                "“{path}”: “{command}” is a command and needs a table.\n\n"
                "Write [{command}], and its options below.",
                path=file.path,
                command=command.name,
            )
        for name, value in table.items():
            if _key(name) not in keys:
                there = ", ".join(sorted(keys)) or "none"
                raise UserError(
                    "“{path}”: [{name}] has no option “{option}”.\n\nIt has: {there}.",
                    path=file.path,
                    name=command.name,
                    option=name,
                    there=there,
                )
            found[keys[_key(name)]] = value, f"{file.path} [{command.name}]"
    return found


def _key(name: str) -> str:
    return name.lstrip("-").replace("_", "-")


def _keys(command: OfClick) -> dict[str, str]:
    """Parameter by each spelling of its option. The commands of a command count as its options,
    each with a table."""
    if hasattr(command, "commands"):
        return {name: name for name in command.commands}
    return {
        _key(option): parameter.name
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and parameter.name != "help"
    }


def config(
    context: typer.Context,
    command: Annotated[
        str | None, typer.Argument(help="Only this command's options.", metavar="COMMAND")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the options that files set, and where from; for one command, all of its options.

    Files are TOML: NAME = VALUE for every command that has --NAME, and a table [COMMAND] for one.
    The command line wins over the file of --config, that over the user's config.toml, that over
    what is built in.
    """
    group: OfClick = context.parent.command if context.parent else None
    files: tuple[ConfigFile, ...] = context.obj
    names = group.list_commands(context) if command is None else [command]
    rows = []
    for name in names:
        found_command = group.get_command(context, name)
        if found_command is None:
            raise UserError("There is no command “{name}”.", name=name)
        rows += list(_rows(files, found_command, has_defaults=command is not None))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    own = user_config_path("xmem-annotate", appauthor=False) / "config.toml"
    read = ", ".join(str(file.path) for file in files) or f"none; yours would be {own}"
    typer.echo(f"files read: {read}")
    for row in rows:
        typer.echo(f"{row['command']} --{row['option']} = {row['value']!r}  ({row['from']})")


def _rows(
    files: tuple[ConfigFile, ...], command: OfClick, *, has_defaults: bool
) -> Iterator[dict[str, object]]:
    found = _found(files, command)
    spelled: dict[str, str] = {}
    for key, parameter in _keys(command).items():
        spelled.setdefault(parameter, key)
    for parameter, key in spelled.items():
        if parameter in found:
            value, origin = found[parameter]
        elif has_defaults and not hasattr(command, "commands"):
            [known] = [one for one in command.params if one.name == parameter]
            value, origin = known.default, "built in"
        else:
            continue
        plain = value if isinstance(value, str | int | float | list | dict | None) else str(value)
        yield {"command": command.name, "option": key, "value": plain, "from": origin}
