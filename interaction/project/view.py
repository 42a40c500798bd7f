"""A project as it can be looked at: whole or damaged, by one program or by several at once."""

from collections.abc import Callable, Generator
from pathlib import Path

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
from interaction.project.frame_index import read_cuts, read_index
from interaction.project.journal import Step, decode_edit, reading_parts
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import find_source
from interaction.project.mask_store import MaskStore
from interaction.project.records import DamagedValueError
from interaction.project.versions import Version, list_versions, version_edits
from interaction.video.decoder import VideoIndex
from xmem_core.messages import Message


class ProjectView:
    """What was read of a project's folder. Nothing here writes."""

    def __init__(self, layout: ProjectLayout, contents: Contents) -> None:
        self.layout = layout
        self.manifest = contents.manifest
        self.journal = contents.journal
        self.store = MaskStore(layout.store)
        self.mattes = MaskStore(layout.mattes)
        checked = check_masks(layout, contents, self.store, self.mattes)
        self._checked: CheckedMasks | None = checked
        self.amends = checked.amends
        # In words: what was found damaged, and what was odd and was put right, or left alone.
        self.damages = (*contents.damages, *checked.damages)
        self._outside = None if self.damages else outside_edit(contents, checked)
        self.notices = (*contents.notices, *checked.notices)

    @property
    def is_loaded(self) -> bool:
        """Whether the annotation as it was found has been loaded; another is read from the disk."""
        return self._checked is None

    def load_annotation(self) -> Annotation:
        """As it is on the disk."""
        if self._checked is None:
            contents = read_contents(self.layout)
            self._checked = check_masks(self.layout, contents, self.store, self.mattes)
            self.manifest = contents.manifest
        source, records = self.manifest.source, self._checked.records
        annotation = Annotation(
            source.frame_count,
            source.width,
            source.height,
            records=records,
            objects=self.manifest.objects,
            memory=self.manifest.memory_rules,
        )
        self._checked = None  # so that masks which change are not kept for ever
        return annotation

    def load_history(self) -> History:
        """Every step ever made; masks are read when one is undone or redone."""
        entries = [
            Entry(step.label, frozenset(step.frames), step.group, load=self.loader(step))
            for step in self.journal.steps
        ]
        return History(entries, self.journal.position)

    def find_source(self) -> Path:
        """Where the video is. Raises SourceMovedError, SourceChangedError, SourceMissingError."""
        return find_source(self.manifest.source, self.layout.folder)

    def load_index(self, source: Path) -> VideoIndex | None:
        """Where the frames of the video at `source` are; None if that has to be found anew."""
        return read_index(self.layout.frame_index, source, self.manifest.source.digest)

    def load_cuts(self) -> tuple[int, ...] | None:
        """The first frame of each shot but the first; None if they have to be found anew."""
        return read_cuts(
            self.layout.cuts, self.manifest.source.digest, self.manifest.source.frame_count
        )

    def versions(self) -> tuple[Version, ...]:
        """Oldest first."""
        return list_versions(self.layout)

    def restoring(self, version: Version, now: Annotation) -> Generator[Edit, None, None]:
        """The edits that lead from `now` to `version`, for the session to apply one by one.

        Raises DamagedProjectError when it is called.
        """
        return version_edits(version, now, self.store, self.mattes)

    def outside_changes(self) -> Edit | None:
        """What another program has changed in the folder, as an edit to apply and record.

        To be asked for once, after `load_annotation`; until it is recorded they are left alone.
        """
        return self._outside

    def loader(self, step: Step) -> Callable[[], Edit]:
        """What brings the edits of a step back, as one."""
        return lambda: self._load(step)

    def _load(self, step: Step) -> Edit:
        source = self.manifest.source
        try:
            with (
                reading_parts(self.layout.journal) as line_of,
                self.store.reading() as stored,
                self.mattes.reading() as matte_at,
            ):
                mask_at = checking_masks(stored, (source.width, source.height))
                # An edit that is still in memory is not in the file yet.
                edits = [
                    part.edit or decode_edit(line_of(part), source.frame_count, mask_at, matte_at)
                    for part in list(step.parts)
                ]
        except DamagedValueError as error:
            raise DamagedProjectError(
                self.layout.folder, Message("“{label}”: {reason}", label=step.label, reason=error)
            ) from error
        first, *others = edits
        return first.then(*others)
