"""A power cut, a full disk and a failing one, below everything that the program writes.

`watched` stands between the program and the functions of `os` that change a disk. It notes each
call below a folder, so that `PowerCuts` can build what a disk may hold after the power failed at
any of them, or lets chosen calls fail.
"""

import errno
import itertools
import os
import random
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

__all__ = ["Call", "FullDisk", "PowerCuts", "failing", "watched"]

_CHANGING: Final = ("write", "ftruncate", "fsync", "replace", "rename", "unlink", "mkdir", "link")
StrPath = str | os.PathLike[str]

_FOLDER: Final = -1  # in the place of a file's number


@dataclass(frozen=True, slots=True)
class Call:
    """One call that changed the disk. file: a number for each file that was ever made."""

    name: str
    path: str = ""
    target: str = ""
    file: int = 0
    offset: int = 0
    data: bytes = b""


@dataclass(slots=True)
class Watch:
    """What was called so far. `mark` puts a remark among the calls."""

    calls: list[Call] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)  # the files there are, by path
    failures: int = 0  # calls that were made to fail
    lock: threading.RLock = field(default_factory=threading.RLock)

    def mark(self, text: str) -> None:
        with self.lock:
            self.calls.append(Call("mark", text))


@contextmanager
def watched(
    folder: Path, before: Callable[[str, int], None] = lambda name, number: None
) -> Generator[Watch, None, None]:
    """Notes every call below `folder`.

    before: called with the name of each call that is about to change the disk and its number,
    counted from 0; what it raises is what the program sees of the disk.
    """
    disk = _WatchedDisk(folder, before)
    with patch.multiple(os, **disk.calls()):
        yield disk.watch


