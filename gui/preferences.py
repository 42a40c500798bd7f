"""What belongs to the person and not to a project, kept between starts; and the window's state."""

import base64
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, get_args

from platformdirs import user_config_path
from PySide6.QtCore import QByteArray, QObject, Signal

from gui.language import SYSTEM
from gui.theme import Scheme
from gui.work.document import LEAST_GOAL, MOST_GOAL, WIDEST_OUTLINE_PX, ViewMode
from gui.work.tracking import AT_CUT, AtCut
from interaction.errors import UserError
from interaction.files import parse_json, plain_folder, read_regular, write_bytes
from interaction.tracking.trust import GOAL

__all__ = ["THUMBNAIL", "Place", "Preferences", "RecentProject"]

THUMBNAIL: Final = "thumbnail.jpg"  # in a project's folder

log = logging.getLogger(__name__)

_LAST_S: Final = 2.0**32  # no date in the list is later
_MOST_RECENT: Final = 30
_MOST_PLACES: Final = 200
_MOST_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class RecentProject:
    """One line of the list of recent projects."""

    folder: str
    name: str
    opened_s: float  # seconds since the epoch
    frames_done: int = 0
    frame_count: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """The place in a project: frame, object, layer."""

    frame: int = 0
    object_id: int = 0
    layer: str = ""  # what was chosen to lie behind the objects


T = TypeVar("T")
Container = TypeVar("Container", dict[str, Any], list[Any])


class _Kept(Generic[T]):
    """An attribute of `Preferences` that is kept in the file under `name`."""

    def __init__(
        self, name: str, default: T, read: Callable[[str], T], write: Callable[[T], str] = str
    ) -> None:
        """read: ValueError for a text that makes no sense."""
        self._name, self._default, self._read, self._write = name, default, read, write

    def __get__(self, preferences: "Preferences", kind: type) -> T:
        text = preferences.text(self._name)
        try:
            return self._default if text is None else self._read(text)
        except ValueError:
            return self._default

    def __set__(self, preferences: "Preferences", value: T) -> None:
        preferences.keep(self._name, self._write(value))


def _text(name: str, default: str) -> _Kept[str]:
    return _Kept(name, default, str)


def _number(name: str, default: T, least: float, most: float) -> _Kept[T | float]:
    return _Kept(name, default, lambda text: _between(least, text, most))


def _whole(name: str, default: int, least: int, most: int) -> _Kept[int]:
    return _Kept(name, default, lambda text: int(_between(least, text, most)))


def _between(least: float, text: str, most: float) -> float:
    value = float(text)
    if not least <= value <= most:
        raise ValueError(f"{value} is not between {least} and {most}")
    return value


def _choice(name: str, default: T, known: Mapping[str, T]) -> _Kept[T]:
    """known: values by the text that is kept of them."""
    texts = {value: text for text, value in known.items()}

    def read(text: str) -> T:
        if text not in known:
            raise ValueError(f"{text} is none of {list(known)}")
        return known[text]

    return _Kept(name, default, read, texts.__getitem__)


def _switch(name: str, default: bool) -> _Kept[bool]:
    return _choice(name, default, {"true": True, "false": False})


