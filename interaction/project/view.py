"""A project as it can be looked at: whole or damaged, by one program or by several at once."""

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from interaction.annotation.annotation import Annotation
from interaction.annotation.history import Entry, History
from interaction.annotation.types import Edit
from interaction.errors import DamagedProjectError
from interaction.project.checking import (
    CheckedMasks,
    Contents,
    check_masks,
    checking_masks,
    outside_edit,
    read_contents,
)
from interaction.project.frame_index import read_index
from interaction.project.journal import Step, decode_edit, joined, reading_parts
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import SourceInfo, find_source
from interaction.project.mask_store import MaskStore
from interaction.project.records import DamagedValueError
from interaction.project.versions import Version, list_versions, version_edits
from interaction.video.decoder import VideoIndex

__all__ = ["ProjectView"]


class ProjectView:
    """What was read of a project's folder. Nothing here writes."""

    def __init__(self, layout: ProjectLayout, contents: Contents) -> None:
        self._layout = layout
        self._manifest = contents.manifest
        self._journal = contents.journal
        self._store = MaskStore(layout.store)
        checked = check_masks(layout, contents, self._store)
        self._checked: CheckedMasks | None = checked
        self._amends = checked.amends
        self._damages = (*contents.damages, *checked.damages)
        self._outside = None if self._damages else outside_edit(contents, checked)
        self._notices = (*contents.notices, *checked.notices)

    @property
    def folder(self) -> Path:
        return self._layout.folder

    @property
    def learned_folder(self) -> Path:
        """For the weights that were learned from this project; it need not be there."""
        return self._layout.learned

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
    def damages(self) -> tuple[str, ...]:
        """What was found damaged, in words; then the project is open for reading only."""
        return self._damages

    @property
    def notices(self) -> tuple[str, ...]:
        """What was found odd, in words: it was put right, or left alone."""
        return self._notices

    def load_annotation(self) -> Annotation:
        """As it is on the disk."""
        if self._checked is None:
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

    def find_source(self) -> Path:
        """Where the video is. Raises SourceMovedError, SourceChangedError, SourceMissingError."""
        return find_source(self.source, self.folder)

    def load_index(self, source: Path) -> VideoIndex | None:
        """Where the frames of the video at `source` are; None if that has to be found anew."""
        return read_index(self._layout.frame_index, source, self.source.digest)

    def versions(self) -> tuple[Version, ...]:
        """Oldest first."""
        return list_versions(self._layout)

    def restoring(self, version: Version, now: Annotation) -> Generator[Edit, None, None]:
        """The edits that lead from `now` to `version`, for the session to apply one by one.

        Raises DamagedProjectError when it is called.
        """
        return version_edits(version, now, self._store)

    def outside_changes(self) -> Edit | None:
        """What another program has changed in the folder, as an edit to apply and record.

        To be asked for once, after `load_annotation`; until it is recorded they are left alone.
        """
        return self._outside

    def _loader(self, step: Step) -> Callable[[], Edit]:
        return lambda: self._load(step)

    def _load(self, step: Step) -> Edit:
        source = self._manifest.source
        try:
            with (
                reading_parts(self._layout.journal) as line_of,
                self._store.reading() as stored,
            ):
                mask_at = checking_masks(stored, (source.width, source.height))
                # An edit that is still in memory is not in the file yet.
                edits = [
                    part.edit or decode_edit(line_of(part), source.frame_count, mask_at)
                    for part in list(step.parts)
                ]
        except DamagedValueError as error:
            raise DamagedProjectError(self.folder, f"“{step.label}”: {error}") from error
        return joined(edits)
