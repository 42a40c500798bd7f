"""What the saving thread does with an edit: mask store, journal, mask files, project.json.

In this order, so that whatever a crash leaves undone follows from what was done: the journal names
only masks that are stored, mask files can be made again from the store, and project.json says how
much of the journal it includes. Everything here runs on the saving thread.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from interaction.project.atomic_files import writing_problem
from interaction.project.contents import start_line
from interaction.project.folder_files import remove_plain, write_plain
from interaction.project.journal import Part, edit_line, move_line, seal
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import Manifest, encode_json, manifest_text
from interaction.project.mask_store import GrowingFile, MaskStore
from interaction.project.record_json import record_to_json
from interaction.types import MaskEdit

__all__ = ["ManifestChange", "ProjectWriter", "SavedEdit", "SavedMove"]

_PORTION: Final = 64  # mask files, so that new edits are never long in coming


@dataclass(frozen=True, slots=True)
class SavedEdit:
    """`part` learns where in the journal it lies, and lets go of the edit."""

    edit: MaskEdit
    position: int
    at: str  # ISO 8601, UTC
    part: Part


@dataclass(frozen=True, slots=True)
class SavedMove:
    """An undo or redo: the edit that was applied, and where in the history that led."""

    edit: MaskEdit
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
        lines: list[bytes] = []
        states: list[Mapping[str, Any]] = []
        for item in batch:
            if isinstance(item, SavedEdit):
                value = edit_line(item.edit, item.position, item.at, self._store.place)
                states.append({frame: pair[1] for frame, pair in value["frames"].items()})
                lines.append(seal(value))
            elif isinstance(item, SavedMove):
                records = item.edit.after.items()
                states.append({str(f): record_to_json(r, self._store.place) for f, r in records})
                lines.append(seal(move_line(item.position, item.at)))
        self._store.write_pending()
        offset = self._journal.append(b"".join(lines)) if lines else 0
        written = iter(zip(lines, states, strict=True))
        for item in batch:
            if isinstance(item, ManifestChange):
                self._manifest = item.change(self._manifest)
                continue
            line, records_after = next(written)
            self._apply(item.edit, records_after)
            if isinstance(item, SavedEdit):
                item.part.is_at(offset, len(line))
            offset += len(line)

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

    def _apply(self, edit: MaskEdit, records: Mapping[str, Any]) -> None:
        for frame, record in edit.after.items():
            value = records[str(frame)]
            if value is None:
                self._frames.pop(frame, None)
            else:
                self._frames[frame] = encode_json(value)
            if edit.before[frame].mask != record.mask:
                self._unwritten[frame] = record.mask
        if edit.objects_after is not None:
            self._manifest = replace(self._manifest, objects=edit.objects_after)
