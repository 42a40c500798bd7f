"""What a project knows of its video, so that the video is found again and never mistaken.

A file is recognised by its size and a hash of its first and last megabyte; a folder of pictures by
the names and sizes of its pictures and the contents of the first and the last. Names and dates say
nothing: a file that only has the right name is not the one.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from interaction.errors import (
    SourceChangedError,
    SourceMissingError,
    SourceMovedError,
    UnreadableVideoError,
)
from interaction.project.picture_folder import PICTURE_SUFFIXES
from interaction.project.record_json import DamagedValueError, integer, text

__all__ = ["SourceInfo", "check_source", "describe_source", "find_source"]

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

    def to_json(self) -> dict[str, Any]:
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
    def from_json(cls, value: Any) -> "SourceInfo":
        """Raises DamagedValueError."""
        if not isinstance(value, Mapping):
            raise DamagedValueError("the source is not an object")
        relative = value.get("relative")
        info = cls(
            Path(_path_text(value.get("path"))),
            None if relative is None else _path_text(relative),
            integer(value.get("size"), "the source's size", 0, 2**62),
            integer(value.get("modified_ns"), "the source's date", -(2**63), 2**63),
            text(value.get("digest"), "the source's digest"),
            integer(value.get("frames"), "the number of frames", 1, 2**31),
            integer(value.get("width"), "the width", 1, _MOST_PIXELS),
            integer(value.get("height"), "the height", 1, _MOST_PIXELS),
        )
        if info.width * info.height > _MOST_PIXELS:
            raise DamagedValueError("the frames are impossibly large")
        return info


def describe_source(path: Path, frame_count: int, width: int, height: int) -> SourceInfo:
    """Reads what recognises `path`. Raises UnreadableVideoError."""
    path = Path(path).absolute()  # not resolve(): a link is how some people name their disks
    try:
        size_bytes, modified_ns, digest = _recognise(path)
    except OSError as error:
        raise UnreadableVideoError(path, (error.strerror or str(error)).lower()) from error
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
            raise SourceChangedError(path, "its contents are others")
    raise SourceMissingError(info.path)


def check_source(info: SourceInfo, path: Path) -> None:
    """Raises SourceChangedError unless `path` holds the contents of `info`."""
    if not path.exists():
        raise SourceMissingError(path)
    if not _is_same(info, path):
        raise SourceChangedError(path, "its contents are others")


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
    if path.is_dir():
        return _recognise_folder(path)
    if not path.is_file():
        raise OSError("it does not exist" if not path.exists() else "it is not a file")
    status = path.stat()
    digest = hashlib.sha256()
    _hash_ends(path, status.st_size, digest)
    return status.st_size, status.st_mtime_ns, digest.hexdigest()


def _recognise_folder(path: Path) -> tuple[int, int, str]:
    pictures = sorted(
        entry
        for entry in path.iterdir()
        if entry.suffix.lower() in PICTURE_SUFFIXES and not entry.name.startswith(".")
    )
    digest = hashlib.sha256()
    sizes = [picture.stat().st_size for picture in pictures]
    for picture, size in zip(pictures, sizes, strict=True):
        digest.update(f"{picture.name}\0{size}\n".encode("utf-8", "surrogateescape"))
    for index in sorted({0, len(pictures) - 1} if pictures else set()):
        _hash_ends(pictures[index], sizes[index], digest)
    return sum(sizes), path.stat().st_mtime_ns, digest.hexdigest()


def _hash_ends(path: Path, size_bytes: int, digest: "hashlib._Hash") -> None:
    with path.open("rb") as file:
        digest.update(file.read(_HASHED_BYTES))
        if size_bytes > _HASHED_BYTES:
            file.seek(max(_HASHED_BYTES, size_bytes - _HASHED_BYTES))
            digest.update(file.read(_HASHED_BYTES))


def _path_text(value: Any) -> str:
    # Not `text`: names that are no UTF-8 hold halves of surrogate pairs.
    if not isinstance(value, str) or not 0 < len(value) < _MOST_PATH or "\0" in value:
        raise DamagedValueError("the source's path is not a path")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise DamagedValueError("the source's path is not a path") from None
    return value
