"""Write a project's changes on a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Generic, Protocol, TypeVar

from interaction.annotation.types import Edit
from interaction.errors import ProjectError, UserError
from interaction.files import remove_plain, write_plain, writing_problem
from interaction.project.checking import start_line
from interaction.project.journal import Part, edit_line, move_line, seal
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import Manifest, encode_json, manifest_text
from interaction.project.mask_store import GrowingFile, MaskStore
from interaction.project.records import record_to_json
from xmem_core.messages import Message

__all__ = [
    "ManifestChange",
    "ProjectWriter",
    "SavedEdit",
    "SavedMove",
    "Saver",
    "Writer",
]

T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_S: Final = 2.0
_LOOK_S: Final = 0.5
CHECKPOINT_S: Final = 2.0
_MOST_AT_ONCE: Final = 256


class Writer(Protocol[T]):
    """What the thread calls. Each raises UserError when the disk is at fault, and is called again
    with the same work later."""

    def append(self, batch: list[T]) -> None:
        """Make safe, all or none."""

    def settle(self) -> bool:
        """Do a portion of what follows from what was appended; whether there is more."""

    def checkpoint(self) -> None:
        """Write the state as a whole."""


class Saver(Generic[T]):
    """Give items to `put` from any thread; `flush` waits until all is on the disk.

    on_problem: called on the saving thread with the first of a row of failures. on_recovery: there
    too, when all that was left then is written.
    """

    def __init__(
        self,
        writer: Writer[T],
        on_problem: Callable[[UserError], None],
        on_recovery: Callable[[], None] = lambda: None,
    ) -> None:
        self._writer = writer
        self._on_problem, self._on_recovery = on_problem, on_recovery
        self._is_reported = False  # that something fails, and not yet that it is over
        self._lock = threading.Condition()
        self._items: list[T] = []  # until they are appended
        self._is_unsettled = False
        self._is_dirty = False  # something was put since the last checkpoint
        self._is_writing = False  # a checkpoint, right now
        self._is_flushing = False
        self._is_closing = False
        self._failures = 0
        self._problem: UserError | None = None
        self._due_s = 0.0  # when to try again, or to write the next checkpoint
        self._thread = threading.Thread(target=self._run, name="project saver", daemon=True)
        self._thread.start()

    @property
    def is_safe(self) -> bool:
        """Whether everything that was put would survive the end of this process."""
        return not self._items

    @property
    def problem(self) -> UserError | None:
        """Why saving does not get on, None while it does."""
        return self._problem

    def put(self, *items: T, settles: bool = False) -> None:
        """Without items the state alone is written anew. RuntimeError after `close`.

        settles: there is something to settle, whatever the items."""
        with self._lock:
            if self._is_closing or not self._thread.is_alive():
                raise RuntimeError("the project is closed and saves nothing any more")
            if not self._is_dirty and self._problem is None:
                self._due_s = time.monotonic() + CHECKPOINT_S
            self._is_dirty = True
            self._is_unsettled = self._is_unsettled or settles
            self._items.extend(items)
            self._lock.notify_all()

    def flush(self, timeout_s: float | None = None) -> None:
        """Returns when everything is written. Raises the UserError of what fails now, or
        ProjectError when `timeout_s` is over; the work goes on in both cases."""
        deadline_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        with self._lock:
            failures = self._failures
            while self._items or self._is_dirty or self._is_unsettled or self._is_writing:
                if self._failures > failures and self._problem is not None:
                    raise self._problem.with_traceback(None)
                if not self._thread.is_alive():
                    raise RuntimeError("the saving thread has ended with work left")
                rest_s = deadline_s - time.monotonic()
                if rest_s <= 0:
                    raise ProjectError(
                        Message("Saving the project takes longer than expected. It goes on."),
                        Message("Wait a little, or check the disk that the project is on."),
                    )
                self._is_flushing = True
                self._lock.notify_all()
                self._lock.wait(min(rest_s, _LOOK_S))

    def close(self) -> None:
        """Ends the thread when all is written; what cannot be is given up, so flush first."""
        with self._lock:
            self._is_closing = True
            self._lock.notify_all()
        self._thread.join()

    def _run(self) -> None:
        """Ends when `close` was called, and for no other reason."""
        while True:
            try:
                if self._turn():
                    return
            except Exception:  # noqa: BLE001  (memory that does not even suffice to report its lack)
                time.sleep(RETRY_S)

    def _turn(self) -> bool:
        """Waits until there is work and does some of it; whether the thread is to end."""
        with self._lock:
            while not self._is_time():
                if self._is_closing:
                    return True
                self._lock.wait(
                    max(0.001, self._due_s - time.monotonic()) if self._is_dirty else None
                )
            batch = self._items[:_MOST_AT_ONCE]
            is_flushing, self._is_flushing = self._is_flushing, False
        try:
            self._work(batch, is_flushing)
        except Exception as error:  # an end of this thread would end all saving
            problem = _as_problem(error)
            with self._lock:
                is_first = self._problem is None
                self._problem = problem
                self._is_writing = False
                self._failures += 1
                self._is_dirty = True
                self._due_s = time.monotonic() + RETRY_S
                is_over = self._is_closing
                self._lock.notify_all()
            if is_first:
                if problem is not error:
                    log.error("Saving failed", exc_info=error)
                self._is_reported = True
                self._report(self._on_problem, problem)
            return is_over
        with self._lock:
            self._problem = None
            self._is_writing = False
            is_left = bool(self._items) or self._is_dirty or self._is_unsettled
            self._lock.notify_all()
        if self._is_reported and not is_left:
            self._is_reported = False
            self._report(self._on_recovery)
        return False

    @staticmethod
    def _report(callback: Callable[..., None], *values: UserError) -> None:
        try:
            callback(*values)
        except Exception:  # an end of this thread would end all saving
            log.exception("A callback of the saving thread failed")

    def _is_time(self) -> bool:
        """Whether there is work to do now."""
        if self._is_flushing or (self._is_dirty and time.monotonic() >= self._due_s):
            return True
        has_work = bool(self._items) or self._is_unsettled
        return (has_work and self._problem is None) or (self._is_closing and self._is_dirty)

    def _work(self, batch: list[T], is_flushing: bool) -> None:
        if batch:
            self._writer.append(batch)
            with self._lock:
                del self._items[: len(batch)]
                self._is_unsettled = True
                self._lock.notify_all()
        if self._is_unsettled:
            is_more = self._writer.settle()
            with self._lock:
                self._is_unsettled = is_more
        with self._lock:
            is_last = not self._items and not self._is_unsettled
            is_due = time.monotonic() >= self._due_s
            if not self._is_dirty or not (
                is_due or (is_last and (is_flushing or self._is_closing))
            ):
                return
            # Now, so that what is put while the checkpoint is written asks for the next one.
            self._is_dirty, self._is_writing = not is_last, True
            self._due_s = time.monotonic() + CHECKPOINT_S
        self._writer.checkpoint()


def _as_problem(error: Exception) -> UserError:
    if isinstance(error, UserError):
        return error
    reason = (
        Message("there is not enough memory")
        if isinstance(error, MemoryError)
        else repr(error)[:300]
    )
    return ProjectError(
        Message(
            "The project could not be saved: {reason}. What was saved before is untouched, and "
            "what was not is kept in memory and tried again.",
            reason=reason,
        ),
        Message(
            "Leave the program open. If it does not recover, save the project under another name."
        ),
    )


_PORTION: Final = 64  # mask files, so that new edits are never long in coming


@dataclass(frozen=True, slots=True)
class SavedEdit:
    """`part` learns where in the journal it lies, and lets go of the edit."""

    edit: Edit
    position: int
    at: str  # ISO 8601, UTC
    part: Part


@dataclass(frozen=True, slots=True)
class SavedMove:
    """An undo or redo: the edit that was applied, and where in the history that led."""

    edit: Edit
    position: int
    at: str


@dataclass(frozen=True, slots=True)
class ManifestChange:
    """Anything else that project.json is to say."""

    change: Callable[[Manifest], Manifest]


class ProjectWriter:
    """`store` and `journal_end` as they were read; `manifest` holds the state there."""

    def __init__(
        self,
        layout: ProjectLayout,
        manifest: Manifest,
        store: MaskStore,
        journal_end: int,
        renew_lock: Callable[[], None],
    ) -> None:
        self._renew_lock = renew_lock
        self._layout = layout
        self._manifest = manifest
        self._frames: dict[int, str] = dict(manifest.frames)
        self._store = store
        self._journal = GrowingFile(layout.journal, journal_end)
        self._unwritten: dict[int, bytes | None] = {}  # mask files; None: to be taken away

    def start(self) -> None:
        """Writes the beginnings of a new project. Raises DiskFullError or UnwritableFileError."""
        self._journal.append(seal(start_line(self._manifest)))
        self.checkpoint()

    def amend(self, masks: Mapping[int, bytes | None]) -> None:
        """Mask files that are not as they should be. Call before the saving thread starts."""
        self._unwritten.update(masks)

    def append(self, batch: list[SavedEdit | SavedMove | ManifestChange]) -> None:
        """Raises DiskFullError or UnwritableFileError, and then nothing was done."""
        self._renew_lock()
        # All that can fail comes before the journal is written: from then on the batch is saved,
        # and doing any of it again would save it twice.
        lines: list[bytes] = []
        manifest, frames, unwritten = self._manifest, dict(self._frames), dict(self._unwritten)
        places: list[tuple[Part, int, int]] = []
        end = self._journal.end
        for item in batch:
            if isinstance(item, ManifestChange):
                manifest = item.change(manifest)
                continue
            edit = item.edit
            if isinstance(item, SavedEdit):
                value = edit_line(edit, item.position, item.at, self._store.place)
                states = {frame: pair[1] for frame, pair in value["frames"].items()}
                line = seal(value)
                places.append((item.part, end, len(line)))
            else:
                records = edit.after.items()
                states = {str(f): record_to_json(r, self._store.place) for f, r in records}
                line = seal(move_line(item.position, item.at))
            lines.append(line)
            end += len(line)
            for frame, record in edit.after.items():
                value = states[str(frame)]
                if value is None:
                    frames.pop(frame, None)
                else:
                    frames[frame] = encode_json(value)
                if edit.before[frame].mask != record.mask:
                    unwritten[frame] = record.mask
            if edit.objects_after is not None:
                manifest = replace(manifest, objects=edit.objects_after)
        data = b"".join(lines)
        self._store.write_pending()
        if data:
            self._journal.append(data)
        self._manifest, self._frames, self._unwritten = manifest, frames, unwritten
        for part, offset, size_bytes in places:
            part.is_at(offset, size_bytes)

    def settle(self) -> bool:
        """Brings a portion of the mask files up to date; whether there are more.

        Raises DiskFullError or UnwritableFileError.
        """
        if self._unwritten:
            self._make_folder()
        for frame in list(self._unwritten)[:_PORTION]:
            mask, path = self._unwritten[frame], self._layout.mask(frame)
            if mask is None:
                remove_plain(path)
            else:
                # Not forced to the disk: whatever is lost of it is in the store.
                write_plain(path, mask, is_forced=False)
            del self._unwritten[frame]
        return bool(self._unwritten)

    def checkpoint(self) -> None:
        """Writes project.json. Raises DiskFullError or UnwritableFileError."""
        self._manifest = replace(self._manifest, journal_bytes=self._journal.end)
        current = replace(self._manifest, frames=self._frames)
        write_plain(self._layout.manifest, manifest_text(current).encode())

    def _make_folder(self) -> None:
        """Somebody may have taken the folder of the mask files away: the store has them all."""
        try:
            self._layout.masks.mkdir(exist_ok=True)
        except OSError as error:
            raise writing_problem(self._layout.masks, error) from error
