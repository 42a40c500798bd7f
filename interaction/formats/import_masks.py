"""Turn a planned import into edits and pictures."""

from collections.abc import Generator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.edits import new_group
from interaction.annotation.labels import Label
from interaction.annotation.overlaps import Stack, keeping, lay, renamed, stack_of, without
from interaction.annotation.requests import ImportRequest
from interaction.annotation.types import EMPTY_RECORD, Edit
from interaction.errors import UserError
from interaction.formats.import_plan import (
    ImportChoices,
    ImportPlan,
    ImportPreview,
    plan_import,
    preview_import,
)
from interaction.formats.looks import ViewMode, color_table, draw_view, no_larger
from interaction.formats.mask_set import readable
from interaction.video.video import Video
from xmem_core.arrays import Frame, Labels

__all__ = ["import_masks", "planned_edits", "planned_picture", "read_given_masks"]

_LONGEST_NAME: Final = 200
_ALL_IDS: Final = frozenset(range(1, 256))


def import_masks(
    preview: ImportPreview, annotation: Annotation, **choices: Any
) -> Generator[Edit, None, None]:
    """Edits to apply one after another; all have one group, so they are one step of the history.

    choices: fields of `ImportChoices`. A locked object neither loses nor gains a pixel.

    Call it on the thread that owns the annotation: what is there now is what the edits start
    from. The generator may be pulled on any thread. Raises UserError when nothing can be
    imported, or while running for a damaged file; the frames before it then stay imported.
    """
    return planned_edits(plan_import(preview, annotation, ImportChoices(**choices)))


def planned_edits(plan: ImportPlan) -> Generator[Edit, None, None]:
    """See `import_masks`; they start from what there was when the plan was made."""
    if plan.problem is not None:
        raise UserError(plan.problem)
    return _edits(plan)


def read_given_masks(
    path: Path, video: Video, *, shown: int = 0, first_number: int | None = None
) -> tuple[dict[int, Labels], list[str]]:
    """All masks in `path` for a propagation without a project, and what to say about them.

    Returns frame -> (height, width) object ids at the video's size. shown, first_number: see
    `preview_import`. Raises UserError.
    """
    nothing = Annotation(len(video), video.width, video.height)
    preview = preview_import(path, video, nothing, shown=shown, first_number=first_number)
    ids = _ids_of_keys({one.key: one.object_id for one in preview.objects})
    masks = {frame: np.asarray(ids[preview.keys(frame)]) for frame in preview.frames}
    return masks, preview.lines()[1:]


def _edits(plan: ImportPlan) -> Generator[Edit, None, None]:
    label = Label("import", name=readable(plan.preview.path.name)[:_LONGEST_NAME])
    edit = partial(
        Edit,
        label,
        group=new_group(),
        cause=ImportRequest(str(plan.preview.path), plan.preview.masks.format),
        locked=plan.locked_ids,
    )
    if plan.objects_after != plan.objects:
        yield edit(objects_before=plan.objects, objects_after=plan.objects_after)
    for frame, outcome in plan.outcomes.items():
        before = plan.records.get(frame, EMPTY_RECORD)
        stack = _merged(plan, frame)
        after = make_record(stack, outcome.status, given=outcome.given, mattes=before.mattes)
        if after != before:
            yield edit({frame: before}, {frame: after})


def _merged(plan: ImportPlan, frame: int) -> Stack:
    """What there is on a frame with the imported mask laid over it. UserError."""
    record = plan.records.get(frame, EMPTY_RECORD)
    old = stack_of(record, plan.preview.height, plan.preview.width)
    gone = _ALL_IDS
    if plan.choices.keeps_others:  # an object that was lost by resizing keeps its pixels
        gone = frozenset(plan.ids.values()) - plan.lost_on(frame)
    keepers = {one.id for one in plan.objects if one.keeps_covered} | plan.new_keepers
    imported = renamed(plan.preview.stack(frame), _ids_of_keys(plan.ids), keepers)
    rest = without(old, gone - plan.locked_ids)
    return keeping(old, lay(rest, imported, keepers), plan.locked_ids)


def _ids_of_keys(ids: Mapping[int, int]) -> Labels:
    """(256,): the object id of each key, 0 for what is left out."""
    table = np.zeros(256, np.uint8)
    for key, object_id in ids.items():
        table[key] = object_id
    return table


_OPACITY: Final = 0.5
_OUTLINE_PX: Final = 2


def planned_picture(plan: ImportPlan, frame: int, video: Video, longest_px: int) -> Frame:
    """(H, W, 3) RGB, no larger than `longest_px`: the video's frame with its masks as they would
    be, also of a frame that is left alone. All threads may call it.

    UserError for a mask or a frame that cannot be read any more; KeyError for a frame that has no
    mask to import.
    """
    picture = no_larger(video[frame], longest_px)
    labels, *beneath = (
        no_larger(one, longest_px, cv2.INTER_NEAREST) for one in _merged(plan, frame)
    )
    # Objects that come with frames that are left alone have a colour as well.
    objects = (*plan.made_of(plan.ids), *plan.objects, *plan.new_objects)
    return draw_view(
        picture,
        labels,
        color_table(objects),
        ViewMode.OVERLAY,
        opacity=_OPACITY,
        outline_px=_OUTLINE_PX,
        beneath=beneath,
    )
