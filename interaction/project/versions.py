"""Named versions of a project: its project.json and its masks, set aside under versions/NAME.

A version is made under another name and gets its own when it is whole. Its masks share their bytes
on the disk with the project's where that is possible: the program replaces mask files, it never
changes one. Going back to a version is an edit like any other.
"""

import os
import zlib
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from interaction.annotation.annotation import Annotation
from interaction.annotation.edits import new_group
from interaction.annotation.labels import Label
from interaction.annotation.requests import VersionRequest
from interaction.annotation.types import EMPTY_RECORD, Edit, FrameRecord, MemoryRules, ObjectInfo
from interaction.errors import DamagedProjectError, ProjectError
from interaction.files import (
    hidden_folder,
    is_plain_folder,
    read_plain,
    replace_file,
    sync_folder,
    write_plain,
    writing_problem,
)
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import encode_json, parse_json, read_manifest
from interaction.project.mask_store import MaskStore, checking_masks
from interaction.project.records import (
    DamagedValueError,
    MaskPlace,
    check_listed,
    record_from_json,
    text,
)
from xmem_core.messages import Message

_ABOUT: Final = "version.json"
_MOST_NAME: Final = 200  # letters
_MOST_STEM_BYTES: Final = 150
_DEVICES: Final = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{d}{n}" for d in ("COM", "LPT") for n in range(10)),
}
_REFUSED: Final = '<>:"/\\|?*'  # by one file system or another

Objects = tuple[ObjectInfo, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A state of the project that was given a name."""

    name: str
    created: str  # ISO 8601, UTC
    folder: Path


def make_version(layout: ProjectLayout, name: str, created: str) -> Version:
    """Sets aside what is on the disk now; nothing may write meanwhile.

    Raises ProjectError for a name of nothing but spaces, of more than 200 letters, or of a version
    that is there; DiskFullError, UnwritableFileError.
    """
    name = name.strip()
    if not name or len(name) > _MOST_NAME:
        raise ProjectError(
            "A version's name has 1 to {most} letters, and this one {count}. Nothing was "
            "saved.\n\n"
            "Choose another name.",
            most=_MOST_NAME,
            count=len(name),
        )
    known = list_versions(layout)
    if any(one.name == name for one in known):
        raise ProjectError(
            "There is a version “{name}” already. It was not changed.\n\nChoose another name.",
            name=name,
        )
    try:
        layout.versions.mkdir(exist_ok=True)
        folder = _free_folder(layout, name)
    except OSError as error:
        raise writing_problem(layout.versions, error) from error
    try:
        with hidden_folder(folder) as temporary:
            (temporary / "masks").mkdir()
            for path in sorted(layout.masks.iterdir()):
                if layout.frame_of(path.name) is not None:
                    _link(path, temporary / "masks" / path.name)
            write_plain(temporary / "project.json", read_plain(layout.manifest))
            about = encode_json({"name": name, "created": created})
            write_plain(temporary / _ABOUT, about.encode())
            replace_file(temporary, folder)
            sync_folder(layout.versions)
    except OSError as error:
        raise writing_problem(folder, error) from error
    return Version(name, created, folder)


def list_versions(layout: ProjectLayout) -> tuple[Version, ...]:
    """Oldest first. What is no version is passed over."""
    found: list[Version] = []
    if not is_plain_folder(layout.versions):
        return ()
    with suppress(OSError):
        for folder in layout.versions.iterdir():
            if not is_plain_folder(folder) or folder.name.startswith("."):
                continue
            with suppress(OSError, DamagedValueError, AttributeError):
                about = parse_json(read_plain(folder / _ABOUT, 100_000))
                name, created = text(about.get("name"), "name"), text(about.get("created"), "date")
                found.append(Version(name, created, folder))
    return tuple(sorted(found, key=lambda one: (one.created, one.name)))


def version_edits(
    version: Version, now: Annotation, store: MaskStore, mattes: MaskStore
) -> Generator[Edit, None, None]:
    """What leads from the annotation as it is now to `version`, as one group.

    Reads `now` when it is called, not later. Raises DamagedProjectError before the first edit.
    """
    records, objects, memory = dict(now.records), now.objects, now.memory
    label = Label("version", name=version.name)
    wanted, wanted_objects, wanted_memory = _read_version(version, now, store, mattes)
    locked = frozenset(one.id for one in (*objects, *wanted_objects) if one.is_locked)
    cause = VersionRequest(version.name)
    group = new_group()

    def lists(before: Objects, after: Objects) -> Edit:
        return Edit(label, {}, {}, before, after, group, cause, locked)

    def edits() -> Generator[Edit, None, None]:
        # No mask may ever show an object that is not in the list.
        ids = {one.id for one in wanted_objects}
        both = (*wanted_objects, *(one for one in objects if one.id not in ids))
        if both != objects:
            yield lists(objects, both)
        for frame in sorted(records.keys() | wanted.keys()):
            before, after = records.get(frame, EMPTY_RECORD), wanted.get(frame, EMPTY_RECORD)
            if before != after:
                yield Edit(
                    label, {frame: before}, {frame: after}, group=group, cause=cause, locked=locked
                )
        if both != wanted_objects:
            yield lists(both, wanted_objects)
        if memory != wanted_memory:
            edit = Edit(label, group=group, cause=cause, locked=locked)
            yield replace(edit, memory_before=memory, memory_after=wanted_memory)

    return edits()


def _read_version(
    version: Version, now: Annotation, store: MaskStore, mattes: MaskStore
) -> tuple[dict[int, FrameRecord], Objects, MemoryRules]:
    layout = ProjectLayout(version.folder)
    try:
        manifest, damages = read_manifest(layout.manifest)
        source = manifest.source
        shape = (source.frame_count, source.width, source.height)
        if damages or shape != (now.frame_count, now.width, now.height):
            raise DamagedValueError(damages[0] if damages else Message("it is of another video"))
        records: dict[int, FrameRecord] = {}
        ids = {one.id for one in manifest.objects}
        size = now.width, now.height
        with store.reading() as stored, mattes.reading() as matte_at:
            for frame, line in manifest.frames.items():
                bring = checking_masks(partial(_bring, layout.mask(frame), stored), size)
                records[frame] = record_from_json(parse_json(line.encode()), bring, matte_at)
                check_listed(records[frame], ids)
    except (OSError, DamagedValueError) as error:
        raise DamagedProjectError(
            version.folder, Message("version ‘{name}’: {reason}", name=version.name, reason=error)
        ) from error
    return records, manifest.objects, manifest.memory_rules


def _bring(path: Path, stored: Callable[[MaskPlace], bytes], place: MaskPlace) -> bytes:
    """A mask from the project's store, or from the version's own file."""
    try:
        return stored(place)
    except DamagedValueError:
        with suppress(OSError):
            mask = read_plain(path)
            if len(mask) == place.size_bytes and zlib.crc32(mask) == place.crc32:
                return mask
        raise


def _free_folder(layout: ProjectLayout, name: str) -> Path:
    """A folder named like the version as far as every disk allows it."""
    stem = "".join("_" if one in _REFUSED or not one.isprintable() else one for one in name)
    stem = stem.encode()[:_MOST_STEM_BYTES].decode(errors="ignore").strip(". ") or "version"
    if stem.partition(".")[0].upper() in _DEVICES:
        stem = f"_{stem}"
    taken = {path.name.casefold() for path in layout.versions.iterdir()}
    names = (stem if number == 1 else f"{stem} ({number})" for number in count(1))
    return layout.versions / next(one for one in names if one.casefold() not in taken)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):  # a disk or a system without
        write_plain(target, read_plain(source), is_forced=False)
