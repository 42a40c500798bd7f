"""Everything a project folder says, read and checked: for opening, also what is damaged.

The state is what project.json says, brought up to date by the lines of the journal that came after
it. Without project.json the journal alone gives it. A line that a crash cut off at the end is as if
it had never been begun; anything else that does not fit is damage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from interaction.errors import DamagedProjectError, NewerProjectError
from interaction.project.folder_files import open_plain
from interaction.project.journal import (
    Journal,
    Line,
    Part,
    decode_edit,
    read_lines,
    reading_parts,
)
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import FORMAT, Manifest, encode_json, read_manifest
from interaction.project.record_json import (
    DamagedValueError,
    MaskPlace,
    integer,
    objects_from_json,
    place_from_json,
    text,
)
from interaction.project.source_info import SourceInfo
from interaction.types import ObjectInfo

__all__ = ["Contents", "read_contents", "start_line"]


@dataclass(slots=True)
class Contents:
    """What was found. `manifest` holds the state; `damages` is empty for a whole project."""

    manifest: Manifest
    journal: Journal
    journal_end: int  # bytes; what is behind it is worth nothing
    written: set[tuple[int, int, int]]  # (frame, bytes, CRC-32) of every mask a frame ever had
    store_end: int = 0  # bytes; how far into the mask store the journal refers
    damages: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def start_line(manifest: Manifest) -> dict[str, Any]:
    """The first line of a journal: enough to do without project.json."""
    return {
        "kind": "start",
        "format": FORMAT,
        "app_version": manifest.app_version,
        "name": manifest.name,
        "created": manifest.created,
        "source": manifest.source.to_json(),
    }


def read_contents(layout: ProjectLayout) -> Contents:
    """Raises NewerProjectError; DamagedProjectError if there is nothing to go by."""
    damages = list(layout.oddities())
    notices: list[str] = []
    manifest: Manifest | None = None
    reason = ""
    try:
        manifest, found = read_manifest(layout.manifest)
        damages += [f"project.json: {one}" for one in found]
    except (OSError, DamagedValueError) as error:
        reason = f"project.json: {error}"
        (damages if layout.manifest.exists() else notices).append(reason)
    reading = _JournalReading(layout, manifest)
    try:
        reading.read()
    except OSError as error:
        damages.append(f"journal.jsonl: {error.strerror or error}")
    if reading.manifest is None:
        raise DamagedProjectError(layout.folder, reason or "there is no project.json")
    damages += reading.damages
    return Contents(
        manifest=replace(
            reading.manifest,
            journal_bytes=reading.end,
            objects=reading.objects,
            frames=reading.frames,
        ),
        journal=Journal() if reading.is_broken else reading.journal,
        journal_end=reading.end,
        written=reading.written,
        store_end=reading.store_end,
        damages=damages,
        notices=notices,
    )


class _JournalReading:
    """One way through the journal, with what it has led to so far."""

    def __init__(self, layout: ProjectLayout, manifest: Manifest | None) -> None:
        self._layout = layout
        self.manifest = manifest
        self.journal = Journal()
        self.frames: dict[int, str] = dict(manifest.frames) if manifest else {}
        self.objects: tuple[ObjectInfo, ...] = manifest.objects if manifest else ()
        self.written: set[tuple[int, int, int]] = set()
        self.store_end = 0
        self.damages: list[str] = []
        self.is_broken = False
        self.end = 0

    def read(self) -> None:
        """Raises OSError, NewerProjectError."""
        bad: list[str] = []  # lines in a row up to here: at the end they are a torn tail
        number = 0
        with open_plain(self._layout.journal) as file:
            for number, line in enumerate(read_lines(file), start=1):
                try:
                    self._take(line, number)
                except (DamagedValueError, ValueError) as error:
                    if self.manifest is None:
                        return  # nothing can be made of the rest
                    bad.append(f"journal.jsonl, line {number}: {error}")
                    if not self._is_new(line):
                        self._break(bad)
                    continue
                self._break(bad)  # what came before a good line was no torn tail
                self.end = line.offset + line.size_bytes
        if self.manifest is not None and self.end < self.manifest.journal_bytes:
            self.is_broken = True
            self.damages.append("journal.jsonl is shorter than it was: the history is incomplete")

    def _break(self, bad: list[str]) -> None:
        if bad:
            self.is_broken = True
            self.damages += bad
            bad.clear()

    def _is_new(self, line: Line) -> bool:
        """Whether project.json does not know of it yet."""
        return self.manifest is None or line.offset >= self.manifest.journal_bytes

    def _take(self, line: Line, number: int) -> None:
        if line.value is None:
            raise DamagedValueError(line.reason)
        kind = line.value.get("kind")
        if number == 1:
            self._start(line.value)
        elif self.manifest is None:
            raise DamagedValueError("it does not say what the project is")
        elif kind == "edit":
            self._edit(line, line.value, self.manifest.source.frame_count)
        elif kind == "move":
            self._move(line, integer(line.value.get("position"), "position", 0, 2**62))

    def _start(self, value: dict[str, Any]) -> None:
        if value.get("kind") != "start":
            raise DamagedValueError("it does not say what the project is")
        if integer(value.get("format"), "the format", 1, 2**31) > FORMAT:
            raise NewerProjectError(self._layout.folder, text(value.get("app_version"), "version"))
        if self.manifest is None:
            self.manifest = Manifest(
                name=text(value.get("name"), "the name"),
                created=text(value.get("created"), "the date"),
                app_version=text(value.get("app_version"), "the version"),
                source=SourceInfo.from_json(value.get("source")),
            )

    def _edit(self, line: Line, value: dict[str, Any], frame_count: int) -> None:
        ends: list[int] = []

        def note(place: MaskPlace) -> bytes:
            ends.append(place.offset + place.size_bytes)
            return b""

        edit = decode_edit(value, frame_count, note)
        if not self.is_broken:
            position = integer(value.get("position"), "position", 1, 2**62)
            part = Part(None, line.offset, line.size_bytes)
            self.journal.add(position, edit.label, edit.group, edit.frames, part)
        self.store_end = max([self.store_end, *ends])
        for key, pair in value["frames"].items():
            for record in pair:
                place = None if record is None else place_from_json(record.get("mask"))
                if place is not None:
                    self.written.add((int(key), place.size_bytes, place.crc32))
        if self._is_new(line):
            self._apply(value, side=1)

    def _move(self, line: Line, position: int) -> None:
        if self.is_broken:
            if self._is_new(line):
                raise DamagedValueError("an undo that can no longer be followed")
            return
        here = self.journal.position
        self.journal.move(position)
        if not self._is_new(line):
            return
        with reading_parts(self._layout.journal) as bring:
            for step in reversed(self.journal.steps[position:here]):
                for part in reversed(step.parts):
                    self._apply(bring(part), side=0)
            for step in self.journal.steps[here:position]:
                for part in step.parts:
                    self._apply(bring(part), side=1)

    def _apply(self, value: Mapping[str, Any], side: int) -> None:
        """side: 0 to what was before the edit, 1 to what was after it. `value` was checked."""
        for key, pair in value["frames"].items():
            if pair[side] is None:
                self.frames.pop(int(key), None)
            else:
                self.frames[int(key)] = encode_json(pair[side])
        objects = value.get("objects_after" if side else "objects_before")
        if objects is not None:
            self.objects = objects_from_json(objects)
