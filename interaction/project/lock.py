"""Who has a project open. Two programs that write to one folder would lose each other's work.

The lock itself is the operating system's, on the hidden file `.lock`: it is given back when its
holder dies, however that happens. `project.lock` says in words who holds it. It also counts alone
where the system's lock says nothing: a lock that is held by no living process of this computer is
left over (a child process may have inherited it, or the disk knows no locks), and one of another
computer counts for as long as somebody there renews it, since network disks may not carry locks
from one computer to another.
"""

import json
import os
import socket
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from interaction.errors import ProjectInUseError, UnwritableFileError
from interaction.files import file_lock, is_plain_file, read_plain, remove_plain, write_plain
from interaction.project.layout import ProjectLayout

__all__ = ["RENEW_S", "Holder", "ProjectLock"]

RENEW_S: Final = 20.0
_STALE_S: Final = 120.0
_CLOCK_S: Final = 2.0  # how far two readings of a process's start may differ


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has, or had, a project open."""

    host: str
    pid: int
    started_s: float  # when the process was started, in seconds since 1970

    @classmethod
    def this_process(cls) -> "Holder":
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    def is_here(self) -> bool:
        return self.host == socket.gethostname()

    def is_alive(self) -> bool:
        """Of a process of this computer; the number alone may be another's by now."""
        try:
            started_s = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:  # another user's: there is one, and more cannot be known
            return True
        return abs(started_s - self.started_s) < _CLOCK_S

    def words(self) -> str:
        since = time.strftime("%H:%M on %Y-%m-%d", time.localtime(self.started_s))
        if self == Holder.this_process():
            return "in this program already"
        where = "" if self.is_here() else f" on the computer “{self.host}”"
        return f"in another program{where} (process {self.pid}, running since {since})"


class ProjectLock:
    """Held from `acquire` to `release`."""

    def __init__(self, layout: ProjectLayout) -> None:
        self._folder = layout.folder
        self._note = layout.lock
        self._os_lock = layout.os_lock
        self._held = ExitStack()
        self._renewed_s = 0.0
        self._lost_to: Holder | None = None

    def acquire(self) -> None:
        """Raises ProjectInUseError, and UnwritableFileError where nothing can be written."""
        if os.path.lexists(self._os_lock) and not is_plain_file(self._os_lock):
            raise UnwritableFileError(self._os_lock, "it is not a file")
        with ExitStack() as attempt:
            has_lock = attempt.enter_context(file_lock(self._os_lock))
            holder = read_holder(self._note)
            if not self._is_free(holder, has_lock):
                raise ProjectInUseError(
                    self._folder, "in another program" if holder is None else holder.words()
                )
            self._write_note()
            self._held = attempt.pop_all()

    def renew(self) -> None:
        """Says that this process still lives; to be called often, does something seldom.

        Raises ProjectInUseError if another took the lock over, as it may when this computer slept.
        """
        if time.monotonic() - self._renewed_s < RENEW_S:
            return
        holder = read_holder(self._note)
        if holder is not None and holder != Holder.this_process():
            # For good: what the other wrote is not known here, and would be written over.
            self._lost_to = holder
        if self._lost_to is not None:
            raise ProjectInUseError(self._folder, self._lost_to.words())
        self._write_note()

    def release(self) -> None:
        """May be called twice, and without having acquired it."""
        with self._held:
            if self._renewed_s and read_holder(self._note) == Holder.this_process():
                with suppress(UnwritableFileError):  # what stays is recognised as a dead one's
                    remove_plain(self._note)
            self._renewed_s = 0.0

    def _is_free(self, holder: Holder | None, has_lock: bool) -> bool:
        if holder is None:
            return has_lock
        if holder.is_here():
            # With the system's lock in hand a living holder is of the same number by chance,
            # or the disk gives the same lock to everybody: then it must not be trusted.
            return not holder.is_alive()
        return self._age_s() > _STALE_S

    def _age_s(self) -> float:
        """Of the note, by the clock of the disk it is on, which may be another computer's."""
        now = self._folder / ".now"
        write_plain(now, b"", is_forced=False)
        try:
            return now.lstat().st_mtime - self._note.lstat().st_mtime
        except OSError:
            return 0.0
        finally:
            remove_plain(now)

    def _write_note(self) -> None:
        text = json.dumps(asdict(Holder.this_process()), indent=2) + "\n"
        write_plain(self._note, text.encode(), is_forced=False)
        self._renewed_s = time.monotonic()


def read_holder(note: Path) -> Holder | None:
    """None if there is no note, or nothing sensible in it."""
    try:
        value = json.loads(read_plain(note, 10_000))
        host, pid, started_s = value["host"], value["pid"], value["started_s"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    is_sensible = (
        isinstance(host, str)
        and type(pid) is int
        and 0 < pid < 2**31
        and isinstance(started_s, float)
        and 0 <= started_s < 2**40
    )
    return Holder(host[:200], pid, started_s) if is_sensible else None
