"""The journal, read from its first line to its last: the history and the state it leads to.

Every edit has to begin where the one before it ended; one that does not is damage, because undoing
it would lead nowhere. At the line up to which project.json was written, the two have to agree as
well: what differs there somebody has changed by hand.

Where the journal is damaged, the state is what project.json says, with what later lines say on top.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from interaction.errors import NewerProjectError
from interaction.project.folder_files import open_plain
from interaction.project.journal import Journal, Line, Part, decode_edit, read_lines, reading_parts
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import FORMAT, Manifest, encode_json, parse_json
from interaction.project.record_json import (
    DamagedValueError,
    MaskPlace,
    integer,
    objects_from_json,
    place_from_json,
    record_from_json,
    text,
)
from interaction.project.source_info import SourceInfo
from interaction.types import FrameRecord, ObjectInfo

__all__ = ["ChangesByHand", "JournalReading"]


@dataclass(slots=True)
class ChangesByHand:
    """What project.json says of frames and objects that the journal does not know of."""

    frames: dict[int, str | None] = field(default_factory=dict)  # a record's JSON; None: nothing
    objects: tuple[ObjectInfo, ...] | None = None  # None: the same


class _State:
    """Of frames and objects, at a line."""

    def __init__(self) -> None:
        self.frames: dict[int, Any] = {}  # a record's JSON value by frame
        self.objects: tuple[ObjectInfo, ...] = ()

    def check(self, value: Mapping[str, Any]) -> None:
        """Raises DamagedValueError if the edit of a line was not made from this state."""
        for key, (before, _) in value["frames"].items():
            if not _is_same(before, self.frames.get(int(key))):
                raise DamagedValueError(f"it does not begin where frame {key} was")
        objects = value.get("objects_before")
        if objects is not None and objects_from_json(objects) != self.objects:
            raise DamagedValueError("it does not begin with the objects there were")

    def apply(self, value: Mapping[str, Any], side: int) -> None:
        """side: 0 to what was before the edit, 1 to what was after it."""
        for key, pair in value["frames"].items():
            if pair[side] is None:
                self.frames.pop(int(key), None)
            else:
                self.frames[int(key)] = pair[side]
        objects = value.get("objects_after" if side else "objects_before")
        if objects is not None:
            self.objects = objects_from_json(objects)

    def texts(self) -> dict[int, str]:
        return {frame: encode_json(value) for frame, value in self.frames.items()}


def _is_same(one: Any, other: Any) -> bool:
    """Whether two records say the same, as they are read and not as they are written: a mask may
    be stored twice, and older programs left out what now has a default.

    Raises DamagedValueError.
    """
    return one == other or _meaning(one) == _meaning(other)


def _meaning(record: Any) -> FrameRecord:
    return record_from_json(record, _mask_meant)


def _mask_meant(place: MaskPlace) -> bytes:
    """Stands for a mask, wherever in the store it is."""
    return f"{place.size_bytes} bytes, {place.crc32:08x}".encode()


class JournalReading:
    """One way through the journal, with what it has led to so far."""

    def __init__(self, layout: ProjectLayout, manifest: Manifest | None) -> None:
        self._layout = layout
        self.manifest = manifest
        self._told: dict[int, str] = dict(manifest.frames) if manifest else {}
        self._told_objects: tuple[ObjectInfo, ...] = manifest.objects if manifest else ()
        self._state = _State()
        self._has_met = False  # the line up to which project.json was written
        self.journal = Journal()
        self.by_hand = ChangesByHand()
        self.written: set[tuple[int, int, int]] = set()
        self.store_end = 0
        self.damages: list[str] = []
        self.is_broken = True  # until it was read
        self.end = 0

    @property
    def frames(self) -> dict[int, str]:
        return self._told if self.is_broken else self._state.texts()

    @property
    def objects(self) -> tuple[ObjectInfo, ...]:
        return self._told_objects if self.is_broken else self._state.objects

    def read(self) -> None:
        """Raises OSError, NewerProjectError."""
        bad: list[str] = []  # lines in a row up to here: at the end they are a torn tail
        number = 0
        with open_plain(self._layout.journal) as file:
            self.is_broken = False
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
        if not self._has_met and not self.is_broken:
            self._meet()

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
        self._has_met = self._has_met or self._is_new(line)
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
            self._state.check(value)
            position = integer(value.get("position"), "position", 1, 2**62)
            part = Part(None, line.offset, line.size_bytes)
            self.journal.add(
                position,
                edit.label,
                edit.group,
                edit.frames,
                part,
                changes_objects=edit.objects_after is not None,
            )
            self._state.apply(value, side=1)
        self.store_end = max([self.store_end, *ends])
        for key, pair in value["frames"].items():
            for record in pair:
                place = None if record is None else place_from_json(record.get("mask"))
                if place is not None:
                    self.written.add((int(key), place.size_bytes, place.crc32))
        if self._is_new(line):
            self._tell(value)

    def _move(self, line: Line, position: int) -> None:
        if self.is_broken:
            if self._is_new(line):
                raise DamagedValueError("an undo that can no longer be followed")
            return
        here = self.journal.position
        self.journal.move(position)
        with reading_parts(self._layout.journal) as bring:
            for step in reversed(self.journal.steps[position:here]):
                for part in reversed(step.parts):
                    self._state.apply(bring(part), side=0)
            for step in self.journal.steps[here:position]:
                for part in step.parts:
                    self._state.apply(bring(part), side=1)
        if self._is_new(line):
            self._told, self._told_objects = self._state.texts(), self._state.objects

    def _tell(self, value: Mapping[str, Any]) -> None:
        """Notes what an edit that project.json does not know of led to."""
        for key, (_, after) in value["frames"].items():
            if after is None:
                self._told.pop(int(key), None)
            else:
                self._told[int(key)] = encode_json(after)
        if value.get("objects_after") is not None:
            self._told_objects = objects_from_json(value["objects_after"])

    def _meet(self) -> None:
        """At the end of the journal, where it is also the line that project.json goes up to."""
        state, told = self._state.frames, self._told
        for frame in sorted(state.keys() | told.keys()):
            line = told.get(frame)
            value = None if line is None else parse_json(line.encode())
            if not _is_alike(value, state.get(frame)):
                self.by_hand.frames[frame] = line
        if self._told_objects != self._state.objects:
            self.by_hand.objects = self._told_objects


def _is_alike(told: Any, known: Any) -> bool:
    try:
        return _is_same(told, known)
    except DamagedValueError:  # told by whoever reads it
        return False
