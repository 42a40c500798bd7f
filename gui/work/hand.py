"""Edits by hand: exact, at once, without a network."""

from collections.abc import Mapping, Sequence
from typing import Final

from gui.language import tr
from gui.work.document import Document
from interaction.annotation.overlaps import region
from interaction.annotation.requests import (
    ClearRequest,
    ConfirmRequest,
    CopyRequest,
    FillRequest,
    MemoryRequest,
    SplitRequest,
    StrokeRequest,
    SurgeryRequest,
    UnconfirmRequest,
)
from interaction.annotation.requests import Operation as SurgeryName
from interaction.annotation.surgery import part_sizes, reaches_edge
from interaction.annotation.types import Edit, MemoryRule, Point, Request, Stroke
from xmem_core.messages import Message

__all__ = ["SPECK_PX", "SURGERY", "HandEdits", "offer_both"]

SPECK_PX: Final = 64  # a piece with fewer pixels is a speck


# What can be done on a range of frames: its name in English, and the size it is done with.
SURGERY: Final[Mapping[SurgeryName, tuple[Message, float | None]]] = {
    "fill_holes": (Message("Fill holes"), None),
    "remove_specks": (Message("Remove specks"), SPECK_PX),
    "grow": (Message("Grow"), 1),
    "shrink": (Message("Shrink"), 1),
    "smooth": (Message("Smooth edge"), 3),
}


