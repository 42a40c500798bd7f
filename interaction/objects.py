"""The objects of a session: add, rename, colour, lock, show and move them in the list; give one
its whole region on a frame."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from interaction.annotation.edits import (
    check_unlocked,
    free_id,
    hand_edit,
    list_edit,
    next_color,
    with_object,
)
from interaction.annotation.labels import Label
from interaction.annotation.overlaps import reshaped
from interaction.annotation.requests import MaskRequest
from interaction.annotation.types import Edit, ObjectInfo
from interaction.ledger import Ledger


class ObjectList:
    """Each method returns the edit that it made, or None if nothing changed; KeyError for an
    object that is not in the list."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(self, name: str | None = None, color: tuple[int, int, int] | None = None) -> int:
        """Its id, the lowest that is free. UserError if there are 255 already."""
        objects = self._ledger.annotation.objects
        object_id = free_id(objects)
        name = name or f"Object {object_id}"
        color = color or next_color(one.color for one in objects)
        self._set(Label("add_object", name=name), (*objects, ObjectInfo(object_id, name, color)))
        return object_id

    def rename(self, object_id: int, name: str) -> Edit | None:
        """ValueError for a name of nothing but spaces."""
        if not name.strip():
            raise ValueError("an object's name must not be empty")
        return self._change(object_id, "rename", name=name.strip())

    def recolor(self, object_id: int, color: tuple[int, int, int]) -> Edit | None:
        """color: RGB, 0..255."""
        if not all(0 <= part <= 255 for part in color) or len(color) != 3:
            raise ValueError(f"a color is three numbers from 0 to 255, got {color}")
        return self._change(object_id, "recolor", color=color)

    def set_locked(self, object_id: int, is_locked: bool) -> Edit | None:
        key = "lock" if is_locked else "unlock"
        return self._change(object_id, key, is_locked=is_locked)

    def set_visible(self, object_id: int, is_visible: bool) -> Edit | None:
        key = "show" if is_visible else "hide"
        return self._change(object_id, key, is_visible=is_visible)

    def move(self, object_id: int, to_index: int) -> Edit | None:
        """To another place in the list."""
        one = self._ledger.annotation.object(object_id)
        objects = [other for other in self._ledger.annotation.objects if other.id != object_id]
        objects.insert(max(0, min(to_index, len(objects))), one)
        return self._set(Label("move", name=one.name), tuple(objects))

    def set_region(self, frame: int, object_id: int, pixels: NDArray[np.bool_]) -> Edit | None:
        """Gives the object these pixels, (H, W), and no others, and takes none from the others on
        the frame: beneath them they are kept if the object keeps covered pixels. UserError if the
        object is locked, IndexError for an unknown frame, ValueError for another size."""
        annotation = self._ledger.annotation
        check_unlocked(annotation, object_id)
        size = annotation.height, annotation.width
        if pixels.shape != size or pixels.dtype != np.bool_:
            raise ValueError(f"a region must be bool {size}, got {pixels.dtype} {pixels.shape}")
        labels = np.where(pixels, object_id, 0).astype(np.uint8)
        stack = annotation.stack(frame)
        after = reshaped(stack, object_id, lambda _: labels, annotation.keepers)
        edit = hand_edit(annotation, frame, Label("set_mask"), after, MaskRequest(frame))
        return edit if edit is not None and self._ledger.apply(edit) else None

    def _change(self, object_id: int, key: str, **changes: object) -> Edit | None:
        annotation = self._ledger.annotation
        one = annotation.object(object_id)
        new = replace(one, **changes)  # type: ignore[arg-type]
        return self._set(Label(key, name=one.name), with_object(annotation, new))

    def _set(self, label: str, objects: tuple[ObjectInfo, ...]) -> Edit | None:
        edit = list_edit(self._ledger.annotation, label, objects)
        return edit if edit is not None and self._ledger.apply(edit) else None