class Preferences(QObject):
    """Typed access to a JSON file, written with every change; what other windows wrote is kept. A
    value that makes no sense is as if it had never been set.

    QSettings reads values in Qt's binary form, also Python objects, which runs what a file says.
    """

    changed = Signal(str)  # the name of what changed

    def __init__(self, path: Path | None = None, parent: QObject | None = None) -> None:
        """path: of the file, which need not be there; by default the person's own."""
        super().__init__(parent)
        own = user_config_path("xmem-annotate", appauthor=False) / "preferences.json"
        self._path = path or own
        self._values = self._read()

    # How it looks

    scheme: _Kept[Scheme] = _choice("look/scheme", "system", {one: one for one in get_args(Scheme)})
    language = _text("look/language", SYSTEM)  # a code like "de", or "system"; from the next start
    opacity = _number("look/opacity", 0.5, 0.0, 1.0)
    outline_px = _whole("look/outline_px", 1, 1, WIDEST_OUTLINE_PX)  # pixels of the window
    outline_opacity = _number("look/outline_opacity", 1.0, 0.0, 1.0)
    has_hatching = _switch("look/hatching", False)
    shows_covered = _switch("look/covered", True)
    view_mode = _choice("look/view", ViewMode.OVERLAY, {mode.value: mode for mode in ViewMode})
    has_onion_skin = _switch("look/onion_skin", False)

    # How it works

    follows_head = _switch("work/follows_head", False)
    # Whether what a click would do is shown under a pointer that rests.
    has_previews = _switch("work/previews", True)
    # Whether what is tracked between two given frames is also tracked back, and blended.
    blends = _switch("work/blends", True)
    at_cut: _Kept[AtCut] = _choice("work/at_cut", "pause", {one: one for one in AT_CUT})
    # Whether a run pauses where a mask collapses, explodes or jumps to another thing.
    pauses_at_wrong_masks = _switch("work/pauses_at_wrong_masks", True)
    # The expected IoU from which on a tracked mask is good enough.
    goal = _number("work/goal", GOAL, LEAST_GOAL, MOST_GOAL)
    # Its name, as in the table of actions. There may be no such tool any more.
    tool = _text("work/tool", "click")
    # In source pixels; None: not chosen, so it suits the video.
    brush_radius_px: _Kept[float | None] = _number("work/brush_radius_px", None, 0.1, 10_000.0)
    until = _text("work/until", "end")  # a value of `interaction.annotation.requests.Until`
    device = _text("engine/device", "auto")  # "auto", "cpu", "cuda", "cuda:1", "mps"
    tracker_model = _text("engine/tracker", "small")  # a name of the list of models, or a path
    click_model = _text("engine/clicks", "small-clicks")
    scribble_model = _text("engine/scribbles", "")  # empty: the click network answers strokes
    # The shorter side as the tracker sees it.
    internal_size_px = _whole("engine/internal_size", 480, 96, 4320)
    memorize_every = _whole("engine/memorize_every", 5, 1, 100)  # frames between two memory frames
    # For decoded frames.
    cache_bytes = _whole("video/cache_bytes", 384 * 2**20, 16 * 2**20, 64 * 2**30)

    # Keys

    def shortcuts(self) -> dict[str, list[str]]:
        """By action, the keys that were changed; an empty list: none."""
        return {
            name: [str(key) for key in keys]
            for name, keys in self._json("keys", dict).items()
            if isinstance(keys, list)
        }

    def set_shortcuts(self, shortcuts: dict[str, list[str]]) -> None:
        self.keep("keys", json.dumps(shortcuts))

    # Where we were

    def recent(self) -> list[RecentProject]:
        """Newest first."""
        found = []
        for one in self._json("recent", list):
            try:
                found.append(
                    RecentProject(
                        str(one["folder"]),
                        str(one["name"]),
                        min(max(0.0, float(one["opened_s"])), _LAST_S),
                        int(one.get("frames_done", 0)),
                        int(one.get("frame_count", 0)),
                    )
                )
            except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
                continue
        return found

    def add_recent(self, project: RecentProject) -> None:
        others = [one for one in self.recent() if one.folder != project.folder]
        self._set_recent([project, *others][:_MOST_RECENT])

    def remove_recent(self, folder: str) -> None:
        self._set_recent([one for one in self.recent() if one.folder != folder])

    def _set_recent(self, projects: list[RecentProject]) -> None:
        values = [{name: getattr(one, name) for name in one.__slots__} for one in projects]
        self.keep("recent", json.dumps(values))

    def place(self, folder: str) -> Place | None:
        """The last place in the project in `folder`; None if it is unknown."""
        one = self._json("places", dict).get(folder)
        try:
            place = None if one is None else Place(int(one[0]), int(one[1]), str(one[2]))
        except (IndexError, KeyError, OverflowError, TypeError, ValueError):
            return None
        is_sound = place is None or all(0 <= n < 2**31 for n in (place.frame, place.object_id))
        return place if is_sound else None

    def keep_place(self, folder: str, place: Place) -> None:
        places = self._json("places", dict)
        places.pop(folder, None)
        places[folder] = [place.frame, place.object_id, place.layer]
        newest = list(places.items())[-_MOST_PLACES:]
        self.keep("places", json.dumps(dict(newest)))

    @property
    def last_folder(self) -> str:
        """Where files were last chosen."""
        return self.text("last_folder") or str(Path.home())

    @last_folder.setter
    def last_folder(self, folder: str) -> None:
        self.keep("last_folder", folder)

    def window_state(self, name: str) -> QByteArray | None:
        with suppress(KeyError, ValueError):
            return QByteArray(base64.b64decode(self._values[f"window/{name}"], validate=True))
        return None

    def set_window_state(self, name: str, state: QByteArray) -> None:
        self._write(f"window/{name}", base64.b64encode(state.data()).decode())

    def text(self, name: str) -> str | None:
        """What the file has under that name."""
        return self._values.get(name)

    def keep(self, name: str, text: str) -> None:
        self._write(name, text)
        self.changed.emit(name)

    def _json(self, name: str, kind: type[Container]) -> Container:
        """Empty where the file has something else, or nothing."""
        with suppress(KeyError, ValueError):
            value = parse_json(self._values[name].encode())
            if isinstance(value, kind):
                return value
        return kind()

    def _read(self) -> dict[str, str]:
        try:
            values = parse_json(read_regular(self._path, _MOST_BYTES))
        except (OSError, ValueError):
            return {}
        if not isinstance(values, dict):
            return {}
        return {name: value for name, value in values.items() if isinstance(value, str)}

    def _write(self, name: str, text: str) -> None:
        self._values = {**self._values, **self._read(), name: text}
        try:
            plain_folder(self._path.parent)
            # Not forced to the disk: a slider that is dragged writes it with each step.
            write_bytes(self._path, json.dumps(self._values, indent=1).encode(), is_forced=False)
        except UserError as error:
            log.warning("The preferences could not be kept: %s", error)
