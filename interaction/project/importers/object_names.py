"""What is known about objects besides their pixels: names and colours in files beside the masks."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from interaction.project.exporters.job import OBJECTS_JSON
from interaction.project.exporters.options import parse_color

__all__ = [
    "NamedObject",
    "clean_name",
    "names_in_meta",
    "names_in_objects_json",
    "read_json",
    "readable",
]

_MOST_BYTES: Final = 2 * 2**30
_LONGEST_NAME: Final = 200
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f]")


class NamedObject(NamedTuple):
    name: str | None
    color: tuple[int, int, int] | None = None


def read_json(path: Path) -> Any:
    """What a JSON file holds; None if it is none, or enormous."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def clean_name(value: Any) -> str | None:
    """A name fit to be shown; None if there is none."""
    if not isinstance(value, str):
        return None
    return _UNSEEN.sub(" ", readable(value)).strip()[:_LONGEST_NAME] or None


def readable(name: str) -> str:
    """With a question mark for every byte of a file's name that is no UTF-8."""
    return name.encode("utf-8", "replace").decode()


def names_in_objects_json(folder: Path) -> Mapping[int, NamedObject]:
    """By id, from the list an export of ours leaves; empty without one."""
    data = read_json(folder / OBJECTS_JSON)
    listed = data.get("objects") if isinstance(data, dict) else None
    named: dict[int, NamedObject] = {}
    for one in listed if isinstance(listed, list) else []:
        if not isinstance(one, dict) or not isinstance(one.get("id"), int):
            continue
        try:
            color = parse_color(one.get("color", ""))
        except (TypeError, ValueError):
            color = None
        if 1 <= one["id"] <= 255:
            named[one["id"]] = NamedObject(clean_name(one.get("name")), color)
    return named


def names_in_meta(path: Path, sequence: str) -> Mapping[int, NamedObject]:
    """By id, from YouTube-VOS's meta.json; empty if it does not know the sequence."""
    data = read_json(path)
    videos = data.get("videos") if isinstance(data, dict) else None
    video = videos.get(sequence) if isinstance(videos, dict) else None
    objects = video.get("objects") if isinstance(video, dict) else None
    named: dict[int, NamedObject] = {}
    for text, one in objects.items() if isinstance(objects, dict) else []:
        if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 255:
            category = one.get("category") if isinstance(one, dict) else None
            named[int(text)] = NamedObject(clean_name(category))
    return named
