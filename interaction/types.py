"""The nouns of an annotation: small, immutable, no behaviour beyond their own arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Click:
    """One click on one object, as the annotator made it.

    x, y: pixels of the source frame, origin top left, x to the right; fractions are allowed.
    Row/column order exists only inside `interaction.fbrs`.
    """

    x: float
    y: float
    is_positive: bool  # adds to the object; False takes away


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Something to cut out: what the annotator calls it and how it is shown."""

    id: int  # 1 to 255, the pixel value in masks
    name: str
    color: tuple[int, int, int]  # RGB, 0..255
    is_locked: bool = False  # no edit, click or propagation changes its pixels
    is_visible: bool = True


@dataclass(frozen=True, slots=True)
class MaskEdit:
    """One undoable change of masks, on one frame or on a thousand.

    A mask at rest is its palette-PNG file, as bytes; None means the frame has no mask.
    Bytes never change, so an edit holds references, not copies, and its inverse is exact.
    """

    label: str  # what Undo calls it, e.g. "Click on ‘bear’"
    before: Mapping[int, bytes | None]  # by frame index
    after: Mapping[int, bytes | None]  # the same keys

    def inverse(self) -> "MaskEdit":
        return MaskEdit(self.label, before=self.after, after=self.before)
