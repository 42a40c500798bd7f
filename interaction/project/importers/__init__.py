"""Masks come in: what a folder or file holds is recognised, shown, and turned into edits.

`preview_import` and `plan_import` change nothing; `import_masks` yields the edits, one undo step
together.
"""

from interaction.project.importers.edits import import_masks, planned_edits
from interaction.project.importers.picture import planned_picture
from interaction.project.importers.plan import ImportChoices, ImportPlan, plan_import
from interaction.project.importers.preview import (
    ImportedObject,
    ImportPreview,
    ImportTarget,
    preview_import,
)

__all__ = [
    "ImportChoices",
    "ImportPlan",
    "ImportPreview",
    "ImportTarget",
    "ImportedObject",
    "import_masks",
    "plan_import",
    "planned_edits",
    "planned_picture",
    "preview_import",
]
