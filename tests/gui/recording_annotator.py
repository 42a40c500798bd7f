"""An annotator that writes down what it is asked for; and documents with a made-up annotation."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from gui.work.annotator import Busy
from gui.work.document import Document
from interaction.annotation.annotation import make_record
from interaction.annotation.types import EMPTY_RECORD, Edit, FrameRecord, FrameStatus
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines


class RecordingAnnotator(QObject):
    """Has the signals of `gui.work.annotator.Annotator`; every other call is noted in `asked`."""

    busy_changed = Signal(Busy)
    progressed = Signal(object)
    failed = Signal(object)
    noticed = Signal(str)
    clicked = Signal(object)
    tracked = Signal(int)
    awaited_changed = Signal()
    learned_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.busy = Busy.IDLE
        self.is_learning = self.awaits_answers = False
        self.asked: list[tuple[Any, ...]] = []

    def set_busy(self, busy: Busy) -> None:
        self.busy = busy
        self.busy_changed.emit(busy)

    def propagate(
        self,
        direction: str = "forward",
        until: str = "end",
        *,
        most_frames: int | None = None,
        objects: frozenset[int] | None = None,
    ) -> None:
        self.asked.append(("propagate", direction, until, most_frames, objects))

    def pause(self) -> None:
        self.asked.append(("pause",))

    def resume(self) -> None:
        self.asked.append(("resume",))

    def cancel(self) -> bool:
        self.asked.append(("cancel",))
        return True

    def learn(self) -> None:
        self.asked.append(("learn",))

    def confirm(self, frame: int | None = None) -> None:
        self.asked.append(("confirm", frame))

    def unconfirm(self, frame: int | None = None) -> None:
        self.asked.append(("unconfirm", frame))

    def delete_object(self, object_id: int) -> None:
        self.asked.append(("delete_object", object_id))

    def merge_objects(self, object_id: int, into: int) -> None:
        self.asked.append(("merge_objects", object_id, into))

    def swap_objects(self, first: int, second: int, from_frame: int) -> None:
        self.asked.append(("swap_objects", first, second, from_frame))

    def split_object(self, object_id: int) -> None:
        self.asked.append(("split_object", object_id))

    def go_to(self, position: int) -> None:
        self.asked.append(("go_to", position))


def open_document(folder: Path, frames: int = 6, objects: Iterable[str] = ()) -> Document:
    """Over a folder of tiny pictures, in memory. Close its session when done."""
    clip = folder / "clip"
    if not clip.exists():
        tiny.write_clip(clip, frames)
    document = Document(Session.open(clip, engines=FakeEngines()))
    for name in objects:
        document.add_object(name)
    return document


def record_of(objects: Iterable[int], status: FrameStatus, doubt: float = 0.0) -> FrameRecord:
    """A mask in which each of the objects has a column of pixels."""
    labels = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    for object_id in objects:
        labels[:, object_id] = object_id
    return make_record(labels, status, doubt=doubt)


def set_records(document: Document, records: Mapping[int, FrameRecord]) -> None:
    """One undoable edit."""
    before = {frame: document.annotation.record(frame) for frame in records}
    assert document.apply(Edit("Test", before=before, after=dict(records)))


def clear_records(document: Document, frames: Iterable[int]) -> None:
    set_records(document, dict.fromkeys(frames, EMPTY_RECORD))
