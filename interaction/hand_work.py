"""What an annotator does without any network: objects, strokes, surgery, declaring frames right.

Every method that changes something returns the edit it made, or None if nothing changed. Those
named `…ing_object…` and `surgery` go over many frames: they read what they depend on when they are
called and return a generator of edits to give to `apply`, one a frame, all one step of the history.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from dataclasses import replace

from interaction.annotation import edits as object_edits
from interaction.annotation import strokes
from interaction.annotation.edits import (
    clear_edit,
    copy_edit,
    hand_edit,
    list_edit,
    next_color,
    status_edit,
)
from interaction.annotation.requests import Cause, fill_cause, stroke_cause
from interaction.annotation.types import Edit, FrameStatus, ObjectInfo, Stroke
from interaction.ledger import Ledger
from xmem_core.arrays import Labels

__all__ = ["HandWork", "Point"]

Point = tuple[float, float]  # (x, y) in pixels of the source frame


class HandWork(Ledger):
    """The part of a session that needs no engine. One thread at a time."""

    # Objects

    def add_object(self, name: str | None = None, color: tuple[int, int, int] | None = None) -> int:
        """Its id, the lowest that is free. UserError if there are 255 already."""
        objects = self.annotation.objects
        object_id = object_edits.free_id(objects)
        name = name or f"Object {object_id}"
        color = color or next_color(one.color for one in objects)
        new = ObjectInfo(object_id, name, color)
        self._applied(list_edit(self.annotation, f"Add ‘{name}’", (*objects, new)))
        return object_id

    def rename_object(self, object_id: int, name: str) -> Edit | None:
        """ValueError for a name of nothing but spaces."""
        if not name.strip():
            raise ValueError("an object's name must not be empty")
        return self._change_object(object_id, "Rename ‘{}’", name=name.strip())

    def recolor_object(self, object_id: int, color: tuple[int, int, int]) -> Edit | None:
        if not all(0 <= part <= 255 for part in color) or len(color) != 3:
            raise ValueError(f"a color is three numbers from 0 to 255, got {color}")
        return self._change_object(object_id, "Recolour ‘{}’", color=color)

    def set_locked(self, object_id: int, is_locked: bool) -> Edit | None:
        label = "Lock ‘{}’" if is_locked else "Unlock ‘{}’"
        return self._change_object(object_id, label, is_locked=is_locked)

    def set_visible(self, object_id: int, is_visible: bool) -> Edit | None:
        label = "Show ‘{}’" if is_visible else "Hide ‘{}’"
        return self._change_object(object_id, label, is_visible=is_visible)

    def move_object(self, object_id: int, to_index: int) -> Edit | None:
        """To another place in the list of objects."""
        one = self.annotation.object(object_id)
        objects = [other for other in self.annotation.objects if other.id != object_id]
        objects.insert(max(0, min(to_index, len(objects))), one)
        return self._applied(list_edit(self.annotation, f"Move ‘{one.name}’", tuple(objects)))

    def _change_object(self, object_id: int, label: str, **changes: object) -> Edit | None:
        one = self.annotation.object(object_id)
        new = replace(one, **changes)  # type: ignore[arg-type]
        objects = tuple(new if other is one else other for other in self.annotation.objects)
        return self._applied(list_edit(self.annotation, label.format(one.name), objects))

    def deleting_object(self, object_id: int) -> Generator[Edit, None, None]:
        return object_edits.deleting(self.annotation, object_id)

    def merging_objects(self, object_id: int, into: int) -> Generator[Edit, None, None]:
        return object_edits.merging(self.annotation, object_id, into)

    def swapping_objects(
        self, first: int, second: int, from_frame: int = 0
    ) -> Generator[Edit, None, None]:
        return object_edits.swapping(self.annotation, first, second, from_frame)

    def delete_object(self, object_id: int) -> bool:
        """False if a frame or a lock kept it from going altogether."""
        return self._apply_all(self.deleting_object(object_id))

    def merge_objects(self, object_id: int, into: int) -> bool:
        return self._apply_all(self.merging_objects(object_id, into))

    def swap_objects(self, first: int, second: int, from_frame: int = 0) -> bool:
        return self._apply_all(self.swapping_objects(first, second, from_frame))

    def split_object(self, frame: int, object_id: int) -> Edit | None:
        """Each further part on this frame becomes an object. UserError if it is in one piece."""
        return self._applied(object_edits.split_edit(self.annotation, frame, object_id))

    # One frame, by hand

    def stroke(self, frame: int, object_id: int, stroke: Stroke) -> Edit | None:
        """Brush or eraser. UserError if the object is locked."""
        object_edits.check_unlocked(self.annotation, object_id)
        verb = "Paint" if stroke.is_positive else "Erase"
        cause = stroke_cause(frame, object_id, stroke)
        labels = strokes.paint(
            self.annotation.labels(frame), object_id, stroke, self.annotation.locked
        )
        return self._change(frame, self._label(verb, object_id), labels, cause)

    def fill(
        self, frame: int, object_id: int, polygon: Sequence[Point], is_positive: bool = True
    ) -> Edit | None:
        """The inside of a polygon, added or taken away. UserError if the object is locked."""
        object_edits.check_unlocked(self.annotation, object_id)
        cause = fill_cause(frame, object_id, polygon, is_positive)
        labels = strokes.fill_polygon(
            self.annotation.labels(frame), object_id, polygon, is_positive, self.annotation.locked
        )
        verb = "Lasso" if is_positive else "Cut out of"
        return self._change(frame, self._label(verb, object_id), labels, cause)

    def change_mask(
        self, frame: int, label: str, change: Callable[[Labels], Labels], cause: Cause
    ) -> Edit | None:
        """Any other change by hand: `change` gets a copy of the labels and returns new ones."""
        labels = change(self.annotation.labels(frame).copy())
        return self._change(frame, label, labels, {"frame": frame, **cause})

    def confirm(self, frame: int) -> Edit | None:
        """Declares the frame whole: what is not in its mask is not there."""
        return self._applied(status_edit(self.annotation, frame, FrameStatus.CONFIRMED))

    def unconfirm(self, frame: int) -> Edit | None:
        """The mask stays, but counts as tracked: it is no longer remembered for ever, and a
        propagation may replace it."""
        return self._applied(status_edit(self.annotation, frame, FrameStatus.TRACKED))

    def clear_frame(self, frame: int, object_id: int | None = None) -> Edit | None:
        """Takes one object, or all that are not locked, off the frame."""
        label = "Clear frame"
        if object_id is not None:
            object_edits.check_unlocked(self.annotation, object_id)
            label = self._label("Clear", object_id)
        return self._applied(clear_edit(self.annotation, frame, object_id, label))

    def copy_mask(
        self, from_frame: int, to_frame: int, object_id: int | None = None
    ) -> Edit | None:
        """All objects of another frame in place of this one's, or one object."""
        if object_id is not None:
            object_edits.check_unlocked(self.annotation, object_id)
        return self._applied(copy_edit(self.annotation, from_frame, to_frame, object_id))

    def _change(self, frame: int, label: str, labels: Labels, cause: Cause) -> Edit | None:
        return self._applied(hand_edit(self.annotation, frame, label, labels, self._told(cause)))

    def _label(self, verb: str, object_id: int) -> str:
        return f"{verb} ‘{self.annotation.object(object_id).name}’"

    def _told(self, cause: Cause) -> Cause:
        """With what is locked now, if anything is: see `rebasing`."""
        locked = sorted(self.annotation.locked)
        return {**cause, "locked": locked} if locked else cause

    # Many frames

    def surgery(
        self,
        label: str,
        frames: Collection[int],
        change: Callable[[int, Labels], Labels],
        cause: Cause,
    ) -> Generator[Edit, None, None]:
        """`change(frame, labels)` on each frame that has a mask, as one step of the history;
        frames keep their status, locked objects their pixels."""
        return object_edits.surgery(self.annotation, label, frames, change, self._told(cause))

    def _apply_all(self, edits: Iterable[Edit]) -> bool:
        results = [self.apply(edit) for edit in edits]
        return bool(results) and all(results)

    def _applied(self, edit: Edit | None) -> Edit | None:
        return edit if edit is not None and self.apply(edit) else None
