"""project.json and the description of the source it is about."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from interaction import files
from interaction.annotation.types import MemoryRules, ObjectInfo
from interaction.errors import (
    NewerProjectError,
    SourceChangedError,
    SourceMissingError,
    SourceMovedError,
    UnreadableVideoError,
)
from interaction.files import is_file, is_folder, open_regular, read_plain
from interaction.project.records import (
    DamagedValueError,
    frame_number,
    integer,
    mapping,
    memory_from_json,
    objects_from_json,
    objects_to_json,
    ranges_to_json,
    text,
)
from interaction.video.pictures import PICTURE_SUFFIXES
from xmem_core.messages import Message

_HASHED_BYTES: Final = 2**20  # at each end
_MOST_PIXELS: Final = 2**26  # of a frame, as in the videos that can be opened
_MOST_PATH: Final = 32_768  # letters, the most that Windows takes
_MOST_FOLDERS: Final = 100
_MOST_SEARCHED: Final = 2_000  # files of a folder in which a renamed video is looked for


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A video file or a folder of pictures, as it was when the project was made."""

    path: Path  # absolute
    relative: str | None  # from the project folder, with “/”; None on another drive
    size_bytes: int
    modified_ns: int
    digest: str  # SHA-256, of what is named above
    frame_count: int
    width: int  # pixels, upright and square
    height: int

    def beside(self, folder: Path) -> "SourceInfo":
        """The same, with the way from the project `folder` to it."""
        try:
            relative = os.path.relpath(self.path.resolve(), folder.resolve())
        except ValueError:  # Windows: no way from one drive to another
            return replace(self, relative=None)
        return replace(self, relative=Path(relative).as_posix())

    def to_json(self) -> dict[str, object]:
        return {
            "path": str(self.path),
            "relative": self.relative,
            "size": self.size_bytes,
            "modified_ns": self.modified_ns,
            "digest": self.digest,
            "frames": self.frame_count,
            "width": self.width,
            "height": self.height,
        }

    @classmethod
    def from_json(cls, value: object) -> "SourceInfo":
        """Raises DamagedValueError."""
        if not isinstance(value, Mapping):
            raise DamagedValueError(Message("the source is not an object"))
        relative = value.get("relative")
        info = cls(
            Path(_path_text(value.get("path"))),
            None if relative is None else _path_text(relative),
            integer(value.get("size"), Message("the source's size"), 0, 2**62),
            integer(value.get("modified_ns"), Message("the source's date"), -(2**63), 2**63),
            text(value.get("digest"), Message("the source's digest")),
            integer(value.get("frames"), Message("the number of frames"), 1, 2**31),
            integer(value.get("width"), Message("the width"), 1, _MOST_PIXELS),
            integer(value.get("height"), Message("the height"), 1, _MOST_PIXELS),
        )
        if info.width * info.height > _MOST_PIXELS:
            raise DamagedValueError(Message("the frames are impossibly large"))
        return info


def describe_source(path: Path, frame_count: int, width: int, height: int) -> SourceInfo:
    """Reads what recognises `path`. Raises UnreadableVideoError."""
    path = Path(path).absolute()  # not resolve(): a link is how some people name their disks
    try:
        size_bytes, modified_ns, digest = _recognise(path)
    except OSError as error:
        raise UnreadableVideoError(
            path, error.strerror.lower() if error.strerror else str(error)
        ) from error
    return SourceInfo(path, None, size_bytes, modified_ns, digest, frame_count, width, height)


def find_source(info: SourceInfo, folder: Path) -> Path:
    """Where the video of the project in `folder` is.

    That is where it was, or else as far from the project as it was, when the project was moved
    together with it; by contents in both cases. Raises SourceMovedError when the same video was
    found elsewhere, SourceChangedError when there is only another one, SourceMissingError.
    """
    known = [info.path]
    if info.relative is not None:
        known.append((folder.resolve() / info.relative).resolve())
    for path in known:
        if _is_same(info, path):
            return path
    candidates = tuple(path for path in _candidates(info, folder) if _is_same(info, path))
    if candidates:
        raise SourceMovedError(info.path, candidates)
    for path in known:
        if path.exists():
            raise SourceChangedError(path, Message("its contents differ"))
    raise SourceMissingError(info.path)


def check_source(info: SourceInfo, path: Path) -> None:
    """Raises SourceChangedError unless `path` holds the contents of `info`."""
    if not path.exists():
        raise SourceMissingError(path)
    if not _is_same(info, path):
        raise SourceChangedError(path, Message("its contents differ"))


def _is_same(info: SourceInfo, path: Path) -> bool:
    try:
        size_bytes, _, digest = _recognise(path)
    except (OSError, ValueError):
        return False
    return size_bytes == info.size_bytes and digest == info.digest


