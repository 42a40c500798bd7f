"""An annotator that writes down what it is asked for; and documents with a made-up annotation."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from gui.work.document import Document
from gui.work.operations import Busy, Operation
from interaction.annotation.annotation import make_record
from interaction.annotation.types import EMPTY_RECORD, Edit, FrameRecord, FrameStatus
from interaction.session import Session
from tests import tiny
from tests.fake_engines import FakeEngines


class Part(QObject):
    """Has the signals of every part of an annotator; every call that is not defined is noted."""

    busy_changed = Signal(Busy)
    progressed = Signal(object)
    changed = Signal()
    clicked = Signal(object)
    tracked = Signal(int)
    looked = Signal(int, object)
    learned = Signal(int)
    arrived = Signal(object)

    def __init__(self, asked: list[tuple[Any, ...]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.asked = asked
        self.busy = Busy.IDLE
        self.is_running = self.is_stopping = self.are_waiting = False
        self.running: Operation | None = None

    @property
    def is_free(self) -> bool:
        return self.busy in (Busy.IDLE, Busy.CLICKING, Busy.EXPORTING)

    def __getattr__(self, name: str) -> Callable[..., bool]:
        if name.startswith("_"):
            raise AttributeError(name)

        def note(*args: Any) -> bool:
            self.asked.append((name, *args))
            return True

        return note


class RecordingTracking(Part):
    forecast_made = Signal(object)
    remembered = Signal(object)
    reports_memory = False

    def forecast(self, *choices: object, measures: bool = False, **others: object) -> None:
        if measures:  # others come by themselves
            self.asked.append(("measure", *choices))

    def start(
        self,
        direction: str = "forward",
        until: str = "end",
        *,
        most_frames: int | None = None,
        objects: frozenset[int] | None = None,
        looks_closer: bool = False,
        follows: bool = False,
    ) -> None:
        closer = ("closer",) if looks_closer else ()
        self.asked.append(("propagate", direction, until, most_frames, objects, *closer))


class RecordingLearning(Part):
    def start(self) -> None:
        self.asked.append(("learn",))


class RecordingAnnotator(QObject):
    """Notes in `asked` what it is asked for; does nothing."""

    def __init__(self, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.document = document
        self.asked: list[tuple[Any, ...]] = []
        self.operations = Part(self.asked, self)
        self.hand = Part(self.asked, self)
        self.prompts = Part(self.asked, self)
        self.previews = Part([], self)  # what is shown under the pointer is no request
        self.bulk = Part(self.asked, self)
        self.tracking = RecordingTracking(self.asked, self)
        self.learning = RecordingLearning(self.asked, self)

    def set_busy(self, busy: Busy) -> None:
        self.operations.busy = busy
        self.operations.busy_changed.emit(busy)
        self.operations.changed.emit()

    def cancel(self) -> bool:
        self.asked.append(("cancel",))
        return True

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
