"""How quick the timeline is: python -m benchmarks.gui_timeline [--frames 5000] [--objects 10]

Offscreen, 1920 pixels wide, with an annotation that changes its status every few frames and has
keyframes throughout, which is the worst case for painting. Every figure is from the event to the
painted pixels: median and 95th percentile in milliseconds; then the same in the window thread's own
processor time, which others on the machine do not lengthen.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication

from benchmarks.window import print_times, times_of
from gui.panels.history import HistoryPanel
from gui.panels.objects import ObjectsPanel
from gui.theme import apply_theme
from gui.timeline.painting import HEADER_PX, LANES_TOP_PX
from gui.timeline.timeline import Timeline
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.annotation.annotation import make_record
from interaction.annotation.types import Edit, FrameRecord, FrameStatus, Signs
from interaction.session import Session
from interaction.tracking.trust import SIGNS

WIDTH_PX = 1920
SIDE_PX = 32  # of the made-up frames
KEY_LENGTH = 64  # bytes


class Silent(QObject):
    """Asked for nothing, an annotator and its parts only have their signals."""

    busy_changed = Signal(Busy)
    changed = Signal()
    progressed = Signal(object)
    tracked = Signal(int)
    busy = Busy.IDLE
    running = None
    is_free = True

    @property
    def operations(self) -> "Silent":
        return self

    @property
    def tracking(self) -> "Silent":
        return self


def write_video(folder: Path, frames: int) -> None:
    """Pictures that are links to a few files: only their number matters here."""
    folder.mkdir()
    for index in range(8):
        shade = np.full((SIDE_PX, SIDE_PX, 3), 30 * index, np.uint8)
        Image.fromarray(shade).save(folder / f"{index:07d}.png")
    for index in range(8, frames):
        (folder / f"{index:07d}.png").hardlink_to(folder / f"{index % 8:07d}.png")


def made_up_records(frames: int, objects: int) -> dict[int, FrameRecord]:
    """Tracked, with objects that come and go, gaps, and a keyframe every twenty frames or so."""
    random = np.random.default_rng(0)
    statuses = (FrameStatus.CORRECTED, FrameStatus.CONFIRMED)
    kinds: dict[frozenset[int], FrameRecord] = {}
    records = {}
    is_there = np.ones(objects, bool)
    for frame in range(frames):
        if random.random() < 0.05:
            continue
        is_there ^= random.random(objects) < 0.1
        present = frozenset((np.flatnonzero(is_there) + 1).tolist())
        if present not in kinds:
            labels = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
            for object_id in present:
                labels[object_id] = object_id
            kinds[present] = make_record(labels, FrameStatus.TRACKED)
        is_given = random.random() < 0.05
        status = statuses[int(random.integers(2))] if is_given else FrameStatus.TRACKED
        doubt = 0.0 if is_given else float(random.random() ** 3)
        signs = () if is_given else tuple(made_up_signs(one, random) for one in sorted(present))
        mask = kinds[present].mask
        records[frame] = FrameRecord(mask, status, present, doubt, signs=signs)
    return records


def made_up_signs(object_id: int, random: np.random.Generator) -> Signs:
    return Signs.of(object_id, random.random(len(SIGNS)) / 2, bytes(KEY_LENGTH))


def timed(step: Callable[[int], object], rounds: int) -> dict[str, float]:
    """Milliseconds; step gets the round's number and must make something to be painted."""
    taken = []
    for number in range(rounds):
        begin, begin_cpu = time.perf_counter(), time.thread_time()
        step(number)
        taken.append((time.perf_counter() - begin, time.thread_time() - begin_cpu))
    return times_of(taken)


def measure(document: Document, rounds: int) -> dict[str, dict[str, float]]:
    annotator = cast(Annotator, Silent(document))
    timeline = Timeline(document, annotator)
    objects, history = ObjectsPanel(document, annotator), HistoryPanel(document, annotator)
    timeline.resize(WIDTH_PX, timeline.sizeHint().height())
    for widget in (timeline, objects, history):
        widget.show()
    viewport = timeline.viewport()
    QApplication.processEvents()

    def paint() -> None:
        viewport.repaint()

    def wheel(pixels: int, key: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        at = QPointF(WIDTH_PX / 2, 10)
        turn, none = QPoint(0, pixels), Qt.MouseButton.NoButton
        event = QWheelEvent(at, at, QPoint(), turn, none, key, Qt.ScrollPhase.NoScrollPhase, False)
        QApplication.sendEvent(viewport, event)
        paint()

    def scrub(number: int) -> None:
        at = QPointF(HEADER_PX + 20 + number * 7 % (WIDTH_PX - HEADER_PX - 40), LANES_TOP_PX + 5)
        left, no_key = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        kind = QEvent.Type.MouseMove if number else QEvent.Type.MouseButtonPress
        QApplication.sendEvent(viewport, QMouseEvent(kind, at, at, left, left, no_key))
        paint()

    found = {}
    control = Qt.KeyboardModifier.ControlModifier
    for zoom in (0.2, 0.5, 1.0):
        timeline.set_zoom(zoom)
        size = f"{timeline.scale.frame_px:.2g} px a frame"
        found[f"scroll, {size}"] = timed(lambda n: wheel(-60 if n % 40 < 20 else 60), rounds)
    timeline.set_zoom(0.0)
    found["zoom with the wheel"] = timed(lambda n: wheel(120 if n % 40 < 20 else -120, control), 80)
    timeline.set_zoom(0.0)
    bar = timeline.verticalScrollBar()

    def scroll_lanes(number: int) -> None:
        bar.setValue(number * 20 % max(1, bar.maximum()))
        paint()

    found["scroll the lanes, all frames seen"] = timed(scroll_lanes, rounds)
    found["scrub, all frames seen"] = timed(scrub, rounds)
    found |= _measure_changes(document, paint, rounds)
    for widget in (timeline, objects, history):
        widget.hide()
    timeline.shutdown()
    return found


def _measure_changes(
    document: Document, paint: Callable[[], None], rounds: int
) -> dict[str, dict[str, float]]:
    """Of masks, with what follows them in sight."""
    frames = sorted(document.annotation.records)

    def track(number: int) -> None:
        frame = frames[number]
        old = document.annotation.record(frame)
        doubt = 0.5 + number / 1e6
        new = FrameRecord(old.mask, FrameStatus.TRACKED, old.present, doubt, signs=old.signs)
        document.apply(Edit("Track", {frame: old}, {frame: new}, group="run"))
        QApplication.processEvents()
        paint()

    found = {"a tracked frame arrives, panels included": timed(track, rounds)}

    def undo_all(number: int) -> None:
        if number % 2:
            document.redo()
        else:
            document.undo()
        QApplication.processEvents()

    document.undo()  # the run just made
    found[f"undo or redo of {len(frames)} frames, panels included"] = timed(undo_all, 10)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    application = QApplication([])
    apply_theme(application)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video"
        write_video(video, chosen.frames)
        with Session.open(video) as session:
            document = Document(session)
            for _ in range(chosen.objects):
                document.add_object()
            records = made_up_records(chosen.frames, chosen.objects)
            before = {frame: session.annotation.record(frame) for frame in records}
            document.apply(Edit("Track", before, records))
            found = measure(document, chosen.rounds)
    print_times(found, as_json=chosen.json)


if __name__ == "__main__":
    main()
