"""A project as it can be looked at, whole or damaged, by one program or by several at once: what is
in its folder is read and checked. Nothing here writes."""

import zlib
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.edits import given_after, with_ids
from interaction.annotation.effort import EffortLog
from interaction.annotation.history import Entry, History
from interaction.annotation.labels import Label
from interaction.annotation.mask_files import decode_labels, read_mask
from interaction.annotation.overlaps import cover, stack_of
from interaction.annotation.requests import ImportRequest
from interaction.annotation.types import EMPTY_RECORD, Edit, FrameRecord, FrameStatus
from interaction.errors import DamagedProjectError, UnreadableMaskError
from interaction.files import read_plain
from interaction.project.frame_index import read_cuts, read_index
from interaction.project.journal import ChangesByHand, JournalReading, decode_edit, reading_parts
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import Manifest, find_source, parse_json, read_manifest
from interaction.project.mask_store import MaskStore, check_mask, checking_masks
from interaction.project.records import (
    Bring,
    DamagedValueError,
    MaskPlace,
    check_listed,
    mapping,
    place_from_json,
    record_from_json,
)
from interaction.project.versions import Version, list_versions, version_edits
from interaction.video.decoder import VideoIndex
from xmem_core.messages import Message


@dataclass(slots=True)
class Contents:
    """What was found. `manifest` holds the state; `damages` is empty for a whole project."""

    manifest: Manifest
    history: History
    journal_end: int  # bytes; what is behind it is worth nothing
    written: set[tuple[int, int, int]]  # (frame, bytes, CRC-32) of every mask a frame ever had
    store_end: int = 0  # bytes; how far into the mask store the journal refers
    effort: EffortLog = field(default_factory=EffortLog)
    by_hand: ChangesByHand = field(default_factory=ChangesByHand)
    damages: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


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
    reading = JournalReading(layout, manifest)
    try:
        reading.read()
    except OSError as error:
        damages.append(Message("journal.jsonl: {reason}", reason=error.strerror or error))
    if reading.manifest is None:
        raise DamagedProjectError(layout.folder, reason or Message("there is no project.json"))
    damages += reading.damages
    return Contents(
        manifest=replace(
            reading.manifest,
            journal_bytes=reading.end,
            objects=reading.state.objects,
            memory_rules=reading.state.memory,
            frames=reading.state.texts(),
        ),
        history=History() if reading.is_broken else reading.history,
        journal_end=reading.end,
        written=reading.written,
        store_end=reading.store_end,
        effort=reading.effort,
        by_hand=reading.by_hand,
        damages=damages,
        notices=notices,
    )


_MOST_MASK_BYTES: Final = 2**28


@dataclass(slots=True)
class CheckedMasks:
    """What the frames hold, and what is to be done about the files."""

    records: dict[int, FrameRecord] = field(default_factory=dict)
    amends: dict[int, bytes | None] = field(default_factory=dict)  # files; None: take away
    outside: dict[int, Path] = field(default_factory=dict)  # masks that others put there
    by_hand: dict[int, FrameRecord] = field(default_factory=dict)  # what project.json has instead
    damages: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def check_masks(
    layout: ProjectLayout, contents: Contents, store: MaskStore, mattes: MaskStore
) -> CheckedMasks:
    """Reads every mask file, and tells `store` where each mask is. Nothing is written."""
    checked = CheckedMasks()
    if store.size_bytes < contents.store_end:
        checked.damages.append(
            Message(
                "history/{name} is shorter than it was: not everything can be undone",
                name=store.path.name,
            )
        )
    files = _mask_files(layout, contents)
    if contents.manifest.frames and not layout.masks.exists():
        checked.notices.append(
            Message("The folder “masks” was missing. Its masks are in the history too.")
        )
    ids = {one.id for one in contents.manifest.objects}
    size = contents.manifest.source.width, contents.manifest.source.height
    with store.reading() as unchecked, mattes.reading() as matte_at:
        stored = checking_masks(unchecked, size)
        reading = _MaskReading(contents, checked, stored, matte_at)
        for frame, line in contents.manifest.frames.items():
            try:
                value = mapping(parse_json(line.encode()), Message("its record"))
                place = place_from_json(value.get("mask"))
                mask = reading.mask(frame, place, files.pop(frame, None))
                reading.at_hand = {} if place is None or mask is None else {place: mask}
                record = reading.record(frame, value)
                check_listed(record, ids)
                checked.records[frame] = record
            except DamagedValueError as error:
                checked.damages.append(
                    Message("Frame {frame}: {reason}", frame=frame, reason=error)
                )
                continue
            if place is not None and mask is not None:
                store.know(mask, place)
        for frame, path in files.items():
            reading.mask(frame, None, path)
        _check_by_hand(contents, checked, stored)
    return checked


