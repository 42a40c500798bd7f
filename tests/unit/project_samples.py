"""A small project, and an annotator who does all kinds of things to it, the same for one seed."""

import random
from functools import cache, partial
from pathlib import Path

import numpy as np

from interaction.annotation.annotation import Annotation, make_record
from interaction.annotation.history import History
from interaction.annotation.requests import UnknownRequest
from interaction.annotation.types import (
    EMPTY_RECORD,
    Click,
    Edit,
    FrameRecord,
    FrameStatus,
    ObjectInfo,
    Prompts,
)
from interaction.project.manifest import SourceInfo, describe_source
from interaction.project.project import Project

FRAMES, WIDTH, HEIGHT = 20, 24, 16
State = tuple[dict[int, FrameRecord], tuple[ObjectInfo, ...], list[Edit], int]
_ACTS = ("click", "click", "clear", "propagate", "propagate", "object", "undo", "undo", "redo")


def write_source(folder: Path, name: str = "зебра 1.mp4") -> SourceInfo:
    """A file that only has to be recognised."""
    path = folder / name
    path.write_bytes(_noise(name))
    return describe_source(path, FRAMES, WIDTH, HEIGHT)


@cache
def _noise(name: str) -> bytes:
    return random.Random(name).randbytes(3_000_000)


def blob(x: int, y: int, object_id: int = 1, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """The palette PNG of a square."""
    labels = np.zeros((height, width), np.uint8)
    labels[y : y + 4, x : x + 4] = object_id
    mask = make_record(labels, FrameStatus.CORRECTED).mask
    assert mask is not None
    return mask


class Annotator:
    """Does to a project what a session does: apply, push, record. Without one, in memory only."""

    def __init__(self, project: Project | None = None) -> None:
        self.project = project
        self.annotation = Annotation(FRAMES, WIDTH, HEIGHT)
        self.history = History()
        if project is not None:
            self.annotation, self.history = project.load_annotation(), project.view.history

    def apply(self, edit: Edit) -> None:
        self.annotation.apply(edit)
        if self.project is None:
            self.history.push(edit)
        else:
            self.project.record(edit)

    def travel(self, *, is_undo: bool) -> None:
        edit = self.history.undo() if is_undo else self.history.redo()
        if edit is not None:
            self.annotation.apply(edit)
            if self.project is not None:
                self.project.record_move(edit)

    def forget_groups(self) -> None:
        """As when the history was closed and opened again: no later edit joins an earlier step."""
        for entry in self.history.entries:
            entry.load, entry.edit = partial(_given, entry.loaded()), None

    def add_object(self, name: str) -> None:
        objects = self.annotation.objects
        object_id = len(objects) + 1
        new = ObjectInfo(object_id, name, (object_id, 0, 255 - object_id))
        self.apply(Edit(f"Add ‘{name}’", {}, {}, objects, (*objects, new)))

    def put(
        self,
        frame: int,
        record: FrameRecord,
        label: str = "Brush",
        group: str | None = None,
    ) -> None:
        before = {frame: self.annotation.record(frame)}
        if before[frame] != record:
            cause = UnknownRequest(f'{{"kind":"brush","frame":{frame}}}', "a brush")
            self.apply(Edit(label, before, {frame: record}, group=group, cause=cause))

    def click(self, frame: int, x: int, y: int) -> None:
        now = self.annotation.record(frame)
        clicks = (Click(x + 0.1, y / 3, True), Click(1, 2, False))
        prompts = Prompts(1, now.mask, now.status, clicks, now.given)
        given = now.given | {1 + x % 3}
        record = FrameRecord(blob(x, y), FrameStatus.CORRECTED, frozenset({1}), 0.0, prompts, given)
        self.put(frame, record, f"Click on frame {frame}")

    def propagate(self, frames: range, group: str, x: int) -> None:
        for frame in frames:
            record = FrameRecord(
                blob(x, frame % 8), FrameStatus.TRACKED, frozenset({1}), (frame % 7) / 7
            )
            self.put(frame, record, "Propagate", group)

    def act(self, number: int) -> None:
        """The thing that is done as number `number`, at most one edit, undo or redo."""
        chance = random.Random(number)
        what = chance.choice(_ACTS)
        frame, x, y = chance.randrange(FRAMES), chance.randrange(16), chance.randrange(8)
        if not self.annotation.objects:
            self.add_object(f"bär {number}")
        elif what == "click":
            self.click(frame, x, y)
        elif what == "clear":
            self.put(frame, EMPTY_RECORD, "Clear")
        elif what == "propagate":
            self.propagate(range(frame, frame + 1), f"run {number // 8}", x)
        elif what == "object" and len(self.annotation.objects) < 5:
            self.add_object(f"object {number}")
        elif what in ("undo", "redo"):
            self.travel(is_undo=what == "undo")

    def work(self, seed: int, count: int = 40) -> None:
        for number in range(count):
            self.act(1000 * seed + number)


def _given(edit: Edit) -> Edit:
    return edit


def state(project: Project) -> State:
    """All that a project holds, its history read back in full."""
    annotation, history = project.load_annotation(), project.view.history
    edits = [entry.load() for entry in history.entries if entry.load is not None]
    assert len(edits) == len(history.entries)
    return dict(annotation.records), annotation.objects, edits, history.position


def state_of(annotator: Annotator) -> State:
    history = annotator.history
    edits = [entry.loaded() for entry in history.entries]
    return dict(annotator.annotation.records), annotator.annotation.objects, edits, history.position
