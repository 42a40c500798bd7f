"""Write a file so that a crash, a full disk or a pulled plug leaves the old one or the new one.

The new contents go to a temporary file in the same folder, are forced to the disk and take the
old file's name in one step. Nothing here knows what the bytes mean.
"""

import contextlib
import errno
import os
import time
import uuid
from pathlib import Path
from typing import Final

from interaction.errors import DiskFullError, UnwritableFileError

__all__ = ["TEMPORARY_SUFFIX", "replace_file", "write_bytes", "write_text", "writing_problem"]

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
