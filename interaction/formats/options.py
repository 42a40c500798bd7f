"""Settings of an export format, described well enough that a dialog can be built from them.

A format's settings are one frozen dataclass whose fields are made by `option`. What a field is
called for people, what it explains and which values it takes travel with the field; the dialog
and the command line read them with `describe_options`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final, Literal, TypeVar

from interaction.errors import UserError

__all__ = [
    "ExportOptions",
    "OptionInfo",
    "describe_options",
    "option",
    "options_from_texts",
    "parse_color",
]

OptionKind = Literal["bool", "int", "float", "choice", "color", "path", "text"]

_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")
# The first that fits a default counts: a bool is an int, too.
_TYPES: Final[Mapping[OptionKind, type]] = {"bool": bool, "int": int, "float": float}
_YES: Final = {"yes", "true", "on", "1"}
_NO: Final = {"no", "false", "off", "0"}

_Options = TypeVar("_Options", bound="ExportOptions")


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """One setting, in the words of the person who chooses it."""

    name: str  # the dataclass field
    title: str
    help: str
    kind: OptionKind
    default: object
    choices: tuple[tuple[str, str], ...] = ()  # (value, title) for kind "choice"
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""

    def check(self, value: object) -> None:
        """ValueError unless `value` can be this setting."""
        if not _is_a(value, self.kind):
            raise ValueError(f"{self.name} must be a {self.kind}, got {value!r}")
        if isinstance(value, int | float):
            if not math.isfinite(value):
                raise ValueError(f"{self.name} must be finite, got {value}")
            if self.minimum is not None and value < self.minimum:
                raise ValueError(f"{self.name} must be at least {self.minimum}, got {value}")
            if self.maximum is not None and value > self.maximum:
                raise ValueError(f"{self.name} must be at most {self.maximum}, got {value}")
        if self.kind == "choice" and value not in dict(self.choices):
            names = ", ".join(name for name, _ in self.choices)
            raise ValueError(f"{self.name} must be one of {names}, got {value!r}")
        if self.kind == "color":
            parse_color(str(value))

    def parse(self, text: str) -> object:
        """The value that `text` stands for; ValueError if it stands for none."""
        value: object = text
        if self.kind == "bool":
            if text.lower() not in _YES | _NO:
                raise ValueError(f"{self.name} must be yes or no, got {text!r}")
            value = text.lower() in _YES
        elif self.kind in ("int", "float"):
            try:
                value = int(text) if self.kind == "int" else float(text)
            except ValueError:
                raise ValueError(f"{self.name} must be a number, got {text!r}") from None
        self.check(value)
        return value


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Base of every format's settings, and the settings of formats that have none."""

    def __post_init__(self) -> None:
        for info in describe_options(type(self)):
            info.check(getattr(self, info.name))


def option(
    default: object,
    title: str,
    help: str = "",
    *,
    choices: Mapping[str, str] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str = "",
    is_color: bool = False,
    is_path: bool = False,
) -> Any:
    """A dataclass field with its description. choices: value -> title; a float default takes
    whole numbers too; a colour is written "#rrggbb"; a path is of a file that is read."""
    kind = next((one for one, of in _TYPES.items() if isinstance(default, of)), "text")
    if choices is not None:
        kind = "choice"
    elif is_color:
        kind = "color"
    elif is_path:
        kind = "path"
    metadata = {
        "title": title,
        "help": help,
        "kind": kind,
        "choices": tuple((choices or {}).items()),
        "minimum": minimum,
        "maximum": maximum,
        "unit": unit,
    }
    return field(default=default, metadata=metadata)


def describe_options(kind: type[ExportOptions]) -> tuple[OptionInfo, ...]:
    """Every setting of a format, in the order to show them."""
    return tuple(
        OptionInfo(name=one.name, default=one.default, **one.metadata)
        for one in fields(kind)
        if one.default is not MISSING
    )


def options_from_texts(kind: type[_Options], texts: Mapping[str, str]) -> _Options:
    """Settings from `{"opacity": "0.4"}`, as a command line has them. Raises UserError."""
    known = {info.name: info for info in describe_options(kind)}
    values: dict[str, object] = {}
    for name, text in texts.items():
        info = known.get(name.replace("-", "_"))
        if info is None:
            offered = ", ".join(known) or "none"
            raise UserError(
                "This format has no setting “{name}”.\n\nIts settings are: {offered}.",
                name=name,
                offered=offered,
            )
        try:
            values[info.name] = info.parse(text)
        except ValueError as error:
            raise UserError(
                "The setting “{name}” cannot be “{text}”.\n\n{reason}.",
                name=name,
                text=text,
                reason=error,
            ) from None
    return kind(**values)


def _is_a(value: object, kind: OptionKind) -> bool:
    if isinstance(value, bool):  # which counts as an int otherwise
        return kind == "bool"
    if kind == "float" and isinstance(value, int):
        return True
    return isinstance(value, _TYPES.get(kind, str))


def parse_color(text: str) -> tuple[int, int, int]:
    """RGB, 0..255, of "#rrggbb". Raises ValueError."""
    if not _COLOR.fullmatch(text):
        raise ValueError(f"a colour must be written #rrggbb, got {text!r}")
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