def _candidates(info: SourceInfo, folder: Path) -> Iterable[Path]:
    """Files of the same name beside the project and in it, then files of the same size near it
    and where the video was; each once."""
    folder = folder.absolute()
    places = [folder.parent, folder, info.path.parent]
    if info.relative is not None:
        places.append((folder.resolve() / info.relative).resolve().parent)
    by_name = [place / info.path.name for place in places]
    by_size = [path for place in dict.fromkeys(places) for path in _of_same_size(info, place)]
    return dict.fromkeys(by_name + by_size)


def _of_same_size(info: SourceInfo, place: Path) -> list[Path]:
    """Files of the right size, and folders, whose size only reading them tells."""
    found: list[Path] = []
    folders = 0
    try:
        with os.scandir(place) as entries:
            for count, entry in enumerate(entries):
                if count == _MOST_SEARCHED:
                    break
                is_folder = entry.is_dir()
                folders += is_folder
                if (is_folder and folders <= _MOST_FOLDERS) or (
                    entry.is_file() and entry.stat().st_size == info.size_bytes
                ):
                    found.append(Path(entry.path))
    except OSError:
        return found
    return sorted(found)


def _recognise(path: Path) -> tuple[int, int, str]:
    """Size in bytes, date of change in ns, digest. Raises OSError."""
    if is_folder(path):
        return _recognise_folder(path)
    if not is_file(path):
        raise OSError(
            Message("it is not a file") if os.path.lexists(path) else Message("it does not exist")
        )
    status = path.stat()
    digest = hashlib.sha256()
    _hash_ends(path, status.st_size, digest)
    return status.st_size, status.st_mtime_ns, digest.hexdigest()


def _recognise_folder(path: Path) -> tuple[int, int, str]:
    pictures = sorted(
        entry
        for entry in path.iterdir()
        if entry.suffix.lower() in PICTURE_SUFFIXES
        and not entry.name.startswith(".")
        and entry.is_file()
    )
    digest = hashlib.sha256()
    sizes = [picture.stat().st_size for picture in pictures]
    for picture, size in zip(pictures, sizes, strict=True):
        digest.update(f"{picture.name}\0{size}\n".encode("utf-8", "surrogateescape"))
    for index in sorted({0, len(pictures) - 1} if pictures else set()):
        _hash_ends(pictures[index], sizes[index], digest)
    return sum(sizes), path.stat().st_mtime_ns, digest.hexdigest()


def _hash_ends(path: Path, size_bytes: int, digest: "hashlib._Hash") -> None:
    with open_regular(path) as file:
        digest.update(file.read(_HASHED_BYTES))
        if size_bytes > _HASHED_BYTES:
            file.seek(max(_HASHED_BYTES, size_bytes - _HASHED_BYTES))
            digest.update(file.read(_HASHED_BYTES))


def _path_text(value: object) -> str:
    # Not `text`: names that are no UTF-8 hold halves of surrogate pairs.
    if not isinstance(value, str) or not 0 < len(value) < _MOST_PATH or "\0" in value:
        raise DamagedValueError(Message("the source's path is not a path"))
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise DamagedValueError(Message("the source's path is not a path")) from None
    return value


FORMAT: Final = 4  # with memory rules: pinned and excluded frames
OVERLAP_FORMAT: Final = 3  # with objects that keep covered pixels
KEYS_FORMAT: Final = 2  # with presence, and keys for labels: what a new project has
FIRST_FORMAT: Final = 1  # without presence, and with texts for labels
_MOST_BYTES: Final = 2**30
_KNOWN: Final = {
    "format",
    "app_version",
    "name",
    "created",
    "journal_bytes",
    "source",
    "engine",
    "memory",
    "memory_rules",
    "keeps_probabilities",
    "objects",
    "frames",
}

# From this format number to the next. Each takes and returns the whole of project.json.
_Step = Callable[[dict[str, object]], dict[str, object]]
MIGRATIONS: Final[Mapping[int, _Step]] = {1: dict, 2: dict, 3: dict}  # each format only has more


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of project.json. Frames are kept as JSON texts: most are written unchanged."""

    name: str
    created: str  # ISO 8601, UTC
    app_version: str  # that wrote it
    source: SourceInfo
    format: int = KEYS_FORMAT  # at least: what is in the journal stays there
    journal_bytes: int = 0  # how much of the journal the frames and objects include
    engine: Mapping[str, object] = field(default_factory=dict)  # what the engines were set to
    memory: Mapping[str, object] = field(default_factory=dict)  # the project's own limits, if any
    memory_rules: MemoryRules = field(default_factory=MemoryRules)
    keeps_probabilities: bool = False  # of the networks, beside the masks
    objects: tuple[ObjectInfo, ...] = ()
    frames: Mapping[int, str] = field(default_factory=dict)  # a record's JSON by frame
    unknown: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def begun(cls, value: Mapping[str, object]) -> "Manifest":
        """What the first line of the journal says, too. Raises DamagedValueError."""
        return cls(
            name=text(value.get("name"), Message("the name")),
            created=text(value.get("created"), Message("the date")),
            app_version=text(value.get("app_version"), Message("the version")),
            source=SourceInfo.from_json(value.get("source")),
        )


def encode_json(value: object) -> str:
    """One line. TypeError or ValueError for what is not plain JSON, NaN included."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # a file name that is no UTF-8
        line = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return line


