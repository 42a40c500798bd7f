"""project.json: what a project is, and the state of its frames at a point of its journal.

One line a frame, so that two states can be compared by eye and by tools. Keys that this version
does not know are kept. Older formats are brought up to date one step at a time; a newer one is
refused. Everything that is read is looked at: what cannot be is left out and told.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from interaction.errors import NewerProjectError
from interaction.project.folder_files import read_plain
from interaction.project.record_json import (
    DamagedValueError,
    frame_number,
    integer,
    mapping,
    objects_from_json,
    objects_to_json,
    text,
)
from interaction.project.source_info import SourceInfo
from interaction.types import ObjectInfo

__all__ = ["FORMAT", "Manifest", "encode_json", "manifest_text", "migrate", "read_manifest"]

FORMAT: Final = 1
_MOST_BYTES: Final = 2**30
_KNOWN: Final = {
    "format",
    "app_version",
    "name",
    "created",
    "journal_bytes",
    "source",
    "engine",
    "objects",
    "frames",
}

# From this format number to the next. Each takes and returns the whole of project.json.
_Step = Callable[[dict[str, Any]], dict[str, Any]]
MIGRATIONS: Final[Mapping[int, _Step]] = {}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of project.json. Frames are kept as JSON texts: most are written unchanged."""

    name: str
    created: str  # ISO 8601, UTC
    app_version: str  # that wrote it
    source: SourceInfo
    journal_bytes: int = 0  # how much of the journal the frames and objects include
    engine: Mapping[str, Any] = field(default_factory=dict)  # what the engines were set to
    objects: tuple[ObjectInfo, ...] = ()
    frames: Mapping[int, str] = field(default_factory=dict)  # a record's JSON by frame
    unknown: Mapping[str, Any] = field(default_factory=dict)


def encode_json(value: Any) -> str:
    """One line. TypeError or ValueError for what is not plain JSON, NaN included."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # a file name that is no UTF-8
        line = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return line


def manifest_text(manifest: Manifest) -> str:
    head: dict[str, Any] = {
        "format": FORMAT,
        "app_version": manifest.app_version,
        "name": manifest.name,
        "created": manifest.created,
        "journal_bytes": manifest.journal_bytes,
        "source": manifest.source.to_json(),
        "engine": dict(manifest.engine),
        **manifest.unknown,
    }
    lines = [f"  {encode_json(key)}: {encode_json(value)}" for key, value in head.items()]
    objects = ",\n".join(f"    {encode_json(one)}" for one in objects_to_json(manifest.objects))
    lines.append(f'  "objects": [\n{objects}\n  ]' if objects else '  "objects": []')
    frames = ",\n".join(
        f'    "{frame}": {manifest.frames[frame]}' for frame in sorted(manifest.frames)
    )
    lines.append(f'  "frames": {{\n{frames}\n  }}' if frames else '  "frames": {}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_manifest(path: Path) -> tuple[Manifest, list[str]]:
    """The manifest, and what of it is damaged and left out; records are not looked into.

    Raises NewerProjectError, OSError, and DamagedValueError if nothing of it can be used.
    """
    value = parse_json(read_plain(path, _MOST_BYTES))
    data = migrate(dict(mapping(value, "it")), path.parent)
    source = SourceInfo.from_json(data.get("source"))
    damages: list[str] = []
    objects: tuple[ObjectInfo, ...] = ()
    try:
        objects = objects_from_json(data.get("objects"))
    except DamagedValueError as error:
        damages.append(f"The list of objects: {error}")
    frames: dict[int, str] = {}
    records = data.get("frames")
    if not isinstance(records, dict):
        damages.append("The list of frames is missing")
        records = {}
    for key, record in records.items():
        try:
            frames[frame_number(key, source.frame_count)] = encode_json(record)
        except DamagedValueError as error:
            damages.append(f"Frame {key[:20]}: {error}")
    engine = data.get("engine", {})
    unknown = {key: one for key, one in data.items() if key not in _KNOWN}
    if not isinstance(engine, dict):
        damages.append("The settings of the engines are unreadable")
        engine = {}
    manifest = Manifest(
        name=text(data.get("name"), "the name"),
        created=text(data.get("created"), "the date"),
        app_version=text(data.get("app_version"), "the version"),
        source=source,
        journal_bytes=integer(data.get("journal_bytes"), "journal_bytes", 0, 2**62),
        engine=engine,
        objects=objects,
        frames=frames,
        unknown=unknown,
    )
    return manifest, damages


def parse_json(data: bytes) -> Any:
    """Raises DamagedValueError."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        raise DamagedValueError("it is not readable as JSON") from None


def migrate(
    data: dict[str, Any], folder: Path, steps: Mapping[int, _Step] = MIGRATIONS, to: int = FORMAT
) -> dict[str, Any]:
    """`data` in the format `to`. Raises NewerProjectError, DamagedValueError."""
    number = integer(data.get("format"), "the format", 0, 2**31)
    if number > to:
        version = data.get("app_version")
        raise NewerProjectError(folder, version[:40] if isinstance(version, str) else "")
    while number < to:
        step = steps.get(number)
        if step is None:
            raise DamagedValueError(f"there never was a format {number}")
        data = step(data)
        number += 1
        data["format"] = number
    return data


def _finite(number: str) -> float:
    if not math.isfinite(float(number)):
        raise ValueError(f"{number} is no JSON number")
    return float(number)
