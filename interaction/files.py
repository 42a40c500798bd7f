"""Write files whole, open what others wrote, and lock between processes: all of it is here.

Two kinds of writes exist. `write_bytes` is for places that the annotator chose: a link at the end
of the path is followed. `write_plain` and `append_plain` are for files below a project or a
workspace: neither the file nor the folder it lies in may be a link. Both write beside the file and
rename, so that a crash leaves the old contents or the new ones, and both clean up after a failure.
What a killed process leaves is removed by `remove_leftovers`.
"""

import errno
import json
import math
import os
import re
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, Self

from interaction.errors import DiskFullError, UnwritableFileError
from xmem_core.messages import Message

_TEMPORARY_SUFFIX: Final = ".partial"
_LEFTOVER: Final = re.compile(r"\.[0-9a-f]{32}" + re.escape(_TEMPORARY_SUFFIX))
_ABANDONED_S: Final = 24 * 3600  # where the system cannot tell whether a folder is still written

# On Windows a virus scanner or an indexer may hold the old file open for a moment.
_REPLACE_ATTEMPTS: Final = 40 if os.name == "nt" else 1
_REPLACE_PAUSE_S: Final = 0.05

_HAS_FOLDER_NUMBERS: Final = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)

MOST_BYTES: Final = 2**31
_MOST_JSON_MEMORY_BYTES: Final = 2**30


class ForeignChangeError(UnwritableFileError):
    """A file that only this program writes has another length than it was left with."""


class _Folder:
    """A folder that is held open: what happens in it cannot be led elsewhere by a link."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if `path` is missing, a link, or no folder."""
        self.path = path
        if not is_plain_folder(path):
            is_there = os.path.lexists(path)
            raise NotADirectoryError(
                errno.ENOTDIR,
                Message("“{name}” is a link or a file, not a folder", name=path.name)
                if is_there
                else Message("the folder “{name}” is missing", name=path.name),
            )
        self.number: int | None = None
        if _HAS_FOLDER_NUMBERS:
            self.number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.number is not None:
            os.close(self.number)

    def open(self, name: str, flags: int) -> int:
        if self.number is None:
            path = self.path / name
            if os.path.lexists(path) and not is_plain_file(path):
                raise OSError(errno.ELOOP, Message("it is a link or a folder, not a file"))
            return os.open(path, flags | _BINARY, 0o666)
        return os.open(name, flags | _NO_FOLLOW, 0o666, dir_fd=self.number)

    def rename(self, source: str, target: str) -> None:
        if self.number is None:
            replace_file(self.path / source, self.path / target)
        else:
            os.replace(source, target, src_dir_fd=self.number, dst_dir_fd=self.number)

    def unlink(self, name: str) -> None:
        if self.number is None:
            (self.path / name).unlink()
        else:
            os.unlink(name, dir_fd=self.number)

    def sync(self) -> None:
        """Forces names in the folder to the disk; Windows has no such call."""
        if self.number is not None:
            with suppress(OSError):  # some network disks refuse it, and write names at once
                _force(self.number)


