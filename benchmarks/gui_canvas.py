"""How quick the canvas is: python -m benchmarks.gui_canvas [--size 1920x1080] [--json]

Offscreen, on one made-up video of that size with three objects and a few clicks, in a window that
is as large as the video. Every figure is from the event to the painted pixels: median and 95th
percentile in milliseconds, over `--rounds` repetitions; then the same in the window thread's own
processor time, which others on the machine do not lengthen.
"""

import argparse
import time
from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QPaintEvent
from PySide6.QtWidgets import QApplication

from benchmarks.window import print_times, times_of
from gui.canvas import CanvasView
from gui.work.annotator import Annotator
from gui.work.document import Document, ViewMode
from gui.work.operations import EngineThread
from interaction.annotation.annotation import make_record
from interaction.annotation.types import Click, Edit, FrameStatus, Prompts
from interaction.engines import Engines
from interaction.session import Session
from interaction.video.video import Video
from xmem_core.arrays import Labels


class MemoryVideo:
    """A few frames of noise that are always in memory."""

    def __init__(self, width: int, height: int, count: int = 8) -> None:
        self.width, self.height = width, height
        random = np.random.default_rng(0)
        coarse = random.integers(0, 256, (count, height // 8, width // 8, 3), dtype=np.uint8)
        self._frames = [np.asarray(cv2.resize(one, (width, height)), np.uint8) for one in coarse]

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self._frames[index]

    def cached(self, index: int) -> NDArray[np.uint8]:
        return self._frames[index]


def ragged_labels(width: int, height: int, shift: int) -> Labels:
    """Three objects with edges as ragged as a network's."""
    labels = np.zeros((height, width), np.uint8)
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    for one, (x, y, size) in enumerate([(0.3, 0.4, 0.28), (0.6, 0.6, 0.2), (0.8, 0.3, 0.15)], 1):
        radius = size * height * (1 + 0.15 * np.sin(angles * 9) + 0.03 * np.sin(angles * 90))
        points = np.stack(
            [x * width + shift + radius * np.cos(angles), y * height + radius * np.sin(angles)], 1
        )
        cv2.fillPoly(labels, [points.astype(np.int32)], (one,))
    return labels


class TimedCanvas(CanvasView):
    """Knows how long it has been painting."""

    paint_s, paint_cpu_s, paints = 0.0, 0.0, 0

    def paintEvent(self, event: QPaintEvent) -> None:
        begun, cpu = time.perf_counter(), time.thread_time()
        super().paintEvent(event)
        self.paint_s += time.perf_counter() - begun
        self.paint_cpu_s += time.thread_time() - cpu
        self.paints += 1


def timed(view: TimedCanvas, act: Callable[[int], object], rounds: int) -> dict[str, float]:
    """act: gets the number of the round. What it takes, and what painting it takes, is added up;
    the wait for the screen's next refresh between the two is not."""
    taken = []
    for number in range(rounds + 3):
        QApplication.processEvents()
        view.paint_s = view.paint_cpu_s = 0.0
        view.paints = 0
        begun, cpu = time.perf_counter(), time.thread_time()
        act(number)
        wall, cpu = time.perf_counter() - begun, time.thread_time() - cpu
        deadline = begun + 1
        while view.paints == 0 and time.perf_counter() < deadline:
            QApplication.processEvents()
        taken.append((wall + view.paint_s, cpu + view.paint_cpu_s))
    return times_of(taken[3:])  # the first ones fill caches


def annotated(width: int, height: int) -> Document:
    """Three objects and some clicks on every frame."""
    session = Session(cast(Video, MemoryVideo(width, height)), engines=Engines())
    document = Document(session)
    for name in ("left", "middle", "right"):
        document.add_object(name)
    document.set_current_object(1)
    clicks = tuple(Click(100.0 + 90 * one, 200.0 + 30 * one, one % 3 > 0) for one in range(8))
    prompts = Prompts(1, None, FrameStatus.EMPTY, clicks)
    for frame in range(session.annotation.frame_count):
        record = make_record(
            ragged_labels(width, height, 5 * frame), FrameStatus.CORRECTED, prompts=prompts
        )
        before = {frame: session.annotation.record(frame)}
        document.apply(Edit("Mask", before=before, after={frame: record}))
    return document


class Hand:
    """The mouse on a view, which goes to and fro."""

    def __init__(self, view: TimedCanvas, width: int, height: int) -> None:
        self._viewport, self._width, self._height = view.viewport(), width, height

    def send(self, kind: QEvent.Type, x: float, y: float, is_held: bool) -> None:
        at = QPointF(x, y)
        button = Qt.MouseButton.LeftButton if is_held else Qt.MouseButton.NoButton
        is_move = kind == QEvent.Type.MouseMove
        QApplication.sendEvent(
            self._viewport,
            QMouseEvent(
                kind,
                at,
                at,
                Qt.MouseButton.NoButton if is_move else Qt.MouseButton.LeftButton,
                button,
                Qt.KeyboardModifier.NoModifier,
            ),
        )

    def _place(self, number: int) -> tuple[float, float]:
        x = 200 + (number * 17) % (self._width - 400)
        return x, self._height / 2 + 150 * np.sin(number / 5)

    def press(self) -> None:
        self.send(QEvent.Type.MouseButtonPress, *self._place(0), is_held=True)

    def move(self, number: int) -> None:
        self.send(QEvent.Type.MouseMove, *self._place(number), is_held=False)

    def draw(self, number: int) -> None:
        self.send(QEvent.Type.MouseMove, *self._place(number), is_held=True)

    def cross(self, number: int) -> None:
        """From object to object."""
        x, y = ((0.3, 0.4), (0.6, 0.6))[number % 2]
        self.send(QEvent.Type.MouseMove, x * self._width, y * self._height, is_held=False)


def measure(width: int, height: int, rounds: int) -> dict[str, dict[str, float]]:
    document = annotated(width, height)
    engine, files = EngineThread("engine"), EngineThread("files")
    annotator = Annotator(document, engine, files)
    view = TimedCanvas(document, annotator)
    view.resize(width, height)
    view.show()
    view.zoom_to_actual_size()
    QApplication.processEvents()
    hand = Hand(view, width, height)

    def redraw(_: int) -> None:
        view.repaint_all()

    def step(number: int) -> None:
        document.set_frame(number % document.frame_count)

    results = {
        "scrub to a frame in memory": timed(view, step, rounds),
        "redraw": timed(view, redraw, rounds),
        "zoom by a notch": timed(
            view, lambda number: view.zoom_out() if number % 2 else view.zoom_in(), rounds
        ),
        "pan": timed(view, lambda number: view.pan_by(QPointF((-1) ** number * 9, 4)), rounds),
    }
    view.zoom_to_actual_size()
    document.set_tool("brush")
    results["mouse move with markers and brush"] = timed(view, hand.move, rounds)
    document.set_tool("click")
    results["mouse move, marking objects"] = timed(view, hand.move, rounds)
    results["mouse move from object to object"] = timed(view, hand.cross, rounds)
    document.set_tool("brush")
    hand.press()
    results["brush segment"] = timed(view, hand.draw, rounds)
    view.cancel_gesture()
    document.set_view_mode(ViewMode.POPUP)
    hand.press()
    results["brush segment, grey background"] = timed(view, hand.draw, rounds)
    view.cancel_gesture()
    for mode in ViewMode:
        document.set_view_mode(mode)
        results[f"scrub, {mode.value}"] = timed(view, step, rounds)
    document.set_view_mode(ViewMode.OVERLAY)
    document.set_onion_skin(True)
    results["scrub, onion skin"] = timed(view, step, rounds)
    document.set_onion_skin(False)
    document.set_hatching(True)
    results["scrub, hatching"] = timed(view, step, rounds)
    document.set_hatching(False)
    view.set_magnifier(True)
    results["mouse move with magnifier"] = timed(view, hand.move, rounds)
    view.shutdown()
    engine.shutdown()
    files.shutdown()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    cv2.setNumThreads(1)
    application = QApplication.instance() or QApplication([])
    results = measure(width, height, options.rounds)
    print_times(results, as_json=options.json)
    del application


if __name__ == "__main__":
    main()
