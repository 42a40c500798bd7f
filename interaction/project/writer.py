"""Write a project's changes on threads of their own."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from interaction.annotation.history import Part
from interaction.annotation.labels import Label
from interaction.annotation.types import Edit
from interaction.errors import ProjectError, UserError
from interaction.files import ForeignChangeError, remove_plain, write_plain, writing_problem
from interaction.project.journal import edit_line, move_line, seal, start_line
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import KEYS_FORMAT, Manifest, encode_json, manifest_text
from interaction.project.mask_store import GrowingFile, MaskStore
from interaction.project.records import Place, record_to_json
from xmem_core.messages import Message

log = logging.getLogger(__name__)

RETRY_S: Final = 2.0
_LOOK_S: Final = 0.5
CHECKPOINT_S: Final = 2.0
_MOST_AT_ONCE: Final = 256


@dataclass(slots=True, eq=False)
class _Lane:
    """One of the two threads: what it is at, and what is in its way."""

    is_time: Callable[[], bool]
    is_over: Callable[[], bool]
    work: Callable[[], None]
    is_busy: bool = False
    has_ended: bool = False
    problem: UserError | None = None
    retry_s: float = 0.0  # of the monotonic clock, after a failure


class Saver:
    """Give items to `put` from any thread; `flush` waits until all is on the disk.

    Items are appended on a thread of their own, one batch after another, and wait for nothing
    else: what follows from them and the state as a whole are written on a second thread.

    on_problem: called on a saving thread with the first of a row of failures. on_recovery: there
    too, when all that was left then is written.
    """

    def __init__(
        self,
        writer: "ProjectWriter",
        on_problem: Callable[[UserError], None],
        on_recovery: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._on_problem, self._on_recovery = on_problem, on_recovery
        self._is_reported = False  # that something fails, and not yet that it is over
        self._lock = threading.Condition()
        self._items: list[Item] = []  # until they are appended
        self._is_unsettled = False
        self._is_dirty = False  # something was put since the last checkpoint
        self._flushes = 0  # calls of `flush` that wait
        self._is_closing = False
        self._attempts = self._failed_attempt = 0  # counted through; 0: none failed
        self._due_s = 0.0  # when to write the next checkpoint
        self._appending = _Lane(self._is_time_to_append, self._has_appended, self._append)
        self._following = _Lane(self._is_time_to_follow, self._has_followed, self._follow)
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name=name, daemon=True)
            for lane, name in (
                (self._appending, "project saver"),
                (self._following, "project checkpoints"),
            )
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_safe(self) -> bool:
        """Whether everything that was put would survive the end of this process."""
        return not self._items

    @property
    def problem(self) -> UserError | None:
        """Why saving does not get on, None while it does."""
        return self._appending.problem or self._following.problem

    def put(self, *items: "Item", settles: bool = False) -> None:
        """Without items the state alone is written anew. RuntimeError after `close`.

        settles: there is something to settle, whatever the items."""
        with self._lock:
            if self._is_closing or not self._is_alive:
                raise RuntimeError("the project is closed and saves nothing any more")
            if not self._is_dirty and self.problem is None:
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
            begun = self._attempts  # what fails of these began before this call
            self._flushes += 1
            try:
                while self._is_left:
                    problem = self.problem
                    if self._failed_attempt > begun and problem is not None:
                        raise problem.with_traceback(None)
                    if not self._is_alive:
                        raise RuntimeError("a saving thread has ended with work left")
                    rest_s = deadline_s - time.monotonic()
                    if rest_s <= 0:
                        raise ProjectError(
                            "Saving the project takes longer than expected. It goes on.\n\n"
                            "Wait a little, or check the disk that the project is on.",
                        )
                    self._lock.notify_all()
                    self._lock.wait(min(rest_s, _LOOK_S))
            finally:
                self._flushes -= 1

    def close(self) -> None:
        """Ends the threads when all is written; what cannot be is given up, so flush first."""
        with self._lock:
            self._is_closing = True
            self._lock.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def _is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    @property
    def _is_appended(self) -> bool:
        return not self._items and not self._appending.is_busy

    @property
    def _is_left(self) -> bool:
        """Whether anything is not on the disk yet."""
        is_written = self._is_appended and not self._following.is_busy
        return self._is_dirty or self._is_unsettled or not is_written

    def _run(self, lane: _Lane) -> None:
        """Ends when `close` was called, and for no other reason."""
        is_over = False
        while not is_over:
            try:
                is_over = self._turn(lane)
            except Exception:  # noqa: BLE001  (memory that does not even suffice to report its lack)
                lane.is_busy = False
                time.sleep(RETRY_S)
        with self._lock:
            lane.has_ended = True
            self._lock.notify_all()

    def _turn(self, lane: _Lane) -> bool:
        """Waits until there is work and does some of it; whether the thread is to end."""
        with self._lock:
            while not lane.is_time():
                if self._is_closing and lane.is_over():
                    return True
                next_s = lane.retry_s if lane.problem is not None else self._due_s
                is_waiting = lane.problem is not None or self._is_dirty
                self._lock.wait(max(0.001, next_s - time.monotonic()) if is_waiting else None)
            lane.is_busy = True
            self._attempts += 1
            attempt = self._attempts
        try:
            lane.work()
        except Exception as error:  # noqa: BLE001  (an end of this thread would end all saving)
            return self._fail(lane, attempt, error)
        with self._lock:
            lane.problem, lane.is_busy = None, False
            is_recovered = self._is_reported and self.problem is None and not self._is_left
            if is_recovered:
                self._is_reported = False
            self._lock.notify_all()
        if is_recovered:
            self._report(self._on_recovery)
        return False

    def _fail(self, lane: _Lane, attempt: int, error: Exception) -> bool:
        """Notes what was in the way, to try again; whether the thread is to end."""
        problem = _as_problem(error)
        with self._lock:
            is_first = self.problem is None
            lane.problem, lane.is_busy = problem, False
            lane.retry_s = time.monotonic() + RETRY_S
            self._failed_attempt = max(self._failed_attempt, attempt)
            self._is_dirty = self._is_reported = True
            is_over = self._is_closing
            self._lock.notify_all()
        if is_first:
            if problem is not error:
                log.error("Saving failed", exc_info=error)
            self._report(self._on_problem, problem)
        return is_over

    @staticmethod
    def _report(callback: Callable[..., None], *values: UserError) -> None:
        try:
            callback(*values)
        except Exception:  # an end of this thread would end all saving
            log.exception("A callback of a saving thread failed")

    def _is_held_up(self, lane: _Lane) -> bool:
        """Whether it failed, and the next attempt is neither due nor requested."""
        is_early = lane.problem is not None and time.monotonic() < lane.retry_s
        return is_early and not (self._flushes or self._is_closing)

    def _is_time_to_append(self) -> bool:
        return bool(self._items) and not self._is_held_up(self._appending)

    def _has_appended(self) -> bool:
        return not self._items

    def _append(self) -> None:
        with self._lock:
            batch = self._items[:_MOST_AT_ONCE]
        self._writer.append(batch)
        with self._lock:
            del self._items[: len(batch)]
            self._is_unsettled = True

    def _is_time_to_follow(self) -> bool:
        has_work = self._is_unsettled or self._is_checkpoint_due()
        return has_work and not self._is_held_up(self._following)

    def _has_followed(self) -> bool:
        """What could not be appended leaves nothing to follow."""
        is_left = (self._is_dirty or self._is_unsettled) and not self._items
        return self._appending.has_ended and not is_left

    def _is_checkpoint_due(self) -> bool:
        if not self._is_dirty:
            return False
        is_last = self._is_appended and not self._is_unsettled
        is_asked = bool(self._flushes) or self._is_closing
        return time.monotonic() >= self._due_s or (is_last and is_asked)

    def _follow(self) -> None:
        with self._lock:
            is_unsettled, self._is_unsettled = self._is_unsettled, False
        is_more = True  # also if it fails
        try:
            is_more = is_unsettled and self._writer.settle()
        finally:
            with self._lock:
                self._is_unsettled = self._is_unsettled or is_more
        with self._lock:
            if not self._is_checkpoint_due():
                return
            # Now, so that what is put while the checkpoint is written asks for the next one.
            self._is_dirty = not self._is_appended or self._is_unsettled
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
        "The project could not be saved: {reason}. What was saved before is untouched, and what "
        "was not is kept in memory and tried again.\n\n"
        "Leave the program open. If it does not recover, save the project under another name.",
        reason=reason,
    )


_PORTION: Final = 64  # mask files, so that the checkpoint that is due is never long in coming
_GONE: Final = object()


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


Item = SavedEdit | SavedMove | ManifestChange


@dataclass(slots=True, eq=False)
class _Draft:
    """What a batch makes of the state, before anything of it is written."""

    manifest: Manifest
    frames: dict[int, str]
    unwritten: dict[int, bytes | None]
    end: int  # of the journal, with the lines
    lines: list[bytes] = field(default_factory=list)
    places: list[tuple[Part, int, int]] = field(default_factory=list)

    def add(self, item: Item, mask_place: Place, matte_place: Place) -> None:
        if isinstance(item, ManifestChange):
            self.manifest = item.change(self.manifest)
            return
        edit = item.edit
        if isinstance(item, SavedEdit):
            value = edit_line(edit, item.position, item.at, mask_place, matte_place)
            states = {frame: pair[1] for frame, pair in value["frames"].items()}
            line = seal(value)
            self.places.append((item.part, self.end, len(line)))
            if isinstance(edit.label, Label) and self.manifest.format < KEYS_FORMAT:
                self.manifest = replace(self.manifest, format=KEYS_FORMAT)
        else:
            states = {
                str(frame): record_to_json(record, mask_place, matte_place)
                for frame, record in edit.after.items()
            }
            line = seal(move_line(item.position, item.at))
        self.lines.append(line)
        self.end += len(line)
        for frame, record in edit.after.items():
            state = states[str(frame)]
            if state is None:
                self.frames.pop(frame, None)
            else:
                self.frames[frame] = encode_json(state)
            if edit.before[frame].mask != record.mask:
                self.unwritten[frame] = record.mask
        if edit.objects_after is not None:
            self.manifest = replace(self.manifest, objects=edit.objects_after)
        if edit.memory_after is not None:
            self.manifest = replace(self.manifest, memory_rules=edit.memory_after)


class ProjectWriter:
    """`store` and `journal_end` as they were read; `manifest` holds the state there."""

    def __init__(
        self,
        layout: ProjectLayout,
        manifest: Manifest,
        store: MaskStore,
        mattes: MaskStore,
        journal_end: int,
        renew_lock: Callable[[], None],
    ) -> None:
        self._renew_lock = renew_lock
        self._layout = layout
        # With the frames, in one place: the checkpoint takes both at whatever moment.
        self._state = replace(manifest, journal_bytes=journal_end), dict(manifest.frames)
        self._store, self._mattes = store, mattes
        self._journal = GrowingFile(layout.journal, journal_end)
        self._unwritten: dict[int, bytes | None] = {}  # mask files; None: to be taken away
        self._lock = threading.Lock()  # of `_unwritten`
        self._manifest_lock = threading.Lock()

    def start(self) -> None:
        """Writes the beginnings of a new project. Raises DiskFullError or UnwritableFileError."""
        manifest, frames = self._state
        self._journal.append(seal(start_line(manifest)))
        self._state = replace(manifest, journal_bytes=self._journal.end), frames
        self.checkpoint()

    def amend(self, masks: Mapping[int, bytes | None]) -> None:
        """Mask files that are not as they should be. Call before the saving thread starts."""
        self._unwritten.update(masks)

    def append(self, batch: list[Item]) -> None:
        """Raises DiskFullError or UnwritableFileError, and then nothing was done."""
        self._renew_lock()
        # All that can fail comes before the journal is written: from then on the batch is saved,
        # and doing any of it again would save it twice.
        manifest, frames = self._state
        with self._lock:
            unwritten = dict(self._unwritten)
        draft = _Draft(manifest, dict(frames), unwritten, self._journal.end)
        for item in batch:
            draft.add(item, self._store.place, self._mattes.place)
        data = b"".join(draft.lines)
        if draft.manifest.format > manifest.format:
            # Before the lines that need it: an older program must not read them as damaged.
            self._state = replace(manifest, format=draft.manifest.format), frames
            self.checkpoint()
        state = replace(draft.manifest, journal_bytes=draft.end), draft.frames
        try:
            self._mattes.write_pending()
        except ForeignChangeError:  # taken away, or changed: a project is whole without them
            self._mattes.begin_anew()
        self._store.write_pending()
        if data:
            self._journal.append(data)
        self._state = state
        with self._lock:  # with what was settled meanwhile: once more does no harm
            self._unwritten = draft.unwritten
        for part, offset, size_bytes in draft.places:
            part.is_at(offset, size_bytes)

    def settle(self) -> bool:
        """Brings a portion of the mask files up to date; whether there are more.

        Raises DiskFullError or UnwritableFileError.
        """
        with self._lock:
            portion = list(islice(self._unwritten.items(), _PORTION))
        if portion:
            self._renew_lock()
            self._make_folder()
        for frame, mask in portion:
            path = self._layout.mask(frame)
            if mask is None:
                remove_plain(path)
            else:
                # Not forced to the disk: whatever is lost of it is in the store.
                write_plain(path, mask, is_forced=False)
            with self._lock:
                if self._unwritten.get(frame, _GONE) is mask:  # and no newer one
                    del self._unwritten[frame]
        return bool(self._unwritten)

    def checkpoint(self) -> None:
        """Writes project.json. Raises DiskFullError or UnwritableFileError."""
        self._renew_lock()
        with self._manifest_lock:
            manifest, frames = self._state
            text = manifest_text(replace(manifest, frames=frames))
            write_plain(self._layout.manifest, text.encode())

    def _make_folder(self) -> None:
        """Make the folder of the mask files again if it was removed: the store has them all."""
        try:
            self._layout.masks.mkdir(exist_ok=True)
        except OSError as error:
            raise writing_problem(self._layout.masks, error) from error