def write_bytes(path: Path, data: bytes, *, is_forced: bool = True) -> None:
    """Make `data` the whole contents of `path`; the folder must exist.

    A symbolic link is followed: the file it points to is replaced, not the link. A pipe or a device
    is not replaced. is_forced: as in `write_plain`.
    Raises DiskFullError or UnwritableFileError; in both cases the old file is untouched.
    """
    try:
        target = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
        raise UnwritableFileError(path, str(error)) from error
    if _mode(target) and not is_plain_file(target):
        raise UnwritableFileError(path, Message("it is a folder, a pipe or a device, not a file"))
    _write_beside(path, target, data, is_forced=is_forced)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for text: UTF-8, line ends as they are in `text` on every system."""
    write_bytes(path, text.encode("utf-8"))


def write_plain(path: Path, data: bytes, *, is_forced: bool = True) -> None:
    """Make `data` the whole contents of `path`, or leave what was there; follow no link.

    is_forced: the bytes and the name are on the disk when this returns. Without it a power cut may
    leave an empty file, so that is for what can be made again.
    Raises DiskFullError or UnwritableFileError.
    """
    _write_beside(path, path, data, is_forced=is_forced)


def _write_beside(path: Path, target: Path, data: bytes, *, is_forced: bool) -> None:
    # The name does not grow with the target's, which may already be as long as the disk allows.
    temporary = f".{uuid.uuid4().hex}{_TEMPORARY_SUFFIX}"
    try:
        with _Folder(target.parent) as folder:
            try:
                number = folder.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                try:
                    _try_lock(number)  # `remove_leftovers` of another process passes it over
                    _write_all(number, data)
                    if is_forced:
                        # Without this the rename can reach the disk before the bytes do.
                        _force(number)
                finally:
                    os.close(number)
                folder.rename(temporary, target.name)
            except BaseException:  # also Ctrl-C: nothing else knows the temporary name
                with suppress(OSError):
                    folder.unlink(temporary)
                raise
            if is_forced:
                folder.sync()
    except OSError as error:
        raise writing_problem(path, error) from error


def append_plain(path: Path, data: bytes, end: int, *, may_have_rest: bool) -> None:
    """Make `data` what follows the first `end` bytes of `path`, and force it to the disk.

    The file is made where it is missing; no link is followed. may_have_rest: bytes behind `end`
    are the rest of an interrupted write and are cut off; without it another program wrote them.
    Raises ForeignChangeError, and nothing was done, or DiskFullError or UnwritableFileError, and at
    most a rest behind `end` was written.
    """
    try:
        with _Folder(path.parent) as folder:
            number = folder.open(path.name, os.O_RDWR | os.O_CREAT)
            try:
                status = os.fstat(number)
                is_ours = status.st_size == end or (status.st_size > end and may_have_rest)
                if not stat.S_ISREG(status.st_mode) or not is_ours:
                    raise ForeignChangeError(path, Message("another program has changed it"))
                try:
                    os.lseek(number, end, os.SEEK_SET)
                    _write_all(number, data)
                    os.ftruncate(number, end + len(data))
                    _force(number)
                except BaseException:
                    with suppress(OSError):
                        os.ftruncate(number, end)
                    raise
            finally:
                os.close(number)
            if end == 0:
                folder.sync()
    except OSError as error:
        raise writing_problem(path, error) from error


def plain_folder(root: Path, *names: str) -> Path:
    """The folder `root`/`names`, made where it is missing, to write into with `write_plain`.

    A link that leads to `root` is followed: it was chosen. Below it none is.
    Raises DiskFullError or UnwritableFileError.
    """
    place = root
    try:
        place = root.resolve()
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name in {"", ".", ".."} or Path(name).name != name:
                raise OSError(
                    errno.EINVAL, Message("“{name}” is not the name of a folder", name=name)
                )
            place = place / name
            place.mkdir(exist_ok=True)
            if not is_plain_folder(place):
                raise NotADirectoryError(errno.ENOTDIR, Message("it is a link, not a folder"))
    except OSError as error:
        raise writing_problem(place, error) from error
    except (RuntimeError, ValueError) as error:  # links in a circle, a name with a null character
        raise UnwritableFileError(place, str(error)) from error
    return place


def remove_plain(path: Path) -> None:
    """Remove the file if it is there; follow no link. Raises UnwritableFileError."""
    try:
        with _Folder(path.parent) as folder, suppress(FileNotFoundError):
            folder.unlink(path.name)
    except OSError as error:
        raise writing_problem(path, error) from error


def replace_file(source: Path, target: Path) -> None:
    """Give `source` the name `target` in one step, replacing what was there.

    Both are in the same folder. Raises OSError.
    """
    for attempt in range(1, _REPLACE_ATTEMPTS + 1):
        try:
            source.replace(target)
        except PermissionError:
            if attempt == _REPLACE_ATTEMPTS:
                raise
            time.sleep(_REPLACE_PAUSE_S)
        else:
            return


def sync_folder(path: Path) -> None:
    """Force the names in the folder to the disk, as far as the system can. Raises OSError."""
    with _Folder(path) as folder:
        folder.sync()


@contextmanager
def hidden_folder(beside: Path) -> Generator[Path, None, None]:
    """An empty hidden folder in the folder of `beside`, to build what will be called `beside`.

    The caller renames it or what is in it; what is left at the end is removed. Raises OSError.
    """
    path = beside.parent / f".{uuid.uuid4().hex}{_TEMPORARY_SUFFIX}"
    with _Folder(beside.parent) as parent:
        if parent.number is None:
            path.mkdir()
        else:
            os.mkdir(path.name, dir_fd=parent.number)
    try:
        with _Folder(path) as folder:
            if folder.number is not None:
                _try_lock(folder.number)
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in `folder` of files and folders they were writing.

    What a living process writes is locked and stays. Never raises.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not _LEFTOVER.fullmatch(entry.name) or not _is_abandoned(Path(entry.path)):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    Path(entry.path).unlink()


def _is_abandoned(path: Path) -> bool:
    try:
        if not _HAS_FOLDER_NUMBERS:  # an open file cannot be removed there, and tells by itself
            return is_plain_file(path) or time.time() - path.lstat().st_mtime > _ABANDONED_S
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _NO_FOLLOW)
    except OSError:
        return False
    try:
        return _try_lock(number) is True
    finally:
        os.close(number)


def writing_problem(path: Path, error: OSError) -> DiskFullError | UnwritableFileError:
    """The words for an OSError met while writing `path`; the caller raises what is returned."""
    if error.errno in {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}:
        return DiskFullError(path)
    return UnwritableFileError(path, error.strerror or str(error))


def is_file(path: Path) -> bool:
    """Whether `path` leads to a regular file.

    False, where `Path.is_file` raises, for a name that is too long and in a folder that may not be
    entered: nothing can be read there.
    """
    return stat.S_ISREG(_mode(path, is_followed=True))


def is_folder(path: Path) -> bool:
    """Whether `path` leads to a folder; False where `Path.is_dir` raises."""
    return stat.S_ISDIR(_mode(path, is_followed=True))


def is_plain_file(path: Path) -> bool:
    """Whether `path` itself, not what it may point to, is a file."""
    return stat.S_ISREG(_mode(path))


def is_plain_folder(path: Path) -> bool:
    """Whether `path` itself, not what it may point to, is a folder."""
    return stat.S_ISDIR(_mode(path))


def open_plain(path: Path) -> BufferedReader:
    """For reading. OSError if it is no plain file: a link, a pipe, a device, a folder."""
    if not is_plain_file(path):
        raise OSError(
            Message("it is not a file") if os.path.lexists(path) else Message("it is missing")
        )
    return _open_regular(path, _NO_FOLLOW)


def read_plain(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The contents of `path`. OSError if it is no plain file or larger than `most_bytes`."""
    with open_plain(path) as file:
        return _read_all(file, most_bytes)


