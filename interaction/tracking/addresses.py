"""Files of jobs at addresses (`s3://…`, `sftp://…`): fetched before a job, put back after it.

fsspec speaks to what is there; each kind of address has a driver of its own.
https://filesystem-spec.readthedocs.io
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final

from interaction.errors import UserError
from interaction.files import JsonObject

_LAST: Final = "report.json"  # says that a result is whole


def is_address(place: str) -> bool:
    """Whether `place` is no path of this machine."""
    return "://" in place


def name_of(address: str) -> str:
    """The last part of it. UserError if that is no name of a file."""
    name = PurePosixPath(address.partition("://")[2]).name
    if not name or name == "..":
        raise UserError("“{address}” names no file and no folder.", address=address)
    return name


def exists(address: str) -> bool:
    """UserError if the server does not answer, or its driver is missing."""
    with _problems(address):
        files, place = _opened(address)
        return bool(files.exists(place))


def read_small(address: str, most_bytes: int) -> bytes:
    """The first `most_bytes` of a file. UserError, as `exists` raises."""
    with _problems(address):
        files, place = _opened(address)
        return bytes(files.read_block(place, 0, most_bytes))


@contextmanager
def local_files(values: JsonObject, inputs: Collection[str], output: str) -> Iterator[JsonObject]:
    """`values` with paths of copies on this machine in place of the addresses at these keys.

    What lies at `output` is fetched, too, so that a job goes on where it was stopped. What was
    written there is put back at the end, also of a job that failed, the report last. UserError for
    what cannot be fetched or put.
    """
    remote = [key for key in (*inputs, output) if is_address(str(values.get(key, "")))]
    if not remote:
        yield values
        return
    with TemporaryDirectory(prefix="xmem-annotate-", ignore_cleanup_errors=True) as folder:
        copies = {key: Path(folder, key, name_of(values[key])) for key in remote}
        for key, copy in copies.items():
            if key != output or exists(values[key]):
                _fetch(values[key], copy)
        target = copies.get(output)
        before = {} if target is None else _stamps(target)
        try:
            yield {**values, **{key: str(copy) for key, copy in copies.items()}}
        finally:
            if target is not None:
                _put(target, before, values[output])


def _fetch(address: str, target: Path) -> None:
    """A file, or a folder with all in it."""
    with _problems(address):
        files, place = _opened(address)
        if not files.isdir(place):
            target.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(place, str(target))
            return
        target.mkdir(parents=True)
        root = PurePosixPath(place)
        for found in files.find(place):
            inside = PurePosixPath(found).relative_to(root)
            if ".." in inside.parts:  # what a server says is not believed
                raise ValueError(f"it holds a file named {inside}")
            copy = target.joinpath(*inside.parts)
            copy.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(found, str(copy))


def _put(folder: Path, before: dict[str, tuple[int, int]], address: str) -> None:
    """What is new or changed since `before`; what is gone is removed there, too."""
    after = _stamps(folder)
    with _problems(address):
        files, place = _opened(address)
        changed = [name for name in after if after[name] != before.get(name)]
        for name in sorted(changed, key=lambda one: (one == _LAST, one)):
            target = f"{place.rstrip('/')}/{name}"
            files.makedirs(target.rpartition("/")[0], exist_ok=True)
            files.put_file(str(folder / name), target)
        for name in before.keys() - after.keys():
            files.rm_file(f"{place.rstrip('/')}/{name}")


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of each file in `folder`, by its name below it."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            found[path.relative_to(folder).as_posix()] = status.st_size, status.st_mtime_ns
    return found


def _opened(address: str) -> tuple[Any, str]:
    """The file system of fsspec, which has no types, and the place in it."""
    from fsspec.core import url_to_fs

    files, place = url_to_fs(address)
    return files, str(place)


@contextmanager
def _problems(address: str) -> Iterator[None]:
    """Errors in words: no driver (ImportError, ValueError), nothing there, no answer (OSError)."""
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        raise UserError(
            "“{address}” cannot be read or written: {reason}.",
            address=address,
            reason=str(error) or type(error).__name__,
        ) from None
