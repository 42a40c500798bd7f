"""A project on disk: an ordinary folder that is always up to date and never half-written.

    bear.vos/
      project.json      what it is, and the state of every annotated frame
      masks/0000012.png the mask of frame 12; the value of a pixel is the object, 0 is none
      journal.jsonl     every edit, undo and redo, one a line
      history/masks.bin every mask there ever was, for the journal
      frames.idx        where the frames of the video file are
      versions/         named states
      project.lock      who has it open

`Project` belongs to one thread, the one that makes edits, and never makes it wait: what is recorded
is written by a thread of the project's own (`saver.py`, `project_writer.py`). Opening reads and
checks everything (`contents.py`, `mask_check.py`).
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from interaction.annotation import Annotation
from interaction.errors import (
    DamagedProjectError,
    ProjectError,
    ProjectInUseError,
    ReadOnlyProjectError,
    UserError,
)
from interaction.history import Entry, History
from interaction.project.contents import Contents, read_contents
from interaction.project.frame_index import read_index, write_index
from interaction.project.frame_source import VideoIndex
from interaction.project.journal import Journal, Part, Step, decode_edit, joined, reading_parts
from interaction.project.layout import ProjectLayout, is_project
from interaction.project.manifest import Manifest, encode_json
from interaction.project.mask_check import (
    CheckedMasks,
    check_masks,
    outside_edit,
    remove_leftovers,
)
from interaction.project.mask_store import MaskStore
from interaction.project.project_creation import make_folder, unmake_folder
from interaction.project.project_lock import ProjectLock
from interaction.project.project_writer import (
    ManifestChange,
    ProjectWriter,
    SavedEdit,
    SavedMove,
)
from interaction.project.record_json import DamagedValueError
from interaction.project.saver import Saver
from interaction.project.source_info import SourceInfo, check_source, find_source
from interaction.project.versions import Version, list_versions, make_version, version_edits
from interaction.types import MaskEdit

__all__ = ["Project"]


class Project:
    """Made by `create` and `open`; `close` it when done.

    on_problem: called on the saving thread when something cannot be written, once until it can be
    again. The work stays in memory meanwhile and is tried again.
    """

    on_problem: Callable[[UserError], None] | None

    def __init__(
        self,
        layout: ProjectLayout,
        contents: Contents,
        *,
        lock: ProjectLock | None,
        read_only_reason: str,
    ) -> None:
        """Not for callers: see `create` and `open`. lock: acquired, None for reading only."""
        self.on_problem = None
        self._layout = layout
        self._manifest = contents.manifest
        self._journal: Journal = contents.journal
        self._store = MaskStore(layout.store)
        self._lock = lock
        checked = check_masks(layout, contents, self._store)
        self._checked: CheckedMasks | None = checked
        self._damages = (*contents.damages, *checked.damages)
        self._notices = tuple(contents.notices)
        source = contents.manifest.source
        self._outside = outside_edit(
            checked, contents.manifest.objects, source.width, source.height
        )
        self._saver: Saver[SavedEdit | SavedMove | ManifestChange] | None = None
        self._writer: ProjectWriter | None = None
        if self._damages:
            read_only_reason = "it is damaged"
        self.read_only_reason = read_only_reason  # "" while it can be changed
        if lock is None or read_only_reason:
            self._release()
        else:
            self._start(lock, contents, checked)

    @classmethod
    def create(
        cls, folder: Path, source: SourceInfo, *, engine: Mapping[str, Any] | None = None
    ) -> Self:
        """A new project; the folder must not hold one yet and is made where it is missing.

        engine: what the engines are set to, as plain JSON values.
        Raises ProjectError, ProjectInUseError, DiskFullError, UnwritableFileError.
        """
        folder = Path(folder).absolute()
        layout = ProjectLayout(folder)
        make_folder(layout)
        manifest = Manifest(
            name=folder.stem,
            created=_now(),
            app_version=_app_version(),
            source=source.beside(folder),
            engine=dict(engine or {}),
        )
        lock = ProjectLock(layout)
        try:
            lock.acquire()
            contents = Contents(manifest, Journal(), 0, set())
            return cls(layout, contents, lock=lock, read_only_reason="")
        except ProjectInUseError:
            raise
        except BaseException:
            lock.release()
            unmake_folder(layout)
            raise

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> Self:
        """A damaged project, and one in a folder that cannot be written, opens for reading only.

        Raises ProjectError if there is no project, ProjectInUseError, NewerProjectError,
        DamagedProjectError.
        """
        folder = Path(folder).absolute()
        layout = ProjectLayout(folder)
        if not is_project(folder):
            raise ProjectError(
                f"There is no project in “{folder}”.",
                "Choose a folder that holds a project.json.",
            )
        lock: ProjectLock | None = None
        reason = "it was opened that way" if read_only else ""
        if not read_only:
            lock = ProjectLock(layout)
            try:
                lock.acquire()
            except ProjectInUseError:
                raise
            except UserError as error:
                lock, reason = None, str(error).partition(". ")[0]
        try:
            contents = read_contents(layout)
            return cls(layout, contents, lock=lock, read_only_reason=reason)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    @property
    def folder(self) -> Path:
        return self._layout.folder

    @property
    def name(self) -> str:
        return self._manifest.name

    @property
    def created(self) -> str:
        """ISO 8601, UTC."""
        return self._manifest.created

    @property
    def app_version(self) -> str:
        """That made the project, or last wrote it before it was opened."""
        return self._manifest.app_version

    @property
    def source(self) -> SourceInfo:
        return self._manifest.source

    @property
    def engine(self) -> Mapping[str, Any]:
        """What the engines were set to, as plain JSON values; to be checked by whoever uses it."""
        return self._manifest.engine

    @property
    def is_read_only(self) -> bool:
        return self._saver is None

    @property
    def damages(self) -> tuple[str, ...]:
        """What was found damaged, in words; then the project is open for reading only."""
        return self._damages

    @property
    def notices(self) -> tuple[str, ...]:
        """What was found odd and put right."""
        return self._notices

    @property
    def is_saved(self) -> bool:
        """Whether everything recorded would survive the end of this process."""
        return self._saver is None or self._saver.is_safe

    def load_annotation(self) -> Annotation:
        """As it is on the disk; what was recorded since it was opened is waited for."""
        if self._checked is None:
            self.flush()
            contents = read_contents(self._layout)
            self._checked = check_masks(self._layout, contents, self._store)
            self._manifest = contents.manifest
        source, records = self._manifest.source, self._checked.records
        annotation = Annotation(
            source.frame_count,
            source.width,
            source.height,
            records=records,
            objects=self._manifest.objects,
        )
        self._checked = None  # so that masks which change are not kept for ever
        return annotation

    def load_history(self) -> History:
        """Every step ever made; masks are read when one is undone or redone."""
        entries = [
            Entry(step.label, frozenset(step.frames), step.group, load=self._loader(step))
            for step in self._journal.steps
        ]
        return History(entries, self._journal.position)

    def record(
        self, edit: MaskEdit, position: int, dropped_redo: bool = False
    ) -> Callable[[], MaskEdit]:
        """Saves an edit that was made. position: of the history with it.

        Returns what brings back the whole step of the history that the edit is part of.
        Never waits for the disk. Raises ReadOnlyProjectError; ValueError or TypeError for an edit
        that could not be read again.
        """
        saver = self._writing()
        _check(edit)
        part = Part(edit)
        step = self._journal.add(position, edit.label, edit.group, edit.frames, part)
        saver.put(SavedEdit(edit, position, _now(), part))
        return self._loader(step)

    def move_to(self, position: int, edit: MaskEdit) -> None:
        """Saves an undo or redo of one step or more. edit: what was applied, an inverse for undo.

        Raises ReadOnlyProjectError.
        """
        saver = self._writing()
        self._journal.move(position)
        saver.put(SavedMove(edit, position, _now()))

    def find_source(self) -> Path:
        """Where the video is. Raises SourceMovedError, SourceChangedError, SourceMissingError."""
        return find_source(self.source, self.folder)

    def relocate(self, path: Path) -> None:
        """The video is at `path` from now on, somebody has said so; also when only reading.

        Raises SourceMissingError, SourceChangedError if the contents are others.
        """
        check_source(self.source, path)
        source = replace(self.source, path=path.absolute()).beside(self.folder)
        if self.is_read_only:
            self._manifest = replace(self._manifest, source=source)
        else:
            self._change(source=source)

    def load_index(self, source: Path) -> VideoIndex | None:
        """Where the frames of the video at `source` are; None if that has to be found anew."""
        return read_index(self._layout.frame_index, source, self.source.digest)

    def save_index(self, index: VideoIndex) -> None:
        """For `load_index`. It is only a shortcut: if it cannot be written, nothing is said."""
        if not self.is_read_only and self.load_index(index.path) is None:
            with suppress(UserError):
                write_index(self._layout.frame_index, index, self.source.digest)

    def save_version(self, name: str) -> Version:
        """Sets the state as it is now aside under a name. Waits for the disk.

        Nothing may be recorded until it returns. Raises ReadOnlyProjectError, ProjectError if the
        name is taken, DiskFullError, UnwritableFileError; ValueError for an empty name.
        """
        self._writing().flush()
        return make_version(self._layout, name, _now())

    def versions(self) -> tuple[Version, ...]:
        """Oldest first."""
        return list_versions(self._layout)

    def restoring(self, version: Version, now: Annotation) -> Generator[MaskEdit, None, None]:
        """The edits that lead from `now` to `version`, for the session to apply one by one.

        Raises DamagedProjectError when it is called.
        """
        return version_edits(version, now, self._store)

    def outside_changes(self) -> MaskEdit | None:
        """Masks that another program has put into the folder, as an edit to apply and record.

        To be asked for once, after `load_annotation`; until it is recorded they are left alone.
        """
        return self._outside

    def set_engine(self, engine: Mapping[str, Any]) -> None:
        """What the engines are set to, as plain JSON values. TypeError for anything else."""
        encode_json(dict(engine))
        self._change(engine=dict(engine))

    def flush(self, timeout_s: float | None = None) -> None:
        """Waits until everything is on the disk. Raises the UserError that is in the way."""
        if self._saver is not None:
            self._saver.flush(timeout_s)

    def close(self, *, discards: bool = False) -> None:
        """Saves what is left and lets go of the folder. May be called twice.

        Raises the UserError that is in the way of saving, and the project stays open, unless
        `discards`: then what cannot be written is given up.
        """
        if self._saver is not None and not discards:
            self._saver.flush()
        if self._saver is not None:
            self._saver.close()
            self._saver = None
            self.read_only_reason = "it was closed"
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, lock: ProjectLock, contents: Contents, checked: CheckedMasks) -> None:
        self._manifest = replace(self._manifest, app_version=_app_version())
        remove_leftovers(self._layout)
        writer = ProjectWriter(
            self._layout, self._manifest, self._store, contents.journal_end, lock.renew
        )
        if contents.journal_end == 0:
            try:
                writer.start()
            except UserError:
                writer.close()
                raise
        writer.amend(checked.amends)
        self._writer = writer
        self._saver = Saver(writer, self._tell)
        if checked.amends or contents.notices:
            self._saver.put(settles=True)

    def _change(self, **changes: Any) -> None:
        saver = self._writing()
        self._manifest = replace(self._manifest, **changes)
        saver.put(ManifestChange(lambda manifest: replace(manifest, **changes)))

    def _writing(self) -> Saver[SavedEdit | SavedMove | ManifestChange]:
        if self._saver is None:
            raise ReadOnlyProjectError(self.folder, self.read_only_reason)
        return self._saver

    def _tell(self, problem: UserError) -> None:
        if self.on_problem is not None:
            self.on_problem(problem)

    def _release(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._lock is not None:
            self._lock.release()

    def _loader(self, step: Step) -> Callable[[], MaskEdit]:
        return lambda: self._load(step)

    def _load(self, step: Step) -> MaskEdit:
        frame_count = self._manifest.source.frame_count
        try:
            with (
                reading_parts(self._layout.journal) as line_of,
                self._store.reading() as mask_at,
            ):
                # An edit that is still in memory is not in the file yet.
                edits = [
                    part.edit or decode_edit(line_of(part), frame_count, mask_at)
                    for part in list(step.parts)
                ]
        except DamagedValueError as error:
            raise DamagedProjectError(self.folder, f"“{step.label}”: {error}") from error
        return joined(edits)


def _check(edit: MaskEdit) -> None:
    """Raises ValueError or TypeError for what could be written but not read again."""
    encode_json(dict(edit.cause))
    for records in (edit.before, edit.after):
        for frame, record in records.items():
            if not 0 <= record.doubt <= 1:
                raise ValueError(f"the doubt of frame {frame} must be 0 to 1, got {record.doubt}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _app_version() -> str:
    try:
        return version("xmem-annotate")
    except PackageNotFoundError:
        return "0"
