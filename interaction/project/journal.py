"""The append-only journal of edits: writing and reading it."""

import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from interaction.annotation.effort import EffortLog
from interaction.annotation.history import History, Part
from interaction.annotation.labels import label_from_json, label_to_json
from interaction.annotation.types import Edit, FrameRecord, MemoryRules, ObjectInfo
from interaction.errors import NewerProjectError
from interaction.files import JsonObject, open_plain
from interaction.project.causes import cause_from_json, cause_to_json
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import FORMAT, Manifest, encode_json, parse_json
from interaction.project.records import (
    Bring,
    DamagedValueError,
    MaskPlace,
    Place,
    edit_frames_to_json,
    frames_from_json,
    integer,
    mapping,
    memory_from_json,
    number,
    objects_from_json,
    objects_to_json,
    place_from_json,
    ranges_to_json,
    record_from_json,
    text,
)
from xmem_core.messages import Message

_CHECK: Final = b',"check":"'
_MOST_LINE_BYTES: Final = 2**28
_MOST_SECONDS: Final = 1e9


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file; `value` is None where it is damaged."""

    offset: int
    size_bytes: int
    value: JsonObject | None
    reason: str = ""


def seal(value: JsonObject) -> bytes:
    """A line, with its checksum as the last key."""
    body = encode_json(value)[:-1].encode()
    return body + _CHECK + f'{zlib.crc32(body):08x}"}}\n'.encode()


def unseal(line: bytes) -> JsonObject:
    """Raises DamagedValueError."""
    body, mark, check = line.rpartition(_CHECK)
    if not mark or check != f'{zlib.crc32(body):08x}"}}\n'.encode():
        raise DamagedValueError(Message("it is cut off or was changed"))
    value = parse_json(body + b"}")
    if not isinstance(value, dict):
        raise DamagedValueError(Message("it is not an object"))
    return value


def read_lines(file: BinaryIO) -> Generator[Line, None, None]:
    """Every line from where `file` stands. Raises OSError."""
    offset = file.tell()
    while line := file.readline(_MOST_LINE_BYTES):
        try:
            yield Line(offset, len(line), unseal(line))
        except DamagedValueError as error:
            yield Line(offset, len(line), None, str(error))
        offset += len(line)


def start_line(manifest: Manifest) -> dict[str, object]:
    """The first line of a journal: enough to do without project.json."""
    return {
        "kind": "start",
        "format": manifest.format,
        "app_version": manifest.app_version,
        "name": manifest.name,
        "created": manifest.created,
        "source": manifest.source.to_json(),
    }


def edit_line(
    edit: Edit, position: int, at: str, place: Place, matte_place: Place | None = None
) -> JsonObject:
    value: JsonObject = {"kind": "edit", "at": at, "position": position}
    value["label"] = label_to_json(edit.label)
    if edit.group is not None:
        value["group"] = edit.group
    value["cause"] = cause_to_json(edit.cause, edit.locked)
    if edit.objects_before is not None:
        value["objects_before"] = objects_to_json(edit.objects_before)
    if edit.objects_after is not None:
        value["objects_after"] = objects_to_json(edit.objects_after)
    if edit.memory_before is not None and edit.memory_after is not None:
        value["memory_before"] = ranges_to_json(edit.memory_before.ranges)
        value["memory_after"] = ranges_to_json(edit.memory_after.ranges)
    if edit.seconds > 0:
        value["seconds"] = round(edit.seconds, 3)
    value["frames"] = edit_frames_to_json(edit, place, matte_place)
    return value


def move_line(position: int, at: str) -> JsonObject:
    return {"kind": "move", "at": at, "position": position}


def decode_edit(
    value: JsonObject, frame_count: int, mask_at: Bring, matte_at: Bring | None = None
) -> Edit:
    """The edit of a line. Raises DamagedValueError."""
    before, after = frames_from_json(value.get("frames"), frame_count, mask_at, matte_at)
    objects_before, objects_after = value.get("objects_before"), value.get("objects_after")
    group = value.get("group")
    if (objects_before is None) != (objects_after is None):
        raise DamagedValueError(Message("it has only half of a change of the objects"))
    memory_before, memory_after = value.get("memory_before"), value.get("memory_after")
    if (memory_before is None) != (memory_after is None):
        raise DamagedValueError(Message("it has only half of a change of memory"))
    cause, locked = cause_from_json(value.get("cause"))
    return Edit(
        _label(value.get("label")),
        before,
        after,
        None if objects_before is None else objects_from_json(objects_before),
        None if objects_after is None else objects_from_json(objects_after),
        None if group is None else text(group, Message("the group")),
        cause,
        locked,
        number(value.get("seconds", 0.0), Message("the seconds"), 0.0, _MOST_SECONDS),
        None if memory_before is None else memory_from_json(memory_before, frame_count),
        None if memory_after is None else memory_from_json(memory_after, frame_count),
    )


def _moment_s(value: JsonObject) -> float | None:
    """When a line was written, in seconds since 1970; None if it does not say so."""
    try:
        moment = datetime.fromisoformat(text(value.get("at"), Message("the time")))
        return moment.timestamp() if moment.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def _label(value: object) -> str:
    if isinstance(value, str):  # a journal of an earlier program
        return text(value, Message("the label"))
    try:
        return label_from_json(mapping(value, Message("the label")))
    except ValueError as error:
        raise DamagedValueError(str(error)) from error


@contextmanager
def reading_parts(path: Path) -> Generator[Callable[[Part], JsonObject], None, None]:
    """Gives what brings the line of a part that is in the file. It raises DamagedValueError."""
    file: BinaryIO | None = None

    def bring(part: Part) -> JsonObject:
        nonlocal file
        try:
            if file is None:
                file = open_plain(path)
            file.seek(part.offset)
            return unseal(file.read(part.size_bytes))
        except OSError as error:
            raise DamagedValueError(
                Message("it cannot be read: {reason}", reason=error.strerror or error)
            ) from error

    try:
        yield bring
    finally:
        if file is not None:
            file.close()


@dataclass(slots=True)
class ChangesByHand:
    """What project.json says that the journal does not know of."""

    frames: dict[int, str | None] = field(default_factory=dict)  # a record's JSON; None: nothing
    objects: tuple[ObjectInfo, ...] | None = None  # None: the same
    memory: MemoryRules | None = None  # None: the same


@dataclass(slots=True)
class State:
    """Of frames, objects and memory rules, at a line."""

    frames: dict[int, object] = field(default_factory=dict)  # a record's JSON value by frame
    objects: tuple[ObjectInfo, ...] = ()
    memory: MemoryRules = field(default_factory=MemoryRules)

    def check(self, value: JsonObject) -> None:
        """Raises DamagedValueError if the edit of a line was not made from this state."""
        for key, (before, _) in value["frames"].items():
            if not _is_same(before, self.frames.get(int(key))):
                raise DamagedValueError(Message("it does not begin where frame {key} was", key=key))
        objects = value.get("objects_before")
        if objects is not None and objects_from_json(objects) != self.objects:
            raise DamagedValueError(Message("it does not begin with the objects there were"))
        memory = value.get("memory_before")
        if memory is not None and memory_from_json(memory) != self.memory:
            raise DamagedValueError(Message("it does not begin with the memory there was"))

    def apply(self, value: JsonObject, side: int) -> None:
        """side: 0 to what was before the edit, 1 to what was after it."""
        for key, pair in value["frames"].items():
            if pair[side] is None:
                self.frames.pop(int(key), None)
            else:
                self.frames[int(key)] = pair[side]
        objects = value.get("objects_after" if side else "objects_before")
        if objects is not None:
            self.objects = objects_from_json(objects)
        memory = value.get("memory_after" if side else "memory_before")
        if memory is not None:
            self.memory = memory_from_json(memory)

    def texts(self) -> dict[int, str]:
        return {frame: encode_json(value) for frame, value in self.frames.items()}


def _is_same(one: object, other: object) -> bool:
    """Whether two records say the same, as they are read and not as they are written: a mask may
    be stored twice, and older programs left out what now has a default.

    Raises DamagedValueError.
    """
    return one == other or _meaning(one) == _meaning(other)


def _meaning(record: object) -> FrameRecord:
    return record_from_json(record, _mask_meant)


def _mask_meant(place: MaskPlace) -> bytes:
    """Stands for a mask, wherever in the store it is."""
    return f"{place.size_bytes} bytes, {place.crc32:08x}".encode()


class JournalReading:
    """One way through the journal, with what it has led to so far."""

    def __init__(self, layout: ProjectLayout, manifest: Manifest | None) -> None:
        self._layout = layout
        self.manifest = manifest
        self._state = State()  # as the journal has it
        self._listed = State()  # as project.json has it, and the lines that it does not know of
        if manifest is not None:
            frames = {frame: parse_json(one.encode()) for frame, one in manifest.frames.items()}
            self._listed = State(frames, manifest.objects, manifest.memory_rules)
        self._has_met = False  # the line up to which project.json was written
        self.history = History()
        self.effort = EffortLog()  # of every edit, those that can no longer be redone included
        self.by_hand = ChangesByHand()
        self.written: set[tuple[int, int, int]] = set()
        self.store_end = 0
        self.damages: list[str] = []
        self.is_broken = True  # until it was read
        self.end = 0

    @property
    def state(self) -> State:
        """Where it has led to; what project.json says where it cannot be followed."""
        return self._listed if self.is_broken else self._state

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
                    bad.append(
                        Message(
                            "journal.jsonl, line {number}: {reason}", number=number, reason=error
                        )
                    )
                    if not self._is_new(line):
                        self._break(bad)
                    continue
                self._break(bad)  # what came before a good line was no torn tail
                self.end = line.offset + line.size_bytes
        if self.manifest is not None and self.end < self.manifest.journal_bytes:
            self.is_broken = True
            self.damages.append(
                Message("journal.jsonl is shorter than it was: the history is incomplete")
            )
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
            raise DamagedValueError(Message("it does not describe the project"))
        elif kind == "edit":
            self._edit(line, line.value, self.manifest.source.frame_count)
        elif kind == "move":
            self._move(line, integer(line.value.get("position"), "position", 0, 2**62))

    def _start(self, value: dict[str, object]) -> None:
        if value.get("kind") != "start":
            raise DamagedValueError(Message("it does not describe the project"))
        number = integer(value.get("format"), Message("the format"), 1, 2**31)
        if number > FORMAT:
            raise NewerProjectError(self._layout.folder, text(value.get("app_version"), "version"))
        if self.manifest is None:
            self.manifest = replace(Manifest.begun(value), format=number)

    def _edit(self, line: Line, value: JsonObject, frame_count: int) -> None:
        ends: list[int] = []

        def note(place: MaskPlace) -> bytes:
            ends.append(place.offset + place.size_bytes)
            return b""

        edit = decode_edit(value, frame_count, note)
        at_s = _moment_s(value)
        if at_s is not None:
            self.effort.note(edit, at_s)
        if not self.is_broken:
            self._state.check(value)
            position = integer(value.get("position"), "position", 1, 2**62)
            entry = self.history.follow(edit, position)
            entry.parts.append(Part(None, line.offset, line.size_bytes))
            self._state.apply(value, side=1)
        self.store_end = max([self.store_end, *ends])
        for key, pair in value["frames"].items():
            for record in pair:
                place = None if record is None else place_from_json(record.get("mask"))
                if place is not None:
                    self.written.add((int(key), place.size_bytes, place.crc32))
        if self._is_new(line):
            self._listed.apply(value, side=1)

    def _move(self, line: Line, position: int) -> None:
        at_s = None if line.value is None else _moment_s(line.value)
        if at_s is not None:
            self.effort.note_move(at_s)
        if self.is_broken:
            if self._is_new(line):
                raise DamagedValueError(Message("an undo that can no longer be followed"))
            return
        side = int(position > self.history.position)
        parts = [part for entry in self.history.move(position) for part in entry.parts]
        with reading_parts(self._layout.journal) as bring:
            for part in parts if side else reversed(parts):
                self._state.apply(bring(part), side=side)
        if self._is_new(line):
            self._listed = replace(self._state, frames=dict(self._state.frames))

    def _meet(self) -> None:
        """At the end of the journal, where it is also the line that project.json goes up to."""
        state, listed = self._state, self._listed
        for frame in sorted(state.frames.keys() | listed.frames.keys()):
            value = listed.frames.get(frame)
            if not _is_alike(value, state.frames.get(frame)):
                self.by_hand.frames[frame] = None if value is None else encode_json(value)
        if listed.objects != state.objects:
            self.by_hand.objects = listed.objects
        if listed.memory != state.memory:
            self.by_hand.memory = listed.memory


def _is_alike(listed: object, known: object) -> bool:
    try:
        return _is_same(listed, known)
    except DamagedValueError:  # reported when the record is read
        return False
