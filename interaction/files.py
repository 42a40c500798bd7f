"""Write files atomically, follow no links out of a folder, and lock files between processes."""

import contextlib
import errno
import os
import stat
import sys
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, Final

from interaction.errors import DiskFullError, UnwritableFileError

__all__ = [
    "TEMPORARY_SUFFIX",
    "file_lock",
    "is_plain_file",
    "is_plain_folder",
    "open_plain",
    "read_plain",
    "remove_plain",
    "replace_file",
    "write_bytes",
    "write_plain",
    "write_text",
    "writing_problem",
]

TEMPORARY_SUFFIX: Final = ".partial"  # what a crash can leave behind ends in this

# On Windows a virus scanner or an indexer may hold the old file open for a moment.
_REPLACE_ATTEMPTS: Final = 40 if os.name == "nt" else 1
_REPLACE_PAUSE_S: Final = 0.05


def write_bytes(path: Path, data: bytes) -> None:
    """Make `data` the whole contents of `path`; the folder must exist.

    A symbolic link is followed: the file it points to is replaced, not the link.
    Raises DiskFullError or UnwritableFileError; in both cases the old file is untouched.
    """
    target = path.resolve()
    # The name does not grow with the target's, which may already be as long as the disk allows.
    temporary = target.parent / f".{uuid.uuid4().hex}{TEMPORARY_SUFFIX}"
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                # Without this the rename can reach the disk before the bytes do.
                os.fsync(file.fileno())
            replace_file(temporary, target)
        except BaseException:  # also Ctrl-C: nobody else knows the temporary name
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise writing_problem(path, error) from error


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for text: UTF-8, line ends as they are in `text` on every system."""
    write_bytes(path, text.encode("utf-8"))


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


def writing_problem(path: Path, error: OSError) -> DiskFullError | UnwritableFileError:
    """The words for an OSError met while writing `path`; the caller raises what is returned."""
    if error.errno in {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}:
        return DiskFullError(path)
    return UnwritableFileError(path, error.strerror or str(error))


MOST_BYTES: Final = 2**31


def is_plain_file(path: Path) -> bool:
    """Whether `path` itself, not what it may point to, is a file."""
    return stat.S_ISREG(_mode(path))


def is_plain_folder(path: Path) -> bool:
    return stat.S_ISDIR(_mode(path))


def open_plain(path: Path) -> BinaryIO:
    """For reading. OSError if it is no plain file: to open a pipe would be to wait for ever."""
    if not is_plain_file(path):
        raise OSError("it is not a file" if os.path.lexists(path) else "it is missing")
    return path.open("rb")


def read_plain(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The contents of `path`. OSError if it is no plain file or larger than `most_bytes`."""
    if is_plain_file(path) and path.stat().st_size > most_bytes:
        raise OSError("it is too large")
    with open_plain(path) as file:
        return file.read()


def write_plain(path: Path, data: bytes, *, is_forced: bool = True) -> None:
    """Makes `data` the whole contents of `path`, or leaves what was there.

    is_forced: the bytes are on the disk when this returns. Without it a power cut may leave an
    empty file, so that is for what can be made again.
    Raises DiskFullError or UnwritableFileError.
    """
    temporary = path.parent / f".{uuid.uuid4().hex}{TEMPORARY_SUFFIX}"
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                if is_forced:
                    os.fsync(file.fileno())
            replace_file(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise writing_problem(path, error) from error


def remove_plain(path: Path) -> None:
    """Takes the file away if it is there. Raises UnwritableFileError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise writing_problem(path, error) from error


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except (OSError, ValueError):
        return 0


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def file_lock(path: Path) -> Generator[bool, None, None]:
    """Gives True while this process holds the lock `path`, or False: somebody else holds it.

    The file stays behind, empty: removing it would let two processes hold locks of one name.
    Raises UnwritableFileError if it cannot be created.
    """
    try:
        file = path.open("ab")
    except OSError as error:
        raise writing_problem(path, error) from error
    with file:
        try:
            _lock(file)
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            _unlock(file)
