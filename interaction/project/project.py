"""A project folder: create, open, save and copy it."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from interaction.annotation.annotation import Annotation
from interaction.annotation.history import History, Part
from interaction.annotation.labels import Label
from interaction.annotation.requests import ImportRequest
from interaction.annotation.types import EMPTY_RECORD, Edit, MemoryRules
from interaction.errors import ProjectError, ProjectInUseError, ReadOnlyProjectError, UserError
from interaction.files import is_plain_folder, remove_leftovers, sync_folder, writing_problem
from interaction.project.causes import cause_to_json
from interaction.project.frame_index import write_cuts, write_index
from interaction.project.layout import ProjectLayout, is_project
from interaction.project.lock import ProjectLock
from interaction.project.manifest import Manifest, SourceInfo, check_source, encode_json
from interaction.project.records import MOST_PX, objects_from_json, objects_to_json, text
from interaction.project.versions import Version, make_version
from interaction.project.view import Contents, ProjectView, read_contents
from interaction.project.writer import ManifestChange, ProjectWriter, SavedEdit, SavedMove, Saver
from interaction.video.decoder import VideoIndex
from xmem_core.messages import Message


def make_folder(layout: ProjectLayout) -> None:
    """The folder and those in it, empty; what else is in the folder stays.

    Raises ProjectError if there is a project or part of one, DiskFullError, UnwritableFileError.
    """
    folder = layout.folder
    if is_project(folder):
        raise ProjectError(
            "There is a project in “{name}” already. It was not changed.\n\n"
            "Open it, or choose another folder.",
            name=folder.name,
        )
    try:
        _check_room(layout)
        for path in (layout.masks, layout.store.parent):
            path.mkdir(parents=True, exist_ok=True)
        for path in (folder, folder.parent.resolve()):
            sync_folder(path)
    except OSError as error:
        unmake_folder(layout)
        raise writing_problem(folder, error) from error


def _check_room(layout: ProjectLayout) -> None:
    """Raises ProjectError for a folder with things in the places of a project's, OSError."""
    name = layout.folder.name
    for oddity in layout.oddities():
        raise ProjectError(
            "No project can be made in “{name}”: {oddity}.\n\n"
            "Choose another folder for the project.",
            name=name,
            oddity=oddity,
        )
    if layout.store.exists() or (layout.masks.is_dir() and any(layout.masks.iterdir())):
        raise ProjectError(
            "“{name}” holds masks that belong to no project. They were not changed.\n\n"
            "Choose another folder for the project.",
            name=name,
        )


def unmake_folder(layout: ProjectLayout) -> None:
    """Takes away what `make_folder` and the first writing made; folders only if nothing is left."""
    with suppress(OSError):
        for path in (layout.manifest, layout.journal, layout.lock, layout.os_lock):
            path.unlink(missing_ok=True)
        for path in (layout.masks, layout.store.parent, layout.folder):
            path.rmdir()


