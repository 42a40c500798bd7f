"""What belongs to the person and not to a project, kept between starts; and the window's state."""

import base64
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

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
_SCHEMES: Final = ("system", "light", "dark")


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

    @property
    def scheme(self) -> Scheme:
        value = self._text("look/scheme", "system")
        return cast(Scheme, value) if value in _SCHEMES else "system"

    @scheme.setter
    def scheme(self, scheme: Scheme) -> None:
        self._set("look/scheme", scheme)

    @property
    def language(self) -> str:
        """A code like "de", or "system"; it holds from the next start on."""
        return self._text("look/language", SYSTEM)

    @language.setter
    def language(self, code: str) -> None:
        self._set("look/language", code)

    @property
    def opacity(self) -> float:
        return self._number("look/opacity", 0.5, 0.0, 1.0)

    @opacity.setter
    def opacity(self, opacity: float) -> None:
        self._set("look/opacity", opacity)

    @property
    def outline_px(self) -> int:
        """In pixels of the window."""
        return int(self._number("look/outline_px", 1, 1, WIDEST_OUTLINE_PX))

    @outline_px.setter
    def outline_px(self, width_px: int) -> None:
        self._set("look/outline_px", width_px)

    @property
    def outline_opacity(self) -> float:
        return self._number("look/outline_opacity", 1.0, 0.0, 1.0)

    @outline_opacity.setter
    def outline_opacity(self, opacity: float) -> None:
        self._set("look/outline_opacity", opacity)

    @property
    def has_hatching(self) -> bool:
        return self._text("look/hatching", "false") == "true"

    @has_hatching.setter
    def has_hatching(self, is_on: bool) -> None:
        self._set("look/hatching", "true" if is_on else "false")

    @property
    def shows_covered(self) -> bool:
        return self._text("look/covered", "true") == "true"

    @shows_covered.setter
    def shows_covered(self, is_on: bool) -> None:
        self._set("look/covered", "true" if is_on else "false")

    @property
    def view_mode(self) -> ViewMode:
        value = self._text("look/view", ViewMode.OVERLAY.value)
        known = {mode.value: mode for mode in ViewMode}
        return known.get(value, ViewMode.OVERLAY)

    @view_mode.setter
    def view_mode(self, mode: ViewMode) -> None:
        self._set("look/view", mode.value)

    @property
    def has_onion_skin(self) -> bool:
        return self._text("look/onion_skin", "false") == "true"

    @has_onion_skin.setter
    def has_onion_skin(self, is_on: bool) -> None:
        self._set("look/onion_skin", "true" if is_on else "false")

    # How it works

    @property
    def follows_head(self) -> bool:
        return self._text("work/follows_head", "false") == "true"

    @follows_head.setter
    def follows_head(self, is_on: bool) -> None:
        self._set("work/follows_head", "true" if is_on else "false")

    @property
    def has_previews(self) -> bool:
        """Whether what a click would do is shown under a pointer that rests."""
        return self._text("work/previews", "true") == "true"

    @has_previews.setter
    def has_previews(self, is_on: bool) -> None:
        self._set("work/previews", "true" if is_on else "false")

    @property
    def blends(self) -> bool:
        """Whether what is tracked between two given frames is also tracked back, and blended."""
        return self._text("work/blends", "true") == "true"

    @blends.setter
    def blends(self, is_on: bool) -> None:
        self._set("work/blends", "true" if is_on else "false")

    @property
    def at_cut(self) -> AtCut:
        """What a run does at a cut."""
        value = self._text("work/at_cut", "pause")
        return next((one for one in AT_CUT if one == value), "pause")

    @at_cut.setter
    def at_cut(self, what: AtCut) -> None:
        self._set("work/at_cut", what)

    @property
    def pauses_at_wrong_masks(self) -> bool:
        """Whether a run pauses where a mask collapses, explodes or jumps to another thing."""
        return self._text("work/pauses_at_wrong_masks", "true") == "true"

    @pauses_at_wrong_masks.setter
    def pauses_at_wrong_masks(self, is_on: bool) -> None:
        self._set("work/pauses_at_wrong_masks", "true" if is_on else "false")

    @property
    def goal(self) -> float:
        """The expected IoU from which on a tracked mask is good enough."""
        return self._number("work/goal", GOAL, LEAST_GOAL, MOST_GOAL)

    @goal.setter
    def goal(self, goal: float) -> None:
        self._set("work/goal", goal)

    @property
    def tool(self) -> str:
        """Its name, as in the table of actions. There may be no such tool any more."""
        return self._text("work/tool", "click")

    @tool.setter
    def tool(self, tool: str) -> None:
        self._set("work/tool", tool)

    @property
    def brush_radius_px(self) -> float | None:
        """In source pixels; None: not chosen, so it suits the video."""
        return self._number("work/brush_radius_px", 0.0, 0.1, 10_000.0) or None

    @brush_radius_px.setter
    def brush_radius_px(self, radius_px: float) -> None:
        self._set("work/brush_radius_px", radius_px)

    @property
    def until(self) -> str:
        """Where a run stops: a value of `interaction.annotation.requests.Until`."""
        return self._text("work/until", "end")

    @until.setter
    def until(self, until: str) -> None:
        self._set("work/until", until)

    @property
    def device(self) -> str:
        """ "auto", "cpu", "cuda", "cuda:1", "mps"."""
        return self._text("engine/device", "auto")

    @device.setter
    def device(self, device: str) -> None:
        self._set("engine/device", device)

    @property
    def tracker_model(self) -> str:
        """A name of the list of models, or a path."""
        return self._text("engine/tracker", "small")

    @tracker_model.setter
    def tracker_model(self, model: str) -> None:
        self._set("engine/tracker", model)

    @property
    def click_model(self) -> str:
        return self._text("engine/clicks", "small-clicks")

    @click_model.setter
    def click_model(self, model: str) -> None:
        self._set("engine/clicks", model)

    @property
    def scribble_model(self) -> str:
        """Empty: strokes are answered by the click network."""
        return self._text("engine/scribbles", "")

    @scribble_model.setter
    def scribble_model(self, model: str) -> None:
        self._set("engine/scribbles", model)

    @property
    def internal_size_px(self) -> int:
        """The shorter side as the tracker sees it."""
        return int(self._number("engine/internal_size", 480, 96, 4320))

    @internal_size_px.setter
    def internal_size_px(self, size_px: int) -> None:
        self._set("engine/internal_size", size_px)

    @property
    def memorize_every(self) -> int:
        """Frames between two memory frames."""
        return int(self._number("engine/memorize_every", 5, 1, 100))

    @memorize_every.setter
    def memorize_every(self, frames: int) -> None:
        self._set("engine/memorize_every", frames)

    @property
    def cache_bytes(self) -> int:
        """For decoded frames."""
        return int(self._number("video/cache_bytes", 384 * 2**20, 16 * 2**20, 64 * 2**30))

    @cache_bytes.setter
    def cache_bytes(self, cache_bytes: int) -> None:
        self._set("video/cache_bytes", cache_bytes)

    # Keys

    def shortcuts(self) -> dict[str, list[str]]:
        """By action, the keys that were changed; an empty list: none."""
        value = self._json("keys", {})
        if not isinstance(value, dict):
            return {}
        return {
            str(name): [str(key) for key in keys]
            for name, keys in value.items()
            if isinstance(keys, list)
        }

    def set_shortcuts(self, shortcuts: dict[str, list[str]]) -> None:
        self._set("keys", json.dumps(shortcuts))

    # Where we were

    def recent(self) -> list[RecentProject]:
        """Newest first."""
        found = []
        value = self._json("recent", [])
        for one in value if isinstance(value, list) else []:
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
        self._set("recent", json.dumps(values))

    def place(self, folder: str) -> Place | None:
        """The last place in the project in `folder`; None if it is unknown."""
        value = self._json("places", {})
        one = value.get(folder) if isinstance(value, dict) else None
        try:
            place = None if one is None else Place(int(one[0]), int(one[1]), str(one[2]))
        except (IndexError, KeyError, OverflowError, TypeError, ValueError):
            return None
        is_sound = place is None or all(0 <= n < 2**31 for n in (place.frame, place.object_id))
        return place if is_sound else None

    def keep_place(self, folder: str, place: Place) -> None:
        value = self._json("places", {})
        places = value if isinstance(value, dict) else {}
        places.pop(folder, None)
        places[folder] = [place.frame, place.object_id, place.layer]
        newest = list(places.items())[-_MOST_PLACES:]
        self._set("places", json.dumps(dict(newest)))

    @property
    def last_folder(self) -> str:
        """Where files were last chosen."""
        return self._text("last_folder", str(Path.home()))

    @last_folder.setter
    def last_folder(self, folder: str) -> None:
        self._set("last_folder", folder)

    def window_state(self, name: str) -> QByteArray | None:
        with suppress(KeyError, ValueError):
            return QByteArray(base64.b64decode(self._values[f"window/{name}"], validate=True))
        return None

    def set_window_state(self, name: str, state: QByteArray) -> None:
        self._write(f"window/{name}", base64.b64encode(state.data()).decode())

    def _text(self, name: str, default: str) -> str:
        return self._values.get(name, default)

    def _number(self, name: str, default: float, least: float, most: float) -> float:
        try:
            value = float(self._values.get(name, default))
        except ValueError:
            return default
        return value if least <= value <= most else default

    def _json(self, name: str, default: object) -> Any:
        try:
            return parse_json(self._values[name].encode())
        except (KeyError, ValueError):
            return default

    def _set(self, name: str, value: object) -> None:
        self._write(name, str(value))
        self.changed.emit(name)

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