def _check_by_hand(
    contents: Contents, checked: CheckedMasks, stored: Callable[[MaskPlace], bytes]
) -> None:
    """Check changes that another program made in project.json."""
    objects = contents.by_hand.objects
    ids = {one.id for one in (contents.manifest.objects if objects is None else objects)}
    for frame, line in contents.by_hand.frames.items():
        try:
            value = (
                None if line is None else mapping(parse_json(line.encode()), Message("its record"))
            )
            record = record_from_json(value, stored)
            check_listed(record, ids)
        except DamagedValueError as error:
            checked.damages.append(
                Message("project.json: Frame {frame}: {reason}", frame=frame, reason=error)
            )
        else:
            checked.by_hand[frame] = record
    for frame, record in checked.records.items():
        if frame not in checked.by_hand:
            try:
                check_listed(record, ids)
            except DamagedValueError as error:
                checked.damages.append(f"project.json: {error}")
                return


class _MaskReading:
    """Reads masks frame by frame: from the mask file, or from the store where the file differs."""

    def __init__(
        self, contents: Contents, checked: CheckedMasks, stored: Bring, matte_at: Bring
    ) -> None:
        source = contents.manifest.source
        self._size = source.width, source.height
        self._checked = checked
        self._stored, self._matte_at = stored, matte_at
        self.at_hand: dict[MaskPlace, bytes] = {}
        self._written = contents.written

    def mask(self, frame: int, place: MaskPlace | None, path: Path | None) -> bytes | None:
        """The frame's mask. place: of the one it should have; path: its file, if there is one.

        Raises DamagedValueError.
        """
        held = None if path is None else _read(path)
        if place is not None and held is not None and _matches(held, place):
            check_mask(held, self._size)
            return held
        if path is not None and held is not None and self._is_from_outside(frame, held, path):
            self._checked.outside[frame] = path
            return None if place is None else self._stored(place)
        mask = None if place is None else self._stored(place)
        if mask is not None or path is not None:
            self._checked.amends[frame] = mask
        return mask

    def record(self, frame: int, value: Mapping[str, object]) -> FrameRecord:
        """Without its clicks, where the mask that they began with is lost. DamagedValueError."""
        try:
            return record_from_json(value, self.bring, self._matte_at)
        except DamagedValueError as error:
            record = record_from_json({**value, "prompts": None}, self.bring, self._matte_at)
            self._checked.damages.append(
                Message("Frame {frame}: its clicks are lost: {reason}", frame=frame, reason=error)
            )
            return record

    def bring(self, place: MaskPlace) -> bytes:
        """The mask at `place`, from the store unless it is at hand. Raises DamagedValueError."""
        return self.at_hand[place] if place in self.at_hand else self._stored(place)

    def _is_from_outside(self, frame: int, held: bytes, path: Path) -> bool:
        if (frame, len(held), zlib.crc32(held)) in self._written:
            return False  # an older one, which a crash kept from being replaced
        try:
            read_mask(path, *self._size)
        except UnreadableMaskError:
            return False
        return True


def outside_edit(contents: Contents, checked: CheckedMasks) -> Edit | None:
    """What others changed in the folder, as an edit; None if that is nothing.

    Masks that they put there are hand-made ones. One that cannot be read after all is left out, and
    so is one that changes a locked object, with a notice in `checked`.
    """
    source, objects = contents.manifest.source, contents.manifest.objects
    by_hand = contents.by_hand.objects
    grown = objects if by_hand is None else by_hand
    locked = {one.id: one.name for one in grown if one.is_locked}
    after = dict(checked.by_hand)
    for frame, path in checked.outside.items():
        try:
            labels = read_mask(path, source.width, source.height)
        except UnreadableMaskError:
            continue
        old = checked.records.get(frame, EMPTY_RECORD)
        was = stack_of(old, source.height, source.width)
        stack = cover(was, labels, {one.id for one in grown if one.keeps_covered})
        given = given_after(old, was, stack)
        after[frame] = make_record(stack, FrameStatus.CORRECTED, given=given)
    for frame in sorted(after):
        before = checked.records.get(frame, EMPTY_RECORD)
        changed = [locked[i] for i in _changed_objects(before, after[frame], locked)]
        if changed:
            del after[frame]
            checked.notices.append(
                Message(
                    "Frame {frame}: another program changed the mask of ‘{name}’, which is "
                    "locked. The change was left out; unlock the object and open the project again "
                    "to take it over.",
                    frame=frame,
                    name=changed[0],
                )
            )
            continue
        grown = with_ids(grown, after[frame].present)
    memory = contents.by_hand.memory
    if not after and grown == objects and memory is None:
        return None
    return Edit(
        Label("outside"),
        {frame: checked.records.get(frame, EMPTY_RECORD) for frame in after},
        after,
        objects if grown != objects else None,
        grown if grown != objects else None,
        cause=ImportRequest("", "outside"),
        locked=frozenset(one.id for one in objects if one.is_locked),
        memory_before=None if memory is None else contents.manifest.memory_rules,
        memory_after=memory,
    )