class Project:
    """Made by `create` and `open`; `close` it when done. view: what it holds, to be looked at.

    on_problem: called on the saving thread when something cannot be written, once until it can be
    again. The work stays in memory meanwhile and is tried again. on_recovery: there too, when all
    of it is on the disk after that. on_made: called when the folder of a late project is made.
    """

    on_problem: Callable[[UserError], None] | None
    on_recovery: Callable[[], None] | None
    on_made: Callable[[], None] | None

    def __init__(
        self,
        layout: ProjectLayout,
        contents: Contents,
        *,
        lock: ProjectLock | None,
        read_only_reason: str,
        is_late: bool = False,
    ) -> None:
        """Not for callers: see `create` and `open`. lock: acquired, None for reading only or if
        it `is_late`: then `make` acquires it."""
        self.view = ProjectView(layout, contents)
        self.on_problem = self.on_recovery = self.on_made = None
        self._lock = lock
        self._late: Contents | None = contents if is_late else None
        self._late_index: VideoIndex | None = None
        self._saver: Saver | None = None
        if self.view.damages:
            read_only_reason = Message("it is damaged")
        self.read_only_reason = read_only_reason  # "" while it can be changed
        if is_late:
            pass
        elif lock is None or read_only_reason:
            self._release()
        else:
            self._start(lock, contents)

    @classmethod
    def create(
        cls,
        folder: Path,
        source: SourceInfo,
        *,
        engine: Mapping[str, object] | None = None,
        is_late: bool = False,
    ) -> Self:
        """A new project; the folder must not hold one yet and is made where it is missing.

        engine: what the engines are set to, as plain JSON values. is_late: nothing is written
        before `make`, or before the first change.
        Raises ProjectError, ProjectInUseError, DiskFullError, UnwritableFileError.
        """
        folder = _real(folder)
        layout = ProjectLayout(folder)
        manifest = Manifest(
            name=folder.stem,
            created=_now(),
            app_version=_app_version(),
            source=source.beside(folder),
            engine=dict(engine or {}),
        )
        contents = Contents(manifest, History(), 0, set())
        project = cls(layout, contents, lock=None, read_only_reason="", is_late=True)
        if not is_late:
            project.make()
        return project

    @property
    def is_made(self) -> bool:
        """Whether there is a folder; a late project has none before its first change."""
        return self._late is None

    def make(self) -> None:
        """Make the folder of a late project; nothing for any other. Raises as `create`."""
        contents = self._late
        if contents is None:
            return
        make_folder(self.view.layout)
        lock = ProjectLock(self.view.layout)
        try:
            lock.acquire()
            self._start(lock, contents)
        except ProjectInUseError:
            raise
        except BaseException:
            lock.release()
            unmake_folder(self.view.layout)
            raise
        self._lock, self._late = lock, None
        if self._late_index is not None:
            self.save_index(self._late_index)
        if self.on_made is not None:
            self.on_made()

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> Self:
        """A damaged project, and one in a folder that cannot be written, opens for reading only.

        Raises ProjectError if there is no project, ProjectInUseError, NewerProjectError,
        DamagedProjectError.
        """
        folder = _real(folder)
        layout = ProjectLayout(folder)
        if not is_project(folder):
            raise ProjectError(
                "There is no project in “{folder}”.\n\nChoose a folder that holds a project.json.",
                folder=folder,
            )
        lock: ProjectLock | None = None
        reason = Message("it was opened read-only") if read_only else ""
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
        return self.view.layout.folder

    @property
    def name(self) -> str:
        return self.view.manifest.name

    @property
    def source(self) -> SourceInfo:
        return self.view.manifest.source

    @property
    def damages(self) -> tuple[str, ...]:
        """What was found damaged, in words; then the project is open for reading only."""
        return self.view.damages

    @property
    def notices(self) -> tuple[str, ...]:
        """What was found odd, in words: it was put right, or left alone."""
        return self.view.notices

    @property
    def is_read_only(self) -> bool:
        return self._saver is None and self._late is None

    @property
    def is_saved(self) -> bool:
        """Whether everything recorded would survive the end of this process."""
        return self._saver is None or self._saver.is_safe

    def load_annotation(self) -> Annotation:
        """As it is on the disk; what was recorded since it was opened is waited for."""
        if self.view.is_loaded:
            self.flush()
        return self.view.load_annotation()

    def record(self, edit: Edit) -> None:
        """Pushes an edit that was made onto the history, and saves it.

        Never waits for the disk. Raises ReadOnlyProjectError; ValueError or TypeError for an edit
        that could not be read again.
        """
        saver, history = self._writing(), self.view.history
        check_edit(edit)
        entry, part = history.push(edit), Part(edit)
        entry.parts.append(part)
        entry.load = entry.load or partial(self.view.load, entry)
        saver.put(SavedEdit(edit, history.position, _now(), part))

    def record_move(self, edit: Edit) -> None:
        """Saves that something was undone or redone in the history. edit: what was applied, an
        inverse for undo.

        Raises ReadOnlyProjectError.
        """
        self._writing().put(SavedMove(edit, self.view.history.position, _now()))

    def relocate(self, path: Path) -> None:
        """Set the path of the video, as the annotator chose it; also when only reading.

        Raises SourceMissingError, SourceChangedError if the contents are others.
        """
        check_source(self.source, path)
        source = replace(self.source, path=path.absolute()).beside(self.folder)
        if self.is_read_only:
            self.view.manifest = replace(self.view.manifest, source=source)
        else:
            self._change(source=source)

    def change_memory(self, limits: Mapping[str, object]) -> None:
        """The project's own limits of the tracker's memory; none: those of the engines. Raises
        ReadOnlyProjectError."""
        self._change(memory=dict(limits))

    def keep_probabilities(self, keeps: bool) -> None:
        """Whether the networks' probabilities are kept beside the masks from now on. Raises
        ReadOnlyProjectError."""
        self._change(keeps_probabilities=keeps)

    def save_index(self, index: VideoIndex) -> None:
        """For `load_index`. It is only a shortcut: failing to write it is no error."""
        if self._late is not None:
            self._late_index = index
        elif not self.is_read_only and self.view.load_index(index.path) is None:
            with suppress(UserError):
                write_index(self.view.layout.frame_index, index, self.source.digest)

    def save_cuts(self, cuts: Collection[int]) -> None:
        """For `view.load_cuts`: a shortcut too. A project without a folder yet keeps none."""
        if self._late is None and not self.is_read_only:
            with suppress(UserError):
                write_cuts(self.view.layout.cuts, cuts, self.source.digest)

    def save_version(self, name: str) -> Version:
        """Sets the state as it is now aside under a name. Waits for the disk.

        Nothing may be recorded until it returns. Raises ReadOnlyProjectError, ProjectError if the
        name is taken, DiskFullError, UnwritableFileError; ValueError for an empty name.
        """
        self._writing().flush()
        return make_version(self.view.layout, name, _now())

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
        if not self.read_only_reason:
            self.read_only_reason = "it was closed"
        self._late = None
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Lets go in any case; raises the UserError that is in the way of saving."""
        try:
            self.flush()
        finally:
            self.close(discards=True)

    def _start(self, lock: ProjectLock, contents: Contents) -> None:
        self.view.manifest = replace(self.view.manifest, app_version=_app_version())
        for folder in self.view.layout.folders:
            if is_plain_folder(folder):
                remove_leftovers(folder)
        writer = ProjectWriter(
            self.view.layout,
            self.view.manifest,
            self.view.store,
            self.view.mattes,
            contents.journal_end,
            lock.renew,
        )
        if contents.journal_end == 0:
            writer.start()
        writer.amend(self.view.amends)
        self._saver = Saver(
            writer,
            lambda problem: self.on_problem(problem) if self.on_problem else None,
            lambda: self.on_recovery() if self.on_recovery else None,
        )
        if self.view.amends or contents.notices:
            self._saver.put(settles=True)

    def _change(self, **changes: Any) -> None:
        """They alone are no reason to make a late project's folder."""
        saver = self._writing() if self.is_made else None
        self.view.manifest = replace(self.view.manifest, **changes)
        if saver is not None:
            saver.put(ManifestChange(lambda manifest: replace(manifest, **changes)))

    def _writing(self) -> Saver:
        self.make()
        if self._saver is None:
            raise ReadOnlyProjectError(self.folder, self.read_only_reason)
        return self._saver

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def check_edit(edit: Edit) -> None:
    """Raises ValueError or TypeError for what could be written but not read again.

    To be asked before the edit is applied: what is applied has to be recorded.
    """
    encode_json(cause_to_json(edit.cause, edit.locked))
    text(edit.label, Message("the label"))
    for objects in (edit.objects_before, edit.objects_after):
        objects_from_json(objects_to_json(objects or ()))
    for records in (edit.before, edit.after):
        for frame, record in records.items():
            if not 0 <= record.doubt <= 1:
                raise ValueError(f"the doubt of frame {frame} must be 0 to 1, got {record.doubt}")
            clicks = () if record.prompts is None else record.prompts.clicks
            if not all(abs(c.x) <= MOST_PX and abs(c.y) <= MOST_PX for c in clicks):
                raise ValueError(f"a click on frame {frame} is at no point: {clicks}")


