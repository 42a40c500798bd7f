"""Everything a project folder says, read and checked: for opening, also what is damaged.

The state is what project.json says, brought up to date by the lines of the journal that came after
it. Without project.json the journal alone gives it. A line that a crash cut off at the end is as if
it had never been begun; anything else that does not fit is damage.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from interaction.errors import DamagedProjectError
from interaction.project.journal import (
    Journal,
)
from interaction.project.journal_reading import ChangesByHand, JournalReading
from interaction.project.layout import ProjectLayout
from interaction.project.manifest import FORMAT, Manifest, read_manifest
from interaction.project.record_json import (
    DamagedValueError,
)

__all__ = ["Contents", "read_contents", "start_line"]


@dataclass(slots=True)
class Contents:
    """What was found. `manifest` holds the state; `damages` is empty for a whole project."""

    manifest: Manifest
    journal: Journal
    journal_end: int  # bytes; what is behind it is worth nothing
    written: set[tuple[int, int, int]]  # (frame, bytes, CRC-32) of every mask a frame ever had
    store_end: int = 0  # bytes; how far into the mask store the journal refers
    by_hand: ChangesByHand = field(default_factory=ChangesByHand)
    damages: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def start_line(manifest: Manifest) -> dict[str, Any]:
    """The first line of a journal: enough to do without project.json."""
    return {
        "kind": "start",
        "format": FORMAT,
        "app_version": manifest.app_version,
        "name": manifest.name,
        "created": manifest.created,
        "source": manifest.source.to_json(),
    }


def read_contents(layout: ProjectLayout) -> Contents:
    """Raises NewerProjectError; DamagedProjectError if there is nothing to go by."""
    damages = list(layout.oddities())
    notices: list[str] = []
    manifest: Manifest | None = None
    reason = ""
    try:
        manifest, found = read_manifest(layout.manifest)
        damages += [f"project.json: {one}" for one in found]
    except (OSError, DamagedValueError) as error:
        reason = f"project.json: {error}"
        (damages if layout.manifest.exists() else notices).append(reason)
    reading = JournalReading(layout, manifest)
    try:
        reading.read()
    except OSError as error:
        damages.append(f"journal.jsonl: {error.strerror or error}")
    if reading.manifest is None:
        raise DamagedProjectError(layout.folder, reason or "there is no project.json")
    damages += reading.damages
    return Contents(
        manifest=replace(
            reading.manifest,
            journal_bytes=reading.end,
            objects=reading.objects,
            frames=reading.frames,
        ),
        journal=Journal() if reading.is_broken else reading.journal,
        journal_end=reading.end,
        written=reading.written,
        store_end=reading.store_end,
        by_hand=reading.by_hand,
        damages=damages,
        notices=notices,
    )
