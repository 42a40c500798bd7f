"""One process at a time, by a lock that the operating system gives back when its holder dies."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from interaction.project.atomic_files import writing_problem

__all__ = ["file_lock"]

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
