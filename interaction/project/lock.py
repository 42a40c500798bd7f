"""Who has a project open. Two programs that write to one folder would lose each other's work.

The lock is the operating system's, on the hidden file `.lock`: its holder is alive, and it is
given back when its holder dies, however that happens. `project.lock` names the holder for people,
and by a random token for the program itself; no clock and no name of a computer identifies the
holder. The note decides alone only where the system's lock cannot: on a disk that knows no locks,
and against another computer, since network disks may not carry locks from one to another. There it
counts for as long as it is renewed.
"""

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

import psutil

from interaction.errors import ProjectInUseError, UserError
from interaction.files import FileLock, parse_json, read_plain, remove_plain, write_plain
from interaction.project.layout import ProjectLayout
from xmem_core.messages import Message

RENEW_S: Final = 20.0
_STALE_S: Final = 120.0
_MACHINE_ID: Final = Path("/etc/machine-id")  # of Linux; it stays when the host is renamed

# Tokens of the locks that this process holds, with device and number of the folder: a copy of an
# open project holds a copy of the note.
_held: dict[str, tuple[int, int]] = {}


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has, or had, a project open."""

    token: str  # random, one for each opening
    machine: str
    host: str
    pid: int
    since: str  # local date and time, for people

    @classmethod
    def this_process(cls) -> "Holder":
        since = datetime.now().astimezone().strftime("%H:%M on %Y-%m-%d")
        return cls(uuid.uuid4().hex, _machine(), socket.gethostname(), os.getpid(), since)

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this computer."""
        return self.machine == _machine()

    def words(self) -> str:
        if self.token in _held:
            return Message("in this program already")
        where = "" if self.is_here else Message(" on the computer “{host}”", host=self.host)
        return Message(
            "in another program{where} (process {pid}, since {since})",
            where=where,
            pid=self.pid,
            since=self.since,
        )


class ProjectLock:
    """Held from `acquire` to `release`."""

    def __init__(self, layout: ProjectLayout) -> None:
        self._folder = layout.folder
        self._note = layout.lock
        self._lock = FileLock(layout.os_lock)
        self._me: Holder | None = None  # while it is held
        self._renewing = threading.Lock()
        self._renewed_s = 0.0
        self._lost_to: str | None = None

    def acquire(self) -> None:
        """Raises ProjectInUseError, and UnwritableFileError where nothing can be written."""
        self._lock.acquire()
        try:
            holder = read_holder(self._note)
            if not self._is_free(holder):
                raise ProjectInUseError(self._folder, _words(holder))
            self._me, self._lost_to = Holder.this_process(), None
            self._write_note(self._me)
        except BaseException:
            self._me = None
            self._lock.release()
            raise
        _held[self._me.token] = self._identity()

    def renew(self) -> None:
        """Says that this process still lives; call it often, it does something seldom.

        Raises ProjectInUseError if another took the lock over, as it may when this computer slept.
        That is for good: what the other wrote is not known here, and would be written over.
        """
        if self._me is None:
            raise RuntimeError("the lock is not held")
        with self._renewing:  # the threads that save take turns
            is_replaced = not self._lock.is_in_place()
            if self._lost_to is None and (
                is_replaced or time.monotonic() - self._renewed_s >= RENEW_S
            ):
                holder = read_holder(self._note)
                # The process that holds the system's lock is the writer; a note of this computer
                # that says otherwise was restored by a backup or copied with the folder.
                is_sure = self._lock.is_held is True and not is_replaced
                is_other = holder is not None and holder.token != self._me.token
                if holder is not None and is_other and not (is_sure and holder.is_here):
                    self._lost_to = holder.words()
                elif is_replaced and self._lock_anew() is False:
                    self._lost_to = _words(None)
                else:
                    self._write_note(self._me)
            if self._lost_to is not None:
                raise ProjectInUseError(self._folder, self._lost_to)

    def release(self) -> None:
        """May be called twice, and without having acquired it."""
        me, self._me = self._me, None
        try:
            holder = None if me is None else read_holder(self._note)
            if me is not None and holder is not None and holder.token == me.token:
                with suppress(UserError):  # what stays counts for nothing
                    remove_plain(self._note)
        finally:
            if me is not None:
                _held.pop(me.token, None)
            self._lock.release()

    def _is_free(self, holder: Holder | None) -> bool:
        if self._lock.is_held is False:
            return False
        if holder is not None and _held.get(holder.token) == self._identity():
            return False  # this process has it open, and the file that it locked was removed
        if holder is None or (holder.is_here and self._lock.is_held):
            return True
        is_gone = holder.is_here and not psutil.pid_exists(holder.pid)
        return is_gone or self._age_s() > _STALE_S

    def _identity(self) -> tuple[int, int]:
        status = self._folder.stat()
        return status.st_dev, status.st_ino

    def _lock_anew(self) -> bool | None:
        """Lock the file again after the locked one was removed."""
        self._lock.release()
        return self._lock.acquire()

    def _age_s(self) -> float:
        """Of the note, by the clock of the disk it is on, which may be another computer's.

        Negative if that clock was put back: such a note counts as a new one.
        """
        now = self._folder / ".now"
        write_plain(now, b"", is_forced=False)
        try:
            return now.lstat().st_mtime - self._note.lstat().st_mtime
        except OSError:
            return 0.0
        finally:
            remove_plain(now)

    def _write_note(self, holder: Holder) -> None:
        text = json.dumps(asdict(holder), indent=2) + "\n"
        write_plain(self._note, text.encode(), is_forced=False)
        self._renewed_s = time.monotonic()


def read_holder(note: Path) -> Holder | None:
    """None if there is no note, or nothing sensible in it."""
    try:
        value = parse_json(read_plain(note, 10_000))
        texts = [value[key] for key in ("token", "machine", "host", "since")]
        pid = value["pid"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if not all(isinstance(text, str) for text in texts) or type(pid) is not int:
        return None
    token, machine, host, since = (text[:200] for text in texts)
    return Holder(token, machine, host, pid, since) if 0 < pid < 2**31 else None


def _words(holder: Holder | None) -> str:
    return Message("in another program") if holder is None else holder.words()


@cache
def _machine() -> str:
    """The same for every process of this computer, and for no other computer."""
    try:
        return read_plain(_MACHINE_ID, 1000).decode("ascii").strip() or socket.gethostname()
    except (OSError, ValueError):
        return socket.gethostname()