def open_regular(path: Path) -> BufferedReader:
    """For reading what the annotator chose; links are followed.

    OSError for anything but a regular file: opening a pipe waits for ever, and a device has no end.
    """
    return _open_regular(path, 0)


def read_regular(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """`open_regular`, read whole. OSError if it is larger than `most_bytes`."""
    with open_regular(path) as file:
        return _read_all(file, most_bytes)


def _open_regular(path: Path, flags: int) -> BufferedReader:
    try:
        # Not to wait at a pipe that was put there since; on a regular file it has no effect.
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY | flags)
    except ValueError as error:  # a name with a null character
        raise OSError(str(error)) from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(Message("it is not a file"))
    return os.fdopen(number, "rb")


def _read_all(file: BufferedReader, most_bytes: int) -> bytes:
    # The size that the system states is not believed: a file may grow, and some state 0.
    if os.fstat(file.fileno()).st_size > most_bytes:
        raise OSError(Message("it is too large"))
    data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(Message("it is too large"))
    return data


# Parsed JSON or TOML; its values are not checked yet.
JsonObject = dict[str, Any]

_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")


def parse_json(data: bytes, most_memory_bytes: int = _MOST_JSON_MEMORY_BYTES) -> Any:
    """The value in UTF-8 JSON text from outside. Raises ValueError, never anything else.

    Refused besides what is no JSON: nesting that is too deep, numbers that are not finite, whole
    numbers beyond 64 bits, and text whose values would take more than `most_memory_bytes`: a list
    of empty lists takes forty times its length.
    """
    text_bytes = len(data) if data.isascii() else 4 * len(data)
    values = 64 * (data.count(b",") + data.count(b":"))
    values += 96 * data.count(b"[") + 256 * data.count(b"{")
    if text_bytes + values > most_memory_bytes:
        raise ValueError("it holds more values than fit into memory")
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_short if _LONG_NUMBER.search(data) else None,
        )
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError("it is not readable as JSON") from error


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is no JSON number")
    return value


