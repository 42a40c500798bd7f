"""What one frame will look like once its mask is imported, before anything is imported."""

from typing import Final

import cv2
import numpy as np

from interaction.project.exporters.looks import color_table, draw_overlay, no_larger
from interaction.project.importers.edits import merging
from interaction.project.importers.plan import ImportPlan, new_objects
from interaction.project.mask_files import decode_labels
from interaction.project.video import Video
from interaction.types import EMPTY_RECORD
from xmem_core.pictures import Frame, Labels

__all__ = ["planned_picture"]

_OPACITY: Final = 0.5
_OUTLINE_PX: Final = 2


def planned_picture(plan: ImportPlan, frame: int, video: Video, longest_px: int) -> Frame:
    """(H, W, 3) RGB, no larger than `longest_px`: the video's frame with its masks as they would
    be, also of a frame that is left alone. Any thread may call it.

    UserError for a mask or a frame that cannot be read any more; KeyError for a frame that has no
    mask to import.
    """
    record = plan.records.get(frame, EMPTY_RECORD)
    shape = plan.preview.height, plan.preview.width
    old: Labels = np.zeros(shape, np.uint8) if record.mask is None else decode_labels(record.mask)
    labels = merging(plan)(old, plan.preview.keys(frame), plan.lost_on(frame))
    picture = no_larger(video[frame], longest_px)
    labels = no_larger(labels, longest_px, cv2.INTER_NEAREST)
    # Objects that come with frames that are left alone have a colour as well.
    possible = new_objects(plan.objects, plan.preview, plan.ids)
    table = color_table((*possible, *plan.objects, *plan.new_objects))
    return draw_overlay(picture, labels, table, opacity=_OPACITY, outline_px=_OUTLINE_PX)
