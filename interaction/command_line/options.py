"""Options of a command as a dataclass: each is declared once, and passed on by name and type."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

import typer

__all__ = [
    "Affinity",
    "AsJson",
    "ClickModel",
    "Device",
    "First",
    "Frame",
    "Last",
    "Model",
    "NoAmp",
    "NoLongTerm",
    "NoSensory",
    "ProjectFolder",
    "Tracker",
    "taking",
]

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")
Command = Callable[..., None]

# Options that several commands have.
Affinity = Annotated[
    Literal["anisotropic", "stcn"],
    typer.Option(help="How positions are compared; stcn: by plain L2 distance."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ClickModel = Annotated[
    str, typer.Option(help="Click network: a name from `models list`, or a file.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
First = Annotated[int, typer.Option(min=0, help="First frame.")]
Frame = Annotated[
    int, typer.Option(min=0, help="The frame of a single mask whose name tells none.")
]
Last = Annotated[int | None, typer.Option(min=0, help="Last frame; by default the end.")]
Model = Annotated[str, typer.Option(help="A name from `xmem-annotate models list`, or a file.")]
NoAmp = Annotated[bool, typer.Option("--no-amp", help="Never work in half precision.")]
NoLongTerm = Annotated[
    bool,
    typer.Option(
        "--no-long-term", "--disable-long-term", help="Keep every memory frame; memory then grows."
    ),
]
NoSensory = Annotated[
    bool, typer.Option("--no-sensory", help="Leave sensory memory out, as in the ablations.")
]
ProjectFolder = Annotated[str, typer.Argument(help="Folder of a project.", metavar="PROJECT")]
Tracker = Annotated[str, typer.Option(help="Tracker: a name from `models list`, or a file.")]


def taking(options: type[Options]) -> Callable[[Callable[[Options], None]], Command]:
    """Makes `work(options)` a command of typer: its parameters are the fields of the dataclass
    `options`, which have annotations and defaults as typer wants them of a function."""

    def decorate(work: Callable[[Options], None]) -> Command:
        def command(**values: Any) -> None:
            work(options(**values))

        hints = get_type_hints(options, include_extras=True)
        empty, kind = inspect.Parameter.empty, inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter(
                one.name,
                kind,
                default=empty if one.default is MISSING else one.default,
                annotation=hints[one.name],
            )
            for one in fields(options)
        ]
        command.__name__, command.__doc__ = work.__name__, work.__doc__
        command.__annotations__ = hints
        vars(command)["__signature__"] = inspect.Signature(parameters)
        return command

    return decorate
