"""A new project from what can be read of another: the way on from one that opens for reading only.

Objects, masks, clicks and settings come along; history and versions stay behind. Of a project
that is whole, a copy of its folder is the better copy.
"""

from pathlib import Path

from interaction.annotation import Annotation
from interaction.project.project import Project
from interaction.project.project_view import ProjectView
from interaction.types import EMPTY_RECORD, MaskEdit

__all__ = ["copy_project"]


def copy_project(project: ProjectView, annotation: Annotation, folder: Path) -> None:
    """Makes a project in `folder`, which holds none yet, about the same video. Waits for the disk.

    annotation: of `project`, as it is in memory. Raises what `Project.create` and
    `Project.flush` raise; then there is nothing in `folder`, or a project with a part of the masks.
    """
    records = dict(annotation.records)
    edit = MaskEdit(
        f"Masks of ‘{project.name}’",
        dict.fromkeys(records, EMPTY_RECORD),
        records,
        (),
        annotation.objects,
        cause={"kind": "copy", "of": str(project.folder)},
    )
    copy = Project.create(folder, project.source, engine=project.engine)
    try:
        copy.record(edit, 1)
        copy.flush()
    finally:
        copy.close(discards=True)