class HandEdits:
    """Changes the current object on the document's frame, unless another frame is named."""

    def __init__(self, document: Document) -> None:
        self._document, self._session = document, document.session

    def stroke(self, stroke: Stroke) -> None:
        object_id = self.object_to_edit(makes_one=stroke.is_positive)
        if object_id:
            self._do(StrokeRequest(self._document.frame, object_id, stroke))

    def fill(self, points: Sequence[Point], is_positive: bool = True) -> None:
        """Add or remove the inside of a polygon."""
        object_id = self.object_to_edit(makes_one=is_positive)
        if object_id and len(points) >= 3:
            frame = self._document.frame
            self._do(FillRequest(frame, object_id, tuple(points), is_positive))

    def fill_at(self, x: float, y: float) -> None:
        """Fill the hole at a point, or remove the part of the object's mask there."""
        labels = self._session.annotation.labels(self._document.frame)
        height, width = labels.shape
        if not (0 <= x < width and 0 <= y < height):
            return
        found = labels[int(y), int(x)]
        if found == 0 and reaches_edge(labels, x, y):
            self._document.noticed.emit(
                tr("This is no hole: it reaches the frame's edge. Draw around it instead.")
            )
        elif found != 0 and found == self._document.current_object:
            self._operate("remove_part", point=(x, y))
        else:
            self._operate("flood_fill", point=(x, y))

    def fill_holes(self) -> None:
        """Says how much it filled."""
        object_id = self.object_to_edit(makes_one=False)
        if not object_id:
            return
        before = self._area_px(object_id)
        self._operate("fill_holes")
        filled = self._area_px(object_id) - before
        name, frame = self._session.annotation.object(object_id).name, self._document.frame
        self._document.noticed.emit(
            tr(
                "Frame {frame}: {count} pixel of “{name}” was filled.",
                "Frame {frame}: {count} pixels of “{name}” were filled.",
                frame=frame,
                count=filled,
                name=name,
            )
            if filled
            else tr("“{name}” has no hole on frame {frame}.", name=name, frame=frame)
        )

    def remove_specks(self, smallest_px: int = SPECK_PX) -> None:
        """Remove pieces of fewer than `smallest_px` pixels, and say how many; if there are none,
        offer to remove the smallest piece."""
        object_id = self.object_to_edit(makes_one=False)
        if not object_id:
            return
        document = self._document
        labels = self._session.annotation.labels(document.frame)
        sizes_px = part_sizes(labels, object_id)
        self._operate("remove_specks", smallest_px)
        name = self._session.annotation.object(object_id).name
        removed = [size for size in sizes_px if size < smallest_px]
        if removed:
            document.noticed.emit(
                tr(
                    "Frame {frame}: removed a piece of {largest} pixels of “{name}”.",
                    "Frame {frame}: removed {count} pieces of “{name}”, of {smallest} to {largest} "
                    "pixels.",
                    frame=document.frame,
                    count=len(removed),
                    name=name,
                    smallest=removed[-1],
                    largest=removed[0],
                )
            )
        elif len(sizes_px) > 1:
            document.offered.emit(
                tr(
                    "No piece of “{name}” is smaller than {smallest_px} pixels; the smallest has "
                    "{size}.",
                    name=name,
                    smallest_px=smallest_px,
                    size=sizes_px[-1],
                ),
                tr("Remove it"),
                lambda: self.remove_specks(sizes_px[-1] + 1),
            )
        else:
            document.noticed.emit(
                tr("“{name}” is in one piece on frame {frame}.", name=name, frame=document.frame)
            )

    def grow(self, px: float) -> None:
        """Move the object's edge outwards, inwards if negative."""
        self._operate("grow" if px > 0 else "shrink", abs(px))

    def smooth(self, px: float = 3) -> None:
        self._operate("smooth", px)

    def move_covered(self, name: SurgeryName) -> None:
        """Before or behind all that it overlaps: name is "to_front" or "to_back"."""
        object_id = self.object_to_edit(makes_one=False)
        if not object_id:
            return
        document, frame = self._document, self._document.frame
        annotation = self._session.annotation
        info, stack = annotation.object(object_id), annotation.stack(frame)
        if len(stack) == 1 or not (region(stack, object_id) & (stack[1] > 0)).any():
            document.noticed.emit(tr("“{name}” overlaps nothing on this frame.", name=info.name))
            return
        self._do(SurgeryRequest(name, frame, object_id))

    def confirm(self, frame: int | None = None) -> None:
        self._do(ConfirmRequest(self._document.frame if frame is None else frame))

    def unconfirm(self, frame: int | None = None) -> None:
        self._do(UnconfirmRequest(self._document.frame if frame is None else frame))

    def tell_memory(self, first: int, last: int, rule: MemoryRule) -> None:
        """Pins frames to the tracker's memory, keeps them out of it, or takes that back."""
        self._do(MemoryRequest(first, last, rule))

    def clear_frame(self, object_id: int | None = None) -> None:
        """Remove one object, or all, from the current frame."""
        self._do(ClearRequest(self._document.frame, object_id))

    def copy_mask(self, from_frame: int, object_id: int | None = None) -> None:
        """From another frame to the current one."""
        self._do(CopyRequest(from_frame, self._document.frame, object_id))

    def split_object(self, object_id: int) -> None:
        """On the current frame: each further part becomes an object."""
        self._do(SplitRequest(self._document.frame, object_id))

    # Which object

    def show_current_object(self) -> None:
        """Make the object that is about to change visible, if it was hidden or another one is
        solo, and say so."""
        document = self._document
        info = document.object(document.current_object)
        if info is None or document.is_shown(info.id):
            return
        if info.is_locked or self._session.ledger.is_read_only:
            return  # it is not going to change
        if document.solo:
            document.set_solo(info.id)
        else:
            document.set_visible(info.id, True)
        document.noticed.emit(tr("“{name}” was hidden: it is shown again.", name=info.name))

    def object_to_edit(self, *, makes_one: bool = True) -> int:
        """The current object, visible. 0, with a notice, if it must not change, or if there is
        none and none is made."""
        document = self._document
        if self._session.ledger.is_read_only:
            document.noticed.emit(tr("This project is open for reading only."))
            return 0
        object_id = document.current_object
        if not object_id and not makes_one:
            document.noticed.emit(tr("There is no object yet that anything could be taken from."))
            return 0
        object_id = object_id or document.add_object()
        if not object_id:
            return 0
        info = document.object(object_id)
        if info is not None and info.is_locked:
            document.noticed.emit(tr("“{name}” is locked: unlock it to change it.", name=info.name))
            return 0
        self.show_current_object()
        return object_id

    # Parts

    def _area_px(self, object_id: int) -> int:
        labels = self._session.annotation.labels(self._document.frame)
        return int((labels == object_id).sum())

    def _operate(
        self, operation: SurgeryName, size_px: float | None = None, point: Point | None = None
    ) -> None:
        """Change the shape of the current object on the current frame."""
        object_id = self.object_to_edit(makes_one=operation == "flood_fill")
        if object_id:
            frame = self._document.frame
            self._do(SurgeryRequest(operation, frame, object_id, size_px, point))

    def _do(self, request: Request) -> None:
        for edit in self._document.do(request):
            offer_both(self._document, edit)


def offer_both(document: Document, edit: Edit) -> None:
    """Says which objects have lost all their pixels on a frame to the current one by an edit that
    was just applied, and offers to keep them beneath it."""
    current = document.object(document.current_object)
    if current is None:
        return
    lost: set[int] = set()
    for frame, record in edit.after.items():
        if current.id in record.present:
            lost |= edit.before[frame].objects - record.objects
    losers = [info for info in document.objects if info.id in lost]
    if not losers:
        return
    newest = document.session.history.newest

    def keep() -> None:
        # The button may still be there when something else has been done.
        if newest is not None and document.session.history.newest is newest:
            document.keep_both([info.id for info in losers])

    document.offered.emit(
        tr(
            "“{name}” took all pixels of {names} here.",
            name=current.name,
            names=", ".join(f"“{info.name}”" for info in losers),
        ),
        tr("Keep both"),
        keep,
    )
