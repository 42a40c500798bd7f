"""Work by hand on the current frame: exact, at once, without any network."""

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal

from gui.work.document import Document
from interaction.annotation.requests import (
    ClearRequest,
    ConfirmRequest,
    CopyRequest,
    FillRequest,
    Operation,
    SplitRequest,
    StrokeRequest,
    SurgeryRequest,
    UnconfirmRequest,
)
from interaction.annotation.surgery import reaches_edge
from interaction.annotation.types import Point, Stroke

__all__ = ["HandWork"]


class HandWork(QObject):
    """What the annotator does to masks without waiting; `Annotator` adds what takes time."""

    failed = Signal(object)  # the Exception; never for a cancelled job
    noticed = Signal(str)  # something to know that is no error

    def __init__(self, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.document = document
        self._session = document.session
        document.failed.connect(self.failed)

    def stroke(self, stroke: Stroke) -> None:
        object_id = self._object_for_work(is_made=stroke.is_positive)
        if object_id:
            self.document.do(StrokeRequest(self.document.frame, object_id, stroke))

    def fill(self, points: Sequence[Point], is_positive: bool = True) -> None:
        """The inside of a polygon."""
        object_id = self._object_for_work(is_made=is_positive)
        if object_id and len(points) >= 3:
            self.document.do(
                FillRequest(self.document.frame, object_id, tuple(points), is_positive)
            )

    def fill_at(self, x: float, y: float) -> None:
        """The hole that is pointed at is filled; a part of the object's mask is taken away."""
        labels = self._session.annotation.labels(self.document.frame)
        height, width = labels.shape
        if not (0 <= x < width and 0 <= y < height):
            return
        found = labels[int(y), int(x)]
        is_own = found != 0 and found == self.document.current_object
        if found == 0 and reaches_edge(labels, x, y):
            self.noticed.emit(
                self.tr("This is no hole: it reaches the frame's edge. Draw around it instead.")
            )
            return
        self._operate("remove_part" if is_own else "flood_fill", point=(x, y))

    def fill_holes(self) -> None:
        self._operate("fill_holes")

    def remove_specks(self, smallest_px: int = 64) -> None:
        self._operate("remove_specks", smallest_px)

    def grow(self, px: float) -> None:
        """Moves the object's edge outwards, inwards if negative."""
        self._operate("grow" if px > 0 else "shrink", abs(px))

    def smooth(self, px: float = 3) -> None:
        self._operate("smooth", px)

    def confirm(self, frame: int | None = None) -> None:
        self.document.do(ConfirmRequest(self.document.frame if frame is None else frame))

    def unconfirm(self, frame: int | None = None) -> None:
        self.document.do(UnconfirmRequest(self.document.frame if frame is None else frame))

    def clear_frame(self, object_id: int | None = None) -> None:
        """Takes one object, or everything, off the current frame."""
        self.document.do(ClearRequest(self.document.frame, object_id))

    def copy_mask(self, from_frame: int, object_id: int | None = None) -> None:
        """From another frame onto the current one."""
        self.document.do(CopyRequest(from_frame, self.document.frame, object_id))

    def split_object(self, object_id: int) -> None:
        """On the current frame: each further part becomes an object of its own."""
        self.document.do(SplitRequest(self.document.frame, object_id))

    # Parts

    def show_current_object(self) -> None:
        """What is about to be worked on is in sight: if it was hidden, or another one is the only
        one that is shown, that ends, and is told."""
        document = self.document
        one = document.object(document.current_object)
        if one is None or document.is_shown(one.id):
            return
        if one.is_locked or self._session.is_read_only:
            return  # it is not going to change
        if document.solo:
            document.set_solo(one.id)
        else:
            document.set_visible(one.id, True)
        self.noticed.emit(self.tr("“{}” was hidden: it is shown again.").format(one.name))

    def _object_for_work(self, *, is_made: bool = True) -> int:
        """The current object, in sight; 0 if it must not change, or there is none and it is not
        made, which is told."""
        if self._session.is_read_only:
            self.noticed.emit(self.tr("This project is open for reading only."))
            return 0
        document = self.document
        object_id = document.current_object
        if not object_id and not is_made:
            self.noticed.emit(self.tr("There is no object yet that anything could be taken from."))
            return 0
        object_id = object_id or document.add_object()
        if not object_id:
            return 0
        one = document.object(object_id)
        if one is not None and one.is_locked:
            self.noticed.emit(self.tr("“{}” is locked: unlock it to change it.").format(one.name))
            return 0
        self.show_current_object()
        return object_id

    def _operate(
        self, operation: Operation, size_px: float | None = None, point: Point | None = None
    ) -> None:
        """A change of the current object's shape on the current frame."""
        object_id = self._object_for_work(is_made=operation == "flood_fill")
        if object_id:
            frame = self.document.frame
            self.document.do(SurgeryRequest(operation, frame, object_id, size_px, point))
