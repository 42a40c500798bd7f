"""The way from an event to the work is short: a click, and a frame that was tracked."""

import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from gui.canvas import CanvasView
from gui.canvas.backdrop import Backdrop
from gui.work.annotator import Annotator
from gui.work.document import Document
from gui.work.operations import Busy
from interaction.annotation.types import Stroke
from tests.fake_engines import FakeEngines
from tests.gui.canvas_samples import Mouse

ROOT = Path(__file__).parents[2]
ROOMS = ("gui", "interaction", "xmem_core")
MOST_FRAMES, MOST_FILES = 10, 6


def ours(stack: traceback.StackSummary) -> list[tuple[str, str]]:
    """File and function of our frames, outermost first."""
    found = []
    for frame in stack:
        path = Path(frame.filename)
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in ROOMS:
            found.append((path.relative_to(ROOT).as_posix(), frame.name))
    return found


class Stacks:
    """Our stacks on the GUI thread where something goes to another thread, and the deepest one
    where the click network's inputs are read."""

    def __init__(self) -> None:
        self.handed_over: list[list[tuple[str, str]]] = []
        self.reading: list[tuple[str, str]] = []

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        code = frame.f_code
        is_handed_over = code.co_name == "submit" and code.co_filename.endswith("thread.py")
        if is_handed_over or code.co_filename == str(ROOT / "interaction/answers.py"):
            stack = ours(traceback.StackSummary.extract(traceback.walk_stack(frame)))[::-1]
            if is_handed_over:
                self.handed_over.append(stack)
            elif len(stack) > len(self.reading):
                self.reading = stack


@pytest.fixture
def view(document: Document, annotator: Annotator, qtbot: QtBot) -> Iterator[CanvasView]:
    view = CanvasView(document, annotator)
    qtbot.addWidget(view)
    view.resize(600, 400)
    with qtbot.waitExposed(view):
        view.show()
    qtbot.waitUntil(lambda: view.shown_frame == 0)
    yield view
    view.shutdown()


def test_a_click_reaches_the_network_in_ten_frames_of_six_files(
    view: CanvasView,
    annotator: Annotator,
    engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    engine_stacks: list[list[tuple[str, str]]] = []
    segment = engines.discs.segment

    def noting(*args: Any, **settings: Any) -> Any:
        engine_stacks.append(ours(traceback.extract_stack()))
        assert threading.current_thread().name.startswith("engine")
        return segment(*args, **settings)

    monkeypatch.setattr(engines.discs, "segment", noting)
    mouse = Mouse(view)
    mouse.press(30, 20)
    stacks = Stacks()
    sys.setprofile(stacks)
    try:
        mouse.release(30, 20)
    finally:
        sys.setprofile(None)
    qtbot.waitUntil(lambda: bool(engine_stacks) and annotator.operations.busy is Busy.IDLE)
    (handed_over,) = stacks.handed_over
    # What the answer depends on is read on the way, before the engine thread gets it.
    assert stacks.reading[: len(handed_over)] == handed_over
    for way in (handed_over + engine_stacks[0], stacks.reading):
        assert len(way) <= MOST_FRAMES, way
        assert len({file for file, _ in way}) <= MOST_FILES, way


def test_a_tracked_frame_reaches_the_canvas_in_ten_frames_of_six_files(
    view: CanvasView,
    annotator: Annotator,
    document: Document,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    annotator.hand.stroke(Stroke(((20.0, 20.0),), 6))
    stacks: list[list[tuple[str, str]]] = []
    set_labels = Backdrop.set_labels

    def noting(backdrop: Backdrop, labels: np.ndarray) -> None:
        stacks.append(ours(traceback.extract_stack()))
        set_labels(backdrop, labels)

    monkeypatch.setattr(Backdrop, "set_labels", noting)
    annotator.tracking.start("forward", most_frames=1)
    document.set_frame(1)  # in sight when its mask arrives
    qtbot.waitUntil(lambda: view.shown_frame == 1)
    qtbot.waitUntil(lambda: annotator.operations.busy is Busy.IDLE)
    ways = [way for way in stacks if any(name == "apply" for _, name in way)]
    assert ways, stacks
    assert len(ways[0]) <= MOST_FRAMES, ways[0]
    assert len({file for file, _ in ways[0]}) <= MOST_FILES, ways[0]
