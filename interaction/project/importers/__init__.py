"""Masks come in: what a folder or file holds is recognised, shown, and turned into edits.

`preview_import` changes nothing; `import_masks` yields the edits, one undo step together.
"""

from interaction.project.importers.edits import import_masks
from interaction.project.importers.preview import (
    ImportedObject,
    ImportPreview,
    ImportTarget,
    preview_import,
)

__all__ = ["ImportPreview", "ImportTarget", "ImportedObject", "import_masks", "preview_import"]