def _real(folder: Path) -> Path:
    """The folder itself where the annotator chose a link to it: nothing else follows one."""
    folder = Path(folder).absolute()
    try:
        return folder.resolve() if folder.is_symlink() else folder
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return folder


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _app_version() -> str:
    try:
        return version("xmem-annotate")
    except PackageNotFoundError:
        return "0"


def copy_project(project: Project, annotation: Annotation, folder: Path) -> None:
    """Makes a project in `folder`, which holds none yet, about the same video. Waits for the disk.

    annotation: of `project`, as it is in memory. Raises what `Project.create` and
    `Project.flush` raise; then there is nothing in `folder`, or a project with a part of the masks.
    """
    records = dict(annotation.records)
    edit = Edit(
        Label("import_project", name=project.name),
        dict.fromkeys(records, EMPTY_RECORD),
        records,
        (),
        annotation.objects,
        cause=ImportRequest(str(project.folder), "project"),
        memory_before=MemoryRules() if annotation.memory else None,
        memory_after=annotation.memory or None,
    )
    copy = Project.create(folder, project.source, engine=project.view.manifest.engine)
    try:
        copy.change_memory(project.view.manifest.memory)
        copy.keep_probabilities(project.view.manifest.keeps_probabilities)
        copy.record(edit)
        copy.flush()
    finally:
        copy.close(discards=True)
