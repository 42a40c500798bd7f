"""Workspaces of XMem, Cutie and XMem++: `images/` and `masks/` side by side, opened as projects.

The project is made inside the workspace, in a folder of its own; nothing that is there is changed,
so the other program can go on with it. Such a workspace does not say who made a mask, with one
exception: XMem++ lists frames that the annotator answers for in `info.json`. They are confirmed.
Elsewhere a mask between two frames without one was made by hand, and masks in a row were tracked.
"""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Final

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.edits import new_group, with_ids
from interaction.annotation.labels import Label
from interaction.annotation.mask_files import read_masks
from interaction.annotation.mask_folders import find_masks
from interaction.annotation.requests import ImportRequest
from interaction.annotation.types import Edit, FrameStatus
from interaction.errors import ProjectError
from interaction.files import is_folder, is_plain_file, read_plain
from interaction.project.layout import is_project
from interaction.project.manifest import parse_json
from interaction.project.records import DamagedValueError

_MOST_INFO_BYTES: Final = 2**24
_LABEL: Final = Label("import_workspace")


def is_workspace(folder: Path) -> bool:
    """Whether `folder` is a workspace of another program, and no project of this one."""
    has_both = is_folder(workspace_images(folder)) and is_folder(folder / "masks")
    return has_both and not is_project(folder)


def workspace_images(folder: Path) -> Path:
    """The source of a workspace: a folder of pictures."""
    return folder / "images"


def workspace_project(folder: Path) -> Path:
    """Where the project about a workspace is, or is to be made. ProjectError if that is a link."""
    folder = folder.absolute()
    project = folder / f"{folder.name}.vos"
    if project.is_symlink():
        raise ProjectError(
            "“{name}” in the workspace is a link to another place. Nothing was changed.\n\n"
            "Remove the link, or open the project that it leads to.",
            name=project.name,
        )
    return project


def workspace_edits(
    folder: Path, names: Sequence[str], now: Annotation
) -> Generator[Edit, None, None]:
    """The workspace's masks for a project that is new, one edit a frame, all of one group.

    names: of the frames, as `Video.name` gives them. Frames that have something in `now` are left
    as they are. Raises UnreadableMaskError at the first mask that cannot be used, UserError if
    two masks are one frame's.
    """
    masks = folder / "masks"
    if not any(masks.iterdir()):
        return
    found = find_masks(masks, names).by_frame
    found = {frame: path for frame, path in found.items() if frame not in now.records}
    statuses = _statuses(folder, found)
    group = new_group()
    objects = now.objects
    for frame, labels in read_masks(found, now.width, now.height):
        record = make_record(labels, statuses[frame])
        grown = with_ids(objects, record.present)
        is_grown = grown != objects
        yield Edit(
            _LABEL,
            {frame: now.record(frame)},
            {frame: record},
            objects if is_grown else None,
            grown if is_grown else None,
            group,
            ImportRequest(found[frame].name, "workspace"),
        )
        objects = grown


def _statuses(folder: Path, found: Mapping[int, Path]) -> dict[int, FrameStatus]:
    references = _references(folder)
    if references is not None:
        return {
            frame: FrameStatus.CONFIRMED if frame in references else FrameStatus.TRACKED
            for frame in found
        }
    return {
        frame: FrameStatus.TRACKED
        if frame - 1 in found or frame + 1 in found
        else FrameStatus.CORRECTED
        for frame in found
    }


def _references(folder: Path) -> frozenset[int] | None:
    """The frames that XMem++ keeps in permanent memory; None where there is no such list."""
    path = folder / "info.json"
    if not is_plain_file(path):
        return None
    try:
        info = parse_json(read_plain(path, _MOST_INFO_BYTES))
    except (OSError, DamagedValueError):
        return None
    references = info.get("references") if isinstance(info, dict) else None
    if not isinstance(references, list):
        return None
    return frozenset(one for one in references if type(one) is int)