class _WatchedDisk:
    """The calls of `os` that change a disk, which note themselves and do their work."""

    def __init__(self, folder: Path, before: Callable[[str, int], None]) -> None:
        self.watch = Watch()
        self._root, self._before = str(folder), before
        self._opened: dict[int, tuple[str, int]] = {}  # path and file number, by descriptor
        self._files = itertools.count(1)
        self._count = 0
        self._real: dict[str, Callable[..., Any]] = {
            name: getattr(os, name) for name in (*_CHANGING, "open", "close")
        }

    def calls(self) -> dict[str, Any]:
        """By their names in `os`."""
        names = ("open", "close", "write", "ftruncate", "fsync", "unlink", "mkdir", "link")
        renaming = {name: partial(self.rename, name) for name in ("replace", "rename")}
        return {name: getattr(self, name) for name in names} | renaming

    def _full(self, path: StrPath, number: int | None = None) -> str:
        path = os.fspath(path)
        if number is not None and number in self._opened:
            return os.path.join(self._opened[number][0], path)  # noqa: PTH118
        return os.path.abspath(path)  # noqa: PTH100

    def _is_ours(self, path: str) -> bool:
        return path == self._root or _below(path, self._root)

    def _about_to(self, name: str) -> None:
        number, self._count = self._count, self._count + 1
        try:
            self._before(name, number)
        except BaseException:
            self.watch.failures += 1
            raise

    def open(
        self, path: StrPath, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        with self.watch.lock:
            name = self._full(path, dir_fd)
            is_new = (
                bool(flags & os.O_CREAT) and self._is_ours(name) and name not in self.watch.names
            )
            if is_new and not os.path.lexists(name):
                self._about_to("create")
            number: int = self._real["open"](path, flags, mode, dir_fd=dir_fd)
            if self._is_ours(name):
                if is_new:
                    self.watch.names[name] = next(self._files)
                    self.watch.calls.append(Call("create", name, file=self.watch.names[name]))
                self._opened[number] = name, self.watch.names.get(name, _FOLDER)
            return number

    def close(self, number: int) -> None:
        with self.watch.lock:
            self._opened.pop(number, None)
            self._real["close"](number)

    def write(self, number: int, data: bytes | memoryview) -> int:
        with self.watch.lock:
            if number not in self._opened:
                return int(self._real["write"](number, data))
            self._about_to("write")
            offset = os.lseek(number, 0, os.SEEK_CUR)
            done = int(self._real["write"](number, data))
            _, file = self._opened[number]
            self.watch.calls.append(Call("write", "", "", file, offset, bytes(data[:done])))
            return done

    def ftruncate(self, number: int, length: int) -> None:
        with self.watch.lock:
            if number in self._opened:
                self._about_to("ftruncate")
                _, file = self._opened[number]
                self.watch.calls.append(Call("truncate", file=file, offset=length))
            self._real["ftruncate"](number, length)

    def fsync(self, number: int) -> None:
        with self.watch.lock:
            if number in self._opened:
                self._about_to("fsync")
            self._real["fsync"](number)
            if number in self._opened:
                path, file = self._opened[number]
                self.watch.calls.append(Call("sync", path, file=file))

    def unlink(self, path: StrPath, *, dir_fd: int | None = None) -> None:
        with self.watch.lock:
            name = self._full(path, dir_fd)
            if self._is_ours(name):
                self._about_to("unlink")
            self._real["unlink"](path, dir_fd=dir_fd)
            if self._is_ours(name):
                self.watch.names.pop(name, None)
                self.watch.calls.append(Call("unlink", name))

    def mkdir(self, path: StrPath, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        with self.watch.lock:
            name = self._full(path, dir_fd)
            if self._is_ours(name) and not os.path.lexists(name):
                self._about_to("mkdir")
            self._real["mkdir"](path, mode, dir_fd=dir_fd)
            if self._is_ours(name):
                self.watch.calls.append(Call("mkdir", name))

    def link(self, source: StrPath, target: StrPath, **options: object) -> None:
        with self.watch.lock:
            new = self._full(target)
            if self._is_ours(new):
                self._about_to("link")
            self._real["link"](source, target, **options)
            if self._is_ours(new):
                self.watch.names[new] = self.watch.names[self._full(source)]
                self.watch.calls.append(Call("create", new, file=self.watch.names[new]))

    def rename(
        self,
        name: str,
        source: StrPath,
        target: StrPath,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
    ) -> None:
        watch = self.watch
        with watch.lock:
            old, new = self._full(source, src_dir_fd), self._full(target, dst_dir_fd)
            if self._is_ours(old):
                self._about_to(name)
            self._real[name](source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            if self._is_ours(old):
                for path in [one for one in watch.names if one == old or _below(one, old)]:
                    watch.names[new + path[len(old) :]] = watch.names.pop(path)
                watch.calls.append(Call("rename", old, new))


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder + os.sep)


def failing(
    chosen: Callable[[int], bool], error: Callable[[], BaseException]
) -> Callable[[str, int], None]:
    """For `watched`: the calls whose number is chosen raise `error()`."""

    def before(name: str, number: int) -> None:
        if chosen(number):
            raise error()

    return before


@dataclass
class FullDisk:
    """For `watched`: the disk is full from call `count` on. Set `is_full` to False to free it."""

    count: int
    is_full: bool = True

    def __call__(self, name: str, number: int) -> None:
        grows = name in {"create", "write", "mkdir", "link", "fsync"}
        if self.is_full and number >= self.count and grows:
            raise OSError(errno.ENOSPC, "No space left on device")


class PowerCuts:
    """What a disk may hold after the power failed, for every number of calls before that.

    The rules are those of POSIX and no kinder: contents are safe once the file was synced, names
    once their folder was. Of everything since, any part may have reached the disk in any order,
    and of a write any first part. What is renamed in one call changes in one step.
    """

    def __init__(self, root: Path, calls: list[Call], chance: random.Random) -> None:
        self._root, self._calls, self._chance = str(root), calls, chance

    def states(self, folder: Path, first: int = 0, step: int = 1) -> Iterator[tuple[int, Path]]:
        """Builds one state after another, each in a folder of its own below `folder`, and gives
        how many calls came before it."""
        for count in range(first, len(self._calls) + 1, step):
            place = folder / f"cut-{count}"
            self._build(self._calls[:count], place)
            yield count, place

    def _build(self, calls: list[Call], place: Path) -> None:
        synced_names = self._last_syncs(calls, is_folder=True)
        synced_files = self._last_syncs(calls, is_folder=False)
        names: dict[str, int] = {}
        folders = {self._root}
        contents: dict[int, bytearray] = {}
        for number, call in enumerate(calls):
            is_kept = self._chance.random() < 0.5
            if call.name in {"write", "truncate"}:
                content = contents.setdefault(call.file, bytearray())
                is_safe = number < synced_files.get(call.file, -1)
                if call.name == "truncate" and (is_safe or is_kept):
                    _resize(content, call.offset)
                elif call.name == "write" and (is_safe or is_kept):
                    data = call.data
                    if not is_safe and self._chance.random() < 0.5:
                        data = data[: self._chance.randrange(len(data) + 1)]
                    _resize(content, max(len(content), call.offset + len(data)))
                    content[call.offset : call.offset + len(data)] = data
            elif call.name in {"create", "rename", "unlink", "mkdir"}:
                parent = os.path.dirname(call.path)  # noqa: PTH120
                if number < synced_names.get(parent, -1) or is_kept:
                    _rename(call, names, folders)
        place.mkdir()
        for one in sorted(folders):
            if all(parent in folders for parent in _parents(one, self._root)):
                (place / os.path.relpath(one, self._root)).mkdir(exist_ok=True)
        for path, file in names.items():
            at = place / os.path.relpath(path, self._root)
            if at.parent.is_dir():
                at.write_bytes(contents.get(file, b""))

    @staticmethod
    def _last_syncs(calls: list[Call], *, is_folder: bool) -> dict[str | int, int]:
        return {
            call.path if is_folder else call.file: number
            for number, call in enumerate(calls)
            if call.name == "sync" and (call.file == _FOLDER) == is_folder
        }


def _rename(call: Call, names: dict[str, int], folders: set[str]) -> None:
    if call.name == "create":
        names[call.path] = call.file
    elif call.name == "mkdir":
        folders.add(call.path)
    elif call.name == "unlink":
        names.pop(call.path, None)
    else:
        for path in [one for one in names if one == call.path or _below(one, call.path)]:
            names[call.target + path[len(call.path) :]] = names.pop(path)
        for path in [one for one in folders if one == call.path or _below(one, call.path)]:
            folders.discard(path)
            folders.add(call.target + path[len(call.path) :])


def _resize(content: bytearray, length: int) -> None:
    if len(content) > length:
        del content[length:]
    else:
        content.extend(bytes(length - len(content)))


def _parents(path: str, root: str) -> Iterator[str]:
    while path != root:
        path = os.path.dirname(path)  # noqa: PTH120
        yield path