def manifest_text(manifest: Manifest) -> str:
    """In the first format that can say it: a program that would lose a part does not open it."""
    rules = ranges_to_json(manifest.memory_rules.ranges)
    head: dict[str, object] = {
        "format": max(manifest.format, _least_format(manifest)),
        "app_version": manifest.app_version,
        "name": manifest.name,
        "created": manifest.created,
        "journal_bytes": manifest.journal_bytes,
        "source": manifest.source.to_json(),
        "engine": dict(manifest.engine),
        **({"memory": dict(manifest.memory)} if manifest.memory else {}),
        **({"memory_rules": rules} if rules else {}),
        **({"keeps_probabilities": True} if manifest.keeps_probabilities else {}),
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


def _least_format(manifest: Manifest) -> int:
    if manifest.memory_rules:
        return FORMAT
    if any(one.keeps_covered for one in manifest.objects) or any(
        '"beneath":' in text for text in manifest.frames.values()
    ):
        return OVERLAP_FORMAT
    has_presence = any(one.presence for one in manifest.objects)
    return KEYS_FORMAT if has_presence else FIRST_FORMAT


def read_manifest(path: Path) -> tuple[Manifest, list[str]]:
    """The manifest, and what of it is damaged and left out; records are not looked into.

    Raises NewerProjectError, OSError, and DamagedValueError if nothing of it can be used.
    """
    value = parse_json(read_plain(path, _MOST_BYTES))
    found = dict(mapping(value, "it"))
    data = migrate(found, path.parent)
    begun = Manifest.begun(data)
    damages: list[str] = []
    objects: tuple[ObjectInfo, ...] = ()
    try:
        objects = objects_from_json(data.get("objects"))
    except DamagedValueError as error:
        damages.append(Message("The list of objects: {reason}", reason=error))
    rules = MemoryRules()
    try:
        rules = memory_from_json(data.get("memory_rules", []), begun.source.frame_count)
    except DamagedValueError as error:
        damages.append(Message("Memory rules: {reason}", reason=error))
    frames: dict[int, str] = {}
    records = data.get("frames")
    if not isinstance(records, dict):
        damages.append(Message("The list of frames is missing"))
        records = {}
    for key, record in records.items():
        try:
            frames[frame_number(key, begun.source.frame_count)] = encode_json(record)
        except DamagedValueError as error:
            damages.append(Message("Frame {key}: {reason}", key=key[:20], reason=error))
    engine = data.get("engine", {})
    unknown = {key: one for key, one in data.items() if key not in _KNOWN}
    if not isinstance(engine, dict):
        damages.append(Message("The settings of the engines are unreadable"))
        engine = {}
    memory = data.get("memory")
    manifest = replace(
        begun,
        format=integer(found.get("format"), Message("the format"), 0, FORMAT),
        journal_bytes=integer(data.get("journal_bytes"), "journal_bytes", 0, 2**62),
        engine=engine,
        memory=memory if isinstance(memory, dict) else {},
        memory_rules=rules,
        keeps_probabilities=data.get("keeps_probabilities") is True,
        objects=objects,
        frames=frames,
        unknown=unknown,
    )
    return manifest, damages


def parse_json(data: bytes) -> Any:
    """Raises DamagedValueError."""
    try:
        return files.parse_json(data)
    except ValueError as error:
        raise DamagedValueError(str(error)) from None


def migrate(
    data: dict[str, object], folder: Path, steps: Mapping[int, _Step] = MIGRATIONS, to: int = FORMAT
) -> dict[str, object]:
    """`data` in the format `to`. Raises NewerProjectError, DamagedValueError."""
    number = integer(data.get("format"), Message("the format"), 0, 2**31)
    if number > to:
        version = data.get("app_version")
        raise NewerProjectError(folder, version[:40] if isinstance(version, str) else "")
    while number < to:
        step = steps.get(number)
        if step is None:
            raise DamagedValueError(Message("there never was a format {number}", number=number))
        data = step(data)
        number += 1
        data["format"] = number
    return data
