"""journal.jsonl: every edit that was made and every step of undo and redo, one line each.

It only grows. A line ends in a checksum of itself, so a line that a crash cut off is recognised
and dropped, and damage in the middle is noticed. From the journal come the history of a project
that is opened again, and whatever was done after project.json was last written.

`Journal` is the list of steps, kept on the thread that makes edits; where a line lies in the file
is filled in by the saving thread once it is there. Until then a step holds its edit in memory.
"""

import zlib
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from interaction.history import first_touching
from interaction.project.folder_files import open_plain
from interaction.project.manifest import encode_json, parse_json
from interaction.project.record_json import (
    DamagedValueError,
    MaskPlace,
    edit_frames_to_json,
    frames_from_json,
    mapping,
    objects_from_json,
    objects_to_json,
    text,
)
from interaction.types import FrameRecord, MaskEdit

__all__ = ["Journal", "Line", "Part", "Step", "decode_edit", "edit_line", "move_line", "read_lines"]

_CHECK: Final = b',"check":"'
_MOST_LINE_BYTES: Final = 2**28


@dataclass(slots=True, eq=False)
class Part:
    """One edit of a step: in memory until it is in the journal, and there ever after."""

    edit: MaskEdit | None = None
    offset: int = -1
    size_bytes: int = 0

    def is_at(self, offset: int, size_bytes: int) -> None:
        """It is in the file now. In this order: another thread may be reading it."""
        self.offset, self.size_bytes = offset, size_bytes
        self.edit = None


@dataclass(slots=True, eq=False)
class Step:
    """What one Undo takes back: an edit, or all edits of a group."""

    label: str
    group: str | None
    frames: set[int] = field(default_factory=set)
    parts: list[Part] = field(default_factory=list)


class Journal:
    """The steps in order, and how many of them are in effect. Mirrors `History`."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.position = 0

    def add(
        self,
        position: int,
        label: str,
        group: str | None,
        frames: Iterable[int],
        part: Part,
        *,
        changes_objects: bool = False,
    ) -> Step:
        """`position`: of the history after the edit; it stays where the edit joins its group, and
        so does what could be redone, up to the first step that touches the same frames. One that
        changes the list of objects brings its group to the top.

        ValueError if the history cannot have got there.
        """
        frames = frozenset(frames)
        found: Step | None = None
        if group is not None and position == self.position:
            steps = reversed(self.steps[: self.position])
            found = next((step for step in steps if step.group == group), None)
        if found is None and position != self.position + 1:
            raise ValueError(f"an edit cannot lead from step {self.position} to {position}")
        kept = 0
        if found is not None:
            kept = first_touching(frames, (step.frames for step in self.steps[self.position :]))
        del self.steps[self.position + kept :]
        if found is None:
            found = Step(label, group)
            self.steps.append(found)
        elif changes_objects and found is not self.steps[position - 1]:
            self.steps.remove(found)
            self.steps.insert(position - 1, found)
        found.frames.update(frames)
        found.parts.append(part)
        self.position = position
        return found

    def move(self, position: int) -> None:
        """Undo or redo led to `position`. ValueError if there is no such step."""
        if not 0 <= position <= len(self.steps):
            raise ValueError(f"there is no step {position} in a history of {len(self.steps)}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file; `value` is None where it is damaged."""

    offset: int
    size_bytes: int
    value: dict[str, Any] | None
    reason: str = ""


def seal(value: dict[str, Any]) -> bytes:
    """A line, with its checksum as the last key."""
    body = encode_json(value)[:-1].encode()
    return body + _CHECK + f'{zlib.crc32(body):08x}"}}\n'.encode()


def unseal(line: bytes) -> dict[str, Any]:
    """Raises DamagedValueError."""
    body, mark, check = line.rpartition(_CHECK)
    if not mark or check != f'{zlib.crc32(body):08x}"}}\n'.encode():
        raise DamagedValueError("it is cut off or was changed")
    value = parse_json(body + b"}")
    if not isinstance(value, dict):
        raise DamagedValueError("it is not an object")
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


def edit_line(
    edit: MaskEdit, position: int, at: str, place: Callable[[bytes], MaskPlace]
) -> dict[str, Any]:
    value: dict[str, Any] = {"kind": "edit", "at": at, "position": position, "label": edit.label}
    if edit.group is not None:
        value["group"] = edit.group
    value["cause"] = dict(edit.cause)
    if edit.objects_before is not None:
        value["objects_before"] = objects_to_json(edit.objects_before)
    if edit.objects_after is not None:
        value["objects_after"] = objects_to_json(edit.objects_after)
    value["frames"] = edit_frames_to_json(edit, place)
    return value


def move_line(position: int, at: str) -> dict[str, Any]:
    return {"kind": "move", "at": at, "position": position}


def decode_edit(
    value: dict[str, Any], frame_count: int, mask_at: Callable[[MaskPlace], bytes]
) -> MaskEdit:
    """The edit of a line. Raises DamagedValueError."""
    before, after = frames_from_json(value.get("frames"), frame_count, mask_at)
    objects_before, objects_after = value.get("objects_before"), value.get("objects_after")
    group = value.get("group")
    if (objects_before is None) != (objects_after is None):
        raise DamagedValueError("it has only half of a change of the objects")
    return MaskEdit(
        text(value.get("label"), "the label"),
        before,
        after,
        None if objects_before is None else objects_from_json(objects_before),
        None if objects_after is None else objects_from_json(objects_after),
        None if group is None else text(group, "the group"),
        mapping(value.get("cause"), "the cause"),
    )


@contextmanager
def reading_parts(path: Path) -> Generator[Callable[[Part], dict[str, Any]], None, None]:
    """Gives what brings the line of a part that is in the file. It raises DamagedValueError."""
    file: BinaryIO | None = None

    def bring(part: Part) -> dict[str, Any]:
        nonlocal file
        try:
            if file is None:
                file = open_plain(path)
            file.seek(part.offset)
            return unseal(file.read(part.size_bytes))
        except OSError as error:
            raise DamagedValueError(f"it cannot be read: {error.strerror or error}") from error

    try:
        yield bring
    finally:
        if file is not None:
            file.close()


def joined(edits: Iterable[MaskEdit]) -> MaskEdit:
    """All of a step's edits as one, as `MaskEdit.then` would, in linear time."""
    first: MaskEdit | None = None
    before: dict[int, FrameRecord] = {}
    after: dict[int, FrameRecord] = {}
    objects_before = objects_after = None
    for edit in edits:
        first = first or edit
        for frame, record in edit.before.items():
            before.setdefault(frame, record)
        after.update(edit.after)
        objects_before = edit.objects_before if objects_before is None else objects_before
        objects_after = objects_after if edit.objects_after is None else edit.objects_after
    if first is None:
        raise ValueError("a step has at least one edit, got none")
    return MaskEdit(
        first.label, before, after, objects_before, objects_after, first.group, first.cause
    )