def _short(number: str) -> int:
    if len(number) > 20 or abs(int(number)) >= 2**64:
        raise ValueError("a whole number is impossibly large")
    return int(number)


def _mode(path: Path, *, is_followed: bool = False) -> int:
    try:
        return path.stat(follow_symlinks=is_followed).st_mode
    except (OSError, ValueError):
        return 0


def _write_all(number: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(number, rest) :]


# What the system answers when it has no locks for this disk; any other error means it is held.
_NO_LOCKS: Final = {
    getattr(errno, name)
    for name in ("ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EINVAL")
    if hasattr(errno, name)
}

if sys.platform == "win32":
    import msvcrt

    _force = os.fsync

    def _lock(number: int) -> None:
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _force(number: int) -> None:
        """Returns when the bytes are on the disk itself."""
        if sys.platform == "darwin":
            try:  # its fsync stops at the disk's own memory
                fcntl.fcntl(number, fcntl.F_FULLFSYNC)
            except OSError:
                os.fsync(number)
        else:
            os.fsync(number)

    def _lock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _try_lock(number: int) -> bool | None:
    """True if it is locked now; False if another holds it; None if this disk knows no locks."""
    try:
        _lock(number)
    except OSError as error:
        return None if error.errno in _NO_LOCKS else False
    return True


class FileLock:
    """The system's lock on the file `path`, which is given back when its holder dies.

    The file stays behind, empty: removing it would let two processes hold locks of one name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_held: bool | None = False  # None: this disk knows no locks
        self._number: int | None = None

    def acquire(self) -> bool | None:
        """Whether it is held now. Never waits. Raises UnwritableFileError, DiskFullError."""
        try:
            with _Folder(self.path.parent) as folder:
                self._number = folder.open(self.path.name, os.O_RDWR | os.O_CREAT)
            if not stat.S_ISREG(os.fstat(self._number).st_mode):
                raise OSError(errno.EINVAL, Message("it is not a file"))
        except OSError as error:
            self.release()
            raise writing_problem(self.path, error) from error
        self.is_held = _try_lock(self._number)
        if self.is_held is False:
            self.release()
        return self.is_held

    def is_in_place(self) -> bool:
        """Whether `path` still is the file that was locked, and not another that was put there."""
        if self._number is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._number), self.path.lstat())
        except OSError:
            return False

    def release(self) -> None:
        """May be called twice."""
        self.is_held = False
        if self._number is not None:
            os.close(self._number)  # the lock goes with it
            self._number = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