def _changed_objects(before: FrameRecord, after: FrameRecord, ids: Iterable[int]) -> list[int]:
    """Those of `ids` that gained or lost a pixel."""
    concerned = [one for one in ids if one in before.present | after.present]
    if not concerned:
        return []
    old, new = (None if one.mask is None else decode_labels(one.mask) for one in (before, after))
    if old is None or new is None:
        return concerned
    return [one for one in concerned if not np.array_equal(old == one, new == one)]


def _mask_files(layout: ProjectLayout, contents: Contents) -> dict[int, Path]:
    """By frame, of those that are in the video."""
    found: dict[int, Path] = {}
    with suppress(OSError):
        for path in sorted(layout.masks.iterdir()):
            frame = layout.frame_of(path.name)
            if frame is not None and frame < contents.manifest.source.frame_count:
                found[frame] = path
    return found


def _read(path: Path) -> bytes | None:
    try:
        return read_plain(path, _MOST_MASK_BYTES)
    except OSError:
        return None


def _matches(mask: bytes, place: MaskPlace) -> bool:
    return len(mask) == place.size_bytes and zlib.crc32(mask) == place.crc32


class ProjectView:
    """What was read of a project's folder.

    history: every step ever made; masks are read when one is undone or redone. effort: of every
    edit, those that can no longer be redone included.
    """

    def __init__(self, layout: ProjectLayout, contents: Contents) -> None:
        self.layout = layout
        self.manifest = contents.manifest
        self.history, self.effort = contents.history, contents.effort
        for entry in self.history.entries:
            entry.load = partial(self.load, entry)
        self.store = MaskStore(layout.store)
        self.mattes = MaskStore(layout.mattes)
        checked = check_masks(layout, contents, self.store, self.mattes)
        self._checked: CheckedMasks | None = checked
        self.amends = checked.amends
        # In words: what was found damaged, and what was odd and was put right, or left alone.
        self.damages = (*contents.damages, *checked.damages)
        self._outside = None if self.damages else outside_edit(contents, checked)
        self.notices = (*contents.notices, *checked.notices)

    @property
    def is_loaded(self) -> bool:
        """Whether the annotation as it was found has been loaded; another is read from the disk."""
        return self._checked is None

    def load_annotation(self) -> Annotation:
        """As it is on the disk."""
        if self._checked is None:
            contents = read_contents(self.layout)
            self._checked = check_masks(self.layout, contents, self.store, self.mattes)
            self.manifest = contents.manifest
        source, records = self.manifest.source, self._checked.records
        annotation = Annotation(
            source.frame_count,
            source.width,
            source.height,
            records=records,
            objects=self.manifest.objects,
            memory=self.manifest.memory_rules,
        )
        self._checked = None  # so that masks which change are not kept for ever
        return annotation

    def find_source(self) -> Path:
        """Where the video is. Raises SourceMovedError, SourceChangedError, SourceMissingError."""
        return find_source(self.manifest.source, self.layout.folder)

    def load_index(self, source: Path) -> VideoIndex | None:
        """Where the frames of the video at `source` are; None if that has to be found anew."""
        return read_index(self.layout.frame_index, source, self.manifest.source.digest)

    def load_cuts(self) -> tuple[int, ...] | None:
        """The first frame of each shot but the first; None if they have to be found anew."""
        return read_cuts(
            self.layout.cuts, self.manifest.source.digest, self.manifest.source.frame_count
        )

    def versions(self) -> tuple[Version, ...]:
        """Oldest first."""
        return list_versions(self.layout)

    def restoring(self, version: Version, now: Annotation) -> Generator[Edit, None, None]:
        """The edits that lead from `now` to `version`, for the session to apply one by one.

        Raises DamagedProjectError when it is called.
        """
        return version_edits(version, now, self.store, self.mattes)

    def outside_changes(self) -> Edit | None:
        """What another program has changed in the folder, as an edit to apply and record.

        To be asked for once, after `load_annotation`; until it is recorded they are left alone.
        """
        return self._outside

    def load(self, entry: Entry) -> Edit:
        """The edits of a step of the history, as one. Raises DamagedProjectError."""
        source = self.manifest.source
        try:
            with (
                reading_parts(self.layout.journal) as line_of,
                self.store.reading() as stored,
                self.mattes.reading() as matte_at,
            ):
                mask_at = checking_masks(stored, (source.width, source.height))
                # An edit that is still in memory is not in the file yet.
                edits = [
                    part.edit or decode_edit(line_of(part), source.frame_count, mask_at, matte_at)
                    for part in list(entry.parts)
                ]
        except DamagedValueError as error:
            raise DamagedProjectError(
                self.layout.folder, Message("“{label}”: {reason}", label=entry.label, reason=error)
            ) from error
        first, *others = edits
        return first.then(*others)
