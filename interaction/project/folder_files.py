"""Files inside a project folder, which may have been made by somebody who means harm.

Only plain files are read, never links, devices or pipes, and never more than the reader expects.
What is written takes the place of the name in the folder, never of what a link there points to.
"""

import os
import stat
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from interaction.project.atomic_files import TEMPORARY_SUFFIX, replace_file, writing_problem

__all__ = [
    "is_plain_file",
    "is_plain_folder",
    "open_plain",
    "read_plain",
    "remove_plain",
    "write_plain",
]

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
